//! Parts that are loaded from the snapshot when they are first used.

use super::{Mailbox, Parts, Voided};
use crate::record::{Record, Tombstone, Transaction};
use crate::snapshot::{Position, Section, load};
use crate::{Error, ModSeq, Uid, UidSet};

impl Mailbox {
    /// Those of `wanted` that are in the snapshot only.
    pub fn missing(&self, wanted: Parts) -> Parts {
        self.base.as_ref().map_or(Parts::NONE, |base| base.missing & wanted)
    }

    /// What has to be loaded before `transaction` is applied: nothing for an append, nor for flags of messages that came
    /// after the snapshot.
    pub fn needs(&self, transaction: &Transaction) -> Parts {
        let needs = transaction.records.iter().map(|record| match record {
            Record::FlagsAdd { uids, .. }
            | Record::FlagsRemove { uids, .. }
            | Record::FlagsReplace { uids, .. }
            | Record::KeywordAdd { uids, .. }
            | Record::KeywordRemove { uids, .. }
                if self.is_apart(uids) =>
            {
                Parts::FLAGS | Parts::KEYWORDS
            }
            Record::Expunge(uids) | Record::Void(uids) if self.is_apart(uids) => EXPUNGE,
            Record::Expunge(_) | Record::Void(_) | Record::Tombstone(_) => Parts::GONE,
            Record::Append(_)
            | Record::FlagsAdd { .. }
            | Record::FlagsRemove { .. }
            | Record::FlagsReplace { .. }
            | Record::KeywordDefine { .. }
            | Record::KeywordAdd { .. }
            | Record::KeywordRemove { .. }
            | Record::SaveDate { .. }
            | Record::UidValidity(_)
            | Record::UidNext(_)
            | Record::Metadata { .. }
            | Record::PrivateFlags { .. } => Parts::NONE,
        });
        self.missing(needs.fold(Parts::NONE, |all, one| all | one))
    }

    /// Whether some of these may be rows of a snapshot that is not loaded.
    fn is_apart(&self, uids: &UidSet) -> bool {
        let Some(base) = &self.base else { return false };
        let Some(Uid(first)) = uids.first() else { return false };
        let runs = &self.rows.runs;
        let place = runs.place(runs.lower_bound(first));
        place.is_some_and(|(_, slot)| slot < base.head.header().counters.messages)
    }

    /// Brings in those of `wanted` that are missing; `read` gives the bytes of a section of the snapshot.
    ///
    /// # Errors
    /// What `read` returns; a section that does not check out, or does not fit the rest. Then that part is still missing,
    /// and [`Self::load_from`] can bring it in.
    pub fn load<B: AsRef<[u8]>, E: From<Error>>(
        &mut self,
        wanted: Parts,
        mut read: impl FnMut(&Section) -> Result<B, E>,
    ) -> Result<(), E> {
        let Some(mut base) = self.base.take() else { return Ok(()) };
        let mut wanted = wanted & base.missing;
        if wanted.contains(Parts::SAVE_DATES) {
            // They may be told by their distance.
            wanted = wanted | (Parts::INTERNAL_DATES & base.missing);
        }
        let mut result = Ok(());
        for part in wanted.each() {
            result = load::part(self, &base, part, &mut read);
            if result.is_err() {
                break;
            }
            base.missing = base.missing.without(part);
        }
        self.base = Some(base);
        result
    }

    /// Where the snapshot stands that parts are missing of.
    pub fn base_position(&self) -> Option<Position> {
        self.base.as_ref().map(|base| base.head.header().position)
    }

    /// Brings in all that is missing from `other`, which is the state at [`Self::base_position`] made in another way,
    /// with all its parts. Says whether it is that state, as far as can be seen; else nothing happens.
    pub fn load_from(&mut self, other: &Mailbox) -> bool {
        let Some(mut base) = self.base.take() else { return true };
        let header = base.head.header();
        let same = other.transactions == header.position.transactions
            && other.counters == header.counters
            && other.modseq == header.modseq
            && other.uidnext == header.uidnext
            && other.missing(Parts::ALL).is_empty();
        if !same {
            self.base = Some(base);
            return false;
        }
        for part in std::mem::take(&mut base.missing).each() {
            self.take_part(part, other, &base.since.gone);
        }
        self.base = Some(base);
        true
    }

