//! All messages of an account's containers, as their records' heads say. Texts are not read: what is in them, how they are
//! compressed and what of them stands apart does not matter here.

use super::super::check::{Tell, Told};
use super::super::error::StoreError;
use super::super::files::Files;
use super::super::recovery::names;
use dbox_format::attachment::Assembly;
use dbox_format::container::{
    CHUNK_WORD_LEN, FileHeader, Found, Head, HeadPrefix, LAST_CHUNK, SavedFlags, TRAILER_LEN,
    Trailer, parse_head, walk, walk_with_seed,
};
use dbox_format::map::Extra;
use dbox_format::{Error, Guid, Seed, paths};
use runtime_smol::fs::{self, File, Open};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes read at once: heads of small records stand close together.
const WINDOW: usize = 256 << 10;
/// Messages after which progress is told.
const STEP: usize = 4096;

/// A message as its record says it.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) container: u32,
    pub(crate) offset: u64,
    pub(crate) record_len: u64,
    /// Of the message as it came.
    pub(crate) size: u64,
    pub(crate) guid: Guid,
    /// The mailbox it was saved to.
    pub(crate) mailbox: index_format::Guid,
    /// What that was called then.
    pub(crate) name: Arc<str>,
    pub(crate) received: i64,
    pub(crate) flags: SavedFlags,
    pub(crate) keywords: Vec<String>,
    /// What the map has to know besides.
    pub(crate) extra: Extra,
}

/// What the containers hold.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// By container and offset.
    pub(crate) records: Vec<Record>,
    /// Number, seed and length of each container in which there is a record, or that is merely empty.
    pub(crate) containers: Vec<(u32, Seed, u64)>,
    /// Containers in which nothing can be read: below the account's directory.
    pub(crate) unreadable: Vec<String>,
    /// Those in which something can't be read.
    pub(crate) hurt: Vec<String>,
    /// What can't be read, a line each.
    pub(crate) damaged: Vec<String>,
    names: BTreeMap<Box<str>, Arc<str>>,
}

/// Looks at all containers below `account`; `seeds` are those that the map knows.
///
/// # Errors
/// I/O. Damage is told in what it gives.
pub(crate) fn scan(
    files: &Files,
    account: &Path,
    seeds: &dyn Fn(u32) -> Option<Seed>,
    tell: Tell<'_>,
) -> Result<Scan, StoreError> {
    let mut scan = Scan::default();
    let all = containers(files, account)?;
    let mut told = 0;
    for (done, (number, path)) in (0..).zip(&all) {
        let what = "containers".to_owned();
        tell(Told::Progress { done, total: all.len() as u64, what });
        scan.container(files, (*number, path, account), seeds(*number))?;
        if scan.records.len() - told >= STEP {
            told = scan.records.len();
            let what = "messages found in containers".to_owned();
            tell(Told::Progress { done: told as u64, total: told as u64, what });
        }
    }
    Ok(scan)
}

/// The container files of an account, by number.
fn containers(files: &Files, account: &Path) -> Result<BTreeMap<u32, PathBuf>, StoreError> {
    let storage = account.join("storage");
    let mut all = BTreeMap::new();
    for dir in names(files.fs(), &storage)? {
        for name in names(files.fs(), &storage.join(&dir))? {
            if let Ok(number) = paths::parse_container(&format!("storage/{dir}/{name}")) {
                all.insert(number, storage.join(&dir).join(name));
            }
        }
    }
    Ok(all)
}

