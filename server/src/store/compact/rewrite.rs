//! What is left of containers that are mostly dead moves to a new one.

use crate::store::account::{Account, Container};
use crate::store::breath::{breathe, looked, slice};
use crate::store::compact::Compacted;
use crate::store::delivery::container_header;
use crate::store::error::StoreError;
use crate::store::large::{Unsaved, unfinished};
use crate::store::store::Store;
use dbox_format::Seed;
use dbox_format::container::{FILE_HEADER_LEN, reseed};
use dbox_format::map::{Draft, MapId, Moved, Op};
use runtime_smol::fs::{self, File, Open, read_exact_at};
use std::collections::BTreeSet;
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;

/// Bytes that are written at once.
const WRITTEN_AT_ONCE: usize = 1 << 20;

/// Where a rewrite goes.
pub(super) struct Rewrite {
    pub(super) victims: BTreeSet<u32>,
    pub(super) number: u32,
    pub(super) seed: Seed,
    /// The change that gave the number away.
    pub(super) position: u64,
}

impl Store {
    /// Copies what is left in the victims to a container of its own, and has the map name it there. `None` when it was
    /// told to stop.
    pub(super) fn rewrite(
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
        let container =
            Container { number: rewrite.number, seed: rewrite.seed, end: FILE_HEADER_LEN };
        let mut out = Out { file: &*file, bytes: Vec::new(), at: 0 };
        container_header(account, container, self.now()).write(&mut out.bytes);
        let mut moves = Vec::new();
        let mut next = Some(MapId(0));
        while let Some(from) = next {
            let (entries, behind) = entries(account, &rewrite.victims, from)?;
            next = behind;
            if entries.is_empty() {
                breathe();
            }
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
        self.publish(account, rewrite.number, &*file, &temporary)?;
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
        for moves in moves.chunks(slice()) {
            breathe();
            let mut state = account.lock()?;
            let state = &mut *state;
            // What was freed meanwhile is dead where it is now, too.
            let is_there = |from: &Moved| {
                looked();
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
    pub(super) fn take_back(&self, account: &Arc<Account>, number: u32) -> Result<(), StoreError> {
        let mut state = account.lock()?;
        let state = &mut *state;
        if state.map.container(number).is_none_or(|container| container.messages > 0) {
            return Ok(());
        }
        let mut draft = Draft::new(&state.map);
        draft.push(Op::ContainerDrop { number });
        self.submit_map(account, state, draft).map(drop)
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

/// Messages of an account, with the seeds of their containers and where they lie there.
type Entries = Vec<(MapId, Seed, Moved)>;

/// The messages in these containers from an id on, as far as one slice goes; and where to go on.
///
/// What comes into the map meanwhile goes to no victim, since those are sealed; what leaves it, or moves, is found out when the
/// new places are named.
fn entries(
    account: &Account,
    victims: &BTreeSet<u32>,
    from: MapId,
) -> Result<(Entries, Option<MapId>), StoreError> {
    let state = account.lock()?;
    let mut found = Vec::new();
    let (stretch, next) = state.map.stretch(from, slice());
    for (id, entry) in stretch {
        looked();
        if !victims.contains(&entry.container) {
            continue;
        }
        let Some(container) = state.map.container(entry.container) else { continue };
        let (offset, record_len) = (entry.offset, entry.record_len);
        let from = Moved { id, container: entry.container, offset, record_len };
        found.push((id, container.seed, from));
    }
    Ok((found, next))
}
