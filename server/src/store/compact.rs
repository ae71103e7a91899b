//! Compaction: the room of messages that nobody refers to is given back.
//!
//! One account at a time, in steps, each a change like others: messages without references leave the map once no session
//! has them in view; containers in which none is left are dropped; of containers that are mostly dead, the rest moves to a
//! new one, which is durable before the change that names it. Files go after the checkpoint that covers their drop.
//!
//! Invariants:
//! - A message that has references, or is in a session's view, can be read at all times, before and after a crash at any
//!   point: where it was, or where it is now. Who found it before it moved keeps the old file from going
//!   ([`State::readers`]).
//! - The account's lock is held for one step of bookkeeping, over no I/O.
//! - A record is moved only after its checksums were found right; a damaged one stays where it is, and its container too.

use super::account::{Account, State};
use super::change::Change;
use super::delivery::container_header;
use super::error::StoreError;
use super::large::{Unsaved, unfinished};
use super::mailbox::directory;
use super::planted::{Planted, planted};
use super::store::Store;
use dbox_format::Seed;
use dbox_format::container::{FILE_HEADER_LEN, reseed};
use dbox_format::map::{ContainerState, Draft, Gone, IdSet, Map, MapId, Moved, Op};
use index_format::Guid;
use runtime_smol::fs::{self, File, Open, read_exact_at};
use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Between two looks at what there is to do unasked.
const ROUND: Duration = Duration::from_secs(5);

/// Dead bytes of an account below which nothing is done unasked.
const DEAD_LEAST: u64 = 1 << 20;
/// Ids freed, or containers dropped, by one change.
const AT_ONCE: usize = 8192;
/// Messages that have their new places named by one change.
const MOVED_AT_ONCE: usize = if cfg!(test) { 2 } else { 2048 };
/// Slots of the map that are looked at under one lock.
const LOOKED_AT: usize = 16 << 10;
/// Bytes that are written at once.
const WRITTEN_AT_ONCE: usize = 1 << 20;

/// How much is worth the work.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    /// What is mostly dead, where it is much.
    Cheap,
    /// All that can be had without what may yet be brought back.
    All,
    /// All that can be had.
    Forget,
}

/// What a step has done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Compacted {
    /// Bytes of files that will go.
    pub(crate) freed: u64,
    /// Bytes of messages that moved.
    pub(crate) moved: u64,
}

/// Where a rewrite goes.
struct Rewrite {
    victims: BTreeSet<u32>,
    number: u32,
    seed: Seed,
    /// The change that gave the number away.
    position: u64,
}

enum Plan {
    Nothing,
    Done(Compacted),
    Rewrite(Rewrite),
}

