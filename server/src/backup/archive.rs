//! A manifest of a backup, as a file system that can only be read: whatever reads a store's files reads these.

use super::create::{APART, TOGETHER};
use super::error::Error;
use super::manifest::{Manifest, Object, Piece};
use super::repository::Repository;
use dbox_format::attachment::Hasher;
use runtime_smol::fs::{self, Entry, File, Fs, Lock, LockError, Meta, Open, read_exact_at};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io::{self, ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Objects up to this length are read, and held against their names, as a whole.
pub(crate) const SHORT: u64 = TOGETHER as u64 + APART;
/// How many of them are remembered.
const REMEMBERED: usize = 8;
/// Bytes that are read at once.
const STEP: usize = 256 << 10;

/// See the module.
pub(crate) struct Archive {
    repository: Arc<Repository>,
    objects: Vec<Object>,
    /// Files by path, and the names in each directory.
    files: BTreeMap<PathBuf, (u64, Arc<[Piece]>)>,
    dirs: BTreeMap<PathBuf, BTreeSet<(OsString, bool)>>,
    /// Short objects that were read lately, by number.
    short: Mutex<VecDeque<(u32, Arc<Vec<u8>>)>>,
}

impl Archive {
    /// Shows the files of a manifest below `top`.
    pub(crate) fn new(repository: Arc<Repository>, manifest: &Manifest, top: &Path) -> Arc<Self> {
        let mut files = BTreeMap::new();
        let mut dirs: BTreeMap<PathBuf, BTreeSet<(OsString, bool)>> = BTreeMap::new();
        for file in &manifest.files {
            let path = top.join(&file.path);
            let (mut below, mut is_dir) = (path.as_path(), false);
            while let (Some(parent), Some(name)) = (below.parent(), below.file_name()) {
                dirs.entry(parent.to_owned()).or_default().insert((name.to_owned(), is_dir));
                (below, is_dir) = (parent, true);
            }
            files.insert(path, (file.len, file.pieces.clone().into()));
        }
        let objects = manifest.objects.clone();
        Arc::new(Self { repository, objects, files, dirs, short: Mutex::default() })
    }

    /// The paths of all files, with their lengths.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.files.iter().map(|(path, (len, _))| (path.as_path(), *len))
    }

    /// Gives all bytes of a file to `each`, in order, held against the names of their objects: after an error what was
    /// given is not to be used.
    pub(crate) fn read_checked(
        &self,
        path: &Path,
        each: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some((_, pieces)) = self.files.get(path) else {
            return Err(Error::damaged(path, "it is not in this generation"));
        };
        for Piece(number, at, len) in pieces.iter() {
            let object = self.object(*number).map_err(|error| Error::damaged(path, error))?;
            if object.len <= SHORT {
                let bytes = self.short(*number).map_err(|why| self.broken(object, &why))?;
                let range = usize::try_from(*at).ok().zip(usize::try_from(*len).ok());
                let part = range.and_then(|(at, len)| bytes.get(at..)?.get(..len));
                each(part.ok_or_else(|| self.broken(object, &ErrorKind::UnexpectedEof.into()))?)?;
            } else if (*at, *len) == (0, object.len) {
                self.stream(object, each)?;
            } else {
                return Err(Error::damaged(path, "it names a part of a long object"));
            }
        }
        Ok(())
    }

    fn broken(&self, object: Object, why: &io::Error) -> Error {
        Error::damaged(&self.repository.object_path(object.name), why)
    }

    fn stream(
        &self,
        object: Object,
        each: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        read_object(&self.repository, object, each)?
            .map_err(|why| Error::damaged(&self.repository.object_path(object.name), why))
    }

    fn object(&self, number: u32) -> io::Result<Object> {
        let wrong = || io::Error::other("the manifest names an object that it does not have");
        self.objects.get(number as usize).copied().ok_or_else(wrong)
    }

    fn short(&self, number: u32) -> io::Result<Arc<Vec<u8>>> {
        let mut short = self.short.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = short.iter().find(|(known, _)| *known == number) {
            return Ok(bytes.clone());
        }
        let bytes = self.repository.object(self.object(number)?).map_err(io::Error::other)?;
        let bytes = Arc::new(bytes);
        if short.len() >= REMEMBERED {
            short.pop_front();
        }
        short.push_back((number, bytes.clone()));
        Ok(bytes)
    }
}

