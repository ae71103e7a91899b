//! What an account has to give back, and what is done about it next.
//!
//! A look goes over all containers and all messages without references, in slices; the account's lock is let go of between
//! two. Meanwhile messages may be expunged, be brought back, come into a session's view and leave it, containers may begin and
//! be sealed, the account may be given up, and `loft purge` may look and move beside the thread. Invariants:
//! - What is done is right by what is seen under the same hold of the lock: a message is freed where it has no reference, is
//!   in its container and in nobody's view; a container is dropped where it is sealed and empty. Sums over several slices
//!   say no more than what is worth the work.
//! - No expunge is missed. Each sets `State::garbage`, which a look clears before its first slice and sets again unless it
//!   has found nothing: what comes behind its back is looked for by the next one. `State::garbage_from` is cleared with it,
//!   and a look that ends only brings it forward, whichever of two ends last.
//! - Of an account that was given up the next slice finds the lock dead; the one that is loaded in its place has its flag set.

use super::rewrite::Rewrite;
use super::{Compacted, Wanted};
use crate::store::account::Account;
use crate::store::breath::{breathe, looked, slice};
use crate::store::error::StoreError;
use crate::store::feed::Feed;
use crate::store::store::Store;
use dbox_format::container::FILE_HEADER_LEN;
use dbox_format::map::{ContainerState, Draft, Gone, IdSet, Map, MapId, Op};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Dead bytes of an account below which nothing is done unasked.
const DEAD_LEAST: u64 = 1 << 20;
/// Containers that are rewritten as one.
const VICTIMS: usize = 256;

pub(super) enum Plan {
    Nothing,
    Done(Compacted),
    Rewrite(Rewrite),
}

/// By what a look goes.
#[derive(Clone, Copy)]
struct Rule {
    wanted: Wanted,
    /// What was expunged then or before can't be brought back.
    past: i64,
    /// There is little room on the disk.
    low: bool,
}

/// What a look has seen of containers.
#[derive(Default)]
struct Containers {
    /// Bytes that nobody refers to.
    dead: u64,
    /// Those without messages.
    empty: Vec<u32>,
    /// The oldest ones worth rewriting whose messages fit into one.
    victims: BTreeSet<u32>,
}

/// What a look has seen of messages without references.
#[derive(Default)]
struct Expunged {
    /// Some were freed.
    freed: bool,
    /// Bytes of attachments of those that are past: they are needed as long as these are in the map.
    apart: u64,
    /// Bytes of those that would have been freed if nobody had them in view.
    withheld: u64,
    /// When the first of those was expunged that can be brought back.
    first: Option<i64>,
}

impl Store {
    /// Decides what is next, and does what needs no I/O.
    pub(super) fn plan(&self, account: &Arc<Account>, wanted: Wanted) -> Result<Plan, StoreError> {
        self.writable_by(account)?;
        {
            let mut state = account.lock()?;
            (state.garbage, state.garbage_from) = (false, None);
        }
        let plan = self.look(account, wanted);
        if !matches!(plan, Ok(Plan::Nothing))
            && let Ok(mut state) = account.lock()
        {
            state.garbage = true;
        }
        plan
    }

    fn look(&self, account: &Arc<Account>, wanted: Wanted) -> Result<Plan, StoreError> {
        let rule = Rule { wanted, past: self.undeletable_before(), low: self.free_space_low() };
        let containers = look_at_containers(account, wanted, self.config.container_size)?;
        let is_much = |dead: u64| dead > 0 && (wanted != Wanted::Cheap || dead >= DEAD_LEAST);
        let mut much = is_much(containers.dead);
        let mut expunged = self.look_at_expunged(account, rule, much)?;
        if !much && is_much(containers.dead.saturating_add(expunged.apart)) {
            much = true;
            expunged = self.look_at_expunged(account, rule, much)?;
        }
        if !much {
            return self.note_nothing(account, rule, &expunged);
        }
        if expunged.freed || self.seal_current(account, wanted)? {
            return Ok(Plan::Done(Compacted::default()));
        }
        if let Some(freed) = self.drop_empty(account, &containers.empty)? {
            return Ok(Plan::Done(Compacted { freed, moved: 0 }));
        }
        let victims = containers.victims;
        if victims.is_empty() || self.free_space_low() {
            return self.note_nothing(account, rule, &expunged);
        }
        let mut state = account.lock()?;
        let state = &mut *state;
        let mut draft = Draft::new(&state.map);
        let number = state.map.next_container();
        let seed = self.new_container(number).seed;
        draft.container_open(number, seed);
        let position = self.submit_map(account, state, draft)?;
        Ok(Plan::Rewrite(Rewrite { victims, number, seed, position }))
    }

