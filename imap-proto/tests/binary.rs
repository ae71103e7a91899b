//! FETCH BINARY: parts with their transfer encoding undone (RFC 3516, RFC 9051 §6.4.5).
#![allow(clippy::indexing_slicing, clippy::unwrap_used)] // helpers of tests

#[path = "grammar/mod.rs"]
mod grammar;
mod mime_support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imap_proto::Seq;
use imap_proto::fetch::{
    FetchItems, Fixed, Piece, Rows, Section, SectionKind, SourceError, render_row,
};
use mime_support::{Stored, crlf, flatten, hostile_mail, meta, shown};
use proptest::prelude::*;

const MAIL: &str = "Subject: x
Content-Type: multipart/mixed; boundary=b

--b
Content-Transfer-Encoding: quoted-printable

caf=C3=A9 =
is open \t
=3D=0A
--b
Content-Type: application/octet-stream
Content-Transfer-Encoding: BASE64

AAEC
AwQ=
--b
Content-Type: message/rfc822

Subject: inside
Content-Type: text/plain
Content-Transfer-Encoding: base64

aGkK
--b
Content-Transfer-Encoding: x-uuencode

begin
--b
Content-Transfer-Encoding: 8bit

\u{e9}
--b--
";

fn pieces(stored: &mut Stored, sections: Vec<Section>) -> Result<Vec<Piece>, SourceError> {
    let mut rows = Rows::default();
    let items = FetchItems { fixed: Fixed::default(), sections };
    assert!(items.needs().whole && !items.meta_only());
    render_row(&mut rows, &items, false, Seq(1), &meta(), stored)?;
    Ok(rows.into_pieces())
}

/// The row as it goes on the wire; it is IMAP, whatever the message.
fn row(stored: &mut Stored, sections: Vec<Section>) -> Result<Vec<u8>, SourceError> {
    let row = flatten(&pieces(stored, sections)?, &stored.message);
    grammar::check_responses(&row, false).unwrap();
    Ok(row)
}

fn binary(path: &[u32], partial: Option<(u64, u64)>) -> Section {
    Section::new(path.to_vec(), SectionKind::Binary, partial, true)
}

fn size(path: &[u32]) -> Section {
    Section::new(path.to_vec(), SectionKind::BinarySize, None, true)
}

fn items(row: &[u8]) -> String {
    shown(row.strip_prefix(b"* 1 FETCH (").and_then(|row| row.strip_suffix(b")\r\n")).unwrap())
}

/// A part of [`MAIL`] with its size.
fn part(path: &[u32], partial: Option<(u64, u64)>) -> String {
    let sections = vec![binary(path, partial), size(path)];
    items(&row(&mut Stored::new(crlf(MAIL)), sections).unwrap())
}

/// What of a message one section shows, and its announced size.
fn content(stored: &mut Stored, section: Section) -> Result<Vec<u8>, SourceError> {
    let skip = "* 1 FETCH (".len() + section.name.len() + 1;
    let row = row(stored, vec![section])?;
    let string = &row[skip..row.len() - 3];
    if string == b"\"\"" {
        return Ok(Vec::new());
    }
    let start = string.windows(3).position(|bytes| bytes == b"}\r\n").unwrap() + 3;
    Ok(string[start..].to_vec())
}

#[test]
fn rfc3516_4_2_each_encoding() {
    // Soft breaks and white space at a line's end go, `=0A` is data.
    insta::assert_snapshot!(part(&[1], None), @r"BINARY[1] {17}\r\ncaf\xc3\xa9 is open\r\n=\n BINARY.SIZE[1] 17");
    insta::assert_snapshot!(part(&[2], None), @r"BINARY[2] ~{5}\r\n\x00\x01\x02\x03\x04 BINARY.SIZE[2] 5");
    insta::assert_snapshot!(part(&[5], None), @r"BINARY[5] {2}\r\n\xc3\xa9 BINARY.SIZE[5] 2");
}

