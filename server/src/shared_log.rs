//! One log that many processes append to without a lock.
//!
//! One transaction is one frame and one `write(2)` with `O_APPEND`, never continued. The server itself has one writer
//! per store and does not need this; a tool or a second process that must leave a note in a log does.
//!
//! Why nothing that [`SharedLog::append`] acknowledged is lost or doubled:
//! - The kernel appends one write after the other: each gets a stretch `[start, end)` of its own, and a writer learns
//!   its stretch from the file position. When it knows its `start`, all bytes before are final: whoever wrote them
//!   has returned, or is dead. Bytes *behind* the last stretch one knows may still be in flight, so nobody decides
//!   anything from them; a reader that meets half a frame there comes back later.
//! - A file counts up to its first frame that doesn't check out, or to its seal. Before a writer believes that its
//!   frame counts, it checks that everything from what it knew to the end of its own frame is whole frames. So an
//!   acknowledged frame stands before the file's end, wherever that will be.
//! - Whoever finds the end makes the next file, whose header names that end and how many transactions there were. It is
//!   linked into place whole, so of many only one wins, and **the header that won decides**. All would have written the
//!   same, but for one case: what a frame that was cut short lacks may be just what the frame behind it begins with.
//!   Then it is torn to those who see nothing behind it, and whole to those who come later, with a tear right behind it.
//! - A writer repeats its transaction in the next file only when its frame stands behind the end that the header names:
//!   there it never counts, whatever is appended later. So no transaction counts twice, and one whose short frame was
//!   made whole by another's counts where it is.
//! - A reader that follows live holds such a frame back until the next file is there; at rest it counts, for the next
//!   writer will see it whole.
//! - A writer that dies may leave a transaction that it never acknowledged, whole or torn; both keep these rules.
//!
//! What is *not* promised: [`SharedLog::append`] alone says nothing about power; see [`SharedLog::sync`]. Frames that
//! were good and are damaged later by the disk end the file for those who read them then. And `O_APPEND` must be
//! atomic, which it is not on network file systems.

use crate::store::{Random, seed};
use index_format::log::{
    End, EndKind, Frames, HEAD_MAX, Header, Kind, Previous, SEAL, SYNC, write_frame, write_seal,
};
use index_format::{Guid, ModSeq, Uid};
use runtime_smol::fs::{File, Fs, Open, create_linked, read_exact_at};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which log it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Which {
    /// The directory of its files.
    pub dir: PathBuf,
    /// The name of its first file; the second is `base.2`.
    pub base: String,
    /// What it is about.
    pub kind: Kind,
    /// Whom it belongs to.
    pub owner: Guid,
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// The number of the file.
    pub file: u32,
    /// The frame's first byte.
    pub start: u64,
    /// The first byte behind the frame.
    pub end: u64,
    /// How many transactions the log holds before this one, in all its files.
    pub transaction: u64,
}

/// Why a shared log could not be read or appended to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused; the transaction, if there was one, doesn't count and never will.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The transaction is in the file, but what stands before it could not be read: only reading the log will tell
    /// whether it counts.
    #[error("cannot tell whether the transaction in {path} counts: {source}")]
    Unsure {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A transaction is empty or too long for a frame; nothing was written.
    #[error("the transaction does not fit: {0}")]
    Payload(index_format::Error),
    /// A file of the log says what cannot be.
    #[error("{path} is damaged at {at}: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The offset in bytes.
        at: u64,
        /// What is wrong there.
        why: &'static str,
    },
    /// The last of so many attempts was cut short, or they all came behind the end of their file; the transaction
    /// doesn't count.
    #[error("{attempts} attempts to append to {path} came to nothing")]
    GaveUp {
        /// The last file.
        path: PathBuf,
        /// How many times it was tried.
        attempts: u32,
    },
}

/// A log that this process appends to, as others may at the same time.
pub struct SharedLog {
    fs: Arc<dyn Fs>,
    which: Which,
    random: Random,
    file_size: u64,
    current: Current,
}

