//! What SEARCH finds (RFC 9051 §6.4.4), found a second time in what FETCH gave.
//!
//! Texts are looked for in the header fields as they stand and with their encoded words undone, and in the text parts
//! as BINARY gives them, which another module holds against the message.

use crate::binary;
use crate::explain::{self, Reason};
use crate::items::{Facts, Part};
use crate::value::Value;
use imap_proto::date::{Day, parse_message_date};

/// One search as far as it is asked here.
pub struct Query<'a> {
    /// `SUBJECT`, `HEADER X`, `BODY`, `SENTON`, …
    pub key: &'a str,
    /// The text, or the date as it is written.
    pub value: &'a [u8],
}

/// Explains that Loft finds a message and the other server doesn't, or the other way round. `None` too where Loft is
/// not the one that is right.
pub fn known(query: &Query<'_>, message: &[u8], ours: &Facts, loft: bool) -> Option<Reason> {
    let header = header(message);
    if let Some(order) = query.key.strip_prefix("SENT") {
        return sent(order, query.value, header, loft);
    }
    let word = query.value.to_ascii_lowercase();
    let field = match query.key {
        "FROM" | "TO" | "CC" | "BCC" | "SUBJECT" => Some(query.key),
        key => key.strip_prefix("HEADER "),
    };
    if let Some(name) = field {
        let fields = explain::fields(header, name);
        let found = fields.iter().any(|value| Place::header(value).holds(&word));
        let address = matches!(query.key, "FROM" | "TO" | "CC" | "BCC");
        return match (loft == found, found) {
            (true, true) if address => Some(Reason::UnreadAddress),
            (true, true) => Some(Reason::OddField),
            (true, false) if address => Some(Reason::InventedAddress),
            (true, false) => Some(Reason::OddField),
            (false, _) => None,
        };
    }
    let places = places(query.key == "TEXT", header, ours);
    let found: Vec<Reason> =
        places.iter().filter(|(_, place)| place.holds(&word)).map(|(reason, _)| *reason).collect();
    if loft == found.is_empty() {
        return None;
    }
    if loft { found.first().copied() } else { Some(Reason::NoText) }
}

/// The first Date, and what the other server takes for 1 January 1970.
fn sent(order: &str, day: &[u8], header: &[u8], loft: bool) -> Option<Reason> {
    let day = match day {
        b"7-Feb-1994" => Day::from_civil(1994, 2, 7)?,
        _ => Day::from_civil(1970, 1, 1)?,
    };
    let holds = |date: Day| match order {
        "BEFORE" => date < day,
        "ON" => date == day,
        _ => date >= day,
    };
    let dates = explain::fields(header, "Date");
    let date = dates.first().and_then(|value| parse_message_date(value)).map(|date| date.day());
    let theirs = holds(Day::from_civil(1970, 1, 1)?);
    match date {
        None => (!loft).then_some(Reason::NoDate),
        Some(_) if theirs == loft => None,
        Some(date) => (holds(date) == loft).then_some(Reason::OddDate),
    }
}

/// Everything that is searched, with the reason why another server may not look there.
fn places(text: bool, header: &[u8], ours: &Facts) -> Vec<(Reason, Place)> {
    let mut places = Vec::new();
    if text {
        places.push((Reason::OddField, Place::header(header)));
        places.push((Reason::DecodedParam, Place::header(&unescaped(header))));
        places.push((Reason::DecodedParam, Place::text(&joined(header))));
    }
    let Some(body) = ours.get("BODY") else { return places };
    let bytes = |item: String| ours.get(&item).and_then(Value::bytes).unwrap_or_default().to_vec();
    for item in ours.keys() {
        let Some(path) = item.strip_prefix("BINARY[").and_then(|rest| rest.strip_suffix(']'))
        else {
            continue;
        };
        let Some(part) = Part::of(body, path) else { continue };
        if text {
            let header = bytes(format!("BODY[{path}.MIME]"));
            places.push((Reason::PartHeader, Place::header(&header)));
            places.push((Reason::DecodedParam, Place::header(&unescaped(&header))));
            places.push((Reason::DecodedParam, Place::text(&joined(&header))));
        }
        if part.is_composite() {
            let header = bytes(format!("BODY[{path}.HEADER]"));
            places.push((Reason::InnerHeader, Place::header(&header)));
            places.push((Reason::DecodedParam, Place::header(&unescaped(&header))));
            places.push((Reason::DecodedParam, Place::text(&joined(&header))));
            let text = bytes(format!("BODY[{path}]"));
            let decoded = match part.encoding.to_ascii_lowercase().as_slice() {
                b"7bit" | b"8bit" | b"binary" | b"" => continue,
                b"base64" => binary::base64(&text),
                b"quoted-printable" => binary::quoted_printable(&text),
                _ => text,
            };
            places.push((Reason::DecodedMessage, Place::text(&decoded)));
        } else if part.is_searched() {
            // An encoding that isn't known is left as it is.
            let decoded = ours.get(item).is_some_and(|value| value.bytes().is_some());
            let item = if decoded { item.clone() } else { format!("BODY[{path}]") };
            places.push((Reason::PartText, Place::text(&bytes(item))));
        }
    }
    places
}

