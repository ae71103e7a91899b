//! SEARCH: columns first, messages only where columns leave it open.

use super::fetch::{email_id, meta};
use super::source::Source;
use super::{Handled, INLINE, ImapUser, refusal};
use crate::store::account::Account;
use crate::store::error::StoreError;
use crate::store::message::Message;
use crate::store::store::Store;
use dbox_format::map::MapId;
use imap_proto::search::{Columns, Program};
use imap_proto::{Answer, FoundModSeqs, ModSeq, Uid, UidSet};
use index_format::Guid;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Messages looked at between two releases of the account's lock.
const SLICE: usize = 4096;

impl ImapUser {
    pub(super) fn search(&mut self, program: Arc<Program>) -> Handled {
        let view = match self.view() {
            Ok(view) => view,
            Err(error) => return Handled::Now(refusal(&error, false)),
        };
        let (store, account, depends) =
            (self.store.clone(), self.account.clone(), self.depends.clone());
        let (guid, recent) = (view.guid, view.recent.clone());
        let quick = program.reads().is_none() && !self.is_big();
        let work = move || {
            search(&store, &account, guid, (&recent, &program), &depends)
                .unwrap_or_else(|error| refusal(&error, false))
        };
        if quick { Handled::Now(work()) } else { Handled::Work(Box::new(work)) }
    }
}

impl ImapUser {
    /// The messages of `uids` above a mod-sequence: one pass over one column, and none for a client that is up to date.
    pub(super) fn changed_since(
        &self,
        uids: &UidSet,
        modseq: ModSeq,
    ) -> Result<Answer, StoreError> {
        let guid = self.view()?.guid;
        let mut state = self.account.lock()?;
        let mbox = self.account.mailbox(&self.store.files, &mut state, guid)?;
        let mut hits = Hits::default();
        if mbox.mailbox.highest_modseq().0 > modseq.0 {
            let (all, modseqs) = (mbox.mailbox.uids(), mbox.mailbox.modseqs());
            for (first, last) in uids.ranges() {
                let (first, last) = (index_format::Uid(first.0), index_format::Uid(last.0));
                let rows = mbox.mailbox.find_range(first..=last);
                let uids = all.get(rows.clone()).unwrap_or_default();
                let rows = uids.iter().zip(modseqs.get(rows).unwrap_or_default());
                for (uid, found) in rows.filter(|(_, found)| found.0 > modseq.0) {
                    hits.add(Uid(uid.0), ModSeq(found.0));
                }
            }
        }
        self.hold(mbox.position);
        Ok(Answer::Found { uids: hits.uids, modseqs: hits.modseqs })
    }
}

fn search(
    store: &Arc<Store>,
    account: &Account,
    guid: Guid,
    (recent, program): (&UidSet, &Program),
    depends: &AtomicU64,
) -> Result<Answer, StoreError> {
    let mut hits = Hits::default();
    let mut after = 0;
    loop {
        let (last, open) = slice(store, account, (guid, after), (recent, program), &mut hits)?;
        for (row, message, keywords) in &open {
            let bits = [row.keywords.0];
            let guid = message.as_ref().map_or(0, |message| u128::from_be_bytes(message.guid));
            let meta = meta(row, keywords, &bits, recent.contains(Uid(row.uid.0)), guid);
            let mut source = Source::new(store, true);
            source.set(message.as_ref());
            // A message that can't be read matches nothing; the log has the reason.
            if program.message(&meta, &mut source).unwrap_or(false) {
                hits.add(meta.uid, meta.modseq);
            }
        }
        match last {
            Some(last) => after = last,
            None => {
                depends.fetch_max(hits.position, Ordering::Relaxed);
                return Ok(Answer::Found { uids: hits.uids, modseqs: hits.modseqs });
            }
        }
    }
}

/// What was found so far.
#[derive(Default)]
struct Hits {
    uids: UidSet,
    modseqs: FoundModSeqs,
    /// The last change that any of it may reflect.
    position: u64,
}

impl Hits {
    fn add(&mut self, uid: Uid, modseq: ModSeq) {
        // Rows that columns don't decide come after others that stand behind them.
        if self.uids.first().is_none_or(|first| uid < first) {
            self.modseqs.first = modseq;
        }
        if self.uids.last().is_none_or(|last| uid > last) {
            self.modseqs.last = modseq;
        }
        self.modseqs.highest = self.modseqs.highest.max(modseq);
        self.uids.push(uid);
    }
}

/// A row that columns don't decide.
type Open = (index_format::mailbox::Row, Option<Message>, Arc<[imap_proto::Keyword]>);

/// Looks at the next rows behind UID `after`; gives the last UID looked at, or `None` at the end, and the open rows.
fn slice(
    store: &Store,
    account: &Account,
    (guid, after): (Guid, u32),
    (recent, program): (&UidSet, &Program),
    hits: &mut Hits,
) -> Result<(Option<u32>, Vec<Open>), StoreError> {
    let mut state = account.lock()?;
    let state = &mut *state;
    account.mailbox(&store.files, state, guid)?;
    let Some(mbox) = state.mailboxes.get(&guid) else { return Err(StoreError::NoMailbox) };
    hits.position = hits.position.max(mbox.position);
    let rows = mbox
        .mailbox
        .find_range(index_format::Uid(after.saturating_add(1))..=index_format::Uid(u32::MAX));
    let more = rows.len() > SLICE;
    let needs_guid = program.reads_email_id();
    let mut open = Vec::new();
    let mut last = None;
    for index in rows.take(SLICE) {
        let Some(row) = mbox.mailbox.row(index) else { continue };
        let bits = [row.keywords.0];
        let guid = if needs_guid { email_id(state, &row).unwrap_or_default() } else { 0 };
        let meta = meta(&row, &mbox.keywords, &bits, recent.contains(Uid(row.uid.0)), guid);
        last = Some(row.uid.0);
        match program.columns(&meta) {
            Columns::Yes => hits.add(meta.uid, meta.modseq),
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
