//! The files that index a Loft mailbox: UID sets, log, snapshot, cache, mailbox list, threads, journal; bytes in, views and bytes out.
//!
//! This crate opens no file, asks no clock and starts no thread: its callers hand it bytes and write what it gives back.
//! Every format is described byte by byte in `docs/formats/`, with the argument why a crash at any point recovers.
//!
//! - [`log`]: the frames all logs share. *A log counts up to its first frame that does not check out.*
//! - [`record`] and [`mailbox`]: what a mailbox's log says, and the state it adds up to.
//! - [`snapshot`]: that state at one position of the log.
//! - [`list`]: an account's mailboxes by name and by GUID. [`cache`] and [`threads`]: what may be lost at any time.
//! - [`journal`]: one durable write for the changes of many files.
//! - [`explain`]: what a file says, in words, damage included.
#![forbid(unsafe_code)]

mod checksum;
mod error;
mod few;
mod ids;
mod wire;

pub mod cache;
pub mod explain;
pub mod journal;
pub mod list;
pub mod log;
pub mod mailbox;
pub mod record;
pub mod snapshot;
pub mod threads;
pub mod uidset;

pub use error::Error;
pub use few::Few;
pub use ids::{Flags, Guid, ItemId, Keywords, MapId, ModSeq, NoGuid};
pub use uidset::{Uid, UidSet};
