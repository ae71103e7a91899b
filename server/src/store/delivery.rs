//! New mail on its way in: gathered or spooled while it arrives, saved for all its recipients as one change.
//!
//! A message up to [`StoreConfig::gather_max`](super::config::StoreConfig::gather_max) is held in memory and
//! journalled. A larger one goes to a spool file, then to a container of its own, which is synced before the
//! journal names it. Dropping a [`Delivery`] gives the message up and leaves nothing.

use super::account::{Account, Container, Pending, State};
use super::cache::{Facts, Head};
use super::change::Change;
use super::commit::Outcome;
use super::error::StoreError;
use super::ops::keyword_error;
use super::planted::{Planted, planted};
use super::store::{Preparing, Store};
use super::threads;
use dbox_format::container::{
    FILE_HEADER_LEN, FileHeader, RecordHead, RecordWriter, STREAM_CHUNK, SavedFlags,
};
use dbox_format::map::{Added, Draft, Extra};
use dbox_format::{Content, Seed};
use index_format::mailbox::{NewMessage, Parts, TransactionBuilder};
use index_format::{Flags, Guid, MapId};
use runtime_smol::fs::{self, File, Open};
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};

/// Where a message goes.
#[derive(Clone, Debug)]
pub struct Target {
    /// Whose it is.
    pub account: Arc<Account>,
    /// The mailbox's name.
    pub mailbox: String,
    /// Header lines put before the message for this recipient, each with its CRLF.
    pub prefix: Vec<u8>,
}

/// What became of a message for one recipient.
#[derive(Clone, Copy, Debug)]
pub struct Saved {
    /// Its UID.
    pub uid: u32,
    /// The mailbox's UIDVALIDITY.
    pub uidvalidity: u32,
    /// The message's GUID.
    pub guid: [u8; 16],
    /// Its size in bytes, prefix included.
    pub size: u64,
}

/// The outcome of a delivery.
#[derive(Debug)]
pub struct Delivered {
    /// Nothing of it may be told before this journal position is durable.
    pub position: u64,
    /// One for each target, in order.
    pub results: Vec<Result<Saved, StoreError>>,
}

/// A message that is coming in.
pub struct Delivery {
    store: Arc<Store>,
    targets: Vec<Target>,
    body: Gather,
    _preparing: Preparing,
}

impl Store {
    /// Begins to take in a message for `targets`.
    ///
    /// # Errors
    /// [`StoreError::Full`] and others that can be known before the text is taken.
    pub fn deliver(self: &Arc<Self>, targets: Vec<Target>) -> Result<Delivery, StoreError> {
        self.writable()?;
        let body = Gather::new(self.clone(), self.config.gather_max);
        Ok(Delivery { store: self.clone(), targets, body, _preparing: self.preparing() })
    }
}

impl Delivery {
    /// Takes the next bytes of the message.
    ///
    /// # Errors
    /// The spool can't be written, or the message is larger than the store takes; give up then.
    pub fn write(&mut self, text: &[u8]) -> Result<(), StoreError> {
        self.body.write(text)
    }

    /// Whether [`Delivery::commit`] waits for a disk: then it should not run on an executor's thread.
    pub fn is_large(&self) -> bool {
        self.body.is_spooled()
    }

    /// Saves the message for every target.
    pub fn commit(self) -> Delivered {
        let body = match self.body.finish() {
            Ok(body) => body,
            Err(error) => {
                return Delivered { position: 0, results: vec![Err(error); self.targets.len()] };
            }
        };
        let date = self.store.now();
        let mails: Vec<Mail<'_>> = self
            .targets
            .iter()
            .map(|target| Mail {
                account: &target.account,
                mailbox: &target.mailbox,
                prefix: &target.prefix,
                body: &body,
                date,
                flags: Flags::NONE,
                keywords: &[],
            })
            .collect();
        let (position, results) = self.store.save(&mails, 0);
        Delivered { position, results }
    }
}

