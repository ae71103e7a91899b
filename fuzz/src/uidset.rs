//! `uidset`: a set and a model of it agree, and what is written is read.

use arbitrary::Unstructured;
use index_format::{Uid, UidSet};
use std::collections::BTreeSet;

/// Input: an encoded set, or steps (if the first byte is odd).
pub fn uidset(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind & 1 == 0 { encoded(rest) } else { steps(rest) }
}

fn encoded(data: &[u8]) {
    let Ok((set, _)) = UidSet::decode(data, 0) else { return };
    let mut again = Vec::new();
    set.encode(&mut again);
    assert_eq!(UidSet::decode(&again, 0), Ok((set.clone(), &[][..])));
    let ranges: Vec<_> = set.ranges().collect();
    assert_eq!(set.first(), set.nth(0));
    assert_eq!(set.last(), set.len().checked_sub(1).and_then(|last| set.nth(last)));
    assert_eq!(set.is_empty(), ranges.is_empty());
    let other = UidSet::range(Uid(10)..=Uid(1_000));
    let (both, left, right) =
        (set.intersection(&other), set.difference(&other), other.difference(&set));
    assert_eq!(set.union(&other).len(), both.len() + left.len() + right.len());
}

fn steps(data: &[u8]) {
    let mut data = Unstructured::new(data);
    let (mut set, mut model) = (UidSet::new(), BTreeSet::new());
    while !data.is_empty() {
        let Ok((step, first, length)) = data.arbitrary::<(u8, u16, u8)>() else { break };
        // Near both ends of the numbers, where sums overflow.
        let base = if step & 8 == 0 { 0 } else { u32::MAX - u32::from(u16::MAX) };
        let first = base + u32::from(first);
        let last = first.saturating_add(u32::from(length));
        match step % 4 {
            0 => {
                set.insert_range(Uid(first)..=Uid(last));
                model.extend(first..=last);
            }
            1 => {
                set.remove_range(Uid(first)..=Uid(last));
                model.retain(|uid| !(first..=last).contains(uid));
            }
            2 => assert_eq!(set.insert(Uid(first)), model.insert(first)),
            _ => assert_eq!(set.remove(Uid(first)), model.remove(&first)),
        }
        assert_eq!(set.contains(Uid(last)), model.contains(&last));
        if model.len() > 4_000 {
            break;
        }
    }
    assert!(set.iter().map(|uid| uid.0).eq(model.iter().copied()));
    assert_eq!(set.len(), model.len() as u64);
    for (rank, uid) in model.iter().enumerate().step_by(7) {
        assert_eq!(set.nth(rank as u64), Some(Uid(*uid)));
        assert_eq!(set.rank(Uid(*uid)), rank as u64);
    }
    let mut bytes = Vec::new();
    set.encode(&mut bytes);
    let (again, rest) = UidSet::decode(&bytes, 0).expect("what was encoded decodes");
    assert!(again == set && rest.is_empty());
}
