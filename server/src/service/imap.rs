//! IMAP: the session asks, the logged-in user's view of the store answers.
//!
//! Invariants:
//! - The store is asked to wake this connection for every position its output waits for.
//! - A stored body that can't be read to its end ends the connection: its length was promised.

use super::id::SessionId;
use super::{Job, Load, Settings, Shared, shown};
use crate::accounts::{AccountName, LogIn};
use crate::admission::Visitor;
use crate::hash_pool::Hashing;
use crate::logging::Escaped;
use crate::login_delay::{Turn, Wait};
use crate::sessions::{Protocol, Registered, State};
use crate::signal::{self, Signal};
use crate::store::{Account, Handled, ImapUser, Outcome, StoreError, read_blob};
use imap_proto::{
    Answer, Ask, Blob, Code, Event, Output, Position, Secret, Session, Stage, Ticket,
};
use runtime_smol::{Machine, Peer, Time};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tracing::{debug, error, info, warn};

/// How much of a stored body is held at a time, in bytes.
const STEP: u64 = 64 << 10;

/// After so many milliseconds a log-in that is not looked at is told so.
const TURNED_AWAY: u64 = 1000;
/// Bytes read at once from who has not logged in: with the longest command and the connection itself it is less than
/// 16 KiB.
const GUEST_READ: usize = 2 << 10;

/// One IMAP connection.
pub(super) struct Imap {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    session: Session,
    signal: Arc<Signal>,
    entry: Registered,
    peer: Peer,
    /// `None` where there is no door: whoever may use the control socket.
    visitor: Option<Arc<Visitor>>,
    user: Option<ImapUser>,
    work: Option<Work>,
    /// Positions the output waits for, ascending.
    waits: VecDeque<u64>,
    step: Step,
    /// The time of the last call, for those that don't say.
    now: Time,
}

/// A question whose answer is computed on another thread. Dropped, it is given up if that is possible.
enum Work {
    /// The accounts are read again, then the log-in begins.
    Refresh {
        ticket: Ticket,
        user: Vec<u8>,
        password: Secret,
        job: Job<()>,
    },
    /// Log-ins failed before: this one has to wait, before anything is done for it.
    Delay {
        ticket: Ticket,
        user: Vec<u8>,
        password: Secret,
        wait: Wait,
    },
    /// It is not looked at, as too many are: whoever asks again at once gains nothing by it.
    TurnedAway {
        ticket: Ticket,
        until: Time,
    },
    /// The password is hashed.
    Hash {
        ticket: Ticket,
        user: Vec<u8>,
        job: Hashing<Option<AccountName>>,
    },
    Login {
        ticket: Ticket,
        job: Job<Result<Arc<Account>, StoreError>>,
    },
    Ask {
        ticket: Ticket,
        job: Job<Answer>,
    },
}

/// A stored body on its way out.
enum Step {
    /// None is.
    Idle,
    /// These bytes, from this offset on.
    Bytes(Vec<u8>, usize),
    /// The next bytes are being read on the file pool.
    Reading(Job<io::Result<Vec<u8>>>),
    /// It can't be read.
    Broken,
}

