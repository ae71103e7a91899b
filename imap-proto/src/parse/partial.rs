//! PARTIAL (RFC 5267 §4.4, RFC 9394 §4): a part of what was found, by its place among it.

use super::{Cursor, Error};

/// `partial-range`: two places among the results, the first of which is 1; in either order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Partial {
    bounds: [u32; 2],
    /// Counted from the last result backwards.
    from_end: bool,
}

impl Partial {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        let from_end = cursor.skip(b"-");
        let first = place(cursor)?;
        cursor.expect(b':', "a range")?;
        if from_end {
            cursor.expect(b'-', "a range on one side")?;
        }
        Ok(Self { bounds: [first, place(cursor)?], from_end })
    }

    /// The results of `count` that are meant, as indices.
    pub(crate) fn of(self, count: usize) -> std::ops::Range<usize> {
        let [first, last] = self.bounds;
        let (low, high) = (first.min(last) as usize - 1, first.max(last) as usize);
        let (low, high) = (low.min(count), high.min(count));
        if self.from_end { count - high..count - low } else { low..high }
    }

    /// As it was written.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let sign = if self.from_end { "-" } else { "" };
        let [first, last] = self.bounds;
        out.extend_from_slice(format!("{sign}{first}:{sign}{last}").as_bytes());
    }
}

/// `nz-number`
fn place(cursor: &mut Cursor<'_>) -> Result<u32, Error> {
    match cursor.number()? {
        0 => Err(Error::Expected("a place above 0")),
        place => Ok(place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9394_3_1_ranges_from_either_end() {
        for (text, count, wanted) in [
            ("1:500", 1000, 0..500),
            ("500:1", 1000, 0..500),
            ("501:1000", 700, 500..700),
            ("701:1000", 700, 700..700),
            ("-1:-100", 1000, 900..1000),
            ("-100:-1", 1000, 900..1000),
            ("-1:-100", 30, 0..30),
            ("-31:-100", 30, 0..0),
            ("1:4294967295", 3, 0..3),
            ("2:2", 3, 1..2),
            ("1:1", 0, 0..0),
        ] {
            let mut cursor = Cursor::new(text.as_bytes());
            let partial = Partial::parse(&mut cursor).unwrap();
            cursor.end().unwrap();
            assert_eq!(partial.of(count), wanted, "{text}");
            let mut written = Vec::new();
            partial.write(&mut written);
            assert_eq!(written, text.as_bytes());
        }
        for wrong in ["", "1", "0:1", "1:0", "1:*", "-1:2", "1:-2", "--1:-2", "1:4294967296", "1,2"]
        {
            let mut cursor = Cursor::new(wrong.as_bytes());
            let partial = Partial::parse(&mut cursor);
            assert!(partial.and_then(|_| cursor.end()).is_err(), "{wrong}");
        }
    }
}
