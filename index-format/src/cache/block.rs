//! Blocks of rows, and the fields of a row.

use super::{Field, Header, ROW_MAX, Row};
use crate::checksum::Seeded;
use crate::wire::{Put, Reader};
use crate::{Error, MapId};

/// The longest block, in bytes without its head.
pub const BLOCK_MAX: usize = 16 << 20;

/// Writes rows as one block at the end of `out`; it reaches the file with one append. `group` names the fields that are
/// kept together; 0 for now. No rows are no block.
///
/// # Errors
/// [`Error::TooLong`] when a row, or all of them, are longer than a block carries; [`Error::Value`] for a message that
/// the file does not cover. `out` is as it was then.
pub fn write_rows(
    header: &Header,
    group: u16,
    rows: &[Row<'_>],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    let mut fields = Vec::new();
    begin(group, rows.len(), out);
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
    group: u16,
    rows: &[(MapId, [u8; 4], &[u8])],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    begin(group, rows.len(), out);
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
fn begin(group: u16, rows: usize, out: &mut Vec<u8>) {
    if rows > 0 {
        out.extend_from_slice(&[SYNC, CODEC_PLAIN]);
        out.extend_from_slice(&group.to_le_bytes());
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
fn finish(
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

/// The payload of the block at the front of `bytes`, and where it starts there; `None` when it does not check out.
pub(super) fn read_block(seed: Seeded, bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut reader = Reader::new(bytes, 0);
    let head = reader.array::<8>("block head").ok()?;
    let sum = reader.u32("block checksum").ok()?;
    let mut fields = Reader::new(&head, 0);
    let [sync, codec] = fields.array("sync and codec").ok()?;
    fields.u16("group").ok()?;
    let len = fields.u32("length").ok()?;
    if sync != SYNC || codec != CODEC_PLAIN || len as usize > BLOCK_MAX {
        return None;
    }
    let payload = reader.bytes("block", len.into()).ok()?;
    (sum == seed.of(&[&head, payload])).then_some((payload, HEAD))
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
    let number = match field {
        Field::Envelope => 1,
        Field::Body => 2,
        Field::BodyStructure => 3,
        Field::Header => 4,
        Field::HeaderField(_) => 5,
        Field::Preview => 6,
        Field::Layout => 7,
        Field::HeaderCommon => 8,
        Field::Other(number) if number < Field::OTHER_LEAST => {
            let (at, found) = (out.len() as u64, number.into());
            return Err(Error::Value { field: "field", at, found, allowed: "a number from 32 on" });
        }
        Field::Other(number) => number,
    };
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
}

const SYNC: u8 = 0xcb;
const CODEC_PLAIN: u8 = 0;
/// Sync byte, codec, group, length, checksum.
const HEAD: usize = 12;
/// The fewest bytes of a row: slot, GUID, length.
const ROW_LEAST: u64 = 6;
