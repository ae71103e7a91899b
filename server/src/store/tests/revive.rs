//! An account is made anew from its containers, whatever of its other files is damaged or gone; and a crash in the middle of
//! that leaves the old or the new.

use super::repair::settled;
use super::world::{Op, View, World, config};
use crate::store::check::{Harm, Told};
use crate::store::error::StoreError;
use crate::store::rebuild::{Rebuilt, Revived};
use index_format::list::SpecialUse;
use runtime_smol::fs::{Fs, read_all};
use runtime_smol::sim::{SimFs, Variant};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Mail in INBOX, some of it also in a mailbox of copies; mail that was saved to another; some that was expunged. The
/// journal is empty, and every snapshot has both generations.
fn disk() -> World {
    let mut world = World::new(SimFs::new());
    let created = world.store.create(&world.account, "Work/2027", SpecialUse::NONE).unwrap();
    world.commit(created.1).unwrap();
    for op in [Op::Append, Op::Snapshot, Op::DeliverLarge, Op::Deliver, Op::Store] {
        world.run(op).unwrap();
    }
    for number in 0..4_usize {
        let text = format!("Subject: w{number}\r\n\r\nwork{}\r\n", "!".repeat(40 + number));
        let position = world.deliver_to("Work/2027", &text).unwrap();
        world.commit(position).unwrap();
    }
    for op in [Op::Snapshot, Op::Append, Op::Deliver, Op::Store] {
        world.run(op).unwrap();
    }
    settled(&world)
}

fn texts(view: &View) -> BTreeMap<String, BTreeSet<String>> {
    let of = |mailbox: &super::world::Mailbox| {
        mailbox.messages.values().map(|mail| mail.text.clone()).collect()
    };
    view.mailboxes.iter().map(|(name, mailbox)| (name.clone(), of(mailbox))).collect()
}

fn all(view: &View) -> BTreeSet<String> {
    texts(view).into_values().flatten().collect()
}

fn is_container(path: &Path) -> bool {
    path.to_string_lossy().contains("/storage/")
}

fn containers(fs: &SimFs) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs.files().into_iter().filter(|path| is_container(path));
    files.map(|path| (path.clone(), read_all(fs, &path).unwrap())).collect()
}

/// What a file is, in words.
fn kind(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    let whole = path.to_string_lossy();
    Some(match name {
        "list.index" => "list.index",
        "list.index.prev" => "list.index.prev",
        "map.index" => "map.index",
        "map.index.prev" => "map.index.prev",
        _ if name.starts_with("list.log") => "list.log",
        _ if name.starts_with("map.log") => "map.log",
        _ if !whole.contains("/mailboxes/") => return None,
        "index" | "index.delta" => "index",
        "index.prev" => "index.prev",
        _ if name.starts_with("log") => "log",
        _ => return None,
    })
}

const KINDS: [&str; 9] = [
    "list.log",
    "list.index",
    "list.index.prev",
    "map.log",
    "map.index",
    "map.index.prev",
    "log",
    "index",
    "index.prev",
];

/// A way to damage a file.
type Damage = (&'static str, fn(&SimFs, &Path));

const DAMAGES: [Damage; 4] = [
    ("removed", |fs, path| {
        fs.unlink(path).unwrap();
        // A mailbox's directory with its last file.
        let dir = path.parent().unwrap();
        let _not_empty =
            dir.parent().is_some_and(|it| it.ends_with("mailboxes")).then(|| fs.remove_dir(dir));
    }),
    ("zeroed", |fs, path| fs.corrupt(path, |bytes| bytes.fill(0)).unwrap()),
    ("cut in half", |fs, path| {
        fs.corrupt(path, |bytes| bytes.truncate(bytes.len() / 2)).unwrap();
    }),
    ("a bit flipped", |fs, path| {
        fs.corrupt(path, |bytes| {
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 0x10;
            }
        })
        .unwrap();
    }),
];

fn damage(image: &SimFs, kinds: &[&str], damage: fn(&SimFs, &Path)) {
    for path in image.files() {
        if kind(&path).is_some_and(|kind| kinds.contains(&kind)) {
            damage(image, &path);
        }
    }
}

/// What `loft mailbox rebuild --all` does, in a process of its own.
fn rebuild(fs: SimFs, seed: u64) -> Result<(World, Option<Revived>, Vec<Rebuilt>), StoreError> {
    let store = super::world::open_with(&fs, seed, config())?;
    let (revived, rebuilt) = store.rebuild_all("u1", &mut |_| ())?;
    let account = store.account("u1")?;
    Ok((World::of(fs, store, account), revived, rebuilt))
}

