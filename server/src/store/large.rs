//! A large message: written once, as the record of a container of its own, while it comes in.
//!
//! Its text is compressed and summed without regard to who gets it, in a file of the spool directory that begins with room for
//! what is not known yet: whose container it is, its number, and what the record's head says. That is written when all has
//! come in; then the file is synced and renamed, and durable before the change that names it. For further recipients, whose own
//! header lines stand before the text, it is copied.

use super::account::Account;
use super::body::Spool;
use super::change::Change;
use super::commit::Outcome;
use super::config::Attachments;
use super::delivery::{Mail, Place, container_header, record_head};
use super::error::StoreError;
use super::message::read_exact;
use super::planted::{Planted, planted};
use super::store::Store;
use dbox_format::Error;
use dbox_format::container::{
    ChunkWriter, Compression, FILE_HEADER_LEN, FIXED_HEAD_LEN, STREAM_CHUNK, WrittenChunks,
};
use dbox_format::map::Draft;
use index_format::Guid;
use runtime_smol::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes that the list of a message's attachments has in the head of its record: about ten of them. With more, what is left
/// of the message is copied.
const LIST: usize = 512;

/// Bytes of a text that show how hard it should be tried to make it smaller.
const SAMPLE: usize = 64 << 10;

/// What is known of the record of a message before its text comes.
#[derive(Default)]
pub(crate) struct Ahead {
    /// What stands before the text for its first recipient.
    pub(crate) prefix: Vec<u8>,
    /// Bytes of the names in its head: those of the mailbox, and of the keywords.
    pub(crate) names: usize,
}

/// The text of a large message while it comes in.
pub(super) struct LargeWriter {
    spool: Spool,
    start: u64,
    prefix: Vec<u8>,
    chunks: ChunkWriter,
    effort: Effort,
    /// What was not written yet.
    out: Vec<u8>,
}

/// How hard compressing is tried.
enum Effort {
    /// Not known: this is the beginning of the text.
    Sample(Vec<u8>),
    /// At this level; `None` for not at all.
    Known(Option<i32>),
}

/// The text of a large message: a container but for what stands before its chunks, and behind them.
pub(crate) struct LargeText {
    spool: Spool,
    /// Where its chunks start.
    start: u64,
    /// What the text begins with, before what came.
    prefix: Vec<u8>,
    chunks: WrittenChunks,
    /// Somebody's message is in this file, or was to be.
    taken: AtomicBool,
}

impl LargeWriter {
    pub(super) fn create(store: &Arc<Store>, ahead: &Ahead) -> Result<Self, StoreError> {
        let list = if store.config.attachments == Attachments::Whole { 0 } else { LIST };
        let head = FIXED_HEAD_LEN + ahead.names + list;
        Self::begin(store, &ahead.prefix, FILE_HEADER_LEN + head as u64)
    }

    fn begin(store: &Arc<Store>, prefix: &[u8], start: u64) -> Result<Self, StoreError> {
        let mut spool = Spool::create(store)?;
        spool.len = start;
        let (chunks, out, effort) = (ChunkWriter::new(), Vec::new(), Effort::Sample(Vec::new()));
        let mut writer = Self { spool, start, prefix: prefix.to_vec(), chunks, effort, out };
        writer.push(prefix)?;
        Ok(writer)
    }

    pub(super) fn push(&mut self, text: &[u8]) -> Result<(), StoreError> {
        match &mut self.effort {
            Effort::Sample(sample) => {
                sample.extend_from_slice(text);
                if sample.len() < SAMPLE { Ok(()) } else { self.try_sample() }
            }
            Effort::Known(level) => {
                let level = *level;
                self.push_at(level, text)
            }
        }
    }

    /// Goes on as hard as is worth it for what has come so far.
    fn try_sample(&mut self) -> Result<(), StoreError> {
        let Effort::Sample(sample) = &mut self.effort else { return Ok(()) };
        let sample = std::mem::take(sample);
        let level = self.spool.store.packing.stream_level(sample.get(..SAMPLE).unwrap_or(&sample));
        self.effort = Effort::Known(level);
        self.push_at(level, &sample)
    }

