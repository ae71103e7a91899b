//! One account: its mailbox list, its map and the mailboxes in use, under one lock.
//!
//! Invariants:
//! - The state in memory is the *assigned* one: all that is queued is in it, durable or not. Nobody is told of it
//!   before the position it carries is durable.
//! - Locks are taken in this order: `state` of one or more accounts (ascending by name), `logs`, `pending`; none is
//!   held over a sync or an await.
//! - An account whose change was lost is dead: its state is never used again, and the next log-in loads it anew.

use super::attachments::Attachments;
use super::error::StoreError;
use super::files::Files;
use super::logfile::{Begin, Item, LogFile, LogPosition};
use super::mailbox::Mbox;
use super::rebuild;
use crate::signal::{self, Signal};
use dbox_format::container::{Compression, FILE_HEADER_LEN};
use dbox_format::map::{self, Map};
use dbox_format::{Seed, paths};
use index_format::list::{self, List};
use index_format::log::Kind;
use index_format::mailbox::Parts;
use index_format::{Few, Guid, snapshot};
use runtime_smol::fs;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Where an account's files are: for those who read them without the account's lock.
#[derive(Debug)]
pub(crate) struct Home {
    /// Another one each time the account is loaded.
    pub(crate) id: u64,
    pub(crate) dir: PathBuf,
    /// Whose its logs and cache files say they are.
    pub(crate) owner: Guid,
}

/// One account of the store.
pub struct Account {
    name: String,
    home: Arc<Home>,
    store: Guid,
    state: Mutex<State>,
    logs: Mutex<Logs>,
    pending: Mutex<HashMap<u32, Pending>>,
    dead: AtomicBool,
    /// The sessions that are told when it is.
    sessions: Mutex<Vec<(u64, Arc<Signal>)>>,
    /// Why its files can't be written: what is durable of it waits, and no changes are taken.
    stuck: Mutex<Option<StoreError>>,
    /// Somebody has asked for it lately: it is not to leave memory yet.
    used: AtomicBool,
    /// Changes queued and not yet written to the account's files.
    unapplied: AtomicU64,
    /// Directories of containers that are durable themselves, by the low bytes of the containers' numbers.
    durable_dirs: Mutex<BTreeSet<u8>>,
}

/// What the account's lock guards.
pub(crate) struct State {
    pub(crate) list: List,
    pub(crate) map: Map,
    pub(crate) mailboxes: Few<Guid, Box<Mbox>>,
    /// The container that small messages go to.
    pub(crate) container: Option<Container>,
    /// The last change of the list.
    pub(crate) list_position: u64,
    /// The last change of anything here.
    pub(crate) position: u64,
    /// Mailboxes whose counters or recent floor the list's log does not know yet.
    pub(crate) dirty: BTreeSet<Guid>,
    /// Numbers of cache files whose messages have lost references since they were swept; `None`: any may have.
    pub(crate) cache_sweep: Option<BTreeSet<u32>>,
    /// Messages may have lost their last reference since compaction last looked.
    pub(crate) garbage: bool,
    /// When the next of those that can still be brought back can't be any more: seconds since 1970.
    pub(crate) garbage_from: Option<i64>,
    /// Deleted mailboxes whose files may be there still, and when they were deleted; `None` until somebody has looked.
    pub(crate) deleted: Option<BTreeMap<Guid, i64>>,
    /// Containers with a damaged message, as far as compaction has met them.
    pub(crate) damaged_containers: BTreeSet<u32>,
    pub(crate) readers: Readers,
    pub(crate) attachments: Attachments,
}

/// Who knows where messages are. When some move, what is there now goes only after all who found them before.
#[derive(Default)]
pub(crate) struct Readers {
    now: Arc<()>,
    before: Vec<Weak<()>>,
}

impl Readers {
    /// To be held as long as a place is remembered.
    pub(crate) fn hold(&self) -> Arc<()> {
        self.now.clone()
    }

    /// Who may remember places up to now.
    pub(crate) fn turn(&mut self) -> Vec<Weak<()>> {
        self.before.push(Arc::downgrade(&std::mem::take(&mut self.now)));
        self.before.retain(|readers| readers.strong_count() > 0);
        self.before.clone()
    }
}

/// The container that is appended to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container {
    pub(crate) number: u32,
    pub(crate) seed: Seed,
    pub(crate) end: u64,
}

