//! FETCH BINARY and APPEND of a literal8 against the store: what is decoded on its way out, and what has NULs.

use crate::harness::{Loft, temporary};
use crate::wire::Imap;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 in lines of 76.
fn base64(data: &[u8]) -> String {
    let mut text = String::new();
    for (n, three) in data.chunks(3).enumerate() {
        if n > 0 && n % 19 == 0 {
            text.push_str("\r\n");
        }
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit) & 63) as usize;
            text.push(if digit <= three.len() { DIGITS[value] as char } else { '=' });
        }
    }
    text
}

/// Larger than what is held at once: it is counted, then decoded again as it is sent.
#[test]
fn a_large_part_is_decoded_on_its_way_out() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let data: String = (0..150_000).map(|n| format!("{:04}", n % 9973)).collect();
    let mail = format!(
        "Content-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        base64(data.as_bytes())
    );
    let mut imap = Imap::log_in(loft.imap, "u1");
    imap.append("INBOX", &mail);
    imap.ok("SELECT INBOX");
    let lines = imap.ok("FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])");
    assert_eq!(lines[0], "* 1 FETCH (BINARY.SIZE[1] 600000 BINARY[1] {600000}");
    assert!(lines[1] == format!("{data})"), "{} bytes", lines[1].len());
    for (origin, count) in [(0, 70_000), (123_457, 300_000), (599_990, 70_000), (450_000, 10)] {
        let lines = imap.ok(&format!("FETCH 1 BINARY.PEEK[1]<{origin}.{count}>"));
        let wanted = &data[origin..data.len().min(origin + count)];
        assert_eq!(lines[0], format!("* 1 FETCH (BINARY[1]<{origin}> {{{}}}", wanted.len()));
        assert!(lines[1] == format!("{wanted})"), "{origin}.{count}");
    }
}

/// Whether it is small or large: BODY[] shows 0x80, BINARY[] the message as it came, after a restart too.
#[test]
fn row_36_a_literal8_is_kept_byte_for_byte() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    let mails: Vec<String> = [9, 400_000]
        .map(|size| {
            format!(
                "Content-Type: x/y\r\nContent-Transfer-Encoding: binary\r\n\r\n{}",
                "a\0b".repeat(size / 3)
            )
        })
        .into();
    for mail in &mails {
        imap.send(format!("t APPEND INBOX ~{{{}+}}\r\n{mail}\r\n", mail.len()).as_bytes()).unwrap();
        let lines = imap.reply().unwrap();
        assert!(lines[0].starts_with("t OK [APPENDUID "), "{lines:?}");
    }
    // A literal has no NUL (RFC 3501 §4.3).
    let lines = imap.try_append("INBOX", "x: y\r\n\r\n\0").unwrap();
    assert!(lines[0].starts_with("t BAD"), "{lines:?}");
    drop(imap);
    assert!(loft.stop().success());

    let loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    imap.ok("SELECT INBOX");
    for (n, mail) in (1..).zip(&mails) {
        let lines = imap.ok(&format!("FETCH {n} BINARY.PEEK[]"));
        assert_eq!(lines[0], format!("* {n} FETCH (BINARY[] ~{{{}}}", mail.len()));
        let (_, body) = mail.split_once("\r\n\r\n").unwrap();
        assert!(lines[4] == format!("{body})"), "{} bytes", lines[4].len());
        let lines = imap.ok(&format!("FETCH {n} (BINARY.PEEK[1]<1.3> BINARY.SIZE[1])"));
        assert_eq!(lines[0], format!("* {n} FETCH (BINARY[1]<1> ~{{3}}"));
        assert_eq!(lines[1], format!("\0ba BINARY.SIZE[1] {})", body.len()));
    }
    assert_eq!(imap.ok("SEARCH ALL")[0], "* SEARCH 1 2");
}

#[test]
fn an_unknown_encoding_is_refused_and_the_others_are_served() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    for encoding in ["7bit", "x-uuencode", "quoted-printable"] {
        imap.append("INBOX", &format!("Content-Transfer-Encoding: {encoding}\r\n\r\n=41\r\n"));
    }
    imap.ok("SELECT INBOX");
    let lines = imap.command("FETCH 1:3 BINARY.SIZE[1]").unwrap();
    assert_eq!(
        lines,
        ["* 1 FETCH (BINARY.SIZE[1] 5)", "t NO [UNKNOWN-CTE] Transfer encoding is not known"]
    );
    assert_eq!(imap.ok("FETCH 3 BINARY.SIZE[1]")[0], "* 3 FETCH (BINARY.SIZE[1] 3)");
}

#[test]
fn imap4rev2_is_offered_and_is_all_there() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    let capabilities = imap.ok("CAPABILITY");
    assert!(capabilities[0].contains(" IMAP4rev2 ") && capabilities[0].contains(" BINARY "));
    imap.append("INBOX", "Subject: x\r\n\r\n");
    assert_eq!(imap.ok("ENABLE IMAP4rev2")[0], "* ENABLED IMAP4rev2");
    imap.ok("CREATE \"Entwürfe\"");
    imap.ok("CREATE \"Entwürfe/2024\"");
    imap.ok("CREATE Post (USE (\\Sent))");
    let lines = imap.ok("SELECT inbox");
    assert!(
        lines.contains(
            &"* LIST (\\HasNoChildren) \"/\" \"INBOX\" (\"OLDNAME\" (\"inbox\"))".to_owned()
        ),
        "{lines:?}"
    );
    assert!(
        lines.iter().all(|line| !line.contains("RECENT") && !line.contains("UNSEEN")),
        "{lines:?}"
    );
    let lines = imap.ok("SELECT Post");
    assert!(
        lines.contains(&"* LIST (\\HasNoChildren \\Sent) \"/\" \"Post\"".to_owned()),
        "{lines:?}"
    );
    let lines = imap.ok("SELECT \"Entwürfe\"");
    assert!(lines.contains(&"* OK [CLOSED] Previous mailbox is closed".to_owned()), "{lines:?}");
    assert!(lines.contains(&"* LIST (\\HasChildren) \"/\" \"Entwürfe\"".to_owned()), "{lines:?}");
    imap.ok("SELECT INBOX");
    assert_eq!(imap.ok("UID SEARCH ALL")[0], "* ESEARCH (TAG \"t\") UID ALL 1");
    assert_eq!(imap.ok("FETCH 1 FLAGS")[0], "* 1 FETCH (FLAGS ())");
    assert_eq!(
        imap.ok("STATUS INBOX (MESSAGES RECENT DELETED SIZE)")[0],
        "* STATUS \"INBOX\" (MESSAGES 1 DELETED 0 SIZE 14)"
    );
}
