//! SORT and THREAD: what a search finds is looked at again, for what it is put in order by.
//!
//! All of it goes by slices, as a search does: the account's lock is held for a bounded number of rows at a time and
//! never while a message is read.

use super::fetch::meta;
use super::search::Search;
use super::source::Source;
use super::thread::Threading;
use super::wants::{of_arranging, parts_of_arranging};
use super::{Handled, ImapUser, hold_refusal, refusal, row_of};
use crate::slices::{Progress, Slices, Turn};
use crate::store::arranged::{Arranged, Arrangements, How, Key};
use crate::store::cache::Wants;
use crate::store::error::StoreError;
use crate::store::message::{Message, ReadError};
use dbox_format::map::MapId;
use imap_proto::fetch::{MessageSource, Meta, SourceError};
use imap_proto::mime::Parser;
use imap_proto::search::Program;
use imap_proto::sort::{Order, Sorter};
use imap_proto::thread::Algorithm;
use imap_proto::{Answer, FoundModSeqs, ModSeq, Uid, UidSet};
use index_format::mailbox::{Parts, Row};
use std::sync::Arc;

/// Messages that are looked up at once, the account's lock held.
const OPEN: usize = 1024;
/// Rows that are looked at in the same way: under a millisecond.
const ROWS: usize = 16384;

impl ImapUser {
    pub(super) fn sort(&mut self, program: Arc<Program>, order: Arc<Order>) -> Handled {
        match self.searching(program) {
            Ok(search) => {
                let how = How::By(order.clone());
                let begin = move |_: &Search, uids: &UidSet| Sorter::new(order, uids);
                Handled::Slices(Box::new(Arrange::new(search, how, begin)))
            }
            Err(error) => Handled::Now(refusal(&error, false)),
        }
    }

    pub(super) fn thread(&mut self, program: Arc<Program>, algorithm: Algorithm) -> Handled {
        match self.searching(program) {
            Ok(search) => Handled::Slices(Box::new(Arrange::threads(search, algorithm))),
            Err(error) => Handled::Now(refusal(&error, false)),
        }
    }
}

impl<A> Arrange<A> {
    /// What the search finds is to be arranged.
    fn new(
        search: Search,
        how: How,
        begin: impl FnOnce(&Search, &UidSet) -> A + Send + 'static,
    ) -> Self {
        Self {
            wants: of_arranging(&how),
            parts: parts_of_arranging(&how),
            key: Arrangements::key(search.account.home(), search.guid, how),
            all_read: true,
            search,
            stage: Stage::Search(Box::new(begin)),
            open: Vec::new(),
            given: 0,
            parsing: None,
        }
    }
}

impl Arrange<Threading> {
    /// The threads of what the search finds.
    pub(super) fn threads(search: Search, algorithm: Algorithm) -> Self {
        let begin = move |search: &Search, uids: &UidSet| Threading::new(search, algorithm, uids);
        Self::new(search, How::Threads(algorithm), begin)
    }
}

/// Who puts messages in order, and takes them one after the other for it.
pub(super) trait Arranger {
    /// The messages wanted next; none when it is to go on by itself.
    fn wanted(&self) -> impl Iterator<Item = Uid> + '_;

    /// Whether more than their rows is wanted.
    fn reads(&self) -> bool;

    /// Takes the first of them; after an error it still wants it.
    fn give(&mut self, meta: &Meta<'_>, source: &mut Source<'_>) -> Result<(), SourceError>;

    /// Takes as many as there are rows, when no more than these is wanted: when each message came, and its size.
    fn give_rows(&mut self, rows: &mut dyn Iterator<Item = (i64, u64)>);

