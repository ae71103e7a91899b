//! One whole record, checked and borrowed.

use std::borrow::Cow;

use super::{CHUNK_WORD_LEN, Codec, Head, LAST_CHUNK, TRAILER_LEN, Trailer};
use crate::checksum::Summer;
use crate::reader::Reader;
use crate::{Content, Error, Seed};

/// A record whose checksums are all right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Record<'a> {
    head: Head<'a>,
    chunks: Chunks<'a>,
    trailer: Trailer,
}

impl<'a> Record<'a> {
    /// Reads the record that fills `bytes`, and checks all its checksums.
    ///
    /// Compare [`Head::guid`] with the one expected: it tells a record of another place from the right one.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Magic`], [`Error::Checksum`], [`Error::Range`], [`Error::Text`];
    /// [`Error::Trailing`] if the record ends before the bytes do.
    pub fn parse(bytes: &'a [u8], seed: Seed) -> Result<Self, Error> {
        let record = Self::parse_prefix(bytes, seed)?;
        let count = (bytes.len() as u64).saturating_sub(record.len());
        if count > 0 {
            return Err(Error::Trailing { what: "the record", at: record.len(), count });
        }
        Ok(record)
    }

    /// Reads the record at the front of `bytes`, whatever follows it; [`len`](Self::len) says where it ends.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), without [`Error::Trailing`].
    pub fn parse_prefix(bytes: &'a [u8], seed: Seed) -> Result<Self, Error> {
        let record = Self::parse_framing(bytes, seed)?;
        record.check_content()?;
        Ok(record)
    }

    /// All of [`parse_prefix`](Self::parse_prefix) but the message's own checksum.
    pub(super) fn parse_framing(bytes: &'a [u8], seed: Seed) -> Result<Self, Error> {
        let head = Head::parse(bytes, seed)?;
        let start = head.len() as u64;
        let mut reader = Reader::new(bytes);
        reader.bytes("record head", start)?;
        let mut sizes = ChunkSizes::new(head.chunk_size(), head.codec());
        loop {
            let at = reader.at();
            let word = reader.u32("chunk length")?;
            reader.bytes("chunk", sizes.next(word, at)?)?;
            if word & LAST_CHUNK != 0 {
                break;
            }
        }
        let end = reader.at();
        let trailer: &[u8; TRAILER_LEN] = reader.array("trailer")?;
        let trailer = Trailer::parse(trailer, seed).map_err(|error| at(error, end))?;
        check_lengths(&trailer, head.codec(), reader.at(), sizes.total, end)?;
        let range = head.len()..usize::try_from(end).unwrap_or(usize::MAX);
        let chunks = Chunks { rest: bytes.get(range).unwrap_or_default() };
        Ok(Self { head, chunks, trailer })
    }

    pub(super) fn check_content(&self) -> Result<(), Error> {
        let mut summer = Summer::new();
        self.chunks.for_each(|chunk| summer.update(chunk));
        let (stored, computed) = (self.trailer.content_crc, summer.content().crc());
        if stored != computed {
            return Err(Error::Checksum {
                what: "message",
                at: self.head.len() as u64,
                stored,
                computed,
            });
        }
        Ok(())
    }

    /// Everything but the message.
    #[must_use]
    pub fn head(&self) -> &Head<'a> {
        &self.head
    }

    /// Bytes of the record in the file.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.trailer.record_len
    }

    /// Never: a record has at least its head and trailer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Bytes of the message (of its skeleton if parts stand apart), decompressed.
    #[must_use]
    pub fn message_len(&self) -> u64 {
        self.trailer.message_len
    }

    /// Lengths and checksum as stored.
    #[must_use]
    pub fn trailer(&self) -> &Trailer {
        &self.trailer
    }

    /// The message as stored, chunk by chunk, not decoded.
    #[must_use]
    pub fn chunks(&self) -> Chunks<'a> {
        self.chunks
    }

    /// The whole message: borrowed if it is a single chunk, else gathered.
    ///
    /// # Errors
    /// [`Error::Codec`] unless it is stored as is and whole; [`Decoder::text`](crate::compress::Decoder::text) gives
    /// others.
    pub fn message(&self) -> Result<Cow<'a, [u8]>, Error> {
        if self.head.codec() != Codec::PLAIN {
            return Err(Error::Codec { codec: self.head.codec().0 });
        }
        Ok(self.stored_text())
    }

    /// The stored bytes of all chunks.
    pub(crate) fn stored_text(&self) -> Cow<'a, [u8]> {
        let mut chunks = self.chunks;
        let first = chunks.next().unwrap_or_default();
        if chunks.rest.is_empty() {
            return Cow::Borrowed(first);
        }
        Cow::Owned(self.chunks.collect::<Vec<_>>().concat())
    }

    /// Length and checksum of the message as stored.
    #[must_use]
    pub fn content(&self) -> Content {
        let mut summer = Summer::new();
        self.chunks.for_each(|chunk| summer.update(chunk));
        summer.content()
    }
}

/// The chunks of a checked record, without their length words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Chunks<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (word, rest) = self.rest.split_first_chunk::<CHUNK_WORD_LEN>()?;
        let len = u32::from_le_bytes(*word) & !LAST_CHUNK;
        let (chunk, rest) = rest.split_at_checked(len as usize)?;
        self.rest = rest;
        Some(chunk)
    }
}

/// Holds the lengths of chunks against the chunk size: only so can a reader compute where a byte of uncompressed text
/// lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkSizes {
    size: u32,
    free: bool, // chunks of a compressed text have any length; a table says which
    pub(super) total: u64,
    first: bool,
}

impl ChunkSizes {
    pub(super) fn new(size: u32, codec: Codec) -> Self {
        let free = size > 0 && !codec.is_uncompressed();
        Self { size, free, total: 0, first: true }
    }

    /// The number of bytes behind this length word.
    pub(super) fn next(&mut self, word: u32, at: u64) -> Result<u64, Error> {
        let (last, len) = (word & LAST_CHUNK != 0, word & !LAST_CHUNK);
        let (min, max) = match (self.size, last, self.first) {
            _ if self.free => (0, LAST_CHUNK - 1),
            (0, true, _) => (0, LAST_CHUNK - 1),
            // A single chunk without the mark of the last: no length is right.
            (0, false, _) => (LAST_CHUNK, LAST_CHUNK),
            (size, false, _) => (size, size),
            (size, true, first) => (u32::from(!first), size),
        };
        if len < min || len > max {
            let (found, min, max) = (u64::from(len), u64::from(min), u64::from(max));
            return Err(Error::Range { field: "chunk length", at, found, min, max });
        }
        self.first = false;
        self.total += u64::from(len);
        Ok(u64::from(len))
    }
}

/// A trailer's lengths against those counted; `at` is where the trailer stands.
pub(super) fn check_lengths(
    trailer: &Trailer,
    codec: Codec,
    record: u64,
    stored: u64,
    at: u64,
) -> Result<(), Error> {
    let expect = |field, at, found, wanted| {
        if found == wanted {
            Ok(())
        } else {
            Err(Error::Range { field, at, found, min: wanted, max: wanted })
        }
    };
    expect("record length", at + 8, trailer.record_len, record)?;
    if codec.is_uncompressed() {
        expect("message length", at, trailer.message_len, stored)
    } else {
        Ok(())
    }
}

/// Moves a trailer's error to where the trailer stands in the record.
pub(super) fn at(error: Error, at: u64) -> Error {
    if let Error::Checksum { what, stored, computed, .. } = error {
        return Error::Checksum { what, at, stored, computed };
    }
    error
}
