//! Looks at all files of an account, and at whether they fit each other; says in words what is wrong, and writes nothing.
//!
//! A running server goes on meanwhile: a checkpoint, which replaces and removes files, waits for the mailbox that is
//! looked at; what is appended to a log is no damage, since it is known before reading how much must be there.

use super::account::{Account, log_owner};
use super::attachments::{Apart, VerifiedContents};
use super::change::LogName;
use super::error::StoreError;
use super::logfile::{LogPosition, missing};
use super::mailbox::{Mbox, directory};
use super::message::{Message, ReadError};
use super::recovery::names;
use super::salvage::{self, LogPart};
use super::store::Store;
use dbox_format::Error;
use dbox_format::container::{FileHeader, Unpacker, Verified};
use dbox_format::map::{self, MapId};
use dbox_format::paths;
use index_format::explain::{Sort, notes};
use index_format::list::{Entry, List};
use index_format::log::{Header, Kind};
use index_format::mailbox::Parts;
use index_format::snapshot::Snapshot;
use index_format::{Guid, mailbox};
use runtime_smol::fs::{self, File, Open};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a damage costs.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// Nothing: it takes room.
    None,
    /// Time: something else says the same. It is made anew by `loft mailbox rebuild`, or when the server next writes it.
    #[default]
    Speed,
    /// Mail, or what was known of it.
    Mail,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Finding {
    /// The account.
    pub user: String,
    /// The mailbox, where it is about one.
    pub mailbox: Option<String>,
    /// The file or directory, below the data directory.
    pub file: String,
    /// The byte in it.
    pub at: Option<u64>,
    /// What it costs.
    pub harm: Harm,
    /// In words: what is wrong, and what it covered.
    pub what: String,
}

/// What is told while something takes its time.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Something is wrong.
    Finding(Finding),
    /// So much of it is done.
    Progress {
        /// Messages, mailboxes or files that were looked at.
        done: u64,
        /// Of so many.
        total: u64,
        /// What they are.
        what: String,
    },
}

/// Who is told.
pub(crate) type Tell<'a> = &'a mut dyn FnMut(Told);

/// Messages after which progress is told.
const STEP: u64 = 1024;
/// Bytes of a record that are looked at in one step.
const PIECE: usize = 64 << 10;

