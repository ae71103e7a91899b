//! What nobody uses leaves memory: mailboxes that nobody has selected, columns of those that only idle, and accounts that
//! nobody is logged in to.
//!
//! Invariants:
//! - Only what can be loaded again just as it is goes: its changes are in its files and those were synced, and the
//!   list knows its counters. (A log that is read is taken for durable; what a failed sync could still take back has to
//!   be known to be that.)
//! - An account is in memory once at most: one goes only when nobody has it, and nobody is about to get it.

use super::account::Account;
use super::files::Files;
use super::store::Store;
use index_format::Guid;
use std::sync::Arc;

/// What left memory.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Gone {
    pub(crate) mailboxes: usize,
    pub(crate) accounts: usize,
}

impl Store {
    /// Lets go of what was not used since the last call. Only the thread that keeps house calls this: no checkpoint is
    /// under way.
    pub(crate) fn let_go(&self) -> Gone {
        let mut gone = Gone::default();
        for account in self.loaded_accounts() {
            {
                let pins = self.pins.lock();
                if pins.contains_key(account.dir()) {
                    continue;
                }
                gone.mailboxes += account.let_go(&self.files);
            }
            let name = account.name().to_owned();
            drop(account);
            gone.accounts += usize::from(self.let_account_go(&name));
        }
        gone
    }

    /// Lets go of an account that was loaded for one look, if nobody else has come to use it. Whoever has it pinned has let
    /// go of it before.
    pub(crate) fn let_unused_go(&self, name: &str) {
        // A checkpoint under way knows what is loaded.
        let _keeping = self.keeping();
        // Under way, or dead: it goes with the others.
        let Some(account) = self.account_in_memory(name) else { return };
        account.take_used();
        {
            let pins = self.pins.lock();
            if pins.contains_key(account.dir()) {
                return;
            }
            for _ in 0..2 {
                account.let_go(&self.files);
            }
        }
        account.take_used();
        drop(account);
        self.let_account_go(name);
    }

    /// Whether the account went.
    fn let_account_go(&self, name: &str) -> bool {
        let mut slots = self.slots();
        // Who has the slot is about to use what is in it, and all who get it get it under this lock.
        let Some(slot) = slots.get_mut(name).and_then(Arc::get_mut) else { return false };
        let Some(account) = slot.get_mut() else { return false };
        if !Arc::get_mut(account).is_some_and(Account::can_go) {
            return false;
        }
        let dir = account.dir().to_owned();
        slots.remove(name);
        drop(slots);
        self.files.forget_below(&dir);
        true
    }
}

impl Account {
    /// Lets go of mailboxes that nobody has selected and that were not used since the last call; how many went. Of those
    /// that are selected and only idle, the columns go.
    fn let_go(&self, files: &Files) -> usize {
        let Ok(mut state) = self.lock() else { return 0 };
        let state = &mut *state;
        // Under the lock nothing is queued, so what is settled stays so.
        if !self.is_settled() {
            return 0;
        }
        let mut logs = self.logs();
        let before = state.mailboxes.len();
        let dirty = &state.dirty;
        let kept = |guid: &Guid| {
            dirty.contains(guid) || logs.mailboxes.get(guid).is_some_and(|log| !log.is_durable())
        };
        let has_snapshot =
            |guid: &Guid| logs.mailboxes.get(guid).is_some_and(|log| log.has_snapshot());
        let (list, mut damaged) = (&state.list, Vec::new());
        state.mailboxes.retain(|guid, mbox| {
            let used = std::mem::take(&mut mbox.used);
            mbox.shed &= !used;
            if used || kept(guid) {
                return true;
            }
            let followed = mbox.feed.is_followed();
            if followed
                && has_snapshot(guid)
                && let Some(entry) = list.by_guid(*guid)
                && mbox.shed(files, self.dir(), entry)
            {
                damaged.push(*guid);
            }
            followed
        });
        for guid in damaged {
            logs.mailboxes.get_mut(&guid).into_iter().for_each(|log| log.note_damaged());
        }
        let mailboxes = &state.mailboxes;
        logs.mailboxes.retain(|guid, log| mailboxes.contains_key(guid) || !log.is_durable());
        before - mailboxes.len()
    }

    /// Whether it can go: nobody but the caller has it.
    fn can_go(&mut self) -> bool {
        if self.take_used() || self.is_dead() || !self.is_settled() {
            return false;
        }
        let logs = self.logs();
        let durable = logs.list.is_durable() && logs.map.is_durable() && logs.mailboxes.is_empty();
        drop(logs);
        let Ok(state) = self.lock() else { return false };
        durable
            && state.mailboxes.is_empty()
            && state.dirty.is_empty()
            && state.attachments.is_settled()
            && self.pending().is_empty()
    }
}
