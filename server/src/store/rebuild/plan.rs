//! An account is made anew from its containers, with what is left of the rest.
//!
//! - A mailbox whose files are whole stays as it is, UIDs and flags included, wherever the messages it names are known: by
//!   the map, or, where that is lost, by size and date, if these are those of one message alone.
//! - Any other is made anew under a higher UIDVALIDITY: of what its files still say, then of the messages that were saved
//!   to it and that no mailbox has.
//! - A message that no mailbox has, though the one it was saved to is whole, was expunged from there or moved away. If all
//!   mailboxes are whole it was expunged, and can be brought back as such; else it goes to a mailbox of its own
//!   ([`RECOVERED`]), since it may have been in one that lost something.
//! - Where the map is whole, it knows how many mailboxes had a message, and so which ones are missing somewhere.
//! - Containers are not touched. The new files take the place of the old ones at once ([`swap`](super::swap)).

use super::super::delivery::flags_of;
use super::super::store::Store;
use super::known::{Known, Old, Row};
use super::scan::{Record, Scan};
use dbox_format::map::MapId;
use imap_proto::MailboxName;
use index_format::{Flags, Guid};
use std::collections::{BTreeMap, BTreeSet};

/// The mailbox of messages that may have been in one that lost something.
pub(super) const RECOVERED: &str = "Recovered";

/// A mailbox as it will be.
pub(super) struct New {
    /// As it was; none if it is made for messages alone.
    pub(super) old: Option<Old>,
    pub(super) guid: Guid,
    pub(super) name: String,
    /// Its files stay.
    pub(super) stays: bool,
    /// Its messages, if they don't.
    pub(super) messages: Vec<Message>,
    /// Of those, how many its files didn't know.
    pub(super) brought_back: u64,
    /// Rows whose messages are nowhere.
    pub(super) missing: u64,
}

/// A message of a mailbox that is made anew.
pub(super) struct Message {
    pub(super) map_id: u32,
    pub(super) internal_date: i64,
    pub(super) save_date: i64,
    pub(super) size: u64,
    pub(super) flags: Flags,
    pub(super) keywords: Vec<String>,
}

