//! SEARCH programs: what matches, and how little is read to know it.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)] // helpers of tests

mod mime_support;

use imap_proto::date::{DateTime, Day};
use imap_proto::fetch::{Fixed, Keywords, MessageSource, Meta, SourceError};
use imap_proto::search::{Columns, Key, Limits, Look, Order, Program, ProgramError, Reads};
use imap_proto::{Keyword, ModSeq, SystemFlags, Uid, UidSet};
use mime_support::{Stored, crlf, hostile_mail, meta};
use proptest::prelude::*;

fn compile(key: &Key) -> Program {
    Program::compile(key, Limits::default()).unwrap()
}

/// What columns say; the same of a row of which no more is known than what the program says it looks at.
fn by_columns(program: &Program, meta: &Meta<'_>) -> Columns {
    let items = program.items();
    let only = Meta {
        flags: if items.contains(Fixed::FLAGS) { meta.flags } else { SystemFlags::default() },
        keywords: if items.contains(Fixed::FLAGS) { meta.keywords } else { Keywords::NONE },
        internal_date: if items.contains(Fixed::INTERNALDATE) {
            meta.internal_date
        } else {
            DateTime { seconds: 0, zone: 0 }
        },
        size: if items.contains(Fixed::SIZE) { meta.size } else { 0 },
        modseq: if items.contains(Fixed::MODSEQ) { meta.modseq } else { ModSeq(0) },
        save_date: meta.save_date.filter(|_| items.contains(Fixed::SAVEDATE)),
        email_id: if items.contains(Fixed::EMAILID) { meta.email_id } else { 0 },
        ..*meta
    };
    let found = program.columns(meta);
    assert_eq!(program.columns(&only), found);
    if let Some(uids) = program.uids() {
        assert_eq!(found == Columns::Yes, uids.contains(meta.uid));
    }
    found
}

/// Whether a message matches; checks on the way that columns don't contradict.
fn matches(key: &Key, meta: &Meta<'_>, stored: &mut Stored) -> bool {
    let program = compile(key);
    let found = program.message(meta, stored).unwrap();
    match by_columns(&program, meta) {
        Columns::Yes => assert!(found),
        Columns::No => assert!(!found),
        Columns::Needs(reads) => assert_eq!(Some(reads), program.reads()),
    }
    found
}

/// Whether the columns alone say yes.
fn columns(key: &Key, meta: &Meta<'_>) -> bool {
    match by_columns(&compile(key), meta) {
        Columns::Yes => true,
        Columns::No => false,
        Columns::Needs(_) => panic!("{key:?} needs the message"),
    }
}

fn in_mail(key: &Key, mail: &str) -> bool {
    matches(key, &meta(), &mut Stored::new(crlf(mail)))
}

fn body(text: &str) -> Key {
    Key::Body(text.as_bytes().to_vec())
}

fn text(text: &str) -> Key {
    Key::Text(text.as_bytes().to_vec())
}

fn subject(text: &str) -> Key {
    Key::header("Subject", text.as_bytes())
}

fn day(text: &str) -> Day {
    Day::parse(text.as_bytes()).unwrap()
}

#[test]
fn facts() {
    let seen = Key::Flags(SystemFlags::SEEN);
    let words = [Keyword::new("$Junk").unwrap()];
    let meta = Meta { keywords: Keywords::List(&words), uid: Uid(42), size: 1000, ..meta() };
    let uids = |first, last| Key::Uids(UidSet::range(Uid(first), Uid(last)));
    for key in [
        Key::All,
        seen.clone(),
        Key::Flags(SystemFlags::SEEN | SystemFlags::ANSWERED),
        Key::Flags(SystemFlags::DRAFT).negated(),
        Key::Keyword(Keyword::new("$junk").unwrap()),
        Key::Recent.negated(),
        Key::Larger(999),
        Key::Smaller(1001),
        uids(40, 42),
        Key::ModSeq(ModSeq(99)),
        Key::EmailId(b"M00000000000000000000000000001234".to_vec()),
        Key::And(Vec::new()),
        Key::And(vec![seen.clone(), Key::Larger(1), uids(42, 42)]),
        Key::Or(Box::new(Key::Recent), Box::new(seen.clone())),
        Key::Or(Box::new(seen.clone()), Box::new(Key::Recent)),
    ] {
        assert!(columns(&key, &meta), "{key:?}");
        assert!(!columns(&key.clone().negated(), &meta), "not {key:?}");
        assert!(columns(&key.clone().negated().negated(), &meta), "not not {key:?}");
    }
    for key in [
        Key::Larger(1000),
        Key::Smaller(1000),
        uids(43, 50),
        Key::ModSeq(ModSeq(100)),
        Key::EmailId(b"M12".to_vec()),
    ] {
        assert!(!columns(&key, &meta), "{key:?}");
    }
}

