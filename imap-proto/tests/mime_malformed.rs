//! Malformed messages: what is shown of each, whole.
//!
//! Every message was written for these tests. `E` is its ENVELOPE, `S` its BODYSTRUCTURE; then each part by its number
//! (`M` for the message itself, `+` for the message inside message/rfc822) with where its header, body and end are, and
//! its body.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)] // helpers of tests

mod mime_support;

use imap_proto::mime::{Kind, Mime, PartId};
use mime_support::{crlf, parse, shown};

/// All of a message written with LF; `\\l` stands for a bare LF, `\\0` for NUL.
fn whole(text: &str) -> String {
    let message = crlf(text);
    let message = String::from_utf8(message).unwrap().replace("\\l", "\n").replace("\\0", "\0");
    let mime = parse(message.as_bytes());
    let (mut envelope, mut structure) = (Vec::new(), Vec::new());
    mime.write_envelope(&mut envelope);
    mime.write_structure(true, &mut structure);
    let mut out = format!("E {}\nS {}\n", shown(&envelope), shown(&structure));
    let mut stack = vec![(PartId::ROOT, "M".to_owned())];
    while let Some((id, path)) = stack.pop() {
        let part = mime.part(id);
        let body = &message.as_bytes()[part.body as usize..part.end as usize];
        let (header, start, end) = (part.header, part.body, part.end);
        let body: String = shown(body).chars().take(60).collect();
        out.push_str(&format!("{path} {header}..{start}..{end} lines {}: {body}\n", part.lines));
        stack.extend(below(&mime, id, &path).into_iter().rev());
    }
    out
}

fn below(mime: &Mime, id: PartId, path: &str) -> Vec<(PartId, String)> {
    let prefix = path.trim_start_matches('M').trim_end_matches('+');
    let dot = if prefix.is_empty() { "" } else { "." };
    let inside = mime.part(id).kind == Kind::Message;
    let number =
        |n: usize| if inside { format!("{path}+") } else { format!("{prefix}{dot}{}", n + 1) };
    mime.children(id).enumerate().map(|(n, child)| (child, number(n))).collect()
}

#[test]
fn boundaries_that_begin_alike() {
    // The inner one is the longer: both count.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=ab\n\n--ab\n\none\n--ab--\n--a\n\ntwo\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "ab") NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..136 lines 11: --a\r\nContent-Type: multipart/mixed; boundary=ab\r\n\r\n--a
    1 50..96..115 lines 3: --ab\r\n\r\none\r\n--ab--
    1.1 102..104..107 lines 0: one
    2 122..124..127 lines 0: two
    "##);
    // The outer one is the longer, so the line that both begin is the outer one's.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=ab\n\n--ab\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--abc\n\ntwo\n--ab--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "ab") NIL NIL NIL)
    M 0..46..131 lines 10: --ab\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a
    1 52..97..107 lines 2: --a\r\n\r\none
    1.1 102..104..107 lines 0: one
    2 116..118..121 lines 0: two
    "##);
    // The whole line is the inner one's closing boundary, and the beginning of the outer one's.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=\"a--\"\n\n--a--\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a--\nepilogue\n--a----\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL) "mixed" ("boundary" "a--") NIL NIL NIL)
    M 0..49..139 lines 9: --a--\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--
    1 56..101..128 lines 4: --a\r\n\r\none\r\n--a--\r\nepilogue
    1.1 106..108..111 lines 0: one
    "##);
    // White space behind it: the longest counts.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=\"a--\"\n\n--a--\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a-- \n\ntwo\n--a----\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a--") NIL NIL NIL)
    M 0..49..137 lines 10: --a--\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--
    1 56..101..111 lines 2: --a\r\n\r\none
    1.1 106..108..111 lines 0: one
    2 121..123..126 lines 0: two
    "##);
    // Twice the same: the inner one counts until it is closed.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a--\n--a\n\ntwo\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..133 lines 11: --a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\
    1 50..95..112 lines 3: --a\r\n\r\none\r\n--a--
    1.1 100..102..105 lines 0: one
    2 119..121..124 lines 0: two
    "##);
    // Dashes only.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=\"--\"\n\n----\n\none\n-----x\n\ntwo\n------\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "--") NIL NIL NIL)
    M 0..48..84 lines 7: ----\r\n\r\none\r\n-----x\r\n\r\ntwo\r\n------\r\n
    1 54..56..59 lines 0: one
    2 69..71..74 lines 0: two
    "##);
}

