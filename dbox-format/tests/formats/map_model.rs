//! The map against a model that is too simple to be wrong.

use std::collections::{BTreeMap, BTreeSet};

use dbox_format::map::{
    Added, ApplyError, Draft, Extra, Gone, IdSet, Known, LogPosition, Map, MapId, Moved, Op,
    Snapshot, Transaction,
};
use dbox_format::{Error, Guid, Seed};
use proptest::prelude::*;

use crate::guid;

/// One step, in terms that mostly make sense and sometimes don't.
#[derive(Clone, Debug)]
enum Step {
    Open(u32),
    Add { container: u32, gap: u64, record_len: u64, refs: u32, extra: bool },
    Refs { from: u32, len: u32, up: bool },
    Expunge { from: u32, len: u32, step: u32, time: u32 },
    Free(u32),
    Move { id: u32, container: u32 },
    Seal(u32),
    Drop(u32),
    ListFloor(u64),
    BadAnchor,
}

fn step() -> impl Strategy<Value = Step> {
    let (container, id) = (0_u32..6, 0_u32..30);
    let add = (container.clone(), 0_u64..3, 1_u64..500, 0_u32..3, any::<bool>());
    prop_oneof![
        2 => container.clone().prop_map(Step::Open),
        12 => add.prop_map(|(container, gap, record_len, refs, extra)| {
            Step::Add { container, gap: gap / 2, record_len, refs, extra }
        }),
        12 => (id.clone(), 1_u32..6, any::<bool>()).prop_map(|(from, len, up)| Step::Refs { from, len, up }),
        6 => (id.clone(), 1_u32..6, 1_u32..4, 1_u32..3).prop_map(|(from, len, step, time)| {
            Step::Expunge { from, len, step, time }
        }),
        4 => id.clone().prop_map(Step::Free),
        4 => (id, container.clone()).prop_map(|(id, container)| Step::Move { id, container }),
        1 => container.clone().prop_map(Step::Seal),
        1 => container.prop_map(Step::Drop),
        1 => (1_u64..9).prop_map(Step::ListFloor),
        1 => Just(Step::BadAnchor),
    ]
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    next: u32,
    next_container: u32,
    opened: BTreeSet<u32>,
    entries: BTreeMap<u32, Added>,
    containers: BTreeMap<u32, (u64, bool)>, // end, sealed
    /// When and where a reference was last taken by an expunge.
    gone: BTreeMap<u32, Gone>,
    list_floor: u64,
}

impl Model {
    /// Whether the step is legal; it is done then.
    fn apply(&mut self, op: &Op) -> bool {
        match op {
            Op::ContainerOpen { number, .. } => {
                let legal = *number > 0 && self.opened.insert(*number);
                if legal {
                    self.next_container = self.next_container.max(*number);
                    self.containers.insert(*number, (64, false));
                }
                legal
            }
            Op::Add { anchor, message } => {
                let legal = u32::from(*anchor) == (self.next + 1) & 0xff && self.place(message);
                if legal {
                    self.next += 1;
                    self.entries.insert(self.next, message.clone());
                }
                legal
            }
            Op::RefsAdd(ids) => {
                ids.iter().for_each(|id| _ = self.gone.remove(&id.0));
                ids.iter().all(|id| self.entries.get_mut(&id.0).map(|e| e.refs += 1).is_some())
            }
            Op::RefsRemove(ids) => ids.iter().all(|id| {
                self.entries
                    .get_mut(&id.0)
                    .is_some_and(|e| e.refs.checked_sub(1).map(|refs| e.refs = refs).is_some())
            }),
            Op::Expunge { ids, gone } => ids.iter().all(|id| {
                let Some(e) = self.entries.get_mut(&id.0) else { return false };
                let taken = e.refs.checked_sub(1).map(|refs| e.refs = refs).is_some();
                if e.refs == 0 {
                    self.gone.insert(id.0, *gone);
                }
                taken
            }),
            Op::Free(ids) => {
                ids.iter().all(|id| self.entries.remove(&id.0).is_some_and(|e| e.refs == 0))
            }
            Op::Move(moved) => moved.iter().all(|to| {
                let Some(old) = self.entries.get(&to.id.0).cloned() else { return false };
                let (container, offset, record_len) = (to.container, to.offset, to.record_len);
                let new = Added { container, offset, record_len, ..old };
                let legal = self.place(&new);
                self.entries.insert(to.id.0, new);
                legal
            }),
            Op::ContainerSeal { number } => {
                self.containers.get_mut(number).is_some_and(|c| !std::mem::replace(&mut c.1, true))
            }
            Op::ContainerDrop { number } => {
                !self.entries.values().any(|e| e.container == *number)
                    && self.containers.remove(number).is_some()
            }
            Op::ListFloor(least) => {
                self.list_floor = self.list_floor.max(*least);
                true
            }
            other => panic!("{other:?} is not in the model"),
        }
    }

