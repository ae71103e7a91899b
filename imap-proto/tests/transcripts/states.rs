//! Every command in every state, in both revisions: what kind of answer it gets (RFC 3501 §6, RFC 9051 §6).

use crate::grammar::Checker;
use imap_proto::model::{Driver, Happening, Model};
use imap_proto::{Answer, Code, Config, Peer};

/// The states of RFC 9051 §3; logout is what LOGOUT leads to.
const STATES: [(&str, &str); 3] = [
    ("guest", ""),
    ("user", "x LOGIN u pw\r\n"),
    ("selected", "x LOGIN u pw\r\nx SELECT INBOX\r\n"),
];

/// A command that does what it can, and its kinds of answer to a guest, to a user, and with a mailbox selected.
///
/// OK, NO and BAD are the tagged reply's; `+` stands before it where the client is asked to go on, and `BYE` where the
/// connection ends. A command that needs a state is BAD in all others (RFC 9051 §7.1.3).
const COMMANDS: [(&str, [&str; 3]); 57] = [
    // §6.1: any state.
    ("CAPABILITY", ["OK", "OK", "OK"]),
    ("NOOP", ["OK", "OK", "OK"]),
    ("ID NIL", ["OK", "OK", "OK"]),
    ("LOGOUT", ["BYE OK", "BYE OK", "BYE OK"]),
    // §6.2: not authenticated.
    ("STARTTLS", ["OK", "BAD", "BAD"]),
    ("AUTHENTICATE PLAIN AHUAcHc=", ["OK", "BAD", "BAD"]),
    ("AUTHENTICATE PLAIN\r\nAHUAcHc=", ["+ OK", "BAD BAD", "BAD BAD"]),
    ("AUTHENTICATE PLAIN\r\n*", ["+ BAD", "BAD BAD", "BAD BAD"]),
    ("AUTHENTICATE X", ["NO", "BAD", "BAD"]),
    ("LOGIN u pw", ["OK", "BAD", "BAD"]),
    ("LOGIN u wrong", ["NO", "BAD", "BAD"]),
    // §6.3: authenticated.
    ("ENABLE IMAP4rev2", ["BAD", "OK", "OK"]),
    ("SELECT INBOX", ["BAD", "OK", "OK"]),
    ("SELECT none", ["BAD", "NO", "NO"]),
    ("EXAMINE INBOX", ["BAD", "OK", "OK"]),
    ("CREATE y", ["BAD", "OK", "OK"]),
    ("CREATE INBOX", ["BAD", "NO", "NO"]),
    ("DELETE x", ["BAD", "OK", "OK"]),
    ("DELETE INBOX", ["BAD", "NO", "NO"]),
    ("RENAME x z", ["BAD", "OK", "OK"]),
    ("RENAME none z", ["BAD", "NO", "NO"]),
    ("SUBSCRIBE x", ["BAD", "OK", "OK"]),
    ("UNSUBSCRIBE x", ["BAD", "OK", "OK"]),
    ("LIST \"\" *", ["BAD", "OK", "OK"]),
    ("LSUB \"\" *", ["BAD", "OK", "OK"]),
    ("NAMESPACE", ["BAD", "OK", "OK"]),
    ("STATUS INBOX (MESSAGES)", ["BAD", "OK", "OK"]),
    ("STATUS none (MESSAGES)", ["BAD", "NO", "NO"]),
    // To a guest the message is a line of its own, with no tag.
    ("APPEND INBOX {2+}\r\nab", ["BAD", "OK", "OK"]),
    ("APPEND none {2+}\r\nab", ["BAD", "NO", "NO"]),
    ("IDLE\r\nDONE", ["BAD BAD", "+ OK", "+ OK"]),
    // §6.4: selected.
    ("CHECK", ["BAD", "BAD", "OK"]),
    ("CLOSE", ["BAD", "BAD", "OK"]),
    ("UNSELECT", ["BAD", "BAD", "OK"]),
    ("EXPUNGE", ["BAD", "BAD", "OK"]),
    ("SEARCH ALL", ["BAD", "BAD", "OK"]),
    ("SEARCH CHARSET X-NONE ALL", ["BAD", "BAD", "NO"]),
    ("FETCH 1 FLAGS", ["BAD", "BAD", "OK"]),
    ("FETCH 9 FLAGS", ["BAD", "BAD", "BAD"]),
    ("STORE 1 +FLAGS (\\Seen)", ["BAD", "BAD", "OK"]),
    ("COPY 1 x", ["BAD", "BAD", "OK"]),
    ("COPY 1 none", ["BAD", "BAD", "NO"]),
    ("MOVE 1 x", ["BAD", "BAD", "OK"]),
    ("UID COPY 1 x", ["BAD", "BAD", "OK"]),
    ("UID EXPUNGE 1", ["BAD", "BAD", "OK"]),
    ("UID FETCH 1 FLAGS", ["BAD", "BAD", "OK"]),
    ("UID MOVE 1 x", ["BAD", "BAD", "OK"]),
    ("UID SEARCH ALL", ["BAD", "BAD", "OK"]),
    ("CANCELUPDATE \"x\"", ["BAD", "BAD", "BAD"]),
    ("THREAD REFS UTF-8 ALL", ["BAD", "BAD", "OK"]),
    ("UID THREAD REFERENCES US-ASCII ALL", ["BAD", "BAD", "OK"]),
    ("THREAD ORDEREDSUBJECT X-NONE ALL", ["BAD", "BAD", "NO"]),
    ("SORT (DATE) UTF-8 ALL", ["BAD", "BAD", "OK"]),
    ("UID SORT RETURN (COUNT) (DATE) UTF-8 ALL", ["BAD", "BAD", "OK"]),
    ("SORT (DATE) X-NONE ALL", ["BAD", "BAD", "NO"]),
    ("UID STORE 1 +FLAGS (\\Seen)", ["BAD", "BAD", "OK"]),
    // §6.5
    ("XYZZY", ["BAD", "BAD", "BAD"]),
];

