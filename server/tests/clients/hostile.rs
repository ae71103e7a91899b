//! Hostile input to the assembled server; `row_NN` is its place in the project's list of hostile inputs.

use crate::harness::{Loft, client, configure, temporary};
use crate::tls::{Secure, config, imaps, shake, tcp};
use crate::wire::{Imap, Lmtp};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;

/// `loft serve` with these accounts.
fn serve(dir: &TempDir, users: &str, more: &str) -> Loft {
    fs::write(dir.path().join("users"), users).unwrap();
    configure(dir.path(), more);
    Loft::serve(dir)
}

/// Reads lines of plain text up to one that begins so.
fn read_until(stream: &mut TcpStream, begins: &str) -> String {
    let mut said = Vec::new();
    let mut byte = [0];
    loop {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.extend(byte);
        let text = String::from_utf8_lossy(&said);
        if text.ends_with('\n') && text.lines().any(|line| line.starts_with(begins)) {
            return text.into_owned();
        }
    }
}

/// Everything up to the end of the connection, whatever the end.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _reset = stream.read_to_end(&mut bytes);
    bytes
}

/// The two protocols with STARTTLS: address, how it is begun, and the line that says TLS may follow.
fn with_starttls(loft: &Loft) -> [(SocketAddr, &'static [u8], &'static str, &'static [u8]); 2] {
    [
        (loft.imap, b"a STARTTLS\r\n", "a OK", b"b NOOP\r\n"),
        (loft.lmtp, b"LHLO x\r\nSTARTTLS\r\n", "220 2.0.0", b"NOOP\r\n"),
    ]
}

fn contains(bytes: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(bytes).contains(text)
}

#[test]
fn row_01_what_is_said_before_the_handshake_is_never_heard_after_it() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let config = config(dir.path(), &[]);
    for (at, starttls, may_follow, noop) in with_starttls(&loft) {
        // In one segment, and it all ends.
        let mut stream = tcp(at);
        stream.write_all(&[starttls, noop].concat()).unwrap();
        let said = rest(stream);
        assert!(!contains(&said, "b OK") && !contains(&said, "Still here"), "{said:?}");

        // Just before the handshake, at once or after a moment, so that both are read together or one by one.
        for round in 0..40_u64 {
            let mut stream = tcp(at);
            stream.write_all(starttls).unwrap();
            read_until(&mut stream, may_follow);
            stream.write_all(noop).unwrap();
            std::thread::sleep(std::time::Duration::from_micros(round % 4 * 300));
            // What comes back is an alert or nothing; with an answer in plain text or in TLS it would be something else.
            assert!(shake(stream, &config, "localhost").is_err(), "round {round}");
        }
    }
    let mut stream = tcp(loft.imap);
    stream.write_all(b"a STARTTLS\r\n").unwrap();
    read_until(&mut stream, "a OK");
    let mut imap = shake(stream, &config, "localhost").unwrap();
    assert_eq!(imap.command("LOGIN u1 pw").unwrap().get(..4), Some("t OK"));
}

#[test]
fn row_02_nothing_is_carried_over_starttls() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let config = config(dir.path(), &[]);
    let mut stream = tcp(loft.imap);
    // An identity, half a log-in, and TLS.
    stream.write_all(b"a ID (\"name\" \"x\")\r\n").unwrap();
    read_until(&mut stream, "a OK");
    stream.write_all(b"b AUTHENTICATE LOGIN dTE=\r\n").unwrap();
    read_until(&mut stream, "+ ");
    stream.write_all(b"c STARTTLS\r\n").unwrap();
    read_until(&mut stream, "b BAD");
    stream.write_all(b"d STARTTLS\r\n").unwrap();
    read_until(&mut stream, "d OK");
    let mut imap = shake(stream, &config, "localhost").unwrap();
    // `pw` would have been the second half.
    imap.send(b"cHc=\r\n").unwrap();
    assert_eq!(imap.line().unwrap(), "cHc= BAD Unknown command");
    imap.send(b"e CAPABILITY\r\n").unwrap();
    let capabilities = imap.line().unwrap();
    assert!(capabilities.starts_with("* CAPABILITY") && !capabilities.contains("STARTTLS"));
    imap.line().unwrap();
    assert_eq!(imap.command("STARTTLS").unwrap(), "t BAD TLS is already active");
    assert!(imap.command("LOGIN u1 pw").unwrap().starts_with("t OK"));
    assert_eq!(imap.command("STARTTLS").unwrap(), "t BAD Already logged in");

    let mut stream = tcp(loft.lmtp);
    stream.write_all(b"LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<u1>\r\nSTARTTLS\r\n").unwrap();
    read_until(&mut stream, "220 2.0.0");
    let mut lmtp = shake(stream, &config, "localhost").unwrap();
    lmtp.send(b"RCPT TO:<u1>\r\n").unwrap();
    let reply = lmtp.line().unwrap();
    assert!(reply.starts_with("503"), "LHLO has to be said again: {reply}");
}

