//! The journal's segments on disk: writing groups of changes, reading them back, taking away what is covered.
//!
//! Invariants:
//! - A segment's bytes are written once, in order; nothing is written behind a place whose sync failed.
//! - A segment goes only when a checkpoint has made durable all that its records say.
//! - Records behind the mark of the last sync are given up together when a sync fails; who was told of them has them
//!   written again.

use super::commit::Entry;
use super::error::StoreError;
use super::planted::{Planted, planted};
use super::store::{Random, seed};
use index_format::Guid;
use index_format::journal::{Frames, Header, Previous, Record, UNSYNCED};
use runtime_smol::fs::{self, File, Fs, Open};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes zeroed in one write when a segment is prepared.
const ZEROES: usize = 1 << 20;

/// The journal of a store, open for writing.
pub(crate) struct Journal {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    segment_size: u64,
    random: Random,
    active: Active,
    /// A segment that is zeroed and waits for its turn.
    spare: Option<u64>,
    /// Earlier segments with the position of their last record.
    older: VecDeque<(u64, u64)>,
    /// Position of the last durable record.
    last: u64,
    /// Number of the next record.
    next_record: u64,
    /// Bytes written since the last checkpoint.
    pub(crate) written: u64,
    /// What stands behind the active segment's end is not to be built on.
    broken: bool,
    /// How far the active segment is durable.
    mark: Mark,
    /// Records behind the mark were given up since they were written.
    rewound: bool,
}

/// A place in the active segment.
#[derive(Clone, Copy, Default)]
struct Mark {
    end: u64,
    next_record: u64,
    /// Position of the record before it.
    last: u64,
}

/// When records become durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Syncing {
    /// With the write.
    Now,
    /// At the next sync: until then a power failure takes them back, though no crash of the process does.
    Later,
}

struct Active {
    header: Header,
    file: Arc<dyn File>,
    end: u64,
    size: u64,
}

/// How many of a group's entries are durable, and why not all.
pub(crate) struct Written {
    pub(crate) durable: usize,
    pub(crate) error: Option<StoreError>,
}

impl Journal {
    /// Begins a journal behind whatever segments there are; `first` is the number of its first segment. `defers` says
    /// that records may be told of before they are synced.
    pub(crate) fn create(
        fs: Arc<dyn Fs>,
        dir: PathBuf,
        (store, epoch, defers): (Guid, u32, bool),
        first: u64,
        segment_size: u64,
        random: Random,
    ) -> Result<Self, StoreError> {
        fs::create_dirs_synced(&*fs, &dir)
            .map_err(|error| StoreError::io("create", &dir, error))?;
        let file = prepare(&*fs, &dir, first, segment_size)?;
        let header = Header {
            store,
            segment: first,
            previous: None,
            seed: seed(&random),
            first_record: 1,
            epoch,
            flags: if defers { UNSYNCED } else { 0 },
        };
        let mut active = Active { header, file, end: 0, size: segment_size };
        active
            .write_header()
            .and_then(|()| active.file.sync_data())
            .map_err(|error| StoreError::io("write", &path_of(&dir, first), error))?;
        let mark = Mark { end: active.end, next_record: 1, last: 0 };
        Ok(Self {
            fs,
            dir,
            segment_size,
            random,
            active,
            spare: None,
            older: VecDeque::new(),
            last: 0,
            next_record: 1,
            written: 0,
            broken: false,
            mark,
            rewound: false,
        })
    }

