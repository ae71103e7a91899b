//! What holds for any mail, whatever is in it.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)] // helpers of tests

mod mime_support;

use imap_proto::Seq;
use imap_proto::fetch::{FetchItems, Fixed, Rows, Section, SectionKind, render_row};
use imap_proto::mime::header::{Initials, RawField, RawFields};
use imap_proto::mime::{Extent, Found, Kind, Layout, Limits, Mime, Parser, PartId, Place};
use mime_support::{Stored, flatten, hostile_mail, meta, parse, parse_with, shown};
use proptest::prelude::*;

/// What holds for the tree of any message.
fn check(mime: &Mime, message: &[u8]) -> Result<(), TestCaseError> {
    prop_assert_eq!((mime.root().header, mime.root().end), (0, message.len() as u64));
    for (index, part) in mime.parts().iter().enumerate() {
        prop_assert!(part.header <= part.body && part.body <= part.end);
        let body = &message[part.body as usize..part.end as usize];
        let lines = body.iter().filter(|&&byte| byte == b'\n').count() as u64;
        prop_assert_eq!(part.lines, lines);
        prop_assert_eq!(part.parent().is_none(), index == 0);
        if let Some(parent) = part.parent() {
            let at = mime
                .parts()
                .iter()
                .position(|other| std::ptr::eq(other, mime.part(parent)))
                .unwrap();
            let parent = mime.part(parent);
            prop_assert!(at < index);
            prop_assert!(parent.body <= part.header && part.end <= parent.end);
            if parent.kind == Kind::Message {
                prop_assert_eq!((part.header, part.end), (parent.body, parent.end));
            }
        }
        let mut at = part.body;
        for child in mime.children(PartId::ROOT).filter(|_| index == 0) {
            prop_assert!(at <= mime.part(child).header, "parts are in order and apart");
            at = mime.part(child).end;
        }
    }
    Ok(())
}

/// The message, all its parts, and some that it hasn't.
fn more_paths(mime: &Mime) -> Vec<Vec<u32>> {
    let mut all = [vec![vec![]], paths(mime)].concat();
    let none = |path: &Vec<u32>| [0, 1, 9].map(|number| [path.as_slice(), &[number]].concat());
    all.extend(all.clone().iter().flat_map(none));
    all
}

/// A layout as it is read again.
fn kept(layout: &Layout, len: usize) -> Result<Layout, TestCaseError> {
    let mut bytes = Vec::new();
    layout.write(&mut bytes);
    let read = Layout::read(&bytes, len as u64);
    prop_assert_eq!(read.as_ref(), Some(layout));
    Ok(read.unwrap())
}

/// As much of a place as was asked for.
fn seen(found: Found<Place>, extent: Extent) -> Found<Place> {
    let Found::Part(mut place) = found else { return found };
    if extent != Extent::Whole {
        place.end = 0;
        place.inside = place
            .inside
            .filter(|_| extent == Extent::Inside)
            .map(|(header, body, _)| (header, body, 0));
    }
    Found::Part(place)
}

/// What is said of the parts of a message that comes in pieces is what is said of them in the end.
fn check_known(message: &[u8], step: usize) -> Result<(), TestCaseError> {
    let mime = parse(message);
    let paths = more_paths(&mime);
    let whole = mime.layout();
    prop_assert!(whole.is_complete());
    let mut parser = Parser::new(Limits::default());
    for piece in message.chunks(step) {
        parser.feed(piece);
        let layout = kept(&parser.layout(), message.len())?;
        prop_assert!(!layout.is_complete());
        for path in &paths {
            for extent in [Extent::Header, Extent::Inside, Extent::Whole] {
                let found = seen(parser.place(path, extent), extent);
                prop_assert_eq!(seen(layout.place(path, extent), extent), found);
                if found != Found::Unknown {
                    prop_assert_eq!(
                        found,
                        seen(whole.place(path, extent), extent),
                        "{:?} {:?}",
                        path,
                        extent
                    );
                }
            }
        }
    }
    let read = kept(&whole, message.len())?;
    for path in &paths {
        let place = mime.place(path).map_or(Found::Nothing, Found::Part);
        prop_assert_eq!(whole.place(path, Extent::Whole), place);
        prop_assert_eq!(read.place(path, Extent::Whole), place);
    }
    // Lines in front of the message move everything but where it begins.
    let moved = kept(&whole.clone().behind(9), message.len() + 9)?;
    if !message.starts_with(b" ") && !message.starts_with(b"\t") {
        let longer = parse(&[&b"X-To: 1\r\n"[..], message].concat());
        prop_assert_eq!(moved, longer.layout());
    }
    Ok(())
}

