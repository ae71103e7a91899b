//! The one table of all settings: what they are here, the settings themselves in the two files below.

mod general;
mod limits;

use super::{
    Compression, Config, Container, Dictionary, Driver, Flags, Listen, LogFormat, LogLevel, Mode,
    Network, OwnerName, Service, Source, TlsFiles,
};
use crate::service::Plaintext;
use crate::store::{Attachments, Compared};
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
    /// A user, a group, or both.
    Owner,
    /// One of these, in the order of [`Pick`].
    Choice(&'static [Choice]),
}

pub(super) struct Choice {
    pub(super) name: &'static str,
    pub(super) means: &'static str,
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
    Owner(&'a mut Option<OwnerName>),
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
    Mode: PowerLoss, ProcessCrash;
    Flags: Synced, Deferred;
    Attachments: Shared, Apart, Whole;
    Compared: Content, Length;
    Compression: Zstd, None;
    Dictionary: Learnt, None;
    Container: Shared, OnePerMessage;
    LogFormat: Text, Json;
    LogLevel: Error, Warn, Info, Debug;
}

impl Setting {
    /// The setting `key` of a section.
    pub(super) fn find(section: &str, key: &str) -> Option<&'static Self> {
        Self::all().find(|setting| setting.section == section && setting.key == key)
    }

    /// Those of a section, in the order they are documented.
    pub(super) fn of(section: &str) -> impl Iterator<Item = &'static Self> {
        Self::all().filter(move |setting| setting.section == section)
    }

    /// All, in the order they are documented, section by section.
    pub(super) fn all() -> impl Iterator<Item = &'static Self> {
        general::GENERAL.iter().chain(limits::LIMITS)
    }
}

const fn ready(name: &'static str, means: &'static str) -> Choice {
    Choice { name, means }
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
        "limits.login",
        false,
        "Delays after failed log-ins. Each failure counts for the address it came from (of IPv6: its /64) and for the account \
        it named. Where somebody logged in within the last 30 days, tries for the same account don't wait until \
        `free_failures` of them failed in a row: guessing locks nobody out at home.",
    ),
    section(
        "limits.imap",
        false,
        "How many IMAP connections there are, and the bounds of each: what a peer may make the server hold, and for how long. \
        Before login that is 16 KiB, beside TLS. After it a command and what is understood of it take at most 4 × (`line` + \
        `literals`), its answer 2 × `unsent`; an idle session gives all of that back.",
    ),
    section("limits.lmtp", false, "How many LMTP connections there are, and the bounds of each."),
    section("limits.store", false, "Bounds of the store."),
    section("durability", false, "What an acknowledged change survives."),
    section(
        "storage",
        false,
        "How messages are stored. What is stored already stays as it is, and is read whatever stands here.",
    ),
    section(
        "attachments",
        false,
        "How large attachments are stored. A change concerns mail that comes in from then on; what is there is read as it \
        is.",
    ),
    section(
        "log",
        false,
        "What is logged, on standard error. The environment variable `LOFT_LOG` goes before it.",
    ),
];
