//! Threads that are kept change no answer, whatever becomes of their files; and where they have an answer, nothing else
//! is read.

use super::damage::DAMAGES;
use super::world::{at_once, config, open_with};
use crate::store::account::Account;
use crate::store::config::StoreConfig;
use crate::store::delivery::Target;
use crate::store::imap::ImapUser;
use crate::store::store::Store;
use imap_proto::search::{Key, Limits, Program};
use imap_proto::thread::Algorithm;
use imap_proto::{
    Answer, Ask, Flags, MailboxName, StoreAction, StoredRows, SystemFlags, Uid, UidSet,
};
use runtime_smol::sim::{SimFs, Variant};
use std::path::PathBuf;
use std::sync::Arc;

/// A store, with threads that are kept or without.
struct Opened {
    store: Arc<Store>,
    account: Arc<Account>,
    user: ImapUser,
}

impl Opened {
    fn open(fs: &SimFs, kept: bool) -> Self {
        let cache_memory = if kept { 1 << 20 } else { 0 };
        let config = StoreConfig { cache_memory, threads_from: 8, ..config() };
        let store = open_with(fs, 11, config).unwrap();
        let account = store.account("u1").unwrap();
        let user = ImapUser::new(store.clone(), account.clone(), Arc::default());
        store.flush();
        Self { store, account, user }
    }

    fn select(&mut self, mailbox: &str) {
        let mailbox = MailboxName::new(mailbox).unwrap();
        let answer = at_once(self.user.ask(Ask::Select { mailbox, examine: false }));
        assert!(matches!(answer, Answer::Selected(_)), "{answer:?}");
    }

    fn deliver(&mut self, text: &str) {
        let target =
            Target { account: self.account.clone(), mailbox: "INBOX".into(), prefix: Vec::new() };
        let mut delivery = self.store.deliver(vec![target]).unwrap();
        delivery.write(text.as_bytes()).unwrap();
        assert!(delivery.commit().results.iter().all(Result::is_ok));
        self.store.flush();
    }

    fn expunge(&mut self, uids: &UidSet) {
        let flags = Flags { system: SystemFlags::DELETED, keywords: Vec::new() };
        let (rows, unchanged_since) = (StoredRows::None, None);
        let (uids, action) = (uids.clone(), StoreAction::Add);
        at_once(self.user.ask(Ask::Store { uids, action, flags, rows, unchanged_since }));
        at_once(self.user.ask(Ask::Expunge { uids: None }));
        self.store.flush();
    }

    fn copy(&mut self, uids: &UidSet, moving: bool) {
        let state = self.account.lock().unwrap();
        let guid = state.list.by_name("INBOX").unwrap().guid;
        drop(state);
        self.store.copy(&self.account, (guid, 0), (uids, false), "Other", moving).unwrap();
        self.store.flush();
    }

    /// What every question about threads is answered, of a mailbox.
    fn answers(&mut self, mailbox: &str) -> Vec<String> {
        self.select(mailbox);
        let (mut answers, some) = (Vec::new(), UidSet::range(Uid(5), Uid(30)));
        for (algorithm, _) in Algorithm::NAMES {
            for key in [Key::All, Key::Uids(some.clone())] {
                let ask = Ask::Thread { program: program(&key), algorithm };
                answers.push(format!("{:?}", at_once(self.user.ask(ask))));
            }
            let few = Key::Uids([Uid(3), Uid(11)].into_iter().collect());
            let key = Key::InThread(algorithm, Box::new(few)).negated();
            let Answer::Found { uids, .. } =
                at_once(self.user.ask(Ask::Search { program: program(&key) }))
            else {
                panic!("no answer")
            };
            answers.push(format!("{uids:?}"));
        }
        answers
    }
}

fn program(key: &Key) -> Arc<Program> {
    Arc::new(Program::compile(key, Limits::default()).unwrap())
}

/// splitmix64
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % most
    }
}

