//! IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051) as state machines: grammar, sessions, mailbox view,
//! MIME structure and search. Touches no socket, file, clock or thread.
#![forbid(unsafe_code)]

pub mod date;
pub mod fetch;
pub mod mime;
pub mod search;
pub mod sort;
pub mod thread;

mod ask;
pub mod capabilities;
mod frame;
mod limits;
pub mod model;
pub mod mutf7;
mod object_id;
mod out;
mod parse;
mod pattern;
mod session;
mod tag;
pub mod types;
mod view;

pub use ask::*;
pub use fetch::Piece;
pub use limits::Limits;
pub use session::{Config, Event, Output, Peer, Session, Stage};
pub use types::*;
