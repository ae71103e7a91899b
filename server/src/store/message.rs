//! Reading messages: from memory while their containers are not written yet, else from the containers.
//!
//! What does not check out is damage of that message alone: an error of its reader ([`StoreError::Damaged`]), whatever a
//! record claims. Nothing is held that is larger than a message's size in the map, and of one that is read in parts no more
//! than a chunk and the places of the others.

use super::account::{Account, Home, Pending, State};
use super::attachments::Apart;
use super::error::StoreError;
use super::files::Files;
use super::store::Store;
use dbox_format::Seed;
use dbox_format::container::{
    ChunkTable, Compression, Head, HeadPrefix, Layout, Part, Record, parse_head,
};
use dbox_format::map::{Entry, MapId};
use runtime_smol::fs::{File, Open};
use std::collections::HashMap;
use std::fmt::Display;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// Bytes read of a large record to see its head.
const HEAD: usize = 512;
/// Messages up to this many bytes are read whole, and their checksum is looked at.
const WHOLE: u64 = 256 << 10;
/// Of a message above this many bytes it is remembered how its record is laid out.
const IN_PARTS: u64 = 64 << 10;
/// Bytes by which a compressed chunk of a few bytes may be longer than its text.
const CHUNK_MORE: usize = 1 << 10;

/// Where a message is.
#[derive(Clone)]
pub(crate) enum Location {
    Memory(Pending),
    Container { number: u32, seed: Seed, offset: u64, record_len: u64 },
}

/// What is remembered between two parts of a message.
#[derive(Default)]
struct Reading {
    places: Option<Places>,
    /// The chunk that was read last: the next part may begin in it.
    chunk: Chunk,
}

/// How a message lies in its record.
enum Places {
    Plain(Layout),
    Packed { table: ChunkTable, dictionary: u32 },
}

#[derive(Default)]
struct Chunk {
    /// Where it begins in the record; 0 for none.
    at: u64,
    text: Vec<u8>,
}

/// A message that can be read without any lock.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) home: Arc<Home>,
    pub(crate) id: MapId,
    pub(crate) location: Location,
    pub(crate) size: u64,
    pub(crate) guid: [u8; 16],
    /// How it is put together, if parts of it stand apart.
    pub(crate) apart: Option<Apart>,
    /// For those who read it part by part.
    reading: Option<Arc<Mutex<Reading>>>,
    /// Keeps the container where it was found, should it move.
    _place: Arc<()>,
}

/// Why a message was not read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It is on a disk, and the caller would not wait.
    WouldBlock,
    Store(StoreError),
}

impl Message {
    /// Finds the message with map id `id`; `None` when the map has none. What is not written yet is in `pending`
    /// ([`Account::pending`]).
    pub(crate) fn find(
        account: &Account,
        state: &State,
        pending: &HashMap<u32, Pending>,
        id: MapId,
    ) -> Option<Self> {
        let Entry { guid, container, offset, record_len, size, .. } = state.map.get(id)?;
        let location = match pending.get(&id.0) {
            Some(pending) => Location::Memory(pending.clone()),
            None => {
                let seed = state.map.container(container)?.seed;
                Location::Container { number: container, seed, offset, record_len }
            }
        };
        let apart = state.map.extra(id).and_then(|extra| Apart::of(extra, size));
        let (home, _place) = (account.home().clone(), state.readers.hold());
        let in_parts = size > IN_PARTS && matches!(location, Location::Container { .. });
        let reading = in_parts.then(Arc::default);
        Some(Self { home, id, location, size, guid: guid.0, apart, reading, _place })
    }

    /// Whether it is small enough to be held whole.
    pub(crate) fn is_small(&self) -> bool {
        is_small(self.size)
    }

    /// The same, and it is to be read from its container.
    pub(crate) fn is_small_and_stored(&self) -> bool {
        self.is_small() && matches!(self.location, Location::Container { .. })
    }

    /// Reads all of it into `out`, which is cleared, and checks it.
    pub(crate) fn read_whole(
        &self,
        store: &Store,
        wait: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let Some(apart) = &self.apart else { return self.read_text(store, wait, out) };
        let mut skeleton = Vec::new();
        self.read_text(store, wait, &mut skeleton)?;
        out.clear();
        apart.whole((&store.files, &self.home), &skeleton, wait, out)
    }

    /// Appends the bytes of `range` to `out`, without looking at the rest; after an error some of them may be there.
    pub(crate) fn read_range(
        &self,
        store: &Store,
        range: Range<u64>,
        wait: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let mut read =
            |range: Range<u64>, out: &mut Vec<u8>| self.read_text_range(store, range, wait, out);
        match &self.apart {
            None => read(range, out),
            Some(apart) => apart.range((&store.files, &self.home), range, wait, &mut read, out),
        }
    }

    /// Bytes of what its record holds: the message, or its skeleton.
    fn text_len(&self) -> u64 {
        self.apart.as_ref().map_or(self.size, Apart::skeleton_len)
    }

