//! CRC-32C, alone or begun with a seed that no protocol shows.

use crc_fast::{CrcAlgorithm, Digest};

/// A CRC-32C whose first eight bytes were a secret: whoever does not know it cannot make bytes that check out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeded {
    state: u64,
}

impl Seeded {
    /// Takes the seed in, as eight bytes, low first.
    pub(crate) fn new(seed: u64) -> Seeded {
        let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
        digest.update(&seed.to_le_bytes());
        Seeded { state: digest.get_state() }
    }

    /// The checksum of the seed and then `parts`, one after the other.
    pub(crate) fn of(self, parts: &[&[u8]]) -> u32 {
        let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, self.state);
        for part in parts {
            digest.update(part);
        }
        digest.finalize() as u32
    }
}

/// The plain CRC-32C of `bytes`, for files that no frame of ours could be smuggled into.
pub(crate) fn crc(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// [`crc`] of `parts`, one after the other.
pub(crate) fn crc_of(parts: &[&[u8]]) -> u32 {
    let mut digest = Digest::new(CrcAlgorithm::Crc32Iscsi);
    for part in parts {
        digest.update(part);
    }
    digest.finalize() as u32
}
