//! LHLO, STARTTLS and the commands without a transaction.

use crate::play::{config, play, play_whole, play_with};
use lmtp_proto::Config;

#[test]
fn lhlo_announces_what_is_configured() {
    let snapshot = play("C: LHLO client.example");
    insta::assert_snapshot!(snapshot, @r"
    S: 220 mx.example LMTP
    C: LHLO client.example
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    ");
    let config = Config { starttls: true, binary: true, utf8: true, ..config() };
    insta::assert_snapshot!(play_with(config, "C: lhlo  [IPv6:::1]"), @r"
    S: 220 mx.example LMTP
    C: lhlo  [IPv6:::1]
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | BINARYMIME | SMTPUTF8 | STARTTLS | CHUNKING | SIZE 134217728
    ");
}

#[test]
fn other_greetings_are_refused() {
    insta::assert_snapshot!(play(r"
        C: EHLO a
        C: HELO a
        C: LHLO
        C: LHLO a b
        C: LHLO (a)
        C: LHLO a\x1b
        C: LHLO \xc3\xbc
    "), @r"
    S: 220 mx.example LMTP
    C: EHLO a
    S: 500 5.5.1 This is LMTP, say LHLO
    C: HELO a
    S: 500 5.5.1 This is LMTP, say LHLO
    C: LHLO
    S: 501 5.5.4 Wrong arguments
    C: LHLO a b
    S: 501 5.5.4 Wrong arguments
    C: LHLO (a)
    S: 501 5.5.4 Wrong arguments
    C: LHLO a\x1b
    S: 500 5.5.2 A line is printable characters and ends with CRLF
    C: LHLO \xc3\xbc
    S: 501 5.5.4 Wrong arguments
    ");
}

#[test]
fn before_lhlo_nothing_is_done() {
    insta::assert_snapshot!(play(r"
        C: MAIL FROM:<>
        C: RCPT TO:<u1>
        C: DATA
        C< BDAT 3\r\nabc
        C: VRFY u1
        C: STARTTLS
        C: NOOP
        C: RSET
        C: HELP
        C: QUIT
    "), @r"
    S: 220 mx.example LMTP
    C: MAIL FROM:<>
    S: 503 5.5.1 LHLO first
    C: RCPT TO:<u1>
    S: 503 5.5.1 LHLO first
    C: DATA
    S: 503 5.5.1 LHLO first
    C< BDAT 3\r\nabc
    S: 503 5.5.1 LHLO first
    C: VRFY u1
    S: 503 5.5.1 LHLO first
    C: STARTTLS
    S: 503 5.5.1 LHLO first
    C: NOOP
    S: 250 2.0.0 Still here
    C: RSET
    S: 250 2.0.0 Forgotten
    C: HELP
    S: 214 2.0.0 See RFC 2033
    C: QUIT
    S: 221 2.0.0 Bye
    close
    ");
}

#[test]
fn small_commands() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: NOOP whatever
        C: VRFY u1
        C: VRFY
        C: EXPN list
        C: AUTH PLAIN AGEAYg==
        C: RSET now
        C: QUIT now
        C: DATA x
        C: XYZZY
        C:
        C: HELP me
        C: quit
        C: NOOP
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: NOOP whatever
    S: 250 2.0.0 Still here
    C: VRFY u1
    S: 252 2.0.0 Try RCPT
    C: VRFY
    S: 501 5.5.4 Wrong arguments
    C: EXPN list
    S: 502 5.5.1 Not offered here
    C: AUTH PLAIN AGEAYg==
    S: 502 5.5.1 Not offered here
    C: RSET now
    S: 501 5.5.4 No arguments allowed
    C: QUIT now
    S: 501 5.5.4 No arguments allowed
    C: DATA x
    S: 501 5.5.4 No arguments allowed
    C: XYZZY
    S: 500 5.5.1 Unknown command
    C:
    S: 500 5.5.1 Unknown command
    C: HELP me
    S: 214 2.0.0 See RFC 2033
    C: quit
    S: 221 2.0.0 Bye
    close
    C: NOOP
    ");
}

#[test]
fn starttls_forgets_everything() {
    let config = Config { starttls: true, ..config() };
    insta::assert_snapshot!(play_with(config, r"
        C: LHLO before.example
        C: MAIL FROM:<a@b>
        C: STARTTLS now
        C: STARTTLS
        U:
        C: RCPT TO:<u1>
        C: LHLO after.example
        C: RCPT TO:<u1>
        C: STARTTLS
        C: MAIL FROM:<a@b>
        C: RCPT TO:<u1>
        A: accepted
        C: DATA
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO before.example
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | STARTTLS | CHUNKING | SIZE 134217728
    C: MAIL FROM:<a@b>
    S: 250 2.1.0 Sender noted
    C: STARTTLS now
    S: 501 5.5.4 No arguments allowed
    C: STARTTLS
    S: 220 2.0.0 Ready for TLS
    upgrade
    U:
    C: RCPT TO:<u1>
    S: 503 5.5.1 LHLO first
    C: LHLO after.example
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: RCPT TO:<u1>
    S: 503 5.5.1 MAIL first
    C: STARTTLS
    S: 503 5.5.1 TLS already in use
    C: MAIL FROM:<a@b>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: DATA
    Q: open, from <a@b> (a at b) to 0, LMTPS after.example
    ");
}

#[test]
fn starttls_where_it_is_not_offered() {
    insta::assert_snapshot!(play("C: LHLO a\nC: STARTTLS\nC: NOOP"), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: STARTTLS
    S: 502 5.5.1 Not offered here
    C: NOOP
    S: 250 2.0.0 Still here
    ");
}

#[test]
fn starttls_in_a_transaction_with_text_ends_both() {
    let config = Config { starttls: true, ..config() };
    insta::assert_snapshot!(play_with(config, r"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<u1>
        A: accepted
        C: BDAT 3
        C< abc
        A: proceed
        C: STARTTLS
        U:
        C: LHLO a
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | STARTTLS | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: BDAT 3
    Q: open, from <> to 0, LMTP a
    C< abc
    A: proceed
    B: abc
    S: 250 2.0.0 3 octets taken
    C: STARTTLS
    Q: abort
    S: 220 2.0.0 Ready for TLS
    upgrade
    U:
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    ");
}

#[test]
fn row_01_what_comes_with_starttls_is_never_heard() {
    let config = Config { starttls: true, ..config() };
    insta::assert_snapshot!(play_whole(config.clone(), r"
        C: LHLO a
        C: STARTTLS\r\nMAIL FROM:<>\r\nRCPT TO:<u1>
        C: NOOP
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | STARTTLS | CHUNKING | SIZE 134217728
    C: STARTTLS\r\nMAIL FROM:<>\r\nRCPT TO:<u1>
    close
    C: NOOP
    ");
    insta::assert_snapshot!(play_whole(config, r"
        C: LHLO a
        C: STARTTLS
        C: MAIL FROM:<>
        U:
        C: NOOP
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | STARTTLS | CHUNKING | SIZE 134217728
    C: STARTTLS
    S: 220 2.0.0 Ready for TLS
    upgrade
    C: MAIL FROM:<>
    U:
    close
    C: NOOP
    ");
}
