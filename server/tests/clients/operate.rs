//! A running server as who runs it sees it: `loft status`, `loft session`, systemd, logs, the stop.

use crate::harness::{
    Loft, command, command_but, configure, noise, output, run, serve_command, temporary,
};
use crate::wire::{Imap, Lmtp};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::linux::fs::MetadataExt;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `loft ARGS --data DIR/data`.
fn loft(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loft"));
    command.args(args).arg("--data").arg(dir.join("data"));
    command
}

fn status(dir: &Path) -> Value {
    serde_json::from_slice(&run(&mut loft(dir, &["status", "--json"]))).unwrap()
}

/// All sessions.
fn sessions(dir: &Path) -> Vec<Value> {
    let lines = run(&mut loft(dir, &["session", "list", "--json"]));
    let lines = String::from_utf8(lines).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits until `holds`: what was sent takes its time to arrive.
fn wait_for(dir: &Path, holds: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let begun = Instant::now();
    loop {
        let sessions = sessions(dir);
        if holds(&sessions) {
            return sessions;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{sessions:#?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn status_counts_what_happens() {
    let dir = temporary();
    let server = Loft::start(&dir);
    let mut imap = Imap::log_in(server.imap, "u1");
    imap.append("INBOX", "Subject: x\r\n\r\n");
    let mut wrong = Imap::connect(server.imap).unwrap();
    assert!(wrong.command("LOGIN u1 wrong").unwrap().pop().unwrap().contains(" NO "));
    let mut lmtp = Lmtp::connect(server.lmtp).unwrap();
    assert_eq!(lmtp.deliver(&["u1", "u2"], "Subject: y\r\n\r\n").unwrap().len(), 2);
    lmtp.send(b"MAIL FROM:<>\r\nRCPT TO:<u99>\r\nRSET\r\n").unwrap();
    for code in ["250", "550", "250"] {
        assert!(lmtp.reply().unwrap().starts_with(code));
    }

    let told = status(dir.path());
    assert_eq!(told["pid"], server.pid());
    assert_eq!(told["logins"]["accepted"], 1);
    assert_eq!(told["logins"]["refused"], 1);
    assert_eq!(told["mail"]["accepted"], 1);
    assert_eq!(told["mail"]["deliveries"], 2);
    assert_eq!(told["mail"]["unknown_recipients"], 1);
    assert_eq!(told["mail"]["appended"], 1);
    assert_eq!(told["accounts"], 10);
    assert_eq!(told["accounts_loaded"], 2);
    assert_eq!(told["sessions"]["imap"]["login"], 1);
    assert_eq!(told["sessions"]["lmtp"]["ready"], 1);
    assert_eq!(told["sessions_begun"], 3);
    assert!(told["journal"]["changes"].as_u64().unwrap() >= 4, "{told}");
    assert!(told["disk"]["free"].as_u64().unwrap() > 0);
    let text = String::from_utf8(run(&mut loft(dir.path(), &["status"]))).unwrap();
    assert!(text.contains("log-ins     1 right, 1 wrong"), "{text}");
}

#[test]
fn sessions_are_listed_and_ended_at_a_command_boundary() {
    let dir = temporary();
    let server = Loft::start(&dir);
    let mut idle = Imap::log_in(server.imap, "u1");
    idle.ok("CREATE Lists/Rust");
    idle.ok("SELECT Lists/Rust");
    idle.send(b"t IDLE\r\n").unwrap();
    assert!(idle.line().unwrap().starts_with('+'));
    let other = Imap::log_in(server.imap, "u1");
    let mut stays = Imap::log_in(server.imap, "u2");
    stays.ok("EXAMINE INBOX");
    let mut lmtp = Lmtp::connect(server.lmtp).unwrap();
    lmtp.send(b"MAIL FROM:<>\r\nRCPT TO:<u1>\r\n").unwrap();
    assert!(lmtp.reply().unwrap().starts_with("250") && lmtp.reply().unwrap().starts_with("250"));

    let all = wait_for(dir.path(), |all| all.iter().any(|one| one["state"] == "envelope"));
    let states: Vec<&str> = all.iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["idle", "authenticated", "selected", "envelope"]);
    assert_eq!(all[0]["user"], "u1");
    assert_eq!(all[0]["mailbox"], "Lists/Rust");
    assert_eq!((&all[1]["mailbox"], &all[0]["tls"]), (&Value::Null, &Value::Bool(false)));
    assert!(all[0]["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    let text = String::from_utf8(run(&mut loft(dir.path(), &["session", "list"]))).unwrap();
    assert!(text.lines().next().unwrap().starts_with("ID ") && text.lines().count() == 5, "{text}");

    let id = all[3]["id"].as_str().unwrap();
    run(&mut loft(dir.path(), &["session", "kick", id]));
    assert_eq!(lmtp.rest(), "421 4.3.2 Session ended by the administrator\r\n");
    run(&mut loft(dir.path(), &["session", "kick", "--user", "U1"]));
    for ended in [idle, other] {
        assert_eq!(ended.rest(), "* BYE Session ended by the administrator\r\n");
    }
    stays.ok("NOOP");
    let left = wait_for(dir.path(), |all| all.len() == 1);
    assert_eq!(left[0]["user"], "u2");
    // The log names them as the list does.
    server.wait_for_log(&format!("session={id}"));
    for (args, said) in [
        (["session", "kick", id], format!("no session is called {id:?}; `loft session list`")),
        (["session", "kick", "--user=u3"], "u3 has no session; `loft session list`".to_owned()),
    ] {
        let ended = output(&mut loft(dir.path(), &args));
        let text = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.code() == Some(1) && text.contains(&said), "{text}");
    }
}

#[test]
fn a_session_in_tls_says_so() {
    let dir = temporary();
    let server = Loft::start(&dir);
    // A handshake is needed for it to be a session: until then it is a connection alone.
    let _half = TcpStream::connect(server.imaps).unwrap();
    assert!(sessions(dir.path()).is_empty());
    let Some(mut curl) = crate::harness::client("curl") else { return };
    let url = format!("imaps://127.0.0.1:{}/INBOX", server.imaps.port());
    let idle = ["--silent", "--insecure", "--user", "u1:pw", "-X", "IDLE", "--max-time", "20"];
    let mut curl = curl.args(idle).arg(url).stdout(Stdio::null()).spawn().unwrap();
    let all = wait_for(dir.path(), |all| all.iter().any(|one| one["user"] == "u1"));
    assert_eq!((&all[0]["service"], &all[0]["tls"]), (&"imaps".into(), &true.into()));
    curl.kill().unwrap();
    curl.wait().unwrap();
}

#[test]
fn without_a_server_the_operator_is_told_what_to_do() {
    let dir = temporary();
    let refused = |args: &[&str]| {
        let ended = output(&mut loft(dir.path(), args));
        assert_eq!(ended.status.code(), Some(1));
        String::from_utf8(ended.stderr).unwrap()
    };
    let data = dir.path().join("data").display().to_string();
    let none = format!("loft: no server runs on {data}; start it with `loft serve --config FILE`");
    assert!(refused(&["status"]).starts_with(&none), "{}", refused(&["status"]));
    // What a killed server leaves is no server.
    Loft::start(&dir).kill();
    assert!(dir.path().join("data/control").exists());
    assert!(refused(&["session", "list"]).starts_with(&none));
    let server = Loft::start(&dir);
    assert_eq!(status(dir.path())["pid"], server.pid());
    assert!(server.stop().success());
    assert!(!dir.path().join("data/control").exists());

    let mut named = Command::new(env!("CARGO_BIN_EXE_loft"));
    let said = output(named.args(["status", "--config"]).arg(dir.path().join("none.toml")));
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("cannot read") && said.contains("with --data"), "{said}");
}

#[test]
fn a_path_of_any_length_can_be_asked() {
    let dir = temporary();
    let deep = dir.path().join("deep".repeat(20)).join("deeper".repeat(20));
    fs::create_dir_all(&deep).unwrap();
    let mut server = command(&deep);
    let mut server = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert_eq!(status(&deep)["accounts"], 10);
    server.kill().unwrap();
    server.wait().unwrap();
}

/// What comes back for bytes on the control socket.
fn control(dir: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(dir.join("data/control")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let _closed = stream.write_all(bytes);
    let _closed = stream.shutdown(Shutdown::Write);
    let mut said = String::new();
    let _reset = stream.read_to_string(&mut said);
    said
}

#[test]
fn the_control_socket_is_for_its_user_alone_and_takes_no_nonsense() {
    let dir = temporary();
    let server = Loft::start(&dir);
    let path = dir.path().join("data/control");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for (bytes, said) in [
        (&b"{}\n"[..], "that is no request: missing field"),
        (b"{\"version\":1,\"command\":\"reboot\"}\n", "that is no request: unknown variant"),
        (b"{\"version\":2,\"command\":\"status\"}\n", "speaks version 1 of the control protocol"),
        (b"\xff\xfe\x00\n", "that is no request"),
        (&[b'x'; 5000], "a request has 4096 bytes at most"),
    ] {
        let reply = control(dir.path(), bytes);
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert!(reply["error"].as_str().unwrap().contains(said), "{reply}");
    }
    assert_eq!(control(dir.path(), b"{\"version\":1,"), "");
    // Those that ask nothing hold up nobody, and are counted.
    let mut silent: Vec<UnixStream> =
        (0..17).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let told: Vec<String> = silent
        .iter_mut()
        .map(|stream| {
            stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
            let mut said = String::new();
            let _nothing_yet = stream.read_to_string(&mut said);
            said
        })
        .filter(|said| !said.is_empty())
        .collect();
    assert!(told.len() == 1 && told[0].contains("too many are asking at once"), "{told:?}");
    Imap::log_in(server.imap, "u1").ok("NOOP");
    drop(silent);
    let begun = Instant::now();
    while !output(&mut loft(dir.path(), &["status"])).status.success() {
        assert!(begun.elapsed() < Duration::from_secs(10), "they are never given up");
    }
}

#[test]
fn logs_can_be_json() {
    let dir = temporary();
    fs::write(dir.path().join("users"), "alice:{PLAIN}secret\n").unwrap();
    configure(dir.path(), "[log]\nformat = \"json\"\nlevel = \"debug\"\n");
    let server = Loft::serve(&dir);
    let mut imap = Imap::connect(server.imap).unwrap();
    imap.ok("LOGIN alice secret");
    let mut evil = Imap::connect(server.imap).unwrap();
    evil.send(b"t LOGIN {9+}\r\na\x1b[2J\xff\r\nb {1+}\r\nx\r\n").unwrap();
    evil.reply().unwrap();
    server.wait_for_log("log-in failed");
    assert!(server.stop().success());
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    let found = |message: &str| {
        lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("{log}"))
    };
    let line = found("logged in");
    assert_eq!((&line["level"], &line["account"]), (&"INFO".into(), &"alice".into()));
    assert!(line["span"]["session"].is_string() && line["timestamp"].is_string(), "{line}");
    assert_eq!(found("connected")["level"], "DEBUG");
    assert_eq!(found("log-in failed")["user"], r"a\x1b[2J\xff\r\nb");
    assert!(!log.contains('\x1b') && !log.contains("secret"), "{log}");
}

/// A service manager that listens at `name`.
fn manager(name: &SocketAddr) -> UnixDatagram {
    let socket = UnixDatagram::bind_addr(name).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

fn heard(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 1000];
    let n = manager.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..n].to_vec()).unwrap()
}

#[test]
fn systemd_is_told_of_start_reload_stop_and_life() {
    for abstract_name in [true, false] {
        let dir = temporary();
        fs::write(dir.path().join("users"), "alice:{PLAIN}secret\n").unwrap();
        configure(dir.path(), "");
        let path = dir.path().join("notify").display().to_string();
        let (name, address) = if abstract_name {
            let name = format!("loft-notify-{}", std::process::id());
            (format!("@{name}"), SocketAddr::from_abstract_name(name).unwrap())
        } else {
            (path.clone(), SocketAddr::from_pathname(&path).unwrap())
        };
        let manager = manager(&address);
        let mut command = serve_command(dir.path());
        command.env("NOTIFY_SOCKET", name).env("WATCHDOG_USEC", "300000");
        let server = Loft::start_by(command, &dir);
        let (mut ready, mut alive) = (0, 0);
        while ready == 0 || alive < 3 {
            match heard(&manager) {
                text if text.starts_with("READY=1\nSTATUS=serving\nMAINPID=") => ready += 1,
                text => {
                    assert_eq!(text, "WATCHDOG=1");
                    alive += 1;
                }
            }
        }
        let next = || loop {
            let text = heard(&manager);
            if text != "WATCHDOG=1" {
                return text;
            }
        };
        server.ask_to_reload();
        let text = next();
        // systemd compares it with its own clock: microseconds since the machine was booted.
        let micros: u64 =
            text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse().unwrap();
        let uptime = fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        assert!((micros as f64 / 1e6 - uptime).abs() < 60.0, "{micros} {uptime}");
        assert!(next().starts_with("READY=1"));
        assert!(server.stop().success());
        assert!(next().starts_with("STOPPING=1"));
    }
}

/// `loft serve` as systemd starts it that listens on two sockets: they are its descriptors 3 and 4.
fn activated(dir: &Path, first: OwnedFd, second: OwnedFd, names: &str) -> Command {
    let mut shell = Command::new("sh");
    // A command can be given three descriptors; the shell moves two of them.
    shell.stdin(Stdio::from(first)).stderr(Stdio::from(second)).stdout(Stdio::piped());
    let script =
        "exec 3<&0 4<&2 0</dev/null 2>>\"$LOG\"; export LISTEN_PID=$$ LISTEN_FDS=2; exec \"$@\"";
    shell
        .arg("-c")
        .arg(script)
        .arg("sh")
        .arg(env!("CARGO_BIN_EXE_loft"))
        .args(["serve", "--config"]);
    shell.arg(dir.join("loft.toml")).env("LISTEN_FDNAMES", names).env("LOG", dir.join("log"));
    shell
}

/// The configuration of [`configure`], but for where IMAP and LMTP listen.
fn configure_activated(dir: &Path, imap: &str, lmtp: &str) {
    configure(dir, "");
    let text = fs::read_to_string(dir.join("loft.toml")).unwrap();
    let text = text.replacen("127.0.0.1:0", imap, 1);
    let lmtp_line = "service = \"lmtp\"\naddress = \"127.0.0.1:0\"";
    let text = text.replace(lmtp_line, &format!("service = \"lmtp\"\naddress = \"{lmtp}\""));
    fs::write(dir.join("loft.toml"), text).unwrap();
    fs::write(dir.join("users"), "alice:{PLAIN}secret\n").unwrap();
}

#[test]
fn systemd_passes_the_sockets() {
    let dir = temporary();
    configure_activated(dir.path(), "systemd:imap", "systemd:lmtp");
    let imap = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = imap.local_addr().unwrap();
    let path = dir.path().join("lmtp");
    let lmtp = UnixListener::bind(&path).unwrap();
    // It waits there before the server runs.
    let mut early = BufReader::new(TcpStream::connect(at).unwrap());
    let command = activated(dir.path(), imap.into(), lmtp.into(), "imap:lmtp");
    let server = Loft::start_as(command, &dir);
    assert_eq!(server.imap, at);
    let mut greeting = String::new();
    early.read_line(&mut greeting).unwrap();
    assert!(greeting.starts_with("* OK"), "{greeting}");
    Imap::connect(at).unwrap().ok("LOGIN alice secret");
    let mut stream = BufReader::new(UnixStream::connect(&path).unwrap());
    greeting.clear();
    stream.read_line(&mut greeting).unwrap();
    assert!(greeting.starts_with("220 mail.example.org LMTP"), "{greeting}");
    assert!(server.stop().success());
    assert!(path.exists(), "it is systemd's to remove");
}

#[test]
fn what_systemd_does_not_pass_is_named() {
    let dir = temporary();
    configure_activated(dir.path(), "systemd:imap", "systemd:lmpt");
    let socket = || TcpListener::bind("127.0.0.1:0").unwrap().into();
    let mut command = activated(dir.path(), socket(), socket(), "imap:lmtp");
    assert_eq!(command.status().unwrap().code(), Some(1));
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    let said = "systemd passes no socket with FileDescriptorName=lmpt";
    assert!(log.contains(said) && log.contains("the [[listen]] of"), "{log}");
    // LMTP on all addresses is for those that are named.
    let dir = temporary();
    configure_activated(dir.path(), "systemd:imap", "systemd:lmtp");
    let here = TcpListener::bind("127.0.0.1:0").unwrap();
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    let mut command = activated(dir.path(), here.into(), everywhere.into(), "imap:lmtp");
    assert_eq!(command.status().unwrap().code(), Some(1));
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("LMTP knows no log-in, and systemd listens for it on 0.0.0.0:"), "{log}");
}

