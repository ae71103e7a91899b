//! THREAD.

use crate::play::{Stage, play};

/// Three threads by references, two of which are one by their subject; a sibling of a reply whose parent isn't there; and
/// a message without anything.
const MAIL: &str = "C: 0 LOGIN u pw \
    | M: mail Subject: Plan\\nMessage-ID: <1@x>\\nDate: 1 Jan 2001 00:00:01 +0000 \
    | M: mail Subject: Re: Plan\\nMessage-ID: <2@x>\\nReferences: <\"1\"@x>\\nDate: 1 Jan 2001 00:00:02 +0000 \
    | M: mail Subject: Re: other\\nMessage-ID: <3@x>\\nIn-Reply-To: Ann's mail <gone@x>\\nDate: 1 Jan 2001 00:00:04 +0000 \
    | M: mail Subject: Re: Plan\\nMessage-ID: <4@x>\\nReferences: <1@x> <2@x>\\nDate: 1 Jan 2001 00:00:06 +0000 \
    | M: mail Subject: [list] plan (fwd)\\nMessage-ID: <5@x>\\nDate: 1 Jan 2001 00:00:03 +0000 \
    | M: mail Subject: Re: other\\nMessage-ID: <6@x>\\nReferences: <gone@x>\\nDate: 1 Jan 2001 00:00:03 +0000 \
    | M: mail Subject: Re: Plan\\nMessage-ID: <7@x>\\nReferences: <1@x>\\nDate: 1 Jan 2001 00:00:05 +0000 \
    | M: mail X: none \
    | C: 0 SELECT INBOX";

fn play_mail(script: &str) -> String {
    Stage { messages: 0, before: MAIL, ..Stage::default() }.play(script)
}

