//! Writing a record of compressed text while the text arrives.

use super::packed::write_table;
use super::{
    CHUNK_WORD_LEN, LAST_CHUNK, PACKED_CHUNK_MAX, PACKED_CHUNKS_MAX, RecordHead, RecordWriter,
    STREAM_CHUNK, Stored, TRAILER_LEN, Trailer, Written,
};
use crate::attachment::CutOut;
use crate::checksum::Summer;
use crate::compress::{Encoder, Frames, pays};
use crate::{Error, Seed};

/// Writes one record while its text arrives, compressed if that pays for the first chunk; the length need not be
/// known.
///
/// Holds one chunk, four bytes for each chunk so far, and what the encoder holds: below 2 MiB whatever the size, at the
/// usual chunk size and level 3 or below (at level 9 without a dictionary). What a call appends to `out` belongs at the
/// end of the file, in order.
#[derive(Debug)]
pub struct PackWriter<'a, 'e> {
    head: RecordHead<'a>,
    apart: &'a [CutOut],
    seed: Seed,
    encoder: &'e mut Encoder,
    chunk_size: usize,
    chunk: Vec<u8>,
    text: Summer,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first chunk is not full: nothing is written yet.
    First,
    /// Compressing does not pay.
    Plain(RecordWriter),
    Packed {
        lengths: Vec<u32>,
        stored: Summer,
        record_len: u64,
    },
}

impl<'a, 'e> PackWriter<'a, 'e> {
    /// Gets ready for the text; writes nothing yet. Chunks get `chunk_size` bytes of text
    /// ([`PACKED_CHUNK`](super::PACKED_CHUNK) is usual).
    ///
    /// # Errors
    /// As [`RecordHead::write_stored`]; a chunk size of 0 is [`Error::Range`] too.
    pub fn new(
        head: RecordHead<'a>,
        apart: &'a [CutOut],
        seed: Seed,
        encoder: &'e mut Encoder,
        chunk_size: u32,
    ) -> Result<Self, Error> {
        let (min, max) = (u64::from(super::CHUNK_MIN), u64::from(PACKED_CHUNK_MAX));
        if chunk_size == 0 {
            return Err(Error::Range { field: "chunk size", at: 48, found: 0, min, max });
        }
        // Later it is too late to refuse.
        let stored = Stored { compression: encoder.compression(), apart };
        head.write_stored(&stored, seed, chunk_size, &mut Vec::new())?;
        let (chunk, text) = (Vec::new(), Summer::new());
        let (chunk_size, state) = (chunk_size as usize, State::First);
        Ok(Self { head, apart, seed, encoder, chunk_size, chunk, text, state })
    }

    /// Takes the next bytes of the text and appends the chunks that are now full to `out`.
    ///
    /// # Errors
    /// [`Error::TooLong`] behind [`PACKED_CHUNKS_MAX`] chunks; [`Error::Encode`]. The record cannot be finished then.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        self.text.update(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            if let State::Plain(writer) = &mut self.state {
                writer.push(rest, out);
                return Ok(());
            }
            // A full chunk waits for the byte after it: only then it is known not to be the last.
            if self.chunk.len() == self.chunk_size {
                self.flush(out)?;
                continue;
            }
            let (now, later) = rest.split_at(rest.len().min(self.chunk_size - self.chunk.len()));
            self.chunk.extend_from_slice(now);
            rest = later;
        }
        Ok(())
    }

    /// Bytes of the text taken so far.
    #[must_use]
    pub fn text_len(&self) -> u64 {
        self.text.len()
    }

    /// Appends what is left of the record to `out`; gives its length, and length and checksum of the text.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<Written, Error> {
        if matches!(self.state, State::First) {
            return self.finish_single(out);
        }
        if matches!(self.state, State::Packed { .. }) {
            self.flush(out)?;
        }
        let text = self.text.content();
        match self.state {
            State::Plain(writer) => Ok(writer.finish(out)),
            State::First => unreachable!("such a record is finished above"),
            State::Packed { lengths, mut stored, record_len } => {
                let start = out.len();
                out.extend_from_slice(&[0; CHUNK_WORD_LEN]);
                write_table(&lengths, out);
                let table = out.get(start + CHUNK_WORD_LEN..).unwrap_or_default();
                stored.update(table);
                let word = table.len() as u32 | LAST_CHUNK;
                put_word(out, start, word);
                let record_len = record_len + (out.len() - start + TRAILER_LEN) as u64;
                let content_crc = stored.content().crc();
                let trailer = Trailer { message_len: text.len(), record_len, content_crc };
                out.extend_from_slice(&trailer.write(self.seed));
                Ok(Written { record_len, content: text })
            }
        }
    }

    /// A text that ends within the first chunk.
    fn finish_single(mut self, out: &mut Vec<u8>) -> Result<Written, Error> {
        let mut packed = Vec::new();
        let frames = self.encoder.frame(&self.chunk, &mut packed)?;
        let apart = self.apart;
        let content = self.text.content();
        let (stored, bytes, frames) = if frames.pays() {
            (Stored { compression: self.encoder.compression(), apart }, packed, frames)
        } else {
            let frames = Frames { text_len: content.len(), stored: content };
            (Stored { apart, ..Stored::default() }, std::mem::take(&mut self.chunk), frames)
        };
        let frame = self.head.frame_stored(&stored, self.seed, frames.text_len, frames.stored)?;
        out.extend_from_slice(&frame.head);
        out.extend_from_slice(&bytes);
        out.extend_from_slice(&frame.tail);
        Ok(Written { record_len: frame.record_len, content })
    }

    /// Writes the gathered chunk, before it the head if it is the first.
    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        if matches!(self.state, State::First) {
            self.write_head(out)?;
        }
        let word_at = out.len();
        out.extend_from_slice(&[0; CHUNK_WORD_LEN]);
        let frames = self.encoder.frame(&self.chunk, out)?;
        if matches!(self.state, State::First) && !pays(frames.text_len, frames.stored.len()) {
            out.truncate(start);
            let stored = Stored { apart: self.apart, ..Stored::default() };
            let mut writer =
                RecordWriter::new_stored(&self.head, &stored, self.seed, STREAM_CHUNK, out)?;
            writer.push(&std::mem::take(&mut self.chunk), out);
            self.state = State::Plain(writer);
            return Ok(());
        }
        put_word(out, word_at, frames.stored.len() as u32);
        let bytes = out.get(word_at + CHUNK_WORD_LEN..).unwrap_or_default();
        if let State::First = self.state {
            let (lengths, stored) = (Vec::new(), Summer::new());
            self.state = State::Packed { lengths, stored, record_len: (word_at - start) as u64 };
        }
        if let State::Packed { lengths, stored, record_len } = &mut self.state {
            let (found, max) = (lengths.len() as u64 + 1, PACKED_CHUNKS_MAX);
            if found > max {
                return Err(Error::TooLong { field: "number of chunks", found, max });
            }
            lengths.push(frames.stored.len() as u32);
            stored.update(bytes);
            *record_len += (bytes.len() + CHUNK_WORD_LEN) as u64;
        }
        self.chunk.clear();
        Ok(())
    }

    fn write_head(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        let stored = Stored { compression: self.encoder.compression(), apart: self.apart };
        self.head.write_stored(&stored, self.seed, self.chunk_size as u32, out)
    }
}

fn put_word(out: &mut [u8], at: usize, word: u32) {
    let place = out.get_mut(at..).and_then(|rest| rest.first_chunk_mut());
    *place.expect("room for the word was made") = word.to_le_bytes();
}