#[test]
fn a_second_signal_ends_at_once_and_costs_nothing() {
    let dir = temporary();
    let server = Loft::start(&dir);
    let mut imap = Imap::log_in(server.imap, "u1");
    imap.append("INBOX", "Subject: x\r\n\r\n");
    // It says nothing, and would be waited for.
    let _half = TcpStream::connect(server.imaps).unwrap();
    server.ask_to_stop();
    server.wait_for_log("stopping");
    let begun = Instant::now();
    let ended = server.stop();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(ended.code(), Some(1));
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(log.contains("asked a second time to stop"), "{log}");
    let server = Loft::start(&dir);
    let status = Imap::log_in(server.imap, "u1").ok("STATUS INBOX (MESSAGES)");
    assert!(status[0].contains("MESSAGES 1"), "{status:?}");
}

#[test]
fn a_socket_has_its_owner_and_mode_before_anybody_can_connect() {
    let dir = temporary();
    fs::write(dir.path().join("users"), "alice:{PLAIN}secret\n").unwrap();
    let metadata = fs::metadata(dir.path()).unwrap();
    let (uid, gid) = (metadata.st_uid(), metadata.st_gid());
    // Only root gives a file away; everybody may give it to himself.
    let (user, group) = if uid == 0 { (65534, 65534) } else { (uid, gid) };
    configure(dir.path(), "");
    let path = dir.path().join("loft.toml");
    let socket = dir.path().join("lmtp");
    let text = fs::read_to_string(&path).unwrap().replace(
        "service = \"lmtp\"\naddress = \"127.0.0.1:0\"",
        &format!(
            "service = \"lmtp\"\naddress = \"unix:{}\"\nmode = 0o620\nowner = \"{user}:{group}\"",
            socket.display()
        ),
    );
    fs::write(&path, text).unwrap();
    let server = Loft::serve(&dir);
    let found = fs::metadata(&socket).unwrap();
    assert_eq!((found.st_uid(), found.st_gid()), (user, group));
    assert_eq!(found.permissions().mode() & 0o777, 0o620);
    assert!(server.stop().success());
}

