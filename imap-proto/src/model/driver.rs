//! Drives a session against a [`Model`] and writes down what happens.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::Model;
use crate::ask::{Answer, Ask};
use crate::fetch::DecodedPart;
use crate::session::{Config, Event, Output, Peer, Session};
use crate::types::{Blob, Ticket, Time};

/// What happened, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Happening {
    /// The session sent these bytes; neighbours are joined.
    Sent(Vec<u8>),
    /// It asked this.
    Asked(String),
    /// It gave so many bytes of a message to the store; neighbours are joined.
    Body(usize),
    /// It no longer wants an answer.
    Cancelled,
    /// It wants TLS.
    Upgrade,
    /// It closed.
    Closed,
}

/// A session, its store, and the time.
#[derive(Debug)]
pub struct Driver {
    /// The session.
    pub session: Session,
    /// What answers it.
    pub model: Model,
    /// What time it is.
    pub now: Time,
    /// What happened since it was last taken.
    pub log: Vec<Happening>,
    /// Answers given instead of the model's, one for each question that is not an order.
    pub instead: VecDeque<Answer>,
    /// Changes do not become durable by themselves.
    pub hold: bool,
    /// Nothing is read of what is sent.
    pub stalled: bool,
    /// Questions stay open.
    pub silent: bool,
    last: Option<Ticket>,
    ahead: Vec<u8>,
    upgrading: bool,
    closed: bool,
}

impl Driver {
    /// A fresh connection; its greeting is sent.
    #[must_use]
    pub fn new(config: Config, peer: Peer, model: Model) -> Self {
        let now = Time(1_000_000);
        let mut driver = Self {
            session: Session::new(Arc::new(config), peer, now),
            model,
            now,
            log: Vec::new(),
            instead: VecDeque::new(),
            hold: false,
            stalled: false,
            silent: false,
            last: None,
            ahead: Vec::new(),
            upgrading: false,
            closed: false,
        };
        driver.settle(&[]);
        driver
    }

