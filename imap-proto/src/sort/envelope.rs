//! An ENVELOPE read back from the form in which [`Mime::write_envelope`](crate::mime::Mime::write_envelope) writes it.
//!
//! What doesn't have that form reads as `NIL`: a store may have kept anything.

use std::borrow::Cow;

/// The fields of an envelope, in order (RFC 9051 §7.5.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope<'a> {
    rest: &'a [u8],
}

/// The first address of a list; what is `NIL` is `None`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Address<'a> {
    pub(crate) name: Option<Cow<'a, [u8]>>,
    pub(crate) mailbox: Option<Cow<'a, [u8]>>,
    pub(crate) host: Option<Cow<'a, [u8]>>,
}

/// The address lists of an envelope by their place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum List {
    From = 0,
    To = 3,
    Cc = 4,
}

/// How many address lists there are: From, Sender, Reply-To, To, Cc, Bcc.
const LISTS: usize = 6;

impl<'a> Envelope<'a> {
    /// Begins at the Date.
    pub(crate) fn new(wire: &'a [u8]) -> Self {
        Self { rest: wire.strip_prefix(b"(").unwrap_or_default() }
    }

    /// Date and Subject.
    pub(crate) fn date_and_subject(&mut self) -> [Option<Cow<'a, [u8]>>; 2] {
        [self.nstring(), self.nstring()]
    }

    /// The first address of a list, behind date and subject.
    pub(crate) fn first_address(mut self, list: List) -> Address<'a> {
        for _ in 0..list as usize {
            self.skip_list();
        }
        self.take(b' ');
        if !self.take(b'(') || !self.take(b'(') {
            return Address::default();
        }
        let (name, _route) = (self.nstring(), self.skip_nstring());
        Address { name, mailbox: self.nstring(), host: self.nstring() }
    }

    /// In-Reply-To and Message-ID, behind date and subject.
    pub(crate) fn ids(mut self) -> [Option<Cow<'a, [u8]>>; 2] {
        for _ in 0..LISTS {
            self.skip_list();
        }
        [self.nstring(), self.nstring()]
    }

    fn take(&mut self, byte: u8) -> bool {
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Behind an address list, whose brackets are two deep.
    fn skip_list(&mut self) {
        self.take(b' ');
        let mut depth = 0u32;
        loop {
            match self.rest.first() {
                Some(b'(') => depth += 1,
                Some(b')') => depth = depth.saturating_sub(1),
                Some(b' ') => {}
                Some(_) => {
                    self.skip_nstring();
                    if depth == 0 {
                        return;
                    }
                    continue;
                }
                None => return,
            }
            self.rest = self.rest.get(1..).unwrap_or_default();
            if depth == 0 {
                return;
            }
        }
    }

    fn skip_nstring(&mut self) {
        self.raw_nstring();
    }

    /// The next `nstring`, with the space before it.
    fn nstring(&mut self) -> Option<Cow<'a, [u8]>> {
        match self.raw_nstring()? {
            (text, true) => {
                let mut plain = Vec::with_capacity(text.len());
                let mut bytes = text.iter();
                while let Some(&byte) = bytes.next() {
                    plain.extend(if byte == b'\\' { bytes.next().copied() } else { Some(byte) });
                }
                Some(Cow::Owned(plain))
            }
            (text, false) => Some(Cow::Borrowed(text)),
        }
    }

    /// A string as it stands, and whether there are backslashes to be taken out.
    fn raw_nstring(&mut self) -> Option<(&'a [u8], bool)> {
        self.take(b' ');
        let found = match self.rest {
            [b'N', b'I', b'L', rest @ ..] => {
                self.rest = rest;
                return None;
            }
            [b'"', rest @ ..] => quoted(rest),
            [b'{', rest @ ..] => literal(rest).map(|(text, rest)| (text, false, rest)),
            _ => None,
        };
        // Nothing behind what is no string can be believed.
        let (text, escaped, rest) = found.unwrap_or_default();
        self.rest = rest;
        found.map(|_| (text, escaped))
    }
}

/// The text of a quoted string behind its first quote, whether it has backslashes, and what follows it.
fn quoted(rest: &[u8]) -> Option<(&[u8], bool, &[u8])> {
    let mut escaped = false;
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', rest.get(at..)?)?;
        match rest.split_at_checked(at)? {
            (text, [b'"', after @ ..]) => return Some((text, escaped, after)),
            _ => {
                escaped = true;
                at += 2;
            }
        }
    }
}

/// The text of a literal behind its brace, and what follows it.
fn literal(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'}', rest)?;
    let digits = std::str::from_utf8(rest.get(..end)?).ok()?;
    let text = rest.get(end..)?.strip_prefix(b"}\r\n")?;
    text.split_at_checked(digits.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::{Limits, Parser};

    fn written(header: &str) -> Vec<u8> {
        let mut parser = Parser::new(Limits::default());
        parser.feed(header.as_bytes());
        let mut wire = Vec::new();
        parser.finish().write_envelope(&mut wire);
        wire
    }

    fn text(value: &str) -> Option<Cow<'_, [u8]>> {
        Some(Cow::Borrowed(value.as_bytes()))
    }

    #[test]
    fn every_field_is_read_as_it_was_written() {
        let wire = written(
            "Date: d\r\nSubject: a \"b\" \\ \u{e9}\r\nFrom: \"A \\\"x\\\"\" <a@b>, c@d\r\nTo: G: x@y, z@z;\r\n\
             Cc: (()) q@r (\u{e9})\r\nIn-Reply-To: <1@x>\r\nMessage-ID: <2@x>\r\n\r\n",
        );
        let mut envelope = Envelope::new(&wire);
        assert_eq!(envelope.date_and_subject(), [text("d"), text("a \"b\" \\ \u{e9}")]);
        let of = |list| envelope.first_address(list);
        let address = |name, mailbox, host| Address { name, mailbox, host };
        assert_eq!(of(List::From), address(text("A \"x\""), text("a"), text("b")));
        assert_eq!(of(List::To), address(None, text("G"), None));
        assert_eq!(of(List::Cc), address(text("\u{e9}"), text("q"), text("r")));
        assert_eq!(envelope.ids(), [text("<1@x>"), text("<2@x>")]);
    }

    #[test]
    fn an_empty_envelope_has_nothing() {
        let wire = written("\r\n");
        let mut envelope = Envelope::new(&wire);
        assert_eq!(envelope.date_and_subject(), [None, None]);
        for list in [List::From, List::To, List::Cc] {
            assert_eq!(envelope.first_address(list), Address::default());
        }
        assert_eq!(envelope.ids(), [None, None]);
    }

    #[test]
    fn what_is_no_envelope_reads_as_one_without_anything_behind_it() {
        let wire = written("Subject: s\r\nFrom: a@b\r\nCc: {5}\r\nMessage-ID: <1@x>\r\n\r\n");
        for end in 0..wire.len() {
            for broken in [wire[..end].to_vec(), [&wire[..end], b"{99}\r\n", &wire[end..]].concat()]
            {
                let mut envelope = Envelope::new(&broken);
                envelope.date_and_subject();
                envelope.first_address(List::Cc);
                envelope.ids();
            }
        }
    }
}
