//! The command line.

pub mod backup;
pub mod config;
pub mod dump;
pub mod mailbox;
pub mod message;
pub mod operate;
pub mod transfer;
pub mod user;

use clap::{Args, Parser, Subcommand};
use runtime_smol::Address;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

/// The password of the demo accounts, if no other is given.
pub(crate) const PASSWORD: &str = "pw";

/// Where the configuration is, if nothing else is said.
pub(crate) const CONFIG: &str = "/etc/loft/loft.toml";

const SERVE: &str = "\
Example:
  loft config check /etc/loft/loft.toml
  loft serve --config /etc/loft/loft.toml

`loft config docs` explains all settings. Logs go to standard error; LOFT_LOG=debug shows more of them.";

const EXAMPLE: &str = "\
Example:
  loft demo --data /tmp/mail --imap 127.0.0.1:1143 &
  curl --url imap://127.0.0.1:1143/INBOX -u u1:pw -T message.eml
  curl --url 'imap://127.0.0.1:1143/INBOX;MAILINDEX=1' -u u1:pw

Logs go to standard error; LOFT_LOG=debug shows more of them.";

/// Loft, a mail server: IMAP and LMTP, with its own storage.
///
/// Without a command it does what `loft demo` does.
#[derive(Debug, Eq, Parser, PartialEq)]
#[command(name = "loft", version, after_help = EXAMPLE)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What `loft` can do.
#[derive(Debug, Eq, PartialEq, Subcommand)]
pub enum Command {
    /// Serve a few accounts that share one password, to try Loft out.
    #[command(after_help = EXAMPLE)]
    Demo(Demo),
    /// Serve the accounts and addresses of a configuration file.
    #[command(after_help = SERVE)]
    Serve(Serve),
    /// Check, show and explain configuration files.
    #[command(subcommand, after_help = config::EXAMPLE)]
    Config(config::Command),
    /// Say how a running server is: who is connected, what it has done, how much room there is.
    #[command(after_help = operate::STATUS)]
    Status(operate::StatusArgs),
    /// List the sessions of a running server, and end them.
    #[command(subcommand, after_help = operate::SESSION)]
    Session(operate::Command),
    /// Give back the room of expunged mail, now.
    #[command(after_help = mailbox::PURGE)]
    Purge(mailbox::Purge),
    /// Write a user's mail as maildir or mbox.
    #[command(after_help = transfer::EXPORT)]
    Export(transfer::ExportArgs),
    /// Take mail of others into a user's mailboxes: maildir, mbox, single messages.
    #[command(after_help = transfer::IMPORT)]
    Import(transfer::ImportArgs),
    /// Make backups of a store that goes on meanwhile, look at them, and bring accounts back.
    #[command(subcommand, after_help = backup::EXAMPLE)]
    Backup(backup::Command),
    /// Add, change, list and remove accounts.
    #[command(subcommand, after_help = user::EXAMPLE)]
    User(user::Command),
    /// Check the files of mailboxes, and make anew what can be.
    #[command(subcommand, after_help = mailbox::EXAMPLE)]
    Mailbox(mailbox::Command),
    /// List expunged mail, and bring it back.
    #[command(subcommand, after_help = message::EXAMPLE)]
    Message(message::Command),
    /// Say in words what is in a file of a store: logs, snapshots, lists, caches, journal segments.
    #[command(after_help = dump::EXAMPLE)]
    Dump(dump::Dump),
}

/// Settings of `loft serve`.
#[derive(Args, Clone, Debug, Eq, PartialEq)]
pub struct Serve {
    /// The configuration file; SIGHUP has it read again.
    #[arg(long, value_name = "FILE", default_value = CONFIG)]
    pub config: PathBuf,
}

/// Settings of `loft demo`.
#[derive(Args, Clone, Eq, PartialEq)]
pub struct Demo {
    /// Where the mail is kept; made when missing.
    #[arg(long, value_name = "DIR", default_value = "./loft-data")]
    pub data: PathBuf,

