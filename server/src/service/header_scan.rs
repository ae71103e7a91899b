//! Looks at a message's header as it passes: what the log line names it by, and whether it goes in circles.
//!
//! Invariant: holds at most [`LINE_MAX`] bytes however the text is cut, and gives the same answer for every cut.

use memchr::memchr;

/// Bytes kept of a line; more is only needed for a Message-ID, which is cut in logs anyway.
const LINE_MAX: usize = 256;

/// Header bytes looked at; what stands behind is not found.
const HEADER_MAX: usize = 256 << 10;

/// How often a message may have been delivered before it counts as going in circles. Each delivery leaves one
/// Delivered-To line; forwarding that makes sense rarely takes three.
const HOPS_MAX: u32 = 20;

/// A scan in progress. Give it the whole text, piece by piece.
#[derive(Debug, Default)]
pub(super) struct HeaderScan {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    seen: usize,
    state: State,
    message_id: Vec<u8>,
    hops: u32,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    #[default]
    Header,
    /// In a Message-ID field whose value has not come yet: it may stand on the next line (RFC 5322 §2.2.3).
    Folded,
    Done,
}

impl HeaderScan {
    /// The next piece of the text.
    pub(super) fn feed(&mut self, text: &[u8]) {
        let mut rest = text;
        while self.state != State::Done && !rest.is_empty() {
            let end = memchr(b'\n', rest);
            let (part, behind) = rest.split_at(end.map_or(rest.len(), |at| at + 1));
            rest = behind;
            self.seen = self.seen.saturating_add(part.len());
            if self.seen > HEADER_MAX {
                self.state = State::Done;
            } else if end.is_some() && self.line.is_empty() {
                self.on_line(part);
            } else {
                let room = LINE_MAX - self.line.len();
                self.line.extend_from_slice(part.get(..room).unwrap_or(part));
                if end.is_some() {
                    let line = std::mem::take(&mut self.line);
                    self.on_line(&line);
                }
            }
        }
    }

    /// The value of the first Message-ID, as it stands, cut after 250 bytes or so; empty when there is none.
    pub(super) fn message_id(&self) -> &[u8] {
        &self.message_id
    }

    /// Whether it was delivered too often to be on its way somewhere.
    pub(super) fn is_looping(&self) -> bool {
        self.hops > HOPS_MAX
    }

    fn on_line(&mut self, line: &[u8]) {
        // Lines of every cut are the same: the piece that came whole is cut like the one that was gathered.
        let line = line.get(..LINE_MAX).unwrap_or(line).trim_ascii_end();
        if line.is_empty() {
            self.state = State::Done;
            return;
        }
        let folded = matches!(line, [b' ' | b'\t', ..]);
        if self.state == State::Folded && folded {
            self.message_id = line.trim_ascii().to_vec();
        }
        self.state = State::Header;
        if folded {
            return;
        }
        if field(line, b"Delivered-To:").is_some() {
            self.hops += 1;
        } else if self.message_id.is_empty()
            && let Some(value) = field(line, b"Message-ID:")
        {
            self.message_id = value.to_vec();
            if value.is_empty() {
                self.state = State::Folded;
            }
        }
    }
}

/// The value of the field `name`, which ends in a colon, if this is its line.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (head, value) = line.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &[u8], step: usize) -> (Vec<u8>, u32) {
        let mut scan = HeaderScan::default();
        text.chunks(step).for_each(|piece| scan.feed(piece));
        assert!(scan.line.capacity() <= 2 * LINE_MAX);
        (scan.message_id, scan.hops)
    }

    #[test]
    fn every_cut_gives_the_same() {
        let long = format!("Message-ID: <{}@x>\r\nDelivered-To: u1\r\n\r\n", "a".repeat(1000));
        let cut = format!("<{}", "a".repeat(LINE_MAX - "Message-ID: <".len()));
        for (text, id, hops) in [
            ("Subject: x\r\nmessage-id:<1@x>\r\n\r\nMessage-ID: <2@x>\r\n", "<1@x>", 0),
            ("Message-ID:\r\n <1@x>\r\nDelivered-To: u1\r\nDELIVERED-TO: u2\r\n\r\n", "<1@x>", 2),
            ("Message-ID:\nMessage-ID: <2@x>\n\n", "<2@x>", 0),
            ("X: Message-ID: <1@x>\r\n Delivered-To: u1\r\n", "", 0),
            ("\r\nDelivered-To: u1\r\n", "", 0),
            ("Message-ID: <unfinished@x>", "", 0),
            ("", "", 0),
            (&long, &cut, 1),
        ] {
            for step in [1, 2, 3, 7, 64, 1 << 20] {
                let found = scan(text.as_bytes(), step);
                assert_eq!(
                    (String::from_utf8_lossy(&found.0).as_ref(), found.1),
                    (id, hops),
                    "{text:?} by {step}"
                );
            }
        }
    }

    #[test]
    fn twenty_deliveries_are_many_and_more_are_a_loop() {
        let mut scan = HeaderScan::default();
        (0..HOPS_MAX).for_each(|_| scan.feed(b"Delivered-To: u1@example.org\r\n"));
        assert!(!scan.is_looping());
        scan.feed(b"Delivered-To: u1@example.org\r\n");
        assert!(scan.is_looping());
    }

    #[test]
    fn an_endless_header_is_not_read_for_ever() {
        let mut scan = HeaderScan::default();
        scan.feed(&vec![b'x'; HEADER_MAX + 1]);
        assert_eq!(scan.state, State::Done);
        assert!(scan.line.len() <= LINE_MAX);
    }
}
