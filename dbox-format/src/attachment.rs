//! Attachments stored apart: cut out of a message, decoded, named by their hash; and the message made whole again.
//!
//! A message with large base64 parts is stored as its *skeleton* (everything but these parts' base64) and a list of
//! [`CutOut`]s. Each names the decoded content by its hash and says how its base64 was laid out, so that
//! [`Assembly`] gives the same bytes again, whole or in part. What does not encode again to the same bytes stays.
//!
//! - [`Cutter`] takes a message apart while it streams by: into its skeleton and the decoded contents;
//! - [`Assembly`] says which bytes of skeleton and attachments a range of the message needs, and encodes them;
//! - [`Holdings`] knows from the map which attachments an account needs, and which links may go.
//!
//! Invariants:
//! - What is cut out and put together again is the same byte for byte; the cutter takes no base64 of which it isn't sure.
//! - Neither holds more than 192 KiB, whatever the sizes.
//! - What this does to a message depends on the message alone: not on what is stored already, for this account or others.

mod assemble;
mod cut;
mod holdings;
mod lines;
mod list;

pub use assemble::{Assembly, AssemblyError, Source};
pub use cut::{Cutter, Options, Piece};
pub use holdings::Holdings;
pub use lines::{LineEnding, Lines};
pub use list::CutOut;
pub(crate) use list::{read_cut_outs, write_cut_outs};

use std::fmt;

/// The BLAKE3 hash of an attachment's decoded content: its name.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(*blake3::hash(content).as_bytes())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Hashes an attachment's content while it streams by: to name it, or to check what was read.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    hasher: blake3::Hasher,
}

impl Hasher {
    /// Nothing hashed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The number of bytes taken.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.hasher.count()
    }

    /// Whether nothing was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The hash of all bytes taken.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash(*self.hasher.finalize().as_bytes())
    }
}
