//! `imap_session` and `imap_command`: the same bytes, cut otherwise, give the same transcript against a model store, and
//! what it says is IMAP by a grammar that isn't ours.

use crate::grammar::Checker;
use imap_proto::model::{Happening, run};

/// Input: what the client sends.
pub fn imap_session(data: &[u8]) {
    let whole = seen(&[data]);
    // What comes behind STARTTLS ends the connection: when it comes is the point there.
    if contains(data, b"STARTTLS") {
        return;
    }
    for length in [1, 2, 13] {
        let pieces: Vec<&[u8]> = data.chunks(length).collect();
        let cut = seen(&pieces);
        // To a client that is none the session hangs up, whatever was still to be sent.
        if !(cut.1.contains(&Happening::Closed) && cut.0.starts_with(&whole.0)) {
            assert_eq!(whole.0, cut.0, "in pieces of {length}");
        }
        assert_eq!(whole.1, cut.1, "in pieces of {length}");
    }
}

/// Input: a command without its tag, for a session with a mailbox selected; also what may follow it.
pub fn imap_command(data: &[u8]) {
    let session = [b"a LOGIN u1 pw\r\nb SELECT INBOX\r\nc ", data, b"\r\nd NOOP\r\n"].concat();
    imap_session(&session);
}

/// What a peer saw, and what the store saw. How the two interleave depends on when bytes arrive.
fn seen(pieces: &[&[u8]]) -> (String, Vec<Happening>) {
    let (mut sent, mut asked) = (Vec::new(), Vec::new());
    let mut grammar = Checker::default();
    for happening in run(pieces) {
        match (happening, asked.last_mut()) {
            (Happening::Sent(bytes), _) => {
                grammar.feed(&bytes).unwrap_or_else(|why| panic!("{why}"));
                sent.extend_from_slice(&bytes);
            }
            (Happening::Body(more), Some(Happening::Body(sum))) => *sum += more,
            (other, _) => asked.push(other),
        }
    }
    (sent.escape_ascii().to_string(), asked)
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}
