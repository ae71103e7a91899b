//! Sent dates, in columns: what a SORT by date of a whole mailbox reads.
//!
//! Some seven bytes a message, four of them the start of its GUID: dates of messages that came one after the other are
//! near each other, so each stretch has the least of them once and the others as what they are above it.

use super::block::{Block, CODEC_SENT, begin, finish};
use super::{Header, SENT_SPAN};
use crate::checksum::Seeded;
use crate::wire::{Put, Reader};
use crate::{Error, MapId};

/// When a message was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sent {
    /// The message.
    pub map_id: MapId,
    /// The first four bytes of its GUID.
    pub guid: [u8; 4],
    /// Seconds since 1970; `None` when it doesn't say.
    pub at: Option<i64>,
}

/// Writes dates as one block at the end of `out`, as [`super::write_rows`] does. They are best in the order of their ids.
///
/// # Errors
/// [`Error::TooLong`] when they are longer than a block carries; [`Error::Value`] for a message that the file does not
/// cover. `out` is as it was then.
pub fn write_sent(
    header: &Header,
    maker: u16,
    rows: &[Sent],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    begin(CODEC_SENT, maker, rows.len(), out);
    let result = rows.chunks(STRETCH).try_for_each(|rows| write_stretch(header, rows, out));
    finish(header, start, result, out)
}

fn write_stretch(header: &Header, rows: &[Sent], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut slots = Vec::with_capacity(rows.len());
    for row in rows {
        let (at, found) = (out.len() as u64, row.map_id.0.into());
        let covered = header.slot(row.map_id);
        slots.push(covered.ok_or(Error::Value {
            field: "map id",
            at,
            found,
            allowed: "one that the file covers",
        })?);
    }
    out.varint(rows.len() as u64);
    let mut next = 0;
    let gaps: Vec<i64> = slots
        .iter()
        .map(|&slot| i64::from(slot) - std::mem::replace(&mut next, i64::from(slot) + 1))
        .collect();
    let (first, others) = gaps.split_first().unwrap_or((&0, &[]));
    out.varint_i64(*first);
    let dense = others.iter().all(|&gap| gap == 0);
    out.push(u8::from(!dense));
    if !dense {
        others.iter().for_each(|&gap| out.varint_i64(gap));
    }
    rows.iter().for_each(|row| out.extend_from_slice(&row.guid));
    let (base, width) = frame(rows);
    let above = |row: &Sent| within(row.at, base, width);
    let odd: Vec<(usize, Option<i64>)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| above(row).is_none())
        .map(|(at, row)| (at, row.at))
        .collect();
    out.extend_from_slice(&base.to_le_bytes());
    out.push(width);
    let (mut bits, mut have) = (0u64, 0);
    for value in rows.iter().map(|row| above(row).unwrap_or(0)) {
        bits |= value << have;
        have += u32::from(width);
        while have >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            have -= 8;
        }
    }
    if have > 0 {
        out.push(bits as u8);
    }
    out.varint(odd.len() as u64);
    for (at, value) in odd {
        out.varint(at as u64);
        match value {
            Some(value) => {
                out.push(1);
                out.extend_from_slice(&value.to_le_bytes());
            }
            None => out.push(0),
        }
    }
    Ok(())
}

/// How far a date is above the least one, when that has room in so many bits.
fn within(at: Option<i64>, base: i64, width: u8) -> Option<u64> {
    let above = at?.checked_sub(base).and_then(|above| u64::try_from(above).ok())?;
    (above >> width == 0).then_some(above)
}

/// The frame in which dates take the fewest bytes, those outside of it written apart.
fn frame(rows: &[Sent]) -> (i64, u8) {
    let mut dates: Vec<i64> = rows.iter().filter_map(|row| row.at).collect();
    dates.sort_unstable();
    let mut best = (u64::MAX, 0, 0);
    for width in 0..=WIDTH_MAX {
        // The window of that width with the most dates.
        let (mut most, mut base, mut from) = (0, 0, 0);
        for (to, date) in dates.iter().enumerate() {
            while dates.get(from).is_some_and(|least| within(Some(*date), *least, width).is_none())
            {
                from += 1;
            }
            if to + 1 - from > most {
                (most, base) = (to + 1 - from, dates.get(from).copied().unwrap_or(0));
            }
        }
        let bits = (rows.len() * usize::from(width) + (dates.len() - most) * ODD) as u64;
        if bits < best.0 {
            best = (bits, base, width);
        }
    }
    (best.1, best.2)
}

/// A file of sent dates, read.
#[derive(Clone, Debug)]
pub struct SentFile {
    /// Its header.
    pub header: Header,
    /// What is known, by its place in the file: the latest for a message stands last.
    pub rows: Vec<Sent>,
    /// How many blocks count.
    pub blocks: usize,
    /// The first byte that does not count.
    pub end: u64,
}

