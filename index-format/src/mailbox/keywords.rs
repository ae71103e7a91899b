//! The keywords of one mailbox: up to 64 names, each with its number for good.

use crate::record::KEYWORDS_MAX;

/// Number to name and back. Names that differ only in ASCII case are one keyword (RFC 9051 §2.3.2).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeywordTable {
    names: Vec<Box<str>>,
}

impl KeywordTable {
    /// How many keywords there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The name of a number.
    pub fn name(&self, number: u8) -> Option<&str> {
        self.names.get(usize::from(number)).map(|name| &**name)
    }

    /// The number of a name.
    pub fn number(&self, name: &str) -> Option<u8> {
        self.names.iter().position(|known| known.eq_ignore_ascii_case(name)).map(|at| at as u8)
    }

    /// The names, by number from 0.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Gives the next number to `name`; `None` when all are given.
    pub(crate) fn push(&mut self, name: &str) -> Option<u8> {
        if self.names.len() >= KEYWORDS_MAX {
            return None;
        }
        self.names.push(name.into());
        Some(self.names.len() as u8 - 1)
    }

    /// Gives a number that has a name another one.
    pub(super) fn rename(&mut self, number: u8, name: &str) {
        if let Some(known) = self.names.get_mut(usize::from(number)) {
            *known = name.into();
        }
    }
}
