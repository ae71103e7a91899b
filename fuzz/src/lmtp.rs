//! `lmtp_session`: the same bytes, cut otherwise, answered later, sent slower, give the same transcript; memory stays
//! bounded; nothing panics, whatever else happens.

use arbitrary::Unstructured;
use lmtp_proto::{
    Answer, Ask, Config, Event, Outcome, Output, Peer, Position, Refusal, Session, Ticket, Time,
};
use std::sync::Arc;

/// Input: eight bytes of choices, then what the client sends.
pub fn lmtp_session(data: &[u8]) {
    let mut choices = Unstructured::new(data.get(..8).unwrap_or_default());
    let client = data.get(8..).unwrap_or_default();
    let config = Arc::new(config(choices.arbitrary().unwrap_or(0)));
    let number = choices.arbitrary::<u32>().unwrap_or(0);
    let delay = usize::from(choices.arbitrary::<u8>().unwrap_or(0) % 4);
    let window = usize::from(choices.arbitrary::<u8>().unwrap_or(0)) + 1;

    let mut whole = Driver::new(&config, 0, usize::MAX);
    whole.feed([client], None);
    // Whether a byte behind STARTTLS came before its reply or after is the point there, and depends on the cuts.
    let comparable = !config.starttls || !contains(client, b"STARTTLS");
    let bytes = client.chunks(1).collect::<Vec<_>>();
    let pieces = [
        bytes,
        Cuts { rest: client, number }.collect(),
        Cuts { rest: client, number: !number }.collect(),
    ];
    for pieces in pieces {
        let mut cut = Driver::new(&config, delay, window);
        cut.feed(pieces, None);
        if comparable {
            assert_eq!(whole.seen, cut.seen);
        }
    }
    // Events may come anywhere: then only the invariants inside of the driver hold.
    let mut disturbed = Driver::new(&config, delay, window);
    disturbed.feed(Cuts { rest: client, number }, Some(number));
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

fn config(bits: u8) -> Config {
    let mut config = Config::new("mx.example");
    config.starttls = bits & 1 != 0;
    config.binary = bits & 2 != 0;
    config.utf8 = bits & 4 != 0;
    let limits = &mut config.limits;
    if bits & 8 != 0 {
        (limits.line, limits.message, limits.discard) = (40, 30, 60);
        (limits.recipients, limits.errors, limits.refusals, limits.unsent) = (2, 5, 12, 60);
    }
    if bits & 16 != 0 {
        limits.message = 0;
    }
    config
}

/// Pieces of 0 to 15 bytes, some of them longer.
struct Cuts<'a> {
    rest: &'a [u8],
    number: u32,
}

impl<'a> Iterator for Cuts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        self.number = self.number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = match self.number >> 24 {
            255 => 200,
            other => other & 15,
        };
        let (piece, rest) = self.rest.split_at(self.rest.len().min(length as usize));
        self.rest = rest;
        Some(piece)
    }
}

/// What a peer and a store saw.
#[derive(Debug, Default, Eq, PartialEq)]
struct Seen {
    replies: Vec<u8>,
    questions: String,
    closed: bool,
}

struct Driver {
    session: Session,
    seen: Seen,
    now: Time,
    open: Option<(Ticket, Answer)>,
    /// The text that is open, its recipients and what was taken of it.
    text: Option<(Ticket, usize)>,
    cancelled: bool,
    delay: usize,
    waited: usize,
    window: usize,
    position: u64,
}

impl Driver {
    fn new(config: &Arc<Config>, delay: usize, window: usize) -> Self {
        let now = Time(0);
        Self {
            session: Session::new(Arc::clone(config), Peer::default(), now),
            seen: Seen::default(),
            now,
            open: None,
            text: None,
            cancelled: false,
            delay,
            waited: 0,
            window,
            position: 0,
        }
    }

