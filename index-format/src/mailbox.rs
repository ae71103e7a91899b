//! The state of one mailbox: rows in UID order, counters, keywords, tombstones (a struct of arrays).
//!
//! A state that was made from a snapshot reads the snapshot's columns when they are first needed ([`Parts`]): UIDs and
//! counters are there from the start, and an append needs nothing more.
//!
//! Invariants:
//! - The state is a pure function of the log's bytes: who reads from the start and who starts from a snapshot end up
//!   equal, UIDs and modseqs included.
//! - UIDs ascend, are below UIDNEXT and are never used twice; UIDNEXT, UIDVALIDITY and HIGHESTMODSEQ never fall.
//! - A transaction applies whole or not at all.
//! - A row stays where it stands in the columns: an expunge touches none of them.

mod apply;
mod base;
mod builder;
mod column;
mod keywords;
mod load;
mod outcome;
mod parts;
mod read;
pub(crate) mod rows;
pub(crate) mod runs;
mod salvage;

use std::collections::BTreeMap;

use crate::record::{Tombstone, Transaction};
use crate::{Flags, Guid, ItemId, Keywords, MapId, ModSeq, Uid, UidSet, log};

pub(crate) use base::Base;
pub use builder::{KeywordError, NewMessage, TransactionBuilder};
pub use keywords::KeywordTable;
pub use outcome::{Applied, ApplyError, Expunged, ReplayError};
pub use parts::Parts;
pub use salvage::{Lost, Salvaged, UNKNOWN_KEYWORD};

/// How far the modseq's `t` jumps when a mailbox is first written in a newer epoch: past all that an unclean stop may
/// have shown and lost.
pub const EPOCH_JUMP: u64 = 1 << 20;
/// At least so many tombstones are kept; more only up to the number of messages.
pub const TOMBSTONES_LEAST: usize = 10_000;

/// One mailbox in memory. Two are equal when all that they show is; all parts of both have to be loaded for that.
#[derive(Clone, Debug)]
pub struct Mailbox {
    pub(crate) server: u8,
    pub(crate) uidvalidity: u32,
    pub(crate) uidnext: Uid,
    pub(crate) modseq: ModSeq,
    pub(crate) epoch: u32,
    pub(crate) transactions: u64,
    pub(crate) rows: rows::Rows,
    pub(crate) counters: Counters,
    pub(crate) first_unseen: usize,
    pub(crate) keywords: KeywordTable,
    pub(crate) tombstones: Vec<Tombstone>,
    pub(crate) voids: Vec<Voided>,
    pub(crate) vanished_floor: ModSeq,
    pub(crate) metadata: BTreeMap<Box<[u8]>, Box<[u8]>>,
    pub(crate) private: BTreeMap<Box<[u8]>, BTreeMap<Uid, PrivateFlags>>,
    /// The snapshot that this state was made from.
    pub(crate) base: Option<Box<Base>>,
}

/// What a mailbox adds up to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Rows.
    pub messages: u32,
    /// Rows without `\Seen`.
    pub unseen: u32,
    /// Rows with `\Deleted`.
    pub deleted: u32,
    /// The sum of their sizes in bytes (modulo 2^64, so that it depends on the rows alone).
    pub size: u64,
}

/// All that is kept about one message.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Row {
    /// Its UID.
    pub uid: Uid,
    /// Its system flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: Keywords,
    /// When it was last changed.
    pub modseq: ModSeq,
    /// INTERNALDATE, seconds since 1970.
    pub internal_date: i64,
    /// When it was saved here, seconds since 1970.
    pub save_date: i64,
    /// RFC822.SIZE in bytes.
    pub size: u64,
    /// Its number in the account's map.
    pub map_id: MapId,
    /// Its GUID, where its append carried one.
    pub guid: Option<Guid>,
    /// Its item, where its append carried one.
    pub item: Option<ItemId>,
}

