//! Snapshots: sections on their own, damage, sections of a later version.

use index_format::snapshot::{Position, SectionId, Snapshot, write, write_with};
use index_format::{Error, Flags, Guid, Keywords, ModSeq, Uid, UidSet};
use proptest::prelude::*;

use crate::arbitrary::wide_uids;
use crate::sizes::{commit, filled};

const OWNER: Guid = Guid([6; 16]);

#[test]
fn the_header_and_single_columns_need_no_row() {
    let mut mailbox = filled(5000);
    let names = &mut Default::default();
    let gone: UidSet = (1..1000).map(|n| Uid(n * 5)).collect();
    commit(&mut mailbox, names, |b| b.expunge(&gone));
    commit(&mut mailbox, names, |b| {
        b.flags_add(&UidSet::one(Uid(9)), Flags::NONE, &["$Work"]).unwrap()
    });
    let bytes = write(&mailbox, OWNER, 4, 123);
    let snapshot = Snapshot::parse(&bytes).unwrap();
    snapshot.verify().unwrap();
    let header = snapshot.header();
    assert_eq!(header.position, Position { file: 4, offset: 123, transactions: 5002 });
    assert_eq!(
        (header.owner, header.counters, header.uidnext),
        (OWNER, mailbox.counters(), Uid(5001))
    );
    assert_eq!(header.first_unseen.map(|index| index as usize), mailbox.first_unseen());
    let uids = snapshot.uids().unwrap();
    assert_eq!(uids.len(), 4001);
    for uid in 0..5100 {
        let index = mailbox.find(Uid(uid)).map(|index| index as u32);
        assert_eq!(uids.find(Uid(uid)), index, "UID {uid}");
        if let Some(index) = index {
            assert_eq!(uids.uid(index), Some(Uid(uid)));
        }
    }
    assert_eq!(uids.uid(4001), None);
    let flags = snapshot.column(SectionId::FLAGS).unwrap();
    let sizes = snapshot.column(SectionId::SIZES).unwrap();
    let modseqs = snapshot.column(SectionId::MODSEQS).unwrap();
    for (index, row) in mailbox.iter().enumerate() {
        assert_eq!(flags.get(index), Some(row.flags.0.into()));
        assert_eq!(sizes.get(index), Some(row.size));
        assert_eq!(modseqs.get(index).map(ModSeq), Some(row.modseq));
    }
    assert_eq!(flags.get(4001), None);
    let index = mailbox.find(Uid(9)).unwrap();
    assert_eq!(
        snapshot.column(SectionId::KEYWORDS).unwrap().get(index).map(Keywords),
        Some(Keywords(1))
    );
    assert!(matches!(
        snapshot.column(SectionId::THREADS),
        Err(Error::Value { field: "missing section", found: 23, .. })
    ));
}

#[test]
fn every_damaged_byte_is_noticed() {
    let mut mailbox = filled(50);
    commit(&mut mailbox, &mut Default::default(), |b| b.expunge(&UidSet::one(Uid(9))));
    let bytes = write(&mailbox, OWNER, 1, 1);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let refused = Snapshot::parse(&damaged).and_then(|snapshot| snapshot.verify());
        assert!(refused.is_err(), "byte {at}");
        assert!(Snapshot::parse(&bytes[..at]).is_err());
    }
}

#[test]
fn a_section_of_a_later_version_is_left_alone() {
    let mailbox = filled(50);
    let later = SectionId(900);
    let bytes = write_with(&mailbox, OWNER, 1, 1, 0x80, &[(later, b"what is this")]);
    let snapshot = Snapshot::parse(&bytes).unwrap();
    snapshot.verify().unwrap();
    assert_eq!(snapshot.header().flags, 0x80);
    assert_eq!(snapshot.section(later), Ok(Some(&b"what is this"[..])));
    assert_eq!(snapshot.sections().last(), Some(later));
    assert_eq!(snapshot.to_mailbox().unwrap(), mailbox);
}

/// Makes all checksums of a snapshot right again, as a bug or an attacker with the disk could.
fn resum(bytes: &mut [u8]) {
    use crc_fast::crc32_iscsi;
    const LEN: usize = index_format::snapshot::Header::LEN;
    let number = |bytes: &[u8], at: usize| {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
    };
    let count = u32::from_le_bytes(bytes[104..108].try_into().unwrap()) as usize;
    let len = bytes.len();
    for entry in (0..count).map(|index| LEN + index * 24).take_while(|entry| entry + 24 <= len) {
        let (start, len) = (number(bytes, entry + 8), number(bytes, entry + 16));
        let section =
            start.checked_add(len).and_then(|end| bytes.get(start..end)).unwrap_or_default();
        let sum = crc32_iscsi(section).to_le_bytes();
        bytes[entry + 4..entry + 8].copy_from_slice(&sum);
    }
    let table = bytes.get(LEN..LEN + count * 24).unwrap_or_default();
    let sum = crc32_iscsi(&[&bytes[..116], table].concat()).to_le_bytes();
    bytes[116..120].copy_from_slice(&sum);
}

proptest! {
    /// Bytes that lie under right checksums: refused, or a state that is whole. Never a panic, never endless memory.
    #[test]
    fn lies_under_right_checksums_are_refused_or_whole(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut mailbox = filled(40);
        commit(&mut mailbox, &mut Default::default(), |b| {
            b.expunge(&UidSet::one(Uid(9)));
            b.flags_add(&UidSet::one(Uid(3)), Flags::SEEN, &["$Work"]).unwrap();
            b.record(index_format::record::Record::Void(UidSet::one(Uid(60))));
        });
        let mut bytes = write(&mailbox, OWNER, 1, 1);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        resum(&mut bytes);
        if let Ok(state) = Snapshot::parse(&bytes).and_then(|snapshot| snapshot.to_mailbox()) {
            let again = write(&state, OWNER, 1, 1);
            prop_assert_eq!(Snapshot::parse(&again).unwrap().to_mailbox(), Ok(state));
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Snapshot::parse(&bytes);
        let mut bytes = [b"LOFTsnp\n\x01\0", &bytes[..]].concat();
        let _ = Snapshot::parse(&bytes);
        bytes.clear();
    }

    #[test]
    fn any_uids_and_numbers_come_back(uids in wide_uids(), noise in any::<u64>()) {
        use index_format::record::{Append, Record, Transaction};
        let mut mailbox = index_format::mailbox::Mailbox::new(1, 0);
        let mut noise = noise;
        let mut next = || {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            noise >> (noise % 60)
        };
        for uid in uids.ranges().flat_map(|range| [*range.start(), *range.end()]) {
            let append = Append {
                uid: Some(uid),
                internal_date: next() as i64,
                save_date: Some(next() as i64),
                size: next(),
                map_id: index_format::MapId(next() as u32),
                flags: Flags(next() as u8),
                ..Append::default()
            };
            let _ = mailbox.apply(&Transaction::new(vec![Record::Append(append)]));
        }
        let bytes = write(&mailbox, OWNER, 1, 1);
        prop_assert_eq!(Snapshot::parse(&bytes).unwrap().to_mailbox(), Ok(mailbox));
    }
}