/// One message for one mailbox.
pub(crate) struct Mail<'a> {
    pub(crate) account: &'a Arc<Account>,
    pub(crate) mailbox: &'a str,
    pub(crate) prefix: &'a [u8],
    pub(crate) body: &'a Body,
    /// INTERNALDATE, seconds since 1970.
    pub(crate) date: i64,
    pub(crate) flags: Flags,
    pub(crate) keywords: &'a [&'a str],
}

/// The text of a message that has all come in.
pub(crate) enum Body {
    Memory { bytes: Arc<[u8]>, content: Content },
    Spool { spool: Spool, facts: Option<Box<Facts>> },
}

/// The text of a message while it comes in.
pub(crate) struct Gather {
    store: Arc<Store>,
    limit: usize,
    memory: Vec<u8>,
    spool: Option<Spool>,
    /// What is learnt of a message that goes to a file.
    head: Option<Head>,
}

impl Gather {
    /// Up to `limit` bytes stay in memory.
    pub(crate) fn new(store: Arc<Store>, limit: usize) -> Self {
        Self { store, limit, memory: Vec::new(), spool: None, head: None }
    }

    pub(crate) fn write(&mut self, text: &[u8]) -> Result<(), StoreError> {
        if self.spool.is_none() && self.memory.len() + text.len() > self.limit {
            let mut spool = Spool::create(&self.store)?;
            spool.write(&self.memory)?;
            if self.store.cache.is_on() {
                let mut head = Head::new();
                head.feed(&self.memory);
                self.head = Some(head);
            }
            self.memory = Vec::new();
            self.spool = Some(spool);
        }
        match &mut self.spool {
            Some(spool) => {
                let max = self.store.config.message_max;
                if spool.len + text.len() as u64 > max {
                    return Err(StoreError::TooLarge { max });
                }
                spool.write(text)?;
                if let Some(head) = &mut self.head {
                    head.feed(text);
                }
                Ok(())
            }
            None => {
                self.memory.extend_from_slice(text);
                Ok(())
            }
        }
    }

    /// Whether the message is in a file.
    pub(crate) fn is_spooled(&self) -> bool {
        self.spool.is_some()
    }

    /// Bytes so far.
    pub(crate) fn len(&self) -> u64 {
        self.spool.as_ref().map_or(self.memory.len() as u64, |spool| spool.len)
    }

    pub(crate) fn finish(self) -> Result<Body, StoreError> {
        Ok(match self.spool {
            Some(spool) => {
                Body::Spool { spool, facts: self.head.and_then(Head::finish).map(Box::new) }
            }
            None => {
                let content = Content::of(&self.memory);
                Body::Memory { bytes: self.memory.into(), content }
            }
        })
    }
}

/// A large message in a file of its own, unlinked when it is dropped.
pub(crate) struct Spool {
    store: Arc<Store>,
    path: PathBuf,
    file: Arc<dyn File>,
    len: u64,
}

impl Spool {
    fn create(store: &Arc<Store>) -> Result<Self, StoreError> {
        let number = u64::from_le_bytes(store.random());
        let path = store.spool_dir().join(format!("{number:016x}"));
        let fs = store.files.fs();
        fs.create_dir_all(&store.spool_dir())
            .map_err(|error| StoreError::io("create", &store.spool_dir(), error))?;
        let file =
            fs.open(&path, Open::Write).map_err(|error| StoreError::io("create", &path, error))?;
        Ok(Self { store: store.clone(), path, file, len: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_at(&[IoSlice::new(bytes)], self.len)
            .map_err(|error| StoreError::io("write", &self.path, error))?;
        self.len += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // What can't be unlinked now goes at the next start.
        let _ = self.store.files.fs().unlink(&self.path);
    }
}

/// A message that was saved, for those who keep what it says.
struct Kept<'a> {
    mail: &'a Mail<'a>,
    id: dbox_format::map::MapId,
    guid: Guid,
    mailbox: Guid,
    uid: u32,
    /// Its mailbox has so many messages that its threads are kept.
    threads: bool,
}

/// An account's state, unless the account is dead.
type Locked<'a> = Result<MutexGuard<'a, State>, StoreError>;

/// A message's place in a container, before the change that names it.
#[derive(Clone, Copy)]
struct Place {
    container: u32,
    record_len: u64,
    size: u64,
}

/// The file of a large message: removed when it is dropped before a change names it.
pub(super) struct Unsaved<'a> {
    store: &'a Store,
    /// What it is called now, if it is still to be removed.
    path: Option<PathBuf>,
    /// Once it is called as a container: the change that gave its number away. While that may be lost, another may get
    /// the number, and the name is left alone.
    position: Option<u64>,
}

