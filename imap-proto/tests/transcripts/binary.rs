//! BINARY (RFC 3516).

use crate::play::{Stage, play_user};

const STAGE: &str = "C: 0 LOGIN u pw | B: 0 APPEND INBOX {100+}\\r\\nContent-Type: image/x\\r\\nContent-Transfer-Encoding: base64\\r\\n\\r\\nAAEC\\r\\nAwQFBgcICQoLDA0ODxAREhMUFRYXGBk=\\r\\n\\r\\n | B: 0 APPEND INBOX {48+}\\r\\nContent-Transfer-Encoding: x-uuencode\\r\\n\\r\\nbegin\\r\\n\\r\\n | C: 0 SELECT INBOX";

/// An INBOX whose first message is base64 and whose second is nothing that can be decoded.
fn play(script: &str) -> String {
    Stage { before: STAGE, messages: 0, ..Stage::default() }.play(script)
}

#[test]
fn rfc3516_4_3_the_part_decoded() {
    insta::assert_snapshot!(play("C: a FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1]<1.4> FLAGS) | C: b FETCH 1 BINARY[1]<0.3> | C: c FETCH 1 (FLAGS BINARY.PEEK[1]<99.1>) | C: d UID FETCH 1 BODY.PEEK[1]<0.4>"), @r#"
    C: a FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1]<1.4> FLAGS)
    Q: fetch 1+1
    S: * 1 FETCH (FLAGS (\Recent) BINARY.SIZE[1] 26 BINARY[1]<1> {4}
    S: \u{1}\u{2}\u{3}\u{4})
    S: a OK Done
    C: b FETCH 1 BINARY[1]<0.3>
    Q: store 1 Add
    Q: fetch 1+1
    S: * 1 FETCH (FLAGS (\Seen \Recent) BINARY[1]<0> ~{3}
    S: \u{0}\u{1}\u{2})
    S: b OK Done
    C: c FETCH 1 (FLAGS BINARY.PEEK[1]<99.1>)
    Q: fetch 1+1
    S: * 1 FETCH (FLAGS (\Seen \Recent) BINARY[1]<99> "")
    S: c OK Done
    C: d UID FETCH 1 BODY.PEEK[1]<0.4>
    Q: fetch 1+1
    S: * 1 FETCH (UID 1 BODY[1]<0> {4}
    S: AAEC)
    S: d OK Done
    "#);
}

