//! The model itself: what is synced stays, what is not may go, names are atomic, and nothing else changes.

use super::*;
use crate::fs::{create_linked, read_all, replace};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io::IoSlice;

fn path(name: &str) -> PathBuf {
    PathBuf::from("/").join(name)
}

fn variants(seed: u64) -> Vec<Variant> {
    Variant::sample(60, seed)
}

fn append(fs: &SimFs, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = fs.open(&path(name), Open::AppendOrCreate).unwrap();
    assert_eq!(file.append(&[IoSlice::new(bytes)]).unwrap(), bytes.len());
    file
}

fn synced(fs: &SimFs, name: &str, bytes: &[u8]) -> Arc<dyn File> {
    let file = append(fs, name, bytes);
    file.sync_data().unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    file
}

/// What all images together hold under a name.
fn outcomes(fs: &SimFs, name: &str) -> BTreeSet<Option<Vec<u8>>> {
    let all = (0..8).flat_map(variants);
    all.map(|variant| fs.crashed(variant).peek(&path(name))).collect()
}

#[test]
fn synced_bytes_under_a_synced_name_are_in_every_image() {
    let fs = SimFs::new();
    synced(&fs, "a", b"kept");
    assert_eq!(outcomes(&fs, "a"), BTreeSet::from([Some(b"kept".to_vec())]));
}

#[test]
fn a_name_that_is_not_synced_may_be_missing_though_the_bytes_are() {
    let fs = SimFs::new();
    append(&fs, "a", b"bytes").sync_data().unwrap();
    assert_eq!(outcomes(&fs, "a"), BTreeSet::from([None, Some(b"bytes".to_vec())]));
}

#[test]
fn unsynced_bytes_are_lost_kept_torn_zero_or_garbage_but_the_synced_ones_stay() {
    let fs = SimFs::new();
    let base = vec![1; 700];
    let file = synced(&fs, "a", &base);
    file.append(&[IoSlice::new(&[2; 9000])]).unwrap();
    let seen = outcomes(&fs, "a");
    let whole = [vec![1; 700], vec![2; 9000]].concat();
    for found in seen.iter().flatten() {
        assert_eq!(&found[..700], &base);
        assert!(found.len() <= whole.len());
    }
    let contents: Vec<&Vec<u8>> = seen.iter().flatten().collect();
    assert!(contents.contains(&&base), "never lost");
    assert!(contents.contains(&&whole), "never kept");
    let tail = |found: &&&Vec<u8>| found.len() == whole.len();
    assert!(contents.iter().filter(tail).any(|found| found[700..].iter().all(|byte| *byte == 0)));
    assert!(
        contents.iter().filter(tail).any(|found| found.iter().any(|byte| *byte > 2)),
        "garbage"
    );
    let hole = |found: &&&Vec<u8>| found[700..].starts_with(&[0]) && found.ends_with(&[2]);
    assert!(contents.iter().any(|found| hole(&found)), "a later sector without an earlier one");
    let torn =
        |found: &Vec<u8>| found.len() > 700 && !found.len().is_multiple_of(512) && *found != whole;
    assert!(contents.iter().any(|found| torn(found)), "torn at a byte");
}

#[test]
fn an_ordered_disk_has_no_length_without_bytes() {
    let fs = SimFs::new();
    let file = synced(&fs, "a", &[1; 4096]);
    for _ in 0..5 {
        file.append(&[IoSlice::new(&[2; 3000])]).unwrap();
    }
    let mut lengths = BTreeSet::new();
    for seed in 0..300 {
        let found = fs.crashed(Variant::Ordered(seed)).peek(&path("a")).unwrap();
        assert!(found[4096..].iter().all(|byte| *byte == 2), "seed {seed}");
        lengths.insert(found.len());
    }
    assert!(lengths.contains(&4096) && lengths.contains(&(4096 + 15_000)) && lengths.len() > 10);
}

#[test]
fn overwritten_sectors_persist_in_any_combination_even_when_ordered() {
    let fs = SimFs::new();
    synced(&fs, "journal", &[0; 8192]);
    let file = fs.open(&path("journal"), Open::Write).unwrap();
    file.write_at(&[IoSlice::new(&[7; 8192])], 0).unwrap();
    let mut second_alone = false;
    for seed in 0..300 {
        let found = fs.crashed(Variant::Ordered(seed)).peek(&path("journal")).unwrap();
        assert_eq!(found.len(), 8192);
        second_alone |=
            found[..4096].iter().all(|b| *b == 0) && found[4096..].iter().all(|b| *b == 7);
    }
    assert!(second_alone);
}

