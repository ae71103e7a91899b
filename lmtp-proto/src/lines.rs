//! Bytes → command lines: the only code that sees half a line.
//!
//! A line ends at CRLF and nowhere else (RFC 5321 §2.3.8). At most [`Limits::line`](crate::Limits::line) bytes of it
//! are held; one that is longer is dropped as it comes.

use std::borrow::Cow;

/// What [`Lines::next`] found.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Line<'a> {
    /// A whole line, without its CRLF.
    Whole(Cow<'a, [u8]>),
    /// A whole line that was longer than allowed.
    TooLong,
    /// A line without end: more was dropped than is tolerated.
    Endless,
}

#[derive(Debug, Default)]
pub(crate) struct Lines {
    /// The start of a line; empty while the line is being dropped.
    part: Vec<u8>,
    /// Bytes of the current line so far, held or dropped.
    seen: u64,
    ends_in_cr: bool,
}

impl Lines {
    /// Takes the next line off `input`; `None` when all of it was taken and no line has ended. At most `max` bytes
    /// are held, and `discard` more are dropped before the line counts as endless.
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
        max: usize,
        discard: u64,
    ) -> Option<Line<'a>> {
        let (line, ended) = match self.end_of_line(input) {
            Some(end) => {
                let (line, rest) = input.split_at(end);
                *input = rest;
                (line, true)
            }
            None => (std::mem::take(input), false),
        };
        self.seen = self.seen.saturating_add(len(line));
        if self.seen > len_of(max).saturating_add(discard) {
            return Some(self.finish(Line::Endless));
        }
        if self.seen > len_of(max) {
            self.part = Vec::new();
            self.ends_in_cr = line.ends_with(b"\r");
            return ended.then(|| self.finish(Line::TooLong));
        }
        if !ended {
            self.ends_in_cr = line.last().map_or(self.ends_in_cr, |&last| last == b'\r');
            self.part.extend_from_slice(line);
            return None;
        }
        let whole = if self.part.is_empty() {
            Cow::Borrowed(line.strip_suffix(b"\r\n").unwrap_or(line))
        } else {
            let mut whole = std::mem::take(&mut self.part);
            whole.extend_from_slice(line);
            whole.truncate(whole.len() - 2);
            Cow::Owned(whole)
        };
        Some(self.finish(Line::Whole(whole)))
    }

    /// Forgets the line that has begun.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn held(&self) -> usize {
        self.part.capacity()
    }

    fn finish<'a>(&mut self, line: Line<'a>) -> Line<'a> {
        self.clear();
        line
    }

    /// Where the first CRLF ends in `input`, whose CR may have come before.
    fn end_of_line(&self, input: &[u8]) -> Option<usize> {
        memchr::memchr_iter(b'\n', input).find_map(|at| {
            let cr = match at.checked_sub(1) {
                Some(before) => input.get(before) == Some(&b'\r'),
                None => self.ends_in_cr,
            };
            cr.then_some(at + 1)
        })
    }
}

fn len(bytes: &[u8]) -> u64 {
    len_of(bytes.len())
}

fn len_of(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Line, Lines};

    fn all(input: &[u8], cut: usize) -> Vec<String> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for mut piece in input.chunks(cut) {
            while let Some(line) = lines.next(&mut piece, 8, 8) {
                found.push(match line {
                    Line::Whole(line) => line.escape_ascii().to_string(),
                    Line::TooLong => "too long".into(),
                    Line::Endless => "endless".into(),
                });
            }
            assert!(lines.held() <= 16);
        }
        found
    }

    #[test]
    fn the_same_lines_whatever_the_cuts() {
        let input = b"abc\r\n\r\n123456\r\n1234567\r\na\nb\rc\r\n\r\r\n1234567890123\r\nx\r\n123456789012345\r\n";
        for cut in 1..=input.len() {
            let found = all(input, cut);
            assert_eq!(
                found,
                ["abc", "", "123456", "too long", r"a\nb\rc", r"\r", "too long", "x", "endless"],
                "cut {cut}"
            );
        }
    }
}
