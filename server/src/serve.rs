//! `loft serve`: a server by its configuration file.
//!
//! Invariant: a reload takes all of the new file that can be taken while running, or nothing of it.

use crate::accounts::directory::{self, Directory};
use crate::alone;
use crate::assembly::{self, Plan, Socket};
use crate::certificate::{self, Current};
use crate::config::{
    self, Compression, Config, Container, Dictionary, Flags, Listen, Mode, OwnerName, Read, Report,
    TlsFiles,
};
use crate::logging;
use crate::service::{Settings, Shared};
use crate::store::StoreConfig;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::{error, info, warn};

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file can't be read.
    #[error("cannot read {}: {source}; name the configuration with --config", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("the configuration can't be used")]
    Wrong(Report),
    /// A passwd-file can't be used.
    #[error("the accounts can't be used")]
    Accounts(Vec<directory::Error>),
    /// The certificate can't be used.
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
    /// No server runs, and the mail is somebody else's.
    #[error(transparent)]
    Alone(#[from] alone::Error),
    /// Something else.
    #[error(transparent)]
    Start(#[from] assembly::Error),
}

impl Error {
    /// All that is wrong, a line each, where more than one thing may be.
    #[must_use]
    pub fn details(&self) -> String {
        match self {
            Self::Wrong(report) => report.to_string(),
            Self::Accounts(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
            Self::Read { .. } | Self::Certificate(_) | Self::Alone(_) | Self::Start(_) => {
                String::new()
            }
        }
    }
}

/// Reads and checks a configuration file.
///
/// # Errors
/// When it can't be read, or something in it is wrong.
pub fn read(path: &Path) -> Result<Read, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let bytes = std::fs::read(path).map_err(failed)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| failed(io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8")))?;
    // The working directory may be another when it is read again.
    let whole = std::path::absolute(path).map_err(failed)?;
    let base = whole.parent().unwrap_or(Path::new("/"));
    config::read(&path.display().to_string(), &text, base).map_err(Error::Wrong)
}

/// Reads what a configuration names: its certificate and its accounts. Says what is wrong with them.
#[must_use]
pub fn check_files(config: &Config) -> Vec<Error> {
    let mut errors = Vec::new();
    if let Some(TlsFiles { certificate, key }) = &config.tls
        && let Err(error) = certificate::load(certificate, key)
    {
        errors.push(error.into());
    }
    if let Err(wrong) = Directory::open(&config.sources, config.remember) {
        errors.push(Error::Accounts(wrong));
    }
    errors
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When it can't start; nothing runs then.
pub fn run(path: &Path) -> Result<(), Error> {
    let Read { config, warnings, .. } = read(path)?;
    let logging = logging::start(config.log);
    for line in warnings.to_string().lines() {
        warn!("{line}");
    }
    let accounts = Directory::open(&config.sources, config.remember).map_err(Error::Accounts)?;
    let accounts = Arc::new(accounts);
    let pair = match &config.tls {
        Some(TlsFiles { certificate, key }) => Some(certificate::load(certificate, key)?),
        None => None,
    };
    info!(config = %path.display(), accounts = accounts.len(), "the configuration was read");
    let mut running = Running {
        path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        accounts: accounts.clone(),
        certificate: pair.map(Current::new),
        config: config.clone(),
    };
    let plan = Plan {
        sockets: config.listen.iter().map(|listen| socket(path, listen)).collect(),
        certificate: running.certificate.clone(),
        ..plan(&config, accounts)
    };
    assembly::run(plan, &logging, |_| (), |shared| running.reload(shared))?;
    Ok(())
}

/// Serves the control socket alone, for a tool that needs the mail while no server runs.
///
/// # Errors
/// When it can't start, or the mail is somebody else's; nothing runs then.
pub(crate) fn alone(path: &Path) -> Result<assembly::Running, Error> {
    let config = read(path)?.config;
    alone::check_owner(&config.data_dir)?;
    let accounts = Directory::open(&config.sources, config.remember).map_err(Error::Accounts)?;
    let files = runtime_smol::raise_open_files().unwrap_or(1024);
    Ok(assembly::begin(plan(&config, Arc::new(accounts)), files)?)
}

/// What a configuration says, but for where to listen.
fn plan(config: &Config, accounts: Arc<Directory>) -> Plan<'_> {
    Plan {
        data: &config.data_dir,
        data_named: "data_dir",
        hostname: &config.hostname,
        sockets: Vec::new(),
        certificate: None,
        accounts,
        settings: settings(config),
        store: store(config),
        limits: config.limits.clone(),
    }
}

fn socket(path: &Path, listen: &Listen) -> Socket {
    Socket {
        named: format!("the [[listen]] of {}:{}", path.display(), listen.line),
        service: listen.service,
        address: listen.address.clone(),
        mode: listen.mode,
        owner: listen.owner.as_ref().map(OwnerName::owner),
        trusted: listen.trusted_networks.clone(),
    }
}

/// How the store of a configuration is opened.
pub(crate) fn store(config: &Config) -> StoreConfig {
    let storage = config.storage;
    let level = i32::try_from(storage.level).unwrap_or(i32::MAX);
    StoreConfig {
        sync_commits: config.durability.mode == Mode::PowerLoss,
        defer_flags: config.durability.flags == Flags::Deferred,
        compression: (storage.compression == Compression::Zstd).then_some(level),
        dictionaries: storage.dictionary == Dictionary::Learnt,
        container_size: match storage.container {
            Container::Shared => config.store.container_size,
            Container::OnePerMessage => 0,
        },
        ..config.store.clone()
    }
}

fn settings(config: &Config) -> Settings {
    Settings::new(
        &config.hostname,
        config.store.message_max,
        config.plaintext,
        config.imap.clone(),
        config.lmtp.clone(),
    )
}

/// What can be replaced while the server runs.
struct Running {
    path: PathBuf,
    accounts: Arc<Directory>,
    /// `None` while the certificate is the one that Loft made.
    certificate: Option<Arc<Current>>,
    /// What is in force.
    config: Config,
}

impl Running {
    fn reload(&mut self, shared: &Shared) {
        match self.try_reload(shared) {
            Ok(()) => {
                info!(config = %self.path.display(), accounts = self.accounts.len(), "the configuration was read again");
            }
            Err(error) => {
                for line in error.details().lines() {
                    error!("{line}");
                }
                error!("{error}; it stays as it was");
            }
        }
    }

    fn try_reload(&mut self, shared: &Shared) -> Result<(), Error> {
        let Read { config: new, warnings, .. } = read(&self.path)?;
        let pair = match (&new.tls, &self.certificate) {
            (Some(TlsFiles { certificate, key }), Some(_)) => {
                Some(certificate::load(certificate, key)?)
            }
            _ => None,
        };
        // The last that can fail.
        self.accounts.configure(&new.sources, new.remember).map_err(Error::Accounts)?;
        if let (Some(current), Some(pair)) = (&self.certificate, pair) {
            current.replace(pair);
        }
        for line in warnings.to_string().lines() {
            warn!("{line}");
        }
        for what in needs_start(&self.config, &new) {
            warn!("{what} has changed: that takes effect at the next start");
        }
        let old = &self.config;
        // What is announced has to be what the store and the listeners go by.
        let mut now =
            Config { data_dir: old.data_dir.clone(), hostname: old.hostname.clone(), ..new };
        now.listen.clone_from(&old.listen);
        now.store.clone_from(&old.store);
        now.limits.clone_from(&old.limits);
        now.durability = old.durability;
        now.log = old.log;
        if now.tls.is_none() != old.tls.is_none() {
            now.tls.clone_from(&old.tls);
        }
        shared.configure(settings(&now));
        self.config = now;
        Ok(())
    }
}

/// What differs that can't be changed while running.
fn needs_start(old: &Config, new: &Config) -> Vec<&'static str> {
    let store = |config: &Config| {
        let store = &config.store;
        let checkpoint = (store.checkpoint_bytes, store.checkpoint_ms, store.checkpoint_files);
        let cache = (store.cache_memory, store.cache_unwritten);
        (store.reserve, store.open_files, cache, checkpoint, store.compaction_rate)
    };
    let attachments = |config: &Config| {
        let store = &config.store;
        let how = (store.attachments, store.attachment_compare);
        (how, store.attachment_least, store.attachment_grace_ms)
    };
    // The line may differ.
    let listen = |config: &Config| -> Vec<Listen> {
        config.listen.iter().map(|listen| Listen { line: 0, ..listen.clone() }).collect()
    };
    let all = [
        ("data_dir", old.data_dir != new.data_dir),
        ("hostname", old.hostname != new.hostname),
        ("[[listen]]", listen(old) != listen(new)),
        ("whether there is a [tls]", old.tls.is_none() != new.tls.is_none()),
        ("[limits]", old.limits != new.limits || old.store.message_max != new.store.message_max),
        ("[limits.store]", store(old) != store(new)),
        ("[attachments]", attachments(old) != attachments(new)),
        ("[durability]", old.durability != new.durability),
        ("[storage]", old.storage != new.storage),
        ("[log]", old.log != new.log),
    ];
    all.into_iter().filter_map(|(what, differs)| differs.then_some(what)).collect()
}