/// What changes about a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Flagged {
    /// Its UID.
    pub uid: Uid,
    /// Its system flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: Keywords,
    /// When it was last changed.
    pub modseq: ModSeq,
}

/// UIDs that went, or were never shown, without a message to remember.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Voided {
    /// The lowest.
    pub first: Uid,
    /// The highest.
    pub last: Uid,
    /// When.
    pub modseq: ModSeq,
}

/// One user's own flags on one message.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PrivateFlags {
    /// The flags.
    pub flags: Flags,
    /// When they last changed.
    pub modseq: ModSeq,
}

impl Mailbox {
    /// An empty mailbox: UIDNEXT 1, a HIGHESTMODSEQ one step above nothing (RFC 7162 §3.1.2.1 wants it positive), no
    /// transactions. `server` makes the implicit
    /// modseqs, at most [`ModSeq::SERVER_MAX`].
    pub fn new(uidvalidity: u32, server: u8) -> Mailbox {
        Mailbox {
            server: server & ModSeq::SERVER_MAX,
            uidvalidity,
            uidnext: Uid(1),
            modseq: ModSeq::new(1, server),
            epoch: 0,
            transactions: 0,
            rows: rows::Rows::default(),
            counters: Counters::default(),
            first_unseen: 0,
            keywords: KeywordTable::default(),
            tombstones: Vec::new(),
            voids: Vec::new(),
            vanished_floor: ModSeq(0),
            metadata: BTreeMap::new(),
            private: BTreeMap::new(),
            base: None,
        }
    }

    /// Takes in the header of the next log file: its floors, its server, its epoch.
    ///
    /// # Errors
    /// [`ReplayError::Gap`] when the file does not start where this state is. (For a file that a snapshot points into,
    /// don't call this: the state has seen its header.)
    pub fn begin_file(&mut self, header: &log::Header) -> Result<(), ReplayError> {
        if header.first_transaction != self.transactions {
            let (file, first, known) = (header.file, header.first_transaction, self.transactions);
            return Err(ReplayError::Gap { file, first, known });
        }
        self.server = header.server;
        if header.epoch > self.epoch {
            // Nothing can have been shown of a mailbox that has no transactions.
            if self.transactions > 0 {
                self.modseq = apply::jumped(self.modseq, self.server);
            }
            self.epoch = header.epoch;
        }
        self.modseq = self.modseq.max(header.modseq);
        self.uidnext = self.uidnext.max(header.uidnext);
        self.uidvalidity = self.uidvalidity.max(header.uidvalidity);
        Ok(())
    }

    /// The header of a log file that goes on from here. The writer of a new file gives it to [`Self::begin_file`] as
    /// its readers will. `seed` is random and never shown.
    pub fn header(
        &self,
        owner: Guid,
        file: u32,
        previous: Option<log::Previous>,
        seed: u64,
    ) -> log::Header {
        log::Header {
            kind: log::Kind::Mailbox,
            server: self.server,
            owner,
            file,
            previous,
            first_transaction: self.transactions,
            modseq: self.modseq,
            uidnext: self.uidnext,
            uidvalidity: self.uidvalidity,
            epoch: self.epoch,
            seed,
            flags: 0,
        }
    }

    /// Applies all frames that are still to come and says how far the log counts. `on` sees each transaction with what
    /// it changed. All parts are loaded.
    ///
    /// # Errors
    /// A frame that checks out and cannot be read or does not follow: the state is that before it. The caller falls
    /// back to an older snapshot, and then to rebuilding.
    pub fn replay(
        &mut self,
        frames: &mut log::Frames<'_>,
        mut on: impl FnMut(&Transaction, &Applied),
    ) -> Result<log::End, ReplayError> {
        for frame in frames.by_ref() {
            let at = frame.start;
            let transaction = Transaction::decode(frame.payload, at)
                .map_err(|error| ReplayError::Decode { at, error })?;
            let applied =
                self.apply(&transaction).map_err(|error| ReplayError::Apply { at, error })?;
            on(&transaction, &applied);
        }
        Ok(frames.end())
    }

