//! A mailbox store in memory that answers a session: for transcripts, property tests and fuzzing. It keeps what it is
//! told in plain lists and has none of a real store's cleverness, so that it can be believed.

mod driver;
mod message;

pub use driver::{Driver, Happening, run};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ask::{
    Answer, Ask, Changes, Code, FetchAsk, NameEntry, Selected, Status, StoreAction, Stored,
    StoredRows,
};
use crate::date::DateTime;
use crate::fetch::{Rows, SourceError};
use crate::search::Program;
use crate::sort::{Order, Sorter};
use crate::thread::{Algorithm, Threader, Threads};
use crate::types::{
    Cursor, FlagRow, Flags, MailboxId, MailboxName, ModSeq, Position, SpecialUse, SystemFlags, Uid,
    UidSet, UidValidity,
};
use message::{Message, found_answer};

/// Mailboxes, and what the one session that asks has selected.
#[derive(Debug, Default)]
pub struct Model {
    folders: BTreeMap<MailboxName, Folder>,
    subscribed: Vec<MailboxName>,
    selected: Option<MailboxName>,
    /// The last change's place in the journal.
    position: u64,
    validity: u32,
    append: Vec<Pending>,
}

#[derive(Debug, Default)]
struct Folder {
    validity: u32,
    last_uid: u32,
    modseq: u64,
    special_use: Option<SpecialUse>,
    messages: Vec<Message>,
    /// Expunged, but perhaps in a view.
    gone: Vec<Message>,
    events: Vec<Happened>,
    /// Messages up to this UID were told of as recent.
    recent_floor: u32,
}

/// What a session may not know yet.
#[derive(Clone, Copy, Debug)]
enum Happened {
    Added(Uid),
    Expunged(Uid),
    Flags(Uid),
}

#[derive(Debug)]
struct Pending {
    mailbox: MailboxName,
    flags: Flags,
    date: Option<DateTime>,
    text: Vec<u8>,
}

/// When the model's mail arrives.
const ARRIVAL: DateTime = DateTime { seconds: 837_571_465, zone: -420 };

impl Model {
    /// An INBOX with `messages` small messages, UIDs from 1; the password of every user is `pw`.
    #[must_use]
    pub fn new(messages: u32) -> Self {
        let mut model = Self { validity: 6, ..Self::default() };
        model.create(&MailboxName::inbox(), None);
        for number in 1..=messages {
            let text = format!(
                "From: a{number}@example.org\r\nSubject: number {number}\r\n\r\nText {number}.\r\n"
            );
            model.deliver(&MailboxName::inbox(), text.as_bytes());
        }
        model
    }

    /// Answers a question; orders have no answer.
    pub fn answer(&mut self, ask: Ask) -> Option<Answer> {
        Some(match ask {
            Ask::Login { password, .. } if password.expose() == b"pw" => Answer::LoggedIn,
            Ask::Login { .. } => no(None, "Wrong user or password"),
            Ask::Names => Answer::Names(self.names()),
            Ask::Status { mailbox, .. } => match self.folders.get(&mailbox) {
                Some(folder) => Answer::Status(folder.status()),
                None => no(Some(Code::NonExistent), "No such mailbox"),
            },
            Ask::Select { mailbox, examine } => self.select(mailbox, examine),
            Ask::Unselect => {
                self.selected = None;
                return None;
            }
            Ask::Create { mailbox, .. } if self.folders.contains_key(&mailbox) => {
                no(Some(Code::AlreadyExists), "There is such a mailbox")
            }
            Ask::Create { mailbox, special_use } => {
                let validity = self.create(&mailbox, special_use.first().copied());
                let mailbox_id = MailboxId(u128::from(validity));
                Answer::Created { mailbox_id, position: self.step() }
            }
            Ask::Delete { mailbox } => match self.folders.remove(&mailbox) {
                Some(_) => self.done(),
                None => no(Some(Code::NonExistent), "No such mailbox"),
            },
            Ask::Rename { from, to } => self.rename(&from, to),
            Ask::Subscribe { mailbox, on } => {
                self.subscribed.retain(|name| *name != mailbox);
                if on {
                    self.subscribed.push(mailbox);
                }
                self.done()
            }
            Ask::AppendOpen { mailbox, .. } if !self.folders.contains_key(&mailbox) => {
                no(Some(Code::TryCreate), "No such mailbox")
            }
            Ask::AppendOpen { mailbox, flags, date, .. } => {
                self.append.push(Pending { mailbox, flags, date, text: Vec::new() });
                Answer::Proceed
            }
            Ask::AppendCommit => self.append_commit(),
            Ask::AppendAbort => {
                self.append.clear();
                return None;
            }
            Ask::Fetch(ask) => self.fetch(&ask),
            Ask::Store { uids, action, flags, rows, unchanged_since } => {
                self.store(&uids, (action, &flags), rows, unchanged_since)
            }
            Ask::Copy { uids, mailbox, moving, exact } => self.copy(&uids, &mailbox, moving, exact),
            Ask::Expunge { uids } => self.expunge_deleted(uids.as_ref()),
            Ask::Search { program } => self.search(&program),
            Ask::Sort { program, order } => self.sort(&program, &order),
            Ask::Thread { program, algorithm } => self.thread(&program, algorithm),
            Ask::ChangedSince { uids, modseq } => self.changed_since(&uids, modseq),
            Ask::Changes { cursor, may_shrink } => self.changes(cursor, may_shrink),
        })
    }

