//! The columns of a mailbox.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Row;
use crate::{Flags, Guid, ItemId, Keywords, MapId, ModSeq, Uid};

/// One vector a column; all have the same length. What few rows have is kept apart, by UID.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Rows {
    pub(crate) uids: Vec<Uid>,
    pub(crate) flags: Vec<Flags>,
    pub(crate) keywords: Vec<Keywords>,
    pub(crate) modseqs: Vec<ModSeq>,
    pub(crate) internal_dates: Vec<i64>,
    pub(crate) save_dates: Vec<i64>,
    /// [`SIZE_ELSEWHERE`] where the size is in `large`.
    pub(crate) sizes: Vec<u32>,
    pub(crate) map_ids: Vec<MapId>,
    pub(crate) large: BTreeMap<Uid, u64>,
    pub(crate) guids: BTreeMap<Uid, Guid>,
    pub(crate) items: BTreeMap<Uid, ItemId>,
}

impl Rows {
    pub(crate) fn push(&mut self, row: &Row) {
        self.uids.push(row.uid);
        self.flags.push(row.flags);
        self.keywords.push(row.keywords);
        self.modseqs.push(row.modseq);
        self.internal_dates.push(row.internal_date);
        self.save_dates.push(row.save_date);
        self.push_size(row.uid, row.size);
        self.map_ids.push(row.map_id);
        if let Some(guid) = row.guid {
            self.guids.insert(row.uid, guid);
        }
        if let Some(item) = row.item {
            self.items.insert(row.uid, item);
        }
    }

    fn push_size(&mut self, uid: Uid, size: u64) {
        self.sizes.push(match u32::try_from(size) {
            Ok(size) if size != SIZE_ELSEWHERE => size,
            Ok(_) | Err(_) => {
                self.large.insert(uid, size);
                SIZE_ELSEWHERE
            }
        });
    }

    /// Fills the sizes of rows whose UIDs are there.
    pub(crate) fn set_sizes(&mut self, sizes: impl Iterator<Item = u64>) {
        self.sizes.clear();
        self.sizes.reserve(self.uids.len());
        for (index, size) in sizes.enumerate() {
            let Some(&uid) = self.uids.get(index) else { return };
            self.push_size(uid, size);
        }
    }

    pub(crate) fn row(&self, index: usize) -> Option<Row> {
        let uid = *self.uids.get(index)?;
        Some(Row {
            uid,
            flags: *self.flags.get(index)?,
            keywords: *self.keywords.get(index)?,
            modseq: *self.modseqs.get(index)?,
            internal_date: *self.internal_dates.get(index)?,
            save_date: *self.save_dates.get(index)?,
            size: self.size(index)?,
            map_id: *self.map_ids.get(index)?,
            guid: self.guids.get(&uid).copied(),
            item: self.items.get(&uid).copied(),
        })
    }

    pub(crate) fn size(&self, index: usize) -> Option<u64> {
        match *self.sizes.get(index)? {
            SIZE_ELSEWHERE => self.large.get(self.uids.get(index)?).copied(),
            size => Some(u64::from(size)),
        }
    }

    pub(crate) fn find(&self, uid: Uid) -> Option<usize> {
        let at = self.lower_bound(uid.0);
        (self.uids.get(at) == Some(&uid)).then_some(at)
    }

    pub(crate) fn find_range(&self, first: u32, last: u32) -> Range<usize> {
        if first > last {
            return 0..0;
        }
        let from = self.lower_bound(first);
        let to = last.checked_add(1).map_or(self.uids.len(), |end| self.lower_bound(end));
        from..to
    }

    /// The index of the first UID that is not lower.
    fn lower_bound(&self, uid: u32) -> usize {
        let Some(&lowest) = self.uids.first() else { return 0 };
        // As many UIDs fit below it, at most: without holes this is where it stands.
        let most = (uid.saturating_sub(lowest.0) as usize).min(self.uids.len());
        if self.uids.get(most).is_some_and(|at| at.0 == uid) {
            return most;
        }
        self.uids.get(..most).map_or(0, |below| below.partition_point(|at| at.0 < uid))
    }

    /// Takes out the rows of ascending, disjoint index ranges; O(rows behind the first).
    pub(crate) fn remove(&mut self, gone: &[Range<usize>]) {
        fn cut<T: Copy>(column: &mut Vec<T>, gone: &[Range<usize>]) {
            let Some(first) = gone.first() else { return };
            let mut to = first.start;
            for (index, range) in gone.iter().enumerate() {
                let until = gone.get(index + 1).map_or(column.len(), |next| next.start);
                column.copy_within(range.end..until, to);
                to += until - range.end;
            }
            column.truncate(to);
        }
        cut(&mut self.flags, gone);
        cut(&mut self.keywords, gone);
        cut(&mut self.modseqs, gone);
        cut(&mut self.internal_dates, gone);
        cut(&mut self.save_dates, gone);
        cut(&mut self.sizes, gone);
        cut(&mut self.map_ids, gone);
        if !(self.large.is_empty() && self.guids.is_empty() && self.items.is_empty()) {
            self.forget_sparse(gone);
        }
        cut(&mut self.uids, gone);
    }

    fn forget_sparse(&mut self, gone: &[Range<usize>]) {
        for uid in gone.iter().flat_map(|range| self.uids.get(range.clone()).unwrap_or_default()) {
            self.large.remove(uid);
            self.guids.remove(uid);
            self.items.remove(uid);
        }
    }
}

const SIZE_ELSEWHERE: u32 = u32::MAX;
