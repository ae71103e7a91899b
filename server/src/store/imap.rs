//! What an IMAP session asks, answered by the store.
//!
//! Everything an answer tells carries the position of the last change it may reflect. What is quick is answered at
//! once; what reads a disk or looks at many messages is handed back as work for another thread.

mod append;
mod fetch;
mod read_ahead;
mod search;
mod sort;
mod source;
mod thread;
mod wants;

#[cfg(test)]
pub(crate) use source::Source;

use super::account::Account;
use super::error::StoreError;
use super::mailbox::Mbox;
use super::message::{Handle, ReadError};
use super::ops::{Named, Storing};
use super::store::Store;
use crate::signal::Signal;
use crate::slices::Slices;
use append::Append;
use imap_proto::fetch::DecodedPart;
use imap_proto::{
    Answer, Ask, Blob, Changes, Code, Cursor, FlagRow, Flags, Keyword, MailboxId, MailboxName,
    ModSeq, NameEntry, Position, Selected, SpecialUse, Status, SystemFlags, Uid, UidSet,
    UidValidity,
};
use index_format::list::{self, Entry};
use index_format::mailbox::{Parts, Row};
use index_format::{Guid, Keywords};
use read_ahead::ReadAhead;
use std::borrow::Cow;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Messages that one command may name and still be served on the executor's thread.
const INLINE: u64 = 4096;
/// The same where one column is looked at: a few hundred microseconds.
const COLUMN_INLINE: u64 = 64 * INLINE;

/// One logged-in IMAP connection, as the store sees it.
pub struct ImapUser {
    store: Arc<Store>,
    account: Arc<Account>,
    /// Whether the account knows this session: not of its work on other threads.
    entered: bool,
    signal: Arc<Signal>,
    /// Tells this connection from others in a mailbox's feed; never 0.
    session: u64,
    selected: Option<View>,
    append: Option<Append>,
    /// The last batch of FETCH ended for what it had read: the next is no work for an executor's thread.
    reads_much: bool,
    /// What the present FETCH of many messages, or the last one, reads ahead.
    ahead: Option<Arc<ReadAhead>>,
    /// See [`ImapUser::take_position`]; shared with work on other threads.
    depends: Arc<AtomicU64>,
}

/// The selected mailbox.
struct View {
    guid: Guid,
    examine: bool,
    /// What is `\Recent` to this session.
    recent: UidSet,
}

/// An answer, or the work that gives it.
pub enum Handled {
    /// The answer.
    Now(Answer),
    /// To be run where waiting does no harm.
    Work(Box<dyn FnOnce() -> Answer + Send>),
    /// To be run slice by slice where computing does no harm.
    Slices(Box<dyn Slices<Result = Answer>>),
}

impl ImapUser {
    /// A session of `account`; [`signal::CHANGED`](crate::signal::CHANGED) is raised on `signal` when its selected
    /// mailbox changes, [`signal::GIVEN_UP`](crate::signal::GIVEN_UP) when nothing more can be had of the account: whoever
    /// asks is refused then.
    pub fn new(store: Arc<Store>, account: Arc<Account>, signal: Arc<Signal>) -> Self {
        static SESSIONS: AtomicU64 = AtomicU64::new(1);
        let session = SESSIONS.fetch_add(1, Ordering::Relaxed);
        account.enter(session, &signal);
        Self {
            store,
            account,
            entered: true,
            signal,
            session,
            selected: None,
            append: None,
            reads_much: false,
            ahead: None,
            depends: Arc::default(),
        }
    }

    /// Answers everything but a log-in.
    pub fn ask(&mut self, ask: Ask) -> Handled {
        match self.handle(ask) {
            Handled::Now(answer) => {
                Handled::Now(hold_refusal(answer, &self.account, &self.depends))
            }
            Handled::Work(work) => {
                let (account, depends) = (self.account.clone(), self.depends.clone());
                Handled::Work(Box::new(move || hold_refusal(work(), &account, &depends)))
            }
            slices @ Handled::Slices(_) => slices,
        }
    }

