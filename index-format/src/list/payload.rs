//! Transactions of the list, as bytes.

use super::{Counters, NAME_MAX, Record, SpecialUse, Transaction};
use crate::mailbox::Counters as Sums;
use crate::record::decode::{limited, optional, prefix};
use crate::record::encode::{self, check_len};
use crate::record::{KEY_MAX, Prefix, VALUE_MAX};
use crate::wire::{Put, Reader};
use crate::{Error, Guid, ModSeq, Uid};

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
        let mut reader = Reader::new(payload, at);
        let prefix = prefix(&mut reader)?;
        let mut records = Vec::new();
        while !reader.is_empty() {
            records.push(read(&mut reader)?);
        }
        Ok(Transaction { prefix, records })
    }

    /// Writes the payload of a frame at the end of `out`.
    ///
    /// # Errors
    /// A name, key or value that is too long.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        encode::prefix(&self.prefix, out);
        self.records.iter().try_for_each(|record| write(record, out))
    }
}

fn write(record: &Record, out: &mut Vec<u8>) -> Result<(), Error> {
    match record {
        Record::Create { guid, name, uidvalidity, special_use, time } => {
            with_guid(CREATE, *guid, out);
            write_name(name, out)?;
            out.varint((*uidvalidity).into());
            out.varint(special_use.0.into());
            out.varint_i64(*time);
        }
        Record::Delete { guid, time } => {
            with_guid(DELETE, *guid, out);
            out.varint_i64(*time);
        }
        Record::Rename { from, to, time } => {
            out.push(RENAME);
            write_name(from, out)?;
            write_name(to, out)?;
            out.varint_i64(*time);
        }
        Record::Subscribe(name) => {
            out.push(SUBSCRIBE);
            write_name(name, out)?;
        }
        Record::Unsubscribe(name) => {
            out.push(UNSUBSCRIBE);
            write_name(name, out)?;
        }
        Record::SpecialUse { guid, special_use } => {
            with_guid(SPECIAL_USE, *guid, out);
            out.varint(special_use.0.into());
        }
        Record::Recent { guid, uid } => {
            with_guid(RECENT, *guid, out);
            out.varint(uid.0.into());
        }
        Record::Counters { guid, counters } => {
            with_guid(COUNTERS, *guid, out);
            write_counters(counters, out);
        }
        Record::UidValidity(least) => {
            out.push(UIDVALIDITY);
            out.varint((*least).into());
        }
        Record::MapFloor(least) => {
            out.push(MAP_FLOOR);
            out.varint(*least);
        }
        Record::Acl { guid, identifier, rights } => {
            with_guid(ACL, *guid, out);
            write_pair(identifier, rights.as_deref(), out)?;
        }
        Record::Metadata { guid: Some(guid), key, value } => {
            with_guid(METADATA, *guid, out);
            write_pair(key, value.as_deref(), out)?;
        }
        Record::Metadata { guid: None, key, value } => {
            out.push(ACCOUNT_METADATA);
            write_pair(key, value.as_deref(), out)?;
        }
    }
    Ok(())
}

