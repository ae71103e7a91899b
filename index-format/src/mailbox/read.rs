//! The rows of a mailbox, for those who look at them. What is shown of a row belongs to some [`super::Parts`], and these are
//! loaded before: asking for a column that is not there is a bug of the caller, and a panic.

use std::ops::{Range, RangeInclusive};

use super::{Flagged, Mailbox, Parts, Row};
use crate::{Flags, Keywords, MapId, ModSeq, Uid, UidSet};

impl Mailbox {
    /// The index of `uid`; O(log runs of UIDs).
    pub fn find(&self, uid: Uid) -> Option<usize> {
        self.rows.runs.find(uid)
    }

    /// The indexes of the rows from `uids.start()` to `uids.end()`.
    pub fn find_range(&self, uids: RangeInclusive<Uid>) -> Range<usize> {
        self.rows.runs.find_range(uids.start().0, uids.end().0)
    }

    /// The UID at an index counted from 0; O(log runs of UIDs), as everything by index.
    pub fn uid(&self, index: usize) -> Option<Uid> {
        self.rows.runs.place(index).map(|(uid, _)| uid)
    }

    /// All of a row.
    pub fn row(&self, index: usize) -> Option<Row> {
        self.rows.runs.place(index).map(|(uid, slot)| self.rows.row(uid, slot))
    }

    /// A row with the values of these parts, which alone have to be loaded; the others are empty.
    pub fn row_with(&self, index: usize, parts: Parts) -> Option<Row> {
        let (uid, slot) = self.rows.runs.place(index)?;
        Some(self.rows.row_with(uid, slot, parts))
    }

    /// The system flags of a row.
    pub fn flags_of(&self, index: usize) -> Option<Flags> {
        self.rows.runs.place(index).map(|(_, slot)| self.rows.flags.at(slot))
    }

    /// What commands that change flags look at ([`super::Parts::FLAGGED`]).
    pub fn flagged(&self, index: usize) -> Option<Flagged> {
        let (uid, slot) = self.rows.runs.place(index)?;
        let (flags, keywords) = (self.rows.flags.at(slot), self.rows.keywords.at(slot));
        Some(Flagged { uid, flags, keywords, modseq: self.rows.modseqs.at(slot) })
    }

    /// The size of a row in bytes.
    pub fn size(&self, index: usize) -> Option<u64> {
        self.rows.runs.place(index).map(|(_, slot)| self.rows.size(slot))
    }

    /// The rows, in UID order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Row> + '_ {
        self.rows.iter()
    }

    /// The rows at these indexes, as far as they are there: O(1) each, whatever the gaps between UIDs.
    pub fn rows(&self, indexes: Range<usize>) -> impl Iterator<Item = Row> + '_ {
        self.places(indexes).map(|(uid, slot)| self.rows.row(uid, slot))
    }

    /// The same, with the values of these parts alone ([`Self::row_with`]).
    pub fn rows_with(&self, indexes: Range<usize>, parts: Parts) -> impl Iterator<Item = Row> + '_ {
        self.places(indexes).map(move |(uid, slot)| self.rows.row_with(uid, slot, parts))
    }

    /// UIDs and modseqs at these indexes, in the same way.
    pub fn modseqs_at(&self, indexes: Range<usize>) -> impl Iterator<Item = (Uid, ModSeq)> + '_ {
        self.places(indexes).map(|(uid, slot)| (uid, self.rows.modseqs.at(slot)))
    }

    /// When rows at these indexes came, in seconds since 1970, and their sizes; 0 for what is not among `parts`.
    pub fn arrivals_at(
        &self,
        indexes: Range<usize>,
        parts: Parts,
    ) -> impl Iterator<Item = (Uid, i64, u64)> + '_ {
        let (dates, sizes) = (parts.contains(Parts::INTERNAL_DATES), parts.contains(Parts::SIZES));
        self.places(indexes).map(move |(uid, slot)| {
            let came = if dates { self.rows.internal_dates.at(slot) } else { 0 };
            (uid, came, if sizes { self.rows.size(slot) } else { 0 })
        })
    }

    pub(crate) fn places(&self, indexes: Range<usize>) -> impl Iterator<Item = (Uid, u32)> + '_ {
        self.rows.runs.stretches(indexes).flat_map(|stretch| stretch.rows())
    }

    /// All UIDs, ascending; the columns below have the same order and length.
    pub fn uids(&self) -> impl ExactSizeIterator<Item = Uid> + Clone + '_ {
        self.rows.runs.live().map(|(uid, _)| uid)
    }

    /// All system flags.
    pub fn flags(&self) -> impl ExactSizeIterator<Item = Flags> + Clone + '_ {
        self.rows.runs.live().map(|(_, slot)| self.rows.flags.at(slot))
    }

    /// All keywords.
    pub fn keyword_masks(&self) -> impl ExactSizeIterator<Item = Keywords> + Clone + '_ {
        self.rows.runs.live().map(|(_, slot)| self.rows.keywords.at(slot))
    }

    /// All modseqs.
    pub fn modseqs(&self) -> impl ExactSizeIterator<Item = ModSeq> + Clone + '_ {
        self.rows.runs.live().map(|(_, slot)| self.rows.modseqs.at(slot))
    }

    /// All internal dates, seconds since 1970.
    pub fn internal_dates(&self) -> impl ExactSizeIterator<Item = i64> + Clone + '_ {
        self.rows.runs.live().map(|(_, slot)| self.rows.internal_dates.at(slot))
    }

    /// All save dates, seconds since 1970.
    pub fn save_dates(&self) -> impl ExactSizeIterator<Item = i64> + Clone + '_ {
        self.rows.runs.live().map(|(_, slot)| self.rows.save_dates.at(slot))
    }

    /// All map ids.
    pub fn map_ids(&self) -> impl ExactSizeIterator<Item = MapId> + Clone + '_ {
        self.rows.runs.live().map(|(_, slot)| self.rows.map_ids.at(slot))
    }

    /// The UIDs as a set; O(runs of UIDs).
    pub fn uid_set(&self) -> UidSet {
        self.rows.runs.ranges().map(|(first, last)| first..=last).collect()
    }
}
