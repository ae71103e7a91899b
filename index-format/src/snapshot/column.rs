//! A column: one number a row, in blocks, each as wide as its own data needs (frame of reference).
//!
//! A directory entry a block: base, width in bits, shift. A value is `base + (packed << shift)`. The packed numbers of a
//! block stand one behind the other, low bits first, and begin at a byte.

use crate::Error;
use crate::wire::Reader;

/// A column whose checksum and lengths have been checked: reading cannot fail.
#[derive(Clone, Debug)]
pub struct Column<'a> {
    directory: &'a [u8],
    data: &'a [u8],
    rows: usize,
}

/// Writes `values` as a column.
pub(super) fn write(values: impl ExactSizeIterator<Item = u64> + Clone, out: &mut Vec<u8>) {
    let mut blocks: Vec<Block> = Vec::new();
    let mut rest = values.clone();
    let mut at = 0;
    while rest.len() > 0 {
        let block = Block::of(rest.clone().take(BLOCK), at);
        let rows = rest.by_ref().take(BLOCK).count();
        at += block.len(rows);
        blocks.push(block);
    }
    for block in &blocks {
        out.extend_from_slice(&block.base.to_le_bytes());
        out.extend_from_slice(&[block.width, block.shift]);
        out.extend_from_slice(&(block.at as u32).to_le_bytes());
    }
    let mut rest = values;
    for block in &blocks {
        pack(block, rest.by_ref().take(BLOCK), out);
    }
}

fn pack(block: &Block, values: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
    let (mut held, mut bits) = (0u128, 0u32);
    for value in values {
        held |=
            u128::from((value - block.base).checked_shr(block.shift.into()).unwrap_or(0)) << bits;
        bits += u32::from(block.width);
        while bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(held as u8);
    }
}

#[derive(Clone, Copy, Debug)]
struct Block {
    base: u64,
    /// Bits a packed number, 0 to 64.
    width: u8,
    /// How many low bits all differences lack, 0 to 63.
    shift: u8,
    /// Where its numbers start in the data.
    at: usize,
}

impl Block {
    fn of(values: impl Iterator<Item = u64> + Clone, at: usize) -> Block {
        let base = values.clone().min().unwrap_or(0);
        let differences = values.fold(0, |all, value| all | (value - base));
        let shift = if differences == 0 { 0 } else { differences.trailing_zeros() };
        let width = 64 - (differences >> shift).leading_zeros();
        Block { base, width: width as u8, shift: shift as u8, at }
    }

    fn len(&self, rows: usize) -> usize {
        (usize::from(self.width) * rows).div_ceil(8)
    }
}

impl<'a> Column<'a> {
    /// Checks that the directory fits `rows` and the data; `at` is where the section stands.
    pub(super) fn parse(section: &'a [u8], rows: usize, at: u64) -> Result<Column<'a>, Error> {
        let mut reader = Reader::new(section, at);
        let blocks = rows.div_ceil(BLOCK);
        let directory = reader.bytes("column directory", blocks as u64 * ENTRY as u64)?;
        let column = Column { directory, data: reader.rest(), rows };
        let mut end = 0;
        for index in 0..blocks {
            let block = column.block(index);
            let at = at + (index * ENTRY) as u64;
            if block.width > 64 || block.shift > 63 || block.at != end {
                let found = u64::from(block.width) << 8 | u64::from(block.shift);
                let allowed = "width up to 64, shift up to 63, blocks without gaps";
                return Err(Error::Value { field: "column block", at, found, allowed });
            }
            end += block.len(column.rows_of(index));
        }
        let data = reader.bytes("column data", end as u64)?;
        reader.end("column")?;
        Ok(Column { data, ..column })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The number of a row; O(1).
    pub fn get(&self, row: usize) -> Option<u64> {
        if row >= self.rows {
            return None;
        }
        let block = self.block(row / BLOCK);
        Some(self.unpack(&block, row % BLOCK))
    }

    /// All numbers, by row.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        (0..self.rows.div_ceil(BLOCK)).flat_map(move |index| {
            let block = self.block(index);
            (0..self.rows_of(index)).map(move |row| self.unpack(&block, row))
        })
    }

    /// What `make` makes of each number, by row: in memory of the right size from the start.
    pub(super) fn rows<T>(&self, make: impl Fn(u64) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let mut rows = Vec::with_capacity(self.rows);
        for index in 0..self.rows.div_ceil(BLOCK) {
            let block = self.block(index);
            for row in 0..self.rows_of(index) {
                rows.push(make(self.unpack(&block, row))?);
            }
        }
        Ok(rows)
    }

    fn rows_of(&self, block: usize) -> usize {
        (self.rows - block * BLOCK).min(BLOCK)
    }

    fn block(&self, index: usize) -> Block {
        let entry = self.directory.get(index * ENTRY..(index + 1) * ENTRY).unwrap_or_default();
        let (base, rest) = entry.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let ([width, shift], rest) = rest.split_first_chunk().unwrap_or((&[0; 2], &[]));
        let at = rest.first_chunk().unwrap_or(&[0; 4]);
        Block {
            base: u64::from_le_bytes(*base),
            width: *width,
            shift: *shift,
            at: u32::from_le_bytes(*at) as usize,
        }
    }

    fn unpack(&self, block: &Block, row: usize) -> u64 {
        let bit = row * usize::from(block.width);
        let bytes = self.data.get(block.at + bit / 8..).unwrap_or_default();
        let held = match bytes.first_chunk::<16>() {
            Some(bytes) => u128::from_le_bytes(*bytes),
            None => {
                let mut padded = [0; 16];
                padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                u128::from_le_bytes(padded)
            }
        };
        let packed = (held >> (bit % 8)) as u64 & mask(block.width);
        block.base.wrapping_add(packed << block.shift)
    }
}

fn mask(width: u8) -> u64 {
    if width == 0 { 0 } else { u64::MAX >> (64 - u32::from(width.min(64))) }
}

/// Rows in a block.
const BLOCK: usize = 1024;
/// Bytes of a directory entry: base, width, shift, where the data starts.
const ENTRY: usize = 14;
