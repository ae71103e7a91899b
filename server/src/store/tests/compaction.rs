//! The room of expunged mail is given back, whenever a crash comes; what somebody still reads stays.

use super::crashes::crash_everywhere;
use super::faults::fail_everywhere;
use super::world::{Op, World, at_once, config};
use crate::store::compact::{Compacted, Wanted};
use crate::store::imap::ImapUser;
use crate::store::message::Message;
use crate::store::planted::{Planted, plant};
use dbox_format::map::MapId;
use imap_proto::{Answer, Ask, MailboxName};
use runtime_smol::fs::Fs;
use runtime_smol::sim::{SimFs, Variant};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Containers of the account, with their lengths.
fn containers(fs: &SimFs) -> Vec<(PathBuf, u64)> {
    let files = fs.files().into_iter().filter(|path| path.to_string_lossy().contains("/storage/"));
    files.map(|path| (path.clone(), fs.metadata(&path).unwrap().unwrap().len)).collect()
}

/// All that can be had, as far as one pass gets.
fn compact(world: &World) -> Compacted {
    let sum = world.store.purge("u1", false).unwrap();
    world.store.checkpoint(u64::MAX).unwrap();
    sum
}

const HISTORIES: [[Op; 5]; 4] = [
    [Op::Delete, Op::Expunge, Op::Compact, Op::Deliver, Op::Snapshot],
    // Behind a checkpoint, with the journal gone, nothing but the containers has the messages.
    [Op::Delete, Op::Expunge, Op::Rotate, Op::Snapshot, Op::Compact],
    [Op::Expunge, Op::Compact, Op::Delete, Op::Rotate, Op::Compact],
    [Op::DeliverLarge, Op::Delete, Op::Compact, Op::Append, Op::Compact],
];

#[test]
fn a_crash_anywhere_in_a_compaction() {
    let mut crashes = 0;
    for ops in HISTORIES {
        let (count, violation) = crash_everywhere(&ops, 20);
        crashes += count;
        assert_eq!(violation, None);
    }
    println!("{crashes} crashes, no violation");
    // What many rounds leave behind, and a crash in the last of them.
    let long =
        [Op::Deliver, Op::Store, Op::Expunge, Op::Compact, Op::Append, Op::Delete, Op::Compact];
    assert_eq!(crash_everywhere(&long, 10).1, None);
}

#[test]
fn planted_faults_of_compaction_are_found() {
    for fault in [Planted::DropBeforeCheckpoint, Planted::LargeBodyNotSynced] {
        plant(Some(fault));
        let found = HISTORIES.iter().any(|ops| {
            std::panic::catch_unwind(|| crash_everywhere(ops, 10).1.is_some()).unwrap_or(true)
        });
        plant(None);
        assert!(found, "{fault:?} survives");
    }
}

#[test]
fn one_failing_operation_anywhere_in_a_compaction() {
    let (struck, violation) = fail_everywhere(&config(), &HISTORIES[..2]);
    assert_eq!(violation, None);
    assert!(struck > 200, "only {struck}");
}

#[test]
fn nine_of_ten_messages_go_and_with_them_their_room() {
    let mut world = World::new(SimFs::new());
    for _ in 0..100 {
        world.run(Op::Deliver).unwrap();
    }
    world.run(Op::Delete).unwrap();
    // Every other STORE flags the first as deleted, so that one goes each time.
    for _ in 0..90 {
        world.run(Op::Store).unwrap();
        world.run(Op::Store).unwrap();
        world.run(Op::Expunge).unwrap();
    }
    let view = world.view().unwrap();
    let left = view.mailboxes["INBOX"].messages.len();
    assert!(left < 20, "{left}");
    let before: u64 = containers(&world.fs).iter().map(|(_, len)| len).sum();
    let done = compact(&world);
    let after: u64 = containers(&world.fs).iter().map(|(_, len)| len).sum();
    assert_eq!(world.view().unwrap(), view);
    assert!(done.freed > 0 && done.moved > 0, "{done:?}");
    // Each record is some 190 bytes, each container has a header of 64.
    assert!(after <= 220 * left as u64 + 64 * 4 && after * 5 < before, "{before} to {after}");
    let again = compact(&world);
    assert_eq!(again, Compacted::default(), "there is nothing left to do");
    let recovered = World::recover(world.fs.crashed(Variant::Nothing), 5).unwrap();
    assert_eq!(recovered.view().unwrap(), view);
}

