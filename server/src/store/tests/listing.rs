//! What is asked of the list of mailboxes opens none of them.

use super::world::{at_once, config, open_with};
use crate::store::config::StoreConfig;
use crate::store::delivery::Target;
use crate::store::imap::ImapUser;
use imap_proto::{Answer, Ask, MailboxName, Status, StatusItems};
use index_format::list::SpecialUse;
use runtime_smol::sim::{SimFs, Variant};
use std::sync::Arc;

const MAILBOXES: u32 = 10_000;

fn name(number: u32) -> MailboxName {
    MailboxName::new(&format!("tree/x{number:05}")).unwrap()
}

fn status(user: &mut ImapUser, mailbox: MailboxName) -> Status {
    let items = StatusItems::MESSAGES;
    let answer = at_once(user.ask(Ask::Status { mailbox, items }));
    let Answer::Status(status) = answer else { panic!("{answer:?}") };
    status
}

/// LIST, LSUB, STATUS and LIST-STATUS over 10,000 mailboxes, after a start: what they say is in the list, counters too. And
/// RENAME of the tree is one transaction, however large the tree.
#[test]
fn mailboxes_by_the_thousand_are_listed_and_renamed_without_opening_one() {
    let fs = SimFs::new();
    let config = StoreConfig {
        snapshot_after: 1 << 20,
        log_size: 1 << 20,
        segment_size: 1 << 20,
        ..config()
    };
    let store = open_with(&fs, 1, config.clone()).unwrap();
    let account = store.account("u1").unwrap();
    for number in 0..MAILBOXES {
        store.create(&account, name(number).as_str(), SpecialUse::NONE).unwrap();
    }
    for number in [0, 7, 7, MAILBOXES - 1] {
        let mailbox = name(number).as_str().to_owned();
        let target = Target { account: account.clone(), mailbox, prefix: Vec::new() };
        let mut delivery = store.deliver(vec![target]).unwrap();
        delivery.write(b"Subject: x\r\n\r\n").unwrap();
        assert!(delivery.commit().results.iter().all(Result::is_ok));
    }
    store.subscribe(&account, name(7).as_str(), true).unwrap();
    store.flush();
    store.checkpoint(u64::MAX).unwrap();
    drop((store, account));
    // A crash, and a start that has nothing to replay.
    let fs = fs.crashed(Variant::Everything);
    let store = open_with(&fs, 2, config.clone()).unwrap();
    store.account("u1").unwrap();
    store.checkpoint(u64::MAX).unwrap();
    drop(store);

    let fs = fs.crashed(Variant::Everything);
    let store = open_with(&fs, 3, config).unwrap();
    let account = store.account("u1").unwrap();
    let before = fs.trace().len();
    let mut user = ImapUser::new(store.clone(), account.clone(), Arc::default());
    let Answer::Names(names) = at_once(user.ask(Ask::Names)) else { panic!("no names") };
    assert_eq!(names.len(), MAILBOXES as usize + 1);
    assert_eq!(names.iter().filter(|entry| entry.subscribed).count(), 2);
    let counts: Vec<u32> =
        names.iter().map(|entry| status(&mut user, entry.name.clone()).messages).collect();
    assert_eq!(counts.iter().sum::<u32>(), 4);
    assert_eq!(status(&mut user, name(7)).messages, 2);
    let touched: Vec<_> = fs.trace().split_off(before);
    assert!(touched.is_empty(), "{touched:?}");
    assert_eq!(account.lock().unwrap().mailboxes.len(), 0);

    let transactions = account.lock().unwrap().list.transactions();
    store.rename(&account, "tree", "wood").unwrap();
    assert_eq!(account.lock().unwrap().list.transactions(), transactions + 1);
    store.flush();
    let renamed = MailboxName::new("wood/x00007").unwrap();
    assert_eq!(status(&mut user, renamed).messages, 2);
    let opened: Vec<_> = fs
        .trace()
        .split_off(before)
        .into_iter()
        .filter(|op| format!("{op:?}").contains("mailboxes"))
        .collect();
    assert!(opened.is_empty(), "{opened:?}");
    // Levels that are too long together are refused before anything is moved.
    let long = ["y"; 4].map(|level| level.repeat(249)).join("/");
    let refused = store.rename(&account, "wood", &long).unwrap_err().to_string();
    assert!(refused.contains("too long"), "{refused}");
    store.create(&account, "tree/x00009", SpecialUse::NONE).unwrap();
    assert!(store.rename(&account, "wood", "tree").is_err(), "one of the names is taken");
}
