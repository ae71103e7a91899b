//! Which cache files an account has.

use super::file;
use super::kind::Kind;
use crate::store::account::Home;
use crate::store::files::Files;
use index_format::cache::{SENT_SPAN, SPAN};
use std::collections::{BTreeMap, BTreeSet};

/// The files of an account by their numbers: as they are found, and kept up to date by who writes them.
#[derive(Default)]
pub(super) struct Directory {
    rows: BTreeMap<u32, Vec<Kind>>,
    sent: BTreeSet<u32>,
    /// When it was last used.
    pub(super) used: u64,
}

impl Directory {
    /// Looks what there is; nothing where that can't be read.
    pub(super) fn read(files: &Files, home: &Home) -> Self {
        let mut directory = Self::default();
        for entry in file::names(files, home).unwrap_or_default() {
            if let Some((number, kind)) = entry.name.to_str().and_then(Kind::parse) {
                directory.note(number, kind, true);
            }
        }
        directory
    }

    /// What there is of a stretch.
    pub(super) fn kinds(&self, number: u32) -> Vec<Kind> {
        let sent = self.sent.contains(&(number / (SENT_SPAN / SPAN)));
        let rows = self.rows.get(&number).map(Vec::as_slice).unwrap_or_default();
        rows.iter().copied().chain(sent.then_some(Kind::SENT)).collect()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.sent.is_empty()
    }

    /// Numbers of files of rows, and of those of sent dates.
    pub(super) fn numbers(&self) -> (BTreeSet<u32>, &BTreeSet<u32>) {
        (self.rows.keys().copied().collect(), &self.sent)
    }

    /// A file is there now, or is gone.
    pub(super) fn note(&mut self, number: u32, kind: Kind, exists: bool) {
        if kind == Kind::SENT {
            if exists {
                self.sent.insert(number);
            } else {
                self.sent.remove(&number);
            }
            return;
        }
        let kinds = self.rows.entry(number).or_default();
        kinds.retain(|known| *known != kind);
        if exists {
            kinds.push(kind);
        } else if kinds.is_empty() {
            self.rows.remove(&number);
        }
    }
}
