//! The cache: what FETCH, SEARCH and SORT would otherwise read and parse messages for (`docs/formats/cache.md`).
//!
//! A row is made of each message while it is in memory (delivery, APPEND), else when it is first asked for, and is kept
//! by map id, so copies and moves share it. Rows wait in memory and reach their files some time later, many in a block,
//! from the thread that keeps house; nothing is synced for them. Few of them are written as they are; many are taken
//! apart, so that what is read together lies together. Files are read whole, used from memory, and forgotten when nobody
//! asks. One that is read for the first time makes room for the next such ones: who passes through a large mailbox once
//! goes by memory that is there, and leaves others theirs.
//!
//! Invariants:
//! - Whatever becomes of a cache file or of a row in memory, no answer changes: what is missing is parsed again.
//! - Rows not yet written take at most [`StoreConfig::cache_unwritten`] bytes; then new ones are left out. Files in
//!   memory take at most [`StoreConfig::cache_memory`], and nothing some [`IDLE_MS`] after their last use.
//! - Locks: `shelves` is taken last and held over no I/O; `writing` is held by who writes files.
//!
//! [`StoreConfig::cache_unwritten`]: super::config::StoreConfig::cache_unwritten
//! [`StoreConfig::cache_memory`]: super::config::StoreConfig::cache_memory

mod asked;
mod directory;
mod facts;
mod file;
mod held;
mod kind;
mod layout;
mod passing;
mod plan;
mod regroup;
mod sent;
mod write;

use super::account::Home;
use super::config::StoreConfig;
use super::files::Files;
use dbox_format::map::MapId;
use directory::Directory;
use held::Loaded;
use index_format::Guid;
use index_format::cache::SPAN;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(test)]
pub(crate) use facts::HeadOf;
pub(crate) use facts::{
    Compared, Facts, HEADER_ASKED, HEADER_WHOLE, Head, encode, header_end, header_value, key_of,
    text_of,
};
pub(crate) use held::{Found, Held, Spot};
use kind::Kind;
pub(crate) use kind::{Asked, Names, Wants};
use passing::Passing;

/// Milliseconds after which a file that nobody asked for leaves memory.
const IDLE_MS: u64 = 10_000;
/// What all that pass through the files of a large mailbox have of the memory, as a part of so many.
const PASSING: usize = 16;
/// The most bytes of one row; values beyond are left out.
pub(crate) const ROW_MAX: usize = 16 << 10;
/// The same of a message that is not read whole, but part by part: more than those are given while they come in.
pub(crate) const LARGE_ROW_MAX: usize = 96 << 10;
/// What a row in memory costs beside its bytes.
const ROW_COST: usize = 96;

/// Looks at stretches of an account that are remembered until the house is looked after; others are not counted.
const LOOKS: usize = 4096;

/// The cache of a store.
pub(crate) struct Cache {
    memory: usize,
    unwritten_max: usize,
    apart: u64,
    shelves: Mutex<Shelves>,
    unwritten: AtomicUsize,
    writing: Mutex<()>,
}

/// An account, the number of one of its files, and which.
type Key = (u64, u32, Kind);

#[derive(Default)]
struct Shelves {
    /// Rows that no file has, by account and stretch.
    fresh: BTreeMap<(u64, u32), Waiting>,
    /// Files in memory.
    files: BTreeMap<Key, Shelf>,
    /// The same, by their last use.
    used: BTreeMap<u64, Key>,
    /// Those that were read for the first time.
    passing: Passing,
    /// Which files the accounts have.
    directories: BTreeMap<u64, Directory>,
    /// What was asked of the accounts' mailboxes since the house was last looked after.
    looks: BTreeMap<u64, Looks>,
    /// Files that can't be appended to: they are made anew with what counts of them.
    damaged: BTreeMap<Key, Arc<Home>>,
    uses: u64,
    /// Bytes of the files in memory.
    loaded: usize,
    /// The time, as the house has last told it.
    now: u64,
    /// Rows ever added.
    rows: u64,
    /// Files ever written: one that was read before may lack rows.
    writes: u64,
}

/// What was asked: each look at a stretch once, however many messages of it are looked at one after the other.
struct Looks {
    home: Arc<Home>,
    /// Mailbox, stretch, what was wanted.
    list: Vec<(Guid, u32, Wants)>,
}

struct Waiting {
    home: Arc<Home>,
    /// By message and age.
    rows: Arc<Vec<Fresh>>,
}

struct Shelf {
    file: Arc<Loaded>,
    /// Its place in [`Shelves::used`], and the time of that use.
    used: (u64, u64),
}

