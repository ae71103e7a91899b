//! One log on disk: the files of its chain, where it ends, and how it grows.
//!
//! Invariants (the argument is in `docs/formats/log.md`):
//! - A log counts up to its first frame that doesn't check out; what follows a tear or a seal stands in the
//!   next file, whose header says where the one before ends.
//! - Nothing is overwritten or truncated, and no file number is used twice.

use super::error::StoreError;
use super::files::Files;
use super::planted::{Planted, planted};
use index_format::log::{self, EndKind, Frames, Header, Kind, Previous, Survey};
use index_format::{Guid, ModSeq, Uid};
use runtime_smol::fs::{self, Open};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

/// Where a log has been read to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct LogPosition {
    /// The number of the file.
    pub(crate) file: u32,
    /// The first byte not read.
    pub(crate) offset: u64,
    /// Transactions read in all files so far.
    pub(crate) transactions: u64,
}

/// Where reading a log begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin {
    /// At its first file.
    Start,
    /// Where a snapshot stands.
    Position(LogPosition),
    /// At its newest file: to append, without knowing what it says.
    NewestFile,
}

/// What reading a log gives, in order.
pub(crate) enum Item<'a> {
    /// A file begins.
    File(&'a Header),
    /// One transaction.
    Transaction(&'a [u8]),
}

/// What the header of a log's next file says of the state so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct State {
    pub(crate) server: u8,
    pub(crate) modseq: ModSeq,
    pub(crate) uidnext: Uid,
    pub(crate) uidvalidity: u32,
    pub(crate) epoch: u32,
}

/// A log that is written by this process alone.
#[derive(Debug)]
pub(crate) struct LogFile {
    dir: PathBuf,
    base: &'static str,
    kind: Kind,
    owner: Guid,
    /// The highest file number ever seen here, whole or not.
    highest: u32,
    current: Option<Current>,
    /// The last snapshot's position and bytes.
    snapshot: Option<(LogPosition, u64)>,
    /// That snapshot is damaged: its next one is due, and takes the place of this one alone.
    damaged: bool,
    /// Transactions up to that snapshot, or to the overlay over it.
    folded: u64,
    /// Bytes of frames since then.
    tail: u64,
    /// Where the log ended when its files were last known to be durable, and the header of that file.
    durable: Option<Box<(Header, LogPosition)>>,
    /// The same for the checkpoint under way.
    marked: Option<Box<(Header, LogPosition)>>,
}

#[derive(Debug)]
struct Current {
    header: Header,
    end: LogPosition,
    /// Whether the next frame may follow; not so after a tear or a seal.
    open: bool,
}

/// Transactions after which a mailbox's log is folded, however short they are: a start reads no more of them.
const FOLDED: u64 = 4096;

impl LogFile {
    /// A log of which no file exists yet.
    pub(crate) fn new(dir: PathBuf, base: &'static str, kind: Kind, owner: Guid) -> Self {
        Self {
            dir,
            base,
            kind,
            owner,
            highest: 0,
            current: None,
            snapshot: None,
            damaged: false,
            folded: 0,
            tail: 0,
            durable: None,
            marked: None,
        }
    }

    /// Reads the log from `from` on (from its beginning without) and gives each item to `visit`.
    ///
    /// # Errors
    /// What `visit` returns; a chain that begins after `from`; I/O.
    pub(crate) fn open<E: From<StoreError>>(
        files: &Files,
        dir: PathBuf,
        base: &'static str,
        (kind, owner): (Kind, Guid),
        from: Begin,
        mut visit: impl FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut log = Self::new(dir, base, kind, owner);
        let position = if let Begin::Position(position) = from { Some(position) } else { None };
        let mut headers = log.headers(files, position.map_or(0, |position| position.file))?;
        let chain = match from {
            Begin::NewestFile => headers.pop().into_iter().collect(),
            Begin::Start | Begin::Position(_) => chain_of(&mut headers, position),
        };
        log.check_start(from, chain.first())?;
        log.snapshot = position.map(|position| (position, 0));
        log.folded = position.map_or(0, |position| position.transactions);
        let mut nexts = chain.iter().skip(1);
        for header in &chain {
            let next = nexts.next();
            let start = match position {
                Some(position) if position.file == header.file => position,
                Some(_) | None => LogPosition {
                    file: header.file,
                    offset: Header::LEN as u64,
                    transactions: header.first_transaction,
                },
            };
            if start.offset == Header::LEN as u64 {
                visit(Item::File(header))?;
            }
            let bearing = !matches!(from, Begin::NewestFile);
            let (end, open) = log.read_file(files, header, (start, bearing), next, &mut visit)?;
            log.tail += end.offset - start.offset;
            log.current = Some(Current { header: header.clone(), end, open });
        }
        log.mark();
        log.note_durable();
        Ok(log)
    }

