//! Messages being sorted, in bounded memory and with pauses.
//!
//! By rounds: in each, every message that is still tied with another gives the next [`WINDOW`] bytes of its key, and
//! ties are sorted by these. So a long key costs another look at those messages alone that share its beginning, and the
//! next criterion is asked of those alone that are equal in the last.

use std::cmp::Ordering;
use std::sync::Arc;

use super::key::{Buffers, number};
use super::{Criterion, Merge, Order, radix};
use crate::fetch::{MessageSource, Meta, SourceError};
use crate::types::{Uid, UidSet};

/// Bytes of a key that are compared in one round.
const WINDOW: usize = 48;

/// Messages being sorted. As long as it [wants](Sorter::wanted) some, give it these; else let it [go on](Sorter::go_on),
/// until it [is done](Sorter::is_done).
#[derive(Debug)]
pub struct Sorter {
    order: Arc<Order>,
    /// All messages, ascending; a message's place is its index here.
    uids: Vec<Uid>,
    /// Places in the order found so far.
    sorted: Vec<u32>,
    round: Round,
    stage: Stage,
    /// Ties that the next round is to look at: those whose keys go on, and those that are equal in this criterion.
    unread: Vec<Tie>,
    equal: Vec<Tie>,
    buffers: Buffers,
}

/// What is compared.
#[derive(Clone, Copy, Debug)]
struct Round {
    criterion: usize,
    /// Bytes of the keys that were compared before.
    from: usize,
}

#[derive(Debug)]
enum Stage {
    /// Keys are gathered: those of the first `given` entries are there.
    Keys {
        ties: Vec<Tie>,
        entries: Vec<Entry>,
        given: usize,
        tails: Tails,
    },
    /// And sorted.
    Merge {
        ties: Vec<Tie>,
        merge: Merge<Entry>,
        tails: Tails,
        last: Option<Last>,
    },
    Done,
}

/// Part of the order in which messages are equal so far.
#[derive(Clone, Copy, Debug)]
struct Tie {
    start: u32,
    end: u32,
}

/// A message in a round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The first bytes of the window.
    pub(super) head: u64,
    /// The others, if there can be any.
    tail: u32,
    place: u32,
    /// Which tie it belongs to.
    tie: u32,
}

/// The message that was last put in order.
#[derive(Clone, Copy, Debug)]
struct Last {
    entry: Entry,
    /// Where it is, and where those begin that are equal to it.
    at: u32,
    start: u32,
}

impl Sorter {
    /// Will sort these messages.
    #[must_use]
    pub fn new(order: Arc<Order>, uids: &UidSet) -> Self {
        let uids: Vec<Uid> = uids.iter().collect();
        let count = u32::try_from(uids.len()).unwrap_or(u32::MAX);
        let mut sorter = Self {
            order,
            uids,
            sorted: (0..count).collect(),
            round: Round { criterion: 0, from: 0 },
            stage: Stage::Done,
            unread: Vec::new(),
            equal: vec![Tie { start: 0, end: count }],
            buffers: Buffers::default(),
        };
        if count > 1 {
            sorter.begin(0);
        }
        sorter
    }

