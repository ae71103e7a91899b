//! Long histories of random operations: crashes whose survivors go on, crashes while a crash is recovered from, and decay.
//!
//! Seeds count up from a fixed one, so a run can be had again.

use super::crashes::{Point, check};
use super::world::{Op, View, World, config, effort};
use crate::store::config::StoreConfig;
use crate::store::planted::{Planted, plant};
use runtime_smol::sim::{SimFs, Variant};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Crashes in one history, each of which it survives.
const LIVES: u64 = 10;
/// Operations between two of them.
const OPS: usize = 12;
/// Most changes that wait for one sync, as those of so many sessions would.
const WRITERS: usize = 5;

/// What is done besides [`Op::ALL`].
const ATTACHMENTS: [Op; 4] = [Op::DeliverAttachment, Op::DeliverOther, Op::Tend, Op::FreeAndTend];

/// What was tried.
#[derive(Clone, Copy, Debug, Default)]
struct Tried {
    operations: usize,
    crashes: u64,
    double: u64,
}

/// One life of a store: what was done in it, and what was seen.
struct Life {
    world: World,
    points: Vec<Point>,
    ops: Vec<Op>,
}

impl Life {
    /// Begins with `world` as it is.
    fn begin(world: World) -> Result<Self, String> {
        let view = world.view().map_err(|error| format!("reading: {error}"))?;
        let point = Point { acknowledged: Some(world.fs.ops()), view };
        Ok(Self { world, points: vec![point], ops: Vec::new() })
    }

    fn go_on(&mut self, rng: &mut fastrand::Rng) -> Result<(), String> {
        while self.ops.len() < OPS {
            let at_once = rng.usize(1..=WRITERS);
            let mut position = 0;
            for _ in 0..at_once {
                let op = rng.choice([&Op::ALL[..], &ATTACHMENTS].concat());
                let op = op.unwrap_or(Op::Deliver);
                self.ops.push(op);
                // Nobody does these while changes wait.
                if matches!(op, Op::LetGo | Op::Compact | Op::Rotate | Op::Snapshot) {
                    self.commit(position)?;
                }
                let assigned = self.world.assign(op);
                position = position.max(assigned.map_err(|error| format!("{op:?}: {error}"))?);
                let view = self.world.view().map_err(|error| format!("after {op:?}: {error}"))?;
                self.points.push(Point { acknowledged: None, view });
            }
            self.commit(position)?;
        }
        Ok(())
    }

    fn commit(&mut self, position: u64) -> Result<(), String> {
        self.world.commit(position).map_err(|error| format!("{:?}: {error}", self.ops))?;
        if let Some(point) = self.points.last_mut() {
            point.acknowledged = Some(self.world.fs.ops());
        }
        Ok(())
    }

    /// What a crash at `at` may leave.
    fn allowed(&self, at: u64) -> &[Point] {
        let told = |point: &Point| point.acknowledged.is_some_and(|done| done <= at);
        self.points.get(self.points.iter().rposition(told).unwrap_or(0)..).unwrap_or_default()
    }

    /// A crash somewhere in it, and what it leaves.
    fn crash(&self, rng: &mut fastrand::Rng) -> Option<(u64, Variant, SimFs)> {
        let start = self.points.first()?.acknowledged?;
        let fs = &self.world.fs;
        let points: Vec<u64> = fs.crash_points().into_iter().filter(|at| *at >= start).collect();
        let at = *rng.choice(&points)?;
        let variants = Variant::sample(12, rng.u64(..));
        let variant = rng.choice(variants)?;
        Some((at, variant, fs.crashed_at(at, variant)?))
    }
}

