//! Replies on their way out, and the barriers before which some of them wait.
//!
//! - Bytes leave in the order they were put.
//! - Nothing at or behind a barrier leaves before the barrier's position is durable.

use crate::Position;
use std::collections::VecDeque;
use std::ops::Range;

/// What a stored message's reply becomes when its journal record is lost: the client tries again.
const LOST: &[u8] = b"451 4.3.0 Not stored, try again later\r\n";

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    /// How many of `bytes` have left.
    sent: usize,
    /// Ranges of `bytes`, ascending.
    barriers: VecDeque<Barrier>,
    durable: Position,
}

#[derive(Debug)]
struct Barrier {
    lines: Range<usize>,
    position: Position,
}

impl Outbox {
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Puts whole reply lines which wait until `position` is durable.
    pub(crate) fn put_held(&mut self, position: Position, lines: &[u8]) {
        let start = self.bytes.len();
        self.put(lines);
        if position > self.durable {
            self.barriers.push_back(Barrier { lines: start..self.bytes.len(), position });
        }
    }

    /// What has not left.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What may leave now.
    pub(crate) fn ready(&self) -> Option<&[u8]> {
        let end = self.barriers.front().map_or(self.bytes.len(), |barrier| barrier.lines.start);
        self.bytes.get(self.sent..end).filter(|ready| !ready.is_empty())
    }

    pub(crate) fn transmitted(&mut self, count: usize) {
        let offered = self.ready().map_or(0, <[u8]>::len);
        self.sent += count.min(offered);
        if self.is_empty() {
            // Between commands a session holds nothing.
            self.clear();
        } else if self.sent >= 4096 {
            self.bytes.drain(..self.sent);
            for barrier in &mut self.barriers {
                barrier.lines = barrier.lines.start - self.sent..barrier.lines.end - self.sent;
            }
            self.sent = 0;
        }
    }

    pub(crate) fn durable(&mut self, position: Position) {
        self.durable = self.durable.max(position);
        while self.barriers.front().is_some_and(|barrier| barrier.position <= self.durable) {
            self.barriers.pop_front();
        }
    }

    /// What waits for a position behind `durable` says [`LOST`] where it said that the message is stored.
    pub(crate) fn lost(&mut self, durable: Position) {
        self.durable(durable);
        let mut bytes = Vec::with_capacity(self.len());
        let mut copied = self.sent;
        for barrier in std::mem::take(&mut self.barriers) {
            bytes
                .extend_from_slice(self.bytes.get(copied..barrier.lines.start).unwrap_or_default());
            copied = barrier.lines.end;
            let lines = self.bytes.get(barrier.lines).unwrap_or_default();
            for line in lines.split_inclusive(|&byte| byte == b'\n') {
                let stored = line.starts_with(b"250 ") && barrier.position > self.durable;
                bytes.extend_from_slice(if stored { LOST } else { line });
            }
        }
        bytes.extend_from_slice(self.bytes.get(copied..).unwrap_or_default());
        self.bytes = bytes;
        self.sent = 0;
    }

    /// The highest position that something waits for.
    pub(crate) fn waits_for(&self) -> Option<Position> {
        self.barriers.iter().map(|barrier| barrier.position).max().filter(|&max| max > self.durable)
    }

    /// Gives up what has not left.
    pub(crate) fn clear(&mut self) {
        *self = Self { durable: self.durable, ..Self::default() };
    }

    pub(crate) fn held(&self) -> usize {
        self.bytes.capacity() + self.barriers.capacity() * size_of::<Barrier>()
    }
}
