//! Compressed records: written in any pieces, read whole, in part and while they stream by; damaged; with dictionaries.

use std::ops::Range;

use dbox_format::attachment::{CutOut, Hash, LineEnding, Lines};
use dbox_format::compress::{Decoder, Encoder, Frames, pays};
use dbox_format::container::{
    CHUNK_MIN, ChunkWriter, Codec, Compression, Head, HeadPrefix, PACKED_CHUNK, PACKED_CHUNK_MAX,
    Record, RecordHead, STREAM_CHUNK, Stored, Unpacker, Verifier, parse_head, walk_with_seed,
};
use dbox_format::{Content, Dictionary, Error, Guid};
use proptest::prelude::*;

use crate::{SEED, guid, streamed};

/// Text that compresses: sentences whose words follow from their place.
fn prose(len: usize, salt: usize) -> Vec<u8> {
    let words = ["mail", "server", "the", "of", "container", "record", "and", "a", "journal\r\n"];
    let mut out = Vec::with_capacity(len + 16);
    let mut state = salt as u64 | 1;
    while out.len() < len {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        out.extend_from_slice(words[(state >> 40) as usize % words.len()].as_bytes());
        out.push(b' ');
    }
    out.truncate(len);
    out
}

/// Bytes that don't.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(next).collect()
}

fn apart() -> Vec<CutOut> {
    let cut = |offset, lines| CutOut { offset, hash: Hash::of(b"x"), len: 70_000, lines };
    vec![cut(10, Lines { len: 76, ending: LineEnding::CrLf }), cut(10, Lines::default())]
}

fn packed(encoder: &mut Encoder, text: &[u8], piece: usize, chunk: u32) -> Vec<u8> {
    let head = RecordHead { guid: guid(3), mailbox_name: "INBOX", ..RecordHead::default() };
    streamed(&head, text, piece, (chunk, STREAM_CHUNK), Some(encoder))
}

fn head_of(record: &[u8]) -> Head<'_> {
    let HeadPrefix::Head(head) = parse_head(record, SEED).unwrap() else { panic!("it is there") };
    head
}

fn unpack(record: &[u8], piece: usize, decoder: &mut Decoder) -> Result<Vec<u8>, Error> {
    let mut unpacker = Unpacker::new(SEED, decoder);
    let mut out = Vec::new();
    for piece in record.chunks(piece.max(1)) {
        if let Err(error) = unpacker.push(piece, &mut out) {
            assert_eq!(unpacker.push(b"", &mut out), Err(error.clone()), "an error stays");
            return Err(error);
        }
    }
    unpacker.finish().map(|_| out)
}

/// A part of the text, without looking at anything but what is needed; and how many bytes were.
fn part(
    record: &[u8],
    text_len: u64,
    part: Range<u64>,
    decoder: &mut Decoder,
) -> Result<(Vec<u8>, u64), Error> {
    let slice = |range: &Range<u64>| &record[range.start as usize..range.end as usize];
    let head = head_of(record);
    let layout = head.packed_layout(text_len, record.len() as u64)?;
    let table = layout.table();
    let mut read = head.len() as u64 + table.as_ref().map_or(0, |table| table.end - table.start);
    let chunks = layout.chunks(table.as_ref().map(slice).unwrap_or_default())?;
    let mut out = Vec::new();
    for part in chunks.parts(part) {
        read += part.stored.end - part.stored.start;
        decoder.part(&part, slice(&part.stored), &mut out)?;
    }
    Ok((out, read))
}

fn dictionary(number: u32) -> Dictionary {
    let samples: Vec<Vec<u8>> = (0..400).map(|salt| prose(600, salt)).collect();
    let content = Dictionary::train(&samples, 4096).unwrap();
    Dictionary { number, owner: Guid::default(), created: 0, content }
}

