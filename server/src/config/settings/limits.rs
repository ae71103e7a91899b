//! The limits: every bound that can be set.

use super::{DAY, GIB, HOUR, KIB, Kind, MIB, MINUTE, SECOND, Setting, Slot, optional};

/// In the order they are documented, section by section.
pub(super) const LIMITS: &[Setting] = &[
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
        "tls_handshake_time",
        Kind::Time(SECOND, MINUTE),
        |c| Slot::U64(&mut c.limits.tls_handshake_time),
        "How long a client's first word in TLS may take, as long the wait for a place among `tls_handshakes`, and as long \
        the handshake; all of it ends at `login_time`, too.",
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
        "limits",
        "output",
        Kind::Size(MIB, 1024 * GIB),
        |c| Slot::Usize(&mut c.limits.output),
        "Output that may wait for peers that take none of it, of all connections together; each may have its `unsent`. When there \
        is more, those that took nothing for the longest are closed.",
    ),
    optional(
        "limits",
        "trusted_networks",
        Kind::Networks,
        |c| Slot::Networks(&mut c.limits.trusted_networks),
        "Whose connections are not counted by address, and whose failed log-ins delay nobody: this machine itself, a webmail, a \
        proxy. UNIX sockets always are trusted.",
    ),
    optional(
        "limits.login",
        "free_failures",
        Kind::Count(0, 1000),
        |c| Slot::U32(&mut c.limits.login.free_failures),
        "Failures that cost no delay.",
    ),
    optional(
        "limits.login",
        "first_delay",
        Kind::Time(0, MINUTE),
        |c| Slot::U64(&mut c.limits.login.first_delay),
        "The delay of the next try after one failure more; it doubles with each further failure. `0 s` for no delays.",
    ),
    optional(
        "limits.login",
        "longest_delay",
        Kind::Time(SECOND, MINUTE),
        |c| Slot::U64(&mut c.limits.login.longest_delay),
        "The longest delay.",
    ),
    optional(
        "limits.login",
        "forget_time",
        Kind::Time(SECOND, DAY),
        |c| Slot::U64(&mut c.limits.login.forget_time),
        "Time after which one failure is forgotten, then the next.",
    ),
    optional(
        "limits.login",
        "waiting_per_address",
        Kind::Count(1, 1000),
        |c| Slot::Usize(&mut c.limits.login.waiting_per_address),
        "Log-ins of one address that wait at once; what comes then is told to try again later.",
    ),
    optional(
        "limits.imap",
        "connections",
        Kind::Count(10, 1_000_000),
        |c| Slot::Usize(&mut c.limits.imap.connections),
        "Connections in all, of all listeners together. At most half of the files that the process may have open.",
    ),
    optional(
        "limits.imap",
        "connections_before_login",
        Kind::Count(10, 1_000_000),
        |c| Slot::Usize(&mut c.limits.imap.before_login),
        "Those of them that have not logged in. When there are more, the oldest makes room, strangers before `limits.trusted_networks`.",
    ),
    optional(
        "limits.imap",
        "connections_per_address",
        Kind::Count(1, 1_000_000),
        |c| Slot::Usize(&mut c.limits.imap.per_address),
        "Connections from one IPv4 address, or one /64 of IPv6, but for `limits.trusted_networks`.",
    ),
    optional(
        "limits.imap",
        "connections_per_network",
        Kind::Count(1, 1_000_000),
        |c| Slot::Usize(&mut c.limits.imap.per_network),
        "Connections from one /48 of IPv6, but for `limits.trusted_networks`.",
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
        "connections",
        Kind::Count(10, 1_000_000),
        |c| Slot::Usize(&mut c.limits.lmtp.connections),
        "Connections in all, of all listeners together. At most half of the files that the process may have open.",
    ),
    optional(
        "limits.lmtp",
        "connections_before_login",
        Kind::Count(10, 1_000_000),
        |c| Slot::Usize(&mut c.limits.lmtp.before_login),
        "Those of them that have named no recipient yet. When there are more, the oldest makes room.",
    ),
    optional(
        "limits.lmtp",
        "connections_per_address",
        Kind::Count(1, 1_000_000),
        |c| Slot::Usize(&mut c.limits.lmtp.per_address),
        "Connections from one IPv4 address, or one /64 of IPv6, but for `limits.trusted_networks`.",
    ),
    optional(
        "limits.lmtp",
        "connections_per_network",
        Kind::Count(1, 1_000_000),
        |c| Slot::Usize(&mut c.limits.lmtp.per_network),
        "Connections from one /48 of IPv6, but for `limits.trusted_networks`.",
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
        "limits.store",
        "compaction",
        Kind::Size(0, 16 * GIB),
        |c| Slot::U64(&mut c.store.compaction_rate),
        "How much a second is written at most to give back the room of expunged mail; 0 leaves it to `loft purge`.",
    ),
    optional(
        "limits.store",
        "undelete",
        Kind::Time(0, 3650 * DAY),
        |c| Slot::U64(&mut c.store.undelete_ms),
        "Time for which expunged mail can be brought back with `loft message undelete`; its room is given back after that. \
        0 gives it back as soon as it is worth it.",
    ),
];
