//! A large message: from its spool file to a container of its own, which is durable before the change that names it.

use super::body::Spool;
use super::change::Change;
use super::commit::Outcome;
use super::delivery::{Mail, Place, container_header, record_head};
use super::error::StoreError;
use super::planted::{Planted, planted};
use super::store::Store;
use dbox_format::attachment::CutOut;
use dbox_format::compress::Encoder;
use dbox_format::container::{
    PACKED_CHUNK, PackWriter, RecordHead, RecordWriter, STREAM_CHUNK, Stored, Written,
};
use dbox_format::map::Draft;
use dbox_format::{Error, Seed};
use index_format::Guid;
use runtime_smol::fs::{self, File, Open};
use std::io::IoSlice;
use std::path::{Path, PathBuf};

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
    /// Writes a large message into a container of its own, which is durable afterwards and not yet in the map.
    pub(super) fn place_large(
        &self,
        mail: &Mail<'_>,
        spool: &Spool,
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
        let path = mail.account.container_path(container.number);
        let fs = self.files.fs();
        let dir = fs::parent(&path);
        fs.create_dir_all(dir).map_err(|error| StoreError::io("create", dir, error))?;
        let temporary = unfinished(&path);
        let write = |error| StoreError::io("write", &temporary, error);
        match fs.unlink(&temporary) {
            // A crash may have left one, with a number that was not durable.
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(write(error)),
            Ok(()) | Err(_) => {}
        }
        let file = fs.open(&temporary, Open::Write).map_err(write)?;
        let mut unsaved = Unsaved::new(self, temporary.clone());
        let mut out = Vec::with_capacity(2 * STREAM_CHUNK as usize);
        container_header(mail.account, container, self.now()).write(&mut out);
        let head = record_head(mail, guid, mailbox, &name);
        let apart = mail.apart();
        let mut encoder = self.packing.stream_encoder();
        let mut writer =
            Writer::new(head, &apart, container.seed, encoder.as_deref_mut(), &mut out)
                .map_err(|_| StoreError::Cannot("the mailbox's name is too long"))?;
        writer.push(mail.prefix, &mut out)?;
        let (mut at, mut read) = (0, 0);
        let mut step = vec![0; STREAM_CHUNK as usize];
        while read < spool.len {
            let count = spool
                .file
                .read_at(&mut step, read)
                .map_err(|error| StoreError::io("read", &spool.path, error))?;
            let bytes = step.get(..count).filter(|bytes| !bytes.is_empty());
            let bytes = bytes.ok_or_else(|| {
                StoreError::damaged(&spool.path, "it is shorter than what was written")
            })?;
            writer.push(bytes, &mut out)?;
            read += count as u64;
            file.write_at(&[IoSlice::new(&out)], at).map_err(write)?;
            at += out.len() as u64;
            out.clear();
        }
        let written = writer.finish(&mut out)?;
        file.write_at(&[IoSlice::new(&out)], at).map_err(write)?;
        self.publish(&*file, &temporary, &path)?;
        unsaved.is_called(path, position);
        let (record_len, size) = (written.record_len, mail.size(written.content.len()));
        Ok((Place { container: container.number, record_len, size }, unsaved))
    }

    /// Makes a container that was written under another name durable under its own.
    pub(super) fn publish(
        &self,
        file: &dyn File,
        temporary: &Path,
        path: &Path,
    ) -> Result<(), StoreError> {
        let (fs, synced) = (self.files.fs(), !planted(Planted::LargeBodyNotSynced));
        if synced {
            file.sync_data().map_err(|error| StoreError::io("write", temporary, error))?;
        }
        fs.rename(temporary, path).map_err(|error| StoreError::io("rename to", path, error))?;
        if synced {
            // The directories above may be as new as the file.
            for dir in path.ancestors().skip(1).take_while(|dir| dir.starts_with(self.root())) {
                fs.sync_dir(dir).map_err(|error| StoreError::io("sync", dir, error))?;
            }
        }
        Ok(())
    }
}

/// What a container is called until it is whole; another's of the same directory has another name.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    path.with_added_extension("tmp")
}

/// Writes the record of a large message, compressed or as it comes.
#[expect(clippy::large_enum_variant, reason = "there is one, on the stack of who writes")]
enum Writer<'a, 'e> {
    Plain(RecordWriter),
    Packed(PackWriter<'a, 'e>),
}

impl<'a, 'e> Writer<'a, 'e> {
    fn new(
        head: RecordHead<'a>,
        apart: &'a [CutOut],
        seed: Seed,
        encoder: Option<&'e mut Encoder>,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        match encoder {
            Some(encoder) => {
                PackWriter::new(head, apart, seed, encoder, PACKED_CHUNK).map(Self::Packed)
            }
            None => {
                let stored = Stored { apart, ..Stored::default() };
                let writer = RecordWriter::new_stored(&head, &stored, seed, STREAM_CHUNK, out);
                writer.map(Self::Plain)
            }
        }
    }

    fn push(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), StoreError> {
        match self {
            Self::Plain(writer) => {
                writer.push(text, out);
                Ok(())
            }
            Self::Packed(writer) => writer.push(text, out).map_err(not_packed),
        }
    }

    fn finish(self, out: &mut Vec<u8>) -> Result<Written, StoreError> {
        match self {
            Self::Plain(writer) => Ok(writer.finish(out)),
            Self::Packed(writer) => writer.finish(out).map_err(not_packed),
        }
    }
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
