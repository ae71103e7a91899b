//! Snapshots of logs, and overlays over those of mailboxes: written at checkpoints, so that no start has much to read.
//!
//! Invariants (the argument is in `docs/formats/snapshot.md`):
//! - A snapshot or overlay is written only of a log that is durable as far as it says.
//! - The snapshot before the newest stays, with every log file since. An overlay takes no file away.

use super::account::{Account, State};
use super::change::LogName;
use super::error::StoreError;
use super::logfile::{LogFile, LogPosition};
use super::mailbox::Mbox;
use super::planted::{Planted, planted};
use super::store::Store;
use dbox_format::map;
use index_format::mailbox::Parts;
use index_format::{Guid, snapshot};
use runtime_smol::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// A file about to be written.
struct Fresh {
    dir: PathBuf,
    name: &'static str,
    bytes: Vec<u8>,
    position: LogPosition,
    /// It goes over a snapshot, which stays.
    overlay: bool,
}

impl Store {
    /// Writes what is due of logs with more than `after` bytes behind their last one, as long as there is `time`.
    pub(super) fn write_snapshots(
        &self,
        after: u64,
        time: &dyn Fn() -> bool,
    ) -> Result<(), StoreError> {
        for account in self.loaded_accounts() {
            // Somebody copies the files that the moment has; there is time enough afterwards.
            if self.pins.cover(account.dir()) && !planted(Planted::SnapshotWhileFrozen) {
                continue;
            }
            let names: Vec<LogName> = {
                let logs = account.logs();
                let long = |log: &LogFile| log.wants_snapshot(after);
                let mailboxes = logs.mailboxes.iter().filter(|(_, log)| log.wants_overlay(after));
                let mut names: Vec<LogName> =
                    mailboxes.map(|(guid, _)| LogName::Mailbox(*guid)).collect();
                names.extend(long(&logs.list).then_some(LogName::List));
                names.extend(long(&logs.map).then_some(LogName::Map));
                names
            };
            for name in names {
                if !time() {
                    return Ok(());
                }
                self.write_snapshot(&account, name)?;
            }
        }
        Ok(())
    }

    /// Writes a snapshot of one log's state, or an overlay, unless a change is under way; whether it did.
    pub(crate) fn write_snapshot(
        &self,
        account: &Arc<Account>,
        name: LogName,
    ) -> Result<bool, StoreError> {
        let Some(fresh) = self.fresh(account, name)? else { return Ok(false) };
        let written = self.put(account, name, &fresh);
        if let LogName::Mailbox(guid) = name
            && written.is_err()
            && let Ok(mut state) = account.lock()
            && let Some(mbox) = state.mailboxes.get_mut(&guid)
        {
            // What an overlay would go over may not be there.
            mbox.mailbox.forget_base();
        }
        written?;
        let mut logs = account.logs();
        let Some(log) = logs.get(name) else { return Ok(true) };
        let Fresh { position, overlay, .. } = fresh;
        let before = match overlay {
            true => log.note_overlay(position),
            false => log.note_snapshot(position, fresh.bytes.len() as u64),
        };
        if position.offset > self.config.log_size {
            log.rotate();
        }
        if let Some(before) = before {
            let needed = if planted(Planted::OneGeneration) { position } else { before };
            for file in log.files_before(&self.files, needed)? {
                // The snapshot that made these files unneeded is durable, and so is the one before it.
                self.garbage(0, file);
            }
        }
        Ok(true)
    }

