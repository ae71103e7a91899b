//! Backups of a store that goes on meanwhile, and what comes back of them.

use super::world::{Op, View, World, config, open_with, random};
use crate::backup::create::{Told, create};
use crate::backup::repository::Repository;
use crate::backup::restore::{prepare, restore};
use crate::backup::verify::verify;
use crate::backup::{Damage, Done, Error, Refused, RestoreTask, Restored, Task, Verified, With};
use crate::store::planted::{Planted, plant};
use crate::store::store::Store;
use runtime_smol::fs::Fs;
use runtime_smol::sim::{SimFs, Variant};
use std::path::Path;
use std::sync::Arc;

fn task() -> Task {
    Task { dir: "/backup".into(), ..Task::default() }
}

fn back_up_with(
    store: &Store,
    fs: &SimFs,
    tell: &mut dyn FnMut(Told) -> bool,
) -> Result<Done, Error> {
    create(store, Arc::new(fs.clone()), &task(), tell)
}

fn back_up(world: &World) -> Done {
    back_up_with(&world.store, &world.fs, &mut |_| true).unwrap()
}

fn repository(fs: &SimFs) -> Arc<Repository> {
    Arc::new(Repository::open(Arc::new(fs.clone()), Path::new("/backup")).unwrap())
}

fn verified(fs: &SimFs) -> (Verified, Vec<Damage>) {
    let mut damages = Vec::new();
    let sum = verify(&repository(fs), None, &mut |damage| damages.push(damage), &mut |_| true);
    (sum.unwrap(), damages)
}

fn bring(
    store: &Store,
    fs: &SimFs,
    task: &RestoreTask,
    with: With,
) -> Result<Vec<Result<Restored, Refused>>, Error> {
    let mut results = Vec::new();
    restore(store, &repository(fs), task, with, &mut |_| true, &mut |result| results.push(result))?;
    Ok(results)
}

fn of(generation: Option<u64>) -> RestoreTask {
    RestoreTask { dir: "/backup".into(), generation, ..RestoreTask::default() }
}

/// The backup on `fs` in a new store of its own.
fn restored(fs: &SimFs, generation: Option<u64>) -> World {
    let (new, task) = (SimFs::new(), of(generation));
    let to: Arc<dyn Fs> = Arc::new(new.clone());
    prepare(&repository(fs), &task, &to, Path::new("/data"), random(3)).unwrap();
    let store = open_with(&new, 5, config()).unwrap();
    let results = bring(&store, fs, &task, With::Nobody).unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    store.checkpoint(0).unwrap();
    drop(store);
    World::recover(new, 9).unwrap()
}

/// Some of everything.
fn busy() -> World {
    let mut world = World::new(SimFs::new());
    let all = [
        Op::Append,
        Op::DeliverLarge,
        Op::Store,
        Op::Snapshot,
        Op::Deliver,
        Op::Rotate,
        Op::Copy,
        Op::Create,
        Op::Rename,
        Op::Expunge,
        Op::DeliverLarge,
    ];
    all.iter().for_each(|op| world.run(*op).unwrap());
    world
}

#[test]
fn what_comes_back_is_what_was_there() {
    let world = busy();
    let view = world.view().unwrap();
    let done = back_up(&world);
    assert_eq!((done.generation, done.accounts, done.left_out), (1, 1, 0));
    let (sum, damages) = verified(&world.fs);
    assert_eq!(damages, []);
    assert!(sum.messages >= 4 && sum.objects > 3, "{sum:?}");
    let mut again = restored(&world.fs, None);
    assert_eq!(again.view().unwrap(), view);
    // Life goes on there, under the mod-sequences and UIDs that follow.
    again.run(Op::Deliver).unwrap();
    let after = again.view().unwrap();
    let (before, after) = (&view.mailboxes["INBOX"], &after.mailboxes["INBOX"]);
    assert_eq!(after.uidvalidity, before.uidvalidity);
    assert_eq!(after.messages.len(), before.messages.len() + 1);
    assert!(after.highest_modseq > before.highest_modseq);
    assert_eq!(again.store.guid(), world.store.guid());
    assert!(again.store.epoch() > world.store.epoch());
}

