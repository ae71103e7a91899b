//! The cache changes no answer, whatever becomes of its files; and where it has an answer, no message is read.

use super::damage::DAMAGES;
use super::world::{at_once, config, open_with};
use crate::store::account::Account;
use crate::store::cache::Facts;
use crate::store::config::StoreConfig;
use crate::store::delivery::Target;
use crate::store::imap::ImapUser;
use crate::store::ops::{Named, Storing};
use crate::store::store::Store;
use imap_proto::date::Day;
use imap_proto::fetch::{FetchItems, FieldNames, Fixed, Piece, Section, SectionKind};
use imap_proto::search::{Key, Limits, Order, Program};
use imap_proto::sort::{self, Criterion, SortKey};
use imap_proto::thread::Algorithm;
use imap_proto::{
    Answer, Ask, FetchAsk, Flags, MailboxName, Run, Seq, StoreAction, StoredRows, SystemFlags,
    UidSet,
};
use runtime_smol::sim::{SimFs, Variant};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Mail as it should be and as it should not.
fn messages() -> Vec<Vec<u8>> {
    let long = format!(
        "Received: {}\r\nFrom: a@b\r\nX-Spam-Score: 7\r\nSubject: long header\r\nTo: c@d\r\nX-Last: y\r\n\r\nbody\r\n",
        "by some host, ".repeat(300)
    );
    let longer = format!("X-Trace: {}\r\nSubject: longer\r\n\r\n", "z".repeat(20_000));
    let wide = format!("To: {}\r\nSubject: wide\r\n\r\n", "someone@example.org, ".repeat(2000));
    let texts: [&str; 15] = [
        "Date: Mon, 2 Mar 2026 10:00:00 +0100\r\nFrom: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: plain\r\nMessage-ID: <1@example.org>\r\nX-Spam-Score: 3\r\n\r\nHello.\r\n",
        "From: ann@example.org\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: application/octet-stream; name=\"x\"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--b--\r\n",
        "Content-Type: message/rfc822\r\nSubject: outer\r\n\r\nSubject: inner\r\nFrom: in@side\r\n\r\ndeep\r\n",
        "",
        "\r\n",
        "\r\nno header at all\r\n",
        "no header, no colon\r\nand no empty line",
        " begins with a continuation\r\nSubject: after it\r\n\r\nx",
        "Subject: bare LF\nFrom: lf@example.org\nContent-Type: multipart/alternative; boundary=\"q\"\n\n--q\n\nA\n--q\n",
        "Subject: no line end behind it",
        "subject: twice\r\nSubject : again\r\nSUBJECT:and again\r\n\r\n",
        "Subject: nul \0 and 8 bit \u{fc}\r\nFrom: \"unfinished\r\nTo: ((((\r\n\r\n\0\0",
        "Subject: folded\r\n  over\r\n\tlines\r\nReferences: <a@b>\r\n <c@d>\r\nDate: nonsense\r\n\r\n.\r\n",
        "From: a@b\r\n\r\n",
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\n--x--\r\n--x\r\n",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.extend([long, longer, wide].map(String::into_bytes));
    all
}

/// Rows are taken apart as they come.
fn with_memory(cache_memory: usize) -> StoreConfig {
    StoreConfig { cache_memory, cache_apart: 0, ..config() }
}

pub(super) struct Opened {
    pub(super) store: Arc<Store>,
    account: Arc<Account>,
}

impl Opened {
    fn open(fs: &SimFs, cache_memory: usize) -> Self {
        Self::open_with(fs, with_memory(cache_memory))
    }

    pub(super) fn open_with(fs: &SimFs, config: StoreConfig) -> Self {
        let store = open_with(fs, 11, config).unwrap();
        let account = store.account("u1").unwrap();
        store.flush();
        Self { store, account }
    }

    pub(super) fn deliver(&self, text: &[u8], prefix: &[u8]) {
        let target = Target {
            account: self.account.clone(),
            mailbox: "INBOX".to_owned(),
            prefix: prefix.to_vec(),
        };
        let mut delivery = self.store.deliver(vec![target]).unwrap();
        delivery.write(text).unwrap();
        assert!(delivery.commit().results.iter().all(Result::is_ok));
        self.store.flush();
    }

    /// All messages, with and without lines in front, appended too.
    fn fill(&self) {
        for text in messages() {
            self.deliver(&text, b"Return-Path: <r@example.org>\r\nX-To: u1\r\n");
            self.deliver(&text, b"");
            self.deliver(&text, b"Subject: in front\r\n");
            let mut user = self.user();
            let size = text.len() as u64;
            let (mailbox, flags) = (MailboxName::inbox(), Flags::default());
            let open =
                Ask::AppendOpen { mailbox, flags, date: None, size, binary: true, first: true };
            assert!(matches!(ask(&mut user, open), Answer::Proceed));
            text.chunks(100).for_each(|piece| user.body(piece));
            assert!(matches!(ask(&mut user, Ask::AppendCommit), Answer::Appended { .. }));
            self.store.flush();
        }
    }

    pub(super) fn user(&self) -> ImapUser {
        ImapUser::new(self.store.clone(), self.account.clone(), Arc::default())
    }

    /// What FETCH and SEARCH say of every message in INBOX.
    fn answers(&self) -> Vec<String> {
        let mut user = self.user();
        let select = Ask::Select { mailbox: MailboxName::inbox(), examine: true };
        let Answer::Selected(selected) = ask(&mut user, select) else { panic!("no INBOX") };
        let mut answers = Vec::new();
        for items in items() {
            answers.push(fetch(&mut user, &selected.uids, items));
        }
        for key in keys() {
            let program = Arc::new(Program::compile(&key, Limits::default()).unwrap());
            let Answer::Found { uids, .. } = ask(&mut user, Ask::Search { program }) else {
                panic!("{key:?} is refused")
            };
            answers.push(format!("{key:?}: {uids:?}"));
        }
        for (key, name) in SortKey::NAMES {
            let program = Arc::new(Program::compile(&Key::All, Limits::default()).unwrap());
            let order = Arc::new(sort::Order(vec![Criterion { key, reverse: false }]));
            let Answer::Sorted { uids, .. } = ask(&mut user, Ask::Sort { program, order }) else {
                panic!("{key:?} is refused")
            };
            assert_eq!(uids.len() as u64, selected.uids.len());
            answers.push(format!("{name}: {uids:?}"));
        }
        for (algorithm, name) in Algorithm::NAMES {
            let program = Arc::new(Program::compile(&Key::All, Limits::default()).unwrap());
            let answer = ask(&mut user, Ask::Thread { program, algorithm });
            let Answer::Threaded(threads) = answer else { panic!("{name} is refused") };
            answers.push(format!("{name}: {threads:?}"));
        }
        answers
    }

    /// Answers for which no message should be needed.
    fn listing(&self) -> String {
        let mut user = self.user();
        let select = Ask::Select { mailbox: MailboxName::inbox(), examine: true };
        let Answer::Selected(selected) = ask(&mut user, select) else { panic!("no INBOX") };
        fetch(&mut user, &selected.uids, items().swap_remove(1))
    }

    fn files(&self, fs: &SimFs) -> Vec<PathBuf> {
        cache_files(fs)
    }
}

pub(super) fn cache_files(fs: &SimFs) -> Vec<PathBuf> {
    let is_cache = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "cache");
    fs.files().into_iter().filter(is_cache).collect()
}

