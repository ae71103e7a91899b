//! Compaction of an account holds its lock for a slice at a time, whatever was expunged; and what happens between two slices
//! is neither missed nor harmed.

use super::world::{Op, World, at_once, config, with_attachments};
use crate::store::attachments::Tended;
use crate::store::breath::SLICE;
use crate::store::breath::tests::watch;
use crate::store::compact::Wanted;
use crate::store::config::StoreConfig;
use crate::store::error::StoreError;
use crate::store::imap::ImapUser;
use crate::store::message::Message;
use crate::store::ops::{Named, Storing};
use crate::store::undelete::Which;
use dbox_format::map::MapId;
use imap_proto::{Answer, Ask, MailboxName, StoreAction, StoredRows, Uid, UidSet};
use index_format::Flags;
use runtime_smol::fs::Fs as _;
use runtime_smol::sim::{SimFs, Variant};
use std::rc::Rc;
use std::sync::Arc;

/// Messages in an account, of which nine of ten are expunged.
const MANY: u32 = 24_000;

/// A world with so many more messages in INBOX, of so many bytes.
fn filled(config: StoreConfig, count: u32, len: usize) -> World {
    let world = World::with(SimFs::new(), config);
    let mut last = 0;
    for number in 0..count {
        let text = format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(len));
        last = world.deliver_to("INBOX", &text).unwrap();
        if number % 1000 == 0 {
            world.store.flush();
        }
    }
    world.commit(last).unwrap();
    world
}

/// The same with an attachment each.
fn attached(count: u32) -> World {
    let world = World::with(SimFs::new(), config());
    for number in 0..count {
        let content = format!("{number} ").repeat(40);
        let text = with_attachments(number, &[content.as_bytes()]);
        let position = world.deliver_to("INBOX", &text).unwrap();
        world.commit(position).unwrap();
    }
    world
}

/// Expunges the messages in INBOX of which this says so, by their place there; with the copies that `World` has made.
fn expunge(world: &World, goes: impl Fn(usize) -> bool) {
    let (guid, uids) = world.inbox();
    let mut set = UidSet::new();
    for (_, uid) in uids.iter().enumerate().filter(|(place, _)| goes(*place)) {
        set.push(Uid(uid.0));
    }
    let storing = Storing {
        uids: &set,
        action: StoreAction::Add,
        named: Named { system: Flags::DELETED, keywords: &[] },
        unchanged_since: None,
        rows: StoredRows::None,
    };
    world.store.store_flags(&world.account, (guid, 0), storing).unwrap();
    let position = world.store.expunge(&world.account, (guid, 0), Some(&set)).unwrap();
    world.commit(position).unwrap();
}

fn step(world: &World, wanted: Wanted) -> bool {
    world.store.compact_step(&world.account, wanted, &mut |_| true).unwrap().is_some()
}

/// Has this happen between the slices of what this thread does; what is returned is whether it did.
fn between(at: usize, once: impl FnOnce() + 'static) {
    let (mut once, mut at) = (Some(once), at);
    let hook = move || {
        if at == 0
            && let Some(once) = once.take()
        {
            once();
        }
        at = at.saturating_sub(1);
    };
    watch(|watch| watch.between = Some(Box::new(hook)));
}

fn nothing_between() {
    watch(|watch| watch.between = None);
}

fn garbage(world: &World) -> (bool, Option<i64>) {
    let state = world.account.lock().unwrap();
    (state.garbage, state.garbage_from)
}

fn container_bytes(world: &World) -> u64 {
    world.store.checkpoint(u64::MAX).unwrap();
    let files = world.fs.files().into_iter();
    let files = files.filter(|path| path.to_string_lossy().contains("/storage/"));
    files.map(|path| world.fs.metadata(&path).unwrap().unwrap().len).sum()
}

/// A purge of an account with so many expunged messages: the most that was looked at under one hold of the lock, and all.
fn purge_many(slice: usize) -> (usize, usize) {
    let large = StoreConfig {
        container_size: 256 << 10,
        segment_size: 1 << 20,
        log_size: 1 << 20,
        snapshot_after: u64::MAX,
        threads_from: usize::MAX,
        ..config()
    };
    let world = filled(large, MANY, 20);
    expunge(&world, |place| place % 10 != 0);
    let left = world.inbox().1;
    let before = container_bytes(&world);
    let account = world.account.clone();
    let free = move || assert!(!account.is_locked(), "nobody gets the lock between two slices");
    watch(|watch| {
        (watch.slice, watch.most, watch.all) = (slice, 0, 0);
        watch.between = Some(Box::new(free));
    });
    let done = world.store.purge("u1", false).unwrap();
    nothing_between();
    assert!(done.freed > 0 && done.moved > 0, "{done:?}");
    assert!(container_bytes(&world) * 8 < before);
    let state = world.account.lock().unwrap();
    assert_eq!(state.map.unreferenced().count(), 0);
    drop(state);
    assert_eq!(world.inbox().1, left);
    assert_eq!(world.view().unwrap().mailboxes["INBOX"].messages.len() as u64, left.len());
    watch(|watch| (watch.most, watch.all))
}

