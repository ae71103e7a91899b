//! Long work on an account is done in slices, and its lock is let go of between two of them: nobody who opens a mailbox waits
//! for all of it.
//!
//! What a slice has seen may not hold any more when the next one begins. Who works so decides under the same hold of the lock
//! that changes something, or looks again there.

#[cfg(not(test))]
use std::time::Duration;

/// Messages (or containers, or links) that are looked at and changed under one hold of an account's lock: well below a
/// millisecond.
pub(crate) const SLICE: usize = 1024;
/// How long the lock is let go of: a thread that waits for it has to be woken. One that is let go of and taken again at once
/// is mostly had by who had it.
#[cfg(not(test))]
const BREATH: Duration = Duration::from_micros(100);

#[cfg(not(test))]
pub(crate) use outside_tests::{breathe, looked, slice};
#[cfg(test)]
pub(crate) use tests::{breathe, locked, looked, slice};

#[cfg(not(test))]
mod outside_tests {
    /// So much is done under one hold of the lock.
    pub(crate) const fn slice() -> usize {
        super::SLICE
    }

    /// Between two slices, without the lock.
    pub(crate) fn breathe() {
        std::thread::sleep(super::BREATH);
    }

    /// Something was looked at under the lock: tests count that.
    pub(crate) const fn looked() {}
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::RefCell;

    /// What tests see of this thread's slices, and do to them.
    pub(crate) struct Watch {
        /// The least, so that short histories have many slices.
        pub(crate) slice: usize,
        /// What happens between two slices.
        pub(crate) between: Option<Box<dyn FnMut()>>,
        /// What was looked at since the lock was taken last.
        now: usize,
        /// The most that was looked at under one hold, and all.
        pub(crate) most: usize,
        pub(crate) all: usize,
    }

    thread_local! {
        static WATCH: RefCell<Watch> = const {
            RefCell::new(Watch { slice: 2, between: None, now: 0, most: 0, all: 0 })
        };
    }

    pub(crate) fn watch<T>(look: impl FnOnce(&mut Watch) -> T) -> T {
        WATCH.with_borrow_mut(look)
    }

    pub(crate) fn slice() -> usize {
        watch(|watch| watch.slice)
    }

    pub(crate) fn breathe() {
        if let Some(mut between) = watch(|watch| watch.between.take()) {
            between();
            watch(|watch| watch.between = watch.between.take().or(Some(between)));
        }
    }

    pub(crate) fn locked() {
        watch(|watch| watch.now = 0);
    }

    pub(crate) fn looked() {
        watch(|watch| {
            (watch.now, watch.all) = (watch.now + 1, watch.all + 1);
            watch.most = watch.most.max(watch.now);
        });
    }
}
