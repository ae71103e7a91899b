//! `map.index`: the map at a position of its log, in columns.
//!
//! Each column has the width its values need (above the least of them) and a checksum of its own. The file is only
//! ever replaced whole; it may be deleted at any time, the log knows more.

mod write;

use std::ops::Range;

use super::apply::LEN_MAX;
use super::slots::Slot;
use super::{ContainerState, Entry, Extra, Gone, IdSet, Map, MapId};
use crate::checksum::crc32c;
use crate::reader::{Reader, unzigzag};
use crate::{Error, Guid, Seed};

/// Starts a map's snapshot.
pub const SNAPSHOT_MAGIC: [u8; 8] = *b"\x89LMap\r\n\x1a";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 64;
const DESCRIPTOR_LEN: u64 = 24;

/// Where in a log, in the log's own terms; this crate only keeps it.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct LogPosition {
    /// The number of the log file.
    pub file: u32,
    /// The offset in it.
    pub offset: u64,
}

/// A snapshot file whose header and bounds are checked; [`load`](Self::load) checks the rest.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    position: LogPosition,
    transactions: u64,
    next_id: u32,
    next_container: u32,
    messages: u64,
    containers: u32,
    sections: Vec<Section<'a>>,
}

/// What a section holds. Later versions add kinds; those from 128 on may be passed over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
enum Kind {
    Ids = 1,
    Container = 2,
    Offset = 3,
    RecordLen = 4,
    Framing = 5,
    Refs = 6,
    Guids = 7,
    Extras = 8,
    Expunged = 9,
    ListFloor = 10,
    Numbers = 16,
    Ends = 17,
    Seeds = 18,
    Sealed = 19,
    Skipped = 20,
}

const KINDS: [(Kind, &str); 15] = [
    (Kind::Ids, "ids"),
    (Kind::Container, "containers"),
    (Kind::Offset, "offsets"),
    (Kind::RecordLen, "record lengths"),
    (Kind::Framing, "framing"),
    (Kind::Refs, "references"),
    (Kind::Guids, "GUIDs"),
    (Kind::Extras, "extra fields"),
    (Kind::Expunged, "expunged messages"),
    (Kind::ListFloor, "transactions of the mailbox list"),
    (Kind::Numbers, "container numbers"),
    (Kind::Ends, "container ends"),
    (Kind::Seeds, "container seeds"),
    (Kind::Sealed, "sealed containers"),
    (Kind::Skipped, "skipped container numbers"),
];
const OPTIONAL_FROM: u8 = 128;

#[derive(Clone, Debug)]
struct Section<'a> {
    kind: u8,
    width: u8,
    crc: u32,
    base: u64,
    at: u64,
    bytes: &'a [u8],
}

