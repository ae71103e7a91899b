//! The configuration file: typed TOML, checked as a whole before anything starts.
//!
//! Every setting stands once, in `settings.rs`, with its name, what it may be and what it means; its default is the one
//! of the type it sets. Reading, `loft config show` and `loft config docs` all go by that table.
//!
//! Invariant: a [`Config`] that was read has passed every check, so nothing of it can be refused later but what only the
//! system knows (whether an address is free, a directory writable).

mod check;
mod network;
mod owner;
mod page;
mod problem;
mod read;
mod settings;
mod show;
#[cfg(test)]
mod tests;
mod value;

pub use network::Network;
pub use owner::OwnerName;
pub use page::page;
pub use problem::{Level, Problem, Report};
pub use read::{Read, read};
pub use show::show;
pub(crate) use value::time;

use crate::service::Plaintext;
use crate::store::StoreConfig;
use runtime_smol::Address;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// All settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the mail is.
    pub data_dir: PathBuf,
    /// What the server calls itself.
    pub hostname: String,
    /// Where it listens.
    pub listen: Vec<Listen>,
    /// The certificate's files, if they are not to be made.
    pub tls: Option<TlsFiles>,
    /// Where passwords may come without TLS.
    pub plaintext: Plaintext,
    /// How long a log-in is remembered.
    pub remember: Duration,
    /// Where accounts come from, in the order they are asked.
    pub sources: Vec<PathBuf>,
    /// Bounds of the server.
    pub limits: Limits,
    /// Bounds of an IMAP session. [`imap_proto::Limits::append`] is that of the store.
    pub imap: imap_proto::Limits,
    /// Bounds of an LMTP session. [`lmtp_proto::Limits::message`] is that of the store.
    pub lmtp: lmtp_proto::Limits,
    /// Settings of the store.
    pub store: StoreConfig,
    /// What survives.
    pub durability: Durability,
    /// How messages are stored.
    pub storage: Storage,
    /// What is logged, and how.
    pub log: Log,
}

/// Bounds of the server as a whole.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Limits {
    /// TLS handshakes at once: each holds up to 64 KiB.
    pub tls_handshakes: usize,
    /// Milliseconds for the client's first word, for a place among those, and for the handshake: for each.
    pub tls_handshake_time: u64,
    /// Log-ins that wait for a hash.
    pub waiting_logins: usize,
    /// Milliseconds that connections may take to say goodbye at a stop.
    pub stop_time: u64,
    /// Bytes that may wait for peers that take nothing, of all connections together.
    pub output: usize,
    /// Whose connections are not counted by address, and whose failed log-ins delay nobody.
    pub trusted_networks: Vec<Network>,
    /// IMAP connections, with TLS from the first byte or not.
    pub imap: Connections,
    /// LMTP connections.
    pub lmtp: Connections,
    /// Delays after failed log-ins.
    pub login: LoginDelays,
}

/// How many connections a service has at most.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Connections {
    /// In all.
    pub connections: usize,
    /// Before login; for LMTP, before the first recipient was accepted.
    pub before_login: usize,
    /// From one address: an IPv4 address, a /64 of IPv6.
    pub per_address: usize,
    /// From one /48 of IPv6.
    pub per_network: usize,
}

/// How failed log-ins delay the next ones. Times are in milliseconds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoginDelays {
    /// Failures of an address or an account that cost no delay.
    pub free_failures: u32,
    /// The first delay; it doubles with each further failure. 0 for no delays.
    pub first_delay: u64,
    /// The longest.
    pub longest_delay: u64,
    /// After which one failure is forgotten.
    pub forget_time: u64,
    /// Log-ins of one address that wait at once.
    pub waiting_per_address: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        let imap = Connections {
            connections: 50_000,
            before_login: 4096,
            per_address: 256,
            per_network: 1024,
        };
        let lmtp = Connections { connections: 1000, before_login: 256, ..imap };
        Self {
            tls_handshakes: 256,
            tls_handshake_time: 10_000,
            waiting_logins: crate::hash_pool::WAITING,
            stop_time: 10_000,
            output: 256 << 20,
            trusted_networks: loopback.iter().filter_map(|text| text.parse().ok()).collect(),
            imap,
            lmtp,
            login: LoginDelays::default(),
        }
    }
}