    /// Takes it although it can't be read, or isn't even a row any more.
    fn give_bare(&mut self, meta: Option<&Meta<'_>>);

    /// Works on what it has, as long as the turn lasts and no disk has to be waited for.
    fn go_on(&mut self, turn: &Turn<'_>) -> Result<Given, StoreError>;

    fn is_done(&self) -> bool;

    /// What it has come to.
    fn finish(self) -> Arranged;
}

/// A SORT or THREAD on its way.
pub(super) struct Arrange<A> {
    key: Key,
    wants: Wants,
    /// What it takes of rows.
    parts: Parts,
    search: Search,
    stage: Stage<A>,
    /// Messages that were looked up, `None` for one that is not even a row any more; and how many of them were given.
    open: Vec<Option<Open>>,
    given: usize,
    /// How far the next one was parsed.
    parsing: Option<(Parser, u64)>,
    /// No message was put in order without being read.
    all_read: bool,
}

enum Stage<A> {
    Search(Begin<A>),
    Arrange(A, UidSet, FoundModSeqs),
    Done,
}

type Begin<A> = Box<dyn FnOnce(&Search, &UidSet) -> A + Send>;

struct Open {
    uid: index_format::Uid,
    came: i64,
    size: u64,
    message: Option<Message>,
}

/// How far the open messages were given, or what was done with them.
pub(super) enum Given {
    All,
    Some,
    WouldBlock,
}

impl<A: Arranger + Send> Slices for Arrange<A> {
    type Result = Answer;

    fn go_on(&mut self, turn: &Turn<'_>) -> Progress<Answer> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Done) {
                Stage::Search(begin) => match self.search.go_on(turn) {
                    Progress::Done(Answer::Found { uids, modseqs }) => {
                        if let Some(known) = self.search.store.arranged.find(&self.key, &uids) {
                            return Progress::Done(answer(&self.search, known, modseqs));
                        }
                        self.stage = Stage::Arrange(begin(&self.search, &uids), uids, modseqs);
                    }
                    Progress::Done(refused) => return Progress::Done(refused),
                    unfinished @ (Progress::More | Progress::Waits) => {
                        self.stage = Stage::Search(begin);
                        return unfinished;
                    }
                },
                Stage::Arrange(mut arranger, uids, modseqs) => {
                    let unfinished = match self.give(&mut arranger, turn) {
                        Ok(Given::All) if arranger.is_done() => {
                            let arranged = arranger.finish();
                            if self.all_read {
                                let kept = &self.search.store.arranged;
                                kept.keep(self.key.clone(), uids, arranged.clone());
                            }
                            return Progress::Done(answer(&self.search, arranged, modseqs));
                        }
                        Ok(Given::All) => match arranger.go_on(turn) {
                            Ok(Given::All) => None,
                            Ok(Given::Some) => Some(Progress::More),
                            Ok(Given::WouldBlock) => Some(Progress::Waits),
                            Err(error) => return Progress::Done(self.refuse(&error)),
                        },
                        Ok(Given::Some) => Some(Progress::More),
                        Ok(Given::WouldBlock) => Some(Progress::Waits),
                        Err(error) => return Progress::Done(self.refuse(&error)),
                    };
                    self.stage = Stage::Arrange(arranger, uids, modseqs);
                    if let Some(unfinished) = unfinished {
                        return unfinished;
                    }
                }
                Stage::Done => {
                    return Progress::Done(self.refuse(&StoreError::Cannot("it is answered")));
                }
            }
        }
    }
}

impl<A: Arranger> Arrange<A> {
    fn refuse(&self, error: &StoreError) -> Answer {
        hold_refusal(refusal(error, false), &self.search.account, &self.search.depends)
    }

    /// Gives messages as long as some are wanted and the turn lasts.
    fn give(&mut self, arranger: &mut A, turn: &Turn<'_>) -> Result<Given, StoreError> {
        while !arranger.reads() {
            if !self.give_rows(arranger)? {
                return Ok(Given::All);
            }
            if turn.is_over() {
                return Ok(Given::Some);
            }
        }
        loop {
            if self.given == self.open.len() {
                self.look_up(arranger)?;
                if self.open.is_empty() {
                    return Ok(Given::All);
                }
            }
            match self.give_open(arranger, turn) {
                Given::All => {}
                stopped @ (Given::Some | Given::WouldBlock) => return Ok(stopped),
            }
        }
    }

    /// Gives what columns say of the messages wanted next; `false` when none are.
    fn give_rows(&mut self, arranger: &mut A) -> Result<bool, StoreError> {
        let wanted: Vec<Uid> = arranger.wanted().take(ROWS).collect();
        let Some(first) = wanted.first() else { return Ok(false) };
        let Search { store, account, guid, .. } = &self.search;
        let mut state = account.lock()?;
        let mbox = account.mailbox_with(&store.files, &mut state, *guid, self.parts)?;
        let behind = |uid: Uid| {
            let uids = index_format::Uid(uid.0)..=index_format::Uid(u32::MAX);
            mbox.mailbox.arrivals_at(mbox.mailbox.find_range(uids), self.parts)
        };
        let (mut rows, mut all_read) = (behind(*first), true);
        let mut given = wanted.iter().map(|&uid| {
            // Most often they follow each other.
            let mut row = rows.next().filter(|row| row.0.0 == uid.0);
            if row.is_none() {
                rows = behind(uid);
                row = rows.next().filter(|row| row.0.0 == uid.0);
            }
            if let Some((_, came, size)) = row {
                return (came, size);
            }
            let row = row_of(mbox, uid, self.parts);
            all_read &= row.is_some();
            row.map_or((0, 0), |row| (row.internal_date, row.size))
        });
        arranger.give_rows(&mut given);
        drop(given);
        self.all_read &= all_read;
        Ok(true)
    }

