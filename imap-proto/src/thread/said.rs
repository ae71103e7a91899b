//! What a message says of itself, of all that threads are made of.

use super::fingerprint::fingerprint;
use super::ids::Ids;
use crate::date::parse_sent_date;
use crate::fetch::{MessageSource, SourceError};
use crate::mime::header::{Initials, RawFields};
use crate::sort::{Envelope, base_subject, casemap};

/// Ancestors of one message that count, the nearest ones. References are shortened by those who write them; the others
/// have their own.
const ANCESTORS: usize = 1000;

/// What a message says of itself, its texts by fingerprints of whatever kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Said<F> {
    /// When it was sent, in seconds since 1970; when it came, if it doesn't say (RFC 5256 §2.2).
    pub sent: i64,
    /// Its base subject, unless that is empty.
    pub subject: Option<F>,
    /// Whether its subject says reply or forward.
    pub is_reply: bool,
    /// Its Message-ID.
    pub id: Option<F>,
    /// The IDs of its ancestors, the eldest first: its References, or else the first of In-Reply-To (RFC 5256 §3).
    pub references: Vec<F>,
}

impl<F> Default for Said<F> {
    fn default() -> Self {
        Self { sent: 0, subject: None, is_reply: false, id: None, references: Vec::new() }
    }
}

/// What of it is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) subject: bool,
    pub(super) ids: bool,
}

/// Memory for one message after the other.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    subject: Vec<u8>,
    key: Vec<u8>,
    id: Vec<u8>,
}

impl<F> Said<F> {
    /// What this message says, which came at `came`; `of` makes the fingerprints.
    ///
    /// # Errors
    /// Those of the source.
    pub fn read<S: MessageSource + ?Sized>(
        came: i64,
        source: &mut S,
        of: impl Fn(&[u8]) -> F,
    ) -> Result<Self, SourceError> {
        let mut said = Self::default();
        let wanted = Wanted { subject: true, ids: true };
        said.read_again(wanted, came, source, &mut Buffers::default(), of)?;
        Ok(said)
    }

    /// The same in place of what another message said; after an error it is of no use.
    pub(super) fn read_again<S: MessageSource + ?Sized>(
        &mut self,
        wanted: Wanted,
        came: i64,
        source: &mut S,
        buffers: &mut Buffers,
        of: impl Fn(&[u8]) -> F,
    ) -> Result<(), SourceError> {
        self.references.clear();
        (self.subject, self.is_reply, self.id) = (None, false, None);
        let mut envelope = Envelope::new(source.envelope()?);
        let [date, subject] = envelope.date_and_subject();
        self.sent = date.and_then(|date| parse_sent_date(&date)).map_or(came, |sent| sent.seconds);
        if wanted.subject {
            let base = base_subject(&subject.unwrap_or_default(), &mut buffers.subject);
            self.is_reply = base.is_reply;
            if !buffers.subject.is_empty() {
                buffers.key.clear();
                casemap(&buffers.subject, &mut buffers.key);
                self.subject = Some(of(&buffers.key));
            }
        }
        if wanted.ids {
            let [in_reply_to, message_id] = envelope.ids();
            let id = &mut buffers.id;
            let mut first = |field: &[u8]| Ids::new(field).next(id).then(|| of(id));
            self.id = message_id.and_then(|field| first(&field));
            let in_reply_to = in_reply_to.and_then(|field| first(&field));
            self.references(source.header_field(b"References")?, &mut buffers.id, of);
            // RFC 5256 §3: without a valid ID there, the first of In-Reply-To.
            if self.references.is_empty() {
                self.references.extend(in_reply_to);
            }
        }
        Ok(())
    }

    /// Reads the IDs of a header's first References field.
    fn references(&mut self, header: &[u8], id: &mut Vec<u8>, of: impl Fn(&[u8]) -> F) {
        let mut ids = Ids::new(references(header));
        while ids.next(id) {
            if self.references.len() >= 2 * ANCESTORS {
                self.references.drain(..ANCESTORS);
            }
            self.references.push(of(id));
        }
        let farther = self.references.len().saturating_sub(ANCESTORS);
        self.references.drain(..farther);
    }
}

/// The value of a header's first References field.
fn references(header: &[u8]) -> &[u8] {
    let name = &b"References"[..];
    let field = RawFields::beginning(header, Initials::of([name]))
        .find(|field| field.name.eq_ignore_ascii_case(name));
    field.map(|field| field.value).unwrap_or_default()
}

/// The THREADID of a message (RFC 8474 §5.2): of the eldest ancestor that it names, that is, the first of its References,
/// or else of In-Reply-To, or else of its own Message-ID; of one that has no ID at all, by what names its content.
///
/// So it follows from the message alone. It never changes and needs nothing that could be lost; copies have the same one,
/// in whatever mailbox, and so have the messages of a thread whose References reach back to the first (RFC 5322 §3.6.4
/// says that they do), whether that is there or not. A reply that names none but the one it is a reply to, by
/// In-Reply-To alone, has another one where that is not the first.
pub(crate) fn thread_id<S: MessageSource + ?Sized>(
    email_id: u128,
    source: &mut S,
) -> Result<u128, SourceError> {
    let mut id = Vec::new();
    if Ids::new(references(source.header_field(b"References")?)).next(&mut id) {
        return Ok(of_root(b'<', &id));
    }
    let mut envelope = Envelope::new(source.envelope()?);
    let _ = envelope.date_and_subject();
    for field in envelope.ids().into_iter().flatten() {
        if Ids::new(&field).next(&mut id) {
            return Ok(of_root(b'<', &id));
        }
    }
    Ok(of_root(b'M', &email_id.to_be_bytes()))
}

/// No key is needed: who makes another text of the same value has their message in a thread which they could have named
/// instead.
fn of_root(kind: u8, root: &[u8]) -> u128 {
    let mut text = Vec::with_capacity(root.len() + 1);
    text.push(kind);
    text.extend_from_slice(root);
    fingerprint(*b"Loft's THREADIDs", &text)
}