    /// Reads all that its record holds into `out`, which is cleared, and checks it.
    pub(crate) fn read_text(
        &self,
        store: &Store,
        wait: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        out.clear();
        match &self.location {
            Location::Memory(pending) => self.read_pending(pending, store, wait, out),
            Location::Container { number, seed, offset, record_len } => {
                let path = &self.home.container_path(*number);
                let file = store.files.get(path, Open::Write).map_err(ReadError::Store)?;
                let damaged = |why: &dyn Display| self.damaged(why);
                let len = usize::try_from(*record_len).map_err(|_| damaged(&"too large"))?;
                let mut record = std::mem::take(out);
                record.resize(len, 0);
                read_exact(&*file, &mut record, *offset, wait)
                    .map_err(|error| read_error(path, error))?;
                let parsed = Record::parse(&record, *seed).map_err(|error| damaged(&error))?;
                if parsed.head().codec().is_apart() != self.apart.is_some() {
                    return Err(damaged(&"the map says other things of its attachments"));
                }
                if parsed.message_len() != self.text_len() {
                    return Err(damaged(&"it has another length than the map says"));
                }
                let compression = parsed.head().compression().map_err(|error| damaged(&error))?;
                if let Compression::Zstd { dictionary } = compression {
                    let mut decoder = store.packing.decoder(&store.files, dictionary, wait)?;
                    *out = decoder.text(&parsed).map_err(|error| damaged(&error))?.into_owned();
                    return Ok(());
                }
                // A small record is one chunk: the message is moved to the front in place.
                let start = match parsed.chunks().next() {
                    Some(chunk) if chunk.len() as u64 == parsed.message_len() => {
                        Some((chunk.as_ptr().addr() - record.as_ptr().addr(), chunk.len()))
                    }
                    Some(_) | None => None,
                };
                *out = match start {
                    Some((start, len)) => {
                        record.copy_within(start..start + len, 0);
                        record.truncate(len);
                        record
                    }
                    None => parsed.chunks().collect::<Vec<_>>().concat(),
                };
                Ok(())
            }
        }
    }

