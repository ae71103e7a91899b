//! New mail on its way in: gathered while it arrives, saved for all its recipients as one change.
//!
//! A message up to [`StoreConfig::gather_max`](super::config::StoreConfig::gather_max) is held in memory and
//! journalled. A larger one becomes a container of its own ([`large`](super::large)), which is synced before the journal
//! names it. Dropping a [`Delivery`] gives the message up and leaves nothing.

use super::account::{Account, Container, Pending, State};
use super::attachments::{Cuts, Pinned};
use super::body::{Body, Gather};
use super::cache::Facts;
use super::change::Change;
use super::error::StoreError;
use super::large::{Ahead, Unsaved};
use super::ops::keyword_error;
use super::planted::{Planted, planted};
use super::store::{Preparing, Store};
use super::stored::StoredText;
use super::threads;
use dbox_format::Seed;
use dbox_format::attachment::CutOut;
use dbox_format::container::{FILE_HEADER_LEN, FileHeader, RecordHead, SavedFlags};
use dbox_format::map::{Added, Draft, Extra};
use index_format::mailbox::{NewMessage, Parts, TransactionBuilder};
use index_format::{Flags, Guid, MapId};
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
        let of =
            |target: &Target| Ahead { prefix: target.prefix.clone(), names: target.mailbox.len() };
        let ahead = targets.first().map(of).unwrap_or_default();
        let body = Gather::new(self.clone(), self.config.gather_max, ahead);
        Ok(Delivery { store: self.clone(), targets, body, _preparing: self.preparing() })
    }
}

impl Delivery {
    /// Takes the next bytes of the message.
    ///
    /// # Errors
    /// What was taken can't be written, or the message is larger than the store takes; give up then.
    pub fn write(&mut self, text: &[u8]) -> Result<(), StoreError> {
        self.body.write(text)
    }

    /// Whether [`Delivery::commit`] waits for a disk: then it should not run on an executor's thread.
    pub fn is_large(&self) -> bool {
        self.body.is_large()
    }

    /// Saves the message for every target.
    pub fn commit(self) -> Delivered {
        let (body, cuts) = match self.body.finish() {
            Ok(finished) => finished,
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
                cuts: cuts.as_ref(),
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
    /// Its text; of a message with parts that stand apart, what is left of it.
    pub(crate) body: &'a Body,
    /// The parts that stand apart.
    pub(crate) cuts: Option<&'a Cuts>,
    /// INTERNALDATE, seconds since 1970.
    pub(crate) date: i64,
    pub(crate) flags: Flags,
    pub(crate) keywords: &'a [&'a str],
}

impl Mail<'_> {
    /// The parts that stand apart, by their places in what its record holds.
    pub(super) fn apart(&self) -> Vec<CutOut> {
        self.cuts.map(|cuts| cuts.list_behind(self.prefix.len())).unwrap_or_default()
    }

