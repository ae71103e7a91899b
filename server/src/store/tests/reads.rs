//! How much of the messages a batch of FETCH and a turn of SEARCH read.

use super::world::{at_once, config, open_with};
use crate::slices::{Progress, Turn};
use crate::store::config::StoreConfig;
use crate::store::delivery::Target;
use crate::store::imap::{Handled, ImapUser};
use dbox_format::map::Map;
use imap_proto::fetch::{FetchItems, Fixed, Piece, Section, SectionKind};
use imap_proto::search::{Key, Limits, Program};
use imap_proto::{Answer, Ask, FetchAsk, MailboxName, Run, Seq, Uid, UidSet};
use runtime_smol::Clock;
use runtime_smol::sim::SimFs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What rows that say little of many large messages cost is bounded all the same, and none is left out.
#[test]
fn a_batch_ends_for_what_it_reads_too() {
    const COUNT: u32 = 100;
    const SIZE: usize = 200 << 10;
    let config = StoreConfig { cache_memory: 0, ..config() };
    let store = open_with(&SimFs::new(), 1, config).unwrap();
    let account = store.account("u1").unwrap();
    let text = ["Subject: one\r\n\r\n", &"x".repeat(SIZE)].concat();
    let mut user = ImapUser::new(store.clone(), account.clone(), Arc::default());
    let target = Target { account, mailbox: "INBOX".into(), prefix: Vec::new() };
    let mut delivery = store.deliver(vec![target]).unwrap();
    delivery.write(text.as_bytes()).unwrap();
    assert!(delivery.commit().results.iter().all(Result::is_ok));
    store.flush();
    at_once(user.ask(Ask::Select { mailbox: MailboxName::inbox(), examine: false }));
    let copy = Ask::Copy {
        uids: UidSet::range(Uid(1), Uid(1)),
        mailbox: MailboxName::inbox(),
        moving: false,
        exact: true,
    };
    for _ in 1..COUNT {
        assert!(matches!(at_once(user.ask(copy.clone())), Answer::Copied { .. }));
    }
    store.flush();
    let items = Arc::new(FetchItems { fixed: Fixed::ENVELOPE, sections: Vec::new() });
    let (mut next, mut apart) = (1, false);
    while next <= COUNT {
        let handled = user.ask(Ask::Fetch(FetchAsk {
            runs: vec![Run { seq: Seq(next), uid: Uid(next), count: COUNT + 1 - next }],
            items: items.clone(),
            also_flags: UidSet::new(),
            seen_items: items.clone(),
            budget: 1 << 20,
            by_uid: true,
            recent: Arc::default(),
        }));
        let most = match &handled {
            Handled::Now(_) => 1 << 20,
            Handled::Work(_) => 8 << 20,
            Handled::Slices(_) => panic!("FETCH has no slices"),
        };
        assert!(!(apart && matches!(handled, Handled::Now(_))), "much is read at once again");
        apart = matches!(handled, Handled::Now(_));
        let answer = at_once(handled);
        let Answer::Rows { served, .. } = answer else { panic!("{answer:?}") };
        assert!(served > 0 && served as usize * SIZE <= most + SIZE, "{served} of {most} bytes");
        next += served;
    }
    assert_eq!(next, COUNT + 1);
}

/// A turn of a SEARCH ends in the middle of a message that takes long to parse, and the next goes on there.
#[test]
fn a_large_message_is_parsed_in_turns() {
    const SIZE: usize = 64 << 20;
    let fs = SimFs::new();
    let store = open_with(&fs, 1, config()).unwrap();
    let account = store.account("u1").unwrap();
    let mut user = ImapUser::new(store.clone(), account.clone(), Arc::default());
    let target = Target { account, mailbox: "INBOX".into(), prefix: Vec::new() };
    let mut delivery = store.deliver(vec![target]).unwrap();
    let head =
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/x\r\n\r\n";
    delivery.write(head.as_bytes()).unwrap();
    let line = ["x".repeat(76).as_str(), "\r\n"].concat().repeat(1000);
    for _ in 0..SIZE / line.len() {
        delivery.write(line.as_bytes()).unwrap();
    }
    delivery.write(b"--b\r\n\r\nthe end\r\n--b--\r\n").unwrap();
    assert!(delivery.commit().results.iter().all(Result::is_ok));
    store.flush();
    at_once(user.ask(Ask::Select { mailbox: MailboxName::inbox(), examine: false }));
    for (text, found) in [("the end", 1), ("no end", 0)] {
        let key = Key::Text(text.into());
        let program = Arc::new(Program::compile(&key, Limits::default()).unwrap());
        let Handled::Slices(mut slices) = user.ask(Ask::Search { program }) else {
            panic!("it is answered at once")
        };
        let (given_up, clock) = (AtomicBool::new(false), Clock::new());
        let ops = fs.ops();
        let mut turns = 1;
        let answer = loop {
            match slices.go_on(&Turn::begin(clock, true, &given_up)) {
                Progress::Done(answer) => break answer,
                Progress::More | Progress::Waits => turns += 1,
            }
        };
        let Answer::Found { uids, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(uids.len(), found);
        assert!(turns > 2, "{turns} turns");
        // Two reads a step, and some to begin with: nothing is read again and again.
        let most = 3 * SIZE as u64 / (64 << 10) + 10 * turns;
        assert!(fs.ops() - ops <= most, "{} operations in {turns} turns", fs.ops() - ops);
    }
}

/// A row that can't be had is left out, but not that its `\Seen` was set.
#[test]
fn rfc9051_7_5_2_seen_is_told_of_a_message_that_is_gone() {
    let store = open_with(&SimFs::new(), 1, config()).unwrap();
    let account = store.account("u1").unwrap();
    for _ in 0..2 {
        let (account, mailbox) = (account.clone(), "INBOX".into());
        let mut delivery =
            store.deliver(vec![Target { account, mailbox, prefix: Vec::new() }]).unwrap();
        delivery.write(b"Subject: one\r\n\r\n").unwrap();
        assert!(delivery.commit().results.iter().all(Result::is_ok));
    }
    store.flush();
    let mut user = ImapUser::new(store.clone(), account.clone(), Arc::default());
    at_once(user.ask(Ask::Select { mailbox: MailboxName::inbox(), examine: false }));
    // The map has lost both, as a damaged one may.
    account.lock().unwrap().map = Map::default();
    let whole = Section::new(Vec::new(), SectionKind::All, None, false);
    let fixed = Fixed::UID | Fixed::ENVELOPE;
    let items = |fixed| Arc::new(FetchItems { fixed, sections: vec![whole.clone()] });
    let answer = at_once(user.ask(Ask::Fetch(FetchAsk {
        runs: vec![Run { seq: Seq(1), uid: Uid(1), count: 2 }],
        items: items(fixed),
        also_flags: UidSet::range(Uid(2), Uid(2)),
        seen_items: items(fixed | Fixed::MODSEQ),
        budget: 1 << 20,
        by_uid: true,
        recent: Arc::default(),
    })));
    let Answer::Rows { pieces, served, .. } = answer else { panic!("{answer:?}") };
    let shown: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.clone(),
            Piece::Blob(..) => Vec::new(),
        })
        .collect();
    let shown = String::from_utf8(shown).unwrap();
    assert_eq!((served, shown.lines().count()), (2, 1), "{shown}");
    assert!(shown.starts_with("* 2 FETCH (UID 2 FLAGS () MODSEQ ("), "{shown}");
}
