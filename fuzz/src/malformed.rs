//! Mail that breaks the rules on purpose: structure first, then bytes.
//!
//! A message is built as a program would build it (headers, multiparts, messages in messages), but at each step a rule
//! may be broken: a boundary that is missing, too early, the beginning of another; a field folded oddly or without its
//! colon; parameters in sections out of order; a quote or comment that never ends. At last a few bytes change.

mod values;

use crate::rng::Rng;
use values::{ADDRESSES, BOUNDARIES, DATES, DISPOSITIONS, ENCODINGS, OTHERS, PARAMS, TYPES, WORDS};

/// Makes malformed messages, the same for the same seed.
#[derive(Clone, Debug)]
pub struct MalformedMail {
    rng: Rng,
    /// Whether messages may hold NUL.
    nul: bool,
}

/// How deep multiparts and messages nest.
const DEEPEST: usize = 5;

/// The longest message made, in bytes; parts are added while it is shorter.
const ENOUGH: usize = 8 * 1024;

impl MalformedMail {
    /// Messages of this seed; with `nul` some hold NUL, which only a literal8 carries (RFC 3516 §4.4).
    #[must_use]
    pub fn new(seed: u64, nul: bool) -> Self {
        MalformedMail { rng: Rng(seed), nul }
    }

    /// The next message.
    pub fn message(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.entity(0, &mut Vec::new(), &mut out);
        if self.rng.one_in(3) {
            for _ in 0..=self.rng.below(3) {
                self.change(&mut out);
            }
        }
        match self.rng.below(16) {
            0 => bare_line_feeds(&mut out),
            1 => drop(out.pop()),
            _ => {}
        }
        out
    }

    /// A header and a body; `open` are the boundaries of the multiparts around it.
    fn entity(&mut self, depth: usize, open: &mut Vec<String>, out: &mut Vec<u8>) {
        let (mut lines, mut boundary, mut nested) = (Vec::new(), None, false);
        if depth == 0 || self.rng.one_in(4) {
            self.message_fields(&mut lines);
        }
        match self.rng.below(8) {
            0..=2 if depth < DEEPEST => boundary = Some(self.multipart_type(open, &mut lines)),
            3 if depth < DEEPEST => {
                lines.push(self.field("Content-Type", "message/rfc822"));
                nested = true;
            }
            4 | 5 => {
                let kind = self.rng.pick(TYPES).to_owned();
                let kind = self.with_params(kind);
                lines.push(self.field("Content-Type", &kind));
            }
            _ => {}
        }
        if self.rng.one_in(3) {
            let identity = nested && !self.rng.one_in(10);
            let encoding = self.rng.pick(if identity { &ENCODINGS[..3] } else { ENCODINGS });
            lines.push(self.field("Content-Transfer-Encoding", encoding));
        }
        if self.rng.one_in(3) {
            let disposition = self.rng.pick(DISPOSITIONS).to_owned();
            let disposition = self.with_params(disposition);
            lines.push(self.field("Content-Disposition", &disposition));
        }
        for _ in 0..self.rng.below(4) {
            lines.push(self.rng.pick(OTHERS).to_owned());
        }
        self.shuffle(&mut lines);
        for line in lines {
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(if self.rng.one_in(200) { b"\n" } else { b"\r\n" });
        }
        if !self.rng.one_in(25) {
            out.extend_from_slice(b"\r\n");
        }
        match boundary {
            Some(boundary) => self.multipart(boundary, depth, open, out),
            None if nested => self.entity(depth + 1, open, out),
            None => self.text(open, out),
        }
    }

    /// What the envelope shows.
    fn message_fields(&mut self, lines: &mut Vec<String>) {
        for name in ["From", "To", "Cc", "Bcc", "Sender", "Reply-To", "from", "TO"] {
            if self.rng.one_in(3) {
                let mut value = self.rng.pick(ADDRESSES).to_owned();
                for _ in 0..self.rng.below(3) {
                    value = value + ", " + self.rng.pick(ADDRESSES);
                }
                lines.push(self.field(name, &value));
            }
        }
        for _ in 0..self.rng.below(3) {
            let words = self.words();
            lines.push(self.field("Subject", &words));
        }
        for _ in 0..self.rng.below(2) {
            let date = self.rng.pick(DATES);
            lines.push(self.field("Date", date));
        }
    }

    fn words(&mut self) -> String {
        let count = self.rng.below(6);
        let words: Vec<&str> = (0..count).map(|_| self.rng.pick(WORDS)).collect();
        words.join(self.rng.pick(&[" ", "  ", "\t", " \t"]))
    }

    fn with_params(&mut self, mut value: String) -> String {
        for _ in 0..self.rng.below(4) {
            value.push_str(self.rng.pick(&[";", "; ", " ;", ";\r\n\t", ""]));
            value.push_str(self.rng.pick(PARAMS));
        }
        value
    }

    /// A field, perhaps folded, perhaps oddly.
    fn field(&mut self, name: &str, value: &str) -> String {
        let between = self
            .rng
            .pick(&[": ", ": ", ": ", ": ", ":", ":\t", " : ", ":  ", ":\r\n ", ": \r\n\t"]);
        let mut value = value.to_owned();
        if self.rng.one_in(5) {
            let fold = self.rng.pick(&["\r\n ", "\r\n\t", "\r\n  ", "\r\n \r\n ", "\n ", "\r "]);
            value = value.replacen(' ', fold, 1 + self.rng.below(3));
        }
        let trail = self.rng.pick(&["", "", "", "", " ", "\t", "\r\n ", "\r\n\t"]);
        format!("{name}{between}{value}{trail}")
    }

