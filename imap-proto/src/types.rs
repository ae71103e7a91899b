//! The words the session, the store and the grammar share: numbers that must not mix, sets of UIDs, flags,
//! mailbox names, secrets.
//!
//! Invariants: a [`UidSet`] is sorted, disjoint and never holds 0; a [`MailboxName`] and a [`Keyword`] hold only
//! what their `new` lets in, so whoever holds one need not check again.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

pub use crate::types::flags::{FlagRow, Flags, Keyword, SystemFlags};
pub use crate::types::name::{MailboxName, NameError, SpecialUse};
pub use crate::types::set::UidSet;

mod flags;
mod name;
mod set;

/// Monotonic milliseconds since an instant the driver chose; not a clock.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Hash)]
pub struct Time(pub u64);

impl Time {
    /// This time and `millis` milliseconds more, at most the end of time.
    #[must_use]
    pub fn after(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// A place in the store's journal that an answer depends on; 0 depends on nothing.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Hash)]
pub struct Position(pub u64);

/// A message's unique identifier in its mailbox (RFC 3501 §2.3.1.1); never 0.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Hash)]
pub struct Uid(pub u32);

/// A message's sequence number in one session's view (RFC 3501 §2.3.1.2); the first is 1.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Hash)]
pub struct Seq(pub u32);

/// A modification sequence (RFC 7162 §3.1.1); 63 bits.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Hash)]
pub struct ModSeq(pub u64);

/// A mailbox's UIDVALIDITY (RFC 3501 §2.3.1.1).
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Hash)]
pub struct UidValidity(pub u32);

/// A mailbox's GUID: stays when it is renamed.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Hash)]
pub struct MailboxId(pub u128);

/// Names one question of a session; never used twice by it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Hash)]
pub struct Ticket(pub(crate) u64);

impl Ticket {
    /// The number, for logs.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

/// How far the store's changes have been seen; only the store reads what is inside.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Cursor(pub [u64; 2]);

/// Bytes the server holds elsewhere; the session passes the handle on without looking.
#[derive(Clone)]
pub struct Blob(Arc<dyn Any + Send + Sync>);

impl Blob {
    /// Wraps whatever the driver needs to find the bytes.
    pub fn new<T: Any + Send + Sync>(handle: T) -> Self {
        Self(Arc::new(handle))
    }

    /// The handle given to [`Blob::new`], when it is a `T`.
    #[must_use]
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blob")
    }
}

impl PartialEq for Blob {
    /// The same handle, not the same bytes.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Blob {}

/// A password: `Debug` shows nothing, and the bytes are overwritten when it is dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, to be compared or hashed and not kept.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites bytes that were a secret; `black_box` keeps the optimiser from leaving it out.
pub(crate) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}
