//! The grammar of commands (RFC 3501 §9, RFC 9051 §9): a cursor over one whole command, literals in place.
//!
//! Only search keys recurse, and no deeper than their limit; what is made of a command is bounded by a multiple of the
//! bytes it came from.

pub(crate) mod command;
pub(crate) mod condstore;
pub(crate) mod fetch;
pub(crate) mod list;
pub(crate) mod partial;
pub(crate) mod search;
pub(crate) mod set;
pub(crate) mod sort;

use std::borrow::Cow;

use crate::types::{Flags, Keyword, MailboxName, NameError, SystemFlags};

/// Why a command isn't one. Shown to the client, so the text never repeats what it sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Error {
    /// What the grammar wants at this point.
    #[error("Expected {0}")]
    Expected(&'static str),
    /// Something that no one told us about.
    #[error("Unknown {0}")]
    Unknown(&'static str),
    /// Well-formed, but not now.
    #[error("{0}")]
    State(&'static str),
    /// Larger than [`Limits`](crate::Limits) allows.
    #[error("Too many or too long: {0}")]
    Limit(&'static str),
    /// A message number that no message has.
    #[error("No such message")]
    NoMessage,
    /// A name that can't be a mailbox: NO rather than BAD.
    #[error("{0}")]
    Name(NameError),
    /// A charset we don't speak: NO with BADCHARSET.
    #[error("Charset is not supported")]
    Charset,
}

/// What a name means on this connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Names {
    /// Modified UTF-7 (RFC 3501 §5.1.3).
    Rev1,
    /// UTF-8, once IMAP4rev2 is enabled (RFC 9051 §5.1).
    Rev2,
}

/// The rest of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

/// ATOM-CHAR (RFC 3501 §9): no CTL, SP, `(`, `)`, `{`, `%`, `*`, `"`, `\`, `]`, and nothing above ASCII.
pub(crate) const fn is_atom(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e)
        && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// ASTRING-CHAR: an atom's, and `]`.
pub(crate) const fn is_astring(byte: u8) -> bool {
    is_atom(byte) || byte == b']'
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Whether the next bytes are these, in any case; takes them if so.
    pub(crate) fn skip(&mut self, text: &[u8]) -> bool {
        match self.rest.split_at_checked(text.len()) {
            Some((head, rest)) if head.eq_ignore_ascii_case(text) => {
                self.rest = rest;
                true
            }
            Some(_) | None => false,
        }
    }

    pub(crate) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Error> {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                Ok(())
            }
            Some(_) | None => Err(Error::Expected(what)),
        }
    }

    pub(crate) fn space(&mut self) -> Result<(), Error> {
        self.expect(b' ', "a space")
    }

    /// The command is over.
    pub(crate) fn end(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::Expected("the end of the command")) }
    }

    /// The longest run of bytes that `wanted` likes; empty if there is none.
    pub(crate) fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !wanted(*byte)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.rest = rest;
        run
    }

    /// An atom, for keywords of the grammar; never empty.
    pub(crate) fn atom(&mut self, what: &'static str) -> Result<&'a [u8], Error> {
        match self.run(is_atom) {
            b"" => Err(Error::Expected(what)),
            atom => Ok(atom),
        }
    }

    /// `number` (RFC 3501 §9): unsigned, at most 32 bits.
    pub(crate) fn number(&mut self) -> Result<u32, Error> {
        u32::try_from(self.number64()?).map_err(|_| Error::Expected("a smaller number"))
    }

    /// `number64` (RFC 9051 §9): unsigned, at most 63 bits.
    pub(crate) fn number64(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;
        let digits = self.run(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return Err(Error::Expected("a number"));
        }
        for digit in digits {
            value = value
                .checked_mul(10)
                .and_then(|value| value.checked_add(u64::from(digit - b'0')))
                .filter(|value| *value <= i64::MAX as u64)
                .ok_or(Error::Expected("a smaller number"))?;
        }
        Ok(value)
    }

    /// `string`: quoted or literal.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, [u8]>, Error> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            Some(_) | None => Err(Error::Expected("a string")),
        }
    }

    /// `astring`: an atom that may hold `]`, or a string.
    pub(crate) fn astring(&mut self) -> Result<Cow<'a, [u8]>, Error> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            Some(_) | None => match self.run(is_astring) {
                b"" => Err(Error::Expected("a string")),
                atom => Ok(Cow::Borrowed(atom)),
            },
        }
    }

    /// `mailbox`
    pub(crate) fn mailbox(&mut self, names: Names) -> Result<MailboxName, Error> {
        let wire = self.astring()?;
        mailbox(&wire, names)
    }

    fn quoted(&mut self) -> Result<Cow<'a, [u8]>, Error> {
        const END: Error = Error::Expected("the end of a quoted string");
        let body = self.rest.get(1..).ok_or(END)?;
        let at = memchr::memchr2(b'"', b'\\', body).ok_or(END)?;
        let (plain, after) = body.split_at(at);
        if after.first() == Some(&b'"') {
            self.rest = after.get(1..).unwrap_or_default();
            return checked(Cow::Borrowed(plain));
        }
        let mut text = plain.to_vec();
        let mut bytes = after.iter();
        loop {
            match bytes.next().ok_or(END)? {
                b'"' => break,
                // RFC 3501 §9: only `"` and `\` are quoted so.
                b'\\' => match bytes.next().ok_or(END)? {
                    special @ (b'"' | b'\\') => text.push(*special),
                    _ => return Err(Error::Expected("a quote or a backslash after a backslash")),
                },
                other => text.push(*other),
            }
        }
        self.rest = bytes.as_slice();
        checked(Cow::Owned(text))
    }

    /// A literal that the framer has read: its header, CRLF, its bytes.
    fn literal(&mut self) -> Result<&'a [u8], Error> {
        const WRONG: Error = Error::Expected("a literal");
        self.expect(b'{', "a literal")?;
        let size = usize::try_from(self.number()?).map_err(|_| WRONG)?;
        let _ = self.skip(b"+");
        self.expect(b'}', "a literal")?;
        let _ = self.skip(b"\r");
        self.expect(b'\n', "a literal")?;
        let (text, rest) = self.rest.split_at_checked(size).ok_or(WRONG)?;
        self.rest = rest;
        Ok(text)
    }

    /// `(` items separated by one space `)`; may be empty if `empty` says so.
    pub(crate) fn list(
        &mut self,
        empty: bool,
        mut item: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.expect(b'(', "a list in parentheses")?;
        if empty && self.skip(b")") {
            return Ok(());
        }
        loop {
            item(self)?;
            if self.skip(b")") {
                return Ok(());
            }
            self.space()?;
        }
    }

    /// One flag, added to `flags`. `\Recent` is the server's to set (RFC 3501 §2.3.2).
    pub(crate) fn flag(&mut self, flags: &mut Flags, limit: usize) -> Result<(), Error> {
        if self.skip(b"\\") {
            let name = self.atom("a flag")?;
            let known = SystemFlags::NAMES.iter().find(|(_, known)| {
                known.as_bytes().get(1..).is_some_and(|known| known.eq_ignore_ascii_case(name))
            });
            let (flag, _) = known.ok_or(Error::Unknown("system flag"))?;
            flags.system |= *flag;
            return Ok(());
        }
        let name =
            std::str::from_utf8(self.atom("a flag")?).map_err(|_| Error::Expected("a flag"))?;
        let keyword = Keyword::new(name).ok_or(Error::Limit("keyword"))?;
        if !flags.keywords.iter().any(|known| known.same(&keyword)) {
            if flags.keywords.len() >= limit {
                return Err(Error::Limit("keywords"));
            }
            flags.keywords.push(keyword);
        }
        Ok(())
    }

    /// `flag-list`
    pub(crate) fn flags(&mut self, limit: usize) -> Result<Flags, Error> {
        let mut flags = Flags::default();
        self.list(true, |cursor| cursor.flag(&mut flags, limit))?;
        Ok(flags)
    }
}

/// The name that stands on the wire.
pub(crate) fn mailbox(wire: &[u8], names: Names) -> Result<MailboxName, Error> {
    let text = decode(wire, names).ok_or(Error::Name(NameError::Encoding))?;
    MailboxName::new(&text).map_err(Error::Name)
}

/// A name or a pattern in UTF-8; `None` when it isn't written in the one right way.
pub(crate) fn decode(wire: &[u8], names: Names) -> Option<String> {
    match names {
        Names::Rev1 => crate::mutf7::decode(wire),
        Names::Rev2 => std::str::from_utf8(wire).ok().map(str::to_owned),
    }
}

/// TEXT-CHAR: no NUL, CR or LF. Anything else is let through; 8 bits are what clients send.
fn checked(text: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, Error> {
    match text.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
        true => Err(Error::Expected("a quoted string on one line")),
        false => Ok(text),
    }
}
