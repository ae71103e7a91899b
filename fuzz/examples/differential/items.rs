//! What is asked about each message.

use crate::client::{Answer, Client};
use crate::value::Value;
use std::collections::BTreeMap;
use std::io;

/// What one server says of one message: item, then value.
pub type Facts = BTreeMap<String, Value>;

/// Items about the message itself.
const WHOLE: &[&str] = &[
    "RFC822.SIZE",
    "ENVELOPE",
    "BODY",
    "BODYSTRUCTURE",
    "BODY[]",
    "BODY[HEADER]",
    "BODY[TEXT]",
    "BODY[]<0.10>",
    "BODY[]<7.100>",
    "BODY[]<4294967295.4294967295>",
    "BODY[HEADER]<3.30>",
    "BODY[TEXT]<0.10>",
    "BODY[TEXT]<5.7>",
    "BODY[HEADER.FIELDS (FROM SUBJECT CONTENT-TYPE X-LOFT)]",
    "BODY[HEADER.FIELDS.NOT (FROM SUBJECT CONTENT-TYPE X-LOFT)]",
    "BODY[HEADER.FIELDS (TO)]",
    "BODY[HEADER.FIELDS (TO)]<1.20>",
    "BODY[HEADER.FIELDS (NONESUCH)]",
];

/// Items about a part, without the part's number.
const PART: &[&str] = &[
    "]",
    ".MIME]",
    ".HEADER]",
    ".TEXT]",
    ".HEADER.FIELDS (SUBJECT TO)]",
    ".HEADER.FIELDS.NOT (SUBJECT)]",
    "]<0.10>",
    "]<3.9>",
    "]<99999999.10>",
];

/// Parts of a message that are looked at.
const PARTS: usize = 50;

/// Asks for everything about the whole message.
pub fn whole(client: &mut Client, uid: u64) -> io::Result<Facts> {
    fetch(client, uid, WHOLE.iter().map(|item| (*item).to_owned()))
}

/// Asks for everything about these parts.
pub fn parts(client: &mut Client, uid: u64, paths: &[String], binary: bool) -> io::Result<Facts> {
    let mut facts = Facts::new();
    for paths in paths.chunks(5) {
        let items =
            paths.iter().flat_map(|path| PART.iter().map(move |item| format!("BODY[{path}{item}")));
        facts.extend(fetch(client, uid, items)?);
    }
    if binary {
        for path in paths {
            for item in [format!("BINARY[{path}]"), format!("BINARY.SIZE[{path}]")] {
                facts.extend(fetch(client, uid, [item].into_iter())?);
            }
        }
    }
    Ok(facts)
}

fn fetch(client: &mut Client, uid: u64, items: impl Iterator<Item = String>) -> io::Result<Facts> {
    let items: Vec<String> = items.collect();
    let wanted: Vec<String> = items
        .iter()
        .map(|item| item.replace("BODY[", "BODY.PEEK[").replace("BINARY[", "BINARY.PEEK["))
        .collect();
    let answer = client.command(format!("UID FETCH {uid} ({})", wanted.join(" ")).as_bytes())?;
    Ok(facts(&answer, &items))
}

/// The values of the items, by the names that were asked for.
fn facts(answer: &Answer, items: &[String]) -> Facts {
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    for line in &answer.untagged {
        if let [_, Value::Atom(kind), Value::List(list)] = line.as_slice()
            && kind == b"FETCH"
        {
            for pair in list.chunks_exact(2) {
                told.insert(pair[0].to_string().to_ascii_uppercase(), pair[1].clone());
            }
        }
    }
    let missing = match &answer.status {
        Ok(()) => "not told",
        Err(text) => text.split([' ', ']']).take(2).last().unwrap_or_default(),
    };
    let value = |item: &String| {
        let value = told.get(&name_in_answer(item)).cloned();
        (item.clone(), value.unwrap_or_else(|| Value::Atom(missing.into())))
    };
    items.iter().map(value).collect()
}

/// `BODY[]<3.30>` is answered as `BODY[]<3>`.
fn name_in_answer(item: &str) -> String {
    match item.rsplit_once('.') {
        Some((start, end)) if end.ends_with('>') && start.contains('<') => format!("{start}>"),
        _ => item.to_owned(),
    }
}

/// The numbers of the parts that a BODY names, and some that it doesn't.
pub fn paths(body: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    let Some(root) = body.list() else { return paths };
    let mut stack = vec![(root, String::new(), false)];
    while let Some((part, path, inside_message)) = stack.pop() {
        if paths.len() >= PARTS {
            break;
        }
        let children: Vec<&[Value]> = part.iter().map_while(|value| value.list()).collect();
        let below = |n: usize| if path.is_empty() { n.to_string() } else { format!("{path}.{n}") };
        if !children.is_empty() {
            if !path.is_empty() && !inside_message {
                paths.push(path.clone());
            }
            paths.push(below(children.len() + 1));
            stack.extend(
                children.iter().enumerate().rev().map(|(n, child)| (*child, below(n + 1), false)),
            );
            continue;
        }
        let path = if path.is_empty() || inside_message { below(1) } else { path };
        paths.push(path.clone());
        paths.push(format!("{path}.1"));
        if let Some(inside) = part.get(8).and_then(Value::list) {
            stack.push((inside, path, true));
        }
    }
    paths.sort();
    paths.dedup();
    paths
}

/// What a BODY says of one part.
pub struct Part {
    kind: (Vec<u8>, Vec<u8>),
    composite: bool,
    /// The transfer encoding; of a multipart, which has none, nothing.
    pub encoding: Vec<u8>,
}

impl Part {
    /// The part of this number; `None` when there is none.
    pub fn of(body: &Value, path: &str) -> Option<Part> {
        let mut part = body.list()?;
        let mut inside_message = true; // RFC 9051 §6.4.5.1: a message without parts has a part 1
        for number in path.split('.') {
            let number: usize = number.parse().ok()?;
            let mut children = part.iter().map_while(Value::list);
            if part.first()?.list().is_some() {
                part = children.nth(number.checked_sub(1)?)?;
                inside_message = false;
            } else if inside_message && number == 1 {
                inside_message = false;
            } else {
                part = part.get(8)?.list()?;
                let multipart = part.first()?.list().is_some();
                part = if multipart { part.get(number.checked_sub(1)?)?.list()? } else { part };
                (multipart || number == 1).then_some(())?;
            }
        }
        let text = |n: usize| part.get(n).and_then(Value::bytes).unwrap_or_default();
        Some(Part {
            kind: (text(0).to_ascii_lowercase(), text(1).to_ascii_lowercase()),
            composite: part.first()?.list().is_some()
                || part.get(8).is_some_and(|inside| inside.list().is_some()),
            encoding: if part.first()?.list().is_some() { Vec::new() } else { text(5).to_vec() },
        })
    }

    /// Whether it is a multipart, or a message that is looked into.
    pub fn is_composite(&self) -> bool {
        self.composite
    }

    /// Whether it is of a text type.
    pub fn is_text(&self) -> bool {
        self.kind.0 == b"text"
    }

    /// Whether SEARCH looks into it: text, what of message/* isn't taken apart, and what has no type that can be read.
    pub fn is_searched(&self) -> bool {
        matches!(self.kind.0.as_slice(), b"text" | b"message" | b"")
    }

    /// Whether this is its encoding, in any case.
    pub fn is_encoded(&self, encoding: &[u8]) -> bool {
        self.encoding.eq_ignore_ascii_case(encoding)
    }
}