impl SentFile {
    /// Reads as much of a file as checks out, as far as `maker` has made it. `None` when the header does not check out,
    /// or covers more messages than [`SENT_SPAN`].
    #[must_use]
    pub fn parse(bytes: &[u8], maker: u16) -> Option<SentFile> {
        let header = Header::parse(bytes).ok().filter(|header| header.span <= SENT_SPAN)?;
        let seed = Seeded::new(header.seed);
        let mut file = SentFile { end: header.len() as u64, header, rows: Vec::new(), blocks: 0 };
        let mut rest = bytes.get(file.header.len()..)?;
        while let Some(block) = Block::read(seed, rest) {
            if block.codec == CODEC_SENT && block.maker == maker {
                let Ok(rows) = read_block(&file.header, block.payload) else { break };
                file.rows.extend(rows);
            }
            let len = super::block::HEAD + block.payload.len();
            file.end += len as u64;
            file.blocks += 1;
            rest = rest.get(len..).unwrap_or_default();
        }
        Some(file)
    }
}

/// Fails on a payload that no writer makes, checksum or not.
fn read_block(header: &Header, payload: &[u8]) -> Result<Vec<Sent>, Error> {
    let mut reader = Reader::new(payload, 0);
    let count = reader.count("dates", ROW_LEAST)?;
    let mut rows = Vec::with_capacity(count);
    while rows.len() < count {
        read_stretch(header, &mut reader, count - rows.len(), &mut rows)?;
    }
    reader.end("cache block")?;
    Ok(rows)
}

fn read_stretch(
    header: &Header,
    reader: &mut Reader<'_>,
    most: usize,
    rows: &mut Vec<Sent>,
) -> Result<(), Error> {
    let at = reader.at();
    let count = reader.count("stretch", ROW_LEAST)?;
    if count == 0 || count > most.min(STRETCH) {
        let found = count as u64;
        return Err(Error::Value { field: "stretch", at, found, allowed: "1 to 256" });
    }
    let first = reader.varint_i64("slot")?;
    let dense = reader.u8("kind of gaps")? == 0;
    let mut ids = Vec::with_capacity(count);
    let mut next = 0i64;
    for number in 0..count {
        let at = reader.at();
        let gap = match number {
            0 => first,
            _ if dense => 0,
            _ => reader.varint_i64("gap")?,
        };
        let slot = next.checked_add(gap).and_then(|slot| u32::try_from(slot).ok());
        let slot = slot.filter(|&slot| slot < header.span);
        let slot = slot.ok_or(Error::Number { field: "slot", at })?;
        next = i64::from(slot) + 1;
        ids.push(MapId(header.first.0.saturating_add(slot)));
    }
    let guids = reader.bytes("GUIDs", 4 * count as u64)?;
    let base = i64::from_le_bytes(reader.array("base")?);
    let at = reader.at();
    let width = reader.u8("width")?;
    if width > WIDTH_MAX {
        let found = width.into();
        return Err(Error::Value { field: "width", at, found, allowed: "up to 48" });
    }
    let packed = reader.bytes("dates", (count * usize::from(width)).div_ceil(8) as u64)?;
    let start = rows.len();
    let (mut bits, mut have) = (0u64, 0);
    let mut bytes = packed.iter();
    for (&map_id, guid) in ids.iter().zip(guids.as_chunks().0) {
        while have < u32::from(width) {
            bits |= u64::from(bytes.next().copied().unwrap_or(0)) << have;
            have += 8;
        }
        let above = bits & ((1 << width) - 1);
        bits >>= width;
        have -= u32::from(width);
        let at = base.checked_add_unsigned(above);
        rows.push(Sent { map_id, guid: *guid, at });
    }
    for _ in 0..reader.count("odd dates", 2)? {
        let at = reader.at();
        let index = usize::try_from(reader.varint("index")?).unwrap_or(usize::MAX);
        let row = start.checked_add(index).and_then(|index| rows.get_mut(index));
        let Some(row) = row else { return Err(Error::Number { field: "index", at }) };
        row.at = match reader.u8("whether there is a date")? {
            0 => None,
            _ => Some(i64::from_le_bytes(reader.array("date")?)),
        };
    }
    Ok(())
}

/// Messages of one frame.
const STRETCH: usize = 256;
/// The widest frame: with the seven bits that may wait, it has room in 64.
const WIDTH_MAX: u8 = 48;
/// Bits that a date outside of the frame takes.
const ODD: usize = 8 * 10;
/// The fewest bytes of a date: its GUID.
const ROW_LEAST: u64 = 4;
