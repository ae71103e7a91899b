//! What a transaction does to the state: first every reason to refuse it, then the changes.

use std::ops::Range;

use super::rows::Rows;
use super::{
    Applied, ApplyError, Base, Counters, EPOCH_JUMP, Expunged, Mailbox, Parts, PrivateFlags, Row,
    TOMBSTONES_LEAST, Voided,
};
use crate::record::{
    Append, KEY_MAX, KEYWORD_NAME_MAX, KEYWORDS_MAX, Record, Tombstone, Transaction, VALUE_MAX,
};
use crate::{Flags, Keywords, ModSeq, Uid, UidSet};

pub(super) fn apply(
    mailbox: &mut Mailbox,
    transaction: &Transaction,
) -> Result<Applied, ApplyError> {
    mailbox.transactions += 1;
    let stamps = Stamps::new(mailbox, transaction);
    check(mailbox, transaction, &stamps)?;
    mailbox.modseq = stamps.floor;
    mailbox.epoch = mailbox.epoch.max(transaction.prefix.epoch.unwrap_or(0));
    let mut change =
        Change { mailbox, stamp: stamps.stamp, seen: false, applied: Applied::default() };
    for record in &transaction.records {
        change.record(record);
    }
    Ok(change.finish())
}

/// The modseq after the jump of a newer epoch, before any change in it.
pub(super) fn jumped(modseq: ModSeq, server: u8) -> ModSeq {
    ModSeq::new(modseq.t().saturating_add(EPOCH_JUMP), server)
}

struct Stamps {
    /// HIGHESTMODSEQ even if nothing changes.
    floor: ModSeq,
    /// What the changes carry.
    stamp: ModSeq,
}

impl Stamps {
    fn new(mailbox: &Mailbox, transaction: &Transaction) -> Stamps {
        let newer = transaction.prefix.epoch.is_some_and(|epoch| epoch > mailbox.epoch);
        let floor = if newer { jumped(mailbox.modseq, mailbox.server) } else { mailbox.modseq };
        Stamps {
            floor,
            stamp: transaction.prefix.modseq.unwrap_or_else(|| floor.next(mailbox.server)),
        }
    }
}

/// All reasons why a transaction may not apply, before anything of it does.
fn check(mailbox: &Mailbox, transaction: &Transaction, stamps: &Stamps) -> Result<(), ApplyError> {
    if stamps.stamp <= stamps.floor || stamps.stamp > ModSeq::MAX {
        return Err(ApplyError::ModSeq { found: stamps.stamp, last: stamps.floor });
    }
    let mut next = mailbox.uidnext;
    let mut fresh: Vec<&str> = Vec::new();
    for record in &transaction.records {
        match record {
            Record::Append(append) => {
                check_mask(mailbox, &fresh, append.keywords)?;
                next = after(check_uid(append, next)?)?;
            }
            Record::FlagsReplace { keywords, .. } => check_mask(mailbox, &fresh, *keywords)?,
            Record::KeywordAdd { number, .. } | Record::KeywordRemove { number, .. } => {
                if usize::from(*number) >= mailbox.keywords.len() + fresh.len() {
                    return Err(ApplyError::KeywordUnknown { number: *number });
                }
            }
            Record::KeywordDefine { number, name } => {
                check_define(mailbox, &mut fresh, *number, name)?
            }
            Record::UidNext(least) => next = next.max(*least),
            Record::Void(uids) => next = next.max(uids.last().map_or(Ok(next), after)?),
            Record::Tombstone(tombstone) => {
                if tombstone.modseq > stamps.stamp {
                    return Err(ApplyError::ModSeq { found: tombstone.modseq, last: stamps.floor });
                }
                next = next.max(after(tombstone.uid)?);
            }
            Record::FlagsAdd { .. }
            | Record::FlagsRemove { .. }
            | Record::Expunge(_)
            | Record::SaveDate { .. }
            | Record::UidValidity(_) => {}
            Record::Metadata { key, value } => {
                check_len("a metadata key", key, KEY_MAX)?;
                check_len("a metadata value", value.as_deref().unwrap_or_default(), VALUE_MAX)?;
            }
            Record::PrivateFlags { user, .. } => check_len("a user's name", user, KEY_MAX)?,
        }
    }
    Ok(())
}