    /// The next part of the message being appended.
    pub fn body(&mut self, text: &[u8]) {
        if let Some(pending) = self.append.last_mut() {
            pending.text.extend_from_slice(text);
        }
    }

    /// New mail.
    pub fn deliver(&mut self, mailbox: &MailboxName, text: &[u8]) {
        if let Some(folder) = self.folders.get_mut(mailbox) {
            folder.add(Flags::default(), None, text.to_vec());
        }
    }

    /// Another session expunges a message of the INBOX.
    pub fn expunge(&mut self, uid: Uid) {
        if let Some(folder) = self.folders.get_mut(&MailboxName::inbox()) {
            folder.expunge(uid);
        }
    }

    /// Another session flags a message of the INBOX.
    pub fn flag(&mut self, uid: Uid) {
        if let Some(folder) = self.folders.get_mut(&MailboxName::inbox()) {
            folder.events.push(Happened::Flags(uid));
            folder.modseq += 1;
            let modseq = folder.modseq;
            for message in folder.messages.iter_mut().filter(|message| message.uid == uid) {
                message.flags.system |= SystemFlags::FLAGGED;
                message.modseq = modseq;
            }
        }
    }

    /// The messages of a mailbox as they are, ascending; nothing when there is none of that name.
    #[must_use]
    pub fn messages(&self, mailbox: &MailboxName) -> Vec<FlagRow> {
        let rows = |folder: &Folder| folder.messages.iter().map(Message::row).collect();
        self.folders.get(mailbox).map(rows).unwrap_or_default()
    }

    /// A mailbox's highest mod-sequence; `None` when there is none of that name.
    #[must_use]
    pub fn highest_modseq(&self, mailbox: &MailboxName) -> Option<ModSeq> {
        self.folders.get(mailbox).map(|folder| ModSeq(folder.modseq))
    }

