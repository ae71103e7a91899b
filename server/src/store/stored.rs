//! How the text of a small message becomes the bytes that its record holds: made once for all who get it, before any lock
//! is taken. The journal has these bytes, and replay writes them as they are.

use super::body::Body;
use super::delivery::Mail;
use super::store::Store;
use dbox_format::Content;
use dbox_format::attachment::CutOut;
use dbox_format::container::{Compression, Stored};
use std::sync::Arc;

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
        for mails in mails.chunk_by(|one, other| std::ptr::eq(one.body, other.body)) {
            let Some(Body::Memory(text)) = mails.first().map(|mail| mail.body) else { continue };
            let content = Content::of(text);
            texts.extend(mails.iter().map(|mail| as_it_came(mail, text, content)));
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
