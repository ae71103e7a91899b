//! Waits on all connections at once, and takes the time until they are told.

use crate::Result;
use crate::client::{Client, Lmtp};
use rustix::event::{Timespec, epoll};
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How long to wait for what should come at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// Connections in IDLE.
pub(crate) struct Watch {
    clients: Vec<Option<Client>>,
    epoll: OwnedFd,
    dropped: usize,
}

impl Watch {
    pub(crate) fn new(clients: Vec<Client>) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut clients: Vec<Option<Client>> = clients.into_iter().map(Some).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            let Some(client) = client else { continue };
            client.set_nonblocking()?;
            client.take_news()?;
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&epoll, client.fd(), data, epoll::EventFlags::IN)?;
        }
        Ok(Self { clients, epoll, dropped: 0 })
    }

    /// Delivers one message after the other, each to another account; how long after the delivery each was told.
    pub(crate) fn deliver_to_own(&mut self, lmtp: SocketAddr, count: usize) -> Result<Latencies> {
        let accounts = self.clients.len();
        // A stride that is prime to the number takes them all, and not in the order they were opened.
        let step =
            [7919, 7907, 1].into_iter().find(|step| !accounts.is_multiple_of(*step)).unwrap_or(1);
        let to = move |index: usize| index * step % accounts;
        let sender = std::thread::spawn(move || -> Result<Vec<Instant>> {
            let mut lmtp = Lmtp::connect(lmtp)?;
            (0..count).map(|index| lmtp.deliver(to(index) + 1)).collect()
        });
        let mut told: Vec<Vec<Instant>> = vec![Vec::new(); accounts];
        self.gather(count, |number, at| {
            if let Some(told) = told.get_mut(number) {
                told.push(at);
            }
        })?;
        let delivered = sender.join().map_err(|_| "the sender panicked")??;
        let mut seen = vec![0; accounts];
        let mut latencies = Latencies::default();
        for (index, delivered) in delivered.into_iter().enumerate() {
            let number = to(index);
            let seen: &mut usize = seen.get_mut(number).ok_or("no such account")?;
            let told = told.get(number).and_then(|told| told.get(*seen));
            *seen += 1;
            latencies.note(told.ok_or("not told")?.saturating_duration_since(delivered));
        }
        Ok(latencies)
    }

    /// Delivers one message to the account that all watch; how long after the delivery each was told.
    pub(crate) fn deliver_to_all(&mut self, lmtp: SocketAddr) -> Result<Vec<Duration>> {
        let sender = std::thread::spawn(move || Lmtp::connect(lmtp)?.deliver(1));
        let count = self.clients.len();
        let mut told = Vec::with_capacity(count);
        self.gather(count, |_, at| told.push(at))?;
        let delivered = sender.join().map_err(|_| "the sender panicked")??;
        Ok(told.into_iter().map(|at| at.saturating_duration_since(delivered)).collect())
    }

    /// How many connections are gone.
    pub(crate) fn dropped(&mut self) -> Result<usize> {
        self.poll(Duration::ZERO, |_, _| ())?;
        Ok(self.dropped)
    }

    /// Waits for so many news.
    fn gather(&mut self, count: usize, mut note: impl FnMut(usize, Instant)) -> Result<()> {
        let deadline = Instant::now() + PATIENCE + Duration::from_millis(20) * count as u32;
        let mut got = 0;
        while got < count {
            if Instant::now() > deadline {
                return Err(format!("{} were not told", count - got).into());
            }
            self.poll(Duration::from_secs(1), |number, at| {
                got += 1;
                note(number, at);
            })?;
        }
        Ok(())
    }

    fn poll(&mut self, wait: Duration, mut note: impl FnMut(usize, Instant)) -> Result<()> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(4096);
        let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: 0 };
        epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout))?;
        for event in &events {
            let number = event.data.u64() as usize;
            let Some(slot) = self.clients.get_mut(number) else { continue };
            let Some(client) = slot else { continue };
            match client.take_news() {
                Ok(news) => (0..news).for_each(|_| note(number, Instant::now())),
                Err(error) => {
                    eprintln!("u{}: {error}", number + 1);
                    *slot = None;
                    self.dropped += 1;
                }
            }
        }
        Ok(())
    }
}

/// Times between a delivery and its being told.
#[derive(Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn note(&mut self, latency: Duration) {
        self.0.push(latency);
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = |share: usize| {
            let index = (sorted.len() * share / 100).min(sorted.len().saturating_sub(1));
            sorted.get(index).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
        };
        let (p50, p99, max) = (at(50), at(99), at(100));
        write!(f, "{p50:.2} ms p50, {p99:.2} ms p99, {max:.2} ms most, n = {}", sorted.len())
    }
}