#[test]
fn rfc5256_3_references() {
    insta::assert_snapshot!(play_mail("C: a THREAD REFERENCES UTF-8 ALL | C: b UID THREAD references us-ascii NOT 1 | C: c THREAD REFERENCES UTF-8 SUBJECT nothing"), @r"
    C: a THREAD REFERENCES UTF-8 ALL
    Q: thread References
    S: * THREAD (8)(1 (2 4)(5)(7))((6)(3))
    S: a OK Done
    C: b UID THREAD references us-ascii NOT 1
    Q: thread References
    S: * THREAD (8)((2 4)(5)(7))((6)(3))
    S: b OK Done
    C: c THREAD REFERENCES UTF-8 SUBJECT nothing
    Q: thread References
    S: * THREAD
    S: c OK Done
    ");
}

#[test]
fn rfc5256_3_ordered_subject() {
    insta::assert_snapshot!(play_mail("C: a THREAD ORDEREDSUBJECT UTF-8 ALL | C: b UID THREAD ORDEREDSUBJECT UTF-8 SUBJECT other | C: c THREAD ORDEREDSUBJECT US-ASCII TEXT \"gewp\""), @r#"
    C: a THREAD ORDEREDSUBJECT UTF-8 ALL
    Q: thread OrderedSubject
    S: * THREAD (8)(1 (2)(5)(7)(4))(6 3)
    S: a OK Done
    C: b UID THREAD ORDEREDSUBJECT UTF-8 SUBJECT other
    Q: thread OrderedSubject
    S: * THREAD (6 3)
    S: b OK Done
    C: c THREAD ORDEREDSUBJECT US-ASCII TEXT "gewp"
    Q: thread OrderedSubject
    S: * THREAD
    S: c OK Done
    "#);
}

#[test]
fn draft_ietf_morg_inthread_refs() {
    insta::assert_snapshot!(play_mail("C: a THREAD REFS UTF-8 ALL | C: b UID THREAD REFS UTF-8 NOT 2"), @r"
    C: a THREAD REFS UTF-8 ALL
    Q: thread Refs
    S: * THREAD (5)((6)(3))(1 (2 4)(7))(8)
    S: a OK Done
    C: b UID THREAD REFS UTF-8 NOT 2
    Q: thread Refs
    S: * THREAD (5)((6)(3))(1 (7)(4))(8)
    S: b OK Done
    ");
}

/// The threads are those of the mailbox, by the algorithm that is named, or by REFS.
#[test]
fn draft_ietf_morg_inthread_inthread() {
    insta::assert_snapshot!(play_mail("C: a SEARCH INTHREAD 2 | C: b SEARCH INTHREAD REFERENCES 2 | C: c UID SEARCH NOT INTHREAD refs (4 SUBJECT plan) SUBJECT Re: | C: d SEARCH INTHREAD SUBJECT nothing | C: e SEARCH INTHREAD ORDEREDSUBJECT 3 | C: f SORT (REVERSE DATE) UTF-8 INTHREAD 4 | C: g THREAD REFERENCES UTF-8 INTHREAD 4 NOT 1 | C: h SEARCH INTHREAD INTHREAD ORDEREDSUBJECT INTHREAD 2"), @r"
    C: a SEARCH INTHREAD 2
    Q: search
    S: * SEARCH 1 2 4 7
    S: a OK Done
    C: b SEARCH INTHREAD REFERENCES 2
    Q: search
    S: * SEARCH 1 2 4 5 7
    S: b OK Done
    C: c UID SEARCH NOT INTHREAD refs (4 SUBJECT plan) SUBJECT Re:
    Q: search
    S: * SEARCH 3 6
    S: c OK Done
    C: d SEARCH INTHREAD SUBJECT nothing
    Q: search
    S: * SEARCH
    S: d OK Done
    C: e SEARCH INTHREAD ORDEREDSUBJECT 3
    Q: search
    S: * SEARCH 3 6
    S: e OK Done
    C: f SORT (REVERSE DATE) UTF-8 INTHREAD 4
    Q: sort
    S: * SORT 4 7 2 1
    S: f OK Done
    C: g THREAD REFERENCES UTF-8 INTHREAD 4 NOT 1
    Q: thread References
    S: * THREAD ((2 4)(7))
    S: g OK Done
    C: h SEARCH INTHREAD INTHREAD ORDEREDSUBJECT INTHREAD 2
    Q: search
    S: * SEARCH 1 2 4 5 7
    S: h OK Done
    ");
}

#[test]
fn draft_ietf_morg_inthread_wrong() {
    insta::assert_snapshot!(play_mail("C: a SEARCH INTHREAD | C: b SEARCH INTHREAD REFS | C: c SEARCH INTHREAD X ALL | C: d SEARCH INTHREAD REFERENCES 99"), @r"
    C: a SEARCH INTHREAD
    S: a BAD Expected a space
    C: b SEARCH INTHREAD REFS
    S: b BAD Expected a space
    C: c SEARCH INTHREAD X ALL
    S: c BAD Unknown search key
    C: d SEARCH INTHREAD REFERENCES 99
    S: d BAD No such message
    ");
    // RFC 5267 §4.3.1: nothing is promised that can't be kept.
    insta::assert_snapshot!(play_mail("C: a SEARCH RETURN (UPDATE COUNT) INTHREAD 2 | M: mail Subject: Re: Plan\\nReferences: <1@x>\\n | C: b NOOP"), @r#"
    C: a SEARCH RETURN (UPDATE COUNT) INTHREAD 2
    Q: search
    S: * ESEARCH (TAG "a") COUNT 4
    S: * NO [NOUPDATE "a"] What INTHREAD finds is not kept up to date
    S: a OK Done
    M: mail Subject: Re: Plan\nReferences: <1@x>\n
    C: b NOOP
    Q: changes
    S: * 9 EXISTS
    S: * 9 RECENT
    S: b OK Done
    "#);
    let deep = format!("C: a SEARCH {}ALL", "INTHREAD ".repeat(40));
    assert!(play_mail(&deep).contains("S: a BAD [LIMIT] Too many or too long: nested search keys"));
}

#[test]
fn rfc5256_3_thread_wrong() {
    insta::assert_snapshot!(play("C: a THREAD REFERENCES X-NONE ALL | C: b THREAD REFERENCES UTF-8 | C: c THREAD X UTF-8 ALL | C: d THREAD UTF-8 ALL | C: e THREAD (REFERENCES) UTF-8 ALL | C: f THREAD REFERENCES UTF-8 9 | C: g THREAD RETURN () REFERENCES UTF-8 ALL"), @r"
    C: a THREAD REFERENCES X-NONE ALL
    S: a NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-2 ISO-8859-3 ISO-8859-4 ISO-8859-5 ISO-8859-6 ISO-8859-7 ISO-8859-8 ISO-8859-9 ISO-8859-10 ISO-8859-13 ISO-8859-14 ISO-8859-15 ISO-8859-16 windows-874 windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 KOI8-R KOI8-U IBM866 macintosh x-mac-cyrillic GBK GB18030 Big5 EUC-JP ISO-2022-JP Shift_JIS EUC-KR UTF-16BE UTF-16LE)] Charset is not supported
    C: b THREAD REFERENCES UTF-8
    S: b BAD Expected a space
    C: c THREAD X UTF-8 ALL
    S: c BAD Expected a threading algorithm: ORDEREDSUBJECT, REFERENCES or REFS
    C: d THREAD UTF-8 ALL
    S: d BAD Expected a threading algorithm: ORDEREDSUBJECT, REFERENCES or REFS
    C: e THREAD (REFERENCES) UTF-8 ALL
    S: e BAD Expected a threading algorithm: ORDEREDSUBJECT, REFERENCES or REFS
    C: f THREAD REFERENCES UTF-8 9
    S: f BAD No such message
    C: g THREAD RETURN () REFERENCES UTF-8 ALL
    S: g BAD Expected a threading algorithm: ORDEREDSUBJECT, REFERENCES or REFS
    ");
}

/// Nothing is expunged while numbers are told; a message that came meanwhile has none yet.
#[test]
fn rfc5256_3_expunges_wait_for_uid_thread() {
    insta::assert_snapshot!(play("M: expunge 1 | M: deliver | C: a THREAD REFERENCES UTF-8 ALL | C: b UID THREAD REFERENCES UTF-8 ALL"), @r"
    M: expunge 1
    M: deliver
    C: a THREAD REFERENCES UTF-8 ALL
    Q: thread References
    S: * THREAD (2)(3)
    Q: changes but expunges
    S: * 4 EXISTS
    S: * 4 RECENT
    S: a OK Done
    C: b UID THREAD REFERENCES UTF-8 ALL
    Q: thread References
    S: * THREAD (2)(3)(4)
    Q: changes
    S: * 1 EXPUNGE
    S: b OK Done
    ");
}

#[test]
fn rfc7162_3_1_9_modseq_changes_no_thread() {
    insta::assert_snapshot!(play_mail("C: a THREAD REFERENCES UTF-8 MODSEQ 4"), @r"
    C: a THREAD REFERENCES UTF-8 MODSEQ 4
    Q: thread References
    S: * THREAD (8)((5)(7)(4))((6)(3))
    Q: changes but expunges
    S: * OK [HIGHESTMODSEQ 9] Highest mod-sequence
    S: a OK Done
    ");
}

#[test]
fn rfc5256_4_thread_in_rev2() {
    insta::assert_snapshot!(play("C: a ENABLE IMAP4rev2 | C: b THREAD REFERENCES UTF-8 ALL"), @r"
    C: a ENABLE IMAP4rev2
    S: * ENABLED IMAP4rev2
    S: a OK Done
    C: b THREAD REFERENCES UTF-8 ALL
    Q: thread References
    S: * THREAD (1)(2)(3)
    S: b OK Done
    ");
}

#[test]
fn hang_up_and_shutdown_call_a_thread_back() {
    insta::assert_snapshot!(play("E: silent | C: a THREAD REFERENCES UTF-8 ALL | E: shutdown"), @r"
    E: silent
    C: a THREAD REFERENCES UTF-8 ALL
    Q: thread References
    E: shutdown
    Q: cancel
    S: a NO [UNAVAILABLE] Server is shutting down
    S: * BYE [UNAVAILABLE] Server is shutting down
    X: close
    ");
}

#[test]
fn a_refusal_is_told() {
    insta::assert_snapshot!(play("A: no Not now | C: a THREAD REFERENCES UTF-8 ALL | C: b THREAD REFERENCES UTF-8 ALL"), @r"
    A: no Not now
    C: a THREAD REFERENCES UTF-8 ALL
    Q: thread References
    S: a NO Not now
    C: b THREAD REFERENCES UTF-8 ALL
    Q: thread References
    S: * THREAD (1)(2)(3)
    S: b OK Done
    ");
}
