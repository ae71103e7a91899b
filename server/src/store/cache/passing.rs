//! Files that were read for the first time, and are asked for a while at most: most commands pass through a mailbox once.
//! Those that are asked for again later are kept as long as there is memory.

use super::Key;
use super::held::Loaded;
use std::collections::VecDeque;
use std::sync::Arc;

/// Files that are remembered to have been here.
const SEEN: usize = 1024;
/// Memory of files that went, for those to come.
const SPARE: usize = 2;
/// The most of one of them.
const SPARE_MAX: usize = 4 << 20;

#[derive(Default)]
pub(super) struct Passing {
    /// The files, in the order they came, and what they cost.
    list: VecDeque<(Key, usize)>,
    bytes: usize,
    /// Those that were here before.
    seen: VecDeque<Key>,
    spare: Vec<Vec<u8>>,
}

impl Passing {
    /// A file was read; one that has passed before is no concern of this any more.
    pub(super) fn note(&mut self, key: Key, cost: usize) {
        if let Some(at) = self.seen.iter().position(|seen| *seen == key) {
            self.seen.remove(at);
            return;
        }
        self.list.push_back((key, cost));
        self.bytes += cost;
    }

    /// The file that is to go while all have more than `most` bytes; the last one stays.
    pub(super) fn over(&mut self, most: usize) -> Option<Key> {
        if self.bytes <= most || self.list.len() < 2 {
            return None;
        }
        let (key, cost) = self.list.pop_front()?;
        self.bytes -= cost;
        if self.seen.len() == SEEN {
            self.seen.pop_front();
        }
        self.seen.push_back(key);
        Some(key)
    }

    /// A file has left memory, for whatever reason.
    pub(super) fn gone(&mut self, key: Key, file: Arc<Loaded>) {
        if let Some(at) = self.list.iter().position(|(known, _)| *known == key)
            && let Some((_, cost)) = self.list.remove(at)
        {
            self.bytes -= cost;
        }
        // Somebody may still look into it.
        if let Ok(Loaded::Rows(rows)) = Arc::try_unwrap(file)
            && self.spare.len() < SPARE
            && rows.bytes.capacity() <= SPARE_MAX
        {
            self.spare.push(rows.bytes);
        }
    }

    /// Memory that was used before, or none.
    pub(super) fn spare(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Gives that memory back.
    pub(super) fn forget_spare(&mut self) {
        self.spare.clear();
    }

    /// The files and what they cost, for checks.
    #[cfg(test)]
    pub(super) fn held(&self) -> (Vec<Key>, usize) {
        (self.list.iter().map(|(key, _)| *key).collect(), self.bytes)
    }
}