/// The empty line behind a header may turn out to belong to a boundary.
#[test]
fn a_part_is_not_known_too_early() {
    let mail = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: y\r\n\r\n--b\r\n\
                Content-Type: message/rfc822\r\n\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
                Subject: z\r\n\r\n--b\r\n\r\n--b--\r\nthe end";
    for (mail, step) in [(mail, 1), (mail, 3), (&mail.replace('\r', ""), 1)] {
        check_known(mail.as_bytes(), step).unwrap();
    }
}

proptest! {
    #[test]
    fn fields_found_by_their_initials_are_those_of_all(
        message in hostile_mail(),
        names in prop::collection::vec("[a-zA-Z-]{0,9}|subject|Content-Type|FROM|x", 1..4),
    ) {
        let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
        let is_named = |field: &RawField<'_>| names.iter().any(|name| field.name.eq_ignore_ascii_case(name));
        let (mut all, mut some) =
            (RawFields::new(&message), RawFields::beginning(&message, Initials::of(names.iter().copied())));
        let expected: Vec<_> = all.by_ref().filter(is_named).collect();
        let found: Vec<_> = some.by_ref().filter(is_named).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(some.at(), all.at());
    }

    #[test]
    fn any_cuts_give_the_same_tree(message in hostile_mail(), cuts in prop::collection::vec(0usize..600, 0..6)) {
        let mime = parse(&message);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(message.len())).collect();
        cuts.extend([0, message.len()]);
        cuts.sort_unstable();
        let mut parser = Parser::new(Limits::default());
        for pair in cuts.windows(2) {
            parser.feed(&message[pair[0]..pair[1]]);
        }
        prop_assert_eq!(parser.finish(), mime);
    }

    #[test]
    fn what_is_said_of_a_part_stays_true(message in hostile_mail(), step in 1usize..40) {
        check_known(&message, step)?;
    }

    #[test]
    fn any_bytes_are_a_layout_inside_the_message_or_none(bytes in prop::collection::vec(any::<u8>(), 0..60), len in 0u64..500) {
        if let Some(layout) = Layout::read(&bytes, len) {
            for path in [&[][..], &[1], &[2], &[1, 1], &[1, 2, 1]] {
                if let Found::Part(place) = layout.place(path, Extent::Whole) {
                    prop_assert!(place.header <= place.body && place.body <= place.end && place.end <= len);
                }
            }
        }
    }

    #[test]
    fn row_30_any_message_is_a_tree(message in hostile_mail()) {
        let mime = parse(&message);
        check(&mime, &message)?;
        for limits in [Limits { depth: 1, ..Limits::default() }, Limits { parts: 3, ..Limits::default() }] {
            let mime = parse_with(&message, limits);
            check(&mime, &message)?;
            prop_assert!(mime.parts().len() <= limits.parts as usize);
        }
    }

    /// RFC 9051 §7.5.2: body size is "the size of the body in octets", and BODY[n] is that body; n.MIME, n, and what
    /// lies between the parts are the whole of it.
    #[test]
    fn a_section_has_the_octets_that_the_structure_says(message in hostile_mail()) {
        let message: Vec<u8> = message.into_iter().filter(|&byte| byte != 0).collect();
        let mut stored = Stored::new(message.clone());
        let mime = parse(&message);
        for path in paths(&mime) {
            let part = mime.part(mime.find(&path).unwrap());
            let mut octets = |kind| {
                let section = Section::new(path.clone(), kind, None, true);
                let items = FetchItems { fixed: Fixed::default(), sections: vec![section] };
                let mut rows = Rows::default();
                render_row(&mut rows, &items, false, Seq(1), &meta(), &mut stored).unwrap();
                let row = flatten(&rows.into_pieces(), &message);
                literal(&row)
            };
            prop_assert_eq!(octets(SectionKind::All), &message[part.body as usize..part.end as usize]);
            let header = octets(SectionKind::Mime);
            prop_assert_eq!(header, &message[part.header as usize..part.body as usize]);
            if part.kind == Kind::Message {
                let both = [octets(SectionKind::Header), octets(SectionKind::Text)].concat();
                prop_assert_eq!(both, octets(SectionKind::All), "header and text are all of a message");
            }
        }
    }

    #[test]
    fn any_message_renders_in_balance(message in hostile_mail()) {
        let mime = parse(&message);
        let mut out = Vec::new();
        mime.write_envelope(&mut out);
        mime.write_structure(true, &mut out);
        mime.write_structure(false, &mut out);
        prop_assert!(balanced(&out), "{}", shown(&out));
    }

    #[test]
    fn any_address_list_renders_in_balance(value in "[a-c@<>,;:\"\\\\() .\\[\\]]{0,40}") {
        let mut out = Vec::new();
        parse(format!("From: {value}\r\n\r\n").as_bytes()).write_envelope(&mut out);
        prop_assert!(balanced(&out), "{}", shown(&out));
    }
}

