//! `loft user`: the accounts in a passwd-file. A running server sees each change at the next log-in or delivery.

use crate::accounts::edit::Editing;
use crate::accounts::passwd_file::Entry;
use crate::accounts::password::{Scheme, Stored};
use crate::accounts::{AccountName, NameError, directory};
use crate::assembly;
use crate::config::Config;
use crate::serve;
use crate::store::{Store, StoreError};
use clap::{Args, Subcommand, ValueEnum};
use dbox_format::paths::PathError;
use imap_proto::Secret;
use runtime_smol::Clock;
use runtime_smol::fs::{Fs as _, RealFs};
use rustix::termios::{LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const EXAMPLE: &str = "\
Example:
  loft user add alice                            # asks for the password
  printf '%s\\n' \"$PASSWORD\" | loft user add bob   # for scripts
  loft user passwd alice
  loft user list --json
  loft user remove bob --delete-mail

The file is the first [[auth.source]] of the configuration, or the one that has the user; a running server sees the
change by itself.";

/// The longest password, in bytes: no log-in takes more.
const PASSWORD_MAX: usize = 512;

/// What bcrypt looks at, in bytes.
const BCRYPT_MAX: usize = 72;

/// What `loft user` can do.
#[derive(Debug, Eq, PartialEq, Subcommand)]
pub enum Command {
    /// Add an account; its password is asked for, or the first line of standard input.
    #[command(after_help = "Example:\n  loft user add alice\n  loft user add --locked postmaster")]
    Add {
        /// Its name: letters, digits and . _ - @
        name: String,
        /// How the password is stored.
        #[arg(long, value_enum, default_value_t = NewScheme::Argon2id)]
        scheme: NewScheme,
        /// Without a password: it takes mail, and nobody logs in.
        #[arg(long, conflicts_with = "scheme")]
        locked: bool,
        /// Which files are meant.
        #[command(flatten)]
        place: Place,
    },
    /// Give an account another password.
    Passwd {
        /// Whose.
        name: String,
        /// How the password is stored.
        #[arg(long, value_enum, default_value_t = NewScheme::Argon2id)]
        scheme: NewScheme,
        /// Take the password away: it takes mail, and nobody logs in.
        #[arg(long, conflicts_with = "scheme")]
        locked: bool,
        /// Which files are meant.
        #[command(flatten)]
        place: Place,
    },
    /// List all accounts.
    List {
        /// As a JSON array.
        #[arg(long)]
        json: bool,
        /// Which files are meant.
        #[command(flatten)]
        place: Place,
    },
    /// Show one account: how its password is stored, and where its mail is.
    Info {
        /// Which.
        name: String,
        /// As a JSON object.
        #[arg(long)]
        json: bool,
        /// Which files are meant.
        #[command(flatten)]
        place: Place,
    },
    /// Remove an account. Its mail stays, unless you say otherwise; its sessions go on until they end.
    Remove {
        /// Which.
        name: String,
        /// Delete its mail, for good. No server may run then.
        #[arg(long, conflicts_with = "file")]
        delete_mail: bool,
        /// Which files are meant.
        #[command(flatten)]
        place: Place,
    },
}

/// Which files are meant.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The configuration, which names the passwd-files.
    #[arg(long, value_name = "FILE", default_value = super::CONFIG)]
    config: PathBuf,
    /// A passwd-file, instead of those that a configuration names; `add` makes it when it is missing.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
}

/// Schemes for new passwords.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum NewScheme {
    /// Argon2id: what to take unless another program has to read the file
    Argon2id,
    /// Bcrypt
    BlfCrypt,
    /// SHA-512 of crypt(3)
    Sha512Crypt,
    /// As it is: whoever reads the file can log in
    Plain,
}

impl NewScheme {
    fn scheme(self) -> Scheme {
        match self {
            Self::Argon2id => Scheme::Argon2id,
            Self::BlfCrypt => Scheme::Bcrypt,
            Self::Sha512Crypt => Scheme::Sha512Crypt,
            Self::Plain => Scheme::Plain,
        }
    }
}

