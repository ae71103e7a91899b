//! LMTP: the session asks for recipients and places for text, the store has them.
//!
//! Invariants:
//! - Every message whose text has all come gets one log line for each recipient, which says what became of it.
//! - The sessions of a store hold a [`Preparing`] from their first recipient on, so that messages which come at the
//!   same time become durable together.

use super::header_scan::HeaderScan;
use super::id::{DeliveryId, SessionId};
use super::{Job, Load, Shared, shown, trace};
use crate::admission::Visitor;
use crate::counters::Counters;
use crate::logging::Escaped;
use crate::sessions::{Protocol, Registered, State};
use crate::signal::{self, Signal};
use crate::store::{
    Account, Delivered, Delivery, Outcome as Durability, Preparing, StoreError, Target,
};
use lmtp_proto::{
    Answer, Ask, Code, Envelope, Event, Outcome, Output, Path, Position, RecipientId, Refusal,
    Session, Ticket,
};
use runtime_smol::{Machine, Peer, Time};
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use tracing::{debug, info, warn};

/// Where mail goes.
const MAILBOX: &str = "INBOX";

/// The greeting of a peer that may not deliver here (RFC 5321 §3.1, RFC 7504 §3).
const NOT_WELCOME: &[u8] = b"554 5.7.1 Your address may not deliver here\r\n";

/// One LMTP connection.
pub(super) struct Lmtp {
    shared: Arc<Shared>,
    session: Session,
    signal: Arc<Signal>,
    entry: Registered,
    id: SessionId,
    peer: Peer,
    visitor: Arc<Visitor>,
    deliveries: u64,
    /// Those of the transaction, by [`RecipientId`].
    recipients: Vec<Option<Recipient>>,
    preparing: Option<Preparing>,
    text: Option<Text>,
    work: Option<Work>,
    /// Committed, not yet durable; ascending by position.
    unsettled: VecDeque<Report>,
    /// What is left to say to a peer that may not deliver here.
    turned_away: Option<&'static [u8]>,
}

/// Someone whom mail is taken for.
#[derive(Clone)]
struct Recipient {
    /// As RCPT named it.
    address: Box<str>,
    account: Arc<Account>,
}

/// A message whose text is coming.
struct Text {
    delivery: Delivery,
    scan: HeaderScan,
    /// Why it will not be delivered, once that is known.
    failed: Option<StoreError>,
    report: Report,
}

/// A question whose answer is computed on the file pool.
enum Work {
    /// The accounts are read again, then the recipient is looked up.
    Refresh {
        ticket: Ticket,
        id: RecipientId,
        path: Path,
        job: Job<()>,
    },
    Load {
        ticket: Ticket,
        id: RecipientId,
        address: Box<str>,
        job: Job<Result<Arc<Account>, StoreError>>,
    },
    Commit {
        ticket: Ticket,
        report: Report,
        job: Job<Delivered>,
    },
}

/// What the log will say of a message.
struct Report {
    id: DeliveryId,
    begun: Time,
    size: u64,
    message_id: Vec<u8>,
    position: u64,
    recipients: Vec<(Recipient, Result<u32, StoreError>)>,
}

impl Lmtp {
    pub(super) fn new(
        shared: Arc<Shared>,
        id: SessionId,
        peer: &Peer,
        now: Time,
        visitor: Arc<Visitor>,
        welcome: bool,
    ) -> Self {
        debug!(peer = shown(peer), "connected");
        if !welcome {
            warn!(peer = shown(peer), "turned away: it is in none of trusted_networks");
        }
        let config = shared.settings().lmtp.clone();
        let session = Session::new(config, lmtp_proto::Peer { tls: peer.tls }, to_proto(now));
        let signal = Arc::default();
        let entry = shared.sessions.begin(id.number(), Protocol::Lmtp, peer, now, &signal);
        Self {
            shared,
            session,
            signal,
            entry,
            id,
            peer: peer.clone(),
            visitor,
            deliveries: 0,
            recipients: Vec::new(),
            preparing: None,
            text: None,
            work: None,
            unsettled: VecDeque::new(),
            turned_away: (!welcome).then_some(NOT_WELCOME),
        }
    }

    /// Grants the session's wishes until it has none but to send or to wait. `input` is what was just offered.
    fn serve(&mut self, now: Time, input: &[u8]) {
        loop {
            match self.session.poll_output(to_proto(now)) {
                Output::Ask(ticket, ask) => {
                    if let Some(answer) = self.on_ask(now, ticket, ask) {
                        self.session.handle_answer(to_proto(now), ticket, answer);
                    }
                }
                Output::Body(_, range) => self.on_text(input.get(range).unwrap_or_default()),
                Output::BodyHeld(_, bytes) => self.on_text(bytes),
                // What is under way is finished all the same: a delivery may be half in the journal.
                Output::Cancel(_) => {}
                Output::Transmit(_) | Output::Upgrade | Output::Wait { .. } | Output::Close => {
                    return;
                }
            }
        }
    }

