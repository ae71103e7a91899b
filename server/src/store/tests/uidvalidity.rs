//! UIDVALIDITY under a name that several mailboxes have one after the other (RFC 9051 §2.3.1.1, row 61).

use super::world::{World, at_once};
use crate::store::imap::ImapUser;
use imap_proto::fetch::{FetchItems, Fixed};
use imap_proto::{
    Answer, Ask, FetchAsk, MailboxName, Run, Seq, StatusItems, Uid, UidSet, UidValidity,
};
use index_format::list::SpecialUse;
use runtime_smol::sim::{SimFs, Variant};
use std::sync::Arc;

fn user(world: &World) -> ImapUser {
    ImapUser::new(world.store.clone(), world.account.clone(), Arc::default())
}

fn name(name: &str) -> MailboxName {
    MailboxName::new(name).unwrap()
}

/// What SELECT says, or STATUS, which may not open a file.
fn selected(user: &mut ImapUser, mailbox: &str) -> UidValidity {
    let items = StatusItems::UIDVALIDITY;
    let Answer::Status(status) = at_once(user.ask(Ask::Status { mailbox: name(mailbox), items }))
    else {
        panic!("no STATUS of {mailbox}")
    };
    let answer = at_once(user.ask(Ask::Select { mailbox: name(mailbox), examine: false }));
    let Answer::Selected(selected) = answer else { panic!("{answer:?}") };
    assert_eq!(selected.uidvalidity, status.uidvalidity);
    selected.uidvalidity
}

/// A mailbox with mail, older than one that had the name `used` and is gone.
fn history(fs: SimFs) -> (World, String, u32) {
    let world = World::new(fs);
    let old = world.view().unwrap().mailboxes.into_keys().find(|name| name != "INBOX").unwrap();
    let (_, position) = world.store.create(&world.account, "used", SpecialUse::NONE).unwrap();
    world.commit(position).unwrap();
    let before = world.view().unwrap().mailboxes["used"].uidvalidity;
    assert!(before > world.view().unwrap().mailboxes[&old].uidvalidity);
    let position = world.store.delete(&world.account, "used").unwrap();
    world.commit(position).unwrap();
    (world, old, before)
}

#[test]
fn row_61_a_crash_around_a_rename_onto_a_used_name() {
    let fs = SimFs::new();
    fs.keep_history();
    let (world, old, before) = history(fs);
    let start = world.fs.ops();
    let mails = world.view().unwrap().mailboxes[&old].clone();
    let position = world.store.rename(&world.account, &old, "used").unwrap();
    world.commit(position).unwrap();
    let acknowledged = world.fs.ops();
    // What is in memory, then what lists and snapshots say of it.
    let expected = world.view().unwrap().mailboxes["used"].clone();
    assert!(expected.uidvalidity > before && expected.messages == mails.messages);
    world.store.checkpoint(0).unwrap();
    let position = world.store.rename(&world.account, "used", "unused").unwrap();
    world.commit(position).unwrap();
    assert_eq!(world.view().unwrap().mailboxes["unused"], expected);

    let mut seen = [0; 3];
    for at in world.fs.crash_points().into_iter().filter(|&at| at >= start) {
        for variant in Variant::sample(3, at) {
            let Some(image) = world.fs.crashed_at(at, variant) else { continue };
            let world = World::recover(image, 7).unwrap();
            let view = world.view().unwrap();
            let what = if let Some(found) = view.mailboxes.get("unused") {
                assert_eq!(*found, expected);
                2
            } else if let Some(found) = view.mailboxes.get("used") {
                assert_eq!(*found, expected);
                1
            } else {
                assert_eq!(view.mailboxes[&old], mails);
                assert!(at <= acknowledged, "an acknowledged rename is gone");
                0
            };
            seen[what] += 1;
            // Nothing that comes later gets a UIDVALIDITY that was told.
            let (_, position) =
                world.store.create(&world.account, "later", SpecialUse::NONE).unwrap();
            world.commit(position).unwrap();
            let later = world.view().unwrap().mailboxes["later"].uidvalidity;
            assert!(later > before && (what == 0 || later > expected.uidvalidity));
        }
    }
    assert!(seen.iter().all(|&seen| seen > 0), "{seen:?}");
}

#[test]
fn row_61_a_session_that_has_the_mailbox_goes_on_and_others_are_told_the_new_uidvalidity() {
    let (world, old, before) = history(SimFs::new());
    let (mut inside, mut outside) = (user(&world), user(&world));
    let was = selected(&mut inside, &old);
    let at = world.store.rename(&world.account, &old, "used").unwrap();
    world.commit(at).unwrap();
    let now = selected(&mut outside, "used");
    assert!(now.0 > before && was.0 < before);
    let items = Arc::new(FetchItems { fixed: Fixed::UID, ..FetchItems::default() });
    let fetch = Ask::Fetch(FetchAsk {
        runs: vec![Run { seq: Seq(1), uid: Uid(1), count: 1 }],
        items: items.clone(),
        also_flags: UidSet::new(),
        seen_items: items,
        budget: 1000,
        by_uid: true,
        recent: Arc::default(),
    });
    let answer = at_once(inside.ask(fetch));
    assert!(matches!(answer, Answer::Rows { .. }), "{answer:?}");
    // The session knows its messages by the name and UIDVALIDITY it was told, under which there is no other mailbox.
    let answer = at_once(inside.ask(Ask::Select { mailbox: name(&old), examine: false }));
    assert!(matches!(answer, Answer::No { .. }));
    let (_, position) = world.store.create(&world.account, &old, SpecialUse::NONE).unwrap();
    world.commit(position).unwrap();
    assert!(selected(&mut outside, &old).0 > now.0);

    // Read again from its files.
    let World { fs, store, account, .. } = world;
    drop((inside, outside, account));
    store.checkpoint(0).unwrap();
    drop(store);
    let world = World::recover(fs.crashed(Variant::Everything), 9).unwrap();
    assert_eq!(selected(&mut user(&world), "used"), now);
}
