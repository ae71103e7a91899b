//! The state of a mailbox to bytes.

use super::head::{Kind, SNAPSHOT};
use super::{ENTRY_LEN, Header, SectionId, column, sparse, uids};
use crate::checksum::{crc, crc_of};
use crate::mailbox::{Mailbox, Voided};
use crate::record::Tombstone;
use crate::{Guid, ItemId, Uid, UidSet};
use std::collections::BTreeMap;

/// Writes the snapshot of `mailbox`, all of whose parts are loaded and whose log stands at `offset` of `file`.
pub fn write(mailbox: &Mailbox, owner: Guid, file: u32, offset: u64) -> Vec<u8> {
    write_with(mailbox, owner, file, offset, 0, &[])
}

/// [`write()`], with header flags and sections of others (their numbers above all of this version, ascending).
pub fn write_with(
    mailbox: &Mailbox,
    owner: Guid,
    file: u32,
    offset: u64,
    flags: u32,
    others: &[(SectionId, &[u8])],
) -> Vec<u8> {
    let mut sections = Sections::default();
    mailbox_sections(mailbox, &mut sections);
    for &(id, bytes) in others {
        sections.add(id, |out| out.extend_from_slice(bytes));
    }
    assemble(&SNAPSHOT, mailbox, owner, file, offset, flags, &sections)
}

/// Header, table and sections.
pub(super) fn assemble(
    kind: &Kind,
    mailbox: &Mailbox,
    owner: Guid,
    file: u32,
    offset: u64,
    flags: u32,
    sections: &Sections,
) -> Vec<u8> {
    let table_len = sections.table.len() * ENTRY_LEN;
    let body_at = (Header::LEN + table_len) as u64;
    let mut out = Vec::with_capacity(Header::LEN + table_len + sections.bytes.len());
    header(kind, mailbox, owner, file, offset, flags, sections, body_at, &mut out);
    let mut table = Vec::with_capacity(table_len);
    for &(id, start, end) in &sections.table {
        let bytes = sections.bytes.get(start..end).unwrap_or_default();
        table.extend_from_slice(&id.0.to_le_bytes());
        table.extend_from_slice(&crc(bytes).to_le_bytes());
        table.extend_from_slice(&(body_at + start as u64).to_le_bytes());
        table.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    }
    let sum = crc_of(&[&out, &table]);
    out.extend_from_slice(&sum.to_le_bytes());
    debug_assert_eq!(out.len(), Header::LEN);
    out.extend_from_slice(&table);
    out.extend_from_slice(&sections.bytes);
    out
}

#[expect(clippy::too_many_arguments, reason = "one a field of the header")]
fn header(
    kind: &Kind,
    mailbox: &Mailbox,
    owner: Guid,
    file: u32,
    offset: u64,
    flags: u32,
    sections: &Sections,
    body_at: u64,
    out: &mut Vec<u8>,
) {
    let counters = mailbox.counters();
    out.extend_from_slice(&kind.magic);
    out.extend_from_slice(&Header::VERSION.to_le_bytes());
    out.extend_from_slice(&[mailbox.server(), 0]);
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&owner.0);
    out.extend_from_slice(&file.to_le_bytes());
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&mailbox.transactions().to_le_bytes());
    out.extend_from_slice(&mailbox.uidvalidity().to_le_bytes());
    out.extend_from_slice(&mailbox.uidnext().0.to_le_bytes());
    out.extend_from_slice(&mailbox.highest_modseq().0.to_le_bytes());
    out.extend_from_slice(&mailbox.vanished_floor().0.to_le_bytes());
    out.extend_from_slice(&counters.messages.to_le_bytes());
    out.extend_from_slice(&counters.unseen.to_le_bytes());
    out.extend_from_slice(&counters.deleted.to_le_bytes());
    out.extend_from_slice(&counters.size.to_le_bytes());
    let first_unseen = mailbox.first_unseen().map_or(0, |index| index as u32 + 1);
    out.extend_from_slice(&first_unseen.to_le_bytes());
    out.extend_from_slice(&mailbox.epoch().to_le_bytes());
    out.extend_from_slice(&(sections.table.len() as u32).to_le_bytes());
    out.extend_from_slice(&(body_at + sections.bytes.len() as u64).to_le_bytes());
}

/// The sections in the order of their numbers, and where each stands among the bytes.
#[derive(Default)]
pub(super) struct Sections {
    table: Vec<(SectionId, usize, usize)>,
    bytes: Vec<u8>,
}

