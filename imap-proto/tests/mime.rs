//! ENVELOPE and BODYSTRUCTURE of mail as it should be and as it is.

#![allow(clippy::indexing_slicing, clippy::unwrap_used)] // helpers of tests

mod mime_support;

use imap_proto::mime::{Kind, Limits, Mime, PartId};
use mime_support::{crlf, parse, parse_with, shown};

/// Each part's kind, offsets and lines, indented by depth.
fn tree(mime: &Mime) -> String {
    let mut out = String::new();
    let mut stack = vec![(PartId::ROOT, 0)];
    while let Some((id, depth)) = stack.pop() {
        let part = mime.part(id);
        let text = format!(
            "{:?} {}..{}..{} lines {}",
            part.kind, part.header, part.body, part.end, part.lines
        );
        out.push_str(&format!("{:indent$}{text}\n", "", indent = depth * 2));
        let children: Vec<_> = mime.children(id).collect();
        stack.extend(children.into_iter().rev().map(|child| (child, depth + 1)));
    }
    out
}

fn structure(text: &str) -> String {
    let mut out = Vec::new();
    parse(&crlf(text)).write_structure(true, &mut out);
    shown(&out)
}

fn body(text: &str) -> String {
    let mut out = Vec::new();
    parse(&crlf(text)).write_structure(false, &mut out);
    shown(&out)
}

fn envelope(text: &str) -> String {
    let mut out = Vec::new();
    parse(&crlf(text)).write_envelope(&mut out);
    shown(&out)
}

/// The list that a To field shows.
fn to(value: &str) -> String {
    let all = envelope(&format!("To: {value}\n\n"));
    let list = all
        .strip_prefix("(NIL NIL NIL NIL NIL ")
        .and_then(|rest| rest.strip_suffix(" NIL NIL NIL NIL)"));
    list.unwrap().to_owned()
}

const NESTED: &str = "From: A <a@b>
Content-Type: multipart/mixed; boundary=\"outer\"
MIME-Version: 1.0

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner

plain
--inner
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>=20
--inner--

--outer
Content-Type: message/rfc822
Content-Disposition: attachment; filename=\"fwd.eml\"

Subject: inside
From: c@d
Content-Type: multipart/digest; boundary=dig

--dig

Subject: one

first
--dig--
--outer
Content-Type: image/png; name=x.png
Content-Transfer-Encoding: base64
Content-ID: <img@b>
Content-Description: a picture
Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==
Content-Disposition: inline; filename=x.png; size=3
Content-Language: en, de-AT
Content-Location: http://example.com/x.png

AAAA
--outer--
epilogue
";