#[test]
fn the_lock_is_held_for_a_slice_whatever_was_expunged() {
    let (most, all) = purge_many(SLICE);
    assert!(most <= SLICE && all > MANY as usize, "{most} of {all}");
    // It would have been seen.
    let (most, _) = purge_many(usize::MAX);
    assert!(most >= MANY as usize / 10 * 9, "{most}");
}

#[test]
fn what_is_expunged_behind_a_look_is_not_missed() {
    const WEEK: u64 = 7 * 86_400;
    let world = Arc::new(filled(StoreConfig { undelete_ms: WEEK * 1000, ..config() }, 12, 20));
    expunge(&world, |place| place > 5);
    while step(&world, Wanted::All) {}
    let (again, from) = garbage(&world);
    assert!(!again && from.is_some_and(|from| from > world.store.now()));
    let (other, happened) = (world.clone(), Rc::new(std::cell::Cell::new(false)));
    let done = happened.clone();
    between(2, move || {
        // Lower ids than those that the look has come to.
        expunge(&other, |place| place < 2);
        done.set(true);
    });
    assert!(!step(&world, Wanted::All));
    nothing_between();
    assert!(happened.get());
    assert!(garbage(&world).0, "there is to be another look");
    assert!(!step(&world, Wanted::All));
    assert!(!garbage(&world).0);
}

#[test]
fn what_comes_into_view_or_back_between_two_slices_stays() {
    let world = Arc::new(filled(config(), 12, 20));
    let mut user = ImapUser::new(world.store.clone(), world.account.clone(), Arc::default());
    let ask = Ask::Select { mailbox: MailboxName::inbox(), examine: false };
    assert!(matches!(at_once(user.ask(ask)), Answer::Selected(_)));
    at_once(user.ask(Ask::Unselect));
    expunge(&world, |place| (2..8).contains(&place));
    let last = {
        let state = world.account.lock().unwrap();
        let mbox = state.mailboxes.values().max_by_key(|mbox| mbox.uids.len()).unwrap();
        let rows = mbox.mailbox.iter();
        MapId(rows.last().unwrap().map_id.0)
    };
    let other = world.clone();
    let mut user = Some(user);
    let user_is_here = Arc::new(std::sync::Mutex::new(None));
    let kept = user_is_here.clone();
    between(1, move || {
        let mut user = user.take().unwrap();
        let ask = Ask::Select { mailbox: MailboxName::inbox(), examine: false };
        assert!(matches!(at_once(user.ask(ask)), Answer::Selected(_)));
        // The last one, which the look has not come to, goes under the eyes of that session; what is left comes back.
        let back = other.store.undelete("u1", (&Which::default(), None), &mut |_| ()).unwrap();
        let back: u64 = back.iter().map(|some| some.messages).sum();
        assert!((1..6).contains(&back), "{back} of 6");
        let count = other.inbox().1.len();
        expunge(&other, |place| place as u64 + back + 1 == count);
        *kept.lock().unwrap() = Some(user);
    });
    assert!(step(&world, Wanted::All));
    nothing_between();
    let mut user = user_is_here.lock().unwrap().take().expect("it happened");
    while step(&world, Wanted::All) {}
    // All that are there can be read, and what is in view.
    let view = world.view().unwrap();
    assert!(view.mailboxes["INBOX"].messages.values().all(|mail| mail.text.contains("Subject")));
    let find = || {
        let state = world.account.lock().unwrap();
        Message::find(&world.account, &state, &world.account.pending(), last)
    };
    assert!(find().is_some(), "the session has not been told");
    at_once(user.ask(Ask::Unselect));
    while step(&world, Wanted::All) {}
    assert!(find().is_none());
    assert_eq!(world.view().unwrap(), view);
}

