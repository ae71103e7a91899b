//! Strings as they go on the wire (RFC 9051 §4.3).

use crate::fetch::number;

/// Appends an `nstring`: `NIL`, a quoted string where every byte may stand in one, else a literal.
///
/// A NUL shows as 0x80 (RFC 9051 §9: `CHAR8` excludes it), so lengths stay.
pub fn write_nstring(value: Option<&[u8]>, out: &mut Vec<u8>) {
    let Some(value) = value else {
        out.extend_from_slice(b"NIL");
        return;
    };
    if value.iter().all(|byte| matches!(byte, 0x20..=0x7e)) {
        out.push(b'"');
        for &byte in value {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
        return;
    }
    out.push(b'{');
    number::write(value.len() as u64, out);
    out.extend_from_slice(b"}\r\n");
    copy_without_nul(value, out);
}

/// Appends bytes of a message, each NUL as 0x80.
pub(crate) fn copy_without_nul(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(nul) = memchr::memchr(0, rest) {
        let (before, from) = rest.split_at(nul);
        out.extend_from_slice(before);
        out.push(0x80);
        rest = from.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}
