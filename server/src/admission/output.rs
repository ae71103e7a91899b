//! What waits for slow readers, of all services together.
//!
//! One session holds little for a peer that takes nothing, and not for ever; thousands of them at once hold much.
//! Invariant: what is held for peers that take nothing stays within the bound. The one that has taken nothing for the
//! longest is closed first: whoever reads slowly but does read has the others' time to go on.

use super::sign::Sign;
use runtime_smol::Time;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::warn;

/// The bound and what is held. A clone is the same.
#[derive(Clone, Debug)]
pub struct OutputBudget {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// In bytes.
    max: usize,
    stalled: Mutex<Stalled>,
}

#[derive(Debug, Default)]
struct Stalled {
    held: usize,
    /// The longest first.
    by_time: BTreeMap<(Time, Number), Peer>,
    /// Since when each is in it.
    since: HashMap<Number, Time>,
}

#[derive(Debug)]
struct Peer {
    held: usize,
    sign: Arc<Sign>,
}

/// Which sign it is.
type Number = usize;

impl OutputBudget {
    /// At most `max` bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { shared: Arc::new(Shared { max, stalled: Mutex::default() }) }
    }

    /// Nothing is taken since then, and `held` bytes wait.
    pub(super) fn stalled(&self, sign: &Arc<Sign>, since: Time, held: usize) {
        let mut stalled = self.shared.stalled();
        stalled.remove(number(sign));
        stalled.held += held;
        stalled.since.insert(number(sign), since);
        stalled.by_time.insert((since, number(sign)), Peer { held, sign: sign.clone() });
        while stalled.held > self.shared.max {
            let Some((&(_, first), _)) = stalled.by_time.first_key_value() else { return };
            let Some(peer) = stalled.remove(first) else { return };
            warn!(
                bytes = peer.held,
                "closed: it reads nothing, and too much waits for slow readers"
            );
            peer.sign.give();
        }
    }

    /// It took something, or is gone.
    pub(super) fn flows(&self, sign: &Arc<Sign>) {
        self.shared.stalled().remove(number(sign));
    }
}

impl Shared {
    fn stalled(&self) -> MutexGuard<'_, Stalled> {
        self.stalled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stalled {
    fn remove(&mut self, number: Number) -> Option<Peer> {
        let since = self.since.remove(&number)?;
        let peer = self.by_time.remove(&(since, number))?;
        self.held -= peer.held;
        Some(peer)
    }
}

fn number(sign: &Arc<Sign>) -> Number {
    Arc::as_ptr(sign).addr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Waker};

    fn gone(signs: &[Arc<Sign>]) -> Vec<bool> {
        let cx = Context::from_waker(Waker::noop());
        signs.iter().map(|sign| sign.poll(&cx)).collect()
    }

    #[test]
    fn row_58_who_took_nothing_for_the_longest_goes_first_and_no_more_than_need_be() {
        let budget = OutputBudget::new(100);
        let signs: Vec<Arc<Sign>> = (0..4).map(|_| Arc::default()).collect();
        budget.stalled(&signs[0], Time(1), 40);
        budget.stalled(&signs[1], Time(2), 60);
        assert_eq!(gone(&signs), [false; 4]);
        // The first took something, and then stopped again.
        budget.flows(&signs[0]);
        budget.stalled(&signs[0], Time(3), 40);
        budget.stalled(&signs[2], Time(4), 30);
        assert_eq!(gone(&signs), [false, true, false, false]);
        budget.stalled(&signs[2], Time(4), 60);
        assert_eq!(gone(&signs), [false, true, false, false], "the same again is no more");
        budget.stalled(&signs[3], Time(5), 100);
        assert_eq!(gone(&signs), [true, true, true, false]);
        assert_eq!(budget.shared.stalled().held, 100);
        budget.flows(&signs[3]);
        let stalled = budget.shared.stalled();
        assert!(stalled.held == 0 && stalled.by_time.is_empty() && stalled.since.is_empty());
    }
}
