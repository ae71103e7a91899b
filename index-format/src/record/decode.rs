//! Bytes to transactions.

use super::encode::Base;
use super::{
    Append, KEY_MAX, KEYWORD_NAME_MAX, KEYWORDS_MAX, Origin, Prefix, Record, Tombstone,
    Transaction, VALUE_MAX, kind,
};
use crate::wire::Reader;
use crate::{Error, Flags, Guid, ItemId, Keywords, MapId, ModSeq, Uid, UidSet};

pub(super) fn transaction(payload: &[u8], at: u64, into: &mut Transaction) -> Result<(), Error> {
    let mut reader = Reader::new(payload, at);
    into.records.clear();
    into.prefix = prefix(&mut reader)?;
    let mut base = Base::default();
    while !reader.is_empty() {
        record(&mut reader, &mut base, &mut into.records)?;
    }
    Ok(())
}

/// A transaction's prefix, when it has one.
pub(crate) fn prefix(reader: &mut Reader<'_>) -> Result<Prefix, Error> {
    let mut prefix = Prefix::default();
    if reader.rest().first() != Some(&kind::PREFIX) {
        return Ok(prefix);
    }
    reader.u8("prefix")?;
    let at = reader.at();
    let bits = reader.u8("prefix bits")?;
    if !(1..=7).contains(&bits) {
        return Err(Error::Value {
            field: "prefix bits",
            at,
            found: bits.into(),
            allowed: "1 to 7",
        });
    }
    if bits & kind::PREFIX_MODSEQ != 0 {
        prefix.modseq = Some(ModSeq(reader.varint("modseq")?));
    }
    if bits & kind::PREFIX_EPOCH != 0 {
        prefix.epoch = Some(reader.varint_u32("epoch")?);
    }
    if bits & kind::PREFIX_ORIGIN != 0 {
        prefix.origin = Some(Origin {
            server: reader.u8("origin server")?,
            sequence: reader.varint("origin sequence")?,
            clock: reader.u64("origin clock")?,
        });
    }
    Ok(prefix)
}

fn record(reader: &mut Reader<'_>, base: &mut Base, out: &mut Vec<Record>) -> Result<(), Error> {
    let at = reader.at();
    let found = reader.u8("record kind")?;
    let record = match found {
        kind::APPEND => return appends(reader, 1, base, out),
        kind::APPENDS => return appends(reader, 2, base, out),
        kind::FLAGS_ADD => {
            let flags = some_flags(reader)?;
            Record::FlagsAdd { flags, uids: UidSet::read(reader)? }
        }
        kind::FLAGS_REMOVE => {
            let flags = some_flags(reader)?;
            Record::FlagsRemove { flags, uids: UidSet::read(reader)? }
        }
        kind::FLAGS_REPLACE => {
            let flags = Flags(reader.u8("flags")?);
            let keywords = Keywords(reader.varint("keywords")?);
            Record::FlagsReplace { flags, keywords, uids: UidSet::read(reader)? }
        }
        kind::FLAG_ADD_ONE..kind::FLAG_REMOVE_ONE => {
            let flags = Flags(1 << (found - kind::FLAG_ADD_ONE));
            Record::FlagsAdd { flags, uids: UidSet::read(reader)? }
        }
        kind::FLAG_REMOVE_ONE..kind::VOID => {
            let flags = Flags(1 << (found - kind::FLAG_REMOVE_ONE));
            Record::FlagsRemove { flags, uids: UidSet::read(reader)? }
        }
        kind::KEYWORD_DEFINE => keyword_define(reader)?,
        kind::KEYWORD_ADD..kind::KEYWORD_REMOVE => {
            Record::KeywordAdd { number: found - kind::KEYWORD_ADD, uids: UidSet::read(reader)? }
        }
        kind::KEYWORD_REMOVE..kind::KEYWORD_END => Record::KeywordRemove {
            number: found - kind::KEYWORD_REMOVE,
            uids: UidSet::read(reader)?,
        },
        kind::EXPUNGE => Record::Expunge(UidSet::read(reader)?),
        kind::SAVE_DATE => {
            let date = reader.varint_i64("save date")?;
            Record::SaveDate { date, uids: UidSet::read(reader)? }
        }
        kind::UIDVALIDITY => Record::UidValidity(reader.varint_u32("UIDVALIDITY")?),
        kind::UIDNEXT => Record::UidNext(Uid(reader.varint_u32("UIDNEXT")?)),
        kind::METADATA => {
            let key = limited(reader, "metadata key", KEY_MAX)?.into();
            let value = optional(reader, "metadata value", VALUE_MAX)?.map(Into::into);
            Record::Metadata { key, value }
        }
        kind::PRIVATE_FLAGS => {
            let user = limited(reader, "user", KEY_MAX)?.into();
            let (add, remove) =
                (Flags(reader.u8("flags added")?), Flags(reader.u8("flags removed")?));
            Record::PrivateFlags { user, add, remove, uids: UidSet::read(reader)? }
        }
        kind::VOID => Record::Void(UidSet::read(reader)?),
        kind::TOMBSTONE => Record::Tombstone(tombstone(reader)?),
        _ => {
            let allowed = "a kind of version 1";
            return Err(Error::Value { field: "record kind", at, found: found.into(), allowed });
        }
    };
    out.push(record);
    Ok(())
}

