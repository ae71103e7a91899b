//! `loft status` and `loft session`: what a running server says of itself.

use crate::control::client::{self, Error as AskError};
use crate::control::protocol::{Command as Ask, Reply, Session, Status};
use crate::serve;
use crate::store::StoreConfig;
use clap::{Args, Subcommand};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

pub(super) const STATUS: &str = "\
Example:
  loft status
  loft status --json --data /var/mail/loft

Numbers count from the start of the server.";

pub(super) const SESSION: &str = "\
Example:
  loft session list
  loft session kick tro8w0-2a
  loft session kick --user alice";

/// What `loft status` is told.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct StatusArgs {
    /// As a JSON object.
    #[arg(long)]
    json: bool,
    /// Which server is meant.
    #[command(flatten)]
    place: Place,
}

/// What `loft session` can do.
#[derive(Debug, Eq, PartialEq, Subcommand)]
pub enum Command {
    /// List who is connected, the oldest first.
    #[command(
        after_help = "Example:\n  loft session list\n  loft session list --json | head -1\n\n\
        The states of IMAP are login, authenticated, selected, idle and busy; those of LMTP are ready, envelope, text and \
        busy. IDLE is the time since the other side last sent something."
    )]
    List {
        /// A JSON object for each, a line each.
        #[arg(long)]
        json: bool,
        /// Which server is meant.
        #[command(flatten)]
        place: Place,
    },
    /// End sessions: IMAP clients are told BYE, LMTP clients 421, each at its next command boundary.
    #[command(
        after_help = "Example:\n  loft session kick tro8w0-2a\n  loft session kick --user alice\n\n\
        A client may connect again at once: `loft user passwd --locked` keeps it out."
    )]
    Kick {
        /// The session, as `loft session list` and the log have it.
        #[arg(required_unless_present = "user")]
        id: Option<String>,
        /// All sessions of this user.
        #[arg(long, value_name = "NAME", conflicts_with = "id")]
        user: Option<String>,
        /// Which server is meant.
        #[command(flatten)]
        place: Place,
    },
}

/// Which server is meant.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The configuration of the server.
    #[arg(long, value_name = "FILE", default_value = super::CONFIG)]
    config: PathBuf,
    /// Where its mail is, instead of a configuration.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
}

/// Why it ends with 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is of no use.
    #[error("{0}; or name the server's directory with --data")]
    Config(#[from] serve::Error),
    /// The server is of no use.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// Nobody was meant.
    #[error("{user} has no session; `loft session list` shows those there are")]
    Nobody {
        /// Who was named.
        user: String,
    },
    /// Standard output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

impl Place {
    /// The configuration of the server, unless its directory is named instead.
    pub(super) fn config(&self) -> Option<&Path> {
        self.data.is_none().then_some(&*self.config)
    }

    /// Where the mail is, and how its store is opened.
    pub(super) fn store(&self) -> Result<(PathBuf, StoreConfig), Error> {
        match &self.data {
            Some(data) => Ok((data.clone(), StoreConfig::default())),
            None => {
                let config = serve::read(&self.config).inspect_err(super::details)?.config;
                Ok((config.data_dir.clone(), serve::store(&config)))
            }
        }
    }

    /// Where the mail is.
    pub(super) fn data(&self) -> Result<PathBuf, Error> {
        match &self.data {
            Some(data) => Ok(data.clone()),
            None => Ok(serve::read(&self.config).inspect_err(super::details)?.config.data_dir),
        }
    }
}

impl StatusArgs {
    /// Does it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(self) -> Result<(), Error> {
        let mut found = None;
        client::ask(&self.place.data()?, Ask::Status, |reply| {
            if let Reply::Status(status) = reply {
                found = Some(status);
            }
        })?;
        let Some(status) = found else { return Ok(()) };
        let text = if self.json { json(&status) } else { shown(&status) };
        print(text.as_bytes())
    }
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(self) -> Result<(), Error> {
        match self {
            Self::List { json: as_json, place } => {
                let sessions = sessions(&place.data()?, Ask::Sessions)?;
                let text =
                    if as_json { sessions.iter().map(json).collect() } else { table(&sessions) };
                print(text.as_bytes())
            }
            Self::Kick { id, user, place } => {
                let ask = match (&id, &user) {
                    (Some(id), _) => Ask::Kick { id: id.clone() },
                    (None, user) => Ask::KickUser { user: user.clone().unwrap_or_default() },
                };
                let ended = sessions(&place.data()?, ask)?;
                if let (Some(user), true) = (user, ended.is_empty()) {
                    return Err(Error::Nobody { user });
                }
                let line = |session: &Session| format!("{} is told to end\n", session.id);
                print(ended.iter().map(line).collect::<String>().as_bytes())
            }
        }
    }
}

fn sessions(data: &Path, ask: Ask) -> Result<Vec<Session>, AskError> {
    let mut sessions = Vec::new();
    client::ask(data, ask, |reply| {
        if let Reply::Session(session) = reply {
            sessions.push(session);
        }
    })?;
    Ok(sessions)
}

pub(super) fn print(text: &[u8]) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    Ok(out.write_all(text).and_then(|()| out.flush())?)
}

/// A line of JSON.
pub(super) fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("its maps have keys that are text") + "\n"
}

