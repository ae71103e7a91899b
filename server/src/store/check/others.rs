//! Files that cost nothing but time, or only take room.

use super::super::account::Account;
use super::super::error::StoreError;
use super::super::recovery::names;
use super::{Check, Harm};
use dbox_format::paths;
use index_format::explain::{Sort, notes};
use runtime_smol::fs;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

impl Check<'_> {
    /// Files of a mailbox that are made of its log: what they are, they say themselves.
    pub(super) fn other_files(&mut self, dir: &Path) -> Result<(), StoreError> {
        for name in names(self.store.files.fs(), dir)? {
            if !(name.starts_with("log")
                || ["index", "index.prev", "index.delta"].contains(&&*name))
            {
                self.derived(&dir.join(name))?;
            }
        }
        Ok(())
    }

    /// A file that costs nothing but time when it is lost.
    fn derived(&mut self, path: &Path) -> Result<(), StoreError> {
        if path.file_name().is_some_and(fs::is_temporary) {
            self.found(path, None, Harm::None, "a crash has left it; it is not used".to_owned());
            return Ok(());
        }
        let bytes = match fs::read_all(self.store.files.fs(), path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(StoreError::io("read", path, error)),
        };
        if let Some((at, text)) = damage(&bytes) {
            self.found(path, Some(at), Harm::Speed, text);
        }
        Ok(())
    }

    pub(super) fn caches(&mut self) -> Result<(), StoreError> {
        let dir = self.dir.join("cache");
        for name in names(self.store.files.fs(), &dir)? {
            self.derived(&dir.join(name))?;
        }
        Ok(())
    }

    /// Files that nothing names.
    pub(super) fn leftovers(&mut self, account: &Arc<Account>) -> Result<(), StoreError> {
        let past = self.store.undeletable_before();
        let (guids, containers): (BTreeSet<String>, BTreeSet<u32>) = {
            let state = account.lock()?;
            // The files of a deleted one stay for as long as its mail can be brought back.
            let deleted = state.list.tombstones().iter().filter(|gone| gone.time > past);
            let deleted = deleted.filter(|gone| gone.renamed_to.is_none()).map(|gone| gone.guid);
            let there = state.list.iter().map(|entry| entry.guid);
            let guids = there.chain(deleted).map(|guid| guid.to_string()).collect();
            (guids, state.map.containers().map(|(number, _)| number).collect())
        };
        let mailboxes = self.dir.join("mailboxes");
        for name in names(self.store.files.fs(), &mailboxes)?
            .into_iter()
            .filter(|name| !guids.contains(name))
        {
            let what = "no mailbox of the list has it; it goes at the next checkpoint or start";
            self.found(&mailboxes.join(name), None, Harm::None, what.to_owned());
        }
        let storage = self.dir.join("storage");
        for dir in names(self.store.files.fs(), &storage)? {
            for name in names(self.store.files.fs(), &storage.join(&dir))? {
                let number = paths::parse_container(&format!("storage/{dir}/{name}"));
                if number.is_ok_and(|number| containers.contains(&number)) {
                    continue;
                }
                let what = "the map knows no message in it: one that is coming in, or what a crash has left";
                self.found(&storage.join(&dir).join(name), None, Harm::None, what.to_owned());
            }
        }
        self.unneeded_attachments(account)
    }

    /// Links that no message needs.
    fn unneeded_attachments(&mut self, account: &Arc<Account>) -> Result<(), StoreError> {
        let att = self.dir.join("att");
        for dir in names(self.store.files.fs(), &att)? {
            for name in names(self.store.files.fs(), &att.join(&dir))? {
                let hash = paths::parse_attachment_link(&format!("att/{dir}/{name}"));
                let needs =
                    |hash| account.lock().map(|state| state.attachments.holdings.needs(hash));
                let what = match &hash {
                    Ok(hash) if needs(hash)? > 0 => continue,
                    Ok(_) => "no message needs it: it goes once it was not needed for a while",
                    Err(_) => "it is no attachment, and nothing uses it",
                };
                self.found(&att.join(&dir).join(&name), None, Harm::None, what.to_owned());
            }
        }
        Ok(())
    }
}

/// The first damage in a file that says itself what it is.
pub(crate) fn damage(bytes: &[u8]) -> Option<(u64, String)> {
    let mut found = None;
    let stopped = notes(bytes, None, &mut |note| {
        if note.sort == Sort::Damage {
            found = Some((note.at.unwrap_or(0), note.text.clone()));
            return Err(std::fmt::Error);
        }
        Ok(())
    });
    stopped.err().and(found)
}
