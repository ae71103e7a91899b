//! A command's tag.

use crate::parse::is_atom;

/// A tag of at most 64 bytes, held inline: a command in flight costs no allocation for it.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Tag {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl Tag {
    pub(crate) const MAX: usize = 64;

    /// The tag, when `bytes` is one (RFC 3501 §9: ASTRING-CHAR except `+`).
    pub(crate) fn new(tag: &[u8], limit: usize) -> Option<Self> {
        let valid = |byte: &u8| (is_atom(*byte) || *byte == b']') && *byte != b'+';
        if tag.is_empty() || tag.len() > limit.min(Self::MAX) || !tag.iter().all(valid) {
            return None;
        }
        let mut out = Self::default();
        out.bytes.get_mut(..tag.len())?.copy_from_slice(tag);
        out.len = tag.len() as u8;
        Some(out)
    }

    /// The tag at the start of a line, empty when there is none.
    pub(crate) fn of_line(line: &[u8]) -> Self {
        let end = memchr::memchr(b' ', line.get(..line.len().min(Self::MAX + 1)).unwrap_or(line));
        end.and_then(|end| Self::new(line.get(..end)?, Self::MAX)).unwrap_or_default()
    }

    /// The bytes; `*` when there is no tag, so that a reply to no command is untagged (RFC 3501 §7.1.3).
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self.bytes.get(..usize::from(self.len)) {
            Some(bytes) if !bytes.is_empty() => bytes,
            Some(_) | None => b"*",
        }
    }
}

impl Default for Tag {
    fn default() -> Self {
        Self { len: 0, bytes: [0; Self::MAX] }
    }
}

impl std::fmt::Debug for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}
