//! The mailbox list: who wins a name, what a rename moves, early and late readers.

use std::collections::BTreeMap;

use index_format::list::{
    Counters, List, Outcome, Record, SpecialUse, TOMBSTONES_MAX, Transaction,
};
use index_format::log::{EndKind, Frames, Header, Kind, write_frame};
use index_format::mailbox::Counters as Sums;
use index_format::snapshot::Position;
use index_format::{Guid, ModSeq, Uid};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::arbitrary::{list_record, prefix};

const OWNER: Guid = Guid([8; 16]);

fn guid(n: u8) -> Guid {
    Guid([n; 16])
}

fn create(n: u8, name: &str) -> Record {
    Record::Create {
        guid: guid(n),
        name: name.into(),
        uidvalidity: 0,
        special_use: SpecialUse::NONE,
        time: 5,
    }
}

fn apply(list: &mut List, record: Record) -> Outcome {
    let mut applied = list.apply(&Transaction::new(vec![record]));
    applied.outcomes.remove(0)
}

fn names(list: &List) -> Vec<&str> {
    list.iter().map(|entry| &*entry.name).collect()
}

pub(crate) fn some_list() -> List {
    let mut list = List::new(1);
    for (n, name) in
        ["INBOX", "Sent", "Work", "Work/2024", "Work/2024/May", "Workshop"].into_iter().enumerate()
    {
        apply(&mut list, create(n as u8, name));
    }
    list
}

proptest! {
    /// Bytes that lie under a right checksum: refused, or a list that is whole.
    #[test]
    fn lies_under_a_right_checksum_are_refused_or_whole(
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = some_list().write(OWNER, 1, 2);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let sum = crc_fast::crc32_iscsi(&[&bytes[..12], &bytes[16..]].concat()).to_le_bytes();
        bytes[12..16].copy_from_slice(&sum);
        if let Ok((owner, list, position)) = List::parse(&bytes) {
            prop_assert_eq!(list.write(owner, position.file, position.offset), bytes);
        }
    }

    #[test]
    fn transactions_come_back_whole(records in vec(list_record(), 0..20), prefix in prefix()) {
        let transaction = Transaction { prefix, records };
        let mut bytes = Vec::new();
        transaction.encode(&mut bytes).unwrap();
        prop_assert_eq!(Transaction::decode(&bytes, 0), Ok(transaction));
    }

    #[test]
    fn random_payloads_never_panic(kind in 0u8..20, bytes in vec(any::<u8>(), 0..120)) {
        let bytes = [&[kind][..], &bytes].concat();
        if let Ok(transaction) = Transaction::decode(&bytes, 0) {
            let mut out = Vec::new();
            transaction.encode(&mut out).unwrap();
            prop_assert_eq!(&out, &bytes);
            some_list().apply(&transaction);
        }
        let _ = List::parse(&bytes);
    }

    #[test]
    fn early_and_late_readers_agree(
        transactions in vec((vec(list_record(), 1..5), prefix()), 1..40),
        snapshot_at in any::<prop::sample::Index>(),
    ) {
        let snapshot_at = snapshot_at.index(transactions.len());
        let mut late = List::new(1);
        let mut early = None;
        for (index, (records, prefix)) in transactions.into_iter().enumerate() {
            if index == snapshot_at {
                let bytes = late.write(OWNER, 3, 700);
                let (owner, list, position) = List::parse(&bytes).unwrap();
                let transactions = index as u64;
                prop_assert_eq!((owner, position), (OWNER, Position { file: 3, offset: 700, transactions }));
                prop_assert_eq!(list.write(OWNER, 3, 700), bytes);
                early = Some(list);
            }
            let transaction = Transaction { prefix, records };
            let before = late.clone();
            let applied = late.apply(&transaction);
            if let Some(early) = &mut early {
                prop_assert_eq!(early.apply(&transaction), applied.clone());
            }
            // One holder a name, one name a holder; no number falls.
            prop_assert!(late.iter().all(|entry| late.by_guid(entry.guid) == late.by_name(&entry.name)));
            prop_assert!(late.modseq() >= before.modseq() && late.uidvalidity_high() >= before.uidvalidity_high());
            prop_assert_eq!(applied.modseq.is_some(), late.modseq() > before.modseq());
            for entry in late.iter().filter(|entry| before.by_guid(entry.guid).is_none()) {
                prop_assert!(entry.uidvalidity > before.uidvalidity_high());
            }
        }
        prop_assert_eq!(early, Some(late));
    }
}

