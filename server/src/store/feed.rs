//! What the sessions of one mailbox have not been told yet.
//!
//! A session asks for what happened since its cursor; nothing is queued for it. Invariants:
//! - A change stays until every session has seen it, and many old ones are merged into one, so a session that
//!   never asks costs ranges, not a list.
//! - An expunged row stays readable for as long as some session may still name it.
//! - What one of many followers asks costs it nothing for the others: a change counts those who have not seen it.

use crate::signal::{self, Signal};
use imap_proto::{Cursor, UidSet};
use index_format::Uid;
use index_format::mailbox::Row;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Changes kept apart; more are merged, oldest first.
const APART: usize = 64;

/// The changes of one mailbox, and who follows them.
#[derive(Default)]
pub(crate) struct Feed {
    /// Number of the last change.
    last: u64,
    changes: VecDeque<Change>,
    /// Ascending by session.
    sessions: Vec<Follower>,
    graves: BTreeMap<Uid, (u64, Row)>,
    /// How many of them each message has, by map id.
    buried: BTreeMap<u32, usize>,
}

struct Follower {
    session: u64,
    signal: Arc<Signal>,
    /// Number of the last change that it has seen all of.
    seen: u64,
}

/// One change, or several merged.
#[derive(Clone, Default)]
pub(crate) struct Change {
    pub(super) number: u64,
    /// The number of the first of those that were merged.
    pub(super) first: u64,
    /// How many followers have not seen all of it.
    pub(super) unseen: usize,
    /// The session that did it and knows; 0 when several did.
    pub(super) by: u64,
    /// New messages.
    pub(crate) added: UidSet,
    /// Messages with other flags.
    pub(crate) flags: UidSet,
    /// Messages that went.
    pub(crate) expunged: UidSet,
    /// New keywords came up.
    pub(crate) keywords: bool,
    /// Messages went that are not in `expunged`, since they may not be told yet.
    pub(crate) withheld: bool,
}

impl Feed {
    /// Whether anybody follows; if not, nothing need be noted.
    pub(crate) fn is_followed(&self) -> bool {
        !self.sessions.is_empty()
    }

    /// Session `session` follows from now on; gives its cursor.
    pub(crate) fn follow(&mut self, session: u64, signal: Arc<Signal>) -> Cursor {
        self.unfollow(session);
        let follower = Follower { session, signal, seen: self.last };
        let at = self.sessions.partition_point(|known| known.session < session);
        // Most mailboxes have one follower.
        self.sessions.reserve_exact(usize::from(self.sessions.is_empty()));
        self.sessions.insert(at, follower);
        Cursor([self.last, self.last])
    }

    /// Session `session` follows no more.
    pub(crate) fn unfollow(&mut self, session: u64) {
        if let Ok(at) = self.find(session) {
            let follower = self.sessions.remove(at);
            self.count_down(follower.seen, self.last);
        }
        if self.sessions.is_empty() {
            self.sessions = Vec::new();
        }
    }

    fn find(&self, session: u64) -> Result<usize, usize> {
        self.sessions.binary_search_by_key(&session, |follower| follower.session)
    }

    /// Notes a change made by `session`, and the rows it expunged.
    pub(crate) fn note(
        &mut self,
        session: u64,
        mut change: Change,
        graves: impl Iterator<Item = Row>,
    ) {
        if self.sessions.is_empty() {
            return;
        }
        self.last += 1;
        (change.number, change.first) = (self.last, self.last);
        change.unseen = self.sessions.len();
        change.by = session;
        for row in graves {
            *self.buried.entry(row.map_id.0).or_default() += 1;
            self.graves.insert(row.uid, (self.last, row));
        }
        self.changes.push_back(change);
        if self.changes.len() > APART
            && let Some(oldest) = self.changes.pop_front()
            && let Some(second) = self.changes.front_mut()
        {
            second.absorb(&oldest);
        }
    }

    /// The signals of all followers but `session`'s own.
    pub(crate) fn others(&self, session: u64) -> impl Iterator<Item = &Arc<Signal>> {
        self.sessions
            .iter()
            .filter(move |follower| follower.session != session)
            .map(|follower| &follower.signal)
    }