    fn feed<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>, mut disturb: Option<u32>) {
        let mut pending = Vec::new();
        for piece in pieces {
            pending.extend_from_slice(piece);
            self.turn(&mut pending);
            if let Some(number) = &mut disturb {
                *number = number.wrapping_mul(22_695_477).wrapping_add(1);
                self.disturb(*number >> 16);
                self.turn(&mut pending);
            }
        }
        loop {
            let before = (pending.len(), self.seen.replies.len());
            if let Some(position) = self.session.waits_for() {
                assert!(position.0 <= self.position);
                self.session.handle_durable(self.now, position);
            }
            self.turn(&mut pending);
            let after = (pending.len(), self.seen.replies.len());
            if before == after && self.open.is_none() && self.session.waits_for().is_none() {
                break;
            }
        }
        if disturb.is_some() {
            self.session.handle_eof(self.now);
            while self.open.is_some() {
                self.turn(&mut pending);
            }
            self.session.handle_durable(self.now, Position(self.position));
            self.drain(&[]);
            assert!(self.seen.closed, "a session ends after the end of its input");
            assert_eq!(self.session.handle_input(self.now, b"NOOP\r\n"), 0);
        }
    }

    fn disturb(&mut self, number: u32) {
        match number % 32 {
            0 => self.session.handle_event(self.now, Event::Shutdown),
            1 => self.session.handle_eof(self.now),
            2 => self.session.handle_lost(self.now, Position(self.position.saturating_sub(1))),
            3 => self.session.handle_durable(self.now, Position(self.position)),
            4 | 5 => {
                self.now = self.now.after(u64::from(number));
                self.session.handle_timeout(self.now);
            }
            6 => self.session.handle_upgraded(self.now, &Peer { tls: true }),
            7 => self.session.handle_event(self.now, Event::Evicted),
            _ => {}
        }
    }

    fn turn(&mut self, pending: &mut Vec<u8>) {
        loop {
            self.drain(&[]);
            let taken = self.session.handle_input(self.now, pending);
            self.drain(pending);
            pending.drain(..taken);
            if taken == 0 {
                break;
            }
        }
        self.waited += usize::from(self.open.is_some());
        if self.waited > self.delay {
            self.waited = 0;
            let (ticket, answer) = self.open.take().unwrap();
            self.session.handle_answer(self.now, ticket, answer);
            self.turn(pending);
        }
    }

    fn drain(&mut self, input: &[u8]) {
        // Replies of one text come on top: ten recipients' at most here, unless the limits are the default ones.
        assert!(self.session.held() <= 128 * 1024, "{} bytes held", self.session.held());
        loop {
            match self.session.poll_output(self.now) {
                Output::Transmit(bytes) => {
                    assert!(!self.seen.closed && !bytes.is_empty());
                    let count = bytes.len().min(self.window);
                    self.seen.replies.extend_from_slice(&bytes[..count]);
                    self.session.transmitted(count);
                }
                Output::Body(ticket, range) => {
                    assert_eq!(Some(ticket), self.text.map(|(text, _)| text));
                    self.seen.questions.extend(input[range].iter().copied().map(char::from));
                }
                Output::BodyHeld(ticket, bytes) => {
                    assert_eq!(Some(ticket), self.text.map(|(text, _)| text));
                    self.seen.questions.extend(bytes.iter().copied().map(char::from));
                }
                Output::Ask(ticket, ask) => self.ask(ticket, ask),
                Output::Cancel(ticket) => {
                    assert!(self.open.as_ref().is_some_and(|(open, _)| *open == ticket));
                    self.cancelled = true;
                }
                Output::Wait { wants_input, .. } => {
                    assert!(!wants_input || self.open.is_none() || self.cancelled);
                    return;
                }
                Output::Upgrade => return,
                Output::Close => {
                    self.seen.closed = true;
                    return;
                }
            }
        }
    }

    fn ask(&mut self, ticket: Ticket, ask: Ask) {
        assert!(!self.seen.closed);
        self.seen.questions.push_str(&format!("\n{ask:?}\n"));
        let answer = match ask {
            Ask::Recipient { path, .. } => {
                assert!(!path.local().is_empty() && !path.text().chars().any(char::is_control));
                match path.local() {
                    "no" => Answer::Refused(Refusal::NO_SUCH_MAILBOX),
                    "odd" => Answer::Proceed,
                    _ => Answer::Accepted,
                }
            }
            Ask::BodyOpen(envelope) => {
                assert!(self.text.is_none(), "one text at a time");
                assert!(envelope.recipients.is_sorted() && !envelope.recipients.is_empty());
                if envelope.sender.is_some_and(|sender| sender.local() == "full") {
                    Answer::Refused(Refusal::STORAGE_FULL)
                } else {
                    self.text = Some((ticket, envelope.recipients.len()));
                    Answer::Proceed
                }
            }
            Ask::BodyDone => {
                let (_, recipients) = self.text.take().expect("a text ends after it began");
                self.position += 1;
                let outcomes = (0..recipients).map(|number| match number % 3 {
                    2 => Outcome::Refused(Refusal::MAILBOX_FULL),
                    _ => Outcome::Stored,
                });
                let outcomes = outcomes.collect();
                Answer::Delivered { outcomes, position: Position(self.position), id: None }
            }
            Ask::BodyAbort => {
                assert!(self.text.take().is_some(), "an aborted text had begun");
                return;
            }
            _ => unreachable!("a question this target does not know"),
        };
        assert!(self.open.is_none() || self.cancelled, "one question at a time");
        self.cancelled = false;
        self.open = Some((ticket, answer));
    }
}
