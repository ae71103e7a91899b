//! The disk refuses or lies once: nothing is acknowledged that is not kept, and service goes on by itself.

use super::world::{Op, View, World, config, effort};
use crate::store::config::StoreConfig;
use crate::store::error::StoreError;
use crate::store::planted::{Planted, plant};
use runtime_smol::sim::{Failure, Fault, SimFs, Variant, When};

const FAILURES: [Failure; 5] = [
    Failure::Io,
    Failure::NoSpace,
    Failure::TooManyFiles,
    Failure::Short(7),
    Failure::LostSync { evict: true },
];

/// Does `ops` while disk operation `at` (counted from the first of them) fails, then one delivery, then loses power.
/// `Ok(false)` when the history has no such operation.
fn fail_once(config: &StoreConfig, ops: &[Op], at: u64, what: Failure) -> Result<bool, String> {
    let mut world = World::with(SimFs::new(), config.clone());
    let mut expected = world.view().map_err(|error| error.to_string())?;
    let number = world.fs.ops() + at;
    world.fs.inject(Fault { when: When::Op(number), what, lasting: false });
    for &op in ops.iter().chain(&[Op::Deliver]) {
        let acknowledged = world.run(op).is_ok();
        // What failed on its way to a file is tried again, as the housekeeping thread would.
        let refusing = world.store.commit.refusing();
        world.store.resume();
        if refusing && !world.store.commit.refusing() {
            // All that was told is durable then, before anybody loads the account anew.
            let recovered = World::recover(world.fs.crashed(Variant::Nothing), 8)
                .map_err(|error| format!("recovery behind {op:?}: {error}"))?;
            let view =
                recovered.view().map_err(|error| format!("reading behind {op:?}: {error}"))?;
            if !is_step(&expected, &view) {
                return Err(format!("behind {op:?} found {view:#?}\nexpected {expected:#?}"));
            }
        }
        // The failing operation may be the one that reads: then the next try succeeds.
        let read = |world: &mut World| {
            reload(world).and_then(|()| world.view().map_err(|error| error.to_string()))
        };
        let view = read(&mut world)
            .or_else(|_| read(&mut world))
            .map_err(|error| format!("reading after {op:?}: {error}"))?;
        if acknowledged || view != expected {
            // A refused operation may have been done or not; an acknowledged one is what memory says it is.
            if !acknowledged && !is_step(&expected, &view) {
                return Err(format!(
                    "a refused {op:?} left {view:#?}\nbefore it was {expected:#?}"
                ));
            }
            expected = view;
        }
    }
    // What was told before its sync gets it; where that fails, it is tried again.
    if world.store.sync_deferred().is_err() {
        world.store.resume();
    }
    let reached = world.fs.ops() > number;
    // What was refused and is on the disk all the same must not come back either.
    for kept in [Variant::Nothing, Variant::Everything] {
        let recovered = World::recover(world.fs.crashed(kept), 9)
            .map_err(|error| format!("recovery of {kept:?}: {error}"))?;
        let view = recovered.view().map_err(|error| format!("reading {kept:?}: {error}"))?;
        if !covers(&view, &expected) {
            return Err(format!("{kept:?}: found {view:#?}\nexpected {expected:#?}"));
        }
        recovered.check_attachments().map_err(|error| format!("attachments: {error}"))?;
    }
    Ok(reached)
}

/// A dead account is loaded anew, as the next log-in would.
fn reload(world: &mut World) -> Result<(), String> {
    if world.account.is_dead() {
        world.account = world
            .store
            .account("u1")
            .map_err(|error: StoreError| format!("loading anew: {error}"))?;
    }
    Ok(())
}

/// Whether nothing that was there changed but by one operation: neither mail nor a flag is lost to a refused one.
fn is_step(before: &View, after: &View) -> bool {
    let has_flags = before.mailboxes.iter().all(|(name, before)| {
        let after = after.mailboxes.get(name).filter(|it| it.uidvalidity == before.uidvalidity);
        let now = |uid| after.and_then(|after| after.messages.get(uid));
        before
            .messages
            .iter()
            .all(|(uid, mail)| now(uid).is_none_or(|now| now.flags & mail.flags == mail.flags))
    });
    if !has_flags {
        return false;
    }
    let count =
        |view: &View| view.mailboxes.values().map(|mailbox| mailbox.messages.len()).sum::<usize>();
    count(after) + 4 >= count(before)
}

