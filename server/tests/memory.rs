//! How many bytes a connection holds that only waits: counted as they are allocated, so no matter how busy the machine
//! is. What C code allocates (the keys of TLS: about 1.3 KiB) is not counted.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may fail so, and waits for the server to come to rest"
)]

#[path = "../examples/idle/client.rs"]
#[allow(dead_code, reason = "it can more than is needed here")]
mod client;
#[path = "../examples/idle/guests.rs"]
mod guests;

use clap::ValueEnum;
use client::Client;
use guests::Guest;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::error::Error;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const KIB: usize = 1024;
/// Connections over which what they hold is averaged: what else the process does meanwhile counts little.
const SESSIONS: usize = 60;

#[test]
fn a_session_in_idle_holds_little_with_all_of_its_account() {
    let server = Server::get();
    let plain = server.held(|number| server.idle(&format!("u{}", 1 + number), false));
    let tls = server.held(|number| server.idle(&format!("u{}", 101 + number), true));
    println!("selected and in IDLE: {plain} bytes, over TLS {tls}");
    assert!(plain <= 8 * KIB, "{plain}");
    assert!(tls <= 18 * KIB, "{tls}");
}

#[test]
fn a_session_that_was_told_of_mail_gives_back_what_it_needed_for_that() {
    let server = Server::get();
    for tls in [false, true] {
        let mut writer = server.client("u999", false);
        writer.command("SELECT INBOX").unwrap();
        let append = |writer: &mut Client| {
            writer.command("APPEND INBOX {9+}\r\nSubject: ").unwrap();
        };
        // What the messages themselves take, in columns and cache, whoever is told of them.
        let before = at_rest();
        (0..20).for_each(|_| append(&mut writer));
        let messages = at_rest().saturating_sub(before);
        let held = server.held_by(|| {
            let mut clients: Vec<Client> = (0..SESSIONS)
                .map(|_| {
                    let mut client = server.client("u999", tls);
                    client.command("SELECT INBOX").unwrap();
                    client.idle().unwrap();
                    client
                })
                .collect();
            for _ in 0..20 {
                append(&mut writer);
                for client in &mut clients {
                    client.news().unwrap();
                }
            }
            clients.into_iter().map(Client::into_tcp).collect()
        });
        let held = held.saturating_sub(messages / SESSIONS);
        println!(
            "told of twenty messages, TLS {tls}: {held} bytes, each message {} more",
            messages / 20
        );
        assert!(held <= if tls { 12 } else { 4 } * KIB, "{held}");
    }
}

#[test]
fn who_has_not_logged_in_holds_little_whatever_he_sends() {
    let server = Server::get();
    for guest in Guest::value_variants().iter().filter(|guest| !guest.is_in_handshake()) {
        let connect = |tls| {
            let at = if tls { server.imaps } else { server.imap };
            move |_| guest.connect(anywhere(), at, tls).unwrap()
        };
        let plain = server.held(connect(false));
        let tls = server.held(connect(true));
        println!("{guest:?}: {plain} bytes, over TLS {tls}");
        assert!(plain <= 16 * KIB, "{guest:?}: {plain}");
        // Room for a record of TLS is made by doubling; half of it may stay untouched.
        let records = matches!(guest, Guest::HalfRecord | Guest::Deaf);
        let untouched = if records { 14 * KIB } else { 0 };
        assert!(tls <= 40 * KIB + untouched, "{guest:?} over TLS: {tls}");
    }
}

#[test]
fn a_handshake_holds_little_whatever_comes() {
    let server = Server::get();
    for guest in Guest::value_variants().iter().filter(|guest| guest.is_in_handshake()) {
        let held = server.held(|_| guest.connect(anywhere(), server.imaps, true).unwrap());
        println!("{guest:?}: {held} bytes");
        assert!(held <= 64 * KIB, "{guest:?}: {held}");
        let goes = *guest == Guest::LargeHello;
        assert_eq!(held < KIB, goes, "{guest:?}: only what is too large ends the connection");
    }
}

/// A server in this process.
struct Server {
    imap: SocketAddr,
    imaps: SocketAddr,
    /// One test at a time: all of the process's memory is counted.
    _turn: MutexGuard<'static, ()>,
}

impl Server {
    /// The server, for one test alone.
    fn get() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        static STARTED: OnceLock<(SocketAddr, SocketAddr)> = OnceLock::new();
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (imap, imaps) = *STARTED.get_or_init(start);
        let this = Self { imap, imaps, _turn: turn };
        // What is made once, for all.
        for tls in [false, true] {
            drop((0..8).map(|_| this.idle("u1000", tls)).collect::<Vec<_>>());
        }
        this
    }

    fn client(&self, user: &str, tls: bool) -> Client {
        let at = if tls { self.imaps } else { self.imap };
        let mut client = Client::connect(anywhere(), at, tls).unwrap();
        client.greeting().unwrap();
        client.command(&format!("LOGIN {user} pw")).unwrap();
        client
    }

    /// A connection whose INBOX is selected, in IDLE.
    fn idle(&self, user: &str, tls: bool) -> TcpStream {
        let mut client = self.client(user, tls);
        client.command("SELECT INBOX").unwrap();
        client.idle().unwrap();
        client.into_tcp()
    }

    /// Bytes held for each connection that `open` opens.
    fn held(&self, open: impl Fn(usize) -> TcpStream) -> usize {
        self.held_by(|| (0..SESSIONS).map(open).collect())
    }

    fn held_by(&self, open: impl FnOnce() -> Vec<TcpStream>) -> usize {
        let before = at_rest();
        let connections = open();
        let after = at_rest();
        let count = connections.len();
        drop(connections);
        after.saturating_sub(before) / count
    }
}

/// Starts a server for all tests; it ends with the process.
fn start() -> (SocketAddr, SocketAddr) {
    loop {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let data = tempfile::tempdir().unwrap();
        let demo = loft::cli::Demo {
            data: data.path().to_owned(),
            imap: free(),
            imaps: free(),
            lmtp: runtime_smol::Address::Tcp(free()),
            accounts: 1000,
            ..loft::cli::Demo::default()
        };
        let (imap, imaps) = (demo.imap, demo.imaps);
        let server = std::thread::spawn(move || {
            let _data = data;
            loft::demo::run(&demo).is_ok()
        });
        // Somebody else may have taken a port meanwhile.
        while !server.is_finished() {
            if TcpStream::connect(imaps).is_ok() {
                return (imap, imaps);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The bytes that are allocated, once that stays so for a while.
fn at_rest() -> usize {
    let now = || {
        let stats = ALLOCATOR.stats();
        stats.bytes_allocated - stats.bytes_deallocated
    };
    let (mut last, mut since) = (now(), 0);
    for _ in 0..1000 {
        std::thread::sleep(Duration::from_millis(20));
        // A clock that ticks somewhere is no unrest.
        since = if now().abs_diff(last) < KIB { since + 1 } else { 0 };
        last = now();
        if since == 5 {
            break;
        }
    }
    last
}

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}