/// Text as it is searched: unfolded, and what is a header with its encoded words undone.
struct Place(Vec<u8>);

impl Place {
    fn header(text: &[u8]) -> Place {
        Place(decoded_words(&unfolded(text)))
    }

    fn text(text: &[u8]) -> Place {
        Place(unfolded(text))
    }

    /// Whether it holds the word, in UTF-8 or windows-1252.
    fn holds(&self, word: &[u8]) -> bool {
        let latin: Vec<u8> = String::from_utf8_lossy(word).chars().map(|c| c as u8).collect();
        let lower = self.0.to_ascii_lowercase();
        let has = |word: &[u8]| lower.windows(word.len()).any(|at| at == word);
        word.is_empty() || has(word) || has(&latin)
    }
}

/// Without CR at line ends; other line ends and lone CRs are spaces.
fn unfolded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'\r' if text.get(at + 1) == Some(&b'\n') => {}
            b'\r' | b'\n' => out.push(b' '),
            byte => out.push(byte),
        }
    }
    out
}

/// With the escapes of RFC 2231 undone.
fn unescaped(header: &[u8]) -> Vec<u8> {
    let mut pieces = header.split(|&byte| byte == b'%');
    let mut out = pieces.next().unwrap_or_default().to_vec();
    for piece in pieces {
        // Both are two hexadecimal digits behind a sign.
        let (digits, rest) = piece.split_at(piece.len().min(2));
        let escape = binary::escapes(&[b"=", digits].concat());
        out.extend(if escape.len() == 1 { escape } else { [b"%", digits].concat() });
        out.extend_from_slice(rest);
    }
    out
}

/// The values of parameters in sections, put together in the order of their numbers (RFC 2231 §3).
fn joined(header: &[u8]) -> Vec<u8> {
    let mut sections: Vec<(Vec<u8>, u32, Vec<u8>)> = Vec::new();
    for param in unescaped(header).split(|byte| matches!(byte, b';' | b'\n')) {
        let Some(equals) = param.iter().position(|&byte| byte == b'=') else { continue };
        let (name, value) = param.split_at(equals);
        let mut parts = name.split(|&byte| byte == b'*');
        let name = parts.next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        let number =
            parts.next().and_then(|number| std::str::from_utf8(number).ok()?.trim().parse().ok());
        let value = value[1..].trim_ascii();
        let value =
            value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
        if let Some(number) = number
            && !sections.iter().any(|(known, other, _)| *known == name && *other == number)
        {
            sections.push((name, number, value.to_vec()));
        }
    }
    sections.sort();
    sections.into_iter().flat_map(|(_, _, value)| value).collect()
}

/// Encoded words undone, one after the other; white space between two of them goes (RFC 2047 §6.2).
fn decoded_words(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut behind_word = false;
    while !rest.is_empty() {
        if let Some((decoded, after)) = encoded_word(rest) {
            if behind_word {
                let kept = out.iter().rposition(|byte: &u8| !byte.is_ascii_whitespace());
                out.truncate(kept.map_or(0, |at| at + 1));
            }
            out.extend(decoded);
            (rest, behind_word) = (after, true);
        } else {
            behind_word &= rest[0].is_ascii_whitespace();
            out.push(rest[0]);
            rest = &rest[1..];
        }
    }
    out
}

fn encoded_word(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut pieces = text.strip_prefix(b"=?")?.splitn(4, |&byte| byte == b'?');
    let (_charset, encoding, word) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let after = pieces.next()?.strip_prefix(b"=")?;
    let spaced: Vec<u8> = word.iter().map(|&byte| if byte == b'_' { b' ' } else { byte }).collect();
    match encoding.to_ascii_lowercase().as_slice() {
        b"b" => Some((binary::base64(word), after)),
        b"q" => Some((binary::escapes(&spaced), after)),
        _ => None,
    }
}

/// The message's own header.
fn header(message: &[u8]) -> &[u8] {
    let mut end = 0;
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        if matches!(line, b"\r\n" | b"\n") {
            break;
        }
        end += line.len();
    }
    &message[..end]
}
