//! Takes an account in that comes from outside, with all its files: from a backup.
//!
//! It is put together below `restoring/`, made durable, and gets its place by one rename. `restoring/ready/` says which
//! are whole: a start after a crash gives those their places, and removes the others.
//! Invariants:
//! - The journal has no record that names the account when it gets its place: no replay writes into its files.
//! - List and map are written anew, as snapshots of what they were, since their logs say whose they are. All other files
//!   are as they were.

use super::account::{Account, SERVER, log_owner};
use super::error::StoreError;
use super::files::Files;
use super::store::Store;
use dbox_format::map::{LogPosition, Map};
use dbox_format::paths;
use index_format::Guid;
use index_format::list::List;
use index_format::log::{Header, Kind};
use runtime_smol::fs::{self, Fs, create_dirs_synced};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Open files, at most, of what comes from outside.
const OPEN: usize = 64;

/// List and map of an account that comes from outside.
pub(crate) struct Outside {
    list: List,
    map: Map,
}

/// What an account got.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Placed {
    pub(crate) mailboxes: u64,
    pub(crate) messages: u64,
    /// Where the account is that was there before, below the store.
    pub(crate) aside: Option<String>,
}

/// What becomes of UIDVALIDITYs, and of an account that is there already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Over {
    /// There must be none; UIDVALIDITYs stay.
    Nothing,
    /// There must be none; clients may have seen a newer state all the same, so UIDVALIDITYs rise.
    Unknown,
    /// It is put aside, and UIDVALIDITYs rise above those that it has. Nobody else may use the store.
    Present,
}

impl Outside {
    /// Reads the account `user` of the store `guid` below `root`.
    ///
    /// # Errors
    /// I/O; damage.
    pub(crate) fn read(
        fs: Arc<dyn Fs>,
        root: &Path,
        guid: Guid,
        user: &str,
    ) -> Result<Self, StoreError> {
        let (account, _) = Account::load(&Files::new(fs, OPEN), root, guid, user)?;
        let state = account.lock()?;
        Ok(Self { list: state.list.clone(), map: state.map.clone() })
    }

    /// The epoch of its last writer.
    pub(crate) fn epoch(&self) -> u32 {
        self.list.epoch()
    }
}

impl Store {
    /// Whether there is an account of this name.
    pub(crate) fn has_account(&self, name: &str) -> Result<bool, StoreError> {
        let dir = self.place_of(name)?;
        let there = self.files.fs().metadata(&dir);
        let there = there.map_err(|error| StoreError::io("look at", &dir, error))?.is_some();
        Ok(there || self.account_in_memory(name).is_some())
    }

    fn place_of(&self, name: &str) -> Result<PathBuf, StoreError> {
        let path = paths::account(name)
            .map_err(|_| StoreError::Cannot("that account name can't be a directory"))?;
        Ok(self.root().join(path))
    }

    /// An empty directory in which the files of an account are put together, all but those of list and map.
    pub(crate) fn staging(&self, name: &str) -> Result<PathBuf, StoreError> {
        let dir = staged(self.root(), &self.place_of(name)?);
        let error = |error| StoreError::io("prepare", &dir, error);
        remove_tree(self.files.fs(), &dir).map_err(error)?;
        create_dirs_synced(self.files.fs(), &dir).map_err(error)?;
        Ok(dir)
    }