impl Imap {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: &SessionId,
        peer: &Peer,
        now: Time,
        visitor: Arc<Visitor>,
    ) -> Self {
        debug!(peer = shown(peer), tls = peer.tls, "connected");
        let settings = shared.settings();
        let about = to_proto_peer(peer, &settings);
        let session = Session::new(settings.imap.clone(), about, to_proto(now));
        Self::start(shared, settings, session, id, peer, now, Some(visitor))
    }

    /// A session of whoever may use the control socket, in this account.
    pub(super) fn of(
        shared: Arc<Shared>,
        id: &SessionId,
        peer: &Peer,
        now: Time,
        account: Arc<Account>,
    ) -> Self {
        let settings = shared.settings();
        let about = to_proto_peer(peer, &settings);
        let session = Session::preauthenticated(settings.imap.clone(), about, to_proto(now));
        let mut imap = Self::start(shared, settings, session, id, peer, now, None);
        imap.enter(account);
        imap
    }

    fn start(
        shared: Arc<Shared>,
        settings: Arc<Settings>,
        session: Session,
        id: &SessionId,
        peer: &Peer,
        now: Time,
        visitor: Option<Arc<Visitor>>,
    ) -> Self {
        let signal = Arc::default();
        let protocol = if peer.tls { Protocol::Imaps } else { Protocol::Imap };
        let entry = shared.sessions.begin(id.number(), protocol, peer, now, &signal);
        Self {
            shared,
            settings,
            session,
            signal,
            entry,
            peer: peer.clone(),
            visitor,
            user: None,
            work: None,
            waits: VecDeque::new(),
            step: Step::Idle,
            now,
        }
    }

    /// Grants the session's wishes until it has none but to send or to wait. `input` is what was just offered.
    fn serve(&mut self, now: Time, input: &[u8]) {
        loop {
            match self.session.poll_output(to_proto(now)) {
                Output::Ask(ticket, ask) => {
                    if let Some(answer) = self.on_ask(ticket, ask) {
                        self.answer(now, ticket, answer);
                    }
                }
                Output::Body(_, range) => {
                    if let Some(user) = &mut self.user {
                        user.body(input.get(range).unwrap_or_default());
                    }
                }
                Output::Cancel(_) => self.work = None,
                Output::Splice(blob, range) => {
                    self.read_step(&blob, range);
                    return;
                }
                Output::Transmit(_) | Output::Upgrade | Output::Wait { .. } | Output::Close => {
                    self.step = Step::Idle;
                    return;
                }
            }
        }
    }

    /// The answer, unless it comes later or is none.
    fn on_ask(&mut self, ticket: Ticket, ask: Ask) -> Option<Answer> {
        if let Ask::Login { user, password } = ask {
            return self.on_login(ticket, user, password);
        }
        let Some(user) = &mut self.user else {
            error!(question = ?ask, "asked before login");
            return Some(no(Code::ServerBug, "Internal error"));
        };
        if let Ask::Select { mailbox, .. } = &ask {
            self.entry.set_mailbox(Some(mailbox.as_str()));
        } else if matches!(ask, Ask::Unselect) {
            self.entry.set_mailbox(None);
        }
        // Orders: the session goes on without an answer.
        let silent = matches!(ask, Ask::AppendAbort | Ask::Unselect);
        match user.ask(ask) {
            Handled::Now(_) if silent => None,
            Handled::Now(answer) => Some(answer),
            Handled::Work(work) => {
                let job = self.shared.run(work);
                self.begin(Work::Ask { ticket, job });
                None
            }
            Handled::Slices(work) => {
                let job = self.shared.run_slices(work);
                self.begin(Work::Ask { ticket, job });
                None
            }
        }
    }

    /// Has [`Imap::poll_work`] called soon, wherever this is called from: jobs begin when they are polled.
    fn begin(&mut self, work: Work) {
        self.work = Some(work);
        self.signal.raise(signal::ANSWER);
    }

    fn on_login(&mut self, ticket: Ticket, user: Vec<u8>, password: Secret) -> Option<Answer> {
        if self.shared.accounts.is_stale() {
            let job = self.shared.refresh();
            self.begin(Work::Refresh { ticket, user, password, job });
            return None;
        }
        self.take_turn(ticket, user, password)
    }

    /// A log-in that is remembered as right goes on at once; another one may have to wait for those that failed before.
    fn take_turn(&mut self, ticket: Ticket, user: Vec<u8>, password: Secret) -> Option<Answer> {
        let work = match self.shared.accounts.log_in(&user, &password, self.from(), self.now) {
            work @ LogIn::Done(Some(_)) => return self.check_password(ticket, user, work),
            work @ (LogIn::Done(None) | LogIn::Hash(_)) => work,
        };
        match self.shared.delays.turn(&self.peer, &self.spelled(&user), self.now) {
            Turn::Now => self.check_password(ticket, user, work),
            Turn::Later(wait) => {
                debug!(user = %Escaped(&user), ms = wait.until.0.saturating_sub(self.now.0), "the log-in has to wait");
                self.work = Some(Work::Delay { ticket, user, password, wait });
                None
            }
            Turn::Busy => {
                self.turn_away(ticket, &user, "others of its address wait already");
                None
            }
        }
    }

    fn check_password(&mut self, ticket: Ticket, user: Vec<u8>, work: LogIn) -> Option<Answer> {
        let account = self.spelled(&user);
        let (delays, peer, now) = (self.shared.delays.clone(), self.peer.clone(), self.now);
        let settle = move |name: &Option<AccountName>| {
            delays.settle(&peer, &account, name.is_some(), now);
        };
        let work = match work {
            LogIn::Done(name) => {
                settle(&name);
                return self.on_password(ticket, &user, name);
            }
            LogIn::Hash(work) => work,
        };
        // Counted where it is hashed: who doesn't wait for the answer has guessed all the same.
        let work = move || {
            let name = work();
            settle(&name);
            name
        };
        match self.shared.pools.hashes.run(self.from(), work) {
            Ok(job) => {
                self.begin(Work::Hash { ticket, user, job });
                None
            }
            Err(busy) => {
                self.turn_away(ticket, &user, &busy.to_string());
                None
            }
        }
    }

    /// The address that the client comes from.
    fn from(&self) -> Option<IpAddr> {
        self.peer.addr.map(|addr| addr.ip())
    }

    /// The account that is meant, whatever its spelling, or what was sent if there is none.
    fn spelled(&self, user: &[u8]) -> Vec<u8> {
        let name = self.shared.accounts.named(user);
        name.map_or_else(|| user.to_vec(), |name| name.as_str().as_bytes().to_vec())
    }

    fn turn_away(&mut self, ticket: Ticket, user: &[u8], why: &str) {
        self.shared.counters.busy_logins.count();
        info!(peer = shown(&self.peer), user = %Escaped(user), "not checked: {why}");
        let until = Time(self.now.0.saturating_add(TURNED_AWAY));
        self.work = Some(Work::TurnedAway { ticket, until });
    }

    /// It is known whose password that is.
    fn on_password(
        &mut self,
        ticket: Ticket,
        user: &[u8],
        name: Option<AccountName>,
    ) -> Option<Answer> {
        let Some(name) = name else {
            self.shared.counters.wrong_logins.count();
            info!(peer = shown(&self.peer), user = %Escaped(user), "log-in failed");
            return Some(no(Code::AuthenticationFailed, "Wrong user name or password"));
        };
        match self.shared.account(name) {
            Load::Now(account) => Some(self.log_in(Ok(account))),
            Load::Later(job) => {
                self.begin(Work::Login { ticket, job });
                None
            }
        }
    }

    fn log_in(&mut self, account: Result<Arc<Account>, StoreError>) -> Answer {
        let account = match account {
            Ok(account) => account,
            Err(error) => {
                error!(%error, "can't open the account");
                return no(Code::Unavailable, "The mailbox can't be opened now, try again later");
            }
        };
        info!(peer = shown(&self.peer), tls = self.peer.tls, account = account.name(), "logged in");
        if let Some(visitor) = &self.visitor {
            visitor.logged_in();
        }
        self.shared.counters.logins.count();
        self.enter(account);
        Answer::LoggedIn
    }

    fn enter(&mut self, account: Arc<Account>) {
        self.entry.set_account(&account);
        let store = self.shared.store.clone();
        self.user = Some(ImapUser::new(store, account, self.signal.clone()));
    }

    /// Hands an answer on, and waits for what it depends on.
    fn answer(&mut self, now: Time, ticket: Ticket, answer: Answer) {
        if let Answer::Appended { uids, .. } = &answer {
            self.shared.counters.appended.add(uids.len());
        }
        if let Some(user) = &self.user {
            self.session.hold(Position(user.take_position()));
        }
        self.session.handle_answer(to_proto(now), ticket, answer);
        let Some(Position(position)) = self.session.waits_for() else { return };
        if self.waits.back().is_some_and(|&waits| waits >= position) {
            return;
        }
        self.waits.push_back(position);
        self.shared.store.when_durable(position, &self.signal);
    }

    /// The journal went on, or something of it was lost.
    fn on_durable(&mut self, now: Time) {
        let durable = self.shared.store.durable();
        while let Some(&position) = self.waits.front() {
            match self.shared.store.outcome(position) {
                Outcome::Waiting => break,
                Outcome::Durable => {}
                Outcome::Lost => {
                    warn!("a change could not be made durable");
                    let before = Position(durable.min(position.saturating_sub(1)));
                    self.session.handle_durable(to_proto(now), before);
                    self.session.handle_lost(to_proto(now), Position(position));
                }
            }
            self.waits.pop_front();
        }
        // Read after the outcomes: the session must not be told of less than what was found durable.
        self.session.handle_durable(to_proto(now), Position(self.shared.store.durable()));
    }

    /// Looks whether work on another thread is done.
    fn poll_work(&mut self, now: Time, cx: &mut Context<'_>) -> bool {
        let (ticket, answer) = match self.work.take() {
            None => return false,
            Some(Work::Refresh { ticket, user, password, mut job }) => {
                let Poll::Ready(()) = job.as_mut().poll(cx) else {
                    self.work = Some(Work::Refresh { ticket, user, password, job });
                    return false;
                };
                (ticket, self.take_turn(ticket, user, password))
            }
            Some(Work::TurnedAway { ticket, until }) => {
                if now < until {
                    self.work = Some(Work::TurnedAway { ticket, until });
                    return false;
                }
                let text = "Too many log-ins are waiting, try again later";
                (ticket, Some(no(Code::Unavailable, text)))
            }
            Some(Work::Delay { ticket, user, password, wait }) => {
                if now < wait.until {
                    self.work = Some(Work::Delay { ticket, user, password, wait });
                    return false;
                }
                // Asked again: the account may have changed while it waited.
                let work = self.shared.accounts.log_in(&user, &password, self.from(), now);
                (ticket, self.check_password(ticket, user, work))
            }
            Some(Work::Hash { ticket, user, mut job }) => {
                let Poll::Ready(name) = Pin::new(&mut job).poll(cx) else {
                    self.work = Some(Work::Hash { ticket, user, job });
                    return false;
                };
                let answer = match name {
                    Ok(name) => self.on_password(ticket, &user, name),
                    Err(busy) => {
                        self.turn_away(ticket, &user, &busy.to_string());
                        None
                    }
                };
                (ticket, answer)
            }
            Some(Work::Login { ticket, mut job }) => {
                let Poll::Ready(account) = job.as_mut().poll(cx) else {
                    self.work = Some(Work::Login { ticket, job });
                    return false;
                };
                (ticket, Some(self.log_in(account)))
            }
            Some(Work::Ask { ticket, mut job }) => {
                let Poll::Ready(answer) = job.as_mut().poll(cx) else {
                    self.work = Some(Work::Ask { ticket, job });
                    return false;
                };
                (ticket, Some(answer))
            }
        };
        // Without an answer it went on to the next thread.
        let Some(answer) = answer else { return true };
        self.answer(now, ticket, answer);
        true
    }

    /// Tells those who run the server what this is at.
    fn publish(&self) {
        self.entry.set_state(match self.session.stage() {
            Stage::Logout => State::Ending,
            _ if self.work.is_some() => State::Busy,
            Stage::NotAuthenticated => State::Login,
            Stage::Authenticated => State::Authenticated,
            Stage::Selected => State::Selected,
            Stage::Idle => State::Idle,
        });
    }

    /// Reads the next bytes of a body, once those before have been sent: here if memory has them, else on the file
    /// pool.
    fn read_step(&mut self, blob: &Blob, range: Range<u64>) {
        let mut bytes = match std::mem::replace(&mut self.step, Step::Broken) {
            Step::Idle => Vec::new(),
            Step::Bytes(mut bytes, sent) if sent >= bytes.len() => {
                bytes.clear();
                bytes
            }
            unsent @ (Step::Bytes(..) | Step::Reading(_) | Step::Broken) => {
                self.step = unsent;
                return;
            }
        };
        let range = range.start..range.end.min(range.start.saturating_add(STEP));
        match read_blob(blob, range.clone(), false, &mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let blob = blob.clone();
                self.step = Step::Reading(self.shared.run(move || {
                    bytes.clear();
                    read_blob(&blob, range, true, &mut bytes).map(|()| bytes)
                }));
                // As with `begin`: it starts when it is polled.
                self.signal.raise(signal::ANSWER);
            }
            result => self.step = to_step(result.map(|()| bytes)),
        }
    }

    /// Looks whether the next bytes of a body have been read.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> bool {
        let Step::Reading(job) = &mut self.step else { return false };
        let Poll::Ready(read) = job.as_mut().poll(cx) else { return false };
        self.step = to_step(read);
        true
    }
}