/// A connection in that state, with a mailbox `x` beside the INBOX.
fn driver(before: &str, rev2: bool) -> (Driver, Checker) {
    let config = Config { tls_available: true, imap4rev2: true, ..Config::default() };
    let peer = Peer { tls: false, loopback: true };
    let mut driver = Driver::new(config, peer, Model::new(3));
    let login = if rev2 {
        "x LOGIN u pw\r\nx ENABLE IMAP4rev2\r\nx CREATE x\r\n"
    } else {
        "x LOGIN u pw\r\nx CREATE x\r\n"
    };
    driver.receive(before.replacen("x LOGIN u pw\r\n", login, 1).as_bytes());
    let mut grammar = Checker::default();
    kinds(&mut driver, &mut grammar);
    (driver, grammar)
}

/// What was sent, checked; then the kinds of answer in it, untagged data apart.
fn kinds(driver: &mut Driver, grammar: &mut Checker) -> String {
    let mut kinds = Vec::new();
    for happening in driver.log.drain(..) {
        let Happening::Sent(bytes) = happening else { continue };
        grammar.feed(&bytes).unwrap_or_else(|why| panic!("{why}"));
        for line in String::from_utf8_lossy(&bytes).lines() {
            let mut words = line.split(' ');
            match (words.next(), words.next()) {
                (Some("+"), _) => kinds.push("+".to_owned()),
                (Some("*"), Some(kind @ ("BYE" | "BAD"))) => kinds.push(kind.to_owned()),
                (Some("*"), _) => {}
                // The second line of a command that was refused is a command without a name.
                (Some(_), Some(kind @ ("OK" | "NO" | "BAD"))) => kinds.push(kind.to_owned()),
                _ => {}
            }
        }
    }
    kinds.join(" ")
}

#[test]
fn rfc9051_6_every_command_in_every_state() {
    for rev2 in [false, true] {
        for (command, expected) in COMMANDS {
            for ((state, before), expected) in STATES.into_iter().zip(expected) {
                let (mut driver, mut grammar) = driver(before, rev2);
                driver.receive(format!("t {command}\r\n").as_bytes());
                let got = kinds(&mut driver, &mut grammar);
                assert_eq!(got, expected, "{command:?}, {state}, IMAP4rev2: {rev2}");
            }
        }
    }
}

