//! One machine per connection, on TCP and UNIX sockets.

use crate::echo::{Client, Echo, Seen, TestServer, until};
use runtime_smol::{Clock, Listener, Options, Runtime, Server, Tls};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn lines_are_answered_in_order_however_they_are_cut() {
    let server = TestServer::start(Tls::Never);
    let mut client = server.greeted();
    assert_eq!(client.ask("one"), "one");
    client.send("two\nthree\nfo");
    assert_eq!((client.line(), client.line()), ("two".to_owned(), "three".to_owned()));
    assert_eq!(client.ask("ur"), "four");
    assert_eq!(client.ask("quit"), "bye");
    assert_eq!(client.line(), "", "closed");
    until("the machine goes", || server.seen.dropped.load(Ordering::SeqCst) == 1);
}

#[test]
fn what_follows_the_last_command_does_not_cost_the_last_reply() {
    let server = TestServer::start(Tls::Never);
    let mut client = server.greeted();
    client.send(&format!("quit\n{}", "never read\n".repeat(30_000)));
    assert_eq!(client.line(), "bye");
    assert_eq!(client.line(), "");
}

#[test]
fn a_peer_that_reads_slowly_gets_everything_and_stops_nobody_else() {
    let server = TestServer::start(Tls::Never);
    let mut slow = server.greeted();
    const SIZE: usize = 20_000_000;
    slow.send(&format!("big {SIZE}\nafter\n"));
    let mut other = server.greeted();
    assert_eq!(other.ask("still there"), "still there");
    let mut got = vec![0; SIZE];
    for part in got.chunks_mut(3_000_000) {
        std::thread::sleep(Duration::from_millis(20));
        slow.0.read_exact(part).unwrap();
    }
    assert!(got.iter().all(|byte| *byte == b'x'));
    assert_eq!(slow.line(), "after");
}

#[test]
fn a_peer_that_reads_nothing_is_given_up() {
    let mut options = Options::new("echo", Tls::Never);
    options.stall = Duration::from_secs(1);
    let server = TestServer::with(options, 1);
    let mut client = server.greeted();
    client.send("big 50000000\n");
    until("the stalled connection goes", || server.seen.dropped.load(Ordering::SeqCst) == 1);
    assert_eq!(server.seen.eofs.load(Ordering::SeqCst), 1);
}

#[test]
fn the_end_of_input_is_told_after_what_came_before_it() {
    let server = TestServer::start(Tls::Never);
    let mut client = server.greeted();
    client.send("last\nunfinished");
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.line(), "last");
    assert_eq!(client.line(), "");
    assert_eq!(server.seen.eofs.load(Ordering::SeqCst), 1);
}

#[test]
fn a_hang_up_is_seen_while_the_machine_wants_no_input() {
    let server = TestServer::start(Tls::Never);
    let mut client = server.greeted();
    client.send("hold\n");
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.line(), "nobody there");
}

#[test]
fn a_reset_is_seen_behind_input_that_nobody_wants() {
    let server = TestServer::start(Tls::Never);
    let mut client = server.greeted();
    client.send("hold\n");
    client.send("big 9\n");
    client.send(&"x".repeat(100_000));
    let socket = rustix::net::sockopt::set_socket_linger(client.0.get_ref(), Some(Duration::ZERO));
    socket.unwrap();
    drop(client);
    until("the reset is seen", || server.seen.dropped.load(Ordering::SeqCst) == 1);
    assert_eq!(server.seen.eofs.load(Ordering::SeqCst), 1);
}

#[test]
fn input_is_offered_in_bounded_pieces() {
    let server = TestServer::start(Tls::Never);
    let mut client = server.greeted();
    let line = format!("{}\n", "y".repeat(99));
    let text = line.repeat(100_000);
    let mut writer = client.0.get_ref().try_clone().unwrap();
    let sender = std::thread::spawn(move || writer.write_all(text.as_bytes()).unwrap());
    for _ in 0..100_000 {
        assert_eq!(client.line().len(), 99);
    }
    sender.join().unwrap();
    assert!(server.seen.most_offered.load(Ordering::SeqCst) <= 64 * 1024);
}

