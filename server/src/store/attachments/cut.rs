//! Cutting a message that has come in: its large base64 parts go to files of the spool directory, decoded.

use crate::store::body::{Body, Spool};
use crate::store::cache::Facts;
use crate::store::config::Attachments;
use crate::store::error::StoreError;
use crate::store::planted::{Planted, planted};
use crate::store::store::Store;
use dbox_format::attachment::{CutOut, Cutter, Hash, Options, Piece, Plan};
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a spooled message that are looked at in one step.
const STEP: usize = 64 << 10;

/// What was cut out of a message: what is left is its [`Body`].
pub(crate) struct Cuts {
    /// The parts, by their places in what is left.
    pub(super) list: Vec<CutOut>,
    /// Each content once, synced, in a file that is gone when this is dropped.
    pub(super) contents: Vec<(Hash, Spool)>,
    /// Bytes of the message as it came.
    pub(crate) message_len: u64,
    /// What is learnt of the message as it came.
    pub(crate) facts: Option<Box<Facts>>,
}

impl Cuts {
    /// The list for the message with `prefix` bytes before it.
    pub(crate) fn list_behind(&self, prefix: usize) -> Vec<CutOut> {
        let moved = |cut: &CutOut| CutOut { offset: cut.offset + prefix as u64, ..*cut };
        self.list.iter().map(moved).collect()
    }
}

/// A message that has all come in and may have parts to be cut out.
pub(crate) struct Whole {
    pub(crate) body: Body,
    /// The bodies of its base64 parts.
    pub(crate) parts: Vec<Range<u64>>,
    pub(crate) facts: Option<Box<Facts>>,
}

impl Store {
    /// Whether a message of so many bytes may have a part that is cut out.
    pub(crate) fn may_be_cut(&self, len: u64) -> bool {
        self.config.attachments != Attachments::Whole && len / 4 * 3 >= self.config.attachment_least
    }

    /// Cuts out what is large enough. What is left is in memory if it has at most `most` bytes.
    ///
    /// # Errors
    /// A file of the spool directory can't be written, or read.
    pub(crate) fn cut(
        self: &Arc<Self>,
        whole: Whole,
        most: usize,
    ) -> Result<(Body, Option<Cuts>), StoreError> {
        let Whole { body, parts, facts } = whole;
        let least = self.config.attachment_least.max(1);
        let large = |part: &Range<u64>| (part.end - part.start) / 4 * 3 >= least;
        let parts: Vec<Range<u64>> = parts.into_iter().filter(large).collect();
        if !parts.is_empty()
            && let Some((plan, contents)) = self.contents(&body, &parts)?
        {
            let left = self.skeleton(&body, &plan, most)?;
            let (list, message_len) = (plan.list(), body.len());
            return Ok((left, Some(Cuts { list, contents, message_len, facts })));
        }
        let body = match body {
            Body::Spool { spool, .. } => Body::Spool { spool, facts },
            Body::Memory(text) => Body::Memory(text),
        };
        Ok((body, None))
    }

    /// Decodes parts to files; `None` if none of them is what can be cut out.
    #[allow(clippy::type_complexity, reason = "taken apart at once")]
    fn contents(
        self: &Arc<Self>,
        body: &Body,
        parts: &[Range<u64>],
    ) -> Result<Option<(Plan, Vec<(Hash, Spool)>)>, StoreError> {
        let options = Options { least: self.config.attachment_least, ..Options::default() };
        // The parser's parts ascend and don't overlap.
        let Ok(mut cutter) = Cutter::new(parts, options) else { return Ok(None) };
        let mut files = Contents { store: self, open: None, kept: Vec::new(), failed: None };
        body.each(0..body.len(), &mut |bytes| {
            cutter.push(bytes, &mut |piece| files.take(piece));
            files.failed.take().map_or(Ok(()), Err)
        })?;
        let plan = cutter.finish(&mut |piece| files.take(piece));
        if let Some(error) = files.failed {
            return Err(error);
        }
        if plan.cuts().is_empty() {
            return Ok(None);
        }
        let mut contents: Vec<(Hash, Spool)> = Vec::with_capacity(files.kept.len());
        for (cut, file) in plan.cuts().iter().zip(files.kept) {
            if !contents.iter().any(|(hash, _)| *hash == cut.out.hash) {
                contents.push((cut.out.hash, file));
            }
        }
        Ok(Some((plan, contents)))
    }

    /// What of a message is not cut out.
    fn skeleton(
        self: &Arc<Self>,
        body: &Body,
        plan: &Plan,
        most: usize,
    ) -> Result<Body, StoreError> {
        let len = plan.skeleton_len();
        if let Ok(len) = usize::try_from(len)
            && len <= most
        {
            let mut text = Vec::with_capacity(len);
            for range in plan.skeleton() {
                body.each(range, &mut |bytes| {
                    text.extend_from_slice(bytes);
                    Ok(())
                })?;
            }
            return Ok(Body::Memory(text.into()));
        }
        let mut spool = Spool::create(self)?;
        for range in plan.skeleton() {
            body.each(range, &mut |bytes| spool.write(bytes))?;
        }
        Ok(Body::Spool { spool, facts: None })
    }
}

/// The files of the contents while a message is cut.
struct Contents<'a> {
    store: &'a Arc<Store>,
    /// That of the part that is looked at.
    open: Option<Spool>,
    /// Those that are complete, in order.
    kept: Vec<Spool>,
    failed: Option<StoreError>,
}

impl Contents<'_> {
    fn take(&mut self, piece: Piece<'_>) {
        if self.failed.is_none()
            && let Err(error) = self.try_take(piece)
        {
            self.failed = Some(error);
        }
    }

    fn try_take(&mut self, piece: Piece<'_>) -> Result<(), StoreError> {
        match piece {
            Piece::Content(_, bytes) => match &mut self.open {
                Some(file) => file.write(bytes),
                None => self.open.insert(Spool::create(self.store)?).write(bytes),
            },
            Piece::Kept(_) => {
                let Some(file) = self.open.take() else { return Ok(()) };
                // Before anything is called by its hash, it is durable.
                if !planted(Planted::ContentNotSynced) {
                    file.file
                        .sync_data()
                        .map_err(|error| StoreError::io("write", &file.path, error))?;
                }
                self.kept.push(file);
                Ok(())
            }
            Piece::Dropped(_) => {
                self.open = None;
                Ok(())
            }
        }
    }
}

impl Body {
    /// Bytes of it.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(text) => text.len() as u64,
            Self::Spool { spool, .. } => spool.len,
        }
    }

    /// Gives the bytes of `range`, piece by piece.
    fn each(
        &self,
        range: Range<u64>,
        give: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match self {
            Self::Memory(text) => {
                let at = |offset| usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
                give(text.get(at(range.start)..at(range.end)).unwrap_or_default())
            }
            Self::Spool { spool, .. } => {
                let mut step = vec![0; STEP];
                let mut at = range.start;
                while at < range.end {
                    let len = usize::try_from(range.end - at).unwrap_or(STEP).min(STEP);
                    let read = spool
                        .file
                        .read_at(step.get_mut(..len).unwrap_or_default(), at)
                        .map_err(|error| StoreError::io("read", &spool.path, error))?;
                    let bytes = step.get(..read).filter(|bytes| !bytes.is_empty());
                    give(bytes.ok_or_else(|| {
                        StoreError::damaged(&spool.path, "it is shorter than what was written")
                    })?)?;
                    at += read as u64;
                }
                Ok(())
            }
        }
    }
}