    /// The last change's place in the journal.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.position)
    }

    fn step(&mut self) -> Position {
        self.position += 1;
        Position(self.position)
    }

    fn done(&mut self) -> Answer {
        Answer::Done { position: self.step() }
    }

    /// Gives its UIDVALIDITY.
    fn create(&mut self, name: &MailboxName, special_use: Option<SpecialUse>) -> u32 {
        if let Some(parent) = name.parent()
            && !self.folders.contains_key(&parent)
        {
            self.create(&parent, None);
        }
        self.validity += 1;
        let folder =
            Folder { validity: self.validity, modseq: 1, special_use, ..Folder::default() };
        self.folders.insert(name.clone(), folder);
        self.validity
    }

    fn rename(&mut self, from: &MailboxName, to: MailboxName) -> Answer {
        if self.folders.contains_key(&to) {
            return no(Some(Code::AlreadyExists), "There is such a mailbox");
        }
        let Some(folder) = self.folders.remove(from) else {
            return no(Some(Code::NonExistent), "No such mailbox");
        };
        if self.selected.as_ref() == Some(from) {
            self.selected = Some(to.clone());
        }
        self.folders.insert(to, folder);
        self.done()
    }

    fn names(&self) -> Arc<[NameEntry]> {
        let mut names: Vec<&MailboxName> = self.folders.keys().chain(&self.subscribed).collect();
        names.sort_unstable();
        names.dedup();
        let entry = |name: &MailboxName| NameEntry {
            name: name.clone(),
            exists: self.folders.contains_key(name),
            subscribed: self.subscribed.contains(name),
            special_use: self.folders.get(name).and_then(|folder| folder.special_use),
            no_inferiors: false,
        };
        names.into_iter().map(entry).collect()
    }

    fn select(&mut self, mailbox: MailboxName, examine: bool) -> Answer {
        self.selected = None;
        let has_children = self.folders.keys().any(|name| mailbox.is_parent_of(name));
        let Some(folder) = self.folders.get_mut(&mailbox) else {
            return no(Some(Code::NonExistent), "No such mailbox");
        };
        let recent = folder.recent_from(folder.recent_floor);
        if !examine {
            folder.recent_floor = folder.last_uid;
        }
        let unseen = |message: &&Message| !message.flags.system.contains(SystemFlags::SEEN);
        let answer = Selected {
            mailbox_id: MailboxId(u128::from(folder.validity)),
            uidvalidity: UidValidity(folder.validity),
            uidnext: Uid(folder.last_uid + 1),
            highest_modseq: ModSeq(folder.modseq),
            uids: folder.messages.iter().map(|message| message.uid).collect(),
            recent,
            first_unseen: folder.messages.iter().find(unseen).map(|message| message.uid),
            keywords: Vec::new(),
            special_use: folder.special_use,
            has_children,
            read_only: examine,
            cursor: folder.cursor(),
        };
        self.selected = Some(mailbox);
        Answer::Selected(Box::new(answer))
    }

    fn folder(&mut self) -> Option<&mut Folder> {
        self.folders.get_mut(self.selected.as_ref()?)
    }

    fn append_commit(&mut self) -> Answer {
        let pending = std::mem::take(&mut self.append);
        let Some(first) = pending.first() else { return no(None, "Nothing was appended") };
        let Some(folder) = self.folders.get_mut(&first.mailbox) else {
            return no(Some(Code::TryCreate), "No such mailbox");
        };
        let mut uids = UidSet::new();
        for message in pending {
            uids.push(folder.add(message.flags, message.date, message.text));
        }
        let uidvalidity = UidValidity(folder.validity);
        Answer::Appended { uidvalidity, uids, position: self.step() }
    }

    fn fetch(&mut self, ask: &FetchAsk) -> Answer {
        let Some(folder) = self.folder() else { return nothing_selected() };
        let mut rows = Rows::default();
        let mut served = 0;
        for run in &ask.runs {
            for offset in 0..run.count {
                if served > 0 && rows.held() >= ask.budget {
                    let pieces = rows.into_pieces();
                    return Answer::Rows { pieces, served, position: Position(0) };
                }
                let uid = Uid(run.uid.0 + offset);
                let seq = crate::types::Seq(run.seq.0 + offset);
                if let Some(message) = folder.find(uid) {
                    let recent = ask.recent.contains(uid);
                    let (items, with_flags) = ask.items_of(uid);
                    let result = message.render(&mut rows, items, with_flags, seq, recent);
                    // A row that can't be written is left out; only an unknown encoding is told.
                    if result == Err(SourceError::UnknownEncoding) {
                        if served == 0 {
                            return no(Some(Code::UnknownCte), "Transfer encoding is not known");
                        }
                        let pieces = rows.into_pieces();
                        return Answer::Rows { pieces, served, position: Position(0) };
                    }
                }
                served += 1;
            }
        }
        Answer::Rows { pieces: rows.into_pieces(), served, position: Position(0) }
    }

    fn store(
        &mut self,
        uids: &UidSet,
        (action, flags): (StoreAction, &Flags),
        rows: StoredRows,
        unchanged_since: Option<ModSeq>,
    ) -> Answer {
        let Some(folder) = self.folder() else { return nothing_selected() };
        let mut stored = Stored { gone: uids.clone(), ..Stored::default() };
        let next = folder.modseq + 1;
        for message in folder.messages.iter_mut().filter(|message| uids.contains(message.uid)) {
            stored.gone = stored.gone.subtract(&UidSet::range(message.uid, message.uid));
            if unchanged_since.is_some_and(|since| message.modseq > since.0) {
                stored.modified.push(message.uid);
            } else {
                let before = message.flags.clone();
                message.change(action, flags);
                if message.flags != before {
                    message.modseq = next;
                    folder.modseq = next;
                    stored.changed.push(message.uid);
                }
            }
            let told = match rows {
                StoredRows::None => false,
                StoredRows::Changed => stored.changed.contains(message.uid),
                StoredRows::All => true,
            };
            if told {
                stored.rows.push(message.row());
            }
        }
        stored.position = if stored.changed.is_empty() { Position(0) } else { self.step() };
        Answer::Stored(stored)
    }

    fn copy(&mut self, uids: &UidSet, mailbox: &MailboxName, moving: bool, exact: bool) -> Answer {
        if !self.folders.contains_key(mailbox) {
            return no(Some(Code::TryCreate), "No such mailbox");
        }
        let Some(folder) = self.folder() else { return nothing_selected() };
        let found: Vec<Message> =
            folder.messages.iter().filter(|message| uids.contains(message.uid)).cloned().collect();
        let from: UidSet = found.iter().map(|message| message.uid).collect();
        if exact && from != *uids {
            return no(Some(Code::ExpungeIssued), "Some messages are gone");
        }
        if moving {
            for uid in from.iter() {
                folder.expunge(uid);
            }
        }
        let Some(target) = self.folders.get_mut(mailbox) else { return nothing_selected() };
        let mut to = UidSet::new();
        for message in found {
            let uid = target.add(message.flags, Some(message.date), message.text);
            if let Some(copy) = target.messages.last_mut() {
                copy.email_id = message.email_id;
            }
            to.push(uid);
        }
        let uidvalidity = UidValidity(target.validity);
        Answer::Copied { uidvalidity, from, to, position: self.step() }
    }

    fn expunge_deleted(&mut self, uids: Option<&UidSet>) -> Answer {
        let Some(folder) = self.folder() else { return nothing_selected() };
        let deleted: Vec<Uid> = folder
            .messages
            .iter()
            .filter(|message| message.flags.system.contains(SystemFlags::DELETED))
            .map(|message| message.uid)
            .filter(|uid| uids.is_none_or(|uids| uids.contains(*uid)))
            .collect();
        for uid in deleted {
            folder.expunge(uid);
        }
        self.done()
    }

    fn search(&mut self, program: &Program) -> Answer {
        let Some(folder) = self.folder() else { return nothing_selected() };
        let floor = folder.recent_floor;
        let program = folder.with_threads(program);
        let found = folder.messages.iter().filter(|message| message.matches(&program, floor));
        found_answer(found)
    }

    fn sort(&mut self, program: &Program, order: &Arc<Order>) -> Answer {
        let Some(folder) = self.folder() else { return nothing_selected() };
        let floor = folder.recent_floor;
        let program = folder.with_threads(program);
        let found = folder.messages.iter().filter(|message| message.matches(&program, floor));
        let Answer::Found { uids, mut modseqs } = found_answer(found) else {
            return nothing_selected();
        };
        let mut sorter = Sorter::new(Arc::clone(order), &uids);
        while !sorter.is_done() {
            let wanted: Vec<Uid> = sorter.wanted().collect();
            for uid in wanted {
                match folder.find(uid) {
                    Some(message) => message.give(&mut sorter),
                    None => sorter.give_bare(None),
                }
            }
            sorter.go_on(|| false);
        }
        let uids = sorter.into_uids();
        let modseq = |uid: Option<&Uid>| folder.row(*uid?).map(|row| row.modseq);
        modseqs.first = modseq(uids.first()).unwrap_or_default();
        modseqs.last = modseq(uids.last()).unwrap_or_default();
        Answer::Sorted { uids, modseqs }
    }

    fn thread(&mut self, program: &Program, algorithm: Algorithm) -> Answer {
        let Some(folder) = self.folder() else { return nothing_selected() };
        let floor = folder.recent_floor;
        let program = folder.with_threads(program);
        let found: Vec<&Message> =
            folder.messages.iter().filter(|message| message.matches(&program, floor)).collect();
        Answer::Threaded(Arc::new(threads(&found, algorithm)))
    }

    fn changed_since(&mut self, uids: &UidSet, modseq: ModSeq) -> Answer {
        let Some(folder) = self.folder() else { return nothing_selected() };
        let found = folder.messages.iter().filter(|message| message.modseq > modseq.0);
        found_answer(found.filter(|message| uids.contains(message.uid)))
    }

    fn changes(&mut self, cursor: Cursor, may_shrink: bool) -> Answer {
        let Some(folder) = self.folder() else {
            return Answer::Changes(Box::new(Changes { vanished: true, ..Changes::default() }));
        };
        let mut changes = Changes {
            cursor: folder.cursor(),
            highest_modseq: ModSeq(folder.modseq),
            ..Changes::default()
        };
        let [told, told_expunged] = cursor.0;
        let since = |from: u64| folder.events.iter().skip(from as usize);
        for event in since(told) {
            match *event {
                Happened::Added(uid) => changes.added.push(uid),
                Happened::Flags(uid) => changes.flags.extend(folder.row(uid)),
                Happened::Expunged(_) => {}
            }
        }
        if may_shrink {
            for event in since(told_expunged) {
                if let Happened::Expunged(uid) = *event {
                    changes.expunged.push(uid);
                }
            }
        } else {
            changes.withheld =
                since(told_expunged).any(|event| matches!(event, Happened::Expunged(_)));
            changes.cursor.0[1] = told_expunged;
        }
        changes.flags.sort_by_key(|row| row.uid);
        changes.recent = changes.added.clone();
        folder.recent_floor = folder.last_uid;
        Answer::Changes(Box::new(changes))
    }
}

