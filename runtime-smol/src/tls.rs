//! TLS under a connection: handshakes, few at once and none for long.

use crate::clock::Time;
use crate::machine::Peer;
use crate::reactor::Timer;
use crate::socket::Socket;
use futures_rustls::TlsAcceptor;
use futures_rustls::server::TlsStream;
use rustls::ServerConfig;
use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Bytes that TLS may hold for a peer that doesn't take them, encrypted or to be encrypted.
const UNSENT: usize = 32 * 1024;

/// Bytes that a peer may send before its handshake is done: TLS gathers a message whole before it looks at it. A
/// ClientHello with post-quantum keys has two thousand; what a client sends behind its last message counts too.
const HANDSHAKE: usize = 16 * 1024;

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error("the handshake took longer than {allowed} ms")]
    TooSlow { allowed: u64 },
    #[error("the handshake failed: {0}")]
    Failed(#[from] io::Error),
}

/// Does the server's part of a handshake; waiting for a place among `gate` and the handshake may take `allowed`
/// milliseconds each.
pub(crate) async fn handshake(
    mut socket: Socket,
    config: Arc<ServerConfig>,
    gate: &Gate,
    allowed: u64,
) -> Result<Box<TlsStream<Socket>>, HandshakeError> {
    let reactor = Arc::clone(socket.reactor());
    let clock = reactor.clock();
    let mut timer = Timer::new(&reactor);
    let late = || HandshakeError::TooSlow { allowed };
    let from_now = || Time(clock.now().0.saturating_add(allowed));

    let deadline = from_now();
    let mut place = gate.enter();
    poll_fn(|cx| match place.poll(cx) {
        true => Poll::Ready(Ok(())),
        false => timer.poll(cx, clock.now(), deadline).map(|()| Err(late())),
    })
    .await?;

    let deadline = from_now();
    let acceptor = TlsAcceptor::from(config);
    let limit = |tls: &mut rustls::ServerConnection| tls.set_buffer_limit(Some(UNSENT));
    socket.allow(Some(HANDSHAKE));
    let mut accept = Box::pin(acceptor.accept_with(socket, limit));
    let mut tls = poll_fn(|cx| match accept.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(done.map_err(HandshakeError::Failed)),
        Poll::Pending => timer.poll(cx, clock.now(), deadline).map(|()| Err(late())),
    })
    .await?;
    tls.get_mut().0.allow(None);
    Ok(Box::new(tls))
}

/// What TLS says of the peer.
pub(crate) fn describe(peer: &mut Peer, tls: &TlsStream<Socket>) {
    let (_, session) = tls.get_ref();
    peer.tls = true;
    peer.sni = session.server_name().map(str::to_owned);
    peer.alpn = session.alpn_protocol().map(<[u8]>::to_vec);
}

/// Lets a bounded number in at once; the others wait in line.
#[derive(Clone)]
pub(crate) struct Gate {
    shared: Arc<Mutex<Line>>,
}

struct Line {
    free: usize,
    next: u64,
    /// Who waits, and whom to wake.
    waiting: VecDeque<(u64, Waker)>,
}

impl Gate {
    pub(crate) fn new(places: usize) -> Self {
        let line = Line { free: places.max(1), next: 0, waiting: VecDeque::new() };
        Self { shared: Arc::new(Mutex::new(line)) }
    }

    pub(crate) fn enter(&self) -> Place {
        let mut line = self.lock();
        let ticket = line.next;
        line.next += 1;
        drop(line);
        Place { gate: self.clone(), ticket, inside: false }
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place behind the [`Gate`], or in line for it. Dropping it lets the next one in.
pub(crate) struct Place {
    gate: Gate,
    ticket: u64,
    inside: bool,
}

impl Place {
    /// Whether it is inside now.
    fn poll(&mut self, cx: &Context<'_>) -> bool {
        if self.inside {
            return true;
        }
        let mut line = self.gate.lock();
        let at = line.waiting.iter().position(|(ticket, _)| *ticket == self.ticket);
        // Free places are for those in front, as many as there are.
        if at.unwrap_or(line.waiting.len()) < line.free {
            if let Some(at) = at {
                line.waiting.remove(at);
            }
            line.free -= 1;
            self.inside = true;
            return true;
        }
        match at.and_then(|at| line.waiting.get_mut(at)) {
            Some((_, waker)) => waker.clone_from(cx.waker()),
            None => line.waiting.push_back((self.ticket, cx.waker().clone())),
        }
        false
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut line = self.gate.lock();
        line.waiting.retain(|(ticket, _)| *ticket != self.ticket);
        line.free += usize::from(self.inside);
        // Whoever may go in now; also when one in front gave up after it was woken.
        let free = line.free;
        let next: Vec<Waker> = line.waiting.iter().take(free).map(|(_, w)| w.clone()).collect();
        drop(line);
        next.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_lets_in_as_many_as_it_has_places_in_the_order_they_came() {
        let gate = Gate::new(2);
        let cx = Context::from_waker(Waker::noop());
        let mut places: Vec<Place> = (0..5).map(|_| gate.enter()).collect();
        let inside = |places: &mut Vec<Place>| -> Vec<u64> {
            let inside =
                places.iter_mut().filter_map(|place| place.poll(&cx).then_some(place.ticket));
            inside.collect()
        };
        assert_eq!(inside(&mut places), [0, 1]);
        places.remove(2); // gives up in line
        places.remove(0);
        assert_eq!(inside(&mut places), [1, 3]);
        places.clear();
        assert_eq!(gate.lock().free, 2);
    }
}
