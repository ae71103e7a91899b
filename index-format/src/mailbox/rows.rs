//! The rows of a mailbox: runs of UIDs, and columns by slot. What few rows have is kept apart.

use std::collections::BTreeMap;
use std::ops::Range;

use super::column::Column;
use super::runs::Runs;
use super::{Parts, Row};
use crate::{Flags, Guid, ItemId, Keywords, MapId, ModSeq, Uid};

/// Each column has a value for each slot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) runs: Runs,
    pub(crate) flags: Column<Flags>,
    pub(crate) keywords: Column<Keywords>,
    pub(crate) modseqs: Column<ModSeq>,
    pub(crate) internal_dates: Column<i64>,
    pub(crate) save_dates: Column<i64>,
    /// [`SIZE_ELSEWHERE`] where the size is in `large`.
    pub(crate) sizes: Column<u32>,
    pub(crate) map_ids: Column<MapId>,
    /// By slot.
    pub(crate) large: BTreeMap<u32, u64>,
    pub(crate) guids: BTreeMap<Uid, Guid>,
    pub(crate) items: BTreeMap<Uid, ItemId>,
}

impl PartialEq for Rows {
    /// Row by row; all columns of both are loaded.
    fn eq(&self, other: &Rows) -> bool {
        self.runs == other.runs && self.iter().eq(other.iter())
    }
}

impl Rows {
    /// Rows whose columns are all in a snapshot still.
    pub(crate) fn apart(runs: Runs) -> Rows {
        let rows = runs.slots() as u32;
        Rows {
            runs,
            flags: Column::apart(rows),
            keywords: Column::apart(rows),
            modseqs: Column::apart(rows),
            internal_dates: Column::apart(rows),
            save_dates: Column::apart(rows),
            sizes: Column::apart(rows),
            map_ids: Column::apart(rows),
            ..Rows::default()
        }
    }

    pub(crate) fn push(&mut self, row: &Row) {
        let slot = self.runs.push(row.uid);
        self.flags.push(row.flags);
        self.keywords.push(row.keywords);
        self.modseqs.push(row.modseq);
        self.internal_dates.push(row.internal_date);
        self.save_dates.push(row.save_date);
        let size = self.short_size(slot, row.size);
        self.sizes.push(size);
        self.map_ids.push(row.map_id);
        if let Some(guid) = row.guid {
            self.guids.insert(row.uid, guid);
        }
        if let Some(item) = row.item {
            self.items.insert(row.uid, item);
        }
    }

    /// What stands in the column for a size.
    pub(crate) fn short_size(&mut self, slot: u32, size: u64) -> u32 {
        match u32::try_from(size) {
            Ok(size) if size != SIZE_ELSEWHERE => size,
            Ok(_) | Err(_) => {
                self.large.insert(slot, size);
                SIZE_ELSEWHERE
            }
        }
    }

    /// The rows, in UID order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Row> + '_ {
        self.runs.live().map(|(uid, slot)| self.row(uid, slot))
    }

    pub(crate) fn row(&self, uid: Uid, slot: u32) -> Row {
        Row {
            uid,
            flags: self.flags.at(slot),
            keywords: self.keywords.at(slot),
            modseq: self.modseqs.at(slot),
            internal_date: self.internal_dates.at(slot),
            save_date: self.save_dates.at(slot),
            size: self.size(slot),
            map_id: self.map_ids.at(slot),
            guid: self.guids.get(&uid).copied(),
            item: self.items.get(&uid).copied(),
        }
    }

    /// A row with these of its values, which alone have to be loaded, and nothing for the others.
    pub(crate) fn row_with(&self, uid: Uid, slot: u32, parts: Parts) -> Row {
        if parts.contains(Parts::ROW) {
            return self.row(uid, slot);
        }
        let mut row = Row { uid, ..Row::default() };
        if parts.contains(Parts::FLAGS) {
            row.flags = self.flags.at(slot);
        }
        if parts.contains(Parts::KEYWORDS) {
            row.keywords = self.keywords.at(slot);
        }
        if parts.contains(Parts::MODSEQS) {
            row.modseq = self.modseqs.at(slot);
        }
        if parts.contains(Parts::INTERNAL_DATES) {
            row.internal_date = self.internal_dates.at(slot);
        }
        if parts.contains(Parts::SAVE_DATES) {
            row.save_date = self.save_dates.at(slot);
        }
        if parts.contains(Parts::SIZES) {
            row.size = self.size(slot);
        }
        if parts.contains(Parts::MAP_IDS) {
            row.map_id = self.map_ids.at(slot);
        }
        if parts.contains(Parts::MARKS) {
            row.guid = self.guids.get(&uid).copied();
            row.item = self.items.get(&uid).copied();
        }
        row
    }

    pub(crate) fn size(&self, slot: u32) -> u64 {
        match self.sizes.at(slot) {
            SIZE_ELSEWHERE => self.large.get(&slot).copied().unwrap_or_default(),
            size => u64::from(size),
        }
    }

    /// Takes out the rows of ascending, disjoint index ranges; O(runs behind the first), no column is touched.
    pub(crate) fn remove(&mut self, gone: &[Range<usize>]) {
        if !(self.large.is_empty() && self.guids.is_empty() && self.items.is_empty()) {
            let Rows { runs, large, guids, items, .. } = self;
            let gone = gone.iter().flat_map(|range| runs.stretches(range.clone()));
            for (uid, slot) in gone.flat_map(|stretch| stretch.rows()) {
                large.remove(&slot);
                guids.remove(&uid);
                items.remove(&uid);
            }
        }
        self.runs.remove(gone);
    }

    /// Slots of rows that went.
    pub(crate) fn unused(&self) -> usize {
        self.runs.slots() - self.runs.len()
    }

    /// Whether more slots are unused than used, and they are many.
    pub(crate) fn wants_renumbering(&self) -> bool {
        self.unused() > self.runs.len().max(UNUSED_LEAST)
    }

    /// Gives the rows new slots, and back the memory of those that went. All columns are loaded.
    pub(crate) fn renumber(&mut self) {
        if self.unused() == 0 {
            return;
        }
        let Rows { runs, large, .. } = &mut *self;
        if !large.is_empty() {
            let live = runs.live().enumerate();
            let kept = live.filter_map(|(to, (_, slot))| Some((to as u32, *large.get(&slot)?)));
            *large = kept.collect();
        }
        let kept = self.runs.stretches(0..self.runs.len()).map(|stretch| stretch.slots);
        self.flags.keep(kept.clone());
        self.keywords.keep(kept.clone());
        self.modseqs.keep(kept.clone());
        self.internal_dates.keep(kept.clone());
        self.save_dates.keep(kept.clone());
        self.sizes.keep(kept.clone());
        self.map_ids.keep(kept);
        self.runs.renumber();
    }
}

const SIZE_ELSEWHERE: u32 = u32::MAX;
/// So many slots of rows that went are kept in any case.
const UNUSED_LEAST: usize = 4096;
