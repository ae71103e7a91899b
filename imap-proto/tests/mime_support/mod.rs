//! Messages and their sources, shared by the tests of mime, fetch and search.
#![allow(dead_code)] // each test binary uses its part
#![allow(clippy::indexing_slicing, clippy::unwrap_used, unreachable_pub)] // helpers of tests

use std::ops::Range;

use imap_proto::date::DateTime;
use imap_proto::fetch::{DecodedPart, Keywords, MessageSource, Meta, Piece, SourceError};
use imap_proto::mime::header::RawFields;
use imap_proto::mime::{Limits, Mime, Parser};
use imap_proto::{Blob, ModSeq, SystemFlags, Uid};
use proptest::prelude::*;

/// A message written with LF, as it comes over the wire.
pub fn crlf(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// Parses a message whole and byte by byte; both must give the same.
pub fn parse(message: &[u8]) -> Mime {
    parse_with(message, Limits::default())
}

/// As [`parse`], with other limits.
pub fn parse_with(message: &[u8], limits: Limits) -> Mime {
    let mut whole = Parser::new(limits);
    whole.feed(message);
    let whole = whole.finish();
    let mut bytes = Parser::new(limits);
    for byte in message {
        bytes.feed(std::slice::from_ref(byte));
    }
    assert_eq!(bytes.finish(), whole, "byte by byte");
    whole
}

/// Wire bytes, with what isn't printable escaped.
pub fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\\"", "\"").replace("\\\\", "\\").replace("\\'", "'")
}

/// A stored message; reads give at most `window` bytes.
pub struct Stored {
    pub message: Vec<u8>,
    pub window: usize,
    /// Calls that looked at the message, by kind.
    pub headers: usize,
    pub reads: usize,
    /// Wants a pause every so many times it is asked; 0 for never.
    pub pauses: usize,
    pub asked: std::cell::Cell<usize>,
    /// Fails every read from now on.
    pub broken: bool,
    mime: Mime,
    rendered: Vec<u8>,
    header: usize,
}

impl Stored {
    pub fn new(message: Vec<u8>) -> Stored {
        let mut parser = Parser::new(Limits::default());
        parser.feed(&message);
        let header = header_len(&message);
        let mime = parser.finish();
        Stored {
            message,
            window: 1 << 16,
            headers: 0,
            reads: 0,
            pauses: 0,
            asked: std::cell::Cell::new(0),
            broken: false,
            mime,
            rendered: Vec::new(),
            header,
        }
    }
}

/// Found without the parser: what the fields leave, and the empty line behind them.
fn header_len(message: &[u8]) -> usize {
    let fields = RawFields::new(message).last().map_or(0, |field| field.range.end);
    let rest = &message[fields..];
    fields + if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) }
}

impl MessageSource for Stored {
    fn len(&self) -> u64 {
        self.message.len() as u64
    }

    fn envelope(&mut self) -> Result<&[u8], SourceError> {
        self.rendered.clear();
        self.mime.write_envelope(&mut self.rendered);
        Ok(&self.rendered)
    }

    fn body_structure(&mut self, extended: bool) -> Result<&[u8], SourceError> {
        self.rendered.clear();
        self.mime.write_structure(extended, &mut self.rendered);
        Ok(&self.rendered)
    }

    fn header(&mut self) -> Result<&[u8], SourceError> {
        self.headers += 1;
        Ok(&self.message[..self.header])
    }

    fn mime(&mut self) -> Result<&Mime, SourceError> {
        Ok(&self.mime)
    }

    fn read(&mut self, range: Range<u64>) -> Result<&[u8], SourceError> {
        self.reads += 1;
        if self.broken {
            return Err(SourceError::Unreadable);
        }
        let bytes = &self.message[range.start as usize..range.end as usize];
        Ok(&bytes[..bytes.len().min(self.window)])
    }

    fn is_due(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.pauses > 0 && self.asked.get().is_multiple_of(self.pauses)
    }

    fn blob(&mut self) -> Result<Blob, SourceError> {
        Ok(Blob::new(()))
    }
}

/// A row's bytes, blobs filled in from the message.
pub fn flatten(pieces: &[Piece], message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Bytes(bytes) => out.extend_from_slice(bytes),
            Piece::Blob(blob, range) if blob.get::<DecodedPart>().is_some() => {
                let part: &DecodedPart = blob.get().unwrap();
                // In small steps, and the first ones twice.
                let middle = range.start + (range.end - range.start) / 2;
                let mut again = Vec::new();
                decoded(part, range.start..middle, message, &mut again);
                let start = out.len();
                let mut at = range.start;
                while at < range.end {
                    let end = range.end.min(at + 1000);
                    decoded(part, at..end, message, &mut out);
                    at = end;
                }
                assert!(out[start..].starts_with(&again));
            }
            Piece::Blob(_, range) => {
                let bytes = &message[range.start as usize..range.end as usize];
                out.extend(bytes.iter().map(|&byte| if byte == 0 { 0x80 } else { byte }));
            }
        }
    }
    out
}

fn decoded(part: &DecodedPart, range: Range<u64>, message: &[u8], out: &mut Vec<u8>) {
    let read = |_: &Blob, range: Range<u64>, out: &mut Vec<u8>| {
        out.extend_from_slice(&message[range.start as usize..range.end as usize]);
        Ok::<(), SourceError>(())
    };
    part.read(range, out, read).unwrap();
}

/// A message's facts, of no interest to the test.
pub fn meta() -> Meta<'static> {
    Meta {
        uid: Uid(42),
        flags: SystemFlags::SEEN | SystemFlags::ANSWERED,
        recent: false,
        keywords: Keywords::NONE,
        internal_date: DateTime::parse(b"17-Jul-1996 02:44:25 -0700").unwrap(),
        size: 1234,
        modseq: ModSeq(99),
        save_date: None,
        email_id: 0x1234,
        guid: 7,
    }
}

/// Mail that is mostly wrong: header lines, boundaries that are prefixes of each other, and text in any order.
pub fn hostile_mail() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        4 => Just("").prop_map(str::to_owned),
        2 => prop_oneof![
            Just("Content-Type: multipart/mixed; boundary=a"),
            Just("Content-Type: multipart/digest; boundary=\"ab\""),
            Just("Content-Type: multipart/alternative; boundary=a--"),
            Just("Content-Type: message/rfc822"),
            Just("Content-Type: text/plain; charset=\"x\\"),
            Just("Content-Type: multipart/mixed"),
        ]
        .prop_map(str::to_owned),
        3 => prop_oneof![Just("--a"), Just("--ab"), Just("--a--"), Just("--ab--"), Just("--a----"), Just("-"), Just("--")]
        .prop_map(str::to_owned),
        2 => prop_oneof![
            Just("Subject: =?utf-8?q?x?= \"y\" \\"),
            Just("From: A <@r:b@c>, d@e (f\\"),
            Just("To: G: \"a b\"@c;, x"),
            Just(" folded"),
            Just("Content-Transfer-Encoding: base64"),
            Just("no colon"),
            Just("X:\0\u{e9}"),
        ]
        .prop_map(str::to_owned),
        1 => "[ -~]{0,20}",
    ];
    let end = prop_oneof![4 => Just("\r\n"), 2 => Just("\n"), 1 => Just("\r"), 1 => Just("")];
    prop::collection::vec((line, end), 0..40).prop_map(|lines| {
        lines.into_iter().flat_map(|(line, end)| (line + end).into_bytes()).collect()
    })
}
