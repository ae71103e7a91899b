//! ENVELOPE (RFC 9051 §7.5.2, RFC 3501 §7.4.2).

use super::address::Addresses;
use super::{FieldName, Mime, PartId, wire};

/// Writes the envelope of the message that `part` is; of another part, one of `NIL`s.
pub(super) fn write(mime: &Mime, part: PartId, out: &mut Vec<u8>) {
    let mut left = mime.addresses;
    out.push(b'(');
    wire::write_nstring(last(mime, part, FieldName::Date), out);
    out.push(b' ');
    write_subject(last(mime, part, FieldName::Subject), out);
    out.push(b' ');
    let from = out.len();
    write_addresses(mime, part, FieldName::From, &mut left, out);
    let from = from..out.len();
    // RFC 9051 §7.5.2: an absent or empty Sender or Reply-To is the From.
    for name in [FieldName::Sender, FieldName::ReplyTo] {
        out.push(b' ');
        let start = out.len();
        write_addresses(mime, part, name, &mut left, out);
        if out.get(start..) == Some(b"NIL") {
            out.truncate(start);
            out.extend_from_within(from.clone());
        }
    }
    for name in [FieldName::To, FieldName::Cc, FieldName::Bcc] {
        out.push(b' ');
        write_addresses(mime, part, name, &mut left, out);
    }
    for name in [FieldName::InReplyTo, FieldName::MessageId] {
        out.push(b' ');
        wire::write_nstring(last(mime, part, name), out);
    }
    out.push(b')');
}

/// Of a field that should be there once the last counts.
fn last(mime: &Mime, part: PartId, name: FieldName) -> Option<&[u8]> {
    mime.fields(part, name).last()
}

/// A subject is for people: every stretch of white space, folded or not, is one space.
fn write_subject(value: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(value) = value else { return wire::write_nstring(None, out) };
    let mut text = Vec::with_capacity(value.len());
    for word in value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()) {
        if !text.is_empty() {
            text.push(b' ');
        }
        text.extend_from_slice(word);
    }
    wire::write_nstring(Some(&text), out);
}

/// The addresses of all fields of this name, as one list, or `NIL`; `left` bounds them (row 31).
fn write_addresses(mime: &Mime, part: PartId, name: FieldName, left: &mut u32, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b'(');
    for value in mime.fields(part, name) {
        Addresses::new(value).write(left, out);
    }
    if out.len() == start + 1 {
        out.truncate(start);
        out.extend_from_slice(b"NIL");
    } else {
        out.push(b')');
    }
}