    /// What `session` has not seen after `cursor`: additions and flags always, expunges when `may_shrink`.
    pub(crate) fn since(
        &mut self,
        session: u64,
        cursor: Cursor,
        may_shrink: bool,
    ) -> (Change, Cursor) {
        let Cursor([seen, seen_expunges]) = cursor;
        let mut sum = Change::default();
        for change in &self.changes {
            if change.number > seen {
                sum.added = sum.added.union(&change.added);
                sum.keywords |= change.keywords;
                if change.by != session {
                    sum.flags = sum.flags.union(&change.flags);
                }
            }
            if change.number > seen_expunges && !change.expunged.is_empty() {
                match may_shrink {
                    true => sum.expunged = sum.expunged.union(&change.expunged),
                    false => sum.withheld = true,
                }
            }
        }
        let cursor = Cursor([self.last, if may_shrink { self.last } else { seen_expunges }]);
        let seen = cursor.0.into_iter().min().unwrap_or(self.last);
        if let Ok(at) = self.find(session)
            && let Some(follower) = self.sessions.get_mut(at)
            && follower.seen < seen
        {
            let before = std::mem::replace(&mut follower.seen, seen);
            self.count_down(before, seen);
        }
        (sum, cursor)
    }

    /// Whether there are expunged rows that somebody's view may still hold.
    pub(crate) fn has_graves(&self) -> bool {
        !self.graves.is_empty()
    }

    /// Whether one of them is of the message with this map id.
    pub(crate) fn buries(&self, map_id: u32) -> bool {
        self.buried.contains_key(&map_id)
    }

    /// An expunged row that somebody's view may still hold.
    pub(crate) fn grave(&self, uid: Uid) -> Option<Row> {
        self.graves.get(&uid).map(|(_, row)| *row)
    }

    /// Everybody is to look again: the mailbox itself went.
    pub(crate) fn raise_all(&self) {
        for follower in &self.sessions {
            follower.signal.raise(signal::CHANGED);
        }
    }

    /// A follower has now seen the changes behind `before` up to `seen`; what all have seen goes.
    fn count_down(&mut self, before: u64, seen: u64) {
        for change in self.changes.iter_mut().rev().take_while(|change| change.number > before) {
            change.unseen -= usize::from(change.number <= seen);
        }
        let known = self.changes.len();
        while self.changes.front().is_some_and(|change| change.unseen == 0) {
            self.changes.pop_front();
        }
        if self.changes.len() == known {
            return;
        }
        let oldest = self.changes.front().map_or(u64::MAX, |change| change.first);
        let buried = &mut self.buried;
        self.graves.retain(|_, (number, row)| {
            let stays = *number >= oldest;
            if !stays && let Entry::Occupied(mut count) = buried.entry(row.map_id.0) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
            stays
        });
        if self.changes.is_empty() {
            // Quiet again, perhaps for hours.
            self.changes = VecDeque::new();
        }
    }
}

impl Change {
    /// Takes in the change that came before. Who has not seen that one has not seen this one either.
    fn absorb(&mut self, earlier: &Self) {
        self.first = earlier.first;
        self.by = if self.by == earlier.by { self.by } else { 0 };
        self.added = self.added.union(&earlier.added);
        self.flags = self.flags.union(&earlier.flags);
        self.expunged = self.expunged.union(&earlier.expunged);
        self.keywords |= earlier.keywords;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uids(first: u32, last: u32) -> UidSet {
        UidSet::range(imap_proto::Uid(first), imap_proto::Uid(last))
    }

    #[test]
    fn a_session_hears_of_others_flags_and_of_expunges_when_it_may() {
        let mut feed = Feed::default();
        let cursor = feed.follow(1, Arc::default());
        feed.follow(2, Arc::default());
        feed.note(1, Change { flags: uids(1, 3), ..Change::default() }, std::iter::empty());
        let row = Row { uid: Uid(2), ..Row::default() };
        feed.note(2, Change { expunged: uids(2, 2), ..Change::default() }, [row].into_iter());
        let (seen, cursor) = feed.since(1, cursor, false);
        assert!(seen.flags.is_empty() && seen.expunged.is_empty() && seen.withheld);
        assert!(feed.grave(Uid(2)).is_some());
        let (seen, cursor) = feed.since(1, cursor, true);
        assert_eq!(seen.expunged, uids(2, 2));
        assert!(!seen.withheld && !feed.since(1, cursor, false).0.withheld);
        assert!(feed.grave(Uid(2)).is_some(), "session 2 has not looked");
        feed.unfollow(2);
        assert!(feed.grave(Uid(2)).is_none());
        assert!(feed.since(1, cursor, true).0.expunged.is_empty());
    }

    #[test]
    fn many_changes_are_merged_and_none_is_lost() {
        let mut feed = Feed::default();
        let cursor = feed.follow(1, Arc::default());
        for uid in 1..=1000 {
            feed.note(2, Change { flags: uids(uid, uid), ..Change::default() }, std::iter::empty());
        }
        assert!(feed.changes.len() <= APART);
        assert_eq!(feed.since(1, cursor, true).0.flags, uids(1, 1000));
    }
}
