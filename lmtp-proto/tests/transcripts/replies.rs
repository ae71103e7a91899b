//! Replies that wait for the journal, and texts that come from elsewhere.

use crate::play::play;

const PREPARED: &str = r"
    C: LHLO a
    C: MAIL FROM:<>
    C: RCPT TO:<u1>
    A: accepted
    C: RCPT TO:<u2>
    A: accepted
    C: DATA
    A: proceed
    C: .
";

fn after(script: &str) -> String {
    let transcript = play(&format!("{PREPARED}{script}"));
    transcript.strip_prefix(&play(PREPARED)).unwrap().into()
}

#[test]
fn a_delivery_is_told_once_it_is_durable() {
    insta::assert_snapshot!(after(r"
        A: stored ++ @7
        D: 6
        C: NOOP
        D: 7
    "), @r"
    A: stored ++ @7
    D: 6
    C: NOOP
    D: 7
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Still here
    ");
}

#[test]
fn already_durable() {
    insta::assert_snapshot!(after("D: 9\nA: stored ++ @9"), @r"
    D: 9
    A: stored ++ @9
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    ");
}

#[test]
fn refusals_alone_wait_for_nothing() {
    insta::assert_snapshot!(after("A: stored -- @9"), @r"
    A: stored -- @9
    S: 552 5.2.2 Mailbox is full
    S: 552 5.2.2 Mailbox is full
    ");
}

#[test]
fn a_lost_delivery_is_tried_again() {
    insta::assert_snapshot!(after(r"
        A: stored +- @7
        C: MAIL FROM:<>\r\nRCPT TO:<u1>
        A: accepted
        C: BDAT 0 LAST
        A: proceed
        A: stored + @8 second
        C: NOOP
        L: 7
    "), @r"
    A: stored +- @7
    C: MAIL FROM:<>\r\nRCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: accepted
    C: BDAT 0 LAST
    Q: open, from <> to 0, 0 octets, LMTP a
    A: proceed
    Q: done
    A: stored + @8 second
    C: NOOP
    L: 7
    S: 250 2.0.0 Stored
    S: 552 5.2.2 Mailbox is full
    S: 250 2.1.0 Sender noted
    S: 250 2.1.5 Recipient noted
    S: 451 4.3.0 Not stored, try again later
    S: 250 2.0.0 Still here
    ");
    insta::assert_snapshot!(after("A: stored +- @7\nC: NOOP\nL: 6\nD: 7\nC: QUIT"), @r"
    A: stored +- @7
    C: NOOP
    L: 6
    S: 451 4.3.0 Not stored, try again later
    S: 552 5.2.2 Mailbox is full
    S: 250 2.0.0 Still here
    D: 7
    C: QUIT
    S: 221 2.0.0 Bye
    close
    ");
}

#[test]
fn what_came_before_a_lost_delivery_is_kept() {
    insta::assert_snapshot!(after(r"
        A: stored ++ @7
        C: MAIL FROM:<>\r\nRCPT TO:<u1>
        A: accepted
        C: BDAT 0 LAST
        A: proceed
        A: stored + @9 second
        L: 8
    "), @r"
    A: stored ++ @7
    C: MAIL FROM:<>\r\nRCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: accepted
    C: BDAT 0 LAST
    Q: open, from <> to 0, 0 octets, LMTP a
    A: proceed
    Q: done
    A: stored + @9 second
    L: 8
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    S: 250 2.1.0 Sender noted
    S: 250 2.1.5 Recipient noted
    S: 451 4.3.0 Not stored, try again later
    ");
}

#[test]
fn quit_waits_for_what_is_not_durable() {
    insta::assert_snapshot!(after(r"
        A: stored ++ @7
        C: QUIT
        ?:
        D: 7
    "), @r"
    A: stored ++ @7
    C: QUIT
    ?: no input, 10 s
    D: 7
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    S: 221 2.0.0 Bye
    close
    ");
}

#[test]
fn row_62_texts_cannot_steer_a_terminal() {
    let transcript = after(&format!(
        "A: refused 451 3.0 a\\x1b[2J\\r\\n250 2.0.0 ok\\0\\xc3\\xbc{}",
        "x".repeat(999)
    ));
    let refusal = transcript.lines().nth(1).unwrap();
    assert!(refusal.starts_with("S: 451 4.3.0 a?[2J??250 2.0.0 ok??xxx"), "{refusal}");
    assert_eq!(refusal.len(), "S: 451 4.3.0 ".len() + 400);
}

#[test]
fn the_id_of_a_message_is_shown_and_bounded() {
    let transcript = after(&format!("A: stored ++ @0 {}\u{7}", "i".repeat(200)));
    let line = format!("S: 250 2.0.0 Stored as {}", "i".repeat(100));
    assert_eq!(transcript.lines().skip(1).collect::<Vec<_>>(), [&*line, &*line]);
}

#[test]
fn many_replies_that_wait_hold_back_further_commands() {
    let noops = "C: NOOP\n".repeat(1_000);
    let transcript = play(&format!("{PREPARED}A: stored ++ @7\n{noops}?:\nD: 7"));
    assert!(
        transcript
            .contains("\n?: no input, 300 s\nD: 7\nS: 250 2.0.0 Stored\nS: 250 2.0.0 Stored\n")
    );
    assert_eq!(transcript.matches("S: 250 2.0.0 Still here").count(), 1_000);
}