#[test]
fn attachments_come_back_with_their_messages() {
    let mut world = busy();
    for op in [Op::DeliverAttachment, Op::Tend, Op::DeliverOther, Op::DeliverAttachment] {
        world.run(op).unwrap();
    }
    let view = world.view().unwrap();
    assert_eq!(back_up(&world).accounts, 2);
    assert_eq!(verified(&world.fs).1, []);
    let again = restored(&world.fs, None);
    assert_eq!(again.view().unwrap(), view);
    again.check_attachments().unwrap();
}

/// What happens between any two files that are copied.
const MEANWHILE: [Op; 15] = [
    Op::Deliver,
    Op::Store,
    Op::Store,
    Op::Expunge,
    Op::Compact,
    Op::Snapshot,
    Op::Rotate,
    Op::DeliverLarge,
    Op::Delete,
    Op::FreeAndTend,
    Op::DeliverAttachment,
    Op::Create,
    Op::Move,
    Op::Snapshot,
    Op::Append,
];

/// Backs up a store in which [`MEANWHILE`] happens, beginning with the operation `first`. What is wrong, if anything.
fn moment(first: usize) -> Result<(), String> {
    let mut world = busy();
    let view = world.view().unwrap();
    let (store, fs) = (world.store.clone(), world.fs.clone());
    let mut ran = 0;
    let done = back_up_with(&store, &fs, &mut |told| {
        if matches!(&told, Told::Progress { user, .. } if user == "u1") {
            world.run(MEANWHILE[(first + ran) % MEANWHILE.len()]).unwrap();
            ran += 1;
        }
        true
    });
    if done.unwrap().left_out > 0 {
        return Err("the account was left out".to_owned());
    }
    assert!(ran > MEANWHILE.len(), "only {ran}");
    let damages = verified(&world.fs).1;
    if !damages.is_empty() {
        return Err(format!("{damages:?}"));
    }
    let found = restored(&world.fs, None).view().unwrap();
    if found != view {
        return Err(format!("found {found:#?}\nexpected {view:#?}"));
    }
    // What was put off is done.
    world.run(Op::Snapshot).unwrap();
    let next = world.view().unwrap();
    assert_eq!(back_up(&world).generation, 2);
    assert_eq!(restored(&world.fs, None).view().unwrap(), next);
    assert_eq!(restored(&world.fs, Some(1)).view().unwrap(), view);
    Ok(())
}

#[test]
fn it_is_one_moment_whatever_happens_meanwhile() {
    for first in 0..MEANWHILE.len() {
        assert_eq!(moment(first), Ok(()), "beginning with {first}");
    }
}

#[test]
fn planted_faults_of_backups_are_found() {
    for fault in Planted::BACKUP {
        let found = || {
            if fault == Planted::FrozenAtOnce {
                !queued()
            } else if fault == Planted::GenerationBeforeSync {
                crashes(2).is_err()
            } else {
                (0..MEANWHILE.len()).any(|first| moment(first).is_err())
            }
        };
        plant(Some(fault));
        let found = std::panic::catch_unwind(found).unwrap_or(true);
        plant(None);
        assert!(found, "{fault:?} survives");
    }
}

/// Whether a change that is queued when the backup begins is in it.
fn queued() -> bool {
    let mut world = busy();
    let position = world.assign(Op::Deliver).unwrap();
    assert!(world.store.durable() < position);
    let done = back_up(&world);
    let durable = world.store.durable() >= position;
    done.left_out == 0
        && durable
        && restored(&world.fs, None).view().unwrap() == world.view().unwrap()
}

#[test]
fn what_is_queued_and_not_durable_yet_is_waited_for() {
    assert!(queued());
}

#[test]
fn an_account_that_was_given_up_meanwhile_is_copied_anew() {
    let world = busy();
    let mut killed = false;
    let (store, fs) = (world.store.clone(), world.fs.clone());
    let done = back_up_with(&store, &fs, &mut |told| {
        if matches!(&told, Told::Progress { user, .. } if user == "u1") && !killed {
            world.account.kill();
            killed = true;
        }
        true
    });
    assert!(killed && done.unwrap().left_out == 0);
    let again = World::recover(world.fs.crashed(Variant::Everything), 4).unwrap();
    assert_eq!(restored(&world.fs, None).view().unwrap(), again.view().unwrap());
}