/// What was read of a body.
fn to_step(read: io::Result<Vec<u8>>) -> Step {
    match read {
        Ok(bytes) if !bytes.is_empty() => return Step::Bytes(bytes, 0),
        Ok(_) => error!("a stored message is shorter than it was"),
        Err(error) => error!(%error, "can't read a stored message"),
    }
    Step::Broken
}

impl Machine for Imap {
    fn handle_input(&mut self, now: Time, input: &[u8]) -> usize {
        self.now = now;
        let mut rest = input;
        // The session takes no more while it asks. Most answers come at once: what was pipelined is then answered by
        // one write.
        while !rest.is_empty() {
            let taken = self.session.handle_input(to_proto(now), rest);
            self.serve(now, rest);
            let Some(left) = rest.get(taken..).filter(|_| taken > 0) else { break };
            rest = left;
        }
        self.entry.heard(now);
        self.publish();
        input.len() - rest.len()
    }

    fn read_most(&self) -> usize {
        if self.session.is_guest() { GUEST_READ } else { usize::MAX }
    }

    fn handle_eof(&mut self, now: Time) {
        self.session.handle_eof(to_proto(now));
    }

    fn handle_timeout(&mut self, now: Time) {
        self.session.handle_timeout(to_proto(now));
    }

    fn handle_upgraded(&mut self, now: Time, peer: &Peer) {
        self.peer = peer.clone();
        self.entry.set_tls();
        self.session.handle_upgraded(to_proto(now), &to_proto_peer(peer, &self.settings));
    }

