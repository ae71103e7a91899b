//! What is brought back of a log that is damaged in the middle.

use index_format::log::{Frames, Header, Previous, Survey, Torn, write_frame};
use index_format::mailbox::{Mailbox, NewMessage, Salvaged, TransactionBuilder, UNKNOWN_KEYWORD};
use index_format::record::{Names, Transaction};
use index_format::snapshot::Position;
use index_format::{Flags, Guid, MapId, Uid, UidSet};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

const OWNER: Guid = Guid([5; 16]);

/// A log as its writer makes it, and what each state on the way was.
struct Written {
    mailbox: Mailbox,
    names: Names,
    files: Vec<(Header, Vec<u8>)>,
    next_map_id: u32,
    /// The message of each UID there ever was.
    messages: BTreeMap<u32, MapId>,
    /// UIDs given by each transaction.
    given: Vec<UidSet>,
}

#[derive(Clone, Debug)]
enum Step {
    Deliver(u8),
    Flag(u16, bool),
    Keyword(u16, u8),
    Expunge(u16),
    Rotate,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..4).prop_map(Step::Deliver),
        3 => any::<(u16, bool)>().prop_map(|(which, add)| Step::Flag(which, add)),
        2 => (any::<u16>(), 0u8..4).prop_map(|(which, name)| Step::Keyword(which, name)),
        2 => any::<u16>().prop_map(Step::Expunge),
        1 => Just(Step::Rotate),
    ]
}

impl Written {
    fn new() -> Self {
        let mailbox = Mailbox::new(7, 0);
        let header = mailbox.header(OWNER, 1, None, 11);
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        Self {
            mailbox,
            names: Names::default(),
            files: vec![(header, bytes)],
            next_map_id: 1,
            messages: BTreeMap::new(),
            given: Vec::new(),
        }
    }

    fn run(&mut self, step: &Step) {
        let pick = |which: u16| {
            let index = usize::from(which) % self.mailbox.len().max(1);
            self.mailbox.uid(index).map(UidSet::one)
        };
        let mut builder = TransactionBuilder::new(&self.mailbox, &self.names);
        match step {
            Step::Deliver(count) => {
                for map_id in self.next_map_id..self.next_map_id + u32::from(*count) {
                    let message =
                        NewMessage { map_id: MapId(map_id), size: 9, ..NewMessage::default() };
                    let uid = builder.append(&message).unwrap();
                    self.messages.insert(uid.0, MapId(map_id));
                }
                self.next_map_id += u32::from(*count);
            }
            Step::Flag(which, add) => match (pick(*which), add) {
                (None, _) => return,
                (Some(uids), true) => builder.flags_add(&uids, Flags::SEEN, &[]).unwrap(),
                (Some(uids), false) => builder.flags_remove(&uids, Flags::SEEN, &[]),
            },
            Step::Keyword(which, name) => match pick(*which) {
                None => return,
                Some(uids) => {
                    let name = format!("k{name}");
                    builder.flags_add(&uids, Flags::NONE, &[&name]).unwrap();
                }
            },
            Step::Expunge(which) => match pick(*which) {
                None => return,
                Some(uids) => builder.expunge(&uids),
            },
            Step::Rotate => return self.rotate(),
        }
        let transaction = builder.finish();
        self.commit(&transaction);
    }

    fn commit(&mut self, transaction: &Transaction) {
        let mut payload = Vec::new();
        transaction.encode(&mut self.names, &mut payload).unwrap();
        let applied = self.mailbox.apply(transaction).unwrap();
        self.given.push(applied.appended);
        let (header, bytes) = self.files.last_mut().unwrap();
        write_frame(header.seed, &payload, bytes).unwrap();
    }

    fn rotate(&mut self) {
        let (last, bytes) = self.files.last().unwrap();
        let previous = Previous { file: last.file, end: bytes.len() as u64 };
        let number = last.file + 1;
        let header = self.mailbox.header(OWNER, number, Some(previous), u64::from(number) * 99);
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        self.files.push((header, bytes));
        self.names = Names::default();
    }

