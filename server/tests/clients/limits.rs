//! Bounds of connections, delays after failed log-ins, slow readers: each small enough to be reached.

use crate::harness::{Loft, configure, temporary};
use crate::tls::{config, imaps, tcp};
use crate::wire::{Imap, Lmtp};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketType};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const USERS: &str = "alice:{PLAIN}secret\nbob:{PLAIN}secret\ncarol:{PLAIN}secret\n";

/// `loft serve` with `[limits]` and more; nobody is trusted.
fn serve(dir: &TempDir, limits: &str) -> Loft {
    fs::write(dir.path().join("users"), USERS).unwrap();
    configure(dir.path(), &format!("[limits]\ntrusted_networks = []\n{limits}"));
    Loft::serve(dir)
}

/// A connection from an address of this machine's many.
fn from(ip: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((ip, 0))).unwrap();
    rustix::net::connect(&socket, &to).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

/// Everything up to the end of the connection, whatever the end.
fn rest(mut stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    let _reset = stream.read_to_end(&mut bytes);
    String::from_utf8(bytes).unwrap()
}

/// Whether the connection is still there.
fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut bytes = [0; 1000];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn row_26_an_address_has_its_share_of_each_service() {
    let dir = temporary();
    let more =
        "[limits.imap]\nconnections_per_address = 3\n[limits.lmtp]\nconnections_per_address = 2\n";
    let loft = serve(&dir, more);
    let here = [127, 0, 0, 1];
    let mut held: Vec<Imap> =
        (0..3).map(|_| Imap::connect_from(here, loft.imap).unwrap()).collect();
    held[0].ok("LOGIN alice secret");
    let begun = Instant::now();
    let said = rest(&from(here, loft.imap));
    assert_eq!(said, "* BYE [UNAVAILABLE] Too many connections from your address\r\n");
    // With TLS first nothing can be said; the share is one.
    assert_eq!(rest(&from(here, loft.imaps)), "");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let mut other = Imap::connect_from([127, 0, 0, 2], loft.imap).unwrap();
    other.ok("LOGIN alice secret");

    // LMTP has a share of its own.
    let mut lmtp: Vec<Lmtp> = (0..2).map(|_| Lmtp::connect(loft.lmtp).unwrap()).collect();
    let said = rest(&from(here, loft.lmtp));
    assert_eq!(said, "421 4.7.0 Too many connections from your address\r\n");
    lmtp[0].deliver(&["alice"], "Subject: x\r\n\r\n").unwrap();
    drop(lmtp);

    held.pop();
    let begun = Instant::now();
    while !rest_of_greeting(from(here, loft.imap)).starts_with("* OK") {
        assert!(begun.elapsed() < Duration::from_secs(5), "a place was not free again");
    }
    let log = loft.wait_for_log("too many connections: some were turned away");
    assert!(log.contains("service=\"imap\""), "{log}");
}

fn rest_of_greeting(mut stream: TcpStream) -> String {
    let mut bytes = [0; 500];
    let n = stream.read(&mut bytes).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..n]).into_owned()
}

#[test]
fn row_26_the_oldest_that_has_not_logged_in_makes_room() {
    let dir = temporary();
    let more = "[limits.imap]\nconnections_before_login = 10\n[limits.lmtp]\nconnections_before_login = 10\n";
    let loft = serve(&dir, more);
    let mut user = Imap::connect(loft.imap).unwrap();
    user.ok("LOGIN alice secret");
    // Over both listeners there are ten places.
    let config = config(dir.path(), &[]);
    let mut secure = imaps(&loft, &config).unwrap();
    assert!(secure.line().unwrap().starts_with("* OK"));
    let silent = tcp(loft.imaps);
    let strangers: Vec<TcpStream> = (0..8).map(|_| tcp(loft.imap)).collect();
    assert!(strangers.iter().all(is_open));
    let bye = "* BYE [UNAVAILABLE] Too many connections, try again later";
    let mut late = Imap::connect(loft.imap).unwrap();
    assert_eq!(String::from_utf8(secure.rest()).unwrap().trim_end(), bye);
    let _late = Imap::connect(loft.imap).unwrap();
    assert_eq!(rest(&silent), "", "in the middle of a handshake there is nothing to say it by");
    let _later = Imap::connect(loft.imap).unwrap();
    let said = rest(&strangers[0]);
    assert!(said.ends_with(&format!("{bye}\r\n")), "{said}");
    assert!(strangers[1..].iter().all(is_open));
    user.ok("SELECT INBOX");
    late.ok("LOGIN bob secret");

    let mut sender = Lmtp::connect(loft.lmtp).unwrap();
    sender.deliver(&["alice"], "Subject: x\r\n\r\n").unwrap();
    let strangers: Vec<TcpStream> = (0..10).map(|_| tcp(loft.lmtp)).collect();
    assert!(strangers.iter().all(is_open));
    let _one_more = Lmtp::connect(loft.lmtp).unwrap();
    let said = rest(&strangers[0]);
    assert!(said.ends_with("421 4.3.2 Too many connections, closing connection\r\n"), "{said}");
    sender.deliver(&["alice"], "Subject: y\r\n\r\n").unwrap();
}

