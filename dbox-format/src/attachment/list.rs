//! The list of what was cut out of a message, as map and container hold it.

use super::{Hash, LineEnding, Lines};
use crate::Error;
use crate::reader::{Reader, put_varint};

/// The longest line that a list can name; base64 with longer ones, if not all in one line, is not cut out.
pub(super) const LINE_MAX: u32 = u32::MAX >> 1;

/// One part of a message that is stored apart.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CutOut {
    /// Where in the skeleton its base64 belongs; several may belong to one place.
    pub offset: u64,
    /// The hash of its decoded content.
    pub hash: Hash,
    /// Bytes of its decoded content.
    pub len: u64,
    /// How its base64 is laid out.
    pub lines: Lines,
}

impl CutOut {
    /// Bytes of its base64, line ends counted.
    #[must_use]
    pub fn text_len(&self) -> u64 {
        self.lines.text_len(self.len)
    }

    /// How many line ends are in its base64.
    #[must_use]
    pub fn line_ends(&self) -> u64 {
        self.lines.line_ends(self.len)
    }
}

/// Appends a list, whose offsets ascend.
pub(crate) fn write_cut_outs(list: &[CutOut], out: &mut Vec<u8>) {
    let mut last = 0;
    for CutOut { offset, hash, len, lines } in list {
        put_varint(out, offset.wrapping_sub(last));
        put_varint(out, *len);
        let ending = u64::from(lines.ending == LineEnding::Lf);
        put_varint(out, u64::from(lines.len) << 1 | ending);
        out.extend_from_slice(&hash.0);
        last = *offset;
    }
}

/// Reads a list that fills `bytes`.
pub(crate) fn read_cut_outs(bytes: &[u8]) -> Result<Vec<CutOut>, Error> {
    let mut reader = Reader::new(bytes);
    let (mut list, mut last) = (Vec::new(), 0_u64);
    while !reader.is_empty() {
        let at = reader.at();
        let gap = reader.varint("offset of a part")?;
        let max = u64::MAX - last;
        let offset = last.checked_add(gap).ok_or(Error::Range {
            field: "offset of a part",
            at,
            found: gap,
            min: 0,
            max,
        })?;
        let len = reader.varint("length of a part")?;
        let at = reader.at();
        let word = reader.varint32("lines of a part")?;
        if word == 1 {
            // One line has no line ends: one layout has one encoding.
            return Err(Error::Range { field: "lines of a part", at, found: 1, min: 0, max: 0 });
        }
        let ending = if word & 1 == 0 { LineEnding::CrLf } else { LineEnding::Lf };
        let hash = Hash(*reader.array("hash of a part")?);
        list.push(CutOut { offset, hash, len, lines: Lines { len: word >> 1, ending } });
        last = offset;
    }
    Ok(list)
}