/// A command that is new needs its lines in the table.
#[test]
fn rfc9051_6_no_command_is_missing() {
    let source = include_str!("../../src/parse/command.rs");
    let names: Vec<&str> = source
        .split("b\"")
        .skip(1)
        .filter_map(|rest| rest.split_once("\" => "))
        .map(|(name, _)| name)
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase()))
        .collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let known =
            COMMANDS.iter().any(|(command, _)| command.split([' ', '\r']).next() == Some(name));
        assert!(known, "{name} is not in the table");
    }
}

/// An argument too many, or too few, is BAD wherever the command is allowed (RFC 9051 §7.1.3), and changes nothing.
#[test]
fn rfc9051_6_no_command_takes_what_it_does_not_know() {
    for rev2 in [false, true] {
        // What follows an unknown mechanism or charset is not looked at.
        let unread = [
            "AUTHENTICATE X",
            "SEARCH CHARSET X-NONE ALL",
            "SORT (DATE) X-NONE ALL",
            "THREAD ORDEREDSUBJECT X-NONE ALL",
        ];
        for (command, _) in COMMANDS.into_iter().filter(|(command, _)| !unread.contains(command)) {
            let command = command.split("\r\n").next().unwrap_or_default();
            let wrong = [format!("{command} )"), format!("{command} \"x"), format!("{command}  ")];
            for ((state, before), wrong) in
                STATES.into_iter().flat_map(|state| wrong.iter().map(move |wrong| (state, wrong)))
            {
                let (mut driver, mut grammar) = driver(before, rev2);
                driver.receive(format!("t {wrong}\r\n").as_bytes());
                let got = kinds(&mut driver, &mut grammar);
                assert_eq!(got, "BAD", "{wrong:?}, {state}, IMAP4rev2: {rev2}");
            }
        }
    }
}

/// Whatever the store refuses with, and whenever: one reply, which is IMAP, with the code it gave.
#[test]
fn rfc9051_7_1_every_response_code_in_every_state() {
    let codes = [
        Code::TryCreate,
        Code::NonExistent,
        Code::AlreadyExists,
        Code::Cannot,
        Code::Limit,
        Code::OverQuota,
        Code::TooBig,
        Code::Unavailable,
        Code::AuthenticationFailed,
        Code::AuthorizationFailed,
        Code::PrivacyRequired,
        Code::NoPerm,
        Code::InUse,
        Code::ExpungeIssued,
        Code::Corruption,
        Code::ServerBug,
        Code::ClientBug,
        Code::HasChildren,
        Code::UidNotSticky,
        Code::UnknownCte,
        Code::UseAttr,
        Code::ReadOnly,
    ];
    let source = include_str!("../../src/ask/code.rs");
    let written = source.split_once("fn as_str(self)").map_or("", |(_, rest)| rest);
    let count = written.lines().filter(|line| line.trim().starts_with("Self::")).count();
    assert_eq!(codes.len(), count, "a code is missing here");
    let asks = ["LOGIN u pw", "SELECT x", "STATUS x (MESSAGES)", "UID FETCH 1 FLAGS", "COPY 1 x"];
    for rev2 in [false, true] {
        for (code, (_, before)) in
            codes.into_iter().flat_map(|code| STATES.map(|state| (code, state)))
        {
            for command in asks {
                let (mut driver, mut grammar) = driver(before, rev2);
                let text = "No\r\nx OK \0";
                driver.instead.push_back(Answer::No { code: Some(code), text: text.into() });
                driver.receive(format!("t {command}\r\n").as_bytes());
                let sent = driver.log.iter().any(|happening| {
                    let reply = format!("t NO [{}] No  x OK  \r\n", code.as_str());
                    matches!(happening, Happening::Sent(bytes) if bytes.ends_with(reply.as_bytes()))
                });
                let got = kinds(&mut driver, &mut grammar);
                assert!(sent || got == "BAD", "{command:?}, {code:?}: {got}");
            }
        }
    }
}
