//! One IMAP connection, server side (RFC 3501 §3 and RFC 9051 §3 states, §5.4 autologout).
//!
//! Touches no socket, clock or mailbox: facts come in through `handle_*`, wishes leave by `poll_output`.
//! Invariants:
//! - At most one command executes; tagged replies leave in the order the commands came, and none before it is durable.
//! - Held memory stays under what [`Limits`] allows, whatever the peer sends.
//! - A session that has closed takes no input and answers [`Output::Close`] for ever.
//!
//! How a command runs: its line is parsed and starts some [`Work`]; work asks the store and, answered, puts what is to
//! be told into `told`, which is written as the output has room; the tagged reply is the last thing told. So a slow
//! reader stops work, and nothing queues but what one answer holds.

mod append;
mod auth;
mod condstore;
mod context;
mod dispatch;
mod fetch;
mod idle;
mod list;
mod mailbox;
mod results;
mod search;
mod select;
mod sort;
mod tell;
mod thread;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::ask::{Answer, Ask, Code};
use crate::frame::{Fault, Frame, Framer, Mode};
use crate::limits::Limits;
use crate::out::{Out, Ready};
use crate::parse::Names;
use crate::tag::Tag;
use crate::types::{Blob, MailboxName, Position, Ticket, Time};
use select::Mailbox;
use tell::{Reply, Tell};

/// What a session is told about the server it is part of. Shared by all sessions.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Every bound.
    pub limits: Limits,
    /// STARTTLS is offered on a connection that has no TLS.
    pub tls_available: bool,
    /// Passwords are taken without TLS too, wherever the peer is; otherwise only from this machine itself.
    pub plaintext_login: bool,
    /// IMAP4rev2 is offered beside IMAP4rev1: it begins with ENABLE IMAP4rev2 (RFC 9051 appendix A).
    pub imap4rev2: bool,
}

/// What is known about the other end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Peer {
    /// The connection is encrypted.
    pub tls: bool,
    /// It comes from this machine.
    pub loopback: bool,
}

/// What the session wants next; see [`Session::poll_output`].
#[derive(Debug)]
pub enum Output<'a> {
    /// Write what the socket takes of these bytes, then call [`Session::transmitted`] with how many it took (0 is
    /// fine). They may leave: what they depend on is durable.
    Transmit(&'a [u8]),
    /// Write this range of a stored body (each NUL as 0x80), in steps, calling [`Session::spliced`] after each.
    Splice(Blob, Range<u64>),
    /// Ask the store; the answer comes by [`Session::handle_answer`].
    Ask(Ticket, Ask),
    /// The answer is no longer wanted; it may come nevertheless.
    Cancel(Ticket),
    /// This range of the input just offered is the next part of the message opened by this ticket.
    Body(Ticket, Range<usize>),
    /// STARTTLS's OK has been transmitted: start TLS, then call [`Session::handle_upgraded`]. Bytes read but not
    /// taken must end the connection; offering them by [`Session::handle_input`] does it.
    Upgrade,
    /// Nothing more for now.
    Wait {
        /// Whether more input would be taken. Without it, read ahead at most a little, to notice a hang-up.
        wants_input: bool,
        /// When [`Session::handle_timeout`] is due.
        deadline: Option<Time>,
    },
    /// Close the connection; nothing will come any more.
    Close,
}

/// What happens to a session from the side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// The selected mailbox may have changed.
    Changed,
    /// The server stops: say BYE at the next command boundary.
    Shutdown,
    /// Whoever runs the server wants this session to end: the same, in other words.
    Kick,
    /// What the server knew of the account is given up, as after a disk's failure or for a repair: the same, so that the
    /// client comes back to what there is.
    Reopened,
    /// The connection has to make room for another: say BYE now.
    Evicted,
}

/// The states of RFC 3501 §3, and IDLE (RFC 2177), in which a client spends its days.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// Nobody has logged in.
    NotAuthenticated,
    /// Somebody has, and no mailbox is selected.
    Authenticated,
    /// A mailbox is.
    Selected,
    /// The client waits for what happens, with a mailbox or without.
    Idle,
    /// BYE is said.
    Logout,
}

