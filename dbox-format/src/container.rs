//! A container: a file header, then records, one message each, appended and never changed.
//!
//! The *text* of a record is what it holds once decompressed: the message or, if parts of it are stored apart, its
//! skeleton.
//!
//! ```text
//! file   = header (64) record*
//! record = fixed head (64) names (0…65535) chunk+ trailer (24)
//! chunk  = length word (4; its top bit marks the last chunk) bytes
//! ```
//!
//! How to use which part:
//! - a small message: [`RecordHead::frame`] gives the bytes before and behind the message, for one vectored write;
//! - a small one that is compressed: `Encoder::frame` and [`RecordHead::frame_stored`];
//! - a large message: [`ChunkWriter`] takes pieces of any size and holds one chunk at most; head and trailer come last;
//! - reading a whole record: [`Record::parse`] and [`Decoder::text`](crate::compress::Decoder::text); a part of a large
//!   one: [`parse_head`], then [`Layout::ranges`] or, if it is compressed, [`PackedLayout`];
//! - reading a large one as it streams by: [`Unpacker`]; only checking it: [`Verifier`];
//! - a file of which nothing is known: [`walk`].
//!
//! Invariants:
//! - A byte of a container is only ever written with one value: writing a record again, from the same journal
//!   record, writes the same bytes at the same place.
//! - Head, names, message and trailer have a checksum each; [`Record::parse`] gives no record unless all match.
//! - The message's own checksum depends on nothing but the message, so one body for many accounts is summed once.

mod codec;
mod file_header;
mod head;
mod layout;
mod packed;
mod record;
mod reseed;
mod stream;
mod trailer;
mod unpack;
mod verify;
mod walk;
mod write;

pub use codec::{Codec, Compression, Stored};
pub use file_header::FileHeader;
pub use head::{Head, HeadPrefix, RecordHead, SavedFlags, parse_head};
pub use layout::{Layout, Ranges};
pub use packed::{ChunkTable, PackedLayout, Part};
pub use record::{Chunks, Record};
pub use reseed::reseed;
pub use stream::{ChunkWriter, WrittenChunks};
pub use trailer::Trailer;
pub use unpack::Unpacker;
pub use verify::{Verified, Verifier};
pub use walk::{Found, Walk, walk, walk_with_seed};
pub use write::Frame;

/// Starts a container: not text, and damaged by whatever converts line ends.
pub const FILE_MAGIC: [u8; 8] = *b"\x89Loft\r\n\x1a";
/// Starts a record; the bytes are not valid UTF-8 and no message of 7-bit text holds them.
pub const RECORD_MAGIC: [u8; 4] = [0xf5, 0x4c, 0x6d, 0xc0];
/// The version of the format written and the newest one read.
pub const VERSION: u16 = 1;
/// Bytes of the file header; the first record stands here.
pub const FILE_HEADER_LEN: u64 = 64;
/// Bytes of a record's fixed head; the names follow.
pub const FIXED_HEAD_LEN: usize = 64;
/// Bytes of a length word before each chunk.
pub const CHUNK_WORD_LEN: usize = 4;
/// Bytes of a record's trailer.
pub const TRAILER_LEN: usize = 24;
/// The chunk size to use for messages that stream: what a driver moves in one step.
pub const STREAM_CHUNK: u32 = 64 * 1024;
/// The least chunk size of a record with several chunks: bounds how many length words a reader has to look at.
pub const CHUNK_MIN: u32 = 4096;
/// The greatest chunk size of a record with several chunks: bounds what a writer holds.
pub const CHUNK_MAX: u32 = 16 * 1024 * 1024;
/// The chunk size to use for compressed texts that stream: enough for zstd to learn from, little enough to read a part.
pub const PACKED_CHUNK: u32 = 128 * 1024;
/// The greatest chunk size of a compressed text, and its greatest length in a single chunk: bounds what a reader holds.
pub const PACKED_CHUNK_MAX: u32 = 1024 * 1024;
/// The most chunks of a compressed text: bounds the table that a writer holds. 16 GiB in chunks of the usual size.
pub const PACKED_CHUNKS_MAX: u64 = 1 << 17;
/// The longest message that fits into a single chunk.
pub const SINGLE_CHUNK_MAX: u64 = (LAST_CHUNK - 1) as u64;

/// Top bit of a length word.
pub const LAST_CHUNK: u32 = 1 << 31;
