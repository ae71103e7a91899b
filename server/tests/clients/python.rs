//! Python's imaplib and smtplib.

use crate::harness::{Loft, client, run, temporary};

#[test]
fn imaplib_reads_flags_copies_and_expunges() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let Some(mut python) = client("python3") else { return };
    let certificate = dir.path().join("data/tls/certificate.pem");
    python
        .args(["-c", include_str!("imap.py")])
        .args([loft.imap.port().to_string(), loft.imaps.port().to_string()]);
    assert_eq!(run(python.arg(certificate)), b"done\n");
}

#[test]
fn smtplib_delivers_and_imaplib_reads_the_same_bytes() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let Some(mut python) = client("python3") else { return };
    python
        .args(["-c", include_str!("lmtp.py")])
        .args([loft.lmtp.port().to_string(), loft.imap.port().to_string()]);
    assert_eq!(run(&mut python), b"done\n");
    let log = loft.wait_for_log("message_id=<last@example.org>");
    let line = log.lines().find(|line| line.contains("message_id=<1@example.org>")).unwrap();
    for part in [
        "lmtp{session=",
        "delivery=",
        "recipient=U1+lists@any.domain",
        "result=\"stored\"",
        "uid=1",
        "ms=",
    ] {
        assert!(line.contains(part), "{line}");
    }
}
