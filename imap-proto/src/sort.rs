//! SORT as data, and its evaluation (RFC 5256 §3, RFC 5957).
//!
//! The session turns a command into an [`Order`]; whoever has the messages gives them to a [`Sorter`], one after the
//! other and as often as it wants them, and gets them back in that order.
//!
//! Invariants:
//! - The result depends on the messages and the order alone, not on where it paused.
//! - Messages that are equal stay in the order of the mailbox.
//! - Less than 100 bytes are held for each message, however long what it is sorted by is.

mod casemap;
mod envelope;
mod key;
mod merge;
mod radix;
mod sorter;
mod subject;

pub(crate) use casemap::casemap;
pub(crate) use envelope::Envelope;
pub use key::{sent, text_key};
pub(crate) use merge::Merge;
pub use sorter::Sorter;
pub(crate) use subject::base_subject;

/// What messages are sorted by: the first criterion first, the next where that is equal.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Order(pub Vec<Criterion>);

/// One sort criterion.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Criterion {
    /// By what.
    pub key: SortKey,
    /// From the highest down.
    pub reverse: bool,
}

/// What of a message is compared (RFC 5256 §3, BASE.6.4.SORT).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SortKey {
    /// Its internal date and time.
    Arrival,
    /// The mailbox of the first Cc address.
    Cc,
    /// When it was sent (§2.2).
    Date,
    /// The mailbox of the first From address.
    From,
    /// Its size in bytes.
    Size,
    /// Its base subject (§2.1).
    Subject,
    /// The mailbox of the first To address.
    To,
    /// The first From address as it is shown (RFC 5957 §3).
    DisplayFrom,
    /// The first To address as it is shown.
    DisplayTo,
}

impl SortKey {
    /// Each key with its name on the wire.
    pub const NAMES: [(Self, &'static str); 9] = [
        (Self::Arrival, "ARRIVAL"),
        (Self::Cc, "CC"),
        (Self::Date, "DATE"),
        (Self::From, "FROM"),
        (Self::Size, "SIZE"),
        (Self::Subject, "SUBJECT"),
        (Self::To, "TO"),
        (Self::DisplayFrom, "DISPLAYFROM"),
        (Self::DisplayTo, "DISPLAYTO"),
    ];

    /// Whether it takes more of a message than its [`Meta`](crate::fetch::Meta).
    #[must_use]
    pub fn reads(self) -> bool {
        !matches!(self, Self::Arrival | Self::Size)
    }

    /// Whether its keys all have the same eight bytes' length.
    fn is_fixed(self) -> bool {
        matches!(self, Self::Arrival | Self::Size | Self::Date)
    }
}