#[test]
fn a_small_message_is_one_frame() {
    let text = prose(5000, 1);
    let record = packed(&mut Encoder::new(3).unwrap(), &text, 5000, PACKED_CHUNK);
    let parsed = Record::parse(&record, SEED).unwrap();
    assert_eq!((parsed.head().codec(), parsed.head().chunk_size()), (Codec::ZSTD, 0));
    assert_eq!(parsed.head().compression(), Ok(Compression::Zstd { dictionary: 0 }));
    assert_eq!((parsed.message_len(), parsed.chunks().count()), (5000, 1));
    assert!(record.len() < 2500, "{}", record.len());
    assert_eq!(parsed.message(), Err(Error::Codec { codec: 1 }));
    assert!(Decoder::new().text(&parsed).unwrap() == text);
    assert!(unpack(&record, 7, &mut Decoder::new()).unwrap() == text);
    assert!(part(&record, 5000, 4000..9999, &mut Decoder::new()).unwrap().0 == text[4000..]);
}

#[test]
fn what_does_not_get_smaller_is_stored_as_it_came() {
    assert!(pays(1600, 1500) && !pays(1600, 1501) && !pays(0, 0) && !pays(15, 15));
    let encoder = &mut Encoder::new(3).unwrap();
    for text in [b"".to_vec(), b"Subject: x\r\n\r\n".to_vec(), noise(3000)] {
        let record = packed(encoder, &text, 99, PACKED_CHUNK);
        let parsed = Record::parse(&record, SEED).unwrap();
        assert_eq!((parsed.head().codec(), parsed.head().chunk_size()), (Codec::PLAIN, 0));
        assert!(parsed.message().unwrap() == text);
    }
    let text = noise(300_000);
    let record = packed(encoder, &text, 9999, PACKED_CHUNK);
    let parsed = Record::parse(&record, SEED).unwrap();
    assert_eq!((parsed.head().codec(), parsed.head().chunk_size()), (Codec::PLAIN, STREAM_CHUNK));
    assert!(parsed.message().unwrap() == text);
    assert!(unpack(&record, 1000, &mut Decoder::new()).unwrap() == text);
}

#[test]
fn one_body_for_many_recipients_is_compressed_once() {
    let body = prose(20_000, 5);
    let encoder = &mut Encoder::new(3).unwrap();
    let mut body_frame = Vec::new();
    let body_frames = encoder.frame(&body, &mut body_frame).unwrap();
    for recipient in 0..20 {
        let lines = format!("Delivered-To: u{recipient}@example.org\r\n");
        let mut own = Vec::new();
        let frames: Frames = encoder.frame(lines.as_bytes(), &mut own).unwrap().then(body_frames);
        assert!(frames.pays());
        let stored = Stored { compression: encoder.compression(), ..Stored::default() };
        let head = RecordHead { guid: guid(recipient), ..RecordHead::default() };
        let frame = head.frame_stored(&stored, SEED, frames.text_len, frames.stored).unwrap();
        let record = [frame.head.as_slice(), &own, &body_frame, &frame.tail].concat();
        let parsed = Record::parse(&record, SEED).unwrap();
        let wanted = [lines.as_bytes(), &body].concat();
        assert!(Decoder::new().text(&parsed).unwrap() == wanted);
        assert!(unpack(&record, 999, &mut Decoder::new()).unwrap() == wanted);
    }
}

#[test]
fn a_part_of_a_large_message_reads_about_that_part() {
    let text = prose(20 << 20, 3);
    let len = text.len() as u64;
    let encoder = &mut Encoder::new(1).unwrap();
    let record = packed(encoder, &text, 1 << 20, PACKED_CHUNK);
    let decoder = &mut Decoder::new();
    for wanted in [0..10, len - 10..u64::MAX, 7_000_000..7_065_536, len..u64::MAX, 5..5] {
        let (found, read) = part(&record, len, wanted.clone(), decoder).unwrap();
        let range = wanted.start.min(len) as usize..wanted.end.min(len) as usize;
        assert!(found == text[range.clone()], "{wanted:?}");
        // At most two chunks, besides head and table (4 bytes a chunk).
        assert!(read < 70 + 4 * 161 + 2 * u64::from(PACKED_CHUNK), "{wanted:?}: {read}");
        assert!(!range.is_empty() || read < 1000);
    }
}

