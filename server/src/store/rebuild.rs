//! Makes anew what is derived, and what has lost something of what is left.
//!
//! A mailbox that can be loaded is whole: its snapshots, cache files and counters are written again. One that can't is made
//! anew (`mailbox`). An account whose list or map can't be loaded is made anew of its containers and what is left of the rest
//! (`account`); where everything is gone but these they are enough.

mod account;
mod known;
mod mailbox;
mod plan;
mod scan;
mod swap;
mod write;

use super::account::Account;
use super::change::LogName;
use super::check::{Tell, Told, damage};
use super::commit::Outcome;
use super::error::StoreError;
use super::store::Store;
use index_format::cache;
use runtime_smol::fs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub use account::Revived;
pub(crate) use account::messages;
pub(crate) use swap::{finish, sweep as sweep_unfinished};

/// What became of a mailbox.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Rebuilt {
    /// The account.
    pub user: String,
    /// The mailbox.
    pub mailbox: String,
    /// It was whole, and only what is derived was written again.
    pub whole: bool,
    /// Messages in it.
    pub messages: u64,
    /// Of those, how many its log did not know any more.
    pub brought_back: u64,
    /// Its UIDVALIDITY now.
    pub uidvalidity: u32,
    /// What can't be known of it any more, a line each.
    pub unknown: Vec<String>,
    /// Where its old files are, when they were put aside: below the data directory.
    pub aside: Option<String>,
}

/// How often a snapshot is tried that a change under way keeps from being written, and how long to wait in between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);

impl Store {
    /// Makes anew what can be of a mailbox, or of all of an account.
    ///
    /// # Errors
    /// I/O; no such account or mailbox; an account whose list or map is damaged.
    pub fn rebuild(
        &self,
        user: &str,
        mailbox: Option<&str>,
        tell: &mut dyn FnMut(Told),
    ) -> Result<Vec<Rebuilt>, StoreError> {
        self.account_dir(user)?;
        self.writable()?;
        let names: Vec<String> = {
            let account = self.account(user)?;
            let state = account.lock()?;
            let names = state.list.iter().map(|entry| entry.name.to_string());
            names.filter(|name| mailbox.is_none_or(|wanted| wanted == name)).collect()
        };
        if names.is_empty() {
            return Err(StoreError::NoMailbox);
        }
        let mut all = Vec::new();
        for (done, name) in (0..).zip(&names) {
            tell(Told::Progress { done, total: names.len() as u64, what: name.clone() });
            all.push(self.rebuild_mailbox(&self.account(user)?, name, tell)?);
        }
        let account = self.account(user)?;
        // What the counters are now is in the list, and the files that nothing needs any more go.
        self.checkpoint(u64::MAX)?;
        if mailbox.is_none() {
            self.renew_snapshots(&account, &[LogName::List, LogName::Map])?;
        }
        Ok(all)
    }

    fn rebuild_mailbox(
        &self,
        account: &Arc<Account>,
        name: &str,
        tell: Tell<'_>,
    ) -> Result<Rebuilt, StoreError> {
        let whole = {
            let mut state = account.lock()?;
            let state = &mut *state;
            let guid = state.list.by_name(name).ok_or(StoreError::NoMailbox)?.guid;
            match account.mailbox(&self.files, state, guid) {
                Ok(mbox) => {
                    let ids: BTreeSet<u32> =
                        mbox.mailbox.map_ids().map(|id| id.0 / cache::SPAN).collect();
                    let rebuilt = Rebuilt {
                        user: account.name().to_owned(),
                        mailbox: name.to_owned(),
                        whole: true,
                        messages: mbox.mailbox.len() as u64,
                        uidvalidity: mbox.mailbox.uidvalidity(),
                        ..Rebuilt::default()
                    };
                    state.dirty.insert(guid);
                    Some((guid, ids, rebuilt))
                }
                Err(StoreError::Damaged { .. }) => None,
                Err(error) => return Err(error),
            }
        };
        let Some((guid, caches, rebuilt)) = whole else {
            return self.recreate(account, name, tell);
        };
        self.renew_snapshots(account, &[LogName::Mailbox(guid)])?;
        for number in caches {
            self.drop_damaged_cache(account, number)?;
        }
        Ok(rebuilt)
    }

    /// Writes both generations of snapshots, from what memory has; the logs go on in their next files, so that damage in
    /// the present ones is behind what both snapshots say.
    fn renew_snapshots(&self, account: &Arc<Account>, names: &[LogName]) -> Result<(), StoreError> {
        for &name in names {
            for _ in 0..2 {
                self.renew_snapshot(account, name)?;
            }
            let mut logs = account.logs();
            if let Some(log) = logs.get(name) {
                log.rotate();
            }
        }
        Ok(())
    }

    fn renew_snapshot(&self, account: &Arc<Account>, name: LogName) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            self.flush();
            let keeping = self.keeping();
            // A mailbox without a log has no messages, and needs no snapshot.
            let nothing = account.logs().get(name).is_none_or(|log| log.end().is_none());
            if let LogName::Mailbox(guid) = name {
                // Whole ones, not what became of the one that is there.
                let mut state = account.lock()?;
                account.mailbox(&self.files, &mut state, guid)?.mailbox.forget_base();
            }
            if nothing || self.write_snapshot(account, name)? {
                return Ok(());
            }
            drop(keeping);
            std::thread::sleep(PAUSE);
        }
        Err(StoreError::Cannot("too much is changed at the moment to write a snapshot; try again"))
    }

    /// Messages of a cache file that is gone are read again.
    fn drop_damaged_cache(&self, account: &Arc<Account>, number: u32) -> Result<(), StoreError> {
        let path = account.dir().join("cache").join(format!("{number:08x}"));
        let fs = self.files.fs();
        match fs::read_all(fs, &path) {
            Ok(bytes) if damage(&bytes).is_some() => {
                fs.unlink(&path).map_err(|error| StoreError::io("remove", &path, error))
            }
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::io("read", &path, error)),
        }
    }

    /// Waits until a change is durable; the thread that commits may or may not be there.
    pub(crate) fn wait(&self, position: u64) -> Result<(), StoreError> {
        loop {
            self.flush();
            match self.outcome(position) {
                Outcome::Durable => return Ok(()),
                Outcome::Lost => return Err(StoreError::Lost),
                Outcome::Waiting => std::thread::sleep(PAUSE),
            }
        }
    }
}
