//! What few rows have, or none: keyword names, tombstones, voids, private flags, GUIDs, items.

use std::collections::BTreeMap;

use crate::mailbox::{KeywordTable, PrivateFlags, Voided};
use crate::record::decode::limited;
use crate::record::{KEY_MAX, KEYWORD_NAME_MAX, Tombstone};
use crate::wire::{Put, Reader};
use crate::{Error, Flags, Guid, ItemId, Keywords, MapId, ModSeq, Uid};

pub(super) fn write_names(names: &KeywordTable, out: &mut Vec<u8>) {
    out.varint(names.len() as u64);
    names.iter().for_each(|name| out.counted(name.as_bytes()));
}

pub(super) fn read_names(reader: &mut Reader<'_>) -> Result<KeywordTable, Error> {
    let mut table = KeywordTable::default();
    for _ in 0..reader.count("keywords", 2)? {
        let at = reader.at();
        let name = reader.text("keyword name")?;
        let fits = (1..=KEYWORD_NAME_MAX).contains(&name.len()) && table.number(name).is_none();
        if !fits || table.push(name).is_none() {
            let allowed = "up to 64 names that differ, of 1 to 255 bytes";
            return Err(Error::Value {
                field: "keyword name",
                at,
                found: table.len() as u64,
                allowed,
            });
        }
    }
    Ok(table)
}

pub(super) fn write_tombstones(tombstones: &[Tombstone], out: &mut Vec<u8>) {
    out.varint(tombstones.len() as u64);
    let mut last = Tombstone::default();
    for tombstone in tombstones {
        out.varint_i64(i64::from(tombstone.uid.0) - i64::from(last.uid.0));
        out.varint_i64(i64::from(tombstone.map_id.0) - i64::from(last.map_id.0));
        // Ascending, so that the difference is never negative; the low bit says whether a GUID follows.
        out.varint((tombstone.modseq.0 - last.modseq.0) << 1 | u64::from(tombstone.guid.is_some()));
        if let Some(Guid(guid)) = tombstone.guid {
            out.extend_from_slice(&guid);
        }
        last = *tombstone;
    }
}

pub(super) fn read_tombstones(reader: &mut Reader<'_>) -> Result<Vec<Tombstone>, Error> {
    let count = reader.count("tombstones", 3)?;
    let mut tombstones = Vec::with_capacity(count);
    let mut last = Tombstone::default();
    for _ in 0..count {
        let uid = Uid(near(reader, "UID", last.uid.0)?);
        let map_id = MapId(near(reader, "map id", last.map_id.0)?);
        let step = reader.varint("modseq")?;
        let modseq = ModSeq(last.modseq.0.saturating_add(step >> 1));
        let guid = if step & 1 == 1 { Some(Guid(reader.array("GUID")?)) } else { None };
        last = Tombstone { uid, map_id, modseq, guid, kept: None };
        tombstones.push(last);
    }
    Ok(tombstones)
}

/// What expunged rows had, of the same tombstones: runs of equal ones.
pub(super) fn write_kept(tombstones: &[Tombstone], out: &mut Vec<u8>) {
    let runs = || tombstones.chunk_by(|one, other| one.kept == other.kept);
    out.varint(runs().count() as u64);
    for run in runs() {
        let kept = run.first().and_then(|gone| gone.kept);
        out.varint((run.len() as u64) << 1 | u64::from(kept.is_some()));
        if let Some((flags, keywords)) = kept {
            out.push(flags.0);
            out.varint(keywords.0);
        }
    }
}

pub(super) fn read_kept(reader: &mut Reader<'_>) -> Result<Vec<(u64, Kept)>, Error> {
    let count = reader.count("runs of expunged rows", 1)?;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        let word = reader.varint("expunged rows")?;
        let kept = match word & 1 {
            0 => None,
            _ => Some((Flags(reader.u8("flags")?), Keywords(reader.varint("keywords")?))),
        };
        runs.push((word >> 1, kept));
    }
    Ok(runs)
}

/// Brings the two sections together; a missing second one costs what it says alone.
pub(super) fn keep(tombstones: &mut [Tombstone], runs: Vec<(u64, Kept)>) {
    let mut rest = tombstones.iter_mut();
    for (len, kept) in runs {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        rest.by_ref().take(len).for_each(|gone| gone.kept = kept);
    }
}

/// What an expunged row had, where that is known.
type Kept = Option<(Flags, Keywords)>;

