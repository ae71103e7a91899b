//! The queue of assigned changes, and who waits for them to become durable.
//!
//! A change is *assigned* under its account's lock (numbers are given out, memory changes) and queued in
//! that order; it is *durable* when its journal record is synced, or, where the settings promise less, when it is
//! written. Nothing that depends on it leaves the process before that: every answer carries the position of the last
//! change that it may reflect.
//! Invariants:
//! - Positions ascend in queue order, and for one account in the order of its lock.
//! - `durable` never passes a position that was lost.

use super::change::Change;
use crate::signal::{self, Signal};
use std::collections::BTreeSet;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// One change on its way to the journal.
pub(crate) struct Entry {
    /// Where it stands in the order of all changes.
    pub(crate) position: u64,
    /// What it is.
    pub(crate) change: Change,
    /// About how many bytes its journal record has.
    pub(crate) len: usize,
}

/// What the commit thread takes and sessions fill.
#[derive(Default)]
pub(crate) struct Commit {
    queue: Mutex<Queue>,
    /// Wakes the commit thread.
    arrived: Condvar,
    durable: AtomicU64,
    /// Sessions that are taking in a change and were not waited for yet.
    preparing: Preparing,
    /// Set while changes can't be taken: the journal or what it covers could not be written.
    refusing: AtomicBool,
}

#[derive(Default)]
struct Queue {
    entries: Vec<Entry>,
    bytes: usize,
    /// Position of the youngest entry ever queued.
    last: u64,
    waiters: Vec<(u64, Arc<Signal>)>,
    lost: BTreeSet<u64>,
    stopping: bool,
}

impl Queue {
    fn outcome(&self, position: u64, durable: u64) -> Outcome {
        if self.lost.contains(&position) {
            Outcome::Lost
        } else if position <= durable {
            Outcome::Durable
        } else {
            Outcome::Waiting
        }
    }

    fn wake(&mut self, durable: u64) {
        let lost = &self.lost;
        self.waiters.retain(|(wanted, signal)| {
            let waits = *wanted > durable && !lost.contains(wanted);
            if !waits {
                signal.raise(signal::DURABLE);
            }
            waits
        });
    }
}

/// Why the commit thread goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Woken {
    /// There is something to commit.
    Change,
    /// There is not, but the time it was ready to wait is over.
    Patience,
    /// It stops, and nothing is left.
    Stop,
}

/// What became of a position.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Not synced yet.
    Waiting,
    /// Synced, or written where that is what the settings promise.
    Durable,
    /// Never to become durable.
    Lost,
}

impl Commit {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // The queue's own code does not panic between two changes of it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a change and returns its position. The caller holds the locks of all its accounts.
    pub(crate) fn push(&self, change: Change) -> u64 {
        let len = change.len();
        let mut queue = self.queue();
        queue.last += 1;
        let position = queue.last;
        queue.bytes += len;
        let first = queue.entries.is_empty();
        queue.entries.push(Entry { position, change, len });
        drop(queue);
        if first {
            self.arrived.notify_one();
        }
        position
    }

