//! Backups of a store, while it goes on: `loft backup` (`docs/formats/backup.md`).
//!
//! A backup directory has *objects*, named after the BLAKE3 of what they hold, and *generations*, each of which says of
//! what objects the files of its accounts are put together. What an earlier generation has is not copied again.
//! `create` reads a store (`store/freeze.rs`), `Archive` shows what is in a
//! generation as files, `verify` and `restore` read those.
//! Invariants:
//! - A generation is there whole or not at all: its file is written last, when all that it names is durable.
//! - An object never changes. One that nobody names is left from an interrupted run, and does no harm.
//! - What is read from a backup is held against the names of its objects before it is believed.

pub(crate) mod archive;
pub(crate) mod create;
mod error;
pub(crate) mod manifest;
pub(crate) mod repository;
pub(crate) mod restore;
pub(crate) mod verify;

pub use create::Done;
pub(crate) use create::Task;
pub use error::Error;
pub(crate) use restore::With;
pub use restore::{Refused, Restored, Task as RestoreTask};
pub use verify::{Damage, Verified};
