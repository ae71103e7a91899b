//! The write-ahead journal: one durable write for the changes of many files (`docs/formats/journal.md`).
//!
//! A segment is a file filled with zeros ahead, then with records from the front. A record is found through the length
//! of the one before it and never searched for; a length of zero is the end. The checksums begin with the segment's seed
//! and the record's number, so that no mail, no older record and no other segment can be taken for a record here.

use crate::{Error, Guid};

/// The usual length of a segment, in bytes.
pub const SEGMENT_LEN: u64 = 16 << 20;
/// The longest record, in bytes with its head.
pub const RECORD_MAX: usize = 8 << 20;
/// The longest body, in bytes.
pub const BODY_MAX: usize = 128 << 10;

/// Where the segment before ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Previous {
    /// Its number.
    pub segment: u64,
    /// The first byte of it that does not count, whatever stands there.
    pub end: u64,
}

/// The first [`Header::LEN`] bytes of a segment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Header {
    /// The store.
    pub store: Guid,
    /// The number of this segment.
    pub segment: u64,
    /// The segment before; none for the first.
    pub previous: Option<Previous>,
    /// The random start of every checksum in this segment. Never shown to anyone.
    pub seed: u64,
    /// The number of its first record; records are counted over all segments.
    pub first_record: u64,
    /// The store's epoch.
    pub epoch: u32,
    /// Bits no version has given a meaning yet; kept as found.
    pub flags: u32,
}

/// All parts of one change.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Record<'a> {
    /// What goes where. Parts of one account should stand together: its name is written once then.
    pub parts: Vec<Part<'a>>,
    /// The bodies that container parts refer to by index; each is stored once.
    pub bodies: Vec<&'a [u8]>,
}

/// What one file gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Part<'a> {
    /// The name of the account whose file it is.
    pub account: &'a [u8],
    /// Which file, where, what.
    pub target: Target<'a>,
}

/// Which file, where, what.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Target<'a> {
    /// Bytes of a container: `head`, the body, `tail`, from `offset` on.
    Container {
        /// The container's number.
        file: u32,
        /// The byte where it starts.
        offset: u64,
        /// What stands before the body.
        head: &'a [u8],
        /// The body, by its index in [`Record::bodies`].
        body: Option<u32>,
        /// What stands behind it.
        tail: &'a [u8],
    },
    /// A transaction of the message map.
    Map {
        /// Its number: how many transactions stand before it.
        transaction: u64,
        /// The frame's payload.
        payload: &'a [u8],
    },
    /// A transaction of the mailbox list.
    List {
        /// Its number: how many transactions stand before it.
        transaction: u64,
        /// The frame's payload.
        payload: &'a [u8],
    },
    /// A transaction of a mailbox.
    Mailbox {
        /// Which.
        guid: Guid,
        /// Its number: how many transactions stand before it.
        transaction: u64,
        /// The frame's payload.
        payload: &'a [u8],
    },
}

/// A record that checks out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Frame<'a> {
    /// Its number, counted over all segments.
    pub number: u64,
    /// Its first byte in the segment.
    pub start: u64,
    /// The first byte behind it.
    pub end: u64,
    /// What it carries: [`Record::decode`].
    pub payload: &'a [u8],
}

/// Why a segment ends where it does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// A length of zero, no room for a length, or where the next segment's header says.
    Clean,
    /// Bytes that are not a record.
    Torn,
}

/// The records of a segment that count, in order.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    at: u64,
    end: Option<End>,
}

impl Header {
    /// The length of a header in bytes; the first record stands behind it.
    pub const LEN: usize = 96;
    /// The version this program writes, and the newest it reads.
    pub const VERSION: u16 = 1;

    /// Reads the header of a segment.
    ///
    /// # Errors
    /// Too short, not a segment, a newer version, a checksum that does not match.
    pub fn parse(file: &[u8]) -> Result<Header, Error> {
        Err(Error::Trailing { what: "journal", at: 0, count: file.len() as u64 })
    }

    /// Writes the header at the end of `out`, which should be empty.
    pub fn write(&self, out: &mut Vec<u8>) {
        let _ = out;
    }
}

impl<'a> Record<'a> {
    /// Reads what a frame carries; borrows from it.
    ///
    /// # Errors
    /// Bytes that are not exactly one record in its one valid form.
    pub fn decode(payload: &'a [u8], at: u64) -> Result<Record<'a>, Error> {
        Err(Error::Trailing { what: "record", at, count: payload.len() as u64 })
    }

    /// Writes the record as frame `number` of the segment with `header`, at the end of `out`. Each body is copied once,
    /// from its slice to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`] beyond [`RECORD_MAX`] or [`BODY_MAX`]; [`Error::Value`] for a body index without a body.
    pub fn write(&self, header: &Header, number: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        let _ = (header, number, out);
        Ok(())
    }

    /// How many bytes [`Self::write`] adds.
    pub fn encoded_len(&self) -> usize {
        0
    }
}

impl<'a> Frames<'a> {
    /// The records of a whole segment whose header is `header`. `end` is what the next segment's header says about this
    /// one's end, when there is a next: nothing from there on counts.
    pub fn new(segment: &'a [u8], header: &Header, end: Option<u64>) -> Frames<'a> {
        let _ = (header, end);
        Frames { bytes: segment, at: Header::LEN as u64, end: None }
    }

    /// Why it ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Where the next record starts, or the end is.
    pub fn offset(&self) -> u64 {
        self.at
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let _ = self.bytes;
        self.end = Some(End::Clean);
        None
    }
}
