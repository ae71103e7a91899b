//! Sorting by the first eight bytes of keys, without comparing them.

use super::sorter::Entry;

/// Puts entries in the order of their heads, or with `reverse` in the opposite one; those that have the same stay as they
/// are. One pass for each byte in which heads differ; `spare` is memory for it.
pub(super) fn sort(entries: &mut [Entry], reverse: bool, spare: &mut Vec<Entry>) {
    // What goes from the highest down goes up by its complement.
    let flip = if reverse { u64::MAX } else { 0 };
    if entries.is_sorted_by_key(|entry| entry.head ^ flip) {
        return;
    }
    let some = |(all, any), entry: &Entry| (all & entry.head, any | entry.head);
    let (all, any) = entries.iter().fold((u64::MAX, 0), some);
    spare.clear();
    spare.extend_from_slice(entries);
    let (mut from, mut to) = (entries, spare.as_mut_slice());
    let mut swapped = false;
    for shift in (0..u64::BITS).step_by(8).filter(|shift| (all ^ any) >> shift & 0xff != 0) {
        pass(from, to, |entry| usize::from(((entry.head ^ flip) >> shift) as u8));
        (from, to) = (to, from);
        swapped = !swapped;
    }
    if swapped {
        to.copy_from_slice(from);
    }
}

/// Distributes entries by one byte.
fn pass(from: &[Entry], to: &mut [Entry], byte: impl Fn(&Entry) -> usize) {
    let mut places = [0u32; 256];
    for entry in from {
        if let Some(count) = places.get_mut(byte(entry)) {
            *count += 1;
        }
    }
    let mut at = 0;
    for place in &mut places {
        at += std::mem::replace(place, at);
    }
    for entry in from {
        if let Some(place) = places.get_mut(byte(entry))
            && let Some(slot) = to.get_mut(*place as usize)
        {
            *slot = *entry;
            *place += 1;
        }
    }
}
