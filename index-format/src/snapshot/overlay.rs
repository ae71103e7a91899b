//! What became of a mailbox since its snapshot: so that a snapshot need not be written anew for a few changes.

use std::collections::BTreeMap;

use super::column::Column;
use super::head::OVERLAY;
use super::load::narrow;
use super::write::{Sections, assemble, ordered, put_sparse, put_uids, signed};
use super::{Head, Header, Position, SectionId, UidIndex, sparse};
use crate::mailbox::{Flagged, KeywordTable, Mailbox, PrivateFlags, Row, Voided};
use crate::record::Tombstone;
use crate::wire::Reader;
use crate::{Error, Flags, Guid, Keywords, MapId, ModSeq, Uid, UidSet};

/// An overlay, read whole: the state at its position is that of its snapshot with this laid over it
/// ([`Mailbox::lay_over`]).
#[derive(Clone, Debug)]
pub struct Overlay {
    pub(crate) header: Header,
    base: BaseName,
    /// Rows of the snapshot that went.
    pub(crate) gone: UidSet,
    /// Rows of the snapshot that changed.
    pub(crate) changed: Vec<Flagged>,
    /// Rows of the snapshot that got another save date.
    pub(crate) dated: Vec<(Uid, i64)>,
    /// Rows that came.
    pub(crate) rows: Vec<Row>,
    pub(crate) names: KeywordTable,
    pub(crate) tombstones: Vec<Tombstone>,
    pub(crate) voids: Vec<Voided>,
    pub(crate) metadata: BTreeMap<Box<[u8]>, Box<[u8]>>,
    pub(crate) private: BTreeMap<Box<[u8]>, BTreeMap<Uid, PrivateFlags>>,
}

/// Which snapshot an overlay belongs to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct BaseName {
    position: Position,
    /// The checksum of its header, and so of all its sections' checksums.
    sum: u32,
    messages: u32,
}

/// Writes what became of `mailbox` since its snapshot; its log stands at `offset` of `file`. What it
/// [needs](Mailbox::overlay_needs) is loaded. `None` where there is no snapshot, it can't be said so, or most of what stands
/// in the columns is of rows that went.
pub fn write_overlay(mailbox: &Mailbox, owner: Guid, file: u32, offset: u64) -> Option<Vec<u8>> {
    let base = mailbox.base.as_ref().filter(|base| !base.since.whole)?;
    if mailbox.rows.wants_renumbering() {
        return None;
    }
    let head = &base.head;
    let behind = Behind { modseq: head.header.modseq, uid: head.header.uidnext };
    let live = mailbox.uid_set();
    let mut sections = Sections::default();
    appended(mailbox, behind, &mut sections);
    rest(mailbox, behind, &mut sections);
    sections.add(SectionId::BASE, |out| BaseName::of(head).write(out));
    sections.some(SectionId::EXPUNGED, !base.since.gone.is_empty(), |out| {
        base.since.gone.encode(out);
    });
    changed(mailbox, &base.since.changed.intersection(&live), &mut sections);
    dated(mailbox, &base.since.dated.intersection(&live), &mut sections);
    Some(assemble(&OVERLAY, mailbox, owner, file, offset, 0, &sections))
}

/// What a snapshot ends with.
#[derive(Clone, Copy)]
struct Behind {
    modseq: ModSeq,
    uid: Uid,
}

fn appended(mailbox: &Mailbox, behind: Behind, sections: &mut Sections) {
    let indexes = mailbox.find_range(behind.uid..=Uid(u32::MAX));
    if indexes.is_empty() {
        return;
    }
    let places: Vec<(Uid, u32)> = mailbox.places(indexes).collect();
    let rows = &mailbox.rows;
    let set: UidSet = places.iter().map(|(uid, _)| *uid).collect();
    put_uids(&set, sections);
    let slots = || places.iter().map(|(_, slot)| *slot);
    sections.column(SectionId::FLAGS, slots().map(|slot| rows.flags.at(slot).0.into()));
    sections.column(SectionId::KEYWORDS, slots().map(|slot| rows.keywords.at(slot).0));
    sections.column(SectionId::MODSEQS, slots().map(|slot| rows.modseqs.at(slot).0));
    let date = |slot| ordered(rows.internal_dates.at(slot));
    sections.column(SectionId::INTERNAL_DATES, slots().map(date));
    let delay = |slot| rows.save_dates.at(slot).wrapping_sub(rows.internal_dates.at(slot));
    sections.column(SectionId::SAVE_DELAYS, slots().map(|slot| ordered(delay(slot))));
    sections.column(SectionId::SIZES, slots().map(|slot| rows.size(slot)));
    sections.column(SectionId::MAP_IDS, slots().map(|slot| rows.map_ids.at(slot).0.into()));
}

