//! `tests/fixtures` holds what `make.py`, written from the documents alone, says the bytes are.

use dbox_format::attachment::{Assembly, CutOut, Hash, LineEnding, Lines};
use dbox_format::container::{
    Codec, Compression, FileHeader, Found, Record, RecordHead, SavedFlags, Stored, walk,
};
use dbox_format::map::{Draft, Extra, LogPosition, Map, MapId, Op, Snapshot, Transaction};
use dbox_format::{Dictionary, Error};

use crate::{SEED, guid, small, streamed};

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
    file.extend_from_slice(&streamed(&third, &large(), 999, (4096, 4096), None));
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

const OTHERS: &[u8] = include_bytes!("../fixtures/c.00000020");
const ATTACHED: &[u8] = include_bytes!("../fixtures/map.attachments");
const DICTIONARY: &[u8] = include_bytes!("../fixtures/d.0000012c");

const SMALL: &[u8] = b"From: ada@example.org\r\nSubject: golden\r\n\r\nHello.\r\n";

fn parts() -> Vec<CutOut> {
    let part = |offset, hash, len, line, ending| CutOut {
        offset,
        hash: Hash([hash; 32]),
        len,
        lines: Lines { len: line, ending },
    };
    vec![
        part(40, 0xa1, 70_000, 76, LineEnding::CrLf),
        part(40, 0xb2, 65_536, 0, LineEnding::CrLf),
        part(49, 0xa1, 300_001, 75, LineEnding::Lf),
    ]
}

fn others() -> Vec<Record<'static>> {
    let records = walk(OTHERS).skip(1);
    records
        .map(
            |found| {
                if let Found::Record { record, .. } = found { record } else { panic!("{found:?}") }
            },
        )
        .collect()
}

#[test]
fn records_stored_in_other_ways_are_read_the_same() {
    let records = others();
    let [dictionary, chunks, skeleton, both] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(dictionary.head().compression(), Ok(Compression::Zstd { dictionary: 300 }));
    assert_eq!(dictionary.message_len(), SMALL.len() as u64);
    assert_eq!((chunks.head().chunk_size(), chunks.chunks().count()), (4096, 4));
    assert_eq!((skeleton.head().codec(), skeleton.head().apart()), (Codec(0x80), parts()));
    assert_eq!(skeleton.chunks().collect::<Vec<_>>(), [SMALL]);
    assert_eq!((both.head().codec(), both.head().apart()), (Codec(0x81), parts()[..1].to_vec()));
    assert!(both.head().keywords().eq(["work"]));
}

#[cfg(feature = "zstd")]
#[test]
fn frames_of_another_writer_are_decoded() {
    use dbox_format::compress::Decoder;
    let records = others();
    let mut decoder = Decoder::with_dictionary(&Dictionary::parse(DICTIONARY).unwrap()).unwrap();
    let texts = records.iter().map(|record| decoder.text(record).unwrap().into_owned());
    let long = vec![b'x'; 9000];
    assert!(texts.eq([SMALL.to_vec(), long.clone(), SMALL.to_vec(), long[..100].to_vec()]));
}

#[test]
fn heads_of_other_ways_are_written_the_same() {
    let inbox = RecordHead { mailbox: guid(0x22), mailbox_name: "INBOX", ..RecordHead::default() };
    let work = ["work"];
    let (all, parts) = (parts(), &parts()[..1]);
    let zstd = |dictionary| Compression::Zstd { dictionary };
    let ways: [(&[&str], Stored<'_>, u32); 4] = [
        (&[], Stored { compression: zstd(300), apart: &[] }, 0),
        (&[], Stored { compression: zstd(0), apart: &[] }, 4096),
        (&[], Stored { compression: Compression::None, apart: &all }, 0),
        (&work, Stored { compression: zstd(0), apart: parts }, 0),
    ];
    let mut at = FileHeader::LEN;
    for ((n, (keywords, stored, chunk_size)), record) in (4_u8..).zip(ways).zip(others()) {
        let head =
            RecordHead { guid: guid(n), received: 1_700_000_000 + i64::from(n), keywords, ..inbox };
        let mut out = Vec::new();
        head.write_stored(&stored, SEED, chunk_size, &mut out).unwrap();
        assert!(OTHERS[at..].starts_with(&out), "record {n}");
        if chunk_size == 0 {
            let content = record.content();
            let frame = head.frame_stored(&stored, SEED, record.message_len(), content).unwrap();
            let whole =
                [frame.head, record.chunks().collect::<Vec<_>>().concat(), frame.tail.to_vec()];
            assert!(OTHERS[at..].starts_with(&whole.concat()), "record {n}");
        }
        at += record.len() as usize;
    }
    assert_eq!(at, OTHERS.len());
}

#[test]
fn attachments_in_the_map_are_written_the_same() {
    let transaction = Transaction::decode(ATTACHED).unwrap();
    let mut map = Map::new();
    map.apply(&transaction).unwrap();
    assert_eq!(map.extra(MapId(1)).unwrap().attachments(), Ok(parts()));
    // The map has the whole message's length, the record that of its skeleton.
    let whole = Assembly::new(&parts(), map.get(MapId(1)).unwrap().size).unwrap();
    assert_eq!(whole.skeleton_len(), SMALL.len() as u64);
    let mut extra = Extra::new();
    extra.push_attachments(&parts());
    assert_eq!(map.extra(MapId(1)), Some(&extra));
    let mut again = Vec::new();
    transaction.encode(&mut again);
    assert_eq!(again, ATTACHED);
}

#[test]
fn the_dictionary_is_read_and_written_the_same() {
    let dictionary = Dictionary::parse(DICTIONARY).unwrap();
    let content = b"Content-Type: text/plain; charset=utf-8\r\n".to_vec();
    let wanted = Dictionary { number: 300, owner: guid(0x11), created: 1_700_000_000, content };
    assert_eq!(dictionary, wanted);
    let mut file = Vec::new();
    wanted.write(&mut file).unwrap();
    assert_eq!(file, DICTIONARY);
}
