//! Damage is told by name, once, with what it covered; and what is left of a mailbox is brought together.

use super::world::{Op, View, World};
use crate::store::check::{Finding, Harm, Told};
use crate::store::error::StoreError;
use crate::store::mailbox::directory;
use crate::store::rebuild::Rebuilt;
use index_format::log::{Frames, Header};
use runtime_smol::fs::Fs;
use runtime_smol::sim::{SimFs, Variant};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tracing_subscriber::fmt::MakeWriter;

/// A store whose journal is empty and whose logs have no snapshot.
fn logs_only() -> World {
    let mut world = World::new(SimFs::new());
    for op in [Op::Append, Op::Deliver, Op::Create, Op::Store, Op::Copy] {
        world.run(op).unwrap();
    }
    settled(&world)
}

/// The same with two generations of snapshots.
fn with_snapshots() -> World {
    let mut world = World::new(SimFs::new());
    for op in [Op::Snapshot, Op::Append, Op::Deliver, Op::Copy, Op::Snapshot, Op::Store] {
        world.run(op).unwrap();
    }
    settled(&world)
}

/// The same store after a start and a checkpoint: no journal can put back what is damaged.
pub(super) fn settled(world: &World) -> World {
    world.store.checkpoint(u64::MAX).unwrap();
    let world = World::recover(world.fs.crashed(Variant::Everything), 3).unwrap();
    world.view().unwrap();
    world.store.checkpoint(u64::MAX).unwrap();
    let world = World::recover(world.fs.crashed(Variant::Everything), 4).unwrap();
    world.view().unwrap();
    world
}

fn image(world: &World) -> SimFs {
    world.fs.crashed(Variant::Everything)
}

/// What a check of the account says.
pub(super) fn findings(world: &World) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut tell = |told| {
        if let Told::Finding(finding) = told {
            all.push(finding);
        }
    };
    world.store.check("u1", None, &mut tell).unwrap();
    all
}

fn rebuild(world: &World, mailbox: Option<&str>) -> Result<Vec<Rebuilt>, StoreError> {
    world.store.rebuild("u1", mailbox, &mut |_| ())
}

/// The files of a log, by what its first is called.
fn logs(fs: &SimFs, base: &str) -> Vec<PathBuf> {
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let ours = |path: &PathBuf| {
        name(path) == base
            || name(path).strip_prefix(base).is_some_and(|rest| rest.starts_with('.'))
                && !name(path).ends_with(|c: char| !c.is_ascii_digit())
    };
    fs.files().into_iter().filter(ours).collect()
}

/// The frames of a file: first byte and the one behind.
fn frames(bytes: &[u8]) -> Vec<(u64, u64)> {
    let Ok(header) = Header::parse(bytes) else { return Vec::new() };
    let frames = Frames::new(bytes, Header::LEN as u64, header.seed);
    frames.map(|frame| (frame.start, frame.end)).collect()
}

fn read(fs: &SimFs, path: &Path) -> Vec<u8> {
    runtime_smol::fs::read_all(fs, path).unwrap()
}

fn inbox_dir(world: &World) -> PathBuf {
    let guid = world.account.lock().unwrap().list.by_name("INBOX").unwrap().guid;
    directory(world.account.dir(), guid)
}

/// What each mailbox has, whatever its UIDs are called.
fn texts(view: &View) -> Vec<(String, Vec<String>)> {
    let texts = |mailbox: &super::world::Mailbox| {
        mailbox.messages.values().map(|mail| mail.text.clone()).collect()
    };
    view.mailboxes.iter().map(|(name, mailbox)| (name.clone(), texts(mailbox))).collect()
}

/// What was logged by this thread.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logged {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Logged {
    fn during(run: impl FnOnce()) -> String {
        let logged = Self::default();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(logged.clone()).finish();
        tracing::subscriber::with_default(subscriber, run);
        let bytes = logged.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }
}

#[test]
fn a_store_as_it_should_be_is_said_to_be() {
    for world in [logs_only(), with_snapshots()] {
        assert_eq!(findings(&world), []);
        for rebuilt in rebuild(&world, None).unwrap() {
            assert!(rebuilt.whole && rebuilt.unknown.is_empty(), "{rebuilt:?}");
        }
        assert_eq!(findings(&world), []);
    }
}