impl Scan {
    fn container(
        &mut self,
        files: &Files,
        (number, path, account): (u32, &Path, &Path),
        known: Option<Seed>,
    ) -> Result<(), StoreError> {
        let error = |error| StoreError::io("read", path, error);
        let file = files.fs().open(path, Open::Read).map_err(error)?;
        let len = file.len().map_err(error)?;
        let mut window = Window { file: &*file, len, start: 0, bytes: Vec::new() };
        let header = window.get(0, FileHeader::LEN).map_err(error)?;
        let header = FileHeader::parse(header);
        let seed = header.as_ref().ok().map(|header| header.seed).or(known);
        let before = self.records.len();
        if let Some(seed) = seed
            && self.heads(&mut window, number, seed).map_err(error)?
        {
            self.containers.push((number, seed, len));
        } else {
            // Something in it can't be read: all of its bytes are looked at.
            self.records.truncate(before);
            let bytes = fs::read_all(files.fs(), path).map_err(error)?;
            let below = path.strip_prefix(account).unwrap_or(path).display().to_string();
            let seed = self.search(&bytes, (number, &below), seed);
            if self.records.len() > before {
                self.containers.push((number, seed, len));
                self.hurt.push(below);
            } else {
                self.unreadable.push(below);
            }
        }
        Ok(())
    }

    /// Goes from record to record by heads, chunk lengths and trailers; whether that is all there is in the file.
    fn heads(&mut self, window: &mut Window<'_>, number: u32, seed: Seed) -> std::io::Result<bool> {
        let mut at = FileHeader::LEN as u64;
        while at < window.len {
            let Some(next) = window.written_from(at)? else { return Ok(true) };
            at = next;
            let Some(end) = self.head(window, (number, at), seed)? else { return Ok(false) };
            at = end;
        }
        Ok(true)
    }

    /// Takes in the record at `at`; where it ends, unless it is damaged.
    fn head(
        &mut self,
        window: &mut Window<'_>,
        (number, at): (u32, u64),
        seed: Seed,
    ) -> std::io::Result<Option<u64>> {
        let mut need = 256;
        let (mut place, mut record) = loop {
            match parse_head(window.get(at, need)?, seed) {
                Ok(HeadPrefix::Head(head)) => {
                    let place = at + head.len() as u64;
                    break (place, Self::record(&mut self.names, number, at, &head));
                }
                Ok(HeadPrefix::Need(more)) if more > need => need = more,
                Ok(HeadPrefix::Need(_)) | Err(_) => return Ok(None),
            }
        };
        loop {
            let Some(word) = window.get(place, CHUNK_WORD_LEN)?.first_chunk() else {
                return Ok(None);
            };
            let word = u32::from_le_bytes(*word);
            place += CHUNK_WORD_LEN as u64 + u64::from(word & !LAST_CHUNK);
            if word & LAST_CHUNK != 0 {
                break;
            }
        }
        let Some(trailer) = window.get(place, TRAILER_LEN)?.first_chunk() else { return Ok(None) };
        let end = place + TRAILER_LEN as u64;
        let trailer = Trailer::parse(trailer, seed).ok();
        let Some(trailer) = trailer.filter(|it| it.record_len == end - at) else {
            return Ok(None);
        };
        if !record.ends(&trailer) {
            return Ok(None);
        }
        self.records.push(record);
        Ok(Some(end))
    }

    /// Looks at all bytes of a container, and says what is wrong with it; the seed of its records.
    fn search(&mut self, bytes: &[u8], (number, path): (u32, &str), seed: Option<Seed>) -> Seed {
        let walk = match seed {
            Some(seed) => walk_with_seed(bytes, seed),
            None => walk(bytes),
        };
        let seed = walk.seed();
        for found in walk {
            match found {
                Found::Record { at, record } => {
                    let mut found = Self::record(&mut self.names, number, at, record.head());
                    if found.ends(record.trailer()) {
                        self.records.push(found);
                    }
                }
                Found::Damage { range, error } => {
                    let (start, end) = (range.start, range.end);
                    let part = usize::try_from(start).unwrap_or(usize::MAX)
                        ..usize::try_from(end).unwrap_or(usize::MAX);
                    let part = bytes.get(part).unwrap_or_default();
                    // The text alone is damaged: the message stays where it is, and says so to who reads it.
                    let framed = framed(part, seed).map(|(head, trailer)| {
                        let mut found = Self::record(&mut self.names, number, start, &head);
                        found.ends(&trailer).then_some(found)
                    });
                    let what = match framed {
                        Some(Some(found)) => {
                            self.records.push(found);
                            "the text of a message is damaged, what is known of it is not"
                        }
                        Some(None) | None if start == 0 => "its header is damaged",
                        Some(None) | None => "nothing of this can be read",
                    };
                    self.damaged.push(format!("{path}, bytes {start} to {end}: {what} ({error})"));
                }
                Found::Header(_) | Found::Unwritten { .. } => {}
            }
        }
        seed
    }