impl<'a> Unsaved<'a> {
    pub(super) fn new(store: &'a Store, path: PathBuf) -> Self {
        Self { store, path: Some(path), position: None }
    }

    /// It has its name now, and its number since the change at `position`.
    pub(super) fn is_called(&mut self, path: PathBuf, position: u64) {
        (self.path, self.position) = (Some(path), Some(position));
    }

    pub(super) fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Unsaved<'_> {
    fn drop(&mut self) {
        let Some(path) = &self.path else { return };
        if self.position.is_none_or(|position| self.store.outcome(position) == Outcome::Durable) {
            // What can't be unlinked is not told of: the reason why it is to go is.
            let _ = self.store.files.fs().unlink(path);
        }
    }
}

impl Store {
    /// Saves `mails` as one change. With a `session` (APPEND) all are saved or none; without, one that fails does
    /// not keep the others from being saved.
    pub(crate) fn save(
        &self,
        mails: &[Mail<'_>],
        session: u64,
    ) -> (u64, Vec<Result<Saved, StoreError>>) {
        let guid = self.random();
        let all = session != 0;
        // Looked at before large messages are written somewhere, too.
        if all && let Err(error) = self.check_append(mails) {
            return (0, vec![Err(error); mails.len()]);
        }
        let mut places = Vec::with_capacity(mails.len());
        for mail in mails {
            places.push(match mail.body {
                Body::Memory { .. } => Ok(None),
                Body::Spool { spool, .. } => self.place_large(mail, spool, Guid(guid)).map(Some),
            });
        }
        if all && let Some(error) = places.iter().find_map(|place| place.as_ref().err()) {
            return (0, vec![Err(error.clone()); mails.len()]);
        }
        // Removed behind the locks, but for those that were saved.
        let mut files = Vec::with_capacity(mails.len());
        let mut accounts: Vec<&Arc<Account>> = mails.iter().map(|mail| mail.account).collect();
        accounts.sort_by(|left, right| left.name().cmp(right.name()));
        accounts.dedup_by(|left, right| Arc::ptr_eq(left, right));
        let mut locked: Vec<(&Arc<Account>, Locked<'_>)> =
            accounts.into_iter().map(|account| (account, account.lock())).collect();
        if all
            && let Some((account, Ok(state))) = locked.first_mut()
            && let Err(error) = self.check_keywords(mails, account, state)
        {
            return (0, vec![Err(error); mails.len()]);
        }
        let mut change = Change::default();
        let mut results = Vec::with_capacity(mails.len());
        let mut touched = Vec::new();
        let mut saved = Vec::new();
        for (mail, place) in mails.iter().zip(places) {
            // Each message of a MULTIAPPEND has a GUID of its own; copies of one delivery share theirs.
            let guid = Guid(if all { self.random() } else { guid });
            let state = locked.iter_mut().find(|(account, _)| Arc::ptr_eq(account, mail.account));
            let (place, file) = match place {
                Ok(Some((place, file))) => (Ok(Some(place)), Some(file)),
                Ok(None) => (Ok(None), None),
                Err(error) => (Err(error), None),
            };
            files.push(file);
            let result = match (state, place) {
                (Some((_, Ok(state))), Ok(place)) => {
                    self.writable_by(mail.account).and_then(|()| {
                        self.add_message(&mut change, mail, state, guid, place, session)
                    })
                }
                (Some((_, Err(error))), _) => Err(error.clone()),
                (_, Err(error)) => Err(error),
                (None, Ok(_)) => Err(StoreError::NoMailbox),
            };
            if let Ok((mailbox, id, message)) = &result {
                touched.push((mail.account, *mailbox));
                let (mailbox, uid) = (*mailbox, message.uid);
                saved.push(Kept { mail, id: *id, guid, mailbox, uid, threads: false });
            } else if all {
                // The first is refused before anything is assigned; the others were checked with it.
                if !change.is_empty() {
                    mail.account.kill();
                }
                let error = result.err().unwrap_or(StoreError::Lost);
                return (0, vec![Err(error); mails.len()]);
            }
            results.push(result.map(|(.., saved)| saved));
        }
        if change.is_empty() {
            return (0, results);
        }
        let position = self.submit(change);
        for (account, state) in &mut locked {
            let Ok(state) = state else { continue };
            let of_account = touched.iter().filter(|(owner, _)| Arc::ptr_eq(owner, account));
            let guids: Vec<Guid> = of_account.map(|(_, guid)| *guid).collect();
            self.touch(state, &guids, position);
            for kept in saved.iter_mut().filter(|kept| Arc::ptr_eq(kept.mail.account, account)) {
                let mbox = state.mailboxes.get(&kept.mailbox);
                kept.threads = mbox.is_some_and(|mbox| self.forests.are_kept(mbox.mailbox.len()));
            }
        }
        drop(locked);
        let kept = files.into_iter().zip(&results).filter(|(_, result)| result.is_ok());
        kept.filter_map(|(file, _)| file).for_each(Unsaved::keep);
        self.keep_saved(&saved, position);
        (position, results)
    }

    /// Whether the messages of an APPEND could be saved now.
    fn check_append(&self, mails: &[Mail<'_>]) -> Result<(), StoreError> {
        if !mails.iter().any(|mail| matches!(mail.body, Body::Spool { .. })) {
            return Ok(());
        }
        let Some(first) = mails.first() else { return Ok(()) };
        let mut state = first.account.lock()?;
        self.check_keywords(mails, first.account, &mut state)
    }

    /// Whether the mailbox of an APPEND takes the keywords of all its messages, before the first is assigned.
    fn check_keywords(
        &self,
        mails: &[Mail<'_>],
        account: &Account,
        state: &mut State,
    ) -> Result<(), StoreError> {
        let Some(first) = mails.first() else { return Ok(()) };
        let guid = state.list.by_name(first.mailbox).ok_or(StoreError::NoMailbox)?.guid;
        let mbox = account.mailbox_with(&self.files, state, guid, Parts::NONE)?;
        let mut builder = TransactionBuilder::new(&mbox.mailbox, &mbox.names);
        for mail in mails {
            let message = NewMessage {
                map_id: MapId(0),
                internal_date: mail.date,
                save_date: mail.date,
                size: 0,
                flags: mail.flags,
                keywords: mail.keywords,
            };
            builder.append(&message).map_err(keyword_error)?;
        }
        Ok(())
    }

    /// Keeps for cache and threads what messages say that were just saved, while their change is on its way to the
    /// journal.
    fn keep_saved(&self, saved: &[Kept<'_>], position: u64) {
        if !self.cache.is_on() {
            return;
        }
        // A message for many recipients is one body, looked at once.
        for mails in saved.chunk_by(|one, other| std::ptr::eq(one.mail.body, other.mail.body)) {
            let made;
            let facts = match mails.first().map(|kept| kept.mail.body) {
                Some(Body::Memory { bytes, .. }) => {
                    made = Facts::of(bytes);
                    made.as_ref()
                }
                Some(Body::Spool { facts, .. }) => facts.as_deref(),
                None => None,
            };
            let Some(facts) = facts else { continue };
            for Kept { mail, id, guid, mailbox, uid, threads } in mails {
                let home = mail.account.home();
                let Some(row) = facts.row(mail.prefix) else { continue };
                self.cache.add(home, (*id, guid.0), row);
                if *threads {
                    let shelf = self.forests.shelf(home, *mailbox);
                    if let Some(words) = facts.words(mail.date, threads::fingerprints(home)) {
                        let uid = imap_proto::Uid(*uid);
                        self.forests.note(&shelf, uid, mail.date, words, position);
                    }
                }
            }
        }
    }

    /// The steps that save one message.
    fn add_message(
        &self,
        change: &mut Change,
        mail: &Mail<'_>,
        state: &mut State,
        guid: Guid,
        place: Option<Place>,
        session: u64,
    ) -> Result<(Guid, dbox_format::map::MapId, Saved), StoreError> {
        let entry = state.list.by_name(mail.mailbox).ok_or(StoreError::NoMailbox)?;
        let mailbox = entry.guid;
        let mut draft = Draft::new(&state.map);
        let mut gathered = None;
        let place = match (place, mail.body) {
            (Some(place), _) => place,
            (None, Body::Memory { bytes, content }) => {
                let name = entry.name.clone();
                let (place, container, pending, tail) = self.place_small(
                    &mut draft,
                    mail,
                    state,
                    (guid, mailbox, &name),
                    (bytes, *content),
                )?;
                gathered = Some((container, pending, tail));
                place
            }
            (None, Body::Spool { .. }) => return Err(StoreError::Lost),
        };
        let offset = gathered.as_ref().map_or(FILE_HEADER_LEN, |(container, ..)| container.end);
        let added = Added {
            guid: dbox_format::Guid(guid.0),
            container: place.container,
            offset,
            record_len: place.record_len,
            size: place.size,
            refs: 1,
            extra: Extra::new(),
        };
        let map_id = draft.add(added);
        if gathered.is_none() {
            draft.container_seal(place.container);
        }
        let mbox = mail.account.mailbox_with(&self.files, state, mailbox, Parts::NONE)?;
        let mut builder = TransactionBuilder::new(&mbox.mailbox, &mbox.names);
        builder.epoch(self.epoch());
        let message = NewMessage {
            map_id: MapId(map_id.0),
            internal_date: mail.date,
            save_date: self.now(),
            size: place.size,
            flags: mail.flags,
            keywords: mail.keywords,
        };
        let uid = builder.append(&message).map_err(keyword_error)?;
        let transaction = builder.finish();
        change.mailbox(mail.account, mbox, &transaction, session)?;
        let uidvalidity = mbox.mailbox.uidvalidity();
        change.map(mail.account, state, &draft.finish())?;
        if let Some((container, pending, tail)) = gathered {
            state.container = Some(Container { end: offset + place.record_len, ..container });
            // The first record of a container brings the file's header along.
            let at = if offset == FILE_HEADER_LEN { 0 } else { offset };
            change.message(mail.account, map_id.0, (place.container, at), pending, tail);
        }
        Ok((mailbox, map_id, Saved { uid: uid.0, uidvalidity, guid: guid.0, size: place.size }))
    }

    /// Room for a small message in the account's container, or in its next one.
    #[allow(clippy::type_complexity, reason = "handed on at once")]
    fn place_small(
        &self,
        draft: &mut Draft,
        mail: &Mail<'_>,
        state: &State,
        (guid, mailbox, name): (Guid, Guid, &str),
        (bytes, content): (&Arc<[u8]>, Content),
    ) -> Result<(Place, Container, Pending, Vec<u8>), StoreError> {
        let full = |container: &Container| container.end >= self.config.container_size;
        let mut file_header = Vec::new();
        let container = match state.container.filter(|container| !full(container)) {
            Some(container) => container,
            None => {
                if let Some(old) = state.container {
                    draft.container_seal(old.number);
                }
                let number = state.map.next_container();
                let container = self.new_container(number);
                draft.container_open(number, container.seed);
                container
            }
        };
        if container.end == FILE_HEADER_LEN {
            container_header(mail.account, container, self.now()).write(&mut file_header);
        }
        let content = Content::of(mail.prefix).then(content);
        let head = record_head(mail, guid, mailbox, name);
        let frame = head
            .frame(container.seed, content)
            .map_err(|_| StoreError::Cannot("the mailbox's name is too long"))?;
        let mut head = file_header;
        head.extend_from_slice(&frame.head);
        let start = head.len();
        head.extend_from_slice(mail.prefix);
        let place = Place {
            container: container.number,
            record_len: frame.record_len,
            size: content.len(),
        };
        let body = if planted(Planted::BodyNotJournalled) {
            Arc::from([].as_slice())
        } else {
            bytes.clone()
        };
        let pending = Pending { head: head.into(), start, body };
        Ok((place, container, pending, frame.tail.to_vec()))
    }

    /// Writes a large message into a container of its own, which is durable afterwards and not yet in the map.
    fn place_large(
        &self,
        mail: &Mail<'_>,
        spool: &Spool,
        guid: Guid,
    ) -> Result<(Place, Unsaved<'_>), StoreError> {
        let (container, mailbox, name, position) = {
            let mut state = mail.account.lock()?;
            let entry = state.list.by_name(mail.mailbox).ok_or(StoreError::NoMailbox)?;
            let (mailbox, name) = (entry.guid, entry.name.clone());
            let number = state.map.next_container();
            let container = self.new_container(number);
            let mut draft = Draft::new(&state.map);
            draft.container_open(number, container.seed);
            let mut change = Change::default();
            change.map(mail.account, &mut state, &draft.finish())?;
            state.position = self.submit(change);
            (container, mailbox, name, state.position)
        };
        let path = mail.account.container_path(container.number);
        let fs = self.files.fs();
        let dir = fs::parent(&path);
        fs.create_dir_all(dir).map_err(|error| StoreError::io("create", dir, error))?;
        let temporary = unfinished(&path);
        let write = |error| StoreError::io("write", &temporary, error);
        match fs.unlink(&temporary) {
            // A crash may have left one, with a number that was not durable.
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(write(error)),
            Ok(()) | Err(_) => {}
        }
        let file = fs.open(&temporary, Open::Write).map_err(write)?;
        let mut unsaved = Unsaved::new(self, temporary.clone());
        let mut out = Vec::with_capacity(2 * STREAM_CHUNK as usize);
        container_header(mail.account, container, self.now()).write(&mut out);
        let head = record_head(mail, guid, mailbox, &name);
        let mut writer = RecordWriter::new(&head, container.seed, STREAM_CHUNK, &mut out)
            .map_err(|_| StoreError::Cannot("the mailbox's name is too long"))?;
        writer.push(mail.prefix, &mut out);
        let (mut at, mut read) = (0, 0);
        let mut step = vec![0; STREAM_CHUNK as usize];
        while read < spool.len {
            let count = spool
                .file
                .read_at(&mut step, read)
                .map_err(|error| StoreError::io("read", &spool.path, error))?;
            let bytes = step.get(..count).filter(|bytes| !bytes.is_empty());
            let bytes = bytes.ok_or_else(|| {
                StoreError::damaged(&spool.path, "it is shorter than what was written")
            })?;
            writer.push(bytes, &mut out);
            read += count as u64;
            file.write_at(&[IoSlice::new(&out)], at).map_err(write)?;
            at += out.len() as u64;
            out.clear();
        }
        let written = writer.finish(&mut out);
        file.write_at(&[IoSlice::new(&out)], at).map_err(write)?;
        self.publish(&*file, &temporary, &path)?;
        unsaved.is_called(path, position);
        let (record_len, size) = (written.record_len, written.content.len());
        Ok((Place { container: container.number, record_len, size }, unsaved))
    }

    /// Makes a container that was written under another name durable under its own.
    pub(super) fn publish(
        &self,
        file: &dyn File,
        temporary: &Path,
        path: &Path,
    ) -> Result<(), StoreError> {
        let (fs, synced) = (self.files.fs(), !planted(Planted::LargeBodyNotSynced));
        if synced {
            file.sync_data().map_err(|error| StoreError::io("write", temporary, error))?;
        }
        fs.rename(temporary, path).map_err(|error| StoreError::io("rename to", path, error))?;
        if synced {
            // The directories above may be as new as the file.
            for dir in path.ancestors().skip(1).take_while(|dir| dir.starts_with(self.root())) {
                fs.sync_dir(dir).map_err(|error| StoreError::io("sync", dir, error))?;
            }
        }
        Ok(())
    }

    pub(super) fn new_container(&self, number: u32) -> Container {
        let seed = Seed(u32::from_le_bytes(self.random()));
        Container { number, seed, end: FILE_HEADER_LEN }
    }
}

/// What a container is called until it is whole; another's of the same directory has another name.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    path.with_added_extension("tmp")
}

pub(super) fn container_header(
    account: &Account,
    container: Container,
    created: i64,
) -> FileHeader {
    FileHeader {
        number: container.number,
        seed: container.seed,
        owner: dbox_format::Guid(account.store().0),
        created,
        ..FileHeader::default()
    }
}

fn record_head<'a>(mail: &'a Mail<'_>, guid: Guid, mailbox: Guid, name: &'a str) -> RecordHead<'a> {
    RecordHead {
        guid: dbox_format::Guid(guid.0),
        mailbox: dbox_format::Guid(mailbox.0),
        mailbox_name: name,
        received: mail.date,
        flags: saved_flags(mail.flags),
        keywords: mail.keywords,
    }
}

/// System flags, here and in containers.
const SAVED_FLAGS: [(Flags, u16); 5] = [
    (Flags::SEEN, SavedFlags::SEEN),
    (Flags::ANSWERED, SavedFlags::ANSWERED),
    (Flags::FLAGGED, SavedFlags::FLAGGED),
    (Flags::DELETED, SavedFlags::DELETED),
    (Flags::DRAFT, SavedFlags::DRAFT),
];

fn saved_flags(flags: Flags) -> SavedFlags {
    let pairs = SAVED_FLAGS.into_iter().filter(|(flag, _)| flags.contains(*flag));
    SavedFlags(pairs.fold(0, |bits, (_, saved)| bits | saved))
}

/// The flags that a message had when it was saved.
pub(crate) fn flags_of(saved: SavedFlags) -> Flags {
    let pairs = SAVED_FLAGS.into_iter().filter(|(_, bit)| saved.0 & bit != 0);
    pairs.fold(Flags::NONE, |flags, (flag, _)| flags.with(flag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dbox_format::paths;
    use std::collections::BTreeSet;

    #[test]
    fn flags_come_back_from_a_container() {
        for bits in 0..32 {
            assert_eq!(flags_of(saved_flags(Flags(bits))), Flags(bits));
        }
    }

    #[test]
    fn containers_that_are_written_at_the_same_time_are_different_files() {
        let all: BTreeSet<PathBuf> =
            (1..1000).map(|number| unfinished(Path::new(&paths::container(number)))).collect();
        assert_eq!(all.len(), 999);
        assert!((1..1000).all(|number| !all.contains(Path::new(&paths::container(number)))));
    }
}
