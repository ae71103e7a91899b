//! Plays a script against a session and writes down what happens.
//!
//! Each line of a script is a step:
//! - `C: text` a line from the client; `C< bytes` the same without CRLF; both with Rust's escapes. Lines joined by
//!   `\r\n` arrive in one piece.
//! - `A: accepted`, `A: proceed`, `A: refused 550 1.1 text`, `A: stored ++- @7 id` answers the open question.
//! - `D: 7` the journal is durable up to 7; `L: 7` nothing behind 7 will be.
//! - `T: +60s` time passes; `E:` end of input; `X:` the server stops, `X: kick` ends the session; `V:` it needs the place;
//!   `U:` TLS stands; `?:` shows what is waited for.

use lmtp_proto::{
    Answer, Ask, BodyKind, Code, Config, Event, Outcome, Output, Path, Peer, Position, Refusal,
    Session, Ticket, Time,
};
use std::fmt::Write as _;
use std::sync::Arc;

pub(crate) fn config() -> Config {
    Config::new("mx.example")
}

/// The transcript of a script, which must not depend on how the input is cut.
pub(crate) fn play(script: &str) -> String {
    play_with(config(), script)
}

pub(crate) fn play_with(config: Config, script: &str) -> String {
    let config = Arc::new(config);
    let whole = Player::run(Arc::clone(&config), script, usize::MAX);
    for cut in [1, 2, 3, 7] {
        assert_eq!(Player::run(Arc::clone(&config), script, cut), whole, "in pieces of {cut}");
    }
    whole
}

/// Without the other cuts: where the moment at which bytes arrive is what the script is about.
pub(crate) fn play_whole(config: Config, script: &str) -> String {
    Player::run(Arc::new(config), script, usize::MAX)
}

struct Player {
    session: Session,
    now: Time,
    /// Input the session has not taken.
    pending: Vec<u8>,
    open: Option<Ticket>,
    body: Option<Ticket>,
    transcript: String,
    reply: Vec<u8>,
    text: Vec<u8>,
    /// Closed, or in the TLS handshake.
    ended: bool,
    /// Which of these, until it is written down.
    end: Option<&'static str>,
    /// How often the socket took something.
    taken: usize,
}

impl Player {
    fn run(config: Arc<Config>, script: &str, cut: usize) -> String {
        let now = Time(1_000);
        let mut player = Self {
            session: Session::new(config, Peer::default(), now),
            now,
            pending: Vec::new(),
            open: None,
            body: None,
            transcript: String::new(),
            reply: Vec::new(),
            text: Vec::new(),
            ended: false,
            end: None,
            taken: 0,
        };
        player.pump();
        player.end_step();
        for step in script.lines().map(str::trim_start).filter(|step| !step.is_empty()) {
            player.step(step, cut);
        }
        player.transcript
    }

    fn step(&mut self, step: &str, cut: usize) {
        let (what, argument) = step.split_at(2);
        let argument = argument.strip_prefix(' ').unwrap_or(argument);
        if what != "?:" {
            self.note(step);
        }
        match what {
            "C:" | "C<" => {
                let mut bytes = unescape(argument);
                if what == "C:" {
                    bytes.extend_from_slice(b"\r\n");
                }
                for piece in bytes.chunks(cut.min(bytes.len().max(1))) {
                    self.pending.extend_from_slice(piece);
                    self.pump();
                }
            }
            "A:" => {
                let ticket = self.open.take().expect("a question is open");
                self.session.handle_answer(self.now, ticket, answer(argument));
            }
            "D:" => self.session.handle_durable(self.now, Position(argument.parse().unwrap())),
            "L:" => self.session.handle_lost(self.now, Position(argument.parse().unwrap())),
            "T:" => {
                let seconds = argument.trim_start_matches('+').trim_end_matches('s');
                self.now = self.now.after(seconds.parse::<u64>().unwrap() * 1_000);
                self.session.handle_timeout(self.now);
            }
            "E:" => self.session.handle_eof(self.now),
            "X:" if argument == "kick" => self.session.handle_event(self.now, Event::Kick),
            "X:" => self.session.handle_event(self.now, Event::Shutdown),
            "V:" => self.session.handle_event(self.now, Event::Evicted),
            "U:" => {
                self.ended = false;
                self.session.handle_upgraded(self.now, &Peer { tls: true });
            }
            "?:" => self.show_wait(),
            _ => panic!("what is {step:?}?"),
        }
        self.pump();
        self.end_step();
    }

