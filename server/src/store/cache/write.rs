//! Rows on their way to their files, and files on theirs to the end.
//!
//! A file is appended to. It is made anew, by a temporary file and a rename, when there is none, when what stands in it
//! does not check out, and when less than a quarter of its bytes belong to messages that still have a reference; when
//! none do it is removed.

use super::file::{self, Appended, Row};
use super::{Cache, Fresh, Key, Loaded, ROW_COST};
use crate::store::account::{Account, Home};
use crate::store::files::Files;
use dbox_format::map::{Map, MapId};
use index_format::cache::SPAN;
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// A file is made anew when less than one part in so many is of use.
const SHARE: usize = 4;

impl Cache {
    /// Writes all rows that no file has yet. What can't be written is forgotten.
    pub(crate) fn write(&self, files: &Files, seed: &dyn Fn() -> u64) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<Key> = self.shelves().unwritten.iter().copied().collect();
        let mut failed = None;
        for key in keys {
            let Some((home, rows, renew)) = self.take(key) else { continue };
            let result = write(files, &home, key.1, &rows, renew, seed);
            self.written(key, &rows, result.is_err());
            failed = result.err().map(|error| (home, error)).or(failed);
        }
        if let Some((home, error)) = failed {
            tracing::warn!(directory = %file::directory(&home).display(), %error, "the cache can't be written; what it would have told is read from the messages");
        }
    }

    /// Whether rows wait to be written.
    pub(crate) fn has_unwritten(&self) -> bool {
        self.unwritten.load(Ordering::Relaxed) > 0
    }

    /// What is to be written to one file; it can be found in memory all the while.
    fn take(&self, key: Key) -> Option<(Arc<Home>, Arc<Vec<Fresh>>, bool)> {
        let shelves = self.shelves();
        let shelf = shelves.shelves.get(&key)?;
        Some((shelf.home.clone(), shelf.fresh.clone(), shelf.renew))
    }

    /// Forgets rows that were taken.
    fn written(&self, key: Key, taken: &[Fresh], renew: bool) {
        let last = taken.iter().map(|row| row.number).max().unwrap_or(0);
        let mut shelves = self.shelves();
        shelves.writes += 1;
        let Some(shelf) = shelves.shelves.get_mut(&key) else { return };
        shelf.renew = renew;
        self.retain(shelf, |row| row.number > last);
        if shelf.fresh.is_empty() {
            shelves.unwritten.remove(&key);
        }
        // It lacks what was just written.
        shelves.forget(key);
    }

    fn retain(&self, shelf: &mut super::Shelf, keep: impl Fn(&Fresh) -> bool) {
        let cost =
            |rows: &[Fresh]| rows.iter().map(|row| row.fields.len() + ROW_COST).sum::<usize>();
        let before = cost(&shelf.fresh);
        let rows = Arc::make_mut(&mut shelf.fresh);
        rows.retain(keep);
        rows.shrink_to_fit();
        self.unwritten.fetch_sub(before - cost(&shelf.fresh), Ordering::Relaxed);
    }

    /// Removes what no message needs any more: of all files the first time an account is looked at, later of those
    /// whose messages have lost a reference.
    pub(crate) fn sweep(&self, files: &Files, account: &Account, seed: &dyn Fn() -> u64) {
        let home = account.home();
        let Ok(mut state) = account.lock() else { return };
        let numbers = state.cache_sweep.replace(BTreeSet::new());
        drop(state);
        if numbers.as_ref().is_some_and(BTreeSet::is_empty) {
            return;
        }
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match numbers {
            Some(numbers) => Ok(numbers),
            None => numbers_found(files, home),
        };
        let result = result.and_then(|numbers| {
            numbers.into_iter().try_for_each(|number| {
                let Ok(state) = account.lock() else { return Ok(()) };
                let live = Live::of(&state.map, number);
                drop(state);
                self.sweep_file(files, home, number, &live, seed)
            })
        });
        if let Err(error) = result {
            tracing::warn!(directory = %file::directory(home).display(), %error, "the cache can't be swept; some of its room is given back later");
        }
    }

    fn sweep_file(
        &self,
        files: &Files,
        home: &Home,
        number: u32,
        live: &Live,
        seed: &dyn Fn() -> u64,
    ) -> io::Result<()> {
        let key = (home.id, number);
        if let Some(shelf) = self.shelves().shelves.get_mut(&key) {
            self.retain(shelf, |row| live.has(row.id));
        }
        if live.count == 0 {
            file::remove(files, &file::path(home, number))?;
        } else if live.count * SHARE < live.given {
            let Ok((found, _)) = file::read(files, home, number, true) else { return Ok(()) };
            let rows = rows_of(&found);
            let kept: Vec<Row<'_>> =
                rows.iter().filter(|(id, ..)| live.has(id.0)).copied().collect();
            let bytes = |rows: &[Row<'_>]| rows.iter().map(|row| row.2.len()).sum::<usize>();
            if bytes(&kept) * SHARE >= bytes(&rows) {
                return Ok(());
            }
            file::renew(files, home, (number, seed()), &kept)?;
        } else {
            return Ok(());
        }
        let mut shelves = self.shelves();
        shelves.writes += 1;
        shelves.forget(key);
        Ok(())
    }
}

