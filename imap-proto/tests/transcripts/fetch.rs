//! FETCH.

use crate::play::play;

#[test]
fn flags_and_the_like() {
    insta::assert_snapshot!(play("C: a FETCH 1:2 (FLAGS UID) | C: b UID FETCH 2:* FLAGS | C: c FETCH 3 FAST | C: d UID FETCH 9 FLAGS"), @r#"
    C: a FETCH 1:2 (FLAGS UID)
    Q: fetch 1+2
    S: * 1 FETCH (UID 1 FLAGS (\Recent))
    S: * 2 FETCH (UID 2 FLAGS (\Recent))
    S: a OK Done
    C: b UID FETCH 2:* FLAGS
    Q: fetch 2+2
    S: * 2 FETCH (UID 2 FLAGS (\Recent))
    S: * 3 FETCH (UID 3 FLAGS (\Recent))
    S: b OK Done
    C: c FETCH 3 FAST
    Q: fetch 3+1
    S: * 3 FETCH (FLAGS (\Recent) INTERNALDATE "16-Jul-1996 19:44:25 -0700" RFC822.SIZE 52)
    S: c OK Done
    C: d UID FETCH 9 FLAGS
    S: d OK Done
    "#);
}

#[test]
fn rfc3501_6_4_5_bodies_and_seen() {
    insta::assert_snapshot!(play("C: a FETCH 1 BODY.PEEK[] | C: b FETCH 1 BODY[HEADER.FIELDS (Subject)] | C: c FETCH 1 BODY[TEXT] | C: d FETCH 1 (BODY[]<5.10> RFC822.SIZE) | C: e FETCH 2 RFC822.HEADER"), @r#"
    C: a FETCH 1 BODY.PEEK[]
    Q: fetch 1+1
    S: * 1 FETCH (BODY[] {52}
    S: From: a1@example.org
    S: Subject: number 1
    S: 
    S: Text 1.
    S: )
    S: a OK Done
    C: b FETCH 1 BODY[HEADER.FIELDS (Subject)]
    Q: store 1 Add
    Q: fetch 1+1
    S: * 1 FETCH (FLAGS (\Seen \Recent) BODY[HEADER.FIELDS (Subject)] {21}
    S: Subject: number 1
    S: 
    S: )
    S: b OK Done
    C: c FETCH 1 BODY[TEXT]
    Q: store 1 Add
    Q: fetch 1+1
    S: * 1 FETCH (BODY[TEXT] {9}
    S: Text 1.
    S: )
    S: c OK Done
    C: d FETCH 1 (BODY[]<5.10> RFC822.SIZE)
    Q: store 1 Add
    Q: fetch 1+1
    S: * 1 FETCH (RFC822.SIZE 52 BODY[]<5> {10}
    S:  a1@exampl)
    S: d OK Done
    C: e FETCH 2 RFC822.HEADER
    Q: fetch 2+1
    S: * 2 FETCH (RFC822.HEADER {43}
    S: From: a2@example.org
    S: Subject: number 2
    S: 
    S: )
    S: e OK Done
    "#);
}

#[test]
fn rfc3501_6_4_5_structure() {
    insta::assert_snapshot!(play("C: a FETCH 1 (ENVELOPE BODYSTRUCTURE) | C: b FETCH 1 FULL"), @r#"
    C: a FETCH 1 (ENVELOPE BODYSTRUCTURE)
    Q: fetch 1+1
    S: * 1 FETCH (ENVELOPE (NIL "number 1" ((NIL NIL "a1" "example.org")) ((NIL NIL "a1" "example.org")) ((NIL NIL "a1" "example.org")) NIL NIL NIL NIL NIL) BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 9 1 NIL NIL NIL NIL))
    S: a OK Done
    C: b FETCH 1 FULL
    Q: fetch 1+1
    S: * 1 FETCH (FLAGS (\Recent) INTERNALDATE "16-Jul-1996 19:44:25 -0700" RFC822.SIZE 52 ENVELOPE (NIL "number 1" ((NIL NIL "a1" "example.org")) ((NIL NIL "a1" "example.org")) ((NIL NIL "a1" "example.org")) NIL NIL NIL NIL NIL) BODY ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 9 1))
    S: b OK Done
    "#);
}

#[test]
fn wrong() {
    insta::assert_snapshot!(play("C: a FETCH 4 FLAGS | C: b FETCH 0 FLAGS | C: c FETCH 1 X | C: d FETCH 1 | C: e FETCH 1 (FLAGS"), @r#"
    C: a FETCH 4 FLAGS
    S: a BAD No such message
    C: b FETCH 0 FLAGS
    S: b BAD Expected a message number above 0
    C: c FETCH 1 X
    S: c BAD Unknown fetch item
    C: d FETCH 1
    S: d BAD Expected a space
    C: e FETCH 1 (FLAGS
    S: e BAD Expected a space
    "#);
}

#[test]
fn gone_from_the_mailbox_but_not_from_the_view() {
    insta::assert_snapshot!(play("M: expunge 2 | C: a FETCH 2 (UID BODY.PEEK[TEXT]) | C: b FETCH 1:3 UID | C: c NOOP | C: d FETCH 1:2 UID"), @r#"
    M: expunge 2
    C: a FETCH 2 (UID BODY.PEEK[TEXT])
    Q: fetch 2+1
    S: * 2 FETCH (UID 2 BODY[TEXT] {9}
    S: Text 2.
    S: )
    Q: changes but expunges
    S: a OK Done
    C: b FETCH 1:3 UID
    Q: fetch 1+3
    S: * 1 FETCH (UID 1)
    S: * 2 FETCH (UID 2)
    S: * 3 FETCH (UID 3)
    S: b OK Done
    C: c NOOP
    Q: changes
    S: * 2 EXPUNGE
    S: c OK Done
    C: d FETCH 1:2 UID
    Q: fetch 1+1,3+1
    S: * 1 FETCH (UID 1)
    S: * 2 FETCH (UID 3)
    S: d OK Done
    "#);
}

#[test]
fn row_48_each_list_of_fields_may_hold_a_header_so_there_are_few() {
    let ask = |count| {
        let items =
            "BODY.PEEK[HEADER.FIELDS (To)] BODY.PEEK[1.HEADER.FIELDS.NOT (To)] ".repeat(count);
        play(&format!("C: a FETCH 1 ({items}UID)"))
    };
    let transcript = ask(9);
    assert!(
        transcript.ends_with("S: a BAD [LIMIT] Too many or too long: HEADER.FIELDS items\n"),
        "{transcript}"
    );
    assert!(ask(8).ends_with("S: a OK Done\n"));
}