/// Mail that refers to mail before it and behind it, now and then by an ID that is used already.
fn mail(numbers: &mut Numbers) -> String {
    let mut text = format!("Subject: Re: s{}\r\n", numbers.below(4));
    if numbers.below(3) > 0 {
        text += &format!("Date: 1 Jan 2001 00:00:{:02} +0000\r\n", numbers.below(9));
    }
    if numbers.below(12) > 0 {
        text += &format!("Message-ID: <{}@x>\r\n", numbers.below(40));
    }
    let references: String =
        (0..numbers.below(5)).map(|_| format!(" <{}@x>\r\n", numbers.below(40))).collect();
    match numbers.below(4) {
        0 if !references.is_empty() => text += &format!("In-Reply-To:{references}"),
        _ if !references.is_empty() => text += &format!("References:{references}"),
        _ => {}
    }
    text + "\r\nbody\r\n"
}

fn thread_files(fs: &SimFs) -> Vec<PathBuf> {
    fs.files().into_iter().filter(|path| path.ends_with("threads")).collect()
}

/// Nothing but threads tells what a message says.
fn spoil_the_rest(fs: &SimFs) {
    for path in fs.files() {
        if path
            .components()
            .any(|part| ["storage", "cache"].iter().any(|name| part.as_os_str() == *name))
        {
            fs.corrupt(&path, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 0x55)).unwrap();
        }
    }
}

#[test]
fn threads_that_are_kept_are_those_of_the_messages() {
    let disks = [SimFs::new(), SimFs::new()];
    let mut stores = [Opened::open(&disks[0], true), Opened::open(&disks[1], false)];
    for this in &mut stores {
        this.store.create(&this.account, "Other", index_format::list::SpecialUse::NONE).unwrap();
        this.select("INBOX");
    }
    let mut numbers = Numbers(7);
    let (mut uids, mut checks) = (UidSet::new(), 0);
    for n in 1..=160 {
        let text = mail(&mut numbers);
        stores.iter_mut().for_each(|this| this.deliver(&text));
        uids.push(Uid(n));
        let some: UidSet = uids
            .iter()
            .filter(|_| numbers.below(12) == 0)
            .collect::<Vec<_>>()
            .into_iter()
            .collect();
        match numbers.below(12) {
            0..3 => {
                let one: UidSet = some.iter().take(2).collect();
                stores.iter_mut().for_each(|this| this.expunge(&one));
                uids = uids.subtract(&one);
            }
            3 => stores.iter_mut().for_each(|this| this.copy(&some, false)),
            4 => {
                stores.iter_mut().for_each(|this| this.copy(&some, true));
                uids = uids.subtract(&some);
            }
            5 => stores.iter().for_each(|this| this.store.checkpoint(0).unwrap()),
            6 => {
                let [kept, plain] = stores;
                drop((kept, plain));
                stores = [(&disks[0], true), (&disks[1], false)]
                    .map(|(disk, kept)| Opened::open(disk, kept));
                stores.iter_mut().for_each(|this| this.select("INBOX"));
            }
            7..10 => {
                let [kept, plain] = &mut stores;
                for mailbox in ["Other", "INBOX"] {
                    assert_eq!(kept.answers(mailbox), plain.answers(mailbox), "{mailbox} at {n}");
                }
                assert!(n < 40 || kept.store.forests.held().0 > 0, "nothing is kept");
                checks += 1;
            }
            _ => {}
        }
    }
    assert!(checks > 20, "{checks}");
}

