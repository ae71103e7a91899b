//! The grammar that all transcripts are read by is strict.

use crate::grammar::{Checker, check_responses};

#[test]
fn what_is_no_response_is_found() {
    for wrong in [
        "* 1 FETCH (FLAGS (\\Seen)\r\n",
        "* 1 FETCH (FLAGS (\\Seen) )\r\n",
        "* 1 FETCH ()\r\n",
        "* 0 FETCH (UID 1)\r\n",
        "* 1 FETCH (UID 0)\r\n",
        "* 1 FETCH (BODY[] {3}\r\nab)\r\n",
        "* 1 FETCH (BODY[] {03}\r\nabc)\r\n",
        "* 1 FETCH (BODY[] {3}\r\na\0c)\r\n",
        "* 1 FETCH (BODY[] ~{3}\r\na\0c)\r\n",
        "* 1 FETCH (BINARY[1] ~{3}\r\nabc)\r\n",
        "* 1 FETCH (BINARY[1]<x> \"\")\r\n",
        "* 1 FETCH (BINARY[TEXT] \"\")\r\n",
        "* 1 FETCH (BINARY.SIZE[1] \"\")\r\n",
        "* 1 FETCH (ENVELOPE (NIL NIL))\r\n",
        "* 1 FETCH (INTERNALDATE \"x\")\r\n",
        "* 1 FETCH (EMAILID (X1))\r\n",
        "* 1 FETCH (EMAILID M1)\r\n",
        "* 1 FETCH (NEWITEM 1)\r\n",
        "* SEARCH 1 2 \r\n",
        "* SEARCH 0\r\n",
        "* ESEARCH (TAG \"a\") ALL\r\n",
        "* ESEARCH (TAG \"a\") ALL 1,\r\n",
        "* ESEARCH (TAG \"a\") MIN 0\r\n",
        "* ESEARCH (TAG \"a\") COUNT 1 COUNT 1\r\n",
        "* ESEARCH (TAG a) COUNT 1\r\n",
        "* LIST (\\Noselect) \"/\"\r\n",
        "* LIST (\\Noselect) \"/\" a b\r\n",
        "* LIST () \"/\" \"a\" (\"NEWDATA\" (\"x\"))\r\n",
        "* LIST () \"/\" \"a\" (\"CHILDINFO\" (\"REMOTE\"))\r\n",
        "* LIST () \"/\" \"a\r\nb\"\r\n",
        "* LIST () \"/\" \"a\\b\"\r\n",
        "* LIST () \"/\" \"\u{fc}\"\r\n",
        "* STATUS \"a\" MESSAGES 1\r\n",
        "* STATUS \"a\" (MESSAGES 1 )\r\n",
        "* STATUS \"a\" (MESSAGES x)\r\n",
        "* FLAGS \\Seen\r\n",
        "* OK [PERMANENTFLAGS \\Seen] x\r\n",
        "* OK [UIDNEXT 0] x\r\n",
        "* OK [UIDNEXT] x\r\n",
        "* OK [NEWCODE] x\r\n",
        "* OK [CLOSED]\r\n",
        "* OK\r\n",
        "a OK [COPYUID 1 1:2] x\r\n",
        "a OK [APPENDUID 1 2:] x\r\n",
        "a OK x\n",
        "a OK \u{fc}\r\n",
        "a YES x\r\n",
        "a OK x",
        "+\r\n",
        "* EXISTS 3\r\n",
        "* CAPABILITY\r\n",
        "* NAMESPACE NIL NIL\r\n",
        "hello\r\n",
    ] {
        assert!(check_responses(wrong.as_bytes(), false).is_err(), "{wrong:?}");
    }
    for wrong in ["* SEARCH 1\r\n", "* 1 RECENT\r\n", "* 1 FETCH (FLAGS (\\Recent))\r\n"] {
        assert!(check_responses(wrong.as_bytes(), false).is_ok(), "{wrong:?}");
        assert!(check_responses(wrong.as_bytes(), true).is_err(), "{wrong:?}");
    }
}

/// What `imap-codec` doesn't know, and what only one revision has.
#[test]
fn what_is_a_response_is_read() {
    for right in [
        "* LIST (\\HasChildren) \"/\" \"a\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n",
        "* LIST () \"/\" \"\u{fc}\" (\"OLDNAME\" (\"u\u{308}\"))\r\n",
        "* ESEARCH (TAG \"a\") UID MIN 1 MAX 3 ALL 1:2,3 COUNT 3 MODSEQ 9\r\n",
        "* ESEARCH (TAG \"a\")\r\n",
        "* 1 FETCH (BINARY[1.2]<5> ~{1}\r\n\0 BINARY[] {1}\r\nx EMAILID (M1) THREADID NIL SAVEDATE NIL UID 3)\r\n",
        "* 1 FETCH (BODY[]<9223372036854775807> \"\" FLAGS (a~b))\r\n",
        "* STATUS \"a\" (MAILBOXID (F1) SIZE 9223372036854775807)\r\n",
        "* OK [MAILBOXID (F1)] x\r\na OK [APPENDUID 1 2:3] x\r\n+ \r\n",
    ] {
        assert_eq!(check_responses(right.as_bytes(), true), Ok(()), "{right:?}");
    }
}

#[test]
fn a_greeting_comes_first_and_cuts_do_not_matter() {
    assert!(Checker::default().feed(b"a OK x\r\n").is_err());
    let all = b"* OK [CAPABILITY IMAP4rev1] x\r\n* ENABLED IMAP4rev2\r\n* 1 FETCH (BODY[] {3}\r\na\r\n)\r\n";
    let mut checker = Checker::default();
    for byte in all {
        checker.feed(&[*byte]).unwrap_or_else(|why| panic!("{why}"));
    }
    assert_eq!((checker.count, checker.finish()), (3, Ok(())));
    assert!(checker.feed(b"* SEARCH\r\n").is_err());
}