impl Store {
    /// The accounts that have a directory here, by name.
    ///
    /// # Errors
    /// I/O.
    pub fn accounts_on_disk(&self) -> Result<Vec<String>, StoreError> {
        let users = self.root().join("users");
        let fs = self.files.fs();
        let error = |error| StoreError::io("list", &users, error);
        let mut names = Vec::new();
        if fs.metadata(&users).map_err(error)?.is_none() {
            return Ok(names);
        }
        for hash in fs.read_dir(&users).map_err(error)? {
            for account in fs.read_dir(&users.join(&hash.name)).map_err(error)? {
                let parts = hash.name.to_str().zip(account.name.to_str());
                let path = parts.map(|(hash, account)| format!("users/{hash}/{account}"));
                names.extend(path.and_then(|path| paths::parse_account(&path).ok()));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Where an account's files are, if it has any.
    pub(crate) fn account_dir(&self, user: &str) -> Result<PathBuf, StoreError> {
        let unknown = || StoreError::Cannot("no such user has mail here");
        let dir = self.root().join(paths::account(user).map_err(|_| unknown())?);
        match self.files.fs().metadata(&dir) {
            Ok(Some(_)) => Ok(dir),
            Ok(None) => Err(unknown()),
            Err(error) => Err(StoreError::io("look at", &dir, error)),
        }
    }

    /// Looks at the files of an account, or of one mailbox of it; `tell` is told all that is wrong with them.
    ///
    /// # Errors
    /// I/O; no such account or mailbox. What is damaged is told, and is no error.
    pub fn check(
        &self,
        user: &str,
        mailbox: Option<&str>,
        tell: &mut dyn FnMut(Told),
    ) -> Result<(), StoreError> {
        let dir = self.account_dir(user)?;
        Check { store: self, user, dir, mailbox: None, tell }.run(mailbox)
    }
}

struct Check<'a> {
    store: &'a Store,
    user: &'a str,
    /// Of the account.
    dir: PathBuf,
    /// The mailbox that is looked at.
    mailbox: Option<String>,
    tell: Tell<'a>,
}

/// What the mailboxes say of the map's messages.
#[derive(Default)]
struct References {
    counts: BTreeMap<u32, u32>,
    /// One of the places where a message is: mailbox and UID.
    places: BTreeMap<u32, (String, u32)>,
    /// Not all mailboxes could be read.
    partial: bool,
}

impl Check<'_> {
    fn run(&mut self, only: Option<&str>) -> Result<(), StoreError> {
        let live = self.store.account_in_memory(self.user);
        let owner = log_owner(self.store.guid(), self.user);
        {
            let _keeping = self.store.keeping();
            let list = self.generations(&self.dir.clone(), "list.index", &|bytes| {
                List::parse(bytes).map(|(_, _, at)| position(at)).map_err(|error| error.to_string())
            })?;
            self.log(live.as_ref(), LogName::List, ("list.log", Kind::List, owner), list)?;
            let map = self.generations(&self.dir.clone(), "map.index", &map_position)?;
            self.log(live.as_ref(), LogName::Map, ("map.log", Kind::Map, owner), map)?;
        }
        let account = match self.store.account(self.user) {
            Ok(account) => account,
            Err(StoreError::Damaged { path, why }) => {
                self.found(&path, None, Harm::Mail, format!("the account can't be read: {why}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let (entries, begun): (Vec<Entry>, u64) = {
            let state = account.lock()?;
            (state.list.iter().cloned().collect(), state.position)
        };
        let wanted: Vec<&Entry> =
            entries.iter().filter(|entry| only.is_none_or(|name| *name == *entry.name)).collect();
        if wanted.is_empty() && only.is_some() {
            return Err(StoreError::NoMailbox);
        }
        let mut references = References::default();
        for (done, entry) in (0..).zip(&wanted) {
            self.progress(done, wanted.len() as u64, &entry.name);
            self.mailbox = Some(entry.name.to_string());
            self.one_mailbox(&account, live.as_ref(), entry, &mut references)?;
            self.mailbox = None;
        }
        self.messages(&account, only.is_some(), &references)?;
        if only.is_none() {
            self.compare(&account, begun, &references)?;
            self.caches()?;
            self.leftovers(&account)?;
        }
        Ok(())
    }

    fn found(&mut self, path: &Path, at: Option<u64>, harm: Harm, what: String) {
        let file = path.strip_prefix(self.store.root()).unwrap_or(path).display().to_string();
        let (user, mailbox) = (self.user.to_owned(), self.mailbox.clone());
        (self.tell)(Told::Finding(Finding { user, mailbox, file, at, harm, what }));
    }

    fn progress(&mut self, done: u64, total: u64, what: &str) {
        (self.tell)(Told::Progress { done, total, what: what.to_owned() });
    }

    /// Looks at a snapshot and the one before it; where the newer of the two that are whole stands.
    fn generations(
        &mut self,
        dir: &Path,
        name: &str,
        parse: &dyn Fn(&[u8]) -> Result<LogPosition, String>,
    ) -> Result<Option<LogPosition>, StoreError> {
        let mut newest = None;
        for name in [name.to_owned(), format!("{name}.prev")] {
            let path = dir.join(name);
            match fs::read_all(self.store.files.fs(), &path) {
                Ok(bytes) => match parse(&bytes) {
                    Ok(position) => newest = newest.or(Some(position)),
                    Err(why) => {
                        let what =
                            format!("snapshot: {why}; the other one and the log say the same");
                        self.found(&path, None, Harm::Speed, what);
                    }
                },
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io("read", &path, error)),
            }
        }
        Ok(newest)
    }

    /// Looks at the files of a log. `newest` is where the snapshot stands that is read first.
    fn log(
        &mut self,
        live: Option<&Arc<Account>>,
        name: LogName,
        (base, kind, owner): (&str, Kind, Guid),
        newest: Option<LogPosition>,
    ) -> Result<(), StoreError> {
        let dir = match name {
            LogName::Mailbox(guid) => directory(&self.dir, guid),
            LogName::List | LogName::Map => self.dir.clone(),
        };
        // Known before reading: more may be there by then, and less must not.
        let expected = live.and_then(|account| Some(account.logs().get(name)?.transactions()));
        let parts = salvage::read_log(&self.store.files, &dir, base, (kind, owner))?;
        let headers: Vec<&Header> =
            parts.iter().filter_map(|part| part.header.as_ref().ok()).collect();
        let mut held = 0;
        for part in &parts {
            match &part.header {
                Ok(header) => {
                    let follows = |next: &&&Header| {
                        next.previous.is_some_and(|previous| previous.file == header.file)
                    };
                    let next = headers.iter().rev().find(follows).copied();
                    held = held.max(self.log_file(part, header, next, newest));
                }
                Err(why) => self.log_header(part, why, &headers, newest),
            }
        }
        if let (Some(last), Some(expected)) = (parts.last(), expected)
            && held < expected
        {
            let what = format!("{} transactions are missing at the end", expected - held);
            self.found(&last.path, None, Harm::Mail, what);
        }
        Ok(())
    }

    fn log_header(
        &mut self,
        part: &LogPart,
        why: &str,
        headers: &[&Header],
        newest: Option<LogPosition>,
    ) {
        let name = part.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.rsplit_once('.').and_then(|(_, number)| number.parse().ok()).unwrap_or(1);
        let named = headers.iter().any(|it| it.previous.is_some_and(|it| it.file == number));
        let (harm, what) = if newest.is_some_and(|newest| newest.file > number) {
            (Harm::Speed, "what it held is in a snapshot")
        } else if named {
            (Harm::Mail, "all that it held is missing")
        } else {
            (Harm::None, "the log does not count it")
        };
        self.found(&part.path, Some(0), harm, format!("the header: {why}; {what}"));
    }

    /// Looks at one file of a log; how many transactions there are up to its end.
    fn log_file(
        &mut self,
        part: &LogPart,
        header: &Header,
        next: Option<&Header>,
        newest: Option<LogPosition>,
    ) -> u64 {
        let (survey, end) = salvage::survey(part, header, next);
        if let Some(first) = survey.gaps.first() {
            let covered =
                newest.is_some_and(|newest| (newest.file, newest.offset) > (header.file, first.at));
            let (harm, then) = match covered {
                true => (Harm::Speed, "a snapshot says what they did"),
                false => (Harm::Mail, "what they did is not known"),
            };
            let what = format!("{}; {then}", missing(&survey, end));
            self.found(&part.path, Some(first.at), harm, what);
        }
        end.transactions + if next.is_some() { 0 } else { survey.behind.len() as u64 }
    }

    fn one_mailbox(
        &mut self,
        account: &Arc<Account>,
        live: Option<&Arc<Account>>,
        entry: &Entry,
        references: &mut References,
    ) -> Result<(), StoreError> {
        let dir = directory(&self.dir, entry.guid);
        let _keeping = self.store.keeping();
        let newest = self.generations(&dir, "index", &|bytes| {
            let snapshot = Snapshot::parse(bytes).map_err(|error| error.to_string())?;
            snapshot.verify().map_err(|error| error.to_string())?;
            if snapshot.header().owner != entry.guid {
                return Err("it is that of another mailbox".to_owned());
            }
            Ok(position(snapshot.header().position))
        })?;
        let log = ("log", Kind::Mailbox, entry.guid);
        self.log(live, LogName::Mailbox(entry.guid), log, newest)?;
        self.other_files(&dir)?;
        let mut state = account.lock()?;
        let state = &mut *state;
        // Deleted meanwhile.
        let Some(entry) = state.list.by_guid(entry.guid).cloned() else { return Ok(()) };
        let mut loaded;
        let mbox = match state.mailboxes.get_mut(&entry.guid) {
            Some(mbox) => &mut **mbox,
            None => match Mbox::load(&self.store.files, &self.dir, &entry) {
                Ok((mbox, _)) => {
                    loaded = mbox;
                    if loaded.counters() != entry.counters && loaded.mailbox.transactions() > 0 {
                        let what = format!(
                            "the mailbox list says {} messages and UIDNEXT {}, the mailbox {} and {}",
                            entry.counters.sums.messages,
                            entry.counters.uidnext,
                            loaded.mailbox.len(),
                            loaded.mailbox.uidnext()
                        );
                        self.found(&self.dir.join("list.log"), None, Harm::Speed, what);
                    }
                    &mut loaded
                }
                Err(error) => return self.unreadable(error, references),
            },
        };
        if let Err(error) = mbox.need(&self.store.files, &self.dir, Parts::ALL) {
            return self.unreadable(error, references);
        }
        self.rows(&entry, &mbox.mailbox, &state.map, references);
        Ok(())
    }

    /// A mailbox whose rows can't be had.
    fn unreadable(
        &mut self,
        error: StoreError,
        references: &mut References,
    ) -> Result<(), StoreError> {
        let StoreError::Damaged { path, why } = error else { return Err(error) };
        references.partial = true;
        self.found(&path, None, Harm::Mail, why);
        Ok(())
    }

    /// Whether the map has what the rows refer to.
    fn rows(
        &mut self,
        entry: &Entry,
        mbox: &mailbox::Mailbox,
        map: &map::Map,
        references: &mut References,
    ) {
        for row in mbox.iter() {
            let id = row.map_id.0;
            *references.counts.entry(id).or_default() += 1;
            references.places.entry(id).or_insert_with(|| (entry.name.to_string(), row.uid.0));
            let what = match map.get(MapId(id)) {
                None => format!("UID {} is map id {id}, which the map does not have", row.uid),
                Some(found) if found.size != row.size => format!(
                    "UID {} has {} bytes, the map says {} of map id {id}",
                    row.uid, row.size, found.size
                ),
                Some(_) => continue,
            };
            self.found(&directory(&self.dir, entry.guid), None, Harm::Mail, what);
        }
    }

    /// Files of a mailbox that are made of its log: what they are, they say themselves.
    fn other_files(&mut self, dir: &Path) -> Result<(), StoreError> {
        for name in names(self.store.files.fs(), dir)? {
            if !(name.starts_with("log")
                || ["index", "index.prev", "index.delta"].contains(&&*name))
            {
                self.derived(&dir.join(name))?;
            }
        }
        Ok(())
    }

    /// A file that costs nothing but time when it is lost.
    fn derived(&mut self, path: &Path) -> Result<(), StoreError> {
        if path.file_name().is_some_and(fs::is_temporary) {
            self.found(path, None, Harm::None, "a crash has left it; it is not used".to_owned());
            return Ok(());
        }
        let bytes = match fs::read_all(self.store.files.fs(), path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::io("read", path, error)),
        };
        if let Some((at, text)) = damage(&bytes) {
            self.found(path, Some(at), Harm::Speed, text);
        }
        Ok(())
    }

    /// Reads messages, and holds them against their checksums and the map.
    fn messages(
        &mut self,
        account: &Arc<Account>,
        some: bool,
        references: &References,
    ) -> Result<(), StoreError> {
        let mut wanted: Vec<(MapId, map::Entry)> = {
            let state = account.lock()?;
            let pending = account.pending();
            let asked = |id: MapId| !some || references.places.contains_key(&id.0);
            state.map.iter().filter(|(id, _)| asked(*id) && !pending.contains_key(&id.0)).collect()
        };
        wanted.sort_by_key(|(_, entry)| (entry.container, entry.offset));
        let (mut container, mut verified) = (None, VerifiedContents::new());
        for (done, (id, entry)) in (0..).zip(&wanted) {
            if done % STEP == 0 {
                self.progress(done, wanted.len() as u64, "messages");
            }
            let (seed, text_len) = {
                let state = account.lock()?;
                let seed = state.map.container(entry.container).map(|known| known.seed);
                let apart = state.map.extra(*id).and_then(|extra| Apart::of(extra, entry.size));
                (seed, apart.map_or(entry.size, |apart| apart.skeleton_len()))
            };
            let Some(seed) = seed else { continue };
            let path = account.container_path(entry.container);
            if container != Some(entry.container) {
                container = Some(entry.container);
                self.container_header(&path, entry.container, seed)?;
            }
            let damage = match self.record(&path, (seed, text_len), entry)? {
                Ok(()) => self.attachments(account, *id, &mut verified)?,
                Err(why) => Some((path, Some(entry.offset), why)),
            };
            let Some((path, at, why)) = damage else { continue };
            // Let go of meanwhile.
            if account.lock()?.map.get(*id) != Some(*entry) {
                continue;
            }
            let place = references.places.get(&id.0);
            let (mailbox, whose) = match place {
                Some((mailbox, uid)) => (Some(mailbox.clone()), format!("UID {uid}")),
                None => (None, "a message that is in no mailbox".to_owned()),
            };
            self.mailbox = mailbox;
            let what = format!("{whose} (map id {}, {} bytes): {why}", id.0, entry.size);
            self.found(&path, at, Harm::Mail, what);
            self.mailbox = None;
        }
        Ok(())
    }

    /// What is wrong with the parts of a message that stand apart, if anything, and where.
    #[allow(clippy::type_complexity, reason = "taken apart at once")]
    fn attachments(
        &self,
        account: &Arc<Account>,
        id: MapId,
        verified: &mut VerifiedContents,
    ) -> Result<Option<(PathBuf, Option<u64>, String)>, StoreError> {
        let message = {
            let state = account.lock()?;
            Message::find(account, &state, &account.pending(), id)
        };
        let Some(message) = message else { return Ok(None) };
        let list = match &message.apart {
            Some(apart) => apart.list().map_err(|why| why.to_string()),
            None => Ok(&[][..]),
        };
        let named = match message.head(&self.store.files, true, |head| Ok(head.apart())) {
            Ok(named) => named,
            // It has moved, or gone; damage was looked for already.
            Err(_) => return Ok(None),
        };
        let map = self.dir.join("map.log");
        let list = match list {
            Ok(list) if list == named => list,
            Ok(_) => {
                let why = "the map and the record name different attachments".to_owned();
                return Ok(Some((map, None, why)));
            }
            Err(why) => return Ok(Some((map, None, why))),
        };
        let damaged = self.store.verify_contents(account.home(), list, verified)?;
        Ok(damaged.map(|(hash, why)| {
            (account.home().attachment_path(&hash), None, format!("an attachment of it: {why}"))
        }))
    }

    fn container_header(
        &mut self,
        path: &Path,
        number: u32,
        seed: dbox_format::Seed,
    ) -> Result<(), StoreError> {
        let Ok(file) = self.store.files.fs().open(path, Open::Read) else { return Ok(()) };
        let mut head = [0; FileHeader::LEN];
        let read =
            file.read_at(&mut head, 0).map_err(|error| StoreError::io("read", path, error))?;
        let what = match FileHeader::parse(head.get(..read).unwrap_or_default()) {
            Ok(found) if (found.number, found.seed) == (number, seed) => return Ok(()),
            Ok(_) => "the header is that of another container".to_owned(),
            Err(error) => format!("the header: {error}"),
        };
        self.found(path, Some(0), Harm::Speed, format!("{what}; the map says the same"));
        Ok(())
    }

    /// What is wrong with the record of a message, if anything.
    fn record(
        &self,
        path: &Path,
        (seed, text_len): (dbox_format::Seed, u64),
        entry: &map::Entry,
    ) -> Result<Result<(), String>, StoreError> {
        let file = match self.store.files.fs().open(path, Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Err("the container is missing".to_owned()));
            }
            Err(error) => return Err(StoreError::io("open", path, error)),
        };
        let place = (entry.offset, entry.offset.saturating_add(entry.record_len));
        if file.len().map_err(|error| StoreError::io("read", path, error))? < place.1 {
            return Ok(Err("the container ends in it".to_owned()));
        }
        let mut dictionary = 0;
        loop {
            let mut decoder = match self.store.packing.decoder(&self.store.files, dictionary, true)
            {
                Ok(decoder) => decoder,
                Err(ReadError::Store(error)) => return Ok(Err(error.to_string())),
                Err(ReadError::WouldBlock) => return Err(StoreError::Lost),
            };
            let found = match unpack(&*file, path, place, Unpacker::new(seed, &mut decoder))? {
                Ok(found) => found,
                // Its head was read: now it is known which one it takes.
                Err(Error::Dictionary { wanted, .. }) if dictionary == 0 => {
                    dictionary = wanted;
                    continue;
                }
                Err(error) => return Ok(Err(error.to_string())),
            };
            return Ok(if found.guid != entry.guid {
                Err("another message stands there".to_owned())
            } else if found.trailer.message_len != text_len {
                Err("it has another length than the map says".to_owned())
            } else {
                Ok(())
            });
        }
    }

