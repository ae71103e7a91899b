//! Bytes to the state of a mailbox.

use super::write::signed;
use super::{Column, ENTRY_LEN, Header, MAGIC, Position, SectionId, UidIndex, sparse};
use crate::checksum::{crc, crc_of};
use crate::mailbox::{Counters, Mailbox};
use crate::wire::Reader;
use crate::{Error, Flags, Guid, Keywords, MapId, ModSeq, Uid};

/// A snapshot, borrowed. What a section says is checked when it is asked for.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    header: Header,
    file: &'a [u8],
    sections: Vec<Section>,
}

#[derive(Clone, Copy, Debug)]
struct Section {
    id: SectionId,
    sum: u32,
    at: u64,
    len: u64,
}

impl<'a> Snapshot<'a> {
    /// Reads the header and the table of sections.
    ///
    /// # Errors
    /// Not a snapshot, a newer version, a header or table that does not check out, sections that are not the rest of
    /// the file.
    pub fn parse(file: &'a [u8]) -> Result<Snapshot<'a>, Error> {
        let mut reader = Reader::new(file, 0);
        let found = reader.array("magic")?;
        if found != MAGIC {
            return Err(Error::Magic { what: "snapshot", expected: MAGIC, found });
        }
        let version = reader.u16("version")?;
        if version != Header::VERSION {
            return Err(Error::Version {
                what: "snapshot",
                found: version,
                supported: Header::VERSION,
            });
        }
        let (header, count, len) = read_header(&mut reader)?;
        let found = reader.u32("header checksum")?;
        let table = reader.bytes("table of sections", u64::from(count) * ENTRY_LEN as u64)?;
        let computed = crc_of(&[file.get(..Header::LEN - 4).unwrap_or_default(), table]);
        if found != computed {
            return Err(Error::Checksum { what: "snapshot header", at: 0, found, computed });
        }
        if len != file.len() as u64 {
            return Err(Error::Value {
                field: "file length",
                at: 108,
                found: len,
                allowed: "the length of the file",
            });
        }
        let mut end = reader.at();
        let mut table = Reader::new(table, Header::LEN as u64);
        let mut sections: Vec<Section> = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let entry_at = table.at();
            let section = Section {
                id: SectionId(table.u32("section")?),
                sum: table.u32("section checksum")?,
                at: table.u64("section offset")?,
                len: table.u64("section length")?,
            };
            let ascends = sections.last().is_none_or(|last| last.id < section.id);
            if !ascends || section.at != end || section.len > len - end {
                let allowed = "sections in ascending order, one behind the other";
                return Err(Error::Value {
                    field: "section",
                    at: entry_at,
                    found: section.id.0.into(),
                    allowed,
                });
            }
            end += section.len;
            sections.push(section);
        }
        if end != len {
            return Err(Error::Trailing { what: "snapshot", at: end, count: len - end });
        }
        Ok(Snapshot { header, file, sections })
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The sections there are, ascending, also those this version does not know.
    pub fn sections(&self) -> impl Iterator<Item = SectionId> + '_ {
        self.sections.iter().map(|section| section.id)
    }

    /// Where a section stands in the file, and how many bytes it has.
    pub fn place(&self, id: SectionId) -> Option<(u64, u64)> {
        let index = self.sections.binary_search_by_key(&id, |section| section.id).ok()?;
        self.sections.get(index).map(|section| (section.at, section.len))
    }

