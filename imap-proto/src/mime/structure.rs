//! BODY and BODYSTRUCTURE.

use super::decode::{Charset, Encoding};
use super::{Mime, TextPart};
use crate::fetch::number;

/// Writes the structure of the message.
pub(super) fn write(mime: &Mime, extended: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" ");
    number::write(mime.root().size(), out);
    out.push(b' ');
    number::write(mime.root().lines, out);
    out.extend_from_slice(if extended { b" NIL NIL NIL NIL)" } else { b")" });
}

/// The bodies that hold text.
pub(super) fn text_parts(mime: &Mime) -> Vec<TextPart> {
    let root = mime.root();
    vec![TextPart {
        range: root.body..root.end,
        encoding: Encoding::Identity,
        charset: Charset::Utf8,
    }]
}
