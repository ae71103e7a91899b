//! Numbers from 0 for fingerprints, in the order in which they come.

use super::Fingerprint;

#[derive(Clone, Debug, Default)]
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
        self.fingerprints.push(name);
        number
    }

    /// What has this number.
    pub(super) fn name(&self, number: u32) -> Fingerprint {
        self.fingerprints.get(number as usize).copied().unwrap_or_default()
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
            let name = self.name(number - 1);
            if let Err(slot) = self.slot(name)
                && let Some(slot) = self.slots.get_mut(slot)
            {
                *slot = number;
            }
        }
    }
}
