//! `dbox_container` and `dbox_map`.

use crate::pieces::Pieces;
use dbox_format::container::{
    CHUNK_MIN, FileHeader, Found, Record, RecordHead, RecordWriter, Verifier, walk,
};
use dbox_format::map::{LogPosition, Map, Snapshot, Transaction};
use dbox_format::{Content, Guid, Seed};

const SEED: Seed = Seed(0x1234_5678);

/// Input: a container, or (if the first byte is odd) a number and messages to make one of.
pub fn dbox_container(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind & 1 == 0 {
        cover(rest);
        stream(rest, SEED);
        return;
    }
    let mut pieces = Pieces(rest);
    let damage = pieces.number();
    let messages: Vec<&[u8]> = pieces.collect();
    let mut file = Vec::new();
    FileHeader { number: 1, seed: SEED, ..FileHeader::default() }.write(&mut file);
    let mut ends = Vec::new();
    for (number, message) in messages.iter().enumerate() {
        write_record(number, message, &mut file);
        ends.push(file.len());
    }
    let found = cover(&file);
    assert!(found.iter().map(|(_, message)| message.as_slice()).eq(messages.iter().copied()));

    let at = damage as usize % file.len();
    file[at] ^= 1 << (damage >> 61);
    let kept = cover(&file);
    let touched = ends.iter().position(|end| at < *end).filter(|_| at >= FileHeader::LEN);
    for (number, record) in found.iter().enumerate() {
        assert_eq!(
            kept.contains(record),
            touched != Some(number),
            "record {number}, damage at {at}"
        );
    }
}

/// Each other message is streamed.
fn write_record(number: usize, message: &[u8], file: &mut Vec<u8>) {
    // No two alike: which record is missing is told by it.
    let head = RecordHead {
        guid: Guid((number as u128).to_le_bytes()),
        mailbox_name: "INBOX",
        keywords: &["$Forwarded"],
        ..RecordHead::default()
    };
    if number.is_multiple_of(2) {
        let frame =
            head.frame(SEED, Content::of(message)).expect("a message of this size is allowed");
        file.extend_from_slice(&frame.head);
        file.extend_from_slice(message);
        file.extend_from_slice(&frame.tail);
    } else {
        let mut writer =
            RecordWriter::new(&head, SEED, CHUNK_MIN, file).expect("an allowed chunk size");
        message.chunks(100).for_each(|piece| writer.push(piece, file));
        assert_eq!(writer.finish(file).content, Content::of(message));
    }
}

/// Goes through a container: what is found covers it. Gives the records' GUIDs and messages.
fn cover(file: &[u8]) -> Vec<(Guid, Vec<u8>)> {
    let mut at = 0;
    let mut records = Vec::new();
    let walk = walk(file);
    let seed = walk.seed();
    for found in walk {
        let range = match found {
            Found::Header(_) => 0..FileHeader::LEN as u64,
            Found::Record { at, record } => {
                if let Ok(message) = record.message() {
                    records.push((record.head().guid(), message.into_owned()));
                }
                stream(&file[at as usize..(at + record.len()) as usize], seed);
                at..at + record.len()
            }
            Found::Unwritten { range } | Found::Damage { range, .. } => range,
        };
        assert!(range.start == at && range.end > at, "what is found covers the file");
        at = range.end;
    }
    assert_eq!(at, file.len() as u64);
    records
}

/// Checking a record piece by piece says the same as checking it whole.
fn stream(bytes: &[u8], seed: Seed) {
    let whole = Record::parse(bytes, seed);
    let mut verifier = Verifier::new(seed);
    let pushed = bytes.chunks(11).try_for_each(|piece| verifier.push(piece));
    let streamed = pushed.and_then(|()| verifier.finish());
    match (whole, streamed) {
        (Ok(record), Ok(verified)) => {
            assert_eq!(
                (record.head().guid(), *record.trailer()),
                (verified.guid, verified.trailer)
            );
        }
        (whole, streamed) => assert_eq!(whole.is_ok(), streamed.is_ok()),
    }
}

/// Input: a snapshot of a map, or (if the first byte is odd) transactions that lead to one.
pub fn dbox_map(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind & 1 == 0 {
        if let Ok(map) = Snapshot::parse(rest).and_then(|snapshot| snapshot.load()) {
            map_again(&map);
        }
        return;
    }
    let mut map = Map::new();
    for payload in Pieces(rest) {
        let Ok(transaction) = Transaction::decode(payload) else { continue };
        let mut again = Vec::new();
        transaction.encode(&mut again);
        assert_eq!(Transaction::decode(&again).as_ref(), Ok(&transaction));
        let before = map.clone();
        match map.apply(&transaction) {
            Ok(()) => assert_eq!(map.transactions(), before.transactions() + 1),
            Err(_) => assert!(map == before, "a refused transaction changes nothing"),
        }
    }
    map_again(&map);
}

fn map_again(map: &Map) {
    assert_eq!(map.iter().count(), map.len());
    assert!(map.iter().all(|(id, entry)| map.get(id) == Some(entry) && id < map.next_id()));
    let mut file = Vec::new();
    map.write_snapshot(LogPosition { file: 1, offset: 88 }, &mut file);
    let snapshot = Snapshot::parse(&file).expect("what was written parses");
    assert_eq!(snapshot.messages(), map.len() as u64);
    assert!(snapshot.load().expect("and loads") == *map);
}
