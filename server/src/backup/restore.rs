//! Brings accounts of a backup back: into a new store, or into one that there is.

use super::archive::{Archive, ArchiveFs, read_whole, write_out};
use super::create::{TOLD, Tell, Told};
use super::error::Error;
use super::manifest::{Generation, Saved};
use super::repository::Repository;
use crate::store::{Outside, Over, Random, Store, make_store};
use dbox_format::attachment::Hash;
use dbox_format::paths;
use runtime_smol::fs::{self, Fs};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is to be done.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Task {
    /// The backup directory.
    pub dir: PathBuf,
    /// Of which generation; of the newest when none is named.
    pub generation: Option<u64>,
    /// Whose mail; all accounts' when nobody is named.
    pub users: Vec<String>,
    /// The name that the one account gets.
    pub rename: Option<String>,
    /// Accounts that are there are put aside.
    pub replace: bool,
    /// Clients may have seen a newer state than the backup's.
    pub new_uidvalidity: bool,
}

/// An account that was brought back.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Restored {
    /// Its name in the backup.
    pub from: String,
    /// Its name now.
    pub user: String,
    /// Mailboxes.
    pub mailboxes: u64,
    /// Messages.
    pub messages: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// Its mailboxes have new UIDVALIDITYs.
    pub new_uidvalidity: bool,
    /// Where the account is that was there before, below the data directory.
    pub aside: Option<String>,
}

/// An account that was not.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Refused {
    /// Whose mail.
    pub user: String,
    /// Why, and what to do.
    pub why: String,
}

/// Who may use the store meanwhile.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum With {
    /// A server that serves.
    Others,
    /// Nobody.
    Nobody,
}

/// Prepares a directory for a store before that is opened: makes the store where there is none, and gives it the files
/// that all accounts share, as far as it lacks them.
///
/// # Errors
/// See [`Error`].
pub(crate) fn prepare(
    repository: &Arc<Repository>,
    task: &Task,
    fs: &Arc<dyn Fs>,
    root: &Path,
    random: Random,
) -> Result<(), Error> {
    let generation = repository.generation(task.generation)?;
    let journal = root.join("journal");
    let there = fs.metadata(&journal).map_err(Error::io("look at", &journal))?.is_some();
    if !there {
        let guid = generation.store.parse().unwrap_or_default();
        make_store(fs.clone(), root, (guid, generation.epoch), random)?;
    }
    share(repository, &generation, &**fs, root, true)
}

/// Accounts of a backup come into the store. `restored` and `refused` are told of each.
///
/// # Errors
/// What keeps all of them from it.
pub(crate) fn restore(
    store: &Store,
    repository: &Arc<Repository>,
    task: &Task,
    with: With,
    tell: Tell<'_>,
    each: &mut dyn FnMut(Result<Restored, Refused>),
) -> Result<u64, Error> {
    if task.replace && with == With::Others {
        return Err(Error::Running);
    }
    if task.rename.is_some() && task.users.len() != 1 {
        return Err(Error::Name("--as renames one account: name it with --user".to_owned()));
    }
    let generation = repository.generation(task.generation)?;
    let mut wanted: Vec<&Saved> = Vec::new();
    for user in &task.users {
        match generation.account(user) {
            Some(saved) => wanted.push(saved),
            None => {
                let mut there = repository.generations()?;
                there.retain(|number| {
                    let other = repository.generation(Some(*number));
                    other.is_ok_and(|other| other.account(user).is_some())
                });
                let generation = generation.number;
                return Err(Error::NoAccount { user: user.clone(), generation, there });
            }
        }
    }
    if task.users.is_empty() {
        wanted = generation.accounts.iter().collect();
    }
    share(repository, &generation, store.files.fs(), store.root(), with == With::Nobody)?;
    store.raise_epoch(generation.epoch)?;
    let mut count = 0;
    for saved in wanted {
        let user = task.rename.as_deref().unwrap_or(&saved.user);
        let one = One { store, repository, generation: &generation, task, user };
        match one.restore(saved, tell) {
            Ok(restored) => {
                count += 1;
                each(Ok(restored));
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                each(Err(Refused { user: user.to_owned(), why: error.to_string() }));
            }
        }
    }
    Ok(count)
}

