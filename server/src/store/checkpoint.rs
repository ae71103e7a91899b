//! Keeping house: checkpoints, snapshots, the journal's next segment, room on the disk.
//!
//! A checkpoint makes durable what the journal covers, then takes away the journal and whatever else the covered
//! changes made garbage; it bounds recovery.

use super::account::{Account, Logs, State};
use super::change::{Change, LogName};
use super::commit::Outcome;
use super::error::StoreError;
use super::logfile::LogFile;
use super::planted::{Planted, planted};
use super::recovery;
use super::store::Store;
use dbox_format::map::{Draft, Op};
use index_format::Guid;
use index_format::list::Record;
use runtime_smol::Clock;
use runtime_smol::fs;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Below so many files a checkpoint syncs them one by one; the file system may hold much that is not ours.
const SINGLY: usize = 64;
/// How often the house is looked after when nobody calls.
const ROUND: Duration = Duration::from_secs(1);
/// How long a stop may take for snapshots: they save the next start a little reading, each for some syncs.
const LAST_SNAPSHOTS: Duration = Duration::from_millis(200);

/// Files that are to be synced.
type Opened = Vec<(PathBuf, Arc<dyn fs::File>)>;

/// Calls the thread that keeps house.
#[derive(Default)]
pub(crate) struct Due {
    state: Mutex<Calls>,
    called: Condvar,
}

#[derive(Default)]
struct Calls {
    called: bool,
    stopping: bool,
    garbage: Vec<Garbage>,
}

/// What may be removed once a checkpoint has covered the position and nobody reads it.
struct Garbage {
    position: u64,
    path: PathBuf,
    readers: Vec<Weak<()>>,
}

impl Garbage {
    fn is_read(&self) -> bool {
        self.readers.iter().any(|readers| readers.strong_count() > 0)
    }
}

impl Due {
    fn state(&self) -> MutexGuard<'_, Calls> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is something to do.
    pub(crate) fn call(&self) {
        self.state().called = true;
        self.called.notify_one();
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.state().stopping = true;
        self.called.notify_one();
    }

    /// Removes `path` once a checkpoint has covered `position`.
    pub(crate) fn garbage(&self, position: u64, path: PathBuf) {
        self.garbage_of(position, path, Vec::new());
    }

    /// The same of what may be read, once the last of its `readers` has gone, too.
    pub(crate) fn garbage_of(&self, position: u64, path: PathBuf, readers: Vec<Weak<()>>) {
        self.state().garbage.push(Garbage { position, path, readers });
    }

    /// Waits for a call or for the next round; `false` when stopping.
    fn wait(&self) -> bool {
        let idle = |calls: &mut Calls| !calls.called && !calls.stopping;
        let waited = self.called.wait_timeout_while(self.state(), ROUND, idle);
        let (mut calls, _) = waited.unwrap_or_else(PoisonError::into_inner);
        calls.called = false;
        !calls.stopping
    }
}

impl Store {
    /// Whether the house should be looked after before the next round.
    pub(crate) fn house_calls(&self) -> bool {
        let writer = self.writer();
        writer.journal.written >= self.config.checkpoint_bytes
            || writer.touched.len() >= self.config.checkpoint_files
            || writer.journal.wants_spare().is_some()
            || self.cache.calls()
            || self.forests.calls()
    }

    /// The thread that keeps house.
    pub(crate) fn keep_house(self: &Arc<Self>, clock: &Clock) {
        let (mut last, mut let_go) = (clock.now(), clock.now());
        while self.due.wait() {
            if clock.now().0.saturating_sub(let_go.0) >= self.config.idle_ms {
                let gone = self.let_go();
                tracing::debug!(gone.accounts, gone.mailboxes, "left memory");
                let_go = clock.now();
            }
            self.cache.forget_idle(clock.now().0);
            self.arranged.forget_idle(clock.now().0);
            self.forests.forget_idle(clock.now().0);
            self.packing.forget_idle(clock.now().0);
            self.measure_space();
            self.resume();
            self.prepare_spare();
            let aged = clock.now().0.saturating_sub(last.0) >= self.config.checkpoint_ms;
            let due = {
                let writer = self.writer();
                writer.journal.written >= self.config.checkpoint_bytes
                    || writer.touched.len() >= self.config.checkpoint_files
                    || (aged && writer.journal.written > 0)
            };
            if due {
                if let Err(error) = self.checkpoint(self.config.snapshot_after) {
                    self.counts.failed.count();
                    tracing::error!(%error, "the checkpoint failed and is tried again; the journal grows until it succeeds");
                }
                last = clock.now();
            } else if self.cache.calls()
                || self.forests.calls()
                || (aged && (self.cache.has_work() || self.forests.has_unwritten()))
            {
                self.write_cache();
                last = if aged { clock.now() } else { last };
            }
        }
    }