fn findings(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    let mut tell = |told| {
        if let Told::Finding(finding) = told
            && finding.harm == Harm::Mail
        {
            found.push(format!("{finding:?}"));
        }
    };
    world.store.check("u1", None, &mut tell).unwrap();
    found
}

/// Damages all files of these kinds, makes the account anew, and looks whether all mail is where it was saved.
fn try_one(world: &World, kinds: &[&str], (what, how): Damage) -> bool {
    let expected = world.view().unwrap();
    let image = world.fs.crashed(Variant::Everything);
    damage(&image, kinds, how);
    let before = containers(&image);
    let (mut world, revived, rebuilt) =
        rebuild(image, 5).unwrap_or_else(|error| panic!("{kinds:?} {what}: {error}"));
    let case = format!("{kinds:?} {what}: {revived:#?} {rebuilt:#?}");
    assert_eq!(containers(&world.fs), before, "{case}");
    let view = world.view().unwrap_or_else(|error| panic!("{case}: {error}"));
    let (was, is) = (texts(&expected), texts(&view));
    for name in ["INBOX", "Work/2027"] {
        assert!(was[name].is_subset(&is[name]), "{case} {name}: {was:#?} {is:#?}");
        let (was, is) = (&expected.mailboxes[name], &view.mailboxes[name]);
        let whole = rebuilt.iter().any(|rebuilt| rebuilt.mailbox == name && rebuilt.whole);
        if whole {
            assert_eq!((was.uidvalidity, &was.messages), (is.uidvalidity, &is.messages), "{case}");
        } else {
            assert!(was.uidvalidity < is.uidvalidity, "{case}");
        }
    }
    assert_eq!(all(&expected), all(&view), "{case}");
    let mut uidvalidities: Vec<u32> =
        view.mailboxes.values().map(|mailbox| mailbox.uidvalidity).collect();
    uidvalidities.sort_unstable();
    uidvalidities.dedup();
    assert_eq!(uidvalidities.len(), view.mailboxes.len(), "{case}");
    assert_eq!(findings(&world), Vec::<String>::new(), "{case}");
    // Life goes on.
    world.run(Op::Deliver).unwrap();
    world.run(Op::Snapshot).unwrap();
    let after = world.view().unwrap();
    let again = World::recover(world.fs.crashed(Variant::Nothing), 6).unwrap();
    assert_eq!(again.view().unwrap(), after, "{case}");
    revived.is_some()
}

#[test]
fn every_kind_of_file_damaged_in_every_way_costs_no_mail() {
    let world = disk();
    let mut revived = 0;
    for kind in KINDS {
        for damage in DAMAGES {
            revived += u32::from(try_one(&world, &[kind], damage));
        }
    }
    println!("{} damages, {revived} times all of the account was made anew", KINDS.len() * 4);
    assert!(revived > 4);
}

#[test]
fn any_of_list_map_and_mailboxes_may_be_gone_together() {
    let world = disk();
    for lost in 1_usize..8 {
        let kinds: Vec<&str> = KINDS
            .into_iter()
            .enumerate()
            .filter(|(at, _)| lost >> (at / 3) & 1 == 1)
            .map(|(_, kind)| kind)
            .collect();
        for damage in DAMAGES {
            try_one(&world, &kinds, damage);
        }
    }
}

#[test]
fn with_the_list_whole_mailboxes_keep_names_uids_and_flags() {
    let world = disk();
    let expected = world.view().unwrap();
    let image = world.fs.crashed(Variant::Everything);
    damage(&image, &["map.log", "map.index", "map.index.prev"], DAMAGES[0].1);
    let (world, revived, rebuilt) = rebuild(image, 5).unwrap();
    let revived = revived.unwrap();
    let view = world.view().unwrap();
    assert!(view.mailboxes.keys().eq(expected.mailboxes.keys()), "{view:#?}");
    // Of these each has a size of its own.
    let work = rebuilt.iter().find(|rebuilt| rebuilt.mailbox == "Work/2027").unwrap();
    assert!(work.whole && work.messages == 4, "{work:?}");
    assert_eq!(view.mailboxes["Work/2027"], expected.mailboxes["Work/2027"]);
    assert!(revived.aside.is_some() && !revived.unknown.is_empty(), "{revived:?}");
}

