//! What a transaction does to the list, record by record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{
    Applied, Counters, Entry, List, NAME_MAX, Outcome, Record, SpecialUse, TOMBSTONES_MAX,
    Tombstone, Transaction,
};
use crate::record::{KEY_MAX, VALUE_MAX};
use crate::{Guid, ModSeq, Uid};

impl List {
    /// Lets one transaction happen, and counts it. Records that cannot happen are refused one by one, for every reader
    /// alike; [`Applied`] says which.
    pub fn apply(&mut self, transaction: &Transaction) -> Applied {
        self.transactions += 1;
        self.epoch = self.epoch.max(transaction.prefix.epoch.unwrap_or(0));
        let next = self.modseq.next(self.server);
        let stamp = transaction
            .prefix
            .modseq
            .filter(|&own| own > self.modseq && own <= ModSeq::MAX)
            .unwrap_or(next);
        let mut applied = Applied::default();
        for record in &transaction.records {
            let outcome = self.record(record, stamp);
            if seen(record, &outcome) {
                applied.modseq = Some(stamp);
                self.modseq = stamp;
            }
            applied.outcomes.push(outcome);
        }
        if let Some(over) = self.tombstones.len().checked_sub(TOMBSTONES_MAX) {
            self.tombstones.drain(..over);
        }
        applied
    }

    fn record(&mut self, record: &Record, stamp: ModSeq) -> Outcome {
        match record {
            Record::Acl { identifier: key, rights: value, .. }
            | Record::Metadata { key, value, .. }
                if key.len() > KEY_MAX
                    || value.as_ref().is_some_and(|value| value.len() > VALUE_MAX) =>
            {
                Outcome::Invalid
            }
            Record::Create { guid, name, uidvalidity, special_use, time } => {
                self.create(*guid, name, *uidvalidity, *special_use, *time, stamp)
            }
            Record::Delete { guid, time } => self.delete(*guid, *time, stamp),
            Record::Rename { from, to, time } => self.rename(from, to, *time, stamp),
            Record::Subscribe(name) if !is_name(name) => Outcome::Invalid,
            Record::Subscribe(name) => done(self.subscriptions.insert(name.clone(), ()).is_none()),
            Record::Unsubscribe(name) => done(self.subscriptions.remove(&**name).is_some()),
            Record::SpecialUse { guid, special_use } => self.entry(*guid, |entry| {
                let old = std::mem::replace(&mut entry.special_use, *special_use);
                old != *special_use
            }),
            Record::Recent { guid, uid } => self.entry(*guid, |entry| {
                let old = entry.recent;
                entry.recent = old.max(*uid);
                entry.recent != old
            }),
            Record::Counters { guid, counters } => {
                self.entry(*guid, |entry| set_counters(entry, counters))
            }
            Record::UidValidity(least) => {
                let old = self.uidvalidity;
                self.uidvalidity = old.max(*least);
                done(self.uidvalidity != old)
            }
            Record::MapFloor(least) => {
                let old = self.map_floor;
                self.map_floor = old.max(*least);
                done(self.map_floor != old)
            }
            Record::Acl { guid, identifier, rights } => {
                self.entry(*guid, |entry| set(&mut entry.acl, identifier, rights.as_deref()))
            }
            Record::Metadata { guid: Some(guid), key, value } => {
                self.entry(*guid, |entry| set(&mut entry.metadata, key, value.as_deref()))
            }
            Record::Metadata { guid: None, key, value } => {
                done(set(&mut self.metadata, key, value.as_deref()))
            }
        }
    }

    fn entry(&mut self, guid: Guid, change: impl FnOnce(&mut Entry) -> bool) -> Outcome {
        self.entries.get_mut(&guid).map_or(Outcome::Missing, |entry| done(change(entry)))
    }

