//! Compressing.

#[cfg(feature = "zstd")]
use zstd::bulk::Compressor;
#[cfg(feature = "zstd")]
use zstd::zstd_safe::compress_bound;

use crate::container::Compression;
use crate::{Content, Error};
#[cfg(feature = "zstd")]
use crate::{Dictionary, container::PACKED_CHUNK_MAX};

/// Makes zstd frames; one for many records.
///
/// Holds 0.5 MiB at level 1, 0.9 at 3, 1.1 at 9 ([`held`](Self::held)); with a dictionary of 64 KiB 0.6, 1.3 and 1.8.
#[cfg(feature = "zstd")]
pub struct Encoder {
    dictionary: u32,
    context: Compressor<'static>,
}

/// Without zstd there is none.
#[cfg(not(feature = "zstd"))]
#[derive(Debug)]
pub enum Encoder {}

#[cfg(not(feature = "zstd"))]
impl Encoder {
    pub(crate) fn compression(&self) -> Compression {
        match *self {}
    }

    pub(crate) fn frame(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<Frames, Error> {
        match *self {}
    }
}

/// Frames that were made: what a record needs to know of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Frames {
    /// Bytes of the text.
    pub text_len: u64,
    /// Length and checksum of the frames.
    pub stored: Content,
}

impl Frames {
    /// These frames with `next` behind them: a recipient's own header lines, then the body that many share.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        Self {
            text_len: self.text_len.saturating_add(next.text_len),
            stored: self.stored.then(next.stored),
        }
    }

    /// Whether these are better than the text itself; see [`pays`].
    #[must_use]
    pub fn pays(&self) -> bool {
        pays(self.text_len, self.stored.len())
    }
}

/// Whether compressing is worth it: a sixteenth of the text is saved at least. Else it is stored as it came.
#[must_use]
pub fn pays(text_len: u64, stored_len: u64) -> bool {
    stored_len <= text_len - text_len / 16 && stored_len < text_len
}

#[cfg(feature = "zstd")]
impl Encoder {
    /// An encoder without a dictionary. Levels are zstd's: 1 to 22; 3 is usual.
    ///
    /// # Errors
    /// [`Error::Encode`] for a level that zstd does not have.
    pub fn new(level: i32) -> Result<Self, Error> {
        Self::make(0, level, &[])
    }

    /// An encoder with this dictionary. What it does to it (about a millisecond) is done once.
    ///
    /// # Errors
    /// [`Error::Encode`] if zstd cannot load the dictionary or does not have the level.
    pub fn with_dictionary(level: i32, dictionary: &Dictionary) -> Result<Self, Error> {
        Self::make(dictionary.number, level, &dictionary.content)
    }

    fn make(dictionary: u32, level: i32, content: &[u8]) -> Result<Self, Error> {
        let set_up = || {
            let mut context = Compressor::with_dictionary(level, content)?;
            context.include_checksum(true)?;
            context.include_contentsize(true)?;
            context.include_dictid(false)?;
            std::io::Result::Ok(context)
        };
        let context = set_up().map_err(|_| Error::Encode)?;
        Ok(Self { dictionary, context })
    }

    /// What a record says of the frames made here.
    #[must_use]
    pub fn compression(&self) -> Compression {
        Compression::Zstd { dictionary: self.dictionary }
    }

    /// Appends a frame of `text`.
    ///
    /// # Errors
    /// [`Error::TooLong`] for a text above [`PACKED_CHUNK_MAX`]; [`Error::Encode`] if there is no memory. Nothing is
    /// appended then.
    pub fn frame(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<Frames, Error> {
        let (text_len, max) = (text.len() as u64, u64::from(PACKED_CHUNK_MAX));
        if text_len > max {
            return Err(Error::TooLong { field: "chunk", found: text_len, max });
        }
        let start = out.len();
        out.resize(start + compress_bound(text.len()), 0);
        let place = out.get_mut(start..).unwrap_or_default();
        let done = self.context.compress_to_buffer(text, place);
        out.truncate(start + done.as_ref().copied().unwrap_or(0));
        done.map_err(|_| Error::Encode)?;
        Ok(Frames { text_len, stored: Content::of(out.get(start..).unwrap_or_default()) })
    }

    /// Bytes of memory that it holds now.
    #[must_use]
    pub fn held(&mut self) -> usize {
        self.context.context_mut().sizeof()
    }
}

#[cfg(feature = "zstd")]
impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("dictionary", &self.dictionary).finish_non_exhaustive()
    }
}
