//! The values of MIME fields: tokens, quoted strings, comments, parameters (RFC 2045 §5.1, RFC 2231).
//!
//! Values come unfolded and bounded by [`Limits::field`](super::Limits::field); every reader here is one pass.

use std::borrow::Cow;

/// A set of bytes, looked up without a comparison: these readers look at every byte of every header.
pub(super) struct Bytes([bool; 256]);

impl Bytes {
    /// All visible bytes, 8-bit ones among them, but for these.
    #[expect(clippy::indexing_slicing, reason = "evaluated when it is compiled")]
    pub(super) const fn visible_but(special: &[u8]) -> Bytes {
        let mut set = [true; 256];
        let mut byte = 0;
        while byte <= b' ' as usize {
            set[byte] = false;
            byte += 1;
        }
        set[0x7f] = false;
        let mut index = 0;
        while index < special.len() {
            set[special[index] as usize] = false;
            index += 1;
        }
        Bytes(set)
    }

    pub(super) fn has(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte)).copied().unwrap_or_default()
    }
}

/// RFC 2045 §5.1: what a token is made of.
static TOKEN: Bytes = Bytes::visible_but(b"()<>@,;:\\\"/[]?=");

/// A reader of structured field values.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Lexer<'a> {
    pub(super) fn new(value: &'a [u8]) -> Lexer<'a> {
        Lexer { rest: value }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(super) fn bump(&mut self) {
        super::work(1);
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Takes `byte` if it comes next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.bump();
        }
        found
    }

    /// Takes the bytes for which `wanted` holds.
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let len = self.rest.iter().take_while(|&&byte| wanted(byte)).count();
        super::work(len + 1);
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    /// Skips white space and comments (RFC 5322 §3.2.2); gives the inside of the last comment.
    pub(super) fn skip_cfws(&mut self) -> Option<&'a [u8]> {
        let mut comment = None;
        loop {
            self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
            if self.peek() != Some(b'(') {
                return comment;
            }
            comment = Some(self.comment());
        }
    }

    /// Takes a comment and gives its inside. One that doesn't end goes to the end of the value, and a backslash there
    /// takes nothing (row 35).
    fn comment(&mut self) -> &'a [u8] {
        self.bump();
        let inside = self.rest;
        let mut depth = 1u32;
        while let Some(byte) = self.peek() {
            self.bump();
            match byte {
                b'\\' => self.bump(),
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return inside.get(..inside.len() - self.rest.len() - 1).unwrap_or_default();
            }
        }
        inside
    }

    /// Takes a token (RFC 2045 §5.1); 8-bit bytes are let in, as mail has them.
    pub(super) fn token(&mut self) -> Option<&'a [u8]> {
        let token = self.take_while(|byte| TOKEN.has(byte));
        (!token.is_empty()).then_some(token)
    }

    /// Takes a quoted string whose `"` comes next, without quotes and escapes; `None` when it doesn't end.
    pub(super) fn quoted(&mut self) -> Option<Cow<'a, [u8]>> {
        self.bump();
        let (plain, after) = self.rest.split_at(memchr::memchr2(b'"', b'\\', self.rest)?);
        self.rest = after;
        if self.take(b'"') {
            return Some(Cow::Borrowed(plain));
        }
        let mut text = plain.to_vec();
        while let Some(byte) = self.peek() {
            self.bump();
            match byte {
                b'"' => return Some(Cow::Owned(text)),
                b'\\' => {
                    text.extend(self.peek());
                    self.bump();
                }
                _ => text.push(byte),
            }
        }
        None
    }
}

/// A Content-Type (RFC 2045 §5.1).
#[derive(Clone, Debug)]
pub(super) struct ContentType<'a> {
    pub(super) kind: &'a [u8],
    pub(super) subtype: &'a [u8],
    /// The parameters, not yet read.
    pub(super) params: &'a [u8],
}

impl<'a> ContentType<'a> {
    /// Reads the type; `None` when the value breaks the grammar in front of its parameters. A type alone, as old mail
    /// has it (RFC 1049: `Content-Type: text`), has an empty subtype.
    pub(super) fn parse(value: &'a [u8]) -> Option<ContentType<'a>> {
        let mut lexer = Lexer::new(value);
        lexer.skip_cfws();
        let kind = lexer.token()?;
        lexer.skip_cfws();
        if lexer.rest.is_empty() {
            return Some(ContentType { kind, subtype: b"", params: b"" });
        }
        if !lexer.take(b'/') {
            return None;
        }
        lexer.skip_cfws();
        let subtype = lexer.token()?;
        lexer.skip_cfws();
        matches!(lexer.peek(), None | Some(b';')).then_some(ContentType {
            kind,
            subtype,
            params: lexer.rest,
        })
    }

    pub(super) fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
            && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    pub(super) fn is_multipart(&self) -> bool {
        self.kind.eq_ignore_ascii_case(b"multipart")
    }

    /// Whether it is a whole message (RFC 2046 §5.2.1, RFC 6532 §3.7).
    pub(super) fn is_message(&self) -> bool {
        self.is("message", "rfc822") || self.is("message", "global")
    }

    /// The value of the first parameter of this name, or else of one in sections (RFC 2231 §3).
    pub(super) fn param(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let is_it = |found: &[u8]| found.eq_ignore_ascii_case(name.as_bytes());
        let mut raw = RawParams { lexer: Lexer::new(self.params) };
        let plain = raw.find(|param| is_it(param.0)).map(|param| param.1);
        plain.or_else(|| {
            params(self.params).into_iter().find(|param| is_it(&param.0)).map(|param| param.1)
        })
    }
}

type Param<'a> = (&'a [u8], Cow<'a, [u8]>);

/// Name and value; a name is made when sections were put together.
pub(super) type JoinedParam<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// The parameters as they were written.
struct RawParams<'a> {
    lexer: Lexer<'a>,
}

