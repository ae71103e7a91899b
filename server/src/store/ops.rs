//! What a session can do to an account's mailboxes, but for saving new mail.
//!
//! Each operation checks everything first, then assigns all its steps as one change; what it returns may be told
//! once the position is durable.

use super::account::{Account, State};
use super::change::{Change, to_index};
use super::error::StoreError;
use super::imap::flag_rows;
use super::mailbox::{Mbox, directory};
use super::planted::{Planted, planted};
use super::store::Store;
use dbox_format::map::{Draft, Gone, MapId};
use imap_proto::{MailboxName, ModSeq, Position, StoreAction, Stored, StoredRows, UidSet};
use index_format::list::{self, Outcome, SpecialUse};
use index_format::mailbox::{KeywordError, NewMessage, Parts, TransactionBuilder};
use index_format::record::KEYWORDS_MAX;
use index_format::{Flags, Guid};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Appends in one transaction: keeps a frame well below its bound of 1 MiB.
pub(crate) const APPENDS: usize = 16_384;

/// Flags that a command names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) system: Flags,
    pub(crate) keywords: &'a [&'a str],
}

/// A STORE as the session asks for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storing<'a> {
    pub(crate) uids: &'a UidSet,
    pub(crate) action: StoreAction,
    pub(crate) named: Named<'a>,
    pub(crate) unchanged_since: Option<ModSeq>,
    pub(crate) rows: StoredRows,
}

/// What COPY or MOVE did.
#[derive(Debug)]
pub(crate) struct Copied {
    pub(crate) position: u64,
    pub(crate) uidvalidity: u32,
    pub(crate) from: UidSet,
    pub(crate) to: UidSet,
}

impl Store {
    /// Makes a mailbox; gives its GUID and the change's position.
    pub(crate) fn create(
        &self,
        account: &Arc<Account>,
        name: &str,
        special_use: SpecialUse,
    ) -> Result<(Guid, u64), StoreError> {
        self.writable_by(account)?;
        let mut state = account.lock()?;
        if state.list.by_name(name).is_some() {
            return Err(StoreError::MailboxExists);
        }
        let mut change = Change::default();
        let guid = self.add_mailbox(&mut change, account, &mut state, name, special_use)?;
        Ok((guid, self.submit_list(change, &mut state)))
    }

    /// The step that makes a mailbox; its name must be free.
    pub(crate) fn add_mailbox(
        &self,
        change: &mut Change,
        account: &Arc<Account>,
        state: &mut State,
        name: &str,
        special_use: SpecialUse,
    ) -> Result<Guid, StoreError> {
        let time = self.now();
        let guid = Guid(self.random());
        let uidvalidity = state.list.next_uidvalidity(time);
        let record =
            list::Record::Create { guid, name: name.into(), uidvalidity, special_use, time };
        let applied = change.list(account, state, vec![record])?;
        match applied.outcomes.first() {
            Some(&Outcome::Created { uidvalidity }) => {
                let mbox = Mbox::new(guid, uidvalidity);
                let log = mbox.new_log(account.dir());
                account.logs().mailboxes.insert(guid, Box::new(log));
                state.mailboxes.insert(guid, Box::new(mbox));
                Ok(guid)
            }
            Some(_) | None => Err(StoreError::Cannot("that name can't be used")),
        }
    }

    /// Deletes a mailbox with its mail; those below it stay.
    pub(crate) fn delete(&self, account: &Arc<Account>, name: &str) -> Result<u64, StoreError> {
        self.writable_by(account)?;
        if name == "INBOX" {
            return Err(StoreError::Cannot("INBOX can't be deleted"));
        }
        let mut state = account.lock()?;
        let state = &mut *state;
        let guid = state.list.by_name(name).ok_or(StoreError::NoMailbox)?.guid;
        let mbox = account.mailbox_with(&self.files, state, guid, Parts::MAP_IDS)?;
        let ids: Vec<MapId> = mbox.mailbox.map_ids().map(|id| MapId(id.0)).collect();
        let mut draft = Draft::new(&state.map);
        let time = self.now();
        draft.expunge(ids, Gone::new(time, gone_from(guid)));
        let mut change = Change::default();
        change.map(account, state, &draft.finish(), time)?;
        change.list(account, state, vec![list::Record::Delete { guid, time }])?;
        if let Some(mbox) = state.mailboxes.remove(&guid) {
            mbox.feed.raise_all();
        }
        state.dirty.remove(&guid);
        let position = self.submit_list(change, state);
        let files = directory(account.dir(), guid);
        if planted(Planted::UnlinkEarly) {
            let _ = super::checkpoint::remove(self.files.fs(), &files);
        }
        match &mut state.deleted {
            // Until then it says what flags its mail had, should that be brought back.
            _ if self.config.undelete_ms == 0 => self.garbage(position, files),
            Some(deleted) => _ = deleted.insert(guid, time),
            None => {}
        }
        Ok(position)
    }

