//! Bounds of connections, and why they are what they are.

use rustls::ServerConfig;
use std::sync::Arc;
use std::time::Duration;

/// How a listener's connections use TLS.
#[derive(Clone, Debug, Default)]
pub enum Tls {
    /// Not at all: [`crate::Output::Upgrade`] ends the connection.
    #[default]
    Never,
    /// When the machine asks, by [`crate::Output::Upgrade`].
    OnRequest(Arc<ServerConfig>),
    /// From the first byte.
    Always(Arc<ServerConfig>),
}

/// How connections are driven. Each connection holds, beyond its machine, at most `gather` + `read_max` bytes, and
/// nothing while it is idle.
#[derive(Clone, Debug)]
pub struct Options {
    /// What listens, for the log.
    pub name: &'static str,
    /// Whether and when TLS starts.
    pub tls: Tls,
    /// Output is gathered up to this many bytes, so that a reply in parts is one system call; that much may be held for
    /// a slow peer. 16 KiB: one TLS record.
    pub gather: usize,
    /// Input is read ahead up to this many bytes while the machine wants none, so that a hang-up is seen. 8 KiB.
    pub read_ahead: usize,
    /// Bytes read at once where much comes: what a machine does not take at once is kept. 64 KiB.
    pub read_max: usize,
    /// How long a TLS handshake may take, and how long it may wait for its turn. 10 s.
    pub handshake: Duration,
    /// How long a peer may take none of what is to be sent. 5 minutes.
    pub stall: Duration,
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new(name: &'static str, tls: Tls) -> Self {
        Self {
            name,
            tls,
            gather: 16 * 1024,
            read_ahead: 8 * 1024,
            read_max: 64 * 1024,
            handshake: Duration::from_secs(10),
            stall: Duration::from_secs(300),
        }
    }

    /// [`Options::handshake`] in milliseconds.
    pub(crate) fn handshake_millis(&self) -> u64 {
        u64::try_from(self.handshake.as_millis()).unwrap_or(u64::MAX)
    }
}
