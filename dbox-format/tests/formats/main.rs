//! The formats against bytes of a second writer, against models, and against damage.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails")]

mod attachments;
mod damage;
mod explain;
mod golden;
mod map_model;
#[cfg(feature = "zstd")]
mod packed;
mod record;
mod sizes;
mod snapshot;

use dbox_format::compress::{Decoder, Encoder};
use dbox_format::container::{ChunkWriter, Compression, FileHeader, RecordHead};
use dbox_format::{Content, Guid, Seed};

const SEED: Seed = Seed(0xa1b2_c3d4);

fn guid(byte: u8) -> Guid {
    Guid([byte; 16])
}

/// A record with a single chunk.
fn small(seed: Seed, head: &RecordHead<'_>, message: &[u8]) -> Vec<u8> {
    let frame = head.frame(seed, Content::of(message)).unwrap();
    let record = [frame.head.as_slice(), message, &frame.tail].concat();
    assert_eq!(record.len() as u64, frame.record_len);
    record
}

/// A record whose text comes in pieces, in chunks of these sizes where it is compressed and where it is not.
fn streamed(
    head: &RecordHead<'_>,
    text: &[u8],
    piece: usize,
    (packed, plain): (u32, u32),
    mut encoder: Option<&mut Encoder>,
) -> Vec<u8> {
    let (mut chunks, mut calls) = (Vec::new(), Vec::new());
    let mut writer = ChunkWriter::with_sizes(packed, plain).unwrap();
    for piece in text.chunks(piece.max(1)) {
        writer.push(piece, encoder.as_deref_mut(), &mut calls).unwrap();
        chunks.append(&mut calls);
    }
    assert_eq!(writer.text_len(), text.len() as u64);
    let written = writer.finish(encoder, &mut calls).unwrap();
    chunks.append(&mut calls);
    assert_eq!((written.len(), written.text_len()), (chunks.len() as u64, text.len() as u64));
    // Where its text is, it knows.
    let (mut decoder, mut again) = (Decoder::new(), Vec::new());
    for part in written.parts() {
        let stored = &chunks[part.stored.start as usize..part.stored.end as usize];
        match written.compression() {
            Compression::None => again.extend_from_slice(stored),
            Compression::Zstd { dictionary: 0 } => decoder.part(&part, stored, &mut again).unwrap(),
            Compression::Zstd { .. } => again.extend_from_slice(&text[again.len()..]),
        }
    }
    assert!(again == text);
    let frame = head.around(&written, &[], SEED, 0).unwrap();
    let record = [frame.head.as_slice(), &chunks, &frame.tail].concat();
    assert_eq!(record.len() as u64, frame.record_len);
    record
}

/// A container with these messages in `INBOX`, and where each record starts and ends.
fn container(seed: Seed, messages: &[Vec<u8>]) -> (Vec<u8>, Vec<std::ops::Range<usize>>) {
    let mut file = Vec::new();
    FileHeader { number: 1, seed, owner: guid(9), created: 7, ..FileHeader::default() }
        .write(&mut file);
    let mut places = Vec::new();
    for (i, message) in messages.iter().enumerate() {
        let head = RecordHead {
            guid: guid(i as u8),
            mailbox_name: "INBOX",
            received: 5,
            ..RecordHead::default()
        };
        let start = file.len();
        file.extend_from_slice(&small(seed, &head, message));
        places.push(start..file.len());
    }
    (file, places)
}
