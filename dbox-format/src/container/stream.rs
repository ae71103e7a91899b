//! Writing the chunks of a record while its text arrives; what stands around them is written when they are.

use super::packed::write_table;
use super::{
    CHUNK_MAX, CHUNK_MIN, CHUNK_WORD_LEN, Compression, Frame, LAST_CHUNK, PACKED_CHUNK,
    PACKED_CHUNK_MAX, PACKED_CHUNKS_MAX, Part, RecordHead, STREAM_CHUNK, Stored, TRAILER_LEN,
    Trailer,
};
use crate::attachment::CutOut;
use crate::checksum::Summer;
use crate::compress::{Encoder, pays};
use crate::{Content, Error, Seed};

/// Writes the chunks of one record while its text arrives, compressed if that pays for the first of them; neither the
/// length nor anything that the head says need be known.
///
/// Holds one chunk, and four bytes for each chunk so far: with an encoder below 2 MiB whatever the size, at the usual chunk
/// sizes and level 3 or below (at level 9 without a dictionary). What a call appends to `out` belongs behind what the calls
/// before appended. When it has ended, [`RecordHead::around`] gives what belongs before and behind all that.
#[derive(Debug)]
pub struct ChunkWriter {
    packed: usize,
    plain: usize,
    chunk: Vec<u8>,
    text: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first chunk is not full: nothing is written yet.
    First,
    /// Compressing does not pay, or is not wished for.
    Plain { text: Summer, len: u64 },
    /// The stored length of each chunk.
    Packed { compression: Compression, lengths: Vec<u32>, stored: Summer },
}

/// The chunks of a record whose text has ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WrittenChunks {
    compression: Compression,
    chunk_size: u32, // 0: a single chunk
    text: u64,
    stored: Content,
    /// Bytes of all chunks, length words counted.
    len: u64,
    /// The stored length of each compressed chunk of text, if there are several.
    lengths: Vec<u32>,
}

impl Default for ChunkWriter {
    fn default() -> Self {
        Self {
            packed: PACKED_CHUNK as usize,
            plain: STREAM_CHUNK as usize,
            chunk: Vec::new(),
            text: 0,
            state: State::First,
        }
    }
}

impl ChunkWriter {
    /// Gets ready for a text; with chunks of the usual sizes ([`PACKED_CHUNK`], [`STREAM_CHUNK`]).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with `packed` bytes of text in a chunk that is compressed, and `plain` in one that is not.
    ///
    /// # Errors
    /// [`Error::Range`] for sizes that records don't have.
    pub fn with_sizes(packed: u32, plain: u32) -> Result<Self, Error> {
        let min = u64::from(CHUNK_MIN);
        for (size, max) in [(packed, PACKED_CHUNK_MAX), (plain, CHUNK_MAX)] {
            let (found, max) = (u64::from(size), u64::from(max));
            if !(min..=max).contains(&found) {
                return Err(Error::Range { field: "chunk size", at: 48, found, min, max });
            }
        }
        Ok(Self { packed: packed as usize, plain: plain as usize, ..Self::default() })
    }