/// What few rows have, in the form of a snapshot's sections: of rows and what is gone only what is new.
fn rest(mailbox: &Mailbox, behind: Behind, sections: &mut Sections) {
    let first = mailbox.tombstones.partition_point(|gone| gone.modseq <= behind.modseq);
    let tombstones = mailbox.tombstones.get(first..).unwrap_or_default();
    let first = mailbox.voids.partition_point(|void| void.modseq <= behind.modseq);
    let voids = mailbox.voids.get(first..).unwrap_or_default();
    let guids = mailbox.rows.guids.range(behind.uid..);
    let guids = guids.map(|(uid, guid)| (*uid, *guid)).collect();
    let items = mailbox.rows.items.range(behind.uid..);
    let items = items.map(|(uid, item)| (*uid, *item)).collect();
    put_sparse(mailbox, tombstones, voids, (&guids, &items), sections);
}

fn changed(mailbox: &Mailbox, uids: &UidSet, sections: &mut Sections) {
    if uids.is_empty() {
        return;
    }
    let slots = slots(mailbox, uids);
    let (rows, slots) = (&mailbox.rows, || slots.iter().copied());
    sections.add(SectionId::CHANGED, |out| uids.encode(out));
    sections.column(SectionId::CHANGED_FLAGS, slots().map(|slot| rows.flags.at(slot).0.into()));
    sections.column(SectionId::CHANGED_KEYWORDS, slots().map(|slot| rows.keywords.at(slot).0));
    sections.column(SectionId::CHANGED_MODSEQS, slots().map(|slot| rows.modseqs.at(slot).0));
}

fn dated(mailbox: &Mailbox, uids: &UidSet, sections: &mut Sections) {
    if uids.is_empty() {
        return;
    }
    let (slots, rows) = (slots(mailbox, uids), &mailbox.rows);
    sections.add(SectionId::DATED, |out| uids.encode(out));
    let dates = slots.iter().map(|slot| ordered(rows.save_dates.at(*slot)));
    sections.column(SectionId::DATES, dates);
}

/// Where the rows of `uids` stand, which are there.
fn slots(mailbox: &Mailbox, uids: &UidSet) -> Vec<u32> {
    let indexes = uids.ranges().map(|range| mailbox.find_range(range));
    indexes.flat_map(|indexes| mailbox.places(indexes)).map(|(_, slot)| slot).collect()
}

impl BaseName {
    const LEN: usize = 28;

    fn of(head: &Head) -> BaseName {
        let Header { position, counters, .. } = head.header;
        BaseName { position, sum: head.sum, messages: counters.messages }
    }

    fn write(self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.position.file.to_le_bytes());
        out.extend_from_slice(&self.position.offset.to_le_bytes());
        out.extend_from_slice(&self.position.transactions.to_le_bytes());
        out.extend_from_slice(&self.sum.to_le_bytes());
        out.extend_from_slice(&self.messages.to_le_bytes());
        debug_assert_eq!(out.len() - start, Self::LEN);
    }

    fn read(reader: &mut Reader<'_>) -> Result<BaseName, Error> {
        let position = Position {
            file: reader.u32("snapshot's log file")?,
            offset: reader.u64("snapshot's log offset")?,
            transactions: reader.u64("snapshot's transactions")?,
        };
        let (sum, messages) = (reader.u32("snapshot's checksum")?, reader.u32("its messages")?);
        Ok(BaseName { position, sum, messages })
    }
}