/// Why it ends with 1. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration can't be used.
    #[error("{0}; or name a passwd-file with --file")]
    Config(serve::Error),
    /// A passwd-file can't be used.
    #[error(transparent)]
    File(#[from] directory::Error),
    /// A passwd-file can't be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No name for an account.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is one of this name.
    #[error("{name} is in {} already; `loft user passwd {name}` gives another password", path.display())]
    Exists {
        /// The name.
        name: AccountName,
        /// Where.
        path: PathBuf,
    },
    /// There is none of this name.
    #[error("there is no account {0}; `loft user list` shows all")]
    Nobody(AccountName),
    /// A password that can't be one.
    #[error("{0}")]
    Password(&'static str),
    /// Reading a password or writing a list failed.
    #[error("cannot {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A server has the mail.
    #[error("cannot delete the mail while process {pid} uses {}; stop that server first", path.display())]
    InUse {
        /// The store.
        path: PathBuf,
        /// The server.
        pid: u32,
    },
    /// The store can't be opened.
    #[error("cannot delete the mail: {0}")]
    Store(StoreError),
    /// No directory can have this name.
    #[error("cannot find the mail: {0}")]
    Path(#[from] PathError),
    /// A server came meanwhile.
    #[error("the account is removed, its mail in {} is not: a server has begun to use it", .0.display())]
    Busy(PathBuf),
    /// A directory can't be removed.
    #[error("the account is removed, its mail in {} not wholly: {source}", path.display())]
    Delete {
        /// What is left of it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn run(self) -> Result<(), Error> {
        match self {
            Self::Add { name, scheme, locked, place } => add(&name, scheme, locked, &place),
            Self::Passwd { name, scheme, locked, place } => passwd(&name, scheme, locked, &place),
            Self::List { json, place } => list(json, &Files::of(&place)?),
            Self::Info { name, json, place } => info(&name, json, &Files::of(&place)?),
            Self::Remove { name, delete_mail, place } => remove(&name, delete_mail, &place),
        }
    }
}

/// The passwd-files that are meant, and the configuration if there is one.
struct Files {
    paths: Vec<PathBuf>,
    config: Option<Config>,
}

impl Files {
    fn of(place: &Place) -> Result<Self, Error> {
        if let Some(file) = &place.file {
            return Ok(Self { paths: vec![file.clone()], config: None });
        }
        let read = serve::read(&place.config).inspect_err(super::details).map_err(Error::Config)?;
        Ok(Self { paths: read.config.sources.clone(), config: Some(read.config) })
    }

    /// All accounts and their files; the first of a name counts.
    fn accounts(&self) -> Result<Vec<(Entry, PathBuf)>, Error> {
        let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
        for path in &self.paths {
            for entry in directory::read(path)? {
                if seen.insert(entry.name.clone()) {
                    all.push((entry, path.clone()));
                }
            }
        }
        Ok(all)
    }

    fn find(&self, name: &AccountName) -> Result<(Entry, PathBuf), Error> {
        let found = self.accounts()?.into_iter().find(|(entry, _)| entry.name == *name);
        found.ok_or_else(|| Error::Nobody(name.clone()))
    }
}

fn add(name: &str, scheme: NewScheme, locked: bool, place: &Place) -> Result<(), Error> {
    let name = AccountName::new(name)?;
    let files = Files::of(place)?;
    let path = files.paths.first().expect("a configuration has a source");
    let there = |files: &Files| -> Result<(), Error> {
        let missing = !path.exists();
        let others = Files {
            paths: files.paths.iter().skip(usize::from(missing)).cloned().collect(),
            config: None,
        };
        match others.find(&name) {
            Ok((_, path)) => Err(Error::Exists { name: name.clone(), path }),
            Err(Error::Nobody(_)) => Ok(()),
            Err(error) => Err(error),
        }
    };
    // Before anybody has typed a password for nothing.
    there(&files)?;
    let password = new_password(&name, scheme, locked)?;
    let written = |source| Error::Write { path: path.clone(), source };
    let editing = Editing::open(path, true).map_err(written)?;
    there(&files)?;
    editing.add(&name, &password).map_err(written)
}

fn passwd(name: &str, scheme: NewScheme, locked: bool, place: &Place) -> Result<(), Error> {
    let name = AccountName::new(name)?;
    let (_, path) = Files::of(place)?.find(&name)?;
    let password = new_password(&name, scheme, locked)?;
    let written = |source| Error::Write { path: path.clone(), source };
    let editing = Editing::open(&path, false).map_err(written)?;
    match editing.set_password(&name, &password).map_err(written)? {
        true => Ok(()),
        false => Err(Error::Nobody(name)),
    }
}

fn list(json: bool, files: &Files) -> Result<(), Error> {
    let mut out = String::new();
    let accounts = files.accounts()?;
    for (n, (entry, path)) in accounts.iter().enumerate() {
        if json {
            let comma = if n == 0 { "[\n" } else { ",\n" };
            let _ = write!(out, "{comma}  {}", as_json(entry, path, None));
        } else {
            let _ = writeln!(out, "{}", entry.name);
        }
    }
    if json {
        out.push_str(if accounts.is_empty() { "[]\n" } else { "\n]\n" });
    }
    print(&out)
}

fn info(name: &str, json: bool, files: &Files) -> Result<(), Error> {
    let name = AccountName::new(name)?;
    let (entry, path) = files.find(&name)?;
    let mail = match &files.config {
        Some(config) => Some(mail_of(config, &name)?),
        None => None,
    };
    if json {
        return print(&format!("{}\n", as_json(&entry, &path, mail.as_deref())));
    }
    let mut out = format!("account   {}\n", entry.name);
    let _ = match entry.may_log_in() {
        true => writeln!(out, "password  {}", entry.password.scheme().name()),
        false => writeln!(out, "password  none: nobody logs in"),
    };
    let _ = writeln!(out, "source    {}", path.display());
    if let Some(mail) = mail {
        let yet = if mail.is_dir() { "" } else { " (none yet)" };
        let _ = writeln!(out, "mail      {}{yet}", mail.display());
    }
    print(&out)
}

fn as_json(entry: &Entry, path: &Path, mail: Option<&Path>) -> String {
    let text = |text: &str| {
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if c.is_control() => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        out + "\""
    };
    let mut out =
        format!("{{\"name\": {}, \"log_in\": {}", text(entry.name.as_str()), entry.may_log_in());
    if entry.may_log_in() {
        let _ = write!(out, ", \"scheme\": {}", text(entry.password.scheme().name()));
    }
    let _ = write!(out, ", \"source\": {}", text(&path.to_string_lossy()));
    if let Some(mail) = mail {
        let path = text(&mail.to_string_lossy());
        let _ = write!(out, ", \"mail\": {path}, \"has_mail\": {}", mail.is_dir());
    }
    out + "}"
}

fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|source| Error::Io { what: "write to standard output", source })
}

