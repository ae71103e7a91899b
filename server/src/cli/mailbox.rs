//! `loft mailbox`: looks at the files of mailboxes, and makes anew what can be.
//!
//! Where a server runs, it does that, since it alone writes its store; else the store is opened here, as a start does.

use super::message;
use super::operate::{self, Place, json, visible};
use crate::alone;
use crate::control::client::{self, Error as AskError};
use crate::control::mailboxes::{self, Task};
use crate::control::protocol::{Command as Ask, Reply};
use crate::store::{Finding, Harm, Rebuilt, Revived, messages as messages_in};
use clap::{Args, Subcommand};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

pub(super) const EXAMPLE: &str = "\
Example:
  loft mailbox check
  loft mailbox check --user alice INBOX
  loft mailbox rebuild --user alice INBOX

A running server does it; when none runs, this command opens the store itself.";

pub(super) const PURGE: &str = "\
Example:
  loft purge
  loft purge --user alice --json
  loft purge --user alice --forget

A running server gives back the room of expunged mail by itself, where much of it is dead, at the pace of \
`[limits.store] compaction`. This does it now, at full speed, wherever there is any to be had; but mail that `loft message undelete` can still bring back stays, unless --forget says \
otherwise. When no server runs, this \
command opens the store itself.";

/// What `loft mailbox` can do.
#[derive(Debug, Eq, PartialEq, Subcommand)]
pub enum Command {
    /// Look at the files of mailboxes and at whether they fit each other. Ends with 0 when nothing is wrong, else with 1.
    #[command(
        after_help = "Example:\n  loft mailbox check\n  loft mailbox check --user alice --json INBOX | head -1\n\n\
        What is said: LOST costs mail or what was known of it, SLOW only time, NOTE nothing but room. Nothing is changed. \
        All messages are read, and held against their checksums."
    )]
    Check {
        /// The mailbox; all of them when none is named.
        mailbox: Option<String>,
        /// What is to be looked at.
        #[command(flatten)]
        which: Which,
    },
    /// Write anew what is derived: snapshots, damaged cache files, counters. A mailbox whose log is damaged is made anew of
    /// what is left, under a higher UIDVALIDITY.
    #[command(
        after_help = "Example:\n  loft mailbox rebuild --user alice INBOX\n  loft mailbox rebuild --all\n\n\
        A mailbox is made anew of its snapshots, what its log still says, the map, and the containers of the messages. With \
        --all an account whose mailbox list or map can't be read is made anew as a whole: of its containers, and of what is left \
        of the rest; nobody gets into it meanwhile. What can't be known any more is said. Containers are never changed, and the \
        old files are kept in the account's directory, below damaged/."
    )]
    Rebuild {
        /// The mailbox.
        #[arg(required_unless_present = "all")]
        mailbox: Option<String>,
        /// All mailboxes.
        #[arg(long, conflicts_with = "mailbox")]
        all: bool,
        /// What is to be made anew.
        #[command(flatten)]
        which: Which,
    },
}

/// What is meant.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct Which {
    /// Whose mailboxes; all accounts' when nobody is named.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A JSON object for each thing that is told, a line each.
    #[arg(long)]
    json: bool,
    /// Which server is meant.
    #[command(flatten)]
    place: Place,
}

/// What `loft purge` is told.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct Purge {
    /// Whose mail; all accounts' when nobody is named.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Also of what `loft message undelete` could still bring back: it can't any more.
    #[arg(long)]
    forget: bool,
    /// A JSON object for each account, a line each.
    #[arg(long)]
    json: bool,
    /// Which server is meant.
    #[command(flatten)]
    place: Place,
}

