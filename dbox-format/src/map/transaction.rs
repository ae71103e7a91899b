//! A transaction: the steps of one change, and the draft that describes it against a map.

use std::collections::BTreeMap;

use super::{Added, Gone, IdSet, Map, MapId, Op};
use crate::Seed;

/// The steps of one change, in order; the payload of one frame of `map.log`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Transaction {
    /// The steps.
    pub ops: Vec<Op>,
}

impl Transaction {
    /// Whether it changes nothing; such a one need not be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// A transaction being described: knows which ids its additions get.
///
/// The map must not change between [`new`](Self::new) and applying the transaction.
#[derive(Clone, Debug)]
pub struct Draft {
    next: u32,
    ops: Vec<Op>,
}

impl Draft {
    /// A change of `map` as it is now.
    #[must_use]
    pub fn new(map: &Map) -> Self {
        Self { next: map.next_id().0, ops: Vec::new() }
    }

    /// Adds a message; gives its map id.
    pub fn add(&mut self, message: Added) -> MapId {
        let id = MapId(self.next);
        let [anchor, ..] = id.0.to_le_bytes();
        self.next = self.next.saturating_add(1);
        self.ops.push(Op::Add { anchor, message });
        id
    }

    /// One reference more for each id given; an id given twice gets two.
    pub fn refs_add(&mut self, ids: impl IntoIterator<Item = MapId>) {
        self.ops.extend(layers(ids).into_iter().map(Op::RefsAdd));
    }

    /// One reference less for each id given; an id given twice loses two.
    pub fn refs_remove(&mut self, ids: impl IntoIterator<Item = MapId>) {
        self.ops.extend(layers(ids).into_iter().map(Op::RefsRemove));
    }

    /// One reference less for each id given, by an expunge.
    pub fn expunge(&mut self, ids: impl IntoIterator<Item = MapId>, gone: Gone) {
        self.ops.extend(layers(ids).into_iter().map(|ids| Op::Expunge { ids, gone }));
    }

    /// Takes ids without references off the map.
    pub fn free(&mut self, ids: IdSet) {
        if !ids.is_empty() {
            self.ops.push(Op::Free(ids));
        }
    }

    /// A new container; both stand in its file header too.
    pub fn container_open(&mut self, number: u32, seed: Seed) {
        self.ops.push(Op::ContainerOpen { number, seed });
    }

    /// Nothing more goes into this container.
    pub fn container_seal(&mut self, number: u32) {
        self.ops.push(Op::ContainerSeal { number });
    }

    /// Any other step.
    pub fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// The transaction.
    #[must_use]
    pub fn finish(self) -> Transaction {
        Transaction { ops: self.ops }
    }
}

/// Splits ids that may repeat into sets: the n-th has those given at least n times.
fn layers(ids: impl IntoIterator<Item = MapId>) -> Vec<IdSet> {
    let mut ids: Vec<MapId> = ids.into_iter().collect();
    ids.sort_unstable();
    let mut sets: BTreeMap<usize, IdSet> = BTreeMap::new();
    for same in ids.chunk_by(PartialEq::eq) {
        for (layer, id) in same.iter().enumerate() {
            sets.entry(layer).or_default().insert(*id);
        }
    }
    sets.into_values().collect()
}
