//! Puts messages into both servers and compares what they say.

use crate::client::Client;
use crate::explain::Reason;
use crate::items::{self, Facts};
use crate::report::Report;
use crate::value::Value;
use crate::{Message, known, search};
use std::io;

/// The mailbox that is made for each batch, and removed.
const MAILBOX: &str = "Differential";

/// Both servers.
pub struct Pair {
    /// Loft.
    pub loft: Client,
    /// The one it is compared with.
    pub other: Client,
}

/// A message that both took, and the UIDs they gave it.
pub struct Stored<'a> {
    pub message: &'a Message,
    pub loft: u64,
    pub other: u64,
    /// What Loft said of it.
    pub facts: Facts,
    /// Whether the other server has stored something else.
    pub converted: bool,
}

impl Pair {
    /// Compares all about these messages.
    pub fn compare(
        &mut self,
        messages: &[Message],
        search: bool,
        report: &mut Report,
    ) -> io::Result<()> {
        for client in [&mut self.loft, &mut self.other] {
            client.command(format!("DELETE {MAILBOX}").as_bytes())?;
            client.expect(format!("CREATE {MAILBOX}").as_bytes())?;
        }
        let mut stored = Vec::new();
        for message in messages {
            let loft = self.loft.append(MAILBOX, &message.bytes)?;
            let other = self.other.append(MAILBOX, &message.bytes)?;
            report.message();
            match (loft, other) {
                (Ok(loft), Ok(other)) => {
                    stored.push(Stored {
                        message,
                        loft,
                        other,
                        facts: Facts::new(),
                        converted: false,
                    });
                }
                (loft, other) => {
                    let shown = |result: Result<u64, String>| {
                        Value::Atom(result.map_or_else(|text| text.into(), |_| b"OK".to_vec()))
                    };
                    let (loft, other) = (shown(loft), shown(other));
                    let known = message.bytes.is_empty().then_some(Reason::EmptyMessage);
                    report.item(&message.name, "APPEND", &loft, &other, known);
                }
            }
        }
        for client in [&mut self.loft, &mut self.other] {
            client.expect(format!("SELECT {MAILBOX}").as_bytes())?;
        }
        for stored in &mut stored {
            if let Err(error) = self.compare_message(stored, report) {
                self.revive(&stored.message.name, error, report)?;
            }
        }
        if search {
            search::compare(self, &stored, report)?;
        }
        for client in [&mut self.loft, &mut self.other] {
            client.expect(b"UNSELECT")?;
            client.expect(format!("DELETE {MAILBOX}").as_bytes())?;
        }
        Ok(())
    }

    /// Goes on after a server hung up, which is a difference.
    pub fn revive(
        &mut self,
        message: &str,
        error: io::Error,
        report: &mut Report,
    ) -> io::Result<()> {
        let mut gone = [false; 2];
        for (client, gone) in [&mut self.loft, &mut self.other].into_iter().zip(&mut gone) {
            *gone = client.revive(MAILBOX)?;
        }
        let shown = |gone| Value::Atom(if gone { b"hung up".to_vec() } else { b"stayed".to_vec() });
        let known = match gone {
            [false, false] => return Err(error),
            [false, true] => Some(Reason::HungUp),
            [true, _] => None,
        };
        report.item(message, "CONNECTION", &shown(gone[0]), &shown(gone[1]), known);
        Ok(())
    }

    fn compare_message(&mut self, stored: &mut Stored<'_>, report: &mut Report) -> io::Result<()> {
        let mut ours = items::whole(&mut self.loft, stored.loft)?;
        let mut theirs = items::whole(&mut self.other, stored.other)?;
        let mut paths: Vec<String> =
            [&ours, &theirs].iter().flat_map(|facts| items::paths(&facts["BODY"])).collect();
        paths.sort();
        paths.dedup();
        let binary = self.loft.can("BINARY") && self.other.can("BINARY");
        ours.extend(items::parts(&mut self.loft, stored.loft, &paths, binary)?);
        stored.facts.clone_from(&ours); // the other may hang up
        theirs.extend(items::parts(&mut self.other, stored.other, &paths, binary)?);
        let sent = ours;
        let bare = with_crlf(&stored.message.bytes) != stored.message.bytes;
        let ours = if bare { virtual_facts(&sent) } else { sent.clone() };
        let message = &stored.message.bytes;
        let case = known::Case { message, sent: &sent, ours: &ours, theirs: &theirs };
        for (item, value) in &ours {
            let other = theirs.get(item).unwrap_or(&Value::Nil);
            let known = if value == other { None } else { case.known(item, value, other) };
            if value != other {
                report.keep(stored.message, known)?;
            }
            report.item(&stored.message.name, item, value, other, known);
        }
        stored.converted = case.is_converted();
        Ok(())
    }
}

/// Every line feed with a carriage return before it.
pub fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut previous = 0;
    for &byte in bytes {
        if byte == b'\n' && previous != b'\r' {
            out.push(b'\r');
        }
        out.push(byte);
        previous = byte;
    }
    out
}

/// What Loft's facts are once every line ends in CRLF, as servers show it that don't keep bare line feeds.
fn virtual_facts(facts: &Facts) -> Facts {
    let converted = |item: &str| facts.get(item).and_then(Value::bytes).map(with_crlf);
    let value = |(item, value): (&String, &Value)| {
        let value = match item.as_str() {
            "RFC822.SIZE" => converted("BODY[]")
                .map_or(value.clone(), |text| Value::Atom(text.len().to_string().into_bytes())),
            "BODY" | "BODYSTRUCTURE" => {
                let mut value = value.clone();
                resize(&mut value, "", false, &|path| converted(&format!("BODY[{path}]")));
                value
            }
            _ => match (item.split_once('<'), value) {
                (Some((whole, partial)), Value::String(_)) => converted(whole)
                    .map_or(value.clone(), |text| Value::String(slice(&text, partial))),
                (None, Value::String(bytes)) if item.starts_with("BODY[") => {
                    Value::String(with_crlf(bytes))
                }
                _ => value.clone(),
            },
        };
        (item.clone(), value)
    };
    facts.iter().map(value).collect()
}

/// The octets that `first.count>` names.
fn slice(text: &[u8], partial: &str) -> Vec<u8> {
    let (first, count) = partial.trim_end_matches('>').split_once('.').unwrap_or(("0", "0"));
    let (first, count) = (first.parse().unwrap_or(0), count.parse().unwrap_or(0));
    text.iter().skip(first).take(count).copied().collect()
}

/// Replaces the sizes in a structure by those of the parts' text.
fn resize(
    part: &mut Value,
    path: &str,
    inside_message: bool,
    text: &dyn Fn(&str) -> Option<Vec<u8>>,
) {
    let Value::List(part) = part else { return };
    let below = |n: usize| if path.is_empty() { n.to_string() } else { format!("{path}.{n}") };
    if part.first().is_some_and(|first| first.list().is_some()) {
        for (n, child) in
            part.iter_mut().enumerate().take_while(|(_, child)| child.list().is_some())
        {
            resize(child, &below(n + 1), false, text);
        }
        return;
    }
    let path = if path.is_empty() || inside_message { below(1) } else { path.to_owned() };
    if let (Some(size), Some(text)) = (part.get_mut(6), text(&path)) {
        *size = Value::Atom(text.len().to_string().into_bytes());
    }
    if let Some(inside) = part.get_mut(8) {
        resize(inside, &path, true, text);
    }
}
