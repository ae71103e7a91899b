//! Forward- and reverse-paths: `<@route:"local part"@domain>` (RFC 5321 §4.1.2).

/// A mailbox as MAIL or RCPT named it, checked. A source route is gone (RFC 5321 §4.1.1.3 lets a server ignore it).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path {
    text: Box<str>,
    local: Box<str>,
    domain_at: Option<usize>,
}

impl Path {
    /// RFC 5321 §4.5.3.1.3, brackets, route and punctuation included.
    pub(crate) const MAX: usize = 256;

    /// Parses `<…>` at the start of `input`; gives the path, `None` for `<>`, and what stands behind the bracket.
    /// `utf8` says whether SMTPUTF8 holds (RFC 6531 §3.3).
    pub(crate) fn parse(input: &[u8], utf8: bool) -> Result<(Option<Self>, &[u8]), PathError> {
        let inside = input.strip_prefix(b"<").ok_or(PathError::Syntax { at: 0 })?;
        if let Some(behind) = inside.strip_prefix(b">") {
            return Ok((None, behind));
        }
        let mut scan = Scan { input: inside, at: 0, utf8 };
        if scan.peek() == Some(b'@') {
            scan.route()?;
        }
        let start = scan.at;
        let local = scan.local_part()?;
        let mut domain_at = None;
        if scan.take(b'@') {
            domain_at = Some(scan.at - start);
            scan.domain()?;
        }
        let end = scan.at;
        if !scan.take(b'>') {
            return Err(scan.wrong());
        }
        if scan.at + 1 > Self::MAX {
            return Err(PathError::TooLong { found: scan.at + 1, allowed: Self::MAX });
        }
        let text = text_of(inside.get(start..end).unwrap_or_default(), start)?;
        let local = text_of(&local, start)?;
        if local.is_empty() {
            return Err(PathError::EmptyLocal);
        }
        Ok((Some(Self { text: text.into(), local: local.into(), domain_at }), scan.rest()))
    }

    /// As written between the angle brackets, without its route: never empty, at most 254 octets, without control
    /// characters. ASCII, unless SMTPUTF8 was agreed on.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The local part, unquoted: never empty, without control characters.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain or address literal (with its brackets); `None` where a local part stands alone, as in
    /// `<postmaster>`.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.text.get(self.domain_at?..)
    }
}

/// What is wrong with a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Not `<…>`, or what is inside breaks the grammar at this octet (counted from 0, behind the bracket).
    #[error("the path breaks its grammar at octet {at}")]
    Syntax {
        /// Where.
        at: usize,
    },
    /// `<""@domain>`, or nothing before the `@`.
    #[error("the local part is empty")]
    EmptyLocal,
    /// RFC 5321 §4.5.3.1.3.
    #[error("the path has {found} octets, at most {allowed} are allowed")]
    TooLong {
        /// Octets, brackets included.
        found: usize,
        /// The limit.
        allowed: usize,
    },
    /// Octets above 127 without SMTPUTF8 (RFC 6531 §3.5), or that are not UTF-8.
    #[error("the path has octets above 127 from octet {at} on")]
    NotAscii {
        /// Where the first stands.
        at: usize,
    },
}

/// UTF-8 without control characters: U+0080 to U+009F steer terminals as well as U+001B does.
fn text_of(bytes: &[u8], start: usize) -> Result<&str, PathError> {
    let text = str::from_utf8(bytes)
        .map_err(|error| PathError::NotAscii { at: start + error.valid_up_to() })?;
    match text.char_indices().find(|(_, char)| char.is_control()) {
        Some((at, _)) => Err(PathError::Syntax { at: start + at }),
        None => Ok(text),
    }
}

