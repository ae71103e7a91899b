//! Sets of map ids, held and written as ranges.

use std::ops::RangeInclusive;

use super::MapId;
use crate::Error;
use crate::reader::{Reader, put_varint};

/// A set of map ids: ascending ranges, none of them neighbours.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct IdSet {
    ranges: Vec<(u32, u32)>,
}

impl IdSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an id; cheap if it is greater than all in the set.
    pub fn insert(&mut self, id: MapId) {
        self.insert_range(id..=id);
    }

    /// Adds all ids of a range; cheap if they are greater than all in the set. An empty range adds none.
    pub fn insert_range(&mut self, ids: RangeInclusive<MapId>) {
        let (mut first, mut last) = (ids.start().0, ids.end().0);
        if first > last {
            return;
        }
        // Ranges that overlap or touch the new one become one with it.
        let from = self.ranges.partition_point(|&(_, end)| end < first.saturating_sub(1));
        let to = self.ranges.partition_point(|&(start, _)| start <= last.saturating_add(1));
        if let Some(&(start, _)) = self.ranges.get(from).filter(|_| from < to) {
            first = first.min(start);
        }
        if let Some(&(_, end)) =
            to.checked_sub(1).and_then(|i| self.ranges.get(i)).filter(|_| from < to)
        {
            last = last.max(end);
        }
        self.ranges.splice(from..to.max(from), [(first, last)]);
    }

    /// Takes an id out; whether it was in the set.
    pub fn remove(&mut self, id: MapId) -> bool {
        let place = self.ranges.partition_point(|&(_, end)| end < id.0);
        let Some(&(start, end)) = self.ranges.get(place).filter(|&&(start, _)| start <= id.0)
        else {
            return false;
        };
        let before = (start < id.0).then(|| (start, id.0 - 1));
        let behind = (id.0 < end).then(|| (id.0 + 1, end));
        self.ranges.splice(place..=place, before.into_iter().chain(behind));
        true
    }

    /// Whether `id` is in the set.
    #[must_use]
    pub fn contains(&self, id: MapId) -> bool {
        let place = self.ranges.partition_point(|&(_, end)| end < id.0);
        self.ranges.get(place).is_some_and(|&(start, _)| start <= id.0)
    }

    /// The number of ids.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|&(start, end)| u64::from(end) - u64::from(start) + 1).sum()
    }

    /// Whether no id is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = RangeInclusive<MapId>> + '_ {
        self.ranges.iter().map(|&(start, end)| MapId(start)..=MapId(end))
    }

    /// The ids, ascending. A few bytes may stand for 2^32 of them: check [`len`](Self::len) of sets from outside.
    pub fn iter(&self) -> Ids<'_> {
        Ids { ranges: self.ranges.iter(), now: None }
    }

    /// Number of ranges, then each as the gap since the last one's end and, if it has more than one id, its length.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, self.ranges.len() as u64);
        let mut next = 0_u64;
        for &(start, end) in &self.ranges {
            let gap = u64::from(start) - next;
            put_varint(out, gap << 1 | u64::from(end > start));
            if end > start {
                put_varint(out, u64::from(end - start) - 1);
            }
            // The id behind a range is never in the set, so the next gap counts from the one after that.
            next = u64::from(end) + 2;
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let at = reader.at();
        let count = reader.varint("number of ranges")?;
        // A range takes a byte at least.
        if count > reader.left() {
            let max = reader.left();
            return Err(Error::Range { field: "number of ranges", at, found: count, min: 0, max });
        }
        let mut ranges = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        let mut next = 0_u64;
        for _ in 0..count {
            let at = reader.at();
            let word = reader.varint("range")?;
            let more =
                if word & 1 == 0 { 0 } else { reader.varint("range length")?.saturating_add(1) };
            let start = next.saturating_add(word >> 1);
            let end = start.saturating_add(more);
            let (Ok(first), Ok(last)) = (u32::try_from(start), u32::try_from(end)) else {
                return Err(Error::Range {
                    field: "range",
                    at,
                    found: end,
                    min: next,
                    max: u64::from(u32::MAX),
                });
            };
            ranges.push((first, last));
            next = end + 2;
        }
        Ok(Self { ranges })
    }
}

/// Most ranges that a set of groups may have: a few bytes would else stand for very many.
const RANGES_MAX: u64 = 8 << 20;

/// Ranges of one length at one distance.
#[derive(Clone, Copy)]
struct Group {
    first: u32,
    last: u32,
    /// Absent ids between two.
    hole: u32,
    /// How often the range stands there.
    times: u32,
}

impl IdSet {
    /// Appends the set as groups, if that takes less than `below` bytes.
    pub(super) fn write_steps(&self, below: usize, out: &mut Vec<u8>) -> bool {
        // Each group takes a byte at least: who has few repetitions has no shorter form.
        if self.ranges.len() < 3 || self.ranges.len() as u64 > RANGES_MAX {
            return false;
        }
        let groups = self.groups();
        put_varint(out, groups.len() as u64);
        let mut next = 0_u64;
        for &Group { first, last, hole, times } in &groups {
            let (more, repeated) = (u64::from(last > first), u64::from(times > 1));
            put_varint(out, (u64::from(first) - next) << 2 | more << 1 | repeated);
            if last > first {
                put_varint(out, u64::from(last - first) - 1);
            }
            if times > 1 {
                put_varint(out, u64::from(hole) - 1);
                put_varint(out, u64::from(times) - 3);
            }
            let step = u64::from(last) - u64::from(first) + 1 + u64::from(hole);
            next = u64::from(last) + step * u64::from(times - 1) + 2;
            if out.len() >= below {
                return false;
            }
        }
        true
    }