fn remove(name: &str, delete_mail: bool, place: &Place) -> Result<(), Error> {
    let name = AccountName::new(name)?;
    let files = Files::of(place)?;
    let (_, path) = files.find(&name)?;
    let config = files.config.as_ref().filter(|_| delete_mail);
    if let Some(config) = config {
        settle(config)?;
    }
    let written = |source| Error::Write { path: path.clone(), source };
    if !Editing::open(&path, false).map_err(written)?.remove(&name).map_err(written)? {
        return Err(Error::Nobody(name));
    }
    match config {
        Some(config) => delete(config, &name),
        None => Ok(()),
    }
}

fn mail_of(config: &Config, name: &AccountName) -> Result<PathBuf, PathError> {
    Ok(config.data_dir.join(dbox_format::paths::account(name.as_str())?))
}

/// Brings everything that the journal holds to its place, so that nothing of an account comes back from it.
fn settle(config: &Config) -> Result<(), Error> {
    if !config.data_dir.is_dir() {
        return Ok(());
    }
    let clock = Clock::new();
    let wall = Box::new(move || i64::try_from(clock.wall()).unwrap_or(i64::MAX));
    let random = Arc::new(assembly::random);
    let store = Store::open(Arc::new(RealFs), &config.data_dir, config.store.clone(), random, wall);
    let store = store.map_err(|error| {
        if let StoreError::InUse { path, pid } = error {
            return Error::InUse { path, pid };
        }
        Error::Store(error)
    })?;
    let threads = store.start(clock);
    let threads = threads.map_err(|source| Error::Io { what: "start a thread", source })?;
    drop(store);
    threads.stop();
    Ok(())
}