    /// The peer sends these bytes.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.ahead.extend_from_slice(bytes);
        self.turn();
    }

    /// Time passes.
    pub fn pass(&mut self, millis: u64) {
        self.now = self.now.after(millis);
        self.session.handle_timeout(self.now);
        self.turn();
    }

    /// Something happens on the side.
    pub fn event(&mut self, event: Event) {
        self.session.handle_event(self.now, event);
        self.turn();
    }

    /// Everything so far is durable.
    pub fn durable(&mut self) {
        self.session.handle_durable(self.now, self.model.position());
        self.turn();
    }

    /// Nothing that isn't durable yet will be.
    pub fn lose(&mut self) {
        self.session.handle_lost(self.now, self.model.position());
        self.turn();
    }

    /// TLS is up.
    pub fn upgraded(&mut self) {
        self.upgrading = false;
        self.session.handle_upgraded(self.now, &Peer { tls: true, loopback: false });
        self.turn();
    }

    /// The peer sends no more.
    pub fn eof(&mut self) {
        self.session.handle_eof(self.now);
        self.turn();
    }

    /// Answers the last question, whether or not it was answered before.
    pub fn answer_last(&mut self, answer: Answer) {
        if let Some(ticket) = self.last {
            self.session.handle_answer(self.now, ticket, answer);
            self.turn();
        }
    }

    /// Whether the session has closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Lets the session do all it can.
    pub fn turn(&mut self) {
        self.settle(&[]);
        while !self.ahead.is_empty() && !self.closed {
            let input = std::mem::take(&mut self.ahead);
            let taken = self.session.handle_input(self.now, &input);
            let rest = input.get(taken..).unwrap_or_default().to_vec();
            self.settle(&input);
            self.ahead = rest;
            if taken == 0 {
                break;
            }
        }
        if self.closed {
            self.ahead.clear();
        }
    }

    /// Drains the session; `input` is what was just offered.
    fn settle(&mut self, input: &[u8]) {
        let mut asked = VecDeque::new();
        loop {
            let step = match self.session.poll_output(self.now) {
                Output::Ask(ticket, ask) => Step::Ask(ticket, ask),
                Output::Cancel(_) => Step::Cancel,
                Output::Body(_, range) => Step::Body(range),
                Output::Splice(blob, range) => Step::Splice(blob, range),
                Output::Transmit(bytes) => Step::Send(bytes.to_vec()),
                Output::Upgrade => Step::Upgrade,
                Output::Wait { .. } => Step::Wait,
                Output::Close => Step::Close,
            };
            match step {
                Step::Ask(ticket, ask) => asked.push_back((ticket, ask)),
                Step::Cancel => self.log.push(Happening::Cancelled),
                Step::Body(range) => {
                    let text = input.get(range).unwrap_or_default();
                    self.model.body(text);
                    match self.log.last_mut() {
                        Some(Happening::Body(sum)) => *sum += text.len(),
                        _ => self.log.push(Happening::Body(text.len())),
                    }
                }
                Step::Splice(..) | Step::Send(_) if self.stalled => {
                    if !self.next_question(&mut asked) {
                        return;
                    }
                }
                Step::Splice(blob, range) => {
                    let part = spliced(&blob, range);
                    self.session.spliced(self.now, part.len() as u64);
                    self.sent(part);
                }
                Step::Send(bytes) => {
                    self.session.transmitted(self.now, bytes.len());
                    self.sent(bytes);
                }
                Step::Upgrade => {
                    if !self.upgrading {
                        self.upgrading = true;
                        self.log.push(Happening::Upgrade);
                    }
                    return;
                }
                Step::Wait => {
                    if !self.next_question(&mut asked) {
                        return;
                    }
                }
                Step::Close => {
                    for (_, ask) in asked {
                        self.log.push(Happening::Asked(describe(&ask)));
                        self.model.answer(ask);
                    }
                    if !self.closed {
                        self.closed = true;
                        self.log.push(Happening::Closed);
                    }
                    return;
                }
            }
        }
    }

    /// Answers the oldest question, if there is one.
    fn next_question(&mut self, asked: &mut VecDeque<(Ticket, Ask)>) -> bool {
        let Some((ticket, ask)) = asked.pop_front() else { return false };
        self.log.push(Happening::Asked(describe(&ask)));
        self.last = Some(ticket);
        if self.silent {
            return true;
        }
        let order = matches!(ask, Ask::Unselect | Ask::AppendAbort);
        let instead = if order { None } else { self.instead.pop_front() };
        if let Some(answer) = instead.or_else(|| self.model.answer(ask)) {
            self.session.handle_answer(self.now, ticket, answer);
        }
        if !self.hold {
            self.session.handle_durable(self.now, self.model.position());
        }
        true
    }

    fn sent(&mut self, bytes: Vec<u8>) {
        match self.log.last_mut() {
            Some(Happening::Sent(before)) => before.extend_from_slice(&bytes),
            _ => self.log.push(Happening::Sent(bytes)),
        }
    }
}

/// A part of a stored text as it is sent.
fn spliced(blob: &Blob, range: Range<u64>) -> Vec<u8> {
    let stored = |blob: &Blob, range: Range<u64>| {
        let whole: &Vec<u8> = blob.get().expect("the model's blobs are texts");
        whole.get(range.start as usize..range.end as usize).unwrap_or_default().to_vec()
    };
    let mut out = Vec::new();
    if let Some(part) = blob.get::<DecodedPart>() {
        let read = |blob: &Blob, range: Range<u64>, out: &mut Vec<u8>| {
            out.append(&mut stored(blob, range));
            Ok::<(), std::convert::Infallible>(())
        };
        match part.read(range, &mut out, read) {
            Ok(()) => out,
            Err(never) => match never {},
        }
    } else {
        crate::mime::wire::copy_without_nul(&stored(blob, range), &mut out);
        out
    }
}

