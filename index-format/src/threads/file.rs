//! The file of a mailbox's threads: what its messages say of themselves, in blocks that are only appended.

use super::{Fingerprint, Message};
use crate::checksum::crc;
use crate::wire::{Put, Reader};
use crate::{Error, Guid, Uid};
use std::collections::HashMap;

/// The longest block, in bytes without its head.
pub const BLOCK_MAX: usize = 1 << 24;

/// The header of a thread file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Whose fingerprints these are: in the store, the account.
    pub owner: Guid,
    /// The mailbox.
    pub mailbox: Guid,
}

impl Header {
    /// The length of a header in bytes; the first block stands behind it.
    pub const LEN: usize = 48;
    /// The version this program writes, and the only one it reads.
    pub const VERSION: u16 = 1;

    /// Reads a header.
    ///
    /// # Errors
    /// Not a thread file of this version, or a header that does not check out: the file is to be made anew.
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        let bytes: [u8; Self::LEN] = Reader::new(file, 0).array("thread file header")?;
        let mut reader = Reader::new(&bytes, 0);
        let found = reader.array("magic")?;
        if found != MAGIC {
            return Err(Error::Magic { what: "thread file", expected: MAGIC, found });
        }
        let version = reader.u16("version")?;
        if version != Self::VERSION {
            let what = "thread file";
            return Err(Error::Version { what, found: version, supported: Self::VERSION });
        }
        let reserved = reader.u16("reserved")?;
        let header =
            Header { owner: Guid(reader.array("owner")?), mailbox: Guid(reader.array("mailbox")?) };
        let computed = crc(bytes.get(..COVERED).unwrap_or_default());
        let found = reader.u32("header checksum")?;
        if found != computed {
            return Err(Error::Checksum { what: "thread file header", at: 0, found, computed });
        }
        if reserved != 0 {
            let found = reserved.into();
            return Err(Error::Value { field: "reserved", at: 10, found, allowed: "0" });
        }
        Ok(header)
    }

    /// Writes the header at the end of `out`, which should be empty.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&Self::VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.mailbox.0);
        debug_assert_eq!(out.len() - start, COVERED);
        let sum = crc(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&sum.to_le_bytes());
    }
}

/// Writes a block with these messages at the end of `out`.
///
/// # Errors
/// UIDs that don't ascend, a reference that is 0, or more than a block carries; `out` is as it was.
pub fn write_block<'a>(
    messages: impl IntoIterator<Item = Message<'a>>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    let result = write_messages(messages, out);
    let len = out.len() - start - HEAD;
    let most = BLOCK_MAX as u64;
    let fits = if len <= BLOCK_MAX {
        Ok(())
    } else {
        Err(Error::TooLong { what: "a block of threads", len: len as u64, max: most })
    };
    let result = result.and(fits);
    if result.is_err() {
        out.truncate(start);
        return result;
    }
    let sum = sum(len as u32, out.get(start + HEAD..).unwrap_or_default());
    let head = out.get_mut(start..start + HEAD).unwrap_or_default();
    head.get_mut(..4).unwrap_or_default().copy_from_slice(&(len as u32).to_le_bytes());
    head.get_mut(4..).unwrap_or_default().copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

fn write_messages<'a>(
    messages: impl IntoIterator<Item = Message<'a>>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let (mut ids, mut subjects) = (Names::default(), Names::default());
    let (mut rows, mut count) = (Vec::new(), 0u64);
    let (mut uid, mut came) = (0, 0);
    for message in messages {
        if message.uid.0 <= uid {
            let (field, at) = ("UID", rows.len() as u64);
            let found = message.uid.0.into();
            return Err(Error::Value { field, at, found, allowed: "above the one before it" });
        }
        rows.varint(u64::from(message.uid.0 - uid - 1));
        rows.varint_i64(message.came.wrapping_sub(came));
        rows.varint_i64(message.sent.wrapping_sub(message.came));
        rows.varint(subjects.code(message.subject) << 1 | u64::from(message.is_reply));
        rows.varint(ids.code(message.id));
        rows.varint(message.references.len() as u64);
        for reference in message.references {
            if *reference == 0 {
                let (field, at, allowed) = ("reference", rows.len() as u64, "not 0");
                return Err(Error::Value { field, at, found: 0, allowed });
            }
            rows.varint(ids.code(*reference));
        }
        (uid, came, count) = (message.uid.0, message.came, count + 1);
    }
    for names in [&ids, &subjects] {
        out.varint(names.list.len() as u64);
        for name in &names.list {
            out.extend_from_slice(&name.to_le_bytes());
        }
    }
    out.varint(count);
    out.extend_from_slice(&rows);
    Ok(())
}

/// Fingerprints of a block while it is written, in the order in which they come.
#[derive(Default)]
struct Names {
    numbers: HashMap<Fingerprint, u64>,
    list: Vec<Fingerprint>,
}

impl Names {
    /// 0 for none, 1 for one that comes for the first time, else how far back it came for the first time, and 1.
    fn code(&mut self, name: Fingerprint) -> u64 {
        if name == 0 {
            return 0;
        }
        let next = self.list.len() as u64;
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.list.push(name);
        }
        next - number + 1
    }
}

