//! A stored message as FETCH and SEARCH look at it: read when first needed, parsed when first needed.

use crate::store::message::{Handle, Message, ReadError};
use crate::store::store::Store;
use imap_proto::Blob;
use imap_proto::fetch::{MessageSource, SourceError};
use imap_proto::mime::{Limits, Mime, Parser};
use std::ops::Range;
use std::sync::Arc;

/// Bytes read of a large message in one step.
const STEP: u64 = 64 << 10;

/// One message after another; buffers are kept between them.
pub(super) struct Source<'a> {
    store: &'a Arc<Store>,
    /// Whether a disk may be waited for.
    wait: bool,
    /// What bounds the time of a search.
    pub(super) turn: Option<&'a crate::slices::Turn<'a>>,
    message: Option<&'a Message>,
    whole: Vec<u8>,
    has_whole: bool,
    mime: Option<Mime>,
    header: Vec<u8>,
    has_header: bool,
    wire: Vec<u8>,
    /// Why the last read failed, in the store's words.
    pub(super) error: Option<ReadError>,
}

impl<'a> Source<'a> {
    pub(super) fn new(store: &'a Arc<Store>, wait: bool) -> Self {
        Self {
            store,
            wait,
            turn: None,
            message: None,
            whole: Vec::new(),
            has_whole: false,
            mime: None,
            header: Vec::new(),
            has_header: false,
            wire: Vec::new(),
            error: None,
        }
    }

    /// Looks at another message.
    pub(super) fn set(&mut self, message: Option<&'a Message>) {
        self.message = message;
        self.has_whole = false;
        self.has_header = false;
        self.mime = None;
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
            let mut whole = std::mem::take(&mut self.whole);
            let result = message.read_whole(&self.store.files, self.wait, &mut whole);
            self.whole = whole;
            result.map_err(|error| self.fail(error))?;
            self.has_whole = true;
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
        let result = message.read_range(&self.store.files, range, &mut wire);
        self.wire = wire;
        result.map_err(|error| self.fail(ReadError::Store(error)))
    }

    fn parse(&mut self) -> Result<(), SourceError> {
        if self.mime.is_some() {
            return Ok(());
        }
        let mut parser = Parser::new(Limits::default());
        if let Some(whole) = self.small()? {
            parser.feed(whole);
        } else {
            let size = self.message()?.size;
            let mut at = 0;
            while at < size {
                let end = (at + STEP).min(size);
                self.read_step(at..end)?;
                parser.feed(&self.wire);
                at = end;
            }
        }
        self.mime = Some(parser.finish());
        Ok(())
    }
}

impl MessageSource for Source<'_> {
    fn len(&self) -> u64 {
        self.message.map_or(0, |message| message.size)
    }

    fn envelope(&mut self) -> Result<&[u8], SourceError> {
        self.parse()?;
        self.wire.clear();
        if let Some(mime) = &self.mime {
            mime.write_envelope(&mut self.wire);
        }
        Ok(&self.wire)
    }

    fn body_structure(&mut self, extended: bool) -> Result<&[u8], SourceError> {
        self.parse()?;
        self.wire.clear();
        if let Some(mime) = &self.mime {
            mime.write_structure(extended, &mut self.wire);
        }
        Ok(&self.wire)
    }

    fn header(&mut self) -> Result<&[u8], SourceError> {
        let limit = Limits::default().header;
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

    fn mime(&mut self) -> Result<&Mime, SourceError> {
        self.parse()?;
        self.mime.as_ref().ok_or(SourceError::Gone)
    }

    fn read(&mut self, range: Range<u64>) -> Result<&[u8], SourceError> {
        if self.small()?.is_some() {
            let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX).min(self.whole.len());
            return Ok(self.whole.get(at(range.start)..at(range.end)).unwrap_or_default());
        }
        let end = range.end.min(range.start.saturating_add(STEP));
        self.read_step(range.start..end)?;
        Ok(&self.wire)
    }

    fn is_due(&self) -> bool {
        self.turn.is_some_and(|turn| turn.is_over())
    }

    fn blob(&mut self) -> Result<Blob, SourceError> {
        let message = self.message()?.clone();
        Ok(Blob::new(Handle { message, store: self.store.clone() }))
    }
}

/// Where the header block ends, its empty line included; `from` is where to begin to look.
fn header_end(bytes: &[u8], from: usize) -> Option<usize> {
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
        at += bytes.get(at..)?.iter().position(|byte| *byte == b'\n')? + 1;
        match bytes.get(at..)? {
            [b'\n', ..] => return Some(at + 1),
            [b'\r', b'\n', ..] => return Some(at + 2),
            _ => {}
        }
    }
}
