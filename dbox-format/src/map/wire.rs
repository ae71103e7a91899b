//! The bytes of a transaction.
//!
//! One step after the other until the payload ends. A step starts with a tag: the kind in the upper four bits, what
//! the kind needs in the lower four. Offsets and containers refer to the step before, inside the transaction only:
//! each can be read on its own.

use super::{Added, Extra, Gone, IdSet, MapId, Moved, Op, Transaction};
use crate::reader::{Reader, put_varint, unzigzag, zigzag};
use crate::{Error, Guid, Seed};

const ADD: u8 = 1;
const REFS_ADD: u8 = 2;
const REFS_REMOVE: u8 = 3;
const MOVE: u8 = 4;
const FREE: u8 = 5;
const CONTAINER_OPEN: u8 = 6;
const CONTAINER_SEAL: u8 = 7;
const CONTAINER_DROP: u8 = 8;
const LIST_FLOOR: u8 = 9;

/// The record starts where the one added before it in this transaction ends.
const ADD_FOLLOWS: u8 = 1;
/// A number of references is there; else it is 1.
const ADD_REFS: u8 = 2;
/// Extra fields are there.
const ADD_EXTRA: u8 = 4;

/// The set stands as groups of ranges.
const SET_STEPS: u8 = 1;
/// Time and mailbox of an expunge are there.
const REFS_GONE: u8 = 2;

/// Where the last record of the transaction so far ended.
#[derive(Clone, Copy, Default)]
struct Place {
    container: u32,
    end: u64,
}

impl Transaction {
    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut place = Place::default();
        for op in &self.ops {
            match op {
                Op::Add { anchor, message } => write_add(*anchor, message, &mut place, out),
                Op::RefsAdd(ids) => write_set(REFS_ADD, None, ids, out),
                Op::RefsRemove(ids) => write_set(REFS_REMOVE, None, ids, out),
                Op::Expunge { ids, gone } => write_set(REFS_REMOVE, Some(*gone), ids, out),
                Op::Move(moved) => write_move(moved, &mut place, out),
                Op::Free(ids) => write_set(FREE, None, ids, out),
                Op::ContainerOpen { number, seed } => {
                    write_container(CONTAINER_OPEN, *number, out);
                    out.extend_from_slice(&seed.0.to_le_bytes());
                }
                Op::ContainerSeal { number } => write_container(CONTAINER_SEAL, *number, out),
                Op::ContainerDrop { number } => write_container(CONTAINER_DROP, *number, out),
                Op::ListFloor(least) => {
                    out.push(LIST_FLOOR << 4);
                    put_varint(out, *least);
                }
            }
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`Error::Kind`] for a step of a newer version; [`Error::Truncated`], [`Error::Varint`], [`Error::Range`] for
    /// bytes that no [`encode`](Self::encode) gives.
    pub fn decode(payload: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(payload);
        let mut place = Place::default();
        let mut ops = Vec::new();
        while !reader.is_empty() {
            ops.push(read_op(&mut reader, &mut place)?);
        }
        Ok(Self { ops })
    }
}

fn read_op(reader: &mut Reader<'_>, place: &mut Place) -> Result<Op, Error> {
    let at = reader.at();
    let tag = reader.u8("tag")?;
    let (kind, flags) = (tag >> 4, tag & 0x0f);
    let known = match kind {
        ADD => ADD_FOLLOWS | ADD_REFS | ADD_EXTRA,
        REFS_REMOVE => SET_STEPS | REFS_GONE,
        REFS_ADD | FREE => SET_STEPS,
        _ => 0,
    };
    if flags & !known != 0 {
        return Err(Error::Kind { what: "step of a map transaction", at, kind: tag });
    }
    Ok(match kind {
        ADD => read_add(reader, flags, place)?,
        REFS_ADD => Op::RefsAdd(read_set(reader, flags)?),
        REFS_REMOVE if flags & REFS_GONE != 0 => {
            let time = reader.u32("time")?;
            let gone = Gone { time, mailbox: *reader.array("mailbox")? };
            Op::Expunge { gone, ids: read_set(reader, flags)? }
        }
        REFS_REMOVE => Op::RefsRemove(read_set(reader, flags)?),
        MOVE => Op::Move(read_move(reader, place)?),
        FREE => Op::Free(read_set(reader, flags)?),
        CONTAINER_OPEN => {
            let number = reader.varint32("container")?;
            Op::ContainerOpen { number, seed: Seed(reader.u32("seed")?) }
        }
        CONTAINER_SEAL => Op::ContainerSeal { number: reader.varint32("container")? },
        CONTAINER_DROP => Op::ContainerDrop { number: reader.varint32("container")? },
        LIST_FLOOR => Op::ListFloor(reader.varint("transactions of the list")?),
        _ => return Err(Error::Kind { what: "step of a map transaction", at, kind: tag }),
    })
}

