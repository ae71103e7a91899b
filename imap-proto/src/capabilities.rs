//! What this server can do, and when it says so. One table: CAPABILITY, ENABLE and the documentation come from it.

use crate::fetch::number;
use crate::session::{Config, Peer};

/// One capability.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Capability {
    /// Its name on the wire; behind `=` stands what the configuration says.
    pub name: &'static str,
    /// Where it is defined.
    pub rfc: &'static str,
    /// When it is offered.
    pub when: When,
}

/// When a capability is offered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum When {
    /// Always.
    Always,
    /// Before login.
    Guest,
    /// After login.
    User,
    /// Before login, when TLS can be started.
    StartTls,
    /// Before login, when passwords are taken on this connection.
    Passwords,
    /// Before login, when they are not.
    NoPasswords,
    /// When the configuration offers IMAP4rev2.
    Rev2,
}

impl std::fmt::Display for When {
    /// In words, for people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Always => "always",
            Self::Guest => "before login",
            Self::User => "after login",
            Self::StartTls => "before login, without TLS",
            Self::Passwords => "before login, with TLS or from this machine",
            Self::NoPasswords => "before login, from elsewhere without TLS",
            Self::Rev2 => "always, unless it is turned off",
        })
    }
}

/// Every capability, in the order they are told.
pub const CAPABILITIES: [Capability; 39] = [
    at("IMAP4rev1", "RFC 3501", When::Always),
    at("IMAP4rev2", "RFC 9051", When::Rev2),
    // RFC 7888 §5: strangers may send small literals only, users any.
    at("LITERAL-", "RFC 7888", When::Guest),
    at("LITERAL+", "RFC 7888", When::User),
    at("SASL-IR", "RFC 4959", When::Always),
    at("STARTTLS", "RFC 3501", When::StartTls),
    at("LOGINDISABLED", "RFC 3501", When::NoPasswords),
    at("AUTH=PLAIN", "RFC 4616", When::Passwords),
    at("AUTH=LOGIN", "draft-murchison-sasl-login", When::Passwords),
    at("ENABLE", "RFC 5161", When::Always),
    at("ID", "RFC 2971", When::Always),
    at("IDLE", "RFC 2177", When::Always),
    at("NAMESPACE", "RFC 2342", When::User),
    at("UNSELECT", "RFC 3691", When::User),
    at("UIDPLUS", "RFC 4315", When::User),
    at("MOVE", "RFC 6851", When::User),
    at("MULTIAPPEND", "RFC 3502", When::User),
    at("BINARY", "RFC 3516", When::User),
    at("CHILDREN", "RFC 3348", When::User),
    at("LIST-EXTENDED", "RFC 5258", When::User),
    at("LIST-STATUS", "RFC 5819", When::User),
    at("SPECIAL-USE", "RFC 6154", When::User),
    at("CREATE-SPECIAL-USE", "RFC 6154", When::User),
    at("STATUS=SIZE", "RFC 8438", When::User),
    at("ESEARCH", "RFC 4731", When::User),
    at("SEARCHRES", "RFC 5182", When::User),
    at("SORT", "RFC 5256", When::User),
    at("SORT=DISPLAY", "RFC 5957", When::User),
    at("ESORT", "RFC 5267", When::User),
    at("THREAD=ORDEREDSUBJECT", "RFC 5256", When::User),
    at("THREAD=REFERENCES", "RFC 5256", When::User),
    // INTHREAD is understood; SEARCH=INTHREAD, which the draft names too, would promise its other keys (MESSAGEID) as well.
    at("THREAD=REFS", "draft-ietf-morg-inthread", When::User),
    at("CONTEXT=SEARCH", "RFC 5267", When::User),
    at("CONTEXT=SORT", "RFC 5267", When::User),
    at("PARTIAL", "RFC 9394", When::User),
    at("CONDSTORE", "RFC 7162", When::User),
    at("OBJECTID", "RFC 8474", When::User),
    at("SAVEDATE", "RFC 8514", When::User),
    // The limit follows: it is the same for all mailboxes.
    at("APPENDLIMIT=", "RFC 7889", When::User),
];

const fn at(name: &'static str, rfc: &'static str, when: When) -> Capability {
    Capability { name, rfc, when }
}

/// What is offered now, each with a space before it.
pub(crate) fn write(out: &mut Vec<u8>, config: &Config, peer: Peer, guest: bool) {
    let passwords = passwords(config, peer);
    for capability in CAPABILITIES {
        let offered = match capability.when {
            When::Always => true,
            When::Guest => guest,
            When::User => !guest,
            When::StartTls => guest && config.tls_available && !peer.tls,
            When::Passwords => guest && passwords,
            When::NoPasswords => guest && !passwords,
            When::Rev2 => config.imap4rev2,
        };
        if offered {
            out.push(b' ');
            out.extend_from_slice(capability.name.as_bytes());
            if capability.name == "APPENDLIMIT=" {
                number::write(append_limit(config), out);
            }
        }
    }
}

/// The largest message that APPEND takes, as a client may be told: `number` has 32 bits (RFC 7889 §5).
pub(crate) fn append_limit(config: &Config) -> u64 {
    config.limits.append.min(u64::from(u32::MAX))
}

/// Whether a password may be sent on this connection.
pub(crate) fn passwords(config: &Config, peer: Peer) -> bool {
    peer.tls || peer.loopback || config.plaintext_login
}
