//! What a set of UIDs costs in a log record, in our forms and in others: bytes, and how fast it is read.
//!
//! `cargo bench -p loft-index-format --bench sets`

mod common;

use common::{Noise, clustered, nanoseconds, print, scattered, stepped};
use index_format::{Uid, UidSet};
use roaring::RoaringBitmap;
use std::hint::black_box;

const MESSAGES: u32 = 100_000;

fn main() {
    let noise = &mut Noise(1);
    let sets = [
        ("1 message", UidSet::one(Uid(54_321))),
        ("all", UidSet::range(Uid(1)..=Uid(MESSAGES))),
        ("every 10th", stepped(MESSAGES, 10)),
        ("random 0.1 %", scattered(MESSAGES, 0.001, noise)),
        ("random 1 %", scattered(MESSAGES, 0.01, noise)),
        ("random 10 %", scattered(MESSAGES, 0.1, noise)),
        ("random 50 %", scattered(MESSAGES, 0.5, noise)),
        ("random 90 %", scattered(MESSAGES, 0.9, noise)),
        ("runs of 5, holes of 200", clustered(MESSAGES, 5.0, 200.0, noise)),
        ("runs of 40, holes of 10", clustered(MESSAGES, 40.0, 10.0, noise)),
    ];
    let head =
        ["set", "entropy", "ours", "read, ns/range", "gaps and ranges", "same, zstd", "Elias-Fano"];
    let more = ["roaring", "bitmap", "UIDs of 4 bytes"];
    let mut rows = vec![head.iter().chain(&more).map(|&cell| cell.to_owned()).collect()];
    for (name, set) in &sets {
        rows.push(row(name, set));
    }
    print(&rows);
}

fn row(name: &str, set: &UidSet) -> Vec<String> {
    let mut ours = Vec::new();
    set.encode(&mut ours);
    let ranges = set.ranges().len();
    // Short ones many times: a clock needs longer than one of them.
    let times = 100_000 / ranges + 1;
    let read = nanoseconds(ranges * times, || {
        for _ in 0..times {
            black_box(UidSet::decode(black_box(&ours), 0)).expect("what was written");
        }
    });
    let gaps = gaps(set);
    let packed = zstd::bulk::compress(&gaps, 3).unwrap_or_default().len();
    let mut roaring = RoaringBitmap::new();
    for range in set.ranges() {
        roaring.insert_range(range.start().0..=range.end().0);
    }
    roaring.optimize();
    let lengths = [
        gaps.len(),
        packed,
        elias_fano(set),
        roaring.serialized_size(),
        set.last().map_or(0, |last| last.0 as usize).div_ceil(8),
        4 * set.len() as usize,
    ];
    let mut cells =
        vec![name.to_owned(), entropy(set), ours.len().to_string(), format!("{read:.1}")];
    cells.extend(lengths.map(|length| length.to_string()));
    cells
}

/// Bytes that a set of so many of all messages needs at least, on average.
fn entropy(set: &UidSet) -> String {
    let share = set.len() as f64 / f64::from(MESSAGES);
    let part = |share: f64| if share > 0.0 { -share * share.log2() } else { 0.0 };
    format!("{:.0}", (part(share) + part(1.0 - share)) * f64::from(MESSAGES) / 8.0)
}

/// Kind 3 of `docs/formats/uidset.md`, for any number of ranges.
fn gaps(set: &UidSet) -> Vec<u8> {
    let mut out = Vec::new();
    let mut least = 0;
    for range in set.ranges() {
        let (first, last) = (range.start().0, range.end().0);
        varint(u64::from(first - least) << 1 | u64::from(last > first), &mut out);
        if last > first {
            varint(u64::from(last - first - 1), &mut out);
        }
        least = last.saturating_add(2);
    }
    out
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Bytes of the two parts of an Elias-Fano code, without what makes its look-ups fast.
fn elias_fano(set: &UidSet) -> usize {
    let (count, top) = (set.len(), set.last().map_or(0, |last| u64::from(last.0)));
    let low = (top / count.max(1)).max(1).ilog2() as u64;
    (count * low + count + (top >> low) + 1).div_ceil(8) as usize
}
