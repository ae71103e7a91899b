//! The cache: what FETCH and SEARCH would otherwise read and parse messages for (`docs/formats/cache.md`).
//!
//! A row is made of each message while it is in memory (delivery, APPEND), else when it is first asked for, and is kept
//! by map id, so copies and moves share it. Rows wait in memory and reach their files some time later, many in a block,
//! from the thread that keeps house; nothing is synced for them. Files are read whole, used from memory, and forgotten
//! when nobody asks.
//!
//! Invariants:
//! - Whatever becomes of a cache file or of a row in memory, no answer changes: what is missing is parsed again.
//! - Rows not yet written take at most [`StoreConfig::cache_unwritten`] bytes; then new ones are left out. Files in
//!   memory take at most [`StoreConfig::cache_memory`], and nothing some [`IDLE_MS`] after their last use.
//! - Locks: `shelves` is taken last and held over no I/O; `writing` is held by who writes files.
//!
//! [`StoreConfig::cache_unwritten`]: super::config::StoreConfig::cache_unwritten
//! [`StoreConfig::cache_memory`]: super::config::StoreConfig::cache_memory

mod facts;
mod file;
mod write;

use super::account::Home;
use super::config::StoreConfig;
use super::files::Files;
use dbox_format::map::MapId;
use index_format::cache::{Field, Fields, Index, Place, SPAN};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(test)]
pub(crate) use facts::Text;
pub(crate) use facts::{
    Facts, HEADER_ASKED, HEADER_WHOLE, Head, encode, header_end, header_value, is_common,
};

/// Milliseconds after which a file that nobody asked for leaves memory.
const IDLE_MS: u64 = 10_000;
/// The most bytes of one row; values beyond are left out.
pub(crate) const ROW_MAX: usize = 16 << 10;
/// What a row in memory costs beside its bytes.
const ROW_COST: usize = 96;

/// The cache of a store.
pub(crate) struct Cache {
    memory: usize,
    unwritten_max: usize,
    shelves: Mutex<Shelves>,
    unwritten: AtomicUsize,
    writing: Mutex<()>,
}

/// An account and the number of one of its files.
type Key = (u64, u32);

