//! One LMTP connection, server side (RFC 2033).
//!
//! Touches no socket, clock or mailbox: facts come in through `handle_*`, wishes leave by `poll_output`. Invariants:
//! - At most one command executes, and at most one question is open; replies leave in the order the commands came, and
//!   a delivery's not before it is durable.
//! - Every text opened by [`Ask::BodyOpen`] ends by exactly one [`Ask::BodyDone`] or [`Ask::BodyAbort`], unless the
//!   question was refused or cancelled.
//! - Held memory is bounded whatever the peer sends: a line, the unsent replies, four bytes for each recipient. Text
//!   passes through.
//! - Closing is final: from then on no input is taken.

mod envelope;
mod opening;
mod text;

use crate::command::{self, Verb};
use crate::fault::{Farewell, Fault};
use crate::lines::{Line, Lines};
use crate::outbox::Outbox;
use crate::{Answer, Ask, Config, Event, Limits, Output, Peer, Position, Refusal, Ticket, Time};
use envelope::Transaction;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use text::{Chunk, Text};

/// One connection. Every method may be called at any time.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    peer: Peer,
    state: State,
    lines: Lines,
    out: Outbox,
    wishes: VecDeque<Wish>,
    tickets: u64,
    /// The client's name, once it has said LHLO.
    lhlo: Option<Box<str>>,
    transaction: Option<Transaction>,
    deadline: Time,
    /// Silly and refused commands in a row.
    errors: u32,
    refusals: u32,
    /// Facts that wait for the next command boundary.
    eof: bool,
    /// What to end it with at the next command boundary.
    ending: Option<Farewell>,
}

#[derive(Debug)]
enum State {
    /// Between commands, or in the middle of a command's line.
    Command,
    /// The answer to this question completes the command.
    Asked(Ticket, Question),
    /// In the text of DATA.
    Text(Text),
    /// In the text of a BDAT.
    Chunk(Chunk),
    /// STARTTLS was accepted.
    Upgrading,
    /// The last replies leave.
    Closing,
}

/// What a session needs to know of its open question.
#[derive(Clone, Copy, Debug)]
enum Question {
    Recipient(crate::RecipientId),
    OpenText,
    OpenChunk { size: u64, last: bool },
    Done,
}

#[derive(Debug)]
enum Wish {
    Ask(Ticket, Ask),
    Cancel(Ticket),
    Body(Ticket, Range<usize>),
    BodyHeld(Ticket, &'static [u8]),
}

impl Session {
    /// A connection that has just been accepted (for a listener with TLS: whose handshake is done). It greets.
    #[must_use]
    pub fn new(config: Arc<Config>, peer: Peer, now: Time) -> Self {
        let deadline = now.after(config.limits.lhlo_timeout);
        let mut session = Self {
            config,
            peer,
            state: State::Command,
            lines: Lines::default(),
            out: Outbox::default(),
            wishes: VecDeque::new(),
            tickets: 0,
            lhlo: None,
            transaction: None,
            deadline,
            errors: 0,
            refusals: 0,
            eof: false,
            ending: None,
        };
        session.put_parts(&["220 ", &Arc::clone(&session.config).hostname, " LMTP"]);
        session
    }

    /// Uses as much of `input` as it can now and returns that count; offer the rest again after the output has been
    /// polled. Takes nothing while an [`Output::Body`] of the last slice has not been polled.
    pub fn handle_input(&mut self, now: Time, input: &[u8]) -> usize {
        let was_upgrading = matches!(self.state, State::Upgrading);
        let mut rest = input;
        while !rest.is_empty() && self.wants_input() {
            match self.state {
                State::Command => self.take_line(now, &mut rest),
                State::Text(_) => self.take_text(now, input, &mut rest),
                State::Chunk(_) => self.take_chunk(now, input, &mut rest),
                State::Asked(..) | State::Upgrading | State::Closing => break,
            }
        }
        if matches!(self.state, State::Upgrading) {
            if !rest.is_empty() {
                // Said before the handshake, to be heard after it: an injection (CVE-2011-0411, RFC 3207 §4.2).
                self.farewell(now, Farewell::Silent);
            } else if !was_upgrading {
                self.put_parts(&["220 2.0.0 Ready for TLS"]);
            }
        }
        input.len() - rest.len()
    }

    /// The store's answer. One to a question that is not open is ignored.
    pub fn handle_answer(&mut self, now: Time, ticket: Ticket, answer: Answer) {
        let State::Asked(open, question) = self.state else { return };
        if open != ticket {
            return;
        }
        match question {
            Question::Recipient(id) => self.on_recipient(now, id, answer),
            Question::OpenText => self.on_text_opened(now, ticket, answer),
            Question::OpenChunk { size, last } => {
                self.on_chunk_opened(now, ticket, size, last, answer)
            }
            Question::Done => self.on_delivered(now, answer),
        }
    }

    /// The journal is durable up to and including `position`.
    pub fn handle_durable(&mut self, now: Time, position: Position) {
        self.out.durable(position);
        if matches!(self.state, State::Command) {
            self.touch(now);
        }
    }