    /// The answer, unless it comes later.
    fn on_ask(&mut self, now: Time, ticket: Ticket, ask: Ask) -> Option<Answer> {
        match ask {
            Ask::Recipient { id, path, .. } => self.on_recipient(ticket, id, &path),
            Ask::BodyOpen(envelope) => Some(match self.on_open(now, &envelope) {
                Ok(()) => Answer::Proceed,
                Err(error) => {
                    self.preparing = None;
                    self.shared.counters.messages_refused.count();
                    warn!(%error, "refused a message");
                    Answer::Refused(refusal(&error))
                }
            }),
            Ask::BodyDone => self.on_done(now, ticket),
            Ask::BodyAbort => {
                self.text = None;
                self.preparing = None;
                None
            }
            other => {
                warn!(question = ?other, "unknown question");
                Some(Answer::Refused(Refusal::TROUBLE))
            }
        }
    }

    fn on_recipient(&mut self, ticket: Ticket, id: RecipientId, path: &Path) -> Option<Answer> {
        if id.index() == 0 {
            self.recipients.clear();
        }
        if self.shared.accounts.is_stale() {
            let (path, job) = (path.clone(), self.shared.refresh());
            self.begin(Work::Refresh { ticket, id, path, job });
            return None;
        }
        self.look_up(ticket, id, path)
    }

    fn look_up(&mut self, ticket: Ticket, id: RecipientId, path: &Path) -> Option<Answer> {
        let Some(name) = self.shared.accounts.recipient(path.local(), path.domain()) else {
            self.shared.counters.unknown_recipients.count();
            info!(recipient = %Escaped(path.text().as_bytes()), "no such mailbox");
            return Some(Answer::Refused(Refusal::NO_SUCH_MAILBOX));
        };
        let address: Box<str> = path.text().into();
        match self.shared.account(name) {
            Load::Now(account) => Some(self.on_account(id, address, Ok(account))),
            Load::Later(job) => {
                self.begin(Work::Load { ticket, id, address, job });
                None
            }
        }
    }

    fn on_account(
        &mut self,
        id: RecipientId,
        address: Box<str>,
        account: Result<Arc<Account>, StoreError>,
    ) -> Answer {
        match account {
            Ok(account) => {
                self.accept(id, address, account);
                Answer::Accepted
            }
            Err(error) => {
                warn!(recipient = %Escaped(address.as_bytes()), %error, "can't open the account");
                Answer::Refused(refusal(&error))
            }
        }
    }

    /// Has [`Lmtp::poll_work`] called soon, wherever this is called from: jobs begin when they are polled.
    fn begin(&mut self, work: Work) {
        self.work = Some(work);
        self.signal.raise(signal::ANSWER);
    }

    fn accept(&mut self, id: RecipientId, address: Box<str>, account: Arc<Account>) {
        if self.recipients.len() <= id.index() {
            self.recipients.resize(id.index() + 1, None);
        }
        if let Some(slot) = self.recipients.get_mut(id.index()) {
            *slot = Some(Recipient { address, account });
        }
        self.visitor.logged_in();
        if self.preparing.is_none() {
            self.preparing = Some(self.shared.store.preparing());
        }
    }

    fn on_open(&mut self, now: Time, envelope: &Envelope) -> Result<(), StoreError> {
        if self.shared.store.free_space_low() {
            return Err(StoreError::Full { path: self.shared.store.root().to_owned() });
        }
        self.deliveries += 1;
        let id = self.id.delivery(self.deliveries);
        let of_all = trace::Delivery {
            sender: envelope.sender.as_ref().map_or("", Path::text),
            trace: &envelope.trace,
            peer: self.peer.addr.map(|addr| addr.ip()),
            hostname: &self.shared.hostname,
            id: &id,
            now: self.shared.clock.wall(),
        };
        let named =
            envelope.recipients.iter().map(|id| self.recipients.get(id.index()).cloned().flatten());
        let named: Option<Vec<Recipient>> = named.collect();
        let named = named.expect("the envelope names those that were accepted");
        let target = |to: &Recipient| Target {
            account: to.account.clone(),
            mailbox: MAILBOX.to_owned(),
            prefix: of_all.lines(&to.address),
        };
        let delivery = self.shared.store.deliver(named.iter().map(target).collect())?;
        let report = Report {
            id,
            begun: now,
            size: 0,
            message_id: Vec::new(),
            position: 0,
            recipients: named.into_iter().map(|to| (to, Err(StoreError::Lost))).collect(),
        };
        self.text = Some(Text { delivery, scan: HeaderScan::default(), failed: None, report });
        Ok(())
    }

