//! One column of a mailbox, by slot. The part that stands in a snapshot may not have been loaded yet.

use std::ops::Range;

/// Values by slot: those below `apart` are still in the snapshot, the others here.
#[derive(Clone, Debug)]
pub(crate) struct Column<T> {
    apart: u32,
    /// What slots of the snapshot were set to meanwhile, in this order.
    patches: Vec<(Range<u32>, T)>,
    values: Vec<T>,
}

impl<T> Default for Column<T> {
    fn default() -> Column<T> {
        Column::apart(0)
    }
}

impl<T> Column<T> {
    /// A column of which the snapshot has the first `rows` values.
    pub(crate) fn apart(rows: u32) -> Column<T> {
        Column { apart: rows, patches: Vec::new(), values: Vec::new() }
    }

    /// Whether the value of `slot` has not been loaded yet.
    pub(crate) fn is_apart(&self, slot: u32) -> bool {
        slot < self.apart
    }
}

impl<T: Copy + PartialEq> Column<T> {
    pub(crate) fn push(&mut self, value: T) {
        self.values.push(value);
    }

    /// The value of a slot, which is loaded.
    pub(crate) fn at(&self, slot: u32) -> T {
        let at = slot.checked_sub(self.apart).expect("columns are loaded before they are read");
        *self.values.get(at as usize).expect("a row has a value in every column")
    }

    /// Sets the value of a slot, loaded or not.
    pub(crate) fn set(&mut self, slot: u32, value: T) {
        if let Some(at) = slot.checked_sub(self.apart) {
            if let Some(old) = self.values.get_mut(at as usize) {
                *old = value;
            }
            return;
        }
        match self.patches.last_mut() {
            Some((slots, last)) if slots.end == slot && *last == value => slots.end += 1,
            Some(_) | None => self.patches.push((slot..slot + 1, value)),
        }
    }

    /// Brings in what the snapshot has: as many values as are apart.
    pub(crate) fn supply(&mut self, mut values: Vec<T>) {
        debug_assert_eq!(values.len(), self.apart as usize);
        for (slots, value) in self.patches.drain(..) {
            let slots = slots.start as usize..slots.end as usize;
            values.get_mut(slots).unwrap_or_default().fill(value);
        }
        values.append(&mut self.values);
        *self = Column { apart: 0, patches: Vec::new(), values };
    }

    /// Keeps only these slots, which ascend, and moves them together. The column is loaded.
    pub(crate) fn keep(&mut self, slots: impl Iterator<Item = Range<u32>>) {
        let mut to = 0;
        for slots in slots {
            let from = slots.start as usize..slots.end as usize;
            let len = from.len();
            self.values.copy_within(from, to);
            to += len;
        }
        self.values.truncate(to);
        self.values.shrink_to_fit();
    }
}