    fn place(&mut self, message: &Added) -> bool {
        let state = self.containers.get_mut(&message.container);
        let Some((end, _)) = state.filter(|(end, sealed)| !*sealed && message.offset >= *end)
        else {
            return false;
        };
        *end = message.offset + message.record_len;
        true
    }

    fn check(&self, map: &Map) {
        assert_eq!(
            (map.next_id().0, map.next_container()),
            (self.next + 1, self.next_container + 1)
        );
        assert_eq!(map.len(), self.entries.len());
        assert_eq!(map.list_floor(), self.list_floor);
        for id in 0..self.next + 3 {
            let found = map
                .get(MapId(id))
                .map(|e| (e.guid, e.container, e.offset, e.record_len, e.size, e.refs));
            let wanted = self.entries.get(&id);
            assert_eq!(
                found,
                wanted.map(|e| (e.guid, e.container, e.offset, e.record_len, e.size, e.refs)),
                "id {id}"
            );
            let extra = wanted.map(|e| &e.extra).filter(|extra| !extra.is_empty());
            assert_eq!(map.extra(MapId(id)), extra);
        }
        assert!(
            map.unreferenced().map(|id| id.0).eq(self
                .entries
                .iter()
                .filter(|(_, e)| e.refs == 0)
                .map(|(id, _)| *id))
        );
        for (id, gone) in map.expunged() {
            assert_eq!(gone, self.gone.get(&id.0).copied().unwrap_or_default(), "{id}");
        }
        assert!(map.containers().map(|(number, _)| number).eq(self.containers.keys().copied()));
        for (number, state) in map.containers() {
            let inside = || self.entries.values().filter(|e| e.container == number);
            assert_eq!((state.end, state.sealed), self.containers[&number]);
            assert_eq!(state.messages, inside().count() as u64);
            assert_eq!(state.held_bytes, inside().map(|e| e.record_len).sum());
            assert_eq!(
                state.live_bytes,
                inside().filter(|e| e.refs > 0).map(|e| e.record_len).sum()
            );
        }
    }
}

