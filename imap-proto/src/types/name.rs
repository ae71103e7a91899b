//! Mailbox names as the store knows them: UTF-8, components separated by `/`.

use std::fmt;
use std::sync::Arc;

use unicode_normalization::is_nfc;

/// A mailbox name that passed every check: UTF-8, `/` between components, INBOX in capitals.
///
/// Ordered by bytes, so a list sorted by name has children after their parent, though not always at once.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Hash)]
pub struct MailboxName(Arc<str>);

/// Why a name can't be a mailbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No bytes at all.
    #[error("Mailbox name is empty")]
    Empty,
    /// Longer than [`MailboxName::MAX`], or a component longer than [`MailboxName::MAX_COMPONENT`].
    #[error("Mailbox name is too long")]
    TooLong,
    /// Begins with `/`, or two follow each other.
    #[error("Mailbox name has an empty component")]
    EmptyComponent,
    /// A component is `.` or `..`.
    #[error("Mailbox name has a component of dots")]
    Dots,
    /// A control character.
    #[error("Mailbox name has a control character")]
    Control,
    /// Not in Unicode's Normalization Form C, so that it looks like another name.
    #[error("Mailbox name is not normalized (NFC)")]
    NotNormalized,
    /// Not UTF-8, or not the one way to write it in modified UTF-7.
    #[error("Mailbox name is not properly encoded")]
    Encoding,
}

impl MailboxName {
    /// The most bytes a name may have.
    pub const MAX: usize = 1000;
    /// The most bytes a component may have.
    pub const MAX_COMPONENT: usize = 255;

    /// Checks `name` (UTF-8, not modified UTF-7); INBOX in any case is the same mailbox (RFC 3501 §5.1), also as
    /// the first component of a longer name.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > Self::MAX {
            return Err(NameError::TooLong);
        }
        // RFC 9051 §5.1: Net-Unicode alone, so NFC (RFC 5198 §3).
        if !name.is_ascii() && !is_nfc(name) {
            return Err(NameError::NotNormalized);
        }
        for component in name.split('/') {
            match component {
                "" => return Err(NameError::EmptyComponent),
                "." | ".." => return Err(NameError::Dots),
                long if long.len() > Self::MAX_COMPONENT => return Err(NameError::TooLong),
                plain if plain.chars().any(is_control) => return Err(NameError::Control),
                _ => {}
            }
        }
        match name.split_at_checked(5) {
            Some((head, rest))
                if head.eq_ignore_ascii_case("INBOX")
                    && (rest.is_empty() || rest.starts_with('/')) =>
            {
                Ok(Self(if rest.is_empty() {
                    "INBOX".into()
                } else {
                    format!("INBOX{rest}").into()
                }))
            }
            Some(_) | None => Ok(Self(name.into())),
        }
    }

    /// `INBOX`
    #[must_use]
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// The name in UTF-8.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the INBOX itself.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// The name one level up, if there is one.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.into()))
    }

    /// Whether `other` lies somewhere below this name.
    #[must_use]
    pub fn is_parent_of(&self, other: &Self) -> bool {
        other.0.strip_prefix(&*self.0).is_some_and(|rest| rest.starts_with('/'))
    }

    /// What this name becomes when `from` is renamed to `to`; `None` when it stays. INBOX stays, and so does what lies
    /// below it (RFC 3501 §6.3.5).
    pub(crate) fn renamed(&self, from: &Self, to: &Self) -> Option<Self> {
        if from.is_inbox() {
            return None;
        }
        let rest = self.0.strip_prefix(&*from.0)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| Self(format!("{to}{rest}").into()))
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// C0, DEL, C1, and the two line separators RFC 9051 §5.1 names.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// What a mailbox is for (RFC 6154 §2).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Hash)]
#[non_exhaustive]
pub enum SpecialUse {
    /// `\All`
    All,
    /// `\Archive`
    Archive,
    /// `\Drafts`
    Drafts,
    /// `\Flagged`
    Flagged,
    /// `\Junk`
    Junk,
    /// `\Sent`
    Sent,
    /// `\Trash`
    Trash,
}

impl SpecialUse {
    /// Each use with its attribute on the wire.
    pub const NAMES: [(Self, &'static str); 7] = [
        (Self::All, "\\All"),
        (Self::Archive, "\\Archive"),
        (Self::Drafts, "\\Drafts"),
        (Self::Flagged, "\\Flagged"),
        (Self::Junk, "\\Junk"),
        (Self::Sent, "\\Sent"),
        (Self::Trash, "\\Trash"),
    ];

    /// The attribute on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "\\All",
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Flagged => "\\Flagged",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3501_6_3_5_renamed_with_what_lies_below_but_for_inbox() {
        let name = |text: &str| MailboxName::new(text).unwrap();
        let renamed = |text: &str, from: &str| name(text).renamed(&name(from), &name("z/a"));
        assert_eq!(renamed("x", "x"), Some(name("z/a")));
        assert_eq!(renamed("x/y/w", "x/y"), Some(name("z/a/w")));
        for stays in ["xy", "y/x", "X", "INBOX"] {
            assert_eq!(renamed(stays, "x"), None, "{stays}");
        }
        assert_eq!(renamed("x", "x/y"), None);
        assert_eq!(renamed("INBOX", "INBOX"), None);
        assert_eq!(renamed("INBOX/x", "INBOX"), None);
    }
}