fn check_uid(append: &Append, next: Uid) -> Result<Uid, ApplyError> {
    let uid = append.uid.unwrap_or(next);
    if uid < next {
        return Err(ApplyError::UidUsed { uid, next });
    }
    match append.anchor {
        Some(anchor) if anchor != uid.0 as u8 => Err(ApplyError::Anchor { anchor, next }),
        Some(_) | None => Ok(uid),
    }
}

/// The UID behind `uid`; the highest of all is never given, so that UIDNEXT stays a number.
fn after(uid: Uid) -> Result<Uid, ApplyError> {
    uid.0.checked_add(1).map(Uid).ok_or(ApplyError::UidsExhausted)
}

fn check_len(what: &'static str, bytes: &[u8], max: usize) -> Result<(), ApplyError> {
    match bytes.len() {
        len if len > max => Err(ApplyError::TooLong { what, len, max }),
        _ => Ok(()),
    }
}

fn check_mask(mailbox: &Mailbox, fresh: &[&str], mask: Keywords) -> Result<(), ApplyError> {
    let known = mailbox.keywords.len() + fresh.len();
    match mask.iter().find(|&number| usize::from(number) >= known) {
        Some(number) => Err(ApplyError::KeywordUnknown { number }),
        None => Ok(()),
    }
}

fn check_define<'a>(
    mailbox: &Mailbox,
    fresh: &mut Vec<&'a str>,
    number: u8,
    name: &'a str,
) -> Result<(), ApplyError> {
    let at = usize::from(number);
    let known = mailbox.keywords.name(number);
    let known = known.or_else(|| fresh.get(at.checked_sub(mailbox.keywords.len())?).copied());
    let elsewhere = || {
        mailbox.keywords.number(name).is_some()
            || fresh.iter().any(|f| f.eq_ignore_ascii_case(name))
    };
    let fits = match known {
        Some(known) => known.eq_ignore_ascii_case(name),
        None => {
            let next = mailbox.keywords.len() + fresh.len();
            let length = (1..=KEYWORD_NAME_MAX).contains(&name.len());
            at == next && at < KEYWORDS_MAX && length && !elsewhere()
        }
    };
    if !fits {
        return Err(ApplyError::KeywordTaken { number, name: name.into() });
    }
    if known.is_none() {
        fresh.push(name);
    }
    Ok(())
}

/// A transaction that is taking place; nothing in here can fail.
struct Change<'m> {
    mailbox: &'m mut Mailbox,
    stamp: ModSeq,
    /// Whether a client can see a difference.
    seen: bool,
    applied: Applied,
}

