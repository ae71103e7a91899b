//! What RETURN makes of the results of SEARCH and SORT: ESEARCH responses (RFC 4731, RFC 5267 §3, RFC 9394) and the
//! messages that are saved (RFC 5182).

use std::sync::Arc;

use crate::ask::FoundModSeqs;
use crate::fetch::number;
use crate::parse::search::Return;
use crate::search::Key;
use crate::sort::Order;
use crate::tag::Tag;
use crate::types::{ModSeq, Uid, UidSet};

/// What is kept of a command for [`UPDATE`](super::context).
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) key: Arc<Key>,
    /// Of SORT.
    pub(super) order: Option<Arc<Order>>,
}

/// The first and the last of the results, where they are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    pub(super) min: Option<Uid>,
    pub(super) max: Option<Uid>,
}

impl Return {
    pub(super) fn ends(&self, first: Option<Uid>, last: Option<Uid>) -> Ends {
        Ends { min: first.filter(|_| self.min), max: last.filter(|_| self.max) }
    }

    /// The mod-sequence of what is told (RFC 4731 §3.2): with MIN or MAX alone that of these messages, else the highest
    /// of all that were found.
    pub(super) fn modseq(&self, modseqs: FoundModSeqs) -> ModSeq {
        if !self.is_about_some() || self.partial.is_some() {
            return modseqs.highest;
        }
        let first = if self.min { modseqs.first } else { ModSeq(0) };
        let last = if self.max { modseqs.last } else { ModSeq(0) };
        first.max(last)
    }

    /// What SAVE saves of `found` (RFC 5182 §2.4, RFC 9394 §3.2): `part` is what PARTIAL tells.
    pub(super) fn saved(&self, found: UidSet, ends: Ends, part: Option<UidSet>) -> UidSet {
        if !self.is_about_some() {
            return found;
        }
        let mut saved = part.unwrap_or_default();
        saved.extend(ends.min.into_iter().chain(ends.max));
        saved
    }
}

/// An ESEARCH response up to the messages it lists.
pub(super) fn head(
    tag: Tag,
    by_uid: bool,
    wanted: &Return,
    ends: Ends,
    shown: impl Fn(Uid) -> u32,
) -> Vec<u8> {
    let mut line = b"* ESEARCH (TAG \"".to_vec();
    line.extend_from_slice(tag.as_bytes());
    line.extend_from_slice(b"\")");
    if by_uid {
        line.extend_from_slice(b" UID");
    }
    for (name, end) in [(&b" MIN "[..], ends.min), (&b" MAX "[..], ends.max)] {
        if let Some(uid) = end {
            line.extend_from_slice(name);
            number::write(u64::from(shown(uid)), &mut line);
        }
    }
    if let Some(partial) = wanted.partial {
        line.extend_from_slice(b" PARTIAL (");
        partial.write(&mut line);
        line.push(b' ');
    }
    line
}

/// The same from behind them to the line's end; `none` says that there were none to list.
pub(super) fn tail(wanted: &Return, none: bool, count: u64, modseq: Option<ModSeq>) -> Vec<u8> {
    let mut line = Vec::new();
    if wanted.partial.is_some() {
        line.extend_from_slice(if none { b"NIL)" } else { b")" });
    }
    if wanted.count {
        line.extend_from_slice(b" COUNT ");
        number::write(count, &mut line);
    }
    if let Some(modseq) = modseq {
        line.extend_from_slice(b" MODSEQ ");
        number::write(modseq.0, &mut line);
    }
    line.extend_from_slice(b"\r\n");
    line
}
