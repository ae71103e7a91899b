//! What holds for any bytes.

use lmtp_proto::{
    Answer, Ask, Config, Limits, Outcome, Output, Peer, Position, Refusal, Session, Ticket, Time,
};
use proptest::prelude::*;
use std::sync::Arc;

/// What a peer and a store saw of a session.
#[derive(Debug, Default, Eq, PartialEq)]
struct Seen {
    replies: String,
    /// Questions, and the text between them.
    questions: String,
    closed: bool,
}

/// A session, a store that answers at once or late, and a socket that takes `window` bytes at a time.
struct Pair {
    session: Session,
    seen: Seen,
    open: Option<(Ticket, Answer)>,
    /// How many calls an answer takes.
    delay: usize,
    waited: usize,
    position: u64,
    window: usize,
    most_held: usize,
}

const NOW: Time = Time(0);

impl Pair {
    fn new(config: Config, delay: usize, window: usize) -> Self {
        let session = Session::new(Arc::new(config), Peer::default(), NOW);
        Self {
            session,
            seen: Seen::default(),
            open: None,
            delay,
            waited: 0,
            position: 0,
            window,
            most_held: 0,
        }
    }

    /// Offers input in these pieces; what is not taken is offered again, with more.
    fn feed<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) {
        let mut pending = Vec::new();
        for piece in pieces {
            pending.extend_from_slice(piece);
            self.turn(&mut pending);
        }
        // The last answers, and durability.
        for _ in 0..10_000 {
            let before = (pending.len(), self.seen.replies.len(), self.open.is_some());
            if let Some(position) = self.session.waits_for() {
                assert!(position <= Position(self.position));
                self.session.handle_durable(NOW, position);
            }
            self.turn(&mut pending);
            let after = (pending.len(), self.seen.replies.len(), self.open.is_some());
            if before == after && self.open.is_none() && self.session.waits_for().is_none() {
                return;
            }
        }
        panic!("the session does not come to rest");
    }

    fn turn(&mut self, pending: &mut Vec<u8>) {
        loop {
            self.drain(&[]);
            let taken = self.session.handle_input(NOW, pending);
            self.most_held = self.most_held.max(self.session.held());
            self.drain(pending);
            pending.drain(..taken);
            if taken == 0 {
                break;
            }
        }
        if self.open.is_some() {
            self.waited += 1;
        }
        if self.waited > self.delay {
            self.waited = 0;
            let (ticket, answer) = self.open.take().unwrap();
            self.session.handle_answer(NOW, ticket, answer);
            self.turn(pending);
        }
    }

    fn drain(&mut self, input: &[u8]) {
        loop {
            match self.session.poll_output(NOW) {
                Output::Transmit(bytes) => {
                    let count = bytes.len().min(self.window);
                    self.seen.replies.push_str(str::from_utf8(&bytes[..count]).unwrap());
                    self.session.transmitted(count);
                    if count == 0 {
                        return;
                    }
                }
                Output::Body(_, range) => {
                    assert!(!range.is_empty());
                    self.seen.questions.push_str(&input[range].escape_ascii().to_string());
                }
                Output::BodyHeld(_, bytes) => {
                    self.seen.questions.push_str(&bytes.escape_ascii().to_string());
                }
                Output::Ask(ticket, ask) => {
                    self.seen
                        .questions
                        .push_str(&format!("\n{ask:?}\n").replace(&format!("{ticket:?}"), ""));
                    self.answer(ticket, &ask);
                }
                Output::Cancel(_) => self.seen.questions.push_str("\ncancel\n"),
                Output::Wait { .. } => return,
                Output::Upgrade => return,
                Output::Close => {
                    self.seen.closed = true;
                    return;
                }
            }
        }
    }

    fn answer(&mut self, ticket: Ticket, ask: &Ask) {
        let answer = match ask {
            Ask::Recipient { path, .. } if path.local() == "no" => {
                Answer::Refused(Refusal::NO_SUCH_MAILBOX)
            }
            Ask::Recipient { .. } => Answer::Accepted,
            Ask::BodyOpen(envelope) if envelope.sender.is_some() => {
                Answer::Refused(Refusal::STORAGE_FULL)
            }
            Ask::BodyOpen(_) => Answer::Proceed,
            Ask::BodyDone => {
                self.position += 1;
                let outcomes = vec![Outcome::Stored; 2];
                Answer::Delivered { outcomes, position: Position(self.position), id: None }
            }
            Ask::BodyAbort => return,
            _ => panic!("a new question"),
        };
        self.open = Some((ticket, answer));
    }
}