#[test]
fn the_first_creator_wins_and_the_second_learns_it() {
    let mut list = List::new(0);
    let now = list.next_uidvalidity(1_750_000_000);
    assert_eq!(now, 1_750_000_001);
    let first = Record::Create {
        guid: guid(1),
        name: "Lists/rust".into(),
        uidvalidity: now,
        special_use: SpecialUse::ARCHIVE,
        time: 1_750_000_000,
    };
    assert_eq!(apply(&mut list, first.clone()), Outcome::Created { uidvalidity: now });
    assert_eq!(apply(&mut list, create(2, "Lists/rust")), Outcome::NameTaken(guid(1)));
    assert_eq!(apply(&mut list, first), Outcome::Same);
    assert_eq!(list.by_guid(guid(2)), None);
    // Even a writer that did not know of the first gets a UIDVALIDITY of its own.
    assert_eq!(apply(&mut list, create(2, "Lists")), Outcome::Created { uidvalidity: now + 1 });
    assert_eq!(list.next_uidvalidity(17), now + 2);
    assert!(list.has_children("Lists") && !list.has_children("Lists/rust"));
    assert_eq!(list.by_name("Lists/rust").unwrap().special_use, SpecialUse::ARCHIVE);
    for name in ["", "/", "a//b", "/a", "a/"] {
        assert_eq!(apply(&mut list, create(9, name)), Outcome::Invalid, "{name:?}");
    }
}

#[test]
fn a_tree_is_renamed_by_one_record() {
    let mut list = some_list();
    let rename =
        |from: &str, to: &str| Record::Rename { from: from.into(), to: to.into(), time: 9 };
    let Outcome::Renamed(moved) = apply(&mut list, rename("Work", "Old/Work")) else { panic!() };
    assert_eq!(moved.len(), 3);
    assert_eq!(
        names(&list),
        ["INBOX", "Old/Work", "Old/Work/2024", "Old/Work/2024/May", "Sent", "Workshop"]
    );
    assert_eq!(list.by_name("Old/Work/2024").unwrap().guid, guid(3));
    let tombstone = &list.tombstones()[1];
    assert_eq!(
        (&*tombstone.name, tombstone.renamed_to.as_deref()),
        ("Work/2024", Some("Old/Work/2024"))
    );
    // A name that is taken by another refuses the whole tree.
    apply(&mut list, create(20, "New/2024/May"));
    assert_eq!(apply(&mut list, rename("Old/Work", "New")), Outcome::NameTaken(guid(20)));
    assert_eq!(apply(&mut list, rename("Old/Work", "Old/Work/x")), Outcome::Invalid);
    assert_eq!(apply(&mut list, rename("Nothing", "x")), Outcome::Missing);
    // A parent that is no mailbox itself moves what is below it, also onto its own place.
    assert!(matches!(apply(&mut list, rename("Old/Work", "Old")), Outcome::Renamed(_)));
    assert_eq!(list.by_name("Old/2024/May").unwrap().guid, guid(4));
}

