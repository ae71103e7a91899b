//! What became of a transaction: what it changed, or why it was refused.

use crate::{Error, MapId, ModSeq, Uid, UidSet};

/// What a transaction changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// The modseq its changes carry; `None` when no client can see a difference.
    pub modseq: Option<ModSeq>,
    /// The rows that appeared, in the order of the append records, all behind those that were there.
    pub appended: UidSet,
    /// Rows whose flags, keywords or private flags changed, without those appended.
    pub changed: UidSet,
    /// Rows that went, in the order of the records and ascending within each.
    pub expunged: Vec<Expunged>,
    /// UIDs that clients must be told are gone though no row was there.
    pub voided: UidSet,
    /// Whether a new keyword was defined.
    pub keywords: bool,
    /// Whether UIDVALIDITY rose.
    pub uidvalidity: bool,
}

/// A row that went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expunged {
    /// Where it stood just before its record was applied, counted from 0.
    pub index: usize,
    /// Its UID.
    pub uid: Uid,
    /// Its number in the account's map, whose reference goes with it.
    pub map_id: MapId,
    /// Its size in bytes.
    pub size: u64,
}

/// Why a transaction was refused. The state is as it was, apart from the count of transactions: it stays refused for
/// every reader alike.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// An append's anchor is not the UID that follows here: this state is not the one its writer saw.
    #[error("an append expects a UID that ends in {anchor:#04x}, next is {next}")]
    Anchor {
        /// The low byte the writer expected.
        anchor: u8,
        /// The UID that follows.
        next: Uid,
    },
    /// An explicit UID is below UIDNEXT.
    #[error("an append has UID {uid}, UIDNEXT is {next}")]
    UidUsed {
        /// The UID.
        uid: Uid,
        /// UIDNEXT.
        next: Uid,
    },
    /// There are no UIDs left (RFC 9051 §2.3.1.1: 32 bits).
    #[error("all UIDs are used")]
    UidsExhausted,
    /// An explicit modseq is not above the last, or too large for a client.
    #[error("a transaction has modseq {}, the last is {}", found.0, last.0)]
    ModSeq {
        /// The modseq of the transaction.
        found: ModSeq,
        /// HIGHESTMODSEQ.
        last: ModSeq,
    },
    /// A record names a keyword that was never defined.
    #[error("keyword {number} is not defined")]
    KeywordUnknown {
        /// Its number.
        number: u8,
    },
    /// A keyword's number or name is taken, or does not follow the last.
    #[error("keyword {number} cannot be called {name:?} here")]
    KeywordTaken {
        /// Its number.
        number: u8,
        /// Its name.
        name: Box<str>,
    },
    /// A name or value is longer than a log carries.
    #[error("{what} has {len} bytes, allowed are {max}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The longest allowed.
        max: usize,
    },
}

/// Why a log cannot follow this state.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The file starts behind or before the transactions known here.
    #[error("log file {file} starts at transaction {first}, the state is at {known}")]
    Gap {
        /// The file's number.
        file: u32,
        /// The transactions before it.
        first: u64,
        /// The transactions known.
        known: u64,
    },
    /// A frame that checks out holds what this program does not understand.
    #[error("the frame at byte {at}: {error}")]
    Decode {
        /// Where the frame starts.
        at: u64,
        /// What is wrong with it.
        error: Error,
    },
    /// A frame that checks out does not follow from this state.
    #[error("the frame at byte {at}: {error}")]
    Apply {
        /// Where the frame starts.
        at: u64,
        /// Why it was refused.
        error: ApplyError,
    },
}
