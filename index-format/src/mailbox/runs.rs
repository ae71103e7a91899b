//! Which UIDs there are, and where their rows stand: ranges of UIDs whose slots follow each other.
//!
//! A slot is a place in the columns. Slots ascend with the UIDs and are given once: who expunges a message splits a run
//! and touches no column. A mailbox without gaps is one run.

use std::ops::{Range, RangeInclusive};

use crate::Uid;

/// UIDs one after the other whose rows stand one behind the other.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u32,
    /// How many; never 0.
    len: u32,
    /// Rows before it.
    before: u32,
    /// Where its first row stands.
    slot: u32,
}

impl Run {
    fn last(&self) -> u32 {
        self.first + (self.len - 1)
    }

    fn indexes(&self) -> Range<usize> {
        self.before as usize..(self.before + self.len) as usize
    }
}

/// A part of a run.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    /// The index of its first row.
    pub(crate) index: usize,
    /// The UID of its first row.
    pub(crate) uid: Uid,
    /// Where its rows stand.
    pub(crate) slots: Range<u32>,
}

impl Stretch {
    /// The UIDs, from first to last.
    pub(crate) fn uids(&self) -> RangeInclusive<Uid> {
        self.uid..=Uid(self.uid.0 + (self.slots.end - self.slots.start - 1))
    }

    /// Each row's UID and slot.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (Uid, u32)> + use<> {
        let (uid, first) = (self.uid.0, self.slots.start);
        self.slots.clone().map(move |slot| (Uid(uid + (slot - first)), slot))
    }
}

/// The runs of a mailbox, ascending.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    runs: Vec<Run>,
    rows: u32,
    /// The next slot.
    slots: u32,
}

impl PartialEq for Runs {
    /// The UIDs; where their rows stand is no part of the state.
    fn eq(&self, other: &Runs) -> bool {
        self.rows == other.rows && self.ranges().eq(other.ranges())
    }
}

impl Runs {
    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows as usize
    }

    /// How many slots were given, those of rows that went included.
    pub(crate) fn slots(&self) -> usize {
        self.slots as usize
    }

    /// Appends a row, whose UID is above all others, and gives its slot.
    pub(crate) fn push(&mut self, uid: Uid) -> u32 {
        self.push_range(uid, uid)
    }

    /// Appends a range, which is not empty and above all others; gives the slot of its first row.
    pub(crate) fn push_range(&mut self, first: Uid, last: Uid) -> u32 {
        let (slot, len) = (self.slots, last.0 - first.0 + 1);
        match self.runs.last_mut() {
            Some(run) if run.last() + 1 == first.0 && run.slot + run.len == slot => run.len += len,
            Some(_) | None => {
                self.runs.push(Run { first: first.0, len, before: self.rows, slot });
            }
        }
        self.rows += len;
        self.slots += len;
        slot
    }

    /// The index of a UID.
    pub(crate) fn find(&self, uid: Uid) -> Option<usize> {
        let run = self.runs.get(self.runs.partition_point(|run| run.last() < uid.0))?;
        uid.0.checked_sub(run.first).map(|offset| (run.before + offset) as usize)
    }

    /// The indexes of the rows from `first` to `last`.
    pub(crate) fn find_range(&self, first: u32, last: u32) -> Range<usize> {
        if first > last {
            return 0..0;
        }
        let to = last.checked_add(1).map_or(self.len(), |end| self.lower_bound(end));
        self.lower_bound(first)..to
    }

    /// The index of the first UID that is not lower.
    pub(crate) fn lower_bound(&self, uid: u32) -> usize {
        let at = self.runs.partition_point(|run| run.last() < uid);
        self.runs
            .get(at)
            .map_or(self.len(), |run| (run.before + uid.saturating_sub(run.first)) as usize)
    }

    /// The UID at an index, and where its row stands.
    pub(crate) fn place(&self, index: usize) -> Option<(Uid, u32)> {
        let run = self.runs.get(self.run_of(index))?;
        let offset = index as u32 - run.before;
        (index < self.len()).then_some((Uid(run.first + offset), run.slot + offset))
    }

    /// The run that holds an index, or the number of runs.
    fn run_of(&self, index: usize) -> usize {
        self.runs.partition_point(|run| run.indexes().end <= index)
    }

    /// The rows at `indexes`, which are there.
    pub(crate) fn stretches(
        &self,
        indexes: Range<usize>,
    ) -> impl Iterator<Item = Stretch> + Clone + '_ {
        let runs = self.runs.get(self.run_of(indexes.start)..).unwrap_or_default().iter();
        runs.map_while(move |run| {
            let from = run.before.max(indexes.start as u32) - run.before;
            let to = run.len.min((indexes.end as u32).saturating_sub(run.before));
            (from < to).then(|| Stretch {
                index: (run.before + from) as usize,
                uid: Uid(run.first + from),
                slots: run.slot + from..run.slot + to,
            })
        })
    }

    /// Where all rows stand, in order.
    pub(crate) fn live(&self) -> Live<'_> {
        Live { runs: self.runs.iter(), uids: 0..0, slots: 0..0, left: self.len() }
    }

    /// The ranges of UIDs, ascending; no two touch.
    pub(crate) fn ranges(&self) -> impl ExactSizeIterator<Item = (Uid, Uid)> + '_ {
        self.runs.iter().map(|run| (Uid(run.first), Uid(run.last())))
    }

    /// Takes out the rows of ascending, disjoint index ranges; O(runs from the first on).
    pub(crate) fn remove(&mut self, gone: &[Range<usize>]) {
        match gone.len() {
            0..=FEW => self.remove_few(gone),
            _ => self.remove_many(gone),
        }
    }

    /// In place: what stands behind a range moves by at most one run.
    fn remove_few(&mut self, gone: &[Range<usize>]) {
        let Some(first) = gone.first() else { return };
        // From the last to the first, so that the indexes of those still to come stay right.
        for cut in gone.iter().rev() {
            let (from, to) = (self.run_of(cut.start), self.run_of(cut.end - 1));
            let piece = |run: &Run, indexes: Range<usize>| {
                let (before, len) = (indexes.start as u32, indexes.len() as u32);
                let offset = before - run.before;
                (len > 0).then_some(Run {
                    first: run.first + offset,
                    len,
                    before,
                    slot: run.slot + offset,
                })
            };
            let left = self.runs.get(from);
            let left = left.and_then(|run| piece(run, run.indexes().start..cut.start));
            let right = self.runs.get(to);
            let right = right.and_then(|run| piece(run, cut.end..run.indexes().end));
            self.runs.splice(from..=to, left.into_iter().chain(right));
        }
        let from = self.runs.partition_point(|run| run.indexes().end <= first.start);
        let kept = self.runs.get(..from).and_then(<[Run]>::last);
        let mut rows = kept.map_or(0, |run| run.before + run.len);
        for run in self.runs.get_mut(from..).unwrap_or_default() {
            run.before = rows;
            rows += run.len;
        }
        self.rows = rows;
    }

    /// Anew from the first on.
    fn remove_many(&mut self, gone: &[Range<usize>]) {
        let Some(first) = gone.first() else { return };
        let behind = self.runs.split_off(self.run_of(first.start));
        self.rows = behind.first().map_or(self.rows, |run| run.before);
        self.runs.reserve(behind.len() + gone.len());
        let mut gone = gone.iter().peekable();
        for run in behind {
            let Range { start: mut from, end } = run.indexes();
            while from < end {
                while gone.next_if(|cut| cut.end <= from).is_some() {}
                match gone.peek() {
                    Some(cut) if cut.start <= from => from = cut.end.min(end),
                    cut => {
                        let until = cut.map_or(end, |cut| cut.start.min(end));
                        self.put_back(&run, from..until);
                        from = until;
                    }
                }
            }
        }
    }

    fn put_back(&mut self, run: &Run, indexes: Range<usize>) {
        let (offset, len) = (indexes.start as u32 - run.before, indexes.len() as u32);
        let before = self.rows;
        self.runs.push(Run { first: run.first + offset, len, before, slot: run.slot + offset });
        self.rows += len;
    }

    /// Gives the rows new slots, without those of rows that went between them.
    pub(crate) fn renumber(&mut self) {
        for run in &mut self.runs {
            run.slot = run.before;
        }
        self.slots = self.rows;
    }
}

