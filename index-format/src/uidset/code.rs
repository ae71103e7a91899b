//! Sets to bytes and back.

use super::{rice, steps};
use crate::Error;
use crate::wire::{Put, Reader, varint_len};

/// First and last UID of a range.
pub(super) type Range = (u32, u32);

pub(super) fn encode(ranges: &[Range], out: &mut Vec<u8>) {
    match *ranges {
        [] => out.push(EMPTY),
        [(first, last)] if first == last => {
            out.push(ONE);
            out.varint(u64::from(first));
        }
        [(first, last)] => {
            out.push(RANGE);
            out.varint(u64::from(first));
            out.varint(u64::from(last - first - 1));
        }
        ref ranges if ranges.len() < MANY => encode_ranges(ranges, out),
        ref ranges => encode_many(ranges, out),
    }
}

/// The form that is shortest; of equals the one that is read fastest.
fn encode_many(ranges: &[Range], out: &mut Vec<u8>) {
    let plain = ranges_len(ranges);
    let stepped = steps::len(ranges);
    let rice = rice::plan(ranges);
    if plain <= stepped.min(rice.len()) {
        encode_ranges(ranges, out);
    } else if stepped <= rice.len() {
        out.push(STEPS);
        steps::encode(ranges, out);
    } else {
        out.push(match rice.form() {
            rice::Form::Members => MEMBERS,
            rice::Form::Absent => ABSENT,
            rice::Form::Runs => RUNS,
        });
        rice.encode(ranges, out);
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Vec<Range>, Error> {
    let at = reader.at();
    match reader.u8("UID set kind")? {
        EMPTY => Ok(Vec::new()),
        ONE => {
            let uid = reader.varint_u32("UID")?;
            Ok(vec![(uid, uid)])
        }
        RANGE => {
            let first = reader.varint("first UID")?;
            Ok(vec![read_range(reader, first, true)?])
        }
        RANGES => read_ranges(reader),
        STEPS => steps::read(reader),
        MEMBERS => rice::read(reader, rice::Form::Members),
        ABSENT => rice::read(reader, rice::Form::Absent),
        RUNS => rice::read(reader, rice::Form::Runs),
        kind => {
            let (field, found) = ("UID set kind", kind.into());
            Err(Error::Value { field, at, found, allowed: "0 to 7" })
        }
    }
}

fn encode_ranges(ranges: &[Range], out: &mut Vec<u8>) {
    out.push(RANGES);
    out.varint(ranges.len() as u64);
    let mut least = 0; // the lowest UID the next range may start at
    for &(first, last) in ranges {
        let single = first == last;
        out.varint((u64::from(first) - least) << 1 | u64::from(!single));
        if !single {
            out.varint(u64::from(last - first - 1));
        }
        least = u64::from(last) + 2;
    }
}

/// How long [`encode_ranges`] makes it, the kind left out.
fn ranges_len(ranges: &[Range]) -> u64 {
    let mut least = 0;
    let mut len = varint_len(ranges.len() as u64);
    for &(first, last) in ranges {
        len += varint_len((u64::from(first) - least) << 1);
        if first != last {
            len += varint_len(u64::from(last - first - 1));
        }
        least = u64::from(last) + 2;
    }
    len
}

fn read_ranges(reader: &mut Reader<'_>) -> Result<Vec<Range>, Error> {
    let at = reader.at();
    let count = reader.count("UID ranges", 1)?;
    if count < 2 {
        let allowed = "at least 2: fewer have kinds of their own";
        return Err(Error::Value { field: "UID ranges", at, found: count as u64, allowed });
    }
    reader.ranges(count)?;
    let mut ranges = Vec::with_capacity(count);
    let mut least = 0u64;
    for _ in 0..count {
        let gap = reader.varint("UID gap")?;
        let (first, last) = read_range(reader, least.saturating_add(gap >> 1), gap & 1 == 1)?;
        ranges.push((first, last));
        least = u64::from(last) + 2;
    }
    Ok(ranges)
}

/// The range that starts at `first`: one UID, or as long as the next number says.
fn read_range(reader: &mut Reader<'_>, first: u64, long: bool) -> Result<Range, Error> {
    let at = reader.at();
    let more = if long { reader.varint("UID range length")?.saturating_add(1) } else { 0 };
    match (u32::try_from(first), u32::try_from(first.saturating_add(more))) {
        (Ok(first), Ok(last)) => Ok((first, last)),
        (_, Err(_)) | (Err(_), _) => Err(Error::Number { field: "UID range", at }),
    }
}

const EMPTY: u8 = 0;
const ONE: u8 = 1;
const RANGE: u8 = 2;
const RANGES: u8 = 3;
const STEPS: u8 = 4;
const MEMBERS: u8 = 5;
const ABSENT: u8 = 6;
const RUNS: u8 = 7;

/// From so many ranges on, the forms for many are looked at.
const MANY: usize = 4;
