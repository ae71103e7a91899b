//! Texts to zstd frames and back, one chunk at a time.
//!
//! A chunk of compressed text is one or more frames (RFC 8878 §3.1.1), each with its content size and its checksum, and
//! without the dictionary's id: the record names the dictionary. Several frames stand for what was compressed apart,
//! such as one body for many recipients, each with header lines of its own.
//!
//! Without the feature `zstd`, [`Decoder`] decodes nothing compressed, and there is no [`Encoder`].

use std::borrow::Cow;

use crate::container::{Compression, Part, Record};
use crate::{Dictionary, Error};

pub use encoder::{Encoder, Frames, pays};

mod encoder;

/// Gives the text of compressed chunks; one for many records, as long as all name the same dictionary.
///
/// Holds about 160 KiB and a copy of the dictionary.
#[derive(Default)]
pub struct Decoder {
    dictionary: u32,
    #[cfg(feature = "zstd")]
    context: zstd::bulk::Decompressor<'static>,
}

impl Decoder {
    /// Decodes what was compressed without a dictionary.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Decodes what was compressed with this dictionary, or without any.
    ///
    /// # Errors
    /// [`Error::Decode`] if zstd can't load it, which a dictionary whose checksum is right doesn't give.
    pub fn with_dictionary(dictionary: &Dictionary) -> Result<Self, Error> {
        #[cfg(feature = "zstd")]
        let context = zstd::bulk::Decompressor::with_dictionary(&dictionary.content)
            .map_err(|_| Error::Decode { what: "dictionary", at: 0 })?;
        Ok(Self {
            dictionary: dictionary.number,
            #[cfg(feature = "zstd")]
            context,
        })
    }

    /// The number of its dictionary; 0 if it has none.
    #[must_use]
    pub fn dictionary(&self) -> u32 {
        self.dictionary
    }

    /// The text of a whole record: borrowed if it is a single chunk of uncompressed text. A message, or, if the head
    /// says that parts stand apart, its skeleton.
    ///
    /// # Errors
    /// [`Error::Dictionary`] if the record needs another dictionary; [`Error::Codec`] for a codec of a later version;
    /// [`Error::Decode`], [`Error::Range`], [`Error::Checksum`] if chunks and lengths don't agree.
    pub fn text<'a>(&mut self, record: &Record<'a>) -> Result<Cow<'a, [u8]>, Error> {
        let head = record.head();
        if self.allow(head.compression()?)? == Compression::None {
            return Ok(record.stored_text());
        }
        let layout = head.packed_layout(record.message_len(), record.len())?;
        let mut chunks: Vec<&[u8]> = record.chunks().collect();
        let table = if layout.table().is_some() { chunks.pop() } else { None };
        let places = layout.chunks(table.unwrap_or_default())?;
        let mut out = Vec::new();
        for (part, chunk) in places.parts(0..u64::MAX).zip(chunks) {
            if part.stored.end - part.stored.start != chunk.len() as u64 {
                return Err(Error::Range {
                    field: "chunk length",
                    at: part.stored.start,
                    found: chunk.len() as u64,
                    min: part.stored.end - part.stored.start,
                    max: part.stored.end - part.stored.start,
                });
            }
            self.part(&part, chunk, &mut out)?;
        }
        Ok(Cow::Owned(out))
    }

    /// Appends what was asked for of a chunk, given its stored bytes.
    ///
    /// # Errors
    /// [`Error::Decode`] if the chunk is damaged, not that of the place, or needs another dictionary (each frame has a
    /// checksum of its text). Nothing is appended then.
    pub fn part(&mut self, part: &Part, stored: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let start = out.len();
        let len = self.chunk(stored, part.text_len, part.stored.start, out)?;
        if len != part.text_len {
            out.truncate(start);
            return Err(Error::Decode { what: "chunk of the message", at: part.stored.start });
        }
        out.truncate(start + part.wanted.end);
        out.drain(start..start + part.wanted.start);
        Ok(())
    }

    /// What a record says of its compression, if this decoder can do it.
    pub(crate) fn allow(&self, compression: Compression) -> Result<Compression, Error> {
        match compression {
            Compression::Zstd { dictionary }
                if dictionary != 0 && dictionary != self.dictionary =>
            {
                Err(Error::Dictionary { wanted: dictionary, given: self.dictionary })
            }
            Compression::None | Compression::Zstd { .. } => Ok(compression),
        }
    }

    /// Appends the text of a chunk of at most `max` bytes; gives its length.
    #[cfg(feature = "zstd")]
    pub(crate) fn chunk(
        &mut self,
        stored: &[u8],
        max: usize,
        at: u64,
        out: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        let failed = Error::Decode { what: "chunk of the message", at };
        // The frames' own sizes; a bound of zstd's where a frame doesn't say, as ours all do.
        let len = zstd::bulk::Decompressor::upper_bound(stored).filter(|len| *len <= max);
        let Some(len) = len else { return Err(failed) };
        let start = out.len();
        out.resize(start + len, 0);
        let place = out.get_mut(start..).unwrap_or_default();
        match self.context.decompress_to_buffer(stored, place) {
            Ok(done) if done == len => Ok(len),
            Ok(_) | Err(_) => {
                out.truncate(start);
                Err(failed)
            }
        }
    }

    /// Without zstd nothing is decoded.
    #[cfg(not(feature = "zstd"))]
    pub(crate) fn chunk(
        &mut self,
        _: &[u8],
        _: usize,
        _: u64,
        _: &mut Vec<u8>,
    ) -> Result<usize, Error> {
        Err(Error::Codec { codec: crate::container::Codec::ZSTD.0 })
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("dictionary", &self.dictionary).finish_non_exhaustive()
    }
}