#[test]
fn a_sector_has_one_of_the_contents_it_had() {
    let fs = SimFs::new();
    synced(&fs, "a", &[0; 512]);
    let file = fs.open(&path("a"), Open::Write).unwrap();
    file.write_at(&[IoSlice::new(&[1; 256])], 0).unwrap();
    file.write_at(&[IoSlice::new(&[2; 256])], 256).unwrap();
    for seed in 0..200 {
        let found = fs.crashed(Variant::Ordered(seed)).peek(&path("a")).unwrap();
        // The second write without the first was never in memory.
        assert!(!(found[0] == 0 && found[511] == 2), "seed {seed}");
    }
}

#[test]
fn a_rename_without_a_sync_of_the_bytes_may_name_an_empty_file() {
    let fs = SimFs::new();
    synced(&fs, "index", b"old");
    append(&fs, "new", b"newer");
    fs.rename(&path("new"), &path("index")).unwrap();
    fs.sync_dir(Path::new("/")).unwrap();
    let seen = outcomes(&fs, "index");
    assert!(seen.contains(&Some(vec![])) && seen.contains(&Some(b"newer".to_vec())));
    assert!(!seen.contains(&Some(b"old".to_vec())), "the directory was synced");
}

#[test]
fn a_rename_inside_a_directory_is_atomic_and_may_be_undone() {
    let fs = SimFs::new();
    synced(&fs, "index", b"old");
    synced(&fs, "new", b"new");
    fs.rename(&path("new"), &path("index")).unwrap();
    let mut seen = BTreeSet::new();
    for variant in (0..8).flat_map(variants) {
        let disk = fs.crashed(variant);
        seen.insert((disk.peek(&path("index")).unwrap(), disk.peek(&path("new"))));
    }
    let (old, new) = (b"old".to_vec(), b"new".to_vec());
    assert_eq!(seen, BTreeSet::from([(old, Some(new.clone())), (new, None)]));
}

#[test]
fn a_rename_between_directories_never_loses_the_file() {
    let fs = SimFs::new();
    fs.create_dir_all(&path("x")).unwrap();
    fs.create_dir_all(&path("y")).unwrap();
    append(&fs, "x/a", b"1").sync_data().unwrap();
    fs.sync_all(Path::new("/")).unwrap();
    fs.rename(&path("x/a"), &path("y/a")).unwrap();
    let mut seen = BTreeSet::new();
    for variant in (0..8).flat_map(variants) {
        let disk = fs.crashed(variant);
        seen.insert((disk.peek(&path("x/a")).is_some(), disk.peek(&path("y/a")).is_some()));
    }
    assert_eq!(seen, BTreeSet::from([(true, false), (true, true), (false, true)]));
    fs.sync_dir(&path("x")).unwrap();
    let gone = fs.crashed(Variant::Nothing);
    assert_eq!((gone.peek(&path("x/a")), gone.peek(&path("y/a"))), (None, Some(b"1".to_vec())));
}

#[test]
fn an_unlink_may_be_undone_until_its_directory_is_synced() {
    let fs = SimFs::new();
    synced(&fs, "a", b"1");
    fs.unlink(&path("a")).unwrap();
    assert_eq!(outcomes(&fs, "a"), BTreeSet::from([None, Some(b"1".to_vec())]));
    fs.sync_dir(Path::new("/")).unwrap();
    assert_eq!(outcomes(&fs, "a"), BTreeSet::from([None]));
}

#[test]
fn a_superseded_change_does_not_come_back_after_the_sync_of_a_later_one() {
    let fs = SimFs::new();
    fs.create_dir_all(&path("x")).unwrap();
    synced(&fs, "old", b"old");
    append(&fs, "x/new", b"new").sync_data().unwrap();
    fs.sync_all(Path::new("/")).unwrap();
    fs.unlink(&path("old")).unwrap(); // pending in `/`
    fs.rename(&path("x/new"), &path("old")).unwrap();
    fs.sync_dir(&path("x")).unwrap(); // brings the new name to disk with it, not the unlink
    assert_eq!(outcomes(&fs, "old"), BTreeSet::from([Some(b"new".to_vec())]));
}

