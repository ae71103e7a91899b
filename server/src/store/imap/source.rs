//! A stored message as FETCH and SEARCH look at it: what the cache has is taken from there; else the message is read
//! when first needed, parsed when first needed, and what was learnt goes to the cache.

use super::read_ahead::Text;
use crate::store::ahead::Row;
use crate::store::cache::{
    Asked, Compared, Found, HEADER_ASKED, HEADER_WHOLE, Held, Spot, Wants, encode, header_end,
    header_value, key_of, number, text_of,
};
use crate::store::message::{Handle, Message, ReadError};
use crate::store::store::Store;
use imap_proto::Blob;
use imap_proto::fetch::{FieldNames, MessageSource, SourceError};
use imap_proto::mime::{self, Extent, Layout, Limits, Mime, Parser, Place};
use imap_proto::sort::SortKey;
use index_format::Guid;
use index_format::cache::Field;
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

/// Bytes read of a large message in one step.
const STEP: u64 = 64 << 10;

/// Looks into the cache between two at the clock: some ten microseconds.
const QUICK: u32 = 64;

/// One message after another; buffers are kept between them.
pub(crate) struct Source<'a> {
    store: &'a Arc<Store>,
    /// Whether a disk may be waited for.
    wait: bool,
    /// What is looked at in each message.
    wants: &'a Wants,
    /// In which mailbox, for who counts what is asked.
    mailbox: Option<Guid>,
    /// What bounds the time of a search.
    pub(super) turn: Option<&'a crate::slices::Turn<'a>>,
    message: Option<&'a Message>,
    whole: Vec<u8>,
    has_whole: bool,
    /// Texts that other threads may have read already.
    pub(super) ahead: Option<Arc<Row<Text>>>,
    /// Messages whose whole text was needed.
    pub(super) texts: usize,
    mime: Option<Mime>,
    /// How far a large message was parsed when the turn was over: another source of the same message goes on there.
    pub(super) parsing: Option<(Parser, u64)>,
    header: Vec<u8>,
    has_header: bool,
    wire: Vec<u8>,
    /// What the cache knows of the messages around this one; another source of the same wants may go on with it.
    pub(super) held: Option<Held>,
    missed: Missed,
    /// Bytes of messages read so far.
    pub(super) read: u64,
    /// How many there were at the last look at the clock, and questions whether one is due since.
    quick: (Cell<u64>, Cell<u32>),
    /// Why the last read failed, in the store's words.
    pub(super) error: Option<ReadError>,
}

/// What was asked for and is not in the cache.
#[derive(Clone, Copy, Default)]
struct Missed {
    wire: bool,
    body: bool,
    header: bool,
    /// What SEARCH and SORT compare.
    compared: bool,
    /// Where the parts of a large message are.
    layout: bool,
}

impl Missed {
    fn is_any(self) -> bool {
        self.wire || self.body || self.header || self.compared || self.layout
    }
}

impl<'a> Source<'a> {
    pub(crate) fn new(store: &'a Arc<Store>, wait: bool, wants: &'a Wants) -> Self {
        Self {
            store,
            wait,
            wants,
            mailbox: None,
            turn: None,
            message: None,
            whole: Vec::new(),
            has_whole: false,
            ahead: None,
            texts: 0,
            mime: None,
            parsing: None,
            header: Vec::new(),
            has_header: false,
            wire: Vec::new(),
            held: None,
            missed: Missed::default(),
            read: 0,
            quick: (Cell::new(0), Cell::new(0)),
            error: None,
        }
    }

    /// The same, of messages in this mailbox.
    pub(crate) fn of_mailbox(
        store: &'a Arc<Store>,
        wait: bool,
        mailbox: Guid,
        wants: &'a Wants,
    ) -> Self {
        let mut source = Self::new(store, wait, wants);
        source.mailbox = Some(mailbox);
        source
    }

    /// Looks at another message.
    pub(crate) fn set(&mut self, message: Option<&'a Message>) {
        self.keep();
        self.message = message;
        self.has_whole = false;
        self.has_header = false;
        self.mime = None;
        self.parsing = None;
        self.error = None;
    }