    fn handle(&mut self, ask: Ask) -> Handled {
        if let Ask::Fetch(ask) = ask {
            return self.fetch(ask);
        }
        if let Ask::Search { program } = ask {
            return self.search(program);
        }
        if let Ask::Sort { program, order } = ask {
            return self.sort(program, order);
        }
        if let Ask::Thread { program, algorithm } = ask {
            return self.thread(program, algorithm);
        }
        if matches!(ask, Ask::AppendCommit) {
            return self.append_commit();
        }
        if self.takes_long(&ask) {
            return self.later(ask);
        }
        let answer = self.answer(ask);
        Handled::Now(answer.unwrap_or_else(|error| refusal(&error, false)))
    }

    /// The same on another thread: this object's own state is not needed for it.
    fn later(&self, ask: Ask) -> Handled {
        let mut this = Self {
            store: self.store.clone(),
            account: self.account.clone(),
            entered: false,
            signal: self.signal.clone(),
            session: self.session,
            selected: self.selected.as_ref().map(|view| View { recent: UidSet::new(), ..*view }),
            append: None,
            reads_much: false,
            ahead: None,
            depends: self.depends.clone(),
        };
        Handled::Work(Box::new(move || {
            let answer = this.answer(ask).unwrap_or_else(|error| refusal(&error, false));
            // Dropped with a view it would end the following of the session that still has it.
            drop(this.selected.take());
            answer
        }))
    }

    /// Whether many messages are concerned.
    fn takes_long(&self, ask: &Ask) -> bool {
        if let Ask::Store { uids, .. } | Ask::Copy { uids, .. } = ask {
            return uids.len() > INLINE;
        }
        if let Ask::ChangedSince { uids, .. } = ask {
            return uids.len() > COLUMN_INLINE;
        }
        matches!(ask, Ask::Expunge { .. } | Ask::Delete { .. } | Ask::Rename { .. })
            && self.is_big()
    }

    fn is_big(&self) -> bool {
        let Some(view) = &self.selected else { return false };
        let state = self.account.lock();
        state.is_ok_and(|state| {
            state.mailboxes.get(&view.guid).is_some_and(|mbox| mbox.mailbox.len() as u64 > INLINE)
        })
    }

    fn answer(&mut self, ask: Ask) -> Result<Answer, StoreError> {
        match ask {
            Ask::Names => self.names(),
            Ask::Status { mailbox, .. } => self.status(&mailbox),
            Ask::Select { mailbox, examine } => self.select(&mailbox, examine),
            Ask::Unselect => {
                self.unselect();
                Ok(done(0))
            }
            Ask::Create { mailbox, special_use } => {
                let uses = special_use_bits(&special_use);
                let (guid, position) = self.store.create(&self.account, mailbox.as_str(), uses)?;
                let (mailbox_id, position) = (mailbox_id(guid), Position(position));
                Ok(Answer::Created { mailbox_id, position })
            }
            Ask::Delete { mailbox } => self.store.delete(&self.account, mailbox.as_str()).map(done),
            Ask::Rename { from, to } => {
                self.store.rename(&self.account, from.as_str(), to.as_str()).map(done)
            }
            Ask::Subscribe { mailbox, on } => {
                self.store.subscribe(&self.account, mailbox.as_str(), on).map(done)
            }
            Ask::AppendOpen { mailbox, flags, date, size, first, .. } => {
                self.append_open(&mailbox, flags, date, size, first)
            }
            Ask::AppendAbort => {
                self.append = None;
                Ok(done(0))
            }
            Ask::Store { uids, action, flags, rows, unchanged_since } => {
                let guid = self.writable_view(true)?;
                let keywords: Vec<&str> = flags.keywords.iter().map(Keyword::as_str).collect();
                let system = index_format::Flags(flags.system.0);
                let named = Named { system, keywords: &keywords };
                let storing = Storing { uids: &uids, action, named, unchanged_since, rows };
                let stored =
                    self.store.store_flags(&self.account, (guid, self.session), storing)?;
                Ok(Answer::Stored(stored))
            }
            Ask::Copy { uids, mailbox, moving, exact } => {
                let guid = self.writable_view(moving)?;
                let copied = match self.store.copy(
                    &self.account,
                    (guid, self.session),
                    (&uids, exact),
                    mailbox.as_str(),
                    moving,
                ) {
                    Ok(copied) => copied,
                    Err(error) => return Ok(refusal(&error, true)),
                };
                Ok(Answer::Copied {
                    uidvalidity: UidValidity(copied.uidvalidity),
                    from: copied.from,
                    to: copied.to,
                    position: Position(copied.position),
                })
            }
            Ask::Expunge { uids } => {
                let guid = self.writable_view(true)?;
                self.store.expunge(&self.account, (guid, self.session), uids.as_ref()).map(done)
            }
            Ask::Changes { cursor, may_shrink } => self.changes(cursor, may_shrink),
            Ask::ChangedSince { uids, modseq } => self.changed_since(&uids, modseq),
            Ask::Login { .. }
            | Ask::Fetch(_)
            | Ask::Search { .. }
            | Ask::Sort { .. }
            | Ask::Thread { .. }
            | Ask::AppendCommit => Err(StoreError::Cannot("that is not asked here")),
        }
    }

