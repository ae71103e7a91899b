//! A disk that counts the bytes that are read from its files and written to them.

use runtime_smol::fs::{Entry, File, Fs, Lock, LockError, Meta, Open};
use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Bytes read and written, by file.
type Bytes = BTreeMap<PathBuf, (u64, u64)>;

#[derive(Clone)]
pub(super) struct Counted<F> {
    pub(super) inner: F,
    bytes: Arc<Mutex<Bytes>>,
}

impl<F> Counted<F> {
    pub(super) fn new(inner: F) -> Self {
        Self { inner, bytes: Arc::default() }
    }

    pub(super) fn forget(&self) {
        self.bytes.lock().unwrap().clear();
    }

    /// Bytes read from files whose path has `part` in it.
    pub(super) fn read(&self, part: &str) -> u64 {
        self.sum(part, |(read, _)| read)
    }

    /// Bytes written to such files.
    pub(super) fn written(&self, part: &str) -> u64 {
        self.sum(part, |(_, written)| written)
    }

    fn sum(&self, part: &str, of: fn((u64, u64)) -> u64) -> u64 {
        let bytes = self.bytes.lock().unwrap();
        let named = bytes.iter().filter(|(path, _)| path.to_str().unwrap().contains(part));
        named.map(|(_, counts)| of(*counts)).sum()
    }
}

struct CountedFile {
    inner: Arc<dyn File>,
    path: PathBuf,
    bytes: Arc<Mutex<Bytes>>,
}

impl CountedFile {
    fn count(&self, read: usize, written: usize) {
        let mut bytes = self.bytes.lock().unwrap();
        let counts = bytes.entry(self.path.clone()).or_default();
        counts.0 += read as u64;
        counts.1 += written as u64;
    }
}

impl<F: Fs> Fs for Counted<F> {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let (inner, bytes) = (self.inner.open(path, how)?, self.bytes.clone());
        Ok(Arc::new(CountedFile { inner, path: path.to_owned(), bytes }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.link(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.inner.unlink(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.inner.read_dir(path)
    }

    fn metadata(&self, path: &Path) -> io::Result<Option<Meta>> {
        self.inner.metadata(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_dir(path)
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_all(dir)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_space(dir)
    }

    fn lock(&self, path: &Path) -> Result<Lock, LockError> {
        self.inner.lock(path)
    }
}

impl File for CountedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.inner.read_at(buf, offset)?;
        self.count(read, 0);
        Ok(read)
    }

    fn read_now(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.inner.read_now(buf, offset)?;
        self.count(read, 0);
        Ok(read)
    }

    fn append(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.inner.append(parts)?;
        self.count(0, written);
        Ok(written)
    }

    fn position(&self) -> io::Result<u64> {
        self.inner.position()
    }

    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.count(0, parts.iter().map(|part| part.len()).sum());
        self.inner.write_at(parts, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.inner.sync_data()
    }
}
