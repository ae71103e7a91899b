//! How much memory a large message takes while it comes in and while it is read: counted as it is allocated, and looked at
//! all the time.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail so, and samples"
)]

use imap_proto::fetch::{FetchItems, Fixed, Piece, Section, SectionKind};
use imap_proto::{Answer, Ask, FetchAsk, MailboxName, Run, Seq, Uid, UidSet};
use loft::store::{Handled, ImapUser, Store, StoreConfig, Target, read_blob};
use runtime_smol::fs::RealFs;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: usize = 1 << 20;
/// Bytes of content of the one attachment: 205 MiB of base64.
const CONTENT: usize = 150 * MIB;
/// Characters and line end of a line.
const LINE: usize = 78;

fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

/// The most that was held at a time while `work` ran, beyond what was held before.
fn peak(work: impl FnOnce()) -> usize {
    let (done, most, before) = (AtomicBool::new(false), AtomicUsize::new(0), held());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                most.fetch_max(held(), Ordering::Relaxed);
                std::thread::yield_now();
            }
        });
        work();
        done.store(true, Ordering::Release);
    });
    most.into_inner().saturating_sub(before)
}

fn at_once(handled: Handled) -> Answer {
    match handled {
        Handled::Now(answer) => answer,
        Handled::Work(work) => work(),
        Handled::Slices(_) => panic!("no SEARCH"),
    }
}

#[test]
fn a_large_attachment_takes_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let random = Arc::new(|bytes: &mut [u8]| getrandom(bytes));
    let config = StoreConfig { reserve: 0, ..StoreConfig::default() };
    let wall = Box::new(|| 1_800_000_000);
    let store = Store::open(Arc::new(RealFs), dir.path(), config, random, wall).unwrap();
    let account = store.account("u1").unwrap();
    let mut user = ImapUser::new(store.clone(), account.clone(), Arc::default());
    at_once(user.ask(Ask::Select { mailbox: MailboxName::inbox(), examine: false }));
    store.flush();
    // Each line differs from its neighbours.
    let line = |number: usize, out: &mut Vec<u8>| {
        let word = format!("{number:012}+/A");
        (0..5).for_each(|_| out.extend_from_slice(word.as_bytes()));
        out.extend_from_slice(b"A\r\n");
    };
    let lines = CONTENT / 3 * 4 / (LINE - 2);
    let delivered = peak(|| {
        let (account, mailbox) = (account.clone(), "INBOX".to_owned());
        let mut delivery =
            store.deliver(vec![Target { account, mailbox, prefix: Vec::new() }]).unwrap();
        delivery
            .write(b"Subject: large\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n")
            .unwrap();
        let mut piece = Vec::with_capacity(64 << 10);
        for number in 0..lines {
            line(number, &mut piece);
            if piece.len() > 60 << 10 {
                delivery.write(&piece).unwrap();
                piece.clear();
            }
        }
        delivery.write(&piece).unwrap();
        delivery.write(b"--b--\r\n").unwrap();
        assert!(delivery.commit().results.iter().all(Result::is_ok));
        store.flush();
    });
    let att = dir.path().join("users");
    let files = files(&att);
    assert!(files.iter().any(|len| *len == (lines * (LINE - 2) / 4 * 3) as u64), "{files:?}");
    let mut expected = Vec::with_capacity(2 * LINE);
    let fetched = peak(|| {
        let section = Section::new(vec![1], SectionKind::All, None, true);
        let items = Arc::new(FetchItems { fixed: Fixed::UID, sections: vec![section] });
        let answer = at_once(user.ask(Ask::Fetch(FetchAsk {
            runs: vec![Run { seq: Seq(1), uid: Uid(1), count: 1 }],
            items: items.clone(),
            also_flags: UidSet::new(),
            seen_items: items,
            budget: 64 << 10,
            by_uid: true,
            recent: Arc::default(),
        })));
        let Answer::Rows { pieces, .. } = answer else { panic!("{answer:?}") };
        let mut out = Vec::with_capacity(128 << 10);
        for piece in pieces {
            let Piece::Blob(blob, range) = piece else { continue };
            assert_eq!(range.end - range.start, (lines * LINE - 2) as u64);
            let mut at = range.start;
            while at < range.end {
                out.clear();
                read_blob(&blob, at..range.end.min(at + (64 << 10)), true, &mut out).unwrap();
                // All of one line, somewhere in each step.
                let number = ((at - range.start) as usize).div_ceil(LINE);
                let start = number * LINE - (at - range.start) as usize;
                expected.clear();
                line(number, &mut expected);
                assert!(out.len() < start + LINE || out[start..start + LINE] == expected);
                at += out.len() as u64;
            }
        }
    });
    println!("{delivered} bytes while it came in, {fetched} while it was read");
    assert!(delivered <= 2 * MIB, "{delivered}");
    assert!(fetched <= 2 * MIB, "{fetched}");
}

/// Any bytes will do.
fn getrandom(bytes: &mut [u8]) {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    for chunk in bytes.chunks_mut(8) {
        let word = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        chunk.iter_mut().zip(word.to_le_bytes()).for_each(|(byte, random)| *byte = random);
    }
}

/// The lengths of all files below a directory.
fn files(dir: &Path) -> Vec<u64> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        match entry.metadata().unwrap() {
            meta if meta.is_dir() => found.extend(files(&entry.path())),
            meta => found.push(meta.len()),
        }
    }
    found
}