/// Why it ends with 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is of no use.
    #[error(transparent)]
    Place(#[from] operate::Error),
    /// The server is of no use.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// No server runs, and it can't be done here.
    #[error(transparent)]
    Alone(#[from] alone::Error),
    /// It was looked at, and this is wrong.
    #[error("{}", found(*wrong, *lost))]
    Found {
        /// Things that are wrong.
        wrong: u64,
        /// Those of them that cost mail.
        lost: u64,
    },
    /// Standard output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

fn found(wrong: u64, lost: u64) -> String {
    let things = if wrong == 1 { "1 thing is".to_owned() } else { format!("{wrong} things are") };
    match lost {
        0 => format!(
            "{things} wrong, and costs nothing but time; `loft mailbox rebuild` makes it anew"
        ),
        _ => format!(
            "{things} wrong, {lost} of which cost mail or what was known of it; `loft mailbox rebuild` makes anew what can \
             be, and a backup may have more"
        ),
    }
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(self) -> Result<(), Error> {
        let (rebuild, mailbox, which) = match self {
            Self::Check { mailbox, which } => (false, mailbox, which),
            Self::Rebuild { mailbox, all: _, which } => (true, mailbox, which),
        };
        let Which { user, json, place } = which;
        let (data, config) = place.store()?;
        let mut told = Teller::new(json);
        let task = Task { rebuild, user, mailbox };
        match ask(&data, &task, &mut told) {
            Err(Error::Ask(AskError::NotRunning { .. })) => {
                alone::with_store(&data, config, |store| {
                    mailboxes::run(store, &task, &mut |reply| told.reply(reply))
                })?
            }
            result => result?,
        }
        told.end(rebuild)
    }
}

impl Purge {
    /// Does it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(self) -> Result<(), Error> {
        let Self { user, forget, json, place } = self;
        let (data, config) = place.store()?;
        let mut told = Teller::new(json);
        let asked = client::ask(&data, Ask::Purge { user: user.clone(), forget }, |reply| {
            told.reply(reply)
        });
        match asked {
            Err(AskError::NotRunning { .. }) => alone::with_store(&data, config, |store| {
                mailboxes::purge(store, (user.as_deref(), forget), &mut |reply| told.reply(reply))
            })?,
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        told.end(true)
    }
}

/// Lets the server do it.
fn ask(data: &Path, task: &Task, told: &mut Teller) -> Result<(), Error> {
    let Task { user, mailbox, .. } = task.clone();
    let command = match task.rebuild {
        true => Ask::RebuildMailboxes { user, mailbox },
        false => Ask::CheckMailboxes { user, mailbox },
    };
    client::ask(data, command, |reply| told.reply(reply))?;
    Ok(())
}

/// Tells what comes, as it comes.
#[derive(Default)]
pub(super) struct Teller {
    json: bool,
    wrong: u64,
    lost: u64,
    rebuilt: u64,
    failed: Option<io::Error>,
    /// A line of progress stands on the terminal.
    progress: bool,
}

impl Teller {
    /// For people, or a JSON object each.
    pub(super) fn new(json: bool) -> Self {
        Self { json, ..Self::default() }
    }

    /// Something for people alone.
    pub(super) fn say(&mut self, text: &str) {
        if !self.json {
            self.print(text);
        }
    }

    pub(super) fn reply(&mut self, reply: Reply) {
        match &reply {
            Reply::Finding(finding) => {
                self.wrong += u64::from(finding.harm > Harm::None);
                self.lost += u64::from(finding.harm == Harm::Mail);
                let line = if self.json { json(&reply) } else { finding_line(finding) };
                self.print(&line);
            }
            Reply::Rebuilt(rebuilt) => {
                self.rebuilt += 1;
                let line = if self.json { json(&reply) } else { rebuilt_lines(rebuilt) };
                self.print(&line);
            }
            Reply::Progress { user, what, done, total } if io::stderr().is_terminal() => {
                eprint!("\r\x1b[K{} {}: {done} of {total}", visible(user), visible(what));
                self.progress = true;
            }
            Reply::Revived(revived) => {
                let line = if self.json { json(&reply) } else { revived_lines(revived) };
                self.print(&line);
            }
            Reply::Expunged(message) => {
                let line = message::expunged_line(&reply, message, self.json);
                self.print(&line);
            }
            Reply::Undeleted(undeleted) => {
                let line = message::undeleted_line(&reply, undeleted, self.json);
                self.print(&line);
            }
            Reply::Purged { user, freed, moved } => {
                let (freed, moved) = (operate::size(*freed), operate::size(*moved));
                let line = match self.json {
                    true => json(&reply),
                    false => format!("{}: {freed} given back, {moved} moved\n", visible(user)),
                };
                self.print(&line);
            }
            Reply::Progress { .. }
            | Reply::Status(_)
            | Reply::Session(_)
            | Reply::BackedUp(_)
            | Reply::LeftOut(_)
            | Reply::Restored(_)
            | Reply::NotRestored(_)
            | Reply::Done(_)
            | Reply::Error(_) => {}
        }
    }

    fn print(&mut self, text: &str) {
        self.clear();
        let mut out = io::stdout().lock();
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            self.failed = Some(error);
        }
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.progress) {
            eprint!("\r\x1b[K");
        }
    }

    pub(super) fn end(mut self, rebuild: bool) -> Result<(), Error> {
        if !self.json && !rebuild && self.wrong == 0 {
            self.print("nothing is wrong\n");
        }
        self.clear();
        match self.failed {
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Some(error) => Err(error.into()),
            None if self.wrong > 0 && !rebuild => {
                Err(Error::Found { wrong: self.wrong, lost: self.lost })
            }
            None => Ok(()),
        }
    }
}

