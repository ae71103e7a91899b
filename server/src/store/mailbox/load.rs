//! A mailbox from its files: the head of its snapshot and the log from there on; the rest of the snapshot when it is needed.
//!
//! Invariants:
//! - Damage in a snapshot costs time only: the one before it, or the log from its beginning, gives the same state.
//! - A snapshot that parts are still to be read from is not replaced: who writes the next one has loaded all of it.

use super::super::account::log_position;
use super::super::error::StoreError;
use super::super::files::Files;
use super::super::logfile::{Begin, Item, LogFile};
use super::super::salvage;
use super::{Mbox, SERVER, check_against, directory};
use index_format::list::Entry;
use index_format::log::Kind;
use index_format::mailbox::{Mailbox, Parts};
use index_format::record::{Names, Transaction};
use index_format::snapshot::{Head, Overlay, Position, Section};
use index_format::{Error, Guid, Uid};
use runtime_smol::fs::{File, Open, read_all, read_exact_at};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The snapshots of a mailbox, the newer first.
const GENERATIONS: [&str; 2] = ["index", "index.prev"];
/// What became of one of them since.
const OVERLAY: &str = "index.delta";

impl Mbox {
    /// Loads the mailbox of `entry`: of its snapshot only what is always needed, and what the log behind it needs.
    ///
    /// # Errors
    /// I/O; damage, with what is known of what it covered.
    pub(crate) fn load(
        files: &Files,
        account: &Path,
        entry: &Entry,
    ) -> Result<(Self, LogFile), StoreError> {
        Self::read(files, account, entry)
            .map_err(|error| salvage::explained(files, account, entry, error))
    }

    fn read(files: &Files, account: &Path, entry: &Entry) -> Result<(Self, LogFile), StoreError> {
        let place = Place { files, dir: directory(account, entry.guid), guid: entry.guid };
        let mut damaged = false;
        let mut found = None;
        for name in GENERATIONS {
            match place.generation(name, None) {
                Ok(Some(loaded)) => {
                    found = Some((loaded, Some(name)));
                    break;
                }
                Ok(None) => {}
                Err(Failed::Snapshot(why)) => {
                    place.report(name, &why);
                    damaged = true;
                }
                Err(Failed::Store(error)) => return Err(error),
            }
        }
        let (Loaded { mut mailbox, names, mut log }, snapshot) = match found {
            Some(found) => found,
            None => (place.beginning(entry.uidvalidity, None)?, None),
        };
        check_against(entry, &mailbox, &place.dir)?;
        mailbox.raise_uidvalidity(entry.uidvalidity);
        if damaged {
            log.note_damaged();
        }
        let recent = entry.recent.max(Uid(1));
        let mut this = Self { mailbox, names, recent, snapshot, ..Self::new(entry.guid, 0) };
        this.refresh();
        Ok((this, log))
    }

    /// Loads those of `parts` that are not in memory yet; whether its snapshot turned out to be damaged.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when neither the snapshot nor what stands before it has them.
    pub(crate) fn need(
        &mut self,
        files: &Files,
        account: &Path,
        parts: Parts,
    ) -> Result<bool, StoreError> {
        let Some(position) = self.mailbox.base_position() else { return Ok(false) };
        if self.mailbox.missing(parts).is_empty() {
            return Ok(false);
        }
        let place = Place { files, dir: directory(account, self.guid), guid: self.guid };
        let name = self.snapshot.unwrap_or(GENERATIONS[0]);
        let why = match place.parts(name, &mut self.mailbox, parts) {
            Ok(()) => return Ok(false),
            Err(Failed::Snapshot(why)) => why,
            Err(Failed::Store(error)) => return Err(error),
        };
        place.report(name, &why);
        let older = GENERATIONS.into_iter().skip_while(|known| *known != name).skip(1);
        for name in older {
            match place.generation(name, Some(position)) {
                Ok(Some(loaded)) if self.mailbox.load_from(&loaded.mailbox) => return Ok(true),
                Ok(_) => {}
                Err(Failed::Snapshot(why)) => place.report(name, &why),
                Err(Failed::Store(error)) => return Err(error),
            }
        }
        let from_the_start = place.beginning(self.mailbox.uidvalidity(), Some(position));
        if from_the_start.is_ok_and(|loaded| self.mailbox.load_from(&loaded.mailbox)) {
            return Ok(true);
        }
        Err(StoreError::damaged(
            &place.dir.join(name),
            format_args!(
                "{why}; nothing before it gives the same; bring this directory back from a backup"
            ),
        ))
    }

    /// Lets go of what its snapshot can give again; whether that turned out to be damaged. All of it is in its files.
    pub(crate) fn shed(&mut self, files: &Files, account: &Path, entry: &Entry) -> bool {
        if std::mem::replace(&mut self.shed, true) || self.mailbox.missing(Parts::ALL) == Parts::ALL
        {
            return false;
        }
        // Whatever is wrong with the files: what is in memory serves on.
        let Ok((fresh, log)) = Self::load(files, account, entry) else { return false };
        if log.is_damaged() {
            return true;
        }
        if fresh.mailbox.transactions() == self.mailbox.transactions() {
            self.mailbox = fresh.mailbox;
            self.snapshot = fresh.snapshot;
        }
        false
    }
}

/// The files of one mailbox.
struct Place<'a> {
    files: &'a Files,
    dir: PathBuf,
    guid: Guid,
}

/// A snapshot that is open, and its head.
type Opened = (Arc<dyn File>, Head);

/// What the files say.
struct Loaded {
    mailbox: Mailbox,
    names: Names,
    log: LogFile,
}

