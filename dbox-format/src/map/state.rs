//! The map in memory.

use std::collections::BTreeMap;

use super::slots::Slots;
use super::{Extra, Gone, IdSet, MapId};
use crate::container::FILE_HEADER_LEN;
use crate::{Guid, Seed};

/// All messages of an account: where they lie and how many mailbox entries refer to them.
///
/// 56 bytes a message, in one run of memory sorted by id. What was freed is swept out of it a little with each
/// transaction, so that none takes longer the more messages there are.
#[derive(Clone, Debug)]
pub struct Map {
    pub(super) slots: Slots,
    pub(super) next_id: u32,
    pub(super) extras: BTreeMap<u32, Extra>,
    pub(super) containers: BTreeMap<u32, ContainerState>,
    pub(super) next_container: u32,
    /// Numbers below `next_container` that were never opened.
    pub(super) skipped: IdSet,
    /// Those without references.
    pub(super) zero: BTreeMap<u32, Gone>,
    pub(super) transactions: u64,
    pub(super) list_floor: u64,
}

/// Where a message lies and what refers to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its GUID.
    pub guid: Guid,
    /// The container it lies in.
    pub container: u32,
    /// Where its record starts there.
    pub offset: u64,
    /// Bytes of its record.
    pub record_len: u64,
    /// Bytes of the message.
    pub size: u64,
    /// Mailbox entries that refer to it.
    pub refs: u32,
}

/// What the map knows of a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContainerState {
    /// The secret of its checksums.
    pub seed: Seed,
    /// Where the next record may start: all bytes before were assigned.
    pub end: u64,
    /// Nothing more goes into it.
    pub sealed: bool,
    /// Messages in it that are in the map.
    pub messages: u64,
    /// Bytes of their records.
    pub held_bytes: u64,
    /// Bytes of those that have references; compaction looks at its share of `end`.
    pub live_bytes: u64,
}

impl Default for Map {
    fn default() -> Self {
        Self::new()
    }
}

impl Map {
    /// A map without messages; the first id is 1, the first container 1.
    #[must_use]
    pub fn new() -> Self {
        Self {
            slots: Slots::default(),
            next_id: 1,
            extras: BTreeMap::new(),
            containers: BTreeMap::new(),
            next_container: 1,
            skipped: IdSet::new(),
            zero: BTreeMap::new(),
            transactions: 0,
            list_floor: 0,
        }
    }

    /// The message with this id, unless it was never given or is freed.
    #[must_use]
    pub fn get(&self, id: MapId) -> Option<Entry> {
        let slot = self.slots.get(self.slots.find(id.0)?)?;
        (!slot.gone).then_some(slot.entry)
    }

    /// The message's extra fields, if it has any.
    #[must_use]
    pub fn extra(&self, id: MapId) -> Option<&Extra> {
        self.get(id).and_then(|_| self.extras.get(&id.0))
    }

    /// The messages that have extra fields, with these, by ascending id.
    pub fn with_extra(&self) -> impl Iterator<Item = (MapId, &Extra)> + '_ {
        let known = self.extras.iter().map(|(id, extra)| (MapId(*id), extra));
        known.filter(|(id, _)| self.get(*id).is_some())
    }

    /// All messages, by ascending id.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (MapId, Entry)> + '_ {
        self.slots.iter().filter(|slot| !slot.gone).map(|slot| (MapId(slot.id), slot.entry))
    }

    /// The messages from an id on, by ascending id, as far as `count` slots go; and where to go on, if that is not all.
    ///
    /// Slots of freed messages count until they are swept: no more than `count` are looked at, whatever was freed.
    pub fn stretch(
        &self,
        from: MapId,
        count: usize,
    ) -> (impl Iterator<Item = (MapId, Entry)> + '_, Option<MapId>) {
        let start = self.slots.lower_bound(u64::from(from.0));
        let end = start.saturating_add(count);
        let slots = self.slots.within(start..end).filter(|slot| !slot.gone);
        let next = self.slots.get(end).map(|slot| MapId(slot.id));
        (slots.map(|slot| (MapId(slot.id), slot.entry)), next)
    }

    /// The number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.messages()
    }

    /// Whether there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id that the next message added will have.
    #[must_use]
    pub fn next_id(&self) -> MapId {
        MapId(self.next_id)
    }

    /// A number greater than that of all containers so far.
    #[must_use]
    pub fn next_container(&self) -> u32 {
        self.next_container
    }

    /// Whether a container may be opened with this number: none ever had it.
    ///
    /// Numbers may be opened out of order: a large message takes its number while it streams, and its container is
    /// opened when it has ended.
    #[must_use]
    pub fn is_new_container(&self, number: u32) -> bool {
        (number >= self.next_container && number < u32::MAX) || self.skipped.contains(MapId(number))
    }

    /// What is known of a container, unless it was never opened or is dropped.
    #[must_use]
    pub fn container(&self, number: u32) -> Option<&ContainerState> {
        self.containers.get(&number)
    }

    /// The containers from a number on, by ascending number.
    pub fn containers_from(&self, number: u32) -> impl Iterator<Item = (u32, &ContainerState)> {
        self.containers.range(number..).map(|(number, state)| (*number, state))
    }

    /// All containers, by ascending number.
    pub fn containers(&self) -> impl DoubleEndedIterator<Item = (u32, &ContainerState)> + Clone {
        self.containers.iter().map(|(number, state)| (*number, state))
    }

    /// Ids without references, ascending: free them once nobody reads them any more.
    pub fn unreferenced(&self) -> impl DoubleEndedIterator<Item = MapId> + '_ {
        self.zero.keys().map(|id| MapId(*id))
    }

    /// The same, with what is known of when and where they lost the last one.
    pub fn expunged(&self) -> impl DoubleEndedIterator<Item = (MapId, Gone)> + '_ {
        self.zero.iter().map(|(id, gone)| (MapId(*id), *gone))
    }

    /// Those of them from an id on, by ascending id.
    pub fn expunged_from(&self, id: MapId) -> impl Iterator<Item = (MapId, Gone)> + '_ {
        self.zero.range(id.0..).map(|(id, gone)| (MapId(*id), *gone))
    }

    /// How many transactions were applied since the first of this account.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// How many transactions the account's mailbox list has at least: one that says less has lost some.
    #[must_use]
    pub fn list_floor(&self) -> u64 {
        self.list_floor
    }
}

/// Equal if they answer every question the same.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.next_id == other.next_id
            && self.next_container == other.next_container
            && self.skipped == other.skipped
            && self.transactions == other.transactions
            && self.list_floor == other.list_floor
            && self.containers == other.containers
            && self.zero == other.zero
            && self.iter().eq(other.iter())
            && self.iter().all(|(id, _)| self.extra(id) == other.extra(id))
    }
}

impl Eq for Map {}

impl ContainerState {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            seed,
            end: FILE_HEADER_LEN,
            sealed: false,
            messages: 0,
            held_bytes: 0,
            live_bytes: 0,
        }
    }

    pub(super) fn take_in(&mut self, entry: &Entry) {
        self.messages += 1;
        self.held_bytes += entry.record_len;
        self.live_bytes += if entry.refs > 0 { entry.record_len } else { 0 };
    }

    pub(super) fn let_go(&mut self, entry: &Entry) {
        self.messages -= 1;
        self.held_bytes -= entry.record_len;
        self.live_bytes -= if entry.refs > 0 { entry.record_len } else { 0 };
    }
}