    /// Whether the map counts the references that there are.
    fn compare(
        &mut self,
        account: &Arc<Account>,
        begun: u64,
        references: &References,
    ) -> Result<(), StoreError> {
        let state = account.lock()?;
        // While mail comes and goes the two can't be held against each other.
        if references.partial || state.position != begun {
            return Ok(());
        }
        let counted = state.map.iter().filter(|(_, entry)| entry.refs > 0);
        let counted: BTreeMap<u32, u32> = counted.map(|(id, entry)| (id.0, entry.refs)).collect();
        drop(state);
        let ids: BTreeSet<u32> = counted.keys().chain(references.counts.keys()).copied().collect();
        for id in ids {
            let count = |counts: &BTreeMap<u32, u32>| counts.get(&id).copied().unwrap_or(0);
            let (map, there) = (count(&counted), count(&references.counts));
            if map != there {
                let what = format!(
                    "map id {id}: the map counts {map} references, the mailboxes have {there}"
                );
                let harm = if there > map { Harm::Mail } else { Harm::None };
                self.found(&self.dir.join("map.log"), None, harm, what);
            }
        }
        Ok(())
    }

    fn caches(&mut self) -> Result<(), StoreError> {
        let dir = self.dir.join("cache");
        for name in names(self.store.files.fs(), &dir)? {
            self.derived(&dir.join(name))?;
        }
        Ok(())
    }

