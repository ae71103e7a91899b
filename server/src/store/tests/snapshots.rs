//! What is read and written of a large mailbox, and what damage in one section of a snapshot costs.

use super::counted::Counted;
use super::world::{Op, World, at_once, config, random};
use crate::store::account::Account;
use crate::store::config::StoreConfig;
use crate::store::delivery::Target;
use crate::store::imap::ImapUser;
use crate::store::ops::{Named, Storing};
use crate::store::store::Store;
use imap_proto::fetch::{FetchItems, Fixed};
use imap_proto::search::{Key, Limits, Program};
use imap_proto::sort::{Criterion, Order, SortKey};
use imap_proto::{
    Answer, Ask, FetchAsk, MailboxName, Run, Seq, StoreAction, StoredRows, SystemFlags, Uid, UidSet,
};
use index_format::Guid;
use index_format::mailbox::Parts;
use index_format::snapshot::Snapshot;
use runtime_smol::Clock;
use runtime_smol::sim::{SimFs, Variant};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The large mailbox has two messages, doubled so often: `DOUBLINGS=19` makes a million.
fn doublings() -> u32 {
    std::env::var("DOUBLINGS").map_or(16, |count| count.parse().unwrap())
}

type Disk = Counted<SimFs>;

fn open(disk: &Disk) -> (Arc<Store>, Arc<Account>) {
    let (fs, clock) = (Arc::new(disk.clone()), Box::new(|| 1_800_000_000));
    let store = Store::open(fs, Path::new("/data"), large(), random(5), clock).unwrap();
    let account = store.account("u1").unwrap();
    (store, account)
}

/// Nothing happens but what a test calls.
fn large() -> StoreConfig {
    let default = StoreConfig::default();
    StoreConfig {
        snapshot_after: default.snapshot_after,
        overlay_percent: default.overlay_percent,
        log_size: default.log_size,
        segment_size: default.segment_size,
        container_size: default.container_size,
        ..config()
    }
}

/// A disk with a mailbox `Big`, and how many messages it has.
fn large_mailbox() -> (Disk, u64) {
    let disk = Counted::new(SimFs::new());
    let (store, account) = open(&disk);
    for _ in 0..2 {
        deliver(&store, &account, "INBOX");
    }
    store.create(&account, "Big", index_format::list::SpecialUse::NONE).unwrap();
    let mut from = "INBOX";
    for _ in 0..=doublings() {
        let (guid, uids) = mailbox(&store, &account, from);
        store.copy(&account, (guid, 0), (&uids, true), "Big", false).unwrap();
        store.flush();
        from = "Big";
    }
    store.checkpoint(0).unwrap();
    drop(account);
    (disk, 2 << doublings())
}

fn deliver(store: &Arc<Store>, account: &Arc<Account>, mailbox: &str) {
    let (account, prefix) = (account.clone(), b"X-To: u1\r\n".to_vec());
    let target = Target { account, mailbox: mailbox.to_owned(), prefix };
    let mut delivery = store.deliver(vec![target]).unwrap();
    delivery.write(b"Subject: one of many\r\n\r\nshort\r\n").unwrap();
    delivery.commit().results.remove(0).unwrap();
    store.flush();
}

fn mailbox(store: &Store, account: &Account, name: &str) -> (Guid, UidSet) {
    let mut state = account.lock().unwrap();
    let guid = state.list.by_name(name).unwrap().guid;
    let mbox = account.mailbox_with(&store.files, &mut state, guid, Parts::NONE).unwrap();
    (guid, mbox.uids.clone())
}

fn missing(account: &Account, guid: Guid) -> Parts {
    account.lock().unwrap().mailboxes.get(&guid).unwrap().mailbox.missing(Parts::ALL)
}

fn select(store: &Arc<Store>, account: &Arc<Account>, name: &str) -> (ImapUser, u64) {
    let mut user = ImapUser::new(store.clone(), account.clone(), Arc::default());
    let mailbox = MailboxName::new(name).unwrap();
    let Answer::Selected(selected) = at_once(user.ask(Ask::Select { mailbox, examine: false }))
    else {
        panic!("not selected")
    };
    (user, selected.uids.len())
}

