//! The state of a mailbox: early and late readers, UIDs, modseqs, counters.

use index_format::log::{EndKind, Frames, Header, write_frame};
use index_format::mailbox::{
    ApplyError, EPOCH_JUMP, KeywordError, Mailbox, NewMessage, Parts, ReplayError, Row,
    TOMBSTONES_LEAST, TransactionBuilder,
};
use index_format::record::{Append, Names, Prefix, Record, Transaction};
use index_format::snapshot::{self, Head, Overlay, Section, SectionId, Snapshot};
use index_format::{Error, Flags, Guid, Keywords, MapId, ModSeq, Uid, UidSet};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::arbitrary::{prefix, record, transaction};
use crate::sizes::{commit, filled};

const OWNER: Guid = Guid([9; 16]);

fn set(uids: &[u32]) -> UidSet {
    uids.iter().copied().map(Uid).collect()
}

fn encoded(transaction: &Transaction) -> Vec<u8> {
    let mut out = Vec::new();
    transaction.encode(&mut Names::default(), &mut out).unwrap();
    out
}

fn plain(records: Vec<Record>) -> Transaction {
    Transaction::new(records)
}

fn append() -> Record {
    Record::Append(Append::default())
}

/// The state of a snapshot, of which only the head and what is always needed was read.
fn opened(file: &[u8]) -> Mailbox {
    let beginning = &file[..file.len().min(Head::READ)];
    let head = Head::parse(beginning, file.len() as u64).unwrap();
    head.open(|section| section_of(file, section)).unwrap()
}

/// The same with an overlay over it.
fn laid_over(file: &[u8], overlay: &[u8]) -> Mailbox {
    let mut mailbox = opened(file);
    let overlay = Overlay::parse(overlay).unwrap();
    assert!(overlay.is_of(&Head::parse(file, file.len() as u64).unwrap()));
    mailbox.lay_over(overlay).unwrap();
    mailbox
}

fn section_of<'a>(file: &'a [u8], section: &Section) -> Result<&'a [u8], Error> {
    Ok(&file[section.at as usize..(section.at + section.len) as usize])
}

/// What must hold of any state.
fn check(mailbox: &Mailbox) {
    let rows: Vec<Row> = mailbox.iter().collect();
    assert!(rows.windows(2).all(|pair| pair[0].uid < pair[1].uid));
    assert!(rows.last().is_none_or(|row| row.uid < mailbox.uidnext()));
    assert!(rows.iter().all(|row| row.modseq <= mailbox.highest_modseq()));
    let counters = mailbox.counters();
    let count = |test: fn(&Row) -> bool| rows.iter().filter(|&row| test(row)).count();
    assert_eq!(counters.messages as usize, rows.len());
    assert_eq!(counters.unseen as usize, count(|row| !row.flags.contains(Flags::SEEN)));
    assert_eq!(counters.deleted as usize, count(|row| row.flags.contains(Flags::DELETED)));
    assert_eq!(
        mailbox.first_unseen(),
        rows.iter().position(|row| !row.flags.contains(Flags::SEEN))
    );
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(mailbox.find(row.uid), Some(index));
    }
    assert!((0..120).filter(|&uid| mailbox.find(Uid(uid)).is_some()).count() <= rows.len());
    assert!(mailbox.tombstones().is_sorted_by_key(|tombstone| tombstone.modseq));
}

