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
use super::message::read_exact;
use super::store::Store;
use dbox_format::attachment::Lines;
use runtime_smol::fs::{File, Open};
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of a message in memory that are looked at in one step.
const STEP: usize = 16 << 10;

/// Bytes of a content that are put back while a message comes in, on an executor's thread: some milliseconds. Contents that
/// large stand apart, unless the store is set up otherwise.
const AT_ONCE: u64 = 1 << 20;

/// The text of a message that has all come in.
pub(crate) enum Body {
    /// Small: all of it.
    Memory(Arc<[u8]>),
    /// Large, with what was learnt of it on its way.
    Large { text: LargeText, facts: Option<Box<Facts>> },
}

/// The text of a message while it comes in.
pub(crate) struct Gather {
    len: u64,
    /// What looks at a message that is not held in memory.
    intake: Option<Box<Intake>>,
    skeleton: Skeleton,
}

/// What is not stored apart from a message.
pub(crate) struct Skeleton {
    store: Arc<Store>,
    /// So many bytes stay in memory.
    limit: usize,
    ahead: Ahead,
    so_far: SoFar,
    /// What comes behind that, where putting it there takes long: when the message is complete.
    late: Vec<Late>,
}

enum SoFar {
    Memory(Vec<u8>),
    File(Box<LargeWriter>),
}

enum Late {
    Text(Spool),
    /// The base64 of this content.
    Content(Spool, Lines),
}

impl Gather {
    /// Up to `limit` bytes stay in memory; of a record some is known `ahead`.
    pub(crate) fn new(store: Arc<Store>, limit: usize, ahead: Ahead) -> Self {
        let skeleton = Skeleton::new(store, limit, ahead);
        Self { len: 0, intake: None, skeleton }
    }

    pub(crate) fn write(&mut self, text: &[u8]) -> Result<(), StoreError> {
        if self.intake.is_none()
            && let SoFar::Memory(memory) = &mut self.skeleton.so_far
        {
            if memory.len() + text.len() <= self.skeleton.limit {
                memory.extend_from_slice(text);
                self.len += text.len() as u64;
                return Ok(());
            }
            let memory = std::mem::take(memory);
            let mut intake = Box::new(Intake::new(&self.skeleton.store));
            memory.chunks(STEP).try_for_each(|text| intake.push(text, &mut self.skeleton))?;
            self.intake = Some(intake);
        }
        self.len += text.len() as u64;
        let max = self.skeleton.store.config.message_max;
        if self.len > max {
            return Err(StoreError::TooLarge { max });
        }
        let Some(intake) = &mut self.intake else { return Ok(()) };
        intake.push(text, &mut self.skeleton)
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether saving it waits for a disk: it is in files, or parts of it may have to go to files.
    pub(crate) fn is_large(&self) -> bool {
        self.intake.is_some() || self.skeleton.store.may_be_cut(self.len)
    }

    /// The message is complete; what is large enough of its parts stands apart from now on.
    ///
    /// # Errors
    /// A file of the spool directory can't be written, or read.
    pub(crate) fn finish(self) -> Result<(Body, Option<Cuts>), StoreError> {
        let Self { len, intake, mut skeleton } = self;
        if let Some(intake) = intake {
            let (facts, cuts) = intake.finish(len, &mut skeleton)?;
            return Ok((skeleton.finish(facts)?, cuts));
        }
        // The facts of one that was held in memory and stays whole are made while its change is on its way.
        let store = skeleton.store.clone();
        let whole = skeleton.finish(None)?;
        if let Body::Memory(text) = &whole
            && store.may_be_cut(len)
        {
            let mut intake = Intake::new(&store);
            let mut left = Skeleton::new(store, text.len(), Ahead::default());
            text.chunks(STEP).try_for_each(|text| intake.push(text, &mut left))?;
            if let (_, Some(cuts)) = intake.finish(len, &mut left)? {
                return Ok((left.finish(None)?, Some(cuts)));
            }
        }
        Ok((whole, None))
    }
}

impl Skeleton {
    fn new(store: Arc<Store>, limit: usize, ahead: Ahead) -> Self {
        Self { store, limit, ahead, so_far: SoFar::Memory(Vec::new()), late: Vec::new() }
    }

    /// Goes on with these bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        match self.late.last_mut() {
            None => self.push_now(bytes),
            Some(Late::Text(spool)) => spool.write(bytes),
            Some(Late::Content(..)) => {
                let mut spool = Spool::create(&self.store)?;
                spool.write(bytes)?;
                self.late.push(Late::Text(spool));
                Ok(())
            }
        }
    }

    /// Goes on with the base64 of a content that is not worth a file.
    pub(super) fn put_back(&mut self, content: Spool, lines: Lines) -> Result<(), StoreError> {
        if content.len > AT_ONCE {
            self.late.push(Late::Content(content, lines));
            return Ok(());
        }
        content.lay_out(lines, &mut |text| self.push(text))
    }

    fn push_now(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        match &mut self.so_far {
            SoFar::Memory(memory) if memory.len() + bytes.len() <= self.limit => {
                memory.extend_from_slice(bytes);
                Ok(())
            }
            SoFar::Memory(memory) => {
                let mut writer = LargeWriter::create(&self.store, &self.ahead)?;
                writer.push(memory)?;
                writer.push(bytes)?;
                self.so_far = SoFar::File(Box::new(writer));
                Ok(())
            }
            SoFar::File(writer) => writer.push(bytes),
        }
    }

    /// All of it has come.
    fn finish(mut self, facts: Option<Box<Facts>>) -> Result<Body, StoreError> {
        for late in std::mem::take(&mut self.late) {
            match late {
                Late::Text(spool) => spool.each(&mut |text| self.push_now(text))?,
                Late::Content(spool, lines) => {
                    spool.lay_out(lines, &mut |text| self.push_now(text))?;
                }
            }
        }
        match self.so_far {
            SoFar::Memory(text) => Ok(Body::Memory(text.into())),
            SoFar::File(writer) => Ok(Body::Large { text: writer.finish()?, facts }),
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

    /// Gives its bytes, piece by piece.
    fn each(
        &self,
        give: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (mut at, mut step) = (0, vec![0; 4 * STEP]);
        while at < self.len {
            let len = usize::try_from(self.len - at).unwrap_or(usize::MAX).min(step.len());
            let bytes = step.get_mut(..len).unwrap_or_default();
            read_exact(&*self.file, bytes, at, true)
                .map_err(|error| StoreError::io("read", &self.path, error))?;
            give(bytes)?;
            at += len as u64;
        }
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
