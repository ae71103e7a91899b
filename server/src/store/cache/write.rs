//! Rows on their way to their files, and files on theirs to the end.
//!
//! Few rows are appended to a file of whole rows; many, or what has gathered there, are taken apart and each group of
//! fields is appended to its own file. A file is made anew, by a temporary file and a rename, when there is none, when
//! what stands in it does not check out, and when less than a quarter of its bytes belong to messages that still have a
//! reference; when none do it is removed.

use super::directory::Directory;
use super::file::{self, Appended, Given, Row};
use super::held::{Loaded, Rows};
use super::kind::Kind;
use super::layout::{self, Shelved};
use super::{Cache, Fresh, Key, ROW_COST};
use crate::store::account::{Account, Home};
use crate::store::files::Files;
use dbox_format::map::MapId;
use index_format::cache::sent::Sent;
use index_format::cache::{Group, SENT_SPAN, SPAN};
use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// A file is made anew when less than one part in so many is of use.
const SHARE: usize = 4;
/// Blocks of sent dates after which their file is made anew, of one.
const SENT_BLOCKS: usize = 32;

/// Who writes the files of an account.
pub(super) struct Writer<'a> {
    pub(super) cache: &'a Cache,
    pub(super) files: &'a Files,
    pub(super) home: &'a Arc<Home>,
    pub(super) seed: &'a dyn Fn() -> u64,
}

impl Cache {
    /// Writes all rows that no file has yet, and makes damaged files anew. What can't be written is forgotten, and all
    /// of it when there is no `room` on the disk: mail needs that more.
    pub(crate) fn write(&self, files: &Files, room: bool, seed: &dyn Fn() -> u64) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: Vec<(u64, u32)> = self.shelves().fresh.keys().copied().collect();
        let mut failed = None;
        for key in keys {
            let Some((home, rows)) = self.take(key) else { continue };
            let writer = Writer { cache: self, files, home: &home, seed };
            let result = if room { writer.write(key.1, &rows) } else { Ok(()) };
            self.written(key, &rows);
            failed = result.err().map(|error| (home, error)).or(failed);
        }
        let damaged = std::mem::take(&mut self.shelves().damaged);
        for ((_, number, kind), home) in damaged {
            let writer = Writer { cache: self, files, home: &home, seed };
            let result = writer.mend(number, kind);
            failed = result.err().map(|error| (home, error)).or(failed);
        }
        if let Some((home, error)) = failed {
            tracing::warn!(directory = %file::directory(&home).display(), %error, "the cache can't be written; what it would have told is read from the messages");
        }
    }

    /// Whether rows wait to be written, or somebody has asked for something.
    pub(crate) fn has_work(&self) -> bool {
        self.unwritten.load(Ordering::Relaxed) > 0 || !self.shelves().looks.is_empty()
    }

    /// What is to be written of one stretch; it can be found in memory all the while.
    fn take(&self, key: (u64, u32)) -> Option<(Arc<Home>, Arc<Vec<Fresh>>)> {
        let shelves = self.shelves();
        let waiting = shelves.fresh.get(&key)?;
        Some((waiting.home.clone(), waiting.rows.clone()))
    }

    /// Forgets rows that were taken.
    fn written(&self, key: (u64, u32), taken: &[Fresh]) {
        let last = taken.iter().map(|row| row.number).max().unwrap_or(0);
        self.retain(key, |row| row.number > last);
    }

    fn retain(&self, key: (u64, u32), keep: impl Fn(&Fresh) -> bool) {
        let cost =
            |rows: &[Fresh]| rows.iter().map(|row| row.fields.len() + ROW_COST).sum::<usize>();
        let mut shelves = self.shelves();
        let Some(waiting) = shelves.fresh.get_mut(&key) else { return };
        let before = cost(&waiting.rows);
        let rows = Arc::make_mut(&mut waiting.rows);
        rows.retain(keep);
        rows.shrink_to_fit();
        self.unwritten.fetch_sub(before - cost(&waiting.rows), Ordering::Relaxed);
        if waiting.rows.is_empty() {
            shelves.fresh.remove(&key);
        }
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
        let writer = Writer { cache: self, files, home, seed };
        if let Err(error) = writer.sweep(account, numbers) {
            tracing::warn!(directory = %file::directory(home).display(), %error, "the cache can't be swept; some of its room is given back later");
        }
    }
}