    /// Files that nothing names.
    fn leftovers(&mut self, account: &Arc<Account>) -> Result<(), StoreError> {
        let (guids, containers): (BTreeSet<String>, BTreeSet<u32>) = {
            let state = account.lock()?;
            let guids = state.list.iter().map(|entry| entry.guid.to_string()).collect();
            (guids, state.map.containers().map(|(number, _)| number).collect())
        };
        let mailboxes = self.dir.join("mailboxes");
        for name in names(self.store.files.fs(), &mailboxes)?
            .into_iter()
            .filter(|name| !guids.contains(name))
        {
            let what = "no mailbox of the list has it; it goes at the next checkpoint or start";
            self.found(&mailboxes.join(name), None, Harm::None, what.to_owned());
        }
        let storage = self.dir.join("storage");
        for dir in names(self.store.files.fs(), &storage)? {
            for name in names(self.store.files.fs(), &storage.join(&dir))? {
                let number = paths::parse_container(&format!("storage/{dir}/{name}"));
                if number.is_ok_and(|number| containers.contains(&number)) {
                    continue;
                }
                let what = "the map knows no message in it: one that is coming in, or what a crash has left";
                self.found(&storage.join(&dir).join(name), None, Harm::None, what.to_owned());
            }
        }
        self.unneeded_attachments(account)
    }

