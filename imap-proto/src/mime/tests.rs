//! Rows of hostile mail: what comes out, and that the steps it takes grow with the mail and not faster.

use std::cell::Cell;
use std::fmt::Write;

use super::*;

thread_local! {
    pub(super) static WORK: Cell<u64> = const { Cell::new(0) };
}

/// Parses and renders; gives the parts, the length of what was rendered, and the steps for each byte of mail.
fn run(message: &str) -> (Mime, usize, u64) {
    WORK.set(0);
    let mut parser = Parser::new(Limits::default());
    parser.feed(message.as_bytes());
    let mime = parser.finish();
    let mut out = Vec::new();
    mime.write_envelope(&mut out);
    mime.write_structure(true, &mut out);
    (mime, out.len(), WORK.get() / (message.len() as u64).max(1))
}

fn kinds(mime: &Mime, kind: Kind) -> usize {
    mime.parts().iter().filter(|part| part.kind == kind).count()
}

/// The steps of this mail and of one four times as long, by byte, must be nearly the same.
fn check_linear(mail: impl Fn(usize) -> String, n: usize) {
    let (small, large) = (run(&mail(n)).2, run(&mail(4 * n)).2);
    assert!(large <= small + small / 2 + 2, "{small} steps a byte grow to {large}");
    assert!(large < 300, "{large} steps a byte");
}

#[test]
fn rows_29_31_32_the_limits_are_those_promised() {
    let limits = Limits::default();
    assert_eq!((limits.depth, limits.parts, limits.addresses), (100, 10_000, 1_000));
    assert_eq!((limits.header, limits.headers), (10 << 20, 50 << 20));
}

#[test]
fn row_29_ten_thousand_parts_deep() {
    let deep = |n: usize| {
        (0..n).fold(String::new(), |mut mail, n| {
            let _ =
                write!(mail, "Content-Type: multipart/mixed; boundary=b{n}x\r\n\r\n--b{n}x\r\n");
            mail
        })
    };
    let (mime, ..) = run(&deep(10_000));
    assert_eq!(mime.parts().len(), 101);
    assert_eq!((kinds(&mime, Kind::Multipart), kinds(&mime, Kind::Opaque)), (100, 1));
    assert_eq!(mime.root().end, deep(10_000).len() as u64);
    check_linear(deep, 5_000);
}

#[test]
fn row_29_a_hundred_thousand_parts() {
    let wide = |n| {
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(n))
    };
    let (mime, rendered, _) = run(&wide(100_000));
    assert_eq!(mime.parts().len(), 10_000);
    assert!(mime.parts().last().unwrap().size() > 900_000, "the rest belongs to the last part");
    assert!(rendered < 10_000 * 100);
    check_linear(wide, 10_000);
}

#[test]
fn row_29_boundaries_that_never_match() {
    let open = (0..99).fold(String::new(), |mut mail, n| {
        let _ = write!(mail, "Content-Type: multipart/mixed; boundary={n}\r\n\r\n--{n}\r\n");
        mail
    });
    check_linear(|n| format!("{open}\r\n{}", "--\n".repeat(n)), 100_000);
}

#[test]
fn row_30_messages_in_messages() {
    let nested = |n| "Content-Type: message/rfc822\r\n\r\n".repeat(n);
    let (mime, ..) = run(&nested(10_000));
    assert_eq!(mime.parts().len(), 101);
    assert_eq!(kinds(&mime, Kind::Opaque), 1);
    for (index, part) in mime.parts().iter().enumerate().skip(1) {
        assert_eq!(
            part.parent(),
            Some(PartId(index as u32 - 1)),
            "acyclic: the parent comes first"
        );
    }
    check_linear(nested, 10_000);
}

#[test]
fn row_31_half_a_million_addresses() {
    let lines = |n| "To: someone@example.com\r\n".repeat(n);
    let (mime, rendered, _) = run(&lines(500_000));
    let mut out = Vec::new();
    mime.write_envelope(&mut out);
    assert_eq!(out.windows(9).filter(|bytes| bytes == b"\"someone\"").count(), 1000);
    assert!(rendered < 100_000);
    check_linear(lines, 20_000);
    check_linear(|n| format!("To: {}\r\n", "a@b, ".repeat(n)), 20_000);
    check_linear(|n| format!("From: {}\r\n", "(".repeat(n)), 20_000);
    check_linear(|n| format!("From: {}\r\n", "\"\\".repeat(n)), 20_000);
    check_linear(|n| format!("From: {}\r\n", "<@a,".repeat(n)), 20_000);
    check_linear(|n| format!("From: {}\r\n", "g:".repeat(n)), 20_000);
}

