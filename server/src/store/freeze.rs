//! The files of an account as of one moment, while the account goes on: what a backup copies.
//!
//! Under the account's lock it is only noted how many transactions each log holds and where each container ends. Logs
//! and containers grow behind those places and nowhere else; so once all that was under way is in the files, they are
//! read up to there, at leisure.
//! Invariants:
//! - As long as somebody has a [`Frozen`], no snapshot of the account is written, no file of it removed, and no mailbox
//!   of it leaves memory: checkpoints go on, and put these things off.
//! - All that was acknowledged before [`Store::freeze`] is in it, and of each change all or nothing.

use super::account::{Account, log_owner};
use super::change::LogName;
use super::error::StoreError;
use super::logfile::{file_number, path_of};
use super::mailbox::directory;
use super::planted::{Planted, planted};
use super::store::Store;
use dbox_format::container::FILE_HEADER_LEN;
use dbox_format::paths;
use index_format::log::{Frames, Header, Kind};
use runtime_smol::fs::{self, Fs};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a file comes to have other bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Growth {
    /// Behind those there are, and only there. So many bytes at its front tell it from every other file.
    Behind(usize),
    /// All at once, by another file that takes its name. So many bytes at its front tell them apart: they hold checksums
    /// of the rest.
    Whole(usize),
    /// Never: its name says what they are.
    Never,
    /// Nobody knows.
    Unknown,
}

/// One file of an account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FrozenFile {
    /// Below the account's directory.
    pub(crate) path: String,
    /// How much of it is meant.
    pub(crate) len: u64,
    pub(crate) growth: Growth,
}

/// An account as of one moment.
pub(crate) struct Frozen<'a> {
    store: &'a Store,
    account: Arc<Account>,
    /// Its files, by path.
    pub(crate) files: Vec<FrozenFile>,
    pub(crate) messages: u64,
    pub(crate) mailboxes: u64,
    _pin: Pin<'a>,
}

/// Directories of accounts in which nothing is to be replaced or removed, with how many want that.
#[derive(Default)]
pub(crate) struct Pins(Mutex<BTreeMap<PathBuf, usize>>);

/// Held by those who want it.
struct Pin<'a> {
    pins: &'a Pins,
    dir: PathBuf,
}

impl Pins {
    /// The directories. While this is held, none comes.
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something in or below this directory is to stay as it is.
    pub(crate) fn cover(&self, path: &Path) -> bool {
        let pins = self.lock();
        !pins.is_empty() && path.ancestors().any(|dir| pins.contains_key(dir))
    }

    fn pin(&self, dir: &Path) -> Pin<'_> {
        *self.lock().entry(dir.to_owned()).or_default() += 1;
        Pin { pins: self, dir: dir.to_owned() }
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        let mut pins = self.pins.lock();
        if let Some(count) = pins.get_mut(&self.dir) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.dir);
            }
        }
    }
}

/// How often what is under way is waited for, and how long in between.
const TRIES: u32 = 6000;
const PAUSE: Duration = Duration::from_millis(5);
/// Bytes at the front of a snapshot that hold its header and the checksums of its sections.
const SNAPSHOT_FRONT: usize = 4096;

/// What memory says at the moment.
struct Moment {
    /// Logs that are open, with the transactions they hold or will hold.
    logs: BTreeMap<LogName, u64>,
    /// GUIDs of mailboxes, as their directories are called.
    mailboxes: BTreeSet<String>,
    /// Containers with their ends.
    containers: BTreeMap<u32, u64>,
    messages: u64,
}

