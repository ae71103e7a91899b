//! What the usual changes cost on disk. These figures do not depend on the machine.

use index_format::log::write_frame;
use index_format::mailbox::{Mailbox, NewMessage, TransactionBuilder};
use index_format::record::Names;
use index_format::{Flags, Guid, MapId, Uid, UidSet, snapshot};

/// A mailbox with `count` messages as mail comes in, the last one with this UID.
pub(crate) fn filled(count: u32) -> Mailbox {
    let mut mailbox = Mailbox::new(1_750_000_000, 0);
    let mut noise = 12345u32;
    for n in 0..count {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let date = 1_600_000_000 + i64::from(n) * 700 + i64::from(noise % 500);
        let message = NewMessage {
            map_id: MapId(n * 3 + noise % 3),
            internal_date: date,
            save_date: date,
            size: u64::from(2000 + noise % 60_000),
            flags: Flags((noise >> 20) as u8 & 5),
            ..NewMessage::default()
        };
        commit(&mut mailbox, &mut Names::default(), |builder| {
            builder.append(&message).unwrap();
        });
    }
    mailbox
}

/// Lets a transaction happen and gives the length of its frame.
pub(crate) fn commit(
    mailbox: &mut Mailbox,
    names: &mut Names,
    build: impl FnOnce(&mut TransactionBuilder<'_>),
) -> usize {
    let mut builder = TransactionBuilder::new(mailbox, names);
    build(&mut builder);
    let transaction = builder.finish();
    let (mut payload, mut frame) = (Vec::new(), Vec::new());
    transaction.encode(names, &mut payload).unwrap();
    write_frame(1, &payload, &mut frame).unwrap();
    mailbox.apply(&transaction).unwrap();
    frame.len()
}

#[test]
fn the_usual_changes_cost_a_few_bytes() {
    let mut mailbox = filled(120_000);
    let names = &mut Names::default();
    let message = NewMessage {
        map_id: MapId(3_000_000),
        internal_date: 1_780_000_000,
        save_date: 1_780_000_000,
        size: 123_456,
        ..NewMessage::default()
    };
    let append = commit(&mut mailbox, names, |builder| {
        builder.append(&message).unwrap();
    });
    assert_eq!(append, 21, "a delivered message");
    let one = UidSet::one(Uid(119_000));
    let flag = commit(&mut mailbox, names, |b| b.flags_add(&one, Flags::SEEN, &[]).unwrap());
    assert_eq!(flag, 11, "one flag on one message");
    let many = UidSet::range(Uid(10_001)..=Uid(110_000));
    let flags = commit(&mut mailbox, names, |b| b.flags_add(&many, Flags::FLAGGED, &[]).unwrap());
    assert_eq!(flags, 13, "one flag on 100,000 messages");
    let keyword = ["Keyword-of-20-bytes."];
    let first = commit(&mut mailbox, names, |b| b.flags_add(&one, Flags::NONE, &keyword).unwrap());
    assert_eq!(first, 34, "a keyword, for the first time in a file");
    let two = UidSet::one(Uid(119_001));
    let again = commit(&mut mailbox, names, |b| b.flags_add(&two, Flags::NONE, &keyword).unwrap());
    assert_eq!(again, 11, "a keyword, again");
    let tenth: UidSet = (0..10_000).map(|n| Uid(3 + n * 10)).collect();
    let stepped = commit(&mut mailbox, names, |b| b.flags_add(&tenth, Flags::DRAFT, &[]).unwrap());
    assert_eq!(stepped, 13, "one flag on every 10th of 100,000 messages");
    let stepped = commit(&mut mailbox, names, |b| b.expunge(&tenth));
    assert_eq!(stepped, 13, "every 10th of 100,000 messages expunged");
    let expunge = commit(&mut mailbox, names, |b| b.expunge(&many));
    assert_eq!(expunge, 13, "100,000 messages expunged");
}

/// A set without a pattern costs what its entropy says: log2 of how many such sets there are.
#[test]
fn random_sets_cost_little_more_than_their_entropy() {
    let mut noise = 7u64;
    for (density, most) in [
        (0.001, 1.06),
        (0.01, 1.05),
        (0.1, 1.02),
        (0.3, 1.02),
        (0.5, 1.02),
        (0.7, 1.02),
        (0.9, 1.03),
    ] {
        let set: UidSet = (1..=100_000)
            .filter(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((noise >> 11) as f64) / ((1u64 << 53) as f64) < density
            })
            .map(Uid)
            .collect();
        let mut bytes = Vec::new();
        set.encode(&mut bytes);
        let share = set.len() as f64 / 100_000.0;
        let bits = -(share * share.log2() + (1.0 - share) * (1.0 - share).log2());
        let ratio = bytes.len() as f64 / (bits * 100_000.0 / 8.0);
        assert!(ratio < most, "{density}: {ratio:.3} times the entropy");
    }
}

#[test]
fn the_largest_uids_still_fit() {
    let mut mailbox = filled(1);
    let names = &mut Names::default();
    let uids = UidSet::one(Uid(u32::MAX - 1));
    assert_eq!(commit(&mut mailbox, names, |b| b.flags_add(&uids, Flags::SEEN, &[]).unwrap()), 13);
    let uids = UidSet::range(Uid(4_000_000_000)..=Uid(4_000_099_999));
    assert_eq!(commit(&mut mailbox, names, |b| b.flags_add(&uids, Flags::SEEN, &[]).unwrap()), 16);
}

#[test]
fn a_copy_of_100_000_messages_fits_one_frame() {
    let source = filled(100_000);
    let mut target = Mailbox::new(1_750_000_001, 0);
    let len = commit(&mut target, &mut Names::default(), |builder| {
        for row in source.iter() {
            let message = NewMessage {
                map_id: row.map_id,
                internal_date: row.internal_date,
                save_date: 1_790_000_000,
                size: row.size,
                flags: row.flags,
                keywords: &[],
            };
            builder.append(&message).unwrap();
        }
    });
    assert!(len <= 8 * 100_000, "{len} bytes");
    assert_eq!(target.len(), 100_000);
}

#[test]
fn a_snapshot_takes_at_most_16_bytes_a_message() {
    let mut mailbox = filled(100_000);
    let len = snapshot::write(&mailbox, Guid([1; 16]), 1, 1).len();
    assert!(len <= 10 * 100_000, "as mail comes in: {len}");
    // Flags changed here and there, every fifth message gone, everything saved at another time than it came.
    let names = &mut Names::default();
    for n in 0..5000 {
        let uids = UidSet::one(Uid(1 + n * 7919 % 100_000));
        commit(&mut mailbox, names, |b| b.flags_add(&uids, Flags::SEEN, &["$Work"]).unwrap());
    }
    let fifths: UidSet = (0..20_000).map(|n| Uid(1 + n * 5)).collect();
    commit(&mut mailbox, names, |b| {
        b.expunge(&fifths);
        for n in 0..100_000u32 {
            let date = 1_780_000_000 + i64::from(n.wrapping_mul(2_654_435_761) >> 8);
            b.record(index_format::record::Record::SaveDate { uids: UidSet::one(Uid(n)), date });
        }
    });
    let tombstones = mailbox.tombstones().len();
    mailbox.forget_vanished(mailbox.highest_modseq());
    let len = snapshot::write(&mailbox, Guid([1; 16]), 1, 1).len();
    assert!(
        len <= 16 * mailbox.len(),
        "{len} bytes for {} messages, {tombstones} tombstones",
        mailbox.len()
    );
}