/// The transaction these steps mean, as far as one can tell from the map before it.
fn describe(steps: &[Step], map: &Map) -> Transaction {
    let mut draft = Draft::new(map);
    let mut ends: BTreeMap<u32, u64> =
        map.containers().map(|(number, state)| (number, state.end)).collect();
    let mut serial = map.transactions() as u8;
    // Mostly what is there, sometimes what is not; the last container is the least likely to be sealed.
    let open: Vec<u32> = map.containers().map(|(number, _)| number).rev().collect();
    let container = |choice: u32| open.get(choice as usize / 2).copied().unwrap_or(choice);
    let id = |choice: u32| 1 + choice % map.next_id().0;
    for step in steps {
        match *step {
            Step::Open(above) => {
                // Two in six are below the greatest so far: opened before, or passed over.
                let number = (map.next_container() + above).saturating_sub(2);
                draft.container_open(number, Seed(above));
                ends.insert(number, 64);
            }
            Step::Add { container: choice, gap, record_len, refs, extra } => {
                let container = container(choice);
                let end = ends.entry(container).or_insert(64);
                let mut message = Added {
                    guid: guid(serial),
                    container,
                    offset: *end + gap,
                    record_len,
                    ..Added::default()
                };
                message.size = record_len.saturating_sub(97);
                message.refs = refs;
                if extra {
                    message.extra.push(2, &[serial; 3]);
                }
                *end = message.offset + record_len;
                serial = serial.wrapping_add(1);
                draft.add(message);
            }
            Step::Refs { from, len, up } => {
                let ids = (id(from)..id(from) + len).map(MapId);
                if up { draft.refs_add(ids) } else { draft.refs_remove(ids) }
            }
            Step::Expunge { from, len, step, time } => {
                let ids = (0..len).map(|i| MapId(id(from) + i * step));
                draft.expunge(ids, Gone { time, mailbox: [time as u8; 3] });
            }
            Step::Free(choice) => draft.free([MapId(id(choice))].into_iter().collect()),
            Step::Move { id: choice, container: target } => {
                let (id, container) = (id(choice), container(target));
                let offset = *ends.entry(container).or_insert(64);
                ends.insert(container, offset + 40);
                let next = MapId(id + 1);
                let moved = Moved { id: MapId(id), container, offset, record_len: 30 };
                draft.push(Op::Move(vec![
                    moved,
                    Moved { id: next, offset: offset + 30, record_len: 10, ..moved },
                ]));
            }
            Step::Seal(choice) => draft.container_seal(container(choice)),
            Step::Drop(choice) => draft.push(Op::ContainerDrop { number: container(choice) }),
            Step::ListFloor(least) => draft.push(Op::ListFloor(least)),
            Step::BadAnchor => draft.push(Op::Add { anchor: 0xee, message: Added::default() }),
        }
    }
    draft.finish()
}

fn reload(map: &Map) -> Map {
    let mut file = Vec::new();
    map.write_snapshot(LogPosition { file: 1, offset: 2 }, &mut file);
    Snapshot::parse(&file).unwrap().load().unwrap()
}

proptest! {
    #[test]
    fn the_map_does_what_the_model_does(story in prop::collection::vec(prop::collection::vec(step(), 1..5), 0..80)) {
        let (mut map, mut model) = (Map::new(), Model::default());
        let (mut applied, mut snapshots) = (Vec::new(), Vec::new());
        for steps in &story {
            let transaction = describe(steps, &map);
            let mut wire = Vec::new();
            transaction.encode(&mut wire);
            prop_assert_eq!(&Transaction::decode(&wire).unwrap(), &transaction);
            let mut next = model.clone();
            let legal = transaction.ops.iter().all(|op| next.apply(op));
            let before = map.clone();
            let outcome = map.apply(&transaction);
            prop_assert_eq!(outcome.is_ok(), legal, "{:?} {:?}", transaction, outcome);
            if legal {
                model = next;
                applied.push(transaction);
                snapshots.push(reload(&map));
            } else {
                prop_assert_eq!(&map, &before);
            }
            model.check(&map);
        }
        // From the start, and from any snapshot on.
        let mut fresh = Map::new();
        applied.iter().for_each(|transaction| fresh.apply(transaction).unwrap());
        prop_assert_eq!(&fresh, &map);
        for (done, mut from) in (1..).zip(snapshots) {
            applied.iter().skip(done).for_each(|transaction| from.apply(transaction).unwrap());
            prop_assert_eq!(&from, &map);
        }
    }

    #[test]
    fn any_payload_is_safe(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(transaction) = Transaction::decode(&bytes) {
            let mut out = Vec::new();
            transaction.encode(&mut out);
            prop_assert_eq!(Transaction::decode(&out), Ok(transaction.clone()));
            let _ = Map::new().apply(&transaction);
        }
    }

    #[test]
    fn a_payload_with_changed_bytes_is_safe(
        steps in prop::collection::vec(step(), 1..12),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut map = Map::new();
        let mut draft = Draft::new(&map);
        (1..4).for_each(|number| draft.container_open(number, Seed(number)));
        map.apply(&draft.finish()).unwrap();
        let mut bytes = Vec::new();
        describe(&steps, &map).encode(&mut bytes);
        for (at, byte) in changes {
            if !bytes.is_empty() {
                *at.get_mut(&mut bytes) = byte;
            }
        }
        if let Ok(transaction) = Transaction::decode(&bytes) {
            let mut out = Vec::new();
            transaction.encode(&mut out);
            prop_assert_eq!(Transaction::decode(&out), Ok(transaction.clone()));
            let before = map.clone();
            if map.apply(&transaction).is_err() {
                prop_assert_eq!(&map, &before);
            }
            prop_assert_eq!(reload(&map), map);
        }
    }
}

