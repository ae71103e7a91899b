//! Which attachments an account needs, by what its map says; and which of its links may go, in two phases.

use std::collections::BTreeMap;

use super::{CutOut, Hash};
use crate::Error;
use crate::map::{Map, Op, Transaction};

/// What an account holds of attachments: derived from its map, and from the links that lie below its `att/`.
///
/// An account's messages rest on the account's own links alone, so this is all that deletion has to know, and no other
/// account's state matters. A link goes in two phases: when the last message that names it has left the map it is
/// *leaving*; it is *due* once a checkpoint covers that and the grace time has passed. Until it is removed a new message
/// may need it again, which ends its leaving.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Holdings {
    needed: BTreeMap<Hash, u64>,
    pinned: BTreeMap<Hash, u64>,
    leaving: BTreeMap<Hash, Leaving>, // none of them is needed
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Leaving {
    /// Transactions of the map after which nobody needs it.
    transactions: u64,
    /// Seconds since 1970.
    since: i64,
}

impl Holdings {
    /// What the messages of `map` need.
    ///
    /// # Errors
    /// An error of [`Extra::attachments`](crate::map::Extra::attachments), which a map that was read doesn't give.
    pub fn of(map: &Map) -> Result<Self, Error> {
        let mut holdings = Self::default();
        for (_, extra) in map.with_extra() {
            holdings.need(&extra.attachments()?);
        }
        Ok(holdings)
    }

    /// Applies a transaction to the map, and what it changes about attachments to this; `now` in seconds since 1970.
    ///
    /// # Errors
    /// Those of [`Map::apply`] and [`Extra::attachments`](crate::map::Extra::attachments); nothing has changed then.
    pub fn apply(
        &mut self,
        map: &mut Map,
        transaction: &Transaction,
        now: i64,
    ) -> Result<(), Error> {
        let (mut come, mut gone) = (BTreeMap::new(), Vec::new());
        let mut next = map.next_id().0;
        for op in &transaction.ops {
            if let Op::Add { message, .. } = op {
                let list = message.extra.attachments()?;
                if !list.is_empty() {
                    come.insert(next, list);
                }
                next = next.saturating_add(1);
            } else if let Op::Free(ids) = op {
                for id in ids.iter() {
                    if let Some(list) = come.get(&id.0) {
                        gone.push(list.clone());
                    } else if let Some(extra) = map.extra(id) {
                        gone.push(extra.attachments()?);
                    }
                }
            }
        }
        map.apply(transaction)?;
        come.values().for_each(|list| self.need(list));
        let transactions = map.transactions();
        for CutOut { hash, .. } in gone.iter().flatten() {
            if lower(&mut self.needed, hash) {
                self.leaving.insert(*hash, Leaving { transactions, since: now });
            }
        }
        Ok(())
    }

    /// How many parts of the account's messages have this content.
    #[must_use]
    pub fn needs(&self, hash: &Hash) -> u64 {
        self.needed.get(hash).copied().unwrap_or(0)
    }

    /// The attachments that are needed, ascending, from a hash on.
    pub fn needed_from(&self, hash: Hash) -> impl Iterator<Item = Hash> + '_ {
        self.needed.range(hash..).map(|(hash, _)| *hash)
    }

    /// A change that is being made relies on this link: it is not removed before as many [`unpin`](Self::unpin)s.
    ///
    /// Pin before the link is made, or looked for.
    pub fn pin(&mut self, hash: Hash) {
        *self.pinned.entry(hash).or_default() += 1;
    }

    /// That change has been applied, or given up; then the link is leaving unless a message needs it.
    pub fn unpin(&mut self, hash: Hash, transactions: u64, now: i64) {
        if lower(&mut self.pinned, &hash) && self.needs(&hash) == 0 {
            self.leaving.entry(hash).or_insert(Leaving { transactions, since: now });
        }
    }

    /// Links that may be removed: nothing needs or relies on them, for `grace` seconds, and the first `checkpointed`
    /// transactions of the map, that of their leaving among them, are covered by a checkpoint. They are looked for among the
    /// `count` leaving ones from a hash on; the other hash is where to go on.
    ///
    /// Under the account's lock: remove the link, then call [`removed`](Self::removed).
    pub fn due(
        &self,
        (from, count): (Hash, usize),
        checkpointed: u64,
        now: i64,
        grace: i64,
    ) -> (Vec<Hash>, Option<Hash>) {
        let is_due = |hash: &Hash, leaving: &Leaving| {
            leaving.transactions <= checkpointed
                && now.saturating_sub(leaving.since) >= grace
                && !self.pinned.contains_key(hash)
        };
        let mut leaving = self.leaving.range(from..);
        let some = leaving.by_ref().take(count);
        let due = some.filter(|(hash, leaving)| is_due(hash, leaving)).map(|(hash, _)| *hash);
        (due.collect(), leaving.next().map(|(hash, _)| *hash))
    }

    /// Whether nothing is leaving, and no change relies on a link.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.leaving.is_empty() && self.pinned.is_empty()
    }

    /// The link is no more.
    pub fn removed(&mut self, hash: &Hash) {
        self.leaving.remove(hash);
    }

    /// There is a link: unless it is needed or relied on, it is leaving from now on. Whether nobody knew that it should, so
    /// that a crash must have left it, between link and journal.
    ///
    /// `transactions` is the map's count now: what is found leaving waits for the next checkpoint.
    pub fn found(&mut self, link: Hash, transactions: u64, now: i64) -> bool {
        let is_known = self.needs(&link) > 0
            || self.pinned.contains_key(&link)
            || self.leaving.contains_key(&link);
        if !is_known {
            self.leaving.insert(link, Leaving { transactions, since: now });
        }
        !is_known
    }

    fn need(&mut self, list: &[CutOut]) {
        for CutOut { hash, .. } in list {
            *self.needed.entry(*hash).or_default() += 1;
            self.leaving.remove(hash);
        }
    }
}

/// Counts one less; whether that was the last.
fn lower(counts: &mut BTreeMap<Hash, u64>, hash: &Hash) -> bool {
    match counts.get_mut(hash) {
        Some(count) if *count > 1 => {
            *count -= 1;
            false
        }
        Some(_) => counts.remove(hash).is_some(),
        None => false,
    }
}
