//! Sorting that can pause.

use std::cmp::Ordering;

/// Items that are sorted at once, between two looks at the time: a millisecond or two.
const CHUNK: usize = 16384;
/// Items that are given out between two such looks.
const LOOK: usize = 1024;

/// Items on their way into an order: sorted chunk by chunk, then merged as they are given out.
///
/// n log n comparisons, and no memory beside the items but for eight bytes a chunk.
#[derive(Debug)]
pub(crate) struct Merge<T> {
    items: Vec<T>,
    /// Chunks up to this item are sorted.
    sorted: usize,
    /// A heap of what is left of each chunk, by its first item; made when all chunks are sorted.
    heads: Option<Vec<Head>>,
}

/// What is left of a chunk.
#[derive(Clone, Copy, Debug)]
struct Head {
    at: u32,
    end: u32,
}

impl<T: Copy> Merge<T> {
    /// Fewer than 2³² items.
    pub(crate) fn new(items: Vec<T>) -> Self {
        Self { items, sorted: 0, heads: None }
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Goes on, giving the items to `emit` in order; `true` once that were all. Stops when `is_due` says so, at a point
    /// from where it goes on. `order` must be the same each time.
    pub(crate) fn go_on(
        &mut self,
        order: impl Fn(&T, &T) -> Ordering,
        emit: impl FnMut(T),
        is_due: impl FnMut() -> bool,
    ) -> bool {
        self.go_on_with(&order, |chunk| chunk.sort_unstable_by(&order), emit, is_due)
    }

    /// The same, for who knows a quicker way to put up to [`CHUNK`] items in `order`.
    pub(crate) fn go_on_with(
        &mut self,
        order: impl Fn(&T, &T) -> Ordering,
        mut sort: impl FnMut(&mut [T]),
        mut emit: impl FnMut(T),
        mut is_due: impl FnMut() -> bool,
    ) -> bool {
        while self.sorted < self.items.len() {
            let end = self.items.len().min(self.sorted + CHUNK);
            let chunk = self.items.get_mut(self.sorted..end).unwrap_or_default();
            sort(chunk);
            self.sorted = end;
            if is_due() {
                return false;
            }
        }
        let (items, heads) = (&self.items, &mut self.heads);
        let order = |left: &Head, right: &Head| match (
            items.get(left.at as usize),
            items.get(right.at as usize),
        ) {
            (Some(left), Some(right)) => order(left, right),
            _ => Ordering::Equal,
        };
        let heads = heads.get_or_insert_with(|| {
            let starts = (0..items.len()).step_by(CHUNK);
            let end = |start: usize| items.len().min(start + CHUNK) as u32;
            let mut heads: Vec<Head> =
                starts.map(|start| Head { at: start as u32, end: end(start) }).collect();
            let at = |at: u32| Head { at, end: at };
            if heads.iter().skip(1).all(|head| order(&at(head.at - 1), &at(head.at)).is_le()) {
                // Mail has come in this order, most often: there is nothing to merge.
                heads = vec![Head { at: 0, end: items.len() as u32 }];
                heads.retain(|head| head.end > 0);
            }
            // What is sorted is a heap.
            heads.sort_by(order);
            heads
        });
        let mut left = LOOK;
        while let Some(first) = heads.first_mut() {
            if left == 0 {
                if is_due() {
                    return false;
                }
                left = LOOK;
            }
            left -= 1;
            if let Some(item) = items.get(first.at as usize) {
                emit(*item);
            }
            first.at += 1;
            if first.at == first.end {
                heads.swap_remove(0);
            }
            sink(heads, order);
        }
        true
    }
}

/// Puts the first of a heap where it belongs.
fn sink(heads: &mut [Head], order: impl Fn(&Head, &Head) -> Ordering) {
    let mut at = 0;
    loop {
        let (left, right) = (2 * at + 1, 2 * at + 2);
        let Some(first) = heads.get(left) else { return };
        let child = match heads.get(right) {
            Some(second) if order(second, first).is_lt() => right,
            Some(_) | None => left,
        };
        let [Some(parent), Some(smaller)] = [heads.get(at), heads.get(child)] else { return };
        if order(parent, smaller).is_le() {
            return;
        }
        heads.swap(at, child);
        at = child;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn is_a_sort_wherever_it_pauses(
            some in prop::collection::vec(0u32..5000, 0..500),
            times in 1usize..60,
            pause in 1u32..5,
        ) {
            let items: Vec<(u32, usize)> =
                some.iter().cycle().take(some.len() * times).copied().zip(0..).collect();
            let mut wanted = items.clone();
            wanted.sort_unstable();
            let mut merge = Merge::new(items);
            let (mut out, mut looks) = (Vec::new(), 0);
            let due = || {
                looks += 1;
                looks % pause == 0
            };
            let mut due = due;
            while !merge.go_on(Ord::cmp, |item| out.push(item), &mut due) {}
            prop_assert_eq!(out, wanted);
        }
    }
}
