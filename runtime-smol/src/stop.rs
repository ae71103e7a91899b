//! The sign that the server stops.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// A sign that is given once and seen by all who watch. A clone is the same sign.
#[derive(Clone, Default)]
pub struct Stop {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    given: AtomicBool,
    watchers: Mutex<Watchers>,
}

#[derive(Default)]
struct Watchers {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Stop {
    /// A sign that is not given yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the sign, and wakes all who watch.
    pub fn give(&self) {
        self.shared.given.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut self.lock().wakers);
        wakers.into_values().for_each(Waker::wake);
    }

    /// Whether the sign was given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.shared.given.load(Ordering::SeqCst)
    }

    /// Someone who watches for the sign.
    #[must_use]
    pub fn watch(&self) -> StopWatch {
        let mut watchers = self.lock();
        let key = watchers.next;
        watchers.next += 1;
        drop(watchers);
        StopWatch { stop: self.clone(), key, waker: None }
    }

    fn lock(&self) -> MutexGuard<'_, Watchers> {
        self.shared.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One watcher of a [`Stop`].
pub struct StopWatch {
    stop: Stop,
    key: u64,
    waker: Option<Waker>,
}

impl StopWatch {
    /// Whether the sign was given; if not, `cx` is woken when it is.
    pub fn poll(&mut self, cx: &Context<'_>) -> bool {
        if self.stop.is_given() {
            return true;
        }
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
            self.stop.lock().wakers.insert(self.key, cx.waker().clone());
        }
        self.stop.is_given() // given between the two looks, the waker may have come too late
    }
}

impl Drop for StopWatch {
    fn drop(&mut self) {
        self.stop.lock().wakers.remove(&self.key);
    }
}
