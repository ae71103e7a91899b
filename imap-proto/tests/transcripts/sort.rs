//! SORT.

use crate::play::{Stage, play};

/// Six messages that differ in everything SORT knows.
const MAIL: &str = "C: 0 LOGIN u pw \
    | M: mail Subject: [list] banana\\nFrom: Zoe <carl@x>\\nTo: b@x\\nCc: q@x\\nDate: 1 Jan 2001 00:01:33 +0000 \
    | M: mail Subject: Re: Apple (fwd)\\nFrom: \"\" <ann@y>\\nTo: c@x\\nDate: 31 Dec 2000 16:01:32 -0800 \
    | M: mail Subject: =?utf-8?q?=C3=84pfel?=\\nFrom: =?utf-8?q?=C3=84nne?= <bob@x>\\nTo: \\nDate: soon \
    | M: mail Subject: cherry\\nFrom: adam@z\\nTo: G: a@x;\\nDate: 1 Jan 1990 25:00:00 +0000 \
    | M: mail Subject: apple\\nFrom: BOB@w\\nTo: A@x, z@x\\nCc: p@x\\nDate: 1 Jan 2001 00:01:33 \
    | M: mail X: none \
    | C: 0 SELECT INBOX";

fn play_mail(script: &str) -> String {
    Stage { messages: 0, before: MAIL, ..Stage::default() }.play(script)
}

