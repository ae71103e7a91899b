//! BODY and BODYSTRUCTURE (RFC 9051 §7.5.2, §9 `body`).

use super::charset::Charset;
use super::decode::Encoding;
use super::value::{ContentType, disposition, languages, only_token, params};
use super::{FieldName, Kind, Mime, Part, PartId, TextPart, envelope, wire};
use crate::fetch::number;

/// What a multipart without parts shows, since the grammar wants at least one.
const NO_PART: &[u8] = b"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0";

/// What a message/rfc822 shows that is encoded, so that no message can be seen in it.
const NO_MESSAGE: &[u8] = b" (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) ";

enum Step {
    Begin(PartId),
    End(PartId),
}

/// What a part is shown as.
enum Shown<'a> {
    Type(ContentType<'a>),
    /// No Content-Type, or none that was kept (RFC 2045 §5.2): text/plain.
    Default,
    /// The same in a digest (RFC 2046 §5.1.5): message/rfc822.
    DefaultMessage,
    /// A Content-Type that can't be read.
    Broken,
    /// A multipart or message beyond a limit, or a multipart without a subtype: application/octet-stream.
    Opaque,
}

/// Writes the structure of the message, or without `extended` its BODY.
pub(super) fn write(mime: &Mime, extended: bool, out: &mut Vec<u8>) {
    let mut steps = vec![Step::Begin(PartId::ROOT)];
    while let Some(step) = steps.pop() {
        match step {
            Step::Begin(id) => begin(mime, id, extended, &mut steps, out),
            Step::End(id) => end(mime, id, extended, out),
        }
    }
}

fn begin(mime: &Mime, id: PartId, extended: bool, steps: &mut Vec<Step>, out: &mut Vec<u8>) {
    let part = mime.part(id);
    match part.kind {
        Kind::Multipart => {
            out.push(b'(');
            steps.push(Step::End(id));
            let first = steps.len();
            steps.extend(mime.children(id).map(Step::Begin));
            if let Some(children) = steps.get_mut(first..) {
                children.reverse();
            }
            if steps.len() == first {
                write_no_part(extended, out);
            }
        }
        Kind::Message => {
            write_basic(mime, id, out);
            steps.push(Step::End(id));
            match mime.children(id).next() {
                Some(message) => {
                    out.push(b' ');
                    envelope::write(mime, message, out);
                    out.push(b' ');
                    steps.push(Step::Begin(message));
                }
                None => write_no_message(extended, out),
            }
        }
        Kind::Leaf | Kind::Opaque => {
            write_basic(mime, id, out);
            let shown = shown(mime, id);
            if shown.is_message() {
                write_no_message(extended, out);
                write_lines(part, out);
            } else if shown.is_text() {
                write_lines(part, out);
            }
            write_single_extension(mime, id, extended, out);
        }
    }
}

fn end(mime: &Mime, id: PartId, extended: bool, out: &mut Vec<u8>) {
    let part = mime.part(id);
    if part.kind == Kind::Message {
        write_lines(part, out);
        write_single_extension(mime, id, extended, out);
        return;
    }
    out.push(b' ');
    let shown = shown(mime, id);
    let (subtype, raw): (&[u8], &[u8]) = match &shown {
        Shown::Type(found) => (found.subtype, found.params),
        Shown::Default | Shown::DefaultMessage | Shown::Broken | Shown::Opaque => (b"mixed", b""),
    };
    wire::write_nstring(Some(subtype), out);
    if extended {
        out.push(b' ');
        write_params(raw, false, out);
        write_extension(mime, id, out);
    }
    out.push(b')');
}

/// `(type subtype params id description encoding size`
fn write_basic(mime: &Mime, id: PartId, out: &mut Vec<u8>) {
    let part = mime.part(id);
    let shown = shown(mime, id);
    let (kind, subtype, raw): (&[u8], &[u8], &[u8]) = match &shown {
        // RFC 9051 §9: `media-message` is a constant; some clients compare its case.
        Shown::Type(found) if found.is("message", "rfc822") => {
            (b"message", b"rfc822", found.params)
        }
        Shown::Type(found) => (found.kind, found.subtype, found.params),
        Shown::DefaultMessage => (b"message", b"rfc822", b""),
        Shown::Default => (b"text", b"plain", b""),
        Shown::Broken => (b"", b"", b""),
        Shown::Opaque => (b"application", b"octet-stream", b""),
    };
    out.push(b'(');
    wire::write_nstring(Some(kind), out);
    out.push(b' ');
    wire::write_nstring(Some(subtype), out);
    out.push(b' ');
    write_params(raw, shown.is_text(), out);
    for name in [FieldName::ContentId, FieldName::ContentDescription] {
        out.push(b' ');
        wire::write_nstring(mime.field(id, name), out);
    }
    out.push(b' ');
    // RFC 2045 §6.1: 7bit is the default.
    wire::write_nstring(Some(encoding(mime, id).unwrap_or(b"7bit")), out);
    out.push(b' ');
    number::write(part.size(), out);
}