proptest! {
    #[test]
    fn transactions_come_back_whole(records in vec(record(), 0..20), prefix in prefix()) {
        let transaction = Transaction { prefix, records };
        let bytes = encoded(&transaction);
        let read = Transaction::decode(&bytes, 0).unwrap();
        prop_assert_eq!(&read, &transaction);
        prop_assert_eq!(encoded(&read), bytes);
    }

    #[test]
    fn random_payloads_never_panic(kind in any::<u8>(), bytes in vec(any::<u8>(), 0..80)) {
        let bytes = [&[kind][..], &bytes].concat();
        if let Ok(transaction) = Transaction::decode(&bytes, 0) {
            let again = Transaction::decode(&encoded(&transaction), 0).unwrap();
            prop_assert_eq!(&again, &transaction);
            let mut mailbox = filled(40);
            let _ = mailbox.apply(&transaction);
            check(&mailbox);
        }
    }

    /// Whoever reads from the start and whoever starts from a snapshot taken anywhere end up with equal states.
    #[test]
    fn early_and_late_readers_agree(transactions in vec(transaction(), 1..40), snapshot_at in any::<prop::sample::Index>()) {
        let snapshot_at = snapshot_at.index(transactions.len());
        let mut late = Mailbox::new(1000, 5);
        let mut early = None;
        // Two that load parts when they need them: from the snapshot, and from a state made in another way.
        let (mut lazy, mut file, mut same) = (Vec::new(), Vec::new(), Mailbox::new(0, 0));
        for (index, transaction) in transactions.iter().enumerate() {
            if index == snapshot_at {
                late.renumber();
                let bytes = snapshot::write(&late, OWNER, 1, 5000);
                late.rebase(&bytes).unwrap();
                let snapshot = Snapshot::parse(&bytes).unwrap();
                snapshot.verify().unwrap();
                let state = snapshot.to_mailbox().unwrap();
                prop_assert_eq!(&state, &late);
                prop_assert_eq!(&snapshot::write(&state, OWNER, 1, 5000), &bytes);
                early = Some(state);
                lazy = vec![opened(&bytes), opened(&bytes)];
                (file, same) = (bytes, late.clone());
            }
            let read = Transaction::decode(&encoded(transaction), 0).unwrap();
            let before = late.clone();
            let outcome = late.apply(&read);
            check(&late);
            prop_assert_eq!(late.transactions(), before.transactions() + 1);
            prop_assert!(late.uidnext() >= before.uidnext() && late.highest_modseq() >= before.highest_modseq());
            if let Some(early) = &mut early {
                prop_assert_eq!(early.apply(&read), outcome.clone());
            }
            for (which, lazy) in lazy.iter_mut().enumerate() {
                let needs = lazy.needs(&read);
                match which {
                    1 if needs.is_empty() => {}
                    1 => prop_assert!(lazy.load_from(&same)),
                    _ => lazy.load(needs, |section| section_of(&file, section)).unwrap(),
                }
                prop_assert_eq!(lazy.apply(&read), outcome.clone());
                prop_assert!(lazy.uid_set() == late.uid_set() && lazy.counters() == late.counters());
                prop_assert_eq!(lazy.first_unseen(), late.first_unseen());
            }
            // And what an overlay gives goes on in the same way, for ever shorter histories.
            if let Some(bytes) = snapshot::write_overlay(&late, OWNER, 1, 6000).filter(|_| early.is_some()) {
                let mut laid = laid_over(&file, &bytes);
                prop_assert_eq!((laid.uid_set(), laid.counters()), (late.uid_set(), late.counters()));
                prop_assert_eq!((laid.first_unseen(), laid.transactions()), (late.first_unseen(), late.transactions()));
                for lazy in lazy.iter_mut().chain([&mut laid]) {
                    lazy.load(lazy.overlay_needs(), |section| section_of(&file, section)).unwrap();
                    let again = snapshot::write_overlay(lazy, OWNER, 1, 6000);
                    prop_assert_eq!(again.as_ref(), Some(&bytes));
                }
                lazy.push(laid_over(&file, &bytes));
                if lazy.len() > 4 {
                    lazy.remove(2);
                }
            }
            match outcome {
                Err(_) => prop_assert!(late.iter().eq(before.iter()) && late.uidnext() == before.uidnext()),
                Ok(applied) => {
                    // What is said to have changed is what differs.
                    prop_assert_eq!(applied.modseq.is_some(), applied.modseq == Some(late.highest_modseq()));
                    for row in late.iter() {
                        let old = before.find(row.uid).and_then(|index| before.row(index));
                        let changed = old.is_none_or(|old| old.modseq != row.modseq);
                        let told = applied.appended.contains(row.uid) || applied.changed.contains(row.uid);
                        prop_assert!(told || !changed, "{:?}", row);
                    }
                    let gone = before.uid_set().union(&applied.appended).difference(&late.uid_set());
                    let told: UidSet = applied.expunged.iter().map(|row| row.uid).collect();
                    prop_assert_eq!(gone, told);
                }
            }
        }
        for lazy in &mut lazy {
            lazy.load(Parts::ALL, |section| section_of(&file, section)).unwrap();
            lazy.renumber();
            prop_assert_eq!(&*lazy, &late);
        }
        prop_assert_eq!(early, Some(late));
    }

    #[test]
    fn a_log_cut_anywhere_gives_a_state_of_the_past(transactions in vec(transaction(), 1..12)) {
        let mut mailbox = Mailbox::new(7, 0);
        let mut file = Vec::new();
        mailbox.header(OWNER, 1, None, 42).write(&mut file);
        let mut states = vec![mailbox.clone()];
        for transaction in &transactions {
            if mailbox.clone().apply(transaction).is_ok() {
                mailbox.apply(transaction).unwrap();
                write_frame(42, &encoded(transaction), &mut file).unwrap();
                states.push(mailbox.clone());
            }
        }
        for len in Header::LEN..=file.len() {
            let header = Header::parse(&file).unwrap();
            let mut replayed = Mailbox::new(0, 0);
            replayed.begin_file(&header).unwrap();
            let mut frames = Frames::new(&file[..len], Header::LEN as u64, header.seed);
            let end = replayed.replay(&mut frames, |_, _| {}).unwrap();
            prop_assert_eq!(Some(&replayed), states.get(replayed.transactions() as usize));
            prop_assert_eq!(end.kind == EndKind::Clean, end.at == len as u64);
            prop_assert!(len < file.len() || replayed == mailbox);
        }
    }
}