    /// Writes what waits for files that nothing depends on: the cache, if there is twice the room that mail is to have,
    /// and threads.
    fn write_cache(&self) {
        let room = |free| free >= self.config.reserve.saturating_mul(2);
        let room = self.files.fs().free_space(self.root()).is_ok_and(room);
        let seed = || u64::from_le_bytes(self.random());
        self.cache.write(&self.files, room, &seed);
        self.cache.regroup(&self.files, room, &seed);
        let applied = self.applied();
        self.forests.write(&self.files, &|position| match self.commit.outcome(position) {
            Outcome::Lost => None,
            // Told is not yet synced; what is in its files is.
            Outcome::Durable | Outcome::Waiting => Some(position <= applied),
        });
    }

    /// Tries whether what failed works again.
    pub(crate) fn resume(&self) {
        if !self.commit.refusing() {
            // Of single accounts.
            let mut writer = self.writer();
            self.write_files(&mut writer, true);
            return;
        }
        if self.files.is_suspect() {
            match self.recover_in_place() {
                Ok(()) => self.files.set_suspect(false),
                Err(error) => {
                    tracing::error!(%error, "the files can't be brought up to the journal yet; no changes are taken")
                }
            }
            return;
        }
        let mut writer = self.writer();
        self.write_files(&mut writer, true);
        let journal = writer.journal.rotate().and_then(|()| self.sync_told(&mut writer));
        if journal.is_ok() && writer.told.is_empty() && !writer.is_stuck() {
            self.commit.set_refusing(false);
            tracing::info!("changes are taken again");
        }
    }

    /// Recovers as a start after a crash does, without one: every account is loaded anew.
    fn recover_in_place(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        writer.journal.rotate()?;
        self.sync_told(&mut writer)?;
        for account in self.loaded_accounts() {
            account.kill();
        }
        self.give_up(Vec::new());
        writer.forget_backlog();
        self.files.forget_below(self.root());
        if !planted(Planted::BelieveCache) {
            // What was written since the last checkpoint can be read and may yet be on no disk.
            self.each_log(LogFile::rewind);
        }
        let seed = || u64::from_le_bytes(self.random());
        let touched =
            recovery::recover_again(&self.files, self.root(), &seed, &self.loaded_accounts())?;
        self.note_recovered(touched);
        writer.journal.retire(u64::MAX)?;
        writer.touched.clear();
        self.files.forget_below(self.root());
        self.commit.set_refusing(false);
        tracing::warn!(
            "a failed sync was made good from the journal; all accounts were loaded anew"
        );
        Ok(())
    }

    /// Makes everything durable that was changed so far, and takes away what the journal need not keep. Logs longer
    /// than `snapshot_after` bytes get a snapshot.
    pub(crate) fn checkpoint(&self, snapshot_after: u64) -> Result<(), StoreError> {
        self.checkpoint_while(snapshot_after, &|| true)
    }

    /// The same, with snapshots as long as there is `time` for them: the logs say the same.
    fn checkpoint_while(
        &self,
        snapshot_after: u64,
        time: &dyn Fn() -> bool,
    ) -> Result<(), StoreError> {
        let _keeping = self.keeping();
        self.write_counters()?;
        self.flush();
        self.sync_deferred()?;
        let covered = self.applied();
        let written = {
            let mut writer = self.writer();
            std::mem::take(&mut writer.journal.written)
        };
        let touched = {
            let mut writer = self.writer();
            self.each_log(LogFile::mark);
            std::mem::take(&mut writer.touched)
        };
        if planted(Planted::RetireBeforeSync) {
            self.writer().journal.retire(covered)?;
        }
        if let Err((error, touched)) = self.sync_touched(touched) {
            // Where nothing has failed to be synced it is still to be.
            let mut writer = self.writer();
            writer.touched.extend(touched);
            writer.journal.written += written;
            return Err(error);
        }
        self.not_suspect()?;
        self.each_log(LogFile::note_durable);
        if let Err(error) = self.write_snapshots(snapshot_after, time) {
            self.writer().journal.written += written;
            return self.not_suspect().and(Err(error));
        }
        self.writer().journal.retire(covered)?;
        self.remove_garbage(covered)?;
        // After the syncs, so that none of them waits for it.
        for account in self.loaded_accounts() {
            self.cache.sweep(&self.files, &account, &|| u64::from_le_bytes(self.random()));
        }
        self.write_cache();
        self.counts.checkpoints.count();
        Ok(())
    }