/// The file that is appended to, and how far it is known to be whole frames.
struct Current {
    header: Header,
    path: PathBuf,
    file: Arc<dyn File>,
    /// The first byte not looked at; never past a seal.
    known: u64,
    /// Transactions of the log before `known`.
    transactions: u64,
    /// Whether [`SharedLog::sync`] has made the file's name durable.
    named: bool,
}

impl SharedLog {
    /// Opens the log at its newest file, making the first one when there is none; its directory must be there. The
    /// log goes on in its next file once one has `file_size` bytes; that bounds what a new writer has to read.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Damaged`] when the newest file is not one of this log.
    pub fn open(
        fs: Arc<dyn Fs>,
        which: Which,
        file_size: u64,
        random: Random,
    ) -> Result<Self, Error> {
        let newest = match newest(&*fs, &which)? {
            Some(number) => number,
            None => {
                let header = which.header(1, None, 0, seed(&random));
                create(&*fs, &which, &header)?;
                1
            }
        };
        let current = Current::open(&*fs, &which, newest)?;
        Ok(Self { fs, which, random, file_size, current })
    }

    /// Appends one transaction, and returns once it counts: whoever reads the log from now on finds it, at this place
    /// and nowhere else.
    ///
    /// # Errors
    /// After [`Error::Unsure`] the transaction may or may not count; after any other it doesn't and never will.
    pub fn append(&mut self, payload: &[u8]) -> Result<Place, Error> {
        let mut frame = Vec::new();
        let (mut attempts, mut cut) = (0, 0);
        while attempts < ATTEMPTS && cut < CUT_SHORT_MAX {
            if self.current.known >= self.file_size {
                self.seal()?;
            }
            frame.clear();
            write_frame(self.current.header.seed, payload, &mut frame).map_err(Error::Payload)?;
            let landed = self.land(&frame)?;
            if let Some(place) = landed.counts {
                return Ok(place);
            }
            attempts += 1;
            cut += u32::from(landed.written < frame.len());
        }
        Err(Error::GaveUp { path: self.current.path.clone(), attempts })
    }

    /// Makes everything durable that was in the log when this process last appended.
    ///
    /// # Errors
    /// [`Error::Io`]; what was appended since the last success may be lost then, and calling again proves nothing.
    pub fn sync(&mut self) -> Result<(), Error> {
        let Current { path, file, named, .. } = &mut self.current;
        file.sync_data().map_err(io_error("sync", path))?;
        if !*named {
            // Another process may have linked the file and not yet synced its name. The files before this one
            // were synced before it was made.
            self.fs.sync_dir(&self.which.dir).map_err(io_error("sync", &self.which.dir))?;
            *named = true;
        }
        Ok(())
    }

    /// Closes the file for everyone and goes on in the next one.
    fn seal(&mut self) -> Result<(), Error> {
        let mut seal = Vec::new();
        write_seal(self.current.header.seed, &mut seal);
        // Whoever's seal comes first: the file is closed.
        self.land(&seal).map(|_| ())
    }

    /// One write. If the frame doesn't count, the log is open at its newest file.
    fn land(&mut self, frame: &[u8]) -> Result<Landed, Error> {
        let Current { header, path, file, .. } = &self.current;
        let written = file.append(&[IoSlice::new(frame)]).map_err(io_error("append to", path))?;
        if written == 0 {
            return Err(io_error("append to", path)(io::ErrorKind::WriteZero.into()));
        }
        let unsure = |source| Error::Unsure { path: path.clone(), source };
        let end = file.position().map_err(unsure)?;
        let start = end.checked_sub(written as u64).ok_or_else(|| {
            // Positions count what was written: anything else is a file system that can't serve here.
            unsure(io::ErrorKind::Unsupported.into())
        })?;
        let mine = Place {
            file: header.file,
            start,
            end: start + frame.len() as u64,
            transaction: 0, // known once what stands before it is counted
        };
        let seen = self.current.count(end, &mine).map_err(unsure)?;
        let counts = match seen.mine {
            Some(_) => {
                self.current.known = seen.end.at;
                self.current.transactions = seen.transactions;
                seen.mine
            }
            None => self.next_file(&seen, &mine)?,
        };
        Ok(Landed { counts, written })
    }