    fn on_text(&mut self, bytes: &[u8]) {
        let Some(text) = &mut self.text else { return };
        text.scan.feed(bytes);
        text.report.size += bytes.len() as u64;
        if text.failed.is_none() {
            text.failed = text.delivery.write(bytes).err();
        }
    }

    fn on_done(&mut self, now: Time, ticket: Ticket) -> Option<Answer> {
        let Some(Text { delivery, scan, failed, mut report }) = self.text.take() else {
            return Some(Answer::Refused(Refusal::TROUBLE));
        };
        report.message_id = scan.message_id().to_vec();
        if scan.is_looping() {
            self.preparing = None;
            report.settle(&self.shared.counters, now, Some("looping"));
            return Some(Answer::Refused(Refusal::LOOP));
        }
        if let Some(error) = failed {
            self.preparing = None;
            report.fail(&error);
            report.settle(&self.shared.counters, now, None);
            return Some(Answer::Refused(refusal(&error)));
        }
        if delivery.is_large() {
            // Writes and syncs a file of its own.
            let job = self.shared.run(move || delivery.commit());
            self.begin(Work::Commit { ticket, report, job });
            return None;
        }
        let delivered = delivery.commit();
        Some(self.on_committed(now, report, delivered))
    }

    fn on_committed(&mut self, now: Time, mut report: Report, delivered: Delivered) -> Answer {
        self.preparing = None;
        report.position = delivered.position;
        let mut outcomes = Vec::with_capacity(delivered.results.len());
        for (slot, result) in report.recipients.iter_mut().zip(delivered.results) {
            outcomes.push(match &result {
                Ok(_) => Outcome::Stored,
                Err(error) => Outcome::Refused(refusal(error)),
            });
            slot.1 = result.map(|saved| saved.uid);
        }
        let id = Some(report.id.to_string().into());
        if report.position == 0 {
            report.settle(&self.shared.counters, now, None);
        } else {
            // Also when it is durable already: the session has to be told, once it knows what it waits for.
            self.shared.store.when_durable(report.position, &self.signal);
            self.unsettled.push_back(report);
        }
        Answer::Delivered { outcomes, position: Position(delivered.position), id }
    }

    /// The journal went on, or something of it was lost.
    fn on_durable(&mut self, now: Time) {
        let durable = self.shared.store.durable();
        while let Some(mut report) = self.unsettled.pop_front() {
            match self.shared.store.outcome(report.position) {
                Durability::Waiting => {
                    self.unsettled.push_front(report);
                    break;
                }
                Durability::Durable => {}
                Durability::Lost => {
                    // The replies from here on become 451: who sent the mail will send it again.
                    let before = Position(report.position.saturating_sub(1));
                    self.session.handle_durable(to_proto(now), before.min(Position(durable)));
                    self.session.handle_lost(to_proto(now), before);
                    report.fail(&StoreError::Lost);
                }
            }
            report.settle(&self.shared.counters, now, None);
        }
        // Read after the outcomes: the session must not be told of less than what was found durable.
        self.session.handle_durable(to_proto(now), Position(self.shared.store.durable()));
    }

    /// Tells those who run the server what this is at.
    fn publish(&self) {
        self.entry.set_state(if self.work.is_some() {
            State::Busy
        } else if self.text.is_some() {
            State::Text
        } else if self.preparing.is_some() {
            State::Envelope
        } else {
            State::Ready
        });
    }

    /// Looks whether work on the file pool is done.
    fn poll_work(&mut self, now: Time, cx: &mut Context<'_>) -> bool {
        match self.work.take() {
            None => false,
            Some(Work::Refresh { ticket, id, path, mut job }) => {
                let Poll::Ready(()) = job.as_mut().poll(cx) else {
                    self.work = Some(Work::Refresh { ticket, id, path, job });
                    return false;
                };
                if let Some(answer) = self.look_up(ticket, id, &path) {
                    self.session.handle_answer(to_proto(now), ticket, answer);
                }
                true
            }
            Some(Work::Load { ticket, id, address, mut job }) => {
                let Poll::Ready(account) = job.as_mut().poll(cx) else {
                    self.work = Some(Work::Load { ticket, id, address, job });
                    return false;
                };
                let answer = self.on_account(id, address, account);
                self.session.handle_answer(to_proto(now), ticket, answer);
                true
            }
            Some(Work::Commit { ticket, report, mut job }) => {
                let Poll::Ready(delivered) = job.as_mut().poll(cx) else {
                    self.work = Some(Work::Commit { ticket, report, job });
                    return false;
                };
                let answer = self.on_committed(now, report, delivered);
                self.session.handle_answer(to_proto(now), ticket, answer);
                true
            }
        }
    }
}

