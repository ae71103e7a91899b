//! The disk is in trouble for a while: nothing acknowledged is lost, what can't be done is refused in so many words, others
//! are unaffected, and when the trouble is over service goes on by itself.

use super::world::{Op, World, config, open_with};
use crate::store::account::Account;
use crate::store::commit::Outcome;
use crate::store::delivery::Target;
use crate::store::error::StoreError;
use crate::store::imap::refusal;
use crate::store::message::Message;
use crate::store::planted::{Planted, plant};
use crate::store::store::Store;
use dbox_format::map::MapId;
use imap_proto::{Answer, Code};
use index_format::list::SpecialUse;
use runtime_smol::Clock;
use runtime_smol::sim::{Failure, Fault, OpKind, SimFs, Variant, When};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Delivers to these accounts; what became of each, once it is durable or never will be.
fn deliver(
    store: &Arc<Store>,
    users: &[&str],
    id: &str,
    large: bool,
) -> Vec<Result<(), StoreError>> {
    let filling = if large { "long ".repeat(80) } else { String::new() };
    let accounts: Vec<Result<Arc<Account>, StoreError>> =
        users.iter().map(|user| store.account(user)).collect();
    let targets = accounts.iter().flatten().map(|account| Target {
        account: account.clone(),
        mailbox: "INBOX".to_owned(),
        prefix: Vec::new(),
    });
    let begun = store.deliver(targets.collect()).and_then(|mut delivery| {
        delivery.write(format!("Subject: {id}\r\n\r\n{filling}\r\n").as_bytes())?;
        Ok(delivery.commit())
    });
    let delivered = match begun {
        Ok(delivered) => delivered,
        Err(error) => return users.iter().map(|_| Err(error.clone())).collect(),
    };
    store.flush();
    let kept = store.outcome(delivered.position) == Outcome::Durable;
    let mut results = delivered.results.into_iter();
    let result = |account: Result<Arc<Account>, StoreError>| {
        account?;
        results.next().unwrap()?;
        if kept { Ok(()) } else { Err(StoreError::Lost) }
    };
    accounts.into_iter().map(result).collect()
}

