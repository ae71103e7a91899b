//! What is on disk after the power failed.
//!
//! A variant is a set of choices, all drawn from its seed: which changes of names are on disk, and, per file, which
//! version of each sector, what length, and what lies where nothing was written. Whatever it chooses, synced bytes and
//! synced names are there unless something unsynced replaced them.

use super::content::{Content, PAGE};
use super::rng::Rng;
use super::world::{Change, FileNode, Inode, InodeId, Pending, ROOT, World, put};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a disk writes as a whole, in bytes.
const SECTOR: u64 = 512;

/// How a crash is chosen. Equal variants of one state give equal images.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Variant {
    /// The processes die, the machine does not: nothing is lost.
    Everything,
    /// As `Everything`, but the last write was broken off at a byte the seed chooses.
    Killed(u64),
    /// Power fails and nothing that was not synced is there.
    Nothing,
    /// Power fails on a file system like ext4 with `data=ordered`: names change in order, all of them up to the last sync
    /// of any directory; a length covers no bytes that were not written, but for zeros in what was the last block;
    /// overwritten sectors persist in any combination.
    Ordered(u64),
    /// Power fails on the worst file system that POSIX allows: any subset of changed names (a rename inside a directory
    /// is atomic), any version of each sector, a write torn at any byte, lengths grown over zeros, random bytes or stale
    /// blocks.
    Adversarial(u64),
}

impl Variant {
    /// `count` variants for one crash: the three without a choice first, then both strengths in turn.
    #[must_use]
    pub fn sample(count: usize, seed: u64) -> Vec<Self> {
        let mut rng = Rng::new(seed);
        let fixed = [Self::Nothing, Self::Everything, Self::Killed(rng.next())];
        let drawn = (0..).map(|n| match n % 3 {
            0 | 1 => Self::Adversarial(rng.next()),
            _ => Self::Ordered(rng.next()),
        });
        fixed.into_iter().chain(drawn).take(count).collect()
    }
}

/// How much of a pending list is on disk.
#[derive(Clone, Copy)]
enum Extent {
    Nothing,
    Everything,
    /// What happened up to this moment; the write of this moment is torn.
    Until(u64),
    /// Each thing by itself, with this probability in percent.
    Subset(u64),
}

/// What a length covers that no write brought.
#[derive(Clone, Copy)]
enum Filler {
    Zeros,
    Random,
    /// Old blocks, from this or another file.
    Stale,
}

/// The disk of `world` after a crash as `variant` says: all of it durable, nothing pending.
pub(super) fn image(world: &World, variant: Variant) -> World {
    match variant {
        Variant::Everything => build(world, &Choice::fixed(Extent::Everything)),
        Variant::Nothing => build(world, &Choice::fixed(Extent::Nothing)),
        Variant::Killed(seed) => {
            let torn = Some(Rng::new(seed).next());
            build(world, &Choice { torn_last: torn, ..Choice::fixed(Extent::Everything) })
        }
        Variant::Ordered(seed) => build(world, &Choice::draw(world, seed, true)),
        Variant::Adversarial(seed) => build(world, &Choice::draw(world, seed, false)),
    }
}

struct Choice {
    seed: u64,
    ordered: bool,
    names: Extent,
    bytes: Extent,
    /// Each file draws its own extent instead of `bytes`.
    mixed: bool,
    /// The moment of an extent that is a prefix.
    until: u64,
    /// Nothing is drawn: pending bytes are all there or not at all, lengths with them.
    plain: bool,
    /// For a kill: where in the last write, as a random number.
    torn_last: Option<u64>,
}

impl Choice {
    fn fixed(extent: Extent) -> Self {
        Self {
            seed: 0,
            ordered: false,
            names: extent,
            bytes: extent,
            mixed: false,
            until: 0,
            plain: true,
            torn_last: None,
        }
    }

    fn draw(world: &World, seed: u64, ordered: bool) -> Self {
        let mut rng = Rng::new(seed);
        // One moment for both, so that a true prefix of everything is among the choices.
        let until = rng.between(oldest(world), world.moment);
        let bytes = extent(&mut rng, until);
        let names = match extent(&mut rng, until) {
            Extent::Subset(_) if ordered => Extent::Until(until),
            drawn @ (Extent::Nothing
            | Extent::Everything
            | Extent::Until(_)
            | Extent::Subset(_)) => drawn,
        };
        let mixed = rng.chance(40);
        Self { seed, ordered, names, bytes, mixed, until, plain: false, torn_last: None }
    }
}

fn extent(rng: &mut Rng, until: u64) -> Extent {
    let until = Extent::Until(until);
    let subset = Extent::Subset(rng.pick(&[15, 50, 85]));
    rng.pick(&[Extent::Nothing, Extent::Everything, until, until, subset, subset, subset])
}

/// The moment of the oldest pending thing.
fn oldest(world: &World) -> u64 {
    let files = world.inodes.values().filter_map(|inode| match &**inode {
        Inode::File(file) => file.pending.first().map(|write| write.moment),
        Inode::Dir(_) => None,
    });
    let names = world.changes.first().map(|change| change.moment);
    files.chain(names).min().unwrap_or(world.moment)
}