    /// Takes the next bytes of the text and appends the chunks that are now full to `out`. The encoder has to be there, with
    /// the same dictionary, or not to be there for all of a text.
    ///
    /// # Errors
    /// [`Error::TooLong`] behind [`PACKED_CHUNKS_MAX`] chunks; [`Error::Encode`]. The record cannot be finished then.
    pub fn push(
        &mut self,
        bytes: &[u8],
        mut encoder: Option<&mut Encoder>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.text += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            // A full chunk waits for the byte after it: only then it is known not to be the last.
            let room = self.size(encoder.is_some()).saturating_sub(self.chunk.len());
            if room == 0 {
                self.flush(encoder.as_deref_mut(), out)?;
                continue;
            }
            let (now, later) = rest.split_at(rest.len().min(room));
            self.chunk.extend_from_slice(now);
            rest = later;
        }
        Ok(())
    }

    /// Bytes of the text taken so far.
    #[must_use]
    pub fn text_len(&self) -> u64 {
        self.text
    }

    /// Appends what is left of the chunks to `out`.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(
        mut self,
        encoder: Option<&mut Encoder>,
        out: &mut Vec<u8>,
    ) -> Result<WrittenChunks, Error> {
        match self.state {
            State::First => return self.finish_single(encoder, out),
            State::Plain { .. } => {}
            State::Packed { .. } => self.flush(encoder, out)?,
        }
        match self.state {
            State::First => unreachable!("such a text is finished above"),
            State::Plain { mut text, len } => {
                text.update(&self.chunk);
                let len = len + put_chunk(&self.chunk, LAST_CHUNK, out);
                let (compression, stored) = (Compression::None, text.content());
                let (chunk_size, text) = (self.plain as u32, self.text);
                Ok(WrittenChunks {
                    compression,
                    chunk_size,
                    text,
                    stored,
                    len,
                    lengths: Vec::new(),
                })
            }
            State::Packed { compression, lengths, mut stored } => {
                let mut table = Vec::new();
                write_table(&lengths, &mut table);
                stored.update(&table);
                put_chunk(&table, LAST_CHUNK, out);
                let stored = stored.content();
                let len = stored.len() + (lengths.len() as u64 + 1) * CHUNK_WORD_LEN as u64;
                let (chunk_size, text) = (self.packed as u32, self.text);
                Ok(WrittenChunks { compression, chunk_size, text, stored, len, lengths })
            }
        }
    }

    /// A text that ends within the first chunk.
    fn finish_single(
        self,
        encoder: Option<&mut Encoder>,
        out: &mut Vec<u8>,
    ) -> Result<WrittenChunks, Error> {
        let mut packed = Vec::new();
        let frames = match encoder {
            Some(encoder) => {
                let frames = encoder.frame(&self.chunk, &mut packed)?;
                frames.pays().then(|| (encoder.compression(), frames.stored))
            }
            None => None,
        };
        let (compression, stored, bytes) = match frames {
            Some((compression, stored)) => (compression, stored, &packed),
            None => (Compression::None, Content::of(&self.chunk), &self.chunk),
        };
        let len = put_chunk(bytes, LAST_CHUNK, out);
        let (text, lengths) = (self.text, Vec::new());
        Ok(WrittenChunks { compression, chunk_size: 0, text, stored, len, lengths })
    }

    /// Bytes of text in each chunk. The first is gathered before it is known what chunks these are.
    fn size(&self, packs: bool) -> usize {
        match self.state {
            State::First if packs => self.packed,
            State::Packed { .. } => self.packed,
            State::First | State::Plain { .. } => self.plain,
        }
    }

    /// Writes the gathered chunk, which is not the last.
    fn flush(&mut self, encoder: Option<&mut Encoder>, out: &mut Vec<u8>) -> Result<(), Error> {
        let (first, chunk) = (matches!(self.state, State::First), &self.chunk);
        if let State::Plain { text, len } = &mut self.state {
            text.update(chunk);
            *len += put_chunk(chunk, 0, out);
            self.chunk.clear();
            return Ok(());
        }
        let Some(encoder) = encoder else {
            return if first { self.begin_plain(out) } else { Err(Error::Encode) };
        };
        let start = out.len();
        out.extend_from_slice(&[0; CHUNK_WORD_LEN]);
        let frames = encoder.frame(chunk, out)?;
        if first && !pays(frames.text_len, frames.stored.len()) {
            out.truncate(start);
            return self.begin_plain(out);
        }
        put_word(out, start, frames.stored.len() as u32);
        if first {
            let (compression, lengths) = (encoder.compression(), Vec::new());
            self.state = State::Packed { compression, lengths, stored: Summer::new() };
        }
        if let State::Packed { lengths, stored, .. } = &mut self.state {
            let (found, max) = (lengths.len() as u64 + 1, PACKED_CHUNKS_MAX);
            if found > max {
                return Err(Error::TooLong { field: "number of chunks", found, max });
            }
            lengths.push(frames.stored.len() as u32);
            stored.update(out.get(start + CHUNK_WORD_LEN..).unwrap_or_default());
        }
        self.chunk.clear();
        Ok(())
    }

    /// Goes on in chunks that are not compressed; what was gathered may be more than one of them.
    fn begin_plain(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.state = State::Plain { text: Summer::new(), len: 0 };
        let gathered = std::mem::take(&mut self.chunk);
        self.text -= gathered.len() as u64;
        self.push(&gathered, None, out)
    }
}

impl WrittenChunks {
    /// Bytes of the text.
    #[must_use]
    pub fn text_len(&self) -> u64 {
        self.text
    }

    /// Bytes of all chunks.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none; a record has one at least.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How the text is compressed: [`Compression::None`] says that the chunks are the text.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// Where the text is: each chunk that has some, in order, by its place behind where the first chunk starts.
    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        let size = if self.chunk_size == 0 { u64::MAX } else { u64::from(self.chunk_size) };
        let (mut left, mut at, mut lengths) = (self.text, 0, self.lengths.iter());
        std::iter::from_fn(move || {
            let text = left.min(size);
            let stored = match self.compression {
                _ if text == 0 => return None,
                Compression::None => text,
                Compression::Zstd { .. } => {
                    lengths.next().map_or(self.stored.len(), |len| u64::from(*len))
                }
            };
            let start = at + CHUNK_WORD_LEN as u64;
            (left, at) = (left - text, start + stored);
            // Chunks fit into memory: that is where they were gathered.
            let text_len = text as usize;
            Some(Part { stored: start..at, text_len, wanted: 0..text_len })
        })
    }
}

impl RecordHead<'_> {
    /// What stands before and behind these chunks, whose text lacks what stands `apart`. The head takes `room` bytes where that
    /// can be: it is longer if it needs to be, and one or two bytes shorter if it needs that many less.
    ///
    /// # Errors
    /// As [`write_stored`](Self::write_stored).
    pub fn around(
        &self,
        chunks: &WrittenChunks,
        apart: &[CutOut],
        seed: Seed,
        room: usize,
    ) -> Result<Frame, Error> {
        let mut head = Vec::with_capacity(128);
        let stored = Stored { compression: chunks.compression, apart };
        self.write_in(&stored, seed, chunks.chunk_size, room, &mut head)?;
        let record_len = head.len() as u64 + chunks.len + TRAILER_LEN as u64;
        let (message_len, content_crc) = (chunks.text, chunks.stored.crc());
        let trailer = Trailer { message_len, record_len, content_crc };
        Ok(Frame { head, tail: trailer.write(seed), record_len })
    }
}

/// Appends a chunk; gives how many bytes that were.
fn put_chunk(bytes: &[u8], mark: u32, out: &mut Vec<u8>) -> u64 {
    out.extend_from_slice(&(bytes.len() as u32 | mark).to_le_bytes());
    out.extend_from_slice(bytes);
    (CHUNK_WORD_LEN + bytes.len()) as u64
}

fn put_word(out: &mut [u8], at: usize, word: u32) {
    let place = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut());
    *place.expect("room for the word was made") = word.to_le_bytes();
}
