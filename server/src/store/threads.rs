//! Thread forests of mailboxes (`docs/formats/threads.md`): what their messages say of themselves is noted as they come,
//! written behind their commit, and read again by the first who asks for threads.
//!
//! A forest follows its mailbox when it is asked for: what is gone from there leaves it, and what it lacks is taken from
//! whoever has it, in the last place from the messages. So nothing depends on what is noted here, and no change of a
//! mailbox waits for it.
//! Invariants:
//! - What a file says of a UID is durable: it is written once the change that gave the UID away is.
//! - A UID never means another message, so what is known of one is right as long as the mailbox is the same.

mod file;

use super::account::Home;
use super::change::to_imap;
use super::config::StoreConfig;
use super::files::Files;
use imap_proto::thread::{Algorithm, Known, Linked, Said, Threader, fingerprint};
use imap_proto::{Uid, UidSet};
use index_format::Guid;
use index_format::threads::{Fingerprint, Forest, Message};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many messages of a file may be gone from its mailbox, and as many as are there, before it is made anew.
const GONE: u64 = 64;
/// Milliseconds after its last use until a forest leaves memory.
const IDLE_MS: u64 = 60_000;
/// Messages that may wait to be written, about 150 bytes each; of others nothing is noted, unless their forest is there.
/// Few in tests, so that they get there.
const WAITING: usize = if cfg!(test) { 16 } else { 1 << 16 };

/// What a message says of itself, by fingerprints of its account.
pub(crate) type Words = Said<Fingerprint>;

/// The fingerprints of an account: the key is as secret as its directory.
pub(crate) fn fingerprints(home: &Home) -> impl Fn(&[u8]) -> Fingerprint + use<> {
    let key = home.owner.0;
    move |text| fingerprint(key, text)
}

/// The forests of a store.
pub(crate) struct Forests {
    /// Bytes that all of them may take; the one in use may take more. None are kept with 0.
    memory: usize,
    from: usize,
    shelves: Mutex<Shelves>,
    /// Messages that wait to be written.
    waiting: AtomicUsize,
    /// Some file is to be made anew.
    renew: AtomicBool,
    /// The time, as the house has last told it.
    now: AtomicU64,
}

type Shelves = BTreeMap<(u64, Guid), Arc<Shelf>>;

/// What is in memory of one mailbox.
pub(crate) struct Shelf {
    home: Arc<Home>,
    mailbox: Guid,
    used: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    kept: Kept,
    /// What the file does not have yet.
    waiting: Vec<Waiting>,
    /// The file is to be made anew, of the forest.
    renew: bool,
    /// The last change by which the forest has got a message that does not wait to be written.
    unqueued: u64,
}

#[derive(Default)]
enum Kept {
    /// Nobody has asked.
    #[default]
    Unread,
    Forest(Box<Forest>),
    /// The mailbox has more references than are kept.
    Overgrown,
}

struct Waiting {
    /// The change that gave the UID away.
    position: u64,
    uid: Uid,
    came: i64,
    words: Words,
}

impl Waiting {
    fn message(&self) -> Message<'_> {
        message(self.uid, self.came, &self.words)
    }
}

/// A mailbox as it is.
pub(crate) struct Now {
    pub(crate) uids: UidSet,
    pub(crate) uidnext: u32,
    /// Its last change.
    pub(crate) position: u64,
}

/// A disk would have to be asked.
#[derive(Debug)]
pub(crate) struct WouldBlock;

/// Messages by numbers, one after the other, for a [`Threader`].
#[derive(Debug, Default)]
pub(crate) struct Listed {
    messages: Vec<ListedMessage>,
    references: Vec<u64>,
    next: usize,
}

#[derive(Debug)]
struct ListedMessage {
    known: Known<'static>,
    references: usize,
}

impl Forests {
    pub(crate) fn new(config: &StoreConfig) -> Self {
        Self {
            memory: config.cache_memory / 2,
            from: config.threads_from,
            shelves: Mutex::default(),
            waiting: AtomicUsize::new(0),
            renew: AtomicBool::new(false),
            now: AtomicU64::new(0),
        }
    }

