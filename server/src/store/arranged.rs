//! What SORT and THREAD have come to, for who asks again.
//!
//! Nothing a message is sorted by, and nothing it is threaded by, ever changes, and a UID never means another message. So
//! an order of messages serves every search that finds some of them, and threads serve a search that finds the same.
//! Nothing is kept of a message that could not be read. All of it is in memory and may be forgotten at any time.

use super::account::Home;
use imap_proto::sort::Order;
use imap_proto::thread::{Algorithm, Threads};
use imap_proto::{Uid, UidSet};
use index_format::Guid;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Milliseconds after its last use until an order is forgotten.
const IDLE_MS: u64 = 60_000;
/// Fewer messages are arranged again as quickly as they are found here.
const FEW: u64 = 256;

/// How messages are arranged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum How {
    By(Arc<Order>),
    Threads(Algorithm),
}

/// Messages that are arranged.
#[derive(Clone, Debug)]
pub(crate) enum Arranged {
    Sorted(Arc<[Uid]>),
    Threads(Arc<Threads>),
}

/// Of which messages: an account as it is loaded, a mailbox, and how.
pub(crate) type Key = (u64, Guid, How);

/// All that is kept, for all accounts.
#[derive(Debug)]
pub(crate) struct Arrangements {
    /// Those used last in front.
    kept: Mutex<Kept>,
    /// Bytes that all may take.
    memory: usize,
}

#[derive(Debug, Default)]
struct Kept {
    list: VecDeque<Arrangement>,
    bytes: usize,
    now: u64,
}

#[derive(Debug)]
struct Arrangement {
    key: Key,
    /// The messages.
    of: UidSet,
    arranged: Arranged,
    used: u64,
}

impl Arrangements {
    /// Keeps as much as fits `memory` bytes; with 0 nothing.
    pub(crate) fn new(memory: usize) -> Self {
        Self { kept: Mutex::default(), memory }
    }

    pub(crate) fn key(home: &Home, mailbox: Guid, how: How) -> Key {
        (home.id, mailbox, how)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic in between leaves a wrong sum at most, and that is made anew.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These messages in order, if they are known so.
    pub(crate) fn find(&self, key: &Key, found: &UidSet) -> Option<Arranged> {
        let (arranged, same) = {
            let mut kept = self.kept();
            let at = kept.list.iter().position(|known| known.key == *key)?;
            let mut known = kept.list.remove(at)?;
            known.used = kept.now;
            let same = known.of == *found;
            let arranged = known.arranged.clone();
            let fits = same
                || matches!(arranged, Arranged::Sorted(_)) && found.subtract(&known.of).is_empty();
            kept.list.push_front(known);
            (fits.then_some(arranged)?, same)
        };
        Some(match arranged {
            Arranged::Sorted(all) if !same => {
                Arranged::Sorted(all.iter().copied().filter(|uid| found.contains(*uid)).collect())
            }
            whole @ (Arranged::Sorted(_) | Arranged::Threads(_)) => whole,
        })
    }

    /// Keeps what was arranged of these messages, unless that is less than what is known.
    pub(crate) fn keep(&self, key: Key, of: UidSet, arranged: Arranged) {
        let mut kept = self.kept();
        let count = of.len();
        let known = kept.list.iter().position(|known| known.key == key);
        // Who asks for the new ones alone doesn't take the others their order.
        let less =
            known.and_then(|at| kept.list.get(at)).is_some_and(|known| known.of.len() / 2 > count);
        if count < FEW || less {
            return;
        }
        if let Some(known) = known.and_then(|at| kept.list.remove(at)) {
            kept.bytes -= known.held();
        }
        let used = kept.now;
        let arrangement = Arrangement { key, of, arranged, used };
        kept.bytes += arrangement.held();
        kept.list.push_front(arrangement);
        while kept.bytes > self.memory {
            kept.forget_last();
        }
    }

    /// Tells the time, in monotonic milliseconds, and forgets what nobody has asked for lately.
    pub(crate) fn forget_idle(&self, now: u64) {
        let mut kept = self.kept();
        if std::mem::replace(&mut kept.now, now) == 0 {
            kept.list.iter_mut().for_each(|known| known.used = now);
        }
        while kept.list.back().is_some_and(|last| last.used + IDLE_MS <= now) {
            kept.forget_last();
        }
    }

    /// Bytes held, about.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        let kept = self.kept();
        assert_eq!(kept.bytes, kept.list.iter().map(Arrangement::held).sum::<usize>());
        kept.bytes
    }
}

