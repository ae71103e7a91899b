//! One LMTP connection, server side (RFC 2033).

use crate::{Answer, Ask, Limits, Position, Ticket, Time};
use std::ops::Range;
use std::sync::Arc;

/// What all connections of a listener share.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// How the server calls itself in the greeting and to LHLO: a domain name, printable ASCII.
    pub hostname: Box<str>,
    /// Whether STARTTLS is offered on connections that are not yet TLS.
    pub starttls: bool,
    /// Whether BINARYMIME is offered. Only for a store whose readers can be given NUL and bare CR and LF.
    pub binary: bool,
    /// Whether SMTPUTF8 is offered. Only for a store whose readers can be given UTF-8 in headers.
    pub utf8: bool,
    /// The bounds.
    pub limits: Limits,
}

impl Config {
    /// A server of this name, without STARTTLS, BINARYMIME and SMTPUTF8, with the default limits.
    #[must_use]
    pub fn new(hostname: &str) -> Self {
        Self {
            hostname: hostname.into(),
            starttls: false,
            binary: false,
            utf8: false,
            limits: Limits::default(),
        }
    }
}

/// The other side, as far as it can be believed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Peer {
    /// Whether what it says comes through TLS.
    pub tls: bool,
}

/// What happens to the server while a connection lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// It stops: the session says 421 at its next command boundary and closes.
    Shutdown,
}

/// A wish of the session.
#[derive(Debug, Eq, PartialEq)]
pub enum Output<'a> {
    /// Bytes that may leave: write what the socket takes of them, then call [`Session::transmitted`] with the count,
    /// which may be 0. After a count below the length the rest is offered behind the next [`Output::Wait`].
    Transmit(&'a [u8]),
    /// A question for the store.
    Ask(Ticket, Ask),
    /// The answer to this question is of no use any more. It may still come, and is then ignored, save that to
    /// [`Ask::BodyDone`]: it still becomes replies.
    Cancel(Ticket),
    /// Message text without its transparency dots, for the [`Ask::BodyOpen`] of this ticket: this range of the slice
    /// last offered to [`Session::handle_input`]. Poll all output before offering more.
    Body(Ticket, Range<usize>),
    /// Message text that came at the end of an earlier slice (a CR behind a dot, which might have begun the end).
    BodyHeld(Ticket, &'static [u8]),
    /// STARTTLS's reply has been transmitted: start TLS, offer no input before [`Session::handle_upgraded`].
    Upgrade,
    /// Nothing else for now.
    Wait {
        /// Whether input would be used. If not, it is offered again after the next `handle_*`.
        wants_input: bool,
        /// When [`Session::handle_timeout`] should be called, if nothing happens before.
        deadline: Option<Time>,
    },
    /// Everything has left: close the connection. Repeated from then on.
    Close,
}

/// One connection. Every method may be called at any time.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    peer: Peer,
    out: Vec<u8>,
    closing: bool,
}

impl Session {
    /// A connection that has just been accepted (for a listener with TLS: whose handshake is done). It greets.
    #[must_use]
    pub fn new(config: Arc<Config>, peer: Peer, now: Time) -> Self {
        let _ = now;
        let mut out = Vec::new();
        for part in ["220 ", &config.hostname, " LMTP\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
        Self { config, peer, out, closing: false }
    }

    /// Uses as much of `input` as it can now and returns that count; offer the rest again after the output has been
    /// polled. Takes nothing while an [`Output::Body`] of the last slice has not been polled.
    pub fn handle_input(&mut self, _now: Time, input: &[u8]) -> usize {
        if self.closing { 0 } else { input.len().min(self.config.limits.unsent) }
    }

    /// The store's answer. One to a question that is not open is ignored.
    pub fn handle_answer(&mut self, _now: Time, _ticket: Ticket, _answer: Answer) {}

    /// The journal is durable up to and including `position`.
    pub fn handle_durable(&mut self, _now: Time, _position: Position) {}

    /// Nothing behind `durable` will ever become durable: the replies that wait for it become `451 4.3.0`.
    pub fn handle_lost(&mut self, _now: Time, _durable: Position) {}

    /// Something happened to the server.
    pub fn handle_event(&mut self, _now: Time, event: Event) {
        match event {
            Event::Shutdown => self.closing = true,
        }
    }

    /// The TLS handshake asked for by [`Output::Upgrade`] is done. Nothing said before it counts (RFC 3207 §4.2).
    pub fn handle_upgraded(&mut self, _now: Time, peer: &Peer) {
        self.peer = *peer;
    }

    /// The peer will say no more, or is gone. Text that is not complete is forgotten; a delivery that is under way is
    /// cancelled, as the client has no reply and will send it again, but waited for.
    pub fn handle_eof(&mut self, _now: Time) {
        self.closing = true;
    }

    /// The time of the deadline has come; does nothing when it has not.
    pub fn handle_timeout(&mut self, _now: Time) {}

    /// What the session wishes next; poll until [`Output::Wait`] or [`Output::Close`].
    pub fn poll_output(&mut self, _now: Time) -> Output<'_> {
        if !self.out.is_empty() {
            Output::Transmit(&self.out)
        } else if self.closing {
            Output::Close
        } else {
            Output::Wait { wants_input: true, deadline: None }
        }
    }

    /// The first `n` bytes of the last [`Output::Transmit`] have been taken.
    pub fn transmitted(&mut self, n: usize) {
        self.out.drain(..n.min(self.out.len()));
    }

    /// Bytes of memory this session holds beyond its own size; for tests and statistics.
    #[must_use]
    pub fn held(&self) -> usize {
        self.out.capacity()
    }
}