    fn chain(&self) -> Vec<(Header, &[u8])> {
        self.files.iter().map(|(header, bytes)| (header.clone(), &bytes[..])).collect()
    }

    fn salvage(&self) -> Salvaged {
        Salvaged::new(Mailbox::new(7, 0), Position::default(), &self.chain())
    }

    /// Turns a bit over in transaction `number`; gives its file.
    fn damage(&mut self, number: usize) -> usize {
        for (at, (header, bytes)) in self.files.iter_mut().enumerate() {
            let frames = (header.first_transaction as usize..).zip(Frames::new(
                bytes,
                Header::LEN as u64,
                header.seed,
            ));
            let found = frames.filter(|(n, _)| *n == number).map(|(_, frame)| frame.end).next();
            if let Some(end) = found {
                bytes[end as usize - 1] ^= 0x10;
                return at;
            }
        }
        panic!("there is no transaction {number}");
    }
}

#[test]
fn what_is_whole_is_what_it_is() {
    let mut written = Written::new();
    for step in [Step::Deliver(3), Step::Rotate, Step::Keyword(1, 1), Step::Expunge(0)] {
        written.run(&step);
    }
    let salvaged = written.salvage();
    assert_eq!(salvaged.lost, []);
    assert_eq!(salvaged.mailbox, written.mailbox);
}

/// Two deliveries, one of them lost, then a flag on the message behind.
#[test]
fn a_lost_delivery_is_named_and_what_is_behind_it_kept() {
    let mut written = Written::new();
    for step in [Step::Deliver(1), Step::Deliver(2), Step::Deliver(1), Step::Flag(3, true)] {
        written.run(&step);
    }
    written.damage(1);
    let salvaged = written.salvage();
    let lost = &salvaged.lost[0];
    assert_eq!((lost.first, lost.transactions, lost.applied, lost.left_out), (1, None, 2, 0));
    assert_eq!((lost.uids, lost.certain), (Some((Uid(2), Uid(3))), true));
    assert_eq!(lost.gaps[0].why, Torn::Checksum);
    let rows: Vec<_> =
        salvaged.mailbox.iter().map(|row| (row.uid.0, row.map_id.0, row.flags)).collect();
    assert_eq!(rows, [(1, 1, Flags::NONE), (4, 4, Flags::SEEN)]);
}

#[test]
fn the_next_file_says_how_many_are_missing() {
    let mut written = Written::new();
    for step in [Step::Deliver(1), Step::Deliver(2), Step::Flag(0, true), Step::Rotate] {
        written.run(&step);
    }
    written.run(&Step::Deliver(1));
    written.damage(1);
    let lost = &written.salvage().lost[0];
    assert_eq!((lost.file, lost.transactions, lost.uids), (1, Some(1), Some((Uid(2), Uid(3)))));
}

#[test]
fn a_keyword_whose_name_is_lost_is_kept_apart() {
    let mut written = Written::new();
    for step in [Step::Deliver(1), Step::Keyword(0, 1), Step::Keyword(0, 2), Step::Keyword(0, 1)] {
        written.run(&step);
    }
    written.damage(1);
    let mailbox = written.salvage().mailbox;
    let names: Vec<&str> = mailbox.keywords().iter().collect();
    assert_eq!(names, [&*format!("{UNKNOWN_KEYWORD}0"), "k2"]);
    assert_eq!(mailbox.row(0).unwrap().keywords.0, 0b11);
}

