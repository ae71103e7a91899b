//! The text of a message while it comes in, and when it has.
//!
//! Up to [`StoreConfig::gather_max`](super::config::StoreConfig::gather_max) bytes are held in memory. A larger message is
//! taken apart while it comes: its large base64 parts go to files of their own, decoded, and what is left is written as the
//! record that it will be, once there is more of it than that. These files are gone when the text is dropped before anybody
//! has got them.

use super::attachments::{Cuts, Intake};
use super::cache::Facts;
use super::error::StoreError;
use super::large::{Ahead, LargeText, LargeWriter};
use super::store::Store;
use runtime_smol::fs::{File, Open};
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a message in memory that are looked at in one step.
const STEP: usize = 16 << 10;

/// The text of a message that has all come in.
pub(crate) enum Body {
    /// Small: all of it.
    Memory(Arc<[u8]>),
    /// Large, with what was learnt of it on its way.
    Large { text: LargeText, facts: Option<Box<Facts>> },
}

/// The text of a message while it comes in.
pub(crate) struct Gather {
    store: Arc<Store>,
    limit: usize,
    ahead: Ahead,
    len: u64,
    /// What looks at a message that is not held in memory.
    intake: Option<Box<Intake>>,
    left: Left,
}

/// What is not stored apart from a message, so far.
enum Left {
    Memory(Vec<u8>),
    File(Box<LargeWriter>),
}

impl Gather {
    /// Up to `limit` bytes stay in memory; of a record some is known `ahead`.
    pub(crate) fn new(store: Arc<Store>, limit: usize, ahead: Ahead) -> Self {
        Self { store, limit, ahead, len: 0, intake: None, left: Left::Memory(Vec::new()) }
    }

    pub(crate) fn write(&mut self, text: &[u8]) -> Result<(), StoreError> {
        if self.intake.is_none()
            && let Left::Memory(memory) = &mut self.left
        {
            if memory.len() + text.len() <= self.limit {
                memory.extend_from_slice(text);
                self.len += text.len() as u64;
                return Ok(());
            }
            let memory = std::mem::take(memory);
            self.intake = Some(Box::new(Intake::new(&self.store)));
            memory.chunks(STEP).try_for_each(|text| self.take_in(text))?;
        }
        self.len += text.len() as u64;
        let max = self.store.config.message_max;
        if self.len > max {
            return Err(StoreError::TooLarge { max });
        }
        self.take_in(text)
    }

    fn take_in(&mut self, text: &[u8]) -> Result<(), StoreError> {
        let Self { store, limit, ahead, intake, left, .. } = self;
        let Some(intake) = intake else { return Ok(()) };
        intake.push(text, &mut |bytes| left.push(bytes, store, *limit, ahead))
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether saving it waits for a disk: it is in files, or parts of it may have to go to files.
    pub(crate) fn is_large(&self) -> bool {
        self.intake.is_some() || self.store.may_be_cut(self.len)
    }

    /// The message is complete; what is large enough of its parts stands apart from now on.
    ///
    /// # Errors
    /// A file of the spool directory can't be written, or read.
    pub(crate) fn finish(mut self) -> Result<(Body, Option<Cuts>), StoreError> {
        let Some(intake) = self.intake.take() else { return self.finish_small() };
        let Self { store, limit, ahead, left, len, .. } = &mut self;
        let (facts, cuts) =
            intake.finish(*len, &mut |bytes| left.push(bytes, store, *limit, ahead))?;
        let text = match self.left {
            Left::Memory(text) => return Ok((Body::Memory(text.into()), cuts)),
            Left::File(writer) => writer.finish()?,
        };
        Ok((Body::Large { text, facts }, cuts))
    }

    /// One that was held in memory.
    fn finish_small(self) -> Result<(Body, Option<Cuts>), StoreError> {
        let Left::Memory(text) = self.left else {
            return Err(StoreError::Cannot("the message was not looked at"));
        };
        if self.store.may_be_cut(self.len) {
            let (mut intake, mut left) = (Intake::new(&self.store), Vec::new());
            let mut stays = |bytes: &[u8]| {
                left.extend_from_slice(bytes);
                Ok(())
            };
            text.chunks(STEP).try_for_each(|text| intake.push(text, &mut stays))?;
            // The facts of a message that stays whole are made while its change is on its way.
            if let (_, Some(cuts)) = intake.finish(self.len, &mut stays)? {
                return Ok((Body::Memory(left.into()), Some(cuts)));
            }
        }
        Ok((Body::Memory(text.into()), None))
    }
}

impl Left {
    fn push(
        &mut self,
        bytes: &[u8],
        store: &Arc<Store>,
        limit: usize,
        ahead: &Ahead,
    ) -> Result<(), StoreError> {
        match self {
            Self::Memory(memory) if memory.len() + bytes.len() <= limit => {
                memory.extend_from_slice(bytes);
                Ok(())
            }
            Self::Memory(memory) => {
                let mut writer = LargeWriter::create(store, ahead)?;
                writer.push(memory)?;
                writer.push(bytes)?;
                *self = Self::File(Box::new(writer));
                Ok(())
            }
            Self::File(writer) => writer.push(bytes),
        }
    }
}

/// A file of the spool directory, unlinked when it is dropped.
pub(crate) struct Spool {
    pub(super) store: Arc<Store>,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    pub(super) len: u64,
    /// It has another name now.
    renamed: AtomicBool,
}

impl Spool {
    pub(super) fn create(store: &Arc<Store>) -> Result<Self, StoreError> {
        let number = u64::from_le_bytes(store.random());
        let path = store.spool_dir().join(format!("{number:016x}"));
        let fs = store.files.fs();
        fs.create_dir_all(&store.spool_dir())
            .map_err(|error| StoreError::io("create", &store.spool_dir(), error))?;
        let file =
            fs.open(&path, Open::Write).map_err(|error| StoreError::io("create", &path, error))?;
        let renamed = AtomicBool::new(false);
        Ok(Self { store: store.clone(), path, file, len: 0, renamed })
    }

    /// Writes behind what was written.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.write_at(bytes, self.len)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    pub(super) fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), StoreError> {
        self.file
            .write_at(&[IoSlice::new(bytes)], at)
            .map_err(|error| StoreError::io("write", &self.path, error))
    }

    /// It is another's from now on, by another name.
    pub(super) fn is_renamed(&self) {
        self.renamed.store(true, Ordering::Relaxed);
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.renamed.load(Ordering::Relaxed) {
            // What can't be unlinked now goes at the next start.
            let _ = self.store.files.fs().unlink(&self.path);
        }
    }
}
