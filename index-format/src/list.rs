//! An account's mailboxes: names, GUIDs, counters, subscriptions; its log's payloads and its snapshot
//! (`docs/formats/list.md`).
//!
//! Invariants:
//! - A name belongs to at most one mailbox: in log order the first creator wins, the others learn it ([`Outcome`]).
//! - A UIDVALIDITY is greater than every one this account ever had.
//! - Under one name UIDVALIDITYs only rise, whichever mailboxes have it one after the other.
//! - What is deleted or renamed leaves a tombstone.
//!
//! The hierarchy separator is `/`; names are UTF-8 without it at either end. What names are allowed, and that INBOX is
//! one name in any case, is for the callers to see to.

use std::collections::BTreeMap;
use std::sync::Arc;

mod apply;
mod payload;
pub(crate) mod snapshot;

use crate::mailbox::{Counters as Sums, ReplayError};
use crate::record::Prefix;
use crate::{Few, Guid, ModSeq, Uid, log};

/// The longest mailbox name, in bytes.
pub const NAME_MAX: usize = 4096;
/// The most tombstones kept.
pub const TOMBSTONES_MAX: usize = 10_000;

/// What a mailbox is for (RFC 6154 §2), one bit each.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct SpecialUse(pub u16);

impl SpecialUse {
    /// No special use.
    pub const NONE: SpecialUse = SpecialUse(0);
    /// `\All`
    pub const ALL: SpecialUse = SpecialUse(1);
    /// `\Archive`
    pub const ARCHIVE: SpecialUse = SpecialUse(2);
    /// `\Drafts`
    pub const DRAFTS: SpecialUse = SpecialUse(4);
    /// `\Flagged`
    pub const FLAGGED: SpecialUse = SpecialUse(8);
    /// `\Junk`
    pub const JUNK: SpecialUse = SpecialUse(16);
    /// `\Sent`
    pub const SENT: SpecialUse = SpecialUse(32);
    /// `\Trash`
    pub const TRASH: SpecialUse = SpecialUse(64);
    /// `\Important` (RFC 8457)
    pub const IMPORTANT: SpecialUse = SpecialUse(128);

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: SpecialUse) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The counters of a mailbox as absolute values, true at their modseq.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Messages, unseen, deleted, bytes.
    pub sums: Sums,
    /// UIDNEXT.
    pub uidnext: Uid,
    /// HIGHESTMODSEQ: what these values are true at.
    pub modseq: ModSeq,
}

/// One mailbox in the list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its identity, which outlives its names.
    pub guid: Guid,
    /// Its full name, UTF-8, levels separated by `/`.
    pub name: Arc<str>,
    /// Its UIDVALIDITY: from its creation, or from when it came to a name that another mailbox has had. (A mailbox's own
    /// log may raise it.)
    pub uidvalidity: u32,
    /// What it is for.
    pub special_use: SpecialUse,
    /// When it was created, seconds since 1970.
    pub created: i64,
    /// The list's modseq when it was created.
    pub created_modseq: ModSeq,
    /// UIDs from here on are `\Recent` for the next session that selects it. May lag.
    pub recent: Uid,
    /// Its counters, as of their modseq.
    pub counters: Counters,
    /// Who may do what: identifier to rights (RFC 4314), as text.
    pub acl: BTreeMap<Box<[u8]>, Box<[u8]>>,
    /// Named values (RFC 5464).
    pub metadata: BTreeMap<Box<[u8]>, Box<[u8]>>,
}

/// One thing that happens to the list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Record {
    /// A mailbox appears. Refused when the name is taken or the GUID known.
    Create {
        /// Its identity.
        guid: Guid,
        /// Its full name.
        name: Box<str>,
        /// Its UIDVALIDITY; raised when it is not above all before.
        uidvalidity: u32,
        /// What it is for.
        special_use: SpecialUse,
        /// When, seconds since 1970.
        time: i64,
    },
    /// A mailbox goes; those below it stay.
    Delete {
        /// Its identity.
        guid: Guid,
        /// When, seconds since 1970.
        time: i64,
    },
    /// A mailbox and all below it get another name; one whose new name another mailbox has had with a UIDVALIDITY that
    /// isn't below its own gets a new one. Refused when there is none, a new name is taken, or all are used.
    Rename {
        /// The name, which need not be a mailbox itself.
        from: Box<str>,
        /// The new name.
        to: Box<str>,
        /// When, seconds since 1970.
        time: i64,
    },
    /// A name is subscribed, whether or not there is such a mailbox.
    Subscribe(Box<str>),
    /// A name is not subscribed any more.
    Unsubscribe(Box<str>),
    /// What a mailbox is for, from now on.
    SpecialUse {
        /// Its identity.
        guid: Guid,
        /// What it is for.
        special_use: SpecialUse,
    },
    /// UIDs below this are not `\Recent` any more; never falls.
    Recent {
        /// Which mailbox.
        guid: Guid,
        /// The floor.
        uid: Uid,
    },
    /// Counters; ignored when older than those known.
    Counters {
        /// Which mailbox.
        guid: Guid,
        /// Their values.
        counters: Counters,
    },
    /// Every UIDVALIDITY from now on is above this.
    UidValidity(u32),
    /// The account's map has this many transactions at least; never falls.
    MapFloor(u64),
    /// Rights of one identifier; `None` takes them away.
    Acl {
        /// Which mailbox.
        guid: Guid,
        /// Who.
        identifier: Box<[u8]>,
        /// May do what.
        rights: Option<Box<[u8]>>,
    },
    /// A named value of a mailbox, or of the account; `None` takes it away.
    Metadata {
        /// Which mailbox; none for the account.
        guid: Option<Guid>,
        /// The entry's name.
        key: Box<[u8]>,
        /// Its value.
        value: Option<Box<[u8]>>,
    },
}

