//! FETCH and STORE (RFC 3501 §6.4.5, §6.4.6; CHANGEDSINCE and UNCHANGEDSINCE, RFC 7162 §3.1.3, §3.1.4).

use std::sync::Arc;

use super::tell::{FlagsOf, Reply, Shown, Tell, uid_set};
use super::{Phase, Session, Work};
use crate::ask::{Answer, Ask, Code, FetchAsk, Run, StoreAction, Stored, StoredRows};
use crate::fetch::{FetchItems, Fixed};
use crate::parse::condstore::FetchModifiers;
use crate::parse::set::Numbers;
use crate::parse::{Cursor, Error, condstore, fetch};
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
    /// What rows show whose `\Seen` was just set.
    seen_items: Arc<FetchItems>,
    /// What is said behind the last row.
    end: Reply,
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
    /// UNCHANGEDSINCE was said.
    conditional: bool,
}

impl Fetching {
    pub(super) fn held(&self) -> usize {
        let seen_items = match Arc::ptr_eq(&self.items, &self.seen_items) {
            true => 0,
            false => self.seen_items.held(true),
        };
        size_of::<Self>()
            + self.uids.held()
            + self.runs.capacity() * size_of::<Run>()
            + self.items.held(false)
            + seen_items
    }
}

impl Session {
    pub(super) fn on_fetch(&mut self, cursor: &mut Cursor<'_>, by_uid: bool) -> Result<(), Error> {
        cursor.space()?;
        let numbers = Numbers::parse(cursor)?;
        cursor.space()?;
        let mut items = fetch::items(cursor)?;
        let FetchModifiers { changed_since, partial } = condstore::fetch_modifiers(cursor, by_uid)?;
        let Phase::Selected(mailbox) = &self.phase else {
            return Err(Error::State("No mailbox is selected"));
        };
        let mut uids = numbers.resolve(&mailbox.view, &mailbox.saved, by_uid)?;
        if let Some(partial) = partial {
            // RFC 9394 §3.4: of these, CHANGEDSINCE chooses.
            uids = uids.slice(partial.of(usize::try_from(uids.len()).unwrap_or(usize::MAX)));
        }
        if by_uid {
            // RFC 3501 §6.4.8: every response has the UID.
            items.fixed |= Fixed::UID;
        }
        if changed_since.is_some() {
            // RFC 7162 §3.1.4.1: MODSEQ is among the items without being named.
            items.fixed |= Fixed::MODSEQ;
        }
        let seen = match items.sets_seen() && !mailbox.read_only {
            true => Seen::SetTo(Uid(0), UidSet::new()),
            false => Seen::Leave,
        };
        if items.fixed.contains(Fixed::MODSEQ) {
            self.enable_condstore();
        }
        let items = Arc::new(items);
        let seen_items = match &seen {
            Seen::SetTo(..) if self.condstore => {
                // RFC 7162 §3.2.4: that `\Seen` was set is told with both.
                let fixed = items.fixed | Fixed::UID | Fixed::MODSEQ;
                Arc::new(FetchItems { fixed, ..(*items).clone() })
            }
            Seen::SetTo(..) | Seen::Leave | Seen::Setting => Arc::clone(&items),
        };
        let (runs, end) = (Vec::new(), Reply::ok("Done"));
        let fetching =
            Box::new(Fetching { uids, next: Uid(1), items, by_uid, seen, runs, seen_items, end });
        match changed_since {
            Some(modseq) if !fetching.uids.is_empty() => {
                self.ask(Ask::ChangedSince { uids: fetching.uids.clone(), modseq });
                self.work = Work::Fetch(fetching);
            }
            Some(_) | None => self.next_batch(fetching),
        }
        Ok(())
    }

