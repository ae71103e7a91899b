//! One `BODY[…]` of a FETCH, or one of the older names for it.

use crate::mime::header::Initials;
use std::sync::Arc;

/// What of a part is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SectionKind {
    /// `BODY[]`, `BODY[1]`: the message, or the part's body.
    All,
    /// `HEADER`: the header block with its empty line.
    Header,
    /// `HEADER.FIELDS (…)`: the fields of these names, in any case.
    HeaderFields(FieldNames),
    /// `HEADER.FIELDS.NOT (…)`: all other fields.
    HeaderFieldsNot(FieldNames),
    /// `TEXT`: what follows the header block.
    Text,
    /// `1.MIME`: the part's own header; its path is never empty.
    Mime,
    /// `BINARY[1]`: the part with its transfer encoding undone (RFC 3516 §4.2).
    Binary,
    /// `BINARY.SIZE[1]`: the octets of that.
    BinarySize,
}

/// Names of header fields, as a client wrote them and ready to be compared; a clone costs nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldNames(Arc<Names>);

#[derive(Debug, Eq, PartialEq)]
struct Names {
    written: Vec<Vec<u8>>,
    /// In lower case, sorted: a command may name thousands, and a header may have millions of lines.
    sorted: Vec<Vec<u8>>,
    /// Bit `n` for the lengths of `n` modulo 64, so that most fields need no comparison.
    lengths: u64,
    initials: Initials,
}

/// So many names are compared one after the other as quickly as they are found in order.
const FEW: usize = 16;

impl FieldNames {
    /// These names; case doesn't matter.
    #[must_use]
    pub fn new(written: Vec<Vec<u8>>) -> FieldNames {
        let mut sorted: Vec<Vec<u8>> =
            written.iter().map(|name| name.to_ascii_lowercase()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        let lengths = sorted.iter().fold(0, |bits, name| bits | 1 << (name.len() % 64));
        let initials = Initials::of(sorted.iter().map(Vec::as_slice));
        FieldNames(Arc::new(Names { written, sorted, lengths, initials }))
    }

    /// What they begin with.
    pub(crate) fn initials(&self) -> Initials {
        self.0.initials
    }

    /// The names as they were written.
    #[must_use]
    pub fn written(&self) -> &[Vec<u8>] {
        &self.0.written
    }

    /// The names in lower case, sorted, each once.
    pub fn sorted(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.sorted.iter().map(Vec::as_slice)
    }

    /// Whether `name` is one of them, in any case.
    #[must_use]
    pub fn contains(&self, name: &[u8]) -> bool {
        if self.0.lengths >> (name.len() % 64) & 1 == 0 {
            return false;
        }
        if self.0.sorted.len() <= FEW {
            return self.0.sorted.iter().any(|known| known.eq_ignore_ascii_case(name));
        }
        let lower = || name.iter().map(u8::to_ascii_lowercase);
        self.0.sorted.binary_search_by(|known| known.iter().copied().cmp(lower())).is_ok()
    }

    /// Bytes held, clones not counted again.
    fn held(&self) -> usize {
        let names = self.0.written.iter().chain(&self.0.sorted);
        names.map(|name| size_of::<Vec<u8>>() + name.capacity()).sum()
    }
}

/// One section of the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Section {
    /// Part numbers, each from 1; empty for the message itself.
    pub path: Vec<u32>,
    /// What of that part.
    pub kind: SectionKind,
    /// First octet and most octets to give (RFC 9051 §6.4.5: `<0.2048>`).
    pub partial: Option<(u64, u64)>,
    /// Whether `\Seen` stays as it is.
    pub peek: bool,
    /// The item's name in the answer, with the origin of a partial: `BODY[1.TEXT]<0>`.
    pub name: Vec<u8>,
}

impl Section {
    /// `BODY[…]`, or with `peek` `BODY.PEEK[…]`; BINARY likewise; the name in the answer is made from the rest.
    #[must_use]
    pub fn new(
        path: Vec<u32>,
        kind: SectionKind,
        partial: Option<(u64, u64)>,
        peek: bool,
    ) -> Section {
        let name = name(&path, &kind, partial);
        Section { path, kind, partial, peek, name }
    }