/// Rot in what is only there for speed costs no answer, and is told once, however often it is read.
fn told_once(is_wanted: impl Fn(&Path) -> bool) {
    let world = with_snapshots();
    let expected = world.view().unwrap();
    let image = image(&world);
    let wanted: Vec<PathBuf> = image.files().into_iter().filter(|path| is_wanted(path)).collect();
    assert!(!wanted.is_empty());
    for path in wanted {
        let image = image.crashed(Variant::Everything);
        image
            .corrupt(&path, |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x10;
            })
            .unwrap();
        let logged = Logged::during(|| {
            let mut world = World::recover(image, 5).unwrap();
            assert_eq!(world.view().unwrap(), expected, "{path:?}");
            world.run(Op::LetGo).unwrap();
            assert_eq!(world.view().unwrap(), expected, "{path:?}");
        });
        let lines = logged.lines().filter(|line| line.contains(path.to_str().unwrap()));
        assert_eq!(lines.count(), 1, "{path:?}: {logged}");
    }
}

fn is_called(path: &Path, name: &str) -> bool {
    path.file_name().is_some_and(|file| file == name)
}

#[test]
fn row_71_rot_in_a_snapshot_is_told_once() {
    told_once(|path| is_called(path, "index"));
}

#[test]
fn row_71_rot_in_the_list_index_is_told_once() {
    told_once(|path| is_called(path, "list.index"));
}

#[test]
fn row_71_rot_in_the_map_index_is_told_once() {
    told_once(|path| is_called(path, "map.index"));
}

#[test]
fn row_71_rot_in_the_cache_is_told_once() {
    // Those that the view looks into: envelopes and header fields.
    let read = index_format::cache::Group::ENVELOPE.or(index_format::cache::Group::HEADER);
    told_once(|path| {
        let group =
            path.extension().and_then(|group| u16::from_str_radix(group.to_str()?, 16).ok());
        let in_cache = path.parent().is_some_and(|dir| dir.ends_with("cache"));
        in_cache && group.is_some_and(|group| group & read.0 != 0)
    });
}

/// Any bit of any frame of a log: either nothing changes, or it is an error that names the file.
#[test]
fn row_71_a_damaged_frame_is_never_passed_over() {
    let world = logs_only();
    let expected = world.view().unwrap();
    let image = image(&world);
    let (mut same, mut named) = (0, 0);
    for base in ["log", "map.log", "list.log"] {
        for path in logs(&image, base) {
            let bytes = read(&image, &path);
            let frames = frames(&bytes);
            for at in frames.iter().flat_map(|(start, end)| *start..*end).step_by(3) {
                let image = image.crashed(Variant::Everything);
                image.corrupt(&path, |bytes| bytes[at as usize] ^= 0x04).unwrap();
                match World::recover(image, 3).and_then(|world| world.view()) {
                    Ok(view) => {
                        assert_eq!(view, expected, "{path:?} byte {at}");
                        same += 1;
                    }
                    Err(error) => {
                        let said = error.to_string();
                        assert!(said.contains("is damaged"), "{path:?} byte {at}: {said}");
                        named += 1;
                    }
                }
            }
        }
    }
    println!("{named} damages named, {same} without effect");
    assert!(named > 20, "{named}");
}

#[test]
fn row_71_a_map_log_that_lost_its_end_is_noticed() {
    let image = image(&logs_only());
    for path in logs(&image, "map.log") {
        let frames = frames(&read(&image, &path));
        for (start, _) in frames {
            let image = image.crashed(Variant::Everything);
            // Cut between two frames: nothing in the file says that there were more.
            image.corrupt(&path, |bytes| bytes.truncate(start as usize)).unwrap();
            let error = World::recover(image, 3).err().expect("it is refused").to_string();
            assert!(error.contains("map.log") && error.contains("is damaged"), "{error}");
        }
    }
}

#[test]
fn a_damaged_frame_is_told_with_what_it_covered_and_the_mailbox_made_anew() {
    let world = logs_only();
    let expected = world.view().unwrap();
    let path = inbox_dir(&world).join("log");
    let image = image(&world);
    let all = frames(&read(&image, &path));
    assert!(all.len() > 3, "{all:?}");
    for (number, (start, _)) in all.iter().enumerate() {
        let image = image.crashed(Variant::Everything);
        image.corrupt(&path, |bytes| bytes[*start as usize + 8] ^= 0x04).unwrap();
        let world = World::recover(image, 5).unwrap();
        let error = world.view().unwrap_err().to_string();
        assert!(error.contains("\"INBOX\"") && error.contains("rebuild"), "{error}");
        assert!(error.contains("missing") || error.contains("knows of"), "{error}");
        let found = findings(&world);
        let mail: Vec<&Finding> = found.iter().filter(|it| it.harm == Harm::Mail).collect();
        assert!(mail.iter().all(|it| it.mailbox.as_deref() == Some("INBOX")), "{found:#?}");
        let last = number + 1 == all.len();
        assert_eq!(mail.iter().any(|it| it.at == Some(*start)), !last, "{found:#?}");
        assert!(!mail.is_empty());

        let rebuilt = rebuild(&world, Some("INBOX")).unwrap().remove(0);
        assert!(!rebuilt.whole && !rebuilt.unknown.is_empty(), "{rebuilt:?}");
        assert!(rebuilt.uidvalidity > expected.mailboxes["INBOX"].uidvalidity);
        let view = world.view().unwrap();
        assert_eq!(texts(&view), texts(&expected), "transaction {number}: {rebuilt:?}");
        assert_eq!(rebuilt.messages, view.mailboxes["INBOX"].messages.len() as u64);
        for (name, mailbox) in &view.mailboxes {
            assert!(name == "INBOX" || *mailbox == expected.mailboxes[name]);
        }
        assert_eq!(findings(&world), []);
        let after = World::recover(world.fs.crashed(Variant::Everything), 6).unwrap();
        assert_eq!(after.view().unwrap(), view);
        assert!(after.fs.files().iter().any(|path| path.to_str().unwrap().contains("/damaged/")));
    }
}

