//! What is refused: told no sooner than what it was refused for is durable, and nothing of it is left.

use super::world::{Op, World, at_once};
use crate::store::error::StoreError;
use crate::store::imap::ImapUser;
use crate::store::mailbox::directory;
use imap_proto::fetch::{FetchItems, Fixed};
use imap_proto::search::{Key, Limits, Program};
use imap_proto::{
    Answer, Ask, Code, Cursor, FetchAsk, Flags, Keyword, MailboxName, Run, Seq, StatusItems,
    SystemFlags, Uid, UidSet,
};
use index_format::list::SpecialUse;
use runtime_smol::sim::{Failure, Fault, OpKind, SimFs, Variant, When};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn user(world: &World) -> ImapUser {
    ImapUser::new(world.store.clone(), world.account.clone(), Arc::default())
}

/// The code of a refusal, and the position it waits for.
fn refused(user: &mut ImapUser, ask: Ask) -> (Option<Code>, u64) {
    let answer = at_once(user.ask(ask));
    let Answer::No { code, .. } = answer else { panic!("{answer:?}") };
    (code, user.take_position())
}

fn names(world: &World) -> Vec<String> {
    world.account.lock().unwrap().list.iter().map(|entry| entry.name.to_string()).collect()
}

fn name(name: &str) -> MailboxName {
    MailboxName::new(name).unwrap()
}

fn select(user: &mut ImapUser, mailbox: &str) -> (UidSet, Cursor) {
    let answer = at_once(user.ask(Ask::Select { mailbox: name(mailbox), examine: false }));
    let Answer::Selected(selected) = answer else { panic!("{answer:?}") };
    (selected.uids, selected.cursor)
}

#[test]
fn a_refusal_waits_for_the_change_it_is_due_to() {
    let world = World::new(SimFs::new());
    let (mut user, mut other) = (user(&world), user(&world));
    let (_, created) = world.store.create(&world.account, "New", SpecialUse::NONE).unwrap();
    let create = || Ask::Create { mailbox: name("New"), special_use: Vec::new() };
    assert_eq!(refused(&mut user, create()), (Some(Code::AlreadyExists), created));
    world.commit(created).unwrap();
    assert_eq!(refused(&mut user, create()), (Some(Code::AlreadyExists), 0), "it is durable");

    let append = |mailbox: &str, first| Ask::AppendOpen {
        mailbox: name(mailbox),
        flags: Flags::default(),
        date: None,
        size: 2,
        binary: false,
        first,
    };
    let (_, cursor) = select(&mut user, "New");
    assert!(matches!(at_once(other.ask(append("New", true))), Answer::Proceed));
    other.body(b"\r\n");
    let deleted = world.store.delete(&world.account, "New").unwrap();
    let gone = |code| (Some(code), deleted);
    let items = StatusItems::UIDNEXT;
    let status = Ask::Status { mailbox: name("New"), items };
    assert_eq!(refused(&mut user, status), gone(Code::NonExistent));
    let select = Ask::Select { mailbox: name("New"), examine: false };
    assert_eq!(refused(&mut other, select), gone(Code::NonExistent));
    assert_eq!(refused(&mut other, Ask::AppendCommit), gone(Code::TryCreate));
    assert_eq!(refused(&mut other, append("New", true)), gone(Code::TryCreate));
    let items = FetchItems { fixed: Fixed::UID | Fixed::ENVELOPE, sections: Vec::new() };
    let items = Arc::new(items);
    let fetch = Ask::Fetch(FetchAsk {
        runs: vec![Run { seq: Seq(1), uid: Uid(1), count: 1 }],
        items: items.clone(),
        also_flags: UidSet::new(),
        seen_items: items,
        budget: 1000,
        by_uid: true,
        recent: Arc::default(),
    });
    assert_eq!(refused(&mut user, fetch), gone(Code::NonExistent));
    for key in [Key::All, Key::Body(b"x".to_vec())] {
        let program = Arc::new(Program::compile(&key, Limits::default()).unwrap());
        assert_eq!(refused(&mut user, Ask::Search { program }), gone(Code::NonExistent));
    }
    let changes = at_once(user.ask(Ask::Changes { cursor, may_shrink: true }));
    let Answer::Changes(changes) = changes else { panic!("{changes:?}") };
    assert!(changes.vanished && changes.position.0.max(user.take_position()) == deleted);
}

#[test]
fn that_messages_are_gone_is_not_told_before_they_are() {
    let mut world = World::new(SimFs::new());
    let mut user = user(&world);
    let (uids, _) = select(&mut user, "INBOX");
    world.run(Op::Store).unwrap();
    let before = uids.len();
    let expunged = world.assign(Op::Expunge).unwrap();
    let (left, _) = select(&mut self::user(&world), "INBOX");
    let gone = uids.subtract(&left);
    assert!(!gone.is_empty() && left.len() < before);
    let copy =
        |exact| Ask::Copy { uids: gone.clone(), mailbox: name("INBOX"), moving: false, exact };
    assert_eq!(refused(&mut user, copy(true)), (Some(Code::ExpungeIssued), expunged));
    let answer = at_once(user.ask(copy(false)));
    let Answer::Copied { from, position, .. } = answer else { panic!("{answer:?}") };
    assert!(from.is_empty() && position.0 == expunged);
}

