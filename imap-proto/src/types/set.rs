//! Sets of UIDs as ranges.

use super::Uid;

/// A set of UIDs: sorted, disjoint, not adjacent ranges; never holds UID 0.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// The set of `first..=last`; empty when `first > last`.
    #[must_use]
    pub fn range(first: Uid, last: Uid) -> Self {
        let mut set = Self::new();
        set.push_range(first, last);
        set
    }

    /// Adds a UID above all that are in the set (the cheap way to build one); any other is put in its place.
    pub fn push(&mut self, uid: Uid) {
        self.push_range(uid, uid);
    }

    /// Adds `first..=last`, cheap when it lies above all that are in the set; nothing when `first > last`.
    pub fn push_range(&mut self, first: Uid, last: Uid) {
        let (first, last) = (first.0.max(1), last.0);
        if first > last {
            return;
        }
        match self.ranges.last_mut() {
            Some(end) if first > end.1 && first - end.1 == 1 => end.1 = last,
            Some(end) if first <= end.1 => self.insert(first, last),
            Some(_) | None => self.ranges.push((first, last)),
        }
    }

    /// Makes room where ranges touch or overlap.
    fn insert(&mut self, first: u32, last: u32) {
        let from = self.ranges.partition_point(|range| range.1 < first.saturating_sub(1));
        let to = self.ranges.partition_point(|range| range.0 <= last.saturating_add(1));
        let low = self.ranges.get(from).map_or(first, |range| range.0.min(first));
        let high = to
            .checked_sub(1)
            .filter(|at| *at >= from)
            .and_then(|at| self.ranges.get(at))
            .map_or(last, |range| range.1.max(last));
        let low = if from < to { low } else { first };
        self.ranges.splice(from..to.max(from), [(low, high)]);
    }

    /// The ranges, first and last included, ascending.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = (Uid, Uid)> + ExactSizeIterator + '_ {
        self.ranges.iter().map(|&(first, last)| (Uid(first), Uid(last)))
    }

    /// The ranges that end at `from` or behind it; found in O(log ranges).
    pub fn ranges_from(&self, from: Uid) -> impl Iterator<Item = (Uid, Uid)> + '_ {
        let at = self.ranges.partition_point(|range| range.1 < from.0);
        self.ranges
            .get(at..)
            .unwrap_or_default()
            .iter()
            .map(|&(first, last)| (Uid(first), Uid(last)))
    }

    /// Every UID, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Uid> + '_ {
        self.ranges.iter().flat_map(|&(first, last)| (first..=last).map(Uid))
    }

    /// Whether `uid` is in the set; O(log ranges).
    #[must_use]
    pub fn contains(&self, uid: Uid) -> bool {
        let at = self.ranges.partition_point(|range| range.1 < uid.0);
        self.ranges.get(at).is_some_and(|range| range.0 <= uid.0)
    }

    /// How many UIDs are in it.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The lowest UID.
    #[must_use]
    pub fn first(&self) -> Option<Uid> {
        self.ranges.first().map(|range| Uid(range.0))
    }

    /// The highest UID.
    #[must_use]
    pub fn last(&self) -> Option<Uid> {
        self.ranges.last().map(|range| Uid(range.1))
    }

    /// Those at the places `range` among all, ascending from 0; linear in the ranges.
    #[must_use]
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        let mut out = Self::new();
        let mut before = 0u64;
        for &(first, last) in &self.ranges {
            let count = u64::from(last - first) + 1;
            let from = (range.start as u64).saturating_sub(before).min(count);
            let to = (range.end as u64).saturating_sub(before).min(count);
            if from < to {
                // Both are at most the range's length.
                out.push_range(Uid(first + from as u32), Uid(first + (to - 1) as u32));
            }
            before += count;
        }
        out
    }

    /// What is in both sets; linear in the ranges of both.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut out = Self::new();
        let (mut left, mut right) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some(&&a), Some(&&b)) = (left.peek(), right.peek()) {
            out.push_range(Uid(a.0.max(b.0)), Uid(a.1.min(b.1)));
            if a.1 <= b.1 {
                left.next();
            } else {
                right.next();
            }
        }
        out
    }

    /// What is in this set but not in `other`; linear in the ranges of both.
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        let mut out = Self::new();
        let mut holes = other.ranges.iter().peekable();
        for &(first, last) in &self.ranges {
            let mut from = u64::from(first);
            while let Some(&&(low, high)) = holes.peek() {
                if low > last {
                    break;
                }
                if let Some(end) = low.checked_sub(1)
                    && from <= u64::from(end)
                    && high >= first
                {
                    out.push_range(Uid(from as u32), Uid(end));
                }
                from = from.max(u64::from(high) + 1);
                if high > last {
                    break;
                }
                holes.next();
            }
            if from <= u64::from(last) {
                out.push_range(Uid(from as u32), Uid(last));
            }
        }
        out
    }

    /// What is in either set; linear in the ranges of both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all: Vec<(u32, u32)> = self.ranges.iter().chain(&other.ranges).copied().collect();
        all.sort_unstable();
        all.into_iter().collect()
    }

    /// Bytes this set holds beyond itself.
    #[must_use]
    pub fn held(&self) -> usize {
        self.ranges.capacity() * size_of::<(u32, u32)>()
    }
}

impl Extend<Uid> for UidSet {
    fn extend<I: IntoIterator<Item = Uid>>(&mut self, uids: I) {
        uids.into_iter().for_each(|uid| self.push(uid));
    }
}

impl FromIterator<(u32, u32)> for UidSet {
    /// From ranges that ascend by their first; they may touch and overlap.
    fn from_iter<I: IntoIterator<Item = (u32, u32)>>(ranges: I) -> Self {
        let mut set = Self::new();
        for (first, last) in ranges {
            set.push_range(Uid(first), Uid(last));
        }
        set
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        let mut set = Self::new();
        for uid in uids {
            set.push(uid);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_slice_is_that_of_the_list(
            uids in prop::collection::vec(1u32..40, 0..30),
            from in 0usize..45,
            to in 0usize..45,
        ) {
            let set: UidSet = uids.into_iter().map(Uid).collect();
            let wanted: UidSet = set.iter().take(to).skip(from).collect();
            prop_assert_eq!(set.slice(from..to), wanted);
        }
    }
}
