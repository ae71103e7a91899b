//! `loft serve`: a configuration file, a passwd-file, and what changes while it runs.

use crate::harness::{Loft, client, configure, output, replace, run, serve_command, temporary};
use crate::wire::{Imap, Lmtp};
use std::fs;
use std::process::Command;
use tempfile::TempDir;

/// One of each scheme; made with other programs, the password is `secret`.
const USERS: &str = "\
# name:password:uid:gid:gecos:home:shell:extra
argon:{ARGON2ID}$argon2id$v=19$m=1024,t=2,p=1$tf/ACR49igbmyA9uTCIveA$bWuk7k4AI1NPN05vycWsla80q9qflPS5xRyHQwGpw/w
blf:{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a:1000:1000::/home/blf
sha:{SHA512-CRYPT}$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.
plain:{PLAIN}secret
crypt:$6$rounds=1500$saltstring$DYxiAL6pInuC7cpDDp11RE5qrxBKUMMhSn7rQ/Z0PgTvsMrU91oDKLoqizIkTXzEv8kos5UNom790rtM3JKYd.
locked:
";

const SCHEMES: [&str; 5] = ["argon", "blf", "sha", "plain", "crypt"];

fn serve(dir: &TempDir, more: &str) -> Loft {
    fs::write(dir.path().join("users"), USERS).unwrap();
    configure(dir.path(), more);
    Loft::serve(dir)
}

/// The tagged reply to LOGIN.
fn log_in(loft: &Loft, user: &str, password: &str) -> String {
    let mut imap = Imap::connect(loft.imap).unwrap();
    let lines = imap.command(&format!("LOGIN {user} {password}")).unwrap();
    lines.last().unwrap().split_once(' ').unwrap().1.to_owned()
}

#[test]
fn each_scheme_logs_in_and_nobody_else_does() {
    let dir = temporary();
    let loft = serve(&dir, "");
    for user in SCHEMES {
        // The second time it is remembered.
        for _ in 0..2 {
            let reply = log_in(&loft, user, "secret");
            assert!(reply.starts_with("OK [CAPABILITY"), "{user}: {reply}");
        }
        for wrong in ["Secret", "secret1", "\"\""] {
            let reply = log_in(&loft, user, wrong);
            assert!(reply.starts_with("NO [AUTHENTICATIONFAILED]"), "{user} {wrong}: {reply}");
        }
    }
    for nobody in ["locked", "nobody", "u1", "root"] {
        let reply = log_in(&loft, nobody, "secret");
        assert!(reply.starts_with("NO [AUTHENTICATIONFAILED]"), "{nobody}: {reply}");
    }
    assert!(!loft.log().contains("secret"), "{}", loft.log());
    assert!(loft.stop().success());
}

#[test]
fn mail_comes_to_those_in_the_file_and_is_there_after_a_restart() {
    let dir = temporary();
    let loft = serve(&dir, "");
    let mut lmtp = Lmtp::connect(loft.lmtp).unwrap();
    let mail = "Subject: x\r\n\r\nbody\r\n";
    let to = ["plain@example.org", "Argon+lists@example.org", "locked@example.org"];
    let replies = lmtp.deliver(&to, mail).unwrap();
    assert!(
        replies.len() == 3 && replies.iter().all(|reply| reply.starts_with("250")),
        "{replies:?}"
    );
    lmtp.send(b"MAIL FROM:<>\r\nRCPT TO:<u1@example.org>\r\n").unwrap();
    assert!(lmtp.reply().unwrap().starts_with("250"));
    assert!(lmtp.reply().unwrap().starts_with("550"));
    assert!(loft.stop().success());
    let loft = Loft::serve(&dir);
    let mut imap = Imap::connect(loft.imap).unwrap();
    imap.ok("LOGIN plain@example.org secret");
    assert!(imap.ok("STATUS INBOX (MESSAGES)")[0].contains("MESSAGES 1"));
}

#[test]
fn a_change_of_the_users_is_seen_at_once_and_a_bad_one_is_not_taken() {
    let dir = temporary();
    let loft = serve(&dir, "");
    let users = dir.path().join("users");
    assert!(log_in(&loft, "plain", "secret").starts_with("OK"));
    replace(&users, &USERS.replace("plain:{PLAIN}secret", "plain:{PLAIN}other\nnew:{PLAIN}new"));
    assert!(log_in(&loft, "plain", "secret").starts_with("NO"), "a remembered log-in outlived it");
    assert!(log_in(&loft, "plain", "other").starts_with("OK"));
    assert!(log_in(&loft, "new", "new").starts_with("OK"));

    // LMTP sees a change too, before anybody logs in.
    replace(&users, "later:{PLAIN}x\nplain:{PLAIN}other\n");
    let mut lmtp = Lmtp::connect(loft.lmtp).unwrap();
    let replies = lmtp.deliver(&["later@example.org"], "Subject: x\r\n\r\n").unwrap();
    assert!(replies[0].starts_with("250"), "{replies:?}");
    assert!(log_in(&loft, "argon", "secret").starts_with("NO"));

    replace(&users, "later:{PLAIN}x\nplain:{PLAIN}changed\nbad:hunter2\n");
    assert!(
        log_in(&loft, "plain", "other").starts_with("OK"),
        "the old ones are no longer in force"
    );
    let log = loft.wait_for_log("the users stay as they were");
    assert!(
        log.contains("users:3: the password has no scheme") && !log.contains("hunter2"),
        "{log}"
    );
}

#[test]
fn sighup_takes_a_good_configuration_and_leaves_a_bad_one() {
    let dir = temporary();
    let loft = serve(&dir, "");
    let denied = "NO [PRIVACYREQUIRED]";
    assert!(log_in(&loft, "plain", "secret").starts_with("OK"));
    let mut old = Imap::connect(loft.imap).unwrap();

    configure(dir.path(), "[auth]\nplaintext = \"nevr\"\n");
    loft.ask_to_reload();
    let log = loft.wait_for_log("it stays as it was");
    assert!(log.contains("loft.toml:17:13: error: plaintext = \"nevr\": write one of"), "{log}");
    assert!(log_in(&loft, "plain", "secret").starts_with("OK"));

    configure(dir.path(), "[auth]\nplaintext = \"never\"\n[limits]\nstop_time = \"3 s\"\n");
    loft.ask_to_reload();
    let log = loft.wait_for_log("the configuration was read again");
    assert!(log.contains("[limits] has changed: that takes effect at the next start"), "{log}");
    let reply = log_in(&loft, "plain", "secret");
    assert!(reply.starts_with(denied), "{reply}");
    // Who was there before goes by what was said then.
    old.ok("LOGIN plain secret");
}

#[test]
fn a_flood_of_wrong_log_ins_from_one_address_keeps_nobody_else_out() {
    let dir = temporary();
    let hash = "{SHA512-CRYPT}$6$rounds=400000$saltstring$";
    let never = format!("{hash}{}.", "x".repeat(85));
    fs::write(dir.path().join("users"), format!("{USERS}slow:{never}\n")).unwrap();
    configure(dir.path(), "[limits]\nwaiting_logins = 16\n");
    let loft = Loft::serve(&dir);
    let mut flood: Vec<Imap> =
        (0..60).map(|_| Imap::connect_from([127, 0, 0, 2], loft.imap).unwrap()).collect();
    for imap in &mut flood {
        imap.send(b"t LOGIN slow wrong\r\n").unwrap();
    }
    // The line is full of them by now, and this one still gets its turn.
    for user in ["argon", "sha", "blf"] {
        assert!(log_in(&loft, user, "secret").starts_with("OK"), "{user} was kept out");
    }
    let replies: Vec<String> =
        flood.iter_mut().map(|imap| imap.reply().unwrap().pop().unwrap()).collect();
    let (busy, wrong): (Vec<&String>, Vec<&String>) =
        replies.iter().partition(|reply| reply.starts_with("t NO [UNAVAILABLE]"));
    assert!(busy.len() >= 10, "{} of 60 were told to come again later", busy.len());
    assert!(
        wrong.iter().all(|reply| reply.starts_with("t NO [AUTHENTICATIONFAILED]")),
        "{wrong:?}"
    );
    assert!(!wrong.is_empty());
}

/// A certificate for `localhost` in `dir`, and nobody's in particular.
fn certify(dir: &TempDir) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    replace(&dir.path().join("cert.pem"), &made.cert.pem());
    replace(&dir.path().join("key.pem"), &made.signing_key.serialize_pem());
}

