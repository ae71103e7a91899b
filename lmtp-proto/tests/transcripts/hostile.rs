//! Clients that are none.

use crate::play::{config, play, play_with};

#[test]
fn row_05_http_is_closed_at_once() {
    insta::assert_snapshot!(play("C: GET / HTTP/1.1\nC: MAIL FROM:<>"), @r"
    S: 220 mx.example LMTP
    C: GET / HTTP/1.1
    close
    C: MAIL FROM:<>
    ");
    insta::assert_snapshot!(play(r"C: POST /x HTTP/1.1\r\nHost: mx\r\n\r\nLHLO a"), @r"
    S: 220 mx.example LMTP
    C: POST /x HTTP/1.1\r\nHost: mx\r\n\r\nLHLO a
    close
    ");
    insta::assert_snapshot!(play(r"C: LHLO a\r\nhost: mx"), @r"
    S: 220 mx.example LMTP
    C: LHLO a\r\nhost: mx
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    close
    ");
}

#[test]
fn row_05_errors_in_a_row_close() {
    let mut config = config();
    config.limits.errors = 3;
    insta::assert_snapshot!(play_with(config, r"
        C: LHLO a
        C: ONE
        C: <script>
        C: \x16\x03\x01
        C: NOOP
        C: one
        C: two
        C: three
        C: four
        C: five
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: ONE
    S: 500 5.5.1 Unknown command
    C: <script>
    S: 500 5.5.1 Unknown command
    C: \x16\x03\x01
    S: 500 5.5.2 A line is printable characters and ends with CRLF
    C: NOOP
    S: 250 2.0.0 Still here
    C: one
    S: 500 5.5.1 Unknown command
    C: two
    S: 500 5.5.1 Unknown command
    C: three
    S: 500 5.5.1 Unknown command
    C: four
    S: 500 5.5.1 Unknown command
    S: 421 4.7.0 Too many errors, closing connection
    close
    C: five
    ");
}

#[test]
fn refusals_in_a_row_close_much_later() {
    let mut config = config();
    (config.limits.errors, config.limits.refusals) = (2, 5);
    insta::assert_snapshot!(play_with(config, r"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<bad@@>
        C: RCPT TO:<no1>
        A: refused 550 1.1 No
        C: RCPT TO:<no2>
        A: refused 550 1.1 No
        C: DATA
        C: DATA
        C: DATA
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<bad@@>
    S: 501 5.1.3 Bad recipient address syntax
    C: RCPT TO:<no1>
    Q: recipient 0 <no1> (no1)
    A: refused 550 1.1 No
    S: 550 5.1.1 No
    C: RCPT TO:<no2>
    Q: recipient 1 <no2> (no2)
    A: refused 550 1.1 No
    S: 550 5.1.1 No
    C: DATA
    S: 503 5.5.1 No valid recipients
    C: DATA
    S: 503 5.5.1 No valid recipients
    C: DATA
    S: 503 5.5.1 No valid recipients
    S: 421 4.7.0 Too many errors, closing connection
    close
    ");
}

#[test]
fn a_line_ends_at_crlf_alone() {
    insta::assert_snapshot!(play(r"
        C: LHLO a\nMAIL FROM:<>
        C: LHLO a\rMAIL FROM:<>
        C: LHLO a\0
        C: LHLO a\r
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a\nMAIL FROM:<>
    S: 500 5.5.2 A line is printable characters and ends with CRLF
    C: LHLO a\rMAIL FROM:<>
    S: 500 5.5.2 A line is printable characters and ends with CRLF
    C: LHLO a\0
    S: 500 5.5.2 A line is printable characters and ends with CRLF
    C: LHLO a\r
    S: 500 5.5.2 A line is printable characters and ends with CRLF
    ");
}

#[test]
fn a_line_as_long_as_allowed() {
    let mut config = config();
    config.limits.line = 20;
    insta::assert_snapshot!(play_with(config, r"
        C: NOOP 6789012345678
        C: NOOP 67890123456789
        C: NOOP
    "), @r"
    S: 220 mx.example LMTP
    C: NOOP 6789012345678
    S: 250 2.0.0 Still here
    C: NOOP 67890123456789
    S: 500 5.5.2 Line too long
    C: NOOP
    S: 250 2.0.0 Still here
    ");
}

#[test]
fn an_endless_line_closes() {
    let mut config = config();
    (config.limits.line, config.limits.discard) = (20, 20);
    let transcript = play_with(config, &format!("C< {}\nC: x", "x".repeat(60)));
    insta::assert_snapshot!(transcript, @r"
    S: 220 mx.example LMTP
    C< xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    S: 421 4.7.0 Too much to drop, closing connection
    close
    C: x
    ");
}

#[test]
fn row_26_who_has_to_make_room_is_told_at_once() {
    insta::assert_snapshot!(play("C: LHLO a\nV:\nC: NOOP"), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    V:
    S: 421 4.3.2 Too many connections, closing connection
    close
    C: NOOP
    ");
    insta::assert_snapshot!(play("C: LHLO a\nC: MAIL FROM:<>\nC: RCPT TO:<u1>\nV:\nV:"), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    V:
    Q: cancel
    S: 421 4.3.2 Too many connections, closing connection
    close
    V:
    ");
}

#[test]
fn row_24_xclient_is_not_known_and_not_for_ever() {
    let mut config = config();
    config.limits.errors = 3;
    insta::assert_snapshot!(play_with(config, r"
        C: LHLO a
        C: XCLIENT ADDR=127.0.0.1 NAME=localhost LOGIN=root
        C: XCLIENT ADDR=[UNAVAILABLE]
        C: XFORWARD ADDR=127.0.0.1
        C: XCLIENT DESTADDR=127.0.0.1
        C: XCLIENT
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: XCLIENT ADDR=127.0.0.1 NAME=localhost LOGIN=root
    S: 502 5.5.1 Not offered here
    C: XCLIENT ADDR=[UNAVAILABLE]
    S: 502 5.5.1 Not offered here
    C: XFORWARD ADDR=127.0.0.1
    S: 502 5.5.1 Not offered here
    C: XCLIENT DESTADDR=127.0.0.1
    S: 502 5.5.1 Not offered here
    S: 421 4.7.0 Too many errors, closing connection
    close
    C: XCLIENT
    ");
}
