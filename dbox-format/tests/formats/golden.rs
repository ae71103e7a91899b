//! `tests/fixtures` holds what `make.py`, written from the documents alone, says the bytes are.

use dbox_format::Error;
use dbox_format::container::{
    FileHeader, Found, Record, RecordHead, RecordWriter, SavedFlags, walk,
};
use dbox_format::map::{Draft, LogPosition, Map, MapId, Op, Snapshot, Transaction};

use crate::{SEED, guid, small};

const CONTAINER: &[u8] = include_bytes!("../fixtures/c.0000001f");
const INDEX: &[u8] = include_bytes!("../fixtures/map.index");
const TRANSACTIONS: &[u8] = include_bytes!("../fixtures/map.transactions");

fn large() -> Vec<u8> {
    let all: Vec<u8> = (0..=u8::MAX).collect();
    [b"Subject: large\r\n\r\n".as_slice(), &all.repeat(40)].concat()
}

fn transactions() -> Vec<Transaction> {
    let mut rest = TRANSACTIONS;
    let mut out = Vec::new();
    while let Some((len, tail)) = rest.split_first_chunk() {
        let (payload, tail) = tail.split_at(u32::from_le_bytes(*len) as usize);
        let transaction = Transaction::decode(payload).unwrap();
        let mut again = Vec::new();
        transaction.encode(&mut again);
        assert_eq!(again, payload);
        out.push(transaction);
        rest = tail;
    }
    out
}

#[test]
fn the_container_is_written_the_same() {
    let mut file = Vec::new();
    let header = FileHeader {
        number: 0x1f,
        seed: SEED,
        owner: guid(0x11),
        created: 1_700_000_000,
        ..Default::default()
    };
    header.write(&mut file);
    let inbox = RecordHead { mailbox: guid(0x22), mailbox_name: "INBOX", ..RecordHead::default() };
    let text = b"From: ada@example.org\r\nSubject: golden\r\n\r\nHello.\r\n";
    let first = RecordHead { guid: guid(1), received: 1_700_000_001, ..inbox };
    file.extend_from_slice(&small(SEED, &first, text));
    let flags = SavedFlags(SavedFlags::ANSWERED | SavedFlags::SEEN);
    let (mailbox_name, keywords) = ("Archive/Jörg", ["$Junk", "work"].as_slice());
    let second = RecordHead { guid: guid(2), mailbox_name, received: -1, flags, keywords, ..inbox };
    file.extend_from_slice(&small(SEED, &second, b""));
    let third = RecordHead { guid: guid(3), received: 1_700_000_003, ..inbox };
    let mut writer = RecordWriter::new(&third, SEED, 4096, &mut file).unwrap();
    writer.push(&large(), &mut file);
    writer.finish(&mut file);
    assert!(file == CONTAINER);
}

#[test]
fn the_container_is_read_the_same() {
    let found: Vec<Found<'_>> = walk(CONTAINER).collect();
    let [Found::Header(header), records @ ..] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((header.number, header.seed, header.owner), (31, SEED, guid(0x11)));
    let records: Vec<&Record<'_>> =
        records
            .iter()
            .map(|found| {
                if let Found::Record { record, .. } = found { record } else { panic!("{found:?}") }
            })
            .collect();
    let [first, second, third] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((first.head().guid(), first.head().mailbox_name()), (guid(1), "INBOX"));
    assert!(first.message().unwrap().ends_with(b"Hello.\r\n"));
    assert_eq!((second.head().mailbox_name(), second.head().received()), ("Archive/Jörg", -1));
    assert!(second.head().keywords().eq(["$Junk", "work"]));
    assert_eq!(second.head().flags(), SavedFlags(0b1001));
    assert_eq!(third.message().unwrap(), large());
    assert_eq!(third.chunks().count(), 3);
}

#[test]
fn the_transactions_give_the_snapshot() {
    let mut map = Map::new();
    transactions().iter().for_each(|transaction| map.apply(transaction).unwrap());
    let snapshot = Snapshot::parse(INDEX).unwrap();
    assert_eq!(snapshot.position(), LogPosition { file: 5, offset: 777 });
    assert_eq!(snapshot.load().unwrap(), map);
    let mut written = Vec::new();
    map.write_snapshot(snapshot.position(), &mut written);
    assert!(written == INDEX);
    assert!(map.unreferenced().eq([MapId(3)]));
    assert_eq!(map.extra(MapId(2)).unwrap().fields().collect::<Vec<_>>(), [(2, b"xyz".as_slice())]);
    // Each entry leads to its message.
    for (id, entry) in map.iter() {
        let bytes = &CONTAINER[entry.offset as usize..(entry.offset + entry.record_len) as usize];
        let record = Record::parse(bytes, map.container(entry.container).unwrap().seed).unwrap();
        assert_eq!((record.head().guid(), record.message_len()), (entry.guid, entry.size), "{id}");
    }
}

#[test]
fn the_draft_gives_the_transactions() {
    let expected = transactions();
    let mut map = Map::new();
    map.apply(&expected[0]).unwrap();
    map.apply(&expected[1]).unwrap();
    let mut draft = Draft::new(&map);
    draft.refs_add([2, 1].map(MapId));
    assert_eq!(draft.finish(), expected[2]);
    let mut draft = Draft::new(&map);
    draft.refs_remove([MapId(3)]);
    draft.container_seal(31);
    assert_eq!(draft.finish(), expected[3]);
    assert!(matches!(
        expected[0].ops.as_slice(),
        [Op::ContainerOpen { number: 31, .. }, Op::Add { anchor: 1, .. }]
    ));
}

#[test]
fn newer_versions_are_refused_by_name() {
    let mut file = CONTAINER.to_vec();
    file[8] = 2;
    let error = Error::Version { what: "container", found: 2, supported: 1 };
    assert_eq!(error.to_string(), "this container has version 2, this Loft reads up to 1");
    assert_eq!(FileHeader::parse(&file), Err(error));
    let mut file = INDEX.to_vec();
    file[8] = 9;
    assert_eq!(
        Snapshot::parse(&file).unwrap_err(),
        Error::Version { what: "map snapshot", found: 9, supported: 1 }
    );
}