    fn create(
        &mut self,
        guid: Guid,
        name: &str,
        uidvalidity: u32,
        special_use: SpecialUse,
        created: i64,
        stamp: ModSeq,
    ) -> Outcome {
        if let Some(&holder) = self.names.get(name) {
            return if holder == guid { Outcome::Same } else { Outcome::NameTaken(holder) };
        }
        let known = self.entries.contains_key(&guid)
            || self.tombstones.iter().any(|gone| gone.guid == guid);
        let Some(least) = self.uidvalidity.checked_add(1).filter(|_| is_name(name) && !known)
        else {
            return Outcome::Invalid;
        };
        self.uidvalidity = uidvalidity.max(least);
        let name: Arc<str> = name.into();
        let entry = Entry {
            guid,
            name: name.clone(),
            uidvalidity: self.uidvalidity,
            special_use,
            created,
            created_modseq: stamp,
            recent: Uid(1),
            counters: Counters { uidnext: Uid(1), ..Counters::default() },
            acl: BTreeMap::new(),
            metadata: BTreeMap::new(),
        };
        self.names.insert(name, guid);
        self.entries.insert(guid, Box::new(entry));
        Outcome::Created { uidvalidity: self.uidvalidity }
    }

    fn delete(&mut self, guid: Guid, time: i64, modseq: ModSeq) -> Outcome {
        let Some(entry) = self.entries.remove(&guid) else { return Outcome::Missing };
        self.names.remove(&*entry.name);
        let (name, uidvalidity) = (entry.name.clone(), entry.uidvalidity);
        self.tombstones.push(Tombstone { guid, name, renamed_to: None, uidvalidity, modseq, time });
        Outcome::Deleted(entry)
    }

    fn rename(&mut self, from: &str, to: &str, time: i64, modseq: ModSeq) -> Outcome {
        if !is_name(from)
            || !is_name(to)
            || to.strip_prefix(from).is_some_and(|rest| rest.starts_with('/'))
        {
            return Outcome::Invalid;
        }
        if from == to {
            return Outcome::Same;
        }
        let new = self.moved(from, to);
        if new.is_empty() {
            return Outcome::Missing;
        }
        if new.iter().any(|(_, name)| !is_name(name)) {
            return Outcome::Invalid;
        }
        if let Some(holder) = self.holder(from, to, &new) {
            return Outcome::NameTaken(holder);
        }
        let stale = self.stale(to, &new);
        if stale.count(&new) as u64 > u64::from(u32::MAX - self.uidvalidity) {
            return Outcome::Invalid;
        }
        self.names.remove(from);
        let (first, behind) = bounds(from);
        self.names.remove_range(&*first, &*behind);
        self.names.insert_all(new.iter().map(|(guid, name)| (name.clone(), *guid)));
        self.tombstones.reserve(new.len());
        let renamed = |(guid, name): (Guid, Arc<str>)| {
            let entry = self.entries.get_mut(&guid)?;
            let uidvalidity = entry.uidvalidity;
            if stale.has(guid) {
                self.uidvalidity += 1;
                entry.uidvalidity = self.uidvalidity;
            }
            let old = std::mem::replace(&mut entry.name, name.clone());
            let renamed_to = Some(name);
            self.tombstones.push(Tombstone {
                guid,
                name: old,
                renamed_to,
                uidvalidity,
                modseq,
                time,
            });
            Some(guid)
        };
        Outcome::Renamed(new.into_iter().filter_map(renamed).collect())
    }

    /// The mailboxes that a rename moves, with their new names, by name.
    fn moved(&self, from: &str, to: &str) -> Vec<(Guid, Arc<str>)> {
        let (first, behind) = bounds(from);
        let own = self.names.get(from).map(|guid| (from, guid));
        let below = self
            .names
            .starting_at(&*first)
            .take_while(|(name, _)| ***name < *behind)
            .map(|(name, guid)| (&**name, guid));
        let mut renamed = to.to_owned();
        let renamed = |(name, guid): (&str, &Guid)| {
            let rest = name.get(from.len()..).unwrap_or_default();
            renamed.truncate(to.len());
            renamed.push_str(rest);
            (*guid, Arc::from(renamed.as_str()))
        };
        own.into_iter().chain(below).map(renamed).collect()
    }

    /// A mailbox outside the tree that has one of the new names.
    fn holder(&self, from: &str, to: &str, new: &[(Guid, Arc<str>)]) -> Option<Guid> {
        let (first, behind) = bounds(to);
        let below = self.names.starting_at(&*first).take_while(|(name, _)| ***name < *behind);
        let own = self.names.get(to).map(|guid| (to, guid));
        let known = own.into_iter().chain(below.map(|(name, guid)| (&**name, guid)));
        let ours = |name: &str| {
            name == from || name.strip_prefix(from).is_some_and(|rest| rest.starts_with('/'))
        };
        let taken = |name: &str| new.binary_search_by(|(_, new)| (**new).cmp(name)).is_ok();
        known.into_iter().find(|(name, _)| !ours(name) && taken(name)).map(|(_, guid)| *guid)
    }