    /// The journal is durable up to and including `durable`, and what lies behind that of the positions answered until
    /// now will never become so: replies that wait for such a one become `451 4.3.0`. The session goes on. Note that
    /// the argument is not the lost position but the one before it.
    pub fn handle_lost(&mut self, now: Time, durable: Position) {
        self.out.lost(durable);
        if matches!(self.state, State::Command) {
            self.touch(now);
        }
    }

    /// The highest position that replies wait for, if any do: the driver arranges to be woken for it.
    #[must_use]
    pub fn waits_for(&self) -> Option<Position> {
        self.out.waits_for()
    }

    /// Something happened to the server.
    pub fn handle_event(&mut self, now: Time, event: Event) {
        match event {
            Event::Shutdown => self.ending = Some(Farewell::Shutdown),
            Event::Kick => self.ending = Some(Farewell::Kick),
            Event::Evicted if matches!(self.state, State::Closing) => {}
            Event::Evicted => return self.farewell(now, Farewell::Evicted),
        }
        if matches!(self.state, State::Command) {
            self.end_command(now);
        }
    }

    /// The TLS handshake asked for by [`Output::Upgrade`] is done. Nothing said before it counts (RFC 3207 §4.2).
    pub fn handle_upgraded(&mut self, now: Time, peer: &Peer) {
        if !matches!(self.state, State::Upgrading) {
            return;
        }
        self.peer = *peer;
        self.lhlo = None;
        self.transaction = None;
        (self.errors, self.refusals) = (0, 0);
        self.deadline = now.after(self.config.limits.lhlo_timeout);
        self.end_command(now);
    }

    /// The peer will say no more, or is gone. Text that is not complete is forgotten; a delivery that is under way is
    /// cancelled, as the client has no reply and will send it again, but waited for.
    pub fn handle_eof(&mut self, now: Time) {
        if std::mem::replace(&mut self.eof, true) {
            return;
        }
        match self.state {
            State::Asked(ticket, Question::Done) => self.wishes.push_back(Wish::Cancel(ticket)),
            State::Closing => {}
            State::Asked(..)
            | State::Command
            | State::Text(_)
            | State::Chunk(_)
            | State::Upgrading => {
                self.farewell(now, Farewell::Silent);
            }
        }
    }

