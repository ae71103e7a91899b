//! Files behind a trait, so that storage code can be tested against power loss.
//!
//! [`RealFs`] is the kernel; [`crate::sim::SimFs`] is a file system in memory that forgets, tears and reorders what was
//! not synced. Both obey the same rules, and one behavioural test-suite runs on both:
//! - Nothing is durable before a sync: bytes by [`File::sync_data`], names by [`Fs::sync_dir`] of the directory that
//!   holds them, everything by [`Fs::sync_all`].
//! - [`File::append`] is one `write(2)` on an `O_APPEND` descriptor and is never continued.
//! - A sync that failed once has lost what it was to make durable: trying it again proves nothing.
//!
//! All calls block the calling thread; only [`File::read_now`] promises not to wait for a disk.

mod lock;
mod real;
mod whole;

use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

pub use lock::{Lock, LockError};
pub use real::RealFs;
pub use whole::{
    create_dirs_synced, create_linked, is_temporary, parent, read_all, read_exact_at, replace,
    replace_verified,
};

/// How [`Fs::open`] opens a file. Every mode may also read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Open {
    /// An existing file, for reading alone.
    Read,
    /// An existing file, for appending.
    Append,
    /// A new file, for appending; [`io::ErrorKind::AlreadyExists`] if the name is taken.
    Create,
    /// An existing or a new file, for appending.
    AppendOrCreate,
    /// An existing or a new file, for writing at positions.
    Write,
}

/// One name in a directory.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Entry {
    /// The name, without its directory.
    pub name: OsString,
    /// Whether it names a directory.
    pub is_dir: bool,
}

/// What is known of a name without opening it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Meta {
    /// Length in bytes; of a directory, whatever the file system says.
    pub len: u64,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// How many names it has on this file system; of a directory, whatever the file system says.
    pub links: u64,
    /// Which file it is: two names on one file system with the same number are two names of one file.
    pub inode: u64,
}

/// A file system. Errors are those of the system calls.
pub trait Fs: Send + Sync + 'static {
    /// Opens `path`. New files are readable by their owner alone. A symbolic link as last component is refused.
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>>;

    /// `rename(2)`: atomic, and replaces `to` if it exists. Durable after [`Fs::sync_dir`] of both directories.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// `link(2)`: `to` becomes a second name of the file `from`; [`io::ErrorKind::AlreadyExists`] if `to` is taken,
    /// [`io::ErrorKind::TooManyLinks`] if the file has as many as one may have (`EMLINK`). A symbolic link is not followed.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes the name of a file. Who has it open can still use it.
    fn unlink(&self, path: &Path) -> io::Result<()>;

    /// Makes `path` and its missing parents, for their owner alone. Nothing is synced; see [`create_dirs_synced`].
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;

    /// Makes durable which names `path` holds, and the files or directories they stand for (not their contents).
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// All entries of a directory but `.` and `..`, sorted by name.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// What `path` is, or `None` when there is nothing.
    fn metadata(&self, path: &Path) -> io::Result<Option<Meta>>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// `syncfs(2)`: makes durable everything on the file system that holds the directory `dir`.
    fn sync_all(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that may still be written by this user on the file system that holds `dir`.
    fn free_space(&self, dir: &Path) -> io::Result<u64>;

    /// Takes the exclusive lock `path`, making the file when it is missing. The lock ends with the returned value or
    /// with the process, whichever is first; the file stays.
    ///
    /// # Errors
    /// [`LockError::Held`] at once, naming the process, when someone has it.
    fn lock(&self, path: &Path) -> Result<Lock, LockError>;
}

/// An open file. All methods may be called from any thread.
pub trait File: Send + Sync {
    /// Reads at `offset`; fewer bytes than asked only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Reads at `offset` what memory already holds; may be short. [`io::ErrorKind::WouldBlock`] when a disk would have
    /// to be asked. Where the file system can't tell, it reads like [`File::read_at`].
    fn read_now(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Appends the concatenation of `parts` by one `write(2)`, and returns how much was written. It never continues: a
    /// short count is a failed transaction, and the caller's business.
    fn append(&self, parts: &[IoSlice<'_>]) -> io::Result<usize>;

    /// The file offset: after [`File::append`], the end of what this handle appended last. That is how writers without
    /// a lock learn where their bytes are. Threads that append by one handle must take turns between the two calls.
    fn position(&self) -> io::Result<u64>;

    /// Writes the concatenation of `parts` at `offset`, continued until all is written. Files opened for appending
    /// refuse it.
    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// `fdatasync(2)`: the bytes and the length are durable when it returns `Ok`. After an error they may be lost even
    /// though they can still be read; neither a second call nor a read says otherwise.
    fn sync_data(&self) -> io::Result<()>;
}
