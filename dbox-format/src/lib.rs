//! Containers of many messages and the map that finds them; bytes in, views and bytes out.
//!
//! - [`container`]: a file of message records, each with its own checksums and everything a rebuild needs to know.
//! - [`compress`] and [`Dictionary`]: the messages of records as zstd frames.
//! - [`attachment`]: parts that are stored apart, once for all messages that have them.
//! - [`map`]: which record holds which message of an account, and how many mailboxes refer to it.
//! - [`explain()`]: any of these files in words.
//! - [`paths`]: where these files lie below a store.
//!
//! The bytes are written down in `docs/formats/container.md`, `docs/formats/attachments.md` and `docs/formats/map.md`.
//!
//! Invariants:
//! - Nothing here opens a file, reads a clock or draws a random number: GUIDs, seeds and dates come in as values.
//! - No input makes a function panic, and none makes it reserve more memory than a small multiple of that input, or
//!   1 MiB for each call where it is compressed.
//! - All integers are little-endian; what is damaged is an error that says what and where, never other data.

#![forbid(unsafe_code)]

pub mod attachment;
mod checksum;
pub mod compress;
pub mod container;
mod dictionary;
mod error;
mod explain;
mod guid;
pub mod map;
pub mod paths;
mod reader;

pub use checksum::{Content, Seed};
pub use dictionary::{DICTIONARY_MAGIC, DICTIONARY_MAX, Dictionary};
pub use error::Error;
pub use explain::{explain, explain_transaction};
pub use guid::Guid;