impl Writer<'_> {
    fn key(&self, number: u32, kind: Kind) -> Key {
        (self.home.id, number, kind)
    }

    pub(super) fn read(&self, number: u32, kind: Kind) -> Loaded {
        // Asked to wait, nothing would block.
        file::read(self.files, self.home, (number, kind), (Vec::new(), true))
            .map_or_else(|_| file::nothing(self.home, number, kind), |(found, _)| found)
    }

    /// Brings rows of one stretch to its files.
    fn write(&self, number: u32, fresh: &[Fresh]) -> io::Result<()> {
        let rows = fresh.iter().map(|row| (index_format::MapId(row.id), row.guid, &*row.fields));
        let rows: Vec<Row<'_>> = rows.collect();
        if bytes(&rows) as u64 >= self.cache.apart {
            return self.spread(number, &rows);
        }
        let shelved = Shelved::new(Group::ALL);
        if self.add(number, &shelved, Given::Rows(&rows))? < self.cache.apart {
            return Ok(());
        }
        if let Loaded::Rows(gathered) = self.read(number, Kind::FRESH) {
            self.spread(number, &rows_of(&gathered))?;
        }
        self.remove(number, Kind::FRESH)
    }

    /// Brings each group of fields to its own file.
    fn spread(&self, number: u32, rows: &[Row<'_>]) -> io::Result<()> {
        for shelved in self.groups(number) {
            let parts: Vec<_> =
                rows.iter().map(|row| (row.0, row.1, shelved.of_row(row.2))).collect();
            let parts: Vec<Row<'_>> = parts
                .iter()
                .filter(|(.., fields)| !fields.is_empty())
                .map(|(id, guid, fields)| (*id, *guid, fields.as_slice()))
                .collect();
            if !parts.is_empty() {
                self.add(number, &shelved, Given::Rows(&parts))?;
            }
        }
        let sent: Vec<Sent> = rows.iter().filter_map(|row| layout::sent_of(*row)).collect();
        self.add_sent(number / (SENT_SPAN / SPAN), &sent)
    }

    /// Adds to a file; gives its length.
    fn add(&self, number: u32, shelved: &Shelved, given: Given<'_>) -> io::Result<u64> {
        let kind = shelved.kind();
        let key = self.key(number, kind);
        let damaged = self.cache.shelves().damaged.contains_key(&key);
        let (appended, len) = match damaged {
            true => (Appended::NoFile, 0),
            false => {
                file::append(self.files, self.home, (number, kind), given).inspect_err(|_| {
                    // There may be half of it.
                    let mut shelves = self.cache.shelves();
                    shelves.written(key, true);
                    shelves.damaged.insert(key, self.home.clone());
                })?
            }
        };
        let len = match (appended, given) {
            (Appended::Done, _) => len,
            (Appended::NoFile, Given::Rows(new)) => {
                let found = self.read(number, kind);
                let mut rows = match &found {
                    Loaded::Rows(found) => rows_of(found),
                    Loaded::Sent(_) => Vec::new(),
                };
                rows.extend_from_slice(new);
                self.renew(number, shelved, Given::Rows(&rows))?
            }
            (Appended::NoFile, Given::Sent(_)) | (Appended::Full, _) => {
                self.renew(number, shelved, given)?
            }
        };
        self.cache.shelves().written(key, true);
        Ok(len)
    }

    /// Adds dates to their file.
    pub(super) fn add_sent(&self, number: u32, new: &[Sent]) -> io::Result<()> {
        if new.is_empty() {
            return Ok(());
        }
        let shelved = Shelved::new(Group::SENT);
        let damaged = self.cache.shelves().damaged.contains_key(&self.key(number, Kind::SENT));
        if let Loaded::Sent(dates) = self.read(number, Kind::SENT)
            && (damaged || dates.blocks == 0 || dates.blocks >= SENT_BLOCKS)
        {
            let mut rows: Vec<Sent> = dates.rows().chain(new.iter().copied()).collect();
            rows.sort_by_key(|row| row.map_id.0);
            self.renew(number, &shelved, Given::Sent(&rows))?;
        } else {
            self.add(number, &shelved, Given::Sent(new))?;
        }
        Ok(())
    }

    /// Makes a file anew.
    pub(super) fn renew(
        &self,
        number: u32,
        shelved: &Shelved,
        given: Given<'_>,
    ) -> io::Result<u64> {
        let len = file::renew(self.files, self.home, (number, shelved), (self.seed)(), given)?;
        self.cache.shelves().written(self.key(number, shelved.kind()), true);
        Ok(len)
    }

    pub(super) fn remove(&self, number: u32, kind: Kind) -> io::Result<()> {
        file::remove(self.files, &file::path(self.home, number, kind))?;
        self.cache.shelves().written(self.key(number, kind), false);
        Ok(())
    }

    /// Makes a damaged file anew with what counts of it.
    fn mend(&self, number: u32, kind: Kind) -> io::Result<()> {
        match self.read(number, kind) {
            Loaded::Rows(found) => self.keep(number, (kind, &found), &rows_of(&found)),
            Loaded::Sent(dates) => self.keep_sent(number, &dates.rows().collect::<Vec<_>>()),
        }
    }

    /// Replaces a file by one with these rows of it.
    fn keep(&self, number: u32, (kind, found): (Kind, &Rows), rows: &[Row<'_>]) -> io::Result<()> {
        if rows.is_empty() {
            return self.remove(number, kind);
        }
        let shelved = Shelved { group: kind.group, names: found.names.clone() };
        self.renew(number, &shelved, Given::Rows(rows)).map(drop)
    }

    fn keep_sent(&self, number: u32, rows: &[Sent]) -> io::Result<()> {
        if rows.is_empty() {
            return self.remove(number, Kind::SENT);
        }
        self.renew(number, &Shelved::new(Group::SENT), Given::Sent(rows)).map(drop)
    }

    fn sweep(&self, account: &Account, numbers: Option<BTreeSet<u32>>) -> io::Result<()> {
        let directory = Directory::read(self.files, self.home);
        let (all, sent) = directory.numbers();
        let numbers = match numbers {
            Some(numbers) => numbers,
            None => {
                self.remove_strangers()?;
                let sent = sent.iter().map(|number| number * (SENT_SPAN / SPAN));
                all.into_iter().chain(sent).collect()
            }
        };
        let mut thin = BTreeSet::new();
        for number in numbers {
            let Some(live) = Live::of(account, number) else { return Ok(()) };
            if live.is_thin() {
                thin.insert(number / (SENT_SPAN / SPAN));
            }
            self.cache.retain((self.home.id, number), |row| live.has(row.id));
            let kinds = directory.kinds(number);
            for kind in kinds.into_iter().filter(|kind| *kind != Kind::SENT) {
                self.sweep_file(number, kind, &live)?;
            }
        }
        for number in thin.intersection(sent).copied() {
            let Some(live) = Live::of_sent(account, number) else { return Ok(()) };
            self.sweep_file(number, Kind::SENT, &live)?;
        }
        Ok(())
    }

    fn sweep_file(&self, number: u32, kind: Kind, live: &Live) -> io::Result<()> {
        if live.count == 0 {
            return self.remove(number, kind);
        }
        if !live.is_thin() {
            return Ok(());
        }
        match self.read(number, kind) {
            Loaded::Rows(found) => {
                let rows = rows_of(&found);
                let kept: Vec<Row<'_>> =
                    rows.iter().filter(|(id, ..)| live.has(id.0)).copied().collect();
                if bytes(&kept) * SHARE >= bytes(&rows) {
                    return Ok(());
                }
                self.keep(number, (kind, &found), &kept)
            }
            Loaded::Sent(dates) => {
                let rows: Vec<Sent> = dates.rows().collect();
                let is_live = |row: &&Sent| live.has(row.map_id.0);
                let kept: Vec<Sent> = rows.iter().filter(is_live).copied().collect();
                if kept.len() * SHARE >= rows.len() {
                    return Ok(());
                }
                self.keep_sent(number, &kept)
            }
        }
    }

    /// Removes what is no file of the cache.
    fn remove_strangers(&self) -> io::Result<()> {
        for entry in file::names(self.files, self.home)? {
            let is_known =
                |name: &str| name == super::regroup::ASKED || Kind::parse(name).is_some();
            if !entry.name.to_str().is_some_and(is_known) && !entry.is_dir {
                file::remove(self.files, &file::directory(self.home).join(entry.name))?;
            }
        }
        Ok(())
    }
}

pub(super) fn rows_of(file: &Rows) -> Vec<Row<'_>> {
    file.index.iter().map(|(id, guid, place)| (id, guid, file.fields(place).1)).collect()
}

