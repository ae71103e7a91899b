//! What SEARCH finds.

use crate::client::Client;
use crate::compare::{Pair, Stored, with_crlf};
use crate::explain::Reason;
use crate::found;
use crate::report::Report;
use crate::value::Value;
use std::collections::BTreeSet;
use std::io;

/// Compares what searches for words of the messages find among all of them.
pub fn compare(pair: &mut Pair, stored: &[Stored<'_>], report: &mut Report) -> io::Result<()> {
    for from in stored {
        for query in queries(&from.message.bytes) {
            let ours = search(&mut pair.loft, &query)?;
            let theirs = search(&mut pair.other, &query)?;
            let (ours, theirs) = match (ours, theirs) {
                (Ok(ours), Ok(theirs)) => (ours, theirs),
                (ours, theirs) => {
                    let shown = |found: Result<BTreeSet<u64>, String>| {
                        Value::Atom(found.map_or_else(|text| text.into(), |_| b"OK".to_vec()))
                    };
                    let item = format!("SEARCH {}", shown_query(&query));
                    report.item(&from.message.name, &item, &shown(ours), &shown(theirs), None);
                    continue;
                }
            };
            for in_message in stored {
                let shown =
                    |found| Value::Atom(if found { b"found".to_vec() } else { b"not".to_vec() });
                let item = format!("SEARCH {}", shown_query(&query));
                let (loft, other) =
                    (ours.contains(&in_message.loft), theirs.contains(&in_message.other));
                let known = if loft == other { None } else { known(&query, in_message, loft) };
                if loft != other {
                    report.keep(in_message.message, known)?;
                }
                let (ours, theirs) = (shown(loft), shown(other));
                report.item(&in_message.message.name, &item, &ours, &theirs, known);
            }
        }
    }
    Ok(())
}

/// What explains that only one of both finds a message.
fn known(query: &[u8], stored: &Stored<'_>, loft: bool) -> Option<Reason> {
    let message = &stored.message.bytes;
    if query.starts_with(b"LARGER") || query.starts_with(b"SMALLER") {
        return (with_crlf(message) != *message).then_some(Reason::BareLineFeed);
    }
    if stored.converted {
        return Some(Reason::Converted);
    }
    let query = query.strip_prefix(b"CHARSET UTF-8 ").unwrap_or(query);
    let begin = query.iter().position(|byte| matches!(byte, b'"' | b'{'));
    let at = begin.or(query.iter().position(|&byte| byte == b' ').map(|at| at + 1))?;
    let (key, value) = query.split_at(at);
    let literal = value.windows(2).position(|pair| pair == b"\r\n");
    let value = literal.map_or(value, |at| &value[at + 2..]);
    let value =
        value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
    let key = std::str::from_utf8(key.trim_ascii()).ok()?;
    found::known(&found::Query { key, value }, message, &stored.facts, loft)
}

/// `FROM: word`, so that the report counts by key.
fn shown_query(query: &[u8]) -> String {
    query.escape_ascii().to_string().replacen(' ', ": ", 1)
}

fn search(client: &mut Client, query: &[u8]) -> io::Result<Result<BTreeSet<u64>, String>> {
    let answer = client.command(&[b"UID SEARCH ", query].concat())?;
    let mut found = BTreeSet::new();
    for line in &answer.untagged {
        if line.first() == Some(&Value::Atom(b"SEARCH".to_vec())) {
            found.extend(line.iter().filter_map(Value::number));
        }
    }
    Ok(answer.status.map(|()| found))
}

/// Searches with words of a message.
fn queries(message: &[u8]) -> Vec<Vec<u8>> {
    let split =
        message.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(message.len());
    let (header, body) = message.split_at(split);
    let mut queries: Vec<Vec<u8>> = header.split(|&byte| byte == b'\n').flat_map(field).collect();
    queries.truncate(12);
    for word in words(body).take(200).step_by(40) {
        queries.push(query("BODY", word));
        queries.push(query("TEXT", word));
    }
    queries.extend(ALWAYS.iter().map(|query| query.as_bytes().to_vec()));
    queries.push(format!("LARGER {}", message.len() / 2).into_bytes());
    queries.sort();
    queries.dedup();
    queries
}

/// Searches that every message is asked for.
const ALWAYS: &[&str] = &[
    "SENTSINCE 7-Feb-1994",
    "SENTBEFORE 7-Feb-1994",
    "SENTON 7-Feb-1994",
    "SENTON 1-Jan-1970",
    "BODY \"invoice\"",
    "CHARSET UTF-8 TEXT {5+}\r\ncaf\u{e9}",
    "CHARSET UTF-8 SUBJECT {5+}\r\ncaf\u{e9}",
];

/// Searches with the longest word of a header line.
fn field(line: &[u8]) -> Vec<Vec<u8>> {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return Vec::new() };
    let Some(word) = words(&line[colon + 1..]).max_by_key(|word| word.len()) else {
        return Vec::new();
    };
    let name = String::from_utf8_lossy(&line[..colon]).to_ascii_uppercase();
    let header = format!("HEADER {name}");
    match name.as_str() {
        "FROM" | "TO" | "CC" | "BCC" | "SUBJECT" => {
            vec![query(&name, word), query(&header, word)]
        }
        "" => Vec::new(),
        _ if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') => {
            vec![query(&header, word), query(&header, b""), query("TEXT", word)]
        }
        _ => Vec::new(),
    }
}

fn query(key: &str, word: &[u8]) -> Vec<u8> {
    [key.as_bytes(), b" \"", word, b"\""].concat()
}

/// Letters and digits in a row, three or more.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| (3..30).contains(&word.len()))
}
