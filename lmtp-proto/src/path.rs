//! Forward- and reverse-paths: `<@route:"local part"@domain>` (RFC 5321 §4.1.2).

/// A mailbox as MAIL or RCPT named it, checked. A source route is gone (RFC 5321 §4.1.1.3 lets a server ignore it).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path {
    text: Box<str>,
    local: Box<str>,
    domain_at: Option<usize>,
}

impl Path {
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
