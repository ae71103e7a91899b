//! Rows of FETCH: every item, every section, and that literals have the length they announce.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)] // helpers of tests

#[path = "grammar/mod.rs"]
mod grammar;
mod mime_support;

use imap_proto::fetch::{
    FetchItems, FieldNames, Fixed, Keywords, Meta, Piece, Rows, Section, SectionKind, SourceError,
    render_row,
};
use imap_proto::{Keyword, Seq, SystemFlags};
use mime_support::{Stored, crlf, flatten, hostile_mail, meta, shown};
use proptest::prelude::*;

const MAIL: &str = "From: A <a@b>
Subject: folded
 line
To: c@d
subject: again
Content-Type: multipart/mixed; boundary=x

preamble
--x

one
--x
Content-Type: message/rfc822
X: y

Subject: inside
From: c@d

inner body
--x--
";

fn pieces(stored: &mut Stored, items: &FetchItems) -> Vec<Piece> {
    let mut rows = Rows::default();
    render_row(&mut rows, items, false, Seq(1), &meta(), stored).unwrap();
    rows.into_pieces()
}

fn row(stored: &mut Stored, items: &FetchItems) -> Vec<u8> {
    let pieces = pieces(stored, items);
    flatten(&pieces, &stored.message)
}

fn section(path: &[u32], kind: SectionKind, partial: Option<(u64, u64)>) -> FetchItems {
    FetchItems {
        fixed: Fixed::default(),
        sections: vec![Section::new(path.to_vec(), kind, partial, true)],
    }
}

/// The item of one section of [`MAIL`], without the row around it.
fn part(path: &[u32], kind: SectionKind, partial: Option<(u64, u64)>) -> String {
    let row = row(&mut Stored::new(crlf(MAIL)), &section(path, kind, partial));
    shown(row.strip_prefix(b"* 1 FETCH (").and_then(|row| row.strip_suffix(b")\r\n")).unwrap())
}

fn names(names: &[&str]) -> FieldNames {
    FieldNames::new(names.iter().map(|name| name.as_bytes().to_vec()).collect())
}

/// A row that only facts make.
fn meta_row(fixed: Fixed, meta: &Meta<'_>) -> String {
    let mut rows = Rows::default();
    let items = FetchItems { fixed, sections: Vec::new() };
    assert!(items.meta_only());
    let mut stored = Stored::new(Vec::new());
    render_row(&mut rows, &items, false, Seq(7), meta, &mut stored).unwrap();
    assert_eq!((stored.headers, stored.reads), (0, 0));
    shown(&flatten(&rows.into_pieces(), b""))
}