#[derive(Default)]
struct Shelves {
    shelves: BTreeMap<Key, Shelf>,
    /// Shelves with rows that no file has.
    unwritten: BTreeSet<Key>,
    /// Shelves with a file in memory, by their last use.
    used: BTreeMap<u64, Key>,
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

/// What is in memory of one file.
struct Shelf {
    home: Arc<Home>,
    file: Option<Arc<Loaded>>,
    /// Its place in [`Shelves::used`], and the time of that use.
    used: (u64, u64),
    /// Rows that the file does not have yet, by message and age.
    fresh: Arc<Vec<Fresh>>,
    /// The file can't be appended to: it is made anew with what counts of it.
    renew: bool,
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

/// A cache file in memory.
struct Loaded {
    bytes: Vec<u8>,
    index: Index,
}

/// What is known of the messages of one file, for a while: what is added later does not show.
pub(crate) struct Held {
    key: Key,
    file: Arc<Loaded>,
    fresh: Arc<Vec<Fresh>>,
}

/// Where [`Held`] has a value.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    /// Index of a fresh row; `None` for the file.
    fresh: Option<usize>,
    start: usize,
    end: usize,
}

impl Spot {
    /// How many bytes the value has.
    pub(crate) fn len(self) -> usize {
        self.end - self.start
    }
}

/// A disk would have to be asked.
#[derive(Debug)]
pub(crate) struct WouldBlock;

impl Cache {
    pub(crate) fn new(config: &StoreConfig) -> Self {
        Self {
            memory: config.cache_memory,
            unwritten_max: config.cache_unwritten,
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

    /// What is known of the messages around `id`; with `wait` false only if no disk is needed for it.
    pub(crate) fn hold(
        &self,
        files: &Files,
        home: &Arc<Home>,
        id: MapId,
        wait: bool,
    ) -> Result<Held, WouldBlock> {
        let number = number(id);
        self.hold_read(home, number, || file::read(files, home, number, wait))
    }

    fn hold_read(
        &self,
        home: &Arc<Home>,
        number: u32,
        read: impl FnOnce() -> Result<(Loaded, bool), WouldBlock>,
    ) -> Result<Held, WouldBlock> {
        let key = (home.id, number);
        let writes = {
            let mut shelves = self.shelves();
            if let Some(held) = shelves.held(key) {
                return Ok(held);
            }
            shelves.writes
        };
        let (file, renew) = read()?;
        let file = Arc::new(file);
        let mut shelves = self.shelves();
        let current = shelves.writes == writes;
        let shelf = shelves.shelf(key, home);
        shelf.renew |= renew;
        let held = Held { key, file: file.clone(), fresh: shelf.fresh.clone() };
        if current {
            shelves.keep_file(key, file, self.memory);
        } else {
            // Also the one that another reader has put there meanwhile: it is read again when it is asked for.
            shelves.forget(key);
        }
        Ok(held)
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
        let key = key(home, id);
        shelves.unwritten.insert(key);
        let rows = Arc::make_mut(&mut shelves.shelf(key, home).fresh);
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
            shelves.shelves.values_mut().for_each(|shelf| shelf.used.1 = now);
        }
        while let Some((&used, &key)) = shelves.used.first_key_value()
            && shelves.shelves.get(&key).is_none_or(|shelf| shelf.used.1 + IDLE_MS <= now)
        {
            shelves.used.remove(&used);
            shelves.drop_file(key);
        }
    }

    /// Bytes of files and of unwritten rows in memory; checks that files in memory are those that can be forgotten.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> (usize, usize) {
        let shelves = self.shelves();
        let loaded: Vec<(&Key, &Shelf)> =
            shelves.shelves.iter().filter(|(_, shelf)| shelf.file.is_some()).collect();
        let used: BTreeMap<u64, Key> =
            loaded.iter().map(|(key, shelf)| (shelf.used.0, **key)).collect();
        assert_eq!(shelves.used, used);
        (shelves.loaded, self.unwritten.load(Ordering::Relaxed))
    }
}

impl Shelves {
    /// What is in memory, if that includes the file.
    fn held(&mut self, key: Key) -> Option<Held> {
        let (uses, now) = (self.uses + 1, self.now);
        let shelf = self.shelves.get_mut(&key)?;
        let file = shelf.file.clone()?;
        if shelf.used.0 == self.uses {
            shelf.used.1 = now; // most often the one that was used last
        } else {
            self.uses = uses;
            self.used.remove(&shelf.used.0);
            shelf.used = (uses, now);
            self.used.insert(uses, key);
        }
        Some(Held { key, file, fresh: shelf.fresh.clone() })
    }

    fn shelf(&mut self, key: Key, home: &Arc<Home>) -> &mut Shelf {
        self.shelves.entry(key).or_insert_with(|| Shelf {
            home: home.clone(),
            file: None,
            used: (0, 0),
            fresh: Arc::default(),
            renew: false,
        })
    }

    /// Keeps a file that was just read, and lets the ones used longest ago go while all have more than `memory` bytes.
    fn keep_file(&mut self, key: Key, file: Arc<Loaded>, memory: usize) {
        self.uses += 1;
        let (uses, now) = (self.uses, self.now);
        let Some(shelf) = self.shelves.get_mut(&key) else { return };
        self.used.remove(&shelf.used.0);
        self.loaded += file.cost();
        if let Some(before) = shelf.file.replace(file) {
            self.loaded -= before.cost();
        }
        shelf.used = (uses, now);
        self.used.insert(uses, key);
        while self.loaded > memory
            && let Some((_, key)) = self.used.pop_first()
        {
            self.drop_file(key);
        }
    }

    /// Forgets a file that is not in `used` any more, and its shelf unless something waits there.
    fn drop_file(&mut self, key: Key) {
        let Some(shelf) = self.shelves.get_mut(&key) else { return };
        if let Some(file) = shelf.file.take() {
            self.loaded -= file.cost();
        }
        if shelf.fresh.is_empty() && !shelf.renew {
            self.shelves.remove(&key);
        }
    }

