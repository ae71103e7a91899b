//! The files of an account that is made anew take the place of the old ones: whole, or not at all.
//!
//! All are written and synced below `rebuild.new`. Its name then says how far it is:
//! 1. `rebuild.new`: not yet. Whatever is there after a crash is removed, and the old files are what they were.
//! 2. `rebuild.ready`: from this rename on the new files count. `aside` in it names the old ones, which are moved to `old`
//!    in it, one after the other: what stands at such a name is old as long as the directory is called so.
//! 3. `rebuild.moving`: all that is old is out of the way. What is in `new` is moved to its place.
//! 4. `old` becomes a directory below `damaged`, and the rest is removed.
//!
//! Each step may be done again from its beginning. Who loads an account does what is left of them first ([`finish`]).

use super::super::checkpoint::remove;
use super::super::error::StoreError;
use super::super::files::Files;
use super::super::recovery::names;
use runtime_smol::fs::{self, Fs};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

const NEW: &str = "rebuild.new";
const READY: &str = "rebuild.ready";
const MOVING: &str = "rebuild.moving";
/// The old files' names, a line each, below the account's directory.
const ASIDE: &str = "aside";

/// New files of an account, which don't count yet.
pub(crate) struct Staging<'a> {
    files: &'a Files,
    account: PathBuf,
}

impl<'a> Staging<'a> {
    /// Begins anew, whatever an earlier try has left.
    pub(crate) fn begin(files: &'a Files, account: &Path) -> Result<Self, StoreError> {
        let this = Self { files, account: account.to_owned() };
        let dir = account.join(NEW);
        files.forget_below(&dir);
        let error = |error| StoreError::io("prepare", &dir, error);
        remove_all(files.fs(), &dir).map_err(error)?;
        files.fs().create_dir_all(&this.dir()).map_err(error)?;
        files.fs().create_dir_all(&dir.join("old")).map_err(error)?;
        Ok(this)
    }

    /// Where the new files go, as if it were the account's directory.
    pub(crate) fn dir(&self) -> PathBuf {
        self.account.join(NEW).join("new")
    }

    /// A file with these bytes; `name` is below the account's directory.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.dir().join(name);
        let error = |error| StoreError::io("write", &path, error);
        self.files.fs().create_dir_all(fs::parent(&path)).map_err(error)?;
        fs::replace_verified(self.files.fs(), &path, bytes).map_err(error)
    }

    /// Has a second name of a file kept with the old ones: the file stays where it is.
    pub(crate) fn keep(&self, name: &str) -> Result<(), StoreError> {
        let (from, to) = (self.account.join(name), self.account.join(NEW).join("old").join(name));
        let error = |error| StoreError::io("keep", &from, error);
        self.files.fs().create_dir_all(fs::parent(&to)).map_err(error)?;
        match self.files.fs().link(&from, &to) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map_err(error),
        }
    }

    /// Makes the new files count; those that `aside` names (below the account's directory) are moved out of their way.
    /// Where these are now: below the account's directory, if there are any.
    pub(crate) fn publish(self, aside: &[String]) -> Result<Option<String>, StoreError> {
        let dir = self.account.join(NEW);
        let error = |error| StoreError::io("sync", &dir, error);
        let text: String = aside.iter().map(|name| format!("{name}\n")).collect();
        let list = dir.join(ASIDE);
        fs::replace_verified(self.files.fs(), &list, text.as_bytes()).map_err(error)?;
        let fs = self.files.fs();
        fs.sync_all(&dir).map_err(error)?;
        self.files.forget_below(&dir);
        fs.rename(&dir, &self.account.join(READY)).map_err(error)?;
        fs.sync_dir(&self.account).map_err(error)?;
        finish(self.files, &self.account)
    }
}

