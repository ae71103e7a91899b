//! Message IDs and subjects by number, in a few bytes each.

use std::hash::{BuildHasher, RandomState};

/// What stands for a text: two texts have the same one when they are equal. That others do, nobody can bring about (it is
/// keyed, anew for each use), and chance does in one of a billion mailboxes of 200,000 messages.
pub(super) type Fingerprint = u64;

/// Makes fingerprints; never 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Fingerprints(RandomState);

impl Fingerprints {
    pub(super) fn of(&self, text: &[u8]) -> Fingerprint {
        self.0.hash_one(text).max(1)
    }
}

/// Makes room in a list for one more, and not for as many as there are.
pub(super) fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len() / 8 + 16);
    }
}

/// Numbers from 0 for fingerprints, in the order in which they come.
#[derive(Debug, Default)]
pub(super) struct Names {
    fingerprints: Vec<Fingerprint>,
    /// Where to look for a fingerprint: its number and 1, or 0. A power of two of them, at least a quarter free.
    slots: Vec<u32>,
    used: usize,
}

impl Names {
    /// With room for as many.
    pub(super) fn with_capacity(count: usize) -> Self {
        let slots = vec![0; (count + count / 2).next_power_of_two().max(16)];
        Self { fingerprints: Vec::with_capacity(count), slots, used: 0 }
    }

    pub(super) fn get(&self, name: Fingerprint) -> Option<u32> {
        self.slot(name).ok()
    }

    /// Its number; a new one if it has none. Whether it is new.
    pub(super) fn add(&mut self, name: Fingerprint) -> (u32, bool) {
        if 4 * (self.used + 1) > 3 * self.slots.len() {
            self.grow();
        }
        match self.slot(name) {
            Ok(number) => (number, false),
            Err(slot) => {
                let number = self.skip(name);
                if let Some(slot) = self.slots.get_mut(slot) {
                    *slot = number + 1;
                }
                self.used += 1;
                (number, true)
            }
        }
    }

    /// Takes a number that no name leads to.
    pub(super) fn skip(&mut self, name: Fingerprint) -> u32 {
        let number = self.fingerprints.len() as u32;
        make_room(&mut self.fingerprints);
        self.fingerprints.push(name);
        number
    }

    pub(super) fn held(&self) -> usize {
        self.fingerprints.capacity() * size_of::<Fingerprint>()
            + self.slots.capacity() * size_of::<u32>()
    }

    /// The number of a fingerprint, or the slot where it would be.
    fn slot(&self, name: Fingerprint) -> Result<u32, usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = name as usize & mask;
        loop {
            let number = match self.slots.get(at) {
                None | Some(0) => return Err(at),
                Some(number) => number - 1,
            };
            if self.fingerprints.get(number as usize) == Some(&name) {
                return Ok(number);
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let before = std::mem::take(&mut self.slots);
        self.slots = vec![0; (2 * before.len()).max(16)];
        for number in before.into_iter().filter(|number| *number != 0) {
            let name = self.fingerprints.get(number as usize - 1).copied().unwrap_or_default();
            if let Err(slot) = self.slot(name)
                && let Some(slot) = self.slots.get_mut(slot)
            {
                *slot = number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_number() {
        let (prints, mut names) = (Fingerprints::default(), Names::with_capacity(3));
        let of = |n: u32| prints.of(&n.to_le_bytes());
        for n in 0..10_000 {
            assert_eq!(names.get(of(n)), None);
            assert_eq!(names.add(of(n)), (n, true));
            assert_eq!(names.add(of(n / 2)), (n / 2, false));
        }
        assert_eq!(names.skip(of(1)), 10_000);
        assert_eq!(names.get(of(1)), Some(1));
    }
}
