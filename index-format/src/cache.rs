//! What FETCH, SORT and SEARCH would otherwise parse again, by map id (`docs/formats/cache.md`).
//!
//! Disposable: a file that is damaged, cut, of another store or gone is a miss, never an error. A file covers a fixed
//! range of map ids and is only appended to; rows of one message in several blocks add up, the later one wins a field.

mod block;
mod index;

use crate::checksum::crc;
use crate::wire::Reader;
use crate::{Error, Guid, MapId};

pub use block::{BLOCK_MAX, Fields, encode_fields, write_encoded, write_rows};
pub use index::{CacheFile, Index, Place};

/// The usual number of map ids a file covers.
pub const SPAN: u32 = 1024;
/// The longest row, in bytes of all its fields.
pub const ROW_MAX: usize = 1 << 20;

/// The names, in lower case and sorted, of the header fields that programs ask for when they list mail.
///
/// [`Field::HeaderCommon`] means exactly these: another list is another field.
pub const COMMON_HEADER: [&[u8]; 25] = [
    b"bcc",
    b"cc",
    b"content-transfer-encoding",
    b"content-type",
    b"date",
    b"delivered-to",
    b"from",
    b"importance",
    b"in-reply-to",
    b"list-id",
    b"list-post",
    b"list-unsubscribe",
    b"mailing-list",
    b"message-id",
    b"mime-version",
    b"newsgroups",
    b"priority",
    b"references",
    b"reply-to",
    b"return-path",
    b"sender",
    b"subject",
    b"to",
    b"x-mailer",
    b"x-priority",
];

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
    /// The header fields whose names are in [`COMMON_HEADER`], as in the message and in its order, and its empty line
    /// if it has one.
    HeaderCommon,
    /// A field this version knows no name for; numbers from [`Field::OTHER_LEAST`] on.
    Other(u16),
}

/// The header of a cache file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Whose: in the store, the account.
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

impl Header {
    /// The length of a header in bytes; the first block stands behind it.
    pub const LEN: usize = 48;
    /// The version this program writes, and the only one it reads.
    pub const VERSION: u16 = 1;

    /// The header of the file that covers `map_id`, [`SPAN`] ids in all.
    pub fn covering(owner: Guid, map_id: MapId, seed: u64) -> Header {
        Header { owner, first: MapId(map_id.0 - map_id.0 % SPAN), span: SPAN, seed }
    }

    /// Where a map id stands in this file's range, if it does.
    pub fn slot(&self, map_id: MapId) -> Option<u32> {
        map_id.0.checked_sub(self.first.0).filter(|&slot| slot < self.span)
    }

    /// Reads a header.
    ///
    /// # Errors
    /// Not a cache file of this version, or a header that does not check out: the file is to be made anew.
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        let bytes: [u8; Self::LEN] = Reader::new(file, 0).array("cache header")?;
        let mut reader = Reader::new(&bytes, 0);
        let found = reader.array("magic")?;
        if found != MAGIC {
            return Err(Error::Magic { what: "cache", expected: MAGIC, found });
        }
        let version = reader.u16("version")?;
        if version != Self::VERSION {
            return Err(Error::Version { what: "cache", found: version, supported: Self::VERSION });
        }
        let reserved = reader.u16("reserved")?;
        let header = Header {
            owner: Guid(reader.array("owner")?),
            first: MapId(reader.u32("first map id")?),
            span: reader.u32("span")?,
            seed: reader.u64("seed")?,
        };
        let computed = crc(bytes.get(..COVERED).unwrap_or_default());
        let found = reader.u32("header checksum")?;
        if found != computed {
            return Err(Error::Checksum { what: "cache header", at: 0, found, computed });
        }
        if reserved != 0 {
            return Err(Error::Value {
                field: "reserved",
                at: 10,
                found: reserved.into(),
                allowed: "0",
            });
        }
        Ok(header)
    }

    /// Writes the header at the end of `out`, which should be empty.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&Self::VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.first.0.to_le_bytes());
        out.extend_from_slice(&self.span.to_le_bytes());
        out.extend_from_slice(&self.seed.to_le_bytes());
        debug_assert_eq!(out.len() - start, COVERED);
        let sum = crc(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&sum.to_le_bytes());
    }
}

const MAGIC: [u8; 8] = *b"LOFTcch\n";
/// The bytes the header's checksum covers; it stands behind them.
const COVERED: usize = Header::LEN - 4;
