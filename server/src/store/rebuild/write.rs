//! The files of an account that is made anew: list, map, and the mailboxes that don't stay.

use super::super::account::SERVER;
use super::super::check::{Tell, Told};
use super::super::error::StoreError;
use super::super::logfile::{LogFile, State};
use super::super::mailbox::{Mbox, directory};
use super::super::ops::{APPENDS, keyword_error, keywords_with_room};
use super::super::store::{Store, special_use_bits};
use super::Rebuilt;
use super::account::{Revived, messages};
use super::plan::{Message, New, Plan, RECOVERED};
use super::scan::Record;
use super::swap::{Staging, files_of};
use crate::store::config;
use dbox_format::map::{self, Entry, Extra, Gone, Map, MapId};
use index_format::list::{self, Counters, List, SpecialUse};
use index_format::log::{Header, Kind};
use index_format::mailbox::{NewMessage, TransactionBuilder};
use index_format::{Guid, ModSeq, Uid};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How far UIDVALIDITYs are raised where nobody knows the highest there was: a million mailboxes in one second.
const MARGIN: u32 = 1 << 20;

impl Plan<'_> {
    /// Writes the new files, and has them take the place of the old ones.
    pub(super) fn write(
        mut self,
        user: &str,
        (dir, owner): (&Path, Guid),
        tell: Tell<'_>,
    ) -> Result<(Revived, Vec<Rebuilt>), StoreError> {
        let files = &self.store.files;
        let staging = Staging::begin(files, dir)?;
        let mut aside = Vec::new();
        for base in ["list", "map"] {
            aside.extend(files_of(files, dir, base)?);
        }
        aside.extend(self.gone.iter().map(|guid| format!("mailboxes/{guid}")));
        for name in &self.scan.unreadable {
            aside.push(name.clone());
        }
        for name in &self.scan.hurt {
            staging.keep(name)?;
        }
        self.add_first_mailboxes();
        let (list, written) = self.make_list(&staging, &mut aside, tell)?;
        let map = self.make_map()?;
        // Each says how much of the other there is at least.
        let list = with_floor(list, map.transactions());
        let map = map.with_list_floor(list.transactions());
        let header = |kind, transactions| Header {
            kind,
            server: SERVER,
            owner,
            file: 1,
            previous: None,
            first_transaction: transactions,
            modseq: if kind == Kind::List { list.modseq() } else { ModSeq(0) },
            uidnext: Uid(0),
            uidvalidity: if kind == Kind::List { list.uidvalidity_high() } else { 0 },
            epoch: self.store.epoch(),
            seed: u64::from_le_bytes(self.store.random()),
            flags: 0,
        };
        let at = Header::LEN as u64;
        for (name, header) in [
            ("list.log", header(Kind::List, list.transactions())),
            ("map.log", header(Kind::Map, map.transactions())),
        ] {
            let mut bytes = Vec::new();
            header.write(&mut bytes);
            staging.write(name, &bytes)?;
        }
        let list_bytes = list.write(self.store.guid(), 1, at);
        let mut map_bytes = Vec::new();
        map.write_snapshot(map::LogPosition { file: 1, offset: at }, &mut map_bytes);
        for (name, bytes) in [("list.index", &list_bytes), ("map.index", &map_bytes)] {
            staging.write(name, bytes)?;
            staging.write(&format!("{name}.prev"), bytes)?;
        }
        let below = |name: String| {
            let path = dir.join(name);
            path.strip_prefix(self.store.root()).unwrap_or(&path).display().to_string()
        };
        let old = staging.publish(&aside)?.map(below);
        let mut revived = Revived {
            user: user.to_owned(),
            messages: self.references.values().map(|count| u64::from(*count)).sum(),
            expunged: map.unreferenced().count() as u64,
            unknown: self.unknown(),
            aside: old,
        };
        revived.unknown.dedup();
        let rebuilt = self.told(user, &list, &written);
        Ok((revived, rebuilt))
    }

    /// The mailboxes that every account has from the start, if the list is lost.
    fn add_first_mailboxes(&mut self) {
        let mut first = vec!["INBOX".to_owned()];
        if !self.known.list_whole {
            first.extend(self.store.config.default_mailboxes.iter().map(|(name, _)| name.clone()));
        }
        for name in first {
            if !self.mailboxes.iter().any(|new| new.name == name) {
                let guid = Guid(self.store.random());
                self.add(guid, name);
            }
        }
    }

    /// The new list; and the counters and UIDVALIDITYs of mailboxes that were made anew, whose files are written.
    fn make_list(
        &mut self,
        staging: &Staging<'_>,
        aside: &mut Vec<String>,
        tell: Tell<'_>,
    ) -> Result<(List, BTreeMap<Guid, u32>), StoreError> {
        let whole = self.known.list_whole;
        let mut list = if whole { self.known.list.clone() } else { List::new(SERVER) };
        let highest = self.mailboxes.iter().filter_map(|new| Some(new.old.as_ref()?.uidvalidity));
        let highest = highest.max().unwrap_or(0).max(self.known.list.uidvalidity_high());
        let now = u32::try_from(self.now.max(0)).unwrap_or(u32::MAX);
        let floor = match whole {
            true => highest,
            false => highest.max(now).saturating_add(MARGIN),
        };
        let mut records = vec![list::Record::UidValidity(floor)];
        // Those that stay first: they have UIDVALIDITYs, and the list takes none that doesn't rise.
        let mut order: Vec<usize> = (0..self.mailboxes.len()).collect();
        order.sort_by_key(|&place| {
            let new = self.mailboxes.get(place);
            let old = new.and_then(|new| new.old.as_ref()).map_or(0, |old| old.uidvalidity);
            (new.is_none_or(|new| !new.stays), old)
        });
        if !whole {
            records.clear();
        }
        let mut floored = whole;
        let mut written = BTreeMap::new();
        for (done, place) in (0..).zip(&order) {
            let total = order.len() as u64;
            let Some(new) = self.mailboxes.get_mut(*place) else { continue };
            tell(Told::Progress { done, total, what: new.name.clone() });
            if new.stays && whole {
                continue;
            }
            if !new.stays && !floored {
                records.push(list::Record::UidValidity(floor));
                floored = true;
            }
            let time = self.now;
            let before = new.guid;
            if !new.stays && whole && new.old.is_some() {
                records.push(list::Record::Delete { guid: before, time });
                new.guid = Guid(self.store.random());
            }
            let old = new.old.as_ref();
            let default = special_use(&self.store.config.default_mailboxes, &new.name);
            let special_use =
                old.filter(|old| old.listed).map_or(default, |old| old.entry.special_use);
            let uidvalidity = match new.stays {
                true => old.map_or(0, |old| old.uidvalidity),
                false => 0,
            };
            let guid = new.guid;
            let name = new.name.as_str().into();
            records.push(list::Record::Create { guid, name, uidvalidity, special_use, time });
            if let Some(old) = old {
                let rights = old.entry.acl.iter();
                records.extend(rights.map(|(identifier, rights)| list::Record::Acl {
                    guid,
                    identifier: identifier.clone(),
                    rights: Some(rights.clone()),
                }));
                let values = old.entry.metadata.iter();
                records.extend(values.map(|(key, value)| list::Record::Metadata {
                    guid: Some(guid),
                    key: key.clone(),
                    value: Some(value.clone()),
                }));
            }
            if !whole {
                records.push(list::Record::Subscribe(new.name.as_str().into()));
            }
            apply(&mut list, std::mem::take(&mut records));
            let Some(entry) = list.by_guid(guid).cloned() else {
                // Two names, of which a list takes one: such a mailbox is told by its directory alone.
                return Err(StoreError::Cannot("a mailbox can't be put into the new list"));
            };
            let counters = match (new.stays, old) {
                (true, Some(old)) => old.counters,
                _ => {
                    let there = format!("mailboxes/{before}");
                    if new.old.is_some() {
                        aside.push(there);
                    }
                    written.insert(guid, entry.uidvalidity);
                    self.store.write_mailbox(staging, &entry, &new.messages)?
                }
            };
            records.push(list::Record::Counters { guid, counters });
            if new.stays {
                records.push(list::Record::Recent { guid, uid: counters.uidnext });
            }
        }
        if !whole {
            records.extend(
                self.known.list.subscriptions().map(|name| list::Record::Subscribe(name.into())),
            );
        }
        apply(&mut list, records);
        Ok((list, written))
    }

    /// The new map: of the old one if that is whole, else of the containers.
    fn make_map(&self) -> Result<Map, StoreError> {
        let old = &self.known.map;
        let mut containers: BTreeMap<u32, (dbox_format::Seed, u64)> = BTreeMap::new();
        for &(number, seed, len) in &self.scan.containers {
            containers.insert(number, (seed, len));
        }
        let gone: BTreeMap<u32, Gone> = old.expunged().map(|(id, gone)| (id.0, gone)).collect();
        let mut entries: BTreeMap<u32, (Entry, Extra)> = BTreeMap::new();
        if self.known.map_whole {
            for (number, container) in old.containers() {
                let (_, end) = containers.entry(number).or_insert((container.seed, 0));
                *end = (*end).max(container.end);
            }
            for (id, entry) in old.iter() {
                // Lost with its container, and no mailbox asks for it.
                if !self.references.contains_key(&id.0) && !self.by_guid.contains_key(&entry.guid) {
                    continue;
                }
                let extra = old.extra(id).cloned().unwrap_or_default();
                entries.insert(id.0, (entry, extra));
            }
        }
        for (id, record) in self
            .records
            .iter()
            .filter_map(|(id, index)| Some((*id, self.scan.records.get(*index)?)))
        {
            let Record { container, offset, record_len, size, guid, ref extra, .. } = *record;
            let entry = Entry { guid, container, offset, record_len, size, refs: 0 };
            entries.entry(id).or_insert_with(|| (entry, extra.clone()));
        }
        let messages = entries.into_iter().map(|(id, (entry, extra))| {
            let refs = self.references.get(&id).copied().unwrap_or(0);
            let unknown = Gone { time: u32::try_from(self.now).unwrap_or(1), mailbox: [0; 3] };
            let gone = match refs {
                0 => gone.get(&id).copied().unwrap_or(unknown),
                _ => Gone::default(),
            };
            map::Known { id: MapId(id), entry: Entry { refs, ..entry }, extra, gone }
        });
        let containers: Vec<_> =
            containers.into_iter().map(|(number, (seed, end))| (number, seed, end)).collect();
        let transactions = old.transactions().max(self.known.list.map_floor()) + 1;
        let next = MapId(self.next_id);
        Map::assemble(messages.collect(), &containers, next, transactions)
            .ok_or(StoreError::Cannot("the records of the containers don't make a map"))
    }

    fn unknown(&self) -> Vec<String> {
        let mut lines = self.known.damaged.clone();
        lines.extend(self.scan.damaged.iter().cloned());
        if !self.known.list_whole {
            lines.push("the names that mailboxes got since their messages were saved, which of them were empty, and which were subscribed".to_owned());
        }
        if !self.known.map_whole {
            lines.push("which messages had been copied to or moved between mailboxes that are made anew, and which had been expunged from them".to_owned());
        }
        let again = self.mailboxes.iter().any(|new| new.brought_back > 0);
        if again {
            lines.push("of messages from containers alone: flags, keywords and moves since they were saved, their UIDs, and when they came to their mailbox".to_owned());
        }
        for new in &self.mailboxes {
            if new.missing > 0 {
                let (missing, name) = (new.missing, &new.name);
                lines.push(format!("{missing} of what {name:?} had is in no container"));
            }
            if new.old.is_none() && new.name.starts_with(RECOVERED) && !new.messages.is_empty() {
                lines.push(format!(
                    "which mailbox the {} in {:?} were in, or whether they had been expunged",
                    messages(new.messages.len() as u64),
                    new.name
                ));
            }
        }
        lines
    }

    fn told(&self, user: &str, list: &List, written: &BTreeMap<Guid, u32>) -> Vec<Rebuilt> {
        let told = |new: &New| {
            let old = new.old.as_ref();
            let kept = old.map_or(0, |old| old.uidvalidity);
            let entry = list.by_guid(new.guid).map_or(kept, |entry| entry.uidvalidity.max(kept));
            let uidvalidity = written.get(&new.guid).copied().unwrap_or(entry);
            Rebuilt {
                user: user.to_owned(),
                mailbox: new.name.clone(),
                whole: new.stays,
                messages: new.messages.len() as u64,
                brought_back: new.brought_back,
                uidvalidity,
                unknown: Vec::new(),
                aside: None,
            }
        };
        let mut all: Vec<Rebuilt> = self.mailboxes.iter().map(told).collect();
        all.sort_by(|one, other| one.mailbox.cmp(&other.mailbox));
        all
    }
}