pub(super) fn ask(user: &mut ImapUser, ask: Ask) -> Answer {
    at_once(user.ask(ask))
}

/// The messages of INBOX.
pub(super) fn select(user: &mut ImapUser) -> UidSet {
    let select = Ask::Select { mailbox: MailboxName::inbox(), examine: true };
    let Answer::Selected(selected) = ask(user, select) else { panic!("no INBOX") };
    selected.uids
}

/// FETCH of all messages at once, batch after batch.
pub(super) fn fetch_all(user: &mut ImapUser, uids: &UidSet, items: FetchItems) -> String {
    let (items, mut out) = (Arc::new(items), String::new());
    let uids: Vec<imap_proto::Uid> = uids.iter().collect();
    let mut at = 0;
    while at < uids.len() {
        let count = (uids.len() - at) as u32;
        let runs = vec![Run { seq: Seq(at as u32 + 1), uid: uids[at], count }];
        let fetch = Ask::Fetch(FetchAsk {
            runs,
            items: items.clone(),
            also_flags: UidSet::new(),
            seen_items: items.clone(),
            budget: 64 << 10,
            by_uid: true,
            recent: Arc::default(),
        });
        let Answer::Rows { pieces, served, .. } = ask(user, fetch) else { panic!("no rows") };
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => write!(out, "{}", bytes.escape_ascii()).unwrap(),
                Piece::Blob(_, range) => write!(out, "blob {range:?}").unwrap(),
            }
        }
        at += served as usize;
    }
    out
}

