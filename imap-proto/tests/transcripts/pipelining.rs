//! Commands sent without waiting (RFC 9051 §5.5), and how long a connection may wait (§5.4).

use crate::play::{Stage, play, play_user};

/// They run in the order they came, so what one changes the next one sees.
#[test]
fn rfc9051_5_5_fetch_sets_seen_before_search_looks() {
    insta::assert_snapshot!(play(r#"B: a FETCH 1 BODY[TEXT]<0.4>\r\nb SEARCH UNSEEN\r\nc STORE 2 +FLAGS.SILENT (\Seen)\r\nd SEARCH UNSEEN\r\n"#), @r#"
    B: a FETCH 1 BODY[TEXT]<0.4>\r\nb SEARCH UNSEEN\r\nc STORE 2 +FLAGS.SILENT (\Seen)\r\nd SEARCH UNSEEN\r\n
    Q: store 1 Add
    Q: fetch 1+1
    S: * 1 FETCH (FLAGS (\Seen \Recent) BODY[TEXT]<0> {4}
    S: Text)
    S: a OK Done
    Q: search
    S: * SEARCH 2 3
    S: b OK Done
    Q: store 2 Add
    S: c OK Stored
    Q: search
    S: * SEARCH 3
    S: d OK Done
    "#);
}

/// No EXPUNGE while FETCH, STORE or SEARCH runs: sequence numbers sent ahead mean what they meant.
#[test]
fn rfc9051_5_5_no_expunge_while_sequence_numbers_are_in_use() {
    insta::assert_snapshot!(play(r#"M: expunge 1 | B: a FETCH 2 UID\r\nb STORE 3 +FLAGS.SILENT (\Seen)\r\nc SEARCH ALL\r\nd NOOP\r\n"#), @r#"
    M: expunge 1
    B: a FETCH 2 UID\r\nb STORE 3 +FLAGS.SILENT (\Seen)\r\nc SEARCH ALL\r\nd NOOP\r\n
    Q: fetch 2+1
    S: * 2 FETCH (UID 2)
    Q: changes but expunges
    S: a OK Done
    Q: store 3 Add
    S: b OK Stored
    Q: search
    S: * SEARCH 2 3
    S: c OK Done
    Q: changes
    S: * 1 EXPUNGE
    S: d OK Done
    "#);
}

/// Their UID forms may tell it, and numbers sent behind them are those of the shrunken mailbox.
#[test]
fn rfc9051_5_5_expunge_with_uid_commands() {
    insta::assert_snapshot!(play(r#"M: expunge 1 | B: a UID FETCH 2 UID\r\nb FETCH 1 UID\r\nc FETCH 3 UID\r\n"#), @r#"
    M: expunge 1
    B: a UID FETCH 2 UID\r\nb FETCH 1 UID\r\nc FETCH 3 UID\r\n
    Q: fetch 2+1
    S: * 2 FETCH (UID 2)
    Q: changes
    S: * 1 EXPUNGE
    S: a OK Done
    Q: fetch 2+1
    S: * 1 FETCH (UID 2)
    S: b OK Done
    S: c BAD No such message
    "#);
    insta::assert_snapshot!(play(r#"M: expunge 1 | B: a UID SEARCH 2:3\r\nb UID SEARCH 2:3\r\n"#), @r#"
    M: expunge 1
    B: a UID SEARCH 2:3\r\nb UID SEARCH 2:3\r\n
    Q: search
    S: * SEARCH 2 3
    Q: changes
    S: * 1 EXPUNGE
    S: a OK Done
    S: b BAD No such message
    "#);
}

/// RFC 9051 §5.5's valid sequences.
#[test]
fn rfc9051_5_5_valid_sequences() {
    insta::assert_snapshot!(play(r#"M: expunge 2 | B: a FETCH 1 FLAGS\r\nb STORE 1 +FLAGS (\Deleted)\r\nc SEARCH DELETED\r\nd NOOP\r\n"#), @r#"
    M: expunge 2
    B: a FETCH 1 FLAGS\r\nb STORE 1 +FLAGS (\Deleted)\r\nc SEARCH DELETED\r\nd NOOP\r\n
    Q: fetch 1+1
    S: * 1 FETCH (FLAGS (\Recent))
    Q: changes but expunges
    S: a OK Done
    Q: store 1 Add
    S: * 1 FETCH (FLAGS (\Deleted \Recent))
    S: b OK Stored
    Q: search
    S: * SEARCH 1
    S: c OK Done
    Q: changes
    S: * 2 EXPUNGE
    S: d OK Done
    "#);
    insta::assert_snapshot!(play(r#"C: x CREATE y | M: expunge 2 | B: a STORE 1 +FLAGS.SILENT (\Deleted)\r\nb COPY 1 y\r\nc EXPUNGE\r\n"#), @r"
    C: x CREATE y
    Q: create y
    S: x OK [MAILBOXID (F00000000000000000000000000000008)] Created
    M: expunge 2
    B: a STORE 1 +FLAGS.SILENT (\Deleted)\r\nb COPY 1 y\r\nc EXPUNGE\r\n
    Q: store 1 Add
    Q: changes but expunges
    S: a OK Stored
    Q: copy 1 y
    Q: changes
    S: * 2 EXPUNGE
    S: b OK [COPYUID 8 1 1] Copied
    Q: expunge
    Q: changes
    S: * 1 EXPUNGE
    S: c OK Expunged
    ");
}

/// RFC 5182 §2.2, RFC 9051 §6.4.4.2: a saved result is of the SEARCH before it.
#[test]
fn rfc5182_2_2_a_saved_result_pipelined() {
    insta::assert_snapshot!(play(r#"B: a SEARCH RETURN (SAVE) 2:3\r\nb FETCH $ UID\r\nc SEARCH RETURN (SAVE) 1\r\nd FETCH $ UID\r\n"#), @r#"
    B: a SEARCH RETURN (SAVE) 2:3\r\nb FETCH $ UID\r\nc SEARCH RETURN (SAVE) 1\r\nd FETCH $ UID\r\n
    Q: search
    S: a OK Done
    Q: fetch 2+2
    S: * 2 FETCH (UID 2)
    S: * 3 FETCH (UID 3)
    S: b OK Done
    Q: search
    S: c OK Done
    Q: fetch 1+1
    S: * 1 FETCH (UID 1)
    S: d OK Done
    "#);
}

/// RFC 9051 §5.5: a continuation is settled before the next command begins.
#[test]
fn rfc9051_5_5_continuations_come_first() {
    insta::assert_snapshot!(play_user(r#"B: a CREATE {1}\r\nx\r\nb STATUS {1}\r\nx (MESSAGES)\r\nc IDLE\r\nDONE\r\nd NOOP\r\n"#), @r#"
    B: a CREATE {1}\r\nx\r\nb STATUS {1}\r\nx (MESSAGES)\r\nc IDLE\r\nDONE\r\nd NOOP\r\n
    S: + OK
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    S: + OK
    Q: status x
    S: * STATUS "x" (MESSAGES 0)
    S: b OK Done
    S: + idling
    S: c OK Done
    S: d OK Done
    "#);
}

/// RFC 9051 §6.3.1: nothing limits it.
#[test]
fn rfc9051_6_3_1_login_enable_and_select_at_once() {
    let stage = Stage { before: "C: 0 NOOP", ..Stage::default() };
    insta::assert_snapshot!(stage.play(r#"B: a LOGIN u pw\r\nb ENABLE IMAP4rev2\r\nc SELECT INBOX\r\nd UID SEARCH ALL\r\n"#), @r#"
    B: a LOGIN u pw\r\nb ENABLE IMAP4rev2\r\nc SELECT INBOX\r\nd UID SEARCH ALL\r\n
    Q: login u
    S: a OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    S: * ENABLED IMAP4rev2
    S: b OK Done
    Q: select INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 3 EXISTS
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: * LIST (\HasNoChildren) "/" "INBOX"
    S: c OK [READ-WRITE] Selected
    Q: search
    S: * ESEARCH (TAG "d") UID ALL 1:3
    S: d OK Done
    "#);
}

/// Nothing is started for who has left no room: all of the burst waits, none of it is lost.
#[test]
fn rfc9051_5_5_a_burst_behind_an_unread_answer() {
    insta::assert_snapshot!(play(r#"E: stall | B: a NOOP\r\nb FETCH 1 UID\r\nc NOOP\r\n | E: read"#), @r#"
    E: stall
    B: a NOOP\r\nb FETCH 1 UID\r\nc NOOP\r\n
    Q: changes
    Q: fetch 1+1
    Q: changes
    E: read
    S: a OK Done
    S: * 1 FETCH (UID 1)
    S: b OK Done
    S: c OK Done
    "#);
}

#[test]
fn rfc9051_5_4_thirty_minutes_without_a_command() {
    insta::assert_snapshot!(play_user("T: +29m | C: a NOOP | T: +29m | T: +59s | B: b NO | T: +1s"), @r#"
    T: +29m
    C: a NOOP
    S: a OK Done
    T: +29m
    T: +59s
    B: b NO
    T: +1s
    S: * BYE Idle for too long
    X: close
    "#);
    insta::assert_snapshot!(play("T: +29m | C: a UID FETCH 1 UID | T: +29m | T: +60s"), @r#"
    T: +29m
    C: a UID FETCH 1 UID
    Q: fetch 1+1
    S: * 1 FETCH (UID 1)
    S: a OK Done
    T: +29m
    T: +60s
    S: * BYE Idle for too long
    X: close
    "#);
}

/// A byte now and then, or a command, gains nothing before login.
#[test]
fn rfc9051_5_4_sixty_seconds_in_all_before_login() {
    let stage = Stage { before: "C: 0 NOOP", ..Stage::default() };
    insta::assert_snapshot!(stage.play("T: +30s | C: a NOOP | T: +20s | B: b LOG | T: +9s | B: IN u | T: +1s"), @r#"
    T: +30s
    C: a NOOP
    S: a OK Done
    T: +20s
    B: b LOG
    T: +9s
    B: IN u
    T: +1s
    S: * BYE Too long without login
    X: close
    "#);
    insta::assert_snapshot!(stage.play("C: a AUTHENTICATE PLAIN | T: +59s | T: +1s"), @r#"
    C: a AUTHENTICATE PLAIN
    S: + 
    T: +59s
    T: +1s
    S: * BYE Too long without login
    X: close
    "#);
    insta::assert_snapshot!(stage.play("T: +59s | C: a LOGIN u pw | T: +29m | C: b NOOP"), @r#"
    T: +59s
    C: a LOGIN u pw
    Q: login u
    S: a OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    T: +29m
    C: b NOOP
    S: b OK Done
    "#);
}