#[test]
fn unasked_it_waits_until_it_is_worth_it() {
    let mut world = World::new(SimFs::new());
    world.run(Op::Delete).unwrap();
    world.run(Op::Expunge).unwrap();
    let step = world.store.compact_step(&world.account, Wanted::Cheap, &mut |_| true).unwrap();
    assert_eq!(step, None);
}

#[test]
fn what_a_session_has_in_view_stays() {
    let mut world = World::new(SimFs::new());
    world.run(Op::Delete).unwrap();
    let mut user = ImapUser::new(world.store.clone(), world.account.clone(), Arc::default());
    let ask = Ask::Select { mailbox: MailboxName::inbox(), examine: false };
    assert!(matches!(at_once(user.ask(ask)), Answer::Selected(_)));
    let id = {
        let state = world.account.lock().unwrap();
        let mbox = state.mailboxes.values().find(|mbox| !mbox.uids.is_empty()).unwrap();
        MapId(mbox.mailbox.row(0).unwrap().map_id.0)
    };
    world.run(Op::Expunge).unwrap();
    compact(&world);
    let find = || {
        let state = world.account.lock().unwrap();
        Message::find(&world.account, &state, &world.account.pending(), id)
    };
    assert!(find().is_some(), "the session has not been told");
    at_once(user.ask(Ask::Unselect));
    compact(&world);
    assert!(find().is_none());
}

#[test]
fn what_is_being_read_stays_where_it_was_found() {
    let mut world = World::new(SimFs::new());
    world.run(Op::Delete).unwrap();
    world.store.flush();
    let (expected, reading) = {
        let state = world.account.lock().unwrap();
        let mbox = state.mailboxes.values().find(|mbox| !mbox.uids.is_empty()).unwrap();
        let id = MapId(mbox.mailbox.row(1).unwrap().map_id.0);
        let found = Message::find(&world.account, &state, &world.account.pending(), id).unwrap();
        let mut text = Vec::new();
        found.read_whole(&world.store, true, &mut text).unwrap();
        (text, found)
    };
    let before = containers(&world.fs);
    world.run(Op::Expunge).unwrap();
    assert!(compact(&world).moved > 0);
    for _ in 0..2 {
        let mut text = Vec::new();
        reading.read_whole(&world.store, true, &mut text).unwrap();
        assert_eq!(text, expected);
        // Another compaction doesn't take it away either.
        world.run(Op::Deliver).unwrap();
        world.run(Op::Store).unwrap();
        world.run(Op::Store).unwrap();
        world.run(Op::Expunge).unwrap();
        compact(&world);
    }
    let there = |path: &Path| containers(&world.fs).iter().any(|(known, _)| known == path);
    assert!(before.iter().any(|(path, _)| there(path)));
    drop(reading);
    world.store.checkpoint(u64::MAX).unwrap();
    assert!(!before.iter().any(|(path, _)| there(path)));
}

#[test]
fn a_damaged_message_stays_and_the_others_move() {
    let mut world = World::new(SimFs::new());
    world.run(Op::Deliver).unwrap();
    world.run(Op::Delete).unwrap();
    world.run(Op::Expunge).unwrap();
    world.store.flush();
    world.store.checkpoint(u64::MAX).unwrap();
    let (path, len) = containers(&world.fs).swap_remove(0);
    let damage = |bytes: &mut Vec<u8>| {
        let end = bytes.len() - 30;
        bytes[end] ^= 1;
    };
    world.fs.corrupt(&path, damage).unwrap();
    let done = compact(&world);
    assert!(done.moved > 0 && done.freed == 0, "{done:?}");
    assert!(containers(&world.fs).contains(&(path, len)), "the damaged message is still there");
    assert!(world.view().unwrap_err().to_string().contains("damaged"));
    assert_eq!(compact(&world), Compacted::default());
}