    /// Gives an account its place whose other files are in [`Store::staging`].
    ///
    /// # Errors
    /// [`StoreError::Cannot`] when there is one by now; I/O. What was put together is removed then, at the next start at
    /// the latest.
    pub(crate) fn place(
        &self,
        name: &str,
        outside: Outside,
        over: Over,
    ) -> Result<Placed, StoreError> {
        let place = self.place_of(name)?;
        let dir = staged(self.root(), &place);
        if over == Over::Present {
            self.settle(name)?;
        }
        let slot = self.slot(name);
        let mut loaded = slot.lock();
        let fs = self.files.fs();
        let there =
            fs.metadata(&place).map_err(|error| StoreError::io("look at", &place, error))?;
        if over != Over::Present && (there.is_some() || loaded.is_some()) {
            return Err(StoreError::Cannot("the account has come to be meanwhile"));
        }
        let Outside { mut list, map } = outside;
        if over != Over::Nothing {
            let high = self.highest_uidvalidity(name, there.is_some());
            if !list.renew_uidvalidities(high) {
                return Err(StoreError::Cannot("the account has used up all UIDVALIDITYs"));
            }
        }
        let placed = Placed {
            mailboxes: list.len() as u64,
            messages: map.iter().filter(|(_, entry)| entry.refs > 0).count() as u64,
            aside: None,
        };
        self.write_list_and_map(&dir, log_owner(self.guid(), name), &list, &map)?;
        let error = |error| StoreError::io("place", &dir, error);
        fs.sync_all(self.root()).map_err(error)?;
        let ready = ready(self.root(), &place);
        create_dirs_synced(fs, fs::parent(&ready)).map_err(error)?;
        fs::replace(fs, &ready, b"").map_err(error)?;
        let aside = match there {
            Some(_) => Some(self.put_away(&place)?),
            None => None,
        };
        create_dirs_synced(fs, fs::parent(&place)).map_err(error)?;
        give_place(fs, &dir, &place).map_err(error)?;
        fs.unlink(&ready).map_err(error)?;
        *loaded = None;
        self.files.forget_below(&place);
        Ok(Placed { aside, ..placed })
    }

    /// Has the journal say nothing of an account, and memory not have it. Nobody else uses the store.
    fn settle(&self, name: &str) -> Result<(), StoreError> {
        self.checkpoint(u64::MAX)?;
        self.end_journal()?;
        self.slots().remove(name);
        Ok(())
    }

    /// The highest UIDVALIDITY that anybody may have seen of an account, as far as that is known.
    fn highest_uidvalidity(&self, name: &str, there: bool) -> u32 {
        let now = u32::try_from(self.now().max(0)).unwrap_or(u32::MAX);
        if !there {
            return now;
        }
        let known = Account::load(&self.files, self.root(), self.guid(), name)
            .and_then(|(account, _)| Ok(account.lock()?.list.uidvalidity_high()));
        self.files.forget_below(self.root());
        match known {
            Ok(known) => known.max(now),
            // UIDVALIDITYs begin with the time, and rise by one for each further mailbox.
            Err(error) => {
                tracing::error!(account = name, %error, "what is replaced can't be read");
                now.saturating_add(1 << 16)
            }
        }
    }

    fn write_list_and_map(
        &self,
        dir: &Path,
        owner: Guid,
        list: &List,
        map: &Map,
    ) -> Result<(), StoreError> {
        let (file, offset) = (1, Header::LEN as u64);
        let random = || u64::from_le_bytes(self.random());
        let mut log = Vec::new();
        list.header(owner, file, None, random()).write(&mut log);
        let index = list.write(self.guid(), file, offset);
        let mut map_index = Vec::new();
        map.write_snapshot(LogPosition { file, offset }, &mut map_index);
        let mut map_log = Vec::new();
        let header = Header {
            kind: Kind::Map,
            server: SERVER,
            owner,
            file,
            previous: None,
            first_transaction: map.transactions(),
            modseq: Default::default(),
            uidnext: Default::default(),
            uidvalidity: 0,
            epoch: list.epoch(),
            seed: random(),
            flags: 0,
        };
        header.write(&mut map_log);
        // Both generations: nothing but these says what the logs said.
        for (name, bytes) in [
            ("list.log", &log),
            ("list.index", &index),
            ("list.index.prev", &index),
            ("map.log", &map_log),
            ("map.index", &map_index),
            ("map.index.prev", &map_index),
        ] {
            let path = dir.join(name);
            fs::replace_verified(self.files.fs(), &path, bytes)
                .map_err(|error| StoreError::io("write", &path, error))?;
        }
        Ok(())
    }