    /// Whether a chain that begins with `first` can be read from `from` on.
    fn check_start(&self, from: Begin, first: Option<&Header>) -> Result<(), StoreError> {
        match (from, first) {
            (Begin::Position(position), Some(first)) if first.file != position.file => {
                Err(StoreError::damaged(
                    &self.path(position.file),
                    "the log file that a snapshot names is missing",
                ))
            }
            (Begin::Position(position), None) => Err(StoreError::damaged(
                &self.path(position.file),
                "the log that a snapshot names is missing",
            )),
            (Begin::Start, Some(first)) if first.first_transaction > 0 => Err(StoreError::damaged(
                &self.path(first.file),
                "the log begins in the middle, and no snapshot covers what came before",
            )),
            (Begin::Start | Begin::Position(_) | Begin::NewestFile, _) => Ok(()),
        }
    }

    /// The valid headers from file `first` on, ascending.
    fn headers(&mut self, files: &Files, first: u32) -> Result<Vec<Header>, StoreError> {
        let entries = match files.fs().metadata(&self.dir) {
            Ok(None) => return Ok(Vec::new()),
            Ok(Some(_)) => files.fs().read_dir(&self.dir),
            Err(error) => Err(error),
        };
        let entries = entries.map_err(|error| StoreError::io("list", &self.dir, error))?;
        let mut numbers: Vec<u32> = entries
            .iter()
            .filter_map(|entry| file_number(entry.name.to_str()?, self.base))
            .collect();
        numbers.sort_unstable();
        self.highest = numbers.last().copied().unwrap_or(0);
        let mut headers = Vec::new();
        for number in numbers.into_iter().filter(|&number| number >= first) {
            let path = self.path(number);
            let file = files.get(&path, Open::Append)?;
            let mut bytes = [0; Header::LEN];
            let read = file
                .read_at(&mut bytes, 0)
                .map_err(|error| StoreError::io("read", &path, error))?;
            // A header that was never whole, or a block of another file where ours was never written: what
            // followed is in the journal, and the log goes on in the next file.
            match Header::parse(bytes.get(..read).unwrap_or_default()) {
                Ok(header) if self.is_own(&header, number) => headers.push(header),
                Ok(_) | Err(_) => {}
            }
        }
        Ok(headers)
    }

    fn is_own(&self, header: &Header, number: u32) -> bool {
        header.file == number && header.kind == self.kind && header.owner == self.owner
    }

