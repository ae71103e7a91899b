//! CREATE, DELETE, RENAME, STATUS.

use crate::play::{play, play_user};

#[test]
fn rfc3501_6_3_3_create_delete_rename() {
    insta::assert_snapshot!(play_user("C: a CREATE x | C: b CREATE x | C: c RENAME x y | C: d RENAME x z | C: e DELETE y | C: f DELETE y | C: g DELETE inbox | C: h RENAME y y/z | C: i CREATE z/"), @r#"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b CREATE x
    Q: create x
    S: b NO [ALREADYEXISTS] There is such a mailbox
    C: c RENAME x y
    Q: rename x y
    S: c OK Renamed
    C: d RENAME x z
    Q: rename x z
    S: d NO [NONEXISTENT] No such mailbox
    C: e DELETE y
    Q: delete y
    S: e OK Deleted
    C: f DELETE y
    Q: delete y
    S: f NO [NONEXISTENT] No such mailbox
    C: g DELETE inbox
    S: g NO [CANNOT] INBOX can't be deleted
    C: h RENAME y y/z
    S: h NO [CANNOT] A mailbox can't be put below itself
    C: i CREATE z/
    Q: create z
    S: i OK [MAILBOXID (F00000000000000000000000000000009)] Created
    "#);
}

#[test]
fn row_42_names_that_are_paths() {
    insta::assert_snapshot!(play_user("C: a CREATE ../x | C: b CREATE /etc | C: c CREATE a//b | C: d CREATE . | C: e CREATE x/.. | C: f CREATE \"&AC8-\" | C: g CREATE \"&AC4-\" | C: h CREATE \"&AGE-\" | C: i CREATE ~u | C: j SELECT ../../etc/passwd | C: k CREATE {3+} | C: \u{1}ab | C: l CREATE \"a&AAo-b\" | C: m RENAME ~u .."), @r#"
    C: a CREATE ../x
    S: a NO [CANNOT] Mailbox name has a component of dots
    C: b CREATE /etc
    S: b NO [CANNOT] Mailbox name has an empty component
    C: c CREATE a//b
    S: c NO [CANNOT] Mailbox name has an empty component
    C: d CREATE .
    S: d NO [CANNOT] Mailbox name has a component of dots
    C: e CREATE x/..
    S: e NO [CANNOT] Mailbox name has a component of dots
    C: f CREATE "&AC8-"
    S: f NO [CANNOT] Mailbox name is not properly encoded
    C: g CREATE "&AC4-"
    S: g NO [CANNOT] Mailbox name is not properly encoded
    C: h CREATE "&AGE-"
    S: h NO [CANNOT] Mailbox name is not properly encoded
    C: i CREATE ~u
    Q: create ~u
    S: i OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: j SELECT ../../etc/passwd
    S: j NO [CANNOT] Mailbox name has a component of dots
    C: k CREATE {3+}
    C: ab
    S: k NO [CANNOT] Mailbox name is not properly encoded
    C: l CREATE "a&AAo-b"
    S: l NO [CANNOT] Mailbox name has a control character
    C: m RENAME ~u ..
    S: m NO [CANNOT] Mailbox name has a component of dots
    "#);
}

#[test]
fn rfc8438_3_status() {
    insta::assert_snapshot!(play_user("C: a STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN) | C: b STATUS inbox (SIZE DELETED) | C: c STATUS x (MESSAGES) | C: d STATUS INBOX () | C: e STATUS INBOX (X)"), @r#"
    C: a STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)
    Q: status INBOX
    S: * STATUS "INBOX" (MESSAGES 3 RECENT 3 UIDNEXT 4 UIDVALIDITY 7 UNSEEN 3)
    S: a OK Done
    C: b STATUS inbox (SIZE DELETED)
    Q: status INBOX
    S: * STATUS "INBOX" (DELETED 0 SIZE 156)
    S: b OK Done
    C: c STATUS x (MESSAGES)
    Q: status x
    S: c NO [NONEXISTENT] No such mailbox
    C: d STATUS INBOX ()
    S: d BAD Expected a status item
    C: e STATUS INBOX (X)
    S: e BAD Unknown status item
    "#);
}

#[test]
fn a_refusal_is_passed_on() {
    insta::assert_snapshot!(play_user("A: no Quota says so | C: a CREATE x"), @r#"
    A: no Quota says so
    C: a CREATE x
    Q: create x
    S: a NO Quota says so
    "#);
}

#[test]
fn deleting_the_selected_mailbox_leaves_it() {
    insta::assert_snapshot!(play("C: a CREATE x | C: b SELECT x | C: c DELETE x | C: d CHECK"), @r#"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b SELECT x
    S: * OK [CLOSED] Previous mailbox is closed
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
    C: c DELETE x
    Q: delete x
    S: c OK Deleted
    Q: unselect
    C: d CHECK
    S: d BAD No mailbox is selected
    "#);
}

#[test]
fn a_refused_delete_leaves_the_selected_mailbox_selected() {
    insta::assert_snapshot!(play("C: a CREATE x | C: b SELECT x | A: no It has children | C: c DELETE x | C: d CHECK | C: e RENAME x y | C: f CHECK | C: g DELETE x | C: h CHECK | C: i DELETE y | C: j CHECK"), @r"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b SELECT x
    S: * OK [CLOSED] Previous mailbox is closed
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
    A: no It has children
    C: c DELETE x
    Q: delete x
    S: c NO It has children
    C: d CHECK
    Q: changes
    S: d OK Done
    C: e RENAME x y
    Q: rename x y
    S: e OK Renamed
    C: f CHECK
    Q: changes
    S: f OK Done
    C: g DELETE x
    Q: delete x
    S: g NO [NONEXISTENT] No such mailbox
    C: h CHECK
    Q: changes
    S: h OK Done
    C: i DELETE y
    Q: delete y
    S: i OK Deleted
    Q: unselect
    C: j CHECK
    S: j BAD No mailbox is selected
    ");
}
