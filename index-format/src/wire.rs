//! Bytes in and out: a reader that knows where it is, and numbers of variable length.
//!
//! All numbers are low byte first. A *varint* has seven bits a byte, low ones first, the top bit saying that more follow;
//! only the shortest form is valid, so that equal values are equal bytes.

use crate::Error;
use crate::uidset::RANGES_MAX;

/// Reads from the front of a slice and remembers how far it got.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: u64,
    /// How many ranges of UIDs may still come; see [`crate::uidset::RANGES_MAX`].
    ranges: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the front; `at` is where `bytes` stand in their file.
    pub(crate) fn new(bytes: &'a [u8], at: u64) -> Reader<'a> {
        Reader { rest: bytes, at, ranges: RANGES_MAX }
    }

    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn bytes(&mut self, field: &'static str, len: u64) -> Result<&'a [u8], Error> {
        let split = usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len));
        let Some((head, rest)) = split else {
            let have = self.rest.len() as u64;
            return Err(Error::Truncated { field, at: self.at, need: len, have });
        };
        self.rest = rest;
        self.at += len;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Error> {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            let have = self.rest.len() as u64;
            return Err(Error::Truncated { field, at: self.at, need: N as u64, have });
        };
        self.rest = rest;
        self.at += N as u64;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, Error> {
        Ok(u8::from_le_bytes(self.array(field)?))
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(self.array(field)?))
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.array(field)?))
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.array(field)?))
    }

    #[inline]
    pub(crate) fn varint(&mut self, field: &'static str) -> Result<u64, Error> {
        if let Some((&byte, rest)) = self.rest.split_first()
            && byte < 0x80
        {
            self.rest = rest;
            self.at += 1;
            return Ok(u64::from(byte));
        }
        self.varint_long(field)
    }

    fn varint_long(&mut self, field: &'static str) -> Result<u64, Error> {
        let at = self.at;
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(field)?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits || (byte == 0 && shift > 0) {
                return Err(Error::Number { field, at });
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::Number { field, at })
    }

    pub(crate) fn varint_u32(&mut self, field: &'static str) -> Result<u32, Error> {
        let at = self.at;
        u32::try_from(self.varint(field)?).map_err(|_| Error::Number { field, at })
    }

    pub(crate) fn varint_i64(&mut self, field: &'static str) -> Result<i64, Error> {
        let value = self.varint(field)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A varint length, then so many bytes.
    #[inline]
    pub(crate) fn counted(&mut self, field: &'static str) -> Result<&'a [u8], Error> {
        let len = self.varint(field)?;
        self.bytes(field, len)
    }

    /// [`Self::counted`], as text.
    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a str, Error> {
        let at = self.at;
        std::str::from_utf8(self.counted(field)?).map_err(|_| Error::Text { field, at })
    }

    /// Notes that `count` ranges of UIDs were read; refuses more than one transaction may have.
    pub(crate) fn ranges(&mut self, count: usize) -> Result<(), Error> {
        let so_far = RANGES_MAX - self.ranges;
        self.ranges = self
            .ranges
            .checked_sub(count)
            .ok_or_else(|| too_many_ranges(so_far as u64 + count as u64))?;
        Ok(())
    }

    /// A count of things that take at least `least` bytes each: never more than there is room for.
    pub(crate) fn count(&mut self, field: &'static str, least: u64) -> Result<usize, Error> {
        let at = self.at;
        let found = self.varint(field)?;
        if found.saturating_mul(least) > self.rest.len() as u64 {
            return Err(Error::Value {
                field,
                at,
                found,
                allowed: "what the bytes that follow have room for",
            });
        }
        usize::try_from(found).map_err(|_| Error::Number { field, at })
    }

    /// Nothing may be left.
    pub(crate) fn end(&self, what: &'static str) -> Result<(), Error> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(Error::Trailing { what, at: self.at, count: count as u64 }),
        }
    }
}

/// Beyond [`RANGES_MAX`].
pub(crate) fn too_many_ranges(count: u64) -> Error {
    let what = "ranges of UIDs in a transaction";
    Error::TooMany { what, count, max: RANGES_MAX as u64 }
}

/// The length of a varint, in bytes.
pub(crate) fn varint_len(value: u64) -> u64 {
    u64::from((64 - (value | 1).leading_zeros()).div_ceil(7))
}

/// Numbers and counted bytes at the end of a vector.
pub(crate) trait Put {
    fn varint(&mut self, value: u64);
    fn varint_i64(&mut self, value: i64);
    fn counted(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    /// Small numbers of either sign are short: 0, -1, 1, -2 …
    fn varint_i64(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)) as u64);
    }

    fn counted(&mut self, bytes: &[u8]) {
        self.varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}