impl<'a> Snapshot<'a> {
    /// Checks header and section table, and that all sections are there.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Magic`], [`Error::Version`], [`Error::Checksum`], [`Error::Range`],
    /// [`Error::Kind`] for a section a later version needs, [`Error::Trailing`].
    pub fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(file);
        let magic: &[u8; 8] = reader.array("magic")?;
        if *magic != SNAPSHOT_MAGIC {
            let [a, b, c, d, ..] = *magic;
            return Err(Error::Magic { what: "map snapshot", at: 0, found: [a, b, c, d] });
        }
        // The version comes before the checksum: a newer version may have another header.
        let version = reader.u16("version")?;
        if version > VERSION {
            return Err(Error::Version {
                what: "map snapshot",
                found: version,
                supported: VERSION,
            });
        }
        exactly("version", 8, u64::from(version), u64::from(VERSION))?;
        exactly("header length", 10, u64::from(reader.u16("header length")?), HEADER_LEN as u64)?;
        let count = reader.u32("number of sections")?;
        let transactions = reader.u64("transactions")?;
        within("transactions", 16, transactions, 0, LEN_MAX)?;
        let offset = reader.u64("log offset")?;
        let position = LogPosition { file: reader.u32("log file")?, offset };
        let next_id = reader.u32("next id")?;
        let next_container = reader.u32("next container")?;
        let containers = reader.u32("number of containers")?;
        let messages = reader.u64("number of messages")?;
        reader.u32("reserved")?;
        check_crc("the snapshot's header", file, 0..HEADER_LEN as u64 - 4, &mut reader)?;
        let sections = parse_sections(file, &mut reader, count)?;
        Ok(Self { position, transactions, next_id, next_container, messages, containers, sections })
    }

    /// Up to where the log is in this snapshot.
    #[must_use]
    pub fn position(&self) -> LogPosition {
        self.position
    }

    /// How many transactions are in it.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// The number of messages.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Name, width in bytes and whole length of each section, for people.
    pub fn sections(&self) -> impl Iterator<Item = (&'static str, u8, usize)> + '_ {
        self.sections
            .iter()
            .map(|section| (name_of(section.kind), section.width, section.bytes.len()))
    }

    /// Checks all sections and builds the map.
    ///
    /// # Errors
    /// [`Error::Checksum`] and, for what no writer would have written, [`Error::Range`], [`Error::Map`] and others.
    pub fn load(&self) -> Result<Map, Error> {
        for section in &self.sections {
            let computed = crc32c(section.bytes);
            if computed != section.crc {
                let (what, at, stored) = (name_of(section.kind), section.at, section.crc);
                return Err(Error::Checksum { what, at, stored, computed });
            }
        }
        let mut map = Map::new();
        map.transactions = self.transactions;
        (map.next_id, map.next_container) = (self.next_id.max(1), self.next_container.max(1));
        self.load_containers(&mut map)?;
        self.load_messages(&mut map)?;
        self.load_extras(&mut map)?;
        self.load_expunged(&mut map)?;
        if let Ok(section) = self.section(Kind::ListFloor) {
            let mut reader = Reader::new(section.bytes);
            map.list_floor = reader.u64("transactions of the list")?;
            exactly("length of a number", section.at, section.bytes.len() as u64, reader.at())?;
            within("transactions of the list", section.at, map.list_floor, 1, LEN_MAX)?;
        }
        Ok(map)
    }

    fn load_containers(&self, map: &mut Map) -> Result<(), Error> {
        let count = u64::from(self.containers);
        let numbers = self.section(Kind::Numbers)?;
        let ends = self.column(Kind::Ends, count)?;
        let seeds = self.column(Kind::Seeds, count)?;
        let sealed = self.column(Kind::Sealed, count)?;
        // At least one of the columns has to take room, or a few bytes would claim any number of containers.
        if count > 1 && numbers.width == 0 {
            return Err(Error::Range { field: "width", at: numbers.at, found: 0, min: 1, max: 4 });
        }
        let mut least = 0;
        let columns = numbers.column(count)?.zip(ends).zip(seeds.zip(sealed));
        for ((number, end), (seed, sealed)) in columns {
            let max = u64::from(self.next_container).saturating_sub(1);
            within("container number", numbers.at, number, least, max)?;
            within("container seed", numbers.at, seed, 0, u64::from(u32::MAX))?;
            within("sealed", numbers.at, sealed, 0, 1)?;
            within("end of a container", numbers.at, end, 0, LEN_MAX)?;
            least = number + 1;
            let state = ContainerState {
                end,
                sealed: sealed == 1,
                ..ContainerState::new(Seed(seed as u32))
            };
            map.containers.insert(number as u32, state);
        }
        self.load_skipped(map)
    }

    fn load_skipped(&self, map: &mut Map) -> Result<(), Error> {
        let Ok(section) = self.section(Kind::Skipped) else { return Ok(()) };
        let skipped = section.id_set(u64::from(map.next_container) - 1)?;
        if let Some(number) = map.containers.keys().find(|number| skipped.contains(MapId(**number)))
        {
            let (field, at, found) = ("skipped container number", section.at, u64::from(*number));
            return Err(Error::Range {
                field,
                at,
                found,
                min: found + 1,
                max: u64::from(map.next_container),
            });
        }
        map.skipped = skipped;
        Ok(())
    }

    fn load_messages(&self, map: &mut Map) -> Result<(), Error> {
        // GUIDs come first: they take 16 bytes each, so the number of messages is bounded by the file.
        let guids = self.section(Kind::Guids)?;
        let wanted = self.messages.saturating_mul(16);
        exactly("length of the GUIDs", guids.at, guids.bytes.len() as u64, wanted)?;
        let section = self.section(Kind::Ids)?;
        let ids = section.id_set(u64::from(map.next_id) - 1)?;
        exactly("number of ids", section.at, ids.len(), self.messages)?;
        let column = |kind| self.column(kind, self.messages);
        let places =
            column(Kind::Container)?.zip(column(Kind::Offset)?).zip(column(Kind::RecordLen)?);
        let rest =
            column(Kind::Framing)?.zip(column(Kind::Refs)?).zip(guids.bytes.as_chunks::<16>().0);
        map.slots.reserve_exact(guids.bytes.len() / 16);
        for (id, (((container, offset), record_len), ((framing, refs), guid))) in
            ids.iter().zip(places.zip(rest))
        {
            within("references", section.at, refs, 0, u64::from(u32::MAX))?;
            let known =
                u32::try_from(container).ok().and_then(|number| map.containers.get_mut(&number));
            let max = u64::from(self.next_container).saturating_sub(1);
            let unknown =
                Error::Range { field: "container", at: section.at, found: container, min: 1, max };
            let state = known.ok_or(unknown)?;
            let end = offset.saturating_add(record_len);
            within("end of a record", section.at, end, 0, state.end)?;
            let size = record_len.wrapping_sub(unzigzag(framing) as u64);
            let (container, refs) = (container as u32, refs as u32);
            let entry = Entry { guid: Guid(*guid), container, offset, record_len, size, refs };
            // Records don't overlap, so what is held fits into the container, and no sum overflows.
            within(
                "bytes held",
                section.at,
                state.held_bytes.saturating_add(record_len),
                0,
                state.end,
            )?;
            state.take_in(&entry);
            if refs == 0 {
                map.zero.insert(id.0, Gone::default());
            }
            map.slots.push(Slot { id: id.0, gone: false, entry });
        }
        Ok(())
    }

    fn load_extras(&self, map: &mut Map) -> Result<(), Error> {
        let Ok(section) = self.section(Kind::Extras) else { return Ok(()) };
        let mut reader = Reader::new(section.bytes);
        let mut least = 0;
        while !reader.is_empty() {
            let id = reader.varint("id of extra fields")?;
            let found = u32::try_from(id).ok().filter(|id| map.get(MapId(*id)).is_some());
            let max = u64::from(map.next_id) - 1;
            within("id of extra fields", section.at, id, least, max)?;
            let id32 = found.ok_or(Error::Range {
                field: "id of extra fields",
                at: section.at,
                found: id,
                min: 0,
                max,
            })?;
            map.extras.insert(id32, Extra::read(&mut reader)?);
            least = id + 1;
        }
        Ok(())
    }

    fn load_expunged(&self, map: &mut Map) -> Result<(), Error> {
        let Ok(section) = self.section(Kind::Expunged) else { return Ok(()) };
        let mut reader = Reader::new(section.bytes);
        while !reader.is_empty() {
            let time = reader.u32("time of an expunge")?;
            let gone = Gone { time, mailbox: *reader.array("mailbox of an expunge")? };
            let ids = IdSet::read(&mut reader)?;
            // So that a few bytes that name all ids take no time.
            within("expunged ids", section.at, ids.len(), 1, map.zero.len() as u64)?;
            for id in &ids {
                let unknown = Error::Range {
                    field: "expunged id",
                    at: section.at,
                    found: u64::from(id.0),
                    min: 1,
                    max: u64::from(map.next_id) - 1,
                };
                *map.zero.get_mut(&id.0).ok_or(unknown)? = gone;
            }
        }
        Ok(())
    }

    fn section(&self, kind: Kind) -> Result<&Section<'a>, Error> {
        let missing =
            Error::Kind { what: "missing section", at: HEADER_LEN as u64, kind: kind as u8 };
        self.sections.iter().find(|section| section.kind == kind as u8).ok_or(missing)
    }

    fn column(&self, kind: Kind, count: u64) -> Result<Column<'a>, Error> {
        self.section(kind)?.column(count)
    }
}