#[test]
fn writing_and_reading_hold_less_than_2_mib() {
    let piece = prose(64 << 10, 9);
    for level in [1, 3, 9] {
        // As long as is usual.
        let dictionary = Dictionary { content: prose(64 << 10, 4), ..dictionary(1) };
        for encoder in [Encoder::new(level), Encoder::with_dictionary(level, &dictionary)] {
            let (mut encoder, mut most) = (encoder.unwrap(), 0);
            let mut decoder = Decoder::with_dictionary(&dictionary).unwrap();
            let (mut chunks, mut out) = (Vec::new(), Vec::new());
            let mut writer = ChunkWriter::new();
            for _ in 0..160 {
                writer.push(&piece, Some(&mut encoder), &mut out).unwrap();
                most = most.max(out.len());
                chunks.append(&mut out);
                out = Vec::new();
            }
            let written = writer.finish(Some(&mut encoder), &mut out).unwrap();
            chunks.append(&mut out);
            let frame = RecordHead::default().around(&written, &[], SEED, 0).unwrap();
            let mut unpacker = Unpacker::new(SEED, &mut decoder);
            let (mut text, mut len) = (Vec::new(), 0);
            let record = [frame.head.as_slice(), &chunks, &frame.tail].concat();
            for piece in record.chunks(4 << 10) {
                unpacker.push(piece, &mut text).unwrap();
                most = most.max(text.len());
                len += text.len();
                text = Vec::new();
            }
            assert_eq!(len, 160 * piece.len());
            unpacker.finish().unwrap();
            // Besides: the gathered chunk and its compressed form on each side.
            let held = encoder.held() + most + 4 * PACKED_CHUNK as usize;
            // Level 9 passes it with a dictionary, by what its tables hold.
            let max = if level == 9 { 5 << 19 } else { 2 << 20 };
            assert!(held < max, "level {level}: {held}, {} of them the encoder", encoder.held());
        }
    }
}

#[test]
fn a_dictionary_is_named_and_missed() {
    let (first, other) =
        (dictionary(300), Dictionary { content: prose(4000, 77), ..dictionary(300) });
    let text = prose(900, 12_345);
    let mut encoder = Encoder::with_dictionary(3, &first).unwrap();
    let record = packed(&mut encoder, &text, 100, PACKED_CHUNK);
    let without = packed(&mut Encoder::new(3).unwrap(), &text, 100, PACKED_CHUNK);
    assert!(record.len() + 50 < without.len(), "{} and {}", record.len(), without.len());
    let parsed = Record::parse(&record, SEED).unwrap();
    assert_eq!(parsed.head().compression(), Ok(Compression::Zstd { dictionary: 300 }));
    assert_eq!(parsed.head().fields().collect::<Vec<_>>(), [(2, [0xac, 0x02].as_slice())]);
    let mut right = Decoder::with_dictionary(&first).unwrap();
    assert!(right.text(&parsed).unwrap() == text);
    // One without a dictionary is read by all.
    let plain = Record::parse(&without, SEED).unwrap();
    assert!(right.text(&plain).unwrap() == text);
    let missed = Error::Dictionary { wanted: 300, given: 0 };
    assert_eq!(Decoder::new().text(&parsed), Err(missed.clone()));
    assert_eq!(unpack(&record, 10, &mut Decoder::new()), Err(missed));
    // Another's content under this number is noticed: each frame has a checksum of its text.
    let mut wrong = Decoder::with_dictionary(&other).unwrap();
    assert!(matches!(wrong.text(&parsed), Err(Error::Decode { .. })));
}

