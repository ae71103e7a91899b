//! What is left of a mailbox whose log is damaged: read from its directory, without writing anything.

use super::account::{SERVER, load_generation};
use super::error::StoreError;
use super::files::Files;
use super::logfile::{LogPosition, file_number, path_of};
use super::mailbox::directory;
use index_format::list::Entry;
use index_format::log::{Header, Kind, Survey};
use index_format::mailbox::{Lost, Mailbox, Salvaged};
use index_format::snapshot::{Position, Snapshot};
use index_format::{Guid, Uid};
use runtime_smol::fs;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// One file of a log.
pub(crate) struct LogPart {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    /// Its header, or why there is none.
    pub(crate) header: Result<Header, String>,
}

/// All files of a log, ascending.
pub(crate) fn read_log(
    files: &Files,
    dir: &Path,
    base: &str,
    (kind, owner): (Kind, Guid),
) -> Result<Vec<LogPart>, StoreError> {
    let fs = files.fs();
    let error = |error| StoreError::io("list", dir, error);
    if fs.metadata(dir).map_err(error)?.is_none() {
        return Ok(Vec::new());
    }
    let entries = fs.read_dir(dir).map_err(error)?;
    let mut numbers: Vec<u32> =
        entries.iter().filter_map(|entry| file_number(entry.name.to_str()?, base)).collect();
    numbers.sort_unstable();
    let mut parts = Vec::new();
    for number in numbers {
        let path = path_of(dir, base, number);
        let bytes = match fs::read_all(fs, &path) {
            Ok(bytes) => bytes,
            // Taken away meanwhile: no snapshot needs it any more.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(StoreError::io("read", &path, error)),
        };
        let header = match Header::parse(&bytes) {
            Ok(header) if header.file == number && (header.kind, header.owner) == (kind, owner) => {
                Ok(header)
            }
            Ok(_) => Err("its header is that of another log's file".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        parts.push(LogPart { path, bytes, header });
    }
    Ok(parts)
}

/// The files of a log from number `first` on that have a header.
pub(crate) fn chain(parts: &[LogPart], first: u32) -> Vec<(Header, &[u8])> {
    let whole = parts.iter().filter_map(|part| Some((part.header.as_ref().ok()?, &part.bytes[..])));
    whole
        .filter(|(header, _)| header.file >= first)
        .map(|(header, bytes)| (header.clone(), bytes))
        .collect()
}

/// Brings together what is left of a mailbox: the newest snapshot that checks out, and what its log says since.
///
/// # Errors
/// I/O. Damage is what it is for.
pub(crate) fn salvage(
    files: &Files,
    account: &Path,
    entry: &Entry,
) -> Result<Salvaged, StoreError> {
    let dir = directory(account, entry.guid);
    let parts = read_log(files, &dir, "log", (Kind::Mailbox, entry.guid))?;
    let parse = |bytes: &[u8]| {
        let snapshot = Snapshot::parse(bytes).map_err(|error| error.to_string())?;
        if snapshot.header().owner != entry.guid {
            return Err("it is that of another mailbox".to_owned());
        }
        let mailbox = snapshot.to_mailbox().map_err(|error| error.to_string())?;
        Ok((mailbox, snapshot.header().position))
    };
    let (found, _) = load_generation(files, &dir, "index", parse)?;
    let (mailbox, position) =
        found.unwrap_or_else(|| (Mailbox::new(entry.uidvalidity, SERVER), Position::default()));
    let chain = chain(&parts, position.file);
    // The file that a snapshot points into may be gone or shorter; those behind it say where they begin.
    let reaches = chain.first().is_some_and(|(header, bytes)| {
        header.file == position.file && position.offset <= bytes.len() as u64
    });
    let mut salvaged = match (reaches, position.file) {
        (true, _) | (false, 0) => Salvaged::new(mailbox, position, &chain),
        (false, file) => {
            let behind: Vec<_> =
                chain.into_iter().filter(|(header, _)| header.file > file).collect();
            Salvaged::new(mailbox, Position { file, ..Position::default() }, &behind)
        }
    };
    // What the list knows of, and nothing else does.
    let (known, counted) = (salvaged.mailbox.uidnext(), entry.counters.uidnext);
    let untold = salvaged.lost.last().is_none_or(|lost| lost.certain);
    if untold && (counted > known || entry.counters.modseq > salvaged.mailbox.highest_modseq()) {
        salvaged.lost.push(Lost {
            file: parts
                .iter()
                .filter_map(|part| Some(part.header.as_ref().ok()?.file))
                .max()
                .unwrap_or(0),
            gaps: Vec::new(),
            first: salvaged.mailbox.transactions(),
            transactions: None,
            uids: (counted > known).then(|| (known, Uid(counted.0 - 1))),
            certain: false,
            applied: 0,
            left_out: 0,
        });
    }
    Ok(salvaged)
}

/// What a damaged part of a mailbox's log covered, in words.
pub(crate) fn covered(lost: &Lost) -> String {
    let mut words = String::new();
    let first = lost.first;
    let _ = match lost.transactions {
        Some(1) => write!(words, "transaction {first} is missing"),
        Some(count) => {
            write!(words, "transactions {first} to {} are missing", first + count.max(1) - 1)
        }
        None => write!(words, "transactions from {first} on are missing"),
    };
    let _ = match lost.uids {
        Some((first, last)) if first == last => write!(words, ", with the message of UID {first}"),
        Some((first, last)) => write!(words, ", with the messages of UIDs {first} to {last}"),
        None if lost.certain => write!(words, ", no new message among them"),
        None => write!(words, ", nobody knows how many messages with them"),
    };
    if lost.applied > 0 {
        let _ = write!(words, "; {} behind can be used", lost.applied);
    }
    if lost.left_out > 0 {
        let _ = write!(
            words,
            ", {} records in them can't, since it is not certain which messages they mean",
            lost.left_out
        );
    }
    words
}

/// What a file of a log has behind the position, where it is not whole.
pub(crate) fn survey<'a>(
    part: &'a LogPart,
    header: &Header,
    next: Option<&Header>,
) -> (Survey<'a>, LogPosition) {
    let (offset, transactions) = (Header::LEN as u64, header.first_transaction);
    let survey = Survey::new(&part.bytes, (header, offset, transactions), next);
    let end = LogPosition {
        file: header.file,
        offset: survey.frames.last().map_or(offset, |frame| frame.end),
        transactions: transactions + survey.frames.len() as u64,
    };
    (survey, end)
}

/// Says in the error of a mailbox that can't be loaded which it is, and what is known of what is missing.
pub(crate) fn explained(
    files: &Files,
    account: &Path,
    entry: &Entry,
    error: StoreError,
) -> StoreError {
    let StoreError::Damaged { path, why } = error else { return error };
    let lost = salvage(files, account, entry).map(|salvaged| salvaged.lost).unwrap_or_default();
    let covered: Vec<String> = lost.iter().map(covered).collect();
    let name = &entry.name;
    let covered =
        if covered.is_empty() { String::new() } else { format!(" ({})", covered.join("; ")) };
    let why = format!(
        "{why}: mailbox {name:?} is not complete{covered}; `loft mailbox rebuild` makes it anew of what is left, or bring this directory back from a backup"
    );
    StoreError::Damaged { path, why }
}