fn add_flags(store: &Store, account: &Arc<Account>, guid: Guid, uids: &UidSet) {
    let named = Named { system: index_format::Flags::DELETED, keywords: &[] };
    let (action, unchanged_since, rows) = (StoreAction::Add, None, StoredRows::None);
    let storing = Storing { uids, action, named, unchanged_since, rows };
    store.store_flags(account, (guid, 0), storing).unwrap();
    store.flush();
}

/// A start, a SELECT, mail that comes in, IDLE: none of it reads a column, and the log only from the snapshot on.
#[test]
fn select_and_delivery_read_no_column() {
    let (disk, messages) = large_mailbox();
    let before = open(&disk);
    deliver(&before.0, &before.1, "Big");
    before.0.checkpoint(u64::MAX).unwrap();
    let late = UidSet::range(Uid(messages as u32 + 1), Uid(messages as u32 + 1));
    let (guid, _) = mailbox(&before.0, &before.1, "Big");
    add_flags(&before.0, &before.1, guid, &late);
    before.0.last_checkpoint(&Clock::new());
    drop(before);

    let (store, account) = open(&disk);
    disk.forget();
    let clock = Clock::new();
    let start = clock.boot_micros();
    let (mut user, found) = select(&store, &account, "Big");
    let took = clock.boot_micros() - start;
    assert_eq!(found, messages + 1);
    let (index, all) = (disk.read("/index"), disk.read("/mailboxes/"));
    println!(
        "{messages} messages: SELECT reads {index} bytes of the snapshot, {all} in all, in {took} µs"
    );
    assert!((120..=8192).contains(&index), "{index} bytes of the snapshot");
    assert!(all <= 16384, "{all} bytes of the mailbox's files");
    assert_eq!(missing(&account, guid), Parts::ALL);
    deliver(&store, &account, "Big");
    at_once(user.ask(Ask::Changes { cursor: Default::default(), may_shrink: true }));
    assert_eq!(disk.read("/index"), index, "mail that comes in needs no column");
    assert_eq!(missing(&account, guid), Parts::ALL);
}

/// What FETCH, SEARCH and SORT load of a mailbox after a start is what they show, test and sort by.
#[test]
fn a_command_reads_the_columns_it_takes() {
    let (disk, messages) = large_mailbox();
    let search = |key: &Key| Arc::new(Program::compile(key, Limits::default()).unwrap());
    let uids = |count: u64| UidSet::range(Uid(1), Uid(count as u32));
    let fetch = |fixed| {
        let items = Arc::new(FetchItems { fixed, sections: Vec::new() });
        Ask::Fetch(FetchAsk {
            runs: vec![Run { seq: Seq(1), uid: Uid(1), count: FetchAsk::MAX }],
            items: items.clone(),
            also_flags: UidSet::new(),
            seen_items: items,
            budget: usize::MAX,
            by_uid: true,
            recent: Arc::default(),
        })
    };
    let sort = |key| {
        let order = Arc::new(Order(vec![Criterion { key, reverse: true }]));
        // As a session asks: of what it sees.
        Ask::Sort { program: search(&Key::Uids(uids(messages))), order }
    };
    let flags = Parts::FLAGS | Parts::KEYWORDS;
    let commands = [
        (fetch(Fixed::UID), Parts::NONE),
        (fetch(Fixed::UID | Fixed::FLAGS), flags),
        (fetch(Fixed::FAST), flags | Parts::INTERNAL_DATES | Parts::SIZES),
        (fetch(Fixed::MODSEQ), Parts::MODSEQS),
        (fetch(Fixed::EMAILID), Parts::MAP_IDS),
        (fetch(Fixed::SAVEDATE), Parts::SAVE_DATES | Parts::INTERNAL_DATES),
        (Ask::Search { program: search(&Key::All) }, Parts::MODSEQS),
        (Ask::Search { program: search(&Key::Flags(SystemFlags::SEEN)) }, Parts::MODSEQS | flags),
        (Ask::Search { program: search(&Key::Larger(5)) }, Parts::MODSEQS | Parts::SIZES),
        (sort(SortKey::Size), Parts::MODSEQS | Parts::SIZES),
        (sort(SortKey::Arrival), Parts::MODSEQS | Parts::INTERNAL_DATES),
    ];
    let first_read = |ask: Option<Ask>| {
        let (store, account) = open(&disk);
        let (mut user, _) = select(&store, &account, "Big");
        let (guid, _) = mailbox(&store, &account, "Big");
        disk.forget();
        match ask {
            Some(ask) => {
                let answer = at_once(user.ask(ask));
                let is_whole = |uids: &[Uid]| uids.is_sorted() && uids.len() as u64 == messages;
                let as_asked = matches!(answer, Answer::Rows { served: FetchAsk::MAX, .. })
                    || matches!(&answer, Answer::Found { uids, .. } if uids.len() <= messages)
                    || matches!(&answer, Answer::Sorted { uids, .. } if is_whole(uids));
                assert!(as_asked, "{answer:?}");
            }
            None => {
                let mut state = account.lock().unwrap();
                account.mailbox(&store.files, &mut state, guid).unwrap();
            }
        }
        (Parts::ALL.without(missing(&account, guid)), disk.read("/index"))
    };
    let (all, bytes) = first_read(None);
    assert_eq!(all, Parts::ALL);
    for (ask, takes) in commands {
        let what = format!("{ask:?}");
        let (loaded, read) = first_read(Some(ask));
        assert_eq!(loaded, takes, "{what}");
        assert!(read < bytes && (read > 0 || takes.is_empty()), "{what} reads {read} of {bytes}");
    }
}