    /// Where IMAP listens; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1143", value_parser = address)]
    pub imap: SocketAddr,

    /// Where IMAP over TLS listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1993", value_parser = address)]
    pub imaps: SocketAddr,

    /// Where LMTP listens: an address, or unix:PATH for a UNIX socket.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1024", value_parser = address_or_path)]
    pub lmtp: Address,

    /// How many accounts there are: u1, u2, …
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub accounts: u32,

    /// The password of every account.
    #[arg(long, value_name = "PW", default_value = PASSWORD)]
    pub password: String,
}

impl Default for Demo {
    fn default() -> Self {
        let Some(Command::Demo(demo)) = Cli::parse_from(["loft", "demo"]).command else {
            unreachable!("this names the command")
        };
        demo
    }
}

impl fmt::Debug for Demo {
    /// Everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demo")
            .field("data", &self.data)
            .field("imap", &self.imap)
            .field("imaps", &self.imaps)
            .field("lmtp", &self.lmtp)
            .field("accounts", &self.accounts)
            .finish_non_exhaustive()
    }
}

/// Runs the command line of this process and says how it ends: 0 after a graceful stop, 1 when it could not serve, 2
/// when the command line is wrong.
#[must_use]
pub fn main() -> ExitCode {
    let command = Cli::parse().command.unwrap_or_else(|| Command::Demo(Demo::default()));
    match command {
        Command::Demo(demo) => ended(crate::demo::run(&demo)),
        Command::Serve(Serve { config }) => ended(crate::serve::run(&config).inspect_err(details)),
        Command::Config(command) => ended(command.run()),
        Command::Status(status) => ended(status.run()),
        Command::Session(command) => ended(command.run()),
        Command::User(command) => ended(command.run()),
        Command::Purge(purge) => ended(purge.run()),
        Command::Export(export) => ended(export.run()),
        Command::Import(import) => ended(import.run()),
        Command::Mailbox(command) => ended(command.run()),
        Command::Backup(command) => ended(command.run()),
        Command::Message(command) => ended(command.run()),
        Command::Dump(dump) => ended(dump.run()),
    }
}

/// Says what is wrong in a form that editors know: nothing stands before `FILE:LINE:COLUMN`.
fn details(error: &crate::serve::Error) {
    eprint!("{}", error.details());
}

fn ended<E: fmt::Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loft: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `unix:PATH`, or `HOST:PORT` as [`address`] has it.
fn address_or_path(text: &str) -> Result<Address, String> {
    match text.strip_prefix("unix:") {
        Some("") => Err("write unix:PATH, such as unix:/run/loft/lmtp".into()),
        Some(path) => Ok(Address::Unix(path.into())),
        None => match address(text) {
            Ok(address) => Ok(Address::Tcp(address)),
            Err(why) => Err(format!("{why}; or write unix:PATH")),
        },
    }
}