impl Overlay {
    /// Reads a whole file.
    ///
    /// # Errors
    /// Not an overlay, a newer version, what does not check out or fit.
    pub fn parse(file: &[u8]) -> Result<Overlay, Error> {
        let head = Head::parse_kind(&OVERLAY, file, file.len() as u64)?;
        for section in head.sections() {
            section.check(section.of(file))?;
        }
        let sections = Whole { head: &head, file };
        let base = sections.parsed(SectionId::BASE, BaseName::read)?;
        let base = base.ok_or_else(|| sections.missing(SectionId::BASE))?;
        let gone = sections.parsed(SectionId::EXPUNGED, UidSet::read)?.unwrap_or_default();
        let header = head.header.clone();
        let stay = u64::from(base.messages).checked_sub(gone.len());
        let came = stay.and_then(|stay| u64::from(header.counters.messages).checked_sub(stay));
        let Some(came) = came else {
            return Err(head.wrong("messages", header.counters.messages.into()));
        };
        let names = sections.parsed(SectionId::NAMES, sparse::read_names)?;
        let tombstones = sections.parsed(SectionId::TOMBSTONES, sparse::read_tombstones)?;
        let mut tombstones = tombstones.unwrap_or_default();
        let kept = sections.parsed(SectionId::KEPT, sparse::read_kept)?;
        sparse::keep(&mut tombstones, kept.unwrap_or_default());
        let voids = sections.parsed(SectionId::VOIDS, sparse::read_voids)?;
        let metadata = sections.parsed(SectionId::METADATA, crate::list::snapshot::read_map)?;
        let private = sections.parsed(SectionId::PRIVATE, sparse::read_private)?;
        let mut overlay = Overlay {
            base,
            gone,
            changed: sections.changed()?,
            dated: sections.dated()?,
            rows: sections.rows(came as usize)?,
            names: names.unwrap_or_default(),
            tombstones,
            voids: voids.unwrap_or_default(),
            metadata: metadata.unwrap_or_default(),
            private: private.unwrap_or_default(),
            header,
        };
        sections.marks(&mut overlay.rows)?;
        overlay.check(&head)?;
        Ok(overlay)
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where the snapshot stands that it belongs to.
    pub fn base(&self) -> Position {
        self.base.position
    }

    /// Whether this belongs to the snapshot with that head.
    pub fn is_of(&self, head: &Head) -> bool {
        self.base == BaseName::of(head) && self.header.owner == head.header.owner
    }

    /// The UIDs of the snapshot's rows that went, how many changed, and how many rows came since.
    pub fn sums(&self) -> (&UidSet, usize, usize) {
        (&self.gone, self.changed.len(), self.rows.len())
    }

    /// Holds numbers against their limits, as far as they can be without the snapshot.
    fn check(&self, head: &Head) -> Result<(), Error> {
        let Header { modseq, counters, first_unseen, .. } = self.header;
        if modseq > ModSeq::MAX || first_unseen.is_some_and(|index| index >= counters.messages) {
            return Err(head.wrong("HIGHESTMODSEQ or first unseen", modseq.0));
        }
        let modseqs = self.rows.iter().map(|row| row.modseq);
        let modseqs = modseqs.chain(self.changed.iter().map(|row| row.modseq));
        let modseqs = modseqs.chain(self.tombstones.iter().map(|gone| gone.modseq));
        let modseqs = modseqs.chain(self.voids.iter().map(|void| void.modseq));
        let private = self.private.values().flat_map(|rows| rows.values());
        head.check_modseq(modseqs.chain(private.map(|flags| flags.modseq)).max())?;
        let rows = self.rows.iter().map(|row| row.keywords.0);
        let all =
            rows.chain(self.changed.iter().map(|row| row.keywords.0)).fold(0, |all, one| all | one);
        if Keywords(all).iter().any(|number| self.names.name(number).is_none()) {
            return Err(head.wrong("keywords", all));
        }
        Ok(())
    }
}

/// The sections of an overlay, whose checksums match.
struct Whole<'a> {
    head: &'a Head,
    file: &'a [u8],
}