impl Default for LoginDelays {
    fn default() -> Self {
        Self {
            free_failures: 3,
            first_delay: 1000,
            longest_delay: 15_000,
            forget_time: 5 * 60_000,
            waiting_per_address: 8,
        }
    }
}

/// One `[[listen]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listen {
    /// What is spoken there.
    pub service: Service,
    /// Where.
    pub address: Address,
    /// Permissions of a UNIX socket.
    pub mode: u32,
    /// Whose a UNIX socket is; without: the server's own user's.
    pub owner: Option<OwnerName>,
    /// Who may connect, for LMTP; without any: everybody who can.
    pub trusted_networks: Vec<Network>,
    /// Its line in the file, from 1; 0 if it is in none.
    pub line: usize,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            service: Service::Imap,
            address: Address::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 143)),
            mode: 0o666,
            owner: None,
            trusted_networks: Vec::new(),
            line: 0,
        }
    }
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Service {
    /// IMAP, with STARTTLS.
    Imap,
    /// IMAP in TLS from the first byte.
    Imaps,
    /// LMTP, with STARTTLS.
    Lmtp,
}

/// `[tls]`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsFiles {
    /// The certificate and those that lead to its root, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// One `[[auth.source]]`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Source {
    driver: Driver,
    path: PathBuf,
}

/// What a source is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Driver {
    #[default]
    PasswdFile,
}

/// `[durability]`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Durability {
    /// What an acknowledged change survives.
    pub mode: Mode,
    /// When a change of flags may be shown.
    pub flags: Flags,
}

/// What an acknowledged change survives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mode {
    /// A power failure.
    #[default]
    PowerLoss,
    /// The end of the server's process, however it comes.
    ProcessCrash,
}

/// When a change of flags may be shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Flags {
    /// Once it is durable, as all else.
    #[default]
    Synced,
    /// Up to a second before it is durable.
    Deferred,
}

/// `[storage]`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Storage {
    /// Whether messages are compressed.
    pub compression: Compression,
    /// zstd's level.
    pub level: u32,
    /// Whether small ones are compressed with what the store's messages have in common.
    pub dictionary: Dictionary,
    /// How many messages a file has.
    pub container: Container,
}

impl Default for Storage {
    fn default() -> Self {
        let (compression, dictionary, container) = Default::default();
        Self { compression, level: 3, dictionary, container }
    }
}

/// Whether messages are compressed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Compression {
    /// Those that get smaller.
    #[default]
    Zstd,
    /// Not at all.
    None,
}

/// Whether what a store's messages have in common is learnt.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Dictionary {
    /// From those that come in, when it pays.
    #[default]
    Learnt,
    /// Not, and what was learnt is not used for new messages.
    None,
}

/// How many messages a file has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Container {
    /// Many.
    #[default]
    Shared,
    /// One.
    OnePerMessage,
}

/// `[log]`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// How much is logged.
    pub level: LogLevel,
}

/// How lines look.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object each.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LogLevel {
    /// What does not work.
    Error,
    /// And what may not work soon.
    Warn,
    /// And what happens.
    #[default]
    Info,
    /// And how.
    Debug,
}

impl Default for Config {
    /// All defaults. There is none for where to listen, where mail and accounts are: a file has to say it.
    fn default() -> Self {
        Self {
            data_dir: PathBuf::new(),
            hostname: crate::assembly::hostname(),
            listen: Vec::new(),
            tls: None,
            plaintext: Plaintext::default(),
            remember: Duration::from_secs(3600),
            sources: Vec::new(),
            limits: Limits::default(),
            imap: imap_proto::Limits::default(),
            lmtp: lmtp_proto::Limits::default(),
            store: StoreConfig::default(),
            durability: Durability::default(),
            storage: Storage::default(),
            log: Log::default(),
        }
    }
}
