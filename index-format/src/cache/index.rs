//! Which rows a file has for a message.

use super::block::{Block, CODEC_PLAIN, HEAD, read_rows};
use super::{Field, Fields, Header};
use crate::MapId;
use crate::checksum::Seeded;

/// Where the fields of one row stand in the file; [`Fields::new`] reads them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// The first byte.
    pub start: u64,
    /// How many.
    pub len: u32,
}

/// Where the rows of each message are in a file. Owned, so that it may outlive the bytes; 24 bytes a row.
#[derive(Clone, Debug)]
pub struct Index {
    header: Header,
    /// Whose rows count; `None` for everybody's.
    maker: Option<u16>,
    end: u64,
    /// By slot, and by age within one.
    rows: Vec<(u32, [u8; 4], Place)>,
}

impl Index {
    /// The index of a file that has only its header.
    pub fn new(header: Header) -> Index {
        Index { end: header.len() as u64, header, maker: None, rows: Vec::new() }
    }

    /// The same, of a file of which only those rows count that this `maker` has made.
    pub fn of_maker(header: Header, maker: u16) -> Index {
        Index { maker: Some(maker), ..Index::new(header) }
    }

    /// Takes in what stands from [`Self::end`] on; stops at the first block that does not check out.
    pub fn extend(&mut self, tail: &[u8]) {
        let seed = Seeded::new(self.header.seed);
        let mut rest = tail;
        while let Some(Block { codec, maker, payload }) = Block::read(seed, rest) {
            let base = self.end + HEAD as u64;
            if codec == CODEC_PLAIN && self.maker.is_none_or(|wanted| wanted == maker) {
                let Ok(rows) = read_rows(payload, self.header.span) else { break };
                let place = |start, len| Place { start: base + start, len };
                self.rows
                    .extend(rows.iter().map(|row| (row.slot, row.guid, place(row.start, row.len))));
            }
            self.end = base + payload.len() as u64;
            rest = rest.get(HEAD + payload.len()..).unwrap_or_default();
        }
        let by_age = |row: &(u32, [u8; 4], Place)| (row.0, row.2.start);
        // Most often they are written in this order.
        if !self.rows.is_sorted_by_key(by_age) {
            self.rows.sort_by_key(by_age);
        }
    }

    /// The rows of a message whose GUID starts with `guid`, the latest first.
    pub fn rows(&self, map_id: MapId, guid: [u8; 4]) -> impl Iterator<Item = Place> + '_ {
        let rows = self.header.slot(map_id).map_or(&[][..], |slot| self.of_slot(slot));
        rows.iter().rev().filter(move |row| row.1 == guid).map(|row| row.2)
    }

    fn of_slot(&self, slot: u32) -> &[(u32, [u8; 4], Place)] {
        // Usually each message has one row, and its place is its slot.
        let guess = slot as usize;
        let is_of = |at: usize| self.rows.get(at).is_some_and(|row| row.0 == slot);
        if is_of(guess) && !is_of(guess + 1) && (guess == 0 || !is_of(guess - 1)) {
            return self.rows.get(guess..=guess).unwrap_or_default();
        }
        let from = self.rows.partition_point(|row| row.0 < slot);
        let to = self.rows.partition_point(|row| row.0 <= slot);
        self.rows.get(from..to).unwrap_or_default()
    }

    /// What the file covers.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The first byte that does not count. The next block may be appended only when this is the end of the file; else
    /// the file is made anew.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// All rows, by message and age: map id, start of the GUID, place.
    pub fn iter(&self) -> impl Iterator<Item = (MapId, [u8; 4], Place)> + '_ {
        self.rows.iter().map(|&(slot, guid, place)| {
            (MapId(self.header.first.0.saturating_add(slot)), guid, place)
        })
    }
}

/// A cache file, borrowed, with its index.
#[derive(Clone, Debug)]
pub struct CacheFile<'a> {
    bytes: &'a [u8],
    index: Index,
}

impl<'a> CacheFile<'a> {
    /// Reads as much of a file as checks out; what does not is a miss. `None` when the header does not check out.
    pub fn parse(bytes: &'a [u8]) -> Option<CacheFile<'a>> {
        let mut index = Index::new(Header::parse(bytes).ok()?);
        index.extend(bytes.get(index.header.len()..)?);
        Some(CacheFile { bytes, index })
    }

    /// A value, when it is there and belongs to the message whose GUID starts with `guid`.
    pub fn get(&self, map_id: MapId, guid: [u8; 4], field: Field<'_>) -> Option<&'a [u8]> {
        self.index.rows(map_id, guid).find_map(|place| {
            let mut fields = Fields::new(self.bytes_of(place));
            fields.find(|&(found, _)| found == field).map(|(_, value)| value)
        })
    }

    /// The bytes of a row, for [`Fields::new`]; empty for a place of another file.
    pub fn bytes_of(&self, place: Place) -> &'a [u8] {
        let start = usize::try_from(place.start).ok();
        let range = start.and_then(|start| Some(start..start.checked_add(place.len as usize)?));
        range.and_then(|range| self.bytes.get(range)).unwrap_or_default()
    }

    /// The index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The index, to be kept without the bytes.
    pub fn into_index(self) -> Index {
        self.index
    }

    /// See [`Index::end`].
    pub fn end(&self) -> u64 {
        self.index.end
    }
}