impl Store {
    /// The account's files as they are now. Waits for what is under way to be in them.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when something went wrong meanwhile: trying again helps. I/O, damage, and a store that takes no
    /// changes and has some that are not in their files yet.
    pub(crate) fn freeze(&self, user: &str) -> Result<Frozen<'_>, StoreError> {
        let account = self.account(user)?;
        let dir = account.dir().to_owned();
        // A checkpoint under way may be about to write a snapshot.
        let keeping = self.keeping();
        let pin = self.pins.pin(&dir);
        drop(keeping);
        // A log that nobody has opened by the moment is as long then as it is now.
        let mut before = BTreeMap::new();
        walk(self.files.fs(), &dir.join("mailboxes"), "mailboxes", &mut before)?;
        // So that the list knows at once how many messages there are, where this is brought back.
        self.write_counters_of(&account)?;
        let moment = moment(&account)?;
        self.wait_for(&account, &moment)?;
        let mut after = BTreeMap::new();
        walk(self.files.fs(), &dir, "", &mut after)?;
        let files = Choice { store: self, account: &account, moment: &moment, before: &before }
            .files(&after)?;
        Ok(Frozen {
            store: self,
            files,
            messages: moment.messages,
            mailboxes: moment.mailboxes.len() as u64,
            _pin: pin,
            account,
        })
    }

    /// Until all of the moment is in the account's files; the thread that commits may or may not be there.
    fn wait_for(&self, account: &Account, moment: &Moment) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            if planted(Planted::FrozenAtOnce) {
                return Ok(());
            }
            if account.is_dead() {
                return Err(StoreError::Lost);
            }
            let there = {
                let mut logs = account.logs();
                moment.logs.iter().all(|(name, count)| {
                    // That of a mailbox which was deleted meanwhile may never get its last ones.
                    logs.get(*name).map_or(0, |log| log.transactions()) >= *count
                })
            };
            if there {
                return Ok(());
            }
            self.writable_by(account)?;
            self.flush();
            self.sync_deferred()?;
            std::thread::sleep(PAUSE);
        }
        Err(StoreError::Lost)
    }

    /// The files at the top of the store that are no account's and not made anew by each start, by their paths.
    pub(crate) fn shared_files(&self) -> Result<Vec<FrozenFile>, StoreError> {
        const OTHERS: [&str; 8] = [
            "users",
            "journal",
            "lock",
            "control",
            "spool",
            "attachments",
            "restoring",
            "replaced",
        ];
        let mut found = BTreeMap::new();
        for entry in self
            .files
            .fs()
            .read_dir(self.root())
            .map_err(|error| StoreError::io("list", self.root(), error))?
        {
            let Some(name) = entry.name.to_str().filter(|name| !OTHERS.contains(name)) else {
                continue;
            };
            look(self.files.fs(), &self.root().join(name), name, entry.is_dir, &mut found)?;
        }
        let file = |(path, len): (String, u64)| {
            let growth = match path.starts_with("dictionaries/") {
                true => Growth::Whole(SNAPSHOT_FRONT),
                false => Growth::Unknown,
            };
            FrozenFile { path, len, growth }
        };
        Ok(found.into_iter().map(file).collect())
    }
}

impl Frozen<'_> {
    /// Where its files are.
    pub(crate) fn dir(&self) -> &Path {
        self.account.dir()
    }

    /// Whether what was read of the files since is what they held: not so when the account was given up meanwhile, or a
    /// sync failed, by which the system may have forgotten what it had yet to write.
    pub(crate) fn holds(&self) -> bool {
        !self.account.is_dead() && !self.store.files.is_suspect()
    }
}

fn moment(account: &Account) -> Result<Moment, StoreError> {
    let state = account.lock()?;
    let mut logs = BTreeMap::from([
        (LogName::List, state.list.transactions()),
        (LogName::Map, state.map.transactions()),
    ]);
    for (guid, log) in account.logs().mailboxes.iter() {
        logs.insert(LogName::Mailbox(*guid), log.transactions());
    }
    for (guid, mbox) in state.mailboxes.iter() {
        logs.insert(LogName::Mailbox(*guid), mbox.mailbox.transactions());
    }
    logs.retain(|name, _| match name {
        LogName::Mailbox(guid) => state.list.by_guid(*guid).is_some(),
        LogName::List | LogName::Map => true,
    });
    Ok(Moment {
        logs,
        mailboxes: state.list.iter().map(|entry| entry.guid.to_string()).collect(),
        containers: state.map.containers().map(|(number, is)| (number, is.end)).collect(),
        messages: state.map.len() as u64,
    })
}

/// Which files belong to the moment, and how much of them.
struct Choice<'a> {
    store: &'a Store,
    account: &'a Account,
    moment: &'a Moment,
    /// Files below `mailboxes` before it.
    before: &'a BTreeMap<String, u64>,
}

