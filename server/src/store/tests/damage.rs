//! Own files that lie (hostile row 71): no panic; any one snapshot may go and no answer changes (promise P6).

use super::world::{Op, World};
use runtime_smol::sim::{SimFs, Variant};
use std::path::Path;

/// A way to damage a file, and what it is called.
pub(super) type Damage = (&'static str, fn(&mut Vec<u8>));

/// Ways to damage a file.
pub(super) const DAMAGES: [Damage; 7] = [
    ("emptied", Vec::clear),
    ("cut in half", |bytes| bytes.truncate(bytes.len() / 2)),
    ("short of one byte", |bytes| {
        bytes.pop();
    }),
    ("a bit flipped", |bytes| {
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 0x10;
        }
    }),
    ("its first block zeroed", |bytes| bytes.iter_mut().take(512).for_each(|byte| *byte = 0)),
    ("all ones at the front", |bytes| bytes.iter_mut().take(64).for_each(|byte| *byte = 0xff)),
    ("halves swapped", |bytes| {
        let middle = bytes.len() / 2;
        bytes.rotate_left(middle);
    }),
];

/// A store with both generations of every snapshot, and log behind them.
fn disk() -> World {
    let mut world = World::new(SimFs::new());
    for op in
        [Op::Snapshot, Op::Append, Op::Deliver, Op::Copy, Op::Snapshot, Op::Store, Op::DeliverLarge]
    {
        world.run(op).unwrap();
    }
    world.store.checkpoint(u64::MAX).unwrap();
    world
}

fn is_snapshot(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ["index", "index.delta", "list.index", "map.index"].contains(&name)
}

#[test]
fn row_71_any_one_snapshot_may_be_damaged_and_no_answer_changes() {
    let world = disk();
    let expected = world.view().unwrap();
    let image = world.fs.crashed(Variant::Everything);
    let mut tried = 0;
    for path in image.files().into_iter().filter(|path| is_snapshot(path)) {
        for (what, damage) in DAMAGES {
            let image = image.crashed(Variant::Everything);
            image.corrupt(&path, damage).unwrap();
            let recovered =
                World::recover(image, 3).unwrap_or_else(|error| panic!("{path:?} {what}: {error}"));
            assert_eq!(recovered.view().unwrap(), expected, "{path:?} {what}");
            tried += 1;
        }
    }
    println!("{tried} damaged snapshots, no answer changed");
    assert!(
        tried >= 3 * DAMAGES.len(),
        "only {tried}: are there snapshots of list, map and mailboxes?"
    );
}

#[test]
fn row_71_damage_in_any_file_is_no_panic() {
    let world = disk();
    let image = world.fs.crashed(Variant::Everything);
    let (mut served, mut refused) = (0, 0);
    for path in image.files() {
        for (_, damage) in DAMAGES {
            let image = image.crashed(Variant::Everything);
            image.corrupt(&path, damage).unwrap();
            match World::recover(image, 3).and_then(|world| world.view()) {
                Ok(_) => served += 1,
                Err(_) => refused += 1,
            }
        }
    }
    println!("{served} times all is served, {refused} times the damage is named");
    assert!(served > refused);
}

/// Log and both snapshots of one kind lost, by name: what is left of the account must not pass for all of it.
#[test]
fn row_71_a_lost_log_is_named_and_nothing_begins_anew() {
    // Replayed first: a journal that isn't empty could put some of it back.
    let world = World::recover(disk().fs.crashed(Variant::Everything), 3).unwrap();
    let image = world.fs.crashed(Variant::Everything);
    for kind in ["list", "map", ""] {
        let image = image.crashed(Variant::Everything);
        let of_kind = |path: &Path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let own = |name: &str| name.starts_with("log") || name.starts_with("index");
            match kind {
                "" => own(name),
                kind => {
                    name.strip_prefix(kind).and_then(|name| name.strip_prefix('.')).is_some_and(own)
                }
            }
        };
        let paths: Vec<_> = image.files().into_iter().filter(|path| of_kind(path)).collect();
        assert!(paths.len() > 1, "{kind}: {paths:?}");
        for path in &paths {
            image.corrupt(path, |bytes| bytes.fill(0x55)).unwrap();
        }
        let viewed = World::recover(image, 3).and_then(|world| world.view());
        let refused = match viewed {
            Ok(view) => panic!("{kind}: {view:?}"),
            Err(error) => error.to_string(),
        };
        assert!(refused.contains("is damaged") && refused.contains("backup"), "{kind}: {refused}");
    }
}
