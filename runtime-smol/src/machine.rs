//! What a protocol session looks like to the driver.

use crate::clock::Time;
use std::net::SocketAddr;
use std::task::Context;

/// What a machine wants next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Output<'a> {
    /// These bytes are to be sent. The driver takes some from the front and says how many by
    /// [`Machine::transmitted`]; it may hold up to [`crate::Options::gather`] of them for a peer that reads slowly.
    Transmit(&'a [u8]),
    /// All is sent; TLS follows. No input is offered until [`Machine::handle_upgraded`]. Input that came before the
    /// handshake ends the connection, unseen by the machine.
    Upgrade,
    /// Nothing to send.
    Wait {
        /// Whether [`Machine::handle_input`] would use input now. Otherwise the driver reads a little ahead and keeps
        /// it, so that a hang-up is seen.
        wants_input: bool,
        /// When to call [`Machine::handle_timeout`]; never early, up to a second late.
        deadline: Option<Time>,
    },
    /// All is sent; the connection ends.
    Close,
}

/// The other side of a connection, as far as it can be believed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Peer {
    /// Its address; `None` on a UNIX socket.
    pub addr: Option<SocketAddr>,
    /// Whether what it says comes through TLS.
    pub tls: bool,
    /// Whether it is on this machine (loopback address or UNIX socket).
    pub loopback: bool,
    /// The server name it asked for (RFC 6066 §3), in TLS.
    pub sni: Option<String>,
    /// The protocol agreed on (RFC 7301), in TLS.
    pub alpn: Option<Vec<u8>>,
}

/// A session without I/O. Every method may be called at any time, and none may block or take longer than 1 ms.
pub trait Machine: Send {
    /// Takes input: as much as it can use now, and returns that count. The rest is offered again after other progress.
    fn handle_input(&mut self, now: Time, input: &[u8]) -> usize;

    /// Bytes of input that may be read at once, and so be kept, beside the bounds of [`crate::Options`]: a machine
    /// that owes its peer nothing yet may want less.
    fn read_most(&self) -> usize {
        usize::MAX
    }

    /// The peer will send no more. Called once, after all input was taken or when the connection broke. What is still
    /// to be sent is sent if possible.
    fn handle_eof(&mut self, now: Time);

    /// The deadline of the last [`Output::Wait`] passed, or some time did; must do nothing when it is not due.
    fn handle_timeout(&mut self, now: Time);

    /// TLS stands, after [`Output::Upgrade`].
    fn handle_upgraded(&mut self, now: Time, peer: &Peer);

    /// The server stops. Called once; the machine should say goodbye and close at its next good moment.
    fn handle_shutdown(&mut self, now: Time);

    /// The connection has to make room for another ([`crate::Pass::poll_evicted`]). Called once; what is then given to be
    /// sent is sent as far as the peer takes it at once, and the connection ends.
    fn handle_eviction(&mut self, now: Time);

    /// Bytes of output that it holds, about; asked for when the peer takes nothing.
    fn held(&self) -> usize;

    /// Polls what else the machine waits for (answers, durability, changes of a mailbox), so that the task is woken by
    /// `cx` when one comes. True if the machine's state changed; it is then polled again before the task sleeps.
    fn poll_events(&mut self, now: Time, cx: &mut Context<'_>) -> bool;

    /// What to do next. Called until it gives something else than [`Output::Transmit`].
    fn poll_output(&mut self, now: Time) -> Output<'_>;

    /// The driver took the first `n` bytes of the last [`Output::Transmit`].
    fn transmitted(&mut self, n: usize);
}