impl Sections {
    pub(super) fn add(&mut self, id: SectionId, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        self.table.push((id, start, self.bytes.len()));
    }

    pub(super) fn column(
        &mut self,
        id: SectionId,
        values: impl ExactSizeIterator<Item = u64> + Clone,
    ) {
        self.add(id, |out| column::write(values, out));
    }

    /// A section that is left out when it has nothing to say.
    pub(super) fn some(&mut self, id: SectionId, there: bool, write: impl FnOnce(&mut Vec<u8>)) {
        if there {
            self.add(id, write);
        }
    }
}

fn mailbox_sections(mailbox: &Mailbox, sections: &mut Sections) {
    let rows = &mailbox.rows;
    let live = rows.runs.live();
    put_uids(&mailbox.uid_set(), sections);
    sections.column(SectionId::FLAGS, mailbox.flags().map(|flags| flags.0.into()));
    sections.column(SectionId::KEYWORDS, mailbox.keyword_masks().map(|keywords| keywords.0));
    sections.column(SectionId::MODSEQS, mailbox.modseqs().map(|modseq| modseq.0));
    sections.column(SectionId::INTERNAL_DATES, mailbox.internal_dates().map(ordered));
    save_dates(mailbox, sections);
    sections.column(SectionId::SIZES, live.map(|(_, slot)| rows.size(slot)));
    sections.column(SectionId::MAP_IDS, mailbox.map_ids().map(|id| id.0.into()));
    let marks = (&rows.guids, &rows.items);
    put_sparse(mailbox, &mailbox.tombstones, &mailbox.voids, marks, sections);
}

pub(super) fn put_uids(set: &UidSet, sections: &mut Sections) {
    let ranges: Vec<(u32, u32)> =
        set.ranges().map(|range| (range.start().0, range.end().0)).collect();
    sections.add(SectionId::UIDS, |out| uids::write(&ranges, set.len() as u32, out));
}

/// What few rows have, or none; what is empty is left out.
pub(super) fn put_sparse(
    mailbox: &Mailbox,
    tombstones: &[Tombstone],
    voids: &[Voided],
    (guids, items): (&BTreeMap<Uid, Guid>, &BTreeMap<Uid, ItemId>),
    sections: &mut Sections,
) {
    let Mailbox { keywords, metadata, private, .. } = mailbox;
    sections.some(SectionId::NAMES, !keywords.is_empty(), |out| {
        sparse::write_names(keywords, out);
    });
    sections.some(SectionId::TOMBSTONES, !tombstones.is_empty(), |out| {
        sparse::write_tombstones(tombstones, out);
    });
    sections.some(SectionId::VOIDS, !voids.is_empty(), |out| sparse::write_voids(voids, out));
    sections.some(SectionId::METADATA, !metadata.is_empty(), |out| {
        crate::list::snapshot::write_map(metadata, out);
    });
    sections.some(SectionId::PRIVATE, !private.is_empty(), |out| {
        sparse::write_private(private, out);
    });
    sections.some(SectionId::GUIDS, !guids.is_empty(), |out| sparse::write_guids(guids, out));
    sections.some(SectionId::ITEMS, !items.is_empty(), |out| sparse::write_items(items, out));
    let kept = tombstones.iter().any(|gone| gone.kept.is_some());
    sections.some(SectionId::KEPT, kept, |out| sparse::write_kept(tombstones, out));
}

/// Mail that was delivered was saved when it came, mail that was copied was saved with its neighbours: whichever of the
/// two columns is shorter.
fn save_dates(mailbox: &Mailbox, sections: &mut Sections) {
    let (mut dates, mut delays) = (Vec::new(), Vec::new());
    column::write(mailbox.save_dates().map(ordered), &mut dates);
    let rows = &mailbox.rows;
    let delay = |slot| rows.save_dates.at(slot).wrapping_sub(rows.internal_dates.at(slot));
    column::write(rows.runs.live().map(|(_, slot)| ordered(delay(slot))), &mut delays);
    match dates.len() < delays.len() {
        true => sections.add(SectionId::SAVE_DATES, |out| out.extend_from_slice(&dates)),
        false => sections.add(SectionId::SAVE_DELAYS, |out| out.extend_from_slice(&delays)),
    }
}

/// A signed number as an unsigned one of the same order.
pub(super) fn ordered(value: i64) -> u64 {
    value as u64 ^ 1 << 63
}

/// Back from [`ordered`].
pub(super) fn signed(value: u64) -> i64 {
    (value ^ 1 << 63) as i64
}