/// What happens together or not at all: the payload of one frame of `list.log`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Transaction {
    /// What it says about itself; all absent on a server alone.
    pub prefix: Prefix,
    /// What happens, in this order.
    pub records: Vec<Record>,
}

/// A name that went.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tombstone {
    /// The mailbox that had it.
    pub guid: Guid,
    /// The name.
    pub name: Arc<str>,
    /// The name it has since; `None` when it was deleted.
    pub renamed_to: Option<Arc<str>>,
    /// Its UIDVALIDITY under this name.
    pub uidvalidity: u32,
    /// The list's modseq of that change.
    pub modseq: ModSeq,
    /// When, seconds since 1970.
    pub time: i64,
}

/// What became of one record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It happened.
    Done,
    /// It changed nothing: so it was already, or it is older than what is known.
    Same,
    /// The mailbox was created, with this UIDVALIDITY.
    Created {
        /// The UIDVALIDITY it got.
        uidvalidity: u32,
    },
    /// The mailbox is gone.
    Deleted(Box<Entry>),
    /// These mailboxes have other names now; in the order of the names.
    Renamed(Vec<Guid>),
    /// Refused: the name belongs to this mailbox, which was first.
    NameTaken(Guid),
    /// Refused: there is no such mailbox.
    Missing,
    /// Refused: the GUID is or was that of another mailbox, the name is not one, something is too long, or all
    /// UIDVALIDITYs are used.
    Invalid,
}

/// What a transaction changed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// The list's modseq of this change; `None` when nothing changed that a client sees.
    pub modseq: Option<ModSeq>,
    /// One for each record.
    pub outcomes: Vec<Outcome>,
}

/// An account's mailboxes in memory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct List {
    server: u8,
    epoch: u32,
    transactions: u64,
    modseq: ModSeq,
    uidvalidity: u32,
    entries: Few<Guid, Box<Entry>>,
    /// The same bytes as in the entries.
    names: Few<Arc<str>, Guid>,
    subscriptions: Few<Box<str>, ()>,
    tombstones: Vec<Tombstone>,
    metadata: BTreeMap<Box<[u8]>, Box<[u8]>>,
    map_floor: u64,
}

impl List {
    /// A list without mailboxes; `server` makes its modseqs.
    pub fn new(server: u8) -> List {
        List { server: server & ModSeq::SERVER_MAX, ..List::default() }
    }

    /// Takes in the header of the next log file.
    ///
    /// # Errors
    /// [`ReplayError::Gap`] when the file does not start where this state is. (For a file that a snapshot points into,
    /// don't call this.)
    pub fn begin_file(&mut self, header: &log::Header) -> Result<(), ReplayError> {
        if header.first_transaction != self.transactions {
            let (file, first, known) = (header.file, header.first_transaction, self.transactions);
            return Err(ReplayError::Gap { file, first, known });
        }
        self.server = header.server;
        self.epoch = self.epoch.max(header.epoch);
        self.modseq = self.modseq.max(header.modseq);
        self.uidvalidity = self.uidvalidity.max(header.uidvalidity);
        Ok(())
    }

    /// The header of a log file that goes on from here. `seed` is random and never shown.
    pub fn header(
        &self,
        owner: Guid,
        file: u32,
        previous: Option<log::Previous>,
        seed: u64,
    ) -> log::Header {
        log::Header {
            kind: log::Kind::List,
            server: self.server,
            owner,
            file,
            previous,
            first_transaction: self.transactions,
            modseq: self.modseq,
            uidnext: Uid(0),
            uidvalidity: self.uidvalidity,
            epoch: self.epoch,
            seed,
            flags: 0,
        }
    }

