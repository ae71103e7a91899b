//! What tells a connection to go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

/// Given at most once; the connection's task sees it, or is woken by it.
#[derive(Debug, Default)]
pub(super) struct Sign {
    given: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Sign {
    pub(super) fn give(&self) {
        self.given.store(true, Ordering::SeqCst);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it was given; when not, `cx` is woken once it is.
    pub(super) fn poll(&self, cx: &Context<'_>) -> bool {
        if self.given.load(Ordering::SeqCst) {
            return true;
        }
        let mut waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        // It may have been given before the waker was there.
        self.given.load(Ordering::SeqCst)
    }
}