#[test]
fn row_61_a_mailbox_under_a_name_that_another_has_had_gets_a_new_uidvalidity() {
    let mut list = List::new(0);
    let rename =
        |from: &str, to: &str| Record::Rename { from: from.into(), to: to.into(), time: 9 };
    let uidvalidity = |list: &List, name: &str| list.by_name(name).unwrap().uidvalidity;
    for (n, name) in ["a", "a/x", "b", "b/x"].into_iter().enumerate() {
        apply(&mut list, create(n as u8, name));
    }
    // There and back, and to a name that nobody has had: what was known stays right.
    assert!(matches!(apply(&mut list, rename("a", "c")), Outcome::Renamed(_)));
    assert!(matches!(apply(&mut list, rename("c", "a")), Outcome::Renamed(_)));
    assert_eq!((uidvalidity(&list, "a"), uidvalidity(&list, "a/x")), (1, 2));
    // `b` had 3 and 4.
    assert!(matches!(
        apply(&mut list, Record::Delete { guid: guid(2), time: 9 }),
        Outcome::Deleted(_)
    ));
    assert!(matches!(apply(&mut list, rename("b/x", "away")), Outcome::Renamed(_)));
    assert!(matches!(apply(&mut list, rename("a", "b")), Outcome::Renamed(_)));
    assert_eq!((uidvalidity(&list, "b"), uidvalidity(&list, "b/x")), (5, 6));
    // `away` goes where a lower one was: its own is above that.
    assert!(matches!(apply(&mut list, rename("away", "a/x")), Outcome::Renamed(_)));
    assert_eq!(uidvalidity(&list, "a/x"), 4);
    // What moves up in its own tree comes to a name that another had until then.
    for (n, name) in ["t/x/x", "t/x"].into_iter().enumerate() {
        apply(&mut list, create(n as u8 + 20, name));
    }
    assert!(matches!(apply(&mut list, rename("t/x", "t")), Outcome::Renamed(_)));
    assert_eq!(list.by_name("t/x").unwrap().guid, guid(20));
    assert_eq!((uidvalidity(&list, "t"), uidvalidity(&list, "t/x")), (8, 9));
    assert_eq!(apply(&mut list, create(9, "new")), Outcome::Created { uidvalidity: 10 });

    // When there is none left to give, nothing moves.
    apply(&mut list, Record::UidValidity(u32::MAX));
    apply(&mut list, Record::Delete { guid: guid(9), time: 9 });
    assert_eq!(apply(&mut list, rename("b", "new")), Outcome::Invalid);
    assert_eq!(uidvalidity(&list, "b"), 5);
}

#[test]
fn row_61_where_names_are_forgotten_any_name_may_have_been_used() {
    let mut list = List::new(0);
    apply(&mut list, create(1, "kept"));
    let record = |n: u32| {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&n.to_le_bytes());
        let guid = Guid(id);
        let (name, uidvalidity) = (format!("n{n}").into(), 0);
        let special_use = SpecialUse::NONE;
        [
            Record::Create { guid, name, uidvalidity, special_use, time: 5 },
            Record::Delete { guid, time: 5 },
        ]
    };
    for n in 0..=TOMBSTONES_MAX as u32 {
        list.apply(&Transaction::new(record(n + 1000).into()));
    }
    assert!(!list.tombstones().iter().any(|gone| *gone.name == *"n1000"));
    let high = list.uidvalidity_high();
    let rename = Record::Rename { from: "kept".into(), to: "n1000".into(), time: 9 };
    assert!(matches!(apply(&mut list, rename), Outcome::Renamed(_)));
    assert_eq!(list.by_name("n1000").unwrap().uidvalidity, high + 1);
}

proptest! {
    /// Whoever has a name, one after the other: a UIDVALIDITY under it names one mailbox, and only rises.
    #[test]
    fn row_61_under_a_name_uidvalidity_only_rises(steps in vec((0u8..3, 0u8..6, 0u8..6), 1..60)) {
        const NAMES: [&str; 6] = ["a", "a/x", "b", "b/x", "c", "c/x"];
        let mut list = List::new(0);
        let mut told: BTreeMap<String, (u32, Guid)> = BTreeMap::new();
        for (n, (what, from, to)) in steps.into_iter().enumerate() {
            let (from, to) = (NAMES[usize::from(from)], NAMES[usize::from(to)]);
            let record = match what {
                0 => create(n as u8, from),
                1 => match list.by_name(from) {
                    Some(entry) => Record::Delete { guid: entry.guid, time: 1 },
                    None => continue,
                },
                _ => Record::Rename { from: from.into(), to: to.into(), time: 1 },
            };
            apply(&mut list, record);
            for entry in list.iter() {
                let (high, holder) =
                    *told.get(&*entry.name).unwrap_or(&(0, entry.guid));
                prop_assert!(entry.uidvalidity <= list.uidvalidity_high());
                prop_assert!(
                    entry.uidvalidity > high || (entry.uidvalidity == high && entry.guid == holder),
                    "{} had {high}, has {}", entry.name, entry.uidvalidity
                );
                told.insert(entry.name.to_string(), (entry.uidvalidity, entry.guid));
            }
        }
    }
}