#[test]
fn boundaries_out_of_place() {
    // Closed before any part.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\npreamble\n--a--\nepilogue\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..72 lines 3: preamble\r\n--a--\r\nepilogue\r\n
    "##);
    // A part without header and body.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\n--a\n\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..64 lines 4: --a\r\n--a\r\n\r\n--a--\r\n
    1 48..48..48 lines 0: 
    2 55..55..55 lines 0: 
    "##);
    // Directly behind a header, with and without an empty line.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nX: y\n--a\nX: y\n\n--a\nX: y\n\n\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..91 lines 10: --a\r\nX: y\r\n--a\r\nX: y\r\n\r\n--a\r\nX: y\r\n\r\n\r\n--a
    1 50..54..54 lines 0: 
    2 61..67..67 lines 0: 
    3 74..82..82 lines 0: 
    "##);
    // In front of which something stands.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n --a\nx--a\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 15 2 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..76 lines 6: --a\r\n\r\none\r\n --a\r\nx--a\r\n--a--\r\n
    1 50..52..67 lines 2: one\r\n --a\r\nx--a
    "##);
    // The last line ends with the message: no part begins.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..60 lines 3: --a\r\n\r\none\r\n--a
    1 50..52..55 lines 0: one
    "##);
    // Closed at the end of the message.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a--"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..62 lines 3: --a\r\n\r\none\r\n--a--
    1 50..52..55 lines 0: one
    "##);
    // Behind the closing one nothing counts.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a--\n--a\n\ntwo\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..83 lines 8: --a\r\n\r\none\r\n--a--\r\n--a\r\n\r\ntwo\r\n--a--\r\n
    1 50..52..55 lines 0: one
    "##);
    // A bare CR in front is text.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\r--a\ntwo\r\r\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 14 1 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..75 lines 5: --a\r\n\r\none\r--a\r\ntwo\r\r\r\n--a--\r\n
    1 50..52..66 lines 1: one\r--a\r\ntwo\r\r
    "##);
    // Bare line feeds.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\\l\\l--a\\l\\lone\\l--a\n\ntwo\\l--a--\\l"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..43..69 lines 7: --a\n\none\n--a\r\n\r\ntwo\n--a--\n
    1 47..48..51 lines 0: one
    2 57..59..62 lines 0: two
    "##);
    // Longer than any should be.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n\n--xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n\none\n--xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy\n--xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 97 1 NIL NIL NIL NIL) "mixed" ("boundary" "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx") NIL NIL NIL)
    M 0..134..425 lines 5: --xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    1 228..230..327 lines 1: one\r\n--xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    "##);
}

#[test]
fn line_ends_in_front_of_boundaries() {
    // Between an inner closing boundary and an outer one.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--a\n\ntwo\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..133 lines 11: --a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\
    1 50..95..112 lines 3: --b\r\n\r\none\r\n--b--
    1.1 100..102..105 lines 0: one
    2 119..121..124 lines 0: two
    "##);
    // With an empty line between them.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..123 lines 9: --a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\
    1 50..95..114 lines 4: --b\r\n\r\none\r\n--b--\r\n
    1.1 100..102..105 lines 0: one
    "##);
    // The inner multipart has no part.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..102 lines 4: --a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--a-
    1 50..93..93 lines 0: 
    "##);
    // Nor has its first boundary anything behind it.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..107 lines 5: --a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\
    1 50..95..98 lines 0: --b
    1.1 98..98..98 lines 0: 
    "##);
    // The empty line behind an inner message's header.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\n\nSubject: in\n\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("message" "rfc822" NIL NIL NIL "7bit" 13 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) 1 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..104 lines 6: --a\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r
    1 50..82..95 lines 1: Subject: in\r\n
    1+ 82..95..95 lines 0: 
    "##);
    // An inner message that has no header.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\n\n\n--a\nContent-Type: message/rfc822\n\n--a\nContent-Type: message/rfc822\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("message" "rfc822" NIL NIL NIL "7bit" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) 0 NIL NIL NIL NIL)("message" "rfc822" NIL NIL NIL "7bit" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) 0 NIL NIL NIL NIL)("message" "rfc822" NIL NIL NIL "7bit" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..163 lines 10: --a\r\nContent-Type: message/rfc822\r\n\r\n\r\n--a\r\nConten
    1 50..82..82 lines 0: 
    1+ 82..82..82 lines 0: 
    2 89..119..119 lines 0: 
    2+ 119..119..119 lines 0: 
    3 126..154..154 lines 0: 
    3+ 154..154..154 lines 0: 
    "##);
    // A header that a boundary ends.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\n\nSubject: in\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("message" "rfc822" NIL NIL NIL "7bit" 11 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..102 lines 5: --a\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n--
    1 50..82..93 lines 0: Subject: in
    1+ 82..93..93 lines 0: 
    "##);
}

