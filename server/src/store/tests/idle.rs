//! What nobody uses leaves memory, and comes back as it was.

use super::world::{Op, World, at_once};
use crate::store::idle::Gone;
use crate::store::imap::ImapUser;
use imap_proto::{Answer, Ask, MailboxName};
use runtime_smol::sim::SimFs;
use std::sync::Arc;

fn select(world: &World) -> (ImapUser, imap_proto::Selected) {
    let mut user = ImapUser::new(world.store.clone(), world.account.clone(), Arc::default());
    let ask = Ask::Select { mailbox: MailboxName::inbox(), examine: false };
    let Answer::Selected(selected) = at_once(user.ask(ask)) else { panic!("not selected") };
    (user, *selected)
}

fn let_go(world: &World) -> Gone {
    // The first call forgets that they were used.
    assert_eq!(world.store.let_go(), Gone::default());
    world.store.let_go()
}

#[test]
fn what_a_failed_sync_could_take_back_stays() {
    let world = World::new(SimFs::new());
    world.store.flush();
    assert_eq!(let_go(&world), Gone::default(), "no checkpoint has synced the files");
    world.store.checkpoint(u64::MAX).unwrap();
    let gone = Gone { mailboxes: 2, accounts: 0 };
    assert_eq!(world.store.let_go(), gone, "nobody has used them meanwhile; the account is held");
}

#[test]
fn a_selected_mailbox_stays_and_an_account_in_use() {
    let world = World::new(SimFs::new());
    let (mut user, before) = select(&world);
    world.store.checkpoint(u64::MAX).unwrap();
    assert_eq!(let_go(&world), Gone { mailboxes: 1, accounts: 0 }, "the one that is not selected");
    at_once(user.ask(Ask::Unselect));
    assert_eq!(world.store.let_go(), Gone { mailboxes: 1, accounts: 0 });
    let (_, after) = select(&world);
    assert_eq!((after.uids, after.uidnext), (before.uids, before.uidnext));
    assert!(!before.recent.is_empty() && after.recent.is_empty(), "they were told of once");
}

#[test]
fn an_account_that_nobody_has_goes_and_comes_back_as_it_was() {
    let mut world = World::new(SimFs::new());
    let view = world.view().unwrap();
    world.run(Op::LetGo).unwrap();
    assert_eq!(world.view().unwrap(), view);
    world.run(Op::Deliver).unwrap();
    let one_more = world.view().unwrap();
    assert_eq!(one_more.mailboxes["INBOX"].uidnext, view.mailboxes["INBOX"].uidnext + 1);
    let found = world.store.account_in_memory("u1");
    assert!(found.is_some_and(|found| Arc::ptr_eq(&found, &world.account)));
}

#[test]
fn an_account_that_was_asked_for_lately_stays() {
    let world = World::new(SimFs::new());
    let World { store, account, .. } = world;
    store.checkpoint(u64::MAX).unwrap();
    drop(account);
    assert_eq!((store.let_go().accounts, store.let_go().accounts), (0, 1));
    assert!(store.account_in_memory("u1").is_none());
    drop(store.account("u1").unwrap());
    assert_eq!(store.let_go(), Gone::default());
    assert!(store.account_in_memory("u1").is_some());
    assert_eq!(store.let_go(), Gone::default());
    assert_eq!(store.let_go(), Gone { mailboxes: 0, accounts: 1 });
}