fn write(
    files: &Files,
    home: &Home,
    number: u32,
    fresh: &[Fresh],
    renew: bool,
    seed: &dyn Fn() -> u64,
) -> io::Result<()> {
    let new = fresh.iter().map(|row| (index_format::MapId(row.id), row.guid, &*row.fields));
    let new: Vec<Row<'_>> = new.collect();
    if new.is_empty() {
        return Ok(());
    }
    let appended = match renew {
        true => Appended::NoFile,
        false => file::append(files, home, number, &new)?,
    };
    match appended {
        Appended::Done => Ok(()),
        Appended::NoFile => {
            let found = file::read(files, home, number, true);
            let mut rows = found.as_ref().map_or(Vec::new(), |(found, _)| rows_of(found));
            rows.extend(new);
            file::renew(files, home, (number, seed()), &rows)
        }
        Appended::Full => file::renew(files, home, (number, seed()), &new),
    }
}

fn rows_of(file: &Loaded) -> Vec<Row<'_>> {
    file.index.iter().map(|(id, guid, place)| (id, guid, file.fields(place).1)).collect()
}

/// The files that an account has; what else is there goes.
fn numbers_found(files: &Files, home: &Home) -> io::Result<BTreeSet<u32>> {
    let mut numbers = BTreeSet::new();
    for entry in file::names(files, home)? {
        match entry.name.to_str().and_then(file::parse_name) {
            Some(number) => {
                numbers.insert(number);
            }
            None if !entry.is_dir => file::remove(files, &file::directory(home).join(entry.name))?,
            None => {}
        }
    }
    Ok(numbers)
}

/// The messages of one file's range that have a reference.
struct Live {
    first: u32,
    ids: Vec<bool>,
    count: usize,
    /// How many ids of the range were given to messages so far.
    given: usize,
}

impl Live {
    fn of(map: &Map, number: u32) -> Self {
        let first = number.saturating_mul(SPAN);
        let range = first..first.saturating_add(SPAN);
        let has = |id| map.get(MapId(id)).is_some_and(|entry| entry.refs > 0);
        let ids: Vec<bool> = range.clone().map(has).collect();
        let count = ids.iter().filter(|&&live| live).count();
        let given = map.next_id().0.clamp(range.start, range.end) - range.start;
        Self { first, ids, count, given: given as usize }
    }

    fn has(&self, id: u32) -> bool {
        let slot = id.checked_sub(self.first).map(|slot| slot as usize);
        slot.and_then(|slot| self.ids.get(slot)).is_some_and(|&live| live)
    }
}