    /// The bytes of a section whose checksum matches; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Checksum`].
    pub fn section(&self, id: SectionId) -> Result<Option<&'a [u8]>, Error> {
        Ok(self.checked(id)?.map(|(bytes, _)| bytes))
    }

    /// The UIDs.
    ///
    /// # Errors
    /// A section that is not there or does not check out.
    pub fn uids(&self) -> Result<UidIndex<'a>, Error> {
        let (bytes, at) = self.required(SectionId::UIDS)?;
        UidIndex::parse(bytes, self.header.counters.messages, self.header.uidnext, at)
    }

    /// A column; the [`SectionId`] says what its numbers are.
    ///
    /// # Errors
    /// A section that is not there or does not check out.
    pub fn column(&self, id: SectionId) -> Result<Column<'a>, Error> {
        let (bytes, at) = self.required(id)?;
        Column::parse(bytes, self.header.counters.messages as usize, at)
    }

    /// Checks every section, row and counter.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn verify(&self) -> Result<(), Error> {
        for section in &self.sections {
            self.section(section.id)?;
        }
        self.to_mailbox().map(|_| ())
    }

    /// The state, from which the log goes on at [`Header::position`].
    ///
    /// # Errors
    /// The first thing that does not check out or fit.
    pub fn to_mailbox(&self) -> Result<Mailbox, Error> {
        let Header {
            position, uidvalidity, uidnext, modseq, vanished_floor, epoch, server, ..
        } = self.header;
        let mut mailbox = Mailbox::new(uidvalidity, server);
        mailbox.uidnext = uidnext;
        mailbox.modseq = modseq;
        mailbox.epoch = epoch;
        mailbox.vanished_floor = vanished_floor;
        mailbox.transactions = position.transactions;
        mailbox.counters = self.header.counters;
        if let Some(names) = self.parsed(SectionId::NAMES, sparse::read_names)? {
            mailbox.keywords = names;
        }
        self.read_rows(&mut mailbox)?;
        self.read_rest(&mut mailbox)?;
        mailbox.first_unseen =
            self.header.first_unseen.map_or(mailbox.len(), |index| index as usize);
        self.check(&mailbox)?;
        Ok(mailbox)
    }

    fn read_rows(&self, mailbox: &mut Mailbox) -> Result<(), Error> {
        // Columns first: their lengths prove that so many rows are there before memory is taken for them.
        let flags = self.column(SectionId::FLAGS)?;
        let keywords = self.column(SectionId::KEYWORDS)?;
        let modseqs = self.column(SectionId::MODSEQS)?;
        let internal_dates = self.column(SectionId::INTERNAL_DATES)?;
        let delays = self.sections().any(|id| id == SectionId::SAVE_DELAYS);
        let save_dates =
            self.column(if delays { SectionId::SAVE_DELAYS } else { SectionId::SAVE_DATES })?;
        let sizes = self.column(SectionId::SIZES)?;
        let map_ids = self.column(SectionId::MAP_IDS)?;
        let uids = self.uids()?;
        let rows = &mut mailbox.rows;
        rows.uids.reserve(uids.len());
        for (first, last) in uids.ranges() {
            rows.uids.extend((first.0..=last.0).map(Uid));
        }
        rows.flags = flags.rows(|flags| narrow("flags", flags).map(Flags))?;
        rows.keywords = keywords.rows(|keywords| Ok(Keywords(keywords)))?;
        rows.modseqs = modseqs.rows(|modseq| Ok(ModSeq(modseq)))?;
        rows.internal_dates = internal_dates.rows(|date| Ok(signed(date)))?;
        rows.save_dates = save_dates.rows(|date| Ok(signed(date)))?;
        if delays {
            for (delay, date) in rows.save_dates.iter_mut().zip(&rows.internal_dates) {
                *delay = date.wrapping_add(*delay);
            }
        }
        rows.map_ids = map_ids.rows(|id| narrow("map id", id).map(MapId))?;
        rows.set_sizes(sizes.iter());
        Ok(())
    }

    fn read_rest(&self, mailbox: &mut Mailbox) -> Result<(), Error> {
        if let Some(tombstones) = self.parsed(SectionId::TOMBSTONES, sparse::read_tombstones)? {
            mailbox.tombstones = tombstones;
        }
        if let Some(voids) = self.parsed(SectionId::VOIDS, sparse::read_voids)? {
            mailbox.voids = voids;
        }
        if let Some(metadata) = self.parsed(SectionId::METADATA, crate::list::snapshot::read_map)? {
            mailbox.metadata = metadata;
        }
        if let Some(private) = self.parsed(SectionId::PRIVATE, sparse::read_private)? {
            mailbox.private = private;
        }
        if let Some(guids) = self.parsed(SectionId::GUIDS, sparse::read_guids)? {
            mailbox.rows.guids = guids;
        }
        if let Some(items) = self.parsed(SectionId::ITEMS, sparse::read_items)? {
            mailbox.rows.items = items;
        }
        Ok(())
    }

    /// Counts again, and holds all numbers against their limits.
    fn check(&self, mailbox: &Mailbox) -> Result<(), Error> {
        let wrong = |field, found| {
            Err(Error::Value { field, at: 0, found, allowed: "what the sections say" })
        };
        let top = mailbox.rows.modseqs.iter().max().copied().unwrap_or_default();
        let gone =
            mailbox.tombstones.iter().map(|tombstone| tombstone.modseq).max().unwrap_or_default();
        let void = mailbox.voids.iter().map(|void| void.modseq).max().unwrap_or_default();
        let private =
            mailbox.private.values().flat_map(|rows| rows.values()).map(|flags| flags.modseq).max();
        if top.max(gone).max(void).max(private.unwrap_or_default()) > mailbox.modseq
            || mailbox.modseq > ModSeq::MAX
        {
            return wrong("HIGHESTMODSEQ", mailbox.modseq.0);
        }
        let keywords = mailbox.rows.keywords.iter().fold(0, |all, keywords| all | keywords.0);
        if Keywords(keywords).iter().any(|number| mailbox.keywords.name(number).is_none()) {
            return wrong("keywords", keywords);
        }
        let known = |uid: &Uid| mailbox.find(*uid).is_some();
        let mut sparse = mailbox.rows.guids.keys().chain(mailbox.rows.items.keys());
        let mut private = mailbox.private.values().flat_map(|rows| rows.keys());
        if !sparse.all(known)
            || !private.all(known)
            || mailbox.private.values().any(|rows| rows.is_empty())
        {
            return wrong("rows of sparse sections", 0);
        }
        let counters = Counters {
            messages: mailbox.len() as u32,
            unseen: mailbox.flags().iter().filter(|flags| !flags.contains(Flags::SEEN)).count()
                as u32,
            deleted: mailbox.flags().iter().filter(|flags| flags.contains(Flags::DELETED)).count()
                as u32,
            size: (0..mailbox.len())
                .fold(0, |sum, row| sum.wrapping_add(mailbox.size(row).unwrap_or(0))),
        };
        let first_unseen = mailbox.flags().iter().position(|flags| !flags.contains(Flags::SEEN));
        if counters != self.header.counters
            || first_unseen.map(|index| index as u32) != self.header.first_unseen
        {
            return wrong("counters", counters.messages.into());
        }
        Ok(())
    }

    fn parsed<T>(
        &self,
        id: SectionId,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let Some((bytes, at)) = self.checked(id)? else { return Ok(None) };
        let mut reader = Reader::new(bytes, at);
        let value = read(&mut reader)?;
        reader.end("section")?;
        Ok(Some(value))
    }

    fn required(&self, id: SectionId) -> Result<(&'a [u8], u64), Error> {
        let found = id.0.into();
        let missing = Error::Value {
            field: "missing section",
            at: Header::LEN as u64,
            found,
            allowed: "to be there",
        };
        self.checked(id)?.ok_or(missing)
    }

    fn checked(&self, id: SectionId) -> Result<Option<(&'a [u8], u64)>, Error> {
        let Ok(index) = self.sections.binary_search_by_key(&id, |section| section.id) else {
            return Ok(None);
        };
        let Some(section) = self.sections.get(index) else { return Ok(None) };
        let bytes = self
            .file
            .get(section.at as usize..(section.at + section.len) as usize)
            .unwrap_or_default();
        let computed = crc(bytes);
        if computed != section.sum {
            return Err(Error::Checksum {
                what: "a snapshot section",
                at: section.at,
                found: section.sum,
                computed,
            });
        }
        Ok(Some((bytes, section.at)))
    }
}

