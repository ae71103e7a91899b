//! IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051) as state machines: grammar, sessions, mailbox view,
//! MIME structure and search. Touches no socket, file, clock or thread.
#![forbid(unsafe_code)]

pub mod date;
pub mod fetch;
pub mod mime;
pub mod search;

mod limits;
mod parse;
pub mod types;

pub use limits::Limits;
pub use types::*;
