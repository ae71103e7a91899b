//! FETCH: rows of one batch, from columns alone where that is enough, else with the messages read.

use super::source::Source;
use super::{Handled, ImapUser, refusal, row_of};
use crate::store::account::{Account, State};
use crate::store::error::StoreError;
use crate::store::message::{Message, ReadError};
use crate::store::store::Store;
use dbox_format::map::MapId;
use imap_proto::date::DateTime;
use imap_proto::fetch::{Fixed, Keywords, Meta, Rows, SourceError, render_row};
use imap_proto::{
    Answer, Code, FetchAsk, Keyword, ModSeq, Position, Seq, SystemFlags, Uid, UidSet,
};
use index_format::Guid;
use index_format::mailbox::Row;
use std::sync::Arc;

/// One row to be rendered once the account's lock is released.
struct Wanted {
    seq: Seq,
    row: Row,
    message: Option<Message>,
}

/// What a batch needs, apart from the session: it may run on another thread.
#[derive(Clone)]
struct Batch {
    store: Arc<Store>,
    account: Arc<Account>,
    guid: Guid,
    recent: Arc<UidSet>,
    ask: FetchAsk,
}

impl ImapUser {
    pub(super) fn fetch(&mut self, ask: FetchAsk) -> Handled {
        let view = match self.view() {
            Ok(view) => view,
            Err(error) => return Handled::Now(refusal(&error, false)),
        };
        let batch = Batch {
            store: self.store.clone(),
            account: self.account.clone(),
            guid: view.guid,
            recent: ask.recent.clone(),
            ask,
        };
        match batch.rows(false) {
            Ok(answer) => Handled::Now(answer),
            Err(ReadError::Store(error)) => Handled::Now(refusal(&error, false)),
            Err(ReadError::WouldBlock) => Handled::Work(Box::new(move || match batch.rows(true) {
                Ok(answer) => answer,
                Err(ReadError::Store(error)) => refusal(&error, false),
                // Asked to wait, nothing would block.
                Err(ReadError::WouldBlock) => refusal(&StoreError::Lost, false),
            })),
        }
    }
}

impl Batch {
    fn rows(&self, wait: bool) -> Result<Answer, ReadError> {
        if self.ask.items.meta_only() {
            self.meta_rows().map_err(ReadError::Store)
        } else {
            self.full_rows(wait)
        }
    }

