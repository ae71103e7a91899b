//! Applying transactions: each step checks, then changes; a step that fails takes back those before it.

use super::slots::Slot;
use super::{Added, ContainerState, Entry, Gone, IdSet, Map, MapId, Moved, Op, Transaction};
use crate::Seed;
use std::ops::RangeInclusive;

/// Offsets and lengths stay below this: no sum of two of them overflows.
pub(super) const LEN_MAX: u64 = i64::MAX as u64 / 2;
/// Slots that are swept past with one transaction: little work, and more than most add.
const SWEPT: usize = 4096;

const KNOWN: &str = "entries lie in known containers";

/// Why a transaction does not fit the map.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// The id was never given, or is freed.
    #[error("map id {id} is not in the map, the next new one is {next}")]
    UnknownId {
        /// The id.
        id: u32,
        /// The next id to be given.
        next: u32,
    },
    /// A reference is taken from a message that has none.
    #[error("map id {id} has no reference that could be removed")]
    Underflow {
        /// The id.
        id: u32,
    },
    /// More references than can be counted.
    #[error("map id {id} has 4,294,967,295 references, one more is not allowed")]
    Overflow {
        /// The id.
        id: u32,
    },
    /// The transaction belongs to another place of the log.
    #[error("an addition says that its id ends in {found:#04x}, the next id is {next}")]
    Anchor {
        /// The low byte the transaction names.
        found: u8,
        /// The next id to be given.
        next: u32,
    },
    /// All map ids are given.
    #[error("all 4,294,967,294 map ids are given")]
    IdsExhausted,
    /// The container was never opened, or is dropped.
    #[error("container {number} is not in the map, the next new one is {next} or above")]
    UnknownContainer {
        /// Its number.
        number: u32,
        /// The least number of a new one.
        next: u32,
    },
    /// A new container whose number is not new.
    #[error("container {number} can't be opened again; new ones are {next} and above")]
    ContainerNotNew {
        /// Its number.
        number: u32,
        /// A number above all so far; 4,294,967,295 is never given.
        next: u32,
    },
    /// Something is to be put into a sealed container.
    #[error("container {number} is sealed")]
    Sealed {
        /// Its number.
        number: u32,
    },
    /// A container that is dropped while messages lie in it.
    #[error("container {number} is dropped with {messages} messages in it")]
    InUse {
        /// Its number.
        number: u32,
        /// How many messages.
        messages: u64,
    },
    /// A record that starts inside what is already assigned.
    #[error("a record at byte {offset} of container {container} overlaps what ends at {end}")]
    Overlap {
        /// The container.
        container: u32,
        /// Where the record starts.
        offset: u64,
        /// Where the container ends.
        end: u64,
    },
    /// A length or offset that no file has.
    #[error("{field} is {found}, at most {LEN_MAX} is allowed")]
    TooLarge {
        /// Which one.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// A message that is freed while something refers to it.
    #[error("map id {id} is freed with {refs} references")]
    Referenced {
        /// The id.
        id: u32,
        /// How many references.
        refs: u32,
    },
    /// Moved ids that don't ascend.
    #[error("moved map id {id} does not follow {last}")]
    Order {
        /// The id.
        id: u32,
        /// The one before it.
        last: u32,
    },
}