/// A disk with threads for two mailboxes, all written, and the answers about them.
fn disk(messages: u32) -> (SimFs, [Vec<String>; 2]) {
    let fs = SimFs::new();
    let mut this = Opened::open(&fs, true);
    this.store.create(&this.account, "Other", index_format::list::SpecialUse::NONE).unwrap();
    this.select("INBOX");
    let mut numbers = Numbers(3);
    for n in 1..=messages {
        this.deliver(&mail(&mut numbers));
        if n == messages / 2 {
            this.copy(&UidSet::range(Uid(1), Uid(n)), false);
            this.store.checkpoint(0).unwrap();
            this.answers("INBOX");
            this.select("INBOX");
        }
    }
    this.copy(&UidSet::range(Uid(9), Uid(20)), false);
    let answers = ["INBOX", "Other"].map(|mailbox| this.answers(mailbox));
    this.store.checkpoint(0).unwrap();
    assert_eq!(this.store.forests.held().1, 0, "something is not written");
    (fs, answers)
}

#[test]
fn after_a_restart_threads_are_told_by_their_file_alone() {
    let (fs, expected) = disk(60);
    assert_eq!(thread_files(&fs).len(), 2);
    let fs = fs.crashed(Variant::Everything);
    spoil_the_rest(&fs);
    let mut this = Opened::open(&fs, true);
    assert_eq!(["INBOX", "Other"].map(|mailbox| this.answers(mailbox)), expected);
    let without = fs.crashed(Variant::Everything);
    for path in thread_files(&without) {
        without.corrupt(&path, Vec::clear).unwrap();
    }
    let mut this = Opened::open(&without, true);
    assert_ne!(this.answers("INBOX"), expected[0], "the messages can still be read");
}

#[test]
fn row_71_damaged_threads_change_no_answer_and_are_made_anew() {
    let (fs, expected) = disk(40);
    for (what, damage) in DAMAGES {
        let fs = fs.crashed(Variant::Everything);
        for path in thread_files(&fs) {
            fs.corrupt(&path, damage).unwrap();
        }
        let mut this = Opened::open(&fs, true);
        let found = ["INBOX", "Other"].map(|mailbox| this.answers(mailbox));
        assert_eq!(found, expected, "{what}");
        this.store.checkpoint(0).unwrap();
        drop(this);
        let fs = fs.crashed(Variant::Everything);
        spoil_the_rest(&fs);
        let mut this = Opened::open(&fs, true);
        let found = ["INBOX", "Other"].map(|mailbox| this.answers(mailbox));
        assert_eq!(found, expected, "{what}, made anew");
    }
}

/// The file of another mailbox, and one of the same mailbox that knows more than this ever had.
#[test]
fn a_file_of_another_mailbox_or_another_time_counts_for_nothing() {
    let (fs, expected) = disk(40);
    let files = thread_files(&fs);
    let [one, other] = [0, 1].map(|n| fs.peek(&files[n]).unwrap());
    let swapped = fs.crashed(Variant::Everything);
    swapped.corrupt(&files[0], |bytes| *bytes = other).unwrap();
    swapped.corrupt(&files[1], |bytes| *bytes = one).unwrap();
    let mut this = Opened::open(&swapped, true);
    assert_eq!(["INBOX", "Other"].map(|mailbox| this.answers(mailbox)), expected);
    // The store is as it was, its threads are not.
    let (later, _) = disk(50);
    for path in thread_files(&later) {
        let bytes = later.peek(&path).unwrap();
        fs.corrupt(&path, |old| *old = bytes).unwrap();
    }
    let mut this = Opened::open(&fs.crashed(Variant::Everything), true);
    assert_eq!(["INBOX", "Other"].map(|mailbox| this.answers(mailbox)), expected);
}

#[test]
fn what_nobody_asks_for_leaves_memory_and_comes_back() {
    let (fs, expected) = disk(40);
    let mut this = Opened::open(&fs.crashed(Variant::Everything), true);
    this.store.forests.forget_idle(1);
    assert_eq!(this.answers("INBOX"), expected[0]);
    assert!(this.store.forests.held().0 > 1000);
    this.store.forests.forget_idle(30_000);
    assert!(this.store.forests.held().0 > 1000);
    this.store.forests.forget_idle(100_000);
    assert_eq!(this.store.forests.held(), (0, 0));
    assert_eq!(this.answers("INBOX"), expected[0]);
}
