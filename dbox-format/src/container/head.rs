//! The head of a record: everything a rebuild from the message files alone needs to know.

use super::codec::{APART, DICTIONARY, FIELD_LEN, ROOM, chunk_max, field as field_of};
use super::{
    CHUNK_MIN, Codec, Compression, FIXED_HEAD_LEN, Layout, PackedLayout, RECORD_MAGIC, Stored,
};
use crate::attachment::{CutOut, read_cut_outs};
use crate::checksum::{Summer, crc32c};
use crate::reader::Reader;
use crate::{Error, Guid, Seed};

/// Kind of a named field: one keyword.
const KEYWORD: u8 = 1;
/// Where in the fixed head its own checksum stands, and so how many bytes it covers.
const SEALED_LEN: usize = FIXED_HEAD_LEN - 4;

/// The system flags a message had when it was saved; other bits are kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SavedFlags(pub u16);

impl SavedFlags {
    /// `\Answered`
    pub const ANSWERED: u16 = 1;
    /// `\Flagged`
    pub const FLAGGED: u16 = 1 << 1;
    /// `\Deleted`
    pub const DELETED: u16 = 1 << 2;
    /// `\Seen`
    pub const SEEN: u16 = 1 << 3;
    /// `\Draft`
    pub const DRAFT: u16 = 1 << 4;
}

/// What a record says about its message, to be written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RecordHead<'a> {
    /// The message's GUID.
    pub guid: Guid,
    /// GUID of the mailbox it was saved to.
    pub mailbox: Guid,
    /// Name of that mailbox then.
    pub mailbox_name: &'a str,
    /// When it was received, in seconds since 1970 (IMAP's INTERNALDATE).
    pub received: i64,
    /// Its flags when it was saved.
    pub flags: SavedFlags,
    /// Its keywords when it was saved.
    pub keywords: &'a [&'a str],
}

impl RecordHead<'_> {
    /// Appends fixed head and names of a record whose chunks have `chunk_size` bytes each (0: a single chunk).
    ///
    /// [`frame`](Self::frame) and [`around`](Self::around) call this.
    ///
    /// # Errors
    /// [`Error::TooLong`] if name and keywords together pass 65,535 bytes (3 of each keyword are its own);
    /// [`Error::Range`] for a chunk size that is neither 0 nor within
    /// [`CHUNK_MIN`](super::CHUNK_MIN)..=[`CHUNK_MAX`](super::CHUNK_MAX). Nothing is appended then.
    pub fn write(&self, seed: Seed, chunk_size: u32, out: &mut Vec<u8>) -> Result<(), Error> {
        self.write_stored(&Stored::default(), seed, chunk_size, out)
    }

    /// [`write`](Self::write) for a text that is compressed or lacks parts; the chunk size is that of the text then.
    ///
    /// # Errors
    /// As [`write`](Self::write), where what [`Stored`] needs counts among the names (an attachment about 40 bytes);
    /// a chunk of compressed text has at most [`PACKED_CHUNK_MAX`](super::PACKED_CHUNK_MAX) bytes.
    pub fn write_stored(
        &self,
        stored: &Stored<'_>,
        seed: Seed,
        chunk_size: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.write_fields(stored.codec(), &stored.fields()?, seed, chunk_size, out)
    }

    /// [`write_stored`](Self::write_stored) with these fields, which are zeros on top if it takes less than `room` bytes
    /// otherwise: 3 less at least.
    pub(super) fn write_in(
        &self,
        stored: &Stored<'_>,
        seed: Seed,
        chunk_size: u32,
        room: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let mut fields = stored.fields()?;
        let len = FIXED_HEAD_LEN + usize::from(self.names_len(fields.len())?);
        if let Some(left) = room.checked_sub(len + FIELD_LEN) {
            field_of(ROOM, "room for the head", &vec![0; left], &mut fields)?;
        }
        self.write_fields(stored.codec(), &fields, seed, chunk_size, out)
    }

    fn write_fields(
        &self,
        codec: Codec,
        fields: &[u8],
        seed: Seed,
        chunk_size: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        check_chunk_size(chunk_size, codec)?;
        let names_len = self.names_len(fields.len())?;
        let start = out.len();
        out.reserve(FIXED_HEAD_LEN + usize::from(names_len));
        out.extend_from_slice(&RECORD_MAGIC);
        out.push(codec.0);
        out.push(0);
        out.extend_from_slice(&self.flags.0.to_le_bytes());
        out.extend_from_slice(&self.guid.0);
        out.extend_from_slice(&self.mailbox.0);
        out.extend_from_slice(&self.received.to_le_bytes());
        out.extend_from_slice(&chunk_size.to_le_bytes());
        // Fits: `names_len` has checked the sum.
        out.extend_from_slice(&(self.mailbox_name.len() as u16).to_le_bytes());
        out.extend_from_slice(&names_len.to_le_bytes());
        let mut names = Summer::new();
        self.each_name(fields, |bytes| names.update(bytes));
        out.extend_from_slice(&names.content().crc().to_le_bytes());
        let crc = seed.seal(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_le_bytes());
        debug_assert_eq!(out.len() - start, FIXED_HEAD_LEN);
        self.each_name(fields, |bytes| out.extend_from_slice(bytes));
        Ok(())
    }

    /// Gives the bytes of the names, piece by piece; [`names_len`](Self::names_len) has checked their lengths.
    fn each_name(&self, fields: &[u8], mut give: impl FnMut(&[u8])) {
        give(self.mailbox_name.as_bytes());
        for keyword in self.keywords {
            let [low, high] = (keyword.len() as u16).to_le_bytes();
            give(&[KEYWORD, low, high]);
            give(keyword.as_bytes());
        }
        give(fields);
    }

    fn names_len(&self, fields: usize) -> Result<u16, Error> {
        let max = u64::from(u16::MAX);
        let too_long = |field, found| Error::TooLong { field, found, max };
        let mut sum = self.mailbox_name.len() as u64 + fields as u64;
        for keyword in self.keywords {
            let len = keyword.len() as u64;
            if len > max {
                return Err(too_long("keyword", len));
            }
            sum += 3 + len;
        }
        u16::try_from(sum).map_err(|_| too_long("mailbox name and keywords", sum))
    }
}

