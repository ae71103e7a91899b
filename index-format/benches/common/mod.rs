//! What the benches share: noise from a seed, sets as clients make them, times and tables.
#![allow(dead_code, reason = "each bench uses its part")]

pub(crate) mod dovecot;
pub(crate) mod history;

use index_format::{Uid, UidSet};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;

/// Numbers from a seed, the same on each machine.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    /// The next number (SplitMix64).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True as often as `share` says.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64 <= share
    }

    /// A length that is `mean` on average, as chance makes them: at least 1.
    pub(crate) fn geometric(&mut self, mean: f64) -> u32 {
        let mut length = 1;
        while length < 1_000_000 && !self.chance(1.0 / mean) {
            length += 1;
        }
        length
    }
}

/// Each of 1 to `count` with chance `share`.
pub(crate) fn scattered(count: u32, share: f64, noise: &mut Noise) -> UidSet {
    (1..=count).filter(|_| noise.chance(share)).map(Uid).collect()
}

/// Runs and holes of these mean lengths, up to `count`.
pub(crate) fn clustered(count: u32, run: f64, hole: f64, noise: &mut Noise) -> UidSet {
    let mut set = UidSet::new();
    let mut next = noise.geometric(hole);
    while next <= count {
        let last = (next + noise.geometric(run) - 1).min(count);
        set.insert_range(Uid(next)..=Uid(last));
        next = last + 1 + noise.geometric(hole);
    }
    set
}

/// Each `step`th of 1 to `count`.
pub(crate) fn stepped(count: u32, step: u32) -> UidSet {
    (1..=count).step_by(step as usize).map(Uid).collect()
}

/// Nanoseconds of processor time that one of `operations` takes: the median of nine runs of `run`, which does them all.
/// (What else the machine does costs less of this than of the time that passes.)
pub(crate) fn nanoseconds<T>(operations: usize, mut run: impl FnMut() -> T) -> f64 {
    let mut times: Vec<f64> = (0..9)
        .map(|_| {
            let start = clock_gettime(ClockId::ThreadCPUTime);
            black_box(run());
            let spent = clock_gettime(ClockId::ThreadCPUTime) - start;
            (spent.tv_sec as f64 * 1e9 + spent.tv_nsec as f64) / operations.max(1) as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times.get(4).copied().unwrap_or_default()
}

/// Prints a table as Markdown; the first row is its head.
pub(crate) fn print(rows: &[Vec<String>]) {
    for (index, row) in rows.iter().enumerate() {
        println!("| {} |", row.join(" | "));
        if index == 0 {
            let rule: Vec<&str> = row
                .iter()
                .enumerate()
                .map(|(at, _)| if at == 0 { "---" } else { "---:" })
                .collect();
            println!("| {} |", rule.join(" | "));
        }
    }
    println!();
}