    /// Reads one file. Where frames are missing in it, what stands behind them does not follow from what stands before: to
    /// whom it has a `bearing` that is an error. (Who only appends goes on behind it, in the next file.)
    fn read_file<E: From<StoreError>>(
        &self,
        files: &Files,
        header: &Header,
        (start, bearing): (LogPosition, bool),
        next: Option<&Header>,
        visit: &mut impl FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<(LogPosition, bool), E> {
        let path = self.path(header.file);
        let io = |error| StoreError::io("read", &path, error);
        let file = files.fs().open(&path, Open::Read).map_err(io)?;
        let len = file.len().map_err(io)?;
        let limit = next.and_then(|next| next.previous).map(|previous| previous.end);
        let counted = limit.map_or(len, |limit| limit.min(len));
        let Some(rest) = counted.checked_sub(start.offset) else {
            let why =
                format_args!("a snapshot covers {} bytes of it, it has {counted}", start.offset);
            return Err(StoreError::damaged(&path, why).into());
        };
        let mut bytes =
            vec![0; usize::try_from(rest).map_err(|_| io(io::ErrorKind::FileTooLarge.into()))?];
        fs::read_exact_at(&*file, &mut bytes, start.offset).map_err(io)?;
        let mut end = start;
        let mut frames = Frames::tail(&bytes, start.offset, header.seed);
        for frame in frames.by_ref() {
            visit(Item::Transaction(frame.payload))?;
            end.offset = frame.end;
            end.transactions += 1;
        }
        let kind = frames.end().kind;
        let whole = limit.is_none_or(|limit| limit == end.offset) && kind == EndKind::Clean;
        if bearing && !whole && kind != EndKind::Sealed {
            let all = fs::read_all(files.fs(), &path).map_err(io)?;
            let survey = Survey::new(&all, (header, end.offset, end.transactions), next);
            if !survey.gaps.is_empty() {
                return Err(StoreError::damaged(&path, missing(&survey, end)).into());
            }
        }
        Ok((end, kind == EndKind::Clean && limit.is_none()))
    }

    /// Transactions that the log holds.
    pub(crate) fn transactions(&self) -> u64 {
        self.current.as_ref().map_or(0, |current| current.end.transactions)
    }

    /// Where the log ends; `None` when it has no file yet.
    pub(crate) fn end(&self) -> Option<LogPosition> {
        self.current.as_ref().map(|current| current.end)
    }

    /// Appends transactions, in order; `state` is what held before the first of them.
    ///
    /// # Errors
    /// I/O; how many of them the log holds afterwards is told by [`LogFile::transactions`].
    pub(crate) fn append(
        &mut self,
        files: &Files,
        payloads: &[&[u8]],
        state: State,
        seed: u64,
    ) -> Result<(), StoreError> {
        let mut rest = payloads;
        // A second file is begun at most twice: behind an old tear, and behind one of our own.
        for _ in 0..3 {
            if !self.is_open() {
                self.begin_file(files, state, seed)?;
            }
            let written = self.append_here(files, rest)?;
            rest = rest.get(written..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
        }
        Err(StoreError::Full { path: self.dir.clone() })
    }

    fn is_open(&self) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| current.open || planted(Planted::AppendBehindTear))
    }

    /// Takes the log out of an account that is not used any more.
    pub(crate) fn take(&mut self) -> Self {
        let empty = Self::new(self.dir.clone(), self.base, self.kind, self.owner);
        std::mem::replace(self, empty)
    }

    /// A checkpoint begins, which will make durable what is here now.
    pub(crate) fn mark(&mut self) {
        let current = self.current.as_ref();
        self.marked = current.map(|current| Box::new((current.header.clone(), current.end)));
    }

    /// The checkpoint that began at the last mark succeeded.
    pub(crate) fn note_durable(&mut self) {
        self.durable = self.marked.take();
    }