/// A gap with room for 256 messages: an anchor of one byte can't say how many there were.
#[test]
fn what_is_not_certain_is_left_out() {
    let mut written = Written::new();
    written.run(&Step::Deliver(1));
    for _ in 0..60 {
        written.run(&Step::Deliver(3));
    }
    written.run(&Step::Flag(180, true));
    written.run(&Step::Flag(0, true));
    let end = written.files[0].1.len() - 40;
    for byte in &mut written.files[0].1[120..end] {
        *byte = 0;
    }
    let salvaged = written.salvage();
    let lost = &salvaged.lost[0];
    assert!(!lost.certain && lost.left_out == 1 && lost.uids.is_none(), "{lost:?}");
    assert_eq!(salvaged.mailbox.row(0).unwrap().flags, Flags::SEEN);
    assert!(salvaged.mailbox.iter().skip(1).all(|row| row.flags == Flags::NONE));
}

#[test]
fn a_missing_file_is_named_by_what_it_held() {
    let mut written = Written::new();
    for step in
        [Step::Deliver(1), Step::Rotate, Step::Deliver(2), Step::Flag(0, true), Step::Rotate]
    {
        written.run(&step);
    }
    written.run(&Step::Deliver(1));
    written.files.remove(1);
    let salvaged = written.salvage();
    let [lost] = &salvaged.lost[..] else { panic!("{:?}", salvaged.lost) };
    assert_eq!((lost.file, lost.first, lost.transactions), (2, 1, Some(2)));
    assert_eq!((lost.uids, lost.certain), (Some((Uid(2), Uid(3))), true));
    let uids: Vec<u32> = salvaged.mailbox.iter().map(|row| row.uid.0).collect();
    assert_eq!(uids, [1, 4]);
}

proptest! {
    /// One transaction is damaged: every message that others brought is there, under its UID if that is said to be
    /// certain; what none of the later ones took away is there; and the UIDs that are said to be lost are those.
    #[test]
    fn nothing_but_the_damaged_transaction_is_lost(steps in vec(step(), 1..60), which in any::<u16>()) {
        let mut written = Written::new();
        steps.iter().for_each(|step| written.run(step));
        prop_assume!(!written.given.is_empty());
        let number = usize::from(which) % written.given.len();
        let file = written.damage(number);
        let salvaged = written.salvage();
        // The last frame of the last file is a torn end as a crash leaves it: the mailbox is one transaction shorter.
        let last = file + 1 == written.files.len() && number + 1 == written.given.len();
        prop_assert_eq!(salvaged.lost.is_empty(), last);
        if let Some(lost) = salvaged.lost.first() {
            prop_assert_eq!((salvaged.lost.len(), lost.first), (1, number as u64));
            prop_assert!(lost.transactions.is_none_or(|n| n == 1));
            prop_assert!(lost.certain);
            let gone = lost.uids.map_or(UidSet::new(), |(first, last)| UidSet::range(first..=last));
            // A file in which nothing is appended behind does not say what the gap gave, if it is the last.
            if gone.is_empty() {
                prop_assert!(written.given[number].is_empty() || file + 1 == written.files.len());
            } else {
                prop_assert_eq!(&gone, &written.given[number]);
            }
        }
        for row in salvaged.mailbox.iter() {
            prop_assert_eq!(written.messages.get(&row.uid.0), Some(&row.map_id));
        }
        for row in written.mailbox.iter().filter(|row| !written.given[number].contains(row.uid)) {
            prop_assert!(salvaged.mailbox.find(row.uid).is_some(), "UID {}", row.uid);
        }
    }

    #[test]
    fn any_bytes_are_surveyed_without_a_panic(bytes in vec(any::<u8>(), 0..300), at in 0usize..300) {
        let mut written = Written::new();
        for step in [Step::Deliver(2), Step::Keyword(0, 1), Step::Rotate, Step::Deliver(1)] {
            written.run(&step);
        }
        let file = &mut written.files[0].1;
        let at = Header::LEN + at % (file.len() - Header::LEN);
        file.splice(at.., bytes);
        let chain = written.chain();
        let header = &chain[0].0;
        let survey = Survey::new(chain[0].1, (header, Header::LEN as u64, 0), Some(&chain[1].0));
        prop_assert!(survey.frames.len() <= 2);
        written.salvage();
    }
}
