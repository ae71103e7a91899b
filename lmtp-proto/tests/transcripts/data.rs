//! DATA.

use crate::play::{config, play, play_with};

/// A transaction with two recipients, up to the text.
const TWO: &str = r"
    C: LHLO a
    C: MAIL FROM:<>
    C: RCPT TO:<u1>
    A: accepted
    C: RCPT TO:<u2>
    A: accepted
    C: DATA
";

/// What follows.
fn after(script: &str) -> String {
    let transcript = play(&format!("{TWO}{script}"));
    let at = transcript.find("C: DATA\n").unwrap();
    transcript[at..].into()
}

#[test]
fn one_reply_for_each_recipient() {
    insta::assert_snapshot!(after(r"
        A: proceed
        C: Subject: x
        C:
        C: ..dot
        C: .
        A: stored +- @0 m1
        C: NOOP
    "), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: Subject: x
    B: Subject: x\r\n
    C:
    B: \r\n
    C: ..dot
    B: .dot\r\n
    C: .
    Q: done
    A: stored +- @0 m1
    S: 250 2.0.0 Stored as m1
    S: 552 5.2.2 Mailbox is full
    C: NOOP
    S: 250 2.0.0 Still here
    ");
}

#[test]
fn the_same_recipient_twice_gets_two_replies() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<u1>\r\nRCPT TO:<u1>
        A: accepted
        A: accepted
        C: DATA
        A: proceed
        C: .
        A: stored ++
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>\r\nRCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: accepted
    Q: recipient 1 <u1> (u1)
    S: 250 2.1.5 Recipient noted
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: .
    Q: done
    A: stored ++
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    ");
}

#[test]
fn without_recipients_no_text_is_taken() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: DATA
        C: MAIL FROM:<>
        C: DATA
        C: RCPT TO:<u1>
        A: refused 550 1.1 No
        C: DATA
        C: MAIL FROM:<>
        C: RSET
        C: MAIL FROM:<>
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: DATA
    S: 503 5.5.1 MAIL first
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: DATA
    S: 503 5.5.1 No valid recipients
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: refused 550 1.1 No
    S: 550 5.1.1 No
    C: DATA
    S: 503 5.5.1 No valid recipients
    C: MAIL FROM:<>
    S: 503 5.5.1 Sender already given
    C: RSET
    S: 250 2.0.0 Forgotten
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    ");
}

