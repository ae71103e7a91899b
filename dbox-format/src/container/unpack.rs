//! Reading a record while it streams by: its text comes out, whatever its size.

use super::packed::read_table;
use super::verify::Step;
use super::{Compression, PACKED_CHUNK_MAX, PACKED_CHUNKS_MAX, Verified, Verifier};
use crate::compress::Decoder;
use crate::{Error, Seed};

/// Gives the text of a record whose bytes come in pieces of any size, and checks the record meanwhile.
///
/// Text of a compressed record was checked when it comes out (each frame has its checksum); of an uncompressed one it is
/// known to be right only when [`finish`](Self::finish) says so. Holds the head, then two chunks, and four bytes for
/// each chunk before.
#[derive(Debug)]
pub struct Unpacker<'d> {
    verifier: Verifier,
    text: Text<'d>,
}

#[derive(Debug)]
struct Text<'d> {
    decoder: &'d mut Decoder,
    compression: Compression,
    chunk_size: usize,
    chunk: Vec<u8>,
    lengths: Vec<u32>,
    ended: bool, // a chunk was not full, so no other may follow it
    len: u64,
}

impl<'d> Unpacker<'d> {
    /// Waits for the first byte of a record.
    #[must_use]
    pub fn new(seed: Seed, decoder: &'d mut Decoder) -> Self {
        let (compression, chunk_size) = (Compression::None, 0);
        let (chunk, lengths, ended, len) = (Vec::new(), Vec::new(), false, 0);
        let text = Text { decoder, compression, chunk_size, chunk, lengths, ended, len };
        Self { verifier: Verifier::new(seed), text }
    }

    /// Takes the next bytes of the record, and appends the text that they complete to `out`.
    ///
    /// # Errors
    /// As [`Record::parse`](super::Record::parse) and [`Decoder::text`], as soon as it is known; the same error again for
    /// later calls.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let Self { verifier, text } = self;
        verifier.push_to(bytes, &mut |step| text.on_step(step, out))
    }

    /// What the record is, if it has ended.
    ///
    /// # Errors
    /// The error of [`push`](Self::push), or [`Error::Truncated`]; [`Error::Range`] if the text has another length than
    /// the record says.
    pub fn finish(self) -> Result<Verified, Error> {
        let verified = self.verifier.finish()?;
        let (found, wanted) = (verified.trailer.message_len, self.text.len);
        if found != wanted {
            let field = "message length";
            return Err(Error::Range { field, at: 0, found, min: wanted, max: wanted });
        }
        Ok(verified)
    }
}

impl Text<'_> {
    fn on_step(&mut self, step: Step<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        match step {
            Step::Head(head) => {
                self.compression = self.decoder.allow(head.compression()?)?;
                self.chunk_size = head.chunk_size() as usize;
                Ok(())
            }
            Step::Bytes(bytes) if self.compression == Compression::None => {
                self.len += bytes.len() as u64;
                out.extend_from_slice(bytes);
                Ok(())
            }
            Step::Bytes(bytes) => {
                // More than any chunk or table of this version has.
                let (found, max) = (self.chunk.len() + bytes.len(), 2 * PACKED_CHUNK_MAX as usize);
                if found > max {
                    let (found, max) = (found as u64, max as u64);
                    return Err(Error::TooLong { field: "chunk", found, max });
                }
                self.chunk.extend_from_slice(bytes);
                Ok(())
            }
            Step::ChunkEnd { .. } if self.compression == Compression::None => Ok(()),
            Step::ChunkEnd { last, at } => self.on_chunk(last, at, out),
        }
    }

    fn on_chunk(&mut self, last: bool, end: u64, out: &mut Vec<u8>) -> Result<(), Error> {
        let chunk = std::mem::take(&mut self.chunk);
        let at = end - chunk.len() as u64;
        if last && self.chunk_size > 0 {
            let lengths = read_table(&chunk, at)?;
            return if lengths == self.lengths && !lengths.is_empty() {
                Ok(())
            } else {
                Err(Error::Decode { what: "table of chunks", at })
            };
        }
        let max = if self.chunk_size > 0 { self.chunk_size } else { PACKED_CHUNK_MAX as usize };
        let start = out.len();
        let len = self.decoder.chunk(&chunk, max, at, out)?;
        let fits = !self.ended && self.lengths.len() as u64 != PACKED_CHUNKS_MAX;
        if self.chunk_size > 0 && (!fits || len == 0) {
            out.truncate(start);
            return Err(Error::Decode { what: "chunk of the message", at });
        }
        self.lengths.push(chunk.len() as u32);
        self.ended = len < max;
        self.len += len as u64;
        // Its room is for the next one.
        self.chunk = chunk;
        self.chunk.clear();
        Ok(())
    }
}