    /// The time of the deadline has come; does nothing when it has not.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.next_timeout().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.state {
            State::Closing => self.out.clear(),
            State::Command
            | State::Asked(..)
            | State::Text(_)
            | State::Chunk(_)
            | State::Upgrading => {
                self.farewell(now, Farewell::Timeout);
            }
        }
    }

    /// What the session wishes next; poll until [`Output::Wait`] or [`Output::Close`].
    pub fn poll_output(&mut self, _now: Time) -> Output<'_> {
        if let Some(wish) = self.wishes.pop_front() {
            if self.wishes.is_empty() {
                self.wishes = VecDeque::new();
            }
            return match wish {
                Wish::Ask(ticket, ask) => Output::Ask(ticket, ask),
                Wish::Cancel(ticket) => Output::Cancel(ticket),
                Wish::Body(ticket, range) => Output::Body(ticket, range),
                Wish::BodyHeld(ticket, bytes) => Output::BodyHeld(ticket, bytes),
            };
        }
        if self.out.ready().is_none() {
            return match self.state {
                State::Closing if self.out.is_empty() => Output::Close,
                State::Upgrading if self.out.is_empty() => Output::Upgrade,
                State::Command
                | State::Asked(..)
                | State::Text(_)
                | State::Chunk(_)
                | State::Closing
                | State::Upgrading => {
                    let deadline = self.next_timeout();
                    Output::Wait { wants_input: self.wants_input(), deadline }
                }
            };
        }
        Output::Transmit(self.out.ready().unwrap_or_default())
    }

    /// The first `n` bytes of the last [`Output::Transmit`] have been taken.
    pub fn transmitted(&mut self, n: usize) {
        self.out.transmitted(n);
    }

    /// When [`Session::handle_timeout`] is due; holds while output waits for the socket, too. Our own slowness is not
    /// the client's fault: there is none while a question is open.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        (!matches!(self.state, State::Asked(..))).then_some(self.deadline)
    }

    /// Bytes of memory this session holds beyond its own size; for tests and statistics.
    #[must_use]
    pub fn held(&self) -> usize {
        self.lines.held()
            + self.out.held()
            + self.wishes.capacity() * size_of::<Wish>()
            + self.lhlo.as_ref().map_or(0, |name| name.len())
            + self.transaction.as_ref().map_or(0, Transaction::held)
    }

    fn wants_input(&self) -> bool {
        let able = match self.state {
            State::Command => self.out.len() < self.config.limits.unsent,
            // A burst of dots makes a burst of runs: their number bounds how much of a slice is used at once.
            State::Text(_) | State::Chunk(_) => true,
            State::Asked(..) | State::Upgrading | State::Closing => false,
        };
        able && !self.eof && self.wishes.is_empty()
    }

    fn touch(&mut self, now: Time) {
        // Until LHLO one deadline holds for everything: a byte in time does not prolong it.
        if self.lhlo.is_some() {
            self.deadline = now.after(self.config.limits.command_timeout);
        }
    }

    fn take_line(&mut self, now: Time, rest: &mut &[u8]) {
        let limits = &self.config.limits;
        let max = limits.line.min(Limits::LINE_CAP);
        match self.lines.next(rest, max, limits.discard) {
            Some(Line::Whole(line)) if command::is_http(&line) => {
                self.farewell(now, Farewell::Silent)
            }
            Some(Line::Whole(line)) => self.on_line(now, &line),
            Some(Line::TooLong) => self.refuse_command(now, Fault::LineTooLong),
            Some(Line::Endless) => self.farewell(now, Farewell::Flood),
            None => {}
        }
    }

    fn on_line(&mut self, now: Time, line: &[u8]) {
        let (verb, arguments) = match command::split(line) {
            Ok(parts) => parts,
            Err(fault) => return self.refuse_command(now, fault),
        };
        let done = match verb {
            Verb::Lhlo => self.on_lhlo(now, arguments),
            Verb::Mail => self.on_mail(now, arguments),
            Verb::Rcpt => self.on_rcpt(arguments),
            Verb::Data => self.on_data(arguments),
            Verb::Bdat => return self.on_bdat(now, arguments),
            Verb::Rset => no_arguments(arguments).map(|()| {
                self.abandon();
                self.say(now, "250 2.0.0 Forgotten");
            }),
            Verb::Noop => {
                self.say(now, "250 2.0.0 Still here");
                Ok(())
            }
            // RFC 5321 §3.5.3: whom we take mail for is told to RCPT.
            Verb::Vrfy => self.need_lhlo().and_then(|()| {
                if arguments.is_empty() {
                    return Err(Fault::Arguments);
                }
                self.say(now, "252 2.0.0 Try RCPT");
                Ok(())
            }),
            Verb::Help => {
                self.say(now, "214 2.0.0 See RFC 2033");
                Ok(())
            }
            Verb::StartTls => self.on_starttls(arguments),
            Verb::Quit => no_arguments(arguments).map(|()| self.farewell(now, Farewell::Quit)),
            Verb::Hello => Err(Fault::NotLhlo),
            Verb::Foreign => Err(Fault::NotOffered),
        };
        if let Err(fault) = done {
            self.refuse_command(now, fault);
        }
    }

    /// Asks, and lets the command wait for the answer.
    fn ask(&mut self, ask: Ask, question: Question) {
        let ticket = self.wish(ask);
        self.state = State::Asked(ticket, question);
    }

    fn wish(&mut self, ask: Ask) -> Ticket {
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.wishes.push_back(Wish::Ask(ticket, ask));
        ticket
    }

    /// Ends the transaction, and its text if one is open.
    fn abandon(&mut self) {
        let chunks = self.transaction.take().is_some_and(|transaction| transaction.has_open_body());
        let text = matches!(&self.state, State::Text(text) if text.is_kept());
        if chunks || text {
            self.wish(Ask::BodyAbort);
        }
    }

    /// A command succeeded, with this reply.
    fn say(&mut self, now: Time, line: &str) {
        self.put_parts(&[line]);
        (self.errors, self.refusals) = (0, 0);
        self.end_command(now);
    }

    /// A command failed on its own account.
    fn refuse_command(&mut self, now: Time, fault: Fault) {
        self.put_parts(&[fault.reply()]);
        self.errors += u32::from(fault.is_silly());
        self.count_refusal(now);
    }

    /// A command failed as the store said no.
    fn refuse(&mut self, now: Time, refusal: &Refusal) {
        self.out.put(&refusal.line());
        self.count_refusal(now);
    }

    fn count_refusal(&mut self, now: Time) {
        self.refusals += 1;
        let limits = &self.config.limits;
        if self.errors > limits.errors || self.refusals > limits.refusals {
            self.farewell(now, Farewell::Errors);
        } else {
            self.end_command(now);
        }
    }

    /// A command boundary.
    fn end_command(&mut self, now: Time) {
        self.state = State::Command;
        self.touch(now);
        if self.eof {
            self.farewell(now, Farewell::Silent);
        } else if let Some(why) = self.ending {
            self.farewell(now, why);
        }
    }

    /// Ends everything; what has been said still leaves.
    fn farewell(&mut self, now: Time, why: Farewell) {
        if let State::Asked(ticket, _) = self.state {
            self.wishes.push_back(Wish::Cancel(ticket));
        }
        self.abandon();
        self.lines.clear();
        if let Some(reply) = why.reply() {
            self.put_parts(&[reply]);
        }
        self.state = State::Closing;
        self.deadline = now.after(self.config.limits.close_timeout);
    }

    fn put_parts(&mut self, parts: &[&str]) {
        for part in parts {
            self.out.put(part.as_bytes());
        }
        self.out.put(b"\r\n");
    }
}

fn no_arguments(arguments: &[u8]) -> Result<(), Fault> {
    if arguments.is_empty() { Ok(()) } else { Err(Fault::NoArguments) }
}
