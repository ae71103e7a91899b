//! IDLE.

use crate::play::{play, play_user};

#[test]
fn rfc2177_3_changes_are_told_at_once() {
    insta::assert_snapshot!(play("C: a IDLE | M: deliver | M: expunge 1 | M: flag 3 | C: DONE | C: b NOOP"), @r#"
    C: a IDLE
    S: + idling
    Q: changes
    M: deliver
    Q: changes
    S: * 4 EXISTS
    S: * 4 RECENT
    M: expunge 1
    Q: changes
    S: * 1 EXPUNGE
    M: flag 3
    Q: changes
    S: * 2 FETCH (FLAGS (\Flagged \Recent))
    C: DONE
    S: a OK Done
    C: b NOOP
    Q: changes
    S: b OK Done
    "#);
}

#[test]
fn what_happened_before_is_told_first() {
    insta::assert_snapshot!(play("M: deliver | C: a IDLE | C: done"), @r#"
    M: deliver
    C: a IDLE
    S: + idling
    Q: changes
    S: * 4 EXISTS
    S: * 4 RECENT
    C: done
    S: a OK Done
    "#);
}

#[test]
fn reports_new_mail_then_logs_out_by_age() {
    insta::assert_snapshot!(play("C: a IDLE | T: +20m | M: deliver | T: +10m"), @r#"
    C: a IDLE
    S: + idling
    Q: changes
    T: +20m
    M: deliver
    Q: changes
    S: * 4 EXISTS
    S: * 4 RECENT
    T: +10m
    S: * BYE Idle for too long
    X: close
    "#);
}

#[test]
fn anything_but_done() {
    insta::assert_snapshot!(play("C: a IDLE | C: b NOOP | C: c NOOP"), @r#"
    C: a IDLE
    S: + idling
    Q: changes
    C: b NOOP
    S: a BAD Expected DONE
    C: c NOOP
    Q: changes
    S: c OK Done
    "#);
}

#[test]
fn without_a_mailbox() {
    insta::assert_snapshot!(play_user("C: a IDLE | C: DONE"), @r#"
    C: a IDLE
    S: + idling
    C: DONE
    S: a OK Done
    "#);
}

#[test]
fn shutdown() {
    insta::assert_snapshot!(play("C: a IDLE | E: shutdown"), @r#"
    C: a IDLE
    S: + idling
    Q: changes
    E: shutdown
    S: * BYE [UNAVAILABLE] Server is shutting down
    X: close
    "#);
}
