//! ENVELOPE.

use super::{FieldName, Mime, PartId, wire};

/// Writes the envelope of the message that `part` is.
pub(super) fn write(mime: &Mime, part: PartId, out: &mut Vec<u8>) {
    out.push(b'(');
    wire::write_nstring(mime.field(part, FieldName::Date), out);
    out.push(b' ');
    wire::write_nstring(mime.field(part, FieldName::Subject), out);
    out.extend_from_slice(b" NIL NIL NIL NIL NIL NIL ");
    wire::write_nstring(mime.field(part, FieldName::InReplyTo), out);
    out.push(b' ');
    wire::write_nstring(mime.field(part, FieldName::MessageId), out);
    out.push(b')');
}