/// What the session wants, its borrow ended.
enum Step {
    Ask(Ticket, Ask),
    Cancel,
    Body(Range<usize>),
    Splice(Blob, Range<u64>),
    Send(Vec<u8>),
    Upgrade,
    Wait,
    Close,
}

/// A question in a few words.
fn describe(ask: &Ask) -> String {
    let set = |uids: &crate::types::UidSet| {
        let ranges: Vec<String> = uids
            .ranges()
            .map(|(first, last)| {
                if first == last { first.0.to_string() } else { format!("{}:{}", first.0, last.0) }
            })
            .collect();
        ranges.join(",")
    };
    match ask {
        Ask::Login { user, .. } => format!("login {}", user.escape_ascii()),
        Ask::Names => "names".into(),
        Ask::Status { mailbox, .. } => format!("status {mailbox}"),
        Ask::Select { mailbox, examine: false } => format!("select {mailbox}"),
        Ask::Select { mailbox, examine: true } => format!("examine {mailbox}"),
        Ask::Unselect => "unselect".into(),
        Ask::Create { mailbox, special_use } if special_use.is_empty() => {
            format!("create {mailbox}")
        }
        Ask::Create { mailbox, special_use } => format!("create {mailbox} {special_use:?}"),
        Ask::Delete { mailbox } => format!("delete {mailbox}"),
        Ask::Rename { from, to } => format!("rename {from} {to}"),
        Ask::Subscribe { mailbox, on: true } => format!("subscribe {mailbox}"),
        Ask::Subscribe { mailbox, on: false } => format!("unsubscribe {mailbox}"),
        Ask::AppendOpen { mailbox, size, first, binary, .. } => {
            let (first, binary) =
                (if *first { "" } else { ", next" }, if *binary { ", binary" } else { "" });
            format!("append {size} to {mailbox}{first}{binary}")
        }
        Ask::AppendCommit => "commit".into(),
        Ask::AppendAbort => "abort".into(),
        Ask::Fetch(ask) => {
            let runs: Vec<String> =
                ask.runs.iter().map(|run| format!("{}+{}", run.uid.0, run.count)).collect();
            format!("fetch {}", runs.join(","))
        }
        Ask::Store { uids, action, unchanged_since: None, .. } => {
            format!("store {} {action:?}", set(uids))
        }
        Ask::Store { uids, action, unchanged_since: Some(since), .. } => {
            format!("store {} {action:?} unless changed since {}", set(uids), since.0)
        }
        Ask::Copy { uids, mailbox, moving: false, .. } => format!("copy {} {mailbox}", set(uids)),
        Ask::Copy { uids, mailbox, moving: true, .. } => format!("move {} {mailbox}", set(uids)),
        Ask::Expunge { uids: None } => "expunge".into(),
        Ask::Expunge { uids: Some(uids) } => format!("expunge {}", set(uids)),
        Ask::Search { .. } => "search".into(),
        Ask::Sort { .. } => "sort".into(),
        Ask::Thread { algorithm, .. } => format!("thread {algorithm:?}"),
        Ask::ChangedSince { uids, modseq } => {
            format!("changed since {} in {}", modseq.0, set(uids))
        }
        Ask::Changes { may_shrink: true, .. } => "changes".into(),
        Ask::Changes { may_shrink: false, .. } => "changes but expunges".into(),
    }
}

/// Runs a whole session over input that comes in these pieces, and gives what happened. Panics when the session holds
/// more memory than its limits allow, or does not come to rest.
#[must_use]
pub fn run(chunks: &[&[u8]]) -> Vec<Happening> {
    let config = Config { tls_available: true, imap4rev2: true, ..Config::default() };
    let bound = config.limits.held();
    let peer = Peer { tls: false, loopback: true };
    let mut driver = Driver::new(config, peer, Model::new(3));
    for chunk in chunks {
        driver.receive(chunk);
        assert!(driver.session.held() <= bound, "held {} of {bound}", driver.session.held());
    }
    driver.eof();
    driver.log
}