    /// The same of what its record holds.
    fn read_text_range(
        &self,
        store: &Store,
        range: Range<u64>,
        wait: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        if let Location::Memory(pending) = &self.location {
            let mut whole = Vec::new();
            self.read_pending(pending, store, wait, &mut whole)?;
            let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(whole.len());
            let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
            out.extend_from_slice(whole.get(start..end).unwrap_or_default());
            return Ok(());
        }
        let mut once = Reading::default();
        let mut remembered = match &self.reading {
            // Only another that reads the same part by part has it, over its read.
            Some(reading) if !wait => match reading.try_lock() {
                Ok(reading) => Some(reading),
                Err(TryLockError::Poisoned(reading)) => Some(reading.into_inner()),
                Err(TryLockError::WouldBlock) => return Err(ReadError::WouldBlock),
            },
            Some(reading) => Some(reading.lock().unwrap_or_else(PoisonError::into_inner)),
            None => None,
        };
        let Reading { places, chunk } = remembered.as_deref_mut().unwrap_or(&mut once);
        let places = match places {
            Some(places) => places,
            None => places.insert(self.places(store, wait)?),
        };
        match places {
            Places::Plain(layout) => {
                for part in layout.ranges(range) {
                    let start = out.len();
                    let len = usize::try_from(part.end - part.start).unwrap_or(usize::MAX);
                    out.resize(start + len, 0);
                    let place = out.get_mut(start..).unwrap_or_default();
                    self.read_record(&store.files, part.start, wait, place)?;
                }
            }
            Places::Packed { table, dictionary } => {
                for part in table.parts(range) {
                    if chunk.at != part.stored.start {
                        self.read_chunk(store, (&part, *dictionary), wait, chunk)?;
                    }
                    out.extend_from_slice(chunk.text.get(part.wanted).unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    /// Appends a message that is not in its container yet.
    fn read_pending(
        &self,
        pending: &Pending,
        store: &Store,
        wait: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let own = pending.head.get(pending.start..).unwrap_or_default();
        let Compression::Zstd { dictionary } = pending.compression else {
            out.extend_from_slice(own);
            out.extend_from_slice(&pending.body);
            return Ok(());
        };
        let stored = [own, &pending.body].concat();
        let mut decoder = store.packing.decoder(&store.files, dictionary, wait)?;
        // Small, so it is one chunk.
        let text_len = usize::try_from(self.text_len()).unwrap_or(usize::MAX);
        let part = Part { stored: 0..stored.len() as u64, text_len, wanted: 0..text_len };
        decoder.part(&part, &stored, out).map_err(|error| {
            ReadError::Store(StoreError::damaged(
                &self.home.dir,
                format_args!("in memory: {error}"),
            ))
        })
    }

    /// How its record is laid out.
    fn places(&self, store: &Store, wait: bool) -> Result<Places, ReadError> {
        let Location::Container { record_len, .. } = self.location else {
            return Err(ReadError::Store(StoreError::NoMailbox));
        };
        let found = self.head(&store.files, wait, |head| match head.compression()? {
            Compression::None => head.text_layout(self.text_len()).map(Err),
            Compression::Zstd { dictionary } => head
                .packed_layout(self.text_len(), record_len)
                .map(|layout| Ok((layout, dictionary))),
        })?;
        let (layout, dictionary) = match found {
            Ok(packed) => packed,
            Err(layout) => return Ok(Places::Plain(layout)),
        };
        let mut table = Vec::new();
        if let Some(range) = layout.table() {
            // As long as the size in the map lets it be.
            table.resize(usize::try_from(range.end - range.start).unwrap_or(usize::MAX), 0);
            self.read_record(&store.files, range.start, wait, &mut table)?;
        }
        let table = layout.chunks(&table).map_err(|error| self.damaged(&error))?;
        Ok(Places::Packed { table, dictionary })
    }

    /// Reads a chunk, and checks it.
    fn read_chunk(
        &self,
        store: &Store,
        (part, dictionary): (&Part, u32),
        wait: bool,
        chunk: &mut Chunk,
    ) -> Result<(), ReadError> {
        let len = usize::try_from(part.stored.end - part.stored.start).unwrap_or(usize::MAX);
        // More than zstd makes of any text of that length.
        if len > 2 * part.text_len + CHUNK_MORE {
            return Err(self.damaged(&"a chunk is longer than its text"));
        }
        let mut stored = vec![0; len];
        self.read_record(&store.files, part.stored.start, wait, &mut stored)?;
        let mut decoder = store.packing.decoder(&store.files, dictionary, wait)?;
        chunk.at = 0;
        chunk.text.clear();
        let all = Part { wanted: 0..part.text_len, ..part.clone() };
        decoder.part(&all, &stored, &mut chunk.text).map_err(|error| self.damaged(&error))?;
        chunk.at = part.stored.start;
        Ok(())
    }

    /// Fills `out` with what stands at `at` of its record.
    fn read_record(
        &self,
        files: &Files,
        at: u64,
        wait: bool,
        out: &mut [u8],
    ) -> Result<(), ReadError> {
        let Location::Container { number, offset, .. } = &self.location else {
            return Err(ReadError::Store(StoreError::NoMailbox));
        };
        let path = &self.home.container_path(*number);
        let file = files.get(path, Open::Write).map_err(ReadError::Store)?;
        read_exact(&*file, out, offset.saturating_add(at), wait)
            .map_err(|error| read_error(path, error))
    }

    /// What is wrong with its record.
    fn damaged(&self, why: &dyn Display) -> ReadError {
        let (path, offset) = match &self.location {
            Location::Container { number, offset, .. } => {
                (self.home.container_path(*number), *offset)
            }
            Location::Memory(_) => (self.home.dir.clone(), 0),
        };
        let why = format_args!("the message at byte {offset}: {why}");
        ReadError::Store(StoreError::damaged(&path, why))
    }

    /// What its record's head says; of a message that is in its container.
    pub(crate) fn head<T>(
        &self,
        files: &Files,
        wait: bool,
        look: impl FnOnce(&Head<'_>) -> Result<T, dbox_format::Error>,
    ) -> Result<T, ReadError> {
        let Location::Container { number, seed, offset, record_len } = &self.location else {
            return Err(ReadError::Store(StoreError::NoMailbox));
        };
        let path = &self.home.container_path(*number);
        let file = files.get(path, Open::Write).map_err(ReadError::Store)?;
        let damaged = |why: &dyn Display| self.damaged(why);
        let mut need = HEAD;
        loop {
            let mut head = vec![0; need.min(usize::try_from(*record_len).unwrap_or(need))];
            read_exact(&*file, &mut head, *offset, wait)
                .map_err(|error| read_error(path, error))?;
            match parse_head(&head, *seed).map_err(|error| damaged(&error))? {
                HeadPrefix::Head(head) => return look(&head).map_err(|error| damaged(&error)),
                HeadPrefix::Need(more) if more > need => need = more,
                HeadPrefix::Need(_) => return Err(damaged(&"its head is longer than its record")),
            }
        }
    }
}

/// Whether a message of so many bytes is small enough to be held whole.
pub(crate) fn is_small(size: u64) -> bool {
    size <= WHOLE
}

/// What a session's `Blob` holds: a large message and the store's files.
pub(crate) struct Handle {
    pub(crate) message: Message,
    pub(crate) store: Arc<super::store::Store>,
}

pub(super) fn read_exact(
    file: &dyn File,
    mut out: &mut [u8],
    mut offset: u64,
    wait: bool,
) -> io::Result<()> {
    while !out.is_empty() {
        let read = if wait { file.read_at(out, offset)? } else { file.read_now(out, offset)? };
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        offset += read as u64;
        out = out.get_mut(read..).unwrap_or_default();
    }
    Ok(())
}

pub(super) fn read_error(path: &std::path::Path, error: io::Error) -> ReadError {
    if error.kind() == io::ErrorKind::WouldBlock {
        ReadError::WouldBlock
    } else if error.kind() == io::ErrorKind::UnexpectedEof {
        ReadError::Store(StoreError::damaged(path, "it is shorter than the map says"))
    } else {
        ReadError::Store(StoreError::io("read", path, error))
    }
}