impl Change<'_> {
    fn record(&mut self, record: &Record) {
        match record {
            Record::Append(append) => self.append(append),
            Record::FlagsAdd { uids, flags } => self.flags(uids, |have| have.with(*flags)),
            Record::FlagsRemove { uids, flags } => self.flags(uids, |have| have.without(*flags)),
            Record::FlagsReplace { uids, flags, keywords } => {
                self.update(uids, |_, _| (*flags, *keywords));
            }
            Record::KeywordDefine { name, .. } => {
                if self.mailbox.keywords.number(name).is_none() {
                    self.mailbox.keywords.push(name);
                    self.applied.keywords = true;
                }
            }
            Record::KeywordAdd { uids, number } => {
                let bit = Keywords::one(*number).0;
                self.keywords(uids, |have| Keywords(have.0 | bit));
            }
            Record::KeywordRemove { uids, number } => {
                let bit = Keywords::one(*number).0;
                self.keywords(uids, |have| Keywords(have.0 & !bit));
            }
            Record::Expunge(uids) => self.expunge(uids, true),
            Record::SaveDate { uids, date } => {
                for range in index_ranges(self.mailbox, uids) {
                    let Rows { runs, save_dates, .. } = &mut self.mailbox.rows;
                    let slots = runs.stretches(range).flat_map(|stretch| stretch.slots);
                    slots.for_each(|slot| save_dates.set(slot, *date));
                }
                self.base(|base| base.note_dated(uids));
            }
            Record::UidValidity(least) => {
                self.applied.uidvalidity |= *least > self.mailbox.uidvalidity;
                self.mailbox.uidvalidity = self.mailbox.uidvalidity.max(*least);
            }
            Record::UidNext(least) => self.mailbox.uidnext = self.mailbox.uidnext.max(*least),
            Record::Metadata { key, value: Some(value) } => {
                self.mailbox.metadata.insert(key.clone(), value.clone());
            }
            Record::Metadata { key, value: None } => {
                self.mailbox.metadata.remove(key);
            }
            Record::PrivateFlags { user, uids, add, remove } => {
                self.private(user, uids, *add, *remove)
            }
            Record::Void(uids) => self.void(uids),
            Record::Tombstone(tombstone) => self.tombstone(tombstone),
        }
    }

    fn append(&mut self, append: &Append) {
        let uid = append.uid.unwrap_or(self.mailbox.uidnext);
        self.mailbox.uidnext = Uid(uid.0.saturating_add(1));
        self.mailbox.rows.push(&Row {
            uid,
            flags: append.flags,
            keywords: append.keywords,
            modseq: self.stamp,
            internal_date: append.internal_date,
            save_date: append.save_date.unwrap_or(append.internal_date),
            size: append.size,
            map_id: append.map_id,
            guid: append.guid,
            item: append.item,
        });
        let counters = &mut self.mailbox.counters;
        counters.messages += 1;
        counters.unseen += u32::from(!append.flags.contains(Flags::SEEN));
        counters.deleted += u32::from(append.flags.contains(Flags::DELETED));
        counters.size = counters.size.wrapping_add(append.size);
        self.applied.appended.push(uid);
        self.seen = true;
    }

    fn flags(&mut self, uids: &UidSet, new: impl Fn(Flags) -> Flags) {
        self.update(uids, |flags, keywords| (new(flags), keywords));
    }

    fn keywords(&mut self, uids: &UidSet, new: impl Fn(Keywords) -> Keywords) {
        self.update(uids, |flags, keywords| (flags, new(keywords)));
    }

    /// Gives rows other flags and keywords; those that differ take the transaction's modseq.
    fn update(&mut self, uids: &UidSet, new: impl Fn(Flags, Keywords) -> (Flags, Keywords)) {
        let mut changed = UidSet::new();
        for range in index_ranges(self.mailbox, uids) {
            let Mailbox { rows, counters, first_unseen, .. } = &mut *self.mailbox;
            let Rows { runs, flags, keywords, modseqs, .. } = rows;
            for stretch in runs.stretches(range) {
                for (index, (uid, slot)) in (stretch.index..).zip(stretch.rows()) {
                    let (have, known) = (flags.at(slot), keywords.at(slot));
                    let (new_flags, new_keywords) = new(have, known);
                    if new_flags == have && new_keywords == known {
                        continue;
                    }
                    counters.flags_change(have, new_flags);
                    if !new_flags.contains(Flags::SEEN) {
                        *first_unseen = (*first_unseen).min(index);
                    }
                    flags.set(slot, new_flags);
                    keywords.set(slot, new_keywords);
                    modseqs.set(slot, self.stamp);
                    changed.push(uid);
                }
            }
        }
        self.base(|base| base.note_changed(&changed));
        self.changed(changed);
    }

    /// Notes what becomes of the snapshot's rows.
    fn base(&mut self, note: impl FnOnce(&mut Base)) {
        if let Some(base) = &mut self.mailbox.base {
            note(base);
        }
    }

    fn changed(&mut self, changed: UidSet) {
        self.seen |= !changed.is_empty();
        match self.applied.changed.is_empty() {
            true => self.applied.changed = changed,
            false => self.applied.changed = self.applied.changed.union(&changed),
        }
    }

    fn expunge(&mut self, uids: &UidSet, remember: bool) {
        let gone = index_ranges(self.mailbox, uids);
        if gone.is_empty() {
            return;
        }
        self.seen = true;
        let Mailbox { rows, counters, tombstones, private, .. } = &mut *self.mailbox;
        for stretch in gone.iter().flat_map(|range| rows.runs.stretches(range.clone())) {
            for (index, (uid, slot)) in (stretch.index..).zip(stretch.rows()) {
                let (map_id, size) = (rows.map_ids.at(slot), rows.size(slot));
                self.applied.expunged.push(Expunged { index, uid, map_id, size });
                if remember {
                    let guid = rows.guids.get(&uid).copied();
                    let kept = Some((rows.flags.at(slot), rows.keywords.at(slot)));
                    tombstones.push(Tombstone { uid, map_id, modseq: self.stamp, guid, kept });
                }
                let flags = rows.flags.at(slot);
                counters.messages -= 1;
                counters.unseen -= u32::from(!flags.contains(Flags::SEEN));
                counters.deleted -= u32::from(flags.contains(Flags::DELETED));
                counters.size = counters.size.wrapping_sub(size);
                private.retain(|_, flags| {
                    flags.remove(&uid);
                    !flags.is_empty()
                });
            }
        }
        let before = self.mailbox.first_unseen;
        let below: usize =
            gone.iter().map(|range| range.end.min(before).saturating_sub(range.start)).sum();
        self.mailbox.first_unseen = before - below;
        let uids = gone.iter().flat_map(|range| self.mailbox.rows.runs.stretches(range.clone()));
        let uids: UidSet = uids.map(|stretch| stretch.uids()).collect();
        self.base(|base| base.note_gone(&uids));
        self.mailbox.rows.remove(&gone);
        if self.mailbox.rows.wants_renumbering() {
            self.mailbox.renumber();
        }
    }

    fn void(&mut self, uids: &UidSet) {
        let Some(last) = uids.last() else { return };
        let before = self.applied.expunged.len();
        self.expunge(uids, false);
        let gone = self.applied.expunged.get(before..).unwrap_or_default();
        let gone: UidSet = gone.iter().map(|row| row.uid).collect();
        self.applied.voided = self.applied.voided.union(&uids.difference(&gone));
        for range in uids.ranges() {
            let (first, last) = (*range.start(), *range.end());
            self.mailbox.voids.push(Voided { first, last, modseq: self.stamp });
        }
        self.mailbox.uidnext = self.mailbox.uidnext.max(Uid(last.0.saturating_add(1)));
        self.seen = true;
    }

    /// Keeps the order by modseq; one that is known already is not kept twice.
    fn tombstone(&mut self, tombstone: &Tombstone) {
        self.base(|base| base.since.whole = true);
        let tombstones = &mut self.mailbox.tombstones;
        let at = tombstones.partition_point(|known| known.modseq <= tombstone.modseq);
        let same = tombstones.get(..at).unwrap_or_default().iter().rev();
        let mut same = same.take_while(|known| known.modseq == tombstone.modseq);
        if !same.any(|known| known.uid == tombstone.uid) {
            tombstones.insert(at, *tombstone);
        }
        self.mailbox.uidnext = self.mailbox.uidnext.max(Uid(tombstone.uid.0.saturating_add(1)));
        self.mailbox.modseq = self.mailbox.modseq.max(tombstone.modseq);
    }

    fn private(&mut self, user: &[u8], uids: &UidSet, add: Flags, remove: Flags) {
        let mut changed = UidSet::new();
        let known = self.mailbox.private.entry(user.into()).or_default();
        for range in uids.ranges() {
            let rows = self.mailbox.rows.runs.find_range(range.start().0, range.end().0);
            let stretches = self.mailbox.rows.runs.stretches(rows);
            for (uid, _) in stretches.flat_map(|stretch| stretch.rows()) {
                let have = known.get(&uid).map_or(Flags::NONE, |private| private.flags);
                let flags = have.without(remove).with(add);
                if flags != have {
                    known.insert(uid, PrivateFlags { flags, modseq: self.stamp });
                    changed.push(uid);
                }
            }
        }
        if known.is_empty() {
            self.mailbox.private.remove(user);
        }
        self.changed(changed);
    }

    fn finish(mut self) -> Applied {
        if self.seen {
            self.mailbox.modseq = self.mailbox.modseq.max(self.stamp);
            self.applied.modseq = Some(self.stamp);
        }
        let applied = &mut self.applied;
        let others = !applied.appended.is_empty() || !applied.expunged.is_empty();
        if others && !applied.changed.is_empty() {
            let gone: UidSet = applied.expunged.iter().map(|row| row.uid).collect();
            applied.changed = applied.changed.difference(&applied.appended).difference(&gone);
        }
        self.mailbox.first_unseen += self.seen_behind();
        trim(self.mailbox);
        self.applied
    }

    /// How many rows from the first unseen one on have been seen meanwhile.
    fn seen_behind(&self) -> usize {
        let Mailbox { rows, first_unseen, .. } = &*self.mailbox;
        let rest = rows.runs.stretches(*first_unseen..rows.runs.len());
        // Flags that are not loaded have not changed: the row that the snapshot calls the first unseen one still is.
        let seen = |slot| !rows.flags.is_apart(slot) && rows.flags.at(slot).contains(Flags::SEEN);
        rest.flat_map(|stretch| stretch.slots).take_while(|&slot| seen(slot)).count()
    }
}

