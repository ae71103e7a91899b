//! An account is closed, made anew ([`Plan`]), and opened again.

use super::super::account::log_owner;
use super::super::check::Told;
use super::super::error::StoreError;
use super::super::store::{Store, journal_dir};
use super::known::Known;
use super::plan::Plan;
use super::scan::scan;
use super::{PAUSE, Rebuilt, TRIES, swap};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::PoisonError;

/// What became of an account.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Revived {
    /// The account.
    pub user: String,
    /// Messages in its mailboxes.
    pub messages: u64,
    /// Expunged ones that can be brought back.
    pub expunged: u64,
    /// What can't be known of it any more, a line each.
    pub unknown: Vec<String>,
    /// Where its old files are, as far as there are any: below the data directory.
    pub aside: Option<String>,
}

/// Keeps everybody out of an account.
pub(crate) struct Closed<'a> {
    store: &'a Store,
    user: &'a str,
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.store.closed().remove(self.user);
    }
}

impl Store {
    /// Closes an account: who is logged in to it is thrown out, nobody gets in, and no journal speaks of it.
    ///
    /// # Errors
    /// It is closed already; what was changed in it can't be made durable.
    pub(crate) fn close<'a>(&'a self, user: &'a str) -> Result<Closed<'a>, StoreError> {
        self.flush();
        if !self.closed().insert(user.to_owned()) {
            return Err(StoreError::Closed);
        }
        let closed = Closed { store: self, user };
        let slot = self.slots().get(user).cloned();
        if let Some(slot) = slot
            && let Some(account) = slot.account()
        {
            account.kill();
            self.give_up(Vec::new());
            let mut tries = 0;
            while !account.is_settled() {
                self.flush();
                tries += 1;
                if tries > TRIES {
                    return Err(StoreError::Cannot(
                        "what was changed last can't be written at the moment; try again",
                    ));
                }
                std::thread::sleep(PAUSE);
            }
            self.files.forget_below(account.dir());
            slot.empty();
        }
        self.forget_recovered(user);
        // What the journal has of it would be written into the new files after a crash.
        self.checkpoint(u64::MAX)?;
        let end = {
            let mut writer = self.writer();
            writer.journal.rotate()?;
            writer.journal.segment()
        };
        self.checkpoint(u64::MAX)?;
        // Else what was removed may be there again.
        let journal = journal_dir(self.root());
        self.files
            .fs()
            .sync_dir(&journal)
            .map_err(|error| StoreError::io("sync", &journal, error))?;
        if self.writer().journal.reaches_before(end) {
            return Err(StoreError::Cannot(
                "the journal can't be cleared at the moment; try again",
            ));
        }
        Ok(closed)
    }

    /// Makes anew what can be of all mailboxes of an account; and the account itself, if that can't be loaded.
    ///
    /// # Errors
    /// As [`Store::rebuild`] and [`Store::revive`].
    pub fn rebuild_all(
        &self,
        user: &str,
        tell: &mut dyn FnMut(Told),
    ) -> Result<(Option<Revived>, Vec<Rebuilt>), StoreError> {
        match self.rebuild(user, None, tell) {
            Ok(rebuilt) => Ok((None, rebuilt)),
            Err(StoreError::Damaged { .. }) => {
                let (revived, rebuilt) = self.revive(user, tell)?;
                Ok((Some(revived), rebuilt))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes an account anew from its containers and what is left of its other files.
    ///
    /// # Errors
    /// I/O; no such account. Until all is written the old files are what they were; afterwards they are kept apart.
    pub fn revive(
        &self,
        user: &str,
        tell: &mut dyn FnMut(Told),
    ) -> Result<(Revived, Vec<Rebuilt>), StoreError> {
        let dir = self.account_dir(user)?;
        self.writable()?;
        let _closed = self.close(user)?;
        swap::finish(&self.files, &dir)?;
        let owner = log_owner(self.guid(), user);
        let known = Known::read(&self.files, &dir, owner)?;
        let seeds = |number| known.map.container(number).map(|container| container.seed);
        let scanned = scan(&self.files, &dir, &seeds, tell)?;
        let mut plan = Plan::new(self, known, scanned);
        plan.claim();
        plan.place();
        let (mut revived, rebuilt) = plan.write(user, (&dir, owner), tell)?;
        revived.user = user.to_owned();
        tracing::warn!(
            account = user,
            messages = revived.messages,
            "an account was made anew from its containers and what was left of its other files"
        );
        Ok((revived, rebuilt))
    }
}

impl Store {
    /// Refuses to begin an account anew whose list and map are gone while its mail is not. No crash leaves a container of an
    /// account that never was: even a large message gets its name when the account is durable.
    pub(crate) fn check_new(&self, dir: &Path) -> Result<(), StoreError> {
        let storage = dir.join("storage");
        let there = self.files.fs().metadata(&storage);
        if there.map_err(|error| StoreError::io("look at", &storage, error))?.is_none() {
            return Ok(());
        }
        let scanned = scan(&self.files, dir, &|_| None, &mut |_| ())?;
        if scanned.records.is_empty() && scanned.unreadable.is_empty() {
            return Ok(());
        }
        Err(StoreError::damaged(
            &dir.join("list.log"),
            "it and its snapshots say nothing, and neither does the map, while the account has messages; `loft mailbox rebuild` makes the account anew of what is left, or bring its directory back from a backup",
        ))
    }

    /// The accounts that nobody gets into.
    pub(crate) fn closed(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `1 message`, `2 messages`.
pub(crate) fn messages(count: u64) -> String {
    if count == 1 { "1 message".to_owned() } else { format!("{count} messages") }
}
