//! The list at one position of its log: a header with a checksum over the whole file, then everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::payload::{counters, guid, name, special_use, write_counters};
use super::{Entry, List, Tombstone};
use crate::checksum::crc_of;
use crate::record::decode::limited;
use crate::record::{KEY_MAX, VALUE_MAX};
use crate::snapshot::Position;
use crate::wire::{Put, Reader};
use crate::{Error, Few, Guid, ModSeq, Uid};

impl List {
    /// The newest version of snapshots this program reads. A list that says nothing of its map is written as version 1.
    pub const VERSION: u16 = 2;

    /// Writes the snapshot of this list, whose log stands at `offset` of `file`.
    pub fn write(&self, owner: Guid, file: u32, offset: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD + self.entries.len() * 96);
        out.extend_from_slice(&MAGIC);
        let version: u16 = if self.map_floor > 0 { 2 } else { 1 };
        out.extend_from_slice(&version.to_le_bytes());
        out.extend_from_slice(&[self.server, 0]);
        out.extend_from_slice(&[0; 4]); // the checksum, once all else is known
        out.extend_from_slice(&owner.0);
        out.extend_from_slice(&file.to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&self.transactions.to_le_bytes());
        out.extend_from_slice(&self.modseq.0.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.uidvalidity.to_le_bytes());
        debug_assert_eq!(out.len(), HEAD);
        self.write_body(&mut out);
        let sum = sum(&out).to_le_bytes();
        out.get_mut(SUM..SUM + 4).unwrap_or_default().copy_from_slice(&sum);
        out
    }

    fn write_body(&self, out: &mut Vec<u8>) {
        out.varint(self.entries.len() as u64);
        for entry in self.entries.values() {
            out.extend_from_slice(&entry.guid.0);
            out.counted(entry.name.as_bytes());
            out.varint(entry.uidvalidity.into());
            out.varint(entry.special_use.0.into());
            out.varint_i64(entry.created);
            out.varint(entry.created_modseq.0);
            out.varint(entry.recent.0.into());
            write_counters(&entry.counters, out);
            write_map(&entry.acl, out);
            write_map(&entry.metadata, out);
        }
        out.varint(self.subscriptions.len() as u64);
        for name in self.subscriptions.keys() {
            out.counted(name.as_bytes());
        }
        out.varint(self.tombstones.len() as u64);
        for tombstone in &self.tombstones {
            out.extend_from_slice(&tombstone.guid.0);
            out.counted(tombstone.name.as_bytes());
            out.counted(tombstone.renamed_to.as_deref().unwrap_or_default().as_bytes());
            out.varint(tombstone.uidvalidity.into());
            out.varint(tombstone.modseq.0);
            out.varint_i64(tombstone.time);
        }
        write_map(&self.metadata, out);
        if self.map_floor > 0 {
            out.varint(self.map_floor);
        }
    }

    /// Reads a snapshot: whose, the state, and where its log goes on.
    ///
    /// # Errors
    /// Not a list snapshot, a newer version, or bytes that don't check out.
    pub fn parse(file: &[u8]) -> Result<(Guid, List, Position), Error> {
        let mut reader = Reader::new(file, 0);
        let found = reader.array("magic")?;
        if found != MAGIC {
            return Err(Error::Magic { what: "list snapshot", expected: MAGIC, found });
        }
        let version = reader.u16("version")?;
        if !(1..=Self::VERSION).contains(&version) {
            return Err(Error::Version {
                what: "list snapshot",
                found: version,
                supported: Self::VERSION,
            });
        }
        let server = reader.u8("server")?;
        let reserved = reader.u8("reserved")?;
        let found = reader.u32("checksum")?;
        let computed = sum(file);
        if found != computed {
            return Err(Error::Checksum { what: "list snapshot", at: 0, found, computed });
        }
        if server > ModSeq::SERVER_MAX || reserved != 0 {
            let found = u64::from(server) | u64::from(reserved) << 8;
            return Err(Error::Value { field: "server", at: 10, found, allowed: "0 to 63" });
        }
        let owner = guid(&mut reader)?;
        let (log_file, offset) = (reader.u32("log file")?, reader.u64("log offset")?);
        let mut list = List {
            server,
            transactions: reader.u64("transactions")?,
            modseq: ModSeq(reader.u64("modseq")?),
            epoch: reader.u32("epoch")?,
            uidvalidity: reader.u32("UIDVALIDITY")?,
            ..List::default()
        };
        list.read_body(&mut reader)?;
        if version >= 2 {
            let at = reader.at();
            list.map_floor = reader.varint("map transactions")?;
            if list.map_floor == 0 {
                let (field, allowed) = ("map transactions", "at least 1");
                return Err(Error::Value { field, at, found: 0, allowed });
            }
        }
        reader.end("list snapshot")?;
        let position = Position { file: log_file, offset, transactions: list.transactions };
        Ok((owner, list, position))
    }

    fn read_body(&mut self, reader: &mut Reader<'_>) -> Result<(), Error> {
        let wrong = |at, found: usize| {
            let allowed = "GUIDs that ascend and names that differ";
            Error::Value { field: "mailbox", at, found: found as u64, allowed }
        };
        let mut names: Vec<(Arc<str>, Guid)> = Vec::new();
        for _ in 0..reader.count("mailboxes", ENTRY_LEAST)? {
            let at = reader.at();
            let entry = read_entry(reader)?;
            if self.entries.keys().next_back().is_some_and(|&last| last >= entry.guid) {
                return Err(wrong(at, self.entries.len()));
            }
            names.push((entry.name.clone(), entry.guid));
            self.entries.insert(entry.guid, Box::new(entry));
        }
        let at = reader.at();
        self.names = Few::from_pairs(names).ok_or_else(|| wrong(at, self.entries.len()))?;
        for _ in 0..reader.count("subscriptions", 1)? {
            let at = reader.at();
            let name = name(reader)?;
            if self.subscriptions.keys().next_back().is_some_and(|last| **last >= *name) {
                let found = self.subscriptions.len() as u64;
                return Err(Error::Value {
                    field: "subscription",
                    at,
                    found,
                    allowed: "names that ascend",
                });
            }
            self.subscriptions.insert(name.into(), ());
        }
        for _ in 0..reader.count("tombstones", TOMBSTONE_LEAST)? {
            let tombstone = read_tombstone(reader)?;
            self.tombstones.push(tombstone);
        }
        self.metadata = read_map(reader)?;
        Ok(())
    }
}

