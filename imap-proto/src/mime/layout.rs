//! Where the parts of a message are, apart from what they say: for who looks for one part of a large message and would
//! rather not read the others.
//!
//! A [`Layout`] is kept ([`Layout::write`]) and found again; a message that is being parsed tells of a part as soon as it
//! is known ([`Parser::place`]), and what is known so far is a layout, too.
//!
//! Invariant: what is said of a part stays true whatever comes behind it.

use super::decode::Encoding;
use super::{Kind, Mime, Parser, PartId};

/// How much of a part somebody has to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Extent {
    /// Where its header is, and what it is.
    Header,
    /// The same, and where the header of the message inside is, if it is message/rfc822.
    Inside,
    /// All of [`Place`].
    Whole,
}

/// Where a part is, in bytes from the start of the message, and how it is encoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Place {
    /// Where its header begins.
    pub header: u64,
    /// Where its body begins, after the empty line.
    pub body: u64,
    /// Where its body ends; 0 while that is not known.
    pub end: u64,
    /// How its body is encoded if it is a leaf, and whether that is text; `None` for an encoding that isn't known.
    pub encoding: Option<(Encoding, bool)>,
    /// The message inside message/rfc822: where its header and its body begin and its body ends.
    pub inside: Option<(u64, u64, u64)>,
}

/// What a look for a part has found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found<T> {
    /// It is there.
    Part(T),
    /// The message has no such part.
    Nothing,
    /// So far nobody knows.
    Unknown,
}

impl<T> Found<T> {
    fn map<U>(self, map: impl FnOnce(T) -> U) -> Found<U> {
        match self {
            Found::Part(found) => Found::Part(map(found)),
            Found::Nothing => Found::Nothing,
            Found::Unknown => Found::Unknown,
        }
    }
}

/// Parts by their numbers in the order of their headers.
pub(super) trait Tree {
    /// What a part is; `None` while its header is not known.
    fn kind(&self, part: usize) -> Option<Kind>;
    /// The part with this index among those directly inside another.
    fn child(&self, of: usize, index: usize) -> Found<usize>;
    /// Whether it is known where a part ends.
    fn has_ended(&self, part: usize) -> bool;
}

/// The part that a section's numbers name ([`Mime::find`]), if `extent` of it is known; none name the message itself.
pub(super) fn find(tree: &impl Tree, path: &[u32], extent: Extent) -> Found<usize> {
    let mut at = 0;
    for (depth, &number) in path.iter().enumerate() {
        let Some(mut kind) = tree.kind(at) else { return Found::Unknown };
        if depth > 0 {
            match kind {
                Kind::Multipart => {}
                Kind::Leaf | Kind::Opaque => return Found::Nothing,
                Kind::Message => {
                    at = match tree.child(at, 0) {
                        Found::Part(inside) => inside,
                        none @ (Found::Nothing | Found::Unknown) => return none,
                    };
                    let Some(inside) = tree.kind(at) else { return Found::Unknown };
                    kind = inside;
                }
            }
        }
        let Some(index) = (number as usize).checked_sub(1) else { return Found::Nothing };
        match kind {
            Kind::Multipart => match tree.child(at, index) {
                Found::Part(child) => at = child,
                none @ (Found::Nothing | Found::Unknown) => return none,
            },
            Kind::Leaf | Kind::Message | Kind::Opaque if index == 0 => {}
            Kind::Leaf | Kind::Message | Kind::Opaque => return Found::Nothing,
        }
    }
    let Some(kind) = tree.kind(at) else { return Found::Unknown };
    let known = match extent {
        Extent::Header => true,
        Extent::Inside if kind == Kind::Message => match tree.child(at, 0) {
            Found::Part(inside) => tree.kind(inside).is_some(),
            Found::Nothing => true,
            Found::Unknown => false,
        },
        Extent::Inside => true,
        Extent::Whole => tree.has_ended(at),
    };
    if known { Found::Part(at) } else { Found::Unknown }
}

impl Tree for Mime {
    fn kind(&self, part: usize) -> Option<Kind> {
        self.parts.get(part).map(|part| part.kind)
    }