/// These messages put together.
fn threads(messages: &[&Message], algorithm: Algorithm) -> Threads {
    let uids = messages.iter().map(|message| message.uid).collect();
    let mut threader = Threader::new(algorithm, &uids);
    messages.iter().for_each(|message| message.thread(&mut threader));
    threader.go_on(|| false);
    threader.into_threads()
}

impl Folder {
    /// The program with all that has to be known of threads before.
    fn with_threads(&self, program: &Program) -> Program {
        let mut program = program.clone();
        while let Some((algorithm, inner)) = program.needs_threads() {
            let inner = self.with_threads(inner);
            let floor = self.recent_floor;
            let found = self.messages.iter().filter(|message| message.matches(&inner, floor));
            let found: UidSet = found.map(|message| message.uid).collect();
            let all: Vec<&Message> = self.messages.iter().collect();
            program = program.with_threads(threads(&all, algorithm).around(&found));
        }
        program
    }

    fn cursor(&self) -> Cursor {
        Cursor([self.events.len() as u64; 2])
    }

    fn recent_from(&self, floor: u32) -> UidSet {
        self.messages.iter().map(|message| message.uid).filter(|uid| uid.0 > floor).collect()
    }

    fn add(&mut self, flags: Flags, date: Option<DateTime>, text: Vec<u8>) -> Uid {
        self.last_uid += 1;
        self.modseq += 1;
        let uid = Uid(self.last_uid);
        let date = date.unwrap_or(ARRIVAL);
        // What is copied gets the id of its original afterwards.
        let email_id = u128::from(self.validity) << 32 | u128::from(uid.0);
        self.messages.push(Message { uid, flags, date, modseq: self.modseq, email_id, text });
        self.events.push(Happened::Added(uid));
        uid
    }

