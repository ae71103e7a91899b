//! Where in a record the chunks of a compressed text lie: found from the table behind the last of them.

use std::ops::Range;

use super::{CHUNK_WORD_LEN, PACKED_CHUNK_MAX, PACKED_CHUNKS_MAX, SINGLE_CHUNK_MAX, TRAILER_LEN};
use crate::Error;
use crate::checksum::crc32c;
use crate::reader::Reader;

/// Bytes of one entry of the table: the stored length of a chunk.
const ENTRY_LEN: u64 = 4;

/// Where a compressed text's chunks lie, as far as its lengths tell; see [`Head::packed_layout`](super::Head::packed_layout).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PackedLayout {
    head_len: u64,
    chunk_size: u64, // 0: a single chunk, without a table
    text_len: u64,
    record_len: u64,
}

impl PackedLayout {
    pub(super) fn new(
        head_len: u64,
        chunk_size: u32,
        text_len: u64,
        record_len: u64,
    ) -> Result<Self, Error> {
        let chunk_size = u64::from(chunk_size);
        let max =
            if chunk_size == 0 { PACKED_CHUNK_MAX.into() } else { chunk_size * PACKED_CHUNKS_MAX };
        let min = u64::from(chunk_size > 0);
        if !(min..=max).contains(&text_len) {
            return Err(Error::Range { field: "message length", at: 0, found: text_len, min, max });
        }
        let layout = Self { head_len, chunk_size, text_len, record_len };
        let min = head_len
            + layout.chunk_count() * CHUNK_WORD_LEN as u64
            + layout.table_len().map_or(0, |len| len + CHUNK_WORD_LEN as u64)
            + TRAILER_LEN as u64;
        // A chunk's length fits its word, so the sums below don't overflow.
        let max = min + layout.chunk_count() * SINGLE_CHUNK_MAX;
        if !(min..=max).contains(&record_len) {
            return Err(Error::Range {
                field: "record length",
                at: 0,
                found: record_len,
                min,
                max,
            });
        }
        Ok(layout)
    }

    /// Where the table lies in the record: read it, and give it to [`chunks`](Self::chunks). `None` if there is a
    /// single chunk and no table.
    #[must_use]
    pub fn table(&self) -> Option<Range<u64>> {
        let end = self.record_len - TRAILER_LEN as u64;
        self.table_len().map(|len| end - len..end)
    }

    /// Reads the table (nothing if there is none), and checks it.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Trailing`]; [`Error::Checksum`]; [`Error::Range`] if its lengths don't add up to the
    /// record's.
    pub fn chunks(&self, table: &[u8]) -> Result<ChunkTable, Error> {
        let at = self.record_len - TRAILER_LEN as u64 - self.table_len().unwrap_or(0);
        let single = at - self.head_len - CHUNK_WORD_LEN as u64;
        let lengths =
            if self.chunk_size == 0 { vec![single as u32] } else { read_table(table, at)? };
        let mut sum = self.table_len().map_or(0, |len| len + CHUNK_WORD_LEN as u64);
        sum += lengths.iter().map(|len| u64::from(*len) + CHUNK_WORD_LEN as u64).sum::<u64>();
        let wanted = self.record_len - self.head_len - TRAILER_LEN as u64;
        if lengths.len() as u64 != self.chunk_count() || sum != wanted {
            return Err(Error::Range {
                field: "chunks of the table",
                at,
                found: sum,
                min: wanted,
                max: wanted,
            });
        }
        Ok(ChunkTable { layout: *self, lengths })
    }

    fn chunk_count(&self) -> u64 {
        if self.chunk_size == 0 { 1 } else { self.text_len.div_ceil(self.chunk_size) }
    }

    fn table_len(&self) -> Option<u64> {
        (self.chunk_size > 0).then(|| self.chunk_count() * ENTRY_LEN + ENTRY_LEN)
    }
}

/// The stored length of each chunk of a compressed text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChunkTable {
    layout: PackedLayout,
    lengths: Vec<u32>,
}

/// A chunk that holds some of the text asked for: read `stored`, and give it to
/// [`Decoder::part`](crate::compress::Decoder::part).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    /// Where in the record its stored bytes lie, without the length word.
    pub stored: Range<u64>,
    /// Bytes of text in the whole chunk.
    pub text_len: usize,
    /// Which of them were asked for.
    pub wanted: Range<usize>,
}

impl ChunkTable {
    /// The chunks that hold `part` of the text, in order. What reaches past the end of the text is cut off.
    pub fn parts(&self, part: Range<u64>) -> impl Iterator<Item = Part> + '_ {
        let PackedLayout { head_len, chunk_size, text_len, .. } = self.layout;
        let step = if chunk_size == 0 { text_len } else { chunk_size };
        let mut stored_at = head_len;
        let mut text_at = 0;
        let chunks = self.lengths.iter().map(move |len| {
            let stored = stored_at + CHUNK_WORD_LEN as u64;
            stored_at = stored + u64::from(*len);
            let text = text_at..(text_at + step).min(text_len);
            text_at = text.end;
            (stored..stored_at, text)
        });
        chunks.filter_map(move |(stored, text)| {
            let (from, to) = (part.start.max(text.start), part.end.min(text.end));
            // Chunks have at most 1 MiB of text.
            let wanted =
                from.saturating_sub(text.start) as usize..to.saturating_sub(text.start) as usize;
            let text_len = (text.end - text.start) as usize;
            (from < to).then_some(Part { stored, text_len, wanted })
        })
    }
}

/// Appends the table, as the bytes of the last chunk.
pub(super) fn write_table(lengths: &[u32], out: &mut Vec<u8>) {
    let start = out.len();
    lengths.iter().for_each(|len| out.extend_from_slice(&len.to_le_bytes()));
    let crc = crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The lengths of a table, checked; `at` is where it stands in the record.
pub(super) fn read_table(table: &[u8], at: u64) -> Result<Vec<u32>, Error> {
    let (entries, stored) = table.split_last_chunk::<4>().ok_or(Error::Truncated {
        field: "table of chunks",
        at,
        need: ENTRY_LEN,
        have: table.len() as u64,
    })?;
    let (stored, computed) = (u32::from_le_bytes(*stored), crc32c(entries));
    if stored != computed {
        return Err(Error::Checksum { what: "table of chunks", at, stored, computed });
    }
    let mut reader = Reader::new(entries);
    let mut lengths = Vec::with_capacity(entries.len() / ENTRY_LEN as usize);
    while !reader.is_empty() {
        lengths.push(reader.u32("entry of the table of chunks")?);
    }
    Ok(lengths)
}