/// `HOST:PORT`; a name counts as its first address.
fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(addr) = text.parse() {
        return Ok(addr);
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err("write HOST:PORT, such as 127.0.0.1:1143".into());
    };
    let port: u16 =
        port.parse().map_err(|_| format!("\"{port}\" is not a port; those are 0 to 65535"))?;
    if host.is_empty() {
        return Err(format!("write HOST:PORT; 0.0.0.0:{port} means all addresses of this machine"));
    }
    if host.contains(':') {
        return Err(format!("an IPv6 address stands in brackets: [{host}]:{port}"));
    }
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("\"{host}\" has no address here: {error}"))?;
    found.into_iter().next().ok_or_else(|| format!("\"{host}\" has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(args: &[&str]) -> Result<Demo, clap::Error> {
        let args = ["loft", "demo"].iter().chain(args);
        Cli::try_parse_from(args).map(|cli| match cli.command {
            Some(Command::Demo(demo)) => demo,
            other => panic!("{other:?} is not what was parsed"),
        })
    }

    #[test]
    fn clap_finds_no_fault() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_means_demo_with_its_defaults() {
        assert_eq!(Cli::try_parse_from(["loft"]).unwrap(), Cli { command: None });
        let demo = Demo::default();
        assert_eq!(demo.data, PathBuf::from("./loft-data"));
        assert_eq!(demo.imap, "127.0.0.1:1143".parse().unwrap());
        assert_eq!(demo.imaps, "127.0.0.1:1993".parse().unwrap());
        assert_eq!(demo.lmtp, Address::Tcp("127.0.0.1:1024".parse().unwrap()));
        assert_eq!((demo.accounts, demo.password.as_str()), (10, "pw"));
    }

    #[test]
    fn addresses_are_host_and_port() {
        assert_eq!(address("[::1]:0"), Ok("[::1]:0".parse().unwrap()));
        assert_eq!(
            address("localhost:25").map(|addr| (addr.ip().is_loopback(), addr.port())),
            Ok((true, 25))
        );
        for (wrong, hint) in [
            ("1143", "write HOST:PORT, such as 127.0.0.1:1143"),
            ("", "write HOST:PORT, such as 127.0.0.1:1143"),
            (":1143", "write HOST:PORT; 0.0.0.0:1143 means all addresses of this machine"),
            ("127.0.0.1:70000", "\"70000\" is not a port; those are 0 to 65535"),
            ("127.0.0.1:imap", "\"imap\" is not a port; those are 0 to 65535"),
            ("::1:1143", "an IPv6 address stands in brackets: [::1]:1143"),
        ] {
            assert_eq!(address(wrong), Err(hint.to_owned()), "{wrong:?}");
        }
    }

    #[test]
    fn lmtp_listens_on_a_unix_socket_too() {
        assert_eq!(address_or_path("unix:/run/lmtp"), Ok(Address::Unix("/run/lmtp".into())));
        assert_eq!(address_or_path("[::1]:24"), Ok(Address::Tcp("[::1]:24".parse().unwrap())));
        for (wrong, hint) in [
            ("unix:", "write unix:PATH, such as unix:/run/loft/lmtp"),
            ("24", "write HOST:PORT, such as 127.0.0.1:1143; or write unix:PATH"),
        ] {
            assert_eq!(address_or_path(wrong), Err(hint.to_owned()), "{wrong:?}");
        }
        assert!(parse(&["--imap", "unix:/run/imap"]).is_err());
    }

    #[test]
    fn errors_name_the_argument_and_what_is_allowed() {
        let error = parse(&["--imap", "1143"]).unwrap_err().to_string();
        assert!(error.contains("--imap <ADDR>") && error.contains("write HOST:PORT"), "{error}");
        let error = parse(&["--accounts", "0"]).unwrap_err().to_string();
        assert!(error.contains("--accounts <N>") && error.contains("1..=1000000"), "{error}");
        let error = parse(&["--lmpt", "1"]).unwrap_err().to_string();
        assert!(error.contains("--lmtp"), "{error}");
    }

    #[test]
    fn help_has_an_example() {
        for args in [["loft", "--help"].as_slice(), &["loft", "demo", "--help"]] {
            let help = Cli::try_parse_from(args).unwrap_err().to_string();
            assert!(
                help.contains("curl --url imap://127.0.0.1:1143/INBOX -u u1:pw -T message.eml"),
                "{help}"
            );
        }
        let commands =
            ["serve", "config", "user", "status", "session", "mailbox", "dump", "export"];
        for command in commands.into_iter().chain(["import", "purge", "backup"]) {
            let help = Cli::try_parse_from(["loft", command, "--help"]).unwrap_err().to_string();
            assert!(help.contains("Example:\n  loft "), "{help}");
        }
    }

    #[test]
    fn the_password_is_not_shown() {
        let demo = parse(&["--password", "hunter2"]).unwrap();
        assert!(!format!("{demo:?}").contains("hunter2"));
    }
}