    fn record(
        names: &mut BTreeMap<Box<str>, Arc<str>>,
        container: u32,
        offset: u64,
        head: &Head<'_>,
    ) -> Record {
        let name = match names.get(head.mailbox_name()) {
            Some(name) => name.clone(),
            None => {
                let name: Arc<str> = head.mailbox_name().into();
                names.insert(head.mailbox_name().into(), name.clone());
                name
            }
        };
        let mut extra = Extra::new();
        extra.push_attachments(&head.apart());
        Record {
            container,
            offset,
            record_len: 0,
            size: 0,
            guid: head.guid(),
            mailbox: index_format::Guid(head.mailbox().0),
            name,
            received: head.received(),
            flags: head.flags(),
            keywords: head.keywords().map(str::to_owned).collect(),
            extra,
        }
    }
}

impl Record {
    /// Takes the lengths from the trailer; whether they can be.
    fn ends(&mut self, trailer: &Trailer) -> bool {
        self.record_len = trailer.record_len;
        let Ok(apart) = self.extra.attachments() else { return false };
        // The trailer has the length of the text alone, without what stands apart.
        let whole = match apart.is_empty() {
            true => Some(trailer.message_len),
            false => Assembly::of_skeleton(&apart, trailer.message_len).ok().map(|all| all.len()),
        };
        self.size = whole.unwrap_or(0);
        whole.is_some()
    }
}

/// Head and trailer of a record that fills these bytes, whatever its text.
fn framed(bytes: &[u8], seed: Seed) -> Option<(Head<'_>, Trailer)> {
    let Ok(HeadPrefix::Head(head)) = parse_head(bytes, seed) else { return None };
    let trailer: Result<Trailer, Error> = Trailer::parse(bytes.last_chunk()?, seed);
    let trailer = trailer.ok().filter(|trailer| trailer.record_len == bytes.len() as u64)?;
    Some((head, trailer))
}

/// A part of a file that is held in memory.
struct Window<'a> {
    file: &'a dyn File,
    len: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// `len` bytes from `at` on; fewer at the end of the file.
    fn get(&mut self, at: u64, len: usize) -> std::io::Result<&[u8]> {
        let end = at.saturating_add(len as u64).min(self.len);
        let held = self.start..=self.start + self.bytes.len() as u64;
        if !held.contains(&at) || !held.contains(&end) {
            self.bytes.resize(len.max(WINDOW), 0);
            (self.start, _) = (at, self.bytes.truncate(len.max(WINDOW)));
            let mut have = 0;
            while let Some(rest) = self.bytes.get_mut(have..).filter(|rest| !rest.is_empty()) {
                match self.file.read_at(rest, at + have as u64)? {
                    0 => break,
                    read => have += read,
                }
            }
            self.bytes.truncate(have);
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        let rest = self.bytes.get(from..).unwrap_or_default();
        Ok(rest.get(..len).unwrap_or(rest))
    }

    /// The first byte from `at` on that isn't zero.
    fn written_from(&mut self, mut at: u64) -> std::io::Result<Option<u64>> {
        while at < self.len {
            let bytes = self.get(at, 64)?;
            if let Some(place) = bytes.iter().position(|byte| *byte != 0) {
                return Ok(Some(at + place as u64));
            }
            at += bytes.len().max(1) as u64;
        }
        Ok(None)
    }
}