#[test]
fn a_skeleton_is_not_taken_for_a_message() {
    let (text, apart) = (prose(3000, 4), apart());
    let encoder = &mut Encoder::new(3).unwrap();
    for compression in [Compression::None, encoder.compression()] {
        let stored = Stored { compression, apart: &apart };
        let mut bytes = Vec::new();
        let frames = match compression {
            Compression::None => {
                bytes.clone_from(&text);
                Frames { text_len: text.len() as u64, stored: Content::of(&text) }
            }
            Compression::Zstd { .. } => encoder.frame(&text, &mut bytes).unwrap(),
        };
        let frame = RecordHead { keywords: &["a"], ..RecordHead::default() }
            .frame_stored(&stored, SEED, frames.text_len, frames.stored)
            .unwrap();
        let record = [frame.head.as_slice(), &bytes, &frame.tail].concat();
        let parsed = Record::parse(&record, SEED).unwrap();
        let codec = stored.codec();
        assert!(codec.is_apart());
        assert_eq!((parsed.head().codec(), parsed.head().apart()), (codec, apart.clone()));
        assert_eq!(parsed.head().keywords().collect::<Vec<_>>(), ["a"]);
        assert_eq!(parsed.message(), Err(Error::Codec { codec: codec.0 }));
        assert_eq!(parsed.head().layout(3000), Err(Error::Codec { codec: codec.0 }));
        assert_eq!(parsed.head().text_layout(3000).is_ok(), compression == Compression::None);
        assert_eq!(
            parsed.head().packed_layout(3000, record.len() as u64).is_ok(),
            compression != Compression::None
        );
        assert!(Decoder::new().text(&parsed).unwrap() == text);
        assert!(unpack(&record, 50, &mut Decoder::new()).unwrap() == text);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let encoder = &mut Encoder::new(3).unwrap();
    let head = RecordHead::default();
    for size in [0, CHUNK_MIN - 1, PACKED_CHUNK_MAX + 1] {
        let refused = ChunkWriter::with_sizes(size, STREAM_CHUNK);
        assert!(matches!(refused, Err(Error::Range { field: "chunk size", .. })));
    }
    let many = vec![apart()[0]; 2000];
    let written = ChunkWriter::new().finish(Some(encoder), &mut Vec::new()).unwrap();
    let refused = head.around(&written, &many, SEED, 0);
    assert!(matches!(refused, Err(Error::TooLong { max: 65_535, .. })));
    let long = vec![b'x'; PACKED_CHUNK_MAX as usize + 1];
    let mut out = Vec::new();
    assert!(matches!(encoder.frame(&long, &mut out), Err(Error::TooLong { .. })) && out.is_empty());
    let stored = Stored { compression: encoder.compression(), ..Stored::default() };
    let frame = head.frame_stored(&stored, SEED, long.len() as u64, Content::of(b"short"));
    assert!(matches!(frame, Err(Error::TooLong { .. })));
}

#[test]
fn too_many_chunks_are_refused() {
    // 512 MiB in chunks of 4 KiB: what a writer holds of the table has a bound.
    let (piece, mut out) = (vec![b'x'; 1 << 20], Vec::new());
    let encoder = &mut Encoder::new(1).unwrap();
    let mut writer = ChunkWriter::with_sizes(CHUNK_MIN, CHUNK_MIN).unwrap();
    for _ in 0..512 {
        writer.push(&piece, Some(encoder), &mut out).unwrap();
        out.clear();
    }
    // Without what it was begun with, it goes no further.
    let missed = writer.push(&piece[..1], None, &mut out);
    assert_eq!(missed, Err(Error::Encode));
    let refused = writer.push(&piece[..4097], Some(encoder), &mut out);
    let error = Error::TooLong { field: "number of chunks", found: 131_073, max: 131_072 };
    assert_eq!(refused, Err(error));
}

/// A record of several compressed chunks, small enough to try every bit of it.
fn sample() -> (Vec<u8>, Vec<u8>) {
    let text = prose(2 * CHUNK_MIN as usize + 100, 8);
    (packed(&mut Encoder::new(9).unwrap(), &text, 5000, CHUNK_MIN), text)
}

#[test]
fn every_bit_counts_and_none_gives_other_text() {
    let (record, text) = sample();
    let decoder = &mut Decoder::new();
    let head_len = head_of(&record).len();
    for bit in 0..record.len() * 8 {
        let mut bad = record.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Record::parse(&bad, SEED).is_err(), "bit {bit}");
        assert!(unpack(&bad, 1 << 20, decoder).is_err(), "bit {bit}");
        // A part is read without the trailer's checksum; what it gives is right all the same.
        if bit / 8 >= head_len
            && let Ok((found, _)) = part(&bad, text.len() as u64, 4090..4200, decoder)
        {
            assert!(found == text[4090..4200], "bit {bit}");
        }
    }
}