/// Ten messages go: little is written, and no snapshot; not at the next checkpoint either.
#[test]
fn an_expunge_of_ten_writes_their_numbers() {
    let (disk, messages) = large_mailbox();
    let (store, account) = open(&disk);
    let (guid, _) = mailbox(&store, &account, "Big");
    let mut gone = UidSet::new();
    (1..=10).for_each(|n| gone.push(Uid(n * messages as u32 / 11 + n * n)));
    add_flags(&store, &account, guid, &gone);
    disk.forget();
    store.expunge(&account, (guid, 0), None).unwrap();
    store.flush();
    let (journal, logs) = (disk.written("/journal/"), disk.written("log"));
    println!("10 of {messages} expunged: {journal} bytes of journal, {logs} of logs");
    assert!(journal <= 200 && logs <= 120, "journal {journal}, logs {logs}");
    store.checkpoint(large().snapshot_after).unwrap();
    assert_eq!(disk.written("/index"), 0);
    // Nor when the log is folded: an overlay says what went.
    store.checkpoint(0).unwrap();
    let (overlay, whole) = (disk.written("index.delta"), disk.written(&format!("{guid}/index")));
    println!("folded into an overlay of {overlay} bytes");
    assert!(overlay == whole && (1..1024).contains(&overlay), "{overlay} of {whole}");
    store.last_checkpoint(&Clock::new());
    drop((store, account));
    disk.forget();
    let (store, account) = open(&disk);
    let (_, left) = select(&store, &account, "Big");
    assert_eq!(left, messages - 10);
    assert_eq!(missing(&account, guid), Parts::ALL);
    let read = disk.read(&format!("{guid}/"));
    assert!(read <= 16384, "{read}");
    let (_, there) = mailbox(&store, &account, "Big");
    assert!(there.intersect(&gone).is_empty());
    // An overlay that is damaged costs the log from the snapshot on.
    drop((store, account));
    let path = Path::new("/data/users/4c/u1/mailboxes").join(guid.to_string()).join("index.delta");
    disk.inner.corrupt(&path, |bytes| bytes[150] ^= 1).unwrap();
    let (store, account) = open(&disk);
    let (_, there) = mailbox(&store, &account, "Big");
    assert_eq!(there.len(), messages - 10);
    assert!(there.intersect(&gone).is_empty());
}

