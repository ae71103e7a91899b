//! Transfer encodings, encoded words and character sets, as far as SEARCH needs them.
//!
//! Everything is fed in pieces and never fails: what is malformed stands for itself (RFC 2045 §6.7, §6.8 say how
//! kindly to read).

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
}

#[derive(Clone, Copy, Debug)]
enum State {
    Identity,
    Text,
    /// Behind `=`, with the first hexadecimal digit if it was there.
    Escape(Option<u8>),
    /// Behind `=` and white space: a soft line break, if a line end follows.
    Soft,
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
        Transfer { state }
    }

    /// Appends what the next piece decodes to.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        match self.state {
            State::Identity => out.extend_from_slice(input),
            State::Base64(bits, count) => self.feed_base64(input, bits, count, out),
            State::Text | State::Escape(_) | State::Soft => self.feed_quoted(input, out),
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
            match self.state {
                State::Escape(None) => match byte {
                    b'\n' => self.state = State::Text, // a soft line break
                    b'\r' | b' ' | b'\t' => self.state = State::Soft,
                    b'0'..=b'9' | b'A'..=b'F' | b'a'..=b'f' => {
                        self.state = State::Escape(Some(*byte))
                    }
                    _ => {
                        out.push(b'=');
                        self.state = State::Text;
                        continue;
                    }
                },
                State::Escape(Some(first)) => {
                    self.state = State::Text;
                    match (hex(first), hex(*byte)) {
                        (Some(high), Some(low)) => out.push(high << 4 | low),
                        _ => {
                            out.extend_from_slice(&[b'=', first]);
                            continue;
                        }
                    }
                }
                State::Soft => match byte {
                    b'\n' => self.state = State::Text,
                    b'\r' | b' ' | b'\t' => {}
                    _ => {
                        self.state = State::Text;
                        continue;
                    }
                },
                State::Text | State::Identity | State::Base64(..) => {
                    let plain = memchr::memchr(b'=', rest).unwrap_or(rest.len());
                    let (text, from) = rest.split_at(plain);
                    out.extend_from_slice(text);
                    rest = from;
                    if let [_, behind @ ..] = from {
                        self.state = State::Escape(None);
                        rest = behind;
                    }
                    continue;
                }
            }
            rest = after;
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// A character set that can be turned into UTF-8.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Charset {
    /// UTF-8, US-ASCII, and every set that isn't known: bytes stand for themselves.
    #[default]
    Utf8,
    /// windows-1252, and ISO-8859-1, which mail programs write when they mean windows-1252.
    Windows1252,
}

impl Charset {
    /// The character set of this name, in any case.
    #[must_use]
    pub fn of(name: &[u8]) -> Charset {
        const WESTERN: [&[u8]; 6] =
            [b"iso-8859-1", b"iso8859-1", b"iso_8859-1", b"latin1", b"windows-1252", b"cp1252"];
        if WESTERN.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            Charset::Windows1252
        } else {
            Charset::Utf8
        }
    }

    /// Appends `bytes` of this set as UTF-8.
    pub fn decode(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Charset::Utf8 => out.extend_from_slice(bytes),
            Charset::Windows1252 => {
                for &byte in bytes {
                    push_char(windows_1252(byte), out);
                }
            }
        }
    }
}

/// The character of a byte in windows-1252; the five that it lacks are the controls of ISO-8859-1.
pub(crate) fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH.get(usize::from(byte - 0x80)).copied().unwrap_or('\u{fffd}'),
        _ => char::from(byte),
    }
}

pub(crate) fn push_char(character: char, out: &mut Vec<u8>) {
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Appends an unfolded header value with its encoded words decoded (RFC 2047), in UTF-8 where the set is known.
///
/// White space between encoded words goes (§6.2). One pass: every `?` is looked at a fixed number of times.
pub fn decode_words(value: &[u8], out: &mut Vec<u8>) {
    let mut rest = value;
    let mut behind_word = false;
    while let Some(start) = memchr::memmem::find(rest, b"=?") {
        let (text, from) = rest.split_at(start);
        let Some((word, after)) = encoded_word(from) else {
            out.extend_from_slice(text);
            out.extend_from_slice(b"=?");
            rest = from.get(2..).unwrap_or_default();
            behind_word = false;
            continue;
        };
        if !(behind_word && text.iter().all(u8::is_ascii_whitespace)) {
            out.extend_from_slice(text);
        }
        word.decode(out);
        rest = after;
        behind_word = true;
    }
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
    fn decode(&self, out: &mut Vec<u8>) {
        let mut bytes = Vec::with_capacity(self.text.len());
        if self.base64 {
            Transfer::new(Encoding::Base64).feed(self.text, &mut bytes);
        } else {
            // RFC 2047 §4.2: the underscore is a space.
            let text: Vec<u8> =
                self.text.iter().map(|&byte| if byte == b'_' { b' ' } else { byte }).collect();
            Transfer::new(Encoding::QuotedPrintable).feed(&text, &mut bytes);
        }
        self.charset.decode(&bytes, out);
    }
}

#[cfg(test)]
mod tests;
