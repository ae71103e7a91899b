//! What can be wrong with bytes that claim to be ours, or with a value that does not fit into the format.

/// Why bytes are not what they claim to be. `at` counts from the start of the slice that was given.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end inside a field.
    #[error("{field} at byte {at} needs {need} bytes, {have} are left")]
    Truncated {
        /// The field.
        field: &'static str,
        /// Where it starts.
        at: u64,
        /// How many bytes it takes.
        need: u64,
        /// How many there are.
        have: u64,
    },
    /// Other bytes stand where a magic belongs.
    #[error("no {what} at byte {at}: the magic there is {found:02x?}")]
    Magic {
        /// What should start here.
        what: &'static str,
        /// Where.
        at: u64,
        /// The first bytes found.
        found: [u8; 4],
    },
    /// A newer Loft wrote this.
    #[error("this {what} has version {found}, this Loft reads up to {supported}")]
    Version {
        /// Which file.
        what: &'static str,
        /// The version found.
        found: u16,
        /// The newest version this code reads.
        supported: u16,
    },
    /// A checksum does not match its bytes.
    #[error(
        "{what} at byte {at} is damaged: its checksum is {stored:08x}, its bytes have {computed:08x}"
    )]
    Checksum {
        /// What is damaged.
        what: &'static str,
        /// Where it starts.
        at: u64,
        /// The checksum in the file.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// A number is outside its range, or contradicts another one.
    #[error("{field} at byte {at} is {found}, allowed are {min} to {max}")]
    Range {
        /// The field.
        field: &'static str,
        /// Where it starts.
        at: u64,
        /// Its value.
        found: u64,
        /// The least value allowed here.
        min: u64,
        /// The greatest value allowed here.
        max: u64,
    },
    /// A varint is longer than it need be, or does not fit its type.
    #[error("{field} at byte {at} is not a minimal varint of its type")]
    Varint {
        /// The field.
        field: &'static str,
        /// Where it starts.
        at: u64,
    },
    /// Text that is not UTF-8.
    #[error("{field} at byte {at} is not UTF-8")]
    Text {
        /// The field.
        field: &'static str,
        /// Where it starts.
        at: u64,
    },
    /// A codec that this version, or this function, does not decode.
    #[error("the message is stored with codec {codec:#04x}, which is not read here")]
    Codec {
        /// The codec byte.
        codec: u8,
    },
    /// Another dictionary is needed.
    #[error("the message was compressed with dictionary {wanted}, given was {given} (0: none)")]
    Dictionary {
        /// The number that the record names.
        wanted: u32,
        /// The number of the decoder's.
        given: u32,
    },
    /// Compressed bytes that don't decode: damaged, or compressed with another dictionary of the same number.
    #[error("{what} at byte {at} cannot be decompressed")]
    Decode {
        /// What doesn't decode.
        what: &'static str,
        /// Where it starts.
        at: u64,
    },
    /// The compressor refused its level or dictionary, or found no memory.
    #[error("the compressor refused its level or dictionary, or found no memory")]
    Encode,
    /// A kind of record or section this version does not have.
    #[error("{what} at byte {at} has the unknown kind {kind}")]
    Kind {
        /// What has the kind.
        what: &'static str,
        /// Where it starts.
        at: u64,
        /// The kind found.
        kind: u8,
    },
    /// Bytes after the end.
    #[error("{count} bytes follow the end of {what} at byte {at}")]
    Trailing {
        /// What has ended.
        what: &'static str,
        /// Where it ended.
        at: u64,
        /// How many bytes follow.
        count: u64,
    },
    /// A value to be written does not fit its field.
    #[error("{field} is {found} long, the format has room for {max}")]
    TooLong {
        /// The field.
        field: &'static str,
        /// Its length.
        found: u64,
        /// The greatest length.
        max: u64,
    },
    /// A map that contradicts itself although its checksums are right.
    #[error("the map contradicts itself: {0}")]
    Map(#[from] crate::map::ApplyError),
}

impl Error {
    /// Where the bytes are wrong, counted from the start of the slice that was given; `None` where no place can be named.
    #[must_use]
    pub fn at(&self) -> Option<u64> {
        match *self {
            Self::Truncated { at, .. }
            | Self::Magic { at, .. }
            | Self::Checksum { at, .. }
            | Self::Range { at, .. }
            | Self::Varint { at, .. }
            | Self::Text { at, .. }
            | Self::Decode { at, .. }
            | Self::Kind { at, .. }
            | Self::Trailing { at, .. } => Some(at),
            Self::Version { .. }
            | Self::Codec { .. }
            | Self::Dictionary { .. }
            | Self::Encode
            | Self::TooLong { .. }
            | Self::Map(_) => None,
        }
    }
}
