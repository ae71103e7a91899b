//! What an account has to give back, and what is done about it next.

use super::rewrite::Rewrite;
use super::{Compacted, Wanted};
use crate::store::account::{Account, State};
use crate::store::error::StoreError;
use crate::store::store::Store;
use dbox_format::container::FILE_HEADER_LEN;
use dbox_format::map::{ContainerState, Draft, Gone, IdSet, Map, MapId, Op};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Dead bytes of an account below which nothing is done unasked.
const DEAD_LEAST: u64 = 1 << 20;
/// Ids freed, or containers dropped, by one change.
const AT_ONCE: usize = 8192;

pub(super) enum Plan {
    Nothing,
    Done(Compacted),
    Rewrite(Rewrite),
}

impl Store {
    /// Decides what is next, and does what needs no I/O.
    pub(super) fn plan(&self, account: &Arc<Account>, wanted: Wanted) -> Result<Plan, StoreError> {
        self.writable_by(account)?;
        let mut state = account.lock()?;
        let state = &mut *state;
        let dead: u64 = state.map.containers().map(|(_, container)| dead(container)).sum();
        let past = self.undeletable_before();
        let apart = dead_apart(state, past);
        let dead = dead.saturating_add(apart);
        if dead == 0 || (wanted == Wanted::Cheap && dead < DEAD_LEAST) {
            state.note_nothing(past, self.now());
            return Ok(Plan::Nothing);
        }
        let low = self.free_space_low();
        let is_due = |id: MapId, gone: Gone| {
            wanted == Wanted::Forget || is_past(gone, past) || (low && makes_room(&state.map, id))
        };
        let free = free(account, state, is_due);
        let mut draft = Draft::new(&state.map);
        if !free.is_empty() {
            draft.free(free);
            self.submit_map(account, state, draft)?;
            return Ok(Plan::Done(Compacted::default()));
        }
        let current = state.container.map(|container| container.number);
        if let Some(number) = current
            && let Some(container) = state.map.container(number)
            && worth(container, wanted)
        {
            draft.container_seal(number);
            state.container = None;
            self.submit_map(account, state, draft)?;
            return Ok(Plan::Done(Compacted::default()));
        }
        let empty = empty(state);
        if !empty.is_empty() {
            empty.iter().for_each(|(number, _)| draft.push(Op::ContainerDrop { number: *number }));
            let position = self.submit_map(account, state, draft)?;
            self.let_go_of(account, state, position, empty.iter().map(|(number, _)| *number));
            let freed = empty.iter().map(|(_, end)| end).sum();
            return Ok(Plan::Done(Compacted { freed, moved: 0 }));
        }
        let victims = victims(state, wanted, self.config.container_size);
        if victims.is_empty() || self.free_space_low() {
            state.note_nothing(past, self.now());
            // What somebody has in view yet is asked for again, if that is much.
            state.garbage = apart >= DEAD_LEAST;
            return Ok(Plan::Nothing);
        }
        let number = state.map.next_container();
        let seed = self.new_container(number).seed;
        draft.container_open(number, seed);
        let position = self.submit_map(account, state, draft)?;
        Ok(Plan::Rewrite(Rewrite { victims, number, seed, position }))
    }
}

/// Bytes of a container that nobody refers to.
fn dead(container: &ContainerState) -> u64 {
    container.end.saturating_sub(FILE_HEADER_LEN + container.live_bytes)
}

/// Bytes of attachments of messages that nobody refers to since `past` or before: they are needed as long as these are in
/// the map.
fn dead_apart(state: &State, past: i64) -> u64 {
    let gone = state.map.expunged().filter(|(_, gone)| is_past(*gone, past));
    let extras = gone.filter_map(|(id, _)| state.map.extra(id));
    let lists = extras.filter_map(|extra| extra.attachments().ok());
    lists.flatten().fold(0, |sum, part| sum.saturating_add(part.len))
}

/// Whether a container is worth being rewritten, as far as its messages may go.
fn worth(container: &ContainerState, wanted: Wanted) -> bool {
    let all = container.end.saturating_sub(FILE_HEADER_LEN);
    let gone = all.saturating_sub(container.held_bytes);
    match wanted {
        Wanted::All | Wanted::Forget => gone > 0,
        Wanted::Cheap => gone > all / 2 && gone >= DEAD_LEAST.min(all / 2),
    }
}

/// Containers in which no message is left, with their bytes.
fn empty(state: &State) -> Vec<(u32, u64)> {
    let sealed = state.map.containers().filter(|(_, container)| container.sealed);
    let empty = sealed.filter(|(_, container)| container.messages == 0);
    empty.map(|(number, container)| (number, container.end)).take(AT_ONCE).collect()
}

/// The oldest containers worth rewriting whose messages fit into one of `room` bytes.
fn victims(state: &State, wanted: Wanted, mut room: u64) -> BTreeSet<u32> {
    let sealed = state.map.containers().filter(|(_, container)| container.sealed);
    let worth = sealed.filter(|(number, container)| {
        worth(container, wanted) && !state.damaged_containers.contains(number)
    });
    let mut victims = BTreeSet::new();
    for (number, container) in worth {
        if !victims.is_empty() && container.held_bytes > room {
            break;
        }
        room = room.saturating_sub(container.held_bytes);
        victims.insert(number);
    }
    victims
}

impl State {
    /// There is nothing to do, until the next of those that can be brought back, if any, has been gone for long enough.
    fn note_nothing(&mut self, past: i64, now: i64) {
        self.garbage = false;
        let times = self.map.expunged().map(|(_, gone)| i64::from(gone.time));
        let first = times.filter(|time| *time > past).min();
        self.garbage_from = first.map(|time| now.saturating_add(time - past));
    }
}

/// Whether a message lost its last reference at `past` or before, or nobody knows when.
fn is_past(gone: Gone, past: i64) -> bool {
    i64::from(gone.time) <= past
}

/// Whether room is had at once by letting go of a message without references: with the whole container.
fn makes_room(map: &Map, id: MapId) -> bool {
    let container = map.get(id).and_then(|entry| map.container(entry.container).copied());
    container.is_some_and(|container| container.sealed && container.live_bytes == 0)
}

/// Messages without references that no session has in view, that are in their containers and that are due.
fn free(account: &Account, state: &State, is_due: impl Fn(MapId, Gone) -> bool) -> IdSet {
    let shown: BTreeSet<u32> = state
        .mailboxes
        .values()
        .flat_map(|mbox| mbox.feed.graves().map(|row| row.map_id.0))
        .collect();
    let pending = account.pending();
    let mut free = IdSet::new();
    let due = state.map.expunged().filter(|(id, gone)| is_due(*id, *gone));
    let ids = due.map(|(id, _)| id);
    for id in ids.filter(|id| !shown.contains(&id.0) && !pending.contains_key(&id.0)).take(AT_ONCE)
    {
        free.insert(id);
    }
    free
}
