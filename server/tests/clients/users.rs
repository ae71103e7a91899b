//! `loft user`, beside a running server and without one.

use crate::harness::{Loft, client, configure, output, serve_command, temporary};
use crate::wire::{Imap, Lmtp};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// `loft user ARGS`, with the configuration in `dir`.
fn command(dir: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loft"));
    command.arg("user").args(args).arg("--config").arg(dir.path().join("loft.toml"));
    command
}

/// The same, with this on standard input.
fn user(dir: &TempDir, args: &[&str], input: &str) -> Output {
    let mut command = command(dir, args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end without reading.
    let _closed = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn ok(dir: &TempDir, args: &[&str], input: &str) -> String {
    let ended = user(dir, args, input);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success() && said.is_empty(), "{args:?}: {said}");
    String::from_utf8(ended.stdout).unwrap()
}

/// What is said when it fails.
fn refused(dir: &TempDir, args: &[&str], input: &str) -> String {
    let ended = user(dir, args, input);
    assert_eq!(ended.status.code(), Some(1), "{args:?}");
    assert!(ended.stdout.is_empty());
    String::from_utf8(ended.stderr).unwrap()
}

fn logs_in(loft: &Loft, user: &str, password: &str) -> bool {
    let mut imap = Imap::connect(loft.imap).unwrap();
    let lines = imap.command(&format!("LOGIN {user} \"{password}\"")).unwrap();
    lines.last().unwrap().contains(" OK ")
}

#[test]
fn a_running_server_sees_who_comes_changes_and_goes() {
    let dir = temporary();
    configure(dir.path(), "");
    ok(&dir, &["add", "first"], "one\n");
    let loft = Loft::serve(&dir);
    assert!(logs_in(&loft, "first", "one"));
    ok(&dir, &["add", "Alice@Example.org"], "correct horse\r\n");
    assert!(logs_in(&loft, "alice@example.org", "correct horse"));
    for (scheme, name) in [("blf-crypt", "b"), ("sha512-crypt", "s"), ("plain", "p")] {
        ok(&dir, &["add", name, "--scheme", scheme], "secret");
        assert!(logs_in(&loft, name, "secret") && !logs_in(&loft, name, "Secret"), "{scheme}");
    }
    ok(&dir, &["passwd", "first"], "two\nthree\n");
    assert!(logs_in(&loft, "first", "two") && !logs_in(&loft, "first", "one"));
    ok(&dir, &["passwd", "first", "--locked"], "");
    assert!(!logs_in(&loft, "first", "two"));
    let mut lmtp = Lmtp::connect(loft.lmtp).unwrap();
    assert!(lmtp.deliver(&["first"], "Subject: x\r\n\r\n").unwrap()[0].starts_with("250"));
    ok(&dir, &["remove", "first"], "");
    lmtp.send(b"MAIL FROM:<>\r\nRCPT TO:<first>\r\n").unwrap();
    assert!(lmtp.reply().unwrap().starts_with("250"));
    assert!(lmtp.reply().unwrap().starts_with("550"));
    // The mail stays.
    ok(&dir, &["add", "first"], "four\n");
    let mut imap = Imap::connect(loft.imap).unwrap();
    imap.ok("LOGIN first four");
    assert!(imap.ok("STATUS INBOX (MESSAGES)")[0].contains("MESSAGES 1"));
}

#[test]
fn lists_are_for_people_and_for_scripts() {
    let dir = temporary();
    configure(dir.path(), "");
    ok(&dir, &["add", "alice", "--scheme", "plain"], "a\n");
    ok(&dir, &["add", "--locked", "postmaster"], "");
    let users = dir.path().join("users");
    assert_eq!(fs::metadata(&users).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ok(&dir, &["list"], ""), "alice\npostmaster\n");
    let source = users.display();
    assert_eq!(
        ok(&dir, &["list", "--json"], ""),
        format!(
            "[\n  {{\"name\": \"alice\", \"log_in\": true, \"scheme\": \"PLAIN\", \"source\": \"{source}\"}},\n  \
            {{\"name\": \"postmaster\", \"log_in\": false, \"source\": \"{source}\"}}\n]\n"
        )
    );
    let info = ok(&dir, &["info", "ALICE"], "");
    assert!(info.starts_with("account   alice\npassword  PLAIN\n"), "{info}");
    assert!(info.ends_with("/alice (none yet)\n"), "{info}");
    let info = ok(&dir, &["info", "alice", "--json"], "");
    assert!(info.contains("\"has_mail\": false"), "{info}");
    ok(&dir, &["remove", "alice"], "");
    ok(&dir, &["remove", "postmaster"], "");
    assert_eq!(ok(&dir, &["list", "--json"], ""), "[]\n");

    // Without a configuration.
    let mut other = Command::new(env!("CARGO_BIN_EXE_loft"));
    other.args(["user", "add", "--locked", "x", "--file"]).arg(dir.path().join("others"));
    assert!(output(&mut other).status.success());
    assert_eq!(fs::read_to_string(dir.path().join("others")).unwrap(), "x:!::::::\n");
}

#[test]
fn what_can_not_be_done_is_said_and_changes_nothing() {
    let dir = temporary();
    configure(dir.path(), "");
    ok(&dir, &["add", "alice"], "a\n");
    let users = dir.path().join("users");
    let before = fs::read(&users).unwrap();
    for (args, input, said) in [
        (["add", "alice"].as_slice(), "x\n", "alice is in "),
        (&["add", "a b"], "x\n", "' ' can't stand in a user name"),
        (&["add", "bob"], "", "the password is empty"),
        (&["add", "bob"], &"x".repeat(513), "the password has more than 512 bytes"),
        (&["add", "bob", "--scheme", "blf-crypt"], &"x".repeat(73), "no more than 72 bytes"),
        (&["add", "bob", "--scheme", "plain"], "a:b\n", "take another scheme"),
        (&["passwd", "bob"], "x\n", "there is no account bob; `loft user list` shows all"),
        (&["info", "bob"], "", "there is no account bob"),
        (&["remove", "bob"], "", "there is no account bob"),
    ] {
        let text = refused(&dir, args, input);
        assert!(text.contains(said), "{args:?}: {text}");
        assert_eq!(fs::read(&users).unwrap(), before, "{args:?}");
    }
    fs::write(&users, "alice:{PLAIN}a\nbob\n").unwrap();
    let text = refused(&dir, &["add", "carol"], "x\n");
    assert!(text.contains("users:2: it has no password field"), "{text}");
    fs::remove_file(dir.path().join("loft.toml")).unwrap();
    let text = refused(&dir, &["list"], "");
    assert!(text.contains("cannot read ") && text.contains("--file"), "{text}");
}

/// Reads what a program says until it has said this.
fn read_until(out: &mut impl Read, text: &str) -> String {
    let mut said = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).ends_with(text) {
        assert_eq!(out.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.extend(byte);
    }
    String::from_utf8(said).unwrap()
}

#[test]
fn at_a_terminal_it_asks_twice_and_shows_nothing() {
    let Some(mut script) = client("script") else { return };
    let dir = temporary();
    configure(dir.path(), "");
    let add = |name: &str| {
        let (loft, config) = (env!("CARGO_BIN_EXE_loft"), dir.path().join("loft.toml"));
        format!("{loft} user add --scheme plain {name} --config {}", config.display())
    };
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.args(["-qec", &add("alice"), "/dev/null"]).spawn().unwrap();
    let (mut stdin, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    read_until(&mut out, "Password for alice: ");
    stdin.write_all(b"hunter2\n").unwrap();
    let said = read_until(&mut out, "The same again for alice: ");
    stdin.write_all(b"hunter2\n").unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    assert!(!said.contains("hunter2") && !rest.contains("hunter2"), "{said}{rest}");
    assert_eq!(
        fs::read_to_string(dir.path().join("users")).unwrap(),
        "alice:{PLAIN}hunter2::::::\n"
    );

    let mut script = client("script").expect("it was there before");
    script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.args(["-qec", &add("bob"), "/dev/null"]).spawn().unwrap();
    let (mut stdin, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    read_until(&mut out, "Password for bob: ");
    stdin.write_all(b"hunter2\n").unwrap();
    read_until(&mut out, "The same again for bob: ");
    stdin.write_all(b"hunter3\n").unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(
        !child.wait().unwrap().success() && rest.contains("the two passwords differ"),
        "{rest}"
    );
}

/// Delivers to both, and stops or kills the server.
fn with_mail(dir: &TempDir, kill: bool) {
    configure(dir.path(), "");
    ok(dir, &["add", "alice", "--scheme", "plain"], "a\n");
    ok(dir, &["add", "bob", "--scheme", "plain"], "b\n");
    let loft = Loft::serve(dir);
    let mut lmtp = Lmtp::connect(loft.lmtp).unwrap();
    for n in 0..3 {
        let mail = format!("Subject: {n}\r\n\r\nbody\r\n");
        assert!(
            lmtp.deliver(&["alice", "bob"], &mail).unwrap().iter().all(|r| r.starts_with("250"))
        );
    }
    let said = refused(dir, &["remove", "alice", "--delete-mail"], "");
    let pid = format!("while process {} uses", loft.pid());
    assert!(said.contains(&pid) && said.contains("stop that server first"), "{said}");
    let mut second = serve_command(dir.path());
    let second = String::from_utf8(output(&mut second).stderr).unwrap();
    assert!(second.contains("name another directory with data_dir"), "{second}");
    assert!(logs_in(&loft, "alice", "a"), "it was removed though its mail was not");
    if kill { loft.kill() } else { assert!(loft.stop().success()) }
}

#[test]
fn deleted_mail_does_not_come_back_and_that_of_others_stays() {
    for kill in [false, true] {
        let dir = temporary();
        with_mail(&dir, kill);
        ok(&dir, &["remove", "alice", "--delete-mail"], "");
        let left = fs::read_dir(dir.path().join("data")).unwrap();
        assert!(left.flatten().all(|e| !e.file_name().to_string_lossy().starts_with("removed")));
        ok(&dir, &["add", "alice", "--scheme", "plain"], "new\n");
        let loft = Loft::serve(&dir);
        for (name, password, messages) in [("alice", "new", 0), ("bob", "b", 3)] {
            let mut imap = Imap::connect(loft.imap).unwrap();
            imap.ok(&format!("LOGIN {name} {password}"));
            let status = imap.ok("STATUS INBOX (MESSAGES)");
            assert!(status[0].contains(&format!("MESSAGES {messages}")), "{name}: {status:?}");
        }
        let log = loft.log();
        assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
        assert!(loft.stop().success());
    }
}
