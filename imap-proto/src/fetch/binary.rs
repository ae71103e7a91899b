//! BINARY: a part with its transfer encoding undone (RFC 3516 §4, RFC 9051 §6.4.5).
//!
//! What is decoded: a leaf part by its Content-Transfer-Encoding. `BINARY[]`, multiparts and messages inside
//! message/rfc822 have none that would need it (RFC 2045 §6.4) and are given as they are stored, NUL included. Lines of
//! text that are stored with LF alone end with CRLF, as RFC 3516 §6 wants it; what base64 holds is data and stays.
//!
//! Invariants:
//! - A part is decoded in steps: whatever its size, a few times [`STEP`] is held.
//! - A first pass counts, so that the literal's length is exact; the second one, which sends, gives the same bytes.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::row::{COPIED, Rows, clip, write_literal};
use super::section::Section;
use super::{MessageSource, SourceError, number};
use crate::mime::Extent;
use crate::mime::decode::{Encoding, Transfer};
use crate::types::Blob;

/// Stored bytes decoded in one step.
const STEP: u64 = 64 << 10;

/// A part of a stored message whose transfer encoding is undone as it is read. It stands in the [`Blob`] of a
/// [`Piece::Blob`](super::Piece::Blob), whose range then counts decoded bytes.
#[derive(Debug)]
pub struct DecodedPart {
    stored: Blob,
    /// Where what is wanted begins, or a little before it.
    start: Decoding,
    reading: Mutex<Reading>,
}

#[derive(Debug)]
struct Reading {
    decoding: Decoding,
    /// The last bytes that were decoded.
    ahead: Vec<u8>,
}

impl DecodedPart {
    fn new(stored: Blob, start: Decoding) -> DecodedPart {
        let reading = Mutex::new(Reading { decoding: start.clone(), ahead: Vec::new() });
        DecodedPart { stored, start, reading }
    }

    /// Appends the decoded bytes of `range`, as they are: no NUL is replaced. Fewer come when the stored message has
    /// become shorter. Cheap when ranges follow each other; going back begins anew.
    ///
    /// `stored` appends a range of the stored message, which is the blob that
    /// [`MessageSource::blob`](super::MessageSource::blob) gave, exactly.
    ///
    /// # Errors
    /// Those of `stored`.
    pub fn read<E>(
        &self,
        range: Range<u64>,
        out: &mut Vec<u8>,
        mut stored: impl FnMut(&Blob, Range<u64>, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let Reading { decoding, ahead } = &mut *reading;
        if range.start < decoding.at - ahead.len() as u64 {
            ahead.clear();
            *decoding = self.start.clone();
        }
        let mut raw = Vec::new();
        let mut next = range.start;
        loop {
            let begin = decoding.at - ahead.len() as u64;
            let from = next.clamp(begin, decoding.at);
            let to = range.end.clamp(from, decoding.at);
            out.extend_from_slice(
                ahead.get((from - begin) as usize..(to - begin) as usize).unwrap_or_default(),
            );
            ahead.drain(..(to - begin) as usize);
            next = next.max(to);
            if next >= range.end || decoding.is_done() {
                return Ok(());
            }
            raw.clear();
            stored(&self.stored, decoding.wants(), &mut raw)?;
            if raw.is_empty() {
                return Ok(());
            }
            decoding.step(&raw, ahead);
        }
    }
}

/// Writes the value of `BINARY[…]`: a string, or with a NUL in it a literal8 (RFC 3516 §4.3).
pub(super) fn write<S: MessageSource + ?Sized>(
    rows: &mut Rows,
    section: &Section,
    source: &mut S,
) -> Result<(), SourceError> {
    let Some(decoding) = Decoding::of(section, source)? else {
        return super::row::write_nothing(rows);
    };
    let wanted = clip(0..u64::MAX, section.partial);
    let mut cut = Cut { held: rows.copies(0).then(Vec::new), ..Cut::new(&decoding) };
    cut.take(decoding, wanted.clone(), source)?;
    if cut.len == 0 {
        return super::row::write_nothing(rows);
    }
    let tail = rows.tail();
    if cut.nul {
        tail.push(b'~');
    }
    write_literal(cut.len, tail);
    match cut.held {
        Some(bytes) => tail.extend_from_slice(&bytes),
        None => {
            let part = DecodedPart::new(source.blob()?, cut.start);
            rows.blob(Blob::new(part), wanted.start..wanted.start + cut.len);
        }
    }
    Ok(())
}

/// Writes the value of `BINARY.SIZE[…]`, which is what [`write`] would announce.
pub(super) fn write_size<S: MessageSource + ?Sized>(
    rows: &mut Rows,
    section: &Section,
    source: &mut S,
) -> Result<(), SourceError> {
    let mut size = 0;
    if let Some(decoding) = Decoding::of(section, source)? {
        let mut cut = Cut { held: None, ..Cut::new(&decoding) };
        cut.take(decoding, 0..u64::MAX, source)?;
        size = cut.len;
    }
    number::write(size, rows.tail());
    Ok(())
}

/// What a window on a decoded part holds.
struct Cut {
    len: u64,
    nul: bool,
    /// Its bytes, as long as they are few.
    held: Option<Vec<u8>>,
    /// Where to begin to decode for it.
    start: Decoding,
}

impl Cut {
    fn new(decoding: &Decoding) -> Cut {
        Cut { len: 0, nul: false, held: Some(Vec::new()), start: decoding.clone() }
    }

