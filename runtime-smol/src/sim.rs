//! A file system in memory that loses power.
//!
//! [`SimFs`] does what [`crate::fs::RealFs`] does, and remembers of each file and directory what a disk is sure to hold.
//! Every operation has a number. [`SimFs::crash_at`] ends the processes at one of them, [`SimFs::crashed`] and
//! [`SimFs::crashed_at`] give the disk as it may be found afterwards, and [`SimFs::inject`] makes operations fail.
//!
//! Invariants:
//! - What a living process sees never depends on faults that have not struck, nor on whether anything was synced.
//! - Synced bytes under synced names are in every image; what is in no image can't have been promised.
//! - Equal operations, variants and seeds give equal images.
//!
//! Recovery of a failed [`Fs::sync_dir`] is milder than that of a failed [`File::sync_data`]: a second one works.

mod content;
mod fault;
mod handle;
mod image;
mod rng;
mod world;

#[cfg(test)]
mod tests;

pub use fault::{Failure, Fault, Op, OpKind, When};
pub use image::Variant;

use crate::fs::{Entry, File, Fs, Lock, LockError, Meta, Open};
use fault::Armed;
use handle::SimFile;
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use world::{InodeId, World};

/// What the process of a crashed file system gets from every operation.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the simulated process is dead")]
pub struct Crashed;

/// Whether `error` says that the simulated process is dead, so that nothing after it happened.
#[must_use]
pub fn is_crash(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Crashed>())
}

/// One process's view of a simulated file system. A clone is the same process; [`SimFs::process`] makes another.
#[derive(Clone)]
pub struct SimFs {
    shared: Arc<Mutex<Shared>>,
    process: u32,
}

/// The machine: its disk, its memory, what was done and what will go wrong.
struct Shared {
    world: World,
    trace: Vec<Op>,
    /// The world at each operation, when it is kept.
    history: Option<Vec<World>>,
    crash_at: Option<u64>,
    crashed: bool,
    /// Processes that were killed one by one.
    dead: Vec<u32>,
    processes: u32,
    faults: Vec<Armed>,
    struck: u64,
    capacity: Option<u64>,
    /// Names that a file may have.
    most_links: u64,
    /// Memory has nothing of any file.
    cold: bool,
    /// Bytes read of each file, by the name it was opened by.
    read: BTreeMap<Arc<Path>, u64>,
    /// Who holds which lock, by inode.
    locks: BTreeMap<InodeId, u32>,
    /// How often each inode is open.
    open: BTreeMap<InodeId, usize>,
}

impl Default for SimFs {
    fn default() -> Self {
        Self::new()
    }
}

