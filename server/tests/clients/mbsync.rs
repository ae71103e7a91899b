//! mbsync: a Maildir and the mailboxes, one way and both ways.

use crate::harness::{Loft, client, run, temporary};
use crate::maildir::{Maildir, assert_both, mail, state};
use crate::wire::Imap;
use std::fs;
use std::process::Command;
use tempfile::TempDir;

/// mbsync between `dir/mail` and u1's mailboxes; `how` says which way.
fn mbsync(dir: &TempDir, loft: &Loft, how: &str) -> Option<Command> {
    let mut mbsync = client("mbsync")?;
    let maildir = dir.path().join("mail");
    fs::create_dir_all(&maildir).unwrap();
    let (maildir, port) = (maildir.display(), loft.imap.port());
    let config = format!(
        "IMAPAccount loft\nHost 127.0.0.1\nPort {port}\nUser u1\nPass pw\nSSLType None\nAuthMechs LOGIN\n\n\
         IMAPStore far\nAccount loft\n\n\
         MaildirStore near\nPath {maildir}/\nInbox {maildir}/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns *\nSyncState *\n{how}"
    );
    let file = dir.path().join("mbsyncrc");
    fs::write(&file, config).unwrap();
    mbsync.arg("--config").arg(&file).arg("--all").env("HOME", dir.path());
    Some(mbsync)
}

#[test]
fn a_maildir_follows_the_mailboxes() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let how = "Create Near\nExpunge Near\nSync Pull\n";
    let Some(mut mbsync) = mbsync(&dir, &loft, how) else { return };
    let mut imap = Imap::log_in(loft.imap, "u1");
    for n in 1..=3 {
        imap.append("INBOX", &mail(n));
    }
    imap.ok("CREATE Lists/Rust");
    imap.append("Lists/Rust", &mail(4));
    run(&mut mbsync);
    let inbox = dir.path().join("mail/INBOX");
    assert_both(&inbox, &mut imap, "INBOX", &[" mail 1", " mail 2", " mail 3"]);
    assert_both(&dir.path().join("mail/Lists/Rust"), &mut imap, "Lists/Rust", &[" mail 4"]);

    imap.ok("SELECT INBOX");
    imap.ok("STORE 1 +FLAGS (\\Seen \\Flagged)");
    imap.ok("STORE 2 +FLAGS (\\Deleted)");
    imap.ok("EXPUNGE");
    imap.append("INBOX", &mail(5));
    run(&mut mbsync);
    assert_both(&inbox, &mut imap, "INBOX", &[" mail 3", " mail 5", "FS mail 1"]);
}

#[test]
fn both_sides_follow_each_other() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let how = "Create Both\nRemove Both\nExpunge Both\nSync All\nCopyArrivalDate yes\n";
    let Some(mut mbsync) = mbsync(&dir, &loft, how) else { return };
    let mut imap = Imap::log_in(loft.imap, "u1");
    let near = dir.path().join("mail");
    let inbox = Maildir::create(near.join("INBOX"));

    // Mail and mailboxes from both. mbsync leaves names as they are on the wire: Übung, Zwei Wörter.
    imap.append("INBOX", &mail(1));
    imap.append("INBOX", &mail(2));
    imap.ok("CREATE \"&ANw-bung &- Test\"");
    imap.append("\"&ANw-bung &- Test\"", &mail(3));
    inbox.deliver(4);
    inbox.deliver(5);
    Maildir::create(near.join("Zwei W&APY-rter")).deliver(6);
    run(&mut mbsync);
    let name = near.join("INBOX");
    assert_both(&name, &mut imap, "INBOX", &[" mail 1", " mail 2", " mail 4", " mail 5"]);
    let exercise = near.join("&ANw-bung &- Test");
    assert_both(&exercise, &mut imap, "\"&ANw-bung &- Test\"", &[" mail 3"]);
    let words = near.join("Zwei W&APY-rter");
    assert_both(&words, &mut imap, "\"Zwei W&APY-rter\"", &[" mail 6"]);

    // Flags from both, other ones of the same mail too.
    inbox.flag(1, "S");
    inbox.flag(4, "FR");
    imap.ok("SELECT INBOX");
    imap.ok("UID STORE 1 +FLAGS (\\Flagged)");
    imap.ok("UID STORE 2 +FLAGS (\\Answered \\Draft)");
    imap.ok("CLOSE");
    run(&mut mbsync);
    let both = [" mail 5", "DR mail 2", "FR mail 4", "FS mail 1"];
    assert_both(&name, &mut imap, "INBOX", &both);

    // Flags go, mail goes.
    inbox.flag(1, "");
    inbox.remove(4);
    imap.ok("SELECT INBOX");
    imap.ok("UID STORE 2 +FLAGS (\\Deleted)");
    imap.ok("EXPUNGE");
    imap.ok("CLOSE");
    Maildir::at(words.clone()).flag(6, "T");
    run(&mut mbsync);
    assert_both(&name, &mut imap, "INBOX", &[" mail 1", " mail 5"]);
    assert_both(&words, &mut imap, "\"Zwei W&APY-rter\"", &[]);

    // Another time finds nothing to do.
    let before = state(&name, &mut imap, "INBOX");
    run(&mut mbsync);
    assert_eq!(state(&name, &mut imap, "INBOX"), before);

    // A mailbox goes.
    imap.ok("DELETE \"Zwei W&APY-rter\"");
    run(&mut mbsync);
    assert!(!words.exists());
    assert!(imap.ok("LIST \"\" Zwei*").len() == 1);
}
