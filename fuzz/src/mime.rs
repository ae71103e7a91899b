//! `imap_mime`: a message's structure does not depend on the pieces it came in, is a tree that fits the bytes, and is
//! shown in the grammar of RFC 9051 §9.

use crate::body_grammar::{Grammar, Shown};
use imap_proto::date::parse_message_date;
use imap_proto::mime::decode::{Encoding, Transfer, decode_words};
use imap_proto::mime::{FieldName, Kind, Limits, Mime, Parser, PartId};

/// Input: a byte that says how to cut, and a message.
pub fn imap_mime(data: &[u8]) {
    let Some((&choice, message)) = data.split_first() else { return };
    let limits = if choice & 1 == 0 {
        Limits::default()
    } else {
        Limits { depth: 3, parts: 5, header: 200, headers: 500, field: 40, kept: 120, addresses: 2 }
    };
    let whole = parse(limits, message, message.len().max(1));
    let cut = usize::from(choice >> 1) + 1;
    assert_eq!(whole, parse(limits, message, cut));
    assert!(whole.parts().len() <= limits.parts as usize);
    check_tree(&whole, message);
    check_shown(&whole);

    let mut words = Vec::new();
    if let Some(subject) = whole.field(PartId::ROOT, FieldName::Subject) {
        decode_words(subject, &mut words);
    }
    if let Some(date) = whole.field(PartId::ROOT, FieldName::Date) {
        parse_message_date(date);
    }
    for name in [&b"base64"[..], b"quoted-printable", b"7bit"] {
        transfer(Encoding::of(name), message, cut);
    }
}

fn parse(limits: Limits, message: &[u8], cut: usize) -> Mime {
    let mut parser = Parser::new(limits);
    message.chunks(cut).for_each(|piece| parser.feed(piece));
    parser.finish()
}

/// What holds for the parts of any message.
fn check_tree(mime: &Mime, message: &[u8]) {
    let root = mime.root();
    assert_eq!((root.header, root.end), (0, message.len() as u64));
    let mut seen = 0;
    let mut stack = vec![PartId::ROOT];
    while let Some(id) = stack.pop() {
        seen += 1;
        let part = mime.part(id);
        assert!(part.header <= part.body && part.body <= part.end);
        let body = &message[part.body as usize..part.end as usize];
        assert_eq!(part.size(), body.len() as u64);
        let lines = body.iter().filter(|&&byte| byte == b'\n').count() as u64;
        assert_eq!(part.lines, lines, "lines are the line feeds of the body");
        let children: Vec<PartId> = mime.children(id).collect();
        assert_eq!(part.kind == Kind::Message, children.len() == 1 && part.kind != Kind::Multipart);
        assert!(children.is_empty() || matches!(part.kind, Kind::Message | Kind::Multipart));
        // Children lie inside their parent's body, in order and apart.
        let mut at = part.body;
        for &child in &children {
            let child_part = mime.part(child);
            assert!(child > id && child_part.parent() == Some(id));
            assert!(at <= child_part.header && child_part.end <= part.end);
            at = child_part.end;
        }
        if part.kind == Kind::Message {
            let inside = mime.part(children[0]);
            assert_eq!(
                (inside.header, inside.end),
                (part.body, part.end),
                "a message is all of it"
            );
        }
        stack.extend(children);
    }
    assert_eq!(seen, mime.parts().len(), "every part is reached once");
}

/// What is shown obeys the grammar, and its numbers are those of the parts.
fn check_shown(mime: &Mime) {
    let mut out = Vec::new();
    mime.write_envelope(&mut out);
    Grammar::check(&out, |grammar| grammar.envelope());
    let mut both = Vec::new();
    for extended in [false, true] {
        out.clear();
        mime.write_structure(extended, &mut out);
        let mut shown = Vec::new();
        Grammar::check(&out, |grammar| grammar.body(extended, &mut shown));
        both.push(shown);
    }
    assert_eq!(both[0], both[1], "BODY and BODYSTRUCTURE show the same parts");
    let shown = &mut both[0].iter().copied().peekable();
    let mut stack = vec![PartId::ROOT];
    while let Some(id) = stack.pop() {
        let part = mime.part(id);
        let children: Vec<PartId> = mime.children(id).collect();
        let inside = part.parent().is_some_and(|parent| mime.part(parent).kind == Kind::Message);
        match (shown.next().expect("every part is shown"), part.kind) {
            (Shown::Multipart(parts), Kind::Multipart) => assert_eq!(parts, children.len().max(1)),
            (Shown::Single(size), Kind::Leaf | Kind::Message | Kind::Opaque) => {
                assert_eq!(size, part.size());
            }
            (Shown::Invented, Kind::Leaf) if inside => assert_eq!(part.size(), 0),
            (other, kind) => panic!("{kind:?} is shown as {other:?}"),
        }
        // A multipart without parts shows an empty text, and so does a message that is encoded.
        if part.kind == Kind::Multipart && children.is_empty() {
            assert_eq!(shown.next(), Some(Shown::Single(0)));
        } else if part.kind == Kind::Leaf {
            shown.next_if_eq(&Shown::Invented);
        }
        stack.extend(children.into_iter().rev());
    }
    assert_eq!(shown.next(), None, "nothing else is shown");
}

fn transfer(encoding: Encoding, body: &[u8], cut: usize) {
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    Transfer::new(encoding).feed(body, &mut whole);
    let mut transfer = Transfer::new(encoding);
    body.chunks(cut).for_each(|piece| transfer.feed(piece, &mut pieces));
    assert_eq!(whole, pieces);
    assert!(whole.len() <= body.len());
}
