//! The messages of a map in memory: one run sorted by id, out of which freed ones are swept, a few at a time.
//!
//! Invariants:
//! - Ids ascend over the run without its gap. What stands in the gap is left over from before and counts for nothing.
//! - The gap is where a sweep has got to; there is none otherwise. It never ends with the run.
//!
//! Places count the slots in order, the gap left out: they hold until the next sweep.

use super::{Entry, MapId};
use std::ops::{Range, RangeInclusive};

/// Freed slots are swept out when they are more than this and more than half.
const GONE_MIN: usize = 64;

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) id: u32,
    pub(super) gone: bool,
    pub(super) entry: Entry,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    run: Vec<Slot>,
    gap: Range<usize>,
    sweeping: bool,
    /// Slots of freed ids.
    gone: usize,
}

impl Slots {
    /// How many there are, those of freed ids among them.
    fn len(&self) -> usize {
        self.run.len() - self.gap.len()
    }

    /// Those of messages.
    pub(super) fn messages(&self) -> usize {
        self.len() - self.gone
    }

    fn parts(&self) -> [&[Slot]; 2] {
        [self.run.get(..self.gap.start), self.run.get(self.gap.end..)]
            .map(Option::unwrap_or_default)
    }

    /// All, in order, those of freed ids among them.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Slot> + Clone {
        self.parts().into_iter().flatten()
    }

    /// Where a place is in the run.
    fn at(&self, place: usize) -> usize {
        if place < self.gap.start { place } else { place.saturating_add(self.gap.len()) }
    }

    pub(super) fn get(&self, place: usize) -> Option<&Slot> {
        self.run.get(self.at(place))
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Slot> {
        let at = self.at(place);
        self.run.get_mut(at)
    }

    /// Those at these places.
    pub(super) fn within(&self, places: Range<usize>) -> impl Iterator<Item = &Slot> + Clone {
        let [front, back] = self.parts();
        let of = |part: Range<usize>| part.start..part.end.max(part.start);
        let (start, end) = (places.start, places.end);
        let split = front.len();
        let front = front.get(of(start.min(split)..end.min(split))).unwrap_or_default();
        let (start, end) = (start.max(split) - split, end.max(split) - split);
        let back = back.get(of(start..end.min(back.len()))).unwrap_or_default();
        front.iter().chain(back)
    }

    /// Has `change` see those at these places.
    pub(super) fn each_mut(&mut self, places: Range<usize>, mut change: impl FnMut(&mut Slot)) {
        for place in places {
            if let Some(slot) = self.get_mut(place) {
                change(slot);
            }
        }
    }

    /// The place of an id, freed or not.
    pub(super) fn find(&self, id: u32) -> Option<usize> {
        let place = self.lower_bound(u64::from(id));
        self.get(place).is_some_and(|slot| slot.id == id).then_some(place)
    }

    /// The place of the first slot whose id is not below `id`.
    pub(super) fn lower_bound(&self, id: u64) -> usize {
        let [front, back] = self.parts();
        match front.last() {
            Some(last) if id <= u64::from(last.id) => bound(front, id),
            _ => front.len() + bound(back, id),
        }
    }

    /// The places of the ids of a range.
    pub(super) fn places(&self, ids: &RangeInclusive<MapId>) -> Range<usize> {
        self.lower_bound(u64::from(ids.start().0))..self.lower_bound(u64::from(ids.end().0) + 1)
    }

    pub(super) fn reserve_exact(&mut self, count: usize) {
        self.run.reserve_exact(count);
    }

    /// Appends one, whose id is above all.
    pub(super) fn push(&mut self, slot: Slot) {
        self.run.push(slot);
    }

    /// Takes back what was just appended.
    pub(super) fn pop(&mut self) -> Option<Slot> {
        self.run.pop()
    }

    /// Takes note that so many slots have become those of freed ids, or are such no more.
    pub(super) fn note_gone(&mut self, gone: bool, count: usize) {
        self.gone = if gone { self.gone + count } else { self.gone - count };
    }

    /// Goes on to sweep freed ones out, if there are enough of them, past `count` slots at most; `forget` is told which went.
    pub(super) fn sweep(&mut self, count: usize, mut forget: impl FnMut(u32)) {
        if !self.sweeping && (self.gone <= GONE_MIN || self.gone <= self.len() / 2) {
            return;
        }
        self.sweeping = true;
        for _ in 0..count {
            let Some(&slot) = self.run.get(self.gap.end) else { break };
            self.gap.end += 1;
            if slot.gone {
                self.gone -= 1;
                forget(slot.id);
            } else if let Some(place) = self.run.get_mut(self.gap.start) {
                *place = slot;
                self.gap.start += 1;
            }
        }
        if self.gap.end == self.run.len() {
            self.run.truncate(self.gap.start);
            (self.gap, self.sweeping) = (0..0, false);
        }
    }
}

