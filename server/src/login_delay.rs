//! Who failed to log in has to wait before the next try.
//!
//! The rules, for peers that are in no trusted network:
//! - Each failure counts for the address (of IPv6: its /64) and for the account that was named, whether or not there is
//!   one. The first few cost nothing; then each try waits, twice as long after each failure, up to a bound. One failure
//!   is forgotten after the other as time goes by.
//! - Where an account was logged in to lately from an address, tries from there for it don't wait, until they fail a few
//!   times themselves: nobody can lock out a user where he is at home, be it by guessing from elsewhere, be it as a
//!   neighbour behind the same address. From anywhere else the owner waits no longer than the bound.
//! - A log-in that is still remembered as right costs no hash and is not asked about here at all.
//!
//! Invariants: whoever waits holds no place in the hash pool; of one address few wait at once, the others are turned
//! away; memory is bounded, in maps whose keys are hashes that nobody can foretell.

use crate::admission::one_address;
use crate::config::{LoginDelays, Network};
use runtime_smol::{Peer, Time};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Addresses, accounts, and pairs of both that are kept, of each so many.
const KEPT: usize = 1 << 16;

/// How long it counts that an account was logged in to from an address: over a holiday.
const AT_HOME: u64 = 30 * 24 * 60 * 60 * 1000;

/// All that is known of failed log-ins. A clone is the same.
#[derive(Clone, Debug)]
pub struct Delays {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    bounds: LoginDelays,
    trusted: Vec<Network>,
    keys: RandomState,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    addresses: Table<Failures>,
    accounts: Table<Failures>,
    homes: Table<Home>,
    /// How many of an address wait; none is 0.
    waiting: HashMap<u64, usize>,
}

/// A try: where it comes from and what it is for.
#[derive(Clone, Copy, Debug)]
struct Try {
    address: u64,
    account: u64,
    home: u64,
}

/// Failures, as many as there were at a time.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    at: Time,
}

/// Where somebody logged in lately.
#[derive(Clone, Copy, Debug)]
struct Home {
    until: Time,
    /// Since the last success.
    failures: u32,
}

/// When a try may begin.
#[derive(Debug)]
pub enum Turn {
    /// Now.
    Now,
    /// When this is over.
    Later(Wait),
    /// Too many of that address wait already.
    Busy,
}

/// A place among those who wait, which is free again when this is dropped.
#[derive(Debug)]
pub struct Wait {
    /// When it is over.
    pub until: Time,
    address: u64,
    shared: Arc<Shared>,
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(count) = state.waiting.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                state.waiting.remove(&self.address);
            }
        }
    }
}

impl Delays {
    /// Delays with these bounds; there are none for peers in `trusted` networks and on UNIX sockets.
    #[must_use]
    pub fn new(bounds: LoginDelays, trusted: Vec<Network>) -> Self {
        let state = Mutex::new(State {
            addresses: Table::new(KEPT),
            accounts: Table::new(KEPT),
            homes: Table::new(KEPT),
            waiting: HashMap::new(),
        });
        Self { shared: Arc::new(Shared { bounds, trusted, keys: RandomState::new(), state }) }
    }

    /// When `peer` may try to log in to `account`, whichever way that name is known to be the same for its other
    /// spellings.
    #[must_use]
    pub fn turn(&self, peer: &Peer, account: &[u8], now: Time) -> Turn {
        let Some(this) = self.shared.this(peer, account) else { return Turn::Now };
        let bounds = &self.shared.bounds;
        let mut state = self.shared.state();
        let is_home = |home: &Home| now < home.until && home.failures <= bounds.free_failures;
        if state.homes.get(this.home).is_some_and(|home| is_home(home)) {
            return Turn::Now;
        }
        let of = |failures: Option<&mut Failures>| {
            failures.map_or(0, |failures| failures.decayed(bounds, now).delay(bounds))
        };
        let delay = of(state.addresses.get(this.address)).max(of(state.accounts.get(this.account)));
        if delay == 0 {
            return Turn::Now;
        }
        let waiting = state.waiting.entry(this.address).or_default();
        if *waiting >= bounds.waiting_per_address {
            return Turn::Busy;
        }
        *waiting += 1;
        drop(state);
        let until = Time(now.0.saturating_add(delay));
        Turn::Later(Wait { until, address: this.address, shared: self.shared.clone() })
    }

