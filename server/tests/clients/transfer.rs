//! `loft export` and `loft import`: with the server, without it, there and back again.

use crate::harness::{Loft, configure, output, replace, run, temporary};
use crate::wire::Imap;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

fn loft(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loft"));
    command.args(args);
    command
}

/// What a client sees of a mailbox, but for UIDs: flags, date and text of each message.
fn seen(imap: &mut Imap, mailbox: &str) -> Vec<String> {
    imap.ok(&format!("SELECT \"{mailbox}\""));
    let lines = imap.ok("FETCH 1:* (FLAGS INTERNALDATE BODY.PEEK[])");
    let mut lines: Vec<String> = lines.into_iter().filter(|line| !line.contains(" OK ")).collect();
    lines.iter_mut().for_each(|line| *line = line.replace(" \\Recent", "").replace("\\Recent", ""));
    lines
}

#[test]
fn mail_goes_out_and_comes_back_as_it_was() {
    let dir = temporary();
    let server = Loft::start(&dir);
    let mut imap = Imap::log_in(server.imap, "u1");
    imap.ok("ENABLE IMAP4rev2");
    let texts = [
        "Subject: one\r\n\r\nFrom here\r\n>From there\r\n",
        "Subject: two\r\n\r\n",
        "Subject: three\r\n\r\n\r\nFrom x Thu Jan  1 00:00:00 1970\r\n",
    ];
    let flags = ["", "\\Seen \\Flagged", "\\Answered $Forwarded work"];
    for mailbox in ["INBOX", "Sent", "a/b.c"] {
        if mailbox == "a/b.c" {
            imap.ok("CREATE a/b.c");
        }
        for (text, flags) in texts.iter().zip(flags) {
            let head = format!(
                "APPEND {mailbox} ({flags}) \"01-Feb-2003 04:05:06 +0000\" {{{}+}}\r\n",
                text.len()
            );
            imap.ok(&format!("{head}{text}"));
        }
    }
    let data = dir.path().join("data").display().to_string();
    let to = |name: &str| dir.path().join(name).display().to_string();
    let moved = |args: &[&str]| -> BTreeMap<String, (u64, u64)> {
        let lines = run(loft(args).args(["--json", "--data", &data]));
        let line = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let number = |key| value[key].as_u64().unwrap();
            let mailbox = value["mailbox"].as_str().unwrap().to_owned();
            assert_eq!(number("failed") + number("keywords_left_out"), 0, "{value}");
            (mailbox, (number("moved"), number("skipped")))
        };
        let moved = str::from_utf8(&lines).unwrap().lines().map(line);
        moved.filter(|(_, counts)| *counts != (0, 0)).collect()
    };
    let all = |moved, skipped| -> BTreeMap<String, (u64, u64)> {
        ["INBOX", "Sent", "a/b.c"].map(|name| (name.to_owned(), (moved, skipped))).into()
    };
    for (user, form) in [("u2", "maildir"), ("u3", "mbox")] {
        let there = to(form);
        let export = ["export", form, &there, "--user", "u1"];
        assert_eq!(moved(&[&export[..], &["--dry-run"]].concat()), all(3, 0));
        assert!(!Path::new(&there).exists());
        assert_eq!(moved(&export), all(3, 0));
        let again = if form == "maildir" { all(0, 3) } else { all(3, 0) };
        assert_eq!(moved(&export), again);

        let done = to(&format!("{form}.done"));
        let import = ["import", form, &there, "--user", user];
        assert_eq!(moved(&[&import[..], &["--dry-run"]].concat()), all(3, 0));
        let import = [&import[..], &["--resume", &done]].concat();
        assert_eq!(moved(&import), all(3, 0));
        assert_eq!(moved(&import), all(0, 3));
        let mut other = Imap::log_in(server.imap, user);
        other.ok("ENABLE IMAP4rev2");
        for mailbox in ["INBOX", "Sent", "a/b.c"] {
            assert_eq!(seen(&mut other, mailbox), seen(&mut imap, mailbox), "{mailbox} as {form}");
        }
    }
    // One that has changed its flags is not fetched again, but has another name.
    imap.ok("SELECT INBOX");
    imap.ok("STORE 1 +FLAGS (\\Deleted)");
    assert_eq!(moved(&["export", "maildir", &to("maildir"), "--user", "u1"]), all(0, 3));
    let names = fs::read_dir(dir.path().join("maildir/cur")).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().any(|name| name.ends_with(":2,T")));
}

