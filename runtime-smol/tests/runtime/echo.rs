//! A machine that answers lines, and a server with it.

use runtime_smol::{Clock, Listener, Machine, Options, Output, Peer, Runtime, Server, Time, Tls};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

/// What is counted about all machines of a test.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) made: AtomicUsize,
    pub(crate) dropped: AtomicUsize,
    pub(crate) eofs: AtomicUsize,
    pub(crate) most_offered: AtomicUsize,
}

pub(crate) struct Echo {
    seen: Arc<Seen>,
    line: Vec<u8>,
    out: Vec<u8>,
    ended: bool,
    upgrade: bool,
    /// `hold`: no input is wanted until the peer hangs up.
    held: bool,
    deadline: Option<Time>,
    /// `later`: an answer that comes from elsewhere.
    later: Arc<Mutex<Later>>,
}

#[derive(Default)]
struct Later {
    here: bool,
    waker: Option<Waker>,
}

impl Echo {
    pub(crate) fn new(seen: &Arc<Seen>, peer: &Peer) -> Self {
        seen.made.fetch_add(1, Ordering::SeqCst);
        let mut echo = Self {
            seen: Arc::clone(seen),
            line: Vec::new(),
            out: Vec::new(),
            ended: false,
            upgrade: false,
            held: false,
            deadline: None,
            later: Arc::default(),
        };
        echo.say(&describe("hello", peer));
        echo
    }

    fn say(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'\n');
    }

    fn on_line(&mut self, now: Time) {
        let line = String::from_utf8(std::mem::take(&mut self.line)).unwrap();
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "quit" => {
                self.say("bye");
                self.ended = true;
            }
            "starttls" => {
                self.say("go ahead");
                self.upgrade = true;
            }
            "panic" => panic!("asked to"),
            "hold" => self.held = true,
            "later" => {
                let later = Arc::clone(&self.later);
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(50));
                    let mut later = later.lock().unwrap();
                    later.here = true;
                    later.waker.take().unwrap().wake();
                });
            }
            "big" => self.out.extend(std::iter::repeat_n(b'x', rest.parse().unwrap())),
            "soon" => self.deadline = Some(now.after(Duration::from_millis(rest.parse().unwrap()))),
            _ => self.say(&line),
        }
    }
}

fn describe(word: &str, peer: &Peer) -> String {
    let alpn = peer.alpn.as_ref().map(|name| String::from_utf8_lossy(name).into_owned());
    let (tls, local) = (peer.tls, peer.loopback);
    let tcp = peer.addr.is_some();
    format!("{word} tcp={tcp} tls={tls} local={local} sni={:?} alpn={alpn:?}", peer.sni)
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.seen.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Machine for Echo {
    fn handle_input(&mut self, now: Time, input: &[u8]) -> usize {
        self.seen.most_offered.fetch_max(input.len(), Ordering::SeqCst);
        for (n, byte) in input.iter().enumerate() {
            if self.ended || self.upgrade || self.held || self.out.len() > 64 * 1024 {
                return n;
            }
            match byte {
                b'\n' => self.on_line(now),
                byte => self.line.push(*byte),
            }
        }
        input.len()
    }

    fn handle_eof(&mut self, _: Time) {
        self.seen.eofs.fetch_add(1, Ordering::SeqCst);
        if self.held {
            self.say("nobody there");
        }
        self.ended = true;
    }

    fn handle_timeout(&mut self, now: Time) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.say("time");
        }
    }

    fn handle_upgraded(&mut self, _: Time, peer: &Peer) {
        self.upgrade = false;
        self.say(&describe("upgraded", peer));
    }

    fn handle_shutdown(&mut self, _: Time) {
        self.say("going down");
        self.ended = true;
    }

    fn handle_eviction(&mut self, _: Time) {
        self.say("make room");
        self.ended = true;
    }

    fn held(&self) -> usize {
        self.out.len()
    }

    fn poll_events(&mut self, _: Time, cx: &mut Context<'_>) -> bool {
        let mut later = self.later.lock().unwrap();
        later.waker = Some(cx.waker().clone());
        let here = std::mem::take(&mut later.here);
        drop(later);
        if here {
            self.say("here it is");
        }
        here
    }

    fn poll_output(&mut self, _: Time) -> Output<'_> {
        if !self.out.is_empty() {
            Output::Transmit(&self.out)
        } else if self.ended {
            Output::Close
        } else if self.upgrade {
            Output::Upgrade
        } else {
            Output::Wait { wants_input: !self.held, deadline: self.deadline }
        }
    }

    fn transmitted(&mut self, n: usize) {
        self.out.drain(..n);
    }
}

/// A server of [`Echo`] on a free port.
pub(crate) struct TestServer {
    pub(crate) runtime: Runtime,
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Seen>,
}

impl TestServer {
    pub(crate) fn start(tls: Tls) -> Self {
        Self::with(Options::new("echo", tls), 256)
    }

    pub(crate) fn with(options: Options, handshakes: usize) -> Self {
        let runtime = Runtime::start(2, Clock::new()).unwrap();
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = listener.tcp_address().unwrap();
        let seen = Arc::new(Seen::default());
        let counted = Arc::clone(&seen);
        let server = Server::new(&runtime, handshakes);
        server.listen(listener, options, move |_, peer| Echo::new(&counted, peer));
        Self { runtime, addr, seen }
    }

    pub(crate) fn connect(&self) -> Client<TcpStream> {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client::new(stream)
    }

    /// A connection whose greeting was read.
    pub(crate) fn greeted(&self) -> Client<TcpStream> {
        let mut client = self.connect();
        assert_eq!(client.line(), "hello tcp=true tls=false local=true sni=None alpn=None");
        client
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.runtime.shut_down(Duration::from_secs(10));
    }
}

/// The other side.
pub(crate) struct Client<S>(pub(crate) BufReader<S>);

impl<S: std::io::Read + Write> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(BufReader::new(stream))
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
        self.0.get_mut().flush().unwrap();
    }

    /// The next line; empty at the end.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn ask(&mut self, text: &str) -> String {
        self.send(&format!("{text}\n"));
        self.line()
    }
}

/// Waits, at most 20 seconds, until `holds`.
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..4000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what}");
}