#[test]
fn uids_and_modseqs_follow_from_the_place_in_the_log() {
    let mut mailbox = Mailbox::new(1, 2);
    let first = mailbox.highest_modseq();
    let applied = mailbox.apply(&plain(vec![append(), append()])).unwrap();
    assert_eq!(applied.appended, set(&[1, 2]));
    assert_eq!(applied.modseq, Some(first.next(2)));
    assert_eq!((mailbox.uidnext(), mailbox.highest_modseq()), (Uid(3), ModSeq::new(2, 2)));
    let seen = Record::FlagsAdd { uids: set(&[2, 9]), flags: Flags::SEEN };
    let applied = mailbox.apply(&plain(vec![seen.clone()])).unwrap();
    assert_eq!((applied.changed, applied.modseq), (set(&[2]), Some(ModSeq::new(3, 2))));
    // The same again changes nothing, and so does not raise the modseq.
    let applied = mailbox.apply(&plain(vec![seen])).unwrap();
    assert_eq!((applied.changed, applied.modseq), (UidSet::new(), None));
    assert!(mailbox.modseqs().eq([ModSeq::new(2, 2), ModSeq::new(3, 2)]));
    let applied = mailbox.apply(&plain(vec![Record::Expunge(set(&[1])), append()])).unwrap();
    assert_eq!(applied.appended, set(&[3]));
    assert_eq!((applied.expunged[0].index, applied.expunged[0].uid), (0, Uid(1)));
    assert_eq!(mailbox.vanished_since(ModSeq::new(3, 2)), Some(set(&[1])));
    assert_eq!(mailbox.vanished_since(ModSeq::new(4, 2)), Some(UidSet::new()));
    assert_eq!(mailbox.transactions(), 4);
}

#[test]
fn an_expunged_uid_is_never_given_again() {
    let mut mailbox = filled(10);
    mailbox.apply(&plain(vec![Record::Expunge(set(&[8, 9, 10]))])).unwrap();
    let bytes = snapshot::write(&mailbox, OWNER, 1, 0);
    let mut mailbox = Snapshot::parse(&bytes).unwrap().to_mailbox().unwrap();
    assert_eq!(mailbox.apply(&plain(vec![append()])).unwrap().appended, set(&[11]));
}

