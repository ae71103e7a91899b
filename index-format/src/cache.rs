//! What FETCH, SORT and SEARCH would otherwise parse again, by map id (`docs/formats/cache.md`).
//!
//! Disposable: a file that is damaged, cut, of another store or gone is a miss, never an error. A file covers a fixed
//! range of map ids and is only appended to; rows of one message in several blocks add up, the later one wins a field.
//! It has the fields of one [`Group`]: those that are read together. Sent dates have files of columns ([`sent`]).

pub mod asked;
mod block;
mod index;
pub mod sent;

use crate::checksum::crc;
use crate::wire::Reader;
use crate::{Error, Guid, MapId};

pub use block::{BLOCK_MAX, Fields, encode_fields, value_in, write_encoded, write_rows};
pub use index::{CacheFile, Index, Place};

/// The usual number of map ids a file of rows covers.
pub const SPAN: u32 = 1024;
/// And a file of sent dates.
pub const SENT_SPAN: u32 = 1 << 16;
/// The most bytes of a header's names.
pub const NAMES_MAX: usize = 1024;
/// The longest row, in bytes of all its fields.
pub const ROW_MAX: usize = 1 << 20;

/// The names, in lower case and sorted, of the header fields that programs ask for when they list mail.
///
/// [`Field::HeaderCommon`] means exactly these: another list is another field.
pub const COMMON_HEADER: [&[u8]; 30] = [
    b"bcc",
    b"cc",
    b"chat-version",
    b"content-transfer-encoding",
    b"content-type",
    b"date",
    b"delivered-to",
    b"disposition-notification-to",
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
    b"x-k9mail-identity",
    b"x-mailer",
    b"x-priority",
    b"x-uniform-type-identifier",
    b"x-universally-unique-identifier",
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
    /// The header fields whose names are in the file's list ([`Header::names`]), as in the message and in its order,
    /// and its empty line if it has one.
    HeaderCommon,
    /// When the message was sent: seconds since 1970, 8 bytes, low byte first; empty when it doesn't say.
    Sent,
    /// What a SEARCH compares of this field, in the form of the program that wrote it.
    Text(Text),
    /// What a SORT compares by this key, in the form of the program that wrote it.
    Key(Key),
    /// A field this version knows no name for; numbers from [`Field::OTHER_LEAST`] on.
    Other(u16),
}

/// A header field whose text is kept ready to be searched.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Text {
    /// From.
    From,
    /// To.
    To,
    /// Cc.
    Cc,
    /// Subject.
    Subject,
}

/// A sort key whose text is kept ready to be compared.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Key {
    /// The base subject.
    Subject,
    /// The mailbox of the first From address.
    From,
    /// The mailbox of the first To address.
    To,
    /// The mailbox of the first Cc address.
    Cc,
    /// The first From address as it is shown.
    DisplayFrom,
    /// The first To address as it is shown.
    DisplayTo,
}

/// Fields that are kept together: a bit for each kind of them.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Group(pub u16);

impl Group {
    /// ENVELOPE.
    pub const ENVELOPE: Group = Group(1);
    /// BODYSTRUCTURE, BODY, PREVIEW and where the parts are.
    pub const STRUCTURE: Group = Group(1 << 1);
    /// Header fields, or the whole header.
    pub const HEADER: Group = Group(1 << 2);
    /// Texts and sort keys of addresses.
    pub const ADDRESSES: Group = Group(1 << 3);
    /// Text and sort key of the subject.
    pub const SUBJECT: Group = Group(1 << 4);
    /// When the message was sent.
    pub const SENT: Group = Group(1 << 5);
    /// What this version knows no kind for.
    pub const OTHER: Group = Group(1 << 15);
    /// Every field.
    pub const ALL: Group = Group(u16::MAX);
    /// The kinds that this version has names for.
    pub const KINDS: [Group; 6] = [
        Group::ENVELOPE,
        Group::STRUCTURE,
        Group::HEADER,
        Group::ADDRESSES,
        Group::SUBJECT,
        Group::SENT,
    ];

