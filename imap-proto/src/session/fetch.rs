//! FETCH and STORE (RFC 3501 §6.4.5, §6.4.6).

use std::sync::Arc;

use super::tell::{Reply, Tell};
use super::{Phase, Session, Work};
use crate::ask::{Answer, Ask, Code, FetchAsk, Run, StoreAction, Stored};
use crate::fetch::{FetchItems, Fixed};
use crate::parse::set::Numbers;
use crate::parse::{Cursor, Error, fetch};
use crate::types::{Flags, SystemFlags, Uid, UidSet};

/// A FETCH that runs, batch by batch.
#[derive(Debug)]
pub(super) struct Fetching {
    uids: UidSet,
    /// Where the next batch begins.
    next: Uid,
    items: Arc<FetchItems>,
    by_uid: bool,
    seen: Seen,
    /// What is asked for now.
    runs: Vec<Run>,
}

/// Setting `\Seen` along the way.
#[derive(Debug)]
enum Seen {
    /// The items peek, or the mailbox can't be changed.
    Leave,
    /// It is set up to this UID; those where it was new show their flags.
    SetTo(Uid, UidSet),
    /// It is being set on `runs`.
    Setting,
}

/// A STORE that is being answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Storing {
    silent: bool,
    by_uid: bool,
}

impl Fetching {
    pub(super) fn held(&self) -> usize {
        size_of::<Self>() + self.uids.held() + self.runs.capacity() * size_of::<Run>()
    }
}

impl Session {
    pub(super) fn on_fetch(&mut self, cursor: &mut Cursor<'_>, by_uid: bool) -> Result<(), Error> {
        cursor.space()?;
        let numbers = Numbers::parse(cursor)?;
        cursor.space()?;
        let mut items = fetch::items(cursor)?;
        cursor.end()?;
        let Phase::Selected(mailbox) = &self.phase else {
            return Err(Error::State("No mailbox is selected"));
        };
        let uids = numbers.resolve(&mailbox.view, &mailbox.saved, by_uid)?;
        if by_uid {
            // RFC 3501 §6.4.8: every response has the UID.
            items.fixed |= Fixed::UID;
        }
        let seen = match items.sets_seen() && !mailbox.read_only {
            true => Seen::SetTo(Uid(0), UidSet::new()),
            false => Seen::Leave,
        };
        let items = Arc::new(items);
        self.next_batch(Box::new(Fetching {
            uids,
            next: Uid(1),
            items,
            by_uid,
            seen,
            runs: Vec::new(),
        }));
        Ok(())
    }

    /// Asks for the next rows, or sets `\Seen` on their messages first, or ends.
    pub(super) fn next_batch(&mut self, mut fetching: Box<Fetching>) {
        let Phase::Selected(mailbox) = &self.phase else { return };
        fetching.runs = mailbox.view.runs(&fetching.uids, fetching.next);
        let Some(first) = fetching.runs.first() else {
            return self.finish(Reply::ok("Done"));
        };
        if let Seen::SetTo(upto, _) = &fetching.seen {
            if first.uid > *upto {
                shorten(&mut fetching.runs, SEEN_AHEAD);
                let uids = fetching
                    .runs
                    .iter()
                    .map(|run| (run.uid.0, run.uid.0 + (run.count - 1)))
                    .collect();
                fetching.seen = Seen::Setting;
                let flags = Flags { system: SystemFlags::SEEN, keywords: Vec::new() };
                self.ask(Ask::Store {
                    uids,
                    action: StoreAction::Add,
                    flags,
                    silent: true,
                    unchanged_since: None,
                });
                self.work = Work::Fetch(fetching);
                return;
            }
            let upto = *upto;
            fetching.runs.retain_mut(|run| {
                run.count = run.count.min((upto.0 + 1).saturating_sub(run.uid.0));
                run.count > 0
            });
        }
        self.ask_rows(fetching);
    }

    fn ask_rows(&mut self, fetching: Box<Fetching>) {
        let Phase::Selected(mailbox) = &self.phase else { return };
        let also_flags = match &fetching.seen {
            Seen::SetTo(_, uids) => uids.clone(),
            Seen::Leave | Seen::Setting => UidSet::new(),
        };
        let ask = FetchAsk {
            runs: fetching.runs.clone(),
            items: Arc::clone(&fetching.items),
            also_flags,
            budget: self.limits().unsent,
            by_uid: fetching.by_uid,
            recent: Arc::clone(&mailbox.recent),
        };
        self.ask(Ask::Fetch(ask));
        self.work = Work::Fetch(fetching);
    }

