//! What the server has done since it started, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only rises.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn count(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What sessions count.
#[derive(Debug, Default)]
pub struct Counters {
    /// Log-ins that were right.
    pub logins: Counter,
    /// Log-ins that were wrong.
    pub wrong_logins: Counter,
    /// Log-ins that were told to come again later: too many waited.
    pub busy_logins: Counter,
    /// Messages that came over LMTP and were saved for at least one recipient.
    pub messages: Counter,
    /// Messages that came over LMTP and were saved for nobody.
    pub messages_refused: Counter,
    /// Copies that were saved: one for each recipient.
    pub deliveries: Counter,
    /// Copies that were not.
    pub deliveries_failed: Counter,
    /// Recipients that were refused: nobody is called so.
    pub unknown_recipients: Counter,
    /// Messages that came by APPEND.
    pub appended: Counter,
}
