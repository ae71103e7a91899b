//! Hostile input; `row_NN` is its place in the project's list of hostile inputs.

use crate::play::{Stage, play, play_guest, play_user};

#[test]
fn row_01_commands_behind_starttls() {
    insta::assert_snapshot!(play_guest("C: a STARTTLS | C: b LOGIN u pw"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a STARTTLS
    S: a OK Begin TLS
    X: tls
    C: b LOGIN u pw
    X: close
    "#);
}

#[test]
fn row_01_commands_behind_starttls_in_one_segment() {
    insta::assert_snapshot!(Stage::default().play_cut(r#"B: a STARTTLS\r\nb LOGIN u pw\r\n"#, usize::MAX), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    B: a STARTTLS\r\nb LOGIN u pw\r\n
    X: close
    "#);
}

#[test]
fn row_02_state_is_forgotten_over_tls() {
    insta::assert_snapshot!(play_guest("C: a STARTTLS | E: tls | C: b CAPABILITY | C: c STARTTLS | C: d LOGIN u pw | C: e STARTTLS"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a STARTTLS
    S: a OK Begin TLS
    X: tls
    E: tls
    C: b CAPABILITY
    S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE
    S: b OK Done
    C: c STARTTLS
    S: c BAD TLS is already active
    C: d LOGIN u pw
    Q: login u
    S: d OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    C: e STARTTLS
    S: e BAD Already logged in
    "#);
}

#[test]
fn row_02_starttls_in_the_middle_of_authenticate() {
    insta::assert_snapshot!(play_guest("C: a AUTHENTICATE LOGIN dQ== | C: b STARTTLS | C: c AUTHENTICATE LOGIN dQ== | C: * | C: d STARTTLS | E: tls | C: cHc= | C: e NOOP"), @r"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a AUTHENTICATE LOGIN dQ==
    S: + UGFzc3dvcmQ6
    C: b STARTTLS
    S: a BAD Expected base64
    C: c AUTHENTICATE LOGIN dQ==
    S: + UGFzc3dvcmQ6
    C: *
    S: c BAD Cancelled
    C: d STARTTLS
    S: d OK Begin TLS
    X: tls
    E: tls
    C: cHc=
    S: cHc= BAD Unknown command
    C: e NOOP
    S: e OK Done
    ");
}

#[test]
fn row_26_a_guest_that_has_to_make_room_is_told_at_once() {
    insta::assert_snapshot!(play_guest("C: a NOOP | E: evicted | C: b NOOP"), @r"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a NOOP
    S: a OK Done
    E: evicted
    S: * BYE [UNAVAILABLE] Too many connections, try again later
    X: close
    C: b NOOP
    ");
    insta::assert_snapshot!(play_guest("B: a LOGIN u | E: evicted | C: b NOOP"), @r"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    B: a LOGIN u
    E: evicted
    S: * BYE [UNAVAILABLE] Too many connections, try again later
    X: close
    C: b NOOP
    ");
    insta::assert_snapshot!(play_guest("C: a AUTHENTICATE LOGIN dQ== | E: evicted | C: cHc="), @r"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a AUTHENTICATE LOGIN dQ==
    S: + UGFzc3dvcmQ6
    E: evicted
    S: * BYE [UNAVAILABLE] Too many connections, try again later
    X: close
    C: cHc=
    ");
}

#[test]
fn row_05_http() {
    insta::assert_snapshot!(play_guest(r#"B: GET / HTTP/1.1\r\nHost: x\r\n\r\n"#), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    B: GET / HTTP/1.1\r\nHost: x\r\n\r\n
    X: close
    "#);
}

#[test]
fn row_05_http_post() {
    insta::assert_snapshot!(play_guest(r#"B: POST /x HTTP/1.1\r\n"#), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    B: POST /x HTTP/1.1\r\n
    X: close
    "#);
}

#[test]
fn row_05_syntax_errors_in_a_row() {
    insta::assert_snapshot!(play_guest("C: a <script> | C: b | C: <b>alert(1)</b> | C: d X | C: e X | C: f X | C: g X | C: h X | C: i X | C: j X | C: k X"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a <script>
    S: a BAD Unknown command
    C: b
    S: b BAD Unknown command
    C: <b>alert(1)</b>
    S: * BAD Expected a tag
    C: d X
    S: d BAD Unknown command
    C: e X
    S: e BAD Unknown command
    C: f X
    S: f BAD Unknown command
    C: g X
    S: g BAD Unknown command
    C: h X
    S: h BAD Unknown command
    C: i X
    S: i BAD Unknown command
    C: j X
    S: j BAD Unknown command
    S: * BYE Too many syntax errors
    X: close
    C: k X
    "#);
}

#[test]
fn row_06_nul_in_strings() {
    insta::assert_snapshot!(play_guest(r#"B: a LOGIN "u\0" pw\r\n | B: b LOGIN {2+}\r\nu\0 pw\r\n | B: c LOGIN ~{2+}\r\nu\0 pw\r\n | C: d NOOP"#), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    B: a LOGIN "u\0" pw\r\n
    S: a BAD NUL is not allowed here
    B: b LOGIN {2+}\r\nu\0 pw\r\n
    S: b BAD NUL is not allowed here
    B: c LOGIN ~{2+}\r\nu\0 pw\r\n
    S: c BAD Expected a literal with a size
    C: d NOOP
    S: d OK Done
    "#);
}

#[test]
fn row_07_parentheses_before_login() {
    insta::assert_snapshot!(play_guest(r#"C: a NOOP ((x)) | C: b NOOP (((((( | C: c NOOP ({(( | C: d LOGIN u p[[w | C: e LOGIN "((((" "[[[[""#), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a NOOP ((x))
    S: a BAD [LIMIT] Too many or too long: nested brackets
    C: b NOOP ((((((
    S: b BAD [LIMIT] Too many or too long: nested brackets
    C: c NOOP ({((
    S: c BAD [LIMIT] Too many or too long: nested brackets
    C: d LOGIN u p[[w
    Q: login u
    S: d NO [AUTHENTICATIONFAILED] Wrong user or password
    C: e LOGIN "((((" "[[[["
    Q: login ((((
    S: e NO [AUTHENTICATIONFAILED] Wrong user or password
    "#);
}

#[test]
fn row_10_literal_sizes() {
    insta::assert_snapshot!(play_guest("C: a LOGIN {4294967296} | C: b LOGIN {18446744073709551616} | C: c LOGIN {-1} | C: d LOGIN {00000001} | C: e LOGIN {} | C: f LOGIN {9000} | C: g LOGIN {x} | C: h NOOP"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a LOGIN {4294967296}
    S: a BAD Expected a literal with a size
    C: b LOGIN {18446744073709551616}
    S: b BAD Expected a literal with a size
    C: c LOGIN {-1}
    S: c BAD Expected a literal with a size
    C: d LOGIN {00000001}
    S: d BAD Expected a literal with a size
    C: e LOGIN {}
    S: e BAD Expected a literal with a size
    C: f LOGIN {9000}
    S: f BAD [LIMIT] Too many or too long: literal
    C: g LOGIN {x}
    S: g BAD Expected a literal with a size
    C: h NOOP
    S: h OK Done
    "#);
}

#[test]
fn row_10_a_size_that_does_not_fit() {
    insta::assert_snapshot!(play_guest("C: a LOGIN {4294967296+} | C: b NOOP"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a LOGIN {4294967296+}
    S: * BYE Literal is not valid
    X: close
    C: b NOOP
    "#);
}

#[test]
fn row_10_a_size_that_fits_nothing() {
    insta::assert_snapshot!(play_guest("C: a LOGIN {18446744073709551616+} | C: b NOOP"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a LOGIN {18446744073709551616+}
    S: * BYE Literal is not valid
    X: close
    C: b NOOP
    "#);
}

#[test]
fn row_10_a_negative_size() {
    insta::assert_snapshot!(play_guest("C: a LOGIN {-1+} | C: b NOOP"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a LOGIN {-1+}
    S: * BYE Literal is not valid
    X: close
    C: b NOOP
    "#);
}

#[test]
fn row_10_more_than_literal_minus() {
    insta::assert_snapshot!(play_guest("C: a LOGIN {4097+} | C: b NOOP"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a LOGIN {4097+}
    S: * BYE Literals are too large
    X: close
    C: b NOOP
    "#);
}

#[test]
fn row_10_a_literal_larger_than_all_may_be() {
    insta::assert_snapshot!(play_user("C: a CREATE {1048577} | C: b CREATE {1048577+} | C: c NOOP"), @r#"
    C: a CREATE {1048577}
    S: a BAD [LIMIT] Too many or too long: literal
    C: b CREATE {1048577+}
    S: * BYE Literals are too large
    X: close
    C: c NOOP
    "#);
}

#[test]
fn row_10_a_literal_without_waiting() {
    insta::assert_snapshot!(play_guest(r#"B: a LOGIN {1}\r\nu {2}\r\npw\r\n"#), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    B: a LOGIN {1}\r\nu {2}\r\npw\r\n
    S: + OK
    S: + OK
    Q: login u
    S: a OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    "#);
}

#[test]
fn tags() {
    insta::assert_snapshot!(play_guest("C: + NOOP | C: a{ NOOP | C: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa NOOP | C:  NOOP | C: a(b NOOP | C: a]b NOOP"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: + NOOP
    S: * BAD Expected a tag
    C: a{ NOOP
    S: * BAD Expected a tag
    C: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa NOOP
    S: * BAD Expected a tag
    C:  NOOP
    S: * BAD Expected a tag
    C: a(b NOOP
    S: * BAD Expected a tag
    C: a]b NOOP
    S: a]b OK Done
    "#);
}

#[test]
fn row_44_patterns_without_end() {
    let stars = "*%".repeat(2000);
    let transcript = play_user(&format!("C: a LIST \"\" {stars}"));
    assert!(
        transcript.ends_with("S: a BAD [LIMIT] Too many or too long: patterns\n"),
        "{transcript}"
    );
    let many = "x ".repeat(5000);
    let transcript = play_user(&format!("C: a LIST \"\" ({}x)", many));
    assert!(
        transcript.ends_with("S: a BAD [LIMIT] Too many or too long: patterns\n"),
        "{transcript}"
    );
}

#[test]
fn row_45_keys_without_end() {
    for keys in [
        "NOT ".repeat(100) + "ALL",
        "(".repeat(40) + "ALL",
        "OR ALL ".repeat(100),
        "ALL ".repeat(1500) + "ALL",
    ] {
        let transcript = play(&format!("C: a SEARCH {keys}"));
        assert!(transcript.contains("S: a BAD [LIMIT] Too many or too long:"), "{transcript}");
    }
}

#[test]
fn row_46_sets_without_end() {
    insta::assert_snapshot!(
        play("C: a UID FETCH 1:4294967295 UID | C: b FETCH 1:4294967295 UID | C: c UID MOVE 4294967295:4 INBOX | C: d UID FETCH *:4294967295 UID | C: e FETCH 4294967296 UID | C: f UID SEARCH UID 4294967295:2"), @r#"
    C: a UID FETCH 1:4294967295 UID
    Q: fetch 1+3
    S: * 1 FETCH (UID 1)
    S: * 2 FETCH (UID 2)
    S: * 3 FETCH (UID 3)
    S: a OK Done
    C: b FETCH 1:4294967295 UID
    S: b BAD No such message
    C: c UID MOVE 4294967295:4 INBOX
    S: c OK Nothing to do
    C: d UID FETCH *:4294967295 UID
    Q: fetch 3+1
    S: * 3 FETCH (UID 3)
    S: d OK Done
    C: e FETCH 4294967296 UID
    S: e BAD Expected a message number
    C: f UID SEARCH UID 4294967295:2
    Q: search
    S: * SEARCH 2 3
    S: f OK Done
    "#);
    let many = "1:*,".repeat(15_000) + "2";
    let transcript = play(&format!("C: a UID FETCH {many} UID"));
    assert!(transcript.contains("Q: fetch 1+3\n"), "{transcript}");
}

#[test]
fn row_46_sets_in_an_empty_mailbox() {
    insta::assert_snapshot!(
        play_user("C: a CREATE x | C: b SELECT x | C: c UID FETCH *:* UID | C: d UID MOVE 1:* INBOX | C: e FETCH 1:* UID | C: f UID SEARCH UID 1:*"), @r#"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b SELECT x
    Q: select x
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 0 EXISTS
    S: * 0 RECENT
    S: * OK [UIDVALIDITY 8] UIDs are valid
    S: * OK [UIDNEXT 1] Next UID
    S: * OK [HIGHESTMODSEQ 1] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000008)] Mailbox's id
    S: b OK [READ-WRITE] Selected
    C: c UID FETCH *:* UID
    S: c OK Done
    C: d UID MOVE 1:* INBOX
    S: d OK Nothing to do
    C: e FETCH 1:* UID
    S: e BAD No such message
    C: f UID SEARCH UID 1:*
    Q: search
    S: * SEARCH
    S: f OK Done
    "#);
}

#[test]
fn row_07_brackets_after_login() {
    let deep = "(".repeat(33);
    let transcript = play(&format!("C: a SEARCH {deep} | C: b NOOP"));
    assert!(
        transcript.contains("S: a BAD [LIMIT] Too many or too long: nested brackets\n"),
        "{transcript}"
    );
}

/// What is in a literal is never taken for the header of another.
#[test]
fn literals_that_look_like_literals() {
    insta::assert_snapshot!(play_user(r#"B: a CREATE {4+}\r\n{9+}\r\n | B: b CREATE {1+}\r\n}\r\n | B: c CREATE {4+}\r\nx{1+}\r\n | B: d CREATE {0+}\r\n}\r\n | C: e NOOP"#), @r#"
    B: a CREATE {4+}\r\n{9+}\r\n
    Q: create {9+}
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    B: b CREATE {1+}\r\n}\r\n
    Q: create }
    S: b OK [MAILBOXID (F00000000000000000000000000000009)] Created
    B: c CREATE {4+}\r\nx{1+}\r\n
    S: c BAD Expected the end of the command
    B: d CREATE {0+}\r\n}\r\n
    S: d NO [CANNOT] Mailbox name is empty
    C: e NOOP
    S: e OK Done
    "#);
}
