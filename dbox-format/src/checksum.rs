//! CRC-32C, whole, in pieces and combined; and the seed that keeps mail from forging records.

use crc_fast::{CrcAlgorithm, Digest, checksum};

const CRC_32C: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    narrow(checksum(CRC_32C, bytes))
}

/// The secret of one container: drawn at random when the container is made, shown by no protocol.
///
/// Head and trailer checksums are stored XORed with it. Whoever mails us the bytes of a record does not know it, so
/// a search behind damage never takes a message's text for a record.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Seed(pub u32);

impl Seed {
    pub(crate) fn seal(self, bytes: &[u8]) -> u32 {
        crc32c(bytes) ^ self.0
    }
}

/// Length and CRC-32C of some bytes: all that a trailer needs to know of a message.
///
/// A body that goes to many accounts is summed once; each recipient's own header lines are put before it with
/// [`then`](Self::then), which costs the same whatever the length.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Content {
    len: u64,
    crc: u32,
}

impl Content {
    /// Length and checksum of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len() as u64, crc: crc32c(bytes) }
    }

    /// Length and checksum of these bytes with `next` behind them.
    #[must_use]
    pub fn then(self, next: Self) -> Self {
        if self.is_empty() {
            return next;
        }
        let crc = multiply(self.crc, power(next.len)) ^ next.crc;
        Self { len: self.len.saturating_add(next.len), crc }
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The CRC-32C of the bytes.
    #[must_use]
    pub fn crc(&self) -> u32 {
        self.crc
    }
}

/// A [`Content`] in the making.
#[derive(Clone, Debug)]
pub(crate) struct Summer {
    digest: Digest,
    len: u64,
}

impl Summer {
    pub(crate) fn new() -> Self {
        Self { digest: Digest::new(CRC_32C), len: 0 }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.len += bytes.len() as u64;
    }

    pub(crate) fn content(&self) -> Content {
        Content { len: self.len, crc: narrow(self.digest.finalize()) }
    }
}

/// x to the power of 8 × `len`: what a checksum is multiplied with when `len` bytes follow. At most 61 steps.
fn power(len: u64) -> u32 {
    let squares = SQUARES.iter().skip(3).enumerate();
    squares
        .filter(|(bit, _)| len >> bit & 1 != 0)
        .fold(ONE, |power, (_, &square)| multiply(square, power))
}

/// The product of two polynomials modulo that of CRC-32C, both with the coefficient of x⁰ in the highest bit.
const fn multiply(left: u32, right: u32) -> u32 {
    let (mut product, mut right, mut bit) = (0, right, 0);
    while bit < u32::BITS {
        if left << bit & ONE != 0 {
            product ^= right;
        }
        right = if right & 1 != 0 { right >> 1 ^ POLYNOMIAL } else { right >> 1 };
        bit += 1;
    }
    product
}

const POLYNOMIAL: u32 = 0x82f6_3b78;
/// x⁰
const ONE: u32 = 1 << 31;
/// x to the powers of 2⁰, 2¹, 2², …
#[expect(clippy::indexing_slicing, reason = "evaluated when it is compiled")]
const SQUARES: [u32; 64] = {
    let mut squares = [ONE >> 1; 64];
    let mut index = 1;
    while index < squares.len() {
        squares[index] = multiply(squares[index - 1], squares[index - 1]);
        index += 1;
    }
    squares
};

fn narrow(crc: u64) -> u32 {
    u32::try_from(crc).expect("a 32-bit CRC fits 32 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_castagnoli_crc_of_the_check_string() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn pieces_and_combinations_equal_the_whole() {
        let text: Vec<u8> = (0..100_000_u32).map(|i| (i * 7 % 251) as u8).collect();
        for cut in [0, 1, 15, 64, 4096, 99_999, 100_000] {
            let (a, b) = text.split_at(cut);
            assert_eq!(Content::of(a).then(Content::of(b)), Content::of(&text), "cut at {cut}");
            let mut summer = Summer::new();
            summer.update(a);
            summer.update(b);
            assert_eq!(summer.content(), Content::of(&text));
        }
    }
}