/// One IMAP connection, server side.
#[derive(Debug)]
pub struct Session {
    config: Arc<Config>,
    peer: Peer,
    framer: Framer,
    out: Out,
    told: VecDeque<Tell>,
    wishes: VecDeque<Wish>,
    phase: Phase,
    work: Work,
    /// The tag of the command that executes.
    tag: Tag,
    /// Whether EXPUNGE may be told when it ends.
    may_shrink: bool,
    /// The question whose answer is awaited.
    waiting: Option<Ticket>,
    tickets: u64,
    names: Names,
    /// The client knows mod-sequences (RFC 7162 §3.1).
    condstore: bool,
    end: End,
    times: Times,
    /// Syntax errors since the last command that had none.
    syntax_errors: u32,
    login_failures: u32,
}

/// RFC 3501 §3.
#[derive(Debug)]
enum Phase {
    Guest,
    User,
    Selected(Box<Mailbox>),
}

/// What executes.
#[derive(Debug)]
enum Work {
    Nothing,
    /// AUTHENTICATE, between lines.
    Sasl(auth::Sasl),
    Login,
    /// STARTTLS: its OK is on its way, or TLS is.
    Upgrade,
    /// What is answered by [`Answer::Done`], and what is said then.
    Simple(&'static str),
    List(Box<list::Listing>),
    Status(mailbox::StatusOf),
    Select(select::Opening),
    Append(Box<append::Append>),
    Idle(idle::Idle),
    Fetch(Box<fetch::Fetching>),
    /// CREATE, and the line before its OK where the name is another than the client wrote.
    Create(Option<Vec<u8>>),
    /// DELETE of this mailbox, and the same.
    Delete(MailboxName, Option<Vec<u8>>),
    /// RENAME of the first to the second, and the same.
    Rename(MailboxName, MailboxName, Option<Vec<u8>>),
    Store(fetch::Storing),
    Copy(mailbox::Copying),
    Expunge,
    /// CLOSE: expunges without telling.
    CloseExpunge,
    Search(Box<search::Searching>),
    Sort(Box<sort::Sorting>),
    Thread {
        by_uid: bool,
    },
    /// The command is done but for telling what else happened; then this is said.
    Finish(Reply),
    /// As before, and what happened is asked for.
    Changes(Reply),
    /// As before, and what has become of results is asked for.
    Update(Reply),
}

/// How far the session is from its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Open,
    /// The peer sends no more: what executes may finish.
    Eof,
    /// BYE at the next command boundary.
    Bye(Why),
    /// BYE is said; close once it has left.
    Closing,
    Closed,
}

/// Why the server ends a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Why {
    /// It stops.
    Shutdown,
    /// Somebody wants it to.
    Kick,
    /// Its account is opened anew.
    Reopened,
}

/// What the session wants beside writing.
#[derive(Debug)]
enum Wish {
    Ask(Ticket, Ask),
    Cancel(Ticket),
    Body(Ticket, Range<usize>),
}

#[derive(Clone, Copy, Debug)]
struct Times {
    started: Time,
    /// The last command's end.
    command: Time,
    /// When input was last taken.
    input: Time,
    /// When output last moved, or began to wait.
    output: Time,
    /// Output was waiting when last looked at; `false` after it moved.
    stalled: bool,
}

impl Session {
    /// A connection that was just accepted (with `peer.tls`: whose handshake is done); the greeting is due.
    #[must_use]
    pub fn new(config: Arc<Config>, peer: Peer, now: Time) -> Self {
        Self::begin(config, peer, Phase::Guest, now)
    }

    /// A connection whose user is known by other means: it is greeted with PREAUTH (RFC 9051 §7.1.4) and needs no
    /// log-in, nor could it have one.
    #[must_use]
    pub fn preauthenticated(config: Arc<Config>, peer: Peer, now: Time) -> Self {
        Self::begin(config, peer, Phase::User, now)
    }