#[test]
fn a_deleted_mailbox_leaves_its_children_subscription_and_tombstone() {
    let mut list = some_list();
    assert_eq!(apply(&mut list, Record::Subscribe("Work".into())), Outcome::Done);
    assert_eq!(apply(&mut list, Record::Subscribe("Never/there".into())), Outcome::Done);
    let Outcome::Deleted(entry) = apply(&mut list, Record::Delete { guid: guid(2), time: 77 })
    else {
        panic!()
    };
    assert_eq!(&*entry.name, "Work");
    assert!(
        list.by_name("Work").is_none() && list.has_children("Work") && list.is_subscribed("Work")
    );
    assert_eq!(list.subscriptions().collect::<Vec<_>>(), ["Never/there", "Work"]);
    let tombstone = list.tombstones().last().unwrap();
    assert_eq!((tombstone.guid, tombstone.time, &tombstone.renamed_to), (guid(2), 77, &None));
    assert_eq!(
        apply(&mut list, create(2, "Again")),
        Outcome::Invalid,
        "a GUID is one mailbox for ever"
    );
    let high = list.uidvalidity_high();
    assert_eq!(apply(&mut list, create(30, "Work")), Outcome::Created { uidvalidity: high + 1 });
    assert_eq!(apply(&mut list, Record::Unsubscribe("Work".into())), Outcome::Done);
    assert_eq!(apply(&mut list, Record::Unsubscribe("Work".into())), Outcome::Same);
}

#[test]
fn older_counters_never_replace_newer_ones() {
    let mut list = some_list();
    let counters = |t, messages| {
        let sums = Sums { messages, unseen: 1, deleted: 2, size: 3 };
        let counters = Counters { sums, uidnext: Uid(messages + 1), modseq: ModSeq::new(t, 1) };
        Record::Counters { guid: guid(0), counters }
    };
    let modseq = list.modseq();
    assert_eq!(apply(&mut list, counters(7, 10)), Outcome::Done);
    assert_eq!(apply(&mut list, counters(5, 9)), Outcome::Same);
    assert_eq!(list.by_name("INBOX").unwrap().counters.sums.messages, 10);
    assert_eq!(list.modseq(), modseq, "counters have modseqs of their own");
    let missing = Record::Recent { guid: guid(99), uid: Uid(3) };
    assert_eq!(apply(&mut list, missing), Outcome::Missing);
    apply(&mut list, Record::Recent { guid: guid(0), uid: Uid(8) });
    assert_eq!(apply(&mut list, Record::Recent { guid: guid(0), uid: Uid(3) }), Outcome::Same);
    assert_eq!(list.by_name("INBOX").unwrap().recent, Uid(8));
}

#[test]
fn a_list_log_is_replayed() {
    let list = List::new(1);
    let mut file = Vec::new();
    let header = list.header(OWNER, 1, None, 4);
    assert_eq!(header.kind, Kind::List);
    header.write(&mut file);
    for (n, name) in ["a", "b", "a"].into_iter().enumerate() {
        let mut payload = Vec::new();
        Transaction::new(vec![create(n as u8, name)]).encode(&mut payload).unwrap();
        write_frame(4, &payload, &mut file).unwrap();
    }
    let mut replayed = List::new(0);
    replayed.begin_file(&header).unwrap();
    let mut outcomes = Vec::new();
    let mut frames = Frames::new(&file, Header::LEN as u64, 4);
    let end = replayed
        .replay(&mut frames, |_, applied| outcomes.extend(applied.outcomes.clone()))
        .unwrap();
    assert_eq!(end.kind, EndKind::Clean);
    assert_eq!(outcomes[2], Outcome::NameTaken(guid(0)));
    assert_eq!((names(&replayed), replayed.transactions()), (vec!["a", "b"], 3));
    assert!(replayed.begin_file(&header).is_err());
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let bytes = some_list().write(OWNER, 1, 2);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        assert!(List::parse(&damaged).is_err(), "byte {at}");
        assert!(List::parse(&bytes[..at]).is_err());
    }
    assert!(List::parse(&[&bytes[..], &[0]].concat()).is_err());
}
