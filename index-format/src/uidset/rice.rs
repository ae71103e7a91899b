//! Sets without a pattern: distances in Rice codes, within a few per cent of what such a set can cost at least.
//!
//! A number `v` is `v >> k` zeros, a one, and the low `k` bits of `v`; 24 zeros and 32 bits stand for what would take
//! 24 zeros or more. `k` is chosen for each set. Where the members are few their distances are written, where the absent
//! are few theirs, and the lengths of runs and holes where the two come in clusters.

use super::code::Range;
use crate::Error;
use crate::wire::{Put, Reader, varint_len};

/// What is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// How many UIDs are skipped before each member.
    Members,
    /// How many members there are before each absent UID.
    Absent,
    /// Runs of members and of absent UIDs by turns.
    Runs,
}

/// The shortest form and its parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    form: Form,
    /// How many low bits are written as they are: `k` of all numbers, or of the runs.
    k: u32,
    /// `k` of the holes, in [`Form::Runs`].
    k_holes: u32,
    bits: u64,
    head: u64,
}

impl Plan {
    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Bytes, without the one for the kind.
    pub(super) fn len(&self) -> u64 {
        self.head + self.bits.div_ceil(8)
    }

    /// Writes the set, without the byte for its kind.
    pub(super) fn encode(&self, ranges: &[Range], out: &mut Vec<u8>) {
        let Some((first, last)) = span(ranges) else { return };
        out.varint(u64::from(first));
        match self.form {
            Form::Members => out.varint(members(ranges) - 1),
            Form::Absent => {
                out.varint(u64::from(last - first));
                out.varint(absent(ranges) - 1);
            }
            Form::Runs => {
                out.varint(ranges.len() as u64 - 1);
                out.push(self.k_holes as u8);
            }
        }
        out.push(self.k as u8);
        let mut bits = BitWriter { out, held: 0, count: 0 };
        for (index, &(first, last)) in ranges.iter().enumerate() {
            let run = u64::from(last - first) + 1;
            let hole = ranges.get(index + 1).map(|&(next, _)| next - last - 1);
            match self.form {
                Form::Members => {
                    bits.put_zeros(run - 1, self.k);
                    if let Some(hole) = hole {
                        bits.put(hole, self.k);
                    }
                }
                Form::Absent => {
                    if let Some(hole) = hole {
                        bits.put(run as u32, self.k);
                        bits.put_zeros(u64::from(hole) - 1, self.k);
                    }
                }
                Form::Runs => {
                    bits.put(last - first, self.k);
                    if let Some(hole) = hole {
                        bits.put(hole - 1, self.k_holes);
                    }
                }
            }
        }
        bits.finish();
    }
}

/// Chooses; `ranges` are at least two.
pub(super) fn plan(ranges: &[Range]) -> Plan {
    let (first, last) = span(ranges).unwrap_or_default();
    let start = varint_len(u64::from(first));
    let holes = || {
        ranges.windows(2).filter_map(|pair| match *pair {
            [(_, last), (next, _)] => Some(next - last - 1),
            _ => None,
        })
    };
    // Each run but the last is the number before an absent UID.
    let before = || ranges.iter().take(ranges.len().saturating_sub(1));
    let runs = || before().map(|&(first, last)| last - first + 1);
    let (k, bits) = best(holes, members(ranges) - ranges.len() as u64);
    let head = start + varint_len(members(ranges) - 1) + 1;
    let by_members = Plan { form: Form::Members, k, k_holes: 0, bits, head };

    let (k, bits) = best(runs, absent(ranges) - (ranges.len() as u64 - 1));
    let head = start + varint_len(u64::from(last - first)) + varint_len(absent(ranges) - 1) + 1;
    let by_absent = Plan { form: Form::Absent, k, k_holes: 0, bits, head };

    let (k, run_bits) = best(|| ranges.iter().map(|&(first, last)| last - first), 0);
    let (k_holes, hole_bits) = best(|| holes().map(|hole| hole - 1), 0);
    let head = start + varint_len(ranges.len() as u64 - 1) + 2;
    let by_runs = Plan { form: Form::Runs, k, k_holes, bits: run_bits + hole_bits, head };

    [by_absent, by_runs]
        .into_iter()
        .fold(by_members, |best, plan| if plan.len() < best.len() { plan } else { best })
}