#[test]
fn a_deadline_comes_and_a_later_one_too() {
    let server = TestServer::start(Tls::Never);
    let mut client = server.greeted();
    assert_eq!(client.ask("soon 100"), "time");
    client.send("soon 60000\n");
    assert_eq!(client.ask("soon 200"), "time", "an earlier one than what was armed");
    assert_eq!(client.ask("still here"), "still here");
}

#[test]
fn an_answer_from_another_thread_is_passed_on() {
    let server = TestServer::start(Tls::Never);
    let mut client = server.greeted();
    for _ in 0..5 {
        assert_eq!(client.ask("later"), "here it is");
    }
    client.send("later\n");
    assert_eq!(client.ask("meanwhile"), "meanwhile");
    assert_eq!(client.line(), "here it is");
}

#[test]
fn row_25_a_panic_ends_its_connection_and_nothing_else() {
    let server = TestServer::start(Tls::Never);
    let mut good = server.greeted();
    for _ in 0..10 {
        let mut bad = server.greeted();
        bad.send("panic\n");
        let mut rest = Vec::new();
        let _ = bad.0.read_to_end(&mut rest);
        assert_eq!(rest, b"");
    }
    assert_eq!(good.ask("alive"), "alive");
    until("all are dropped", || server.seen.dropped.load(Ordering::SeqCst) == 10);
    until("their tasks end", || server.runtime.tasks() == 2);
}

#[test]
fn stopping_says_goodbye_and_accepts_no_more() {
    let server = TestServer::start(Tls::Never);
    let mut clients: Vec<_> = (0..20).map(|_| server.greeted()).collect();
    assert_eq!(server.runtime.shut_down(Duration::from_secs(10)), 0, "all ended by themselves");
    for client in &mut clients {
        assert_eq!((client.line(), client.line()), ("going down".to_owned(), String::new()));
    }
    let refused = TcpStream::connect(server.addr).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn stopping_does_not_wait_for_ever() {
    let server = TestServer::start(Tls::Never);
    let mut client = server.greeted();
    client.send("big 50000000\n"); // and never reads it
    until("it is stuck", || server.seen.made.load(Ordering::SeqCst) == 1);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(server.runtime.shut_down(Duration::from_millis(300)), 1);
    assert_eq!(server.seen.dropped.load(Ordering::SeqCst), 1, "its machine is gone");
}

#[test]
fn unix_sockets_work_and_a_stale_one_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap()); // leaves its name behind
    let runtime = Runtime::start(1, Clock::new()).unwrap();
    let seen = Arc::new(Seen::default());
    let counted = Arc::clone(&seen);
    let listener = Listener::unix(&path, 0o600, None).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let options = Options::new("unix", Tls::Never);
    Server::new(&runtime, 1).listen(listener, options, move |_, peer| Echo::new(&counted, peer));
    let mut client = Client::new(UnixStream::connect(&path).unwrap());
    assert_eq!(client.line(), "hello tcp=false tls=false local=true sni=None alpn=None");
    assert_eq!(client.ask("one"), "one");
    client.send("big 3000000\n");
    let mut got = vec![0; 3_000_000];
    client.0.read_exact(&mut got).unwrap();
    assert_eq!(client.ask("two"), "two");
    let taken = Listener::unix(&path, 0o600, None).err().unwrap();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert_eq!(Listener::unix(&file, 0o600, None).err().unwrap().kind(), io::ErrorKind::AddrInUse);
    assert_eq!(runtime.shut_down(Duration::from_secs(10)), 0);
    assert!(!path.exists(), "its name goes with it");
}

#[test]
fn only_its_own_unix_socket_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = Listener::unix(&path, 0o600, None).unwrap();
    std::fs::remove_file(&path).unwrap();
    let other = Listener::unix(&path, 0o600, None).unwrap();
    drop(listener);
    UnixStream::connect(&path).unwrap();
    drop(other);
    assert!(!path.exists());
}

#[test]
fn many_connections_come_and_go() {
    let server = TestServer::start(Tls::Never);
    for round in 0..5 {
        let mut clients: Vec<_> = (0..100).map(|_| server.greeted()).collect();
        for (n, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.ask(&format!("{round} {n}")), format!("{round} {n}"));
        }
    }
    until("all are gone", || server.seen.dropped.load(Ordering::SeqCst) == 500);
    until("no task is left but the listener's", || server.runtime.tasks() == 1);
}