    fn push_at(&mut self, level: Option<i32>, text: &[u8]) -> Result<(), StoreError> {
        {
            let mut lent = level.and_then(|level| self.spool.store.packing.stream_encoder(level));
            let encoder = lent.as_deref_mut().map(|lent| &mut lent.0);
            self.chunks.push(text, encoder, &mut self.out).map_err(not_packed)?;
        }
        if self.out.len() >= STREAM_CHUNK as usize {
            self.spool.write(&self.out)?;
            self.out.clear();
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<LargeText, StoreError> {
        self.try_sample()?;
        let level = if let Effort::Known(level) = self.effort { level } else { None };
        let chunks = {
            let mut lent = level.and_then(|level| self.spool.store.packing.stream_encoder(level));
            let encoder = lent.as_deref_mut().map(|lent| &mut lent.0);
            self.chunks.finish(encoder, &mut self.out).map_err(not_packed)?
        };
        self.spool.write(&self.out)?;
        let Self { spool, start, prefix, .. } = self;
        Ok(LargeText { spool, start, prefix, chunks, taken: AtomicBool::new(false) })
    }
}

impl LargeText {
    /// The same behind another prefix, its chunks starting elsewhere.
    fn copy(&self, prefix: &[u8], start: u64) -> Result<Self, StoreError> {
        let Spool { store, file, path, .. } = &self.spool;
        let mut decoder = match self.chunks.compression() {
            Compression::None => None,
            Compression::Zstd { dictionary } => {
                let decoder = store.packing.decoder(&store.files, dictionary, true);
                Some(decoder.map_err(|_| StoreError::Cannot("the message can't be copied"))?)
            }
        };
        let mut writer = LargeWriter::begin(store, prefix, start)?;
        let (mut stored, mut text, mut skipped) = (Vec::new(), Vec::new(), self.prefix.len());
        for part in self.chunks.parts() {
            stored.resize((part.stored.end - part.stored.start) as usize, 0);
            read_exact(&**file, &mut stored, self.start + part.stored.start, true)
                .map_err(|error| StoreError::io("read", path, error))?;
            let bytes = match &mut decoder {
                None => &stored,
                Some(decoder) => {
                    text.clear();
                    let decoded = decoder.part(&part, &stored, &mut text);
                    decoded.map_err(|error| StoreError::damaged(path, error))?;
                    &text
                }
            };
            let now = skipped.min(bytes.len());
            skipped -= now;
            writer.push(bytes.get(now..).unwrap_or_default())?;
        }
        writer.finish()
    }
}

/// The file of a large message: removed when it is dropped before a change names it.
pub(super) struct Unsaved<'a> {
    store: &'a Store,
    /// What it is called now, if it is still to be removed.
    path: Option<PathBuf>,
    /// Once it is called as a container: the change that gave its number away. While that may be lost, another may get
    /// the number, and the name is left alone.
    position: Option<u64>,
}

impl<'a> Unsaved<'a> {
    pub(super) fn new(store: &'a Store, path: PathBuf) -> Self {
        Self { store, path: Some(path), position: None }
    }

    /// It has its name now, and its number since the change at `position`.
    pub(super) fn is_called(&mut self, path: PathBuf, position: u64) {
        (self.path, self.position) = (Some(path), Some(position));
    }

