//! Computation that is done a few milliseconds at a time, so that it takes its turns with that of others and can be
//! given up in between.

use runtime_smol::{Clock, Time};
use std::sync::atomic::{AtomicBool, Ordering};

/// How long a turn lasts, in milliseconds. Long beside the 30 µs it takes to get the next one, short beside what a
/// user notices.
const TURN: u64 = 5;

/// Work in slices.
pub trait Slices: Send {
    /// What it comes to.
    type Result;

    /// Works on until the turn is over.
    fn go_on(&mut self, turn: &Turn<'_>) -> Progress<Self::Result>;
}

/// What a turn came to.
#[derive(Debug)]
pub enum Progress<T> {
    /// All is done.
    Done(T),
    /// Another turn is needed.
    More,
    /// A disk has to be waited for, in a turn where that does no harm.
    Waits,
}

/// The bounds of one turn.
#[derive(Debug)]
pub struct Turn<'a> {
    /// Whether a disk may be waited for.
    pub may_wait: bool,
    given_up: &'a AtomicBool,
    end: Option<(Clock, Time)>,
}

impl<'a> Turn<'a> {
    /// A turn that begins now; it ends early when `given_up` becomes true.
    pub fn begin(clock: Clock, may_wait: bool, given_up: &'a AtomicBool) -> Self {
        let end = Time(clock.now().0.saturating_add(TURN));
        Self { may_wait, given_up, end: Some((clock, end)) }
    }

    /// A turn in which all can be done.
    #[cfg(test)]
    pub(crate) fn endless(given_up: &'a AtomicBool) -> Self {
        Self { may_wait: true, given_up, end: None }
    }

    /// Whether it is time to stop, at a point from where the next turn can go on.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
            || self.end.is_some_and(|(clock, end)| clock.now() >= end)
    }

    /// Whether nobody waits for the result any more: what can't stop in between is to fail.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }
}
