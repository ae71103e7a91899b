//! SORT and THREAD of what is delivered, expunged and asked for again; and their turns.

use super::world::{at_once, config, open_with};
use crate::slices::{Progress, Turn};
use crate::store::delivery::Target;
use crate::store::imap::{Handled, ImapUser};
use crate::store::store::Store;
use imap_proto::search::{Key, Limits, Program};
use imap_proto::sort::{Criterion, Order, SortKey};
use imap_proto::thread::Algorithm;
use imap_proto::{
    Answer, Ask, Flags, MailboxName, StoreAction, StoredRows, SystemFlags, Uid, UidSet,
};
use runtime_smol::Clock;
use runtime_smol::sim::SimFs;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A mailbox, and the subject of each of its messages.
struct World {
    store: Arc<Store>,
    user: ImapUser,
    subjects: BTreeMap<u32, String>,
}

impl World {
    fn new(count: u32) -> Self {
        let store = open_with(&SimFs::new(), 1, config()).unwrap();
        let account = store.account("u1").unwrap();
        let user = ImapUser::new(store.clone(), account, Arc::default());
        let mut world = Self { store, user, subjects: BTreeMap::new() };
        (0..count).for_each(|_| world.deliver());
        let select = Ask::Select { mailbox: MailboxName::inbox(), examine: false };
        at_once(world.user.ask(select));
        world
    }

    fn deliver(&mut self) {
        let uid = self.subjects.last_key_value().map_or(1, |(uid, _)| uid + 1);
        let subject = format!("s{:03}", uid * 7919 % 100);
        let account = self.store.account("u1").unwrap();
        let target = Target { account, mailbox: "INBOX".into(), prefix: Vec::new() };
        let mut delivery = self.store.deliver(vec![target]).unwrap();
        delivery.write(format!("Subject: Re: {subject}\r\n\r\n").as_bytes()).unwrap();
        assert!(delivery.commit().results.iter().all(Result::is_ok));
        self.store.flush();
        self.subjects.insert(uid, subject);
    }

    fn expunge(&mut self, uids: &UidSet) {
        let flags = Flags { system: SystemFlags::DELETED, keywords: Vec::new() };
        let action = StoreAction::Add;
        let (rows, unchanged_since) = (StoredRows::None, None);
        let store = Ask::Store { uids: uids.clone(), action, flags, rows, unchanged_since };
        at_once(self.user.ask(store));
        at_once(self.user.ask(Ask::Expunge { uids: None }));
        self.store.flush();
        self.subjects.retain(|uid, _| !uids.contains(Uid(*uid)));
    }

    /// SORT by subject, of these alone.
    fn check(&mut self, uids: &UidSet) {
        let mut wanted: Vec<u32> =
            self.subjects.keys().copied().filter(|uid| uids.contains(Uid(*uid))).collect();
        wanted.sort_by_key(|uid| &self.subjects[uid]);
        let answer = at_once(self.user.ask(sort(uids)));
        let Answer::Sorted { uids: sorted, .. } = answer else { panic!("{answer:?}") };
        assert_eq!(sorted.iter().map(|uid| uid.0).collect::<Vec<_>>(), wanted);
    }
}

fn program(uids: &UidSet) -> Arc<Program> {
    Arc::new(Program::compile(&Key::Uids(uids.clone()), Limits::default()).unwrap())
}

fn sort(uids: &UidSet) -> Ask {
    let order = Order(vec![Criterion { key: SortKey::Subject, reverse: false }]);
    Ask::Sort { program: program(uids), order: Arc::new(order) }
}

#[test]
fn what_is_asked_again_is_what_is_there_now() {
    let mut world = World::new(300);
    let all = UidSet::range(Uid(1), Uid(u32::MAX));
    world.check(&all);
    assert!(world.store.arranged.held() > 1000, "nothing is kept");
    let some = (1..300).step_by(7).map(Uid).collect();
    for _ in 0..2 {
        for uids in [&all, &some] {
            world.check(uids);
        }
        world.deliver();
        world.check(&all);
        world.expunge(&UidSet::range(Uid(20), Uid(30)));
    }
    let threads = |world: &mut World| {
        let ask = Ask::Thread { program: program(&all), algorithm: Algorithm::OrderedSubject };
        let answer = at_once(world.user.ask(ask));
        let Answer::Threaded(threads) = answer else { panic!("{answer:?}") };
        threads
    };
    let before = threads(&mut world);
    assert_eq!(threads(&mut world), before);
    world.expunge(&UidSet::range(Uid(40), Uid(40)));
    assert_ne!(threads(&mut world), before);
}

/// Of a turn that begins when somebody has hung up nothing comes.
#[test]
fn a_sort_that_is_given_up_ends() {
    let mut world = World::new(40);
    let all = UidSet::range(Uid(1), Uid(40));
    for ask in
        [sort(&all), Ask::Thread { program: program(&all), algorithm: Algorithm::References }]
    {
        let Handled::Slices(mut slices) = world.user.ask(ask) else { panic!("at once") };
        let (given_up, clock) = (AtomicBool::new(true), Clock::new());
        let turn = slices.go_on(&Turn::begin(clock, true, &given_up));
        assert!(matches!(turn, Progress::More), "{turn:?}");
    }
}