#[test]
fn what_does_not_follow_is_refused_whole() {
    let mut mailbox = filled(3);
    let before = mailbox.clone();
    let explicit = |uid| Record::Append(Append { uid: Some(Uid(uid)), ..Append::default() });
    let anchored = |anchor| Record::Append(Append { anchor: Some(anchor), ..Append::default() });
    let define = |number, name: &str| Record::KeywordDefine { number, name: name.into() };
    let modseq = |modseq| Transaction {
        prefix: Prefix { modseq: Some(modseq), ..Prefix::default() },
        records: vec![append()],
    };
    let (last, next) = (mailbox.highest_modseq(), Uid(4));
    let cases = [
        (plain(vec![append(), explicit(4)]), ApplyError::UidUsed { uid: Uid(4), next: Uid(5) }),
        (plain(vec![explicit(2)]), ApplyError::UidUsed { uid: Uid(2), next }),
        (plain(vec![explicit(u32::MAX)]), ApplyError::UidsExhausted),
        (plain(vec![Record::Void(set(&[u32::MAX]))]), ApplyError::UidsExhausted),
        (plain(vec![append(), anchored(4)]), ApplyError::Anchor { anchor: 4, next: Uid(5) }),
        (modseq(last), ApplyError::ModSeq { found: last, last }),
        (modseq(ModSeq(u64::MAX)), ApplyError::ModSeq { found: ModSeq(u64::MAX), last }),
        (
            plain(vec![append(), Record::KeywordAdd { uids: set(&[1]), number: 0 }]),
            ApplyError::KeywordUnknown { number: 0 },
        ),
        (plain(vec![define(1, "x")]), ApplyError::KeywordTaken { number: 1, name: "x".into() }),
        (
            plain(vec![define(0, "x"), define(1, "X")]),
            ApplyError::KeywordTaken { number: 1, name: "X".into() },
        ),
    ];
    for (count, (transaction, error)) in cases.into_iter().enumerate() {
        assert_eq!(mailbox.apply(&transaction), Err(error));
        assert!(mailbox.iter().eq(before.iter()) && mailbox.uidnext() == before.uidnext());
        assert_eq!(mailbox.transactions(), before.transactions() + count as u64 + 1);
    }
}

#[test]
fn explicit_uids_modseqs_and_items_are_kept() {
    let mut mailbox = Mailbox::new(1, 0);
    let item = index_format::ItemId { server: 5, sequence: 1 << 40 };
    let record =
        Append { uid: Some(Uid(16)), guid: Some(OWNER), item: Some(item), ..Append::default() };
    let prefix = Prefix { modseq: Some(ModSeq::new(1000, 5)), ..Prefix::default() };
    let transaction = Transaction { prefix, records: vec![Record::Append(record), append()] };
    let applied = mailbox.apply(&Transaction::decode(&encoded(&transaction), 0).unwrap()).unwrap();
    assert_eq!((applied.appended, applied.modseq), (set(&[16, 17]), Some(ModSeq::new(1000, 5))));
    let row = mailbox.row(0).unwrap();
    assert_eq!((row.guid, row.item, row.modseq), (Some(OWNER), Some(item), ModSeq::new(1000, 5)));
    assert_eq!(mailbox.row(1).unwrap().guid, None);
    // The next is implicit again, above what came from elsewhere, and made here.
    assert_eq!(mailbox.apply(&plain(vec![append()])).unwrap().modseq, Some(ModSeq::new(1001, 0)));
}

#[test]
fn voids_take_rows_and_uids_with_them() {
    let mut mailbox = filled(5);
    let before = mailbox.highest_modseq();
    let applied = mailbox.apply(&plain(vec![Record::Void(set(&[4, 5, 6, 7]))])).unwrap();
    assert_eq!(applied.voided, set(&[6, 7]));
    assert_eq!(applied.expunged.iter().map(|row| row.uid).collect::<UidSet>(), set(&[4, 5]));
    assert_eq!((mailbox.uidnext(), mailbox.tombstones().len()), (Uid(8), 0));
    assert_eq!(mailbox.vanished_since(before), Some(set(&[4, 5, 6, 7])));
}

