//! Readiness and time for one thread: an epoll instance with its timers.
//!
//! Sockets are registered once, edge-triggered; a turn of request and reply then costs `epoll_wait`, `recv`, `send` and
//! nothing else. (`async-io` registers again for each event and arms a timerfd for each wait: eight calls a turn.)
//!
//! Invariants:
//! - A flag of a [`Source`] is cleared only when a call said "would block" or was short, and no event came since that
//!   call began; so no edge is lost.
//! - The thread never sleeps after [`Bell::wake_by_ref`] until it has polled its tasks again.

use crate::clock::{Clock, Time};
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Events taken from the kernel at once.
const EVENTS: usize = 256;

/// The token of the bell.
const BELL: u64 = u64::MAX;

/// Readiness and timers of one thread.
pub(crate) struct Reactor {
    epoll: OwnedFd,
    bell: Arc<Bell>,
    sources: Mutex<Sources>,
    timers: Mutex<Timers>,
    clock: Clock,
}

#[derive(Default)]
struct Sources {
    next: u64,
    by_token: BTreeMap<u64, Arc<Source>>,
}

#[derive(Default)]
struct Timers {
    next: u64,
    by_time: BTreeMap<(Time, u64), Waker>,
}

/// Wakes the thread, if it sleeps.
pub(crate) struct Bell {
    fd: OwnedFd,
    rung: AtomicBool,
    sleeping: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    #[allow(clippy::host_endian_bytes, reason = "eventfd(2) counts in the host's order")]
    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::SeqCst);
        if self.sleeping.swap(false, Ordering::SeqCst) {
            // Edge-triggered: each write is an event, and nobody needs to read. The counter can't overflow.
            let _ = rustix::io::write(&self.fd, &1u64.to_ne_bytes());
        }
    }
}

impl Reactor {
    pub(crate) fn new(clock: Clock) -> io::Result<Arc<Self>> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &fd, epoll::EventData::new_u64(BELL), flags)?;
        let bell = Bell { fd, rung: AtomicBool::new(false), sleeping: AtomicBool::new(false) };
        Ok(Arc::new(Self {
            epoll,
            bell: Arc::new(bell),
            sources: Mutex::default(),
            timers: Mutex::default(),
            clock,
        }))
    }

    /// What a waker of this thread's executor is.
    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Takes back the ring: what was woken before is about to be polled.
    pub(crate) fn answer_bell(&self) {
        self.bell.rung.store(false, Ordering::SeqCst);
    }

    /// Waits for events, for the first timer or for the bell, and wakes the tasks concerned. Does not wait if the bell
    /// rang since it was answered.
    pub(crate) fn wait(&self, events: &mut Vec<epoll::Event>) {
        // First: a timer that another thread arms is seen here, or its thread sees that this one sleeps.
        self.bell.sleeping.store(true, Ordering::SeqCst);
        let timeout = self.timeout();
        let rung = self.bell.rung.load(Ordering::SeqCst);
        let timeout = if rung { Some(Timespec::default()) } else { timeout };
        events.clear();
        events.reserve(EVENTS);
        let waited =
            epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), timeout.as_ref());
        self.bell.sleeping.store(false, Ordering::SeqCst);
        match waited {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => tracing::error!(%error, "epoll_wait failed"),
        }
        self.dispatch(events);
        self.fire();
    }

    fn timeout(&self) -> Option<Timespec> {
        let (first, _) = *lock(&self.timers).by_time.keys().next()?;
        let millis = first.0.saturating_sub(self.clock.now().0).min(60_000);
        let (tv_sec, millis) = (millis / 1000, millis % 1000);
        Some(Timespec {
            tv_sec: i64::try_from(tv_sec).unwrap_or(0),
            tv_nsec: i64::try_from(millis * 1_000_000).unwrap_or(0),
        })
    }

    fn dispatch(&self, events: &[epoll::Event]) {
        for event in events {
            let (token, flags) = (event.data.u64(), event.flags);
            let source = lock(&self.sources).by_token.get(&token).cloned();
            if let Some(source) = source {
                source.on_event(flags);
            }
        }
    }

    /// Wakes those whose time has come.
    fn fire(&self) {
        let mut timers = lock(&self.timers);
        if timers.by_time.is_empty() {
            return;
        }
        let now = self.clock.now();
        let mut due = Vec::new();
        while let Some(first) = timers.by_time.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        drop(timers);
        due.into_iter().for_each(Waker::wake);
    }
}

/// What is known of one descriptor's readiness.
pub(crate) struct Source {
    state: Mutex<State>,
    /// Events so far; see the invariant above.
    events: AtomicU64,
}