/// Sets of ranges that repeat take as many bytes as there are groups of them, and come back as they were.
#[test]
fn what_repeats_takes_a_few_bytes() {
    let every_tenth = || (0..10_000).map(|i| MapId(1 + i * 10));
    let gone = Gone { time: 1_800_000_000, mailbox: [1, 2, 3] };
    let mut draft = Draft::new(&Map::new());
    draft.expunge(every_tenth(), gone);
    let transaction = draft.finish();
    let mut wire = Vec::new();
    transaction.encode(&mut wire);
    assert_eq!(wire.len(), 13, "{wire:?}");
    assert_eq!(Transaction::decode(&wire).unwrap(), transaction);
    let runs = (0..50).flat_map(|i| (0..3).map(move |j| MapId(5 + i * 7 + j)));
    let mixed: IdSet = runs.chain([MapId(1), MapId(1000), MapId(1002)]).collect();
    let mut draft = Draft::new(&Map::new());
    draft.free(mixed.clone());
    let mut wire = Vec::new();
    draft.finish().encode(&mut wire);
    assert!(wire.len() < 16, "{wire:?}");
    assert_eq!(Transaction::decode(&wire).unwrap().ops, [Op::Free(mixed)]);
    // So few bytes may stand for no more than is bounded.
    assert!(Transaction::decode(&[0x31, 1, 1, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]).is_err());
}

/// A map of the same messages, put together from what it says of them.
#[test]
fn a_map_is_put_together() {
    let mut map = Map::new();
    let mut draft = Draft::new(&map);
    draft.container_open(2, Seed(7));
    for i in 0..5 {
        let offset = 64 + i * 100;
        draft.add(Added { container: 2, offset, record_len: 100, refs: 1, ..Added::default() });
    }
    let gone = Gone::new(5, guid(9));
    draft.expunge([MapId(2)], gone);
    draft.container_seal(2);
    map.apply(&draft.finish()).unwrap();
    let known = |id: u32| {
        let (id, refs) = (MapId(id), u32::from(id != 2));
        Known {
            id,
            entry: map.get(id).unwrap(),
            extra: Extra::new(),
            gone: if refs == 0 { gone } else { Gone::default() },
        }
    };
    let all: Vec<Known> = (1..6).map(known).collect();
    let containers = [(2, Seed(7), 564)];
    let again = Map::assemble(all.clone(), &containers, MapId(6), 1).unwrap();
    assert_eq!(again, map);
    assert_eq!(reload(&again), map);
    assert!(gone.is_in(guid(9)) && !gone.is_in(guid(8)) && !Gone::default().is_in(Guid::default()));
    let short = [(2, Seed(7), 563)];
    assert_eq!(Map::assemble(all.clone(), &short, MapId(6), 1), None);
    assert_eq!(Map::assemble(all.into_iter().rev().collect(), &containers, MapId(6), 1), None);
}