    /// As a driver does: all output, then more input, until neither moves.
    fn pump(&mut self) {
        loop {
            self.drain(&[]);
            let pending = std::mem::take(&mut self.pending);
            let taken = self.session.handle_input(self.now, &pending);
            self.drain(&pending);
            self.pending = pending[taken..].to_vec();
            if taken == 0 {
                return;
            }
        }
    }

    fn drain(&mut self, input: &[u8]) {
        loop {
            let line = match self.session.poll_output(self.now) {
                Output::Transmit(bytes) => {
                    // A socket that takes a little at a time.
                    let count = bytes.len().min(1 + self.taken % 50);
                    self.taken += 1;
                    self.reply.extend_from_slice(&bytes[..count]);
                    self.session.transmitted(count);
                    continue;
                }
                Output::Body(ticket, range) => {
                    assert_eq!(Some(ticket), self.body, "a body's ticket is its question's");
                    assert!(!range.is_empty());
                    self.text.extend_from_slice(&input[range]);
                    continue;
                }
                Output::BodyHeld(ticket, bytes) => {
                    assert_eq!(Some(ticket), self.body);
                    self.text.extend_from_slice(bytes);
                    continue;
                }
                Output::Wait { .. } => return,
                Output::Close | Output::Upgrade if self.ended => return,
                end @ (Output::Close | Output::Upgrade) => {
                    self.end = Some(if end == Output::Close { "close" } else { "upgrade" });
                    self.ended = true;
                    return;
                }
                Output::Cancel(ticket) => {
                    assert_eq!(Some(ticket), self.open);
                    "Q: cancel".into()
                }
                Output::Ask(ticket, ask) => {
                    match &ask {
                        Ask::BodyAbort => {}
                        Ask::BodyOpen(_) => (self.open, self.body) = (Some(ticket), Some(ticket)),
                        _ => self.open = Some(ticket),
                    }
                    format!("Q: {}", question(&ask))
                }
            };
            self.note(&line);
        }
    }

    /// A question, which is written down at once.
    fn note(&mut self, line: &str) {
        self.flush_text();
        writeln!(self.transcript, "{line}").unwrap();
    }

    /// Questions leave a session before replies that are older, if both are there at once: so within a step replies are
    /// written down last.
    fn end_step(&mut self) {
        self.flush_text();
        let mut lines: Vec<String> = Vec::new();
        while let Some(end) = self.reply.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = self.reply.drain(..end + 2).collect();
            let line = line[..end].escape_ascii().to_string();
            // A reply of many lines is written as one.
            match (line.strip_prefix("250-"), line.strip_prefix("250 ")) {
                (Some(text), _) => lines.push(text.to_owned()),
                (None, Some(last)) if !lines.is_empty() => {
                    writeln!(self.transcript, "S: 250-{} | {last}", lines.join(" | ")).unwrap();
                    lines.clear();
                }
                _ => writeln!(self.transcript, "S: {line}").unwrap(),
            }
        }
        assert!(self.reply.is_empty(), "a reply without its end");
        assert!(lines.is_empty(), "a reply without its last line");
        if let Some(end) = self.end.take() {
            writeln!(self.transcript, "{end}").unwrap();
        }
    }

    /// Text is written down where it ends, whatever the pieces it came in.
    fn flush_text(&mut self) {
        if !self.text.is_empty() {
            writeln!(self.transcript, "B: {}", self.text.escape_ascii()).unwrap();
            self.text.clear();
        }
    }

    fn show_wait(&mut self) {
        let Output::Wait { wants_input, deadline } = self.session.poll_output(self.now) else {
            panic!("the session has more to say");
        };
        assert_eq!(self.session.next_timeout(), deadline);
        let input = if wants_input { "input" } else { "no input" };
        let line = match deadline {
            Some(deadline) => format!("?: {input}, {} s", (deadline.0 - self.now.0) / 1_000),
            None => format!("?: {input}"),
        };
        self.note(&line);
    }
}

