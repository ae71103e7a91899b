//! What threads that have nothing else to do get ahead with is what comes without them.

use super::world::{at_once, config, open_with, packed};
use crate::store::config::StoreConfig;
use crate::store::imap::ImapUser;
use crate::store::{Store, StoreError};
use imap_proto::fetch::{FetchItems, Fixed, Piece, Section, SectionKind};
use imap_proto::{Answer, Ask, Code, FetchAsk, MailboxName, Run, Seq, Uid, UidSet};
use runtime_smol::Pool;
use runtime_smol::fs::{Fs, Open};
use runtime_smol::sim::SimFs;
use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

const COUNT: u32 = 400;

fn text(number: u32) -> String {
    let lines = (0..number % 97).map(|line| format!("Line {line} of number {number}.\r\n"));
    format!("Subject: {number}\r\n\r\n{}", lines.collect::<String>())
}

fn user(store: &Arc<Store>) -> ImapUser {
    let mut user = ImapUser::new(store.clone(), store.account("u1").unwrap(), Arc::default());
    at_once(user.ask(Ask::Select { mailbox: MailboxName::inbox(), examine: false }));
    user
}

/// All as one MULTIAPPEND.
fn append(store: &Arc<Store>) {
    let mut user = user(store);
    for number in 1..=COUNT {
        let text = text(number);
        let ask = Ask::AppendOpen {
            mailbox: MailboxName::inbox(),
            flags: imap_proto::Flags::default(),
            date: None,
            size: text.len() as u64,
            binary: false,
            first: number == 1,
        };
        assert!(matches!(at_once(user.ask(ask)), Answer::Proceed));
        user.body(text.as_bytes());
    }
    let answer = at_once(user.ask(Ask::AppendCommit));
    assert!(matches!(&answer, Answer::Appended { uids, .. } if uids.len() == u64::from(COUNT)));
    store.flush();
}

/// `FETCH 1:* (UID BODY[])` in small batches, up to its end or to what refuses it.
fn fetch(store: &Arc<Store>) -> (String, Option<Code>) {
    let mut user = user(store);
    let whole = Section::new(Vec::new(), SectionKind::All, None, true);
    let items = Arc::new(FetchItems { fixed: Fixed::UID, sections: vec![whole] });
    let (mut next, mut shown) = (1, Vec::new());
    while next <= COUNT {
        let answer = at_once(user.ask(Ask::Fetch(FetchAsk {
            runs: vec![Run { seq: Seq(next), uid: Uid(next), count: COUNT + 1 - next }],
            items: items.clone(),
            also_flags: UidSet::new(),
            seen_items: items.clone(),
            budget: 16 << 10,
            by_uid: true,
            recent: Arc::default(),
        })));
        if let Answer::No { code, .. } = answer {
            return (String::from_utf8(shown).unwrap(), code);
        }
        let Answer::Rows { pieces, served, .. } = answer else { panic!("{answer:?}") };
        for piece in pieces {
            let Piece::Bytes(bytes) = piece else { panic!("a small message is in the answer") };
            shown.extend_from_slice(&bytes);
        }
        next += served;
    }
    (String::from_utf8(shown).unwrap(), None)
}

/// Does it again and again until somebody helped.
fn with_help<T>(store: &Arc<Store>, what: impl Fn() -> T, see: impl Fn(T)) {
    let before = store.aside.taken();
    while store.aside.taken() == before {
        // The threads come to rest meanwhile.
        std::thread::sleep(Duration::from_millis(1));
        see(what());
    }
}

#[test]
fn texts_read_ahead_and_messages_compressed_ahead_are_the_same() -> Result<(), StoreError> {
    for config in [packed(), config()] {
        let config =
            StoreConfig { cache_memory: 0, gather_max: 1 << 20, container_size: 1 << 20, ..config };
        let compresses = config.compression.is_some();
        let alone = open_with(&SimFs::new(), 1, config.clone())?;
        append(&alone);
        let expected = fetch(&alone);
        assert!(expected.0.contains("* 400 FETCH (UID 400 BODY[] {"), "{}", expected.0);
        assert_eq!(expected.0.matches(" FETCH (UID ").count(), COUNT as usize);

        let pool = Arc::new(Pool::start("aside", 3, 8).unwrap());
        let made = || {
            let store = open_with(&SimFs::new(), 1, config.clone()).unwrap();
            store.aside.set_two(&pool);
            append(&store);
            store
        };
        let mut store = made();
        while compresses && store.aside.taken() == 0 {
            store = made();
        }
        with_help(&store, || fetch(&store), |shown| assert_eq!(shown, expected));
    }
    Ok(())
}

/// Who reads ahead tells nobody of damage; who needs the message does, as without help.
#[test]
fn damage_that_is_met_ahead_is_told_in_its_turn() {
    let fs = SimFs::new();
    let config =
        StoreConfig { cache_memory: 0, gather_max: 1 << 20, container_size: 1 << 20, ..config() };
    let store = open_with(&fs, 1, config).unwrap();
    append(&store);
    let account = store.account("u1").unwrap();
    let path = account.container_path(1);
    let file = fs.open(&path, Open::Write).unwrap();
    let len = fs.metadata(&path).unwrap().unwrap().len;
    file.write_at(&[IoSlice::new(&[0; 64])], len / 2).unwrap();
    let expected = fetch(&store);
    assert_eq!(expected.1, Some(Code::Corruption));
    let pool = Arc::new(Pool::start("aside", 3, 8).unwrap());
    store.aside.set_two(&pool);
    with_help(&store, || fetch(&store), |shown| assert_eq!(shown, expected));
}
