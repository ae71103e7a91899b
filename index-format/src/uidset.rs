//! Sets of UIDs, as sorted ranges that neither touch nor overlap.
//!
//! Encoded: one byte for the form, then what that form says (`docs/formats/uidset.md`). The encoder takes the shortest
//! form, so that equal sets become equal bytes.

mod code;
mod rice;
mod steps;

use std::fmt;
use std::ops::RangeInclusive;

use crate::Error;
use crate::wire::Reader;

/// The most ranges in all UID sets of one transaction: what a few bytes say of a set must not cost any memory that they
/// like. A mailbox of sixteen million messages, every other one in the set, has half as many.
pub const RANGES_MAX: usize = 1 << 23;

/// A message's number in its mailbox (RFC 9051 §2.3.1.1). No message has 0; sets hold it all the same.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Uid(pub u32);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A set of UIDs. Costs eight bytes a range; an empty one allocates nothing.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct UidSet {
    /// First and last of each range, ascending, at least one absent UID between two.
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// The empty set.
    pub fn new() -> UidSet {
        UidSet::default()
    }

    /// One UID.
    pub fn one(uid: Uid) -> UidSet {
        UidSet { ranges: vec![(uid.0, uid.0)] }
    }

    /// All from first to last; empty when the range is.
    pub fn range(range: RangeInclusive<Uid>) -> UidSet {
        let mut set = UidSet::new();
        set.insert_range(range);
        set
    }

    /// How many UIDs are in the set.
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Whether no UID is in it.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The lowest UID.
    pub fn first(&self) -> Option<Uid> {
        self.ranges.first().map(|&(first, _)| Uid(first))
    }

    /// The highest UID.
    pub fn last(&self) -> Option<Uid> {
        self.ranges.last().map(|&(_, last)| Uid(last))
    }

    /// The ranges, ascending; no two touch.
    pub fn ranges(
        &self,
    ) -> impl ExactSizeIterator<Item = RangeInclusive<Uid>> + DoubleEndedIterator + '_ {
        self.ranges.iter().map(|&(first, last)| Uid(first)..=Uid(last))
    }

    /// The UIDs, ascending. Beware: there may be four thousand million of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Uid> + '_ {
        self.ranges.iter().flat_map(|&(first, last)| (first..=last).map(Uid))
    }

    /// Whether `uid` is in the set; O(log ranges).
    pub fn contains(&self, uid: Uid) -> bool {
        let at = self.ranges.partition_point(|&(_, last)| last < uid.0);
        self.ranges.get(at).is_some_and(|&(first, _)| first <= uid.0)
    }

    /// How many UIDs of the set are lower than `uid`; O(ranges).
    pub fn rank(&self, uid: Uid) -> u64 {
        let below = self.ranges.iter().take_while(|&&(first, _)| first < uid.0);
        below.map(|&(first, last)| u64::from(last.min(uid.0 - 1) - first) + 1).sum()
    }

    /// The UID that has `rank` lower ones in the set; O(ranges).
    pub fn nth(&self, rank: u64) -> Option<Uid> {
        let mut rank = rank;
        for &(first, last) in &self.ranges {
            let len = u64::from(last - first) + 1;
            if rank < len {
                return Some(Uid(first + rank as u32));
            }
            rank -= len;
        }
        None
    }

    /// Puts in one UID; O(1) when it is the highest so far. Says whether it was new.
    pub fn insert(&mut self, uid: Uid) -> bool {
        if self.contains(uid) {
            return false;
        }
        self.insert_range(uid..=uid);
        true
    }

    /// [`Self::insert`], for UIDs that come in ascending order.
    pub fn push(&mut self, uid: Uid) {
        self.insert_range(uid..=uid);
    }

    /// Puts in all from first to last; nothing when the range is empty.
    pub fn insert_range(&mut self, range: RangeInclusive<Uid>) {
        let (mut first, mut last) = (range.start().0, range.end().0);
        if first > last {
            return;
        }
        match self.ranges.last_mut() {
            None => return self.ranges.push((first, last)),
            Some(&mut (_, top)) if top < first && first - top > 1 => {
                return self.ranges.push((first, last));
            }
            Some((low, top)) if *low <= first => {
                *top = last.max(*top);
                return;
            }
            Some(_) => {}
        }
        // The ranges that overlap the new one or touch it become one with it.
        let from = self.ranges.partition_point(|&(_, end)| end < first.saturating_sub(1));
        let to = self.ranges.partition_point(|&(start, _)| start <= last.saturating_add(1));
        for &(start, end) in self.ranges.get(from..to).unwrap_or_default() {
            (first, last) = (first.min(start), last.max(end));
        }
        self.ranges.splice(from..to, [(first, last)]);
    }

    /// Takes out one UID. Says whether it was there.
    pub fn remove(&mut self, uid: Uid) -> bool {
        let there = self.contains(uid);
        if there {
            self.remove_range(uid..=uid);
        }
        there
    }

    /// Takes out all from first to last.
    pub fn remove_range(&mut self, range: RangeInclusive<Uid>) {
        let (first, last) = (range.start().0, range.end().0);
        if first > last {
            return;
        }
        let from = self.ranges.partition_point(|&(_, end)| end < first);
        let to = self.ranges.partition_point(|&(start, _)| start <= last);
        let cut = self.ranges.get(from..to).unwrap_or_default();
        let left =
            cut.first().filter(|&&(start, _)| start < first).map(|&(start, _)| (start, first - 1));
        let right = cut.last().filter(|&&(_, end)| end > last).map(|&(_, end)| (last + 1, end));
        self.ranges.splice(from..to, left.into_iter().chain(right));
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &UidSet) -> UidSet {
        let mut result =
            UidSet { ranges: Vec::with_capacity(self.ranges.len() + other.ranges.len()) };
        let (mut a, mut b) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        loop {
            let from_a = match (a.peek(), b.peek()) {
                (Some(x), Some(y)) => x.0 <= y.0,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => return result,
            };
            let next = if from_a { a.next() } else { b.next() };
            // Ascending by first UID, so each lands at the end: O(1).
            let &(first, last) = next.expect("the side chosen had a next range");
            result.insert_range(Uid(first)..=Uid(last));
        }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &UidSet) -> UidSet {
        let mut ranges = Vec::new();
        let (mut a, mut b) = (self.ranges.iter().peekable(), other.ranges.iter().peekable());
        while let (Some(&&(a_first, a_last)), Some(&&(b_first, b_last))) = (a.peek(), b.peek()) {
            let (first, last) = (a_first.max(b_first), a_last.min(b_last));
            if first <= last {
                ranges.push((first, last));
            }
            if a_last < b_last {
                a.next();
            } else {
                b.next();
            }
        }
        UidSet { ranges }
    }

    /// What is in this one and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &UidSet) -> UidSet {
        let mut ranges = Vec::new();
        let mut cuts = other.ranges.iter().peekable();
        for &(first, last) in &self.ranges {
            let mut from = Some(first);
            while let (Some(start), Some(&&(cut_first, cut_last))) = (from, cuts.peek()) {
                if cut_first > last {
                    break;
                }
                if start < cut_first {
                    ranges.push((start, cut_first - 1));
                }
                from = start.max(cut_last.saturating_add(1)).into();
                if cut_last >= last {
                    from = None; // this cut may reach into the next range
                } else {
                    cuts.next();
                }
            }
            ranges.extend(from.map(|start| (start, last)));
        }
        UidSet { ranges }
    }

    /// Writes the set at the end of `out`, in the shortest of the forms there are.
    pub fn encode(&self, out: &mut Vec<u8>) {
        code::encode(&self.ranges, out);
    }

    /// Reads a set from the front of `bytes`; gives it and the bytes behind it. `at` is where `bytes` stand, for errors.
    ///
    /// # Errors
    /// Bytes that are not a set, and one of more than [`RANGES_MAX`] ranges.
    pub fn decode(bytes: &[u8], at: u64) -> Result<(UidSet, &[u8]), Error> {
        let mut reader = Reader::new(bytes, at);
        let set = UidSet::read(&mut reader)?;
        Ok((set, reader.rest()))
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<UidSet, Error> {
        Ok(UidSet { ranges: code::read(reader)? })
    }
}

impl FromIterator<Uid> for UidSet {
    /// In any order; ascending is fastest.
    fn from_iter<T: IntoIterator<Item = Uid>>(uids: T) -> UidSet {
        let mut set = UidSet::new();
        set.extend(uids);
        set
    }
}

impl Extend<Uid> for UidSet {
    fn extend<T: IntoIterator<Item = Uid>>(&mut self, uids: T) {
        for uid in uids {
            self.insert_range(uid..=uid);
        }
    }
}

impl FromIterator<RangeInclusive<Uid>> for UidSet {
    /// Ranges in any order; they may overlap.
    fn from_iter<T: IntoIterator<Item = RangeInclusive<Uid>>>(ranges: T) -> UidSet {
        let mut set = UidSet::new();
        for range in ranges {
            set.insert_range(range);
        }
        set
    }
}

impl fmt::Display for UidSet {
    /// As IMAP writes it: `1:5,9`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, &(first, last)) in self.ranges.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}:{last}")?,
            }
        }
        Ok(())
    }
}
