//! The list of a mailbox's UIDs: four ways to keep it, by size and by look-ups both ways.
//!
//! *Warm*: look-ups one after the other. *Cold*: the first look-up in bytes that have just been read, what has to be made
//! of them first included.
//!
//! `cargo bench -p loft-index-format --bench uids`

mod common;

use common::{Noise, nanoseconds, print};
use index_format::mailbox::Mailbox;
use index_format::record::{Append, Record, Transaction};
use index_format::snapshot::{self, SectionId, Snapshot};
use index_format::{Guid, Uid};
use roaring::RoaringBitmap;
use std::hint::black_box;
use vers_vecs::EliasFanoVec;

/// Look-ups in one run.
const PROBES: usize = 20_000;

fn main() {
    let mut rows = vec![
        [
            "messages",
            "UIDs",
            "kept as",
            "bytes",
            "bytes a message",
            "to index, ns",
            "to UID, ns",
            "cold, µs",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for count in [1_000, 100_000, 5_000_000] {
        for (name, share) in
            [("no gaps", 1.0), ("1 % gone", 0.99), ("half gone", 0.5), ("95 % gone", 0.05)]
        {
            rows.extend(lists(count, name, share));
        }
    }
    print(&rows);
}

fn lists(count: u32, name: &str, share: f64) -> Vec<Vec<String>> {
    let noise = &mut Noise(7);
    let mut uids = Vec::with_capacity(count as usize);
    let mut next = 1;
    for _ in 0..count {
        while !noise.chance(share) {
            next += 1;
        }
        uids.push(next);
        next += 1;
    }
    let indexes: Vec<u32> = (0..PROBES).map(|_| noise.below(count.into()) as u32).collect();
    let wanted: Vec<u32> =
        indexes.iter().filter_map(|&index| uids.get(index as usize).copied()).collect();
    let probes = Probes { indexes, wanted };
    let kept: [(&str, Figures); 4] = [
        ("ranges and directory", ours(&uids, &probes)),
        ("Elias-Fano", elias_fano(&uids, &probes)),
        ("roaring", roaring(&uids, &probes)),
        ("array of 4 bytes", array(&uids, &probes)),
    ];
    let row = |(kept, figures): (&str, Figures)| {
        vec![
            count.to_string(),
            name.to_owned(),
            kept.to_owned(),
            figures.bytes.to_string(),
            format!("{:.2}", figures.bytes as f64 / f64::from(count)),
            format!("{:.0}", figures.to_index),
            format!("{:.0}", figures.to_uid),
            format!("{:.0}", figures.cold / 1000.0),
        ]
    };
    kept.into_iter().map(row).collect()
}

struct Probes {
    indexes: Vec<u32>,
    /// The UIDs at those indexes.
    wanted: Vec<u32>,
}

struct Figures {
    bytes: usize,
    to_index: f64,
    to_uid: f64,
    cold: f64,
}

fn measure<'a, T>(
    bytes: usize,
    probes: &'a Probes,
    open: impl Fn() -> T,
    find: impl Fn(&T, u32) -> Option<u32>,
    get: impl Fn(&T, u32) -> Option<u32>,
) -> Figures {
    let opened = open();
    for (&index, &uid) in probes.indexes.iter().zip(&probes.wanted) {
        assert_eq!((find(&opened, uid), get(&opened, index)), (Some(index), Some(uid)));
    }
    let all = |list: &'a [u32], look: &dyn Fn(&T, u32) -> Option<u32>| {
        nanoseconds(PROBES, || {
            list.iter().for_each(|&value| {
                black_box(look(&opened, value));
            })
        })
    };
    let first = probes.wanted.first().copied().unwrap_or_default();
    Figures {
        bytes,
        to_index: all(&probes.wanted, &find),
        to_uid: all(&probes.indexes, &get),
        cold: nanoseconds(1, || find(&open(), first)),
    }
}

fn ours(uids: &[u32], probes: &Probes) -> Figures {
    let mut mailbox = Mailbox::new(1, 0);
    for part in uids.chunks(50_000) {
        let records = part
            .iter()
            .map(|&uid| Record::Append(Append { uid: Some(Uid(uid)), ..Append::default() }));
        mailbox.apply(&Transaction::new(records.collect())).expect("ascending UIDs");
    }
    let file = snapshot::write(&mailbox, Guid([1; 16]), 1, 1);
    let parsed = Snapshot::parse(&file).expect("what was written");
    let bytes = parsed.section(SectionId::UIDS).expect("sound").map_or(0, <[u8]>::len);
    let open =
        || Snapshot::parse(&file).and_then(|snapshot| snapshot.uids()).expect("what was written");
    measure(
        bytes,
        probes,
        open,
        |list, uid| list.find(Uid(uid)),
        |list, index| list.uid(index).map(|uid| uid.0),
    )
}

fn elias_fano(uids: &[u32], probes: &Probes) -> Figures {
    let numbers: Vec<u64> = uids.iter().map(|&uid| uid.into()).collect();
    let list = EliasFanoVec::from_slice(&numbers);
    // It has no form on disk of its own: opening it costs nothing here.
    measure(
        list.heap_size(),
        probes,
        || &list,
        |list, uid| {
            Some(list.rank(uid.into()) as u32)
                .filter(|&index| list.get(index as usize) == Some(uid.into()))
        },
        |list, index| list.get(index as usize).map(|uid| uid as u32),
    )
}

fn roaring(uids: &[u32], probes: &Probes) -> Figures {
    let mut list: RoaringBitmap = uids.iter().copied().collect();
    list.optimize();
    let mut bytes = Vec::new();
    list.serialize_into(&mut bytes).expect("a vector takes all");
    let open = || RoaringBitmap::deserialize_from(bytes.as_slice()).expect("what was written");
    measure(
        bytes.len(),
        probes,
        open,
        |list, uid| list.contains(uid).then(|| list.rank(uid) as u32 - 1),
        RoaringBitmap::select,
    )
}

fn array(uids: &[u32], probes: &Probes) -> Figures {
    let bytes: Vec<u8> = uids.iter().flat_map(|uid| uid.to_le_bytes()).collect();
    let open = || -> Vec<u32> {
        bytes.as_chunks().0.iter().map(|chunk| u32::from_le_bytes(*chunk)).collect()
    };
    measure(
        bytes.len(),
        probes,
        open,
        |list, uid| list.binary_search(&uid).ok().map(|index| index as u32),
        |list, index| list.get(index as usize).copied(),
    )
}
