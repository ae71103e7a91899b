//! Dictionaries: what many messages of a store have in common, so that each of them need not bring it along.
//!
//! ```text
//! file = header (64) content
//! ```
//!
//! Records name a dictionary by its number, so none of them can be read once it is lost: it is kept twice (see
//! [`paths::dictionary`](crate::paths::dictionary)), and for as long as any record names it.

use crate::checksum::crc32c;
use crate::reader::Reader;
use crate::{Error, Guid};

/// Starts a dictionary's file.
pub const DICTIONARY_MAGIC: [u8; 8] = *b"\x89LDic\r\n\x1a";
/// The version of the format written and the newest one read.
const VERSION: u16 = 1;
const HEADER_LEN: usize = 64;
/// The longest content of a dictionary: bounds what its reader and every compressor hold.
pub const DICTIONARY_MAX: usize = 1 << 20;

/// A dictionary: a number that records name, and its content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dictionary {
    /// Its number, from 1; none is given twice for other content.
    pub number: u32,
    /// The account or store it belongs to.
    pub owner: Guid,
    /// When it was made, in seconds since 1970.
    pub created: i64,
    /// As zstd reads it: either trained or any text.
    pub content: Vec<u8>,
}

impl Dictionary {
    /// Reads a dictionary's file.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Magic`], [`Error::Version`], [`Error::Range`], [`Error::Checksum`],
    /// [`Error::Trailing`].
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(file);
        let magic: &[u8; 8] = reader.array("magic")?;
        if *magic != DICTIONARY_MAGIC {
            let [a, b, c, d, ..] = *magic;
            return Err(Error::Magic { what: "dictionary", at: 0, found: [a, b, c, d] });
        }
        let version = reader.u16("version")?;
        if version > VERSION {
            return Err(Error::Version { what: "dictionary", found: version, supported: VERSION });
        }
        range("version", 8, u64::from(version), 1, VERSION.into())?;
        let header_len = reader.u16("header length")?;
        range("header length", 10, header_len.into(), HEADER_LEN as u64, HEADER_LEN as u64)?;
        let number = reader.u32("number")?;
        let owner = Guid(*reader.array("owner")?);
        let created = reader.i64("created")?;
        let len = reader.u32("content length")?;
        let stored = reader.u32("content checksum")?;
        let reserved: &[u8; 12] = reader.array("reserved")?;
        let sealed = file.get(..HEADER_LEN - 4).unwrap_or_default();
        check("the dictionary's header", 0, reader.u32("header checksum")?, sealed)?;
        // Behind the checksum, so that a flipped bit is called one.
        range("number", 12, number.into(), 1, u32::MAX.into())?;
        range("content length", 40, len.into(), 0, DICTIONARY_MAX as u64)?;
        range("reserved", 48, reserved.iter().copied().map(u64::from).sum(), 0, 0)?;
        let content = reader.bytes("content", len.into())?;
        check("the dictionary's content", HEADER_LEN as u64, stored, content)?;
        if !reader.is_empty() {
            let (at, count) = (reader.at(), reader.left());
            return Err(Error::Trailing { what: "the dictionary", at, count });
        }
        Ok(Self { number, owner, created, content: content.to_vec() })
    }

    /// Appends the file.
    ///
    /// # Errors
    /// [`Error::TooLong`] if the content passes [`DICTIONARY_MAX`]; [`Error::Range`] for the number 0.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let (found, max) = (self.content.len() as u64, DICTIONARY_MAX as u64);
        if found > max {
            return Err(Error::TooLong { field: "dictionary", found, max });
        }
        range("number", 12, self.number.into(), 1, u32::MAX.into())?;
        let start = out.len();
        out.extend_from_slice(&DICTIONARY_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(HEADER_LEN as u16).to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.created.to_le_bytes());
        // Fits: compared above.
        out.extend_from_slice(&(found as u32).to_le_bytes());
        out.extend_from_slice(&crc32c(&self.content).to_le_bytes());
        out.extend_from_slice(&[0; 12]);
        let crc = crc32c(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_le_bytes());
        debug_assert_eq!(out.len() - start, HEADER_LEN);
        out.extend_from_slice(&self.content);
        Ok(())
    }

    /// Makes the content of a dictionary of at most `max` bytes from sample messages; `None` if they are too few.
    ///
    /// Takes about 100 times as long as compressing the samples; a hundred times `max` of them is plenty. Samples are
    /// best whole messages without their attachments, a few KiB each.
    #[cfg(feature = "zstd")]
    #[must_use]
    pub fn train<S: AsRef<[u8]>>(samples: &[S], max: usize) -> Option<Vec<u8>> {
        // zstd says "no" in several ways, all of which mean that there is too little to learn from.
        zstd::dict::from_samples(samples, max.min(DICTIONARY_MAX)).ok()
    }
}

fn check(what: &'static str, at: u64, stored: u32, bytes: &[u8]) -> Result<(), Error> {
    let computed = crc32c(bytes);
    if stored == computed {
        return Ok(());
    }
    Err(Error::Checksum { what, at, stored, computed })
}

fn range(field: &'static str, at: u64, found: u64, min: u64, max: u64) -> Result<(), Error> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(Error::Range { field, at, found, min, max })
}