    fn each_log(&self, mut each: impl FnMut(&mut LogFile)) {
        for account in self.loaded_accounts() {
            let mut logs = account.logs();
            let Logs { list, map, mailboxes } = &mut *logs;
            let mailboxes = mailboxes.values_mut().map(|log| &mut **log);
            [list, map].into_iter().chain(mailboxes).for_each(&mut each);
        }
    }

    /// The checkpoint of a clean stop: nothing is left to recover.
    pub(crate) fn last_checkpoint(&self, clock: &Clock) {
        self.flush();
        self.resume();
        let end = clock.now().after(LAST_SNAPSHOTS);
        let time = || clock.now() < end;
        let result = self
            .checkpoint_while(self.config.snapshot_after / 16, &time)
            .and_then(|()| self.end_journal());
        if let Err(error) = result {
            tracing::error!(%error, "the last checkpoint failed; the next start replays the journal");
        }
    }

    /// Has the journal say nothing any more: all that it said is durable elsewhere, as a checkpoint has seen to.
    ///
    /// # Errors
    /// I/O; what could not be written to its files yet. Then the next start replays the journal.
    pub(crate) fn end_journal(&self) -> Result<(), StoreError> {
        let mut writer = self.writer();
        if !writer.is_written() && !planted(Planted::RetireBacklog) {
            let why = |account: &Arc<Account>| account.stuck();
            let why = writer.backlog.iter().flat_map(|entry| &entry.change.accounts).find_map(why);
            return Err(why.unwrap_or(StoreError::Lost));
        }
        if !writer.journal.is_fresh() {
            writer.journal.rotate()?;
        }
        writer.journal.retire(u64::MAX)
    }

    /// Brings the counters of changed mailboxes to their lists' logs: one frame an account.
    fn write_counters(&self) -> Result<(), StoreError> {
        // The journal that would say it again after a crash is gone: their counters are to be known by now.
        for name in self.recovered_accounts() {
            if let Err(error) = self.account(&name) {
                tracing::error!(account = name, %error, "a recovered account can't be loaded; its counters may be old");
            }
        }
        for account in &self.loaded_accounts() {
            self.write_counters_of(account)?;
        }
        Ok(())
    }

    /// The same for one account.
    pub(super) fn write_counters_of(&self, account: &Arc<Account>) -> Result<(), StoreError> {
        // What it waits for would only become more.
        if account.stuck().is_some() {
            return Ok(());
        }
        let Ok(mut state) = account.lock() else { return Ok(()) };
        let state = &mut *state;
        let mut records = Vec::new();
        for guid in std::mem::take(&mut state.dirty) {
            let (Some(mbox), Some(entry)) = (state.mailboxes.get(&guid), state.list.by_guid(guid))
            else {
                continue;
            };
            let counters = mbox.counters();
            if counters != entry.counters {
                records.push(Record::Counters { guid, counters });
            }
            if mbox.recent > entry.recent {
                records.push(Record::Recent { guid, uid: mbox.recent });
            }
        }
        // What says less after this has lost something, whatever its files look like: each says it of the other.
        let grown = state.map.transactions() > state.list.map_floor()
            || state.list.transactions() > state.map.list_floor();
        if grown || !records.is_empty() {
            let mut change = Change::default();
            let mut draft = Draft::new(&state.map);
            draft.push(Op::ListFloor(state.list.transactions() + 1));
            change.map(account, state, &draft.finish(), self.now())?;
            records.push(Record::MapFloor(state.map.transactions()));
            change.list(account, state, records)?;
            self.submit(change);
        }
        Ok(())
    }

    /// # Errors
    /// A sync has failed elsewhere meanwhile: another says nothing of what that has lost. No changes are taken then until
    /// the files have been brought up to the journal.
    fn not_suspect(&self) -> Result<(), StoreError> {
        if !self.files.is_suspect() {
            return Ok(());
        }
        self.commit.set_refusing(true);
        let why = std::io::Error::other("a sync has failed, the journal makes it good first");
        Err(StoreError::io("sync", self.root(), why))
    }