/// The account's logs on disk; only the commit thread and the checkpoint write them.
pub(crate) struct Logs {
    pub(crate) list: LogFile,
    pub(crate) map: LogFile,
    pub(crate) mailboxes: Few<Guid, Box<LogFile>>,
}

/// A message whose container has not been written yet.
#[derive(Clone)]
pub(crate) struct Pending {
    /// The record's head; the text begins at `start`, as it is stored.
    pub(crate) head: Arc<[u8]>,
    pub(crate) start: usize,
    /// The rest of it.
    pub(crate) body: Arc<[u8]>,
    pub(crate) compression: Compression,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Account {
    /// Loads the account `name`; the flag says whether there was anything to load.
    pub(crate) fn load(
        files: &Files,
        root: &Path,
        store: Guid,
        name: &str,
    ) -> Result<(Self, bool), StoreError> {
        let path = paths::account(name)
            .map_err(|_| StoreError::Cannot("that account name can't be a directory"))?;
        let dir = root.join(path);
        rebuild::finish(files, &dir)?;
        let owner = log_owner(store, name);
        let (list, list_log) = load_list(files, &dir, owner)?;
        let (map, map_log) = load_map(files, &dir, owner)?;
        let known = list.transactions() > 0;
        check_both(&dir, &list, &map)?;
        let container = map
            .containers()
            .next_back()
            // One that was opened and has no record may be the remains of a large message that was never saved.
            .filter(|(_, container)| !container.sealed && container.end > FILE_HEADER_LEN)
            .map(|(number, container)| Container {
                number,
                seed: container.seed,
                end: container.end,
            });
        let attachments = Attachments::of(&map)
            .map_err(|error| StoreError::damaged(&dir.join("map.log"), error))?;
        let state = State {
            list,
            map,
            mailboxes: Few::new(),
            container,
            list_position: 0,
            position: 0,
            dirty: BTreeSet::new(),
            cache_sweep: None,
            garbage: true,
            garbage_from: None,
            deleted: None,
            damaged_containers: BTreeSet::new(),
            readers: Readers::default(),
            attachments,
        };
        let logs = Logs { list: list_log, map: map_log, mailboxes: Few::new() };
        static HOMES: AtomicU64 = AtomicU64::new(1);
        let id = HOMES.fetch_add(1, Ordering::Relaxed);
        let account = Self {
            name: name.to_owned(),
            home: Arc::new(Home { id, dir, owner }),
            store,
            state: Mutex::new(state),
            logs: Mutex::new(logs),
            pending: Mutex::default(),
            dead: AtomicBool::new(false),
            sessions: Mutex::default(),
            stuck: Mutex::default(),
            used: AtomicBool::new(true),
            unapplied: AtomicU64::new(0),
            durable_dirs: Mutex::default(),
        };
        Ok((account, known))
    }

    /// Its name, as accounts are named after aliases are resolved.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.home.dir
    }

    /// Where its files are.
    pub(crate) fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// The store it belongs to.
    pub(crate) fn store(&self) -> Guid {
        self.store
    }

    /// The path of a container.
    pub(crate) fn container_path(&self, number: u32) -> PathBuf {
        self.home.container_path(number)
    }