#[test]
fn an_ordered_disk_keeps_the_order_of_names() {
    let fs = SimFs::new();
    for name in ["a", "b", "c"] {
        append(&fs, name, b"").sync_data().unwrap();
    }
    let mut ordered = BTreeSet::new();
    let mut adversarial = BTreeSet::new();
    for seed in 0..200 {
        let names = |v| fs.crashed(v).files().len();
        ordered.insert(fs.crashed(Variant::Ordered(seed)).files());
        adversarial.insert(fs.crashed(Variant::Adversarial(seed)).files());
        assert!(names(Variant::Ordered(seed)) <= 3);
    }
    assert_eq!(ordered.len(), 4, "prefixes: {ordered:?}");
    assert_eq!(adversarial.len(), 8, "subsets: {adversarial:?}");
}

#[test]
fn after_a_failed_sync_a_second_one_proves_nothing() {
    for evict in [false, true] {
        let fs = SimFs::new();
        let file = synced(&fs, "a", &[1; 4096]);
        file.append(&[IoSlice::new(&[2; 4096])]).unwrap();
        fs.inject(Fault {
            when: When::Kind { kind: OpKind::SyncData, skip: 0 },
            what: Failure::LostSync { evict },
            lasting: false,
        });
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        file.append(&[IoSlice::new(&[3; 4096])]).unwrap();
        file.sync_data().unwrap();
        let disk = fs.crashed(Variant::Nothing).peek(&path("a")).unwrap();
        assert_eq!(disk, [vec![1; 4096], vec![0; 4096], vec![3; 4096]].concat(), "evict {evict}");
        let kept = outcomes(&fs, "a").contains(&fs.peek(&path("a")));
        assert!(kept, "what is read may also be on disk");
        assert_eq!(fs.peek(&path("a")).unwrap()[4096], if evict { 0 } else { 2 });
    }
}

#[test]
fn killed_processes_lose_at_most_the_end_of_the_last_write() {
    let fs = SimFs::new();
    append(&fs, "a", b"first");
    append(&fs, "a", b"second");
    assert_eq!(fs.crashed(Variant::Everything).peek(&path("a")).unwrap(), b"firstsecond");
    let mut lengths = BTreeSet::new();
    for seed in 0..100 {
        let found = fs.crashed(Variant::Killed(seed)).peek(&path("a")).unwrap();
        assert!(b"firstsecond".starts_with(&found));
        lengths.insert(found.len());
    }
    assert_eq!(lengths, (5..=11).collect());
}

#[test]
fn a_crash_ends_everything_and_its_own_operation_may_yet_count() {
    let fs = SimFs::new();
    let file = synced(&fs, "a", b"1");
    fs.crash_at(fs.ops());
    assert!(is_crash(&file.append(&[IoSlice::new(b"2")]).unwrap_err()));
    assert!(is_crash(&file.sync_data().unwrap_err()));
    assert!(is_crash(&fs.open(&path("b"), Open::Create).err().unwrap()));
    assert_eq!(fs.crashed(Variant::Nothing).peek(&path("a")).unwrap(), b"1");
    assert_eq!(fs.crashed(Variant::Everything).peek(&path("a")).unwrap(), b"12");
}

#[test]
fn a_crash_while_opening_or_locking_does_not_hang() {
    for at in 0..3 {
        let fs = SimFs::new();
        fs.crash_at(at);
        let created = fs.open(&path("a"), Open::Create);
        let locked = fs.lock(&path("lock"));
        assert_eq!((created.is_err(), locked.is_err()), (at == 0, true), "{at}");
    }
}

#[test]
fn a_disk_that_is_full_writes_what_fits_and_recovers() {
    let fs = SimFs::new();
    fs.set_capacity(Some(2 * 4096));
    let file = append(&fs, "a", &[1; 4000]);
    assert_eq!(
        file.append(&[IoSlice::new(&[2; 9000])]).unwrap(),
        4192,
        "what is left of two pages"
    );
    let full = file.append(&[IoSlice::new(&[3])]).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    assert_eq!(fs.free_space(Path::new("/")).unwrap(), 0);
    drop(file);
    fs.unlink(&path("a")).unwrap();
    assert_eq!(fs.free_space(Path::new("/")).unwrap(), 8192);
}

#[test]
fn faults_strike_once_or_from_then_on_and_only_where_they_can() {
    let fs = SimFs::new();
    let file = append(&fs, "a", b"");
    let now = fs.ops();
    fs.inject(Fault { when: When::Op(now), what: Failure::NoSpace, lasting: true });
    assert_eq!(file.read_at(&mut [0], 0).unwrap(), 0, "reading takes no space");
    assert!(file.append(&[IoSlice::new(b"x")]).is_err());
    assert!(file.append(&[IoSlice::new(b"x")]).is_err());
    fs.clear_faults();
    fs.inject(Fault {
        when: When::Kind { kind: OpKind::Append, skip: 1 },
        what: Failure::Short(3),
        lasting: false,
    });
    let lengths = [(); 3].map(|()| file.append(&[IoSlice::new(b"12345")]).unwrap());
    assert_eq!(lengths, [5, 3, 5]);
    assert_eq!(fs.struck(), 3);
}

