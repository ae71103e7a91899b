//! The beginning of a snapshot: header and table of sections, from which each section can be read alone.

use super::{ENTRY_LEN, Header, Position, SectionId};
use crate::checksum::{crc, crc_of};
use crate::mailbox::Counters;
use crate::wire::Reader;
use crate::{Error, Guid, ModSeq, Uid};

/// Header and table of sections.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Head {
    pub(super) header: Header,
    /// The checksum of header and table.
    pub(super) sum: u32,
    sections: Vec<Section>,
}

/// What begins like this.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) magic: [u8; 8],
    pub(super) what: &'static str,
}

pub(super) const SNAPSHOT: Kind = Kind { magic: *b"LOFTsnp\n", what: "snapshot" };
pub(super) const OVERLAY: Kind = Kind { magic: *b"LOFTdlt\n", what: "overlay" };

/// Where a section stands in its file, and what its bytes sum up to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Section {
    /// What it holds.
    pub id: SectionId,
    /// Its first byte in the file.
    pub at: u64,
    /// Its length in bytes.
    pub len: u64,
    sum: u32,
}

impl Section {
    /// Whether `bytes` are what was written there.
    ///
    /// # Errors
    /// [`Error::Checksum`].
    pub fn check(&self, bytes: &[u8]) -> Result<(), Error> {
        let computed = crc(bytes);
        if computed != self.sum || bytes.len() as u64 != self.len {
            let (what, at, found) = ("a snapshot section", self.at, self.sum);
            return Err(Error::Checksum { what, at, found, computed });
        }
        Ok(())
    }

    /// Its bytes in the whole file, whose length the table was held against.
    pub(super) fn of<'a>(&self, file: &'a [u8]) -> &'a [u8] {
        file.get(self.at as usize..(self.at + self.len) as usize).unwrap_or_default()
    }
}

impl Head {
    /// So many bytes from the front of a file hold header and table, with room for a hundred sections more than there are.
    pub const READ: usize = 4096;

    /// Reads header and table from the beginning of a file of `file_len` bytes.
    ///
    /// # Errors
    /// Not a snapshot, a newer version, a header or table that does not check out, sections that are not the rest of
    /// the file.
    pub fn parse(beginning: &[u8], file_len: u64) -> Result<Head, Error> {
        Head::parse_kind(&SNAPSHOT, beginning, file_len)
    }

    pub(super) fn parse_kind(kind: &Kind, beginning: &[u8], file_len: u64) -> Result<Head, Error> {
        let what = kind.what;
        let mut reader = Reader::new(beginning, 0);
        let found = reader.array("magic")?;
        if found != kind.magic {
            return Err(Error::Magic { what, expected: kind.magic, found });
        }
        let version = reader.u16("version")?;
        if version != Header::VERSION {
            let (found, supported) = (version, Header::VERSION);
            return Err(Error::Version { what, found, supported });
        }
        let (header, count, len) = read_header(&mut reader)?;
        let found = reader.u32("header checksum")?;
        let table = reader.bytes("table of sections", u64::from(count) * ENTRY_LEN as u64)?;
        let computed = crc_of(&[beginning.get(..Header::LEN - 4).unwrap_or_default(), table]);
        if found != computed {
            let what = "a snapshot's header";
            return Err(Error::Checksum { what, at: 0, found, computed });
        }
        if len != file_len {
            let (field, allowed) = ("file length", "the length of the file");
            return Err(Error::Value { field, at: 108, found: len, allowed });
        }
        let sections = read_table(table, count, reader.at(), len)?;
        Ok(Head { header, sum: found, sections })
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The sections there are, ascending, also those this version does not know.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// A section, if there is one.
    pub fn section(&self, id: SectionId) -> Option<Section> {
        let index = self.sections.binary_search_by_key(&id, |section| section.id).ok()?;
        self.sections.get(index).copied()
    }

    /// A section that has to be there.
    pub(super) fn required(&self, id: SectionId) -> Result<Section, Error> {
        self.section(id).ok_or(Error::Value {
            field: "missing section",
            at: Header::LEN as u64,
            found: id.0.into(),
            allowed: "to be there",
        })
    }
}

/// Sections in ascending order, one behind the other from `from` to the end of the file.
fn read_table(table: &[u8], count: u32, from: u64, len: u64) -> Result<Vec<Section>, Error> {
    let mut end = from;
    let mut table = Reader::new(table, Header::LEN as u64);
    let mut sections: Vec<Section> = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let entry_at = table.at();
        let (id, sum) = (SectionId(table.u32("section")?), table.u32("section checksum")?);
        let (at, section_len) = (table.u64("section offset")?, table.u64("section length")?);
        let ascends = sections.last().is_none_or(|last| last.id < id);
        if !ascends || at != end || section_len > len.saturating_sub(end) {
            return Err(Error::Value {
                field: "section",
                at: entry_at,
                found: id.0.into(),
                allowed: "sections in ascending order, one behind the other",
            });
        }
        end += section_len;
        sections.push(Section { id, at, len: section_len, sum });
    }
    if end != len {
        let count = len.saturating_sub(end);
        return Err(Error::Trailing { what: "snapshot", at: end, count });
    }
    Ok(sections)
}

/// The header behind its version, the number of sections and the length of the file.
fn read_header(reader: &mut Reader<'_>) -> Result<(Header, u32, u64), Error> {
    let server = reader.u8("server")?;
    let reserved = reader.u8("reserved")?;
    if server > ModSeq::SERVER_MAX || reserved != 0 {
        let found = u64::from(server) | u64::from(reserved) << 8;
        return Err(Error::Value { field: "server", at: 10, found, allowed: "0 to 63" });
    }
    let flags = reader.u32("flags")?;
    let owner = Guid(reader.array("owner")?);
    let position = Position {
        file: reader.u32("log file")?,
        offset: reader.u64("log offset")?,
        transactions: reader.u64("transactions")?,
    };
    let uidvalidity = reader.u32("UIDVALIDITY")?;
    let uidnext = Uid(reader.u32("UIDNEXT")?);
    let modseq = ModSeq(reader.u64("modseq")?);
    let vanished_floor = ModSeq(reader.u64("vanished floor")?);
    let counters = Counters {
        messages: reader.u32("messages")?,
        unseen: reader.u32("unseen")?,
        deleted: reader.u32("deleted")?,
        size: reader.u64("size")?,
    };
    let first_unseen = reader.u32("first unseen")?.checked_sub(1);
    let epoch = reader.u32("epoch")?;
    let count = reader.u32("sections")?;
    let len = reader.u64("file length")?;
    let header = Header {
        owner,
        position,
        uidvalidity,
        uidnext,
        modseq,
        vanished_floor,
        counters,
        first_unseen,
        epoch,
        server,
        flags,
    };
    Ok((header, count, len))
}
