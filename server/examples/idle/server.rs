//! The server under measurement: a child process on an empty store.

use crate::Result;
use crate::client::Lmtp;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running server. It is stopped, and its mail removed, when this value goes.
pub(crate) struct Server {
    child: Child,
    loft: PathBuf,
    accounts: usize,
    data: tempfile::TempDir,
    pub(crate) imap: SocketAddr,
    pub(crate) imaps: SocketAddr,
    pub(crate) lmtp: SocketAddr,
}

impl Server {
    /// Starts `loft demo` with so many accounts, on free ports.
    pub(crate) fn start(loft: &Path, accounts: usize) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let (child, [imap, imaps, lmtp]) = spawn(loft, data.path(), accounts)?;
        Ok(Self { child, loft: loft.to_owned(), accounts, data, imap, imaps, lmtp })
    }

    /// Stops it and starts it again on the same mail.
    pub(crate) fn restart(&mut self) -> Result<()> {
        self.stop();
        let started = spawn(&self.loft, self.data.path(), self.accounts)?;
        (self.child, [self.imap, self.imaps, self.lmtp]) = started;
        Ok(())
    }

    /// Delivers so many messages to an account.
    pub(crate) fn fill(&self, account: usize, messages: usize) -> Result<()> {
        let mut lmtp = Lmtp::connect(self.lmtp)?;
        (0..messages).try_for_each(|_| lmtp.deliver(account).map(drop))
    }

    /// Its proportional set size, in KiB.
    pub(crate) fn memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = std::fs::read_to_string(path)?;
        let pss = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let size = pss.and_then(|size| size.trim().strip_suffix(" kB")).ok_or("no Pss")?;
        Ok(size.trim().parse()?)
    }

    fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _gone = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn spawn(loft: &Path, data: &Path, accounts: usize) -> Result<(Child, [SocketAddr; 3])> {
    let anywhere = "127.0.0.1:0";
    let mut child = Command::new(loft)
        .args(["demo", "--imap", anywhere, "--imaps", anywhere, "--lmtp", anywhere])
        .args(["--accounts", &accounts.to_string(), "--data"])
        .arg(data)
        .env("LOFT_LOG", "warn")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("can't start {}: {error}", loft.display()))?;
    let mut line = String::new();
    let out = child.stdout.take().ok_or("no standard output")?;
    BufReader::new(out).read_line(&mut line)?;
    let port = |name: &str| -> Result<SocketAddr> {
        let found = line.split_whitespace().find_map(|word| word.strip_prefix(name));
        Ok(found.ok_or("the server is not ready")?.parse()?)
    };
    Ok((child, [port("imap=")?, port("imaps=")?, port("lmtp=")?]))
}