    fn expunge(&mut self, uid: Uid) {
        if let Some(at) = self.messages.iter().position(|message| message.uid == uid) {
            self.gone.push(self.messages.remove(at));
            self.events.push(Happened::Expunged(uid));
            self.modseq += 1;
        }
    }

    fn find(&self, uid: Uid) -> Option<&Message> {
        self.messages.iter().chain(&self.gone).find(|message| message.uid == uid)
    }

    fn row(&self, uid: Uid) -> Option<FlagRow> {
        self.find(uid).map(Message::row)
    }

    fn status(&self) -> Status {
        let count = |flag: SystemFlags| {
            self.messages.iter().filter(|message| message.flags.system.contains(flag)).count()
                as u32
        };
        let messages = self.messages.len() as u32;
        Status {
            messages,
            recent: self.recent_from(self.recent_floor).len() as u32,
            uidnext: Uid(self.last_uid + 1),
            uidvalidity: UidValidity(self.validity),
            unseen: messages - count(SystemFlags::SEEN),
            deleted: count(SystemFlags::DELETED),
            size: self.messages.iter().map(|message| message.text.len() as u64).sum(),
            highest_modseq: ModSeq(self.modseq),
            mailbox_id: MailboxId(u128::from(self.validity)),
        }
    }
}

fn no(code: Option<Code>, text: &'static str) -> Answer {
    Answer::No { code, text: text.into() }
}

fn nothing_selected() -> Answer {
    no(Some(Code::ServerBug), "No mailbox is selected")
}
