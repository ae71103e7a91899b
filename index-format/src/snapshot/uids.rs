//! The UIDs: ranges as gaps and lengths, with an entry a block of ranges that names its first UID and rank.

use crate::wire::{Put, Reader};
use crate::{Error, Uid};

/// The UIDs of a snapshot, checked: UID to index and back in O(log ranges).
#[derive(Clone, Debug)]
pub struct UidIndex<'a> {
    directory: &'a [u8],
    data: &'a [u8],
    ranges: usize,
    rows: usize,
}

/// Writes ascending ranges.
pub(super) fn write(ranges: &[(u32, u32)], rows: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&(ranges.len() as u32).to_le_bytes());
    out.extend_from_slice(&rows.to_le_bytes());
    let mut data = Vec::new();
    let mut rank = 0;
    for block in ranges.chunks(BLOCK) {
        let mut least = block.first().map_or(0, |range| range.0);
        out.extend_from_slice(&least.to_le_bytes());
        out.extend_from_slice(&rank_bytes(rank));
        out.extend_from_slice(&(data.len() as u32).to_le_bytes());
        for &(first, last) in block {
            let long = last > first;
            data.varint(u64::from(first - least) << 1 | u64::from(long));
            if long {
                data.varint((last - first - 1).into());
            }
            rank += last - first + 1;
            least = last.saturating_add(2);
        }
    }
    out.extend_from_slice(&data);
}

fn rank_bytes(rank: u32) -> [u8; 4] {
    rank.to_le_bytes()
}

impl<'a> UidIndex<'a> {
    /// Walks the ranges: ascending, apart, below `uidnext`, `rows` in all, as the directory says.
    pub(super) fn parse(
        section: &'a [u8],
        rows: u32,
        uidnext: Uid,
        at: u64,
    ) -> Result<UidIndex<'a>, Error> {
        let mut reader = Reader::new(section, at);
        let ranges = reader.u32("UID ranges")?;
        let claimed = reader.u32("UIDs")?;
        if claimed != rows {
            let allowed = "the header's count of messages";
            return Err(Error::Value { field: "UIDs", at: at + 4, found: claimed.into(), allowed });
        }
        let directory = reader
            .bytes("UID directory", u64::from(ranges).div_ceil(BLOCK as u64) * ENTRY as u64)?;
        let data_at = reader.at();
        let index = UidIndex {
            directory,
            data: reader.rest(),
            ranges: ranges as usize,
            rows: rows as usize,
        };
        let (mut rank, mut least) = (0u64, 1u64);
        for block in 0..index.ranges.div_ceil(BLOCK) {
            let entry = index.entry(block);
            let in_order = u64::from(entry.first) >= least && u64::from(entry.rank) == rank;
            if !in_order || entry.at as u64 != reader.at() - data_at {
                let (at, found) = (at + 8 + (block * ENTRY) as u64, entry.first.into());
                return Err(Error::Value {
                    field: "UID directory",
                    at,
                    found,
                    allowed: "what the ranges say",
                });
            }
            least = u64::from(entry.first);
            for _ in 0..index.ranges_of(block) {
                let at = reader.at();
                let (first, last) = read_range(&mut reader, least)?;
                if last >= u64::from(uidnext.0) {
                    return Err(Error::Value {
                        field: "UID",
                        at,
                        found: last,
                        allowed: "below UIDNEXT",
                    });
                }
                rank += last - first + 1;
                least = last + 2;
            }
        }
        reader.end("UIDs")?;
        if rank != u64::from(rows) {
            return Err(Error::Value {
                field: "UIDs",
                at: at + 4,
                found: rank,
                allowed: "the header's count",
            });
        }
        Ok(index)
    }

    /// How many UIDs there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The index of a UID, counted from 0.
    pub fn find(&self, uid: Uid) -> Option<u32> {
        let block =
            partition(self.blocks(), |block| self.entry(block).first <= uid.0).checked_sub(1)?;
        let mut rank = self.entry(block).rank;
        for (first, last) in self.block_ranges(block) {
            if uid.0 <= last {
                return uid.0.checked_sub(first).map(|offset| rank + offset);
            }
            rank += last - first + 1;
        }
        None
    }

    /// The UID at an index counted from 0.
    pub fn uid(&self, index: u32) -> Option<Uid> {
        if index as usize >= self.rows {
            return None;
        }
        let block =
            partition(self.blocks(), |block| self.entry(block).rank <= index).checked_sub(1)?;
        let mut rank = self.entry(block).rank;
        for (first, last) in self.block_ranges(block) {
            if index - rank <= last - first {
                return Some(Uid(first + (index - rank)));
            }
            rank += last - first + 1;
        }
        None
    }

    /// The ranges, ascending; no two touch.
    pub fn ranges(&self) -> impl Iterator<Item = (Uid, Uid)> + '_ {
        let blocks = (0..self.blocks()).flat_map(|block| self.block_ranges(block));
        blocks.map(|(first, last)| (Uid(first), Uid(last)))
    }

    fn blocks(&self) -> usize {
        self.ranges.div_ceil(BLOCK)
    }

    fn ranges_of(&self, block: usize) -> usize {
        (self.ranges - block * BLOCK).min(BLOCK)
    }

    fn entry(&self, block: usize) -> Entry {
        let entry = self.directory.get(block * ENTRY..(block + 1) * ENTRY).unwrap_or_default();
        let (numbers, _) = entry.as_chunks::<4>();
        let number =
            |index: usize| numbers.get(index).map_or(0, |bytes| u32::from_le_bytes(*bytes));
        Entry { first: number(0), rank: number(1), at: number(2) as usize }
    }

    fn block_ranges(&self, block: usize) -> impl Iterator<Item = (u32, u32)> + '_ {
        let entry = self.entry(block);
        let mut reader = Reader::new(self.data.get(entry.at..).unwrap_or_default(), 0);
        let mut least = u64::from(entry.first);
        (0..self.ranges_of(block)).map_while(move |_| {
            let (first, last) = read_range(&mut reader, least).ok()?;
            least = last + 2;
            Some((first as u32, last as u32))
        })
    }
}

fn read_range(reader: &mut Reader<'_>, least: u64) -> Result<(u64, u64), Error> {
    let at = reader.at();
    let gap = reader.varint("UID gap")?;
    let first = least.saturating_add(gap >> 1);
    let more = if gap & 1 == 1 { reader.varint("UID range length")?.saturating_add(1) } else { 0 };
    let last = first.saturating_add(more);
    if last > u64::from(u32::MAX) {
        return Err(Error::Number { field: "UID range", at });
    }
    Ok((first, last))
}

struct Entry {
    first: u32,
    rank: u32,
    at: usize,
}

/// The first index for which `before` does not hold.
fn partition(len: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// Ranges in a block.
const BLOCK: usize = 64;
/// Bytes of a directory entry: first UID, rank, where the ranges start.
const ENTRY: usize = 12;
