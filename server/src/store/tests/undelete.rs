//! Expunged mail comes back for as long as is said, with what was known of it; compaction frees nothing younger, and
//! everything older.

use super::crashes::crash_everywhere_with;
use super::world::{Op, View, World, config, random};
use crate::store::account::Account;
use crate::store::compact::Wanted;
use crate::store::config::StoreConfig;
use crate::store::error::StoreError;
use crate::store::ops::{Named, Storing};
use crate::store::store::Store;
use crate::store::undelete::{Expunged, Undeleted, Which};
use dbox_format::map::MapId;
use imap_proto::{StoreAction, StoredRows, UidSet};
use index_format::Flags;
use proptest::prelude::*;
use runtime_smol::fs::Fs;
use runtime_smol::sim::{SimFs, Variant};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

const DAY: i64 = 86_400;
const START: i64 = 1_800_000_000;

/// A world whose clock goes as it is told.
struct Timed {
    world: World,
    clock: Arc<AtomicI64>,
}

fn settings() -> StoreConfig {
    StoreConfig { undelete_ms: 7 * DAY as u64 * 1000, ..config() }
}

impl Timed {
    fn new() -> Self {
        Self::on(SimFs::new(), START)
    }

    fn on(fs: SimFs, now: i64) -> Self {
        let clock = Arc::new(AtomicI64::new(now));
        let wall = clock.clone();
        let wall = Box::new(move || wall.load(Ordering::Relaxed));
        let root = Path::new("/data");
        let store =
            Store::open(Arc::new(fs.clone()), root, settings(), random(now as u64), wall).unwrap();
        let account = store.account("u1").unwrap();
        Self { world: World::of(fs, store, account), clock }
    }

    fn pass(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::Relaxed);
    }

    /// After a crash that leaves what was synced alone.
    fn crashed(self) -> Self {
        let now = self.clock.load(Ordering::Relaxed);
        Self::on(self.world.fs.crashed(Variant::Nothing), now)
    }

    fn listed(&self, which: &Which) -> Vec<Expunged> {
        self.world.store.expunged("u1", which, &mut |_| ()).unwrap()
    }

    fn undelete(&self, which: &Which, to: Option<&str>) -> Result<Vec<Undeleted>, StoreError> {
        self.world.store.undelete("u1", (which, to), &mut |_| ())
    }

    /// Flags the first `count` messages of a mailbox, with a keyword, and expunges them.
    fn expunge(&self, name: &str, count: usize) {
        let (store, account) = (&self.world.store, &self.world.account);
        let (guid, uids) = mailbox(account, name, store);
        let some: Vec<u32> = uids.iter().map(|uid| uid.0).take(count).collect();
        let mut set = UidSet::new();
        some.iter().for_each(|uid| set.push(imap_proto::Uid(*uid)));
        let system = Flags(Flags::DELETED.0 | Flags::SEEN.0);
        let storing = Storing {
            uids: &set,
            action: StoreAction::Add,
            named: Named { system, keywords: &["$Work"] },
            unchanged_since: None,
            rows: StoredRows::None,
        };
        store.store_flags(account, (guid, 0), storing).unwrap();
        let position = store.expunge(account, (guid, 0), None).unwrap();
        self.world.commit(position).unwrap();
    }

    fn view(&self) -> View {
        self.world.view().unwrap()
    }
}

fn mailbox(account: &Arc<Account>, name: &str, store: &Store) -> (index_format::Guid, UidSet) {
    let mut state = account.lock().unwrap();
    let guid = state.list.by_name(name).unwrap().guid;
    let mbox = account.mailbox(&store.files, &mut state, guid).unwrap();
    (guid, mbox.uids.clone())
}

fn texts(view: &View, name: &str) -> BTreeMap<String, (u8, [u8; 16])> {
    let Some(mailbox) = view.mailboxes.get(name) else { return BTreeMap::new() };
    mailbox.messages.values().map(|mail| (mail.text.clone(), (mail.flags, mail.email_id))).collect()
}