fn fields(names: &[&str], wanted: bool, partial: Option<(u64, u64)>) -> Section {
    let names = FieldNames::new(names.iter().map(|name| name.as_bytes().to_vec()).collect());
    let kind =
        if wanted { SectionKind::HeaderFields(names) } else { SectionKind::HeaderFieldsNot(names) };
    Section::new(Vec::new(), kind, partial, true)
}

fn items() -> Vec<FetchItems> {
    let of = |fixed, sections| FetchItems { fixed, sections };
    let whole = |kind| Section::new(Vec::new(), kind, None, true);
    vec![
        of(Fixed::UID | Fixed::BODY, Vec::new()),
        of(
            Fixed::ENVELOPE | Fixed::BODYSTRUCTURE,
            vec![fields(&["Subject", "FROM", "date", "Message-Id", "References"], true, None)],
        ),
        of(Fixed::SIZE, vec![fields(&["X-Spam-Score", "subject"], true, None)]),
        of(Fixed::SIZE, vec![fields(&["Subject"], false, Some((2, 40)))]),
        of(Fixed::ENVELOPE, vec![whole(SectionKind::Header)]),
        of(Fixed::EMAILID, vec![whole(SectionKind::Text), whole(SectionKind::All)]),
        of(
            Fixed::BODY,
            vec![
                Section::new(vec![1], SectionKind::All, None, true),
                Section::new(vec![1], SectionKind::Mime, None, true),
                Section::new(Vec::new(), SectionKind::Header, Some((3, 9)), true),
            ],
        ),
    ]
}

fn keys() -> Vec<Key> {
    let day = Day::from_civil(2026, 3, 2).unwrap();
    vec![
        Key::header("from", b"ann"),
        Key::header("subject", "CAFÉ".as_bytes()),
        Key::header("x-spam-score", b"7"),
        Key::header("subject", b""),
        Key::Sent(Order::On, day),
        Key::Text(b"deep".to_vec()),
        Key::Body(b"one".to_vec()),
    ]
}

fn fetch(user: &mut ImapUser, uids: &UidSet, items: FetchItems) -> String {
    let items = Arc::new(items);
    let mut out = String::new();
    for (seq, uid) in (1..).zip(uids.iter()) {
        let runs = vec![Run { seq: Seq(seq), uid, count: 1 }];
        let answer = ask(
            user,
            Ask::Fetch(FetchAsk {
                runs,
                items: items.clone(),
                also_flags: UidSet::new(),
                seen_items: items.clone(),
                budget: 64 << 10,
                by_uid: true,
                recent: Arc::default(),
            }),
        );
        let Answer::Rows { pieces, served: 1, .. } = answer else {
            writeln!(out, "{seq}: {answer:?}").unwrap();
            continue;
        };
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => write!(out, "{}", bytes.escape_ascii()).unwrap(),
                Piece::Blob(_, range) => write!(out, "blob {range:?}").unwrap(),
            }
        }
        out.push('\n');
    }
    out
}

/// Both answers to each question, or where they differ.
fn assert_same(expected: &[String], found: &[String], what: &dyn std::fmt::Debug) {
    assert_eq!(expected.len(), found.len());
    for (expected, found) in expected.iter().zip(found) {
        for (expected, found) in expected.lines().zip(found.lines()) {
            assert_eq!(expected, found, "{what:?}");
        }
        assert_eq!(expected.lines().count(), found.lines().count(), "{what:?}");
    }
}