impl SimFs {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::with_world(World::new(), None)
    }

    fn with_world(world: World, capacity: Option<u64>) -> Self {
        let shared = Shared {
            world,
            trace: Vec::new(),
            history: None,
            crash_at: None,
            crashed: false,
            dead: Vec::new(),
            processes: 1,
            faults: Vec::new(),
            struck: 0,
            capacity,
            most_links: u64::MAX,
            cold: false,
            read: BTreeMap::new(),
            locks: BTreeMap::new(),
            open: BTreeMap::new(),
        };
        Self { shared: Arc::new(Mutex::new(shared)), process: 0 }
    }

    // --- operations and their numbers

    /// How many operations were begun; the next one gets this number.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.lock_shared().trace.len() as u64
    }

    /// All operations so far.
    #[must_use]
    pub fn trace(&self) -> Vec<Op> {
        self.lock_shared().trace.clone()
    }

    /// Bytes read so far of the files that `which` says yes to, by the names they were opened by.
    #[must_use]
    pub fn bytes_read(&self, which: impl Fn(&Path) -> bool) -> u64 {
        let shared = self.lock_shared();
        shared.read.iter().filter(|(path, _)| which(path)).map(|(_, bytes)| bytes).sum()
    }

    /// The numbers of those operations so far at which a crash is worth trying.
    #[must_use]
    pub fn crash_points(&self) -> Vec<u64> {
        let shared = self.lock_shared();
        shared.trace.iter().filter(|op| op.kind.changes_disk()).map(|op| op.number).collect()
    }

    // --- crashes

    /// All processes die at operation `number`: it may yet reach the disk like anything unsynced (a sync does nothing),
    /// and it and all later ones fail with [`Crashed`].
    pub fn crash_at(&self, number: u64) {
        self.lock_shared().crash_at = Some(number);
    }

    /// All processes die now.
    pub fn crash(&self) {
        self.lock_shared().crashed = true;
    }

    /// Whether the processes are dead.
    #[must_use]
    pub fn is_crashed(&self) -> bool {
        self.lock_shared().crashed
    }

    /// The disk as `variant` leaves it if everything stops now: a file system of its own, without faults and with
    /// operation numbers from 0.
    #[must_use]
    pub fn crashed(&self, variant: Variant) -> Self {
        let shared = self.lock_shared();
        Self::with_world(image::image(&shared.world, variant), shared.capacity)
    }

    /// From now on keeps the state at each operation, for [`SimFs::crashed_at`]: so that one run of a workload is enough
    /// for all its crashes. Call it before the first operation.
    pub fn keep_history(&self) {
        let mut shared = self.lock_shared();
        assert!(shared.trace.is_empty(), "history starts with operation 0");
        shared.history = Some(Vec::new());
    }

    /// What [`SimFs::crashed`] would have given after [`SimFs::crash_at`]`(number)`; `None` if that operation was not
    /// reached or no history is kept.
    #[must_use]
    pub fn crashed_at(&self, number: u64, variant: Variant) -> Option<Self> {
        let shared = self.lock_shared();
        let world = shared.history.as_ref()?.get(usize::try_from(number).ok()?)?;
        Some(Self::with_world(image::image(world, variant), shared.capacity))
    }

    /// Another process on the same machine.
    #[must_use]
    pub fn process(&self) -> Self {
        let mut shared = self.lock_shared();
        let process = shared.processes;
        shared.processes += 1;
        Self { shared: Arc::clone(&self.shared), process }
    }

    /// `kill -9` of this process alone: its locks go, its operations fail with [`Crashed`], nothing is lost.
    pub fn kill(&self) {
        let mut shared = self.lock_shared();
        shared.dead.push(self.process);
        shared.locks.retain(|_, holder| *holder != self.process);
    }

    // --- faults

    /// Makes something go wrong later.
    pub fn inject(&self, fault: Fault) {
        self.lock_shared().faults.push(Armed::new(fault));
    }

    /// From now on nothing goes wrong.
    pub fn clear_faults(&self) {
        self.lock_shared().faults.clear();
    }

    /// How many operations were made to fail, or to be short.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.lock_shared().struck
    }

    /// Bytes that fit on the disk, in pages of 4 KiB; `None` for no limit. An append that fits in part is short.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock_shared().capacity = bytes;
    }

    /// Names that a file may have (`EMLINK`); a crash forgets it.
    pub fn set_most_links(&self, names: u64) {
        self.lock_shared().most_links = names;
    }

    /// From now on memory has nothing of any file, or all again: [`File::read_now`] says so.
    pub fn set_cold(&self, cold: bool) {
        self.lock_shared().cold = cold;
    }

    // --- behind the scenes: no operations, not counted

    /// The content of a file as a process sees it.
    #[must_use]
    pub fn peek(&self, path: &Path) -> Option<Vec<u8>> {
        let shared = self.lock_shared();
        let id = shared.world.lookup(path).ok()?;
        Some(shared.world.file(id).ok()?.now.to_vec())
    }

    /// All files, sorted by path.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.lock_shared().world.paths()
    }

    /// Changes a file on the disk and in memory, as decay or a hostile hand would.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn corrupt(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut shared = self.lock_shared();
        let id = shared.world.lookup(path)?;
        let mut bytes = shared.world.file(id)?.now.to_vec();
        change(&mut bytes);
        Ok(shared.world.overwrite(id, &bytes)?)
    }

    fn lock_shared(&self) -> MutexGuard<'_, Shared> {
        // A panic of one simulated process leaves a state that is as good as any other.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one operation: gives it its number, lets it fail if it must, and keeps the state it leads to.
    fn step<T>(
        &self,
        kind: OpKind,
        path: &Path,
        act: impl FnOnce(&mut Shared, Option<Failure>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut guard = self.lock_shared();
        let shared = &mut *guard;
        if shared.crashed || shared.dead.contains(&self.process) {
            return Err(io::Error::other(Crashed));
        }
        let number = shared.trace.len() as u64;
        shared.trace.push(Op { number, kind, path: path.into() });
        let dying = shared.crash_at.is_some_and(|at| number >= at);
        let syncs = matches!(kind, OpKind::SyncData | OpKind::SyncDir | OpKind::SyncAll);
        if syncs {
            shared.remember();
        }
        let result = if dying && syncs {
            Err(io::Error::other(Crashed))
        } else {
            shared.act((number, kind, path), act)
        };
        if !syncs {
            shared.remember();
        }
        if dying {
            shared.crashed = true;
            // First: what was opened must not find the machine locked when it is dropped.
            drop(guard);
            drop(result);
            return Err(io::Error::other(Crashed));
        }
        result
    }
}

impl Shared {
    fn remember(&mut self) {
        if let Some(history) = &mut self.history {
            history.push(self.world.clone());
        }
    }

