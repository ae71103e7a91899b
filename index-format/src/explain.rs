//! Says in words what is in a file of this crate: what each part of it means, where it is damaged, and what follows.
//!
//! Reads what no reader of the store reads: frames behind a damaged one, sections beside a damaged one. What does not
//! count is said not to count. [`explain`] writes lines for people; [`notes`] gives the same as values, for programs.
//! A kind of file that is new here is one more line in [`KINDS`].

mod cache;
mod journal;
mod list;
mod log;
mod record;
mod snapshot;
mod threads;

use std::fmt;

pub use list::list_record;
pub use record::{mailbox_record, transaction};

/// A kind of file.
#[derive(Clone, Copy)]
pub struct Kind {
    /// The bytes each of them begins with.
    pub magic: [u8; 8],
    /// What it is called.
    pub name: &'static str,
    explain: fn(&[u8], &mut Teller<'_>) -> fmt::Result,
}

/// The kinds of files this crate has.
pub const KINDS: &[Kind] = &[
    Kind { magic: *b"LOFTlog\n", name: "log", explain: log::explain },
    Kind { magic: *b"LOFTsnp\n", name: "snapshot", explain: snapshot::explain },
    Kind { magic: *b"LOFTdlt\n", name: "overlay", explain: snapshot::explain_overlay },
    Kind { magic: *b"LOFTlst\n", name: "list", explain: list::explain },
    Kind { magic: *b"LOFTcch\n", name: "cache", explain: cache::explain },
    Kind { magic: *b"LOFTthr\n", name: "threads", explain: threads::explain },
    Kind { magic: *b"LOFTjrn\n", name: "journal", explain: journal::explain },
];

impl Kind {
    /// The kind of a file that begins with these bytes.
    pub fn of(file: &[u8]) -> Option<&'static Kind> {
        let magic = file.first_chunk::<8>()?;
        KINDS.iter().find(|kind| kind.magic == *magic)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kind").field(&self.name).finish()
    }
}

/// What a [`Note`] is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sort {
    /// The file as a whole.
    File,
    /// A part of it that counts: a frame, a section, a row.
    Part,
    /// More about the part before.
    Detail,
    /// A whole part that counts for no reader, because of what stands before it.
    Ignored,
    /// Bytes that are not what they should be.
    Damage,
    /// Where the file ends for its readers, which is as it should be.
    End,
}

impl Sort {
    /// In a word.
    pub fn name(self) -> &'static str {
        match self {
            Sort::File => "file",
            Sort::Part => "part",
            Sort::Detail => "detail",
            Sort::Ignored => "ignored",
            Sort::Damage => "damage",
            Sort::End => "end",
        }
    }
}

/// One thing that is said of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// What it is about.
    pub sort: Sort,
    /// The first byte it is about, where it is about a place.
    pub at: Option<u64>,
    /// How many bytes.
    pub len: Option<u64>,
    /// In words, on one line.
    pub text: String,
}

impl fmt::Display for Note {
    /// One line, without its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{at:>10}  ")?,
            None if self.sort == Sort::Detail => f.write_str("            ")?,
            None => {}
        }
        match self.sort {
            Sort::Damage => f.write_str("DAMAGED: ")?,
            Sort::Ignored => f.write_str("DOES NOT COUNT: ")?,
            Sort::File | Sort::Part | Sort::Detail | Sort::End => {}
        }
        match self.text.chars().any(char::is_control) {
            // Names and values are what clients made of them; a terminal must not take them for commands.
            true => self.text.chars().try_for_each(|c| match c.is_control() {
                true => write!(f, "{}", c.escape_default()),
                false => write!(f, "{c}"),
            }),
            false => f.write_str(&self.text),
        }
    }
}

/// Says what a payload means that another crate wrote, record by record; [`None`] when it can't be read.
pub type Payload<'a> = &'a dyn Fn(&[u8]) -> Option<Vec<String>>;

/// Explains a file to people, a line for each [`Note`].
///
/// # Errors
/// Those of `out`. A file of no kind known here is explained as such.
pub fn explain(file: &[u8], out: &mut dyn fmt::Write) -> fmt::Result {
    notes(file, None, &mut |note| writeln!(out, "{note}"))
}

/// Explains a file, note by note; `map` says what the map's transactions mean, which this crate does not know.
///
/// # Errors
/// Those of `each`.
pub fn notes(
    file: &[u8],
    map: Option<Payload<'_>>,
    each: &mut dyn FnMut(&Note) -> fmt::Result,
) -> fmt::Result {
    let mut teller = Teller { map, each };
    match Kind::of(file) {
        Some(kind) => (kind.explain)(file, &mut teller),
        None => teller.damage(0, file.len() as u64, "begins like none of a store's index files"),
    }
}

/// Takes the notes of those who explain a kind of file.
struct Teller<'a> {
    map: Option<Payload<'a>>,
    each: &'a mut dyn FnMut(&Note) -> fmt::Result,
}

impl Teller<'_> {
    fn note(&mut self, sort: Sort, at: Option<u64>, len: Option<u64>, text: String) -> fmt::Result {
        (self.each)(&Note { sort, at, len, text })
    }

    /// Of the whole file.
    fn file(&mut self, text: impl Into<String>) -> fmt::Result {
        self.note(Sort::File, None, None, text.into())
    }

    fn part(&mut self, at: u64, len: u64, text: impl Into<String>) -> fmt::Result {
        self.note(Sort::Part, Some(at), Some(len), text.into())
    }

    fn detail(&mut self, text: impl Into<String>) -> fmt::Result {
        self.note(Sort::Detail, None, None, text.into())
    }

    fn ignored(&mut self, at: u64, len: u64, text: impl Into<String>) -> fmt::Result {
        self.note(Sort::Ignored, Some(at), Some(len), text.into())
    }

    fn damage(&mut self, at: u64, len: u64, text: impl Into<String>) -> fmt::Result {
        self.note(Sort::Damage, Some(at), Some(len), text.into())
    }

    fn end(&mut self, at: u64, text: impl Into<String>) -> fmt::Result {
        self.note(Sort::End, Some(at), None, text.into())
    }

    /// The records of a transaction.
    fn payload(&mut self, kind: crate::log::Kind, payload: &[u8], at: u64) -> fmt::Result {
        let words = match (kind, self.map) {
            (crate::log::Kind::Mailbox, _) => {
                transaction(payload, at).map_err(|error| error.to_string())
            }
            (crate::log::Kind::List, _) => {
                list::transaction(payload, at).map_err(|error| error.to_string())
            }
            (crate::log::Kind::Map, Some(map)) => {
                map(payload).ok_or_else(|| format!("its steps are none: {}", hex(payload)))
            }
            (crate::log::Kind::Map, None) => Ok(vec![hex(payload)]),
        };
        match words {
            Ok(words) => words.into_iter().try_for_each(|words| self.detail(words)),
            Err(error) => self.detail(format!("cannot be read: {error}")),
        }
    }
}

/// At most 64 bytes as digits.
fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > 64 { format!("{digits}… ({} bytes)", bytes.len()) } else { digits }
}

/// A value that may be text.
fn text(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes))
}

/// `1 frame`, `2 frames`.
fn counted(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
