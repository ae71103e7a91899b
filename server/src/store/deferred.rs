//! Changes that are told before they are synced, where the settings say so.
//!
//! Their records are in the journal, which outlives this process though not the machine, and a sync follows within
//! [`StoreConfig::defer_ms`](super::config::StoreConfig::defer_ms). Until then they wait in memory, too.
//! Invariants:
//! - No file but the journal is written before the sync: what a power failure leaves is a state that there was.
//! - They are told in their order with all others: who is told of a delivery can rely on what came before it.
//! - What a failed sync has lost is written again, from memory, before any other change.

use super::commit::Entry;
use super::error::StoreError;
use super::journal::Syncing;
use super::planted::{Planted, planted};
use super::store::{Store, Writer};
use runtime_smol::Time;

impl Store {
    /// When the records of this group have to be durable.
    pub(crate) fn when_to_sync(&self, entries: &[Entry]) -> Syncing {
        let config = &self.config;
        let flags_only = || entries.iter().all(|entry| entry.change.flags_only);
        if !config.sync_commits || (config.defer_flags && flags_only()) {
            Syncing::Later
        } else {
            Syncing::Now
        }
    }

    /// Syncs what was told, when it is time: `due`, if that was set already. Returns when the next time is.
    pub(crate) fn sync_when_due(&self, due: Option<Time>, now: Time) -> Option<Time> {
        let mut writer = self.writer();
        if writer.told.is_empty() || self.commit.refusing() {
            return None;
        }
        let due = due.unwrap_or(Time(now.0.saturating_add(self.config.defer_ms)));
        if now < due && writer.told_bytes < self.config.group_bytes {
            return Some(due);
        }
        if let Err(error) = self.sync_told(&mut writer) {
            tracing::error!(%error, "what was told can't be made durable yet; no changes are taken until it is");
            self.commit.set_refusing(true);
        }
        None
    }

    /// Makes durable what was told, and writes it to its files.
    pub(crate) fn sync_deferred(&self) -> Result<(), StoreError> {
        self.sync_told(&mut self.writer()).inspect_err(|_| self.commit.set_refusing(true))
    }

    /// The same; what an earlier sync has lost is written again.
    pub(crate) fn sync_told(&self, writer: &mut Writer) -> Result<(), StoreError> {
        if writer.journal.is_rewound() && !planted(Planted::ForgetTold) {
            let Writer { journal, buffer, told, backlog, .. } = &mut *writer;
            let written = journal.write(told, buffer, Syncing::Now);
            backlog.extend(told.drain(..written.durable.min(told.len())));
            if let Some(error) = written.error {
                return Err(error);
            }
            journal.made_good();
        } else {
            writer.journal.sync()?;
        }
        let Writer { told, told_bytes, backlog, .. } = &mut *writer;
        backlog.append(told);
        *told_bytes = 0;
        self.write_files(writer, false);
        Ok(())
    }
}