/// What takes a step back.
enum Undo<'a> {
    Add(u32, ContainerState),
    /// The other way; what was known of messages that had none before.
    Refs(&'a IdSet, Shift, Vec<(u32, Gone)>),
    Move(Vec<MovedBack>),
    Free(&'a IdSet, Vec<(u32, Gone)>),
    Open {
        number: u32,
        next: u32,
        skipped: IdSet,
    },
    Unseal(u32),
    Undrop(u32, ContainerState),
    ListFloor(u64),
}

struct MovedBack {
    place: usize,
    entry: Entry,
    from: (u32, ContainerState),
    to: (u32, ContainerState),
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Shift {
    Up,
    /// Those that have none left lost the last one so.
    Down(Gone),
}

impl Map {
    /// Applies a transaction.
    ///
    /// # Errors
    /// [`ApplyError`]; the map is then as before.
    pub fn apply(&mut self, transaction: &Transaction) -> Result<(), ApplyError> {
        let mut done = Vec::with_capacity(transaction.ops.len());
        for op in &transaction.ops {
            if let Err(error) = self.step(op, &mut done) {
                done.into_iter().rev().for_each(|undo| self.undo(undo));
                return Err(error);
            }
        }
        self.transactions += 1;
        let extras = &mut self.extras;
        self.slots.sweep(SWEPT, |id| _ = extras.remove(&id));
        Ok(())
    }

    fn step<'a>(&mut self, op: &'a Op, done: &mut Vec<Undo<'a>>) -> Result<(), ApplyError> {
        match op {
            Op::Add { anchor, message } => done.push(self.add(*anchor, message)?),
            Op::RefsAdd(ids) => {
                let before = self.shift_refs(ids, Shift::Up)?;
                done.push(Undo::Refs(ids, Shift::Down(Gone::default()), before));
            }
            Op::RefsRemove(ids) => {
                self.shift_refs(ids, Shift::Down(Gone::default()))?;
                done.push(Undo::Refs(ids, Shift::Up, Vec::new()));
            }
            Op::Expunge { ids, gone } => {
                self.shift_refs(ids, Shift::Down(*gone))?;
                done.push(Undo::Refs(ids, Shift::Up, Vec::new()));
            }
            Op::Move(moved) => {
                // Moves are many small steps; those done are taken back even if a later one of them fails.
                let mut back = Vec::with_capacity(moved.len());
                let outcome = self.relocate(moved, &mut back);
                done.push(Undo::Move(back));
                outcome?;
            }
            Op::Free(ids) => {
                let before = self.free(ids)?;
                done.push(Undo::Free(ids, before));
            }
            Op::ContainerOpen { number, seed } => done.push(self.open(*number, *seed)?),
            Op::ContainerSeal { number } => {
                self.open_container(*number)?.sealed = true;
                done.push(Undo::Unseal(*number));
            }
            Op::ContainerDrop { number } => done.push(self.drop_container(*number)?),
            Op::ListFloor(least) => {
                bounded("transactions of the list", *least)?;
                done.push(Undo::ListFloor(self.list_floor));
                self.list_floor = self.list_floor.max(*least);
            }
        }
        Ok(())
    }

    fn undo(&mut self, undo: Undo<'_>) {
        const HELD: &str = "taking back what held a moment ago";
        match undo {
            Undo::Add(number, state) => {
                let slot = self.slots.pop().expect(HELD);
                self.next_id = slot.id;
                self.zero.remove(&slot.id);
                self.extras.remove(&slot.id);
                self.containers.insert(number, state);
            }
            Undo::Refs(ids, shift, before) => {
                self.shift_refs(ids, shift).expect(HELD);
                self.zero.extend(before);
            }
            Undo::Move(back) => {
                for MovedBack { place, entry, from, to } in back.into_iter().rev() {
                    self.slots.get_mut(place).expect(HELD).entry = entry;
                    self.containers.insert(to.0, to.1);
                    self.containers.insert(from.0, from.1);
                }
            }
            Undo::Free(ids, before) => {
                self.set_gone(ids, false);
                self.zero.extend(before);
            }
            Undo::Open { number, next, skipped } => {
                self.containers.remove(&number);
                (self.next_container, self.skipped) = (next, skipped);
            }
            Undo::Unseal(number) => self.containers.get_mut(&number).expect(HELD).sealed = false,
            Undo::ListFloor(before) => self.list_floor = before,
            Undo::Undrop(number, state) => {
                self.containers.insert(number, state);
            }
        }
    }

    fn add(&mut self, anchor: u8, message: &Added) -> Result<Undo<'static>, ApplyError> {
        let Added { guid, container, offset, record_len, size, refs, ref extra } = *message;
        let id = self.next_id;
        let [low, ..] = id.to_le_bytes();
        if anchor != low {
            return Err(ApplyError::Anchor { found: anchor, next: id });
        }
        let next = id.checked_add(1).ok_or(ApplyError::IdsExhausted)?;
        bounded("message size", size)?;
        let state = self.room(container, offset, record_len)?;
        let before = *state;
        let entry = Entry { guid, container, offset, record_len, size, refs };
        state.end = offset + record_len;
        state.take_in(&entry);
        self.slots.push(Slot { id, gone: false, entry });
        self.next_id = next;
        if refs == 0 {
            self.zero.insert(id, Gone::default());
        }
        if !extra.is_empty() {
            self.extras.insert(id, extra.clone());
        }
        Ok(Undo::Add(container, before))
    }

    /// What was known of those that had none and have one now.
    fn shift_refs(&mut self, ids: &IdSet, shift: Shift) -> Result<Vec<(u32, Gone)>, ApplyError> {
        for range in ids.ranges() {
            for slot in self.all_of(&range)? {
                match shift {
                    Shift::Up if slot.entry.refs == u32::MAX => {
                        return Err(ApplyError::Overflow { id: slot.id });
                    }
                    Shift::Down(_) if slot.entry.refs == 0 => {
                        return Err(ApplyError::Underflow { id: slot.id });
                    }
                    Shift::Up | Shift::Down(_) => {}
                }
            }
        }
        let (containers, zero) = (&mut self.containers, &mut self.zero);
        let mut before = Vec::new();
        for range in ids.ranges() {
            let places = self.slots.places(&range);
            self.slots.each_mut(places, |Slot { id, entry, .. }| {
                let was = entry.refs;
                entry.refs = if shift == Shift::Up { was + 1 } else { was - 1 };
                // Only the first and the last reference make a difference to anything else.
                if was == 0 || entry.refs == 0 {
                    let state = containers.get_mut(&entry.container).expect(KNOWN);
                    match shift {
                        Shift::Up => {
                            state.live_bytes += entry.record_len;
                            before.extend(zero.remove(id).map(|gone| (*id, gone)));
                        }
                        Shift::Down(gone) => {
                            state.live_bytes -= entry.record_len;
                            zero.insert(*id, gone);
                        }
                    }
                }
            });
        }
        Ok(before)
    }

    fn relocate(&mut self, moved: &[Moved], back: &mut Vec<MovedBack>) -> Result<(), ApplyError> {
        let mut last = 0;
        for &Moved { id: MapId(id), container, offset, record_len } in moved {
            if id <= last {
                return Err(ApplyError::Order { id, last });
            }
            last = id;
            let unknown = ApplyError::UnknownId { id, next: self.next_id };
            let place = self.slots.find(id).ok_or(unknown.clone())?;
            let slot = *self.slots.get(place).filter(|slot| !slot.gone).ok_or(unknown)?;
            let to = (container, *self.room(container, offset, record_len)?);
            let old = slot.entry;
            let source = self.containers.get_mut(&old.container).expect(KNOWN);
            let from = (old.container, *source);
            source.let_go(&old);
            let entry = Entry { container, offset, record_len, ..old };
            let target = self.containers.get_mut(&container).expect("it had room");
            target.end = offset + record_len;
            target.take_in(&entry);
            if let Some(slot) = self.slots.get_mut(place) {
                slot.entry = entry;
            }
            back.push(MovedBack { place, entry: old, from, to });
        }
        Ok(())
    }

    /// What was known of them.
    fn free(&mut self, ids: &IdSet) -> Result<Vec<(u32, Gone)>, ApplyError> {
        for range in ids.ranges() {
            if let Some(slot) = self.all_of(&range)?.find(|slot| slot.entry.refs > 0) {
                return Err(ApplyError::Referenced { id: slot.id, refs: slot.entry.refs });
            }
        }
        let known = |range: RangeInclusive<MapId>| {
            self.zero.range(range.start().0..=range.end().0).map(|(id, gone)| (*id, *gone))
        };
        let before = ids.ranges().flat_map(known).collect();
        self.set_gone(ids, true);
        Ok(before)
    }

    fn set_gone(&mut self, ids: &IdSet, gone: bool) {
        let (containers, zero) = (&mut self.containers, &mut self.zero);
        for range in ids.ranges() {
            let places = self.slots.places(&range);
            let count = places.len();
            self.slots.each_mut(places, |Slot { id, gone: is_gone, entry }| {
                *is_gone = gone;
                let state = containers.get_mut(&entry.container).expect(KNOWN);
                if gone {
                    zero.remove(id);
                    state.let_go(entry);
                } else {
                    zero.insert(*id, Gone::default());
                    state.take_in(entry);
                }
            });
            self.slots.note_gone(gone, count);
        }
    }

    fn open(&mut self, number: u32, seed: Seed) -> Result<Undo<'static>, ApplyError> {
        let next = self.next_container;
        if !self.is_new_container(number) {
            return Err(ApplyError::ContainerNotNew { number, next });
        }
        let skipped = self.skipped.clone();
        if number < next {
            self.skipped.remove(MapId(number));
        } else {
            if number > next {
                self.skipped.insert_range(MapId(next)..=MapId(number - 1));
            }
            self.next_container = number + 1;
        }
        self.containers.insert(number, ContainerState::new(seed));
        Ok(Undo::Open { number, next, skipped })
    }

    fn drop_container(&mut self, number: u32) -> Result<Undo<'static>, ApplyError> {
        let state = self.known_container(number)?;
        if state.messages > 0 {
            return Err(ApplyError::InUse { number, messages: state.messages });
        }
        let state = *state;
        self.containers.remove(&number);
        Ok(Undo::Undrop(number, state))
    }

    fn known_container(&mut self, number: u32) -> Result<&mut ContainerState, ApplyError> {
        let next = self.next_container;
        self.containers.get_mut(&number).ok_or(ApplyError::UnknownContainer { number, next })
    }

    fn open_container(&mut self, number: u32) -> Result<&mut ContainerState, ApplyError> {
        let state = self.known_container(number)?;
        if state.sealed { Err(ApplyError::Sealed { number }) } else { Ok(state) }
    }

    /// The container, if a record may go there.
    fn room(
        &mut self,
        container: u32,
        offset: u64,
        record_len: u64,
    ) -> Result<&mut ContainerState, ApplyError> {
        bounded("offset", offset)?;
        bounded("record length", record_len)?;
        bounded("end of the record", offset + record_len)?;
        let state = self.open_container(container)?;
        if offset < state.end {
            return Err(ApplyError::Overlap { container, offset, end: state.end });
        }
        Ok(state)
    }

    /// The slots of a range, if all its ids are there.
    fn all_of(
        &self,
        range: &RangeInclusive<MapId>,
    ) -> Result<impl Iterator<Item = &Slot>, ApplyError> {
        let places = self.slots.places(range);
        let wanted = u64::from(range.end().0) - u64::from(range.start().0) + 1;
        let slots = self.slots.within(places.clone());
        if places.len() as u64 == wanted && slots.clone().all(|slot| !slot.gone) {
            return Ok(slots);
        }
        let there = slots.filter(|slot| !slot.gone).zip(range.start().0..);
        let missing = there.take_while(|(slot, id)| slot.id == *id).last();
        let id = missing.map_or(range.start().0, |(slot, _)| slot.id + 1);
        Err(ApplyError::UnknownId { id, next: self.next_id })
    }
}

fn bounded(field: &'static str, found: u64) -> Result<(), ApplyError> {
    if found <= LEN_MAX { Ok(()) } else { Err(ApplyError::TooLarge { field, found }) }
}
