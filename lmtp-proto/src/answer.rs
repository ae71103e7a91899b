//! What the store answers, and the reply each answer becomes.

use crate::Position;
use std::borrow::Cow;

/// An answer to an [`Ask`](crate::Ask). One that does not fit its question counts as [`Refusal::TROUBLE`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// To [`Ask::Recipient`](crate::Ask::Recipient): mail is taken for it.
    Accepted,
    /// To [`Ask::BodyOpen`](crate::Ask::BodyOpen): text may come.
    Proceed,
    /// To [`Ask::BodyDone`](crate::Ask::BodyDone).
    Delivered {
        /// One for each recipient of the envelope, in its order (RFC 2033 §4.2). A missing one counts as
        /// [`Refusal::TROUBLE`], so that it is tried again; surplus ones are ignored.
        outcomes: Vec<Outcome>,
        /// The replies wait until this is durable.
        position: Position,
        /// How the logs name this message; shown in the replies if given.
        id: Option<Box<str>>,
    },
    /// To any question: no, for the whole of it.
    Refused(Refusal),
}

/// What became of a message for one recipient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It is in the mailbox once the answer's position is durable.
    Stored,
    /// It is not.
    Refused(Refusal),
}

/// The basic code of a refusal (RFC 5321 §4.2.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
#[non_exhaustive]
pub enum Code {
    /// 450: the mailbox cannot be used now.
    Busy = 450,
    /// 451: an error in processing; try again.
    Trouble = 451,
    /// 452: not enough storage; try again.
    NoStorage = 452,
    /// 550: no such mailbox, or not for this sender.
    Unavailable = 550,
    /// 552: it is, or would become, too large.
    TooLarge = 552,
    /// 553: the name is not allowed.
    BadName = 553,
    /// 554: the transaction failed.
    Failed = 554,
}

impl Code {
    /// Whether the client should try again (4yz).
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        match self {
            Self::Busy | Self::Trouble | Self::NoStorage => true,
            Self::Unavailable | Self::TooLarge | Self::BadName | Self::Failed => false,
        }
    }
}

/// A reply that says no: `550 5.1.1 No such mailbox`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The basic code. Its first digit is also the class of the enhanced code (RFC 2034 §4).
    pub code: Code,
    /// Subject and detail of the enhanced code (RFC 3463): `(1, 1)` is 5.1.1 or 4.1.1.
    pub enhanced: (u16, u16),
    /// For a person. Sent up to 400 characters, anything but printable ASCII and spaces as `?`.
    pub text: Cow<'static, str>,
}

impl Refusal {
    /// 550 5.1.1.
    pub const NO_SUCH_MAILBOX: Self = Self::new(Code::Unavailable, (1, 1), "No such mailbox");
    /// 552 5.2.2: this recipient's quota is used up.
    pub const MAILBOX_FULL: Self = Self::new(Code::TooLarge, (2, 2), "Mailbox is full");
    /// 552 5.2.3: too large for this recipient.
    pub const TOO_LARGE: Self =
        Self::new(Code::TooLarge, (2, 3), "Message is too large for this mailbox");
    /// 452 4.3.1: the disk is full.
    pub const STORAGE_FULL: Self = Self::new(Code::NoStorage, (3, 1), "No room for mail here now");
    /// 451 4.3.0: something of ours failed.
    pub const TROUBLE: Self = Self::new(Code::Trouble, (3, 0), "Not now, try again later");
    /// 554 5.4.6: it came by here before.
    pub const LOOP: Self = Self::new(Code::Failed, (4, 6), "Mail is going in circles");

    /// A refusal with a fixed text.
    #[must_use]
    pub const fn new(code: Code, enhanced: (u16, u16), text: &'static str) -> Self {
        Self { code, enhanced, text: Cow::Borrowed(text) }
    }

    /// The reply line, CRLF included.
    pub(crate) fn line(&self) -> Vec<u8> {
        let class = if self.code.is_temporary() { 4 } else { 5 };
        let (subject, detail) = self.enhanced;
        let mut line = format!("{} {class}.{subject}.{detail} ", self.code as u16).into_bytes();
        line.extend(self.text.chars().take(Self::TEXT).map(printable));
        line.extend_from_slice(b"\r\n");
        line
    }

    /// RFC 5321 §4.5.3.1.5 gives a reply line 512 octets.
    const TEXT: usize = 400;
}

/// A store's text may have come from anywhere.
pub(crate) fn printable(char: char) -> u8 {
    u8::try_from(char).ok().filter(|byte| matches!(byte, b' '..=b'~')).unwrap_or(b'?')
}
