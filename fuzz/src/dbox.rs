//! `dbox_container` and `dbox_map`.

use crate::pieces::Pieces;
use dbox_format::compress::{Decoder, Encoder};
use dbox_format::container::{
    CHUNK_MIN, ChunkWriter, FileHeader, Found, Record, RecordHead, Unpacker, Verifier, walk,
};
use dbox_format::map::{LogPosition, Map, Snapshot, Transaction};
use dbox_format::{Content, Dictionary, Guid, Seed, explain, explain_transaction};

const SEED: Seed = Seed(0x1234_5678);

/// Input: a container or dictionary, or (if the first byte is odd) a number and messages to make a container of.
pub fn dbox_container(data: &[u8]) {
    let Some((kind, rest)) = data.split_first() else { return };
    if kind & 1 == 0 {
        cover(rest);
        stream(rest, SEED);
        if let Ok(dictionary) = Dictionary::parse(rest) {
            let mut again = Vec::new();
            dictionary.write(&mut again).expect("what was read can be written");
            assert_eq!(again, rest);
        }
        return;
    }
    let mut pieces = Pieces(rest);
    let damage = pieces.number();
    let messages: Vec<&[u8]> = pieces.collect();
    let mut file = Vec::new();
    FileHeader { number: 1, seed: SEED, ..FileHeader::default() }.write(&mut file);
    let mut ends = Vec::new();
    let encoder = &mut Encoder::new(1).expect("zstd has this level");
    for (number, message) in messages.iter().enumerate() {
        write_record(number, message, encoder, &mut file);
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

/// One message is written whole, the next one streamed, the third compressed.
fn write_record(number: usize, message: &[u8], encoder: &mut Encoder, file: &mut Vec<u8>) {
    // No two alike: which record is missing is told by it.
    let head = RecordHead {
        guid: Guid((number as u128).to_le_bytes()),
        mailbox_name: "INBOX",
        keywords: &["$Forwarded"],
        ..RecordHead::default()
    };
    if number.is_multiple_of(3) {
        let frame =
            head.frame(SEED, Content::of(message)).expect("a message of this size is allowed");
        file.extend_from_slice(&frame.head);
        file.extend_from_slice(message);
        file.extend_from_slice(&frame.tail);
    } else {
        let mut encoder = (number % 3 == 1).then_some(encoder);
        let (mut chunks, allowed) = (Vec::new(), "a message of this size is allowed");
        let mut writer =
            ChunkWriter::with_sizes(CHUNK_MIN, CHUNK_MIN).expect("allowed chunk sizes");
        for piece in message.chunks(100) {
            writer.push(piece, encoder.as_deref_mut(), &mut chunks).expect(allowed);
        }
        let written = writer.finish(encoder, &mut chunks).expect(allowed);
        let frame = head.around(&written, &[], SEED, 0).expect("a head of this length is allowed");
        for bytes in [frame.head.as_slice(), &chunks, &frame.tail] {
            file.extend_from_slice(bytes);
        }
    }
}

/// Goes through a container: what is found covers it. Gives the GUIDs and texts of the records that decode.
fn cover(file: &[u8]) -> Vec<(Guid, Vec<u8>)> {
    let mut at = 0;
    let mut records = Vec::new();
    let walk = walk(file);
    let seed = walk.seed();
    let mut decoder = Decoder::new();
    for found in walk {
        let range = match found {
            Found::Header(_) => 0..FileHeader::LEN as u64,
            Found::Record { at, record } => {
                if let Ok(text) = decoder.text(&record) {
                    records.push((record.head().guid(), text.into_owned()));
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
    explain(file, &mut String::new()).expect("a string takes all");
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
    unpack(bytes, seed);
}

/// A record's text is the same, read whole and piece by piece.
fn unpack(bytes: &[u8], seed: Seed) {
    let decoder = &mut Decoder::new();
    let record = Record::parse(bytes, seed);
    let whole = record.and_then(|record| decoder.text(&record).map(|text| text.into_owned()));
    let mut unpacker = Unpacker::new(seed, decoder);
    let mut text = Vec::new();
    let pushed = bytes.chunks(13).try_for_each(|piece| unpacker.push(piece, &mut text));
    match (whole, pushed.and_then(|()| unpacker.finish())) {
        (Ok(whole), Ok(_)) => assert_eq!(whole, text),
        (whole, streamed) => assert_eq!(whole.is_ok(), streamed.is_ok(), "{whole:?}, {streamed:?}"),
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
        explain_transaction(payload, &mut String::new()).expect("a string takes all");
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