    pub(super) fn on_fetch_answer(&mut self, mut fetching: Box<Fetching>, answer: Answer) {
        match (&fetching.seen, answer) {
            (Seen::Setting, answer) => {
                let last = fetching
                    .runs
                    .last()
                    .map_or(fetching.next, |run| Uid(run.uid.0 + (run.count - 1)));
                // A disk that takes no flag is no reason not to show the mail.
                let mut changed = UidSet::new();
                if let Answer::Stored(stored) = answer {
                    if !self.depends_on(stored.position) {
                        return;
                    }
                    changed = stored.changed;
                }
                fetching.seen = Seen::SetTo(last, changed);
                self.ask_rows(fetching);
            }
            (_, Answer::Rows { pieces, served, position }) => {
                if !self.depends_on(position) {
                    return;
                }
                for piece in pieces {
                    self.out.piece(piece);
                }
                match after(&fetching.runs, served) {
                    Some(next) => {
                        fetching.next = next;
                        self.work = Work::Fetch(fetching);
                    }
                    // The last UID there can be was served.
                    None if served > 0 => self.finish(Reply::ok("Done")),
                    None => self.finish(Reply::no(Some(Code::ServerBug), "Internal error")),
                }
            }
            (_, answer) => self.finish(Reply::refusal(answer)),
        }
    }

    pub(super) fn on_store(&mut self, cursor: &mut Cursor<'_>, by_uid: bool) -> Result<(), Error> {
        cursor.space()?;
        let numbers = Numbers::parse(cursor)?;
        cursor.space()?;
        let action = if cursor.skip(b"+") {
            StoreAction::Add
        } else if cursor.skip(b"-") {
            StoreAction::Remove
        } else {
            StoreAction::Replace
        };
        if !cursor.skip(b"FLAGS") {
            return Err(Error::Expected("FLAGS"));
        }
        let silent = cursor.skip(b".SILENT");
        cursor.space()?;
        let limit = self.limits().keywords;
        let flags = if cursor.peek() == Some(b'(') {
            cursor.flags(limit)?
        } else {
            let mut flags = Flags::default();
            cursor.flag(&mut flags, limit)?;
            while cursor.skip(b" ") {
                cursor.flag(&mut flags, limit)?;
            }
            flags
        };
        cursor.end()?;
        let Phase::Selected(mailbox) = &self.phase else {
            return Err(Error::State("No mailbox is selected"));
        };
        let uids = numbers.resolve(&mailbox.view, &mailbox.saved, by_uid)?;
        if mailbox.read_only {
            self.finish(Reply::no(Some(Code::NoPerm), "Mailbox is read-only"));
        } else if uids.is_empty() {
            self.finish(Reply::ok("Nothing to do"));
        } else {
            self.ask(Ask::Store { uids, action, flags, silent, unchanged_since: None });
            self.work = Work::Store(Storing { silent, by_uid });
        }
        Ok(())
    }

    pub(super) fn on_stored(&mut self, storing: Storing, stored: Stored) {
        if !self.depends_on(stored.position) {
            return;
        }
        let Phase::Selected(mailbox) = &mut self.phase else { return };
        if let Some(keywords) = stored.keywords {
            mailbox.keywords = keywords;
            self.told.push_back(Tell::Keywords);
        }
        if !storing.silent {
            let rev2 = self.names == crate::parse::Names::Rev2;
            self.told.push_back(Tell::Flags {
                rows: stored.rows.into_iter(),
                uid: storing.by_uid || rev2,
            });
        }
        self.finish(Reply::ok("Stored"));
    }
}

/// `\Seen` is set on so many messages ahead of showing them.
const SEEN_AHEAD: u32 = 128;

/// Leaves the first `count` messages.
fn shorten(runs: &mut Vec<Run>, mut count: u32) {
    runs.retain_mut(|run| {
        run.count = run.count.min(count);
        count -= run.count;
        run.count > 0
    });
}

/// The UID behind the first `served` messages; `None` when there is none, or none was served.
fn after(runs: &[Run], served: u32) -> Option<Uid> {
    let mut left = served.checked_sub(1)?;
    for run in runs {
        if left < run.count {
            return (run.uid.0 + left).checked_add(1).map(Uid);
        }
        left -= run.count;
    }
    // More than was asked for: all of it.
    runs.last().and_then(|run| (run.uid.0 + (run.count - 1)).checked_add(1)).map(Uid)
}