    fn take_part(&mut self, part: Parts, other: &Mailbox, gone: &UidSet) {
        let rows = &mut self.rows;
        match part {
            Parts::FLAGS => rows.flags.supply(other.flags().collect()),
            Parts::KEYWORDS => rows.keywords.supply(other.keyword_masks().collect()),
            Parts::MODSEQS => rows.modseqs.supply(other.modseqs().collect()),
            Parts::INTERNAL_DATES => rows.internal_dates.supply(other.internal_dates().collect()),
            Parts::SAVE_DATES => rows.save_dates.supply(other.save_dates().collect()),
            Parts::SIZES => {
                let sizes = (0..).zip(other.rows.runs.live());
                let sizes =
                    sizes.map(|(slot, (_, from))| rows.short_size(slot, other.rows.size(from)));
                let sizes = sizes.collect();
                rows.sizes.supply(sizes);
            }
            Parts::MAP_IDS => rows.map_ids.supply(other.map_ids().collect()),
            Parts::MARKS => {
                let here = |uid: &Uid| !gone.contains(*uid);
                let guids = other.rows.guids.iter().filter(|(uid, _)| here(uid));
                rows.guids.extend(guids.map(|(uid, guid)| (*uid, *guid)));
                let items = other.rows.items.iter().filter(|(uid, _)| here(uid));
                rows.items.extend(items.map(|(uid, item)| (*uid, *item)));
            }
            Parts::GONE => {
                let (tombstones, voids) = (other.tombstones.clone(), other.voids.clone());
                self.bring_gone(tombstones, voids, other.vanished_floor);
            }
            _ => {}
        }
    }

    /// Puts what a snapshot remembers as gone before what went since; `floor` is what it had forgotten.
    pub(crate) fn bring_gone(
        &mut self,
        mut tombstones: Vec<Tombstone>,
        mut voids: Vec<Voided>,
        floor: ModSeq,
    ) {
        if self.vanished_floor > floor {
            tombstones.retain(|tombstone| tombstone.modseq > self.vanished_floor);
            voids.retain(|void| void.modseq > self.vanished_floor);
        }
        tombstones.append(&mut self.tombstones);
        voids.append(&mut self.voids);
        (self.tombstones, self.voids) = (tombstones, voids);
    }

    /// Gives back the memory of rows that went, where all is loaded. The state stays the same; that it was made from a
    /// snapshot is forgotten, and so the next snapshot is written whole.
    pub fn renumber(&mut self) {
        if self.missing(Parts::ALL).is_empty() && self.rows.unused() > 0 {
            self.base = None;
            self.rows.renumber();
        }
    }
}

impl PartialEq for Mailbox {
    fn eq(&self, other: &Mailbox) -> bool {
        let numbers = |mailbox: &Mailbox| {
            let Mailbox { server, uidvalidity, uidnext, modseq, epoch, transactions, .. } =
                *mailbox;
            (server, uidvalidity, uidnext, modseq, epoch, transactions)
        };
        let sums =
            |mailbox: &Mailbox| (mailbox.counters, mailbox.first_unseen, mailbox.vanished_floor);
        numbers(self) == numbers(other)
            && sums(self) == sums(other)
            && self.rows == other.rows
            && self.keywords == other.keywords
            && self.tombstones == other.tombstones
            && self.voids == other.voids
            && self.metadata == other.metadata
            && self.private == other.private
    }
}

impl Eq for Mailbox {}

/// What an expunge says of each row, and counts.
const EXPUNGE: Parts = Parts::FLAGS
    .and(Parts::KEYWORDS)
    .and(Parts::SIZES)
    .and(Parts::MAP_IDS)
    .and(Parts::MARKS)
    .and(Parts::GONE);
