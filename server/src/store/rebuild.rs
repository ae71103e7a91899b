//! Makes anew what is derived, and a mailbox whose log has lost something of what is left.
//!
//! A mailbox that can be loaded is whole: its snapshots, cache files and counters are written again. One that can't is
//! made anew under another GUID and a higher UIDVALIDITY, as one change, so that a crash leaves the one or the other:
//! - its messages are those that log and snapshots know ([`salvage`]), held against the map, which counts the references
//!   to each message: what the map counts more than all mailboxes have was brought by what is lost, and is taken from the
//!   containers ([`Kept::from_container`]); what it counts less was taken away by it;
//! - where several mailboxes of the account are damaged the map's counts can't tell which of them a message was in: it is
//!   kept wherever something says so, and comes back in the one it was saved to, else in the last to be made anew;
//! - the old files are put aside, not removed.
//!
//! [`Kept`] is all that is said of a message here, wherever it was found: who rebuilds an account from its containers
//! alone makes those of what they say.

use super::account::{Account, State};
use super::change::{Change, LogName};
use super::check::{Tell, Told, damage};
use super::commit::Outcome;
use super::delivery::flags_of;
use super::error::StoreError;
use super::mailbox::{Mbox, directory};
use super::message::Message;
use super::ops::{APPENDS, keyword_error};
use super::salvage;
use super::store::Store;
use dbox_format::container::Head;
use dbox_format::map::{Draft, MapId};
use index_format::list::{self, Entry};
use index_format::mailbox::Parts;
use index_format::mailbox::{Lost, NewMessage, Salvaged, TransactionBuilder, UNKNOWN_KEYWORD};
use index_format::{Flags, Guid, Uid, cache};
use runtime_smol::fs;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What became of a mailbox.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Rebuilt {
    /// The account.
    pub user: String,
    /// The mailbox.
    pub mailbox: String,
    /// It was whole, and only what is derived was written again.
    pub whole: bool,
    /// Messages in it.
    pub messages: u64,
    /// Of those, how many its log did not know any more.
    pub brought_back: u64,
    /// Its UIDVALIDITY now.
    pub uidvalidity: u32,
    /// What can't be known of it any more, a line each.
    pub unknown: Vec<String>,
    /// Where its old files are, when they were put aside: below the data directory.
    pub aside: Option<String>,
}

/// A message of a mailbox that is made anew.
#[derive(Clone)]
struct Kept {
    map_id: u32,
    /// The UID it had, where that is known.
    uid: Option<Uid>,
    internal_date: i64,
    save_date: i64,
    size: u64,
    flags: Flags,
    keywords: Vec<String>,
}

/// Where the map's references are, all mailboxes but one.
#[derive(Default)]
struct Elsewhere {
    counts: BTreeMap<u32, u32>,
    /// Others are damaged, too.
    partial: bool,
}

/// How often a snapshot is tried that a change under way keeps from being written, and how long to wait in between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

impl Store {
    /// Makes anew what can be of a mailbox, or of all of an account.
    ///
    /// # Errors
    /// I/O; no such account or mailbox; an account whose list or map is damaged.
    pub fn rebuild(
        &self,
        user: &str,
        mailbox: Option<&str>,
        tell: &mut dyn FnMut(Told),
    ) -> Result<Vec<Rebuilt>, StoreError> {
        self.account_dir(user)?;
        self.writable()?;
        let account = self.account(user)?;
        let names: Vec<String> = {
            let state = account.lock()?;
            let names = state.list.iter().map(|entry| entry.name.to_string());
            names.filter(|name| mailbox.is_none_or(|wanted| wanted == name)).collect()
        };
        if names.is_empty() {
            return Err(StoreError::NoMailbox);
        }
        let mut all = Vec::new();
        for (done, name) in (0..).zip(&names) {
            tell(Told::Progress { done, total: names.len() as u64, what: name.clone() });
            all.push(self.rebuild_mailbox(&account, name, tell)?);
        }
        // What the counters are now is in the list, and the files that nothing needs any more go.
        self.checkpoint(u64::MAX)?;
        if mailbox.is_none() {
            self.renew_snapshots(&account, &[LogName::List, LogName::Map])?;
        }
        Ok(all)
    }

