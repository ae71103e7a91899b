//! Records: written in any pieces, read whole and in part, checked while they stream by.

use std::ops::Range;

use dbox_format::container::{
    CHUNK_MAX, CHUNK_MIN, ChunkWriter, Codec, HeadPrefix, Record, RecordHead, STREAM_CHUNK,
    TRAILER_LEN, Trailer, Verifier, parse_head,
};
use dbox_format::{Content, Error, Seed};
use proptest::prelude::*;

use crate::{SEED, guid, small};

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 % 253) as u8).collect()
}

fn streamed(head: &RecordHead<'_>, message: &[u8], piece: usize, chunk: u32) -> Vec<u8> {
    crate::streamed(head, message, piece, (chunk, chunk), None)
}

fn verify(bytes: &[u8], piece: usize) -> Result<Trailer, Error> {
    let mut verifier = Verifier::new(SEED);
    for piece in bytes.chunks(piece.max(1)) {
        if let Err(error) = verifier.push(piece) {
            assert_eq!(verifier.push(b""), Err(error.clone()), "an error stays");
            assert_eq!(verifier.finish(), Err(error.clone()));
            return Err(error);
        }
    }
    verifier.finish().map(|verified| verified.trailer)
}

#[test]
fn one_body_for_many_recipients_is_summed_once() {
    let body = text(9000);
    let summed = Content::of(&body);
    for recipient in 0..20_u8 {
        let prefix = format!("Delivered-To: u{recipient}@example.org\r\n");
        let head =
            RecordHead { guid: guid(recipient), mailbox_name: "INBOX", ..RecordHead::default() };
        let frame = head.frame(SEED, Content::of(prefix.as_bytes()).then(summed)).unwrap();
        let record = [frame.head.as_slice(), prefix.as_bytes(), &body, &frame.tail].concat();
        let whole = [prefix.as_bytes(), &body].concat();
        assert_eq!(Record::parse(&record, SEED).unwrap().message().unwrap(), whole);
        assert_eq!(record, small(SEED, &head, &whole));
    }
}

#[test]
fn a_part_is_found_without_reading_the_rest() {
    let message = text(STREAM_CHUNK as usize * 3 + 17);
    let head =
        RecordHead { mailbox_name: "Lists/rust", keywords: &["a", "b"], ..RecordHead::default() };
    for record in [streamed(&head, &message, 1000, STREAM_CHUNK), small(SEED, &head, &message)] {
        assert_eq!(parse_head(&record[..10], SEED), Ok(HeadPrefix::Need(64)));
        assert_eq!(parse_head(&record[..70], SEED), Ok(HeadPrefix::Need(64 + 10 + 8)));
        let HeadPrefix::Head(view) = parse_head(&record[..256], SEED).unwrap() else {
            panic!("256 bytes hold it")
        };
        let layout = view.layout(message.len() as u64).unwrap();
        assert_eq!(layout.record_len(), record.len() as u64);
        let chunk = u64::from(STREAM_CHUNK);
        let len = message.len() as u64;
        for part in [
            0..len,
            0..1,
            chunk - 1..chunk + 1,
            chunk..chunk,
            len - 1..len + 99,
            len..u64::MAX,
            5..2 * chunk,
        ] {
            let read: Vec<u8> =
                layout.ranges(part.clone()).flat_map(|range| slice(&record, range)).collect();
            let wanted = &message[part.start.min(len) as usize..part.end.min(len) as usize];
            assert!(read == wanted, "{part:?}");
        }
    }
}

fn slice(bytes: &[u8], range: Range<u64>) -> Vec<u8> {
    bytes[range.start as usize..range.end as usize].to_vec()
}

#[test]
fn a_head_fills_the_room_that_was_left_for_it() {
    let head = RecordHead { mailbox_name: "INBOX", keywords: &["a"], ..RecordHead::default() };
    let mut chunks = Vec::new();
    let written = ChunkWriter::new().finish(None, &mut chunks).unwrap();
    let needed = 64 + 5 + 4;
    for (room, len) in
        [(0, 0), (needed, 0), (needed + 2, 0), (needed + 3, 3), (4000, 4000 - needed)]
    {
        let frame = head.around(&written, &[], SEED, room).unwrap();
        assert_eq!(frame.head.len(), needed + len, "{room}");
        let record = [frame.head.as_slice(), &chunks, &frame.tail].concat();
        let parsed = Record::parse(&record, SEED).unwrap();
        let (name, keywords) = (parsed.head().mailbox_name(), parsed.head().keywords());
        assert_eq!((name, keywords.collect::<Vec<_>>()), ("INBOX", vec!["a"]));
        let zeros = vec![0; len.saturating_sub(3)];
        let fields: Vec<_> = parsed.head().fields().filter(|(kind, _)| *kind != 1).collect();
        assert_eq!(fields, Vec::from_iter((len > 0).then_some((4, zeros.as_slice()))));
    }
}

