//! `loft dump`: what a file of a store says, in words.
//!
//! Reads the file alone: it needs no server, no configuration, and no other file of the store.

use clap::Args;
use dbox_format::DICTIONARY_MAGIC;
use dbox_format::container::FILE_MAGIC;
use dbox_format::map::{SNAPSHOT_MAGIC, Transaction};
use index_format::explain::{KINDS, Kind, Note, Sort, notes};
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

pub(super) const EXAMPLE: &str = "\
Example:
  loft dump /var/mail/loft/users/4c/u1/list.log
  loft dump --json /var/mail/loft/users/4c/u1/mailboxes/*/index | grep '\"damage\"'

A number at the start of a line is the byte in the file that it is about. What is damaged is said to be, and what stands \
behind it is shown, whether it counts or not. Nothing is written. `loft mailbox check` looks at all files of a mailbox, and \
at whether they fit each other.";

/// What `loft dump` is told.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct Dump {
    /// As JSON objects, one a line: `sort` (file, part, detail, ignored, damage or end), `at` and `len` where it is about
    /// a place, and `text`.
    #[arg(long)]
    json: bool,
    /// The file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Why it ends with 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system does not give it.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no file of a store.
    #[error("{} is no file of a store that can be explained: it begins like none of these: {}", file.display(), known())]
    Unknown {
        /// The file.
        file: PathBuf,
    },
    /// Standard output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

fn known() -> String {
    let ours = KINDS.iter().map(|kind| kind.name);
    ours.chain(["container", "map", "dictionary"]).collect::<Vec<_>>().join(", ")
}

impl Dump {
    /// Does it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(self) -> Result<(), Error> {
        let Self { json, file } = self;
        let bytes = match std::fs::read(&file) {
            Ok(bytes) => bytes,
            Err(source) => return Err(Error::Read { file, source }),
        };
        let of_messages = [FILE_MAGIC, SNAPSHOT_MAGIC, DICTIONARY_MAGIC];
        if of_messages.iter().any(|magic| bytes.starts_with(magic)) {
            return match messages(&bytes, json, &mut io::BufWriter::new(io::stdout().lock())) {
                Err(Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                told => told,
            };
        }
        if Kind::of(&bytes).is_none() {
            return Err(Error::Unknown { file });
        }
        let mut out = io::BufWriter::new(io::stdout().lock());
        let mut failed = None;
        let told = notes(&bytes, Some(&map_words), &mut |note| {
            let written = if json { line(note, &mut out) } else { writeln!(out, "{note}") };
            written.map_err(|error| {
                failed = Some(error);
                fmt::Error
            })
        });
        match (told, failed) {
            // Whoever read it has seen enough.
            (Err(_), Some(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            (Err(_), Some(error)) => Err(error.into()),
            (Ok(()) | Err(_), _) => match out.flush() {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
                Ok(()) | Err(_) => Ok(()),
            },
        }
    }
}

fn line(note: &Note, out: &mut impl Write) -> io::Result<()> {
    let Note { sort, at, len, text } = note;
    let mut value = serde_json::json!({ "sort": sort.name(), "text": text });
    for (name, number) in [("at", at), ("len", len)] {
        if let (Some(number), Some(object)) = (number, value.as_object_mut()) {
            object.insert(name.to_owned(), (*number).into());
        }
    }
    writeln!(out, "{value}")
}

/// A transaction of the map, step by step.
pub(crate) fn map_words(payload: &[u8]) -> Option<Vec<String>> {
    Transaction::decode(payload).ok()?;
    let mut words = String::new();
    dbox_format::explain_transaction(payload, &mut words).ok()?;
    Some(words.lines().map(str::to_owned).collect())
}

/// Files of messages: their words are lines without a place of their own.
fn messages(bytes: &[u8], json: bool, out: &mut impl Write) -> Result<(), Error> {
    let mut text = String::new();
    dbox_format::explain(bytes, &mut text).expect("a string takes everything");
    for words in text.lines() {
        let note = Note { sort: Sort::Part, at: None, len: None, text: words.to_owned() };
        if json { line(&note, out)? } else { writeln!(out, "{words}")? }
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dbox_format::Seed;
    use dbox_format::map::{Added, Draft, Map, MapId};

    #[test]
    fn steps_of_the_map_in_words() {
        let mut draft = Draft::new(&Map::new());
        draft.container_open(1, Seed(7));
        let message = Added {
            guid: dbox_format::Guid([0xab; 16]),
            container: 1,
            offset: 64,
            record_len: 190,
            size: 100,
            refs: 1,
            ..Added::default()
        };
        let id = draft.add(message);
        draft.refs_add([id, MapId(4), MapId(5)]);
        let mut payload = Vec::new();
        draft.finish().encode(&mut payload);
        insta::assert_snapshot!(map_words(&payload).unwrap().join("\n"), @r"
        open container 1
        add abababababababababababababababab as the id that ends in 01: 100 bytes, 1 references, container 1 at 64, 190 bytes
        one reference more: 1, 4 to 5
        ");
        assert_eq!(map_words(b"\xff"), None);
    }

    #[test]
    fn lines_for_programs() {
        let note = Note {
            sort: index_format::explain::Sort::Damage,
            at: Some(88),
            len: Some(2),
            text: "\u{1b}\"".to_owned(),
        };
        let mut out = Vec::new();
        line(&note, &mut out).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"{"at":88,"len":2,"sort":"damage","text":"\u001b\""}"#);
    }
}
