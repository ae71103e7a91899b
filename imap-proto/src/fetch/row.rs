//! One `* seq FETCH (…)` line.

use std::ops::Range;

use super::section::{FieldNames, Section, SectionKind};
use super::{FetchItems, Fixed, Keywords, MessageSource, Meta, SourceError};
use super::{binary, number};
use crate::date::DateTime;
use crate::mime::header::{Initials, RawFields};
use crate::mime::wire::copy_without_nul;
use crate::mime::{Extent, Limits};
use crate::object_id;
use crate::thread::thread_id;
use crate::types::{Blob, Seq, SystemFlags};

/// A section longer than this goes out as a [`Piece::Blob`].
pub(super) const COPIED: u64 = 64 << 10;

/// Behind so many bytes that wait every section goes out as one: a command may name thousands of them.
const HELD: usize = 256 << 10;

/// A stretch of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// These bytes of a stored message, each NUL shown as 0x80 by whoever sends them; or of a
    /// [`DecodedPart`](super::DecodedPart), as they are.
    Blob(Blob, Range<u64>),
}

/// Rows being written.
#[derive(Debug, Default)]
pub struct Rows {
    done: Vec<Piece>,
    tail: Vec<u8>,
    /// Bytes in `done`, blobs not counted.
    held: usize,
    /// Fields of the header at hand; kept for its memory.
    fields: Vec<Range<usize>>,
}

impl Rows {
    /// No rows yet; room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Rows {
        Rows { tail: Vec::with_capacity(capacity), ..Rows::default() }
    }

    /// Bytes held in memory so far; what a budget is compared with.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held + self.tail.len()
    }

    /// What was written.
    #[must_use]
    pub fn into_pieces(mut self) -> Vec<Piece> {
        self.seal();
        self.done
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.held += self.tail.len();
            self.done.push(Piece::Bytes(std::mem::take(&mut self.tail)));
        }
    }

    /// Whether a section of this length is copied into the row.
    pub(super) fn copies(&self, len: u64) -> bool {
        len <= COPIED && self.held() <= HELD
    }

    /// Where bytes are added.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    pub(super) fn blob(&mut self, blob: Blob, range: Range<u64>) {
        self.seal();
        self.done.push(Piece::Blob(blob, range));
    }

    /// Forgets what was written since there were `pieces` pieces and `bytes` bytes behind them.
    fn undo(&mut self, pieces: usize, bytes: usize) {
        while self.done.len() > pieces {
            if let Some(Piece::Bytes(last)) = self.done.pop() {
                self.held -= last.len();
                self.tail = last; // the last one taken back holds the rows before
            }
        }
        self.tail.truncate(bytes);
    }
}

/// Writes the row of one message: `* seq FETCH (…)` and its line end.
///
/// `with_flags` adds FLAGS to the items, for a message whose `\Seen` this command set. On an error nothing is written.
pub fn render_row<S: MessageSource + ?Sized>(
    rows: &mut Rows,
    items: &FetchItems,
    with_flags: bool,
    seq: Seq,
    meta: &Meta<'_>,
    source: &mut S,
) -> Result<(), SourceError> {
    let fixed = if with_flags { items.fixed | Fixed::FLAGS } else { items.fixed };
    if items.meta_only() {
        write_meta(&mut rows.tail, fixed, seq, meta);
        end_row(&mut rows.tail);
        return Ok(());
    }
    let (pieces, bytes) = (rows.done.len(), rows.tail.len());
    write_meta(&mut rows.tail, fixed, seq, meta);
    let result = write_thread_id(&mut rows.tail, fixed, meta, source)
        .and_then(|()| write_sourced(rows, items, fixed, source));
    match result {
        Ok(()) => end_row(&mut rows.tail),
        Err(_) => rows.undo(pieces, bytes),
    }
    result
}

