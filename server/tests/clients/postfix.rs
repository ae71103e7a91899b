//! Postfix, which hands over mail by LMTP through a UNIX socket: the set-up of docs/guide/postfix.md.
//!
//! A Postfix of the test's own, with its queue in the test's directory and no port: mail comes to it by `sendmail` and
//! by SMTP on a UNIX socket.

use crate::harness::{Loft, client, output, present, run, temporary};
use crate::wire::Imap;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Postfix's programs that take part, as master.cf names them.
const SERVICES: &str = "\
smtp unix n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
error unix - - n - - error
retry unix - - n - - error
lmtp unix - - n - - lmtp
postlog unix-dgram n - n - 1 postlogd
";

/// A running Postfix. It is stopped when this value goes.
struct Postfix {
    master: Child,
    config: PathBuf,
    queue: PathBuf,
    log: PathBuf,
}

/// Where the socket is to be, when there is a Postfix that can be started here.
fn socket(dir: &TempDir) -> Option<PathBuf> {
    client("postfix")?;
    let root = rustix::process::geteuid().is_root();
    present("Postfix, for who is not root,", root.then_some(()))?;
    // Postfix's own user gets to its queue and to the socket.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let run_dir = dir.path().join("run");
    run(Command::new("install").args(["-d", "-g", "postfix", "-m", "0710"]).arg(&run_dir));
    Some(run_dir.join("lmtp"))
}

impl Postfix {
    /// One that delivers the mail of example.org to `socket`.
    fn start(dir: &TempDir, socket: &Path) -> Self {
        let at = |name: &str| dir.path().join(name);
        let (config, queue, data, log) = (at("postfix"), at("queue"), at("state"), at("maillog"));
        for dir in [&config, &queue, &data] {
            fs::create_dir(dir).unwrap();
        }
        run(Command::new("chown").arg("postfix").arg(&data));
        let settings = format!(
            "compatibility_level = 3.6\nqueue_directory = {}\ndata_directory = {}\nmaillog_file = {}\n\
             maillog_file_prefixes = {}\ninet_interfaces = loopback-only\ninet_protocols = ipv4\n\
             myhostname = mx.example.org\nmydestination =\nlocal_recipient_maps =\nalias_maps =\n\
             alias_database =\nminimal_backoff_time = 1s\nmaximal_backoff_time = 1s\n\
             queue_run_delay = 1s\n{}",
            queue.display(),
            data.display(),
            log.display(),
            dir.path().display(),
            recipe(socket),
        );
        fs::write(config.join("main.cf"), settings).unwrap();
        fs::write(config.join("master.cf"), SERVICES).unwrap();
        run(Command::new("postfix").arg("-c").arg(&config).arg("check"));
        let programs =
            run(Command::new("postconf").arg("-c").arg(&config).args(["-h", "daemon_directory"]));
        let master = Path::new(String::from_utf8(programs).unwrap().trim()).join("master");
        let mut master = Command::new(master);
        // `-s` stays in the foreground and is for one that is not the leader of a session.
        master.arg("-c").arg(&config).arg("-s").stdin(Stdio::null());
        let master = master.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let postfix = Self { master, config, queue, log };
        postfix.wait_for_log("daemon started");
        postfix
    }

    /// Gives it a mail as a program on the same machine does.
    fn sendmail(&self, from: &str, to: &[&str], mail: &[u8]) {
        let mut sendmail = Command::new("sendmail");
        sendmail.arg("-C").arg(&self.config).args(["-B8BITMIME", "-i", "-f", from, "--"]).args(to);
        let mut sendmail = sendmail.stdin(Stdio::piped()).spawn().unwrap();
        sendmail.stdin.take().unwrap().write_all(mail).unwrap();
        assert!(sendmail.wait().unwrap().success());
    }

