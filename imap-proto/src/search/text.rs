//! Looking for text in headers and bodies: decoded, whatever its case, in linear time.

use std::ops::Range;

use memchr::memmem::Finder;

use super::fold::Fold;
use crate::fetch::{MessageSource, SourceError};
use crate::mime::charset::{Charset, Decoder};
use crate::mime::decode::{Encoding, Transfer, decode_words};
use crate::mime::header::{Initials, RawFields, unfold};
use crate::mime::{Mime, TextPart, extended};

/// Bytes of one header field that are searched.
const FIELD: usize = 256 << 10;

/// Text to look for, its case removed.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    finder: Box<Finder<'static>>,
    /// It is of printable ASCII, without white space and colon, and not empty.
    is_word: bool,
}

impl Needle {
    pub(super) fn new(text: &[u8]) -> Needle {
        let mut folded = Vec::with_capacity(text.len());
        Fold::whole(text, &mut folded);
        Needle::of(&folded)
    }

    /// Text to look for in header fields, where white space of any length and kind is one space: whoever folded the
    /// field may have changed it.
    pub(super) fn for_fields(text: &[u8]) -> Needle {
        let mut folded = Vec::with_capacity(text.len());
        Fold::whole(text, &mut folded);
        one_space(&mut folded);
        Needle::of(&folded)
    }

    fn of(folded: &[u8]) -> Needle {
        Needle {
            finder: Box::new(Finder::new(folded).into_owned()),
            is_word: !folded.is_empty()
                && folded.iter().all(|&byte| byte.is_ascii_graphic() && byte != b':'),
        }
    }

    fn is_empty(&self) -> bool {
        self.finder.needle().is_empty()
    }

    fn is_in(&self, folded: &[u8]) -> bool {
        self.finder.find(folded).is_some()
    }
}

/// Makes all white space one space. Most text has none that isn't.
fn one_space(text: &mut Vec<u8>) {
    if memchr::memchr3(b'\t', b'\r', b'\n', text).is_none()
        && memchr::memmem::find(text, b"  ").is_none()
    {
        return;
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    text.iter_mut().filter(|byte| is_space(byte)).for_each(|byte| *byte = b' ');
    text.dedup_by(|next, kept| *next == b' ' && *kept == b' ');
}

/// Whether a field of this name, or with `None` any field with its name in front, contains the text.
pub(super) fn in_fields(
    header: &[u8],
    name: Option<&[u8]>,
    needle: &Needle,
    buffers: &mut Buffers,
) -> bool {
    let Some(name) = name else {
        return !buffers.rule_out(header, needle)
            && RawFields::new(header).any(|field| {
                buffers.decoded.clear();
                if !field.name.is_empty() {
                    buffers.decoded.extend_from_slice(field.name);
                    buffers.decoded.extend_from_slice(b": ");
                }
                buffers.contain(field.name, field.value, needle)
            });
    };
    RawFields::beginning(header, Initials::of([name])).any(|field| {
        buffers.decoded.clear();
        field.name.eq_ignore_ascii_case(name)
            // RFC 9051 §6.4.4: with an empty string, every message that has the field
            && (needle.is_empty()
                || !buffers.rule_out(field.value, needle)
                    && buffers.contain(field.name, field.value, needle))
    })
}

/// The names, in lower case, of the fields that [`field_text`] may be kept of: those that are searched most.
pub const TEXT_FIELDS: [&[u8]; 4] = [b"from", b"to", b"cc", b"subject"];

/// Appends to `out` what a SEARCH compares of the fields named `name`, one of [`TEXT_FIELDS`]: each decoded, its case
/// and the length of its white space removed, with a line feed behind it. Nothing when there is no such field.
///
/// Whoever keeps it may give it as [`MessageSource::search_text`], and the search looks at nothing else.
pub fn field_text(header: &[u8], name: &[u8], out: &mut Vec<u8>) {
    let mut buffers = Buffers::default();
    let fields = RawFields::beginning(header, Initials::of([name]));
    for field in fields.filter(|field| field.name.eq_ignore_ascii_case(name)) {
        buffers.decoded.clear();
        buffers.decode(field.value);
        out.extend_from_slice(buffers.fold());
        out.push(b'\n');
    }
}

/// Whether [`field_text`] contains the text. A text has no line feed, so none is found across two fields.
pub(super) fn in_text(text: &[u8], needle: &Needle) -> bool {
    // RFC 9051 §6.4.4: with an empty string, every message that has the field
    if needle.is_empty() { !text.is_empty() } else { needle.is_in(text) }
}

/// Memory for one field after the other, and one message after the other.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    unfolded: Vec<u8>,
    /// Begins with what stands in front of the value.
    decoded: Vec<u8>,
    folded: Vec<u8>,
}