/// The place among `slots` of the first whose id is not below `id`.
fn bound(slots: &[Slot], id: u64) -> usize {
    let (Some(first), Some(last)) = (slots.first(), slots.last()) else { return 0 };
    let len = slots.len();
    // Ids ascend, so each stands no further from the first, and from the last, than it differs from them: without holes
    // there is nothing to look for.
    let before = |ids: u64| usize::try_from(ids).map_or(len, |ids| ids.min(len));
    let most = before(id.saturating_sub(u64::from(first.id)));
    let least = len - before((u64::from(last.id) + 1).saturating_sub(id));
    let rest = slots.get(least..most).unwrap_or_default();
    least + rest.partition_point(|slot| u64::from(slot.id) < id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Guid;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Push { hole: u32 },
        Gone { from: usize, count: usize, gone: bool },
        Sweep(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0_u32..3).prop_map(|hole| Step::Push { hole }),
            4 => (0_usize..200, 1_usize..40, prop::bool::weighted(0.9))
                .prop_map(|(from, count, gone)| Step::Gone { from, count, gone }),
            4 => (1_usize..60).prop_map(Step::Sweep),
        ]
    }

    fn slot(id: u32) -> Slot {
        let (guid, container, offset) = (Guid([0; 16]), 1, u64::from(id));
        let entry = Entry { guid, container, offset, record_len: 1, size: 1, refs: 0 };
        Slot { id, gone: false, entry }
    }

    proptest! {
        /// Against all slots there ever were: those that are not freed are there, those swept are freed ones, each once.
        #[test]
        fn a_sweep_under_way_changes_no_answer(steps in prop::collection::vec(step(), 1..60)) {
            let mut slots = Slots::default();
            let mut all: Vec<(u32, bool)> = (10..210).map(|id| (id, false)).collect();
            all.iter().for_each(|(id, _)| slots.push(slot(*id)));
            let mut swept = std::collections::BTreeSet::new();
            for step in steps {
                match step {
                    Step::Push { hole } => {
                        let id = all.last().map_or(0, |(id, _)| id + 1 + hole);
                        all.push((id, false));
                        slots.push(slot(id));
                    }
                    Step::Gone { from, count, gone } => {
                        // As a transaction does: ids that are there, all of them freed or none.
                        let wanted = all.iter_mut().skip(from).take(count);
                        let wanted = wanted.filter(|(id, is)| *is != gone && !swept.contains(id));
                        for (id, is) in wanted {
                            *is = gone;
                            let places = slots.places(&(MapId(*id)..=MapId(*id)));
                            prop_assert_eq!(places.len(), 1);
                            slots.each_mut(places, |slot| slot.gone = gone);
                            slots.note_gone(gone, 1);
                        }
                    }
                    Step::Sweep(count) => slots.sweep(count, |id| assert!(swept.insert(id))),
                }
                let left = || all.iter().filter(|(id, _)| !swept.contains(id));
                prop_assert!(all.iter().all(|(id, gone)| *gone || !swept.contains(id)));
                let found: Vec<(u32, bool)> = slots.iter().map(|slot| (slot.id, slot.gone)).collect();
                prop_assert_eq!(&found, &left().copied().collect::<Vec<_>>());
                prop_assert_eq!(slots.messages(), left().filter(|(_, gone)| !gone).count());
                let last = found.last().map_or(0, |(id, _)| *id);
                for id in 0..last + 3 {
                    let place = found.partition_point(|(known, _)| *known < id);
                    prop_assert_eq!(slots.lower_bound(u64::from(id)), place);
                    let is_there = found.get(place).is_some_and(|(known, _)| *known == id);
                    prop_assert_eq!(slots.find(id), is_there.then_some(place));
                    prop_assert_eq!(slots.get(place).map(|slot| slot.id), found.get(place).map(|(id, _)| *id));
                    let some: Vec<u32> = slots.within(place..place + 7).map(|slot| slot.id).collect();
                    let expected = found.iter().skip(place).take(7).map(|(id, _)| *id);
                    prop_assert_eq!(some, expected.collect::<Vec<_>>());
                }
            }
            slots.sweep(usize::MAX, |_| ());
            prop_assert!(!slots.sweeping && slots.gap.is_empty());
        }
    }
}