    pub(super) fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Unsaved<'_> {
    fn drop(&mut self) {
        let Some(path) = &self.path else { return };
        if self.position.is_none_or(|position| self.store.outcome(position) == Outcome::Durable) {
            // What can't be unlinked is not told of: the reason why it is to go is.
            let _ = self.store.files.fs().unlink(path);
        }
    }
}

impl Store {
    /// Makes a container of a large message, which is durable afterwards and not yet in the map.
    pub(super) fn place_large(
        &self,
        mail: &Mail<'_>,
        text: &LargeText,
        guid: Guid,
    ) -> Result<(Place, Unsaved<'_>), StoreError> {
        let (container, mailbox, name, position) = {
            let mut state = mail.account.lock()?;
            let entry = state.list.by_name(mail.mailbox).ok_or(StoreError::NoMailbox)?;
            let (mailbox, name) = (entry.guid, entry.name.clone());
            let number = state.map.next_container();
            let container = self.new_container(number);
            let mut draft = Draft::new(&state.map);
            draft.container_open(number, container.seed);
            let mut change = Change::default();
            change.map(mail.account, &mut state, &draft.finish(), self.now())?;
            state.position = self.submit(change);
            (container, mailbox, name, state.position)
        };
        let (head, apart) = (record_head(mail, guid, mailbox, &name), mail.apart());
        let around = |text: &LargeText| {
            let room = text.start.saturating_sub(FILE_HEADER_LEN) as usize;
            let frame = head.around(&text.chunks, &apart, container.seed, room);
            frame.map_err(|_| StoreError::Cannot("the mailbox's name is too long"))
        };
        let mut frame = around(text)?;
        let needed = FILE_HEADER_LEN + frame.head.len() as u64;
        let (own, copy);
        if mail.prefix == text.prefix
            && needed <= text.start
            && !text.taken.swap(true, Ordering::Relaxed)
        {
            own = text;
        } else {
            copy = text.copy(mail.prefix, needed)?;
            own = &copy;
            frame = around(own)?;
        }
        let offset = own.start - frame.head.len() as u64;
        let mut front = Vec::with_capacity(own.start as usize);
        container_header(mail.account, container, self.now()).write(&mut front);
        front.resize(offset as usize, 0);
        front.extend_from_slice(&frame.head);
        own.spool.write_at(&front, 0)?;
        own.spool.write_at(&frame.tail, own.start + own.chunks.len())?;
        let path = mail.account.container_path(container.number);
        let dir = fs::parent(&path);
        self.files
            .fs()
            .create_dir_all(dir)
            .map_err(|error| StoreError::io("create", dir, error))?;
        // No container is there before what makes it one of an account: where there is one, there was an account, even if
        // nothing else is left of it.
        self.wait(position)?;
        self.sync_deferred()?;
        // Its own name is removed by what it is called by until then.
        let mut unsaved = Unsaved::new(self, path.clone());
        unsaved.is_called(path, position);
        self.publish(mail.account, container.number, &*own.spool.file, &own.spool.path)?;
        own.spool.is_renamed();
        let (record_len, size) = (frame.record_len, mail.size(own.chunks.text_len()));
        Ok((Place { container: container.number, offset, record_len, size }, unsaved))
    }

    /// Makes a container that was written under another name durable under its own.
    pub(super) fn publish(
        &self,
        account: &Account,
        number: u32,
        file: &dyn File,
        temporary: &Path,
    ) -> Result<(), StoreError> {
        let path = account.container_path(number);
        let (fs, synced) = (self.files.fs(), !planted(Planted::LargeBodyNotSynced));
        if synced {
            file.sync_data().map_err(|error| StoreError::io("write", temporary, error))?;
        }
        fs.rename(temporary, &path).map_err(|error| StoreError::io("rename to", &path, error))?;
        if synced {
            // The directories above may be as new as the file, until they were synced once.
            let [dir, ..] = number.to_le_bytes();
            let known = account.durable_dirs();
            let new = match known.contains(&dir) {
                true => 1,
                false if known.is_empty() => usize::MAX,
                false => 2,
            };
            drop(known);
            let dirs = path.ancestors().skip(1).take_while(|dir| dir.starts_with(self.root()));
            for dir in dirs.take(new) {
                fs.sync_dir(dir).map_err(|error| StoreError::io("sync", dir, error))?;
            }
            account.durable_dirs().insert(dir);
        }
        Ok(())
    }
}

/// What a container is called until it is whole; another's of the same directory has another name.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    path.with_added_extension("tmp")
}

/// No memory, or more chunks than [`StoreConfig::message_max`](super::config::StoreConfig::message_max) allows.
fn not_packed(_: Error) -> StoreError {
    StoreError::Cannot("the message can't be compressed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dbox_format::paths;
    use std::collections::BTreeSet;

    #[test]
    fn containers_that_are_written_at_the_same_time_are_different_files() {
        let all: BTreeSet<PathBuf> =
            (1..1000).map(|number| unfinished(Path::new(&paths::container(number)))).collect();
        assert_eq!(all.len(), 999);
        assert!((1..1000).all(|number| !all.contains(Path::new(&paths::container(number)))));
    }
}
