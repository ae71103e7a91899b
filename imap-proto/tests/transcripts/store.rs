//! STORE, EXPUNGE, COPY, MOVE.

use crate::play::play;

#[test]
fn rfc3501_6_4_6_add_remove_replace() {
    insta::assert_snapshot!(play(r#"C: a STORE 1 +FLAGS (\Seen $Junk) | C: b STORE 1:2 -FLAGS \Seen | C: c UID STORE 2 FLAGS (\Flagged \Draft) | C: d STORE 1:3 +FLAGS.SILENT \Answered | C: e FETCH 1:3 FLAGS"#), @r#"
    C: a STORE 1 +FLAGS (\Seen $Junk)
    Q: store 1 Add
    S: * 1 FETCH (FLAGS (\Seen $Junk \Recent))
    S: a OK Stored
    C: b STORE 1:2 -FLAGS \Seen
    Q: store 1:2 Remove
    S: * 1 FETCH (FLAGS ($Junk \Recent))
    S: * 2 FETCH (FLAGS (\Recent))
    S: b OK Stored
    C: c UID STORE 2 FLAGS (\Flagged \Draft)
    Q: store 2 Replace
    S: * 2 FETCH (UID 2 FLAGS (\Flagged \Draft \Recent))
    S: c OK Stored
    C: d STORE 1:3 +FLAGS.SILENT \Answered
    Q: store 1:3 Add
    S: d OK Stored
    C: e FETCH 1:3 FLAGS
    Q: fetch 1+3
    S: * 1 FETCH (FLAGS (\Answered $Junk \Recent))
    S: * 2 FETCH (FLAGS (\Answered \Flagged \Draft \Recent))
    S: * 3 FETCH (FLAGS (\Answered \Recent))
    S: e OK Done
    "#);
}

#[test]
fn wrong() {
    insta::assert_snapshot!(play(r#"C: a STORE 1 FLAGS | C: b STORE 1 +FLAGS (\Recent) | C: c STORE 1 X (\Seen) | C: d STORE 9 FLAGS () | C: e UID STORE 9 FLAGS ()"#), @r#"
    C: a STORE 1 FLAGS
    S: a BAD Expected a space
    C: b STORE 1 +FLAGS (\Recent)
    S: b BAD Unknown system flag
    C: c STORE 1 X (\Seen)
    S: c BAD Expected FLAGS
    C: d STORE 9 FLAGS ()
    S: d BAD No such message
    C: e UID STORE 9 FLAGS ()
    S: e OK Nothing to do
    "#);
}

#[test]
fn rfc4315_2_1_expunge() {
    insta::assert_snapshot!(play(r#"C: a STORE 1,3 +FLAGS.SILENT (\Deleted) | C: b UID EXPUNGE 2:3 | C: c EXPUNGE | C: d EXPUNGE"#), @r#"
    C: a STORE 1,3 +FLAGS.SILENT (\Deleted)
    Q: store 1,3 Add
    S: a OK Stored
    C: b UID EXPUNGE 2:3
    Q: expunge 2:3
    Q: changes
    S: * 3 EXPUNGE
    S: b OK Expunged
    C: c EXPUNGE
    Q: expunge
    Q: changes
    S: * 1 EXPUNGE
    S: c OK Expunged
    C: d EXPUNGE
    Q: expunge
    Q: changes
    S: d OK Expunged
    "#);
}

#[test]
fn rfc4315_3_copy() {
    insta::assert_snapshot!(play("C: a CREATE x | C: b COPY 2:3 x | C: c UID COPY 1 x | C: d COPY 1 y | C: e UID COPY 9 x | C: f COPY 1 INBOX"), @r#"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b COPY 2:3 x
    Q: copy 2:3 x
    S: b OK [COPYUID 8 2:3 1:2] Copied
    C: c UID COPY 1 x
    Q: copy 1 x
    S: c OK [COPYUID 8 1 3] Copied
    C: d COPY 1 y
    Q: copy 1 y
    S: d NO [TRYCREATE] No such mailbox
    C: e UID COPY 9 x
    S: e OK Nothing to do
    C: f COPY 1 INBOX
    Q: copy 1 INBOX
    Q: changes
    S: * 4 EXISTS
    S: * 4 RECENT
    S: f OK [COPYUID 7 1 4] Copied
    "#);
}

#[test]
fn rfc6851_4_3_move_tells_where_before_it_expunges() {
    insta::assert_snapshot!(play("C: a CREATE x | C: b MOVE 1:2 x | C: c UID MOVE 3 x | C: d UID MOVE 1:* x"), @r#"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b MOVE 1:2 x
    Q: move 1:2 x
    S: * OK [COPYUID 8 1:2 1:2] Moved
    Q: changes
    S: * 2 EXPUNGE
    S: * 1 EXPUNGE
    S: b OK Moved
    C: c UID MOVE 3 x
    Q: move 3 x
    S: * OK [COPYUID 8 3 3] Moved
    Q: changes
    S: * 1 EXPUNGE
    S: c OK Moved
    C: d UID MOVE 1:* x
    S: d OK Nothing to do
    "#);
}

#[test]
fn changes_of_others_are_told_when_they_may_be() {
    insta::assert_snapshot!(play(r#"M: flag 2 | M: deliver | M: expunge 1 | C: a STORE 3 +FLAGS (\Seen) | C: b UID STORE 3 -FLAGS (\Seen) | C: c NOOP"#), @r#"
    M: flag 2
    M: deliver
    M: expunge 1
    C: a STORE 3 +FLAGS (\Seen)
    Q: store 3 Add
    S: * 3 FETCH (FLAGS (\Seen \Recent))
    Q: changes but expunges
    S: * 4 EXISTS
    S: * 4 RECENT
    S: * 2 FETCH (FLAGS (\Flagged \Recent))
    S: a OK Stored
    C: b UID STORE 3 -FLAGS (\Seen)
    Q: store 3 Remove
    S: * 3 FETCH (UID 3 FLAGS (\Recent))
    Q: changes
    S: * 1 EXPUNGE
    S: b OK Stored
    C: c NOOP
    Q: changes
    S: c OK Done
    "#);
}

#[test]
fn rfc3501_6_4_7_a_copy_that_finds_messages_gone_copies_none() {
    insta::assert_snapshot!(play("C: a CREATE x | M: expunge 2 | C: b COPY 1:2 x | C: c MOVE 2 x | C: d UID COPY 1:2 x | C: e STATUS x (MESSAGES)"), @r#"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    M: expunge 2
    C: b COPY 1:2 x
    Q: copy 1:2 x
    Q: changes
    S: * 2 EXPUNGE
    S: b NO [EXPUNGEISSUED] Some messages are gone
    C: c MOVE 2 x
    Q: move 3 x
    S: * OK [COPYUID 8 3 1] Moved
    Q: changes
    S: * 2 EXPUNGE
    S: c OK Moved
    C: d UID COPY 1:2 x
    Q: copy 1 x
    S: d OK [COPYUID 8 1 2] Copied
    C: e STATUS x (MESSAGES)
    Q: status x
    S: * STATUS "x" (MESSAGES 2)
    S: e OK Done
    "#);
}

#[test]
fn rfc6851_3_3_move_where_it_can_not_and_where_it_is() {
    insta::assert_snapshot!(play("C: a MOVE 1 nope | C: b MOVE 1 INBOX | C: c FETCH 1:* UID | C: d UID MOVE 3:4 INBOX | C: e MOVE 4 INBOX | C: f MOVE 1 | C: g MOVE x y"), @r#"
    C: a MOVE 1 nope
    Q: move 1 nope
    S: a NO [TRYCREATE] No such mailbox
    C: b MOVE 1 INBOX
    Q: move 1 INBOX
    S: * OK [COPYUID 7 1 4] Moved
    Q: changes
    S: * 1 EXPUNGE
    S: * 3 EXISTS
    S: * 3 RECENT
    S: b OK Moved
    C: c FETCH 1:* UID
    Q: fetch 2+3
    S: * 1 FETCH (UID 2)
    S: * 2 FETCH (UID 3)
    S: * 3 FETCH (UID 4)
    S: c OK Done
    C: d UID MOVE 3:4 INBOX
    Q: move 3:4 INBOX
    S: * OK [COPYUID 7 3:4 5:6] Moved
    Q: changes
    S: * 3 EXPUNGE
    S: * 2 EXPUNGE
    S: * 3 EXISTS
    S: * 3 RECENT
    S: d OK Moved
    C: e MOVE 4 INBOX
    S: e BAD No such message
    C: f MOVE 1
    S: f BAD Expected a space
    C: g MOVE x y
    S: g BAD Expected a message number
    "#);
}

#[test]
fn rfc4315_2_1_uid_expunge_leaves_what_is_not_named_or_not_deleted() {
    insta::assert_snapshot!(play(r#"C: a STORE 1:2 +FLAGS.SILENT (\Deleted) | C: b UID EXPUNGE 2:3 | C: c UID EXPUNGE 9 | C: d UID EXPUNGE 2:* | C: e UID EXPUNGE | C: f UID EXPUNGE x | C: g FETCH 1:* (UID FLAGS)"#), @r#"
    C: a STORE 1:2 +FLAGS.SILENT (\Deleted)
    Q: store 1:2 Add
    S: a OK Stored
    C: b UID EXPUNGE 2:3
    Q: expunge 2:3
    Q: changes
    S: * 2 EXPUNGE
    S: b OK Expunged
    C: c UID EXPUNGE 9
    S: c OK Nothing to do
    C: d UID EXPUNGE 2:*
    Q: expunge 3
    Q: changes
    S: d OK Expunged
    C: e UID EXPUNGE
    S: e BAD Expected a space
    C: f UID EXPUNGE x
    S: f BAD Expected a message number
    C: g FETCH 1:* (UID FLAGS)
    Q: fetch 1+1,3+1
    S: * 1 FETCH (UID 1 FLAGS (\Deleted \Recent))
    S: * 2 FETCH (UID 3 FLAGS (\Recent))
    S: g OK Done
    "#);
}

#[test]
fn rfc4315_3_uids_in_the_order_of_the_copies() {
    insta::assert_snapshot!(play(r#"M: expunge 2 | C: 1 NOOP | M: deliver | C: 2 NOOP | C: a CREATE x | C: b COPY 3,1:2 x | C: c UID COPY 1,3,2 x | C: d UID COPY 2 x"#), @r#"
    M: expunge 2
    C: 1 NOOP
    Q: changes
    S: * 2 EXPUNGE
    S: 1 OK Done
    M: deliver
    C: 2 NOOP
    Q: changes
    S: * 3 EXISTS
    S: * 3 RECENT
    S: 2 OK Done
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b COPY 3,1:2 x
    Q: copy 1,3:4 x
    S: b OK [COPYUID 8 1,3:4 1:3] Copied
    C: c UID COPY 1,3,2 x
    Q: copy 1,3 x
    S: c OK [COPYUID 8 1,3 4:5] Copied
    C: d UID COPY 2 x
    S: d OK Nothing to do
    "#);
}
