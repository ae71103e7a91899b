//! Goes through a container of which nothing is known but its bytes: for `check`, `dump` and rebuilding a store.

use std::collections::BTreeMap;
use std::ops::Range;

use super::head::implied_seed;
use super::{
    CHUNK_WORD_LEN, FIXED_HEAD_LEN, FileHeader, LAST_CHUNK, RECORD_MAGIC, Record, TRAILER_LEN,
    Trailer,
};
use crate::{Error, Seed};

/// Goes through all records of `file`; finds the seed in its header or, if that is damaged, from the records.
#[must_use]
pub fn walk(file: &[u8]) -> Walk<'_> {
    let header = FileHeader::parse(file);
    let seed = header.as_ref().map_or_else(|_| guess_seed(file), |header| header.seed);
    Walk { file, at: 0, seed, header: Some(header) }
}

/// Goes through all records of `file` with a seed known from elsewhere (the account's map has it).
#[must_use]
pub fn walk_with_seed(file: &[u8], seed: Seed) -> Walk<'_> {
    Walk { file, at: 0, seed, header: Some(FileHeader::parse(file)) }
}

/// One thing that a [`Walk`] found. Together they cover the file, in order, without gap or overlap.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Found<'a> {
    /// The file's header; first, if it is whole.
    Header(FileHeader),
    /// A whole record.
    Record {
        /// Where it starts in the file.
        at: u64,
        /// The record.
        record: Record<'a>,
    },
    /// Zeros between records or at the end: room that was assigned and never written.
    Unwritten {
        /// Where the zeros lie.
        range: Range<u64>,
    },
    /// Bytes that are no record.
    Damage {
        /// Where they lie; the next record, if any, starts at the end.
        range: Range<u64>,
        /// What is wrong with the record that should start here; `at` counts from the start of the range.
        error: Error,
    },
}

/// Goes through a container; see [`walk`].
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    file: &'a [u8],
    at: usize,
    seed: Seed,
    header: Option<Result<FileHeader, Error>>,
}

impl Walk<'_> {
    /// The seed that is used.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.seed
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        let rest = self.file.get(self.at..).filter(|rest| !rest.is_empty())?;
        let start = self.at;
        if let Some(header) = self.header.take() {
            self.at = FileHeader::LEN.min(self.file.len());
            let range = 0..self.at as u64;
            return Some(header.map_or_else(|error| Found::Damage { range, error }, Found::Header));
        }
        let zeros = rest.iter().take_while(|byte| **byte == 0).count();
        if zeros > 0 {
            self.at += zeros;
            return Some(Found::Unwritten { range: start as u64..self.at as u64 });
        }
        match Record::parse_prefix(rest, self.seed) {
            Ok(record) => {
                self.at += usize::try_from(record.len()).unwrap_or(rest.len());
                Some(Found::Record { at: start as u64, record })
            }
            Err(error) => {
                self.at += self.damaged(rest);
                Some(Found::Damage { range: start as u64..self.at as u64, error })
            }
        }
    }
}

impl Walk<'_> {
    /// How many bytes to pass over from a damaged record to the next whole one.
    fn damaged(&self, rest: &[u8]) -> usize {
        // Only the message is damaged, the framing is whole: the record's own length holds.
        if let Ok(record) = Record::parse_framing(rest, self.seed) {
            return usize::try_from(record.len()).unwrap_or(rest.len());
        }
        let mut from = 1;
        while let Some(place) = find_magic(rest, from) {
            // The head's seeded checksum decides; the record itself is looked at by the next step.
            let fixed = rest.get(place..).and_then(|rest| rest.first_chunk::<FIXED_HEAD_LEN>());
            if fixed.is_some_and(|fixed| implied_seed(fixed) == self.seed) {
                return place;
            }
            from = place + 1;
        }
        rest.len()
    }
}

fn find_magic(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(RECORD_MAGIC.len())
        .position(|window| window == RECORD_MAGIC)
        .map(|place| from + place)
}

/// The seed on which most of the file agrees, by bytes covered.
///
/// Whoever mails us forged records can give them a seed of their own, but they lie inside records of ours, which
/// cover more bytes than all that they contain. (With the header lost, the map lost and a record of ours damaged,
/// what was forged in that one may outweigh what little else is in the file; a seed from the map settles it.)
/// Takes one pass: a record counts only if it has a single chunk and its trailer, looked up through that chunk's
/// length, needs the same seed as its head. A record of several chunks is alone in its container, behind the header.
fn guess_seed(file: &[u8]) -> Seed {
    let mut covered: BTreeMap<Seed, (usize, usize)> = BTreeMap::new(); // seed → (bytes, end of the last)
    let (mut best, mut most) = (Seed(0), 0);
    if let Some((seed, len)) = file.get(FileHeader::LEN..).and_then(first_record) {
        (best, most) = (seed, len);
        covered.insert(seed, (len, FileHeader::LEN + len));
    }
    let mut from = FileHeader::LEN.min(file.len());
    while let Some(place) = find_magic(file, from) {
        from = place + 1;
        let Some((seed, len)) = file.get(place..).and_then(single_chunk_record) else { continue };
        let (bytes, end) = covered.entry(seed).or_default();
        if place >= *end {
            (*bytes, *end) = (*bytes + len, place + len);
        }
        if *bytes > most {
            (most, best) = (*bytes, seed);
        }
    }
    best
}

/// Seed and length of the record at the front of `bytes`, of however many chunks.
fn first_record(bytes: &[u8]) -> Option<(Seed, usize)> {
    let seed = implied_seed(bytes.first_chunk()?);
    let record = Record::parse_framing(bytes, seed).ok()?;
    Some((seed, usize::try_from(record.len()).ok()?))
}

/// Seed and length of the record at the front of `bytes`, if head and trailer agree on the seed.
fn single_chunk_record(bytes: &[u8]) -> Option<(Seed, usize)> {
    let (fixed, rest) = bytes.split_first_chunk::<FIXED_HEAD_LEN>()?;
    let names_len = u16::from_le_bytes(*fixed.get(54..)?.first_chunk()?);
    let (word, rest) = rest.get(usize::from(names_len)..)?.split_first_chunk::<CHUNK_WORD_LEN>()?;
    let word = u32::from_le_bytes(*word);
    let trailer = rest.get((word & !LAST_CHUNK) as usize..)?.first_chunk::<TRAILER_LEN>()?;
    let seed = implied_seed(fixed);
    let len = FIXED_HEAD_LEN
        + usize::from(names_len)
        + CHUNK_WORD_LEN
        + (word & !LAST_CHUNK) as usize
        + TRAILER_LEN;
    (word & LAST_CHUNK != 0 && Trailer::implied_seed(trailer) == seed).then_some((seed, len))
}