impl Store {
    /// Does the next step in an account; `None` when there is nothing to do. `pace` is told of bytes that were read and
    /// written, may wait, and says whether to go on.
    ///
    /// # Errors
    /// What keeps the step from being done: nothing has changed then but a container number.
    pub(crate) fn compact_step(
        &self,
        account: &Arc<Account>,
        wanted: Wanted,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<Compacted>, StoreError> {
        match self.plan(account, wanted)? {
            Plan::Nothing => Ok(None),
            Plan::Done(done) => Ok(Some(done)),
            Plan::Rewrite(rewrite) => {
                let result = self.rewrite(account, &rewrite, pace);
                if !matches!(result, Ok(Some(_))) {
                    let taken_back = self.take_back(account, rewrite.number);
                    return result.and_then(|none| taken_back.map(|()| none));
                }
                result
            }
        }
    }

    /// Gives back all that an account has to give. The files go with the next checkpoint.
    /// With `forget` also what could yet be brought back.
    pub(crate) fn purge(&self, user: &str, forget: bool) -> Result<Compacted, StoreError> {
        let account = self.account(user)?;
        self.forget_deleted(&account, forget)?;
        let wanted = if forget { Wanted::Forget } else { Wanted::All };
        let mut sum = Compacted::default();
        loop {
            // What waits to be written stays where it is.
            self.flush();
            let Some(step) = self.compact_step(&account, wanted, &mut |_| true)? else {
                return Ok(sum);
            };
            sum.freed += step.freed;
            sum.moved += step.moved;
        }
    }

    /// Decides what is next, and does what needs no I/O.
    fn plan(&self, account: &Arc<Account>, wanted: Wanted) -> Result<Plan, StoreError> {
        self.writable_by(account)?;
        let mut state = account.lock()?;
        let state = &mut *state;
        let dead: u64 = state.map.containers().map(|(_, container)| dead(container)).sum();
        let past = self.undeletable_before();
        let apart = dead_apart(state, past);
        let dead = dead.saturating_add(apart);
        if dead == 0 || (wanted == Wanted::Cheap && dead < DEAD_LEAST) {
            state.note_nothing(past, self.now());
            return Ok(Plan::Nothing);
        }
        let low = self.free_space_low();
        let is_due = |id: MapId, gone: Gone| {
            wanted == Wanted::Forget || is_past(gone, past) || (low && makes_room(&state.map, id))
        };
        let free = free(account, state, is_due);
        let mut draft = Draft::new(&state.map);
        if !free.is_empty() {
            draft.free(free);
            self.submit_map(account, state, draft)?;
            return Ok(Plan::Done(Compacted::default()));
        }
        let current = state.container.map(|container| container.number);
        if let Some(number) = current
            && let Some(container) = state.map.container(number)
            && worth(container, wanted)
        {
            draft.container_seal(number);
            state.container = None;
            self.submit_map(account, state, draft)?;
            return Ok(Plan::Done(Compacted::default()));
        }
        let empty = empty(state);
        if !empty.is_empty() {
            empty.iter().for_each(|(number, _)| draft.push(Op::ContainerDrop { number: *number }));
            let position = self.submit_map(account, state, draft)?;
            self.let_go_of(account, state, position, empty.iter().map(|(number, _)| *number));
            let freed = empty.iter().map(|(_, end)| end).sum();
            return Ok(Plan::Done(Compacted { freed, moved: 0 }));
        }
        let victims = victims(state, wanted, self.config.container_size);
        if victims.is_empty() || self.free_space_low() {
            state.note_nothing(past, self.now());
            // What somebody has in view yet is asked for again, if that is much.
            state.garbage = apart >= DEAD_LEAST;
            return Ok(Plan::Nothing);
        }
        let number = state.map.next_container();
        let seed = self.new_container(number).seed;
        draft.container_open(number, seed);
        let position = self.submit_map(account, state, draft)?;
        Ok(Plan::Rewrite(Rewrite { victims, number, seed, position }))
    }

    /// Copies what is left in the victims to a container of its own, and has the map name it there. `None` when it was
    /// told to stop.
    fn rewrite(
        &self,
        account: &Arc<Account>,
        rewrite: &Rewrite,
        pace: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Option<Compacted>, StoreError> {
        let path = account.container_path(rewrite.number);
        let (temporary, fs) = (unfinished(&path), self.files.fs());
        let dir = fs::parent(&path);
        fs.create_dir_all(dir).map_err(|error| StoreError::io("create", dir, error))?;
        let write = |error| StoreError::io("write", &temporary, error);
        match fs.unlink(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(write(error)),
            Ok(()) | Err(_) => {}
        }
        let file = fs.open(&temporary, Open::Write).map_err(write)?;
        let mut unsaved = Unsaved::new(self, temporary.clone());
        let container = super::account::Container {
            number: rewrite.number,
            seed: rewrite.seed,
            end: FILE_HEADER_LEN,
        };
        let mut out = Out { file: &*file, bytes: Vec::new(), at: 0 };
        container_header(account, container, self.now()).write(&mut out.bytes);
        let mut moves = Vec::new();
        let mut next = MapId(0);
        while let Some(entries) = entries(account, &rewrite.victims, &mut next)? {
            for (id, seed, from) in entries {
                let offset = out.end();
                let start = out.bytes.len();
                if !self.read_record(account, seed, (from, rewrite.seed), &mut out.bytes)? {
                    continue;
                }
                let record_len = (out.bytes.len() - start) as u64;
                let to = Moved { id, container: rewrite.number, offset, record_len };
                moves.push((from, to));
                if out.bytes.len() >= WRITTEN_AT_ONCE {
                    let count = out.flush().map_err(write)?;
                    if !pace(count) {
                        return Ok(None);
                    }
                }
            }
        }
        let count = out.flush().map_err(write)?;
        if !pace(count) {
            return Ok(None);
        }
        let moved = out.at;
        self.publish(&*file, &temporary, &path)?;
        unsaved.is_called(path, rewrite.position);
        let freed = self.name_moved(account, rewrite, (&moves, unsaved))?;
        Ok(Some(Compacted { freed, moved }))
    }

    /// Appends a record of the old container to `out`, as one of the new. `false` when it is damaged, which is told.
    fn read_record(
        &self,
        account: &Account,
        old: Seed,
        (from, new): (Moved, Seed),
        out: &mut Vec<u8>,
    ) -> Result<bool, StoreError> {
        let path = account.container_path(from.container);
        let start = out.len();
        let Ok(len) = usize::try_from(from.record_len) else { return Ok(false) };
        let file = self.files.get(&path, Open::Write)?;
        out.resize(start + len, 0);
        let record = out.get_mut(start..).unwrap_or_default();
        let why = match read_exact_at(&*file, record, from.offset) {
            Ok(()) => match reseed(record, old, new) {
                Ok(()) => return Ok(true),
                Err(error) => error.to_string(),
            },
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                "it is shorter than the map says".to_owned()
            }
            Err(error) => return Err(StoreError::io("read", &path, error)),
        };
        out.truncate(start);
        tracing::error!(
            path = %path.display(), offset = from.offset, why,
            "a message is damaged: it stays where it is, and the room around it can't be given back"
        );
        account.lock()?.damaged_containers.insert(from.container);
        Ok(false)
    }

    /// Has the map say where the moved messages are now, some at a time; the bytes of the files that go by it.
    fn name_moved(
        &self,
        account: &Arc<Account>,
        rewrite: &Rewrite,
        (moves, unsaved): (&[(Moved, Moved)], Unsaved<'_>),
    ) -> Result<u64, StoreError> {
        let mut unsaved = Some(unsaved);
        for moves in moves.chunks(MOVED_AT_ONCE) {
            let mut state = account.lock()?;
            let state = &mut *state;
            // What was freed meanwhile is dead where it is now, too.
            let is_there = |from: &Moved| {
                let entry = state.map.get(from.id);
                entry.is_some_and(|is| (is.container, is.offset) == (from.container, from.offset))
            };
            let there = moves.iter().filter(|(from, _)| is_there(from));
            let moved: Vec<Moved> = there.map(|(_, to)| *to).collect();
            if !moved.is_empty() {
                let mut draft = Draft::new(&state.map);
                draft.push(Op::Move(moved));
                self.submit_map(account, state, draft)?;
                // From now on the map needs the new file.
                unsaved.take().into_iter().for_each(Unsaved::keep);
            }
        }
        let mut state = account.lock()?;
        let state = &mut *state;
        let mut gone = Vec::new();
        for number in &rewrite.victims {
            let container = state.map.container(*number).filter(|is| is.messages == 0);
            gone.extend(container.map(|container| (*number, container.end)));
        }
        let mut draft = Draft::new(&state.map);
        draft.container_seal(rewrite.number);
        gone.iter().for_each(|(number, _)| draft.push(Op::ContainerDrop { number: *number }));
        let position = self.submit_map(account, state, draft)?;
        unsaved.into_iter().for_each(Unsaved::keep);
        self.let_go_of(account, state, position, gone.iter().map(|(number, _)| *number));
        Ok(gone.iter().map(|(_, end)| end).sum())
    }

    /// Gives up a container number that nothing was put under.
    fn take_back(&self, account: &Arc<Account>, number: u32) -> Result<(), StoreError> {
        let mut state = account.lock()?;
        let state = &mut *state;
        if state.map.container(number).is_none_or(|container| container.messages > 0) {
            return Ok(());
        }
        let mut draft = Draft::new(&state.map);
        draft.push(Op::ContainerDrop { number });
        self.submit_map(account, state, draft).map(drop)
    }

    /// Has the files of containers go, once `position` is covered and nobody reads them.
    fn let_go_of(
        &self,
        account: &Account,
        state: &mut State,
        position: u64,
        numbers: impl Iterator<Item = u32>,
    ) {
        let readers = state.readers.turn();
        for number in numbers {
            let path = account.container_path(number);
            if planted(Planted::DropBeforeCheckpoint) {
                let _gone = self.files.fs().unlink(&path);
            }
            self.due.garbage_of(position, path, readers.clone());
        }
    }

    fn submit_map(
        &self,
        account: &Arc<Account>,
        state: &mut State,
        draft: Draft,
    ) -> Result<u64, StoreError> {
        let mut change = Change::default();
        change.map(account, state, &draft.finish(), self.now())?;
        state.position = self.submit(change);
        Ok(state.position)
    }
}

/// The new container while it is written.
struct Out<'a> {
    file: &'a dyn File,
    bytes: Vec<u8>,
    /// Bytes of it that are in the file.
    at: u64,
}

impl Out<'_> {
    fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }

    /// How many bytes went to the file.
    fn flush(&mut self) -> std::io::Result<u64> {
        self.file.write_at(&[IoSlice::new(&self.bytes)], self.at)?;
        let count = self.bytes.len() as u64;
        self.at += count;
        self.bytes.clear();
        Ok(count)
    }
}