    /// Whether all of it was durable at the last checkpoint.
    pub(crate) fn is_durable(&self) -> bool {
        match (&self.current, self.durable.as_deref()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(current), Some((_, end))) => current.end == *end,
        }
    }

    /// How many transactions were durable at the last checkpoint.
    pub(crate) fn durable_transactions(&self) -> u64 {
        self.durable.as_deref().map_or(0, |(_, end)| end.transactions)
    }

    /// Goes back to what is durable: the log goes on from there in its next file.
    pub(crate) fn rewind(&mut self) {
        self.current = self.durable.as_deref().map(|(header, end)| Current {
            header: header.clone(),
            end: *end,
            open: false,
        });
    }

    /// Goes on in the next file at the next append.
    pub(crate) fn rotate(&mut self) {
        if let Some(current) = &mut self.current {
            current.open = false;
        }
    }

    /// One write; returns how many of `payloads` are whole in the file.
    fn append_here(&mut self, files: &Files, payloads: &[&[u8]]) -> Result<usize, StoreError> {
        let Some(current) = &mut self.current else { return Ok(0) };
        let path = path_of(&self.dir, self.base, current.header.file);
        let file = files.get(&path, Open::Append)?;
        let mut bytes = Vec::with_capacity(payloads.iter().map(|payload| payload.len() + 16).sum());
        let mut ends = Vec::with_capacity(payloads.len());
        for payload in payloads {
            log::write_frame(current.header.seed, payload, &mut bytes)
                .map_err(|error| StoreError::damaged(&path, error))?;
            ends.push(bytes.len());
        }
        // Until it is known to be whole, what stands behind the end is not to be built on.
        current.open = false;
        let written = file
            .append(&[IoSlice::new(&bytes)])
            .map_err(|error| StoreError::io("append to", &path, error))?;
        let written = if planted(Planted::ContinueShortWrite) { bytes.len() } else { written };
        let whole = ends.iter().take_while(|&&end| end <= written).count();
        if let Some(&length) = whole.checked_sub(1).and_then(|last| ends.get(last)) {
            current.end.offset += length as u64;
            self.tail += length as u64;
            current.end.transactions += whole as u64;
        }
        current.open = written == bytes.len();
        Ok(whole)
    }

    fn begin_file(&mut self, files: &Files, state: State, seed: u64) -> Result<(), StoreError> {
        let number = self.highest + 1;
        let previous = self.current.as_ref();
        let header = Header {
            kind: self.kind,
            server: state.server,
            owner: self.owner,
            file: number,
            previous: previous
                .map(|current| Previous { file: current.end.file, end: current.end.offset }),
            first_transaction: previous.map_or(0, |current| current.end.transactions),
            modseq: state.modseq,
            uidnext: state.uidnext,
            uidvalidity: state.uidvalidity,
            epoch: state.epoch,
            seed,
            flags: 0,
        };
        if let Some(path) = self.current_path().filter(|_| !planted(Planted::RotateUnsynced)) {
            // Power may fail: a file must not be there without the one that its header builds on.
            let error = |error| StoreError::io("sync", &path, error);
            files.sync(&path).map_err(error)?;
            files.fs().sync_dir(&self.dir).map_err(error)?;
        }
        let path = self.path(number);
        let mut bytes = Vec::with_capacity(Header::LEN);
        header.write(&mut bytes);
        if previous.is_none() {
            files
                .fs()
                .create_dir_all(&self.dir)
                .map_err(|error| StoreError::io("create", &self.dir, error))?;
        }
        // The name is taken whatever becomes of the write: a number is never used twice.
        self.highest = number;
        let file = files.get(&path, Open::Create)?;
        // No sync: the journal holds what will stand in this file until a checkpoint has synced both.
        let written = file
            .append(&[IoSlice::new(&bytes)])
            .map_err(|error| StoreError::io("write", &path, error))?;
        if written != bytes.len() {
            return Err(StoreError::Full { path });
        }
        let end = LogPosition {
            file: number,
            offset: Header::LEN as u64,
            transactions: header.first_transaction,
        };
        self.current = Some(Current { header, end, open: true });
        Ok(())
    }

    /// Whether there is so much behind the last snapshot that the next one is due, which is never for less than `least`
    /// bytes of frames.
    pub(crate) fn wants_snapshot(&self, least: u64) -> bool {
        let len = self.snapshot.map_or(0, |(_, len)| len);
        self.damaged || self.tail > least.max(len / 4)
    }

    /// Whether an overlay is due, or, where there can be none, a snapshot: behind more than `least` bytes of frames, or
    /// [`FOLDED`] of them.
    pub(crate) fn wants_overlay(&self, least: u64) -> bool {
        self.damaged || self.tail > least || self.transactions() > self.folded + FOLDED
    }

    /// Whether an overlay of `len` bytes is worth it: at most so many percent of the snapshot, and that one whole.
    pub(crate) fn takes_overlay(&self, len: u64, percent: u64) -> bool {
        let whole = self.snapshot.map_or(0, |(_, len)| len);
        !self.damaged && len.saturating_mul(100) <= whole.saturating_mul(percent)
    }

    /// Whether there is a snapshot.
    pub(crate) fn has_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// The log was read from a snapshot of `len` bytes that stands at `position`, or from an overlay over that.
    pub(crate) fn note_base(&mut self, position: LogPosition, len: u64) {
        self.snapshot = Some((position, len));
    }

    /// The newest snapshot is damaged.
    pub(crate) fn note_damaged(&mut self) {
        self.damaged = true;
    }

    /// Whether the newest snapshot is damaged, so that the one before it must stay where it is.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// A snapshot of `len` bytes stands at `position`; gives the position of the one before, if that one is of use.
    pub(crate) fn note_snapshot(&mut self, position: LogPosition, len: u64) -> Option<LogPosition> {
        (self.tail, self.folded) = (0, position.transactions);
        let before = self.snapshot.replace((position, len)).map(|(position, _)| position);
        before.filter(|_| !std::mem::take(&mut self.damaged))
    }

    /// An overlay stands at `position`; all files are still needed.
    pub(crate) fn note_overlay(&mut self, position: LogPosition) -> Option<LogPosition> {
        (self.tail, self.folded) = (0, position.transactions);
        None
    }

    /// The files that hold nothing `from` on, and so are not needed to read the log from there.
    pub(crate) fn files_before(
        &self,
        files: &Files,
        from: LogPosition,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let entries = files
            .fs()
            .read_dir(&self.dir)
            .map_err(|error| StoreError::io("list", &self.dir, error))?;
        let numbers =
            entries.iter().filter_map(|entry| file_number(entry.name.to_str()?, self.base));
        Ok(numbers.filter(|&number| number < from.file).map(|number| self.path(number)).collect())
    }

    /// The path of the file that is appended to.
    pub(crate) fn current_path(&self) -> Option<PathBuf> {
        self.current.as_ref().map(|current| self.path(current.header.file))
    }

    /// The directory of the log.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    fn path(&self, number: u32) -> PathBuf {
        path_of(&self.dir, self.base, number)
    }
}

