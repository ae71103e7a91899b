//! MAIL and RCPT.

use crate::play::{config, play, play_with};
use lmtp_proto::{Config, Limits};

#[test]
fn a_transaction_up_to_its_text() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: MAIL FROM:<sender@example.org> SIZE=1000 BODY=8BITMIME
        C: RCPT TO:<u1@example.com>
        A: accepted
        C: RCPT TO:<nobody@example.com>
        A: refused 550 1.1 No such mailbox
        C: RCPT TO:<u1@example.com>
        A: accepted
        C: DATA
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<sender@example.org> SIZE=1000 BODY=8BITMIME
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1@example.com>
    Q: recipient 0 <u1@example.com> (u1 at example.com), 1000 octets
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: RCPT TO:<nobody@example.com>
    Q: recipient 1 <nobody@example.com> (nobody at example.com), 1000 octets
    A: refused 550 1.1 No such mailbox
    S: 550 5.1.1 No such mailbox
    C: RCPT TO:<u1@example.com>
    Q: recipient 2 <u1@example.com> (u1 at example.com), 1000 octets
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: DATA
    Q: open, from <sender@example.org> (sender at example.org) to 0 2, 1000 octets, 8BITMIME, LMTP a
    ");
}

#[test]
fn mail_in_many_spellings() {
    insta::assert_snapshot!(play(r#"
        C: LHLO a
        C: mail from:<>
        C: MAIL FROM:<a@b>
        C: RSET
        C: MAIL FROM: <a@b>  size=5
        C: RSET
        C: MAIL FROM:<"a b"@[127.0.0.1]> BODY=7BIT
        C: RSET
        C: MAIL <a@b>
        C: MAIL FROM:a@b
        C: MAIL FROM:<a@b
        C: MAIL FROM:<a@b>SIZE=1
        C: MAIL FROM:<a@b> SIZE=x
        C: MAIL FROM:<a@b> SIZE=1 SIZE=2
        C: MAIL FROM:<a@b> BODY=BINARYMIME
        C: MAIL FROM:<a@b> RET=FULL
        C: MAIL FROM:<a@b> SMTPUTF8
        C: MAIL FROM:<\xc3\xbc@b>
        C: MAIL FROM:<\xff@b>
        C: MAIL TO:<a@b>
        C: MAIL
    "#), @r#"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: mail from:<>
    S: 250 2.1.0 Sender noted
    C: MAIL FROM:<a@b>
    S: 503 5.5.1 Sender already given
    C: RSET
    S: 250 2.0.0 Forgotten
    C: MAIL FROM: <a@b>  size=5
    S: 250 2.1.0 Sender noted
    C: RSET
    S: 250 2.0.0 Forgotten
    C: MAIL FROM:<"a b"@[127.0.0.1]> BODY=7BIT
    S: 250 2.1.0 Sender noted
    C: RSET
    S: 250 2.0.0 Forgotten
    C: MAIL <a@b>
    S: 501 5.5.4 Wrong arguments
    C: MAIL FROM:a@b
    S: 501 5.1.7 Bad sender address syntax
    C: MAIL FROM:<a@b
    S: 501 5.1.7 Bad sender address syntax
    C: MAIL FROM:<a@b>SIZE=1
    S: 501 5.5.4 Wrong arguments
    C: MAIL FROM:<a@b> SIZE=x
    S: 501 5.5.4 Bad or repeated parameter
    C: MAIL FROM:<a@b> SIZE=1 SIZE=2
    S: 501 5.5.4 Bad or repeated parameter
    C: MAIL FROM:<a@b> BODY=BINARYMIME
    S: 504 5.5.4 This BODY is not offered here
    C: MAIL FROM:<a@b> RET=FULL
    S: 555 5.5.4 Parameter not recognized
    C: MAIL FROM:<a@b> SMTPUTF8
    S: 555 5.5.4 Parameter not recognized
    C: MAIL FROM:<\xc3\xbc@b>
    S: 550 5.6.7 Non-ASCII sender needs SMTPUTF8
    C: MAIL FROM:<\xff@b>
    S: 550 5.6.7 Non-ASCII sender needs SMTPUTF8
    C: MAIL TO:<a@b>
    S: 501 5.5.4 Wrong arguments
    C: MAIL
    S: 501 5.5.4 Wrong arguments
    "#);
}

#[test]
fn a_declared_size_is_checked_before_the_text() {
    let mut config = config();
    config.limits.message = 1_000;
    insta::assert_snapshot!(play_with(config, r"
        C: LHLO a
        C: MAIL FROM:<> SIZE=1001
        C: MAIL FROM:<> SIZE=18446744073709551616
        C: MAIL FROM:<> SIZE=1000
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 1000
    C: MAIL FROM:<> SIZE=1001
    S: 552 5.3.4 Message is larger than this server takes
    C: MAIL FROM:<> SIZE=18446744073709551616
    S: 552 5.3.4 Message is larger than this server takes
    C: MAIL FROM:<> SIZE=1000
    S: 250 2.1.0 Sender noted
    ");
}

#[test]
fn no_limit_on_size() {
    let mut config = config();
    config.limits.message = 0;
    insta::assert_snapshot!(play_with(config, "C: LHLO a\nC: MAIL FROM:<> SIZE=99999999999999999999"), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 0
    C: MAIL FROM:<> SIZE=99999999999999999999
    S: 250 2.1.0 Sender noted
    ");
}

#[test]
fn rcpt_in_many_spellings() {
    insta::assert_snapshot!(play(r#"
        C: LHLO a
        C: RCPT TO:<u1>
        C: MAIL FROM:<>
        C: RCPT TO:<postmaster>
        A: accepted
        C: rcpt to: <"u\\ 1"@example.com>
        A: refused 450 2.1 Locked
        C: RCPT TO:<u1@example.com> NOTIFY=NEVER
        C: RCPT TO:<u1@example.com>x
        C: RCPT TO:<>
        C: RCPT FROM:<u1>
        C: RCPT
    "#), @r#"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: RCPT TO:<u1>
    S: 503 5.5.1 MAIL first
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<postmaster>
    Q: recipient 0 <postmaster> (postmaster)
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: rcpt to: <"u\\ 1"@example.com>
    Q: recipient 1 <"u\ 1"@example.com> (u 1 at example.com)
    A: refused 450 2.1 Locked
    S: 450 4.2.1 Locked
    C: RCPT TO:<u1@example.com> NOTIFY=NEVER
    S: 555 5.5.4 Parameter not recognized
    C: RCPT TO:<u1@example.com>x
    S: 501 5.1.3 Bad recipient address syntax
    C: RCPT TO:<>
    S: 501 5.1.3 Bad recipient address syntax
    C: RCPT FROM:<u1>
    S: 501 5.5.4 Wrong arguments
    C: RCPT
    S: 501 5.5.4 Wrong arguments
    "#);
}

#[test]
fn an_answer_of_another_kind_is_trouble() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<u1>
        A: proceed
        C: RCPT TO:<u1>
        A: accepted
        C: DATA
        A: accepted
        C: NOOP
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: proceed
    S: 451 4.3.0 Not now, try again later
    C: RCPT TO:<u1>
    Q: recipient 1 <u1> (u1)
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: DATA
    Q: open, from <> to 1, LMTP a
    A: accepted
    S: 451 4.3.0 Not now, try again later
    C: NOOP
    S: 250 2.0.0 Still here
    ");
}

#[test]
fn rset_and_lhlo_forget_the_transaction() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<u1>
        A: accepted
        C: RSET
        C: DATA
        C: MAIL FROM:<>
        C: LHLO a
        C: RCPT TO:<u1>
        C: MAIL FROM:<>
        C: RCPT TO:<u2>
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
    C: RSET
    S: 250 2.0.0 Forgotten
    C: DATA
    S: 503 5.5.1 MAIL first
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: RCPT TO:<u1>
    S: 503 5.5.1 MAIL first
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u2>
    Q: recipient 0 <u2> (u2)
    ");
}

#[test]
fn smtputf8_where_it_is_offered() {
    let config = Config { utf8: true, ..config() };
    insta::assert_snapshot!(play_with(config, r"
        C: LHLO a
        C: MAIL FROM:<\xc3\xbc@b>
        C: MAIL FROM:<\xc3\xbc@b> SMTPUTF8=1
        C: MAIL FROM:<a@b>
        C: RCPT TO:<\xc3\xbc@b>
        C: RSET
        C: MAIL FROM:<\xc3\xbc@b> SMTPUTF8
        C: RCPT TO:<\xc3\xa4@\xc3\xb6.example>
        A: accepted
        C: RCPT TO:<\xff@b>
        C: DATA
        A: proceed
        C: .
        A: stored +
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | SMTPUTF8 | CHUNKING | SIZE 134217728
    C: MAIL FROM:<\xc3\xbc@b>
    S: 550 5.6.7 Non-ASCII sender needs SMTPUTF8
    C: MAIL FROM:<\xc3\xbc@b> SMTPUTF8=1
    S: 501 5.5.4 Bad or repeated parameter
    C: MAIL FROM:<a@b>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<\xc3\xbc@b>
    S: 553 5.6.7 Non-ASCII recipient needs SMTPUTF8
    C: RSET
    S: 250 2.0.0 Forgotten
    C: MAIL FROM:<\xc3\xbc@b> SMTPUTF8
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<\xc3\xa4@\xc3\xb6.example>
    Q: recipient 0 <ä@ö.example> (ä at ö.example)
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: RCPT TO:<\xff@b>
    S: 553 5.6.7 Non-ASCII recipient needs SMTPUTF8
    C: DATA
    Q: open, from <ü@b> (ü at b) to 0, UTF8LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: .
    Q: done
    A: stored +
    S: 250 2.0.0 Stored
    ");
}

#[test]
fn row_65_broken_recipients_are_refused() {
    insta::assert_snapshot!(play(r#"
        C: LHLO a
        C: MAIL FROM:<>
        C: RCPT TO:<""@d>
        C: RCPT TO:<@d>
        C: RCPT TO:<"">
        C: RCPT TO:<\xc3\xbc@d>
        C: RCPT TO:<u@\xc3\xbc>
        C: RCPT TO:<\0@d>
        C: RCPT TO:<"a\r\nb"@d>
        C: RCPT TO:<@a,@b:u@d>
        A: accepted
        C: RCPT TO:<@a,@b:>
        C: RCPT TO:<@a@b>
    "#), @r#"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<""@d>
    S: 501 5.1.3 Bad recipient address syntax
    C: RCPT TO:<@d>
    S: 501 5.1.3 Bad recipient address syntax
    C: RCPT TO:<"">
    S: 501 5.1.3 Bad recipient address syntax
    C: RCPT TO:<\xc3\xbc@d>
    S: 553 5.6.7 Non-ASCII recipient needs SMTPUTF8
    C: RCPT TO:<u@\xc3\xbc>
    S: 553 5.6.7 Non-ASCII recipient needs SMTPUTF8
    C: RCPT TO:<\0@d>
    S: 500 5.5.2 A line is printable characters and ends with CRLF
    C: RCPT TO:<"a\r\nb"@d>
    S: 501 5.1.3 Bad recipient address syntax
    S: 500 5.5.1 Unknown command
    C: RCPT TO:<@a,@b:u@d>
    Q: recipient 0 <u@d> (u at d)
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: RCPT TO:<@a,@b:>
    S: 501 5.1.3 Bad recipient address syntax
    C: RCPT TO:<@a@b>
    S: 501 5.1.3 Bad recipient address syntax
    "#);
}

#[test]
fn row_65_a_path_of_64_kib_is_refused() {
    let long = "x".repeat(64 * 1024);
    let mid = "x".repeat(1_000);
    let script =
        format!("C: LHLO a\nC: MAIL FROM:<>\nC: RCPT TO:<{long}@d>\nC: RCPT TO:<{mid}@d>\nC: NOOP");
    let transcript = play(&script).replace(&long, "(64 Ki)").replace(&mid, "(1000)");
    insta::assert_snapshot!(transcript, @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<(64 Ki)@d>
    S: 500 5.5.2 Line too long
    C: RCPT TO:<(1000)@d>
    S: 501 5.1.3 Bad recipient address syntax
    C: NOOP
    S: 250 2.0.0 Still here
    ");
}

#[test]
fn row_65_a_hundred_thousand_recipients() {
    let mut config = config();
    config.limits = Limits::default();
    let mut script = String::from("C: LHLO a\nC: MAIL FROM:<>\n");
    for _ in 0..1_024 {
        script.push_str("C: RCPT TO:<u1>\nA: accepted\n");
    }
    for _ in 0..10_002 {
        script.push_str("C: RCPT TO:<u1>\n");
    }
    let transcript = crate::play::play_whole(config, &script);
    assert_eq!(transcript.matches("S: 250 2.1.5 ").count(), 1_024);
    assert_eq!(transcript.matches("S: 452 4.5.3 Too many recipients").count(), 10_001);
    let end = transcript.find("S: 421").unwrap();
    insta::assert_snapshot!(&transcript[end..], @r"
    S: 421 4.7.0 Too many errors, closing connection
    close
    C: RCPT TO:<u1>
    ");
}
