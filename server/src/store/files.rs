//! The files of a store that are open, and the limit on how many.

use super::error::StoreError;
use runtime_smol::fs::{File, Fs, Open};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Open files by path; the ones used longest ago are closed when there are too many.
///
/// One entry serves every use of a file: containers are opened for positional writes, logs for appending, and
/// both read.
pub(crate) struct Files {
    fs: Arc<dyn Fs>,
    limit: usize,
    open: Mutex<Known>,
    /// A sync of files that the journal covers failed: what they hold is not to be believed.
    suspect: AtomicBool,
    /// Damage that was told of: the file, and what is wrong with it.
    told: Mutex<HashSet<(PathBuf, String)>>,
}

/// Most damages that are remembered as told; beyond, they are told again.
const TOLD: usize = 1024;

#[derive(Default)]
struct Known {
    files: HashMap<PathBuf, (u64, Arc<dyn File>)>,
    uses: u64,
}

impl Files {
    pub(crate) fn new(fs: Arc<dyn Fs>, limit: usize) -> Self {
        let suspect = AtomicBool::new(false);
        Self { fs, limit: limit.max(8), open: Mutex::default(), suspect, told: Mutex::default() }
    }

    /// The file system below.
    pub(crate) fn fs(&self) -> &dyn Fs {
        &*self.fs
    }

    /// The file at `path`, opened as `how` unless it is open already.
    pub(crate) fn get(&self, path: &Path, how: Open) -> Result<Arc<dyn File>, StoreError> {
        let mut known = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        known.uses += 1;
        let uses = known.uses;
        if let Some((used, file)) = known.files.get_mut(path) {
            *used = uses;
            return Ok(file.clone());
        }
        drop(known);
        let file = self.fs.open(path, how).map_err(|error| StoreError::io("open", path, error))?;
        let mut known = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if known.files.len() >= self.limit {
            known.close_oldest();
        }
        // Somebody else may have been first; all must use one handle, or their offsets would differ.
        let (_, file) = known.files.entry(path.to_owned()).or_insert((uses, file));
        Ok(file.clone())
    }

    /// Syncs a file that the journal covers.
    ///
    /// # Errors
    /// Those of the disk. Then what was written can be read and may be lost all the same, and a second sync would say
    /// nothing of it: the files are suspect until they have been brought up to the journal again.
    pub(crate) fn sync(&self, path: &Path) -> io::Result<()> {
        let file = self.fs.open(path, Open::Append)?;
        file.sync_data().inspect_err(|_| self.set_suspect(true))
    }

    /// Whether what files hold that the journal covers is not to be believed.
    pub(crate) fn is_suspect(&self) -> bool {
        self.suspect.load(Ordering::Acquire)
    }

    pub(crate) fn set_suspect(&self, suspect: bool) {
        self.suspect.store(suspect, Ordering::Release);
    }

    /// All bytes of a file that is not kept open: at most `longest`, and with `wait` false only up to `inline` of them that
    /// memory has.
    pub(crate) fn read_whole(
        &self,
        path: &Path,
        sizes: (usize, usize),
        wait: bool,
    ) -> io::Result<Vec<u8>> {
        self.read_whole_into(Vec::new(), path, sizes, wait)
    }

    /// The same into `bytes`, whatever they are, if these have room: memory that was used before is there already.
    pub(crate) fn read_whole_into(
        &self,
        mut bytes: Vec<u8>,
        path: &Path,
        (inline, longest): (usize, usize),
        wait: bool,
    ) -> io::Result<Vec<u8>> {
        let file = self.fs.open(path, Open::Read)?;
        let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        if len > longest {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if len > inline && !wait {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if bytes.capacity() < len {
            // A little more, so that it serves files that are somewhat longer; what isn't used is no memory yet.
            bytes = vec![0; len + len / 8];
        }
        bytes.resize(len, 0);
        let mut have = 0;
        while let Some(rest) = bytes.get_mut(have..).filter(|rest| !rest.is_empty()) {
            let at = have as u64;
            match if wait { file.read_at(rest, at)? } else { file.read_now(rest, at)? } {
                0 => break,
                n => have += n,
            }
        }
        bytes.truncate(have);
        Ok(bytes)
    }

    /// Whether this is the first time that somebody finds `why` wrong with `path`: then it is to be told. Damage that costs
    /// no answer is found each time the file is read, until it is written anew.
    pub(crate) fn is_news(&self, path: &Path, why: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= TOLD {
            told.clear();
        }
        told.insert((path.to_owned(), why.to_owned()))
    }

    /// Closes everything below `directory`.
    pub(crate) fn forget_below(&self, directory: &Path) {
        let mut known = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        known.files.retain(|path, _| !path.starts_with(directory));
    }
}

impl Known {
    /// Closes the quarter that was used longest ago.
    fn close_oldest(&mut self) {
        let mut uses: Vec<u64> = self.files.values().map(|(used, _)| *used).collect();
        let quarter = uses.len() / 4;
        let (_, &mut limit, _) = uses.select_nth_unstable(quarter);
        self.files.retain(|_, (used, _)| *used >= limit);
    }
}
