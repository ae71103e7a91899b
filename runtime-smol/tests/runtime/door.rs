//! Who is let in, who has to go, and what is said of peers that take nothing.

#![allow(clippy::disallowed_methods, reason = "a test has a watch")]

use crate::echo::{Client, Echo, Seen, until};
use crate::tls::{configs, secure};
use runtime_smol::{Clock, Door, Listener, Options, Pass, Peer, Runtime, Server, Time, Tls};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

/// Lets `places` in, keeps a hand on all of them, and ends handshakes after `patience` milliseconds.
#[derive(Clone)]
struct Porter {
    places: usize,
    patience: Option<u64>,
    guests: Arc<Mutex<Vec<Arc<Guest>>>>,
    left: Arc<AtomicUsize>,
}

struct Guest {
    end: Option<Time>,
    told: Mutex<(bool, Option<Waker>)>,
    stalls: Mutex<Vec<Option<usize>>>,
    left: Arc<AtomicUsize>,
}

impl Guest {
    fn evict(&self) {
        let mut told = self.told.lock().unwrap();
        told.0 = true;
        let waker = told.1.take();
        drop(told);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// The connection's own hold on it.
struct Held(Arc<Guest>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.left.fetch_add(1, Ordering::SeqCst);
    }
}

impl Door for Porter {
    type Pass = Held;

    fn enter(&self, _: &Peer, now: Time) -> Result<Arc<Held>, &'static [u8]> {
        let mut guests = self.guests.lock().unwrap();
        if guests.len() >= self.places {
            return Err(b"full\n");
        }
        let guest = Arc::new(Guest {
            end: self.patience.map(|ms| Time(now.0 + ms)),
            told: Mutex::default(),
            stalls: Mutex::default(),
            left: self.left.clone(),
        });
        guests.push(guest.clone());
        Ok(Arc::new(Held(guest)))
    }
}

impl Pass for Held {
    fn poll_evicted(&self, cx: &Context<'_>) -> bool {
        let mut told = self.0.told.lock().unwrap();
        told.1 = Some(cx.waker().clone());
        told.0
    }

    fn deadline(&self) -> Option<Time> {
        self.0.end
    }

    fn stalled(&self, _: Time, held: usize) {
        self.0.stalls.lock().unwrap().push(Some(held));
    }

    fn flows(&self) {
        self.0.stalls.lock().unwrap().push(None);
    }
}

struct Place {
    runtime: Runtime,
    addr: SocketAddr,
    porter: Porter,
    seen: Arc<Seen>,
}

impl Place {
    fn new(tls: Tls, places: usize, patience: Option<u64>, handshakes: usize) -> Self {
        let runtime = Runtime::start(2, Clock::new()).unwrap();
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = listener.tcp_address().unwrap();
        let (guests, left) = Default::default();
        let porter = Porter { places, patience, guests, left };
        let seen = Arc::new(Seen::default());
        let counted = seen.clone();
        let server = Server::new(&runtime, handshakes);
        server.listen_behind(listener, Options::new("echo", tls), porter.clone(), {
            move |_, peer, _: &Arc<Held>| Echo::new(&counted, peer)
        });
        Self { runtime, addr, porter, seen }
    }

    fn connect(&self) -> Client<TcpStream> {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client::new(stream)
    }

    fn guest(&self, n: usize) -> Arc<Guest> {
        until("it is let in", || self.porter.guests.lock().unwrap().len() > n);
        self.porter.guests.lock().unwrap()[n].clone()
    }

    fn left(&self) -> usize {
        self.porter.left.load(Ordering::SeqCst)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.runtime.shut_down(Duration::from_secs(10));
    }
}

#[test]
fn who_is_not_let_in_is_told_and_has_no_machine() {
    let place = Place::new(Tls::Never, 1, None, 1);
    let mut first = place.connect();
    assert!(first.line().starts_with("hello "));
    let mut second = place.connect();
    assert_eq!((second.line(), second.line()), ("full".to_owned(), String::new()));
    assert_eq!(place.seen.made.load(Ordering::SeqCst), 1);
    assert_eq!(first.ask("still there"), "still there");
}