pub(super) fn write_voids(voids: &[Voided], out: &mut Vec<u8>) {
    out.varint(voids.len() as u64);
    let mut last = 0;
    for void in voids {
        out.varint(void.first.0.into());
        out.varint((void.last.0 - void.first.0).into());
        out.varint(void.modseq.0 - last);
        last = void.modseq.0;
    }
}

pub(super) fn read_voids(reader: &mut Reader<'_>) -> Result<Vec<Voided>, Error> {
    let count = reader.count("voids", 3)?;
    let mut voids = Vec::with_capacity(count);
    let mut modseq = 0u64;
    for _ in 0..count {
        let at = reader.at();
        let first = reader.varint_u32("UID")?;
        let more = reader.varint_u32("UID range length")?;
        let last = first.checked_add(more).ok_or(Error::Number { field: "UID range", at })?;
        modseq = modseq.saturating_add(reader.varint("modseq")?);
        voids.push(Voided { first: Uid(first), last: Uid(last), modseq: ModSeq(modseq) });
    }
    Ok(voids)
}

type Private = BTreeMap<Box<[u8]>, BTreeMap<Uid, PrivateFlags>>;

pub(super) fn write_private(private: &Private, out: &mut Vec<u8>) {
    out.varint(private.len() as u64);
    for (user, rows) in private {
        out.counted(user);
        write_rows(rows, out, |flags, out| {
            out.push(flags.flags.0);
            out.varint(flags.modseq.0);
        });
    }
}

pub(super) fn read_private(reader: &mut Reader<'_>) -> Result<Private, Error> {
    let mut private = Private::new();
    for _ in 0..reader.count("users", 2)? {
        let at = reader.at();
        let user = limited(reader, "user", KEY_MAX)?;
        if private.last_key_value().is_some_and(|(last, _)| &**last >= user) {
            return Err(Error::Value {
                field: "user",
                at,
                found: private.len() as u64,
                allowed: "names that ascend",
            });
        }
        let rows = read_rows(reader, |reader| {
            Ok(PrivateFlags {
                flags: Flags(reader.u8("flags")?),
                modseq: ModSeq(reader.varint("modseq")?),
            })
        })?;
        private.insert(user.into(), rows);
    }
    Ok(private)
}

pub(super) fn write_guids(guids: &BTreeMap<Uid, Guid>, out: &mut Vec<u8>) {
    write_rows(guids, out, |guid, out| out.extend_from_slice(&guid.0));
}

pub(super) fn read_guids(reader: &mut Reader<'_>) -> Result<BTreeMap<Uid, Guid>, Error> {
    read_rows(reader, |reader| Ok(Guid(reader.array("GUID")?)))
}

pub(super) fn write_items(items: &BTreeMap<Uid, ItemId>, out: &mut Vec<u8>) {
    write_rows(items, out, |item, out| {
        out.push(item.server);
        out.varint(item.sequence);
    });
}

pub(super) fn read_items(reader: &mut Reader<'_>) -> Result<BTreeMap<Uid, ItemId>, Error> {
    read_rows(reader, |reader| {
        Ok(ItemId { server: reader.u8("item server")?, sequence: reader.varint("item sequence")? })
    })
}

/// A count, then for each row how far its UID is above the last, and its value.
fn write_rows<T>(rows: &BTreeMap<Uid, T>, out: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    out.varint(rows.len() as u64);
    let mut last = 0;
    for (uid, value) in rows {
        out.varint((uid.0 - last).into());
        write(value, out);
        last = uid.0;
    }
}

fn read_rows<T>(
    reader: &mut Reader<'_>,
    read: impl Fn(&mut Reader<'_>) -> Result<T, Error>,
) -> Result<BTreeMap<Uid, T>, Error> {
    let mut rows = BTreeMap::new();
    let mut last = 0u32;
    for _ in 0..reader.count("rows", 2)? {
        let at = reader.at();
        let step = reader.varint_u32("UID")?;
        let uid = last
            .checked_add(step)
            .filter(|_| step > 0)
            .ok_or(Error::Number { field: "UID", at })?;
        rows.insert(Uid(uid), read(reader)?);
        last = uid;
    }
    Ok(rows)
}

/// A number told by its distance from the last.
fn near(reader: &mut Reader<'_>, field: &'static str, last: u32) -> Result<u32, Error> {
    let at = reader.at();
    let value = i64::from(last).checked_add(reader.varint_i64(field)?);
    value.and_then(|value| u32::try_from(value).ok()).ok_or(Error::Number { field, at })
}
