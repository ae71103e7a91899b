//! How the text of a small message becomes the bytes that its record holds: made once for all who get it, before any lock
//! is taken. The journal has these bytes, and replay writes them as they are.

use super::ahead::{Row, Work};
use super::body::Body;
use super::delivery::Mail;
use super::packing::Packing;
use super::store::Store;
use dbox_format::Content;
use dbox_format::attachment::CutOut;
use dbox_format::compress::{Encoder, Frames};
use dbox_format::container::{Compression, Stored};
use std::sync::Arc;

/// Texts below this many bytes are stored as they came: what zstd adds to each (some 20 bytes, and a checksum of what
/// the record sums as well) is no less than what it could save.
const PACKED_LEAST: usize = 96;
/// Messages of one APPEND from which on other threads may help to compress them.
const MANY: usize = 8;

/// The text of one recipient's message, as its record holds it: `prefix`, then `body`.
pub(crate) struct StoredText {
    pub(super) compression: Compression,
    /// What is this recipient's own.
    pub(super) prefix: Vec<u8>,
    /// What may be that of many.
    pub(super) body: Arc<[u8]>,
    /// Length and checksum of both.
    pub(super) content: Content,
    /// Bytes of the text itself.
    pub(super) len: u64,
    /// The parts of the message that stand apart from it.
    pub(super) apart: Vec<CutOut>,
}

impl StoredText {
    /// What its record says of it.
    pub(super) fn stored(&self) -> Stored<'_> {
        Stored { compression: self.compression, apart: &self.apart }
    }
}

impl Store {
    /// The stored texts of those of `mails` that are small, in order. Those with one body stand next to each other.
    pub(super) fn stored_texts(&self, mails: &[Mail<'_>]) -> Vec<StoredText> {
        let mut texts = Vec::with_capacity(mails.len());
        let mut encoder = None;
        let mut ahead = Ahead::begin(self, mails);
        for (number, mails) in by_body(mails) {
            let Some(Body::Memory(text)) = mails.first().map(|mail| mail.body) else { continue };
            let mut frame = |text: &[u8]| {
                let encoder = encoder.get_or_insert_with(|| self.packing.encoder());
                Framed::of(text, encoder.as_mut()?)
            };
            let packed = match mails {
                _ if text.len() < PACKED_LEAST => None,
                // Of a single recipient all is one frame.
                [Mail { prefix, .. }] if !prefix.is_empty() => {
                    let whole = frame(&[prefix, &**text].concat()).filter(Framed::pays);
                    whole.map(|whole| mails.iter().map(|mail| whole.of_mail(mail)).collect())
                }
                _ => {
                    let made = ahead.as_mut().and_then(|ahead| ahead.take(number));
                    let shared = made.or_else(|| frame(text)).filter(Framed::pays);
                    shared.and_then(|shared| shared.of_mails(mails, &mut frame))
                }
            };
            match packed {
                Some(packed) => texts.extend::<Vec<_>>(packed),
                None => {
                    let content = Content::of(text);
                    texts.extend(mails.iter().map(|mail| as_it_came(mail, text, content)));
                }
            }
        }
        texts
    }
}

/// Those with one body together, and their number.
fn by_body<'m, 'a>(mails: &'m [Mail<'a>]) -> impl Iterator<Item = (u32, &'m [Mail<'a>])> {
    (0..).zip(mails.chunk_by(|one, other| std::ptr::eq(one.body, other.body)))
}

fn as_it_came(mail: &Mail<'_>, text: &Arc<[u8]>, content: Content) -> StoredText {
    let content = Content::of(mail.prefix).then(content);
    let (compression, len) = (Compression::None, content.len());
    let (prefix, body, apart) = (mail.prefix.to_vec(), text.clone(), mail.apart());
    StoredText { compression, prefix, body, content, len, apart }
}

/// A compressed text.
struct Framed {
    compression: Compression,
    frames: Frames,
    bytes: Arc<[u8]>,
}

impl Framed {
    fn of(text: &[u8], encoder: &mut Encoder) -> Option<Self> {
        let mut bytes = Vec::new();
        let frames = encoder.frame(text, &mut bytes).ok()?;
        Some(Self { compression: encoder.compression(), frames, bytes: bytes.into() })
    }

    fn pays(&self) -> bool {
        self.frames.pays()
    }

    /// As all that a recipient gets.
    fn of_mail(&self, mail: &Mail<'_>) -> StoredText {
        self.behind(Vec::new(), self.frames, mail)
    }

    /// As what comes for each recipient behind a prefix, which is compressed like it; `None` if that fails.
    fn of_mails(
        &self,
        mails: &[Mail<'_>],
        frame: &mut dyn FnMut(&[u8]) -> Option<Self>,
    ) -> Option<Vec<StoredText>> {
        let of_mail = |mail: &Mail<'_>| {
            if mail.prefix.is_empty() {
                return Some(self.of_mail(mail));
            }
            let own = frame(mail.prefix)?;
            Some(self.behind(own.bytes.to_vec(), own.frames.then(self.frames), mail))
        };
        mails.iter().map(of_mail).collect()
    }

    fn behind(&self, prefix: Vec<u8>, frames: Frames, mail: &Mail<'_>) -> StoredText {
        let (compression, body, apart) = (self.compression, self.bytes.clone(), mail.apart());
        let (content, len) = (frames.stored, frames.text_len);
        StoredText { compression, prefix, body, content, len, apart }
    }
}

/// The messages of an APPEND, some of which other threads compress while this one goes through them.
struct Ahead<'m> {
    row: Arc<Row<Plain>>,
    packing: &'m Arc<Packing>,
    /// Those that are still to be added.
    coming: Box<dyn Iterator<Item = (u32, &'m Arc<[u8]>)> + 'm>,
}

impl<'m> Ahead<'m> {
    fn begin(store: &'m Store, mails: &'m [Mail<'_>]) -> Option<Self> {
        if mails.len() < MANY || store.config.compression.is_none() {
            return None;
        }
        let alone = |(number, mails): (u32, &'m [Mail<'_>])| match mails {
            [Mail { prefix: [], body: Body::Memory(text), .. }] => Some((number, text)),
            _ => None,
        };
        let coming = Box::new(by_body(mails).filter_map(alone));
        Some(Self { row: store.aside.row()?, packing: &store.packing, coming })
    }

    fn take(&mut self, number: u32) -> Option<Framed> {
        if self.row.is_low() {
            let next = |(number, text): (u32, &Arc<[u8]>)| {
                let plain = Plain { packing: self.packing.clone(), text: text.clone() };
                self.row.push(number, plain)
            };
            // What has no room is made when its turn comes.
            self.coming.by_ref().all(next);
            self.row.call();
        }
        self.row.take(number)
    }
}

/// A text that is to be compressed.
struct Plain {
    packing: Arc<Packing>,
    text: Arc<[u8]>,
}

impl Work for Plain {
    type Made = Framed;

    fn bytes(&self) -> usize {
        self.text.len()
    }

    fn make(self) -> Option<Framed> {
        Framed::of(&self.text, self.packing.encoder().as_mut()?)
    }
}
