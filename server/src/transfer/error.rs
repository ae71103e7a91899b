//! Why moving mail ends.

use crate::control::client;
use std::io;
use std::path::{Path, PathBuf};

/// Why mail can't be exported or imported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server is of no use.
    #[error(transparent)]
    Server(#[from] client::Error),
    /// It says NO or BAD.
    #[error("the server refuses {command:?}: {why}")]
    Refused {
        /// What it was told.
        command: String,
        /// What it said.
        why: String,
    },
    /// It ended the session.
    #[error("the server ended the session: {0}; run this again to go on")]
    Bye(String),
    /// A file or directory can't be used.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Where it goes can't be written.
    #[error("cannot write: {0}")]
    Write(io::Error),
    /// No such mailbox.
    #[error("no mailbox is called {name:?}; there are: {there}")]
    Unknown {
        /// What was named.
        name: String,
        /// Those there are.
        there: String,
    },
    /// The source is something else.
    #[error("{} is no {wanted}: {why}", path.display())]
    Source {
        /// The source.
        path: PathBuf,
        /// What was wanted.
        wanted: &'static str,
        /// What it lacks.
        why: &'static str,
    },
}

impl Error {
    pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}
