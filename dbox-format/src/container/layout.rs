//! Where in a record the bytes of a message lie.

use std::ops::Range;

use super::{CHUNK_WORD_LEN, SINGLE_CHUNK_MAX, TRAILER_LEN};
use crate::Error;

/// Maps offsets in a message to offsets in its record, without reading the record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    head_len: u64,
    chunk_size: u64, // the whole message if it is a single chunk; never 0
    message_len: u64,
}

impl Layout {
    pub(super) fn new(head_len: u64, chunk_size: u32, message_len: u64) -> Result<Self, Error> {
        // A third of u64: nothing computed below overflows, and no file is that long.
        let max = if chunk_size == 0 { SINGLE_CHUNK_MAX } else { u64::MAX / 3 };
        if message_len > max {
            return Err(Error::Range {
                field: "message length",
                at: 0,
                found: message_len,
                min: 0,
                max,
            });
        }
        let chunk_size = if chunk_size == 0 { message_len.max(1) } else { u64::from(chunk_size) };
        Ok(Self { head_len, chunk_size, message_len })
    }

    /// The length of the whole record.
    #[must_use]
    pub fn record_len(&self) -> u64 {
        let chunks = self.message_len.div_ceil(self.chunk_size).max(1);
        self.head_len + chunks * CHUNK_WORD_LEN as u64 + self.message_len + TRAILER_LEN as u64
    }

    /// The parts of the record that hold `part` of the message, in order, from the start of the record.
    ///
    /// What reaches past the end of the message is cut off, so that a partial FETCH may ask for anything.
    #[must_use]
    pub fn ranges(&self, part: Range<u64>) -> Ranges {
        Ranges { layout: *self, at: part.start, end: part.end.min(self.message_len) }
    }
}

/// The parts of a record that hold a part of its message; see [`Layout::ranges`].
#[derive(Clone, Debug)]
pub struct Ranges {
    layout: Layout,
    at: u64,
    end: u64,
}

impl Iterator for Ranges {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        if self.at >= self.end {
            return None;
        }
        let Layout { head_len, chunk_size, .. } = self.layout;
        let chunk = self.at / chunk_size;
        let stop = ((chunk + 1) * chunk_size).min(self.end);
        let framing = head_len + (chunk + 1) * CHUNK_WORD_LEN as u64;
        let range = framing + self.at..framing + stop;
        self.at = stop;
        Some(range)
    }
}