/// What a record says about its message, checked and borrowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head<'a> {
    codec: Codec,
    guid: Guid,
    mailbox: Guid,
    received: i64,
    flags: SavedFlags,
    chunk_size: u32,
    name: &'a str,
    fields: &'a [u8],
}

impl<'a> Head<'a> {
    /// How the message is stored.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The message's GUID.
    #[must_use]
    pub fn guid(&self) -> Guid {
        self.guid
    }

    /// GUID of the mailbox it was saved to.
    #[must_use]
    pub fn mailbox(&self) -> Guid {
        self.mailbox
    }

    /// Name of that mailbox then.
    #[must_use]
    pub fn mailbox_name(&self) -> &'a str {
        self.name
    }

    /// When it was received, in seconds since 1970.
    #[must_use]
    pub fn received(&self) -> i64 {
        self.received
    }

    /// Its flags when it was saved.
    #[must_use]
    pub fn flags(&self) -> SavedFlags {
        self.flags
    }

    /// Its keywords when it was saved, as they were given.
    pub fn keywords(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let of_kind = self.fields().filter(|(kind, _)| *kind == KEYWORD);
        of_kind.filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// How its text is compressed, and with which dictionary; the one to decode it with.
    ///
    /// # Errors
    /// [`Error::Codec`] for a codec of a later version.
    pub fn compression(&self) -> Result<Compression, Error> {
        self.codec.compression(|| self.first(DICTIONARY).and_then(dictionary).unwrap_or(0))
    }

    /// The parts that are stored apart, in order; none if the text is the whole message.
    ///
    /// With any, what the record holds is the message's skeleton; [`Assembly`](crate::attachment::Assembly) makes it
    /// whole.
    #[must_use]
    pub fn apart(&self) -> Vec<CutOut> {
        let value = if self.codec.is_apart() { self.first(APART) } else { None };
        value.and_then(|value| read_cut_outs(value).ok()).unwrap_or_default()
    }

    fn first(&self, wanted: u8) -> Option<&'a [u8]> {
        self.fields().find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    }

    /// All fields behind the mailbox name, as kind and value: 1 is a keyword, 2 the number of a dictionary, 3 what
    /// stands apart, 4 room that was not needed; others are a later version's.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut reader = Reader::new(self.fields);
        std::iter::from_fn(move || if reader.is_empty() { None } else { field(&mut reader).ok() })
    }

    /// Bytes of text in every chunk but the last, 0 for a single chunk.
    #[must_use]
    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Bytes from the start of the record to its first length word.
    #[must_use]
    pub fn len(&self) -> usize {
        FIXED_HEAD_LEN + self.name.len() + self.fields.len()
    }

    /// Never: a head has at least its fixed part.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Where the bytes of a message of `message_len` bytes lie in this record.
    ///
    /// # Errors
    /// [`Error::Codec`] unless the message is stored as is and whole; [`Error::Range`] if no single chunk holds that
    /// many.
    pub fn layout(&self, message_len: u64) -> Result<Layout, Error> {
        if self.codec != Codec::PLAIN {
            return Err(Error::Codec { codec: self.codec.0 });
        }
        self.text_layout(message_len)
    }

    /// Where the bytes of an uncompressed text lie in this record: [`layout`](Self::layout), also for a skeleton.
    ///
    /// # Errors
    /// [`Error::Codec`] for a compressed text; [`Error::Range`] if no single chunk holds that many.
    pub fn text_layout(&self, text_len: u64) -> Result<Layout, Error> {
        if self.compression()? != Compression::None {
            return Err(Error::Codec { codec: self.codec.0 });
        }
        Layout::new(self.len() as u64, self.chunk_size, text_len)
    }

    /// Where the chunks of a compressed text lie in this record of `record_len` bytes.
    ///
    /// # Errors
    /// [`Error::Codec`] for a text that isn't compressed by a codec of this version; [`Error::Range`] if the record
    /// has no room for its chunks.
    pub fn packed_layout(&self, text_len: u64, record_len: u64) -> Result<PackedLayout, Error> {
        if self.compression()? == Compression::None {
            return Err(Error::Codec { codec: self.codec.0 });
        }
        PackedLayout::new(self.len() as u64, self.chunk_size, text_len, record_len)
    }

    pub(super) fn parse(bytes: &'a [u8], seed: Seed) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let fixed: &[u8; FIXED_HEAD_LEN] = reader.array("record head")?;
        let (head, name_len, names_len, names_crc) = parse_fixed(fixed, seed)?;
        let at = reader.at();
        let names = reader.bytes("names", u64::from(names_len))?;
        let computed = crc32c(names);
        if computed != names_crc {
            return Err(Error::Checksum {
                what: "names of the record",
                at,
                stored: names_crc,
                computed,
            });
        }
        let mut reader = Reader::new(names);
        let name =
            reader.bytes("mailbox name", u64::from(name_len)).map_err(|error| shift(error, at))?;
        let name =
            std::str::from_utf8(name).map_err(|_| Error::Text { field: "mailbox name", at })?;
        let fields = names.get(usize::from(name_len)..).unwrap_or_default();
        while !reader.is_empty() {
            let here = at + reader.at();
            let (kind, value) = field(&mut reader).map_err(|error| shift(error, at))?;
            match kind {
                KEYWORD if std::str::from_utf8(value).is_err() => {
                    return Err(Error::Text { field: "keyword", at: here });
                }
                DICTIONARY if dictionary(value).is_none() => {
                    return Err(Error::Varint { field: "number of the dictionary", at: here });
                }
                // A later codec may say it in another way.
                APART if head.codec.is_apart() => {
                    read_cut_outs(value).map_err(|error| shift(error, here + 3))?;
                }
                _ => {}
            }
        }
        Ok(Self { name, fields, ..head })
    }
}

