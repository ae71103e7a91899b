//! APPEND.

use imap_proto::model::{Driver, Happening, Model};
use imap_proto::{Answer, Code, Config, Peer};

use crate::play::{play, play_user};

#[test]
fn the_store_is_asked_before_the_literal() {
    insta::assert_snapshot!(play_user(r#"C: a APPEND INBOX {5} | B: hello\r\n | C: b APPEND nope {5} | C: c NOOP"#), @r#"
    C: a APPEND INBOX {5}
    Q: append 5 to INBOX
    S: + OK
    B: hello\r\n
    Q: body 5
    Q: commit
    S: a OK [APPENDUID 7 4] Appended
    C: b APPEND nope {5}
    Q: append 5 to nope
    S: b NO [TRYCREATE] No such mailbox
    C: c NOOP
    S: c OK Done
    "#);
}

#[test]
fn flags_and_date() {
    insta::assert_snapshot!(play_user(r#"C: a APPEND INBOX (\Seen $Junk) "17-Jul-1996 02:44:25 -0700" {5+} | B: hello\r\n | C: b SELECT INBOX | C: c FETCH 4 (FLAGS INTERNALDATE RFC822.SIZE)"#), @r#"
    C: a APPEND INBOX (\Seen $Junk) "17-Jul-1996 02:44:25 -0700" {5+}
    Q: append 5 to INBOX
    B: hello\r\n
    Q: body 5
    Q: commit
    S: a OK [APPENDUID 7 4] Appended
    C: b SELECT INBOX
    Q: select INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 4 EXISTS
    S: * 4 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 5] Next UID
    S: * OK [HIGHESTMODSEQ 5] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: b OK [READ-WRITE] Selected
    C: c FETCH 4 (FLAGS INTERNALDATE RFC822.SIZE)
    Q: fetch 4+1
    S: * 4 FETCH (FLAGS (\Seen $Junk \Recent) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 5)
    S: c OK Done
    "#);
}

#[test]
fn rfc4315_3_into_the_selected_mailbox() {
    insta::assert_snapshot!(play(r#"C: a APPEND inbox {5+} | B: hello\r\n"#), @r#"
    C: a APPEND inbox {5+}
    Q: append 5 to INBOX
    B: hello\r\n
    Q: body 5
    Q: commit
    Q: changes
    S: * 4 EXISTS
    S: * 4 RECENT
    S: a OK [APPENDUID 7 4] Appended
    "#);
}

#[test]
fn imapclient_puts_two_spaces_between_messages() {
    insta::assert_snapshot!(play_user(r#"C: a APPEND INBOX {2+} | B: ab  {2+}\r\ncd\r\n | C: b APPEND INBOX  {2+} | C: ef | C: c APPEND INBOX {2+} | B: ab   {2+}\r\ncd\r\n"#), @r"
    C: a APPEND INBOX {2+}
    Q: append 2 to INBOX
    B: ab  {2+}\r\ncd\r\n
    Q: body 2
    Q: append 2 to INBOX, next
    Q: body 2
    Q: commit
    S: a OK [APPENDUID 7 4:5] Appended
    C: b APPEND INBOX  {2+}
    C: ef
    S: b BAD Expected a message as a literal
    C: c APPEND INBOX {2+}
    Q: append 2 to INBOX
    B: ab   {2+}\r\ncd\r\n
    Q: body 2
    S: c BAD Expected a message as a literal
    Q: abort
    ");
}

#[test]
fn rfc3502_6_3_11_many_at_once() {
    insta::assert_snapshot!(play_user(r#"C: a APPEND INBOX {2+} | C: ab (\Seen) {2} | B: cd {0+}\r\n\r\n"#), @r#"
    C: a APPEND INBOX {2+}
    Q: append 2 to INBOX
    C: ab (\Seen) {2}
    Q: body 2
    Q: append 2 to INBOX, next
    S: + OK
    B: cd {0+}\r\n\r\n
    Q: body 2
    Q: append 0 to INBOX, next
    Q: commit
    S: a OK [APPENDUID 7 4:6] Appended
    "#);
}

#[test]
fn row_60_nothing_too_large_and_the_kth_fails() {
    insta::assert_snapshot!(play_user("C: a APPEND INBOX {0} | C:  | C: b APPEND INBOX {99999999} | C: c APPEND INBOX {2+} | C: ab {99999999} | C: d APPEND INBOX {2+} | C: ab X | C: e STATUS INBOX (MESSAGES)"), @r#"
    C: a APPEND INBOX {0}
    Q: append 0 to INBOX
    S: + OK
    C: 
    Q: commit
    S: a OK [APPENDUID 7 4] Appended
    C: b APPEND INBOX {99999999}
    S: b NO [TOOBIG] Message is too large, or there are too many
    C: c APPEND INBOX {2+}
    Q: append 2 to INBOX
    C: ab {99999999}
    Q: body 2
    S: c NO [TOOBIG] Message is too large, or there are too many
    Q: abort
    C: d APPEND INBOX {2+}
    Q: append 2 to INBOX
    C: ab X
    Q: body 2
    S: d BAD Expected the end of the command
    Q: abort
    C: e STATUS INBOX (MESSAGES)
    Q: status INBOX
    S: * STATUS "INBOX" (MESSAGES 4)
    S: e OK Done
    "#);
}

#[test]
fn row_60_too_large_and_not_to_be_stopped() {
    insta::assert_snapshot!(play_user("C: a APPEND INBOX {99999999+} | C: b NOOP"), @r#"
    C: a APPEND INBOX {99999999+}
    S: a NO [TOOBIG] Message is too large, or there are too many
    S: * BYE [TOOBIG] Message is too large
    X: close
    C: b NOOP
    "#);
}

#[test]
fn refused_while_it_comes_anyway() {
    insta::assert_snapshot!(play_user(r#"C: a APPEND nope {7+} | B: b NOOP\r\n | C: c NOOP"#), @r#"
    C: a APPEND nope {7+}
    Q: append 7 to nope
    B: b NOOP\r\n
    S: a NO [TRYCREATE] No such mailbox
    Q: abort
    C: c NOOP
    S: c OK Done
    "#);
}

#[test]
fn row_06_nul_in_a_message() {
    insta::assert_snapshot!(play_user(r#"C: a APPEND INBOX {5+} | B: he\0lo\r\n | C: b APPEND INBOX ~{5+} | B: he\0lo\r\n"#), @r#"
    C: a APPEND INBOX {5+}
    Q: append 5 to INBOX
    B: he\0lo\r\n
    Q: body 5
    S: a BAD NUL is not allowed here
    Q: abort
    C: b APPEND INBOX ~{5+}
    Q: append 5 to INBOX, binary
    B: he\0lo\r\n
    Q: body 5
    Q: commit
    S: b OK [APPENDUID 7 4] Appended
    "#);
}

#[test]
fn wrong() {
    insta::assert_snapshot!(play_user(r#"C: a APPEND INBOX | C: b APPEND INBOX (\Recent) {1} | C: c APPEND INBOX "x" {1} | C: d APPEND .. {1} | C: e APPEND INBOX x {3+} | B: x\r\n\r\n | C: f NOOP"#), @r#"
    C: a APPEND INBOX
    S: a BAD Expected a message as a literal
    C: b APPEND INBOX (\Recent) {1}
    S: b BAD Unknown system flag
    C: c APPEND INBOX "x" {1}
    S: c BAD Expected a date and time
    C: d APPEND .. {1}
    S: d NO [CANNOT] Mailbox name has a component of dots
    C: e APPEND INBOX x {3+}
    B: x\r\n\r\n
    S: e BAD Expected a message as a literal
    C: f NOOP
    S: f OK Done
    "#);
}

#[test]
fn the_name_as_a_literal() {
    insta::assert_snapshot!(play_user("C: a APPEND {5+} | C: INBOX {2+} | C: ab | C: b APPEND {5} | C: INBOX {2} | C: ab"), @r#"
    C: a APPEND {5+}
    C: INBOX {2+}
    Q: append 2 to INBOX
    C: ab
    Q: body 2
    Q: commit
    S: a OK [APPENDUID 7 4] Appended
    C: b APPEND {5}
    S: + OK
    C: INBOX {2}
    Q: append 2 to INBOX
    S: + OK
    C: ab
    Q: body 2
    Q: commit
    S: b OK [APPENDUID 7 5] Appended
    "#);
}

#[test]
fn end_of_input_in_a_message() {
    insta::assert_snapshot!(play_user("C: a APPEND INBOX {5+} | B: he | E: eof"), @r#"
    C: a APPEND INBOX {5+}
    Q: append 5 to INBOX
    B: he
    Q: body 2
    E: eof
    Q: abort
    X: close
    "#);
}

/// The disk fills up while the message comes.
#[test]
fn refused_while_it_comes() {
    let mut driver =
        Driver::new(Config::default(), Peer { tls: true, loopback: false }, Model::new(0));
    driver.receive(b"a LOGIN u pw\r\nb APPEND INBOX {10}\r\n12345");
    driver.log.clear();
    let no = Answer::No { code: Some(Code::OverQuota), text: "Full".into() };
    driver.answer_last(no);
    driver.receive(b"67890\r\nc NOOP\r\n");
    assert_eq!(
        driver.log,
        [
            Happening::Sent(b"b NO [OVERQUOTA] Full\r\n".to_vec()),
            Happening::Asked("abort".into()),
            Happening::Sent(b"c OK Done\r\n".to_vec())
        ]
    );
}