impl Kept {
    fn forget_last(&mut self) {
        let last = self.list.pop_back();
        self.bytes -= last.as_ref().map_or(self.bytes, Arrangement::held);
    }
}

impl Arrangement {
    fn held(&self) -> usize {
        let arranged = match &self.arranged {
            Arranged::Sorted(uids) => size_of_val(&**uids),
            Arranged::Threads(threads) => threads.held(),
        };
        size_of::<Self>() + self.of.held() + arranged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imap_proto::sort::{Criterion, SortKey};

    fn key(mailbox: u8, key: SortKey) -> Key {
        let order = Order(vec![Criterion { key, reverse: false }]);
        (1, Guid([mailbox; 16]), How::By(Arc::new(order)))
    }

    fn backwards(count: u32) -> Arranged {
        Arranged::Sorted((1..=count).rev().map(Uid).collect())
    }

    fn sorted(found: Option<Arranged>) -> Option<Vec<u32>> {
        match found? {
            Arranged::Sorted(uids) => Some(uids.iter().map(|uid| uid.0).collect()),
            Arranged::Threads(_) => None,
        }
    }

    #[test]
    fn an_order_serves_those_that_are_in_it() {
        let all = Arrangements::new(1 << 20);
        let set = |first, last| UidSet::range(Uid(first), Uid(last));
        all.keep(key(1, SortKey::Date), set(1, 1000), backwards(1000));
        let find = |found: &UidSet| sorted(all.find(&key(1, SortKey::Date), found));
        assert_eq!(find(&set(1, 1000)).unwrap().len(), 1000);
        assert_eq!(find(&[Uid(3), Uid(7), Uid(900)].into_iter().collect()), Some(vec![900, 7, 3]));
        assert_eq!(find(&UidSet::new()), Some(vec![]));
        assert_eq!(find(&set(1000, 1001)), None);
        for other in [key(1, SortKey::Size), key(2, SortKey::Date)] {
            assert!(all.find(&other, &set(1, 1000)).is_none());
        }
        // The new ones alone take nothing away.
        all.keep(key(1, SortKey::Date), set(700, 1001), backwards(1001));
        assert!(find(&set(1, 1000)).is_some());
        all.keep(key(1, SortKey::Date), set(1, 1001), backwards(1001));
        assert!(find(&set(1, 1001)).is_some());
    }

    #[test]
    fn threads_serve_the_same_messages_alone() {
        let all = Arrangements::new(1 << 20);
        let key = (1, Guid([1; 16]), How::Threads(Algorithm::Refs));
        let set = UidSet::range(Uid(1), Uid(1000));
        all.keep(key.clone(), set.clone(), Arranged::Threads(Arc::default()));
        assert!(all.find(&key, &set).is_some());
        assert!(all.find(&key, &UidSet::range(Uid(1), Uid(999))).is_none());
    }

    #[test]
    fn memory_is_bounded_and_goes_when_nobody_asks() {
        let all = Arrangements::new(10_000);
        let set = UidSet::range(Uid(1), Uid(1000));
        all.forget_idle(1);
        for mailbox in 0..5 {
            all.keep(key(mailbox, SortKey::Date), set.clone(), backwards(1000));
            assert!((4000..10_000).contains(&all.held()));
        }
        assert!(all.find(&key(4, SortKey::Date), &set).is_some());
        assert!(all.find(&key(0, SortKey::Date), &set).is_none());
        all.forget_idle(IDLE_MS);
        assert!(all.held() > 0);
        all.forget_idle(2 * IDLE_MS);
        assert_eq!(all.held(), 0);
        all.keep(key(1, SortKey::Date), UidSet::range(Uid(1), Uid(9)), backwards(9));
        assert_eq!(all.held(), 0);
        let none = Arrangements::new(0);
        none.keep(key(1, SortKey::Date), set.clone(), backwards(1000));
        assert!(none.find(&key(1, SortKey::Date), &set).is_none());
    }
}
