//! Inputs made from a seed: a little of what a fuzzer does, the same in every run.

use crate::rng::Rng;

/// Makes inputs by changing and joining a target's seeds.
#[derive(Clone, Debug)]
pub struct Generator {
    seeds: Vec<Vec<u8>>,
    rng: Rng,
}

/// Bytes and numbers that mean something to one format or another.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\r\n",
    b"\r",
    b"\n",
    b".",
    b"\r\n.\r\n",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0\0\0\0\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"--",
    b":",
    b"\"",
    b"<",
    b">",
    b"(",
    b" ",
];

/// The longest input made, in bytes.
const LONGEST: usize = 16 * 1024;

impl Generator {
    /// A generator that gives the same inputs for the same seeds and number.
    #[must_use]
    pub fn new(mut seeds: Vec<Vec<u8>>, number: u64) -> Self {
        seeds.push(Vec::new());
        Self { seeds, rng: Rng(number) }
    }

    /// The next input.
    pub fn input(&mut self) -> Vec<u8> {
        let mut input = self.pick_seed();
        if self.rng.below(8) == 0 {
            let other = self.pick_seed();
            let (to, from) = (self.rng.below(input.len() + 1), self.rng.below(other.len() + 1));
            input.truncate(to);
            input.extend_from_slice(other.get(from..).unwrap_or_default());
        }
        for _ in 0..self.rng.below(8) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.rng.below(input.len() + 1);
        let end = at + self.rng.below((input.len() - at).min(64) + 1);
        match self.rng.below(7) {
            0 => drop(input.splice(at..at, WORDS[self.rng.below(WORDS.len())].iter().copied())),
            1 => drop(input.splice(at..end, WORDS[self.rng.below(WORDS.len())].iter().copied())),
            2 => drop(input.drain(at..end)),
            3 => {
                let again = input[at..end].to_vec();
                drop(input.splice(at..at, again));
            }
            4 => input.truncate(at),
            5 => {
                let fresh: Vec<u8> =
                    (0..=self.rng.below(16)).map(|_| self.rng.next().to_le_bytes()[0]).collect();
                drop(input.splice(at..at, fresh));
            }
            _ => {
                let bit = 1 << self.rng.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= bit;
                }
            }
        }
    }

    fn pick_seed(&mut self) -> Vec<u8> {
        let number = self.rng.below(self.seeds.len());
        self.seeds[number].clone()
    }
}