    /// Rows that columns answer: rendered under the lock, without a copy of anything.
    fn meta_rows(&self) -> Result<Answer, StoreError> {
        let mut state = self.account.lock()?;
        let state = &mut *state;
        self.account.mailbox(&self.store.files, state, self.guid)?;
        let Some(mbox) = state.mailboxes.get(&self.guid) else { return Err(StoreError::NoMailbox) };
        let needs_guid = self.ask.items.fixed.contains(Fixed::EMAILID);
        let mut rows = Rows::with_capacity(self.ask.budget.min(64 << 10) + 512);
        let mut served = 0;
        'runs: for run in &self.ask.runs {
            let mut next = mbox.mailbox.find(index_format::Uid(run.uid.0));
            for step in 0..run.count {
                let uid = Uid(run.uid.0 + step);
                let found =
                    next.filter(|&index| mbox.mailbox.uid(index) == Some(index_format::Uid(uid.0)));
                let row = match found.and_then(|index| mbox.mailbox.row(index)) {
                    Some(row) => Some(row),
                    None => row_of(mbox, uid),
                };
                next = match found {
                    Some(index) => Some(index + 1),
                    None => mbox.mailbox.find(index_format::Uid(uid.0.saturating_add(1))),
                };
                served += 1;
                let Some(row) = row else { continue };
                let guid = if needs_guid { email_id(state, &row) } else { Some(0) };
                // Without a message there is no id to show, and one that is wrong would be kept for good.
                let Some(guid) = guid else { continue };
                let bits = [row.keywords.0];
                let meta = self.meta(&row, &mbox.keywords, &bits, guid);
                let (items, with_flags) = self.ask.items_of(uid);
                let mut none = Source::new(&self.store, false);
                // Nothing is asked of the source, so nothing can fail.
                let seq = Seq(run.seq.0 + step);
                let _ = render_row(&mut rows, items, with_flags, seq, &meta, &mut none);
                if rows.held() >= self.ask.budget {
                    break 'runs;
                }
            }
        }
        Ok(Answer::Rows { pieces: rows.into_pieces(), served, position: Position(mbox.position) })
    }

    fn full_rows(&self, wait: bool) -> Result<Answer, ReadError> {
        let (wanted, complete, keywords, position) = self.look_up().map_err(ReadError::Store)?;
        let mut rows = Rows::with_capacity(self.ask.budget.min(64 << 10) + 4096);
        let mut source = Source::new(&self.store, wait);
        let mut served = 0;
        for (skipped, wanted) in &wanted {
            served += skipped + 1;
            source.set(wanted.message.as_ref());
            let bits = [wanted.row.keywords.0];
            let guid =
                wanted.message.as_ref().map_or(0, |message| u128::from_be_bytes(message.guid));
            let meta = self.meta(&wanted.row, &keywords, &bits, guid);
            let (items, with_flags) = self.ask.items_of(meta.uid);
            match render_row(&mut rows, items, with_flags, wanted.seq, &meta, &mut source) {
                // A row that can't be had is left out (RFC 2180 §4.1.2); the log has the reason.
                Ok(()) | Err(SourceError::Gone) => {}
                Err(error) => match source.error.take() {
                    Some(ReadError::WouldBlock) => return Err(ReadError::WouldBlock),
                    // What is read so far goes out; the damaged one is refused when it comes first.
                    Some(ReadError::Store(_)) | None if served > skipped + 1 => {
                        served -= 1;
                        break;
                    }
                    Some(ReadError::Store(error)) => return Err(ReadError::Store(error)),
                    None if error == SourceError::UnknownEncoding => {
                        let text = "Transfer encoding is not known".into();
                        return Ok(Answer::No { code: Some(Code::UnknownCte), text });
                    }
                    None => {
                        let why = format!("message {}: {error}", meta.uid.0);
                        return Err(ReadError::Store(StoreError::damaged(self.account.dir(), why)));
                    }
                },
            }
            if rows.held() >= self.ask.budget {
                return Ok(Answer::Rows {
                    pieces: rows.into_pieces(),
                    served,
                    position: Position(position),
                });
            }
        }
        let all: u32 = self.ask.runs.iter().map(|run| run.count).sum();
        let served = if complete && self.is_whole(&wanted, served) { all } else { served };
        Ok(Answer::Rows {
            pieces: rows.into_pieces(),
            served: served.max(1),
            position: Position(position),
        })
    }

    /// Whether all wanted rows were served, so that the ones behind them, which are gone, are served too.
    fn is_whole(&self, wanted: &[(u32, Wanted)], served: u32) -> bool {
        wanted.iter().map(|(skipped, _)| skipped + 1).sum::<u32>() == served
    }

    /// The rows with their messages' places: each with how many before it are gone.
    #[allow(clippy::type_complexity, reason = "taken apart at once")]
    fn look_up(&self) -> Result<(Vec<(u32, Wanted)>, bool, Arc<[Keyword]>, u64), StoreError> {
        let mut state = self.account.lock()?;
        let state = &mut *state;
        self.account.mailbox(&self.store.files, state, self.guid)?;
        let Some(mbox) = state.mailboxes.get(&self.guid) else { return Err(StoreError::NoMailbox) };
        let mut wanted = Vec::new();
        let mut skipped = 0;
        let mut bytes = 0;
        let mut complete = true;
        'runs: for run in &self.ask.runs {
            for step in 0..run.count {
                let Some(row) = row_of(mbox, Uid(run.uid.0 + step)) else {
                    skipped += 1;
                    continue;
                };
                let message = Message::find(&self.account, state, MapId(row.map_id.0));
                bytes += row.size;
                wanted.push((skipped, Wanted { seq: Seq(run.seq.0 + step), row, message }));
                skipped = 0;
                // Rows of whole messages reach the budget long before the batch ends.
                if self.ask.items.needs().whole && bytes > 4 * self.ask.budget as u64 {
                    complete = false;
                    break 'runs;
                }
            }
        }
        Ok((wanted, complete, mbox.keywords.clone(), mbox.position))
    }

    fn meta<'a>(&self, row: &Row, names: &'a [Keyword], bits: &'a [u64], guid: u128) -> Meta<'a> {
        meta(row, names, bits, self.recent.contains(Uid(row.uid.0)), guid)
    }
}

/// What names a message's content (RFC 8474 §5.1): copies share their map entry, and so its GUID.
pub(super) fn email_id(state: &State, row: &Row) -> Option<u128> {
    let entry = state.map.get(MapId(row.map_id.0))?;
    Some(u128::from_be_bytes(entry.guid.0))
}

/// The facts of a row.
pub(super) fn meta<'a>(
    row: &Row,
    names: &'a [Keyword],
    bits: &'a [u64],
    recent: bool,
    guid: u128,
) -> Meta<'a> {
    Meta {
        uid: Uid(row.uid.0),
        flags: SystemFlags(row.flags.0),
        recent,
        keywords: Keywords::Table { names, bits },
        internal_date: DateTime { seconds: row.internal_date, zone: 0 },
        size: row.size,
        modseq: ModSeq(row.modseq.0),
        save_date: Some(DateTime { seconds: row.save_date, zone: 0 }),
        email_id: guid,
        guid,
    }
}