    /// The ranges, those that are repeated three times at least as one.
    fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        let mut rest = &self.ranges[..];
        while let Some((&(first, last), behind)) = rest.split_first() {
            let hole = behind.first().map_or(0, |&(start, _)| start - last - 1);
            let follows = |before: &(u32, u32), now: &(u32, u32)| {
                now.1 - now.0 == last - first && now.0 - before.1 - 1 == hole
            };
            let same = rest
                .windows(2)
                .take_while(|pair| matches!(pair, [before, now] if follows(before, now)));
            let times = same.count() + 1;
            let times = if times < 3 { 1 } else { times };
            groups.push(Group { first, last, hole, times: times as u32 });
            rest = rest.get(times..).unwrap_or_default();
        }
        groups
    }

    /// Reads a set of groups.
    pub(super) fn read_steps(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let at = reader.at();
        let count = reader.varint("number of groups")?;
        let max = reader.left();
        if count > max {
            return Err(Error::Range { field: "number of groups", at, found: count, min: 0, max });
        }
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let mut next = 0_u64;
        for _ in 0..count {
            let at = reader.at();
            let word = reader.varint("group")?;
            let more = match word & 2 {
                0 => 0,
                _ => reader.varint("range length")?.saturating_add(1),
            };
            let (hole, times) = match word & 1 {
                0 => (0, 1),
                _ => (
                    reader.varint("hole")?.saturating_add(1),
                    reader.varint("repetitions")?.saturating_add(3),
                ),
            };
            let max = RANGES_MAX - ranges.len() as u64;
            if times > max {
                return Err(Error::Range { field: "repetitions", at, found: times, min: 1, max });
            }
            let first = next.saturating_add(word >> 2);
            let step = more.saturating_add(1).saturating_add(hole);
            let end = step.saturating_mul(times - 1).saturating_add(first).saturating_add(more);
            let max = u64::from(u32::MAX);
            if end > max {
                return Err(Error::Range { field: "range", at, found: end, min: next, max });
            }
            let starts = (0..times).map(|time| first + time * step);
            ranges.extend(starts.map(|start| (start as u32, (start + more) as u32)));
            next = end + 2;
        }
        Ok(Self { ranges })
    }
}

impl FromIterator<MapId> for IdSet {
    fn from_iter<I: IntoIterator<Item = MapId>>(ids: I) -> Self {
        let mut ids: Vec<MapId> = ids.into_iter().collect();
        ids.sort_unstable();
        let mut set = Self::new();
        ids.into_iter().for_each(|id| set.insert(id));
        set
    }
}

impl<'a> IntoIterator for &'a IdSet {
    type Item = MapId;
    type IntoIter = Ids<'a>;

    fn into_iter(self) -> Ids<'a> {
        self.iter()
    }
}

/// The ids of a set, ascending; see [`IdSet::iter`].
#[derive(Clone, Debug)]
pub struct Ids<'a> {
    ranges: std::slice::Iter<'a, (u32, u32)>,
    now: Option<(u32, u32)>,
}

impl Iterator for Ids<'_> {
    type Item = MapId;

    fn next(&mut self) -> Option<MapId> {
        let (start, end) = self.now.or_else(|| self.ranges.next().copied())?;
        self.now = (start < end).then(|| (start + 1, end));
        Some(MapId(start))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn bytes(set: &IdSet) -> Vec<u8> {
        let mut out = Vec::new();
        set.write(&mut out);
        out
    }

    #[test]
    fn ten_thousand_neighbours_take_five_bytes() {
        let mut set = IdSet::new();
        set.insert_range(MapId(5_001)..=MapId(15_000));
        assert_eq!((set.len(), bytes(&set).len()), (10_000, 5));
    }

    #[test]
    fn the_ends_of_the_number_range_work() {
        let set: IdSet = [0, 1, 2, 7, u32::MAX - 1, u32::MAX].map(MapId).into_iter().collect();
        assert_eq!(set.ranges().count(), 3);
        assert_eq!(IdSet::read(&mut Reader::new(&bytes(&set))), Ok(set.clone()));
        let all: Vec<u32> = set.iter().map(|id| id.0).collect();
        assert_eq!(all, [0, 1, 2, 7, u32::MAX - 1, u32::MAX]);
    }

    #[test]
    fn a_range_past_the_last_id_is_refused() {
        let mut out = vec![1];
        put_varint(&mut out, u64::from(u32::MAX) << 1 | 1);
        out.push(0);
        assert!(matches!(
            IdSet::read(&mut Reader::new(&out)),
            Err(Error::Range { field: "range", .. })
        ));
        assert!(matches!(IdSet::read(&mut Reader::new(&[200, 1, 0])), Err(Error::Range { .. })));
    }

    proptest! {
        #[test]
        fn is_the_set_of_what_was_inserted(ranges in prop::collection::vec((0_u32..200, 0_u32..9, 0_u32..200), 0..30)) {
            let (mut set, mut model) = (IdSet::new(), BTreeSet::new());
            for (start, len, gone) in ranges {
                if len > 0 {
                    set.insert_range(MapId(start)..=MapId(start + len - 1));
                }
                model.extend((start..start + len).map(MapId));
                prop_assert_eq!(set.remove(MapId(gone)), model.remove(&MapId(gone)));
            }
            prop_assert!(set.iter().eq(model.iter().copied()));
            prop_assert_eq!(set.len(), model.len() as u64);
            prop_assert!((0..220).map(MapId).all(|id| set.contains(id) == model.contains(&id)));
            prop_assert_eq!(IdSet::read(&mut Reader::new(&bytes(&set))), Ok(set.clone()));
            prop_assert_eq!(model.into_iter().collect::<IdSet>(), set);
        }
    }
}
