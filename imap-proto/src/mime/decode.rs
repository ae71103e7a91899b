//! Transfer encodings and encoded words, as far as SEARCH needs them.
//!
//! Everything is fed in pieces and never fails: what is malformed stands for itself (RFC 2045 §6.7, §6.8 say how
//! kindly to read).

use super::charset::Charset;

/// How a body is encoded for transfer (RFC 2045 §6.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Encoding {
    /// 7bit, 8bit, binary, and whatever isn't known.
    #[default]
    Identity,
    /// quoted-printable
    QuotedPrintable,
    /// base64
    Base64,
}

impl Encoding {
    /// The encoding of this name, in any case.
    #[must_use]
    pub fn of(name: &[u8]) -> Encoding {
        Encoding::known(name).unwrap_or_default()
    }

    /// The encoding of this name, in any case; `None` for one that RFC 2045 doesn't know.
    #[must_use]
    pub fn known(name: &[u8]) -> Option<Encoding> {
        const NAMES: [(&[u8], Encoding); 5] = [
            (b"7bit", Encoding::Identity),
            (b"8bit", Encoding::Identity),
            (b"binary", Encoding::Identity),
            (b"quoted-printable", Encoding::QuotedPrintable),
            (b"base64", Encoding::Base64),
        ];
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|&(_, known)| known)
    }
}

/// Undoes a transfer encoding, piece by piece.
#[derive(Clone, Debug)]
pub struct Transfer {
    state: State,
    /// What is behind `=`: one hexadecimal digit, or white space that may end in a line's end.
    held: Vec<u8>,
}

/// White space behind `=` that is held back at most: far more than a line of quoted-printable may have.
const BLANKS: usize = 1000;

#[derive(Clone, Copy, Debug)]
enum State {
    Identity,
    Text,
    /// Behind `=`.
    Escape,
    /// Bits not yet given out, and how many.
    Base64(u32, u8),
}

impl Transfer {
    /// Begins at the start of a body.
    #[must_use]
    pub fn new(encoding: Encoding) -> Transfer {
        let state = match encoding {
            Encoding::Identity => State::Identity,
            Encoding::QuotedPrintable => State::Text,
            Encoding::Base64 => State::Base64(0, 0),
        };
        Transfer { state, held: Vec::new() }
    }