#[test]
fn messages_in_messages() {
    // In each other.
    insta::assert_snapshot!(whole("Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nSubject: inmost\n\ntext\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("message" "rfc822" NIL NIL NIL "7bit" 57 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("message" "rfc822" NIL NIL NIL "7bit" 25 (NIL "inmost" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL) 5 NIL NIL NIL NIL)
    M 0..32..89 lines 5: Content-Type: message/rfc822\r\n\r\nSubject: inmost\r\n\r\nt
    M+ 32..64..89 lines 3: Subject: inmost\r\n\r\ntext\r\n
    M++ 64..83..89 lines 1: text\r\n
    "##);
    // A multipart inside, whose parts count below it.
    insta::assert_snapshot!(whole("Content-Type: message/rfc822\n\nSubject: in\nContent-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a\n\ntwo\n--a--\nepilogue\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("message" "rfc822" NIL NIL NIL "7bit" 99 (NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL) 11 NIL NIL NIL NIL)
    M 0..32..131 lines 11: Subject: in\r\nContent-Type: multipart/mixed; boundary=a\r\n
    M+ 32..90..131 lines 8: --a\r\n\r\none\r\n--a\r\n\r\ntwo\r\n--a--\r\nepilogue\r\n
    1 95..97..100 lines 0: one
    2 107..109..112 lines 0: two
    "##);
    // Encoded, so nothing is looked at.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n--a\nContent-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\nSubject: x\n\ny\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("message" "rfc822" NIL NIL NIL "base64" 16 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) 0 NIL NIL NIL NIL)("message" "rfc822" NIL NIL NIL "quoted-printable" 15 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..241 lines 13: --a\r\nContent-Type: message/rfc822\r\nContent-Transfer-Enco
    1 50..117..133 lines 0: U3ViamVjdDogeA==
    2 140..217..232 lines 2: Subject: x\r\n\r\ny
    "##);
    // A digest: messages unless another type is named.
    insta::assert_snapshot!(whole("Content-Type: multipart/digest; boundary=a\n\n--a\n\nSubject: one\n\ntext\n--a\nContent-Type: text/plain\n\nSubject: no message\n--a\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA==\n--a\nContent-Type:\n\nSubject: broken type\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("message" "rfc822" NIL NIL NIL "7bit" 20 (NIL "one" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 19 0 NIL NIL NIL NIL)("message" "rfc822" NIL NIL NIL "base64" 16 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) 0 NIL NIL NIL NIL)("" "" NIL NIL NIL "7bit" 20 NIL NIL NIL NIL) "digest" ("boundary" "a") NIL NIL NIL)
    M 0..46..240 lines 18: --a\r\n\r\nSubject: one\r\n\r\ntext\r\n--a\r\nContent-Type: 
    1 51..53..73 lines 2: Subject: one\r\n\r\ntext
    1+ 53..69..73 lines 0: text
    2 80..108..127 lines 0: Subject: no message
    3 134..171..187 lines 0: U3ViamVjdDogeA==
    4 194..211..231 lines 0: Subject: broken type
    "##);
    // message/global, and message types that hold none.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/global\n\nSubject: \u{fc}\n\ntext\n--a\nContent-Type: message/partial; id=x\n\nSubject: x\n\n--a\nContent-Type: message/delivery-status\n\nAction: failed\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("message" "global" NIL NIL NIL "7bit" 19 (NIL {2}\r\n\xc3\xbc NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL)("message" "partial" ("id" "x") NIL NIL "7bit" 12 NIL NIL NIL NIL)("message" "delivery-status" NIL NIL NIL "7bit" 14 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..230 lines 16: --a\r\nContent-Type: message/global\r\n\r\nSubject: \xc3\xbc
    1 50..82..101 lines 2: Subject: \xc3\xbc\r\n\r\ntext
    1+ 82..97..101 lines 0: text
    2 108..147..159 lines 1: Subject: x\r\n
    3 166..207..221 lines 0: Action: failed
    "##);
    // Ends in its header.
    insta::assert_snapshot!(whole("Content-Type: message/rfc822\n\nSubject: in\nFrom: a@b"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("message" "rfc822" NIL NIL NIL "7bit" 22 (NIL "in" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) 1 NIL NIL NIL NIL)
    M 0..32..54 lines 1: Subject: in\r\nFrom: a@b
    M+ 32..54..54 lines 0: 
    "##);
}

#[test]
fn types_that_go_wrong() {
    // A type alone.
    insta::assert_snapshot!(whole("Content-Type: text\n\nbody\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("text" "" ("charset" "us-ascii") NIL NIL "7bit" 6 1 NIL NIL NIL NIL)
    M 0..22..28 lines 1: body\r\n
    "##);
    // A type alone that has parts.
    insta::assert_snapshot!(whole("Content-Type: multipart\n\n--\n\nbody\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("application" "octet-stream" NIL NIL NIL "7bit" 12 NIL NIL NIL NIL)
    M 0..27..39 lines 3: --\r\n\r\nbody\r\n
    "##);
    // A type alone with parameters.
    insta::assert_snapshot!(whole("Content-Type: text; charset=utf-8\n\nbody\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("" "" NIL NIL NIL "7bit" 6 NIL NIL NIL NIL)
    M 0..37..43 lines 1: body\r\n
    "##);
    // Comments everywhere, one without end.
    insta::assert_snapshot!(whole("Content-Type: (a)text(b)/(c)plain(d); (e)charset(f)=(g)utf-8 (h\n\nbody\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 6 1 NIL NIL NIL NIL)
    M 0..67..73 lines 1: body\r\n
    "##);
    // Without boundary, with an empty one, with one in sections.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed\n\n--\n\nx\n--a\nContent-Type: multipart/mixed; boundary=\"\"\n\n--\n\nx\n--a\nContent-Type: multipart/mixed; boundary*0=b; boundary*1=c\n\n--bc\n\nx\n--bc--\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" NIL NIL NIL NIL)(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "") NIL NIL NIL)(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0 NIL NIL NIL NIL) "mixed" ("boundary" "bc") NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..244 lines 20: --a\r\nContent-Type: multipart/mixed\r\n\r\n--\r\n\r\nx\r\n-
    1 50..83..90 lines 2: --\r\n\r\nx
    2 97..143..150 lines 2: --\r\n\r\nx
    3 157..218..235 lines 3: --bc\r\n\r\nx\r\n--bc--
    3.1 224..226..227 lines 0: x
    "##);
    // An encoding of several tokens, quoted, or with a comment.
    insta::assert_snapshot!(whole("Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Transfer-Encoding: base64, 8bit\n\n--a\nContent-Transfer-Encoding: \"base64\"\n\n--a\nContent-Transfer-Encoding: (x) base64 (y)\n\n--a--\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") NIL NIL "base64" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)
    M 0..45..194 lines 10: --a\r\nContent-Transfer-Encoding: base64, 8bit\r\n\r\n--a\r\
    1 50..91..91 lines 0: 
    2 98..135..135 lines 0: 
    3 142..185..185 lines 0: 
    "##);
    // Fields that are there twice, the first empty.
    insta::assert_snapshot!(whole("Content-ID:\nContent-ID: <1@x>\nContent-Disposition: ;\nContent-Disposition: inline\nContent-Language:\nContent-Language: de\nContent-MD5:\nContent-Location: a\n b\n\nbody"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") "" NIL "7bit" 4 0 "" NIL NIL "a b")
    M 0..167..171 lines 0: body
    "##);
    // 8-bit and NUL.
    insta::assert_snapshot!(whole("Content-Type: te\u{e9}t/pl\u{e4}in; n\u{e4}me=v\u{e4}lue; x=\"\\0\"\nContent-Description: caf\u{e9} \\0\n\nbody"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ({5}\r\nte\xc3\xa9t {6}\r\npl\xc3\xa4in ({5}\r\nn\xc3\xa4me {6}\r\nv\xc3\xa4lue "x" {1}\r\n\x80) NIL {7}\r\ncaf\xc3\xa9 \x80 "7bit" 4 NIL NIL NIL NIL)
    M 0..81..85 lines 0: body
    "##);
}

#[test]
fn parameters_that_go_wrong() {
    // What is none is skipped, what follows isn't.
    insta::assert_snapshot!(whole("Content-Type: a/b; ;; =x; y; name ; z = w ; v=\"never; u=t\n\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("a" "b" ("z" "w" "u" "t") NIL NIL "7bit" 0 NIL NIL NIL NIL)
    M 0..61..61 lines 0: 
    "##);
    // Behind a value.
    insta::assert_snapshot!(whole("Content-Type: a/b; x=my file.txt; y=\"q\"r; z=a=b; w=a@b; v=[c]; u=\n\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("a" "b" ("x" "my" "y" "q" "z" "a" "w" "a" "v" "" "u" "") NIL NIL "7bit" 0 NIL NIL NIL NIL)
    M 0..69..69 lines 0: 
    "##);
    // Sections: in order, out of order, one missing, twice, in two cases.
    insta::assert_snapshot!(whole("Content-Type: a/b; o*0=1; o*1=2; p*1=2; p*0=1; q*0=1; q*2=3; r*0=1; r*0=2; s*0=1; S*1=2\n\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("a" "b" ("o" "12" "p" "12" "q*0" "1" "q*2" "3" "r" "1" "s" "12") NIL NIL "7bit" 0 NIL NIL NIL NIL)
    M 0..91..91 lines 0: 
    "##);
    // Sections with escapes: the first, a later one, all, and a percent sign that is none.
    insta::assert_snapshot!(whole("Content-Type: a/b; o*0*=utf-8''%41; o*1=50%; p*0=1; p*1*=%42; q*0*=utf-8'en'%43; q*1*=%44; r*=utf-8''%45; s**=x\n\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("a" "b" ("r*" "utf-8''%45" "s**" "x" "o*" "utf-8''%4150%25" "p*" "''1%42" "q*" "utf-8'en'%43%44") NIL NIL "7bit" 0 NIL NIL NIL NIL)
    M 0..115..115 lines 0: 
    "##);
    // Numbers that are none, or too large.
    insta::assert_snapshot!(whole("Content-Type: a/b; x*63=a; y*64=b; z*99999999999999999999=c; w*-1=d; v*00=e; *0=f; *=g\n\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("a" "b" ("w*-1" "d" "*" "g" "" "f" "v" "e" "x*63" "a") NIL NIL "7bit" 0 NIL NIL NIL NIL)
    M 0..90..90 lines 0: 
    "##);
    // Quoted pairs and folds in a value.
    insta::assert_snapshot!(whole("Content-Disposition: attachment; filename=\"a\\\"b\\\\c\n\td\"; x=\"\n\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL ("attachment" ("filename" {7}\r\na"b\c\td)) NIL NIL)
    M 0..64..64 lines 0: 
    "##);
}

#[test]
fn addresses_that_go_wrong() {
    // Groups: empty, without end, in each other, with an address behind.
    insta::assert_snapshot!(whole("From: g:;\nTo: g: a@b\nCc: g: h: a@b;;\nBcc: g: a@b;, c@d; e@f\n\n"), @r##"
    E (NIL NIL ((NIL NIL "g" NIL)(NIL NIL NIL NIL)) ((NIL NIL "g" NIL)(NIL NIL NIL NIL)) ((NIL NIL "g" NIL)(NIL NIL NIL NIL)) ((NIL NIL "g" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL)) ((NIL NIL "g" NIL)(NIL NIL "h" "MISSING_DOMAIN")(NIL NIL NIL NIL)) ((NIL NIL "g" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL)(NIL NIL "c" "d")(NIL NIL "e" "f")) NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..66..66 lines 0: 
    "##);
    // Routes: one, two, empty, without colon, alone.
    insta::assert_snapshot!(whole("To: <@r:a@b>, <@r,@s:c@d>, <@:e@f>, <@r g@h>, <@r>, <@r,,@s:i@j>\n\n"), @r##"
    E (NIL NIL NIL NIL NIL ((NIL "@r" "a" "b")(NIL "@r,@s" "c" "d")(NIL "INVALID_ROUTE" "MISSING_MAILBOX" "SYNTAX_ERROR")(NIL "INVALID_ROUTE" "g" "h")(NIL "INVALID_ROUTE" "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL "@r,@s" "i" "j")) NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..68..68 lines 0: 
    "##);
    // Angles that don't match.
    insta::assert_snapshot!(whole("To: <a@b\nCc: a@b>, <<c@d>>, e <f@g> h, <>, i <>, <j k@l>\n\n"), @r##"
    E (NIL NIL NIL NIL NIL ((NIL NIL "a" "SYNTAX_ERROR")) ((NIL NIL "a" "b")(NIL NIL "MISSING_MAILBOX" "SYNTAX_ERROR")("e" NIL "f" "g")(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")("i" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "j" "SYNTAX_ERROR")) NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..61..61 lines 0: 
    "##);
    // Quoted strings and escapes.
    insta::assert_snapshot!(whole("To: \"a \\\"b\\\" \\\\c\" <d@e>, \"f g\"@h, \"\"@i, \"\" <j@k>, \"l\"m \"n\" <o@p>\n\n"), @r##"
    E (NIL NIL NIL NIL NIL (("a \"b\" \\c" NIL "d" "e")(NIL NIL "f g" "h")(NIL NIL "" "i")(NIL NIL "j" "k")("l m n" NIL "o" "p")) NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..68..68 lines 0: 
    "##);
    // A quote or comment without end.
    insta::assert_snapshot!(whole("To: a@b, \"c <d@e>, f@g\nCc: a@b (c, d@e\nBcc: a@[1.2.3.4, b@c\n\n"), @r##"
    E (NIL NIL NIL NIL NIL ((NIL NIL "a" "b")(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")) (("c, d@e" NIL "a" "b")) ((NIL NIL "a" "MISSING_DOMAIN")) NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..65..65 lines 0: 
    "##);
    // Comments as names: behind an address only, the last of several, not its escapes.
    insta::assert_snapshot!(whole("To: (a) b@c, d@e (f) (g), <h@i> (j), k (l) @m, n@o ((p) \\( q), r(s)t@u\n\n"), @r##"
    E (NIL NIL NIL NIL NIL ((NIL NIL "b" "c")("g" NIL "d" "e")(NIL NIL "h" "i")("l" NIL "k" "m")("(p) ( q" NIL "n" "o")("r t" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")) NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..74..74 lines 0: 
    "##);
    // Dots and white space.
    insta::assert_snapshot!(whole("To: a . b @ c . d, e..f@g, .h@i, j.@k, l@m., n@o..p, q@.r, A. B. <s@t>\n\n"), @r##"
    E (NIL NIL NIL NIL NIL ((NIL NIL "a.b" "c.d")(NIL NIL "e..f" "g")(NIL NIL ".h" "i")(NIL NIL "j." "k")(NIL NIL "l" "m.")(NIL NIL "n" "o..p")(NIL NIL "q" "MISSING_DOMAIN")("A. B." NIL "s" "t")) NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..74..74 lines 0: 
    "##);
    // Empty elements, words without a host, specials.
    insta::assert_snapshot!(whole("To: ,, a, b c, @, a@, @b, [c]@d, e@[1.2.3.4]f, \\, g@h@i, ;\n\n"), @r##"
    E (NIL NIL NIL NIL NIL ((NIL NIL "a" "MISSING_DOMAIN")("b c" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "a" "MISSING_DOMAIN")(NIL NIL "MISSING_MAILBOX" "b")(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "e" "[1.2.3.4]")(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "g" "h")) NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..62..62 lines 0: 
    "##);
    // Encoded words, raw 8-bit, NUL.
    insta::assert_snapshot!(whole("To: =?utf-8?q?J=C3=B6?= <a@b>, =?utf-8?b?w7Y=?= =?utf-8?b?w7Y=?= <c@d>, J\u{f6} <j\u{f6}@\u{e4}.example>, x\\0y@z\n\n"), @r##"
    E (NIL NIL NIL NIL NIL (("=?utf-8?q?J=C3=B6?=" NIL "a" "b")("=?utf-8?b?w7Y=?= =?utf-8?b?w7Y=?=" NIL "c" "d")({3}\r\nJ\xc3\xb6 NIL {3}\r\nj\xc3\xb6 {10}\r\n\xc3\xa4.example)(NIL NIL "x" "MISSING_DOMAIN")) NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..103..103 lines 0: 
    "##);
}

#[test]
fn envelopes_that_go_wrong() {
    // Fields that are there twice.
    insta::assert_snapshot!(whole("Date: 1\nDate: 2\nSubject: 1\nSubject: 2\nFrom: a@b\nFrom: c@d\nMessage-ID: <1>\nMessage-ID: <2>\nIn-Reply-To: <3>\nIn-Reply-To: <4>\n\n"), @r##"
    E ("2" "2" ((NIL NIL "a" "b")(NIL NIL "c" "d")) ((NIL NIL "a" "b")(NIL NIL "c" "d")) ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL NIL NIL "<4>" "<2>")
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..136..136 lines 0: 
    "##);
    // Fields that are empty: Sender and Reply-To show the From, if there is one.
    insta::assert_snapshot!(whole("Date:\nSubject: \nFrom: a@b\nSender:\nReply-To: (nobody)\nTo:\nMessage-ID:\nIn-Reply-To: \t\n\n"), @r##"
    E ("" "" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL "" "")
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..94..94 lines 0: 
    "##);
    // Sender without From.
    insta::assert_snapshot!(whole("Sender: a@b\n\n"), @r##"
    E (NIL NIL NIL ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..15..15 lines 0: 
    "##);
    // Folded, with lines of white space only.
    insta::assert_snapshot!(whole("Subject:\n a\n  b\n \t\n c  d\nDate: \n\tMon,\n 7 Feb 1994\nMessage-ID:\n <1@x>\n\n"), @r##"
    E ("Mon, 7 Feb 1994" "a b c d" NIL NIL NIL NIL NIL NIL NIL "<1@x>")
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..81..81 lines 0: 
    "##);
    // Lines that are no fields, and one that continues nothing.
    insta::assert_snapshot!(whole(" first\nno colon\n continued\nSubject : yes\n: nameless\nFrom nobody\n\u{e9}: x\n\nbody"), @r##"
    E (NIL "yes" NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 0 NIL NIL NIL NIL)
    M 0..79..83 lines 0: body
    "##);
    // A CR alone is a space.
    insta::assert_snapshot!(whole("Subject: a\rb\r c\rX: y\nDate: 1\r\n\n"), @r##"
    E ("1" "a b c X: y" NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..34..34 lines 0: 
    "##);
    // No end, no body.
    insta::assert_snapshot!(whole("Subject: x"), @r##"
    E (NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..10..10 lines 0: 
    "##);
    // Nothing, and only an empty line.
    insta::assert_snapshot!(whole(""), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..0..0 lines 0: 
    "##);
    // The empty line comes first.
    insta::assert_snapshot!(whole("\nSubject: no header\n"), @r##"
    E (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 20 1 NIL NIL NIL NIL)
    M 0..2..22 lines 1: Subject: no header\r\n
    "##);
    // Broken dates are shown as they are.
    insta::assert_snapshot!(whole("Date: Thu, 31 Feb 2020 25:61:61 +9999\n\n"), @r##"
    E ("Thu, 31 Feb 2020 25:61:61 +9999" NIL NIL NIL NIL NIL NIL NIL NIL NIL)
    S ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)
    M 0..41..41 lines 0: 
    "##);
}
