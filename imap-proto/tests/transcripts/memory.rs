//! What a session holds, whatever it is sent.

use imap_proto::model::{Driver, Happening, Model};
use imap_proto::{Config, Limits, Peer};
use proptest::prelude::*;

fn driver(before: &str) -> Driver {
    let config = Config { tls_available: true, ..Config::default() };
    let peer = Peer { tls: false, loopback: true };
    let mut driver = Driver::new(config, peer, Model::new(3));
    driver.receive(before.as_bytes());
    driver
}

/// Every state in which a session reads, and how it gets there.
const STATES: [(&str, &str); 14] = [
    ("guest", ""),
    ("a command before login", "a LOGIN "),
    ("a quoted string", "a LOGIN \"u"),
    ("brackets", "a NOOP ("),
    ("a literal before login", "a LOGIN {4096+}\r\nx"),
    ("behind a literal", "a LOGIN {1+}\r\nx"),
    ("AUTHENTICATE", "a AUTHENTICATE PLAIN\r\n"),
    ("the second line of AUTHENTICATE", "a AUTHENTICATE LOGIN dQ==\r\n"),
    ("user", "a LOGIN u pw\r\n"),
    ("a literal after login", "a LOGIN u pw\r\nb CREATE {1000000+}\r\nx"),
    ("behind a faulty command's literal", "a LOGIN u pw\r\nb CREATE {5+}\r\nx\0yyy"),
    ("selected", "a LOGIN u pw\r\nb SELECT INBOX\r\n"),
    ("IDLE", "a LOGIN u pw\r\nb IDLE\r\n"),
    ("behind a message", "a LOGIN u pw\r\nb APPEND INBOX {1+}\r\nx"),
];

/// Bytes that never end a line, or end it in a way that leaves something open.
fn endless() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"x".to_vec()),
        Just(b"(".to_vec()),
        Just(b"[".to_vec()),
        Just(b"{".to_vec()),
        Just(b"([{<".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\\".to_vec()),
        Just(b"\0".to_vec()),
        Just(b"AAAA".to_vec()),
        Just(b" {4096+}\r\n".to_vec()),
        Just(b" {1+}\r\nx".to_vec()),
        Just(b"a NOOP\r\n".to_vec()),
        prop::collection::vec(any::<u8>(), 1..40),
        "[a-z ()\\[\\]{}\"\\\\+0-9\r\n]{1,30}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn row_09_endless_bytes_in_each_state(unit in endless(), cut in 1usize..5000, stalled in any::<bool>()) {
        for (state, before) in STATES {
            let mut driver = driver(before);
            driver.stalled = stalled;
            let guest = !before.contains("u pw");
            let limits = Limits::default();
            let bound = if guest { limits.held_before_login().min(16 << 10) } else { limits.held() };
            let idle = if guest { self::driver("").session.held() } else { 0 };
            let bytes: Vec<u8> = unit.iter().copied().cycle().take(200_000).collect();
            for piece in bytes.chunks(cut) {
                driver.receive(piece);
                driver.log.clear();
                let held = driver.session.held() - idle.min(driver.session.held());
                // Some of these log in, or select; then the other bound counts.
                let bound = if driver.session.is_guest() { bound } else { limits.held() };
                prop_assert!(held <= bound, "{} holds {} of {}", state, held, bound);
                if driver.is_closed() {
                    break;
                }
            }
        }
    }

    #[test]
    fn the_cut_makes_no_difference(parts in prop::collection::vec(endless(), 1..12), cut in 1usize..20) {
        let bytes = parts.concat();
        let whole = imap_proto::model::run(&[&bytes]);
        let pieces: Vec<&[u8]> = bytes.chunks(cut).collect();
        prop_assert_eq!(imap_proto::model::run(&pieces), whole);
    }
}

#[test]
fn an_idle_session_gives_its_buffers_back() {
    let mut driver = driver("a LOGIN u pw\r\nb SELECT INBOX\r\n");
    let idle = driver.session.held();
    let names = format!("c CREATE {{60000+}}\r\n{}\r\n", "x".repeat(60_000));
    driver.receive(names.as_bytes());
    driver.receive(b"d FETCH 1:3 (FLAGS BODY[])\r\n");
    driver.receive(b"e LIST \"\" *\r\nf SEARCH ALL\r\n");
    assert!(driver.session.held() <= idle + 2048, "{} and {idle}", driver.session.held());
    assert!(idle < 3 << 10, "{idle}");
    assert!(size_of::<imap_proto::Session>() < 1 << 10, "{}", size_of::<imap_proto::Session>());
}

/// What a command was understood as is held while it runs, and counts.
#[test]
fn a_fetch_of_many_names_is_counted_and_bounded() {
    let limits = Limits::default();
    let literal = format!("{{65000+}}\r\n{}", "x".repeat(65_000));
    let fields = format!("BODY[HEADER.FIELDS ({literal} {literal})] ").repeat(8);
    let bodies = "BODY[] ".repeat(limits.line / 8);
    for items in [fields, bodies] {
        for enable in ["", "c ENABLE CONDSTORE\r\n"] {
            let mut driver = driver(&format!("a LOGIN u pw\r\nb SELECT INBOX\r\n{enable}"));
            let idle = driver.session.held();
            driver.silent = true;
            driver.receive(format!("d FETCH 1:* ({items}UID)\r\n").as_bytes());
            let held = driver.session.held() - idle;
            assert!((500_000..limits.held()).contains(&held), "{held} of {}", limits.held());
        }
    }
}

#[test]
fn row_07_parentheses_without_end() {
    for open in ["(", "[", "{", "([{<", ")("] {
        for before in ["", "z LOGIN u pw\r\n"] {
            let mut driver = driver(before);
            driver.receive(format!("a NOOP {}", open.repeat(4000 / open.len())).as_bytes());
            assert!(driver.session.held() < 16 << 10);
            // Held open without a line's end: the deadline comes, whatever is sent.
            driver.receive(open.as_bytes());
            driver.receive(b"\r\nb NOOP\r\n");
            assert!(!driver.is_closed());
        }
    }
}

#[test]
fn row_08_many_literals() {
    for before in ["", "z LOGIN u pw\r\n"] {
        let mut driver = driver(before);
        driver.log.clear();
        driver.receive(format!("a LOGIN {}\r\nb NOOP\r\n", "{1+}\r\nx ".repeat(2000)).as_bytes());
        let [Happening::Sent(sent)] = driver.log.as_slice() else { panic!("{:?}", driver.log) };
        let sent = String::from_utf8_lossy(sent);
        let first = "a BAD [LIMIT] Too many or too long: literals\r\nb OK";
        assert!(sent.starts_with(first), "{sent}");
        assert!(driver.session.held() < 2 << 10);
    }
}

#[test]
fn a_slow_reader_stops_the_work() {
    let mut driver = driver("a LOGIN u pw\r\n");
    for _ in 0..3000 {
        driver.model.deliver(&imap_proto::MailboxName::inbox(), &[b'x'; 1000]);
    }
    driver.receive(b"b SELECT INBOX\r\n");
    driver.stalled = true;
    driver.receive(b"c FETCH 1:* BODY.PEEK[]\r\nd NOOP\r\n");
    assert!(driver.session.held() < 200 << 10, "{}", driver.session.held());
    driver.pass(4 * 60_000);
    assert!(!driver.is_closed());
    driver.pass(60_000);
    assert!(driver.is_closed());
}