/// The best `k` for some numbers and `zeros` zeros, and how many bits they take.
fn best<I: Iterator<Item = u32>>(values: impl Fn() -> I, zeros: u64) -> (u32, u64) {
    let (sum, count) =
        values().fold((0u64, zeros), |(sum, count), value| (sum + u64::from(value), count + 1));
    // A geometric distribution is coded best where 2^k is about its mean times ln 2; its neighbours are tried.
    let near = (sum * 7 / 10).checked_div(count.max(1)).unwrap_or(0).checked_ilog2().unwrap_or(0);
    let cost = |k: u32| {
        let bits = values().fold(0, |bits, value| bits + u64::from(bits_of(value, k)));
        bits + zeros * u64::from(k + 1)
    };
    let least = near.saturating_sub(1);
    let most = (near + 2).min(K_MAX);
    (least..=most).map(|k| (k, cost(k))).min_by_key(|&(_, bits)| bits).unwrap_or((0, u64::MAX / 16))
}

fn span(ranges: &[Range]) -> Option<Range> {
    Some((ranges.first()?.0, ranges.last()?.1))
}

fn members(ranges: &[Range]) -> u64 {
    ranges.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
}

/// UIDs between the first and the last that are not in the set.
fn absent(ranges: &[Range]) -> u64 {
    span(ranges).map_or(0, |(first, last)| u64::from(last - first) + 1 - members(ranges))
}

pub(super) fn read(reader: &mut Reader<'_>, form: Form) -> Result<Vec<Range>, Error> {
    let at = reader.at();
    let wrong = || Error::Number { field: "UID set", at };
    let first = reader.varint_u32("first UID")?;
    match form {
        Form::Members => {
            let more = reader.varint("UIDs")?;
            let k = parameter(reader)?;
            let mut bits = BitReader::new(reader, more)?;
            let mut ranges = Ranges { reader, list: Vec::new() };
            let (mut from, mut to) = (first, first);
            for _ in 0..more {
                let skip = bits.get(k)?;
                let next = to.checked_add(1).and_then(|next| next.checked_add(skip));
                let next = next.ok_or_else(wrong)?;
                if skip > 0 {
                    ranges.push(from, to)?;
                    from = next;
                }
                to = next;
            }
            ranges.push(from, to)?;
            ranges.finish(bits)
        }
        Form::Absent => {
            let last = reader.varint("UID range length")?;
            let last = u32::try_from(last).ok().and_then(|more| first.checked_add(more));
            let last = last.ok_or_else(wrong)?;
            let more = reader.varint("absent UIDs")?.saturating_add(1);
            let k = parameter(reader)?;
            let mut bits = BitReader::new(reader, more)?;
            let mut ranges = Ranges { reader, list: Vec::new() };
            let mut from = first;
            for n in 0..more {
                let run = bits.get(k)?;
                let hole = from.checked_add(run).filter(|&hole| hole < last).ok_or_else(wrong)?;
                match (run, n) {
                    (0, 0) => return Err(wrong()), // the first UID is a member
                    (0, _) => {}
                    _ => ranges.push(from, hole - 1)?,
                }
                from = hole + 1;
            }
            ranges.push(from, last)?;
            ranges.finish(bits)
        }
        Form::Runs => {
            let more = reader.varint("UID ranges")?;
            let k_holes = parameter(reader)?;
            let k = parameter(reader)?;
            let mut bits = BitReader::new(reader, more.saturating_mul(2).saturating_add(1))?;
            let mut ranges = Ranges { reader, list: Vec::new() };
            let mut from = first;
            for n in 0..=more {
                let last = from.checked_add(bits.get(k)?).ok_or_else(wrong)?;
                ranges.push(from, last)?;
                if n < more {
                    let next = last
                        .checked_add(2)
                        .and_then(|next| next.checked_add(bits.get(k_holes).ok()?));
                    from = next.ok_or_else(wrong)?;
                }
            }
            ranges.finish(bits)
        }
    }
}