    fn handle_shutdown(&mut self, now: Time) {
        self.session.handle_event(to_proto(now), Event::Shutdown);
    }

    fn handle_eviction(&mut self, now: Time) {
        self.session.handle_event(to_proto(now), Event::Evicted);
    }

    fn held(&self) -> usize {
        let step = match &self.step {
            Step::Bytes(bytes, _) => bytes.capacity(),
            Step::Idle | Step::Reading(_) | Step::Broken => 0,
        };
        self.session.held_output() + step
    }

    fn poll_events(&mut self, now: Time, cx: &mut Context<'_>) -> bool {
        self.now = now;
        let raised = self.signal.take(cx.waker());
        if raised & signal::DURABLE != 0 {
            self.on_durable(now);
        }
        if raised & signal::CHANGED != 0 {
            self.session.handle_event(to_proto(now), Event::Changed);
        }
        if raised & signal::KICK != 0 {
            info!("ended by the administrator");
            self.session.handle_event(to_proto(now), Event::Kick);
        }
        if raised & signal::GIVEN_UP != 0 {
            info!("its account is opened anew");
            self.session.handle_event(to_proto(now), Event::Reopened);
        }
        let worked = self.poll_work(now, cx);
        let read = self.poll_step(cx);
        if raised != 0 || worked {
            self.publish();
        }
        raised != 0 || worked || read
    }

