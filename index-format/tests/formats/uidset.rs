//! UID sets against a plain set of numbers.

use std::collections::BTreeSet;

use index_format::{Uid, UidSet};
use proptest::prelude::*;

use crate::arbitrary::{uids, wide_uids};

fn model(set: &UidSet) -> BTreeSet<u32> {
    set.iter().map(|uid| uid.0).collect()
}

fn well_formed(set: &UidSet) {
    let ranges: Vec<_> = set.ranges().map(|range| (range.start().0, range.end().0)).collect();
    assert!(ranges.iter().all(|&(first, last)| first <= last), "{ranges:?}");
    assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{ranges:?}");
}

proptest! {
    #[test]
    fn operations_are_those_of_sets(a in uids(), b in uids(), probe in 0u32..80, last in 0u32..90) {
        let (x, y) = (model(&a), model(&b));
        for set in [a.union(&b), a.intersection(&b), a.difference(&b)] {
            well_formed(&set);
        }
        prop_assert_eq!(model(&a.union(&b)), &x | &y);
        prop_assert_eq!(model(&a.intersection(&b)), &x & &y);
        prop_assert_eq!(model(&a.difference(&b)), &x - &y);
        prop_assert_eq!(a.len(), x.len() as u64);
        prop_assert_eq!(a.contains(Uid(probe)), x.contains(&probe));
        prop_assert_eq!(a.rank(Uid(probe)), x.range(..probe).count() as u64);
        prop_assert_eq!(a.nth(probe.into()).map(|uid| uid.0), x.iter().nth(probe as usize).copied());
        prop_assert_eq!(a.first().map(|uid| uid.0), x.first().copied());
        prop_assert_eq!(a.last().map(|uid| uid.0), x.last().copied());
        let (mut more, mut less) = (a.clone(), a.clone());
        prop_assert_eq!(more.insert(Uid(probe)), !x.contains(&probe));
        prop_assert_eq!(less.remove(Uid(probe)), x.contains(&probe));
        prop_assert_eq!(model(&more), &x | &BTreeSet::from([probe]));
        prop_assert_eq!(model(&less), &x - &BTreeSet::from([probe]));
        let (mut more, mut less) = (a.clone(), a);
        more.insert_range(Uid(probe)..=Uid(last));
        less.remove_range(Uid(probe)..=Uid(last));
        let range: BTreeSet<u32> = (probe..=last).collect();
        prop_assert_eq!(model(&more), &x | &range);
        prop_assert_eq!(model(&less), &x - &range);
        well_formed(&more);
        well_formed(&less);
    }

    #[test]
    fn what_is_written_is_read(set in wide_uids()) {
        let mut out = Vec::new();
        set.encode(&mut out);
        out.push(7);
        let (read, rest) = UidSet::decode(&out, 0).unwrap();
        prop_assert_eq!(read, set);
        prop_assert_eq!(rest, &[7]);
    }

    /// One set has one encoding, so what decodes is written back as it was.
    #[test]
    fn random_bytes_are_refused_or_canonical(kind in 0u8..5, bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let bytes = [&[kind][..], &bytes].concat();
        if let Ok((set, rest)) = UidSet::decode(&bytes, 0) {
            let mut out = Vec::new();
            set.encode(&mut out);
            out.extend_from_slice(rest);
            prop_assert_eq!(out, bytes);
            well_formed(&set);
        }
    }
}

#[test]
fn the_ends_of_the_numbers_work() {
    let top = Uid(u32::MAX);
    let mut set: UidSet = [Uid(0)..=Uid(0), top..=top].into_iter().collect();
    assert_eq!((set.len(), set.contains(top), set.rank(top)), (2, true, 1));
    let mut out = Vec::new();
    set.encode(&mut out);
    assert_eq!(UidSet::decode(&out, 0).unwrap().0, set);
    set.insert_range(Uid(0)..=top);
    assert_eq!((set.len(), set.ranges().len()), (1 << 32, 1));
    set.remove(top);
    set.remove(Uid(0));
    assert_eq!(set.to_string(), "1:4294967294");
    assert_eq!(UidSet::range(Uid(5)..=Uid(4)), UidSet::new());
}
