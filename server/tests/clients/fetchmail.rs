//! fetchmail: takes the mail of one account and delivers it to another.

use crate::harness::{Loft, client, output, temporary};
use crate::wire::{Imap, Lmtp};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use tempfile::TempDir;

/// What nothing is left of when it has gone wrong anywhere.
const MAIL: &str =
    "From: a@example.org\r\nSubject: dots\r\n\r\n.\r\n..\r\n.leading\r\nna\u{ef}ve\r\n";

/// fetchmail, told by `rest` where the mail goes.
fn fetchmail(dir: &TempDir, rest: &str) -> Option<Command> {
    let mut fetchmail = client("fetchmail")?;
    let file = dir.path().join("fetchmailrc");
    fs::write(&file, rest).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    fetchmail.arg("--fetchmailrc").arg(&file).args(["--nosyslog", "-v"]);
    fetchmail.arg("--pidfile").arg(dir.path().join("pid"));
    fetchmail.env("HOME", dir.path()).env("FETCHMAILHOME", dir.path());
    Some(fetchmail)
}

#[test]
fn mail_goes_from_one_account_to_another_over_lmtp() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    // By STARTTLS, with the certificate verified.
    let config = format!(
        "poll localhost service {} protocol IMAP auth password\n user u1 password pw is u2 here\n\
         sslproto TLS1.2+ sslcertck sslcertfile \"{}\"\n smtphost 127.0.0.1/{} lmtp\n nokeep fetchall\n",
        loft.imap.port(),
        dir.path().join("data/tls/certificate.pem").display(),
        loft.lmtp.port()
    );
    let Some(mut fetchmail) = fetchmail(&dir, &config) else { return };
    let mut lmtp = Lmtp::connect(loft.lmtp).unwrap();
    lmtp.deliver(&["u1"], "Subject: first\r\n\r\none\r\n").unwrap();
    let mut imap = Imap::log_in(loft.imap, "u1");
    imap.append("INBOX", MAIL);

    let fetched = output(&mut fetchmail);
    assert!(fetched.status.success(), "{fetched:?}");
    assert!(loft.wait_for_log("tls=true").contains("result=\"stored\""));
    assert!(imap.ok("STATUS INBOX (MESSAGES)")[0].contains("MESSAGES 0"), "they are deleted");
    let mut imap = Imap::log_in(loft.imap, "u2");
    imap.ok("SELECT INBOX");
    let text = imap.ok("FETCH 2 (BODY.PEEK[TEXT])");
    assert_eq!(text[1..text.len() - 2], [".", "..", ".leading", "na\u{ef}ve"], "{text:?}");
    assert!(imap.ok("FETCH 1 (BODY.PEEK[TEXT])").contains(&"one".to_owned()));
    // 1 is "no mail".
    assert_eq!(output(&mut fetchmail).status.code(), Some(1));
}

#[test]
fn a_program_takes_the_mail_and_what_it_refuses_stays() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let taken = dir.path().join("taken");
    let program = dir.path().join("mda");
    // 75 is EX_TEMPFAIL.
    let script = format!(
        "#!/bin/sh\ncat >\"{0}.part\"\ngrep -q '^keep' \"{0}.part\" && exit 75\ncat \"{0}.part\" >>\"{0}\"\n",
        taken.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let config = format!(
        "poll 127.0.0.1 service {} protocol IMAP auth password\n user u1 password pw is root here\n\
         sslproto ''\n mda \"{}\"\n nokeep\n",
        loft.imap.port(),
        program.display()
    );
    let Some(mut fetchmail) = fetchmail(&dir, &config) else { return };
    let mut imap = Imap::log_in(loft.imap, "u1");
    imap.append("INBOX", "Subject: 1\r\n\r\nkeep this\r\n");
    imap.append("INBOX", "Subject: 2\r\n\r\ntake this\r\n");
    let fetched = output(&mut fetchmail);
    assert!(fs::read_to_string(&taken).unwrap().ends_with("take this\n"), "{fetched:?}");
    imap.ok("SELECT INBOX");
    assert_eq!(imap.ok("UID SEARCH ALL")[0], "* SEARCH 1");
    assert_eq!(imap.ok("UID SEARCH SEEN")[0], "* SEARCH");
}