    /// Takes the next bytes of a message that is being appended.
    pub fn body(&mut self, text: &[u8]) {
        if let Some(append) = &mut self.append {
            append.write(text);
        }
    }

    fn names(&self) -> Result<Answer, StoreError> {
        let state = self.account.lock()?;
        let name = |name: &str| MailboxName::new(name).ok();
        let mut entries: Vec<NameEntry> = state
            .list
            .iter()
            .filter_map(|entry| {
                Some(NameEntry {
                    name: name(&entry.name)?,
                    exists: true,
                    subscribed: state.list.is_subscribed(&entry.name),
                    special_use: special_use(entry.special_use),
                    no_inferiors: false,
                })
            })
            .collect();
        let orphans = state.list.subscriptions().filter(|name| state.list.by_name(name).is_none());
        entries.extend(orphans.filter_map(|orphan| {
            let name = name(orphan)?;
            Some(NameEntry {
                name,
                exists: false,
                subscribed: true,
                special_use: None,
                no_inferiors: false,
            })
        }));
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        let position = state.list_position;
        drop(state);
        self.hold(position);
        Ok(Answer::Names(entries.into()))
    }

    /// What the answer tells depends on `position`, which the answer itself has no place for.
    fn hold(&self, position: u64) {
        self.depends.fetch_max(position, Ordering::Relaxed);
    }

    /// The position that the last answer depends on, where the answer does not say so itself; 0 for none.
    pub fn take_position(&self) -> u64 {
        let position = self.depends.swap(0, Ordering::Relaxed);
        if self.store.durable() >= position { 0 } else { position }
    }

    fn status(&self, name: &MailboxName) -> Result<Answer, StoreError> {
        let mut state = self.account.lock()?;
        let state = &mut *state;
        let entry = state.list.by_name(name.as_str()).ok_or(StoreError::NoMailbox)?;
        let (guid, uidvalidity) = (entry.guid, entry.uidvalidity);
        let (status, position) = match state.mailboxes.get(&guid) {
            Some(mbox) => (loaded_status(mbox), mbox.position),
            None => (unloaded_status(entry, uidvalidity), 0),
        };
        let position = position.max(state.list_position);
        self.hold(position);
        Ok(Answer::Status(status))
    }