    fn rebuild_mailbox(
        &self,
        account: &Arc<Account>,
        name: &str,
        tell: Tell<'_>,
    ) -> Result<Rebuilt, StoreError> {
        let whole = {
            let mut state = account.lock()?;
            let state = &mut *state;
            let guid = state.list.by_name(name).ok_or(StoreError::NoMailbox)?.guid;
            match account.mailbox(&self.files, state, guid) {
                Ok(mbox) => {
                    let ids: BTreeSet<u32> =
                        mbox.mailbox.map_ids().map(|id| id.0 / cache::SPAN).collect();
                    let rebuilt = Rebuilt {
                        user: account.name().to_owned(),
                        mailbox: name.to_owned(),
                        whole: true,
                        messages: mbox.mailbox.len() as u64,
                        uidvalidity: mbox.mailbox.uidvalidity(),
                        ..Rebuilt::default()
                    };
                    state.dirty.insert(guid);
                    Some((guid, ids, rebuilt))
                }
                Err(StoreError::Damaged { .. }) => None,
                Err(error) => return Err(error),
            }
        };
        let Some((guid, caches, rebuilt)) = whole else {
            return self.recreate(account, name, tell);
        };
        self.renew_snapshots(account, &[LogName::Mailbox(guid)])?;
        for number in caches {
            self.drop_damaged_cache(account, number)?;
        }
        Ok(rebuilt)
    }

    /// Writes both generations of snapshots, from what memory has; the logs go on in their next files, so that damage in
    /// the present ones is behind what both snapshots say.
    fn renew_snapshots(&self, account: &Arc<Account>, names: &[LogName]) -> Result<(), StoreError> {
        for &name in names {
            for _ in 0..2 {
                self.renew_snapshot(account, name)?;
            }
            let mut logs = account.logs();
            if let Some(log) = logs.get(name) {
                log.rotate();
            }
        }
        Ok(())
    }