/// Objects of a backup, with their lengths.
fn objects(fs: &SimFs) -> Vec<(std::path::PathBuf, u64)> {
    let files = fs.files().into_iter().filter(|path| path.starts_with("/backup/objects"));
    files.map(|path| (path.clone(), fs.metadata(&path).unwrap().unwrap().len)).collect()
}

#[test]
fn only_what_is_new_is_copied() {
    let mut world = busy();
    let first = back_up(&world);
    let files = objects(&world.fs);
    assert_eq!(files.iter().map(|(_, len)| len).sum::<u64>(), first.added);
    // Nothing has happened: not even a manifest is new.
    assert_eq!(back_up(&world).added, 0);
    assert_eq!(objects(&world.fs), files);
    for _ in 0..40 {
        world.run(Op::Deliver).unwrap();
    }
    back_up(&world);
    let before = objects(&world.fs);
    world.run(Op::Deliver).unwrap();
    let last = back_up(&world);
    let new: Vec<_> = objects(&world.fs).into_iter().filter(|it| !before.contains(it)).collect();
    assert_eq!(new.iter().map(|(_, len)| len).sum::<u64>(), last.added);
    // The manifest is by far the greatest part: it names all files.
    let manifest = repository(&world.fs).generation(None).unwrap().accounts[0].manifest.len;
    let message = "X-To: u1\r\nSubject: 41\r\n\r\nshort\r\n".len() as u64 + 97;
    let logs = 200;
    let mail = last.added - manifest;
    assert!(mail >= message && mail < message + logs, "{mail} bytes for {message}");
}

#[test]
fn older_generations_go_and_the_newest_needs_nothing_of_them() {
    let mut world = busy();
    for _ in 0..4 {
        back_up(&world);
        for op in [Op::Delete, Op::Expunge, Op::Compact, Op::DeliverLarge, Op::Snapshot] {
            world.run(op).unwrap();
        }
    }
    let before: u64 = objects(&world.fs).iter().map(|(_, len)| len).sum();
    let keep = Task { keep: Some(2), ..task() };
    let done = create(&world.store, Arc::new(world.fs.clone()), &keep, &mut |_| true).unwrap();
    let after: u64 = objects(&world.fs).iter().map(|(_, len)| len).sum();
    assert_eq!(repository(&world.fs).generations().unwrap(), [4, 5]);
    assert!(done.freed > 0 && before + done.added - done.freed == after, "{done:?}");
    assert_eq!(verified(&world.fs).1, []);
    assert_eq!(restored(&world.fs, None).view().unwrap(), world.view().unwrap());
    let error = bring(&world.store, &world.fs, &of(Some(1)), With::Others).unwrap_err();
    assert!(error.to_string().contains("loft backup list"), "{error}");
}

#[test]
fn interrupted_it_leaves_what_was_there_and_goes_on_where_it_stopped() {
    let mut world = busy();
    back_up(&world);
    let view = world.view().unwrap();
    for _ in 0..30 {
        world.run(Op::DeliverLarge).unwrap();
    }
    let next = world.view().unwrap();
    let mut steps = 0;
    let stopped = back_up_with(&world.store, &world.fs, &mut |told| {
        steps += u64::from(matches!(&told, Told::Progress { user, .. } if user == "u1"));
        steps < 25
    });
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    assert_eq!(repository(&world.fs).generations().unwrap(), [1]);
    assert_eq!(restored(&world.fs, None).view().unwrap(), view);
    let left: u64 = objects(&world.fs).iter().map(|(_, len)| len).sum();
    let done = back_up(&world);
    assert_eq!(verified(&world.fs).1, []);
    assert_eq!(restored(&world.fs, None).view().unwrap(), next);
    // A run that nobody interrupts copies all of it.
    let other = World::recover(world.fs.crashed(Variant::Everything), 8).unwrap();
    let whole = Task { dir: "/other".into(), ..task() };
    let whole = create(&other.store, Arc::new(other.fs.clone()), &whole, &mut |_| true).unwrap();
    let added = done.added;
    assert!(added + 2000 < whole.added && left > 2000, "{added} of {}", whole.added);
}

