//! Plays scripts.

use crate::grammar::Checker;
use imap_proto::model::{Driver, Happening, Model};
use imap_proto::{Answer, Ask, Code, Config, Event, MailboxName, Peer, Uid};

/// How a script begins.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) config: Config,
    pub(crate) peer: Peer,
    /// Messages in the INBOX.
    pub(crate) messages: u32,
    /// Played without being written down.
    pub(crate) before: &'static str,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            config: Config { tls_available: true, imap4rev2: true, ..Config::default() },
            peer: Peer { tls: false, loopback: true },
            messages: 3,
            before: "",
        }
    }
}

/// Before login.
pub(crate) fn play_guest(script: &str) -> String {
    Stage::default().play(script)
}

/// Logged in.
pub(crate) fn play_user(script: &str) -> String {
    Stage { before: "C: 0 LOGIN u pw", ..Stage::default() }.play(script)
}

/// Logged in, with an INBOX of three messages selected.
pub(crate) fn play(script: &str) -> String {
    Stage { before: "C: 0 LOGIN u pw | C: 0 SELECT INBOX", ..Stage::default() }.play(script)
}

impl Stage {
    /// Plays a script whole and byte by byte; both must give the same.
    pub(crate) fn play(&self, script: &str) -> String {
        let whole = self.play_cut(script, usize::MAX);
        let bytes = self.play_cut(script, 1);
        assert_eq!(whole, bytes, "it matters how the input is cut");
        whole
    }

    /// What the server says to `bytes`, which no script can hold, after `before`.
    pub(crate) fn answer(&self, before: &str, bytes: &[u8]) -> String {
        let mut driver = Driver::new(self.config.clone(), self.peer, Model::new(self.messages));
        for step in steps(before) {
            act(&mut driver, step, usize::MAX);
        }
        driver.log.clear();
        driver.receive(bytes);
        let mut said = String::new();
        for happening in &driver.log {
            if let Happening::Sent(bytes) = happening {
                said.push_str(&String::from_utf8_lossy(bytes));
            }
        }
        said.trim_end().to_owned()
    }

    /// Plays a script with its input cut into pieces.
    pub(crate) fn play_cut(&self, script: &str, piece: usize) -> String {
        let mut driver = Driver::new(self.config.clone(), self.peer, Model::new(self.messages));
        let mut transcript = String::new();
        let mut grammar = Checker::default();
        check(&driver, &mut grammar);
        for step in steps(self.before) {
            driver.log.clear();
            act(&mut driver, step, piece);
            check(&driver, &mut grammar);
        }
        if self.before.is_empty() {
            write_log(&mut driver, &mut transcript);
        }
        driver.log.clear();
        for step in steps(script) {
            transcript.push_str(step);
            transcript.push('\n');
            act(&mut driver, step, piece);
            check(&driver, &mut grammar);
            write_log(&mut driver, &mut transcript);
        }
        grammar.finish().expect("the last response is whole");
        transcript
    }
}

fn steps(script: &str) -> impl Iterator<Item = &str> {
    script
        .split('|')
        .map(|step| step.strip_prefix(' ').unwrap_or(step))
        .map(|step| step.strip_suffix(' ').unwrap_or(step))
        .filter(|step| !step.is_empty())
}

fn act(driver: &mut Driver, step: &str, piece: usize) {
    let (kind, rest) = step.split_at(2);
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let (word, argument) = rest.split_once(' ').unwrap_or((rest, ""));
    match (kind, word) {
        ("C:", _) => send(driver, format!("{rest}\r\n").as_bytes(), piece),
        ("B:", _) => {
            let bytes = rest.replace("\\r", "\r").replace("\\n", "\n").replace("\\0", "\0");
            send(driver, bytes.as_bytes(), piece);
        }
        ("T:", _) => {
            let (number, unit) = rest[1..].split_at(rest.len() - 2);
            let unit = if unit == "m" { 60_000 } else { 1000 };
            driver.pass(number.parse::<u64>().expect("a number") * unit);
        }
        ("M:", "deliver") => {
            driver.model.deliver(&MailboxName::inbox(), b"Subject: new\r\n\r\nNew.\r\n");
            driver.event(Event::Changed);
        }
        ("M:", "mail") => {
            let text = format!("{}\r\n\r\n", argument.replace("\\n", "\r\n"));
            driver.model.deliver(&MailboxName::inbox(), text.as_bytes());
            driver.event(Event::Changed);
        }
        ("M:", "expunge") => {
            driver.model.expunge(Uid(argument.parse().expect("a UID")));
            driver.event(Event::Changed);
        }
        ("M:", "flag") => {
            driver.model.flag(Uid(argument.parse().expect("a UID")));
            driver.event(Event::Changed);
        }
        ("M:", "delete") => {
            let mailbox = MailboxName::new(argument).expect("a name");
            driver.model.answer(Ask::Delete { mailbox });
            driver.event(Event::Changed);
        }
        ("A:", "no") => {
            driver.instead.push_back(Answer::No { code: None, text: argument.to_owned().into() });
        }
        ("A:", "unavailable") => {
            let text = argument.to_owned().into();
            driver.instead.push_back(Answer::No { code: Some(Code::Unavailable), text });
        }
        ("E:", "eof") => driver.eof(),
        ("E:", "shutdown") => driver.event(Event::Shutdown),
        ("E:", "evicted") => driver.event(Event::Evicted),
        ("E:", "kick") => driver.event(Event::Kick),
        ("E:", "reopened") => driver.event(Event::Reopened),
        ("E:", "tls") => driver.upgraded(),
        ("E:", "hold") => driver.hold = true,
        ("E:", "silent") => driver.silent = true,
        ("E:", "durable") => driver.durable(),
        ("E:", "lost") => driver.lose(),
        ("E:", "stall") => driver.stalled = true,
        ("E:", "read") => {
            driver.stalled = false;
            driver.turn();
        }
        _ => panic!("no such step: {step}"),
    }
}

/// What is sent is IMAP, whatever the script.
fn check(driver: &Driver, grammar: &mut Checker) {
    for happening in &driver.log {
        if let Happening::Sent(bytes) = happening
            && let Err(why) = grammar.feed(bytes)
        {
            panic!("{why}");
        }
    }
}

fn send(driver: &mut Driver, bytes: &[u8], piece: usize) {
    for piece in bytes.chunks(piece.min(bytes.len().max(1))) {
        driver.receive(piece);
    }
}

fn write_log(driver: &mut Driver, transcript: &mut String) {
    for happening in driver.log.drain(..) {
        match happening {
            Happening::Sent(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                for line in text.split_inclusive("\r\n") {
                    transcript.push_str(&format!("S: {}\n", shown(line.trim_end_matches("\r\n"))));
                }
            }
            Happening::Asked(what) => transcript.push_str(&format!("Q: {what}\n")),
            Happening::Body(len) => transcript.push_str(&format!("Q: body {len}\n")),
            Happening::Cancelled => transcript.push_str("Q: cancel\n"),
            Happening::Upgrade => transcript.push_str("X: tls\n"),
            Happening::Closed => transcript.push_str("X: close\n"),
        }
    }
}

/// A line as it was sent; what can't be seen is written out.
fn shown(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}