    fn renew_snapshot(&self, account: &Arc<Account>, name: LogName) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            self.flush();
            let keeping = self.keeping();
            // A mailbox without a log has no messages, and needs no snapshot.
            let nothing = account.logs().get(name).is_none_or(|log| log.end().is_none());
            if let LogName::Mailbox(guid) = name {
                // Whole ones, not what became of the one that is there.
                let mut state = account.lock()?;
                account.mailbox(&self.files, &mut state, guid)?.mailbox.forget_base();
            }
            if nothing || self.write_snapshot(account, name)? {
                return Ok(());
            }
            drop(keeping);
            std::thread::sleep(PAUSE);
        }
        Err(StoreError::Cannot("too much is changed at the moment to write a snapshot; try again"))
    }

    /// Messages of a cache file that is gone are read again.
    fn drop_damaged_cache(&self, account: &Arc<Account>, number: u32) -> Result<(), StoreError> {
        let path = account.dir().join("cache").join(format!("{number:08x}"));
        let fs = self.files.fs();
        match fs::read_all(fs, &path) {
            Ok(bytes) if damage(&bytes).is_some() => {
                fs.unlink(&path).map_err(|error| StoreError::io("remove", &path, error))
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::io("read", &path, error)),
        }
    }

    /// Makes a mailbox anew of what is left of it.
    fn recreate(
        &self,
        account: &Arc<Account>,
        name: &str,
        tell: Tell<'_>,
    ) -> Result<Rebuilt, StoreError> {
        // So that the files say all that there is, and no checkpoint removes any of them.
        self.flush();
        let keeping = self.keeping();
        let mut guard = account.lock()?;
        let state = &mut *guard;
        let entry = state.list.by_name(name).ok_or(StoreError::NoMailbox)?.clone();
        let Salvaged { mailbox, lost, .. } = salvage::salvage(&self.files, account.dir(), &entry)?;
        let elsewhere = self.elsewhere(account, state, entry.guid)?;
        let known: Vec<Kept> = mailbox
            .iter()
            .map(|row| Kept {
                map_id: row.map_id.0,
                uid: Some(row.uid),
                internal_date: row.internal_date,
                save_date: row.save_date,
                size: row.size,
                flags: row.flags,
                keywords: row
                    .keywords
                    .iter()
                    .filter_map(|number| mailbox.keywords().name(number))
                    .filter(|name| !name.starts_with(UNKNOWN_KEYWORD))
                    .map(str::to_owned)
                    .collect(),
            })
            .collect();
        let (mut kept, gone) = still_referred(known, state, &elsewhere);
        let back = self.brought_back(account, state, entry.guid, &kept, &elsewhere, tell);
        let brought_back = back.len() as u64;
        let unknown = unknown(&lost, gone, brought_back, mailbox.keywords().iter());
        let at = place(&kept, &lost);
        kept.splice(at..at, back);
        let (position, guid, uidvalidity) =
            self.replace(account, state, &entry, mailbox.uidvalidity(), &kept, &elsewhere)?;
        drop(guard);
        drop(keeping);
        self.wait(position)?;
        let aside = self.put_aside(account, entry.guid)?;
        self.checkpoint(u64::MAX)?;
        self.renew_snapshots(account, &[LogName::Mailbox(guid)])?;
        tracing::warn!(
            account = account.name(),
            mailbox = name,
            messages = kept.len(),
            "a damaged mailbox was made anew of what was left"
        );
        Ok(Rebuilt {
            user: account.name().to_owned(),
            mailbox: name.to_owned(),
            whole: false,
            messages: kept.len() as u64,
            brought_back,
            uidvalidity,
            unknown,
            aside,
        })
    }

    /// The references that all mailboxes but one have.
    fn elsewhere(
        &self,
        account: &Arc<Account>,
        state: &mut State,
        but: Guid,
    ) -> Result<Elsewhere, StoreError> {
        let mut elsewhere = Elsewhere::default();
        for entry in state.list.iter().filter(|entry| entry.guid != but) {
            let mut loaded = match state.mailboxes.contains_key(&entry.guid) {
                true => None,
                false => match Mbox::load(&self.files, account.dir(), entry) {
                    Ok((mbox, _)) => Some(mbox),
                    Err(StoreError::Damaged { .. }) => {
                        elsewhere.partial = true;
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            let known = state.mailboxes.get_mut(&entry.guid).map(|mbox| &mut **mbox);
            let Some(mbox) = known.or(loaded.as_mut()) else { continue };
            match mbox.need(&self.files, account.dir(), Parts::ALL) {
                Ok(_) => {}
                Err(StoreError::Damaged { .. }) => {
                    elsewhere.partial = true;
                    continue;
                }
                Err(error) => return Err(error),
            }
            for id in mbox.mailbox.map_ids() {
                *elsewhere.counts.entry(id.0).or_default() += 1;
            }
        }
        Ok(elsewhere)
    }

    /// Messages that the map counts and no mailbox has.
    fn brought_back(
        &self,
        account: &Arc<Account>,
        state: &State,
        guid: Guid,
        kept: &[Kept],
        elsewhere: &Elsewhere,
        tell: Tell<'_>,
    ) -> Vec<Kept> {
        let mut here: BTreeMap<u32, u32> = BTreeMap::new();
        for message in kept {
            *here.entry(message.map_id).or_default() += 1;
        }
        let count = |counts: &BTreeMap<u32, u32>, id: u32| counts.get(&id).copied().unwrap_or(0);
        let missing: Vec<(MapId, u32)> = state
            .map
            .iter()
            .map(|(id, entry)| {
                let there = count(&here, id.0) + count(&elsewhere.counts, id.0);
                (id, entry.refs.saturating_sub(there))
            })
            .filter(|(_, missing)| *missing > 0)
            .collect();
        let mut back = Vec::new();
        for (done, (id, times)) in (0..).zip(&missing) {
            if done % 256 == 0 {
                let what = "messages from containers".to_owned();
                tell(Told::Progress { done, total: missing.len() as u64, what });
            }
            let Some(message) = Message::find(account, state, &account.pending(), *id) else {
                continue;
            };
            let found = message.head(&self.files, true, |head| {
                // With other damaged mailboxes about it may be theirs; where it was saved to is the best guess.
                let ours = !elsewhere.partial || head.mailbox().0 == guid.0;
                Ok(ours.then(|| Kept::from_container(id.0, message.size, head)))
            });
            let kept = match found {
                Ok(Some(kept)) => kept,
                Ok(None) => continue,
                // The map is sure of it, and when the rest can be read again it is there.
                Err(_) => Kept::nothing_known(id.0, message.size, self.now()),
            };
            for _ in 1..*times {
                back.push(kept.clone());
            }
            back.push(kept);
        }
        back
    }

    /// The change: the old mailbox goes, the new one comes, and the map counts what is in it.
    fn replace(
        &self,
        account: &Arc<Account>,
        state: &mut State,
        entry: &Entry,
        before: u32,
        kept: &[Kept],
        elsewhere: &Elsewhere,
    ) -> Result<(u64, Guid, u32), StoreError> {
        let time = self.now();
        let guid = Guid(self.random());
        let uidvalidity = state.list.next_uidvalidity(time).max(before.saturating_add(1));
        let mut change = Change::default();
        let Entry { name, special_use, .. } = entry;
        let mut records = vec![
            list::Record::Delete { guid: entry.guid, time },
            list::Record::Create {
                guid,
                name: (**name).into(),
                uidvalidity,
                special_use: *special_use,
                time,
            },
        ];
        records.extend(entry.acl.iter().map(|(identifier, rights)| list::Record::Acl {
            guid,
            identifier: identifier.clone(),
            rights: Some(rights.clone()),
        }));
        records.extend(entry.metadata.iter().map(|(key, value)| list::Record::Metadata {
            guid: Some(guid),
            key: key.clone(),
            value: Some(value.clone()),
        }));
        let applied = change.list(account, state, records)?;
        let Some(&list::Outcome::Created { uidvalidity }) = applied.outcomes.get(1) else {
            // The name was just given up, and the GUID is new.
            account.kill();
            return Err(StoreError::Lost);
        };
        let mut mbox = Mbox::new(guid, uidvalidity);
        for messages in kept.chunks(APPENDS) {
            let mut builder = TransactionBuilder::new(&mbox.mailbox, &mbox.names);
            builder.epoch(self.epoch());
            for message in messages {
                let keywords: Vec<&str> = message.keywords.iter().map(String::as_str).collect();
                let message = NewMessage {
                    map_id: index_format::MapId(message.map_id),
                    internal_date: message.internal_date,
                    save_date: message.save_date,
                    size: message.size,
                    flags: message.flags,
                    keywords: &keywords,
                };
                builder.append(&message).map_err(|error| {
                    account.kill();
                    keyword_error(error)
                })?;
            }
            let transaction = builder.finish();
            change.mailbox(account, &mut mbox, &transaction, 0)?;
        }
        for draft in references(state, kept, elsewhere) {
            change.map(account, state, &draft, self.now())?;
        }
        account.logs().mailboxes.insert(guid, Box::new(mbox.new_log(account.dir())));
        state.mailboxes.remove(&entry.guid);
        state.mailboxes.insert(guid, Box::new(mbox));
        state.dirty.remove(&entry.guid);
        let position = self.submit_list(change, state);
        self.touch(state, &[guid], position);
        Ok((position, guid, uidvalidity))
    }

    /// Waits until a change is durable; the thread that commits may or may not be there.
    fn wait(&self, position: u64) -> Result<(), StoreError> {
        loop {
            self.flush();
            match self.outcome(position) {
                Outcome::Durable => return Ok(()),
                Outcome::Lost => return Err(StoreError::Lost),
                Outcome::Waiting => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Moves the files of a mailbox that was made anew out of the way; where they are now.
    fn put_aside(&self, account: &Account, guid: Guid) -> Result<Option<String>, StoreError> {
        let from = directory(account.dir(), guid);
        let dir = account.dir().join("damaged");
        let to = dir.join(guid.to_string());
        let fs = self.files.fs();
        let error = |error| StoreError::io("put aside", &from, error);
        self.files.forget_below(&from);
        if fs.metadata(&from).map_err(error)?.is_none() {
            return Ok(None);
        }
        fs.create_dir_all(&dir).map_err(error)?;
        fs.rename(&from, &to).map_err(error)?;
        fs.sync_dir(&dir).map_err(error)?;
        fs.sync_dir(fs::parent(&from)).map_err(error)?;
        let below = to.strip_prefix(self.root()).unwrap_or(&to);
        Ok(Some(below.display().to_string()))
    }
}

impl Kept {
    /// What a message's record says of it: as it was when it was saved.
    fn from_container(map_id: u32, size: u64, head: &Head<'_>) -> Self {
        Self {
            map_id,
            uid: None,
            internal_date: head.received(),
            save_date: head.received(),
            size,
            flags: flags_of(head.flags()),
            keywords: head.keywords().map(str::to_owned).collect(),
        }
    }

    fn nothing_known(map_id: u32, size: u64, now: i64) -> Self {
        let (internal_date, save_date) = (now, now);
        let (flags, keywords) = (Flags::NONE, Vec::new());
        Self { map_id, uid: None, internal_date, save_date, size, flags, keywords }
    }
}

/// Those of the messages that the map still counts for this mailbox, and how many it does not.
fn still_referred(known: Vec<Kept>, state: &State, elsewhere: &Elsewhere) -> (Vec<Kept>, u64) {
    let before = known.len();
    let mut left: BTreeMap<u32, u32> = BTreeMap::new();
    let kept: Vec<Kept> = known
        .into_iter()
        .filter(|message| {
            let Some(entry) = state.map.get(MapId(message.map_id)) else { return false };
            if elsewhere.partial {
                return true;
            }
            let there = elsewhere.counts.get(&message.map_id).copied().unwrap_or(0);
            let left = left.entry(message.map_id).or_insert(entry.refs.saturating_sub(there));
            let stays = *left > 0;
            *left = left.saturating_sub(1);
            stays
        })
        .collect();
    let gone = (before - kept.len()) as u64;
    (kept, gone)
}

/// Steps of the map after which it counts what is in the mailboxes; of messages that others may have it counts no less.
fn references(
    state: &State,
    kept: &[Kept],
    elsewhere: &Elsewhere,
) -> Vec<dbox_format::map::Transaction> {
    let mut wanted = elsewhere.counts.clone();
    for message in kept {
        *wanted.entry(message.map_id).or_default() += 1;
    }
    let mut drafts = Vec::new();
    let (mut more, mut less): (BTreeMap<u32, u32>, BTreeMap<u32, u32>) = Default::default();
    for (id, entry) in state.map.iter() {
        let wanted = wanted.get(&id.0).copied().unwrap_or(0);
        if wanted > entry.refs {
            more.insert(id.0, wanted - entry.refs);
        } else if wanted < entry.refs && !elsewhere.partial {
            less.insert(id.0, entry.refs - wanted);
        }
    }
    for (counts, add) in [(&mut more, true), (&mut less, false)] {
        // A step changes each message's count by one.
        while !counts.is_empty() {
            let mut draft = Draft::new(&state.map);
            let ids = counts.keys().map(|id| MapId(*id)).collect::<Vec<_>>();
            if add {
                draft.refs_add(ids);
            } else {
                draft.refs_remove(ids);
            }
            drafts.push(draft.finish());
            counts.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
    }
    drafts
}

/// Where messages stand in the order that came with what is lost.
fn place(kept: &[Kept], lost: &[Lost]) -> usize {
    let first = lost.iter().find_map(|lost| lost.uids).map(|(first, _)| first);
    let Some(first) = first else { return kept.len() };
    kept.partition_point(|message| message.uid.is_some_and(|uid| uid < first))
}

/// What can't be known any more, a line each.
fn unknown<'a>(
    lost: &[Lost],
    gone: u64,
    brought_back: u64,
    keywords: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let mut lines: Vec<String> = lost
        .iter()
        .map(|lost| {
            let places: Vec<String> = lost
                .gaps
                .iter()
                .map(|gap| format!("byte {} ({} bytes)", gap.at, gap.len))
                .collect();
            let places = if places.is_empty() { "missing".to_owned() } else { places.join(", ") };
            let covered = salvage::covered(lost);
            format!(
                "log file {}, {places}: {covered}; flags they changed are as they were before",
                lost.file
            )
        })
        .collect();
    if brought_back > 0 {
        lines.push(format!(
            "{brought_back} messages have the flags, keywords and dates they were saved with: what was changed since is not known, nor when they came to this mailbox"
        ));
    }
    if gone > 0 {
        lines.push(format!(
            "{gone} messages were taken away by what is missing, and are not brought back"
        ));
    }
    let nameless = keywords.filter(|name| name.starts_with(UNKNOWN_KEYWORD)).count();
    if nameless > 0 {
        lines.push(format!(
            "the names of {nameless} keywords are lost, and with them which messages have them"
        ));
    }
    lines
}
