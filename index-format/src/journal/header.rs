//! The header of a segment.

use super::{Header, Previous};
use crate::checksum::crc;
use crate::wire::Reader;
use crate::{Error, Guid};

impl Header {
    /// The length of a header in bytes; the first record stands behind it. A block of its own, so that writing the first
    /// record never writes the header again.
    pub const LEN: usize = 4096;
    /// The version this program writes, and the newest it reads.
    pub const VERSION: u16 = 1;

    /// Reads the header of a segment.
    ///
    /// # Errors
    /// Too short, not a segment, a newer version, a checksum that does not match.
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        let bytes: [u8; Self::LEN] = Reader::new(file, 0).array("journal header")?;
        let mut reader = Reader::new(&bytes, 0);
        let found = reader.array("magic")?;
        if found != MAGIC {
            return Err(Error::Magic { what: "journal segment", expected: MAGIC, found });
        }
        let version = reader.u16("version")?;
        if version != Self::VERSION {
            return Err(Error::Version {
                what: "journal segment",
                found: version,
                supported: Self::VERSION,
            });
        }
        let reserved = reader.u16("reserved")?;
        let flags = reader.u32("flags")?;
        let store = Guid(reader.array("store")?);
        let segment = reader.u64("segment")?;
        let previous_segment = reader.u64("previous segment")?;
        let previous_end = reader.u64("previous end")?;
        let seed = reader.u64("seed")?;
        let first_record = reader.u64("first record")?;
        let epoch = reader.u32("epoch")?;
        let computed = crc(bytes.get(..COVERED).unwrap_or_default());
        let found = reader.u32("header checksum")?;
        if found != computed {
            return Err(Error::Checksum { what: "journal header", at: 0, found, computed });
        }
        if reserved != 0 {
            return Err(Error::Value {
                field: "reserved",
                at: 10,
                found: reserved.into(),
                allowed: "0",
            });
        }
        if previous_segment == 0 && previous_end != 0 {
            let allowed = "0 when there is no previous segment";
            return Err(Error::Value {
                field: "previous end",
                at: 48,
                found: previous_end,
                allowed,
            });
        }
        let previous = (previous_segment > 0)
            .then_some(Previous { segment: previous_segment, end: previous_end });
        Ok(Header { store, segment, previous, seed, first_record, epoch, flags })
    }

    /// Writes the header at the end of `out`, which should be empty. Segments are counted from 1.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&Self::VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&self.store.0);
        out.extend_from_slice(&self.segment.to_le_bytes());
        let (segment, end) =
            self.previous.map_or((0, 0), |previous| (previous.segment, previous.end));
        out.extend_from_slice(&segment.to_le_bytes());
        out.extend_from_slice(&end.to_le_bytes());
        out.extend_from_slice(&self.seed.to_le_bytes());
        out.extend_from_slice(&self.first_record.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        debug_assert_eq!(out.len() - start, COVERED);
        let sum = crc(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&sum.to_le_bytes());
        out.resize(start + Self::LEN, 0);
    }
}

const MAGIC: [u8; 8] = *b"LOFTjrn\n";
/// The bytes the header's checksum covers; it stands behind them, then zeros.
const COVERED: usize = 76;