    /// Writes `entries` in order; with [`Syncing::Now`] they become durable, and all before them. After an error all that
    /// is not durable is given up.
    pub(crate) fn write(
        &mut self,
        entries: &[Entry],
        buffer: &mut Vec<u8>,
        sync: Syncing,
    ) -> Written {
        let mut durable = 0;
        let mut rest = entries;
        while !rest.is_empty() {
            match self.write_segment(rest, buffer, sync) {
                Ok(count) => {
                    durable += count;
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(error) => {
                    self.rewind();
                    return Written { durable, error: Some(error) };
                }
            }
        }
        Written { durable, error: None }
    }

    /// Makes durable all that was written.
    ///
    /// # Errors
    /// The system's; what was not durable is given up.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        if self.active.end == self.mark.end {
            return Ok(());
        }
        let path = self.active_path();
        match self.active.file.sync_data() {
            Ok(()) => {
                self.note_synced();
                Ok(())
            }
            Err(error) => {
                self.rewind();
                Err(StoreError::io("sync", &path, error))
            }
        }
    }

    fn note_synced(&mut self) {
        self.mark = Mark { end: self.active.end, next_record: self.next_record, last: self.last };
    }

    /// Gives up what is behind the mark: nobody knows what the disk has of it. The next record begins a segment, whose
    /// header says how much of this one counts.
    fn rewind(&mut self) {
        self.broken = true;
        if self.active.end != self.mark.end {
            self.rewound = true;
            let Mark { end, next_record, last } = self.mark;
            (self.active.end, self.next_record, self.last) = (end, next_record, last);
        }
    }

    /// They have been written again.
    pub(crate) fn made_good(&mut self) {
        self.rewound = false;
    }

    /// Whether records that were told of have been given up, and not been written again.
    pub(crate) fn is_rewound(&self) -> bool {
        self.rewound
    }

    /// Writes as many entries as the active segment takes, at least one; returns how many.
    fn write_segment(
        &mut self,
        entries: &[Entry],
        buffer: &mut Vec<u8>,
        sync: Syncing,
    ) -> Result<usize, StoreError> {
        let first = entries.first().map_or(0, |entry| room(&entry.change.record()));
        if self.broken || self.active.end + first > self.active.size {
            self.next_segment(first)?;
        }
        buffer.clear();
        let mut count = 0_usize;
        for entry in entries {
            let record = entry.change.record();
            if self.active.end + buffer.len() as u64 + room(&record) > self.active.size {
                break;
            }
            record
                .write(&self.active.header, self.next_record + count as u64, buffer)
                .map_err(|error| StoreError::damaged(&self.active_path(), error))?;
            count += 1;
        }
        let path = self.active_path();
        self.broken = true;
        self.active
            .file
            .write_at(&[IoSlice::new(buffer)], self.active.end)
            .map_err(|error| StoreError::io("write", &path, error))?;
        if sync == Syncing::Now && !planted(Planted::NoJournalSync) {
            match self.active.file.sync_data() {
                Err(_) if planted(Planted::FailedSyncIsOk) => {}
                result => result.map_err(|error| StoreError::io("sync", &path, error))?,
            }
        }
        self.broken = false;
        self.active.end += buffer.len() as u64;
        self.written += buffer.len() as u64;
        self.next_record += count as u64;
        self.last = count
            .checked_sub(1)
            .and_then(|at| entries.get(at))
            .map_or(self.last, |entry| entry.position);
        if sync == Syncing::Now {
            self.note_synced();
        }
        Ok(count)
    }

    fn next_segment(&mut self, least: u64) -> Result<(), StoreError> {
        // A later sync is of the next segment alone.
        self.sync()?;
        let number = self.active.header.segment + 1;
        let size = self.segment_size.max(least + Header::LEN as u64);
        let file = match self.spare.filter(|&spare| spare == number && size == self.segment_size) {
            Some(_) => {
                let path = path_of(&self.dir, number);
                self.fs
                    .open(&path, Open::Write)
                    .map_err(|error| StoreError::io("open", &path, error))?
            }
            None => prepare(&*self.fs, &self.dir, number, size)?,
        };
        self.spare = None;
        let ahead = if planted(Planted::SegmentEndAhead) { self.active.size } else { 0 };
        let previous =
            Previous { segment: self.active.header.segment, end: self.active.end + ahead };
        let header = Header {
            segment: number,
            previous: Some(previous),
            seed: seed(&self.random),
            first_record: self.next_record,
            ..self.active.header.clone()
        };
        let mut active = Active { header, file, end: 0, size };
        active
            .write_header()
            .map_err(|error| StoreError::io("write", &path_of(&self.dir, number), error))?;
        self.older.push_back((self.active.header.segment, self.last));
        self.active = active;
        self.broken = false;
        self.note_synced();
        Ok(())
    }

    /// The number of the segment that should be prepared ahead, when it is time.
    pub(crate) fn wants_spare(&self) -> Option<u64> {
        (self.spare.is_none() && self.active.end * 2 > self.active.size)
            .then_some(self.active.header.segment + 1)
    }

    /// Segment `number` was prepared by [`prepare`].
    pub(crate) fn set_spare(&mut self, number: u64) {
        if number == self.active.header.segment + 1 {
            self.spare = Some(number);
        }
    }

    /// Takes away the segments whose records are all up to `position`, which a checkpoint has covered.
    pub(crate) fn retire(&mut self, position: u64) -> Result<(), StoreError> {
        while let Some(&(segment, last)) = self.older.front() {
            if last > position {
                break;
            }
            let path = path_of(&self.dir, segment);
            self.fs.unlink(&path).map_err(|error| StoreError::io("remove", &path, error))?;
            self.older.pop_front();
        }
        Ok(())
    }

    /// Goes on in a new segment at once, so that all earlier ones can go.
    pub(crate) fn rotate(&mut self) -> Result<(), StoreError> {
        self.next_segment(0)?;
        // A header whose sync failed is not to be built on.
        self.broken = true;
        self.active
            .file
            .sync_data()
            .map_err(|error| StoreError::io("sync", &self.active_path(), error))?;
        self.broken = false;
        Ok(())
    }

    /// Has segments from the next one on say this epoch; the next is begun, and durable.
    pub(crate) fn raise_epoch(&mut self, epoch: u32) -> Result<(), StoreError> {
        let before = std::mem::replace(&mut self.active.header.epoch, epoch);
        self.rotate().inspect_err(|_| self.active.header.epoch = before)
    }

    /// The number of the active segment.
    pub(crate) fn segment(&self) -> u64 {
        self.active.header.segment
    }

    /// Whether there are records in segments before this one.
    pub(crate) fn reaches_before(&self, segment: u64) -> bool {
        self.older.iter().any(|(older, _)| *older < segment)
    }

    /// Whether the active segment has no record.
    pub(crate) fn is_fresh(&self) -> bool {
        self.active.end <= Header::LEN as u64
    }

    fn active_path(&self) -> PathBuf {
        path_of(&self.dir, self.active.header.segment)
    }
}

