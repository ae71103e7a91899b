//! Cache files: read whole, appended to, made anew. No call here syncs.

use super::{Loaded, WouldBlock};
use crate::store::account::Home;
use crate::store::files::Files;
use index_format::MapId;
use index_format::cache::{Header, Index, SPAN, write_encoded};
use runtime_smol::fs::{self, File, Open};
use std::io::{self, IoSlice};
use std::path::PathBuf;

/// The longest file that is read or written: some twenty times what is usual.
const FILE_MAX: usize = 32 << 20;
/// A file up to this many bytes is read on an executor's thread, when memory has it: less than a millisecond.
const INLINE: usize = 4 << 20;
/// Bytes of rows after which a block ends.
const BLOCK: usize = 1 << 20;

/// A row with its fields as they stand in a block.
pub(super) type Row<'a> = (MapId, [u8; 4], &'a [u8]);

/// The directory of an account's cache.
pub(super) fn directory(home: &Home) -> PathBuf {
    home.dir.join("cache")
}

/// The path of a file.
pub(super) fn path(home: &Home, number: u32) -> PathBuf {
    directory(home).join(format!("{number:08x}"))
}

/// The number that a file's name says.
pub(super) fn parse_name(name: &str) -> Option<u32> {
    let number = u32::from_str_radix(name, 16).ok()?;
    (format!("{number:08x}") == name).then_some(number)
}

/// What counts of a file, and whether it is to be made anew before anything is added.
pub(super) fn read(
    files: &Files,
    home: &Home,
    number: u32,
    wait: bool,
) -> Result<(Loaded, bool), WouldBlock> {
    let bytes = match read_all(files, home, number, wait) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && !wait => return Err(WouldBlock),
        Err(error) => {
            let missing = error.kind() == io::ErrorKind::NotFound;
            return Ok((empty(home, number), !missing));
        }
    };
    let Some(header) = own_header(&bytes, home, number) else {
        tell(files, home, number, "its header is not what it should be");
        return Ok((empty(home, number), true));
    };
    let mut index = Index::new(header);
    index.extend(bytes.get(Header::LEN..).unwrap_or_default());
    let torn = index.end() != bytes.len() as u64;
    if torn {
        tell(files, home, number, &format!("no block begins at byte {}", index.end()));
    }
    Ok((Loaded { bytes, index }, torn))
}

/// Says once what is wrong with a file. (Nobody syncs it: after a crash of the system it may be as torn as that.)
fn tell(files: &Files, home: &Home, number: u32, why: &str) {
    let path = path(home, number);
    if files.is_news(&path, why) {
        tracing::warn!(file = %path.display(), why, "a cache file is damaged; the messages are read again");
    }
}

fn read_all(files: &Files, home: &Home, number: u32, wait: bool) -> io::Result<Vec<u8>> {
    let file = files.fs().open(&path(home, number), Open::Read)?;
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    if len > FILE_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    if len > INLINE && !wait {
        return Err(io::ErrorKind::WouldBlock.into());
    }
    let mut bytes = vec![0; len];
    let mut have = 0;
    while let Some(rest) = bytes.get_mut(have..).filter(|rest| !rest.is_empty()) {
        let at = have as u64;
        match if wait { file.read_at(rest, at)? } else { file.read_now(rest, at)? } {
            0 => break,
            n => have += n,
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

fn empty(home: &Home, number: u32) -> Loaded {
    Loaded { bytes: Vec::new(), index: Index::new(header(home, number, 0)) }
}

fn header(home: &Home, number: u32, seed: u64) -> Header {
    Header { owner: home.owner, first: MapId(number.saturating_mul(SPAN)), span: SPAN, seed }
}

/// The header, when it is that of this file and no other's.
fn own_header(bytes: &[u8], home: &Home, number: u32) -> Option<Header> {
    let found = Header::parse(bytes).ok()?;
    (found == header(home, number, found.seed)).then_some(found)
}

/// What became of rows that were to be appended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Appended {
    /// The file has them.
    Done,
    /// There is no file, or none that can be appended to: it is to be made anew.
    NoFile,
    /// The file is as long as one may be: it is to begin anew, without what it has.
    Full,
}

/// Appends rows by one write.
pub(super) fn append(
    files: &Files,
    home: &Home,
    number: u32,
    rows: &[Row<'_>],
) -> io::Result<Appended> {
    let file = match files.fs().open(&path(home, number), Open::Append) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Appended::NoFile);
        }
        Err(error) => return Err(error),
    };
    let mut head = [0; Header::LEN];
    let read = file.read_at(&mut head, 0)?;
    let Some(header) = own_header(head.get(..read).unwrap_or_default(), home, number) else {
        return Ok(Appended::NoFile);
    };
    let mut out = Vec::new();
    write_blocks(&header, rows, &mut out)?;
    if file.len()? + out.len() as u64 > FILE_MAX as u64 {
        return Ok(Appended::Full);
    }
    if file.append(&[IoSlice::new(&out)])? == out.len() {
        Ok(Appended::Done)
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

/// Makes a file anew, with these rows; as many as it can have.
pub(super) fn renew(
    files: &Files,
    home: &Home,
    (number, seed): (u32, u64),
    rows: &[Row<'_>],
) -> io::Result<()> {
    let fs = files.fs();
    let mut room = FILE_MAX - Header::LEN - (FILE_MAX / BLOCK + 1) * 16;
    let fits = |row: &&Row<'_>| {
        let cost = row.2.len() + 16;
        room = room.saturating_sub(cost);
        room > 0
    };
    let rows: Vec<Row<'_>> = rows.iter().take_while(fits).copied().collect();
    let header = header(home, number, seed);
    let mut out = Vec::new();
    header.write(&mut out);
    write_blocks(&header, &rows, &mut out)?;
    fs.create_dir_all(&directory(home))?;
    let path = path(home, number);
    let temporary = path.with_extension("tmp");
    remove(files, &temporary)?;
    let file = fs.open(&temporary, Open::Create)?;
    append_all(&*file, &out).and_then(|()| fs.rename(&temporary, &path)).inspect_err(|_| {
        // What stays goes with the next sweep.
        let _ = fs.unlink(&temporary);
    })
}

/// Removes a file, if it is there.
pub(super) fn remove(files: &Files, path: &std::path::Path) -> io::Result<()> {
    match files.fs().unlink(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// The names in an account's cache.
pub(super) fn names(files: &Files, home: &Home) -> io::Result<Vec<fs::Entry>> {
    match files.fs().metadata(&directory(home))? {
        Some(meta) if meta.is_dir => files.fs().read_dir(&directory(home)),
        Some(_) | None => Ok(Vec::new()),
    }
}

fn append_all(file: &dyn File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = file.append(&[IoSlice::new(bytes)])?;
        bytes = bytes.get(n..).filter(|_| n > 0).ok_or(io::ErrorKind::WriteZero)?;
    }
    Ok(())
}

/// Blocks of about [`BLOCK`] bytes: damage costs the rows of one and of those behind it.
fn write_blocks(header: &Header, rows: &[Row<'_>], out: &mut Vec<u8>) -> io::Result<()> {
    out.reserve(rows.iter().map(|row| row.2.len() + 16).sum::<usize>() + 64);
    let mut rest = rows;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |row: &&Row<'_>| {
            bytes += row.2.len();
            bytes <= BLOCK
        };
        let count = rest.iter().take_while(fits).count().max(1);
        let (block, behind) = rest.split_at(count);
        write_encoded(header, 0, block, out).map_err(io::Error::other)?;
        rest = behind;
    }
    Ok(())
}