#[test]
fn damage_in_a_chunk_costs_reads_of_that_chunk() {
    let (record, text) = sample();
    let decoder = &mut Decoder::new();
    let len = text.len() as u64;
    let layout = head_of(&record).packed_layout(len, record.len() as u64).unwrap();
    let table = layout.table().unwrap();
    let chunks = layout.chunks(&record[table.start as usize..table.end as usize]).unwrap();
    let places: Vec<_> = chunks.parts(0..len).collect();
    assert_eq!(places.len(), 3);
    let mut bad = record.clone();
    bad[places[1].stored.start as usize + 30] ^= 1;
    assert!(part(&bad, len, 0..4096, decoder).unwrap().0 == text[..4096]);
    let at = places[1].stored.start;
    let error = Error::Decode { what: "chunk of the message", at };
    assert_eq!(part(&bad, len, 4095..4097, decoder), Err(error));
    assert!(part(&bad, len, 8192..9000, decoder).unwrap().0 == text[8192..]);
    let mut bad = record;
    bad[table.start as usize] ^= 1;
    let error = part(&bad, len, 0..1, decoder);
    assert!(matches!(error, Err(Error::Checksum { what: "table of chunks", .. })), "{error:?}");
}

#[test]
fn a_damaged_compressed_record_is_one_error_of_the_walk() {
    let (record, _) = sample();
    let mut file = [record.as_slice(), &record, &record].concat();
    file[record.len() + 200] ^= 1;
    let whole = walk_with_seed(&[&[0xee; 64], file.as_slice()].concat(), SEED)
        .filter(|found| matches!(found, dbox_format::container::Found::Record { .. }))
        .count();
    assert_eq!(whole, 2);
}

/// A record of these chunks whose checksums are all right, whatever it says.
fn forged(chunk_size: u32, chunks: &[Vec<u8>], text_len: u64) -> Vec<u8> {
    let seal = |bytes: &[u8]| (Content::of(bytes).crc() ^ SEED.0).to_le_bytes();
    let stored = Stored { compression: Compression::Zstd { dictionary: 0 }, apart: &[] };
    let mut out = Vec::new();
    RecordHead::default().write_stored(&stored, SEED, chunk_size, &mut out).unwrap();
    for (n, chunk) in chunks.iter().enumerate() {
        let last = u32::from(n + 1 == chunks.len()) << 31;
        out.extend_from_slice(&(chunk.len() as u32 | last).to_le_bytes());
        out.extend_from_slice(chunk);
    }
    let mut trailer = text_len.to_le_bytes().to_vec();
    trailer.extend_from_slice(&(out.len() as u64 + 24).to_le_bytes());
    trailer.extend_from_slice(&Content::of(&chunks.concat()).crc().to_le_bytes());
    trailer.extend_from_slice(&seal(&trailer));
    [out, trailer].concat()
}

fn table(lengths: &[usize]) -> Vec<u8> {
    let entries: Vec<u8> = lengths.iter().flat_map(|len| (*len as u32).to_le_bytes()).collect();
    let crc = Content::of(&entries).crc().to_le_bytes();
    [entries, crc.to_vec()].concat()
}

