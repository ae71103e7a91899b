//! OfflineIMAP: a Maildir and the mailboxes, both ways.

use crate::harness::{Loft, client, run, temporary};
use crate::maildir::{Maildir, assert_both, mail, state};
use crate::wire::Imap;
use std::fs;
use std::process::Command;
use tempfile::TempDir;

fn offlineimap(dir: &TempDir, loft: &Loft) -> Option<Command> {
    let mut offlineimap = client("offlineimap")?;
    let home = dir.path().display();
    let port = loft.imap.port();
    let config = format!(
        "[general]\naccounts = loft\nmetadata = {home}/offlineimap\n\n\
         [Account loft]\nlocalrepository = near\nremoterepository = far\nutf8foldernames = yes\n\n\
         [Repository near]\ntype = Maildir\nlocalfolders = {home}/mail\nsep = /\n\n\
         [Repository far]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = {port}\nremoteuser = u1\n\
         remotepass = pw\nssl = no\nstarttls = no\n"
    );
    let file = dir.path().join("offlineimaprc");
    fs::write(&file, config).unwrap();
    offlineimap.arg("-c").arg(&file).args(["-o", "-u", "basic"]);
    offlineimap.env("HOME", dir.path()).env("LC_ALL", "C.UTF-8");
    Some(offlineimap)
}

#[test]
fn both_sides_follow_each_other() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let Some(mut offlineimap) = offlineimap(&dir, &loft) else { return };
    let mut imap = Imap::log_in(loft.imap, "u1");
    let near = dir.path().join("mail");

    imap.append("INBOX", &mail(1));
    imap.append("INBOX", &mail(2));
    imap.ok("CREATE \"&ANw-bung/mehr W&APY-rter\"");
    imap.append("\"&ANw-bung/mehr W&APY-rter\"", &mail(3));
    run(&mut offlineimap);
    let name = near.join("INBOX");
    assert_both(&name, &mut imap, "INBOX", &[" mail 1", " mail 2"]);
    let deep = near.join("Übung/mehr Wörter");
    assert_both(&deep, &mut imap, "\"&ANw-bung/mehr W&APY-rter\"", &[" mail 3"]);

    // Mail, a mailbox and flags from both.
    let inbox = Maildir::at(name.clone());
    inbox.deliver(4);
    inbox.flag(1, "FS");
    Maildir::create(near.join("Ärger & so")).deliver(5);
    imap.append("INBOX", &mail(6));
    imap.ok("SELECT INBOX");
    imap.ok("UID STORE 2 +FLAGS (\\Answered)");
    imap.ok("CLOSE");
    run(&mut offlineimap);
    let both = [" mail 4", " mail 6", "FS mail 1", "R mail 2"];
    assert_both(&name, &mut imap, "INBOX", &both);
    let trouble = near.join("Ärger & so");
    assert_both(&trouble, &mut imap, "\"&AMQ-rger &- so\"", &[" mail 5"]);

    // Mail goes, flags go.
    inbox.remove(4);
    inbox.flag(1, "S");
    imap.ok("SELECT INBOX");
    imap.ok("UID STORE 2 +FLAGS (\\Deleted)");
    imap.ok("EXPUNGE");
    imap.ok("CLOSE");
    run(&mut offlineimap);
    assert_both(&name, &mut imap, "INBOX", &[" mail 6", "S mail 1"]);

    // Another time finds nothing to do.
    let before = state(&name, &mut imap, "INBOX");
    run(&mut offlineimap);
    assert_eq!(state(&name, &mut imap, "INBOX"), before);
}