fn write_add(anchor: u8, message: &Added, place: &mut Place, out: &mut Vec<u8>) {
    let Added { guid, container, offset, record_len, size, refs, extra } = message;
    let follows = *container == place.container && *offset == place.end;
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = flag(follows, ADD_FOLLOWS)
        | flag(*refs != 1, ADD_REFS)
        | flag(!extra.is_empty(), ADD_EXTRA);
    out.push(ADD << 4 | flags);
    out.push(anchor);
    if !follows {
        put_varint(out, u64::from(*container));
        put_varint(out, *offset);
    }
    put_varint(out, *record_len);
    put_varint(out, zigzag(record_len.wrapping_sub(*size) as i64));
    if *refs != 1 {
        put_varint(out, u64::from(*refs));
    }
    out.extend_from_slice(&guid.0);
    if !extra.is_empty() {
        put_varint(out, extra.as_bytes().len() as u64);
        out.extend_from_slice(extra.as_bytes());
    }
    *place = Place { container: *container, end: offset.wrapping_add(*record_len) };
}

fn read_add(reader: &mut Reader<'_>, flags: u8, place: &mut Place) -> Result<Op, Error> {
    let anchor = reader.u8("anchor")?;
    let (container, offset) = if flags & ADD_FOLLOWS != 0 {
        (place.container, place.end)
    } else {
        (reader.varint32("container")?, reader.varint("offset")?)
    };
    let at = reader.at();
    let record_len = reader.varint("record length")?;
    let end = end_of(offset, record_len, at)?;
    // Without a codec the record is longer than the message; with one it may be shorter.
    let at = reader.at();
    let framing = unzigzag(reader.varint("framing")?);
    let size = record_len.wrapping_sub(framing as u64);
    if i128::from(record_len) - i128::from(framing) != i128::from(size) {
        let max = u64::MAX;
        return Err(Error::Range { field: "message size", at, found: size, min: 0, max });
    }
    let refs = if flags & ADD_REFS != 0 { reader.varint32("references")? } else { 1 };
    let guid = Guid(*reader.array("GUID")?);
    let extra = if flags & ADD_EXTRA != 0 { Extra::read(reader)? } else { Extra::new() };
    *place = Place { container, end };
    Ok(Op::Add {
        anchor,
        message: Added { guid, container, offset, record_len, size, refs, extra },
    })
}

/// In the shorter of the two forms.
fn write_set(kind: u8, gone: Option<Gone>, ids: &IdSet, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(kind << 4 | if gone.is_some() { REFS_GONE } else { 0 });
    if let Some(Gone { time, mailbox }) = gone {
        out.extend_from_slice(&time.to_le_bytes());
        out.extend_from_slice(&mailbox);
    }
    let set = out.len();
    ids.write(out);
    let mut steps = Vec::new();
    if ids.write_steps(out.len() - set, &mut steps) {
        out.truncate(set);
        out.extend_from_slice(&steps);
        if let Some(tag) = out.get_mut(start) {
            *tag |= SET_STEPS;
        }
    }
}

fn read_set(reader: &mut Reader<'_>, flags: u8) -> Result<IdSet, Error> {
    if flags & SET_STEPS == 0 { IdSet::read(reader) } else { IdSet::read_steps(reader) }
}

fn write_container(kind: u8, number: u32, out: &mut Vec<u8>) {
    out.push(kind << 4);
    put_varint(out, u64::from(number));
}

fn write_move(moved: &[Moved], place: &mut Place, out: &mut Vec<u8>) {
    out.push(MOVE << 4);
    put_varint(out, moved.len() as u64);
    let mut last = 0_u32;
    for &Moved { id, container, offset, record_len } in moved {
        let follows = container == place.container && offset == place.end;
        put_varint(out, u64::from(id.0.wrapping_sub(last)) << 1 | u64::from(!follows));
        if !follows {
            put_varint(out, u64::from(container));
            put_varint(out, offset);
        }
        put_varint(out, record_len);
        last = id.0;
        *place = Place { container, end: offset.wrapping_add(record_len) };
    }
}

fn read_move(reader: &mut Reader<'_>, place: &mut Place) -> Result<Vec<Moved>, Error> {
    let at = reader.at();
    let count = reader.varint("number of moves")?;
    // A move takes two bytes at least.
    let max = reader.left() / 2;
    if count > max {
        return Err(Error::Range { field: "number of moves", at, found: count, min: 0, max });
    }
    let mut moved = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    let mut last = 0_u64;
    for _ in 0..count {
        let at = reader.at();
        let word = reader.varint("moved id")?;
        let id = last.saturating_add(word >> 1);
        let (min, max) = (last + 1, u64::from(u32::MAX));
        if id < min || id > max {
            return Err(Error::Range { field: "moved id", at, found: id, min, max });
        }
        let (container, offset) = if word & 1 == 0 {
            (place.container, place.end)
        } else {
            (reader.varint32("container")?, reader.varint("offset")?)
        };
        let at = reader.at();
        let record_len = reader.varint("record length")?;
        let end = end_of(offset, record_len, at)?;
        moved.push(Moved { id: MapId(id as u32), container, offset, record_len });
        (last, *place) = (id, Place { container, end });
    }
    Ok(moved)
}

fn end_of(offset: u64, record_len: u64, at: u64) -> Result<u64, Error> {
    let max = u64::MAX - offset;
    offset.checked_add(record_len).ok_or(Error::Range {
        field: "record length",
        at,
        found: record_len,
        min: 0,
        max,
    })
}