#[test]
fn records_that_contradict_themselves_give_no_text() {
    let frame = |len: usize| {
        let mut out = Vec::new();
        Encoder::new(3).unwrap().frame(&prose(len, 1), &mut out).unwrap();
        out
    };
    let (full, short) = (frame(4096), frame(100));
    let (long, bare) = (frame(4097), Vec::new());
    let lengths = [full.len(), short.len()];
    let right = forged(4096, &[full.clone(), short.clone(), table(&lengths)], 4196);
    assert_eq!(unpack(&right, 99, &mut Decoder::new()).unwrap().len(), 4196);
    let cases = [
        (
            "a table of other lengths",
            4096,
            vec![full.clone(), short.clone(), table(&[lengths[0] + 1, lengths[1] - 1])],
            4196,
        ),
        (
            "a table of other sums",
            4096,
            vec![full.clone(), short.clone(), table(&[lengths[0], lengths[1] + 1])],
            4196,
        ),
        ("a table of too few", 4096, vec![full.clone(), short.clone(), table(&lengths[..1])], 4196),
        ("no chunk but the table", 4096, vec![table(&[])], 0),
        (
            "a short chunk before another",
            4096,
            vec![short.clone(), short.clone(), table(&[short.len(); 2])],
            200,
        ),
        (
            "a chunk without text",
            4096,
            vec![full.clone(), bare.clone(), table(&[full.len(), 0])],
            4096,
        ),
        (
            "a chunk with too much text",
            4096,
            vec![long.clone(), short.clone(), table(&[long.len(), short.len()])],
            4197,
        ),
        ("more text than it says", 4096, vec![full.clone(), short.clone(), table(&lengths)], 4195),
        ("less text than it says", 4096, vec![full.clone(), short.clone(), table(&lengths)], 4197),
        ("more text than it says, in one chunk", 0, vec![full.clone()], 4095),
        ("less text than it says, in one chunk", 0, vec![full.clone()], 4097),
        ("a text too long for one chunk", 0, vec![full.clone()], u64::MAX),
    ];
    for (what, chunk_size, chunks, text_len) in cases {
        let record = forged(chunk_size, &chunks, text_len);
        let parsed = Record::parse(&record, SEED).unwrap();
        assert!(Decoder::new().text(&parsed).is_err(), "{what}");
        assert!(unpack(&record, 50, &mut Decoder::new()).is_err(), "{what}");
    }
    // A lie that the table's own checksum does not show is found before anything is read.
    let layout = head_of(&right).packed_layout(4196, right.len() as u64).unwrap();
    let found = layout.chunks(&table(&[lengths[0] + 1, lengths[1]]));
    assert!(matches!(found, Err(Error::Range { field: "chunks of the table", .. })), "{found:?}");
    assert!(layout.chunks(&table(&lengths[..1])).is_err());
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        runs in prop::collection::vec((0_usize..9000, any::<bool>(), 0_usize..99), 0..6),
        piece in 1_usize..10_000,
        read in 1_usize..9_000,
        from in 0_u64..30_000,
        count in 0_u64..10_000,
        with: bool,
    ) {
        let text: Vec<u8> = runs
            .iter()
            .flat_map(|&(len, prosaic, salt)| if prosaic { prose(len, salt) } else { noise(len) })
            .collect();
        let shared = Dictionary { number: 9, content: prose(3000, 1), ..dictionary_of(b"") };
        let mut encoder =
            if with { Encoder::with_dictionary(3, &shared) } else { Encoder::new(3) }.unwrap();
        let mut decoder = Decoder::with_dictionary(&shared).unwrap();
        let record = packed(&mut encoder, &text, piece, CHUNK_MIN);
        prop_assert!(record == packed(&mut encoder, &text, usize::MAX, CHUNK_MIN));
        let parsed = Record::parse(&record, SEED).unwrap();
        prop_assert!(decoder.text(&parsed).unwrap() == text);
        prop_assert_eq!(parsed.message_len(), text.len() as u64);
        prop_assert!(unpack(&record, read, &mut decoder).unwrap() == text);
        let mut verifier = Verifier::new(SEED);
        record.chunks(read).for_each(|piece| verifier.push(piece).unwrap());
        prop_assert_eq!(verifier.finish().unwrap().trailer, *parsed.trailer());
        if parsed.head().codec() == Codec::ZSTD {
            let len = text.len() as u64;
            let (found, _) = part(&record, len, from..from + count, &mut decoder).unwrap();
            let range = from.min(len) as usize..(from + count).min(len) as usize;
            prop_assert!(found == text[range]);
        }
    }

    #[test]
    fn any_lengths_are_safe(text_len: u64, near in 0_u64..3, record_len: u64, from: u64, len in 0_u64..1 << 20, small: bool) {
        let record = if small { packed(&mut Encoder::new(1).unwrap(), &prose(900, 1), 900, CHUNK_MIN) } else { sample().0 };
        for text_len in [text_len, text_len % 20_000] {
            for record_len in [record_len, record_len % 20_000, (record.len() as u64 + near).saturating_sub(1)] {
                let Ok(layout) = head_of(&record).packed_layout(text_len, record_len) else { continue };
                let Some(table) = layout.table() else { continue };
                prop_assert!(table.end + 24 == record_len);
                let bytes = record.get(table.start as usize..table.end as usize).unwrap_or_default();
                if let Ok(chunks) = layout.chunks(bytes) {
                    chunks.parts(from..from.saturating_add(len)).for_each(drop);
                }
            }
        }
    }

    #[test]
    fn whole_and_streamed_agree_on_damage(at: prop::sample::Index, byte: u8, piece in 1_usize..5_000) {
        let (mut record, text) = sample();
        *at.get_mut(&mut record) = byte;
        let decoder = &mut Decoder::new();
        let whole = Record::parse(&record, SEED).and_then(|record| Ok(decoder.text(&record)?.into_owned()));
        prop_assert_eq!(whole.is_ok(), unpack(&record, piece, decoder).is_ok());
        prop_assert!(whole.map_or(true, |whole| whole == text));
    }
}

