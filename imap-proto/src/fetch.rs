//! What a FETCH asks for (RFC 9051 §6.4.5), and how a row of its answer is written (§7.5.2).
//!
//! The session makes [`FetchItems`] once per command; the server gives facts about each message ([`Meta`]) and, where
//! the items need it, its text ([`MessageSource`]); [`render_row`] writes the wire.
//!
//! Invariants:
//! - A row is written whole or not at all.
//! - A row of flags, UID, size, dates and modseq allocates nothing (beyond the output) and asks the source nothing.
//! - Every literal has exactly the length it announces, whatever the message is.

pub mod section;

pub(crate) mod number;

mod binary;
mod row;

pub use binary::DecodedPart;
pub use row::{Piece, Rows, render_row};
pub use section::{FieldNames, Section, SectionKind};

use std::ops::{BitOr, BitOrAssign, Range};

use crate::date::DateTime;
use crate::mime::{Extent, Mime, Place};
use crate::sort::SortKey;
use crate::types::{Blob, Keyword, ModSeq, SystemFlags, Uid};

/// Data items that are a bit each; all others are [`Section`]s.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Fixed(u16);

impl Fixed {
    /// `UID`
    pub const UID: Fixed = Fixed(1);
    /// `FLAGS`
    pub const FLAGS: Fixed = Fixed(1 << 1);
    /// `INTERNALDATE`
    pub const INTERNALDATE: Fixed = Fixed(1 << 2);
    /// `RFC822.SIZE`
    pub const SIZE: Fixed = Fixed(1 << 3);
    /// `MODSEQ` (RFC 7162 §3.1.5)
    pub const MODSEQ: Fixed = Fixed(1 << 4);
    /// `SAVEDATE` (RFC 8514 §4.2)
    pub const SAVEDATE: Fixed = Fixed(1 << 5);
    /// `EMAILID` (RFC 8474 §5.1)
    pub const EMAILID: Fixed = Fixed(1 << 6);
    /// `THREADID` (RFC 8474 §5.2)
    pub const THREADID: Fixed = Fixed(1 << 7);
    /// `ENVELOPE`
    pub const ENVELOPE: Fixed = Fixed(1 << 8);
    /// `BODY`, the structure without extension data
    pub const BODY: Fixed = Fixed(1 << 9);
    /// `BODYSTRUCTURE`
    pub const BODYSTRUCTURE: Fixed = Fixed(1 << 10);

    /// The macro `FAST` (RFC 9051 §6.4.5).
    pub const FAST: Fixed = Fixed(Self::FLAGS.0 | Self::INTERNALDATE.0 | Self::SIZE.0);
    /// The macro `ALL`.
    pub const ALL: Fixed = Fixed(Self::FAST.0 | Self::ENVELOPE.0);
    /// The macro `FULL`.
    pub const FULL: Fixed = Fixed(Self::ALL.0 | Self::BODY.0);

    /// What needs more than [`Meta`].
    const SOURCED: Fixed =
        Fixed(Self::ENVELOPE.0 | Self::BODY.0 | Self::BODYSTRUCTURE.0 | Self::THREADID.0);

    /// Whether every item of `other` is in `self`.
    #[must_use]
    pub const fn contains(self, other: Fixed) -> bool {
        self.0 & other.0 == other.0
    }

    /// What of it a change of flags is told with.
    #[must_use]
    pub const fn of_flags(self) -> Fixed {
        Fixed(self.0 & (Fixed::UID.0 | Fixed::FLAGS.0 | Fixed::MODSEQ.0))
    }

    /// Whether some item of `other` is in `self`.
    #[must_use]
    pub const fn intersects(self, other: Fixed) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Fixed {
    type Output = Fixed;
    fn bitor(self, other: Fixed) -> Fixed {
        Fixed(self.0 | other.0)
    }
}

impl BitOrAssign for Fixed {
    fn bitor_assign(&mut self, other: Fixed) {
        self.0 |= other.0;
    }
}

/// Everything one FETCH asks for about each message.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FetchItems {
    /// Items that are a bit each.
    pub fixed: Fixed,
    /// Parts of the text, in the order asked for; may repeat.
    pub sections: Vec<Section>,
}