#[test]
fn processes_exclude_each_other_and_die_alone() {
    let one = SimFs::new();
    let two = one.process();
    let lock = one.lock(&path("lock")).unwrap();
    assert!(matches!(one.lock(&path("lock")), Err(LockError::Held { pid: Some(0), .. })));
    assert!(matches!(two.lock(&path("lock")), Err(LockError::Held { pid: Some(0), .. })));
    one.kill();
    let _second = two.lock(&path("lock")).unwrap();
    drop(lock);
    assert!(two.lock(&path("lock")).is_err(), "a dead process releases nothing of others");
    assert!(is_crash(&one.sync_all(Path::new("/")).unwrap_err()));
}

/// A workload that both the direct and the recorded way of crashing can run.
fn workload(fs: &SimFs) -> io::Result<()> {
    fs.create_dir_all(&path("d"))?;
    fs.sync_dir(Path::new("/"))?;
    let log = fs.open(&path("d/log"), Open::Create)?;
    fs.sync_dir(&path("d"))?;
    for n in 0..4u8 {
        log.append(&[IoSlice::new(&[n; 700])])?;
        log.sync_data()?;
    }
    replace(fs, &path("d/index"), &[9; 5000])?;
    create_linked(fs, &path("d/next"), b"header")?;
    replace(fs, &path("d/index"), &[8; 100])?;
    fs.unlink(&path("d/log"))?;
    fs.sync_all(Path::new("/"))
}

fn snapshot(fs: &SimFs) -> Vec<(PathBuf, Vec<u8>)> {
    fs.files().into_iter().map(|file| (file.clone(), fs.peek(&file).unwrap())).collect()
}

#[test]
fn history_gives_the_same_images_as_crashing_at_each_operation() {
    let recorded = SimFs::new();
    recorded.keep_history();
    workload(&recorded).unwrap();
    for number in 0..recorded.ops() {
        let crashing = SimFs::new();
        crashing.crash_at(number);
        assert!(is_crash(&workload(&crashing).unwrap_err()));
        for variant in variants(number) {
            let direct = snapshot(&crashing.crashed(variant));
            let kept = snapshot(&recorded.crashed_at(number, variant).unwrap());
            assert_eq!(direct, kept, "operation {number}, {variant:?}");
        }
    }
    assert!(recorded.crashed_at(recorded.ops(), Variant::Nothing).is_none());
}

#[test]
fn replacing_and_linking_are_atomic_in_every_image() {
    let fs = SimFs::new();
    fs.keep_history();
    workload(&fs).unwrap();
    let mut seen = BTreeSet::new();
    for number in fs.crash_points() {
        for variant in variants(number) {
            let disk = fs.crashed_at(number, variant).unwrap();
            let index = disk.peek(&path("d/index"));
            let whole = [None, Some(vec![9; 5000]), Some(vec![8; 100])].contains(&index);
            assert!(whole, "operation {number}, {variant:?}");
            let next = disk.peek(&path("d/next"));
            assert!(
                next.as_deref().is_none_or(|bytes| bytes == b"header"),
                "{number}, {variant:?}"
            );
            seen.insert((index.map(|bytes| bytes.len()), next.is_some()));
        }
    }
    let all = [(None, false), (Some(5000), false), (Some(5000), true), (Some(100), true)];
    assert_eq!(seen, BTreeSet::from(all));
}

#[derive(Clone, Debug)]
enum Step {
    Append(u8, usize),
    Overwrite(u8, u16, usize),
    Sync(u8),
    Rename(u8, u8),
    Unlink(u8),
    SyncDir,
    SyncAll,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0u8..4;
    let step = prop_oneof![
        4 => (name.clone(), 1usize..6000).prop_map(|(a, n)| Step::Append(a, n)),
        2 => (name.clone(), any::<u16>(), 1usize..3000).prop_map(|(a, at, n)| Step::Overwrite(a, at, n)),
        2 => name.clone().prop_map(Step::Sync),
        1 => (name.clone(), name.clone()).prop_map(|(a, b)| Step::Rename(a, b)),
        1 => name.prop_map(Step::Unlink),
        2 => Just(Step::SyncDir),
        1 => Just(Step::SyncAll),
    ];
    prop::collection::vec(step, 1..30)
}

fn name(n: u8) -> PathBuf {
    path(&format!("f{n}"))
}

