//! One connection: a machine and the socket it talks through.
//!
//! All that may happen is polled in one place, [`Driver::poll`], until nothing does any more; there is no `await` on a
//! write during which input, answers or deadlines would go unseen.
//!
//! Invariants:
//! - Bytes leave in the order the machine gave them, and none is given up but with the connection.
//! - Input that came before a TLS handshake is never seen after it.
//! - Between two polls an idle connection holds no buffer.

use crate::clock::Time;
use crate::door::Pass;
use crate::hello::secure;
use crate::machine::{Machine, Output, Peer};
use crate::options::{Options, Tls};
use crate::reactor::{GRAIN, Timer};
use crate::runtime::Place;
use crate::socket::Socket;
use crate::stop::StopWatch;
use crate::tls::{Gate, describe};
use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::server::TlsStream;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Rounds in one poll, after which other tasks have their turn. A round moves at most 64 KiB each way.
const ROUNDS: usize = 16;

/// Bytes sent in one call.
const SEND_MAX: usize = 64 * 1024;

/// After the last reply, so much unread input is thrown away, so that it does not cost the peer that reply.
const LINGER_BYTES: usize = 1024 * 1024;

/// And for so long, in milliseconds.
const LINGER_TIME: u64 = 2000;

/// How long a peer whose machine reads little for it may take none of what is sent: no answer that it gets fills a
/// socket's buffer.
const STRANGER_STALL: Duration = Duration::from_secs(1);

thread_local! {
    /// What is read into, and what output is gathered in. They belong to the thread.
    static INPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Serves one connection to its end.
///
/// A task is as large as all that it holds at any time; so what is only needed to begin, or for a handshake, is in
/// futures of their own, which go when they are done.
pub(crate) fn drive<M: Machine>(
    place: Place,
    fd: OwnedFd,
    peer: Peer,
    options: Arc<Options>,
    gate: Gate,
    pass: Arc<dyn Pass>,
    make: impl FnOnce(&Peer) -> M,
) -> impl Future<Output = ()> {
    let begun = Box::pin(begin(place, fd, peer, options, gate, pass, make));
    async move {
        let Some(mut driver) = begun.await else { return };
        loop {
            match poll_fn(|cx| driver.poll(cx)).await {
                End::Broken => return,
                End::Closed => return Box::pin(driver.close()).await,
                End::Upgrade => {}
            }
            driver = match Box::pin(driver.upgrade()).await {
                Some(driver) => driver,
                None => return,
            };
        }
    }
}

/// Does what comes before the machine: with [`Tls::Always`] the handshake.
async fn begin<M: Machine>(
    place: Place,
    fd: OwnedFd,
    mut peer: Peer,
    options: Arc<Options>,
    gate: Gate,
    pass: Arc<dyn Pass>,
    make: impl FnOnce(&Peer) -> M,
) -> Option<Box<Driver<M>>> {
    let socket = match Socket::new(&place.reactor, fd) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::warn!(listener = options.name, %error, "can't serve");
            return None;
        }
    };
    let link = match &options.tls {
        Tls::Always(config) => {
            match secure(&place, socket, config, &options, &gate, &*pass).await {
                Ok(tls) => {
                    describe(&mut peer, &tls);
                    Link::Tls(tls)
                }
                Err(error) => {
                    tracing::debug!(listener = options.name, addr = ?peer.addr, %error, "no TLS");
                    return None;
                }
            }
        }
        Tls::Never | Tls::OnRequest(_) => Link::Plain(socket),
    };
    let machine = make(&peer);
    // What a later handshake needs.
    let upgrade = match (&options.tls, &link) {
        (Tls::OnRequest(_), Link::Plain(_)) => Some(Box::new((peer, gate))),
        _ => None,
    };
    Some(Box::new(Driver::new(place, link, machine, options, pass, upgrade)))
}

/// How a connection speaks.
enum Link {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Link {
    fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }

    /// Reads; an `eager` TLS may read more than it gives, and keep it.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        eager: bool,
    ) -> Poll<io::Result<usize>> {
        let tls = match self {
            Self::Plain(socket) => return socket.poll_recv(cx, buf),
            Self::Tls(tls) => tls,
        };
        tls.get_mut().0.set_eager(eager);
        match Pin::new(tls).poll_read(cx, buf) {
            // Many end without saying so in TLS. A command cut off is not carried out in any case.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(0))
            }
            read @ (Poll::Ready(_) | Poll::Pending) => read,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_send(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    /// Sends what the layers hold.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) if tls.get_ref().1.wants_write() => Pin::new(tls).poll_flush(cx),
            Self::Tls(_) => Poll::Ready(Ok(())),
        }
    }
}

