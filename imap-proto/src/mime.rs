//! The structure of a message (RFC 2045, RFC 2046, RFC 5322), found in one pass while it arrives.
//!
//! [`Parser`] takes the message in pieces of any size and gives a [`Mime`]: every part with the offsets of its header,
//! body and end, and the header fields that ENVELOPE and BODYSTRUCTURE show. What it does with malformed mail is
//! written in `docs/formats/mime.md`.
//!
//! Invariants:
//! - The result doesn't depend on how the message was cut into pieces.
//! - Time is linear in the message, memory is bounded by [`Limits`]; nothing recurses.
//! - Parts form a tree by construction: a part's parent has a smaller index, and a part lies inside its parent's body.

pub mod charset;
pub mod decode;
pub mod header;

mod address;
mod envelope;
pub(crate) mod extended;
mod field;
mod layout;
mod parser;
mod structure;
mod value;
pub(crate) mod wire;

use std::ops::Range;

use field::Field;
pub use field::FieldName;
pub use layout::{Extent, Found, Layout, Place};
pub use parser::Parser;
pub use wire::write_nstring;

/// Which rendering of messages this is. It is raised whenever ENVELOPE, BODY, BODYSTRUCTURE, a
/// [search text](crate::search::field_text), a [sort key](crate::sort::text_key), a [date](crate::sort::sent) or the
/// [layout](Layout) of any message changes: what somebody keeps of them names it, and is believed only where it is the same.
pub const RENDERING: u16 = 2;

/// Bounds on what is kept of a message and on the work done for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// How deep parts nest; a multipart or message/rfc822 deeper than this is opaque. 100, as other servers have it.
    pub depth: u32,
    /// Parts of one message, counted with the messages inside message/rfc822; then no boundary counts. 10,000.
    pub parts: u32,
    /// Bytes of one header block in which fields are looked for. 10 MiB.
    pub header: u64,
    /// Bytes of all header blocks of a message in which fields are looked for. 50 MiB.
    pub headers: u64,
    /// Bytes kept of one field. 128 KiB: more than 1,000 addresses.
    pub field: u32,
    /// Bytes kept of all fields of a message, what describes the message itself in half of it. 512 KiB.
    pub kept: u32,
    /// Addresses shown in one ENVELOPE. 1,000.
    pub addresses: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth: 100,
            parts: 10_000,
            header: 10 << 20,
            headers: 50 << 20,
            field: 128 << 10,
            kept: 512 << 10,
            addresses: 1000,
        }
    }
}

/// A part of a message by its place in [`Mime::parts`]; the whole message is [`PartId::ROOT`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PartId(pub(crate) u32);

impl PartId {
    /// The message itself.
    pub const ROOT: PartId = PartId(0);
}

/// What a part's body is made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Bytes.
    Leaf,
    /// Other parts between boundaries; perhaps none.
    Multipart,
    /// One message, the part's only child (message/rfc822).
    Message,
    /// A multipart or message beyond a limit, shown as application/octet-stream.
    Opaque,
}

/// One part: where it is and what is in it. Offsets count from the start of the message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    /// Where its header begins.
    pub header: u64,
    /// Where its body begins, after the empty line.
    pub body: u64,
    /// Where its body ends; the line end in front of a boundary belongs to the boundary (RFC 2046 §5.1.1).
    pub end: u64,
    /// Line feeds in its body.
    pub lines: u64,
    /// What its body is.
    pub kind: Kind,
    parent: Option<PartId>,
    first_child: Option<PartId>,
    next: Option<PartId>,
    fields: Range<u32>,
    /// Whether it lies directly in multipart/digest, where a part without Content-Type is a message.
    in_digest: bool,
}

impl Part {
    /// Octets of the body.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.end - self.body
    }

    /// The part this one lies in.
    #[must_use]
    pub fn parent(&self) -> Option<PartId> {
        self.parent
    }
}

