//! What a message is sorted by, as bytes whose order is the one wanted.

use super::envelope::{Address, Envelope, List};
use super::{SortKey, base_subject, casemap};
use crate::date::parse_sent_date;
use crate::fetch::{MessageSource, Meta, SourceError};
use crate::mime::decode::decode_words;

/// Memory for one key after the other.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) key: Vec<u8>,
    text: Vec<u8>,
}

impl Buffers {
    /// Makes [`Buffers::key`] that of a message.
    pub(super) fn make<S: MessageSource + ?Sized>(
        &mut self,
        by: SortKey,
        meta: &Meta<'_>,
        source: &mut S,
    ) -> Result<(), SourceError> {
        self.key.clear();
        match by {
            SortKey::Arrival => self.key.extend(of_seconds(meta.internal_date.seconds)),
            SortKey::Size => self.key.extend(meta.size.to_be_bytes()),
            SortKey::Date => {
                let sent = match source.sent()? {
                    Some(known) => known,
                    None => sent(source.envelope()?),
                };
                self.key.extend(of_seconds(sent.unwrap_or(meta.internal_date.seconds)));
            }
            SortKey::Subject
            | SortKey::From
            | SortKey::To
            | SortKey::Cc
            | SortKey::DisplayFrom
            | SortKey::DisplayTo => match source.sort_key(by)? {
                Some(known) => self.key.extend_from_slice(known),
                None => make_text(by, source.envelope()?, &mut self.text, &mut self.key),
            },
        }
        Ok(())
    }

    /// The key of a message whose text can't be had: as if it had no header.
    pub(super) fn make_bare(&mut self, by: SortKey, meta: Option<&Meta<'_>>) {
        self.key.clear();
        match by {
            SortKey::Arrival | SortKey::Date => {
                let arrival = meta.map_or(0, |meta| meta.internal_date.seconds);
                self.key.extend(of_seconds(arrival));
            }
            SortKey::Size => self.key.extend(meta.map_or(0, |meta| meta.size).to_be_bytes()),
            SortKey::Subject
            | SortKey::From
            | SortKey::To
            | SortKey::Cc
            | SortKey::DisplayFrom
            | SortKey::DisplayTo => {}
        }
    }
}

/// What stands for the key of a message that came at `came` and has `size` bytes, for a key that takes no more: numbers in
/// the order of the keys.
pub(super) fn number(by: SortKey, came: i64, size: u64) -> u64 {
    match by {
        SortKey::Size => size,
        SortKey::Arrival
        | SortKey::Date
        | SortKey::Subject
        | SortKey::From
        | SortKey::To
        | SortKey::Cc
        | SortKey::DisplayFrom
        | SortKey::DisplayTo => u64::from_be_bytes(of_seconds(came)),
    }
}

/// Appends to `out` the bytes that messages with these envelopes are sorted by, for a key that is text: all but
/// ARRIVAL, SIZE and DATE, which append nothing.
pub fn text_key(by: SortKey, envelope: &[u8], out: &mut Vec<u8>) {
    make_text(by, envelope, &mut Vec::new(), out);
}

fn make_text(by: SortKey, envelope: &[u8], text: &mut Vec<u8>, key: &mut Vec<u8>) {
    match by {
        SortKey::Arrival | SortKey::Size | SortKey::Date => {}
        SortKey::Subject => {
            let [_, subject] = Envelope::new(envelope).date_and_subject();
            base_subject(&subject.unwrap_or_default(), text);
            casemap(text, key);
        }
        SortKey::From => mailbox(envelope, List::From, key),
        SortKey::To => mailbox(envelope, List::To, key),
        SortKey::Cc => mailbox(envelope, List::Cc, key),
        SortKey::DisplayFrom => display(envelope, List::From, text, key),
        SortKey::DisplayTo => display(envelope, List::To, text, key),
    }
}

/// RFC 5256 §3: `addr-mailbox` of the first address. A group's beginning counts, as it does in ENVELOPE.
fn mailbox(envelope: &[u8], list: List, key: &mut Vec<u8>) {
    let Address { mailbox, .. } = first_address(envelope, list);
    casemap(&mailbox.unwrap_or_default(), key);
}

/// RFC 5957 §3
fn display(envelope: &[u8], list: List, text: &mut Vec<u8>, key: &mut Vec<u8>) {
    let Address { name, mailbox, host } = first_address(envelope, list);
    text.clear();
    if let Some(name) = name {
        decode_words(&name, text);
    }
    if text.is_empty()
        && let Some(mailbox) = mailbox
    {
        text.extend_from_slice(&mailbox);
        if let Some(host) = host {
            text.push(b'@');
            text.extend_from_slice(&host);
        }
    }
    casemap(text, key);
}

/// When a message was sent, in seconds since 1970, by the Date of its envelope (RFC 5256 §2.2).
pub fn sent(envelope: &[u8]) -> Option<i64> {
    let [date, _] = Envelope::new(envelope).date_and_subject();
    parse_sent_date(&date?).map(|date| date.seconds)
}

fn first_address(envelope: &[u8], list: List) -> Address<'_> {
    let mut envelope = Envelope::new(envelope);
    envelope.date_and_subject();
    envelope.first_address(list)
}

fn of_seconds(seconds: i64) -> [u8; 8] {
    (seconds.cast_unsigned() ^ 1 << 63).to_be_bytes()
}
