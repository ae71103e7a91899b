//! Ranges of one length at one distance: "every tenth", and what lies between.

use super::code::Range;
use crate::Error;
use crate::wire::{Put, Reader, varint_len};

/// `count` ranges of `run` UIDs each, `hole` absent ones between two.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Steps {
    /// Absent UIDs before it that could have been in a range of their own.
    skipped: u64,
    run: u64,
    hole: u64,
    /// 1, or at least [`LEAST`].
    count: u64,
}

impl Steps {
    fn head(self) -> u64 {
        self.skipped << 2 | u64::from(self.run > 1) << 1 | u64::from(self.count > 1)
    }

    fn len(self) -> u64 {
        let run = if self.run > 1 { varint_len(self.run - 2) } else { 0 };
        let steps = match self.count {
            1 => 0,
            _ => varint_len(self.hole - 1) + varint_len(self.count - LEAST),
        };
        varint_len(self.head()) + run + steps
    }

    fn encode(self, out: &mut Vec<u8>) {
        out.varint(self.head());
        if self.run > 1 {
            out.varint(self.run - 2);
        }
        if self.count > 1 {
            out.varint(self.hole - 1);
            out.varint(self.count - LEAST);
        }
    }
}

/// How long [`encode`] makes it.
pub(super) fn len(ranges: &[Range]) -> u64 {
    let (count, len) =
        split(ranges).fold((0, 0), |(count, len), steps| (count + 1, len + steps.len()));
    varint_len(count) + len
}

/// Writes the set, without the byte for its kind.
pub(super) fn encode(ranges: &[Range], out: &mut Vec<u8>) {
    out.varint(split(ranges).count() as u64);
    split(ranges).for_each(|steps| steps.encode(out));
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Vec<Range>, Error> {
    let count = reader.count("UID steps", 1)?;
    let mut ranges: Vec<Range> = Vec::new();
    let mut least = 0u64;
    for _ in 0..count {
        let at = reader.at();
        let head = reader.varint("UID steps")?;
        let run = match head & 2 {
            0 => 1,
            _ => reader.varint("UID run")?.saturating_add(2),
        };
        let (hole, times) = match head & 1 {
            0 => (1, 1),
            _ => (
                reader.varint("UID hole")?.saturating_add(1),
                reader.varint("UID step count")?.saturating_add(LEAST),
            ),
        };
        let wrong = Error::Number { field: "UID steps", at };
        let first = least.saturating_add(head >> 2);
        // The last UID of all: if that is a number, so are all before it.
        let period = run.checked_add(hole).ok_or_else(|| wrong.clone())?;
        let last = period
            .checked_mul(times - 1)
            .and_then(|far| far.checked_add(first)?.checked_add(run - 1))
            .filter(|&last| last <= u64::from(u32::MAX))
            .ok_or(wrong)?;
        reader.ranges(times as usize)?;
        ranges.reserve(times as usize);
        ranges.extend((0..times).map(|n| {
            let start = first + n * period;
            (start as u32, (start + run - 1) as u32)
        }));
        least = last + 2;
    }
    Ok(ranges)
}

/// The ranges as steps, greedily from the front.
fn split(ranges: &[Range]) -> impl Iterator<Item = Steps> + '_ {
    let mut rest = ranges;
    let mut least = 0u64;
    std::iter::from_fn(move || {
        let &(first, last) = rest.first()?;
        let run = last - first;
        let hole = rest.get(1).map_or(0, |&(next, _)| next - last - 1);
        let alike = |pair: &&[Range]| {
            let &[(_, last), (next, end)] = *pair else { return false };
            end - next == run && next - last - 1 == hole
        };
        let count = 1 + rest.windows(2).take_while(alike).count();
        let count = if count as u64 >= LEAST { count } else { 1 };
        let &(_, end) = rest.get(count - 1)?;
        let skipped = u64::from(first) - least;
        rest = rest.get(count..)?;
        least = u64::from(end) + 2;
        let hole = if count > 1 { u64::from(hole) } else { 1 };
        Some(Steps { skipped, run: u64::from(run) + 1, hole, count: count as u64 })
    })
}

/// Fewer alike are cheaper one by one.
const LEAST: u64 = 3;
