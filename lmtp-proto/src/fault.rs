//! What a client does wrong, and the reply it gets.
//!
//! Replies are fixed texts: nothing a client says comes back, so no terminal or log of its side can be steered by it.

/// The peer broke the protocol, or reached a limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    UnknownVerb,
    /// EHLO and HELO (RFC 2033 §4.1).
    NotLhlo,
    NotOffered,
    Garbled,
    LineTooLong,
    Arguments,
    NoArguments,
    UnknownParameter,
    BadParameter,
    BodyValue,
    LhloFirst,
    NestedMail,
    MailFirst,
    RcptFirst,
    NotAfterChunk,
    NotWithChunks,
    NotBinary,
    AlreadyTls,
    SenderSyntax,
    SenderNotAscii,
    RecipientSyntax,
    RecipientNotAscii,
    TooManyRecipients,
    DeclaredTooLarge,
}

impl Fault {
    /// The reply line with its enhanced code (RFC 2034 §4), without its CRLF.
    pub(crate) const fn reply(self) -> &'static str {
        match self {
            Self::UnknownVerb => "500 5.5.1 Unknown command",
            Self::NotLhlo => "500 5.5.1 This is LMTP, say LHLO",
            Self::NotOffered => "502 5.5.1 Not offered here",
            Self::Garbled => "500 5.5.2 A line is printable characters and ends with CRLF",
            Self::LineTooLong => "500 5.5.2 Line too long",
            Self::Arguments => "501 5.5.4 Wrong arguments",
            Self::NoArguments => "501 5.5.4 No arguments allowed",
            // RFC 5321 §4.1.1.11.
            Self::UnknownParameter => "555 5.5.4 Parameter not recognized",
            Self::BadParameter => "501 5.5.4 Bad or repeated parameter",
            Self::BodyValue => "504 5.5.4 This BODY is not offered here",
            Self::LhloFirst => "503 5.5.1 LHLO first",
            Self::NestedMail => "503 5.5.1 Sender already given",
            Self::MailFirst => "503 5.5.1 MAIL first",
            Self::RcptFirst => "503 5.5.1 No valid recipients",
            Self::NotAfterChunk => "503 5.5.1 Not after BDAT",
            Self::NotWithChunks => "503 5.5.1 Not with BDAT in one transaction",
            Self::NotBinary => "503 5.5.1 BINARYMIME needs BDAT",
            Self::AlreadyTls => "503 5.5.1 TLS already in use",
            Self::SenderSyntax => "501 5.1.7 Bad sender address syntax",
            Self::RecipientSyntax => "501 5.1.3 Bad recipient address syntax",
            // RFC 6531 §3.5.
            Self::SenderNotAscii => "550 5.6.7 Non-ASCII sender needs SMTPUTF8",
            Self::RecipientNotAscii => "553 5.6.7 Non-ASCII recipient needs SMTPUTF8",
            // RFC 5321 §4.5.3.1.10.
            Self::TooManyRecipients => "452 4.5.3 Too many recipients",
            Self::DeclaredTooLarge => TOO_LARGE,
        }
    }

    /// Whether no LMTP client says such a thing. Bad addresses and refused steps are not silly: a client passes on
    /// what it was given, and pipelines a group whose first command may fail.
    pub(crate) const fn is_silly(self) -> bool {
        match self {
            Self::UnknownVerb
            | Self::NotLhlo
            | Self::NotOffered
            | Self::Garbled
            | Self::LineTooLong
            | Self::Arguments
            | Self::NoArguments
            | Self::UnknownParameter
            | Self::BadParameter
            | Self::BodyValue
            | Self::AlreadyTls => true,
            Self::LhloFirst
            | Self::NestedMail
            | Self::MailFirst
            | Self::RcptFirst
            | Self::NotAfterChunk
            | Self::NotWithChunks
            | Self::NotBinary
            | Self::SenderSyntax
            | Self::SenderNotAscii
            | Self::RecipientSyntax
            | Self::RecipientNotAscii
            | Self::TooManyRecipients
            | Self::DeclaredTooLarge => false,
        }
    }
}

/// RFC 1870 §6.1; 5.3.4 is the system's own limit, 5.2.3 a mailbox's.
const TOO_LARGE: &str = "552 5.3.4 Message is larger than this server takes";

/// Why a session ends the connection on its own; each but the first is told to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Farewell {
    /// To what is no mail client, or would profit from an answer.
    Silent,
    Errors,
    Flood,
    Timeout,
    Shutdown,
    /// The connection has to make room for another.
    Evicted,
    /// Whoever runs the server wants it to end.
    Kick,
    /// A chunk whose size cannot be known: what follows is not known to be text or commands.
    ChunkSize,
    /// QUIT.
    Quit,
}

impl Farewell {
    pub(crate) const fn reply(self) -> Option<&'static str> {
        match self {
            Self::Silent => None,
            Self::Errors => Some("421 4.7.0 Too many errors, closing connection"),
            Self::Flood => Some("421 4.7.0 Too much to drop, closing connection"),
            Self::Timeout => Some("421 4.4.2 Timeout, closing connection"),
            Self::Shutdown => Some("421 4.3.2 Shutting down, closing connection"),
            Self::Evicted => Some("421 4.3.2 Too many connections, closing connection"),
            Self::Kick => Some("421 4.3.2 Session ended by the administrator"),
            Self::ChunkSize => Some("501 5.5.4 Bad chunk size, closing connection"),
            Self::Quit => Some("221 2.0.0 Bye"),
        }
    }
}
