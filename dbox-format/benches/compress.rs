//! What compressing messages saves and costs: bytes and CPU time a message, by level and dictionary.
//!
//! `cargo bench -p loft-dbox-format` for a corpus made here; `-- DIRECTORY` for the files below a directory, one message
//! each. Dictionaries are trained with one half of the messages, everything is measured with the other.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench that can't go on stops")]

mod common;

use std::hint::black_box;

use common::{Noise, base64, corpus, cpu_time, messages_below, print};
use dbox_format::attachment::{Assembly, Cutter, Options, Piece, Source};
use dbox_format::compress::{Decoder, Encoder};
use dbox_format::container::{ChunkWriter, HeadPrefix, Record, RecordHead, Unpacker, parse_head};
use dbox_format::{Dictionary, Guid, Seed};

const SEED: Seed = Seed(7);
const LEVELS: [i32; 3] = [1, 3, 9];
/// Longer ones are measured as large messages: their chunks hardly need a dictionary.
const SMALL: usize = 64 << 10;

fn main() {
    let directory = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let messages = match &directory {
        Some(path) => messages_below(path.as_ref()).unwrap(),
        None => corpus(20_000, &mut Noise(1)),
    };
    let mut small: Vec<&[u8]> =
        messages.iter().map(Vec::as_slice).filter(|message| message.len() <= SMALL).collect();
    let bytes: usize = small.iter().map(|message| message.len()).sum();
    small.sort_by_key(|message| message.len());
    let median = small.get(small.len() / 2).map_or(0, |message| message.len());
    println!(
        "{} messages of at most 64 KiB, {bytes} bytes, median {median}, mean {}\n",
        small.len(),
        bytes / small.len().max(1)
    );
    small_messages(&small);
    large_messages();
}

/// The table for messages that are compressed in one piece.
fn small_messages(messages: &[&[u8]]) {
    // Neighbours by length: each half has all sizes.
    let half = |which: usize| messages.iter().skip(which).step_by(2).copied().collect::<Vec<_>>();
    let (samples, measured) = (half(0), half(1));
    let mut rows = vec![
        ["dictionary", "level", "bytes a message", "share", "compress, µs", "decompress, µs"]
            .map(str::to_owned)
            .to_vec(),
    ];
    let whole = measured.iter().map(|message| stored(None, message).len()).sum::<usize>();
    rows.push(row("none", "as is", whole, whole, measured.len(), [0.0; 2]));
    let sizes = [0, 16, 64, 110];
    for size in sizes {
        let dictionary = match size {
            0 => None,
            _ => {
                let started = cpu_time();
                let Some(content) = train(&samples, size << 10) else {
                    println!("too few messages for a dictionary of {size} KiB");
                    continue;
                };
                println!("a dictionary of {size} KiB: {:.1} s to train", cpu_time() - started);
                Some(Dictionary { number: 1, owner: Guid::default(), created: 0, content })
            }
        };
        let name = if size == 0 { "none".to_owned() } else { format!("{size} KiB") };
        for level in LEVELS {
            let (bytes, times) = measure(&measured, level, dictionary.as_ref());
            rows.push(row(&name, &level.to_string(), bytes, whole, measured.len(), times));
        }
    }
    println!();
    print(&rows);
}

fn train(samples: &[&[u8]], size: usize) -> Option<Vec<u8>> {
    let mut left = 100 * size;
    // From all sizes: every n-th, until there are a hundred times as many bytes.
    let total: usize = samples.iter().map(|sample| sample.len()).sum();
    let step = total.div_ceil(left).max(1);
    let some = samples.iter().step_by(step).take_while(|sample| {
        let enough = left == 0;
        left = left.saturating_sub(sample.len());
        !enough
    });
    Dictionary::train(&some.collect::<Vec<_>>(), size)
}

/// The record of a message.
fn stored(encoder: Option<&mut Encoder>, message: &[u8]) -> Vec<u8> {
    let head = RecordHead { mailbox_name: "INBOX", ..RecordHead::default() };
    let mut out = Vec::new();
    match encoder {
        Some(encoder) => {
            out = streamed(head, encoder, message);
        }
        None => {
            let frame = head.frame(SEED, dbox_format::Content::of(message)).unwrap();
            out.extend_from_slice(&frame.head);
            out.extend_from_slice(message);
            out.extend_from_slice(&frame.tail);
        }
    }
    out
}

/// The record of a message that comes in pieces.
fn streamed(head: RecordHead<'_>, encoder: &mut Encoder, message: &[u8]) -> Vec<u8> {
    let (mut writer, mut chunks) = (ChunkWriter::new(), Vec::new());
    for piece in message.chunks(65_536) {
        writer.push(piece, Some(encoder), &mut chunks).unwrap();
    }
    let written = writer.finish(Some(encoder), &mut chunks).unwrap();
    let frame = head.around(&written, &[], SEED, 0).unwrap();
    [frame.head.as_slice(), &chunks, &frame.tail].concat()
}