fn small() -> Config {
    let mut config = Config::new("mx.example");
    let limits = &mut config.limits;
    (limits.line, limits.message, limits.discard) = (40, 30, 60);
    (limits.recipients, limits.errors, limits.refusals, limits.unsent) = (2, 5, 12, 60);
    config
}

/// Pieces of sessions, some broken: together they get far more often than random bytes.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            &b"LHLO a\r\n"[..], b"MAIL FROM:<>\r\n", b"MAIL FROM:<full@a> SIZE=9\r\n", b"RCPT TO:<u1>\r\n",
            b"RCPT TO:<no>\r\n", b"DATA\r\n", b"x\r\n.\r\n", b"BDAT 3\r\nabc", b"BDAT 0 LAST\r\n", b"RSET\r\n",
            b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u1>\r\nDATA\r\n", b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u1>\r\n",
        ]).prop_map(<[u8]>::to_vec),
        4 => prop::sample::select(vec![
            &b"\r\n.\r\n"[..], b"\r\n..\r\n", b".\r", b"\r\n.", b"\r", b"\n", b"\0", b".", b"\r\n", b"text",
            b"BDAT 20 LAST\r\n", b"BDAT 31\r\n", b"BDAT x\r\n", b"NOOP\r\n", b"STARTTLS\r\n", b"VRFY a\r\n", b"what\r\n",
            b"QUIT\r\n", b"GET / HTTP/1.1\r\n", b"MAIL FROM:<> SIZE=31\r\n", b"RCPT TO:<\"a b\"@c>\r\n",
        ]).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..50),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

/// `input` cut at these places.
fn cut<'a>(input: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for place in places.into_iter().chain([input.len()]) {
        pieces.push(&input[start..place]);
        start = place;
    }
    pieces
}