struct Scan<'a> {
    input: &'a [u8],
    at: usize,
    utf8: bool,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn wrong(&self) -> PathError {
        match self.peek() {
            Some(0x80..) => PathError::NotAscii { at: self.at },
            _ => PathError::Syntax { at: self.at },
        }
    }

    /// Skips what `allowed` holds for, and says whether that was anything.
    fn skip(&mut self, allowed: impl Fn(u8) -> bool) -> bool {
        let start = self.at;
        while self.peek().is_some_and(|byte| allowed(byte) || (self.utf8 && byte >= 0x80)) {
            self.at += 1;
        }
        self.at > start
    }

    /// `A-d-l = At-domain *( "," At-domain )`, then `:`.
    fn route(&mut self) -> Result<(), PathError> {
        loop {
            if !self.take(b'@') {
                return Err(self.wrong());
            }
            self.domain()?;
            if self.take(b':') {
                return Ok(());
            }
            if !self.take(b',') {
                return Err(self.wrong());
            }
        }
    }

    /// A quoted string, unquoted, or atoms with dots. The dots may stand anywhere: such senders exist, and a recipient
    /// that does not is refused by name.
    fn local_part(&mut self) -> Result<std::borrow::Cow<'a, [u8]>, PathError> {
        let start = self.at;
        if self.peek() == Some(b'"') {
            return self.quoted().map(Into::into);
        }
        if !self.skip(|byte| is_atext(byte) || byte == b'.') {
            return Err(if self.peek() == Some(b'@') {
                PathError::EmptyLocal
            } else {
                self.wrong()
            });
        }
        Ok(self.input.get(start..self.at).unwrap_or_default().into())
    }

    fn quoted(&mut self) -> Result<Vec<u8>, PathError> {
        self.at += 1;
        let mut local = Vec::new();
        loop {
            let start = self.at;
            self.skip(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\');
            local.extend_from_slice(self.input.get(start..self.at).unwrap_or_default());
            if self.take(b'"') {
                return Ok(local);
            }
            if !self.take(b'\\') {
                return Err(self.wrong());
            }
            match self.peek() {
                Some(byte @ b' '..=b'~') => local.push(byte),
                _ => return Err(self.wrong()),
            }
            self.at += 1;
        }
    }

    /// Labels with dots between them, or an address literal. Underscores are allowed: such names exist.
    fn domain(&mut self) -> Result<(), PathError> {
        if self.take(b'[') {
            let literal = self.skip(|byte| matches!(byte, b'!'..=b'Z' | b'^'..=b'~'));
            return if literal && self.take(b']') { Ok(()) } else { Err(self.wrong()) };
        }
        loop {
            if !self.skip(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
                return Err(self.wrong());
            }
            if !self.take(b'.') {
                return Ok(());
            }
        }
    }
}

/// RFC 5322 §3.2.3.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{Path, PathError};

    fn path(input: &str) -> Path {
        let (path, rest) = Path::parse(input.as_bytes(), false).unwrap();
        assert!(rest.is_empty(), "left {rest:?}");
        path.unwrap()
    }

    fn wrong(input: &[u8], utf8: bool) -> PathError {
        Path::parse(input, utf8).unwrap_err()
    }

    #[test]
    fn parts_of_a_path() {
        let it = path("<u1+box@Example.org>");
        assert_eq!(
            (it.text(), it.local(), it.domain()),
            ("u1+box@Example.org", "u1+box", Some("Example.org"))
        );
        let it = path("<postmaster>");
        assert_eq!((it.text(), it.local(), it.domain()), ("postmaster", "postmaster", None));
        let it = path(r#"<"a \"b\" @>"@[IPv6:::1]>"#);
        assert_eq!((it.local(), it.domain()), (r#"a "b" @>"#, Some("[IPv6:::1]")));
        assert_eq!(path("<a..b.@d>").local(), "a..b.");
    }

    #[test]
    fn a_route_is_ignored() {
        let it = path("<@a.example,@[1.2.3.4]:u@d>");
        assert_eq!((it.text(), it.local(), it.domain()), ("u@d", "u", Some("d")));
    }

    #[test]
    fn what_follows_is_left() {
        let (null, rest) = Path::parse(b"<> SIZE=1", false).unwrap();
        assert_eq!((null, rest), (None, b" SIZE=1".as_slice()));
    }

    #[test]
    fn broken_paths() {
        for input in [
            "", "a@b", "<a@b", "<a@>", "<a@b.>", "<a@.b>", "<a@@b>", "<a b@c>", "<@a:>", "<@a>",
            "<a@[]>",
        ] {
            assert!(matches!(wrong(input.as_bytes(), false), PathError::Syntax { .. }), "{input}");
        }
        for input in ["<\"a@b>", "<\"a\\\x07\"@b>", "<\"a\nb\"@c>", "<\"a\"b@c>", "<a\0@b>"] {
            assert!(matches!(wrong(input.as_bytes(), true), PathError::Syntax { .. }), "{input:?}");
        }
        assert_eq!(wrong(b"<\"\"@d>", false), PathError::EmptyLocal);
        assert_eq!(wrong(b"<@d>", false), PathError::Syntax { at: 2 });
        assert_eq!(wrong(b"<\"\">", false), PathError::EmptyLocal);
    }

    #[test]
    fn length_is_counted_with_brackets() {
        let local = "x".repeat(252);
        assert_eq!(path(&format!("<{local}@d>")).local(), local);
        let error = wrong(format!("<{local}x@d>").as_bytes(), false);
        assert_eq!(error, PathError::TooLong { found: 257, allowed: 256 });
    }

    #[test]
    fn utf8_only_where_agreed() {
        let (it, _) = Path::parse("<Jürgen@bücher.example>".as_bytes(), true).unwrap();
        assert_eq!(it.unwrap().local(), "Jürgen");
        assert_eq!(wrong("<Jürgen@d>".as_bytes(), false), PathError::NotAscii { at: 1 });
        assert_eq!(wrong(b"<J\xfcrgen@d>", true), PathError::NotAscii { at: 1 });
        assert_eq!(wrong("<a\u{9b}@d>".as_bytes(), true), PathError::Syntax { at: 1 });
    }
}
