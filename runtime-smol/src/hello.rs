//! From a socket to TLS: waiting for the client's first word, then the handshake.
//!
//! Places for handshakes are few, so nobody gets one before all of his first record is here: a peer that sends it byte by
//! byte, or never, keeps no other one waiting. Until then the bytes stay in the kernel, and cost us no memory.

use crate::clock::Time;
use crate::door::Pass;
use crate::options::Options;
use crate::reactor::Timer;
use crate::runtime::Place;
use crate::socket::Socket;
use crate::tls::{Gate, HandshakeError, handshake};
use futures_rustls::server::TlsStream;
use rustls::ServerConfig;
use std::cell::RefCell;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A record's header: its type, a version, and a length of two bytes (RFC 8446 §5.1).
const HEADER: usize = 5;

/// The longest plaintext record, with its header (RFC 8446 §5.1).
const RECORD_MAX: usize = HEADER + (1 << 14);

/// The type of a record with a handshake message (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;

thread_local! {
    static SEEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Waits for the client's first word, then does the handshake; each may take [`Options::handshake`], and all of it ends
/// when the pass does, or the server.
pub(crate) async fn secure(
    place: &Place,
    socket: Socket,
    config: &Arc<ServerConfig>,
    options: &Options,
    gate: &Gate,
    pass: &dyn Pass,
) -> Result<Box<TlsStream<Socket>>, HandshakeError> {
    let allowed = options.handshake_millis();
    let clock = place.reactor.clock();
    let late = || HandshakeError::TooSlow { allowed };
    let (mut timer, mut end) = (Timer::new(&place.reactor), Timer::new(&place.reactor));
    let mut stop = place.stop.watch();
    let mut is_over = |cx: &mut Context<'_>| {
        let due = |at| end.poll(cx, clock.now(), at).is_ready();
        pass.deadline().is_some_and(due) || pass.poll_evicted(cx) || stop.poll(cx)
    };
    let deadline = Time(clock.now().0.saturating_add(allowed));
    poll_fn(|cx| match (is_over(cx), poll_hello(&socket, cx)) {
        (true, _) => Poll::Ready(Err(late())),
        (false, Poll::Ready(done)) => Poll::Ready(done.map_err(HandshakeError::Failed)),
        (false, Poll::Pending) => timer.poll(cx, clock.now(), deadline).map(|()| Err(late())),
    })
    .await?;
    let mut shaking = pin!(handshake(socket, Arc::clone(config), gate, allowed));
    poll_fn(|cx| match (is_over(cx), shaking.as_mut().poll(cx)) {
        (true, _) => Poll::Ready(Err(late())),
        (false, polled) => polled,
    })
    .await
}

/// Ready once the first record has come, or what has come begins none, or nothing more comes: the handshake then goes
/// on, or fails, at once.
fn poll_hello(socket: &Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    SEEN.with_borrow_mut(|seen| {
        seen.resize(RECORD_MAX, 0);
        let mut before = None;
        loop {
            match socket.poll_peek(cx, seen, is_whole) {
                Poll::Ready(Ok(n)) => {
                    // What is said again with nothing new is the end.
                    let last = before.replace(n) == Some(n);
                    if n == 0 || last || is_whole(seen.get(..n).unwrap_or_default()) {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
}

/// Whether this begins with a whole record, or with something that is none.
fn is_whole(bytes: &[u8]) -> bool {
    match bytes {
        [] => false,
        [HANDSHAKE, _, _, high, low, rest @ ..] => {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            // What is too long is for the handshake to refuse.
            rest.len() >= len || HEADER + len > RECORD_MAX
        }
        [HANDSHAKE, ..] => false,
        [_, ..] => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_record_is_whole_and_what_is_none_is_not_waited_for() {
        let record = [22, 3, 1, 0, 3, 1, 2, 3];
        for n in 0..record.len() {
            assert!(!is_whole(&record[..n]), "{n}");
        }
        assert!(is_whole(&record) && is_whole(&[&record[..], b"more"].concat()));
        assert!(is_whole(b"G") && is_whole(b"\x17"));
        assert!(is_whole(&[22, 3, 1, 0xff, 0xff]), "no record is that long");
    }
}