/// Bytes of a container that nobody refers to.
fn dead(container: &ContainerState) -> u64 {
    container.end.saturating_sub(FILE_HEADER_LEN + container.live_bytes)
}

/// Bytes of attachments of messages that nobody refers to since `past` or before: they are needed as long as these are in
/// the map.
fn dead_apart(state: &State, past: i64) -> u64 {
    let gone = state.map.expunged().filter(|(_, gone)| is_past(*gone, past));
    let extras = gone.filter_map(|(id, _)| state.map.extra(id));
    let lists = extras.filter_map(|extra| extra.attachments().ok());
    lists.flatten().fold(0, |sum, part| sum.saturating_add(part.len))
}

/// Whether a container is worth being rewritten, as far as its messages may go.
fn worth(container: &ContainerState, wanted: Wanted) -> bool {
    let all = container.end.saturating_sub(FILE_HEADER_LEN);
    let gone = all.saturating_sub(container.held_bytes);
    match wanted {
        Wanted::All | Wanted::Forget => gone > 0,
        Wanted::Cheap => gone > all / 2 && gone >= DEAD_LEAST.min(all / 2),
    }
}

/// Containers in which no message is left, with their bytes.
fn empty(state: &State) -> Vec<(u32, u64)> {
    let sealed = state.map.containers().filter(|(_, container)| container.sealed);
    let empty = sealed.filter(|(_, container)| container.messages == 0);
    empty.map(|(number, container)| (number, container.end)).take(AT_ONCE).collect()
}

