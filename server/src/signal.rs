//! How the rest of the process wakes one connection: a few bits and a waker.
//!
//! Invariant: a bit raised is seen by the next `take`, whoever raced with whom; raising never blocks on a
//! connection's own work.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

/// Something happened that the connection's task should look at.
#[derive(Debug, Default)]
pub struct Signal {
    bits: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

/// The selected mailbox changed.
pub const CHANGED: u8 = 1;
/// The journal became durable further than before, or failed.
pub const DURABLE: u8 = 2;
/// An answer that was computed elsewhere has arrived.
pub const ANSWER: u8 = 4;
/// The server is stopping.
pub const SHUTDOWN: u8 = 8;
/// Whoever runs the server wants the session to end.
pub const KICK: u8 = 16;
/// What memory has of the account is not to be used any more.
pub const GIVEN_UP: u8 = 32;

impl Signal {
    /// Sets `bits` and wakes the task, if it waits.
    pub fn raise(&self, bits: u8) {
        // A bit that was already up has woken the task already.
        if self.bits.fetch_or(bits, Ordering::AcqRel) & bits == bits {
            return;
        }
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the bits raised so far; with none, `waker` is woken by the next.
    pub fn take(&self, waker: &Waker) -> u8 {
        let bits = self.bits.swap(0, Ordering::AcqRel);
        if bits != 0 {
            return bits;
        }
        let mut slot = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            Some(known) if known.will_wake(waker) => {}
            Some(_) | None => *slot = Some(waker.clone()),
        }
        // One may have been raised between the swap and the registration.
        self.bits.swap(0, Ordering::AcqRel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_bit_raised_while_waiting_wakes_once() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let signal = Signal::default();
        assert_eq!(signal.take(&waker), 0);
        signal.raise(CHANGED);
        signal.raise(CHANGED);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert_eq!(signal.take(&waker), CHANGED);
        assert_eq!(signal.take(&waker), 0);
        signal.raise(ANSWER);
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
    }
}
