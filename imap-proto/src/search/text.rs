//! Looking for text in headers and bodies: decoded, whatever its case, in linear time.

use std::ops::Range;

use memchr::memmem::Finder;

use crate::fetch::{MessageSource, SourceError};
use crate::mime::decode::{Charset, Encoding, Transfer, decode_words, push_char, windows_1252};
use crate::mime::header::{RawFields, unfold};
use crate::mime::{Mime, TextPart};

/// Bytes of one header field that are searched.
const FIELD: usize = 256 << 10;

/// Text to look for, its case removed.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    finder: Box<Finder<'static>>,
}

impl Needle {
    pub(super) fn new(text: &[u8]) -> Needle {
        let mut folded = Vec::with_capacity(text.len());
        let mut fold = Fold::new(Charset::Utf8);
        fold.feed(text, &mut folded);
        fold.finish(&mut folded);
        Needle { finder: Box::new(Finder::new(&folded).into_owned()) }
    }

    fn is_empty(&self) -> bool {
        self.finder.needle().is_empty()
    }

    fn is_in(&self, folded: &[u8]) -> bool {
        self.finder.find(folded).is_some()
    }
}

/// Whether a field of this name, or with `None` any field with its name in front, contains the text.
pub(super) fn in_fields(header: &[u8], name: Option<&[u8]>, needle: &Needle) -> bool {
    let (mut unfolded, mut decoded, mut folded) = (Vec::new(), Vec::new(), Vec::new());
    RawFields::new(header).any(|field| {
        decoded.clear();
        match name {
            Some(name) if !field.name.eq_ignore_ascii_case(name) => return false,
            Some(_) => {}
            None if field.name.is_empty() => {}
            None => {
                decoded.extend_from_slice(field.name);
                decoded.extend_from_slice(b": ");
            }
        }
        if needle.is_empty() {
            return true; // RFC 9051 §6.4.4: with an empty string, every message that has the field
        }
        unfolded.clear();
        unfold(field.value, FIELD, &mut unfolded);
        decode_words(&unfolded, &mut decoded);
        folded.clear();
        let mut fold = Fold::new(Charset::Utf8);
        fold.feed(&decoded, &mut folded);
        fold.finish(&mut folded);
        needle.is_in(&folded)
    })
}

/// Whether a text part contains the text; with `headers` also the headers of parts. The headers of messages inside are
/// body text of the one outside and always count.
pub(super) fn in_body<S: MessageSource + ?Sized>(
    source: &mut S,
    needle: &Needle,
    headers: bool,
) -> Result<bool, SourceError> {
    if needle.is_empty() {
        return Ok(true);
    }
    let mime = source.mime()?;
    let blocks = header_blocks(mime, headers);
    let parts = mime.text_parts();
    for block in blocks {
        let header = read_header(source, block)?;
        if in_fields(&header, None, needle) {
            return Ok(true);
        }
    }
    for part in parts {
        if in_part(source, &part, needle)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The header blocks inside the message: of messages, and with `all` of every part.
fn header_blocks(mime: &Mime, all: bool) -> Vec<Range<u64>> {
    let inner = mime.parts().iter().skip(1);
    let wanted = inner.filter(|part| all || mime.is_message(part));
    wanted.filter(|part| part.body > part.header).map(|part| part.header..part.body).collect()
}

fn read_header<S: MessageSource + ?Sized>(
    source: &mut S,
    block: Range<u64>,
) -> Result<Vec<u8>, SourceError> {
    let end = block.end.min(block.start.saturating_add(crate::mime::Limits::default().header));
    let mut header = Vec::new();
    let mut at = block.start;
    while at < end {
        let bytes = source.read(at..end)?;
        if bytes.is_empty() {
            return Err(SourceError::Corrupt);
        }
        header.extend_from_slice(bytes);
        at += bytes.len() as u64;
    }
    Ok(header)
}

fn in_part<S: MessageSource + ?Sized>(
    source: &mut S,
    part: &TextPart,
    needle: &Needle,
) -> Result<bool, SourceError> {
    let mut stream = Stream::new(part.encoding, part.charset);
    let mut at = part.range.start;
    while at < part.range.end {
        let window = part.range.end.min(at.saturating_add(WINDOW));
        let bytes = source.read(at..window)?;
        if bytes.is_empty() {
            return Err(SourceError::Corrupt);
        }
        at += bytes.len() as u64;
        if stream.feed(bytes, needle) {
            return Ok(true);
        }
    }
    Ok(stream.finish(needle))
}

/// Bytes of a body that are decoded at once.
const WINDOW: u64 = 64 << 10;

/// A body being decoded; holds one window and the end of the one before.
struct Stream {
    transfer: Transfer,
    fold: Fold,
    decoded: Vec<u8>,
    folded: Vec<u8>,
}

impl Stream {
    fn new(encoding: Encoding, charset: Charset) -> Stream {
        Stream {
            transfer: Transfer::new(encoding),
            fold: Fold::new(charset),
            decoded: Vec::new(),
            folded: Vec::new(),
        }
    }

    fn feed(&mut self, bytes: &[u8], needle: &Needle) -> bool {
        self.decoded.clear();
        self.transfer.feed(bytes, &mut self.decoded);
        self.fold.feed(&self.decoded, &mut self.folded);
        let found = needle.is_in(&self.folded);
        // What the next window may complete: less than the text itself.
        let kept = needle.finder.needle().len().saturating_sub(1).min(self.folded.len());
        self.folded.drain(..self.folded.len() - kept);
        found
    }

    fn finish(&mut self, needle: &Needle) -> bool {
        self.fold.finish(&mut self.folded);
        needle.is_in(&self.folded)
    }
}

/// Removes case: ASCII, and every character whose lower case is one character. Bytes that are no text stay.
struct Fold {
    charset: Charset,
    /// The beginning of a character that the next piece goes on with.
    begun: Vec<u8>,
}

impl Fold {
    fn new(charset: Charset) -> Fold {
        Fold { charset, begun: Vec::new() }
    }

    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        match self.charset {
            Charset::Windows1252 => {
                for &byte in input {
                    push_folded(windows_1252(byte), out);
                }
            }
            Charset::Utf8 => self.feed_utf8(input, out),
        }
    }

    fn feed_utf8(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let joined;
        let mut rest = input;
        if !self.begun.is_empty() {
            // At most three bytes are begun; one more piece finishes or refutes them.
            joined = [self.begun.as_slice(), input].concat();
            self.begun.clear();
            rest = &joined;
        }
        loop {
            let ascii = rest.iter().take_while(|byte| byte.is_ascii()).count();
            let (plain, from) = rest.split_at(ascii);
            out.extend(plain.iter().map(u8::to_ascii_lowercase));
            let Some((&first, after)) = from.split_first() else { return };
            let len = match first {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            let Some((bytes, behind)) = from.split_at_checked(len) else {
                if from.iter().skip(1).all(|byte| byte & 0xc0 == 0x80) {
                    self.begun.extend_from_slice(from);
                    return;
                }
                out.push(first);
                rest = after;
                continue;
            };
            match std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next()) {
                Some(character) => {
                    push_folded(character, out);
                    rest = behind;
                }
                None => {
                    out.push(first);
                    rest = after;
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.begun);
    }
}

fn push_folded(character: char, out: &mut Vec<u8>) {
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => push_char(one, out),
        _ => push_char(character, out),
    }
}
