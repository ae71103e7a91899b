//! What a session wishes.

use crate::{Ask, Ticket, Time};
use std::ops::Range;

/// A wish of the session.
#[derive(Debug, Eq, PartialEq)]
pub enum Output<'a> {
    /// Bytes that may leave: write what the socket takes of them, then call
    /// [`Session::transmitted`](crate::Session::transmitted) with the count, which may be 0. The rest is offered again
    /// at the next poll; a driver whose socket takes nothing waits for it, and for
    /// [`Session::next_timeout`](crate::Session::next_timeout).
    Transmit(&'a [u8]),
    /// A question for the store.
    Ask(Ticket, Ask),
    /// The answer to this question is of no use any more. It may still come, and is then ignored, save that to
    /// [`Ask::BodyDone`]: it still becomes replies.
    Cancel(Ticket),
    /// Message text without its transparency dots, for the [`Ask::BodyOpen`] of this ticket: this range of the slice
    /// last offered to [`Session::handle_input`](crate::Session::handle_input). Poll all output before offering more.
    Body(Ticket, Range<usize>),
    /// Message text that came at the end of an earlier slice (a CR behind a dot, which might have begun the end).
    BodyHeld(Ticket, &'static [u8]),
    /// STARTTLS's reply has been transmitted: start TLS, offer no input before
    /// [`Session::handle_upgraded`](crate::Session::handle_upgraded).
    Upgrade,
    /// Nothing else for now.
    Wait {
        /// Whether input would be used. If not, it is offered again after the next `handle_*`.
        wants_input: bool,
        /// When [`Session::handle_timeout`](crate::Session::handle_timeout) should be called, if nothing happens
        /// before.
        deadline: Option<Time>,
    },
    /// Everything has left: close the connection. Repeated from then on.
    Close,
}
