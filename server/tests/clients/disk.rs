//! A server whose disk gives it nothing for a while: files that may not grow, no more open files.
//!
//! Limits of the process stand for those of a disk, since they need no privileges: where a full disk says ENOSPC they say
//! EFBIG and EMFILE. Those of disks are played by the simulated one (`store/tests/trouble.rs`).

use crate::harness::{Loft, command, noise, temporary};
use crate::wire::{Imap, Lmtp};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Sets a soft limit of the server; the one before.
fn limit(server: &Loft, resource: Resource, current: Option<u64>) -> Rlimit {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    let maximum = getrlimit(resource).maximum;
    prlimit(pid, resource, Rlimit { current: current.or(maximum), maximum }).unwrap()
}

/// The largest file below a directory, in bytes.
fn largest(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let length = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => largest(&entry.path()),
        Ok(_) => entry.metadata().map_or(0, |meta| meta.len()),
        Err(_) => 0,
    };
    entries.map(length).max().unwrap_or(0)
}

fn mail(id: &str) -> String {
    sized(id, 2000)
}

fn sized(id: &str, words: usize) -> String {
    format!("Subject: {id}\r\n\r\n{}\r\n", noise(rand(), 10 * words))
}

/// Subjects in an INBOX; each stands there once.
fn subjects(imap: &mut Imap) -> BTreeSet<String> {
    imap.ok("EXAMINE INBOX");
    let mut found = BTreeSet::new();
    for line in imap.ok("UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]") {
        if let Some(subject) = line.strip_prefix("Subject: ") {
            assert!(found.insert(subject.to_owned()), "{subject} is there twice");
        }
    }
    found
}

/// A server that a write behind the limit of a file's length does not kill: it is told, as of a full disk.
fn start_without_xfsz(dir: &TempDir) -> Loft {
    let shell = "trap '' XFSZ; exec \"$0\" \"$@\"";
    let mut server = Command::new("sh");
    let plain = command(dir.path());
    server.args(["-c", shell]).arg(plain.get_program()).args(plain.get_args());
    server.env_remove("LOFT_LOG").stdin(Stdio::null());
    Loft::start_by(server, dir)
}

