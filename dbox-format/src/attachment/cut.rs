//! Cutting: which parts of a message encode again to the same bytes, and what their content is.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::list::LINE_MAX;
use super::{CutOut, Hasher, LineEnding, Lines};

/// Characters that are decoded at a time; a multiple of 4.
const BLOCK: usize = 32 * 1024;

/// What is cut out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options {
    /// The least decoded length of a part that is worth a file of its own.
    pub least: u64,
    /// The most parts of a message that are cut out: bounds the list in map and record. The first ones are.
    pub most: usize,
}

impl Default for Options {
    /// 64 KiB, and 256 parts: about 10 KiB of list.
    fn default() -> Self {
        Self { least: 64 * 1024, most: 256 }
    }
}

/// The caller's parts make no sense.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// A part starts before the one before it ends, or ends before it starts.
    #[error("part {index} ({start} to {end}) does not follow the end of the one before, {before}")]
    Order {
        /// The part, from 0.
        index: usize,
        /// Where it starts.
        start: u64,
        /// Where it ends.
        end: u64,
        /// Where the one before it ends.
        before: u64,
    },
}

/// What a [`Cutter`] says while it looks at a part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Piece<'a> {
    /// The next bytes of the decoded content of the part with this index.
    Content(usize, &'a [u8]),
    /// The part with this index is cut out, and its content is complete.
    Kept(usize),
    /// The part with this index stays in the message: forget its content.
    Dropped(usize),
}

/// A part that is cut out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cut {
    /// Its index among the parts given.
    pub part: usize,
    /// Its base64 in the message: from the first character to the last.
    pub text: Range<u64>,
    /// What the skeleton's list says of it.
    pub out: CutOut,
}

/// Looks at a message while it streams by, for the parts that can be stored apart.
///
/// Where the parts are is told by the caller: the bodies of leaf parts whose Content-Transfer-Encoding is base64 (RFC
/// 2045 §6.8), as a MIME parser that has seen the message gives them. A part is cut out if its body is, behind blank
/// lines, canonical base64 in lines of one length (the last may be shorter) with one kind of line end. The base64 ends
/// at padding, at a short line, before anything that doesn't belong to base64 at the start of a line, or with the body; what
/// follows stays in the skeleton, the last line end among it.
///
/// Decoded content is given out before it is known whether the part can be cut out: write it to a temporary file.
#[derive(Debug)]
pub struct Cutter<'a> {
    parts: &'a [Range<u64>],
    options: Options,
    next: usize, // index of the part that `at` has not passed
    at: u64,
    scan: Option<Scan>,
    cuts: Vec<Cut>,
    removed: u64,
}

impl<'a> Cutter<'a> {
    /// Gets ready for a message with these base64 bodies.
    ///
    /// # Errors
    /// [`CutError::Order`] unless they ascend without overlap.
    pub fn new(parts: &'a [Range<u64>], options: Options) -> Result<Self, CutError> {
        let mut before = 0;
        for (index, &Range { start, end }) in parts.iter().enumerate() {
            if start < before || end < start {
                return Err(CutError::Order { index, start, end, before });
            }
            before = end;
        }
        let cuts = Vec::new();
        Ok(Self { parts, options, next: 0, at: 0, scan: None, cuts, removed: 0 })
    }

