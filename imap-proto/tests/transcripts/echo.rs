//! What a peer put in comes out in one piece, and no faster than it is read.

use crate::grammar::Checker;
use crate::play::Stage;
use imap_proto::model::{Driver, Happening, Model};
use imap_proto::{Config, Event, Limits, MailboxName, Peer};
use proptest::prelude::*;

fn driver(messages: u32) -> Driver {
    let config = Config { tls_available: true, imap4rev2: true, ..Config::default() };
    let peer = Peer { tls: false, loopback: true };
    Driver::new(config, peer, Model::new(messages))
}

/// Everything sent since it was last looked at, which is IMAP.
fn sent(driver: &mut Driver, grammar: &mut Checker) -> Vec<u8> {
    let mut all = Vec::new();
    for happening in driver.log.drain(..) {
        if let Happening::Sent(bytes) = happening {
            grammar.feed(&bytes).unwrap_or_else(|why| panic!("{why}"));
            all.extend(bytes);
        }
    }
    all
}

fn literal(bytes: &[u8]) -> Vec<u8> {
    [format!("{{{}+}}\r\n", bytes.len()).as_bytes(), bytes].concat()
}

/// Bytes that end lines, open strings, steer terminals or look like replies.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"\0".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"\x1b[2J".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\".to_vec()),
        Just(b"\r\nx OK done".to_vec()),
        Just(b"{3}\r\nabc".to_vec()),
        Just(b"\x7f\x80\xff".to_vec()),
        Just("\u{85}\u{2028}".as_bytes().to_vec()),
        Just("ü&".as_bytes().to_vec()),
        Just(b"inbox/".to_vec()),
        "[ -~]{1,8}".prop_map(String::into_bytes),
        any::<String>().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 1..6),
    ];
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.concat())
}

proptest! {
    /// Control characters are refused where a name would be kept; every answer is as many responses as it should be.
    #[test]
    fn row_43_names_and_keywords_inject_no_response(name in hostile(), rev2 in any::<bool>()) {
        let (mut driver, mut grammar) = (driver(1), Checker::default());
        let begin: &[u8] = if rev2 { b"a LOGIN u pw\r\nb ENABLE IMAP4rev2\r\n" } else { b"a LOGIN u pw\r\n" };
        driver.receive(begin);
        sent(&mut driver, &mut grammar);
        let wire = literal(&name);
        let mut tags = 0;
        for command in ["CREATE", "SELECT", "SUBSCRIBE", "EXAMINE", "UNSUBSCRIBE", "LSUB \"\"", "LIST \"\"", "RENAME INBOX", "DELETE"] {
            driver.log.clear();
            driver.receive(&[b"c ", command.as_bytes(), b" ", &wire, b"\r\n"].concat());
            let replies = sent(&mut driver, &mut grammar);
            let tagged = count(&replies, b"c ");
            prop_assert_eq!(tagged, 1, "{} {}", command, replies.escape_ascii());
            tags += 1;
            if command == "CREATE" && name.iter().any(|byte| byte.is_ascii_control()) {
                prop_assert!(replies.starts_with(b"c NO ") || replies.starts_with(b"c BAD "));
            }
            driver.receive(b"d LIST \"\" *\r\ne LSUB \"\" *\r\nf LIST (SUBSCRIBED RECURSIVEMATCH) \"\" % RETURN (STATUS (MESSAGES))\r\n");
            sent(&mut driver, &mut grammar);
        }
        prop_assert_eq!(tags, 9);
        driver.receive(&[b"g STATUS ", &wire[..], b" (MESSAGES)\r\nh SELECT INBOX\r\n"].concat());
        driver.receive(&[b"i STORE 1 +FLAGS (", &name[..], b")\r\n"].concat());
        driver.receive(b"j FETCH 1 FLAGS\r\nk SELECT INBOX\r\n");
        sent(&mut driver, &mut grammar);
        driver.receive(&[b"l STORE 1 +FLAGS (", &wire[..], b")\r\nm FETCH 1 (FLAGS BODY[HEADER.FIELDS (", &wire[..], b")])\r\n"].concat());
        sent(&mut driver, &mut grammar);
        prop_assert!(grammar.finish().is_ok());
    }

    /// The same of a message: its header's fields, its structure, and any part of it.
    #[test]
    fn row_43_messages_inject_no_response(field in hostile(), body in hostile(), rev2 in any::<bool>()) {
        let (mut driver, mut grammar) = (driver(0), Checker::default());
        let begin: &[u8] = if rev2 { b"a LOGIN u pw\r\nb ENABLE IMAP4rev2\r\n" } else { b"a LOGIN u pw\r\n" };
        driver.receive(begin);
        let message = [
            b"Subject: ", &field[..], b"\r\nFrom: ", &field[..], b"\r\nContent-Type: text/", &field[..],
            b"; name=", &field[..], b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", &body[..],
        ].concat();
        driver.receive(&[b"c APPEND INBOX ~", &literal(&message)[..], b"\r\nd SELECT INBOX\r\n"].concat());
        sent(&mut driver, &mut grammar);
        let before = grammar.count;
        driver.receive(b"e FETCH 1 (FLAGS ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[1] BINARY.PEEK[] BINARY.SIZE[])\r\n");
        let row = sent(&mut driver, &mut grammar);
        prop_assert_eq!(grammar.count - before, 2, "{}", row.escape_ascii());
        driver.receive(b"f FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[1])\r\n");
        sent(&mut driver, &mut grammar);
        prop_assert!(grammar.finish().is_ok());
    }
}

