//! A crash at every operation of the disk, for all short sequences of what a store does.

use super::world::{Op, View, World, config};
use crate::store::config::StoreConfig;
use crate::store::planted::{Planted, plant};
use runtime_smol::sim::{SimFs, Variant};
use std::collections::BTreeMap;

/// What was seen at a point of a history.
pub(super) struct Point {
    /// Disk operations done when it was acknowledged; `None` if it never was.
    pub(super) acknowledged: Option<u64>,
    pub(super) view: View,
}

/// Runs `ops`; the states after each, the first being the one before all of them.
pub(super) fn history(ops: &[Op], config: StoreConfig) -> (World, Vec<Point>) {
    let fs = SimFs::new();
    fs.keep_history();
    let mut world = World::with(fs, config);
    world.store.sync_deferred().unwrap();
    let mut points =
        vec![Point { acknowledged: Some(world.fs.ops()), view: world.view().unwrap() }];
    for &op in ops {
        let result = world.run(op);
        let acknowledged = result.is_ok().then(|| world.fs.ops());
        points.push(Point { acknowledged, view: world.view().unwrap() });
    }
    (world, points)
}

/// Crashes everywhere, `variants` times each; the first violation, and how many crashes there were.
pub(super) fn crash_everywhere(ops: &[Op], variants: usize) -> (u64, Option<String>) {
    let (crashes, violation, _) = crash_everywhere_with(&config(), ops, variants);
    (crashes, violation)
}

/// The same with these settings; and what the disk had at the end.
pub(super) fn crash_everywhere_with(
    config: &StoreConfig,
    ops: &[Op],
    variants: usize,
) -> (u64, Option<String>, SimFs) {
    let (world, points) = history(ops, config.clone());
    let start = points[0].acknowledged.unwrap();
    let mut crashes = 0;
    for at in world.fs.crash_points().into_iter().filter(|&at| at >= start).chain([world.fs.ops()])
    {
        for variant in Variant::sample(variants, at) {
            let image = if at == world.fs.ops() {
                Some(world.fs.crashed(variant))
            } else {
                world.fs.crashed_at(at, variant)
            };
            let Some(image) = image else { continue };
            crashes += 1;
            let acknowledged =
                points.iter().rposition(|point| point.acknowledged.is_some_and(|done| done <= at));
            let allowed = &points[acknowledged.unwrap_or(0)..];
            if let Err(why) = check(image, config.clone(), allowed, &allowed[0].view) {
                let what = format!("{ops:?}, crash at operation {at}, {variant:?}: {why}");
                return (crashes, Some(what), world.fs);
            }
        }
    }
    (crashes, None, world.fs)
}

/// Recovers and compares with the states that are allowed. What was told is `told`, which may be a later state where the
/// settings let changes be told before they are synced.
pub(super) fn check(
    image: SimFs,
    config: StoreConfig,
    allowed: &[Point],
    told: &View,
) -> Result<(), String> {
    let kept = if config.sync_commits { Variant::Nothing } else { Variant::Everything };
    let mut world = World::recover_with(image, 7, config.clone())
        .map_err(|error| format!("recovery: {error}"))?;
    let view = world.view().map_err(|error| format!("reading: {error}"))?;
    if !allowed.iter().any(|point| same(&point.view, &view)) {
        return Err(format!(
            "found {view:#?}\nexpected one of {:#?}",
            allowed.iter().map(|p| &p.view).collect::<Vec<_>>()
        ));
    }
    // Life goes on: a new message gets a UID above all that anybody was told, and is there after a stop.
    let shown = uidnexts(&allowed[0].view);
    world.run(Op::Deliver).map_err(|error| format!("delivering after recovery: {error}"))?;
    let after = world.view().map_err(|error| format!("reading after delivery: {error}"))?;
    let inbox = &after.mailboxes["INBOX"];
    let newest = *inbox.messages.keys().last().unwrap();
    if shown.get(&("INBOX".to_owned(), inbox.uidvalidity)).is_some_and(|next| newest < *next) {
        return Err(format!("UID {newest} was given although UIDNEXT had been {shown:?}"));
    }
    // RFC 7162 §3.1: and a mod-sequence above all that anybody was told.
    let told = told.mailboxes.get("INBOX").map_or(0, |inbox| inbox.highest_modseq);
    let given = inbox.messages[&newest].modseq;
    if given <= told || given != inbox.highest_modseq {
        return Err(format!("mod-sequence {given} was given although {told} had been told"));
    }
    world.store.flush();
    let again = World::recover_with(world.fs.crashed(kept), 8, config)
        .map_err(|error| format!("second recovery: {error}"))?;
    let view =
        again.view().map_err(|error| format!("reading after the second recovery: {error}"))?;
    if !same(&view, &after) {
        return Err(format!("second recovery found {view:#?}\nexpected {after:#?}"));
    }
    Ok(())
}

