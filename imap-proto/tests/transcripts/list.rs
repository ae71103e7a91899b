//! LIST and LSUB.

use imap_proto::MailboxName;
use imap_proto::model::{Driver, Happening, Model};
use proptest::prelude::*;

use crate::play::{Stage, play_user};

#[test]
fn rfc3348_3_wildcards_and_children() {
    insta::assert_snapshot!(play_user(r#"C: a CREATE a/b/c | C: b CREATE "a b" | C: c LIST "" % | C: d LIST "" * | C: e LIST a/ % | C: f LIST "" a/%/c | C: g LIST "" inbox | C: h LIST "" """#), @r#"
    C: a CREATE a/b/c
    Q: create a/b/c
    S: a OK [MAILBOXID (F0000000000000000000000000000000a)] Created
    C: b CREATE "a b"
    Q: create a b
    S: b OK [MAILBOXID (F0000000000000000000000000000000b)] Created
    C: c LIST "" %
    Q: names
    S: * LIST (\HasNoChildren) "/" "INBOX"
    S: * LIST (\HasChildren) "/" "a"
    S: * LIST (\HasNoChildren) "/" "a b"
    S: c OK Done
    C: d LIST "" *
    Q: names
    S: * LIST (\HasNoChildren) "/" "INBOX"
    S: * LIST (\HasChildren) "/" "a"
    S: * LIST (\HasNoChildren) "/" "a b"
    S: * LIST (\HasChildren) "/" "a/b"
    S: * LIST (\HasNoChildren) "/" "a/b/c"
    S: d OK Done
    C: e LIST a/ %
    Q: names
    S: * LIST (\HasChildren) "/" "a/b"
    S: e OK Done
    C: f LIST "" a/%/c
    Q: names
    S: * LIST (\HasNoChildren) "/" "a/b/c"
    S: f OK Done
    C: g LIST "" inbox
    Q: names
    S: * LIST (\HasNoChildren) "/" "INBOX"
    S: g OK Done
    C: h LIST "" ""
    S: * LIST (\Noselect) "/" ""
    S: h OK Done
    "#);
}

#[test]
fn names_go_out_as_they_came_in() {
    insta::assert_snapshot!(play_user(r#"C: a CREATE "Entw&APw-rfe" | C: b CREATE "a\"b\\c&-d" | C: c LIST "" E* | C: d LIST "" a* | C: e ENABLE IMAP4rev2 | C: f LIST "" *"#), @r#"
    C: a CREATE "Entw&APw-rfe"
    Q: create Entwürfe
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b CREATE "a\"b\\c&-d"
    Q: create a"b\c&d
    S: b OK [MAILBOXID (F00000000000000000000000000000009)] Created
    C: c LIST "" E*
    Q: names
    S: * LIST (\HasNoChildren) "/" "Entw&APw-rfe"
    S: c OK Done
    C: d LIST "" a*
    Q: names
    S: * LIST (\HasNoChildren) "/" "a\"b\\c&-d"
    S: d OK Done
    C: e ENABLE IMAP4rev2
    S: * ENABLED IMAP4rev2
    S: e OK Done
    C: f LIST "" *
    Q: names
    S: * LIST (\HasNoChildren) "/" "Entwürfe"
    S: * LIST (\HasNoChildren) "/" "INBOX"
    S: * LIST (\HasNoChildren) "/" "a\"b\\c&d"
    S: f OK Done
    "#);
}

#[test]
fn rfc3501_6_3_9_lsub() {
    insta::assert_snapshot!(play_user(r#"C: a CREATE x/y | C: b SUBSCRIBE x/y | C: c SUBSCRIBE gone/z | C: d LSUB "" % | C: e LSUB "" * | C: f UNSUBSCRIBE x/y | C: g LSUB "" *"#), @r#"
    C: a CREATE x/y
    Q: create x/y
    S: a OK [MAILBOXID (F00000000000000000000000000000009)] Created
    C: b SUBSCRIBE x/y
    Q: subscribe x/y
    S: b OK Subscribed
    C: c SUBSCRIBE gone/z
    Q: subscribe gone/z
    S: c OK Subscribed
    C: d LSUB "" %
    Q: names
    S: * LSUB (\Noselect) "/" "gone"
    S: * LSUB (\Noselect) "/" "x"
    S: d OK Done
    C: e LSUB "" *
    Q: names
    S: * LSUB () "/" "gone/z"
    S: * LSUB () "/" "x/y"
    S: e OK Done
    C: f UNSUBSCRIBE x/y
    Q: unsubscribe x/y
    S: f OK Unsubscribed
    C: g LSUB "" *
    Q: names
    S: * LSUB () "/" "gone/z"
    S: g OK Done
    "#);
}

#[test]
fn rfc5258_3_extended() {
    insta::assert_snapshot!(play_user(r#"C: a CREATE x/y | C: b SUBSCRIBE x/y | C: c SUBSCRIBE gone | C: d LIST (SUBSCRIBED) "" * | C: e LIST "" (x INBOX) RETURN (SUBSCRIBED CHILDREN) | C: f LIST (SUBSCRIBED RECURSIVEMATCH) "" % | C: g LIST (RECURSIVEMATCH) "" % | C: h LIST (REMOTE) "" x"#), @r#"
    C: a CREATE x/y
    Q: create x/y
    S: a OK [MAILBOXID (F00000000000000000000000000000009)] Created
    C: b SUBSCRIBE x/y
    Q: subscribe x/y
    S: b OK Subscribed
    C: c SUBSCRIBE gone
    Q: subscribe gone
    S: c OK Subscribed
    C: d LIST (SUBSCRIBED) "" *
    Q: names
    S: * LIST (\NonExistent \HasNoChildren \Subscribed) "/" "gone"
    S: * LIST (\HasNoChildren \Subscribed) "/" "x/y"
    S: d OK Done
    C: e LIST "" (x INBOX) RETURN (SUBSCRIBED CHILDREN)
    Q: names
    S: * LIST (\HasNoChildren) "/" "INBOX"
    S: * LIST (\HasChildren) "/" "x"
    S: e OK Done
    C: f LIST (SUBSCRIBED RECURSIVEMATCH) "" %
    Q: names
    S: * LIST (\NonExistent \HasNoChildren \Subscribed) "/" "gone"
    S: * LIST (\HasChildren) "/" "x" ("CHILDINFO" ("SUBSCRIBED"))
    S: f OK Done
    C: g LIST (RECURSIVEMATCH) "" %
    S: g BAD Expected another selection option beside RECURSIVEMATCH
    C: h LIST (REMOTE) "" x
    Q: names
    S: * LIST (\HasChildren) "/" "x"
    S: h OK Done
    "#);
}

#[test]
fn rfc6154_2_special_use() {
    insta::assert_snapshot!(play_user(r#"C: a CREATE Sent (USE (\Sent)) | C: b CREATE x (USE (\Nonsense)) | C: c LIST (SPECIAL-USE) "" * | C: d LIST "" * RETURN (SPECIAL-USE)"#), @r#"
    C: a CREATE Sent (USE (\Sent))
    Q: create Sent [Sent]
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b CREATE x (USE (\Nonsense))
    S: b NO [USEATTR] Special use is not known
    C: c LIST (SPECIAL-USE) "" *
    Q: names
    S: * LIST (\HasNoChildren \Sent) "/" "Sent"
    S: c OK Done
    C: d LIST "" * RETURN (SPECIAL-USE)
    Q: names
    S: * LIST (\HasNoChildren) "/" "INBOX"
    S: * LIST (\HasNoChildren \Sent) "/" "Sent"
    S: d OK Done
    "#);
}

#[test]
fn rfc5819_2_with_status() {
    insta::assert_snapshot!(play_user(r#"C: a CREATE x | C: b LIST "" * RETURN (STATUS (MESSAGES UNSEEN))"#), @r#"
    C: a CREATE x
    Q: create x
    S: a OK [MAILBOXID (F00000000000000000000000000000008)] Created
    C: b LIST "" * RETURN (STATUS (MESSAGES UNSEEN))
    Q: names
    S: * LIST (\HasNoChildren) "/" "INBOX"
    Q: status INBOX
    S: * STATUS "INBOX" (MESSAGES 3 UNSEEN 3)
    S: * LIST (\HasNoChildren) "/" "x"
    Q: status x
    S: * STATUS "x" (MESSAGES 0 UNSEEN 0)
    S: b OK Done
    "#);
}

#[test]
fn wrong() {
    insta::assert_snapshot!(play_user(r#"C: a LIST | C: b LIST "" | C: c LIST "" (x) RETURN (X) | C: d LIST (X) "" x | C: e LIST "" "&AGE-" | C: f LSUB (SUBSCRIBED) "" x"#), @r#"
    C: a LIST
    S: a BAD Expected a space
    C: b LIST ""
    S: b BAD Expected a space
    C: c LIST "" (x) RETURN (X)
    S: c BAD Unknown return option
    C: d LIST (X) "" x
    S: d BAD Unknown selection option
    C: e LIST "" "&AGE-"
    S: e OK Done
    C: f LSUB (SUBSCRIBED) "" x
    S: f BAD Expected a reference
    "#);
}

proptest! {
    /// Whatever a mailbox is called, LIST writes one line with one name, and that name selects it.
    #[test]
    fn row_43_names_are_one_string(name in "\\PC{1,40}|[ -~/]{1,40}|.{1,20}", rev2 in any::<bool>()) {
        prop_assume!(MailboxName::new(&name).is_ok_and(|name| !name.is_inbox()));
        let stage = Stage::default();
        let mut driver = Driver::new(stage.config, stage.peer, Model::new(0));
        driver.receive(b"a LOGIN u pw\r\nb ENABLE IMAP4rev2\r\n");
        driver.receive(format!("c CREATE {{{}+}}\r\n{name}\r\n", name.len()).as_bytes());
        driver.log.clear();
        if !rev2 {
            // The same store, in the words of IMAP4rev1.
            let model = driver.model;
            driver = Driver::new(Stage::default().config, Stage::default().peer, model);
            driver.receive(b"a LOGIN u pw\r\n");
            driver.log.clear();
        }
        driver.receive(b"d LIST \"\" *\r\n");
        let Some(Happening::Sent(sent)) = driver.log.pop() else { panic!("nothing was sent") };
        let lines: Vec<&[u8]> = sent.split_inclusive(|byte| *byte == b'\n').collect();
        let parents = MailboxName::new(&name).unwrap().as_str().matches('/').count();
        prop_assert_eq!(lines.len(), 3 + parents);
        for line in &lines[..2 + parents] {
            let at = line.windows(5).position(|five| five == b" \"/\" ").unwrap() + 5;
            let wire = line[at..].strip_suffix(b"\r\n").unwrap();
            driver.log.clear();
            driver.receive(&[b"e STATUS ", wire, b" (MESSAGES)\r\n"].concat());
            let Some(Happening::Sent(sent)) = driver.log.pop() else { panic!("nothing was sent") };
            prop_assert!(sent.ends_with(b"e OK Done\r\n"), "{}", sent.escape_ascii());
        }
    }
}
