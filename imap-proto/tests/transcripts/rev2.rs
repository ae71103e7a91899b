//! What ENABLE IMAP4rev2 changes (RFC 9051 appendix E), and what it leaves.

use crate::play::Stage;

/// Logged in, IMAP4rev2 enabled.
fn play_user(script: &str) -> String {
    Stage { before: "C: 0 LOGIN u pw | C: 0 ENABLE IMAP4rev2", ..Stage::default() }.play(script)
}

/// The same, with an INBOX of three messages selected.
fn play(script: &str) -> String {
    let before = "C: 0 LOGIN u pw | C: 0 ENABLE IMAP4rev2 | C: 0 SELECT INBOX";
    Stage { before, ..Stage::default() }.play(script)
}

#[test]
fn rfc9051_6_3_2_select_tells_a_name_it_was_not_called() {
    insta::assert_snapshot!(play_user("C: a CREATE x/y (USE (\\Sent)) | C: b SELECT inbox | C: c SELECT INBOX | C: d EXAMINE x | C: e SELECT x/y"), @r#"
    C: a CREATE x/y (USE (\Sent))
    Q: create x/y [Sent]
    S: a OK [MAILBOXID (F00000000000000000000000000000009)] Created
    C: b SELECT inbox
    Q: select INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 3 EXISTS
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: * LIST (\HasNoChildren) "/" "INBOX" ("OLDNAME" ("inbox"))
    S: b OK [READ-WRITE] Selected
    C: c SELECT INBOX
    S: * OK [CLOSED] Previous mailbox is closed
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
    C: d EXAMINE x
    S: * OK [CLOSED] Previous mailbox is closed
    Q: examine x
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS ()] Flags that are kept
    S: * 0 EXISTS
    S: * OK [UIDVALIDITY 8] UIDs are valid
    S: * OK [UIDNEXT 1] Next UID
    S: * OK [HIGHESTMODSEQ 1] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000008)] Mailbox's id
    S: * LIST (\HasChildren) "/" "x"
    S: d OK [READ-ONLY] Selected
    C: e SELECT x/y
    S: * OK [CLOSED] Previous mailbox is closed
    Q: select x/y
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 0 EXISTS
    S: * OK [UIDVALIDITY 9] UIDs are valid
    S: * OK [UIDNEXT 1] Next UID
    S: * OK [HIGHESTMODSEQ 1] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000009)] Mailbox's id
    S: * LIST (\HasNoChildren \Sent) "/" "x/y"
    S: e OK [READ-WRITE] Selected
    "#);
}