#[test]
fn what_was_expunged_can_still_be_brought_back_if_the_mailboxes_are_whole() {
    let mut world = disk();
    let all = crate::store::undelete::Which::default();
    for op in [Op::Store, Op::Store, Op::Expunge, Op::Snapshot] {
        world.run(op).unwrap();
    }
    let world = settled(&world);
    let expunged = world.store.expunged("u1", &all, &mut |_| ()).unwrap();
    let view = world.view().unwrap();
    let image = world.fs.crashed(Variant::Everything);
    damage(&image, &["list.log", "list.index", "list.index.prev"], DAMAGES[1].1);
    let (world, revived, _) = rebuild(image, 5).unwrap();
    assert_eq!(revived.unwrap().expunged, expunged.len() as u64);
    assert_eq!(world.view().unwrap().mailboxes["INBOX"].messages, view.mailboxes["INBOX"].messages);
}

#[test]
fn a_damaged_container_costs_what_is_damaged_in_it() {
    let world = disk();
    let image = world.fs.crashed(Variant::Everything);
    let (path, bytes) =
        containers(&image).into_iter().max_by_key(|(_, bytes)| bytes.len()).unwrap();
    // The head of its first record, and its own header.
    image.corrupt(&path, |bytes| bytes[20..100].fill(0xaa)).unwrap();
    let lists =
        ["list.log", "list.index", "list.index.prev", "map.log", "map.index", "map.index.prev"];
    damage(&image, &lists, DAMAGES[0].1);
    let (world, revived, _) = rebuild(image, 5).unwrap();
    let revived = revived.unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(revived.unknown.iter().any(|line| line.contains(name)), "{revived:#?}");
    let kept = world
        .fs
        .files()
        .into_iter()
        .find(|path| path.to_string_lossy().contains("/damaged/") && path.ends_with(name));
    assert_eq!(read_all(&world.fs, &kept.unwrap()).unwrap().len(), bytes.len());
    world.view().unwrap();
}

#[test]
fn who_is_being_rebuilt_is_refused_and_nobody_else() {
    let world = World::new(SimFs::new());
    let closed = world.store.close("u1").unwrap();
    let refused = world.store.account("u1").unwrap_err().to_string();
    assert!(refused.contains("being rebuilt"), "{refused}");
    assert!(world.account.is_dead(), "who is logged in is thrown out");
    assert!(world.store.close("u1").is_err());
    world.store.account("u2").unwrap();
    drop(closed);
    world.store.account("u1").unwrap();
}

/// No change of an account gets into the files of another time of it: not by the journal, after a crash.
#[test]
fn the_journal_of_a_closed_account_is_clear() {
    let mut world = World::new(SimFs::new());
    world.run(Op::Deliver).unwrap();
    let view = world.view().unwrap();
    let closed = world.store.close("u1").unwrap();
    let image = world.fs.crashed(Variant::Nothing);
    drop(closed);
    let journal = |path: &PathBuf| path.starts_with("/data/journal");
    let segments: Vec<PathBuf> = image.files().into_iter().filter(journal).collect();
    assert_eq!(segments.len(), 1, "{segments:?}");
    assert_eq!(World::recover(image, 5).unwrap().view().unwrap(), view);
}