/// Gives a store the shared files of a generation that it lacks. Those that mail depends on must not be others.
fn share(
    repository: &Arc<Repository>,
    generation: &Generation,
    fs: &dyn Fs,
    root: &Path,
    may_add: bool,
) -> Result<(), Error> {
    let manifest = repository.manifest(generation.shared)?;
    let archive = Archive::new(repository.clone(), &manifest, Path::new(""));
    for (path, _) in archive.paths() {
        let to = root.join(path);
        let needed = path.starts_with("dictionaries");
        match fs::read_all(fs, &to) {
            Ok(there) if needed && read_whole(&archive, path)? != there => {
                return Err(Error::Conflict { file: path.display().to_string() });
            }
            Ok(_) => continue,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("read", &to)(error)),
        }
        if may_add {
            let bytes = read_whole(&archive, path)?;
            fs::create_dirs_synced(fs, fs::parent(&to)).map_err(Error::io("create", &to))?;
            fs::replace_verified(fs, &to, &bytes).map_err(Error::io("write", &to))?;
        } else if needed {
            return Err(Error::Missing { file: path.display().to_string() });
        }
    }
    Ok(())
}

/// One account.
struct One<'a> {
    store: &'a Store,
    repository: &'a Arc<Repository>,
    generation: &'a Generation,
    task: &'a Task,
    /// The name it gets.
    user: &'a str,
}

impl One<'_> {
    fn restore(&self, saved: &Saved, tell: Tell<'_>) -> Result<Restored, Error> {
        let Self { store, repository, task, user, .. } = *self;
        let there = store.has_account(user)?;
        let over = match (there, task) {
            (true, Task { replace: false, .. }) => {
                return Err(Error::Exists { user: user.to_owned() });
            }
            (true, _) => Over::Present,
            (false, Task { new_uidvalidity: true, .. }) => Over::Unknown,
            (false, _) => Over::Nothing,
        };
        let manifest = repository.manifest(saved.manifest)?;
        let root = Path::new("/");
        let place = paths::account(&saved.user).map_err(|error| Error::Name(error.to_string()))?;
        let top = root.join(place);
        let archive = Archive::new(repository.clone(), &manifest, &top);
        let guid = self.generation.store.parse().unwrap_or_default();
        let files = Arc::new(ArchiveFs(archive.clone()));
        let outside = Outside::read(files, root, guid, &saved.user)?;
        store.raise_epoch(outside.epoch())?;
        let staging = store.staging(user)?;
        let (mut done, mut told, total) = (0, 0, manifest.bytes());
        for (path, _) in archive.paths() {
            let Ok(below) = path.strip_prefix(&top) else { continue };
            if is_list_or_map(below) {
                continue;
            }
            self.file(&archive, path, &staging.join(below), below, &mut |count| {
                done += count;
                if done < told + TOLD {
                    return Ok(());
                }
                told = done;
                match tell(Told::Progress { user: user.to_owned(), done, total }) {
                    true => Ok(()),
                    false => Err(Error::Interrupted),
                }
            })?;
        }
        let placed = store.place(user, outside, over)?;
        Ok(Restored {
            from: saved.user.clone(),
            user: user.to_owned(),
            mailboxes: placed.mailboxes,
            messages: placed.messages,
            bytes: done,
            new_uidvalidity: over != Over::Nothing,
            aside: placed.aside,
        })
    }

    /// Writes a file of the account; an attachment that the store has is linked.
    fn file(
        &self,
        archive: &Archive,
        path: &Path,
        to: &Path,
        below: &Path,
        moved: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let fs = self.store.files.fs();
        let link = below.to_str().and_then(|below| paths::parse_attachment_link(below).ok());
        let Some(hash) = link else { return write_out(archive, path, fs, to, moved) };
        let shared = self.store.root().join(paths::attachment(&hash, 0));
        let dir = fs::parent(to);
        fs.create_dir_all(dir).map_err(Error::io("create", dir))?;
        if is_content(fs, &shared, &hash) && fs.link(&shared, to).is_ok() {
            return Ok(());
        }
        write_out(archive, path, fs, to, moved)?;
        // The next account that has it links to this one; where that can't be, it gets a copy.
        let _not_shared =
            fs.create_dir_all(fs::parent(&shared)).and_then(|()| fs.link(to, &shared));
        Ok(())
    }
}

/// Whether a file has the bytes that its name promises.
fn is_content(fs: &dyn Fs, path: &Path, hash: &Hash) -> bool {
    let Ok(file) = fs.open(path, fs::Open::Read) else { return false };
    let mut hasher = dbox_format::attachment::Hasher::new();
    let mut piece = vec![0; 256 << 10];
    loop {
        match file.read_at(&mut piece, hasher.len()) {
            Ok(0) => return hasher.hash() == *hash,
            Ok(count) => hasher.update(piece.get(..count).unwrap_or_default()),
            Err(_) => return false,
        }
    }
}

/// These are written anew.
fn is_list_or_map(below: &Path) -> bool {
    let name = below.to_str().unwrap_or_default();
    ["list.log", "list.index", "map.log", "map.index"].iter().any(|known| name.starts_with(known))
}
