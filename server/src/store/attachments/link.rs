//! An account's own links to the contents of a message that it is about to get.

use super::Cuts;
use crate::store::account::Account;
use crate::store::body::Spool;
use crate::store::error::StoreError;
use crate::store::planted::{Planted, planted};
use crate::store::store::Store;
use dbox_format::attachment::Hash;
use runtime_smol::fs;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Links that a change relies on: none of them goes as long as this lives. To be dropped behind the account's lock.
pub(crate) struct Pinned<'a> {
    store: &'a Store,
    account: &'a Arc<Account>,
    hashes: Vec<Hash>,
    /// Those that the account did not have before.
    new: Vec<Hash>,
    /// Directories that were made durable.
    durable: BTreeSet<u8>,
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        // A dead account is loaded anew, with all that its directories have.
        let Ok(mut state) = self.account.lock() else { return };
        let (transactions, now) = (state.map.transactions(), self.store.now());
        let attachments = &mut state.attachments;
        for hash in &self.hashes {
            attachments.holdings.unpin(*hash, transactions, now);
        }
        attachments.unshared.extend(&self.new);
        attachments.durable.extend(&self.durable);
    }
}

impl Store {
    /// Sees to it that the account has its own link to each content of `cuts`, durably.
    ///
    /// # Errors
    /// I/O. Links that were made leave again, since no message needs them.
    pub(crate) fn link_contents<'a>(
        &'a self,
        account: &'a Arc<Account>,
        cuts: &Cuts,
    ) -> Result<Pinned<'a>, StoreError> {
        let hashes: Vec<Hash> = cuts.contents.iter().map(|(hash, _)| *hash).collect();
        let known = {
            let mut state = account.lock()?;
            hashes.iter().for_each(|hash| state.attachments.holdings.pin(*hash));
            state.attachments.durable.clone()
        };
        let (new, durable) = (Vec::new(), BTreeSet::new());
        let mut pinned = Pinned { store: self, account, hashes, new, durable };
        let (mut dirs, mut fresh): (BTreeSet<PathBuf>, BTreeSet<u8>) = Default::default();
        for (hash, content) in &cuts.contents {
            let path = account.home().attachment_path(hash);
            let dir = fs::parent(&path);
            let first = hash.0.first().copied().unwrap_or_default();
            if !known.contains(&first) && fresh.insert(first) {
                let fs = self.files.fs();
                fs.create_dir_all(dir).map_err(|error| StoreError::io("create", dir, error))?;
                // The directories above may be as new as this one.
                let above = dir.ancestors().skip(1).take_while(|dir| dir.starts_with(self.root()));
                dirs.extend(above.map(Path::to_owned));
            }
            dirs.insert(dir.to_owned());
            if self.link_content(&path, content)? {
                pinned.new.push(*hash);
            }
        }
        if !planted(Planted::LinkNotSynced) {
            // From the deepest up.
            for dir in dirs.iter().rev() {
                let synced = self.files.fs().sync_dir(dir);
                synced.map_err(|error| StoreError::io("sync", dir, error))?;
            }
        }
        pinned.durable = fresh;
        Ok(pinned)
    }

    /// Makes `path` a name of `content`, unless there is one; whether it made it.
    fn link_content(&self, path: &Path, content: &Spool) -> Result<bool, StoreError> {
        let fs = self.files.fs();
        let failed = |error| StoreError::io("link", path, error);
        match fs.link(&content.path, path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let found = fs.metadata(path).map_err(failed)?;
                let same = |len| self.are_same((path, len), (&content.path, content.len));
                // One that can't be read is as good as one that differs.
                if found.is_some_and(|found| matches!(same(found.len), Ok(true))) {
                    return Ok(false);
                }
                // What is there is not what its name says: messages that have it are made whole by this one.
                tracing::warn!(file = %path.display(), "a damaged attachment is replaced by the same one, which came again");
                self.replace_link(&content.path, path).map_err(failed)?;
                Ok(true)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes `path` a name of the file `from`, whatever it was before. At no time is there no `path`.
    pub(super) fn replace_link(&self, from: &Path, path: &Path) -> std::io::Result<()> {
        let (fs, spool) = (self.files.fs(), self.spool_dir());
        fs.create_dir_all(&spool)?;
        // In the spool directory, which a start clears.
        let beside = spool.join(format!("{:016x}.link", u64::from_le_bytes(self.random())));
        fs.link(from, &beside)?;
        let renamed = fs.rename(&beside, path);
        // Renaming one name of a file over another of it leaves both: rename(2).
        match fs.unlink(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => renamed.and(Err(error)),
            Ok(()) | Err(_) => renamed,
        }?;
        self.files.forget_below(path);
        Ok(())
    }
}