#[test]
fn who_has_to_go_is_told_and_gone_whether_or_not_it_listens() {
    let place = Place::new(Tls::Never, 9, None, 1);
    let mut polite = place.connect();
    assert!(polite.line().starts_with("hello "));
    place.guest(0).evict();
    assert_eq!((polite.line(), polite.line()), ("make room".to_owned(), String::new()));
    until("it is over", || place.left() == 1);

    let mut deaf = place.connect();
    assert!(deaf.line().starts_with("hello "));
    deaf.send("big 30000000\n");
    let guest = place.guest(1);
    until("it takes nothing", || matches!(guest.stalls.lock().unwrap().last(), Some(Some(_))));
    let begun = Instant::now();
    guest.evict();
    until("it is over", || place.left() == 2);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn who_has_to_go_in_the_middle_of_a_handshake_goes_at_once() {
    let (config, client_config) = configs();
    let place = Place::new(Tls::Always(config), 9, None, 1);
    let mut lazy = place.connect();
    place.guest(0).evict();
    assert_eq!(lazy.line(), "");
    let mut half = place.connect();
    // A record that is whole, of a ClientHello that is not.
    half.0.get_mut().write_all(&[22, 3, 1, 0, 5, 1, 0, 1, 0, 3]).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    place.guest(1).evict();
    assert_eq!(half.line(), "");
    let stream = place.connect().0.into_inner();
    let mut client = Client::new(secure(stream, &client_config));
    assert!(client.line().starts_with("hello "));
}

#[test]
fn a_stop_waits_for_no_handshake() {
    let (config, _) = configs();
    for hello in [&[][..], &[22, 3, 1], &[22, 3, 1, 0, 5, 1, 0, 1, 0, 3]] {
        let place = Place::new(Tls::Always(config.clone()), 9, None, 1);
        let mut lazy = place.connect();
        lazy.0.get_mut().write_all(hello).unwrap();
        place.guest(0);
        std::thread::sleep(Duration::from_millis(50));
        let begun = Instant::now();
        assert_eq!(place.runtime.shut_down(Duration::from_secs(9)), 0, "tasks were cut off");
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}

/// Places for handshakes are for those who have said something.
#[test]
fn row_26_a_hello_that_comes_byte_by_byte_keeps_nobody_waiting() {
    let (config, client_config) = configs();
    let place = Place::new(Tls::Always(config), 99, None, 1);
    let mut lazy: Vec<_> = (0..20).map(|_| place.connect()).collect();
    for client in &mut lazy {
        client.0.get_mut().write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    }
    let begun = Instant::now();
    let stream = place.connect().0.into_inner();
    let mut client = Client::new(secure(stream, &client_config));
    assert!(client.line().starts_with("hello "));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    drop(lazy);
    until("those who hang up are gone", || place.left() == 20);
}

#[test]
fn row_03_no_handshake_goes_beyond_the_time_to_log_in() {
    let (config, _) = configs();
    for hello in [&[22, 3, 1][..], &[22, 3, 1, 0, 5, 1, 0, 1, 0, 3]] {
        let place = Place::new(Tls::Always(config.clone()), 9, Some(300), 1);
        let mut lazy = place.connect();
        let begun = Instant::now();
        lazy.0.get_mut().write_all(hello).unwrap();
        let mut rest = Vec::new();
        let _reset = lazy.0.read_to_end(&mut rest);
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(place.seen.made.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_peer_that_takes_nothing_is_told_of_and_so_is_one_that_goes_on() {
    let place = Place::new(Tls::Never, 9, None, 1);
    let mut slow = place.connect();
    assert!(slow.line().starts_with("hello "));
    slow.send("big 10000000\n");
    let guest = place.guest(0);
    until("it takes nothing", || matches!(guest.stalls.lock().unwrap().last(), Some(Some(_))));
    let held = guest.stalls.lock().unwrap().last().unwrap().unwrap();
    // The kernel has not taken much more than the client's own buffer has room for.
    assert!((9_000_000..10_100_000).contains(&held), "{held}");
    let mut got = vec![0; 10_000_000];
    slow.0.read_exact(&mut got).unwrap();
    until("it flows", || guest.stalls.lock().unwrap().last() == Some(&None));
    assert_eq!(slow.ask("after"), "after");
}
