//! curl, the first thing people try.

use crate::harness::{Loft, client, output, run, temporary};
use std::fs;
use std::process::Command;
use tempfile::TempDir;

const MAIL: &str = "From: a@example.org\r\nSubject: Hello\r\n\r\nIt works.\r\n.\r\n";

/// `curl` for a user.
fn curl(user: &str) -> Option<Command> {
    let mut curl = client("curl")?;
    curl.args(["--silent", "--show-error", "--max-time", "20", "--user", user]);
    Some(curl)
}

fn put_in(dir: &TempDir, loft: &Loft) -> Option<()> {
    let file = dir.path().join("mail.eml");
    fs::write(&file, MAIL).unwrap();
    let url = format!("imap://{}/INBOX", loft.imap);
    run(curl("u1:pw")?.args(["--url", &url, "--upload-file"]).arg(file));
    Some(())
}

#[test]
fn a_mail_put_in_is_read_back_byte_for_byte() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let Some(()) = put_in(&dir, &loft) else { return };
    let url = format!("imap://{}/INBOX;MAILINDEX=1", loft.imap);
    assert_eq!(run(curl("U1@any.domain:pw").unwrap().arg(&url)), MAIL.as_bytes());
    let listed = run(curl("u1:pw").unwrap().arg(format!("imap://{}/", loft.imap)));
    let listed = String::from_utf8(listed).unwrap();
    for name in ["INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"] {
        assert!(listed.contains(name), "{listed}");
    }
}

#[test]
fn tls_from_the_first_byte_and_by_starttls_with_the_kept_certificate() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let Some(()) = put_in(&dir, &loft) else { return };
    let certificate = dir.path().join("data/tls/certificate.pem");
    for url in [format!("imaps://{}", loft.imaps), format!("imap://{}", loft.imap)] {
        let mut curl = curl("u1:pw").unwrap();
        curl.args(["--ssl-reqd", "--url", &format!("{url}/INBOX;MAILINDEX=1"), "--cacert"])
            .arg(&certificate);
        assert_eq!(run(&mut curl), MAIL.as_bytes());
    }
    loft.wait_for_log("tls=true");
}

#[test]
fn a_wrong_password_is_refused_and_logged_without_it() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let Some(mut curl) = curl("u1:hunter2") else { return };
    let output = output(curl.arg(format!("imap://{}/INBOX", loft.imap)));
    assert_eq!(output.status.code(), Some(67), "{output:?}"); // CURLE_LOGIN_DENIED
    let log = loft.wait_for_log("log-in failed");
    assert!(log.contains("user=u1") && !log.contains("hunter2"), "{log}");
}
