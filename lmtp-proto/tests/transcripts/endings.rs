//! Deadlines, shutdown, hang-ups.

use crate::play::{config, play, play_with};

#[test]
fn lhlo_comes_within_a_minute_in_total() {
    insta::assert_snapshot!(play(r"
        ?:
        T: +30s
        C: NOOP
        C< BDAT 1\r\nx
        ?:
        T: +29s
        C< LHL
        T: +1s
        C: O a
    "), @r"
    S: 220 mx.example LMTP
    ?: input, 60 s
    T: +30s
    C: NOOP
    S: 250 2.0.0 Still here
    C< BDAT 1\r\nx
    S: 503 5.5.1 LHLO first
    ?: input, 30 s
    T: +29s
    C< LHL
    T: +1s
    S: 421 4.4.2 Timeout, closing connection
    close
    C: O a
    ");
}

#[test]
fn a_command_within_five_minutes() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        ?:
        T: +299s
        C: NOOP
        T: +299s
        C< NOO
        T: +1s
        C: P
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    ?: input, 300 s
    T: +299s
    C: NOOP
    S: 250 2.0.0 Still here
    T: +299s
    C< NOO
    T: +1s
    S: 421 4.4.2 Timeout, closing connection
    close
    C: P
    ");
}

#[test]
fn our_own_slowness_has_no_deadline() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<u1>
        ?:
        T: +9999s
        A: accepted
        ?:
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    ?: no input
    T: +9999s
    A: accepted
    S: 250 2.1.5 Recipient noted
    ?: input, 300 s
    ");
}

#[test]
fn row_26_text_that_trickles_does_not_move_the_deadline() {
    let mut config = config();
    config.limits.text_block = 10;
    insta::assert_snapshot!(play_with(config, r"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<u1>
        A: accepted
        C: DATA
        A: proceed
        ?:
        T: +200s
        C< 123456789
        ?:
        C< 0
        ?:
        T: +200s
        C< x
        T: +100s
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: DATA
    Q: open, from <> to 0, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    ?: input, 300 s
    T: +200s
    C< 123456789
    B: 123456789
    ?: input, 100 s
    C< 0
    B: 0
    ?: input, 300 s
    T: +200s
    C< x
    B: x
    T: +100s
    Q: abort
    S: 421 4.4.2 Timeout, closing connection
    close
    ");
}

#[test]
fn a_chunk_has_the_same_deadline() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<u1>
        A: accepted
        C: BDAT 10
        A: proceed
        C< x
        T: +300s
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: BDAT 10
    Q: open, from <> to 0, LMTP a
    A: proceed
    C< x
    B: x
    T: +300s
    Q: abort
    S: 421 4.4.2 Timeout, closing connection
    close
    ");
}

#[test]
fn a_client_that_does_not_read_its_last_replies() {
    let mut config = config();
    config.limits.close_timeout = 10_000;
    insta::assert_snapshot!(play_with(config, r"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<u1>
        A: accepted
        C: BDAT 0 LAST
        A: proceed
        A: stored + @7
        C: QUIT
        ?:
        T: +10s
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: BDAT 0 LAST
    Q: open, from <> to 0, 0 octets, LMTP a
    A: proceed
    Q: done
    A: stored + @7
    C: QUIT
    ?: no input, 10 s
    T: +10s
    close
    ");
}

#[test]
fn a_session_is_ended_at_a_command_boundary() {
    insta::assert_snapshot!(play("C: LHLO a\nC: BDAT 3\nX: kick\nC: abc"), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: BDAT 3
    X: kick
    C: abc
    S: 503 5.5.1 MAIL first
    S: 421 4.3.2 Session ended by the administrator
    close
    ");
}

#[test]
fn shutdown_between_commands() {
    insta::assert_snapshot!(play("C: LHLO a\nX:\nC: NOOP"), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    X:
    S: 421 4.3.2 Shutting down, closing connection
    close
    C: NOOP
    ");
    insta::assert_snapshot!(play("C: LHLO a\nC: BDAT 3\nX:\nC: abc"), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: BDAT 3
    X:
    C: abc
    S: 503 5.5.1 MAIL first
    S: 421 4.3.2 Shutting down, closing connection
    close
    ");
}

#[test]
fn shutdown_waits_for_a_command_and_a_text() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<u1>
        A: accepted
        C: DATA
        X:
        A: proceed
        C: x
        C: .
        A: stored + @3
        D: 3
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: DATA
    Q: open, from <> to 0, LMTP a
    X:
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: x
    B: x\r\n
    C: .
    Q: done
    A: stored + @3
    D: 3
    S: 250 2.0.0 Stored
    S: 421 4.3.2 Shutting down, closing connection
    close
    ");
}

#[test]
fn shutdown_between_chunks_forgets_them() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<u1>
        A: accepted
        C< BDAT 3\r\nabc
        A: proceed
        X:
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: accepted
    S: 250 2.1.5 Recipient noted
    C< BDAT 3\r\nabc
    Q: open, from <> to 0, LMTP a
    A: proceed
    B: abc
    S: 250 2.0.0 3 octets taken
    X:
    Q: abort
    S: 421 4.3.2 Shutting down, closing connection
    close
    ");
}

#[test]
fn end_of_input_with_a_question_open() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<u1>
        E:
        A: accepted
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    E:
    Q: cancel
    close
    A: accepted
    ");
    insta::assert_snapshot!(play("E:"), @r"
    S: 220 mx.example LMTP
    E:
    close
    ");
}