/// Crashes at every step of a second backup, which another one interrupted before, `variants` times each. How many there
/// were, and how many of them left the new generation.
fn crashes(variants: usize) -> Result<(u64, u64), String> {
    let fs = SimFs::new();
    fs.keep_history();
    let mut world = World::new(fs);
    back_up(&world);
    let first = world.view().unwrap();
    for op in [Op::DeliverLarge, Op::Expunge, Op::Snapshot, Op::DeliverLarge] {
        world.run(op).unwrap();
    }
    world.store.checkpoint(0).unwrap();
    let second = world.view().unwrap();
    let start = world.fs.ops();
    let mut steps = 0;
    let stopped = back_up_with(&world.store, &world.fs, &mut |told| {
        steps += u64::from(matches!(&told, Told::Progress { user, .. } if user == "u1"));
        steps < 15
    });
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    let keep = Task { keep: Some(1), ..task() };
    create(&world.store, Arc::new(world.fs.clone()), &keep, &mut |_| true).unwrap();
    let (mut crashes, mut finished) = (0, 0);
    for at in world.fs.crash_points().into_iter().filter(|&at| at >= start) {
        for variant in Variant::sample(variants, at) {
            let Some(image) = world.fs.crashed_at(at, variant) else { continue };
            crashes += 1;
            let whole = |image: &SimFs, last: Option<u64>, expected: &View, when: &str| {
                let damages = verified(image).1;
                if !damages.is_empty() {
                    return Err(format!("{when} {at}, {variant:?}: {damages:?}"));
                }
                match restored(image, last).view().unwrap() == *expected {
                    true => Ok(()),
                    false => Err(format!("{when} {at}, {variant:?}: another state")),
                }
            };
            let numbers = repository(&image).generations().unwrap();
            let (last, expected) = match numbers.last() {
                Some(2) => (2, &second),
                Some(1) => (1, &first),
                other => return Err(format!("generation {other:?} at {at}, {variant:?}")),
            };
            finished += u64::from(last == 2);
            whole(&image, Some(last), expected, "at")?;
            // The next one is made all the same.
            let again = World::recover(image, 6).unwrap();
            back_up(&again);
            whole(&again.fs, None, &again.view().unwrap(), "after")?;
        }
    }
    Ok((crashes, finished))
}

#[test]
fn a_crash_at_any_step_leaves_generations_that_are_whole() {
    let (crashes, finished) = crashes(3).unwrap();
    println!("{crashes} crashes, {finished} of them with the new generation");
    assert!(finished > 5 && crashes - finished > 20, "{finished} of {crashes}");
}

#[test]
fn every_flipped_bit_is_found_and_named() {
    let world = busy();
    back_up(&world);
    let files = world.fs.files().into_iter().filter(|path| path.starts_with("/backup"));
    let files: Vec<_> = files.filter(|path| !path.ends_with("lock")).collect();
    let mut flips = 0;
    for path in files {
        let len = world.fs.metadata(&path).unwrap().unwrap().len;
        for at in (0..len).step_by(1 + usize::try_from(len / 9).unwrap()) {
            let at = usize::try_from(at).unwrap();
            let image = world.fs.crashed(Variant::Everything);
            image.corrupt(&path, |bytes| bytes[at] ^= 4).unwrap();
            flips += 1;
            if path.ends_with("loft-backup") {
                let opened = Repository::open(Arc::new(image), Path::new("/backup"));
                assert!(opened.is_err());
                continue;
            }
            let (_, damages) = verified(&image);
            let name = path.strip_prefix("/backup").unwrap().display().to_string();
            assert!(damages.iter().any(|is| is.file == name), "{name} byte {at}: {damages:?}");
            // And nothing of it is taken for mail.
            let new = SimFs::new();
            let to: Arc<dyn Fs> = Arc::new(new.clone());
            let task = of(None);
            let prepared = prepare(&repository(&image), &task, &to, Path::new("/data"), random(3));
            if prepared.is_err() {
                continue;
            }
            let store = open_with(&new, 5, config()).unwrap();
            let results = bring(&store, &image, &task, With::Nobody);
            assert!(
                results.is_err() || results.unwrap().iter().all(Result::is_err),
                "{name} byte {at} was restored"
            );
            assert!(!store.has_account("u1").unwrap());
        }
    }
    println!("{flips} flipped bits found");
    assert!(flips > 100, "{flips}");
}