    fn child(&self, of: usize, index: usize) -> Found<usize> {
        let child = self.children(PartId(of as u32)).nth(index);
        child.map_or(Found::Nothing, |child| Found::Part(child.0 as usize))
    }

    fn has_ended(&self, _: usize) -> bool {
        true
    }
}

impl Mime {
    /// Where a part is, or the message for an empty path; `None` when there is none such.
    #[must_use]
    pub fn place(&self, path: &[u32]) -> Option<Place> {
        match find(self, path, Extent::Whole) {
            Found::Part(at) => Some(self.place_of(at)),
            Found::Nothing | Found::Unknown => None,
        }
    }

    fn place_of(&self, at: usize) -> Place {
        let id = PartId(at as u32);
        let part = self.part(id);
        let inside = self.children(id).next().filter(|_| part.kind == Kind::Message);
        Place {
            header: part.header,
            body: part.body,
            end: part.end,
            encoding: match part.kind {
                Kind::Leaf => self.encoding(id),
                Kind::Multipart | Kind::Message | Kind::Opaque => Some((Encoding::Identity, false)),
            },
            inside: inside.map(|inside| {
                let inside = self.part(inside);
                (inside.header, inside.body, inside.end)
            }),
        }
    }

    /// Where all parts are.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout::of(self, |_| State { header: true, children: true, end: true })
    }
}

impl Parser {
    /// Where a part of the message that is being parsed is, as soon as `extent` of it is known.
    #[must_use]
    pub fn place(&self, path: &[u32], extent: Extent) -> Found<Place> {
        find(self, path, extent).map(|at| self.mime.place_of(at))
    }

    /// Where the parts are that are known so far.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout::of(&self.mime, |at| State {
            header: self.kind(at).is_some(),
            children: self.has_all_children(at),
            end: self.has_ended(at),
        })
    }
}

/// What is known of a part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct State {
    header: bool,
    /// Whether no other parts will be directly inside it.
    children: bool,
    end: bool,
}

/// Where the parts of a message are, or those that were known when it was made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Layout {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Entry {
    depth: u32,
    state: State,
    kind: Kind,
    encoding: Option<(Encoding, bool)>,
    header: u64,
    body: u64,
    end: u64,
}

/// Bits of an entry's second byte; the kind is in the lowest two, the encoding in the next two.
const TEXT: u8 = 1 << 4;
const HEADER: u8 = 1 << 5;
const CHILDREN: u8 = 1 << 6;
const END: u8 = 1 << 7;

const KINDS: [Kind; 4] = [Kind::Leaf, Kind::Multipart, Kind::Message, Kind::Opaque];
const ENCODINGS: [Option<Encoding>; 4] =
    [None, Some(Encoding::Identity), Some(Encoding::QuotedPrintable), Some(Encoding::Base64)];

impl Layout {
    fn of(mime: &Mime, state: impl Fn(usize) -> State) -> Layout {
        let mut entries: Vec<Entry> = Vec::with_capacity(mime.parts.len());
        for (at, part) in mime.parts.iter().enumerate() {
            let parent = part.parent.and_then(|parent| entries.get(parent.0 as usize));
            let (depth, state) = (parent.map_or(0, |parent| parent.depth + 1), state(at));
            let place = mime.place_of(at);
            entries.push(Entry {
                depth,
                state,
                kind: part.kind,
                encoding: if state.header { place.encoding } else { None },
                header: part.header,
                body: if state.header { part.body } else { part.header },
                end: if state.end { part.end } else { 0 },
            });
        }
        Layout { entries }
    }

    /// Where a part is, or the message for an empty path, as far as `extent` goes.
    #[must_use]
    pub fn place(&self, path: &[u32], extent: Extent) -> Found<Place> {
        find(self, path, extent).map(|at| self.place_of(at))
    }

    fn place_of(&self, at: usize) -> Place {
        let entry = |at: usize| self.entries.get(at);
        let range = |at| entry(at).map_or((0, 0, 0), |part| (part.header, part.body, part.end));
        let (header, body, end) = range(at);
        let is_message = entry(at).is_some_and(|part| part.kind == Kind::Message);
        let inside = match self.child(at, 0) {
            Found::Part(inside) if is_message => Some(range(inside)),
            Found::Part(_) | Found::Nothing | Found::Unknown => None,
        };
        Place { header, body, end, encoding: entry(at).and_then(|part| part.encoding), inside }
    }