impl<'a> Section<'a> {
    /// The section as a set of numbers from 1 to `max`, and nothing behind it.
    fn id_set(&self, max: u64) -> Result<IdSet, Error> {
        let mut reader = Reader::new(self.bytes);
        let ids = IdSet::read(&mut reader)?;
        exactly("length of a set", self.at, self.bytes.len() as u64, reader.at())?;
        for id in ids.ranges().flat_map(|range| [*range.start(), *range.end()]) {
            within("id", self.at, u64::from(id.0), 1, max)?;
        }
        Ok(ids)
    }

    fn column(&self, count: u64) -> Result<Column<'a>, Error> {
        within("width", self.at, u64::from(self.width), 0, 8)?;
        let wanted = count.saturating_mul(u64::from(self.width));
        exactly("length of a column", self.at, self.bytes.len() as u64, wanted)?;
        Ok(Column {
            rest: self.bytes,
            width: usize::from(self.width),
            base: self.base,
            left: count,
        })
    }
}

/// The values of a column: `base` plus `width` little-endian bytes each.
struct Column<'a> {
    rest: &'a [u8],
    width: usize,
    base: u64,
    left: u64,
}

impl Iterator for Column<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        let (value, rest) = self.rest.split_at_checked(self.width)?;
        self.rest = rest;
        let above = value.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Some(self.base.wrapping_add(above))
    }
}