    fn poll_output(&mut self, now: Time) -> runtime_smol::Output<'_> {
        self.now = now;
        self.serve(now, &[]);
        match &self.step {
            Step::Bytes(bytes, sent) => {
                return runtime_smol::Output::Transmit(bytes.get(*sent..).unwrap_or_default());
            }
            Step::Reading(_) => {
                let deadline = self.session.next_timeout().map(|time| Time(time.0));
                return runtime_smol::Output::Wait { wants_input: false, deadline };
            }
            Step::Broken => return runtime_smol::Output::Close,
            Step::Idle => {}
        }
        match self.session.poll_output(to_proto(now)) {
            Output::Transmit(bytes) => runtime_smol::Output::Transmit(bytes),
            Output::Upgrade => runtime_smol::Output::Upgrade,
            Output::Wait { wants_input, deadline } => {
                let delay = match &self.work {
                    Some(Work::Delay { wait, .. }) => Some(wait.until),
                    Some(Work::TurnedAway { until, .. }) => Some(*until),
                    _ => None,
                };
                let deadline = deadline.map(|time| Time(time.0)).into_iter().chain(delay).min();
                runtime_smol::Output::Wait { wants_input, deadline }
            }
            Output::Close
            | Output::Ask(..)
            | Output::Cancel(_)
            | Output::Body(..)
            | Output::Splice(..) => runtime_smol::Output::Close,
        }
    }

    fn transmitted(&mut self, n: usize) {
        if let Step::Bytes(_, sent) = &mut self.step {
            *sent += n;
            self.session.spliced(to_proto(self.now), n as u64);
        } else {
            self.session.transmitted(to_proto(self.now), n);
        }
    }
}

impl Drop for Imap {
    fn drop(&mut self) {
        debug!("ended");
    }
}

fn no(code: Code, text: &'static str) -> Answer {
    Answer::No { code: Some(code), text: Cow::Borrowed(text) }
}

fn to_proto(now: Time) -> imap_proto::Time {
    imap_proto::Time(now.0)
}

/// Being on this machine is only told where it counts for something.
fn to_proto_peer(peer: &Peer, settings: &Settings) -> imap_proto::Peer {
    imap_proto::Peer { tls: peer.tls, loopback: peer.loopback && settings.loopback }
}

#[cfg(test)]
mod tests;