fn finding_line(finding: &Finding) -> String {
    let Finding { user, mailbox, file, at, harm, what } = finding;
    let harm = match harm {
        Harm::None => "NOTE",
        Harm::Speed => "SLOW",
        Harm::Mail => "LOST",
    };
    let mailbox = mailbox.as_deref().map(|name| format!(" {}", visible(name))).unwrap_or_default();
    let at = at.map(|at| format!(", byte {at}")).unwrap_or_default();
    format!("{harm}  {}{mailbox}: {}{at}: {}\n", visible(user), visible(file), visible(what))
}

fn revived_lines(revived: &Revived) -> String {
    let Revived { user, messages, expunged, unknown, aside } = revived;
    let mut lines = format!("{}: made anew with {}", visible(user), messages_in(*messages));
    if *expunged > 0 {
        lines += &format!(
            "; {} more can be brought back by `loft message undelete`",
            messages_in(*expunged)
        );
    }
    lines += "\n";
    for line in unknown {
        lines += &format!("    not known: {}\n", visible(line));
    }
    if let Some(aside) = aside {
        lines += &format!("    the old files are in {}\n", visible(aside));
    }
    lines
}

fn rebuilt_lines(rebuilt: &Rebuilt) -> String {
    let Rebuilt { user, mailbox, whole, messages, brought_back, uidvalidity, unknown, aside } =
        rebuilt;
    let mut lines = format!("{} {}: ", visible(user), visible(mailbox));
    if *whole {
        lines += &format!("whole, {}; what is derived was written anew\n", messages_in(*messages));
        return lines;
    }
    lines += &format!(
        "made anew with {}, {brought_back} of them from containers alone; UIDVALIDITY {uidvalidity}\n",
        messages_in(*messages)
    );
    for line in unknown {
        lines += &format!("    not known: {}\n", visible(line));
    }
    if let Some(aside) = aside {
        lines += &format!("    the old files are in {}\n", visible(aside));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_for_people() {
        let finding = Finding {
            user: "alice".into(),
            mailbox: Some("Müll\n".into()),
            file: "users/4c/alice/mailboxes/00/log".into(),
            at: Some(132),
            harm: Harm::Mail,
            what: "transaction 3 is missing".into(),
        };
        insta::assert_snapshot!(finding_line(&finding), @r"LOST  alice Müll\n: users/4c/alice/mailboxes/00/log, byte 132: transaction 3 is missing");
        let list = Finding { mailbox: None, at: None, harm: Harm::Speed, ..finding };
        insta::assert_snapshot!(finding_line(&list), @"SLOW  alice: users/4c/alice/mailboxes/00/log: transaction 3 is missing");
        let ends = [(1, 0), (3, 2)].map(|(wrong, lost)| Error::Found { wrong, lost }.to_string());
        insta::assert_snapshot!(ends.join("\n"), @r"
        1 thing is wrong, and costs nothing but time; `loft mailbox rebuild` makes it anew
        3 things are wrong, 2 of which cost mail or what was known of it; `loft mailbox rebuild` makes anew what can be, and a backup may have more
        ");
    }

    #[test]
    fn what_became_of_an_account_for_people() {
        let revived = Revived {
            user: "alice".into(),
            messages: 1,
            expunged: 2,
            unknown: vec!["the map is lost, or the end of it".into()],
            aside: Some("users/4c/alice/damaged/account-1".into()),
        };
        insta::assert_snapshot!(revived_lines(&revived), @r"
        alice: made anew with 1 message; 2 messages more can be brought back by `loft message undelete`
            not known: the map is lost, or the end of it
            the old files are in users/4c/alice/damaged/account-1
        ");
    }

    #[test]
    fn what_became_of_mailboxes_for_people() {
        let rebuilt = Rebuilt {
            user: "alice".into(),
            mailbox: "INBOX".into(),
            messages: 12,
            brought_back: 2,
            uidvalidity: 1_800_000_000,
            unknown: vec!["log file 1, byte 132 (9 bytes): transaction 3 is missing".into()],
            aside: Some("users/4c/alice/damaged/00".into()),
            ..Rebuilt::default()
        };
        let whole = Rebuilt { whole: true, ..rebuilt.clone() };
        insta::assert_snapshot!(rebuilt_lines(&rebuilt) + &rebuilt_lines(&whole), @r"
        alice INBOX: made anew with 12 messages, 2 of them from containers alone; UIDVALIDITY 1800000000
            not known: log file 1, byte 132 (9 bytes): transaction 3 is missing
            the old files are in users/4c/alice/damaged/00
        alice INBOX: whole, 12 messages; what is derived was written anew
        ");
    }
}