/// A disk with all messages, its journal checkpointed, and the answers without any cache.
fn disk(cache_memory: usize) -> (SimFs, Vec<String>) {
    let fs = SimFs::new();
    let filled = Opened::open(&fs, cache_memory);
    filled.fill();
    filled.store.checkpoint(0).unwrap();
    drop(filled);
    let fs = fs.crashed(Variant::Everything);
    let without = Opened::open(&fs, 0);
    let expected = without.answers();
    drop(without);
    (fs.crashed(Variant::Everything), expected)
}

const MEMORY: usize = 1 << 20;

#[test]
fn the_cache_changes_no_answer() {
    let fs = SimFs::new();
    let filled = Opened::open(&fs, MEMORY);
    filled.fill();
    let unwritten = filled.answers();
    assert!(filled.store.cache.held_bytes().1 > 0, "nothing waits to be written");
    filled.store.checkpoint(0).unwrap();
    assert_eq!(filled.store.cache.held_bytes().1, 0);
    let written = filled.answers();
    assert!(filled.store.cache.held_bytes().0 > 0, "no file was read");
    let asked = filled.answers();
    filled.store.checkpoint(0).unwrap();
    drop(filled);
    let fs = fs.crashed(Variant::Everything);
    let without = Opened::open(&fs, 0);
    let expected = without.answers();
    drop(without);
    let again = Opened::open(&fs.crashed(Variant::Everything), MEMORY);
    for (what, found) in [
        ("unwritten", unwritten),
        ("written", written),
        ("asked again", asked),
        ("after a restart", again.answers()),
    ] {
        assert_same(&expected, &found, &what);
    }
}

#[test]
fn a_cache_filled_on_first_use_changes_no_answer() {
    let (fs, expected) = disk(0);
    assert!(cache_files(&fs).is_empty(), "a cache that is off writes files");
    let filled = Opened::open(&fs, MEMORY);
    assert_same(&expected, &filled.answers(), &"first");
    assert!(filled.store.cache.held_bytes().1 > 0, "nothing was kept");
    assert_same(&expected, &filled.answers(), &"second");
    filled.store.checkpoint(0).unwrap();
    let known = filled.store.cache.held_bytes().1;
    assert_same(&expected, &filled.answers(), &"written");
    // What can't be kept is not tried again and again.
    assert_eq!(filled.store.cache.held_bytes().1, known, "rows are added twice");
}

#[test]
fn row_71_a_damaged_cache_changes_no_answer() {
    let (fs, expected) = disk(MEMORY);
    let files = cache_files(&fs);
    assert_eq!(files.len(), 6);
    let damages =
        DAMAGES.into_iter().flat_map(|damage| files.iter().map(move |file| (file, damage)));
    for (file, (what, damage)) in damages {
        let what = (file, what);
        let fs = fs.crashed(Variant::Everything);
        fs.corrupt(file, damage).unwrap();
        let damaged = Opened::open(&fs, MEMORY);
        assert_same(&expected, &damaged.answers(), &what);
        damaged.store.checkpoint(0).unwrap();
        assert_same(&expected, &damaged.answers(), &(what, "written again"));
        damaged.store.checkpoint(0).unwrap();
        drop(damaged);
        // What was damaged was made anew: it serves without the messages.
        let fs = fs.crashed(Variant::Everything);
        corrupt_containers(&fs);
        let (same, all) = listed_alone(&fs, &expected[1]);
        // One message, in four ways, has an ENVELOPE that is too long for a row.
        assert_eq!(same + 4, all, "{what:?}");
    }
}

/// How many messages are listed from the cache alone, of how many.
fn listed_alone(fs: &SimFs, expected: &str) -> (usize, usize) {
    let found = Opened::open(fs, MEMORY).listing();
    let same = expected.lines().zip(found.lines()).filter(|(expected, found)| expected == found);
    (same.count(), expected.lines().count())
}

