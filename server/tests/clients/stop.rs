//! The graceful stop.

use crate::harness::{Loft, temporary};
use crate::wire::{Imap, Lmtp};
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn a_stop_says_goodbye_to_everyone_and_loses_nothing() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let stranger = Imap::connect(loft.imap).unwrap();
    let mut idle = Imap::log_in(loft.imap, "u1");
    idle.ok("SELECT INBOX");
    idle.send(b"t IDLE\r\n").unwrap();
    assert!(idle.line().unwrap().starts_with('+'));
    let mut lmtp = Lmtp::connect(loft.lmtp).unwrap();
    assert!(lmtp.deliver(&["u1"], "Subject: x\r\n\r\nbody\r\n").unwrap()[0].starts_with("250"));
    assert!(idle.line().unwrap().ends_with("1 EXISTS"));

    let begun = Instant::now();
    loft.ask_to_stop();
    assert!(stranger.rest().contains("* BYE"));
    assert!(idle.rest().contains("* BYE"));
    assert!(lmtp.rest().starts_with("421"));
    assert!(loft.ended().success());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());

    let loft = Loft::start(&dir);
    assert!(Imap::log_in(loft.imap, "u1").ok("STATUS INBOX (MESSAGES)")[0].contains("MESSAGES 1"));
}

#[test]
fn a_delivery_under_way_at_the_stop_is_answered_or_not_made() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let mut lmtp = Lmtp::connect(loft.lmtp).unwrap();
    lmtp.send(b"MAIL FROM:<>\r\nRCPT TO:<u1>\r\nDATA\r\n").unwrap();
    for code in ["250", "250", "354"] {
        assert!(lmtp.reply().unwrap().starts_with(code));
    }
    lmtp.send(b"Subject: x\r\n\r\n").unwrap();
    loft.ask_to_stop();
    loft.wait_for_log("stopping");
    lmtp.send(b"body\r\n.\r\n").unwrap();
    let stored = lmtp.rest().lines().filter(|line| line.starts_with("250")).count();
    assert!(loft.ended().success());
    let loft = Loft::start(&dir);
    let status = Imap::log_in(loft.imap, "u1").ok("STATUS INBOX (MESSAGES)");
    assert!(status[0].contains(&format!("MESSAGES {stored}")), "{stored} acknowledged, {status:?}");
}

#[test]
fn a_silent_client_does_not_delay_the_stop_for_ever() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    // Half a handshake: no goodbye can be said to it.
    let mut half = TcpStream::connect(loft.imaps).unwrap();
    let begun = Instant::now();
    assert!(loft.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let mut rest = Vec::new();
    let _reset = half.read_to_end(&mut rest);
    assert!(rest.is_empty());
}