#[test]
fn dates_disregard_time_and_zone() {
    let at =
        |text: &str| Meta { internal_date: DateTime::parse(text.as_bytes()).unwrap(), ..meta() };
    let late = at("17-Jul-1996 23:59:59 -1200"); // 18 July in UTC
    let check = |order, date, meta: &Meta<'_>| columns(&Key::Internal(order, day(date)), meta);
    assert!(check(Order::On, "17-Jul-1996", &late));
    assert!(!check(Order::On, "18-Jul-1996", &late));
    assert!(check(Order::Since, "17-Jul-1996", &late));
    assert!(!check(Order::Before, "17-Jul-1996", &late));
    assert!(check(Order::Before, "18-Jul-1996", &late));
    // Without a save date the internal date counts.
    assert!(columns(&Key::Saved(Order::On, day("17-Jul-1996")), &late));
    let saved = Meta { save_date: Some(DateTime { seconds: 0, zone: 0 }), ..late };
    assert!(columns(&Key::Saved(Order::On, day("1-Jan-1970")), &saved));
}

#[test]
fn sent_dates_come_from_the_header() {
    let mail = "Date: Fri, 21 Nov 1997 23:55:06 -0600\nDate: Fri, 21 Nov 2003 23:55:06 -0600\n\n";
    let sent = |order, date| in_mail(&Key::Sent(order, day(date)), mail);
    assert!(sent(Order::On, "21-Nov-1997"));
    assert!(sent(Order::Since, "21-Nov-1997"));
    assert!(sent(Order::Before, "22-Nov-1997"));
    assert!(!sent(Order::Before, "21-Nov-1997"));
    for mail in ["Date: soon\n\n", "Subject: x\n\n", ""] {
        assert!(!in_mail(&Key::Sent(Order::Since, Day::FIRST), mail), "{mail}");
        assert!(!in_mail(&Key::Sent(Order::Before, Day::LAST), mail), "{mail}");
    }
}

#[test]
fn header_fields() {
    let mail = "From: =?utf-8?q?J=C3=96RG?= =?iso-8859-1?q?_M=FCller?= <j@example.com>
Subject: a folded
 subject =?x-unknown?q?raw?=
X-Tab: one
\ttwo  three
X-Empty:
To: one@b
To: TWO@b

body
";
    for (field, value) in [
        ("from", "jörg müller"),
        ("from", "jörg \t müller"),
        ("x-tab", "one two three"),
        ("x-tab", "one  two"),
        ("FROM", "EXAMPLE.com>"),
        ("Subject", "FOLDED subject"),
        ("subject", "raw"),
        ("to", "two@"),
        ("x-empty", ""),
        ("To", ""),
    ] {
        assert!(in_mail(&Key::header(field, value.as_bytes()), mail), "{field} {value}");
    }
    for (field, value) in
        [("from", "jorg"), ("cc", ""), ("subject", "body"), ("x-empty", "x"), ("to", "onetwo")]
    {
        assert!(!in_mail(&Key::header(field, value.as_bytes()), mail), "{field} {value}");
    }
}

#[test]
fn bodies_are_decoded() {
    let mail = "Subject: outside
Content-Type: multipart/mixed; boundary=x

preamble
--x
X-Mime: partly
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe aus K=
=D6ln
--x
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PGI+w4RuZ3N0ZTwvYj4K
--x
Content-Type: application/pdf

secret
--x
Content-Type: message/rfc822

Subject: inside

inner text
--x--
";
    for found in ["grüße", "AUS KÖLN", "<b>ängste", "inner text", "subject: inside", ""] {
        assert!(in_mail(&body(found), mail), "{found}");
        assert!(in_mail(&text(found), mail), "{found}");
    }
    for missing in ["secret", "preamble", "=FC", "PGI", "outside", "partly"] {
        assert!(!in_mail(&body(missing), mail), "{missing}");
    }
    assert!(in_mail(&text("OUTSIDE"), mail));
    assert!(in_mail(&text("x-mime: PARTLY"), mail));
    assert!(!in_mail(&text("secret"), mail));
}