    /// Applies all frames that are still to come and says how far the log counts.
    ///
    /// # Errors
    /// A frame that checks out and cannot be read: the state is that before it.
    pub fn replay(
        &mut self,
        frames: &mut log::Frames<'_>,
        mut on: impl FnMut(&Transaction, &Applied),
    ) -> Result<log::End, ReplayError> {
        for frame in frames.by_ref() {
            let at = frame.start;
            let transaction = Transaction::decode(frame.payload, at)
                .map_err(|error| ReplayError::Decode { at, error })?;
            let applied = self.apply(&transaction);
            on(&transaction, &applied);
        }
        Ok(frames.end())
    }

    /// The UIDVALIDITY for a mailbox created at `now` (seconds since 1970): above the time and above all there were.
    pub fn next_uidvalidity(&self, now: i64) -> u32 {
        let now = u32::try_from(now.max(0)).unwrap_or(u32::MAX);
        now.max(self.uidvalidity).saturating_add(1)
    }

    /// Gives every mailbox a UIDVALIDITY of its own above `above` and above all that this account ever had: for a list
    /// that is brought back as it was, while clients have seen what came after (RFC 9051 §2.3.1.1). No record says this; the
    /// list is to be written as a snapshot. `false` when there are not enough left.
    #[must_use]
    pub fn renew_uidvalidities(&mut self, above: u32) -> bool {
        self.uidvalidity = self.uidvalidity.max(above);
        for entry in self.entries.values_mut() {
            let Some(next) = self.uidvalidity.checked_add(1) else { return false };
            (entry.uidvalidity, self.uidvalidity) = (next, next);
        }
        true
    }

    /// The mailbox that has this exact name.
    pub fn by_name(&self, name: &str) -> Option<&Entry> {
        self.entries.get(self.names.get(name)?).map(|entry| &**entry)
    }

    /// The mailbox with this GUID.
    pub fn by_guid(&self, guid: Guid) -> Option<&Entry> {
        self.entries.get(&guid).map(|entry| &**entry)
    }

    /// All mailboxes, by the bytes of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.names.values().filter_map(|guid| self.by_guid(*guid))
    }

    /// UIDVALIDITY of each mailbox, by GUID.
    pub fn uidvalidities(&self) -> impl Iterator<Item = (Guid, u32)> + '_ {
        self.entries.iter().map(|(guid, entry)| (*guid, entry.uidvalidity))
    }

    /// The mailboxes below `name`, at any depth.
    pub fn below<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Entry> + use<'a> {
        // All names below stand together: `/` is followed by `0`.
        let (first, behind) = (format!("{name}/"), format!("{name}0"));
        self.names
            .starting_at(&*first)
            .take_while(move |(name, _)| ***name < *behind)
            .filter_map(|(_, guid)| self.by_guid(*guid))
    }

    /// The names of the mailboxes below `name`, which stand with the names themselves: it is quicker than [`Self::below`].
    pub fn names_below<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let (first, behind) = (format!("{name}/"), format!("{name}0"));
        let names = self.names.starting_at(&*first).map(|(name, _)| &**name);
        names.take_while(move |name| **name < *behind)
    }

    /// Whether there is a mailbox below `name`.
    pub fn has_children(&self, name: &str) -> bool {
        self.names_below(name).next().is_some()
    }

    /// How many mailboxes there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether a name is subscribed.
    pub fn is_subscribed(&self, name: &str) -> bool {
        self.subscriptions.contains_key(name)
    }

    /// The subscribed names, sorted by their bytes.
    pub fn subscriptions(&self) -> impl Iterator<Item = &str> {
        self.subscriptions.keys().map(|name| &**name)
    }

    /// The names that went, by ascending modseq.
    pub fn tombstones(&self) -> &[Tombstone] {
        &self.tombstones
    }

    /// A named value of the account.
    pub fn metadata(&self, key: &[u8]) -> Option<&[u8]> {
        self.metadata.get(key).map(|value| &**value)
    }

    /// How many transactions the account's map has at least, as far as somebody has noted it: a map that says less has lost
    /// some.
    pub fn map_floor(&self) -> u64 {
        self.map_floor
    }

    /// How many transactions the log holds up to here.
    pub fn transactions(&self) -> u64 {
        self.transactions
    }

    /// The list's own modseq.
    pub fn modseq(&self) -> ModSeq {
        self.modseq
    }

    /// The epoch of the last writer.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The greatest UIDVALIDITY this account ever had.
    pub fn uidvalidity_high(&self) -> u32 {
        self.uidvalidity
    }
}