    /// Looks up what is wanted next, under the account's lock.
    fn look_up(&mut self, arranger: &A) -> Result<(), StoreError> {
        self.open.clear();
        self.given = 0;
        let mut wanted = arranger.wanted().take(OPEN).peekable();
        if wanted.peek().is_none() {
            return Ok(());
        }
        let Search { store, account, guid, .. } = &self.search;
        let mut state = account.lock()?;
        let state = &mut *state;
        account.mailbox_with(&store.files, state, *guid, self.parts)?;
        let Some(mbox) = state.mailboxes.get(guid) else { return Err(StoreError::NoMailbox) };
        let reads = arranger.reads();
        let pending = account.pending();
        let open = |uid| {
            let row = row_of(mbox, uid, self.parts)?;
            let id = MapId(row.map_id.0);
            let message = reads.then(|| Message::find(account, state, &pending, id)).flatten();
            Some(Open { uid: row.uid, came: row.internal_date, size: row.size, message })
        };
        self.open.extend(wanted.map(open));
        Ok(())
    }

    fn give_open(&mut self, arranger: &mut A, turn: &Turn<'_>) -> Given {
        let open = std::mem::take(&mut self.open);
        let mut source =
            Source::of_mailbox(&self.search.store, turn.may_wait, self.search.guid, &self.wants);
        source.turn = Some(turn);
        let mut given = Given::All;
        for open in open.get(self.given..).unwrap_or_default() {
            if let Some(Open { uid, came, size, message }) = open {
                let row = Row { uid: *uid, internal_date: *came, size: *size, ..Row::default() };
                let meta = meta(&row, &[], &[], false, 0);
                source.set(message.as_ref());
                source.parsing = self.parsing.take();
                match arranger.give(&meta, &mut source) {
                    Ok(()) => {}
                    Err(SourceError::Paused) => {
                        self.parsing = source.parsing.take();
                        given = Given::Some;
                        break;
                    }
                    Err(_) if matches!(source.error, Some(ReadError::WouldBlock)) => {
                        given = Given::WouldBlock;
                        break;
                    }
                    // One that can't be read is as one without a header; the log has the reason.
                    Err(_) => {
                        self.all_read = false;
                        arranger.give_bare(Some(&meta));
                    }
                }
            } else {
                self.all_read = false;
                arranger.give_bare(None);
            }
            self.given += 1;
            if source.is_due() {
                given = Given::Some;
                break;
            }
        }
        drop(source);
        self.open = open;
        given
    }
}

impl Arranger for Sorter {
    fn wanted(&self) -> impl Iterator<Item = Uid> + '_ {
        self.wanted()
    }

    fn reads(&self) -> bool {
        self.reads()
    }

    fn give(&mut self, meta: &Meta<'_>, source: &mut Source<'_>) -> Result<(), SourceError> {
        self.give(meta, source)
    }

    fn give_rows(&mut self, rows: &mut dyn Iterator<Item = (i64, u64)>) {
        self.give_rows(rows);
    }

    fn give_bare(&mut self, meta: Option<&Meta<'_>>) {
        self.give_bare(meta);
    }

    fn go_on(&mut self, turn: &Turn<'_>) -> Result<Given, StoreError> {
        Ok(if self.go_on(|| turn.is_over()) { Given::All } else { Given::Some })
    }

    fn is_done(&self) -> bool {
        self.is_done()
    }

    fn finish(self) -> Arranged {
        Arranged::Sorted(self.into_uids().into())
    }
}

/// What messages with these mod-sequences come to.
fn answer(search: &Search, arranged: Arranged, mut modseqs: FoundModSeqs) -> Answer {
    let uids = match arranged {
        Arranged::Sorted(uids) => uids,
        Arranged::Threads(threads) => return Answer::Threaded(threads),
    };
    let Search { store, account, guid, .. } = search;
    if let Ok(mut state) = account.lock()
        && let Ok(mbox) = account.mailbox_with(&store.files, &mut state, *guid, Parts::MODSEQS)
    {
        // One that has changed since it was found is told as it was.
        let modseq = |uid: Option<&Uid>| {
            let row = uid.and_then(|uid| row_of(mbox, *uid, Parts::MODSEQS));
            row.map_or(modseqs.highest, |row| ModSeq(row.modseq.0).min(modseqs.highest))
        };
        (modseqs.first, modseqs.last) = (modseq(uids.first()), modseq(uids.last()));
    }
    Answer::Sorted { uids: uids.to_vec(), modseqs }
}
