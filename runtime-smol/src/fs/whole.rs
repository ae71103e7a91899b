//! Whole files: read, replaced, created so that only one wins.

use super::{File, Fs, Open};
use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a temporary file's name has between the name it will get and a number.
const TEMPORARY: &str = ".tmp-";

/// Temporary files that crashed writers may leave beside one name before a new one is refused.
const STALE_MAX: u32 = 1024;

/// The directory that holds `path`: `.` for a bare name.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Whether `name` is that of a temporary file of [`replace`] or [`create_linked`]: found at start, it is garbage.
#[must_use]
pub fn is_temporary(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let digits = name.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0
        && name.get(..name.len() - digits).is_some_and(|head| head.ends_with(TEMPORARY.as_bytes()))
}

/// The whole content of a file.
///
/// # Errors
/// Those of opening and reading.
pub fn read_all(fs: &dyn Fs, path: &Path) -> io::Result<Vec<u8>> {
    let file = fs.open(path, Open::Read)?;
    let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; len];
    let mut have = 0;
    while let Some(rest) = bytes.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, have as u64)? {
            0 => break,
            n => have += n,
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

/// Fills `buf` from `offset`.
///
/// # Errors
/// [`io::ErrorKind::UnexpectedEof`] when the file ends before, else those of reading.
pub fn read_exact_at(file: &dyn File, buf: &mut [u8], offset: u64) -> io::Result<()> {
    let mut have = 0;
    while let Some(rest) = buf.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + have as u64)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => have += n,
        }
    }
    Ok(())
}

/// Replaces `path` by a file with `bytes`, atomically and durably: temporary file beside it, sync, rename, sync of the
/// directory. After an error the old file is there, or the new one is and may yet go back at a power failure.
///
/// # Errors
/// Those of the calls it makes. The temporary file is removed when that is possible.
pub fn replace(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_checked(fs, path, bytes, false)
}

/// As [`replace`], and reads the temporary file back before it gets its name.
///
/// # Errors
/// [`io::ErrorKind::InvalidData`] when it reads otherwise than written, else as [`replace`].
pub fn replace_verified(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_checked(fs, path, bytes, true)
}

fn replace_checked(fs: &dyn Fs, path: &Path, bytes: &[u8], verify: bool) -> io::Result<()> {
    let temporary = write_temporary(fs, path, bytes)?;
    let checked = if verify { read_back(fs, &temporary, bytes) } else { Ok(()) };
    checked.and_then(|()| fs.rename(&temporary, path)).inspect_err(|_| {
        // What is left behind is swept at the next start.
        let _ = fs.unlink(&temporary);
    })?;
    fs.sync_dir(parent(path))
}

fn read_back(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    if read_all(fs, path)? == bytes {
        return Ok(());
    }
    let what = format!("{} reads otherwise than it was written", path.display());
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

/// Makes `path` with `bytes`, whole and durable from its first moment; of several writers one wins.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] to those that did not win, else those of the calls it makes.
pub fn create_linked(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_temporary(fs, path, bytes)?;
    let linked = fs.link(&temporary, path);
    let synced = linked.and_then(|()| fs.sync_dir(parent(path)));
    // After the sync: so no crash can leave the file with neither name. A left-over name is swept at the next start.
    let _ = fs.unlink(&temporary);
    synced
}

/// A synced file with `bytes` beside `path`.
fn write_temporary(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let (temporary, file) = create_temporary(fs, path)?;
    append_all(&*file, bytes).and_then(|()| file.sync_data()).inspect_err(|_| {
        let _ = fs.unlink(&temporary);
    })?;
    Ok(temporary)
}

fn create_temporary(fs: &dyn Fs, path: &Path) -> io::Result<(PathBuf, Arc<dyn File>)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    for number in 0..STALE_MAX {
        let mut temporary = OsString::from(name);
        temporary.push(format!("{TEMPORARY}{number}"));
        let temporary = path.with_file_name(temporary);
        match fs.open(&temporary, Open::Create) {
            Ok(file) => return Ok((temporary, file)),
            // Another writer, or one that died: the next number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Appends all of `bytes`. Continuing is right here: nobody else knows the file.
fn append_all(file: &dyn File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = file.append(&[IoSlice::new(bytes)])?;
        bytes = bytes.get(n..).filter(|_| n > 0).ok_or(io::ErrorKind::WriteZero)?;
    }
    Ok(())
}

/// Makes `path` and its missing parents, each durably in the directory that holds it.
///
/// # Errors
/// Those of making and syncing directories.
pub fn create_dirs_synced(fs: &dyn Fs, path: &Path) -> io::Result<()> {
    if fs.metadata(path)?.is_some_and(|meta| meta.is_dir) {
        return Ok(());
    }
    let dir = parent(path);
    if dir != path {
        create_dirs_synced(fs, dir)?;
    }
    fs.create_dir_all(path)?;
    fs.sync_dir(dir)
}
