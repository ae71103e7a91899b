//! FETCH: rows of one batch, from columns alone where that is enough, else with the messages read.

use super::read_ahead::ReadAhead;
use super::source::Source;
use super::wants::{of_fetch, parts_of_fetch};
use super::{Handled, ImapUser, refusal, row_of};
use crate::store::account::{Account, State};
use crate::store::cache::Wants;
use crate::store::error::StoreError;
use crate::store::message::{Message, ReadError};
use crate::store::store::Store;
use dbox_format::map::MapId;
use imap_proto::date::DateTime;
use imap_proto::fetch::{FetchItems, Fixed, Keywords, Meta, Rows, SourceError, render_row};
use imap_proto::{
    Answer, Code, FetchAsk, Keyword, ModSeq, Position, Seq, SystemFlags, Uid, UidSet,
};
use index_format::Guid;
use index_format::mailbox::{Parts, Row};
use std::sync::Arc;

/// Messages looked up at once: about as many as fill an answer.
const STEP: usize = 64;
/// Messages from which on the texts of those to come may be read ahead.
const MANY: u64 = 32;
/// Bytes of messages after which a batch ends, however little it says of them, on an executor's thread: about two
/// milliseconds to read and parse. What follows goes to another thread.
const READ: u64 = 1 << 20;
/// The same on the file pool: so a client that is gone soon lets go of the thread.
const READ_APART: u64 = 8 << 20;

/// One row to be rendered once the account's lock is released.
struct Wanted {
    seq: Seq,
    row: Row,
    message: Option<Message>,
}

/// Some rows of a batch, looked up under one lock.
struct Step {
    wanted: Vec<Option<Wanted>>,
    keywords: Arc<[Keyword]>,
    position: u64,
}

/// What a batch needs, apart from the session: it may run on another thread.
#[derive(Clone)]
struct Batch {
    store: Arc<Store>,
    account: Arc<Account>,
    guid: Guid,
    recent: Arc<UidSet>,
    ask: FetchAsk,
    wants: Wants,
    parts: Parts,
    /// What is read ahead, of many messages.
    ahead: Option<Arc<ReadAhead>>,
}

impl ImapUser {
    pub(super) fn fetch(&mut self, ask: FetchAsk) -> Handled {
        let view = match self.view() {
            Ok(view) => view,
            Err(error) => return Handled::Now(refusal(&error, false)),
        };
        let guid = view.guid;
        let continued = self.ahead.take().filter(|ahead| ahead.is_of(&ask.items, guid));
        let many = || {
            (ask.named() >= MANY && !ask.items.meta_only())
                .then(|| Arc::new(ReadAhead::new(ask.items.clone(), guid)))
        };
        self.ahead = continued.or_else(many);
        let batch = Batch {
            store: self.store.clone(),
            account: self.account.clone(),
            guid,
            recent: ask.recent.clone(),
            wants: of_fetch(&ask.items),
            parts: parts_of_fetch(&ask),
            ask,
            ahead: self.ahead.clone(),
        };
        let apart = std::mem::take(&mut self.reads_much) && !batch.ask.items.meta_only();
        if !apart {
            match batch.rows(false) {
                Ok(Batched { answer, much }) => {
                    self.reads_much = much;
                    return Handled::Now(answer);
                }
                Err(ReadError::Store(error)) => return Handled::Now(refusal(&error, false)),
                Err(ReadError::WouldBlock) => {}
            }
        }
        Handled::Work(Box::new(move || match batch.rows(true) {
            Ok(Batched { answer, .. }) => answer,
            Err(ReadError::Store(error)) => refusal(&error, false),
            // Asked to wait, nothing would block.
            Err(ReadError::WouldBlock) => refusal(&StoreError::Lost, false),
        }))
    }
}

/// The rows of a batch, and whether it ended for what it had read.
struct Batched {
    answer: Answer,
    much: bool,
}

/// Why a row can't be given.
enum Failed {
    Read(ReadError),
    /// RFC 3516 §4.3: BINARY of a part whose encoding isn't known.
    UnknownEncoding,
}

impl Batch {
    fn rows(&self, wait: bool) -> Result<Batched, ReadError> {
        if self.ask.items.meta_only() {
            let answer = self.meta_rows().map_err(ReadError::Store)?;
            Ok(Batched { answer, much: false })
        } else {
            let rows = self.full_rows(wait);
            if let (Err(ReadError::Store(_)), Some(ahead)) = (&rows, &self.ahead) {
                ahead.note(false);
            }
            rows
        }
    }