/// A message of bytes, its lines ending in CRLF.
fn in_bytes(key: &Key, mail: &[&[u8]]) -> bool {
    matches(key, &meta(), &mut Stored::new(mail.join(&b"\r\n"[..])))
}

#[test]
fn headers_in_any_charset() {
    let mail = [
        &b"Subject: =?koi8-r?B?79TQ?= =?koi8-r?B?1dPL?= =?iso-2022-jp?B?GyRCRnxLXBsoQg==?="[..],
        b"X-Cut: =?utf-8?B?0L7RgtC/0YPRgdC=?= =?utf-8?B?utCw?=",
        b"X-Raw8: gr\xc3\xbc\xc3\x9fe",
        b"X-Raw1: gr\xfc\xdfe",
        b"X-Greek: =?ISO-8859-7?Q?=CF=C4=CF=D3?=",
        b"Content-Disposition: attachment; filename*0*=utf-8''%E2%82%AC%20; filename*1=\"rates.txt\"",
        b"",
        b"",
    ];
    for (field, value) in [
        ("subject", "отпуск日本"),
        ("x-cut", "отпуска"),
        ("x-raw8", "GRÜßE"),
        ("x-raw1", "GRÜßE"),
        ("x-greek", "οδος"),
        ("content-disposition", "filename=€ RATES.txt"),
        ("content-disposition", "filename*0*="),
    ] {
        assert!(in_bytes(&Key::header(field, value.as_bytes()), &mail), "{field} {value}");
        assert!(in_bytes(&text(value), &mail), "{value}");
    }
    assert!(!in_bytes(&subject("koi8"), &mail));
    // Text that isn't UTF-8 is what it would be in a message.
    assert!(in_bytes(&Key::header("X-Raw8", b"GR\xdc"), &mail));
}