/// The structure of one message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mime {
    parts: Vec<Part>,
    fields: Vec<Field>,
    kept: Vec<u8>,
    has_nul: bool,
    /// [`Limits::addresses`]
    addresses: u32,
}

/// A body that holds text.
#[derive(Clone, Debug)]
pub(crate) struct TextPart {
    /// Where it is in the message.
    pub(crate) range: Range<u64>,
    pub(crate) encoding: decode::Encoding,
    pub(crate) charset: charset::Charset,
}

impl Mime {
    /// All parts, each after its parent; the first is the message.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The part with this id.
    #[must_use]
    pub fn part(&self, id: PartId) -> &Part {
        self.parts.get(id.0 as usize).expect("ids come from this message")
    }

    /// The message itself.
    #[must_use]
    pub fn root(&self) -> &Part {
        self.part(PartId::ROOT)
    }

    /// The parts directly inside this one, in order.
    pub fn children(&self, id: PartId) -> impl Iterator<Item = PartId> + '_ {
        std::iter::successors(self.part(id).first_child, |&child| self.part(child).next)
    }

    /// Whether a NUL is anywhere in the message.
    #[must_use]
    pub fn has_nul(&self) -> bool {
        self.has_nul
    }

    /// The part a section's numbers name (RFC 9051 §6.4.5.1), or `None` when there is none.
    ///
    /// A message that isn't multipart has itself as part 1. Numbers below message/rfc822 count the parts of the
    /// message inside.
    #[must_use]
    pub fn find(&self, path: &[u32]) -> Option<PartId> {
        if path.is_empty() {
            return None;
        }
        match layout::find(self, path, Extent::Whole) {
            Found::Part(at) => Some(PartId(at as u32)),
            Found::Nothing | Found::Unknown => None,
        }
    }

    /// Whether a part is a whole message inside message/rfc822.
    pub(crate) fn is_message(&self, part: &Part) -> bool {
        part.parent.is_some_and(|parent| self.part(parent).kind == Kind::Message)
    }

    /// How a leaf's body is encoded, and whether it is text; `None` when its encoding isn't known.
    pub(crate) fn encoding(&self, id: PartId) -> Option<(decode::Encoding, bool)> {
        structure::known_encoding(self, id)
    }

    /// The bodies that hold text, and how it is encoded.
    pub(crate) fn text_parts(&self) -> Vec<TextPart> {
        structure::text_parts(self)
    }

    /// Writes the ENVELOPE of the message, with its parentheses, as it goes on the wire (RFC 9051 §7.5.2).
    pub fn write_envelope(&self, out: &mut Vec<u8>) {
        envelope::write(self, PartId::ROOT, out);
    }

    /// Writes the BODYSTRUCTURE of the message, or with `extended` false its BODY, with its parentheses, as it goes on
    /// the wire (RFC 9051 §7.5.2).
    pub fn write_structure(&self, extended: bool, out: &mut Vec<u8>) {
        structure::write(self, extended, out);
    }

    /// The value of the first field of this name in a part's header: unfolded, possibly cut short by
    /// [`Limits::field`].
    #[must_use]
    pub fn field(&self, part: PartId, name: FieldName) -> Option<&[u8]> {
        self.fields(part, name).next()
    }

    /// The values of all fields of this name in a part's header.
    fn fields(&self, part: PartId, name: FieldName) -> impl Iterator<Item = &[u8]> + '_ {
        let Range { start, end } = self.part(part).fields;
        let fields = self.fields.get(start as usize..end as usize).unwrap_or_default();
        fields.iter().filter(move |field| field.name == name).map(|field| self.value(field))
    }

    fn value(&self, field: &Field) -> &[u8] {
        self.kept.get(field.value.start as usize..field.value.end as usize).unwrap_or_default()
    }
}

/// Counts steps where tests check that work is linear; nothing otherwise.
#[inline]
fn work(_steps: usize) {
    #[cfg(test)]
    tests::WORK.with(|work| work.set(work.get() + _steps as u64));
}

#[cfg(test)]
mod tests;