    fn take<S: MessageSource + ?Sized>(
        &mut self,
        mut decoding: Decoding,
        wanted: Range<u64>,
        source: &mut S,
    ) -> Result<(), SourceError> {
        let mut out = Vec::new();
        while !decoding.is_done() && decoding.at < wanted.end {
            let before = decoding.at;
            if before <= wanted.start {
                self.start = decoding.clone();
            }
            let range = decoding.wants();
            let most = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            let raw = source.read(range)?;
            if raw.is_empty() {
                return Err(SourceError::Corrupt); // shorter than it says
            }
            out.clear();
            decoding.step(raw.get(..most).unwrap_or(raw), &mut out);
            let at = |offset: u64| offset.saturating_sub(before).min(out.len() as u64) as usize;
            let found = out.get(at(wanted.start)..at(wanted.end)).unwrap_or_default();
            self.len += found.len() as u64;
            self.nul |= memchr::memchr(0, found).is_some();
            match &mut self.held {
                Some(held) if self.len <= COPIED => held.extend_from_slice(found),
                held => *held = None,
            }
        }
        Ok(())
    }
}

/// A part as far as it is decoded.
#[derive(Clone, Debug)]
struct Decoding {
    /// What of the stored message is still to be read.
    raw: Range<u64>,
    /// Bytes decoded so far.
    at: u64,
    lines: Option<Lines>,
    transfer: Transfer,
}

impl Decoding {
    /// The part that a section names; `None` when the message has none such.
    fn of<S: MessageSource + ?Sized>(
        section: &Section,
        source: &mut S,
    ) -> Result<Option<Decoding>, SourceError> {
        let len = source.len();
        let begin = |raw, encoding, lines| {
            Some(Decoding { raw, at: 0, lines, transfer: Transfer::new(encoding) })
        };
        if section.path.is_empty() {
            return Ok(begin(0..len, Encoding::Identity, None));
        }
        let Some(place) = source.place(&section.path, Extent::Whole)? else { return Ok(None) };
        let (encoding, text) = place.encoding.ok_or(SourceError::UnknownEncoding)?;
        let lines = match encoding {
            Encoding::Base64 => None,
            Encoding::Identity => text.then(|| Lines::new(text, false)),
            Encoding::QuotedPrintable => Some(Lines::new(text, true)),
        };
        Ok(begin(place.body..place.end, encoding, lines))
    }

    fn is_done(&self) -> bool {
        self.raw.is_empty()
    }

    /// The stored bytes to be fed next, or as many of them as there are at hand.
    fn wants(&self) -> Range<u64> {
        self.raw.start..self.raw.end.min(self.raw.start.saturating_add(STEP))
    }

    /// Appends what the next stored bytes decode to.
    fn step(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        let before = out.len();
        self.raw.start += raw.len() as u64;
        match &mut self.lines {
            None => self.transfer.feed(raw, out),
            Some(lines) => {
                let mut text = Vec::with_capacity(raw.len() + 16);
                lines.feed(raw, &mut text);
                if self.raw.is_empty() {
                    lines.finish(&mut text);
                }
                self.transfer.feed(&text, out);
            }
        }
        if self.raw.is_empty() {
            self.transfer.finish(out);
        }
        self.at += (out.len() - before) as u64;
    }
}

/// Mends the ends of encoded lines.
#[derive(Clone, Debug)]
struct Lines {
    /// LF alone becomes CRLF (RFC 3516 §6).
    crlf: bool,
    /// White space before a line's end goes: transport put it there (RFC 2045 §6.7 rule 3).
    trim: bool,
    /// White space and CR that may belong to a line's end.
    held: Vec<u8>,
}

/// White space that is held back at most: far more than a line of quoted-printable may have.
const BLANKS: usize = 1000;

impl Lines {
    fn new(crlf: bool, trim: bool) -> Lines {
        Lines { crlf, trim, held: Vec::new() }
    }

    fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        while let [byte, after @ ..] = rest {
            rest = after;
            match *byte {
                b'\n' => {
                    let cr = self.held.last() == Some(&b'\r');
                    self.held.clear();
                    if cr || self.crlf {
                        out.push(b'\r');
                    }
                    out.push(b'\n');
                }
                b'\r' => {
                    if self.held.last() == Some(&b'\r') {
                        out.append(&mut self.held);
                    }
                    self.held.push(b'\r');
                }
                blank @ (b' ' | b'\t') if self.trim => {
                    if self.held.last() == Some(&b'\r') || self.held.len() >= BLANKS {
                        out.append(&mut self.held);
                    }
                    self.held.push(blank);
                }
                plain => {
                    out.append(&mut self.held);
                    out.push(plain);
                    let ends = |byte: &u8| {
                        matches!(byte, b'\n' | b'\r') || (self.trim && matches!(byte, b' ' | b'\t'))
                    };
                    let run = rest.iter().position(ends).unwrap_or(rest.len());
                    let (run, after) = rest.split_at(run);
                    out.extend_from_slice(run);
                    rest = after;
                }
            }
        }
    }

    /// The body's end is a line's end: the boundary has taken it.
    fn finish(&mut self, out: &mut Vec<u8>) {
        if self.held.last() == Some(&b'\r') {
            out.append(&mut self.held);
        }
        self.held.clear();
    }
}