fn build(world: &World, choice: &Choice) -> World {
    let mut rng = Rng::new(choice.seed ^ 0x6469_736b);
    let dirs = names_on_disk(world, choice, &mut rng);
    let mut disk = World::new();
    disk.inodes.clear();
    let mut todo = vec![ROOT];
    let mut reached = BTreeSet::from([ROOT]);
    while let Some(id) = todo.pop() {
        let Some(inode) = world.inodes.get(&id) else { continue };
        let found = match &**inode {
            Inode::Dir(_) => {
                let names = dirs.get(&id).cloned().unwrap_or_default();
                todo.extend(names.values().copied().filter(|child| reached.insert(*child)));
                Inode::Dir(super::world::DirNode { durable: names.clone(), now: names })
            }
            Inode::File(file) => {
                // By file, so that one file's choices don't depend on what else is on the disk.
                let mut rng = Rng::new(choice.seed.rotate_left(17) ^ id);
                let content = bytes_on_disk(world, file, choice, &mut rng);
                Inode::File(FileNode {
                    durable: content.clone(),
                    now: content,
                    ..FileNode::default()
                })
            }
        };
        disk.inodes.insert(id, Arc::new(found));
    }
    disk.continue_after(world);
    disk
}

// --- names

type Names = BTreeMap<std::ffi::OsString, InodeId>;

fn names_on_disk(world: &World, choice: &Choice, rng: &mut Rng) -> BTreeMap<InodeId, Names> {
    let durable = world.inodes.iter().filter_map(|(id, inode)| match &**inode {
        Inode::Dir(dir) => Some((*id, dir.durable.clone())),
        Inode::File(_) => None,
    });
    let mut dirs: BTreeMap<InodeId, Names> = durable.collect();
    let mut skipped = BTreeSet::new();
    for change in &world.changes {
        let dependent = change.after.is_some_and(|after| skipped.contains(&after));
        if dependent || !change_is_on_disk(world, change, choice, rng) {
            skipped.insert(change.moment);
            continue;
        }
        for name in &change.names {
            put(dirs.entry(name.dir).or_default(), &name.name, name.inode);
        }
    }
    dirs
}

fn change_is_on_disk(world: &World, change: &Change, choice: &Choice, rng: &mut Rng) -> bool {
    let chosen = match choice.names {
        Extent::Nothing => false,
        Extent::Everything => true,
        Extent::Until(moment) => change.moment <= moment,
        Extent::Subset(percent) => rng.chance(percent),
    };
    chosen || (choice.ordered && change.moment <= world.journalled)
}

// --- bytes

fn bytes_on_disk(world: &World, file: &FileNode, choice: &Choice, rng: &mut Rng) -> Content {
    let extent = if choice.mixed { extent(rng, choice.until) } else { choice.bytes };
    match (extent, choice.torn_last) {
        (Extent::Everything, Some(at)) => without_end_of_last(file, world.moment, at),
        (Extent::Everything, None) => file.now.clone(),
        (Extent::Nothing, _) if choice.plain => file.durable.clone(),
        (Extent::Nothing | Extent::Until(_) | Extent::Subset(_), _) => {
            let mut disk = Disk::new(world, file, extent, choice.ordered, rng);
            disk.write_sectors(rng);
            disk.finish(rng)
        }
    }
}

/// All writes, but of the very last thing that happened only a part.
fn without_end_of_last(file: &FileNode, last: u64, at: u64) -> Content {
    let Some((torn, whole)) = file.pending.split_last().filter(|(torn, _)| torn.moment == last)
    else {
        return file.now.clone();
    };
    let mut content = file.durable.clone();
    for (page, lost) in &file.uncertain {
        content.grow(lost.len()); // a failed sync loses nothing while the machine runs
        content.copy_page(*page, lost);
    }
    for write in whole {
        content.write(&write.bytes, write.offset);
    }
    let keep = usize::try_from(at % (torn.bytes.len() as u64 + 1)).unwrap_or(0);
    let part = torn.bytes.get(..keep).unwrap_or_default();
    if !part.is_empty() {
        content.write(part, torn.offset);
    }
    content
}

/// One file's blocks while the choices are made.
struct Disk<'a> {
    file: &'a FileNode,
    extent: Extent,
    ordered: bool,
    content: Content,
    /// Unit in which the disk was written, in bytes.
    grain: u64,
    /// Up to which moment each unit has the writes that touched it.
    versions: BTreeMap<u64, u64>,
    /// End of the last byte that was brought by a write.
    end: u64,
}