    /// Directories of containers whose own entries were synced since the account was loaded, and those above them.
    pub(super) fn durable_dirs(&self) -> MutexGuard<'_, BTreeSet<u8>> {
        self.durable_dirs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the account's lock.
    ///
    /// # Errors
    /// [`StoreError::Lost`] when the account is dead.
    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state.lock().unwrap_or_else(|poisoned| {
            // Whoever panicked may have left the state between two changes.
            self.kill();
            poisoned.into_inner()
        });
        #[cfg(test)]
        super::breath::locked();
        if self.is_dead() { Err(StoreError::Lost) } else { Ok(state) }
    }

    /// Whether somebody has its lock.
    #[cfg(test)]
    pub(crate) fn is_locked(&self) -> bool {
        self.state.try_lock().is_err()
    }

    pub(crate) fn logs(&self) -> MutexGuard<'_, Logs> {
        // Logs know on disk where they end; a panic between two of their changes leaves one to be continued in its
        // next file.
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages that are not in their containers yet.
    pub(crate) fn pending(&self) -> MutexGuard<'_, HashMap<u32, Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state in memory is not to be used any more: sessions are told ([`signal::GIVEN_UP`]).
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::Release);
        for (_, signal) in self.sessions().iter() {
            signal.raise(signal::GIVEN_UP);
        }
    }

    /// A session with this number has `signal` raised when the account is given up, now if it is already.
    pub(crate) fn enter(&self, session: u64, signal: &Arc<Signal>) {
        let mut sessions = self.sessions();
        // Most accounts have one.
        let first = sessions.is_empty();
        sessions.reserve_exact(usize::from(first));
        sessions.push((session, signal.clone()));
        // Looked at under the lock that `kill` takes behind it.
        if self.is_dead() {
            signal.raise(signal::GIVEN_UP);
        }
    }

    /// That session has ended.
    pub(crate) fn leave(&self, session: u64) {
        let mut sessions = self.sessions();
        sessions.retain(|(number, _)| *number != session);
        if sessions.is_empty() {
            *sessions = Vec::new();
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<(u64, Arc<Signal>)>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the state in memory was given up.
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Its files can't be written, or can again; what was known of it before.
    pub(crate) fn set_stuck(&self, why: Option<StoreError>) -> Option<StoreError> {
        std::mem::replace(&mut self.stuck.lock().unwrap_or_else(PoisonError::into_inner), why)
    }

    /// Why its files can't be written, if they can't.
    pub(crate) fn stuck(&self) -> Option<StoreError> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Somebody asks for it.
    pub(crate) fn note_used(&self) {
        self.used.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked for it since this was last asked.
    pub(crate) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Counts a change that was queued.
    pub(crate) fn queued(&self) {
        self.unapplied.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a change that was applied, or given up.
    pub(crate) fn settled(&self) {
        self.unapplied.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether all that was queued is in the account's files.
    pub(crate) fn is_settled(&self) -> bool {
        self.unapplied.load(Ordering::Acquire) == 0
    }

    /// The mailbox with this GUID, with all that is known of its messages, loaded if need be.
    pub(crate) fn mailbox<'a>(
        &self,
        files: &Files,
        state: &'a mut State,
        guid: Guid,
    ) -> Result<&'a mut Mbox, StoreError> {
        self.mailbox_with(files, state, guid, Parts::ALL)
    }

    /// The mailbox with this GUID, with at least these parts.
    pub(crate) fn mailbox_with<'a>(
        &self,
        files: &Files,
        state: &'a mut State,
        guid: Guid,
        parts: Parts,
    ) -> Result<&'a mut Mbox, StoreError> {
        if !state.mailboxes.contains_key(&guid) {
            let entry = state.list.by_guid(guid).ok_or(StoreError::NoMailbox)?;
            let (mailbox, log) = Mbox::load(files, &self.home.dir, entry)?;
            self.logs().mailboxes.insert(guid, Box::new(log));
            state.mailboxes.insert(guid, Box::new(mailbox));
        }
        let mbox = state.mailboxes.get_mut(&guid).ok_or(StoreError::NoMailbox)?;
        mbox.used = true;
        self.need(files, mbox, parts)?;
        Ok(mbox)
    }

    /// Loads those of `parts` that are missing of a mailbox.
    pub(crate) fn need(
        &self,
        files: &Files,
        mbox: &mut Mbox,
        parts: Parts,
    ) -> Result<(), StoreError> {
        if mbox.need(files, &self.home.dir, parts)?
            && let Some(log) = self.logs().mailboxes.get_mut(&mbox.guid)
        {
            log.note_damaged();
        }
        Ok(())
    }
}

impl Home {
    /// The path of a container.
    pub(crate) fn container_path(&self, number: u32) -> PathBuf {
        self.dir.join(paths::container(number))
    }
}

/// Reads `name` and, if that is missing or does not check out, `name.prev`; whether there was one that did not.
pub(crate) fn load_generation<T>(
    files: &Files,
    dir: &Path,
    name: &str,
    parse: impl Fn(&[u8]) -> Result<T, String>,
) -> Result<(Option<T>, bool), StoreError> {
    let mut damaged = false;
    for name in [name.to_owned(), format!("{name}.prev")] {
        let path = dir.join(name);
        match fs::read_all(files.fs(), &path) {
            Ok(bytes) => match parse(&bytes) {
                Ok(state) => return Ok((Some(state), damaged)),
                Err(why) if files.is_news(&path, &why) => {
                    damaged = true;
                    tracing::error!(file = %path.display(), why, "a snapshot is damaged; the one before it and the log serve")
                }
                Err(_) => damaged = true,
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::io("read", &path, error)),
        }
    }
    Ok((None, damaged))
}

