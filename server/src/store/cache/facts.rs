//! What a row says of a message, and which header fields it has.

use super::kind::named;
use super::{LARGE_ROW_MAX, ROW_MAX};
use crate::store::message::is_small;
use crate::store::threads::Words;
use imap_proto::Blob;
use imap_proto::fetch::{MessageSource, SourceError};
use imap_proto::mime::header::RawFields;
use imap_proto::mime::{FieldName, Layout, Limits, Mime, Parser, PartId};
use imap_proto::search::{TEXT_FIELDS, field_text};
use imap_proto::sort::{SortKey, sent, text_key};
use imap_proto::thread::Said;
use index_format::cache::{COMMON_HEADER, Field, Key, Text, encode_fields};
use index_format::threads::Fingerprint;
use std::ops::Range;
use std::sync::Arc;

/// A header block up to this many bytes is kept whole, a longer one by its common fields.
pub(crate) const HEADER_WHOLE: usize = 2 << 10;
/// A header block up to this many bytes is kept whole once somebody has asked for more than the common fields.
pub(crate) const HEADER_ASKED: usize = 12 << 10;
/// A message whose header block is longer gets no row while it comes in.
const HEADER: usize = 64 << 10;
/// A message whose structure takes more bytes than this gets no row while it comes in.
const HELD: usize = 64 << 10;

/// What a message is listed, searched and sorted by.
pub(crate) struct Facts {
    /// ENVELOPE and BODYSTRUCTURE as they go on the wire, one behind the other.
    wire: Vec<u8>,
    envelope: usize,
    header: Vec<u8>,
    compared: Compared,
    /// Bytes of the message, and if it is large where its parts are.
    len: u64,
    layout: Option<Layout>,
}

/// What SORT and SEARCH compare, made once.
pub(crate) struct Compared {
    sent: Vec<u8>,
    texts: [(Text, Vec<u8>); 4],
    keys: [(Key, Vec<u8>); 6],
}

/// The texts by the names of their fields.
const TEXTS: [Text; 4] = [Text::From, Text::To, Text::Cc, Text::Subject];

/// The kept text of the fields of this name, in any case.
pub(crate) fn text_of(name: &[u8]) -> Option<Text> {
    let at = TEXT_FIELDS.iter().position(|known| known.eq_ignore_ascii_case(name))?;
    TEXTS.get(at).copied()
}

/// What is kept of a sort key that is text.
pub(crate) fn key_of(key: SortKey) -> Option<Key> {
    KEYS.iter().find(|(known, _)| *known == key).map(|(_, key)| *key)
}

const KEYS: [(SortKey, Key); 6] = [
    (SortKey::Subject, Key::Subject),
    (SortKey::From, Key::From),
    (SortKey::To, Key::To),
    (SortKey::Cc, Key::Cc),
    (SortKey::DisplayFrom, Key::DisplayFrom),
    (SortKey::DisplayTo, Key::DisplayTo),
];

impl Compared {
    /// Of a message with this ENVELOPE and this header, or those of its fields that are always kept.
    pub(crate) fn of(envelope: &[u8], header: &[u8]) -> Self {
        let mut names = TEXT_FIELDS.into_iter();
        Self {
            sent: sent(envelope).map_or(Vec::new(), |at| at.to_le_bytes().to_vec()),
            texts: TEXTS.map(|text| {
                let mut value = Vec::new();
                field_text(header, names.next().unwrap_or_default(), &mut value);
                (text, value)
            }),
            keys: KEYS.map(|(by, key)| {
                let mut value = Vec::new();
                text_key(by, envelope, &mut value);
                (key, value)
            }),
        }
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (Field<'_>, &[u8])> {
        let texts = self.texts.iter().map(|(text, value)| (Field::Text(*text), value.as_slice()));
        let keys = self.keys.iter().map(|(key, value)| (Field::Key(*key), value.as_slice()));
        std::iter::once((Field::Sent, self.sent.as_slice())).chain(texts).chain(keys)
    }
}

impl Facts {
    /// Of a message in memory; `None` when its header is too long to look at.
    pub(crate) fn of(message: &[u8]) -> Option<Self> {
        let end = header_end(message, 0).unwrap_or(message.len());
        let header = message.get(..end).filter(|header| header.len() <= HEADER)?;
        let mut parser = Parser::new(Limits::default());
        parser.feed(message);
        Some(Self::new(&parser.finish(), header.to_vec()))
    }

