//! From a snapshot's sections to the state of a mailbox: at first what is always needed, then part by part.

use super::write::signed;
use super::{Column, Head, Header, Section, SectionId, UidIndex, sparse};
use crate::mailbox::rows::Rows;
use crate::mailbox::runs::Runs;
use crate::mailbox::{Base, Mailbox, Parts};
use crate::wire::Reader;
use crate::{Error, Flags, Keywords, MapId, ModSeq};

impl Head {
    /// The state, from which the log goes on at [`Header::position`]: counters, UIDs, names, metadata, private flags. All
    /// [`Parts`] are still in the snapshot; [`Mailbox::load`] brings them in. `read` gives the bytes of a section.
    ///
    /// # Errors
    /// What `read` returns, and the first thing that does not check out or fit.
    pub fn open<B: AsRef<[u8]>, E: From<Error>>(
        &self,
        read: impl FnMut(&Section) -> Result<B, E>,
    ) -> Result<Mailbox, E> {
        let mut sections = Sections { head: self, read };
        let mut mailbox = self.bare();
        if mailbox.modseq > ModSeq::MAX {
            Err(self.wrong("HIGHESTMODSEQ", mailbox.modseq.0))?;
        }
        for id in COLUMNS {
            self.required(id)?;
        }
        self.required(self.save_dates())?;
        let (messages, uidnext) = (self.header.counters.messages, self.header.uidnext);
        mailbox.rows = sections.required(SectionId::UIDS, |bytes, at| {
            let mut runs = Runs::default();
            for (first, last) in UidIndex::parse(bytes, messages, uidnext, at)?.ranges() {
                runs.push_range(first, last);
            }
            Ok(Rows::apart(runs))
        })?;
        mailbox.first_unseen = self.header.first_unseen.unwrap_or(messages) as usize;
        if self.header.first_unseen.is_some_and(|index| index >= messages) {
            Err(self.wrong("first unseen", mailbox.first_unseen as u64))?;
        }
        if let Some(names) = sections.parsed(SectionId::NAMES, sparse::read_names)? {
            mailbox.keywords = names;
        }
        let metadata = sections.parsed(SectionId::METADATA, crate::list::snapshot::read_map)?;
        mailbox.metadata = metadata.unwrap_or_default();
        let private = sections.parsed(SectionId::PRIVATE, sparse::read_private)?;
        mailbox.private = private.unwrap_or_default();
        self.check_private(&mailbox)?;
        mailbox.base = Some(Box::new(Base::new(self.clone(), Parts::ALL)));
        Ok(mailbox)
    }

    fn bare(&self) -> Mailbox {
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
        mailbox
    }

    fn check_private(&self, mailbox: &Mailbox) -> Result<(), Error> {
        let rows = || mailbox.private.values().flat_map(|rows| rows.iter());
        let unknown = rows().any(|(uid, _)| mailbox.find(*uid).is_none());
        if unknown || mailbox.private.values().any(|rows| rows.is_empty()) {
            return Err(self.wrong("rows of private flags", 0));
        }
        self.check_modseq(rows().map(|(_, flags)| flags.modseq).max())
    }

    /// Which form the save dates have.
    fn save_dates(&self) -> SectionId {
        let delays = self.section(SectionId::SAVE_DELAYS).is_some();
        if delays { SectionId::SAVE_DELAYS } else { SectionId::SAVE_DATES }
    }