/// The numbers of all parts.
fn paths(mime: &Mime) -> Vec<Vec<u32>> {
    let mut paths = Vec::new();
    let mut stack = vec![vec![]];
    while let Some(path) = stack.pop() {
        let inside = (1..).map(|n| [path.as_slice(), &[n]].concat());
        let found: Vec<Vec<u32>> = inside.take_while(|path| mime.find(path).is_some()).collect();
        stack.extend(found.iter().cloned());
        paths.extend(found);
    }
    paths
}

/// The string of a row with one item.
fn literal(row: &[u8]) -> Vec<u8> {
    if row.ends_with(b" \"\")\r\n") {
        return Vec::new();
    }
    let open = row.iter().position(|&byte| byte == b'{').unwrap();
    let close = open + row[open..].iter().position(|&byte| byte == b'}').unwrap();
    let len: usize = std::str::from_utf8(&row[open + 1..close]).unwrap().parse().unwrap();
    let text = row[close + 3..].strip_suffix(b")\r\n").unwrap();
    assert_eq!(text.len(), len);
    text.to_vec()
}

/// Whether parentheses outside strings balance and every string ends.
fn balanced(wire: &[u8]) -> bool {
    let mut depth = 0i64;
    let mut rest = wire;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'"' => loop {
                match rest {
                    [b'\\', b'"' | b'\\', after @ ..] => rest = after,
                    [b'"', after @ ..] => {
                        rest = after;
                        break;
                    }
                    [b' '..=b'~', after @ ..] => rest = after,
                    _ => return false,
                }
            },
            b'{' => {
                let close = rest.iter().position(|&byte| byte == b'}').unwrap();
                let len: usize = std::str::from_utf8(&rest[..close]).unwrap().parse().unwrap();
                if !rest[close..].starts_with(b"}\r\n") || rest[close + 3..].len() < len {
                    return false;
                }
                rest = &rest[close + 3 + len..];
            }
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

/// Base64 in lines, without an end to the last.
fn base64_lines() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec("[A-Za-z0-9+/=]{1,30}", 1..6);
    (lines, prop::sample::select(vec!["\r\n", "\n"]))
        .prop_map(|(lines, end)| lines.join(end).into_bytes())
}

proptest! {
    /// What holds no boundary need not be seen.
    #[test]
    fn a_parser_may_skip_base64(pieces in prop::collection::vec((hostile_mail(), base64_lines()), 1..4), step in 1_usize..50) {
        let (mut whole, mut skipping) = (Parser::new(Limits::default()), Parser::new(Limits::default()));
        for (text, base64) in &pieces {
            for parser in [&mut whole, &mut skipping] {
                parser.feed(text);
                // Where a line begins, as base64 does.
                parser.feed(b"\r\n\r\n");
            }
            base64.chunks(step).for_each(|piece| whole.feed(piece));
            let line_feeds = base64.iter().filter(|byte| **byte == b'\n').count() as u64;
            if !skipping.skip(base64.len() as u64, line_feeds) {
                skipping.feed(base64);
            }
            for parser in [&mut whole, &mut skipping] {
                parser.feed(b"\r\n--a\r\n");
            }
        }
        prop_assert_eq!(whole.finish(), skipping.finish());
    }
}