fn run(fs: &SimFs, step: &Step, n: u8) {
    let result = match *step {
        Step::Append(a, len) => fs
            .open(&name(a), Open::AppendOrCreate)
            .and_then(|file| file.append(&[IoSlice::new(&vec![n; len])]).map(drop)),
        Step::Overwrite(a, at, len) => fs.open(&name(a), Open::Write).and_then(|file| {
            let end = file.len()?;
            let at = if end == 0 { 0 } else { u64::from(at) % end };
            file.write_at(&[IoSlice::new(&vec![n; len])], at)
        }),
        Step::Sync(a) => fs.open(&name(a), Open::Read).and_then(|file| file.sync_data()),
        Step::Rename(a, b) => fs.rename(&name(a), &name(b)),
        Step::Unlink(a) => fs.unlink(&name(a)),
        Step::SyncDir => fs.sync_dir(Path::new("/")),
        Step::SyncAll => fs.sync_all(Path::new("/")),
    };
    // Names that don't exist are part of the play.
    assert!(result.is_ok() || result.unwrap_err().kind() == io::ErrorKind::NotFound);
}

proptest! {
    #[test]
    fn everything_synced_is_everywhere(history in steps(), seed: u64) {
        let fs = SimFs::new();
        for (n, step) in (1..).zip(&history) {
            run(&fs, step, n);
        }
        prop_assert_eq!(snapshot(&fs.crashed(Variant::Everything)), snapshot(&fs));
        fs.sync_all(Path::new("/")).unwrap();
        let live = snapshot(&fs);
        for variant in variants(seed) {
            prop_assert_eq!(&snapshot(&fs.crashed(variant)), &live, "{:?}", variant);
        }
    }

    #[test]
    fn images_repeat_and_hold_no_less_than_the_durable_state(history in steps(), seed: u64) {
        let fs = SimFs::new();
        for (n, step) in (1..).zip(&history) {
            run(&fs, step, n);
            let live = snapshot(&fs);
            for variant in Variant::sample(6, seed ^ u64::from(n)) {
                let disk = snapshot(&fs.crashed(variant));
                prop_assert_eq!(&disk, &snapshot(&fs.crashed(variant)), "{:?}", variant);
            }
            prop_assert_eq!(live, snapshot(&fs), "an image changed the original");
        }
    }

    /// A file that is only appended to, under a synced name: each image has its synced part, and each of its bytes in an
    /// ordered image is one that was there at some time.
    #[test]
    fn a_log_keeps_its_synced_prefix(lengths in prop::collection::vec((1usize..3000, any::<bool>()), 1..12), seed: u64) {
        let fs = SimFs::new();
        let log = synced(&fs, "log", b"");
        let mut sure = 0;
        for (n, (len, sync)) in (1u8..).zip(lengths) {
            log.append(&[IoSlice::new(&vec![n; len])]).unwrap();
            if sync {
                log.sync_data().unwrap();
                sure = log.len().unwrap();
            }
            let live = fs.peek(&path("log")).unwrap();
            let sure = usize::try_from(sure).unwrap();
            for variant in Variant::sample(8, seed ^ u64::from(n)) {
                let found = fs.crashed(variant).peek(&path("log")).unwrap();
                prop_assert_eq!(&found[..sure], &live[..sure], "{:?}", variant);
                prop_assert!(found.len() <= live.len());
                if matches!(variant, Variant::Ordered(_)) {
                    let zeros = sure.next_multiple_of(4096).min(found.len());
                    prop_assert_eq!(&found[zeros..], &live[zeros..found.len()], "{:?}", variant);
                }
            }
        }
    }
}

#[test]
fn reading_back_an_image_works_like_any_file_system() {
    let fs = SimFs::new();
    workload(&fs).unwrap();
    let disk = fs.crashed(Variant::Nothing);
    assert_eq!(disk.ops(), 0);
    assert_eq!(read_all(&disk, &path("d/index")).unwrap(), vec![8; 100]);
    append(&disk, "d/fresh", b"1");
    assert_eq!(disk.peek(&path("d/index")).unwrap(), vec![8; 100], "no inode is used twice");
}

#[test]
fn decay_reaches_the_disk() {
    let fs = SimFs::new();
    synced(&fs, "a", b"abc");
    fs.corrupt(&path("a"), |bytes| bytes[1] ^= 0xff).unwrap();
    assert_eq!(fs.crashed(Variant::Nothing).peek(&path("a")).unwrap(), b"a\x9dc");
    assert!(fs.corrupt(&path("b"), |_| {}).is_err());
}