/// RFC 9051 has no BINARY of these; RFC 3516 does, and RFC 2045 §6.4 gives them no encoding.
#[test]
fn rfc3516_4_2_what_is_no_leaf_is_given_as_it_is() {
    insta::assert_snapshot!(part(&[3], None), @r"BINARY[3] {84}\r\nSubject: inside\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGkK BINARY.SIZE[3] 84");
    insta::assert_snapshot!(part(&[3, 1], None), @r"BINARY[3.1] {3}\r\nhi\n BINARY.SIZE[3.1] 3");
    insta::assert_snapshot!(part(&[], Some((0, 9))), @r"BINARY[]<0> {9}\r\nSubject:  BINARY.SIZE[] 462");
    insta::assert_snapshot!(part(&[9], None), @r#"BINARY[9] "" BINARY.SIZE[9] 0"#);
}

#[test]
fn rfc3516_4_2_partials_count_decoded_octets() {
    insta::assert_snapshot!(part(&[1], Some((3, 2))), @r"BINARY[1]<3> {2}\r\n\xc3\xa9 BINARY.SIZE[1] 17");
    insta::assert_snapshot!(part(&[1], Some((7, 100))), @r"BINARY[1]<7> {10}\r\ns open\r\n=\n BINARY.SIZE[1] 17");
    insta::assert_snapshot!(part(&[2], Some((1, 3))), @r"BINARY[2]<1> {3}\r\n\x01\x02\x03 BINARY.SIZE[2] 5");
    insta::assert_snapshot!(part(&[2], Some((5, 1))), @r#"BINARY[2]<5> "" BINARY.SIZE[2] 5"#);
    insta::assert_snapshot!(part(&[2], Some((u64::MAX, u64::MAX))), @r#"BINARY[2]<18446744073709551615> "" BINARY.SIZE[2] 5"#);
}

#[test]
fn rfc3516_4_3_an_unknown_encoding() {
    let mut stored = Stored::new(crlf(MAIL));
    for section in [binary(&[4], None), binary(&[4], Some((100, 1))), size(&[4])] {
        assert_eq!(row(&mut stored, vec![section]), Err(SourceError::UnknownEncoding));
    }
    // No row is begun.
    let mut rows = Rows::default();
    let sections = vec![binary(&[1], None), size(&[4])];
    let items = FetchItems { fixed: Fixed::UID, sections };
    assert!(render_row(&mut rows, &items, false, Seq(1), &meta(), &mut stored).is_err());
    assert_eq!(rows.held(), 0);
}

/// RFC 3516 §6: lines of text end with CRLF however they are stored; what base64 holds is data.
#[test]
fn rfc3516_6_line_ends() {
    let message = |kind: &str, encoding: &str, body: &str| {
        format!("Content-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n{body}")
            .into_bytes()
    };
    let shown = |kind, encoding, body| {
        shown(
            &content(&mut Stored::new(message(kind, encoding, body)), binary(&[1], None)).unwrap(),
        )
    };
    assert_eq!(shown("text/plain", "7bit", "a\nb\r\nc\rd\r\r\n\n"), r"a\r\nb\r\nc\rd\r\r\n\r\n");
    assert_eq!(shown("application/x", "7bit", "a\nb\r\n"), r"a\nb\r\n");
    assert_eq!(shown("text/plain", "quoted-printable", "a=0Ab\nc \nd=\ne \t"), r"a\nb\r\nc\r\nde");
    assert_eq!(shown("text/plain", "base64", "YQpi"), r"a\nb");
}

#[test]
fn row_36_nul_is_exact_and_only_there_a_literal8() {
    let text = b"Content-Transfer-Encoding: binary\r\n\r\na\0b".to_vec();
    let mut stored = Stored::new(text.clone());
    let sections = || {
        vec![
            binary(&[1], None),
            binary(&[1], Some((0, 1))),
            Section::new(vec![1], SectionKind::All, None, true),
        ]
    };
    insta::assert_snapshot!(items(&row(&mut stored, sections()).unwrap()), @r"BINARY[1] ~{3}\r\na\x00b BINARY[1]<0> {1}\r\na BODY[1] {3}\r\na\x80b");
    assert_eq!(content(&mut stored, binary(&[], None)).unwrap(), text);
}

/// Nothing large is held: it is counted, then decoded again as it is sent.
#[test]
fn rfc3516_4_2_large_parts_are_decoded_as_they_are_sent() {
    let data: Vec<u8> = (0..1_000_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
    let mut message =
        b"Content-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec();
    for line in STANDARD.encode(&data).as_bytes().chunks(76) {
        message.extend_from_slice(line);
        message.extend_from_slice(b"\r\n");
    }
    let mut stored = Stored::new(message);
    let sent = pieces(&mut stored, vec![binary(&[1], None), size(&[1])]).unwrap();
    let held: usize = sent
        .iter()
        .map(|piece| matches!(piece, Piece::Bytes(bytes) if bytes.len() < 100) as usize)
        .sum();
    assert_eq!((held, sent.len()), (2, 3));
    assert_eq!(content(&mut stored, binary(&[1], None)).unwrap(), data);
    for (origin, count) in
        [(0, 65_536), (1, 65_537), (700_000, 200_000), (999_999, 5), (123, 999_000)]
    {
        let cut = content(&mut stored, binary(&[1], Some((origin, count)))).unwrap();
        let end = data.len().min((origin + count) as usize);
        assert!(cut == data[origin as usize..end], "{origin}.{count}");
    }
}

fn any_encoding() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("base64"), Just("quoted-printable"), Just("binary"), Just("8bit")]
}

proptest! {
    /// What a client would decode by itself, for what mail programs write.
    #[test]
    fn decoded_is_what_was_encoded(data in prop::collection::vec(any::<u8>(), 0..300), window in 1usize..50) {
        let mut message = b"Content-Type: x/y\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec();
        for line in STANDARD.encode(&data).as_bytes().chunks(60) {
            message.extend_from_slice(line);
            message.extend_from_slice(b"\r\n");
        }
        let mut stored = Stored::new(message);
        stored.window = window;
        prop_assert_eq!(content(&mut stored, binary(&[1], None)).unwrap(), data);
    }

    /// However it is read, and whatever the message: one response; the size that BINARY.SIZE says; partials are cuts.
    #[test]
    fn row_48_any_part_of_any_message(
        mail in hostile_mail(),
        encoding in any_encoding(),
        path in prop::collection::vec(1u32..4, 0..3),
        window in 1usize..40,
        cut in 1u64..20,
    ) {
        let head = format!("Content-Transfer-Encoding: {encoding}\r\n");
        let mut stored = Stored::new([head.as_bytes(), &mail].concat());
        stored.window = window;
        let Ok(whole) = content(&mut stored, binary(&path, None)) else { return Ok(()) };
        let announced = items(&row(&mut stored, vec![size(&path)]).unwrap());
        prop_assert!(announced.ends_with(&format!("] {}", whole.len())), "{} of {}", announced, whole.len());
        let mut joined = Vec::new();
        for origin in (0..=whole.len() as u64).step_by(cut as usize) {
            joined.extend(content(&mut stored, binary(&path, Some((origin, cut)))).unwrap());
        }
        prop_assert_eq!(shown(&joined), shown(&whole));
    }
}