fn stuffed(text: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::new();
    let mut line_start = true;
    for (at, &byte) in text.iter().enumerate() {
        if line_start && byte == b'.' {
            stuffed.push(b'.');
        }
        stuffed.push(byte);
        line_start = text[..=at].ends_with(b"\r\n");
    }
    if !line_start {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_cuts_change_nothing(
        input in pieces(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        delay in 0usize..4,
        window in 1usize..100,
    ) {
        let mut whole = Pair::new(small(), 0, usize::MAX);
        whole.feed([&*input]);
        let mut cut_up = Pair::new(small(), delay, window);
        cut_up.feed(cut(&input, &cuts));
        prop_assert_eq!(&whole.seen, &cut_up.seen);
        let mut bytes = Pair::new(small(), delay, 1);
        bytes.feed(input.chunks(1));
        prop_assert_eq!(&whole.seen, &bytes.seen);
    }

    #[test]
    fn text_arrives_byte_for_byte(
        text in prop::collection::vec(prop::sample::select(b"\r\n.\0a".to_vec()), 0..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut wire = b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u1>\r\nDATA\r\n".to_vec();
        wire.extend_from_slice(&stuffed(&text));
        wire.extend_from_slice(b"QUIT\r\n");
        let mut pair = Pair::new(Config::new("mx"), 0, usize::MAX);
        pair.feed(cut(&wire, &cuts));
        let mut want = text.clone();
        if !want.is_empty() && !want.ends_with(b"\r\n") {
            want.extend_from_slice(b"\r\n");
        }
        let done = format!("\n{}\nBodyDone\n", want.escape_ascii()).replace("\n\nB", "\nB");
        let end = pair.seen.questions.replace("\n\nBodyDone", "\nBodyDone");
        prop_assert!(end.ends_with(&done), "{} instead of {}", end, done);
        prop_assert!(pair.seen.replies.ends_with("250 2.0.0 Stored\r\n221 2.0.0 Bye\r\n"));

        let mut wire = b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u1>\r\n".to_vec();
        for piece in cut(&text, &cuts) {
            wire.extend_from_slice(format!("BDAT {}\r\n", piece.len()).as_bytes());
            wire.extend_from_slice(piece);
        }
        wire.extend_from_slice(b"BDAT 0 LAST\r\n");
        let mut pair = Pair::new(Config::new("mx"), 1, 7);
        pair.feed([&*wire]);
        let done = format!("\n{}\nBodyDone\n", text.escape_ascii());
        prop_assert!(pair.seen.questions.ends_with(&done), "{}", pair.seen.questions);
    }
}

/// Every state in which bytes arrive, and how to get there.
const STATES: &[(&str, &[u8])] = &[
    ("before LHLO", b""),
    ("in a line", b"LHLO "),
    ("after LHLO", b"LHLO a\r\n"),
    ("in MAIL", b"LHLO a\r\nMAIL FROM:<"),
    ("after MAIL", b"LHLO a\r\nMAIL FROM:<>\r\n"),
    ("in RCPT", b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<\""),
    ("after RCPT", b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u1>\r\n"),
    ("in a parameter", b"LHLO a\r\nMAIL FROM:<> SIZE="),
    ("in text", b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u1>\r\nDATA\r\n"),
    ("in a chunk", b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u1>\r\nBDAT 100000000 LAST\r\n"),
    ("between chunks", b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u1>\r\nBDAT 1\r\nx"),
    ("in a refused chunk", b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<u1>\r\nBDAT 200000000\r\n"),
    ("in a stray chunk", b"BDAT 200000000\r\n"),
    ("with RCPT asked", b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<late>\r\n"),
    ("with DATA asked", b"LHLO a\r\nMAIL FROM:<late>\r\nRCPT TO:<u1>\r\nDATA\r\n"),
    ("in the handshake", b"LHLO a\r\nSTARTTLS\r\n"),
    ("at the end", b"QUIT\r\n"),
];

const FILLERS: &[&[u8]] = &[
    b"x",
    b"\r",
    b"\n",
    b"\0",
    b".",
    b"\r\n",
    b"\r\n.",
    b"\r\n..",
    b".\r",
    b"\r\n.\r\nx",
    b"\xff",
    b"<",
    b"9",
    b" ",
    b"NOOP\r\n",
    b"RCPT TO:<u1>\r\n",
    b"RCPT TO:<no>\r\n",
    b"BDAT 1\r\nx",
    b"BDAT 0\r\n",
    b"LHLO a\r\n",
    b"RSET\r\n",
    b"MAIL FROM:<>\r\nRCPT TO:<u1>\r\nBDAT 0 LAST\r\n",
    b"MAIL FROM:<>\r\nRCPT TO:<u1>\r\nDATA\r\n.\r\n",
];

/// Feeds half a MiB of each filler in each state; `window` is what the peer reads of the replies.
fn endless(limits: &Limits, window: usize) {
    for (state, start) in STATES {
        for filler in FILLERS {
            let mut config = Config::new("mx.example");
            (config.starttls, config.limits) = (true, limits.clone());
            let mut pair = Pair::new(config, 0, window);
            let mut pending = start.to_vec();
            pair.turn(&mut pending);
            let block = filler.repeat(8 * 1024 / filler.len());
            for _ in 0..64 {
                // A driver reads ahead no further than a block.
                if pending.len() < block.len() {
                    pending.extend_from_slice(&block);
                }
                pair.turn(&mut pending);
                let held = pair.session.held().max(pair.most_held);
                assert!(held <= 16 * 1024, "{held} bytes {state}, {:?}", filler.escape_ascii());
            }
        }
    }
}

#[test]
fn row_09_endless_bytes_in_each_state() {
    endless(&Limits::default(), usize::MAX);
}

#[test]
fn row_09_endless_bytes_with_patience_for_errors() {
    let mut limits = Limits::default();
    (limits.errors, limits.refusals) = (u32::MAX, u32::MAX);
    endless(&limits, usize::MAX);
}

#[test]
fn row_09_endless_bytes_while_no_reply_is_read() {
    let mut limits = Limits::default();
    (limits.errors, limits.refusals, limits.line) = (u32::MAX, u32::MAX, 2 * 1024);
    endless(&limits, 0);
}

#[test]
fn row_25_an_idle_session_holds_nothing() {
    let mut pair = Pair::new(Config::new("mx"), 0, usize::MAX);
    pair.turn(&mut Vec::new());
    assert_eq!(pair.session.held(), 0);
    pair.feed([&b"LHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<u1>\r\nDATA\r\nx\r\n.\r\n"[..]]);
    assert_eq!(pair.session.held(), "client.example".len());
    assert!(size_of::<Session>() <= 512, "{}", size_of::<Session>());
}
