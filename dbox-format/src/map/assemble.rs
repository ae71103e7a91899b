//! A map put together from what is known of its messages otherwise: for who rebuilds an account.

use super::apply::LEN_MAX;
use super::slots::Slot;
use super::{ContainerState, Entry, Extra, Gone, IdSet, Map, MapId};
use crate::Seed;

/// A message of a map that is put together.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its id.
    pub id: MapId,
    /// Where it lies, and how many mailbox entries refer to it.
    pub entry: Entry,
    /// What else is known of it.
    pub extra: Extra,
    /// Of one without references: when and where it lost the last.
    pub gone: Gone,
}

impl Map {
    /// The map of these messages, ids ascending, in these containers: number, seed, bytes of the file, which are all taken;
    /// nothing more goes into any of them. Its next id is `next` or above, and `transactions` are said to have made it.
    ///
    /// `None` if ids don't ascend, or a message lies in none of the containers or not inside of its bytes, or over another
    /// one.
    #[must_use]
    pub fn assemble(
        messages: Vec<Known>,
        containers: &[(u32, Seed, u64)],
        next: MapId,
        transactions: u64,
    ) -> Option<Self> {
        let mut map = Self { next_id: next.0.max(1), transactions, ..Self::new() };
        for &(number, seed, end) in containers {
            let state = ContainerState { end, sealed: true, ..ContainerState::new(seed) };
            if number == 0 || number == u32::MAX || end > LEN_MAX {
                return None;
            }
            map.containers.insert(number, state);
            map.next_container = map.next_container.max(number + 1);
        }
        let mut skipped = IdSet::new();
        let mut expected = 1;
        for &number in map.containers.keys() {
            if number > expected {
                skipped.insert_range(MapId(expected)..=MapId(number - 1));
            }
            expected = number + 1;
        }
        map.skipped = skipped;
        let mut last = 0;
        for Known { id: MapId(id), entry, extra, gone } in messages {
            if id <= last || id == u32::MAX {
                return None;
            }
            last = id;
            let state = map.containers.get_mut(&entry.container)?;
            state.take_in(&entry);
            let end = entry.offset.checked_add(entry.record_len)?;
            if end > state.end || state.held_bytes > state.end {
                return None;
            }
            if entry.refs == 0 {
                map.zero.insert(id, gone);
            }
            if !extra.is_empty() {
                map.extras.insert(id, extra);
            }
            map.slots.push(Slot { id, gone: false, entry });
        }
        map.next_id = map.next_id.max(last + 1);
        Some(map)
    }

    /// The same, for a mailbox list of this many transactions.
    #[must_use]
    pub fn with_list_floor(self, transactions: u64) -> Self {
        Self { list_floor: transactions, ..self }
    }
}