    /// Renames a mailbox with all below it; INBOX is emptied into the new one (RFC 3501 §6.3.5).
    pub(crate) fn rename(
        &self,
        account: &Arc<Account>,
        from: &str,
        to: &str,
    ) -> Result<u64, StoreError> {
        self.writable_by(account)?;
        let mut state = account.lock()?;
        let state = &mut *state;
        if state.list.by_name(to).is_some() {
            return Err(StoreError::MailboxExists);
        }
        let mut change = Change::default();
        if from == "INBOX" {
            let source = state.list.by_name(from).ok_or(StoreError::NoMailbox)?.guid;
            // Loaded first: what can fail comes before anything is assigned.
            let uids = account.mailbox(&self.files, state, source)?.uids.clone();
            let target = self.add_mailbox(&mut change, account, state, to, SpecialUse::NONE)?;
            self.transfer(&mut change, account, state, (source, target), &uids, true, 0)?;
            let position = self.submit_list(change, state);
            self.touch(state, &[source, target], position);
            return Ok(position);
        }
        if to.strip_prefix(from).is_some_and(|rest| rest.starts_with('/')) {
            return Err(StoreError::Cannot("a mailbox can't be moved below itself"));
        }
        if state.list.by_name(from).is_none() && !state.list.has_children(from) {
            return Err(StoreError::NoMailbox);
        }
        // A name was valid as a whole, and so is the new one, and so is what both have: but for its length.
        let longest = state.list.names_below(from).map(|name| name.len() - from.len()).max();
        if longest.is_some_and(|rest| to.len() + rest > MailboxName::MAX) {
            // No client could name it any more.
            return Err(StoreError::Cannot("a mailbox below it would have too long a name"));
        }
        let taken = |holder: &str| {
            let rest = holder.get(to.len()..).unwrap_or_default();
            state.list.by_name(&format!("{from}{rest}")).is_some()
        };
        if state.list.names_below(to).any(taken) {
            return Err(StoreError::MailboxExists);
        }
        let record = list::Record::Rename { from: from.into(), to: to.into(), time: self.now() };
        let high = state.list.uidvalidity_high();
        let applied = change.list(account, state, vec![record])?;
        match applied.outcomes.first() {
            Some(Outcome::Renamed(_)) => {
                // Most often the new names are new, and no UIDVALIDITY has risen.
                if state.list.uidvalidity_high() > high {
                    // Both are by GUID: there may be ten thousand.
                    let mut known = state.list.uidvalidities().peekable();
                    for mbox in state.mailboxes.values_mut() {
                        while known.next_if(|(guid, _)| *guid < mbox.guid).is_some() {}
                        if let Some((_, least)) = known.next_if(|(guid, _)| *guid == mbox.guid) {
                            mbox.mailbox.raise_uidvalidity(least);
                        }
                    }
                }
                Ok(self.submit_list(change, state))
            }
            Some(Outcome::Done) => Ok(self.submit_list(change, state)),
            Some(_) | None => {
                // Checked above; memory already counts the transaction, so it can't be left out of the log.
                account.kill();
                Err(StoreError::Lost)
            }
        }
    }

    /// Subscribes a name, or takes that back.
    pub(crate) fn subscribe(
        &self,
        account: &Arc<Account>,
        name: &str,
        on: bool,
    ) -> Result<u64, StoreError> {
        self.writable_by(account)?;
        let mut state = account.lock()?;
        if state.list.is_subscribed(name) == on {
            return Ok(state.list_position);
        }
        let record = if on {
            list::Record::Subscribe(name.into())
        } else {
            list::Record::Unsubscribe(name.into())
        };
        let mut change = Change::default();
        change.list(account, &mut state, vec![record])?;
        Ok(self.submit_list(change, &mut state))
    }