#[test]
fn nested_parts() {
    insta::assert_snapshot!(tree(&parse(&crlf(NESTED))), @r"
Multipart 0..85..833 lines 41
  Multipart 104..159..292 lines 9
    Leaf 168..170..175 lines 0
    Leaf 186..273..279 lines 0
  Message 303..388..503 lines 9
    Multipart 388..464..503 lines 5
      Message 471..473..494 lines 2
        Leaf 473..489..494 lines 0
  Leaf 514..806..810 lines 0
");
    insta::assert_snapshot!(structure(NESTED), @r#"((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0 NIL NIL NIL NIL)("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" 6 0 NIL NIL NIL NIL) "alternative" ("boundary" "inner") NIL NIL NIL)("message" "rfc822" NIL NIL NIL "7bit" 115 (NIL "inside" ((NIL NIL "c" "d")) ((NIL NIL "c" "d")) ((NIL NIL "c" "d")) NIL NIL NIL NIL NIL) (("message" "rfc822" NIL NIL NIL "7bit" 21 (NIL "one" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL) "digest" ("boundary" "dig") NIL NIL NIL) 9 NIL ("attachment" ("filename" "fwd.eml")) NIL NIL)("image" "png" ("name" "x.png") "<img@b>" "a picture" "base64" 4 "Q2hlY2sgSW50ZWdyaXR5IQ==" ("inline" ("filename" "x.png" "size" "3")) ("en" "de-AT") "http://example.com/x.png") "mixed" ("boundary" "outer") NIL NIL NIL)"#);
    insta::assert_snapshot!(body(NESTED), @r#"((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0)("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" 6 0) "alternative")("message" "rfc822" NIL NIL NIL "7bit" 115 (NIL "inside" ((NIL NIL "c" "d")) ((NIL NIL "c" "d")) ((NIL NIL "c" "d")) NIL NIL NIL NIL NIL) (("message" "rfc822" NIL NIL NIL "7bit" 21 (NIL "one" NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0) 2) "digest") 9)("image" "png" ("name" "x.png") "<img@b>" "a picture" "base64" 4) "mixed")"#);
}

#[test]
fn numbers_name_parts() {
    let mime = parse(&crlf(NESTED));
    let kind = |path: &[u32]| mime.find(path).map(|id| mime.part(id).kind);
    assert_eq!(kind(&[1]), Some(Kind::Multipart));
    assert_eq!(kind(&[1, 2]), Some(Kind::Leaf));
    assert_eq!(kind(&[2]), Some(Kind::Message));
    assert_eq!(kind(&[2, 1]), Some(Kind::Message));
    assert_eq!(kind(&[2, 1, 1]), Some(Kind::Leaf));
    for path in
        [&[][..], &[0], &[4], &[1, 3], &[1, 1, 1], &[2, 2], &[2, 1, 2], &[2, 1, 1, 1], &[u32::MAX]]
    {
        assert_eq!(mime.find(path), None, "{path:?}");
    }
    let single = parse(b"Subject: x\r\n\r\nbody");
    assert_eq!(single.find(&[1]), Some(PartId::ROOT));
    assert_eq!(single.find(&[1, 1]), None);
}

#[test]
fn a_message_of_its_own_kind() {
    let text = "Content-Type: message/rfc822\n\nSubject: in\nFrom: a@b\n\nbody\nx\n";
    insta::assert_snapshot!(structure(text), @r#"("message" "rfc822" NIL NIL NIL "7bit" 35 (NIL "in" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 9 2 NIL NIL NIL NIL) 5 NIL NIL NIL NIL)"#);
    let mime = parse(&crlf(text));
    assert_eq!(mime.find(&[1]), Some(PartId::ROOT));
    assert_eq!(mime.find(&[1, 1]), mime.children(PartId::ROOT).next());
}

#[test]
fn bare_line_feeds_count_as_line_ends() {
    insta::assert_snapshot!(tree(&parse(NESTED.as_bytes())), @r"
Multipart 0..81..788 lines 41
  Multipart 98..151..275 lines 9
    Leaf 159..160..165 lines 0
    Leaf 174..258..264 lines 0
  Message 284..366..472 lines 9
    Multipart 366..438..472 lines 5
      Message 444..445..464 lines 2
        Leaf 445..459..464 lines 0
  Leaf 481..764..768 lines 0
");
}

#[test]
fn sparse_messages() {
    insta::assert_snapshot!(structure(""), @r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)"#);
    insta::assert_snapshot!(structure("\nbody\n"), @r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 1 NIL NIL NIL NIL)"#);
    insta::assert_snapshot!(structure("Subject: no empty line\nand no header: x"), @r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)"#);
    insta::assert_snapshot!(tree(&parse(b"Subject: no empty line")), @r"Leaf 0..22..22 lines 0");
    insta::assert_snapshot!(envelope(""), @r"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
}

#[test]
fn boundaries_count_at_line_starts() {
    let text = "Content-Type: multipart/mixed; boundary=BND\n\n--BND\n\nvisit --BND for details\n --BND\n--BND--\n";
    insta::assert_snapshot!(tree(&parse(&crlf(text))), @r"
Multipart 0..47..98 lines 5
  Leaf 54..56..87 lines 1
");
}

#[test]
fn the_longest_boundary_counts() {
    // `ab` inside `a`: `--ab` is the inner one's, `--a` the outer one's.
    let inner_longer = "Content-Type: multipart/mixed; boundary=a

--a
Content-Type: multipart/mixed; boundary=ab

--ab

one
--ab

two
--a

three
--a--
";
    insta::assert_snapshot!(tree(&parse(&crlf(inner_longer))), @r"
Multipart 0..45..143 lines 13
  Multipart 50..96..120 lines 5
    Leaf 102..104..107 lines 0
    Leaf 115..117..120 lines 0
  Leaf 127..129..134 lines 0
");
    let outer_longer = "Content-Type: multipart/mixed; boundary=ab

--ab
Content-Type: multipart/mixed; boundary=a

--a

one
--ab

two
--a

not a part
--ab--
";
    insta::assert_snapshot!(tree(&parse(&crlf(outer_longer))), @r"
Multipart 0..46..149 lines 13
  Multipart 52..97..107 lines 2
    Leaf 102..104..107 lines 0
  Leaf 115..117..139 lines 3
");
    // A boundary that ends in dashes isn't the closing one of a shorter boundary.
    let dashes = "Content-Type: multipart/mixed; boundary=\"a--\"

--a--
Content-Type: multipart/mixed; boundary=\"a----\"

--a----

body
--a------

epilogue
--a----
";
    insta::assert_snapshot!(tree(&parse(&crlf(dashes))), @r"
Multipart 0..49..156 lines 10
  Multipart 56..107..145 lines 5
    Leaf 116..118..122 lines 0
");
}

#[test]
fn boundaries_that_go_wrong() {
    let multipart = |rest: &str| format!("Content-Type: multipart/mixed; boundary=a\n\n{rest}");
    // No closing boundary; nothing behind it counts.
    insta::assert_snapshot!(tree(&parse(&crlf(&multipart("--a\n\none\n--a\n\ntwo\n")))), @r"
Multipart 0..45..69 lines 6
  Leaf 50..52..55 lines 0
  Leaf 62..64..69 lines 1
");
    insta::assert_snapshot!(tree(&parse(&crlf(&multipart("--a\n\none\n--a--\n--a\n\ntwo\n")))), @r"
Multipart 0..45..76 lines 7
  Leaf 50..52..55 lines 0
");
    // No boundary at all, or none named.
    insta::assert_snapshot!(structure(&multipart("text\n")), @r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "a") NIL NIL NIL)"#);
    insta::assert_snapshot!(structure("Content-Type: multipart/mixed\n\n--\n\ntext\n"), @r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" NIL NIL NIL NIL)"#);
    insta::assert_snapshot!(structure("Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\ntext\n"), @r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "") NIL NIL NIL)"#);
    // In a header: it ends there.
    insta::assert_snapshot!(tree(&parse(&crlf(&multipart("--a\n--a\nContent-Type: text/html\n--a\nX: y\n\n--a--\n")))), @r"
Multipart 0..45..100 lines 7
  Leaf 48..48..48 lines 0
  Leaf 55..78..78 lines 0
  Leaf 85..91..91 lines 0
");
    // The mail ends in the middle of one.
    insta::assert_snapshot!(tree(&parse(&crlf(&multipart("--a\n\none\n--a")))), @r"
Multipart 0..45..60 lines 3
  Leaf 50..52..55 lines 0
");
    insta::assert_snapshot!(tree(&parse(&crlf(&multipart("--a\n\none\n-")))), @r"
Multipart 0..45..58 lines 3
  Leaf 50..52..58 lines 1
");
    // The outer one ends the inner parts.
    let outer = "--a\nContent-Type: multipart/mixed; boundary=i\n\n--i\nContent-Type: message/rfc822\n\n--a\n\ntwo\n--a--";
    insta::assert_snapshot!(tree(&parse(&crlf(&multipart(outer)))), @r"
Multipart 0..45..149 lines 9
  Multipart 50..95..130 lines 2
    Message 100..130..130 lines 0
      Leaf 130..130..130 lines 0
  Leaf 137..139..142 lines 0
");
}

#[test]
fn content_types_that_go_wrong() {
    for value in
        ["application-x-gzip; name=x", ";;", "", "text/plain charset=utf-8", "text/", "/plain"]
    {
        insta::allow_duplicates! {
            insta::assert_snapshot!(structure(&format!("Content-Type: {value}\n\nbody")), @r#"("" "" NIL NIL NIL "7bit" 4 NIL NIL NIL NIL)"#);
        }
    }
    insta::assert_snapshot!(structure("Content-Type: text/html\nContent-Type: image/png\nContent-Transfer-Encoding: 7bit x\n\n"), @r#"("text" "html" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)"#);
    insta::assert_snapshot!(structure("Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVj\n"), @r#"("message" "rfc822" NIL NIL NIL "base64" 10 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) 1 NIL NIL NIL NIL)"#);
    insta::assert_snapshot!(structure("Content-Disposition: \"inline\"\nContent-Language: en (x), \"de\"\n\n"), @r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL ("en") NIL)"#);
    insta::assert_snapshot!(structure("Content-Language: en, .\n\n"), @r#"
    ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL ("en") NIL)
    "#);
    insta::assert_snapshot!(structure("Content-Language: de-AT, en.x, fr\n\n"), @r#"
    ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL ("de-AT" "en") NIL)
    "#);
}

#[test]
fn parameters() {
    let params = |value: &str| {
        structure(&format!("Content-Type: a/b; {value}\n\n"))
            .replace(" NIL NIL \"7bit\" 0 NIL NIL NIL NIL", "")
    };
    insta::assert_snapshot!(params("NAME=\"a \\\"b\\\" c\\\\d\"; (c) x = y (d) ; z"), @r#"("a" "b" ("NAME" "a \"b\" c\\d" "x" "y"))"#);
    insta::assert_snapshot!(params("x=my file.txt; e==?utf-8?q?a?=; q=\"never ends; r=s"), @r#"("a" "b" ("x" "my" "e" "=?utf-8?q?a?=" "r" "s"))"#);
    insta::assert_snapshot!(params("y*1=\"b\"; y*0=\"a\"; z*=utf-8''q%20r; f*0*=utf-8''%41; f*1=\"50% b\"; n=1"), @r#"("a" "b" ("z*" "utf-8''q%20r" "n" "1" "f*" "utf-8''%4150%25 b" "y" "ab"))"#);
    insta::assert_snapshot!(params("x*1=b; x*0=a; x*3=d; X*0=twice; y*=; w*4294967296=huge; v*63=no first"), @r#"("a" "b" ("y*" "" "v*63" "no" "x*0" "a" "x*1" "b" "x*3" "d"))"#);
}

/// RFC 2045 §5.1: `charset=us-ascii (Plain text)`; what is in the comment is the sender's affair.
#[test]
fn a_semicolon_in_a_comment_begins_no_parameter() {
    let params = |params: &str| structure(&format!("Content-Type: a/b; {params}\n\n"));
    insta::assert_snapshot!(params("c=d (e; f=g); h=i"), @r#"
    ("a" "b" ("c" "d" "h" "i") NIL NIL "7bit" 0 NIL NIL NIL NIL)
    "#);
    insta::assert_snapshot!(params("c=\"d\"(\\); e=f)\n (g; h=i)\n ;j=k"), @r#"
    ("a" "b" ("c" "d" "j" "k") NIL NIL "7bit" 0 NIL NIL NIL NIL)
    "#);
    insta::assert_snapshot!(params("x (e; f=g); h=i (j"), @r#"
    ("a" "b" ("h" "i") NIL NIL "7bit" 0 NIL NIL NIL NIL)
    "#);
}

#[test]
fn text_has_a_character_set() {
    insta::assert_snapshot!(structure("Content-Type: text/x; a=b\n\nline\n"), @r#"("text" "x" ("a" "b" "charset" "us-ascii") NIL NIL "7bit" 6 1 NIL NIL NIL NIL)"#);
    insta::assert_snapshot!(structure("Content-Type: text/x; charset*=us-ascii''utf-8\n\nline\n"), @r#"("text" "x" ("charset*" "us-ascii''utf-8") NIL NIL "7bit" 6 1 NIL NIL NIL NIL)"#);
}

#[test]
fn envelopes() {
    insta::assert_snapshot!(envelope("Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev1 WG mtg summary
  and\tminutes  
To: imap@cac.washington.edu
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>

"), @r#"("Mon, 7 Feb 1994 21:52:25 -0800 (PST)" "IMAP4rev1 WG mtg summary and minutes" (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL "<B27397-0100000@cac.washington.edu>")"#);
    insta::assert_snapshot!(envelope("Subject :\nFrom: a@b\nSender:\nReply-To: c@d\nReply-To: e@f\nDate: 1\nDate: 2\nIn-Reply-To: <a>\n <b>\n\n"), @r#"("2" "" ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "c" "d")(NIL NIL "e" "f")) NIL NIL NIL "<a> <b>" NIL)"#);
    insta::assert_snapshot!(envelope("Subject: =?utf-8?q?a?= \"q\" \\ caf\u{e9}\0\n\n"), @r#"(NIL {26}\r\n=?utf-8?q?a?= "q" \ caf\xc3\xa9\x80 NIL NIL NIL NIL NIL NIL NIL NIL)"#);
}

#[test]
fn addresses() {
    insta::assert_snapshot!(to("a@b, <c@d>, E F <e@f>, \"G, H\" <g@h>, i@j (I J)"), @r#"((NIL NIL "a" "b")(NIL NIL "c" "d")("E F" NIL "e" "f")("G, H" NIL "g" "h")("I J" NIL "i" "j"))"#);
    insta::assert_snapshot!(to("=?utf-8?q?J=C3=B6?= \"a.b\" (c) <@r1,@r2:Jo@Ex.org>"), @r#"(("=?utf-8?q?J=C3=B6?= a.b" "@r1,@r2" "Jo" "Ex.org"))"#);
    insta::assert_snapshot!(to("John Q. Public <a@b>, \"a b\"@c, a@[1.2.3.4], a . b @ c . d"), @r#"(("John Q. Public" NIL "a" "b")(NIL NIL "a b" "c")(NIL NIL "a" "[1.2.3.4]")(NIL NIL "a.b" "c.d"))"#);
    insta::assert_snapshot!(to("A \"B \\\" C\" (x (y)) D <a@b (in) > (out)"), @r#"(("A B \" C D" NIL "a" "b"))"#);
}

#[test]
fn row_34_groups_and_addresses_that_go_wrong() {
    insta::assert_snapshot!(to("G: a@b, C <c@d>;, e@f"), @r#"((NIL NIL "G" NIL)(NIL NIL "a" "b")("C" NIL "c" "d")(NIL NIL NIL NIL)(NIL NIL "e" "f"))"#);
    insta::assert_snapshot!(to("undisclosed-recipients:;"), @r#"((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))"#);
    insta::assert_snapshot!(to("G: a@b"), @r#"((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))"#);
    insta::assert_snapshot!(to("A: B: c@d;"), @r#"((NIL NIL "A" NIL)(NIL NIL "B" "MISSING_DOMAIN")(NIL NIL NIL NIL))"#);
    insta::assert_snapshot!(to("A, A B, <>, A <>, <a>, a@, @b, <@b>, a b@c"), @r#"((NIL NIL "A" "MISSING_DOMAIN")("A B" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN")("A" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "a" "MISSING_DOMAIN")(NIL NIL "a" "MISSING_DOMAIN")(NIL NIL "MISSING_MAILBOX" "b")(NIL "INVALID_ROUTE" "MISSING_MAILBOX" "MISSING_DOMAIN")("a b" NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))"#);
    insta::assert_snapshot!(to("\"A B\", \"A\" (c), \"A\"@, \"A\".b, \"A\" b, g: \"A\";, <\"A\">"), @r#"
    (("A B" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")("c" NIL "A" "MISSING_DOMAIN")(NIL NIL "A" "MISSING_DOMAIN")(NIL NIL "A.b" "MISSING_DOMAIN")("A b" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "g" NIL)("A" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL NIL NIL)(NIL NIL "A" "MISSING_DOMAIN"))
    "#);
    insta::assert_snapshot!(to("a@b@c, <a@b, a@b>, A <a b@c>, A <mailto:a@b>, A <@r:a>"), @r#"((NIL NIL "a" "b")(NIL NIL "a" "SYNTAX_ERROR")(NIL NIL "a" "b")("A" NIL "a" "SYNTAX_ERROR")("A" NIL "mailto" "SYNTAX_ERROR")("A" "@r" "a" "MISSING_DOMAIN"))"#);
    insta::assert_snapshot!(to(", ,a@b c@d,,"), @r#"((NIL NIL "a" "b"))"#);
    insta::assert_snapshot!(to("\"never ends <a@b>"), @r#"((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))"#);
    for nothing in ["", " ", ",", "(only a comment)", ";"] {
        assert_eq!(to(nothing), "NIL", "{nothing}");
    }
}

#[test]
fn row_35_comments_that_end_in_a_backslash() {
    insta::assert_snapshot!(to("a@b (C\\"), @r#"(("C" NIL "a" "b"))"#);
    insta::assert_snapshot!(to("(\\"), @r"NIL");
    insta::assert_snapshot!(to("\"\\"), @r#"((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))"#);
    insta::assert_snapshot!(structure("Content-Type: text/plain (\\\n\n"), @r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)"#);
    insta::assert_snapshot!(structure("Content-Type: text/plain; a=\"\\\n\n"), @r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)"#);
}

#[test]
fn row_36_nul_shows_as_0x80() {
    assert_eq!(
        envelope("Subject: a\0b\n\n"),
        "(NIL {3}\\r\\na\\x80b NIL NIL NIL NIL NIL NIL NIL NIL)"
    );
    assert!(parse(b"a\0").has_nul());
    assert!(!parse(b"a").has_nul());
}

#[test]
fn kept_fields_are_bounded() {
    let limits = Limits { field: 10, kept: 120, ..Limits::default() };
    let text =
        "Subject: 0123456789abc\nTo: a@b\nTo: b@c\nTo: c@d\nContent-ID: x\nContent-MD5: y\n\n";
    let mime = parse_with(&crlf(text), limits);
    let mut out = Vec::new();
    mime.write_envelope(&mut out);
    mime.write_structure(true, &mut out);
    insta::assert_snapshot!(shown(&out), @r#"(NIL "0123456789" NIL NIL NIL ((NIL NIL "a" "b")) NIL NIL NIL NIL)("text" "plain" ("charset" "us-ascii") "x" NIL "7bit" 0 0 "y" NIL NIL NIL)"#);
}