    fn act<T>(
        &mut self,
        (number, kind, path): (u64, OpKind, &Path),
        act: impl FnOnce(&mut Self, Option<Failure>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut failure = None;
        for armed in &mut self.faults {
            failure = failure.or(armed.strike(number, kind, path));
        }
        self.struck += u64::from(failure.is_some());
        match failure {
            // These do something all the same.
            Some(Failure::Short(_) | Failure::LostSync { .. }) | None => act(self, failure),
            Some(Failure::Io) if matches!(kind, OpKind::SyncData | OpKind::SyncAll) => {
                act(self, Some(Failure::LostSync { evict: false }))
            }
            Some(Failure::Io) => Err(Errno::IO.into()),
            Some(Failure::NoSpace) => Err(Errno::NOSPC.into()),
            Some(Failure::Quota) => Err(Errno::DQUOT.into()),
            Some(Failure::TooManyFiles) => Err(Errno::MFILE.into()),
        }
    }

    /// Bytes that a file of `len` may grow by.
    fn room(&self, len: u64) -> u64 {
        let Some(capacity) = self.capacity else { return u64::MAX };
        let free = capacity.saturating_sub(self.used());
        free / content::PAGE as u64 * content::PAGE as u64 + world::allocated(len) - len
    }

    fn used(&self) -> u64 {
        self.world.used(|id| self.open.contains_key(&id))
    }
}

impl Fs for SimFs {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let makes = match how {
            Open::Read | Open::Append => false,
            Open::Create => true,
            Open::AppendOrCreate | Open::Write => self.lock_shared().world.lookup(path).is_err(),
        };
        let kind = if makes { OpKind::Create } else { OpKind::Open };
        self.step(kind, path, |shared, _| {
            let inode =
                if makes { shared.world.create(path)? } else { shared.world.lookup(path)? };
            shared.world.file(inode)?;
            *shared.open.entry(inode).or_default() += 1;
            Ok(Arc::new(SimFile::new(self.clone(), inode, path, how)) as Arc<dyn File>)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(OpKind::Rename, to, |shared, _| Ok(shared.world.rename(from, to)?))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(OpKind::Link, to, |shared, _| {
            Ok(shared.world.link(from, to, shared.most_links)?)
        })
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.step(OpKind::Unlink, path, |shared, _| Ok(shared.world.unlink(path)?))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.step(OpKind::CreateDir, path, |shared, _| Ok(shared.world.create_dir_all(path)?))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step(OpKind::SyncDir, path, |shared, _| {
            let id = shared.world.lookup(path)?;
            Ok(shared.world.sync_dir(id)?)
        })
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.step(OpKind::ReadDir, path, |shared, _| {
            let dir = shared.world.dir(shared.world.lookup(path)?)?;
            let entry = |(name, id): (&std::ffi::OsString, &InodeId)| Entry {
                name: name.clone(),
                is_dir: shared.world.is_dir(*id),
            };
            Ok(dir.now.iter().map(entry).collect())
        })
    }

    fn metadata(&self, path: &Path) -> io::Result<Option<Meta>> {
        self.step(OpKind::Metadata, path, |shared, _| match shared.world.lookup(path) {
            Ok(id) => {
                let len = shared.world.file(id).map_or(0, |file| file.now.len());
                let (is_dir, links) = (shared.world.is_dir(id), shared.world.links(id));
                Ok(Some(Meta { len, is_dir, links, inode: id }))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.step(OpKind::RemoveDir, path, |shared, _| Ok(shared.world.remove_dir(path)?))
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        self.step(OpKind::SyncAll, dir, |shared, failure| {
            shared.world.dir(shared.world.lookup(dir)?)?;
            let Shared { world, open, .. } = shared;
            if let Some(Failure::LostSync { evict }) = failure {
                world.lose_all(evict);
                return Err(Errno::IO.into());
            }
            world.sync_all(|id| open.contains_key(&id));
            Ok(())
        })
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.step(OpKind::Metadata, dir, |shared, _| {
            shared.world.dir(shared.world.lookup(dir)?)?;
            Ok(shared.room(0))
        })
    }

    fn lock(&self, path: &Path) -> Result<Lock, LockError> {
        let fail = |source| LockError::Io { path: path.to_owned(), source };
        self.open(path, Open::AppendOrCreate).map_err(fail)?;
        let locked = self.step(OpKind::Lock, path, |shared, _| {
            let inode = shared.world.lookup(path)?;
            let holder = shared.locks.get(&inode).copied();
            if holder.is_none() {
                shared.locks.insert(inode, self.process);
            }
            Ok((inode, holder))
        });
        match locked.map_err(fail)? {
            (inode, None) => Ok(Lock::new(handle::Held { fs: self.clone(), inode })),
            (_, pid) => Err(LockError::Held { path: path.to_owned(), pid }),
        }
    }
}
