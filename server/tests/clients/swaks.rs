//! swaks, which tests mail servers.

use crate::harness::{Loft, client, output, run, temporary};
use crate::wire::Imap;
use std::process::Command;

fn swaks() -> Option<Command> {
    let mut swaks = client("swaks")?;
    swaks.args(["--protocol", "LMTP", "--from", "me@example.org", "--timeout", "60"]);
    Some(swaks)
}

#[test]
fn deliveries_over_tcp_and_tls() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let Some(mut plain) = swaks() else { return };
    let server = loft.lmtp.to_string();
    plain.args(["--server", &server, "--to", "u1@example.org,u2@example.org"]);
    let said = String::from_utf8(run(plain.args(["--body", "by swaks"]))).unwrap();
    assert_eq!(said.matches("250 2.0.0 Stored as").count(), 2, "{said}");
    for capability in ["PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SIZE", "CHUNKING"] {
        assert!(said.contains(capability), "no {capability} in {said}");
    }
    let mut pipelined = swaks().unwrap();
    pipelined.args(["--server", &server, "--to", "u1", "--pipeline", "--tls"]);
    let said = String::from_utf8(run(&mut pipelined)).unwrap();
    assert!(said.contains("TLS started"), "{said}");
    let mut imap = Imap::log_in(loft.imap, "u1");
    imap.ok("SELECT INBOX");
    assert!(imap.ok("FETCH 1 BODY.PEEK[TEXT]").contains(&"by swaks".to_owned()));
    assert!(imap.ok("FETCH 2 BODY.PEEK[HEADER]").iter().any(|line| line.contains("with LMTPS id")));
    let status = Imap::log_in(loft.imap, "u2").ok("STATUS INBOX (MESSAGES)");
    assert!(status[0].contains("MESSAGES 1"), "{status:?}");
}

#[test]
fn a_delivery_over_a_unix_socket_and_one_for_nobody() {
    let dir = temporary();
    let socket = dir.path().join("lmtp");
    let loft = Loft::start_on(&dir, &socket);
    let Some(mut swaks) = swaks() else { return };
    let said = output(swaks.arg("--socket").arg(&socket).args(["--to", "nobody@example.org,u1"]));
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.contains("550 5.1.1 No such mailbox"), "{text}");
    assert!(text.contains("250 2.0.0 Stored as"), "{text}");
    let mut imap = Imap::log_in(loft.imap, "u1");
    imap.ok("SELECT INBOX");
    let header = imap.ok("FETCH 1 BODY.PEEK[HEADER]");
    // Nothing is known of where it came from but what it said.
    let from = header.iter().find(|line| line.starts_with("Received: from ")).unwrap();
    assert!(!from.contains('['), "{from}");
}