    /// Goes on behind this file, which has ended as `seen`; makes the next one unless somebody else has. Gives the
    /// place of `mine` if the next file says that it counts after all.
    fn next_file(&mut self, seen: &Seen, mine: &Place) -> Result<Option<Place>, Error> {
        let Current { header, path, file, .. } = &self.current;
        let damaged = |at, why| Err(Error::Damaged { path: path.clone(), at, why });
        if seen.end.kind == EndKind::Clean {
            return damaged(seen.end.at, "a frame holds the bytes of another");
        }
        let Some(number) = header.file.checked_add(1) else {
            return damaged(32, "no file number is left");
        };
        let next = self.which.path(number);
        if !exists(&*self.fs, &next)? {
            // Power may fail: a file must not be there without the one that its header builds on.
            file.sync_data().map_err(io_error("sync", path))?;
            let previous = Previous { file: header.file, end: seen.end.at };
            let seed = seed(&self.random);
            let header = self.which.header(number, Some(previous), seen.transactions, seed);
            create(&*self.fs, &self.which, &header)?;
        }
        let next = Current::open(&*self.fs, &self.which, number)?;
        let Some(previous) = next.header.previous.filter(|previous| previous.file == header.file)
        else {
            return Err(Error::Damaged { path: next.path, at: 36, why: "it follows another file" });
        };
        // Counted again only if its maker saw it otherwise.
        let counted = (previous.end, next.header.first_transaction);
        let mine = if counted == (seen.end.at, seen.transactions) {
            None
        } else {
            let unsure = |source| Error::Unsure { path: path.clone(), source };
            let settled = self.current.count(previous.end, mine).map_err(unsure)?;
            if counted != (settled.end.at, settled.transactions) {
                let why = "it doesn't go on where the file before it ends";
                return Err(Error::Damaged { path: next.path, at: 36, why });
            }
            settled.mine
        };
        self.current = next;
        self.skip()?;
        Ok(mine)
    }

    /// Goes on to the newest file: the headers alone lead there, whatever happened meanwhile.
    fn skip(&mut self) -> Result<(), Error> {
        while let Some(number) = self.current.header.file.checked_add(1) {
            if !exists(&*self.fs, &self.which.path(number))? {
                break;
            }
            self.current = Current::open(&*self.fs, &self.which, number)?;
        }
        Ok(())
    }
}

/// What became of a write.
struct Landed {
    /// Where the frame stands if it counts.
    counts: Option<Place>,
    /// How much of it was taken, bytes.
    written: usize,
}

/// What stands between the bytes that were known and some later end.
struct Seen {
    /// Where the frames that count end, and why.
    end: End,
    /// Transactions of the log before that end.
    transactions: u64,
    /// The frame that was asked for, if it is one of them.
    mine: Option<Place>,
}

impl Current {
    /// Counts the frames from `known` to `end`, all of which must be final bytes.
    fn count(&self, end: u64, mine: &Place) -> io::Result<Seen> {
        // Less than what is known: somebody has truncated the file, which nobody may.
        let length = end.checked_sub(self.known).ok_or(io::ErrorKind::UnexpectedEof)?;
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut bytes = vec![0; length];
        read_exact_at(&*self.file, &mut bytes, self.known)?;
        let mut frames = Frames::tail(&bytes, self.known, self.header.seed);
        let mut transactions = self.transactions;
        let mut found = None;
        for frame in frames.by_ref() {
            if (frame.start, frame.end) == (mine.start, mine.end) {
                found = Some(Place { transaction: transactions, ..*mine });
            }
            transactions += 1;
        }
        Ok(Seen { end: frames.end(), transactions, mine: found })
    }

