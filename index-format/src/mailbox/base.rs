//! The snapshot that a state was made from, and what became of it: what an overlay says.

use super::{Flagged, Mailbox, Parts};
use crate::snapshot::{Head, Header, Overlay};
use crate::{Error, Uid, UidSet};

/// The snapshot that a state was made from.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    pub(crate) head: Head,
    /// What has not been loaded from it.
    pub(crate) missing: Parts,
    pub(crate) since: Since,
}

/// What became of the snapshot's rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Since {
    pub(crate) gone: UidSet,
    /// Whose flags or keywords changed; some may be gone.
    pub(crate) changed: UidSet,
    /// Whose save dates changed; some may be gone, or have never been there.
    pub(crate) dated: UidSet,
    /// Something that no overlay can say: the next snapshot has to be whole.
    pub(crate) whole: bool,
}

impl Base {
    pub(crate) fn new(head: Head, missing: Parts) -> Base {
        Base { head, missing, since: Since::default() }
    }

    /// Those of `uids` that may be rows of the snapshot.
    fn own(&self, uids: &UidSet) -> UidSet {
        let mut own = uids.clone();
        own.remove_range(self.head.header().uidnext..=Uid(u32::MAX));
        own
    }

    pub(crate) fn note_changed(&mut self, uids: &UidSet) {
        let own = self.own(uids);
        add(&mut self.since.changed, &own);
    }

    pub(crate) fn note_dated(&mut self, uids: &UidSet) {
        let own = self.own(uids);
        add(&mut self.since.dated, &own);
    }

    pub(crate) fn note_gone(&mut self, uids: &UidSet) {
        let own = self.own(uids);
        add(&mut self.since.gone, &own);
    }
}

/// Few ranges are put in one by one: most changes are of one message, and there may be many before it.
fn add(set: &mut UidSet, more: &UidSet) {
    match more.ranges().len() {
        0..=FEW => more.ranges().for_each(|range| set.insert_range(range)),
        _ => *set = set.union(more),
    }
}

impl Mailbox {
    /// The snapshot that was just written of this state is the one to go on from.
    ///
    /// # Errors
    /// What was written is none of this state.
    pub fn rebase(&mut self, snapshot: &[u8]) -> Result<(), Error> {
        let head = Head::parse(snapshot, snapshot.len() as u64)?;
        let rows = self.missing(Parts::ALL).is_empty() && self.rows.unused() == 0;
        let same = head.header().position.transactions == self.transactions && rows;
        self.base = same.then(|| Box::new(Base::new(head, Parts::NONE)));
        Ok(())
    }

    /// The snapshot that this state was made from is not there: the next one is written whole.
    pub fn forget_base(&mut self) {
        if self.missing(Parts::ALL).is_empty() {
            self.base = None;
        }
    }

    /// What has to be loaded before an overlay is written.
    pub fn overlay_needs(&self) -> Parts {
        let Some(base) = &self.base else { return Parts::NONE };
        let some = |set: &UidSet, parts| if set.is_empty() { Parts::NONE } else { parts };
        self.missing(
            some(&base.since.changed, Parts::FLAGGED) | some(&base.since.dated, Parts::SAVE_DATES),
        )
    }

    /// Lays an overlay over a state that was just opened from [its](Overlay::is_of) snapshot.
    ///
    /// # Errors
    /// The first thing that does not fit; the state is of no use then.
    pub fn lay_over(&mut self, overlay: Overlay) -> Result<(), Error> {
        let Some(mut base) = self.base.take() else { return Ok(()) };
        let there = self.uid_set();
        let changed: UidSet = overlay.changed.iter().map(|row| row.uid).collect();
        let dated: UidSet = overlay.dated.iter().map(|(uid, _)| *uid).collect();
        let left = there.difference(&overlay.gone);
        let fits = there.len() - left.len() == overlay.gone.len()
            && changed.difference(&left).is_empty()
            && dated.difference(&left).is_empty()
            && overlay.rows.first().is_none_or(|row| row.uid >= self.uidnext);
        if !fits {
            let (field, allowed) = ("rows of an overlay", "what its snapshot says");
            let found = overlay.rows.len() as u64;
            return Err(Error::Value { field, at: 0, found, allowed });
        }
        for &Flagged { uid, flags, keywords, modseq } in &overlay.changed {
            let Some(slot) = self.slot(uid) else { continue };
            self.rows.flags.set(slot, flags);
            self.rows.keywords.set(slot, keywords);
            self.rows.modseqs.set(slot, modseq);
        }
        for &(uid, date) in &overlay.dated {
            let Some(slot) = self.slot(uid) else { continue };
            self.rows.save_dates.set(slot, date);
        }
        let gone: Vec<_> = overlay.gone.ranges().map(|range| self.find_range(range)).collect();
        self.rows.remove(&gone);
        overlay.rows.iter().for_each(|row| self.rows.push(row));
        base.since = Since { gone: overlay.gone, changed, dated, whole: false };
        let Header {
            position,
            uidvalidity,
            uidnext,
            modseq,
            vanished_floor,
            counters,
            first_unseen,
            epoch,
            server,
            ..
        } = overlay.header;
        (self.server, self.epoch, self.transactions) = (server, epoch, position.transactions);
        (self.uidvalidity, self.uidnext) = (uidvalidity, uidnext);
        (self.modseq, self.vanished_floor) = (modseq, vanished_floor);
        self.counters = counters;
        self.first_unseen = first_unseen.map_or(self.rows.runs.len(), |index| index as usize);
        (self.keywords, self.metadata) = (overlay.names, overlay.metadata);
        self.private = overlay.private;
        (self.tombstones, self.voids) = (overlay.tombstones, overlay.voids);
        self.base = Some(base);
        let mut private = self.private.values().flat_map(|rows| rows.keys());
        if private.any(|uid| self.find(*uid).is_none()) {
            let (field, allowed) = ("private flags of an overlay", "of messages that are there");
            return Err(Error::Value { field, at: 0, found: 0, allowed });
        }
        Ok(())
    }

    fn slot(&self, uid: Uid) -> Option<u32> {
        let (_, slot) = self.rows.runs.place(self.find(uid)?)?;
        Some(slot)
    }
}

const FEW: usize = 16;