impl Whole<'_> {
    fn missing(&self, id: SectionId) -> Error {
        self.head.required(id).err().unwrap_or_else(|| self.head.wrong("section", id.0.into()))
    }

    fn parsed<T>(
        &self,
        id: SectionId,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let Some(section) = self.head.section(id) else { return Ok(None) };
        let mut reader = Reader::new(section.of(self.file), section.at);
        let value = read(&mut reader)?;
        reader.end("section")?;
        Ok(Some(value))
    }

    fn column(&self, id: SectionId, rows: usize) -> Result<Column<'_>, Error> {
        let section = self.head.required(id)?;
        Column::parse(section.of(self.file), rows, section.at)
    }

    /// A set of rows, and how many they are: never more than the columns beside it have room for, so few bytes cannot
    /// claim much memory.
    fn set(&self, id: SectionId, column: SectionId) -> Result<Option<(UidSet, usize)>, Error> {
        let Some(uids) = self.parsed(id, UidSet::read)? else { return Ok(None) };
        let len = usize::try_from(uids.len()).unwrap_or(usize::MAX);
        self.column(column, len)?;
        Ok(Some((uids, len)))
    }

    fn changed(&self) -> Result<Vec<Flagged>, Error> {
        let found = self.set(SectionId::CHANGED, SectionId::CHANGED_FLAGS)?;
        let Some((uids, len)) = found else { return Ok(Vec::new()) };
        let flags = self.column(SectionId::CHANGED_FLAGS, len)?;
        let keywords = self.column(SectionId::CHANGED_KEYWORDS, len)?;
        let modseqs = self.column(SectionId::CHANGED_MODSEQS, len)?;
        let columns = flags.iter().zip(keywords.iter()).zip(modseqs.iter());
        let rows = uids.iter().zip(columns);
        rows.map(|(uid, ((flags, keywords), modseq))| {
            let flags = Flags(narrow("flags", flags)?);
            Ok(Flagged { uid, flags, keywords: Keywords(keywords), modseq: ModSeq(modseq) })
        })
        .collect()
    }

    fn dated(&self) -> Result<Vec<(Uid, i64)>, Error> {
        let found = self.set(SectionId::DATED, SectionId::DATES)?;
        let Some((uids, len)) = found else { return Ok(Vec::new()) };
        let dates = self.column(SectionId::DATES, len)?;
        Ok(uids.iter().zip(dates.iter().map(signed)).collect())
    }

    fn rows(&self, count: usize) -> Result<Vec<Row>, Error> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let section = self.head.required(SectionId::UIDS)?;
        let (uidnext, bytes) = (self.head.header.uidnext, section.of(self.file));
        let uids = UidIndex::parse(bytes, narrow("messages", count as u64)?, uidnext, section.at)?;
        let flags = self.column(SectionId::FLAGS, count)?;
        let keywords = self.column(SectionId::KEYWORDS, count)?;
        let modseqs = self.column(SectionId::MODSEQS, count)?;
        let internal_dates = self.column(SectionId::INTERNAL_DATES, count)?;
        let delays = self.column(SectionId::SAVE_DELAYS, count)?;
        let sizes = self.column(SectionId::SIZES, count)?;
        let map_ids = self.column(SectionId::MAP_IDS, count)?;
        let number = |column: &Column<'_>, row| column.get(row).unwrap_or_default();
        let uids = uids.ranges().flat_map(|(first, last)| (first.0..=last.0).map(Uid));
        let row = |(row, uid)| {
            let internal_date = signed(number(&internal_dates, row));
            Ok(Row {
                uid,
                flags: Flags(narrow("flags", number(&flags, row))?),
                keywords: Keywords(number(&keywords, row)),
                modseq: ModSeq(number(&modseqs, row)),
                internal_date,
                save_date: internal_date.wrapping_add(signed(number(&delays, row))),
                size: number(&sizes, row),
                map_id: MapId(narrow("map id", number(&map_ids, row))?),
                guid: None,
                item: None,
            })
        };
        uids.enumerate().map(row).collect()
    }

    /// Gives rows their GUIDs and items.
    fn marks(&self, rows: &mut [Row]) -> Result<(), Error> {
        let guids = self.parsed(SectionId::GUIDS, sparse::read_guids)?.unwrap_or_default();
        let items = self.parsed(SectionId::ITEMS, sparse::read_items)?.unwrap_or_default();
        let find = |uid: Uid| match rows.binary_search_by_key(&uid, |row| row.uid) {
            Ok(index) => Ok(index),
            Err(_) => Err(self.head.wrong("rows of GUIDs and items", uid.0.into())),
        };
        let guids: Vec<_> = guids
            .iter()
            .map(|(uid, guid)| Ok((find(*uid)?, *guid)))
            .collect::<Result<_, Error>>()?;
        let items: Vec<_> = items
            .iter()
            .map(|(uid, item)| Ok((find(*uid)?, *item)))
            .collect::<Result<_, Error>>()?;
        for (index, guid) in guids {
            rows.get_mut(index).into_iter().for_each(|row| row.guid = Some(guid));
        }
        for (index, item) in items {
            rows.get_mut(index).into_iter().for_each(|row| row.item = Some(item));
        }
        Ok(())
    }
}
