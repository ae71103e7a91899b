//! One IMAP connection, server side (RFC 3501 §3 and RFC 9051 §3 states, §5.4 autologout).
//!
//! Touches no socket, clock or mailbox: facts come in through `handle_*`, wishes leave by `poll_output`.
//! Invariants:
//! - At most one command executes; tagged replies leave in the order the commands came, and none before it is durable.
//! - Held memory stays under what [`Limits`] allows, whatever the peer sends.
//! - A session that has closed takes no input and answers `Output::Close` for ever.

use std::ops::Range;
use std::sync::Arc;

use crate::ask::{Answer, Ask};
use crate::limits::Limits;
use crate::types::{Blob, Position, Ticket, Time};

/// What a session is told about the server it is part of. Shared by all sessions.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Every bound.
    pub limits: Limits,
    /// STARTTLS is offered on a connection that has no TLS.
    pub tls_available: bool,
    /// Passwords are taken without TLS too, wherever the peer is; otherwise only from this machine itself.
    pub plaintext_login: bool,
}

/// What is known about the other end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Peer {
    /// The connection is encrypted.
    pub tls: bool,
    /// It comes from this machine.
    pub loopback: bool,
}

/// What the session wants next; see [`Session::poll_output`].
#[derive(Debug)]
pub enum Output<'a> {
    /// Write what the socket takes of these bytes, then call [`Session::transmitted`] with how many it took (0 is
    /// fine). They may leave: what they depend on is durable.
    Transmit(&'a [u8]),
    /// Write this range of a stored body, in steps, calling [`Session::spliced`] after each.
    Splice(Blob, Range<u64>),
    /// Ask the store; the answer comes by [`Session::handle_answer`].
    Ask(Ticket, Ask),
    /// The answer is no longer wanted; it may come nevertheless.
    Cancel(Ticket),
    /// This range of the input just offered is the next part of the message opened by this ticket.
    Body(Ticket, Range<usize>),
    /// STARTTLS's OK has been transmitted: start TLS, then call [`Session::handle_upgraded`]. Bytes read but not
    /// taken must end the connection; offering them by [`Session::handle_input`] does it.
    Upgrade,
    /// Nothing more for now.
    Wait {
        /// Whether more input would be taken. Without it, read ahead at most a little, to notice a hang-up.
        wants_input: bool,
        /// When [`Session::handle_timeout`] is due.
        deadline: Option<Time>,
    },
    /// Close the connection; nothing will come any more.
    Close,
}

/// What happens to a session from the side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// The selected mailbox may have changed.
    Changed,
    /// The server stops: say BYE at the next command boundary.
    Shutdown,
}

/// One IMAP connection, server side.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    peer: Peer,
    closed: bool,
}

impl Session {
    /// A connection that was just accepted (with `peer.tls`: whose handshake is done); the greeting is due.
    #[must_use]
    pub fn new(config: Arc<Config>, peer: Peer, now: Time) -> Self {
        let _ = now;
        Self { config, peer, closed: true }
    }

    /// Uses as much of `input` as it can now and returns that count; offer the rest again after draining
    /// [`poll_output`](Self::poll_output). [`Output::Body`] ranges refer to this slice.
    pub fn handle_input(&mut self, now: Time, input: &[u8]) -> usize {
        let _ = (now, input);
        0
    }

    /// The store's answer. Answers to questions that are no longer open are ignored.
    pub fn handle_answer(&mut self, now: Time, ticket: Ticket, answer: Answer) {
        let _ = (now, ticket, answer);
    }

    /// Everything up to `position` is durable.
    pub fn handle_durable(&mut self, now: Time, position: Position) {
        let _ = (now, position);
    }

    /// What is later than the last durable position, up to `position`, will never be durable.
    pub fn handle_lost(&mut self, now: Time, position: Position) {
        let _ = (now, position);
    }

    /// Something happened.
    pub fn handle_event(&mut self, now: Time, event: Event) {
        let _ = (now, event);
    }

    /// TLS is up.
    pub fn handle_upgraded(&mut self, now: Time, peer: &Peer) {
        let _ = now;
        self.peer = *peer;
    }

    /// The peer sends no more.
    pub fn handle_eof(&mut self, now: Time) {
        let _ = now;
        self.closed = true;
    }

    /// Time has passed; does nothing when no deadline has.
    pub fn handle_timeout(&mut self, now: Time) {
        let _ = now;
    }

    /// `count` bytes of the last [`Output::Transmit`] were written.
    pub fn transmitted(&mut self, now: Time, count: usize) {
        let _ = (now, count);
    }

    /// `count` more bytes of the last [`Output::Splice`] were written.
    pub fn spliced(&mut self, now: Time, count: u64) {
        let _ = (now, count);
    }

    /// The highest position that output waits for, if any does: the driver arranges to be woken for it.
    #[must_use]
    pub fn waits_for(&self) -> Option<Position> {
        None
    }

    /// What the session wants next; call until it says [`Output::Wait`] or [`Output::Close`].
    pub fn poll_output(&mut self, now: Time) -> Output<'_> {
        let _ = now;
        Output::Close
    }

    /// Bytes held beyond the struct itself.
    #[must_use]
    pub fn held(&self) -> usize {
        0
    }

    /// The bounds it was given.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.config.limits
    }
}
