//! Taking a message apart while it comes in: its large base64 parts go to files of the spool directory, decoded.

use crate::store::body::{Skeleton, Spool};
use crate::store::cache::{Facts, Head};
use crate::store::config::Attachments;
use crate::store::error::StoreError;
use crate::store::message::read_exact;
use crate::store::planted::{Planted, planted};
use crate::store::store::Store;
use dbox_format::attachment::{Assembly, CutOut, Cutter, Hash, Lines, Options, Piece, Source};
use imap_proto::mime::PartId;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a content that are held in memory before it gets a file: most of those that are too short get none.
const HELD: usize = 64 << 10;

/// What was cut out of a message: what is left is its [`Body`](crate::store::body::Body).
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

/// What a message goes through while it comes in.
pub(crate) struct Intake {
    /// Absent where neither the cache nor the attachments need it.
    head: Option<Head>,
    cutter: Cutter,
    /// The part whose body the bytes before belonged to.
    part: Option<PartId>,
    contents: Contents,
}

impl Store {
    /// Whether a message of so many bytes may have a part that is cut out.
    pub(crate) fn may_be_cut(&self, len: u64) -> bool {
        self.config.attachments != Attachments::Whole && len / 4 * 3 >= self.config.attachment_least
    }
}

impl Intake {
    pub(crate) fn new(store: &Arc<Store>) -> Self {
        let cuts = store.config.attachments != Attachments::Whole;
        let mut options = Options { least: store.config.attachment_least, ..Options::default() };
        if !cuts {
            options.most = 0;
        }
        Self {
            head: (cuts || store.cache.is_on()).then(Head::new),
            cutter: Cutter::new(options),
            part: None,
            contents: Contents {
                store: store.clone(),
                held: Vec::new(),
                file: None,
                kept: Vec::new(),
            },
        }
    }

    /// Takes the next bytes; what is left of them and of those before goes to `skeleton`.
    pub(crate) fn push(&mut self, text: &[u8], skeleton: &mut Skeleton) -> Result<(), StoreError> {
        let Self { head, cutter, part, contents } = self;
        let mut failed = None;
        let mut give = |piece: Piece<'_>| {
            if failed.is_none() {
                failed = contents.take(piece, skeleton).err();
            }
        };
        let mut look = |bytes: &[u8], of: Option<PartId>| {
            if *part != of {
                match of {
                    Some(_) => cutter.begin(&mut give),
                    None => cutter.end(&mut give),
                }
                *part = of;
            }
            cutter.push(bytes, &mut give);
        };
        match head {
            Some(head) => head.feed_with(text, &mut look),
            None => look(text, None),
        }
        failed.map_or(Ok(()), Err)
    }

    /// The message, of `message_len` bytes, is complete: what is learnt of it, which is with what was cut out if anything
    /// was. All that is durable.
    pub(crate) fn finish(
        self,
        message_len: u64,
        skeleton: &mut Skeleton,
    ) -> Result<(Option<Box<Facts>>, Option<Cuts>), StoreError> {
        let Self { head, mut cutter, mut contents, .. } = self;
        let mut failed = None;
        cutter.end(&mut |piece| {
            if failed.is_none() {
                failed = contents.take(piece, skeleton).err();
            }
        });
        failed.map_or(Ok(()), Err)?;
        let facts = head.and_then(Head::finish).map(Box::new);
        let list = cutter.list().to_vec();
        if list.is_empty() {
            return Ok((facts, None));
        }
        let contents = contents.kept;
        // Before anything is called by its hash, it is durable.
        for (_, file) in contents.iter().filter(|_| !planted(Planted::ContentNotSynced)) {
            file.file.sync_data().map_err(|error| StoreError::io("write", &file.path, error))?;
        }
        Ok((None, Some(Cuts { list, contents, message_len, facts })))
    }
}

/// The contents of a message while it is taken apart.
struct Contents {
    store: Arc<Store>,
    /// That of the part that is looked at: here, or once there is more of it in a file.
    held: Vec<u8>,
    file: Option<Spool>,
    /// Those that are complete, each once.
    kept: Vec<(Hash, Spool)>,
}

impl Contents {
    fn take(&mut self, piece: Piece<'_>, skeleton: &mut Skeleton) -> Result<(), StoreError> {
        match piece {
            Piece::Text(text) => skeleton.push(text),
            Piece::Content(bytes) => {
                if self.file.is_none() && self.held.len() + bytes.len() <= HELD {
                    self.held.extend_from_slice(bytes);
                    return Ok(());
                }
                self.file()?.write(bytes)
            }
            Piece::Kept(cut) => {
                self.file()?;
                let file = self.file.take();
                if !self.kept.iter().any(|(hash, _)| *hash == cut.hash) {
                    self.kept.extend(file.map(|file| (cut.hash, file)));
                }
                Ok(())
            }
            Piece::Back(lines) => match self.file.take() {
                Some(file) => skeleton.put_back(file, lines),
                None => {
                    let held = std::mem::take(&mut self.held);
                    lay_out(
                        held.len() as u64,
                        lines,
                        &mut |range| Ok(held.get(range).unwrap_or_default().to_vec()),
                        &mut |text| skeleton.push(text),
                    )
                }
            },
        }
    }

    /// The file of the part that is looked at, with all of its content so far.
    fn file(&mut self) -> Result<&mut Spool, StoreError> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let mut file = Spool::create(&self.store)?;
                file.write(&std::mem::take(&mut self.held))?;
                file
            }
        };
        Ok(self.file.insert(file))
    }
}

impl Spool {
    /// Gives the base64 of a content in this file, piece by piece.
    pub(crate) fn lay_out(
        &self,
        lines: Lines,
        give: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let read = &mut |range: Range<usize>| {
            let mut bytes = vec![0; range.len()];
            read_exact(&*self.file, &mut bytes, range.start as u64, true)
                .map_err(|error| StoreError::io("read", &self.path, error))?;
            Ok(bytes)
        };
        lay_out(self.len, lines, read, give)
    }
}

/// Gives the base64 of a content of `len` bytes, piece by piece.
fn lay_out(
    len: u64,
    lines: Lines,
    read: &mut dyn FnMut(Range<usize>) -> Result<Vec<u8>, StoreError>,
    give: &mut dyn FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let cannot = |_| StoreError::Cannot("an attachment can't be put back");
    let part = CutOut { len, lines, ..CutOut::default() };
    let assembly = Assembly::of_skeleton(&[part], 0).map_err(cannot)?;
    let mut text = Vec::new();
    for source in assembly.sources(0..assembly.len()) {
        let Source::Attachment { content, .. } = &source else { continue };
        let bytes = read(content.start as usize..content.end as usize)?;
        text.clear();
        assembly.encode(&source, &bytes, &mut text).map_err(cannot)?;
        give(&text)?;
    }
    Ok(())
}