/// A parenthesised list or `NIL`; text gets its default character set (RFC 2045 §5.2).
fn write_params(raw: &[u8], text: bool, out: &mut Vec<u8>) {
    let params = params(raw);
    let is_charset = |name: &[u8]| {
        name.eq_ignore_ascii_case(b"charset") || name.eq_ignore_ascii_case(b"charset*")
    };
    let add_charset = text && !params.iter().any(|(name, _)| is_charset(name));
    if params.is_empty() && !add_charset {
        out.extend_from_slice(b"NIL");
        return;
    }
    let mut before = b'(';
    for (name, value) in &params {
        out.push(before);
        wire::write_nstring(Some(name), out);
        out.push(b' ');
        wire::write_nstring(Some(value), out);
        before = b' ';
    }
    if add_charset {
        out.push(before);
        out.extend_from_slice(b"\"charset\" \"us-ascii\"");
    }
    out.push(b')');
}

fn write_lines(part: &Part, out: &mut Vec<u8>) {
    out.push(b' ');
    number::write(part.lines, out);
}

/// `body-ext-1part` and the closing parenthesis.
fn write_single_extension(mime: &Mime, id: PartId, extended: bool, out: &mut Vec<u8>) {
    if extended {
        out.push(b' ');
        wire::write_nstring(mime.field(id, FieldName::ContentMd5), out);
        write_extension(mime, id, out);
    }
    out.push(b')');
}

/// ` disposition language location`
fn write_extension(mime: &Mime, id: PartId, out: &mut Vec<u8>) {
    match mime.field(id, FieldName::ContentDisposition).and_then(disposition) {
        Some((token, raw)) => {
            out.extend_from_slice(b" (");
            wire::write_nstring(Some(token), out);
            out.push(b' ');
            write_params(raw, false, out);
            out.push(b')');
        }
        None => out.extend_from_slice(b" NIL"),
    }
    let tags = mime.field(id, FieldName::ContentLanguage).map(languages).unwrap_or_default();
    if tags.is_empty() {
        out.extend_from_slice(b" NIL");
    } else {
        let mut before: &[u8] = b" (";
        for tag in tags {
            out.extend_from_slice(before);
            wire::write_nstring(Some(tag), out);
            before = b" ";
        }
        out.push(b')');
    }
    out.push(b' ');
    wire::write_nstring(mime.field(id, FieldName::ContentLocation), out);
}

fn write_no_part(extended: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(NO_PART);
    out.extend_from_slice(if extended { b" NIL NIL NIL NIL)" } else { b")" });
}

fn write_no_message(extended: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(NO_MESSAGE);
    write_no_part(extended, out);
}

fn shown(mime: &Mime, id: PartId) -> Shown<'_> {
    if mime.part(id).kind == Kind::Opaque {
        return Shown::Opaque;
    }
    match mime.field(id, FieldName::ContentType).map(ContentType::parse) {
        None if mime.part(id).in_digest => Shown::DefaultMessage,
        None => Shown::Default,
        Some(None) => Shown::Broken,
        Some(Some(found)) if found.is_multipart() && found.subtype.is_empty() => Shown::Opaque,
        Some(Some(found)) => Shown::Type(found),
    }
}

impl Shown<'_> {
    fn is_text(&self) -> bool {
        match self {
            Shown::Type(found) => found.kind.eq_ignore_ascii_case(b"text"),
            Shown::Default => true,
            Shown::DefaultMessage | Shown::Broken | Shown::Opaque => false,
        }
    }

    fn is_message(&self) -> bool {
        match self {
            Shown::Type(found) => found.is_message(),
            Shown::DefaultMessage => true,
            Shown::Default | Shown::Broken | Shown::Opaque => false,
        }
    }

    /// Whether SEARCH looks into it: text, and what of message/* is not taken apart (RFC 9051 §6.4.4). RFC 2045 §5.2: a
    /// type that can't be read is text.
    fn is_searched(&self) -> bool {
        match self {
            Shown::Type(found) => {
                [&b"text"[..], b"message"].iter().any(|kind| found.kind.eq_ignore_ascii_case(kind))
            }
            Shown::Default | Shown::DefaultMessage | Shown::Broken => true,
            Shown::Opaque => false,
        }
    }
}

fn encoding(mime: &Mime, id: PartId) -> Option<&[u8]> {
    mime.field(id, FieldName::ContentTransferEncoding).and_then(only_token)
}

/// How a body is encoded, and whether it is text; `None` when its encoding isn't known.
pub(super) fn known_encoding(mime: &Mime, id: PartId) -> Option<(Encoding, bool)> {
    // RFC 2045 §6.1: 7bit is the default.
    let encoding = encoding(mime, id).unwrap_or(b"7bit");
    Some((Encoding::known(encoding)?, shown(mime, id).is_text()))
}

/// The bodies that hold text.
pub(super) fn text_parts(mime: &Mime) -> Vec<TextPart> {
    let ids = (0..mime.parts.len() as u32).map(PartId);
    let texts = ids.filter_map(|id| {
        let part = mime.part(id);
        let shown = shown(mime, id);
        if part.kind != Kind::Leaf || !shown.is_searched() {
            return None;
        }
        let charset = match &shown {
            Shown::Type(found) => found.param("charset"),
            Shown::Default | Shown::DefaultMessage | Shown::Broken | Shown::Opaque => None,
        };
        Some(TextPart {
            range: part.body..part.end,
            encoding: encoding(mime, id).map(Encoding::of).unwrap_or_default(),
            charset: charset.map(|name| Charset::of(&name)).unwrap_or_default(),
        })
    });
    texts.collect()
}