#[test]
fn a_mailbox_of_which_nothing_is_left_comes_back_from_the_containers() {
    let world = logs_only();
    let expected = world.view().unwrap();
    let dir = inbox_dir(&world);
    let image = image(&world);
    for path in image.files().into_iter().filter(|path| path.starts_with(&dir)) {
        image.corrupt(&path, |bytes| bytes.fill(0)).unwrap();
    }
    let world = World::recover(image, 5).unwrap();
    assert!(world.view().is_err());
    let rebuilt = rebuild(&world, Some("INBOX")).unwrap().remove(0);
    let view = world.view().unwrap();
    assert_eq!(texts(&view), texts(&expected));
    assert_eq!(rebuilt.brought_back, view.mailboxes["INBOX"].messages.len() as u64);
    assert_eq!(findings(&world), []);
    // Two came by an APPEND that set a flag, and that the containers know.
    let seen = |view: &View| {
        let flags = view.mailboxes["INBOX"].messages.values().map(|mail| mail.flags);
        flags.filter(|flags| flags & index_format::Flags::SEEN.0 != 0).count()
    };
    assert_eq!((seen(&view), seen(&expected)), (2, 2));
}

/// Where two mailboxes have lost something, none of the mail is lost all the same.
#[test]
fn two_damaged_mailboxes_lose_no_mail() {
    let world = logs_only();
    let expected = world.view().unwrap();
    let image = image(&world);
    let mut damaged = 0;
    for path in logs(&image, "log") {
        let all = frames(&read(&image, &path));
        if let Some((start, _)) = all.first() {
            image.corrupt(&path, |bytes| bytes[*start as usize + 8] ^= 0x04).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 1, "{damaged}");
    let world = World::recover(image, 5).unwrap();
    rebuild(&world, None).unwrap();
    let view = world.view().unwrap();
    let all = |view: &View| {
        let mails = texts(view).into_iter().flat_map(|(_, texts)| texts);
        mails.collect::<BTreeSet<String>>()
    };
    assert_eq!(all(&view), all(&expected));
    assert_eq!(findings(&world), []);
}

#[test]
fn damage_in_an_older_snapshot_costs_nothing_and_goes_with_a_rebuild() {
    let world = with_snapshots();
    let expected = world.view().unwrap();
    // Both generations of all snapshots are there then.
    rebuild(&world, None).unwrap();
    let image = image(&world);
    let older = image.files().into_iter().find(|path| is_called(path, "index.prev")).unwrap();
    image.corrupt(&older, |bytes| bytes[130] ^= 1).unwrap();
    let world = World::recover(image, 5).unwrap();
    let found = findings(&world);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].harm, found[0].file.ends_with("index.prev")), (Harm::Speed, true));
    assert!(rebuild(&world, None).unwrap().iter().all(|rebuilt| rebuilt.whole));
    assert_eq!(findings(&world), []);
    assert_eq!(world.view().unwrap(), expected);
}

/// More than fit into one change: the whole account is made anew.
#[test]
fn a_large_mailbox_is_made_anew() {
    let mut world = logs_only();
    for _ in 0..50 {
        world.run(Op::Deliver).unwrap();
    }
    let world = settled(&world);
    let expected = world.view().unwrap();
    let path = inbox_dir(&world).join("log");
    let image = image(&world);
    let (start, _) = frames(&read(&image, &path))[20];
    image.corrupt(&path, |bytes| bytes[start as usize + 8] ^= 0x04).unwrap();
    let world = World::recover(image, 5).unwrap();
    let rebuilt = rebuild(&world, Some("INBOX")).unwrap().remove(0);
    assert!(!rebuilt.whole && rebuilt.brought_back == 1 && rebuilt.aside.is_some(), "{rebuilt:?}");
    let world = World::recover(world.fs.crashed(Variant::Everything), 6).unwrap();
    let view = world.view().unwrap();
    let sorted = |view: &View| {
        let mut texts = texts(view);
        texts.iter_mut().for_each(|(_, texts)| texts.sort());
        texts
    };
    assert_eq!(sorted(&view), sorted(&expected));
    assert_eq!(findings(&world), []);
}

