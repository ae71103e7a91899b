//! What BINARY gives (RFC 3516 §4.2, RFC 9051 §6.4.5), found a second time from the part's text and encoding.
//!
//! Slow and plain on purpose: it shares no code with what it is held against.

use crate::compare::with_crlf;
use crate::explain::{self, Reason};
use crate::items::{Facts, Part};
use crate::value::Value;

/// Explains a difference in `BINARY[…]` or `BINARY.SIZE[…]`. `None` too where Loft doesn't give what is found here,
/// whatever the other server says. `ours` is what Loft sent, its line ends as they are.
pub fn known(item: &str, message: &[u8], ours: &Facts, theirs: &Facts) -> Option<Reason> {
    let path = item.split_once('[')?.1.trim_end_matches(']');
    let part = Part::of(ours.get("BODY")?, path);
    let text = ours.get(&format!("BODY[{path}]"))?.bytes()?;
    let right = part.as_ref().map_or(Some(Vec::new()), |part| decoded(part, text));
    is_given(ours, path, right.as_deref()).then_some(())?;

    let sized = |length: usize| Value::Atom(length.to_string().into_bytes());
    let given = theirs.get(item)?;
    if item.starts_with("BINARY.SIZE")
        && let Value::String(value) = theirs.get(&format!("BINARY[{path}]"))?
        && *given != sized(value.len())
    {
        let refused = given.number().is_none();
        return Some(if refused { Reason::BrokenElsewhere } else { Reason::WrongSize });
    }
    let Some(part) = part else {
        let above = path.strip_suffix(".1")?;
        let same = |name: &str| {
            theirs.get(&format!("{name}[{above}]")) == theirs.get(&format!("{name}[{path}]"))
        };
        return (same("BINARY") && same("BINARY.SIZE")).then_some(Reason::BelowLeaf);
    };
    let their_text = theirs.get(&format!("BODY[{path}]"))?.bytes()?;
    let header = theirs.get(&format!("BODY[{path}.MIME]"))?.bytes()?;
    if part.is_composite() && is_given_inside(header, their_text, given) {
        return Some(Reason::DecodesInside);
    }
    if explain::repeats(message, "Content-Transfer-Encoding") {
        return Some(Reason::RepeatedField);
    }
    if let Value::Atom(code) = given
        && code.starts_with(b"[")
    {
        let known = decoded(&part, b"").is_some();
        return match code.as_slice() {
            b"[UNKNOWN-CTE" | b"[PARSE" if part.encoding == b"7bit" => Some(Reason::OddEncoding),
            b"[UNKNOWN-CTE" if known => Some(Reason::SpaceBehindEncoding),
            b"[PARSE" if part.is_encoded(b"base64") => Some(Reason::BrokenBase64),
            b"[PARSE" if part.is_encoded(b"quoted-printable") => Some(Reason::BrokenQuoted),
            _ => None,
        };
    }
    let right = right?;
    let is = |bytes: &[u8]| match given {
        Value::String(value) => shown(value) == shown(bytes),
        Value::Nil | Value::Atom(_) | Value::List(_) => *given == sized(bytes.len()),
    };
    if part.encoding == b"7bit" && (is(&base64(text)) || is(&quoted_printable(text))) {
        return Some(Reason::OddEncoding);
    }
    let nul = |value: &Value| value.bytes().is_some_and(|bytes| bytes.contains(&0));
    if ours.get(item).is_some_and(nul) && !nul(given) && is(&right) {
        return Some(Reason::Nul);
    }
    let crlf = with_crlf(&right);
    if crlf != right && is(&crlf) {
        return Some(Reason::BareLineFeed);
    }
    let behind =
        given.bytes().and_then(|given| shown(given).strip_prefix(&*crlf).map(<[u8]>::to_vec));
    if behind.is_some_and(|behind| behind.starts_with(b"\r\n--")) {
        return Some(Reason::ReadsOn);
    }
    is(&[crlf.as_slice(), b"\r\n"].concat()).then_some(Reason::LineEndOfBoundary)
}