#[test]
fn of_two_servers_on_one_stale_socket_one_is_refused() {
    for _ in 0..3 {
        let dir = temporary();
        let socket = dir.path().join("lmtp");
        drop(UnixListener::bind(&socket).unwrap());
        let mut both: Vec<_> = ["a", "b"]
            .map(|name| {
                fs::create_dir(dir.path().join(name)).unwrap();
                let mut server = command_but(&dir.path().join(name), "--lmtp");
                server.arg("--lmtp").arg(format!("unix:{}", socket.display()));
                server.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .into();
        let ready: Vec<bool> = both
            .iter_mut()
            .map(|server| {
                let mut line = String::new();
                BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
                line.starts_with("ready ")
            })
            .collect();
        assert_eq!(ready.iter().filter(|ready| **ready).count(), 1, "{ready:?}");
        assert!(UnixStream::connect(&socket).is_ok(), "the one that serves has the socket");
        for server in &mut both {
            let _gone = server.kill();
            server.wait().unwrap();
        }
    }
}

#[test]
fn systemd_understands_the_units_of_the_guide() {
    let Ok(analyze) = fs::canonicalize("/usr/bin/systemd-analyze") else { return };
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide/systemd.md");
    let guide = fs::read_to_string(guide).unwrap();
    let mut units = guide.split("```ini\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let dir = temporary();
    let service = units.next().unwrap().replace("/usr/local/bin/loft", env!("CARGO_BIN_EXE_loft"));
    fs::write(dir.path().join("loft.service"), service).unwrap();
    fs::write(dir.path().join("loft.socket"), units.next().unwrap()).unwrap();
    let mut analyze = Command::new(analyze);
    analyze.args(["verify", "--man=no"]).args(["loft.service", "loft.socket"]);
    let said = output(analyze.current_dir(dir.path()));
    let text = String::from_utf8(said.stderr).unwrap();
    // Of other units it may say what it likes.
    assert!(said.status.success() && !text.contains("loft."), "{text}");
}

#[test]
fn a_restart_with_many_mailboxes_open_is_quick() {
    const MAILBOXES: usize = 300;
    let dir = temporary();
    let mut server = Loft::start(&dir);
    let mut imap = Imap::log_in(server.imap, "u1");
    for n in 0..20 {
        imap.append("INBOX", &format!("Subject: {n}\r\n\r\n{}\r\n", "text ".repeat(100)));
    }
    imap.ok("SELECT INBOX");
    for n in 0..MAILBOXES {
        imap.ok(&format!("CREATE M{n}"));
        imap.ok(&format!("COPY 1:* M{n}"));
    }
    for killed in [false, true] {
        let open: Vec<Imap> = (0..MAILBOXES)
            .map(|n| {
                let mut imap = Imap::log_in(server.imap, "u1");
                imap.ok(&format!("SELECT M{n}"));
                imap.ok("STORE 1 FLAGS.SILENT (again)");
                imap
            })
            .collect();
        let begun = Instant::now();
        if killed {
            server.kill();
        } else {
            assert!(server.stop().success());
        }
        server = Loft::start(&dir);
        let lines = Imap::log_in(server.imap, "u1").ok("SELECT M7");
        let taken = begun.elapsed();
        assert!(lines.iter().any(|line| line == "* 20 EXISTS"), "{lines:?}");
        eprintln!("{MAILBOXES} mailboxes open, killed: {killed}: {taken:?} to the first SELECT");
        // A second is what it is to take with 1,000 on a machine that does nothing else; tests share theirs.
        assert!(taken < Duration::from_secs(4), "{taken:?}");
        drop(open);
    }
}

/// The first file below `dir` that has this name.
fn find(dir: &Path, name: &str) -> Option<std::path::PathBuf> {
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let found = if path.is_dir() { find(&path, name) } else { None };
        if let Some(found) = found.or_else(|| (entry.file_name() == *name).then_some(path)) {
            return Some(found);
        }
    }
    None
}

#[test]
fn mailboxes_are_checked_with_and_without_a_server() {
    let dir = temporary();
    let server = Loft::start(&dir);
    let mut imap = Imap::log_in(server.imap, "u1");
    for subject in ["one", "two", "three"] {
        imap.append("INBOX", &format!("Subject: {subject}\r\n\r\n"));
    }
    let whole = run(&mut loft(dir.path(), &["mailbox", "check"]));
    assert_eq!(String::from_utf8(whole).unwrap(), "nothing is wrong\n");
    let rebuilt = run(&mut loft(dir.path(), &["mailbox", "rebuild", "--user", "U1", "inbox"]));
    let rebuilt = String::from_utf8(rebuilt).unwrap();
    assert!(rebuilt.starts_with("u1 INBOX: whole, 3 messages"), "{rebuilt}");
    server.stop();
    assert_eq!(run(&mut loft(dir.path(), &["mailbox", "check", "--json"])), b"");

    // A frame in the middle of the log of a mailbox, with no snapshot.
    let data = dir.path().join("data");
    let log = find(&data.join("users"), "log").unwrap();
    for name in ["index", "index.prev"] {
        let _ = fs::remove_file(log.with_file_name(name));
    }
    let said = String::from_utf8(run(loft_dump(&log).arg("--json"))).unwrap();
    let frames: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|note: &Value| note["sort"] == "part")
        .collect();
    let at = frames[1]["at"].as_u64().unwrap();
    let mut bytes = fs::read(&log).unwrap();
    bytes[at as usize + 8] ^= 1;
    fs::write(&log, bytes).unwrap();
    let dumped = String::from_utf8(run(&mut loft_dump(&log))).unwrap();
    assert!(dumped.contains(&format!("{at}  DAMAGED: a frame whose checksum differs")), "{dumped}");

    let server = Loft::start(&dir);
    let checked = output(&mut loft(dir.path(), &["mailbox", "check", "--user", "u1", "--json"]));
    assert_eq!(checked.status.code(), Some(1));
    let finding: Value =
        serde_json::from_slice(checked.stdout.split(|b| *b == b'\n').next().unwrap()).unwrap();
    let finding = &finding["finding"];
    assert_eq!((&finding["harm"], &finding["mailbox"]), (&"mail".into(), &"INBOX".into()));
    assert_eq!(finding["at"], at);
    server.stop();

    // None runs: the tool does it itself.
    let rebuilt = run(&mut loft(dir.path(), &["mailbox", "rebuild", "--user", "u1", "INBOX"]));
    let rebuilt = String::from_utf8(rebuilt).unwrap();
    assert!(rebuilt.contains("made anew with 3 messages, 1 of them from containers"), "{rebuilt}");
    assert!(
        rebuilt.contains("transaction 1 is missing") || rebuilt.contains("from 1 on"),
        "{rebuilt}"
    );
    let server = Loft::start(&dir);
    let mut imap = Imap::log_in(server.imap, "u1");
    let selected = imap.command("SELECT INBOX").unwrap();
    assert!(selected.iter().any(|line| line == "* 3 EXISTS"), "{selected:?}");
    let whole = run(&mut loft(dir.path(), &["mailbox", "check"]));
    assert_eq!(String::from_utf8(whole).unwrap(), "nothing is wrong\n");
}

fn loft_dump(file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loft"));
    command.arg("dump").arg(file);
    command
}

#[test]
fn what_is_no_store_is_not_made_one() {
    let dir = temporary();
    fs::create_dir(dir.path().join("data")).unwrap();
    let refused = output(&mut loft(dir.path(), &["mailbox", "check"]));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && said.contains("no store was ever made there"), "{said}");
    assert_eq!(fs::read_dir(dir.path().join("data")).unwrap().count(), 0);
    let file = dir.path().join("mail");
    fs::write(&file, "From alice\n").unwrap();
    let refused = output(&mut loft_dump(&file));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && said.contains("begins like none of these: log,"),
        "{said}"
    );
}