/// What is missing in a file behind `end`, in words.
pub(crate) fn missing(survey: &Survey<'_>, end: LogPosition) -> String {
    use std::fmt::Write as _;
    let mut words = String::new();
    for gap in &survey.gaps {
        let _ = write!(words, "{} at byte {} ({} bytes), ", gap.why.words(), gap.at, gap.len);
    }
    let first = end.transactions;
    let _ = match survey.missing {
        Some(1) => write!(words, "transaction {first} is missing"),
        Some(count) => write!(words, "{count} transactions from {first} on are missing"),
        None => write!(words, "transactions from {first} on are missing"),
    };
    if !survey.behind.is_empty() {
        let _ = write!(words, "; {} whole ones stand behind", survey.behind.len());
    }
    words
}

/// The first file is `log`, the second `log.2`.
pub(crate) fn path_of(dir: &Path, base: &str, number: u32) -> PathBuf {
    if number == 1 { dir.join(base) } else { dir.join(format!("{base}.{number}")) }
}

pub(crate) fn file_number(name: &str, base: &str) -> Option<u32> {
    let rest = name.strip_prefix(base)?;
    if rest.is_empty() {
        return Some(1);
    }
    let number = rest.strip_prefix('.')?.parse().ok()?;
    (number > 1).then_some(number)
}

/// Follows `previous` from the newest file back to `from`, or to the first file.
fn chain_of(headers: &mut Vec<Header>, from: Option<LogPosition>) -> Vec<Header> {
    let mut chain: Vec<Header> = Vec::new();
    let mut wanted = headers.last().map(|header| header.file);
    while let Some(file) = wanted {
        let Some(place) = headers.iter().position(|header| header.file == file) else { break };
        let header = headers.swap_remove(place);
        wanted = header
            .previous
            .map(|previous| previous.file)
            .filter(|_| from.is_none_or(|from| from.file != file));
        chain.push(header);
    }
    chain.reverse();
    chain
}