/// Whether both items of a part are those of these bytes, or with `None` refusals.
fn is_given(facts: &Facts, path: &str, bytes: Option<&[u8]>) -> bool {
    let (value, size) =
        (facts.get(&format!("BINARY[{path}]")), facts.get(&format!("BINARY.SIZE[{path}]")));
    let (Some(value), Some(size)) = (value, size) else { return false };
    let Some(bytes) = bytes else {
        let refused = Value::Atom(b"[UNKNOWN-CTE".to_vec());
        return *value == refused && *size == refused;
    };
    size.number() == Some(bytes.len() as u64)
        && value.bytes().is_some_and(|value| shown(value) == shown(bytes))
}

/// What BODY shows for NUL.
fn shown(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|&byte| if byte == 0 { 0x80 } else { byte }).collect()
}

/// Whether a server that decodes a multipart or message, or what is inside, would give something else than its text.
fn is_given_inside(header: &[u8], text: &[u8], given: &Value) -> bool {
    let same = match given {
        Value::String(bytes) => bytes == text,
        Value::Nil | Value::Atom(_) | Value::List(_) => given.number() == Some(text.len() as u64),
    };
    let lower = [header, text].concat().to_ascii_lowercase();
    !same && lower.windows(25).any(|window| window == b"content-transfer-encoding")
}

/// A part's text without its encoding; `None` where that isn't known.
fn decoded(part: &Part, text: &[u8]) -> Option<Vec<u8>> {
    if part.is_composite() {
        return Some(text.to_vec());
    }
    match part.encoding.to_ascii_lowercase().as_slice() {
        b"base64" => Some(base64(text)),
        b"quoted-printable" => {
            let decoded = quoted_printable(text);
            Some(if part.is_text() { with_crlf(&decoded) } else { decoded })
        }
        b"7bit" | b"8bit" | b"binary" if part.is_text() => Some(with_crlf(text)),
        b"7bit" | b"8bit" | b"binary" => Some(text.to_vec()),
        _ => None,
    }
}

/// RFC 2045 §6.8: what isn't in the alphabet is ignored; padding ends a group.
pub fn base64(text: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    for run in text.split(|&byte| byte == b'=') {
        let digits: Vec<usize> =
            run.iter().filter_map(|byte| ALPHABET.iter().position(|digit| digit == byte)).collect();
        for group in digits.chunks(4) {
            let bits =
                group.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - group.len()));
            let bytes = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
            out.extend_from_slice(&bytes[..group.len() * 6 / 8]);
        }
    }
    out
}

/// RFC 2045 §6.7: white space at a line's end goes, `=` there joins two lines, and anywhere else without two
/// hexadecimal digits it stands for itself.
pub fn quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let len = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, after) = rest.split_at(len);
        rest = after;
        let (line, end) = match line {
            [line @ .., b'\r', b'\n'] => (line, &b"\r\n"[..]),
            [line @ .., b'\n'] => (line, &b"\n"[..]),
            line => (line, &b""[..]),
        };
        let kept =
            line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |at| at + 1);
        let line = &line[..kept];
        let soft = line.ends_with(b"=");
        out.extend(escapes(line.strip_suffix(b"=").unwrap_or(line)));
        if !soft {
            out.extend_from_slice(end);
        }
    }
    out
}

/// The escapes of a line undone.
pub fn escapes(line: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = line;
    loop {
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        match *rest {
            [] => return out,
            [b'=', high, low, ref after @ ..] if digit(high).is_some() && digit(low).is_some() => {
                out.push(digit(high).unwrap_or(0) << 4 | digit(low).unwrap_or(0));
                rest = after;
            }
            [byte, ref after @ ..] => {
                out.push(byte);
                rest = after;
            }
        }
    }
}