#[derive(Default)]
struct State {
    readable: bool,
    writable: bool,
    /// The peer sends no more: what is read next may be short and yet not the last.
    hung_up: bool,
    broken: bool,
    /// Whether the kernel was asked to tell when it can be written to.
    watches_writable: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Source {
    fn on_event(&self, flags: epoll::EventFlags) {
        use epoll::EventFlags as E;
        let mut state = lock(&self.state);
        self.events.fetch_add(1, Ordering::SeqCst);
        // A hang-up of both directions is no error yet: what came before it can be read.
        state.broken |= flags.intersects(E::ERR);
        state.hung_up |= flags.intersects(E::RDHUP | E::HUP | E::ERR);
        let (mut reader, mut writer) = (None, None);
        if flags.intersects(E::IN | E::RDHUP | E::HUP | E::ERR) {
            state.readable = true;
            reader = state.reader.take();
        }
        if flags.intersects(E::OUT | E::HUP | E::ERR) {
            state.writable = true;
            writer = state.writer.take();
        }
        drop(state);
        reader.into_iter().chain(writer).for_each(Waker::wake);
    }
}

/// A descriptor at a reactor. Non-blocking mode is the caller's duty.
pub(crate) struct Registered {
    fd: OwnedFd,
    token: u64,
    source: Arc<Source>,
    reactor: Arc<Reactor>,
}

impl Registered {
    pub(crate) fn new(reactor: &Arc<Reactor>, fd: OwnedFd) -> io::Result<Self> {
        use epoll::EventFlags as E;
        let state = State { writable: true, ..State::default() };
        let source = Arc::new(Source { state: Mutex::new(state), events: AtomicU64::new(0) });
        let token = {
            let mut sources = lock(&reactor.sources);
            let token = sources.next;
            sources.next += 1;
            sources.by_token.insert(token, Arc::clone(&source));
            token
        };
        let registered = Self { fd, token, source, reactor: Arc::clone(reactor) };
        let data = epoll::EventData::new_u64(token);
        epoll::add(&reactor.epoll, &registered.fd, data, E::IN | E::RDHUP | E::ET)?;
        Ok(registered)
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(crate) fn reactor(&self) -> &Arc<Reactor> {
        &self.reactor
    }

    /// Ready once the kernel says that the connection is of no more use. Shares its waker with reading.
    pub(crate) fn poll_broken(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = lock(&self.source.state);
        if state.broken {
            return Poll::Ready(());
        }
        register(&mut state.reader, cx);
        Poll::Pending
    }

    /// Whether a read would not be known to wait.
    pub(crate) fn may_be_readable(&self) -> bool {
        lock(&self.source.state).readable
    }

    /// Reads by `call`, which is told "would block" by the kernel at most once. `full` says whether a result leaves
    /// open if there is more; the others prove that there is not, short of a new event.
    pub(crate) fn poll_read<T>(
        &self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&OwnedFd) -> rustix::io::Result<T>,
        full: impl Fn(&T) -> bool,
    ) -> Poll<io::Result<T>> {
        loop {
            let seen = {
                let mut state = lock(&self.source.state);
                if !state.readable {
                    register(&mut state.reader, cx);
                    return Poll::Pending;
                }
                self.source.events.load(Ordering::SeqCst)
            };
            match call(&self.fd) {
                Ok(got) => {
                    if !full(&got) {
                        self.clear(seen, |state| state.readable = state.hung_up);
                    }
                    return Poll::Ready(Ok(got));
                }
                Err(Errno::AGAIN) => self.clear(seen, |state| state.readable = false),
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Writes by `call`.
    pub(crate) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&OwnedFd) -> rustix::io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let seen = {
                let mut state = lock(&self.source.state);
                if !state.writable {
                    register(&mut state.writer, cx);
                    return Poll::Pending;
                }
                self.source.events.load(Ordering::SeqCst)
            };
            match call(&self.fd) {
                Ok(n) => return Poll::Ready(Ok(n)),
                Err(Errno::AGAIN) => {
                    self.clear(seen, |state| state.writable = false);
                    self.watch_writable()?;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    /// Asks for writability only once it was missed: a peer on a UNIX socket would else wake us by each read.
    fn watch_writable(&self) -> io::Result<()> {
        use epoll::EventFlags as E;
        if std::mem::replace(&mut lock(&self.source.state).watches_writable, true) {
            return Ok(());
        }
        // If it has become writable meanwhile, this makes an event.
        let data = epoll::EventData::new_u64(self.token);
        let flags = E::IN | E::OUT | E::RDHUP | E::ET;
        Ok(epoll::modify(&self.reactor.epoll, &self.fd, data, flags)?)
    }

    fn clear(&self, seen: u64, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.source.state);
        if self.source.events.load(Ordering::SeqCst) == seen {
            change(&mut state);
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.reactor.sources).by_token.remove(&self.token);
        // The kernel forgets a descriptor that is closed; a copy in another process could keep it.
        let _ = epoll::delete(&self.reactor.epoll, self.fd.as_fd());
    }
}

/// One deadline of one task, armed lazily: a deadline that moves later costs nothing until the earlier one fires.
pub(crate) struct Timer {
    reactor: Arc<Reactor>,
    armed: Option<(Time, u64)>,
}

/// Deadlines are rounded up to multiples of this many milliseconds, so that many fire in one wake.
pub(crate) const GRAIN: u64 = 64;

impl Timer {
    pub(crate) fn new(reactor: &Arc<Reactor>) -> Self {
        Self { reactor: Arc::clone(reactor), armed: None }
    }

    /// Ready once `deadline` has passed; else wakes the task then, or before. Always to be polled by the same task.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: Time, deadline: Time) -> Poll<()> {
        if deadline <= now {
            return Poll::Ready(());
        }
        let at = Time(deadline.0.div_ceil(GRAIN).saturating_mul(GRAIN));
        let stands = self.armed.is_some_and(|(armed, _)| now < armed && armed <= at);
        if !stands {
            self.disarm();
            let mut timers = lock(&self.reactor.timers);
            let key = (at, timers.next);
            timers.next += 1;
            timers.by_time.insert(key, cx.waker().clone());
            drop(timers);
            self.armed = Some(key);
            let bell = self.reactor.bell();
            if bell.sleeping.load(Ordering::SeqCst) {
                bell.wake_by_ref(); // another thread's reactor: it may sleep longer than this
            }
        }
        Poll::Pending
    }

    fn disarm(&mut self) {
        if let Some(key) = self.armed.take() {
            lock(&self.reactor.timers).by_time.remove(&key);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}

fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    if !slot.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        *slot = Some(cx.waker().clone());
    }
}

/// Nothing panics under these locks but an allocation that fails.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