/// Lines that begin so.
fn count(replies: &[u8], start: &[u8]) -> usize {
    replies.split_inclusive(|byte| *byte == b'\n').filter(|line| line.starts_with(start)).count()
}

/// Nobody reads, and everything happens: what waits stays under the cap, and nothing else queues. Once it is read, all
/// of it is told, and nothing twice.
#[test]
fn row_58_a_slow_reader_of_idle() {
    let (mut driver, mut grammar) = (driver(3), Checker::default());
    driver.receive(b"a LOGIN u pw\r\nb SELECT INBOX\r\nc IDLE\r\n");
    sent(&mut driver, &mut grammar);
    driver.stalled = true;
    let idle = driver.session.held();
    for round in 0..5000u32 {
        driver.model.deliver(&MailboxName::inbox(), b"Subject: x\r\n\r\n");
        driver.model.flag(imap_proto::Uid(round % 3 + 1));
        driver.event(Event::Changed);
    }
    let unsent = Limits::default().unsent;
    assert!(driver.session.held() < idle + 4 * unsent, "{}", driver.session.held());
    driver.stalled = false;
    driver.receive(b"DONE\r\nd STATUS INBOX (MESSAGES)\r\n");
    let told = sent(&mut driver, &mut grammar);
    grammar.finish().expect("whole responses");
    let told = String::from_utf8(told).expect("ASCII");
    let exists: Vec<u32> = told
        .lines()
        .filter_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS")?.parse().ok())
        .collect();
    assert!(exists.is_sorted_by(|left, right| left < right));
    assert_eq!(exists.last(), Some(&5003));
    assert!(told.ends_with("d OK Done\r\n"), "{told}");
}

/// Each answer that may be long stops at the cap, whatever it is about.
#[test]
fn row_58_no_answer_outgrows_the_cap() {
    let mut store = driver(3);
    store.receive(b"a LOGIN u pw\r\n");
    for n in 0..2000 {
        store.model.deliver(&MailboxName::inbox(), &[b'x'; 2000]);
        store.receive(format!("b CREATE {}/{n}\r\n", "n".repeat(100)).as_bytes());
    }
    let mut model = store.model;
    for command in [
        "LIST \"\" * RETURN (STATUS (MESSAGES UNSEEN SIZE))",
        "LSUB \"\" *",
        "UID SEARCH ALL",
        "FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE)",
        "FETCH 1:* BODY.PEEK[]",
        "FETCH 1:* BINARY.PEEK[1]",
        "STORE 1:* +FLAGS (\\Flagged)",
        "UID MOVE 1:* INBOX",
    ] {
        let stage = Stage::default();
        let mut driver = Driver::new(stage.config, stage.peer, model);
        let mut grammar = Checker::default();
        driver.receive(b"a LOGIN u pw\r\nb SELECT INBOX\r\n");
        sent(&mut driver, &mut grammar);
        let before = driver.session.held();
        driver.stalled = true;
        driver.receive(format!("c {command}\r\nd NOOP\r\n").as_bytes());
        // A STORE's rows are one answer of the store, which is not the session's to bound.
        let answer = if command.starts_with("STORE") { 2003 * 100 } else { 0 };
        let bound = before + 4 * Limits::default().unsent + answer;
        assert!(driver.session.held() < bound, "{command}: {}", driver.session.held());
        driver.stalled = false;
        driver.turn();
        let told = sent(&mut driver, &mut grammar);
        grammar.finish().unwrap_or_else(|why| panic!("{why}"));
        assert!(told.ends_with(b"d OK Done\r\n"), "{command}");
        model = driver.model;
    }
}
