//! THREAD: its algorithms (RFC 5256 §3, draft-ietf-morg-inthread), and what they come to.
//!
//! Whoever has the messages gives them to a [`Threader`], one after the other in the order of the mailbox, and gets
//! [`Threads`].
//!
//! Invariants:
//! - Nothing recurses, and no message can make a thread that holds itself; n log n steps for n references.
//! - The result depends on the messages and the algorithm alone, not on where it paused.
//! - About 100 bytes are held for each message, whatever its References say.

mod assembly;
mod fingerprint;
mod forest;
mod graph;
mod ids;
mod names;
mod said;
mod threader;

use std::sync::Arc;

use crate::fetch::number;
use crate::types::{Uid, UidSet};
pub use fingerprint::fingerprint;
pub use said::Said;
pub(crate) use said::thread_id;
pub use threader::{Known, Linked, Threader};

/// How messages are put together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// By their base subjects (RFC 5256 §3).
    OrderedSubject,
    /// By their references, then by their base subjects (RFC 5256 §3).
    References,
    /// By their references alone; threads are ordered by their newest message (draft-ietf-morg-inthread).
    Refs,
}

impl Algorithm {
    /// Each algorithm with its name on the wire.
    pub const NAMES: [(Self, &'static str); 3] = [
        (Self::OrderedSubject, "ORDEREDSUBJECT"),
        (Self::References, "REFERENCES"),
        (Self::Refs, "REFS"),
    ];
}

/// Threads as they are told: every message behind its parent, siblings in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Threads(Vec<Member>);

/// A message in a thread, in eight bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    /// 0 for a parent that isn't there.
    uid: u32,
    /// [`Place`] in the upper two bits, below them how many lists end behind it.
    place_and_ends: u32,
}

/// Where a message stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place {
    /// It begins a thread.
    Root = 0,
    /// It is its parent's only child.
    Only = 1,
    /// It is the first of several children, of a parent that is there.
    First = 2,
    /// It is another of several children, or the first where the parent isn't there.
    Next = 3,
}

impl Member {
    /// How many bits there are for the lists that end.
    const BITS: u32 = 30;

    /// A message, or with `None` the parent of several threads that belong together.
    #[must_use]
    pub fn new(uid: Option<Uid>, place: Place) -> Self {
        Self { uid: uid.map_or(0, |uid| uid.0), place_and_ends: (place as u32) << Self::BITS }
    }

    fn ends(self) -> u32 {
        self.place_and_ends & ((1 << Self::BITS) - 1)
    }

    /// What stands before its number.
    fn before(self) -> &'static [u8] {
        match self.place_and_ends >> Self::BITS {
            0 | 3 => b"(",
            1 => b" ",
            _ => b" (",
        }
    }
}

impl Threads {
    /// Adds the next message.
    pub fn push(&mut self, member: Member) {
        self.0.push(member);
    }

    /// Behind the last message a list ends: all that began with one that is not [`Place::Only`] do, once all its
    /// children are there.
    pub fn end_list(&mut self) {
        if let Some(last) = self.0.last_mut() {
            last.place_and_ends += 1;
        }
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All messages of the threads that one of these is in.
    #[must_use]
    pub fn around(&self, some: &UidSet) -> UidSet {
        let mut out = Vec::new();
        let (mut start, mut is_in) = (0, false);
        for member in &self.0 {
            if member.place_and_ends >> Member::BITS == Place::Root as u32 {
                out.truncate(if is_in { out.len() } else { start });
                (start, is_in) = (out.len(), false);
            }
            if member.uid != 0 {
                is_in |= some.contains(Uid(member.uid));
                out.push(Uid(member.uid));
            }
        }
        out.truncate(if is_in { out.len() } else { start });
        out.sort_unstable();
        out.into_iter().collect()
    }

    /// Makes room for as many messages.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.0.reserve_exact(count);
    }

    /// Bytes held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0.capacity() * size_of::<Member>()
    }
}

/// Threads on their way to the client (RFC 5256 §5, `thread-data`).
#[derive(Debug)]
pub(crate) struct Written {
    threads: Arc<Threads>,
    next: usize,
    /// How many lists end before the next message.
    ends: u32,
}

impl Written {
    pub(crate) fn new(threads: Arc<Threads>) -> Self {
        Self { threads, next: 0, ends: 0 }
    }

    /// Appends about `room` bytes; whether there are more.
    pub(crate) fn write(
        &mut self,
        out: &mut Vec<u8>,
        room: usize,
        shown: impl Fn(Uid) -> u32,
    ) -> bool {
        let full = out.len().saturating_add(room);
        loop {
            // However many there are: their number is the mailbox's, not the room's.
            let ends = (self.ends as usize).min(full.saturating_sub(out.len()));
            out.resize(out.len() + ends, b')');
            self.ends -= ends as u32;
            if out.len() >= full {
                return self.ends > 0 || self.next < self.threads.0.len();
            }
            let Some(member) = self.threads.0.get(self.next) else { return false };
            self.next += 1;
            out.extend_from_slice(member.before());
            if member.uid != 0 {
                number::write(u64::from(shown(Uid(member.uid))), out);
            }
            self.ends = member.ends();
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.threads.held()
    }
}