/// What the first bytes of a record give.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadPrefix<'a> {
    /// The whole head was there.
    Head(Head<'a>),
    /// The head needs this many bytes from the start of the record; read at least those.
    Need(usize),
}

/// Reads the head from the first bytes of a record: to read only a part of a large message.
///
/// Most heads fit into 256 bytes. Follow with [`Head::layout`] and [`Layout::ranges`].
///
/// # Errors
/// As [`Record::parse`](super::Record::parse), as far as the head goes. Too few bytes are not an error.
pub fn parse_head(bytes: &[u8], seed: Seed) -> Result<HeadPrefix<'_>, Error> {
    let Some(fixed) = bytes.first_chunk() else {
        return Ok(HeadPrefix::Need(FIXED_HEAD_LEN));
    };
    let (_, _, names_len, _) = parse_fixed(fixed, seed)?;
    let need = FIXED_HEAD_LEN + usize::from(names_len);
    if bytes.len() < need {
        return Ok(HeadPrefix::Need(need));
    }
    Head::parse(bytes, seed).map(HeadPrefix::Head)
}

/// The seed with which this fixed head's checksum would be right.
pub(super) fn implied_seed(fixed: &[u8; FIXED_HEAD_LEN]) -> Seed {
    let (sealed, stored) = fixed.split_at(SEALED_LEN);
    let stored = stored.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    Seed(stored ^ crc32c(sealed))
}

