//! `loft backup`: while mail comes and goes, without a server, there and back again.

use crate::harness::{Loft, configure, noise, output, replace, run, temporary};
use crate::wire::{Imap, Lmtp};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use tempfile::TempDir;

fn backup(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loft"));
    command.arg("backup").args(args);
    command
}

fn at(dir: &TempDir, name: &str) -> String {
    dir.path().join(name).display().to_string()
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// The lines of `--json`.
fn lines(output: &[u8]) -> Vec<serde_json::Value> {
    let text = str::from_utf8(output).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All that a client sees of an account.
fn seen(server: &Loft, user: &str) -> Vec<String> {
    let mut imap = Imap::log_in(server.imap, user);
    imap.ok("ENABLE IMAP4rev2");
    let mut all = Vec::new();
    for name in ["INBOX", "Sent", "Archive"] {
        let selected = imap.ok(&format!("EXAMINE {name}"));
        let of_it = |line: &String| {
            ["UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ", "MAILBOXID"]
                .iter()
                .any(|w| line.contains(w))
        };
        all.push(name.to_owned());
        all.extend(selected.into_iter().filter(of_it));
        all.extend(imap.ok("UID FETCH 1:* (FLAGS MODSEQ INTERNALDATE EMAILID BODY.PEEK[])"));
    }
    all
}

/// Texts in a mailbox, by what their subjects say.
fn texts(imap: &mut Imap, mailbox: &str) -> BTreeMap<String, String> {
    imap.ok(&format!("EXAMINE {mailbox}"));
    let mut found = BTreeMap::new();
    let mut message: Option<String> = None;
    for line in imap.ok("UID FETCH 1:* BODY.PEEK[]") {
        if line.starts_with("* ") && line.contains(" FETCH (") {
            message = Some(String::new());
        } else if line == ")" || line.starts_with(" UID ") {
            let text = message.take().unwrap();
            let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
            let twice = found.insert(subject.unwrap().to_owned(), text);
            assert!(twice.is_none(), "{twice:?}");
        } else if let Some(text) = &mut message {
            *text += &format!("{line}\n");
        }
    }
    found
}

fn mail(id: &str) -> String {
    format!("Subject: {id}\r\n\r\n{}\r\n", id.repeat(200))
}

/// What a restored mailbox must hold of it: the mail without the lines that delivery adds.
fn body(text: &str) -> &str {
    text.split_once("\n\n").unwrap().1
}

#[test]
fn under_load_it_has_what_was_acknowledged_and_is_one_moment() {
    let dir = temporary();
    let server = Loft::start(&dir);
    let (over, acknowledged) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let acknowledge = |id: &str| acknowledged.lock().unwrap().push(id.to_owned());
    let (data, to) = (at(&dir, "data"), at(&dir, "backup"));
    // One message that goes to and fro: it is in one of two mailboxes at any moment.
    Imap::log_in(server.imap, "u1").append("Sent", &mail("mover"));
    let (mut before, mut generations) = (Vec::new(), 0);
    thread::scope(|scope| {
        for writer in 0..3 {
            let (server, over, acknowledge) = (&server, &over, &acknowledge);
            scope.spawn(move || {
                let mut lmtp = Lmtp::connect(server.lmtp).unwrap();
                for n in 0.. {
                    let id = format!("lmtp-{writer}-{n:05}");
                    let replies = lmtp.deliver(&["u1"], &mail(&id)).unwrap();
                    assert!(replies[0].starts_with("250"), "{replies:?}");
                    acknowledge(&id);
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        // Each append is followed by the expunge of the one before: there is always one of them, or two.
        scope.spawn(|| {
            let mut imap = Imap::log_in(server.imap, "u1");
            imap.ok("SELECT Archive");
            for n in 0.. {
                imap.append("Archive", &mail(&format!("chain-{n:05}")));
                if n > 0 {
                    imap.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
                    imap.ok("EXPUNGE");
                }
                if over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        scope.spawn(|| {
            let mut imap = Imap::log_in(server.imap, "u1");
            for (from, to) in [("Sent", "Drafts"), ("Drafts", "Sent")].into_iter().cycle() {
                imap.ok(&format!("SELECT {from}"));
                imap.ok(&format!("MOVE 1 {to}"));
                if over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        while acknowledged.lock().unwrap().len() < 100 {
            thread::yield_now();
        }
        for _ in 0..4 {
            before.push(acknowledged.lock().unwrap().clone());
            run(&mut backup(&["create", &to, "--data", &data]));
            generations += 1;
        }
        over.store(true, Ordering::Relaxed);
    });
    let verified = run(&mut backup(&["verify", &to]));
    assert!(String::from_utf8(verified).unwrap().contains("nothing is wrong"));
    for generation in 1..=generations {
        let new = temporary();
        let number = generation.to_string();
        let into = ["restore", &to, "--into", &at(&new, "data"), "--generation", &number];
        run(&mut backup(&into));
        let restored = Loft::start(&new);
        let mut imap = Imap::log_in(restored.imap, "u1");
        let inbox = texts(&mut imap, "INBOX");
        for id in &before[generation - 1] {
            assert_eq!(body(&inbox[id]), body(&mail(id).replace("\r\n", "\n")), "{id}");
        }
        // Of each writer's messages those up to one.
        for writer in 0..3 {
            let prefix = format!("lmtp-{writer}-");
            let of_it: Vec<&String> = inbox.keys().filter(|id| id.starts_with(&prefix)).collect();
            let last = format!("{prefix}{:05}", of_it.len() - 1);
            assert_eq!(**of_it.last().unwrap(), last, "generation {generation}");
        }
        let chain = texts(&mut imap, "Archive");
        assert!(chain.len() == 1 || chain.len() == 2, "{:?}", chain.keys());
        let movers = [texts(&mut imap, "Sent"), texts(&mut imap, "Drafts")];
        assert_eq!(movers.iter().map(BTreeMap::len).sum::<usize>(), 1, "generation {generation}");
    }
}

#[test]
fn there_and_back_with_a_server_and_without() {
    let dir = temporary();
    configure(dir.path(), "");
    replace(&dir.path().join("users"), "alice:{PLAIN}pw\nbob:{PLAIN}pw\nalice-old:{PLAIN}pw\n");
    let server = Loft::serve(&dir);
    let mut imap = Imap::log_in(server.imap, "alice");
    for n in 0..5 {
        imap.append("INBOX", &mail(&format!("message-{n}")));
    }
    imap.append("Sent", &mail(&"long ".repeat(200)));
    imap.ok("SELECT INBOX");
    imap.ok("STORE 2 +FLAGS (\\Flagged work)");
    imap.ok("STORE 3 +FLAGS (\\Deleted)");
    imap.ok("EXPUNGE");
    imap.ok("LOGOUT");
    Imap::log_in(server.imap, "bob").append("INBOX", &mail("bob's"));
    let (config, to) = (at(&dir, "loft.toml"), at(&dir, "backup"));
    let with = |args: &[&str]| {
        let mut command = backup(args);
        command.args(["--config", &config]);
        command
    };
    let first = lines(&run(with(&["create", &to]).arg("--json")));
    assert_eq!(first.last().unwrap()["backed_up"]["accounts"], 2, "{first:?}");
    let before = seen(&server, "alice");
    // Into the server, under another name; not over what is there.
    let renamed = ["restore", &to, "--user", "alice", "--as", "alice-old"];
    let told = String::from_utf8(run(&mut with(&renamed))).unwrap();
    assert!(told.starts_with("alice-old (from alice): 5 messages in 6 mailboxes"), "{told}");
    assert_eq!(seen(&server, "alice-old"), before);
    let refused = output(&mut with(&renamed));
    assert!(!refused.status.success() && said(&refused).contains("--as"), "{}", said(&refused));
    let running = output(&mut with(&["restore", &to, "--user", "alice", "--replace"]));
    assert!(said(&running).contains("stop it"), "{}", said(&running));
    let unknown = output(&mut with(&["restore", &to, "--user", "eve"]));
    assert!(said(&unknown).contains("loft backup list"), "{}", said(&unknown));
    assert!(server.stop().success());
    // Without a server: another generation, and the first one over what is there.
    let second = lines(&run(with(&["create", &to, "--user", "alice"]).arg("--json")));
    assert_eq!(second.last().unwrap()["backed_up"]["generation"], 2, "{second:?}");
    let listed = String::from_utf8(run(&mut backup(&["list", &to]))).unwrap();
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let over = ["restore", &to, "--generation", "1", "--user", "alice", "--replace"];
    let told = String::from_utf8(run(&mut with(&over))).unwrap();
    assert!(told.contains("under new UIDVALIDITYs; what was there is in replaced/"), "{told}");
    let server = Loft::serve(&dir);
    let validity = |lines: &[String]| -> Vec<u64> {
        let numbers = lines.iter().filter_map(|line| line.split_once("[UIDVALIDITY "));
        numbers.map(|(_, rest)| rest.split(']').next().unwrap().parse().unwrap()).collect()
    };
    let after = seen(&server, "alice");
    let (old, new) = (validity(&before), validity(&after));
    assert!(old.len() == 3 && new.iter().min() > old.iter().max(), "{old:?} {new:?}");
    let same = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|line| !line.contains("UIDVALIDITY")).cloned().collect()
    };
    assert_eq!(same(&after), same(&before));
    drop(server);
    // All of it in a new place.
    let new = temporary();
    configure(new.path(), "");
    fs::copy(dir.path().join("users"), new.path().join("users")).unwrap();
    let into = ["restore", &to, "--generation", "1", "--into", &at(&new, "data")];
    run(&mut backup(&into));
    let server = Loft::serve(&new);
    assert_eq!(seen(&server, "alice"), before);
}

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn damage_is_named_and_made_good_by_the_next_run() {
    let dir = temporary();
    let server = Loft::start(&dir);
    let (data, to) = (at(&dir, "data"), at(&dir, "backup"));
    let mut imap = Imap::log_in(server.imap, "u1");
    for n in 0..30 {
        imap.append("INBOX", &format!("Subject: {n}\r\n\r\n{}\r\n", noise(n, 25_000)));
    }
    run(&mut backup(&["create", &to, "--data", &data]));
    let objects = files(&dir.path().join("backup/objects"));
    let largest = objects.iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let mut bytes = fs::read(largest).unwrap();
    // More than a collection: one that is read in pieces.
    assert!(bytes.len() > 300_000, "{}", bytes.len());
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(largest, &bytes).unwrap();
    let found = output(backup(&["verify", &to]).arg("--json"));
    assert_eq!(found.status.code(), Some(1), "{}", said(&found));
    let damages: Vec<_> =
        lines(&found.stdout).into_iter().filter(|line| !line["damage"].is_null()).collect();
    let name = largest.strip_prefix(dir.path().join("backup")).unwrap().display().to_string();
    assert!(damages.iter().any(|line| line["damage"]["file"] == name.as_str()), "{damages:?}");
    // And the message it hits.
    let message = damages.iter().find(|line| line["damage"]["mailbox"] == "INBOX");
    assert!(message.unwrap()["damage"]["what"].as_str().unwrap().contains("UID "), "{damages:?}");
    let restored = output(&mut backup(&["restore", &to, "--into", &at(&dir, "new")]));
    assert!(!restored.status.success(), "{}", said(&restored));
    // What the store still has is copied again.
    fs::remove_file(largest).unwrap();
    run(&mut backup(&["create", &to, "--data", &data]));
    run(&mut backup(&["verify", &to]));
}

#[test]
fn wrong_directories_are_left_alone() {
    let dir = temporary();
    let server = Loft::start(&dir);
    let data = at(&dir, "data");
    Imap::log_in(server.imap, "u1").append("INBOX", &mail("x"));
    fs::create_dir(dir.path().join("other")).unwrap();
    fs::write(dir.path().join("other/file"), "").unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let wrong = |args: &[&str]| {
        let failed = output(&mut backup(args));
        assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
        said(&failed).replace(&dir.path().display().to_string(), "DIR")
    };
    let (other, file) = (at(&dir, "other"), at(&dir, "file"));
    let told = [
        wrong(&["create", &other, "--data", &data]),
        wrong(&["create", &data, "--data", &data]),
        wrong(&["create", &file, "--data", &data]),
        wrong(&["create", &at(&dir, "b"), "--data", &data, "--user", "eve"]),
        wrong(&["verify", &other]),
        wrong(&["verify", &at(&dir, "b")]),
        wrong(&["restore", &other, "--data", &data]),
    ];
    insta::assert_snapshot!(told.concat(), @r#"
    loft: DIR/other is not empty and no backup: name another directory
    loft: DIR/data is not empty and no backup: name another directory
    loft: cannot create DIR/file: File exists (os error 17)
    loft: "eve" has no mail here
    loft: DIR/other is no backup: `loft backup create` makes one
    loft: DIR/b is no backup: `loft backup create` makes one
    loft: DIR/other is no backup: `loft backup create` makes one
    "#);
    assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
}