/// The beginning of a row and every item that [`Meta`] answers, each followed by a space.
fn write_meta(out: &mut Vec<u8>, fixed: Fixed, seq: Seq, meta: &Meta<'_>) {
    out.extend_from_slice(b"* ");
    number::write(u64::from(seq.0), out);
    out.extend_from_slice(b" FETCH (");
    if fixed.contains(Fixed::UID) {
        out.extend_from_slice(b"UID ");
        number::write(u64::from(meta.uid.0), out);
        out.push(b' ');
    }
    if fixed.contains(Fixed::FLAGS) {
        out.extend_from_slice(b"FLAGS (");
        write_flags(out, meta.flags, meta.recent, &meta.keywords);
        out.extend_from_slice(b") ");
    }
    if fixed.contains(Fixed::INTERNALDATE) {
        out.extend_from_slice(b"INTERNALDATE ");
        write_date(out, meta.internal_date);
    }
    if fixed.contains(Fixed::SIZE) {
        out.extend_from_slice(b"RFC822.SIZE ");
        number::write(meta.size, out);
        out.push(b' ');
    }
    if fixed.contains(Fixed::MODSEQ) {
        out.extend_from_slice(b"MODSEQ (");
        number::write(meta.modseq.0, out);
        out.extend_from_slice(b") ");
    }
    if fixed.contains(Fixed::SAVEDATE) {
        out.extend_from_slice(b"SAVEDATE ");
        match meta.save_date {
            Some(date) => write_date(out, date),
            None => out.extend_from_slice(b"NIL "),
        }
    }
    if fixed.contains(Fixed::EMAILID) {
        out.extend_from_slice(b"EMAILID (");
        out.extend_from_slice(&object_id::email(meta.email_id));
        out.extend_from_slice(b") ");
    }
}

/// Puts the end of the row in the place of the last item's space.
fn end_row(out: &mut Vec<u8>) {
    if out.last() == Some(&b' ') {
        out.pop();
    }
    out.extend_from_slice(b")\r\n");
}

/// `\Answered \Seen $Forwarded`, `\Recent` last.
fn write_flags(out: &mut Vec<u8>, flags: SystemFlags, recent: bool, keywords: &Keywords<'_>) {
    let start = out.len();
    for (flag, name) in SystemFlags::NAMES {
        if flags.contains(flag) {
            out.extend_from_slice(name.as_bytes());
            out.push(b' ');
        }
    }
    for keyword in keywords.iter() {
        out.extend_from_slice(keyword.as_str().as_bytes());
        out.push(b' ');
    }
    if recent {
        out.extend_from_slice(b"\\Recent ");
    }
    if out.len() > start {
        out.pop();
    }
}

fn write_date(out: &mut Vec<u8>, date: DateTime) {
    out.push(b'"');
    out.extend_from_slice(&date.format());
    out.extend_from_slice(b"\" ");
}

/// `THREADID` SP `(` objectid `)` (RFC 8474 §5.3).
fn write_thread_id<S: MessageSource + ?Sized>(
    out: &mut Vec<u8>,
    fixed: Fixed,
    meta: &Meta<'_>,
    source: &mut S,
) -> Result<(), SourceError> {
    if fixed.contains(Fixed::THREADID) {
        let id = thread_id(meta.email_id, source)?;
        out.extend_from_slice(b"THREADID (");
        out.extend_from_slice(&object_id::thread(id));
        out.extend_from_slice(b") ");
    }
    Ok(())
}

fn write_sourced<S: MessageSource + ?Sized>(
    rows: &mut Rows,
    items: &FetchItems,
    fixed: Fixed,
    source: &mut S,
) -> Result<(), SourceError> {
    if fixed.contains(Fixed::ENVELOPE) {
        rows.tail.extend_from_slice(b"ENVELOPE ");
        rows.tail.extend_from_slice(source.envelope()?);
        rows.tail.push(b' ');
    }
    for (item, name, extended) in
        [(Fixed::BODY, &b"BODY "[..], false), (Fixed::BODYSTRUCTURE, &b"BODYSTRUCTURE "[..], true)]
    {
        if fixed.contains(item) {
            rows.tail.extend_from_slice(name);
            rows.tail.extend_from_slice(source.body_structure(extended)?);
            rows.tail.push(b' ');
        }
    }
    for section in &items.sections {
        rows.tail.extend_from_slice(&section.name);
        rows.tail.push(b' ');
        write_section(rows, section, source)?;
        rows.tail.push(b' ');
    }
    Ok(())
}

