//! How the text of a small message becomes the bytes that its record holds: made once for all who get it, before any lock
//! is taken. The journal has these bytes, and replay writes them as they are.

use super::body::Body;
use super::delivery::Mail;
use super::store::Store;
use dbox_format::Content;
use dbox_format::attachment::CutOut;
use dbox_format::compress::{Encoder, Frames};
use dbox_format::container::{Compression, Stored};
use std::sync::Arc;

/// Texts below this many bytes are stored as they came: what zstd adds to each (some 20 bytes, and a checksum of what
/// the record sums as well) is no less than what it could save.
const PACKED_LEAST: usize = 96;

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
        for mails in mails.chunk_by(|one, other| std::ptr::eq(one.body, other.body)) {
            let Some(Body::Memory(text)) = mails.first().map(|mail| mail.body) else { continue };
            let packed = if text.len() < PACKED_LEAST {
                None
            } else {
                let encoder = encoder.get_or_insert_with(|| self.packing.encoder());
                encoder.as_mut().and_then(|encoder| packed(mails, text, encoder))
            };
            match packed {
                Some(packed) => texts.extend(packed),
                None => {
                    let content = Content::of(text);
                    texts.extend(mails.iter().map(|mail| as_it_came(mail, text, content)));
                }
            }
        }
        texts
    }
}

fn as_it_came(mail: &Mail<'_>, text: &Arc<[u8]>, content: Content) -> StoredText {
    let content = Content::of(mail.prefix).then(content);
    let (compression, len) = (Compression::None, content.len());
    let (prefix, body, apart) = (mail.prefix.to_vec(), text.clone(), mail.apart());
    StoredText { compression, prefix, body, content, len, apart }
}

/// One text for all of `mails`, compressed; `None` if that doesn't pay.
fn packed(mails: &[Mail<'_>], text: &[u8], encoder: &mut Encoder) -> Option<Vec<StoredText>> {
    let compression = encoder.compression();
    let of = |mail: &Mail<'_>, prefix, body: &Arc<[u8]>, frames: Frames| StoredText {
        compression,
        prefix,
        body: body.clone(),
        content: frames.stored,
        len: frames.text_len,
        apart: mail.apart(),
    };
    let mut out = Vec::new();
    // Of a single recipient all is one frame.
    if let [mail] = mails {
        let frames = if mail.prefix.is_empty() {
            encoder.frame(text, &mut out).ok()?
        } else {
            encoder.frame(&[mail.prefix, text].concat(), &mut out).ok()?
        };
        return frames.pays().then(|| vec![of(mail, Vec::new(), &out.into(), frames)]);
    }
    let shared = encoder.frame(text, &mut out).ok()?;
    if !shared.pays() {
        return None;
    }
    let body: Arc<[u8]> = out.into();
    let own = |mail: &Mail<'_>| {
        let mut prefix = Vec::new();
        let frames = match mail.prefix {
            [] => shared,
            own => encoder.frame(own, &mut prefix).ok()?.then(shared),
        };
        Some(of(mail, prefix, &body, frames))
    };
    mails.iter().map(own).collect()
}
