//! The server side of LMTP (RFC 2033) as a state machine without I/O.
//!
//! [`Session`] is one connection. Bytes, answers and the time come in through its `handle_*` methods; bytes, questions
//! and a deadline leave by [`Session::poll_output`]. It knows PIPELINING (RFC 2920), ENHANCEDSTATUSCODES (RFC 2034),
//! 8BITMIME (RFC 6152), SIZE (RFC 1870), CHUNKING and BINARYMIME (RFC 3030), STARTTLS (RFC 3207) and, as a setting,
//! SMTPUTF8 (RFC 6531).
//!
//! Message text is never held: it goes through as ranges of the caller's own buffer.

#![forbid(unsafe_code)]

mod answer;
mod ask;
mod command;
mod config;
mod dots;
mod fault;
mod limits;
mod lines;
mod outbox;
mod output;
mod path;
mod session;
mod time;

pub use answer::{Answer, Code, Outcome, Refusal};
pub use ask::{Ask, BodyKind, Envelope, RecipientId, Ticket, Trace};
pub use config::{Config, Event, Peer};
pub use limits::Limits;
pub use output::Output;
pub use path::{Path, PathError};
pub use session::Session;
pub use time::{Position, Time};
