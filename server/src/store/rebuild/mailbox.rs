//! A mailbox whose log has lost something is made anew of what is left, under another GUID and a higher UIDVALIDITY, as one
//! change, so that a crash leaves the one or the other:
//! - its messages are those that log and snapshots know ([`salvage`]), held against the map, which counts the references
//!   to each message: what the map counts more than all mailboxes have was brought by what is lost, and is taken from the
//!   containers ([`Kept::from_container`]); what it counts less was taken away by it;
//! - where several mailboxes of the account are damaged the map's counts can't tell which of them a message was in: it is
//!   kept wherever something says so, and comes back in the one it was saved to, else in the last to be made anew;
//! - the old files are kept under other names.

use super::super::account::{Account, State};
use super::super::change::{Change, LogName};
use super::super::check::{Tell, Told};
use super::super::checkpoint::remove;
use super::super::delivery::flags_of;
use super::super::error::StoreError;
use super::super::mailbox::{Mbox, directory};
use super::super::message::Message;
use super::super::ops::{APPENDS, keyword_error};
use super::super::salvage;
use super::super::store::Store;
use super::Rebuilt;
use dbox_format::container::Head;
use dbox_format::map::{Draft, MapId};
use index_format::list::{self, Entry};
use index_format::mailbox::Parts;
use index_format::mailbox::{Lost, NewMessage, Salvaged, TransactionBuilder, UNKNOWN_KEYWORD};
use index_format::{Flags, Guid, Uid};
use std::collections::BTreeMap;
use std::sync::Arc;

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

/// Messages of a mailbox that can be made anew by one change, which is one record of the journal.
const ONE_CHANGE: usize = if cfg!(test) { 40 } else { 200_000 };

impl Store {
    /// Makes a mailbox anew of what is left of it.
    pub(super) fn recreate(
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
        if mailbox.len() > ONE_CHANGE {
            drop(guard);
            drop(keeping);
            return self.recreate_large(account.name(), name, tell);
        }
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
        if kept.len() > ONE_CHANGE {
            drop(guard);
            drop(keeping);
            return self.recreate_large(account.name(), name, tell);
        }
        // Before the change: a crash right behind it would have them swept as those of a deleted mailbox.
        let aside = self.keep_old(account, entry.guid)?;
        let (position, guid, uidvalidity) =
            self.replace(account, state, &entry, mailbox.uidvalidity(), &kept, &elsewhere)?;
        drop(guard);
        drop(keeping);
        self.wait(position)?;
        self.remove_old(account, entry.guid)?;
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

    /// Makes a mailbox anew that is too large for one change: with its account, whose files are written apart and take the
    /// place of the old ones at once.
    fn recreate_large(
        &self,
        user: &str,
        name: &str,
        tell: Tell<'_>,
    ) -> Result<Rebuilt, StoreError> {
        let (revived, rebuilt) = self.revive(user, tell)?;
        let found = rebuilt.into_iter().find(|rebuilt| rebuilt.mailbox == name);
        let mut found = found.ok_or(StoreError::NoMailbox)?;
        (found.unknown, found.aside) = (revived.unknown, revived.aside);
        Ok(found)
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

    /// Gives the files of a mailbox second names; where those are.
    fn keep_old(&self, account: &Account, guid: Guid) -> Result<Option<String>, StoreError> {
        let from = directory(account.dir(), guid);
        let dir = account.dir().join("damaged");
        let to = dir.join(guid.to_string());
        let fs = self.files.fs();
        let error = |error| StoreError::io("put aside", &from, error);
        if fs.metadata(&from).map_err(error)?.is_none() {
            return Ok(None);
        }
        fs.create_dir_all(&to).map_err(error)?;
        for entry in fs.read_dir(&from).map_err(error)? {
            match fs.link(&from.join(&entry.name), &to.join(&entry.name)) {
                // By an earlier try.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                result => result.map_err(error)?,
            }
        }
        for dir in [&*to, &*dir, account.dir()] {
            fs.sync_dir(dir).map_err(error)?;
        }
        let below = to.strip_prefix(self.root()).unwrap_or(&to);
        Ok(Some(below.display().to_string()))
    }

    /// Removes the first names of those files.
    fn remove_old(&self, account: &Account, guid: Guid) -> Result<(), StoreError> {
        let path = directory(account.dir(), guid);
        self.files.forget_below(&path);
        remove(self.files.fs(), &path).map_err(|error| StoreError::io("remove", &path, error))
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