/// Does what is left of making new files count, if anything is. Where the old ones are now, if it was.
///
/// # Errors
/// I/O; it is to be called again before anything of the account is read.
pub(crate) fn finish(files: &Files, account: &Path) -> Result<Option<String>, StoreError> {
    let fs = files.fs();
    let (ready, moving) = (account.join(READY), account.join(MOVING));
    let error = |error| StoreError::io("finish the rebuild of", account, error);
    let is_there = |path: &Path| Ok(fs.metadata(path)?.is_some());
    if is_there(&ready).map_err(error)? {
        files.forget_below(account);
        put_aside(fs, account, &ready).map_err(error)?;
        fs.rename(&ready, &moving).map_err(error)?;
        fs.sync_dir(account).map_err(error)?;
    }
    if !is_there(&moving).map_err(error)? {
        return Ok(None);
    }
    files.forget_below(account);
    let new = moving.join("new");
    move_all(fs, &new, account).map_err(error)?;
    let old = moving.join("old");
    let mut aside = None;
    if is_there(&old).map_err(error)? {
        if fs.read_dir(&old).map_err(error)?.is_empty() {
            fs.remove_dir(&old).map_err(error)?;
        } else {
            aside = Some(keep_old(fs, account, &old).map_err(error)?);
        }
    }
    remove_all(fs, &moving).map_err(error)?;
    fs.sync_dir(account).map_err(error)?;
    Ok(aside)
}

fn put_aside(fs: &dyn Fs, account: &Path, ready: &Path) -> io::Result<()> {
    let list = fs::read_all(fs, &ready.join(ASIDE))?;
    let list = String::from_utf8(list).map_err(|_| ErrorKind::InvalidData)?;
    let old = ready.join("old");
    for name in list.lines() {
        let (from, to) = (account.join(name), old.join(name));
        fs.create_dir_all(fs::parent(&to))?;
        move_all(fs, &from, &to)?;
    }
    // The names below `old`, and those that are gone.
    fs.sync_all(account)
}

/// Moves a file, or all files of a directory into another, which may have some of them already. A crash may leave both names
/// of one that was moved.
fn move_all(fs: &dyn Fs, from: &Path, to: &Path) -> io::Result<()> {
    match fs.metadata(from)? {
        None => Ok(()),
        Some(meta) if meta.is_dir => {
            fs.create_dir_all(to)?;
            for entry in fs.read_dir(from)? {
                move_all(fs, &from.join(&entry.name), &to.join(&entry.name))?;
            }
            fs.sync_dir(to)?;
            fs.remove_dir(from)
        }
        Some(_) => {
            fs.rename(from, to)?;
            // rename(2) leaves two names of one file as they are.
            match fs.metadata(from)? {
                Some(_) => fs.unlink(from),
                None => Ok(()),
            }
        }
    }
}

/// Gives the old files a name of their own below `damaged`.
fn keep_old(fs: &dyn Fs, account: &Path, old: &Path) -> io::Result<String> {
    let damaged = account.join("damaged");
    fs.create_dir_all(&damaged)?;
    let taken: Vec<String> = fs
        .read_dir(&damaged)?
        .iter()
        .filter_map(|it| it.name.to_str().map(str::to_owned))
        .collect();
    let name = (1_u64..).map(|number| format!("account-{number}"));
    let name = name.into_iter().find(|name| !taken.contains(name)).unwrap_or_default();
    fs.rename(old, &damaged.join(&name))?;
    fs.sync_dir(&damaged)?;
    Ok(format!("damaged/{name}"))
}

/// Removes a directory with all below it, if it is there.
fn remove_all(fs: &dyn Fs, dir: &Path) -> io::Result<()> {
    match fs.metadata(dir)? {
        None => Ok(()),
        Some(meta) if meta.is_dir => {
            for entry in fs.read_dir(dir)? {
                remove_all(fs, &dir.join(entry.name))?;
            }
            fs.remove_dir(dir)
        }
        Some(_) => remove(fs, dir),
    }
}

/// What a crash has left of new files that don't count.
pub(crate) fn sweep(files: &Files, account: &Path) -> Result<(), StoreError> {
    let dir = account.join(NEW);
    remove_all(files.fs(), &dir).map_err(|error| StoreError::io("clear", &dir, error))
}

/// The names of the files of a log and of its snapshots, in a directory.
pub(crate) fn files_of(files: &Files, dir: &Path, base: &str) -> Result<Vec<String>, StoreError> {
    let all = names(files.fs(), dir)?.into_iter();
    Ok(all.filter(|name| name.starts_with(&format!("{base}."))).collect())
}
