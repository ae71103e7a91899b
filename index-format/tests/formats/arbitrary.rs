//! Random values of the crate's types, small where smallness makes them meet.

use index_format::list;
use index_format::record::{Append, Origin, Prefix, Record, Tombstone, Transaction};
use index_format::{Flags, Guid, ItemId, Keywords, MapId, ModSeq, Uid, UidSet};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

pub(crate) fn uids() -> impl Strategy<Value = UidSet> {
    vec((0u32..60, 0u32..8), 0..6).prop_map(|ranges| {
        ranges.into_iter().map(|(first, more)| Uid(first)..=Uid(first + more)).collect()
    })
}

pub(crate) fn wide_uids() -> impl Strategy<Value = UidSet> {
    vec((any::<u32>(), 0u32..100_000), 0..40).prop_map(|ranges| {
        ranges
            .into_iter()
            .map(|(first, more)| Uid(first)..=Uid(first.saturating_add(more)))
            .collect()
    })
}

/// Sets of all shapes that a form exists for: steps, scattered members, scattered holes, clusters.
pub(crate) fn shaped_uids() -> impl Strategy<Value = UidSet> {
    let piece = (0u32..500, 1u32..40, 1u32..40, 1u32..60);
    let steps = vec(piece, 1..4).prop_map(|pieces| {
        let mut next = 1u32;
        let mut set = UidSet::new();
        for (skip, run, hole, count) in pieces {
            next += skip;
            for _ in 0..count {
                set.insert_range(Uid(next)..=Uid(next + run - 1));
                next += run + hole;
            }
        }
        set
    });
    let mean = prop_oneof![Just(1u32), 1u32..4, 1u32..100, 1u32..2_000_000];
    let scattered = (mean.clone(), mean, vec((any::<u32>(), any::<u32>()), 2..300)).prop_map(
        |(run, hole, noise)| {
            let mut next = 1u32;
            let mut set = UidSet::new();
            for (a, b) in noise {
                let last = next.saturating_add(a % run);
                set.insert_range(Uid(next)..=Uid(last));
                // Now and then one that is far off what the others suggest.
                let far = if b % 31 == 0 { a % 1_000_000 } else { 0 };
                next = last.saturating_add(2).saturating_add(b % hole).saturating_add(far);
            }
            set
        },
    );
    prop_oneof![steps, scattered]
}

fn flags() -> impl Strategy<Value = Flags> {
    prop_oneof![(0u8..5).prop_map(|bit| Flags(1 << bit)), any::<u8>().prop_map(Flags)]
}

fn guid() -> impl Strategy<Value = Guid> {
    any::<[u8; 16]>().prop_map(Guid)
}

fn append() -> impl Strategy<Value = Append> {
    let dates = (-5_000_000_000i64..5_000_000_000, of(any::<i64>()));
    let size = prop_oneof![0u64..100_000, any::<u64>()];
    let replicated = (
        proptest::option::weighted(0.1, 1u32..200),
        of(guid()),
        of((0u8..64, any::<u64>()).prop_map(|(server, sequence)| ItemId { server, sequence })),
    );
    let anchor = proptest::option::weighted(0.05, any::<u8>());
    (any::<u32>(), dates, size, flags(), 0u64..8, anchor, replicated).prop_map(
        |(map_id, (internal_date, save_date), size, flags, keywords, anchor, (uid, guid, item))| {
            Append {
                map_id: MapId(map_id),
                internal_date,
                save_date,
                size,
                flags,
                keywords: Keywords(keywords),
                anchor,
                uid: uid.map(Uid),
                guid,
                item,
            }
        },
    )
}

fn bytes(max: usize) -> impl Strategy<Value = Box<[u8]>> {
    vec(any::<u8>(), 0..max).prop_map(Vec::into_boxed_slice)
}

