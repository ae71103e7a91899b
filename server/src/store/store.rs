//! The store itself: its accounts, its threads, and the order in which a change happens.
//!
//! One process writes a store. A change is assigned under its account's lock and queued; [`Store::step`] makes a
//! group of changes durable in the journal, tells who waits, and then writes the files the changes are about. Where the
//! settings let a group be told before its sync, its files are written behind that sync all the same (`deferred.rs`).

use super::account::Account;
use super::ahead::Aside;
use super::apply;
use super::arranged::Arrangements;
use super::attachments::Shared;
use super::cache::Cache;
use super::change::Change;
use super::checkpoint::Due;
use super::commit::{Commit, Entry, Generation, Outcome, Woken};
use super::compact::Pause;
use super::config::{self, StoreConfig};
use super::error::StoreError;
use super::figures::Counts;
use super::files::Files;
use super::freeze::Pins;
use super::journal::{self, Journal, Syncing};
use super::packing::Packing;
use super::place;
use super::planted::{Planted, planted};
use super::recovery;
use super::threads::Forests;
use super::training::Training;
use crate::signal::{self, Signal};
use index_format::Guid;
use index_format::list::SpecialUse;
use index_format::mailbox::Parts;
use runtime_smol::fs::{Fs, Lock, LockError, create_dirs_synced};
use runtime_smol::{Clock, Time};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// Gives random bytes; the tests' gives the same ones each time.
pub type Random = Arc<dyn Fn(&mut [u8]) + Send + Sync>;
/// Tells the seconds since 1970.
pub type Wall = Box<dyn Fn() -> i64 + Send + Sync>;