    /// Changes flags; only what really changes is written. What is answered is of one moment: the mod-sequence test,
    /// the change and the rows see the same state.
    pub(crate) fn store_flags(
        &self,
        account: &Arc<Account>,
        (guid, session): (Guid, u64),
        storing: Storing<'_>,
    ) -> Result<Stored, StoreError> {
        self.writable_by(account)?;
        let mut state = account.lock()?;
        let state = &mut *state;
        let mbox = account.mailbox_with(&self.files, state, guid, Parts::FLAGGED)?;
        let (changed, modified) = mbox.select_changed(storing);
        let mut keywords = false;
        if !changed.is_empty() {
            keywords = self.change_flags(account, state, (guid, session), &changed, storing)?;
        }
        let mbox = account.mailbox_with(&self.files, state, guid, Parts::FLAGGED)?;
        let rows = match storing.rows {
            StoredRows::None => Vec::new(),
            StoredRows::Changed => flag_rows(mbox, &changed),
            StoredRows::All => flag_rows(mbox, storing.uids),
        };
        Ok(Stored {
            // Of the mailbox, not of this change: what made it needless, or made it fail, may not be durable yet.
            position: Position(mbox.position),
            gone: storing.uids.subtract(&mbox.uids),
            changed,
            modified,
            rows,
            keywords: keywords.then(|| mbox.keywords.to_vec()),
        })
    }

    /// The change itself, to messages that it really changes; whether there are new keywords.
    fn change_flags(
        &self,
        account: &Arc<Account>,
        state: &mut State,
        (guid, session): (Guid, u64),
        changed: &UidSet,
        Storing { action, named, .. }: Storing<'_>,
    ) -> Result<bool, StoreError> {
        let mbox = account.mailbox_with(&self.files, state, guid, Parts::FLAGGED)?;
        let set = to_index(changed);
        let mut builder = TransactionBuilder::new(&mbox.mailbox, &mbox.names);
        builder.epoch(self.epoch());
        match action {
            StoreAction::Add => {
                builder.flags_add(&set, named.system, named.keywords).map_err(keyword_error)?
            }
            StoreAction::Remove => builder.flags_remove(&set, named.system, named.keywords),
            StoreAction::Replace => {
                builder.flags_replace(&set, named.system, named.keywords).map_err(keyword_error)?
            }
        }
        let transaction = builder.finish();
        let mut change = Change { flags_only: true, ..Change::default() };
        let applied = change.mailbox(account, mbox, &transaction, session)?;
        let position = self.submit(change);
        self.touch(state, &[guid], position);
        Ok(applied.keywords)
    }

    /// Removes messages that are `\Deleted`, of `uids` or of all; what went.
    pub(crate) fn expunge(
        &self,
        account: &Arc<Account>,
        (guid, session): (Guid, u64),
        uids: Option<&UidSet>,
    ) -> Result<u64, StoreError> {
        self.writable_by(account)?;
        let mut state = account.lock()?;
        let state = &mut *state;
        let mbox = account.mailbox_with(&self.files, state, guid, Parts::NONE)?;
        if mbox.mailbox.counters().deleted == 0 {
            return Ok(mbox.position);
        }
        account.need(&self.files, mbox, Parts::FLAGS)?;
        let all = mbox.uids.clone();
        let rows = mbox.indexes(uids.unwrap_or(&all));
        let deleted = rows.into_iter().filter(|&index| {
            mbox.mailbox.flags_of(index).is_some_and(|flags| flags.contains(Flags::DELETED))
        });
        let gone: index_format::UidSet =
            deleted.filter_map(|index| mbox.mailbox.uid(index)).collect();
        if gone.is_empty() {
            return Ok(mbox.position);
        }
        let mut change = Change::default();
        self.remove(&mut change, account, state, (guid, session), &gone, false)?;
        let position = self.submit(change);
        self.touch(state, &[guid], position);
        Ok(position)
    }

    /// The steps that remove messages from a mailbox; they are gone, unless they are `moving`.
    fn remove(
        &self,
        change: &mut Change,
        account: &Arc<Account>,
        state: &mut State,
        (guid, session): (Guid, u64),
        gone: &index_format::UidSet,
        moving: bool,
    ) -> Result<(), StoreError> {
        let mbox = account.mailbox_with(&self.files, state, guid, Parts::NONE)?;
        let mut builder = TransactionBuilder::new(&mbox.mailbox, &mbox.names);
        builder.epoch(self.epoch());
        builder.expunge(gone);
        let transaction = builder.finish();
        // Those who follow it still see the rows.
        let shown = if mbox.feed.is_followed() { Parts::ROW } else { Parts::NONE };
        let needs = mbox.mailbox.needs(&transaction) | shown;
        account.need(&self.files, mbox, needs)?;
        let applied = change.mailbox(account, mbox, &transaction, session)?;
        let mut draft = Draft::new(&state.map);
        let ids = applied.expunged.iter().map(|row| MapId(row.map_id.0));
        if moving {
            draft.refs_remove(ids);
        } else {
            draft.expunge(ids, Gone::new(self.now(), gone_from(guid)));
        }
        change.map(account, state, &draft.finish(), self.now())
    }