#[test]
fn a_newer_epoch_jumps_past_what_may_have_been_shown() {
    let mut mailbox = filled(3);
    let t = mailbox.highest_modseq().t();
    let mut builder = TransactionBuilder::new(&mailbox, &Names::default());
    builder.epoch(1);
    builder.append(&NewMessage::default()).unwrap();
    let transaction = builder.finish();
    assert_eq!(
        mailbox.apply(&transaction).unwrap().modseq,
        Some(ModSeq::new(t + EPOCH_JUMP + 1, 0))
    );
    let mut builder = TransactionBuilder::new(&mailbox, &Names::default());
    assert_eq!(builder.epoch(1).clone().finish().prefix, Prefix::default(), "once only");
    // The header of a file does the same for those who read the file, and nothing when they have been there.
    let header = Header { epoch: 2, ..mailbox.header(OWNER, 2, None, 1) };
    let mut reader = mailbox.clone();
    reader.begin_file(&header).unwrap();
    assert_eq!(reader.highest_modseq().t(), t + 2 * EPOCH_JUMP + 1);
    let gap = Header { first_transaction: 17, ..header };
    assert_eq!(reader.begin_file(&gap), Err(ReplayError::Gap { file: 2, first: 17, known: 4 }));
}

#[test]
fn keywords_get_numbers_once_and_names_once_a_file() {
    let mut mailbox = filled(3);
    let mut names = Names::default();
    let store = |mailbox: &mut Mailbox, names: &mut Names, keywords: &[&str]| {
        let mut transaction = Transaction::default();
        commit(mailbox, names, |builder| {
            builder.flags_add(&set(&[2]), Flags::NONE, keywords).unwrap();
            transaction = builder.clone().finish();
        });
        transaction
            .records
            .iter()
            .filter(|record| matches!(record, Record::KeywordDefine { .. }))
            .count()
    };
    assert_eq!(store(&mut mailbox, &mut names, &["Work", "$Junk", "WORK"]), 2);
    assert_eq!(store(&mut mailbox, &mut names, &["work"]), 0);
    assert_eq!(
        store(&mut mailbox, &mut Names::default(), &["work"]),
        1,
        "a new file says it again"
    );
    assert_eq!(mailbox.keywords().iter().collect::<Vec<_>>(), ["Work", "$Junk"]);
    assert_eq!(mailbox.row(1).unwrap().keywords, Keywords(0b11));
    let mut builder = TransactionBuilder::new(&mailbox, &names);
    builder.flags_remove(&set(&[2]), Flags::NONE, &["never-seen"]);
    assert!(builder.is_empty());
    let many: Vec<String> = (0..63).map(|n| format!("k{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(builder.flags_add(&set(&[2]), Flags::NONE, &many), Err(KeywordError::Full));
    assert_eq!(builder.flags_add(&set(&[2]), Flags::NONE, &many[..62]), Ok(()));
    mailbox.apply(&builder.finish()).unwrap();
    assert_eq!(mailbox.keywords().len(), 64);
    assert!(mailbox.row(1).unwrap().keywords.contains(63));
}

#[test]
fn writers_that_share_a_log_leave_anchors_out() {
    let mut mailbox = filled(3);
    let build = |mailbox: &Mailbox, anchors: bool| {
        let mut builder = TransactionBuilder::new(mailbox, &Names::default());
        if !anchors {
            builder.without_anchors();
        }
        assert_eq!(builder.append(&NewMessage::default()), Ok(Uid(4)));
        builder.finish()
    };
    // Two writers that saw the same state: where the log puts the second, its anchor is wrong.
    let (first, second, third) =
        (build(&mailbox, true), build(&mailbox, true), build(&mailbox, false));
    assert_eq!(mailbox.apply(&first).unwrap().appended, set(&[4]));
    assert_eq!(mailbox.apply(&second), Err(ApplyError::Anchor { anchor: 4, next: Uid(5) }));
    assert_eq!(mailbox.apply(&third).unwrap().appended, set(&[5]));
}

#[test]
fn private_flags_belong_to_one_user() {
    let mut mailbox = filled(2);
    let private = |add, remove| Record::PrivateFlags {
        user: (*b"anna").into(),
        uids: set(&[1, 7]),
        add,
        remove,
    };
    let applied = mailbox.apply(&plain(vec![private(Flags::SEEN, Flags::NONE)])).unwrap();
    assert_eq!(applied.changed, set(&[1]));
    assert_eq!(mailbox.private_flags(b"anna", Uid(1)).map(|flags| flags.flags), Some(Flags::SEEN));
    assert_eq!(mailbox.private_flags(b"bert", Uid(1)), None);
    mailbox.apply(&plain(vec![Record::Expunge(set(&[1]))])).unwrap();
    assert_eq!(mailbox.private_flags(b"anna", Uid(1)), None);
}

#[test]
fn sizes_beyond_32_bits_are_kept() {
    let mut mailbox = filled(1);
    let sizes = [u64::from(u32::MAX) - 1, u64::from(u32::MAX), 1 << 40];
    let appends = sizes.map(|size| Record::Append(Append { size, ..Append::default() }));
    let total = mailbox.counters().size;
    mailbox.apply(&plain(appends.to_vec())).unwrap();
    assert_eq!(mailbox.counters().size, total + sizes.iter().sum::<u64>());
    let bytes = snapshot::write(&mailbox, OWNER, 1, 0);
    let read = Snapshot::parse(&bytes).unwrap().to_mailbox().unwrap();
    assert_eq!(read.iter().skip(1).map(|row| row.size).collect::<Vec<_>>(), sizes);
    mailbox.apply(&plain(vec![Record::Expunge(set(&[2, 3, 4]))])).unwrap();
    assert_eq!(mailbox.counters().size, total);
}

#[test]
fn old_tombstones_go_and_a_full_answer_is_asked_for() {
    let mut mailbox = filled(30_000);
    let before = mailbox.highest_modseq();
    for first in (1..=30_000).step_by(3000) {
        let uids = UidSet::range(Uid(first)..=Uid(first + 2999));
        mailbox.apply(&plain(vec![Record::Expunge(uids)])).unwrap();
    }
    assert_eq!((mailbox.len(), mailbox.first_unseen()), (0, None));
    let kept = mailbox.tombstones().len();
    assert!((TOMBSTONES_LEAST..TOMBSTONES_LEAST + 4500).contains(&kept), "{kept}");
    assert_eq!(mailbox.vanished_since(before), None);
    let floor = mailbox.vanished_floor();
    assert_eq!(mailbox.vanished_since(floor).map(|set| set.len()), Some(kept as u64));
}

/// A torn first file, a second that goes on from it, and a frame that landed in the first too late.
#[test]
fn a_log_goes_on_in_its_next_file() {
    let mut mailbox = Mailbox::new(9, 4);
    let mut names = Names::default();
    let write = |mailbox: &mut Mailbox, names: &mut Names, seed, file: &mut Vec<u8>| {
        let mut builder = TransactionBuilder::new(mailbox, names);
        builder.append(&NewMessage { keywords: &["$Work"], ..NewMessage::default() }).unwrap();
        let transaction = builder.finish();
        let mut payload = Vec::new();
        transaction.encode(names, &mut payload).unwrap();
        write_frame(seed, &payload, file).unwrap();
        mailbox.apply(&transaction).unwrap();
    };
    let mut first = Vec::new();
    mailbox.header(OWNER, 1, None, 1).write(&mut first);
    write(&mut mailbox, &mut names, 1, &mut first);
    let end = first.len() as u64;
    let late = encoded(&plain(vec![append()]));
    first.extend_from_slice(&[0xb5, 30, 1, 2]); // what a crash left of a frame
    write_frame(1, &late, &mut first).unwrap();
    let mut second = Vec::new();
    let header = mailbox.header(OWNER, 2, Some(index_format::log::Previous { file: 1, end }), 2);
    header.write(&mut second);
    names = Names::default();
    mailbox.begin_file(&header).unwrap();
    for _ in 0..2 {
        write(&mut mailbox, &mut names, 2, &mut second);
    }
    let mut reader = Mailbox::new(0, 0);
    let mut defined = 0;
    for (file, until) in [(&first, header.previous.unwrap().end), (&second, u64::MAX)] {
        let header = Header::parse(file).unwrap();
        reader.begin_file(&header).unwrap();
        let mut frames = Frames::new(file, Header::LEN as u64, header.seed).until(until);
        let count = |transaction: &Transaction| {
            matches!(transaction.records[0], Record::KeywordDefine { .. })
        };
        let end = reader
            .replay(&mut frames, |transaction, _| defined += usize::from(count(transaction)))
            .unwrap();
        assert_eq!(end.kind, EndKind::Clean);
    }
    assert_eq!((reader.len(), defined), (3, 2), "each file says the name once");
    assert_eq!(reader, mailbox);
}

#[test]
fn a_frame_that_checks_out_but_says_nonsense_stops_the_replay() {
    let mut mailbox = filled(2);
    let mut file = Vec::new();
    let header = mailbox.header(OWNER, 2, None, 1);
    header.write(&mut file);
    write_frame(1, &encoded(&plain(vec![append()])), &mut file).unwrap();
    let at = file.len() as u64;
    write_frame(1, &[0xff], &mut file).unwrap();
    let mut appended = 0;
    let mut frames = Frames::new(&file, Header::LEN as u64, 1);
    let error =
        mailbox.replay(&mut frames, |_, applied| appended += applied.appended.len()).unwrap_err();
    assert!(matches!(error, ReplayError::Decode { at: found, .. } if found == at), "{error}");
    assert_eq!((appended, mailbox.len()), (1, 3));
}

#[test]
fn map_ids_of_a_run_are_near_each_other() {
    let appends = |ids: &[u32]| {
        let record = |&id: &u32| Record::Append(Append { map_id: MapId(id), ..Append::default() });
        plain(ids.iter().map(record).collect())
    };
    let transaction = appends(&[5_000_000, 5_000_001, 4_999_999, 0, u32::MAX]);
    assert_eq!(Transaction::decode(&encoded(&transaction), 0), Ok(transaction));
}

/// What is read of a snapshot is what a change needs.
#[test]
fn a_part_is_read_when_it_is_first_used() {
    let mut whole = filled(5000);
    let names = &mut Names::default();
    commit(&mut whole, names, |b| b.expunge(&set(&[7, 8, 4000])));
    let file = snapshot::write(&whole, OWNER, 1, 0);
    let mut read = Vec::new();
    let head = Head::parse(&file[..Head::READ], file.len() as u64).unwrap();
    let mut lazy = head
        .open(|section| {
            read.push(section.id);
            section_of(&file, section)
        })
        .unwrap();
    assert_eq!(read, [SectionId::UIDS]);
    assert_eq!((lazy.len(), lazy.uid(6), lazy.find(Uid(9))), (4997, Some(Uid(9)), Some(6)));
    assert_eq!(lazy.first_unseen(), whole.first_unseen());
    assert_eq!(lazy.missing(Parts::ALL), Parts::ALL);

    let appended = plain(vec![append(), append()]);
    let seen_of = |uid| plain(vec![Record::FlagsAdd { uids: set(&[uid]), flags: Flags::SEEN }]);
    for transaction in [appended, seen_of(5001), seen_of(9999)] {
        assert_eq!(lazy.needs(&transaction), Parts::NONE, "{transaction:?}");
        assert_eq!(lazy.apply(&transaction), whole.apply(&transaction));
    }
    let expunge_new = plain(vec![Record::Expunge(set(&[5002]))]);
    assert_eq!(lazy.needs(&expunge_new), Parts::GONE);
    assert_eq!(lazy.needs(&seen_of(3)), Parts::FLAGS | Parts::KEYWORDS);

    let expunge = plain(vec![Record::Expunge((100..110).map(Uid).collect())]);
    read.clear();
    let needs = lazy.needs(&expunge);
    lazy.load(needs, |section| {
        read.push(section.id);
        section_of(&file, section)
    })
    .unwrap();
    let parts = [
        SectionId::FLAGS,
        SectionId::KEYWORDS,
        SectionId::SIZES,
        SectionId::MAP_IDS,
        SectionId::TOMBSTONES,
        SectionId::KEPT,
    ];
    assert_eq!(read, parts);
    assert_eq!(lazy.apply(&expunge), whole.apply(&expunge));
    assert_eq!(lazy.missing(Parts::ROW), Parts::ROW.without(needs));
    lazy.load(Parts::ALL, |section| section_of(&file, section)).unwrap();
    assert_eq!(lazy, whole);
}

/// A damaged section leaves the part missing, and another state of the same moment can bring it in.
#[test]
fn a_part_that_is_damaged_can_come_from_elsewhere() {
    let mut whole = filled(3000);
    let then = whole.clone();
    let file = snapshot::write(&whole, OWNER, 1, 0);
    let mut lazy = opened(&file);
    let transaction = plain(vec![append(), Record::SaveDate { uids: set(&[4]), date: 77 }]);
    assert_eq!(lazy.apply(&transaction), whole.apply(&transaction));
    let mut damaged = file.clone();
    let at = damaged.len() - 1;
    damaged[at] ^= 1;
    let refused = lazy.load(Parts::ALL, |section| section_of(&damaged, section));
    assert!(matches!(refused, Err(Error::Checksum { .. })), "{refused:?}");
    assert!(lazy.missing(Parts::ALL).contains(Parts::MAP_IDS));
    assert!(!lazy.load_from(&whole), "another moment");
    assert!(lazy.load_from(&then));
    assert_eq!(lazy, whole);
    assert_eq!(lazy.row(3).unwrap().save_date, 77);
}

/// Rows that went leave no memory behind for good, and what stays is as it was.
#[test]
fn many_expunges_and_appends_give_slots_back() {
    let mut mailbox = filled(6000);
    let large = Append { size: 1 << 40, ..Append::default() };
    for round in 0..20u32 {
        let first = mailbox.uid(0).unwrap().0;
        let gone = (first..first + 1900).filter(|uid| uid % 3 != round % 3).map(Uid).collect();
        let appended = vec![Record::Append(large); 1300];
        mailbox.apply(&plain(vec![Record::Expunge(gone)])).unwrap();
        mailbox.apply(&plain(appended)).unwrap();
    }
    check(&mailbox);
    let read = Snapshot::parse(&snapshot::write(&mailbox, OWNER, 1, 0)).unwrap().to_mailbox();
    assert_eq!(read, Ok(mailbox.clone()));
    let before = mailbox.clone();
    mailbox.renumber();
    assert_eq!(mailbox, before);
}

/// An overlay costs what changed, whatever the mailbox has.
#[test]
fn an_overlay_is_as_long_as_what_changed() {
    let mut mailbox = filled(100_000);
    let names = &mut Names::default();
    let file = snapshot::write(&mailbox, OWNER, 1, 0);
    mailbox.rebase(&file).unwrap();
    let length = |mailbox: &Mailbox| snapshot::write_overlay(mailbox, OWNER, 1, 9).unwrap().len();
    let nothing = length(&mailbox);
    assert_eq!(nothing, 120 + 24 + 28);
    let ten: UidSet = (1..=10).map(|n| Uid(n * 9000)).collect();
    commit(&mut mailbox, names, |b| b.expunge(&ten));
    assert!(length(&mailbox) - nothing <= 180, "{}", length(&mailbox));
    let one = UidSet::one(Uid(77));
    commit(&mut mailbox, names, |b| b.flags_add(&one, Flags::NONE, &["$Work"]).unwrap());
    for _ in 0..100 {
        mailbox.apply(&plain(vec![append()])).unwrap();
    }
    let bytes = snapshot::write_overlay(&mailbox, OWNER, 1, 9).unwrap();
    assert!(bytes.len() < 1200, "{}", bytes.len());
    let overlay = Overlay::parse(&bytes).unwrap();
    assert_eq!(overlay.sums(), (&ten, 1, 100));
    let other = snapshot::write(&filled(3), OWNER, 1, 0);
    assert!(!overlay.is_of(&Head::parse(&other, other.len() as u64).unwrap()));
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(Overlay::parse(&damaged).is_err(), "byte {at}");
        assert!(Overlay::parse(&bytes[..at]).is_err());
    }
    // What happened otherwise is told by a whole snapshot only.
    let tombstone = index_format::record::Tombstone { uid: Uid(3), ..Default::default() };
    mailbox.apply(&plain(vec![Record::Tombstone(tombstone)])).unwrap();
    assert_eq!(snapshot::write_overlay(&mailbox, OWNER, 1, 9), None);
}