/// A seed of checksums, that no protocol shows.
pub(crate) fn seed(random: &Random) -> u64 {
    let mut bytes = [0; 8];
    random(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Accounts whose files can't be written, at most, before nobody's changes are taken: what they wait for is in memory, and
/// it is not about them.
const STUCK: usize = 16;

/// Of the memory that the cache may take, what is for orders of messages: a fourth.
const ARRANGED: usize = 4;

/// A store, open for writing.
pub struct Store {
    pub(crate) files: Files,
    pub(crate) config: StoreConfig,
    pub(crate) commit: Commit,
    pub(crate) cache: Cache,
    pub(crate) arranged: Arrangements,
    pub(crate) forests: Forests,
    pub(crate) packing: Arc<Packing>,
    pub(crate) training: Training,
    /// Threads that help while they have nothing else to do.
    pub(crate) aside: Aside,
    root: PathBuf,
    guid: Guid,
    epoch: AtomicU32,
    random: Random,
    wall: Wall,
    accounts: Mutex<HashMap<String, Arc<Slot>>>,
    /// Accounts that nobody gets into: they are made anew.
    pub(crate) closed: Mutex<BTreeSet<String>>,
    /// Mailboxes that were recovered and have not been loaded since.
    recovered: Mutex<recovery::Touched>,
    writer: Mutex<Writer>,
    /// Held by a checkpoint, and by who looks at files that a checkpoint replaces or removes.
    keeping: Mutex<()>,
    /// Position up to which all changes are in their files.
    applied: AtomicU64,
    full: AtomicBool,
    pub(crate) due: Due,
    pub(crate) pause: Pause,
    pub(crate) shared: Shared,
    pub(crate) counts: Counts,
    /// Accounts whose files are being copied.
    pub(crate) pins: Pins,
    _lock: Lock,
}

/// Where an account is, or will be once somebody has loaded it.
#[derive(Default)]
pub(crate) struct Slot(Mutex<Option<Arc<Account>>>);

impl Slot {
    /// Takes hold of it: nobody loads the account meanwhile.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<Arc<Account>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is in it, for who has waited until it is there.
    pub(crate) fn account(&self) -> Option<Arc<Account>> {
        self.lock().clone()
    }

    /// It has nothing any more.
    pub(crate) fn empty(&self) {
        *self.lock() = None;
    }

    /// What is in it, for the only one who has it.
    pub(crate) fn get_mut(&mut self) -> Option<&mut Arc<Account>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut()
    }
}

/// What the commit thread works with.
pub(crate) struct Writer {
    pub(crate) journal: Journal,
    pub(crate) buffer: Vec<u8>,
    /// Changes that were told and are not synced yet.
    pub(crate) told: Vec<Entry>,
    /// Their bytes, about.
    pub(crate) told_bytes: usize,
    /// Durable changes that could not be written to their files yet; they go first.
    pub(crate) backlog: Vec<Entry>,
    /// Position of the youngest change that is in its files.
    pub(crate) written: u64,
    /// Files written since the last checkpoint.
    pub(crate) touched: BTreeSet<PathBuf>,
}

impl Writer {
    /// Lets the journal alone speak for what could not be written to its files.
    pub(crate) fn forget_backlog(&mut self) {
        for entry in self.backlog.drain(..) {
            entry.change.accounts.iter().for_each(|account| account.settled());
        }
    }

    /// Whether more is wrong than that some accounts can't be written: nobody's changes are taken then.
    pub(crate) fn is_stuck(&self) -> bool {
        let mut stuck: Vec<&Arc<Account>> = Vec::new();
        for account in self.backlog.iter().flat_map(|entry| &entry.change.accounts) {
            match account.stuck() {
                Some(StoreError::Full { .. }) => return true,
                Some(_) if !stuck.iter().any(|known| Arc::ptr_eq(known, account)) => {
                    stuck.push(account);
                }
                Some(_) | None => {}
            }
        }
        stuck.len() > STUCK
    }

    /// Whether all that is durable is in its files.
    pub(crate) fn is_written(&self) -> bool {
        self.backlog.is_empty() && self.told.is_empty()
    }
}

/// Held while a session takes in a change: the commit thread waits a little for it.
pub struct Preparing(Arc<Store>, Generation);

impl Drop for Preparing {
    fn drop(&mut self) {
        self.0.commit.end_preparing(self.1);
    }
}

impl Store {
    /// Opens the store at `root`, making it when there is none, and recovers what an unclean stop left.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process has it; I/O; damage that would cost mail.
    pub fn open(
        fs: Arc<dyn Fs>,
        root: &Path,
        config: StoreConfig,
        random: Random,
        wall: Wall,
    ) -> Result<Arc<Self>, StoreError> {
        create_dirs_synced(&*fs, root).map_err(|error| StoreError::io("create", root, error))?;
        let lock = fs.lock(&root.join("lock")).map_err(|error| lock_error(root, error))?;
        place::finish(&*fs, root).map_err(|error| StoreError::io("restore into", root, error))?;
        let files = Files::new(fs.clone(), config.open_files);
        let seed = || {
            let mut bytes = [0; 8];
            random(&mut bytes);
            u64::from_le_bytes(bytes)
        };
        let kept = i64::try_from(config.undelete_ms / 1000).unwrap_or(i64::MAX);
        let past = wall().saturating_sub(kept);
        let mut recovered = recovery::recover(&files, root, &seed, past)?;
        let guid = recovered.store.unwrap_or_else(|| {
            let mut bytes = [0; 16];
            random(&mut bytes);
            Guid(bytes)
        });
        let epoch = recovered.epoch;
        let touched = std::mem::take(&mut recovered.mailboxes);
        let journal = Journal::create(
            fs,
            journal_dir(root),
            (guid, epoch, config.defer_flags || !config.sync_commits),
            recovered.next_segment,
            config.segment_size,
            random.clone(),
        )?;
        recovered.finish(&files)?;
        let packing = Arc::new(Packing::open(&files, root, &config)?);
        let trains = config.compression.is_some() && config.dictionaries;
        let training = Training::new(
            if trains { config.dictionary_samples } else { 0 },
            packing.dictionaries.current().is_some(),
        );
        Ok(Arc::new(Self {
            files,
            cache: Cache::new(&config),
            arranged: Arrangements::new(config.cache_memory / ARRANGED),
            forests: Forests::new(&config),
            packing,
            training,
            aside: Aside::default(),
            config,
            commit: Commit::default(),
            root: root.to_owned(),
            guid,
            epoch: AtomicU32::new(epoch),
            random,
            wall,
            accounts: Mutex::default(),
            closed: Mutex::default(),
            recovered: Mutex::new(touched),
            writer: Mutex::new(Writer {
                journal,
                buffer: Vec::new(),
                told: Vec::new(),
                told_bytes: 0,
                backlog: Vec::new(),
                written: 0,
                touched: BTreeSet::new(),
            }),
            keeping: Mutex::default(),
            applied: AtomicU64::new(0),
            full: AtomicBool::new(false),
            due: Due::default(),
            pause: Pause::default(),
            shared: Shared::default(),
            counts: Counts::default(),
            pins: Pins::default(),
            _lock: lock,
        }))
    }

    /// The account `name`, loaded, or made with its first mailboxes.
    ///
    /// # Errors
    /// I/O, damage, or a name that can't be a directory.
    pub fn account(&self, name: &str) -> Result<Arc<Account>, StoreError> {
        let slot = self.slot(name);
        let mut loaded = slot.lock();
        // Who closes it says so first, and then waits for this lock.
        if self.closed().contains(name) {
            return Err(StoreError::Closed);
        }
        if let Some(account) = &*loaded {
            if !account.is_dead() {
                account.note_used();
                return Ok(account.clone());
            }
            // What is durable of the dead one must be in its files before they are read again.
            if !account.is_settled() {
                return Err(StoreError::Lost);
            }
            self.make_durable(account.dir())?;
            self.files.forget_below(account.dir());
        }
        if self.files.is_suspect() && !planted(Planted::BelieveCache) {
            // What the files hold is not to be believed until they are brought up to the journal.
            return Err(StoreError::Lost);
        }
        let (account, known) = Account::load(&self.files, &self.root, self.guid, name)?;
        let account = Arc::new(account);
        if !known {
            self.check_new(account.dir())?;
            self.make_first_mailboxes(&account)?;
        }
        self.load_recovered(&account)?;
        *loaded = Some(account.clone());
        Ok(account)
    }

    /// Makes durable what is in the files of an account that was given up: what is read is taken for that.
    fn make_durable(&self, dir: &Path) -> Result<(), StoreError> {
        // A checkpoint under way has taken note of what is to be synced, and may fail to.
        let _keeping = match self.keeping.try_lock() {
            Ok(keeping) => keeping,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(StoreError::Lost),
        };
        let touched = self.writer().touched.clone();
        self.sync_touched(touched.into_iter().filter(|path| path.starts_with(dir)).collect())
            .map_err(|(error, _)| error)
    }

    /// The account `name`, if it is in memory: without waiting for a disk.
    pub fn account_in_memory(&self, name: &str) -> Option<Arc<Account>> {
        let slot = self.slots().get(name)?.clone();
        // One that is being loaded just now is waited for where waiting does no harm.
        let account = slot.0.try_lock().ok()?.clone()?;
        account.note_used();
        (!account.is_dead()).then_some(account)
    }

    fn make_first_mailboxes(&self, account: &Arc<Account>) -> Result<(), StoreError> {
        self.writable()?;
        let mut state = account.lock()?;
        let mut change = Change::default();
        self.add_mailbox(&mut change, account, &mut state, "INBOX", SpecialUse::NONE)?;
        let mut subscriptions = vec![index_format::list::Record::Subscribe("INBOX".into())];
        for (name, special_use) in &self.config.default_mailboxes {
            self.add_mailbox(
                &mut change,
                account,
                &mut state,
                name,
                special_use_bits(*special_use),
            )?;
            subscriptions.push(index_format::list::Record::Subscribe(name.as_str().into()));
        }
        change.list(account, &mut state, subscriptions)?;
        self.submit_list(change, &mut state);
        // The others are loaded when somebody wants them; most accounts never see mail in them.
        let inbox = state.list.by_name("INBOX").map(|entry| entry.guid);
        state.mailboxes.retain(|guid, _| Some(*guid) == inbox);
        account.logs().mailboxes.retain(|guid, _| Some(*guid) == inbox);
        Ok(())
    }

    /// Loads the mailboxes whose counters the account's list may not know.
    fn load_recovered(&self, account: &Arc<Account>) -> Result<(), StoreError> {
        let touched = self.recovered().remove(account.name()).unwrap_or_default();
        let mut state = account.lock()?;
        let state = &mut *state;
        for guid in touched {
            if state.list.by_guid(guid).is_some() {
                account.mailbox_with(&self.files, state, guid, Parts::NONE)?;
                state.dirty.insert(guid);
            }
        }
        Ok(())
    }

    /// Notes mailboxes that a recovery has written.
    pub(crate) fn note_recovered(&self, touched: recovery::Touched) {
        for (account, guids) in touched {
            self.recovered().entry(account).or_default().extend(guids);
        }
    }

    /// Accounts that were recovered: not this one.
    pub(crate) fn forget_recovered(&self, name: &str) {
        self.recovered().remove(name);
    }

    /// Accounts that were recovered and not used since.
    pub(crate) fn recovered_accounts(&self) -> Vec<String> {
        self.recovered().keys().cloned().collect()
    }

    fn recovered(&self) -> MutexGuard<'_, recovery::Touched> {
        self.recovered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All accounts in memory.
    pub(crate) fn loaded_accounts(&self) -> Vec<Arc<Account>> {
        let slots: Vec<Arc<Slot>> = self.slots().values().cloned().collect();
        // A slot that is being filled right now has nothing to be looked at yet.
        slots.iter().filter_map(|slot| slot.0.try_lock().ok()?.clone()).collect()
    }

    /// Where the account of this name is, or will be.
    pub(crate) fn slot(&self, name: &str) -> Arc<Slot> {
        self.slots().entry(name.to_owned()).or_default().clone()
    }

    pub(crate) fn slots(&self) -> MutexGuard<'_, HashMap<String, Arc<Slot>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether changes are taken now.
    pub(crate) fn writable(&self) -> Result<(), StoreError> {
        if self.commit.refusing() {
            Err(StoreError::Full { path: self.root.clone() })
        } else {
            Ok(())
        }
    }

    /// Whether changes of this account are taken now.
    pub(crate) fn writable_by(&self, account: &Account) -> Result<(), StoreError> {
        self.writable()?;
        account.stuck().map_or(Ok(()), Err)
    }

    /// The journal position up to which everything is as durable as the settings promise.
    pub fn durable(&self) -> u64 {
        if planted(Planted::ReplyBeforeDurable) {
            self.commit.last()
        } else {
            self.commit.durable()
        }
    }

    /// What became of `position`.
    pub fn outcome(&self, position: u64) -> Outcome {
        if planted(Planted::ReplyBeforeDurable) {
            Outcome::Durable
        } else {
            self.commit.outcome(position)
        }
    }

    /// Raises [`signal::DURABLE`] once `position` is durable or lost, at once if it is.
    pub fn when_durable(&self, position: u64, signal: &Arc<Signal>) {
        self.commit.when_durable(position, signal);
    }

    /// Says that a session begins to take in a change.
    pub fn preparing(self: &Arc<Self>) -> Preparing {
        Preparing(self.clone(), self.commit.begin_preparing())
    }

    /// Whether there is too little room for new mail.
    pub fn free_space_low(&self) -> bool {
        self.full.load(Ordering::Relaxed) || self.commit.refusing()
    }

    /// As if there were too little room for new mail, or enough.
    #[cfg(test)]
    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    /// Looks how much room there is.
    pub(crate) fn measure_space(&self) {
        let low =
            self.files.fs().free_space(&self.root).is_ok_and(|free| free < self.config.reserve);
        if self.full.swap(low, Ordering::Relaxed) != low {
            if low {
                tracing::warn!(store = %self.root.display(), reserve = self.config.reserve, "too little room left; new mail is refused until there is more");
            } else {
                tracing::info!(store = %self.root.display(), "there is room again; new mail is taken");
            }
        }
    }

    /// Makes one group of what is queued durable, tells who waits, and writes the files; `false` if nothing was
    /// queued.
    pub(crate) fn step(&self) -> bool {
        // Taken under the writer's lock: groups reach the journal in the order they were queued.
        let mut writer = self.writer();
        let entries = self.commit.take(self.config.group_bytes);
        if entries.is_empty() {
            return false;
        }
        let (mut entries, dead): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|entry| !entry.change.accounts.iter().any(|account| account.is_dead()));
        self.give_up(dead);
        if writer.journal.is_rewound()
            && let Err(error) = self.sync_told(&mut writer)
        {
            tracing::error!(%error, "changes could not be made durable; they are answered NO");
            self.give_up(entries);
            return true;
        }
        let sync = self.when_to_sync(&entries);
        let Writer { journal, buffer, .. } = &mut *writer;
        let written = journal.write(&entries, buffer, sync);
        // A group is small but for the odd big one; what that needed is given back.
        buffer.shrink_to(self.config.group_bytes);
        let lost = entries.split_off(written.durable.min(entries.len()));
        if let Some(last) = entries.last() {
            self.commit.set_durable(last.position);
        }
        self.counts.groups.count();
        self.counts.changes.add(entries.len() as u64);
        if let Some(error) = &written.error {
            self.counts.failed.count();
            tracing::error!(%error, "changes could not be made durable; they are answered NO");
        }
        self.give_up(lost);
        for entry in &entries {
            for watcher in &entry.change.watchers {
                watcher.raise(signal::CHANGED);
            }
        }
        let Writer { told, told_bytes, backlog, .. } = &mut *writer;
        if sync == Syncing::Now && !entries.is_empty() {
            // What was told before has become durable with it.
            backlog.append(told);
            *told_bytes = 0;
            backlog.append(&mut entries);
        } else if planted(Planted::ApplyUnsynced) {
            backlog.append(&mut entries);
        } else {
            *told_bytes += entries.iter().map(|entry| entry.len).sum::<usize>();
            told.append(&mut entries);
        }
        self.write_files(&mut writer, false);
        if written.error.is_some() || writer.is_stuck() {
            self.commit.set_refusing(true);
        }
        true
    }

    /// Writes what is durable to the files it is about. Accounts whose files can't be written take no changes until they
    /// can; they are tried only `again`.
    pub(crate) fn write_files(&self, writer: &mut Writer, again: bool) {
        let Writer { backlog, touched, written, .. } = writer;
        // What is suspect is written again from the journal, with what was lost before it.
        if backlog.is_empty() || self.files.is_suspect() {
            return;
        }
        let seed = || u64::from_le_bytes(self.random());
        let changes = backlog.iter().map(|entry| &entry.change);
        let failed = apply::apply(&self.files, changes, &seed, touched, again);
        if self.files.is_suspect() {
            self.commit.set_refusing(true);
        }
        for (account, error) in &failed {
            let Some(error) = error else { continue };
            if account.set_stuck(Some(error.clone())).is_none() {
                let account = account.name();
                tracing::error!(account, %error, "durable changes could not be written to their files yet; the account takes no new ones until they are");
            }
        }
        let has_failed =
            |account: &Arc<Account>| failed.iter().any(|(other, _)| Arc::ptr_eq(other, account));
        let (kept, done): (Vec<Entry>, Vec<Entry>) = std::mem::take(backlog)
            .into_iter()
            .partition(|entry| entry.change.accounts.iter().any(has_failed));
        *backlog = kept;
        for entry in done {
            for (account, map_id) in &entry.change.pending {
                if let Some(account) = entry.change.accounts.get(*account) {
                    account.pending().remove(map_id);
                }
            }
            for account in &entry.change.accounts {
                account.settled();
                if !has_failed(account) && account.set_stuck(None).is_some() {
                    tracing::info!(account = account.name(), "the account takes changes again");
                }
            }
            *written = entry.position.max(*written);
        }
        // What stands before the first that waits is there, and so is what was lost.
        let applied = backlog.first().map_or(*written, |entry| entry.position - 1);
        self.applied.fetch_max(applied, Ordering::AcqRel);
    }

    /// These changes never happen; the accounts that built on them are loaded anew.
    pub(crate) fn give_up(&self, entries: Vec<Entry>) {
        let mut positions: Vec<u64> = Vec::new();
        let mut entries = entries;
        loop {
            for entry in &entries {
                positions.push(entry.position);
                for account in &entry.change.accounts {
                    account.kill();
                    account.settled();
                }
            }
            // What was queued meanwhile may build on what is lost.
            entries = self.commit.take_dead();
            if entries.is_empty() {
                break;
            }
        }
        if !positions.is_empty() {
            self.commit.set_lost(positions.into_iter());
        }
    }

    /// Commits what is queued now, without threads: for tools and tests.
    pub fn flush(&self) {
        while self.step() {
            self.prepare_spare();
        }
    }

    /// Starts the threads that commit and keep house.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(self: &Arc<Self>, clock: Clock) -> std::io::Result<Threads> {
        let store = self.clone();
        let commit = std::thread::Builder::new().name("commit".into()).spawn(move || {
            let wait = Duration::from_millis(store.config.group_wait_ms);
            let mut due = None;
            loop {
                let now = clock.now();
                let patience =
                    due.map(|due: Time| Duration::from_millis(due.0.saturating_sub(now.0)));
                match store.commit.wait(wait, store.config.group_bytes, patience) {
                    Woken::Change => {
                        store.step();
                    }
                    Woken::Patience => {}
                    Woken::Stop => break,
                }
                due = store.sync_when_due(due, clock.now());
                if store.house_calls() {
                    store.due.call();
                }
            }
        })?;
        let store = self.clone();
        let house = std::thread::Builder::new()
            .name("house".into())
            .spawn(move || store.keep_house(&clock))?;
        let store = self.clone();
        let compaction = std::thread::Builder::new()
            .name("compact".into())
            .spawn(move || store.keep_compact())?;
        let store = self.clone();
        let attachments = std::thread::Builder::new()
            .name("attachments".into())
            .spawn(move || store.keep_attachments())?;
        Ok(Threads { store: self.clone(), clock, commit, house, compaction, attachments })
    }

    /// Zeroes the journal's next segment ahead, when it is time.
    pub(crate) fn prepare_spare(&self) {
        let Some(number) = self.writer().journal.wants_spare() else { return };
        match journal::prepare(
            self.files.fs(),
            &journal_dir(&self.root),
            number,
            self.config.segment_size,
        ) {
            Ok(_) => self.writer().journal.set_spare(number),
            Err(error) => {
                tracing::warn!(%error, "the journal's next segment could not be prepared ahead")
            }
        }
    }

    /// Removes `path` once a checkpoint has covered `position`.
    pub(crate) fn garbage(&self, position: u64, path: PathBuf) {
        self.due.garbage(position, path);
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps checkpoints out, one of which would take away what the other has yet to sync.
    pub(crate) fn keeping(&self) -> MutexGuard<'_, ()> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Position up to which everything is in its files.
    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Acquire)
    }

    /// Whose the store is.
    pub(crate) fn guid(&self) -> Guid {
        self.guid
    }

    /// How often this store was started after an unclean stop, and some.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The journal has said so.
    pub(crate) fn set_epoch(&self, epoch: u32) {
        self.epoch.store(epoch, Ordering::Release);
    }

    /// The directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where large messages are while they come in.
    pub(crate) fn spool_dir(&self) -> PathBuf {
        spool_dir(&self.root)
    }

    /// Seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        (self.wall)()
    }

    /// Random bytes.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.random)(&mut bytes);
        bytes
    }
}