    /// Copies or moves messages to another mailbox of the account. Those that are gone are left out, or, if they are to be
    /// exactly these, keep all from being copied.
    pub(crate) fn copy(
        &self,
        account: &Arc<Account>,
        (guid, session): (Guid, u64),
        (uids, exact): (&UidSet, bool),
        target: &str,
        moving: bool,
    ) -> Result<Copied, StoreError> {
        self.writable_by(account)?;
        let mut locked = account.lock()?;
        let state = &mut *locked;
        let target = state.list.by_name(target).ok_or(StoreError::NoMailbox)?.guid;
        let source = account.mailbox_with(&self.files, state, guid, Parts::NONE)?;
        if exact && !uids.subtract(&source.uids).is_empty() {
            return Err(StoreError::Gone);
        }
        let mut change = Change::default();
        let (from, to) =
            self.transfer(&mut change, account, state, (guid, target), uids, moving, session)?;
        let destination = account.mailbox_with(&self.files, state, target, Parts::NONE)?;
        let uidvalidity = destination.mailbox.uidvalidity();
        let threads = self.forests.are_kept(destination.mailbox.len());
        if change.is_empty() {
            // That all of them are gone may not be durable yet.
            let source = account.mailbox_with(&self.files, state, guid, Parts::NONE)?;
            let position = source.position;
            return Ok(Copied { position, uidvalidity, from, to });
        }
        let position = self.submit(change);
        self.touch(state, &[guid, target], position);
        drop(locked);
        if threads {
            self.forests.note_copies(account.home(), (guid, target), (&from, &to), position);
        }
        Ok(Copied { position, uidvalidity, from, to })
    }

    /// The steps of a copy or a move; the UIDs on both sides, in the same order.
    #[allow(
        clippy::too_many_arguments,
        reason = "the locks' contents and the command's own arguments"
    )]
    fn transfer(
        &self,
        change: &mut Change,
        account: &Arc<Account>,
        state: &mut State,
        (source, target): (Guid, Guid),
        uids: &UidSet,
        moving: bool,
        session: u64,
    ) -> Result<(UidSet, UidSet), StoreError> {
        let mbox = account.mailbox(&self.files, state, source)?;
        let rows: Vec<_> =
            mbox.indexes(uids).into_iter().filter_map(|index| mbox.mailbox.row(index)).collect();
        let names: Vec<String> = mbox.mailbox.keywords().iter().map(str::to_owned).collect();
        let mut draft = Draft::new(&state.map);
        draft.refs_add(rows.iter().map(|row| MapId(row.map_id.0)));
        let save_date = self.now();
        let destination = account.mailbox_with(&self.files, state, target, Parts::NONE)?;
        if u64::from(destination.mailbox.uidnext().0) + rows.len() as u64 >= u64::from(u32::MAX) {
            return Err(StoreError::Limit { what: "UIDs", max: u64::from(u32::MAX) });
        }
        check_keywords(
            destination,
            &rows.iter().fold(0, |mask, row| mask | row.keywords.0),
            &names,
        )?;
        let (mut from, mut to) = (UidSet::new(), UidSet::new());
        for rows in rows.chunks(APPENDS) {
            let mut builder = TransactionBuilder::new(&destination.mailbox, &destination.names);
            builder.epoch(self.epoch());
            for row in rows {
                let keywords: Vec<&str> = row
                    .keywords
                    .iter()
                    .filter_map(|number| names.get(usize::from(number)))
                    .map(String::as_str)
                    .collect();
                let message = NewMessage {
                    map_id: row.map_id,
                    internal_date: row.internal_date,
                    save_date,
                    size: row.size,
                    flags: row.flags,
                    keywords: &keywords,
                };
                let uid = builder.append(&message).map_err(keyword_error)?;
                from.push(imap_proto::Uid(row.uid.0));
                to.push(imap_proto::Uid(uid.0));
            }
            let transaction = builder.finish();
            change.mailbox(account, destination, &transaction, session)?;
        }
        if planted(Planted::ReferenceApart) {
            let mut apart = Change::default();
            apart.map(account, state, &draft.finish(), self.now())?;
            self.submit(apart);
        } else {
            change.map(account, state, &draft.finish(), self.now())?;
        }
        if moving && !from.is_empty() {
            self.remove(change, account, state, (source, session), &to_index(&from), true)?;
        }
        Ok((from, to))
    }

    /// Queues a change of the list.
    pub(crate) fn submit_list(&self, change: Change, state: &mut State) -> u64 {
        let position = self.submit(change);
        state.list_position = position;
        state.position = position;
        position
    }

    /// Notes that mailboxes were changed at `position`.
    pub(crate) fn touch(&self, state: &mut State, guids: &[Guid], position: u64) {
        state.position = position;
        for guid in guids {
            state.dirty.insert(*guid);
            if let Some(mbox) = state.mailboxes.get_mut(guid) {
                mbox.position = position;
            }
        }
    }
}