    pub(super) fn check_modseq(&self, highest: Option<ModSeq>) -> Result<(), Error> {
        match highest {
            Some(highest) if highest > self.header.modseq => {
                Err(self.wrong("HIGHESTMODSEQ", highest.0))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn wrong(&self, field: &'static str, found: u64) -> Error {
        Error::Value { field, at: 0, found, allowed: "what the sections say" }
    }
}

/// Brings one part into a state that was made from `base`. After an error nothing has changed.
pub(crate) fn part<B: AsRef<[u8]>, E: From<Error>>(
    mailbox: &mut Mailbox,
    base: &Base,
    part: Parts,
    read: impl FnMut(&Section) -> Result<B, E>,
) -> Result<(), E> {
    let head = &base.head;
    let mut sections = Sections { head, read };
    let rows = &mut mailbox.rows;
    match part {
        Parts::FLAGS => {
            let flags =
                sections.column(SectionId::FLAGS, |flags| narrow("flags", flags).map(Flags))?;
            check_flags(head, &flags)?;
            rows.flags.supply(flags);
        }
        Parts::KEYWORDS => {
            let keywords = sections.column(SectionId::KEYWORDS, |bits| Ok(Keywords(bits)))?;
            let all = keywords.iter().fold(0, |all, keywords| all | keywords.0);
            if Keywords(all).iter().any(|number| mailbox.keywords.name(number).is_none()) {
                Err(head.wrong("keywords", all))?;
            }
            rows.keywords.supply(keywords);
        }
        Parts::MODSEQS => {
            let modseqs = sections.column(SectionId::MODSEQS, |modseq| Ok(ModSeq(modseq)))?;
            head.check_modseq(modseqs.iter().max().copied())?;
            rows.modseqs.supply(modseqs);
        }
        Parts::INTERNAL_DATES => {
            let dates = sections.column(SectionId::INTERNAL_DATES, |date| Ok(signed(date)))?;
            rows.internal_dates.supply(dates);
        }
        Parts::SAVE_DATES => {
            let id = head.save_dates();
            let mut dates = sections.column(id, |date| Ok(signed(date)))?;
            if id == SectionId::SAVE_DELAYS {
                // Internal dates were loaded before, and no record changes them.
                for (slot, delay) in (0..).zip(&mut dates) {
                    *delay = rows.internal_dates.at(slot).wrapping_add(*delay);
                }
            }
            rows.save_dates.supply(dates);
        }
        Parts::SIZES => {
            let sizes = sections.column(SectionId::SIZES, Ok)?;
            let sum = sizes.iter().fold(0u64, |sum, size| sum.wrapping_add(*size));
            if sum != head.header.counters.size {
                Err(head.wrong("sum of sizes", sum))?;
            }
            let short = (0..).zip(sizes).map(|(slot, size)| rows.short_size(slot, size)).collect();
            rows.sizes.supply(short);
        }
        Parts::MAP_IDS => {
            let ids = sections.column(SectionId::MAP_IDS, |id| narrow("map id", id).map(MapId))?;
            rows.map_ids.supply(ids);
        }
        Parts::MARKS => {
            let guids = sections.parsed(SectionId::GUIDS, sparse::read_guids)?.unwrap_or_default();
            let items = sections.parsed(SectionId::ITEMS, sparse::read_items)?.unwrap_or_default();
            let known = |uid| rows.runs.find(uid).is_some();
            let mut uids = guids.keys().chain(items.keys());
            if uids.any(|uid| !known(*uid) && !base.since.gone.contains(*uid)) {
                Err(head.wrong("rows of GUIDs and items", 0))?;
            }
            let guids: Vec<_> = guids.into_iter().filter(|(uid, _)| known(*uid)).collect();
            let items: Vec<_> = items.into_iter().filter(|(uid, _)| known(*uid)).collect();
            rows.guids.extend(guids);
            rows.items.extend(items);
        }
        Parts::GONE => {
            let tombstones = sections.parsed(SectionId::TOMBSTONES, sparse::read_tombstones)?;
            let voids = sections.parsed(SectionId::VOIDS, sparse::read_voids)?;
            let (mut tombstones, voids) =
                (tombstones.unwrap_or_default(), voids.unwrap_or_default());
            let kept = sections.parsed(SectionId::KEPT, sparse::read_kept)?.unwrap_or_default();
            sparse::keep(&mut tombstones, kept);
            head.check_modseq(tombstones.iter().map(|tombstone| tombstone.modseq).max())?;
            head.check_modseq(voids.iter().map(|void| void.modseq).max())?;
            mailbox.bring_gone(tombstones, voids, head.header.vanished_floor);
        }
        _ => {}
    }
    Ok(())
}

fn check_flags(head: &Head, flags: &[Flags]) -> Result<(), Error> {
    let count = |test: fn(&Flags) -> bool| flags.iter().filter(|flags| test(flags)).count() as u32;
    let unseen = count(|flags| !flags.contains(Flags::SEEN));
    let deleted = count(|flags| flags.contains(Flags::DELETED));
    let first_unseen = flags.iter().position(|flags| !flags.contains(Flags::SEEN));
    let counters = head.header.counters;
    if (unseen, deleted) != (counters.unseen, counters.deleted)
        || first_unseen.map(|index| index as u32) != head.header.first_unseen
    {
        return Err(head.wrong("counters of flags", unseen.into()));
    }
    Ok(())
}

/// Sections as they are read.
struct Sections<'h, R> {
    head: &'h Head,
    read: R,
}

impl<B: AsRef<[u8]>, E: From<Error>, R: FnMut(&Section) -> Result<B, E>> Sections<'_, R> {
    fn required<T>(
        &mut self,
        id: SectionId,
        make: impl FnOnce(&[u8], u64) -> Result<T, Error>,
    ) -> Result<T, E> {
        let section = self.head.required(id)?;
        let bytes = (self.read)(&section)?;
        section.check(bytes.as_ref())?;
        Ok(make(bytes.as_ref(), section.at)?)
    }

    fn column<T>(
        &mut self,
        id: SectionId,
        make: impl Fn(u64) -> Result<T, Error>,
    ) -> Result<Vec<T>, E> {
        let rows = self.head.header.counters.messages as usize;
        self.required(id, |bytes, at| Column::parse(bytes, rows, at)?.rows(make))
    }

    fn parsed<T>(
        &mut self,
        id: SectionId,
        make: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, E> {
        if self.head.section(id).is_none() {
            return Ok(None);
        }
        let whole = |bytes: &[u8], at| {
            let mut reader = Reader::new(bytes, at);
            let value = make(&mut reader)?;
            reader.end("section")?;
            Ok(value)
        };
        self.required(id, whole).map(Some)
    }
}

pub(super) fn narrow<T: TryFrom<u64>>(field: &'static str, value: u64) -> Result<T, Error> {
    T::try_from(value).map_err(|_| Error::Number { field, at: 0 })
}

/// The columns that are always there, save dates apart.
const COLUMNS: [SectionId; 6] = [
    SectionId::FLAGS,
    SectionId::KEYWORDS,
    SectionId::MODSEQS,
    SectionId::INTERNAL_DATES,
    SectionId::SIZES,
    SectionId::MAP_IDS,
];
