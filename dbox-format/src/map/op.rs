//! The records a map transaction consists of.

use super::{IdSet, MapId};
use crate::attachment::{CutOut, read_cut_outs, write_cut_outs};
use crate::reader::{Reader, put_varint};
use crate::{Error, Guid, Seed};

/// One step of a transaction.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Op {
    /// A message that is new to this account; it gets the next map id.
    Add {
        /// The low byte of that id: a log read from the wrong place is noticed.
        anchor: u8,
        /// The message.
        message: Added,
    },
    /// Each of these messages has one reference more (COPY, or the target's side of MOVE).
    RefsAdd(IdSet),
    /// Each of these messages has one reference less (the source's side of MOVE).
    RefsRemove(IdSet),
    /// The same by an EXPUNGE or a DELETE: those that have none left by it lost the last one then and there.
    Expunge {
        /// The messages.
        ids: IdSet,
        /// Then and there.
        gone: Gone,
    },
    /// Messages whose records now lie elsewhere, with the same content (compaction); ids ascend.
    Move(Vec<Moved>),
    /// Ids without references that nobody reads any more: they leave the map, their bytes may be given back.
    Free(IdSet),
    /// A new container, with a number that none had before.
    ContainerOpen {
        /// Its number.
        number: u32,
        /// The secret of its checksums, as in its header.
        seed: Seed,
    },
    /// Nothing will be appended to this container any more.
    ContainerSeal {
        /// Its number.
        number: u32,
    },
    /// A container that no message of the map lies in any more; its file may go after the checkpoint.
    ContainerDrop {
        /// Its number.
        number: u32,
    },
    /// The account's mailbox list has this many transactions at least; never falls.
    ListFloor(u64),
}

/// A new message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Added {
    /// Its GUID.
    pub guid: Guid,
    /// The container it lies in.
    pub container: u32,
    /// Where its record starts there.
    pub offset: u64,
    /// Bytes of its record.
    pub record_len: u64,
    /// Bytes of the message (RFC822.SIZE).
    pub size: u64,
    /// How many mailbox entries refer to it from the start; mostly 1.
    pub refs: u32,
    /// What later versions add; empty costs nothing.
    pub extra: Extra,
}

/// When a message lost its last reference, and in which mailbox that was.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Gone {
    /// Seconds since 1970; 0 where it isn't known.
    pub time: u32,
    /// The first bytes of the mailbox's GUID: enough to tell an account's mailboxes apart, of which some other fact must
    /// confirm it. Zeros where none is known.
    pub mailbox: [u8; 3],
}

impl Gone {
    /// At this time (seconds since 1970), in the mailbox with this GUID.
    #[must_use]
    pub fn new(time: i64, mailbox: Guid) -> Self {
        let [a, b, c, ..] = mailbox.0;
        let time = u32::try_from(time.max(1)).unwrap_or(u32::MAX);
        Self { time, mailbox: [a, b, c] }
    }

    /// Whether it may have been in the mailbox with this GUID.
    #[must_use]
    pub fn is_in(self, mailbox: Guid) -> bool {
        self != Self::default() && mailbox.0.starts_with(&self.mailbox)
    }
}

/// Where a moved message's record lies now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moved {
    /// The message.
    pub id: MapId,
    /// The container it lies in now.
    pub container: u32,
    /// Where its record starts there.
    pub offset: u64,
    /// Bytes of the record there.
    pub record_len: u64,
}

/// Further fields of a message: type, length and value of each; unknown ones are kept.
///
/// Used: [`ATTACHMENTS`](Self::ATTACHMENTS). Reserved: [`ORIGIN`](Self::ORIGIN), [`RECEIVED`](Self::RECEIVED).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Extra(Vec<u8>);

impl Extra {
    /// Parts stored apart: see [`attachments`](Self::attachments).
    pub const ATTACHMENTS: u64 = 1;
    /// Where the message first came into being: server and sequence number.
    pub const ORIGIN: u64 = 2;
    /// Received date, zigzag varint of the seconds since 1970.
    pub const RECEIVED: u64 = 3;

    /// No fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a field.
    pub fn push(&mut self, kind: u64, value: &[u8]) {
        put_varint(&mut self.0, kind);
        put_varint(&mut self.0, value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// Appends the list of the parts that are stored apart, offsets ascending; nothing if there are none.
    pub fn push_attachments(&mut self, list: &[CutOut]) {
        if !list.is_empty() {
            let mut value = Vec::new();
            write_cut_outs(list, &mut value);
            self.push(Self::ATTACHMENTS, &value);
        }
    }

    /// The parts that are stored apart.
    ///
    /// # Errors
    /// Only if [`push`](Self::push) was given a value of type [`ATTACHMENTS`](Self::ATTACHMENTS) that is none: what was
    /// read has been checked.
    pub fn attachments(&self) -> Result<Vec<CutOut>, Error> {
        let mut list = Vec::new();
        for (_, value) in self.fields().filter(|(kind, _)| *kind == Self::ATTACHMENTS) {
            list.extend(read_cut_outs(value)?);
        }
        Ok(list)
    }

    /// The fields, as type and value.
    pub fn fields(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut reader = Reader::new(&self.0);
        std::iter::from_fn(
            move || if reader.is_empty() { None } else { Self::field(&mut reader).ok() },
        )
    }

    /// Whether there are no fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let len = reader.varint("length of the extra fields")?;
        let bytes = reader.bytes("extra fields", len)?;
        let mut fields = Reader::new(bytes);
        while !fields.is_empty() {
            if let (Self::ATTACHMENTS, value) = Self::field(&mut fields)? {
                read_cut_outs(value)?;
            }
        }
        Ok(Self(bytes.to_vec()))
    }

    fn field<'a>(reader: &mut Reader<'a>) -> Result<(u64, &'a [u8]), Error> {
        let kind = reader.varint("extra field")?;
        let len = reader.varint("length of an extra field")?;
        Ok((kind, reader.bytes("extra field", len)?))
    }
}
