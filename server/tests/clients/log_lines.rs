//! What peers send cannot write log lines of its own, nor steer the terminal that shows them.

use crate::harness::{Loft, temporary};
use crate::wire::{Imap, Lmtp};

/// Ends a line, begins one that looks like ours, clears the screen, and is no UTF-8.
const EVIL: &[u8] = b"x\r\n2026-01-01T00:00:00Z  INFO forged\x1b[2J\x07\x9b\xff\x7f";

/// Sends a command whose arguments are literals.
fn send(imap: &mut Imap, command: &str, arguments: &[&[u8]], end: &str) {
    let mut line = format!("t {command}").into_bytes();
    for argument in arguments {
        line.extend_from_slice(format!(" {{{}+}}\r\n", argument.len()).as_bytes());
        line.extend_from_slice(argument);
    }
    line.extend_from_slice(end.as_bytes());
    imap.send(&[&line[..], b"\r\n"].concat()).unwrap();
    let _refused = imap.reply().unwrap();
}

#[test]
fn row_62_what_peers_send_is_escaped_in_the_log() {
    let dir = temporary();
    // All there is, from all of our crates.
    let loft = Loft::start_logging(&dir, "trace");
    let hint = loft.log().len();
    let mut imap = Imap::connect(loft.imap).unwrap();
    send(&mut imap, "LOGIN", &[EVIL, b"pw"], "");
    send(&mut imap, "LOGIN", &[b"u1", EVIL], "");
    // `\r`, LF, ESC and a NUL as the name of PLAIN (RFC 4616 §2).
    imap.command("AUTHENTICATE PLAIN AA0KG1tKCHUAcHc=").unwrap();
    send(&mut imap, "ID (\"name\"", &[EVIL], ")");
    imap.ok("LOGIN u1 pw");
    for command in ["CREATE", "SELECT", "SUBSCRIBE", "DELETE", "LIST \"\"", "RENAME INBOX"] {
        send(&mut imap, command, &[EVIL], "");
    }
    let mail = [b"Message-ID: <", EVIL, b"@x>\r\nSubject: ", EVIL, b"\r\n\r\n", EVIL].concat();
    send(&mut imap, "APPEND INBOX", &[&mail], "");
    imap.ok("SELECT INBOX");
    send(&mut imap, "SEARCH CHARSET UTF-8 SUBJECT", &[EVIL], "");
    send(&mut imap, "STORE 1 +FLAGS (", &[EVIL], ")");

    let mut lmtp = Lmtp::connect(loft.lmtp).unwrap();
    let mail = "Message-ID: <a\x1b[2J\x07\u{9b}b@x>\r\nSubject: \x1b]0;x\x07\r\n\r\nx\r\n";
    lmtp.deliver(&["u1@example.org"], mail).unwrap();
    for line in [
        &b"RCPT TO:<\x1b[2Jx@y>\r\n"[..],
        b"MAIL FROM:<a\x07@b>\r\n",
        b"\x1b]0;x\x07\r\n",
        b"LHLO \x1b[2J\r\n",
    ] {
        lmtp.send(line).unwrap();
        lmtp.reply().unwrap();
    }
    loft.wait_for_log("a\\x1b[2J\\x07");
    assert!(loft.stop().success());
    let log = std::fs::read(dir.path().join("log")).unwrap().split_off(hint);
    let begins: Vec<&[u8]> =
        log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert!(begins.len() > 5, "{}", log.escape_ascii());
    for line in begins {
        let shown = line.escape_ascii();
        assert!(line.starts_with(b"20") && line.len() < 2000, "no line of ours: {shown}");
        let printable =
            std::str::from_utf8(line).is_ok_and(|line| !line.chars().any(char::is_control));
        assert!(printable, "a control character: {shown}");
        assert!(!line.starts_with(b"2026-01-01T00:00:00Z  INFO forged"), "forged: {shown}");
    }
    let text = String::from_utf8_lossy(&log);
    assert!(text.contains("log-in failed") && text.contains("x\\r\\n2026-01-01"), "{text}");
}