#[test]
fn purge_gives_back_the_room_of_expunged_mail() {
    let dir = temporary();
    let server = Loft::start(&dir);
    let mut imap = Imap::log_in(server.imap, "u1");
    let text = format!("Subject: x\r\n\r\n0123456789abcdef{}\r\n", noise(1, 96_000));
    (0..20).for_each(|_| imap.append("INBOX", &text));
    imap.ok("SELECT INBOX");
    imap.ok("STORE 1:18 +FLAGS.SILENT (\\Deleted)");
    imap.ok("EXPUNGE");
    let room = || -> u64 {
        let out = run(Command::new("du").arg("-sk").arg(dir.path().join("data/users")));
        String::from_utf8(out).unwrap().split_whitespace().next().unwrap().parse().unwrap()
    };
    let before = room();
    // What can yet be brought back stays, unless it is to be forgotten.
    let out = run(&mut loft(dir.path(), &["purge"]));
    assert_eq!(String::from_utf8(out).unwrap(), "u1: 0 B given back, 0 B moved\n");
    let out = run(&mut loft(dir.path(), &["purge", "--user", "u1", "--forget", "--json"]));
    let told: Value = serde_json::from_slice(&out).unwrap();
    assert!(told["purged"]["freed"].as_u64().unwrap() > 1_200_000, "{told}");
    // Two of twenty messages are left.
    assert!(room() * 3 < before, "{before} KiB became {} KiB", room());
    let again = run(&mut loft(dir.path(), &["purge", "--forget"]));
    assert_eq!(String::from_utf8(again).unwrap(), "u1: 0 B given back, 0 B moved\n");
    let lines = imap.ok("FETCH 1:2 BODY.PEEK[TEXT]");
    assert_eq!(lines.iter().filter(|line| line.starts_with("0123456789abcdef")).count(), 2);
    let failed = output(&mut loft(dir.path(), &["purge", "--user", "nobody"]));
    assert!(String::from_utf8(failed.stderr).unwrap().contains("\"nobody\" has no mail here"));
}
