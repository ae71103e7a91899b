//! Looks at all files of an account, and at whether they fit each other; says in words what is wrong, and writes nothing.
//!
//! A running server goes on meanwhile: a checkpoint, which replaces and removes files, waits for the mailbox that is
//! looked at; what is appended to a log is no damage, since it is known before reading how much must be there.

mod messages;
mod others;

use super::account::{Account, log_owner};
use super::change::LogName;
use super::error::StoreError;
use super::logfile::{LogPosition, missing};
use super::mailbox::{Mbox, directory};
use super::rebuild::messages;
use super::salvage::{self, LogPart};
use super::store::Store;
use dbox_format::map::{self, MapId};
use dbox_format::paths;
use index_format::list::{Entry, List};
use index_format::log::{Header, Kind};
use index_format::mailbox::Parts;
use index_format::snapshot::Snapshot;
use index_format::{Guid, mailbox};
use runtime_smol::fs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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

pub(crate) use others::damage;

/// Who is told.
pub(crate) type Tell<'a> = &'a mut dyn FnMut(Told);

/// Messages after which progress is told.
const STEP: u64 = 1024;

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
        let (covered, lost) = (Vec::new(), 0);
        Check { store: self, user, dir, mailbox: None, covered, lost, tell }.run(mailbox)
    }
}

struct Check<'a> {
    store: &'a Store,
    user: &'a str,
    /// Of the account.
    dir: PathBuf,
    /// The mailbox that is looked at.
    mailbox: Option<String>,
    /// What damage in its log's files covered, by file.
    covered: Vec<(u32, String)>,
    /// How many findings cost mail so far.
    lost: u64,
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
        self.lost += u64::from(harm == Harm::Mail);
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
            let missing = match expected - held {
                1 => "1 transaction is missing at the end".to_owned(),
                many => format!("{many} transactions are missing at the end"),
            };
            let (harm, then) = match newest.is_some_and(|newest| newest.transactions >= expected) {
                true => (Harm::Speed, "; a snapshot says what they did"),
                false => (Harm::Mail, ""),
            };
            self.found(&last.path, None, harm, missing + then);
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
            let covered =
                self.covered.iter().filter(|(file, _)| harm == Harm::Mail && *file == header.file);
            let covered: String = covered.map(|(_, what)| format!(" ({what})")).collect();
            let what = format!("{}; {then}{covered}", missing(&survey, end));
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
        let lost = salvage::salvage(&self.store.files, &self.dir, entry)?.lost;
        self.covered = lost.iter().map(|lost| (lost.file, salvage::covered(lost))).collect();
        let before = self.lost;
        self.log(live, LogName::Mailbox(entry.guid), log, newest)?;
        self.covered.clear();
        let told = self.lost > before;
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
                            "the mailbox list says {} and UIDNEXT {}, the mailbox {} and {}",
                            messages(u64::from(entry.counters.sums.messages)),
                            entry.counters.uidnext,
                            loaded.mailbox.len(),
                            loaded.mailbox.uidnext()
                        );
                        self.found(&self.dir.join("list.log"), None, Harm::Speed, what);
                    }
                    &mut loaded
                }
                Err(error) => return self.unreadable(error, told, references),
            },
        };
        if let Err(error) = mbox.need(&self.store.files, &self.dir, Parts::ALL) {
            return self.unreadable(error, told, references);
        }
        self.rows(&entry, &mbox.mailbox, &state.map, references);
        Ok(())
    }

    /// A mailbox whose rows can't be had; why may have been told already.
    fn unreadable(
        &mut self,
        error: StoreError,
        told: bool,
        references: &mut References,
    ) -> Result<(), StoreError> {
        let StoreError::Damaged { path, why } = error else { return Err(error) };
        references.partial = true;
        if !told {
            self.found(&path, None, Harm::Mail, why);
        }
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