/// One append, or a run of at least two when `least` says so.
fn appends(
    reader: &mut Reader<'_>,
    least: usize,
    base: &mut Base,
    out: &mut Vec<Record>,
) -> Result<(), Error> {
    let at = reader.at();
    let bits = reader.u8("append bits")?;
    if bits & !kind::APPEND_KNOWN != 0 {
        return Err(Error::Value {
            field: "append bits",
            at,
            found: bits.into(),
            allowed: "below 128",
        });
    }
    let at = reader.at();
    let count = if least == 1 { 1 } else { reader.count("appends", APPEND_LEAST)? };
    if count < least {
        return Err(Error::Value {
            field: "appends",
            at,
            found: count as u64,
            allowed: "at least 2",
        });
    }
    let mut anchor = match bits & kind::APPEND_ANCHOR {
        0 => None,
        _ => Some(reader.u8("anchor")?),
    };
    out.reserve(count);
    for _ in 0..count {
        let mut append = row(reader, bits, base)?;
        append.anchor = anchor;
        anchor = anchor.map(|anchor| anchor.wrapping_add(1));
        out.push(Record::Append(append));
    }
    Ok(())
}

fn row(reader: &mut Reader<'_>, bits: u8, base: &mut Base) -> Result<Append, Error> {
    let mut append = Append::default();
    if bits & kind::APPEND_UID != 0 {
        base.uid = near(reader, "UID", base.uid)?;
        append.uid = Some(Uid(base.uid));
    }
    base.map_id = near(reader, "map id", base.map_id)?;
    append.map_id = MapId(base.map_id);
    base.internal_date = base.internal_date.wrapping_add(reader.varint_i64("internal date")?);
    append.internal_date = base.internal_date;
    if bits & kind::APPEND_SAVE_DATE != 0 {
        let from = base.save_date.unwrap_or(append.internal_date);
        append.save_date = Some(from.wrapping_add(reader.varint_i64("save date")?));
        base.save_date = append.save_date;
    }
    append.size = reader.varint("size")?;
    if bits & kind::APPEND_FLAGS != 0 {
        append.flags = Flags(reader.u8("flags")?);
    }
    if bits & kind::APPEND_KEYWORDS != 0 {
        append.keywords = Keywords(reader.varint("keywords")?);
    }
    if bits & kind::APPEND_GUID != 0 {
        append.guid = Some(Guid(reader.array("GUID")?));
    }
    if bits & kind::APPEND_ITEM != 0 {
        append.item = Some(ItemId {
            server: reader.u8("item server")?,
            sequence: reader.varint("item sequence")?,
        });
    }
    Ok(append)
}

/// A number told by its distance from another.
fn near(reader: &mut Reader<'_>, field: &'static str, base: u32) -> Result<u32, Error> {
    let at = reader.at();
    let value = i64::from(base).checked_add(reader.varint_i64(field)?);
    value.and_then(|value| u32::try_from(value).ok()).ok_or(Error::Number { field, at })
}

/// Flags for the records that have a shorter form for exactly one.
fn some_flags(reader: &mut Reader<'_>) -> Result<Flags, Error> {
    let at = reader.at();
    let flags = reader.u8("flags")?;
    if flags.count_ones() == 1 {
        return Err(Error::Value {
            field: "flags",
            at,
            found: flags.into(),
            allowed: "none or several",
        });
    }
    Ok(Flags(flags))
}

fn keyword_define(reader: &mut Reader<'_>) -> Result<Record, Error> {
    let at = reader.at();
    let number = reader.u8("keyword number")?;
    if usize::from(number) >= KEYWORDS_MAX {
        return Err(Error::Value {
            field: "keyword number",
            at,
            found: number.into(),
            allowed: "0 to 63",
        });
    }
    let at = reader.at();
    let name = reader.text("keyword name")?;
    if name.len() > KEYWORD_NAME_MAX {
        return Err(Error::TooLong {
            what: "keyword name",
            len: name.len() as u64,
            max: KEYWORD_NAME_MAX as u64,
        });
    }
    if name.is_empty() {
        return Err(Error::Value {
            field: "keyword name",
            at,
            found: 0,
            allowed: "1 to 255 bytes",
        });
    }
    Ok(Record::KeywordDefine { number, name: name.into() })
}

pub(crate) fn tombstone(reader: &mut Reader<'_>) -> Result<Tombstone, Error> {
    let uid = Uid(reader.varint_u32("UID")?);
    let map_id = MapId(reader.varint_u32("map id")?);
    let modseq = ModSeq(reader.varint("modseq")?);
    let at = reader.at();
    let guid = match reader.u8("whether a GUID follows")? {
        0 => None,
        1 => Some(Guid(reader.array("GUID")?)),
        found => {
            let (field, found) = ("whether a GUID follows", found.into());
            return Err(Error::Value { field, at, found, allowed: "0 or 1" });
        }
    };
    Ok(Tombstone { uid, map_id, modseq, guid, kept: None })
}

pub(crate) fn limited<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
    max: usize,
) -> Result<&'a [u8], Error> {
    let bytes = reader.counted(field)?;
    super::encode::check_len(field, bytes.len(), max)?;
    Ok(bytes)
}

pub(crate) fn optional<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
    max: usize,
) -> Result<Option<&'a [u8]>, Error> {
    let Some(len) = reader.varint(field)?.checked_sub(1) else { return Ok(None) };
    let bytes = reader.bytes(field, len)?;
    super::encode::check_len(field, bytes.len(), max)?;
    Ok(Some(bytes))
}

/// The fewest bytes of an append in a run: map id, date, size.
const APPEND_LEAST: u64 = 3;