    /// Those of the mailboxes under new names, at `to` and below it, whose name another one has had with a UIDVALIDITY that
    /// theirs is not above: it must rise (RFC 9051 §2.3.1.1). Where names have been forgotten, any may have been one of
    /// them.
    fn stale(&self, to: &str, new: &[(Guid, Arc<str>)]) -> Stale {
        if self.tombstones.len() >= TOMBSTONES_MAX {
            return Stale::All;
        }
        let (first, behind) = bounds(to);
        let at_or_below = |name: &str| name == to || (*first <= *name && *name < *behind);
        let gone = self.tombstones.iter().map(|gone| (&*gone.name, gone.guid, gone.uidvalidity));
        let gone = gone.filter(|(name, ..)| at_or_below(name));
        // Who has such a name now goes by the same rename: a tree may move onto names of its own.
        let below = self.names.starting_at(&*first).take_while(|(name, _)| ***name < *behind);
        let held = below.map(|(_, guid)| *guid).chain(self.names.get(to).copied());
        let holders = held.filter_map(|guid| self.by_guid(guid));
        let holders = holders.map(|holder| (&*holder.name, holder.guid, holder.uidvalidity));
        let stale = gone.chain(holders).filter_map(|(name, other, uidvalidity)| {
            let at = new.binary_search_by(|(_, new)| (**new).cmp(name)).ok()?;
            let (guid, _) = *new.get(at)?;
            let own = self.entries.get(&guid).map_or(0, |entry| entry.uidvalidity);
            (other != guid && uidvalidity >= own).then_some(guid)
        });
        Stale::These(stale.collect())
    }
}

/// Mailboxes of a tree whose UIDVALIDITY must rise with its new name.
enum Stale {
    All,
    These(BTreeSet<Guid>),
}

impl Stale {
    fn count(&self, tree: &[(Guid, Arc<str>)]) -> usize {
        match self {
            Stale::All => tree.len(),
            Stale::These(guids) => guids.len(),
        }
    }

    fn has(&self, guid: Guid) -> bool {
        match self {
            Stale::All => true,
            Stale::These(guids) => guids.contains(&guid),
        }
    }
}

/// The first name that may stand below `name`, and the first behind them: all below stand together, for `/` is followed by
/// `0`.
fn bounds(name: &str) -> (String, String) {
    (format!("{name}/"), format!("{name}0"))
}

/// Whether a client can see what became of a record. Counters have modseqs of their own.
fn seen(record: &Record, outcome: &Outcome) -> bool {
    let happened = match outcome {
        Outcome::Done | Outcome::Created { .. } | Outcome::Deleted(_) | Outcome::Renamed(_) => true,
        Outcome::Same | Outcome::NameTaken(_) | Outcome::Missing | Outcome::Invalid => false,
    };
    happened
        && !matches!(
            record,
            Record::Counters { .. }
                | Record::Recent { .. }
                | Record::UidValidity(_)
                | Record::MapFloor(_)
        )
}

fn done(changed: bool) -> Outcome {
    if changed { Outcome::Done } else { Outcome::Same }
}

/// Levels between slashes, none empty, of a length the format carries.
fn is_name(name: &str) -> bool {
    name.len() <= NAME_MAX && name.split('/').all(|level| !level.is_empty())
}

fn set_counters(entry: &mut Entry, counters: &Counters) -> bool {
    let known = &mut entry.counters;
    if counters.modseq < known.modseq || counters == known {
        return false;
    }
    let uidnext = known.uidnext.max(counters.uidnext);
    *known = Counters { uidnext, ..*counters };
    true
}

fn set(map: &mut BTreeMap<Box<[u8]>, Box<[u8]>>, key: &[u8], value: Option<&[u8]>) -> bool {
    match value {
        Some(value) if map.get(key).map(|old| &**old) == Some(value) => false,
        Some(value) => {
            map.insert(key.into(), value.into());
            true
        }
        None => map.remove(key).is_some(),
    }
}
