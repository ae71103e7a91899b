//! The header fields that are kept while a message streams through.

use std::ops::Range;

/// A header field that ENVELOPE or BODYSTRUCTURE shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs)] // each is the field of its name
pub enum FieldName {
    ContentType,
    ContentTransferEncoding,
    ContentDisposition,
    ContentLanguage,
    ContentLocation,
    ContentId,
    ContentDescription,
    ContentMd5,
    Date,
    Subject,
    From,
    Sender,
    ReplyTo,
    To,
    Cc,
    Bcc,
    InReplyTo,
    MessageId,
}

impl FieldName {
    const NAMES: [(&'static [u8], FieldName); 18] = [
        (b"Content-Type", FieldName::ContentType),
        (b"Content-Transfer-Encoding", FieldName::ContentTransferEncoding),
        (b"Content-Disposition", FieldName::ContentDisposition),
        (b"Content-Language", FieldName::ContentLanguage),
        (b"Content-Location", FieldName::ContentLocation),
        (b"Content-ID", FieldName::ContentId),
        (b"Content-Description", FieldName::ContentDescription),
        (b"Content-MD5", FieldName::ContentMd5),
        (b"Date", FieldName::Date),
        (b"Subject", FieldName::Subject),
        (b"From", FieldName::From),
        (b"Sender", FieldName::Sender),
        (b"Reply-To", FieldName::ReplyTo),
        (b"To", FieldName::To),
        (b"Cc", FieldName::Cc),
        (b"Bcc", FieldName::Bcc),
        (b"In-Reply-To", FieldName::InReplyTo),
        (b"Message-ID", FieldName::MessageId),
    ];

    /// The field of this name, in any case.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<FieldName> {
        Self::NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|&(_, field)| field)
    }

    /// Whether it describes a part rather than a message (RFC 2045 §9: its name begins with `Content-`).
    pub(super) fn describes_part(self) -> bool {
        (self as u32) <= FieldName::ContentMd5 as u32
    }
}

/// One kept field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Field {
    /// Which.
    pub(super) name: FieldName,
    /// Where its unfolded value is among the kept bytes.
    pub(super) value: Range<u32>,
}
