//! Writing records around a message that is in memory.

use super::{
    Compression, LAST_CHUNK, PACKED_CHUNK_MAX, RecordHead, SINGLE_CHUNK_MAX, Stored, TRAILER_LEN,
    Trailer,
};
use crate::{Content, Error, Seed};

/// The bytes of a record around a message, or around its chunks: write `head`, the message's slices, `tail`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    /// Fixed head and names; the length word of the only chunk, unless the chunks are written already.
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