    fn begin(config: Arc<Config>, peer: Peer, phase: Phase, now: Time) -> Self {
        let mut session = Self {
            config,
            peer,
            framer: Framer::default(),
            out: Out::default(),
            told: VecDeque::new(),
            wishes: VecDeque::new(),
            phase,
            work: Work::Nothing,
            tag: Tag::default(),
            may_shrink: true,
            waiting: None,
            tickets: 0,
            names: Names::Rev1,
            condstore: false,
            end: End::Open,
            times: Times { started: now, command: now, input: now, output: now, stalled: false },
            syntax_errors: 0,
            login_failures: 0,
        };
        session.greet();
        session
    }

    /// Uses as much of `input` as it can now and returns that count; offer the rest again after draining
    /// [`poll_output`](Self::poll_output). [`Output::Body`] ranges refer to this slice.
    pub fn handle_input(&mut self, now: Time, input: &[u8]) -> usize {
        if matches!(self.work, Work::Upgrade) && !input.is_empty() {
            // RFC 3501 §6.2.1, RFC 2595 §2: what came before TLS must not count after it, so it ends here.
            self.close();
        }
        let config = Arc::clone(&self.config);
        // Out of the way, since a frame may borrow it while the session acts on the frame.
        let mut framer = std::mem::take(&mut self.framer);
        let mut rest = input;
        while self.wants_input() {
            let before = input.len() - rest.len();
            let Some(frame) = framer.next(&mut rest, self.mode(), &config.limits) else { break };
            match frame {
                Frame::Line(line) => self.on_line(now, line, !rest.is_empty()),
                Frame::Continue => self.out.put(b"+ OK\r\n"),
                Frame::Message(line, literal) => {
                    if !self.on_message(line, literal) {
                        framer.refuse();
                    }
                }
                Frame::Part(len) => {
                    self.on_part(before..before + len);
                    // Its range refers to this input: nothing may be taken before it is passed on.
                    break;
                }
                Frame::PartsEnd => self.on_parts_end(),
                Frame::Faulty(tag, fault) => self.on_faulty(tag, fault),
                Frame::Fatal(fault) => self.on_fatal(fault),
            }
        }
        framer.forget();
        self.framer = framer;
        let taken = if self.end == End::Closed { 0 } else { input.len() - rest.len() };
        if taken > 0 {
            self.times.input = now;
        }
        self.advance(now);
        taken
    }

    /// The store's answer. Answers to questions that are no longer open are ignored.
    pub fn handle_answer(&mut self, now: Time, ticket: Ticket, answer: Answer) {
        if matches!(self.end, End::Closing | End::Closed) {
            return;
        }
        if self.waiting == Some(ticket) {
            self.waiting = None;
            self.on_answer(now, answer);
        } else {
            self.on_late_answer(ticket, answer);
        }
        self.advance(now);
    }

    /// Everything up to `position` is durable.
    pub fn handle_durable(&mut self, now: Time, position: Position) {
        self.out.durable(position);
        self.advance(now);
    }

    /// What is told from now on waits until `position` is durable: for answers that carry no position of their own
    /// ([`Answer::Names`], [`Answer::Status`], [`Answer::Selected`], [`Answer::Found`]). Call it before
    /// [`handle_answer`](Self::handle_answer).
    pub fn hold(&mut self, position: Position) {
        // One that is lost closes the session, which then takes no answer any more.
        let _ = self.depends_on(position);
    }

    /// What is later than the last durable position, up to `position`, will never be durable. Replies that depend on
    /// it become NO, and the session ends, for what it believes of its mailbox may be wrong.
    pub fn handle_lost(&mut self, now: Time, position: Position) {
        if let Some(tags) = self.out.lose(position) {
            self.on_lost(tags);
        }
        self.advance(now);
    }

    /// Something happened.
    pub fn handle_event(&mut self, now: Time, event: Event) {
        match event {
            Event::Changed => {
                if let Phase::Selected(mailbox) = &mut self.phase {
                    mailbox.changed = true;
                }
            }
            Event::Shutdown => self.on_farewell(Why::Shutdown),
            Event::Kick => self.on_farewell(Why::Kick),
            Event::Reopened => self.on_farewell(Why::Reopened),
            Event::Evicted => {
                // RFC 5530 §3: a resource that is temporarily not there.
                self.bye(Some(Code::Unavailable), "Too many connections, try again later");
            }
        }
        self.advance(now);
    }

