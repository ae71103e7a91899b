//! `loft backup`: makes backups of a store, looks at them, and brings accounts back.
//!
//! Where a server runs, it makes and restores, since it alone writes its store; else the store is opened here.

use super::operate::{self, Place, json, visible};
use crate::alone;
use crate::assembly;
use crate::backup::manifest::Generation;
use crate::backup::repository::Repository;
use crate::backup::restore::prepare;
use crate::backup::verify::verify;
use crate::backup::{self, Damage, Done, Refused, RestoreTask, Restored, Task, Verified, With};
use crate::control::backups;
use crate::control::client::{self, Error as AskError};
use crate::control::protocol::{Command as Ask, Reply};
use clap::Subcommand;
use runtime_smol::fs::{Fs, RealFs};
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const EXAMPLE: &str = "\
Example:
  loft backup create /backup/mail --keep 14
  loft backup list /backup/mail
  loft backup verify /backup/mail
  loft backup restore /backup/mail --user alice --as alice-old
  loft backup restore /backup/mail --into /var/mail/loft

The server goes on meanwhile. Each backup is a generation of the directory, and copies only what the ones before do not \
have.";

/// What `loft backup` can do.
#[derive(Debug, Eq, PartialEq, Subcommand)]
pub enum Command {
    /// Copy what is new to a backup directory, as the next generation. Ends with 0 when all accounts are in it.
    #[command(
        after_help = "Example:\n  loft backup create /backup/mail\n  loft backup create /backup/mail --user alice --user bob\n  \
        loft backup create /backup/mail --keep 14 --json\n\n\
        Of each account it has all that was acknowledged before its turn came, as it was at one moment. Interrupted, it \
        goes on where it stopped when it is run again; until it is finished the generations before are all there is. A \
        running server writes the directory, so its user must be able to; with systemd, name it in ReadWritePaths=."
    )]
    Create {
        /// The backup directory; made when missing.
        dir: PathBuf,
        /// Only this account's mail; may be given more than once.
        #[arg(long, value_name = "NAME")]
        user: Vec<String>,
        /// Remove older generations, so that this many are left.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        keep: Option<u32>,
        /// A JSON object for each thing that is told, a line each.
        #[arg(long)]
        json: bool,
        /// Which server is meant.
        #[command(flatten)]
        place: Place,
    },
    /// List the generations of a backup directory, the oldest first.
    #[command(
        after_help = "Example:\n  loft backup list /backup/mail\n  loft backup list /backup/mail --json | tail -1"
    )]
    List {
        /// The backup directory.
        dir: PathBuf,
        /// A JSON object for each, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Read every byte of a backup directory and hold it against its checksums, those of each message included. Ends with
    /// 0 when nothing is wrong, else with 1.
    #[command(
        after_help = "Example:\n  loft backup verify /backup/mail\n  loft backup verify /backup/mail --generation 12 --json\n\n\
        It needs no server. A damaged object is named with what needs it: once it is removed, the next backup copies \
        again what the store still has of it."
    )]
    Verify {
        /// The backup directory.
        dir: PathBuf,
        /// Only this generation.
        #[arg(long, value_name = "N")]
        generation: Option<u64>,
        /// A JSON object for each thing that is wrong, and one for all that was looked at, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Bring accounts back as they were. Ends with 0 when all of them are there again.
    #[command(
        after_help = "Example:\n  loft backup restore /backup/mail --into /var/mail/loft\n  \
        loft backup restore /backup/mail --user alice --as alice-old\n  \
        loft backup restore /backup/mail --user alice --generation 12 --replace\n\n\
        UIDs, flags and identities are as they were, and UIDVALIDITYs where the account was not there. An account that is \
        there is left alone, unless --replace puts it aside, which needs the server to be stopped. Where clients have \
        seen mail that is newer than the backup, use --new-uidvalidity (--replace does so): they fetch all of it again, \
        and take no new message for one that they know."
    )]
    Restore {
        /// The backup directory.
        dir: PathBuf,
        /// Only this account's mail; may be given more than once.
        #[arg(long, value_name = "NAME")]
        user: Vec<String>,
        /// Another name for the one account.
        #[arg(long = "as", value_name = "NAME", requires = "user")]
        rename: Option<String>,
        /// The generation; the newest when none is named.
        #[arg(long, value_name = "N")]
        generation: Option<u64>,
        /// The data directory it goes to, made when missing; else that of the configuration.
        #[arg(long, value_name = "DATA", conflicts_with_all = ["config", "data"])]
        into: Option<PathBuf>,
        /// Put accounts aside that are there already. Needs the server to be stopped.
        #[arg(long)]
        replace: bool,
        /// Give all mailboxes new UIDVALIDITYs.
        #[arg(long)]
        new_uidvalidity: bool,
        /// A JSON object for each account, a line each.
        #[arg(long)]
        json: bool,
        /// Which server is meant.
        #[command(flatten)]
        place: Place,
    },
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
    /// The store can't be opened here.
    #[error(transparent)]
    Alone(#[from] alone::Error),
    /// The backup is of no use.
    #[error(transparent)]
    Backup(#[from] backup::Error),
    /// The directory's name means nothing.
    #[error("cannot find {}: {source}", dir.display())]
    Path {
        /// As it was given.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Accounts are missing in the backup.
    #[error("accounts that are not in the backup: {0}; they are named above, with why")]
    LeftOut(u64),
    /// Accounts were not restored.
    #[error("accounts that were not restored: {0}; they are named above, with why")]
    NotRestored(u64),
    /// The backup is damaged.
    #[error("{}", damaged(*.0))]
    Damaged(u64),
    /// Standard output is closed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

fn damaged(count: u64) -> String {
    let things = if count == 1 { "1 thing is".to_owned() } else { format!("{count} things are") };
    format!(
        "{things} wrong with the backup. Remove the objects that are named and run `loft backup create`, which copies again \
         what the store still has of them"
    )
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(self) -> Result<(), Error> {
        match self {
            Self::Create { dir, user, keep, json, place } => {
                create(Task { dir: absolute(dir)?, users: user, keep }, json, &place)
            }
            Self::List { dir, json } => list(&absolute(dir)?, json),
            Self::Verify { dir, generation, json } => check(&absolute(dir)?, generation, json),
            Self::Restore {
                dir,
                user,
                rename,
                generation,
                into,
                replace,
                new_uidvalidity,
                json,
                place,
            } => {
                let dir = absolute(dir)?;
                let users = user;
                let task = RestoreTask { dir, generation, users, rename, replace, new_uidvalidity };
                restore(task, into, json, &place)
            }
        }
    }
}

/// The server's working directory may be another.
fn absolute(dir: PathBuf) -> Result<PathBuf, Error> {
    std::path::absolute(&dir).map_err(|source| Error::Path { dir, source })
}

fn create(task: Task, json: bool, place: &Place) -> Result<(), Error> {
    let (data, config) = place.store()?;
    let mut told = Teller { json, ..Teller::default() };
    let Task { dir, users, keep } = task.clone();
    match client::ask(&data, Ask::Backup { dir, users, keep }, |reply| told.reply(reply)) {
        Err(AskError::NotRunning { .. }) => {
            alone::with_store(&data, config, |store| {
                backups::create(store, &task, &mut |reply| {
                    told.reply(reply);
                    true
                })
            })?;
        }
        result => {
            result?;
        }
    }
    told.end()
}

fn restore(
    task: RestoreTask,
    into: Option<PathBuf>,
    json: bool,
    place: &Place,
) -> Result<(), Error> {
    let (data, config) = match into {
        Some(data) => (absolute(data)?, Default::default()),
        None => place.store()?,
    };
    let mut told = Teller { json, ..Teller::default() };
    match client::ask(&data, Ask::Restore(task.clone()), |reply| told.reply(reply)) {
        Err(AskError::NotRunning { .. }) => {
            let fs: Arc<dyn Fs> = Arc::new(RealFs);
            let repository = Arc::new(Repository::open(fs.clone(), &task.dir)?);
            prepare(&repository, &task, &fs, &data, Arc::new(assembly::random))?;
            drop(repository);
            alone::with_store(&data, config, |store| {
                backups::restore(store, &task, With::Nobody, &mut |reply| {
                    told.reply(reply);
                    true
                })
            })?;
        }
        result => {
            result?;
        }
    }
    told.end()
}

fn list(dir: &Path, as_json: bool) -> Result<(), Error> {
    let repository = Repository::open(Arc::new(RealFs), dir)?;
    let mut text = String::new();
    for number in repository.generations()? {
        let generation = repository.generation(Some(number))?;
        text += &if as_json { summary(&generation) } else { generation_line(&generation) };
    }
    if text.is_empty() {
        return Err(backup::Error::Unfinished { dir: dir.to_owned() }.into());
    }
    Ok(operate::print(text.as_bytes())?)
}

fn summary(generation: &Generation) -> String {
    let accounts: Vec<_> = generation
        .accounts
        .iter()
        .map(|saved| {
            let (user, messages, bytes) = (&saved.user, saved.messages, saved.bytes);
            serde_json::json!({ "user": user, "messages": messages, "bytes": bytes })
        })
        .collect();
    let left_out: Vec<_> = generation.left_out.iter().map(|left| &left.user).collect();
    json(&serde_json::json!({
        "generation": generation.number,
        "created": generation.created,
        "added": generation.added,
        "accounts": accounts,
        "left_out": left_out,
    }))
}

fn generation_line(generation: &Generation) -> String {
    let messages = generation.accounts.iter().map(|saved| saved.messages).sum::<u64>();
    let bytes = generation.accounts.iter().map(|saved| saved.bytes).sum();
    let mut line = format!(
        "{}  {}  {} accounts, {messages} messages, {}, of which {} were new",
        generation.number,
        date(generation.created),
        generation.accounts.len(),
        operate::size(bytes),
        operate::size(generation.added),
    );
    if !generation.left_out.is_empty() {
        let _ = write!(line, "; {} accounts are missing", generation.left_out.len());
    }
    line + "\n"
}

/// As RFC 3339 has it, in UTC.
fn date(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days from 1 March of year 0, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn check(dir: &Path, generation: Option<u64>, json: bool) -> Result<(), Error> {
    let repository = Arc::new(Repository::open(Arc::new(RealFs), dir)?);
    let told = std::cell::RefCell::new(Teller { json, ..Teller::default() });
    let verified = verify(
        &repository,
        generation,
        &mut |damage| told.borrow_mut().damage(&damage),
        &mut |progress| {
            told.borrow_mut().progress(progress);
            true
        },
    )?;
    let mut told = told.into_inner();
    told.verified(&verified);
    told.end()
}

/// Tells what comes, as it comes.
#[derive(Default)]
struct Teller {
    json: bool,
    left_out: u64,
    refused: u64,
    damages: u64,
    failed: Option<io::Error>,
    /// A line of progress stands on the terminal.
    progress: bool,
}

impl Teller {
    fn reply(&mut self, reply: Reply) {
        let line = match &reply {
            Reply::Progress { user, done, total, .. } => {
                return self.show(user, *done, *total);
            }
            Reply::LeftOut(refused) => {
                self.left_out += 1;
                refused_line("not in the backup", refused)
            }
            Reply::NotRestored(refused) => {
                self.refused += 1;
                refused_line("not restored", refused)
            }
            Reply::BackedUp(done) => done_line(done),
            Reply::Restored(restored) => restored_line(restored),
            Reply::Status(_)
            | Reply::Session(_)
            | Reply::Finding(_)
            | Reply::Rebuilt(_)
            | Reply::Purged { .. }
            | Reply::Revived(_)
            | Reply::Expunged(_)
            | Reply::Undeleted(_)
            | Reply::Done(_)
            | Reply::Error(_) => return,
        };
        let line = if self.json { json(&reply) } else { line };
        self.print(&line);
    }

    fn damage(&mut self, damage: &Damage) {
        self.damages += 1;
        let line = if self.json {
            json(&serde_json::json!({ "damage": damage }))
        } else {
            damage_line(damage)
        };
        self.print(&line);
    }

    fn verified(&mut self, verified: &Verified) {
        let line = match self.json {
            true => json(&serde_json::json!({ "verified": verified })),
            false => format!(
                "{} generations, {} states of accounts, {} messages; {} objects, {}: {}\n",
                verified.generations,
                verified.accounts,
                verified.messages,
                verified.objects,
                operate::size(verified.bytes),
                if verified.damages == 0 { "nothing is wrong" } else { "see above" },
            ),
        };
        self.print(&line);
    }

    fn progress(&mut self, told: backup::create::Told) {
        if let backup::create::Told::Progress { user, done, total } = told {
            self.show(&user, done, total);
        }
    }

    fn show(&mut self, user: &str, done: u64, total: u64) {
        if !io::stderr().is_terminal() {
            return;
        }
        let (done, total) = (operate::size(done), operate::size(total));
        let user = if user.is_empty() { "all".to_owned() } else { visible(user) };
        eprint!("\r\x1b[K{user}: {done} of {total}");
        self.progress = true;
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

    fn end(mut self) -> Result<(), Error> {
        self.clear();
        match self.failed {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ if self.left_out > 0 => Err(Error::LeftOut(self.left_out)),
            _ if self.refused > 0 => Err(Error::NotRestored(self.refused)),
            _ if self.damages > 0 => Err(Error::Damaged(self.damages)),
            Some(_) | None => Ok(()),
        }
    }
}

fn done_line(done: &Done) -> String {
    let Done { generation, accounts, bytes, added, freed, .. } = done;
    let (bytes, added) = (operate::size(*bytes), operate::size(*added));
    let mut line =
        format!("generation {generation}: {accounts} accounts, {bytes}, of which {added} were new");
    if *freed > 0 {
        let _ = write!(line, "; older generations gave back {}", operate::size(*freed));
    }
    line + "\n"
}

fn refused_line(what: &str, refused: &Refused) -> String {
    format!("{}: {what}: {}\n", visible(&refused.user), visible(&refused.why))
}

fn restored_line(restored: &Restored) -> String {
    let Restored { from, user, mailboxes, messages, bytes, new_uidvalidity, aside } = restored;
    let mut line = visible(user);
    if from != user {
        let _ = write!(line, " (from {})", visible(from));
    }
    let _ =
        write!(line, ": {messages} messages in {mailboxes} mailboxes, {}", operate::size(*bytes));
    if *new_uidvalidity {
        line += ", under new UIDVALIDITYs";
    }
    if let Some(aside) = aside {
        let _ = write!(line, "; what was there is in {}", visible(aside));
    }
    line + "\n"
}

fn damage_line(damage: &Damage) -> String {
    let Damage { generation, user, mailbox, file, what } = damage;
    let mut line = format!("DAMAGED  generation {generation}");
    for part in [user, mailbox].into_iter().flatten() {
        let _ = write!(line, " {}", visible(part));
    }
    if !file.is_empty() {
        let _ = write!(line, ": {}", visible(file));
    }
    let _ = write!(line, ": {}", visible(what));
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_800_000_000, "2027-01-15T08:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn what_is_told_to_people() {
        let done =
            Done { generation: 3, accounts: 2, bytes: 3 << 20, added: 1 << 20, ..Done::default() };
        let restored = Restored {
            from: "alice".into(),
            user: "alice-old".into(),
            mailboxes: 6,
            messages: 12,
            bytes: 2048,
            new_uidvalidity: true,
            aside: Some("replaced/alice.1".into()),
        };
        let damage = Damage {
            generation: 3,
            user: Some("alice".into()),
            mailbox: Some("Müll\n".into()),
            file: "storage/00/c.00000001".into(),
            what: "UID 7: the checksum differs".into(),
        };
        let refused = Refused { user: "bob".into(), why: "no".into() };
        let lines = [
            done_line(&done),
            restored_line(&restored),
            damage_line(&damage),
            refused_line("not restored", &refused),
        ];
        insta::assert_snapshot!(lines.concat(), @r"
        generation 3: 2 accounts, 3.0 MiB, of which 1.0 MiB were new
        alice-old (from alice): 12 messages in 6 mailboxes, 2.0 KiB, under new UIDVALIDITYs; what was there is in replaced/alice.1
        DAMAGED  generation 3 alice Müll\n: storage/00/c.00000001: UID 7: the checksum differs
        bob: not restored: no
        ");
    }
}
