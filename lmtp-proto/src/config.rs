//! What a session is told about the server and its peer.

use crate::Limits;

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
    /// Whoever runs it wants this session to end: the same, in other words.
    Kick,
    /// The connection has to make room for another: the session says 421 and closes.
    Evicted,
}