    fn new(mime: &Mime, header: Vec<u8>) -> Self {
        let mut wire = Vec::with_capacity(1024);
        mime.write_envelope(&mut wire);
        let envelope = wire.len();
        let compared = Compared::of(&wire, &header);
        mime.write_structure(true, &mut wire);
        let len = mime.root().end;
        let layout = (!is_small(len)).then(|| mime.layout());
        Self { wire, envelope, header, compared, len, layout }
    }

    /// What the message says of itself that threads are made of, when it came at `came`.
    pub(crate) fn words(
        &self,
        came: i64,
        fingerprint: impl Fn(&[u8]) -> Fingerprint,
    ) -> Option<Words> {
        let envelope = self.wire.get(..self.envelope)?;
        Said::read(came, &mut HeadOf { envelope, header: &self.header }, fingerprint).ok()
    }

    /// The row of the message behind `prefix`, which is whole header lines; `None` when the two together may be
    /// another message than one after the other.
    pub(crate) fn row(&self, prefix: &[u8]) -> Option<Arc<[u8]>> {
        if !prefix.is_empty() && !may_precede(prefix, &self.header) {
            return None;
        }
        let (envelope, structure) = self.wire.split_at_checked(self.envelope)?;
        let header = [prefix, &self.header].concat();
        let (field, value) = header_value(&header, HEADER_WHOLE);
        let (before, mut layout) = (prefix.len() as u64, Vec::new());
        let mut fields = vec![(Field::Envelope, envelope), (Field::BodyStructure, structure)];
        if let Some(known) = &self.layout {
            known.clone().behind(before).write(&mut layout);
            fields.push((Field::Layout, &layout));
        }
        fields.extend(self.compared.fields());
        fields.push((field, value.as_deref().unwrap_or(&header)));
        encode(&fields, self.len + before)
    }
}

/// As much of a message as threads are made of.
pub(crate) struct HeadOf<'a> {
    pub(crate) envelope: &'a [u8],
    pub(crate) header: &'a [u8],
}

impl MessageSource for HeadOf<'_> {
    fn len(&self) -> u64 {
        self.header.len() as u64
    }

    fn envelope(&mut self) -> Result<&[u8], SourceError> {
        Ok(self.envelope)
    }

    fn body_structure(&mut self, _: bool) -> Result<&[u8], SourceError> {
        Err(SourceError::Gone)
    }

    fn header(&mut self) -> Result<&[u8], SourceError> {
        Ok(self.header)
    }

    fn mime(&mut self) -> Result<&Mime, SourceError> {
        Err(SourceError::Gone)
    }

    fn read(&mut self, _: Range<u64>) -> Result<&[u8], SourceError> {
        Err(SourceError::Gone)
    }

    fn blob(&mut self) -> Result<Blob, SourceError> {
        Err(SourceError::Gone)
    }
}

/// A message that passes by: parsed on its way, in at most [`HEADER`] and [`HELD`] bytes and those of a piece.
pub(crate) struct Head {
    /// Gone once the message is too much.
    parser: Option<Parser>,
    /// The header block so far, and whether that is all of it.
    header: Vec<u8>,
    complete: bool,
}

impl Head {
    pub(crate) fn new() -> Self {
        Self { parser: Some(Parser::new(Limits::default())), header: Vec::new(), complete: false }
    }

    /// Takes the next bytes, and gives them to `look`: those of the bodies of base64 parts with the part, as far as the message
    /// is not too much.
    pub(crate) fn feed_with(&mut self, text: &[u8], look: &mut dyn FnMut(&[u8], Option<PartId>)) {
        let Some(parser) = &mut self.parser else { return look(text, None) };
        let mut rest = text;
        while !rest.is_empty() {
            let part = parser.base64_body();
            let (now, later) = rest.split_at(parser.feed_some(rest));
            look(now, part);
            rest = later;
        }
        if parser.held() > HELD || self.header.len() > HEADER {
            *self = Self { parser: None, header: Vec::new(), complete: true };
            return;
        }
        if !self.complete {
            // The empty line may straddle two pieces.
            let from = self.header.len().saturating_sub(3);
            let room = (HEADER + 1).saturating_sub(self.header.len());
            self.header.extend_from_slice(text.get(..room).unwrap_or(text));
            if let Some(end) = header_end(&self.header, from) {
                self.header.truncate(end);
                self.complete = true;
            }
        }
    }

