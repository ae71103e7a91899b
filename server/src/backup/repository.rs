//! A backup directory: its objects, its generations, and what an interrupted run has left of use.
//!
//! `loft-backup` says whose backups these are; `objects/ab/HASH` are the objects; `generations/0000000001` and on are
//! the finished backups; `partial` notes what an unfinished one has copied so far, only what is durable.

use super::error::Error;
use super::manifest::{Generation, Manifest, Name, Object, VERSION, decode, line, sealed, unseal};
use crate::store::{Planted, planted};
use dbox_format::attachment::{Hash, Hasher};
use runtime_smol::fs::{self, File, Fs, Lock, LockError, Open};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes after which what was copied is made durable and noted.
const NOTED: u64 = if cfg!(test) { 500 } else { 64 << 20 };

/// See the module.
pub(crate) struct Repository {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) dir: PathBuf,
    /// The store's GUID.
    pub(crate) store: String,
    _lock: Option<Lock>,
}

/// What `loft-backup` says.
#[derive(Deserialize, Serialize)]
struct Mark {
    version: u32,
    store: String,
}

/// A line of `partial`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Note {
    /// All of an account was copied, and this is its manifest.
    Account { user: String, manifest: Object },
    /// An object has bytes of a file, from `from` on.
    Bytes { user: String, path: String, front: Option<Name>, from: u64, object: Object },
}

/// What is in the directory already of what is to be copied.
#[derive(Default)]
pub(crate) struct Known {
    /// The newest manifest of each account.
    pub(crate) manifests: BTreeMap<String, Object>,
    /// Objects of an interrupted run: user, path, what tells the file from others, first byte.
    bytes: BTreeMap<(String, String, Option<Name>, u64), Object>,
}

impl Known {
    /// An object with bytes of this file from `from` on.
    pub(crate) fn bytes(
        &self,
        (user, path): (&str, &str),
        front: Option<Name>,
        from: u64,
    ) -> Option<Object> {
        if self.bytes.is_empty() {
            return None;
        }
        self.bytes.get(&(user.to_owned(), path.to_owned(), front, from)).copied()
    }
}

