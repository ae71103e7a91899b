//! What the person sees who starts and stops it.

use crate::harness::{Loft, command, command_but, output, temporary};
use crate::wire::Imap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_second_server_on_the_same_store_is_refused_and_told_who_has_it() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let second = output(&mut command(dir.path()));
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("in use by process {};", loft.pid())), "{said}");
    assert!(said.contains("--data"), "what to do is missing: {said}");
    assert!(second.stdout.is_empty());
    // The first one has not noticed.
    Imap::log_in(loft.imap, "u1").append("INBOX", "Subject: x\r\n\r\n");
}

#[test]
fn a_restart_finds_the_same_mail_under_the_same_uids() {
    let dir = temporary();
    let look = |loft: &Loft| {
        let mut imap = Imap::log_in(loft.imap, "u1");
        let mut lines = imap.ok("EXAMINE INBOX");
        lines.retain(|line| {
            line.contains("UIDVALIDITY") || line.contains("EXISTS") || line.contains("UIDNEXT")
        });
        lines.extend(imap.ok("FETCH 1:* (UID FLAGS INTERNALDATE BODY[])"));
        lines.extend(imap.ok("LIST \"\" *"));
        lines
    };
    let loft = Loft::start(&dir);
    let mut imap = Imap::log_in(loft.imap, "u1");
    for n in 1..=5 {
        imap.append("INBOX", &format!("Subject: {n}\r\n\r\nmail {n}\r\n"));
    }
    imap.ok("SELECT INBOX");
    imap.ok("STORE 2 +FLAGS (\\Flagged work)");
    imap.ok("STORE 3 +FLAGS (\\Deleted)");
    imap.ok("EXPUNGE");
    imap.ok("CREATE Lists/Rust");
    // \Recent goes to the first session that looks.
    let _first = look(&loft);
    let before = look(&loft);
    assert!(before.iter().any(|line| line == "mail 5"), "{before:?}");
    assert!(loft.stop().success());
    let loft = Loft::start(&dir);
    assert_eq!(look(&loft), before);
    loft.kill();
    let loft = Loft::start(&dir);
    assert_eq!(look(&loft), before);
}

#[test]
fn errors_say_what_to_do() {
    let dir = temporary();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for (option, value, code, hint) in [
        ("--imap", address.as_str(), 1, "another program listens there"),
        ("--imaps", "192.0.2.1:0", 1, "this machine does not have that address"),
        ("--data", file.to_str().unwrap(), 1, "name a directory"),
        ("--lmtp", "1024", 2, "HOST:PORT"),
        ("--accounts", "none", 2, "invalid digit"),
    ] {
        let said = output(command_but(dir.path(), option).args([option, value]));
        let text = String::from_utf8(said.stderr).unwrap();
        assert_eq!(said.status.code(), Some(code), "{option} {value}: {text}");
        assert!(text.contains(hint) && text.contains(option), "{option} {value}: {text}");
        assert!(said.stdout.is_empty());
    }
}

#[test]
fn only_the_owner_can_read_the_mail() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    Imap::log_in(loft.imap, "u1").append("INBOX", "Subject: x\r\n\r\n");
    assert!(loft.stop().success());
    let mut dirs = vec![dir.path().join("data")];
    let mut files = 0;
    while let Some(path) = dirs.pop() {
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o077;
        assert_eq!(mode, 0, "{}", path.display());
        if path.is_dir() {
            dirs.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files += 1;
        }
    }
    assert!(files > 5, "{files}");
}
