//! `imap_mime`: a message's structure does not depend on the pieces it came in.

use imap_proto::date::parse_message_date;
use imap_proto::mime::decode::{Encoding, Transfer, decode_words};
use imap_proto::mime::{FieldName, Limits, Mime, Parser, PartId};

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