impl Repository {
    /// Opens a backup directory to read it.
    pub(crate) fn open(fs: Arc<dyn Fs>, dir: &Path) -> Result<Self, Error> {
        let path = dir.join("loft-backup");
        match fs::read_all(&*fs, &path) {
            Ok(bytes) => {
                let Mark { store, .. } = unseal(&path, &bytes)?;
                Ok(Self { fs, dir: dir.to_owned(), store, _lock: None })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Error::None { dir: dir.to_owned() })
            }
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    /// Opens the backup directory of a store to write it, and makes it where there is none. Nobody else can meanwhile.
    pub(crate) fn create(fs: Arc<dyn Fs>, dir: &Path, store: &str) -> Result<Self, Error> {
        fs::create_dirs_synced(&*fs, dir).map_err(Error::io("create", dir))?;
        let there = fs.read_dir(dir).map_err(Error::io("list", dir))?;
        let marked = there.iter().any(|entry| entry.name == "loft-backup");
        let foreign = there.iter().any(|e| e.name != "lock" && !fs::is_temporary(&e.name));
        if !marked && foreign {
            return Err(Error::Foreign { dir: dir.to_owned() });
        }
        let lock = fs.lock(&dir.join("lock")).map_err(|error| match error {
            LockError::Held { pid, .. } => {
                Error::Busy { dir: dir.to_owned(), pid: pid.unwrap_or(0) }
            }
            LockError::Io { source, .. } => Error::io("lock", dir)(source),
            other => Error::io("lock", dir)(std::io::Error::other(other)),
        })?;
        if !marked {
            let path = dir.join("loft-backup");
            let mark = sealed(&Mark { version: VERSION, store: store.to_owned() });
            fs::replace_verified(&*fs, &path, &mark).map_err(Error::io("write", &path))?;
        }
        let this = Self { _lock: Some(lock), ..Self::open(fs, dir)? };
        if this.store != store {
            return Err(Error::OtherStore { dir: dir.to_owned() });
        }
        for below in ["objects", "generations"] {
            let path = dir.join(below);
            fs::create_dirs_synced(&*this.fs, &path).map_err(Error::io("create", &path))?;
        }
        Ok(this)
    }

    /// The numbers of the generations, ascending.
    pub(crate) fn generations(&self) -> Result<Vec<u64>, Error> {
        let dir = self.dir.join("generations");
        let entries = match self.fs.read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::io("list", &dir)(error)),
        };
        let number =
            |name: &str| name.parse().ok().filter(|number| generation_name(*number) == name);
        let mut numbers: Vec<u64> =
            entries.iter().filter_map(|entry| number(entry.name.to_str()?)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Where a generation is.
    pub(crate) fn generation_path(&self, number: u64) -> PathBuf {
        self.dir.join("generations").join(generation_name(number))
    }

    /// A generation; the newest when none is named.
    pub(crate) fn generation(&self, number: Option<u64>) -> Result<Generation, Error> {
        let number = match number {
            Some(number) => number,
            None => *self
                .generations()?
                .last()
                .ok_or_else(|| Error::Unfinished { dir: self.dir.clone() })?,
        };
        let path = self.generation_path(number);
        match fs::read_all(&*self.fs, &path) {
            Ok(bytes) => unseal(&path, &bytes),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Error::NoGeneration { number })
            }
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    /// Where an object is.
    pub(crate) fn object_path(&self, name: Name) -> PathBuf {
        let name = name.0.to_string();
        self.dir.join("objects").join(name.get(..2).unwrap_or_default()).join(name)
    }

    /// The bytes of a short object, which were held against its name.
    pub(crate) fn object(&self, object: Object) -> Result<Vec<u8>, Error> {
        let path = self.object_path(object.name);
        let bytes = fs::read_all(&*self.fs, &path).map_err(|error| {
            if error.kind() == ErrorKind::NotFound {
                Error::damaged(&path, "it is missing")
            } else {
                Error::io("read", &path)(error)
            }
        })?;
        if bytes.len() as u64 != object.len || Hash::of(&bytes) != object.name.0 {
            return Err(Error::damaged(&path, "it does not have the bytes it is named after"));
        }
        Ok(bytes)
    }

    /// What an account's line leads to.
    pub(crate) fn manifest(&self, object: Object) -> Result<Manifest, Error> {
        decode(&self.object_path(object.name), &self.object(object)?)
    }

    /// Whether an object is there, as far as its length says.
    pub(crate) fn has(&self, object: Object) -> Result<bool, Error> {
        let path = self.object_path(object.name);
        let meta = self.fs.metadata(&path).map_err(Error::io("look at", &path))?;
        Ok(meta.is_some_and(|meta| meta.len == object.len))
    }

    /// All that finished and interrupted runs have copied. A generation that can't be read has copied nothing.
    pub(crate) fn known(&self) -> Result<Known, Error> {
        let mut known = Known::default();
        for number in self.generations()? {
            match self.generation(Some(number)) {
                Ok(Generation { accounts, shared, .. }) => {
                    let saved = accounts.into_iter().map(|saved| (saved.user, saved.manifest));
                    known.manifests.extend(saved);
                    known.manifests.insert(String::new(), shared);
                }
                Err(Error::Damaged { path, why }) => {
                    tracing::error!(file = %path.display(), why, "a generation of the backup is damaged");
                }
                Err(error) => return Err(error),
            }
        }
        let path = self.dir.join("partial");
        let bytes = match fs::read_all(&*self.fs, &path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(known),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let mut whole = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            match serde_json::from_slice(line) {
                Ok(Note::Account { user, manifest }) => {
                    known.manifests.insert(user, manifest);
                }
                Ok(Note::Bytes { user, path, front, from, object }) => {
                    known.bytes.insert((user, path, front, from), object);
                }
                // A crash may have cut it off here.
                Err(_) => break,
            }
            whole += line.len();
        }
        if whole < bytes.len() {
            let whole = bytes.get(..whole).unwrap_or_default();
            fs::replace(&*self.fs, &path, whole).map_err(Error::io("write", &path))?;
        }
        Ok(known)
    }

    /// Removes all generations but the newest `keep`, and what they alone needed; how many bytes.
    pub(crate) fn prune(&self, keep: usize) -> Result<u64, Error> {
        let numbers = self.generations()?;
        let going = numbers.len().saturating_sub(keep.max(1));
        let (old, kept) = numbers.split_at_checked(going).unwrap_or_default();
        if old.is_empty() {
            return Ok(0);
        }
        let mut needed = BTreeSet::new();
        for number in kept {
            // One that can't be read keeps everything: what it needs isn't known.
            let Generation { accounts, shared, .. } = self.generation(Some(*number))?;
            for manifest in accounts.iter().map(|saved| saved.manifest).chain([shared]) {
                if needed.insert(manifest.name) {
                    let objects = self.manifest(manifest)?.objects;
                    needed.extend(objects.iter().map(|object| object.name));
                }
            }
        }
        for number in old {
            let path = self.generation_path(*number);
            self.fs.unlink(&path).map_err(Error::io("remove", &path))?;
        }
        let dir = self.dir.join("generations");
        // Before the first of their objects goes.
        self.fs.sync_dir(&dir).map_err(Error::io("sync", &dir))?;
        let mut freed = 0;
        let objects = self.dir.join("objects");
        for entry in self.fs.read_dir(&objects).map_err(Error::io("list", &objects))? {
            if !entry.is_dir {
                continue;
            }
            let dir = objects.join(&entry.name);
            for entry in self.fs.read_dir(&dir).map_err(Error::io("list", &dir))? {
                let name = entry.name.to_str().and_then(Name::parse);
                if name.is_some_and(|name| needed.contains(&name)) {
                    continue;
                }
                let path = dir.join(&entry.name);
                let meta = self.fs.metadata(&path).map_err(Error::io("look at", &path))?;
                self.fs.unlink(&path).map_err(Error::io("remove", &path))?;
                freed += meta.map_or(0, |meta| meta.len);
            }
        }
        Ok(freed)
    }
}

fn generation_name(number: u64) -> String {
    format!("{number:010}")
}

/// Adds to a backup directory.
pub(crate) struct Writer<'a> {
    repository: &'a Repository,
    /// Bytes of objects that were not there before.
    pub(crate) added: u64,
    /// Bytes since the last time that all was made durable.
    unsynced: u64,
    waiting: Vec<Note>,
    folders: BTreeSet<PathBuf>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(repository: &'a Repository) -> Self {
        let (waiting, folders) = (Vec::new(), BTreeSet::new());
        Self { repository, added: 0, unsynced: 0, waiting, folders }
    }