    /// What SMTP's RCPT is answered.
    fn rcpt(&self, to: &str) -> String {
        let stream = UnixStream::connect(self.queue.join("public/smtp")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut stream = BufReader::new(stream);
        let mut reply = String::new();
        for command in ["", "HELO test\r\n", "MAIL FROM:<a@example.net>\r\n", to] {
            stream.get_mut().write_all(command.as_bytes()).unwrap();
            reply.clear();
            stream.read_line(&mut reply).unwrap();
        }
        reply
    }

    fn wait_for_log(&self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            if log.contains(text) {
                return log;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "no {text:?} in\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // It ends its programs, unless it is killed.
        let pid = i32::try_from(self.master.id()).ok().and_then(Pid::from_raw);
        let _gone = pid.map(|pid| kill_process(pid, Signal::TERM));
        let begun = Instant::now();
        while matches!(self.master.try_wait(), Ok(None)) {
            if begun.elapsed() > Duration::from_secs(10) {
                let _gone = self.master.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The lines of the guide, for this socket.
fn recipe(socket: &Path) -> String {
    let guide = include_str!("../../../docs/guide/postfix.md");
    let lines = guide.lines().filter_map(|line| line.strip_prefix("    "));
    let lines =
        lines.filter(|line| line.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')));
    let lines: Vec<&str> = lines.collect();
    let socket = format!("lmtp:unix:{}", socket.display());
    let recipe = lines.join("\n").replace("lmtp:unix:/run/loft/lmtp", &socket);
    assert!(recipe.contains(&socket) && lines.len() >= 4, "{recipe}");
    recipe
}

/// The mails in an INBOX: each is what FETCH gives line by line.
fn inbox(loft: &Loft, user: &str) -> Vec<Vec<String>> {
    let mut imap = Imap::log_in(loft.imap, user);
    let told = imap.ok("SELECT INBOX");
    let count: usize = told
        .iter()
        .find_map(|line| line.strip_prefix("* ")?.strip_suffix(" EXISTS"))
        .unwrap()
        .parse()
        .unwrap();
    (1..=count).map(|n| imap.ok(&format!("FETCH {n} BODY.PEEK[]"))).collect()
}

#[test]
fn every_recipient_gets_the_mail_and_the_sender_a_bounce_for_nobody() {
    let dir = temporary();
    let Some(socket) = socket(&dir) else { return };
    let loft = Loft::start_on(&dir, &socket);
    let postfix = Postfix::start(&dir, &socket);
    let mail = "From: u3@example.org\nSubject: dots\n\n.\n..\n.leading\nna\u{ef}ve\n";
    let to = ["u1@example.org", "nobody@example.org", "u2+lists@example.org"];
    postfix.sendmail("u3@example.org", &to, mail.as_bytes());
    let log = postfix.wait_for_log("sender non-delivery notification");
    let line = |to: &str| log.lines().find(|line| line.contains(&format!("to=<{to}>"))).unwrap();
    for to in ["u1@example.org", "u2+lists@example.org"] {
        assert!(line(to).contains("dsn=2.0.0, status=sent (250 2.0.0 Stored as "), "{log}");
    }
    assert!(line("nobody@example.org").contains("dsn=5.1.1, status=bounced"), "{log}");
    assert!(line("nobody@example.org").contains("550 5.1.1 No such mailbox"), "{log}");
    // The name of the delivery leads from one log to the other.
    let (_, id) = line("u1@example.org").split_once("Stored as ").unwrap();
    loft.wait_for_log(&format!("delivery={}", id.trim_end_matches(')')));

    for user in ["u1", "u2"] {
        let mails = inbox(&loft, user);
        assert_eq!(mails.len(), 1);
        let (_, body) = mails[0].split_at(mails[0].iter().position(String::is_empty).unwrap());
        assert_eq!(body[1..5], [".", "..", ".leading", "na\u{ef}ve"], "{mails:?}");
        assert_eq!(mails[0][1], "Return-Path: <u3@example.org>");
    }
    postfix.wait_for_log("to=<u3@example.org>, relay=mx.example.org");
    let bounces = inbox(&loft, "u3");
    assert_eq!(bounces[0][1], "Return-Path: <>");
    assert!(bounces[0].iter().any(|line| line == "Status: 5.1.1"), "{bounces:?}");
}

#[test]
fn nobody_is_refused_before_the_mail_is_taken() {
    let dir = temporary();
    let Some(socket) = socket(&dir) else { return };
    let loft = Loft::start_on(&dir, &socket);
    let postfix = Postfix::start(&dir, &socket);
    let refused = postfix.rcpt("RCPT TO:<nobody@example.org>\r\n");
    assert!(refused.starts_with("550 5.1.1 "), "{refused}");
    let taken = postfix.rcpt("RCPT TO:<u1@example.org>\r\n");
    assert!(taken.starts_with("250 2.1.5"), "{taken}");
    let relay = postfix.rcpt("RCPT TO:<u1@example.net>\r\n");
    assert!(relay.starts_with("554 5.7.1"), "{relay}");
    assert!(inbox(&loft, "u1").is_empty(), "asking delivers nothing");
}

#[test]
fn mail_waits_while_loft_is_away() {
    let dir = temporary();
    let Some(socket) = socket(&dir) else { return };
    let loft = Loft::start_on(&dir, &socket);
    let postfix = Postfix::start(&dir, &socket);
    loft.kill(); // the socket stays behind
    postfix.sendmail("u3@example.org", &["u1@example.org"], b"Subject: 1\n\nwaits\n");
    postfix.wait_for_log("status=deferred");
    let loft = Loft::start_on(&dir, &socket);
    let log = postfix.wait_for_log("status=sent");
    assert!(log.contains("Connection refused"), "{log}");
    assert_eq!(inbox(&loft, "u1").len(), 1);
    assert!(loft.stop().success());
    assert!(!socket.exists());
    let left = output(Command::new("postqueue").arg("-c").arg(&postfix.config).arg("-p"));
    assert!(String::from_utf8_lossy(&left.stdout).contains("Mail queue is empty"), "{left:?}");
}
