//! A message of 200 MiB goes in by LMTP and out by IMAP, and the server holds less than 2 MiB for it: counted as it is
//! allocated. What zstd allocates is C's, and is asked of it.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a test may fail so, and looks again and again what is allocated"
)]

use dbox_format::compress::Encoder;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use std::alloc::System;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const MIB: usize = 1 << 20;
const SIZE: usize = 200 * MIB;

#[test]
fn a_message_of_200_mib_is_held_in_two() {
    let (imap, lmtp) = start();
    let text = text();
    // What is made once, and what the client holds.
    deliver(lmtp, &text, MIB);
    let mut client = Imap::login(imap);
    client.fetch(1, &text, MIB);
    let (_, delivering) = most(|| deliver(lmtp, &text, SIZE));
    let ((), fetching) = most(|| client.fetch(2, &text, SIZE));
    let mut encoder = Encoder::new(3).unwrap();
    encoder.frame(&text[..128 << 10], &mut Vec::new()).unwrap();
    let zstd = encoder.held();
    println!("delivering holds {delivering} bytes and {zstd} of zstd's, fetching {fetching}");
    assert!(delivering + zstd <= 2 * MIB, "{delivering} and {zstd}");
    // A decoder: 160 KiB.
    assert!(fetching + (160 << 10) <= 2 * MIB, "{fetching}");
}

/// Lines of hexadecimal digits, half of which can't be compressed away; a power of two of bytes that goes on and on.
fn text() -> Vec<u8> {
    let mut state = 1_u64;
    let mut text = Vec::with_capacity(4 * MIB);
    for at in 0..4 * MIB {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push(match at % 64 {
            62 => b'\r',
            63 => b'\n',
            _ => b"0123456789abcdef"[(state >> 60) as usize],
        });
    }
    text
}

/// The most bytes that were allocated meanwhile, beyond those before.
fn most<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let now = || {
        let stats = ALLOCATOR.stats();
        stats.bytes_allocated - stats.bytes_deallocated
    };
    let (before, most, done) = (now(), AtomicUsize::new(0), AtomicBool::new(false));
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                most.fetch_max(now(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    });
    (result, most.into_inner().saturating_sub(before))
}

fn deliver(lmtp: SocketAddr, text: &[u8], size: usize) {
    let stream = TcpStream::connect(lmtp).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap());
    let mut expect = |code: &str| {
        let mut line = String::new();
        while line.get(3..4).is_none_or(|rest| rest != " ") {
            line.clear();
            replies.read_line(&mut line).unwrap();
            assert!(line.starts_with(code), "{line}");
        }
    };
    let mut out = &stream;
    expect("220");
    for (command, code) in
        [("LHLO t", "250"), ("MAIL FROM:<>", "250"), ("RCPT TO:<u1>", "250"), ("DATA", "354")]
    {
        out.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        expect(code);
    }
    out.write_all(b"Subject: large\r\n\r\n").unwrap();
    let mut left = size;
    while left > 0 {
        let now = left.min(text.len());
        out.write_all(&text[..now]).unwrap();
        left -= now;
    }
    out.write_all(b".\r\n").unwrap();
    expect("250");
}

struct Imap {
    stream: BufReader<TcpStream>,
}

impl Imap {
    fn login(imap: SocketAddr) -> Self {
        let mut client = Self { stream: BufReader::new(TcpStream::connect(imap).unwrap()) };
        for command in ["LOGIN u1 pw", "SELECT INBOX"] {
            client.send(command);
            while !client.line().starts_with("t OK") {}
        }
        client
    }

    fn send(&mut self, command: &str) {
        self.stream.get_mut().write_all(format!("t {command}\r\n").as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        assert!(!line.is_empty() && !line.starts_with("t NO"), "{line}");
        line
    }

    /// Reads a message, and compares its end with what was delivered.
    fn fetch(&mut self, seq: u32, text: &[u8], size: usize) {
        self.send("NOOP");
        while !self.line().starts_with("t OK") {}
        self.send(&format!("FETCH {seq} BODY.PEEK[]"));
        let line = self.line();
        let len: usize =
            line.trim_end().trim_end_matches('}').rsplit('{').next().unwrap().parse().unwrap();
        let header = len - size;
        let mut piece = vec![0; 64 << 10];
        let mut at = 0;
        while at < len {
            let room = piece.len().min(len - at);
            let read = self.stream.read(&mut piece[..room]).unwrap();
            assert!(read > 0);
            for (offset, byte) in (at..).zip(&piece[..read]).filter(|(offset, _)| *offset >= header)
            {
                assert!(text[(offset - header) % text.len()] == *byte, "byte {offset}");
            }
            at += read;
        }
        while !self.line().starts_with("t OK") {}
    }
}

/// Starts a server, which ends with the process; where IMAP and LMTP are.
fn start() -> (SocketAddr, SocketAddr) {
    loop {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let data = tempfile::tempdir().unwrap();
        let (imap, lmtp) = (free(), free());
        let demo = loft::cli::Demo {
            data: data.path().to_owned(),
            imap,
            imaps: free(),
            lmtp: runtime_smol::Address::Tcp(lmtp),
            accounts: 10,
            ..loft::cli::Demo::default()
        };
        let server = std::thread::spawn(move || {
            let _data = data;
            loft::demo::run(&demo).is_ok()
        });
        // Somebody else may have taken a port meanwhile.
        while !server.is_finished() {
            if TcpStream::connect(lmtp).is_ok() {
                return (imap, lmtp);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
