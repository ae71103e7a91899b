//! Response codes.

/// Response codes (RFC 3501 §7.1, RFC 5530 §3, RFC 4315 §3 and others).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Code {
    /// The mailbox isn't there; CREATE would help.
    TryCreate,
    /// The mailbox isn't there.
    NonExistent,
    /// There is one of that name.
    AlreadyExists,
    /// It can never work.
    Cannot,
    /// A limit was reached.
    Limit,
    /// The mailbox is over its quota.
    OverQuota,
    /// The message is larger than is accepted.
    TooBig,
    /// A part of the server is down; try again.
    Unavailable,
    /// Wrong user or password.
    AuthenticationFailed,
    /// Right password, but not allowed.
    AuthorizationFailed,
    /// Not without encryption.
    PrivacyRequired,
    /// No right to do that.
    NoPerm,
    /// Another session is in the way.
    InUse,
    /// The messages were expunged meanwhile.
    ExpungeIssued,
    /// Stored data is damaged.
    Corruption,
    /// A bug of the server.
    ServerBug,
    /// A bug of the client.
    ClientBug,
    /// The mailbox has children.
    HasChildren,
    /// The UIDs of what was appended are not kept.
    UidNotSticky,
    /// The content can't be decoded (RFC 3516).
    UnknownCte,
    /// No such special use can be given (RFC 6154).
    UseAttr,
    /// The mailbox can't be changed.
    ReadOnly,
}

impl Code {
    /// As it stands between the brackets.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TryCreate => "TRYCREATE",
            Self::NonExistent => "NONEXISTENT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::Cannot => "CANNOT",
            Self::Limit => "LIMIT",
            Self::OverQuota => "OVERQUOTA",
            Self::TooBig => "TOOBIG",
            Self::Unavailable => "UNAVAILABLE",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::NoPerm => "NOPERM",
            Self::InUse => "INUSE",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::Corruption => "CORRUPTION",
            Self::ServerBug => "SERVERBUG",
            Self::ClientBug => "CLIENTBUG",
            Self::HasChildren => "HASCHILDREN",
            Self::UidNotSticky => "UIDNOTSTICKY",
            Self::UnknownCte => "UNKNOWN-CTE",
            Self::UseAttr => "USEATTR",
            Self::ReadOnly => "READ-ONLY",
        }
    }
}
