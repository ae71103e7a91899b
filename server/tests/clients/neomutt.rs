//! NeoMutt, in a terminal, as a person uses it.

use crate::harness::{Loft, client, run, temporary};
use crate::wire::{Imap, Lmtp};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A program on a screen of 100 by 24. It ends when this value goes.
struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    fn start(dir: &Path, program: &str) -> Self {
        let terminal = Self { socket: dir.join("tmux") };
        let mut tmux = terminal.tmux();
        tmux.args(["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "24", program]);
        run(tmux.env("HOME", dir).env("LC_ALL", "C.UTF-8"));
        terminal
    }

    fn tmux(&self) -> Command {
        let mut tmux = Command::new("tmux");
        tmux.arg("-S").arg(&self.socket).env_remove("TMUX");
        tmux
    }

    fn screen(&self) -> String {
        String::from_utf8(run(self.tmux().args(["capture-pane", "-p"]))).unwrap()
    }

    /// Presses keys, then waits until the screen fits.
    fn press(&self, keys: &[&str], what: &str, fits: impl Fn(&str) -> bool) {
        run(self.tmux().arg("send-keys").args(keys));
        self.wait(what, fits);
    }

    fn wait(&self, what: &str, fits: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if fits(&screen) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "not {what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the program has ended, and the terminal with it.
    fn wait_for_end(&self) {
        let begun = Instant::now();
        while self.tmux().arg("has-session").stderr(Stdio::null()).status().unwrap().success() {
            assert!(begun.elapsed() < Duration::from_secs(60), "no end:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut kill = self.tmux();
        // It may be gone already.
        let _gone = kill.arg("kill-server").stderr(Stdio::null()).status();
    }
}

fn config(dir: &TempDir, loft: &Loft) -> PathBuf {
    let port = loft.imap.port();
    let config = format!(
        "set imap_user = u1\nset imap_pass = pw\nset folder = \"imap://127.0.0.1:{port}/\"\n\
         set spoolfile = +INBOX\nset record = \"\"\nset header_cache = \"\"\n\
         set message_cachedir = \"\"\nset ssl_starttls = no\nset ssl_force_tls = no\n\
         set delete = yes\nset quit = yes\nset move = no\nset mark_old = no\nset wait_key = no\n\
         set sort = date\nset confirm_append = no\nset timeout = 1\nset mail_check = 1\nset index_format = \"%C %Z %s\"\n"
    );
    let file = dir.path().join("neomuttrc");
    fs::write(&file, config).unwrap();
    file
}

#[test]
fn a_person_reads_flags_copies_and_deletes() {
    let dir = temporary();
    let loft = Loft::start(&dir);
    let (Some(_), Some(_)) = (client("neomutt"), client("tmux")) else { return };
    let mut imap = Imap::log_in(loft.imap, "u1");
    for n in 1..=3 {
        let mail = format!(
            "From: =?utf-8?q?Zo=C3=AB?= <zoe@example.org>\r\nDate: Mon, 2 Mar 2026 10:0{n}:00 +0000\r\n\
             Subject: letter {n}\r\nMessage-ID: <{n}@example.org>\r\n\r\nDear reader {n}\r\n"
        );
        imap.append("INBOX", &mail);
    }
    let neomutt = format!("exec neomutt -n -F {}", config(&dir, &loft).display());
    let terminal = Terminal::start(dir.path(), &neomutt);
    let line = |screen: &str, text: &str| screen.lines().any(|line| line.trim() == text);

    terminal
        .wait("the list", |screen| (1..=3).all(|n| line(screen, &format!("{n} N   letter {n}"))));
    terminal.press(&["Enter"], "the first mail", |screen| {
        screen.contains("Dear reader 1") && screen.contains("From: Zoë <zoe@example.org>")
    });
    terminal.press(&["i"], "the list again", |screen| line(screen, "1     letter 1"));
    terminal.press(&["j", "F"], "the flag", |screen| line(screen, "2 N ! letter 2"));
    terminal.press(&["j", "d"], "the deletion", |screen| line(screen, "3 ND  letter 3"));
    terminal.press(&["1", "Enter", "C"], "where to", |screen| screen.contains("Copy to mailbox"));
    terminal.press(&["=Kept", "Enter"], "to be made", |screen| screen.contains("Create"));
    terminal.press(&["y"], "copied", |screen| !screen.contains("Create"));

    // Mail comes while it looks.
    let mut lmtp = Lmtp::connect(loft.lmtp).unwrap();
    let mail = "Date: Mon, 2 Mar 2026 11:00:00 +0000\r\nSubject: letter 4\r\n\r\nnew\r\n";
    assert!(lmtp.deliver(&["u1"], mail).unwrap()[0].starts_with("250"));
    terminal.wait("the new mail", |screen| line(screen, "4 N   letter 4"));
    run(terminal.tmux().args(["send-keys", "q"]));
    terminal.wait_for_end();

    imap.ok("SELECT INBOX");
    assert_eq!(imap.ok("UID SEARCH ALL")[0], "* SEARCH 1 2 4");
    assert_eq!(imap.ok("UID SEARCH SEEN")[0], "* SEARCH 1");
    assert_eq!(imap.ok("UID SEARCH FLAGGED")[0], "* SEARCH 2");
    imap.ok("EXAMINE Kept");
    assert!(imap.ok("FETCH 1:* BODY.PEEK[TEXT]").contains(&"Dear reader 1".to_owned()));
}
