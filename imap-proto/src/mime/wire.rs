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
    // Looks at all of it whatever it finds: that is faster than stopping, many bytes at a time.
    if value.iter().fold(true, |quotable, byte| quotable & matches!(byte, 0x20..=0x7e)) {
        out.push(b'"');
        let mut rest = value;
        while let Some(special) = memchr::memchr2(b'"', b'\\', rest) {
            let (text, behind) = rest.split_at(special);
            out.extend_from_slice(text);
            out.push(b'\\');
            out.extend(behind.first());
            rest = behind.get(1..).unwrap_or_default();
        }
        out.extend_from_slice(rest);
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
