//! Open files and held locks of a simulated process.

use super::fault::{Failure, OpKind};
use super::world::InodeId;
use super::{Shared, SimFs};
use crate::fs::{File, Open};
use rustix::io::Errno;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) struct SimFile {
    fs: SimFs,
    inode: InodeId,
    path: Arc<Path>,
    how: Open,
    position: AtomicU64,
}

impl SimFile {
    /// The caller has counted the inode as open.
    pub(super) fn new(fs: SimFs, inode: InodeId, path: &Path, how: Open) -> Self {
        Self { fs, inode, path: path.into(), how, position: AtomicU64::new(0) }
    }

    fn step<T>(
        &self,
        kind: OpKind,
        act: impl FnOnce(&mut Shared, Option<Failure>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.fs.step(kind, &self.path, act)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut shared = self.fs.lock_shared();
        if let Some(count) = shared.open.get_mut(&self.inode) {
            *count -= 1;
            if *count == 0 {
                shared.open.remove(&self.inode);
            }
        }
    }
}

impl File for SimFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.step(OpKind::Read, |shared, _| {
            let bytes = shared.world.file(self.inode)?.now.read(buf, offset);
            *shared.read.entry(self.path.clone()).or_default() += bytes as u64;
            Ok(bytes)
        })
    }

    fn read_now(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.fs.lock_shared().cold {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.read_at(buf, offset)
    }

    fn append(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.how {
            Open::Append | Open::Create | Open::AppendOrCreate => {}
            Open::Read | Open::Write => return Err(Errno::BADF.into()),
        }
        let bytes = concat(parts);
        self.step(OpKind::Append, |shared, failure| {
            let end = shared.world.file(self.inode)?.now.len();
            let asked = match failure {
                Some(Failure::Short(max)) => bytes.len().min(max),
                _ => bytes.len(),
            };
            let n = usize::try_from(shared.room(end)).map_or(asked, |room| room.min(asked));
            if n == 0 && asked > 0 {
                return Err(Errno::NOSPC.into());
            }
            let written = bytes.get(..n).unwrap_or_default();
            if !written.is_empty() {
                shared.world.write(self.inode, written, end)?;
                self.position.store(end + n as u64, Ordering::Relaxed);
            }
            Ok(n)
        })
    }

    fn position(&self) -> io::Result<u64> {
        Ok(self.position.load(Ordering::Relaxed))
    }

    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        if self.how != Open::Write {
            return Err(Errno::BADF.into());
        }
        let bytes = concat(parts);
        self.step(OpKind::Write, |shared, _| {
            let len = shared.world.file(self.inode)?.now.len();
            let max = len.saturating_add(shared.room(len)).saturating_sub(offset);
            let n = usize::try_from(max).map_or(bytes.len(), |max| max.min(bytes.len()));
            let fits = bytes.get(..n).unwrap_or_default();
            if !fits.is_empty() {
                shared.world.write(self.inode, fits, offset)?;
            }
            if n < bytes.len() { Err(Errno::NOSPC.into()) } else { Ok(()) }
        })
    }

    fn len(&self) -> io::Result<u64> {
        self.step(OpKind::Metadata, |shared, _| Ok(shared.world.file(self.inode)?.now.len()))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step(OpKind::SyncData, |shared, failure| {
            if let Some(Failure::LostSync { evict }) = failure {
                shared.world.lose_file(self.inode, evict)?;
                return Err(Errno::IO.into());
            }
            Ok(shared.world.sync_file(self.inode)?)
        })
    }
}

fn concat(parts: &[IoSlice<'_>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len()).sum());
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

/// A held lock.
pub(super) struct Held {
    pub(super) fs: SimFs,
    pub(super) inode: InodeId,
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut shared = self.fs.lock_shared();
        if shared.locks.get(&self.inode) == Some(&self.fs.process) {
            shared.locks.remove(&self.inode);
        }
    }
}