    fn on_farewell(&mut self, why: Why) {
        if matches!(self.end, End::Open) {
            self.end = End::Bye(why);
            self.give_up_search(true);
        }
    }

    /// TLS is up.
    pub fn handle_upgraded(&mut self, now: Time, peer: &Peer) {
        if !matches!(self.work, Work::Upgrade) {
            return;
        }
        // RFC 3501 §6.2.1: the client must forget what it was told before TLS, and so do we.
        self.peer = *peer;
        self.work = Work::Nothing;
        self.names = Names::Rev1;
        self.syntax_errors = 0;
        self.framer = Framer::default();
        self.advance(now);
    }

    /// The peer sends no more; call it once all input was taken. What executes finishes and is answered, but for a
    /// SEARCH: it may take long, changes nothing, and most who hang up on it don't wait for it. Who has more to ask
    /// (LOGOUT at least) and then waits gets all answers.
    pub fn handle_eof(&mut self, now: Time) {
        if matches!(self.end, End::Open | End::Bye(_)) {
            self.end = End::Eof;
            self.give_up_search(false);
        }
        self.advance(now);
    }

    /// Time has passed; does nothing when no deadline has.
    pub fn handle_timeout(&mut self, now: Time) {
        let Some((at, why)) = self.deadline() else { return };
        if now < at {
            return;
        }
        match why {
            // Nobody reads what we would say.
            Deadline::Stall => self.close(),
            Deadline::Login => self.bye(None, "Too long without login"),
            Deadline::Idle => self.bye(None, "Idle for too long"),
            Deadline::Input => self.bye(None, "Too long without input"),
        }
        self.advance(now);
    }

    /// `count` bytes of the last [`Output::Transmit`] were written.
    pub fn transmitted(&mut self, now: Time, count: usize) {
        self.spliced(now, count as u64);
    }

    /// `count` more bytes of the last [`Output::Splice`] were written.
    pub fn spliced(&mut self, now: Time, count: u64) {
        if count > 0 {
            self.times.output = now;
            self.out.advance(count);
            self.advance(now);
        }
    }

    /// The highest position that output waits for, if any does: the driver arranges to be woken for it.
    #[must_use]
    pub fn waits_for(&self) -> Option<Position> {
        self.out.waits_for()
    }

    /// What the session wants next; call until it says [`Output::Wait`] or [`Output::Close`].
    pub fn poll_output(&mut self, now: Time) -> Output<'_> {
        self.advance(now);
        if let Some(wish) = self.wishes.pop_front() {
            return match wish {
                Wish::Ask(ticket, ask) => Output::Ask(ticket, ask),
                Wish::Cancel(ticket) => Output::Cancel(ticket),
                Wish::Body(ticket, range) => Output::Body(ticket, range),
            };
        }
        if self.end == End::Closed {
            return Output::Close;
        }
        let ready = !matches!(self.out.ready(), Ready::Nothing);
        if !ready {
            self.times.stalled = false;
            let drained = self.out.is_empty();
            if drained && self.end == End::Closing {
                self.close();
                return Output::Close;
            }
            if drained && matches!(self.work, Work::Upgrade) {
                return Output::Upgrade;
            }
            self.shrink();
            let deadline = self.deadline().map(|(at, _)| at);
            return Output::Wait { wants_input: self.wants_input(), deadline };
        }
        if !self.times.stalled {
            self.times.stalled = true;
            self.times.output = now;
        }
        match self.out.ready() {
            Ready::Blob(blob, range) => Output::Splice(blob, range),
            Ready::Bytes(bytes) => Output::Transmit(bytes),
            Ready::Nothing => Output::Wait { wants_input: false, deadline: None },
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due; also while output waits.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        self.deadline().map(|(at, _)| at)
    }