#[test]
fn freed_ids_are_swept_and_never_given_again() {
    let mut map = Map::new();
    let mut draft = Draft::new(&map);
    draft.container_open(1, Seed(1));
    for i in 0..1000 {
        let mut message = Added {
            container: 1,
            offset: 64 + i * 100,
            record_len: 100,
            refs: 0,
            ..Added::default()
        };
        message.extra.push(2, b"x");
        draft.add(message);
    }
    map.apply(&draft.finish()).unwrap();
    for first in (1..=900).step_by(100) {
        let mut draft = Draft::new(&map);
        let mut ids = IdSet::new();
        ids.insert_range(MapId(first)..=MapId(first + 99));
        draft.free(ids);
        map.apply(&draft.finish()).unwrap();
    }
    assert_eq!((map.len(), map.next_id()), (100, MapId(1001)));
    assert_eq!((map.get(MapId(900)), map.extra(MapId(900))), (None, None));
    assert!(map.iter().map(|(id, _)| id.0).eq(901..=1000));
    assert!(map.extra(MapId(901)).is_some());
    let state = map.container(1).unwrap();
    assert_eq!((state.end, state.held_bytes, state.live_bytes), (64 + 100_000, 10_000, 0));
    assert_eq!(reload(&map), map);
}

#[test]
fn errors_name_the_first_id_that_is_wrong() {
    let mut map = Map::new();
    let mut draft = Draft::new(&map);
    draft.container_open(1, Seed(1));
    for (i, refs) in [(0, 1), (1, u32::MAX), (2, 0)] {
        draft.add(Added { container: 1, offset: 64 + i, record_len: 1, refs, ..Added::default() });
    }
    map.apply(&draft.finish()).unwrap();
    let mut fails = |describe: &dyn Fn(&mut Draft)| {
        let mut draft = Draft::new(&map);
        describe(&mut draft);
        map.apply(&draft.finish()).unwrap_err()
    };
    assert_eq!(fails(&|d| d.refs_add([1, 2].map(MapId))), ApplyError::Overflow { id: 2 });
    assert_eq!(fails(&|d| d.refs_remove([2, 3].map(MapId))), ApplyError::Underflow { id: 3 });
    assert_eq!(
        fails(&|d| d.refs_add([3, 4, 5].map(MapId))),
        ApplyError::UnknownId { id: 4, next: 4 }
    );
    assert_eq!(fails(&|d| d.refs_remove([1, 1].map(MapId))), ApplyError::Underflow { id: 1 });
    assert_eq!(
        fails(&|d| d.free([MapId(1)].into_iter().collect())),
        ApplyError::Referenced { id: 1, refs: 1 }
    );
    let far = Added { container: 1, offset: u64::MAX, record_len: 1, ..Added::default() };
    assert_eq!(
        fails(&|d| d.push(Op::Add { anchor: 4, message: far.clone() })),
        ApplyError::TooLarge { field: "offset", found: u64::MAX }
    );
    let inside = Added { container: 1, offset: 66, record_len: 9, ..Added::default() };
    assert_eq!(
        fails(&|d| d.push(Op::Add { anchor: 4, message: inside.clone() })),
        ApplyError::Overlap { container: 1, offset: 66, end: 67 }
    );
    assert_eq!(
        fails(&|d| d.push(Op::ContainerDrop { number: 1 })),
        ApplyError::InUse { number: 1, messages: 3 }
    );
    assert_eq!(
        fails(&|d| d.container_seal(8)),
        ApplyError::UnknownContainer { number: 8, next: 2 }
    );
    assert_eq!(
        fails(&|d| d.container_open(1, Seed(0))),
        ApplyError::ContainerNotNew { number: 1, next: 2 }
    );
    let mut all = IdSet::new();
    all.insert_range(MapId(1)..=MapId(u32::MAX));
    assert_eq!(
        fails(&|d| d.push(Op::RefsAdd(all.clone()))),
        ApplyError::UnknownId { id: 4, next: 4 }
    );
    assert_eq!(map.get(MapId(1)).map(|entry| (entry.guid, entry.refs)), Some((Guid::default(), 1)));
}

#[test]
fn a_step_of_a_later_version_is_refused_by_name() {
    let refused = |tag, at| Err(Error::Kind { what: "step of a map transaction", at, kind: tag });
    assert_eq!(Transaction::decode(&[0xa0]), refused(0xa0, 0));
    assert_eq!(Transaction::decode(&[0x18, 0]), refused(0x18, 0));
    assert_eq!(Transaction::decode(&[0x70, 1, 0x00]), refused(0x00, 2));
}
