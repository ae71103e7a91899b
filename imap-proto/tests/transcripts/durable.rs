//! Replies and what they depend on.

use crate::play::play;

#[test]
fn nothing_leaves_before_it_is_durable() {
    insta::assert_snapshot!(play(r#"E: hold | C: a STORE 1 +FLAGS (\Seen) | C: b NOOP | C: c STORE 2 +FLAGS (\Seen) | E: durable"#), @r#"
    E: hold
    C: a STORE 1 +FLAGS (\Seen)
    Q: store 1 Add
    C: b NOOP
    Q: changes
    C: c STORE 2 +FLAGS (\Seen)
    Q: store 2 Add
    E: durable
    S: * 1 FETCH (FLAGS (\Seen \Recent))
    S: a OK Stored
    S: b OK Done
    S: * 2 FETCH (FLAGS (\Seen \Recent))
    S: c OK Stored
    "#);
}

#[test]
fn what_is_lost_becomes_no() {
    insta::assert_snapshot!(play(r#"E: hold | C: a NOOP | C: b STORE 1 +FLAGS (\Seen) | C: c NOOP | E: lost"#), @r#"
    E: hold
    C: a NOOP
    Q: changes
    S: a OK Done
    C: b STORE 1 +FLAGS (\Seen)
    Q: store 1 Add
    C: c NOOP
    Q: changes
    E: lost
    S: b NO [UNAVAILABLE] Could not be written to disk
    S: c NO [UNAVAILABLE] Could not be written to disk
    S: * BYE [UNAVAILABLE] Could not be written to disk
    X: close
    "#);
}

#[test]
fn what_waited_for_nothing_is_not_lost() {
    insta::assert_snapshot!(play("E: hold | C: a NOOP | E: lost | C: b NOOP"), @r#"
    E: hold
    C: a NOOP
    Q: changes
    S: a OK Done
    E: lost
    C: b NOOP
    Q: changes
    S: b OK Done
    "#);
}

#[test]
fn logout_waits_too() {
    insta::assert_snapshot!(play(r#"E: hold | C: a STORE 1 +FLAGS.SILENT (\Seen) | C: b LOGOUT | E: durable"#), @r#"
    E: hold
    C: a STORE 1 +FLAGS.SILENT (\Seen)
    Q: store 1 Add
    C: b LOGOUT
    E: durable
    S: a OK Stored
    S: * BYE Logging out
    S: b OK Goodbye
    X: close
    "#);
}