/// The oldest containers worth rewriting whose messages fit into one of `room` bytes.
fn victims(state: &State, wanted: Wanted, mut room: u64) -> BTreeSet<u32> {
    let sealed = state.map.containers().filter(|(_, container)| container.sealed);
    let worth = sealed.filter(|(number, container)| {
        worth(container, wanted) && !state.damaged_containers.contains(number)
    });
    let mut victims = BTreeSet::new();
    for (number, container) in worth {
        if !victims.is_empty() && container.held_bytes > room {
            break;
        }
        room = room.saturating_sub(container.held_bytes);
        victims.insert(number);
    }
    victims
}

impl State {
    /// There is nothing to do, until the next of those that can be brought back, if any, has been gone for long enough.
    fn note_nothing(&mut self, past: i64, now: i64) {
        self.garbage = false;
        let times = self.map.expunged().map(|(_, gone)| i64::from(gone.time));
        let first = times.filter(|time| *time > past).min();
        self.garbage_from = first.map(|time| now.saturating_add(time - past));
    }
}

/// Whether a message lost its last reference at `past` or before, or nobody knows when.
fn is_past(gone: Gone, past: i64) -> bool {
    i64::from(gone.time) <= past
}

/// Whether room is had at once by letting go of a message without references: with the whole container.
fn makes_room(map: &Map, id: MapId) -> bool {
    let container = map.get(id).and_then(|entry| map.container(entry.container).copied());
    container.is_some_and(|container| container.sealed && container.live_bytes == 0)
}

/// Messages without references that no session has in view, that are in their containers and that are due.
fn free(account: &Account, state: &State, is_due: impl Fn(MapId, Gone) -> bool) -> IdSet {
    let shown: BTreeSet<u32> = state
        .mailboxes
        .values()
        .flat_map(|mbox| mbox.feed.graves().map(|row| row.map_id.0))
        .collect();
    let pending = account.pending();
    let mut free = IdSet::new();
    let due = state.map.expunged().filter(|(id, gone)| is_due(*id, *gone));
    let ids = due.map(|(id, _)| id);
    for id in ids.filter(|id| !shown.contains(&id.0) && !pending.contains_key(&id.0)).take(AT_ONCE)
    {
        free.insert(id);
    }
    free
}

/// The next messages in these containers from `next` on, with the seeds of those; `None` at the end.
#[allow(clippy::type_complexity, reason = "taken apart at once")]
fn entries(
    account: &Account,
    victims: &BTreeSet<u32>,
    next: &mut MapId,
) -> Result<Option<Vec<(MapId, Seed, Moved)>>, StoreError> {
    let state = account.lock()?;
    if *next >= state.map.next_id() {
        return Ok(None);
    }
    let mut found = Vec::new();
    let mut last = None;
    for (id, entry) in state.map.iter_from(*next).take(LOOKED_AT) {
        last = Some(id);
        if !victims.contains(&entry.container) {
            continue;
        }
        let Some(container) = state.map.container(entry.container) else { continue };
        let (offset, record_len) = (entry.offset, entry.record_len);
        let from = Moved { id, container: entry.container, offset, record_len };
        found.push((id, container.seed, from));
    }
    *next = last.map_or(state.map.next_id(), |id| MapId(id.0 + 1));
    Ok(Some(found))
}