fn read_entry(reader: &mut Reader<'_>) -> Result<Entry, Error> {
    Ok(Entry {
        guid: guid(reader)?,
        name: name(reader)?.into(),
        uidvalidity: reader.varint_u32("UIDVALIDITY")?,
        special_use: special_use(reader)?,
        created: reader.varint_i64("created")?,
        created_modseq: ModSeq(reader.varint("created modseq")?),
        recent: Uid(reader.varint_u32("recent")?),
        counters: counters(reader)?,
        acl: read_map(reader)?,
        metadata: read_map(reader)?,
    })
}

fn read_tombstone(reader: &mut Reader<'_>) -> Result<Tombstone, Error> {
    Ok(Tombstone {
        guid: guid(reader)?,
        name: name(reader)?.into(),
        // No mailbox has an empty name, so that one stands for none.
        renamed_to: Some(name(reader)?).filter(|name| !name.is_empty()).map(Arc::from),
        uidvalidity: reader.varint_u32("UIDVALIDITY")?,
        modseq: ModSeq(reader.varint("modseq")?),
        time: reader.varint_i64("time")?,
    })
}

type Map = BTreeMap<Box<[u8]>, Box<[u8]>>;

pub(crate) fn write_map(map: &Map, out: &mut Vec<u8>) {
    out.varint(map.len() as u64);
    for (key, value) in map {
        out.counted(key);
        out.counted(value);
    }
}

pub(crate) fn read_map(reader: &mut Reader<'_>) -> Result<Map, Error> {
    let mut map = Map::new();
    for _ in 0..reader.count("entries", 2)? {
        let at = reader.at();
        let key = limited(reader, "key", KEY_MAX)?;
        if map.last_key_value().is_some_and(|(last, _)| &**last >= key) {
            return Err(Error::Value {
                field: "key",
                at,
                found: map.len() as u64,
                allowed: "keys that ascend",
            });
        }
        map.insert(key.into(), limited(reader, "value", VALUE_MAX)?.into());
    }
    Ok(map)
}

/// Over all but the checksum itself.
fn sum(file: &[u8]) -> u32 {
    let (before, rest) = file.split_at_checked(SUM).unwrap_or_default();
    crc_of(&[before, rest.get(4..).unwrap_or_default()])
}

const MAGIC: [u8; 8] = *b"LOFTlst\n";
/// Where the checksum stands.
const SUM: usize = 12;
const HEAD: usize = 68;
/// The fewest bytes of a mailbox: GUID, fourteen numbers.
const ENTRY_LEAST: u64 = 16 + 14;
const TOMBSTONE_LEAST: u64 = 16 + 5;
