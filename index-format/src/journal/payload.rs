//! What a journal record carries: its parts, then the bodies.

use super::frame::{HEAD, checksum};
use super::{BODY_MAX, Header, Part, RECORD_MAX, Record, Target};
use crate::checksum::Seeded;
use crate::wire::{Put, Reader};
use crate::{Error, Guid};

impl<'a> Record<'a> {
    /// Reads what a frame carries; borrows from it. `at` is where it stands in its file, for errors.
    ///
    /// # Errors
    /// Bytes that are not exactly one record.
    pub fn decode(payload: &'a [u8], at: u64) -> Result<Record<'a>, Error> {
        let mut reader = Reader::new(payload, at);
        let count = reader.count("bodies", 1)?;
        let mut lens = Vec::with_capacity(count);
        for _ in 0..count {
            lens.push(body_len(&mut reader)?);
        }
        let count = reader.count("parts", PART_LEAST)?;
        let mut parts = Vec::with_capacity(count);
        let mut account = None;
        for _ in 0..count {
            let part = read_part(&mut reader, account, lens.len())?;
            account = Some(part.account);
            parts.push(part);
        }
        let mut bodies = Vec::with_capacity(lens.len());
        for len in lens {
            bodies.push(reader.bytes("body", len)?);
        }
        reader.end("journal record")?;
        Ok(Record { parts, bodies })
    }

    /// Writes the record as frame `number` of the segment with `header`, at the end of `out`. Each body is copied once,
    /// from its slice to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`] beyond [`RECORD_MAX`] or [`BODY_MAX`]; [`Error::Value`] for a body index without a body.
    /// `out` is as it was then.
    pub fn write(&self, header: &Header, number: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        let total = self.check()?;
        let start = out.len();
        out.reserve(total);
        let len = ((total - HEAD) as u32).to_le_bytes();
        out.extend_from_slice(&len);
        out.extend_from_slice(&[0; 4]);
        out.varint(self.bodies.len() as u64);
        for body in &self.bodies {
            out.varint(body.len() as u64);
        }
        out.varint(self.parts.len() as u64);
        let mut account = None;
        for part in &self.parts {
            write_part(part, account, out);
            account = Some(part.account);
        }
        for body in &self.bodies {
            out.extend_from_slice(body);
        }
        debug_assert_eq!(out.len() - start, total);
        let payload = out.get(start + HEAD..).unwrap_or_default();
        let sum = checksum(Seeded::new(header.seed), number, len, payload);
        if let Some(place) = out.get_mut(start + 4..start + HEAD) {
            place.copy_from_slice(&sum.to_le_bytes());
        }
        Ok(())
    }

    /// How many bytes [`Self::write`] adds.
    pub fn encoded_len(&self) -> usize {
        let mut len =
            HEAD + varint_len(self.bodies.len() as u64) + varint_len(self.parts.len() as u64);
        len += self
            .bodies
            .iter()
            .map(|body| varint_len(body.len() as u64) + body.len())
            .sum::<usize>();
        let mut account = None;
        for part in &self.parts {
            len += 1 + if account == Some(part.account) { 0 } else { counted_len(part.account) };
            account = Some(part.account);
            len += match part.target {
                Target::Container { file, offset, head, body, tail } => {
                    let body = body.map_or(0, |body| u64::from(body) + 1);
                    let numbers = varint_len(file.into()) + varint_len(offset) + varint_len(body);
                    numbers + counted_len(head) + counted_len(tail)
                }
                Target::Map { transaction, payload } | Target::List { transaction, payload } => {
                    varint_len(transaction) + counted_len(payload)
                }
                Target::Mailbox { transaction, payload, .. } => {
                    16 + varint_len(transaction) + counted_len(payload)
                }
            };
        }
        len
    }

    /// The length of the whole frame, when it may be written.
    fn check(&self) -> Result<usize, Error> {
        if let Some(body) = self.bodies.iter().find(|body| body.len() > BODY_MAX) {
            return Err(Error::TooLong {
                what: "a body",
                len: body.len() as u64,
                max: BODY_MAX as u64,
            });
        }
        for part in &self.parts {
            if let Target::Container { body: Some(body), .. } = part.target
                && body as usize >= self.bodies.len()
            {
                return Err(no_body(0, body.into()));
            }
        }
        let total = self.encoded_len();
        if total > RECORD_MAX {
            return Err(Error::TooLong {
                what: "a journal record",
                len: total as u64,
                max: RECORD_MAX as u64,
            });
        }
        Ok(total)
    }
}

fn write_part(part: &Part<'_>, previous: Option<&[u8]>, out: &mut Vec<u8>) {
    let kind = match part.target {
        Target::Container { .. } => CONTAINER,
        Target::Map { .. } => MAP,
        Target::List { .. } => LIST,
        Target::Mailbox { .. } => MAILBOX,
    };
    if previous == Some(part.account) {
        out.push(kind | SAME_ACCOUNT);
    } else {
        out.push(kind);
        out.counted(part.account);
    }
    match part.target {
        Target::Container { file, offset, head, body, tail } => {
            out.varint(file.into());
            out.varint(offset);
            out.counted(head);
            out.varint(body.map_or(0, |body| u64::from(body) + 1));
            out.counted(tail);
        }
        Target::Map { transaction, payload } | Target::List { transaction, payload } => {
            out.varint(transaction);
            out.counted(payload);
        }
        Target::Mailbox { guid, transaction, payload } => {
            out.extend_from_slice(&guid.0);
            out.varint(transaction);
            out.counted(payload);
        }
    }
}

fn read_part<'a>(
    reader: &mut Reader<'a>,
    previous: Option<&'a [u8]>,
    bodies: usize,
) -> Result<Part<'a>, Error> {
    let at = reader.at();
    let kind = reader.u8("part kind")?;
    let wrong =
        Error::Value { field: "part kind", at, found: kind.into(), allowed: "a kind of version 1" };
    let account = match previous {
        Some(previous) if kind & SAME_ACCOUNT != 0 => previous,
        None if kind & SAME_ACCOUNT != 0 => return Err(wrong),
        Some(_) | None => reader.counted("account")?,
    };
    let target = match kind & !SAME_ACCOUNT {
        CONTAINER => Target::Container {
            file: reader.varint_u32("container")?,
            offset: reader.varint("container offset")?,
            head: reader.counted("container head")?,
            body: read_body(reader, bodies)?,
            tail: reader.counted("container tail")?,
        },
        MAP => Target::Map {
            transaction: reader.varint("transaction")?,
            payload: reader.counted("payload")?,
        },
        LIST => Target::List {
            transaction: reader.varint("transaction")?,
            payload: reader.counted("payload")?,
        },
        MAILBOX => Target::Mailbox {
            guid: Guid(reader.array("mailbox")?),
            transaction: reader.varint("transaction")?,
            payload: reader.counted("payload")?,
        },
        _ => return Err(wrong),
    };
    Ok(Part { account, target })
}