#[test]
fn a_rename_of_inbox_that_is_refused_leaves_nothing() {
    let world = World::new(SimFs::new());
    world.store.checkpoint(0).unwrap();
    let guid = world.account.lock().unwrap().list.by_name("INBOX").unwrap().guid;
    let inbox = directory(world.account.dir(), guid);
    // The second start has no journal to replay, so no mailbox is loaded by it.
    let world = World::recover(world.fs.crashed(Variant::Everything), 2).unwrap();
    let world = World::recover(world.fs.crashed(Variant::Everything), 3).unwrap();
    let is_log = |path: &Path| path.parent() == Some(&inbox) && !path.ends_with("index");
    for path in world.fs.files().iter().filter(|path| is_log(path)) {
        world.fs.corrupt(path, |bytes| bytes.fill(0x55)).unwrap();
    }
    let before: Vec<String> = names(&world);
    let error = world.store.rename(&world.account, "INBOX", "New").unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert_eq!(names(&world), before);
    let (_, position) = world.store.create(&world.account, "After", SpecialUse::NONE).unwrap();
    world.commit(position).unwrap();
    let world = World::recover(world.fs.crashed(Variant::Nothing), 4).unwrap();
    let after = [before, vec!["After".to_owned()]].concat();
    assert!(names(&world).iter().all(|name| after.contains(name)), "{:?}", names(&world));
    assert_eq!(names(&world).len(), after.len());
}

#[test]
fn a_rename_that_makes_names_too_long_is_refused_alone() {
    let world = World::new(SimFs::new());
    let level = "x".repeat(200);
    let child = format!("M/{level}");
    let (_, position) = world.store.create(&world.account, &child, SpecialUse::NONE).unwrap();
    let before = names(&world);
    // As long as a name may be; what is below gets a longer one.
    let to = [level.as_str(); 5].join("/")[..MailboxName::MAX].to_owned();
    let mut user = user(&world);
    let rename = Ask::Rename { from: name("M"), to: name(&to) };
    assert_eq!(refused(&mut user, rename), (Some(Code::Cannot), position));
    assert_eq!(names(&world), before);
    world.commit(position).unwrap();
}

/// Appends messages with so many keywords each, by one command.
fn append(world: &World, text: &[u8], keywords: &[usize]) -> Answer {
    let mut user = user(world);
    for (index, &count) in keywords.iter().enumerate() {
        let keywords = (0..count).map(|number| Keyword::new(&format!("k{number}")).unwrap());
        let flags = Flags { system: SystemFlags::default(), keywords: keywords.collect() };
        let (size, first) = (text.len() as u64, index == 0);
        let mailbox = MailboxName::inbox();
        let open = Ask::AppendOpen { mailbox, flags, date: None, size, binary: true, first };
        assert!(matches!(at_once(user.ask(open)), Answer::Proceed));
        user.body(text);
    }
    at_once(user.ask(Ask::AppendCommit))
}

/// Containers and what may become one.
fn containers(world: &World) -> Vec<PathBuf> {
    let is = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "storage");
    world.fs.files().into_iter().filter(is).collect()
}

#[test]
fn messages_that_are_refused_leave_no_file_and_the_account_as_it_was() {
    let world = World::new(SimFs::new());
    let before = world.view().unwrap();
    let files = containers(&world);
    assert!(!files.is_empty());
    for size in [10, 1000] {
        for keywords in [&[65][..], &[0, 65], &[40, 0, 65]] {
            let answer = append(&world, &vec![b'x'; size], keywords);
            let Answer::No { code, .. } = answer else { panic!("{answer:?}") };
            assert_eq!(code, Some(Code::Limit));
            assert!(!world.account.is_dead(), "{size} bytes, {keywords:?}");
            assert_eq!(containers(&world), files, "{size} bytes, {keywords:?}");
        }
    }
    assert_eq!(world.view().unwrap(), before);
    assert!(matches!(append(&world, &[b'x'; 1000], &[5, 0]), Answer::Appended { .. }));
    world.store.flush();
    assert_eq!(containers(&world).len(), files.len() + 2);
    assert_eq!(world.view().unwrap().mailboxes["INBOX"].messages.len(), 4);
}

#[test]
fn a_large_message_that_the_disk_refuses_leaves_no_file() {
    for kind in [OpKind::Write, OpKind::SyncData, OpKind::Rename] {
        let mut reached = false;
        for skip in 0..8 {
            // Anew, since the journal may be what is struck.
            let world = World::new(SimFs::new());
            let files = containers(&world);
            let struck = world.fs.struck();
            let when = When::Kind { kind, skip };
            world.fs.inject(Fault { when, what: Failure::Io, lasting: false });
            let answer = append(&world, &[b'x'; 1000], &[0]);
            let now = containers(&world);
            world.fs.clear_faults();
            if world.fs.struck() == struck {
                break;
            }
            assert!(matches!(answer, Answer::No { .. }), "{answer:?}");
            assert_eq!(now, files, "{kind:?} {skip}");
            reached = true;
        }
        assert!(reached, "{kind:?}");
    }
}
