//! The text of a message while it comes in, and when it has.
//!
//! Up to [`StoreConfig::gather_max`](super::config::StoreConfig::gather_max) bytes are held in memory; more go to a spool
//! file, which is gone when the text is dropped.

use super::attachments::{Cuts, Whole};
use super::cache::{Facts, Head};
use super::config::Attachments;
use super::error::StoreError;
use super::store::Store;
use imap_proto::mime::Mime;
use runtime_smol::fs::{File, Open};
use std::io::IoSlice;
use std::path::PathBuf;
use std::sync::Arc;

/// The text of a message that has all come in.
pub(crate) enum Body {
    /// Small: all of it.
    Memory(Arc<[u8]>),
    /// Large, with what was learnt of it on its way.
    Spool { spool: Spool, facts: Option<Box<Facts>> },
}

/// The text of a message while it comes in.
pub(crate) struct Gather {
    store: Arc<Store>,
    limit: usize,
    memory: Vec<u8>,
    spool: Option<Spool>,
    /// What is learnt of a message that goes to a file.
    head: Option<Head>,
}

impl Gather {
    /// Up to `limit` bytes stay in memory.
    pub(crate) fn new(store: Arc<Store>, limit: usize) -> Self {
        Self { store, limit, memory: Vec::new(), spool: None, head: None }
    }

    pub(crate) fn write(&mut self, text: &[u8]) -> Result<(), StoreError> {
        if self.spool.is_none() && self.memory.len() + text.len() > self.limit {
            let mut spool = Spool::create(&self.store)?;
            spool.write(&self.memory)?;
            if self.store.cache.is_on() || self.store.config.attachments != Attachments::Whole {
                let mut head = Head::new();
                head.feed(&self.memory);
                self.head = Some(head);
            }
            self.memory = Vec::new();
            self.spool = Some(spool);
        }
        match &mut self.spool {
            Some(spool) => {
                let max = self.store.config.message_max;
                if spool.len + text.len() as u64 > max {
                    return Err(StoreError::TooLarge { max });
                }
                spool.write(text)?;
                if let Some(head) = &mut self.head {
                    head.feed(text);
                }
                Ok(())
            }
            None => {
                self.memory.extend_from_slice(text);
                Ok(())
            }
        }
    }

    /// Whether the message is in a file.
    pub(crate) fn is_spooled(&self) -> bool {
        self.spool.is_some()
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.spool.as_ref().map_or(self.memory.len() as u64, |spool| spool.len)
    }

    /// Whether saving it waits for a disk: it is in a file, or parts of it may have to go to files.
    pub(crate) fn is_large(&self) -> bool {
        self.is_spooled() || self.store.may_be_cut(self.len())
    }

    /// The message is complete; what is large enough of its parts stands apart from now on.
    ///
    /// # Errors
    /// A file of the spool directory can't be written, or read.
    pub(crate) fn finish(self) -> Result<(Body, Option<Cuts>), StoreError> {
        let (cuts, mut parts) = (self.store.may_be_cut(self.len()), Vec::new());
        let mut look = |mime: &Mime| {
            if cuts {
                parts = mime.base64_bodies();
            }
        };
        let (body, facts) = match self.spool {
            Some(spool) => {
                let facts = self.head.and_then(|head| head.finish(&mut look)).map(Box::new);
                (Body::Spool { spool, facts: None }, facts)
            }
            None => {
                // Of a message that stays whole they are made while its change is on its way.
                let facts =
                    if cuts { Facts::of_with(&self.memory, &mut look).map(Box::new) } else { None };
                (Body::Memory(self.memory.into()), facts)
            }
        };
        self.store.cut(Whole { body, parts, facts }, self.limit)
    }
}

/// A large message in a file of its own, unlinked when it is dropped.
pub(crate) struct Spool {
    store: Arc<Store>,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn File>,
    pub(super) len: u64,
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
        Ok(Self { store: store.clone(), path, file, len: 0 })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_at(&[IoSlice::new(bytes)], self.len)
            .map_err(|error| StoreError::io("write", &self.path, error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What can't be unlinked now goes at the next start.
        let _ = self.store.files.fs().unlink(&self.path);
    }
}