    /// `RFC822`, which is `BODY[]` under another name (RFC 3501 §6.4.5).
    #[must_use]
    pub fn rfc822() -> Section {
        Section::named(SectionKind::All, false, b"RFC822")
    }

    /// `RFC822.HEADER`, which is `BODY.PEEK[HEADER]`.
    #[must_use]
    pub fn rfc822_header() -> Section {
        Section::named(SectionKind::Header, true, b"RFC822.HEADER")
    }

    /// `RFC822.TEXT`, which is `BODY[TEXT]`.
    #[must_use]
    pub fn rfc822_text() -> Section {
        Section::named(SectionKind::Text, false, b"RFC822.TEXT")
    }

    /// Bytes held beyond the struct: those of its own, and those that it shares with its clones.
    pub(crate) fn held(&self) -> (usize, usize) {
        let shared = match &self.kind {
            SectionKind::HeaderFields(names) | SectionKind::HeaderFieldsNot(names) => names.held(),
            SectionKind::All
            | SectionKind::Header
            | SectionKind::Text
            | SectionKind::Mime
            | SectionKind::Binary
            | SectionKind::BinarySize => 0,
        };
        (self.path.capacity() * size_of::<u32>() + self.name.capacity(), shared)
    }

    fn named(kind: SectionKind, peek: bool, name: &[u8]) -> Section {
        Section { path: Vec::new(), kind, partial: None, peek, name: name.to_vec() }
    }
}

fn name(path: &[u32], kind: &SectionKind, partial: Option<(u64, u64)>) -> Vec<u8> {
    let item: &[u8] = match kind {
        SectionKind::Binary => b"BINARY[",
        SectionKind::BinarySize => b"BINARY.SIZE[",
        SectionKind::All
        | SectionKind::Header
        | SectionKind::HeaderFields(_)
        | SectionKind::HeaderFieldsNot(_)
        | SectionKind::Text
        | SectionKind::Mime => b"BODY[",
    };
    let mut name = item.to_vec();
    for (n, number) in path.iter().enumerate() {
        if n > 0 {
            name.push(b'.');
        }
        name.extend_from_slice(number.to_string().as_bytes());
    }
    let numbers_only =
        matches!(kind, SectionKind::All | SectionKind::Binary | SectionKind::BinarySize);
    if !path.is_empty() && !numbers_only {
        name.push(b'.');
    }
    match kind {
        SectionKind::All | SectionKind::Binary | SectionKind::BinarySize => {}
        SectionKind::Header => name.extend_from_slice(b"HEADER"),
        SectionKind::HeaderFields(fields) => write_fields(b"HEADER.FIELDS (", fields, &mut name),
        SectionKind::HeaderFieldsNot(fields) => {
            write_fields(b"HEADER.FIELDS.NOT (", fields, &mut name)
        }
        SectionKind::Text => name.extend_from_slice(b"TEXT"),
        SectionKind::Mime => name.extend_from_slice(b"MIME"),
    }
    name.push(b']');
    if let Some((origin, _)) = partial {
        name.extend_from_slice(format!("<{origin}>").as_bytes());
    }
    name
}

/// Field names as they were written; one that is no atom (RFC 9051 §9: `header-fld-name = astring`) is quoted. So is one
/// with `]`, which an atom here may have: who looks for the section's end must not find it there.
fn write_fields(keyword: &[u8], fields: &FieldNames, name: &mut Vec<u8>) {
    name.extend_from_slice(keyword);
    for (n, field) in fields.written().iter().enumerate() {
        if n > 0 {
            name.push(b' ');
        }
        let atom = |byte: &u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(byte);
        if !field.is_empty() && field.iter().all(atom) {
            name.extend_from_slice(field);
        } else {
            crate::mime::write_nstring(Some(field), name);
        }
    }
    name.push(b')');
}