impl Active {
    fn write_header(&mut self) -> std::io::Result<()> {
        let mut bytes = Vec::with_capacity(Header::LEN);
        self.header.write(&mut bytes);
        self.file.write_at(&[IoSlice::new(&bytes)], 0)?;
        self.end = bytes.len() as u64;
        Ok(())
    }
}

/// Makes segment `number`: zeroed and durable, so that filling it needs no change of the file's metadata.
pub(crate) fn prepare(
    fs: &dyn Fs,
    dir: &Path,
    number: u64,
    size: u64,
) -> Result<Arc<dyn File>, StoreError> {
    let path = path_of(dir, number);
    let error = |error| StoreError::io("prepare", &path, error);
    if fs.metadata(&path).map_err(error)?.is_some() {
        fs.unlink(&path).map_err(error)?;
    }
    let file = fs.open(&path, Open::Write).map_err(error)?;
    let zeroes = vec![0; ZEROES.min(usize::try_from(size).unwrap_or(ZEROES))];
    let mut at = 0;
    while at < size {
        let step = zeroes
            .get(..usize::try_from(size - at).unwrap_or(ZEROES).min(zeroes.len()))
            .unwrap_or(&zeroes);
        file.write_at(&[IoSlice::new(step)], at).map_err(error)?;
        at += step.len() as u64;
    }
    file.sync_data().map_err(error)?;
    if !planted(Planted::NoSegmentDirSync) {
        fs.sync_dir(dir).map_err(error)?;
    }
    Ok(file)
}

/// A record's bytes with its frame.
fn room(record: &Record<'_>) -> u64 {
    record.encoded_len() as u64
}

/// What a journal holds when a store is opened.
pub(crate) struct Found {
    /// The segments that count, ascending.
    pub(crate) segments: Vec<(Header, PathBuf, Option<u64>)>,
    /// Every file of the directory, to be removed when all is replayed.
    pub(crate) files: Vec<PathBuf>,
    /// The highest segment number seen.
    pub(crate) highest: u64,
}

/// Looks at the segments in `dir`.
pub(crate) fn find(fs: &dyn Fs, dir: &Path) -> Result<Found, StoreError> {
    let mut found = Found { segments: Vec::new(), files: Vec::new(), highest: 0 };
    if fs.metadata(dir).map_err(|error| StoreError::io("look at", dir, error))?.is_none() {
        return Ok(found);
    }
    let entries = fs.read_dir(dir).map_err(|error| StoreError::io("list", dir, error))?;
    for entry in entries {
        let path = dir.join(&entry.name);
        let number = entry.name.to_str().and_then(|name| name.parse::<u64>().ok());
        found.files.push(path.clone());
        let Some(number) = number else { continue };
        found.highest = found.highest.max(number);
        let file =
            fs.open(&path, Open::Read).map_err(|error| StoreError::io("open", &path, error))?;
        let mut bytes = [0; Header::LEN];
        let read =
            file.read_at(&mut bytes, 0).map_err(|error| StoreError::io("read", &path, error))?;
        match Header::parse(bytes.get(..read).unwrap_or_default()) {
            Ok(header) if header.segment == number => found.segments.push((header, path, None)),
            // Prepared and never begun, or begun and never synced: it has no record that anybody was told of.
            Ok(_) | Err(_) => {}
        }
    }
    found.segments.sort_by_key(|(header, ..)| header.segment);
    let ends: Vec<Option<Previous>> =
        found.segments.iter().skip(1).map(|(header, ..)| header.previous).chain([None]).collect();
    for ((header, _, end), previous) in found.segments.iter_mut().zip(ends) {
        *end = previous
            .filter(|previous| previous.segment == header.segment)
            .map(|previous| previous.end);
    }
    Ok(found)
}

/// Gives each record of a segment to `visit`, in order.
pub(crate) fn read_segment(
    fs: &dyn Fs,
    (header, path, end): &(Header, PathBuf, Option<u64>),
    mut visit: impl FnMut(&Record<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let bytes = fs::read_all(fs, path).map_err(|error| StoreError::io("read", path, error))?;
    let mut frames = Frames::new(&bytes, header, *end);
    for frame in frames.by_ref() {
        let record = Record::decode(frame.payload, frame.start)
            .map_err(|error| StoreError::damaged(path, error))?;
        visit(&record)?;
    }
    if let Some(end) = end
        && frames.offset() < *end
    {
        tracing::error!(file = %path.display(), at = frames.offset(), end, "a journal record is damaged; what it and the ones behind it say is lost unless it was written already");
    }
    Ok(())
}

fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}"))
}