    /// Rows that columns answer: rendered under the lock, without a copy of anything.
    fn meta_rows(&self) -> Result<Answer, StoreError> {
        let mut state = self.account.lock()?;
        let state = &mut *state;
        self.account.mailbox_with(&self.store.files, state, self.guid, self.parts)?;
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
                let row = match found.and_then(|index| mbox.mailbox.row_with(index, self.parts)) {
                    Some(row) => Some(row),
                    None => row_of(mbox, uid, self.parts),
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
                let mut none = Source::new(&self.store, false, &self.wants);
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

    fn full_rows(&self, wait: bool) -> Result<Batched, ReadError> {
        let most = if wait { READ_APART } else { READ };
        let (mut read, mut much) = (0, false);
        let mut rows = Rows::with_capacity(self.ask.budget.min(64 << 10) + 4096);
        let mut served = 0;
        let mut position = 0;
        let mut known = None;
        let (mut texts, mut shown) = (0, 0);
        let ahead = self.ahead.as_ref();
        let row = ahead.and_then(|ahead| ahead.row(&self.store, |upto| self.behind(upto)));
        let mut named = self.named();
        'all: loop {
            let step = self.look_up(named.by_ref().take(STEP)).map_err(ReadError::Store)?;
            if step.wanted.is_empty() {
                break;
            }
            position = position.max(step.position);
            let mut source = Source::of_mailbox(&self.store, wait, self.guid, &self.wants);
            source.held = known;
            source.ahead = row.clone();
            for wanted in &step.wanted {
                served += 1;
                // What is gone has no row and is served with that.
                let Some(wanted) = wanted else { continue };
                shown += 1;
                match self.full_row(&mut rows, wanted, &step.keywords, &mut source) {
                    Ok(()) => {}
                    // What is read so far goes out; the next batch begins with this one.
                    Err(_) if served > 1 => {
                        served -= 1;
                        break 'all;
                    }
                    Err(Failed::Read(error)) => return Err(error),
                    Err(Failed::UnknownEncoding) => {
                        let text = "Transfer encoding is not known".into();
                        let answer = Answer::No { code: Some(Code::UnknownCte), text };
                        return Ok(Batched { answer, much: false });
                    }
                }
                texts += std::mem::take(&mut source.texts);
                much = read + source.read >= most;
                if much || rows.held() >= self.ask.budget {
                    break 'all;
                }
            }
            read += source.read;
            source.set(None);
            known = source.held.take();
        }
        if let Some(ahead) = ahead {
            ahead.note(2 * texts > shown && u64::from(served) < self.ask.named());
        }
        let (pieces, position) = (rows.into_pieces(), Position(position));
        Ok(Batched { answer: Answer::Rows { pieces, served, position }, much })
    }

    /// What the batch is about, in order.
    fn named(&self) -> impl Iterator<Item = (Seq, Uid)> {
        self.ask.runs.iter().flat_map(|run| {
            (0..run.count).map(|step| (Seq(run.seq.0 + step), Uid(run.uid.0 + step)))
        })
    }

    /// The next messages behind `upto`.
    fn behind(&self, upto: Uid) -> Vec<(Uid, Option<Message>)> {
        let named: Vec<_> = self.named().filter(|(_, uid)| *uid > upto).take(STEP).collect();
        // Why they can't be looked up is seen when they are needed.
        let found = self.look_up(named.iter().copied()).map(|step| step.wanted).unwrap_or_default();
        let messages = found.into_iter().map(|wanted| wanted.and_then(|wanted| wanted.message));
        named.into_iter().map(|(_, uid)| uid).zip(messages).collect()
    }

    fn full_row<'a>(
        &self,
        rows: &mut Rows,
        wanted: &'a Wanted,
        keywords: &[Keyword],
        source: &mut Source<'a>,
    ) -> Result<(), Failed> {
        source.set(wanted.message.as_ref());
        let bits = [wanted.row.keywords.0];
        let guid = wanted.message.as_ref().map_or(0, |message| u128::from_be_bytes(message.guid));
        let meta = self.meta(&wanted.row, keywords, &bits, guid);
        let (items, with_flags) = self.ask.items_of(meta.uid);
        match render_row(rows, items, with_flags, wanted.seq, &meta, source) {
            Ok(()) => Ok(()),
            // A row that can't be had is left out (RFC 2180 §4.1.2); the log has the reason. That its `\Seen` was set
            // is told all the same: nothing else would ever tell it (RFC 9051 §7.5.2, RFC 7162 §3.2.4).
            Err(SourceError::Gone) if with_flags => {
                let told = FetchItems { fixed: items.fixed.of_flags(), sections: Vec::new() };
                let _ = render_row(rows, &told, true, wanted.seq, &meta, source);
                Ok(())
            }
            Err(SourceError::Gone) => Ok(()),
            Err(SourceError::UnknownEncoding) => Err(Failed::UnknownEncoding),
            Err(error) => Err(Failed::Read(source.error.take().unwrap_or_else(|| {
                let why = format!("message {}: {error}", meta.uid.0);
                ReadError::Store(StoreError::damaged(self.account.dir(), why))
            }))),
        }
    }

    /// The rows with their messages' places, `None` for those that are gone.
    fn look_up(&self, named: impl Iterator<Item = (Seq, Uid)>) -> Result<Step, StoreError> {
        let mut state = self.account.lock()?;
        let state = &mut *state;
        self.account.mailbox_with(&self.store.files, state, self.guid, self.parts)?;
        let Some(mbox) = state.mailboxes.get(&self.guid) else { return Err(StoreError::NoMailbox) };
        let pending = self.account.pending();
        let wanted = named.map(|(seq, uid)| {
            let row = row_of(mbox, uid, self.parts)?;
            let id = MapId(row.map_id.0);
            let message = Message::find(&self.account, state, &pending, id);
            Some(Wanted { seq, row, message })
        });
        Ok(Step {
            wanted: wanted.collect(),
            keywords: mbox.keywords.clone(),
            position: mbox.position,
        })
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
