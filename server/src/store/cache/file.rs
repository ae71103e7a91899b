//! Cache files: read whole, appended to, made anew. No call here syncs.

use super::WouldBlock;
use super::held::{Loaded, Rows};
use super::kind::{Kind, Names};
use super::layout::Shelved;
use super::sent::Dates;
use crate::store::account::Home;
use crate::store::files::Files;
use imap_proto::mime::RENDERING;
use index_format::MapId;
use index_format::cache::sent::{Sent, SentFile, write_sent};
use index_format::cache::{Header, Index, write_encoded};
use runtime_smol::fs::{self, File, Open};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};

/// The longest file that is read or written: some twenty times what is usual.
const FILE_MAX: usize = 32 << 20;
/// A file up to this many bytes is read on an executor's thread, when memory has it: less than a millisecond.
const INLINE: usize = 4 << 20;
/// Those two, as they are read by.
pub(super) const SIZES: (usize, usize) = (INLINE, FILE_MAX);
/// Bytes of rows after which a block ends.
const BLOCK: usize = 1 << 20;

/// A row with its fields as they stand in a block.
pub(super) type Row<'a> = (MapId, [u8; 4], &'a [u8]);

/// The directory of an account's cache.
pub(super) fn directory(home: &Home) -> PathBuf {
    home.dir.join("cache")
}

/// The path of a file.
pub(super) fn path(home: &Home, number: u32, kind: Kind) -> PathBuf {
    directory(home).join(kind.file_name(number))
}

/// What counts of a file, and whether it is to be made anew before anything is added. `spare` is memory for it.
pub(super) fn read(
    files: &Files,
    home: &Home,
    (number, kind): (u32, Kind),
    (spare, wait): (Vec<u8>, bool),
) -> Result<(Loaded, bool), WouldBlock> {
    let bytes = match files.read_whole_into(spare, &path(home, number, kind), SIZES, wait) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && !wait => return Err(WouldBlock),
        Err(error) => {
            let missing = error.kind() == io::ErrorKind::NotFound;
            return Ok((nothing(home, number, kind), !missing));
        }
    };
    let path = path(home, number, kind);
    let Some(header) = own_header(&bytes, home, (number, kind)) else {
        tell(files, &path, "its header is not what it should be");
        return Ok((nothing(home, number, kind), true));
    };
    if kind == Kind::SENT {
        let Some(file) = SentFile::parse(&bytes, RENDERING) else {
            return Ok((nothing(home, number, kind), true));
        };
        let torn = file.end != bytes.len() as u64;
        if torn {
            tell(files, &path, &format!("no block begins at byte {}", file.end));
        }
        return Ok((Loaded::Sent(Dates::new(&file)), torn));
    }
    let (start, names) = (header.len(), Names::read(&header.names));
    let mut index = Index::of_maker(header, RENDERING);
    index.extend(bytes.get(start..).unwrap_or_default());
    let torn = index.end() != bytes.len() as u64;
    if torn {
        tell(files, &path, &format!("no block begins at byte {}", index.end()));
    }
    Ok((Loaded::Rows(Rows { bytes, index, names }), torn))
}

/// Says once what is wrong with a file. (Nobody syncs it: after a crash of the system it may be as torn as that.)
fn tell(files: &Files, path: &Path, why: &str) {
    if files.is_news(path, why) {
        tracing::warn!(file = %path.display(), why, "a cache file is damaged; the messages are read again");
    }
}

/// A file that has nothing.
pub(super) fn nothing(home: &Home, number: u32, kind: Kind) -> Loaded {
    let header = header(home, (number, kind), None, 0);
    if kind == Kind::SENT {
        let file = SentFile { header, rows: Vec::new(), blocks: 0, end: 0 };
        return Loaded::Sent(Dates::new(&file));
    }
    let index = Index::of_maker(header, RENDERING);
    Loaded::Rows(Rows { bytes: Vec::new(), index, names: None })
}

fn header(home: &Home, (number, kind): (u32, Kind), names: Option<&Names>, seed: u64) -> Header {
    let (span, group) = (kind.span(), kind.group);
    let names = names.map_or(Vec::new(), |names| names.written().to_vec());
    Header {
        owner: home.owner,
        first: MapId(number.saturating_mul(span)),
        span,
        seed,
        group,
        names,
    }
}