    /// The messages to be given next, in this order; none when it is to go on.
    pub fn wanted(&self) -> impl Iterator<Item = Uid> + '_ {
        let entries = match &self.stage {
            Stage::Keys { entries, given, .. } => entries.get(*given..).unwrap_or_default(),
            Stage::Merge { .. } | Stage::Done => &[],
        };
        entries.iter().filter_map(|entry| self.uids.get(entry.place as usize).copied())
    }

    /// Whether it takes more of the messages it wants than their [`Meta`].
    #[must_use]
    pub fn reads(&self) -> bool {
        self.criterion().is_some_and(|criterion| criterion.key.reads())
    }

    /// Takes the first message wanted. After an error it still wants it.
    pub fn give<S: MessageSource + ?Sized>(
        &mut self,
        meta: &Meta<'_>,
        source: &mut S,
    ) -> Result<(), SourceError> {
        if let Some(criterion) = self.criterion() {
            self.buffers.make(criterion.key, meta, source)?;
            self.take();
        }
        Ok(())
    }

    /// Takes as many of the messages wanted as there are `rows`: when each came, in seconds since 1970, and its size. For
    /// who was told that no more is wanted of them ([`Self::reads`]).
    pub fn give_rows(&mut self, rows: impl IntoIterator<Item = (i64, u64)>) {
        let Some(Criterion { key, .. }) = self.criterion() else { return };
        let Stage::Keys { entries, given, .. } = &mut self.stage else { return };
        let wanted = entries.get_mut(*given..).unwrap_or_default();
        for (entry, (came, size)) in wanted.iter_mut().zip(rows) {
            entry.head = number(key, came, size);
            *given += 1;
        }
    }

    /// Takes the first message wanted although its text can't be had, or not even what its mailbox says of it.
    pub fn give_bare(&mut self, meta: Option<&Meta<'_>>) {
        if let Some(criterion) = self.criterion() {
            self.buffers.make_bare(criterion.key, meta);
            self.take();
        }
    }

    /// Sorts what was given; `false` when it was interrupted, and is to be called again.
    pub fn go_on(&mut self, is_due: impl FnMut() -> bool) -> bool {
        if let Stage::Keys { entries, given, .. } = &self.stage
            && *given < entries.len()
        {
            return true;
        }
        self.stage = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Keys { ties, entries, tails, .. } => {
                Stage::Merge { ties, merge: Merge::new(entries), tails, last: None }
            }
            merging @ (Stage::Merge { .. } | Stage::Done) => merging,
        };
        if !self.merge(is_due) {
            return false;
        }
        self.next_round();
        true
    }

    /// Whether all is sorted.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// The messages in order, once that is so.
    #[must_use]
    pub fn into_uids(self) -> Vec<Uid> {
        let Self { uids, sorted, .. } = self;
        sorted.iter().filter_map(|&place| uids.get(place as usize).copied()).collect()
    }

    /// Bytes held, about.
    #[must_use]
    pub fn held(&self) -> usize {
        let (ties, entries, tails) = match &self.stage {
            Stage::Keys { ties, entries, tails, .. } => {
                (ties.capacity(), entries.capacity(), tails)
            }
            Stage::Merge { ties, merge, tails, .. } => (ties.capacity(), merge.len(), tails),
            Stage::Done => (0, 0, &Tails::default()),
        };
        (self.uids.capacity() + self.sorted.capacity()) * size_of::<u32>()
            + (ties + self.unread.capacity() + self.equal.capacity()) * size_of::<Tie>()
            + entries * size_of::<Entry>()
            + tails.blocks.len() * BLOCK
            + self.buffers.key.capacity()
    }

    fn criterion(&self) -> Option<Criterion> {
        self.order.0.get(self.round.criterion).copied()
    }

    /// Takes the key in the buffer as that of the first message wanted.
    fn take(&mut self) {
        let Stage::Keys { entries, given, tails, .. } = &mut self.stage else { return };
        let Some(entry) = entries.get_mut(*given) else { return };
        *given += 1;
        let key = self.buffers.key.get(self.round.from..).unwrap_or_default();
        let fixed = self.order.0.get(self.round.criterion).is_some_and(|by| by.key.is_fixed());
        let mut head = [0; 8];
        for (to, from) in head.iter_mut().zip(key) {
            *to = *from;
        }
        entry.head = u64::from_be_bytes(head);
        entry.tail = if fixed { NO_TAIL } else { tails.push(key) };
    }

    /// Puts the entries of this round in order; `false` when it was interrupted.
    fn merge(&mut self, is_due: impl FnMut() -> bool) -> bool {
        let Stage::Merge { ties, merge, tails, last } = &mut self.stage else { return true };
        let (sorted, unread, equal) = (&mut self.sorted, &mut self.unread, &mut self.equal);
        let by = self.order.0.get(self.round.criterion);
        let reverse = by.is_some_and(|by| by.reverse);
        let tails = &*tails;
        let key = |left: &Entry, right: &Entry| {
            left.head.cmp(&right.head).then_with(|| {
                // Keys that all have the same length have no tails.
                let no_tails = left.tail == NO_TAIL;
                if no_tails {
                    Ordering::Equal
                } else {
                    tails.get(left.tail).cmp(&tails.get(right.tail))
                }
            })
        };
        let order = |left: &Entry, right: &Entry| {
            let by_key = key(left, right);
            let by_key = if reverse { by_key.reverse() } else { by_key };
            // RFC 5256 §3: REVERSE doesn't touch the order of those that are equal.
            left.tie.cmp(&right.tie).then(by_key).then(left.place.cmp(&right.place))
        };
        let mut close = |Last { entry, at, start }: Last| {
            if start < at {
                let list = if tails.get(entry.tail).goes_on { &mut *unread } else { &mut *equal };
                list.push(Tie { start, end: at + 1 });
            }
        };
        let mut spare = Vec::new();
        let sort = |chunk: &mut [Entry]| match ties.as_slice() {
            [_] if chunk.len() >= RADIX => {
                radix::sort(chunk, reverse, &mut spare);
                let runs = chunk.chunk_by_mut(|left, right| left.head == right.head);
                // Those of one head have come as they stood in the mailbox.
                let open = |run: &&mut [Entry]| run.first().is_some_and(|run| run.tail != NO_TAIL);
                runs.filter(|run| run.len() > 1)
                    .filter(open)
                    .for_each(|run| run.sort_unstable_by(order));
            }
            _ => chunk.sort_unstable_by(order),
        };
        let done = merge.go_on_with(
            order,
            sort,
            |entry| {
                *last = match *last {
                    Some(before) if before.entry.tie == entry.tie => {
                        let at = before.at + 1;
                        if key(&before.entry, &entry) == Ordering::Equal {
                            Some(Last { entry, at, start: before.start })
                        } else {
                            close(before);
                            Some(Last { entry, at, start: at })
                        }
                    }
                    before => {
                        before.into_iter().for_each(&mut close);
                        let start = ties.get(entry.tie as usize).map_or(0, |tie| tie.start);
                        Some(Last { entry, at: start, start })
                    }
                };
                if let Some(slot) = last.and_then(|last| sorted.get_mut(last.at as usize)) {
                    *slot = entry.place;
                }
            },
            is_due,
        );
        if done {
            last.take().into_iter().for_each(close);
        }
        done
    }

    /// Looks on in keys that go on, then at the next criterion.
    fn next_round(&mut self) {
        self.stage = Stage::Done;
        if !self.unread.is_empty() {
            return self.begin(self.round.from + WINDOW);
        }
        self.round.criterion += 1;
        if !self.equal.is_empty() {
            self.begin(0);
        }
    }

    /// Begins a round.
    fn begin(&mut self, from: usize) {
        self.round.from = from;
        if self.criterion().is_none() {
            self.stage = Stage::Done;
            return;
        }
        let list = if from > 0 { &mut self.unread } else { &mut self.equal };
        let mut ties = std::mem::take(list);
        ties.sort_unstable_by_key(|tie| tie.start);
        if let [Tie { start: 0, end }] = *ties
            && end as usize == self.uids.len()
        {
            let entry = |place| Entry { head: 0, tail: NO_TAIL, place, tie: 0 };
            let entries = (0..end).map(entry).collect();
            self.stage = Stage::Keys { ties, entries, given: 0, tails: Tails::default() };
            return;
        }
        let count = ties.iter().map(|tie| (tie.end - tie.start) as usize).sum();
        // In the order of their places: who reads them reads forwards.
        let mut of = vec![NO_TIE; self.uids.len()];
        for (tie, number) in ties.iter().zip(0u32..) {
            let tied = self.sorted.get(tie.start as usize..tie.end as usize).unwrap_or_default();
            for &place in tied {
                if let Some(of) = of.get_mut(place as usize) {
                    *of = number;
                }
            }
        }
        let mut entries = Vec::with_capacity(count);
        for (&tie, place) in of.iter().zip(0u32..).filter(|(tie, _)| **tie != NO_TIE) {
            entries.push(Entry { head: 0, tail: NO_TAIL, place, tie });
        }
        self.stage = Stage::Keys { ties, entries, given: 0, tails: Tails::default() };
    }
}

