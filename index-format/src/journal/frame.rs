//! Records in a segment: length, checksum, payload; chained by length.

use super::Header;
use crate::checksum::Seeded;
use crate::wire::Reader;

/// A record that checks out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// Its number, counted over all segments.
    pub number: u64,
    /// Its first byte in the segment.
    pub start: u64,
    /// The first byte behind it.
    pub end: u64,
    /// What it carries: [`super::Record::decode`].
    pub payload: &'a [u8],
}

/// Why a segment ends where it does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// A length of zero, no room for a length, or where the next segment's header says.
    Clean,
    /// Bytes that are not a record.
    Torn,
}

/// The records of a segment that count, in order.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    /// The segment, up to where it may count.
    segment: &'a [u8],
    at: usize,
    seed: Seeded,
    number: u64,
    end: Option<End>,
}

impl<'a> Frames<'a> {
    /// The records of a whole segment whose header is `header`. `end` is what the next segment's header says about this
    /// one's end, when there is a next: nothing from there on counts. (Where the last record ends *below* it, records
    /// are missing: the caller compares [`Self::offset`].)
    pub fn new(segment: &'a [u8], header: &Header, end: Option<u64>) -> Frames<'a> {
        let len = end
            .and_then(|end| usize::try_from(end).ok())
            .map_or(segment.len(), |end| end.min(segment.len()));
        Frames {
            segment: segment.get(..len).unwrap_or_default(),
            at: Header::LEN,
            seed: Seeded::new(header.seed),
            number: header.first_record,
            end: None,
        }
    }

    /// Why it ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Where the next record starts, or the end is.
    pub fn offset(&self) -> u64 {
        self.at as u64
    }

    /// The number of the next record.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        if self.end.is_some() {
            return None;
        }
        let rest = self.segment.get(self.at..).unwrap_or_default();
        match read(self.seed, self.number, rest) {
            Ok(payload) => {
                let (start, number) = (self.at as u64, self.number);
                self.at += HEAD + payload.len();
                self.number += 1;
                Some(Frame { number, start, end: self.at as u64, payload })
            }
            Err(end) => {
                self.end = Some(end);
                None
            }
        }
    }
}

fn read(seed: Seeded, number: u64, bytes: &[u8]) -> Result<&[u8], End> {
    let mut reader = Reader::new(bytes, 0);
    let Ok(len) = reader.array::<4>("length") else {
        // Too short for a length: nothing was ever written here, unless it isn't zeros.
        return Err(if bytes.iter().all(|&byte| byte == 0) { End::Clean } else { End::Torn });
    };
    if len == [0; 4] {
        return Err(End::Clean);
    }
    let sum = reader.u32("checksum").map_err(|_| End::Torn)?;
    let payload = reader.bytes("payload", u32::from_le_bytes(len).into()).map_err(|_| End::Torn)?;
    match sum == checksum(seed, number, len, payload) {
        true => Ok(payload),
        false => Err(End::Torn),
    }
}

/// Covers the record's number, so that a record of this segment in another's place does not check out.
pub(super) fn checksum(seed: Seeded, number: u64, len: [u8; 4], payload: &[u8]) -> u32 {
    seed.of(&[&number.to_le_bytes(), &len, payload])
}

/// Length and checksum.
pub(super) const HEAD: usize = 8;
