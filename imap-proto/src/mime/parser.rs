//! From bytes to parts.
//!
//! Lines are what counts: a header is read line by line, in a body only lines that begin with `--` are looked at, and
//! everything else is skimmed for line feeds. Only such lines are ever held, and of them only a bounded beginning.

use super::decode::Encoding;
use super::field::{Field, FieldName};
use super::layout::{Found, Tree};
use super::value::{ContentType, only_token};
use super::{Kind, Limits, Mime, Part, PartId, header};

/// Bytes of a boundary that are compared. RFC 2046 §5.1.1 allows 70; what differs only behind this is the same.
const BOUNDARY: usize = 256;

/// What a kept field costs besides its bytes.
const FIELD_COST: usize = 16;

/// Takes a message in pieces of any size and gives its structure.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    /// Parts that haven't ended, outermost first; the last is the one being read. Never empty.
    open: Vec<Open>,
    /// What is known so far.
    pub(super) mime: Mime,

    /// Bytes and line feeds taken.
    at: u64,
    lines: u64,
    /// Where the line being taken began, how long the line end in front of it was, and whether its last byte so far
    /// was a CR.
    line_start: u64,
    line_end: u64,
    behind_cr: bool,
    /// The beginning of the line being taken, when it came in more than one piece.
    pub(super) line: Vec<u8>,
    mode: Mode,
    /// Bytes of all header blocks.
    headers: u64,
    /// Whether no bytes will come.
    ended: bool,
}

/// What the line being taken is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    /// A line of the innermost part's header.
    Header,
    /// A line of a body that may be a boundary.
    Body,
    /// A line of a body that is none; nothing of it is held.
    Skim,
}

/// A part that hasn't ended.
#[derive(Debug)]
struct Open {
    part: PartId,
    last_child: Option<PartId>,
    /// Line feeds in front of its body.
    lines: u64,
    /// What separates its parts, if it is a multipart; gone once the closing boundary was seen.
    boundary: Option<Vec<u8>>,
    digest: bool,
    /// Whether its body is that of a leaf, and base64.
    base64: bool,
    /// The field being read and its value so far.
    field: Option<FieldName>,
    value: Vec<u8>,
    /// A bit for each field that describes the part and was seen.
    seen: u32,
}

impl Parser {
    /// Begins a message.
    #[must_use]
    pub fn new(limits: Limits) -> Parser {
        let mut parser = Parser {
            limits,
            open: Vec::new(),
            mime: Mime {
                parts: Vec::new(),
                fields: Vec::new(),
                kept: Vec::new(),
                has_nul: false,
                addresses: limits.addresses,
            },
            at: 0,
            lines: 0,
            line_start: 0,
            line_end: 0,
            behind_cr: false,
            line: Vec::new(),
            mode: Mode::Header,
            headers: 0,
            ended: false,
        };
        parser.begin_part(0);
        parser
    }

    /// Takes the next bytes of the message, any number of them.
    pub fn feed(&mut self, input: &[u8]) {
        self.mime.has_nul |= memchr::memchr(0, input).is_some();
        let mut rest = input;
        while !rest.is_empty() {
            rest = self.step(rest);
        }
    }

    /// Takes the next bytes, as far as they belong to one header or body; gives how many, some if there are any. For who wants
    /// to know where [bodies](Self::base64_body) begin.
    pub fn feed_some(&mut self, input: &[u8]) -> usize {
        let mut rest = input;
        while !rest.is_empty() && rest.len() == input.len() {
            rest = self.step(rest);
        }
        let taken = input.get(..input.len() - rest.len()).unwrap_or_default();
        self.mime.has_nul |= memchr::memchr(0, taken).is_some();
        taken.len()
    }

    /// The leaf part whose body the next byte belongs to, if that is base64 (RFC 2045 §6.8). A line that ends the body is told
    /// of when it is complete, and taken for a part of it until then.
    #[must_use]
    pub fn base64_body(&self) -> Option<PartId> {
        let in_body = self.mode != Mode::Header;
        self.open.last().filter(|open| in_body && open.base64).map(|open| open.part)
    }