    /// Where a field belongs.
    #[must_use]
    pub fn of(field: Field<'_>) -> Group {
        match field {
            Field::Envelope => Group::ENVELOPE,
            Field::Body | Field::BodyStructure | Field::Preview | Field::Layout => Group::STRUCTURE,
            Field::Header | Field::HeaderField(_) | Field::HeaderCommon => Group::HEADER,
            Field::Text(Text::Subject) | Field::Key(Key::Subject) => Group::SUBJECT,
            Field::Text(_) | Field::Key(_) => Group::ADDRESSES,
            Field::Sent => Group::SENT,
            Field::Other(_) => Group::OTHER,
        }
    }

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn contains(self, other: Group) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Group) -> Group {
        Group(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Group) -> Group {
        Group(self.0 | other.0)
    }

    /// What is in it and not in `other`.
    #[must_use]
    pub const fn without(self, other: Group) -> Group {
        Group(self.0 & !other.0)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many kinds are in it.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }
}

/// The header of a cache file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// Whose: in the store, the account.
    pub owner: Guid,
    /// The first map id it covers.
    pub first: MapId,
    /// How many.
    pub span: u32,
    /// The random start of every checksum in this file. Never shown to anyone.
    pub seed: u64,
    /// Which fields it has.
    pub group: Group,
    /// What [`Field::HeaderCommon`] means here: names in lower case, sorted, each followed by a line feed; nothing
    /// stands for [`COMMON_HEADER`]. At most [`NAMES_MAX`] bytes.
    pub names: Vec<u8>,
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
    /// The length of a header without names, in bytes; see [`Self::len`].
    pub const LEN: usize = 52;
    /// The longest header.
    pub const LEN_MAX: usize = Self::LEN + NAMES_MAX;
    /// The version this program writes, and the only one it reads.
    pub const VERSION: u16 = 2;

    /// The header of the file of all fields that covers `map_id`, [`SPAN`] ids in all.
    pub fn covering(owner: Guid, map_id: MapId, seed: u64) -> Header {
        let first = MapId(map_id.0 - map_id.0 % SPAN);
        Header { owner, first, span: SPAN, seed, group: Group::ALL, names: Vec::new() }
    }

    /// Where a map id stands in this file's range, if it does.
    pub fn slot(&self, map_id: MapId) -> Option<u32> {
        map_id.0.checked_sub(self.first.0).filter(|&slot| slot < self.span)
    }

    /// Its length in bytes; the first block stands behind it.
    #[allow(clippy::len_without_is_empty, reason = "no header is empty")]
    pub fn len(&self) -> usize {
        Self::LEN + self.names.len()
    }

    /// Reads a header.
    ///
    /// # Errors
    /// Not a cache file of this version, or a header that does not check out: the file is to be made anew.
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        let mut reader = Reader::new(file, 0);
        let found = reader.array("magic")?;
        if found != MAGIC {
            return Err(Error::Magic { what: "cache", expected: MAGIC, found });
        }
        let version = reader.u16("version")?;
        if version != Self::VERSION {
            return Err(Error::Version { what: "cache", found: version, supported: Self::VERSION });
        }
        let group = Group(reader.u16("group")?);
        let (owner, first) = (Guid(reader.array("owner")?), MapId(reader.u32("first map id")?));
        let (span, seed) = (reader.u32("span")?, reader.u64("seed")?);
        let len = reader.u16("length of names")?;
        let reserved = reader.u16("reserved")?;
        if usize::from(len) > NAMES_MAX {
            let (field, at, found) = ("length of names", 44, len.into());
            return Err(Error::Value { field, at, found, allowed: "up to 1024" });
        }
        let names = reader.bytes("names", len.into())?.to_vec();
        let computed = crc(file.get(..Self::LEN - 4 + names.len()).unwrap_or_default());
        let found = reader.u32("header checksum")?;
        if found != computed {
            return Err(Error::Checksum { what: "cache header", at: 0, found, computed });
        }
        if reserved != 0 {
            return Err(Error::Value {
                field: "reserved",
                at: 46,
                found: reserved.into(),
                allowed: "0",
            });
        }
        Ok(Header { owner, first, span, seed, group, names })
    }

    /// Writes the header at the end of `out`, which should be empty.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        let names = self.names.get(..NAMES_MAX).unwrap_or(&self.names);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&Self::VERSION.to_le_bytes());
        out.extend_from_slice(&self.group.0.to_le_bytes());
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.first.0.to_le_bytes());
        out.extend_from_slice(&self.span.to_le_bytes());
        out.extend_from_slice(&self.seed.to_le_bytes());
        out.extend_from_slice(&(names.len() as u16).to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(names);
        let sum = crc(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&sum.to_le_bytes());
    }
}

const MAGIC: [u8; 8] = *b"LOFTcch\n";