    /// Appends what the next piece decodes to.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        match self.state {
            State::Identity => out.extend_from_slice(input),
            State::Base64(bits, count) => self.feed_base64(input, bits, count, out),
            State::Text | State::Escape => self.feed_quoted(input, out),
        }
    }

    fn feed_base64(&mut self, input: &[u8], mut bits: u32, mut count: u8, out: &mut Vec<u8>) {
        for &byte in input {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => {
                    (bits, count) = (0, 0); // padding: what follows begins a new quantum
                    continue;
                }
                _ => continue, // RFC 2045 §6.8: characters outside the alphabet are ignored
            };
            bits = bits << 6 | u32::from(value);
            count += 6;
            if count >= 8 {
                count -= 8;
                out.push((bits >> count) as u8);
                bits &= (1 << count) - 1;
            }
        }
        self.state = State::Base64(bits, count);
    }

    fn feed_quoted(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        while let [byte, after @ ..] = rest {
            if !matches!(self.state, State::Escape) {
                let plain = memchr::memchr(b'=', rest).unwrap_or(rest.len());
                let (text, from) = rest.split_at(plain);
                out.extend_from_slice(text);
                rest = from;
                if let [_, behind @ ..] = from {
                    self.state = State::Escape;
                    rest = behind;
                }
                continue;
            }
            let may_grow = !self.held.contains(&b'\r') && self.held.len() < BLANKS;
            match (self.held.as_slice(), *byte) {
                // A soft line break; white space in it came with transport (RFC 2045 §6.7 rule 3).
                ([] | [b' ' | b'\t' | b'\r', ..], b'\n') => self.end_escape(),
                ([], b' ' | b'\t' | b'\r') => self.held.push(*byte),
                ([b' ' | b'\t', ..], b' ' | b'\t' | b'\r') if may_grow => self.held.push(*byte),
                ([], digit) if hex(digit).is_some() => self.held.push(digit),
                (&[first], second) if hex(first).is_some() && hex(second).is_some() => {
                    out.extend(hex(first).zip(hex(second)).map(|(high, low)| high << 4 | low));
                    self.end_escape();
                }
                // Nothing that `=` begins: it stands for itself, and so does what follows it.
                _ => {
                    out.push(b'=');
                    out.append(&mut self.held);
                    self.end_escape();
                    continue;
                }
            }
            rest = after;
        }
    }

    fn end_escape(&mut self) {
        self.state = State::Text;
        self.held.clear();
    }

    /// The body is over. A `=` that ends it joins its line to none; one that is cut short stands for itself.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let is_soft = self.held.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        if matches!(self.state, State::Escape) && !is_soft {
            out.push(b'=');
            out.append(&mut self.held);
        }
        if matches!(self.state, State::Escape) {
            self.end_escape();
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Appends an unfolded header value with its encoded words decoded (RFC 2047), in UTF-8 where the set is known.
///
/// White space between encoded words goes (§6.2). Words of one set that follow one another are decoded together: mail
/// programs cut characters in two, though §5 forbids it. One pass: every `?` is looked at a fixed number of times.
pub fn decode_words(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    // What the last words say, in their set.
    let (mut bytes, mut charset) = (Vec::new(), None);
    while let Some(start) = memchr::memmem::find(rest, b"=?") {
        let (text, from) = rest.split_at(start);
        let word = encoded_word(from);
        let between_words = word.is_some() && text.trim_ascii().is_empty();
        let next = word.as_ref().map(|(word, _)| word.charset);
        if !(between_words && next == charset && next.is_some_and(Charset::joins)) {
            charset.unwrap_or_default().decode(&bytes, out);
            bytes.clear();
        }
        if !(between_words && charset.is_some()) {
            out.extend_from_slice(text);
        }
        charset = None;
        rest = match word {
            Some((word, after)) => {
                charset = Some(word.charset);
                word.decode(&mut bytes);
                after
            }
            None => {
                out.extend_from_slice(b"=?");
                from.get(2..).unwrap_or_default()
            }
        };
    }
    charset.unwrap_or_default().decode(&bytes, out);
    out.extend_from_slice(rest);
}

struct Word<'a> {
    charset: Charset,
    base64: bool,
    text: &'a [u8],
}

/// `=?charset?encoding?text?=` at the start of `from`, and what follows it.
fn encoded_word(from: &[u8]) -> Option<(Word<'_>, &[u8])> {
    let (charset, rest) = until_question(from.get(2..)?)?;
    let (encoding, rest) = until_question(rest)?;
    let (text, rest) = until_question(rest)?;
    let rest = rest.strip_prefix(b"=")?;
    let base64 = match encoding {
        b"B" | b"b" => true,
        b"Q" | b"q" => false,
        _ => return None,
    };
    // RFC 2231 §5: a language may follow the character set.
    let charset = charset.split(|&byte| byte == b'*').next().unwrap_or_default();
    Some((Word { charset: Charset::of(charset), base64, text }, rest))
}

fn until_question(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, from) = text.split_at_checked(memchr::memchr(b'?', text)?)?;
    Some((before, from.get(1..)?))
}

impl Word<'_> {
    /// Appends what it says, in its own set.
    fn decode(&self, out: &mut Vec<u8>) {
        if self.base64 {
            Transfer::new(Encoding::Base64).feed(self.text, out);
        } else {
            // RFC 2047 §4.2: the underscore is a space.
            let text: Vec<u8> =
                self.text.iter().map(|&byte| if byte == b'_' { b' ' } else { byte }).collect();
            let mut transfer = Transfer::new(Encoding::QuotedPrintable);
            transfer.feed(&text, out);
            transfer.finish(out);
        }
    }
}

#[cfg(test)]
mod tests;