impl<'a> Iterator for RawParams<'a> {
    type Item = Param<'a>;

    fn next(&mut self) -> Option<Param<'a>> {
        loop {
            // What is no parameter is skipped up to the next semicolon; one in a comment is none.
            self.lexer.skip_cfws();
            let semicolon = memchr::memchr(b';', self.lexer.rest)?;
            super::work(semicolon);
            self.lexer.rest = self.lexer.rest.get(semicolon + 1..)?;
            self.lexer.skip_cfws();
            let Some(name) = self.lexer.token() else { continue };
            self.lexer.skip_cfws();
            if !self.lexer.take(b'=') {
                continue;
            }
            self.lexer.skip_cfws();
            let value = match self.lexer.peek() {
                Some(b'"') => match self.lexer.quoted() {
                    Some(value) => value,
                    None => continue,
                },
                // `name==?utf-8?q?…?=`: an encoded word, which RFC 2047 §5 forbids and mail has.
                Some(b'=') => Cow::Borrowed(
                    self.lexer.take_while(|byte| !matches!(byte, b';' | b' ' | b'\t')),
                ),
                _ => Cow::Borrowed(self.lexer.token().unwrap_or_default()),
            };
            return Some((name, value));
        }
    }
}

/// Sections of one parameter that are put together; later ones are dropped (row 33).
const SECTIONS: u32 = 64;

/// The parameters behind a type or disposition, those in sections (RFC 2231 §3) put together where none is missing.
///
/// As RFC 2231 §6 asks of IMAP servers; percent escapes and the character set stay as they are, and a name keeps the
/// `*` that announces them. Parameters in sections come last, by name.
pub(super) fn params(value: &[u8]) -> Vec<JoinedParam<'_>> {
    let mut plain = Vec::new();
    let mut sections = Vec::new();
    for (order, (name, value)) in (RawParams { lexer: Lexer::new(value) }).enumerate() {
        match section(name) {
            None => plain.push((Cow::Borrowed(name), value)),
            Some((_, index, _)) if index >= SECTIONS => {}
            Some((base, index, extended)) => {
                sections.push(Section {
                    key: base.to_ascii_lowercase(),
                    base,
                    index,
                    extended,
                    order,
                    name,
                    value,
                });
            }
        }
    }
    sections.sort_by(|a, b| (&a.key, a.index, a.order).cmp(&(&b.key, b.index, b.order)));
    sections.dedup_by(|b, a| a.key == b.key && a.index == b.index); // the first of its number counts
    for group in sections.chunk_by(|a, b| a.key == b.key) {
        if group.iter().zip(0..).all(|(section, index)| section.index == index) {
            plain.push(join(group));
        } else {
            plain.extend(
                group.iter().map(|section| (Cow::Borrowed(section.name), section.value.clone())),
            );
        }
    }
    plain
}

struct Section<'a> {
    /// The name without its section, in lower case.
    key: Vec<u8>,
    base: &'a [u8],
    index: u32,
    extended: bool,
    order: usize,
    name: &'a [u8],
    value: Cow<'a, [u8]>,
}

/// `name*3*` as its name, number, and whether it has percent escapes; `name*` has no sections.
fn section(name: &[u8]) -> Option<(&[u8], u32, bool)> {
    let (inner, extended) = match name {
        [inner @ .., b'*'] => (inner, true),
        _ => (name, false),
    };
    let star = memchr::memrchr(b'*', inner)?;
    let digits = inner.get(star + 1..)?;
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let index = digits
        .iter()
        .fold(0u32, |sum, digit| sum.saturating_mul(10).saturating_add(u32::from(digit - b'0')));
    Some((inner.get(..star)?, index, extended))
}

fn join<'a>(group: &[Section<'a>]) -> JoinedParam<'a> {
    let extended = group.iter().any(|section| section.extended);
    let mut name = group.first().map(|section| section.base.to_vec()).unwrap_or_default();
    if extended {
        name.push(b'*');
    }
    let mut value = Vec::new();
    if extended && group.first().is_some_and(|first| !first.extended) {
        // RFC 2231 §4.1: character set and language stand in the first section, and it has none.
        value.extend_from_slice(b"''");
    }
    for section in group {
        for &byte in section.value.iter() {
            match byte {
                // In a section without escapes a percent sign is itself.
                b'%' if extended && !section.extended => value.extend_from_slice(b"%25"),
                _ => value.push(byte),
            }
        }
    }
    (Cow::Owned(name), Cow::Owned(value))
}

/// A field that is one token: Content-Transfer-Encoding (RFC 2045 §6.1). `None` when anything else is there.
pub(super) fn only_token(value: &[u8]) -> Option<&[u8]> {
    let mut lexer = Lexer::new(value);
    lexer.skip_cfws();
    let token = lexer.token()?;
    lexer.skip_cfws();
    lexer.rest.is_empty().then_some(token)
}

/// A Content-Disposition (RFC 2183 §2): its type and its parameters, not yet read.
pub(super) fn disposition(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut lexer = Lexer::new(value);
    lexer.skip_cfws();
    let token = lexer.token()?;
    Some((token, lexer.rest))
}

/// A Content-Language (RFC 3282 §2): the tags, of letters, digits and hyphens, up to the first that is none.
pub(super) fn languages(value: &[u8]) -> Vec<&[u8]> {
    let mut lexer = Lexer::new(value);
    let mut tags = Vec::new();
    loop {
        lexer.skip_cfws();
        let tag = lexer.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if tag.is_empty() {
            return tags;
        }
        tags.push(tag);
        lexer.skip_cfws();
        if !lexer.take(b',') {
            return tags;
        }
    }
}