fn write_section<S: MessageSource + ?Sized>(
    rows: &mut Rows,
    section: &Section,
    source: &mut S,
) -> Result<(), SourceError> {
    let (names, wanted) = match &section.kind {
        SectionKind::HeaderFields(names) => (names, true),
        SectionKind::HeaderFieldsNot(names) => (names, false),
        SectionKind::Binary => return binary::write(rows, section, source),
        SectionKind::BinarySize => return binary::write_size(rows, section, source),
        SectionKind::All | SectionKind::Header | SectionKind::Text | SectionKind::Mime => {
            return match locate(section, source)? {
                Some(range) => write_range(rows, clip(range, section.partial), source),
                None => write_nothing(rows),
            };
        }
    };
    if section.path.is_empty() {
        let header = if wanted { source.header_fields(names)? } else { source.header()? };
        write_fields(rows, header, names, wanted, section.partial);
        return Ok(());
    }
    let Some(range) = locate(section, source)? else { return write_nothing(rows) };
    let end = range.end.min(range.start.saturating_add(Limits::default().header));
    let mut header = Vec::new();
    copy(range.start..end, source, &mut header)?;
    write_fields(rows, &header, names, wanted, section.partial);
    Ok(())
}

/// A part that isn't there is empty, as other servers have it.
pub(super) fn write_nothing(rows: &mut Rows) -> Result<(), SourceError> {
    rows.tail.extend_from_slice(b"\"\"");
    Ok(())
}

/// Where a section is in the message, before its partial; `None` when the message has no such part.
fn locate<S: MessageSource + ?Sized>(
    section: &Section,
    source: &mut S,
) -> Result<Option<Range<u64>>, SourceError> {
    let len = source.len();
    if section.path.is_empty() {
        return Ok(Some(match section.kind {
            SectionKind::All | SectionKind::Binary | SectionKind::BinarySize => 0..len,
            SectionKind::Text => header_end(source)?..len,
            SectionKind::Header
            | SectionKind::Mime
            | SectionKind::HeaderFields(_)
            | SectionKind::HeaderFieldsNot(_) => 0..header_end(source)?,
        }));
    }
    let extent = match section.kind {
        SectionKind::Mime => Extent::Header,
        SectionKind::Header | SectionKind::HeaderFields(_) | SectionKind::HeaderFieldsNot(_) => {
            Extent::Inside
        }
        SectionKind::All | SectionKind::Text | SectionKind::Binary | SectionKind::BinarySize => {
            Extent::Whole
        }
    };
    let Some(place) = source.place(&section.path, extent)? else { return Ok(None) };
    Ok(match section.kind {
        SectionKind::All | SectionKind::Binary | SectionKind::BinarySize => {
            Some(place.body..place.end)
        }
        SectionKind::Mime => Some(place.header..place.body),
        // RFC 9051 §6.4.5.1: HEADER and TEXT of a part are those of the message inside message/rfc822.
        SectionKind::Text => place.inside.map(|(_, body, end)| body..end),
        SectionKind::Header | SectionKind::HeaderFields(_) | SectionKind::HeaderFieldsNot(_) => {
            place.inside.map(|(header, body, _)| header..body)
        }
    })
}

