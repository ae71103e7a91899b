//! Transactions to bytes.

use super::{
    Append, KEY_MAX, KEYWORD_NAME_MAX, KEYWORDS_MAX, Prefix, Record, Tombstone, Transaction,
    VALUE_MAX, kind,
};
use crate::uidset::RANGES_MAX;
use crate::wire::{Put, too_many_ranges};
use crate::{Error, Flags, Guid, Keywords, UidSet};

/// Which keyword names the current log file has introduced; a new file starts with none.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Names(Keywords);

impl Names {
    /// Whether the file has said what `number` is called.
    pub fn knows(&self, number: u8) -> bool {
        self.0.contains(number)
    }

    /// Notes what `transaction`, read from the current file, introduces.
    pub fn note(&mut self, transaction: &Transaction) {
        transaction.records.iter().for_each(|record| self.note_record(record));
    }

    pub(crate) fn note_record(&mut self, record: &Record) {
        if let Record::KeywordDefine { number, .. } = record {
            self.0.0 |= Keywords::one(*number).0;
        }
    }
}

pub(super) fn transaction(
    transaction: &Transaction,
    names: &mut Names,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    check_sets(&transaction.records)?;
    prefix(&transaction.prefix, out);
    let mut base = Base::default();
    let mut records = transaction.records.as_slice();
    while let Some((record, rest)) = records.split_first() {
        records = match as_append(record) {
            Some(first) => {
                let more = rest.iter().map_while(as_append).enumerate();
                let more = more
                    .take_while(|&(index, append)| {
                        joins(first, append, (index as u8).wrapping_add(1))
                    })
                    .count();
                let (run, rest) = records.split_at(1 + more);
                appends(run, first, &mut base, out);
                rest
            }
            None => {
                encode_one(record, out)?;
                rest
            }
        };
    }
    names.note(transaction);
    Ok(())
}

/// What no reader would take must not be written.
fn check_sets(records: &[Record]) -> Result<(), Error> {
    let ranges = records.iter().filter_map(|record| match record {
        Record::FlagsAdd { uids, .. }
        | Record::FlagsRemove { uids, .. }
        | Record::FlagsReplace { uids, .. }
        | Record::KeywordAdd { uids, .. }
        | Record::KeywordRemove { uids, .. }
        | Record::Expunge(uids)
        | Record::SaveDate { uids, .. }
        | Record::PrivateFlags { uids, .. }
        | Record::Void(uids) => Some(uids.ranges().len()),
        Record::Append(_)
        | Record::KeywordDefine { .. }
        | Record::UidValidity(_)
        | Record::UidNext(_)
        | Record::Metadata { .. }
        | Record::Tombstone(_) => None,
    });
    match ranges.sum::<usize>() {
        count if count > RANGES_MAX => Err(too_many_ranges(count as u64)),
        _ => Ok(()),
    }
}

pub(crate) fn prefix(prefix: &Prefix, out: &mut Vec<u8>) {
    let bits = bit(prefix.modseq.is_some(), kind::PREFIX_MODSEQ)
        | bit(prefix.epoch.is_some(), kind::PREFIX_EPOCH)
        | bit(prefix.origin.is_some(), kind::PREFIX_ORIGIN);
    if bits == 0 {
        return;
    }
    out.extend_from_slice(&[kind::PREFIX, bits]);
    if let Some(modseq) = prefix.modseq {
        out.varint(modseq.0);
    }
    if let Some(epoch) = prefix.epoch {
        out.varint(epoch.into());
    }
    if let Some(origin) = prefix.origin {
        out.push(origin.server);
        out.varint(origin.sequence);
        out.extend_from_slice(&origin.clock.to_le_bytes());
    }
}

fn bit(there: bool, bit: u8) -> u8 {
    if there { bit } else { 0 }
}

/// What the numbers of an append are told apart from: the append before it in the same transaction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Base {
    pub(super) map_id: u32,
    pub(super) internal_date: i64,
    pub(super) save_date: Option<i64>,
    pub(super) uid: u32,
}

fn as_append(record: &Record) -> Option<&Append> {
    if let Record::Append(append) = record { Some(append) } else { None }
}

/// Whether an append can share the head of the run that starts with `first`, as the one `index` behind it.
fn joins(first: &Append, append: &Append, index: u8) -> bool {
    shape(first) == shape(append)
        && append.anchor == first.anchor.map(|anchor| anchor.wrapping_add(index))
}

fn shape(append: &Append) -> u8 {
    bit(append.anchor.is_some(), kind::APPEND_ANCHOR)
        | bit(append.save_date.is_some(), kind::APPEND_SAVE_DATE)
        | bit(append.uid.is_some(), kind::APPEND_UID)
        | bit(append.guid.is_some(), kind::APPEND_GUID)
        | bit(append.item.is_some(), kind::APPEND_ITEM)
}

/// A run of appends: one head, then the rows.
fn appends(run: &[Record], first: &Append, base: &mut Base, out: &mut Vec<u8>) {
    let mut bits = shape(first);
    for append in run.iter().filter_map(as_append) {
        bits |= bit(append.flags != Flags::NONE, kind::APPEND_FLAGS);
        bits |= bit(append.keywords != Keywords::NONE, kind::APPEND_KEYWORDS);
    }
    if run.len() == 1 {
        out.extend_from_slice(&[kind::APPEND, bits]);
    } else {
        out.extend_from_slice(&[kind::APPENDS, bits]);
        out.varint(run.len() as u64);
    }
    out.extend(first.anchor);
    for append in run.iter().filter_map(as_append) {
        row(append, bits, base, out);
    }
}

