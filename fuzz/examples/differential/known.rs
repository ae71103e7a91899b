//! Differences that are argued in `docs/formats/mime.md`.

use crate::binary;
use crate::explain::{self, Reason};
use crate::items::Facts;
use crate::value::Value;

/// A message and all that both said of it.
pub struct Case<'a> {
    pub message: &'a [u8],
    /// What Loft sent.
    pub sent: &'a Facts,
    /// The same with CRLF at the end of every line.
    pub ours: &'a Facts,
    pub theirs: &'a Facts,
}

impl Case<'_> {
    /// What explains a difference.
    pub fn known(&self, item: &str, ours: &Value, theirs: &Value) -> Option<Reason> {
        if item != "ENVELOPE" && self.is_converted() {
            return Some(Reason::Converted);
        }
        if let Some((whole, _)) = item.split_once('<') {
            let (ours, theirs) = (self.ours.get(whole)?, self.theirs.get(whole)?);
            let lone_cr = || has_lone_cr(self.message).then_some(Reason::LoneCr);
            return if ours == theirs { lone_cr() } else { self.known(whole, ours, theirs) };
        }
        if self.message.contains(&0) && ["ENVELOPE", "BODY", "BODYSTRUCTURE"].contains(&item) {
            let nul = with_nul(theirs);
            if nul != *theirs {
                let known = || self.known(item, ours, &nul);
                return if *ours == nul { Some(Reason::Nul) } else { known() };
            }
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
        let binary = || {
            let of_part = item.starts_with("BINARY");
            of_part.then(|| binary::known(item, self.message, self.sent, self.theirs))?
        };
        text.or_else(binary).or_else(|| self.other_parts())
    }

    /// Whether the other server stores something else, as RFC 3516 §4.4 allows it for what holds NUL.
    pub fn is_converted(&self) -> bool {
        let stored = self.theirs.get("BODY[]").and_then(Value::bytes).unwrap_or_default();
        let lower = self.message.to_ascii_lowercase();
        let is_in = |text: &[u8], word: &[u8]| text.windows(word.len()).any(|at| at == word);
        let base64 = |text: &[u8]| {
            text.windows(33).filter(|at| *at == b"Content-Transfer-Encoding: base64").count()
        };
        self.message.contains(&0)
            && is_in(&lower, b"binary")
            && base64(stored) > base64(self.message)
    }

    /// What gives the message other parts altogether.
    fn other_parts(&self) -> Option<Reason> {
        let message = self.message.to_ascii_lowercase();
        let message: Vec<u8> =
            message.into_iter().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let has = |text: &[u8]| message.windows(text.len()).any(|window| window == text);
        let structure = self.ours.get("BODYSTRUCTURE");
        let nul_in_name = |line: &[u8]| {
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default();
            name.contains(&0) && name.to_ascii_lowercase().starts_with(b"content-")
        };
        if self.message.split(|&byte| byte == b'\n').any(nul_in_name) {
            return Some(Reason::Nul);
        }
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

/// What Dovecot shows as U+FFFD, as the 0x80 that Loft shows.
fn with_nul(theirs: &Value) -> Value {
    match theirs {
        Value::String(bytes) => {
            let mut out = Vec::with_capacity(bytes.len());
            let mut rest = bytes.as_slice();
            while let [byte, after @ ..] = rest {
                let nul = rest.strip_prefix(b"\xef\xbf\xbd");
                out.push(if nul.is_some() { 0x80 } else { *byte });
                rest = nul.unwrap_or(after);
            }
            Value::String(out)
        }
        Value::List(values) => Value::List(values.iter().map(with_nul).collect()),
        Value::Nil | Value::Atom(_) => theirs.clone(),
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
