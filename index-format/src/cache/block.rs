//! Blocks of rows, and the fields of a row.

use super::{Field, Header, Key, ROW_MAX, Row, Text};
use crate::checksum::Seeded;
use crate::wire::{Put, Reader};
use crate::{Error, MapId};
use std::ops::Range;

/// The longest block, in bytes without its head.
pub const BLOCK_MAX: usize = 16 << 20;

/// Writes rows as one block at the end of `out`; it reaches the file with one append. `maker` says which version of the
/// program that knows what the values mean has made them ([`super::Index::of_maker`]). No rows are no block.
///
/// # Errors
/// [`Error::TooLong`] when a row, or all of them, are longer than a block carries; [`Error::Value`] for a message that
/// the file does not cover. `out` is as it was then.
pub fn write_rows(
    header: &Header,
    maker: u16,
    rows: &[Row<'_>],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    let mut fields = Vec::new();
    begin(CODEC_PLAIN, maker, rows.len(), out);
    let result = rows.iter().try_for_each(|row| {
        fields.clear();
        encode_fields(row.fields, &mut fields)?;
        write_row(header, (row.map_id, row.guid, &fields), out)
    });
    finish(header, start, result, out)
}

/// As [`write_rows`], of rows whose fields are bytes already: [`encode_fields`] made them, or they were found in a file
/// ([`super::CacheFile::bytes_of`]).
///
/// # Errors
/// As [`write_rows`].
pub fn write_encoded(
    header: &Header,
    maker: u16,
    rows: &[(MapId, [u8; 4], &[u8])],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    begin(CODEC_PLAIN, maker, rows.len(), out);
    let result = rows.iter().try_for_each(|&row| write_row(header, row, out));
    finish(header, start, result, out)
}

/// Appends the fields of a row to `out`, as they stand in a block.
///
/// # Errors
/// [`Error::Value`] for a field that this version has no number for.
pub fn encode_fields(fields: &[(Field<'_>, &[u8])], out: &mut Vec<u8>) -> Result<(), Error> {
    fields.iter().try_for_each(|&(field, value)| write_field(field, value, out))
}

/// The head of a block, its length and checksum still empty, and the number of its rows.
pub(super) fn begin(codec: u8, maker: u16, rows: usize, out: &mut Vec<u8>) {
    if rows > 0 {
        out.extend_from_slice(&[SYNC, codec]);
        out.extend_from_slice(&maker.to_le_bytes());
        out.extend_from_slice(&[0; 8]); // length and checksum follow from the rows
        out.varint(rows as u64);
    }
}

fn write_row(
    header: &Header,
    (map_id, guid, fields): (MapId, [u8; 4], &[u8]),
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let Some(slot) = header.slot(map_id) else {
        let (at, found) = (out.len() as u64, map_id.0.into());
        return Err(Error::Value {
            field: "map id",
            at,
            found,
            allowed: "one that the file covers",
        });
    };
    if fields.len() > ROW_MAX {
        return Err(Error::TooLong {
            what: "a cache row",
            len: fields.len() as u64,
            max: ROW_MAX as u64,
        });
    }
    out.varint(slot.into());
    out.extend_from_slice(&guid);
    out.counted(fields);
    Ok(())
}

/// Fills in the head of the block that starts at `start`, or takes it back.
pub(super) fn finish(
    header: &Header,
    start: usize,
    rows: Result<(), Error>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let len = out.len() - start;
    let result = match rows {
        Ok(()) if len > HEAD + BLOCK_MAX => Err(Error::TooLong {
            what: "a cache block",
            len: (len - HEAD) as u64,
            max: BLOCK_MAX as u64,
        }),
        result => result,
    };
    if result.is_err() {
        out.truncate(start);
    }
    if result.is_err() || len == 0 {
        return result;
    }
    let head = out.get_mut(start + 4..start + 8).unwrap_or_default();
    head.copy_from_slice(&((len - HEAD) as u32).to_le_bytes());
    let block = out.get(start..).unwrap_or_default();
    let (head, payload) = block.split_at_checked(HEAD).unwrap_or_default();
    let sum = Seeded::new(header.seed).of(&[head.get(..8).unwrap_or_default(), payload]);
    out.get_mut(start + 8..start + HEAD).unwrap_or_default().copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// A block that checks out.
pub(super) struct Block<'a> {
    pub(super) codec: u8,
    pub(super) maker: u16,
    pub(super) payload: &'a [u8],
}

impl<'a> Block<'a> {
    /// The block at the front of `bytes`; `None` when it does not check out.
    pub(super) fn read(seed: Seeded, bytes: &'a [u8]) -> Option<Block<'a>> {
        let mut reader = Reader::new(bytes, 0);
        let head = reader.array::<8>("block head").ok()?;
        let sum = reader.u32("block checksum").ok()?;
        let mut fields = Reader::new(&head, 0);
        let [sync, codec] = fields.array("sync and codec").ok()?;
        let maker = fields.u16("maker").ok()?;
        let len = fields.u32("length").ok()?;
        if sync != SYNC || codec > CODEC_SENT || len as usize > BLOCK_MAX {
            return None;
        }
        let payload = reader.bytes("block", len.into()).ok()?;
        (sum == seed.of(&[&head, payload])).then_some(Block { codec, maker, payload })
    }
}

/// A row as it stands in a block: whose, and where its fields are.
pub(super) struct RowHead {
    pub(super) slot: u32,
    pub(super) guid: [u8; 4],
    /// From the start of the payload.
    pub(super) start: u64,
    pub(super) len: u32,
}

/// The rows of a block. Fails on a payload that no writer makes, checksum or not.
pub(super) fn read_rows(payload: &[u8], span: u32) -> Result<Vec<RowHead>, Error> {
    let mut reader = Reader::new(payload, 0);
    let count = reader.count("rows", ROW_LEAST)?;
    let mut rows = Vec::with_capacity(count);
    for _ in 0..count {
        let at = reader.at();
        let slot = reader.varint_u32("slot")?;
        if slot >= span {
            let found = slot.into();
            return Err(Error::Value {
                field: "slot",
                at,
                found,
                allowed: "one that the file covers",
            });
        }
        let guid = reader.array("GUID")?;
        let len = reader.varint_u32("row length")?;
        rows.push(RowHead { slot, guid, start: reader.at(), len });
        reader.bytes("row", len.into())?;
    }
    reader.end("cache block")?;
    Ok(rows)
}

/// The fields of one row, as far as they make sense.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    reader: Reader<'a>,
}

impl<'a> Fields<'a> {
    /// The fields in the bytes of a row ([`super::Place`]).
    pub fn new(row: &'a [u8]) -> Fields<'a> {
        Fields { reader: Reader::new(row, 0) }
    }

    fn read(&mut self) -> Result<(Field<'a>, &'a [u8]), Error> {
        let at = self.reader.at();
        let number = self.reader.varint("field")?;
        let field = match u16::try_from(number) {
            Ok(1) => Field::Envelope,
            Ok(2) => Field::Body,
            Ok(3) => Field::BodyStructure,
            Ok(4) => Field::Header,
            Ok(5) => Field::HeaderField(self.reader.counted("header field name")?),
            Ok(6) => Field::Preview,
            Ok(7) => Field::Layout,
            Ok(8) => Field::HeaderCommon,
            Ok(9) => Field::Sent,
            Ok(10) => Field::Text(Text::From),
            Ok(11) => Field::Text(Text::To),
            Ok(12) => Field::Text(Text::Cc),
            Ok(13) => Field::Text(Text::Subject),
            Ok(14) => Field::Key(Key::Subject),
            Ok(15) => Field::Key(Key::From),
            Ok(16) => Field::Key(Key::To),
            Ok(17) => Field::Key(Key::Cc),
            Ok(18) => Field::Key(Key::DisplayFrom),
            Ok(19) => Field::Key(Key::DisplayTo),
            Ok(other) => Field::Other(other),
            Err(_) => return Err(Error::Number { field: "field", at }),
        };
        Ok((field, self.reader.counted("value")?))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Field<'a>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.reader = Reader::new(&[], 0);
        }
        read.ok()
    }
}

fn write_field(field: Field<'_>, value: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    if let Field::Other(number) = field
        && number < Field::OTHER_LEAST
    {
        let (at, found) = (out.len() as u64, number.into());
        return Err(Error::Value { field: "field", at, found, allowed: "a number from 32 on" });
    }
    let number = field.number();
    out.varint(number.into());
    if let Field::HeaderField(name) = field {
        out.counted(name);
    }
    out.counted(value);
    Ok(())
}

impl Field<'_> {
    /// The lowest number of a field without a name.
    pub const OTHER_LEAST: u16 = 32;

    fn number(self) -> u16 {
        match self {
            Field::Envelope => 1,
            Field::Body => 2,
            Field::BodyStructure => 3,
            Field::Header => 4,
            Field::HeaderField(_) => 5,
            Field::Preview => 6,
            Field::Layout => 7,
            Field::HeaderCommon => 8,
            Field::Sent => 9,
            Field::Text(Text::From) => 10,
            Field::Text(Text::To) => 11,
            Field::Text(Text::Cc) => 12,
            Field::Text(Text::Subject) => 13,
            Field::Key(Key::Subject) => 14,
            Field::Key(Key::From) => 15,
            Field::Key(Key::To) => 16,
            Field::Key(Key::Cc) => 17,
            Field::Key(Key::DisplayFrom) => 18,
            Field::Key(Key::DisplayTo) => 19,
            Field::Other(number) => number,
        }
    }
}

/// Where the value of a field stands in the bytes of a row, as [`Fields`] would find it: for who looks for one alone.
#[must_use]
pub fn value_in(row: &[u8], field: Field<'_>) -> Option<Range<usize>> {
    let wanted = u64::from(field.number());
    let mut reader = Reader::new(row, 0);
    while !reader.is_empty() {
        let number = reader.varint("field").ok().filter(|&number| number <= u16::MAX.into())?;
        let name = match number {
            5 => Some(reader.counted("header field name").ok()?),
            _ => None,
        };
        let value = reader.counted("value").ok()?;
        let is_named =
            if let Field::HeaderField(wanted) = field { name == Some(wanted) } else { true };
        if number == wanted && is_named {
            let end = row.len() - reader.rest().len();
            return Some(end - value.len()..end);
        }
    }
    None
}

const SYNC: u8 = 0xcb;
pub(super) const CODEC_PLAIN: u8 = 0;
/// Sent dates in columns.
pub(super) const CODEC_SENT: u8 = 1;
/// Sync byte, codec, maker, length, checksum.
pub(super) const HEAD: usize = 12;
/// The fewest bytes of a row: slot, GUID, length.
const ROW_LEAST: u64 = 6;