/// Subjects in the INBOX of an account.
fn subjects(store: &Arc<Store>, user: &str) -> Vec<String> {
    let account = store.account(user).unwrap();
    let mut state = account.lock().unwrap();
    let guid = state.list.by_name("INBOX").unwrap().guid;
    account.mailbox(&store.files, &mut state, guid).unwrap();
    let rows: Vec<u32> =
        state.mailboxes.get(&guid).unwrap().mailbox.iter().map(|row| row.map_id.0).collect();
    let text = |id: u32| {
        let message = Message::find(&account, &state, &account.pending(), MapId(id)).unwrap();
        let mut text = Vec::new();
        message.read_whole(store, true, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        text.lines().next().unwrap().trim_start_matches("Subject: ").to_owned()
    };
    rows.into_iter().map(text).collect()
}

/// That the INBOX has all of these once, and of what else was tried at most one each.
fn check(store: &Arc<Store>, user: &str, acknowledged: &[String]) {
    let there = subjects(store, user);
    let once: BTreeSet<&String> = there.iter().collect();
    assert_eq!(once.len(), there.len(), "something is there twice: {there:?}");
    for id in acknowledged {
        assert!(once.contains(id), "{user}: {id} is lost; there are {there:?}");
    }
}

/// What a client is told is what helps it: to try again later.
fn is_unavailable(error: &StoreError) -> bool {
    matches!(refusal(error, false), Answer::No { code: Some(Code::Unavailable), .. })
}

fn lasting(when: When, what: Failure) -> Fault {
    Fault { when, what, lasting: true }
}

/// Every kind of trouble, as long as it lasts.
fn troubles() -> Vec<Fault> {
    let kind = |kind| When::Kind { kind, skip: 0 };
    vec![
        lasting(When::Op(0), Failure::NoSpace),
        lasting(When::Op(0), Failure::Quota),
        lasting(When::Op(0), Failure::TooManyFiles),
        lasting(When::Op(0), Failure::Io),
        lasting(kind(OpKind::Write), Failure::Io),
        lasting(kind(OpKind::Append), Failure::Io),
        lasting(kind(OpKind::SyncData), Failure::Io),
        lasting(kind(OpKind::SyncData), Failure::LostSync { evict: true }),
        lasting(kind(OpKind::SyncDir), Failure::Io),
        lasting(kind(OpKind::Read), Failure::Io),
        lasting(kind(OpKind::Create), Failure::NoSpace),
        lasting(kind(OpKind::Append), Failure::NoSpace),
        lasting(kind(OpKind::Append), Failure::Short(7)),
    ]
}

#[test]
fn whatever_the_trouble_is_it_is_over_when_it_is_over() {
    for trouble in troubles() {
        let fs = SimFs::new();
        let store = open_with(&fs, 1, config()).unwrap();
        let mut acknowledged = [Vec::new(), Vec::new()];
        let mut refused = 0;
        let mut deliver_some = |store: &Arc<Store>, round: &str, must: bool| {
            for n in 0..6 {
                let id = format!("{round}-{n}");
                let results = deliver(store, &["u1", "u2"], &id, n % 3 == 2);
                for (result, kept) in results.iter().zip(&mut acknowledged) {
                    match result {
                        Ok(()) => kept.push(id.clone()),
                        Err(error) => {
                            assert!(!must, "{trouble:?}: {id} is refused: {error}");
                            assert!(is_unavailable(error), "{trouble:?}: {id}: {error:?}");
                            refused += 1;
                        }
                    }
                }
            }
        };
        deliver_some(&store, "before", true);
        fs.inject(trouble);
        deliver_some(&store, "one", false);
        // What keeps house tries, too.
        let _fails = store.checkpoint(0);
        store.resume();
        let created =
            store.account("u1").and_then(|account| store.create(&account, "New", SpecialUse::NONE));
        if let Err(error) = created {
            assert!(is_unavailable(&error), "{trouble:?}: CREATE: {error:?}");
        }
        store.flush();
        deliver_some(&store, "two", false);
        fs.clear_faults();
        // As soon as anybody looks.
        store.resume();
        deliver_some(&store, "after", true);
        store.checkpoint(0).unwrap();
        assert!(!store.free_space_low());
        assert!(fs.struck() > 0, "{trouble:?} did not happen");
        for (user, kept) in ["u1", "u2"].into_iter().zip(&acknowledged) {
            check(&store, user, kept);
        }
        println!("{trouble:?}: {refused} refused");
        let again = open_with(&fs.crashed(Variant::Nothing), 2, config()).unwrap();
        for (user, kept) in ["u1", "u2"].into_iter().zip(&acknowledged) {
            check(&again, user, kept);
        }
    }
}

#[test]
fn twenty_times_full_and_empty_again() {
    let fs = SimFs::new();
    let store = open_with(&fs, 1, config()).unwrap();
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    for cycle in 0..20 {
        fs.set_capacity(Some(0));
        for n in 0..100 {
            let (id, large) = (format!("{cycle}-{n}"), (cycle + n) % 4 == 3);
            match deliver(&store, &["u1"], &id, large).swap_remove(0) {
                Ok(()) => acknowledged.push(id),
                Err(error) => {
                    assert!(matches!(error, StoreError::Full { .. } | StoreError::Lost), "{error}");
                    // A small one fits where the journal has been zeroed ahead.
                    if !large {
                        refused += 1;
                        break;
                    }
                }
            }
        }
        let full = deliver(&store, &["u1"], "no", false).swap_remove(0).unwrap_err();
        assert!(is_unavailable(&full), "{full}");
        let _fails = store.checkpoint(0);
        fs.set_capacity(None);
        store.resume();
        let id = format!("{cycle}-room");
        deliver(&store, &["u1"], &id, cycle % 2 == 0).swap_remove(0).unwrap();
        acknowledged.push(id);
        check(&store, "u1", &acknowledged);
    }
    assert_eq!(refused, 20);
    let again = open_with(&fs.crashed(Variant::Nothing), 2, config()).unwrap();
    check(&again, "u1", &acknowledged);
    println!("{} acknowledged, {refused} times full", acknowledged.len());
}

#[test]
fn one_account_in_trouble_leaves_the_others_alone() {
    for what in [Failure::Io, Failure::TooManyFiles] {
        let fs = SimFs::new();
        let store = open_with(&fs, 1, config()).unwrap();
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for user in ["u1", "u2"] {
            deliver(&store, &[user], "before", false).swap_remove(0).unwrap();
        }
        store.files.forget_below(store.root());
        fs.inject(lasting(When::Path("/u1/"), what));
        let mut refused = 0;
        for n in 0..30 {
            let id = format!("{n}");
            // To both at once, too.
            let users: &[&str] = if n % 2 == 0 { &["u1", "u2"] } else { &["u2"] };
            for (user, result) in users.iter().zip(deliver(&store, users, &id, n % 5 == 4)) {
                match result {
                    Ok(()) if *user == "u1" => first.push(id.clone()),
                    Ok(()) => second.push(id.clone()),
                    Err(error) => {
                        assert_eq!(*user, "u1", "{error}");
                        assert!(is_unavailable(&error), "{error:?}");
                        refused += 1;
                    }
                }
            }
            if n == 10 {
                // What was written is still to be synced; nobody else is held up by that.
                let _fails = store.checkpoint(0);
            }
            store.resume();
        }
        assert_eq!(second.len(), 30, "{what:?}");
        assert!(refused > 10 && first.len() < 5, "{what:?}: {refused}, {first:?}");
        // Power fails meanwhile: the journal has what the files have not.
        let again = open_with(&fs.crashed(Variant::Nothing), 2, config()).unwrap();
        check(&again, "u1", &first);
        check(&again, "u2", &second);
        fs.clear_faults();
        store.resume();
        deliver(&store, &["u1"], "after", false).swap_remove(0).unwrap();
        first.push("after".to_owned());
        store.checkpoint(0).unwrap();
        check(&store, "u1", &first);
        check(&store, "u2", &second);
        let again = open_with(&fs.crashed(Variant::Nothing), 3, config()).unwrap();
        check(&again, "u1", &first);
        check(&again, "u2", &second);
    }
}

/// Whether mail that could not be written to its files before a stop is there at the next start.
fn stopped(again: bool) -> bool {
    let mut world = World::new(SimFs::new());
    world.fs.inject(lasting(When::Path("/storage/"), Failure::NoSpace));
    // The journal has room, since its segments are zeroed ahead.
    world.run(Op::Deliver).unwrap();
    let view = world.view().unwrap();
    if again {
        world.fs.clear_faults();
    }
    world.store.last_checkpoint(&Clock::new());
    let World { fs, store, account, .. } = world;
    drop((store, account));
    fs.clear_faults();
    World::recover(fs, 3).and_then(|world| world.view()).is_ok_and(|found| found == view)
}

#[test]
fn a_stop_keeps_the_journal_of_what_could_not_be_written() {
    for again in [false, true] {
        assert!(stopped(again), "{again}");
    }
    plant(Some(Planted::RetireBacklog));
    let found = std::panic::catch_unwind(|| !stopped(false)).unwrap_or(true);
    plant(None);
    assert!(found, "RetireBacklog survives");
}