/// Equal but for UIDNEXT and HIGHESTMODSEQ, which may be higher after a crash.
fn same(expected: &View, found: &View) -> bool {
    expected.mailboxes.len() == found.mailboxes.len()
        && expected.mailboxes.iter().zip(&found.mailboxes).all(
            |((name, expected), (other, found))| {
                name == other
                    && expected.uidvalidity == found.uidvalidity
                    && expected.messages == found.messages
                    && expected.uidnext <= found.uidnext
                    && expected.highest_modseq <= found.highest_modseq
            },
        )
}

fn uidnexts(view: &View) -> BTreeMap<(String, u32), u32> {
    let mailboxes = view.mailboxes.iter();
    mailboxes
        .map(|(name, mailbox)| ((name.clone(), mailbox.uidvalidity), mailbox.uidnext))
        .collect()
}

#[test]
fn a_crash_anywhere_in_one_operation() {
    let mut crashes = 0;
    for op in Op::ALL {
        let (count, violation) = crash_everywhere(&[op], 20);
        crashes += count;
        assert_eq!(violation, None);
    }
    println!("{crashes} crashes, no violation");
}

#[test]
fn a_crash_anywhere_in_two_operations() {
    let mut crashes = 0;
    for first in Op::ALL {
        for second in Op::ALL {
            let (count, violation) = crash_everywhere(&[first, second], 20);
            crashes += count;
            assert_eq!(violation, None);
        }
    }
    println!("{crashes} crashes, no violation");
}

/// Overlays that are written, replaced by the next, and passed over for a whole snapshot; and what follows them.
#[test]
fn a_crash_anywhere_around_overlays() {
    use Op::{Append, Copy, Deliver, Expunge, Move, Snapshot, Store};
    let (mut crashes, mut replaced) = (0, 0);
    for op in [Append, Copy, Deliver, Expunge, Move, Store] {
        let long = [Snapshot, op, Snapshot, Append, Append, Deliver, Append, Append, Snapshot, op];
        for (overlay_percent, ops) in
            [(1000, &[Snapshot, op, Snapshot, Store, Snapshot, op][..]), (120, &long[..])]
        {
            let config = StoreConfig { overlay_percent, ..config() };
            let (count, violation, fs) = crash_everywhere_with(&config, ops, 8);
            crashes += count;
            assert_eq!(violation, None);
            let there = |name| fs.files().iter().any(|path| path.ends_with(name));
            assert!(there("index.delta"), "no overlay after {ops:?}");
            replaced += u32::from(there("index.prev"));
        }
    }
    println!("{crashes} crashes, no violation");
    assert!(replaced >= 3, "{replaced} times a whole snapshot came after an overlay");
}

/// Whether any short history shows the planted fault.
fn found_by_crashes(fault: Planted) -> bool {
    plant(Some(fault));
    let mut found = false;
    'all: for first in Op::ALL {
        for second in Op::ALL {
            let result =
                std::panic::catch_unwind(|| crash_everywhere(&[first, second], 10).1.is_some());
            if result.unwrap_or(true) {
                found = true;
                break 'all;
            }
        }
    }
    plant(None);
    found
}

#[test]
fn planted_faults_are_found() {
    let mut found = Vec::new();
    let mut survivors = Vec::new();
    for fault in Planted::CRASH {
        if found_by_crashes(fault) { found.push(fault) } else { survivors.push(fault) }
    }
    println!("found {}: {found:?}\nsurvived {}: {survivors:?}", found.len(), survivors.len());
    // The faults of the disk have a test of their own, which finds all of them.
    let (found, all) =
        (found.len() + Planted::FAULT.len(), Planted::CRASH.len() + Planted::FAULT.len());
    assert!(found * 4 >= all * 3, "survivors: {survivors:?}");
}