/// Why they don't.
enum Failed {
    /// The snapshot is damaged; others may serve.
    Snapshot(String),
    Store(StoreError),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Snapshot(error.to_string())
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Place<'_> {
    fn report(&self, name: &str, why: &str) {
        let path = self.dir.join(name);
        tracing::error!(file = %path.display(), why, "a snapshot is damaged; the one before it and the log serve");
    }

    /// The state that a snapshot, its overlay and the log behind them give, or, up to a position, gave; `None` without
    /// such a file. What is given of the past has all its parts.
    fn generation(&self, name: &str, until: Option<Position>) -> Result<Option<Loaded>, Failed> {
        let Some((file, head)) = self.head(name)? else { return Ok(None) };
        let read = |section: &Section| read_section(&*file, section);
        let mut mailbox = head.open(read)?;
        let mut from = head.header().position;
        match until {
            Some(_) => mailbox.load(Parts::ALL, read)?,
            None => {
                if let Some(overlay) = self.overlay(&head) {
                    let position = overlay.header().position;
                    match mailbox.lay_over(overlay) {
                        Ok(()) => from = position,
                        Err(error) => {
                            self.report(OVERLAY, &error.to_string());
                            mailbox = head.open(read)?;
                        }
                    }
                }
            }
        }
        let begin = Begin::Position(log_position(from));
        let load = |mailbox: &mut Mailbox, parts| mailbox.load(parts, read);
        let mut loaded = self.replay(mailbox, begin, until, load)?;
        let len = file.len().map_err(|error| self.io(name, error))?;
        loaded.log.note_base(log_position(head.header().position), len);
        Ok(Some(loaded))
    }

    /// What was laid over the snapshot with this head. One that is damaged, or of another snapshot, is as good as none:
    /// the log is there from the snapshot on.
    fn overlay(&self, head: &Head) -> Option<Overlay> {
        let bytes = match read_all(self.files.fs(), &self.dir.join(OVERLAY)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.report(OVERLAY, &error.to_string());
                return None;
            }
        };
        let overlay = Overlay::parse(&bytes);
        let overlay = overlay.inspect_err(|error| self.report(OVERLAY, &error.to_string()));
        overlay.ok().filter(|overlay| overlay.is_of(head))
    }

    /// The state that the log alone gives.
    fn beginning(&self, uidvalidity: u32, until: Option<Position>) -> Result<Loaded, StoreError> {
        let mailbox = Mailbox::new(uidvalidity, SERVER);
        self.replay(mailbox, Begin::Start, until, |_, _| Ok(()))
    }

    /// Brings parts in from the snapshot that the state was made from.
    fn parts(&self, name: &str, mailbox: &mut Mailbox, parts: Parts) -> Result<(), Failed> {
        let path = self.dir.join(name);
        let file = self.files.fs().open(&path, Open::Read);
        let file = file.map_err(|error| Failed::Snapshot(error.to_string()))?;
        mailbox.load(parts, |section| read_section(&*file, section))
    }

    fn head(&self, name: &str) -> Result<Option<Opened>, Failed> {
        let file = match self.files.fs().open(&self.dir.join(name), Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io(name, error).into()),
        };
        let len = file.len().map_err(|error| self.io(name, error))?;
        let mut beginning = vec![0; Head::READ.min(usize::try_from(len).unwrap_or(usize::MAX))];
        read_exact_at(&*file, &mut beginning, 0).map_err(unreadable)?;
        let head = Head::parse(&beginning, len)?;
        if head.header().owner != self.guid {
            let why = format!("it is the snapshot of mailbox {}", head.header().owner);
            return Err(Failed::Snapshot(why));
        }
        Ok(Some((file, head)))
    }

    /// Follows the log. `load` brings in the parts that a transaction needs.
    fn replay<E: From<StoreError>>(
        &self,
        mut mailbox: Mailbox,
        from: Begin,
        until: Option<Position>,
        mut load: impl FnMut(&mut Mailbox, Parts) -> Result<(), E>,
    ) -> Result<Loaded, E> {
        let path = self.dir.join("log");
        let mut names = Names::default();
        let kind = (Kind::Mailbox, self.guid);
        let visit = |item: Item<'_>| -> Result<(), E> {
            match item {
                Item::File(header) => {
                    if until.is_some_and(|until| header.file > until.file) {
                        return Ok(());
                    }
                    names = Names::default();
                    let begun = mailbox.begin_file(header);
                    begun.map_err(|error| StoreError::damaged(&path, error))?;
                }
                Item::Transaction(payload) => {
                    let known = mailbox.transactions();
                    if until.is_some_and(|until| known >= until.transactions) {
                        return Ok(());
                    }
                    let transaction = Transaction::decode(payload, 0)
                        .map_err(|error| StoreError::damaged(&path, error))?;
                    names.note(&transaction);
                    let needs = mailbox.needs(&transaction);
                    load(&mut mailbox, needs)?;
                    let applied = mailbox.apply(&transaction);
                    applied.map_err(|error| StoreError::damaged(&path, error))?;
                }
            }
            Ok(())
        };
        let log = LogFile::open(self.files, self.dir.clone(), "log", kind, from, visit)?;
        Ok(Loaded { mailbox, names, log })
    }

    fn io(&self, name: &str, error: io::Error) -> StoreError {
        StoreError::io("read", &self.dir.join(name), error)
    }
}

fn read_section(file: &dyn File, section: &Section) -> Result<Vec<u8>, Failed> {
    // Its length was held against that of the file.
    let mut bytes = vec![0; usize::try_from(section.len).unwrap_or_default()];
    read_exact_at(file, &mut bytes, section.at).map_err(unreadable)?;
    Ok(bytes)
}

/// What can't be read is lost, as far as a snapshot is concerned.
fn unreadable(error: io::Error) -> Failed {
    Failed::Snapshot(error.to_string())
}
