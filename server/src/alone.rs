//! The mail without a server: for a tool that finds none running.
//!
//! Invariant: whoever is not the owner of the mail leaves no files there, which the server could not use.

use crate::assembly;
use crate::store::{Store, StoreConfig, StoreError};
use runtime_smol::Clock;
use runtime_smol::fs::RealFs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why the mail can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no store.
    #[error("there is no mail in {}: no store was ever made there", data.display())]
    NoStore {
        /// The data directory.
        data: PathBuf,
    },
    /// The mail is somebody else's.
    #[error("no server runs, and the mail in {} belongs to another user: run this as that user", data.display())]
    Owner {
        /// The data directory.
        data: PathBuf,
    },
    /// The store can't be opened.
    #[error("no server runs, and the store can't be opened: {0}")]
    Store(#[from] StoreError),
    /// What was to be done can't be.
    #[error("{0}")]
    Refused(String),
}

/// Opens the store and does `work` with it.
///
/// # Errors
/// When there is no store, or it can't be opened, and those of `work`.
pub(crate) fn with_store(
    data: &Path,
    config: StoreConfig,
    work: impl FnOnce(&Arc<Store>) -> Result<u64, String>,
) -> Result<(), Error> {
    check_owner(data)?;
    // Opening would make a store where there is none.
    if !is_there(data) {
        return Err(Error::NoStore { data: data.to_owned() });
    }
    let clock = Clock::new();
    let wall = Box::new(move || i64::try_from(clock.wall()).unwrap_or(i64::MAX));
    let store = Store::open(Arc::new(RealFs), data, config, Arc::new(assembly::random), wall)?;
    let done = work(&store);
    store.last_checkpoint(&clock);
    done.map(|_| ()).map_err(Error::Refused)
}

/// Whether the mail is that of whoever runs this, or there is none.
///
/// # Errors
/// [`Error::Owner`]
pub(crate) fn check_owner(data: &Path) -> Result<(), Error> {
    let owner = std::fs::metadata(journal(data)).or_else(|_| std::fs::metadata(data));
    match owner {
        Ok(owner) if owner.uid() != rustix::process::geteuid().as_raw() => {
            Err(Error::Owner { data: data.to_owned() })
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn is_there(data: &Path) -> bool {
    std::fs::metadata(journal(data)).is_ok()
}

fn journal(data: &Path) -> PathBuf {
    data.join("journal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_store_is_made_where_there_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("mail");
        let opened = with_store(&data, StoreConfig::default(), |_| Ok(0));
        assert!(matches!(opened, Err(Error::NoStore { .. })), "{opened:?}");
        assert!(!data.exists());
    }
}
