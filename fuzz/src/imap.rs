//! `imap_session` and `imap_command`: the same bytes, cut otherwise, give the same transcript against a model store, and
//! what it says is IMAP by a grammar that isn't ours.
//! `imap_mime`: a message's structure does not depend on the pieces it came in.

use crate::grammar::Checker;
use imap_proto::date::parse_message_date;
use imap_proto::mime::decode::{Encoding, Transfer, decode_words};
use imap_proto::mime::{FieldName, Limits, Mime, Parser, PartId};
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

/// Input: a byte that says how to cut, and a message.
pub fn imap_mime(data: &[u8]) {
    let Some((&choice, message)) = data.split_first() else { return };
    let limits = if choice & 1 == 0 {
        Limits::default()
    } else {
        Limits { depth: 3, parts: 5, header: 200, headers: 500, field: 40, kept: 120, addresses: 2 }
    };
    let whole = parse(limits, message, message.len().max(1));
    let cut = parse(limits, message, usize::from(choice >> 1) + 1);
    assert_eq!(whole, cut);
    let length = message.len() as u64;
    assert!(whole.parts().len() <= limits.parts as usize);
    assert!(whole.parts().iter().all(|part| part.size() <= length));
    let mut out = Vec::new();
    whole.write_envelope(&mut out);
    whole.write_structure(false, &mut out);
    whole.write_structure(true, &mut out);
    assert!(!out.contains(&b'\0'), "a wire form has no NUL");
    let mut words = Vec::new();
    if let Some(subject) = whole.field(PartId::ROOT, FieldName::Subject) {
        decode_words(subject, &mut words);
    }
    if let Some(date) = whole.field(PartId::ROOT, FieldName::Date) {
        parse_message_date(date);
    }
    for name in [&b"base64"[..], b"quoted-printable", b"7bit"] {
        transfer(Encoding::of(name), message, usize::from(choice >> 1) + 1);
    }
}

fn parse(limits: Limits, message: &[u8], cut: usize) -> Mime {
    let mut parser = Parser::new(limits);
    message.chunks(cut).for_each(|piece| parser.feed(piece));
    parser.finish()
}

fn transfer(encoding: Encoding, body: &[u8], cut: usize) {
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    Transfer::new(encoding).feed(body, &mut whole);
    let mut transfer = Transfer::new(encoding);
    body.chunks(cut).for_each(|piece| transfer.feed(piece, &mut pieces));
    assert_eq!(whole, pieces);
    assert!(whole.len() <= body.len());
}
