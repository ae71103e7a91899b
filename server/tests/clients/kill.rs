//! `kill -9` at any moment, and what was acknowledged is still there.
//!
//! This says nothing about lost power: the kernel keeps what was written. The simulated file system says that.

use crate::harness::{Loft, configure, temporary};
use crate::ledger::{HEADER, Ledger};
use crate::wire::{Imap, Lmtp};
use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Rounds, unless `LOFT_KILLS` says how many.
const ROUNDS: usize = 20;

/// What one writer does at most in a round, so that long runs stay linear.
const WORK: usize = 30;

#[test]
fn nothing_acknowledged_is_lost_doubled_or_renumbered() {
    let rounds = std::env::var("LOFT_KILLS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    kill_often(rounds, Loft::start);
}

#[test]
fn nor_where_nothing_is_synced_before_it_is_acknowledged() {
    kill_often(ROUNDS / 2, |dir| {
        std::fs::write(dir.path().join("users"), "u1:{PLAIN}pw\nu2:{PLAIN}pw\n").unwrap();
        configure(dir.path(), "[durability]\nmode = \"process-crash\"\nflags = \"deferred\"\n");
        Loft::serve(dir)
    });
}

fn kill_often(rounds: usize, start: impl Fn(&TempDir) -> Loft) {
    let seed = std::env::var("SEED").map_or_else(|_| random(), |seed| seed.parse().unwrap());
    eprintln!("SEED={seed}");
    let dir = temporary();
    let ledger = Ledger::default();
    let mut dice = Dice(seed);
    for round in 0..rounds {
        let loft = start(&dir);
        ledger.check(loft.imap);
        let delay = Duration::from_micros(dice.below(80_000));
        let (imap, lmtp) = (loft.imap, loft.lmtp);
        thread::scope(|scope| {
            for writer in 0..4 {
                let (ledger, name) = (&ledger, format!("{round}.l{writer}"));
                scope.spawn(move || deliver(ledger, lmtp, &name));
            }
            for writer in 0..2 {
                let (ledger, name) = (&ledger, format!("{round}.a{writer}"));
                scope.spawn(move || append(ledger, imap, &name, writer));
            }
            for writer in 0..2 {
                let (ledger, dice) = (&ledger, Dice(seed ^ ((round as u64) << 8) ^ writer));
                scope.spawn(move || change(ledger, imap, dice));
            }
            thread::sleep(delay);
            loft.kill();
        });
    }
    let loft = start(&dir);
    let mails = ledger.check(loft.imap);
    let acknowledged: usize =
        ["u1", "u2"].map(|name| ledger.account(name, |of| of.acknowledged.len())).iter().sum();
    eprintln!(
        "{rounds} kills, {acknowledged} mails acknowledged, {mails} there that were not expunged"
    );
    assert!(
        acknowledged > rounds,
        "the kills came too early to mean anything: {acknowledged} acknowledged"
    );
    // And it still stops and starts in order.
    assert!(loft.stop().success());
    ledger.check(start(&dir).imap);
}

/// Works until the server is gone: errors of the connection are what this test is about.
fn until_killed(work: impl FnOnce() -> io::Result<()>) {
    let _killed = work();
}

fn mail(id: &str) -> String {
    format!("{HEADER}: {id}\r\nSubject: ledger\r\n\r\n{}\r\n", "some text ".repeat(50))
}

/// Delivers to one account, or to both at once.
fn deliver(ledger: &Ledger, at: SocketAddr, name: &str) {
    until_killed(|| {
        let mut lmtp = Lmtp::connect(at)?;
        for n in 0..WORK {
            let id = format!("{name}.{n}");
            let to: &[&str] = if n % 3 == 0 { &["u1", "u2"] } else { &["u1"] };
            for account in to {
                ledger.account(account, |of| of.sent.insert(id.clone()));
            }
            let replies = lmtp.deliver(to, &mail(&id))?;
            for (account, reply) in to.iter().zip(replies) {
                assert!(reply.starts_with("250"), "{reply}");
                ledger.account(account, |of| of.acknowledged.insert(id.clone(), None));
            }
        }
        Ok(())
    });
}

fn append(ledger: &Ledger, at: SocketAddr, name: &str, writer: usize) {
    until_killed(|| {
        let account = if writer == 0 { "u1" } else { "u2" };
        let mut imap = Imap::connect(at)?;
        imap.command(&format!("LOGIN {account} pw"))?;
        for n in 0..WORK {
            let id = format!("{name}.{n}");
            ledger.account(account, |of| of.sent.insert(id.clone()));
            let lines = imap.try_append("INBOX", &mail(&id))?;
            let reply = lines.last().map_or("", String::as_str);
            let uid = reply
                .split_once("[APPENDUID ")
                .and_then(|(_, rest)| rest.split([' ', ']']).nth(1)?.parse().ok());
            assert!(reply.starts_with("t OK") && uid.is_some(), "{reply}");
            ledger.account(account, |of| of.acknowledged.insert(id, uid));
        }
        Ok(())
    });
}

/// Flags and expunges mails that were seen after the last start.
fn change(ledger: &Ledger, at: SocketAddr, mut dice: Dice) {
    until_killed(|| {
        let mut imap = Imap::connect(at)?;
        imap.command("LOGIN u1 pw")?;
        imap.command("SELECT INBOX")?;
        for n in 0..WORK {
            let pick = dice.next();
            let uid = ledger.account("u1", |of| {
                let there: Vec<u32> =
                    of.seen.keys().filter(|uid| !of.expunging.contains(uid)).copied().collect();
                let uid = *there.get(pick as usize % there.len().max(1))?;
                if n % 3 == 0 {
                    of.expunging.insert(uid);
                }
                Some(uid)
            });
            let Some(uid) = uid else { return Ok(()) };
            let flag = if n % 3 == 0 { "\\Deleted" } else { "\\Flagged" };
            let lines = imap.command(&format!("UID STORE {uid} +FLAGS.SILENT ({flag})"))?;
            let stored = lines.last().is_some_and(|line| line.starts_with("t OK"));
            if n % 3 == 0 {
                let lines = imap.command(&format!("UID EXPUNGE {uid}"))?;
                assert!(
                    stored && lines.last().is_some_and(|line| line.starts_with("t OK")),
                    "{lines:?}"
                );
                ledger.account("u1", |of| of.expunged.insert(uid));
            } else if stored {
                // The other one may have expunged it meanwhile; then there is nothing to keep.
                ledger.account("u1", |of| of.flagged.insert(uid));
            }
        }
        Ok(())
    });
}

/// Reproducible chance (xorshift64*).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.max(1);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}