    fn open(fs: &dyn Fs, which: &Which, number: u32) -> Result<Self, Error> {
        let path = which.path(number);
        let file = fs.open(&path, Open::Append).map_err(io_error("open", &path))?;
        let header = which.read_header(&*file, &path, number)?;
        let known = Header::LEN as u64;
        let transactions = header.first_transaction;
        Ok(Self { header, path, file, known, transactions, named: false })
    }
}

/// A reader of a shared log, which may follow it while it grows.
pub struct Follower {
    fs: Arc<dyn Fs>,
    which: Which,
    reading: Option<Reading>,
}

/// Whether somebody may be appending.
#[derive(Clone, Copy)]
enum State {
    Live,
    AtRest,
}

struct Reading {
    header: Header,
    path: PathBuf,
    file: Arc<dyn File>,
    offset: u64,
    transactions: u64,
}

impl Follower {
    /// Begins before the first transaction; the log need not be there yet.
    pub fn new(fs: Arc<dyn Fs>, which: Which) -> Self {
        Self { fs, which, reading: None }
    }

    /// Gives `visit` every transaction that counts and was not given before, in order.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Damaged`] when a file ends before the place where the next one says that it does.
    pub fn poll(&mut self, visit: &mut dyn FnMut(Place, &[u8])) -> Result<(), Error> {
        self.follow(State::Live, visit)
    }

    fn follow(&mut self, state: State, visit: &mut dyn FnMut(Place, &[u8])) -> Result<(), Error> {
        if self.reading.is_none() {
            self.reading = self.begin(1)?;
        }
        while let Some(reading) = &mut self.reading {
            // Looked for before the frames are read: without it, what isn't a frame may be one that is being written.
            let next = match reading.header.file.checked_add(1) {
                Some(number) => Self::find(&*self.fs, &self.which, number)?,
                None => None,
            };
            let previous = next.as_ref().and_then(|next| next.header.previous);
            let end = reading.read(previous.map(|previous| previous.end), state, visit)?;
            let Some(next) = next else { return Ok(()) };
            let expected = Previous { file: reading.header.file, end };
            if previous != Some(expected) || next.header.first_transaction != reading.transactions {
                let why = "it ends elsewhere than its next file says";
                return Err(Error::Damaged { path: reading.path.clone(), at: end, why });
            }
            self.reading = Some(next);
        }
        Ok(())
    }

    fn begin(&self, number: u32) -> Result<Option<Reading>, Error> {
        Self::find(&*self.fs, &self.which, number)
    }

    fn find(fs: &dyn Fs, which: &Which, number: u32) -> Result<Option<Reading>, Error> {
        let path = which.path(number);
        let file = match fs.open(&path, Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("open", &path)(error)),
        };
        let header = which.read_header(&*file, &path, number)?;
        let transactions = header.first_transaction;
        Ok(Some(Reading { header, path, file, offset: Header::LEN as u64, transactions }))
    }
}

impl Reading {
    /// Visits the frames from `offset` to `limit`, or to the first that does not check out; gives the file's end so
    /// far.
    fn read(
        &mut self,
        limit: Option<u64>,
        state: State,
        visit: &mut dyn FnMut(Place, &[u8]),
    ) -> Result<u64, Error> {
        let error = io_error("read", &self.path);
        let end = match limit {
            Some(limit) => limit,
            None => self.file.len().map_err(&error)?,
        };
        let length = usize::try_from(end.saturating_sub(self.offset))
            .map_err(|_| error(io::ErrorKind::OutOfMemory.into()))?;
        let mut bytes = vec![0; length];
        let read = self.file.read_at(&mut bytes, self.offset).map_err(&error)?;
        bytes.truncate(read);
        let mut frames = Frames::tail(&bytes, self.offset, self.header.seed);
        let mut next = frames.next();
        while let Some(frame) = next {
            next = frames.next();
            let unsettled = next.is_none() && limit.is_none() && matches!(state, State::Live);
            if unsettled && is_torn(frames.end()) && may_be_completed(frame.payload) {
                break;
            }
            let (start, end) = (frame.start, frame.end);
            let transaction = self.transactions;
            visit(Place { file: self.header.file, start, end, transaction }, frame.payload);
            self.offset = end;
            self.transactions += 1;
        }
        Ok(frames.end().at)
    }
}