#[test]
fn a_crash_anywhere_in_a_rebuild_leaves_the_old_or_the_new() {
    let lost: [&[&str]; 3] = [
        &["list.log", "list.index", "list.index.prev"],
        &["map.log", "map.index", "map.index.prev", "log", "index", "index.prev"],
        &KINDS,
    ];
    let (mut crashes, mut old, mut new) = (0, 0, 0);
    for kinds in lost {
        let disk = disk();
        let expected = all(&disk.view().unwrap());
        let image = disk.fs.crashed(Variant::Everything);
        damage(&image, kinds, DAMAGES[2].1);
        image.keep_history();
        let store = super::world::open_with(&image, 5, config()).unwrap();
        let start = image.ops();
        store.revive("u1", &mut |_| ()).unwrap();
        let end = image.ops();
        drop(store);
        let bytes = containers(&image);
        for at in image.crash_points().into_iter().filter(|&at| at >= start).chain([end]) {
            for variant in Variant::sample(6, at) {
                let crashed = match at == end {
                    true => Some(image.crashed(variant)),
                    false => image.crashed_at(at, variant),
                };
                let Some(crashed) = crashed else { continue };
                crashes += 1;
                let case = format!("{kinds:?}, crash at operation {at}, {variant:?}");
                assert_eq!(containers(&crashed), bytes, "{case}");
                let opened = super::world::open_with(&crashed, 7, config()).unwrap();
                let account = match opened.account("u1") {
                    Ok(account) => account,
                    Err(StoreError::Damaged { .. }) => {
                        opened
                            .revive("u1", &mut |_| ())
                            .unwrap_or_else(|error| panic!("{case}: {error}"));
                        old += 1;
                        opened.account("u1").unwrap()
                    }
                    Err(error) => panic!("{case}: {error}"),
                };
                let world = World::of(crashed, opened, account);
                let view = match world.view() {
                    // Only mailboxes are damaged: nobody has looked at them so far.
                    Err(StoreError::Damaged { .. }) => {
                        old += 1;
                        drop(world.store.rebuild_all("u1", &mut |_| ()).unwrap());
                        let account = world.store.account("u1").unwrap();
                        World::of(world.fs.clone(), world.store.clone(), account).view().unwrap()
                    }
                    view => {
                        new += 1;
                        view.unwrap_or_else(|error| panic!("{case}: {error}"))
                    }
                };
                assert_eq!(all(&view), expected, "{case}");
                let unfinished = |path: &PathBuf| path.to_string_lossy().contains("/rebuild.r");
                assert!(!world.fs.files().iter().any(unfinished), "{case}");
            }
        }
    }
    println!("{crashes} crashes, {old} times the old was there, {new} times the new");
    assert!(old > 20 && new > 20, "{old} {new}");
}

/// The account is known by large messages alone, whose records are in no journal.
#[test]
fn large_messages_alone_do_not_pass_for_a_new_account() {
    let mut world = World::new(SimFs::new());
    world.run(Op::DeliverLarge).unwrap();
    world.run(Op::DeliverLarge).unwrap();
    let state = world.account.lock().unwrap();
    let large: BTreeSet<u32> =
        state.map.iter().filter(|(_, entry)| entry.size > 256).map(|(id, _)| id.0).collect();
    drop(state);
    assert!(large.len() >= 2);
    let world = settled(&world);
    let expected = all(&world.view().unwrap());
    let image = world.fs.crashed(Variant::Everything);
    // Of the small ones nothing is left either.
    for path in image.files() {
        let text = path.to_string_lossy().into_owned();
        let is_small = is_container(&path) && read_all(&image, &path).unwrap().len() < 1000;
        if text.contains("/users/") && (!is_container(&path) || is_small) {
            image.unlink(&path).unwrap();
        }
    }
    let store = super::world::open_with(&image, 3, config()).unwrap();
    let refused = store.account("u1").map(|_| ());
    assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
    drop(store);
    let (world, revived, _) = rebuild(image, 5).unwrap();
    let left = all(&world.view().unwrap());
    assert!(revived.is_some_and(|revived| revived.messages >= 2));
    assert!(left.len() >= 2 && left.is_subset(&expected), "{left:?}");
}

/// A crash anywhere in the first delivery of an account, a large one, leaves the account or none: it can be opened.
#[test]
fn a_crash_anywhere_in_the_first_large_delivery_leaves_an_account_or_none() {
    for sync_commits in [true, false] {
        let config = || crate::store::StoreConfig { sync_commits, ..config() };
        let fs = SimFs::new();
        fs.keep_history();
        let store = super::world::open_with(&fs, 1, config()).unwrap();
        let begun = fs.ops();
        let account = store.account("u1").unwrap();
        let target = crate::store::Target { account, mailbox: "INBOX".into(), prefix: Vec::new() };
        let mut delivery = store.deliver(vec![target]).unwrap();
        delivery.write(["Subject: one\r\n\r\n", &"x".repeat(2000)].concat().as_bytes()).unwrap();
        assert!(delivery.commit().results.iter().all(Result::is_ok));
        store.flush();
        let mut crashes = 0;
        for at in fs.crash_points().into_iter().filter(|at| *at >= begun) {
            for variant in Variant::sample(20, at) {
                let Some(image) = fs.crashed_at(at, variant) else { continue };
                let store = super::world::open_with(&image, 2, config()).unwrap();
                let opened = store.account("u1").map(|_| ());
                assert!(opened.is_ok(), "crash at operation {at}, {variant:?}: {opened:?}");
                crashes += 1;
            }
        }
        assert!(crashes > 100, "{crashes}");
    }
}
