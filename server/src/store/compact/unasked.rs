//! The thread that gives room back without being asked.

use super::{Compacted, Wanted};
use crate::store::account::{Account, State};
use crate::store::store::Store;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Between two looks at what there is to do unasked.
const ROUND: Duration = Duration::from_secs(5);

/// What the threads wait by that give room back unasked.
#[derive(Default)]
pub(crate) struct Pause {
    stopping: Mutex<bool>,
    called: Condvar,
}

impl Pause {
    /// Ends the threads.
    pub(crate) fn stop(&self) {
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.called.notify_all();
    }

    /// Whether it is time to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits; `false` when stopping.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.called.wait_timeout_while(stopping, time, |stopping| !*stopping);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The thread that compacts unasked, and learns dictionaries.
impl Store {
    /// Compacts at the pace of the settings, and learns dictionaries, until it is stopped.
    pub(crate) fn keep_compact(&self) {
        let rate = self.config.compaction_rate;
        let second = 1_000_000_000;
        self.compact_while(&|bytes| {
            self.pause.wait(match bytes {
                None => ROUND,
                Some(bytes) => Duration::from_nanos(bytes.saturating_mul(second) / rate.max(1)),
            })
        });
    }

    /// Goes over the accounts in memory as long as `wait` says so, which is called between them and, with bytes, for what
    /// was read and written.
    fn compact_while(&self, wait: &dyn Fn(Option<u64>) -> bool) {
        while wait(None) {
            if self.commit.refusing() || self.files.is_suspect() {
                continue;
            }
            self.learn();
            if self.config.compaction_rate == 0 {
                continue;
            }
            for account in self.loaded_accounts() {
                self.compact_cheaply(&account, wait);
            }
        }
    }

    pub(crate) fn compact_cheaply(
        &self,
        account: &Arc<Account>,
        wait: &dyn Fn(Option<u64>) -> bool,
    ) {
        if let Err(error) = self.forget_deleted(account, false) {
            tracing::warn!(account = account.name(), %error, "the files of deleted mailboxes can't be taken away now");
        }
        let now = self.now();
        let low = self.free_space_low();
        let due = |state: &State| {
            let from = state.garbage_from;
            state.garbage || from.is_some_and(|from| low || from <= now)
        };
        if !account.lock().is_ok_and(|state| due(&state)) {
            return;
        }
        let mut done = Compacted::default();
        let mut goes_on = true;
        let result = loop {
            let mut pace = |bytes| {
                goes_on = wait(Some(bytes));
                goes_on
            };
            match self.compact_step(account, Wanted::Cheap, &mut pace) {
                Ok(Some(step)) => {
                    done.freed += step.freed;
                    done.moved += step.moved;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if !goes_on {
                break Ok(());
            }
        };
        let name = account.name();
        if done.freed > 0 {
            let (freed, moved) = (done.freed, done.moved);
            tracing::info!(account = name, freed, moved, "gave back the room of expunged mail");
        }
        if let Err(error) = result {
            tracing::warn!(account = name, %error, "the room of expunged mail can't be given back now");
        }
    }
}