    fn message(&self) -> Result<&'a Message, SourceError> {
        self.message.ok_or(SourceError::Gone)
    }

    fn fail(&mut self, error: ReadError) -> SourceError {
        let kind = match &error {
            ReadError::Store(crate::store::StoreError::Damaged { .. }) => SourceError::Corrupt,
            ReadError::Store(_) | ReadError::WouldBlock => SourceError::Unreadable,
        };
        if let ReadError::Store(error) = &error {
            tracing::error!(%error, "a message can't be read");
        }
        self.error = Some(error);
        kind
    }

    /// The whole message, if it is small enough to be held.
    fn small(&mut self) -> Result<Option<&[u8]>, SourceError> {
        let message = self.message()?;
        if !message.is_small() {
            return if self.wait { Ok(None) } else { Err(self.fail(ReadError::WouldBlock)) };
        }
        if !self.has_whole {
            if let Some(text) = self.ahead.as_ref().and_then(|row| row.take(message.id.0)) {
                self.whole = text;
            } else {
                let mut whole = std::mem::take(&mut self.whole);
                let result = message.read_whole(self.store, self.wait, &mut whole);
                self.whole = whole;
                result.map_err(|error| self.fail(error))?;
            }
            self.has_whole = true;
            self.texts += 1;
            self.read += self.whole.len() as u64;
        }
        Ok(Some(&self.whole))
    }

    fn read_step(&mut self, range: Range<u64>) -> Result<(), SourceError> {
        // Of a large message nothing more is read: nobody waits for what it says.
        if self.turn.is_some_and(|turn| turn.is_given_up()) {
            return Err(SourceError::Gone);
        }
        let message = self.message()?;
        self.wire.clear();
        let mut wire = std::mem::take(&mut self.wire);
        let result = message.read_range(self.store, range, self.wait, &mut wire);
        self.wire = wire;
        self.read += self.wire.len() as u64;
        result.map_err(|error| self.fail(error))
    }

    fn parse(&mut self) -> Result<(), SourceError> {
        self.parse_until(&|_| false)
    }

    /// Parses the message, or as much of a large one as is enough: then what is known stays in `parsing`.
    fn parse_until(&mut self, is_enough: &dyn Fn(&Parser) -> bool) -> Result<(), SourceError> {
        if self.mime.is_some() {
            return Ok(());
        }
        let (mut parser, mut at) =
            self.parsing.take().unwrap_or_else(|| (Parser::new(Limits::default()), 0));
        if let Some(whole) = self.small()? {
            parser.feed(whole);
        } else {
            let size = self.message()?.size;
            let apart = self.message()?.apart.clone();
            while at < size {
                if is_enough(&parser) {
                    self.parsing = Some((parser, at));
                    return Ok(());
                }
                let mut end = (at + STEP).min(size);
                // Base64 that stands apart says nothing of the structure: it is not read for that.
                if let Some((text, line_ends)) =
                    apart.as_ref().and_then(|apart| apart.next_text(at))
                {
                    if text.start == at && parser.skip(text.end - at, line_ends) {
                        at = text.end;
                        continue;
                    }
                    if text.start > at {
                        end = end.min(text.start);
                    }
                }
                self.read_step(at..end)?;
                parser.feed(&self.wire);
                at = end;
                // Looked at behind a step, so that each turn comes further.
                if at < size && self.is_due() {
                    self.parsing = Some((parser, at));
                    return Err(SourceError::Paused);
                }
            }
        }
        self.mime = Some(parser.finish());
        Ok(())
    }

    /// Where a part of a large message is, if the cache knows; else whether it knows of other parts.
    fn kept_place(
        &mut self,
        path: &[u32],
        extent: Extent,
    ) -> Result<Result<Option<Place>, bool>, SourceError> {
        let size = self.message()?.size;
        let found = Cell::new(Err(false));
        let answers = |value: &[u8]| {
            let Some(layout) = Layout::read(value, size) else { return false };
            found.set(match place_in(size, extent, |extent| layout.place(path, extent)) {
                mime::Found::Part(place) => Ok(Some(place)),
                mime::Found::Nothing => Ok(None),
                mime::Found::Unknown => Err(true),
            });
            found.get().is_ok()
        };
        self.look(|held, message| held.find_layout(message.id, message.guid, &answers))?;
        Ok(found.get())
    }

    /// Where the cache has a value of this message.
    fn find(&mut self, field: Field<'_>) -> Result<Option<Spot>, SourceError> {
        self.look(|held, message| held.find(message.id, message.guid, field))
    }

    /// Where the cache has as much of the header as is asked for.
    fn find_header(&mut self, asked: Asked<'_>) -> Result<Option<Spot>, SourceError> {
        self.look(|held, message| held.find_header(message.id, message.guid, asked))
    }

    fn look<T>(
        &mut self,
        look: impl Fn(&Held, &Message) -> Found<T>,
    ) -> Result<Option<T>, SourceError> {
        let message = self.message()?;
        if !self.store.cache.is_on() {
            return Ok(None);
        }
        let (files, cache) = (&self.store.files, &self.store.cache);
        if !self.held.as_ref().is_some_and(|held| held.is_of(&message.home, message.id)) {
            match cache.hold(files, &message.home, message.id, self.wants, self.wait) {
                Ok(held) => self.held = Some(held),
                Err(_) => return Err(self.fail(ReadError::WouldBlock)),
            }
            if let Some(mailbox) = self.mailbox.filter(|_| !self.wants.group.is_empty()) {
                cache.note(&message.home, mailbox, number(message.id), self.wants);
            }
        }
        let Some(held) = &mut self.held else { return Ok(None) };
        loop {
            match look(held, message) {
                Found::Value(value) => return Ok(Some(value)),
                Found::Nothing => return Ok(None),
                Found::Load(file) => {
                    if cache.load(files, &message.home, (held, file), self.wait).is_err() {
                        return Err(self.fail(ReadError::WouldBlock));
                    }
                }
            }
        }
    }

    fn value(&self, spot: Spot) -> &[u8] {
        self.held.as_ref().map(|held| held.value(spot)).unwrap_or_default()
    }

    /// Adds what was missed to the cache.
    fn keep(&mut self) {
        let missed = std::mem::take(&mut self.missed);
        if let Some(message) = self.message
            && missed.is_any()
            && self.store.cache.is_on()
            && let Some(row) = self.row(missed)
            && self.store.cache.add(&message.home, (message.id, message.guid), row)
        {
            self.store.due.call();
        }
    }

    /// A row of what is at hand and not in the cache yet.
    fn row(&mut self, missed: Missed) -> Option<Arc<[u8]>> {
        // Whoever missed the header of a small message has read all of it: one row has everything.
        if missed.header && self.has_whole && matches!(self.find(Field::Envelope), Ok(None)) {
            self.parse().ok()?;
        }
        let mut values: Vec<(Field<'_>, Vec<u8>)> = Vec::new();
        if let Some(mime) = &self.mime {
            let mut write = |field, write: &dyn Fn(&Mime, &mut Vec<u8>)| {
                let mut value = Vec::new();
                write(mime, &mut value);
                values.push((field, value));
            };
            write(Field::Envelope, &|mime, out| mime.write_envelope(out));
            write(Field::BodyStructure, &|mime, out| mime.write_structure(true, out));
            if missed.body {
                write(Field::Body, &|mime, out| mime.write_structure(false, out));
            }
        }
        let layout = self.layout(missed);
        let known = matches!(self.find_header(Asked::Common), Ok(Some(_)));
        let header = if self.has_whole {
            let end = header_end(&self.whole, 0).unwrap_or(self.whole.len());
            self.whole.get(..end)
        } else if self.has_header {
            Some(self.header.as_slice())
        } else {
            None
        };
        if let Some(header) = header.filter(|_| missed.header || !known) {
            let most = if missed.header && known { HEADER_ASKED } else { HEADER_WHOLE };
            let (field, value) = header_value(header, most);
            values.push((field, value.unwrap_or_else(|| header.to_vec())));
        }
        values.retain(|(field, _)| self.lacks(*field));
        values.extend(layout.map(|layout| (Field::Layout, layout)));
        let compared = self.compared();
        let compared =
            compared.as_ref().filter(|_| missed.compared || missed.header || missed.wire);
        let compared = compared.into_iter().flat_map(Compared::fields);
        let mut fields: Vec<(Field<'_>, &[u8])> = compared.collect();
        fields.retain(|(field, _)| self.lacks(*field));
        fields.extend(values.iter().map(|(field, value)| (*field, value.as_slice())));
        encode(&fields, self.message.map_or(0, |message| message.size))
    }

    /// Where the parts of a large message are, as far as that was learnt and is not in the cache.
    fn layout(&mut self, missed: Missed) -> Option<Vec<u8>> {
        let size = self.message.filter(|message| !message.is_small())?.size;
        let layout = match (&self.mime, &self.parsing) {
            (Some(mime), _) => mime.layout(),
            (None, Some((parser, _))) if missed.layout => parser.layout(),
            (None, _) => return None,
        };
        let mut value = Vec::new();
        if layout.is_complete() {
            let complete =
                |value: &[u8]| Layout::read(value, size).is_some_and(|layout| layout.is_complete());
            let look = |held: &Held, message: &Message| {
                held.find_layout(message.id, message.guid, &complete)
            };
            if !matches!(self.look(look), Ok(None)) {
                return None;
            }
        }
        layout.write(&mut value);
        Some(value)
    }

    /// Whether the cache doesn't have this yet.
    fn lacks(&mut self, field: Field<'_>) -> bool {
        let found = if field == Field::Header {
            self.find_header(Asked::All).map(|spot| spot.is_some())
        } else if field == Field::HeaderCommon {
            self.find_header(Asked::Common).map(|spot| spot.is_some())
        } else if field == Field::Sent {
            let sent = self.look(|held, message| held.sent(message.id, message.guid));
            sent.map(|sent| sent.is_some())
        } else {
            self.find(field).map(|spot| spot.is_some())
        };
        matches!(found, Ok(false))
    }

    fn compared_value(&mut self, field: Field<'_>) -> Result<Option<&[u8]>, SourceError> {
        match self.find(field)? {
            Some(spot) => Ok(Some(self.value(spot))),
            None => {
                self.missed.compared = true;
                Ok(None)
            }
        }
    }

    /// What SEARCH and SORT compare, when what it takes is at hand.
    fn compared(&mut self) -> Option<Compared> {
        let mut envelope = Vec::new();
        if let Some(mime) = &self.mime {
            mime.write_envelope(&mut envelope);
        } else if let Ok(Some(spot)) = self.find(Field::Envelope) {
            envelope.extend_from_slice(self.value(spot));
        } else {
            return None;
        }
        if self.has_whole {
            let end = header_end(&self.whole, 0).unwrap_or(self.whole.len());
            return Some(Compared::of(&envelope, self.whole.get(..end)?));
        }
        match self.find_header(Asked::Common) {
            Ok(Some(spot)) => Some(Compared::of(&envelope, self.value(spot))),
            Ok(None) | Err(_) => None,
        }
    }
}

/// Where a part of a message of `size` bytes is that was not seen whole: the message itself, which may be its own part 1,
/// ends with its last byte.
fn place_in(
    size: u64,
    extent: Extent,
    look: impl Fn(Extent) -> mime::Found<Place>,
) -> mime::Found<Place> {
    let found = look(extent);
    if found != mime::Found::Unknown || extent != Extent::Whole {
        return found;
    }
    match look(Extent::Inside) {
        mime::Found::Part(mut message) if message.header == 0 => {
            message.end = size;
            message.inside = message.inside.map(|(header, body, _)| (header, body, size));
            mime::Found::Part(message)
        }
        mime::Found::Part(_) | mime::Found::Nothing | mime::Found::Unknown => mime::Found::Unknown,
    }
}

impl Drop for Source<'_> {
    fn drop(&mut self) {
        self.keep();
    }
}