    /// Looks at the next bytes of the message.
    pub fn push(&mut self, bytes: &[u8], give: &mut dyn FnMut(Piece<'_>)) {
        let mut rest = bytes;
        while let Some(part) = self.parts.get(self.next) {
            if self.at < part.start {
                let gap = part.start - self.at;
                let gap = usize::try_from(gap).unwrap_or(usize::MAX).min(rest.len());
                rest = rest.get(gap..).unwrap_or_default();
                self.at += gap as u64;
            }
            if self.at < part.start {
                return;
            }
            if self.scan.is_none() {
                self.scan = Some(self.scan_of(part));
            }
            let left = part.end.saturating_sub(self.at);
            let len = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at(len);
            if let Some(scan) = &mut self.scan {
                scan.push(now, &mut |content| give(Piece::Content(self.next, content)));
            }
            self.at += len as u64;
            rest = later;
            if self.at < part.end {
                return;
            }
            self.end_part(give);
        }
        self.at += rest.len() as u64;
    }

    /// The message has ended: what was found.
    #[must_use]
    pub fn finish(mut self, give: &mut dyn FnMut(Piece<'_>)) -> Plan {
        // Parts that reach past the end of the message are not what the caller says they are.
        if self.scan.take().is_some_and(|scan| scan.given) {
            give(Piece::Dropped(self.next));
        }
        Plan { message_len: self.at, cuts: self.cuts }
    }

    /// Parts that cannot be long enough are not even looked at.
    fn scan_of(&self, part: &Range<u64>) -> Scan {
        let mut scan = Scan::default();
        if (part.end - part.start) / 4 < self.options.least.max(1) / 3
            || self.cuts.len() >= self.options.most
        {
            scan.phase = Phase::Refused;
        }
        scan
    }

    fn end_part(&mut self, give: &mut dyn FnMut(Piece<'_>)) {
        let index = self.next;
        self.next += 1;
        let Some(mut scan) = self.scan.take() else { return };
        let start = self.parts.get(index).map_or(0, |part| part.start);
        let found = scan.finish(&mut |content| give(Piece::Content(index, content)));
        match found {
            Some((lines, hasher)) if hasher.len() >= self.options.least.max(1) => {
                let text_start = start + scan.blank;
                let text = text_start..text_start + lines.text_len(hasher.len());
                let (hash, len, offset) = (hasher.hash(), hasher.len(), text_start - self.removed);
                self.removed += text.end - text.start;
                self.cuts.push(Cut { part: index, text, out: CutOut { offset, hash, len, lines } });
                give(Piece::Kept(index));
            }
            Some(_) | None if scan.given => give(Piece::Dropped(index)),
            Some(_) | None => {}
        }
    }
}

/// What of a message is cut out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Plan {
    message_len: u64,
    cuts: Vec<Cut>,
}

impl Plan {
    /// The parts that are cut out, in order.
    #[must_use]
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// The list for record and map.
    #[must_use]
    pub fn list(&self) -> Vec<CutOut> {
        self.cuts.iter().map(|cut| cut.out).collect()
    }

    /// Bytes of the skeleton.
    #[must_use]
    pub fn skeleton_len(&self) -> u64 {
        self.cuts.iter().fold(self.message_len, |len, cut| len - (cut.text.end - cut.text.start))
    }

    /// The ranges of the message that make up the skeleton, one behind the other.
    pub fn skeleton(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        let starts = std::iter::once(0).chain(self.cuts.iter().map(|cut| cut.text.end));
        let ends = self.cuts.iter().map(|cut| cut.text.start).chain([self.message_len]);
        starts.zip(ends).map(|(start, end)| start..end).filter(|range| !range.is_empty())
    }
}

/// One body while it is looked at.
#[derive(Debug, Default)]
struct Scan {
    phase: Phase,
    blank: u64,           // bytes before the first character
    lines: Option<Lines>, // known from the first line end on
    column: u32,
    several: bool, // there is a second line
    chars: Vec<u8>,
    padding: bool,
    quad: u8, // characters of the group of four that is not complete
    given: bool,
    hasher: Hasher,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    /// Before the first character.
    #[default]
    Blank,
    /// In a line, or before its first character.
    Line,
    /// Behind a CR in or behind a line.
    Cr,
    /// Behind the end of a full line.
    NextLine,
    /// The base64 has ended.
    Ended,
    /// It is not what can be cut out.
    Refused,
}

impl Scan {
    fn push(&mut self, bytes: &[u8], give: &mut dyn FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            match self.phase {
                Phase::Ended | Phase::Refused => return,
                Phase::Blank if matches!(byte, b'\r' | b'\n') => {
                    self.blank += 1;
                    rest = tail;
                }
                Phase::Blank => {
                    self.phase = if is_base64(byte) { Phase::Line } else { Phase::Refused }
                }
                Phase::NextLine if is_base64(byte) => {
                    (self.column, self.several, self.phase) = (0, true, Phase::Line);
                }
                Phase::NextLine => self.phase = Phase::Ended,
                Phase::Cr => {
                    self.phase = Phase::Line;
                    if byte == b'\n' {
                        self.on_line_end(LineEnding::CrLf);
                    } else {
                        self.phase = Phase::Refused;
                    }
                    rest = tail;
                }
                Phase::Line if byte == b'\n' => {
                    self.on_line_end(LineEnding::Lf);
                    rest = tail;
                }
                Phase::Line if byte == b'\r' => {
                    self.phase = Phase::Cr;
                    rest = tail;
                }
                Phase::Line => rest = self.on_chars(rest, give),
            }
        }
    }

    /// Takes the characters at the front of `rest`; gives what follows.
    fn on_chars<'a>(&mut self, rest: &'a [u8], give: &mut dyn FnMut(&[u8])) -> &'a [u8] {
        let room = self.lines.map_or(LINE_MAX, |lines| lines.len) - self.column;
        let room = (room as usize).min(BLOCK - self.chars.len()).min(rest.len());
        let line = rest.get(..room).unwrap_or_default();
        let mut len = if self.padding { 0 } else { plain_prefix(line) };
        if len == 0 {
            // A character that is none or padding, or one too many in this line. Whether padding belongs here, who decodes
            // it says.
            if line.first() != Some(&b'=') {
                self.phase = Phase::Refused;
                return &[];
            }
            self.padding = true;
            len = 1;
        }
        let (now, later) = rest.split_at(len);
        self.chars.extend_from_slice(now);
        self.column += len as u32;
        self.quad = ((usize::from(self.quad) + len) % 4) as u8;
        if self.padding && self.quad == 0 {
            self.phase = Phase::Ended;
        } else if self.chars.len() == BLOCK {
            self.decode(give);
        }
        later
    }

    fn on_line_end(&mut self, ending: LineEnding) {
        let lines = *self.lines.get_or_insert(Lines { len: self.column, ending });
        if self.column < lines.len {
            // The short line is the last one, whatever follows.
            self.phase = Phase::Ended;
        } else if ending != lines.ending {
            self.phase = Phase::Refused;
        } else {
            self.phase = Phase::NextLine;
        }
    }

    /// Layout and hash of the base64, if it can be cut out.
    fn finish(&mut self, give: &mut dyn FnMut(&[u8])) -> Option<(Lines, Hasher)> {
        match self.phase {
            // A CR alone at the very end stays in the skeleton, as line ends there do.
            Phase::Line | Phase::NextLine | Phase::Cr => self.phase = Phase::Ended,
            Phase::Blank => self.phase = Phase::Refused,
            Phase::Ended | Phase::Refused => {}
        }
        self.decode(give);
        if self.phase == Phase::Refused {
            return None;
        }
        // The length of a line is only known to matter if there is another.
        let lines = self.lines.filter(|_| self.several).unwrap_or_default();
        Some((lines, std::mem::take(&mut self.hasher)))
    }

    /// Decodes what is gathered; refuses what isn't whole groups, or not canonical (RFC 4648 §3.5).
    fn decode(&mut self, give: &mut dyn FnMut(&[u8])) {
        if self.chars.is_empty() || self.phase == Phase::Refused {
            return;
        }
        match STANDARD.decode(&self.chars) {
            Ok(content) => {
                self.hasher.update(&content);
                self.given = true;
                give(&content);
            }
            Err(_) => self.phase = Phase::Refused,
        }
        self.chars.clear();
    }
}

fn is_base64(byte: u8) -> bool {
    is_plain(byte) || byte == b'='
}

/// A character that stands for six bits.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

/// How many characters that stand for six bits are at the front.
fn plain_prefix(line: &[u8]) -> usize {
    const LANES: usize = 16;
    // Without a branch for each byte, which the compiler makes into vectors.
    let blocks = line.chunks_exact(LANES);
    let whole =
        blocks.take_while(|block| block.iter().fold(true, |all, byte| all & is_plain(*byte)));
    let start = whole.count() * LANES;
    let rest = line.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| is_plain(**byte)).count()
}