    /// Whether it has all parts of the message.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.entries.first().is_some_and(|message| message.state.end)
    }

    /// What it is with `bytes` of header lines in front of the message, in which nothing is said of its parts.
    #[must_use]
    pub fn behind(mut self, bytes: u64) -> Layout {
        for (at, entry) in self.entries.iter_mut().enumerate() {
            entry.header += if at > 0 { bytes } else { 0 };
            entry.body += bytes;
            entry.end += if entry.state.end { bytes } else { 0 };
        }
        self
    }

    /// Appends it, in some ten bytes a part: for each part in the order of their headers its depth, what it is, how far its
    /// header is behind the one before, and the lengths of its header and body.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut before = 0;
        for Entry { depth, state, kind, encoding, header, body, end } in &self.entries {
            write_number(u64::from(*depth), out);
            let name = encoding.map(|(encoding, _)| encoding);
            let kind = KINDS.iter().position(|known| known == kind).unwrap_or_default() as u8;
            let name = ENCODINGS.iter().position(|known| *known == name).unwrap_or_default() as u8;
            let bit = |set: bool, bit: u8| if set { bit } else { 0 };
            out.push(
                kind | name << 2
                    | bit(encoding.is_some_and(|(_, text)| text), TEXT)
                    | bit(state.header, HEADER)
                    | bit(state.children, CHILDREN)
                    | bit(state.end, END),
            );
            write_number(header - before, out);
            before = *header;
            if state.header {
                write_number(body - header, out);
            }
            if state.end {
                write_number(end - body, out);
            }
        }
    }

    /// Of a message of `len` bytes, as it was written; `None` for what can't be one.
    #[must_use]
    pub fn read(mut bytes: &[u8], len: u64) -> Option<Layout> {
        let (mut entries, mut before): (Vec<Entry>, u64) = (Vec::new(), 0);
        while !bytes.is_empty() {
            let depth = u32::try_from(read_number(&mut bytes)?).ok()?;
            // Each is inside the last one, or behind it; the first alone is inside none.
            let least = u32::from(!entries.is_empty());
            let most = entries.last().map_or(0, |last| last.depth + 1);
            if depth < least || depth > most {
                return None;
            }
            let (&bits, rest) = bytes.split_first()?;
            bytes = rest;
            let state = State {
                header: bits & HEADER != 0,
                children: bits & CHILDREN != 0,
                end: bits & END != 0,
            };
            let encoding = *ENCODINGS.get(usize::from(bits >> 2 & 3))?;
            let header = before.checked_add(read_number(&mut bytes)?)?;
            before = header;
            let body =
                if state.header { header.checked_add(read_number(&mut bytes)?)? } else { header };
            let end = if state.end { body.checked_add(read_number(&mut bytes)?)? } else { 0 };
            if body > len || end > len {
                return None;
            }
            entries.push(Entry {
                depth,
                state,
                kind: *KINDS.get(usize::from(bits & 3))?,
                encoding: encoding.map(|encoding| (encoding, bits & TEXT != 0)),
                header,
                body,
                end,
            });
        }
        (!entries.is_empty()).then_some(Layout { entries })
    }
}

impl Tree for Layout {
    fn kind(&self, part: usize) -> Option<Kind> {
        self.entries.get(part).filter(|part| part.state.header).map(|part| part.kind)
    }

    fn child(&self, of: usize, index: usize) -> Found<usize> {
        let Some(parent) = self.entries.get(of) else { return Found::Nothing };
        let inside = self.entries.iter().enumerate().skip(of + 1);
        let inside = inside.take_while(|(_, part)| part.depth > parent.depth);
        let mut children = inside.filter(|(_, part)| part.depth == parent.depth + 1);
        match children.nth(index) {
            Some((child, _)) => Found::Part(child),
            None if parent.state.children => Found::Nothing,
            None => Found::Unknown,
        }
    }

    fn has_ended(&self, part: usize) -> bool {
        self.entries.get(part).is_some_and(|part| part.state.end)
    }
}

/// Seven bits a byte, low ones first; the high bit says that more follow.
fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