#[test]
fn a_bit_flipped_anywhere_in_the_cache_changes_no_answer() {
    let (fs, expected) = disk(MEMORY);
    for file in cache_files(&fs) {
        let len = fs.peek(&file).unwrap().len();
        for at in (0..len).step_by((len / 10).max(1)) {
            let fs = fs.crashed(Variant::Everything);
            fs.corrupt(&file, |bytes| bytes[at] ^= 1 << (at % 8)).unwrap();
            assert_same(&expected, &Opened::open(&fs, MEMORY).answers(), &(&file, at));
        }
    }
}

/// Makes every message unreadable.
fn corrupt_containers(fs: &SimFs) {
    let containers: Vec<PathBuf> = fs
        .files()
        .into_iter()
        .filter(|path| path.components().any(|part| part.as_os_str() == "storage"))
        .collect();
    assert!(!containers.is_empty());
    for path in containers {
        fs.corrupt(&path, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0x55)).unwrap();
    }
}

#[test]
fn what_was_delivered_is_listed_without_reading_it() {
    let (fs, expected) = disk(MEMORY);
    corrupt_containers(&fs);
    let without = Opened::open(&fs.crashed(Variant::Everything), 0);
    assert!(without.listing() != expected[1], "the messages can still be read");
    drop(without);
    // But for those with lines in front that change the ENVELOPE, and those that are too long for a row.
    let (same, all) = listed_alone(&fs, &expected[1]);
    println!("{same} of {all} messages are listed from the cache alone");
    assert!(same * 10 >= all * 6, "{same} of {all}");
}

#[test]
fn another_stores_or_accounts_file_is_a_miss() {
    let (fs, expected) = disk(MEMORY);
    let files = cache_files(&fs);
    let other = SimFs::new();
    let store = open_with(&other, 12, with_memory(MEMORY)).unwrap();
    for name in ["u1", "u2"] {
        let account = store.account(name).unwrap();
        let this = Opened { store: store.clone(), account };
        this.deliver(b"Subject: of another\r\n\r\n", b"");
    }
    store.checkpoint(0).unwrap();
    let others = cache_files(&other);
    assert_eq!(others.len(), 12);
    for path in &others {
        let foreign = other.peek(path).unwrap();
        let fs = fs.crashed(Variant::Everything);
        let same = files.iter().find(|file| file.file_name() == path.file_name()).unwrap();
        fs.corrupt(same, |bytes| *bytes = foreign).unwrap();
        assert_same(&expected, &Opened::open(&fs, MEMORY).answers(), path);
    }
}

#[test]
fn a_copy_and_a_moved_message_keep_their_rows() {
    let fs = SimFs::new();
    let this = Opened::open(&fs, MEMORY);
    this.deliver(b"From: a@b\r\nSubject: travels\r\n\r\n", b"X-To: u1\r\n");
    this.store.checkpoint(0).unwrap();
    let state = this.account.lock().unwrap();
    let guid = state.list.by_name("INBOX").unwrap().guid;
    drop(state);
    for (name, moving) in [("Copied", false), ("Moved", true)] {
        this.store.create(&this.account, name, index_format::list::SpecialUse::NONE).unwrap();
        let uids = UidSet::range(imap_proto::Uid(1), imap_proto::Uid(1));
        this.store.copy(&this.account, (guid, 0), (&uids, true), name, moving).unwrap();
        this.store.checkpoint(0).unwrap();
    }
    drop(this);
    let fs = fs.crashed(Variant::Everything);
    corrupt_containers(&fs);
    let this = Opened::open(&fs, MEMORY);
    for name in ["Copied", "Moved"] {
        let mut user = this.user();
        let select = Ask::Select { mailbox: MailboxName::new(name).unwrap(), examine: true };
        let Answer::Selected(selected) = ask(&mut user, select) else { panic!("no {name}") };
        let rows = fetch(&mut user, &selected.uids, items().swap_remove(1));
        assert!(rows.contains("travels"), "{name}: {rows}");
    }
}