    fn select(&mut self, name: &MailboxName, examine: bool) -> Result<Answer, StoreError> {
        self.unselect();
        let mut state = self.account.lock()?;
        let state = &mut *state;
        let entry = state.list.by_name(name.as_str()).ok_or(StoreError::NoMailbox)?;
        let (guid, use_of) = (entry.guid, special_use(entry.special_use));
        let below = |other: &str| {
            other.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        let has_children = state.list.iter().any(|entry| below(&entry.name));
        let mbox = self.account.mailbox_with(&self.store.files, state, guid, Parts::NONE)?;
        let last = mbox.uids.last().unwrap_or_default();
        let recent = mbox.uids.intersect(&UidSet::range(Uid(mbox.recent.0), last));
        let claims = !examine && !recent.is_empty();
        if claims {
            mbox.recent = mbox.mailbox.uidnext();
        }
        let selected = Selected {
            mailbox_id: mailbox_id(guid),
            uidvalidity: UidValidity(mbox.mailbox.uidvalidity()),
            uidnext: Uid(mbox.mailbox.uidnext().0),
            highest_modseq: ModSeq(mbox.mailbox.highest_modseq().0),
            uids: mbox.uids.clone(),
            recent: recent.clone(),
            first_unseen: mbox
                .mailbox
                .first_unseen()
                .and_then(|index| mbox.mailbox.uid(index))
                .map(|uid| Uid(uid.0)),
            keywords: mbox.keywords.to_vec(),
            special_use: use_of,
            has_children,
            read_only: examine,
            cursor: mbox.feed.follow(self.session, self.signal.clone()),
        };
        let position = mbox.position;
        if claims {
            // The list's log learns it with the next counters: reading writes nothing.
            state.dirty.insert(guid);
        }
        self.selected = Some(View { guid, examine, recent });
        self.hold(position.max(state.list_position));
        Ok(Answer::Selected(Box::new(selected)))
    }

    fn unselect(&mut self) {
        if let Some(view) = self.selected.take()
            && let Ok(mut state) = self.account.lock()
            && let Some(mbox) = state.mailboxes.get_mut(&view.guid)
        {
            mbox.feed.unfollow(self.session);
        }
    }

    fn view(&self) -> Result<&View, StoreError> {
        self.selected.as_ref().ok_or(StoreError::Cannot("no mailbox is selected"))
    }

    fn writable_view(&self, writes: bool) -> Result<Guid, StoreError> {
        let view = self.view()?;
        if writes && view.examine {
            return Err(StoreError::Cannot("the mailbox is selected for reading only"));
        }
        Ok(view.guid)
    }

    fn changes(&mut self, cursor: Cursor, may_shrink: bool) -> Result<Answer, StoreError> {
        let Some(view) = &mut self.selected else {
            return Err(StoreError::Cannot("no mailbox is selected"));
        };
        let vanished = Changes { vanished: true, ..Changes::default() };
        let Ok(mut state) = self.account.lock() else {
            return Ok(Answer::Changes(Box::new(vanished)));
        };
        let state = &mut *state;
        let Some(mbox) = state.mailboxes.get_mut(&view.guid) else {
            // Deleted, and that has to last.
            self.hold(state.list_position);
            return Ok(Answer::Changes(Box::new(vanished)));
        };
        let (change, cursor) = mbox.feed.since(self.session, cursor, may_shrink);
        if !change.flags.is_empty() {
            self.account.need(&self.store.files, mbox, Parts::FLAGGED)?;
        }
        let added = change.added.intersect(&mbox.uids);
        let fresh = match added.last() {
            Some(last) => added.intersect(&UidSet::range(Uid(mbox.recent.0), last)),
            None => UidSet::new(),
        };
        if !fresh.is_empty() {
            view.recent = view.recent.union(&fresh);
            if !view.examine {
                mbox.recent = mbox.mailbox.uidnext();
                state.dirty.insert(view.guid);
            }
        }
        let changes = Changes {
            cursor,
            expunged: change.expunged,
            // One that came and went unseen is shown all the same, then goes: numbers stay in step.
            added: change.added,
            recent: fresh,
            flags: flag_rows(mbox, &change.flags),
            keywords: change.keywords.then(|| mbox.keywords.to_vec()),
            highest_modseq: ModSeq(mbox.mailbox.highest_modseq().0),
            withheld: change.withheld,
            position: Position(mbox.position),
            more: false,
            vanished: false,
        };
        Ok(Answer::Changes(Box::new(changes)))
    }
}

impl Drop for ImapUser {
    fn drop(&mut self) {
        self.unselect();
        if self.entered {
            self.account.leave(self.session);
        }
    }
}

/// What was refused may have been refused for another session's change, which must be durable before it shows.
fn hold_refusal(answer: Answer, account: &Account, depends: &AtomicU64) -> Answer {
    if matches!(answer, Answer::No { .. })
        && let Ok(state) = account.lock()
    {
        depends.fetch_max(state.position, Ordering::Relaxed);
    }
    answer
}

/// An answer that something is done.
fn done(position: u64) -> Answer {
    Answer::Done { position: Position(position) }
}

/// A refusal in the words of IMAP; `create` says that CREATE of the target would help.
pub(crate) fn refusal(error: &StoreError, create: bool) -> Answer {
    let (code, text): (Code, Cow<'static, str>) = match error {
        StoreError::NoMailbox if create => (Code::TryCreate, "No such mailbox".into()),
        StoreError::NoMailbox => (Code::NonExistent, "No such mailbox".into()),
        StoreError::MailboxExists => (Code::AlreadyExists, "A mailbox of that name exists".into()),
        StoreError::Gone => (Code::ExpungeIssued, "Some of the messages are gone".into()),
        StoreError::Cannot(why) => (Code::Cannot, Cow::Borrowed(why)),
        StoreError::Limit { what, max } => {
            (Code::Limit, format!("Too many {what}, {max} are allowed").into())
        }
        StoreError::TooLarge { max } => {
            (Code::TooBig, format!("A message may have {max} bytes").into())
        }
        StoreError::Full { .. } => {
            (Code::Unavailable, "There is no room left on the server's disk".into())
        }
        StoreError::Damaged { .. } => {
            tracing::error!(%error, "damage was found");
            (Code::Corruption, "What is stored is damaged; the server's log says more".into())
        }
        StoreError::Io { .. } => {
            tracing::error!(%error, "a command failed");
            (Code::Unavailable, "The server's disk failed; its log says more".into())
        }
        StoreError::Closed => {
            (Code::Unavailable, "The mailboxes are being repaired, try again later".into())
        }
        StoreError::Lost | StoreError::Stopping | StoreError::InUse { .. } => {
            (Code::Unavailable, "That can't be saved now".into())
        }
    };
    Answer::No { code: Some(code), text }
}

/// The flags of those messages of `uids` that are here ([`Parts::FLAGGED`]).
pub(super) fn flag_rows(mbox: &Mbox, uids: &UidSet) -> Vec<FlagRow> {
    let rows = mbox.indexes(uids).into_iter().filter_map(|index| mbox.mailbox.flagged(index));
    rows.map(|row| FlagRow {
        uid: Uid(row.uid.0),
        flags: Flags {
            system: SystemFlags(row.flags.0),
            keywords: keywords_of(&mbox.keywords, row.keywords),
        },
        modseq: ModSeq(row.modseq.0),
    })
    .collect()
}

fn keywords_of(names: &[Keyword], mask: Keywords) -> Vec<Keyword> {
    mask.iter().filter_map(|number| names.get(usize::from(number)).cloned()).collect()
}

fn loaded_status(mbox: &Mbox) -> Status {
    let counters = mbox.mailbox.counters();
    let recent = mbox
        .uids
        .last()
        .map_or(0, |last| count(&mbox.uids.intersect(&UidSet::range(Uid(mbox.recent.0), last))));
    Status {
        messages: counters.messages,
        recent,
        uidnext: Uid(mbox.mailbox.uidnext().0),
        uidvalidity: UidValidity(mbox.mailbox.uidvalidity()),
        unseen: counters.unseen,
        deleted: counters.deleted,
        size: counters.size,
        highest_modseq: ModSeq(mbox.mailbox.highest_modseq().0),
        mailbox_id: mailbox_id(mbox.guid),
    }
}

/// The counters as the list has them: no file of the mailbox is opened.
fn unloaded_status(entry: &Entry, uidvalidity: u32) -> Status {
    let sums = entry.counters.sums;
    let uidnext = entry.counters.uidnext.0.max(1);
    Status {
        messages: sums.messages,
        recent: uidnext.saturating_sub(entry.recent.0.max(1)).min(sums.messages),
        uidnext: Uid(uidnext),
        uidvalidity: UidValidity(uidvalidity),
        unseen: sums.unseen,
        deleted: sums.deleted,
        size: sums.size,
        highest_modseq: ModSeq(entry.counters.modseq.0.max(index_format::ModSeq::new(1, 0).0)),
        mailbox_id: mailbox_id(entry.guid),
    }
}

fn mailbox_id(guid: Guid) -> MailboxId {
    MailboxId(u128::from_be_bytes(guid.0))
}

fn count(uids: &UidSet) -> u32 {
    u32::try_from(uids.len()).unwrap_or(u32::MAX)
}

/// At least these parts of a row that may have been expunged while a view still holds it.
fn row_of(mbox: &Mbox, uid: Uid, parts: Parts) -> Option<Row> {
    let uid = index_format::Uid(uid.0);
    match mbox.mailbox.find(uid) {
        Some(index) => mbox.mailbox.row_with(index, parts),
        None => mbox.feed.grave(uid),
    }
}

fn special_use(bits: list::SpecialUse) -> Option<SpecialUse> {
    SPECIAL_USES.into_iter().find(|(bit, _)| bits.contains(*bit)).map(|(_, use_)| use_)
}

fn special_use_bits(uses: &[SpecialUse]) -> list::SpecialUse {
    let bits = SPECIAL_USES.into_iter().filter(|(_, known)| uses.contains(known));
    list::SpecialUse(bits.fold(0, |sum, (bit, _)| sum | bit.0))
}

const SPECIAL_USES: [(list::SpecialUse, SpecialUse); 7] = [
    (list::SpecialUse::ALL, SpecialUse::All),
    (list::SpecialUse::ARCHIVE, SpecialUse::Archive),
    (list::SpecialUse::DRAFTS, SpecialUse::Drafts),
    (list::SpecialUse::FLAGGED, SpecialUse::Flagged),
    (list::SpecialUse::JUNK, SpecialUse::Junk),
    (list::SpecialUse::SENT, SpecialUse::Sent),
    (list::SpecialUse::TRASH, SpecialUse::Trash),
];

/// Appends a part of a large message, or of a decoded part of one, to `out` as it is sent. Without `wait` it may be only
/// the beginning, as much of it as memory has.
///
/// # Errors
/// The message can't be read; [`io::ErrorKind::WouldBlock`] when a disk would have to be asked for the first of it.
pub fn read_blob(blob: &Blob, range: Range<u64>, wait: bool, out: &mut Vec<u8>) -> io::Result<()> {
    let start = out.len();
    let result = match blob.get::<DecodedPart>() {
        // What was decoded is not decoded again: the next range begins behind it.
        Some(part) => part.read(range, out, |blob, range, out| read_stored(blob, range, wait, out)),
        None => {
            let result = read_stored(blob, range, wait, out);
            // RFC 9051 §6.4.5: BODY[] shows no NUL; 0x80 keeps the octet count. Without a branch for each byte, which the
            // compiler makes into vectors.
            for byte in out.get_mut(start..).unwrap_or_default() {
                *byte |= u8::from(*byte == 0) << 7;
            }
            result
        }
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && out.len() > start => Ok(()),
        result => result,
    }
}

/// Appends a range of a stored message, exactly, or nothing.
fn read_stored(blob: &Blob, range: Range<u64>, wait: bool, out: &mut Vec<u8>) -> io::Result<()> {
    let handle: &Handle = blob.get().ok_or(io::ErrorKind::InvalidInput)?;
    let start = out.len();
    handle.message.read_range(&handle.store, range, wait, out).map_err(|error| {
        out.truncate(start);
        match error {
            ReadError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            ReadError::Store(error) => io::Error::other(error),
        }
    })
}