impl Mbox {
    /// The rows of those messages of `uids` that are here.
    pub(crate) fn indexes(&self, uids: &UidSet) -> Vec<usize> {
        let range = |(first, last): (imap_proto::Uid, imap_proto::Uid)| {
            self.mailbox.find_range(index_format::Uid(first.0)..=index_format::Uid(last.0))
        };
        uids.ranges().flat_map(range).collect()
    }

    /// Of `uids`, those that the command would really change, and those it must leave alone since they changed after
    /// `unchanged_since` (RFC 7162 §3.1.3).
    fn select_changed(
        &self,
        Storing { uids, action, named, unchanged_since, .. }: Storing<'_>,
    ) -> (UidSet, UidSet) {
        let numbers = named.keywords.iter().map(|name| self.mailbox.keywords().number(name));
        let known: u64 = numbers.clone().flatten().fold(0, |mask, number| mask | 1 << number);
        let all_known = numbers.clone().all(|number| number.is_some());
        let (mut changed, mut modified) = (UidSet::new(), UidSet::new());
        for index in self.indexes(uids) {
            let Some(row) = self.mailbox.flagged(index) else { continue };
            let uid = imap_proto::Uid(row.uid.0);
            if unchanged_since.is_some_and(|since| row.modseq.0 > since.0) {
                modified.push(uid);
                continue;
            }
            let same = match action {
                StoreAction::Add => {
                    row.flags.contains(named.system) && all_known && row.keywords.0 & known == known
                }
                StoreAction::Remove => {
                    row.flags.0 & named.system.0 == 0 && row.keywords.0 & known == 0
                }
                StoreAction::Replace => {
                    row.flags == named.system && all_known && row.keywords.0 == known
                }
            };
            if !same {
                changed.push(uid);
            }
        }
        (changed, modified)
    }
}

/// A mailbox's GUID as the map takes it.
pub(crate) fn gone_from(guid: Guid) -> dbox_format::Guid {
    dbox_format::Guid(guid.0)
}

/// Whether `mbox` has room for the keywords in `mask`, whose names are `names`.
fn check_keywords(mbox: &Mbox, mask: &u64, names: &[String]) -> Result<(), StoreError> {
    let table = mbox.mailbox.keywords();
    let used = names.iter().enumerate().filter(|(number, _)| mask & (1 << number) != 0);
    let fresh = used.filter(|(_, name)| table.number(name).is_none()).count();
    if table.len() + fresh > KEYWORDS_MAX {
        return Err(keyword_error(KeywordError::Full));
    }
    Ok(())
}

/// Those of a message's keywords that a mailbox has, by `names`, or has room for: these are in `names` then. A message that is
/// put there anew comes without the others.
pub(crate) fn keywords_with_room<'k>(
    names: &mut BTreeSet<String>,
    keywords: &'k [String],
) -> Vec<&'k str> {
    let has_room = |name: &&String| {
        names.contains(*name) || (names.len() < KEYWORDS_MAX && names.insert((*name).clone()))
    };
    keywords.iter().filter(has_room).map(String::as_str).collect()
}

pub(crate) fn keyword_error(error: KeywordError) -> StoreError {
    match error {
        KeywordError::Full => {
            StoreError::Limit { what: "keywords in a mailbox", max: KEYWORDS_MAX as u64 }
        }
        KeywordError::Length { .. } | _ => StoreError::Cannot("that keyword is too long"),
    }
}