#[test]
fn bodies_in_any_charset() {
    let part = |charset: &str, encoding: &str, body: &[u8]| {
        let head = format!(
            "Content-Type: text/plain; charset=\"{charset}\"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        );
        [head.as_bytes(), body].concat()
    };
    for (charset, encoding, body_text, value) in [
        ("koi8-r", "8bit", &b"\xef\xd4\xd0\xd5\xd3\xcb"[..], "отпуск"),
        ("Shift_JIS", "base64", b"k/qWew==", "日本"),
        ("gb2312", "quoted-printable", b"=C4=E3=\r\n=BA=C3", "你好"),
        ("big5", "8bit", b"\xa7A\xa6n", "你好"),
        ("euc-kr", "8bit", b"\xc7\xd1\xb1\xdb", "한글"),
        ("iso-2022-jp", "7bit", b"\x1b$BF|K\\\x1b(B", "日本"),
        ("utf-16", "base64", b"//5oAGkA", "HI"),
        ("utf-16be", "base64", b"AGgAaQ==", "hi"),
        ("iso-8859-15", "8bit", b"100 \xa4", "100 €"),
        ("us-ascii", "8bit", "größe".as_bytes(), "GRÖßE"),
        ("x-unknown", "8bit", b"gr\xf6\xdfe", "größe"),
        ("utf-8", "8bit", b"gr\xf6\xdfe", "größe"),
    ] {
        let message = part(charset, encoding, body_text);
        for window in [1, 2, 3, 5, 1 << 16] {
            let mut stored = Stored::new(message.clone());
            stored.window = window;
            assert!(
                matches(&body(value), &meta(), &mut stored),
                "{charset} {encoding} by {window}"
            );
        }
        assert!(!matches(&body("x"), &meta(), &mut Stored::new(message)), "{charset}");
    }
}

#[test]
fn only_text_and_messages_count() {
    let mail = "Content-Type: multipart/mixed; boundary=x

--x
Content-Type: image/png; name=picture.png
Content-Transfer-Encoding: base64

c2VjcmV0
--x
Content-Type: message/delivery-status

Action: failed
--x
Content-Type: message/rfc822

From: inner@example.org
Content-Type: multipart/alternative; boundary=y

--y
X-Deep: mime

deep text
--y--
--x--
";
    for found in ["inner@example.org", "from: inner", "deep text", "action: failed"] {
        assert!(in_mail(&body(found), mail), "{found}");
        assert!(in_mail(&text(found), mail), "{found}");
    }
    for missing in ["secret", "c2VjcmV0", "x-deep", "picture", "--y"] {
        assert!(!in_mail(&body(missing), mail), "{missing}");
    }
    for (value, found) in
        [("secret", false), ("c2VjcmV0", false), ("x-deep", true), ("picture", true)]
    {
        assert_eq!(in_mail(&text(value), mail), found, "{value}");
    }
}

#[test]
fn text_is_found_across_windows() {
    let filler = "é".repeat(40_000); // 80,000 bytes: the second window begins inside
    let mail = format!("\n{filler}Nädel{filler}");
    for window in [1, 2, 3, 7, 4096, 65_536] {
        let mut stored = Stored::new(crlf(&mail));
        stored.window = window;
        let program = compile(&body("NÄDEL"));
        assert!(program.message(&meta(), &mut stored).unwrap(), "{window}");
        assert!(!compile(&body("NÄDELN")).message(&meta(), &mut stored).unwrap());
    }
}

#[test]
fn cheap_keys_come_first() {
    let mail = || Stored::new(crlf("Subject: x\n\nbody\n"));
    // Columns decide, wherever they stand: nothing is read.
    for key in [
        Key::And(vec![body("body"), subject("x"), Key::Recent]),
        Key::And(vec![Key::Or(Box::new(body("y")), Box::new(Key::Recent)), Key::Recent]).negated(),
        Key::Or(Box::new(text("body")), Box::new(Key::Flags(SystemFlags::SEEN))),
    ] {
        let mut stored = mail();
        let program = compile(&key);
        assert!(!matches!(program.columns(&meta()), Columns::Needs(_)), "{key:?}");
        program.message(&meta(), &mut stored).unwrap();
        assert_eq!((stored.headers, stored.reads), (0, 0), "{key:?}");
    }
    // The header decides: the body isn't read.
    let mut stored = mail();
    assert!(!matches(&Key::And(vec![body("body"), subject("y")]), &meta(), &mut stored));
    assert_eq!((stored.headers, stored.reads), (1, 0));
    let mut stored = mail();
    assert!(matches(
        &Key::Or(Box::new(body("none")), Box::new(subject("X"))),
        &meta(),
        &mut stored
    ));
    assert_eq!((stored.headers, stored.reads), (1, 0));
    assert_eq!(compile(&subject("x")).reads(), Some(Reads::Header));
    assert_eq!(compile(&Key::And(vec![subject("x"), text("y")])).reads(), Some(Reads::Body));
    assert_eq!(compile(&Key::All).reads(), None);
}

#[test]
fn a_message_that_cannot_be_read_is_an_error() {
    let mut stored = Stored::new(crlf("\nbody"));
    stored.broken = true;
    assert_eq!(compile(&body("x")).message(&meta(), &mut stored), Err(SourceError::Unreadable));
    assert_eq!(compile(&Key::All).message(&meta(), &mut stored), Ok(true));
}

#[test]
fn row_45_programs_are_bounded() {
    let limits = Limits::default();
    let nested = |depth| (1..depth).fold(Key::All, |key, _| key.negated());
    assert!(Program::compile(&nested(32), limits).is_ok());
    assert_eq!(
        Program::compile(&nested(33), limits).unwrap_err(),
        ProgramError::Depth { allowed: 32 }
    );
    let many = |terms: usize| Key::And(vec![Key::Recent; terms - 1]);
    assert!(Program::compile(&many(1000), limits).is_ok());
    assert_eq!(
        Program::compile(&many(1001), limits).unwrap_err(),
        ProgramError::Terms { allowed: 1000 }
    );
    let long = |bytes: usize| Key::Body(vec![b'x'; bytes]);
    assert!(Program::compile(&long(64 << 10), limits).is_ok());
    let error = Program::compile(&long((64 << 10) + 1), limits).unwrap_err();
    assert_eq!(error.to_string(), "the search has 65537 bytes of text, allowed are 65536");
}

#[test]
fn programs_may_be_shared_by_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Program>();
}

/// Any key over columns, header and body, with what a simple recursion says of it for [`meta`] and `Subject: x`.
fn any_key() -> impl Strategy<Value = Key> {
    let leaf = prop_oneof![
        Just(Key::All),
        Just(Key::Recent),
        Just(Key::Flags(SystemFlags::SEEN)),
        Just(subject("x")),
        Just(subject("y")),
        Just(body("body")),
        Just(body("none")),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(Key::negated),
            (inner.clone(), inner.clone())
                .prop_map(|(left, right)| Key::Or(Box::new(left), Box::new(right))),
            prop::collection::vec(inner, 0..4).prop_map(Key::And),
        ]
    })
}

