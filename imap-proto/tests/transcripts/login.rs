//! Greeting, log-in, and what every state has.

use imap_proto::{Config, Output, Peer, Session, Stage as Phase, Time};

use crate::play::{Stage, play_guest, play_user};

#[test]
fn rfc3501_6_1_1_greeting_and_capabilities() {
    insta::assert_snapshot!(play_guest("C: a CAPABILITY | C: b NOOP | C: c LOGOUT"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a CAPABILITY
    S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE
    S: a OK Done
    C: b NOOP
    S: b OK Done
    C: c LOGOUT
    S: * BYE Logging out
    S: c OK Goodbye
    X: close
    "#);
}

#[test]
fn rfc9051_7_1_4_preauth_needs_no_log_in_and_takes_none() {
    let config = std::sync::Arc::new(Config { imap4rev2: true, ..Config::default() });
    let peer = Peer { tls: false, loopback: true };
    let mut session = Session::preauthenticated(config, peer, Time(0));
    assert_eq!(session.stage(), Phase::Authenticated);
    let mut said = String::new();
    for line in ["", "a LOGIN u pw\r\n", "b STARTTLS\r\n", "c LOGOUT\r\n"] {
        assert_eq!(session.handle_input(Time(0), line.as_bytes()), line.len());
        while let Output::Transmit(bytes) = session.poll_output(Time(0)) {
            said += std::str::from_utf8(bytes).unwrap();
            let n = bytes.len();
            session.transmitted(Time(0), n);
        }
    }
    let (greeting, said) = said.split_once("\r\n").unwrap();
    assert!(
        greeting.starts_with("* PREAUTH [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+"),
        "{greeting}"
    );
    insta::assert_snapshot!(said.replace("\r\n", "\n"), @r"
    a BAD Already logged in
    b BAD Already logged in
    * BYE Logging out
    c OK Goodbye
    ");
}

#[test]
fn login_with_atoms_strings_and_literals() {
    insta::assert_snapshot!(play_guest(r#"C: a LOGIN u wrong | C: b LOGIN "u" {2} | C: pw | C: c CAPABILITY"#), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a LOGIN u wrong
    Q: login u
    S: a NO [AUTHENTICATIONFAILED] Wrong user or password
    C: b LOGIN "u" {2}
    S: + OK
    C: pw
    Q: login u
    S: b OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    C: c CAPABILITY
    S: * CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864
    S: c OK Done
    "#);
}

#[test]
fn rfc7888_4_login_with_non_synchronising_literals() {
    insta::assert_snapshot!(play_guest("C: a LOGIN {1+} | C: u {2+} | C: pw"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a LOGIN {1+}
    C: u {2+}
    C: pw
    Q: login u
    S: a OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    "#);
}

#[test]
fn rfc4616_2_authenticate_plain() {
    insta::assert_snapshot!(play_guest("C: a AUTHENTICATE PLAIN | C: AHUAcHc="), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a AUTHENTICATE PLAIN
    S: + 
    C: AHUAcHc=
    Q: login u
    S: a OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    "#);
}

#[test]
fn rfc4959_3_authenticate_plain_at_once() {
    insta::assert_snapshot!(play_guest("C: a AUTHENTICATE PLAIN dQB1AHB3 | C: b AUTHENTICATE PLAIN dQB1AHB3"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a AUTHENTICATE PLAIN dQB1AHB3
    Q: login u
    S: a OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    C: b AUTHENTICATE PLAIN dQB1AHB3
    S: b BAD Already logged in
    "#);
}

#[test]
fn rfc4616_2_authenticate_as_another_user() {
    insta::assert_snapshot!(play_guest("C: a AUTHENTICATE PLAIN dgB1AHB3"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a AUTHENTICATE PLAIN dgB1AHB3
    S: a NO [AUTHORIZATIONFAILED] Acting as another user is not allowed
    "#);
}

#[test]
fn draft_murchison_sasl_login_authenticate() {
    insta::assert_snapshot!(play_guest("C: a AUTHENTICATE LOGIN | C: dQ== | C: cHc="), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a AUTHENTICATE LOGIN
    S: + VXNlcm5hbWU6
    C: dQ==
    S: + UGFzc3dvcmQ6
    C: cHc=
    Q: login u
    S: a OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    "#);
}

#[test]
fn rfc4959_3_authenticate_login_at_once() {
    insta::assert_snapshot!(play_guest("C: a AUTHENTICATE LOGIN dQ== | C: cHc="), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a AUTHENTICATE LOGIN dQ==
    S: + UGFzc3dvcmQ6
    C: cHc=
    Q: login u
    S: a OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    "#);
}

#[test]
fn authenticate_cancelled_and_garbled() {
    insta::assert_snapshot!(play_guest("C: a AUTHENTICATE PLAIN | C: * | C: b AUTHENTICATE PLAIN | C: !!! | C: c AUTHENTICATE PLAIN = | C: d AUTHENTICATE X | C: e AUTHENTICATE PLAIN AHUAcHc="), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a AUTHENTICATE PLAIN
    S: + 
    C: *
    S: a BAD Cancelled
    C: b AUTHENTICATE PLAIN
    S: + 
    C: !!!
    S: b BAD Expected base64
    C: c AUTHENTICATE PLAIN =
    S: c BAD Expected a PLAIN message
    C: d AUTHENTICATE X
    S: d NO [CANNOT] Mechanism is not supported
    C: e AUTHENTICATE PLAIN AHUAcHc=
    Q: login u
    S: e OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    "#);
}

#[test]
fn too_many_failed_logins() {
    insta::assert_snapshot!(play_guest("C: a LOGIN u a | C: b LOGIN u b | C: c LOGIN u c | C: d LOGIN u d | C: e LOGIN u e"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a LOGIN u a
    Q: login u
    S: a NO [AUTHENTICATIONFAILED] Wrong user or password
    C: b LOGIN u b
    Q: login u
    S: b NO [AUTHENTICATIONFAILED] Wrong user or password
    C: c LOGIN u c
    Q: login u
    S: c NO [AUTHENTICATIONFAILED] Wrong user or password
    C: d LOGIN u d
    Q: login u
    S: d NO [AUTHENTICATIONFAILED] Wrong user or password
    C: e LOGIN u e
    Q: login u
    S: e NO [AUTHENTICATIONFAILED] Wrong user or password
    S: * BYE Too many failed log-ins
    X: close
    "#);
}

#[test]
fn rfc5530_3_a_server_that_can_not_look_counts_no_failure() {
    let script = "A: unavailable Busy | C: a LOGIN u pw | ".repeat(6) + "C: b LOGIN u pw";
    let transcript = play_guest(&script);
    assert_eq!(transcript.matches("S: a NO [UNAVAILABLE] Busy").count(), 6);
    assert!(transcript.trim_end().ends_with("Logged in"), "{transcript}");
}

#[test]
fn sixty_seconds_to_log_in() {
    insta::assert_snapshot!(play_guest("T: +59s | C: a NOOP | T: +1s"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    T: +59s
    C: a NOOP
    S: a OK Done
    T: +1s
    S: * BYE Too long without login
    X: close
    "#);
}

#[test]
fn commands_of_other_states() {
    insta::assert_snapshot!(play_guest("C: a SELECT INBOX | C: b FETCH 1 FLAGS | C: c IDLE"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a SELECT INBOX
    S: a BAD Log in first
    C: b FETCH 1 FLAGS
    S: b BAD Log in first
    C: c IDLE
    S: c BAD Log in first
    "#);
}

#[test]
fn login_twice() {
    insta::assert_snapshot!(play_user("C: a LOGIN u pw | C: b AUTHENTICATE PLAIN | C: c STARTTLS | C: d FETCH 1 FLAGS | C: e CLOSE"), @r#"
    C: a LOGIN u pw
    S: a BAD Already logged in
    C: b AUTHENTICATE PLAIN
    S: b BAD Already logged in
    C: c STARTTLS
    S: c BAD Already logged in
    C: d FETCH 1 FLAGS
    S: d BAD No mailbox is selected
    C: e CLOSE
    S: e BAD No mailbox is selected
    "#);
}

#[test]
fn rfc5161_3_1_enable() {
    insta::assert_snapshot!(play_user("C: a ENABLE CONDSTORE X-WHAT | C: b ENABLE IMAP4rev2 | C: c ENABLE"), @r#"
    C: a ENABLE CONDSTORE X-WHAT
    S: * ENABLED CONDSTORE
    S: a OK Done
    C: b ENABLE IMAP4rev2
    S: * ENABLED IMAP4rev2
    S: b OK Done
    C: c ENABLE
    S: c BAD Expected a space
    "#);
}

#[test]
fn rfc2971_3_1_id_namespace_and_unknown() {
    insta::assert_snapshot!(play_user(r#"C: a ID NIL | C: b ID ("name" "x" "version" NIL) | C: c NAMESPACE | C: d XYZZY | C: e UID NOOP"#), @r#"
    C: a ID NIL
    S: * ID ("name" "Loft")
    S: a OK Done
    C: b ID ("name" "x" "version" NIL)
    S: * ID ("name" "Loft")
    S: b OK Done
    C: c NAMESPACE
    S: * NAMESPACE (("" "/")) NIL NIL
    S: c OK Done
    C: d XYZZY
    S: d BAD Unknown command
    C: e UID NOOP
    S: e BAD Unknown command
    "#);
}

#[test]
fn pipelining() {
    insta::assert_snapshot!(play_user(r#"B: a NOOP\r\nb NAMESPACE\r\nc ID NIL\r\n"#), @r#"
    B: a NOOP\r\nb NAMESPACE\r\nc ID NIL\r\n
    S: a OK Done
    S: * NAMESPACE (("" "/")) NIL NIL
    S: b OK Done
    S: * ID ("name" "Loft")
    S: c OK Done
    "#);
}

#[test]
fn idle_for_too_long() {
    insta::assert_snapshot!(play_user("T: +29m | T: +1m"), @r#"
    T: +29m
    T: +1m
    S: * BYE Idle for too long
    X: close
    "#);
}

#[test]
fn kicked() {
    // RFC 3501 §7.1.5: in IDLE too, and a second reason changes nothing.
    insta::assert_snapshot!(play_user("C: a IDLE | E: kick | E: shutdown"), @r"
    C: a IDLE
    S: + idling
    E: kick
    S: * BYE Session ended by the administrator
    X: close
    E: shutdown
    ");
}

#[test]
fn rfc9051_7_1_5_the_account_is_given_up() {
    insta::assert_snapshot!(play_user("C: a IDLE | E: reopened"), @r"
    C: a IDLE
    S: + idling
    E: reopened
    S: * BYE [UNAVAILABLE] The account is being opened anew, connect again
    X: close
    ");
    // A command that runs is answered first.
    let append = r"C: a APPEND INBOX {5} | E: reopened | B: hello\r\n";
    insta::assert_snapshot!(play_user(append), @r"
    C: a APPEND INBOX {5}
    Q: append 5 to INBOX
    S: + OK
    E: reopened
    B: hello\r\n
    Q: body 5
    Q: commit
    S: a OK [APPENDUID 7 4] Appended
    S: * BYE [UNAVAILABLE] The account is being opened anew, connect again
    X: close
    ");
}

#[test]
fn shutdown() {
    insta::assert_snapshot!(play_user("E: shutdown"), @r#"
    E: shutdown
    S: * BYE [UNAVAILABLE] Server is shutting down
    X: close
    "#);
}

#[test]
fn end_of_input() {
    insta::assert_snapshot!(play_user(r#"B: a NOOP\r\nb NO | E: eof"#), @r#"
    B: a NOOP\r\nb NO
    S: a OK Done
    E: eof
    X: close
    "#);
}

/// Passwords are not taken in plain text from afar.
#[test]
fn rfc3501_6_2_3_login_disabled() {
    let peer = Peer { tls: false, loopback: false };
    let stage = Stage { peer, ..Stage::default() };
    insta::assert_snapshot!(stage.play("C: a LOGIN u pw | C: b AUTHENTICATE PLAIN AHUAcHc= | C: c STARTTLS | E: tls | C: d LOGIN u pw"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL- SASL-IR STARTTLS LOGINDISABLED ENABLE ID IDLE] Loft ready
    C: a LOGIN u pw
    S: a NO [PRIVACYREQUIRED] Start TLS first
    C: b AUTHENTICATE PLAIN AHUAcHc=
    S: b NO [PRIVACYREQUIRED] Start TLS first
    C: c STARTTLS
    S: c OK Begin TLS
    X: tls
    E: tls
    C: d LOGIN u pw
    Q: login u
    S: d OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    "#);
}

#[test]
fn plaintext_login_where_it_is_allowed() {
    let peer = Peer { tls: false, loopback: false };
    let config = Config { plaintext_login: true, ..Config::default() };
    let stage = Stage { peer, config, ..Stage::default() };
    insta::assert_snapshot!(stage.play("C: a STARTTLS | C: b LOGIN u pw | C: c ENABLE IMAP4rev2"), @r#"
    S: * OK [CAPABILITY IMAP4rev1 LITERAL- SASL-IR AUTH=PLAIN AUTH=LOGIN ENABLE ID IDLE] Loft ready
    C: a STARTTLS
    S: a BAD TLS is not available
    C: b LOGIN u pw
    Q: login u
    S: b OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS MOVE MULTIAPPEND BINARY CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE STATUS=SIZE ESEARCH SEARCHRES SORT SORT=DISPLAY ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES THREAD=REFS CONTEXT=SEARCH CONTEXT=SORT PARTIAL CONDSTORE OBJECTID SAVEDATE APPENDLIMIT=67108864] Logged in
    C: c ENABLE IMAP4rev2
    S: * ENABLED
    S: c OK Done
    "#);
}