/// UIDs with their slots, in UID order.
#[derive(Clone, Debug)]
pub(crate) struct Live<'a> {
    runs: std::slice::Iter<'a, Run>,
    uids: Range<u32>,
    slots: Range<u32>,
    left: usize,
}

impl Iterator for Live<'_> {
    type Item = (Uid, u32);

    fn next(&mut self) -> Option<(Uid, u32)> {
        loop {
            if let (Some(uid), Some(slot)) = (self.uids.next(), self.slots.next()) {
                self.left -= 1;
                return Some((Uid(uid), slot));
            }
            let run = self.runs.next()?;
            self.uids = run.first..run.first + run.len;
            self.slots = run.slot..run.slot + run.len;
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Live<'_> {}

/// So many ranges are taken out in place.
const FEW: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// In place or anew, the runs are the same, and say of each UID where its row stood before.
    #[test]
    fn few_and_many_ranges_leave_the_same() {
        let mut whole = Runs::default();
        for (first, last) in [(1, 9), (11, 11), (13, 40), (42, 43), (50, 90)] {
            whole.push_range(Uid(first), Uid(last));
        }
        let slots: Vec<(Uid, u32)> = whole.live().collect();
        let mut noise = 7usize;
        for _ in 0..2000 {
            let mut gone: Vec<Range<usize>> = Vec::new();
            let mut at = 0;
            while at < whole.len() {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let (skip, len) = ((noise >> 40) % 30, (noise >> 50) % 12);
                let start = (at + skip).min(whole.len());
                let end = (start + len).min(whole.len());
                if start < end {
                    gone.push(start..end);
                }
                at = end + 1;
            }
            let (mut few, mut many) = (whole.clone(), whole.clone());
            few.remove_few(&gone);
            many.remove_many(&gone);
            let left = slots.iter().enumerate();
            let left = left.filter(|(at, _)| !gone.iter().any(|range| range.contains(at)));
            let left: Vec<(Uid, u32)> = left.map(|(_, place)| *place).collect();
            for runs in [few, many] {
                assert_eq!(runs.live().collect::<Vec<_>>(), left, "{gone:?}");
                assert_eq!((runs.len(), runs.slots()), (left.len(), slots.len()));
                let places = (0..left.len()).map(|index| runs.place(index).unwrap());
                assert!(places.eq(left.iter().copied()), "{gone:?}");
                assert_eq!(runs.find_range(0, u32::MAX), 0..left.len());
            }
        }
    }
}
