//! What a mailbox's log says: transactions, made of records (`docs/formats/log.md`).
//!
//! On a server alone an append carries no UID and a transaction no modseq: both follow from where it stands in the log,
//! so that every reader derives the same. What replication needs instead is optional and costs no byte when absent.

pub(crate) mod decode;
pub(crate) mod encode;
mod kind;

use crate::{Error, Flags, Guid, ItemId, Keywords, MapId, ModSeq, Uid, UidSet};

pub use encode::Names;

/// The most keywords a mailbox can have.
pub const KEYWORDS_MAX: usize = 64;
/// The longest keyword name, in bytes.
pub const KEYWORD_NAME_MAX: usize = 255;
/// The longest metadata key or user name, in bytes.
pub const KEY_MAX: usize = 1024;
/// The longest metadata value, in bytes.
pub const VALUE_MAX: usize = 64 << 10;

/// What happens together or not at all: the payload of one frame.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Transaction {
    /// What holds for all its records.
    pub prefix: Prefix,
    /// What happens, in this order.
    pub records: Vec<Record>,
}

/// What a transaction says about itself; all absent on a server alone in its ordinary life.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Prefix {
    /// The modseq this transaction's changes take, instead of the one that follows from its place. Must be higher than
    /// the last.
    pub modseq: Option<ModSeq>,
    /// The store's epoch, when it is newer than the mailbox's: the implicit modseq jumps by 2^20 steps, past all that
    /// may have been shown before an unclean start.
    pub epoch: Option<u32>,
    /// Where a replicated transaction was made.
    pub origin: Option<Origin>,
}

/// Where and when a replicated transaction was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Origin {
    /// The server that made it.
    pub server: u8,
    /// Its number in that server's gap-free stream.
    pub sequence: u64,
    /// Hybrid logical clock: milliseconds since 1970 in the upper 48 bits, a counter in the lower 16.
    pub clock: u64,
}

/// One thing that happens in a mailbox.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Record {
    /// A message appears.
    Append(Append),
    /// STORE +FLAGS, system flags. UIDs without a message are ignored, here and below.
    FlagsAdd {
        /// Which messages.
        uids: UidSet,
        /// The flags they get.
        flags: Flags,
    },
    /// STORE -FLAGS, system flags.
    FlagsRemove {
        /// Which messages.
        uids: UidSet,
        /// The flags they lose.
        flags: Flags,
    },
    /// STORE FLAGS: all flags and keywords at once.
    FlagsReplace {
        /// Which messages.
        uids: UidSet,
        /// Their system flags from now on.
        flags: Flags,
        /// Their keywords from now on.
        keywords: Keywords,
    },
    /// Number `number` of the keyword table is `name`: once per mailbox, restated once per file and in each snapshot.
    KeywordDefine {
        /// 0 to 63; numbers are given in ascending order.
        number: u8,
        /// The name, in the case first used. Names that differ only in ASCII case are one keyword.
        name: Box<str>,
    },
    /// STORE +FLAGS, one keyword.
    KeywordAdd {
        /// Which messages.
        uids: UidSet,
        /// The keyword's number.
        number: u8,
    },
    /// STORE -FLAGS, one keyword.
    KeywordRemove {
        /// Which messages.
        uids: UidSet,
        /// The keyword's number.
        number: u8,
    },
    /// Messages go.
    Expunge(UidSet),
    /// When messages were saved here (RFC 8514), for rows that exist; seconds since 1970.
    SaveDate {
        /// Which messages.
        uids: UidSet,
        /// The date they were saved.
        date: i64,
    },
    /// UIDVALIDITY is at least this.
    UidValidity(u32),
    /// UIDNEXT is at least this.
    UidNext(Uid),
    /// A named value of the mailbox (RFC 5464); `None` takes it away.
    Metadata {
        /// The entry's name.
        key: Box<[u8]>,
        /// Its value.
        value: Option<Box<[u8]>>,
    },
    /// System flags that only one user of a shared mailbox sees.
    PrivateFlags {
        /// Whose.
        user: Box<[u8]>,
        /// Which messages.
        uids: UidSet,
        /// The flags they get.
        add: Flags,
        /// The flags they lose, first.
        remove: Flags,
    },
    /// UIDs that went or were never shown: rows under them go without a tombstone, clients are told they vanished, and
    /// UIDNEXT rises above them.
    Void(UidSet),
    /// Restates what was expunged, for readers that did not see it happen.
    Tombstone(Tombstone),
}

/// A message as it appears in a mailbox.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Append {
    /// Its number in the account's map.
    pub map_id: MapId,
    /// INTERNALDATE, seconds since 1970.
    pub internal_date: i64,
    /// When it was saved here (RFC 8514); `None` is the same as the internal date.
    pub save_date: Option<i64>,
    /// RFC822.SIZE in bytes.
    pub size: u64,
    /// Its first system flags.
    pub flags: Flags,
    /// Its first keywords.
    pub keywords: Keywords,
    /// The low byte of the UID its writer expects; a reader that derives another refuses the transaction.
    pub anchor: Option<u8>,
    /// The UID, where the order of the log does not give it (replication, recovery). Not below UIDNEXT.
    pub uid: Option<Uid>,
    /// The message's GUID, where the map does not know it.
    pub guid: Option<Guid>,
    /// The item, where servers must agree on it.
    pub item: Option<ItemId>,
}

/// A message that was here.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tombstone {
    /// Its UID; never used again.
    pub uid: Uid,
    /// Its number in the account's map, for as long as the map keeps it.
    pub map_id: MapId,
    /// The modseq of the transaction that expunged it.
    pub modseq: ModSeq,
    /// Its GUID, when the row had one.
    pub guid: Option<Guid>,
    /// The flags and keywords it had, where that is known: for who brings it back. The record doesn't say it.
    pub kept: Option<(Flags, Keywords)>,
}

impl Transaction {
    /// A transaction of `records`, with nothing to say about itself.
    pub fn new(records: Vec<Record>) -> Transaction {
        Transaction { prefix: Prefix::default(), records }
    }

    /// Reads the payload of a frame; `at` is where it stands in its file, for errors.
    ///
    /// # Errors
    /// Bytes that are not exactly one transaction.
    pub fn decode(payload: &[u8], at: u64) -> Result<Transaction, Error> {
        let mut transaction = Transaction::default();
        decode::transaction(payload, at, &mut transaction)?;
        Ok(transaction)
    }

    /// [`Self::decode`] into a transaction whose memory is used again. After an error it holds what was read so far.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub fn decode_into(&mut self, payload: &[u8], at: u64) -> Result<(), Error> {
        decode::transaction(payload, at, self)
    }

    /// Writes the payload of a frame at the end of `out`, exactly these records, and notes in `names` which keyword
    /// names it introduces.
    ///
    /// # Errors
    /// A name, key or value that is too long, or a number that the format does not carry.
    pub fn encode(&self, names: &mut Names, out: &mut Vec<u8>) -> Result<(), Error> {
        encode::transaction(self, names, out)
    }
}