    /// Asks for the next rows, or sets `\Seen` on their messages first, or ends.
    pub(super) fn next_batch(&mut self, mut fetching: Box<Fetching>) {
        let Phase::Selected(mailbox) = &self.phase else { return };
        fetching.runs = mailbox.view.runs(&fetching.uids, fetching.next);
        let Some(first) = fetching.runs.first() else {
            return self.finish(fetching.end);
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
                    rows: StoredRows::None,
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
            seen_items: Arc::clone(&fetching.seen_items),
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
                if let Phase::Selected(mailbox) = &mut self.phase {
                    mailbox.contexts.touch(&changed);
                }
                fetching.seen = Seen::SetTo(last, changed);
                self.ask_rows(fetching);
            }
            (_, Answer::Found { uids, .. }) => {
                // CHANGEDSINCE: of these only is anything shown, and is `\Seen` set on anything.
                fetching.uids = fetching.uids.intersect(&uids);
                self.next_batch(fetching);
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
                    None if served > 0 => self.finish(fetching.end),
                    None => self.finish(Reply::no(Some(Code::ServerBug), "Internal error")),
                }
            }
            (_, answer) => {
                fetching.end = Reply::refusal(answer);
                self.show_seen(fetching);
            }
        }
    }

    /// The command fails, and `\Seen` was set on messages whose rows will not come: nothing else would ever tell the
    /// client, which is owed it as for any change of flags (RFC 3501 §7.4.2, RFC 7162 §3.2.4).
    fn show_seen(&mut self, mut fetching: Box<Fetching>) {
        let Seen::SetTo(_, changed) = std::mem::replace(&mut fetching.seen, Seen::Leave) else {
            return self.finish(fetching.end);
        };
        let mut fixed = Fixed::FLAGS;
        if fetching.by_uid || self.tells_uids() {
            fixed |= Fixed::UID;
        }
        if self.condstore {
            fixed |= Fixed::MODSEQ;
        }
        fetching.items = Arc::new(FetchItems { fixed, ..FetchItems::default() });
        fetching.seen_items = Arc::clone(&fetching.items);
        fetching.uids = changed;
        self.next_batch(fetching);
    }

    pub(super) fn on_store(&mut self, cursor: &mut Cursor<'_>, by_uid: bool) -> Result<(), Error> {
        cursor.space()?;
        let numbers = Numbers::parse(cursor)?;
        cursor.space()?;
        let unchanged_since = condstore::store_modifiers(cursor)?;
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
        let read_only = mailbox.read_only;
        let conditional = unchanged_since.is_some();
        if conditional {
            self.enable_condstore();
        }
        if read_only {
            self.finish(Reply::no(Some(Code::NoPerm), "Mailbox is read-only"));
        } else if uids.is_empty() {
            self.finish(Reply::ok("Nothing to do"));
        } else {
            let rows = match silent {
                // RFC 7162 §3.1.3: the mod-sequence is told even so.
                true if conditional => StoredRows::All,
                true if self.condstore => StoredRows::Changed,
                true => StoredRows::None,
                false => StoredRows::All,
            };
            self.ask(Ask::Store { uids, action, flags, rows, unchanged_since });
            self.work = Work::Store(Storing { silent, by_uid, conditional });
        }
        Ok(())
    }

    pub(super) fn on_stored(&mut self, storing: Storing, stored: Stored) {
        if !self.depends_on(stored.position) {
            return;
        }
        let Phase::Selected(mailbox) = &mut self.phase else { return };
        mailbox.contexts.touch(&stored.changed);
        if let Some(keywords) = stored.keywords {
            mailbox.keywords = keywords;
            self.told.push_back(Tell::Keywords);
        }
        // RFC 7162 §3.1.3: the set is in the numbers that the command used.
        let mut modified = Vec::new();
        if storing.by_uid {
            uid_set(&mut modified, &stored.modified);
        } else {
            let numbers = mailbox.view.numbers(&stored.modified);
            uid_set(&mut modified, &numbers.into_iter().collect());
        }
        if !storing.silent || self.condstore {
            let flags = match storing.silent {
                // Why a message was left alone is told at once, which saves the client a question.
                true => FlagsOf::These(stored.modified),
                false => FlagsOf::All,
            };
            let uid = storing.by_uid || self.tells_uids();
            let shown = Shown { uid, modseq: self.condstore, flags };
            self.told.push_back(Tell::Flags { rows: stored.rows.into_iter(), shown });
        }
        // A UID without a message is no error (RFC 3501 §6.4.8); a number that the client may still use has one.
        let gone = storing.conditional && !storing.by_uid && !stored.gone.is_empty();
        let code = String::from_utf8(modified)
            .ok()
            .filter(|set| !set.is_empty())
            .map(|set| format!("MODIFIED {set}"));
        self.finish(match (code, gone) {
            // RFC 7162 §3.1.3, example 11.
            (Some(code), true) => Reply::no_with(code, "Some messages are gone, others changed"),
            (None, true) => Reply::no(Some(Code::ExpungeIssued), "Some messages are gone"),
            (Some(code), false) => Reply::ok_with(code, "Some messages changed meanwhile"),
            (None, false) => Reply::ok("Stored"),
        });
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
