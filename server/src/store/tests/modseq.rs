//! Mod-sequences: nothing is told of one before it is durable, and what a reply told is what stays.

use super::world::{Op, World, at_once};
use crate::store::imap::ImapUser;
use imap_proto::{
    Answer, Ask, Flags, MailboxName, ModSeq, StatusItems, StoreAction, Stored, StoredRows,
    SystemFlags, Uid, UidSet,
};
use runtime_smol::sim::SimFs;
use std::sync::Arc;

/// An answer, and the position that it waits for.
fn ask(user: &mut ImapUser, ask: Ask) -> (Answer, u64) {
    let answer = at_once(user.ask(ask));
    let own = if let Answer::Stored(stored) = &answer { stored.position.0 } else { 0 };
    (answer, own.max(user.take_position()))
}

fn select(user: &mut ImapUser) -> (ModSeq, UidSet, u64) {
    let (answer, position) =
        ask(user, Ask::Select { mailbox: MailboxName::inbox(), examine: false });
    let Answer::Selected(selected) = answer else { panic!("{answer:?}") };
    (selected.highest_modseq, selected.uids, position)
}

fn store(
    user: &mut ImapUser,
    uids: &UidSet,
    rows: StoredRows,
    since: Option<u64>,
) -> (Stored, u64) {
    let flags = Flags { system: SystemFlags::ANSWERED, keywords: Vec::new() };
    let (uids, unchanged_since) = (uids.clone(), since.map(ModSeq));
    let (answer, position) =
        ask(user, Ask::Store { uids, action: StoreAction::Add, flags, rows, unchanged_since });
    let Answer::Stored(stored) = answer else { panic!("{answer:?}") };
    (stored, position)
}

#[test]
fn what_is_told_of_mod_sequences_waits_until_it_is_durable() {
    let mut world = World::new(SimFs::new());
    let mut user = ImapUser::new(world.store.clone(), world.account.clone(), Arc::default());
    let (before, uids, position) = select(&mut user);
    assert_eq!(position, 0, "all of it is durable");
    // Another session's change is under way.
    let change = world.assign(Op::Deliver).unwrap();
    assert!(world.store.durable() < change);
    let (highest, _, position) = select(&mut user);
    assert!(highest > before && position == change);
    let items = StatusItems::HIGHESTMODSEQ;
    let (answer, position) = ask(&mut user, Ask::Status { mailbox: MailboxName::inbox(), items });
    let Answer::Status(status) = answer else { panic!("{answer:?}") };
    assert!(status.highest_modseq == highest && position == change);
    let all = UidSet::range(Uid(1), Uid(u32::MAX));
    let (answer, position) = ask(&mut user, Ask::ChangedSince { uids: all, modseq: before });
    let Answer::Found { uids: found, modseqs } = answer else { panic!("{answer:?}") };
    assert!(found.len() == 1 && modseqs.highest == highest && position == change);
    // The row of a message that this command doesn't change, and why another was left alone.
    let first = UidSet::range(uids.first().unwrap(), uids.first().unwrap());
    let (own, change) = store(&mut user, &first, StoredRows::All, None);
    assert_eq!(own.changed, first);
    let (again, position) = store(&mut user, &first, StoredRows::None, None);
    assert!(again.changed.is_empty() && position == change, "that it is so is not durable yet");
    let (failed, position) = store(&mut user, &first, StoredRows::None, Some(before.0));
    assert!(failed.modified == first && position == change);
    world.commit(change).unwrap();
    let (_, _, position) = select(&mut user);
    assert_eq!(position, 0);
}

#[test]
fn a_reply_tells_the_mod_sequence_that_stays() {
    let world = World::new(SimFs::new());
    let mut user = ImapUser::new(world.store.clone(), world.account.clone(), Arc::default());
    let (before, uids, _) = select(&mut user);
    let (stored, _) = store(&mut user, &uids, StoredRows::Changed, Some(before.0));
    assert_eq!(stored.changed, uids);
    let rows: Vec<u64> = stored.rows.iter().map(|row| row.modseq.0).collect();
    let (highest, _, _) = select(&mut user);
    assert!(rows.len() as u64 == uids.len() && rows.iter().all(|modseq| *modseq == highest.0));
    let (stored, _) = store(&mut user, &uids, StoredRows::Changed, None);
    assert!(stored.rows.is_empty(), "nothing changed, nothing is told");
    // Gone ones are named, whether or not the rest could be changed.
    let more = uids.union(&UidSet::range(Uid(900), Uid(901)));
    let (stored, _) = store(&mut user, &more, StoredRows::All, Some(before.0));
    assert_eq!((stored.gone.len(), &stored.modified), (2, &uids));
    assert_eq!(stored.rows.len() as u64, uids.len());
}
