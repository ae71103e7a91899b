//! What names things and bounds them: OBJECTID (RFC 8474), APPENDLIMIT (RFC 7889), SAVEDATE (RFC 8514).

use imap_proto::{Config, Limits};

use crate::play::{Stage, play, play_user};

/// Logged in where a message may have five bytes.
fn play_small(script: &str) -> String {
    let limits = Limits { append: 5, ..Limits::default() };
    let config = Config { limits, ..Config::default() };
    Stage { before: "C: 0 LOGIN u pw", config, ..Stage::default() }.play(script)
}

#[test]
fn rfc8474_4_1_create_tells_the_id() {
    insta::assert_snapshot!(play_user(r#"C: a CREATE foo | C: b CREATE foo"#), @r#"
    C: a CREATE foo
    Q: create foo
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b CREATE foo
    Q: create foo
    S: b NO [ALREADYEXISTS] There is such a mailbox
    "#);
}

#[test]
fn rfc8474_4_2_select_and_examine_tell_the_id() {
    insta::assert_snapshot!(play_user(r#"C: a CREATE foo | C: b SELECT foo | C: c EXAMINE foo"#), @r#"
    C: a CREATE foo
    Q: create foo
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b SELECT foo
    Q: select foo
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 0 EXISTS
    S: * 0 RECENT
    S: * OK [UIDVALIDITY 8] UIDs are valid
    S: * OK [UIDNEXT 1] Next UID
    S: * OK [HIGHESTMODSEQ 1] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000008)] Mailbox's id
    S: b OK [READ-WRITE] Selected
    C: c EXAMINE foo
    S: * OK [CLOSED] Previous mailbox is closed
    Q: examine foo
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS ()] Flags that are kept
    S: * 0 EXISTS
    S: * 0 RECENT
    S: * OK [UIDVALIDITY 8] UIDs are valid
    S: * OK [UIDNEXT 1] Next UID
    S: * OK [HIGHESTMODSEQ 1] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000008)] Mailbox's id
    S: c OK [READ-ONLY] Selected
    "#);
}