fn delete(config: &Config, name: &AccountName) -> Result<(), Error> {
    let mail = mail_of(config, name)?;
    if !mail.is_dir() {
        return Ok(());
    }
    let Ok(_nobody_else) = RealFs.lock(&config.data_dir.join("lock")) else {
        return Err(Error::Busy(mail));
    };
    // Out of the way as a whole first: a server never sees half an account.
    let gone = config.data_dir.join(format!("removed-{name}-{}", std::process::id()));
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Delete { path, source }
    };
    std::fs::rename(&mail, &gone).map_err(failed(&mail))?;
    std::fs::remove_dir_all(&gone).map_err(failed(&gone))
}

/// A new password: none, asked for at a terminal, or the first line of standard input.
fn new_password(name: &AccountName, scheme: NewScheme, locked: bool) -> Result<Stored, Error> {
    if locked {
        return Ok(Stored::parse("!").expect("it means locked"));
    }
    let password = if isatty(io::stdin()) { ask(name)? } else { first_line()? };
    let bytes = password.expose();
    let wrong = |why| Err(Error::Password(why));
    match scheme {
        _ if bytes.is_empty() => {
            return wrong("the password is empty; --locked is for an account without one");
        }
        _ if bytes.len() > PASSWORD_MAX => return wrong("the password has more than 512 bytes"),
        _ if bytes.contains(&0) => return wrong("the password has a NUL; no log-in can send one"),
        NewScheme::BlfCrypt if bytes.len() > BCRYPT_MAX => {
            return wrong(
                "blf-crypt looks at no more than 72 bytes of a password, and this has more",
            );
        }
        NewScheme::Plain if bytes.contains(&b':') => {
            return wrong("a password with : can't be stored as it is; take another scheme");
        }
        NewScheme::Plain if str::from_utf8(bytes).is_err() => {
            return wrong(
                "a password that is not UTF-8 can't be stored as it is; take another scheme",
            );
        }
        NewScheme::Argon2id | NewScheme::BlfCrypt | NewScheme::Sha512Crypt | NewScheme::Plain => {}
    }
    Ok(Stored::make(scheme.scheme(), bytes))
}

fn reading(source: io::Error) -> Error {
    Error::Io { what: "read the password", source }
}

/// The line without its end.
fn first_line() -> Result<Secret, Error> {
    let mut line = Vec::new();
    // A little more than is allowed, so that more is noticed.
    io::stdin()
        .lock()
        .take(PASSWORD_MAX as u64 + 3)
        .read_until(b'\n', &mut line)
        .map_err(reading)?;
    for end in *b"\n\r" {
        if line.last() == Some(&end) {
            line.pop();
        }
    }
    Ok(Secret::new(line))
}

/// Asks twice, and shows nothing of what is typed.
fn ask(name: &AccountName) -> Result<Secret, Error> {
    let _hidden = Hidden::new().map_err(reading)?;
    let ask = |what: &str| {
        eprint!("{what} for {name}: ");
        let line = first_line();
        eprintln!();
        line
    };
    let (first, again) = (ask("Password")?, ask("The same again")?);
    match first == again {
        true => Ok(first),
        false => Err(Error::Password("the two passwords differ; nothing was changed")),
    }
}

/// While this lives, the terminal does not show what is typed.
struct Hidden(Termios);

impl Hidden {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _gone = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