impl Store {
    /// What was expunged then or before can't be brought back any more.
    pub(crate) fn undeletable_before(&self) -> i64 {
        let kept = i64::try_from(self.config.undelete_ms / 1000).unwrap_or(i64::MAX);
        self.now().saturating_sub(kept)
    }

    /// Has the files of deleted mailboxes go whose mail can't be brought back any more; of all of them, if so wished.
    fn forget_deleted(&self, account: &Account, all: bool) -> Result<(), StoreError> {
        let past = self.undeletable_before();
        let (gone, position): (Vec<Guid>, u64) = {
            let mut state = account.lock()?;
            let State { list, deleted, position, .. } = &mut *state;
            let deleted = deleted.get_or_insert_with(|| {
                let tombstones = list.tombstones().iter().filter(|gone| gone.renamed_to.is_none());
                tombstones.map(|gone| (gone.guid, gone.time)).collect()
            });
            let due = deleted.iter().filter(|(_, time)| all || **time <= past);
            let due: Vec<Guid> = due.map(|(guid, _)| *guid).collect();
            due.iter().for_each(|guid| _ = deleted.remove(guid));
            (due, *position)
        };
        for guid in gone {
            let path = directory(account.dir(), guid);
            let there = self.files.fs().metadata(&path);
            if there.map_err(|error| StoreError::io("look at", &path, error))?.is_some() {
                self.garbage(position, path);
            }
        }
        Ok(())
    }
}

/// What the threads wait by that give room back unasked.
#[derive(Default)]
pub(crate) struct Pause {
    stopping: Mutex<bool>,
    called: Condvar,
}

impl Pause {
    /// Ends the threads.
    pub(crate) fn stop(&self) {
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.called.notify_all();
    }

    /// Whether it is time to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits; `false` when stopping.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let stopping = self.stopping.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.called.wait_timeout_while(stopping, time, |stopping| !*stopping);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The thread that compacts unasked, and learns dictionaries.
impl Store {
    /// Compacts at the pace of the settings, and learns dictionaries, until it is stopped.
    pub(crate) fn keep_compact(&self) {
        let rate = self.config.compaction_rate;
        let second = 1_000_000_000;
        self.compact_while(&|bytes| {
            self.pause.wait(match bytes {
                None => ROUND,
                Some(bytes) => Duration::from_nanos(bytes.saturating_mul(second) / rate.max(1)),
            })
        });
    }

    /// Goes over the accounts in memory as long as `wait` says so, which is called between them and, with bytes, for what
    /// was read and written.
    fn compact_while(&self, wait: &dyn Fn(Option<u64>) -> bool) {
        while wait(None) {
            if self.commit.refusing() || self.files.is_suspect() {
                continue;
            }
            self.learn();
            if self.config.compaction_rate == 0 {
                continue;
            }
            for account in self.loaded_accounts() {
                self.compact_cheaply(&account, wait);
            }
        }
    }

    fn compact_cheaply(&self, account: &Arc<Account>, wait: &dyn Fn(Option<u64>) -> bool) {
        if let Err(error) = self.forget_deleted(account, false) {
            tracing::warn!(account = account.name(), %error, "the files of deleted mailboxes can't be taken away now");
        }
        let now = self.now();
        let low = self.free_space_low();
        let due = |state: &State| {
            let from = state.garbage_from;
            state.garbage || from.is_some_and(|from| low || from <= now)
        };
        if !account.lock().is_ok_and(|state| due(&state)) {
            return;
        }
        let mut done = Compacted::default();
        let mut goes_on = true;
        let result = loop {
            let mut pace = |bytes| {
                goes_on = wait(Some(bytes));
                goes_on
            };
            match self.compact_step(account, Wanted::Cheap, &mut pace) {
                Ok(Some(step)) => {
                    done.freed += step.freed;
                    done.moved += step.moved;
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if !goes_on {
                break Ok(());
            }
        };
        let name = account.name();
        if done.freed > 0 {
            let (freed, moved) = (done.freed, done.moved);
            tracing::info!(account = name, freed, moved, "gave back the room of expunged mail");
        }
        if let Err(error) = result {
            tracing::warn!(account = name, %error, "the room of expunged mail can't be given back now");
        }
    }
}