impl<'a> Disk<'a> {
    fn new(
        world: &World,
        file: &'a FileNode,
        extent: Extent,
        ordered: bool,
        rng: &mut Rng,
    ) -> Self {
        let mut content = file.durable.clone();
        if !ordered {
            let filler = rng.pick(&[Filler::Zeros, Filler::Random, Filler::Stale]);
            fill(world, &mut content, file.now.len(), filler, rng);
        }
        content.grow(file.now.len());
        for (page, lost) in &file.uncertain {
            if rng.chance(50) {
                content.copy_page(*page, lost);
            }
        }
        let grain = rng.pick(&[SECTOR, PAGE as u64]);
        Self {
            file,
            extent,
            ordered,
            content,
            grain,
            versions: BTreeMap::new(),
            end: file.durable.len(),
        }
    }

    fn write_sectors(&mut self, rng: &mut Rng) {
        let file = self.file;
        // One write of a subset is torn at a byte: memory was copied to the disk while a process wrote it.
        let torn = match self.extent {
            Extent::Subset(_) if !self.ordered && rng.chance(50) => {
                rng.below(file.pending.len() as u64 + 1)
            }
            Extent::Subset(_) | Extent::Nothing | Extent::Everything | Extent::Until(_) => u64::MAX,
        };
        for (index, write) in file.pending.iter().enumerate() {
            let len = write.bytes.len() as u64;
            let is_torn = index as u64 == torn
                || matches!(self.extent, Extent::Until(m) if m == write.moment);
            let keep = if is_torn { rng.below(len + 1) } else { len };
            self.write_pieces(write, keep, rng);
        }
    }

    /// Those units of a write that are on disk, and of them what lies before `keep`.
    fn write_pieces(&mut self, write: &Pending, keep: u64, rng: &mut Rng) {
        let mut from = 0;
        while from < keep {
            let at = write.offset + from;
            let unit = at / self.grain;
            let to = keep.min((unit + 1) * self.grain - write.offset);
            if write.moment <= self.version(unit, rng)
                && let (Ok(start), Ok(end)) = (usize::try_from(from), usize::try_from(to))
            {
                self.content.write(write.bytes.get(start..end).unwrap_or_default(), at);
                self.end = self.end.max(write.offset + to);
            }
            from = to;
        }
    }

    fn version(&mut self, unit: u64, rng: &mut Rng) -> u64 {
        let percent = match self.extent {
            Extent::Nothing => return 0,
            Extent::Everything => return u64::MAX,
            Extent::Until(moment) => return moment,
            Extent::Subset(percent) => percent,
        };
        // Appended units of an ordered file system are all there, up to the length `finish` chooses.
        if self.ordered && unit * self.grain >= self.file.durable.len() {
            return u64::MAX;
        }
        let pending = &self.file.pending;
        *self.versions.entry(unit).or_insert_with(|| {
            if rng.chance(20) {
                let index = usize::try_from(rng.below(pending.len() as u64)).unwrap_or(0);
                pending.get(index).map_or(0, |write| write.moment)
            } else if rng.chance(percent) {
                u64::MAX
            } else {
                0
            }
        })
    }

    /// Chooses the length.
    fn finish(mut self, rng: &mut Rng) -> Content {
        let (low, high) = (self.file.durable.len(), self.file.now.len());
        let len = if self.ordered {
            self.ordered_len(rng)
        } else {
            match rng.below(4) {
                0 | 1 => self.end,
                2 => high,
                _ => rng.between(low, high),
            }
        };
        self.content.truncate(len.max(low));
        self.content
    }

    /// A length that covers no block that was not written.
    fn ordered_len(&self, rng: &mut Rng) -> u64 {
        let low = self.file.durable.len();
        match self.extent {
            Extent::Nothing => low,
            Extent::Everything | Extent::Until(_) => self.end,
            Extent::Subset(_) => {
                let page = PAGE as u64;
                let len = rng.between(low, self.end);
                let down = if rng.chance(50) { len / page * page } else { len };
                rng.pick(&[self.end, down, len]).max(low)
            }
        }
    }
}

/// Grows `content` to `len` over what happened to be on the disk.
fn fill(world: &World, content: &mut Content, len: u64, filler: Filler, rng: &mut Rng) {
    let mut at = content.len();
    while at < len {
        let n = (PAGE as u64 - at % PAGE as u64).min(len - at);
        let mut block = vec![0; usize::try_from(n).unwrap_or(0)];
        match filler {
            Filler::Zeros => {}
            Filler::Random => {
                block.iter_mut().for_each(|byte| *byte = u8::try_from(rng.below(256)).unwrap_or(0));
            }
            Filler::Stale => stale(world, &mut block, at % PAGE as u64, rng),
        }
        content.write(&block, at);
        at += n;
    }
    content.grow(len);
}

/// Bytes of some page of some file, from the same place in the page.
fn stale(world: &World, block: &mut [u8], within: u64, rng: &mut Rng) {
    let index = usize::try_from(rng.below(world.inodes.len() as u64)).unwrap_or(0);
    if let Some(Inode::File(other)) = world.inodes.values().nth(index).map(|inode| &**inode) {
        let page = rng.below(other.durable.len() / PAGE as u64 + 1);
        other.durable.read(block, page * PAGE as u64 + within);
    }
}
