//! What the store has done since it was opened, in numbers.

use super::store::Store;
use crate::counters::Counter;

/// What the commit thread counts.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) groups: Counter,
    pub(crate) changes: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) failed: Counter,
}

/// See [`Store::figures`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Figures {
    /// Groups of changes that were written to the journal; each is one sync, or shares one.
    pub groups: u64,
    /// Changes in them.
    pub changes: u64,
    /// Checkpoints that came to their end.
    pub checkpoints: u64,
    /// Groups, and checkpoints, that failed.
    pub failed: u64,
    /// Journal bytes since the last checkpoint.
    pub journal_bytes: u64,
    /// Accounts in memory.
    pub accounts: usize,
    /// New mail is refused, for want of room or since the journal can't be written.
    pub refusing: bool,
}

impl Store {
    /// How it is, in numbers.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let Counts { groups, changes, checkpoints, failed } = &self.counts;
        Figures {
            groups: groups.get(),
            changes: changes.get(),
            checkpoints: checkpoints.get(),
            failed: failed.get(),
            journal_bytes: self.writer().journal.written,
            accounts: self.loaded_accounts().len(),
            refusing: self.free_space_low(),
        }
    }
}