    /// Forgets a file, wherever it stands.
    fn forget(&mut self, key: Key) {
        if let Some(shelf) = self.shelves.get(&key) {
            self.used.remove(&shelf.used.0);
        }
        self.drop_file(key);
    }
}

impl Loaded {
    /// Bytes of memory, about.
    fn cost(&self) -> usize {
        self.bytes.len() + 24 * self.index.len() + ROW_COST
    }

    fn fields(&self, place: Place) -> (usize, &[u8]) {
        let start = usize::try_from(place.start).unwrap_or(usize::MAX);
        let end = start.saturating_add(place.len as usize);
        (start, self.bytes.get(start..end).unwrap_or_default())
    }
}

impl Held {
    /// Whether it knows about this message.
    pub(crate) fn is_of(&self, home: &Arc<Home>, id: MapId) -> bool {
        self.key == key(home, id)
    }

    /// Where the value of `field` is for this message.
    pub(crate) fn find(&self, id: MapId, guid: [u8; 16], field: Field<'_>) -> Option<Spot> {
        let guid = short(guid);
        let until = self.fresh.partition_point(|row| row.id <= id.0);
        let rows = self.fresh.get(..until).unwrap_or_default().iter().enumerate().rev();
        for (index, row) in rows.take_while(|(_, row)| row.id == id.0) {
            if row.guid == guid
                && let Some(Range { start, end }) = value_in(&row.fields, field)
            {
                return Some(Spot { fresh: Some(index), start, end });
            }
        }
        self.file.index.rows(index_format::MapId(id.0), guid).find_map(|place| {
            let (at, fields) = self.file.fields(place);
            let Range { start, end } = value_in(fields, field)?;
            Some(Spot { fresh: None, start: at + start, end: at + end })
        })
    }

    /// The value that [`Held::find`] found.
    pub(crate) fn value(&self, spot: Spot) -> &[u8] {
        let bytes = match spot.fresh {
            Some(index) => self.fresh.get(index).map_or(&[][..], |row| &row.fields),
            None => self.file.bytes.as_slice(),
        };
        bytes.get(spot.start..spot.end).unwrap_or_default()
    }
}

/// Where the value of a field stands in the bytes of a row.
fn value_in(fields: &[u8], field: Field<'_>) -> Option<Range<usize>> {
    let (_, value) = Fields::new(fields).find(|&(found, _)| found == field)?;
    let start = value.as_ptr().addr() - fields.as_ptr().addr();
    Some(start..start + value.len())
}

fn key(home: &Home, id: MapId) -> Key {
    (home.id, number(id))
}

/// The number of the file that has a message.
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
    use index_format::Guid;
    use runtime_smol::sim::SimFs;

    #[test]
    fn of_two_readers_around_a_write_none_leaves_what_cannot_be_forgotten() {
        let files = Files::new(Arc::new(SimFs::new()), 10);
        let home = Arc::new(Home { id: 1, dir: "/data/u1".into(), owner: Guid([1; 16]) });
        let cache = Cache::new(&StoreConfig::default());
        let row = encode(&[(Field::Envelope, b"()")]).unwrap();
        let outer = cache.hold_read(&home, 0, || {
            let old = file::read(&files, &home, 0, true);
            cache.add(&home, (MapId(1), [7; 16]), row);
            cache.write(&files, &|| 99);
            let inner = cache.hold(&files, &home, MapId(1), true).unwrap();
            assert!(inner.find(MapId(1), [7; 16], Field::Envelope).is_some());
            old
        });
        assert!(outer.unwrap().find(MapId(1), [7; 16], Field::Envelope).is_none());
        cache.held_bytes();
        let now = cache.hold(&files, &home, MapId(1), true).unwrap();
        assert!(now.find(MapId(1), [7; 16], Field::Envelope).is_some());
        assert!(cache.held_bytes().0 > 0);
    }
}