/// Seven messages in INBOX, and nothing else.
fn filled() -> Timed {
    let mut timed = Timed::new();
    // Of the first two there were copies.
    for op in [Op::Delete, Op::Deliver, Op::Deliver, Op::DeliverLarge, Op::Append] {
        timed.world.run(op).unwrap();
    }
    timed
}

#[test]
fn expunged_mail_comes_back_as_it_was() {
    let timed = filled();
    let before = timed.view();
    assert_eq!(timed.listed(&Which::default()), []);
    timed.expunge("INBOX", 3);
    timed.pass(6 * DAY);
    // Compaction, a crash, and both generations of snapshots do not make it forget.
    timed.world.store.purge("u1", false).unwrap();
    timed.world.store.checkpoint(0).unwrap();
    timed.world.store.checkpoint(0).unwrap();
    let timed = timed.crashed();
    let listed = timed.listed(&Which::default());
    assert_eq!(listed.len(), 3, "{listed:#?}");
    assert!(listed.iter().all(|it| it.mailbox == "INBOX" && it.expunged == START), "{listed:#?}");
    assert!(
        listed
            .iter()
            .all(|it| it.flags[0] == "\\Seen" && it.flags.ends_with(&["$Work".to_owned()])),
        "{listed:#?}"
    );
    assert!(listed.iter().all(|it| it.received == START));
    assert!(listed.iter().any(|it| it.subject == "1"), "{listed:#?}");
    let next = timed.view().mailboxes["INBOX"].uidnext;
    let back = timed.undelete(&Which::default(), None).unwrap();
    let told = Undeleted {
        user: "u1".into(),
        mailbox: "INBOX".into(),
        created: false,
        messages: 3,
        as_saved: 0,
    };
    assert_eq!(back, [told]);
    let after = timed.view();
    let (was, is) = (texts(&before, "INBOX"), texts(&after, "INBOX"));
    assert!(was.keys().eq(is.keys()));
    assert!(was.iter().all(|(text, (_, guid))| is[text].1 == *guid), "a message keeps its GUID");
    let new: Vec<_> = after.mailboxes["INBOX"].messages.range(next..).collect();
    assert_eq!(new.len(), 3, "and has another UID");
    assert!(new.iter().all(|(_, mail)| mail.flags & Flags::SEEN.0 != 0));
    assert!(new.iter().all(|(_, mail)| mail.flags & Flags::DELETED.0 == 0));
    assert_eq!(timed.listed(&Which::default()), []);
    let timed = timed.crashed();
    assert_eq!(timed.view(), after, "it is a change like others");
    let mut all = Vec::new();
    timed.world.store.check("u1", None, &mut |told| all.push(told)).unwrap();
    let wrong = all.iter().any(|told| matches!(told, crate::store::Told::Finding(_)));
    assert!(!wrong, "{all:#?}");
}

#[test]
fn a_deleted_mailbox_comes_back_with_its_mail() {
    let mut timed = filled();
    timed.world.run(Op::Create).unwrap();
    timed.world.run(Op::Move).unwrap();
    let before = timed.view();
    let name = before.mailboxes.keys().find(|name| *name != "INBOX").unwrap().clone();
    assert!(before.mailboxes[&name].messages.len() > 4);
    timed.expunge(&name, 1);
    timed.pass(60);
    timed.world.run(Op::Delete).unwrap();
    timed.world.store.checkpoint(0).unwrap();
    let timed = timed.crashed();
    assert!(!timed.view().mailboxes.contains_key(&name));
    assert!(timed.listed(&Which::default()).iter().all(|it| it.mailbox == name));
    let back = timed.undelete(&Which::default(), None).unwrap();
    assert!(back[0].created && back[0].as_saved == 0, "{back:?}");
    let (was, is) = (texts(&before, &name), texts(&timed.view(), &name));
    assert!(was.keys().eq(is.keys()), "{was:#?} {is:#?}");
    let kept = was.iter().filter(|(text, (flags, _))| is[*text].0 == flags & !Flags::DELETED.0);
    assert_eq!(kept.count(), was.len() - 1, "all but the one that was flagged since");
}