/// Row 26, made small: 60 connections that send a byte now and then, in plain text, in the middle of a command, and in a
/// handshake, while others log in.
#[test]
fn row_26_a_byte_now_and_then_keeps_no_connection() {
    let dir = temporary();
    let loft = serve(&dir, "[limits.imap]\nlogin_time = \"2 s\"\n");
    let begun = Instant::now();
    let mut loris: Vec<(TcpStream, &[u8])> = Vec::new();
    for _ in 0..20 {
        loris.push((tcp(loft.imap), b"a LOGIN alice aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
        loris.push((tcp(loft.imap), b"a\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\nh\r\ni\r\nj\r\n"));
        loris
            .push((tcp(loft.imaps), &[22, 3, 1, 1, 0, 1, 0, 0, 252, 3, 3, 7, 7, 7, 7, 7, 7, 7, 7]));
    }
    let (mut turn, mut log_ins) = (0, Vec::new());
    while begun.elapsed() < Duration::from_millis(1800) {
        for (stream, bytes) in &mut loris {
            let _closed = stream.write_all(&[bytes[turn % bytes.len()]]);
        }
        turn += 1;
        let one = Instant::now();
        let mut imap = Imap::connect(loft.imap).unwrap();
        imap.ok("LOGIN alice secret");
        log_ins.push(one.elapsed());
        std::thread::sleep(Duration::from_millis(100));
    }
    for (stream, _) in &loris {
        let _said = rest(stream);
    }
    let gone = begun.elapsed();
    assert!(gone < Duration::from_secs(10), "the last was gone after {gone:?}");
    assert!(log_ins.iter().max().unwrap() < &Duration::from_secs(1), "{log_ins:?}");
}

/// The reply to LOGIN from an address, and how long it took.
fn log_in(loft: &Loft, ip: [u8; 4], user: &str, password: &str) -> (bool, Duration) {
    let mut imap = Imap::connect_from(ip, loft.imap).unwrap();
    let begun = Instant::now();
    let reply = imap.command(&format!("LOGIN {user} {password}")).unwrap().pop().unwrap();
    (reply.starts_with("t OK"), begun.elapsed())
}

#[test]
fn row_27_who_guesses_waits_and_the_owner_at_home_does_not() {
    let dir = temporary();
    let more = "[limits.login]\nfirst_delay = \"2 s\"\nlongest_delay = \"2 s\"\nforget_time = \"1 h\"\n\
                waiting_per_address = 2\n[auth]\nremember = \"0 s\"\n";
    let loft = serve(&dir, more);
    let (home, elsewhere, guesser) = ([127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]);
    let (soon, late) = (Duration::from_millis(1500), Duration::from_millis(1900));
    assert!(log_in(&loft, home, "alice", "secret").0);
    // Spellings are no way round.
    for name in ["alice", "Alice@x.org", "alice+a", "ALICE+b@y.org"] {
        let (right, took) = log_in(&loft, guesser, name, "guess");
        assert!(!right && took < soon, "{name} {took:?}");
    }
    let (right, took) = log_in(&loft, guesser, "alice+c", "guess");
    assert!(!right && took >= late, "the fifth guess after {took:?}");
    // The right one waits too: nothing is told by time.
    let (right, took) = log_in(&loft, guesser, "alice", "secret");
    assert!(right && took >= late, "{took:?}");
    let (right, took) = log_in(&loft, home, "alice", "secret");
    assert!(right && took < soon, "the owner at home after {took:?}");
    let (right, took) = log_in(&loft, elsewhere, "alice", "secret");
    assert!(right && took >= late, "the owner elsewhere, once, after {took:?}");
    let (right, took) = log_in(&loft, elsewhere, "alice", "secret");
    assert!(right && took < soon, "and is at home there: {took:?}");
    let (right, took) = log_in(&loft, elsewhere, "bob", "secret");
    assert!(right && took < soon, "another account from another address: {took:?}");

    // Of the guesser's address two wait; the others are told to come again, and others don't notice.
    let mut many: Vec<Imap> =
        (0..5).map(|_| Imap::connect_from(guesser, loft.imap).unwrap()).collect();
    for imap in &mut many {
        imap.send(b"t LOGIN carol guess\r\n").unwrap();
    }
    let (right, took) = log_in(&loft, home, "carol", "secret");
    assert!(right && took < soon, "{took:?}");
    let replies: Vec<String> =
        many.iter_mut().map(|imap| imap.reply().unwrap().pop().unwrap()).collect();
    let busy = replies.iter().filter(|reply| reply.starts_with("t NO [UNAVAILABLE]")).count();
    assert_eq!(busy, 3, "{replies:?}");
}

#[test]
fn row_27_this_machine_is_trusted_unless_it_is_said_otherwise() {
    let dir = temporary();
    fs::write(dir.path().join("users"), USERS).unwrap();
    configure(dir.path(), "[limits.login]\nfirst_delay = \"20 s\"\nlongest_delay = \"20 s\"\n");
    let loft = Loft::serve(&dir);
    for _ in 0..10 {
        let (right, took) = log_in(&loft, [127, 0, 0, 9], "alice", "guess");
        assert!(!right && took < Duration::from_secs(10), "{took:?}");
    }
    let (right, took) = log_in(&loft, [127, 0, 0, 9], "alice", "secret");
    assert!(right && took < Duration::from_secs(10), "{took:?}");
}

/// A connection that has asked for a large message and reads nothing of it.
fn slow_reader(loft: &Loft) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    set_socket_recv_buffer_size(&socket, 8 << 10).unwrap();
    rustix::net::connect(&socket, &loft.imap).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
        .write_all(b"a LOGIN alice secret\r\nb SELECT INBOX\r\nc FETCH 1 BODY.PEEK[]\r\n")
        .unwrap();
    stream
}

#[test]
fn row_58_slow_readers_together_have_a_bound_and_who_reads_is_not_hurt() {
    const SIZE: usize = 12 << 20;
    let dir = temporary();
    let loft = serve(&dir, "output = \"1 MiB\"\n");
    let mut imap = Imap::connect(loft.imap).unwrap();
    imap.ok("LOGIN alice secret");
    imap.append("INBOX", &format!("Subject: x\r\n\r\n{}", "0123456789abcde\r\n".repeat(SIZE / 17)));
    // One that reads all the time, if slowly.
    let mut reader = slow_reader(&loft);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let read = |stream: &mut TcpStream, pause: Duration| {
        let (mut total, mut bytes) = (0, vec![0; 64 << 10]);
        let mut tail = Vec::new();
        loop {
            match stream.read(&mut bytes) {
                Ok(n) if n > 0 => {
                    total += n;
                    tail = bytes[..n].to_vec();
                    if tail.ends_with(b"c OK Done\r\n") {
                        return (total, true);
                    }
                }
                Ok(_) | Err(_) => return (total, tail.ends_with(b"c OK Done\r\n")),
            }
            if !stop.load(std::sync::atomic::Ordering::SeqCst) {
                std::thread::sleep(pause);
            }
        }
    };
    std::thread::scope(|scope| {
        let reads = scope.spawn(|| read(&mut reader, Duration::from_millis(5)));
        std::thread::sleep(Duration::from_millis(200));
        let mut lazy: Vec<TcpStream> = Vec::new();
        // Each makes the server hold some 64 KiB of the message, so fewer than 30 have room.
        for _ in 0..30 {
            lazy.push(slow_reader(&loft));
            std::thread::sleep(Duration::from_millis(30));
        }
        loft.wait_for_log("too much waits for slow readers");
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(reads.join().unwrap().1, "who reads was cut off");
        let whole: Vec<bool> =
            lazy.iter_mut().map(|stream| read(stream, Duration::ZERO).1).collect();
        let first = whole.iter().position(|whole| *whole).expect("all were cut off");
        // The longest went first: some at the front, none behind.
        assert!(first > 0 && whole[first..].iter().all(|whole| *whole), "{whole:?}");
        assert!(whole.len() - first <= 24, "more than a bound's worth stayed: {whole:?}");
    });
    imap.ok("NOOP");
}

#[test]
fn a_peer_that_takes_nothing_is_closed_after_a_while() {
    let dir = temporary();
    let loft = serve(&dir, "[limits.imap]\nstall_time = \"2 s\"\n");
    let mut imap = Imap::connect(loft.imap).unwrap();
    imap.ok("LOGIN alice secret");
    imap.append("INBOX", &format!("Subject: x\r\n\r\n{}", "0123456789abcde\r\n".repeat(900_000)));
    let lazy = slow_reader(&loft);
    std::thread::sleep(Duration::from_secs(5));
    let said = rest(&lazy);
    assert!(said.len() < 14_000_000 && !said.ends_with("c OK Done\r\n"), "{} bytes", said.len());
}