    /// What became of a try.
    pub fn settle(&self, peer: &Peer, account: &[u8], success: bool, now: Time) {
        let Some(this) = self.shared.this(peer, account) else { return };
        let bounds = &self.shared.bounds;
        let mut state = self.shared.state();
        if success {
            let until = Time(now.0.saturating_add(AT_HOME));
            state.homes.insert(this.home, Home { until, failures: 0 });
            return;
        }
        if let Some(home) = state.homes.get(this.home) {
            home.failures = home.failures.saturating_add(1);
        }
        let State { addresses, accounts, .. } = &mut *state;
        for (table, key) in [(addresses, this.address), (accounts, this.account)] {
            let before = table.get(key).copied().unwrap_or_default();
            let count = before.decayed(bounds, now).count.saturating_add(1);
            // More than the longest delay takes would only take longer to be forgotten.
            let most = bounds.free_failures.saturating_add(bounds.doublings()).saturating_add(1);
            let count = count.min(most);
            let at = if before.count == 0 { now } else { before.decayed(bounds, now).at };
            table.insert(key, Failures { count, at });
        }
    }
}

impl Shared {
    /// `None` for those whom all this does not concern.
    fn this(&self, peer: &Peer, account: &[u8]) -> Option<Try> {
        let ip = peer.addr?.ip();
        if self.bounds.first_delay == 0 || self.trusted.iter().any(|net| net.contains(ip)) {
            return None;
        }
        let address = one_address(ip);
        let account = account.to_ascii_lowercase();
        Some(Try {
            address: self.keys.hash_one(address),
            account: self.keys.hash_one(&account),
            home: self.keys.hash_one((address, &account)),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    /// What is left of them now.
    fn decayed(self, bounds: &LoginDelays, now: Time) -> Self {
        let passed = now.0.saturating_sub(self.at.0);
        let forgotten = passed.checked_div(bounds.forget_time).unwrap_or(u64::MAX);
        let count = u32::try_from(u64::from(self.count).saturating_sub(forgotten)).unwrap_or(0);
        let at = Time(self.at.0.saturating_add(forgotten.saturating_mul(bounds.forget_time)));
        Self { count, at: at.min(now) }
    }

    /// In milliseconds.
    fn delay(self, bounds: &LoginDelays) -> u64 {
        let over = self.count.saturating_sub(bounds.free_failures);
        let Some(doublings) = over.checked_sub(1) else { return 0 };
        match doublings < bounds.doublings() {
            true => (bounds.first_delay << doublings).min(bounds.longest_delay),
            false => bounds.longest_delay,
        }
    }
}

impl LoginDelays {
    /// Failures beyond the free ones from which on a delay is the longest.
    fn doublings(&self) -> u32 {
        let times = self.longest_delay.checked_div(self.first_delay).unwrap_or(1).max(1);
        times.ilog2() + 1
    }
}

/// A map of at most so many entries. When it is full, those that were not asked for lately go.
#[derive(Debug)]
struct Table<V> {
    young: HashMap<u64, V>,
    old: HashMap<u64, V>,
    max: usize,
}

impl<V> Table<V> {
    fn new(max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), max }
    }

    fn get(&mut self, key: u64) -> Option<&mut V> {
        if let Some(value) = self.old.remove(&key) {
            self.insert(key, value);
        }
        self.young.get_mut(&key)
    }

    fn insert(&mut self, key: u64, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.max / 2 && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests;
