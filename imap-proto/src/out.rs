//! What waits to be written, and what must be durable before it may.
//!
//! Invariants:
//! - Bytes leave in the order they were put in; none behind a barrier before its position is durable.
//! - When a position is lost, everything behind its barrier is dropped, and every tagged reply among it is known.

use std::collections::VecDeque;
use std::ops::Range;

use crate::fetch::Piece;
use crate::tag::Tag;
use crate::types::{Blob, Position};

/// Output in order. Offsets count bytes since the session began.
#[derive(Debug, Default)]
pub(crate) struct Out {
    /// Large pieces, taken over without a copy; before `tail`.
    queue: VecDeque<Segment>,
    /// Where small replies gather.
    tail: Vec<u8>,
    /// Bytes of the first segment (or of `tail`) that have left.
    sent: usize,
    /// Offset of the next byte to leave.
    front: u64,
    /// Offset behind the last byte.
    end: u64,
    barriers: VecDeque<Barrier>,
    /// Tagged replies behind a barrier, with the offset where each ends.
    replies: VecDeque<(u64, Tag)>,
    durable: Position,
    /// Positions that will never be durable: above the first, up to the second.
    lost: (Position, Position),
}

#[derive(Debug)]
enum Segment {
    Bytes(Vec<u8>),
    Blob(Blob, Range<u64>),
}

#[derive(Debug)]
struct Barrier {
    /// No byte from this offset on may leave …
    at: u64,
    /// … before this is durable.
    position: Position,
}

/// What may leave now.
#[derive(Debug)]
pub(crate) enum Ready<'a> {
    Nothing,
    Bytes(&'a [u8]),
    Blob(Blob, Range<u64>),
}

impl Out {
    /// Bytes that wait.
    pub(crate) fn len(&self) -> u64 {
        self.end - self.front
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.end == self.front
    }

    /// What is written from here on must not leave before `position` is durable; `false` when it never will be.
    pub(crate) fn barrier(&mut self, position: Position) -> bool {
        if position > self.lost.0 && position <= self.lost.1 {
            return false;
        }
        let behind = self.barriers.back().is_some_and(|last| last.position >= position);
        if position > self.durable && !behind {
            self.barriers.push_back(Barrier { at: self.end, position });
        }
        true
    }