fn bytes(rows: &[Row<'_>]) -> usize {
    rows.iter().map(|row| row.2.len()).sum()
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
    /// Of a file of rows; `None` when the account is gone.
    fn of(account: &Account, number: u32) -> Option<Self> {
        let state = account.lock().ok()?;
        let first = number.saturating_mul(SPAN);
        let range = first..first.saturating_add(SPAN);
        let has = |id| state.map.get(MapId(id)).is_some_and(|entry| entry.refs > 0);
        let ids: Vec<bool> = range.clone().map(has).collect();
        let count = ids.iter().filter(|&&live| live).count();
        let given = state.map.next_id().0.clamp(range.start, range.end) - range.start;
        Some(Self { first, ids, count, given: given as usize })
    }

    /// Of a file of sent dates: put together, so that no lock is held for long.
    fn of_sent(account: &Account, number: u32) -> Option<Self> {
        let per = SENT_SPAN / SPAN;
        let first = number.saturating_mul(SENT_SPAN);
        let mut all = Self { first, ids: Vec::new(), count: 0, given: 0 };
        for number in number * per..(number + 1) * per {
            let Live { ids, count, given, .. } = Self::of(account, number)?;
            all.ids.extend(ids);
            all.count += count;
            all.given += given;
        }
        Some(all)
    }

    /// Whether most messages are gone.
    fn is_thin(&self) -> bool {
        self.count == 0 || self.count * SHARE < self.given
    }

    fn has(&self, id: u32) -> bool {
        let slot = id.checked_sub(self.first).map(|slot| slot as usize);
        slot.and_then(|slot| self.ids.get(slot)).is_some_and(|&live| live)
    }
}