fn parse_sections<'a>(
    file: &'a [u8],
    reader: &mut Reader<'a>,
    count: u32,
) -> Result<Vec<Section<'a>>, Error> {
    let start = reader.at();
    let table = reader.bytes("section table", u64::from(count) * DESCRIPTOR_LEN)?;
    check_crc("the section table", file, start..reader.at(), reader)?;
    let mut table = Reader::new(table);
    let mut sections: Vec<Section<'a>> = Vec::new();
    while !table.is_empty() {
        let at = start + table.at();
        let kind = table.u8("section kind")?;
        let known = KINDS.iter().any(|(known, _)| *known as u8 == kind);
        if (!known && kind < OPTIONAL_FROM) || sections.iter().any(|section| section.kind == kind) {
            return Err(Error::Kind { what: "section of the map", at, kind });
        }
        let width = table.u8("section width")?;
        table.u16("reserved")?;
        let crc = table.u32("section checksum")?;
        let base = table.u64("section base")?;
        let len = table.u64("section length")?;
        let at = reader.at();
        sections.push(Section { kind, width, crc, base, at, bytes: reader.bytes("section", len)? });
    }
    if !reader.is_empty() {
        return Err(Error::Trailing {
            what: "the snapshot",
            at: reader.at(),
            count: reader.left(),
        });
    }
    Ok(sections)
}

fn check_crc(
    what: &'static str,
    file: &[u8],
    covered: Range<u64>,
    reader: &mut Reader<'_>,
) -> Result<(), Error> {
    let at = covered.start;
    let covered = usize::try_from(covered.start).unwrap_or(usize::MAX)
        ..usize::try_from(covered.end).unwrap_or(0);
    let computed = crc32c(file.get(covered).unwrap_or_default());
    let stored = reader.u32(what)?;
    if stored == computed { Ok(()) } else { Err(Error::Checksum { what, at, stored, computed }) }
}

fn name_of(kind: u8) -> &'static str {
    KINDS
        .iter()
        .find(|(known, _)| *known as u8 == kind)
        .map_or("of a later version", |(_, name)| name)
}

fn exactly(field: &'static str, at: u64, found: u64, wanted: u64) -> Result<(), Error> {
    within(field, at, found, wanted, wanted)
}

fn within(field: &'static str, at: u64, found: u64, min: u64, max: u64) -> Result<(), Error> {
    if (min..=max).contains(&found) {
        Ok(())
    } else {
        Err(Error::Range { field, at, found, min, max })
    }
}