fn dictionary_of(content: &[u8]) -> Dictionary {
    let content = content.to_vec();
    Dictionary { number: 1, owner: guid(1), created: -1, content }
}

#[test]
fn a_dictionary_comes_back_the_same_and_every_bit_counts() {
    let whole = dictionary(7);
    let mut file = Vec::new();
    whole.write(&mut file).unwrap();
    assert_eq!(file.len(), 64 + whole.content.len());
    assert_eq!(Dictionary::parse(&file), Ok(whole));
    let mut file = Vec::new();
    dictionary_of(b"short").write(&mut file).unwrap();
    for bit in 0..file.len() * 8 {
        let mut bad = file.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Dictionary::parse(&bad).is_err(), "bit {bit}");
    }
    for len in 0..file.len() {
        assert!(matches!(Dictionary::parse(&file[..len]), Err(Error::Truncated { .. })), "{len}");
    }
    file.push(0);
    assert!(matches!(Dictionary::parse(&file), Err(Error::Trailing { count: 1, .. })));
    let zero = Dictionary { number: 0, ..dictionary_of(b"") };
    assert!(matches!(zero.write(&mut file), Err(Error::Range { field: "number", .. })));
    let mut unnumbered = file.clone();
    unnumbered.pop();
    unnumbered[12] = 0;
    let crc = Content::of(&unnumbered[..60]).crc().to_le_bytes();
    unnumbered[60..64].copy_from_slice(&crc);
    let refused = Dictionary::parse(&unnumbered);
    assert!(matches!(refused, Err(Error::Range { field: "number", found: 0, .. })), "{refused:?}");
    let error = Error::Version { what: "dictionary", found: 2, supported: 1 };
    file[8] = 2;
    assert_eq!(Dictionary::parse(&file), Err(error));
}

#[test]
fn too_few_samples_give_no_dictionary() {
    assert_eq!(Dictionary::train::<&[u8]>(&[], 1000), None);
    assert_eq!(Dictionary::train(&[b"a"], 1000), None);
}
