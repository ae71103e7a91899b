//! mbsync, pulling into a Maildir.

use crate::harness::{Loft, client, run, temporary};
use crate::wire::Imap;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn config(dir: &TempDir, loft: &Loft) -> String {
    let maildir = dir.path().join("mail");
    fs::create_dir_all(&maildir).unwrap();
    let (maildir, port) = (maildir.display(), loft.imap.port());
    format!(
        "IMAPAccount loft\nHost 127.0.0.1\nPort {port}\nUser u1\nPass pw\nSSLType None\nAuthMechs LOGIN\n\n\
         IMAPStore far\nAccount loft\n\n\
         MaildirStore near\nPath {maildir}/\nInbox {maildir}/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nExpunge Near\nSync Pull\nSyncState *\n"
    )
}

/// The bodies below `mailbox`, sorted, each behind its flags.
fn bodies(mailbox: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for sub in ["cur", "new"] {
        for file in fs::read_dir(mailbox.join(sub)).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let flags = name.rsplit_once(":2,").map_or("", |(_, flags)| flags).to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let body = text.split_once("\n\n").unwrap().1.trim().to_owned();
            found.push(format!("{flags} {body}"));
        }
    }
    found.sort();
    found
}

#[test]
fn a_maildir_follows_the_mailboxes() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let Some(mut mbsync) = client("mbsync") else { return };
    let file = dir.path().join("mbsyncrc");
    fs::write(&file, config(&dir, &loft)).unwrap();
    mbsync.arg("--config").arg(&file).arg("--all").env("HOME", dir.path());

    let mut imap = Imap::log_in(loft.imap, "u1");
    for n in 1..=3 {
        imap.append("INBOX", &format!("Subject: {n}\r\n\r\nmail {n}\r\n"));
    }
    imap.ok("CREATE Lists/Rust");
    imap.append("Lists/Rust", "Subject: 4\r\n\r\nmail 4\r\n");
    run(&mut mbsync);
    let inbox = dir.path().join("mail/INBOX");
    assert_eq!(bodies(&inbox), [" mail 1", " mail 2", " mail 3"]);
    assert_eq!(bodies(&dir.path().join("mail/Lists/Rust")), [" mail 4"]);

    imap.ok("SELECT INBOX");
    imap.ok("STORE 1 +FLAGS (\\Seen \\Flagged)");
    imap.ok("STORE 2 +FLAGS (\\Deleted)");
    imap.ok("EXPUNGE");
    imap.append("INBOX", "Subject: 5\r\n\r\nmail 5\r\n");
    run(&mut mbsync);
    assert_eq!(bodies(&inbox), [" mail 3", " mail 5", "FS mail 1"]);
    // A third time finds nothing to do.
    run(&mut mbsync);
    assert_eq!(bodies(&inbox), [" mail 3", " mail 5", "FS mail 1"]);
}
