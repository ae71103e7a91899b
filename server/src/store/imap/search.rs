//! SEARCH: columns first, messages only where columns leave it open.
//!
//! What a mailbox of some thousand messages answers at once is answered at once. All else goes by slices: the account's
//! lock is held for a bounded number of rows at a time and never while a message is read, and between two messages the
//! search may pause or be given up.

use super::fetch::{email_id, meta};
use super::source::Source;
use super::thread::InThreads;
use super::wants::{of_search, parts_of_search};
use super::{Handled, ImapUser, hold_refusal, refusal};
use crate::slices::{Progress, Slices, Turn};
use crate::store::account::Account;
use crate::store::cache::Wants;
use crate::store::error::StoreError;
use crate::store::message::{Message, ReadError};
use crate::store::store::Store;
use dbox_format::map::MapId;
use imap_proto::fetch::SourceError;
use imap_proto::mime::Parser;
use imap_proto::search::{Columns, Look, Program};
use imap_proto::{Answer, FoundModSeqs, Keyword, ModSeq, Uid, UidSet};
use index_format::Guid;
use index_format::mailbox::{Mailbox, Parts, Row};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tests of columns between two looks at the time, the account's lock held: under a millisecond.
const TESTS: usize = 1 << 15;
/// And messages that are found in the map meanwhile, each of which takes as long as some ten tests.
const OPEN: usize = 1024;

impl ImapUser {
    pub(super) fn search(&mut self, program: Arc<Program>) -> Handled {
        let mut search = match self.searching(program) {
            Ok(search) => search,
            Err(error) => return Handled::Now(refusal(&error, false)),
        };
        if search.program.reads().is_none() && search.program.needs_threads().is_none() {
            // Rows alone answer it: often the first are all.
            match search.look_at_rows() {
                Err(error) => return Handled::Now(refusal(&error, false)),
                Ok(()) if search.after.is_none() => return Handled::Now(search.answer()),
                Ok(()) => {}
            }
        }
        Handled::Slices(Box::new(search))
    }

    /// A search that is about to begin.
    pub(super) fn searching(&self, program: Arc<Program>) -> Result<Search, StoreError> {
        let view = self.view()?;
        Ok(Search {
            store: self.store.clone(),
            account: self.account.clone(),
            depends: self.depends.clone(),
            guid: view.guid,
            recent: view.recent.clone(),
            wants: of_search(&program),
            program,
            threads: None,
            after: Some(0),
            open: Vec::new(),
            looked: 0,
            keywords: Arc::default(),
            look: Look::default(),
            parsing: None,
            hits: Hits::default(),
        })
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
        let mbox =
            self.account.mailbox_with(&self.store.files, &mut state, guid, Parts::MODSEQS)?;
        let (mut found, mut hits) = (UidSet::new(), Hits::default());
        if mbox.mailbox.highest_modseq().0 > modseq.0 {
            for (first, last) in uids.ranges() {
                let (first, last) = (index_format::Uid(first.0), index_format::Uid(last.0));
                let rows = mbox.mailbox.modseqs_at(mbox.mailbox.find_range(first..=last));
                for (uid, of) in rows.filter(|(_, of)| of.0 > modseq.0) {
                    found.push(Uid(uid.0));
                    hits.note(Uid(uid.0), ModSeq(of.0));
                }
            }
        }
        self.hold(mbox.position);
        Ok(Answer::Found { uids: found, modseqs: hits.modseqs })
    }
}

/// A SEARCH on its way.
pub(super) struct Search {
    pub(super) store: Arc<Store>,
    pub(super) account: Arc<Account>,
    pub(super) depends: Arc<AtomicU64>,
    pub(super) guid: Guid,
    recent: UidSet,
    wants: Wants,
    program: Arc<Program>,
    /// What the program has to know before.
    threads: Option<InThreads>,
    /// The last UID whose row was looked at; `None` when all were.
    after: Option<u32>,
    /// Messages to be looked at, and how many of them were.
    open: Vec<Open>,
    looked: usize,
    /// What their keywords are called.
    keywords: Arc<[Keyword]>,
    /// How far the next one was looked at.
    look: Look,
    /// And how far it was parsed.
    parsing: Option<(Parser, u64)>,
    hits: Hits,
}