/// The threads of a store.
pub struct Threads {
    store: Arc<Store>,
    clock: Clock,
    commit: std::thread::JoinHandle<()>,
    house: std::thread::JoinHandle<()>,
    compaction: std::thread::JoinHandle<()>,
    attachments: std::thread::JoinHandle<()>,
}

impl Threads {
    /// Commits what is left, makes a last checkpoint and ends the threads.
    pub fn stop(self) {
        self.store.pause.stop();
        // A panic was logged where it happened; what is durable is in the journal.
        let _ = self.compaction.join();
        let _ = self.attachments.join();
        self.store.due.stop();
        let _ = self.house.join();
        self.store.commit.stop();
        let _ = self.commit.join();
        self.store.last_checkpoint(&self.clock);
    }
}

pub(crate) fn journal_dir(root: &Path) -> PathBuf {
    root.join("journal")
}

pub(crate) fn spool_dir(root: &Path) -> PathBuf {
    root.join("spool")
}

fn lock_error(root: &Path, error: LockError) -> StoreError {
    match error {
        LockError::Held { pid, .. } => {
            StoreError::InUse { path: root.to_owned(), pid: pid.unwrap_or(0) }
        }
        LockError::Io { source, .. } => StoreError::io("lock", root, source),
        other => StoreError::io("lock", root, std::io::Error::other(other)),
    }
}

pub(crate) fn special_use_bits(special_use: config::SpecialUse) -> SpecialUse {
    match special_use {
        config::SpecialUse::Drafts => SpecialUse::DRAFTS,
        config::SpecialUse::Sent => SpecialUse::SENT,
        config::SpecialUse::Junk => SpecialUse::JUNK,
        config::SpecialUse::Trash => SpecialUse::TRASH,
        config::SpecialUse::Archive => SpecialUse::ARCHIVE,
    }
}