impl Store {
    /// Writes the log of a mailbox with these messages; its counters.
    fn write_mailbox(
        &self,
        staging: &Staging<'_>,
        entry: &list::Entry,
        messages: &[Message],
    ) -> Result<Counters, StoreError> {
        let mut mbox = Mbox::new(entry.guid, entry.uidvalidity);
        let dir = directory(&staging.dir(), entry.guid);
        let mut log = LogFile::new(dir, "log", Kind::Mailbox, entry.guid);
        let mut names: BTreeSet<String> = BTreeSet::new();
        for messages in messages.chunks(APPENDS) {
            let mut builder = TransactionBuilder::new(&mbox.mailbox, &mbox.names);
            for message in messages {
                let keywords = keywords_with_room(&mut names, &message.keywords);
                let new = NewMessage {
                    map_id: index_format::MapId(message.map_id),
                    internal_date: message.internal_date,
                    save_date: message.save_date,
                    size: message.size,
                    flags: message.flags,
                    keywords: &keywords,
                };
                builder.append(&new).map_err(keyword_error)?;
            }
            let transaction = builder.finish();
            let before: State = mbox.log_state();
            let mut payload = Vec::new();
            let wrong = |error: &dyn std::fmt::Display| StoreError::damaged(&staging.dir(), error);
            transaction.encode(&mut mbox.names, &mut payload).map_err(|error| wrong(&error))?;
            mbox.mailbox.apply(&transaction).map_err(|error| wrong(&error))?;
            let seed = u64::from_le_bytes(self.random());
            log.append(&self.files, &[&payload], before, seed)?;
        }
        Ok(mbox.counters())
    }
}

fn apply(list: &mut List, records: Vec<list::Record>) {
    if !records.is_empty() {
        list.apply(&list::Transaction::new(records));
    }
}

fn with_floor(mut list: List, map: u64) -> List {
    apply(&mut list, vec![list::Record::MapFloor(map)]);
    list
}

fn special_use(defaults: &[(String, config::SpecialUse)], name: &str) -> SpecialUse {
    let default = defaults.iter().find(|(known, _)| known == name);
    default.map_or(SpecialUse::NONE, |(_, kind)| special_use_bits(*kind))
}