/// A server for people.
fn shown(status: &Status) -> String {
    let mut out = String::new();
    let mut line = |name: &str, text: String| {
        let _ = writeln!(out, "{name:<11} {text}");
    };
    let Status { logins, mail, journal, disk, .. } = status;
    line(
        "server",
        format!(
            "Loft {} on {}, process {}, running for {}",
            visible(&status.version),
            visible(&status.hostname),
            status.pid,
            time(status.uptime_ms)
        ),
    );
    line(
        "data",
        format!("{}: {} free of {}", visible(&status.data_dir), size(disk.free), size(disk.size)),
    );
    line("accounts", format!("{}, {} in memory", status.accounts, status.accounts_loaded));
    let now: u64 = status.sessions.values().flat_map(|states| states.values()).sum();
    line("sessions", format!("{now} now, {} since the start", status.sessions_begun));
    for (service, states) in &status.sessions {
        let states: Vec<String> =
            states.iter().map(|(state, count)| format!("{count} {}", visible(state))).collect();
        line("", format!("{}: {}", visible(service), states.join(", ")));
    }
    line(
        "log-ins",
        format!("{} right, {} wrong, {} put off", logins.accepted, logins.refused, logins.put_off),
    );
    line(
        "mail",
        format!(
            "{} messages taken in {} copies, {} refused, {} copies failed, {} unknown recipients, {} appended",
            mail.accepted,
            mail.deliveries,
            mail.refused,
            mail.deliveries_failed,
            mail.unknown_recipients,
            mail.appended
        ),
    );
    if mail.refusing {
        line("", "new mail is refused: the log says why".to_owned());
    }
    line(
        "journal",
        format!(
            "{} changes in {} groups, {} since the last of {} checkpoints, {} failed",
            journal.changes,
            journal.groups,
            size(journal.bytes),
            journal.checkpoints,
            journal.failed
        ),
    );
    out
}

/// Sessions for people.
fn table(sessions: &[Session]) -> String {
    let head = ["ID", "SERVICE", "PEER", "USER", "STATE", "AGE", "IDLE", "MAILBOX"];
    let mut rows: Vec<[String; 8]> = vec![head.map(str::to_owned)];
    rows.extend(sessions.iter().map(|session| {
        let text = |text: &Option<String>| visible(text.as_deref().unwrap_or("-"));
        let secure = if session.tls && session.service != "imaps" { "+tls" } else { "" };
        [
            visible(&session.id),
            visible(&session.service) + secure,
            session.peer.as_deref().map_or_else(|| "unix".to_owned(), visible),
            text(&session.user),
            visible(&session.state),
            time(session.age_ms),
            time(session.idle_ms),
            text(&session.mailbox),
        ]
    }));
    let mut widths = [0; 8];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        out += cells.collect::<Vec<_>>().join("  ").trim_end();
        out.push('\n');
    }
    out
}

/// Without what a terminal would take for commands: names of mailboxes are what clients made of them.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

/// A time in its two largest units.
fn time(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// Bytes with one digit behind the point.
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => {
            let tenths = u128::from(bytes) * 10 / u128::from(unit);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{Disk, Journal, Logins, Mail};

    #[test]
    fn a_status_for_people() {
        let states = [("idle".to_owned(), 7), ("login".to_owned(), 1)].into();
        let status = Status {
            version: "0.1.0".into(),
            hostname: "mail.example.org".into(),
            pid: 77,
            uptime_ms: 93_784_000,
            data_dir: "/var/mail/loft".into(),
            accounts: 120,
            accounts_loaded: 17,
            sessions: [("imap".to_owned(), states)].into(),
            sessions_begun: 1234,
            logins: Logins { accepted: 1000, refused: 5, put_off: 0 },
            mail: Mail { accepted: 9, deliveries: 12, refusing: true, ..Mail::default() },
            journal: Journal { groups: 3, changes: 40, bytes: 1 << 21, ..Journal::default() },
            disk: Disk { size: 100 << 30, used: 1 << 30, free: (98 << 30) + (1 << 29) },
        };
        insta::assert_snapshot!(shown(&status), @r"
        server      Loft 0.1.0 on mail.example.org, process 77, running for 1 d 2 h
        data        /var/mail/loft: 98.5 GiB free of 100.0 GiB
        accounts    120, 17 in memory
        sessions    8 now, 1234 since the start
                    imap: 7 idle, 1 login
        log-ins     1000 right, 5 wrong, 0 put off
        mail        9 messages taken in 12 copies, 0 refused, 0 copies failed, 0 unknown recipients, 0 appended
                    new mail is refused: the log says why
        journal     40 changes in 3 groups, 2.0 MiB since the last of 0 checkpoints, 0 failed
        ");
    }

    #[test]
    fn sessions_for_people() {
        let idle = Session {
            id: "tro8w0-2".into(),
            service: "imap".into(),
            peer: Some("192.0.2.1:5000".into()),
            tls: true,
            user: Some("alice".into()),
            mailbox: Some("Müll\u{1b}[2J\n".into()),
            state: "idle".into(),
            since: 1_800_000_000,
            age_ms: 3_700_000,
            idle_ms: 61_000,
        };
        let lmtp = Session {
            id: "tro8w0-3".into(),
            service: "lmtp".into(),
            state: "ready".into(),
            ..Session::default()
        };
        insta::assert_snapshot!(table(&[idle, lmtp]), @r"
        ID        SERVICE   PEER            USER   STATE  AGE        IDLE       MAILBOX
        tro8w0-2  imap+tls  192.0.2.1:5000  alice  idle   1 h 1 min  1 min 1 s  Müll\u{1b}[2J\n
        tro8w0-3  lmtp      unix            -      ready  0 s        0 s        -
        ");
    }

    #[test]
    fn sizes_and_times() {
        let sizes = [0, 1023, 1024, 1536, (1 << 30) - 1].map(size);
        assert_eq!(sizes, ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1023.9 MiB"]);
        let times = [999, 60_000, 3_600_000, 90_000_000].map(time);
        assert_eq!(times, ["0 s", "1 min 0 s", "1 h 0 min", "1 d 1 h"]);
    }
}