/// The header, when it is that of this file and no other's.
fn own_header(bytes: &[u8], home: &Home, file: (u32, Kind)) -> Option<Header> {
    let found = Header::parse(bytes).ok()?;
    let names = Names::read(&found.names);
    let is_own = found == header(home, file, names.as_ref(), found.seed)
        && names.as_ref().map_or(0, Names::hash) == file.1.names;
    is_own.then_some(found)
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

/// What a file is given.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    Rows(&'a [Row<'a>]),
    Sent(&'a [Sent]),
}

impl Given<'_> {
    fn write(self, header: &Header, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Given::Rows(rows) => write_blocks(header, rows, out),
            Given::Sent(rows) => write_sent(header, RENDERING, rows, out).map_err(io::Error::other),
        }
    }
}

/// Appends by one write; with what became of it the length of the file then.
pub(super) fn append(
    files: &Files,
    home: &Home,
    (number, kind): (u32, Kind),
    given: Given<'_>,
) -> io::Result<(Appended, u64)> {
    let file = match files.fs().open(&path(home, number, kind), Open::Append) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Appended::NoFile, 0));
        }
        Err(error) => return Err(error),
    };
    let mut head = [0; Header::LEN_MAX];
    let read = file.read_at(&mut head, 0)?;
    let header = own_header(head.get(..read).unwrap_or_default(), home, (number, kind));
    let Some(header) = header else { return Ok((Appended::NoFile, 0)) };
    let mut out = Vec::new();
    given.write(&header, &mut out)?;
    let len = file.len()? + out.len() as u64;
    if len > FILE_MAX as u64 {
        return Ok((Appended::Full, 0));
    }
    if file.append(&[IoSlice::new(&out)])? == out.len() {
        Ok((Appended::Done, len))
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

/// Makes a file anew, with these rows; as many as it can have. Gives its length.
pub(super) fn renew(
    files: &Files,
    home: &Home,
    (number, shelved): (u32, &Shelved),
    seed: u64,
    given: Given<'_>,
) -> io::Result<u64> {
    let kind = shelved.kind();
    let header = header(home, (number, kind), shelved.names.as_ref(), seed);
    let mut out = Vec::new();
    header.write(&mut out);
    match given {
        Given::Rows(rows) => {
            let mut room = FILE_MAX - Header::LEN_MAX - (FILE_MAX / BLOCK + 1) * 16;
            let fits = |row: &&Row<'_>| {
                let cost = row.2.len() + 16;
                room = room.saturating_sub(cost);
                room > 0
            };
            let rows: Vec<Row<'_>> = rows.iter().take_while(fits).copied().collect();
            Given::Rows(&rows).write(&header, &mut out)?;
        }
        Given::Sent(_) => given.write(&header, &mut out)?,
    }
    replace(files, home, &path(home, number, kind), &out)?;
    Ok(out.len() as u64)
}

/// Writes a file beside the old one and puts it in its place.
pub(super) fn replace(files: &Files, home: &Home, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fs = files.fs();
    fs.create_dir_all(&directory(home))?;
    let temporary = path.with_added_extension("tmp");
    remove(files, &temporary)?;
    let file = fs.open(&temporary, Open::Create)?;
    append_all(&*file, bytes).and_then(|()| fs.rename(&temporary, path)).inspect_err(|_| {
        // What stays goes with the next sweep.
        let _ = fs.unlink(&temporary);
    })
}

/// The names that a file's header has, if it is its own.
pub(super) fn names_of(files: &Files, home: &Home, file: (u32, Kind)) -> Option<Names> {
    let found = files.fs().open(&path(home, file.0, file.1), Open::Read).ok()?;
    let mut head = [0; Header::LEN_MAX];
    let read = found.read_at(&mut head, 0).ok()?;
    Names::read(&own_header(head.get(..read)?, home, file)?.names)
}

/// Removes a file, if it is there.
pub(super) fn remove(files: &Files, path: &Path) -> io::Result<()> {
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
        write_encoded(header, RENDERING, block, out).map_err(io::Error::other)?;
        rest = behind;
    }
    Ok(())
}