    /// Whether one is kept for a mailbox of so many messages.
    pub(crate) fn are_kept(&self, messages: usize) -> bool {
        self.memory > 0 && messages >= self.from
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the forest of a mailbox is.
    pub(crate) fn shelf(&self, home: &Arc<Home>, mailbox: Guid) -> Arc<Shelf> {
        let mut shelves = self.shelves();
        let shelf = shelves.entry((home.id, mailbox)).or_insert_with(|| {
            let (home, used) = (home.clone(), AtomicU64::new(0));
            Arc::new(Shelf { home, mailbox, used, state: Mutex::default() })
        });
        shelf.used.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
        shelf.clone()
    }

    /// Notes what a message says that was put into a mailbox by the change at `position`.
    pub(crate) fn note(&self, shelf: &Shelf, uid: Uid, came: i64, words: Words, position: u64) {
        let mut state = shelf.state();
        match &mut state.kept {
            Kept::Unread => {}
            Kept::Forest(forest) => match forest.insert(&message(uid, came, &words)) {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => {
                    self.overgrown(&mut state);
                    return;
                }
            },
            Kept::Overgrown => return,
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) < WAITING {
            state.waiting.push(Waiting { position, uid, came, words });
            return;
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        if matches!(state.kept, Kept::Forest(_)) {
            // It is written with all others.
            state.unqueued = state.unqueued.max(position);
            state.renew = true;
            self.renew.store(true, Ordering::Relaxed);
        }
    }

    /// Notes for copies what is known of their originals.
    pub(crate) fn note_copies(
        &self,
        home: &Arc<Home>,
        (source, target): (Guid, Guid),
        (from, to): (&UidSet, &UidSet),
        position: u64,
    ) {
        let Some(source) = self.shelves().get(&(home.id, source)).cloned() else { return };
        let mut known = Vec::new();
        {
            let mut references = Vec::new();
            let state = source.state();
            for (from, to) in from.iter().zip(to.iter()) {
                let found = match &state.kept {
                    Kept::Forest(forest) => {
                        forest.message(index_format::Uid(from.0), &mut references)
                    }
                    Kept::Unread | Kept::Overgrown => {
                        let at = state.waiting.binary_search_by_key(&from, |waiting| waiting.uid);
                        at.ok().and_then(|at| state.waiting.get(at)).map(Waiting::message)
                    }
                };
                known.extend(found.map(|message| (to, message.came, words(&message))));
            }
        }
        if !known.is_empty() {
            let target = self.shelf(home, target);
            for (uid, came, words) in known {
                self.note(&target, uid, came, words, position);
            }
        }
    }

    /// What the forest of a mailbox lacks of `wanted`, once it has followed the mailbox; `None` where none is kept. With
    /// `wait` false only if no disk is needed for it.
    pub(crate) fn follow(
        &self,
        files: &Files,
        shelf: &Shelf,
        (now, wanted): (&Now, &UidSet),
        wait: bool,
    ) -> Result<Option<UidSet>, WouldBlock> {
        let mut state = shelf.state();
        let is_unread = matches!(state.kept, Kept::Unread);
        if is_unread {
            self.read(files, shelf, &mut state, now.uidnext, wait)?;
        }
        let Kept::Forest(forest) = &mut state.kept else { return Ok(None) };
        let has = to_imap(&forest.uids());
        let gone = has.subtract(&now.uids);
        // What came since it was looked at is in the forest already, and not to be removed.
        for uid in gone.iter().take_while(|uid| uid.0 < now.uidnext) {
            forest.remove(index_format::Uid(uid.0));
        }
        if forest.settle().is_err() {
            self.overgrown(&mut state);
            return Ok(None);
        }
        // Most of the file is of no use any more.
        state.renew |= is_unread && gone.len() > now.uids.len() + GONE;
        if state.renew {
            self.renew.store(true, Ordering::Relaxed);
        }
        drop(state);
        if is_unread {
            self.make_room(shelf);
        }
        Ok(Some(wanted.subtract(&has)))
    }

    /// A threader that wants nothing more, if the forest has these messages and no others; else one that wants them in
    /// this order, and what is known of them. `bare` are those of whom nothing is known but when they came. `None` when
    /// the forest is gone.
    pub(crate) fn threader(
        &self,
        shelf: &Shelf,
        algorithm: Algorithm,
        uids: &UidSet,
        bare: &BTreeMap<Uid, i64>,
    ) -> Option<(Threader, Listed)> {
        let mut state = shelf.state();
        let Kept::Forest(forest) = &mut state.kept else { return None };
        if forest.settle().is_err() {
            self.overgrown(&mut state);
            return None;
        }
        if forest.len() as u64 == uids.len() && to_imap(&forest.uids()) == *uids {
            let linked = linked(forest.linked(), algorithm);
            return Some((Threader::linked(algorithm, linked), Listed::default()));
        }
        let mut listed = Listed::default();
        for uid in uids.iter() {
            match forest.known(index_format::Uid(uid.0)) {
                Some(known) => listed.push(&known),
                None => listed.push_bare(bare.get(&uid).copied().unwrap_or_default()),
            }
        }
        Some((Threader::new(algorithm, uids), listed))
    }

    /// Gives up a forest that has become too large.
    fn overgrown(&self, state: &mut State) {
        self.forget(state);
        state.kept = Kept::Overgrown;
    }

    /// Forgets all that is in memory of a mailbox.
    fn forget(&self, state: &mut State) {
        self.waiting.fetch_sub(state.waiting.len(), Ordering::Relaxed);
        *state = State::default();
    }

    /// Reads the file, and adds what waits to be written to it.
    fn read(
        &self,
        files: &Files,
        shelf: &Shelf,
        state: &mut State,
        uidnext: u32,
        wait: bool,
    ) -> Result<(), WouldBlock> {
        let (read, renew) = file::read(files, &shelf.home, shelf.mailbox, uidnext, wait)?;
        state.renew |= renew;
        let forest = read.and_then(|mut forest| {
            for waiting in &state.waiting {
                forest.insert(&waiting.message())?;
            }
            Ok(forest)
        });
        match forest {
            Ok(forest) => state.kept = Kept::Forest(Box::new(forest)),
            Err(_) => self.overgrown(state),
        }
        Ok(())
    }

    /// Lets forests go that nobody has asked for lately, while all have more bytes than they may; not the one in use.
    fn make_room(&self, in_use: &Shelf) {
        let mut all: Vec<(u64, Arc<Shelf>, usize)> = Vec::new();
        for shelf in self.shelves().values() {
            // One that is busy is in use.
            let Ok(state) = shelf.state.try_lock() else { continue };
            let held = state.held();
            drop(state);
            if held > 0 {
                all.push((shelf.used.load(Ordering::Relaxed), shelf.clone(), held));
            }
        }
        let mut held: usize = all.iter().map(|(_, _, held)| held).sum();
        all.sort_by_key(|(used, ..)| *used);
        for (_, shelf, bytes) in all {
            if held > self.memory && !std::ptr::eq(&*shelf, in_use) {
                shelf.state().let_go();
                held -= bytes;
            }
        }
    }

    /// Tells the time, in monotonic milliseconds, and forgets what nobody has asked for lately.
    pub(crate) fn forget_idle(&self, now: u64) {
        let begins = self.now.swap(now, Ordering::Relaxed) == 0;
        self.shelves().retain(|_, shelf| {
            if begins {
                shelf.used.store(now, Ordering::Relaxed);
            }
            let Ok(mut state) = shelf.state.try_lock() else { return true };
            if shelf.used.load(Ordering::Relaxed).saturating_add(IDLE_MS) <= now
                && !state.is_to_be_written()
            {
                state.let_go();
            }
            // Somebody else may have it in hand.
            !matches!(state.kept, Kept::Unread)
                || !state.waiting.is_empty()
                || Arc::strong_count(shelf) > 1
        });
    }

    /// Whether so much waits to be written that the house should be looked after now.
    pub(crate) fn calls(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > WAITING / 2
    }

    /// Whether anything waits to be written.
    pub(crate) fn has_unwritten(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0 || self.renew.load(Ordering::Relaxed)
    }

    /// Writes what waits and is durable, as `settled` says of the change it came by; `None` for one that was lost.
    pub(crate) fn write(&self, files: &Files, settled: &dyn Fn(u64) -> Option<bool>) {
        self.renew.store(false, Ordering::Relaxed);
        let shelves: Vec<Arc<Shelf>> = self.shelves().values().cloned().collect();
        for shelf in shelves {
            let mut state = shelf.state();
            if !state.is_to_be_written() {
                continue;
            }
            let settled_all = state.waiting.iter().map(|waiting| settled(waiting.position));
            let outcomes: Vec<Option<bool>> =
                settled_all.chain([settled(state.unqueued)]).collect();
            if outcomes.contains(&None) {
                // The account is loaded anew, under another number: nobody looks here any more.
                self.forget(&mut state);
                continue;
            }
            let all = std::mem::take(&mut state.waiting);
            let is_settled = |waiting: &Waiting| settled(waiting.position) == Some(true);
            let (mut ready, later): (Vec<Waiting>, Vec<Waiting>) =
                all.into_iter().partition(is_settled);
            self.waiting.fetch_sub(ready.len(), Ordering::Relaxed);
            state.waiting = later;
            ready.sort_by_key(|waiting| waiting.uid);
            ready.dedup_by_key(|waiting| waiting.uid);
            let State { kept, waiting, renew, unqueued } = &mut *state;
            let result = match kept {
                Kept::Forest(forest) if *renew && settled(*unqueued) == Some(true) => {
                    let except = waiting.iter().map(|waiting| waiting.uid).collect();
                    *renew = false;
                    file::renew(files, &shelf.home, shelf.mailbox, forest, &except)
                }
                Kept::Forest(_) | Kept::Unread | Kept::Overgrown => {
                    let messages = ready.iter().map(Waiting::message);
                    file::append(files, &shelf.home, shelf.mailbox, messages)
                }
            };
            if let Err(error) = result {
                // What it has now shows when it is read, unless the forest is there to make it anew.
                *renew = matches!(kept, Kept::Forest(_));
                tracing::warn!(file = %file::path(&shelf.home, shelf.mailbox).display(), %error, "threads can't be written; what the file would have told is read from the messages");
            }
            if state.renew {
                self.renew.store(true, Ordering::Relaxed);
            }
        }
    }

    /// When a message came and what it says of itself, if that is known.
    #[cfg(test)]
    pub(crate) fn known(&self, shelf: &Shelf, uid: u32) -> Option<(i64, Words)> {
        let state = shelf.state();
        let Kept::Forest(forest) = &state.kept else { return None };
        let mut references = Vec::new();
        let message = forest.message(index_format::Uid(uid), &mut references)?;
        Some((message.came, words(&message)))
    }

    /// Bytes of forests in memory, and messages that wait to be written.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize) {
        let shelves = self.shelves();
        let held = shelves.values().map(|shelf| shelf.state().held()).sum();
        let waiting = shelves.values().map(|shelf| shelf.state().waiting.len()).sum::<usize>();
        assert_eq!(waiting, self.waiting.load(Ordering::Relaxed));
        (held, waiting)
    }
}

impl Shelf {
    #[cfg(test)]
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // A forest that was left between two changes is read again.
            let mut state = poisoned.into_inner();
            state.let_go();
            self.state.clear_poison();
            state
        })
    }
}