impl Buffers {
    /// Whether a look at the header as it stands shows that no field contains the text: where nothing is encoded, what
    /// is one word in a field is one word in the header.
    fn rule_out(&mut self, header: &[u8], needle: &Needle) -> bool {
        // RFC 2231 parameters are encoded too, and have a star in their names.
        let plain = needle.is_word
            && header.is_ascii()
            && memchr::memmem::find(header, b"=?").is_none()
            && memchr::memchr(b'*', header).is_none();
        if !plain {
            return false;
        }
        self.folded.clear();
        self.folded.extend_from_slice(header);
        self.folded.make_ascii_lowercase();
        // A CR alone goes when a field is unfolded, and may stand in a word.
        let ends_line = |at: usize| header.get(at + 1) == Some(&b'\n');
        !needle.is_in(&self.folded) && memchr::memchr_iter(b'\r', header).all(ends_line)
    }

    /// Whether the field, decoded, contains the text.
    fn contain(&mut self, name: &[u8], value: &[u8], needle: &Needle) -> bool {
        self.decode(value);
        if self.is_found(needle) {
            return true;
        }
        // RFC 2231: file names are there in the way they are sent, and in the way they are read.
        self.decoded.clear();
        extended::write(name, &self.unfolded, &mut self.decoded);
        !self.decoded.is_empty() && self.is_found(needle)
    }

    fn is_found(&mut self, needle: &Needle) -> bool {
        needle.is_in(self.fold())
    }

    /// Appends a field's value to what is decoded.
    fn decode(&mut self, value: &[u8]) {
        self.unfolded.clear();
        unfold(value, FIELD, &mut self.unfolded);
        decode_words(&self.unfolded, &mut self.decoded);
    }

    /// What is decoded, ready to be compared.
    fn fold(&mut self) -> &[u8] {
        self.folded.clear();
        Fold::whole(&self.decoded, &mut self.folded);
        one_space(&mut self.folded);
        &self.folded
    }
}

/// Text to look for in fields and in bodies.
#[derive(Clone, Debug)]
pub(super) struct Needles {
    pub(super) fields: Needle,
    pub(super) body: Needle,
}

impl Needles {
    pub(super) fn new(text: &[u8]) -> Needles {
        Needles { fields: Needle::for_fields(text), body: Needle::new(text) }
    }
}

/// Whether a text part contains the text; with `headers` also the headers of parts. The headers of messages inside are
/// body text of the one outside and always count. `scan` keeps how far it came when that is an error.
pub(super) fn in_body<S: MessageSource + ?Sized>(
    source: &mut S,
    needles: &Needles,
    headers: bool,
    scan: &mut Option<Box<Scan>>,
    buffers: &mut Buffers,
) -> Result<bool, SourceError> {
    if needles.body.is_empty() {
        return Ok(true);
    }
    let running = match scan {
        Some(running) => running,
        None => scan.insert(Box::new(Scan::new(source.mime()?, headers))),
    };
    let found = running.go_on(source, needles, buffers)?;
    *scan = None;
    Ok(found)
}

