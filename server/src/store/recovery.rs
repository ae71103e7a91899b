//! What a start does with what an unclean stop left: the journal is replayed into the files it is about.
//!
//! Replay works on logs and containers alone, not on their meaning, and is repeatable: a log takes only transactions
//! above those it has, a container gets the same bytes at the same place. The journal goes only when all of it is
//! durable elsewhere and the next one exists.

use super::account::{Account, log_owner};
use super::apply;
use super::change::LogName;
use super::checkpoint;
use super::error::StoreError;
use super::files::Files;
use super::journal;
use super::logfile::{Begin, LogFile, State};
use super::planted::{Planted, planted};
use super::rebuild;
use super::store::{journal_dir, spool_dir};
use dbox_format::paths;
use index_format::Guid;
use index_format::journal::{Header, Part, Record, Target, UNSYNCED};
use index_format::log::Kind;
use runtime_smol::fs::{self, Open, read_exact_at};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Mailboxes by account.
pub(crate) type Touched = BTreeMap<String, BTreeSet<Guid>>;

/// What was found and done.
pub(crate) struct Recovered {
    /// The store's GUID, if it has one.
    pub(crate) store: Option<Guid>,
    /// The epoch from now on.
    pub(crate) epoch: u32,
    /// Number of the next segment.
    pub(crate) next_segment: u64,
    /// Mailboxes whose logs the journal reached, by account: their counters in the list may be old.
    pub(crate) mailboxes: Touched,
    /// The old journal.
    files: Vec<PathBuf>,
}

/// Brings the files of the store at `root` up to its journal.
///
/// The files of mailboxes that were deleted after `past` (seconds since 1970) stay: their mail may be brought back.
pub(crate) fn recover(
    files: &Files,
    root: &Path,
    seed: &dyn Fn() -> u64,
    past: i64,
) -> Result<Recovered, StoreError> {
    let fs = files.fs();
    let spool = spool_dir(root);
    checkpoint::remove(fs, &spool).map_err(|error| StoreError::io("clear", &spool, error))?;
    let found = journal::find(fs, &journal_dir(root))?;
    let store = found.segments.last().map(|(header, ..)| header.store);
    let mut replay = Replay {
        files,
        root,
        store: store.unwrap_or_default(),
        seed,
        logs: BTreeMap::new(),
        records: 0,
        rewrite: false,
    };
    let mut synced = false;
    for segment in &found.segments {
        journal::read_segment(fs, segment, |record| {
            if !synced {
                // What is read from now on is what the disk has, not what it may yet lose.
                fs.sync_all(root).map_err(|error| StoreError::io("sync", root, error))?;
                synced = true;
            }
            replay.record(record)
        })?;
    }
    let records = replay.records;
    let accounts: BTreeSet<Vec<u8>> =
        replay.logs.keys().map(|(account, _)| account.clone()).collect();
    let mailboxes = replay.touched();
    let unclean = records > 0;
    if unclean {
        tracing::info!(
            records,
            accounts = accounts.len(),
            "the journal of an unclean stop was replayed"
        );
        fs.sync_all(root).map_err(|error| StoreError::io("sync", root, error))?;
        for account in &accounts {
            sweep(files, root, store.unwrap_or_default(), account, past)?;
        }
    }
    // What was told before it was synced may have left no trace, mod-sequences included.
    let forgets = |header: &Header| header.flags & UNSYNCED != 0 && !planted(Planted::SameEpoch);
    let epoch = found
        .segments
        .last()
        .map_or(1, |(header, ..)| header.epoch + u32::from(unclean || forgets(header)));
    Ok(Recovered { store, epoch, next_segment: found.highest + 1, mailboxes, files: found.files })
}

/// The same for a store that is open, after a sync failed: `accounts` are all that were written, dead now, with their
/// logs rewound to what is durable. Nothing that can merely be read is believed.
pub(crate) fn recover_again(
    files: &Files,
    root: &Path,
    seed: &dyn Fn() -> u64,
    accounts: &[Arc<Account>],
) -> Result<Touched, StoreError> {
    let found = journal::find(files.fs(), &journal_dir(root))?;
    let store = found.segments.last().map(|(header, ..)| header.store).unwrap_or_default();
    let rewrite = !planted(Planted::BelieveCache);
    let mut replay =
        Replay { files, root, store, seed, logs: BTreeMap::new(), records: 0, rewrite };
    for account in accounts {
        let mut logs = account.logs();
        for name in logs.names() {
            let Some(log) = logs.get(name) else { continue };
            replay.logs.insert((account.name().as_bytes().to_vec(), name), Some(log.take()));
        }
    }
    for segment in &found.segments {
        journal::read_segment(files.fs(), segment, |record| replay.record(record))?;
    }
    files.fs().sync_all(root).map_err(|error| StoreError::io("sync", root, error))?;
    Ok(replay.touched())
}

