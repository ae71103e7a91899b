//! Dovecot, where the machine has it: its IMAP program alone, for one mailbox in a directory of its own, over pipes.
//!
//! Nothing of an installation is used or changed but the programs: the configuration, the mail and the indexes lie in a
//! temporary directory, which goes with this value. As root it runs as nobody, else as whoever runs the bench.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Where distributions put it.
const MASTER: &str = "/usr/sbin/dovecot";
const IMAP: [&str; 2] = ["/usr/lib/dovecot/imap", "/usr/libexec/dovecot/imap"];
/// Nobody, where root is not to run it.
const NOBODY: u32 = 65534;

/// A session with its INBOX selected.
pub(crate) struct Dovecot {
    dir: PathBuf,
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    tag: u32,
}

/// Bytes that files have grown by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Growth {
    /// The mailbox's log.
    pub(crate) log: u64,
    /// The log of the map from messages to files.
    pub(crate) map: u64,
    /// The mailbox's cache.
    pub(crate) cache: u64,
}

/// The size of each file, by what tells it from one that took its name.
type Sizes = BTreeMap<(PathBuf, u64), u64>;

impl Dovecot {
    /// Starts it; what to tell where it can't be.
    pub(crate) fn start() -> Result<(Self, String), String> {
        if !Path::new(MASTER).exists() {
            return Err(format!("{MASTER} is not there"));
        }
        let Some(imap) = IMAP.into_iter().find(|path| Path::new(path).exists()) else {
            return Err("its program for IMAP is not there".to_owned());
        };
        let version =
            Command::new(MASTER).arg("--version").output().map_err(|it| it.to_string())?;
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        let dir = std::env::temp_dir().join(format!("loft-bench-dovecot-{}", std::process::id()));
        let session = Self::in_dir(&dir, imap).map_err(|error| {
            let _ = fs::remove_dir_all(&dir);
            format!("Dovecot {version} does not start: {error}")
        })?;
        Ok((session, version))
    }

    fn in_dir(dir: &Path, imap: &str) -> io::Result<Self> {
        fs::create_dir(dir)?;
        let home = dir.join("home");
        fs::create_dir(&home)?;
        let shown = dir.display();
        let config = dir.join("dovecot.conf");
        fs::write(
            &config,
            format!(
                "protocols =\nbase_dir = {shown}/run\nstate_dir = {shown}/state\nssl = no\n\
                 first_valid_uid = 0\nstats_writer_socket_path =\nmail_fsync = never\n\
                 mail_location = mdbox:{shown}/home/mail\n"
            ),
        )?;
        let mut command = Command::new(imap);
        command.arg("-c").arg(&config).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("USER", "bench").env("HOME", &home).current_dir(&home);
        if fs::metadata(dir)?.uid() == 0 {
            std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY))?;
            command.uid(NOBODY).gid(NOBODY);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let from = BufReader::new(from);
        let mut this = Self { dir: dir.to_owned(), child, to, from, tag: 0 };
        let greeting = this.line()?;
        if !greeting.starts_with("* PREAUTH") {
            return Err(io::Error::other(format!("it says {greeting:?}")));
        }
        Ok(this)
    }

    /// Sends a command and reads to the end of its reply.
    pub(crate) fn command(&mut self, text: &str) -> io::Result<()> {
        self.tag += 1;
        let tag = format!("t{}", self.tag);
        write!(self.to, "{tag} {text}\r\n")?;
        self.to.flush()?;
        loop {
            let line = self.line()?;
            if let Some(result) = line.strip_prefix(&*tag) {
                let ok = result.trim_start().starts_with("OK");
                return if ok { Ok(()) } else { Err(io::Error::other(format!("{text}: {line}"))) };
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        if self.from.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Fills INBOX with so many messages and selects it.
    pub(crate) fn fill(&mut self, count: u32, message: &str) -> io::Result<()> {
        self.command("CREATE source")?;
        let literal = format!(" {{{}+}}\r\n{message}", message.len());
        self.command(&format!("APPEND source{}", literal.repeat(1000)))?;
        self.command("SELECT source")?;
        for _ in 0..count / 1000 {
            self.command("COPY 1:* INBOX")?;
        }
        self.command("SELECT INBOX")
    }

    /// What the files grow by while a command runs.
    pub(crate) fn growth(&mut self, text: &str) -> io::Result<Growth> {
        let before = self.sizes()?;
        self.command(text)?;
        let mut growth = Growth::default();
        for ((path, inode), size) in self.sizes()? {
            let more =
                size.saturating_sub(before.get(&(path.clone(), inode)).copied().unwrap_or(0));
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("dovecot.index.log") && path.to_string_lossy().contains("/INBOX/") {
                growth.log += more;
            } else if name.starts_with("dovecot.map.index.log") {
                growth.map += more;
            } else if name == "dovecot.index.cache" {
                growth.cache += more;
            }
        }
        Ok(growth)
    }

    /// Closes the mailbox, which writes its index; how many bytes that has, if it was.
    pub(crate) fn index_size(&mut self) -> io::Result<u64> {
        self.command("UNSELECT")?;
        let is_index = |path: &Path| {
            path.file_name().is_some_and(|name| name == "dovecot.index")
                && path.to_string_lossy().contains("/INBOX/")
        };
        Ok(self.sizes()?.iter().filter(|((path, _), _)| is_index(path)).map(|(_, size)| size).sum())
    }

    fn sizes(&self) -> io::Result<Sizes> {
        let mut sizes = Sizes::new();
        let mut dirs = vec![self.dir.join("home")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir)? {
                let path = entry?.path();
                // A log may be moved out of the way meanwhile.
                let Ok(found) = fs::metadata(&path) else { continue };
                if found.is_dir() {
                    dirs.push(path);
                } else {
                    // A log that is full gets another name, and stays the same file.
                    let parent = path.parent().unwrap_or(&path);
                    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                    let name = name.trim_end_matches(".2");
                    sizes.insert((parent.join(name), found.ino()), found.len());
                }
            }
        }
        Ok(sizes)
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // It is in the way of nobody, and its files go now.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
