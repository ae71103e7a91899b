//! The selected mailbox as one session knows it: which messages, under which sequence numbers.
//!
//! Invariants:
//! - Sequence numbers are 1 … n without gaps, ascending with UIDs (RFC 3501 §2.3.1.2).
//! - A message leaves the view only when the session tells the client so; until then it stays addressable.
//! - `before` of each range is the number of messages in the ranges ahead of it, so lookups are binary searches.

use crate::ask::{FetchAsk, Run};
use crate::types::{Seq, Uid, UidSet};

/// The messages a session knows.
#[derive(Debug, Default)]
pub(crate) struct View {
    ranges: Vec<Range>,
}

#[derive(Clone, Copy, Debug)]
struct Range {
    first: u32,
    last: u32,
    before: u32,
}

impl Range {
    fn count(self) -> u32 {
        self.last - self.first + 1
    }
}

impl View {
    pub(crate) fn new(uids: &UidSet) -> Self {
        let mut view = Self::default();
        view.add(uids);
        view
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> u32 {
        self.ranges.last().map_or(0, |range| range.before + range.count())
    }

    /// In how many ranges they are.
    pub(crate) fn range_count(&self) -> usize {
        self.ranges.len()
    }

    /// The highest UID.
    pub(crate) fn last(&self) -> Option<Uid> {
        self.ranges.last().map(|range| Uid(range.last))
    }

    pub(crate) fn seq(&self, uid: Uid) -> Option<Seq> {
        let range = self.ranges.get(self.at(uid.0))?;
        (range.first <= uid.0).then(|| Seq(range.before + (uid.0 - range.first) + 1))
    }

    #[cfg(test)]
    pub(crate) fn uid(&self, seq: Seq) -> Option<Uid> {
        let index = seq.0.checked_sub(1)?;
        let at = self.ranges.partition_point(|range| range.before + range.count() <= index);
        self.ranges.get(at).map(|range| Uid(range.first + (index - range.before)))
    }

    /// New messages; those at or below the highest UID are not new and are left out, for a client must never see
    /// a message appear under a number it has passed.
    pub(crate) fn add(&mut self, uids: &UidSet) {
        for (first, last) in uids.ranges() {
            let floor = self.last().map_or(1, |highest| highest.0.saturating_add(1));
            let (first, last) = (first.0.max(floor), last.0);
            if first > last || self.last().is_some_and(|highest| highest.0 == u32::MAX) {
                continue;
            }
            match self.ranges.last_mut() {
                Some(end) if first - end.last == 1 => end.last = last,
                Some(_) | None => {
                    let before = self.len();
                    self.ranges.push(Range { first, last, before });
                }
            }
        }
    }

    /// Takes messages out; the sequence numbers they had, as ranges, ascending.
    pub(crate) fn remove(&mut self, uids: &UidSet) -> Vec<(u32, u32)> {
        let numbers = self.numbers(uids);
        if !numbers.is_empty() {
            *self = Self::new(&self.uids().subtract(uids));
        }
        numbers
    }

    /// The sequence numbers of those of `uids` that are in the view, as ranges, ascending.
    pub(crate) fn numbers(&self, uids: &UidSet) -> Vec<(u32, u32)> {
        let mut numbers: Vec<(u32, u32)> = Vec::new();
        for run in self.pieces(uids, 1) {
            let (first, last) = (run.seq.0, run.seq.0 + (run.count - 1));
            match numbers.last_mut() {
                Some(end) if first - end.1 == 1 => end.1 = last,
                Some(_) | None => numbers.push((first, last)),
            }
        }
        numbers
    }

    /// All messages.
    pub(crate) fn uids(&self) -> UidSet {
        self.ranges.iter().map(|range| (range.first, range.last)).collect()
    }

    /// Those of `uids` that are in the view, cut where the view has holes.
    pub(crate) fn clip(&self, uids: &UidSet) -> UidSet {
        self.pieces(uids, 1).map(|run| (run.uid.0, run.uid.0 + (run.count - 1))).collect()
    }

    /// The messages with these sequence numbers, which are sorted ranges within 1 … n.
    pub(crate) fn by_seq(&self, numbers: &[(u32, u32)]) -> UidSet {
        let mut out = UidSet::new();
        for &(low, high) in numbers {
            let (low, high) = (low.saturating_sub(1), high.saturating_sub(1));
            let from = self.ranges.partition_point(|range| range.before + range.count() <= low);
            for range in self.ranges.get(from..).unwrap_or_default() {
                if range.before > high {
                    break;
                }
                let first = range.first + low.saturating_sub(range.before);
                let last = range.first + (high - range.before).min(range.count() - 1);
                out.push_range(Uid(first), Uid(last));
            }
        }
        out
    }

    /// The next messages of `uids` from `from` on, as FETCH asks for them: at most [`FetchAsk::MAX`].
    pub(crate) fn runs(&self, uids: &UidSet, from: Uid) -> Vec<Run> {
        let mut left = FetchAsk::MAX;
        let mut out = Vec::new();
        for mut run in self.pieces(uids, from.0) {
            run.count = run.count.min(left);
            left -= run.count;
            out.push(run);
            if left == 0 {
                break;
            }
        }
        out
    }

    /// Where `uids` from `from` on and the view's ranges meet; linear in the ranges of both.
    fn pieces<'a>(&'a self, uids: &'a UidSet, from: u32) -> impl Iterator<Item = Run> + 'a {
        uids.ranges_from(Uid(from)).flat_map(move |(first, last)| {
            let first = first.0.max(from);
            self.ranges
                .get(self.at(first)..)
                .unwrap_or_default()
                .iter()
                .take_while(move |range| range.first <= last.0)
                .map(move |range| {
                    let low = range.first.max(first);
                    let high = range.last.min(last.0);
                    let seq = Seq(range.before + (low - range.first) + 1);
                    Run { seq, uid: Uid(low), count: high - low + 1 }
                })
        })
    }

    /// Bytes held.
    pub(crate) fn held(&self) -> usize {
        self.ranges.capacity() * size_of::<Range>()
    }

    /// The first range that ends at `uid` or behind it.
    fn at(&self, uid: u32) -> usize {
        self.ranges.partition_point(|range| range.last < uid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(uids: &[u32]) -> UidSet {
        let mut sorted = uids.to_vec();
        sorted.sort_unstable();
        sorted.into_iter().map(Uid).collect()
    }

    proptest! {
        #[test]
        fn is_a_sorted_list(
            uids in prop::collection::vec(1u32..60, 0..40),
            more in prop::collection::vec(1u32..90, 0..20),
            gone in prop::collection::vec(1u32..90, 0..30),
        ) {
            let mut view = View::new(&set(&uids));
            let mut list: Vec<u32> = set(&uids).iter().map(|uid| uid.0).collect();
            view.add(&set(&more));
            let top = list.last().copied().unwrap_or(0);
            list.extend(set(&more).iter().map(|uid| uid.0).filter(|uid| *uid > top));
            let numbers = view.remove(&set(&gone));
            let want: Vec<u32> =
                (1..).zip(&list).filter(|(_, uid)| gone.contains(uid)).map(|(seq, _)| seq).collect();
            let told: Vec<u32> = numbers.iter().flat_map(|&(low, high)| low..=high).collect();
            prop_assert_eq!(told, want);
            list.retain(|uid| !gone.contains(uid));
            prop_assert_eq!(view.len() as usize, list.len());
            for (seq, uid) in (1..).map(Seq).zip(&list) {
                prop_assert_eq!(view.uid(seq), Some(Uid(*uid)));
                prop_assert_eq!(view.seq(Uid(*uid)), Some(seq));
            }
            for uid in 1..90 {
                prop_assert_eq!(view.seq(Uid(uid)).is_some(), list.contains(&uid));
            }
            let (low, high) = (2.min(view.len()), view.len());
            if low > 0 {
                let by_seq: Vec<u32> = view.by_seq(&[(low, high)]).iter().map(|uid| uid.0).collect();
                prop_assert_eq!(by_seq, list[low as usize - 1..].to_vec());
            }
            let runs: Vec<(u32, u32)> = view
                .runs(&UidSet::range(Uid(5), Uid(50)), Uid(7))
                .iter()
                .flat_map(|run| (0..run.count).map(|i| (run.seq.0 + i, run.uid.0 + i)))
                .collect();
            let want: Vec<(u32, u32)> =
                (1..).zip(list.iter().copied()).filter(|(_, uid)| (7..=50).contains(uid)).collect();
            prop_assert_eq!(runs, want);
        }
    }
}
