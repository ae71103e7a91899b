//! SELECT, EXAMINE, CLOSE, UNSELECT.

use crate::play::{play, play_user};

#[test]
fn rfc3501_6_3_1_select_and_examine() {
    insta::assert_snapshot!(play_user("C: a SELECT INBOX | C: b EXAMINE inbox | C: c STORE 1 FLAGS () | C: d EXPUNGE | C: e MOVE 1 x | C: f CLOSE"), @r#"
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
    C: b EXAMINE inbox
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
    S: b OK [READ-ONLY] Selected
    C: c STORE 1 FLAGS ()
    S: c NO [NOPERM] Mailbox is read-only
    C: d EXPUNGE
    S: d NO [NOPERM] Mailbox is read-only
    C: e MOVE 1 x
    S: e NO [NOPERM] Mailbox is read-only
    C: f CLOSE
    S: f OK Closed
    Q: unselect
    "#);
}

#[test]
fn rfc3501_6_3_1_a_select_that_fails_deselects() {
    insta::assert_snapshot!(play_user("C: a SELECT INBOX | C: b SELECT nope | C: c CHECK | C: d SELECT INBOX | C: e SELECT .. | C: f CHECK"), @r#"
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
    C: b SELECT nope
    S: * OK [CLOSED] Previous mailbox is closed
    Q: select nope
    S: b NO [NONEXISTENT] No such mailbox
    C: c CHECK
    S: c BAD No mailbox is selected
    C: d SELECT INBOX
    Q: select INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 3 EXISTS
    S: * 0 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: d OK [READ-WRITE] Selected
    C: e SELECT ..
    S: * OK [CLOSED] Previous mailbox is closed
    S: e NO [CANNOT] Mailbox name has a component of dots
    Q: unselect
    C: f CHECK
    S: f BAD No mailbox is selected
    "#);
}

#[test]
fn select_in_rev2() {
    insta::assert_snapshot!(play_user("C: a ENABLE IMAP4rev2 | C: b SELECT INBOX | C: c SELECT INBOX"), @r#"
    C: a ENABLE IMAP4rev2
    S: * ENABLED IMAP4rev2
    S: a OK Done
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
    "#);
}

#[test]
fn rfc3501_6_4_2_close_expunges_silently() {
    insta::assert_snapshot!(play(r#"C: a STORE 2 +FLAGS.SILENT (\Deleted) | C: b CLOSE | C: c SELECT INBOX"#), @r#"
    C: a STORE 2 +FLAGS.SILENT (\Deleted)
    Q: store 2 Add
    S: a OK Stored
    C: b CLOSE
    Q: expunge
    S: b OK Closed
    Q: unselect
    C: c SELECT INBOX
    Q: select INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 2 EXISTS
    S: * 0 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 6] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: c OK [READ-WRITE] Selected
    "#);
}

#[test]
fn rfc3691_2_unselect_does_not_expunge() {
    insta::assert_snapshot!(play(r#"C: a STORE 2 +FLAGS.SILENT (\Deleted) | C: b UNSELECT | C: c SELECT INBOX"#), @r#"
    C: a STORE 2 +FLAGS.SILENT (\Deleted)
    Q: store 2 Add
    S: a OK Stored
    C: b UNSELECT
    S: b OK Closed
    Q: unselect
    C: c SELECT INBOX
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
    "#);
}

/// Whether or not mod-sequences or IMAP4rev2 were spoken of: the server says that it knows CONDSTORE.
#[test]
fn rfc7162_3_2_11_what_was_selected_is_closed() {
    insta::assert_snapshot!(play("C: a EXAMINE none | C: b SELECT none | C: c SELECT INBOX | C: d SELECT"), @r"
    C: a EXAMINE none
    S: * OK [CLOSED] Previous mailbox is closed
    Q: examine none
    S: a NO [NONEXISTENT] No such mailbox
    C: b SELECT none
    Q: select none
    S: b NO [NONEXISTENT] No such mailbox
    C: c SELECT INBOX
    Q: select INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 3 EXISTS
    S: * 0 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: c OK [READ-WRITE] Selected
    C: d SELECT
    S: d BAD Expected a space
    ");
}

#[test]
fn rfc9051_3_2_a_close_that_fails_leaves_the_mailbox_selected() {
    insta::assert_snapshot!(play("A: no Disk is full | C: a CLOSE | C: b CHECK | C: c CLOSE | C: d CHECK"), @r"
    A: no Disk is full
    C: a CLOSE
    Q: expunge
    S: a NO Disk is full
    C: b CHECK
    Q: changes
    S: b OK Done
    C: c CLOSE
    Q: expunge
    S: c OK Closed
    Q: unselect
    C: d CHECK
    S: d BAD No mailbox is selected
    ");
}

/// Deleted by another session.
#[test]
fn a_mailbox_that_is_gone_ends_the_session_and_not_the_command() {
    insta::assert_snapshot!(play("C: a CREATE x | C: b EXAMINE x | M: delete x | B: c APPEND INBOX {2+}\\r\\nhi\\r\\n"), @r"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b EXAMINE x
    S: * OK [CLOSED] Previous mailbox is closed
    Q: examine x
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS ()] Flags that are kept
    S: * 0 EXISTS
    S: * 0 RECENT
    S: * OK [UIDVALIDITY 8] UIDs are valid
    S: * OK [UIDNEXT 1] Next UID
    S: * OK [HIGHESTMODSEQ 1] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000008)] Mailbox's id
    S: b OK [READ-ONLY] Selected
    M: delete x
    B: c APPEND INBOX {2+}\r\nhi\r\n
    Q: append 2 to INBOX
    Q: body 2
    Q: commit
    Q: changes
    S: c OK [APPENDUID 7 4] Appended
    S: * BYE [NONEXISTENT] Mailbox is gone
    X: close
    ");
    insta::assert_snapshot!(play("C: a CREATE x | C: b EXAMINE x | C: c IDLE | M: delete x"), @r"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b EXAMINE x
    S: * OK [CLOSED] Previous mailbox is closed
    Q: examine x
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS ()] Flags that are kept
    S: * 0 EXISTS
    S: * 0 RECENT
    S: * OK [UIDVALIDITY 8] UIDs are valid
    S: * OK [UIDNEXT 1] Next UID
    S: * OK [HIGHESTMODSEQ 1] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000008)] Mailbox's id
    S: b OK [READ-ONLY] Selected
    C: c IDLE
    S: + idling
    Q: changes
    M: delete x
    Q: changes
    S: * BYE [NONEXISTENT] Mailbox is gone
    X: close
    ");
}

#[test]
fn a_look_that_fails_is_made_again() {
    insta::assert_snapshot!(play("M: expunge 2 | A: no Busy | C: a NOOP | C: b CAPABILITY | C: c NOOP"), @r"
    M: expunge 2
    A: no Busy
    C: a NOOP
    Q: changes
    S: a OK Done
    C: b CAPABILITY
    S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864
    Q: changes
    S: * 2 EXPUNGE
    S: b OK Done
    C: c NOOP
    Q: changes
    S: c OK Done
    ");
}
