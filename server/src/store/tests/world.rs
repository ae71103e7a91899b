//! A store on a simulated disk, the operations of the tests, and the model that says what they lead to.

use crate::slices::{Progress, Turn};
use crate::store::account::Account;
use crate::store::cache::{HeadOf, Wants, header_end};
use crate::store::commit::Outcome;
use crate::store::compact::Wanted;
use crate::store::config::StoreConfig;
use crate::store::delivery::Target;
use crate::store::error::StoreError;
use crate::store::imap::{Handled, ImapUser, Source};
use crate::store::message::Message;
use crate::store::ops::{Named, Storing};
use crate::store::recovery::names;
use crate::store::store::{Random, Store};
use crate::store::threads::{Now, Shelf, Words, fingerprints};
use crate::store::undelete::Which;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dbox_format::attachment::Hash;
use dbox_format::map::MapId;
use imap_proto::fetch::MessageSource;
use imap_proto::mime::header::RawFields;
use imap_proto::mime::{Limits, Parser};
use imap_proto::{Answer, Ask, Flags, MailboxName, StoreAction, StoredRows, SystemFlags, UidSet};
use index_format::list::SpecialUse;
use index_format::mailbox::Row;
use runtime_smol::fs::Fs as _;
use runtime_smol::sim::SimFs;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What a crash test does to the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Op {
    Deliver,
    DeliverLarge,
    Append,
    Store,
    Expunge,
    Copy,
    Move,
    Create,
    Rename,
    Delete,
    Snapshot,
    Rotate,
    LetGo,
    Compact,
    Undelete,
    /// One message for two accounts, with an attachment that all of these have, and one of its own.
    DeliverAttachment,
    /// The attachment that all have, for the other account alone.
    DeliverOther,
    /// What is done later: sharing of attachments between accounts, and removal of those that nobody needs.
    Tend,
    /// Messages that nobody refers to leave the map, and before that is durable attachments are looked at.
    FreeAndTend,
    /// A new dictionary, for what comes then; not among [`Op::ALL`].
    Dictionary,
}

impl Op {
    pub(super) const ALL: [Self; 15] = [
        Self::Deliver,
        Self::DeliverLarge,
        Self::Append,
        Self::Store,
        Self::Expunge,
        Self::Copy,
        Self::Move,
        Self::Create,
        Self::Rename,
        Self::Delete,
        Self::Snapshot,
        Self::Rotate,
        Self::LetGo,
        Self::Compact,
        Self::Undelete,
    ];
}