#[test]
fn rfc3516_4_3_an_unknown_encoding_is_refused() {
    insta::assert_snapshot!(play("C: a FETCH 2 BINARY.SIZE[1] | C: b FETCH 1:2 BINARY.PEEK[1]<20.2> | C: c FETCH 2 (BINARY.SIZE[] BODY.PEEK[1])"), @r#"
    C: a FETCH 2 BINARY.SIZE[1]
    Q: fetch 2+1
    S: a NO [UNKNOWN-CTE] Transfer encoding is not known
    C: b FETCH 1:2 BINARY.PEEK[1]<20.2>
    Q: fetch 1+2
    S: * 1 FETCH (BINARY[1]<20> {2}
    S: \u{14}\u{15})
    Q: fetch 2+1
    S: b NO [UNKNOWN-CTE] Transfer encoding is not known
    C: c FETCH 2 (BINARY.SIZE[] BODY.PEEK[1])
    Q: fetch 2+1
    S: * 2 FETCH (BINARY.SIZE[] 48 BODY[1] {7}
    S: begin
    S: )
    S: c OK Done
    "#);
}

#[test]
fn rfc3516_7_what_is_no_section_binary() {
    insta::assert_snapshot!(play("C: a FETCH 1 BINARY[TEXT] | C: b FETCH 1 BINARY[1.MIME] | C: c FETCH 1 BINARY.SIZE[1]<0.1> | C: d FETCH 1 BINARY[1]<0.0> | C: e FETCH 1 BINARY | C: f FETCH 1 BINARY.PEEK[1.] | C: g FETCH 1 BINARY.SIZE.PEEK[1]"), @r#"
    C: a FETCH 1 BINARY[TEXT]
    S: a BAD Expected a number
    C: b FETCH 1 BINARY[1.MIME]
    S: b BAD Expected a number
    C: c FETCH 1 BINARY.SIZE[1]<0.1>
    S: c BAD Expected the end of the command
    C: d FETCH 1 BINARY[1]<0.0>
    S: d BAD Expected a length above 0
    C: e FETCH 1 BINARY
    S: e BAD Expected a section
    C: f FETCH 1 BINARY.PEEK[1.]
    S: f BAD Expected a number
    C: g FETCH 1 BINARY.SIZE.PEEK[1]
    S: g BAD Unknown fetch item
    "#);
}

#[test]
fn row_48_each_item_decodes_so_there_are_few() {
    let many = format!("({}UID)", "BINARY.SIZE[1] ".repeat(101));
    let transcript = play(&format!("C: a FETCH 1 {many}"));
    assert!(
        transcript.ends_with("S: a BAD [LIMIT] Too many or too long: BINARY items\n"),
        "{transcript}"
    );
    let some = format!("({}UID)", "BINARY.SIZE[1] ".repeat(100));
    assert!(play(&format!("C: a FETCH 1 {some}")).ends_with("S: a OK Done\n"));
}

/// The message is kept byte for byte: NUL shows as 0x80 in BODY[] alone.
#[test]
fn rfc3516_4_4_append_of_a_literal8() {
    insta::assert_snapshot!(play_user(r#"C: a APPEND INBOX (\Seen) ~{8+} | B: \r\na\0b\r\n\0\r\n | C: b APPEND INBOX ~{5} | B: \r\n\0\0\0\r\n | C: c SELECT INBOX | C: d FETCH 4:5 (RFC822.SIZE BODY.PEEK[] BINARY.PEEK[] BINARY.SIZE[1])"#), @r"
    C: a APPEND INBOX (\Seen) ~{8+}
    Q: append 8 to INBOX, binary
    B: \r\na\0b\r\n\0\r\n
    Q: body 8
    Q: commit
    S: a OK [APPENDUID 7 4] Appended
    C: b APPEND INBOX ~{5}
    Q: append 5 to INBOX, binary
    S: + OK
    B: \r\n\0\0\0\r\n
    Q: body 5
    Q: commit
    S: b OK [APPENDUID 7 5] Appended
    C: c SELECT INBOX
    Q: select INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] Flags that are kept
    S: * 5 EXISTS
    S: * 5 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 6] Next UID
    S: * OK [HIGHESTMODSEQ 6] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: c OK [READ-WRITE] Selected
    C: d FETCH 4:5 (RFC822.SIZE BODY.PEEK[] BINARY.PEEK[] BINARY.SIZE[1])
    Q: fetch 4+2
    S: * 4 FETCH (RFC822.SIZE 8 BODY[] {8}
    S: 
    S: a�b
    S: � BINARY[] ~{8}
    S: 
    S: a\u{0}b
    S: \u{0} BINARY.SIZE[1] 6)
    S: * 5 FETCH (RFC822.SIZE 5 BODY[] {5}
    S: 
    S: ��� BINARY[] ~{5}
    S: 
    S: \u{0}\u{0}\u{0} BINARY.SIZE[1] 3)
    S: d OK Done
    ");
}

/// RFC 3502 with RFC 3516: each message its own kind of literal.
#[test]
fn rfc3516_4_4_several_at_once() {
    insta::assert_snapshot!(play_user(r#"B: a APPEND INBOX ~{3+}\r\na\0b {1+}\r\nx ~{1+}\r\n\0\r\n | B: b APPEND INBOX ~{3+}\r\na\0b {1+}\r\n\0\r\n | C: c STATUS INBOX (MESSAGES)"#), @r#"
    B: a APPEND INBOX ~{3+}\r\na\0b {1+}\r\nx ~{1+}\r\n\0\r\n
    Q: append 3 to INBOX, binary
    Q: body 3
    Q: append 1 to INBOX, next
    Q: body 1
    Q: append 1 to INBOX, next, binary
    Q: body 1
    Q: commit
    S: a OK [APPENDUID 7 4:6] Appended
    B: b APPEND INBOX ~{3+}\r\na\0b {1+}\r\n\0\r\n
    Q: append 3 to INBOX, binary
    Q: body 3
    Q: append 1 to INBOX, next
    Q: body 1
    S: b BAD NUL is not allowed here
    Q: abort
    C: c STATUS INBOX (MESSAGES)
    Q: status INBOX
    S: * STATUS "INBOX" (MESSAGES 6)
    S: c OK Done
    "#);
}

#[test]
fn rfc3516_4_4_a_literal8_anywhere_else() {
    insta::assert_snapshot!(play_user(r#"C: a CREATE ~{1} | B: b CREATE ~{1+}\r\nx\r\n | B: c APPEND ~{5+}\r\nINBOX {1+}\r\nx\r\n | C: d NOOP"#), @r#"
    C: a CREATE ~{1}
    S: a BAD Expected a literal with a size
    B: b CREATE ~{1+}\r\nx\r\n
    S: b BAD Expected a literal with a size
    B: c APPEND ~{5+}\r\nINBOX {1+}\r\nx\r\n
    S: c BAD Expected a literal with a size
    C: d NOOP
    S: d OK Done
    "#);
}