pub(crate) fn record() -> impl Strategy<Value = Record> {
    let set = uids;
    prop_oneof![
        6 => append().prop_map(Record::Append),
        // Plain appends, as a server alone writes them: these mostly apply.
        6 => (0u32..1000, 0i64..1000, 0u64..5000, flags()).prop_map(|(map_id, internal_date, size, flags)| {
            Record::Append(Append { map_id: MapId(map_id), internal_date, size, flags, ..Append::default() })
        }),
        3 => (set(), flags()).prop_map(|(uids, flags)| Record::FlagsAdd { uids, flags }),
        3 => (set(), flags()).prop_map(|(uids, flags)| Record::FlagsRemove { uids, flags }),
        2 => (set(), flags(), 0u64..8)
            .prop_map(|(uids, flags, mask)| Record::FlagsReplace { uids, flags, keywords: Keywords(mask) }),
        3 => (0u8..4).prop_map(|number| Record::KeywordDefine { number, name: format!("$K{number}").into() }),
        2 => (set(), 0u8..4).prop_map(|(uids, number)| Record::KeywordAdd { uids, number }),
        2 => (set(), 0u8..4).prop_map(|(uids, number)| Record::KeywordRemove { uids, number }),
        2 => set().prop_map(Record::Expunge),
        1 => (set(), any::<i64>()).prop_map(|(uids, date)| Record::SaveDate { uids, date }),
        1 => any::<u32>().prop_map(Record::UidValidity),
        1 => (0u32..100).prop_map(|uid| Record::UidNext(Uid(uid))),
        1 => (bytes(4), of(bytes(20))).prop_map(|(key, value)| Record::Metadata { key, value }),
        1 => (bytes(2), set(), flags(), flags())
            .prop_map(|(user, uids, add, remove)| Record::PrivateFlags { user, uids, add, remove }),
        1 => set().prop_map(Record::Void),
        1 => (1u32..50, any::<u32>(), 0u64..300, of(guid())).prop_map(|(uid, map_id, modseq, guid)| {
            Record::Tombstone(Tombstone { uid: Uid(uid), map_id: MapId(map_id), modseq: ModSeq(modseq), guid, kept: None })
        }),
    ]
}

pub(crate) fn prefix() -> impl Strategy<Value = Prefix> {
    let origin = (0u8..64, any::<u64>(), any::<u64>());
    (of(0u64..10_000), of(0u32..5), of(origin)).prop_map(|(modseq, epoch, origin)| Prefix {
        modseq: modseq.map(ModSeq),
        epoch,
        origin: origin.map(|(server, sequence, clock)| Origin { server, sequence, clock }),
    })
}

pub(crate) fn transaction() -> impl Strategy<Value = Transaction> {
    let prefix = prop_oneof![9 => Just(Prefix::default()), 1 => prefix()];
    (prefix, vec(record(), 1..6)).prop_map(|(prefix, records)| Transaction { prefix, records })
}

fn name() -> impl Strategy<Value = Box<str>> {
    vec(prop_oneof![Just("a"), Just("b"), Just("c d"), Just("")], 1..4)
        .prop_map(|levels| levels.join("/").into())
}

pub(crate) fn list_record() -> impl Strategy<Value = list::Record> {
    let guid = || (0u8..6).prop_map(|n| Guid([n; 16]));
    let counters = (0u64..40, any::<u32>(), any::<u32>(), any::<u64>()).prop_map(
        |(modseq, messages, next, size)| {
            let sums = index_format::mailbox::Counters { messages, unseen: 1, deleted: 0, size };
            list::Counters { sums, uidnext: Uid(next), modseq: ModSeq(modseq) }
        },
    );
    prop_oneof![
        4 => (guid(), name(), 0u32..1000, any::<u16>(), any::<i64>()).prop_map(
            |(guid, name, uidvalidity, special, time)| list::Record::Create {
                guid,
                name,
                uidvalidity,
                special_use: list::SpecialUse(special),
                time
            }
        ),
        1 => (guid(), any::<i64>()).prop_map(|(guid, time)| list::Record::Delete { guid, time }),
        2 => (name(), name(), any::<i64>()).prop_map(|(from, to, time)| list::Record::Rename { from, to, time }),
        1 => name().prop_map(list::Record::Subscribe),
        1 => name().prop_map(list::Record::Unsubscribe),
        1 => (guid(), any::<u16>())
            .prop_map(|(guid, bits)| list::Record::SpecialUse { guid, special_use: list::SpecialUse(bits) }),
        1 => (guid(), any::<u32>()).prop_map(|(guid, uid)| list::Record::Recent { guid, uid: Uid(uid) }),
        2 => (guid(), counters).prop_map(|(guid, counters)| list::Record::Counters { guid, counters }),
        1 => (0u32..2000).prop_map(list::Record::UidValidity),
        1 => (1u64..2000).prop_map(list::Record::MapFloor),
        1 => (guid(), bytes(3), of(bytes(5)))
            .prop_map(|(guid, identifier, rights)| list::Record::Acl { guid, identifier, rights }),
        1 => (of(guid()), bytes(3), of(bytes(5)))
            .prop_map(|(guid, key, value)| list::Record::Metadata { guid, key, value }),
    ]
}