impl Machine for Lmtp {
    fn handle_input(&mut self, now: Time, input: &[u8]) -> usize {
        if self.turned_away.is_some() {
            return input.len();
        }
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

    fn handle_eof(&mut self, now: Time) {
        self.session.handle_eof(to_proto(now));
    }

    fn handle_timeout(&mut self, now: Time) {
        self.session.handle_timeout(to_proto(now));
    }

    fn handle_upgraded(&mut self, now: Time, peer: &Peer) {
        self.peer = peer.clone();
        self.entry.set_tls();
        self.session.handle_upgraded(to_proto(now), &lmtp_proto::Peer { tls: peer.tls });
    }

    fn handle_shutdown(&mut self, now: Time) {
        self.session.handle_event(to_proto(now), Event::Shutdown);
    }

    fn handle_eviction(&mut self, now: Time) {
        self.session.handle_event(to_proto(now), Event::Evicted);
    }

    fn held(&self) -> usize {
        self.session.held()
    }

    fn poll_events(&mut self, now: Time, cx: &mut Context<'_>) -> bool {
        let raised = self.signal.take(cx.waker());
        if raised & signal::DURABLE != 0 {
            self.on_durable(now);
        }
        if raised & signal::KICK != 0 {
            info!("ended by the administrator");
            self.session.handle_event(to_proto(now), Event::Kick);
        }
        let worked = self.poll_work(now, cx);
        if raised != 0 || worked {
            self.publish();
        }
        raised != 0 || worked
    }

    fn poll_output(&mut self, now: Time) -> runtime_smol::Output<'_> {
        match self.turned_away {
            Some([]) => return runtime_smol::Output::Close,
            Some(rest) => return runtime_smol::Output::Transmit(rest),
            None => self.serve(now, &[]),
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
            | Output::BodyHeld(..) => runtime_smol::Output::Close,
        }
    }

    fn transmitted(&mut self, n: usize) {
        match &mut self.turned_away {
            Some(rest) => *rest = rest.get(n..).unwrap_or_default(),
            None => self.session.transmitted(n),
        }
    }
}

impl Drop for Lmtp {
    fn drop(&mut self) {
        for report in self.unsettled.drain(..) {
            let result = Some("saved, the connection ended before it was durable");
            report.settle(&self.shared.counters, report.begun, result);
        }
        debug!(deliveries = self.deliveries, "ended");
    }
}

impl Report {
    /// Nobody got it.
    fn fail(&mut self, error: &StoreError) {
        for (_, result) in &mut self.recipients {
            *result = Err(error.clone());
        }
    }

    /// Counts it, and writes the log lines. `instead` stands for the result of each recipient.
    fn settle(&self, counters: &Counters, now: Time, instead: Option<&str>) {
        let stored =
            self.recipients.iter().filter(|(_, result)| instead.is_none() && result.is_ok());
        let stored = stored.count() as u64;
        counters.deliveries.add(stored);
        counters.deliveries_failed.add(self.recipients.len() as u64 - stored);
        (if stored > 0 { &counters.messages } else { &counters.messages_refused }).count();
        let Self { id, size, .. } = self;
        let message_id = Escaped(&self.message_id);
        let ms = now.0.saturating_sub(self.begun.0);
        for (to, result) in &self.recipients {
            let (recipient, account) = (Escaped(to.address.as_bytes()), to.account.name());
            match (instead, result) {
                (Some(result), _) => {
                    warn!(delivery = %id, %message_id, %recipient, account, size, result, ms, "delivery");
                }
                (None, Ok(uid)) => {
                    info!(delivery = %id, %message_id, %recipient, account, size, result = "stored", uid, ms, "delivery");
                }
                (None, Err(error)) => {
                    warn!(delivery = %id, %message_id, %recipient, account, size, result = "failed", %error, ms, "delivery");
                }
            }
        }
    }
}

/// What the client is told of a failure.
fn refusal(error: &StoreError) -> Refusal {
    if matches!(error, StoreError::Full { .. }) {
        Refusal::STORAGE_FULL
    } else if matches!(error, StoreError::TooLarge { .. }) {
        Refusal::TOO_LARGE
    } else if matches!(error, StoreError::Stopping) {
        Refusal::new(Code::Trouble, (3, 2), "Stopping, try again later")
    } else {
        Refusal::TROUBLE
    }
}

fn to_proto(now: Time) -> lmtp_proto::Time {
    lmtp_proto::Time(now.0)
}