#[test]
fn a_new_certificate_is_taken_at_sighup_and_a_wrong_key_is_not() {
    let dir = temporary();
    certify(&dir);
    let loft = serve(&dir, "[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n");
    assert!(!dir.path().join("data/tls").exists(), "one was made though there is one");
    let trusts = |ca: &str| -> Option<bool> {
        let url = format!("imaps://localhost:{}/INBOX", loft.imaps.port());
        let mut curl = client("curl")?;
        curl.args(["--silent", "--max-time", "20", "--user", "plain:secret", "--cacert"]);
        Some(output(curl.arg(dir.path().join(ca)).arg(url)).status.success())
    };
    let Some(trusted) = trusts("cert.pem") else { return };
    assert!(trusted);
    fs::copy(dir.path().join("cert.pem"), dir.path().join("first.pem")).unwrap();

    let key = fs::read_to_string(dir.path().join("key.pem")).unwrap();
    certify(&dir);
    let new_key = fs::read_to_string(dir.path().join("key.pem")).unwrap();
    replace(&dir.path().join("key.pem"), &key);
    loft.ask_to_reload();
    loft.wait_for_log("it stays as it was");
    assert_eq!(trusts("first.pem"), Some(true));

    replace(&dir.path().join("key.pem"), &new_key);
    loft.ask_to_reload();
    loft.wait_for_log("the configuration was read again");
    assert_eq!((trusts("cert.pem"), trusts("first.pem")), (Some(true), Some(false)));
}