/// The header behind its version, the number of sections and the length of the file.
fn read_header(reader: &mut Reader<'_>) -> Result<(Header, u32, u64), Error> {
    let server = reader.u8("server")?;
    let reserved = reader.u8("reserved")?;
    if server > ModSeq::SERVER_MAX || reserved != 0 {
        let found = u64::from(server) | u64::from(reserved) << 8;
        return Err(Error::Value { field: "server", at: 10, found, allowed: "0 to 63" });
    }
    let flags = reader.u32("flags")?;
    let owner = Guid(reader.array("owner")?);
    let position = Position {
        file: reader.u32("log file")?,
        offset: reader.u64("log offset")?,
        transactions: reader.u64("transactions")?,
    };
    let uidvalidity = reader.u32("UIDVALIDITY")?;
    let uidnext = Uid(reader.u32("UIDNEXT")?);
    let modseq = ModSeq(reader.u64("modseq")?);
    let vanished_floor = ModSeq(reader.u64("vanished floor")?);
    let counters = Counters {
        messages: reader.u32("messages")?,
        unseen: reader.u32("unseen")?,
        deleted: reader.u32("deleted")?,
        size: reader.u64("size")?,
    };
    let first_unseen = reader.u32("first unseen")?.checked_sub(1);
    let epoch = reader.u32("epoch")?;
    let count = reader.u32("sections")?;
    let len = reader.u64("file length")?;
    let header = Header {
        owner,
        position,
        uidvalidity,
        uidnext,
        modseq,
        vanished_floor,
        counters,
        first_unseen,
        epoch,
        server,
        flags,
    };
    Ok((header, count, len))
}

fn narrow<T: TryFrom<u64>>(field: &'static str, value: u64) -> Result<T, Error> {
    T::try_from(value).map_err(|_| Error::Number { field, at: 0 })
}