fn parse_fixed(
    fixed: &[u8; FIXED_HEAD_LEN],
    seed: Seed,
) -> Result<(Head<'static>, u16, u16, u32), Error> {
    let mut reader = Reader::new(fixed);
    let magic: &[u8; 4] = reader.array("magic")?;
    if *magic != RECORD_MAGIC {
        return Err(Error::Magic { what: "record", at: 0, found: *magic });
    }
    let computed = implied_seed(fixed).0;
    if computed != seed.0 {
        // Shown as they stand in the file: stored against what this seed would give.
        let stored = fixed.last_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let computed = stored ^ computed ^ seed.0;
        return Err(Error::Checksum { what: "head of the record", at: 0, stored, computed });
    }
    let codec = Codec(reader.u8("codec")?);
    reader.u8("record flags")?;
    let flags = SavedFlags(reader.u16("saved flags")?);
    let guid = Guid(*reader.array("message GUID")?);
    let mailbox = Guid(*reader.array("mailbox GUID")?);
    let received = reader.i64("received date")?;
    let chunk_size = reader.u32("chunk size")?;
    check_chunk_size(chunk_size, codec)?;
    let at = reader.at();
    let name_len = reader.u16("mailbox name length")?;
    let names_len = reader.u16("names length")?;
    if name_len > names_len {
        let max = u64::from(names_len);
        return Err(Error::Range {
            field: "mailbox name length",
            at,
            found: u64::from(name_len),
            min: 0,
            max,
        });
    }
    let names_crc = reader.u32("names checksum")?;
    let head = Head { codec, guid, mailbox, received, flags, chunk_size, name: "", fields: &[] };
    Ok((head, name_len, names_len, names_crc))
}

fn field<'a>(reader: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Error> {
    let kind = reader.u8("field kind")?;
    let len = reader.u16("field length")?;
    Ok((kind, reader.bytes("field", u64::from(len))?))
}

fn dictionary(value: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(value);
    reader.varint32("number of the dictionary").ok().filter(|_| reader.is_empty())
}

fn check_chunk_size(chunk_size: u32, codec: Codec) -> Result<(), Error> {
    let greatest = chunk_max(codec);
    if chunk_size == 0 || (CHUNK_MIN..=greatest).contains(&chunk_size) {
        return Ok(());
    }
    let (min, max) = (u64::from(CHUNK_MIN), u64::from(greatest));
    Err(Error::Range { field: "chunk size", at: 48, found: u64::from(chunk_size), min, max })
}

/// Moves an error of an inner reader to where it stands in the record.
fn shift(mut error: Error, by: u64) -> Error {
    if let Error::Truncated { at, .. } | Error::Varint { at, .. } | Error::Range { at, .. } =
        &mut error
    {
        *at += by;
    }
    error
}
