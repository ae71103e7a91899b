//! Writing records: around a message that is in memory, or chunk by chunk while it arrives.

use super::{
    CHUNK_WORD_LEN, Compression, LAST_CHUNK, PACKED_CHUNK_MAX, RecordHead, SINGLE_CHUNK_MAX,
    Stored, TRAILER_LEN, Trailer,
};
use crate::checksum::Summer;
use crate::{Content, Error, Seed};

/// The bytes of a record around a message: write `head`, the message's slices, `tail`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Fixed head, names and the length word of the only chunk.
    pub head: Vec<u8>,
    /// The trailer.
    pub tail: [u8; TRAILER_LEN],
    /// Bytes of the whole record: head, message and tail.
    pub record_len: u64,
}

impl RecordHead<'_> {
    /// The bytes around a message with this length and checksum, as a record with a single chunk.
    ///
    /// The message may be in several slices: `Content::of(prefix).then(body)`, where `body` was summed once for all
    /// recipients.
    ///
    /// # Errors
    /// [`Error::TooLong`] as [`write`](Self::write), or for a message above [`SINGLE_CHUNK_MAX`].
    pub fn frame(&self, seed: Seed, content: Content) -> Result<Frame, Error> {
        self.frame_stored(&Stored::default(), seed, content.len(), content)
    }

    /// The bytes around `content`, the stored form of a text of `text_len` bytes, as a record with a single chunk.
    ///
    /// # Errors
    /// As [`frame`](Self::frame); [`Error::TooLong`] for a compressed text above
    /// [`PACKED_CHUNK_MAX`](super::PACKED_CHUNK_MAX).
    pub fn frame_stored(
        &self,
        stored: &Stored<'_>,
        seed: Seed,
        text_len: u64,
        content: Content,
    ) -> Result<Frame, Error> {
        let max = if stored.compression == Compression::None {
            SINGLE_CHUNK_MAX
        } else {
            u64::from(PACKED_CHUNK_MAX)
        };
        let found = text_len;
        let word = match u32::try_from(content.len()) {
            Ok(len) if len < LAST_CHUNK && text_len <= max => len | LAST_CHUNK,
            _ => return Err(Error::TooLong { field: "message", found, max }),
        };
        let mut head = Vec::with_capacity(128);
        self.write_stored(stored, seed, 0, &mut head)?;
        head.extend_from_slice(&word.to_le_bytes());
        let record_len = head.len() as u64 + content.len() + TRAILER_LEN as u64;
        let trailer = Trailer { message_len: text_len, record_len, content_crc: content.crc() };
        Ok(Frame { head, tail: trailer.write(seed), record_len })
    }
}

/// Writes one record while its message arrives, in pieces of any size; the length need not be known.
///
/// Holds at most one chunk. What a call appends to `out` belongs at the end of the file, in order.
#[derive(Clone, Debug)]
pub struct RecordWriter {
    seed: Seed,
    chunk_size: usize,
    chunk: Vec<u8>, // a length word to be filled in, then the bytes gathered
    summer: Summer,
    record_len: u64,
}

/// What came of a streamed record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Written {
    /// Bytes of the whole record.
    pub record_len: u64,
    /// Length and checksum of the message.
    pub content: Content,
}

impl RecordWriter {
    /// Appends the head to `out` and gets ready for the message.
    ///
    /// # Errors
    /// As [`RecordHead::write`]; a chunk size of 0 is [`Error::Range`] too.
    pub fn new(
        head: &RecordHead<'_>,
        seed: Seed,
        chunk_size: u32,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        Self::new_stored(head, &Stored::default(), seed, chunk_size, out)
    }

    /// [`new`](Self::new) for an uncompressed text that may be a skeleton.
    ///
    /// # Errors
    /// As [`RecordHead::write_stored`]; a chunk size of 0 is [`Error::Range`] too, and a compression is
    /// [`Error::Codec`]: `PackWriter` compresses.
    pub fn new_stored(
        head: &RecordHead<'_>,
        stored: &Stored<'_>,
        seed: Seed,
        chunk_size: u32,
        out: &mut Vec<u8>,
    ) -> Result<Self, Error> {
        if stored.compression != Compression::None {
            return Err(Error::Codec { codec: stored.codec().0 });
        }
        let (min, max) = (u64::from(super::CHUNK_MIN), u64::from(super::CHUNK_MAX));
        if chunk_size == 0 {
            return Err(Error::Range { field: "chunk size", at: 48, found: 0, min, max });
        }
        let start = out.len();
        head.write_stored(stored, seed, chunk_size, out)?;
        let record_len = (out.len() - start) as u64;
        let chunk = vec![0; CHUNK_WORD_LEN];
        Ok(Self { seed, chunk_size: chunk_size as usize, chunk, summer: Summer::new(), record_len })
    }

    /// Takes the next bytes of the message and appends the chunks that are now full to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        self.summer.update(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            // A full chunk waits for the byte after it: only then it is known not to be the last.
            if self.gathered() == self.chunk_size {
                self.flush(0, out);
            }
            let (now, later) = rest.split_at(rest.len().min(self.chunk_size - self.gathered()));
            self.chunk.extend_from_slice(now);
            rest = later;
        }
    }

    /// Bytes of the message taken so far.
    #[must_use]
    pub fn message_len(&self) -> u64 {
        self.summer.len()
    }

    /// Appends the last chunk and the trailer to `out`.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Written {
        self.flush(LAST_CHUNK, out);
        let content = self.summer.content();
        let record_len = self.record_len + TRAILER_LEN as u64;
        let trailer =
            Trailer { message_len: content.len(), record_len, content_crc: content.crc() };
        out.extend_from_slice(&trailer.write(self.seed));
        Written { record_len, content }
    }

    fn gathered(&self) -> usize {
        self.chunk.len() - CHUNK_WORD_LEN
    }

    fn flush(&mut self, mark: u32, out: &mut Vec<u8>) {
        let word = self.gathered() as u32 | mark;
        let (place, _) =
            self.chunk.split_first_chunk_mut().expect("room for the word is kept at the front");
        *place = word.to_le_bytes();
        out.extend_from_slice(&self.chunk);
        self.record_len += self.chunk.len() as u64;
        self.chunk.truncate(CHUNK_WORD_LEN);
    }
}