    /// There is nothing to do until the next of those that can be brought back, if any, has been gone for long enough.
    fn note_nothing(
        &self,
        account: &Account,
        rule: Rule,
        expunged: &Expunged,
    ) -> Result<Plan, StoreError> {
        let now = self.now();
        let from = expunged.first.map(|time| now.saturating_add(time - rule.past));
        let mut state = account.lock()?;
        state.garbage_from = state.garbage_from.into_iter().chain(from).min();
        // What somebody has in view yet is asked for again, if that is much: nobody tells when he has seen that it went.
        state.garbage |= expunged.withheld >= DEAD_LEAST;
        Ok(Plan::Nothing)
    }

    /// Looks at the messages without references, and takes those off the map that are due if it is to free them.
    fn look_at_expunged(
        &self,
        account: &Arc<Account>,
        rule: Rule,
        frees: bool,
    ) -> Result<Expunged, StoreError> {
        let mut seen = Expunged::default();
        let mut next = self.look_at_some(account, rule, (MapId(0), frees), &mut seen)?;
        while let Some(from) = next {
            breathe();
            next = self.look_at_some(account, rule, (from, frees), &mut seen)?;
        }
        Ok(seen)
    }

    /// The same for one slice, from an id on; where to go on.
    fn look_at_some(
        &self,
        account: &Arc<Account>,
        rule: Rule,
        (from, frees): (MapId, bool),
        seen: &mut Expunged,
    ) -> Result<Option<MapId>, StoreError> {
        let mut state = account.lock()?;
        let state = &mut *state;
        let feeds = state.mailboxes.values().map(|mbox| &mbox.feed);
        let shown: Vec<&Feed> = feeds.filter(|feed| feed.has_graves()).collect();
        let mut expunged = state.map.expunged_from(from);
        let mut free = IdSet::new();
        {
            let pending = account.pending();
            for (id, gone) in expunged.by_ref().take(slice()) {
                looked();
                let is_past = rule.is_past(gone);
                if is_past {
                    seen.apart = seen.apart.saturating_add(apart(&state.map, id));
                } else {
                    seen.first = seen.first.into_iter().chain([i64::from(gone.time)]).min();
                }
                if !frees || !(is_past || rule.is_due_all_the_same(&state.map, id)) {
                    continue;
                }
                if pending.contains_key(&id.0) || shown.iter().any(|feed| feed.buries(id.0)) {
                    let len = state.map.get(id).map_or(0, |entry| entry.record_len);
                    seen.withheld = seen.withheld.saturating_add(len + apart(&state.map, id));
                } else {
                    free.insert(id);
                }
            }
        }
        let next = expunged.next().map(|(id, _)| id);
        drop(expunged);
        if !free.is_empty() {
            self.writable_by(account)?;
            seen.freed = true;
            let mut draft = Draft::new(&state.map);
            draft.free(free);
            self.submit_map(account, state, draft)?;
        }
        Ok(next)
    }

    /// Has nothing more go into the container that is appended to, if it is worth rewriting; whether it was.
    fn seal_current(&self, account: &Arc<Account>, wanted: Wanted) -> Result<bool, StoreError> {
        let mut state = account.lock()?;
        let state = &mut *state;
        let current = state.container.map(|container| container.number);
        let Some(number) = current else { return Ok(false) };
        if !state.map.container(number).is_some_and(|container| worth(container, wanted)) {
            return Ok(false);
        }
        let mut draft = Draft::new(&state.map);
        draft.container_seal(number);
        state.container = None;
        self.submit_map(account, state, draft)?;
        Ok(true)
    }