/// Everything a client could see of an account.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct View {
    pub(super) mailboxes: BTreeMap<String, Mailbox>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Mailbox {
    pub(super) uidvalidity: u32,
    pub(super) uidnext: u32,
    pub(super) highest_modseq: u64,
    pub(super) messages: BTreeMap<u32, Mail>,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Mail {
    pub(super) text: String,
    pub(super) flags: u8,
    pub(super) modseq: u64,
    pub(super) email_id: [u8; 16],
}

pub(super) struct World {
    pub(super) fs: SimFs,
    pub(super) store: Arc<Store>,
    pub(super) account: Arc<Account>,
    pub(super) count: u32,
}

/// Small bounds, so that short histories cross all of them.
pub(super) fn config() -> StoreConfig {
    StoreConfig {
        segment_size: 6144,
        checkpoint_bytes: u64::MAX,
        checkpoint_ms: u64::MAX,
        gather_max: 256,
        container_size: 900,
        attachment_least: 48,
        attachment_grace_ms: 0,
        compression: None,
        snapshot_after: 1,
        overlay_percent: 110,
        log_size: 200,
        reserve: 0,
        undelete_ms: 0,
        cache_apart: 700,
        default_mailboxes: Vec::new(),
        threads_from: 1,
        ..StoreConfig::default()
    }
}

/// How many times as much as by default is to be tried, where more can be: `LOFT_EFFORT`.
pub(super) fn effort() -> u64 {
    std::env::var("LOFT_EFFORT").map_or(1, |effort| effort.parse().expect("LOFT_EFFORT"))
}

/// The same, and messages are compressed: those of this world say so much that it pays.
pub(super) fn packed() -> StoreConfig {
    StoreConfig { compression: Some(1), dictionary_samples: 0, gather_max: 384, ..config() }
}

/// The same bytes in the same order, whatever else happens.
pub(super) fn random(seed: u64) -> Random {
    let state = AtomicU64::new(seed);
    Arc::new(move |bytes: &mut [u8]| {
        for chunk in bytes.chunks_mut(8) {
            // splitmix64
            let mut z = state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    })
}

pub(super) fn open_with(
    fs: &SimFs,
    seed: u64,
    config: StoreConfig,
) -> Result<Arc<Store>, StoreError> {
    Store::open(
        Arc::new(fs.clone()),
        Path::new("/data"),
        config,
        random(seed),
        Box::new(|| 1_800_000_000),
    )
}

/// A message with these attachments.
pub(super) fn with_attachments(number: u32, contents: &[&[u8]]) -> String {
    let mut text = format!(
        "Subject: {number}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee below\r\n"
    );
    for content in contents {
        text.push_str("--b\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        for line in STANDARD.encode(content).as_bytes().chunks(20) {
            text.push_str(str::from_utf8(line).unwrap());
            text.push_str("\r\n");
        }
    }
    text.push_str("--b--\r\n");
    text
}

/// The answer, whatever thread would give it.
pub(super) fn at_once(handled: Handled) -> Answer {
    match handled {
        Handled::Now(answer) => answer,
        Handled::Work(work) => work(),
        Handled::Slices(mut slices) => {
            match slices.go_on(&Turn::endless(&AtomicBool::new(false))) {
                Progress::Done(answer) => answer,
                Progress::More | Progress::Waits => panic!("an endless turn has no pause"),
            }
        }
    }
}

/// Whether the cache says of a message what its text says, whatever became of the cache's files.
fn check_cached(store: &Arc<Store>, message: &Message, text: &[u8]) -> Result<(), StoreError> {
    let different = |what: &str| StoreError::damaged(Path::new("cache"), what);
    let mut parser = Parser::new(Limits::default());
    parser.feed(text);
    let mime = parser.finish();
    let mut expected = Vec::new();
    mime.write_envelope(&mut expected);
    let wants = Wants::default();
    let mut source = Source::new(store, true, &wants);
    source.set(Some(message));
    if source.envelope().map_err(|_| different("the cache fails"))? != expected {
        return Err(different("the cache has another ENVELOPE"));
    }
    let header = source.header_field(b"subject").map_err(|_| different("the cache fails"))?;
    let end = header_end(text, 0).unwrap_or(text.len());
    // At least the fields asked for, with their empty line: all of the header, or those that lists show.
    let subjects = |header: &[u8]| -> Vec<Vec<u8>> {
        let fields =
            RawFields::new(header).filter(|field| field.name.eq_ignore_ascii_case(b"subject"));
        fields.map(|field| header[field.range].to_vec()).collect()
    };
    // And the empty line, if there is one.
    let empty_line = header_end(text, 0).map(|_| header.len());
    if subjects(header) != subjects(&text[..end]) || header_end(header, 0) != empty_line {
        return Err(different("the cache has another header"));
    }
    Ok(())
}

/// Whether the threads of a mailbox say of a message what its text says, if anything.
fn check_threads(store: &Store, shelf: &Shelf, row: &Row, text: &[u8]) -> Result<(), StoreError> {
    let Some((came, words)) = store.forests.known(shelf, row.uid.0) else { return Ok(()) };
    let mut parser = Parser::new(Limits::default());
    parser.feed(text);
    let mut envelope = Vec::new();
    parser.finish().write_envelope(&mut envelope);
    let header = text.get(..header_end(text, 0).unwrap_or(text.len())).unwrap_or_default();
    let mut source = HeadOf { envelope: &envelope, header };
    let said = Words::read(came, &mut source, fingerprints(shelf.home())).unwrap();
    if came != row.internal_date || words != said {
        let why = format!("the threads say {words:?} of UID {}, it says {said:?}", row.uid.0);
        return Err(StoreError::damaged(Path::new("threads"), why));
    }
    Ok(())
}

impl World {
    /// A store with some mail: two messages in INBOX, one of them deleted, and copies of both in another mailbox.
    pub(super) fn new(fs: SimFs) -> Self {
        Self::with(fs, config())
    }

    pub(super) fn with(fs: SimFs, config: StoreConfig) -> Self {
        let store = open_with(&fs, 1, config).unwrap();
        let account = store.account("u1").unwrap();
        Self::filled(Self { fs, store, account, count: 0 })
    }

    /// This store, with what is in it.
    pub(super) fn of(fs: SimFs, store: Arc<Store>, account: Arc<Account>) -> Self {
        let known = account.lock().is_ok_and(|state| !state.map.is_empty());
        let world = Self { fs, store, account, count: if known { 1000 } else { 0 } };
        if known { world } else { Self::filled(world) }
    }

    fn filled(mut world: Self) -> Self {
        for op in [Op::Deliver, Op::Deliver, Op::Create, Op::Copy, Op::Store, Op::Store] {
            world.run(op).unwrap();
        }
        world
    }

    /// The same disk after a crash.
    pub(super) fn recover(fs: SimFs, seed: u64) -> Result<Self, StoreError> {
        Self::recover_with(fs, seed, config())
    }

    pub(super) fn recover_with(
        fs: SimFs,
        seed: u64,
        config: StoreConfig,
    ) -> Result<Self, StoreError> {
        let store = open_with(&fs, seed, config)?;
        let account = store.account("u1")?;
        Ok(Self { fs, store, account, count: 1000 })
    }

    /// The same, with names and subjects that no other life of its disk has given.
    pub(super) fn counting_from(self, count: u32) -> Self {
        Self { count, ..self }
    }

    /// Assigns `op` and commits it: `Ok` is what a client takes for an OK.
    pub(super) fn run(&mut self, op: Op) -> Result<(), StoreError> {
        let position = self.assign(op)?;
        self.commit(position)
    }

    pub(super) fn commit(&self, position: u64) -> Result<(), StoreError> {
        if self.store.durable() < position {
            self.store.flush();
        }
        match self.store.outcome(position) {
            Outcome::Durable => Ok(()),
            Outcome::Lost | Outcome::Waiting => Err(StoreError::Lost),
        }
    }

    /// Does `op` in memory and queues it; what it is applied to follows from what is there.
    pub(super) fn assign(&mut self, op: Op) -> Result<u64, StoreError> {
        self.count += 1;
        let count = self.count;
        match op {
            Op::Deliver => {
                self.deliver(&format!("Subject: {count}\r\n\r\n{}\r\n", self.words("short")))
            }
            Op::DeliverLarge => {
                self.deliver(&format!("Subject: {count}\r\n\r\n{}\r\n", "long ".repeat(80)))
            }
            Op::Append => {
                self.append(&format!("Subject: {count}\r\n\r\n{}\r\n", self.words("appended")))
            }
            Op::Store => {
                let (guid, uids) = self.inbox();
                let flags = if count.is_multiple_of(2) {
                    index_format::Flags::DELETED
                } else {
                    index_format::Flags::FLAGGED
                };
                let keyword = format!("kw{}", count % 7);
                let named = Named { system: flags, keywords: &[&keyword] };
                let first = uids.first().map_or(UidSet::new(), |uid| UidSet::range(uid, uid));
                let storing = Storing {
                    uids: &first,
                    action: StoreAction::Add,
                    named,
                    unchanged_since: None,
                    rows: StoredRows::None,
                };
                let stored = self.store.store_flags(&self.account, (guid, 0), storing)?;
                Ok(stored.position.0)
            }
            Op::Expunge => {
                let (guid, _) = self.inbox();
                self.store.expunge(&self.account, (guid, 0), None)
            }
            Op::Copy | Op::Move => {
                let (guid, uids) = self.inbox();
                let target = self.first_mailbox().unwrap_or("INBOX".to_owned());
                let copied = self.store.copy(
                    &self.account,
                    (guid, 0),
                    (&uids, true),
                    &target,
                    op == Op::Move,
                )?;
                Ok(copied.position)
            }
            Op::Create => {
                let name = format!("M{count}");
                Ok(self.store.create(&self.account, &name, SpecialUse::NONE)?.1)
            }
            Op::Rename => match self.first_mailbox() {
                Some(name) => self.store.rename(&self.account, &name, &format!("R{count}/sub")),
                None => Ok(0),
            },
            Op::Delete => match self.first_mailbox() {
                Some(name) => self.store.delete(&self.account, &name),
                None => Ok(0),
            },
            Op::Snapshot => self.store.checkpoint(0).map(|()| 0),
            Op::LetGo => {
                self.store.checkpoint(u64::MAX)?;
                self.tend()?;
                let (root, store) = (self.store.root(), self.account.store());
                let nobody = Account::load(&self.store.files, root, store, "nobody")?.0;
                self.account = Arc::new(nobody);
                self.store.let_go();
                self.store.let_go();
                let there = self.store.account_in_memory("u1").is_some();
                assert!(!there || self.fs.struck() > 0, "all was durable, and nobody had it");
                // A disk that fails once lets the second try succeed.
                let again = || self.store.account("u1");
                self.account = again().or_else(|_| again())?;
                Ok(0)
            }
            Op::Dictionary => {
                let content =
                    format!("Subject: {count}\r\n\r\n{count} {}", "short long ".repeat(20));
                let (owner, files) = (dbox_format::Guid([1; 16]), &self.store.files);
                self.store.packing.dictionaries.add(files, owner, 0, content.into())?;
                Ok(0)
            }
            Op::Compact => {
                self.store.purge("u1", false)?;
                self.store.checkpoint(u64::MAX).map(|()| 0)
            }
            Op::DeliverAttachment => {
                let other = self.store.account("u2")?;
                let text = with_attachments(count, &[&[7; 64], format!("{count:048}").as_bytes()]);
                let targets = [self.account.clone(), other];
                let targets = targets.map(|account| Target {
                    account,
                    mailbox: "INBOX".to_owned(),
                    prefix: b"X-To: u1\r\n".to_vec(),
                });
                self.deliver_for(targets.to_vec(), &text)
            }
            Op::DeliverOther => {
                let account = self.store.account("u2")?;
                let text = with_attachments(count, &[&[7; 64]]);
                let (mailbox, prefix) = ("INBOX".to_owned(), Vec::new());
                self.deliver_for(vec![Target { account, mailbox, prefix }], &text)
            }
            Op::Tend => self.tend().map(|()| 0),
            Op::FreeAndTend => {
                let mut go_on = |_| true;
                self.store.compact_step(&self.account, Wanted::All, &mut go_on)?;
                self.tend()?;
                let state = self.account.lock()?;
                Ok(state.position)
            }
            Op::Undelete => {
                let all = Which::default();
                self.store.undelete("u1", (&all, None), &mut |_| ()).map(|_| 0)
            }
            Op::Rotate => {
                let mut logs = self.account.logs();
                logs.list.rotate();
                logs.map.rotate();
                logs.mailboxes.values_mut().for_each(|log| log.rotate());
                drop(logs);
                self.store.writer().journal.rotate().map(|()| 0)
            }
        }
    }

    /// A text of this, as long as it takes to be worth compressing where messages are compressed.
    fn words(&self, word: &str) -> String {
        let count = if self.store.config.compression.is_some() { 160 / word.len() } else { 1 };
        vec![word; count].join(" ")
    }

    fn deliver(&self, text: &str) -> Result<u64, StoreError> {
        self.deliver_to("INBOX", text)
    }

    pub(super) fn deliver_to(&self, mailbox: &str, text: &str) -> Result<u64, StoreError> {
        let target = Target {
            account: self.account.clone(),
            mailbox: mailbox.to_owned(),
            prefix: b"X-To: u1\r\n".to_vec(),
        };
        self.deliver_for(vec![target], text)
    }

    fn deliver_for(&self, targets: Vec<Target>, text: &str) -> Result<u64, StoreError> {
        let mut delivery = self.store.deliver(targets)?;
        delivery.write(text.as_bytes())?;
        let delivered = delivery.commit();
        for result in delivered.results {
            result?;
        }
        Ok(delivered.position)
    }

    /// One round of what is done about attachments unasked.
    pub(super) fn tend(&self) -> Result<(), StoreError> {
        for account in self.store.loaded_accounts() {
            self.store.tend_attachments(&account, &|| true)?;
        }
        for first in names(self.store.files.fs(), &self.store.root().join("attachments"))? {
            self.store.sweep_copies(u8::from_str_radix(&first, 16).unwrap())?;
        }
        Ok(())
    }

    /// Every attachment that a message in a map names is there, in all accounts, and none that no message names is left once
    /// there was time to see to it.
    pub(super) fn check_attachments(&self) -> Result<(), StoreError> {
        let root = self.store.root();
        let mut accounts = Vec::new();
        for user in self.store.accounts_on_disk()? {
            accounts.push(self.store.account(&user)?);
        }
        let read_all = || {
            for account in &accounts {
                let state = account.lock()?;
                for (id, _) in state.map.iter() {
                    let message = Message::find(account, &state, &account.pending(), id).unwrap();
                    let mut text = Vec::new();
                    let read = message.read_whole(&self.store, true, &mut text);
                    read.map_err(|error| {
                        let why = format!("message {id:?}, referred to or not: {error:?}");
                        StoreError::damaged(account.dir(), why)
                    })?;
                }
            }
            Ok(())
        };
        read_all()?;
        self.tend()?;
        self.store.checkpoint(u64::MAX)?;
        self.tend()?;
        read_all()?;
        for account in &accounts {
            let state = account.lock()?;
            let needed: BTreeSet<PathBuf> = state
                .attachments
                .holdings
                .needed_from(Hash::default())
                .map(|hash| account.home().attachment_path(&hash))
                .collect();
            let att = account.dir().join("att");
            let files = self.fs.files().into_iter().filter(|path| path.starts_with(&att));
            let there: BTreeSet<PathBuf> = files.collect();
            if there != needed {
                let why = format!("{needed:?} are needed, {there:?} are there");
                return Err(StoreError::damaged(account.dir(), why));
            }
        }
        for path in self.fs.files() {
            let links = self.fs.metadata(&path).unwrap().unwrap().links;
            if path.starts_with(root.join("spool"))
                || (path.starts_with(root.join("attachments")) && links < 2)
            {
                return Err(StoreError::damaged(&path, "nobody needs it"));
            }
        }
        Ok(())
    }

    /// Two messages by one APPEND: both or neither.
    fn append(&self, text: &str) -> Result<u64, StoreError> {
        let mut user = ImapUser::new(self.store.clone(), self.account.clone(), Arc::default());
        for first in [true, false] {
            let flags = Flags { system: SystemFlags::SEEN, keywords: Vec::new() };
            let mailbox = MailboxName::inbox();
            let size = text.len() as u64;
            match user.ask(Ask::AppendOpen {
                mailbox,
                flags,
                date: None,
                size,
                binary: false,
                first,
            }) {
                Handled::Now(Answer::Proceed) => user.body(text.as_bytes()),
                Handled::Now(_) | Handled::Work(_) | Handled::Slices(_) => {
                    return Err(StoreError::Lost);
                }
            }
        }
        let answer = at_once(user.ask(Ask::AppendCommit));
        if let Answer::Appended { position, .. } = answer {
            Ok(position.0)
        } else {
            Err(StoreError::Lost)
        }
    }

    pub(super) fn inbox(&self) -> (index_format::Guid, UidSet) {
        let Ok(mut state) = self.account.lock() else { return Default::default() };
        let guid = state.list.by_name("INBOX").unwrap().guid;
        let mbox = self.account.mailbox(&self.store.files, &mut state, guid);
        (guid, mbox.map(|mbox| mbox.uids.clone()).unwrap_or_default())
    }

    fn first_mailbox(&self) -> Option<String> {
        let state = self.account.lock().ok()?;
        state.list.iter().map(|entry| entry.name.to_string()).find(|name| name != "INBOX")
    }

    /// What a client would see.
    pub(super) fn view(&self) -> Result<View, StoreError> {
        let mut state = self.account.lock()?;
        let state = &mut *state;
        let entries: Vec<_> =
            state.list.iter().map(|entry| (entry.name.to_string(), entry.guid)).collect();
        let mut view = View::default();
        let mut references: BTreeMap<u32, u32> = BTreeMap::new();
        for (name, guid) in entries {
            self.account.mailbox(&self.store.files, state, guid)?;
            let mbox = state.mailboxes.get(&guid).unwrap();
            let shelf = self.store.forests.shelf(self.account.home(), guid);
            let uidnext = mbox.mailbox.uidnext().0;
            let now = Now { uids: mbox.uids.clone(), uidnext, position: mbox.position };
            let lacks =
                self.store.forests.follow(&self.store.files, &shelf, (&now, &now.uids), true);
            assert!(matches!(lacks, Ok(Some(_))), "{lacks:?}");
            let mut messages = BTreeMap::new();
            for row in mbox.mailbox.iter() {
                let message = Message::find(
                    &self.account,
                    state,
                    &self.account.pending(),
                    MapId(row.map_id.0),
                )
                .ok_or_else(|| {
                    StoreError::damaged(self.account.dir(), "a row without a message")
                })?;
                let mut text = Vec::new();
                message.read_whole(&self.store, true, &mut text).map_err(|error| {
                    StoreError::damaged(
                        self.account.dir(),
                        format!("message {} of {name}: {error:?}", row.uid.0),
                    )
                })?;
                check_cached(&self.store, &message, &text)?;
                check_threads(&self.store, &shelf, &row, &text)?;
                if text.len() as u64 != row.size {
                    return Err(StoreError::damaged(
                        self.account.dir(),
                        "a size that is not the message's",
                    ));
                }
                let mail = Mail {
                    text: String::from_utf8(text).unwrap(),
                    flags: row.flags.0,
                    modseq: row.modseq.0,
                    email_id: message.guid,
                };
                messages.insert(row.uid.0, mail);
            }
            let mailbox = Mailbox {
                uidvalidity: mbox.mailbox.uidvalidity(),
                uidnext: mbox.mailbox.uidnext().0,
                highest_modseq: mbox.mailbox.highest_modseq().0,
                messages,
            };
            view.mailboxes.insert(name, mailbox);
            for id in state.mailboxes.get(&guid).unwrap().mailbox.map_ids() {
                *references.entry(id.0).or_default() += 1;
            }
        }
        // Every reference that the map counts is a row, and every row is counted.
        let counted: BTreeMap<u32, u32> = state
            .map
            .iter()
            .filter(|(_, entry)| entry.refs > 0)
            .map(|(id, entry)| (id.0, entry.refs))
            .collect();
        if counted != references {
            let why = format!("the map counts {counted:?}, the mailboxes refer {references:?}");
            return Err(StoreError::damaged(self.account.dir(), why));
        }
        Ok(view)
    }
}
