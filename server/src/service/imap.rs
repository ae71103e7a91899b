//! IMAP: the session asks, the logged-in user's view of the store answers.
//!
//! Invariants:
//! - The store is asked to wake this connection for every position its output waits for.
//! - A stored body that can't be read to its end ends the connection: its length was promised.

use super::{Job, Load, Settings, Shared, shown};
use crate::accounts::{AccountName, LogIn};
use crate::hash_pool::{Busy, Hashing};
use crate::logging::Escaped;
use crate::signal::{self, Signal};
use crate::store::{Account, Handled, ImapUser, Outcome, StoreError, read_blob};
use imap_proto::{Answer, Ask, Blob, Code, Event, Output, Position, Secret, Session, Ticket};
use runtime_smol::{Machine, Peer, Time};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tracing::{debug, error, info, warn};

/// How much of a stored body is held at a time, in bytes.
const STEP: u64 = 64 << 10;

/// Bytes read at once from who has not logged in: with the longest command and the connection itself it is less than
/// 16 KiB.
const GUEST_READ: usize = 2 << 10;

/// One IMAP connection.
pub(super) struct Imap {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
    session: Session,
    signal: Arc<Signal>,
    peer: Peer,
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
    pub(super) fn new(shared: Arc<Shared>, peer: &Peer, now: Time) -> Self {
        debug!(peer = shown(peer), tls = peer.tls, "connected");
        let settings = shared.settings();
        let about = to_proto_peer(peer, &settings);
        let session = Session::new(settings.imap.clone(), about, to_proto(now));
        Self {
            shared,
            settings,
            session,
            signal: Arc::default(),
            peer: peer.clone(),
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
        self.check_password(ticket, user, &password)
    }

    fn check_password(
        &mut self,
        ticket: Ticket,
        user: Vec<u8>,
        password: &Secret,
    ) -> Option<Answer> {
        let work = match self.shared.accounts.log_in(&user, password, self.now) {
            LogIn::Done(name) => return self.on_password(ticket, &user, name),
            LogIn::Hash(work) => work,
        };
        match self.shared.pools.hashes.run(self.peer.addr.map(|addr| addr.ip()), work) {
            Ok(job) => {
                self.begin(Work::Hash { ticket, user, job });
                None
            }
            Err(busy) => Some(self.turned_away(&user, busy)),
        }
    }

    fn turned_away(&self, user: &[u8], busy: Busy) -> Answer {
        info!(peer = shown(&self.peer), user = %Escaped(user), "not checked: {busy}");
        no(Code::Unavailable, "Too many log-ins are waiting, try again later")
    }

    /// It is known whose password that is.
    fn on_password(
        &mut self,
        ticket: Ticket,
        user: &[u8],
        name: Option<AccountName>,
    ) -> Option<Answer> {
        let Some(name) = name else {
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
        let store = self.shared.store.clone();
        self.user = Some(ImapUser::new(store, account, self.signal.clone()));
        Answer::LoggedIn
    }

    /// Hands an answer on, and waits for what it depends on.
    fn answer(&mut self, now: Time, ticket: Ticket, answer: Answer) {
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
                (ticket, self.check_password(ticket, user, &password))
            }
            Some(Work::Hash { ticket, user, mut job }) => {
                let Poll::Ready(name) = Pin::new(&mut job).poll(cx) else {
                    self.work = Some(Work::Hash { ticket, user, job });
                    return false;
                };
                let answer = match name {
                    Ok(name) => self.on_password(ticket, &user, name),
                    Err(busy) => Some(self.turned_away(&user, busy)),
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
        self.session.handle_upgraded(to_proto(now), &to_proto_peer(peer, &self.settings));
    }

    fn handle_shutdown(&mut self, now: Time) {
        self.session.handle_event(to_proto(now), Event::Shutdown);
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
        let worked = self.poll_work(now, cx);
        let read = self.poll_step(cx);
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
            Output::Wait { wants_input, deadline } => runtime_smol::Output::Wait {
                wants_input,
                deadline: deadline.map(|time| Time(time.0)),
            },
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
