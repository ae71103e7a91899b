//! Why a backup can't be made, read or brought back.

use crate::store::StoreError;
use std::io;
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refuses something in the backup directory.
    #[error("cannot {what} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There are other things in it.
    #[error("{} is not empty and no backup: name another directory", dir.display())]
    Foreign {
        /// The directory.
        dir: PathBuf,
    },
    /// It is no backup.
    #[error("{} is no backup: `loft backup create` makes one", dir.display())]
    None {
        /// The directory.
        dir: PathBuf,
    },
    /// It is that of another store.
    #[error("{} has the backups of another store; each store needs a directory of its own", dir.display())]
    OtherStore {
        /// The directory.
        dir: PathBuf,
    },
    /// Somebody else writes it.
    #[error("{} is in use by process {pid}: wait for that to end", dir.display())]
    Busy {
        /// The directory.
        dir: PathBuf,
        /// Who.
        pid: u32,
    },
    /// A newer Loft wrote it.
    #[error("{} is of version {found}, this program reads version 1: use a newer one", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Something in it is damaged.
    #[error("{} is damaged: {why}; `loft backup verify` says what that costs, another --generation may have it whole", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// No such generation.
    #[error("there is no generation {number}; `loft backup list` shows those there are")]
    NoGeneration {
        /// Which.
        number: u64,
    },
    /// It has no generation at all.
    #[error("{} has no finished backup yet: run `loft backup create` again, it goes on where it stopped", dir.display())]
    Unfinished {
        /// The directory.
        dir: PathBuf,
    },
    /// The account isn't in it.
    #[error("generation {generation} has no account {user:?}{}", elsewhere(there))]
    NoAccount {
        /// Who was asked for.
        user: String,
        /// Where.
        generation: u64,
        /// Generations that have it.
        there: Vec<u64>,
    },
    /// The account is there already.
    #[error(
        "{user} has mail here already, and it stays as it is. Restore under another name with --as; or, while no server \
         runs, with --replace, which puts what is there aside and gives the mailboxes new UIDVALIDITYs"
    )]
    Exists {
        /// Whose.
        user: String,
    },
    /// Replacing needs the store alone.
    #[error(
        "a running server can't have an account replaced under it: stop it, and run this again"
    )]
    Running,
    /// The name can't be one of an account.
    #[error("{0}")]
    Name(String),
    /// A file of all accounts is another one here.
    #[error(
        "{file} is another one in this store, and mail of the backup needs its own: restore into an empty directory \
         (--into), and take the mail from there with `loft export`"
    )]
    Conflict {
        /// Below the store.
        file: String,
    },
    /// A file of all accounts is missing in a running store.
    #[error(
        "{file} is missing in this store, and a running server can't take it in: stop it, and run this again"
    )]
    Missing {
        /// Below the store.
        file: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Who asked has gone.
    #[error("it was interrupted: run it again, it goes on where it stopped")]
    Interrupted,
}

impl Error {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn damaged(path: &Path, why: impl std::fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), why: why.to_string() }
    }
}

fn hint(source: &io::Error) -> &'static str {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let kind = source.kind();
    if [StorageFull, QuotaExceeded].contains(&kind) {
        "; make room and run this again: it goes on where it stopped"
    } else if [PermissionDenied, ReadOnlyFilesystem].contains(&kind) {
        "; the server's user must be able to use it (with systemd: ReadWritePaths=)"
    } else {
        ""
    }
}

fn elsewhere(there: &[u64]) -> String {
    match there {
        [] => "; `loft backup list` shows what there is".to_owned(),
        [.., newest] => format!("; generation {newest} has it: name that with --generation"),
    }
}