/// Where the message's body begins.
fn header_end<S: MessageSource + ?Sized>(source: &mut S) -> Result<u64, SourceError> {
    let len = source.len();
    let header = source.header()?;
    let whole = header.ends_with(b"\n\n")
        || header.ends_with(b"\n\r\n")
        || matches!(header, b"\n" | b"\r\n");
    let end = header.len() as u64;
    // A longer header than the source gives at once: the parts know its end.
    if whole || end >= len {
        return Ok(end.min(len));
    }
    Ok(source.place(&[], Extent::Header)?.map_or(len, |message| message.body))
}

/// The octets of `range` that a partial asks for; none past its end, whatever the numbers (row 48).
pub(super) fn clip(range: Range<u64>, partial: Option<(u64, u64)>) -> Range<u64> {
    let Some((offset, count)) = partial else { return range };
    let start = range.start.saturating_add(offset).min(range.end);
    let end = start.saturating_add(count).min(range.end);
    start..end
}

fn write_range<S: MessageSource + ?Sized>(
    rows: &mut Rows,
    range: Range<u64>,
    source: &mut S,
) -> Result<(), SourceError> {
    let len = range.end.saturating_sub(range.start);
    if len == 0 {
        rows.tail.extend_from_slice(b"\"\"");
        return Ok(());
    }
    write_literal(len, &mut rows.tail);
    if !rows.copies(len) {
        let blob = source.blob()?;
        rows.blob(blob, range);
        return Ok(());
    }
    copy(range, source, &mut rows.tail)
}

pub(super) fn write_literal(len: u64, out: &mut Vec<u8>) {
    out.push(b'{');
    number::write(len, out);
    out.extend_from_slice(b"}\r\n");
}

/// Appends the bytes of a range, each NUL as 0x80.
fn copy<S: MessageSource + ?Sized>(
    range: Range<u64>,
    source: &mut S,
    out: &mut Vec<u8>,
) -> Result<(), SourceError> {
    let mut at = range.start;
    while at < range.end {
        let bytes = source.read(at..range.end)?;
        let room = usize::try_from(range.end - at).unwrap_or(usize::MAX);
        let bytes = bytes.get(..room).unwrap_or(bytes);
        if bytes.is_empty() {
            return Err(SourceError::Corrupt); // shorter than it says: the literal's length is already written
        }
        copy_without_nul(bytes, out);
        at += bytes.len() as u64;
    }
    Ok(())
}

/// The fields of a raw header that are named, or those that aren't, and the empty line (RFC 9051 §6.4.5.1).
fn write_fields(
    rows: &mut Rows,
    header: &[u8],
    names: &FieldNames,
    wanted: bool,
    partial: Option<(u64, u64)>,
) {
    rows.fields.clear();
    let mut total = 0;
    let initials = if wanted { names.initials() } else { Initials::ANY };
    let mut fields = RawFields::beginning(header, initials);
    for field in fields.by_ref() {
        if names.contains(field.name) == wanted {
            total += field.range.len();
            match rows.fields.last_mut() {
                Some(last) if last.end == field.range.start => last.end = field.range.end,
                _ => rows.fields.push(field.range),
            }
        }
    }
    // The empty line belongs to every subset, unless the message has neither it nor a body. Of a header beyond the
    // limit it isn't seen, but there is something behind.
    let end = fields.at();
    let has_more = header.len() > end || end as u64 >= Limits::default().header;
    let empty_line: &[u8] = if has_more { b"\r\n" } else { b"" };
    let part = clip(0..(total + empty_line.len()) as u64, partial);
    if part.is_empty() {
        rows.tail.extend_from_slice(b"\"\"");
        return;
    }
    write_literal(part.end - part.start, &mut rows.tail);
    let (mut skip, mut left) = (part.start as usize, (part.end - part.start) as usize);
    let fields = rows.fields.iter().filter_map(|range| header.get(range.clone()));
    for bytes in fields.chain([empty_line]) {
        let (skipped, bytes) = bytes.split_at(skip.min(bytes.len()));
        skip -= skipped.len();
        let bytes = bytes.get(..left).unwrap_or(bytes);
        left -= bytes.len();
        copy_without_nul(bytes, &mut rows.tail);
    }
}
