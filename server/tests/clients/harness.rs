//! A server for a test, and the programs that talk to it.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running server. It is killed when this value goes.
pub(crate) struct Loft {
    child: Child,
    pub(crate) imap: SocketAddr,
    pub(crate) imaps: SocketAddr,
    /// Port 0 when it listens on a UNIX socket.
    pub(crate) lmtp: SocketAddr,
    log: PathBuf,
}

/// The command for a server on free ports that keeps its mail in `dir/data`.
pub(crate) fn command(dir: &Path) -> Command {
    command_but(dir, "")
}

/// The same without one of its options, so that a test can give it.
pub(crate) fn command_but(dir: &Path, option: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loft"));
    command.arg("demo").env_remove("LOFT_LOG").stdin(Stdio::null());
    let data = dir.join("data");
    let anywhere = "127.0.0.1:0".as_ref();
    for (name, value) in [
        ("--data", data.as_os_str()),
        ("--imap", anywhere),
        ("--imaps", anywhere),
        ("--lmtp", anywhere),
    ] {
        if name != option {
            command.arg(name).arg(value);
        }
    }
    command
}

/// The command for `loft serve` with the configuration in `dir`.
pub(crate) fn serve_command(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loft"));
    command.args(["serve", "--config"]).arg(dir.join("loft.toml"));
    command.env_remove("LOFT_LOG").stdin(Stdio::null());
    command
}

/// Writes `dir/loft.toml`: free ports, mail in `dir/data`, accounts in `dir/users`, then `more`.
pub(crate) fn configure(dir: &Path, more: &str) {
    let mut text = "version = 1\ndata_dir = \"data\"\nhostname = \"mail.example.org\"\n".to_owned();
    for service in ["imap", "imaps", "lmtp"] {
        text += &format!("[[listen]]\nservice = \"{service}\"\naddress = \"127.0.0.1:0\"\n");
    }
    text += "[[auth.source]]\ndriver = \"passwd-file\"\npath = \"users\"\n";
    replace(&dir.join("loft.toml"), &(text + more));
}

/// Writes a file as careful programs do: whole, by a rename.
pub(crate) fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

impl Loft {
    /// Starts a server in `dir`, where its log goes too, and waits until it is ready.
    pub(crate) fn start(dir: &TempDir) -> Self {
        Self::start_by(command(dir.path()), dir)
    }

    /// The same with LMTP on the UNIX socket `socket`.
    pub(crate) fn start_on(dir: &TempDir, socket: &Path) -> Self {
        let mut command = command_but(dir.path(), "--lmtp");
        command.arg("--lmtp").arg(format!("unix:{}", socket.display()));
        Self::start_by(command, dir)
    }

    /// The same, with the log that `filter` asks for.
    pub(crate) fn start_logging(dir: &TempDir, filter: &str) -> Self {
        let mut command = command(dir.path());
        command.env("LOFT_LOG", filter);
        Self::start_by(command, dir)
    }

    /// `loft serve` with the configuration `dir/loft.toml`; see [`configure`].
    pub(crate) fn serve(dir: &TempDir) -> Self {
        Self::start_by(serve_command(dir.path()), dir)
    }

    pub(crate) fn start_by(mut command: Command, dir: &TempDir) -> Self {
        let log = dir.path().join("log");
        let stderr = File::options().create(true).append(true).open(&log).unwrap();
        command.stderr(stderr);
        Self::start_as(command, dir)
    }

    /// The same, where the command itself sees to its log.
    pub(crate) fn start_as(mut command: Command, dir: &TempDir) -> Self {
        let log = dir.path().join("log");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = |name: &str| -> Option<SocketAddr> {
            line.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse().ok())
        };
        let on_unix = line.contains(" lmtp=unix:/").then(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let lmtp = port("lmtp=").or(on_unix);
        let (Some(imap), Some(imaps), Some(lmtp)) = (port("imap="), port("imaps="), lmtp) else {
            let _gone = child.kill();
            panic!("not ready: {line:?}\n{}", fs::read_to_string(log).unwrap_or_default());
        };
        Self { child, imap, imaps, lmtp, log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log has this text.
    pub(crate) fn wait_for_log(&self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            let log = self.log();
            if log.contains(text) {
                return log;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "no {text:?} in the log:\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM.
    pub(crate) fn ask_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGHUP.
    pub(crate) fn ask_to_reload(&self) {
        self.signal(Signal::HUP);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn stop(self) -> ExitStatus {
        self.ask_to_stop();
        self.ended()
    }

    /// How it ended, once it has been asked to.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Loft {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// A directory that goes with the test.
pub(crate) fn temporary() -> TempDir {
    TempDir::with_prefix("loft-test-").unwrap()
}

/// A command for the program `name`; `None`, after saying so, when it is not installed.
pub(crate) fn client(name: &str) -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    present(name, found).map(Command::new)
}

/// A file of a client that is no package of Debian: `.ci/run` installs those below the directory `LOFT_CLIENTS`.
pub(crate) fn installed(file: &str) -> Option<PathBuf> {
    let clients = std::env::var_os("LOFT_CLIENTS").map(PathBuf::from);
    present(file, clients.map(|dir| dir.join(file)).filter(|path| path.exists()))
}

/// What was found, if it was; else says that `name` is missing, and where nothing may be missing it fails.
pub(crate) fn present<T>(name: &str, found: Option<T>) -> Option<T> {
    if found.is_none() {
        assert!(std::env::var("LOFT_REQUIRE_CLIENTS").is_err(), "{name} is not installed");
        eprintln!("{name} is not installed: not tested");
    }
    found
}

/// Runs a command, which must succeed, and returns what it printed.
pub(crate) fn run(command: &mut Command) -> Vec<u8> {
    let output = output(command);
    let Output { status, stdout, stderr } = &output;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(status.success(), "{command:?}: {status}\n{}\n{}", text(stdout), text(stderr));
    output.stdout
}

/// Runs a command.
pub(crate) fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// So many letters that take three fourths of their room when they are compressed; others for each seed.
pub(crate) fn noise(seed: u64, len: usize) -> String {
    let mut state = seed;
    let letter = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + (state >> 58) as u8)
    };
    (0..len).map(letter).collect()
}
