//! The map in memory.

use std::collections::BTreeMap;

use super::{Extra, Gone, IdSet, MapId};
use crate::container::FILE_HEADER_LEN;
use crate::{Guid, Seed};

/// All messages of an account: where they lie and how many mailbox entries refer to them.
///
/// 56 bytes a message, in one run of memory sorted by id.
#[derive(Clone, Debug)]
pub struct Map {
    pub(super) slots: Vec<Slot>,
    /// Slots of freed ids, still in `slots`.
    pub(super) gone: usize,
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

#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) id: u32,
    pub(super) gone: bool,
    pub(super) entry: Entry,
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
            slots: Vec::new(),
            gone: 0,
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
        let slot = self.slots.get(self.find(id.0)?)?;
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

    /// The messages from an id on, by ascending id.
    pub fn iter_from(&self, id: MapId) -> impl Iterator<Item = (MapId, Entry)> + '_ {
        let slots = self.slots.get(self.lower_bound(u64::from(id.0))..).unwrap_or_default();
        slots.iter().filter(|slot| !slot.gone).map(|slot| (MapId(slot.id), slot.entry))
    }

    /// The number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len() - self.gone
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

    /// The place of an id in `slots`, gone or not.
    pub(super) fn find(&self, id: u32) -> Option<usize> {
        let first = self.slots.first()?.id;
        // Ids ascend, so an id stands no further from the first than their difference; without holes, there.
        let guess = (id.checked_sub(first)? as usize).min(self.slots.len() - 1);
        if self.slots.get(guess)?.id == id {
            return Some(guess);
        }
        self.slots.get(..guess)?.binary_search_by_key(&id, |slot| slot.id).ok()
    }

    /// The place of the first slot whose id is not below `id`.
    pub(super) fn lower_bound(&self, id: u64) -> usize {
        self.slots.partition_point(|slot| u64::from(slot.id) < id)
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