/// Keys behind their first eight bytes, with their lengths.
#[derive(Debug, Default)]
struct Tails {
    blocks: Vec<Vec<u8>>,
}

/// One of them. It goes behind another that it begins with.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
struct Tail<'a> {
    bytes: &'a [u8],
    /// Bytes of the whole key that are in this round.
    len: u8,
    /// The key is longer than that.
    goes_on: bool,
}

impl Tails {
    /// Keeps what a round needs of a key.
    fn push(&mut self, key: &[u8]) -> u32 {
        let window = key.get(..WINDOW).unwrap_or(key);
        let goes_on = key.len() > WINDOW;
        let bytes = window.get(8..).unwrap_or_default();
        if self.blocks.last().is_none_or(|block| block.len() + bytes.len() + 2 > BLOCK) {
            self.blocks.push(Vec::with_capacity(BLOCK));
        }
        let number = self.blocks.len() - 1;
        let Some(block) = self.blocks.last_mut() else { return NO_TAIL };
        let at = block.len();
        block.push(window.len() as u8 | if goes_on { GOES_ON } else { 0 });
        block.extend_from_slice(bytes);
        (number * BLOCK + at) as u32
    }

    fn get(&self, at: u32) -> Tail<'_> {
        let (block, at) = (at as usize / BLOCK, at as usize % BLOCK);
        let block = self.blocks.get(block).and_then(|block| block.get(at..));
        let Some((&first, rest)) = block.and_then(<[u8]>::split_first) else {
            return Tail::default();
        };
        let len = first & !GOES_ON;
        let bytes = rest.get(..usize::from(len.saturating_sub(8))).unwrap_or_default();
        Tail { bytes, len, goes_on: first & GOES_ON != 0 }
    }
}

/// Bytes of one block of tails: so they are never copied, and 4 GiB of them can be named.
const BLOCK: usize = 1 << 16;
/// Set in the byte that has the length of a window: the key is longer.
const GOES_ON: u8 = 0x80;
/// Fewer entries are sorted as quickly by comparing them.
const RADIX: usize = if cfg!(test) { 3 } else { 256 };
const NO_TAIL: u32 = u32::MAX;
const NO_TIE: u32 = u32::MAX;

#[cfg(test)]
mod tests;
