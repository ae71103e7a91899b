//! What FETCH, SORT and SEARCH would otherwise parse again, by map id (`docs/formats/cache.md`).
//!
//! Disposable: a file that is damaged, cut, of another store or gone is a miss, never an error. A file covers a fixed
//! range of map ids and is only appended to; rows of one message in several blocks add up, the later one wins a field.

use crate::{Error, Guid, MapId};

/// The usual number of map ids a file covers.
pub const SPAN: u32 = 1024;
/// The longest row, in bytes of all its fields.
pub const ROW_MAX: usize = 1 << 20;

/// What a cached value is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Field<'a> {
    /// ENVELOPE in wire form.
    Envelope,
    /// BODY in wire form.
    Body,
    /// BODYSTRUCTURE in wire form.
    BodyStructure,
    /// The whole header block, as in the message.
    Header,
    /// The header fields of this name (lower case), as in the message, one after the other; empty when there are none.
    HeaderField(&'a [u8]),
    /// PREVIEW (RFC 8970).
    Preview,
    /// Where the parts of the message are, in the form of the program that wrote it.
    Layout,
    /// A field this version knows no name for; numbers from 32 on.
    Other(u16),
}

/// The header of a cache file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The store.
    pub owner: Guid,
    /// The first map id it covers.
    pub first: MapId,
    /// How many.
    pub span: u32,
    /// The random start of every checksum in this file. Never shown to anyone.
    pub seed: u64,
}

/// One message's values, to be written.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// The message.
    pub map_id: MapId,
    /// The first four bytes of its GUID.
    pub guid: [u8; 4],
    /// The values, each field at most once.
    pub fields: &'a [(Field<'a>, &'a [u8])],
}

/// Where the rows of each message are in a file. Owned, so that it may outlive the bytes.
#[derive(Clone, Debug, Default)]
pub struct Index {
    end: u64,
}

/// A cache file, borrowed, with its index.
#[derive(Clone, Debug)]
pub struct CacheFile<'a> {
    bytes: &'a [u8],
    index: Index,
}

impl Header {
    /// The length of a header in bytes.
    pub const LEN: usize = 64;
    /// The version this program writes, and the only one it reads.
    pub const VERSION: u16 = 1;

    /// Writes the header at the end of `out`, which should be empty.
    pub fn write(&self, out: &mut Vec<u8>) {
        let _ = out;
    }

    /// Reads a header.
    ///
    /// # Errors
    /// Not a cache file of this version, or a header that does not check out: the file is to be made anew.
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        Err(Error::Trailing { what: "cache", at: 0, count: file.len() as u64 })
    }
}

/// Writes rows as one block at the end of `out`; it reaches the file with one append. `group` names the fields that are
/// kept together; 0 for now.
///
/// # Errors
/// [`Error::TooLong`] when a row, or all of them, are longer than a block carries.
pub fn write_rows(
    header: &Header,
    group: u16,
    rows: &[Row<'_>],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let _ = (header, group, rows, out);
    Ok(())
}

impl<'a> CacheFile<'a> {
    /// Reads as much of a file as checks out; what does not is a miss. `None` when the header does not check out.
    pub fn parse(bytes: &'a [u8]) -> Option<CacheFile<'a>> {
        Header::parse(bytes).ok()?;
        Some(CacheFile { bytes, index: Index::default() })
    }

    /// A value, when it is there and belongs to the message whose GUID starts with `guid`.
    pub fn get(&self, map_id: MapId, guid: [u8; 4], field: Field<'_>) -> Option<&'a [u8]> {
        let _ = (map_id, guid, field);
        self.bytes.get(..0).filter(|_| self.index.end > 0)
    }

    /// The index, to be kept without the bytes.
    pub fn into_index(self) -> Index {
        self.index
    }

    /// The first byte that does not count; the next block may be appended only when this is the end of the file.
    pub fn end(&self) -> u64 {
        self.index.end
    }
}