fn parameter(reader: &mut Reader<'_>) -> Result<u32, Error> {
    let at = reader.at();
    let found = reader.u8("Rice parameter")?;
    match u32::from(found) {
        k @ 0..=K_MAX => Ok(k),
        _ => Err(Error::Value {
            field: "Rice parameter",
            at,
            found: found.into(),
            allowed: "0 to 31",
        }),
    }
}

/// Ranges as they are read, within what a transaction may have.
struct Ranges<'r, 'a> {
    reader: &'r mut Reader<'a>,
    list: Vec<Range>,
}

impl Ranges<'_, '_> {
    fn push(&mut self, first: u32, last: u32) -> Result<(), Error> {
        self.reader.ranges(1)?;
        self.list.push((first, last));
        Ok(())
    }

    fn finish(self, bits: BitReader<'_>) -> Result<Vec<Range>, Error> {
        self.reader.bytes("UID set", bits.finish()?)?;
        Ok(self.list)
    }
}

/// How many bits a number takes.
fn bits_of(value: u32, k: u32) -> u32 {
    match value >> k {
        zeros if zeros < ESCAPE => zeros + 1 + k,
        _ => ESCAPE + 32,
    }
}

/// Low bits first.
struct BitWriter<'o> {
    out: &'o mut Vec<u8>,
    held: u64,
    count: u32,
}

impl BitWriter<'_> {
    fn put(&mut self, value: u32, k: u32) {
        let zeros = value >> k;
        if zeros < ESCAPE {
            let low = u64::from(value) & ((1 << k) - 1);
            self.bits((low << 1 | 1) << zeros, zeros + 1 + k);
        } else {
            self.bits(u64::from(value) << ESCAPE, ESCAPE + 32);
        }
    }

    fn put_zeros(&mut self, count: u64, k: u32) {
        (0..count).for_each(|_| self.put(0, k));
    }

    /// At most 56 bits; fewer than 8 are held between two calls.
    fn bits(&mut self, bits: u64, count: u32) {
        self.held |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    fn finish(self) {
        if self.count > 0 {
            self.out.push(self.held as u8);
        }
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits that were read.
    used: usize,
    at: u64,
}

impl<'a> BitReader<'a> {
    /// Over what follows in `reader`; each of `numbers` numbers takes a bit at least.
    fn new(reader: &Reader<'a>, numbers: u64) -> Result<BitReader<'a>, Error> {
        let (bytes, at) = (reader.rest(), reader.at());
        if numbers > bytes.len() as u64 * 8 {
            let allowed = "what the bytes that follow have room for";
            return Err(Error::Value { field: "UID set", at, found: numbers, allowed });
        }
        Ok(BitReader { bytes, used: 0, at })
    }

    fn get(&mut self, k: u32) -> Result<u32, Error> {
        let tail = self.bytes.get(self.used / 8..).unwrap_or_default();
        let held = match tail.first_chunk() {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => tail.iter().rev().fold(0, |held, &byte| held << 8 | u64::from(byte)),
        } >> (self.used % 8);
        let zeros = held.trailing_zeros().min(ESCAPE);
        let (value, len) = match zeros {
            ESCAPE => (held >> ESCAPE & u64::from(u32::MAX), ESCAPE + 32),
            _ => (u64::from(zeros) << k | held >> (zeros + 1) & ((1 << k) - 1), zeros + 1 + k),
        };
        self.used += len as usize;
        let over = self.used > self.bytes.len() * 8;
        // Both: a number beyond 32 bits, and one that has a shorter code.
        match u32::try_from(value) {
            Ok(value) if !over && bits_of(value, k) == len => Ok(value),
            Ok(_) | Err(_) => Err(Error::Number { field: "UID set", at: self.at }),
        }
    }

    /// How many bytes were used; the bits left over in the last are zero.
    fn finish(self) -> Result<u64, Error> {
        let len = self.used.div_ceil(8);
        let last = self.bytes.get(len.wrapping_sub(1)).copied().unwrap_or(0);
        match self.used % 8 {
            0 => Ok(len as u64),
            used if last >> used == 0 => Ok(len as u64),
            _ => Err(Error::Number { field: "UID set", at: self.at + len as u64 - 1 }),
        }
    }
}

/// So many zeros say that the number follows in 32 bits.
const ESCAPE: u32 = 24;
/// The largest `k`.
const K_MAX: u32 = 31;
