//! The fields of a raw header block (RFC 5322 §2.2), found line by line without parsing anything else.

use std::ops::Range;

/// One field of a raw header block.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RawField<'a> {
    /// Its name without the white space in front of the colon; empty when the line has no colon.
    pub name: &'a [u8],
    /// Its value as it stands in the message: folded, with its line end.
    pub value: &'a [u8],
    /// The whole field in the block, continuation lines and line ends included.
    pub range: Range<usize>,
}

/// The fields of a header block in order; ends at the empty line or at the end of the block.
#[derive(Clone, Debug)]
pub struct RawFields<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> RawFields<'a> {
    /// Reads the header block that `block` begins with.
    #[must_use]
    pub fn new(block: &'a [u8]) -> Self {
        RawFields { block, at: 0 }
    }
}

impl<'a> Iterator for RawFields<'a> {
    type Item = RawField<'a>;

    fn next(&mut self) -> Option<RawField<'a>> {
        let rest = self.block.get(self.at..)?;
        if matches!(rest, [] | [b'\n', ..] | [b'\r', b'\n', ..]) {
            return None;
        }
        let mut len = 0;
        let mut first = 0;
        while let Some(line) = rest.get(len..) {
            let line_len = memchr::memchr(b'\n', line).map_or(line.len(), |lf| lf + 1);
            len += line_len;
            if first == 0 {
                first = len;
            }
            // RFC 5322 §2.2.3: a line that begins with white space continues the field.
            if line_len == 0 || !matches!(rest.get(len), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (field, _) = rest.split_at_checked(len)?;
        let (name, value) = split_line(field, first);
        let start = self.at;
        self.at += len;
        Some(RawField { name, value, range: start..self.at })
    }
}

/// Name and value of a field whose first line has `first` bytes.
fn split_line(field: &[u8], first: usize) -> (&[u8], &[u8]) {
    let colon = field.get(..first).and_then(|line| memchr::memchr(b':', line));
    let Some((name, value)) = colon.and_then(|colon| field.split_at_checked(colon)) else {
        return (&[], field);
    };
    // RFC 5322 §4.5: obsolete fields may have white space in front of the colon.
    (name.trim_ascii_end(), value.get(1..).unwrap_or_default())
}

/// Appends a value without its line ends and outer white space (RFC 5322 §2.2.3), at most `most` bytes. A CR alone, which
/// may stand nowhere (§2.2), is a space, or nothing in front of one.
pub fn unfold(value: &[u8], most: usize, out: &mut Vec<u8>) {
    let mut rest = value.trim_ascii();
    let end = out.len().saturating_add(most);
    while out.len() < end && !rest.is_empty() {
        let plain = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let (text, behind) = rest.split_at(plain);
        out.extend_from_slice(text.get(..end - out.len()).unwrap_or(text));
        let alone = matches!(behind, [b'\r', next, ..] if !b"\n \t".contains(next));
        if alone && out.len() < end {
            out.push(b' ');
        }
        rest = behind.get(1..).unwrap_or_default();
    }
}
