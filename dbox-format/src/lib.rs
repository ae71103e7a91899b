//! Containers of many messages and the map that finds them; bytes in, views and bytes out.
//!
//! - [`container`]: a file of message records, each with its own checksums and everything a rebuild needs to know.
//! - [`map`]: which record holds which message of an account, and how many mailboxes refer to it.
//! - [`paths`]: where these files lie below a store.
//!
//! The bytes are written down in `docs/formats/container.md` and `docs/formats/map.md`.
//!
//! Invariants:
//! - Nothing here opens a file, reads a clock or draws a random number: GUIDs, seeds and dates come in as values.
//! - No input makes a function panic, and none makes it reserve more memory than a small multiple of that input.
//! - All integers are little-endian; what is damaged is an error that says what and where, never other data.

#![forbid(unsafe_code)]

mod checksum;
pub mod container;
mod error;
mod guid;
pub mod map;
pub mod paths;
mod reader;

pub use checksum::{Content, Seed};
pub use error::Error;
pub use guid::Guid;
