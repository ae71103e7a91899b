//! Differences that are argued in `docs/formats/mime.md`.

use crate::explain::{self, Reason};
use crate::items::Facts;
use crate::value::Value;

/// A message and all that both said of it.
pub struct Case<'a> {
    pub message: &'a [u8],
    pub ours: &'a Facts,
    pub theirs: &'a Facts,
}

impl Case<'_> {
    /// What explains a difference.
    pub fn known(&self, item: &str, ours: &Value, theirs: &Value) -> Option<Reason> {
        if let Some((whole, _)) = item.split_once('<') {
            let (ours, theirs) = (self.ours.get(whole)?, self.theirs.get(whole)?);
            let lone_cr = || has_lone_cr(self.message).then_some(Reason::LoneCr);
            return if ours == theirs { lone_cr() } else { self.known(whole, ours, theirs) };
        }
        if item == "ENVELOPE" {
            return explain::envelope(self.message, ours, theirs);
        }
        if item == "BODY" || item == "BODYSTRUCTURE" {
            return explain::structure(self.message, ours, theirs).or_else(|| self.other_parts());
        }
        let text = item.strip_prefix("BODY[").and_then(|rest| {
            self.below_leaf(rest, ours, theirs).or_else(|| text(item, ours, theirs))
        });
        let binary = item.starts_with("BINARY") && item.ends_with(".1]");
        text.or(binary.then_some(Reason::BelowLeaf)).or_else(|| self.other_parts())
    }

    /// What gives the message other parts altogether.
    fn other_parts(&self) -> Option<Reason> {
        let message = self.message.to_ascii_lowercase();
        let message: Vec<u8> =
            message.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let has = |text: &[u8]| message.windows(text.len()).any(|window| window == text);
        let structure = self.ours.get("BODYSTRUCTURE");
        if structure.is_some_and(|value| has_boundary(value, &|len| len == 0)) {
            Some(Reason::EmptyBoundary)
        } else if has(b"message/global") {
            Some(Reason::MessageGlobal)
        } else if self.ours.get("BODY").is_some_and(has_encoded_message) {
            Some(Reason::EncodedMessage)
        } else if structure.is_some_and(|value| has_boundary(value, &|len| len > 80)) {
            Some(Reason::LongBoundary)
        } else if explain::fields(self.message, "Content-Type").iter().any(|text| has_lone_cr(text))
        {
            Some(Reason::LoneCr)
        } else {
            None
        }
    }

    /// `2.1` where part 2 has no parts: Dovecot gives part 2 again.
    fn below_leaf(&self, section: &str, ours: &Value, theirs: &Value) -> Option<Reason> {
        let (path, rest) =
            section.split_at(section.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let path = path.trim_end_matches('.').strip_suffix(".1")?;
        let dot = if rest.starts_with(']') { "" } else { "." };
        let above = self.theirs.get(&format!("BODY[{path}{dot}{rest}"))?;
        (ours.bytes() == Some(b"") && above == theirs).then_some(Reason::BelowLeaf)
    }
}

/// Explains what a section's text is.
fn text(item: &str, ours: &Value, theirs: &Value) -> Option<Reason> {
    let (ours, theirs) = (ours.bytes()?, theirs.bytes()?);
    let bare = |text| -> Vec<u8> {
        let mut text: &[u8] = text;
        while let Some(rest) = text.strip_suffix(b"\r\n") {
            text = rest;
        }
        text.to_vec()
    };
    if theirs.strip_suffix(b"\r\n") == Some(ours) {
        return Some(Reason::LineEndOfBoundary);
    }
    if item.contains("HEADER.FIELDS") {
        if bare(ours) == bare(theirs) {
            return Some(Reason::NoBlankLine);
        }
        // What Dovecot adds lies behind the boundary that ends the header.
        if theirs.starts_with(&bare(ours)) {
            return Some(Reason::ReadsOn);
        }
    }
    None
}

fn has_lone_cr(message: &[u8]) -> bool {
    message.windows(2).any(|pair| pair[0] == b'\r' && pair[1] != b'\n')
}

/// Whether some message/rfc822 is encoded.
fn has_encoded_message(structure: &Value) -> bool {
    let Some(part) = structure.list() else { return false };
    let is = |n: usize, text: &[u8]| {
        part.get(n).and_then(Value::bytes).is_some_and(|found| found.eq_ignore_ascii_case(text))
    };
    let identity = is(5, b"7bit") || is(5, b"8bit") || is(5, b"binary");
    (is(0, b"message") && is(1, b"rfc822") && !identity) || part.iter().any(has_encoded_message)
}

/// Whether some boundary has such a length; Dovecot compares 80 bytes.
fn has_boundary(structure: &Value, wanted: &dyn Fn(usize) -> bool) -> bool {
    let Some(values) = structure.list() else { return false };
    let named = values.windows(2).any(|pair| {
        pair[0].bytes().is_some_and(|name| name.eq_ignore_ascii_case(b"boundary"))
            && pair[1].bytes().is_some_and(|boundary| wanted(boundary.len()))
    });
    named || values.iter().any(|value| has_boundary(value, wanted))
}
