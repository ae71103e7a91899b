//! Waiting for the first word of a TLS client.
//!
//! Places for handshakes are few, so nobody gets one before all of his first record is here: a peer that sends it byte by
//! byte, or never, keeps no other one waiting. Until then the bytes stay in the kernel, and cost us no memory.

use crate::socket::Socket;
use std::cell::RefCell;
use std::io;
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

/// Ready once the first record has come, or what has come begins none, or nothing more comes: the handshake then goes
/// on, or fails, at once.
pub(crate) fn poll_hello(socket: &Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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
