//! Who replies to whom in a mailbox, kept as messages come and go, and its file (`docs/formats/threads.md`).
//!
//! What a message says of itself never changes, so the file holds just that, by UID; the [`Forest`] is what RFC 5256 §3
//! (step 1 of THREAD=REFERENCES) makes of the messages that are there. Disposable: a file that is damaged, cut, of another
//! mailbox or gone costs the reading of messages, never an answer.

mod file;
mod forest;
mod names;

pub use file::{BLOCK_MAX, Blocks, Header, write_block};
pub use forest::{Forest, Known, Linked, NONE, Overgrown};

use crate::Uid;

/// What stands for a text: 128 bits of a hash whose key no sender knows, and never 0, which stands for no text.
///
/// Equal texts have equal fingerprints. Different texts are taken to have different ones: of a million texts in a mailbox
/// two share one with a chance of 10^12 / 2^129, less than one in 10^26, and nobody can look for such a pair without
/// the key. So the threads are those of the texts.
pub type Fingerprint = u128;

/// What one message says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Message<'a> {
    /// Which message.
    pub uid: Uid,
    /// Its internal date, in seconds since 1970.
    pub came: i64,
    /// When it was sent, or when it came where it does not say (RFC 5256 §2.2).
    pub sent: i64,
    /// Its base subject, 0 for an empty one.
    pub subject: Fingerprint,
    /// Whether its subject says reply or forward (RFC 5256 §2.1).
    pub is_reply: bool,
    /// Its Message-ID, 0 for none.
    pub id: Fingerprint,
    /// The IDs of its ancestors, the eldest first.
    pub references: &'a [Fingerprint],
}