    fn step<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        match self.mode {
            Mode::Skim => self.skim(input),
            Mode::Header | Mode::Body => self.take_line(input),
        }
    }

    /// Takes bytes that it need not see: so many, with so many line feeds in them, none of which begins a line with `-`, and
    /// no NUL; the last of them is no line end. As base64 is. `false`, and nothing taken, where they could be something else
    /// than the body of a part: they have to be given by [`feed`](Self::feed) then.
    pub fn skip(&mut self, bytes: u64, line_feeds: u64) -> bool {
        let is_body = match self.mode {
            Mode::Skim => true,
            Mode::Body => self.line.is_empty(),
            Mode::Header => false,
        };
        if is_body && bytes > 0 {
            self.mode = Mode::Skim;
            self.behind_cr = false;
            self.at += bytes;
            self.lines += line_feeds;
        }
        is_body
    }

    /// Bytes of memory it holds, about: for who would rather do without than let a peer fill it to its [`Limits`].
    #[must_use]
    pub fn held(&self) -> usize {
        let open = self.open.iter().map(|open| {
            size_of::<Open>() + open.value.capacity() + open.boundary.as_ref().map_or(0, Vec::len)
        });
        self.mime.parts.capacity() * size_of::<Part>()
            + self.mime.fields.capacity() * size_of::<Field>()
            + self.mime.kept.capacity()
            + self.line.capacity()
            + open.sum::<usize>()
    }

    /// The message is complete.
    #[must_use]
    pub fn finish(mut self) -> Mime {
        self.ended = true;
        if self.mode != Mode::Skim && self.at > self.line_start {
            let line = std::mem::take(&mut self.line);
            self.on_line(&line);
        }
        if self.mode == Mode::Header {
            self.end_header(self.at);
        }
        self.close(0, self.at, 0, self.lines);
        self.mime
    }

    /// Whether the line, as far as it is known, may be a boundary.
    fn may_be_boundary(&self, input: &[u8]) -> bool {
        let mut start = self.line.iter().chain(input).take(2);
        self.open.iter().any(|open| open.boundary.is_some()) && start.all(|&byte| byte == b'-')
    }

    /// Takes up to the end of the line, or all; what follows is left.
    fn take_line<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        if self.mode == Mode::Body && !self.may_be_boundary(input) {
            self.line.clear();
            self.mode = Mode::Skim;
            return input;
        }
        let Some(lf) = memchr::memchr(b'\n', input) else {
            self.hold(input);
            self.pass(input);
            return &[];
        };
        let (line, rest) = input.split_at(lf + 1);
        let line_end = if ends_in_crlf(line, self.behind_cr) { 2 } else { 1 };
        self.pass(line);
        if self.line.is_empty() {
            self.on_line(line.get(..self.most_held()).unwrap_or(line));
        } else {
            self.hold(line);
            let mut whole = std::mem::take(&mut self.line);
            self.on_line(&whole);
            whole.clear();
            self.line = whole;
        }
        self.lines += 1;
        self.next_line(line_end);
        rest
    }

    /// Takes up to the next line that may be a boundary, or all.
    fn skim<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let next = match memchr::memmem::find(input, b"\n-") {
            Some(lf) => Some(lf + 1),
            None => (input.last() == Some(&b'\n')).then_some(input.len()),
        };
        let (text, rest) = input.split_at(next.unwrap_or(input.len()));
        let line_end = if ends_in_crlf(text, self.behind_cr) { 2 } else { 1 };
        self.pass(text);
        self.lines += memchr::memchr_iter(b'\n', text).count() as u64;
        if next.is_some() {
            self.mode = Mode::Body;
            self.next_line(line_end);
        }
        rest
    }

    fn pass(&mut self, bytes: &[u8]) {
        super::work(bytes.len());
        self.at += bytes.len() as u64;
        self.behind_cr = bytes.last() == Some(&b'\r');
    }

    fn next_line(&mut self, line_end: u64) {
        self.line_start = self.at;
        self.line_end = line_end;
        self.behind_cr = false;
    }

    /// Most bytes of a line that are looked at.
    fn most_held(&self) -> usize {
        match self.mode {
            Mode::Header => self.limits.field as usize,
            Mode::Body | Mode::Skim => 0,
        }
        .max(BOUNDARY + 6)
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = self.most_held().saturating_sub(self.line.len());
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// A line is complete, or the message is; `line` is its beginning, with its line end if that is near.
    fn on_line(&mut self, line: &[u8]) {
        if let Some((index, closes)) = self.boundary(line) {
            return self.on_boundary(index, closes);
        }
        match self.mode {
            Mode::Header => self.on_header_line(line),
            Mode::Body | Mode::Skim => self.mode = Mode::Body,
        }
    }

    /// The open part whose boundary the line is, and whether it is the closing one.
    ///
    /// RFC 2046 §5.1.1: the boundary has to be the beginning of the line, not all of it. So several may match: the
    /// longest counts, of equals the innermost; but one that is the whole line leaves no doubt for those outside it.
    fn boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.strip_prefix(b"--")?;
        super::work(self.open.len());
        if self.mime.parts.len() >= self.limits.parts as usize {
            return None; // row 29: the rest belongs to the last part
        }
        let mut longest: Option<(usize, usize, bool)> = None;
        for (index, open) in self.open.iter().enumerate().rev() {
            let Some(boundary) = open.boundary.as_deref() else { continue };
            if longest.is_some_and(|(len, ..)| boundary.len() <= len) {
                continue;
            }
            let Some(rest) = text.strip_prefix(boundary) else { continue };
            let closing = rest.strip_prefix(b"--");
            longest = Some((boundary.len(), index, closing.is_some()));
            if matches!(closing.unwrap_or(rest), b"" | b"\n" | b"\r\n") {
                break;
            }
        }
        longest.map(|(_, index, closes)| (index, closes))
    }

    /// Whether no other parts will be directly inside this one.
    pub(super) fn has_all_children(&self, part: usize) -> bool {
        let open = self.open.iter().find(|open| open.part.0 as usize == part);
        open.is_none_or(|open| self.kind(part).is_some() && open.boundary.is_none())
    }

    fn on_boundary(&mut self, index: usize, closes: bool) {
        // RFC 2046 §5.1.1: the line end in front of a boundary belongs to it.
        let end = self.line_start - self.line_end;
        if self.mode == Mode::Header {
            self.end_header(end); // what is there is all of the part
        }
        self.close(index + 1, end, self.line_end, self.lines);
        self.mode = Mode::Body;
        let Some(open) = self.open.last_mut() else { return };
        if closes {
            open.boundary = None; // what follows is the epilogue
        } else if !self.ended && self.mime.parts.len() < self.limits.parts as usize {
            // RFC 2046 §5.1.1: a part begins behind the boundary's line, and a line that doesn't end has nothing behind.
            self.begin_part(self.at);
        }
    }

    /// Ends all parts from this one inwards, at `end`.
    ///
    /// The line end in front of a boundary is the boundary's even where it had seemed to be the empty line behind a
    /// header, or the end of another boundary's line (RFC 2046 §5.1.1: `body-part := MIME-part-headers [CRLF *OCTET]`).
    /// So a header or body may have begun behind `end`: such are empty, and a part holds its children whatever they
    /// are (row 30).
    fn close(&mut self, from: usize, end: u64, line_end: u64, lines: u64) {
        while self.open.len() > from {
            let Some(open) = self.open.pop() else { return };
            let Some(part) = self.mime.parts.get_mut(open.part.0 as usize) else { return };
            part.header = part.header.min(end);
            part.body = part.body.min(end);
            part.end = end;
            part.lines = lines.saturating_sub(open.lines).saturating_sub(u64::from(line_end > 0));
        }
    }

    /// Adds a part inside the innermost open one; its header is read next.
    fn begin_part(&mut self, start: u64) {
        let id = PartId(self.mime.parts.len() as u32);
        let parent = self.open.last().map(|open| open.part);
        let in_digest = self.open.last().is_some_and(|open| open.digest);
        let fields = self.mime.fields.len() as u32;
        self.mime.parts.push(Part {
            header: start,
            body: start,
            end: start,
            lines: 0,
            kind: Kind::Leaf,
            parent,
            first_child: None,
            next: None,
            fields: fields..fields,
            in_digest,
        });
        if let Some(open) = self.open.last_mut() {
            let previous = open.last_child.replace(id);
            let link = match previous {
                Some(previous) => {
                    self.mime.parts.get_mut(previous.0 as usize).map(|part| &mut part.next)
                }
                None => {
                    self.mime.parts.get_mut(open.part.0 as usize).map(|part| &mut part.first_child)
                }
            };
            if let Some(link) = link {
                *link = Some(id);
            }
        }
        self.open.push(Open {
            part: id,
            last_child: None,
            lines: self.lines,
            boundary: None,
            digest: false,
            base64: false,
            field: None,
            value: Vec::new(),
            seen: 0,
        });
        self.mode = Mode::Header;
    }

    fn on_header_line(&mut self, line: &[u8]) {
        self.headers += self.at - self.line_start;
        let Some(open) = self.open.last_mut() else { return };
        let block =
            self.at - self.mime.parts.get(open.part.0 as usize).map_or(0, |part| part.header);
        match line {
            b"\n" | b"\r\n" => {
                self.lines += 1; // counted here, since the body's lines begin behind it
                self.end_header(self.at);
                self.lines -= 1;
            }
            // Row 32: in what is beyond the limit nothing but the end of the header is looked for.
            _ if block > self.limits.header || self.headers > self.limits.headers => {}
            // RFC 5322 §2.2.3: a line that begins with white space continues the field.
            [b' ' | b'\t', ..] => {
                if open.field.is_some() {
                    let room = (self.limits.field as usize).saturating_sub(open.value.len());
                    open.value.extend_from_slice(line.get(..room).unwrap_or(line));
                }
            }
            _ => {
                self.end_field();
                let Some(colon) = memchr::memchr(b':', line) else { return }; // no field: skipped
                let (name, value) = line.split_at(colon);
                if let (Some(field), Some(open)) =
                    (FieldName::of(name.trim_ascii_end()), self.open.last_mut())
                {
                    open.field = Some(field);
                    open.value.extend_from_slice(value.get(1..).unwrap_or_default());
                }
            }
        }
    }

    /// Keeps the field that was being read, if it is shown somewhere and there is room.
    fn end_field(&mut self) {
        let Some(open) = self.open.last_mut() else { return };
        let Some(name) = open.field.take() else { return };
        let part = open.part;
        let mut value = std::mem::take(&mut open.value);
        self.keep_field(part, name, &value);
        // The next field's value goes to the same memory, unless that is much.
        value.clear();
        if let Some(open) = self.open.last_mut().filter(|_| value.capacity() <= 1024) {
            open.value = value;
        }
    }

    fn keep_field(&mut self, part: PartId, name: FieldName, value: &[u8]) {
        let Some(open) = self.open.last_mut() else { return };
        let room = if name.describes_part() {
            let bit = 1 << name as u32;
            if open.seen & bit != 0 {
                return; // the first counts
            }
            open.seen |= bit;
            self.limits.kept
        } else {
            let parent = self.mime.parts.get(part.0 as usize).and_then(|part| part.parent);
            let in_message = parent.and_then(|parent| self.mime.parts.get(parent.0 as usize));
            if in_message.is_some_and(|parent| parent.kind != Kind::Message) {
                return; // only messages have envelopes
            }
            self.limits.kept / 2 // so that addresses leave room for what the structure is made of
        };
        if self.mime.kept.len() + self.mime.fields.len() * FIELD_COST + value.len() + FIELD_COST
            > room as usize
        {
            return;
        }
        super::work(value.len());
        let start = self.mime.kept.len() as u32;
        header::unfold(value, self.limits.field as usize, &mut self.mime.kept);
        self.mime.fields.push(Field { name, value: start..self.mime.kept.len() as u32 });
    }

    /// The first value kept of a field of the part being read.
    fn value(&self, part: PartId, name: FieldName) -> Option<&[u8]> {
        let start = self.mime.parts.get(part.0 as usize)?.fields.start as usize;
        super::work(self.mime.fields.len() - start);
        let field = self.mime.fields.get(start..)?.iter().find(|field| field.name == name)?;
        self.mime.kept.get(field.value.start as usize..field.value.end as usize)
    }

    /// The innermost header ended; the body begins at `body`.
    fn end_header(&mut self, body: u64) {
        self.end_field();
        let Some(open) = self.open.last_mut() else { return };
        open.lines = self.lines;
        let Some(part) = self.mime.parts.get_mut(open.part.0 as usize) else { return };
        part.body = body.max(part.header);
        part.fields.end = self.mime.fields.len() as u32;
        let body = part.body;
        self.mode = Mode::Body;
        if self.classify() == Kind::Message {
            self.begin_part(body);
        }
    }

    /// Decides what the body of the innermost part is.
    fn classify(&mut self) -> Kind {
        let Some(id) = self.open.last().map(|open| open.part) else { return Kind::Leaf };
        let in_digest = self.mime.parts.get(id.0 as usize).is_some_and(|part| part.in_digest);
        let value = self.value(id, FieldName::ContentType);
        let content_type = value.and_then(ContentType::parse);
        let multipart = content_type
            .as_ref()
            .is_some_and(|found| found.is_multipart() && !found.subtype.is_empty());
        let digest = content_type.as_ref().is_some_and(|found| found.is("multipart", "digest"));
        let boundary = content_type.as_ref().and_then(|found| found.param("boundary"));
        let boundary = boundary.filter(|boundary| !boundary.is_empty());
        let boundary =
            boundary.map(|boundary| boundary.get(..BOUNDARY).unwrap_or(&boundary).to_vec());
        let message = match &content_type {
            Some(found) => found.is_message(),
            // RFC 2046 §5.1.5: the default in a digest.
            None => in_digest && value.is_none(),
        };
        // RFC 2046 §5.2.1, RFC 2045 §6.4: nothing else may be used on composite types.
        let encoding = self
            .value(id, FieldName::ContentTransferEncoding)
            .and_then(only_token)
            .unwrap_or(b"7bit");
        let identity = [&b"7bit"[..], b"8bit", b"binary"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(encoding));
        let base64 = Encoding::known(encoding) == Some(Encoding::Base64);
        let too_deep = self.open.len() > self.limits.depth as usize;
        let too_many = self.mime.parts.len() >= self.limits.parts as usize;
        let kind = match (multipart, message) {
            (false, false) => Kind::Leaf,
            (true, _) | (_, true) if too_deep => Kind::Opaque,
            (true, _) => Kind::Multipart,
            (false, true) if !identity => Kind::Leaf,
            (false, true) if too_many => Kind::Opaque,
            (false, true) => Kind::Message,
        };
        if let Some(open) = self.open.last_mut() {
            open.digest = digest;
            open.base64 = base64 && kind == Kind::Leaf;
            open.boundary = boundary.filter(|_| kind == Kind::Multipart);
        }
        if let Some(part) = self.mime.parts.get_mut(id.0 as usize) {
            part.kind = kind;
        }
        kind
    }
}

impl Tree for Parser {
    fn kind(&self, part: usize) -> Option<Kind> {
        let found = self.mime.parts.get(part)?;
        if self.has_ended(part) {
            return Some(found.kind);
        }
        let is_read = self.mode == Mode::Header
            && self.open.last().is_some_and(|open| open.part.0 as usize == part);
        // A boundary right behind the header would take its empty line: see `close`.
        let stays = self.mode == Mode::Skim || self.line_start > found.body;
        (!is_read && stays).then_some(found.kind)
    }

    fn child(&self, of: usize, index: usize) -> Found<usize> {
        match self.mime.child(of, index) {
            Found::Nothing if !self.has_all_children(of) => Found::Unknown,
            found @ (Found::Part(_) | Found::Nothing | Found::Unknown) => found,
        }
    }

    fn has_ended(&self, part: usize) -> bool {
        !self.open.iter().any(|open| open.part.0 as usize == part)
    }
}

/// Whether text that ends in LF, behind an earlier CR or not, ends in CRLF.
fn ends_in_crlf(text: &[u8], behind_cr: bool) -> bool {
    match text {
        [b'\n'] => behind_cr,
        [.., b'\r', b'\n'] => true,
        _ => false,
    }
}
