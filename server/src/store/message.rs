//! Reading messages: from memory while their containers are not written yet, else from the containers.

use super::account::{Account, Home, Pending, State};
use super::attachments::Apart;
use super::error::StoreError;
use super::files::Files;
use dbox_format::Seed;
use dbox_format::container::{Head, HeadPrefix, Layout, Record, parse_head};
use dbox_format::map::{Entry, MapId};
use runtime_smol::fs::{File, Open};
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes read of a large record to see its head.
const HEAD: usize = 512;
/// Messages up to this many bytes are read whole, and their checksum is looked at.
const WHOLE: u64 = 256 << 10;

/// Where a message is.
#[derive(Clone)]
pub(crate) enum Location {
    Memory(Pending),
    Container { number: u32, seed: Seed, offset: u64, record_len: u64 },
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
        Some(Self { home, id, location, size, guid: guid.0, apart, _place })
    }

    /// Whether it is small enough to be held whole.
    pub(crate) fn is_small(&self) -> bool {
        self.size <= WHOLE
    }

    /// Reads all of it into `out`, which is cleared, and checks it.
    pub(crate) fn read_whole(
        &self,
        files: &Files,
        wait: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let Some(apart) = &self.apart else { return self.read_text(files, wait, out) };
        let mut skeleton = Vec::new();
        self.read_text(files, wait, &mut skeleton)?;
        out.clear();
        apart.whole((files, &self.home), &skeleton, wait, out)
    }

    /// Appends the bytes of `range` to `out`, without looking at the rest; after an error some of them may be there.
    pub(crate) fn read_range(
        &self,
        files: &Files,
        range: Range<u64>,
        wait: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        let mut read =
            |range: Range<u64>, out: &mut Vec<u8>| self.read_text_range(files, range, wait, out);
        match &self.apart {
            None => read(range, out),
            Some(apart) => apart.range((files, &self.home), range, wait, &mut read, out),
        }
    }

    /// Bytes of what its record holds: the message, or its skeleton.
    fn text_len(&self) -> u64 {
        self.apart.as_ref().map_or(self.size, Apart::skeleton_len)
    }

    /// Reads all that its record holds into `out`, which is cleared, and checks it.
    fn read_text(&self, files: &Files, wait: bool, out: &mut Vec<u8>) -> Result<(), ReadError> {
        out.clear();
        match &self.location {
            Location::Memory(pending) => {
                out.extend_from_slice(pending.head.get(pending.start..).unwrap_or_default());
                out.extend_from_slice(&pending.body);
                Ok(())
            }
            Location::Container { number, seed, offset, record_len } => {
                let path = &self.home.container_path(*number);
                let file = files.get(path, Open::Write).map_err(ReadError::Store)?;
                let damaged = |why: &dyn std::fmt::Display| {
                    ReadError::Store(StoreError::damaged(
                        path,
                        format_args!("the message at byte {offset}: {why}"),
                    ))
                };
                let len = usize::try_from(*record_len).map_err(|_| damaged(&"too large"))?;
                let mut record = std::mem::take(out);
                record.resize(len, 0);
                read_exact(&*file, &mut record, *offset, wait)
                    .map_err(|error| read_error(path, error))?;
                let parsed = Record::parse(&record, *seed).map_err(|error| damaged(&error))?;
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
                    None => parsed.message().map_err(|error| damaged(&error))?.into_owned(),
                };
                Ok(())
            }
        }
    }

    /// The same of what its record holds.
    fn read_text_range(
        &self,
        files: &Files,
        range: Range<u64>,
        wait: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ReadError> {
        match &self.location {
            Location::Memory(pending) => {
                let whole =
                    [pending.head.get(pending.start..).unwrap_or_default(), &pending.body].concat();
                let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(whole.len());
                let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
                out.extend_from_slice(whole.get(start..end).unwrap_or_default());
                Ok(())
            }
            Location::Container { number, offset, .. } => {
                let path = &self.home.container_path(*number);
                let file = files.get(path, Open::Write).map_err(ReadError::Store)?;
                for part in self.layout(files, wait)?.ranges(range) {
                    let start = out.len();
                    let len = usize::try_from(part.end - part.start).unwrap_or(usize::MAX);
                    out.resize(start + len, 0);
                    let place = out.get_mut(start..).unwrap_or_default();
                    read_exact(&*file, place, offset + part.start, wait)
                        .map_err(|error| read_error(path, error))?;
                }
                Ok(())
            }
        }
    }

    fn layout(&self, files: &Files, wait: bool) -> Result<Layout, ReadError> {
        self.head(files, wait, |head| head.text_layout(self.text_len()))
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
        let damaged = |why: &dyn std::fmt::Display| {
            let why = format_args!("the message at byte {offset}: {why}");
            ReadError::Store(StoreError::damaged(path, why))
        };
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

fn read_error(path: &std::path::Path, error: io::Error) -> ReadError {
    if error.kind() == io::ErrorKind::WouldBlock {
        ReadError::WouldBlock
    } else if error.kind() == io::ErrorKind::UnexpectedEof {
        ReadError::Store(StoreError::damaged(path, "it is shorter than the map says"))
    } else {
        ReadError::Store(StoreError::io("read", path, error))
    }
}
