//! Who may connect, and who makes room when too many do.
//!
//! Invariants:
//! - Of a service there are at most as many connections as its bounds say, in all, before login, from an address and
//!   from a network; those that were told to go have only the time it takes to tell them.
//! - Whoever has logged in never makes room for a stranger.
//! - What is kept for an address goes with its last connection, in maps whose keys nobody can foretell the places of.

mod output;
mod sign;

pub use output::OutputBudget;

use crate::config::{Connections, Network, Service};
use runtime_smol::{Door, Pass, Peer, Time};
use sign::Sign;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use tracing::warn;

/// At most so often, in milliseconds, the log says that connections are turned away.
const SAID_EVERY: u64 = 10_000;

/// The door of one service, all its listeners together. A clone is the same door.
#[derive(Clone, Debug)]
pub struct Admission {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    service: &'static str,
    bounds: Connections,
    /// From the connection to login, in milliseconds: no TLS handshake goes beyond it.
    login_time: Option<u64>,
    /// Whose connections are not counted by address.
    trusted: Vec<Network>,
    output: OutputBudget,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// Connections that were not told to go.
    staying: usize,
    /// Those of them that have not logged in; strangers go first, then the oldest.
    guests: BTreeMap<(bool, u64), Arc<Sign>>,
    /// Those that were told to go and have not gone.
    leaving: HashSet<u64>,
    by_address: HashMap<IpAddr, usize>,
    by_network: HashMap<IpAddr, usize>,
    said: Said,
}

/// What is to be said in the log, and when again.
#[derive(Debug, Default)]
struct Said {
    refused: u64,
    evicted: u64,
    next: Time,
}

/// A connection. Dropping it says that it is over.
#[derive(Debug)]
pub struct Visitor {
    shared: Arc<Shared>,
    number: u64,
    trusted: bool,
    /// What it is counted by.
    from: Option<Counted>,
    accepted: Time,
    sign: Arc<Sign>,
}

/// What counts as one address and as one network: an IPv4 address is both; of IPv6 whoever has one address has a /64,
/// and many a customer has a /48 (RFC 6177 §2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Counted {
    address: IpAddr,
    network: Option<IpAddr>,
}

impl Admission {
    /// The door of `service`. `login_time`, in milliseconds, bounds TLS handshakes too; `output` bounds what waits for slow readers.
    #[must_use]
    pub fn new(
        service: Service,
        bounds: Connections,
        login_time: Option<u64>,
        trusted: Vec<Network>,
        output: OutputBudget,
    ) -> Self {
        let service = match service {
            Service::Imap | Service::Imaps => "imap",
            Service::Lmtp => "lmtp",
        };
        let state = Mutex::default();
        Self { shared: Arc::new(Shared { service, bounds, login_time, trusted, output, state }) }
    }

    /// The same door, where TLS comes first: who is turned away there can't be told.
    #[must_use]
    pub fn silent(&self) -> impl Door<Pass = Visitor> + use<> {
        Silent(self.clone())
    }
}

struct Silent(Admission);

impl Door for Silent {
    type Pass = Visitor;

    fn enter(&self, peer: &Peer, now: Time) -> Result<Arc<Visitor>, &'static [u8]> {
        self.0.enter(peer, now).map_err(|_| &b""[..])
    }
}

impl Door for Admission {
    type Pass = Visitor;

    fn enter(&self, peer: &Peer, now: Time) -> Result<Arc<Visitor>, &'static [u8]> {
        let shared = &self.shared;
        let ip = peer.addr.map(|addr| addr.ip());
        let trusted = ip.is_none_or(|ip| shared.trusted.iter().any(|net| net.contains(ip)));
        let from = ip.filter(|_| !trusted).map(Counted::of);
        let mut state = shared.state();
        let refusal = match from {
            Some(from) if state.is_full_for(from, &shared.bounds) => Some(Refusal::Address),
            _ if state.make_room(&shared.bounds) => None,
            _ => Some(Refusal::All),
        };
        if let Some(refusal) = refusal {
            state.said.refused += 1;
            state.speak(shared.service, now);
            return Err(refusal.text(shared.service));
        }
        state.speak(shared.service, now);
        let number = state.next;
        state.next += 1;
        state.staying += 1;
        if let Some(from) = from {
            state.count(from);
        }
        let sign = Arc::new(Sign::default());
        state.guests.insert((trusted, number), sign.clone());
        drop(state);
        Ok(Arc::new(Visitor { shared: shared.clone(), number, trusted, from, accepted: now, sign }))
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether no more may come from there.
    fn is_full_for(&self, from: Counted, bounds: &Connections) -> bool {
        let count = |map: &HashMap<IpAddr, usize>, ip| map.get(ip).copied().unwrap_or_default();
        let network = from.network.as_ref();
        count(&self.by_address, &from.address) >= bounds.per_address
            || network.is_some_and(|ip| count(&self.by_network, ip) >= bounds.per_network)
    }