#[test]
fn an_account_that_is_given_up_between_two_slices_is_looked_at_anew() {
    let world = filled(config(), 12, 20);
    expunge(&world, |place| place > 3);
    let account = world.account.clone();
    between(3, move || account.kill());
    let result = world.store.compact_step(&world.account, Wanted::All, &mut |_| true);
    nothing_between();
    assert!(matches!(result, Err(StoreError::Lost)), "{result:?}");
    world.store.flush();
    let account = world.store.account("u1").unwrap();
    assert!(!Arc::ptr_eq(&account, &world.account));
    assert!(account.lock().unwrap().garbage);
    let world = World { account, ..world };
    while step(&world, Wanted::All) {}
    assert_eq!(world.account.lock().unwrap().map.unreferenced().count(), 0);
    world.view().unwrap();
}

/// Attachments are shared, and go when no message needs them: the most that was looked at under one hold of the lock.
fn tend_many(slice: usize) -> usize {
    const COUNT: u32 = 300;
    let world = attached(COUNT);
    expunge(&world, |place| place > 20);
    // As after a start: all that there is is held against what is needed.
    world.store.checkpoint(0).unwrap();
    let world = World::recover(world.fs.crashed(Variant::Nothing), 3).unwrap();
    let account = world.account.clone();
    let free = move || assert!(!account.is_locked(), "nobody gets the lock between two slices");
    watch(|watch| {
        (watch.slice, watch.most, watch.all) = (slice, 0, 0);
        watch.between = Some(Box::new(free));
    });
    let tend = || world.store.tend_attachments(&world.account, &|| true).unwrap();
    assert_eq!(tend(), Tended { shared: u64::from(COUNT), removed: 0 });
    world.store.purge("u1", false).unwrap();
    world.store.checkpoint(0).unwrap();
    let left = world.inbox().1.len();
    let tended = tend();
    assert!(tended.shared == 0 && tended.removed > 250, "{tended:?}");
    nothing_between();
    assert!(watch(|watch| watch.all) > COUNT as usize * 2);
    world.check_attachments().unwrap();
    assert_eq!(world.view().unwrap().mailboxes["INBOX"].messages.len() as u64, left);
    watch(|watch| watch.most)
}

#[test]
fn attachments_are_seen_to_in_slices() {
    let most = tend_many(16);
    assert!(most <= 16, "{most}");
    let most = tend_many(usize::MAX);
    assert!(most > 250, "{most}");
}

#[test]
fn expunged_mail_is_found_and_brought_back_in_slices() {
    const COUNT: u32 = 600;
    let world = filled(StoreConfig { segment_size: 1 << 20, ..config() }, COUNT, 20);
    let before = world.view().unwrap();
    let uids = &before.mailboxes["INBOX"].messages;
    let texts: Vec<&String> = uids.values().map(|mail| &mail.text).skip(2).collect();
    expunge(&world, |place| place > 1);
    let account = world.account.clone();
    let free = move || assert!(!account.is_locked(), "nobody gets the lock between two slices");
    watch(|watch| {
        (watch.slice, watch.most, watch.all) = (256, 0, 0);
        watch.between = Some(Box::new(free));
    });
    let listed = world.store.expunged("u1", &Which::default(), &mut |_| ()).unwrap();
    assert_eq!(listed.len(), COUNT as usize);
    let back = world.store.undelete("u1", (&Which::default(), None), &mut |_| ()).unwrap();
    nothing_between();
    assert_eq!(back.iter().map(|some| some.messages).sum::<u64>(), u64::from(COUNT));
    let (most, all) = watch(|watch| (watch.most, watch.all));
    assert!(most <= 256 && all >= COUNT as usize * 3, "{most} of {all}");
    // All of them, in the order that they had.
    let after = world.view().unwrap();
    let again = after.mailboxes["INBOX"].messages.values().map(|mail| &mail.text).skip(2);
    assert!(again.eq(texts));
}

/// Nobody expunges anything any more when it leaves the last view, and nobody asks.
#[test]
fn what_somebody_had_in_view_goes_unasked_once_nobody_has() {
    let mut world = filled(config(), 10, 200_000);
    let mut user = ImapUser::new(world.store.clone(), world.account.clone(), Arc::default());
    let ask = Ask::Select { mailbox: MailboxName::inbox(), examine: false };
    assert!(matches!(at_once(user.ask(ask)), Answer::Selected(_)));
    let unasked = |world: &World| {
        world.store.flush();
        world.store.compact_cheaply(&world.account, &|_| true);
        container_bytes(world)
    };
    expunge(&world, |place| place > 2);
    let before = unasked(&world);
    assert!(before > 1_900_000, "{before}");
    unasked(&world);
    at_once(user.ask(Ask::Unselect));
    let after = unasked(&world);
    assert!(after < 500_000, "{after}");
    world.run(Op::Deliver).unwrap();
}
