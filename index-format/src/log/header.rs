//! The header of a log file: whose log, which file of it, and what came before.

use crate::checksum::crc;
use crate::wire::Reader;
use crate::{Error, Guid, ModSeq, Uid};

/// What a log is about, and so what its payloads are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// One mailbox ([`crate::record`]).
    Mailbox,
    /// An account's message map; its payloads are defined with the containers.
    Map,
    /// An account's mailbox list ([`crate::list`]).
    List,
}

/// Where the file before this one ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Previous {
    /// Its number.
    pub file: u32,
    /// The first byte of it that does not count. Frames behind it never happened.
    pub end: u64,
}

/// The first [`Header::LEN`] bytes of each log file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// What the log is about.
    pub kind: Kind,
    /// The server whose changes have no origin of their own: the low bits of implicit modseqs.
    pub server: u8,
    /// The mailbox; for map and list a GUID of the account, so that no block of another one is taken for its own.
    pub owner: Guid,
    /// The number of this file; the first is 1.
    pub file: u32,
    /// The file before this one; none for the first.
    pub previous: Option<Previous>,
    /// How many transactions all files before this one hold.
    pub first_transaction: u64,
    /// The highest modseq so far.
    pub modseq: ModSeq,
    /// The UIDNEXT so far; 0 where there are no UIDs.
    pub uidnext: Uid,
    /// The UIDVALIDITY so far; 0 where there are no UIDs.
    pub uidvalidity: u32,
    /// The store's epoch when this file was made; it rises with each unclean start.
    pub epoch: u32,
    /// The random start of every checksum in this file. Never shown to anyone.
    pub seed: u64,
    /// Bits no version has given a meaning yet; kept as found.
    pub flags: u32,
}

impl Header {
    /// The length of a header in bytes; the first frame stands behind it.
    pub const LEN: usize = 88;
    /// The version this program writes, and the newest it reads.
    pub const VERSION: u16 = 1;

    /// Reads the header at the front of a log file.
    ///
    /// # Errors
    /// Too short, not a log, a newer version, a checksum that does not match, or a value that is not allowed.
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        let mut reader = Reader::new(file, 0);
        let bytes: [u8; Header::LEN] = reader.array("log header")?;
        let mut reader = Reader::new(&bytes, 0);
        let found = reader.array("magic")?;
        if found != MAGIC {
            return Err(Error::Magic { what: "log", expected: MAGIC, found });
        }
        let version = reader.u16("version")?;
        if version != Self::VERSION {
            return Err(Error::Version { what: "log", found: version, supported: Self::VERSION });
        }
        let (covered, sum) = bytes.split_at(Self::LEN - 4);
        let found = Reader::new(sum, 0).u32("header checksum")?;
        let computed = crc(covered);
        if found != computed {
            return Err(Error::Checksum { what: "log header", at: 0, found, computed });
        }
        let kind = match reader.u8("log kind")? {
            1 => Kind::Mailbox,
            2 => Kind::Map,
            3 => Kind::List,
            kind => {
                let found = kind.into();
                return Err(Error::Value { field: "log kind", at: 10, found, allowed: "1 to 3" });
            }
        };
        let server = reader.u8("server")?;
        if server > ModSeq::SERVER_MAX {
            return Err(Error::Value {
                field: "server",
                at: 11,
                found: server.into(),
                allowed: "0 to 63",
            });
        }
        let flags = reader.u32("flags")?;
        let owner = Guid(reader.array("owner")?);
        let file = reader.u32("file number")?;
        let previous_file = reader.u32("previous file")?;
        let previous_end = reader.u64("previous end")?;
        let previous =
            (previous_file > 0).then_some(Previous { file: previous_file, end: previous_end });
        if previous.is_none() && previous_end != 0 {
            let allowed = "0 when there is no previous file";
            return Err(Error::Value {
                field: "previous end",
                at: 40,
                found: previous_end,
                allowed,
            });
        }
        let header = Header {
            kind,
            server,
            owner,
            file,
            previous,
            first_transaction: reader.u64("first transaction")?,
            modseq: ModSeq(reader.u64("modseq")?),
            uidnext: Uid(reader.u32("UIDNEXT")?),
            uidvalidity: reader.u32("UIDVALIDITY")?,
            epoch: reader.u32("epoch")?,
            seed: reader.u64("seed")?,
            flags,
        };
        if header.modseq > ModSeq::MAX {
            let found = header.modseq.0;
            return Err(Error::Value { field: "modseq", at: 56, found, allowed: "below 2^63" });
        }
        Ok(header)
    }

    /// Writes the header at the end of `out`, which should be empty.
    pub fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&Self::VERSION.to_le_bytes());
        out.push(match self.kind {
            Kind::Mailbox => 1,
            Kind::Map => 2,
            Kind::List => 3,
        });
        out.push(self.server);
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&self.owner.0);
        out.extend_from_slice(&self.file.to_le_bytes());
        let (file, end) = self.previous.map_or((0, 0), |previous| (previous.file, previous.end));
        out.extend_from_slice(&file.to_le_bytes());
        out.extend_from_slice(&end.to_le_bytes());
        out.extend_from_slice(&self.first_transaction.to_le_bytes());
        out.extend_from_slice(&self.modseq.0.to_le_bytes());
        out.extend_from_slice(&self.uidnext.0.to_le_bytes());
        out.extend_from_slice(&self.uidvalidity.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.seed.to_le_bytes());
        let sum = crc(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&sum.to_le_bytes());
        debug_assert_eq!(out.len() - start, Self::LEN);
    }
}

const MAGIC: [u8; 8] = *b"LOFTlog\n";