#[test]
fn a_full_disk_is_told_before_the_text() {
    insta::assert_snapshot!(after(r"
        A: refused 452 3.1 No room
        C: MAIL FROM:<>
    "), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: refused 452 3.1 No room
    S: 452 4.3.1 No room
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    ");
}

#[test]
fn the_store_fails_at_the_end() {
    insta::assert_snapshot!(after(r"
        A: proceed
        C: x\r\n.
        A: refused 451 3.0 Disk on fire
        C: MAIL FROM:<>
    "), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: x\r\n.
    B: x\r\n
    Q: done
    A: refused 451 3.0 Disk on fire
    S: 451 4.3.0 Disk on fire
    S: 451 4.3.0 Disk on fire
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    ");
}

#[test]
fn missing_and_surplus_outcomes() {
    insta::assert_snapshot!(after("A: proceed\nC: .\nA: stored +"), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: .
    Q: done
    A: stored +
    S: 250 2.0.0 Stored
    S: 451 4.3.0 Not now, try again later
    ");
    insta::assert_snapshot!(after("A: proceed\nC: .\nA: stored +-+"), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: .
    Q: done
    A: stored +-+
    S: 250 2.0.0 Stored
    S: 552 5.2.2 Mailbox is full
    ");
}

#[test]
fn text_that_grows_past_the_limit_is_read_to_its_end() {
    let mut config = config();
    config.limits.message = 10;
    let transcript =
        play_with(config.clone(), &format!("{TWO}\nA: proceed\nC: 12345678\nC: .\nA: stored ++"));
    assert!(transcript.ends_with("S: 250 2.0.0 Stored\nS: 250 2.0.0 Stored\n"), "{transcript}");
    let script = r"
        A: proceed
        C: 12345678
        C: ..
        C: more
        C: .
        C: MAIL FROM:<>
    ";
    let transcript = play_with(config, &format!("{TWO}{script}"));
    let at = transcript.find("A: proceed").unwrap();
    insta::assert_snapshot!(&transcript[at..], @r"
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: 12345678
    B: 12345678\r\n
    C: ..
    Q: abort
    C: more
    C: .
    S: 552 5.3.4 Message is larger than this server takes
    S: 552 5.3.4 Message is larger than this server takes
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    ");
}

#[test]
fn an_endless_text_closes() {
    let mut config = config();
    (config.limits.message, config.limits.discard) = (10, 20);
    let transcript = play_with(
        config,
        &format!("{TWO}\nA: proceed\nC< 1234567890abcdefghij\nC< klmnopqrstuvwxyz"),
    );
    let at = transcript.find("A: proceed").unwrap();
    insta::assert_snapshot!(&transcript[at..], @r"
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C< 1234567890abcdefghij
    B: 1234567890
    Q: abort
    C< klmnopqrstuvwxyz
    S: 421 4.7.0 Too much to drop, closing connection
    close
    ");
}

#[test]
fn commands_behind_the_text_wait_for_its_replies() {
    insta::assert_snapshot!(after(r"
        A: proceed
        C: x\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<u3>\r\nDATA
        A: stored ++
        A: accepted
    "), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: x\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<u3>\r\nDATA
    B: x\r\n
    Q: done
    A: stored ++
    Q: recipient 0 <u3> (u3)
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    S: 250 2.1.0 Sender noted
    A: accepted
    Q: open, from <> to 0, LMTP a
    S: 250 2.1.5 Recipient noted
    ");
}

#[test]
fn row_63_only_crlf_dot_crlf_ends_the_text() {
    insta::assert_snapshot!(after(r"
        A: proceed
        C< a\n.\nb\n.\r\nc\r.\rd\r\n\0.\r\ne
        C: \r\n.
        A: stored ++
    "), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C< a\n.\nb\n.\r\nc\r.\rd\r\n\0.\r\ne
    B: a\n.\nb\n.\r\nc\r.\rd\r\n\x00.\r\ne
    C: \r\n.
    B: \r\n
    Q: done
    A: stored ++
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    ");
}

#[test]
fn row_63_a_dot_before_a_bare_end_is_transparency() {
    insta::assert_snapshot!(after(r"
        A: proceed
        C< a\r\n.\nb\r\n.\rc\r\n.\0\r\n
        C< .\r
        C< \r\n.\r\n
        A: stored ++
    "), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C< a\r\n.\nb\r\n.\rc\r\n.\0\r\n
    B: a\r\n\nb\r\n\rc\r\n\x00\r\n
    C< .\r
    C< \r\n.\r\n
    B: \r\r\n
    Q: done
    A: stored ++
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    ");
}

#[test]
fn row_63_smuggled_commands_stay_text() {
    insta::assert_snapshot!(after(r"
        A: proceed
        C< x\n.\nMAIL FROM:<evil@d>\r\nRCPT TO:<u3>\r\nDATA\r\ny\r\n
        C: .
        A: stored ++
    "), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C< x\n.\nMAIL FROM:<evil@d>\r\nRCPT TO:<u3>\r\nDATA\r\ny\r\n
    B: x\n.\nMAIL FROM:<evil@d>\r\nRCPT TO:<u3>\r\nDATA\r\ny\r\n
    C: .
    Q: done
    A: stored ++
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    ");
}

#[test]
fn row_66_a_failure_in_the_middle_of_a_pipelined_group() {
    // RFC 2920 §3.1: the group is MAIL, RCPTs, DATA; the text follows its 354.
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: MAIL FROM:<>\r\nRCPT TO:<u1>\r\nRCPT TO:<no>\r\nRCPT TO:<bad@@>\r\nRCPT TO:<u2>\r\nDATA
        A: accepted
        A: refused 550 1.1 No such mailbox
        A: accepted
        A: proceed
        C: x\r\n.
        A: stored ++
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>\r\nRCPT TO:<u1>\r\nRCPT TO:<no>\r\nRCPT TO:<bad@@>\r\nRCPT TO:<u2>\r\nDATA
    Q: recipient 0 <u1> (u1)
    S: 250 2.1.0 Sender noted
    A: accepted
    Q: recipient 1 <no> (no)
    S: 250 2.1.5 Recipient noted
    A: refused 550 1.1 No such mailbox
    Q: recipient 2 <u2> (u2)
    S: 550 5.1.1 No such mailbox
    S: 501 5.1.3 Bad recipient address syntax
    A: accepted
    Q: open, from <> to 0 2, LMTP a
    S: 250 2.1.5 Recipient noted
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: x\r\n.
    B: x\r\n
    Q: done
    A: stored ++
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    ");
}

#[test]
fn row_66_a_pipelined_group_whose_mail_fails() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: MAIL FROM:<> SIZE=999999999999\r\nRCPT TO:<u1>\r\nRCPT TO:<u2>\r\nDATA\r\nRSET
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<> SIZE=999999999999\r\nRCPT TO:<u1>\r\nRCPT TO:<u2>\r\nDATA\r\nRSET
    S: 552 5.3.4 Message is larger than this server takes
    S: 503 5.5.1 MAIL first
    S: 503 5.5.1 MAIL first
    S: 503 5.5.1 MAIL first
    S: 250 2.0.0 Forgotten
    ");
}

#[test]
fn row_66_the_client_leaves_after_the_dot() {
    // It has no reply and will send the message again: the delivery is cancelled if it still can be.
    insta::assert_snapshot!(after(r"
        A: proceed
        C: x\r\n.
        E:
        A: stored ++ @5
        ?:
        D: 5
    "), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: x\r\n.
    B: x\r\n
    Q: done
    E:
    Q: cancel
    A: stored ++ @5
    ?: no input, 10 s
    D: 5
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    close
    ");
    insta::assert_snapshot!(after(r"
        A: proceed
        C: x\r\n.
        E:
        A: refused 451 3.0 Cancelled
    "), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: x\r\n.
    B: x\r\n
    Q: done
    E:
    Q: cancel
    A: refused 451 3.0 Cancelled
    S: 451 4.3.0 Cancelled
    S: 451 4.3.0 Cancelled
    close
    ");
}

#[test]
fn row_66_the_client_leaves_in_the_text() {
    insta::assert_snapshot!(after("A: proceed\nC: x\nE:\nC: ."), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: x
    B: x\r\n
    E:
    Q: abort
    close
    C: .
    ");
}