fn simply(key: &Key) -> bool {
    match key {
        Key::Not(inner) => !simply(inner),
        Key::Or(left, right) => simply(left) || simply(right),
        Key::And(keys) => keys.iter().all(simply),
        Key::All | Key::Flags(_) => true,
        Key::Header { value, .. } => value == b"x",
        Key::Body(text) => text == b"body",
        Key::Keyword(_)
        | Key::Recent
        | Key::Internal(..)
        | Key::Sent(..)
        | Key::Saved(..)
        | Key::Larger(_)
        | Key::Smaller(_)
        | Key::Text(_)
        | Key::Uids(_)
        | Key::ModSeq(_)
        | Key::EmailId(_)
        | Key::ThreadId(_)
        | Key::InThread(..) => false,
    }
}

/// Headers of parts may be many megabytes together.
#[test]
fn may_pause_between_header_blocks() {
    let mail = format!("Content-Type: multipart/mixed; boundary=b\n{}", "\n--b\nX: y\n".repeat(50));
    let mut stored = Stored::new(crlf(&mail));
    let text = Key::Text(b"absent".to_vec());
    assert!(!compile(&text).message(&meta(), &mut stored).unwrap());
    assert!(stored.asked.get() > 50, "asked {} times", stored.asked.get());
}

proptest! {
    #[test]
    fn programs_agree_with_simple_evaluation(key in any_key()) {
        prop_assert_eq!(in_mail(&key, "Subject: x\n\nbody\n"), simply(&key));
    }

    #[test]
    fn any_message_can_be_searched(message in hostile_mail(), window in 1usize..50) {
        let mut stored = Stored::new(message);
        stored.window = window;
        prop_assert!(stored.is_empty() || !stored.message.is_empty());
        for key in [text("x\u{e9}"), body("not there at all"), subject("y"), Key::Sent(Order::On, Day(0))] {
            compile(&key).message(&meta(), &mut stored).unwrap();
        }
    }

    /// A star somewhere takes the way on which every field is decoded.
    #[test]
    fn headers_that_are_ruled_out_have_nothing(message in hostile_mail(), start in 0usize..200, len in 1usize..6) {
        prop_assume!(!matches!(message.first(), None | Some(b' ' | b'\t' | b'\r' | b'\n')));
        let unfolded: Vec<u8> = message.iter().copied().filter(|byte| !b"\r\n".contains(byte)).collect();
        let word: Vec<u8> = unfolded.into_iter().skip(start).take(len).collect();
        let starred = [b"Z: *\r\n", message.as_slice()].concat();
        let found = |key: &Key, message: &[u8]| {
            compile(key).message(&meta(), &mut Stored::new(message.to_vec())).unwrap()
        };
        for field in ["Subject", "From", "To", "Content-Type", "X", "Content-Transfer-Encoding"] {
            let key = Key::header(field, &word);
            prop_assert_eq!(found(&key, &message), found(&key, &starred), "{} {:?}", field, word);
        }
    }

    #[test]
    fn pauses_make_no_difference(key in any_key(), window in 1usize..9, pauses in 3usize..7) {
        let mail = "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nThis is the body\n--b\n\nnon\n--b--\n";
        let mut stored = Stored::new(crlf(mail));
        stored.window = window;
        let program = compile(&key);
        let at_once = program.message(&meta(), &mut stored).unwrap();
        (stored.pauses, stored.asked) = (pauses, 0.into());
        let mut look = Look::default();
        let found = loop {
            match program.go_on(&meta(), &mut stored, &mut look) {
                Err(SourceError::Paused) => {}
                found => break found.unwrap(),
            }
        };
        prop_assert_eq!(found, at_once);
        prop_assert_eq!(found, simply(&key));
    }

    #[test]
    fn text_of_a_plain_body_is_found(body_text in "[a-zA-Z ]{1,60}", start in 0usize..60, len in 1usize..20, window in 1usize..20) {
        let start = start.min(body_text.len() - 1);
        let needle = &body_text[start..(start + len).min(body_text.len())];
        let mut stored = Stored::new(format!("\r\n{body_text}").into_bytes());
        stored.window = window;
        prop_assert!(compile(&body(&needle.to_uppercase())).message(&meta(), &mut stored).unwrap());
        let missing = format!("{needle}~");
        prop_assert!(!compile(&body(&missing)).message(&meta(), &mut stored).unwrap());
    }
}