#[test]
fn a_message_that_is_damaged_in_the_store_is_named() {
    let mut world = busy();
    world.store.checkpoint(0).unwrap();
    let containers = world.fs.files().into_iter();
    let path =
        containers.filter(|path| path.to_string_lossy().contains("/storage/")).min().unwrap();
    world.fs.corrupt(&path, |bytes| bytes[64 + 70] ^= 1).unwrap();
    world.run(Op::Deliver).unwrap();
    back_up(&world);
    let (_, damages) = verified(&world.fs);
    assert_eq!(damages.len(), 1, "{damages:?}");
    let Damage { user, mailbox, file, what, .. } = &damages[0];
    assert_eq!(user.as_deref(), Some("u1"));
    assert!(mailbox.is_some() && what.contains("UID ") && file.starts_with("storage/"));
}

/// Of all mailboxes, by name.
fn uidvalidities(view: &View) -> Vec<(String, u32)> {
    view.mailboxes.iter().map(|(name, it)| (name.clone(), it.uidvalidity)).collect()
}

#[test]
fn another_name_in_the_same_store() {
    let world = busy();
    let view = world.view().unwrap();
    back_up(&world);
    let task =
        RestoreTask { users: vec!["u1".into()], rename: Some("u1-before".into()), ..of(None) };
    let results = bring(&world.store, &world.fs, &task, With::Others).unwrap();
    assert!(matches!(&results[..], [Ok(done)] if done.user == "u1-before"), "{results:?}");
    let account = world.store.account("u1-before").unwrap();
    let (store, fs) = (world.store.clone(), world.fs.clone());
    let other = World { account, store, fs, count: 0 };
    assert_eq!(other.view().unwrap(), view);
    // Nothing is left for later, counters included.
    let mut told = Vec::new();
    world.store.check("u1-before", None, &mut |finding| told.push(finding)).unwrap();
    told.retain(|told| matches!(told, crate::store::Told::Finding(_)));
    assert_eq!(told, []);
    assert_eq!(world.view().unwrap(), view);
    // It is there now, and stays as it is.
    let results = bring(&world.store, &world.fs, &task, With::Others).unwrap();
    assert!(matches!(&results[..], [Err(refused)] if refused.why.contains("--as")), "{results:?}");
    let everybody = bring(&world.store, &world.fs, &of(None), With::Others).unwrap();
    assert!(matches!(&everybody[..], [Err(refused)] if refused.user == "u1"), "{everybody:?}");
    let replace = RestoreTask { replace: true, ..of(None) };
    let error = bring(&world.store, &world.fs, &replace, With::Others).unwrap_err();
    assert!(matches!(error, Error::Running), "{error}");
}

#[test]
fn an_older_state_over_a_newer_one_has_higher_uidvalidities() {
    let mut world = busy();
    let older = world.view().unwrap();
    back_up(&world);
    for op in [Op::Create, Op::Deliver, Op::Create, Op::Delete] {
        world.run(op).unwrap();
    }
    let newer = world.view().unwrap();
    let high = newer.mailboxes.values().map(|it| it.uidvalidity).max().unwrap();
    let World { fs, store, account, .. } = world;
    drop((store, account));
    let store = open_with(&fs, 6, config()).unwrap();
    let task = RestoreTask { replace: true, ..of(None) };
    let results = bring(&store, &fs, &task, With::Nobody).unwrap();
    let [Ok(Restored { new_uidvalidity: true, aside: Some(aside), .. })] = &results[..] else {
        panic!("{results:?}")
    };
    assert!(fs.files().iter().any(|path| path.starts_with(Path::new("/data").join(aside))));
    drop(store);
    let mut world = World::recover(fs, 7).unwrap();
    let view = world.view().unwrap();
    for ((name, now), (_, before)) in uidvalidities(&view).iter().zip(uidvalidities(&older)) {
        assert!(*now > before && *now > high, "{name}: {now} after {before} and {high}");
    }
    let texts = |view: &View| -> Vec<_> {
        view.mailboxes.iter().map(|(name, it)| (name.clone(), it.messages.clone())).collect()
    };
    assert_eq!(texts(&view), texts(&older));
    // And the next mailbox gets one above these.
    let highest = view.mailboxes.values().map(|it| it.uidvalidity).max().unwrap();
    world.run(Op::Create).unwrap();
    let after = world.view().unwrap();
    assert!(after.mailboxes.values().any(|it| it.uidvalidity > highest));
}