impl FetchItems {
    /// Bytes held; `shared` says whether a clone holds what both share.
    pub(crate) fn held(&self, shared: bool) -> usize {
        let sections = self.sections.iter().map(|section| match (section.held(), shared) {
            ((own, _), true) => own,
            ((own, names), false) => own + names,
        });
        self.sections.capacity() * size_of::<Section>() + sections.sum::<usize>()
    }

    /// What the server must have at hand to answer: lets it prefetch the right thing and no more.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let mut needs = Needs {
            envelope: self.fixed.intersects(Fixed::ENVELOPE | Fixed::THREADID),
            structure: self.fixed.intersects(Fixed::BODY | Fixed::BODYSTRUCTURE),
            header: false,
            whole: false,
        };
        for section in &self.sections {
            match &section.kind {
                SectionKind::HeaderFields(_)
                | SectionKind::HeaderFieldsNot(_)
                | SectionKind::Header
                    if section.path.is_empty() =>
                {
                    needs.header = true;
                }
                SectionKind::All
                | SectionKind::Header
                | SectionKind::HeaderFields(_)
                | SectionKind::HeaderFieldsNot(_)
                | SectionKind::Text
                | SectionKind::Mime
                | SectionKind::Binary
                | SectionKind::BinarySize => needs.whole = true,
            }
        }
        needs
    }

    /// Whether answering sets `\Seen`: some section isn't peeking (RFC 9051 §6.4.5).
    #[must_use]
    pub fn sets_seen(&self) -> bool {
        self.sections.iter().any(|section| !section.peek)
    }

    /// Whether [`Meta`] alone answers it.
    #[must_use]
    pub fn meta_only(&self) -> bool {
        self.sections.is_empty() && !self.fixed.intersects(Fixed::SOURCED)
    }
}

/// What answering needs besides [`Meta`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Needs {
    /// [`MessageSource::envelope`] will be asked.
    pub envelope: bool,
    /// [`MessageSource::body_structure`] will be asked.
    pub structure: bool,
    /// [`MessageSource::header`] will be asked.
    pub header: bool,
    /// [`MessageSource::read`], [`MessageSource::blob`] or [`MessageSource::place`] will be asked.
    pub whole: bool,
}

/// The facts about one message that are columns of its mailbox.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    /// Its UID.
    pub uid: Uid,
    /// Its system flags.
    pub flags: SystemFlags,
    /// Whether this session shows it as `\Recent`.
    pub recent: bool,
    /// Its keywords.
    pub keywords: Keywords<'a>,
    /// INTERNALDATE.
    pub internal_date: DateTime,
    /// RFC822.SIZE: bytes of the stored message.
    pub size: u64,
    /// When its metadata last changed.
    pub modseq: ModSeq,
    /// When it was put into this mailbox, if known (RFC 8514 §4.2).
    pub save_date: Option<DateTime>,
    /// Names the content: the same for its copies (RFC 8474 §5.1). THREADID may come from it, too.
    pub email_id: u128,
    /// Names this instance of the message.
    pub guid: u128,
}

/// The keywords of one message, in either form a store may keep them.
#[derive(Clone, Copy, Debug)]
pub enum Keywords<'a> {
    /// All of them.
    List(&'a [Keyword]),
    /// Those of a table whose bit is set: bit `n % 64` of word `n / 64` belongs to keyword `n`. Bits beyond the table
    /// count for nothing.
    Table {
        /// The mailbox's keywords.
        names: &'a [Keyword],
        /// The message's bits.
        bits: &'a [u64],
    },
}

impl Keywords<'_> {
    /// No keywords.
    pub const NONE: Keywords<'static> = Keywords::List(&[]);

    /// Each keyword once, in the order of the list or table.
    pub fn iter(&self) -> impl Iterator<Item = &Keyword> {
        let (names, bits) = match *self {
            Keywords::List(names) => (names, None),
            Keywords::Table { names, bits } => (names, Some(bits)),
        };
        names.iter().enumerate().filter_map(move |(n, name)| {
            let set = bits
                .is_none_or(|bits| bits.get(n / 64).is_some_and(|word| word >> (n % 64) & 1 != 0));
            set.then_some(name)
        })
    }
}