    /// Sees to it that one more has a place, at the cost of the oldest guest if need be. False if there is none.
    fn make_room(&mut self, bounds: &Connections) -> bool {
        if self.staying < bounds.connections && self.guests.len() < bounds.before_login {
            return true;
        }
        let Some(((_, number), sign)) = self.guests.pop_first() else { return false };
        self.leaving.insert(number);
        self.staying -= 1;
        self.said.evicted += 1;
        sign.give();
        true
    }

    fn count(&mut self, from: Counted) {
        *self.by_address.entry(from.address).or_default() += 1;
        if let Some(network) = from.network {
            *self.by_network.entry(network).or_default() += 1;
        }
    }

    fn uncount(&mut self, from: Counted) {
        let fewer = |map: &mut HashMap<IpAddr, usize>, ip| {
            if let Some(count) = map.get_mut(ip) {
                *count -= 1;
                if *count == 0 {
                    map.remove(ip);
                }
            }
        };
        fewer(&mut self.by_address, &from.address);
        if let Some(network) = &from.network {
            fewer(&mut self.by_network, network);
        }
    }

    /// Says in the log what was not said yet, unless it spoke a moment ago: an attacker must not fill the disk.
    fn speak(&mut self, service: &str, now: Time) {
        let Said { refused, evicted, next } = &mut self.said;
        if *refused + *evicted == 0 || now < *next {
            return;
        }
        warn!(service, refused, evicted, "too many connections: some were turned away");
        self.said = Said { next: Time(now.0.saturating_add(SAID_EVERY)), ..Said::default() };
    }
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// Too many come from where he does.
    Address,
    /// There are too many, and all have logged in.
    All,
}

impl Refusal {
    /// In place of a greeting: BYE (RFC 9051 §7.1.5) with the code of RFC 5530 §3, 421 (RFC 5321 §3.8).
    fn text(self, service: &str) -> &'static [u8] {
        match (self, service) {
            (Self::Address, "imap") => {
                b"* BYE [UNAVAILABLE] Too many connections from your address\r\n"
            }
            (Self::All, "imap") => b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n",
            (Self::Address, _) => b"421 4.7.0 Too many connections from your address\r\n",
            (Self::All, _) => b"421 4.3.2 Too many connections, try again later\r\n",
        }
    }
}

impl Counted {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            address @ IpAddr::V4(_) => Self { address, network: None },
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                let address = IpAddr::from([a, b, c, d, 0, 0, 0, 0]);
                Self { address, network: Some(IpAddr::from([a, b, c, 0, 0, 0, 0, 0])) }
            }
        }
    }
}

/// What counts as one address where addresses are counted: an IPv4 address, the /64 of an IPv6 one.
#[must_use]
pub fn one_address(ip: IpAddr) -> IpAddr {
    Counted::of(ip).address
}

impl Visitor {
    /// It is no stranger any more, and stays.
    pub fn logged_in(&self) {
        self.shared.state().guests.remove(&(self.trusted, self.number));
    }
}

impl Pass for Visitor {
    fn poll_evicted(&self, cx: &Context<'_>) -> bool {
        self.sign.poll(cx)
    }

    fn deadline(&self) -> Option<Time> {
        self.shared.login_time.map(|time| Time(self.accepted.0.saturating_add(time)))
    }

    fn stalled(&self, now: Time, held: usize) {
        self.shared.output.stalled(&self.sign, now, held);
    }

    fn flows(&self) {
        self.shared.output.flows(&self.sign);
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.shared.output.flows(&self.sign);
        let mut state = self.shared.state();
        state.guests.remove(&(self.trusted, self.number));
        if !state.leaving.remove(&self.number) {
            state.staying -= 1;
        }
        if let Some(from) = self.from {
            state.uncount(from);
        }
    }
}

#[cfg(test)]
mod tests;