/// The rows under `uids`, as ascending ranges of indexes that don't touch empty ones; O(ranges · log rows).
fn index_ranges(mailbox: &Mailbox, uids: &UidSet) -> Vec<Range<usize>> {
    let runs = &mailbox.rows.runs;
    let ranges = uids.ranges().map(|range| runs.find_range(range.start().0, range.end().0));
    ranges.filter(|range| !range.is_empty()).collect()
}

/// Forgets the oldest tombstones and voids when there are many more than rows. Depends on the state alone, so that all
/// readers forget the same. Those of one modseq stay or go together.
fn trim(mailbox: &mut Mailbox) {
    if !mailbox.missing(Parts::GONE).is_empty() {
        // Nothing went, else they were loaded: and more rows keep more.
        return;
    }
    let keep = mailbox.len().max(TOMBSTONES_LEAST);
    let slack = keep / 8;
    let over = |len: usize| len.checked_sub(keep).filter(|&over| over > slack);
    let tombstones = over(mailbox.tombstones.len())
        .and_then(|at| mailbox.tombstones.get(at))
        .map(|kept| kept.modseq);
    let voids =
        over(mailbox.voids.len()).and_then(|at| mailbox.voids.get(at)).map(|kept| kept.modseq);
    let Some(kept) = tombstones.max(voids) else { return };
    let oldest = mailbox.tombstones.first().map(|oldest| oldest.modseq).into_iter();
    let oldest = oldest.chain(mailbox.voids.first().map(|oldest| oldest.modseq)).min();
    if oldest < Some(kept) {
        mailbox.forget_vanished(ModSeq(kept.0.saturating_sub(1)));
    }
}

impl Counters {
    /// A row's flags change.
    fn flags_change(&mut self, old: Flags, new: Flags) {
        let one = |flags: Flags, flag| u32::from(flags.contains(flag));
        self.unseen = self.unseen + one(old, Flags::SEEN) - one(new, Flags::SEEN);
        self.deleted = self.deleted + one(new, Flags::DELETED) - one(old, Flags::DELETED);
    }
}