#[test]
fn files_shrink_with_their_messages_and_go_with_the_last() {
    for apart in [0, u64::MAX] {
        files_shrink(apart);
    }
}

fn files_shrink(cache_apart: u64) {
    let fs = SimFs::new();
    let this = Opened::open_with(&fs, StoreConfig { cache_apart, ..with_memory(MEMORY) });
    for count in 0..40 {
        this.deliver(format!("Subject: number {count}\r\n\r\n").as_bytes(), b"");
    }
    this.store.checkpoint(0).unwrap();
    let files = this.files(&fs);
    let len =
        || files.iter().map(|file| fs.peek(file).map_or(0, |bytes| bytes.len())).sum::<usize>();
    let full = len();
    let expunge = |first: u32, last: u32| {
        let uids = UidSet::range(imap_proto::Uid(first), imap_proto::Uid(last));
        let guid = this.account.lock().unwrap().list.by_name("INBOX").unwrap().guid;
        let flags = index_format::Flags(SystemFlags::DELETED.0);
        let named = Named { system: flags, keywords: &[] };
        let (action, rows) = (StoreAction::Add, StoredRows::None);
        let storing = Storing { uids: &uids, action, named, unchanged_since: None, rows };
        this.store.store_flags(&this.account, (guid, 0), storing).unwrap();
        this.store.expunge(&this.account, (guid, 0), None).unwrap();
        this.store.checkpoint(0).unwrap();
    };
    expunge(1, 20);
    assert_eq!(len(), full, "half of it is of use");
    expunge(21, 36);
    let few = len() - 52 * files.len();
    assert!(few * 5 < full, "{few} of {full} bytes for 4 of 40 messages");
    let listed = this.listing();
    assert_eq!(listed.lines().count(), 4);
    assert!(listed.contains("number 39"));
    expunge(37, 40);
    let rows = |file: &PathBuf| file.file_name().unwrap() != "asked";
    assert_eq!(this.files(&fs).into_iter().filter(rows).count(), 0);
    this.deliver(b"Subject: life goes on\r\n\r\n", b"");
    this.store.checkpoint(0).unwrap();
    let again: Vec<PathBuf> = this.files(&fs).into_iter().filter(rows).collect();
    assert_eq!(again, files);
}

#[test]
fn a_start_sweeps_what_a_crash_has_left() {
    let (fs, _) = disk(MEMORY);
    let files = cache_files(&fs);
    // Files of messages that are all gone, and the remains of one being made anew.
    for name in ["00000007.0003", "00000007.0020", "00000007.0003.tmp", "00000007"] {
        let path = files[0].with_file_name(name);
        use runtime_smol::fs::{Fs, Open};
        let made = fs.open(&path, Open::Create).unwrap();
        made.append(&[std::io::IoSlice::new(&fs.peek(&files[0]).unwrap())]).unwrap();
    }
    let this = Opened::open(&fs, MEMORY);
    this.store.checkpoint(0).unwrap();
    assert_eq!(cache_files(&fs), files);
}

#[test]
fn nothing_is_written_when_the_disk_is_short_of_room() {
    let fs = SimFs::new();
    fs.set_capacity(Some(4 << 20));
    let config = StoreConfig { reserve: 3 << 20, ..with_memory(MEMORY) };
    let this = Opened::open_with(&fs, config);
    this.deliver(b"Subject: no room\r\n\r\n", b"");
    let listed = this.listing();
    this.store.checkpoint(0).unwrap();
    assert!(cache_files(&fs).is_empty(), "the cache is written");
    assert_eq!(this.store.cache.held_bytes().1, 0);
    assert_eq!(this.listing(), listed);
    fs.set_capacity(None);
    this.store.checkpoint(0).unwrap();
    assert!(!cache_files(&fs).is_empty(), "what was asked for is not kept");
}

/// If this fails, what is cached is rendered otherwise than by the program before: raise
/// [`imap_proto::mime::RENDERING`] and write the new number here.
#[test]
fn what_is_cached_is_rendered_as_its_version_says() {
    let mut sum = 0xcbf2_9ce4_8422_2325u64;
    for text in messages() {
        let row = Facts::of(&text).map_or(Vec::new(), |facts| facts.row(b"").unwrap().to_vec());
        sum = row.iter().fold(sum, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3) // FNV-1a
        });
    }
    assert_eq!((imap_proto::mime::RENDERING, sum), (2, RENDERED));
}