fn is_torn(end: End) -> bool {
    matches!(end.kind, EndKind::Torn(_))
}

/// Whether a frame may owe its last bytes to the one behind it: more than a head can't match, since checksums differ.
fn may_be_completed(payload: &[u8]) -> bool {
    let tail = payload.get(payload.len().saturating_sub(HEAD_MAX)..).unwrap_or_default();
    tail.iter().any(|&byte| byte == SYNC || byte == SEAL)
}

/// Reads a log that nobody appends to now, from its beginning: every transaction that counts, in order.
///
/// # Errors
/// As [`Follower::poll`].
pub fn read(
    fs: Arc<dyn Fs>,
    which: Which,
    visit: &mut dyn FnMut(Place, &[u8]),
) -> Result<(), Error> {
    Follower::new(fs, which).follow(State::AtRest, visit)
}

impl Which {
    fn path(&self, number: u32) -> PathBuf {
        if number == 1 {
            self.dir.join(&self.base)
        } else {
            self.dir.join(format!("{}.{number}", self.base))
        }
    }

    /// What transactions mean is not known here, so the fields that sum them up stay empty.
    fn header(
        &self,
        file: u32,
        previous: Option<Previous>,
        first_transaction: u64,
        seed: u64,
    ) -> Header {
        Header {
            kind: self.kind,
            server: 0,
            owner: self.owner,
            file,
            previous,
            first_transaction,
            modseq: ModSeq(0),
            uidnext: Uid(0),
            uidvalidity: 0,
            epoch: 0,
            seed,
            flags: 0,
        }
    }

    fn read_header(&self, file: &dyn File, path: &Path, number: u32) -> Result<Header, Error> {
        let mut bytes = [0; Header::LEN];
        read_exact_at(file, &mut bytes, 0).map_err(io_error("read", path))?;
        let damaged = |why| Error::Damaged { path: path.to_owned(), at: 0, why };
        let header = Header::parse(&bytes).map_err(|_| damaged("it has no header of a log"))?;
        if header.file != number || header.kind != self.kind || header.owner != self.owner {
            return Err(damaged("it is another log's, or another file of this one"));
        }
        Ok(header)
    }
}

/// The number of the newest file.
fn newest(fs: &dyn Fs, which: &Which) -> Result<Option<u32>, Error> {
    let entries = fs.read_dir(&which.dir).map_err(io_error("list", &which.dir))?;
    let number = |name: &str| {
        let rest = name.strip_prefix(&which.base)?;
        if rest.is_empty() { Some(1) } else { rest.strip_prefix('.')?.parse().ok() }
    };
    Ok(entries.iter().filter_map(|entry| number(entry.name.to_str()?)).max())
}

fn exists(fs: &dyn Fs, path: &Path) -> Result<bool, Error> {
    Ok(fs.metadata(path).map_err(io_error("look for", path))?.is_some())
}

/// Makes a file of the log, unless somebody else is first.
fn create(fs: &dyn Fs, which: &Which, header: &Header) -> Result<(), Error> {
    let path = which.path(header.file);
    let mut bytes = Vec::with_capacity(Header::LEN);
    header.write(&mut bytes);
    match create_linked(fs, &path, &bytes) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result.map_err(io_error("create", &path)),
    }
}

fn io_error(what: &'static str, path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Io { what, path: path.clone(), source }
}

/// How often a transaction is tried; each failure needs another writer's torn frame or a write cut short.
const ATTEMPTS: u32 = 16;
/// How many of the attempts may be cut short. One may have met the last bytes of room before a limit; the second began
/// a file of its own, and what doesn't fit there fits nowhere: each more would only tear the file under the others.
const CUT_SHORT_MAX: u32 = 2;

#[cfg(test)]
mod tests;
