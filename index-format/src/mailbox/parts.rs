//! The parts of a mailbox that are loaded from its snapshot when they are first used.

use std::ops::{BitAnd, BitOr};

/// A set of parts. What is in none of them (UIDs, counters, keyword names, metadata, private flags) is always there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Parts(u16);

impl Parts {
    /// No part.
    pub const NONE: Parts = Parts(0);
    /// System flags.
    pub const FLAGS: Parts = Parts(1);
    /// Keywords.
    pub const KEYWORDS: Parts = Parts(1 << 1);
    /// Modseqs.
    pub const MODSEQS: Parts = Parts(1 << 2);
    /// Internal dates.
    pub const INTERNAL_DATES: Parts = Parts(1 << 3);
    /// Save dates.
    pub const SAVE_DATES: Parts = Parts(1 << 4);
    /// Sizes.
    pub const SIZES: Parts = Parts(1 << 5);
    /// Map ids.
    pub const MAP_IDS: Parts = Parts(1 << 6);
    /// GUIDs and items.
    pub const MARKS: Parts = Parts(1 << 7);
    /// Tombstones and voids.
    pub const GONE: Parts = Parts(1 << 8);
    /// All that a [`super::Flagged`] shows.
    pub const FLAGGED: Parts = Parts(0b111);
    /// All that a [`super::Row`] shows.
    pub const ROW: Parts = Parts(0xff);
    /// Every part.
    pub const ALL: Parts = Parts(0x1ff);

    /// Whether no part is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` is in it.
    pub const fn contains(self, other: Parts) -> bool {
        self.0 & other.0 == other.0
    }

    /// With those of `other`.
    #[must_use]
    pub const fn and(self, other: Parts) -> Parts {
        Parts(self.0 | other.0)
    }

    /// Without those of `other`.
    #[must_use]
    pub const fn without(self, other: Parts) -> Parts {
        Parts(self.0 & !other.0)
    }

    /// One by one. What others are computed with comes first.
    pub(crate) fn each(self) -> impl Iterator<Item = Parts> {
        (0..16).map(|bit| Parts(1 << bit)).filter(move |part| self.contains(*part))
    }
}

impl BitOr for Parts {
    type Output = Parts;

    fn bitor(self, other: Parts) -> Parts {
        Parts(self.0 | other.0)
    }
}

impl BitAnd for Parts {
    type Output = Parts;

    fn bitand(self, other: Parts) -> Parts {
        Parts(self.0 & other.0)
    }
}
