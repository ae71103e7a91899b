//! UID sets against a plain set of numbers.

use std::collections::BTreeSet;

use index_format::{Uid, UidSet};
use proptest::prelude::*;

use crate::arbitrary::{shaped_uids, uids, wide_uids};

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

    #[test]
    fn what_has_a_shape_is_read(set in shaped_uids()) {
        let mut out = Vec::new();
        set.encode(&mut out);
        let len = out.len();
        out.push(7);
        let (read, rest) = UidSet::decode(&out, 0).unwrap();
        prop_assert_eq!(rest, &[7]);
        prop_assert_eq!(&read, &set);
        well_formed(&read);
        for cut in 0..len {
            prop_assert!(UidSet::decode(&out[..cut], 0).is_err(), "{} bytes of {}", cut, len);
        }
    }

    /// What decodes is a set.
    #[test]
    fn random_bytes_are_refused_or_a_set(kind in 0u8..9, bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let bytes = [&[kind][..], &bytes].concat();
        if let Ok((set, _)) = UidSet::decode(&bytes, 0) {
            well_formed(&set);
            let mut out = Vec::new();
            set.encode(&mut out);
            prop_assert_eq!(UidSet::decode(&out, 0), Ok((set, &[][..])));
        }
    }
}

/// Each form is chosen where it is meant to be, and says so in its first byte.
#[test]
fn each_form_has_its_sets() {
    let scattered = |density: u32| -> UidSet {
        let mut noise = 1u32;
        (1..=4_000)
            .filter(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                noise >> 16 < density
            })
            .map(Uid)
            .collect()
    };
    let clusters = |n: u32| Uid(n * 1_000 + n * n % 77)..=Uid(n * 1_000 + 100 + n * n * n % 91);
    let cases: [(u8, UidSet); 9] = [
        (0, UidSet::new()),
        (1, UidSet::one(Uid(300))),
        (2, UidSet::range(Uid(1)..=Uid(100_000))),
        (3, [Uid(5)..=Uid(7), Uid(9)..=Uid(9), Uid(1_000)..=Uid(200_000)].into_iter().collect()),
        (4, (0..10_000).map(|n| Uid(1 + n * 10)).collect()),
        (5, scattered(6_000)),
        (6, scattered(60_000)),
        (7, (1..50).map(clusters).collect()),
        (5, scattered(30_000)),
    ];
    for (kind, set) in cases {
        let mut out = Vec::new();
        set.encode(&mut out);
        assert_eq!(out[0], kind, "{set}");
        assert_eq!(UidSet::decode(&out, 0), Ok((set, &[][..])));
    }
}

/// A few bytes can say "every other of four thousand million": that takes no memory.
#[test]
fn a_short_lie_costs_no_memory() {
    // One group, from UID 0, singles, one absent between two, 2^30 times.
    let bytes = [4, 1, 1, 0, 0xfd, 0xff, 0xff, 0xff, 0x03];
    let refused = UidSet::decode(&bytes, 0).unwrap_err().to_string();
    assert_eq!(refused, "1073741824 ranges of UIDs in a transaction, the format carries 8388608");
    let numbers = [4, 1, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert!(UidSet::decode(&numbers, 0).is_err(), "beyond the last UID");
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