pub(crate) fn load_list(
    files: &Files,
    dir: &Path,
    owner: Guid,
) -> Result<(List, LogFile), StoreError> {
    let parse = |bytes: &[u8]| List::parse(bytes).map_err(|error| error.to_string());
    let (found, damaged) = load_generation(files, dir, "list.index", parse)?;
    let (mut list, from) = match found {
        Some((_, list, position)) => (list, Begin::Position(log_position(position))),
        None => (List::new(SERVER), Begin::Start),
    };
    let path = dir.join("list.log");
    let mut log =
        LogFile::open(files, dir.to_owned(), "list.log", (Kind::List, owner), from, |item| {
            match item {
                Item::File(header) => {
                    list.begin_file(header).map_err(|error| StoreError::damaged(&path, error))
                }
                Item::Transaction(payload) => {
                    let transaction = list::Transaction::decode(payload, 0)
                        .map_err(|error| StoreError::damaged(&path, error))?;
                    list.apply(&transaction);
                    Ok(())
                }
            }
        })?;
    if damaged {
        log.note_damaged();
    }
    Ok((list, log))
}

pub(crate) fn load_map(
    files: &Files,
    dir: &Path,
    owner: Guid,
) -> Result<(Map, LogFile), StoreError> {
    let parse = |bytes: &[u8]| {
        let snapshot = map::Snapshot::parse(bytes).map_err(|error| error.to_string())?;
        let position = snapshot.position();
        let position = LogPosition {
            file: position.file,
            offset: position.offset,
            transactions: snapshot.transactions(),
        };
        Ok((snapshot.load().map_err(|error| error.to_string())?, position))
    };
    let (found, damaged) = load_generation(files, dir, "map.index", parse)?;
    let (mut map, from) = match found {
        Some((map, position)) => (map, Begin::Position(position)),
        None => (Map::new(), Begin::Start),
    };
    let path = dir.join("map.log");
    let mut log = LogFile::open(
        files,
        dir.to_owned(),
        "map.log",
        (Kind::Map, owner),
        from,
        |item| match item {
            Item::File(_) => Ok(()),
            Item::Transaction(payload) => {
                let transaction = map::Transaction::decode(payload)
                    .map_err(|error| StoreError::damaged(&path, error))?;
                map.apply(&transaction).map_err(|error| StoreError::damaged(&path, error))?;
                Ok(())
            }
        },
    )?;
    if damaged {
        log.note_damaged();
    }
    Ok((map, log))
}

/// List and map begin with an account and are never empty again on their own: one that is has been lost, and to begin
/// anew would hide mail, or give its numbers to other mail.
fn check_both(dir: &Path, list: &List, map: &Map) -> Result<(), StoreError> {
    let messages = list.iter().any(|entry| entry.counters.sums.messages > 0);
    let lost = match (list.transactions(), map.transactions()) {
        (0, 1..) => "list",
        (1.., 0) if messages => "map",
        (known, _) if known < map.list_floor() => {
            return Err(StoreError::damaged(
                &dir.join("list.log"),
                format_args!(
                    "the map knows of {} transactions, it and its snapshots only of {known}; `loft mailbox rebuild` makes the account anew of what is left, or bring its directory back from a backup",
                    map.list_floor()
                ),
            ));
        }
        (_, known) if known < list.map_floor() => {
            return Err(StoreError::damaged(
                &dir.join("map.log"),
                format_args!(
                    "the mailbox list knows of {} transactions, it and its snapshots only of {known}; `loft mailbox rebuild` makes the account anew of what is left, or bring its directory back from a backup",
                    list.map_floor()
                ),
            ));
        }
        _ => return Ok(()),
    };
    Err(StoreError::damaged(
        &dir.join(format!("{lost}.log")),
        "it and its snapshots say nothing, while the account has messages; `loft mailbox rebuild` makes the account anew of what is left, or bring its directory back from a backup",
    ))
}

pub(crate) fn log_position(position: snapshot::Position) -> LogPosition {
    LogPosition {
        file: position.file,
        offset: position.offset,
        transactions: position.transactions,
    }
}

/// Whose logs an account's list and map are: no other account's, so that no block of theirs is taken for one of these.
pub(crate) fn log_owner(store: Guid, account: &str) -> Guid {
    // FNV-1a over 128 bits, from the store's GUID on.
    let fold = |hash: u128, byte: u8| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
    };
    Guid(account.bytes().fold(u128::from_be_bytes(store.0), fold).to_be_bytes())
}

/// The number that this server's modseqs carry; a server alone is 0.
pub(crate) const SERVER: u8 = 0;
