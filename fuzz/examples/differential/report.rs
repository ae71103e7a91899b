//! What is printed.

use crate::Message;
use crate::explain::Reason;
use crate::value::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// Counts, and prints differences as they are found.
pub struct Report {
    show_known: bool,
    json: bool,
    keep: Option<PathBuf>,
    messages: usize,
    /// By kind of item: compared, known to differ, unknown.
    kinds: BTreeMap<String, [usize; 3]>,
    known: BTreeMap<Reason, usize>,
}

/// Bytes of a value that are printed, around the first that differs.
const SHOWN: usize = 160;

impl Report {
    pub fn new(show_known: bool, json: bool, keep: Option<PathBuf>) -> Report {
        let (kinds, known) = Default::default();
        Report { show_known, json, keep, messages: 0, kinds, known }
    }

    /// Writes a message that differs to the folder for those, if there is one.
    pub fn keep(&self, message: &Message, known: Option<Reason>) -> io::Result<()> {
        let Some(folder) = self.keep.as_ref().filter(|_| known.is_none() || self.show_known) else {
            return Ok(());
        };
        std::fs::write(folder.join(message.name.replace(' ', "-")), &message.bytes)
    }

    /// One more message is compared.
    pub fn message(&mut self) {
        self.messages += 1;
    }

    /// What both said about an item.
    pub fn item(
        &mut self,
        message: &str,
        item: &str,
        loft: &Value,
        other: &Value,
        known: Option<Reason>,
    ) {
        let counts = self.kinds.entry(kind(item)).or_default();
        counts[0] += 1;
        if loft == other {
            return;
        }
        counts[if known.is_some() { 1 } else { 2 }] += 1;
        if let Some(known) = known {
            *self.known.entry(known).or_default() += 1;
            if !self.show_known {
                return;
            }
        }
        let (loft, other) = around(&loft.to_string(), &other.to_string());
        let name = known.map_or(String::new(), |known| format!("{known:?}"));
        if self.json {
            println!(
                "{{\"message\":{},\"item\":{},\"loft\":{},\"other\":{},\"known\":{}}}",
                json(message),
                json(item),
                json(&loft),
                json(&other),
                if name.is_empty() { "null".to_owned() } else { json(&name) },
            );
        } else {
            let mark = if name.is_empty() { String::new() } else { format!("  [{name}]") };
            println!("{message}  {item}{mark}\n  loft   {loft}\n  other  {other}");
        }
    }

    /// Prints the summary and gives the number of unknown differences.
    pub fn finish(self) -> usize {
        let sum = |n: usize| self.kinds.values().map(|counts| counts[n]).sum::<usize>();
        let (compared, known, unknown) = (sum(0), sum(1), sum(2));
        if self.json {
            let reasons: Vec<String> = self
                .known
                .iter()
                .map(|(reason, count)| format!("\"{reason:?}\":{count}"))
                .collect();
            println!(
                "{{\"messages\":{},\"compared\":{compared},\"known\":{known},\"unknown\":{unknown},\"reasons\":{{{}}}}}",
                self.messages,
                reasons.join(",")
            );
            return unknown;
        }
        println!("\n{:<28} {:>9} {:>7} {:>7}", "item", "compared", "known", "unknown");
        for (kind, [compared, known, unknown]) in &self.kinds {
            println!("{kind:<28} {compared:>9} {known:>7} {unknown:>7}");
        }
        println!("{:<28} {compared:>9} {known:>7} {unknown:>7}", "all");
        println!("\n{} messages. Known differences, by reason:", self.messages);
        for (reason, count) in &self.known {
            println!("{count:>7}  {reason:?}: {}", reason.text());
        }
        unknown
    }
}

/// An item without the numbers of its part.
fn kind(item: &str) -> String {
    let item = item.split_once(": ").map_or(item, |(kind, _)| kind);
    let Some((name, section)) = item.split_once('[') else { return item.to_owned() };
    let numbers = section.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let part = if numbers.len() == section.len() {
        ""
    } else if numbers.starts_with(']') {
        "n"
    } else {
        "n."
    };
    let section = numbers.split(" (").next().unwrap_or(numbers).trim_end_matches(']');
    let partial = if item.ends_with('>') { "<>" } else { "" };
    let section = section.split(']').next().unwrap_or(section);
    format!("{name}[{part}{section}]{partial}")
}

/// The stretches of both around the first difference.
fn around(a: &str, b: &str) -> (String, String) {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let start = same.saturating_sub(SHOWN / 3);
    let cut = |text: &str| {
        let bytes: Vec<u8> = text.bytes().skip(start).take(SHOWN).collect();
        let more = if text.len() > start + SHOWN { "…" } else { "" };
        let before = if start > 0 { "…" } else { "" };
        format!("{before}{}{more}", String::from_utf8_lossy(&bytes))
    };
    (cut(a), cut(b))
}

fn json(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
