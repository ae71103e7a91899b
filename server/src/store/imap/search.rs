//! SEARCH: columns first, messages only where columns leave it open.

use super::fetch::meta;
use super::source::Source;
use super::{Handled, INLINE, ImapUser, refusal};
use crate::store::account::Account;
use crate::store::error::StoreError;
use crate::store::message::Message;
use crate::store::store::Store;
use dbox_format::map::MapId;
use imap_proto::search::{Columns, Program};
use imap_proto::{Answer, ModSeq, Uid, UidSet};
use index_format::Guid;
use std::sync::Arc;

/// Messages looked at between two releases of the account's lock.
const SLICE: usize = 4096;

impl ImapUser {
    pub(super) fn search(&mut self, program: Arc<Program>) -> Handled {
        let view = match self.view() {
            Ok(view) => view,
            Err(error) => return Handled::Now(refusal(&error, false)),
        };
        let (store, account) = (self.store.clone(), self.account.clone());
        let (guid, recent) = (view.guid, view.recent.clone());
        let quick = program.reads().is_none() && !self.is_big();
        let work = move || {
            search(&store, &account, guid, &recent, &program)
                .unwrap_or_else(|error| refusal(&error, false))
        };
        if quick { Handled::Now(work()) } else { Handled::Work(Box::new(work)) }
    }
}

fn search(
    store: &Arc<Store>,
    account: &Account,
    guid: Guid,
    recent: &UidSet,
    program: &Program,
) -> Result<Answer, StoreError> {
    let mut uids = UidSet::new();
    let mut highest = ModSeq(0);
    let mut after = 0;
    loop {
        let (last, open) =
            slice(store, account, (guid, after), recent, program, &mut uids, &mut highest)?;
        for (row, message, keywords) in &open {
            let bits = [row.keywords.0];
            let meta = meta(row, keywords, &bits, recent.contains(Uid(row.uid.0)), 0);
            let mut source = Source::new(store, true);
            source.set(message.as_ref());
            // A message that can't be read matches nothing; the log has the reason.
            if program.message(&meta, &mut source).unwrap_or(false) {
                uids = uids.union(&UidSet::range(meta.uid, meta.uid));
                highest = highest.max(meta.modseq);
            }
        }
        match last {
            Some(last) => after = last,
            None => return Ok(Answer::Found { uids, highest_modseq: highest }),
        }
    }
}

/// A row that columns don't decide.
type Open = (index_format::mailbox::Row, Option<Message>, Arc<[imap_proto::Keyword]>);

/// Looks at the next rows behind UID `after`; gives the last UID looked at, or `None` at the end, and the open rows.
fn slice(
    store: &Store,
    account: &Account,
    (guid, after): (Guid, u32),
    recent: &UidSet,
    program: &Program,
    uids: &mut UidSet,
    highest: &mut ModSeq,
) -> Result<(Option<u32>, Vec<Open>), StoreError> {
    let mut state = account.lock()?;
    let state = &mut *state;
    account.mailbox(&store.files, state, guid)?;
    let Some(mbox) = state.mailboxes.get(&guid) else { return Err(StoreError::NoMailbox) };
    let rows = mbox
        .mailbox
        .find_range(index_format::Uid(after.saturating_add(1))..=index_format::Uid(u32::MAX));
    let more = rows.len() > SLICE;
    let mut open = Vec::new();
    let mut last = None;
    for index in rows.take(SLICE) {
        let Some(row) = mbox.mailbox.row(index) else { continue };
        let bits = [row.keywords.0];
        let meta = meta(&row, &mbox.keywords, &bits, recent.contains(Uid(row.uid.0)), 0);
        last = Some(row.uid.0);
        match program.columns(&meta) {
            Columns::Yes => {
                uids.push(meta.uid);
                *highest = (*highest).max(meta.modseq);
            }
            Columns::No => {}
            Columns::Needs(_) => {
                open.push((
                    row,
                    Message::find(account, state, MapId(row.map_id.0)),
                    mbox.keywords.clone(),
                ));
            }
        }
    }
    Ok((last.filter(|_| more), open))
}

/// Keeps the bound beside its other user.
const _: () = assert!(INLINE as usize == SLICE);
