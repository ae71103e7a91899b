//! How a record stores its text: as it came or compressed, whole or without the parts that stand apart.

use super::{CHUNK_MAX, PACKED_CHUNK_MAX};
use crate::Error;
use crate::attachment::{CutOut, write_cut_outs};
use crate::reader::put_varint;

/// Kind of a named field: the number of the dictionary, a varint.
pub(super) const DICTIONARY: u8 = 2;
/// Kind of a named field: what stands apart.
pub(super) const APART: u8 = 3;
/// Kind of a named field: zeros, for room that the head doesn't need.
pub(super) const ROOM: u8 = 4;

/// The byte of a record's head that says how its text is stored: a compression, and whether parts stand apart.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Codec(pub u8);

impl Codec {
    /// As is, whole.
    pub const PLAIN: Self = Self(0);
    /// Chunks of zstd frames, whole.
    pub const ZSTD: Self = Self(1);
    /// This bit on top: parts of the message are stored apart, the text is its skeleton.
    ///
    /// A bit of the codec rather than a field alone, so that who doesn't know of it takes no skeleton for a message.
    pub const APART: u8 = 0x80;

    /// Whether the text is a skeleton.
    #[must_use]
    pub fn is_apart(self) -> bool {
        self.0 & Self::APART != 0
    }

    /// Whether the stored bytes are the text itself.
    pub(super) fn is_uncompressed(self) -> bool {
        self.0 & !Self::APART == Self::PLAIN.0
    }

    pub(super) fn compression(
        self,
        dictionary: impl FnOnce() -> u32,
    ) -> Result<Compression, Error> {
        match Self(self.0 & !Self::APART) {
            Self::PLAIN => Ok(Compression::None),
            Self::ZSTD => Ok(Compression::Zstd { dictionary: dictionary() }),
            Self(_) => Err(Error::Codec { codec: self.0 }),
        }
    }
}

/// How a text is compressed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// As zstd frames (RFC 8878).
    Zstd {
        /// The number of the dictionary; 0 is none.
        dictionary: u32,
    },
}

/// What a record says of its text beyond [`RecordHead`](super::RecordHead). The default: uncompressed, whole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stored<'a> {
    /// How the text is compressed.
    pub compression: Compression,
    /// The parts that stand apart, by ascending offset; none if the text is the whole message.
    pub apart: &'a [CutOut],
}

impl Stored<'_> {
    /// The byte for the record's head.
    #[must_use]
    pub fn codec(&self) -> Codec {
        let Codec(byte) = match self.compression {
            Compression::None => Codec::PLAIN,
            Compression::Zstd { .. } => Codec::ZSTD,
        };
        Codec(if self.apart.is_empty() { byte } else { byte | Codec::APART })
    }

    /// The named fields that a record needs for this.
    pub(super) fn fields(&self) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        if let Compression::Zstd { dictionary } = self.compression
            && dictionary != 0
        {
            let mut value = Vec::new();
            put_varint(&mut value, u64::from(dictionary));
            field(DICTIONARY, "number of the dictionary", &value, &mut out)?;
        }
        if !self.apart.is_empty() {
            let mut value = Vec::new();
            write_cut_outs(self.apart, &mut value);
            field(APART, "parts that stand apart", &value, &mut out)?;
        }
        Ok(out)
    }
}

/// What a named field has before its value.
pub(super) const FIELD_LEN: usize = 3;

pub(super) fn field(
    kind: u8,
    name: &'static str,
    value: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let (found, max) = (value.len() as u64, u64::from(u16::MAX));
    let len = u16::try_from(found).map_err(|_| Error::TooLong { field: name, found, max })?;
    let [low, high] = len.to_le_bytes();
    out.extend_from_slice(&[kind, low, high]);
    out.extend_from_slice(value);
    Ok(())
}

/// The greatest chunk size that a record of this codec may have.
pub(super) fn chunk_max(codec: Codec) -> u32 {
    if codec.is_uncompressed() { CHUNK_MAX } else { PACKED_CHUNK_MAX }
}