    /// Gives a file its name, durably.
    fn put(
        &self,
        account: &Arc<Account>,
        name: LogName,
        Fresh { dir, name: base, bytes, overlay, .. }: &Fresh,
    ) -> Result<(), StoreError> {
        let fs = self.files.fs();
        let path = dir.join(base);
        let error = |error| StoreError::io("write", &path, error);
        // A snapshot names only what is durable.
        if !planted(Planted::SnapshotAhead)
            && let Some(log) = self.current_log(account, name)
        {
            let file = fs.open(&log, fs::Open::Append).map_err(error)?;
            file.sync_data().inspect_err(|_| self.distrust()).map_err(error)?;
            fs.sync_dir(dir).map_err(error)?;
        }
        if planted(Planted::RenameBeforeSync) {
            let temporary = dir.join("index.planted");
            let file = fs.open(&temporary, fs::Open::Write).map_err(error)?;
            file.write_at(&[std::io::IoSlice::new(bytes)], 0).map_err(error)?;
            fs.rename(&temporary, &path).map_err(error)?;
            return fs.sync_dir(dir).map_err(error);
        }
        // A damaged one must not take the place of the one that serves.
        let keeps = account.logs().get(name).is_some_and(|log| !log.is_damaged());
        let there = fs.metadata(&path).map_err(error)?.is_some();
        if keeps && there && !overlay && !planted(Planted::OneGeneration) {
            fs.rename(&path, &dir.join(format!("{base}.prev"))).map_err(error)?;
        }
        fs::replace_verified(fs, &path, bytes).map_err(error)
    }

    /// What is to be written, and where it stands; `None` while something is on its way to the log.
    fn fresh(&self, account: &Arc<Account>, name: LogName) -> Result<Option<Fresh>, StoreError> {
        let Ok(mut state) = account.lock() else { return Ok(None) };
        let mut position = {
            let mut logs = account.logs();
            let Some(position) = logs.get(name).and_then(|log| log.end()) else { return Ok(None) };
            position
        };
        if state.transactions(name) != Some(position.transactions) {
            return Ok(None);
        }
        let end = position.offset;
        position.offset += if planted(Planted::SnapshotAhead) { 4096 } else { 0 };
        let dir = account.dir().to_owned();
        let (name, bytes) = match name {
            LogName::List => {
                ("list.index", state.list.write(account.store(), position.file, position.offset))
            }
            LogName::Map => {
                let mut bytes = Vec::new();
                let LogPosition { file, offset, .. } = position;
                state.map.write_snapshot(map::LogPosition { file, offset }, &mut bytes);
                ("map.index", bytes)
            }
            LogName::Mailbox(guid) => {
                let fresh = self.fresh_mailbox(account, &mut state, guid, position);
                return Ok(fresh.map(|fresh| Fresh {
                    position: LogPosition { offset: end, ..position },
                    ..fresh
                }));
            }
        };
        position.offset = end;
        Ok(Some(Fresh { dir, name, bytes, position, overlay: false }))
    }

    /// An overlay, or the whole where there is nothing to lay it over or it would be long.
    fn fresh_mailbox(
        &self,
        account: &Arc<Account>,
        state: &mut State,
        guid: Guid,
        position: LogPosition,
    ) -> Option<Fresh> {
        let mbox = state.mailboxes.get_mut(&guid)?;
        let dir = super::mailbox::directory(account.dir(), guid);
        let needs = mbox.mailbox.overlay_needs();
        self.load(account, mbox, needs)?;
        let LogPosition { file, offset, .. } = position;
        if let Some(bytes) = snapshot::write_overlay(&mbox.mailbox, guid, file, offset)
            && account
                .logs()
                .mailboxes
                .get(&guid)?
                .takes_overlay(bytes.len() as u64, self.config.overlay_percent)
        {
            return Some(Fresh { dir, name: "index.delta", bytes, position, overlay: true });
        }
        self.load(account, mbox, Parts::ALL)?;
        mbox.mailbox.renumber();
        let bytes = snapshot::write(&mbox.mailbox, guid, file, offset);
        mbox.mailbox.rebase(&bytes).expect("what was just written is a snapshot");
        Some(Fresh { dir, name: "index", bytes, position, overlay: false })
    }

    /// `None` when that can't be: such a mailbox is refused to those who want to read it, and must not keep the others from
    /// their checkpoint.
    fn load(&self, account: &Account, mbox: &mut Mbox, parts: Parts) -> Option<()> {
        let loaded = account.need(&self.files, mbox, parts);
        let report = |error: &StoreError| {
            tracing::error!(%error, "no snapshot of a damaged mailbox is written");
        };
        loaded.inspect_err(report).ok()
    }

    fn current_log(&self, account: &Account, name: LogName) -> Option<PathBuf> {
        account.logs().get(name)?.current_path()
    }
}