    /// Begins an object that streams.
    pub(crate) fn begin(&self) -> Result<Incoming, Error> {
        let fs = &*self.repository.fs;
        let path = self.repository.dir.join("objects").join("incoming");
        match fs.unlink(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io("remove", &path)(error));
            }
            Ok(()) | Err(_) => {}
        }
        let file = fs.open(&path, Open::Write).map_err(Error::io("create", &path))?;
        Ok(Incoming { file, path, hasher: Hasher::new() })
    }

    /// Gives an object its name. One of that name is replaced: unless a generation names it, nobody knows whether a crash
    /// has left all of it.
    pub(crate) fn finish(&mut self, incoming: Incoming) -> Result<Object, Error> {
        let Incoming { file, path, hasher } = incoming;
        drop(file);
        let object = Object { name: Name(hasher.hash()), len: hasher.len() };
        let to = self.repository.object_path(object.name);
        let dir = fs::parent(&to);
        if !self.folders.contains(dir) {
            self.repository.fs.create_dir_all(dir).map_err(Error::io("create", dir))?;
            self.folders.insert(dir.to_owned());
        }
        if !self.repository.has(object)? {
            self.added += object.len;
        }
        self.unsynced += object.len;
        self.repository.fs.rename(&path, &to).map_err(Error::io("rename", &path))?;
        Ok(object)
    }

    /// Adds a short object, unless it is `known` to be there.
    pub(crate) fn put(&mut self, bytes: &[u8], known: Option<Object>) -> Result<Object, Error> {
        let object = Object { name: Name(Hash::of(bytes)), len: bytes.len() as u64 };
        if known == Some(object) && self.repository.has(object)? {
            return Ok(object);
        }
        let mut incoming = self.begin()?;
        incoming.write(bytes)?;
        self.finish(incoming)
    }

    /// Has the next run know, should this one be interrupted, that an object has bytes of a file.
    pub(crate) fn note_bytes(
        &mut self,
        (user, path): (&str, &str),
        front: Option<Name>,
        from: u64,
        object: Object,
    ) -> Result<(), Error> {
        let (user, path) = (user.to_owned(), path.to_owned());
        self.waiting.push(Note::Bytes { user, path, front, from, object });
        self.note(false)
    }

    /// The same, that all of an account was copied.
    pub(crate) fn note_account(&mut self, user: &str, manifest: Object) -> Result<(), Error> {
        self.waiting.push(Note::Account { user: user.to_owned(), manifest });
        self.note(false)
    }

    fn note(&mut self, now: bool) -> Result<(), Error> {
        if !now && self.unsynced < NOTED {
            return Ok(());
        }
        let Repository { fs, dir, .. } = self.repository;
        if !planted(Planted::GenerationBeforeSync) {
            fs.sync_all(dir).map_err(Error::io("sync", dir))?;
        }
        self.unsynced = 0;
        if now {
            return Ok(());
        }
        let lines: Vec<u8> = self.waiting.drain(..).flat_map(|note| line(&note)).collect();
        let path = dir.join("partial");
        let file = fs.open(&path, Open::AppendOrCreate).map_err(Error::io("open", &path))?;
        let written = file.append(&[IoSlice::new(&lines)]).map_err(Error::io("write", &path))?;
        if written < lines.len() {
            return Err(Error::io("write", &path)(ErrorKind::StorageFull.into()));
        }
        file.sync_data().map_err(Error::io("sync", &path))?;
        fs.sync_dir(dir).map_err(Error::io("sync", dir))
    }

    /// Finishes: everything is durable, then the generation is there.
    pub(crate) fn publish(mut self, generation: &Generation) -> Result<(), Error> {
        self.note(true)?;
        let Repository { fs, dir, .. } = self.repository;
        let path = self.repository.generation_path(generation.number);
        fs::replace_verified(&**fs, &path, &sealed(generation))
            .map_err(Error::io("write", &path))?;
        // What it says, the generation says.
        let partial = dir.join("partial");
        match fs.unlink(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io("remove", &partial)(error));
            }
            Ok(()) | Err(_) => {}
        }
        fs.sync_dir(dir).map_err(Error::io("sync", dir))
    }
}

/// An object on its way.
pub(crate) struct Incoming {
    file: Arc<dyn File>,
    path: PathBuf,
    hasher: Hasher,
}

impl Incoming {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_at(&[IoSlice::new(bytes)], self.hasher.len())
            .map_err(Error::io("write", &self.path))?;
        self.hasher.update(bytes);
        Ok(())
    }
}
