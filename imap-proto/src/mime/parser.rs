//! The parser.

use super::{Kind, Limits, Mime, Part};

/// Takes a message in pieces and gives its structure.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    at: u64,
    lines: u64,
    has_nul: bool,
}

impl Parser {
    /// Begins a message.
    #[must_use]
    pub fn new(limits: Limits) -> Parser {
        Parser { limits, at: 0, lines: 0, has_nul: false }
    }

    /// Takes the next bytes of the message, any number of them.
    pub fn feed(&mut self, input: &[u8]) {
        self.at += input.len() as u64;
        self.lines += memchr::memchr_iter(b'\n', input).count() as u64;
        self.has_nul |= memchr::memchr(0, input).is_some();
    }

    /// The message is complete.
    #[must_use]
    pub fn finish(self) -> Mime {
        let root = Part {
            header: 0,
            body: 0,
            end: self.at,
            lines: self.lines,
            kind: Kind::Leaf,
            parent: None,
            first_child: None,
            next: None,
            fields: 0..0,
        };
        Mime {
            parts: vec![root],
            fields: Vec::new(),
            kept: Vec::new(),
            has_nul: self.has_nul,
            addresses: self.limits.addresses,
        }
    }
}
