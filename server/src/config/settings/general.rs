//! All settings but the limits.

use super::{DAY, GIB, KIB, Kind, Need, Place, Setting, Slot, optional, ready};

/// In the order they are documented, section by section.
pub(super) const GENERAL: &[Setting] = &[
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
        doc: "Where: an IP address and a port (0 picks a free one), a UNIX socket, or the sockets that systemd listens on \
            under this name (`FileDescriptorName=`). `[::]` is all addresses of this machine, IPv4 included.",
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
        key: "owner",
        kind: Kind::Owner,
        need: Need::Optional,
        slot: Place::Listen(|l| Slot::Owner(&mut l.owner)),
        doc: "Whose a UNIX socket is, before anybody can connect. Only root can give a socket to another user; to a group, \
            whoever is in it.",
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
        "durability",
        "mode",
        Kind::Choice(&[
            ready("power-loss", "what was acknowledged is there after a power failure"),
            ready(
                "process-crash",
                "what was acknowledged is there however the server ends; a power failure takes the last second's changes \
                back, mail included",
            ),
        ]),
        |c| Slot::Choice(&mut c.durability.mode),
        "What an acknowledged change survives.",
    ),
    optional(
        "durability",
        "flags",
        Kind::Choice(&[
            ready("synced", "once it is durable, as all else"),
            ready(
                "deferred",
                "up to a second before it is durable: a power failure may take the last changes of flags back, never \
                mail nor expunges",
            ),
        ]),
        |c| Slot::Choice(&mut c.durability.flags),
        "When a change of flags is shown.",
    ),
    optional(
        "storage",
        "compression",
        Kind::Choice(&[
            ready("zstd", "each message that gets smaller by a sixteenth at least is compressed"),
            ready("none", "messages are stored as they come"),
        ]),
        |c| Slot::Choice(&mut c.storage.compression),
        "Whether messages are compressed.",
    ),
    optional(
        "storage",
        "level",
        Kind::Count(1, 19),
        |c| Slot::U32(&mut c.storage.level),
        "zstd's level: a higher one takes more time for each message that comes in, and a little less room.",
    ),
    optional(
        "storage",
        "dictionary",
        Kind::Choice(&[
            ready(
                "learnt",
                "once 6 MiB of mail have come in, small messages are compressed with what such messages have in common, if that \
                saves a tenth more; `data_dir/dictionaries` is needed to read them, then",
            ),
            ready("none", "each message is compressed by itself"),
        ]),
        |c| Slot::Choice(&mut c.storage.dictionary),
        "Whether messages are compressed with a dictionary.",
    ),
    optional(
        "storage",
        "container",
        Kind::Choice(&[
            ready(
                "shared",
                "messages of an account up to 128 KiB share files of 64 MiB, larger ones have a file each",
            ),
            ready(
                "one-per-message",
                "each message has a file of its own: more files to write and to sync, but each is copied and looked at alone",
            ),
        ]),
        |c| Slot::Choice(&mut c.storage.container),
        "How many messages a file has.",
    ),
    optional(
        "attachments",
        "store",
        Kind::Choice(&[
            ready(
                "shared",
                "apart from their messages, decoded, in one file for each content, which all accounts share that have it; \
                messages are read exactly as they came",
            ),
            ready(
                "apart",
                "the same, but accounts share only what one delivery brought to several: a store in which nobody is to \
                find out by the speed of a disk whether somebody else has lately read the same attachment",
            ),
            ready("whole", "in their messages"),
        ]),
        |c| Slot::Choice(&mut c.store.attachments),
        "Where attachments of some size are.",
    ),
    optional(
        "attachments",
        "least",
        Kind::Size(4 * KIB, GIB),
        |c| Slot::U64(&mut c.store.attachment_least),
        "The least size, decoded, of an attachment that gets a file of its own.",
    ),
    optional(
        "attachments",
        "compare",
        Kind::Choice(&[
            ready("content", "byte by byte, so that no damaged file takes the place of a good one"),
            ready("length", "by their lengths and hashes alone, which spares reading them"),
        ]),
        |c| Slot::Choice(&mut c.store.attachment_compare),
        "How an account's file is compared with another of the same hash before one of the two serves for both.",
    ),
    optional(
        "attachments",
        "grace",
        Kind::Time(0, 30 * DAY),
        |c| Slot::U64(&mut c.store.attachment_grace_ms),
        "How long a file is kept that no message needs any more.",
    ),
    optional(
        "log",
        "format",
        Kind::Choice(&[
            ready("text", "a line for people"),
            ready(
                "json",
                "a line of JSON for programs: `timestamp`, `level`, `message`, the event's fields, `span`",
            ),
        ]),
        |c| Slot::Choice(&mut c.log.format),
        "What a line looks like.",
    ),
    optional(
        "log",
        "level",
        Kind::Choice(&[
            ready("error", "what does not work"),
            ready("warn", "and what may not work soon"),
            ready("info", "and who connects, logs in and gets mail"),
            ready("debug", "and how"),
        ]),
        |c| Slot::Choice(&mut c.log.level),
        "How much is logged.",
    ),
];
