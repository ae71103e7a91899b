//! Who is connected, for those who run the server.
//!
//! A session has one entry, which it brings up to date by atomic stores; its user and mailbox stand behind a lock of
//! their own, which is taken when they change and when somebody looks. The lock of all sessions is taken when one begins,
//! when one ends, and when somebody looks.
//!
//! Invariant: an entry goes with the value that [`Sessions::begin`] gave; there is none of a session that has ended.

use crate::signal::{self, Signal};
use crate::store::Account;
use runtime_smol::{Peer, Time};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All sessions of a server.
#[derive(Debug, Default)]
pub struct Sessions {
    by_number: Mutex<BTreeMap<u64, Arc<Entry>>>,
    /// How many have begun.
    begun: AtomicU64,
}

/// One session.
#[derive(Debug)]
pub struct Entry {
    number: u64,
    protocol: Protocol,
    peer: Option<SocketAddr>,
    since: Time,
    /// When the peer last sent something.
    heard: AtomicU64,
    state: AtomicU8,
    tls: AtomicBool,
    kicked: AtomicBool,
    signal: Arc<Signal>,
    who: Mutex<Who>,
}

#[derive(Debug, Default)]
struct Who {
    account: Option<Arc<Account>>,
    mailbox: Option<Box<str>>,
}

/// What a session speaks.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Protocol {
    /// IMAP, on a port where TLS comes later if at all.
    Imap,
    /// IMAP in TLS from the first byte.
    Imaps,
    /// LMTP.
    Lmtp,
}

impl Protocol {
    /// As `[[listen]]` calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Lmtp => "lmtp",
        }
    }
}

/// What a session is at.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum State {
    /// IMAP: nobody has logged in.
    Login,
    /// IMAP: somebody has, and has selected no mailbox.
    Authenticated,
    /// IMAP: a mailbox is selected.
    Selected,
    /// IMAP: the client waits for what happens.
    Idle,
    /// A disk or a computation is waited for.
    Busy,
    /// LMTP: between messages.
    Ready,
    /// LMTP: a message's recipients are known.
    Envelope,
    /// LMTP: a message's text is coming.
    Text,
    /// The last words.
    Ending,
}

impl State {
    const ALL: [Self; 9] = [
        Self::Login,
        Self::Authenticated,
        Self::Selected,
        Self::Idle,
        Self::Busy,
        Self::Ready,
        Self::Envelope,
        Self::Text,
        Self::Ending,
    ];

    /// As it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Authenticated => "authenticated",
            Self::Selected => "selected",
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Ready => "ready",
            Self::Envelope => "envelope",
            Self::Text => "text",
            Self::Ending => "ending",
        }
    }
}

/// A session's entry; dropped with the session.
#[derive(Debug)]
pub struct Registered {
    sessions: Arc<Sessions>,
    entry: Arc<Entry>,
}

impl Deref for Registered {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.sessions.by_number().remove(&self.entry.number);
    }
}

impl Sessions {
    /// A session begins; its number is its own. [`signal::KICK`] is raised on `signal` when somebody wants it to end.
    #[must_use]
    pub fn begin(
        self: &Arc<Self>,
        number: u64,
        protocol: Protocol,
        peer: &Peer,
        now: Time,
        signal: &Arc<Signal>,
    ) -> Registered {
        let state = if protocol == Protocol::Lmtp { State::Ready } else { State::Login };
        let entry = Arc::new(Entry {
            number,
            protocol,
            peer: peer.addr,
            since: now,
            heard: AtomicU64::new(now.0),
            state: AtomicU8::new(state as u8),
            tls: AtomicBool::new(peer.tls),
            kicked: AtomicBool::new(false),
            signal: signal.clone(),
            who: Mutex::default(),
        });
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.by_number().insert(number, entry.clone());
        Registered { sessions: self.clone(), entry }
    }

