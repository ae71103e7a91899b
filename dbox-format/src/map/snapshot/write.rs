//! Writing `map.index`.

use super::{HEADER_LEN, Kind, LogPosition, SNAPSHOT_MAGIC, VERSION};
use crate::checksum::crc32c;
use crate::map::{Entry, Gone, IdSet, Map, MapId};
use crate::reader::{put_varint, zigzag};
use std::collections::BTreeMap;

impl Map {
    /// Appends the snapshot of this map, which has all transactions up to `position`.
    pub fn write_snapshot(&self, position: LogPosition, out: &mut Vec<u8>) {
        let slots = || self.slots.iter().filter(|slot| !slot.gone);
        let mut writer = Writer::default();
        let mut ids = Vec::new();
        self.iter().map(|(id, _)| id).collect::<IdSet>().write(&mut ids);
        writer.raw(Kind::Ids, 0, &ids);
        writer.packed(Kind::Container, slots().map(|slot| u64::from(slot.entry.container)));
        writer.packed(Kind::Offset, slots().map(|slot| slot.entry.offset));
        writer.packed(Kind::RecordLen, slots().map(|slot| slot.entry.record_len));
        writer.packed(Kind::Framing, slots().map(|slot| framing(&slot.entry)));
        writer.packed(Kind::Refs, slots().map(|slot| u64::from(slot.entry.refs)));
        writer.raw(
            Kind::Guids,
            16,
            &slots().flat_map(|slot| slot.entry.guid.0).collect::<Vec<u8>>(),
        );
        let extras = self.extras();
        if !extras.is_empty() {
            writer.raw(Kind::Extras, 0, &extras);
        }
        let expunged = self.write_expunged();
        if !expunged.is_empty() {
            writer.raw(Kind::Expunged, 0, &expunged);
        }
        if self.list_floor > 0 {
            writer.raw(Kind::ListFloor, 0, &self.list_floor.to_le_bytes());
        }
        writer.packed(Kind::Numbers, self.containers().map(|(number, _)| u64::from(number)));
        writer.packed(Kind::Ends, self.containers().map(|(_, state)| state.end));
        writer.packed(Kind::Seeds, self.containers().map(|(_, state)| u64::from(state.seed.0)));
        writer.packed(Kind::Sealed, self.containers().map(|(_, state)| u64::from(state.sealed)));
        if !self.skipped.is_empty() {
            let mut skipped = Vec::new();
            self.skipped.write(&mut skipped);
            writer.raw(Kind::Skipped, 0, &skipped);
        }
        self.write_header(position, writer.count, out);
        out.extend_from_slice(&writer.table);
        out.extend_from_slice(&crc32c(&writer.table).to_le_bytes());
        out.extend_from_slice(&writer.data);
    }

    fn write_header(&self, position: LogPosition, sections: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&SNAPSHOT_MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(HEADER_LEN as u16).to_le_bytes());
        out.extend_from_slice(&sections.to_le_bytes());
        out.extend_from_slice(&self.transactions.to_le_bytes());
        out.extend_from_slice(&position.offset.to_le_bytes());
        out.extend_from_slice(&position.file.to_le_bytes());
        out.extend_from_slice(&self.next_id.to_le_bytes());
        out.extend_from_slice(&self.next_container.to_le_bytes());
        out.extend_from_slice(&(self.containers.len() as u32).to_le_bytes());
        out.extend_from_slice(&(self.len() as u64).to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        let crc = crc32c(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_le_bytes());
        debug_assert_eq!(out.len() - start, HEADER_LEN);
    }

    /// When and where messages lost their last reference, as far as that is known.
    fn write_expunged(&self) -> Vec<u8> {
        let mut sets: BTreeMap<Gone, IdSet> = BTreeMap::new();
        for (id, gone) in self.expunged().filter(|(_, gone)| *gone != Gone::default()) {
            sets.entry(gone).or_default().insert(id);
        }
        let mut out = Vec::new();
        for (Gone { time, mailbox }, ids) in sets {
            out.extend_from_slice(&time.to_le_bytes());
            out.extend_from_slice(&mailbox);
            ids.write(&mut out);
        }
        out
    }

    fn extras(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (id, extra) in &self.extras {
            if self.get(MapId(*id)).is_some() {
                put_varint(&mut out, u64::from(*id));
                put_varint(&mut out, extra.as_bytes().len() as u64);
                out.extend_from_slice(extra.as_bytes());
            }
        }
        out
    }
}

/// Gathers sections and the table that describes them.
#[derive(Default)]
struct Writer {
    count: u32,
    table: Vec<u8>,
    data: Vec<u8>,
}

impl Writer {
    fn packed(&mut self, kind: Kind, values: impl Iterator<Item = u64> + Clone) {
        let base = values.clone().min().unwrap_or(0);
        let most = values.clone().max().unwrap_or(0) - base;
        let width = (64 - most.leading_zeros()).div_ceil(8);
        let start = self.data.len();
        for value in values {
            let bytes = (value - base).to_le_bytes();
            self.data.extend(bytes.iter().take(width as usize));
        }
        self.describe(kind, width as u8, base, start);
    }

    fn raw(&mut self, kind: Kind, width: u8, bytes: &[u8]) {
        let start = self.data.len();
        self.data.extend_from_slice(bytes);
        self.describe(kind, width, 0, start);
    }

    fn describe(&mut self, kind: Kind, width: u8, base: u64, start: usize) {
        let bytes = self.data.get(start..).unwrap_or_default();
        self.count += 1;
        self.table.extend_from_slice(&[kind as u8, width, 0, 0]);
        self.table.extend_from_slice(&crc32c(bytes).to_le_bytes());
        self.table.extend_from_slice(&base.to_le_bytes());
        self.table.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    }
}

fn framing(entry: &Entry) -> u64 {
    zigzag(entry.record_len.wrapping_sub(entry.size) as i64)
}