/// The blocks of a file, one after the other, up to the first that does not check out.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Blocks<'a> {
    /// The blocks behind the header of `file`.
    pub fn new(file: &'a [u8]) -> Self {
        Self { file, at: Header::LEN.min(file.len()) }
    }

    /// Where the next block stands; after the last one the end of what counts.
    pub fn at(&self) -> u64 {
        self.at as u64
    }

    /// Gives the messages of the next block to `each`, in their order; `None` at the end of the file.
    ///
    /// # Errors
    /// The block does not check out; what `each` has got of it counts for nothing, nor does anything behind it.
    pub fn next(&mut self, each: &mut impl FnMut(&Message<'_>)) -> Option<Result<(), Error>> {
        let rest = self.file.get(self.at..).filter(|rest| !rest.is_empty())?;
        let result = read_block(rest, self.at as u64, each);
        match result {
            Ok(len) => self.at += len,
            Err(_) => self.file = self.file.get(..self.at).unwrap_or_default(),
        }
        Some(result.map(|_| ()))
    }
}

fn read_block(rest: &[u8], at: u64, each: &mut impl FnMut(&Message<'_>)) -> Result<usize, Error> {
    let mut reader = Reader::new(rest, at);
    let len = reader.u32("block length")?;
    let found = reader.u32("block checksum")?;
    if len as usize > BLOCK_MAX {
        let (field, allowed) = ("block length", "up to 16 MiB");
        return Err(Error::Value { field, at, found: len.into(), allowed });
    }
    let payload = reader.bytes("block", len.into())?;
    let computed = sum(len, payload);
    if found != computed {
        return Err(Error::Checksum { what: "a block of threads", at, found, computed });
    }
    let mut reader = Reader::new(payload, at + HEAD as u64);
    let mut ids = Listed::read(&mut reader, "IDs")?;
    let mut subjects = Listed::read(&mut reader, "subjects")?;
    let count = reader.count("messages", MESSAGE_LEAST)?;
    let (mut uid, mut came) = (0u32, 0i64);
    let mut references = Vec::new();
    for _ in 0..count {
        let start = reader.at();
        let gap = reader.varint_u32("UID")?;
        uid = uid
            .checked_add(gap)
            .and_then(|uid| uid.checked_add(1))
            .ok_or(Error::Number { field: "UID", at: start })?;
        came = came.wrapping_add(reader.varint_i64("internal date")?);
        let sent = came.wrapping_add(reader.varint_i64("date")?);
        let (start, subject) = (reader.at(), reader.varint("subject")?);
        let is_reply = subject & 1 != 0;
        let subject = subjects.name(subject >> 1, "subject", start)?;
        let id = ids.read_name(&mut reader, "ID")?;
        references.clear();
        for _ in 0..reader.count("references", 1)? {
            let at = reader.at();
            let reference = ids.read_name(&mut reader, "reference")?;
            if reference == 0 {
                let allowed = "1 or more";
                return Err(Error::Value { field: "reference", at, found: 0, allowed });
            }
            references.push(reference);
        }
        let message =
            Message { uid: Uid(uid), came, sent, subject, is_reply, id, references: &references };
        each(&message);
    }
    reader.end("a block of threads")?;
    for (names, what) in [(&ids, "IDs"), (&subjects, "subjects")] {
        let left = names.count() - names.used;
        if left > 0 {
            return Err(Error::Trailing { what, at: reader.at(), count: left as u64 });
        }
    }
    Ok(HEAD + len as usize)
}

/// The fingerprints that a block introduces, and how many of them have come.
struct Listed<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl<'a> Listed<'a> {
    fn read(reader: &mut Reader<'a>, what: &'static str) -> Result<Self, Error> {
        let count = reader.count(what, NAME)?;
        let bytes = reader.bytes(what, count as u64 * NAME)?;
        Ok(Self { bytes, used: 0 })
    }

    fn count(&self) -> usize {
        self.bytes.len() / NAME as usize
    }

    fn read_name(
        &mut self,
        reader: &mut Reader<'_>,
        field: &'static str,
    ) -> Result<Fingerprint, Error> {
        let at = reader.at();
        let code = reader.varint(field)?;
        self.name(code, field, at)
    }

    /// The fingerprint for which [`Names::code`] gave this.
    fn name(&mut self, code: u64, field: &'static str, at: u64) -> Result<Fingerprint, Error> {
        if code == 0 {
            return Ok(0);
        }
        let wrong =
            Error::Value { field, at, found: code, allowed: "a fingerprint that is listed" };
        let back = usize::try_from(code - 1).ok();
        let number = back.and_then(|back| self.used.checked_sub(back)).ok_or(wrong.clone())?;
        let start = number * NAME as usize;
        let bytes =
            self.bytes.get(start..start + NAME as usize).and_then(|name| name.try_into().ok());
        let name = Fingerprint::from_le_bytes(bytes.ok_or(wrong.clone())?);
        self.used += usize::from(number == self.used);
        if name == 0 { Err(wrong) } else { Ok(name) }
    }
}

/// Of the length too, so that zeros are no block.
fn sum(len: u32, payload: &[u8]) -> u32 {
    crate::checksum::crc_of(&[&len.to_le_bytes(), payload])
}

const MAGIC: [u8; 8] = *b"LOFTthr\n";
/// The bytes the header's checksum covers; it stands behind them.
const COVERED: usize = Header::LEN - 4;
/// Length and checksum.
const HEAD: usize = 8;
/// Bytes of a fingerprint.
const NAME: u64 = 16;
/// The least bytes of a message.
const MESSAGE_LEAST: u64 = 6;