    /// Lets one transaction happen, and counts it. A writer encodes it first, so that one too long for a frame is known
    /// before it happens. What it [needs](Self::needs) is loaded.
    ///
    /// # Errors
    /// A transaction that does not follow from this state is counted and changes nothing.
    pub fn apply(&mut self, transaction: &Transaction) -> Result<Applied, ApplyError> {
        apply::apply(self, transaction)
    }

    /// UIDVALIDITY.
    pub fn uidvalidity(&self) -> u32 {
        self.uidvalidity
    }

    /// Takes in what the mailbox list says of it, which may have raised its UIDVALIDITY when it was renamed.
    pub fn raise_uidvalidity(&mut self, least: u32) {
        self.uidvalidity = self.uidvalidity.max(least);
    }

    /// UIDNEXT: the UID of the next append, unless it names its own.
    pub fn uidnext(&self) -> Uid {
        self.uidnext
    }

    /// HIGHESTMODSEQ.
    pub fn highest_modseq(&self) -> ModSeq {
        self.modseq
    }

    /// The epoch of the last writer; see [`crate::record::Prefix::epoch`].
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The server whose implicit modseqs these are.
    pub fn server(&self) -> u8 {
        self.server
    }

    /// How many transactions the log holds up to here, refused ones included.
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// What the rows add up to.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The index of the first row without `\Seen`.
    pub fn first_unseen(&self) -> Option<usize> {
        (self.first_unseen < self.len()).then_some(self.first_unseen)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.runs.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of keywords.
    pub fn keywords(&self) -> &KeywordTable {
        &self.keywords
    }

    /// What was expunged, by ascending modseq, as far as it is remembered ([`Parts::GONE`]).
    pub fn tombstones(&self) -> &[Tombstone] {
        &self.tombstones
    }

    /// UIDs that went without a row, by ascending modseq, as far as they are remembered ([`Parts::GONE`]).
    pub fn voids(&self) -> &[Voided] {
        &self.voids
    }

    /// Tombstones and voids are complete for everything above this modseq.
    pub fn vanished_floor(&self) -> ModSeq {
        self.vanished_floor
    }

    /// The UIDs that went after `modseq`; `None` when that is further back than anything remembers, and only the set
    /// of those that exist gives a full answer ([`Parts::GONE`]).
    pub fn vanished_since(&self, modseq: ModSeq) -> Option<UidSet> {
        if modseq < self.vanished_floor {
            return None;
        }
        let tombstones = self.tombstones.iter().filter(|tombstone| tombstone.modseq > modseq);
        let mut set: UidSet = tombstones.map(|tombstone| tombstone.uid).collect();
        for void in self.voids.iter().filter(|void| void.modseq > modseq) {
            set.insert_range(void.first..=void.last);
        }
        Some(set)
    }

    /// Forgets tombstones and voids ([`Parts::GONE`]) up to `modseq`. In-memory housekeeping before a snapshot: no log says it, so a
    /// reader from the start remembers more; UIDs, modseqs and rows don't depend on it.
    pub fn forget_vanished(&mut self, modseq: ModSeq) {
        self.tombstones.retain(|tombstone| tombstone.modseq > modseq);
        self.voids.retain(|void| void.modseq > modseq);
        self.vanished_floor = self.vanished_floor.max(modseq.min(self.modseq));
    }

    /// A named value of the mailbox.
    pub fn metadata(&self, key: &[u8]) -> Option<&[u8]> {
        self.metadata.get(key).map(|value| &**value)
    }

    /// All named values, by name.
    pub fn all_metadata(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.metadata.iter().map(|(key, value)| (&**key, &**value))
    }

    /// One user's own flags on a message.
    pub fn private_flags(&self, user: &[u8], uid: Uid) -> Option<PrivateFlags> {
        self.private.get(user)?.get(&uid).copied()
    }
}