/// RFC 9051 §6.3.4, §6.3.5, §6.3.6: and nothing where the name is as it was written.
#[test]
fn rfc9051_6_3_9_7_old_names() {
    insta::assert_snapshot!(play_user("C: a CREATE inbox/a/ | C: b CREATE INBOX/b/ | C: c RENAME inbox/a InBoX/c | C: d DELETE iNBOX/c | C: e DELETE INBOX/b | C: f DELETE inbox/none"), @r#"
    C: a CREATE inbox/a/
    Q: create INBOX/a
    S: * LIST () "/" "INBOX/a" ("OLDNAME" ("inbox/a/"))
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b CREATE INBOX/b/
    Q: create INBOX/b
    S: b OK [MAILBOXID (F00000000000000000000000000000009)] Created
    C: c RENAME inbox/a InBoX/c
    Q: rename INBOX/a INBOX/c
    S: * LIST () "/" "INBOX/c" ("OLDNAME" ("inbox/a"))
    S: c OK Renamed
    C: d DELETE iNBOX/c
    Q: delete INBOX/c
    S: * LIST (\NonExistent) "/" "INBOX/c" ("OLDNAME" ("iNBOX/c"))
    S: d OK Deleted
    C: e DELETE INBOX/b
    Q: delete INBOX/b
    S: e OK Deleted
    C: f DELETE inbox/none
    Q: delete INBOX/none
    S: f NO [NONEXISTENT] No such mailbox
    "#);
}

#[test]
fn rfc9051_5_1_names_are_utf8_and_normalized() {
    insta::assert_snapshot!(play_user(r#"C: a CREATE "Entwürfe" | C: b CREATE "Entwu\u{308}rfe" | C: c LIST "" "Entw*" | C: d STATUS "Entwürfe" (MESSAGES) | B: e SUBSCRIBE {9+}\r\nEntwürfe\r\n | C: f CREATE "&APw-" | C: g LIST "" &%"#.replace("\\u{308}", "\u{308}").as_str()), @r#"
    C: a CREATE "Entwürfe"
    Q: create Entwürfe
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b CREATE "Entwürfe"
    S: b NO [CANNOT] Mailbox name is not normalized (NFC)
    C: c LIST "" "Entw*"
    Q: names
    S: * LIST (\HasNoChildren) "/" "Entwürfe"
    S: c OK Done
    C: d STATUS "Entwürfe" (MESSAGES)
    Q: status Entwürfe
    S: * STATUS "Entwürfe" (MESSAGES 0)
    S: d OK Done
    B: e SUBSCRIBE {9+}\r\nEntwürfe\r\n
    Q: subscribe Entwürfe
    S: e OK Subscribed
    C: f CREATE "&APw-"
    Q: create &APw-
    S: f OK [MAILBOXID (F00000000000000000000000000000009)] Created
    C: g LIST "" &%
    Q: names
    S: * LIST (\HasNoChildren) "/" "&APw-"
    S: g OK Done
    "#);
}

#[test]
fn rfc9051_5_1_names_in_modified_utf7_before() {
    let stage = Stage { before: "C: 0 LOGIN u pw", ..Stage::default() };
    insta::assert_snapshot!(stage.play(r#"C: a CREATE "Entw&APw-rfe" | C: b CREATE "ü" | C: c LIST "" * | C: d CREATE "u&Awg-" | C: e ENABLE IMAP4rev2 | C: f LIST "" *"#), @r#"
    C: a CREATE "Entw&APw-rfe"
    Q: create Entwürfe
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b CREATE "ü"
    S: b NO [CANNOT] Mailbox name is not properly encoded
    C: c LIST "" *
    Q: names
    S: * LIST (\HasNoChildren) "/" "Entw&APw-rfe"
    S: * LIST (\HasNoChildren) "/" "INBOX"
    S: c OK Done
    C: d CREATE "u&Awg-"
    S: d NO [CANNOT] Mailbox name is not normalized (NFC)
    C: e ENABLE IMAP4rev2
    S: * ENABLED IMAP4rev2
    S: e OK Done
    C: f LIST "" *
    Q: names
    S: * LIST (\HasNoChildren) "/" "Entwürfe"
    S: * LIST (\HasNoChildren) "/" "INBOX"
    S: f OK Done
    "#);
}

#[test]
fn rfc9051_6_3_11_status_has_no_recent() {
    insta::assert_snapshot!(play_user("C: a STATUS INBOX (MESSAGES RECENT UNSEEN DELETED SIZE) | C: b STATUS INBOX (RECENT) | C: c LIST \"\" INBOX RETURN (STATUS (MESSAGES RECENT))"), @r#"
    C: a STATUS INBOX (MESSAGES RECENT UNSEEN DELETED SIZE)
    Q: status INBOX
    S: * STATUS "INBOX" (MESSAGES 3 UNSEEN 3 DELETED 0 SIZE 156)
    S: a OK Done
    C: b STATUS INBOX (RECENT)
    Q: status INBOX
    S: * STATUS "INBOX" ()
    S: b OK Done
    C: c LIST "" INBOX RETURN (STATUS (MESSAGES RECENT))
    Q: names
    S: * LIST (\HasNoChildren) "/" "INBOX"
    Q: status INBOX
    S: * STATUS "INBOX" (MESSAGES 3)
    S: c OK Done
    "#);
}

#[test]
fn rfc9051_7_3_4_every_search_is_answered_by_esearch() {
    insta::assert_snapshot!(play("C: a SEARCH ALL | C: b UID SEARCH 2:3 | C: c SEARCH SEEN | C: d SEARCH RETURN () 1 | C: e SEARCH RETURN (MIN MAX COUNT) ALL | C: f UID SEARCH RETURN (SAVE) 2:3 | C: g FETCH $ UID | C: h SEARCH RETURN (SAVE COUNT) $"), @r#"
    C: a SEARCH ALL
    Q: search
    S: * ESEARCH (TAG "a") ALL 1:3
    S: a OK Done
    C: b UID SEARCH 2:3
    Q: search
    S: * ESEARCH (TAG "b") UID ALL 2:3
    S: b OK Done
    C: c SEARCH SEEN
    Q: search
    S: * ESEARCH (TAG "c")
    S: c OK Done
    C: d SEARCH RETURN () 1
    Q: search
    S: * ESEARCH (TAG "d") ALL 1
    S: d OK Done
    C: e SEARCH RETURN (MIN MAX COUNT) ALL
    Q: search
    S: * ESEARCH (TAG "e") MIN 1 MAX 3 COUNT 3
    S: e OK Done
    C: f UID SEARCH RETURN (SAVE) 2:3
    Q: search
    S: f OK Done
    C: g FETCH $ UID
    Q: fetch 2+2
    S: * 2 FETCH (UID 2)
    S: * 3 FETCH (UID 3)
    S: g OK Done
    C: h SEARCH RETURN (SAVE COUNT) $
    Q: search
    S: * ESEARCH (TAG "h") COUNT 2
    S: h OK Done
    "#);
}

#[test]
fn rfc9051_7_5_2_what_is_not_asked_for_has_its_uid() {
    insta::assert_snapshot!(play(r#"M: flag 2 | C: a NOOP | C: b STORE 1 +FLAGS (\Seen) | C: c FETCH 3 FLAGS | C: d IDLE | M: flag 3 | C: DONE"#), @r#"
    M: flag 2
    C: a NOOP
    Q: changes
    S: * 2 FETCH (UID 2 FLAGS (\Flagged))
    S: a OK Done
    C: b STORE 1 +FLAGS (\Seen)
    Q: store 1 Add
    S: * 1 FETCH (UID 1 FLAGS (\Seen))
    S: b OK Stored
    C: c FETCH 3 FLAGS
    Q: fetch 3+1
    S: * 3 FETCH (FLAGS ())
    S: c OK Done
    C: d IDLE
    S: + idling
    Q: changes
    M: flag 3
    Q: changes
    S: * 3 FETCH (UID 3 FLAGS (\Flagged))
    C: DONE
    S: d OK Done
    "#);
}

#[test]
fn rfc9051_appendix_e_nothing_is_recent() {
    insta::assert_snapshot!(play("C: a FETCH 1 FLAGS | M: deliver | C: b NOOP | C: c FETCH 4 FLAGS | M: flag 4 | C: d NOOP | C: e IDLE | M: deliver | C: DONE"), @r#"
    C: a FETCH 1 FLAGS
    Q: fetch 1+1
    S: * 1 FETCH (FLAGS ())
    S: a OK Done
    M: deliver
    C: b NOOP
    Q: changes
    S: * 4 EXISTS
    S: b OK Done
    C: c FETCH 4 FLAGS
    Q: fetch 4+1
    S: * 4 FETCH (FLAGS ())
    S: c OK Done
    M: flag 4
    C: d NOOP
    Q: changes
    S: * 4 FETCH (UID 4 FLAGS (\Flagged))
    S: d OK Done
    C: e IDLE
    S: + idling
    Q: changes
    M: deliver
    Q: changes
    S: * 5 EXISTS
    C: DONE
    S: e OK Done
    "#);
}

/// RFC 9051 §6.3.1: ENABLE comes before SELECT, and a server need not insist.
#[test]
fn rfc9051_6_3_1_enabled_while_selected() {
    let stage = Stage { before: "C: 0 LOGIN u pw | C: 0 SELECT INBOX", ..Stage::default() };
    insta::assert_snapshot!(stage.play("C: a FETCH 1 FLAGS | C: b ENABLE IMAP4rev2 | C: c FETCH 1 FLAGS | C: d CAPABILITY"), @r"
    C: a FETCH 1 FLAGS
    Q: fetch 1+1
    S: * 1 FETCH (FLAGS (\Recent))
    S: a OK Done
    C: b ENABLE IMAP4rev2
    S: * ENABLED IMAP4rev2
    S: b OK Done
    C: c FETCH 1 FLAGS
    Q: fetch 1+1
    S: * 1 FETCH (FLAGS ())
    S: c OK Done
    C: d CAPABILITY
    S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864
    S: d OK Done
    ");
}

#[test]
fn rfc9051_6_4_8_move_copy_and_append_tell_their_uids() {
    insta::assert_snapshot!(play(r#"C: a CREATE x | C: b COPY 1 x | C: c MOVE 1 x | C: d UID MOVE 2 x | C: e UID COPY 3 x | C: f COPY 1 y | C: g APPEND x {2+} | C: ab | C: h SELECT x | C: i UID EXPUNGE 1:*"#), @r#"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b COPY 1 x
    Q: copy 1 x
    S: b OK [COPYUID 8 1 1] Copied
    C: c MOVE 1 x
    Q: move 1 x
    S: * OK [COPYUID 8 1 2] Moved
    Q: changes
    S: * 1 EXPUNGE
    S: c OK Moved
    C: d UID MOVE 2 x
    Q: move 2 x
    S: * OK [COPYUID 8 2 3] Moved
    Q: changes
    S: * 1 EXPUNGE
    S: d OK Moved
    C: e UID COPY 3 x
    Q: copy 3 x
    S: e OK [COPYUID 8 3 4] Copied
    C: f COPY 1 y
    Q: copy 3 y
    S: f NO [TRYCREATE] No such mailbox
    C: g APPEND x {2+}
    Q: append 2 to x
    C: ab
    Q: body 2
    Q: commit
    S: g OK [APPENDUID 8 5] Appended
    C: h SELECT x
    S: * OK [CLOSED] Previous mailbox is closed
    Q: select x
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 5 EXISTS
    S: * OK [UIDVALIDITY 8] UIDs are valid
    S: * OK [UIDNEXT 6] Next UID
    S: * OK [HIGHESTMODSEQ 6] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000008)] Mailbox's id
    S: * LIST (\HasNoChildren) "/" "x"
    S: h OK [READ-WRITE] Selected
    C: i UID EXPUNGE 1:*
    Q: expunge 1:5
    Q: changes
    S: i OK Expunged
    "#);
}

#[test]
fn rfc9051_6_4_2_closed_only_where_a_mailbox_was_selected() {
    insta::assert_snapshot!(play("C: a SELECT nope | C: b SELECT INBOX | C: c UNSELECT | C: d EXAMINE INBOX | C: e CLOSE"), @r#"
    C: a SELECT nope
    S: * OK [CLOSED] Previous mailbox is closed
    Q: select nope
    S: a NO [NONEXISTENT] No such mailbox
    C: b SELECT INBOX
    Q: select INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 3 EXISTS
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: * LIST (\HasNoChildren) "/" "INBOX"
    S: b OK [READ-WRITE] Selected
    C: c UNSELECT
    S: c OK Closed
    Q: unselect
    C: d EXAMINE INBOX
    Q: examine INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS ()] Flags that are kept
    S: * 3 EXISTS
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: * LIST (\HasNoChildren) "/" "INBOX"
    S: d OK [READ-ONLY] Selected
    C: e CLOSE
    S: e OK Closed
    Q: unselect
    "#);
}

/// RFC 9051 appendix E 17 to 19: what clients of IMAP4rev1 ask for is answered still.
#[test]
fn rfc9051_appendix_e_what_is_deprecated_is_answered() {
    insta::assert_snapshot!(play("C: a CHECK | C: b LSUB \"\" * | C: c FETCH 1 RFC822.HEADER | C: d SEARCH RECENT"), @r#"
    C: a CHECK
    Q: changes
    S: a OK Done
    C: b LSUB "" *
    Q: names
    S: b OK Done
    C: c FETCH 1 RFC822.HEADER
    Q: fetch 1+1
    S: * 1 FETCH (RFC822.HEADER {43}
    S: From: a1@example.org
    S: Subject: number 1
    S: 
    S: )
    S: c OK Done
    C: d SEARCH RECENT
    Q: search
    S: * ESEARCH (TAG "d")
    S: d OK Done
    "#);
}

/// RFC 2342 is part of IMAP4rev2 (RFC 9051 §6.3.10): one personal namespace, before and after.
#[test]
fn rfc2342_5_namespace() {
    let stage = Stage { before: "C: 0 LOGIN u pw", ..Stage::default() };
    insta::assert_snapshot!(stage.play("C: a NAMESPACE | C: b ENABLE IMAP4rev2 | C: c NAMESPACE | C: d NAMESPACE x"), @r#"
    C: a NAMESPACE
    S: * NAMESPACE (("" "/")) NIL NIL
    S: a OK Done
    C: b ENABLE IMAP4rev2
    S: * ENABLED IMAP4rev2
    S: b OK Done
    C: c NAMESPACE
    S: * NAMESPACE (("" "/")) NIL NIL
    S: c OK Done
    C: d NAMESPACE x
    S: d BAD Expected the end of the command
    "#);
}
