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
    ["index", "list.index", "map.index"].contains(&name)
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