impl Choice<'_> {
    fn files(&self, after: &BTreeMap<String, u64>) -> Result<Vec<FrozenFile>, StoreError> {
        let mut lengths = BTreeMap::new();
        for (name, count) in &self.moment.logs {
            self.log(*name, *count, after, &mut lengths)?;
        }
        Ok(after
            .iter()
            .filter_map(|(path, len)| {
                let (len, growth) = self.one(path, *len, &lengths)?;
                Some(FrozenFile { path: path.clone(), len, growth })
            })
            .collect())
    }

    /// How much of a file, and how it grows; `None` if it is not of the moment.
    fn one(
        &self,
        path: &str,
        len: u64,
        lengths: &BTreeMap<String, Option<u64>>,
    ) -> Option<(u64, Growth)> {
        let (top, rest) = path.split_once('/').unwrap_or((path, ""));
        match top {
            // Made anew of the messages.
            "cache" => None,
            "storage" => match paths::parse_container(path) {
                Ok(number) => {
                    let end = *self.moment.containers.get(&number)?;
                    Some((end.min(len), Growth::Behind(FILE_HEADER_LEN as usize)))
                }
                Err(_) => Some((len, Growth::Unknown)),
            },
            "att" if paths::parse_attachment_link(path).is_ok() => Some((len, Growth::Never)),
            "mailboxes" => {
                let (guid, name) = rest.split_once('/').unwrap_or((rest, ""));
                if !self.moment.mailboxes.contains(guid) {
                    return None;
                }
                self.index_or_log(path, name, "log", "index", len, lengths)
            }
            _ if rest.is_empty() => {
                let log = if path.starts_with("list") { "list.log" } else { "map.log" };
                let index = if path.starts_with("list") { "list.index" } else { "map.index" };
                self.index_or_log(path, path, log, index, len, lengths)
            }
            _ => Some((len, Growth::Unknown)),
        }
    }

    fn index_or_log(
        &self,
        path: &str,
        name: &str,
        log: &str,
        index: &str,
        len: u64,
        lengths: &BTreeMap<String, Option<u64>>,
    ) -> Option<(u64, Growth)> {
        if file_number(name, log).is_some() {
            let len = match lengths.get(path) {
                Some(len) => (*len)?,
                // Not open at the moment.
                None => *self.before.get(path)?,
            };
            return Some((len, Growth::Behind(Header::LEN)));
        }
        match name.strip_prefix(index) {
            Some("" | ".prev" | ".delta") => Some((len, Growth::Whole(SNAPSHOT_FRONT))),
            // Made anew of the messages.
            _ if name == "threads" => None,
            _ => Some((len, Growth::Unknown)),
        }
    }

    /// How long the files of an open log are at the moment; `None` for those that came later.
    fn log(
        &self,
        name: LogName,
        count: u64,
        after: &BTreeMap<String, u64>,
        lengths: &mut BTreeMap<String, Option<u64>>,
    ) -> Result<(), StoreError> {
        let account = self.account;
        let owner = log_owner(account.store(), account.name());
        let (dir, base, kind, owner) = match name {
            LogName::List => (account.dir().to_owned(), "list.log", Kind::List, owner),
            LogName::Map => (account.dir().to_owned(), "map.log", Kind::Map, owner),
            LogName::Mailbox(guid) => (directory(account.dir(), guid), "log", Kind::Mailbox, guid),
        };
        let below = |path: &Path| -> Option<String> {
            Some(path.strip_prefix(account.dir()).ok()?.to_str()?.to_owned())
        };
        let Some(folder) = below(&dir) else { return Ok(()) };
        let prefix = if folder.is_empty() { base.to_owned() } else { format!("{folder}/{base}") };
        let mut numbers: Vec<u32> = after
            .range(prefix.clone()..)
            .take_while(|(path, _)| path.starts_with(&prefix))
            .filter_map(|(path, _)| file_number(path.rsplit('/').next()?, base))
            .collect();
        numbers.sort_unstable();
        // The last file that has anything of the moment, with where that ends.
        let mut last = None;
        for &number in &numbers {
            let path = path_of(&dir, base, number);
            let bytes = fs::read_all(self.store.files.fs(), &path)
                .map_err(|error| StoreError::io("read", &path, error))?;
            match Header::parse(&bytes) {
                Ok(header)
                    if (header.file, header.kind, header.owner) == (number, kind, owner)
                        && header.first_transaction <= count =>
                {
                    let wanted = usize::try_from(count - header.first_transaction).ok();
                    let start = Header::LEN as u64;
                    let frames = Frames::new(&bytes, start, header.seed);
                    let ends: Vec<u64> =
                        frames.take(wanted.unwrap_or(usize::MAX)).map(|frame| frame.end).collect();
                    let missing = wanted != Some(ends.len());
                    last = Some((number, ends.last().copied().unwrap_or(start), missing));
                }
                Ok(_) | Err(_) => {}
            }
        }
        if count > 0 && last.is_none_or(|(.., missing)| missing) {
            let why = format!("it has not all of the {count} transactions there should be");
            return Err(StoreError::damaged(&dir.join(base), why));
        }
        for number in numbers {
            let path = path_of(&dir, base, number);
            let Some(path) = below(&path) else { continue };
            let whole = after.get(&path).copied();
            let len = match last {
                Some((last, ..)) if number < last => whole,
                Some((last, end, _)) if number == last => Some(end),
                Some(_) | None => None,
            };
            lengths.insert(path, len);
        }
        Ok(())
    }
}

/// Lengths of all files below a directory, but for what a writer has not given its name yet.
fn walk(
    fs: &dyn Fs,
    dir: &Path,
    below: &str,
    found: &mut BTreeMap<String, u64>,
) -> Result<(), StoreError> {
    let entries = match fs.read_dir(dir) {
        Ok(entries) => entries,
        // There is none, or it went meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io("list", dir, error)),
    };
    for entry in entries {
        let Some(name) = entry.name.to_str() else { continue };
        let path = if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
        look(fs, &dir.join(name), &path, entry.is_dir, found)?;
    }
    Ok(())
}

fn look(
    fs: &dyn Fs,
    at: &Path,
    path: &str,
    is_dir: bool,
    found: &mut BTreeMap<String, u64>,
) -> Result<(), StoreError> {
    if at.file_name().is_some_and(fs::is_temporary) || path.ends_with(".tmp") {
        return Ok(());
    }
    if is_dir {
        return walk(fs, at, path, found);
    }
    match fs.metadata(at) {
        Ok(Some(meta)) => {
            found.insert(path.to_owned(), meta.len);
            Ok(())
        }
        Ok(None) => Ok(()),
        Err(error) => Err(StoreError::io("look at", at, error)),
    }
}