    fn multipart_type(&mut self, open: &[String], lines: &mut Vec<String>) -> String {
        let boundary = match open.last() {
            Some(outer) if self.rng.one_in(8) => outer.clone(),
            Some(outer) if self.rng.one_in(4) => {
                format!("{outer}{}", self.rng.pick(&["x", "--", "-", " ", "1"]))
            }
            _ if self.rng.one_in(60) => String::new(),
            _ => self.rng.pick(BOUNDARIES).to_owned(),
        };
        let kind =
            self.rng.pick(&["mixed", "mixed", "alternative", "digest", "digest", "related", "x"]);
        let written = match self.rng.below(8) {
            0 => format!("boundary={boundary}"),
            1 => format!("BOUNDARY = \"{boundary}\""),
            2 => format!("x=y; boundary=\"{boundary}\"; z=w"),
            3 => format!("boundary=\"{boundary}\"; boundary=other"),
            _ => format!("boundary=\"{boundary}\""),
        };
        let value = self.with_params(format!("multipart/{kind}; {written}"));
        lines.push(self.field("Content-Type", &value));
        boundary
    }

    fn multipart(
        &mut self,
        boundary: String,
        depth: usize,
        open: &mut Vec<String>,
        out: &mut Vec<u8>,
    ) {
        if self.rng.one_in(3) {
            self.text(open, out);
        }
        open.push(boundary.clone());
        for _ in 0..self.rng.below(4) {
            if out.len() > ENOUGH {
                break;
            }
            self.boundary_line(&boundary, out);
            self.entity(depth + 1, open, out);
        }
        open.pop();
        match self.rng.below(8) {
            0 => {}
            1 => self.boundary_line(&boundary, out),
            _ => out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes()),
        }
        if self.rng.one_in(3) {
            self.text(&[boundary], out);
        }
    }

    fn boundary_line(&mut self, boundary: &str, out: &mut Vec<u8>) {
        let before = if self.rng.one_in(8) {
            self.rng.pick(&["", "\n", "\r\n\r\n", " ", "\r"])
        } else {
            "\r\n"
        };
        let after = self.rng.pick(&["", "", "", "", "", "", "", " ", "\t", " x", "-", "--", "x"]);
        let end = if self.rng.one_in(16) { self.rng.pick(&["\n", "\r\r\n", ""]) } else { "\r\n" };
        out.extend_from_slice(format!("{before}--{boundary}{after}{end}").as_bytes());
    }

    /// Lines of a body, some of them boundaries of what is around it.
    fn text(&mut self, open: &[String], out: &mut Vec<u8>) {
        for _ in 0..self.rng.below(5) {
            match self.rng.below(16) {
                0 => out.extend_from_slice(b"--"),
                1 => out.extend_from_slice(b"-"),
                2 => out.extend_from_slice(b"aW52b2ljZSBjYWbDqQ=="),
                3 => out.extend_from_slice(b"caf=C3=A9 soft=\r\nbreak =3D = =x"),
                4 => out.extend_from_slice("z".repeat(self.rng.below(3000)).as_bytes()),
                5 => out.extend_from_slice(b"a\rb\r"),
                6 if self.nul => out.extend_from_slice(b"nul \0 \0"),
                7 => out.extend_from_slice(&[0xff, 0xfe, b'x', 0x80, 0xc3]),
                8 => out.extend_from_slice(b".\r\n..\r\nFrom x"),
                9 | 10 if !open.is_empty() => {
                    let outer = &open[self.rng.below(open.len())];
                    let cut = self.rng.below(outer.len() + 3);
                    let line = format!("{}--{outer}", self.rng.pick(&["", " ", "x", "-", ""]));
                    out.extend_from_slice(
                        line.as_bytes().get(..cut + 2).unwrap_or(line.as_bytes()),
                    );
                }
                _ => out.extend_from_slice(self.words().as_bytes()),
            }
            out.extend_from_slice(
                if self.rng.one_in(12) { self.rng.pick(&["\n", "", "\r\r\n"]) } else { "\r\n" }
                    .as_bytes(),
            );
        }
    }

    fn shuffle(&mut self, lines: &mut [String]) {
        for at in (1..lines.len()).rev() {
            lines.swap(at, self.rng.below(at + 1));
        }
    }

    /// Changes a few bytes.
    fn change(&mut self, out: &mut Vec<u8>) {
        let at = self.rng.below(out.len() + 1);
        let end = at + self.rng.below((out.len() - at).min(40) + 1);
        match self.rng.below(5) {
            0 => drop(out.drain(at..end)),
            1 => {
                let again = out[at..end].to_vec();
                drop(out.splice(at..at, again));
            }
            2 => out.truncate(at),
            3 => {
                let special = self.rng.pick(b"\r\n \t:;=\"\\()<>@,.-\x7f\xff\x01");
                out.insert(at, special);
            }
            _ if self.nul && self.rng.one_in(2) => out.insert(at, 0),
            _ => {
                let fresh = 1 + self.rng.below(255) as u8;
                if let Some(byte) = out.get_mut(at) {
                    *byte = fresh;
                }
            }
        }
    }
}

fn bare_line_feeds(out: &mut Vec<u8>) {
    let mut previous = 0;
    let mut kept = Vec::with_capacity(out.len());
    for &byte in out.iter() {
        if byte == b'\n' && previous == b'\r' {
            kept.pop();
        }
        kept.push(byte);
        previous = byte;
    }
    *out = kept;
}
