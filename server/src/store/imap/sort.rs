//! SORT: what a search finds, looked at again for what it is sorted by.
//!
//! All of it goes by slices, as a search does: the account's lock is held for a bounded number of rows at a time and
//! never while a message is read.

use super::fetch::meta;
use super::search::Search;
use super::source::Source;
use super::{Handled, ImapUser, hold_refusal, refusal, row_of};
use crate::slices::{Progress, Slices, Turn};
use crate::store::error::StoreError;
use crate::store::message::{Message, ReadError};
use dbox_format::map::MapId;
use imap_proto::fetch::SourceError;
use imap_proto::mime::Parser;
use imap_proto::search::Program;
use imap_proto::sort::{Order, Sorter};
use imap_proto::{Answer, FoundModSeqs, ModSeq, Uid};
use index_format::mailbox::Row;
use std::sync::Arc;

/// Messages that are looked up at once, the account's lock held.
const OPEN: usize = 1024;

impl ImapUser {
    pub(super) fn sort(&mut self, program: Arc<Program>, order: Arc<Order>) -> Handled {
        match self.searching(program) {
            Ok(search) => {
                let sort = Sort { search, order, sorting: None, open: Opened::default() };
                Handled::Slices(Box::new(sort))
            }
            Err(error) => Handled::Now(refusal(&error, false)),
        }
    }
}

/// A SORT on its way.
struct Sort {
    search: Search,
    order: Arc<Order>,
    /// What was found, with its mod-sequences; `None` while it is searched for.
    sorting: Option<(Sorter, FoundModSeqs)>,
    open: Opened,
}

/// Messages that are wanted next, looked up.
#[derive(Default)]
pub(super) struct Opened {
    /// The next one last; `None` for one that is not even a row any more.
    messages: Vec<Option<Open>>,
    /// How far the next one was parsed.
    parsing: Option<(Parser, u64)>,
}

struct Open {
    row: Row,
    message: Option<Message>,
}

/// Who takes messages one after the other.
pub(super) trait Taker {
    /// The messages wanted next.
    fn wanted(&self) -> impl Iterator<Item = Uid> + '_;
    /// Whether more than their rows is wanted.
    fn reads(&self) -> bool;
    /// Takes the first of them; after an error it still wants it.
    fn give(
        &mut self,
        meta: &imap_proto::fetch::Meta<'_>,
        source: &mut Source<'_>,
    ) -> Result<(), SourceError>;
    /// Takes it although it can't be read.
    fn give_bare(&mut self, meta: Option<&imap_proto::fetch::Meta<'_>>);
}

/// Why giving stopped.
pub(super) enum Given {
    /// Nothing more is wanted for now.
    All,
    /// The turn is over.
    Some,
    WouldBlock,
}

impl Opened {
    /// Gives messages as long as some are wanted and the turn lasts.
    pub(super) fn give<T: Taker>(
        &mut self,
        search: &Search,
        taker: &mut T,
        turn: &Turn<'_>,
    ) -> Result<Given, StoreError> {
        loop {
            if self.messages.is_empty() {
                self.look_up(search, taker)?;
                if self.messages.is_empty() {
                    return Ok(Given::All);
                }
            }
            match self.give_opened(search, taker, turn) {
                Given::All => {}
                stopped @ (Given::Some | Given::WouldBlock) => return Ok(stopped),
            }
            if turn.is_over() {
                return Ok(Given::Some);
            }
        }
    }

    fn give_opened<T: Taker>(&mut self, search: &Search, taker: &mut T, turn: &Turn<'_>) -> Given {
        let open = std::mem::take(&mut self.messages);
        let mut left = open.len();
        let mut source = Source::new(&search.store, turn.may_wait);
        source.turn = Some(turn);
        let mut given = Given::All;
        for open in open.iter().rev() {
            let Some(Open { row, message }) = open else {
                taker.give_bare(None);
                left -= 1;
                continue;
            };
            let meta = meta(row, &[], &[], false, 0);
            source.set(message.as_ref());
            source.parsing = self.parsing.take();
            match taker.give(&meta, &mut source) {
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
                // One that can't be read is sorted as one without a header; the log has the reason.
                Err(_) => taker.give_bare(Some(&meta)),
            }
            left -= 1;
            if turn.is_over() {
                given = Given::Some;
                break;
            }
        }
        drop(source);
        self.messages = open;
        self.messages.truncate(left);
        given
    }