fn read_body(reader: &mut Reader<'_>, bodies: usize) -> Result<Option<u32>, Error> {
    let at = reader.at();
    let Some(body) = reader.varint("body")?.checked_sub(1) else { return Ok(None) };
    match u32::try_from(body) {
        Ok(index) if (index as usize) < bodies => Ok(Some(index)),
        Ok(_) | Err(_) => Err(no_body(at, body)),
    }
}

fn body_len(reader: &mut Reader<'_>) -> Result<u64, Error> {
    let len = reader.varint("body length")?;
    if len > BODY_MAX as u64 {
        return Err(Error::TooLong { what: "a body", len, max: BODY_MAX as u64 });
    }
    Ok(len)
}

fn no_body(at: u64, found: u64) -> Error {
    Error::Value { field: "body", at, found, allowed: "the index of a body of this record" }
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn counted_len(bytes: &[u8]) -> usize {
    varint_len(bytes.len() as u64) + bytes.len()
}

const CONTAINER: u8 = 1;
const MAP: u8 = 2;
const LIST: u8 = 3;
const MAILBOX: u8 = 4;
/// Added to the kind: the account is that of the part before.
const SAME_ACCOUNT: u8 = 0x80;
/// The fewest bytes of a part: kind, transaction, length.
const PART_LEAST: u64 = 3;
