//! The last 24 bytes of a record: what a streaming writer knows only at the end.

use super::TRAILER_LEN;
use crate::reader::Reader;
use crate::{Error, Seed};

/// Lengths and checksum of a record, at its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trailer {
    /// Bytes of the message, decoded.
    pub message_len: u64,
    /// Bytes of the record, from its magic to the end of the trailer.
    pub record_len: u64,
    /// CRC-32C of the message as stored, without length words.
    pub content_crc: u32,
}

impl Trailer {
    /// Reads a trailer from the last bytes of a record.
    ///
    /// # Errors
    /// [`Error::Checksum`]
    pub fn parse(bytes: &[u8; TRAILER_LEN], seed: Seed) -> Result<Self, Error> {
        let (trailer, stored, computed) = Self::parse_any(bytes);
        if stored != computed ^ seed.0 {
            let computed = computed ^ seed.0;
            return Err(Error::Checksum { what: "trailer of the record", at: 0, stored, computed });
        }
        Ok(trailer)
    }

    /// The seed with which this trailer's checksum would be right.
    pub(super) fn implied_seed(bytes: &[u8; TRAILER_LEN]) -> Seed {
        let (_, stored, computed) = Self::parse_any(bytes);
        Seed(stored ^ computed)
    }

    pub(super) fn write(&self, seed: Seed) -> [u8; TRAILER_LEN] {
        let mut out = Vec::with_capacity(TRAILER_LEN);
        out.extend_from_slice(&self.message_len.to_le_bytes());
        out.extend_from_slice(&self.record_len.to_le_bytes());
        out.extend_from_slice(&self.content_crc.to_le_bytes());
        let crc = seed.seal(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.try_into().expect("8 + 8 + 4 + 4 bytes were written")
    }

    fn parse_any(bytes: &[u8; TRAILER_LEN]) -> (Self, u32, u32) {
        const LONG_ENOUGH: &str = "the array holds all fields";
        let mut reader = Reader::new(bytes);
        let trailer = Self {
            message_len: reader.u64("message length").expect(LONG_ENOUGH),
            record_len: reader.u64("record length").expect(LONG_ENOUGH),
            content_crc: reader.u32("content checksum").expect(LONG_ENOUGH),
        };
        let stored = reader.u32("trailer checksum").expect(LONG_ENOUGH);
        let sealed = bytes.get(..TRAILER_LEN - 4).expect(LONG_ENOUGH);
        (trailer, stored, Seed(0).seal(sealed))
    }
}
