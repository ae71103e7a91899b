//! SEARCH as data, and its evaluation (RFC 9051 §6.4.4).
//!
//! The session turns a command into a [`Key`] (sequence numbers already turned into UIDs) and compiles it; the server
//! runs the [`Program`] over its columns and, only for messages these don't decide, over the messages.
//!
//! Invariants:
//! - Evaluation doesn't recurse, columns allocate nothing; text is searched in linear time and bounded memory.
//! - What is cheap is looked at first: columns, then the header, then the body.
//! - [`Program::message`] never contradicts a `Yes` or `No` of [`Program::columns`].

mod fold;
mod program;
mod text;

pub use program::{Columns, Limits, Look, Program, ProgramError, Reads};
pub use text::{TEXT_FIELDS, field_text};

use crate::date::Day;
use crate::thread::Algorithm;
use crate::types::{Keyword, ModSeq, SystemFlags, UidSet};

/// One search key, or keys put together. Text is UTF-8.
///
/// NEW is `And([Recent, Not(Flags(SEEN))])`, OLD is `Not(Recent)`, UNSEEN is `Not(Flags(SEEN))`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Key {
    /// Every message.
    All,
    /// All of these flags are set.
    Flags(SystemFlags),
    /// The keyword is set.
    Keyword(Keyword),
    /// `\Recent` in this session.
    Recent,
    /// The internal date, its time and zone disregarded.
    Internal(Order, Day),
    /// The Date field, its time and zone disregarded; no message without a readable one matches.
    Sent(Order, Day),
    /// The date it was put into the mailbox (RFC 8514 §4.3), or the internal date where that isn't known.
    Saved(Order, Day),
    /// More bytes than this.
    Larger(u64),
    /// Fewer bytes than this.
    Smaller(u64),
    /// Some field of this name contains the text; with no text, some field has this name.
    Header {
        /// The field's name, in any case.
        field: Vec<u8>,
        /// What it contains.
        value: Vec<u8>,
    },
    /// Some text part contains this.
    Body(Vec<u8>),
    /// Some header field or text part contains this.
    Text(Vec<u8>),
    /// Its UID is in the set.
    Uids(UidSet),
    /// Changed at this modification sequence or later (RFC 7162 §3.1.5).
    ModSeq(ModSeq),
    /// Its EMAILID is this (RFC 8474 §6).
    EmailId(Vec<u8>),
    /// Its THREADID is this (RFC 8474 §6).
    ThreadId(Vec<u8>),
    /// Its thread has a message that the key matches (draft-ietf-morg-inthread).
    InThread(Algorithm, Box<Key>),
    /// The other messages.
    Not(Box<Key>),
    /// Messages of either.
    Or(Box<Key>, Box<Key>),
    /// Messages of all; every message when there are none.
    And(Vec<Key>),
}

/// How a date compares with the one named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// Earlier.
    Before,
    /// The same day.
    On,
    /// The same day or later.
    Since,
}

impl Key {
    /// `FROM`, `TO`, `CC`, `BCC`, `SUBJECT`: a header key of that field.
    #[must_use]
    pub fn header(field: &str, value: &[u8]) -> Key {
        Key::Header { field: field.as_bytes().to_vec(), value: value.to_vec() }
    }

    /// Bytes held beyond the enum.
    pub(crate) fn held(&self) -> usize {
        let (mut waiting, mut bytes) = (vec![self], 0);
        while let Some(key) = waiting.pop() {
            bytes += size_of::<Self>();
            match key {
                Self::Not(inner) | Self::InThread(_, inner) => waiting.push(inner),
                Self::Or(left, right) => waiting.extend([&**left, &**right]),
                Self::And(keys) => waiting.extend(keys),
                Self::Header { field, value } => bytes += field.len() + value.len(),
                Self::Body(text)
                | Self::Text(text)
                | Self::EmailId(text)
                | Self::ThreadId(text) => {
                    bytes += text.len();
                }
                Self::Keyword(keyword) => bytes += keyword.as_str().len(),
                Self::Uids(uids) => bytes += uids.held(),
                Self::All
                | Self::Flags(_)
                | Self::Recent
                | Self::Internal(..)
                | Self::Sent(..)
                | Self::Saved(..)
                | Self::Larger(_)
                | Self::Smaller(_)
                | Self::ModSeq(_) => {}
            }
        }
        bytes
    }

    /// Whether what it says of a message depends on others.
    #[must_use]
    pub fn looks_at_threads(&self) -> bool {
        let mut waiting = vec![self];
        while let Some(key) = waiting.pop() {
            match key {
                Self::InThread(..) => return true,
                Self::Not(inner) => waiting.push(inner),
                Self::Or(left, right) => waiting.extend([&**left, &**right]),
                Self::And(keys) => waiting.extend(keys),
                Self::All
                | Self::Flags(_)
                | Self::Keyword(_)
                | Self::Recent
                | Self::Internal(..)
                | Self::Sent(..)
                | Self::Saved(..)
                | Self::Larger(_)
                | Self::Smaller(_)
                | Self::Header { .. }
                | Self::Body(_)
                | Self::Text(_)
                | Self::Uids(_)
                | Self::ModSeq(_)
                | Self::EmailId(_)
                | Self::ThreadId(_) => {}
            }
        }
        false
    }

    /// `NOT key`
    #[must_use]
    pub fn negated(self) -> Key {
        Key::Not(Box::new(self))
    }
}