    /// Links that no message needs.
    fn unneeded_attachments(&mut self, account: &Arc<Account>) -> Result<(), StoreError> {
        let att = self.dir.join("att");
        for dir in names(self.store.files.fs(), &att)? {
            for name in names(self.store.files.fs(), &att.join(&dir))? {
                let hash = paths::parse_attachment_link(&format!("att/{dir}/{name}"));
                let needs =
                    |hash| account.lock().map(|state| state.attachments.holdings.needs(hash));
                let what = match &hash {
                    Ok(hash) if needs(hash)? > 0 => continue,
                    Ok(_) => "no message needs it: it goes once it was not needed for a while",
                    Err(_) => "it is no attachment, and nothing uses it",
                };
                self.found(&att.join(&dir).join(&name), None, Harm::None, what.to_owned());
            }
        }
        Ok(())
    }
}

/// Reads a record piece by piece, and takes it apart.
fn unpack(
    file: &dyn File,
    path: &Path,
    (mut at, end): (u64, u64),
    mut unpacker: Unpacker<'_>,
) -> Result<Result<Verified, Error>, StoreError> {
    let (mut piece, mut text) = (vec![0; PIECE], Vec::new());
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        let room = piece.get_mut(..len).unwrap_or_default();
        let read = file.read_at(room, at).map_err(|error| StoreError::io("read", path, error))?;
        if read == 0 {
            break;
        }
        text.clear();
        if let Err(error) = unpacker.push(room.get(..read).unwrap_or_default(), &mut text) {
            return Ok(Err(error));
        }
        at += read as u64;
    }
    Ok(unpacker.finish())
}

/// The first damage in a file that says itself what it is.
pub(crate) fn damage(bytes: &[u8]) -> Option<(u64, String)> {
    let mut found = None;
    let stopped = notes(bytes, None, &mut |note| {
        if note.sort == Sort::Damage {
            found = Some((note.at.unwrap_or(0), note.text.clone()));
            return Err(std::fmt::Error);
        }
        Ok(())
    });
    stopped.err().and(found)
}

fn position(position: index_format::snapshot::Position) -> LogPosition {
    super::account::log_position(position)
}

fn map_position(bytes: &[u8]) -> Result<LogPosition, String> {
    let snapshot = map::Snapshot::parse(bytes).map_err(|error| error.to_string())?;
    snapshot.load().map_err(|error| error.to_string())?;
    let map::LogPosition { file, offset } = snapshot.position();
    Ok(LogPosition { file, offset, transactions: snapshot.transactions() })
}