fn question(ask: &Ask) -> String {
    match ask {
        Ask::Recipient { id, path, size } => {
            let size = size.map_or_else(String::new, |size| format!(", {size} octets"));
            format!("recipient {} {}{size}", id.0, show(Some(path)))
        }
        Ask::BodyOpen(envelope) => {
            let mut line = format!("open, from {} to", show(envelope.sender.as_ref()));
            for id in &envelope.recipients {
                write!(line, " {}", id.0).unwrap();
            }
            if let Some(size) = envelope.size {
                write!(line, ", {size} octets").unwrap();
            }
            line.push_str(match envelope.body {
                BodyKind::SevenBit => "",
                BodyKind::EightBitMime => ", 8BITMIME",
                BodyKind::BinaryMime => ", BINARYMIME",
            });
            write!(line, ", {} {}", envelope.trace.with(), envelope.trace.lhlo).unwrap();
            line
        }
        Ask::BodyDone => "done".into(),
        Ask::BodyAbort => "abort".into(),
        _ => panic!("a new question"),
    }
}

fn show(path: Option<&Path>) -> String {
    let Some(path) = path else { return "<>".into() };
    match path.domain() {
        Some(domain) => format!("<{}> ({} at {domain})", path.text(), path.local()),
        None => format!("<{}> ({})", path.text(), path.local()),
    }
}

fn answer(words: &str) -> Answer {
    let (kind, rest) = words.split_once(' ').unwrap_or((words, ""));
    match kind {
        "accepted" => Answer::Accepted,
        "proceed" => Answer::Proceed,
        "refused" => Answer::Refused(refusal(rest)),
        "stored" => {
            let mut parts = rest.split(' ');
            let outcomes = parts.next().unwrap().chars().map(|sign| match sign {
                '+' => Outcome::Stored,
                _ => Outcome::Refused(Refusal::MAILBOX_FULL),
            });
            let outcomes = outcomes.collect();
            let position = parts
                .next()
                .map_or(0, |position| position.trim_start_matches('@').parse().unwrap());
            Answer::Delivered {
                outcomes,
                position: Position(position),
                id: parts.next().map(Into::into),
            }
        }
        _ => panic!("what answer is {words:?}?"),
    }
}

fn refusal(words: &str) -> Refusal {
    let (code, rest) = words.split_once(' ').unwrap();
    let (enhanced, text) = rest.split_once(' ').unwrap();
    let (subject, detail) = enhanced.split_once('.').unwrap();
    let code = match code {
        "450" => Code::Busy,
        "451" => Code::Trouble,
        "452" => Code::NoStorage,
        "550" => Code::Unavailable,
        "552" => Code::TooLarge,
        _ => panic!("what code is {code}?"),
    };
    let text = String::from_utf8(unescape(text)).unwrap();
    Refusal {
        code,
        enhanced: (subject.parse().unwrap(), detail.parse().unwrap()),
        text: text.into(),
    }
}

/// `\r`, `\n`, `\\`, `\0` and `\xNN`.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().unwrap() {
            b'r' => b'\r',
            b'n' => b'\n',
            b'0' => 0,
            b'\\' => b'\\',
            b'x' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => panic!("what is \\{}?", char::from(other)),
        });
    }
    bytes
}