#[test]
fn what_is_meant_comes_back_and_nothing_else() {
    let timed = filled();
    timed.expunge("INBOX", 1);
    timed.pass(3 * DAY);
    timed.expunge("INBOX", 2);
    let since = Which { since: Some(START + DAY), ..Which::default() };
    assert_eq!((timed.listed(&Which::default()).len(), timed.listed(&since).len()), (3, 2));
    let elsewhere = Which { mailbox: Some("Sent".into()), ..Which::default() };
    assert_eq!(timed.undelete(&elsewhere, None).unwrap(), []);
    let guid = timed.listed(&since)[0].guid.clone();
    let one = Which { guids: [guid.to_uppercase()].into(), ..Which::default() };
    let back = timed.undelete(&one, Some("Back/again")).unwrap();
    assert!(back[0].created && back[0].messages == 1 && back[0].mailbox == "Back/again");
    assert!(timed.listed(&Which::default()).iter().all(|it| it.guid != guid));
    let refused = timed.undelete(&since, Some("a//b")).unwrap_err().to_string();
    assert!(refused.contains("--to"), "{refused}");
    assert_eq!(timed.undelete(&since, None).unwrap()[0].messages, 1);
    assert_eq!(timed.listed(&Which::default()).len(), 1);
}

/// Containers, and how many of their messages there are.
fn messages(world: &World) -> BTreeSet<u32> {
    world.account.lock().unwrap().map.iter().map(|(id, _)| id.0).collect()
}

#[test]
fn a_low_disk_gives_up_only_what_gives_room() {
    let mut timed = filled();
    for _ in 0..20 {
        timed.world.run(Op::Deliver).unwrap();
    }
    timed.expunge("INBOX", 12);
    let before = messages(&timed.world);
    let step = || {
        while timed
            .world
            .store
            .compact_step(&timed.world.account, Wanted::All, &mut |_| true)
            .unwrap()
            .is_some()
        {}
    };
    step();
    assert_eq!(messages(&timed.world), before);
    timed.world.store.set_full(true);
    step();
    let state = timed.world.account.lock().unwrap();
    let left: Vec<MapId> = state.map.unreferenced().collect();
    assert!(messages_of(&state.map).len() < before.len(), "whole containers have gone");
    let useless = left.iter().all(|id| {
        let container = state.map.get(*id).unwrap().container;
        let container = state.map.container(container).unwrap();
        container.live_bytes > 0 || !container.sealed
    });
    assert!(useless, "and nothing whose room would not have been had");
}

fn messages_of(map: &dbox_format::map::Map) -> BTreeSet<u32> {
    map.iter().map(|(id, _)| id.0).collect()
}

#[test]
fn the_files_of_a_deleted_mailbox_go_when_its_mail_does() {
    let timed = filled();
    timed.world.store.checkpoint(0).unwrap();
    let dirs = |timed: &Timed| {
        let mailboxes = timed.world.account.dir().join("mailboxes");
        timed.world.fs.read_dir(&mailboxes).unwrap().len()
    };
    assert_eq!(dirs(&timed), 2);
    timed.pass(6 * DAY);
    timed.world.store.purge("u1", false).unwrap();
    timed.world.store.checkpoint(0).unwrap();
    let timed = timed.crashed();
    assert_eq!(dirs(&timed), 2);
    timed.pass(DAY);
    timed.world.store.purge("u1", false).unwrap();
    timed.world.store.checkpoint(0).unwrap();
    assert_eq!(dirs(&timed), 1);
}

/// What an expunge of every tenth of 100,000 costs: in the mailbox's log, the map's log and the journal.
#[test]
fn every_tenth_costs_a_few_bytes() {
    use dbox_format::map::{Draft, Gone, Map};
    let uids: index_format::UidSet = (0..10_000).map(|i| index_format::Uid(1 + i * 10)).collect();
    let record = index_format::record::Record::Expunge(uids);
    let mut log = Vec::new();
    let transaction = index_format::record::Transaction::new(vec![record]);
    transaction.encode(&mut index_format::record::Names::default(), &mut log).unwrap();
    let mut draft = Draft::new(&Map::new());
    let guid = dbox_format::Guid([7; 16]);
    draft.expunge((0..10_000).map(|i| MapId(1 + i * 10)), Gone::new(START, guid));
    let mut map = Vec::new();
    draft.finish().encode(&mut map);
    let (mut frames, mut logs) = (Vec::new(), 0);
    for payload in [&log, &map] {
        frames.clear();
        index_format::log::write_frame(1, payload, &mut frames).unwrap();
        logs += frames.len();
    }
    assert_eq!(logs, 32);
}