#[test]
fn facts() {
    let all = Fixed::UID | Fixed::FAST | Fixed::MODSEQ | Fixed::SAVEDATE | Fixed::EMAILID;
    insta::assert_snapshot!(meta_row(all, &meta()), @r#"* 7 FETCH (UID 42 FLAGS (\Answered \Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 1234 MODSEQ (99) SAVEDATE NIL EMAILID (M00000000000000000000000000001234))\r\n"#);
    insta::assert_snapshot!(meta_row(Fixed::UID, &meta()), @r"* 7 FETCH (UID 42)\r\n");
    let date = meta().internal_date;
    insta::assert_snapshot!(meta_row(Fixed::SAVEDATE, &Meta { save_date: Some(date), ..meta() }), @r#"* 7 FETCH (SAVEDATE "17-Jul-1996 02:44:25 -0700")\r\n"#);
    insta::assert_snapshot!(meta_row(Fixed::SIZE, &Meta { size: u64::MAX, ..meta() }), @r"* 7 FETCH (RFC822.SIZE 18446744073709551615)\r\n");
    insta::assert_snapshot!(meta_row(Fixed::SIZE, &Meta { size: 0, ..meta() }), @r"* 7 FETCH (RFC822.SIZE 0)\r\n");
}

/// Of the message, or where that names no other and not even itself, of what names its content.
#[test]
fn thread_ids_are_of_the_eldest_that_is_named() {
    let row = |email_id, header: &str| {
        let mut rows = Rows::default();
        let items = FetchItems { fixed: Fixed::THREADID, sections: Vec::new() };
        assert!(!items.meta_only() && items.needs().envelope);
        let mut stored = Stored::new(format!("{header}\r\n").into_bytes());
        let meta = Meta { email_id, ..meta() };
        render_row(&mut rows, &items, false, Seq(7), &meta, &mut stored).unwrap();
        shown(&flatten(&rows.into_pieces(), b""))
    };
    let first = row(1, "Message-ID: <a@x>\r\n");
    assert!(first.starts_with("* 7 FETCH (THREADID (T") && first.ends_with("))\\r\\n"), "{first}");
    for reply in [
        "References: <a@x> <b@x>\r\nIn-Reply-To: <b@x>\r\nMessage-ID: <c@x>\r\n",
        "REFERENCES:\r\n <\"a\"@x>\r\n",
        "References: none\r\nIn-Reply-To: your <a@x>\r\n",
    ] {
        assert_eq!(row(2, reply), first, "{reply}");
    }
    let none = "Subject: x\r\n";
    assert_eq!(row(1, none), row(1, none));
    assert_ne!(row(1, none), row(2, none));
    assert_ne!(row(1, none), first);
}

#[test]
fn flags() {
    let flags = |flags, recent, keywords| {
        meta_row(Fixed::FLAGS, &Meta { flags, recent, keywords, ..meta() })
    };
    let words: Vec<Keyword> =
        ["$Forwarded", "$Junk", "todo"].map(|name| Keyword::new(name).unwrap()).into();
    let table = |bits| Keywords::Table { names: &words, bits };
    insta::assert_snapshot!(flags(SystemFlags::default(), false, Keywords::NONE), @r"* 7 FETCH (FLAGS ())\r\n");
    insta::assert_snapshot!(flags(SystemFlags::ALL, true, Keywords::List(&words)), @r"* 7 FETCH (FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Forwarded $Junk todo \Recent))\r\n");
    insta::assert_snapshot!(flags(SystemFlags::SEEN, false, table(&[0b101])), @r"* 7 FETCH (FLAGS (\Seen $Forwarded todo))\r\n");
    insta::assert_snapshot!(flags(SystemFlags::default(), true, table(&[!0, !0])), @r"* 7 FETCH (FLAGS ($Forwarded $Junk todo \Recent))\r\n");
    insta::assert_snapshot!(flags(SystemFlags::default(), true, table(&[])), @r"* 7 FETCH (FLAGS (\Recent))\r\n");
}

/// A command line has room for thousands of sections; what a row holds isn't the message so many times.
#[test]
fn a_row_holds_little_whatever_is_asked_for() {
    let mail = [b"A: b\r\n\r\n".as_slice(), &[b'x'; 60_000]].concat();
    let path = [1];
    let kinds = [(SectionKind::All, 300), (SectionKind::Text, 300), (SectionKind::Binary, 100)];
    for (kind, count) in kinds {
        let path: &[u32] = if kind == SectionKind::Binary { &path } else { &[] };
        let section = Section::new(path.to_vec(), kind, None, true);
        let items = FetchItems { fixed: Fixed::default(), sections: vec![section; count] };
        let pieces = pieces(&mut Stored::new(mail.clone()), &items);
        let held = |piece: &Piece| if let Piece::Bytes(bytes) = piece { bytes.len() } else { 0 };
        assert!(pieces.iter().map(held).sum::<usize>() < 1 << 20);
        let row = flatten(&pieces, &mail);
        assert!(row.len() > count * 60_000 && row.ends_with(b"x)\r\n"));
        grammar::check_responses(&row, false).unwrap();
    }
}

#[test]
fn flags_are_added_for_a_message_just_seen() {
    let mut rows = Rows::default();
    let items = FetchItems { fixed: Fixed::UID, sections: Vec::new() };
    let mut stored = Stored::new(Vec::new());
    render_row(&mut rows, &items, true, Seq(1), &meta(), &mut stored).unwrap();
    render_row(&mut rows, &items, false, Seq(2), &meta(), &mut stored).unwrap();
    insta::assert_snapshot!(shown(&flatten(&rows.into_pieces(), b"")), @r"* 1 FETCH (UID 42 FLAGS (\Answered \Seen))\r\n* 2 FETCH (UID 42)\r\n");
}

#[test]
fn envelope_and_structure() {
    let items = FetchItems { fixed: Fixed::FULL | Fixed::BODYSTRUCTURE, sections: Vec::new() };
    insta::assert_snapshot!(shown(&row(&mut Stored::new(b"Subject: x\r\n\r\nbody\r\n".to_vec()), &items)), @r#"* 1 FETCH (FLAGS (\Answered \Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 1234 ENVELOPE (NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL) BODY ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 1) BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 1 NIL NIL NIL NIL))\r\n"#);
}

#[test]
fn sections_of_the_message() {
    insta::assert_snapshot!(part(&[], SectionKind::All, Some((0, 9))), @r"BODY[]<0> {9}\r\nFrom: A <");
    insta::assert_snapshot!(part(&[], SectionKind::Header, None), @r"BODY[HEADER] {109}\r\nFrom: A <a@b>\r\nSubject: folded\r\n line\r\nTo: c@d\r\nsubject: again\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n");
    insta::assert_snapshot!(part(&[], SectionKind::Text, None), @r"BODY[TEXT] {114}\r\npreamble\r\n--x\r\n\r\none\r\n--x\r\nContent-Type: message/rfc822\r\nX: y\r\n\r\nSubject: inside\r\nFrom: c@d\r\n\r\ninner body\r\n--x--\r\n");
}

#[test]
fn header_fields() {
    insta::assert_snapshot!(part(&[], SectionKind::HeaderFields(names(&["SUBJECT", "x-none", "to"])), None), @r"BODY[HEADER.FIELDS (SUBJECT x-none to)] {51}\r\nSubject: folded\r\n line\r\nTo: c@d\r\nsubject: again\r\n\r\n");
    insta::assert_snapshot!(part(&[], SectionKind::HeaderFieldsNot(names(&["SUBJECT", "content-type"])), None), @r"BODY[HEADER.FIELDS.NOT (SUBJECT content-type)] {26}\r\nFrom: A <a@b>\r\nTo: c@d\r\n\r\n");
    insta::assert_snapshot!(part(&[], SectionKind::HeaderFields(names(&["x-none"])), None), @r"BODY[HEADER.FIELDS (x-none)] {2}\r\n\r\n");
    insta::assert_snapshot!(part(&[], SectionKind::HeaderFields(names(&["From", "To"])), Some((12, 10))), @r"BODY[HEADER.FIELDS (From To)]<12> {10}\r\n>\r\nTo: c@d");
    insta::assert_snapshot!(part(&[], SectionKind::HeaderFields(names(&["To"])), Some((11, 1))), @r#"BODY[HEADER.FIELDS (To)]<11> """#);
    insta::assert_snapshot!(part(&[2], SectionKind::HeaderFields(names(&["subject", "odd \"name\""])), None), @r#"BODY[2.HEADER.FIELDS (subject "odd \"name\"")] {19}\r\nSubject: inside\r\n\r\n"#);
}

#[test]
fn sections_of_parts() {
    insta::assert_snapshot!(part(&[1], SectionKind::All, None), @r"BODY[1] {3}\r\none");
    insta::assert_snapshot!(part(&[1], SectionKind::Mime, None), @r"BODY[1.MIME] {2}\r\n\r\n");
    insta::assert_snapshot!(part(&[2], SectionKind::All, None), @r"BODY[2] {40}\r\nSubject: inside\r\nFrom: c@d\r\n\r\ninner body");
    insta::assert_snapshot!(part(&[2], SectionKind::Mime, None), @r"BODY[2.MIME] {38}\r\nContent-Type: message/rfc822\r\nX: y\r\n\r\n");
    insta::assert_snapshot!(part(&[2], SectionKind::Header, None), @r"BODY[2.HEADER] {30}\r\nSubject: inside\r\nFrom: c@d\r\n\r\n");
    insta::assert_snapshot!(part(&[2], SectionKind::Text, None), @r"BODY[2.TEXT] {10}\r\ninner body");
    insta::assert_snapshot!(part(&[2, 1], SectionKind::All, None), @r"BODY[2.1] {10}\r\ninner body");
    insta::assert_snapshot!(part(&[2, 1], SectionKind::Mime, None), @r"BODY[2.1.MIME] {30}\r\nSubject: inside\r\nFrom: c@d\r\n\r\n");
}

#[test]
fn parts_that_are_not_there_are_empty() {
    for (path, kind) in [
        (&[3][..], SectionKind::All),
        (&[1, 1], SectionKind::Mime),
        (&[1], SectionKind::Header),
        (&[1], SectionKind::Text),
        (&[0], SectionKind::All),
        (&[2, 2, 2], SectionKind::HeaderFieldsNot(names(&["x"]))),
    ] {
        assert!(part(path, kind, None).ends_with(" \"\""), "{path:?}");
    }
}

#[test]
fn part_1_of_a_message_without_parts() {
    let mut stored = Stored::new(b"Subject: x\r\n\r\nbody".to_vec());
    let mut shown_part = |kind| shown(&row(&mut stored, &section(&[1], kind, None)));
    insta::assert_snapshot!(shown_part(SectionKind::All), @r"* 1 FETCH (BODY[1] {4}\r\nbody)\r\n");
    insta::assert_snapshot!(shown_part(SectionKind::Mime), @r"* 1 FETCH (BODY[1.MIME] {14}\r\nSubject: x\r\n\r\n)\r\n");
}

#[test]
fn older_names() {
    let sections = vec![Section::rfc822_header(), Section::rfc822_text(), Section::rfc822()];
    assert_eq!(
        sections.iter().map(|section| section.peek).collect::<Vec<_>>(),
        [true, false, false]
    );
    let items = FetchItems { fixed: Fixed::default(), sections };
    assert!(items.sets_seen());
    insta::assert_snapshot!(shown(&row(&mut Stored::new(b"A: b\r\n\r\nbody".to_vec()), &items)), @r"* 1 FETCH (RFC822.HEADER {8}\r\nA: b\r\n\r\n RFC822.TEXT {4}\r\nbody RFC822 {12}\r\nA: b\r\n\r\nbody)\r\n");
}

#[test]
fn sparse_messages() {
    let items = FetchItems {
        fixed: Fixed::default(),
        sections: [
            SectionKind::All,
            SectionKind::Header,
            SectionKind::Text,
            SectionKind::HeaderFieldsNot(names(&["x"])),
        ]
        .map(|kind| Section::new(Vec::new(), kind, None, true))
        .into(),
    };
    for message in ["", "\r\nbody", "A: b", "A: b\r\n", "A: b\r\n\r\n", "A: b\n\nbody"] {
        let row = row(&mut Stored::new(message.as_bytes().to_vec()), &items);
        check_row(&row).unwrap();
    }
    insta::assert_snapshot!(shown(&row(&mut Stored::new(b"A: b".to_vec()), &items)), @r#"* 1 FETCH (BODY[] {4}\r\nA: b BODY[HEADER] {4}\r\nA: b BODY[TEXT] "" BODY[HEADER.FIELDS.NOT (x)] {4}\r\nA: b)\r\n"#);
    insta::assert_snapshot!(shown(&row(&mut Stored::new(b"\r\nbody".to_vec()), &items)), @r"* 1 FETCH (BODY[] {6}\r\n\r\nbody BODY[HEADER] {2}\r\n\r\n BODY[TEXT] {4}\r\nbody BODY[HEADER.FIELDS.NOT (x)] {2}\r\n\r\n)\r\n");
}

#[test]
fn row_36_nul_shows_as_0x80_in_as_many_octets() {
    let mut stored = Stored::new(b"A: \0\r\n\r\nb\0\0dy".to_vec());
    insta::assert_snapshot!(shown(&row(&mut stored, &section(&[], SectionKind::All, None))), @r"* 1 FETCH (BODY[] {13}\r\nA: \x80\r\n\r\nb\x80\x80dy)\r\n");
    insta::assert_snapshot!(shown(&row(&mut stored, &section(&[], SectionKind::HeaderFields(names(&["a"])), None))), @r"* 1 FETCH (BODY[HEADER.FIELDS (a)] {8}\r\nA: \x80\r\n\r\n)\r\n");
}

#[test]
fn row_48_partials_beyond_the_end() {
    for (offset, count) in [
        (u64::MAX, 1),
        (u64::MAX, u64::MAX),
        (u64::from(u32::MAX), u64::from(u32::MAX)),
        (400, 1),
        (0, 0),
    ] {
        for kind in [SectionKind::All, SectionKind::Text, SectionKind::HeaderFields(names(&["to"]))]
        {
            let item = part(&[], kind.clone(), Some((offset, count)));
            assert!(item.ends_with(&format!("]<{offset}> \"\"")), "{item}");
        }
        assert!(part(&[1], SectionKind::All, Some((offset, count))).ends_with(" \"\""));
    }
    let whole = crlf(MAIL).len() as u64;
    insta::assert_snapshot!(part(&[], SectionKind::All, Some((whole - 4, u64::MAX))), @r"BODY[]<219> {4}\r\n--\r\n");
}

#[test]
fn large_bodies_are_not_copied() {
    let header = "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n";
    let message = |size: usize| format!("{header}{}\r\n--x--\r\n", "y".repeat(size)).into_bytes();
    let one = section(&[1], SectionKind::All, None);
    let copied = pieces(&mut Stored::new(message(64 << 10)), &one);
    assert!(matches!(copied.as_slice(), [Piece::Bytes(_)]));
    let mut stored = Stored::new(message((64 << 10) + 1));
    let spliced = pieces(&mut stored, &one);
    let start = header.len() as u64;
    let [Piece::Bytes(before), Piece::Blob(_, range), Piece::Bytes(after)] = spliced.as_slice()
    else {
        panic!("{} pieces", spliced.len());
    };
    assert_eq!((range.clone(), stored.reads), (start..start + 65_537, 0));
    assert_eq!(
        (shown(before).as_str(), shown(after).as_str()),
        ("* 1 FETCH (BODY[1] {65537}\\r\\n", ")\\r\\n")
    );
}

#[test]
fn a_row_that_fails_leaves_nothing() {
    let mut rows = Rows::default();
    let large = format!("A: b\r\n\r\n{}", "x".repeat(100_000)).into_bytes();
    let items = FetchItems {
        fixed: Fixed::UID,
        sections: vec![
            Section::new(vec![], SectionKind::All, None, true),
            Section::new(vec![], SectionKind::Text, Some((0, 5)), true),
        ],
    };
    let mut stored = Stored::new(large);
    render_row(&mut rows, &items, false, Seq(1), &meta(), &mut stored).unwrap();
    let held = rows.held();
    stored.broken = true; // the blob needs no read, the five bytes do
    assert_eq!(
        render_row(&mut rows, &items, false, Seq(2), &meta(), &mut stored),
        Err(SourceError::Unreadable)
    );
    assert_eq!(rows.held(), held);
    stored.broken = false;
    render_row(&mut rows, &items, false, Seq(3), &meta(), &mut stored).unwrap();
    let all = flatten(&rows.into_pieces(), &stored.message);
    check_row(&all).unwrap();
    assert!(!all.windows(8).any(|bytes| bytes == b"* 2 FETC"));
    assert!(all.ends_with(b"BODY[TEXT]<0> {5}\r\nxxxxx)\r\n"));
}

#[test]
fn needs() {
    let needs = |kind, path: &[u32]| section(path, kind, None).needs();
    assert!(needs(SectionKind::HeaderFields(names(&["a"])), &[]).header);
    assert!(!needs(SectionKind::Header, &[]).whole);
    assert!(needs(SectionKind::Header, &[1]).whole);
    assert!(needs(SectionKind::All, &[]).whole);
    let fixed = FetchItems { fixed: Fixed::ALL, sections: Vec::new() };
    assert!(fixed.needs().envelope && !fixed.needs().structure && !fixed.meta_only());
}

/// Rows whose literals have their length, whose parentheses balance, and nothing else.
fn check_row(wire: &[u8]) -> Result<(), TestCaseError> {
    let mut rest = wire;
    let mut depth = 0i64;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'"' => loop {
                let Some((&byte, after)) = rest.split_first() else {
                    return Err(TestCaseError::fail("open quote"));
                };
                prop_assert!((b' '..=b'~').contains(&byte));
                rest = if byte == b'\\' { &after[1..] } else { after };
                if byte == b'"' {
                    break;
                }
            },
            b'{' => {
                let close = rest.iter().position(|&byte| byte == b'}').unwrap();
                let len: usize = std::str::from_utf8(&rest[..close]).unwrap().parse().unwrap();
                prop_assert!(rest[close + 1..].starts_with(b"\r\n"));
                let literal = rest.get(close + 3..close + 3 + len);
                prop_assert!(
                    literal.is_some_and(|literal| !literal.contains(&0)),
                    "{}",
                    shown(wire)
                );
                rest = &rest[close + 3 + len..];
            }
            b'\r' => {
                prop_assert!(depth == 0 && rest.starts_with(b"\n"), "{}", shown(wire));
                rest = &rest[1..];
                prop_assert!(rest.is_empty() || rest.starts_with(b"* "));
            }
            _ => prop_assert!((b' '..=b'~').contains(&byte), "{}", shown(wire)),
        }
    }
    prop_assert_eq!(depth, 0);
    prop_assert!(wire.ends_with(b")\r\n"));
    let read = grammar::check_responses(wire, false);
    prop_assert!(read.is_ok(), "{:?}", read);
    Ok(())
}

fn any_section() -> impl Strategy<Value = Section> {
    let kind = prop_oneof![
        Just(SectionKind::All),
        Just(SectionKind::Header),
        Just(SectionKind::Text),
        Just(SectionKind::Mime),
        Just(SectionKind::HeaderFields(names(&["subject", "to"]))),
        Just(SectionKind::HeaderFieldsNot(names(&["x"]))),
    ];
    let number = prop_oneof![0u64..50, Just(u64::MAX), Just(u64::from(u32::MAX))];
    let partial = prop::option::of((number.clone(), number));
    (prop::collection::vec(1u32..5, 0..4), kind, partial)
        .prop_filter("MIME is of a part", |(path, kind, _)| {
            !(path.is_empty() && *kind == SectionKind::Mime)
        })
        .prop_map(|(path, kind, partial)| Section::new(path, kind, partial, true))
}

proptest! {
    #[test]
    fn row_48_any_section_of_any_message(
        message in hostile_mail(),
        sections in prop::collection::vec(any_section(), 1..5),
        window in 1usize..40,
    ) {
        let items = FetchItems { fixed: Fixed::FULL | Fixed::BODYSTRUCTURE | Fixed::UID, sections };
        let mut stored = Stored::new(message);
        stored.window = window;
        check_row(&row(&mut stored, &items))?;
    }

    #[test]
    fn partials_are_cuts_of_the_whole(message in hostile_mail(), kind in any_section(), cut in 1u64..20) {
        let mut stored = Stored::new(message);
        let content = |stored: &mut Stored, partial| {
            let section = Section::new(kind.path.clone(), kind.kind.clone(), partial, true);
            let skip = "* 1 FETCH (".len() + section.name.len() + 1;
            let row = row(stored, &FetchItems { fixed: Fixed::default(), sections: vec![section] });
            let string = &row[skip..row.len() - 3];
            let start = string.windows(3).position(|bytes| bytes == b"}\r\n").map_or(string.len(), |at| at + 3);
            string[start..].to_vec()
        };
        let whole = content(&mut stored, None);
        let mut joined = Vec::new();
        for offset in (0..=whole.len() as u64).step_by(cut as usize) {
            joined.extend(content(&mut stored, Some((offset, cut))));
        }
        prop_assert_eq!(shown(&joined), shown(&whole));
    }
}