    /// Lets `write` add text.
    pub(crate) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.tail.len();
        write(&mut self.tail);
        self.end += (self.tail.len() - before) as u64;
    }

    /// Adds text.
    pub(crate) fn put(&mut self, text: &[u8]) {
        self.tail.extend_from_slice(text);
        self.end += text.len() as u64;
    }

    /// Notes that a tagged reply ends here.
    pub(crate) fn replied(&mut self, tag: Tag) {
        if !self.barriers.is_empty() {
            self.replies.push_back((self.end, tag));
        }
    }

    /// Adds a piece of a FETCH answer.
    pub(crate) fn piece(&mut self, piece: Piece) {
        match piece {
            Piece::Bytes(bytes) if bytes.len() < COPIED => self.put(&bytes),
            Piece::Bytes(bytes) => {
                self.end += bytes.len() as u64;
                self.seal();
                self.queue.push_back(Segment::Bytes(bytes));
            }
            Piece::Blob(_, range) if range.is_empty() => {}
            Piece::Blob(blob, range) => {
                self.end += range.end - range.start;
                self.seal();
                self.queue.push_back(Segment::Blob(blob, range));
            }
        }
    }

    /// What may leave now.
    pub(crate) fn ready(&self) -> Ready<'_> {
        let allowed = self.barriers.front().map_or(u64::MAX, |barrier| barrier.at - self.front);
        if allowed == 0 || self.is_empty() {
            return Ready::Nothing;
        }
        match self.queue.front() {
            Some(Segment::Blob(blob, range)) => {
                let end = range.end.min(range.start.saturating_add(allowed));
                Ready::Blob(blob.clone(), range.start..end)
            }
            Some(Segment::Bytes(bytes)) => Ready::Bytes(clip(bytes, self.sent, allowed)),
            None => Ready::Bytes(clip(&self.tail, self.sent, allowed)),
        }
    }

    /// `count` bytes of what [`ready`](Self::ready) gave have left; more than that counts as all of it.
    pub(crate) fn advance(&mut self, count: u64) {
        let count = match self.ready() {
            Ready::Nothing => 0,
            Ready::Bytes(bytes) => count.min(bytes.len() as u64),
            Ready::Blob(_, range) => count.min(range.end - range.start),
        };
        self.front += count;
        match self.queue.front_mut() {
            Some(Segment::Blob(_, range)) => {
                range.start += count;
                if range.is_empty() {
                    self.queue.pop_front();
                }
            }
            Some(Segment::Bytes(bytes)) => {
                self.sent += count as usize;
                if self.sent == bytes.len() {
                    self.sent = 0;
                    self.queue.pop_front();
                }
            }
            None => {
                self.sent += count as usize;
                if self.sent == self.tail.len() {
                    self.sent = 0;
                    self.tail.clear();
                    self.tail.shrink_to(KEPT);
                }
            }
        }
        if self.queue.is_empty() && self.queue.capacity() > 8 {
            self.queue = VecDeque::new();
        }
    }

    /// The position the last barrier waits for.
    pub(crate) fn waits_for(&self) -> Option<Position> {
        self.barriers.back().map(|barrier| barrier.position)
    }

    pub(crate) fn durable(&mut self, position: Position) {
        self.durable = self.durable.max(position);
        while self.barriers.front().is_some_and(|barrier| barrier.position <= self.durable) {
            self.barriers.pop_front();
        }
        let held_from = self.barriers.front().map_or(u64::MAX, |barrier| barrier.at);
        while self.replies.front().is_some_and(|(end, _)| *end <= held_from) {
            self.replies.pop_front();
        }
        if self.barriers.is_empty() {
            self.barriers.shrink_to(4);
            self.replies = VecDeque::new();
        }
    }

    /// Nothing later than what is durable, up to `position`, will ever be. Drops all that is held back and gives
    /// the tags of the replies among it; `None` when nothing was held back.
    pub(crate) fn lose(&mut self, position: Position) -> Option<Vec<Tag>> {
        self.lost = (self.durable, self.lost.1.max(position));
        let at = self.barriers.front()?.at;
        self.cut(at);
        self.barriers.clear();
        Some(std::mem::take(&mut self.replies).into_iter().map(|(_, tag)| tag).collect())
    }

    /// Gives back what an empty output needs no more.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() {
            self.queue = VecDeque::new();
            self.tail = Vec::new();
        }
        if self.barriers.is_empty() {
            self.barriers = VecDeque::new();
            self.replies = VecDeque::new();
        }
    }

    /// Bytes held.
    pub(crate) fn held(&self) -> usize {
        let queued: usize = self.queue.iter().map(Segment::held).sum();
        queued
            + self.tail.capacity()
            + self.queue.capacity() * size_of::<Segment>()
            + self.barriers.capacity() * size_of::<Barrier>()
            + self.replies.capacity() * size_of::<(u64, Tag)>()
    }

    /// Drops what lies at offset `at` and behind.
    fn cut(&mut self, at: u64) {
        self.seal();
        while self.end > at {
            let Some(last) = self.queue.back_mut() else { break };
            let surplus = self.end - at;
            // Of the first segment a part may have left already; `at` is never before that part's end.
            let len = last.len();
            let keep = len.saturating_sub(surplus);
            self.end -= len - keep;
            if keep == 0 {
                self.queue.pop_back();
            } else {
                last.truncate(keep);
            }
        }
        if self.is_empty() {
            self.queue.clear();
            self.sent = 0;
        }
    }

    /// Moves the tail into the queue, so that a piece can follow it.
    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.queue.push_back(Segment::Bytes(std::mem::take(&mut self.tail)));
        }
    }
}

impl Segment {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Blob(_, range) => range.end - range.start,
        }
    }

    fn truncate(&mut self, keep: u64) {
        match self {
            Self::Bytes(bytes) => bytes.truncate(keep as usize),
            Self::Blob(_, range) => range.end = range.start + keep,
        }
    }

    fn held(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.capacity(),
            Self::Blob(..) => 0,
        }
    }
}

fn clip(bytes: &[u8], sent: usize, allowed: u64) -> &[u8] {
    let rest = bytes.get(sent..).unwrap_or_default();
    let take = usize::try_from(allowed).map_or(rest.len(), |allowed| allowed.min(rest.len()));
    rest.get(..take).unwrap_or(rest)
}

/// A piece shorter than this is copied to its neighbours, so that one write takes them all.
const COPIED: usize = 4 << 10;
/// What a session may keep once everything has left.
const KEPT: usize = 512;
