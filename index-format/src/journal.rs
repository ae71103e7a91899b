//! The write-ahead journal: one durable write for the changes of many files (`docs/formats/journal.md`).
//!
//! A segment is a file filled with zeros ahead, then with records from the front. A record is found through the length
//! of the one before it and never searched for; a length of zero is the end. The checksums begin with the segment's seed
//! and the record's number, so that no mail, no older record and no other segment can be taken for a record here.

mod frame;
mod header;
mod payload;

use crate::Guid;

pub use frame::{End, Frame, Frames};

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
    /// [`UNSYNCED`], and bits no version has given a meaning yet; kept as found.
    pub flags: u32,
}

/// Flag of a [`Header`]: records of this segment may have been told of before they were synced, so that a power failure
/// may leave none of them. A start raises the epoch, whatever it finds.
pub const UNSYNCED: u32 = 1;

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