#[test]
fn without_a_server_the_configuration_leads_to_the_mail() {
    let dir = temporary();
    configure(dir.path(), "");
    replace(&dir.path().join("users"), "alice:{PLAIN}pw\n");
    let server = Loft::serve(&dir);
    let config = dir.path().join("loft.toml").display().to_string();
    let letter = dir.path().join("letter.eml");
    fs::write(&letter, "Subject: x\n\nbody\n").unwrap();
    let letter = letter.display().to_string();
    let import = ["import", "eml", &letter, "--user", "alice", "--config", &config];
    let out = run(&mut loft(&import));
    assert_eq!(String::from_utf8(out).unwrap(), "INBOX: 1 imported\n");
    assert!(server.stop().success());

    let out = run(loft(&import).args(["--into", "Archive"]));
    assert_eq!(String::from_utf8(out).unwrap(), "Archive: 1 imported\n");
    let to = dir.path().join("out").display().to_string();
    let export = ["export", "mbox", &to, "--user", "alice", "--config", &config];
    run(&mut loft(&export));
    for name in ["INBOX", "Archive"] {
        let text = fs::read_to_string(dir.path().join(format!("out/{name}.mbox"))).unwrap();
        assert!(text.contains("\nSubject: x\n\nbody\n"), "{text}");
    }
    let server = Loft::serve(&dir);
    let mut unknown = export;
    unknown[4] = "nobody";
    let failed = output(&mut loft(&unknown));
    assert_eq!(
        String::from_utf8(failed.stderr).unwrap(),
        "loft: there is no account \"nobody\"; `loft user list` shows those there are\n"
    );
    drop(server);
}

#[test]
fn what_can_not_be_moved_is_named() {
    let dir = temporary();
    configure(dir.path(), "[limits]\nmessage = \"1 MiB\"\n");
    replace(&dir.path().join("users"), "u1:{PLAIN}pw\n");
    let server = Loft::serve(&dir);
    let data = dir.path().join("data").display().to_string();
    let errors = |args: &[&str]| {
        let failed = output(loft(args).args(["--data", &data]));
        assert!(!failed.status.success(), "{args:?}");
        String::from_utf8(failed.stderr).unwrap()
    };
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let at = empty.display().to_string();
    let wrong = [
        errors(&["import", "maildir", &at, "--user", "u1"]),
        errors(&["import", "mbox", &at, "--user", "u1"]),
        errors(&["import", "eml", &at, "--user", "u1"]),
        errors(&["export", "mbox", &at, "--user", "u1", "--mailbox", "Sant"]),
    ];
    insta::assert_snapshot!(wrong.concat().replace(&at, "EMPTY"), @r#"
    loft: EMPTY is no maildir: neither it nor a directory in it has the directories cur and new
    loft: EMPTY is no mbox: there is no file in it that begins with "From "
    loft: EMPTY is no message: no file in it has a name that ends with .eml
    loft: no mailbox is called "Sant"; there are: Archive, Drafts, INBOX, Junk, Sent, Trash
    "#);
    // One that is too long is refused, and the others go on.
    let big = dir.path().join("big");
    fs::create_dir(&big).unwrap();
    fs::write(big.join("a.eml"), vec![b'x'; (1 << 20) + 1]).unwrap();
    fs::write(big.join("b.eml"), "Subject: b\n\n").unwrap();
    let big = big.display().to_string();
    let told = errors(&["import", "eml", &big, "--user", "u1"]);
    insta::assert_snapshot!(told.replace(&big, "BIG"), @"
    loft: INBOX: BIG/a.eml: it has 1048577 bytes, and the server takes 1048576 at most
    loft: messages that could not be moved: 1; they are named above
    ");
    let mut imap = Imap::log_in(server.imap, "u1");
    assert!(imap.ok("SELECT INBOX").iter().any(|line| line == "* 1 EXISTS"));
}