fn covers(found: &View, expected: &View) -> bool {
    found.mailboxes.len() == expected.mailboxes.len()
        && found.mailboxes.iter().zip(&expected.mailboxes).all(
            |((name, found), (other, expected))| {
                name == other
                    && found.messages == expected.messages
                    && found.uidvalidity == expected.uidvalidity
            },
        )
}

/// Fails every operation of every history once; the first violation, and how many failures there were.
pub(super) fn fail_everywhere<const N: usize>(
    config: &StoreConfig,
    histories: &[[Op; N]],
) -> (u64, Option<String>) {
    let mut struck = 0;
    for ops in histories {
        for what in FAILURES {
            for at in 0.. {
                match fail_once(config, ops, at, what) {
                    Ok(true) => struck += 1,
                    Ok(false) => break,
                    Err(why) => {
                        return (
                            struck,
                            Some(format!("{ops:?}, {what:?} at operation {at}: {why}")),
                        );
                    }
                }
            }
        }
    }
    (struck, None)
}

const HISTORIES: [[Op; 2]; 6] = [
    [Op::Deliver, Op::Deliver],
    [Op::DeliverLarge, Op::Store],
    [Op::Append, Op::Snapshot],
    [Op::Move, Op::Rotate],
    [Op::Create, Op::Delete],
    [Op::Rotate, Op::Deliver],
];

#[test]
fn one_failing_operation_anywhere() {
    let (struck, violation) = fail_everywhere(&config(), &HISTORIES);
    println!("{struck} failures, no violation");
    assert_eq!(violation, None);
    assert!(struck > 500, "only {struck}");
}

/// Some of all pairs of operations; with the effort of a night all of them.
#[test]
fn one_failing_operation_anywhere_in_any_two() {
    let all = Op::ALL.len().pow(2);
    let step = (all / (10 * usize::try_from(effort()).unwrap())).max(1);
    let pair = |number: usize| [Op::ALL[number / Op::ALL.len()], Op::ALL[number % Op::ALL.len()]];
    let histories: Vec<_> = (0..all).step_by(step).map(pair).collect();
    let (struck, violation) = fail_everywhere(&config(), &histories);
    println!("every {step}th of {all} pairs, {struck} failures, no violation");
    assert_eq!(violation, None);
}

#[test]
fn the_files_of_a_mailbox_stay_when_its_deletion_is_lost() {
    let mut world = World::new(SimFs::new());
    world.run(Op::Rotate).unwrap();
    world.run(Op::Snapshot).unwrap();
    let before = world.view().unwrap();
    let when = When::Op(world.fs.ops());
    world.fs.inject(Fault { when, what: Failure::Io, lasting: false });
    assert!(world.run(Op::Delete).is_err());
    world.store.resume();
    reload(&mut world).unwrap();
    world.run(Op::Deliver).unwrap();
    // This is what removes what deleted mailboxes leave.
    world.run(Op::Snapshot).unwrap();
    let recovered = World::recover(world.fs.crashed(Variant::Everything), 9).unwrap();
    let after = recovered.view().unwrap();
    let others = |view: &View| -> Vec<_> {
        let mailboxes = view.mailboxes.iter().filter(|(name, _)| *name != "INBOX");
        mailboxes.map(|(name, mailbox)| (name.clone(), mailbox.messages.clone())).collect()
    };
    assert_eq!(others(&after), others(&before));
}

#[test]
fn planted_faults_of_the_disk_are_found() {
    for fault in Planted::FAULT {
        plant(Some(fault));
        let found = std::panic::catch_unwind(|| fail_everywhere(&config(), &HISTORIES).1.is_some())
            .unwrap_or(true);
        plant(None);
        assert!(found, "{fault:?} survives");
    }
}
