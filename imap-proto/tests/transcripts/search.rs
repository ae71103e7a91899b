//! SEARCH.

use crate::play::play;

#[test]
fn rfc3501_6_4_4_keys() {
    insta::assert_snapshot!(play(r#"C: a SEARCH ALL | C: b UID SEARCH NOT 2 | C: c SEARCH SUBJECT "number 3" | C: d SEARCH OR UNSEEN (FROM a1 LARGER 1) UID 2:3 | C: e SEARCH SINCE 1-Jan-1990 BEFORE 1-Jan-2000 | C: f SEARCH TEXT nothing | C: g SEARCH CHARSET UTF-8 BODY Text KEYWORD x"#), @r#"
    C: a SEARCH ALL
    Q: search
    S: * SEARCH 1 2 3
    S: a OK Done
    C: b UID SEARCH NOT 2
    Q: search
    S: * SEARCH 1 3
    S: b OK Done
    C: c SEARCH SUBJECT "number 3"
    Q: search
    S: * SEARCH 3
    S: c OK Done
    C: d SEARCH OR UNSEEN (FROM a1 LARGER 1) UID 2:3
    Q: search
    S: * SEARCH 2 3
    S: d OK Done
    C: e SEARCH SINCE 1-Jan-1990 BEFORE 1-Jan-2000
    Q: search
    S: * SEARCH 1 2 3
    S: e OK Done
    C: f SEARCH TEXT nothing
    Q: search
    S: * SEARCH
    S: f OK Done
    C: g SEARCH CHARSET UTF-8 BODY Text KEYWORD x
    Q: search
    S: * SEARCH
    S: g OK Done
    "#);
}

#[test]
fn wrong() {
    insta::assert_snapshot!(play("C: a SEARCH | C: b SEARCH X | C: d SEARCH SINCE yesterday | C: e SEARCH 4 | C: f SEARCH (ALL | C: g SEARCH NOT"), @r"
    C: a SEARCH
    S: a BAD Expected a space
    C: b SEARCH X
    S: b BAD Unknown search key
    C: d SEARCH SINCE yesterday
    S: d BAD Expected a date such as 1-Feb-1994
    C: e SEARCH 4
    S: e BAD No such message
    C: f SEARCH (ALL
    S: f BAD Expected a space
    C: g SEARCH NOT
    S: g BAD Expected a space
    ");
}

#[test]
fn rfc4731_3_1_extended() {
    insta::assert_snapshot!(play(r#"C: a SEARCH RETURN (MIN MAX COUNT) ALL | C: b UID SEARCH RETURN () 2:3 | C: c SEARCH RETURN (ALL COUNT) SUBJECT x | C: d SEARCH RETURN (SAVE) SUBJECT "number 2" | C: e FETCH $ UID | C: f UID SEARCH RETURN (MIN SAVE) ALL | C: g STORE $ +FLAGS (\Seen)"#), @r#"
    C: a SEARCH RETURN (MIN MAX COUNT) ALL
    Q: search
    S: * ESEARCH (TAG "a") MIN 1 MAX 3 COUNT 3
    S: a OK Done
    C: b UID SEARCH RETURN () 2:3
    Q: search
    S: * ESEARCH (TAG "b") UID ALL 2:3
    S: b OK Done
    C: c SEARCH RETURN (ALL COUNT) SUBJECT x
    Q: search
    S: * ESEARCH (TAG "c") COUNT 0
    S: c OK Done
    C: d SEARCH RETURN (SAVE) SUBJECT "number 2"
    Q: search
    S: d OK Done
    C: e FETCH $ UID
    Q: fetch 2+1
    S: * 2 FETCH (UID 2)
    S: e OK Done
    C: f UID SEARCH RETURN (MIN SAVE) ALL
    Q: search
    S: * ESEARCH (TAG "f") UID MIN 1
    S: f OK Done
    C: g STORE $ +FLAGS (\Seen)
    Q: store 1 Add
    S: * 1 FETCH (FLAGS (\Seen \Recent))
    S: g OK Stored
    "#);
}

#[test]
fn in_rev2() {
    insta::assert_snapshot!(play("C: a ENABLE IMAP4rev2 | C: b SEARCH ALL"), @r#"
    C: a ENABLE IMAP4rev2
    S: * ENABLED IMAP4rev2
    S: a OK Done
    C: b SEARCH ALL
    Q: search
    S: * ESEARCH (TAG "b") ALL 1:3
    S: b OK Done
    "#);
}