/// What an account will have.
pub(super) struct Plan<'a> {
    pub(super) store: &'a Store,
    pub(super) known: Known,
    pub(super) scan: Scan,
    pub(super) mailboxes: Vec<New>,
    /// Records by GUID; of several copies the one in the last container, which is where it was moved to.
    pub(super) by_guid: BTreeMap<dbox_format::Guid, usize>,
    /// Which message has which map id, and where it is in the containers.
    pub(super) records: BTreeMap<u32, usize>,
    pub(super) ids: BTreeMap<usize, u32>,
    /// Rows that refer to each map id.
    pub(super) references: BTreeMap<u32, u32>,
    pub(super) next_id: u32,
    pub(super) now: i64,
    /// Directories of mailboxes that were deleted, or of which nothing is left at all.
    pub(super) gone: Vec<Guid>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(store: &'a Store, mut known: Known, scan: Scan) -> Self {
        let mut by_guid = BTreeMap::new();
        for (index, record) in scan.records.iter().enumerate() {
            by_guid.insert(record.guid, index);
        }
        let (mut records, mut ids) = (BTreeMap::new(), BTreeMap::new());
        for (id, entry) in known.map.iter() {
            if let Some(&index) = by_guid.get(&entry.guid) {
                records.insert(id.0, index);
                ids.insert(index, id.0);
            }
        }
        let rows = known.mailboxes.iter().flat_map(|old| &old.rows);
        let highest = rows.map(|row| row.map_id).max().unwrap_or(0);
        let next_id = known.map.next_id().0.max(highest.saturating_add(1));
        let old = std::mem::take(&mut known.mailboxes);
        let mut this = Self {
            store,
            known,
            scan,
            mailboxes: Vec::new(),
            by_guid,
            records,
            ids,
            references: BTreeMap::new(),
            next_id,
            now: store.now(),
            gone: Vec::new(),
        };
        this.name_all(old);
        this
    }

    /// Gives each mailbox of which something is left a name that is its own.
    fn name_all(&mut self, old: Vec<Old>) {
        let mut names: BTreeMap<Guid, &str> = BTreeMap::new();
        for record in &self.scan.records {
            names.insert(record.mailbox, &record.name);
        }
        let mut taken: BTreeSet<String> = BTreeSet::new();
        // Those that the list names keep their names.
        let (listed, unlisted): (Vec<Old>, Vec<Old>) = old.into_iter().partition(|old| old.listed);
        let mut all = Vec::new();
        for old in listed.into_iter().chain(unlisted) {
            let guid = old.entry.guid;
            let saved = || names.get(&guid).map(|name| (*name).to_owned());
            if !old.listed && old.rows.is_empty() && !names.contains_key(&guid) {
                self.gone.push(guid);
                continue;
            }
            let own = old.listed.then(|| old.entry.name.to_string()).or_else(saved);
            let own = own.filter(|name| !taken.contains(name) && MailboxName::new(name).is_ok());
            let name = own.unwrap_or_else(|| free_name(&taken, RECOVERED));
            taken.insert(name.clone());
            all.push(New {
                guid,
                name,
                stays: old.whole,
                messages: Vec::new(),
                brought_back: 0,
                missing: 0,
                old: Some(old),
            });
        }
        self.mailboxes = all;
    }

    /// Finds the messages that the mailboxes' rows mean.
    pub(super) fn claim(&mut self) {
        self.find_by_size_and_date();
        // A mailbox that was deleted and whose files were left has no message that the map counts.
        let mut left: BTreeMap<u32, u32> =
            self.known.map.iter().map(|(id, entry)| (id.0, entry.refs)).collect();
        let map_whole = self.known.map_whole;
        let mut mailboxes = std::mem::take(&mut self.mailboxes);
        // Whole ones first: what they have is certain.
        mailboxes.sort_by_key(|new| !new.stays);
        for new in &mut mailboxes {
            let Some(old) = &new.old else { continue };
            let mut kept: Vec<&Row> = Vec::new();
            for row in &old.rows {
                let counted = match (map_whole, left.get_mut(&row.map_id)) {
                    (true, Some(left)) if *left > 0 => {
                        *left -= 1;
                        true
                    }
                    (true, _) => false,
                    (false, _) => self.records.contains_key(&row.map_id),
                };
                if counted {
                    kept.push(row);
                    *self.references.entry(row.map_id).or_default() += 1;
                }
            }
            let missing = old.rows.len() - kept.len();
            new.missing = missing as u64;
            new.stays &= missing == 0;
            new.messages = kept.into_iter().map(Message::of_row).collect();
        }
        // Deleted, if only its directory says that there was one, and none of its messages are counted.
        let is_gone = |new: &New| {
            let empty = new.messages.is_empty() && new.missing > 0;
            map_whole && empty && new.old.as_ref().is_some_and(|old| !old.listed)
        };
        self.gone.extend(mailboxes.iter().filter(|new| is_gone(new)).map(|new| new.guid));
        mailboxes.retain(|new| !is_gone(new));
        self.mailboxes = mailboxes;
    }

    /// Of rows whose map ids nothing explains: the message is the one with the same size and date. Where there are as many
    /// of these as of the rows, they are taken in the order in which they came, and the mailboxes are made anew, since it is
    /// not certain that their UIDs mean the same as before.
    fn find_by_size_and_date(&mut self) {
        if self.known.map_whole {
            return;
        }
        type Key = (u64, i64);
        let mut rows: BTreeMap<Key, BTreeSet<u32>> = BTreeMap::new();
        for new in &self.mailboxes {
            for row in new.old.iter().flat_map(|old| &old.rows) {
                let of_guid =
                    row.guid.and_then(|guid| self.by_guid.get(&dbox_format::Guid(guid.0)));
                if let Some(&index) = of_guid {
                    self.records.entry(row.map_id).or_insert(index);
                    self.ids.entry(index).or_insert(row.map_id);
                }
                if !self.records.contains_key(&row.map_id) {
                    rows.entry((row.size, row.internal_date)).or_default().insert(row.map_id);
                }
            }
        }
        let mut found: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
        for &index in self.by_guid.values() {
            if let Some(record) =
                self.scan.records.get(index).filter(|_| !self.ids.contains_key(&index))
            {
                let key = (record.size, record.received);
                if rows.contains_key(&key) {
                    found.entry(key).or_default().push(index);
                }
            }
        }
        let mut unsure = BTreeSet::new();
        for (key, ids) in rows {
            let mut indexes = found.remove(&key).unwrap_or_default();
            if indexes.len() != ids.len() {
                continue;
            }
            // Records stand in the order in which they came.
            indexes.sort_unstable();
            if ids.len() > 1 {
                unsure.extend(ids.iter().copied());
            }
            for (id, index) in ids.into_iter().zip(indexes) {
                self.records.insert(id, index);
                self.ids.insert(index, id);
            }
        }
        for new in &mut self.mailboxes {
            let mut rows = new.old.iter().flat_map(|old| &old.rows);
            new.stays &= !rows.any(|row| unsure.contains(&row.map_id));
        }
    }

    /// Without the list nothing says how much a mailbox's log should hold: one that knows of less than was saved to it has lost
    /// its end.
    fn doubt_short_ones(&mut self) {
        if self.known.list_whole {
            return;
        }
        for new in self.mailboxes.iter_mut().filter(|new| new.stays) {
            let Some(old) = &new.old else { continue };
            let rows = old.rows.iter().filter_map(|row| self.records.get(&row.map_id));
            let there: BTreeSet<usize> = rows.copied().collect();
            let saved = self.by_guid.values().filter(|index| {
                self.scan.records.get(**index).is_some_and(|record| record.mailbox == new.guid)
            });
            new.stays = saved.filter(|index| !there.contains(index)).count() <= old.expunged;
        }
    }

    /// Puts what no mailbox has where it most likely belongs.
    pub(super) fn place(&mut self) {
        self.doubt_short_ones();
        let whole = self.known.list_whole && self.mailboxes.iter().all(|new| new.stays);
        let mut homeless: Vec<usize> = self.by_guid.values().copied().collect();
        homeless.sort_unstable();
        for index in homeless {
            let id = self.ids.get(&index).copied();
            let have = id.and_then(|id| self.references.get(&id)).copied().unwrap_or(0);
            let wanted = match (self.known.map_whole, id) {
                // What the map has freed is about to go.
                (true, None) => 0,
                (true, Some(id)) => self.known.map.get(MapId(id)).map_or(0, |entry| entry.refs),
                // What had none once, has none; else nothing says that there was more than one.
                (false, Some(id))
                    if self.known.map.get(MapId(id)).is_some_and(|it| it.refs == 0) =>
                {
                    0
                }
                (false, _) => u32::from(!whole),
            };
            for _ in have..wanted {
                self.place_one(index);
            }
            // Expunged: it can be brought back.
            if !self.known.map_whole {
                self.id_of(index);
            }
        }
    }

    fn place_one(&mut self, index: usize) {
        let id = self.id_of(index);
        let Some(record) = self.scan.records.get(index) else { return };
        let message = Message::of_record(id, record);
        *self.references.entry(id).or_default() += 1;
        let (guid, name) = (record.mailbox, record.name.to_string());
        let by_guid = self.mailboxes.iter().position(|new| new.guid == guid);
        let by_name = || self.mailboxes.iter().position(|new| new.name == name);
        let place = by_guid.or_else(by_name);
        let stays = place.and_then(|place| self.mailboxes.get(place)).map(|new| new.stays);
        let place = match (place, stays) {
            (Some(place), Some(false)) => place,
            // The list knows of none like that: it was deleted, or what is missing had another name.
            (None, _) if !self.known.list_whole && MailboxName::new(&name).is_ok() => {
                self.add(guid, name)
            }
            _ => self.recovered(),
        };
        if let Some(new) = self.mailboxes.get_mut(place) {
            new.messages.push(message);
            new.brought_back += 1;
        }
    }

    fn id_of(&mut self, index: usize) -> u32 {
        if let Some(id) = self.ids.get(&index) {
            return *id;
        }
        let id = self.next_id;
        self.next_id = self.next_id.saturating_add(1);
        self.ids.insert(index, id);
        self.records.insert(id, index);
        id
    }

    fn recovered(&mut self) -> usize {
        let is = |new: &New| new.old.is_none() && new.name.starts_with(RECOVERED);
        if let Some(place) = self.mailboxes.iter().position(is) {
            return place;
        }
        let taken = self.mailboxes.iter().map(|new| new.name.clone()).collect();
        let (guid, name) = (Guid(self.store.random()), free_name(&taken, RECOVERED));
        self.add(guid, name)
    }

    pub(super) fn add(&mut self, guid: Guid, name: String) -> usize {
        let (messages, brought_back, missing) = (Vec::new(), 0, 0);
        let stays = false;
        self.mailboxes.push(New { old: None, guid, name, stays, messages, brought_back, missing });
        self.mailboxes.len() - 1
    }
}

impl Message {
    fn of_row(row: &Row) -> Self {
        let Row { map_id, internal_date, save_date, size, flags, .. } = *row;
        let keywords = row.keywords.clone();
        Self { map_id, internal_date, save_date, size, flags, keywords }
    }

    fn of_record(map_id: u32, record: &Record) -> Self {
        Self {
            map_id,
            internal_date: record.received,
            save_date: record.received,
            size: record.size,
            flags: flags_of(record.flags),
            keywords: record.keywords.clone(),
        }
    }
}

fn free_name(taken: &BTreeSet<String>, base: &str) -> String {
    let names = (1_u64..).map(|number| match number {
        1 => base.to_owned(),
        number => format!("{base} {number}"),
    });
    names.into_iter().find(|name| !taken.contains(name)).unwrap_or_else(|| base.to_owned())
}
