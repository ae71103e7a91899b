//! The 64 bytes a container starts with.

use super::{FILE_HEADER_LEN, FILE_MAGIC, VERSION};
use crate::checksum::crc32c;
use crate::reader::Reader;
use crate::{Error, Guid, Seed};

/// What a container says about itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FileHeader {
    /// Bits of later versions; unknown ones are kept.
    pub flags: u32,
    /// The container's number, as in its path.
    pub number: u32,
    /// The secret its records' checksums are stored with.
    pub seed: Seed,
    /// The account or store it belongs to.
    pub owner: Guid,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// Room for later versions: zero when written by this one, kept when read.
    pub reserved: [u8; 12],
}

impl FileHeader {
    /// Bytes written.
    pub const LEN: usize = FILE_HEADER_LEN as usize;

    /// Reads the header at the front of `file`.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Magic`], [`Error::Version`] for a newer file, [`Error::Checksum`].
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(file);
        let magic: &[u8; 8] = reader.array("magic")?;
        if *magic != FILE_MAGIC {
            let [a, b, c, d, ..] = *magic;
            return Err(Error::Magic { what: "container", at: 0, found: [a, b, c, d] });
        }
        // The version comes before the checksum: a newer version may have another header.
        let version = reader.u16("version")?;
        if version > VERSION {
            return Err(Error::Version { what: "container", found: version, supported: VERSION });
        }
        exactly("version", 8, u64::from(version), u64::from(VERSION))?;
        exactly("header length", 10, u64::from(reader.u16("header length")?), Self::LEN as u64)?;
        let header = Self {
            flags: reader.u32("flags")?,
            number: reader.u32("number")?,
            seed: Seed(reader.u32("seed")?),
            owner: Guid(*reader.array("owner")?),
            created: reader.i64("created")?,
            reserved: *reader.array("reserved")?,
        };
        let end = usize::try_from(reader.at()).unwrap_or(usize::MAX);
        let stored = reader.u32("header checksum")?;
        let computed = crc32c(file.get(..end).unwrap_or_default());
        if stored != computed {
            return Err(Error::Checksum {
                what: "the container's header",
                at: 0,
                stored,
                computed,
            });
        }
        Ok(header)
    }

    /// Appends the header, [`LEN`](Self::LEN) bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&FILE_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(Self::LEN as u16).to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.seed.0.to_le_bytes());
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.created.to_le_bytes());
        out.extend_from_slice(&self.reserved);
        let crc = crc32c(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_le_bytes());
        debug_assert_eq!(out.len() - start, Self::LEN);
    }
}

fn exactly(field: &'static str, at: u64, found: u64, wanted: u64) -> Result<(), Error> {
    if found == wanted {
        Ok(())
    } else {
        Err(Error::Range { field, at, found, min: wanted, max: wanted })
    }
}