/// Who only idles has no columns in memory after a while, and gets them back when they are needed.
#[test]
fn columns_of_a_mailbox_that_idles_leave_memory() {
    let world = World::new(SimFs::new());
    world.store.checkpoint(0).unwrap();
    let view = world.view().unwrap();
    let (mut user, _) = select(&world.store, &world.account, "INBOX");
    let (guid, uids) = mailbox(&world.store, &world.account, "INBOX");
    world.store.checkpoint(u64::MAX).unwrap();
    assert_eq!(missing(&world.account, guid), Parts::NONE, "the view has loaded them");
    world.store.let_go();
    assert_eq!(missing(&world.account, guid), Parts::NONE, "they were used lately");
    world.store.let_go();
    assert_eq!(missing(&world.account, guid), Parts::ALL);
    let cursor = Default::default();
    let Answer::Changes(_) = at_once(user.ask(Ask::Changes { cursor, may_shrink: true })) else {
        panic!("no changes")
    };
    assert_eq!(missing(&world.account, guid), Parts::ALL, "looking for news needs none");
    add_flags(
        &world.store,
        &world.account,
        guid,
        &UidSet::range(uids.last().unwrap(), uids.last().unwrap()),
    );
    assert_eq!(missing(&world.account, guid), Parts::ALL.without(Parts::FLAGGED));
    let after = world.view().unwrap();
    assert_eq!(after.mailboxes["INBOX"].messages.len(), view.mailboxes["INBOX"].messages.len());
    assert_eq!(missing(&world.account, guid), Parts::NONE);
}

/// Snapshots of mailboxes, with where each of their sections has its middle.
fn sections(image: &SimFs, name: &str) -> Vec<(PathBuf, usize)> {
    let of_mailbox =
        |path: &Path| path.ends_with(name) && path.to_str().unwrap().contains("/mailboxes/");
    let mut found = Vec::new();
    for path in image.files().into_iter().filter(|path| of_mailbox(path)) {
        let file = image.peek(&path).unwrap();
        let snapshot = Snapshot::parse(&file).unwrap();
        for id in snapshot.sections() {
            let bytes = snapshot.section(id).unwrap().unwrap();
            if !bytes.is_empty() {
                let at = bytes.as_ptr() as usize - file.as_ptr() as usize;
                found.push((path.clone(), at + bytes.len() / 2));
            }
        }
    }
    found
}

/// A store with snapshots of its mailboxes, logs behind them, and nothing to replay: with overlays over the snapshots, or
/// with the second generation of them.
fn generations(overlays: bool) -> World {
    let overlay_percent = if overlays { 1000 } else { 0 };
    let config = StoreConfig { overlay_percent, ..config() };
    let mut world = World::with(SimFs::new(), config.clone());
    world.run(Op::Snapshot).unwrap();
    for ops in [[Op::Append; 12]; 3] {
        let last = [Op::Store, Op::Expunge, Op::Snapshot];
        ops.into_iter().chain(last).for_each(|op| world.run(op).unwrap());
    }
    [Op::Append, Op::Store, Op::Deliver].into_iter().for_each(|op| world.run(op).unwrap());
    world.store.checkpoint(u64::MAX).unwrap();
    let world = World::recover_with(world.fs.crashed(Variant::Everything), 7, config).unwrap();
    let there = |name| world.fs.files().iter().any(|path| path.ends_with(name));
    assert_eq!((there("index.delta"), there("index.prev")), (overlays, !overlays));
    world
}

/// Bit rot in any section: no answer changes, and the next checkpoint puts a whole snapshot in its place.
#[test]
fn a_rotten_section_changes_no_answer_and_is_replaced() {
    for overlays in [true, false] {
        let world = generations(overlays);
        let expected = world.view().unwrap();
        let image = world.fs.crashed(Variant::Everything);
        let places = sections(&image, "index");
        assert!(places.len() > 8, "{places:?}");
        for (path, at) in &places {
            let disk = image.crashed(Variant::Everything);
            disk.corrupt(path, |bytes| bytes[*at] ^= 4).unwrap();
            let world = World::recover(disk, 8).unwrap();
            assert_eq!(world.view().unwrap(), expected, "{path:?}, byte {at}");
            world.store.checkpoint(u64::MAX).unwrap();
            let disk = world.fs.crashed(Variant::Everything);
            let healed = disk.peek(path).unwrap();
            Snapshot::parse(&healed).and_then(|snapshot| snapshot.verify()).unwrap();
            // The one before it stayed, and serves should this one go the same way.
            let middle = healed.len() / 2;
            disk.corrupt(path, |bytes| bytes[middle] ^= 1).unwrap();
            let world = World::recover(disk, 9).unwrap();
            assert_eq!(world.view().unwrap(), expected, "{path:?}, byte {at}, again");
        }
    }
}