    /// Bytes of the message, of whose text `len` bytes are stored.
    pub(super) fn size(&self, len: u64) -> u64 {
        self.cuts.map_or(len, |cuts| self.prefix.len() as u64 + cuts.message_len)
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
pub(super) struct Place {
    pub(super) container: u32,
    /// Where its record starts.
    pub(super) offset: u64,
    pub(super) record_len: u64,
    /// Bytes of the message.
    pub(super) size: u64,
}

/// How a message gets to its container.
enum Way {
    /// With the change, through the journal.
    Journal(StoredText),
    /// It is in a container of its own already.
    Written(Place),
}

impl Store {
    /// Saves `mails` as one change. With a `session` (APPEND) all are saved or none; without, one that fails does
    /// not keep the others from being saved.
    pub(crate) fn save(
        &self,
        mails: &[Mail<'_>],
        session: u64,
    ) -> (u64, Vec<Result<Saved, StoreError>>) {
        let all = session != 0;
        // Each message of a MULTIAPPEND has a GUID of its own; copies of one delivery share theirs. Records have them, too.
        let shared = self.random();
        let guid = |_: &Mail<'_>| Guid(if all { self.random() } else { shared });
        let guids: Vec<Guid> = mails.iter().map(guid).collect();
        // Looked at before large messages are written somewhere, too.
        if all && let Err(error) = self.check_append(mails) {
            return (0, vec![Err(error); mails.len()]);
        }
        // Their drops take the accounts' locks, so they come behind those of the locks below.
        let links: Vec<Result<Option<Pinned<'_>>, StoreError>> = mails
            .iter()
            .map(|mail| mail.cuts.map(|cuts| self.link_contents(mail.account, cuts)).transpose())
            .collect();
        if all && let Some(error) = links.iter().find_map(|link| link.as_ref().err()) {
            return (0, vec![Err(error.clone()); mails.len()]);
        }
        // Files are removed behind the locks, but for those that were saved.
        let (ways, files): (Vec<_>, Vec<_>) = self.ways(mails, &guids).unzip();
        if all && let Some(error) = ways.iter().find_map(|way| way.as_ref().err()) {
            return (0, vec![Err(error.clone()); mails.len()]);
        }
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
        for (((mail, &guid), way), link) in mails.iter().zip(&guids).zip(ways).zip(&links) {
            let way = link.as_ref().map_err(Clone::clone).and(way);
            let state = locked.iter_mut().find(|(account, _)| Arc::ptr_eq(account, mail.account));
            let result = match (state, way) {
                (Some((_, Ok(state))), Ok(way)) => self.writable_by(mail.account).and_then(|()| {
                    self.add_message(&mut change, (mail, guid, session), state, way)
                }),
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
        // A message for many recipients is one sample.
        for mails in saved.chunk_by(|one, other| std::ptr::eq(one.mail.body, other.mail.body)) {
            if let Some(Kept { mail, id, .. }) = mails.first()
                && let Body::Memory(text) = mail.body
            {
                self.training.note(mail.account.name(), *id, text.len());
            }
        }
        let kept = files.into_iter().zip(&results).filter(|(_, result)| result.is_ok());
        kept.filter_map(|(file, _)| file).for_each(Unsaved::keep);
        self.keep_saved(&saved, position);
        (position, results)
    }

    /// Makes each message ready to be saved, and gives the file that it may be in: what takes time, before any lock.
    fn ways<'s>(
        &'s self,
        mails: &[Mail<'_>],
        guids: &[Guid],
    ) -> impl Iterator<Item = (Result<Way, StoreError>, Option<Unsaved<'s>>)> {
        let mut texts = self.stored_texts(mails).into_iter();
        mails.iter().zip(guids).map(move |(mail, &guid)| match mail.body {
            Body::Memory(_) => (texts.next().map(Way::Journal).ok_or(StoreError::Lost), None),
            Body::Large { text, .. } => match self.place_large(mail, text, guid) {
                Ok((place, file)) => (Ok(Way::Written(place)), Some(file)),
                Err(error) => (Err(error), None),
            },
        })
    }

    /// Whether the messages of an APPEND could be saved now.
    fn check_append(&self, mails: &[Mail<'_>]) -> Result<(), StoreError> {
        let waits =
            |mail: &Mail<'_>| mail.cuts.is_some() || matches!(mail.body, Body::Large { .. });
        if !mails.iter().any(waits) {
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
            let Some(first) = mails.first().map(|kept| kept.mail) else { continue };
            let facts = match (first.cuts, first.body) {
                (Some(cuts), _) => cuts.facts.as_deref(),
                (None, Body::Memory(text)) => {
                    made = Facts::of(text);
                    made.as_ref()
                }
                (None, Body::Large { facts, .. }) => facts.as_deref(),
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
        (mail, guid, session): (&Mail<'_>, Guid, u64),
        state: &mut State,
        way: Way,
    ) -> Result<(Guid, dbox_format::map::MapId, Saved), StoreError> {
        let entry = state.list.by_name(mail.mailbox).ok_or(StoreError::NoMailbox)?;
        let mailbox = entry.guid;
        let mut draft = Draft::new(&state.map);
        let mut gathered = None;
        let place = match way {
            Way::Written(place) => place,
            Way::Journal(text) => {
                let name = entry.name.clone();
                let message = (guid, mailbox, &*name);
                let (place, container, pending, tail) =
                    self.place_small(&mut draft, mail, state, message, text)?;
                gathered = Some((container, pending, tail));
                place
            }
        };
        let offset = place.offset;
        let mut extra = Extra::new();
        extra.push_attachments(&mail.apart());
        let added = Added {
            guid: dbox_format::Guid(guid.0),
            container: place.container,
            offset,
            record_len: place.record_len,
            size: place.size,
            refs: 1,
            extra,
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
        change.map(mail.account, state, &draft.finish(), self.now())?;
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
        text: StoredText,
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
        let head = record_head(mail, guid, mailbox, name);
        let frame = head
            .frame_stored(&text.stored(), container.seed, text.len, text.content)
            .map_err(|_| StoreError::Cannot("the mailbox's name is too long"))?;
        let mut head = file_header;
        head.extend_from_slice(&frame.head);
        let start = head.len();
        head.extend_from_slice(&text.prefix);
        let (record_len, size) = (frame.record_len, mail.size(text.len));
        let place = Place { container: container.number, offset: container.end, record_len, size };
        let body =
            if planted(Planted::BodyNotJournalled) { Arc::from([].as_slice()) } else { text.body };
        let compression = text.compression;
        let pending = Pending { head: head.into(), start, body, compression };
        Ok((place, container, pending, frame.tail.to_vec()))
    }

    pub(super) fn new_container(&self, number: u32) -> Container {
        let seed = Seed(u32::from_le_bytes(self.random()));
        Container { number, seed, end: FILE_HEADER_LEN }
    }
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

pub(super) fn record_head<'a>(
    mail: &'a Mail<'_>,
    guid: Guid,
    mailbox: Guid,
    name: &'a str,
) -> RecordHead<'a> {
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

    #[test]
    fn flags_come_back_from_a_container() {
        for bits in 0..32 {
            assert_eq!(flags_of(saved_flags(Flags(bits))), Flags(bits));
        }
    }
}