/// A row that no file has yet.
#[derive(Clone)]
struct Fresh {
    id: u32,
    guid: [u8; 4],
    /// Ascends in the order rows were made.
    number: u64,
    fields: Arc<[u8]>,
}

/// A disk would have to be asked.
#[derive(Debug)]
pub(crate) struct WouldBlock;

impl Cache {
    pub(crate) fn new(config: &StoreConfig) -> Self {
        Self {
            memory: config.cache_memory,
            unwritten_max: config.cache_unwritten,
            apart: config.cache_apart,
            shelves: Mutex::default(),
            unwritten: AtomicUsize::new(0),
            writing: Mutex::new(()),
        }
    }

    /// Whether there is one at all.
    pub(crate) fn is_on(&self) -> bool {
        self.memory > 0
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        // A panic between two changes may leave a shelf without its file: a miss.
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the messages around `id`, to be looked at for what is wanted; with `wait` false only if no disk
    /// is needed for it.
    pub(crate) fn hold(
        &self,
        files: &Files,
        home: &Arc<Home>,
        id: MapId,
        wants: &Wants,
        wait: bool,
    ) -> Result<Held, WouldBlock> {
        let number = number(id);
        let writes = {
            let mut shelves = self.shelves();
            if let Some(held) = shelves.hold(home, number, wants) {
                return Ok(held);
            }
            shelves.writes
        };
        if !wait {
            return Err(WouldBlock);
        }
        let mut directory = Directory::read(files, home);
        let mut shelves = self.shelves();
        let fresh = shelves.fresh_of(home, number);
        let held = Held::new((home.id, number), fresh, directory.kinds(number), wants);
        if shelves.writes == writes {
            directory.used = shelves.now;
            shelves.directories.insert(home.id, directory);
        }
        Ok(held)
    }

    /// Reads a file that [`Held`] wants to look into; with `wait` false only if no disk is needed for it.
    pub(crate) fn load(
        &self,
        files: &Files,
        home: &Arc<Home>,
        (held, file): (&mut Held, usize),
        wait: bool,
    ) -> Result<(), WouldBlock> {
        let Some((_, number, kind)) = held.key_of(file) else { return Ok(()) };
        let read = |spare| file::read(files, home, (number, kind), (spare, wait));
        self.load_read(home, (held, file), read)
    }

    fn load_read(
        &self,
        home: &Arc<Home>,
        (held, file): (&mut Held, usize),
        read: impl FnOnce(Vec<u8>) -> Result<(Loaded, bool), WouldBlock>,
    ) -> Result<(), WouldBlock> {
        let Some(key) = held.key_of(file) else { return Ok(()) };
        let Some((_, place)) = held.files.get_mut(file) else { return Ok(()) };
        let (writes, spare) = {
            let mut shelves = self.shelves();
            if let Some(known) = shelves.file(key) {
                *place = Some(known);
                return Ok(());
            }
            (shelves.writes, shelves.passing.spare())
        };
        let (found, damaged) = read(spare)?;
        let found = Arc::new(found);
        *place = Some(found.clone());
        let mut shelves = self.shelves();
        let current = shelves.writes == writes;
        if damaged && current {
            shelves.damaged.insert(key, home.clone());
        }
        if current {
            shelves.keep_file(key, found, self.memory);
        } else {
            // Also the one that another reader has put there meanwhile: it is read again when it is asked for.
            shelves.forget(key);
        }
        Ok(())
    }

    /// Takes note that somebody looks at a stretch of messages.
    pub(crate) fn note(&self, home: &Arc<Home>, mailbox: Guid, number: u32, wants: &Wants) {
        let mut shelves = self.shelves();
        let looks = shelves
            .looks
            .entry(home.id)
            .or_insert_with(|| Looks { home: home.clone(), list: Vec::new() });
        let is_same = |(last, at, what): &(Guid, u32, Wants)| {
            *last == mailbox && *at == number && what == wants
        };
        if looks.list.len() < LOOKS && !looks.list.last().is_some_and(is_same) {
            looks.list.push((mailbox, number, wants.clone()));
        }
    }

    /// Adds a row, if there is room for it; `true` says that rows should be written soon.
    pub(crate) fn add(
        &self,
        home: &Arc<Home>,
        (id, guid): (MapId, [u8; 16]),
        fields: Arc<[u8]>,
    ) -> bool {
        if !self.is_on() || fields.is_empty() {
            return false;
        }
        let mut shelves = self.shelves();
        let unwritten = self.unwritten.load(Ordering::Relaxed) + fields.len() + ROW_COST;
        if unwritten > self.unwritten_max {
            return true;
        }
        self.unwritten.store(unwritten, Ordering::Relaxed);
        shelves.rows += 1;
        let fresh = Fresh { id: id.0, guid: short(guid), number: shelves.rows, fields };
        let waiting = shelves
            .fresh
            .entry(key(home, id))
            .or_insert_with(|| Waiting { home: home.clone(), rows: Arc::default() });
        let rows = Arc::make_mut(&mut waiting.rows);
        let place = rows.partition_point(|row| row.id <= id.0);
        rows.insert(place, fresh);
        unwritten > self.unwritten_max / 2
    }

    /// Whether so much waits to be written that the house should be looked after now.
    pub(crate) fn calls(&self) -> bool {
        self.unwritten.load(Ordering::Relaxed) > self.unwritten_max / 2
    }

    /// Tells the time, in monotonic milliseconds, and forgets files that nobody has asked for lately.
    pub(crate) fn forget_idle(&self, now: u64) {
        let mut shelves = self.shelves();
        if std::mem::replace(&mut shelves.now, now) == 0 {
            // What was used before anybody told the time was used just now.
            shelves.files.values_mut().for_each(|shelf| shelf.used.1 = now);
            shelves.directories.values_mut().for_each(|directory| directory.used = now);
        }
        while let Some((&used, &key)) = shelves.used.first_key_value()
            && shelves.files.get(&key).is_none_or(|shelf| shelf.used.1 + IDLE_MS <= now)
        {
            shelves.used.remove(&used);
            shelves.drop_file(key);
        }
        shelves.directories.retain(|_, directory| directory.used + IDLE_MS > now);
        shelves.passing.forget_spare();
    }

    /// Bytes of files and of unwritten rows in memory; checks that files in memory are those that can be forgotten.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> (usize, usize) {
        let shelves = self.shelves();
        let used: BTreeMap<u64, Key> =
            shelves.files.iter().map(|(key, shelf)| (shelf.used.0, *key)).collect();
        assert_eq!(shelves.used, used);
        let loaded: usize = shelves.files.values().map(|shelf| shelf.file.cost()).sum();
        assert_eq!(shelves.loaded, loaded);
        let (passing, bytes) = shelves.passing.held();
        let costs = passing.iter().map(|key| shelves.files[key].file.cost());
        assert_eq!(bytes, costs.sum::<usize>());
        (shelves.loaded, self.unwritten.load(Ordering::Relaxed))
    }
}