/// Reads all of an object, and gives it to `each`. Within, what is wrong with it.
pub(crate) fn read_object(
    repository: &Repository,
    object: Object,
    each: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<Result<(), String>, Error> {
    let path = repository.object_path(object.name);
    let file = match repository.fs.open(&path, Open::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Err("it is missing".to_owned()));
        }
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut hasher = Hasher::new();
    let mut piece = vec![0; STEP];
    loop {
        match file.read_at(&mut piece, hasher.len()) {
            Ok(0) => break,
            Ok(count) => {
                let bytes = piece.get(..count).unwrap_or_default();
                hasher.update(bytes);
                each(bytes)?;
            }
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    Ok(if hasher.len() != object.len {
        Err(format!("it has {} bytes of {}", hasher.len(), object.len))
    } else if hasher.hash() != object.name.0 {
        Err("it does not have the bytes it is named after".to_owned())
    } else {
        Ok(())
    })
}

fn read_only<T>() -> io::Result<T> {
    Err(ErrorKind::ReadOnlyFilesystem.into())
}

/// What [`Fs`] wants of something that is shared.
pub(crate) struct ArchiveFs(pub(crate) Arc<Archive>);

impl Fs for ArchiveFs {
    fn open(&self, path: &Path, how: Open) -> io::Result<Arc<dyn File>> {
        match how {
            // Logs are opened so, also by those who only read them.
            Open::Read | Open::Append | Open::Write => {}
            Open::Create | Open::AppendOrCreate => return read_only(),
        }
        let (len, pieces) = self.0.files.get(path).ok_or(ErrorKind::NotFound)?.clone();
        Ok(Arc::new(ArchiveFile { archive: self.0.clone(), len, pieces }))
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        read_only()
    }

    fn link(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        read_only()
    }

    fn unlink(&self, _path: &Path) -> io::Result<()> {
        read_only()
    }

    fn create_dir_all(&self, _path: &Path) -> io::Result<()> {
        read_only()
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let names = self.0.dirs.get(path).ok_or(ErrorKind::NotFound)?;
        let entry =
            |(name, is_dir): &(OsString, bool)| Entry { name: name.clone(), is_dir: *is_dir };
        Ok(names.iter().map(entry).collect())
    }

    fn metadata(&self, path: &Path) -> io::Result<Option<Meta>> {
        let meta = |len, is_dir| Meta { len, is_dir, links: 1, inode: 0 };
        let file = self.0.files.get(path).map(|(len, _)| meta(*len, false));
        let dir = || self.0.dirs.contains_key(path).then(|| meta(0, true));
        Ok(file.or_else(dir))
    }

    fn remove_dir(&self, _path: &Path) -> io::Result<()> {
        read_only()
    }

    fn sync_all(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_space(&self, _dir: &Path) -> io::Result<u64> {
        Ok(0)
    }

    fn lock(&self, path: &Path) -> Result<Lock, LockError> {
        let source = ErrorKind::ReadOnlyFilesystem.into();
        Err(LockError::Io { path: path.to_owned(), source })
    }
}

struct ArchiveFile {
    archive: Arc<Archive>,
    len: u64,
    pieces: Arc<[Piece]>,
}

impl ArchiveFile {
    /// Reads from the one piece that has `offset`.
    fn some(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut start = 0;
        for Piece(number, at, len) in self.pieces.iter() {
            if offset >= start + len {
                start += len;
                continue;
            }
            let skip = offset - start;
            let count = usize::try_from(len - skip).unwrap_or(buf.len()).min(buf.len());
            let room = buf.get_mut(..count).unwrap_or_default();
            let object = self.archive.object(*number)?;
            if object.len <= SHORT {
                let bytes = self.archive.short(*number)?;
                let from = usize::try_from(at + skip).map_err(|_| ErrorKind::UnexpectedEof)?;
                let part = bytes.get(from..).and_then(|rest| rest.get(..count));
                room.copy_from_slice(part.ok_or(ErrorKind::UnexpectedEof)?);
            } else {
                let repository = &self.archive.repository;
                let file = repository.fs.open(&repository.object_path(object.name), Open::Read)?;
                read_exact_at(&*file, room, at + skip)?;
            }
            return Ok(count);
        }
        Ok(0)
    }
}

impl File for ArchiveFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut have = 0;
        while let Some(rest) = buf.get_mut(have..).filter(|rest| !rest.is_empty()) {
            match self.some(rest, offset + have as u64)? {
                0 => break,
                count => have += count,
            }
        }
        Ok(have)
    }

    fn read_now(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read_at(buf, offset)
    }

    fn append(&self, _parts: &[IoSlice<'_>]) -> io::Result<usize> {
        read_only()
    }

    fn position(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn write_at(&self, _parts: &[IoSlice<'_>], _offset: u64) -> io::Result<()> {
        read_only()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file whole, checked.
pub(crate) fn read_whole(archive: &Archive, path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    archive.read_checked(path, &mut |piece| {
        bytes.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

/// Writes a file of an archive to `to`, unsynced; its directory is made.
pub(crate) fn write_out(
    archive: &Archive,
    path: &Path,
    target: &dyn Fs,
    to: &Path,
    moved: &mut dyn FnMut(u64) -> Result<(), Error>,
) -> Result<(), Error> {
    let dir = fs::parent(to);
    target.create_dir_all(dir).map_err(Error::io("create", dir))?;
    let file = target.open(to, Open::Create).map_err(Error::io("create", to))?;
    archive.read_checked(path, &mut |bytes| {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = file.append(&[IoSlice::new(rest)]).map_err(Error::io("write", to))?;
            if count == 0 {
                return Err(Error::io("write", to)(ErrorKind::WriteZero.into()));
            }
            rest = rest.get(count..).unwrap_or_default();
        }
        moved(bytes.len() as u64)
    })
}