    /// The message is complete; `None` when it was too much.
    pub(crate) fn finish(self) -> Option<Facts> {
        let header = Some(self.header).filter(|header| header.len() <= HEADER)?;
        Some(Facts::new(&self.parser?.finish(), header))
    }
}

/// Whether ENVELOPE and BODYSTRUCTURE stay as they are when these lines stand before the message.
fn may_precede(prefix: &[u8], header: &[u8]) -> bool {
    // A line that begins with white space would continue the last field of the prefix (RFC 5322 §2.2.3).
    prefix.ends_with(b"\r\n")
        && !matches!(header, [b' ' | b'\t', ..])
        && header_end(prefix, 0).is_none()
        && RawFields::new(prefix).all(|field| FieldName::of(field.name).is_none())
}

/// The bytes of the row of a message of `len` bytes, as many of its values as fit; `None` for none.
pub(crate) fn encode(fields: &[(Field<'_>, &[u8])], len: u64) -> Option<Arc<[u8]>> {
    let most = if is_small(len) { ROW_MAX } else { LARGE_ROW_MAX };
    let mut out = Vec::with_capacity(fields.iter().map(|(_, value)| value.len() + 8).sum());
    for field in fields {
        let before = out.len();
        let encoded = encode_fields(&[*field], &mut out);
        if encoded.is_err() || out.len() > most {
            out.truncate(before);
        }
    }
    (!out.is_empty()).then(|| out.into())
}

/// How a header block is kept, `None` standing for the block itself: whole up to `most` bytes.
pub(crate) fn header_value(header: &[u8], most: usize) -> (Field<'static>, Option<Vec<u8>>) {
    if header.len() <= most {
        return (Field::Header, None);
    }
    // The empty line, if there is one: HEADER.FIELDS shows it (RFC 9051 §6.4.5.1).
    (Field::HeaderCommon, Some(named(header, is_common)))
}

/// Whether a field, named in any case, is one of [`COMMON_HEADER`].
pub(crate) fn is_common(name: &[u8]) -> bool {
    COMMON_HEADER
        .binary_search_by(|known| {
            known.iter().copied().cmp(name.iter().map(u8::to_ascii_lowercase))
        })
        .is_ok()
}

/// Where the header block ends, its empty line included; `from` is where to begin to look.
pub(crate) fn header_end(bytes: &[u8], from: usize) -> Option<usize> {
    // A message may begin with the empty line.
    if from == 0 {
        if bytes.starts_with(b"\r\n") {
            return Some(2);
        }
        if bytes.starts_with(b"\n") {
            return Some(1);
        }
    }
    let mut at = from;
    loop {
        at += memchr::memchr(b'\n', bytes.get(at..)?)? + 1;
        match bytes.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use index_format::cache::Fields;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Pieces that headers and bodies are made of, well and badly.
    fn message() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "Subject: one\r\n",
            "Subject : two\r\n",
            "From: Ann <a@b>, c@d\n",
            "Content-Type: multipart/mixed; boundary=b\r\n",
            "Content-Type: message/rfc822\r\n",
            "X-Spam-Score: 1\r\n",
            "Reply-To:",
            " folded\r\n",
            "\tfolded\n",
            "\r\n",
            "\n",
            "no colon\r\n",
            "--b\r\n",
            "--b--\r\n",
            "text",
            "\r",
            "\0",
            ":",
        ]);
        vec(piece, 0..14).prop_map(|pieces| pieces.concat().into_bytes())
    }

    fn values(row: &[u8]) -> Vec<(String, Vec<u8>)> {
        Fields::new(row).map(|(field, value)| (format!("{field:?}"), value.to_vec())).collect()
    }

    proptest! {
        #[test]
        fn lines_in_front_change_the_header_alone(message in message(), lines in 0usize..5) {
            let prefix = [
                &b"Return-Path: <r@example.org>\r\n"[..],
                b"Delivered-To: u1\r\nReceived: by\r\n\tloft\r\n",
                b"Subject: a field that ENVELOPE shows\r\n",
                b"X-Cut: ",
                b"\r\n",
            ][lines];
            let facts = Facts::of(&message).unwrap();
            let whole = Facts::of(&[prefix, &message].concat()).unwrap().row(b"").unwrap();
            match facts.row(prefix) {
                Some(row) => prop_assert_eq!(values(&row), values(&whole)),
                None => prop_assert!(lines >= 2 || message.starts_with(b" ") || message.starts_with(b"\t")),
            }
        }

        #[test]
        fn a_message_in_pieces_has_the_row_of_the_whole(message in message(), size in 1usize..40) {
            let mut head = Head::new();
            message.chunks(size).for_each(|piece| head.feed_with(piece, &mut |_, _| {}));
            let row = head.finish().unwrap().row(b"").unwrap();
            prop_assert_eq!(values(&row), values(&Facts::of(&message).unwrap().row(b"").unwrap()));
        }

        #[test]
        fn common_fields_are_those_of_the_whole_header(message in message()) {
            let end = header_end(&message, 0).unwrap_or(message.len());
            let header = &message[..end];
            let (field, common) = header_value(header, 0);
            let common = common.unwrap_or_else(|| header.to_vec());
            prop_assert!(field == Field::HeaderCommon || header.is_empty());
            let named = |block: &[u8]| -> Vec<Vec<u8>> {
                let fields = RawFields::new(block).filter(|field| is_common(field.name));
                fields.map(|field| block[field.range].to_vec()).collect()
            };
            prop_assert_eq!(named(header), named(&common));
            let fields = RawFields::new(header).last().map_or(0, |field| field.range.end);
            let empty_line = header.get(fields..).unwrap_or_default();
            prop_assert_eq!([&named(&common).concat(), empty_line].concat(), common);
        }
    }

    #[test]
    fn a_long_header_is_kept_by_its_common_fields_and_a_huge_one_not_at_all() {
        let trace = "X-Trace: some host\r\n".repeat(200);
        let long = format!("{trace}Subject: found\r\n\r\nbody");
        let row = Facts::of(long.as_bytes()).unwrap().row(b"X-To: u1\r\n");
        let values = values(&row.unwrap());
        assert_eq!(values[13], ("HeaderCommon".to_owned(), b"Subject: found\r\n\r\n".to_vec()));
        let huge = format!("{}\r\n", trace.repeat(20));
        assert!(Facts::of(huge.as_bytes()).is_none());
        let mut head = Head::new();
        huge.as_bytes().chunks(1000).for_each(|piece| head.feed_with(piece, &mut |_, _| {}));
        assert!(head.finish().is_none());
        let parts = format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
            "--b\r\nContent-Type: text/plain\r\n\r\n".repeat(5000)
        );
        let mut head = Head::new();
        for piece in parts.as_bytes().chunks(1000) {
            head.feed_with(piece, &mut |_, _| {});
            let held = head.parser.as_ref().map_or(0, Parser::held) + head.header.capacity();
            assert!(held <= HELD + HEADER, "{held} bytes");
        }
        assert!(head.finish().is_none());
    }

    #[test]
    fn the_common_names_are_sorted_and_in_lower_case() {
        assert!(COMMON_HEADER.is_sorted());
        assert!(COMMON_HEADER.iter().all(|name| is_common(&name.to_ascii_uppercase())));
        assert!(!is_common(b"received"));
    }

    #[test]
    fn a_row_takes_the_values_that_fit() {
        let (small, large) = (vec![1; 100], vec![2; ROW_MAX]);
        let row = encode(&[(Field::Envelope, &large), (Field::Header, &small)], 0).unwrap();
        assert_eq!(values(&row), [("Header".to_owned(), small)]);
        assert!(encode(&[(Field::Envelope, &large)], 0).is_none());
        assert_eq!(encode(&[(Field::Envelope, &large)], 1 << 20).unwrap().len(), ROW_MAX + 4);
    }
}