/// A history of [`LIVES`] lives; in each `crashes` are looked at, some of them with a second one during recovery.
fn history(seed: u64, config: &StoreConfig, crashes: u64) -> Result<Tried, String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut tried = Tried::default();
    let fs = SimFs::new();
    fs.keep_history();
    let mut life = Life::begin(World::with(fs, config.clone()))?;
    for number in 1..=LIVES {
        let within = |life: &Life, what: &str| format!("seed {seed}, {:?}, {what}", life.ops);
        life.go_on(&mut rng).map_err(|why| within(&life, &why))?;
        tried.operations += life.ops.len();
        for nth in 0..crashes {
            let Some((at, variant, image)) = life.crash(&mut rng) else { continue };
            let told = |why| within(&life, &format!("crash at {at}, {variant:?}: {why}"));
            let allowed = life.allowed(at);
            let Some(first) = allowed.first() else { continue };
            if nth.is_multiple_of(10) {
                let second = crash_in_recovery(&image, config, &mut rng).map_err(told)?;
                let (point, then, image) = second;
                check(image, config.clone(), allowed, &first.view).map_err(|why| {
                    told(format!("again at {point} of the recovery, {then:?}: {why}"))
                })?;
                tried.double += 1;
            } else {
                check(image, config.clone(), allowed, &first.view).map_err(told)?;
            }
            tried.crashes += 1;
        }
        // The next life begins with one of them.
        let Some((at, variant, image)) = life.crash(&mut rng) else { continue };
        image.keep_history();
        let told =
            |why: String| within(&life, &format!("living on after {at}, {variant:?}: {why}"));
        let world = World::recover_with(image, 100 + number, config.clone())
            .map_err(|error| told(error.to_string()))?;
        life = Life::begin(world.counting_from(u32::try_from(number * 10_000).unwrap_or(0)))
            .map_err(told)?;
    }
    Ok(tried)
}

/// What a crash leaves that comes while the store is opened on `image`: the operation, the variant and the disk.
fn crash_in_recovery(
    image: &SimFs,
    config: &StoreConfig,
    rng: &mut fastrand::Rng,
) -> Result<(u64, Variant, SimFs), String> {
    let disk = image.crashed(Variant::Everything);
    disk.keep_history();
    let world = World::recover_with(disk, 50, config.clone())
        .map_err(|error| format!("recovery: {error}"))?;
    let at = rng.choice(world.fs.crash_points()).unwrap_or(0);
    let variants = Variant::sample(12, rng.u64(..));
    let variant = rng.choice(variants).unwrap_or(Variant::Nothing);
    let image = world.fs.crashed_at(at, variant).unwrap_or_else(|| world.fs.crashed(variant));
    Ok((at, variant, image))
}

#[test]
fn crashes_in_long_histories() {
    let mut sum = Tried::default();
    for seed in 0..20 * effort() {
        let tried = history(seed, &config(), 50).unwrap_or_else(|why| panic!("{why}"));
        sum.operations += tried.operations;
        sum.crashes += tried.crashes;
        sum.double += tried.double;
    }
    println!("{sum:?}, no violation");
    assert!(sum.crashes >= 9_000 && sum.double >= 900, "{sum:?}");
}

/// Faults that short histories don't show: what they break is not needed before much else has happened.
#[test]
fn planted_faults_that_need_long_histories_are_found() {
    let mut survivors = Vec::new();
    for fault in Planted::LONG {
        plant(Some(fault));
        let shown = |seed| std::panic::catch_unwind(|| history(seed, &config(), 20).is_err());
        let found = (1000..1020).any(|seed| shown(seed).unwrap_or(true));
        plant(None);
        if !found {
            survivors.push(fault);
        }
    }
    assert_eq!(survivors, []);
}

/// A way in which a disk decays.
fn decay(bytes: &mut Vec<u8>, rng: &mut fastrand::Rng) -> &'static str {
    /// What a disk loses as a whole.
    const SECTOR: usize = 512;
    if bytes.is_empty() {
        return "empty";
    }
    let at = rng.usize(..bytes.len());
    let sector = at / SECTOR * SECTOR;
    let end = bytes.len().min(sector + SECTOR);
    match rng.u8(..4) {
        0 => {
            bytes[at] ^= 1 << rng.u8(..8);
            "a flipped bit"
        }
        1 => {
            bytes[sector..end].fill(0);
            "a sector of zeros"
        }
        2 => {
            bytes.truncate(at);
            "cut off"
        }
        _ => {
            let other = rng.usize(..bytes.len()) / SECTOR * SECTOR;
            let count = (end - sector).min(bytes.len() - other);
            for byte in 0..count {
                bytes.swap(sector + byte, other + byte);
            }
            "two sectors changed places"
        }
    }
}