    /// Waits until there is something to commit, at most for `patience` if that is given.
    ///
    /// Waits for the first entry, then, while sessions are still preparing, up to `wait` for theirs.
    pub(crate) fn wait(&self, wait: Duration, bytes: usize, patience: Option<Duration>) -> Woken {
        let mut queue = self.queue();
        while queue.entries.is_empty() {
            if queue.stopping {
                return Woken::Stop;
            }
            let Some(patience) = patience else {
                queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let idle = |queue: &mut Queue| queue.entries.is_empty() && !queue.stopping;
            let (waited, result) = self
                .arrived
                .wait_timeout_while(queue, patience, idle)
                .unwrap_or_else(PoisonError::into_inner);
            if result.timed_out() {
                return Woken::Patience;
            }
            queue = waited;
        }
        let busy =
            |queue: &mut Queue| self.preparing.any() && queue.bytes < bytes && !queue.stopping;
        if busy(&mut queue) {
            let (_queue, result) = self
                .arrived
                .wait_timeout_while(queue, wait, busy)
                .unwrap_or_else(PoisonError::into_inner);
            if result.timed_out() {
                self.preparing.forget();
            }
        }
        Woken::Change
    }

    /// Takes what is queued, up to about `bytes`, without waiting.
    pub(crate) fn take(&self, bytes: usize) -> Vec<Entry> {
        Self::drain(&mut self.queue(), bytes)
    }

    /// Takes out what builds on accounts that are dead.
    pub(crate) fn take_dead(&self) -> Vec<Entry> {
        let mut queue = self.queue();
        let dead =
            |entry: &mut Entry| entry.change.accounts.iter().any(|account| account.is_dead());
        let taken: Vec<Entry> = queue.entries.extract_if(.., dead).collect();
        queue.bytes -= taken.iter().map(|entry| entry.len).sum::<usize>();
        taken
    }

    fn drain(queue: &mut Queue, bytes: usize) -> Vec<Entry> {
        let mut total = 0;
        let fits = |entry: &&Entry| {
            let room = total == 0 || total + entry.len <= bytes;
            total += entry.len;
            room
        };
        let count = queue.entries.iter().take_while(fits).count();
        let rest = queue.entries.split_off(count);
        let taken = mem::replace(&mut queue.entries, rest);
        queue.bytes -= taken.iter().map(|entry| entry.len).sum::<usize>();
        taken
    }

    /// All up to `position` is durable, but for what was lost: whoever waits for that is told.
    pub(crate) fn set_durable(&self, position: u64) {
        let mut queue = self.queue();
        self.durable.store(position, Ordering::Release);
        queue.wake(position);
    }

    /// These `positions` will never be durable.
    pub(crate) fn set_lost(&self, positions: impl Iterator<Item = u64>) {
        let mut queue = self.queue();
        queue.lost.extend(positions);
        queue.wake(self.durable());
    }

    /// The position up to which nothing is waiting any more.
    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// What became of `position`.
    pub(crate) fn outcome(&self, position: u64) -> Outcome {
        self.queue().outcome(position, self.durable())
    }

    /// Raises [`signal::DURABLE`] once `position` is durable or lost.
    pub(crate) fn when_durable(&self, position: u64, signal: &Arc<Signal>) {
        let mut queue = self.queue();
        if queue.outcome(position, self.durable()) != Outcome::Waiting {
            drop(queue);
            signal.raise(signal::DURABLE);
        } else {
            queue.waiters.push((position, signal.clone()));
        }
    }

    /// Whether changes are refused for now.
    pub(crate) fn refusing(&self) -> bool {
        self.refusing.load(Ordering::Acquire)
    }

    /// Refuses changes, or takes them again.
    pub(crate) fn set_refusing(&self, refusing: bool) {
        self.refusing.store(refusing, Ordering::Release);
    }

    /// Lets [`Commit::take`] return what is left, then `None`.
    pub(crate) fn stop(&self) {
        self.queue().stopping = true;
        self.arrived.notify_all();
    }

    /// Position of the youngest change.
    pub(crate) fn last(&self) -> u64 {
        self.queue().last
    }

    /// A session begins to take in a change; hand what this gives to [`Commit::end_preparing`].
    pub(crate) fn begin_preparing(&self) -> Generation {
        self.preparing.begin()
    }

    /// It has queued its change, or given it up.
    pub(crate) fn end_preparing(&self, generation: Generation) {
        if self.preparing.end(generation) {
            // Under the lock, so that the thread does not miss it between its look and its sleep.
            let queue = self.queue();
            if !queue.entries.is_empty() {
                self.arrived.notify_one();
            }
        }
    }
}

/// Counts the sessions that are worth waiting for: one that was waited for once, in vain, isn't any more. So a client
/// that stalls in the middle of its message delays one group, not each.
#[derive(Default)]
struct Preparing(AtomicU64);

/// When a session began, in groups that were waited for in vain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Generation(u32);

impl Preparing {
    /// The upper half of the word is the generation, the lower half how many of it there are.
    fn split(word: u64) -> (Generation, u32) {
        (Generation((word >> 32) as u32), word as u32)
    }

    fn any(&self) -> bool {
        Self::split(self.0.load(Ordering::Acquire)).1 > 0
    }

    fn begin(&self) -> Generation {
        Self::split(self.0.fetch_add(1, Ordering::AcqRel)).0
    }

    /// Whether it was the last one of the present generation.
    fn end(&self, generation: Generation) -> bool {
        let counted = |word| Self::split(word).0 == generation;
        self.0
            .try_update(Ordering::AcqRel, Ordering::Acquire, |word| counted(word).then(|| word - 1))
            .is_ok_and(|before| Self::split(before).1 == 1)
    }

    /// None of those that began so far is waited for any more.
    fn forget(&self) {
        let next = |word| u64::from(Self::split(word).0.0.wrapping_add(1)) << 32;
        self.0.update(Ordering::AcqRel, Ordering::Acquire, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_stalls_is_waited_for_once() {
        let preparing = Preparing::default();
        let stalled = preparing.begin();
        assert!(preparing.any());
        preparing.forget();
        assert!(!preparing.any());
        let prompt = preparing.begin();
        assert!(preparing.any());
        assert!(!preparing.end(stalled), "it isn't counted any more");
        assert!(preparing.any());
        assert!(preparing.end(prompt));
        assert!(!preparing.any());
    }
}
