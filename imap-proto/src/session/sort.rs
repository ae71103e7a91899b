//! SORT (RFC 5256 §3, RFC 5957), and with RETURN ESORT (RFC 5267 §3).

use std::sync::Arc;

use super::results::{self, Kept};
use super::search::{Charsets, Scope, Searched};
use super::tell::{Reply, Tell};
use super::{Phase, Session, Work};
use crate::ask::{Answer, Ask, FoundModSeqs};
use crate::fetch::number;
use crate::parse::search::Return;
use crate::parse::{Cursor, Error, sort};
use crate::types::{Uid, UidSet};
use crate::view::View;

/// A SORT that is being answered.
#[derive(Debug)]
pub(super) struct Sorting {
    pub(super) wanted: Return,
    by_uid: bool,
    /// MODSEQ was among the keys: so it is among the results (RFC 7162 §3.1.9).
    modseq: bool,
    /// With UPDATE.
    kept: Option<Kept>,
}

/// Messages to be told in an order of their own.
#[derive(Debug)]
pub(super) struct Sorted {
    pub(super) uids: std::vec::IntoIter<Uid>,
    pub(super) by_uid: bool,
    /// As a `sequence-set`, else each behind a space.
    pub(super) set: bool,
    /// Nothing of it has been told.
    pub(super) first: bool,
    /// What follows them, to the line's end.
    pub(super) tail: Vec<u8>,
}

impl Session {
    pub(super) fn on_sort(&mut self, cursor: &mut Cursor<'_>, by_uid: bool) -> Result<(), Error> {
        let wanted = Return::parse(cursor)?;
        cursor.space()?;
        let order = Arc::new(sort::order(cursor)?);
        let Searched { program, modseq, key } =
            self.search_program(cursor, Charsets::Stated, Scope::View, &wanted)?;
        let kept = key.map(|key| Kept { key, order: Some(Arc::clone(&order)) });
        self.ask(Ask::Sort { program, order });
        self.work = Work::Sort(Box::new(Sorting { wanted, by_uid, modseq, kept }));
        Ok(())
    }

    pub(super) fn on_sort_answer(&mut self, sorting: &Sorting, answer: Answer) {
        if let Answer::Sorted { uids, modseqs } = answer {
            return self.on_sorted(sorting, uids, modseqs);
        }
        self.forget_saved(sorting.wanted.save);
        self.finish(Reply::refusal(answer));
    }

    fn on_sorted(&mut self, sorting: &Sorting, mut uids: Vec<Uid>, modseqs: FoundModSeqs) {
        let &Sorting { wanted, by_uid, modseq, ref kept } = sorting;
        let Phase::Selected(mailbox) = &mut self.phase else { return };
        uids.retain(|uid| mailbox.view.seq(*uid).is_some());
        let count = uids.len();
        let modseq = (modseq && count > 0).then(|| wanted.modseq(modseqs));
        if !wanted.extended {
            let mut tail = Vec::new();
            if let Some(modseq) = modseq {
                tail.extend_from_slice(b" (MODSEQ ");
                number::write(modseq.0, &mut tail);
                tail.push(b')');
            }
            tail.extend_from_slice(b"\r\n");
            self.out.put(b"* SORT");
            self.tell_sorted(uids, by_uid, false, tail);
            return self.finish(Reply::ok("Done"));
        }
        let ends = wanted.ends(uids.first().copied(), uids.last().copied());
        let found = wanted.save.then(|| set_of(&uids));
        let kept = kept.clone().map(|kept| (kept, uids.clone()));
        // RFC 5267 §4.4: by their places in the order asked for.
        if let Some(partial) = wanted.partial {
            let range = partial.of(count);
            uids.truncate(range.end);
            uids.drain(..range.start);
        } else if !wanted.all {
            uids = Vec::new();
        }
        if let Some(found) = found {
            let part = wanted.partial.map(|_| set_of(&uids));
            mailbox.saved = wanted.saved(found, ends, part);
        }
        if wanted.answers() {
            let view = &mailbox.view;
            let shown = |uid: Uid| shown(view, uid, by_uid);
            let mut head = results::head(self.tag, by_uid, &wanted, ends, shown);
            if wanted.all && !uids.is_empty() {
                head.extend_from_slice(b" ALL ");
            }
            let tail = results::tail(&wanted, uids.is_empty(), count as u64, modseq);
            self.told.push_back(Tell::Line(head));
            self.tell_sorted(uids, by_uid, true, tail);
        }
        if let Some((kept, results)) = kept {
            self.keep_up_to_date(kept, by_uid, results);
        }
        self.finish(Reply::ok("Done"));
    }

    fn tell_sorted(&mut self, uids: Vec<Uid>, by_uid: bool, set: bool, tail: Vec<u8>) {
        let sorted = Sorted { uids: uids.into_iter(), by_uid, set, first: true, tail };
        self.told.push_back(Tell::Sorted(Box::new(sorted)));
    }
}

impl Sorted {
    /// Writes about `room` bytes of them; whether there are more.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, view: &View, room: usize) -> bool {
        let full = out.len() + room;
        while let Some(uid) = self.uids.next() {
            let number = shown(view, uid, self.by_uid);
            match (self.set, std::mem::take(&mut self.first)) {
                (true, true) => {}
                (true, false) => out.push(b','),
                (false, _) => out.push(b' '),
            }
            number::write(u64::from(number), out);
            if self.set {
                // RFC 5267 §3.2: a range ascends.
                let mut last = number;
                while let Some(&next) = self.uids.as_slice().first()
                    && Some(shown(view, next, self.by_uid)) == last.checked_add(1)
                {
                    last += 1;
                    self.uids.next();
                }
                if last > number {
                    out.push(b':');
                    number::write(u64::from(last), out);
                }
            }
            if out.len() >= full && !self.uids.as_slice().is_empty() {
                return true;
            }
        }
        out.append(&mut self.tail);
        false
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + size_of_val(self.uids.as_slice()) + self.tail.capacity()
    }
}

/// The number by which a message is told.
pub(super) fn shown(view: &View, uid: Uid, by_uid: bool) -> u32 {
    if by_uid { uid.0 } else { view.seq(uid).map_or(0, |seq| seq.0) }
}

pub(super) fn set_of(uids: &[Uid]) -> UidSet {
    let mut sorted = uids.to_vec();
    sorted.sort_unstable();
    sorted.into_iter().collect()
}