    /// Syncs files. After an error, those that are still to be synced.
    pub(super) fn sync_touched(
        &self,
        touched: BTreeSet<PathBuf>,
    ) -> Result<(), (StoreError, BTreeSet<PathBuf>)> {
        match self.opened(&touched) {
            // Nothing that was written is lost by that.
            Err(error) => Err((error, touched)),
            Ok(files) => self.sync(&touched, &files).map_err(|error| {
                // What a failed sync has lost can still be read, and a second sync would say nothing of it: the files are
                // brought up to the journal again, as after a crash.
                self.files.set_suspect(true);
                self.commit.set_refusing(true);
                (error, BTreeSet::new())
            }),
        }
    }

    /// The files that are to be synced one by one: none where there are many.
    fn opened(&self, touched: &BTreeSet<PathBuf>) -> Result<Opened, StoreError> {
        if touched.len() >= SINGLY {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        for path in touched {
            match self.files.fs().open(path, fs::Open::Append) {
                Ok(file) => files.push((path.clone(), file)),
                // Its mailbox was deleted meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io("open", path, error)),
            }
        }
        Ok(files)
    }

    fn sync(&self, touched: &BTreeSet<PathBuf>, files: &Opened) -> Result<(), StoreError> {
        if planted(Planted::NoCheckpointSync) {
            return Ok(());
        }
        let fs = self.files.fs();
        if touched.len() >= SINGLY {
            return fs
                .sync_all(self.root())
                .map_err(|error| StoreError::io("sync", self.root(), error));
        }
        for (path, file) in files {
            file.sync_data().map_err(|error| StoreError::io("sync", path, error))?;
        }
        let dirs: BTreeSet<&Path> = touched
            .iter()
            .flat_map(|path| path.ancestors().skip(1))
            .filter(|dir| dir.starts_with(self.root()))
            .collect();
        for dir in dirs {
            match fs.sync_dir(dir) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                result => result.map_err(|error| StoreError::io("sync", dir, error))?,
            }
        }
        Ok(())
    }

    /// Removes what the checkpoint of `covered` allows to.
    fn remove_garbage(&self, covered: u64) -> Result<(), StoreError> {
        // None comes as long as this checkpoint keeps the others out.
        let mut pinned: Vec<PathBuf> = self.pins.lock().keys().cloned().collect();
        if planted(Planted::GarbageWhileFrozen) {
            pinned.clear();
        }
        let garbage: Vec<PathBuf> = {
            let mut calls = self.due.state();
            let (now, later) = std::mem::take(&mut calls.garbage).into_iter().partition(|is| {
                is.position <= covered
                    && !is.is_read()
                    && !pinned.iter().any(|dir| is.path.starts_with(dir))
            });
            calls.garbage = later;
            let now: Vec<Garbage> = now;
            // A change that was lost has dropped nothing.
            let lost = |garbage: &Garbage| self.outcome(garbage.position) == Outcome::Lost;
            now.into_iter().filter(|garbage| !lost(garbage)).map(|garbage| garbage.path).collect()
        };
        for path in garbage {
            self.files.forget_below(&path);
            remove(self.files.fs(), &path)
                .map_err(|error| StoreError::io("remove", &path, error))?;
        }
        Ok(())
    }
}

/// Removes a file, or a directory with the files in it.
pub(crate) fn remove(fs: &dyn fs::Fs, path: &Path) -> std::io::Result<()> {
    match fs.metadata(path)? {
        None => Ok(()),
        Some(meta) if meta.is_dir => {
            for entry in fs.read_dir(path)? {
                fs.unlink(&path.join(entry.name))?;
            }
            fs.remove_dir(path)
        }
        Some(_) => fs.unlink(path),
    }
}

impl Logs {
    /// All logs that are open.
    pub(crate) fn names(&self) -> Vec<LogName> {
        let mailboxes = self.mailboxes.keys().copied().map(LogName::Mailbox);
        [LogName::List, LogName::Map].into_iter().chain(mailboxes).collect()
    }

    pub(crate) fn get(&mut self, name: LogName) -> Option<&mut LogFile> {
        match name {
            LogName::List => Some(&mut self.list),
            LogName::Map => Some(&mut self.map),
            LogName::Mailbox(guid) => self.mailboxes.get_mut(&guid).map(|log| &mut **log),
        }
    }
}

impl State {
    pub(super) fn transactions(&self, name: LogName) -> Option<u64> {
        match name {
            LogName::List => Some(self.list.transactions()),
            LogName::Map => Some(self.map.transactions()),
            LogName::Mailbox(guid) => self.mailbox_transactions(guid),
        }
    }

    fn mailbox_transactions(&self, guid: Guid) -> Option<u64> {
        self.mailboxes.get(&guid).map(|mbox| mbox.mailbox.transactions())
    }
}