impl Shelves {
    fn hold(&mut self, home: &Arc<Home>, number: u32, wants: &Wants) -> Option<Held> {
        let directory = self.directories.get_mut(&home.id)?;
        directory.used = self.now;
        let kinds = directory.kinds(number);
        Some(Held::new((home.id, number), self.fresh_of(home, number), kinds, wants))
    }

    fn fresh_of(&self, home: &Arc<Home>, number: u32) -> Arc<Vec<Fresh>> {
        self.fresh.get(&(home.id, number)).map_or_else(Arc::default, |waiting| waiting.rows.clone())
    }

    /// A file, if it is in memory.
    fn file(&mut self, key: Key) -> Option<Arc<Loaded>> {
        let (uses, now) = (self.uses + 1, self.now);
        let shelf = self.files.get_mut(&key)?;
        if shelf.used.0 == self.uses {
            shelf.used.1 = now; // most often the one that was used last
        } else {
            self.uses = uses;
            self.used.remove(&shelf.used.0);
            shelf.used = (uses, now);
            self.used.insert(uses, key);
        }
        Some(shelf.file.clone())
    }

    /// Keeps a file that was just read, and lets the ones used longest ago go while all have more than `memory` bytes.
    /// Those that are read for the first time have a small part of these.
    fn keep_file(&mut self, key: Key, file: Arc<Loaded>, memory: usize) {
        self.forget(key);
        self.uses += 1;
        let (uses, now) = (self.uses, self.now);
        self.loaded += file.cost();
        self.passing.note(key, file.cost());
        self.files.insert(key, Shelf { file, used: (uses, now) });
        self.used.insert(uses, key);
        while let Some(key) = self.passing.over(memory / PASSING) {
            self.forget(key);
        }
        while self.loaded > memory
            && let Some((_, key)) = self.used.pop_first()
        {
            self.drop_file(key);
        }
    }