#[test]
fn a_crash_anywhere_around_an_undelete() {
    let mut crashes = 0;
    for ops in [
        &[Op::Expunge, Op::Delete, Op::Undelete][..],
        &[Op::Delete, Op::Snapshot, Op::Undelete, Op::Expunge],
        &[Op::Expunge, Op::Compact, Op::Undelete, Op::Snapshot],
    ] {
        let (count, violation, _) = crash_everywhere_with(&settings(), ops, 12);
        crashes += count;
        assert_eq!(violation, None);
    }
    println!("{crashes} crashes, no violation");
}

/// What happens between two looks.
#[derive(Clone, Copy, Debug)]
enum Event {
    Deliver,
    Expunge(usize),
    Pass(i64),
    Undelete,
    Compact,
    Crash,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Deliver),
        4 => (1_usize..4).prop_map(Event::Expunge),
        4 => (1_i64..5 * DAY).prop_map(Event::Pass),
        1 => Just(Event::Undelete),
        4 => Just(Event::Compact),
        1 => Just(Event::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn compaction_frees_all_that_is_older_and_nothing_younger(
        events in prop::collection::vec(event(), 1..24),
    ) {
        let mut timed = filled();
        let mut gone: BTreeMap<u32, i64> = BTreeMap::new();
        for event in events {
            match event {
                Event::Deliver => timed.world.run(Op::Deliver).unwrap(),
                Event::Expunge(count) => {
                    timed.expunge("INBOX", count);
                    let now = timed.clock.load(Ordering::Relaxed);
                    let state = timed.world.account.lock().unwrap();
                    for id in state.map.unreferenced() {
                        gone.entry(id.0).or_insert(now);
                    }
                }
                Event::Pass(seconds) => timed.pass(seconds),
                Event::Undelete => {
                    let back = timed.undelete(&Which::default(), None).unwrap();
                    let count: u64 = back.iter().map(|back| back.messages).sum();
                    let there = messages(&timed.world);
                    let missing = gone.keys().filter(|id| there.contains(id)).count() as u64;
                    prop_assert_eq!(count, missing);
                    gone.clear();
                }
                Event::Compact => {
                    timed.world.store.purge("u1", false).unwrap();
                    timed.world.store.checkpoint(u64::MAX).unwrap();
                    let now = timed.clock.load(Ordering::Relaxed);
                    let there = messages(&timed.world);
                    for (id, time) in &gone {
                        prop_assert_eq!(there.contains(id), now - time < 7 * DAY, "{}", id);
                    }
                    gone.retain(|id, _| there.contains(id));
                }
                Event::Crash => timed = timed.crashed(),
            }
        }
        timed.world.store.purge("u1", true).unwrap();
        timed.world.store.checkpoint(u64::MAX).unwrap();
        prop_assert_eq!(timed.listed(&Which::default()), []);
        timed.view();
    }
}

/// A long look keeps nobody from the account: its progress is told without the lock.
#[test]
fn messages_are_looked_at_without_the_lock() {
    let timed = filled();
    timed.expunge("INBOX", 3);
    let which = Which::default();
    let (account, mut told) = (timed.world.account.clone(), 0);
    let mut look = |_| {
        let (done, taken) = mpsc::channel();
        let account = account.clone();
        std::thread::spawn(move || {
            let _ = done.send(account.lock().is_ok());
        });
        assert_eq!(taken.recv_timeout(Duration::from_secs(20)), Ok(true));
        told += 1;
    };
    assert_eq!(timed.world.store.expunged("u1", &which, &mut look).unwrap().len(), 3);
    let back = timed.world.store.undelete("u1", (&which, None), &mut look).unwrap();
    assert_eq!(back[0].messages, 3);
    assert!(told >= 2, "progress is told");
}