#[test]
fn rfc5256_3_subject_and_date() {
    insta::assert_snapshot!(play_mail("C: a SORT (SUBJECT) UTF-8 ALL | C: b SORT (REVERSE SUBJECT) US-ASCII ALL | C: c SORT (DATE) UTF-8 ALL | C: d SORT (REVERSE DATE) utf-8 ALL | C: e SORT (SUBJECT REVERSE DATE) \"UTF-8\" 1:5 | C: f SORT (SIZE) UTF-8 ALL | C: g SORT (ARRIVAL) UTF-8 ALL | C: h SORT (REVERSE ARRIVAL) UTF-8 ALL | C: i sort (subject reverse size) utf-8 or 2 5"), @r#"
    C: a SORT (SUBJECT) UTF-8 ALL
    Q: sort
    S: * SORT 6 2 5 3 1 4
    S: a OK Done
    C: b SORT (REVERSE SUBJECT) US-ASCII ALL
    Q: sort
    S: * SORT 4 1 3 2 5 6
    S: b OK Done
    C: c SORT (DATE) UTF-8 ALL
    Q: sort
    S: * SORT 4 3 6 2 1 5
    S: c OK Done
    C: d SORT (REVERSE DATE) utf-8 ALL
    Q: sort
    S: * SORT 1 5 2 3 6 4
    S: d OK Done
    C: e SORT (SUBJECT REVERSE DATE) "UTF-8" 1:5
    Q: sort
    S: * SORT 5 2 3 1 4
    S: e OK Done
    C: f SORT (SIZE) UTF-8 ALL
    Q: sort
    S: * SORT 6 4 5 2 3 1
    S: f OK Done
    C: g SORT (ARRIVAL) UTF-8 ALL
    Q: sort
    S: * SORT 1 2 3 4 5 6
    S: g OK Done
    C: h SORT (REVERSE ARRIVAL) UTF-8 ALL
    Q: sort
    S: * SORT 1 2 3 4 5 6
    S: h OK Done
    C: i sort (subject reverse size) utf-8 or 2 5
    Q: sort
    S: * SORT 2 5
    S: i OK Done
    "#);
}

#[test]
fn rfc5256_3_addresses() {
    insta::assert_snapshot!(play_mail("C: a SORT (FROM) UTF-8 ALL | C: b SORT (TO) UTF-8 ALL | C: c SORT (CC) UTF-8 ALL | C: d SORT (REVERSE CC REVERSE FROM) UTF-8 ALL"), @r"
    C: a SORT (FROM) UTF-8 ALL
    Q: sort
    S: * SORT 6 4 2 3 5 1
    S: a OK Done
    C: b SORT (TO) UTF-8 ALL
    Q: sort
    S: * SORT 3 6 5 1 2 4
    S: b OK Done
    C: c SORT (CC) UTF-8 ALL
    Q: sort
    S: * SORT 2 3 4 6 5 1
    S: c OK Done
    C: d SORT (REVERSE CC REVERSE FROM) UTF-8 ALL
    Q: sort
    S: * SORT 1 5 3 2 4 6
    S: d OK Done
    ");
}

#[test]
fn rfc5957_3_display() {
    insta::assert_snapshot!(play_mail("C: a SORT (DISPLAYFROM) UTF-8 ALL | C: b SORT (REVERSE DISPLAYFROM) UTF-8 ALL | C: c SORT (DISPLAYTO) UTF-8 ALL"), @r"
    C: a SORT (DISPLAYFROM) UTF-8 ALL
    Q: sort
    S: * SORT 6 4 2 3 5 1
    S: a OK Done
    C: b SORT (REVERSE DISPLAYFROM) UTF-8 ALL
    Q: sort
    S: * SORT 1 5 3 2 4 6
    S: b OK Done
    C: c SORT (DISPLAYTO) UTF-8 ALL
    Q: sort
    S: * SORT 3 6 5 1 2 4
    S: c OK Done
    ");
}

#[test]
fn rfc5256_3_the_keys_are_those_of_search() {
    insta::assert_snapshot!(play_mail("C: a UID SORT (SUBJECT) UTF-8 NOT 2 FROM x | C: b SORT (SUBJECT) ISO-8859-1 TEXT apple | C: c SORT (SUBJECT) US-ASCII TEXT \"not in mailbox\" | C: d STORE 1,3 +FLAGS.SILENT (\\Seen) | C: e UID SORT (REVERSE ARRIVAL SUBJECT) UTF-8 UNSEEN UID 1:4"), @r#"
    C: a UID SORT (SUBJECT) UTF-8 NOT 2 FROM x
    Q: sort
    S: * SORT 3 1
    S: a OK Done
    C: b SORT (SUBJECT) ISO-8859-1 TEXT apple
    Q: sort
    S: * SORT 2 5
    S: b OK Done
    C: c SORT (SUBJECT) US-ASCII TEXT "not in mailbox"
    Q: sort
    S: * SORT
    S: c OK Done
    C: d STORE 1,3 +FLAGS.SILENT (\Seen)
    Q: store 1,3 Add
    S: d OK Stored
    C: e UID SORT (REVERSE ARRIVAL SUBJECT) UTF-8 UNSEEN UID 1:4
    Q: sort
    S: * SORT 2 4
    S: e OK Done
    "#);
}

#[test]
fn rfc5256_3_wrong() {
    insta::assert_snapshot!(play("C: a SORT (SUBJECT) X-NONE ALL | C: b SORT (SUBJECT) | C: c SORT (SUBJECT) UTF-8 | C: d SORT SUBJECT UTF-8 ALL | C: e SORT () UTF-8 ALL | C: f SORT (REVERSE) UTF-8 ALL | C: g SORT (COLOUR) UTF-8 ALL | C: h SORT (SUBJECT) UTF-8 9 | C: i SORT (SUBJECT) CHARSET UTF-8 ALL"), @r"
    C: a SORT (SUBJECT) X-NONE ALL
    S: a NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-2 ISO-8859-3 ISO-8859-4 ISO-8859-5 ISO-8859-6 ISO-8859-7 ISO-8859-8 ISO-8859-9 ISO-8859-10 ISO-8859-13 ISO-8859-14 ISO-8859-15 ISO-8859-16 windows-874 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 KOI8-R KOI8-U IBM866 macintosh x-mac-cyrillic GBK GB18030 Big5 EUC-JP ISO-2022-JP Shift_JIS EUC-KR UTF-16BE UTF-16LE)] Charset is not supported
    C: b SORT (SUBJECT)
    S: b BAD Expected a space
    C: c SORT (SUBJECT) UTF-8
    S: c BAD Expected a space
    C: d SORT SUBJECT UTF-8 ALL
    S: d BAD Expected a list in parentheses
    C: e SORT () UTF-8 ALL
    S: e BAD Expected a sort criterion, after REVERSE or not: ARRIVAL, CC, DATE, DISPLAYFROM, DISPLAYTO, FROM, SIZE, SUBJECT or TO
    C: f SORT (REVERSE) UTF-8 ALL
    S: f BAD Expected a sort criterion, after REVERSE or not: ARRIVAL, CC, DATE, DISPLAYFROM, DISPLAYTO, FROM, SIZE, SUBJECT or TO
    C: g SORT (COLOUR) UTF-8 ALL
    S: g BAD Expected a sort criterion, after REVERSE or not: ARRIVAL, CC, DATE, DISPLAYFROM, DISPLAYTO, FROM, SIZE, SUBJECT or TO
    C: h SORT (SUBJECT) UTF-8 9
    S: h BAD No such message
    C: i SORT (SUBJECT) CHARSET UTF-8 ALL
    S: i NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-2 ISO-8859-3 ISO-8859-4 ISO-8859-5 ISO-8859-6 ISO-8859-7 ISO-8859-8 ISO-8859-9 ISO-8859-10 ISO-8859-13 ISO-8859-14 ISO-8859-15 ISO-8859-16 windows-874 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 KOI8-R KOI8-U IBM866 macintosh x-mac-cyrillic GBK GB18030 Big5 EUC-JP ISO-2022-JP Shift_JIS EUC-KR UTF-16BE UTF-16LE)] Charset is not supported
    ");
}

#[test]
fn rfc5256_3_needs_a_mailbox() {
    insta::assert_snapshot!(crate::play::play_user("C: a SORT (SUBJECT) UTF-8 ALL | C: b UID SORT (SUBJECT) UTF-8 ALL"), @r"
    C: a SORT (SUBJECT) UTF-8 ALL
    S: a BAD No mailbox is selected
    C: b UID SORT (SUBJECT) UTF-8 ALL
    S: b BAD No mailbox is selected
    ");
}

/// Nothing is expunged while numbers are told; a message that came meanwhile has none yet.
#[test]
fn rfc5256_3_expunges_wait_for_uid_sort() {
    insta::assert_snapshot!(play("M: expunge 1 | M: deliver | C: a SORT (REVERSE SUBJECT) UTF-8 ALL | C: b UID SORT (REVERSE SUBJECT) UTF-8 ALL"), @r"
    M: expunge 1
    M: deliver
    C: a SORT (REVERSE SUBJECT) UTF-8 ALL
    Q: sort
    S: * SORT 3 2
    Q: changes but expunges
    S: * 4 EXISTS
    S: * 4 RECENT
    S: a OK Done
    C: b UID SORT (REVERSE SUBJECT) UTF-8 ALL
    Q: sort
    S: * SORT 3 2 4
    Q: changes
    S: * 1 EXPUNGE
    S: b OK Done
    ");
}

#[test]
fn rfc5267_3_1_esort() {
    insta::assert_snapshot!(play_mail("C: a UID SORT RETURN () (REVERSE SUBJECT) UTF-8 ALL | C: b SORT RETURN (MIN MAX COUNT) (SUBJECT) UTF-8 ALL | C: c SORT RETURN (ALL COUNT) (ARRIVAL) UTF-8 NOT 3 | C: d SORT RETURN (MIN) (SUBJECT) UTF-8 TEXT nothing | C: e SORT RETURN (MAX MIN ALL COUNT) (SIZE) UTF-8 TEXT nothing | C: f SORT RETURN (X) (SIZE) UTF-8 ALL"), @r#"
    C: a UID SORT RETURN () (REVERSE SUBJECT) UTF-8 ALL
    Q: sort
    S: * ESEARCH (TAG "a") UID ALL 4,1,3,2,5:6
    S: a OK Done
    C: b SORT RETURN (MIN MAX COUNT) (SUBJECT) UTF-8 ALL
    Q: sort
    S: * ESEARCH (TAG "b") MIN 6 MAX 4 COUNT 6
    S: b OK Done
    C: c SORT RETURN (ALL COUNT) (ARRIVAL) UTF-8 NOT 3
    Q: sort
    S: * ESEARCH (TAG "c") ALL 1:2,4:6 COUNT 5
    S: c OK Done
    C: d SORT RETURN (MIN) (SUBJECT) UTF-8 TEXT nothing
    Q: sort
    S: * ESEARCH (TAG "d")
    S: d OK Done
    C: e SORT RETURN (MAX MIN ALL COUNT) (SIZE) UTF-8 TEXT nothing
    Q: sort
    S: * ESEARCH (TAG "e") COUNT 0
    S: e OK Done
    C: f SORT RETURN (X) (SIZE) UTF-8 ALL
    S: f BAD Unknown result option
    "#);
}

#[test]
fn rfc5267_4_4_partial() {
    insta::assert_snapshot!(play_mail("C: a SORT RETURN (PARTIAL 2:4) (SUBJECT) UTF-8 ALL | C: b UID SORT RETURN (PARTIAL 4:2 COUNT) (SUBJECT) UTF-8 ALL | C: c SORT RETURN (PARTIAL 7:9) (SUBJECT) UTF-8 ALL | C: d SORT RETURN (PARTIAL 5:9 MIN) (SUBJECT) UTF-8 ALL | C: e SORT RETURN (PARTIAL 1:2 ALL) (SUBJECT) UTF-8 ALL | C: f SORT RETURN (PARTIAL 1:2 PARTIAL 3:4) (SUBJECT) UTF-8 ALL | C: g SORT RETURN (PARTIAL 0:2) (SUBJECT) UTF-8 ALL"), @r#"
    C: a SORT RETURN (PARTIAL 2:4) (SUBJECT) UTF-8 ALL
    Q: sort
    S: * ESEARCH (TAG "a") PARTIAL (2:4 2,5,3)
    S: a OK Done
    C: b UID SORT RETURN (PARTIAL 4:2 COUNT) (SUBJECT) UTF-8 ALL
    Q: sort
    S: * ESEARCH (TAG "b") UID PARTIAL (4:2 2,5,3) COUNT 6
    S: b OK Done
    C: c SORT RETURN (PARTIAL 7:9) (SUBJECT) UTF-8 ALL
    Q: sort
    S: * ESEARCH (TAG "c") PARTIAL (7:9 NIL)
    S: c OK Done
    C: d SORT RETURN (PARTIAL 5:9 MIN) (SUBJECT) UTF-8 ALL
    Q: sort
    S: * ESEARCH (TAG "d") MIN 6 PARTIAL (5:9 1,4)
    S: d OK Done
    C: e SORT RETURN (PARTIAL 1:2 ALL) (SUBJECT) UTF-8 ALL
    S: e BAD Expected ALL or PARTIAL, not both
    C: f SORT RETURN (PARTIAL 1:2 PARTIAL 3:4) (SUBJECT) UTF-8 ALL
    S: f BAD Expected PARTIAL once
    C: g SORT RETURN (PARTIAL 0:2) (SUBJECT) UTF-8 ALL
    S: g BAD Expected a place above 0
    "#);
}

#[test]
fn rfc9394_3_1_partial_results() {
    insta::assert_snapshot!(play_mail("C: a SEARCH RETURN (PARTIAL -1:-2) ALL | C: b UID SEARCH RETURN (PARTIAL 2:3 COUNT MIN MAX) NOT 3 | C: c UID SEARCH RETURN (PARTIAL 7:9) ALL | C: d SEARCH RETURN (ALL PARTIAL 1:2) ALL | C: e SEARCH RETURN (PARTIAL -1:2) ALL | C: f SORT RETURN (PARTIAL -1:-2) (SUBJECT) UTF-8 ALL"), @r#"
    C: a SEARCH RETURN (PARTIAL -1:-2) ALL
    Q: search
    S: * ESEARCH (TAG "a") PARTIAL (-1:-2 5:6)
    S: a OK Done
    C: b UID SEARCH RETURN (PARTIAL 2:3 COUNT MIN MAX) NOT 3
    Q: search
    S: * ESEARCH (TAG "b") UID MIN 1 MAX 6 PARTIAL (2:3 2,4) COUNT 5
    S: b OK Done
    C: c UID SEARCH RETURN (PARTIAL 7:9) ALL
    Q: search
    S: * ESEARCH (TAG "c") UID PARTIAL (7:9 NIL)
    S: c OK Done
    C: d SEARCH RETURN (ALL PARTIAL 1:2) ALL
    S: d BAD Expected ALL or PARTIAL, not both
    C: e SEARCH RETURN (PARTIAL -1:2) ALL
    S: e BAD Expected a range on one side
    C: f SORT RETURN (PARTIAL -1:-2) (SUBJECT) UTF-8 ALL
    Q: sort
    S: * ESEARCH (TAG "f") PARTIAL (-1:-2 1,4)
    S: f OK Done
    "#);
}

#[test]
fn rfc9394_3_2_partial_and_save() {
    insta::assert_snapshot!(play_mail("C: a SEARCH RETURN (SAVE PARTIAL 2:3) ALL | C: b SEARCH $ | C: c SEARCH RETURN (SAVE PARTIAL 2:3 MAX) ALL | C: d SEARCH $ | C: e SEARCH RETURN (SAVE PARTIAL 2:3 MIN COUNT) ALL | C: f SEARCH $ | C: g SORT RETURN (SAVE PARTIAL 1:2) (SUBJECT) UTF-8 ALL | C: h SEARCH $ | C: i SORT RETURN (SAVE PARTIAL 1:2 COUNT) (SUBJECT) UTF-8 ALL | C: j SEARCH $"), @r#"
    C: a SEARCH RETURN (SAVE PARTIAL 2:3) ALL
    Q: search
    S: * ESEARCH (TAG "a") PARTIAL (2:3 2:3)
    S: a OK Done
    C: b SEARCH $
    Q: search
    S: * SEARCH 2 3
    S: b OK Done
    C: c SEARCH RETURN (SAVE PARTIAL 2:3 MAX) ALL
    Q: search
    S: * ESEARCH (TAG "c") MAX 6 PARTIAL (2:3 2:3)
    S: c OK Done
    C: d SEARCH $
    Q: search
    S: * SEARCH 2 3 6
    S: d OK Done
    C: e SEARCH RETURN (SAVE PARTIAL 2:3 MIN COUNT) ALL
    Q: search
    S: * ESEARCH (TAG "e") MIN 1 PARTIAL (2:3 2:3) COUNT 6
    S: e OK Done
    C: f SEARCH $
    Q: search
    S: * SEARCH 1 2 3 4 5 6
    S: f OK Done
    C: g SORT RETURN (SAVE PARTIAL 1:2) (SUBJECT) UTF-8 ALL
    Q: sort
    S: * ESEARCH (TAG "g") PARTIAL (1:2 6,2)
    S: g OK Done
    C: h SEARCH $
    Q: search
    S: * SEARCH 2 6
    S: h OK Done
    C: i SORT RETURN (SAVE PARTIAL 1:2 COUNT) (SUBJECT) UTF-8 ALL
    Q: sort
    S: * ESEARCH (TAG "i") PARTIAL (1:2 6,2) COUNT 6
    S: i OK Done
    C: j SEARCH $
    Q: search
    S: * SEARCH 1 2 3 4 5 6
    S: j OK Done
    "#);
}

#[test]
fn rfc9394_3_3_partial_uid_fetch() {
    insta::assert_snapshot!(play_mail("C: a UID FETCH 1:* FLAGS (PARTIAL -1:-2) | C: b UID FETCH 2:5 FLAGS (PARTIAL 1:2) | C: c UID FETCH 2:5 FLAGS (PARTIAL 3:9 CHANGEDSINCE 5) | C: d UID FETCH 1:* UID (PARTIAL 9:10) | C: e FETCH 1:* UID (PARTIAL 1:2)"), @r"
    C: a UID FETCH 1:* FLAGS (PARTIAL -1:-2)
    Q: fetch 5+2
    S: * 5 FETCH (UID 5 FLAGS (\Recent))
    S: * 6 FETCH (UID 6 FLAGS (\Recent))
    S: a OK Done
    C: b UID FETCH 2:5 FLAGS (PARTIAL 1:2)
    Q: fetch 2+2
    S: * 2 FETCH (UID 2 FLAGS (\Recent))
    S: * 3 FETCH (UID 3 FLAGS (\Recent))
    S: b OK Done
    C: c UID FETCH 2:5 FLAGS (PARTIAL 3:9 CHANGEDSINCE 5)
    Q: changed since 5 in 4:5
    Q: fetch 5+1
    S: * 5 FETCH (UID 5 FLAGS (\Recent) MODSEQ (6))
    Q: changes
    S: * OK [HIGHESTMODSEQ 7] Highest mod-sequence
    S: c OK Done
    C: d UID FETCH 1:* UID (PARTIAL 9:10)
    S: d OK Done
    C: e FETCH 1:* UID (PARTIAL 1:2)
    S: e BAD Unknown modifier
    ");
}

#[test]
fn rfc5182_2_1_sort_saves() {
    insta::assert_snapshot!(play_mail("C: a SORT RETURN (SAVE) (SUBJECT) UTF-8 1:3 | C: b SEARCH $ | C: c SORT RETURN (SAVE MIN MAX) (SUBJECT) UTF-8 1:4 | C: d SEARCH $ | C: e SORT RETURN (SAVE ALL MIN) (SUBJECT) UTF-8 2:4 | C: f UID SORT (SUBJECT) UTF-8 $ | C: g SORT RETURN (SAVE) (SUBJECT) X-NONE ALL | C: h SEARCH $ | C: i SEARCH RETURN (SAVE) ALL | A: no Not now | C: j SORT RETURN (SAVE) (SUBJECT) UTF-8 ALL | C: k SEARCH $"), @r#"
    C: a SORT RETURN (SAVE) (SUBJECT) UTF-8 1:3
    Q: sort
    S: a OK Done
    C: b SEARCH $
    Q: search
    S: * SEARCH 1 2 3
    S: b OK Done
    C: c SORT RETURN (SAVE MIN MAX) (SUBJECT) UTF-8 1:4
    Q: sort
    S: * ESEARCH (TAG "c") MIN 2 MAX 4
    S: c OK Done
    C: d SEARCH $
    Q: search
    S: * SEARCH 2 4
    S: d OK Done
    C: e SORT RETURN (SAVE ALL MIN) (SUBJECT) UTF-8 2:4
    Q: sort
    S: * ESEARCH (TAG "e") MIN 2 ALL 2:4
    S: e OK Done
    C: f UID SORT (SUBJECT) UTF-8 $
    Q: sort
    S: * SORT 2 3 4
    S: f OK Done
    C: g SORT RETURN (SAVE) (SUBJECT) X-NONE ALL
    S: g NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-2 ISO-8859-3 ISO-8859-4 ISO-8859-5 ISO-8859-6 ISO-8859-7 ISO-8859-8 ISO-8859-9 ISO-8859-10 ISO-8859-13 ISO-8859-14 ISO-8859-15 ISO-8859-16 windows-874 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 KOI8-R KOI8-U IBM866 macintosh x-mac-cyrillic GBK GB18030 Big5 EUC-JP ISO-2022-JP Shift_JIS EUC-KR UTF-16BE UTF-16LE)] Charset is not supported
    C: h SEARCH $
    Q: search
    S: * SEARCH
    S: h OK Done
    C: i SEARCH RETURN (SAVE) ALL
    Q: search
    S: i OK Done
    A: no Not now
    C: j SORT RETURN (SAVE) (SUBJECT) UTF-8 ALL
    Q: sort
    S: j NO Not now
    C: k SEARCH $
    Q: search
    S: * SEARCH
    S: k OK Done
    "#);
}

#[test]
fn rfc7162_3_1_9_modseq() {
    insta::assert_snapshot!(play_mail("C: a SORT (REVERSE SIZE) UTF-8 MODSEQ 4 | C: b SORT (SIZE) UTF-8 MODSEQ 99 | C: c SORT RETURN (ALL) (SUBJECT) UTF-8 MODSEQ 4 | C: d SORT RETURN (MIN) (SUBJECT) UTF-8 MODSEQ 1 | C: e SORT RETURN (MAX COUNT) (SUBJECT) UTF-8 MODSEQ 1 | C: f SORT RETURN (MAX) (SUBJECT) UTF-8 1 MODSEQ 1"), @r#"
    C: a SORT (REVERSE SIZE) UTF-8 MODSEQ 4
    Q: sort
    S: * SORT 3 5 4 6 (MODSEQ 7)
    Q: changes but expunges
    S: * OK [HIGHESTMODSEQ 7] Highest mod-sequence
    S: a OK Done
    C: b SORT (SIZE) UTF-8 MODSEQ 99
    Q: sort
    S: * SORT
    S: b OK Done
    C: c SORT RETURN (ALL) (SUBJECT) UTF-8 MODSEQ 4
    Q: sort
    S: * ESEARCH (TAG "c") ALL 6,5,3:4 MODSEQ 7
    S: c OK Done
    C: d SORT RETURN (MIN) (SUBJECT) UTF-8 MODSEQ 1
    Q: sort
    S: * ESEARCH (TAG "d") MIN 6 MODSEQ 7
    S: d OK Done
    C: e SORT RETURN (MAX COUNT) (SUBJECT) UTF-8 MODSEQ 1
    Q: sort
    S: * ESEARCH (TAG "e") MAX 4 COUNT 6 MODSEQ 7
    S: e OK Done
    C: f SORT RETURN (MAX) (SUBJECT) UTF-8 1 MODSEQ 1
    Q: sort
    S: * ESEARCH (TAG "f") MAX 1 MODSEQ 2
    S: f OK Done
    "#);
}

/// RFC 5256 changes nothing in IMAP4rev2: SORT is answered by SORT.
#[test]
fn rfc5256_4_in_rev2() {
    insta::assert_snapshot!(play("C: a ENABLE IMAP4rev2 | C: b SORT (REVERSE SUBJECT) UTF-8 ALL"), @r"
    C: a ENABLE IMAP4rev2
    S: * ENABLED IMAP4rev2
    S: a OK Done
    C: b SORT (REVERSE SUBJECT) UTF-8 ALL
    Q: sort
    S: * SORT 3 2 1
    S: b OK Done
    ");
}

#[test]
fn hang_up_and_shutdown_call_it_back() {
    insta::assert_snapshot!(play("E: silent | C: a SORT (SUBJECT) UTF-8 ALL | E: shutdown"), @r"
    E: silent
    C: a SORT (SUBJECT) UTF-8 ALL
    Q: sort
    E: shutdown
    Q: cancel
    S: a NO [UNAVAILABLE] Server is shutting down
    S: * BYE [UNAVAILABLE] Server is shutting down
    X: close
    ");
    insta::assert_snapshot!(play("E: silent | C: a SORT RETURN (SAVE) (SUBJECT) UTF-8 ALL | E: eof"), @r"
    E: silent
    C: a SORT RETURN (SAVE) (SUBJECT) UTF-8 ALL
    Q: sort
    E: eof
    Q: cancel
    X: close
    ");
}

/// However many there are, they leave as there is room.
#[test]
fn a_long_answer_is_written_bit_by_bit() {
    for (command, wanted) in
        [("SORT", "* SORT"), ("UID SORT RETURN ()", "* ESEARCH (TAG \"c\") UID ALL")]
    {
        let stage = Stage { messages: 30_000, ..Stage::default() };
        let before = "C: a LOGIN u pw | C: b SELECT INBOX";
        let said =
            stage.answer(before, format!("c {command} (REVERSE SUBJECT) UTF-8 ALL\r\n").as_bytes());
        assert!(said.starts_with(wanted), "{}", &said[..60]);
        let numbers =
            said.lines().next().unwrap().split([' ', ',']).filter_map(|n| n.parse::<u32>().ok());
        let mut wanted: Vec<u32> = (1..=30_000).collect();
        wanted.sort_by_key(|n| std::cmp::Reverse(n.to_string()));
        assert_eq!(numbers.collect::<Vec<_>>(), wanted);
    }
}