impl State {
    /// The forest leaves memory; what the file lacks of it will be learnt again.
    fn let_go(&mut self) {
        (self.kept, self.renew, self.unqueued) = (Kept::Unread, false, 0);
    }

    fn is_to_be_written(&self) -> bool {
        !self.waiting.is_empty() || self.renew
    }

    fn held(&self) -> usize {
        match &self.kept {
            Kept::Forest(forest) => forest.held(),
            Kept::Unread | Kept::Overgrown => 0,
        }
    }
}

impl Listed {
    fn push(&mut self, known: &index_format::threads::Known<'_>) {
        let number = |node: u32| u64::from(node) + 1;
        self.references.extend(known.references.iter().copied().map(number));
        self.messages.push(ListedMessage {
            known: Known {
                came: known.came,
                sent: known.sent,
                subject: (known.subject != 0).then_some(u64::from(known.subject)),
                is_reply: known.is_reply,
                id: known.id.map(number),
                references: &[],
            },
            references: self.references.len(),
        });
    }

    fn push_bare(&mut self, came: i64) {
        let known = Known { came, sent: came, ..Known::default() };
        self.messages.push(ListedMessage { known, references: self.references.len() });
    }

    /// Whether all were given.
    pub(crate) fn is_done(&self) -> bool {
        self.next >= self.messages.len()
    }