impl Recovered {
    /// Takes the old journal away; the new one exists.
    pub(crate) fn finish(self, files: &Files) -> Result<(), StoreError> {
        for path in &self.files {
            files.fs().unlink(path).map_err(|error| StoreError::io("remove", path, error))?;
        }
        Ok(())
    }
}

struct Replay<'a> {
    files: &'a Files,
    root: &'a Path,
    store: Guid,
    seed: &'a dyn Fn() -> u64,
    /// Logs opened so far; `None` for those of mailboxes that are gone.
    logs: BTreeMap<(Vec<u8>, LogName), Option<LogFile>>,
    records: u64,
    /// Containers are written whatever can be read there.
    rewrite: bool,
}

impl Replay<'_> {
    fn touched(&self) -> Touched {
        let mut touched = Touched::new();
        for (account, name) in self.logs.keys() {
            if let (LogName::Mailbox(guid), Ok(account)) = (name, str::from_utf8(account)) {
                touched.entry(account.to_owned()).or_default().insert(*guid);
            }
        }
        touched
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), StoreError> {
        self.records += 1;
        for part in &record.parts {
            self.part(part, record)?;
        }
        Ok(())
    }

    fn part(&mut self, part: &Part<'_>, record: &Record<'_>) -> Result<(), StoreError> {
        let dir = self.account_dir(part.account)?;
        match part.target {
            Target::Container { file, offset, head, body, tail } => {
                let body = body
                    .and_then(|body| record.bodies.get(body as usize))
                    .map_or(&[][..], |body| body);
                self.container(&dir.join(paths::container(file)), offset, [head, body, tail])
            }
            Target::Map { transaction, payload } => {
                self.log(part.account, &dir, LogName::Map, transaction, payload)
            }
            Target::List { transaction, payload } => {
                self.log(part.account, &dir, LogName::List, transaction, payload)
            }
            Target::Mailbox { guid, transaction, payload } => {
                self.log(part.account, &dir, LogName::Mailbox(guid), transaction, payload)
            }
        }
    }

    fn account_dir(&self, account: &[u8]) -> Result<PathBuf, StoreError> {
        let damaged = |why: &str| StoreError::damaged(&journal_dir(self.root), why);
        let name = str::from_utf8(account)
            .map_err(|_| damaged("a record names an account that is not UTF-8"))?;
        let path = paths::account(name)
            .map_err(|_| damaged("a record names an account that has no directory"))?;
        Ok(self.root.join(path))
    }

    /// Writes the bytes unless they are there.
    fn container(&self, path: &Path, offset: u64, pieces: [&[u8]; 3]) -> Result<(), StoreError> {
        let error = |error| StoreError::io("write", path, error);
        let fs = self.files.fs();
        fs.create_dir_all(fs::parent(path)).map_err(error)?;
        let file = fs.open(path, Open::Write).map_err(error)?;
        let wanted = pieces.concat();
        let mut found = vec![0; wanted.len()];
        if !self.rewrite && read_exact_at(&*file, &mut found, offset).is_ok() && found == wanted {
            return Ok(());
        }
        file.write_at(&[IoSlice::new(&wanted)], offset).map_err(error)
    }

    fn log(
        &mut self,
        account: &[u8],
        dir: &Path,
        name: LogName,
        transaction: u64,
        payload: &[u8],
    ) -> Result<(), StoreError> {
        let owner = log_owner(self.store, str::from_utf8(account).unwrap_or_default());
        let log = match self.logs.entry((account.to_vec(), name)) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(open_end(self.files, dir, owner, name, transaction)?)
            }
        };
        let Some(log) = log else { return Ok(()) };
        let known = log.transactions();
        if planted(Planted::ReplayTwice) && transaction < known {
            return log.append(self.files, &[payload], State::default(), (self.seed)());
        }
        if planted(Planted::ReplayStopsEarly) && transaction < known {
            *self.logs.entry((account.to_vec(), name)).or_default() = None;
            return Ok(());
        }
        match apply::append(
            self.files,
            log,
            &[(transaction, payload, State::default())],
            (self.seed)(),
        ) {
            Err(error @ StoreError::Damaged { .. }) => {
                // One log that lost something must not keep all accounts from being served.
                tracing::error!(%error, "what the journal holds does not follow from this log; it is left as it is");
                self.logs.insert((account.to_vec(), name), None);
                Ok(())
            }
            result => result,
        }
    }
}

