//! What a session asks the store.

use crate::Path;

/// Names a question, so that its answer and its cancellation find it. Never used twice in a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub(crate) u64);

/// A RCPT command of the current transaction that was asked about, counted from 0.
///
/// 0 says that a new transaction has begun: what was remembered for the recipients of an earlier one can go.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecipientId(pub u32);

impl RecipientId {
    /// The number as an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A question. One is open at a time, and all but [`Ask::BodyAbort`] wait for an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Ask {
    /// Is mail taken for this recipient? → [`Answer::Accepted`](crate::Answer::Accepted) or
    /// [`Answer::Refused`](crate::Answer::Refused).
    Recipient {
        /// Its number; [`Ask::BodyOpen`] names by it those who were accepted.
        id: RecipientId,
        /// Whom RCPT named.
        path: Path,
        /// The message's size as MAIL declared it (RFC 1870 §6.1), in octets.
        size: Option<u64>,
    },
    /// Text is about to come: make room for it. → [`Answer::Proceed`](crate::Answer::Proceed), after which
    /// [`Output::Body`](crate::Output::Body) carries this question's ticket, or `Refused`, before any text is taken
    /// where the client allows it (DATA).
    BodyOpen(Box<Envelope>),
    /// All text has been given: deliver it to each recipient of the envelope.
    /// → [`Answer::Delivered`](crate::Answer::Delivered).
    BodyDone,
    /// The open text will not be completed: forget it. Not answered.
    BodyAbort,
}

/// Everything known of a message when its text begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// The reverse-path; `None` is the null one (`<>`).
    pub sender: Option<Path>,
    /// Those accepted, in the order of their RCPTs, at least one. Two RCPTs for the same mailbox are two entries.
    pub recipients: Vec<RecipientId>,
    /// The size declared by MAIL, or that of a text sent as one chunk, in octets. A hint: text may be longer.
    pub size: Option<u64>,
    /// What MAIL said of the text.
    pub body: BodyKind,
    /// For the Received header.
    pub trace: Trace,
}

/// The BODY parameter of MAIL (RFC 6152 §2, RFC 3030 §3). The text is kept byte for byte whatever it says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum BodyKind {
    /// `7BIT`, or not given.
    #[default]
    SevenBit,
    /// `8BITMIME`.
    EightBitMime,
    /// `BINARYMIME`: lines may be of any length, and NUL, CR and LF stand anywhere.
    BinaryMime,
}

/// The protocol's facts for the Received header (RFC 5321 §4.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trace {
    /// The name the client gave with LHLO: letters, digits and `-._:[]`, nothing else, so it may stand in a header.
    pub lhlo: Box<str>,
    /// Whether the text comes through TLS.
    pub tls: bool,
    /// Whether MAIL said SMTPUTF8: addresses and header may be UTF-8.
    pub utf8: bool,
}

impl Trace {
    /// The keyword behind `with` (RFC 3848, RFC 6531 §4.3): `LMTP`, `LMTPS`, `UTF8LMTP` or `UTF8LMTPS`.
    #[must_use]
    pub const fn with(&self) -> &'static str {
        match (self.utf8, self.tls) {
            (false, false) => "LMTP",
            (false, true) => "LMTPS",
            (true, false) => "UTF8LMTP",
            (true, true) => "UTF8LMTPS",
        }
    }
}
