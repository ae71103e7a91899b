//! What is left of an account's mailbox list, map and mailboxes, whole or in part.

use super::super::account::{SERVER, load_list, load_map};
use super::super::error::StoreError;
use super::super::files::Files;
use super::super::mailbox::{Mbox, unlisted};
use super::super::recovery::names;
use super::super::salvage;
use dbox_format::map::{self, Map};
use index_format::list::{self, Counters, Entry, List};
use index_format::log::{Frames, Header, Kind};
use index_format::mailbox::{Mailbox, Parts, UNKNOWN_KEYWORD};
use index_format::{Flags, Guid};
use runtime_smol::fs;
use std::collections::BTreeMap;
use std::path::Path;

/// What is left.
pub(crate) struct Known {
    pub(crate) list: List,
    /// The list says all it ever said.
    pub(crate) list_whole: bool,
    pub(crate) map: Map,
    /// So does the map.
    pub(crate) map_whole: bool,
    pub(crate) mailboxes: Vec<Old>,
    /// What is wrong, a line each.
    pub(crate) damaged: Vec<String>,
}

/// A mailbox of which something is left, if only its name.
pub(crate) struct Old {
    pub(crate) entry: Entry,
    /// The list has it.
    pub(crate) listed: bool,
    /// Its files say all they ever said.
    pub(crate) whole: bool,
    /// The highest that anything says.
    pub(crate) uidvalidity: u32,
    pub(crate) counters: Counters,
    pub(crate) rows: Vec<Row>,
    /// How many messages it remembers as gone.
    pub(crate) expunged: usize,
}

/// A message of a mailbox, as the mailbox has it.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) map_id: u32,
    pub(crate) guid: Option<Guid>,
    pub(crate) internal_date: i64,
    pub(crate) save_date: i64,
    pub(crate) size: u64,
    pub(crate) flags: Flags,
    pub(crate) keywords: Vec<String>,
}

impl Known {
    /// Reads it; nothing is written.
    ///
    /// # Errors
    /// I/O. Damage is what it is for.
    pub(crate) fn read(files: &Files, dir: &Path, owner: Guid) -> Result<Self, StoreError> {
        let mut damaged = Vec::new();
        let (list, list_whole) = match load_list(files, dir, owner) {
            Ok((list, _)) if list.transactions() > 0 => (list, true),
            Ok(_) => {
                damaged.push("the mailbox list is lost".to_owned());
                (some_list(files, dir, owner)?, false)
            }
            Err(StoreError::Damaged { path, why }) => {
                damaged.push(format!("the mailbox list: {}: {why}", below(dir, &path)));
                (some_list(files, dir, owner)?, false)
            }
            Err(error) => return Err(error),
        };
        let (map, map_whole) = match load_map(files, dir, owner) {
            Ok((map, _)) if map.transactions() > 0 && map.transactions() >= list.map_floor() => {
                (map, true)
            }
            Ok(_) => {
                damaged.push("the map is lost, or the end of it".to_owned());
                (some_map(files, dir, owner)?, false)
            }
            Err(StoreError::Damaged { path, why }) => {
                damaged.push(format!("the map: {}: {why}", below(dir, &path)));
                (some_map(files, dir, owner)?, false)
            }
            Err(error) => return Err(error),
        };
        // A map that knows of more of the list than there is says that its end is lost.
        let list_whole = list_whole && !(map_whole && list.transactions() < map.list_floor());
        let mut known = Self { list, list_whole, map, map_whole, mailboxes: Vec::new(), damaged };
        known.read_mailboxes(files, dir)?;
        Ok(known)
    }

    fn read_mailboxes(&mut self, files: &Files, dir: &Path) -> Result<(), StoreError> {
        let mut entries: BTreeMap<Guid, (Entry, bool)> = BTreeMap::new();
        for entry in self.list.iter() {
            entries.insert(entry.guid, (entry.clone(), true));
        }
        if !self.list_whole {
            let dirs = names(files.fs(), &dir.join("mailboxes"))?;
            for guid in dirs.iter().filter_map(|name| guid_of(name)) {
                // What it is called, its messages may know.
                entries.entry(guid).or_insert_with(|| (unlisted(guid, "".into(), 0), false));
            }
        }
        for (_, (entry, listed)) in entries {
            let old = self.mailbox(files, dir, entry, listed)?;
            self.mailboxes.push(old);
        }
        Ok(())
    }

