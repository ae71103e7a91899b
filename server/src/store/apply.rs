//! Step three of a change: what the journal holds is written to the files it is about, without a sync.
//!
//! Replay after a crash does the same with the same bytes: a log skips what it already has, by number; a container
//! gets the same bytes at the same place.

use super::account::Account;
use super::change::{Change, LogName, Part, Target};
use super::error::StoreError;
use super::files::Files;
use super::logfile::{LogFile, State};
use runtime_smol::fs::{self, File, Open};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most slices in one vectored write.
const SLICES: usize = 512;

/// The transactions for one log, in order: number, payload, what held before.
type Frames<'a> = Vec<(u64, &'a [u8], State)>;

/// Bytes for a container: where they start, and head, body, tail.
type Piece<'a> = (u64, [&'a [u8]; 3]);

/// All parts of a group for one account.
#[derive(Default)]
struct Work<'a> {
    logs: BTreeMap<LogName, Frames<'a>>,
    containers: BTreeMap<u32, Vec<Piece<'a>>>,
}

/// An account whose files could not be written, and why; without when they were not tried.
pub(crate) type Failed = (Arc<Account>, Option<StoreError>);

/// Writes `changes`, in order, to the files they are about. `touched` gets each file's path. Accounts are written apart:
/// one that fails, which is returned, keeps no other from it. Those that failed before are tried only `again`.
///
/// Calling it again with the same changes goes on where it stopped.
pub(crate) fn apply<'a>(
    files: &Files,
    changes: impl Iterator<Item = &'a Change>,
    seed: &dyn Fn() -> u64,
    touched: &mut BTreeSet<PathBuf>,
    again: bool,
) -> Vec<Failed> {
    let mut accounts: Vec<(&Arc<Account>, Work<'a>)> = Vec::new();
    for change in changes {
        for part in &change.parts {
            let Some(account) = change.accounts.get(part.account) else { continue };
            let place = accounts.iter().position(|(known, _)| Arc::ptr_eq(known, account));
            let place = place.unwrap_or_else(|| {
                accounts.push((account, Work::default()));
                accounts.len() - 1
            });
            if let Some((_, work)) = accounts.get_mut(place) {
                work.add(change, part);
            }
        }
    }
    let mut failed = Vec::new();
    for (account, work) in &accounts {
        if !again && account.stuck().is_some() {
            failed.push((Arc::clone(account), None));
        } else if let Err(error) = work.write(files, account, seed, touched) {
            failed.push((Arc::clone(account), Some(error)));
        }
    }
    failed
}

impl<'a> Work<'a> {
    fn add(&mut self, change: &'a Change, part: &'a Part) {
        match &part.target {
            Target::Container { file, offset, head, body, tail } => {
                let body = body
                    .and_then(|body| change.bodies.get(body as usize))
                    .map_or(&[][..], |body| body);
                self.containers.entry(*file).or_default().push((*offset, [head, body, tail]));
            }
            Target::Log { log, transaction, payload, before } => {
                self.logs.entry(*log).or_default().push((*transaction, payload, *before));
            }
        }
    }

    fn write(
        &self,
        files: &Files,
        account: &Account,
        seed: &dyn Fn() -> u64,
        touched: &mut BTreeSet<PathBuf>,
    ) -> Result<(), StoreError> {
        for (number, pieces) in &self.containers {
            let path = account.container_path(*number);
            write_container(files, &path, pieces)?;
            touched.insert(path);
        }
        let mut logs = account.logs();
        for (name, frames) in &self.logs {
            let log = match name {
                LogName::List => &mut logs.list,
                LogName::Map => &mut logs.map,
                LogName::Mailbox(guid) => match logs.mailboxes.get_mut(guid) {
                    Some(log) => log,
                    // Deleted meanwhile: its last steps need not reach its log.
                    None => continue,
                },
            };
            append(files, log, frames, seed())?;
            touched.extend(log.current_path());
        }
        Ok(())
    }
}

/// Writes pieces at their offsets; those that follow each other go in one write.
fn write_container(files: &Files, path: &Path, pieces: &[Piece<'_>]) -> Result<(), StoreError> {
    let file = open_container(files, path)?;
    let mut slices: Vec<IoSlice<'_>> = Vec::new();
    let (mut start, mut end) = (0, 0);
    let flush = |slices: &mut Vec<IoSlice<'_>>, start| {
        let result = if slices.is_empty() { Ok(()) } else { file.write_at(slices, start) };
        slices.clear();
        result.map_err(|error| StoreError::io("write", path, error))
    };
    for (offset, parts) in pieces {
        if *offset != end || slices.len() + parts.len() > SLICES {
            flush(&mut slices, start)?;
            (start, end) = (*offset, *offset);
        }
        slices.extend(parts.iter().filter(|part| !part.is_empty()).map(|part| IoSlice::new(part)));
        end += parts.iter().map(|part| part.len() as u64).sum::<u64>();
    }
    flush(&mut slices, start)
}

fn open_container(files: &Files, path: &Path) -> Result<Arc<dyn File>, StoreError> {
    match files.get(path, Open::Write) {
        Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            let dir = fs::parent(path);
            files.fs().create_dir_all(dir).map_err(|error| StoreError::io("create", dir, error))?;
            files.get(path, Open::Write)
        }
        result => result,
    }
}

/// Appends those frames that the log does not have yet.
///
/// # Errors
/// [`StoreError::Damaged`] when frames between what it has and what is to come are missing.
pub(crate) fn append(
    files: &Files,
    log: &mut LogFile,
    frames: &[(u64, &[u8], State)],
    seed: u64,
) -> Result<(), StoreError> {
    let known = log.transactions();
    let new = frames.iter().filter(|(number, ..)| *number >= known);
    let payloads: Vec<&[u8]> = new.clone().map(|(_, payload, _)| *payload).collect();
    let Some((first, _, before)) = new.clone().next() else { return Ok(()) };
    if *first != known {
        let why = format!("it has {known} transactions, and the next one known is number {first}");
        return Err(StoreError::damaged(log.dir(), why));
    }
    log.append(files, &payloads, *before, seed)
}