/// Whenever power fails, the damaged files are there, under one name or another.
#[test]
fn a_crash_in_a_rebuild_of_one_mailbox_keeps_the_old_files() {
    let world = logs_only();
    let expected: BTreeSet<String> =
        texts(&world.view().unwrap()).into_iter().flat_map(|(_, all)| all).collect();
    let path = inbox_dir(&world).join("log");
    let image = image(&world);
    image.corrupt(&path, |bytes| bytes[Header::LEN + 8] ^= 0x04).unwrap();
    image.keep_history();
    let damaged = read(&image, &path);
    let world = World::recover(image, 5).unwrap();
    let start = world.fs.ops();
    rebuild(&world, Some("INBOX")).unwrap();
    for at in world.fs.crash_points().into_iter().filter(|&at| at >= start) {
        for variant in Variant::sample(6, at) {
            let Some(crashed) = world.fs.crashed_at(at, variant) else { continue };
            let after = World::recover(crashed, 7).unwrap();
            let logs = after.fs.files().into_iter().filter(|path| is_called(path, "log"));
            let kept = logs.filter(|path| read(&after.fs, path) == damaged).count();
            assert!(kept > 0, "crash at {at}, {variant:?}");
            if after.view().is_err() {
                rebuild(&after, Some("INBOX")).unwrap();
            }
            let all = texts(&after.view().unwrap()).into_iter().flat_map(|(_, all)| all).collect();
            assert_eq!(expected, all, "crash at {at}, {variant:?}");
        }
    }
}

/// One loss is told once, and with the messages it covered.
#[test]
fn one_loss_is_told_once() {
    let world = logs_only();
    let path = inbox_dir(&world).join("log");
    let image = image(&world);
    let all = frames(&read(&image, &path));
    for (start, _) in all {
        let image = image.crashed(Variant::Everything);
        image.corrupt(&path, |bytes| bytes[start as usize + 8] ^= 0x04).unwrap();
        let found = findings(&World::recover(image, 5).unwrap());
        let mail = found.iter().filter(|finding| finding.harm == Harm::Mail).count();
        assert_eq!(mail, 1, "{found:#?}");
    }
}

#[test]
fn a_damaged_message_is_named_by_mailbox_and_uid() {
    let world = logs_only();
    let image = image(&world);
    let container = image
        .files()
        .into_iter()
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("c."));
    image.corrupt(&container.unwrap(), |bytes| bytes[200] ^= 1).unwrap();
    let world = World::recover(image, 5).unwrap();
    let found = findings(&world);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].what.contains("UID ") && found[0].mailbox.is_some() && found[0].at.is_some());
    assert_eq!(found[0].harm, Harm::Mail);
}

/// A large message that was never saved, a snapshot and a cache file that never got their names.
#[test]
fn what_a_crash_has_left_is_swept() {
    let mut world = with_snapshots();
    world.run(Op::Deliver).unwrap();
    let expected = world.view().unwrap();
    let dir = world.account.dir().to_owned();
    let image = image(&world);
    let left = [
        dir.join("storage/59/c.00000101"),
        dir.join("map.index.tmp-7"),
        dir.join("cache/00000000.tmp"),
        inbox_dir(&world).join("index.tmp-12"),
    ];
    for path in &left {
        image.create_dir_all(path.parent().unwrap()).unwrap();
        image.open(path, runtime_smol::fs::Open::Create).unwrap();
    }
    let found = findings(&World::recover(image.crashed(Variant::Everything), 6).unwrap());
    let world = World::recover(image, 5).unwrap();
    let files = world.fs.files();
    assert!(left.iter().all(|path| !files.contains(path)), "{files:?}");
    assert_eq!((world.view().unwrap(), found), (expected, Vec::new()));
}

#[test]
fn who_has_no_mail_is_said_to_have_none() {
    let world = World::new(SimFs::new());
    let unknown = world.store.check("nobody", None, &mut |_| ()).unwrap_err();
    assert!(unknown.to_string().contains("no such user"), "{unknown}");
    let missing = world.store.check("u1", Some("nowhere"), &mut |_| ());
    assert!(matches!(missing, Err(StoreError::NoMailbox)), "{missing:?}");
    assert_eq!(world.store.accounts_on_disk().unwrap(), ["u1"]);
}