    fn mailbox(
        &mut self,
        files: &Files,
        dir: &Path,
        entry: Entry,
        listed: bool,
    ) -> Result<Old, StoreError> {
        let loaded = Mbox::load(files, dir, &entry).and_then(|(mut mbox, _)| {
            mbox.need(files, dir, Parts::ALL)?;
            Ok(mbox)
        });
        let (mailbox, whole) = match loaded {
            // Without the list nothing says that a mailbox without a log is as it should be.
            Ok(mbox) => {
                let whole = listed && self.list_whole || mbox.mailbox.transactions() > 0;
                (mbox.mailbox, whole)
            }
            Err(StoreError::Damaged { path, why }) => {
                let name = if listed { &entry.name } else { "a mailbox" };
                self.damaged.push(format!("{name}: {}: {why}", below(dir, &path)));
                (salvage::salvage(files, dir, &entry)?.mailbox, false)
            }
            Err(error) => return Err(error),
        };
        let uidvalidity = mailbox.uidvalidity().max(entry.uidvalidity);
        let counters = Counters {
            sums: mailbox.counters(),
            uidnext: mailbox.uidnext(),
            modseq: mailbox.highest_modseq(),
        };
        let rows = mailbox.iter().map(|row| Row::of(&mailbox, &row)).collect();
        let expunged = mailbox.tombstones().len();
        Ok(Old { entry, listed, whole, uidvalidity, counters, rows, expunged })
    }
}

impl Row {
    fn of(mailbox: &Mailbox, row: &index_format::mailbox::Row) -> Self {
        let keywords = row.keywords.iter().filter_map(|number| mailbox.keywords().name(number));
        let keywords = keywords.filter(|name| !name.starts_with(UNKNOWN_KEYWORD));
        Self {
            map_id: row.map_id.0,
            guid: row.guid,
            internal_date: row.internal_date,
            save_date: row.save_date,
            size: row.size,
            flags: row.flags,
            keywords: keywords.map(str::to_owned).collect(),
        }
    }
}

/// What the newest whole snapshot of a list says, and the frames of its log that can be read.
fn some_list(files: &Files, dir: &Path, owner: Guid) -> Result<List, StoreError> {
    let mut found = None;
    for name in ["list.index", "list.index.prev"] {
        if let Some(bytes) = read(files, &dir.join(name))?
            && let Ok((_, list, position)) = List::parse(&bytes)
        {
            found = Some((list, position.file, position.offset));
            break;
        }
    }
    let (mut list, file, offset) = found.unwrap_or_else(|| (List::new(SERVER), 0, 0));
    each_frame(files, dir, ("list.log", Kind::List, owner), (file, offset), &mut |payload| {
        match list::Transaction::decode(payload, 0) {
            Ok(transaction) => {
                list.apply(&transaction);
                true
            }
            Err(_) => false,
        }
    })?;
    Ok(list)
}

/// The same of a map: what it knows is right, but there was more.
fn some_map(files: &Files, dir: &Path, owner: Guid) -> Result<Map, StoreError> {
    let mut found = None;
    for name in ["map.index", "map.index.prev"] {
        if let Some(bytes) = read(files, &dir.join(name))?
            && let Ok(snapshot) = map::Snapshot::parse(&bytes)
            && let Ok(map) = snapshot.load()
        {
            let position = snapshot.position();
            found = Some((map, position.file, position.offset));
            break;
        }
    }
    let (mut map, file, offset) = found.unwrap_or_else(|| (Map::new(), 0, 0));
    let mut follows = true;
    each_frame(files, dir, ("map.log", Kind::Map, owner), (file, offset), &mut |payload| {
        let transaction = map::Transaction::decode(payload).ok();
        follows &= transaction.is_some_and(|transaction| map.apply(&transaction).is_ok());
        follows
    })?;
    Ok(map)
}

/// Gives the payloads of a log's frames from a position on, up to the first that is damaged in each file.
fn each_frame(
    files: &Files,
    dir: &Path,
    (base, kind, owner): (&str, Kind, Guid),
    (file, offset): (u32, u64),
    each: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<(), StoreError> {
    let parts = salvage::read_log(files, dir, base, (kind, owner))?;
    for (header, bytes) in salvage::chain(&parts, file) {
        let from = if header.file == file { offset } else { Header::LEN as u64 };
        if from > bytes.len() as u64 {
            continue;
        }
        for frame in Frames::new(bytes, from, header.seed) {
            if !each(frame.payload) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn read(files: &Files, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read_all(files.fs(), path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path, error)),
    }
}

/// The mailbox whose directory has this name.
fn guid_of(name: &str) -> Option<Guid> {
    name.parse().ok().filter(|guid: &Guid| guid.to_string() == name)
}

fn below(dir: &Path, path: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).display().to_string()
}