/// Bytes of all records; µs to compress and to decompress one.
fn measure(messages: &[&[u8]], level: i32, dictionary: Option<&Dictionary>) -> (usize, [f64; 2]) {
    let (mut encoder, mut decoder) = match dictionary {
        Some(dictionary) => (
            Encoder::with_dictionary(level, dictionary).unwrap(),
            Decoder::with_dictionary(dictionary).unwrap(),
        ),
        None => (Encoder::new(level).unwrap(), Decoder::new()),
    };
    // The dictionary's tables are made once; that is not counted.
    stored(Some(&mut encoder), messages.first().copied().unwrap_or_default());
    let started = cpu_time();
    let records: Vec<Vec<u8>> =
        messages.iter().map(|message| stored(Some(&mut encoder), message)).collect();
    let compressed = cpu_time();
    for (record, message) in records.iter().zip(messages) {
        let record = Record::parse(record, SEED).unwrap();
        assert!(black_box(decoder.text(&record).unwrap()) == *message);
    }
    let decompressed = cpu_time();
    let each = 1e6 / messages.len() as f64;
    let times = [(compressed - started) * each, (decompressed - compressed) * each];
    (records.iter().map(Vec::len).sum(), times)
}

fn row(
    dictionary: &str,
    level: &str,
    bytes: usize,
    whole: usize,
    count: usize,
    [compress, decompress]: [f64; 2],
) -> Vec<String> {
    vec![
        dictionary.to_owned(),
        level.to_owned(),
        format!("{:.0}", bytes as f64 / count as f64),
        format!("{:.1} %", 100.0 * bytes as f64 / whole as f64),
        format!("{compress:.1}"),
        format!("{decompress:.1}"),
    ]
}

/// A message of 64 MiB, nearly all of it an attachment that can't be compressed beyond its base64.
fn large_messages() {
    let noise = &mut Noise(3);
    let content: Vec<u8> = (0..48 << 17).flat_map(|_| noise.next().to_le_bytes()).collect();
    let header = b"Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let message = [header.as_slice(), &base64(&content, 76), b"\r\n"].concat();
    let mib = message.len() as f64 / f64::from(1 << 20);
    let mut rows =
        vec![["one message of 66 MiB", "bytes", "MiB a second"].map(str::to_owned).to_vec()];
    for level in LEVELS {
        let mut encoder = Encoder::new(level).unwrap();
        let started = cpu_time();
        let record = streamed(RecordHead::default(), &mut encoder, &message);
        let speed = mib / (cpu_time() - started);
        let what = format!("compressed, level {level}");
        rows.push(vec![what, record.len().to_string(), format!("{speed:.0}")]);
        if level == 1 {
            rows.push(decompressed(&record, &message, mib));
            rows.push(a_part(&record, &message));
        }
    }
    rows.extend(apart(&message, &content, header.len(), mib));
    println!();
    print(&rows);
}

fn decompressed(record: &[u8], message: &[u8], mib: f64) -> Vec<String> {
    let mut decoder = Decoder::new();
    let started = cpu_time();
    let mut unpacker = Unpacker::new(SEED, &mut decoder);
    let (mut text, mut len) = (Vec::new(), 0);
    for piece in record.chunks(65_536) {
        unpacker.push(piece, &mut text).unwrap();
        len += text.len();
        text.clear();
    }
    unpacker.finish().unwrap();
    assert_eq!(len, message.len());
    let speed = mib / (cpu_time() - started);
    vec!["decompressed and checked".to_owned(), len.to_string(), format!("{speed:.0}")]
}

/// 64 KiB from the middle.
fn a_part(record: &[u8], message: &[u8]) -> Vec<String> {
    let HeadPrefix::Head(head) = parse_head(record, SEED).unwrap() else { unreachable!("whole") };
    let layout = head.packed_layout(message.len() as u64, record.len() as u64).unwrap();
    let at = |range: &std::ops::Range<u64>| record.get(range.start as usize..range.end as usize);
    let table = layout.table().unwrap();
    let chunks = layout.chunks(at(&table).unwrap()).unwrap();
    let middle = message.len() as u64 / 2;
    let mut read = head.len() as u64 + table.end - table.start;
    let (mut out, mut decoder) = (Vec::new(), Decoder::new());
    for part in chunks.parts(middle..middle + 65_536) {
        read += part.stored.end - part.stored.start;
        decoder.part(&part, at(&part.stored).unwrap(), &mut out).unwrap();
    }
    assert_eq!(out.len(), 65_536);
    vec!["read for 64 KiB from the middle".to_owned(), read.to_string(), String::new()]
}

fn apart(message: &[u8], content: &[u8], start: usize, mib: f64) -> [Vec<String>; 2] {
    let mut kept = 0;
    let mut on_piece = |piece: Piece<'_>| {
        if let Piece::Content(bytes) = piece {
            kept += black_box(bytes).len();
        }
    };
    let started = cpu_time();
    let mut cutter = Cutter::new(Options::default());
    let (header, body) = message.split_at(start);
    cutter.push(header, &mut on_piece);
    cutter.begin(&mut on_piece);
    body.chunks(65_536).for_each(|piece| cutter.push(piece, &mut on_piece));
    cutter.end(&mut on_piece);
    let cut = mib / (cpu_time() - started);
    let started = cpu_time();
    let assembly = Assembly::new(cutter.list(), message.len() as u64).unwrap();
    let (mut out, mut len) = (Vec::new(), 0);
    for source in assembly.sources(0..u64::MAX) {
        if let Source::Attachment { content: range, .. } = &source {
            let bytes = content.get(range.start as usize..range.end as usize).unwrap();
            assembly.encode(&source, bytes, &mut out).unwrap();
        }
        len += black_box(&out).len();
        out.clear();
    }
    let together = mib / (cpu_time() - started);
    let row = |what: &str, bytes: usize, speed: f64| {
        vec![what.to_owned(), bytes.to_string(), format!("{speed:.0}")]
    };
    [
        row("cut out: decoded and hashed", kept, cut),
        row("put together: encoded again", len, together),
    ]
}
