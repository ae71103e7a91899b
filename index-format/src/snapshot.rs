//! The state of a mailbox at one position of its log (`docs/formats/snapshot.md`).
//!
//! A header with the counters, a table of sections, then the sections: the UIDs as ranges apart from the columns, each
//! column as wide as its data needs, each section with a checksum of its own, so that it can be read alone.
//! Sections this version does not know are left alone. An overlay says what became of a snapshot, whose columns keep
//! their places.
//! A snapshot that does not check out is no error of the mailbox: the one before it and the log say the same.

mod column;
mod head;
pub(crate) mod load;
mod overlay;
mod parse;
mod sparse;
mod uids;
mod write;

use crate::mailbox::Counters;
use crate::{Guid, ModSeq, Uid};

pub use column::Column;
pub use head::{Head, Section};
pub use overlay::{Overlay, write_overlay};
pub use parse::Snapshot;
pub use uids::UidIndex;
pub use write::{write, write_with};

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
    /// See [`crate::mailbox::Mailbox::vanished_floor`].
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

impl Header {
    /// The version this program writes, and the newest it reads.
    pub const VERSION: u16 = 1;
    /// The length of a header in bytes; the table of sections stands behind it.
    pub const LEN: usize = 120;
}

/// What a section holds: the UIDs, a column by sequence, or what few rows have.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SectionId(pub u32);

impl SectionId {
    /// The UIDs, as ranges with a directory ([`UidIndex`]).
    pub const UIDS: SectionId = SectionId(1);
    /// Column: system flags.
    pub const FLAGS: SectionId = SectionId(2);
    /// Column: keywords.
    pub const KEYWORDS: SectionId = SectionId(3);
    /// Column: modseqs.
    pub const MODSEQS: SectionId = SectionId(4);
    /// Column: internal dates, as unsigned numbers with the top bit turned over so that their order stays.
    pub const INTERNAL_DATES: SectionId = SectionId(5);
    /// Column: save dates, in the same form. Either this one or [`Self::SAVE_DELAYS`].
    pub const SAVE_DATES: SectionId = SectionId(6);
    /// Column: save date less internal date, in the same form.
    pub const SAVE_DELAYS: SectionId = SectionId(7);
    /// Column: sizes.
    pub const SIZES: SectionId = SectionId(8);
    /// Column: map ids.
    pub const MAP_IDS: SectionId = SectionId(9);
    /// The names of keywords.
    pub const NAMES: SectionId = SectionId(16);
    /// What was expunged.
    pub const TOMBSTONES: SectionId = SectionId(17);
    /// UIDs that went without a row.
    pub const VOIDS: SectionId = SectionId(18);
    /// Named values.
    pub const METADATA: SectionId = SectionId(19);
    /// Users' own flags.
    pub const PRIVATE: SectionId = SectionId(20);
    /// GUIDs of rows that carry one.
    pub const GUIDS: SectionId = SectionId(21);
    /// Items of rows that carry one.
    pub const ITEMS: SectionId = SectionId(22);
    /// Reserved: a thread id for each row.
    pub const THREADS: SectionId = SectionId(23);
    /// The flags and keywords that expunged rows had.
    pub const KEPT: SectionId = SectionId(24);
    /// Of an overlay: which snapshot it belongs to.
    pub const BASE: SectionId = SectionId(32);
    /// Of an overlay: which of the snapshot's rows went.
    pub const EXPUNGED: SectionId = SectionId(33);
    /// Of an overlay: which of them changed.
    pub const CHANGED: SectionId = SectionId(34);
    /// Column of those that changed: system flags.
    pub const CHANGED_FLAGS: SectionId = SectionId(35);
    /// Column of those that changed: keywords.
    pub const CHANGED_KEYWORDS: SectionId = SectionId(36);
    /// Column of those that changed: modseqs.
    pub const CHANGED_MODSEQS: SectionId = SectionId(37);
    /// Of an overlay: which of the snapshot's rows got another save date.
    pub const DATED: SectionId = SectionId(38);
    /// Column of those: save dates.
    pub const DATES: SectionId = SectionId(39);
}

/// The length of an entry of the table of sections.
const ENTRY_LEN: usize = 24;