#[test]
fn the_trailer_is_found_from_the_end() {
    let record = small(SEED, &RecordHead::default(), b"text");
    let trailer = Trailer::parse(record.last_chunk::<TRAILER_LEN>().unwrap(), SEED).unwrap();
    assert_eq!((trailer.message_len, trailer.record_len), (4, record.len() as u64));
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_nothing() {
    let name = "x".repeat(65_536);
    let mut out = Vec::new();
    let head = RecordHead { mailbox_name: &name, ..RecordHead::default() };
    let error = Error::TooLong { field: "mailbox name and keywords", found: 65_536, max: 65_535 };
    assert_eq!(head.write(SEED, 0, &mut out), Err(error));
    let head = RecordHead { keywords: &[&name], ..RecordHead::default() };
    let error = Error::TooLong { field: "keyword", found: 65_536, max: 65_535 };
    assert_eq!(head.write(SEED, 0, &mut out), Err(error));
    let plain = RecordHead::default();
    assert!(matches!(plain.write(SEED, CHUNK_MIN - 1, &mut out), Err(Error::Range { .. })));
    for sizes in
        [(0, CHUNK_MIN), (CHUNK_MIN, 0), (CHUNK_MIN, CHUNK_MAX + 1), (CHUNK_MAX, CHUNK_MAX)]
    {
        let refused = ChunkWriter::with_sizes(sizes.0, sizes.1);
        assert!(matches!(refused, Err(Error::Range { field: "chunk size", .. })), "{sizes:?}");
    }
    assert!(out.is_empty());
}

#[test]
fn another_codec_is_kept_apart_from_plain_text() {
    // The codec byte is changed and the head sealed again: only a later version could have written this.
    let mut record = small(SEED, &RecordHead::default(), b"text");
    record[4] = Codec::ZSTD.0;
    let Err(Error::Checksum { computed, .. }) = Record::parse(&record, SEED) else {
        panic!("the seal must break")
    };
    record[60..64].copy_from_slice(&computed.to_le_bytes());
    let parsed = Record::parse(&record, SEED).unwrap();
    assert_eq!(parsed.head().codec(), Codec::ZSTD);
    assert_eq!(parsed.message(), Err(Error::Codec { codec: 1 }));
    assert_eq!(parsed.head().layout(4), Err(Error::Codec { codec: 1 }));
    assert_eq!(parsed.chunks().collect::<Vec<_>>(), [b"text"]);
}

#[test]
fn every_bit_and_every_length_counts() {
    let head = RecordHead {
        guid: guid(1),
        mailbox_name: "INBOX",
        keywords: &["$Junk"],
        ..RecordHead::default()
    };
    for record in [
        small(SEED, &head, b"Subject: x\r\n\r\nbody\r\n"),
        streamed(&head, &text(9000), 77, CHUNK_MIN),
    ] {
        Record::parse(&record, SEED).unwrap();
        let step = if record.len() > 1000 { 7 } else { 1 };
        for bit in (0..record.len() * 8).step_by(step) {
            let mut bad = record.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::parse(&bad, SEED).is_err(), "bit {bit}");
            assert!(verify(&bad, 100).is_err(), "bit {bit}");
        }
        for len in (0..record.len()).step_by(step) {
            assert!(Record::parse(&record[..len], SEED).is_err(), "length {len}");
            assert!(verify(&record[..len], 100).is_err(), "length {len}");
        }
        let longer = [record.as_slice(), b"x"].concat();
        assert!(matches!(Record::parse(&longer, SEED), Err(Error::Trailing { count: 1, .. })));
        assert!(matches!(verify(&longer, 100), Err(Error::Trailing { count: 1, .. })));
        assert_eq!(Record::parse_prefix(&longer, SEED).unwrap().len(), record.len() as u64);
        assert!(Record::parse(&record, Seed(0)).is_err(), "without the seed nothing is a record");
    }
}

proptest! {
    #[test]
    fn pieces_do_not_matter(len in 0_usize..20_000, piece in 1_usize..10_000, read in 1_usize..9_000, name in "\\PC{0,20}") {
        let message = text(len);
        let head = RecordHead { guid: guid(3), mailbox_name: &name, received: -5, ..RecordHead::default() };
        let record = streamed(&head, &message, piece, CHUNK_MIN);
        prop_assert!(record == streamed(&head, &message, usize::MAX, CHUNK_MIN));
        let parsed = Record::parse(&record, SEED).unwrap();
        prop_assert_eq!(parsed.head().mailbox_name(), name);
        prop_assert!(parsed.message().unwrap() == message);
        prop_assert_eq!(parsed.content(), Content::of(&message));
        prop_assert_eq!(verify(&record, read), Ok(*parsed.trailer()));
        let layout = parsed.head().layout(len as u64).unwrap();
        prop_assert_eq!(layout.record_len(), record.len() as u64);
        let all: Vec<u8> = layout.ranges(0..u64::MAX).flat_map(|range| slice(&record, range)).collect();
        prop_assert!(all == message);
    }

    #[test]
    fn reader_and_verifier_agree_on_damage(len in 0_usize..9_000, at: prop::sample::Index, byte: u8, piece in 1_usize..5_000) {
        let mut record = streamed(&RecordHead::default(), &text(len), 999, CHUNK_MIN);
        *at.get_mut(&mut record) = byte;
        prop_assert_eq!(Record::parse(&record, SEED).is_ok(), verify(&record, piece).is_ok());
    }

    #[test]
    fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..300), seed: u32) {
        let _ = Record::parse(&bytes, Seed(seed));
        let _ = parse_head(&bytes, Seed(seed));
        let _ = verify(&bytes, 7);
    }
}
