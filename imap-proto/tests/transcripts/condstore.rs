//! Mod-sequences: CONDSTORE (RFC 7162 §3.1). SEARCH has a file of its own.
//!
//! The INBOX has three messages with the mod-sequences 2, 3 and 4; the next change gets 5.

use crate::play::{Stage, play, play_user};

#[test]
fn rfc7162_3_1_before_an_enabling_command_nothing_is_said_of_mod_sequences() {
    insta::assert_snapshot!(play(r#"M: flag 2 | C: a NOOP | C: b STORE 1 +FLAGS (\Seen) | C: c STORE 1 -FLAGS.SILENT (\Seen) | C: d FETCH 1 FLAGS"#), @r#"
    M: flag 2
    C: a NOOP
    Q: changes
    S: * 2 FETCH (FLAGS (\Flagged \Recent))
    S: a OK Done
    C: b STORE 1 +FLAGS (\Seen)
    Q: store 1 Add
    S: * 1 FETCH (FLAGS (\Seen \Recent))
    S: b OK Stored
    C: c STORE 1 -FLAGS.SILENT (\Seen)
    Q: store 1 Remove
    S: c OK Stored
    C: d FETCH 1 FLAGS
    Q: fetch 1+1
    S: * 1 FETCH (FLAGS (\Recent))
    S: d OK Done
    "#);
}

#[test]
fn rfc7162_3_1_enable_condstore() {
    insta::assert_snapshot!(play(r#"C: a ENABLE CONDSTORE | M: flag 2 | C: b NOOP | C: c ENABLE condstore X-NONE IMAP4rev2 | C: d STORE 1 +FLAGS (\Seen)"#), @r"
    C: a ENABLE CONDSTORE
    S: * ENABLED CONDSTORE
    Q: changes
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a OK Done
    M: flag 2
    C: b NOOP
    Q: changes
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: b OK Done
    C: c ENABLE condstore X-NONE IMAP4rev2
    S: * ENABLED IMAP4rev2 CONDSTORE
    S: c OK Done
    C: d STORE 1 +FLAGS (\Seen)
    Q: store 1 Add
    S: * 1 FETCH (UID 1 FLAGS (\Seen) MODSEQ (6))
    S: d OK Stored
    ");
}

#[test]
fn rfc7162_3_1_2_1_every_select_tells_highestmodseq() {
    insta::assert_snapshot!(play_user(r#"C: a SELECT INBOX | C: b STORE 1 +FLAGS.SILENT (\Seen) | C: c EXAMINE INBOX"#), @r#"
    C: a SELECT INBOX
    Q: select INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 3 EXISTS
    S: * 3 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: a OK [READ-WRITE] Selected
    C: b STORE 1 +FLAGS.SILENT (\Seen)
    Q: store 1 Add
    S: b OK Stored
    C: c EXAMINE INBOX
    S: * OK [CLOSED] Previous mailbox is closed
    Q: examine INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS ()] Flags that are kept
    S: * 3 EXISTS
    S: * 0 RECENT
    S: * OK [UNSEEN 2] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 5] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: c OK [READ-ONLY] Selected
    "#);
}

#[test]
fn rfc7162_3_1_8_select_with_condstore() {
    insta::assert_snapshot!(play_user(r#"C: a SELECT INBOX (CONDSTORE) | M: flag 2 | C: b NOOP | C: c SELECT INBOX (condstore) | C: d SELECT nope (CONDSTORE)"#), @r#"
    C: a SELECT INBOX (CONDSTORE)
    Q: select INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 3 EXISTS
    S: * 3 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: a OK [READ-WRITE] Selected
    M: flag 2
    C: b NOOP
    Q: changes
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: b OK Done
    C: c SELECT INBOX (condstore)
    S: * OK [CLOSED] Previous mailbox is closed
    Q: select INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 3 EXISTS
    S: * 0 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 5] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: c OK [READ-WRITE] Selected
    C: d SELECT nope (CONDSTORE)
    S: * OK [CLOSED] Previous mailbox is closed
    Q: select nope
    S: d NO [NONEXISTENT] No such mailbox
    "#);
}

#[test]
fn rfc7162_3_1_8_examine_with_condstore_and_wrong_parameters() {
    insta::assert_snapshot!(play_user(r#"C: a EXAMINE INBOX (CONDSTORE) | C: b EXAMINE INBOX () | C: c SELECT INBOX (X) | C: d SELECT INBOX CONDSTORE | C: e SELECT INBOX (CONDSTORE | M: flag 1 | C: f NOOP"#), @r#"
    C: a EXAMINE INBOX (CONDSTORE)
    Q: examine INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS ()] Flags that are kept
    S: * 3 EXISTS
    S: * 3 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: a OK [READ-ONLY] Selected
    C: b EXAMINE INBOX ()
    S: b BAD Expected a parameter
    C: c SELECT INBOX (X)
    S: c BAD Unknown parameter
    C: d SELECT INBOX CONDSTORE
    S: d BAD Expected the end of the command
    C: e SELECT INBOX (CONDSTORE
    S: e BAD Expected a space
    M: flag 1
    C: f NOOP
    Q: changes
    S: * 1 FETCH (UID 1 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: f OK Done
    "#);
}

#[test]
fn rfc7162_3_1_7_status_highestmodseq() {
    insta::assert_snapshot!(play(r#"C: a STATUS INBOX (HIGHESTMODSEQ MESSAGES) | M: flag 2 | C: b NOOP | C: c STATUS INBOX (HIGHESTMODSEQ)"#), @r#"
    C: a STATUS INBOX (HIGHESTMODSEQ MESSAGES)
    Q: status INBOX
    S: * STATUS "INBOX" (MESSAGES 3 HIGHESTMODSEQ 4)
    Q: changes
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a OK Done
    M: flag 2
    C: b NOOP
    Q: changes
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: b OK Done
    C: c STATUS INBOX (HIGHESTMODSEQ)
    Q: status INBOX
    S: * STATUS "INBOX" (HIGHESTMODSEQ 5)
    S: c OK Done
    "#);
}

#[test]
fn rfc7162_3_1_7_list_status_highestmodseq() {
    insta::assert_snapshot!(play(r#"C: a LIST "" * RETURN (STATUS (HIGHESTMODSEQ)) | M: flag 2 | C: b NOOP"#), @r#"
    C: a LIST "" * RETURN (STATUS (HIGHESTMODSEQ))
    Q: names
    S: * LIST (\HasNoChildren) "/" "INBOX"
    Q: status INBOX
    S: * STATUS "INBOX" (HIGHESTMODSEQ 4)
    Q: changes
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a OK Done
    M: flag 2
    C: b NOOP
    Q: changes
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: b OK Done
    "#);
}

#[test]
fn rfc7162_3_1_4_2_fetch_modseq() {
    insta::assert_snapshot!(play(r#"C: a FETCH 1:2 (MODSEQ) | M: flag 2 | C: b NOOP | C: c UID FETCH 2 (FLAGS MODSEQ) | C: d FETCH 3 FLAGS | C: e FETCH 3 MODSEQ"#), @r#"
    C: a FETCH 1:2 (MODSEQ)
    Q: fetch 1+2
    S: * 1 FETCH (MODSEQ (2))
    S: * 2 FETCH (MODSEQ (3))
    Q: changes but expunges
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a OK Done
    M: flag 2
    C: b NOOP
    Q: changes
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: b OK Done
    C: c UID FETCH 2 (FLAGS MODSEQ)
    Q: fetch 2+1
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: c OK Done
    C: d FETCH 3 FLAGS
    Q: fetch 3+1
    S: * 3 FETCH (FLAGS (\Recent))
    S: d OK Done
    C: e FETCH 3 MODSEQ
    Q: fetch 3+1
    S: * 3 FETCH (MODSEQ (4))
    S: e OK Done
    "#);
}

#[test]
fn rfc7162_3_1_4_1_fetch_changedsince() {
    insta::assert_snapshot!(play(r#"M: flag 2 | C: a FETCH 1:* (FLAGS) (CHANGEDSINCE 4) | C: b UID FETCH 1:* (FLAGS) (CHANGEDSINCE 3) | C: c FETCH 1:* FAST (CHANGEDSINCE 5) | C: d UID FETCH 9 FLAGS (CHANGEDSINCE 1) | C: e FETCH 1,3 UID (CHANGEDSINCE 2)"#), @r#"
    M: flag 2
    C: a FETCH 1:* (FLAGS) (CHANGEDSINCE 4)
    Q: changed since 4 in 1:3
    Q: fetch 2+1
    S: * 2 FETCH (FLAGS (\Flagged \Recent) MODSEQ (5))
    Q: changes but expunges
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: * OK [HIGHESTMODSEQ 5] Highest mod-sequence
    S: a OK Done
    C: b UID FETCH 1:* (FLAGS) (CHANGEDSINCE 3)
    Q: changed since 3 in 1:3
    Q: fetch 2+2
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: * 3 FETCH (UID 3 FLAGS (\Recent) MODSEQ (4))
    Q: changes
    S: b OK Done
    C: c FETCH 1:* FAST (CHANGEDSINCE 5)
    Q: changed since 5 in 1:3
    S: c OK Done
    C: d UID FETCH 9 FLAGS (CHANGEDSINCE 1)
    S: d OK Done
    C: e FETCH 1,3 UID (CHANGEDSINCE 2)
    Q: changed since 2 in 1,3
    Q: fetch 3+1
    S: * 3 FETCH (UID 3 MODSEQ (4))
    S: e OK Done
    "#);
}

#[test]
fn rfc7162_3_1_4_1_changedsince_sets_seen_only_where_it_shows() {
    insta::assert_snapshot!(play(r#"M: flag 2 | C: a FETCH 1:* (BODY[TEXT]) (CHANGEDSINCE 4) | C: b FETCH 1:* (FLAGS)"#), @r#"
    M: flag 2
    C: a FETCH 1:* (BODY[TEXT]) (CHANGEDSINCE 4)
    Q: changed since 4 in 1:3
    Q: store 2 Add
    Q: fetch 2+1
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Seen \Recent) MODSEQ (6) BODY[TEXT] {9}
    S: Text 2.
    S: )
    Q: changes but expunges
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Seen \Recent) MODSEQ (6))
    S: * OK [HIGHESTMODSEQ 6] Highest mod-sequence
    S: a OK Done
    C: b FETCH 1:* (FLAGS)
    Q: fetch 1+3
    S: * 1 FETCH (FLAGS (\Recent))
    S: * 2 FETCH (FLAGS (\Flagged \Seen \Recent))
    S: * 3 FETCH (FLAGS (\Recent))
    S: b OK Done
    "#);
}

#[test]
fn rfc7162_3_1_4_1_changedsince_is_refused_as_the_store_says() {
    insta::assert_snapshot!(play(r#"A: no Disk is on fire | C: a FETCH 1:* FLAGS (CHANGEDSINCE 1)"#), @r#"
    A: no Disk is on fire
    C: a FETCH 1:* FLAGS (CHANGEDSINCE 1)
    Q: changed since 1 in 1:3
    Q: changes but expunges
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a NO Disk is on fire
    "#);
}

#[test]
fn rfc7162_3_1_3_store_unchangedsince_passes() {
    insta::assert_snapshot!(play(r#"C: a STORE 1,3 (UNCHANGEDSINCE 4) +FLAGS (\Seen) | C: b FETCH 1:3 MODSEQ"#), @r#"
    C: a STORE 1,3 (UNCHANGEDSINCE 4) +FLAGS (\Seen)
    Q: store 1,3 Add unless changed since 4
    S: * 1 FETCH (UID 1 FLAGS (\Seen \Recent) MODSEQ (5))
    S: * 3 FETCH (UID 3 FLAGS (\Seen \Recent) MODSEQ (5))
    Q: changes but expunges
    S: * OK [HIGHESTMODSEQ 5] Highest mod-sequence
    S: a OK Stored
    C: b FETCH 1:3 MODSEQ
    Q: fetch 1+3
    S: * 1 FETCH (MODSEQ (5))
    S: * 2 FETCH (MODSEQ (3))
    S: * 3 FETCH (MODSEQ (5))
    S: b OK Done
    "#);
}

#[test]
fn rfc7162_3_1_3_store_unchangedsince_reports_modified() {
    insta::assert_snapshot!(play(r#"M: flag 2 | C: a STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS (\Deleted) | C: b FETCH 1:3 (FLAGS MODSEQ)"#), @r#"
    M: flag 2
    C: a STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS (\Deleted)
    Q: store 1:3 Add unless changed since 4
    S: * 1 FETCH (UID 1 FLAGS (\Deleted \Recent) MODSEQ (6))
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: * 3 FETCH (UID 3 FLAGS (\Deleted \Recent) MODSEQ (6))
    Q: changes but expunges
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: * OK [HIGHESTMODSEQ 6] Highest mod-sequence
    S: a OK [MODIFIED 2] Some messages changed meanwhile
    C: b FETCH 1:3 (FLAGS MODSEQ)
    Q: fetch 1+3
    S: * 1 FETCH (FLAGS (\Deleted \Recent) MODSEQ (6))
    S: * 2 FETCH (FLAGS (\Flagged \Recent) MODSEQ (5))
    S: * 3 FETCH (FLAGS (\Deleted \Recent) MODSEQ (6))
    S: b OK Done
    "#);
}

#[test]
fn rfc7162_3_1_3_modified_is_in_the_numbers_of_the_command() {
    insta::assert_snapshot!(play(r#"M: expunge 1 | C: 1 NOOP | M: flag 2 | M: flag 3 | C: a STORE 1:2 (UNCHANGEDSINCE 4) FLAGS.SILENT () | C: b UID STORE 2:3 (UNCHANGEDSINCE 4) FLAGS.SILENT ()"#), @r#"
    M: expunge 1
    C: 1 NOOP
    Q: changes
    S: * 1 EXPUNGE
    S: 1 OK Done
    M: flag 2
    M: flag 3
    C: a STORE 1:2 (UNCHANGEDSINCE 4) FLAGS.SILENT ()
    Q: store 2:3 Replace unless changed since 4
    S: * 1 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (6))
    S: * 2 FETCH (UID 3 FLAGS (\Flagged \Recent) MODSEQ (7))
    Q: changes but expunges
    S: * 1 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (6))
    S: * 2 FETCH (UID 3 FLAGS (\Flagged \Recent) MODSEQ (7))
    S: * OK [HIGHESTMODSEQ 7] Highest mod-sequence
    S: a OK [MODIFIED 1:2] Some messages changed meanwhile
    C: b UID STORE 2:3 (UNCHANGEDSINCE 4) FLAGS.SILENT ()
    Q: store 2:3 Replace unless changed since 4
    S: * 1 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (6))
    S: * 2 FETCH (UID 3 FLAGS (\Flagged \Recent) MODSEQ (7))
    Q: changes
    S: b OK [MODIFIED 2:3] Some messages changed meanwhile
    "#);
}

#[test]
fn rfc7162_3_1_3_silent_tells_the_mod_sequence_nevertheless() {
    insta::assert_snapshot!(play(r#"M: flag 2 | C: 1 NOOP | C: a UID STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS.SILENT ($Done)"#), @r#"
    M: flag 2
    C: 1 NOOP
    Q: changes
    S: * 2 FETCH (FLAGS (\Flagged \Recent))
    S: 1 OK Done
    C: a UID STORE 1:3 (UNCHANGEDSINCE 4) +FLAGS.SILENT ($Done)
    Q: store 1:3 Add unless changed since 4
    S: * 1 FETCH (UID 1 MODSEQ (6))
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: * 3 FETCH (UID 3 MODSEQ (6))
    Q: changes
    S: * OK [HIGHESTMODSEQ 6] Highest mod-sequence
    S: a OK [MODIFIED 2] Some messages changed meanwhile
    "#);
}

#[test]
fn rfc7162_3_1_3_unchangedsince_0_always_fails() {
    insta::assert_snapshot!(play(r#"C: a STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\Seen) | C: b UID STORE 3 (UNCHANGEDSINCE 0) -FLAGS ($MDNSent) | C: c FETCH 1:3 (FLAGS MODSEQ)"#), @r#"
    C: a STORE 1:2 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\Seen)
    Q: store 1:2 Add unless changed since 0
    S: * 1 FETCH (UID 1 FLAGS (\Recent) MODSEQ (2))
    S: * 2 FETCH (UID 2 FLAGS (\Recent) MODSEQ (3))
    Q: changes but expunges
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a OK [MODIFIED 1:2] Some messages changed meanwhile
    C: b UID STORE 3 (UNCHANGEDSINCE 0) -FLAGS ($MDNSent)
    Q: store 3 Remove unless changed since 0
    S: * 3 FETCH (UID 3 FLAGS (\Recent) MODSEQ (4))
    Q: changes
    S: b OK [MODIFIED 3] Some messages changed meanwhile
    C: c FETCH 1:3 (FLAGS MODSEQ)
    Q: fetch 1+3
    S: * 1 FETCH (FLAGS (\Recent) MODSEQ (2))
    S: * 2 FETCH (FLAGS (\Recent) MODSEQ (3))
    S: * 3 FETCH (FLAGS (\Recent) MODSEQ (4))
    S: c OK Done
    "#);
}

#[test]
fn rfc7162_3_1_11_what_changes_nothing_keeps_its_mod_sequence() {
    insta::assert_snapshot!(play(r#"C: a STORE 1 (UNCHANGEDSINCE 4) +FLAGS (\Seen) | C: b STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\Seen) | C: c STORE 1 +FLAGS (\Seen) | C: d STORE 1:2 +FLAGS.SILENT (\Seen) | C: e FETCH 1 BODY[TEXT] | C: f FETCH 1:3 MODSEQ"#), @r#"
    C: a STORE 1 (UNCHANGEDSINCE 4) +FLAGS (\Seen)
    Q: store 1 Add unless changed since 4
    S: * 1 FETCH (UID 1 FLAGS (\Seen \Recent) MODSEQ (5))
    Q: changes but expunges
    S: * OK [HIGHESTMODSEQ 5] Highest mod-sequence
    S: a OK Stored
    C: b STORE 1 (UNCHANGEDSINCE 5) +FLAGS.SILENT (\Seen)
    Q: store 1 Add unless changed since 5
    S: * 1 FETCH (UID 1 MODSEQ (5))
    S: b OK Stored
    C: c STORE 1 +FLAGS (\Seen)
    Q: store 1 Add
    S: * 1 FETCH (UID 1 FLAGS (\Seen \Recent) MODSEQ (5))
    S: c OK Stored
    C: d STORE 1:2 +FLAGS.SILENT (\Seen)
    Q: store 1:2 Add
    S: * 2 FETCH (UID 2 MODSEQ (6))
    S: d OK Stored
    C: e FETCH 1 BODY[TEXT]
    Q: store 1 Add
    Q: fetch 1+1
    S: * 1 FETCH (BODY[TEXT] {9}
    S: Text 1.
    S: )
    S: e OK Done
    C: f FETCH 1:3 MODSEQ
    Q: fetch 1+3
    S: * 1 FETCH (MODSEQ (5))
    S: * 2 FETCH (MODSEQ (6))
    S: * 3 FETCH (MODSEQ (4))
    S: f OK Done
    "#);
}

#[test]
fn rfc7162_3_1_3_a_message_named_twice_fails_for_itself_alone() {
    insta::assert_snapshot!(play(r#"C: a STORE 2,1:3,2 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\Deleted)"#), @r#"
    C: a STORE 2,1:3,2 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\Deleted)
    Q: store 1:3 Add unless changed since 4
    S: * 1 FETCH (UID 1 MODSEQ (5))
    S: * 2 FETCH (UID 2 MODSEQ (5))
    S: * 3 FETCH (UID 3 MODSEQ (5))
    Q: changes but expunges
    S: * OK [HIGHESTMODSEQ 5] Highest mod-sequence
    S: a OK Stored
    "#);
}

#[test]
fn rfc7162_3_1_3_expunged_messages() {
    insta::assert_snapshot!(play(r#"M: flag 2 | M: expunge 3 | C: a STORE 2:3 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\Seen) | C: b STORE 1,3 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\Seen) | C: c UID STORE 1,3 (UNCHANGEDSINCE 9) -FLAGS (\Seen)"#), @r#"
    M: flag 2
    M: expunge 3
    C: a STORE 2:3 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\Seen)
    Q: store 2:3 Add unless changed since 4
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    Q: changes but expunges
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a NO [MODIFIED 2] Some messages are gone, others changed
    C: b STORE 1,3 (UNCHANGEDSINCE 4) +FLAGS.SILENT (\Seen)
    Q: store 1,3 Add unless changed since 4
    S: * 1 FETCH (UID 1 MODSEQ (7))
    S: b NO [EXPUNGEISSUED] Some messages are gone
    C: c UID STORE 1,3 (UNCHANGEDSINCE 9) -FLAGS (\Seen)
    Q: store 1,3 Remove unless changed since 9
    S: * 1 FETCH (UID 1 FLAGS (\Recent) MODSEQ (8))
    Q: changes
    S: * 3 EXPUNGE
    S: c OK Stored
    "#);
}

#[test]
fn rfc7162_3_1_3_a_plain_store_tells_mod_sequences_too() {
    insta::assert_snapshot!(play(r#"C: a ENABLE CONDSTORE | C: b STORE 1 +FLAGS (\Seen) | C: c STORE 1:2 +FLAGS.SILENT (\Seen) | C: d UID STORE 1:2 FLAGS.SILENT (\Seen)"#), @r#"
    C: a ENABLE CONDSTORE
    S: * ENABLED CONDSTORE
    Q: changes
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a OK Done
    C: b STORE 1 +FLAGS (\Seen)
    Q: store 1 Add
    S: * 1 FETCH (UID 1 FLAGS (\Seen \Recent) MODSEQ (5))
    S: b OK Stored
    C: c STORE 1:2 +FLAGS.SILENT (\Seen)
    Q: store 1:2 Add
    S: * 2 FETCH (UID 2 MODSEQ (6))
    S: c OK Stored
    C: d UID STORE 1:2 FLAGS.SILENT (\Seen)
    Q: store 1:2 Replace
    S: d OK Stored
    "#);
}

#[test]
fn rfc7162_3_1_3_read_only_and_wrong() {
    insta::assert_snapshot!(play(r#"C: a STORE 1 (UNCHANGEDSINCE) +FLAGS () | C: b STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) +FLAGS () | C: c STORE 1 () +FLAGS () | C: d STORE 1 (X 1) +FLAGS () | C: e STORE 1 (UNCHANGEDSINCE 1)+FLAGS () | C: f EXAMINE INBOX | C: g STORE 1 (UNCHANGEDSINCE 9) +FLAGS ()"#), @r#"
    C: a STORE 1 (UNCHANGEDSINCE) +FLAGS ()
    S: a BAD Expected a space
    C: b STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) +FLAGS ()
    S: b BAD Expected a modifier once
    C: c STORE 1 () +FLAGS ()
    S: c BAD Expected a modifier
    C: d STORE 1 (X 1) +FLAGS ()
    S: d BAD Unknown modifier
    C: e STORE 1 (UNCHANGEDSINCE 1)+FLAGS ()
    S: e BAD Expected a space
    C: f EXAMINE INBOX
    S: * OK [CLOSED] Previous mailbox is closed
    Q: examine INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS ()] Flags that are kept
    S: * 3 EXISTS
    S: * 0 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: f OK [READ-ONLY] Selected
    C: g STORE 1 (UNCHANGEDSINCE 9) +FLAGS ()
    Q: changes but expunges
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: g NO [NOPERM] Mailbox is read-only
    "#);
}

#[test]
fn rfc7162_3_2_4_setting_seen_tells_uid_and_mod_sequence() {
    insta::assert_snapshot!(play(r#"C: a ENABLE CONDSTORE | C: b STORE 1 +FLAGS.SILENT (\Seen) | C: c FETCH 1:2 BODY[TEXT] | C: d FETCH 1:2 BODY[TEXT]"#), @r#"
    C: a ENABLE CONDSTORE
    S: * ENABLED CONDSTORE
    Q: changes
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a OK Done
    C: b STORE 1 +FLAGS.SILENT (\Seen)
    Q: store 1 Add
    S: * 1 FETCH (UID 1 MODSEQ (5))
    S: b OK Stored
    C: c FETCH 1:2 BODY[TEXT]
    Q: store 1:2 Add
    Q: fetch 1+2
    S: * 1 FETCH (BODY[TEXT] {9}
    S: Text 1.
    S: )
    S: * 2 FETCH (UID 2 FLAGS (\Seen \Recent) MODSEQ (6) BODY[TEXT] {9}
    S: Text 2.
    S: )
    S: c OK Done
    C: d FETCH 1:2 BODY[TEXT]
    Q: store 1:2 Add
    Q: fetch 1+2
    S: * 1 FETCH (BODY[TEXT] {9}
    S: Text 1.
    S: )
    S: * 2 FETCH (BODY[TEXT] {9}
    S: Text 2.
    S: )
    S: d OK Done
    "#);
}

/// A client that is told a HIGHESTMODSEQ has heard of all that led to it, also of what may not be told yet.
#[test]
fn rfc7162_3_1_highestmodseq_does_not_pass_an_expunge_that_is_withheld() {
    insta::assert_snapshot!(play(r#"M: flag 1 | M: expunge 3 | C: a FETCH 1 MODSEQ | C: b NOOP | C: c FETCH 1:2 MODSEQ"#), @r#"
    M: flag 1
    M: expunge 3
    C: a FETCH 1 MODSEQ
    Q: fetch 1+1
    S: * 1 FETCH (MODSEQ (5))
    Q: changes but expunges
    S: * 1 FETCH (UID 1 FLAGS (\Flagged \Recent) MODSEQ (5))
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a OK Done
    C: b NOOP
    Q: changes
    S: * 3 EXPUNGE
    S: b OK Done
    C: c FETCH 1:2 MODSEQ
    Q: fetch 1+2
    S: * 1 FETCH (MODSEQ (5))
    S: * 2 FETCH (MODSEQ (3))
    S: c OK Done
    "#);
}

#[test]
fn rfc7162_3_1_4_2_changes_of_others_in_idle() {
    insta::assert_snapshot!(play(r#"C: a ENABLE CONDSTORE | C: b IDLE | M: flag 3 | M: deliver | C: DONE"#), @r#"
    C: a ENABLE CONDSTORE
    S: * ENABLED CONDSTORE
    Q: changes
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a OK Done
    C: b IDLE
    S: + idling
    Q: changes
    M: flag 3
    Q: changes
    S: * 3 FETCH (UID 3 FLAGS (\Flagged \Recent) MODSEQ (5))
    M: deliver
    Q: changes
    S: * 4 EXISTS
    S: * 4 RECENT
    C: DONE
    S: b OK Done
    "#);
}

#[test]
fn rfc6851_4_4_move_tells_highestmodseq() {
    insta::assert_snapshot!(play(r#"C: a CREATE x | C: b ENABLE CONDSTORE | C: c MOVE 1:2 x | C: d UID MOVE 9 x | C: e SELECT x | C: f FETCH 1:2 MODSEQ"#), @r#"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b ENABLE CONDSTORE
    S: * ENABLED CONDSTORE
    Q: changes
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: b OK Done
    C: c MOVE 1:2 x
    Q: move 1:2 x
    S: * OK [COPYUID 8 1:2 1:2] Moved
    Q: changes
    S: * 2 EXPUNGE
    S: * 1 EXPUNGE
    S: * OK [HIGHESTMODSEQ 6] Highest mod-sequence
    S: c OK Moved
    C: d UID MOVE 9 x
    S: d OK Nothing to do
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
    C: f FETCH 1:2 MODSEQ
    Q: fetch 1+2
    S: * 1 FETCH (MODSEQ (2))
    S: * 2 FETCH (MODSEQ (3))
    S: f OK Done
    "#);
}

#[test]
fn row_50_mod_sequences_beyond_all_bounds() {
    insta::assert_snapshot!(play(r#"C: a FETCH 1:* FLAGS (CHANGEDSINCE 9223372036854775807) | C: b FETCH 1:* FLAGS (CHANGEDSINCE 9223372036854775808) | C: c FETCH 1:* FLAGS (CHANGEDSINCE 0) | C: d FETCH 1:* FLAGS (CHANGEDSINCE -1) | C: e FETCH 1:* FLAGS (CHANGEDSINCE 99999999999999999999999999999999) | C: f STORE 1 (UNCHANGEDSINCE 9223372036854775807) +FLAGS.SILENT (\Seen) | C: g STORE 1 (UNCHANGEDSINCE 18446744073709551616) +FLAGS (\Seen) | C: h SEARCH MODSEQ 9223372036854775807 | C: i SEARCH MODSEQ 9223372036854775808 | C: j UID FETCH 1:4294967295 (FLAGS) (CHANGEDSINCE 4) | C: k UID FETCH 1:4294967296 (FLAGS) (CHANGEDSINCE 4)"#), @r#"
    C: a FETCH 1:* FLAGS (CHANGEDSINCE 9223372036854775807)
    Q: changed since 9223372036854775807 in 1:3
    Q: changes but expunges
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a OK Done
    C: b FETCH 1:* FLAGS (CHANGEDSINCE 9223372036854775808)
    S: b BAD Expected a mod-sequence below 2^63
    C: c FETCH 1:* FLAGS (CHANGEDSINCE 0)
    S: c BAD Expected a mod-sequence above 0
    C: d FETCH 1:* FLAGS (CHANGEDSINCE -1)
    S: d BAD Expected a mod-sequence below 2^63
    C: e FETCH 1:* FLAGS (CHANGEDSINCE 99999999999999999999999999999999)
    S: e BAD Expected a mod-sequence below 2^63
    C: f STORE 1 (UNCHANGEDSINCE 9223372036854775807) +FLAGS.SILENT (\Seen)
    Q: store 1 Add unless changed since 9223372036854775807
    S: * 1 FETCH (UID 1 MODSEQ (5))
    S: f OK Stored
    C: g STORE 1 (UNCHANGEDSINCE 18446744073709551616) +FLAGS (\Seen)
    S: g BAD Expected a mod-sequence below 2^63
    C: h SEARCH MODSEQ 9223372036854775807
    Q: search
    S: * SEARCH
    S: h OK Done
    C: i SEARCH MODSEQ 9223372036854775808
    S: i BAD Expected a mod-sequence below 2^63
    C: j UID FETCH 1:4294967295 (FLAGS) (CHANGEDSINCE 4)
    Q: changed since 4 in 1:3
    Q: fetch 1+1
    S: * 1 FETCH (UID 1 FLAGS (\Seen \Recent) MODSEQ (5))
    Q: changes
    S: j OK Done
    C: k UID FETCH 1:4294967296 (FLAGS) (CHANGEDSINCE 4)
    S: k BAD Expected a message number
    "#);
}

#[test]
fn row_50_qresync_is_not_offered() {
    insta::assert_snapshot!(play(r#"C: a SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541)) | C: b SELECT INBOX (QRESYNC (1 1 1:4294967295 (1:* 1:*))) | C: c UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED) | C: d ENABLE QRESYNC | C: e NOOP"#), @r#"
    C: a SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))
    S: a BAD Unknown parameter
    C: b SELECT INBOX (QRESYNC (1 1 1:4294967295 (1:* 1:*)))
    S: b BAD Unknown parameter
    C: c UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)
    S: c BAD Unknown modifier
    C: d ENABLE QRESYNC
    S: * ENABLED
    S: d OK Done
    C: e NOOP
    Q: changes
    S: e OK Done
    "#);
}

/// The client's set is long, what is asked of the store is not: ranges of the view.
#[test]
fn row_50_a_known_set_of_many_ranges() {
    let odd: Vec<String> = (1..=10_000).map(|n: u32| (2 * n - 1).to_string()).collect();
    let script = format!("C: a UID FETCH {} (FLAGS) (CHANGEDSINCE 2)", odd.join(","));
    let stage = Stage { before: "C: 0 LOGIN u pw | C: 0 SELECT INBOX", ..Stage::default() };
    let told = stage.play_cut(&script, usize::MAX);
    let (_, answer) = told.split_once('\n').expect("the command is the first line");
    insta::assert_snapshot!(answer, @r#"
    Q: changed since 2 in 1,3
    Q: fetch 3+1
    S: * 3 FETCH (UID 3 FLAGS (\Recent) MODSEQ (4))
    Q: changes
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: a OK Done
    "#);
}