#[test]
fn rfc8474_4_3_status_tells_the_id_and_rename_keeps_it() {
    insta::assert_snapshot!(play_user(r#"C: a CREATE foo | C: b STATUS foo (mailboxid) | C: c RENAME foo renamed | C: d STATUS renamed (MESSAGES MAILBOXID UIDNEXT) | C: e LIST "" * RETURN (STATUS (MAILBOXID))"#), @r#"
    C: a CREATE foo
    Q: create foo
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b STATUS foo (mailboxid)
    Q: status foo
    S: * STATUS "foo" (MAILBOXID (F00000000000000000000000000000008))
    S: b OK Done
    C: c RENAME foo renamed
    Q: rename foo renamed
    S: c OK Renamed
    C: d STATUS renamed (MESSAGES MAILBOXID UIDNEXT)
    Q: status renamed
    S: * STATUS "renamed" (MESSAGES 0 UIDNEXT 1 MAILBOXID (F00000000000000000000000000000008))
    S: d OK Done
    C: e LIST "" * RETURN (STATUS (MAILBOXID))
    Q: names
    S: * LIST (\HasNoChildren) "/" "INBOX"
    Q: status INBOX
    S: * STATUS "INBOX" (MAILBOXID (F00000000000000000000000000000007))
    S: * LIST (\HasNoChildren) "/" "renamed"
    Q: status renamed
    S: * STATUS "renamed" (MAILBOXID (F00000000000000000000000000000008))
    S: e OK Done
    "#);
}

#[test]
fn rfc8474_5_3_fetch_emailid_and_threadid() {
    insta::assert_snapshot!(play(r#"C: a FETCH 1:2 (EMAILID THREADID) | C: b UID FETCH 3 emailid | C: c FETCH 1 THREADID"#), @r"
    C: a FETCH 1:2 (EMAILID THREADID)
    Q: fetch 1+2
    S: * 1 FETCH (EMAILID (M00000000000000000000000700000001) THREADID (Ta4a7adaed066ebbfbd1b180b01de6883))
    S: * 2 FETCH (EMAILID (M00000000000000000000000700000002) THREADID (T54b462f65d72ec96518277d8f7be4311))
    S: a OK Done
    C: b UID FETCH 3 emailid
    Q: fetch 3+1
    S: * 3 FETCH (UID 3 EMAILID (M00000000000000000000000700000003))
    S: b OK Done
    C: c FETCH 1 THREADID
    Q: fetch 1+1
    S: * 1 FETCH (THREADID (Ta4a7adaed066ebbfbd1b180b01de6883))
    S: c OK Done
    ");
}

/// Messages of a thread have one id, whether its first message is there or not, in whatever mailbox; a message without
/// any ID has one of its own, as its copies have.
#[test]
fn rfc8474_5_2_threadid() {
    let mail = "C: 0 LOGIN u pw \
        | M: mail Message-ID: <1@x>\\n \
        | M: mail Message-ID: <2@x>\\nReferences: <\"1\"@x>\\n \
        | M: mail Message-ID: <3@x>\\nIn-Reply-To: Ann's mail <gone@x>\\n \
        | M: mail Message-ID: <4@x>\\nReferences: <1@x> <2@x>\\nIn-Reply-To: <3@x>\\n \
        | M: mail References: none\\nMessage-ID: <5@x>\\nIn-Reply-To: <gone@x>\\n \
        | M: mail X: none \
        | M: mail X: none \
        | C: 0 SELECT INBOX";
    let stage = || Stage { messages: 0, before: mail, ..Stage::default() };
    insta::assert_snapshot!(stage().play("C: a FETCH 1:* THREADID | C: s SEARCH THREADID T0fdac4cd5b18349a24f0475ca85857a2 | C: t SEARCH OR NOT THREADID T0fdac4cd5b18349a24f0475ca85857a2 1 | C: b CREATE x | C: c COPY 4,6 x | C: d MOVE 2 x | C: e SELECT x | C: f FETCH 1:* (EMAILID THREADID)"), @r"
    C: a FETCH 1:* THREADID
    Q: fetch 1+7
    S: * 1 FETCH (THREADID (T0fdac4cd5b18349a24f0475ca85857a2))
    S: * 2 FETCH (THREADID (T0fdac4cd5b18349a24f0475ca85857a2))
    S: * 3 FETCH (THREADID (T2feced7383b83589d009e642377e31d3))
    S: * 4 FETCH (THREADID (T0fdac4cd5b18349a24f0475ca85857a2))
    S: * 5 FETCH (THREADID (T2feced7383b83589d009e642377e31d3))
    S: * 6 FETCH (THREADID (Tefe88b1c05b6e40ce6dc0fd7e332df82))
    S: * 7 FETCH (THREADID (Tc4567036cff64b7af3d081b1a20f6956))
    S: a OK Done
    C: s SEARCH THREADID T0fdac4cd5b18349a24f0475ca85857a2
    Q: search
    S: * SEARCH 1 2 4
    S: s OK Done
    C: t SEARCH OR NOT THREADID T0fdac4cd5b18349a24f0475ca85857a2 1
    Q: search
    S: * SEARCH 1 3 5 6 7
    S: t OK Done
    C: b CREATE x
    Q: create x
    S: b OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: c COPY 4,6 x
    Q: copy 4,6 x
    S: c OK [COPYUID 8 4,6 1:2] Copied
    C: d MOVE 2 x
    Q: move 2 x
    S: * OK [COPYUID 8 2 3] Moved
    Q: changes
    S: * 2 EXPUNGE
    S: d OK Moved
    C: e SELECT x
    S: * OK [CLOSED] Previous mailbox is closed
    Q: select x
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 3 EXISTS
    S: * 3 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 8] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000008)] Mailbox's id
    S: e OK [READ-WRITE] Selected
    C: f FETCH 1:* (EMAILID THREADID)
    Q: fetch 1+3
    S: * 1 FETCH (EMAILID (M00000000000000000000000700000004) THREADID (T0fdac4cd5b18349a24f0475ca85857a2))
    S: * 2 FETCH (EMAILID (M00000000000000000000000700000006) THREADID (Tefe88b1c05b6e40ce6dc0fd7e332df82))
    S: * 3 FETCH (EMAILID (M00000000000000000000000700000002) THREADID (T0fdac4cd5b18349a24f0475ca85857a2))
    S: f OK Done
    ");
}

#[test]
fn rfc8474_5_1_a_copy_keeps_the_emailid() {
    insta::assert_snapshot!(play(r#"C: a CREATE x | C: b COPY 2 x | C: c MOVE 1 x | C: d FETCH 1 EMAILID | C: e SELECT x | C: f FETCH 1:2 (EMAILID)"#), @r#"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b COPY 2 x
    Q: copy 2 x
    S: b OK [COPYUID 8 2 1] Copied
    C: c MOVE 1 x
    Q: move 1 x
    S: * OK [COPYUID 8 1 2] Moved
    Q: changes
    S: * 1 EXPUNGE
    S: c OK Moved
    C: d FETCH 1 EMAILID
    Q: fetch 2+1
    S: * 1 FETCH (EMAILID (M00000000000000000000000700000002))
    S: d OK Done
    C: e SELECT x
    S: * OK [CLOSED] Previous mailbox is closed
    Q: select x
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 2 EXISTS
    S: * 2 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 8] UIDs are valid
    S: * OK [UIDNEXT 3] Next UID
    S: * OK [HIGHESTMODSEQ 3] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000008)] Mailbox's id
    S: e OK [READ-WRITE] Selected
    C: f FETCH 1:2 (EMAILID)
    Q: fetch 1+2
    S: * 1 FETCH (EMAILID (M00000000000000000000000700000002))
    S: * 2 FETCH (EMAILID (M00000000000000000000000700000001))
    S: f OK Done
    "#);
}

#[test]
fn rfc8474_6_search_emailid_and_threadid() {
    insta::assert_snapshot!(play(r#"C: a FETCH 2 EMAILID | C: b SEARCH EMAILID M00000000000000000000000700000002 | C: c SEARCH EMAILID m00000000000000000000000700000002 | C: d SEARCH NOT EMAILID M00000000000000000000000700000002 | C: e SEARCH THREADID T64b478a75b7ea9 | C: f SEARCH OR THREADID T1 2 | C: g FETCH 1:* THREADID"#), @r"
    C: a FETCH 2 EMAILID
    Q: fetch 2+1
    S: * 2 FETCH (EMAILID (M00000000000000000000000700000002))
    S: a OK Done
    C: b SEARCH EMAILID M00000000000000000000000700000002
    Q: search
    S: * SEARCH 2
    S: b OK Done
    C: c SEARCH EMAILID m00000000000000000000000700000002
    Q: search
    S: * SEARCH
    S: c OK Done
    C: d SEARCH NOT EMAILID M00000000000000000000000700000002
    Q: search
    S: * SEARCH 1 3
    S: d OK Done
    C: e SEARCH THREADID T64b478a75b7ea9
    Q: search
    S: * SEARCH
    S: e OK Done
    C: f SEARCH OR THREADID T1 2
    Q: search
    S: * SEARCH 2
    S: f OK Done
    C: g FETCH 1:* THREADID
    Q: fetch 1+3
    S: * 1 FETCH (THREADID (Ta4a7adaed066ebbfbd1b180b01de6883))
    S: * 2 FETCH (THREADID (T54b462f65d72ec96518277d8f7be4311))
    S: * 3 FETCH (THREADID (T22302525a432e8c8217bd8b86e64fbc8))
    S: g OK Done
    ");
}

#[test]
fn rfc8474_7_object_ids_have_few_characters() {
    insta::assert_snapshot!(play(r#"C: a SEARCH EMAILID | C: b SEARCH EMAILID "M1" | C: c SEARCH THREADID a.b | C: d SEARCH EMAILID a_-Z9 | C: e SEARCH EMAILID aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | C: f SEARCH EMAILID aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"#), @r#"
    C: a SEARCH EMAILID
    S: a BAD Expected a space
    C: b SEARCH EMAILID "M1"
    S: b BAD Expected an object id
    C: c SEARCH THREADID a.b
    S: c BAD Expected a space
    C: d SEARCH EMAILID a_-Z9
    Q: search
    S: * SEARCH
    S: d OK Done
    C: e SEARCH EMAILID aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    Q: search
    S: * SEARCH
    S: e OK Done
    C: f SEARCH EMAILID aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    S: f BAD Expected an object id
    "#);
}

#[test]
fn rfc7889_3_status_appendlimit() {
    insta::assert_snapshot!(play_small(r#"C: a STATUS INBOX (APPENDLIMIT) | C: b LIST "" INBOX RETURN (STATUS (MESSAGES APPENDLIMIT))"#), @r#"
    C: a STATUS INBOX (APPENDLIMIT)
    Q: status INBOX
    S: * STATUS "INBOX" (APPENDLIMIT 5)
    S: a OK Done
    C: b LIST "" INBOX RETURN (STATUS (MESSAGES APPENDLIMIT))
    Q: names
    S: * LIST (\HasNoChildren) "/" "INBOX"
    Q: status INBOX
    S: * STATUS "INBOX" (MESSAGES 3 APPENDLIMIT 5)
    S: b OK Done
    "#);
}

#[test]
fn rfc7889_4_toobig_before_the_literal_is_read() {
    insta::assert_snapshot!(play_small(r#"C: a CAPABILITY | C: b APPEND INBOX {5} | B: hello\r\n | C: c APPEND INBOX {6} | C: d NOOP"#), @r#"
    C: a CAPABILITY
    S: * CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=5
    S: a OK Done
    C: b APPEND INBOX {5}
    Q: append 5 to INBOX
    S: + OK
    B: hello\r\n
    Q: body 5
    Q: commit
    S: b OK [APPENDUID 7 4] Appended
    C: c APPEND INBOX {6}
    S: c NO [TOOBIG] Message is too large, or there are too many
    C: d NOOP
    S: d OK Done
    "#);
}

#[test]
fn rfc8514_4_save_dates() {
    insta::assert_snapshot!(play(r#"C: a FETCH 1 SAVEDATE | C: b SEARCH SAVEDON 16-Jul-1996 | C: c SEARCH SAVEDBEFORE 16-Jul-1996 | C: d SEARCH SAVEDSINCE 16-Jul-1996 | C: e SEARCH SAVEDATESUPPORTED | C: f SEARCH SAVEDON x"#), @r#"
    C: a FETCH 1 SAVEDATE
    Q: fetch 1+1
    S: * 1 FETCH (SAVEDATE "16-Jul-1996 19:44:25 -0700")
    S: a OK Done
    C: b SEARCH SAVEDON 16-Jul-1996
    Q: search
    S: * SEARCH 1 2 3
    S: b OK Done
    C: c SEARCH SAVEDBEFORE 16-Jul-1996
    Q: search
    S: * SEARCH
    S: c OK Done
    C: d SEARCH SAVEDSINCE 16-Jul-1996
    Q: search
    S: * SEARCH 1 2 3
    S: d OK Done
    C: e SEARCH SAVEDATESUPPORTED
    Q: search
    S: * SEARCH 1 2 3
    S: e OK Done
    C: f SEARCH SAVEDON x
    S: f BAD Expected a date such as 1-Feb-1994
    "#);
}