fn read(reader: &mut Reader<'_>) -> Result<Record, Error> {
    let at = reader.at();
    Ok(match reader.u8("record kind")? {
        CREATE => Record::Create {
            guid: guid(reader)?,
            name: name(reader)?.into(),
            uidvalidity: reader.varint_u32("UIDVALIDITY")?,
            special_use: special_use(reader)?,
            time: reader.varint_i64("time")?,
        },
        DELETE => Record::Delete { guid: guid(reader)?, time: reader.varint_i64("time")? },
        RENAME => Record::Rename {
            from: name(reader)?.into(),
            to: name(reader)?.into(),
            time: reader.varint_i64("time")?,
        },
        SUBSCRIBE => Record::Subscribe(name(reader)?.into()),
        UNSUBSCRIBE => Record::Unsubscribe(name(reader)?.into()),
        SPECIAL_USE => {
            Record::SpecialUse { guid: guid(reader)?, special_use: special_use(reader)? }
        }
        RECENT => Record::Recent { guid: guid(reader)?, uid: Uid(reader.varint_u32("UID")?) },
        COUNTERS => Record::Counters { guid: guid(reader)?, counters: counters(reader)? },
        UIDVALIDITY => Record::UidValidity(reader.varint_u32("UIDVALIDITY")?),
        MAP_FLOOR => Record::MapFloor(reader.varint("map transactions")?),
        ACL => {
            let guid = guid(reader)?;
            let (identifier, rights) = pair(reader)?;
            Record::Acl { guid, identifier, rights }
        }
        METADATA => {
            let guid = Some(guid(reader)?);
            let (key, value) = pair(reader)?;
            Record::Metadata { guid, key, value }
        }
        ACCOUNT_METADATA => {
            let (key, value) = pair(reader)?;
            Record::Metadata { guid: None, key, value }
        }
        found => {
            let (field, found) = ("record kind", found.into());
            return Err(Error::Value { field, at, found, allowed: "a kind of version 1" });
        }
    })
}

fn with_guid(kind: u8, guid: Guid, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&guid.0);
}

pub(super) fn guid(reader: &mut Reader<'_>) -> Result<Guid, Error> {
    Ok(Guid(reader.array("GUID")?))
}

pub(super) fn write_name(name: &str, out: &mut Vec<u8>) -> Result<(), Error> {
    check_len("a mailbox name", name.len(), NAME_MAX)?;
    out.counted(name.as_bytes());
    Ok(())
}

pub(super) fn name<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Error> {
    let name = reader.text("mailbox name")?;
    check_len("a mailbox name", name.len(), NAME_MAX)?;
    Ok(name)
}

pub(super) fn special_use(reader: &mut Reader<'_>) -> Result<SpecialUse, Error> {
    let at = reader.at();
    let bits = reader.varint("special use")?;
    u16::try_from(bits).map(SpecialUse).map_err(|_| Error::Number { field: "special use", at })
}

pub(super) fn write_counters(counters: &Counters, out: &mut Vec<u8>) {
    let Counters { sums, uidnext, modseq } = counters;
    for number in [sums.messages, sums.unseen, sums.deleted, uidnext.0] {
        out.varint(number.into());
    }
    out.varint(sums.size);
    out.varint(modseq.0);
}

pub(super) fn counters(reader: &mut Reader<'_>) -> Result<Counters, Error> {
    let messages = reader.varint_u32("messages")?;
    let unseen = reader.varint_u32("unseen")?;
    let deleted = reader.varint_u32("deleted")?;
    let uidnext = Uid(reader.varint_u32("UIDNEXT")?);
    let size = reader.varint("size")?;
    let modseq = ModSeq(reader.varint("modseq")?);
    Ok(Counters { sums: Sums { messages, unseen, deleted, size }, uidnext, modseq })
}

fn write_pair(key: &[u8], value: Option<&[u8]>, out: &mut Vec<u8>) -> Result<(), Error> {
    check_len("a key", key.len(), KEY_MAX)?;
    check_len("a value", value.map_or(0, <[u8]>::len), VALUE_MAX)?;
    out.counted(key);
    encode::optional(value, out);
    Ok(())
}

type Pair = (Box<[u8]>, Option<Box<[u8]>>);

fn pair(reader: &mut Reader<'_>) -> Result<Pair, Error> {
    let key = limited(reader, "key", KEY_MAX)?.into();
    Ok((key, optional(reader, "value", VALUE_MAX)?.map(Into::into)))
}

const CREATE: u8 = 2;
const DELETE: u8 = 3;
const RENAME: u8 = 4;
const SUBSCRIBE: u8 = 5;
const UNSUBSCRIBE: u8 = 6;
const SPECIAL_USE: u8 = 7;
const RECENT: u8 = 8;
const COUNTERS: u8 = 9;
const UIDVALIDITY: u8 = 10;
const ACL: u8 = 11;
const METADATA: u8 = 12;
const ACCOUNT_METADATA: u8 = 13;
const MAP_FLOOR: u8 = 14;
