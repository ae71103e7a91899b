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
    /// The line ends from there on: looked for once, all in a row.
    ends: memchr::Memchr<'a>,
    initials: Initials,
}

impl<'a> RawFields<'a> {
    /// Reads the header block that `block` begins with.
    #[must_use]
    pub fn new(block: &'a [u8]) -> Self {
        RawFields::beginning(block, Initials::ANY)
    }

    /// The same, of those fields alone whose names may begin so.
    #[must_use]
    pub fn beginning(block: &'a [u8], initials: Initials) -> Self {
        RawFields { block, at: 0, ends: memchr::memchr_iter(b'\n', block), initials }
    }

    /// Where the next field begins; once there are none, where the empty line is or the block ends.
    #[must_use]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Goes behind the line at hand.
    fn pass_line(&mut self) {
        self.at = self.ends.next().map_or(self.block.len(), |lf| lf + 1);
    }

    /// Goes behind the field that begins with a byte that no name wanted has.
    fn pass(&mut self) {
        while let Some(rest @ [first, ..]) = self.block.get(self.at..)
            && !self.initials.has(*first)
            && !matches!(rest, [b'\n', ..] | [b'\r', b'\n', ..])
        {
            self.pass_line();
            while let Some(b' ' | b'\t') = self.block.get(self.at) {
                self.pass_line();
            }
        }
    }
}

/// What names may begin with, in any case: most fields of a header are passed over for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Initials(u32);

impl Initials {
    /// Anything.
    pub const ANY: Initials = Initials(u32::MAX);

    /// What these names begin with.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n [u8]>) -> Initials {
        let bits = |name: &[u8]| name.first().map_or(u32::MAX, |first| 1 << (first & 31));
        Initials(names.into_iter().fold(0, |all, name| all | bits(name)))
    }

    /// The lower five bits of a letter don't tell its case; other bytes may be taken for letters.
    fn has(self, byte: u8) -> bool {
        self.0 >> (byte & 31) & 1 != 0
    }
}

impl<'a> Iterator for RawFields<'a> {
    type Item = RawField<'a>;

    fn next(&mut self) -> Option<RawField<'a>> {
        self.pass();
        let rest = self.block.get(self.at..)?;
        if matches!(rest, [] | [b'\n', ..] | [b'\r', b'\n', ..]) {
            return None;
        }
        let start = self.at;
        self.pass_line();
        let first = self.at - start;
        // RFC 5322 §2.2.3: a line that begins with white space continues the field.
        while let Some(b' ' | b'\t') = self.block.get(self.at) {
            self.pass_line();
        }
        let range = start..self.at;
        let (name, value) = split_line(self.block.get(range.clone())?, first);
        Some(RawField { name, value, range })
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
