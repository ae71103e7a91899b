//! What `[durability]` lets a crash take back, and what not.

use super::crashes::{Point, check, history};
use super::faults::fail_everywhere;
use super::world::{Op, World, config};
use crate::store::config::StoreConfig;
use crate::store::planted::{Planted, plant};
use runtime_smol::Time;
use runtime_smol::sim::{OpKind, SimFs, Variant};

/// `flags = "deferred"`.
fn deferred() -> StoreConfig {
    StoreConfig { defer_flags: true, ..config() }
}

/// `mode = "process-crash"`.
fn process_crash() -> StoreConfig {
    StoreConfig { sync_commits: false, ..config() }
}

/// Whether what `op` did, and all before it, survives a power failure as soon as it is acknowledged.
fn is_synced(config: &StoreConfig, op: Op) -> bool {
    match op {
        Op::Snapshot | Op::Rotate | Op::LetGo | Op::Compact | Op::Dictionary => true,
        // Where there is nothing to bring back nothing is synced.
        Op::Store | Op::Undelete => config.sync_commits && !config.defer_flags,
        Op::Deliver
        | Op::DeliverLarge
        | Op::Append
        | Op::Expunge
        | Op::Copy
        | Op::Move
        | Op::Create
        | Op::Rename
        | Op::Delete
        | Op::DeliverAttachment
        | Op::DeliverOther
        | Op::Tend
        | Op::FreeAndTend => config.sync_commits,
    }
}

/// Crashes everywhere; the first violation, and how many crashes there were.
fn crash_everywhere(config: &StoreConfig, ops: &[Op], variants: usize) -> (u64, Option<String>) {
    let (world, points) = history(ops, config.clone());
    let start = points[0].acknowledged.unwrap();
    let ends = world.fs.ops();
    let trace = world.fs.trace();
    let mut crashes = 0;
    for at in world.fs.crash_points().into_iter().filter(|&at| at >= start).chain([ends]) {
        for variant in Variant::sample(variants, at) {
            let image = match at == ends {
                true => Some(world.fs.crashed(variant)),
                false => world.fs.crashed_at(at, variant),
            };
            let Some(image) = image else { continue };
            crashes += 1;
            let done = |point: &Point| point.acknowledged.is_some_and(|done| done <= at);
            let told = points.iter().rposition(done).unwrap_or(0);
            let synced = || {
                let synced = |&n: &usize| done(&points[n]) && is_synced(config, ops[n - 1]);
                (1..points.len()).rfind(synced).unwrap_or(0)
            };
            let kept = match variant {
                Variant::Everything => told,
                // The simulation tears the last write though it had come to its end, if no sync came after it.
                Variant::Killed(_) => {
                    let writes = trace.iter().filter(|op| op.number < at).rev();
                    let mut writes =
                        writes.filter(|op| matches!(op.kind, OpKind::Write | OpKind::Append));
                    let last = writes.next().map_or(0, |op| op.number);
                    let before =
                        |point: &Point| point.acknowledged.is_some_and(|done| done <= last);
                    synced().max(points.iter().rposition(before).unwrap_or(0))
                }
                Variant::Nothing | Variant::Ordered(_) | Variant::Adversarial(_) => synced(),
            };
            if let Err(why) = check(image, config.clone(), &points[kept..], &points[told].view) {
                let what = format!("{ops:?}, crash at operation {at}, {variant:?}: {why}");
                return (crashes, Some(what));
            }
        }
    }
    (crashes, None)
}

/// All pairs of operations.
fn crash_pairs(config: &StoreConfig, variants: usize) -> (u64, Option<String>) {
    let mut crashes = 0;
    for first in Op::ALL {
        for second in Op::ALL {
            let (count, violation) = crash_everywhere(config, &[first, second], variants);
            crashes += count;
            if violation.is_some() {
                return (crashes, violation);
            }
        }
    }
    (crashes, None)
}

#[test]
fn deferred_flags_cost_flags_alone() {
    let mut crashes = 0;
    for ops in [[Op::Store, Op::Store], [Op::Snapshot, Op::Store], [Op::Rotate, Op::Store]] {
        for last in Op::ALL {
            let ops = [ops[0], ops[1], last];
            let (count, violation) = crash_everywhere(&deferred(), &ops, 20);
            crashes += count;
            assert_eq!(violation, None);
        }
    }
    // Where the journal has nothing else to tell of.
    let bare = [Op::Snapshot, Op::Rotate, Op::Snapshot, Op::Store];
    let (count, violation) = crash_everywhere(&deferred(), &bare, 20);
    assert_eq!(violation, None);
    println!("{} crashes, no violation", crashes + count);
}

#[test]
fn the_end_of_the_process_costs_nothing() {
    let (crashes, violation) = crash_pairs(&process_crash(), 5);
    println!("{crashes} crashes, no violation");
    assert_eq!(violation, None);
}

#[test]
fn faults_planted_there_are_found() {
    for fault in [Planted::SameEpoch, Planted::ApplyUnsynced] {
        plant(Some(fault));
        let found = std::panic::catch_unwind(|| {
            // A journal with no record of its own: a start finds nothing that was not stopped cleanly.
            let flags = [Op::Snapshot, Op::Rotate, Op::Snapshot, Op::Store];
            crash_everywhere(&deferred(), &flags, 20).1.is_some()
                || crash_pairs(&process_crash(), 5).1.is_some()
        });
        plant(None);
        assert!(found.unwrap_or(true), "{fault:?} survives");
    }
}

const HISTORIES: [[Op; 2]; 4] = [
    [Op::Store, Op::Store],
    [Op::Store, Op::Deliver],
    [Op::Deliver, Op::Store],
    [Op::Store, Op::Snapshot],
];

#[test]
fn what_was_told_survives_a_sync_that_fails() {
    for config in [deferred(), process_crash()] {
        let (struck, violation) = fail_everywhere(&config, &HISTORIES);
        println!("{struck} failures, no violation");
        assert_eq!(violation, None);
        assert!(struck > 200, "only {struck}");
    }
    plant(Some(Planted::ForgetTold));
    let found = std::panic::catch_unwind(|| fail_everywhere(&deferred(), &HISTORIES).1.is_some());
    plant(None);
    assert!(found.unwrap_or(true), "ForgetTold survives");
}

#[test]
fn what_was_told_is_durable_half_a_second_later() {
    let mut world = World::with(SimFs::new(), deferred());
    world.store.checkpoint(0).unwrap();
    let before = world.view().unwrap();
    world.run(Op::Store).unwrap();
    let told = world.view().unwrap();
    let lost = |world: &World| {
        let image = world.fs.crashed(Variant::Nothing);
        World::recover(image, 3).unwrap().view().unwrap().mailboxes["INBOX"].messages
            == before.mailboxes["INBOX"].messages
    };
    let due = world.store.sync_when_due(None, Time(1000));
    assert_eq!(due, Some(Time(1500)));
    assert_eq!(world.store.sync_when_due(due, Time(1499)), due);
    assert!(lost(&world), "it was synced at once");
    assert_eq!(world.store.sync_when_due(due, Time(1500)), None);
    assert!(!lost(&world), "it is not durable yet");
    assert_eq!(world.view().unwrap(), told);
}