/// Why [`Driver::poll`] is done.
enum End {
    /// The machine wants no more, and all is sent.
    Closed,
    /// The machine wants TLS, and all is sent.
    Upgrade,
    /// There is nobody to talk to.
    Broken,
}

/// [`Output`] without the bytes.
enum Next {
    Wait { wants_input: bool, deadline: Option<Time> },
    Upgrade,
    Close,
}

/// How far sending came.
enum Sent {
    All(Next),
    /// There is more, after others had their turn.
    More,
    /// The peer takes no more for now.
    Blocked,
}

struct Driver<M> {
    link: Link,
    machine: M,
    options: Arc<Options>,
    place: Place,
    pass: Arc<dyn Pass>,
    evicted: bool,
    /// The peer as it is without TLS, and the line for handshakes; until one was done.
    upgrade: Option<Box<(Peer, Gate)>>,
    stop: StopWatch,
    told_to_stop: bool,
    timer: Timer,
    /// Of the last `Wait`; gone once the machine was told.
    deadline: Option<Time>,
    /// When it was told last.
    told_time: Time,
    /// Since when the peer takes nothing.
    stalled: Option<Time>,
    /// Given by the machine, taken by nobody yet.
    unsent: Vec<u8>,
    /// Read, but not used yet.
    rest: Vec<u8>,
    /// The last read filled its room and the machine used all: more may be read at once.
    bulk: bool,
    ended: bool,
    told_of_end: bool,
}

impl<M: Machine> Driver<M> {
    fn new(
        place: Place,
        link: Link,
        machine: M,
        options: Arc<Options>,
        pass: Arc<dyn Pass>,
        upgrade: Option<Box<(Peer, Gate)>>,
    ) -> Self {
        Self {
            link,
            machine,
            options,
            pass,
            evicted: false,
            upgrade,
            stop: place.stop.watch(),
            told_to_stop: false,
            timer: Timer::new(&place.reactor),
            deadline: None,
            told_time: place.reactor.clock().now(),
            place,
            stalled: None,
            unsent: Vec::new(),
            rest: Vec::new(),
            bulk: false,
            ended: false,
            told_of_end: false,
        }
    }