/// Opens a log to go on at its end.
fn open_end(
    files: &Files,
    dir: &Path,
    owner: Guid,
    name: LogName,
    transaction: u64,
) -> Result<Option<LogFile>, StoreError> {
    let (dir, base, kind) = match name {
        LogName::List => (dir.to_owned(), "list.log", (Kind::List, owner)),
        LogName::Map => (dir.to_owned(), "map.log", (Kind::Map, owner)),
        LogName::Mailbox(guid) => {
            (super::mailbox::directory(dir, guid), "log", (Kind::Mailbox, guid))
        }
    };
    let log = LogFile::open(files, dir.clone(), base, kind, Begin::NewestFile, |_| {
        Ok::<_, StoreError>(())
    })?;
    let gone = matches!(name, LogName::Mailbox(_)) && log.end().is_none() && transaction > 0;
    Ok((!gone).then_some(log))
}

/// Removes what a crash has left of an account: the directories of mailboxes that its list does not have (deleted at `past`
/// or before, but not yet removed), containers that its map does not have (of messages that never were saved), temporary files.
fn sweep(
    files: &Files,
    root: &Path,
    store: Guid,
    account: &[u8],
    past: i64,
) -> Result<(), StoreError> {
    let Ok(name) = str::from_utf8(account) else { return Ok(()) };
    files.forget_below(root);
    let account = match Account::load(files, root, store, name) {
        Ok((account, _)) => account,
        // It is not served until it is repaired; the others are.
        Err(error @ StoreError::Damaged { .. }) => {
            tracing::error!(%error, "an account can't be read; the others are served");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let fs = files.fs();
    let state = account.lock()?;
    let known: BTreeSet<String> = state.list.iter().map(|entry| entry.guid.to_string()).collect();
    let is_temporary = |name: &str| fs::is_temporary(OsStr::new(name)) || name.ends_with(".tmp");
    rebuild::sweep_unfinished(files, account.dir())?;
    sweep_dir(fs, account.dir(), is_temporary)?;
    sweep_dir(fs, &account.dir().join("cache"), is_temporary)?;
    let mailboxes = account.dir().join("mailboxes");
    let deleted = state.list.tombstones().iter();
    let deleted = deleted.filter(|gone| gone.renamed_to.is_none() && gone.time > past);
    let deleted: BTreeSet<String> = deleted.map(|gone| gone.guid.to_string()).collect();
    sweep_dir(fs, &mailboxes, |name| !known.contains(name) && !deleted.contains(name))?;
    for name in &known {
        sweep_dir(fs, &mailboxes.join(name), is_temporary)?;
    }
    let has = |path: &str| {
        paths::parse_container(path).map_or(true, |number| state.map.container(number).is_some())
    };
    let storage = account.dir().join("storage");
    for dir in names(fs, &storage)? {
        let orphan = |name: &str| is_temporary(name) || !has(&format!("storage/{dir}/{name}"));
        sweep_dir(fs, &storage.join(&dir), orphan)?;
    }
    Ok(())
}

/// The names in a directory, if it is there.
pub(crate) fn names(fs: &dyn fs::Fs, dir: &Path) -> Result<Vec<String>, StoreError> {
    let error = |error| StoreError::io("list", dir, error);
    if fs.metadata(dir).map_err(error)?.is_none() {
        return Ok(Vec::new());
    }
    let entries = fs.read_dir(dir).map_err(error)?;
    Ok(entries.into_iter().filter_map(|entry| entry.name.into_string().ok()).collect())
}

/// Removes what is `unwanted` in a directory, if it is there.
pub(super) fn sweep_dir(
    fs: &dyn fs::Fs,
    dir: &Path,
    unwanted: impl Fn(&str) -> bool,
) -> Result<(), StoreError> {
    for name in names(fs, dir)?.iter().filter(|name| unwanted(name)) {
        let path = dir.join(name);
        checkpoint::remove(fs, &path).map_err(|error| StoreError::io("clear", &path, error))?;
    }
    Ok(())
}
