//! Bytes of one simulated file: pages, shared between all images that have the same.

use std::sync::Arc;

/// Granularity of sharing, of allocation, and of what the kernel marks dirty or clean.
pub(super) const PAGE: usize = 4096;

type Page = [u8; PAGE];

/// The bytes of a file. A clone costs one reference; a page of zeros costs nothing.
///
/// Invariant: bytes of the last page behind `len` are zero, so that growing needs no look at them.
#[derive(Clone, Default)]
pub(super) struct Content(Arc<Inner>);

#[derive(Clone, Default)]
struct Inner {
    len: u64,
    /// One per started page of `len`; `None` is a page of zeros.
    pages: Vec<Option<Arc<Page>>>,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.0.len
    }

    /// Copies bytes from `offset` on; fewer only at the end.
    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let room = self.0.len.saturating_sub(offset);
        let want = usize::try_from(room).map_or(buf.len(), |room| room.min(buf.len()));
        let (buf, _) = buf.split_at_mut(want);
        let mut at = offset;
        let mut rest = &mut *buf;
        while !rest.is_empty() {
            let (index, within) = split(at);
            let n = rest.len().min(PAGE - within);
            let (now, later) = rest.split_at_mut(n);
            match self.page(index).and_then(|page| page.get(within..within + n)) {
                Some(bytes) => now.copy_from_slice(bytes),
                None => now.fill(0),
            }
            at += n as u64;
            rest = later;
        }
        want
    }

    /// Puts `bytes` at `offset`, growing the file as far as needed; a hole reads as zeros.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        let mut at = offset;
        let mut rest = bytes;
        self.grow(offset + bytes.len() as u64);
        let inner = Arc::make_mut(&mut self.0);
        while !rest.is_empty() {
            let (index, within) = split(at);
            let n = rest.len().min(PAGE - within);
            let (now, later) = rest.split_at(n);
            if let Some(slot) = inner.pages.get_mut(index)
                && (slot.is_some() || now.iter().any(|byte| *byte != 0))
            {
                let page = Arc::make_mut(slot.get_or_insert_with(|| Arc::new([0; PAGE])));
                if let Some(target) = page.get_mut(within..within + n) {
                    target.copy_from_slice(now);
                }
            }
            at += n as u64;
            rest = later;
        }
    }

    /// Makes the file at least `len` long.
    pub(super) fn grow(&mut self, len: u64) {
        if len > self.0.len {
            let inner = Arc::make_mut(&mut self.0);
            inner.len = len;
            inner.pages.resize(pages(len), None);
        }
    }

    /// Cuts the file to at most `len`.
    pub(super) fn truncate(&mut self, len: u64) {
        if len >= self.0.len {
            return;
        }
        let inner = Arc::make_mut(&mut self.0);
        inner.len = len;
        inner.pages.truncate(pages(len));
        let (index, within) = split(len);
        if let Some(Some(page)) = inner.pages.get_mut(index)
            && let Some(tail) = Arc::make_mut(page).get_mut(within..)
        {
            tail.fill(0);
        }
    }

    /// Makes page `index` that of `other`, as far as both lengths allow.
    pub(super) fn copy_page(&mut self, index: usize, other: &Content) {
        let start = (index * PAGE) as u64;
        let mut page = [0; PAGE];
        other.read(&mut page, start);
        let room = usize::try_from(self.0.len.saturating_sub(start)).unwrap_or(PAGE).min(PAGE);
        if let Some(bytes) = page.get(..room) {
            self.write(bytes, start);
        }
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.0.len).unwrap_or(0)];
        self.read(&mut bytes, 0);
        bytes
    }

    fn page(&self, index: usize) -> Option<&Arc<Page>> {
        self.0.pages.get(index)?.as_ref()
    }
}

/// Pages that `len` bytes start.
pub(super) fn pages(len: u64) -> usize {
    usize::try_from(len.div_ceil(PAGE as u64)).unwrap_or(usize::MAX)
}

/// Page and place in it.
fn split(offset: u64) -> (usize, usize) {
    let page = PAGE as u64;
    let index = usize::try_from(offset / page).unwrap_or(usize::MAX);
    (index, usize::try_from(offset % page).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn behaves_like_a_vector(
            steps in prop::collection::vec((0u64..20_000, 0usize..9_000, any::<bool>(), any::<u8>()), 1..12)
        ) {
            let mut model: Vec<u8> = Vec::new();
            let mut content = Content::default();
            for (at, len, cut, byte) in steps {
                let before = content.clone();
                let frozen = before.to_vec();
                let start = usize::try_from(at).unwrap();
                if cut {
                    content.truncate(at);
                    model.truncate(start);
                } else {
                    let bytes = vec![byte; len];
                    content.write(&bytes, at);
                    if model.len() < start + len {
                        model.resize(start + len, 0);
                    }
                    model[start..start + len].copy_from_slice(&bytes);
                }
                prop_assert_eq!(content.to_vec(), model.clone());
                prop_assert_eq!(before.to_vec(), frozen, "a clone changed");
            }
        }
    }
}