    /// Does the handshake that the machine asked for; `None` ends the connection.
    async fn upgrade(mut self: Box<Self>) -> Option<Box<Self>> {
        let clock = self.place.reactor.clock();
        let upgrade = self.upgrade.take();
        let (Tls::OnRequest(config), Link::Plain(socket), Some(upgrade)) =
            (&self.options.tls, self.link, upgrade)
        else {
            tracing::error!(listener = self.options.name, "TLS was asked for where there is none");
            return None;
        };
        let (mut peer, gate) = *upgrade;
        match secure(&self.place, socket, config, &self.options, &gate, &*self.pass).await {
            Ok(tls) => {
                describe(&mut peer, &tls);
                self.link = Link::Tls(tls);
                self.machine.handle_upgraded(clock.now(), &peer);
                Some(self)
            }
            Err(error) => {
                tracing::debug!(listener = self.options.name, addr = ?peer.addr, %error, "no TLS");
                self.machine.handle_eof(clock.now());
                None
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..ROUNDS {
            let now = self.place.reactor.clock().now();
            let stalled = self.stalled;
            let step = self.round(now, cx);
            self.tell_of_stall(stalled);
            match step {
                Ok(Step::Progress) => {}
                // It was told, and had its one chance to send.
                Ok(Step::Idle) if self.evicted => {
                    self.end_of_input(now);
                    return Poll::Ready(End::Broken);
                }
                Ok(Step::Idle) => return Poll::Pending,
                Ok(Step::Done(end)) => return Poll::Ready(end),
                Err(error) => {
                    tracing::debug!(listener = self.options.name, %error, "connection lost");
                    self.end_of_input(now);
                    return Poll::Ready(End::Broken);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Tells who counts it when the peer stops to take, and when it goes on.
    fn tell_of_stall(&mut self, before: Option<Time>) {
        match self.stalled {
            since if since == before => {}
            Some(since) => self.pass.stalled(since, self.unsent.len() + self.machine.held()),
            None => self.pass.flows(),
        }
    }

    /// Polls everything once.
    fn round(&mut self, now: Time, cx: &mut Context<'_>) -> io::Result<Step> {
        if !self.told_to_stop && self.stop.poll(cx) {
            self.told_to_stop = true;
            self.machine.handle_shutdown(now);
        }
        if !self.evicted && self.pass.poll_evicted(cx) {
            self.evicted = true;
            self.machine.handle_eviction(now);
        }
        let mut progress = self.machine.poll_events(now, cx);
        let wants_input = match self.send(now, cx)? {
            Sent::All(Next::Wait { wants_input, deadline }) => {
                self.stalled = None;
                self.deadline = deadline;
                wants_input
            }
            Sent::All(Next::Close) => return Ok(Step::Done(End::Closed)),
            Sent::All(Next::Upgrade) if self.rest.is_empty() => {
                return Ok(Step::Done(End::Upgrade));
            }
            Sent::All(Next::Upgrade) => {
                tracing::warn!(listener = self.options.name, "input before the TLS handshake");
                self.end_of_input(now);
                return Ok(Step::Done(End::Broken));
            }
            Sent::More => {
                progress = true;
                false
            }
            Sent::Blocked => false,
        };
        progress |= self.receive(now, cx, wants_input)?;
        if progress {
            return Ok(Step::Progress);
        }
        self.check_time(now, cx)
    }

    fn check_time(&mut self, now: Time, cx: &mut Context<'_>) -> io::Result<Step> {
        let stranger = self.machine.read_most() < usize::MAX;
        let patience = if stranger { STRANGER_STALL } else { self.options.stall };
        let stall = self.stalled.map(|since| since.after(patience.min(self.options.stall)));
        if stall.is_some_and(|at| at <= now) {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing"));
        }
        // A machine that wants to be told again at once is told after a while: it must not hold up the others.
        let due = self.deadline.map(|at| at.max(Time(self.told_time.0.saturating_add(GRAIN))));
        let Some(next) = due.into_iter().chain(stall).min() else {
            return Ok(Step::Idle);
        };
        if self.timer.poll(cx, now, next).is_pending() {
            return Ok(Step::Idle);
        }
        self.deadline = None;
        self.told_time = now;
        self.machine.handle_timeout(now);
        Ok(Step::Progress)
    }

    fn end_of_input(&mut self, now: Time) {
        if !std::mem::replace(&mut self.told_of_end, true) {
            self.machine.handle_eof(now);
        }
    }

    // --- output

    /// Sends what one call takes.
    fn send(&mut self, now: Time, cx: &mut Context<'_>) -> io::Result<Sent> {
        if !self.flush(now, cx)? {
            return Ok(Sent::Blocked);
        }
        let next = OUTPUT.with_borrow_mut(|gathered| {
            gathered.clear();
            let next = self.gather(now, cx, gathered)?;
            if !gathered.is_empty() {
                let n = self.write(now, cx, gathered)?;
                self.unsent.extend_from_slice(gathered.get(n..).unwrap_or_default());
            }
            io::Result::Ok(next)
        })?;
        Ok(match (self.flush(now, cx)?, next) {
            (true, Some(next)) => Sent::All(next),
            (true, None) => Sent::More,
            (false, _) => Sent::Blocked,
        })
    }

    /// Takes output from the machine as long as it fits; a large piece that comes first is sent as it lies. `None` if
    /// there is more.
    fn gather(
        &mut self,
        now: Time,
        cx: &mut Context<'_>,
        gathered: &mut Vec<u8>,
    ) -> io::Result<Option<Next>> {
        loop {
            match self.machine.poll_output(now) {
                Output::Wait { wants_input, deadline } => {
                    return Ok(Some(Next::Wait { wants_input, deadline }));
                }
                Output::Upgrade => return Ok(Some(Next::Upgrade)),
                Output::Close => return Ok(Some(Next::Close)),
                Output::Transmit([]) => {
                    let what = "a machine has nothing to transmit and does not say so";
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
                }
                Output::Transmit(bytes) if gathered.len() + bytes.len() <= self.options.gather => {
                    gathered.extend_from_slice(bytes);
                    let n = bytes.len();
                    self.machine.transmitted(n);
                }
                Output::Transmit(_) if !gathered.is_empty() => return Ok(None),
                Output::Transmit(bytes) => {
                    let bytes = bytes.get(..SEND_MAX).unwrap_or(bytes);
                    let mut n = match self.link.poll_write(cx, bytes)? {
                        Poll::Ready(n) => n,
                        Poll::Pending => 0,
                    };
                    note_progress(&mut self.stalled, now, n);
                    if n == 0 {
                        // Something must be held for `flush` to wait on: a piece of it.
                        n = bytes.len().min(self.options.gather);
                        self.unsent.extend_from_slice(bytes.get(..n).unwrap_or_default());
                    }
                    self.machine.transmitted(n);
                    return Ok(None);
                }
            }
        }
    }

    /// Whether nothing is held any more.
    fn flush(&mut self, now: Time, cx: &mut Context<'_>) -> io::Result<bool> {
        while !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let n = self.write(now, cx, &unsent)?;
            self.unsent = unsent;
            self.unsent.drain(..n);
            if n == 0 {
                return Ok(false);
            }
        }
        self.unsent = Vec::new();
        match self.link.poll_flush(cx)? {
            Poll::Ready(()) => Ok(true),
            Poll::Pending => {
                note_progress(&mut self.stalled, now, 0);
                Ok(false)
            }
        }
    }

    /// Writes what is taken at once; 0 if nothing is.
    fn write(&mut self, now: Time, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<usize> {
        let n = match self.link.poll_write(cx, bytes)? {
            Poll::Ready(n) => n,
            Poll::Pending => 0,
        };
        note_progress(&mut self.stalled, now, n);
        Ok(n)
    }

    // --- input

    /// Reads and offers input. True if something happened.
    fn receive(&mut self, now: Time, cx: &mut Context<'_>, wants: bool) -> io::Result<bool> {
        if wants && !self.rest.is_empty() {
            let n = self.machine.handle_input(now, &self.rest);
            self.rest.drain(..n.min(self.rest.len()));
            if self.rest.is_empty() {
                self.rest = Vec::new();
            }
            if n > 0 {
                return Ok(true);
            }
        }
        if self.ended && self.rest.is_empty() && !self.told_of_end {
            self.end_of_input(now);
            return Ok(true);
        }
        if self.ended || self.rest.len() >= self.options.read_ahead.min(self.machine.read_most()) {
            // Nothing to read, but a connection that breaks is still to be seen.
            return match self.link.socket().poll_broken(cx) {
                Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
                Poll::Pending => Ok(false),
            };
        }
        self.read(now, cx, wants)
    }

    fn read(&mut self, now: Time, cx: &mut Context<'_>, wants: bool) -> io::Result<bool> {
        INPUT.with_borrow_mut(|buffer| {
            let size = self.options.read_max.max(self.options.read_ahead);
            buffer.resize(buffer.len().max(size), 0);
            let most = self.machine.read_most();
            let ahead = self.options.read_ahead.min(most).saturating_sub(self.rest.len());
            let room = if self.bulk && wants { self.options.read_max.min(most) } else { ahead };
            let room = buffer.get_mut(..room).unwrap_or_default();
            let n = match self.link.poll_read(cx, room, most == usize::MAX)? {
                Poll::Ready(0) => {
                    self.ended = true;
                    return Ok(true);
                }
                Poll::Ready(n) => n,
                Poll::Pending => return Ok(false),
            };
            let full = n == room.len();
            let input = room.get(..n).unwrap_or_default();
            let used = match wants && self.rest.is_empty() {
                true => self.machine.handle_input(now, input).min(n),
                false => 0,
            };
            self.bulk = full && used == n;
            self.rest.extend_from_slice(input.get(used..).unwrap_or_default());
            Ok(true)
        })
    }

    // --- the end

    /// Ends the connection so that the peer gets the last reply.
    async fn close(mut self: Box<Self>) {
        let clock = self.place.reactor.clock();
        let deadline = Time(clock.now().0.saturating_add(LINGER_TIME));
        if let Link::Tls(tls) = &mut self.link {
            // The end of TLS is the end of the connection; what the peer still has to say is not waited for.
            tls.get_mut().1.send_close_notify();
            poll_fn(|cx| match Pin::new(&mut *tls).poll_flush(cx) {
                Poll::Pending if self.evicted => Poll::Ready(()),
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => self.timer.poll(cx, clock.now(), deadline),
            })
            .await;
        }
        let socket = self.link.socket();
        if self.ended || self.evicted || (self.rest.is_empty() && !socket.may_be_readable()) {
            return;
        }
        // To close a socket with unread input resets the connection, and the peer may lose what it was sent.
        socket.shut_down_write();
        let mut left = LINGER_BYTES;
        let timer = &mut self.timer;
        poll_fn(|cx| {
            INPUT.with_borrow_mut(|buffer| {
                buffer.resize(buffer.len().max(self.options.read_ahead), 0);
                loop {
                    match socket.poll_recv(cx, buffer) {
                        Poll::Ready(Ok(n)) if n > 0 && n <= left => left -= n,
                        Poll::Ready(_) => return Poll::Ready(()),
                        Poll::Pending => return timer.poll(cx, clock.now(), deadline),
                    }
                }
            })
        })
        .await;
    }
}

/// What a round came to.
enum Step {
    /// Something happened: another round.
    Progress,
    /// All wakers are set.
    Idle,
    Done(End),
}

/// Remembers since when nothing is taken.
fn note_progress(stalled: &mut Option<Time>, now: Time, n: usize) {
    *stalled = if n > 0 { None } else { stalled.or(Some(now)) };
}
