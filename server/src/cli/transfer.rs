//! `loft export` and `loft import`: mail in the forms of others.

use super::operate::Place;
use crate::control::client::Error as AskError;
use crate::transfer::{self, Export, Form, Import, Outcome, Progress, Source};
use crate::{assembly, serve};
use clap::{Args, ValueEnum};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

pub(super) const EXPORT: &str = "\
Example:
  loft export maildir /backup/alice --user alice
  loft export mbox /tmp/sent --user alice --mailbox Sent

It works while the server runs and reads what clients see; without a server it opens the mail itself, by the
configuration. A maildir that is there already is brought up to date: what it has is not fetched again.";

pub(super) const IMPORT: &str = "\
Example:
  loft import maildir /home/alice/Maildir --user alice --dry-run
  loft import maildir /home/alice/Maildir --user alice --resume /tmp/alice.done
  loft import mbox archive.mbox --user alice --into Archive/2019
  loft import eml letter.eml --user alice

Mailboxes that are missing are created and subscribed. Flags and dates come along: those of a maildir from file names,
dovecot-keywords and the times of files, in the order of dovecot-uidlist; those of an mbox from Status, X-Status and
X-Keywords. With --resume another run goes on where the last one stopped.";

/// What `loft export` is told.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct ExportArgs {
    /// In which form.
    form: Form,
    /// The directory it goes to; made when missing.
    dir: PathBuf,
    /// Whose mail.
    #[arg(long, value_name = "NAME")]
    user: String,
    /// Only this mailbox; may be given more than once.
    #[arg(long, value_name = "MAILBOX")]
    mailbox: Vec<String>,
    #[command(flatten)]
    how: How,
}

/// What `loft import` is told.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct ImportArgs {
    /// In which form it comes.
    form: SourceForm,
    /// The file or directory.
    source: PathBuf,
    /// Whose mail it becomes.
    #[arg(long, value_name = "NAME")]
    user: String,
    /// The mailbox it goes to; mailboxes of the source other than INBOX go below it.
    #[arg(long, value_name = "MAILBOX")]
    into: Option<String>,
    /// A file that remembers what was imported: another run with it goes on from there.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    #[command(flatten)]
    how: How,
}

/// What both are told.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
struct How {
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// A JSON object for each mailbox, a line each.
    #[arg(long)]
    json: bool,
    /// Which server is meant.
    #[command(flatten)]
    place: Place,
}

/// In which form mail comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum SourceForm {
    /// Maildir++ as of Dovecot and Courier, or directories in directories.
    Maildir,
    /// One mbox file, or a directory of them.
    Mbox,
    /// One message in a file, or a directory of files whose names end with .eml.
    Eml,
}

/// Why it ends with 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server or the other side is of no use.
    #[error(transparent)]
    Transfer(#[from] transfer::Error),
    /// The configuration is of no use.
    #[error(transparent)]
    Place(#[from] super::operate::Error),
    /// There is no server, and the mail can't be opened without.
    #[error(transparent)]
    Start(#[from] serve::Error),
    /// Standard output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
    /// All else was moved.
    #[error("messages that could not be moved: {0}; they are named above")]
    Some(u64),
}

impl ExportArgs {
    /// Does it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(self) -> Result<(), Error> {
        let How { dry_run, json, place } = self.how;
        let export =
            Export { user: self.user, to: (self.dir, self.form), mailboxes: self.mailbox, dry_run };
        let verb = if dry_run { "would be exported" } else { "exported" };
        with_server(&place, json, verb, |data, shown| transfer::export(data, &export, shown))
    }
}

impl ImportArgs {
    /// Does it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(self) -> Result<(), Error> {
        let How { dry_run, json, place } = self.how;
        let source = match self.form {
            SourceForm::Maildir => Source::Mailboxes(Form::Maildir),
            SourceForm::Mbox => Source::Mailboxes(Form::Mbox),
            SourceForm::Eml => Source::Eml,
        };
        let import = Import {
            user: self.user,
            from: (self.source, source),
            into: self.into,
            resume: self.resume,
            dry_run,
        };
        let verb = if dry_run { "would be imported" } else { "imported" };
        with_server(&place, json, verb, |data, shown| transfer::import(data, &import, shown))
    }
}

/// Does `work` with the server that runs, or with one of its own for as long as it takes.
fn with_server(
    place: &Place,
    json: bool,
    verb: &str,
    work: impl Fn(&Path, &mut dyn Progress) -> Result<Vec<Outcome>, transfer::Error>,
) -> Result<(), Error> {
    let data = place.data()?;
    let mut shown = Shown::default();
    let outcomes = match (work(&data, &mut shown), place.config()) {
        (Err(transfer::Error::Server(AskError::NotRunning { .. })), Some(config)) => {
            let running: assembly::Running = serve::alone(config)?;
            let outcomes = work(&data, &mut shown);
            running.stop();
            outcomes
        }
        (outcomes, _) => outcomes,
    };
    shown.clear();
    let outcomes = outcomes?;
    let text: String = outcomes
        .iter()
        .map(|outcome| if json { super::operate::json(outcome) } else { line(outcome, verb) })
        .collect();
    super::operate::print(text.as_bytes())?;
    match outcomes.iter().map(|outcome| outcome.failed).sum() {
        0 => Ok(()),
        failed => Err(Error::Some(failed)),
    }
}

fn line(outcome: &Outcome, verb: &str) -> String {
    let Outcome { mailbox, moved, skipped, failed, keywords_left_out } = outcome;
    let mut line = format!("{}: {moved} {verb}", super::operate::visible(mailbox));
    for (count, what) in [
        (skipped, "there already"),
        (failed, "failed"),
        (keywords_left_out, "keywords left out, of which a maildir has 26 at most"),
    ] {
        if *count > 0 {
            line += &format!(", {count} {what}");
        }
    }
    line + "\n"
}

/// Progress on standard error: a line that changes, on a terminal.
#[derive(Default)]
struct Shown {
    on_line: bool,
}

impl Progress for Shown {
    fn at(&mut self, mailbox: &str, done: u64, total: Option<u64>) {
        if !done.is_multiple_of(500) || !io::stderr().is_terminal() {
            return;
        }
        let of = total.map_or_else(String::new, |total| format!(" of {total}"));
        let mailbox = super::operate::visible(mailbox);
        let _lost = write!(io::stderr(), "\r\x1b[K{mailbox}: {done}{of}");
        self.on_line = true;
    }

    fn failed(&mut self, mailbox: &str, message: &str, why: &str) {
        self.clear();
        let shown = [mailbox, message, why].map(super::operate::visible);
        let _lost = writeln!(io::stderr(), "loft: {}: {}: {}", shown[0], shown[1], shown[2]);
    }
}

impl Shown {
    fn clear(&mut self) {
        if std::mem::take(&mut self.on_line) {
            let _lost = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