    /// Drops those of these containers that are empty; the bytes of their files, `None` if there was none.
    fn drop_empty(
        &self,
        account: &Arc<Account>,
        numbers: &[u32],
    ) -> Result<Option<u64>, StoreError> {
        let mut freed = None;
        for numbers in numbers.chunks(slice()) {
            if freed.is_some() {
                breathe();
            }
            self.writable_by(account)?;
            let mut state = account.lock()?;
            let state = &mut *state;
            let mut draft = Draft::new(&state.map);
            let mut empty = Vec::new();
            for &number in numbers {
                looked();
                if let Some(container) = state.map.container(number).filter(|is| is_empty(is)) {
                    freed = Some(freed.unwrap_or(0) + container.end);
                    draft.push(Op::ContainerDrop { number });
                    empty.push(number);
                }
            }
            if !empty.is_empty() {
                let position = self.submit_map(account, state, draft)?;
                self.let_go_of(account, state, position, empty.into_iter());
            }
        }
        Ok(freed)
    }
}

impl Rule {
    /// Whether a message lost its last reference so long ago that it can't be brought back, or nobody knows when.
    fn is_past(self, gone: Gone) -> bool {
        i64::from(gone.time) <= self.past
    }

    /// Whether one that could be brought back goes all the same: all are to be forgotten, or there is little room and some
    /// is had at once by it, with the whole container.
    fn is_due_all_the_same(self, map: &Map, id: MapId) -> bool {
        let makes_room = || {
            let container = map.get(id).and_then(|entry| map.container(entry.container));
            container.is_some_and(|container| container.sealed && container.live_bytes == 0)
        };
        self.wanted == Wanted::Forget || (self.low && makes_room())
    }
}

/// Looks at all containers; the messages of the victims have up to `room` bytes, or it is one alone.
fn look_at_containers(
    account: &Account,
    wanted: Wanted,
    room: u64,
) -> Result<Containers, StoreError> {
    let mut seen = Containers::default();
    let mut room = Some(room);
    let mut next = look_at_some_containers(account, (wanted, 0), &mut room, &mut seen)?;
    while let Some(from) = next {
        breathe();
        next = look_at_some_containers(account, (wanted, from), &mut room, &mut seen)?;
    }
    Ok(seen)
}

/// The same for one slice, from a number on; where to go on. `room` is what the victims leave, `None` when one had not enough.
fn look_at_some_containers(
    account: &Account,
    (wanted, from): (Wanted, u32),
    room: &mut Option<u64>,
    seen: &mut Containers,
) -> Result<Option<u32>, StoreError> {
    let state = account.lock()?;
    let mut containers = state.map.containers_from(from);
    for (number, container) in containers.by_ref().take(slice()) {
        looked();
        seen.dead = seen.dead.saturating_add(dead(container));
        if is_empty(container) {
            seen.empty.push(number);
        }
        let Some(left) = *room else { continue };
        let is_victim = container.sealed
            && worth(container, wanted)
            && !state.damaged_containers.contains(&number);
        if is_victim {
            let fits = seen.victims.is_empty()
                || (container.held_bytes <= left && seen.victims.len() < VICTIMS);
            *room = fits.then(|| left.saturating_sub(container.held_bytes));
            seen.victims.extend(fits.then_some(number));
        }
    }
    Ok(containers.next().map(|(number, _)| number))
}

/// Bytes of a container that nobody refers to.
fn dead(container: &ContainerState) -> u64 {
    container.end.saturating_sub(FILE_HEADER_LEN + container.live_bytes)
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

/// Whether no message is left in a container, and none will come.
fn is_empty(container: &ContainerState) -> bool {
    container.sealed && container.messages == 0
}

/// Bytes of a message's attachments that are stored apart.
fn apart(map: &Map, id: MapId) -> u64 {
    let list = map.extra(id).and_then(|extra| extra.attachments().ok());
    list.into_iter().flatten().fold(0, |sum, part| sum.saturating_add(part.len))
}