/// A row that columns don't decide.
struct Open {
    row: Row,
    message: Option<Message>,
}

/// What was found so far.
#[derive(Default)]
struct Hits {
    /// By columns, and by their text: each ascending, which is what makes it cheap to add to them.
    by_row: UidSet,
    by_text: UidSet,
    modseqs: FoundModSeqs,
    /// The lowest and the highest UID found.
    ends: Option<(Uid, Uid)>,
    /// The last change that any of it may reflect.
    position: u64,
}

impl Hits {
    /// Takes the rows behind `after` whose UIDs are in a set, up to [`TESTS`] of them; gives the UID to go on behind.
    fn take(&mut self, mailbox: &Mailbox, uids: &UidSet, after: u32) -> Option<u32> {
        let mut left = TESTS;
        for (Uid(first), Uid(last)) in uids.ranges().filter(|(_, last)| last.0 > after) {
            let first = first.max(after.saturating_add(1));
            let rows = mailbox.find_range(index_format::Uid(first)..=index_format::Uid(last));
            let some = rows.start..rows.end.min(rows.start.saturating_add(left));
            let mut taken = None;
            for (uid, modseq) in mailbox.modseqs_at(some.clone()) {
                taken = Some(uid.0);
                self.by_row.push(Uid(uid.0));
                self.note(Uid(uid.0), ModSeq(modseq.0));
            }
            if some.end < rows.end {
                return taken.or(Some(after));
            }
            left = left.saturating_sub(some.len() + 1);
            if left == 0 {
                return Some(last).filter(|last| *last < u32::MAX);
            }
        }
        None
    }

    /// Takes note of the mod-sequence of a message that was found, in whatever order.
    fn note(&mut self, uid: Uid, modseq: ModSeq) {
        let (first, last) = self.ends.unwrap_or((uid, uid));
        if uid <= first {
            self.modseqs.first = modseq;
        }
        if uid >= last {
            self.modseqs.last = modseq;
        }
        self.ends = Some((first.min(uid), last.max(uid)));
        self.modseqs.highest = self.modseqs.highest.max(modseq);
    }
}

impl Slices for Search {
    type Result = Answer;

    fn go_on(&mut self, turn: &Turn<'_>) -> Progress<Answer> {
        while let Some((algorithm, inner)) = self.program.needs_threads() {
            let mut threads = self.threads.take().unwrap_or_else(|| InThreads::new(self, inner));
            match threads.go_on(algorithm, turn) {
                Progress::Done(Ok(uids)) => {
                    self.program = Arc::new(self.program.with_threads(uids));
                }
                Progress::Done(Err(refused)) => return Progress::Done(refused),
                Progress::More => {
                    self.threads = Some(threads);
                    return Progress::More;
                }
                Progress::Waits => {
                    self.threads = Some(threads);
                    return Progress::Waits;
                }
            }
        }
        loop {
            match self.look_at_messages(turn) {
                Looked::All => {}
                Looked::Some => return Progress::More,
                Looked::WouldBlock => return Progress::Waits,
            }
            if self.after.is_none() {
                return Progress::Done(self.answer());
            }
            if turn.is_over() {
                return Progress::More;
            }
            if let Err(error) = self.look_at_rows() {
                let refusal = refusal(&error, false);
                return Progress::Done(hold_refusal(refusal, &self.account, &self.depends));
            }
        }
    }
}

/// How far the open messages were looked at.
enum Looked {
    All,
    Some,
    WouldBlock,
}

impl Search {
    /// Another search in the same mailbox.
    pub(super) fn again(&self, program: Arc<Program>) -> Self {
        Self {
            store: self.store.clone(),
            account: self.account.clone(),
            depends: self.depends.clone(),
            guid: self.guid,
            recent: self.recent.clone(),
            wants: of_search(&program),
            program,
            threads: None,
            after: Some(0),
            open: Vec::new(),
            looked: 0,
            keywords: Arc::default(),
            look: Look::default(),
            parsing: None,
            hits: Hits::default(),
        }
    }