#[test]
fn row_32_headers_without_end() {
    let limits = Limits { header: 1000, headers: 2000, ..Limits::default() };
    let parse = |mail: &str| {
        let mut parser = Parser::new(limits);
        parser.feed(mail.as_bytes());
        assert!(parser.line.len() <= limits.field as usize);
        parser.finish()
    };
    // What is beyond the limit isn't looked at; the end of the header is still found.
    let mime =
        parse(&format!("Subject: seen\r\n{}Date: not seen\r\n\r\nbody", "X: y\r\n".repeat(200)));
    assert_eq!(mime.field(PartId::ROOT, FieldName::Subject), Some(&b"seen"[..]));
    assert_eq!(mime.field(PartId::ROOT, FieldName::Date), None);
    assert_eq!(mime.root().size(), 4);
    // The blocks of all parts count together.
    let block = format!("Content-Type: text/html\r\nX: {}\r\n\r\n", "x".repeat(800));
    let mail = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        format!("--b\r\n{block}").repeat(4)
    );
    let mime = parse(&mail);
    let typed = mime.parts().iter().enumerate().filter(|(id, _)| {
        mime.field(PartId(*id as u32), FieldName::ContentType)
            .is_some_and(|value| value == b"text/html")
    });
    assert_eq!((mime.parts().len(), typed.count()), (5, 3));
    // As large as the limit itself: the last field in it counts, the next doesn't.
    let long = |n: usize| format!("X: {}\r\n", "x".repeat(n - 5));
    let mail = format!("{}Date: seen\r\nSubject: not seen\r\n\r\nbody", long((10 << 20) - 12));
    let (mime, ..) = run(&mail);
    assert_eq!(mime.field(PartId::ROOT, FieldName::Date), Some(&b"seen"[..]));
    assert_eq!(mime.field(PartId::ROOT, FieldName::Subject), None);
    assert_eq!(mime.root().size(), 4);
    // One line without end is not held.
    let mut parser = Parser::new(Limits::default());
    for _ in 0..1000 {
        parser.feed(&[b'x'; 4096]);
        assert!(parser.line.capacity() <= 2 * Limits::default().field as usize);
    }
    check_linear(|n| "Content-ID:\r\n".repeat(n), 50_000);
    check_linear(|n| format!("{}\r\n", "Subject: \r\n ".repeat(n)), 50_000);
}

#[test]
fn row_33_parameters_in_thousands_of_sections() {
    let sections = |n: usize| {
        let params = (0..n).rev().fold(String::new(), |mut params, n| {
            let _ = write!(params, ";x*{n}*=y");
            params
        });
        format!("Content-Type: text/plain{params}\r\n")
    };
    let (mime, ..) = run(&sections(5000));
    let value = mime.field(PartId::ROOT, FieldName::ContentType).unwrap();
    let joined = value::params(value::ContentType::parse(value).unwrap().params);
    assert_eq!(joined, [(b"x*".into(), vec![b'y'; 64].into())]);
    check_linear(sections, 2000);
    check_linear(|n| sections(n).replace("text/plain", "multipart/mixed"), 2000);
    let in_sections = |n: usize| {
        let part = format!(
            "--b\r\nContent-Type: multipart/x; boundary*0=c{};\r\n\r\n",
            ";x*1=y".repeat(20)
        );
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(n))
    };
    check_linear(in_sections, 1000);
    check_linear(
        |n| format!("Content-Type: a/b{}\r\n", ";x*0=a;X*0*=b;x*99999999999999999999=c".repeat(n)),
        700,
    );
    check_linear(|n| format!("Content-Type: a/b{}\r\n", ";\"".repeat(n)), 20_000);
    check_linear(|n| format!("Content-Type: a/b{}\r\n", ";x=(".repeat(n)), 10_000);
}

#[test]
fn kept_memory_is_bounded() {
    let parts = "--b\r\nContent-Type: text/plain; name=\"some file name.txt\"\r\nContent-ID: <1@example.com>\r\n\r\n";
    let to = "To: a@b\r\n".repeat(300_000);
    let mail =
        format!("{to}Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", parts.repeat(50_000));
    let (mime, ..) = run(&mail);
    let held = mime.kept.capacity()
        + mime.fields.capacity() * size_of::<Field>()
        + mime.parts.capacity() * size_of::<Part>();
    assert!(mime.parts().len() == 10_000 && held < 2 << 20, "{held}");
}

/// Where a parser said that base64 bodies are, while it got a message in pieces of this size.
fn base64_bodies(message: &[u8], piece: usize) -> (Vec<(PartId, std::ops::Range<u64>)>, Mime) {
    let mut parser = Parser::new(Limits::default());
    let (mut at, mut found) = (0, Vec::<(PartId, std::ops::Range<u64>)>::new());
    for piece in message.chunks(piece) {
        let mut rest = piece;
        while !rest.is_empty() {
            let before = parser.base64_body();
            let taken = parser.feed_some(rest);
            assert!(taken > 0);
            rest = &rest[taken..];
            let start = at;
            at += taken as u64;
            match (before, found.last_mut()) {
                (Some(part), Some((last, range))) if *last == part => range.end = at,
                (Some(part), _) => found.push((part, start..at)),
                (None, _) => {}
            }
        }
    }
    (found, parser.finish())
}

#[test]
fn rfc2045_6_8_base64_is_told_of_when_it_begins() {
    let message = "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n\
        --b\r\nContent-Transfer-Encoding: BASE64\r\n\r\nQUJD\r\nQUJD\r\n\
        --b\r\nContent-Transfer-Encoding: 7bit\r\n\r\nQUJD\r\n\
        --b\r\nContent-Type: multipart/mixed; boundary=c\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        --c\r\nContent-Transfer-Encoding: base64 (so it says)\r\n\r\nQUJD\r\n--no boundary\r\n\
        --c\r\nContent-Transfer-Encoding: base64\r\n\r\n\r\nQUI=\
        \r\n--c--\r\nQUJD\r\n\
        --b\r\nContent-Type: message/rfc822\r\n\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nQUJD\r\n--b--\r\n";
    for piece in 1..message.len() {
        let (found, mime) = base64_bodies(message.as_bytes(), piece);
        let texts: Vec<&str> = found
            .iter()
            .map(|(_, range)| &message[range.start as usize..range.end as usize])
            .collect();
        // The boundary that ends a body is told of behind it.
        let bodies = [
            "QUJD\r\nQUJD\r\n--b\r\n",
            "QUJD\r\n--no boundary\r\n--c\r\n",
            "\r\nQUI=\r\n--c--\r\n",
            "QUJD\r\n--b--\r\n",
        ];
        assert_eq!(texts, bodies, "pieces of {piece}");
        for (id, range) in found {
            let part = mime.part(id);
            assert_eq!((part.kind, part.body), (Kind::Leaf, range.start));
            assert!(part.end <= range.end);
        }
    }
}
