//! The kernel's files.

use super::{Entry, File, Fs, Lock, LockError, Meta, Open};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

/// Parts one `writev(2)` takes (`IOV_MAX`).
const PARTS_MAX: usize = 1024;

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFs;

impl Fs for RealFs {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        let access = match how {
            Open::Read => OFlags::RDONLY,
            Open::Append => OFlags::RDWR | OFlags::APPEND,
            Open::Create => OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL,
            Open::AppendOrCreate => OFlags::RDWR | OFlags::APPEND | OFlags::CREATE,
            Open::Write => OFlags::RDWR | OFlags::CREATE,
        };
        let flags = access | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = retry(|| rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR))?;
        Ok(Arc::new(RealFile { fd, appends: access.contains(OFlags::APPEND) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let dir = open_dir(path)?;
        Ok(rustix::fs::fsync(dir)?)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            entries.push(Entry { name: entry.file_name(), is_dir: entry.file_type()?.is_dir() });
        }
        entries.sort();
        Ok(entries)
    }

    fn metadata(&self, path: &Path) -> io::Result<Option<Meta>> {
        match std::fs::metadata(path) {
            Ok(meta) => Ok(Some(Meta {
                len: meta.len(),
                is_dir: meta.is_dir(),
                links: meta.nlink(),
                inode: meta.ino(),
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(open_dir(dir)?)?)
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, path: &Path) -> Result<Lock, LockError> {
        lock(path).map_err(|source| LockError::Io { path: path.to_owned(), source })?
    }
}

fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(retry(|| rustix::fs::open(path, flags, Mode::empty()))?)
}

/// `flock(2)`: belongs to the open file, so that threads of one process exclude each other too.
fn lock(path: &Path) -> io::Result<Result<Lock, LockError>> {
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    match retry(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => {
            // The number is for people; who holds the lock is known to the kernel alone.
            file.set_len(0)?;
            writeln!(file, "{}", std::process::id())?;
            Ok(Ok(Lock::new(file)))
        }
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            file.rewind()?;
            file.take(32).read_to_string(&mut text)?;
            Ok(Err(LockError::Held { path: path.to_owned(), pid: text.trim().parse().ok() }))
        }
        Err(error) => Err(error.into()),
    }
}

struct RealFile {
    fd: OwnedFd,
    appends: bool,
}

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut have = 0;
        while let Some(rest) = buf.get_mut(have..).filter(|rest| !rest.is_empty()) {
            match retry(|| rustix::io::pread(&self.fd, &mut *rest, offset + have as u64))? {
                0 => break,
                n => have += n,
            }
        }
        Ok(have)
    }

    fn read_now(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let nowait = ReadWriteFlags::NOWAIT;
        let read = retry(|| {
            rustix::io::preadv2(&self.fd, &mut [IoSliceMut::new(&mut *buf)], offset, nowait)
        });
        match read {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.read_at(buf, offset),
            other => Ok(other?),
        }
    }

    fn append(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.appends {
            return Err(Errno::BADF.into());
        }
        // EINTR means that nothing was written, so this is no continued write.
        if parts.len() <= PARTS_MAX {
            return Ok(retry(|| rustix::io::writev(&self.fd, parts))?);
        }
        let whole: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        Ok(retry(|| rustix::io::write(&self.fd, &whole))?)
    }

    fn position(&self) -> io::Result<u64> {
        Ok(rustix::fs::tell(&self.fd)?)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        if self.appends {
            // Linux would append whatever the offset says.
            return Err(Errno::BADF.into());
        }
        let mut at = offset;
        for group in parts.chunks(PARTS_MAX) {
            let mut group = group.to_vec();
            let mut rest = group.as_mut_slice();
            IoSlice::advance_slices(&mut rest, 0); // drops empty parts in front
            while !rest.is_empty() {
                let n = retry(|| rustix::io::pwritev(&self.fd, rest, at))?;
                if n == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                at += n as u64;
                IoSlice::advance_slices(&mut rest, n);
            }
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstat(&self.fd)?;
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(rustix::fs::fdatasync(&self.fd)?)
    }
}

/// Repeats a call that a signal broke off before it did anything.
fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}