#[test]
fn where_clients_may_know_more_uidvalidities_rise_too() {
    let world = busy();
    back_up(&world);
    let (new, task) = (SimFs::new(), RestoreTask { new_uidvalidity: true, ..of(None) });
    let to: Arc<dyn Fs> = Arc::new(new.clone());
    prepare(&repository(&world.fs), &task, &to, Path::new("/data"), random(3)).unwrap();
    let store = open_with(&new, 5, config()).unwrap();
    bring(&store, &world.fs, &task, With::Nobody).unwrap();
    drop(store);
    let again = World::recover(new, 9).unwrap();
    let (before, after) = (world.view().unwrap(), again.view().unwrap());
    for ((name, now), (_, before)) in uidvalidities(&after).iter().zip(uidvalidities(&before)) {
        assert!(*now > before, "{name}: {now} after {before}");
    }
}

#[test]
fn a_crash_while_an_account_is_replaced_leaves_the_old_or_the_new() {
    let mut world = busy();
    let older = world.view().unwrap();
    back_up(&world);
    world.run(Op::Deliver).unwrap();
    let newer = world.view().unwrap();
    world.store.checkpoint(0).unwrap();
    let fs = world.fs.crashed(Variant::Everything);
    fs.keep_history();
    let store = open_with(&fs, 6, config()).unwrap();
    let start = fs.ops();
    let task = RestoreTask { replace: true, ..of(None) };
    let results = bring(&store, &fs, &task, With::Nobody).unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let (mut old, mut new) = (0, 0);
    for at in fs.crash_points().into_iter().filter(|&at| at >= start) {
        for variant in Variant::sample(4, at) {
            let Some(image) = fs.crashed_at(at, variant) else { continue };
            let mut found = World::recover(image, 8).unwrap();
            let view = found.view().unwrap();
            if view == newer {
                old += 1;
            } else {
                let messages = |view: &View| view.mailboxes["INBOX"].messages.clone();
                assert_eq!(messages(&view), messages(&older), "at {at}, {variant:?}");
                assert_ne!(uidvalidities(&view), uidvalidities(&older));
                new += 1;
            }
            found.run(Op::Deliver).unwrap();
            assert!(!found.fs.files().iter().any(|path| path.starts_with("/data/restoring")));
        }
    }
    println!("{old} times the old one, {new} times the new one");
    assert!(old > 20 && new > 2, "{old} and {new}");
}

#[test]
fn a_store_that_others_back_up_is_refused() {
    let world = busy();
    back_up(&world);
    let other = World::with(SimFs::new(), config());
    let foreign = create(&other.store, Arc::new(world.fs.clone()), &task(), &mut |_| true);
    // The tests' GUIDs are all the same.
    assert_eq!(other.store.guid(), world.store.guid());
    assert!(foreign.is_ok());
    let inside = Task { dir: "/data/backup".into(), ..task() };
    let inside = create(&world.store, Arc::new(world.fs.clone()), &inside, &mut |_| true);
    assert!(matches!(inside, Err(Error::Foreign { .. })), "{inside:?}");
    let journal = Task { dir: "/data".into(), ..task() };
    let journal = create(&world.store, Arc::new(world.fs.clone()), &journal, &mut |_| true);
    assert!(matches!(journal, Err(Error::Foreign { .. })), "{journal:?}");
}
