//! Flags of a message (RFC 3501 §2.3.2).

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

use super::{ModSeq, Uid};

/// The system flags as bits; `\Recent` is a fact about a session and kept apart.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Hash)]
pub struct SystemFlags(pub u8);

impl SystemFlags {
    /// `\Seen`
    pub const SEEN: Self = Self(1);
    /// `\Answered`
    pub const ANSWERED: Self = Self(2);
    /// `\Flagged`
    pub const FLAGGED: Self = Self(4);
    /// `\Deleted`
    pub const DELETED: Self = Self(8);
    /// `\Draft`
    pub const DRAFT: Self = Self(16);
    /// Every system flag.
    pub const ALL: Self = Self(31);
    /// Each flag with its name on the wire, in the order they are written.
    pub const NAMES: [(Self, &'static str); 5] = [
        (Self::ANSWERED, "\\Answered"),
        (Self::FLAGGED, "\\Flagged"),
        (Self::DELETED, "\\Deleted"),
        (Self::SEEN, "\\Seen"),
        (Self::DRAFT, "\\Draft"),
    ];

    /// Whether every flag of `other` is set here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether no flag is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for SystemFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for SystemFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for SystemFlags {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for SystemFlags {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }
}

/// A keyword: an atom of at most [`Keyword::MAX`] bytes that does not begin with a backslash.
///
/// Keywords that differ only in case are the same keyword (RFC 3501 §2.3.2 leaves it open, RFC 5788 §2.2 says so);
/// the store keeps the spelling it saw first.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Hash)]
pub struct Keyword(Box<str>);

impl Keyword {
    /// The most bytes a keyword may have.
    pub const MAX: usize = 128;

    /// The keyword `name`, or `None` when it isn't an atom or is too long.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = !name.is_empty() && name.len() <= Self::MAX;
        (fits && name.bytes().all(crate::parse::is_atom)).then(|| Self(name.into()))
    }

    /// The name as it goes on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` names the same keyword.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The flags of a message, or those a command names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Flags {
    /// The system flags.
    pub system: SystemFlags,
    /// The keywords, each once.
    pub keywords: Vec<Keyword>,
}

/// One message's flags after a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FlagRow {
    /// Which message.
    pub uid: Uid,
    /// All its flags now, `\Recent` apart.
    pub flags: Flags,
    /// Its modification sequence now.
    pub modseq: ModSeq,
}
