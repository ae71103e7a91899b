//! How base64 was laid out in lines, and laying it out so again.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What ends the lines of a part.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum LineEnding {
    /// CR LF, as mail has it.
    #[default]
    CrLf,
    /// LF alone, as mail that came through files has it.
    Lf,
}

impl LineEnding {
    pub(super) fn bytes(self) -> &'static [u8] {
        match self {
            Self::CrLf => b"\r\n",
            Self::Lf => b"\n",
        }
    }
}

/// The layout of base64 in lines: all of them of one length but the last. No line end follows the last.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Lines {
    /// Characters a line; 0: all in one line.
    pub len: u32,
    /// What stands between two lines; CR LF if there is one line.
    pub ending: LineEnding,
}

impl Lines {
    /// Bytes of the base64 of `content_len` bytes, line ends counted.
    ///
    /// `u64::MAX` where that doesn't fit: no message is that long.
    #[must_use]
    pub fn text_len(&self, content_len: u64) -> u64 {
        let chars = content_len.div_ceil(3).checked_mul(4);
        chars.and_then(|chars| self.with_ends(chars)).unwrap_or(u64::MAX)
    }

    /// How many line ends are in the base64 of `content_len` bytes.
    pub(super) fn line_ends(&self, content_len: u64) -> u64 {
        self.ends(content_len.div_ceil(3).saturating_mul(4))
    }

    fn ends(&self, chars: u64) -> u64 {
        match u64::from(self.len) {
            0 => 0,
            len => chars.saturating_sub(1) / len,
        }
    }

    fn with_ends(&self, chars: u64) -> Option<u64> {
        self.ends(chars).checked_mul(self.ending.bytes().len() as u64)?.checked_add(chars)
    }

    /// The bytes of the content that `text`, a range of its base64, needs: whole groups of three.
    pub(super) fn content_range(&self, text: &Range<u64>, content_len: u64) -> Range<u64> {
        let start = self.chars_before(text.start) / 4 * 3;
        let end = (self.chars_before(text.end).div_ceil(4) * 3).min(content_len);
        start.min(end)..end
    }

    /// How many characters stand before this byte of the base64.
    fn chars_before(&self, text: u64) -> u64 {
        match u64::from(self.len) {
            0 => text,
            len => {
                let row = len + self.ending.bytes().len() as u64;
                text / row * len + (text % row).min(len)
            }
        }
    }

    /// Appends the range `text` of the base64, given the content that it needs.
    pub(super) fn encode(&self, text: &Range<u64>, content: &[u8], out: &mut Vec<u8>) {
        let encoded = STANDARD.encode(content);
        let first = self.chars_before(text.start);
        let skipped = (first - first / 4 * 4) as usize;
        let mut chars = encoded.as_bytes().get(skipped..).unwrap_or_default();
        let ending = self.ending.bytes();
        let row = u64::from(self.len) + ending.len() as u64;
        let mut at = text.start;
        while at < text.end {
            let (column, left) = match u64::from(self.len) {
                0 => (0, text.end - at),
                len => (at % row, len.saturating_sub(at % row)),
            };
            let left = left.min(text.end - at);
            if left > 0 {
                let (now, later) = chars.split_at((left as usize).min(chars.len()));
                out.extend_from_slice(now);
                if now.is_empty() {
                    return; // less content than the range needs
                }
                chars = later;
                at += now.len() as u64;
            } else {
                let from = (column - u64::from(self.len)) as usize;
                let to = ending.len().min(from + (text.end - at) as usize);
                out.extend_from_slice(ending.get(from..to).unwrap_or_default());
                at += (to - from) as u64;
            }
        }
    }
}
