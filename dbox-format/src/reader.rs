//! Reads fields off the front of a slice; every error names the field and where it stands.

use crate::Error;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: u64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn left(&self) -> u64 {
        self.rest.len() as u64
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<&'a [u8; N], Error> {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated(field, N as u64));
        };
        (self.rest, self.at) = (rest, self.at + N as u64);
        Ok(head)
    }

    pub(crate) fn bytes(&mut self, field: &'static str, len: u64) -> Result<&'a [u8], Error> {
        let split = usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len));
        let Some((head, rest)) = split else {
            return Err(self.truncated(field, len));
        };
        (self.rest, self.at) = (rest, self.at + len);
        Ok(head)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, Error> {
        self.array(field).map(|&[byte]| byte)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, Error> {
        self.array(field).map(|bytes| u16::from_le_bytes(*bytes))
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, Error> {
        self.array(field).map(|bytes| u32::from_le_bytes(*bytes))
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, Error> {
        self.array(field).map(|bytes| u64::from_le_bytes(*bytes))
    }

    pub(crate) fn i64(&mut self, field: &'static str) -> Result<i64, Error> {
        self.array(field).map(|bytes| i64::from_le_bytes(*bytes))
    }

    /// LEB128, at most 64 bits, in its shortest form: one number has one encoding.
    pub(crate) fn varint(&mut self, field: &'static str) -> Result<u64, Error> {
        let at = self.at;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(field)?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && shift > 0 {
                    break;
                }
                return Ok(value);
            }
        }
        Err(Error::Varint { field, at })
    }

    pub(crate) fn varint32(&mut self, field: &'static str) -> Result<u32, Error> {
        let at = self.at;
        let value = self.varint(field)?;
        u32::try_from(value).map_err(|_| Error::Varint { field, at })
    }

    fn truncated(&self, field: &'static str, need: u64) -> Error {
        Error::Truncated { field, at: self.at, need, have: self.left() }
    }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Maps small numbers of either sign to small numbers: 0, -1, 1, -2 … become 0, 1, 2, 3 ….
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_have_one_encoding() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.varint("v"), Ok(value));
            assert!(reader.is_empty());
            assert_eq!(unzigzag(zigzag(value as i64)), value as i64);
        }
        let long = [0x80, 0x00];
        assert_eq!(Reader::new(&long).varint("v"), Err(Error::Varint { field: "v", at: 0 }));
        let wide = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(Reader::new(&wide).varint("v"), Err(Error::Varint { field: "v", at: 0 }));
    }
}
