//! Why the store could not do what was asked.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A failure of the store, or a refusal that its caller has to pass on.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused; nothing was acknowledged.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Another process writes this store.
    #[error(
        "{path} is in use by process {pid}; stop that server, or name another directory with --data"
    )]
    InUse {
        /// The store.
        path: PathBuf,
        /// The process that holds it.
        pid: u32,
    },
    /// A file of the store says what cannot be.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        why: String,
    },
    /// The disk is full, or nearly so.
    #[error("no room left in {path}; free some space, service resumes by itself")]
    Full {
        /// The store.
        path: PathBuf,
    },
    /// What this answer depended on could not be made durable; the account's state was dropped.
    #[error("the change could not be made durable")]
    Lost,
    /// The account is made anew just now.
    #[error("this account is being rebuilt; try again when that has ended")]
    Closed,
    /// The store is stopping.
    #[error("the store is stopping")]
    Stopping,
    /// The message is larger than the store takes.
    #[error("a message may have {max} bytes")]
    TooLarge {
        /// The limit, bytes.
        max: u64,
    },
    /// No mailbox of that name.
    #[error("no such mailbox")]
    NoMailbox,
    /// The name is taken.
    #[error("a mailbox of that name exists")]
    MailboxExists,
    /// Messages that were named are gone.
    #[error("some of the messages are gone")]
    Gone,
    /// What was asked is never possible with this mailbox.
    #[error("{0}")]
    Cannot(&'static str),
    /// A bound of the store was reached.
    #[error("{what}: at most {max}")]
    Limit {
        /// What there would be too many of.
        what: &'static str,
        /// How many are allowed.
        max: u64,
    },
}

impl StoreError {
    /// An [`StoreError::Io`] for `path`; the errors that say "full" become [`StoreError::Full`].
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        if full.contains(&source.kind()) {
            Self::Full { path: path.to_owned() }
        } else {
            Self::Io { what, path: path.to_owned(), source: Arc::new(source) }
        }
    }

    /// A [`StoreError::Damaged`] for `path`.
    pub(crate) fn damaged(path: &Path, why: impl std::fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.to_string() }
    }
}