    /// Gives the next `most` messages; whether there were any.
    pub(crate) fn give(&mut self, threader: &mut Threader, most: usize) -> bool {
        let before = |next: usize, messages: &[ListedMessage]| {
            next.checked_sub(1)
                .and_then(|last| messages.get(last))
                .map_or(0, |last| last.references)
        };
        let mut start = before(self.next, &self.messages);
        let messages = self.messages.iter().skip(self.next).take(most);
        let mut given = 0;
        for ListedMessage { known, references } in messages {
            let of = self.references.get(start..*references).unwrap_or_default();
            threader.give_known(&Known { references: of, ..*known });
            start = *references;
            given += 1;
        }
        self.next += given;
        given > 0
    }
}

fn message(uid: Uid, came: i64, words: &Words) -> Message<'_> {
    Message {
        uid: index_format::Uid(uid.0),
        came,
        sent: words.sent,
        subject: words.subject.unwrap_or_default(),
        is_reply: words.is_reply,
        id: words.id.unwrap_or_default(),
        references: &words.references,
    }
}

fn words(message: &Message<'_>) -> Words {
    let some = |fingerprint: Fingerprint| (fingerprint != 0).then_some(fingerprint);
    Words {
        sent: message.sent,
        subject: some(message.subject),
        is_reply: message.is_reply,
        id: some(message.id),
        references: message.references.to_vec(),
    }
}

/// What a forest says, as an algorithm takes it.
fn linked(forest: index_format::threads::Linked, algorithm: Algorithm) -> Linked {
    let mut linked = Linked {
        uids: forest.uids.into_iter().map(|uid| Uid(uid.0)).collect(),
        sent: forest.sent,
        ..Linked::default()
    };
    if algorithm != Algorithm::Refs {
        linked.subjects = forest.subjects.into_iter().map(u64::from).collect();
    }
    if algorithm != Algorithm::OrderedSubject {
        (linked.nodes, linked.parents) = (forest.nodes, forest.parents);
    }
    match algorithm {
        Algorithm::OrderedSubject => {}
        Algorithm::References => linked.replies = forest.replies,
        Algorithm::Refs => linked.came = forest.came,
    }
    linked
}