impl MessageSource for Source<'_> {
    fn len(&self) -> u64 {
        self.message.map_or(0, |message| message.size)
    }

    fn envelope(&mut self) -> Result<&[u8], SourceError> {
        if let Some(spot) = self.find(Field::Envelope)? {
            return Ok(self.value(spot));
        }
        self.missed.wire = true;
        self.parse()?;
        self.wire.clear();
        if let Some(mime) = &self.mime {
            mime.write_envelope(&mut self.wire);
        }
        Ok(&self.wire)
    }

    fn body_structure(&mut self, extended: bool) -> Result<&[u8], SourceError> {
        let field = if extended { Field::BodyStructure } else { Field::Body };
        if let Some(spot) = self.find(field)? {
            return Ok(self.value(spot));
        }
        self.missed.wire |= extended;
        self.missed.body |= !extended;
        self.parse()?;
        self.wire.clear();
        if let Some(mime) = &self.mime {
            mime.write_structure(extended, &mut self.wire);
        }
        Ok(&self.wire)
    }

    fn header(&mut self) -> Result<&[u8], SourceError> {
        let limit = Limits::default().header;
        if !self.has_whole && !self.has_header {
            if let Some(spot) = self.find_header(Asked::All)? {
                return Ok(self.value(spot));
            }
            self.missed.header = true;
        }
        if self.small()?.is_some() {
            let end = header_end(&self.whole, 0).unwrap_or(self.whole.len());
            let end = end.min(usize::try_from(limit).unwrap_or(usize::MAX));
            return Ok(self.whole.get(..end).unwrap_or_default());
        }
        if !self.has_header {
            self.header.clear();
            let size = self.message()?.size.min(limit);
            let mut at = 0;
            while at < size {
                let end = (at + STEP).min(size);
                self.read_step(at..end)?;
                // The empty line may straddle two steps.
                let from = self.header.len().saturating_sub(3);
                self.header.extend_from_slice(&self.wire);
                if let Some(end) = header_end(&self.header, from) {
                    self.header.truncate(end);
                    break;
                }
                at = end;
            }
            self.has_header = true;
        }
        Ok(&self.header)
    }

    fn header_fields(&mut self, names: &FieldNames) -> Result<&[u8], SourceError> {
        match self.find_header(Asked::Of(names))? {
            Some(spot) => Ok(self.value(spot)),
            None => self.header(),
        }
    }

    fn header_field(&mut self, name: &[u8]) -> Result<&[u8], SourceError> {
        match self.find_header(Asked::One(name))? {
            Some(spot) => Ok(self.value(spot)),
            None => self.header(),
        }
    }

    fn place(&mut self, path: &[u32], extent: Extent) -> Result<Option<Place>, SourceError> {
        let mut stops = true;
        if self.mime.is_none() && !self.message()?.is_small() {
            match self.kept_place(path, extent)? {
                Ok(known) => return Ok(known),
                // Who asks for a second part asks for a third: it is parsed to its end, once.
                Err(others) => stops = !others,
            }
            self.missed.layout = true;
        }
        let size = self.message()?.size;
        let look = |parser: &Parser| place_in(size, extent, |extent| parser.place(path, extent));
        self.parse_until(&|parser| stops && look(parser) != mime::Found::Unknown)?;
        if let Some(mime) = &self.mime {
            return Ok(mime.place(path));
        }
        Ok(match self.parsing.as_ref().map(|(parser, _)| look(parser)) {
            Some(mime::Found::Part(place)) => Some(place),
            Some(mime::Found::Nothing | mime::Found::Unknown) | None => None,
        })
    }

    fn mime(&mut self) -> Result<&Mime, SourceError> {
        if self.mime.is_none() {
            self.parse()?;
            // Where the parts of a large one are was learnt on the way.
            self.missed.layout |= !self.message()?.is_small();
        }
        self.mime.as_ref().ok_or(SourceError::Gone)
    }

    fn read(&mut self, range: Range<u64>) -> Result<&[u8], SourceError> {
        // BODY[HEADER] is read like any other section.
        if !self.has_whole
            && let Some(spot) = self.find_header(Asked::All)?
            && let Ok(end) = usize::try_from(range.end)
            && end <= spot.len()
        {
            let start = usize::try_from(range.start).unwrap_or(end);
            return Ok(self.value(spot).get(start..end).unwrap_or_default());
        }
        if self.small()?.is_some() {
            let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX).min(self.whole.len());
            return Ok(self.whole.get(at(range.start)..at(range.end)).unwrap_or_default());
        }
        let end = range.end.min(range.start.saturating_add(STEP));
        self.read_step(range.start..end)?;
        Ok(&self.wire)
    }

    fn search_text(&mut self, name: &[u8]) -> Result<Option<&[u8]>, SourceError> {
        let Some(text) = text_of(name) else { return Ok(None) };
        self.compared_value(Field::Text(text))
    }

    fn sort_key(&mut self, key: SortKey) -> Result<Option<&[u8]>, SourceError> {
        let Some(key) = key_of(key) else { return Ok(None) };
        self.compared_value(Field::Key(key))
    }

    fn sent(&mut self) -> Result<Option<Option<i64>>, SourceError> {
        let found = self.look(|held, message| held.sent(message.id, message.guid))?;
        self.missed.compared |= found.is_none();
        Ok(found)
    }

    fn is_due(&self) -> bool {
        let Some(turn) = self.turn else { return false };
        // What the cache says takes less time than a look at the clock.
        let quick = !self.has_whole
            && self.mime.is_none()
            && self.parsing.is_none()
            && self.quick.0.get() == self.read;
        if quick {
            self.quick.1.set(self.quick.1.get().wrapping_add(1));
            if !self.quick.1.get().is_multiple_of(QUICK) {
                return false;
            }
        }
        self.quick.0.set(self.read);
        turn.is_over()
    }

    fn blob(&mut self) -> Result<Blob, SourceError> {
        let message = self.message()?.clone();
        Ok(Blob::new(Handle { message, store: self.store.clone() }))
    }
}