#[test]
fn a_bad_configuration_is_shown_whole_and_nothing_starts() {
    let dir = temporary();
    fs::write(dir.path().join("users"), USERS).unwrap();
    configure(dir.path(), "[limits]\nmesage = 1\nstop_time = 5\n");
    for mut command in [serve_command(dir.path()), check(&dir)] {
        let ended = output(&mut command);
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{said}");
        let name = dir.path().join("loft.toml").display().to_string();
        let lines: Vec<&str> = said.lines().collect();
        assert!(
            lines[0].starts_with(&format!("{name}:17:1: error: \"mesage\" is not known")),
            "{said}"
        );
        assert!(
            lines[1].starts_with(&format!("{name}:18:13: error: stop_time = 5: write a time")),
            "{said}"
        );
        assert_eq!(lines[2], "loft: the configuration can't be used");
        assert!(ended.stdout.is_empty() && !dir.path().join("data").exists());
    }
}

fn check(dir: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loft"));
    command.args(["config", "check"]).arg(dir.path().join("loft.toml"));
    command
}

#[test]
fn config_check_reads_what_the_file_names() {
    let dir = temporary();
    fs::write(dir.path().join("users"), USERS).unwrap();
    configure(dir.path(), "");
    let said = String::from_utf8(run(&mut check(&dir))).unwrap();
    assert!(said.ends_with("loft.toml: ok\n"), "{said}");

    fs::write(dir.path().join("users"), "a:b\nc\n").unwrap();
    configure(dir.path(), "[tls]\ncertificate = \"none.pem\"\nkey = \"none.pem\"\n");
    let ended = output(&mut check(&dir));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    for part in [
        "users:1: the password has no scheme",
        "users:2: it has no password",
        "none.pem: No such file",
    ] {
        assert!(said.contains(part), "{part:?} is missing in\n{said}");
    }
}

#[test]
fn lmtp_turns_away_who_is_in_no_trusted_network() {
    // Whoever connects here comes from this machine, which may: the rule itself is tested beside it.
    let dir = temporary();
    fs::write(dir.path().join("users"), USERS).unwrap();
    configure(dir.path(), "");
    let path = dir.path().join("loft.toml");
    let text = fs::read_to_string(&path).unwrap();
    let lmtp = "service = \"lmtp\"\naddress = \"127.0.0.1:0\"\n";
    let open =
        "service = \"lmtp\"\naddress = \"0.0.0.0:0\"\ntrusted_networks = [\"203.0.113.7\"]\n";
    replace(&path, &text.replace(lmtp, open));
    let loft = Loft::serve(&dir);
    let port = loft.lmtp.port();
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let mut lmtp = Lmtp::connect(here).unwrap();
    let replies = lmtp.deliver(&["plain@example.org"], "Subject: x\r\n\r\n").unwrap();
    assert!(replies[0].starts_with("250"), "{replies:?}");
    // An address of this machine's own that is not loopback, if it has one.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    if socket.connect("192.0.2.1:9").is_err() {
        return;
    }
    let own = socket.local_addr().unwrap().ip();
    if own.is_loopback() {
        return;
    }
    let stream = std::net::TcpStream::connect((own, port)).unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut &stream, &mut said).unwrap();
    assert_eq!(said, "554 5.7.1 Your address may not deliver here\r\n");
    loft.wait_for_log("it is in none of trusted_networks");
}
