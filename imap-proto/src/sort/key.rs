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
                let sent = sent(source.envelope()?).unwrap_or(meta.internal_date.seconds);
                self.key.extend(of_seconds(sent));
            }
            SortKey::Subject => {
                let [_, subject] = Envelope::new(source.envelope()?).date_and_subject();
                base_subject(&subject.unwrap_or_default(), &mut self.text);
                casemap(&self.text, &mut self.key);
            }
            SortKey::From => self.mailbox(source.envelope()?, List::From),
            SortKey::To => self.mailbox(source.envelope()?, List::To),
            SortKey::Cc => self.mailbox(source.envelope()?, List::Cc),
            SortKey::DisplayFrom => self.display(source.envelope()?, List::From),
            SortKey::DisplayTo => self.display(source.envelope()?, List::To),
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

    /// RFC 5256 §3: `addr-mailbox` of the first address. A group's beginning counts, as it does in ENVELOPE.
    fn mailbox(&mut self, envelope: &[u8], list: List) {
        let Address { mailbox, .. } = first_address(envelope, list);
        casemap(&mailbox.unwrap_or_default(), &mut self.key);
    }

    /// RFC 5957 §3
    fn display(&mut self, envelope: &[u8], list: List) {
        let Address { name, mailbox, host } = first_address(envelope, list);
        self.text.clear();
        if let Some(name) = name {
            decode_words(&name, &mut self.text);
        }
        if self.text.is_empty()
            && let Some(mailbox) = mailbox
        {
            self.text.extend_from_slice(&mailbox);
            if let Some(host) = host {
                self.text.push(b'@');
                self.text.extend_from_slice(&host);
            }
        }
        casemap(&self.text, &mut self.key);
    }
}

/// When a message was sent, in seconds since 1970, by the Date of its envelope (RFC 5256 §2.2).
fn sent(envelope: &[u8]) -> Option<i64> {
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
