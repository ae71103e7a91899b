//! The one table of all settings.

use super::{Config, Driver, Flags, Listen, Mode, Network, Service, Source, TlsFiles};
use crate::service::Plaintext;
use runtime_smol::Address;
use std::path::PathBuf;
use std::time::Duration;

/// A part of the file.
pub(super) struct Section {
    /// As it stands in brackets; `""` is the top.
    pub(super) name: &'static str,
    /// Whether it is an array: `[[name]]`.
    pub(super) many: bool,
    pub(super) doc: &'static str,
}

/// One setting.
pub(super) struct Setting {
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    pub(super) need: Need,
    pub(super) slot: Place,
    pub(super) doc: &'static str,
}

/// Whether a setting has to be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// Its section has to have it.
    Required,
    /// It has a default.
    Optional,
}

/// What a setting may be.
pub(super) enum Kind {
    /// `1`.
    Version,
    /// Bytes, from the first to the second.
    Size(u64, u64),
    /// Milliseconds.
    Time(u64, u64),
    /// A number of things.
    Count(u64, u64),
    Hostname,
    Path,
    Address,
    /// Permissions of a file.
    Permissions,
    Networks,
    /// One of these. Those that can be had come first, in the order of [`Pick`].
    Choice(&'static [Choice]),
}

pub(super) struct Choice {
    pub(super) name: &'static str,
    pub(super) means: &'static str,
    /// Whether it can be had.
    pub(super) ready: bool,
}

/// The type whose field a setting is.
pub(super) enum Place {
    /// Version: nothing is kept.
    Nowhere,
    Config(fn(&mut Config) -> Slot<'_>),
    Listen(fn(&mut Listen) -> Slot<'_>),
    Tls(fn(&mut TlsFiles) -> Slot<'_>),
    Source(fn(&mut Source) -> Slot<'_>),
}

/// The field itself.
pub(super) enum Slot<'a> {
    U32(&'a mut u32),
    U64(&'a mut u64),
    Usize(&'a mut usize),
    Duration(&'a mut Duration),
    Text(&'a mut String),
    Path(&'a mut PathBuf),
    Address(&'a mut Address),
    Networks(&'a mut Vec<Network>),
    Choice(&'a mut dyn Pick),
}

/// A type whose values are the choices of a setting.
pub(super) trait Pick {
    fn pick(&mut self, index: usize);
    fn index(&self) -> usize;
}

macro_rules! pick {
    ($($type:ident: $($value:ident),+;)+) => {$(
        impl Pick for $type {
            fn pick(&mut self, index: usize) {
                if let Some(value) = [$($type::$value),+].get(index) {
                    *self = *value;
                }
            }

            fn index(&self) -> usize {
                [$($type::$value),+].iter().position(|value| value == self).unwrap_or_default()
            }
        }
    )+};
}

pick! {
    Service: Imap, Imaps, Lmtp;
    Plaintext: Never, Loopback, Always;
    Driver: PasswdFile;
    Mode: PowerLoss;
    Flags: Synced;
}

impl Setting {
    /// The setting `key` of a section.
    pub(super) fn find(section: &str, key: &str) -> Option<&'static Self> {
        SETTINGS.iter().find(|setting| setting.section == section && setting.key == key)
    }

    /// Those of a section, in the order they are documented.
    pub(super) fn of(section: &str) -> impl Iterator<Item = &'static Self> {
        SETTINGS.iter().filter(move |setting| setting.section == section)
    }
}

const fn ready(name: &'static str, means: &'static str) -> Choice {
    Choice { name, means, ready: true }
}

const fn later(name: &'static str, means: &'static str) -> Choice {
    Choice { name, means, ready: false }
}

const fn section(name: &'static str, many: bool, doc: &'static str) -> Section {
    Section { name, many, doc }
}

/// A setting of [`Config`] that has a default.
const fn optional(
    section: &'static str,
    key: &'static str,
    kind: Kind,
    slot: fn(&mut Config) -> Slot<'_>,
    doc: &'static str,
) -> Setting {
    Setting { section, key, kind, need: Need::Optional, slot: Place::Config(slot), doc }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// All sections, in the order they are documented.
pub(super) const SECTIONS: &[Section] = &[
    section("", false, "At the top of the file."),
    section("listen", true, "One for each address that is listened on; at least one."),
    section(
        "tls",
        false,
        "The server's certificate. Without this section Loft makes one that nobody signed, and keeps it in \
        `data_dir/tls`. SIGHUP reads the files again.",
    ),
    section("auth", false, "Who may log in, and how."),
    section(
        "auth.source",
        true,
        "Where accounts come from; at least one. The first that has a user decides. They also say whose mail LMTP takes.",
    ),
    section("limits", false, "Bounds of the server as a whole."),
    section(
        "limits.imap",
        false,
        "Bounds of one IMAP session: what a peer may make the server hold, and for how long.",
    ),
    section("limits.lmtp", false, "Bounds of one LMTP session."),
    section("limits.store", false, "Bounds of the store."),
    section("durability", false, "What an acknowledged change survives."),
];

/// All settings, in the order they are documented.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        section: "",
        key: "version",
        kind: Kind::Version,
        need: Need::Required,
        slot: Place::Nowhere,
        doc: "The version of the file's form.",
    },
    Setting {
        section: "",
        key: "data_dir",
        kind: Kind::Path,
        need: Need::Required,
        slot: Place::Config(|c| Slot::Path(&mut c.data_dir)),
        doc: "Where the mail is kept; made when missing. One server uses it at a time.",
    },
    optional(
        "",
        "hostname",
        Kind::Hostname,
        |c| Slot::Text(&mut c.hostname),
        "What the server calls itself: in LMTP's \
        greeting, in `Received` lines, and in the certificate it makes.",
    ),
    Setting {
        section: "listen",
        key: "service",
        kind: Kind::Choice(&[
            ready("imap", "IMAP with STARTTLS"),
            ready("imaps", "IMAP in TLS from the first byte"),
            ready("lmtp", "LMTP: mail comes in"),
        ]),
        need: Need::Required,
        slot: Place::Listen(|l| Slot::Choice(&mut l.service)),
        doc: "What is spoken there.",
    },
    Setting {
        section: "listen",
        key: "address",
        kind: Kind::Address,
        need: Need::Required,
        slot: Place::Listen(|l| Slot::Address(&mut l.address)),
        doc: "Where: an IP address and a port (0 picks a free one), or a UNIX socket. `[::]` is all addresses of this \
            machine, IPv4 included.",
    },
    Setting {
        section: "listen",
        key: "mode",
        kind: Kind::Permissions,
        need: Need::Optional,
        slot: Place::Listen(|l| Slot::U32(&mut l.mode)),
        doc: "Permissions of a UNIX socket. With the default, whoever gets to its directory may connect.",
    },
    Setting {
        section: "listen",
        key: "trusted_networks",
        kind: Kind::Networks,
        need: Need::Optional,
        slot: Place::Listen(|l| Slot::Networks(&mut l.trusted_networks)),
        doc: "Who may connect to LMTP over the network; others are turned away. Needed where LMTP listens on other \
            addresses than this machine's own: LMTP knows no log-in.",
    },
    Setting {
        section: "tls",
        key: "certificate",
        kind: Kind::Path,
        need: Need::Required,
        slot: Place::Tls(|t| Slot::Path(&mut t.certificate)),
        doc: "The certificate, and those that lead from it to its root, in PEM.",
    },
    Setting {
        section: "tls",
        key: "key",
        kind: Kind::Path,
        need: Need::Required,
        slot: Place::Tls(|t| Slot::Path(&mut t.key)),
        doc: "Its private key, in PEM.",
    },
    optional(
        "auth",
        "plaintext",
        Kind::Choice(&[
            ready("never", "TLS is needed everywhere"),
            ready("loopback", "from this machine itself they may come without TLS"),
            ready(
                "always",
                "from everywhere they may: whoever sees the network sees the passwords",
            ),
        ]),
        |c| Slot::Choice(&mut c.plaintext),
        "Where passwords are taken without TLS.",
    ),
    optional(
        "auth",
        "remember",
        Kind::Time(0, DAY),
        |c| Slot::Duration(&mut c.remember),
        "How long a log-in that was \
        right is remembered, so that clients which connect again cost no hash; `0 s` for never. A change of the \
        account ends it.",
    ),
    Setting {
        section: "auth.source",
        key: "driver",
        kind: Kind::Choice(&[ready(
            "passwd-file",
            "a file with a line for each account, as `loft user` writes it",
        )]),
        need: Need::Required,
        slot: Place::Source(|s| Slot::Choice(&mut s.driver)),
        doc: "What it is.",
    },
    Setting {
        section: "auth.source",
        key: "path",
        kind: Kind::Path,
        need: Need::Required,
        slot: Place::Source(|s| Slot::Path(&mut s.path)),
        doc: "The file. A running server sees changes by itself.",
    },
    optional(
        "limits",
        "message",
        Kind::Size(MIB, 2 * GIB),
        |c| Slot::U64(&mut c.store.message_max),
        "The largest \
        message that is taken, by APPEND or LMTP.",
    ),
    optional(
        "limits",
        "tls_handshakes",
        Kind::Count(1, 65_536),
        |c| Slot::Usize(&mut c.limits.tls_handshakes),
        "TLS \
        handshakes at once; others wait. Each holds up to 64 KiB.",
    ),
    optional(
        "limits",
        "waiting_logins",
        Kind::Count(1, 4096),
        |c| Slot::Usize(&mut c.limits.waiting_logins),
        "Log-ins \
        that wait for a hash; what comes then is told to try again later. Addresses take turns.",
    ),
    optional(
        "limits",
        "stop_time",
        Kind::Time(0, HOUR),
        |c| Slot::U64(&mut c.limits.stop_time),
        "How long connections \
        may take to say goodbye when the server stops.",
    ),
    optional(
        "limits.imap",
        "line_before_login",
        Kind::Size(KIB, 64 * KIB),
        |c| Slot::Usize(&mut c.imap.line_before_login),
        "A command line before login, literals apart.",
    ),
    optional(
        "limits.imap",
        "line",
        Kind::Size(8 * KIB, MIB),
        |c| Slot::Usize(&mut c.imap.line),
        "A command line after \
        login, literals apart.",
    ),
    optional(
        "limits.imap",
        "literals_before_login",
        Kind::Size(KIB, 64 * KIB),
        |c| Slot::Usize(&mut c.imap.literals_before_login),
        "All literals of a command before login: a name and a \
        password.",
    ),
    optional(
        "limits.imap",
        "literals",
        Kind::Size(64 * KIB, 64 * MIB),
        |c| Slot::Usize(&mut c.imap.literals),
        "All \
        literals of a command after login, messages apart.",
    ),
    optional(
        "limits.imap",
        "literal_count",
        Kind::Count(10, 100_000),
        |c| Slot::Usize(&mut c.imap.literal_count),
        "Literals of one command.",
    ),
    optional(
        "limits.imap",
        "nesting",
        Kind::Count(8, 256),
        |c| Slot::U32(&mut c.imap.nesting),
        "How deep brackets may \
        nest after login.",
    ),
    optional(
        "limits.imap",
        "tag",
        Kind::Size(16, KIB),
        |c| Slot::Usize(&mut c.imap.tag),
        "The tag of a command.",
    ),
    optional(
        "limits.imap",
        "append_count",
        Kind::Count(1, 100_000),
        |c| Slot::U32(&mut c.imap.append_count),
        "Messages \
        in one APPEND.",
    ),
    optional(
        "limits.imap",
        "pattern",
        Kind::Size(256, 64 * KIB),
        |c| Slot::Usize(&mut c.imap.pattern),
        "All patterns of \
        a LIST together.",
    ),
    optional(
        "limits.imap",
        "patterns",
        Kind::Count(1, 1000),
        |c| Slot::Usize(&mut c.imap.patterns),
        "Patterns in one \
        LIST.",
    ),
    optional(
        "limits.imap",
        "keywords",
        Kind::Count(1, 1000),
        |c| Slot::Usize(&mut c.imap.keywords),
        "Keywords in one \
        STORE or APPEND.",
    ),
    optional(
        "limits.imap",
        "unsent",
        Kind::Size(16 * KIB, 16 * MIB),
        |c| Slot::Usize(&mut c.imap.unsent),
        "Output that \
        may wait for a slow reader before no more is made.",
    ),
    optional(
        "limits.imap",
        "syntax_errors",
        Kind::Count(1, 1000),
        |c| Slot::U32(&mut c.imap.syntax_errors),
        "Syntax \
        errors in a row before the connection ends.",
    ),
    optional(
        "limits.imap",
        "login_failures",
        Kind::Count(1, 1000),
        |c| Slot::U32(&mut c.imap.login_failures),
        "Failed \
        log-ins before the connection ends.",
    ),
    optional(
        "limits.imap",
        "login_time",
        Kind::Time(SECOND, HOUR),
        |c| Slot::U64(&mut c.imap.login_time),
        "From the \
        first byte to login, in all.",
    ),
    optional(
        "limits.imap",
        "idle_time",
        Kind::Time(30 * MINUTE, 30 * DAY),
        |c| Slot::U64(&mut c.imap.idle_time),
        "Without a command after login; RFC 3501 asks for 30 minutes at least.",
    ),
    optional(
        "limits.imap",
        "stall_time",
        Kind::Time(SECOND, DAY),
        |c| Slot::U64(&mut c.imap.stall_time),
        "While output \
        waits and the peer takes none of it.",
    ),
    optional(
        "limits.lmtp",
        "line",
        Kind::Size(KIB, lmtp_proto::Limits::LINE_CAP as u64),
        |c| Slot::Usize(&mut c.lmtp.line),
        "A command line.",
    ),
    optional(
        "limits.lmtp",
        "discard",
        Kind::Size(MIB, 64 * GIB),
        |c| Slot::U64(&mut c.lmtp.discard),
        "What is read and \
        dropped of a refused message before the connection ends instead.",
    ),
    optional(
        "limits.lmtp",
        "recipients",
        Kind::Count(100, 100_000),
        |c| Slot::Usize(&mut c.lmtp.recipients),
        "Recipients of one message; RFC 5321 asks for 100 at least.",
    ),
    optional(
        "limits.lmtp",
        "unsent",
        Kind::Size(KIB, MIB),
        |c| Slot::Usize(&mut c.lmtp.unsent),
        "Replies that may wait \
        before no more commands are taken.",
    ),
    optional(
        "limits.lmtp",
        "errors",
        Kind::Count(1, 1000),
        |c| Slot::U32(&mut c.lmtp.errors),
        "Commands in a row that no \
        LMTP client sends before the connection ends.",
    ),
    optional(
        "limits.lmtp",
        "refusals",
        Kind::Count(10, 1_000_000),
        |c| Slot::U32(&mut c.lmtp.refusals),
        "Refused \
        commands in a row before the connection ends. A mailing list's burst to mailboxes that are gone must fit.",
    ),
    optional(
        "limits.lmtp",
        "lhlo_timeout",
        Kind::Time(SECOND, HOUR),
        |c| Slot::U64(&mut c.lmtp.lhlo_timeout),
        "From the \
        connection to the first LHLO, in all.",
    ),
    optional(
        "limits.lmtp",
        "command_timeout",
        Kind::Time(5 * MINUTE, DAY),
        |c| Slot::U64(&mut c.lmtp.command_timeout),
        "From one command to the end of the next; RFC 5321 asks for 5 minutes at least.",
    ),
    optional(
        "limits.lmtp",
        "text_timeout",
        Kind::Time(SECOND, DAY),
        |c| Slot::U64(&mut c.lmtp.text_timeout),
        "For each \
        `text_block` of a message.",
    ),
    optional(
        "limits.lmtp",
        "text_block",
        Kind::Size(KIB, 64 * MIB),
        |c| Slot::U64(&mut c.lmtp.text_block),
        "How much of \
        a message must come within `text_timeout`.",
    ),
    optional(
        "limits.lmtp",
        "close_timeout",
        Kind::Time(SECOND, HOUR),
        |c| Slot::U64(&mut c.lmtp.close_timeout),
        "How \
        long the last replies may take to leave.",
    ),
    optional(
        "limits.store",
        "reserve",
        Kind::Size(0, 1024 * GIB),
        |c| Slot::U64(&mut c.store.reserve),
        "Free space below \
        which new mail is refused before its text is taken.",
    ),
    optional(
        "limits.store",
        "open_files",
        Kind::Count(64, 1_000_000),
        |c| Slot::Usize(&mut c.store.open_files),
        "Files \
        kept open for reading and appending.",
    ),
    optional(
        "limits.store",
        "cache_memory",
        Kind::Size(0, 1024 * GIB),
        |c| Slot::Usize(&mut c.store.cache_memory),
        "Memory for the cache of what FETCH and SEARCH ask for, of all accounts; 0 turns the cache off.",
    ),
    optional(
        "limits.store",
        "cache_unwritten",
        Kind::Size(0, 64 * GIB),
        |c| Slot::Usize(&mut c.store.cache_unwritten),
        "Rows of the cache that wait in memory to be written; when there are more, new ones are left out.",
    ),
    optional(
        "limits.store",
        "idle_time",
        Kind::Time(SECOND, DAY),
        |c| Slot::U64(&mut c.store.idle_ms),
        "Time after which accounts and mailboxes that nobody uses leave memory; they do within twice that.",
    ),
    optional(
        "limits.store",
        "checkpoint_size",
        Kind::Size(16 * MIB, 64 * GIB),
        |c| Slot::U64(&mut c.store.checkpoint_bytes),
        "Journal after which all is written to its place, and the journal goes. Recovery takes the longer the more this \
        is.",
    ),
    optional(
        "limits.store",
        "checkpoint_time",
        Kind::Time(SECOND, HOUR),
        |c| Slot::U64(&mut c.store.checkpoint_ms),
        "Time after which the same is done, if anything was written.",
    ),
    optional(
        "limits.store",
        "checkpoint_files",
        Kind::Count(16, 1_000_000),
        |c| Slot::Usize(&mut c.store.checkpoint_files),
        "Touched files after which the same is done.",
    ),
    optional(
        "durability",
        "mode",
        Kind::Choice(&[
            ready("power-loss", "what was acknowledged is there after a power failure"),
            later("process-crash", "only after a crash of the server itself"),
        ]),
        |c| Slot::Choice(&mut c.durability.mode),
        "What an acknowledged change survives.",
    ),
    optional(
        "durability",
        "flags",
        Kind::Choice(&[
            ready("synced", "once it is durable, as all else"),
            later("deferred", "up to a second before it is durable"),
        ]),
        |c| Slot::Choice(&mut c.durability.flags),
        "When a change of flags is shown.",
    ),
];
