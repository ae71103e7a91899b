//! SEARCH rule by rule: RFC 9051 and RFC 3501 §6.4.4, RFC 4731, RFC 5182.

use crate::play::{Stage, play};

/// In a mailbox of twelve messages.
fn play_twelve(script: &str) -> String {
    let before = "C: 0 LOGIN u pw | C: 0 SELECT INBOX";
    Stage { before, messages: 12, ..Stage::default() }.play(script)
}

#[test]
fn rfc3501_6_4_4_every_key() {
    let keys = [
        "2:3",
        "ALL",
        "ANSWERED",
        r#"BCC "x""#,
        "BEFORE 1-Jan-2000",
        "BODY text",
        "CC x",
        "DELETED",
        "DRAFT",
        "FLAGGED",
        "FROM a1",
        r#"HEADER Subject "number 2""#,
        "KEYWORD $Junk",
        "LARGER 10",
        "NEW",
        "NOT 1",
        "OLD",
        "ON 1-Jan-2000",
        "OR 1 3",
        "RECENT",
        "SEEN",
        r#"SENTBEFORE "1-Jan-2000""#,
        "SENTON 1-Jan-2000",
        "SENTSINCE 1-Jan-2000",
        "SINCE 1-Jan-1990",
        "SMALLER 9999",
        "SUBJECT number",
        "TEXT NUMBER",
        "TO x",
        "UID 1:2,9",
        "UNANSWERED",
        "UNDELETED",
        "UNDRAFT",
        "UNFLAGGED",
        "UNKEYWORD $Junk",
        "UNSEEN",
        "(1:2 (2:3))",
        "$",
    ];
    let script: Vec<String> = keys.iter().map(|key| format!("C: a UID SEARCH {key}")).collect();
    insta::assert_snapshot!(play(&script.join(" | ")), @r#"
    C: a UID SEARCH 2:3
    Q: search
    S: * SEARCH 2 3
    S: a OK Done
    C: a UID SEARCH ALL
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH ANSWERED
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH BCC "x"
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH BEFORE 1-Jan-2000
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH BODY text
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH CC x
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH DELETED
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH DRAFT
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH FLAGGED
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH FROM a1
    Q: search
    S: * SEARCH 1
    S: a OK Done
    C: a UID SEARCH HEADER Subject "number 2"
    Q: search
    S: * SEARCH 2
    S: a OK Done
    C: a UID SEARCH KEYWORD $Junk
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH LARGER 10
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH NEW
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH NOT 1
    Q: search
    S: * SEARCH 2 3
    S: a OK Done
    C: a UID SEARCH OLD
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH ON 1-Jan-2000
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH OR 1 3
    Q: search
    S: * SEARCH 1 3
    S: a OK Done
    C: a UID SEARCH RECENT
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH SEEN
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH SENTBEFORE "1-Jan-2000"
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH SENTON 1-Jan-2000
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH SENTSINCE 1-Jan-2000
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH SINCE 1-Jan-1990
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH SMALLER 9999
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH SUBJECT number
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH TEXT NUMBER
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH TO x
    Q: search
    S: * SEARCH
    S: a OK Done
    C: a UID SEARCH UID 1:2,9
    Q: search
    S: * SEARCH 1 2
    S: a OK Done
    C: a UID SEARCH UNANSWERED
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH UNDELETED
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH UNDRAFT
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH UNFLAGGED
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH UNKEYWORD $Junk
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH UNSEEN
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: a UID SEARCH (1:2 (2:3))
    Q: search
    S: * SEARCH 2
    S: a OK Done
    C: a UID SEARCH $
    Q: search
    S: * SEARCH
    S: a OK Done
    "#);
}

#[test]
fn rfc3501_6_4_4_arguments_are_checked() {
    insta::assert_snapshot!(play(r#"C: a SEARCH ANSWERED 1 X | C: b SEARCH LARGER -1 | C: c SEARCH LARGER 99999999999999999999 | C: d SEARCH ON 32-Jan-2000 | C: e SEARCH BODY | C: f SEARCH OR 1 | C: g SEARCH () | C: h SEARCH 1  2 | C: i SEARCH HEADER Subject | C: j SEARCH KEYWORD \Seen"#), @r"
    C: a SEARCH ANSWERED 1 X
    S: a BAD Unknown search key
    C: b SEARCH LARGER -1
    S: b BAD Expected a number
    C: c SEARCH LARGER 99999999999999999999
    S: c BAD Expected a smaller number
    C: d SEARCH ON 32-Jan-2000
    S: d BAD Expected a date such as 1-Feb-1994
    C: e SEARCH BODY
    S: e BAD Expected a space
    C: f SEARCH OR 1
    S: f BAD Expected a space
    C: g SEARCH ()
    S: g BAD Unknown search key
    C: h SEARCH 1  2
    S: h BAD Unknown search key
    C: i SEARCH HEADER Subject
    S: i BAD Expected a space
    C: j SEARCH KEYWORD \Seen
    S: j BAD Expected a keyword
    S: * BYE Too many syntax errors
    X: close
    ");
    insta::assert_snapshot!(play(r#"C: k SEARCH CHARSET UTF-8 | C: l SEARCH UID 0 | C: m SEARCH SEENX | C: n SEARCH SEEN "#), @r"
    C: k SEARCH CHARSET UTF-8
    S: k BAD Expected a space
    C: l SEARCH UID 0
    S: l BAD Expected a message number above 0
    C: m SEARCH SEENX
    S: m BAD Unknown search key
    C: n SEARCH SEEN
    Q: search
    S: * SEARCH
    S: n OK Done
    ");
}

#[test]
fn rfc9051_6_4_4_charsets() {
    insta::assert_snapshot!(play(r#"B: a SEARCH CHARSET KOI8-R SUBJECT {4+}\r\nXXXX\r\n | C: b SEARCH CHARSET "iso-8859-1" SUBJECT number | C: c SEARCH CHARSET us-ascii SUBJECT number | C: d SEARCH CHARSET x-unknown ALL | C: e SEARCH CHARSET ISO-2022-KR ALL | C: f SEARCH CHARSET UTF-16BE SUBJECT odd"#), @r#"
    B: a SEARCH CHARSET KOI8-R SUBJECT {4+}\r\nXXXX\r\n
    Q: search
    S: * SEARCH
    S: a OK Done
    C: b SEARCH CHARSET "iso-8859-1" SUBJECT number
    Q: search
    S: * SEARCH 1 2 3
    S: b OK Done
    C: c SEARCH CHARSET us-ascii SUBJECT number
    Q: search
    S: * SEARCH 1 2 3
    S: c OK Done
    C: d SEARCH CHARSET x-unknown ALL
    S: d NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-2 ISO-8859-3 ISO-8859-4 ISO-8859-5 ISO-8859-6 ISO-8859-7 ISO-8859-8 ISO-8859-9 ISO-8859-10 ISO-8859-13 ISO-8859-14 ISO-8859-15 ISO-8859-16 windows-874 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 KOI8-R KOI8-U IBM866 macintosh x-mac-cyrillic GBK GB18030 Big5 EUC-JP ISO-2022-JP Shift_JIS EUC-KR UTF-16BE UTF-16LE)] Charset is not supported
    C: e SEARCH CHARSET ISO-2022-KR ALL
    S: e NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-2 ISO-8859-3 ISO-8859-4 ISO-8859-5 ISO-8859-6 ISO-8859-7 ISO-8859-8 ISO-8859-9 ISO-8859-10 ISO-8859-13 ISO-8859-14 ISO-8859-15 ISO-8859-16 windows-874 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 KOI8-R KOI8-U IBM866 macintosh x-mac-cyrillic GBK GB18030 Big5 EUC-JP ISO-2022-JP Shift_JIS EUC-KR UTF-16BE UTF-16LE)] Charset is not supported
    C: f SEARCH CHARSET UTF-16BE SUBJECT odd
    S: f BAD Expected text in the charset
    "#);
}

#[test]
fn rfc9051_6_4_4_text_that_is_not_in_its_charset() {
    let script = |before: &str| {
        let mut bytes = before.as_bytes().to_vec();
        bytes.extend_from_slice(b"SUBJECT {2+}\r\n\xff\xfe\r\n");
        bytes
    };
    for (before, answer) in [
        ("a SEARCH CHARSET UTF-8 ", "a BAD Expected text in the charset"),
        // What 8 bits are is not said: each message knows its own.
        ("a SEARCH ", "* SEARCH\r\na OK Done"),
        ("a SEARCH CHARSET windows-1252 ", "* SEARCH\r\na OK Done"),
    ] {
        assert_eq!(
            Stage::default().answer("C: 0 LOGIN u pw | C: 0 SELECT INBOX", &script(before)),
            answer
        );
    }
    let enabled = "C: 0 LOGIN u pw | C: 0 ENABLE IMAP4rev2 | C: 0 SELECT INBOX";
    assert_eq!(
        Stage::default().answer(enabled, &script("a SEARCH ")),
        "a BAD Expected text in the charset"
    );
}

#[test]
fn rfc9051_6_4_4_examples() {
    insta::assert_snapshot!(play_twelve(r#"C: A283 SEARCH RETURN () UID 2,10:11 | C: A284 SEARCH TEXT "string not in mailbox" | C: A285 SEARCH RETURN (ALL) TEXT "string not in mailbox" | C: A286 SEARCH RETURN (MIN) UNSEEN | C: A287 UID SEARCH RETURN (MIN MAX) 1:12 | C: A288 SEARCH RETURN (COUNT) DELETED | C: A289 SEARCH RETURN (MIN MAX COUNT ALL) DELETED"#), @r#"
    C: A283 SEARCH RETURN () UID 2,10:11
    Q: search
    S: * ESEARCH (TAG "A283") ALL 2,10:11
    S: A283 OK Done
    C: A284 SEARCH TEXT "string not in mailbox"
    Q: search
    S: * SEARCH
    S: A284 OK Done
    C: A285 SEARCH RETURN (ALL) TEXT "string not in mailbox"
    Q: search
    S: * ESEARCH (TAG "A285")
    S: A285 OK Done
    C: A286 SEARCH RETURN (MIN) UNSEEN
    Q: search
    S: * ESEARCH (TAG "A286") MIN 1
    S: A286 OK Done
    C: A287 UID SEARCH RETURN (MIN MAX) 1:12
    Q: search
    S: * ESEARCH (TAG "A287") UID MIN 1 MAX 12
    S: A287 OK Done
    C: A288 SEARCH RETURN (COUNT) DELETED
    Q: search
    S: * ESEARCH (TAG "A288") COUNT 0
    S: A288 OK Done
    C: A289 SEARCH RETURN (MIN MAX COUNT ALL) DELETED
    Q: search
    S: * ESEARCH (TAG "A289") COUNT 0
    S: A289 OK Done
    "#);
}

#[test]
fn rfc4731_3_1_options() {
    insta::assert_snapshot!(play_twelve(r#"C: a SEARCH RETURN (MAX MIN) 3:5 | C: b SEARCH return (min) 3:5 | C: c UID SEARCH RETURN (COUNT ALL) OR 1:3 (OR 5 9:*) | C: d SEARCH RETURN (MIN) CHARSET UTF-8 SEEN | C: e SEARCH RETURN (OTHER) ALL | C: f SEARCH RETURN MIN ALL | C: g SEARCH RETURN (MIN MIN) ALL | C: h SEARCH RETURN (MIN)ALL"#), @r#"
    C: a SEARCH RETURN (MAX MIN) 3:5
    Q: search
    S: * ESEARCH (TAG "a") MIN 3 MAX 5
    S: a OK Done
    C: b SEARCH return (min) 3:5
    Q: search
    S: * ESEARCH (TAG "b") MIN 3
    S: b OK Done
    C: c UID SEARCH RETURN (COUNT ALL) OR 1:3 (OR 5 9:*)
    Q: search
    S: * ESEARCH (TAG "c") UID ALL 1:3,5,9:12 COUNT 8
    S: c OK Done
    C: d SEARCH RETURN (MIN) CHARSET UTF-8 SEEN
    Q: search
    S: * ESEARCH (TAG "d")
    S: d OK Done
    C: e SEARCH RETURN (OTHER) ALL
    S: e BAD Unknown result option
    C: f SEARCH RETURN MIN ALL
    S: f BAD Expected a list in parentheses
    C: g SEARCH RETURN (MIN MIN) ALL
    Q: search
    S: * ESEARCH (TAG "g") MIN 1
    S: g OK Done
    C: h SEARCH RETURN (MIN)ALL
    S: h BAD Expected a space
    "#);
}

#[test]
fn rfc5182_2_1_what_is_saved() {
    insta::assert_snapshot!(play_twelve(r#"C: a UID SEARCH RETURN (SAVE) 3:5 | C: b SEARCH RETURN (COUNT) $ | C: c UID SEARCH UID $ NOT 4 | C: d SEARCH RETURN (SAVE) X | C: e SEARCH RETURN (COUNT) $ | C: f SEARCH 1 | C: g SEARCH RETURN (COUNT) $ | C: h SEARCH CHARSET x-no ALL | C: i SEARCH RETURN (COUNT) $ | C: j SEARCH RETURN (SAVE) CHARSET x-no ALL | C: k SEARCH RETURN (COUNT) $ | C: l FETCH $ UID"#), @r#"
    C: a UID SEARCH RETURN (SAVE) 3:5
    Q: search
    S: a OK Done
    C: b SEARCH RETURN (COUNT) $
    Q: search
    S: * ESEARCH (TAG "b") COUNT 3
    S: b OK Done
    C: c UID SEARCH UID $ NOT 4
    Q: search
    S: * SEARCH 3 5
    S: c OK Done
    C: d SEARCH RETURN (SAVE) X
    S: d BAD Unknown search key
    C: e SEARCH RETURN (COUNT) $
    Q: search
    S: * ESEARCH (TAG "e") COUNT 3
    S: e OK Done
    C: f SEARCH 1
    Q: search
    S: * SEARCH 1
    S: f OK Done
    C: g SEARCH RETURN (COUNT) $
    Q: search
    S: * ESEARCH (TAG "g") COUNT 3
    S: g OK Done
    C: h SEARCH CHARSET x-no ALL
    S: h NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-2 ISO-8859-3 ISO-8859-4 ISO-8859-5 ISO-8859-6 ISO-8859-7 ISO-8859-8 ISO-8859-9 ISO-8859-10 ISO-8859-13 ISO-8859-14 ISO-8859-15 ISO-8859-16 windows-874 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 KOI8-R KOI8-U IBM866 macintosh x-mac-cyrillic GBK GB18030 Big5 EUC-JP ISO-2022-JP Shift_JIS EUC-KR UTF-16BE UTF-16LE)] Charset is not supported
    C: i SEARCH RETURN (COUNT) $
    Q: search
    S: * ESEARCH (TAG "i") COUNT 3
    S: i OK Done
    C: j SEARCH RETURN (SAVE) CHARSET x-no ALL
    S: j NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-2 ISO-8859-3 ISO-8859-4 ISO-8859-5 ISO-8859-6 ISO-8859-7 ISO-8859-8 ISO-8859-9 ISO-8859-10 ISO-8859-13 ISO-8859-14 ISO-8859-15 ISO-8859-16 windows-874 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 KOI8-R KOI8-U IBM866 macintosh x-mac-cyrillic GBK GB18030 Big5 EUC-JP ISO-2022-JP Shift_JIS EUC-KR UTF-16BE UTF-16LE)] Charset is not supported
    C: k SEARCH RETURN (COUNT) $
    Q: search
    S: * ESEARCH (TAG "k") COUNT 0
    S: k OK Done
    C: l FETCH $ UID
    S: l OK Done
    "#);
}

#[test]
fn rfc5182_2_1_a_new_selection_forgets() {
    insta::assert_snapshot!(play(r#"C: a SEARCH RETURN (SAVE) ALL | C: b EXAMINE INBOX | C: c SEARCH RETURN (COUNT) $"#), @r#"
    C: a SEARCH RETURN (SAVE) ALL
    Q: search
    S: a OK Done
    C: b EXAMINE INBOX
    Q: examine INBOX
    S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
    S: * OK [PERMANENTFLAGS ()] Flags that are kept
    S: * 3 EXISTS
    S: * 0 RECENT
    S: * OK [UNSEEN 1] First unseen
    S: * OK [UIDVALIDITY 7] UIDs are valid
    S: * OK [UIDNEXT 4] Next UID
    S: * OK [HIGHESTMODSEQ 4] Highest mod-sequence
    S: * OK [MAILBOXID (F00000000000000000000000000000007)] Mailbox's id
    S: b OK [READ-ONLY] Selected
    C: c SEARCH RETURN (COUNT) $
    Q: search
    S: * ESEARCH (TAG "c") COUNT 0
    S: c OK Done
    "#);
}

#[test]
fn rfc5182_2_1_expunged_messages_leave_what_is_saved() {
    insta::assert_snapshot!(play(r#"C: a SEARCH RETURN (SAVE) ALL | M: expunge 2 | C: b NOOP | C: c UID SEARCH RETURN (ALL) $ | C: d FETCH $ UID"#), @r#"
    C: a SEARCH RETURN (SAVE) ALL
    Q: search
    S: a OK Done
    M: expunge 2
    C: b NOOP
    Q: changes
    S: * 2 EXPUNGE
    S: b OK Done
    C: c UID SEARCH RETURN (ALL) $
    Q: search
    S: * ESEARCH (TAG "c") UID ALL 1,3
    S: c OK Done
    C: d FETCH $ UID
    Q: fetch 1+1,3+1
    S: * 1 FETCH (UID 1)
    S: * 2 FETCH (UID 3)
    S: d OK Done
    "#);
}

#[test]
fn rfc5182_2_4_min_and_max() {
    insta::assert_snapshot!(play_twelve(r#"C: a SEARCH RETURN (SAVE MIN) 3:5 | C: b SEARCH $ | C: c SEARCH RETURN (SAVE MAX) 3:5 | C: d SEARCH $ | C: e SEARCH RETURN (MIN SAVE MAX) 3:5 | C: f SEARCH $ | C: g SEARCH RETURN (SAVE MIN COUNT) 3:5 | C: h SEARCH $ | C: i SEARCH RETURN (SAVE MAX ALL) 3:5 | C: j SEARCH $ | C: k SEARCH RETURN (SAVE MIN) DELETED | C: l SEARCH $"#), @r#"
    C: a SEARCH RETURN (SAVE MIN) 3:5
    Q: search
    S: * ESEARCH (TAG "a") MIN 3
    S: a OK Done
    C: b SEARCH $
    Q: search
    S: * SEARCH 3
    S: b OK Done
    C: c SEARCH RETURN (SAVE MAX) 3:5
    Q: search
    S: * ESEARCH (TAG "c") MAX 5
    S: c OK Done
    C: d SEARCH $
    Q: search
    S: * SEARCH 5
    S: d OK Done
    C: e SEARCH RETURN (MIN SAVE MAX) 3:5
    Q: search
    S: * ESEARCH (TAG "e") MIN 3 MAX 5
    S: e OK Done
    C: f SEARCH $
    Q: search
    S: * SEARCH 3 5
    S: f OK Done
    C: g SEARCH RETURN (SAVE MIN COUNT) 3:5
    Q: search
    S: * ESEARCH (TAG "g") MIN 3 COUNT 3
    S: g OK Done
    C: h SEARCH $
    Q: search
    S: * SEARCH 3 4 5
    S: h OK Done
    C: i SEARCH RETURN (SAVE MAX ALL) 3:5
    Q: search
    S: * ESEARCH (TAG "i") MAX 5 ALL 3:5
    S: i OK Done
    C: j SEARCH $
    Q: search
    S: * SEARCH 3 4 5
    S: j OK Done
    C: k SEARCH RETURN (SAVE MIN) DELETED
    Q: search
    S: * ESEARCH (TAG "k")
    S: k OK Done
    C: l SEARCH $
    Q: search
    S: * SEARCH
    S: l OK Done
    "#);
}

#[test]
fn rfc9051_6_4_4_2_a_pipelined_use_waits() {
    insta::assert_snapshot!(play(r#"B: a SEARCH RETURN (SAVE) 2\r\nb FETCH $ UID\r\n"#), @r"
    B: a SEARCH RETURN (SAVE) 2\r\nb FETCH $ UID\r\n
    Q: search
    S: a OK Done
    Q: fetch 2+1
    S: * 2 FETCH (UID 2)
    S: b OK Done
    ");
}

#[test]
fn a_search_that_nobody_waits_for_is_called_back() {
    insta::assert_snapshot!(play("E: silent | C: a SEARCH BODY x | E: eof"), @r"
    E: silent
    C: a SEARCH BODY x
    Q: search
    E: eof
    Q: cancel
    X: close
    ");
    // A hang-up behind more commands is told once these are taken: all are answered.
    insta::assert_snapshot!(play(r#"B: a SEARCH BODY x\r\nb LOGOUT\r\n | E: eof"#), @r"
    B: a SEARCH BODY x\r\nb LOGOUT\r\n
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    S: * BYE Logging out
    S: b OK Goodbye
    X: close
    E: eof
    ");
}

#[test]
fn a_stop_of_the_server_does_not_wait_for_a_search() {
    insta::assert_snapshot!(play("C: a SEARCH RETURN (SAVE) ALL | E: silent | C: b SEARCH BODY x | E: shutdown"), @r"
    C: a SEARCH RETURN (SAVE) ALL
    Q: search
    S: a OK Done
    E: silent
    C: b SEARCH BODY x
    Q: search
    E: shutdown
    Q: cancel
    S: b NO [UNAVAILABLE] Server is shutting down
    S: * BYE [UNAVAILABLE] Server is shutting down
    X: close
    ");
}

#[test]
fn row_45_limits_of_a_command() {
    let nested = |depth: usize| format!("C: a SEARCH {}ALL", "NOT ".repeat(depth));
    let many = |terms: usize| format!("C: a SEARCH {}", vec!["SEEN"; terms].join(" "));
    let long =
        |bytes: usize| format!(r"B: a SEARCH BODY {{{bytes}+}}\r\n{}\r\n", "x".repeat(bytes));
    let both = |bytes: usize| {
        let text = "x".repeat(bytes);
        format!(r"B: a SEARCH BODY {{{bytes}+}}\r\n{text} TEXT {{{bytes}+}}\r\n{text}\r\n")
    };
    let last = |script: String| play(&script).lines().last().unwrap_or_default().to_owned();
    for fine in [nested(31), many(999), long(64 << 10), both(32 << 10)] {
        assert_eq!(last(fine), "S: a OK Done");
    }
    assert_eq!(last(nested(32)), "S: a BAD [LIMIT] Too many or too long: nested search keys");
    assert_eq!(last(nested(10_000)), "S: a BAD [LIMIT] Too many or too long: nested search keys");
    let brackets = format!("C: a SEARCH {}ALL{}", "(".repeat(33), ")".repeat(33));
    assert_eq!(last(brackets), "S: a BAD [LIMIT] Too many or too long: nested brackets");
    assert_eq!(last(many(1001)), "S: a BAD [LIMIT] Too many or too long: search keys");
    for long in [long((64 << 10) + 1), both((32 << 10) + 1)] {
        assert_eq!(last(long), "S: a BAD [LIMIT] Too many or too long: search keys");
    }
}