/// A message's body being searched.
#[derive(Debug)]
pub(super) struct Scan {
    /// Header blocks to be searched, the next one last.
    blocks: Vec<Range<u64>>,
    /// Parts to be searched, the next one last.
    parts: Vec<TextPart>,
    /// The part being read, of which its range is left.
    part: Option<(Range<u64>, Stream)>,
}

impl Scan {
    fn new(mime: &Mime, headers: bool) -> Scan {
        let (mut blocks, mut parts) = (header_blocks(mime, headers), mime.text_parts());
        blocks.reverse();
        parts.reverse();
        Scan { blocks, parts, part: None }
    }

    /// Whether the text is in what has not been searched yet.
    fn go_on<S: MessageSource + ?Sized>(
        &mut self,
        source: &mut S,
        needles: &Needles,
        buffers: &mut Buffers,
    ) -> Result<bool, SourceError> {
        while let Some(block) = self.blocks.last() {
            if source.is_due() {
                return Err(SourceError::Paused);
            }
            let header = read_header(source, block.clone())?;
            if in_fields(&header, None, &needles.fields, buffers) {
                return Ok(true);
            }
            self.blocks.pop();
        }
        loop {
            if let Some((rest, stream)) = &mut self.part {
                while rest.start < rest.end {
                    if source.is_due() {
                        return Err(SourceError::Paused);
                    }
                    let window = rest.end.min(rest.start.saturating_add(WINDOW));
                    let bytes = source.read(rest.start..window)?;
                    if bytes.is_empty() {
                        return Err(SourceError::Corrupt);
                    }
                    rest.start += bytes.len() as u64;
                    if stream.feed(bytes, &needles.body) {
                        return Ok(true);
                    }
                }
                if stream.finish(&needles.body) {
                    return Ok(true);
                }
            }
            let Some(part) = self.parts.pop() else { return Ok(false) };
            self.part = Some((part.range, Stream::new(part.encoding, part.charset)));
        }
    }
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

/// Bytes of a body that are decoded at once.
const WINDOW: u64 = 64 << 10;

/// A body being decoded; holds one window and the end of the one before.
#[derive(Debug)]
struct Stream {
    transfer: Option<Transfer>,
    charset: Option<Decoder>,
    fold: Fold,
    decoded: Vec<u8>,
    text: String,
    folded: Vec<u8>,
}

impl Stream {
    fn new(encoding: Encoding, charset: Charset) -> Stream {
        Stream {
            transfer: (encoding != Encoding::Identity).then(|| Transfer::new(encoding)),
            charset: charset.decoder(),
            fold: Fold::default(),
            decoded: Vec::new(),
            text: String::new(),
            folded: Vec::new(),
        }
    }

    fn feed(&mut self, bytes: &[u8], needle: &Needle) -> bool {
        self.decode(bytes, false);
        let found = needle.is_in(&self.folded);
        // What the next window may complete: less than the text itself.
        let kept = needle.finder.needle().len().saturating_sub(1).min(self.folded.len());
        self.folded.drain(..self.folded.len() - kept);
        found
    }

    fn finish(&mut self, needle: &Needle) -> bool {
        self.decode(&[], true);
        self.fold.finish(&mut self.folded);
        needle.is_in(&self.folded)
    }

    /// Undoes the transfer encoding, the character set and case, in this order, as far as each is there to be undone.
    fn decode(&mut self, bytes: &[u8], last: bool) {
        let plain = match &mut self.transfer {
            Some(transfer) => {
                self.decoded.clear();
                transfer.feed(bytes, &mut self.decoded);
                if last {
                    transfer.finish(&mut self.decoded);
                }
                &self.decoded
            }
            None => bytes,
        };
        match &mut self.charset {
            Some(decoder) => {
                decoder.feed(plain, last, &mut self.text);
                self.fold.feed(self.text.as_bytes(), &mut self.folded);
            }
            None => self.fold.feed(plain, &mut self.folded),
        }
    }
}