    /// All there are now, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Entry>> {
        self.by_number().values().cloned().collect()
    }

    /// The session of this number.
    #[must_use]
    pub fn find(&self, number: u64) -> Option<Arc<Entry>> {
        self.by_number().get(&number).cloned()
    }

    /// How many have begun since the server started.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    fn by_number(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Entry>>> {
        self.by_number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// The peer sent something.
    pub fn heard(&self, now: Time) {
        self.heard.store(now.0, Ordering::Relaxed);
    }

    /// It has come to this.
    pub fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// TLS stands.
    pub fn set_tls(&self) {
        self.tls.store(true, Ordering::Relaxed);
    }

    /// Somebody has logged in.
    pub fn set_account(&self, account: &Arc<Account>) {
        self.who().account = Some(account.clone());
    }

    /// A mailbox is about to be selected, or none is selected any more.
    pub fn set_mailbox(&self, name: Option<&str>) {
        self.who().mailbox = name.map(Into::into);
    }

    /// Ends the session at its next command boundary; whether nobody had asked for that yet.
    pub fn kick(&self) -> bool {
        let first = !self.kicked.swap(true, Ordering::Relaxed);
        self.signal.raise(signal::KICK);
        first
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// What it speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The other side; `None` on a UNIX socket.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// When it began.
    #[must_use]
    pub fn since(&self) -> Time {
        self.since
    }

    /// When the peer last sent something.
    #[must_use]
    pub fn last_heard(&self) -> Time {
        Time(self.heard.load(Ordering::Relaxed))
    }

    /// What it is at.
    #[must_use]
    pub fn state(&self) -> State {
        let state = usize::from(self.state.load(Ordering::Relaxed));
        State::ALL.get(state).copied().unwrap_or(State::Ending)
    }

    /// Whether it is in TLS.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.tls.load(Ordering::Relaxed)
    }

    /// Who has logged in.
    #[must_use]
    pub fn user(&self) -> Option<String> {
        self.who().account.as_ref().map(|account| account.name().to_owned())
    }

    /// The selected mailbox.
    #[must_use]
    pub fn mailbox(&self) -> Option<String> {
        match self.state() {
            State::Login | State::Authenticated | State::Ending => None,
            State::Selected
            | State::Idle
            | State::Busy
            | State::Ready
            | State::Envelope
            | State::Text => self.who().mailbox.as_deref().map(str::to_owned),
        }
    }

    fn who(&self) -> MutexGuard<'_, Who> {
        self.who.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;

    #[test]
    fn an_entry_goes_with_its_session() {
        let sessions = Arc::new(Sessions::default());
        let signal = Arc::default();
        let peer = Peer { addr: "192.0.2.1:5".parse().ok(), tls: true, ..Peer::default() };
        let first = sessions.begin(1, Protocol::Imaps, &peer, Time(5), &signal);
        let second = sessions.begin(2, Protocol::Lmtp, &Peer::default(), Time(6), &signal);
        first.set_mailbox(Some("INBOX"));
        assert_eq!((first.state(), first.mailbox()), (State::Login, None));
        for (state, mailbox) in [(State::Idle, Some("INBOX")), (State::Authenticated, None)] {
            first.set_state(state);
            assert_eq!((first.state(), first.mailbox().as_deref()), (state, mailbox));
        }
        first.heard(Time(9));
        assert_eq!((first.since(), first.last_heard(), first.tls()), (Time(5), Time(9), true));
        assert_eq!((second.state(), second.peer(), second.user()), (State::Ready, None, None));
        drop(first);
        assert!(sessions.find(1).is_none());
        let left: Vec<u64> = sessions.all().iter().map(|entry| entry.number()).collect();
        assert_eq!((left, sessions.begun()), (vec![2], 2));
    }

    #[test]
    fn a_kick_is_seen_by_the_session_once() {
        let signal: Arc<Signal> = Arc::default();
        let sessions = Arc::new(Sessions::default());
        let entry = sessions.begin(1, Protocol::Imap, &Peer::default(), Time(0), &signal);
        assert!(entry.kick() && !entry.kick());
        assert_eq!(signal.take(Waker::noop()), signal::KICK);
    }

    #[test]
    fn states_are_numbered_in_their_order() {
        for (number, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, number);
        }
        // Ten thousand idle sessions have as many of these.
        assert!(size_of::<Entry>() <= 160, "{}", size_of::<Entry>());
    }
}