    /// Looks up what is wanted next, under the account's lock.
    fn look_up<T: Taker>(&mut self, search: &Search, taker: &T) -> Result<(), StoreError> {
        let mut wanted = taker.wanted().take(OPEN).peekable();
        if wanted.peek().is_none() {
            return Ok(());
        }
        let mut state = search.account.lock()?;
        let state = &mut *state;
        search.account.mailbox(&search.store.files, state, search.guid)?;
        let Some(mbox) = state.mailboxes.get(&search.guid) else {
            return Err(StoreError::NoMailbox);
        };
        let reads = taker.reads();
        let open = |uid| {
            let row = row_of(mbox, uid)?;
            let id = MapId(row.map_id.0);
            let message = reads.then(|| Message::find(&search.account, state, id)).flatten();
            Some(Open { row, message })
        };
        self.messages = wanted.map(open).collect();
        self.messages.reverse();
        Ok(())
    }
}

impl Taker for Sorter {
    fn wanted(&self) -> impl Iterator<Item = Uid> + '_ {
        self.wanted()
    }

    fn reads(&self) -> bool {
        self.reads()
    }

    fn give(
        &mut self,
        meta: &imap_proto::fetch::Meta<'_>,
        source: &mut Source<'_>,
    ) -> Result<(), SourceError> {
        self.give(meta, source)
    }

    fn give_bare(&mut self, meta: Option<&imap_proto::fetch::Meta<'_>>) {
        self.give_bare(meta);
    }
}

impl Slices for Sort {
    type Result = Answer;

    fn go_on(&mut self, turn: &Turn<'_>) -> Progress<Answer> {
        if self.sorting.is_none() {
            match self.search.go_on(turn) {
                Progress::Done(Answer::Found { uids, modseqs }) => {
                    self.sorting = Some((Sorter::new(self.order.clone(), &uids), modseqs));
                }
                other => return other,
            }
        }
        while let Some((sorter, _)) = &mut self.sorting
            && !sorter.is_done()
        {
            match self.open.give(&self.search, sorter, turn) {
                Ok(Given::All) => {}
                Ok(Given::Some) => return Progress::More,
                Ok(Given::WouldBlock) => return Progress::Waits,
                Err(error) => {
                    let refusal = refusal(&error, false);
                    let Search { account, depends, .. } = &self.search;
                    return Progress::Done(hold_refusal(refusal, account, depends));
                }
            }
            if !sorter.go_on(|| turn.is_over()) {
                return Progress::More;
            }
        }
        Progress::Done(self.answer())
    }
}

impl Sort {
    fn answer(&mut self) -> Answer {
        let Some((sorter, mut modseqs)) = self.sorting.take() else {
            return refusal(&StoreError::Cannot("it is sorted already"), false);
        };
        let uids = sorter.into_uids();
        let search = &self.search;
        let state = search.account.lock();
        if let Ok(state) = &state
            && let Some(mbox) = state.mailboxes.get(&search.guid)
        {
            let modseq = |uid: Option<&Uid>| {
                uid.and_then(|uid| row_of(mbox, *uid)).map(|row| ModSeq(row.modseq.0))
            };
            // Those that have changed since they were found are found as they were.
            let then = |modseq: Option<ModSeq>| modseq.unwrap_or_default().min(modseqs.highest);
            (modseqs.first, modseqs.last) = (then(modseq(uids.first())), then(modseq(uids.last())));
        }
        Answer::Sorted { uids, modseqs }
    }
}