    /// Forgets a file that is not in `used` any more.
    fn drop_file(&mut self, key: Key) {
        if let Some(shelf) = self.files.remove(&key) {
            self.loaded -= shelf.file.cost();
            self.passing.gone(key, shelf.file);
        }
    }

    /// Forgets a file, wherever it stands.
    fn forget(&mut self, key: Key) {
        if let Some(shelf) = self.files.get(&key) {
            self.used.remove(&shelf.used.0);
        }
        self.drop_file(key);
    }

    /// Takes note that a file was written, or with `exists` false removed.
    fn written(&mut self, key: Key, exists: bool) {
        self.writes += 1;
        // It lacks what was just written.
        self.forget(key);
        self.damaged.remove(&key);
        if let Some(directory) = self.directories.get_mut(&key.0) {
            directory.note(key.1, key.2, exists);
        }
    }
}

fn key(home: &Home, id: MapId) -> (u64, u32) {
    (home.id, number(id))
}

/// The number of the stretch that a message is in.
pub(crate) fn number(id: MapId) -> u32 {
    id.0 / SPAN
}

/// What a row carries of a GUID.
fn short([a, b, c, d, ..]: [u8; 16]) -> [u8; 4] {
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;
    use index_format::cache::Field;
    use runtime_smol::sim::SimFs;

    #[test]
    fn who_passes_through_once_takes_little_memory_and_who_comes_again_is_served_from_it() {
        const STRETCHES: u32 = 40;
        let files = Files::new(Arc::new(SimFs::new()), 10);
        let home = Arc::new(Home { id: 1, dir: "/data/u1".into(), owner: Guid([1; 16]) });
        let memory = 256 << 10;
        let cache = Cache::new(&StoreConfig { cache_memory: memory, ..StoreConfig::default() });
        let (value, guid, wants) = ([b'x'; 4000], [7; 16], Wants::default());
        for stretch in 0..STRETCHES {
            let row = encode(&[(Field::Envelope, &value)], 0).unwrap();
            cache.add(&home, (MapId(stretch * SPAN), guid), row);
        }
        cache.write(&files, true, &|| 99);
        let pass = || {
            for id in (0..STRETCHES).map(|stretch| MapId(stretch * SPAN)) {
                let mut held = cache.hold(&files, &home, id, &wants, true).unwrap();
                let spot = loop {
                    match held.find(id, guid, Field::Envelope) {
                        Found::Value(spot) => break spot,
                        Found::Nothing => panic!("nothing is known of {id:?}"),
                        Found::Load(file) => {
                            cache.load(&files, &home, (&mut held, file), true).unwrap();
                        }
                    }
                };
                assert_eq!(held.value(spot), value);
            }
            cache.held_bytes().0
        };
        let once = pass();
        assert!(once > 4000 && once <= memory / PASSING, "{once} bytes after one pass");
        let again = pass();
        assert!(again > STRETCHES as usize * 4000 * 8 / 10 && again <= memory, "{again} bytes");
        assert_eq!(pass(), again.max(pass()));
    }

    #[test]
    fn of_two_readers_around_a_write_none_leaves_what_cannot_be_forgotten() {
        let files = Files::new(Arc::new(SimFs::new()), 10);
        let home = Arc::new(Home { id: 1, dir: "/data/u1".into(), owner: Guid([1; 16]) });
        let cache = Cache::new(&StoreConfig::default());
        let row = encode(&[(Field::Envelope, b"()")], 0).unwrap();
        let (wants, guid) = (Wants::default(), [7; 16]);
        let hold = |id| cache.hold(&files, &home, MapId(id), &wants, true).unwrap();
        let knows = |held: &mut Held, id| loop {
            match held.find(MapId(id), guid, Field::Envelope) {
                Found::Value(_) => return true,
                Found::Nothing => return false,
                Found::Load(file) => cache.load(&files, &home, (held, file), true).unwrap(),
            }
        };
        cache.add(&home, (MapId(1), guid), row.clone());
        cache.write(&files, true, &|| 99);
        let mut outer = hold(1);
        cache
            .load_read(&home, (&mut outer, 0), |spare| {
                let old = file::read(&files, &home, (0, Kind::FRESH), (spare, true));
                cache.add(&home, (MapId(2), guid), row);
                cache.write(&files, true, &|| 99);
                let mut inner = hold(2);
                assert!(knows(&mut inner, 2));
                old
            })
            .unwrap();
        assert!(knows(&mut outer, 1) && !knows(&mut outer, 2));
        cache.held_bytes();
        assert!(knows(&mut hold(2), 2));
        assert!(cache.held_bytes().0 > 0);
    }
}