fn row(append: &Append, bits: u8, base: &mut Base, out: &mut Vec<u8>) {
    if let Some(uid) = append.uid {
        out.varint_i64(i64::from(uid.0) - i64::from(base.uid));
        base.uid = uid.0;
    }
    out.varint_i64(i64::from(append.map_id.0) - i64::from(base.map_id));
    out.varint_i64(append.internal_date.wrapping_sub(base.internal_date));
    if let Some(save_date) = append.save_date {
        out.varint_i64(save_date.wrapping_sub(base.save_date.unwrap_or(append.internal_date)));
    }
    out.varint(append.size);
    if bits & kind::APPEND_FLAGS != 0 {
        out.push(append.flags.0);
    }
    if bits & kind::APPEND_KEYWORDS != 0 {
        out.varint(append.keywords.0);
    }
    if let Some(guid) = append.guid {
        out.extend_from_slice(&guid.0);
    }
    if let Some(item) = append.item {
        out.push(item.server);
        out.varint(item.sequence);
    }
    base.map_id = append.map_id.0;
    base.internal_date = append.internal_date;
    base.save_date = append.save_date.or(base.save_date);
}

fn encode_one(record: &Record, out: &mut Vec<u8>) -> Result<(), Error> {
    match record {
        Record::Append(append) => {
            appends(std::slice::from_ref(record), append, &mut Base::default(), out)
        }
        Record::FlagsAdd { uids, flags } => {
            system_flags(*flags, uids, [kind::FLAGS_ADD, kind::FLAG_ADD_ONE], out)
        }
        Record::FlagsRemove { uids, flags } => {
            system_flags(*flags, uids, [kind::FLAGS_REMOVE, kind::FLAG_REMOVE_ONE], out);
        }
        Record::FlagsReplace { uids, flags, keywords } => {
            out.extend_from_slice(&[kind::FLAGS_REPLACE, flags.0]);
            out.varint(keywords.0);
            uids.encode(out);
        }
        Record::KeywordDefine { number, name } => {
            check_number(*number, out)?;
            check_len("a keyword's name", name.len(), KEYWORD_NAME_MAX)?;
            out.extend_from_slice(&[kind::KEYWORD_DEFINE, *number]);
            out.counted(name.as_bytes());
        }
        Record::KeywordAdd { uids, number } => {
            check_number(*number, out)?;
            out.push(kind::KEYWORD_ADD + number);
            uids.encode(out);
        }
        Record::KeywordRemove { uids, number } => {
            check_number(*number, out)?;
            out.push(kind::KEYWORD_REMOVE + number);
            uids.encode(out);
        }
        Record::Expunge(uids) => with_set(kind::EXPUNGE, uids, out),
        Record::SaveDate { uids, date } => {
            out.push(kind::SAVE_DATE);
            out.varint_i64(*date);
            uids.encode(out);
        }
        Record::UidValidity(least) => {
            out.push(kind::UIDVALIDITY);
            out.varint((*least).into());
        }
        Record::UidNext(least) => {
            out.push(kind::UIDNEXT);
            out.varint(least.0.into());
        }
        Record::Metadata { key, value } => {
            check_len("a metadata key", key.len(), KEY_MAX)?;
            check_len("a metadata value", value.as_deref().map_or(0, <[u8]>::len), VALUE_MAX)?;
            out.push(kind::METADATA);
            out.counted(key);
            optional(value.as_deref(), out);
        }
        Record::PrivateFlags { user, uids, add, remove } => {
            check_len("a user's name", user.len(), KEY_MAX)?;
            out.push(kind::PRIVATE_FLAGS);
            out.counted(user);
            out.extend_from_slice(&[add.0, remove.0]);
            uids.encode(out);
        }
        Record::Void(uids) => with_set(kind::VOID, uids, out),
        Record::Tombstone(tombstone) => {
            out.push(kind::TOMBSTONE);
            encode_tombstone(tombstone, out);
        }
    }
    Ok(())
}

/// A bit more than a byte for what most STOREs are: one flag.
fn system_flags(flags: Flags, uids: &UidSet, [some, one]: [u8; 2], out: &mut Vec<u8>) {
    if flags.0.count_ones() == 1 {
        out.push(one + flags.0.trailing_zeros() as u8);
    } else {
        out.extend_from_slice(&[some, flags.0]);
    }
    uids.encode(out);
}

fn with_set(kind: u8, uids: &UidSet, out: &mut Vec<u8>) {
    out.push(kind);
    uids.encode(out);
}

pub(crate) fn encode_tombstone(tombstone: &Tombstone, out: &mut Vec<u8>) {
    out.varint(tombstone.uid.0.into());
    out.varint(tombstone.map_id.0.into());
    out.varint(tombstone.modseq.0);
    out.push(tombstone.guid.is_some().into());
    if let Some(Guid(guid)) = tombstone.guid {
        out.extend_from_slice(&guid);
    }
}

/// A length one more than it is, 0 for nothing; then the bytes.
pub(crate) fn optional(value: Option<&[u8]>, out: &mut Vec<u8>) {
    out.varint(value.map_or(0, |value| value.len() as u64 + 1));
    out.extend_from_slice(value.unwrap_or_default());
}

pub(crate) fn check_len(what: &'static str, len: usize, max: usize) -> Result<(), Error> {
    if len > max {
        return Err(Error::TooLong { what, len: len as u64, max: max as u64 });
    }
    Ok(())
}

fn check_number(number: u8, out: &[u8]) -> Result<(), Error> {
    if usize::from(number) >= KEYWORDS_MAX {
        let (at, found) = (out.len() as u64, number.into());
        return Err(Error::Value { field: "keyword number", at, found, allowed: "0 to 63" });
    }
    Ok(())
}
