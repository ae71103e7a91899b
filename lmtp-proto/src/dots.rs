//! The text of DATA: transparency dots and the end (RFC 5321 §4.5.2).
//!
//! Only CRLF `.` CRLF ends a text; a bare CR or LF is text like any other, beside a dot too (the smuggled ends of
//! CVE-2023-51764 and its kin).

use memchr::memmem;
use std::ops::Range;

/// What [`Dots::next`] found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Piece {
    /// Text, as this range of the input.
    Run(Range<usize>),
    /// A CR of text that came with earlier input.
    HeldCr,
    /// The end. What follows is the next command.
    End,
}

/// What came before the next byte.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Dots {
    /// DATA's own CRLF, or one of the text.
    #[default]
    LineStart,
    /// Anything that is none of the others.
    Middle,
    /// A CR, given as text already.
    Cr,
    /// A dot at the start of a line: transparency or the end, in no case text.
    Dot,
    /// That dot and a CR, which has not been given.
    DotCr,
}

impl Dots {
    /// The next piece of `input` from `at` on, which moves behind it; `None` at the end of `input`.
    pub(crate) fn next(&mut self, input: &[u8], at: &mut usize) -> Option<Piece> {
        loop {
            let &byte = input.get(*at)?;
            match (*self, byte) {
                (Self::LineStart, b'.') => {
                    *self = Self::Dot;
                    *at += 1;
                }
                (Self::Dot, b'\r') => {
                    *self = Self::DotCr;
                    *at += 1;
                }
                (Self::DotCr, b'\n') => {
                    *self = Self::LineStart;
                    *at += 1;
                    return Some(Piece::End);
                }
                (Self::DotCr, _) => {
                    *self = Self::Middle;
                    match at.checked_sub(1) {
                        Some(before) => *at = before,
                        None => return Some(Piece::HeldCr),
                    }
                }
                (Self::Cr, b'\n') => {
                    let start = *at;
                    *self = Self::LineStart;
                    *at += 1;
                    return Some(Piece::Run(start..*at));
                }
                (Self::LineStart | Self::Dot | Self::Cr | Self::Middle, _) => {
                    return Some(Piece::Run(self.run(input, at)));
                }
            }
        }
    }

    /// A run that starts in the middle of a line goes on to the next dot at the start of one.
    fn run(&mut self, input: &[u8], at: &mut usize) -> Range<usize> {
        let start = *at;
        let rest = input.get(start..).unwrap_or_default();
        if let Some(found) = memmem::find(rest, b"\r\n.") {
            *at = start + found + 2;
            *self = Self::LineStart;
        } else {
            *at = input.len();
            *self = match rest {
                [.., b'\r', b'\n'] => Self::LineStart,
                [.., b'\r'] => Self::Cr,
                _ => Self::Middle,
            };
        }
        start..*at
    }
}

#[cfg(test)]
mod tests {
    use super::{Dots, Piece};

    /// The text, and what was left behind its end if it came.
    fn text(input: &[u8], cut: usize) -> (String, Option<usize>) {
        let (mut dots, mut text, mut taken) = (Dots::default(), Vec::new(), 0);
        for slice in input.chunks(cut) {
            let mut at = 0;
            while let Some(piece) = dots.next(slice, &mut at) {
                match piece {
                    Piece::Run(run) => {
                        assert!(!run.is_empty());
                        text.extend_from_slice(&slice[run]);
                    }
                    Piece::HeldCr => text.push(b'\r'),
                    Piece::End => {
                        return (text.escape_ascii().to_string(), Some(input.len() - taken - at));
                    }
                }
            }
            assert_eq!(at, slice.len());
            taken += slice.len();
        }
        (text.escape_ascii().to_string(), None)
    }

    #[test]
    fn only_crlf_dot_crlf_ends() {
        for (input, want, left) in [
            (&b".\r\n"[..], "", Some(0)),
            (b"a\r\n.\r\nQUIT", r"a\r\n", Some(4)),
            (b"a\n.\nb\r\n.\r\n", r"a\n.\nb\r\n", Some(0)),
            (b"a\n.\r\nb\r\n.\r\n", r"a\n.\r\nb\r\n", Some(0)),
            (b"a\r.\rb\r\n.\r\n", r"a\r.\rb\r\n", Some(0)),
            (b"a\r\n.\nb\r\n.\r\n", r"a\r\n\nb\r\n", Some(0)),
            (b"a\r\n.\rb\r\n.\r\n", r"a\r\n\rb\r\n", Some(0)),
            (b"a\r\n.\r\r\n.\r\n", r"a\r\n\r\r\n", Some(0)),
            (b"a\r\n\0.\r\n.\0\r\n.\r\0\n.\r\n", r"a\r\n\x00.\r\n\x00\r\n\r\x00\n.\r\n", None),
            (b"..\r\n...\r\n.a\r\n.\r\n", r".\r\n..\r\na\r\n", Some(0)),
            (b"a\r\r\n.\r\n", r"a\r\r\n", Some(0)),
            (b"\r\n.\r\n", r"\r\n", Some(0)),
            (b"a\r\n.", r"a\r\n", None),
        ] {
            for cut in 1..=input.len() {
                assert_eq!(
                    text(input, cut),
                    (want.into(), left),
                    "{} cut {cut}",
                    input.escape_ascii()
                );
            }
        }
    }
}