/// What a file is: its name, or where it lies if its name is a number.
fn kind(path: &Path) -> String {
    let dirs = ["cache", "storage", "journal"];
    let within =
        dirs.into_iter().find(|dir| path.components().any(|part| part.as_os_str() == *dir));
    let name = || path.file_name().map(|name| name.to_string_lossy().into_owned());
    within.map(str::to_owned).or_else(name).unwrap_or_default()
}

/// Mail that is shown under a UID is what was there under it, whatever happened to a file (P3).
fn same_text(before: &View, after: &View) -> Result<(), String> {
    for (name, mailbox) in &after.mailboxes {
        let Some(was) = before.mailboxes.get(name) else { continue };
        if was.uidvalidity != mailbox.uidvalidity {
            continue;
        }
        for (uid, mail) in &mailbox.messages {
            if was.messages.get(uid).is_some_and(|was| was.text != mail.text) {
                return Err(format!("UID {uid} of {name} is another message"));
            }
        }
    }
    Ok(())
}

/// How often decay of a file of each kind left the same answers, older ones, and damage that was named.
type Decayed = BTreeMap<String, [u64; 3]>;

/// Two long rounds of operations, then `count` times something of the disk decays.
fn decays(seed: u64, count: usize, decayed: &mut Decayed) -> Result<(), String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut life = Life::begin(World::new(SimFs::new()))?;
    for _ in 0..2 {
        life.ops.clear();
        life.go_on(&mut rng)?;
        life.world.store.checkpoint(u64::MAX).map_err(|error| error.to_string())?;
    }
    let before = life.world.view().map_err(|error| error.to_string())?;
    let disk = life.world.fs.crashed(Variant::Everything);
    let files: Vec<PathBuf> = disk.files();
    for path in std::iter::repeat_with(|| rng.choice(&files)).take(count).collect::<Vec<_>>() {
        let Some(path) = path else { continue };
        let image = disk.crashed(Variant::Everything);
        let mut what = "";
        image
            .corrupt(path, |bytes| what = decay(bytes, &mut rng))
            .map_err(|error| error.to_string())?;
        let told = |why: &str| format!("seed {seed}, {}: {what}: {why}", path.display());
        let kind = kind(path);
        let outcome = match World::recover(image, 3).and_then(|world| world.view()) {
            Ok(after) if after == before => 0,
            Ok(after) => {
                same_text(&before, &after).map_err(|why| told(&why))?;
                1
            }
            Err(_) => 2,
        };
        if outcome != 0 && COSTS_SPEED_ONLY.contains(&kind.as_str()) {
            return Err(told("it may be lost, but answers changed"));
        }
        decayed.entry(kind).or_default()[outcome] += 1;
    }
    Ok(())
}

/// Files of which any one may be lost, and no answer changes (P6).
const COSTS_SPEED_ONLY: [&str; 9] = [
    "index",
    "index.delta",
    "index.prev",
    "list.index",
    "list.index.prev",
    "map.index",
    "map.index.prev",
    "cache",
    "threads",
];

#[test]
fn decay_of_any_file_changes_no_message() {
    let mut decayed = Decayed::new();
    for seed in 0..10 * effort() {
        decays(seed, 100, &mut decayed).unwrap_or_else(|why| panic!("{why}"));
    }
    println!("by file: the same answers, older ones, damage that is named");
    decayed.iter().for_each(|(kind, counts)| println!("{kind}: {counts:?}"));
    assert!(decayed.values().flatten().sum::<u64>() >= 1_000);
    for kind in COSTS_SPEED_ONLY {
        assert!(decayed.contains_key(kind), "{kind} was never there");
    }
}

#[test]
fn planted_fault_of_a_single_generation_is_found() {
    plant(Some(Planted::OneGeneration));
    let found = (0..10).any(|seed| {
        let mut decayed = Decayed::new();
        std::panic::catch_unwind(move || decays(seed, 40, &mut decayed).is_err()).unwrap_or(true)
    });
    plant(None);
    assert!(found);
}