    /// Moves an account out of the way; where to.
    fn put_away(&self, place: &Path) -> Result<String, StoreError> {
        let fs = self.files.fs();
        let error = |error| StoreError::io("put aside", place, error);
        let dir = self.root().join("replaced");
        create_dirs_synced(fs, &dir).map_err(error)?;
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let free =
            |number: &u32| matches!(fs.metadata(&dir.join(format!("{name}.{number}"))), Ok(None));
        let number = (1..).find(free).unwrap_or(u32::MAX);
        let to = dir.join(format!("{name}.{number}"));
        self.files.forget_below(place);
        fs.rename(place, &to).map_err(error)?;
        fs.sync_dir(&dir).map_err(error)?;
        fs.sync_dir(fs::parent(place)).map_err(error)?;
        Ok(format!("replaced/{name}.{number}"))
    }

    /// Has no epoch be given again that is known from outside: mod-sequences of accounts that come from there are told
    /// from lost ones by it.
    pub(crate) fn raise_epoch(&self, epoch: u32) -> Result<(), StoreError> {
        let mut writer = self.writer();
        if epoch <= self.epoch() {
            return Ok(());
        }
        writer.journal.raise_epoch(epoch)?;
        self.set_epoch(epoch);
        Ok(())
    }
}

/// Makes an empty store with this GUID at `root`, whose first start has an epoch above `epoch`.
///
/// # Errors
/// I/O.
pub(crate) fn make_store(
    fs: Arc<dyn Fs>,
    root: &Path,
    (guid, epoch): (Guid, u32),
    random: super::store::Random,
) -> Result<(), StoreError> {
    create_dirs_synced(&*fs, root).map_err(|error| StoreError::io("create", root, error))?;
    let size = super::config::StoreConfig::default().segment_size;
    let dir = super::store::journal_dir(root);
    super::journal::Journal::create(fs, dir, (guid, epoch, true), 1, size, random).map(drop)
}

/// Finishes, at a start, what a crash has interrupted.
pub(crate) fn finish(fs: &dyn Fs, root: &Path) -> std::io::Result<()> {
    let restoring = root.join("restoring");
    for hash in names(fs, &restoring.join("ready"))? {
        for name in names(fs, &restoring.join("ready").join(&hash))? {
            let staged = restoring.join(&hash).join(&name);
            let place = root.join("users").join(&hash).join(&name);
            if fs.metadata(&place)?.is_none() && fs.metadata(&staged)?.is_some() {
                create_dirs_synced(fs, fs::parent(&place))?;
                give_place(fs, &staged, &place)?;
                tracing::info!(account = %name.to_string_lossy(), "an account that was being restored is there");
            }
        }
    }
    remove_tree(fs, &restoring)
}

fn give_place(fs: &dyn Fs, staged: &Path, place: &Path) -> std::io::Result<()> {
    fs.rename(staged, place)?;
    fs.sync_dir(fs::parent(place))?;
    fs.sync_dir(fs::parent(staged))
}

/// Where an account is put together that will be at `place`.
fn staged(root: &Path, place: &Path) -> PathBuf {
    root.join("restoring").join(place.strip_prefix(root.join("users")).unwrap_or(place))
}

fn ready(root: &Path, place: &Path) -> PathBuf {
    let below = place.strip_prefix(root.join("users")).unwrap_or(place);
    root.join("restoring").join("ready").join(below)
}

fn names(fs: &dyn Fs, dir: &Path) -> std::io::Result<Vec<std::ffi::OsString>> {
    match fs.read_dir(dir) {
        Ok(entries) => Ok(entries.into_iter().map(|entry| entry.name).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Removes a directory with all that is in it, if it is there.
fn remove_tree(fs: &dyn Fs, path: &Path) -> std::io::Result<()> {
    match fs.metadata(path)? {
        None => Ok(()),
        Some(meta) if meta.is_dir => {
            for entry in fs.read_dir(path)? {
                remove_tree(fs, &path.join(entry.name))?;
            }
            fs.remove_dir(path)
        }
        Some(_) => fs.unlink(path),
    }
}