    /// Looks at the next rows under the account's lock.
    fn look_at_rows(&mut self) -> Result<(), StoreError> {
        let Some(after) = self.after else { return Ok(()) };
        let mut state = self.account.lock()?;
        let state = &mut *state;
        let parts = parts_of_search(&self.program);
        self.account.mailbox_with(&self.store.files, state, self.guid, parts)?;
        let Some(mbox) = state.mailboxes.get(&self.guid) else { return Err(StoreError::NoMailbox) };
        self.hits.position = self.hits.position.max(mbox.position);
        let mut rows = mbox
            .mailbox
            .find_range(index_format::Uid(after.saturating_add(1))..=index_format::Uid(u32::MAX));
        let needs_guid = self.program.reads_email_id();
        let most = (TESTS / self.program.len().max(1)).max(64);
        let mut last = after;
        self.open.clear();
        self.looked = 0;
        self.keywords = mbox.keywords.clone();
        if let Some(uids) = self.program.uids() {
            self.after = self.hits.take(&mbox.mailbox, uids, after);
            return Ok(());
        }
        if self.program.is_all() {
            let all = UidSet::range(Uid(1), Uid(u32::MAX));
            self.after = self.hits.take(&mbox.mailbox, &all, after);
            return Ok(());
        }
        let pending = self.account.pending();
        for row in mbox.mailbox.rows_with(rows.clone(), parts).take(most) {
            rows.next();
            last = row.uid.0;
            let bits = [row.keywords.0];
            let uid = Uid(row.uid.0);
            let guid = if needs_guid { email_id(state, &row).unwrap_or_default() } else { 0 };
            let meta = meta(&row, &mbox.keywords, &bits, self.recent.contains(uid), guid);
            match self.program.columns(&meta) {
                Columns::Yes => {
                    self.hits.by_row.push(uid);
                    self.hits.note(uid, meta.modseq);
                }
                Columns::No => {}
                Columns::Needs(_) => {
                    let id = MapId(row.map_id.0);
                    let message = Message::find(&self.account, state, &pending, id);
                    self.open.push(Open { row, message });
                    if self.open.len() >= OPEN {
                        break;
                    }
                }
            }
        }
        self.after = (!rows.is_empty()).then_some(last);
        Ok(())
    }

    /// Looks at the messages that rows left open.
    fn look_at_messages(&mut self, turn: &Turn<'_>) -> Looked {
        let open = std::mem::take(&mut self.open);
        let mut source = Source::of_mailbox(&self.store, turn.may_wait, self.guid, &self.wants);
        source.turn = Some(turn);
        let mut looked = Looked::All;
        for Open { row, message } in open.get(self.looked..).unwrap_or_default() {
            let (bits, uid) = ([row.keywords.0], Uid(row.uid.0));
            let guid = message.as_ref().map_or(0, |message| u128::from_be_bytes(message.guid));
            let meta = meta(row, &self.keywords, &bits, self.recent.contains(uid), guid);
            source.set(message.as_ref());
            source.parsing = self.parsing.take();
            match self.program.go_on(&meta, &mut source, &mut self.look) {
                Ok(true) => {
                    self.hits.by_text.push(uid);
                    self.hits.note(uid, meta.modseq);
                }
                Ok(false) => {}
                Err(SourceError::Paused) => {
                    self.parsing = source.parsing.take();
                    looked = Looked::Some;
                    break;
                }
                Err(_) if matches!(source.error, Some(ReadError::WouldBlock)) => {
                    looked = Looked::WouldBlock;
                    break;
                }
                // A message that can't be read matches nothing; the log has the reason.
                Err(_) => self.look = Look::default(),
            }
            self.looked += 1;
        }
        drop(source);
        self.open = open;
        looked
    }

    fn answer(&mut self) -> Answer {
        self.depends.fetch_max(self.hits.position, Ordering::Relaxed);
        let Hits { by_row, by_text, modseqs, .. } = std::mem::take(&mut self.hits);
        let uids = if by_text.is_empty() { by_row } else { by_row.union(&by_text) };
        Answer::Found { uids, modseqs }
    }
}