const RENDERED: u64 = 8_573_797_440_699_295_595;

#[test]
fn memory_stays_within_its_bounds_and_goes_when_nobody_asks() {
    let fs = SimFs::new();
    let bounds = StoreConfig { cache_memory: 4096, cache_unwritten: 2000, ..config() };
    let this = Opened::open_with(&fs, bounds);
    for count in 0..40 {
        this.deliver(format!("Subject: number {count}\r\n\r\n").as_bytes(), b"");
        let (_, unwritten) = this.store.cache.held_bytes();
        assert!(unwritten <= 2000, "{unwritten} bytes wait");
    }
    assert!(this.store.cache.calls(), "nobody is told that rows should be written");
    let listed = this.listing();
    this.store.checkpoint(0).unwrap();
    assert_eq!(this.listing(), listed);
    this.store.checkpoint(0).unwrap();
    for _ in 0..20 {
        assert_eq!(this.listing(), listed);
        let (files, unwritten) = this.store.cache.held_bytes();
        assert!(files <= 4096 && unwritten <= 2000, "{files} {unwritten}");
        this.store.checkpoint(0).unwrap();
    }
    drop(this);
    let idle = Opened::open(&fs.crashed(Variant::Everything), MEMORY);
    assert_eq!(idle.listing(), listed);
    idle.store.checkpoint(0).unwrap();
    assert_eq!(idle.listing(), listed);
    assert!(idle.store.cache.held_bytes().0 > 0);
    idle.store.cache.forget_idle(70_000);
    idle.store.cache.forget_idle(79_000);
    assert!(idle.store.cache.held_bytes().0 > 0, "it is forgotten too soon");
    idle.store.cache.forget_idle(80_000);
    assert_eq!(idle.store.cache.held_bytes(), (0, 0));
}

#[test]
fn paths_of_the_cache_are_below_the_account() {
    let (fs, _) = disk(MEMORY);
    let files = cache_files(&fs);
    assert!(files[0].starts_with(Path::new("/data/users")), "{files:?}");
    assert!(files.iter().all(|file| file.starts_with(files[0].parent().unwrap())));
    let name = |file: &PathBuf| file.file_name().unwrap().to_str().unwrap().to_owned();
    let names: Vec<String> = files.iter().map(name).collect();
    assert_eq!(
        names,
        ["0003", "0004", "0004.62bf42d7", "0008", "0010", "0020"]
            .map(|group| format!("00000000.{group}"))
    );
}

#[test]
fn reading_delivering_and_writing_at_once_mixes_no_rows_up() {
    const COUNT: u32 = 150;
    let fs = SimFs::new();
    let this = Opened::open_with(&fs, StoreConfig { cache_memory: 6000, ..config() });
    let seed = || 99;
    std::thread::scope(|scope| {
        let delivering = scope.spawn(|| {
            for count in 1..=COUNT {
                this.deliver(
                    format!("Subject: number {count}\r\n\r\n").as_bytes(),
                    b"X-To: u1\r\n",
                );
            }
        });
        let reading = scope.spawn(|| {
            let mut seen = 0;
            while seen < COUNT as usize {
                let listed = this.listing();
                for (number, row) in (1..).zip(listed.lines()) {
                    let subject = format!("\"number {number}\\\"");
                    assert!(row.contains(&subject), "{row} is not {subject}");
                }
                seen = listed.lines().count();
            }
        });
        let mut now = 0;
        while !(delivering.is_finished() && reading.is_finished()) {
            this.store.cache.write(&this.store.files, true, &seed);
            now += 4000;
            this.store.cache.forget_idle(now);
            std::thread::yield_now();
        }
    });
    this.store.cache.write(&this.store.files, true, &seed);
    assert_eq!(this.store.cache.held_bytes().1, 0);
}