/// Bytes of memory that are the process's own now.
fn resident(loft: &Loft) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", loft.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn row_04_random_server_names_are_all_served_and_none_is_kept() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let config = config(dir.path(), &["imap"]);
    let session = |name: &str| {
        // Only the certificate is for `localhost`: with another name the client ends it, after the server's part.
        let mut stream = tcp(loft.imaps);
        let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
        let mut tls = rustls::ClientConnection::new(config.clone(), name).unwrap();
        while tls.is_handshaking() {
            if tls.complete_io(&mut stream).is_err() {
                return false;
            }
        }
        true
    };
    let name = |n: usize| format!("{}{n}.example.org", "x".repeat(n % 50));
    // The allocator's own arenas come first.
    (0..200).for_each(|n| assert!(!session(&name(n))));
    let before = resident(&loft);
    (200..800).for_each(|n| assert!(!session(&name(n))));
    let grown = resident(&loft).saturating_sub(before);
    assert!(grown < 1 << 20, "600 names left {grown} bytes");
    assert!(session("localhost"));
    let mut none = config.as_ref().clone();
    none.enable_sni = false;
    let mut imap = imaps(&loft, &std::sync::Arc::new(none)).unwrap();
    assert!(imap.line().unwrap().starts_with("* OK"));
}

#[test]
fn row_05_only_imap_is_spoken_and_nothing_is_reflected() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    for others in [&["http/1.1"][..], &["h2", "http/1.1"], &["IMAP"], &["imap4"], &["smtp"]] {
        let refused = imaps(&loft, &config(dir.path(), others)).err().unwrap();
        let text = refused.to_string();
        assert!(text.contains("NoApplicationProtocol"), "{others:?}: {text}");
    }
    for good in [&["imap"][..], &["h2", "imap"], &[]] {
        let mut imap = imaps(&loft, &config(dir.path(), good)).unwrap();
        assert_eq!(imap.0.get_ref().conn.alpn_protocol().is_some(), !good.is_empty());
        assert!(imap.line().unwrap().starts_with("* OK"));
        assert!(imap.command("NOOP").unwrap().starts_with("t OK"));
    }
    // A browser that was sent here has no ALPN that we see, and says what HTTP says.
    const EVIL: &str = "<script>alert(1)</script>";
    for request in [
        format!("GET /{EVIL} HTTP/1.1\r\nHost: {EVIL}\r\n\r\n"),
        format!("POST / HTTP/1.1\r\nHost: x\r\n\r\n{EVIL}\r\na LOGIN u1 pw\r\n"),
        format!("Host: {EVIL}\r\na NOOP\r\n"),
        format!("HEAD /{EVIL} HTTP/1.1\r\n"),
    ] {
        let mut imap = imaps(&loft, &config(dir.path(), &[])).unwrap();
        assert!(imap.line().unwrap().starts_with("* OK"));
        imap.send(request.as_bytes()).unwrap();
        // TLS says its end, and IMAP nothing.
        let said = imap.rest();
        let is_http = !request.starts_with("HEAD");
        assert!(!contains(&said, "script") && (said.is_empty() || !is_http), "{request}{said:?}");
    }
    // N errors in a row; what was wrong is not said back.
    let mut imap = imaps(&loft, &config(dir.path(), &[])).unwrap();
    for _ in 0..10 {
        imap.send(format!("x {EVIL}\r\n").as_bytes()).unwrap();
    }
    let said = imap.rest();
    assert!(contains(&said, "* BYE Too many syntax errors") && !contains(&said, "script"));
}

