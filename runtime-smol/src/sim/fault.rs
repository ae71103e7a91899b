//! Operations by number and kind, and what may go wrong with them.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// What an operation does.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum OpKind {
    /// Opens a file that exists.
    Open,
    /// Opens a file that it makes.
    Create,
    /// `File::read_at` and `File::read_now`.
    Read,
    /// `File::append`.
    Append,
    /// `File::write_at`.
    Write,
    /// `File::sync_data`.
    SyncData,
    /// `Fs::rename`.
    Rename,
    /// `Fs::link`.
    Link,
    /// `Fs::unlink`.
    Unlink,
    /// `Fs::create_dir_all`.
    CreateDir,
    /// `Fs::remove_dir`.
    RemoveDir,
    /// `Fs::sync_dir`.
    SyncDir,
    /// `Fs::sync_all`.
    SyncAll,
    /// `Fs::read_dir`.
    ReadDir,
    /// `Fs::metadata`.
    Metadata,
    /// `Fs::lock`.
    Lock,
}

impl OpKind {
    /// Whether a crash at this operation can leave something else than a crash at the one before.
    #[must_use]
    pub fn changes_disk(self) -> bool {
        match self {
            Self::Create
            | Self::Append
            | Self::Write
            | Self::SyncData
            | Self::Rename
            | Self::Link
            | Self::Unlink
            | Self::CreateDir
            | Self::RemoveDir
            | Self::SyncDir
            | Self::SyncAll => true,
            Self::Open | Self::Read | Self::ReadDir | Self::Metadata | Self::Lock => false,
        }
    }

    fn takes_space(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Append | Self::Write | Self::Rename | Self::Link | Self::CreateDir
        )
    }
}

/// One operation that was done, or tried.
#[derive(Clone, Eq, PartialEq)]
pub struct Op {
    /// Its number; the first is 0.
    pub number: u64,
    /// What it does.
    pub kind: OpKind,
    /// What it was done to; of a rename or link, the new name.
    pub path: Arc<Path>,
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {}", self.number, self.kind, self.path.display())
    }
}

/// When something goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum When {
    /// At the operation of this number, or with [`Fault::lasting`] at each one from it on.
    Op(u64),
    /// At the operation of this kind that comes after `skip` others of its kind from now, or from there on.
    Kind {
        /// The kind.
        kind: OpKind,
        /// How many of the kind pass before.
        skip: u64,
    },
    /// At each operation on a path that has this in it: so one directory fails, and others do not.
    Path(&'static str),
}

/// What goes wrong. It concerns only operations that can fail so; others pass unharmed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// `EIO`, by any operation. A sync of bytes that fails so has lost them: see `LostSync`.
    Io,
    /// `ENOSPC`, by operations that take space.
    NoSpace,
    /// `EDQUOT`, by operations that take space.
    Quota,
    /// `EMFILE`, by operations that open something.
    TooManyFiles,
    /// An append that writes at most this many bytes, and says so.
    Short(usize),
    /// `EIO` by a sync of bytes, after which the kernel holds the pages for clean: they may be on disk or not, and no
    /// later sync writes them. With `evict` they are not, and reads see that at once.
    LostSync {
        /// Whether the kernel also forgets the pages.
        evict: bool,
    },
}

impl Failure {
    pub(super) fn concerns(self, kind: OpKind) -> bool {
        match self {
            Self::Io => true,
            Self::NoSpace | Self::Quota => kind.takes_space(),
            Self::TooManyFiles => matches!(
                kind,
                OpKind::Open
                    | OpKind::Create
                    | OpKind::SyncDir
                    | OpKind::SyncAll
                    | OpKind::ReadDir
                    | OpKind::Lock
            ),
            Self::Short(_) => kind == OpKind::Append,
            Self::LostSync { .. } => matches!(kind, OpKind::SyncData | OpKind::SyncAll),
        }
    }
}

/// Something that goes wrong at some time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fault {
    /// When it begins.
    pub when: When,
    /// What it is.
    pub what: Failure,
    /// Whether it stays so until [`super::SimFs::clear_faults`], or happens once.
    pub lasting: bool,
}

/// A fault, and how far its count is.
pub(super) struct Armed {
    fault: Fault,
    seen: u64,
    done: bool,
}

impl Armed {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, seen: 0, done: false }
    }

    /// Counts the operation, and says what goes wrong with it.
    pub(super) fn strike(&mut self, number: u64, kind: OpKind, path: &Path) -> Option<Failure> {
        let due = match self.fault.when {
            When::Op(at) => number == at || (self.fault.lasting && number > at),
            When::Kind { kind: wanted, skip } => {
                let matches = kind == wanted;
                self.seen += u64::from(matches);
                matches && self.seen > skip
            }
            When::Path(part) => path.to_str().is_some_and(|path| path.contains(part)),
        };
        if !due || self.done || !self.fault.what.concerns(kind) {
            return None;
        }
        self.done = !self.fault.lasting;
        Some(self.fault.what)
    }
}
