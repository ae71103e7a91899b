//! One process at a time.

use std::any::Any;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// A lock that is held until this value goes.
pub struct Lock {
    /// What releases it when dropped.
    _held: Box<dyn Any + Send + Sync>,
}

impl Lock {
    pub(crate) fn new(held: impl Any + Send + Sync) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error("{} is held by process {}", path.display(), pid.map_or("(unknown)".to_owned(), |pid| pid.to_string()))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who wrote its process id there last; `None` when the file doesn't say.
        pid: Option<u32>,
    },
    /// The lock file can't be used.
    #[error("can't lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}