/// The text of one message, as the server has it; each method is asked only when an item needs it.
///
/// Row 36: bytes are those that were stored; [`render_row`] shows NUL as 0x80 in what it copies, and **whoever sends a
/// [`Piece::Blob`] does the same**, unless it is a [`DecodedPart`], which BINARY shows as it is.
pub trait MessageSource {
    /// Bytes of the stored message.
    fn len(&self) -> u64;

    /// Whether the message is empty.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ENVELOPE as [`Mime::write_envelope`] writes it.
    fn envelope(&mut self) -> Result<&[u8], SourceError>;

    /// The structure as [`Mime::write_structure`] writes it.
    fn body_structure(&mut self, extended: bool) -> Result<&[u8], SourceError>;

    /// The raw header block of the message with the empty line that ends it, or as much of it as
    /// [`Limits::header`](crate::mime::Limits::header) allows.
    fn header(&mut self) -> Result<&[u8], SourceError>;

    /// Raw header fields in the order of the message, among them all whose names are in `names`, and behind them the
    /// empty line if the message has one: a source that keeps some fields at hand answers most questions without the
    /// message.
    fn header_fields(&mut self, names: &FieldNames) -> Result<&[u8], SourceError> {
        let _ = names;
        self.header()
    }

    /// As [`MessageSource::header_fields`], for one `name` in any case.
    fn header_field(&mut self, name: &[u8]) -> Result<&[u8], SourceError> {
        let _ = name;
        self.header()
    }

    /// Where the part of these numbers is, or the message itself for none; `None` when it has no such part. What is beyond
    /// `extent` need not be right: a source that knows where parts are, or reads no further than it has to, answers
    /// without the whole message.
    fn place(&mut self, path: &[u32], extent: Extent) -> Result<Option<Place>, SourceError> {
        let _ = extent;
        Ok(self.mime()?.place(path))
    }

    /// The parts.
    fn mime(&mut self) -> Result<&Mime, SourceError>;

    /// The first bytes of a range inside the message; at least one unless the range is empty, at most the range. At
    /// least 64 KiB where the range has them keeps the number of calls small.
    fn read(&mut self, range: Range<u64>) -> Result<&[u8], SourceError>;

    /// A handle by which the driver finds the stored message.
    fn blob(&mut self) -> Result<Blob, SourceError>;

    /// What [`search::field_text`](crate::search::field_text) makes of the fields of this name, when it is at hand.
    fn search_text(&mut self, name: &[u8]) -> Result<Option<&[u8]>, SourceError> {
        let _ = name;
        Ok(None)
    }

    /// What [`sort::sent`](crate::sort::sent) makes of the envelope, when it is at hand.
    fn sent(&mut self) -> Result<Option<Option<i64>>, SourceError> {
        Ok(None)
    }

    /// What [`sort::text_key`](crate::sort::text_key) makes of the envelope, when it is at hand.
    fn sort_key(&mut self, key: SortKey) -> Result<Option<&[u8]>, SourceError> {
        let _ = key;
        Ok(None)
    }

    /// Whether a search should pause here, so that others have their turn: [`SourceError::Paused`].
    fn is_due(&self) -> bool {
        false
    }
}

/// Why a message's text could not be had; the server knows more and has logged it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The message was expunged and its text is gone: the row is left out (RFC 2180 §4.1.2).
    #[error("the message is gone")]
    Gone,
    /// Its text can't be read now.
    #[error("the message can't be read now")]
    Unreadable,
    /// It was not looked at to the end; asked again, [`Program::go_on`](crate::search::Program::go_on) goes on.
    #[error("the search pauses")]
    Paused,
    /// What is stored fails its checks.
    #[error("the stored message is damaged")]
    Corrupt,
    /// BINARY of a part whose Content-Transfer-Encoding is not known: the command fails with
    /// [`Code::UnknownCte`](crate::Code::UnknownCte) (RFC 3516 §4.3).
    #[error("the part's transfer encoding is not known")]
    UnknownEncoding,
}