/// The same of the indexes of list and map: the one that serves stays where it is.
#[test]
fn a_damaged_index_of_list_or_map_takes_no_good_one_away() {
    for name in ["list.index", "map.index"] {
        let mut world = generations(false);
        for op in [Op::Deliver, Op::Snapshot, Op::Create, Op::Deliver, Op::Snapshot] {
            world.run(op).unwrap();
        }
        let expected = world.view().unwrap();
        let disk = world.fs.crashed(Variant::Everything);
        let path = world.account.dir().join(name);
        let older = world.account.dir().join(format!("{name}.prev"));
        let good = disk.peek(&older).unwrap();
        disk.corrupt(&path, |bytes| bytes[70] ^= 4).unwrap();
        let world = World::recover(disk, 8).unwrap();
        assert_eq!(world.view().unwrap(), expected);
        world.store.checkpoint(u64::MAX).unwrap();
        let disk = world.fs.crashed(Variant::Everything);
        assert_eq!(disk.peek(&older).unwrap(), good, "{name}");
        // A whole one stands in its place, and if that goes the same way the other still serves.
        disk.corrupt(&path, |bytes| bytes[70] ^= 4).unwrap();
        assert_eq!(World::recover(disk, 9).unwrap().view().unwrap(), expected, "{name}");
    }
}

/// Bit rot in the same section of both generations: the log's beginning is gone, so the mailbox is refused by name.
#[test]
fn two_rotten_generations_are_refused_by_name() {
    let world = generations(false);
    let expected = world.view().unwrap();
    let image = world.fs.crashed(Variant::Everything);
    assert!(sections(&image, "index.prev").len() > 8, "{:?}", image.files());
    let (mut served, mut refused) = (0, 0);
    for (path, at) in sections(&image, "index") {
        let older = path.with_extension("prev");
        for (_, at_older) in
            sections(&image, "index.prev").iter().filter(|(path, _)| *path == older)
        {
            let disk = image.crashed(Variant::Everything);
            disk.corrupt(&path, |bytes| bytes[at] ^= 4).unwrap();
            disk.corrupt(&older, |bytes| bytes[*at_older] ^= 4).unwrap();
            match World::recover(disk, 8).and_then(|world| world.view()) {
                Ok(view) => {
                    assert_eq!(view, expected);
                    served += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains("is damaged"), "{error}");
                    refused += 1;
                }
            }
        }
    }
    println!("{served} times all is served, {refused} times the damage is named");
    assert!(refused > 0);
}

/// Damage is reported once, by the name of the file.
#[test]
fn damage_is_reported_once() {
    let image = generations(true).fs.crashed(Variant::Everything);
    let (path, at) = sections(&image, "index").pop().unwrap();
    image.corrupt(&path, |bytes| bytes[at] ^= 4).unwrap();
    let lines = Lines::default();
    let written = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || written.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        let world = World::recover(image, 8).unwrap();
        let view = world.view().unwrap();
        assert_eq!(world.view().unwrap(), view);
        world.store.checkpoint(u64::MAX).unwrap();
        let world = World::recover(world.fs.crashed(Variant::Everything), 8).unwrap();
        assert_eq!(world.view().unwrap(), view);
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let damage: Vec<&str> = text.lines().filter(|line| line.contains("is damaged")).collect();
    assert!(damage.len() == 1 && damage[0].contains(path.to_str().unwrap()), "{text}");
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
