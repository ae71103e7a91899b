//! What mailboxes remember of messages that were in them: those that are there, and those that were deleted.

use super::super::account::{Account, State};
use super::super::error::StoreError;
use super::super::mailbox::{Mbox, directory, unlisted};
use super::super::ops::gone_from;
use super::super::store::Store;
use dbox_format::map::{Gone, MapId};
use index_format::list::Entry;
use index_format::mailbox::{Mailbox, Parts};
use index_format::{Flags, Guid, Uid};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a mailbox says of a message that was in it.
pub(super) struct Said {
    pub(super) uid: Uid,
    pub(super) flags: Flags,
    pub(super) keywords: Vec<String>,
    pub(super) received: Option<i64>,
}

/// What mailboxes say: by map id, the name of the mailbox, and what it says if it knows more.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) said: BTreeMap<u32, (Arc<str>, Said)>,
    /// Names of mailboxes, those there are and those that were deleted.
    pub(super) names: Vec<(Guid, Arc<str>)>,
}

impl Store {
    /// What the mailboxes say that expunged messages were last in.
    pub(super) fn what_mailboxes_say(
        &self,
        account: &Arc<Account>,
        state: &mut State,
        wanted: &[(MapId, Gone)],
    ) -> Result<Memory, StoreError> {
        let mut memory = Memory::default();
        let places: BTreeSet<[u8; 3]> = wanted.iter().map(|(_, gone)| gone.mailbox).collect();
        let gones: BTreeMap<u32, Gone> = wanted.iter().map(|(id, gone)| (id.0, *gone)).collect();
        let is_meant =
            |guid: &Guid| guid.0.first_chunk::<3>().is_some_and(|it| places.contains(it));
        let there: Vec<(Guid, Arc<str>)> =
            state.list.iter().map(|entry| (entry.guid, entry.name.clone())).collect();
        for (guid, name) in &there {
            if is_meant(guid) {
                match account.mailbox_with(&self.files, state, *guid, Parts::GONE) {
                    Ok(mbox) => memory.take_gone(&mbox.mailbox, (*guid, name), &gones),
                    // What was expunged from it can come back elsewhere, with the flags it was saved with.
                    Err(StoreError::Damaged { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        memory.names = there;
        let deleted: Vec<Entry> = {
            let gone = state.list.tombstones().iter().rev();
            let gone = gone.filter(|gone| gone.renamed_to.is_none());
            gone.map(|gone| unlisted(gone.guid, gone.name.clone(), gone.uidvalidity)).collect()
        };
        for entry in deleted {
            if is_meant(&entry.guid) {
                self.what_a_deleted_one_says(account, &entry, &gones, &mut memory)?;
            }
            memory.names.push((entry.guid, entry.name));
        }
        Ok(memory)
    }

    /// What is left of a deleted mailbox; nothing if its files are gone or damaged.
    fn what_a_deleted_one_says(
        &self,
        account: &Account,
        entry: &Entry,
        gones: &BTreeMap<u32, Gone>,
        memory: &mut Memory,
    ) -> Result<(), StoreError> {
        let dir = directory(account.dir(), entry.guid);
        let there = self.files.fs().metadata(&dir);
        if there.map_err(|error| StoreError::io("look at", &dir, error))?.is_none() {
            return Ok(());
        }
        let loaded = Mbox::load(&self.files, account.dir(), entry).and_then(|(mut mbox, _)| {
            mbox.need(&self.files, account.dir(), Parts::ALL)?;
            Ok(mbox)
        });
        match loaded {
            Ok(mbox) => {
                let place = (entry.guid, &entry.name);
                memory.take_gone(&mbox.mailbox, place, gones);
                memory.take_rows(&mbox.mailbox, place, gones);
                Ok(())
            }
            Err(StoreError::Damaged { path, why }) => {
                tracing::warn!(path = %path.display(), why, "a deleted mailbox is damaged: its mail comes back with the flags it was saved with");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl Memory {
    /// What a mailbox remembers of messages that lost their last reference there.
    fn take_gone(
        &mut self,
        mailbox: &Mailbox,
        (guid, name): (Guid, &Arc<str>),
        gones: &BTreeMap<u32, Gone>,
    ) {
        for gone in mailbox.tombstones() {
            let Some((flags, keywords)) = gone.kept else { continue };
            if gones.get(&gone.map_id.0).is_some_and(|it| it.is_in(gone_from(guid))) {
                let keywords = names_of(mailbox, keywords);
                let said = Said { uid: gone.uid, flags, keywords, received: None };
                self.said.insert(gone.map_id.0, (name.clone(), said));
            }
        }
    }

    /// What it has of them.
    fn take_rows(
        &mut self,
        mailbox: &Mailbox,
        (guid, name): (Guid, &Arc<str>),
        gones: &BTreeMap<u32, Gone>,
    ) {
        for row in mailbox.iter() {
            if gones.get(&row.map_id.0).is_some_and(|it| it.is_in(gone_from(guid))) {
                let keywords = names_of(mailbox, row.keywords);
                let received = Some(row.internal_date);
                let said = Said { uid: row.uid, flags: row.flags, keywords, received };
                self.said.insert(row.map_id.0, (name.clone(), said));
            }
        }
    }
}

fn names_of(mailbox: &Mailbox, keywords: index_format::Keywords) -> Vec<String> {
    keywords
        .iter()
        .filter_map(|number| mailbox.keywords().name(number))
        .map(str::to_owned)
        .collect()
}