/// Tries until it is taken, as a sender would: service comes back by itself.
fn until_taken(mut deliver: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !deliver() {
        assert!(begun.elapsed() < Duration::from_secs(30), "service does not come back");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn files_that_may_not_grow_cost_nothing_that_was_acknowledged() {
    let dir = temporary();
    let server = start_without_xfsz(&dir);
    let mut acknowledged = BTreeSet::new();
    let mut refused = 0;
    let mut lmtp = Lmtp::connect(server.lmtp).unwrap();
    let mut deliver = |lmtp: &mut Lmtp, id: &str| match lmtp.try_deliver("u1", &mail(id)).unwrap() {
        reply if reply.starts_with("250") => {
            acknowledged.insert(id.to_owned());
            true
        }
        reply => {
            assert!(reply.starts_with("452 4.3.1") || reply.starts_with("451 4."), "{reply}");
            refused += 1;
            false
        }
    };
    for cycle in 0..20 {
        assert!(deliver(&mut lmtp, &format!("{cycle}-before")) || cycle > 0);
        // Containers and logs are at their ends; the journal's segment is zeroed ahead, so it may take a little still.
        let users = dir.path().join("data/users");
        limit(&server, Resource::Fsize, Some(largest(&users)));
        let mut id = 0;
        while deliver(&mut lmtp, &format!("{cycle}-{id}")) {
            id += 1;
            assert!(id < 1000, "it takes mail without end");
        }
        // Another one logs in to see mail, which goes on, and to save some, which does not.
        let mut imap = Imap::connect(server.imap).unwrap();
        let lines = imap.command("LOGIN u1 pw").unwrap();
        if lines.last().unwrap().starts_with("t OK") {
            let lines = imap.try_append("INBOX", &mail("no")).unwrap();
            let reply = lines.last().unwrap();
            assert!(reply.starts_with("t NO [UNAVAILABLE]"), "{reply}");
        } else {
            assert!(lines.last().unwrap().starts_with("t NO [UNAVAILABLE]"), "{lines:?}");
        }
        limit(&server, Resource::Fsize, None);
        until_taken(|| deliver(&mut lmtp, &format!("{cycle}-after-{id}-{}", rand())));
    }
    assert!(refused >= 20, "{refused}");
    let there = subjects(&mut Imap::log_in(server.imap, "u1"));
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "{lost:?}");
    assert!(server.stop().success());
    let server = Loft::start(&dir);
    let there = subjects(&mut Imap::log_in(server.imap, "u1"));
    assert!(acknowledged.is_subset(&there));
}

/// How many files it has open, once what was acknowledged is in its files.
fn open_files(server: &Loft) -> u64 {
    let count = || fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count() as u64;
    let mut seen = vec![count()];
    while seen.iter().rev().take_while(|is| Some(*is) == seen.last()).count() < 20 {
        std::thread::sleep(Duration::from_millis(10));
        seen.push(count());
    }
    seen.pop().unwrap()
}

/// So that what is tried again has another name.
fn rand() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

#[test]
fn a_stop_while_files_may_not_grow_keeps_what_was_acknowledged() {
    let dir = temporary();
    let server = start_without_xfsz(&dir);
    let mut lmtp = Lmtp::connect(server.lmtp).unwrap();
    let mut acknowledged = BTreeSet::new();
    // Until a container is larger than a segment of the journal: then the limit is the container's alone.
    for n in 0..250 {
        let id = format!("filling-{n}");
        let reply = lmtp.try_deliver("u1", &sized(&id, 10_000)).unwrap();
        assert!(reply.starts_with("250"), "{reply}");
        acknowledged.insert(id);
    }
    assert!(largest(&dir.path().join("data/users")) > 16 << 20);
    limit(&server, Resource::Fsize, Some(largest(&dir.path().join("data/users"))));
    for n in 0..1000 {
        let id = format!("{n}");
        if !lmtp.try_deliver("u1", &mail(&id)).unwrap().starts_with("250") {
            break;
        }
        acknowledged.insert(id);
    }
    // The last one that was acknowledged is in the journal alone, and others are taken.
    server.wait_for_log("could not be written to their files yet");
    assert!(lmtp.try_deliver("u2", &mail("other")).unwrap().starts_with("250"));
    drop(lmtp);
    assert!(server.stop().success());
    let server = Loft::start(&dir);
    let there = subjects(&mut Imap::log_in(server.imap, "u1"));
    let lost: Vec<_> = acknowledged.difference(&there).collect();
    assert!(lost.is_empty(), "{lost:?}");
    server.wait_for_log("the journal of an unclean stop was replayed");
}

#[test]
fn without_another_open_file_others_go_on_and_all_comes_back() {
    let dir = temporary();
    let server = Loft::start(&dir);
    let mut lmtp = Lmtp::connect(server.lmtp).unwrap();
    let mut imap = Imap::log_in(server.imap, "u1");
    let mut acknowledged = BTreeSet::new();
    let mut deliver = |lmtp: &mut Lmtp, user: &str, id: &str| {
        let reply = lmtp.try_deliver(user, &mail(id)).unwrap();
        let taken = reply.starts_with("250");
        assert!(taken || reply.starts_with("452 4.3.1") || reply.starts_with("451 4."), "{reply}");
        if taken && user == "u1" {
            acknowledged.insert(id.to_owned());
        }
        taken
    };
    assert!(deliver(&mut lmtp, "u1", "first"));
    for round in 0..3 {
        let fds = open_files(&server);
        limit(&server, Resource::Nofile, Some(fds - 1));
        // Somebody whose files are not open yet.
        let fresh = format!("u{}", round + 2);
        let taken = deliver(&mut lmtp, &fresh, "fresh");
        assert!(!taken, "{fresh} needs files");
        // Whose files are open goes on.
        for n in 0..5 {
            assert!(deliver(&mut lmtp, "u1", &format!("{round}-{n}")));
        }
        imap.ok("NOOP");
        limit(&server, Resource::Nofile, None);
        until_taken(|| deliver(&mut lmtp, &fresh, "again"));
        assert!(deliver(&mut lmtp, "u1", &format!("{round}-after")));
    }
    assert!(acknowledged.is_subset(&subjects(&mut imap)));
    server.kill();
    let server = Loft::start(&dir);
    assert!(acknowledged.is_subset(&subjects(&mut Imap::log_in(server.imap, "u1"))));
}