    /// Whether nobody has logged in.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        matches!(self.phase, Phase::Guest)
    }

    /// Those of the bytes held that wait to be written, or to be made into what is written.
    #[must_use]
    pub fn held_output(&self) -> usize {
        let told: usize = self.told.iter().map(Tell::held).sum();
        self.out.held() + told
    }

    /// How far it has come (RFC 3501 §3), for those who run the server.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match (&self.phase, self.end, &self.work) {
            (_, End::Closing | End::Closed, _) => Stage::Logout,
            (_, _, Work::Idle(_)) => Stage::Idle,
            (Phase::Guest, ..) => Stage::NotAuthenticated,
            (Phase::User, ..) => Stage::Authenticated,
            (Phase::Selected(_), ..) => Stage::Selected,
        }
    }

    /// Bytes held beyond the struct itself.
    #[must_use]
    pub fn held(&self) -> usize {
        let phase = match &self.phase {
            Phase::Guest | Phase::User => 0,
            Phase::Selected(mailbox) => mailbox.held(),
        };
        self.framer.held()
            + self.held_output()
            + phase
            + self.told.capacity() * size_of::<Tell>()
            + self.wishes.capacity() * size_of::<Wish>()
            + self.work.held()
    }

    /// What the next input is.
    fn mode(&self) -> Mode {
        match (&self.work, &self.phase) {
            (Work::Sasl(_) | Work::Idle(_), _) => Mode::Plain,
            (Work::Append(_), _) => Mode::AppendTail,
            (_, Phase::Guest) => Mode::Guest,
            (_, Phase::User | Phase::Selected(_)) => Mode::User,
        }
    }

    fn wants_input(&self) -> bool {
        let open = matches!(self.end, End::Open | End::Bye(_) | End::Eof);
        let listens = match &self.work {
            Work::Nothing | Work::Sasl(_) => self.told.is_empty(),
            // IDLE blocks on nothing, so DONE is read.
            Work::Idle(idle) => idle.done.is_none(),
            Work::Append(append) => append.wants_input() && self.waiting.is_none(),
            Work::Login
            | Work::Upgrade
            | Work::Simple(_)
            | Work::Delete(..)
            | Work::Rename(..)
            | Work::List(_)
            | Work::Status(_)
            | Work::Create(_)
            | Work::Select(_)
            | Work::Fetch(_)
            | Work::Store(_)
            | Work::Copy(_)
            | Work::Expunge
            | Work::CloseExpunge
            | Work::Search(_)
            | Work::Sort(_)
            | Work::Thread { .. }
            | Work::Finish(_)
            | Work::Changes(_)
            | Work::Update(_) => false,
        };
        let body = self.wishes.iter().any(|wish| matches!(wish, Wish::Body(..)));
        let unsent = match self.phase {
            Phase::Guest => self.limits().unsent_before_login,
            Phase::User | Phase::Selected(_) => self.limits().unsent,
        };
        let room = self.out.len() < unsent as u64 || matches!(self.work, Work::Idle(_));
        open && listens && !body && room
    }

    fn limits(&self) -> &Limits {
        &self.config.limits
    }

    /// Asks, and waits for the answer.
    fn ask(&mut self, ask: Ask) -> Ticket {
        let ticket = self.order(ask);
        self.waiting = Some(ticket);
        ticket
    }

    /// Asks without waiting.
    fn order(&mut self, ask: Ask) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.wishes.push_back(Wish::Ask(ticket, ask));
        ticket
    }

    /// Says BYE and nothing after it.
    fn bye(&mut self, code: Option<Code>, text: &str) {
        if matches!(self.end, End::Closing | End::Closed) {
            return;
        }
        self.drop_work();
        self.out.write(|out| tell::untagged(out, "BYE", code, text));
        self.end = End::Closing;
    }

    /// Ends at once; what waits is not written.
    fn close(&mut self) {
        if self.end == End::Closed {
            return;
        }
        self.drop_work();
        self.out = Out::default();
        self.framer = Framer::default();
        self.phase = Phase::Guest;
        self.end = End::Closed;
    }

    /// Calls back what is asked.
    fn call_back(&mut self) {
        if let Some(ticket) = self.waiting.take() {
            // A question that hasn't been taken yet needs none to call it back.
            let before = self.wishes.len();
            self.wishes.retain(|wish| !matches!(wish, Wish::Ask(asked, _) if *asked == ticket));
            if self.wishes.len() == before {
                self.wishes.push_back(Wish::Cancel(ticket));
            }
        }
    }

    /// Gives up what executes.
    fn drop_work(&mut self) {
        self.call_back();
        if matches!(self.work, Work::Append(_)) {
            self.wishes.retain(|wish| !matches!(wish, Wish::Body(..)));
            self.order(Ask::AppendAbort);
        }
        self.told.clear();
        self.work = Work::Nothing;
    }

    fn on_lost(&mut self, tags: Vec<Tag>) {
        for tag in tags {
            let reply = Reply::no(Some(Code::Unavailable), "Could not be written to disk");
            self.out.write(|out| reply.write(out, tag));
        }
        if !matches!(self.work, Work::Nothing) {
            let (tag, reply) =
                (self.tag, Reply::no(Some(Code::Unavailable), "Could not be written to disk"));
            self.drop_work();
            self.out.write(|out| reply.write(out, tag));
        }
        if self.end == End::Closing {
            // BYE was among what was dropped.
            self.end = End::Open;
        }
        self.bye(Some(Code::Unavailable), "Could not be written to disk");
    }

    fn on_fatal(&mut self, fault: Fault) {
        match fault {
            // Cross-protocol attacks look for a server that answers: this one doesn't.
            Fault::Http => self.close(),
            Fault::LineTooLong
            | Fault::TooDeep
            | Fault::Nul
            | Fault::Literal
            | Fault::LiteralsTooLarge
            | Fault::TooManyLiterals => self.bye(None, &fault.to_string()),
        }
    }

    /// Gives buffers back when nothing is going on.
    fn shrink(&mut self) {
        if matches!(self.work, Work::Nothing | Work::Idle(_))
            && self.told.is_empty()
            && self.wishes.is_empty()
        {
            self.told = VecDeque::new();
            self.wishes = VecDeque::new();
            self.out.shrink();
        }
    }

    fn deadline(&self) -> Option<(Time, Deadline)> {
        let limits = self.limits();
        if self.end == End::Closed {
            return None;
        }
        let mut first: Option<(Time, Deadline)> = None;
        let mut consider = |at: Time, why: Deadline| {
            if first.is_none_or(|(soonest, _)| at < soonest) {
                first = Some((at, why));
            }
        };
        if self.times.stalled {
            consider(self.times.output.after(limits.stall_time), Deadline::Stall);
        }
        if self.end != End::Closing {
            let executes = self.waiting.is_some() || !self.told.is_empty();
            if matches!(self.phase, Phase::Guest) {
                consider(self.times.started.after(limits.login_time), Deadline::Login);
            } else if let Work::Append(_) = self.work {
                if !executes {
                    consider(self.times.input.after(limits.stall_time), Deadline::Input);
                }
            } else if !executes || matches!(self.work, Work::Idle(_)) {
                consider(self.times.command.after(limits.idle_time), Deadline::Idle);
            }
        }
        first
    }
}

/// Why time runs out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Deadline {
    Login,
    Idle,
    Stall,
    Input,
}

impl Work {
    /// Bytes held beyond the enum.
    fn held(&self) -> usize {
        match self {
            Self::Nothing
            | Self::Login
            | Self::Upgrade
            | Self::Simple(_)
            | Self::Idle(_)
            | Self::Store(_)
            | Self::Copy(_)
            | Self::Expunge
            | Self::CloseExpunge
            | Self::Status(_)
            | Self::Thread { .. }
            | Self::Select(_) => 0,
            Self::Finish(reply) | Self::Changes(reply) | Self::Update(reply) => reply.held(),
            Self::Sasl(sasl) => sasl.held(),
            Self::Create(line) | Self::Delete(_, line) | Self::Rename(_, _, line) => {
                line.as_ref().map_or(0, Vec::capacity)
            }
            Self::List(_) => size_of::<list::Listing>(),
            Self::Append(_) => size_of::<append::Append>(),
            Self::Fetch(fetching) => fetching.held(),
            Self::Search(_) => size_of::<search::Searching>(),
            Self::Sort(_) => size_of::<sort::Sorting>(),
        }
    }
}
