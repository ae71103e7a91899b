//! Responses as a client reads them; whether they are well formed the grammar has checked already.

/// The first response of what came, once it is whole.
pub(crate) fn cut(wire: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let end = at + wire.get(at..)?.windows(2).position(|two| two == b"\r\n")? + 2;
        match literal(&wire[at..end - 2]) {
            Some(len) => at = end + len,
            None => return wire.get(..end),
        }
    }
}

/// The size of the literal that a line announces.
fn literal(line: &[u8]) -> Option<usize> {
    let digits = line.strip_suffix(b"}")?;
    let at = digits.iter().rposition(|byte| *byte == b'{')?;
    std::str::from_utf8(&digits[at + 1..]).ok()?.parse().ok()
}

/// What a FETCH says that a client keeps.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) uid: Option<u32>,
    pub(crate) flags: Option<Vec<String>>,
    pub(crate) modseq: Option<u64>,
}

impl Row {
    /// Reads `(name value name value …)`.
    pub(crate) fn parse(wire: &[u8]) -> Self {
        let mut row = Self::default();
        let mut rest = wire.strip_prefix(b"(").expect("FETCH has a list");
        while !rest.starts_with(b")") {
            rest = rest.strip_prefix(b" ").unwrap_or(rest);
            let (name, after) = rest.split_at(name(rest));
            let after = after.strip_prefix(b" ").expect("a space before the value");
            let (value, after) = after.split_at(value(after));
            let text = || std::str::from_utf8(value).expect("ASCII");
            let inner = || text().trim_matches(['(', ')']);
            match name {
                b"UID" => row.uid = Some(text().parse().expect("a UID")),
                b"MODSEQ" => row.modseq = Some(inner().parse().expect("a mod-sequence")),
                b"FLAGS" => {
                    row.flags = Some(inner().split_ascii_whitespace().map(str::to_owned).collect());
                }
                _ => {}
            }
            rest = after;
        }
        row
    }
}

/// How long an item's name is: spaces may stand between its brackets, and brackets between its quotes.
fn name(wire: &[u8]) -> usize {
    let (mut depth, mut quoted) = (0, false);
    let end = |byte: &u8| {
        match byte {
            b'"' => quoted = !quoted,
            b'[' if !quoted => depth += 1,
            b']' if !quoted => depth -= 1,
            _ => {}
        }
        depth == 0 && *byte == b' '
    };
    wire.iter().position(end).expect("a name ends")
}

/// How long a value is.
fn value(wire: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        match wire[at] {
            b'(' => (depth, at) = (depth + 1, at + 1),
            b')' if depth == 0 => return at,
            b')' => (depth, at) = (depth - 1, at + 1),
            b' ' if depth == 0 => return at,
            b'"' => {
                at += 1;
                while wire[at] != b'"' {
                    at += if wire[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'{' => {
                let end = at + wire[at..].iter().position(|byte| *byte == b'}').expect("}") + 1;
                at = end + 2 + literal(&wire[at..end]).expect("a literal's size");
            }
            _ => at += 1,
        }
    }
}

/// `1,3:5` in numbers, clipped to what a test can have.
pub(crate) fn numbers(set: &str, most: u32) -> Vec<u32> {
    let number = |text: &str| if text == "*" { most } else { text.parse().expect("a number") };
    let mut out = Vec::new();
    for range in set.split(',') {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        let (first, last) = (number(first), number(last));
        out.extend(first.min(last)..=first.max(last).min(first.min(last).saturating_add(1000)));
    }
    out
}
