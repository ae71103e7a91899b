//! Who may connect, and who has to make room: the server decides, this crate asks and obeys.

use crate::clock::Time;
use crate::machine::Peer;
use std::sync::Arc;
use std::task::Context;

/// Asked for each connection when it was accepted, before a byte is read or written. Must not block.
pub trait Door: Send + Sync + 'static {
    /// What goes with a connection from here to its end; its drop says that it is over.
    type Pass: Pass;

    /// Lets a connection in.
    ///
    /// # Errors
    /// What it is told before it is closed: sent as it is, so empty where TLS is expected from the first byte.
    fn enter(&self, peer: &Peer, now: Time) -> Result<Arc<Self::Pass>, &'static [u8]>;
}

/// A connection that was let in.
pub trait Pass: Send + Sync + 'static {
    /// Whether it has to make room for another one; when not, `cx` is woken once it has. It is then told by
    /// [`crate::Machine::handle_eviction`], and closed whether or not it takes what that says.
    fn poll_evicted(&self, cx: &Context<'_>) -> bool;

    /// When it ends if it is still in a handshake then.
    fn deadline(&self) -> Option<Time>;

    /// The peer takes nothing since now, and so many bytes wait for it. May be said again with other numbers.
    fn stalled(&self, now: Time, held: usize);

    /// After `stalled`: it took something.
    fn flows(&self);
}

/// Everybody may come in and stay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Door for Open {
    type Pass = Self;

    fn enter(&self, _: &Peer, _: Time) -> Result<Arc<Self>, &'static [u8]> {
        Ok(Arc::new(Self))
    }
}

impl Pass for Open {
    fn poll_evicted(&self, _: &Context<'_>) -> bool {
        false
    }

    fn deadline(&self) -> Option<Time> {
        None
    }

    fn stalled(&self, _: Time, _: usize) {}

    fn flows(&self) {}
}
