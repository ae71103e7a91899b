//! Cutting: which parts of a message encode again to the same bytes, and what their content is.

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

/// What a [`Cutter`] says of a message, in order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Piece<'a> {
    /// The next bytes of the skeleton.
    Text(&'a [u8]),
    /// The next bytes of a part's content, decoded.
    Content(&'a [u8]),
    /// The part is cut out, and its content complete: what came since the last one that was complete.
    Kept(CutOut),
    /// The content is too short to be cut out: its base64, laid out in these lines, is what the skeleton goes on with.
    Back(Lines),
}

/// Looks at a message while it streams by, and takes it apart: what stays in the skeleton, and the contents that can be
/// stored apart.
///
/// Where the bodies of leaf parts are whose Content-Transfer-Encoding is base64 (RFC 2045 §6.8) is told by the caller when one
/// [begins](Self::begin), as a MIME parser that sees the same bytes knows it. What is cut out of a body is what stands behind
/// blank lines and is canonical base64 in lines of one length (the last may be shorter) with one kind of line end. It ends at
/// padding, at a short line, before anything that is no base64, or with the body; what follows stays in the skeleton, the
/// last line end among it. If that is not whole groups, or not canonical, it ends with the last block of 32 KiB before.
///
/// The content is given while it comes, before it is known whether there is enough of it: if there isn't, it is to be put
/// back.
#[derive(Debug)]
pub struct Cutter {
    options: Options,
    scan: Option<Scan>,
    list: Vec<CutOut>,
    /// Bytes of the skeleton so far.
    skeleton: u64,
}

impl Cutter {
    /// Gets ready for a message.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, scan: None, list: Vec::new(), skeleton: 0 }
    }

    /// With the next byte the body of a base64 part begins.
    pub fn begin(&mut self, give: &mut dyn FnMut(Piece<'_>)) {
        self.end(give);
        self.scan = (self.list.len() < self.options.most).then(Scan::default);
    }

    /// Takes the next bytes of the message.
    pub fn push(&mut self, bytes: &[u8], give: &mut dyn FnMut(Piece<'_>)) {
        let mut rest = bytes;
        while let Some(scan) = self.scan.as_mut().filter(|_| !rest.is_empty()) {
            let taken = scan.push(rest, &mut |content| give(Piece::Content(content)));
            let (now, later) = rest.split_at(taken);
            if scan.phase == Phase::Blank {
                self.stays(now, give);
            }
            rest = later;
            if self.scan.as_ref().is_some_and(|scan| scan.phase == Phase::Ended) {
                self.end(give);
            }
        }
        self.stays(rest, give);
    }

    /// The body has ended, or the message has.
    pub fn end(&mut self, give: &mut dyn FnMut(Piece<'_>)) {
        let Some(mut scan) = self.scan.take() else { return };
        // Behind the last character there may be a line end.
        let behind = match scan.decode(&mut |content| give(Piece::Content(content))) {
            true => scan.raw.get(scan.last..).unwrap_or_default(),
            false => &scan.raw,
        };
        let len = scan.hasher.len();
        // The length of a line is only known to matter if there is another.
        let lines = scan.lines.filter(|lines| lines.line_ends(len) > 0).unwrap_or_default();
        if len >= self.options.least.max(1) {
            let cut = CutOut { offset: self.skeleton, hash: scan.hasher.hash(), len, lines };
            self.list.push(cut);
            give(Piece::Kept(cut));
        } else if len > 0 {
            self.skeleton += lines.text_len(len);
            give(Piece::Back(lines));
        }
        self.stays(behind, give);
    }

    /// The parts that were cut out so far, in order.
    #[must_use]
    pub fn list(&self) -> &[CutOut] {
        &self.list
    }

    fn stays(&mut self, text: &[u8], give: &mut dyn FnMut(Piece<'_>)) {
        if !text.is_empty() {
            self.skeleton += text.len() as u64;
            give(Piece::Text(text));
        }
    }
}

/// One body while it is looked at.
#[derive(Debug, Default)]
struct Scan {
    phase: Phase,
    lines: Option<Lines>, // known from the first line end on
    column: u32,
    /// What was not decoded yet: the characters alone, and as they came.
    chars: Vec<u8>,
    raw: Vec<u8>,
    /// Bytes of `raw` up to its last character.
    last: usize,
    padding: bool,
    quad: u8, // characters of the group of four that is not complete
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
}

impl Scan {
    /// Takes bytes up to the end of the base64, those of blank lines before it apart from others; gives how many.
    fn push(&mut self, bytes: &[u8], give: &mut dyn FnMut(&[u8])) -> usize {
        if self.phase == Phase::Blank {
            let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            if blank > 0 {
                return blank;
            }
        }
        let mut rest = bytes;
        while let Some((&byte, tail)) = rest.split_first() {
            match self.phase {
                Phase::Ended => break,
                Phase::Blank => {
                    self.phase = if is_base64(byte) { Phase::Line } else { Phase::Ended }
                }
                Phase::NextLine if is_base64(byte) => {
                    (self.column, self.phase) = (0, Phase::Line);
                }
                Phase::NextLine => self.phase = Phase::Ended,
                Phase::Cr if byte == b'\n' => {
                    self.raw.push(byte);
                    self.on_line_end(LineEnding::CrLf);
                    rest = tail;
                }
                Phase::Cr => self.phase = Phase::Ended,
                Phase::Line if byte == b'\n' => {
                    self.raw.push(byte);
                    self.on_line_end(LineEnding::Lf);
                    rest = tail;
                }
                Phase::Line if byte == b'\r' => {
                    self.raw.push(byte);
                    self.phase = Phase::Cr;
                    rest = tail;
                }
                Phase::Line => rest = self.on_chars(rest, give),
            }
        }
        bytes.len() - rest.len()
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
                self.phase = Phase::Ended;
                return rest;
            }
            self.padding = true;
            len = 1;
        }
        let (now, later) = rest.split_at(len);
        self.chars.extend_from_slice(now);
        self.raw.extend_from_slice(now);
        self.last = self.raw.len();
        self.column += len as u32;
        self.quad = ((usize::from(self.quad) + len) % 4) as u8;
        let ended = self.padding && self.quad == 0;
        if ended || self.chars.len() == BLOCK && !self.decode(give) {
            self.phase = Phase::Ended;
        }
        later
    }

    fn on_line_end(&mut self, ending: LineEnding) {
        let lines = *self.lines.get_or_insert(Lines { len: self.column, ending });
        // A short line is the last one, and one with another end is, too.
        let last = self.column < lines.len || ending != lines.ending;
        self.phase = if last { Phase::Ended } else { Phase::NextLine };
    }

    /// Decodes what is gathered, if that is whole groups and canonical (RFC 4648 §3.5).
    fn decode(&mut self, give: &mut dyn FnMut(&[u8])) -> bool {
        let Ok(content) = STANDARD.decode(&self.chars) else { return false };
        if !content.is_empty() {
            self.hasher.update(&content);
            give(&content);
        }
        self.chars.clear();
        // What stands behind the last character is looked at by who ends; in the middle of a text nothing does.
        if self.phase == Phase::Line && self.last == self.raw.len() {
            self.raw.clear();
            self.last = 0;
        }
        true
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