/// What LOGIN, AUTHENTICATE PLAIN and LMTP say to this name. The password is right for `alice` and for `bob`.
fn tried(loft: &Loft, name: &[u8], password: &str) -> Vec<String> {
    let mut imap = Imap::connect(loft.imap).unwrap();
    let mut line = format!("t LOGIN {{{}+}}\r\n", name.len()).into_bytes();
    line.extend_from_slice(name);
    line.extend_from_slice(format!(" \"{password}\"\r\n").as_bytes());
    imap.send(&line).unwrap();
    let login = imap.reply().unwrap().pop().unwrap();
    let plain = [b"\0", name, b"\0", password.as_bytes()].concat();
    let plain = base64(&plain);
    let plain = imap.command(&format!("AUTHENTICATE PLAIN {plain}")).unwrap().pop().unwrap();
    vec![login, plain]
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for n in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * n)) as usize & 63];
            text.push(if n <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

const USERS: &str = "alice:{PLAIN}secret\nbob:{PLAIN}secret\nadmin:{PLAIN}master\n";

const WRONG: &str = "t NO [AUTHENTICATIONFAILED] Wrong user name or password";

/// Tries to log in by each name, in vain, and gives what the log says of it.
fn nobody(names: &[&[u8]]) -> Vec<u8> {
    let dir = temporary();
    let loft = serve(&dir, USERS, "");
    for name in names {
        for password in ["secret", "' OR '1'='1", "*"] {
            for reply in tried(&loft, name, password) {
                assert_eq!(reply, WRONG, "{}", name.escape_ascii());
            }
        }
    }
    // The right ones still are, and get mail.
    let mut imap = Imap::connect(loft.imap).unwrap();
    imap.ok("LOGIN alice secret");
    assert!(loft.stop().success());
    let log = fs::read(dir.path().join("log")).unwrap();
    assert!(log.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')), "a control byte");
    assert!(!contains(&log, "panicked"));
    log
}

#[test]
fn row_14_names_that_are_no_utf_8_or_cut_off() {
    let log = nobody(&[
        b"alice\xff",
        b"\xffalice",
        b"\xc3",
        b"al\xc3\xa9\xc3",
        b"\xed\xa0\x80",
        b"\xf8\x88\x80\x80\x80",
        b"alice\xe2\x80\x8b",
        b"\xd0\xb0lice",
    ]);
    assert!(contains(&log, r"alice\xff") && contains(&log, r"al\xc3\xa9\xc3"));
}

#[test]
fn row_15_names_that_other_servers_expand() {
    let log = nobody(&[
        b"%u",
        b"%{user}",
        b"%{env:HOME}",
        b"$USER",
        b"${data_dir}",
        b"$HOME",
        b"%n@%d",
        b"{PLAIN}",
        b"%{alice}",
    ]);
    assert!(contains(&log, "%{env:HOME}") && contains(&log, "${data_dir}"));
}

#[test]
fn row_16_names_with_what_means_something_elsewhere() {
    let log = nobody(&[
        b"' OR '1'='1",
        b"alice' --",
        b"alice\"; DROP TABLE users; --",
        b"*)(uid=*))(|(uid=*",
        b"alice)(|(password=*)",
        b"a*",
        b"alice\\",
        b"al?ce",
        b"alice:{PLAIN}secret",
        b"alice\nbob",
        b"../alice",
        b"$(id)",
        b"`id`",
        b" alice",
        b"alice ",
        b"#",
    ]);
    assert!(contains(&log, r"alice\nbob") && !contains(&log, "uid=0"));
}

#[test]
fn row_22_no_separator_makes_a_master_of_anybody() {
    let dir = temporary();
    let loft = serve(&dir, USERS, "");
    for separator in ["*", "%", "/", "\\", "!", "#", "|", ",", ";", ":", "=", "\t", " ", "@"] {
        for (user, other) in [("alice", "bob"), ("bob", "admin"), ("admin", "alice")] {
            let name = format!("{user}{separator}{other}");
            for password in ["secret", "master"] {
                // `alice@bob` is alice at a domain, and so is `alice+bob` alice: with her own password.
                let own = password == if user == "admin" { "master" } else { "secret" };
                if separator == "@" && own {
                    continue;
                }
                for reply in tried(&loft, name.as_bytes(), password) {
                    assert_eq!(reply, WRONG, "{name}");
                }
            }
        }
    }
    for (name, password) in [("alice+*admin", "master"), ("alice+admin@admin", "master")] {
        for reply in tried(&loft, name.as_bytes(), password) {
            assert_eq!(reply, WRONG, "{name}");
        }
    }
    // As another, by PLAIN's authorization identity (RFC 4616 §2).
    for (as_whom, user, password) in
        [("alice", "bob", "secret"), ("alice", "admin", "master"), ("admin", "alice", "secret")]
    {
        let mut imap = Imap::connect(loft.imap).unwrap();
        let plain = base64(format!("{as_whom}\0{user}\0{password}").as_bytes());
        let reply = imap.command(&format!("AUTHENTICATE PLAIN {plain}")).unwrap().pop().unwrap();
        assert!(reply.starts_with("t NO [AUTHORIZATIONFAILED]"), "{reply}");
        let reply = imap.command("SELECT INBOX").unwrap().pop().unwrap();
        assert!(reply.starts_with("t BAD"), "{reply}");
    }
}

#[test]
fn row_15_no_value_of_the_configuration_is_expanded() {
    let dir = temporary();
    let data = dir.path().join("%u/${HOME}/$(id)");
    let text = format!(
        "version = 1\ndata_dir = '{}'\nhostname = \"mail.example.org\"\n[[listen]]\nservice = \"imap\"\n\
        address = \"127.0.0.1:0\"\n[[listen]]\nservice = \"imaps\"\naddress = \"127.0.0.1:0\"\n[[listen]]\n\
        service = \"lmtp\"\naddress = \"127.0.0.1:0\"\n[[auth.source]]\ndriver = \"passwd-file\"\npath = \"users\"\n",
        data.display()
    );
    fs::create_dir_all(data.parent().unwrap()).unwrap();
    fs::write(dir.path().join("loft.toml"), text).unwrap();
    fs::write(dir.path().join("users"), "alice:{PLAIN}%{user}\n").unwrap();
    let loft = Loft::serve(&dir);
    let mut imap = Imap::connect(loft.imap).unwrap();
    imap.ok("LOGIN alice \"%{user}\"");
    imap.append("INBOX", "Subject: x\r\n\r\n");
    assert!(data.join("users").is_dir());
}

#[test]
fn row_20_who_is_not_there_is_told_what_a_wrong_password_is_told() {
    let dir = temporary();
    let loft = serve(&dir, &format!("{USERS}locked:\n"), "");
    let replies: Vec<Vec<String>> = ["alice", "locked", "nobody", "nobody@example.org", "@", ""]
        .map(|name| tried(&loft, name.as_bytes(), "wrong"))
        .into();
    // No user at all is no message of PLAIN (RFC 4616 §2), whoever there is.
    let last = replies.last().unwrap();
    assert!(last[1].starts_with("t BAD"), "{last:?}");
    for reply in &replies[..5] {
        assert_eq!(*reply, replies[0]);
    }
    assert_eq!(last[0], replies[0][0]);
}

#[test]
fn row_24_an_address_that_a_client_claims_changes_nothing() {
    let dir = temporary();
    let loft = serve(&dir, USERS, "[limits.imap]\nlogin_failures = 3\n");
    let mut imap = Imap::connect(loft.imap).unwrap();
    for field in ["x-originating-ip", "x-connected-ip", "x-proxy-ttl", "x-forward-user"] {
        imap.ok(&format!("ID (\"{field}\" \"203.0.113.77\" \"x-originating-port\" \"1\")"));
    }
    let reply = imap.command("LOGIN nobody wrong").unwrap().pop().unwrap();
    assert!(reply.starts_with("t NO"), "{reply}");
    let reply = imap.command("XCLIENT ADDR=203.0.113.77 LOGIN=alice").unwrap().pop().unwrap();
    assert!(reply.starts_with("t BAD"), "{reply}");
    imap.ok("LOGIN alice secret");
    // More fields than RFC 2971 §3.3 allows.
    let many = "\"x-originating-ip\" \"203.0.113.77\" ".repeat(31);
    let reply = imap.command(&format!("ID ({})", many.trim_end())).unwrap().pop().unwrap();
    assert!(reply.starts_with("t BAD [LIMIT]"), "{reply}");

    let mut lmtp = Lmtp::connect(loft.lmtp).unwrap();
    lmtp.send(b"XCLIENT ADDR=203.0.113.77 LOGIN=alice\r\n").unwrap();
    let reply = lmtp.reply().unwrap();
    assert!(reply.starts_with("502"), "{reply}");
    lmtp.deliver(&["alice"], "Subject: x\r\n\r\n").unwrap();
    let fetched = imap.ok("SELECT INBOX").len() + imap.ok("FETCH 1 BODY[HEADER]").len();
    assert!(fetched > 4);
    let header = imap.ok("FETCH 1 BODY[HEADER]").join("\n");
    assert!(header.contains("([127.0.0.1])") && !header.contains("203.0.113.77"), "{header}");
    // And not for ever.
    let mut lmtp = Lmtp::connect(loft.lmtp).unwrap();
    let flood = b"XCLIENT ADDR=203.0.113.77\r\n".repeat(100);
    let _closed = lmtp.send(&flood);
    let replies = lmtp.rest();
    assert_eq!(replies.matches("502").count(), 21, "{replies}");
    assert!(replies.contains("421 4.7.0 Too many errors"), "{replies}");
    let log = loft.log();
    assert!(log.contains("peer=\"127.0.0.1:") && !log.contains("203.0.113.77"), "{log}");
}

#[test]
fn row_28_there_is_no_renegotiation_and_no_early_data() {
    let dir = temporary();
    // OpenSSL's client waits for the renegotiation until the connection ends.
    let loft = serve(&dir, USERS, "[limits.imap]\nlogin_time = \"3 s\"\n");
    // The client would send early data if the ticket of the first session allowed any.
    let config = config(dir.path(), &["imap"]);
    for _ in 0..2 {
        let mut imap = imaps(&loft, &config).unwrap();
        assert!(imap.line().unwrap().starts_with("* OK"));
        assert!(imap.command("NOOP").unwrap().starts_with("t OK"));
        assert!(imap.command("LOGOUT").unwrap().starts_with("t OK"));
        assert!(!imap.0.get_ref().conn.is_early_data_accepted());
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut next = rustls::ClientConnection::new(config.clone(), name).unwrap();
        assert!(next.early_data().is_none());
        drop::<Secure>(imap);
    }

    let Some(mut openssl) = client("openssl") else { return };
    openssl.args(["s_client", "-tls1_2", "-crlf", "-connect", &loft.imaps.to_string()]);
    openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = openssl.spawn().unwrap();
    let (mut stdin, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut said = Vec::new();
    let mut byte = [0];
    while !contains(&said, "Loft ready") {
        assert_eq!(out.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.extend(byte);
    }
    // Asks for it, which is TLS 1.2's alone.
    stdin.write_all(b"R\n").unwrap();
    let ended = child.wait_with_output().unwrap();
    drop(stdin);
    let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(errors.contains("RENEGOTIATING"), "{errors}");
    assert!(errors.contains("no renegotiation") || errors.contains("unexpected"), "{errors}");
}

/// The bytes of all files under `path`.
fn bytes_below(path: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    let mut entries: Vec<_> =
        fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            all.extend(bytes_below(&path));
        } else if path.is_file() {
            all.extend(fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn row_59_keywords_are_few_and_refusals_write_nothing() {
    let dir = temporary();
    let loft = serve(&dir, USERS, "[limits.imap]\nkeywords = 20\n");
    let mut imap = Imap::connect(loft.imap).unwrap();
    imap.ok("LOGIN alice secret");
    imap.append("INBOX", "Subject: x\r\n\r\n");
    imap.ok("SELECT INBOX");
    let words =
        |from: usize, to: usize| (from..to).map(|n| format!("k{n}")).collect::<Vec<_>>().join(" ");
    // A mailbox knows 64, of which a command may name 20.
    for from in [0, 20, 40] {
        imap.ok(&format!("STORE 1 +FLAGS ({})", words(from, from + 20)));
    }
    imap.ok(&format!("STORE 1 +FLAGS ({})", words(60, 64)));
    let before = bytes_below(&dir.path().join("data"));
    for n in 0..300 {
        for (command, refused) in [
            (format!("STORE 1 +FLAGS ({})", words(0, 21)), "t BAD [LIMIT]"),
            (format!("STORE 1 +FLAGS (new{n})"), "t NO [LIMIT]"),
            (format!("STORE 1 FLAGS.SILENT (k1 k2 new{n})"), "t NO [LIMIT]"),
            (format!("STORE 1 +FLAGS ({})", "x".repeat(5000)), "t "),
        ] {
            let reply = imap.command(&command).unwrap().pop().unwrap();
            assert!(reply.starts_with(refused) && !reply.starts_with("t OK"), "{command}: {reply}");
        }
        let reply = imap.try_append(&format!("INBOX (new{n})"), "Subject: x\r\n\r\n").unwrap();
        assert!(reply.last().unwrap().starts_with("t NO [LIMIT]"), "{reply:?}");
        // METADATA (RFC 5464) is not offered.
        let reply = imap.command("SETMETADATA INBOX (/private/comment \"x\")").unwrap();
        assert!(reply.last().unwrap().starts_with("t BAD"), "{reply:?}");
        if n % 8 == 0 {
            imap.ok("NOOP");
        }
    }
    let after = bytes_below(&dir.path().join("data"));
    assert!(before == after, "{} bytes were {}, or other ones", after.len(), before.len());
}
