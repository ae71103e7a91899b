//! The dictionaries of a store: what its messages have in common, kept twice (`docs/formats/container.md`).
//!
//! Invariants:
//! - A number names one content for ever; both files of it are durable before [`Dictionaries::current`] gives it to
//!   anybody who writes.
//! - None is removed: records of any account may name it. There are few, since each has to be a tenth better than the one
//!   before, and the next is tried after four times as much mail (`training.rs`).

use super::error::StoreError;
use super::files::Files;
use super::message::ReadError;
use super::planted::{Planted, planted};
use super::recovery::{names, sweep_dir};
use dbox_format::{Dictionary, Guid, paths};
use runtime_smol::fs::{self, Fs};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The dictionaries of a store.
pub(crate) struct Dictionaries {
    root: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    read: BTreeMap<u32, Arc<Dictionary>>,
    /// The one that new messages are compressed with.
    current: Option<u32>,
    /// The greatest number that was given.
    last: u32,
}

impl Dictionaries {
    /// Looks at those that there are, and makes the missing or damaged one of two files anew.
    ///
    /// # Errors
    /// The directory can't be listed. What is damaged is told, and is an error for who needs it.
    pub(crate) fn open(files: &Files, root: &Path) -> Result<Self, StoreError> {
        let this = Self { root: root.to_owned(), known: Mutex::default() };
        let mut numbers = Vec::new();
        for second in [false, true] {
            let path = this.path(0, second);
            let dir = fs::parent(&path);
            // What a crash has left of one that was not finished.
            sweep_dir(files.fs(), dir, |name| fs::is_temporary(OsStr::new(name)))?;
            let found = names(files.fs(), dir)?;
            numbers.extend(found.iter().filter_map(|name| parse_name(name)));
        }
        numbers.sort_unstable();
        numbers.dedup();
        for number in numbers {
            let read = this.read(files, number);
            let mut known = this.known();
            known.last = number;
            // One whose files are lost is not gone on with; what it has compressed is lost with it.
            known.current = read.is_ok().then_some(number);
            match read {
                Ok(dictionary) => drop(known.read.insert(number, Arc::new(dictionary))),
                Err(error) => tracing::error!(
                    %error,
                    "a dictionary can't be read: messages that were compressed with it can't be either; bring it back from a backup"
                ),
            }
        }
        Ok(this)
    }

    /// The one that new messages are compressed with.
    pub(crate) fn current(&self) -> Option<Arc<Dictionary>> {
        let known = self.known();
        known.read.get(&known.current?).cloned()
    }

    /// The dictionary with this number; with `wait` false only if no disk is needed for it.
    pub(crate) fn get(
        &self,
        files: &Files,
        number: u32,
        wait: bool,
    ) -> Result<Arc<Dictionary>, ReadError> {
        if let Some(dictionary) = self.known().read.get(&number) {
            return Ok(dictionary.clone());
        }
        if !wait {
            return Err(ReadError::WouldBlock);
        }
        // One that was brought back while the server runs.
        let dictionary = Arc::new(self.read(files, number).map_err(ReadError::Store)?);
        self.known().read.insert(number, dictionary.clone());
        Ok(dictionary)
    }

    /// Makes a dictionary of this content durable; new messages are compressed with it from then on.
    ///
    /// # Errors
    /// It can't be written, or reads otherwise than written: the one before goes on.
    pub(crate) fn add(
        &self,
        files: &Files,
        owner: Guid,
        created: i64,
        content: Vec<u8>,
    ) -> Result<Arc<Dictionary>, StoreError> {
        // A number is used up, whatever becomes of its files.
        let number = {
            let mut known = self.known();
            known.last += 1;
            known.last
        };
        let dictionary = Dictionary { number, owner, created, content };
        let mut bytes = Vec::new();
        let error = |_| StoreError::Cannot("a dictionary of that length can't be kept");
        dictionary.write(&mut bytes).map_err(error)?;
        for second in [false, true] {
            let path = self.path(number, second);
            let written = if planted(Planted::DictionaryUnsynced) {
                write_unsynced(files.fs(), &path, &bytes)
            } else {
                write(files.fs(), &path, &bytes)
            };
            written.map_err(|error| StoreError::io("write", &path, error))?;
        }
        let dictionary = Arc::new(dictionary);
        let mut known = self.known();
        known.read.insert(number, dictionary.clone());
        known.current = Some(number);
        Ok(dictionary)
    }

    /// Reads both files of a dictionary; makes the one anew that is missing or damaged.
    fn read(&self, files: &Files, number: u32) -> Result<Dictionary, StoreError> {
        let read = |second| {
            let path = self.path(number, second);
            let damaged = |why: &dyn std::fmt::Display| StoreError::damaged(&path, why);
            let bytes = fs::read_all(files.fs(), &path).map_err(|error| {
                if error.kind() == io::ErrorKind::NotFound {
                    damaged(&"it is missing")
                } else {
                    StoreError::io("read", &path, error)
                }
            })?;
            let dictionary = Dictionary::parse(&bytes).map_err(|error| damaged(&error))?;
            if dictionary.number == number {
                Ok(dictionary)
            } else {
                Err(damaged(&"it is another dictionary"))
            }
        };
        let (bad, error, dictionary) = match (read(false), read(true)) {
            (Ok(first), Ok(_)) => return Ok(first),
            (Ok(dictionary), Err(error)) => (true, error, dictionary),
            (Err(error), Ok(dictionary)) => (false, error, dictionary),
            (Err(error), Err(_)) => return Err(error),
        };
        let path = self.path(number, bad);
        let mut bytes = Vec::new();
        let made = dictionary.write(&mut bytes).map_err(io::Error::other);
        match made.and_then(|()| write(files.fs(), &path, &bytes)) {
            Ok(()) => {
                tracing::warn!(%error, "one of the two files of a dictionary was made anew from the other");
            }
            Err(failed) => {
                tracing::error!(%error, %failed, "one of the two files of a dictionary is lost, and can't be made anew from the other");
            }
        }
        Ok(dictionary)
    }

    fn path(&self, number: u32, second: bool) -> PathBuf {
        self.root.join(paths::dictionary(number, second))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dirs_synced(fs, fs::parent(path))?;
    fs::replace_verified(fs, path, bytes)
}

/// What a planted fault does instead.
fn write_unsynced(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs.create_dir_all(fs::parent(path))?;
    let file = fs.open(path, fs::Open::Write)?;
    file.write_at(&[io::IoSlice::new(bytes)], 0)
}

fn parse_name(name: &str) -> Option<u32> {
    let number = u32::from_str_radix(name.strip_prefix("d.")?, 16).ok()?;
    paths::dictionary(number, false).ends_with(name).then_some(number)
}
