//! BDAT (RFC 3030).

use crate::play::{config, play, play_with};
use lmtp_proto::Config;

const TWO: &str = r"
    C: LHLO a
    C: MAIL FROM:<>
    C: RCPT TO:<u1>
    A: accepted
    C: RCPT TO:<u2>
    A: accepted
";

fn after(script: &str) -> String {
    after_with(config(), script)
}

fn after_with(config: Config, script: &str) -> String {
    let transcript = play_with(config.clone(), &format!("{TWO}{script}"));
    let prepared = play_with(config, TWO);
    transcript.strip_prefix(&prepared).unwrap().into()
}

#[test]
fn a_message_in_chunks() {
    insta::assert_snapshot!(after(r"
        C: BDAT 5
        A: proceed
        C< a\r\n.\r
        C: BDAT 0
        C: bdat 3 last
        C< \nb\0
        A: stored ++
        C: BDAT 1
        C< x
        C: NOOP
    "), @r"
    C: BDAT 5
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    C< a\r\n.\r
    B: a\r\n.\r
    S: 250 2.0.0 5 octets taken
    C: BDAT 0
    S: 250 2.0.0 0 octets taken
    C: bdat 3 last
    C< \nb\0
    B: \nb\x00
    Q: done
    A: stored ++
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    C: BDAT 1
    C< x
    S: 503 5.5.1 MAIL first
    C: NOOP
    S: 250 2.0.0 Still here
    ");
}

#[test]
fn a_message_in_one_chunk_declares_its_size() {
    insta::assert_snapshot!(after(r"
        C< BDAT 3 LAST\r\nabc
        A: proceed
        A: stored ++
    "), @r"
    C< BDAT 3 LAST\r\nabc
    Q: open, from <> to 0 1, 3 octets, LMTP a
    A: proceed
    B: abc
    Q: done
    A: stored ++
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    ");
}

#[test]
fn an_empty_message() {
    insta::assert_snapshot!(after(r"
        C: BDAT 0 LAST
        A: proceed
        A: stored ++
    "), @r"
    C: BDAT 0 LAST
    Q: open, from <> to 0 1, 0 octets, LMTP a
    A: proceed
    Q: done
    A: stored ++
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    ");
}

#[test]
fn a_pipelined_transaction() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C< MAIL FROM:<>\r\nRCPT TO:<u1>\r\nBDAT 2\r\na\nBDAT 2 LAST\r\nb\nMAIL FROM:<>\r\nRCPT TO:<u2>\r\nBDAT 1 LAST\r\nc
        A: accepted
        A: proceed
        A: stored + @1
        A: accepted
        A: proceed
        A: stored + @2
        D: 2
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C< MAIL FROM:<>\r\nRCPT TO:<u1>\r\nBDAT 2\r\na\nBDAT 2 LAST\r\nb\nMAIL FROM:<>\r\nRCPT TO:<u2>\r\nBDAT 1 LAST\r\nc
    Q: recipient 0 <u1> (u1)
    S: 250 2.1.0 Sender noted
    A: accepted
    Q: open, from <> to 0, LMTP a
    S: 250 2.1.5 Recipient noted
    A: proceed
    B: a\nb\n
    Q: done
    S: 250 2.0.0 2 octets taken
    A: stored + @1
    Q: recipient 0 <u2> (u2)
    A: accepted
    Q: open, from <> to 0, 1 octets, LMTP a
    A: proceed
    B: c
    Q: done
    A: stored + @2
    D: 2
    S: 250 2.0.0 Stored
    S: 250 2.1.0 Sender noted
    S: 250 2.1.5 Recipient noted
    S: 250 2.0.0 Stored
    ");
}

#[test]
fn without_recipients_chunks_are_dropped() {
    insta::assert_snapshot!(play(r"
        C: LHLO a
        C: BDAT 6\r\nNOOP\r\nNOOP
        C: MAIL FROM:<>
        C: BDAT 4 LAST\r\nabcdNOOP
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | CHUNKING | SIZE 134217728
    C: BDAT 6\r\nNOOP\r\nNOOP
    S: 503 5.5.1 MAIL first
    S: 250 2.0.0 Still here
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    C: BDAT 4 LAST\r\nabcdNOOP
    S: 503 5.5.1 No valid recipients
    S: 250 2.0.0 Still here
    ");
}

#[test]
fn a_refused_chunk_is_read_and_further_ones_too() {
    insta::assert_snapshot!(after(r"
        C< BDAT 3\r\nabcBDAT 3\r\nabcBDAT 3 LAST\r\nabc
        A: refused 452 3.1 No room
        C: MAIL FROM:<>
    "), @r"
    C< BDAT 3\r\nabcBDAT 3\r\nabcBDAT 3 LAST\r\nabc
    Q: open, from <> to 0 1, LMTP a
    A: refused 452 3.1 No room
    S: 452 4.3.1 No room
    S: 452 4.3.1 No room
    S: 452 4.3.1 No room
    S: 452 4.3.1 No room
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    ");
}

#[test]
fn rset_in_the_middle_forgets_the_chunks() {
    insta::assert_snapshot!(after(r"
        C< BDAT 3\r\nabc
        A: proceed
        C: RSET
        C< BDAT 3 LAST\r\nabc
    "), @r"
    C< BDAT 3\r\nabc
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    B: abc
    S: 250 2.0.0 3 octets taken
    C: RSET
    Q: abort
    S: 250 2.0.0 Forgotten
    C< BDAT 3 LAST\r\nabc
    S: 503 5.5.1 MAIL first
    ");
}

#[test]
fn data_and_bdat_do_not_mix() {
    insta::assert_snapshot!(after(r"
        C< BDAT 3\r\nabc
        A: proceed
        C: DATA
        C: RCPT TO:<u3>
        C: MAIL FROM:<>
        C: BDAT 0 LAST
        A: stored ++
    "), @r"
    C< BDAT 3\r\nabc
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    B: abc
    S: 250 2.0.0 3 octets taken
    C: DATA
    S: 503 5.5.1 Not with BDAT in one transaction
    C: RCPT TO:<u3>
    S: 503 5.5.1 Not after BDAT
    C: MAIL FROM:<>
    S: 503 5.5.1 Sender already given
    C: BDAT 0 LAST
    Q: done
    A: stored ++
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    ");
}

#[test]
fn row_64_bdat_after_data() {
    insta::assert_snapshot!(after(r"
        C: DATA
        A: proceed
        C: .
        A: stored ++
        C< BDAT 3 LAST\r\nabc
    "), @r"
    C: DATA
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    S: 354 Text, then CRLF.CRLF
    C: .
    Q: done
    A: stored ++
    S: 250 2.0.0 Stored
    S: 250 2.0.0 Stored
    C< BDAT 3 LAST\r\nabc
    S: 503 5.5.1 MAIL first
    ");
}

#[test]
fn chunks_that_grow_past_the_limit() {
    let mut config = config();
    config.limits.message = 10;
    insta::assert_snapshot!(after_with(config.clone(), r"
        C< BDAT 6\r\n123456
        A: proceed
        C< BDAT 4\r\n7890
        C< BDAT 1\r\nx
        C: BDAT 0 LAST
        C: MAIL FROM:<>
    "), @r"
    C< BDAT 6\r\n123456
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    B: 123456
    S: 250 2.0.0 6 octets taken
    C< BDAT 4\r\n7890
    B: 7890
    S: 250 2.0.0 4 octets taken
    C< BDAT 1\r\nx
    Q: abort
    S: 552 5.3.4 Message is larger than this server takes
    C: BDAT 0 LAST
    S: 552 5.3.4 Message is larger than this server takes
    S: 552 5.3.4 Message is larger than this server takes
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    ");
    insta::assert_snapshot!(after_with(config, r"
        C< BDAT 11\r\n12345678901
        C< BDAT 1\r\nx
        C: RSET
        C: MAIL FROM:<>
    "), @r"
    C< BDAT 11\r\n12345678901
    S: 552 5.3.4 Message is larger than this server takes
    C< BDAT 1\r\nx
    S: 552 5.3.4 Message is larger than this server takes
    C: RSET
    S: 250 2.0.0 Forgotten
    C: MAIL FROM:<>
    S: 250 2.1.0 Sender noted
    ");
}

#[test]
fn row_64_huge_sizes() {
    insta::assert_snapshot!(after(r"C: BDAT 18446744073709551615\r\nabc"), @r"
    C: BDAT 18446744073709551615\r\nabc
    S: 421 4.7.0 Too much to drop, closing connection
    close
    ");
    insta::assert_snapshot!(after(r"C: BDAT 99999999999999999999999999999 LAST\r\nabc"), @r"
    C: BDAT 99999999999999999999999999999 LAST\r\nabc
    S: 421 4.7.0 Too much to drop, closing connection
    close
    ");
    let mut config = config();
    config.limits.message = 0;
    insta::assert_snapshot!(after_with(config, r"
        C: BDAT 18446744073709551615
        A: proceed
        C< abc
        E:
    "), @r"
    C: BDAT 18446744073709551615
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    C< abc
    B: abc
    E:
    Q: abort
    close
    ");
}

#[test]
fn row_64_sizes_that_are_none() {
    // What follows cannot be told from commands: the connection ends.
    for size in ["-1", "x", "", "1 LASTLY", "0x10", "1 2"] {
        let transcript = after(&format!("C: BDAT {size}\nC: NOOP"));
        let replies = transcript.split_once('\n').unwrap().1;
        assert_eq!(
            replies, "S: 501 5.5.4 Bad chunk size, closing connection\nclose\nC: NOOP\n",
            "{size}"
        );
    }
}

#[test]
fn row_64_the_end_of_tls_in_a_chunk_is_the_end() {
    insta::assert_snapshot!(after(r"
        C: BDAT 30\r\nabc
        A: proceed
        E:
        C: def
    "), @r"
    C: BDAT 30\r\nabc
    Q: open, from <> to 0 1, LMTP a
    A: proceed
    B: abc\r\n
    E:
    Q: abort
    close
    C: def
    ");
}

#[test]
fn binarymime_needs_bdat() {
    let config = Config { binary: true, ..config() };
    insta::assert_snapshot!(play_with(config, r"
        C: LHLO a
        C: MAIL FROM:<> BODY=BINARYMIME
        C: RCPT TO:<u1>
        A: accepted
        C: DATA
        C< BDAT 3 LAST\r\n\0\r\xff
        A: proceed
        A: stored +
    "), @r"
    S: 220 mx.example LMTP
    C: LHLO a
    S: 250-mx.example | PIPELINING | ENHANCEDSTATUSCODES | 8BITMIME | BINARYMIME | CHUNKING | SIZE 134217728
    C: MAIL FROM:<> BODY=BINARYMIME
    S: 250 2.1.0 Sender noted
    C: RCPT TO:<u1>
    Q: recipient 0 <u1> (u1)
    A: accepted
    S: 250 2.1.5 Recipient noted
    C: DATA
    S: 503 5.5.1 BINARYMIME needs BDAT
    C< BDAT 3 LAST\r\n\0\r\xff
    Q: open, from <> to 0, 3 octets, BINARYMIME, LMTP a
    A: proceed
    B: \x00\r\xff
    Q: done
    A: stored +
    S: 250 2.0.0 Stored
    ");
}
