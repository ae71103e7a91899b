//! Makes a backup of a store that goes on meanwhile.

use super::error::Error;
use super::manifest::{
    File, Generation, Left, Manifest, Name, Object, Piece, Saved, VERSION, line,
};
use super::repository::{Known, Repository, Writer};
use crate::store::{Frozen, FrozenFile, Growth, Store, StoreError};
use dbox_format::attachment::Hash;
use runtime_smol::fs::{self, Fs, Open};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes from which on what is new of a file is an object of its own; less is put together with others.
pub(crate) const APART: u64 = if cfg!(test) { 200 } else { 128 << 10 };
/// Bytes of such a collection, about, and of a file whose bytes are compared as a whole.
pub(crate) const TOGETHER: usize = if cfg!(test) { 400 } else { 1 << 20 };
/// The most bytes of an object.
const OBJECT_MAX: u64 = if cfg!(test) { 700 } else { 64 << 20 };
/// Pieces of a file from which on it is copied anew.
const PIECES_MAX: usize = 256;
/// Bytes that are read at once.
const STEP: usize = 256 << 10;
/// Bytes after which it is told how far it is.
pub(crate) const TOLD: u64 = if cfg!(test) { 1 } else { 16 << 20 };
/// How often an account is tried that was given up meanwhile.
const TRIES: usize = 5;

/// What is to be done.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Task {
    /// The backup directory.
    pub(crate) dir: PathBuf,
    /// Whose mail; all accounts' when nobody is named.
    pub(crate) users: Vec<String>,
    /// How many generations are kept.
    pub(crate) keep: Option<u32>,
}

/// What became of it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Done {
    /// The generation's number.
    pub generation: u64,
    /// Accounts in it.
    pub accounts: u64,
    /// Accounts that could not be read, and are missing.
    pub left_out: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes that were not in the directory before.
    pub added: u64,
    /// Bytes that older generations have given back.
    pub freed: u64,
}

/// What is told meanwhile.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    /// Of an account's bytes so many are done, of so many.
    Progress { user: String, done: u64, total: u64 },
    /// An account can't be read, and will be missing.
    LeftOut { user: String, why: String },
}

/// Who is told; says whether somebody still wants it.
pub(crate) type Tell<'a> = &'a mut dyn FnMut(Told) -> bool;

/// Makes a generation.
///
/// # Errors
/// See [`Error`]. Accounts that can't be read are told of, and left out.
pub(crate) fn create(
    store: &Store,
    fs: Arc<dyn Fs>,
    task: &Task,
    tell: Tell<'_>,
) -> Result<Done, Error> {
    let root = std::path::absolute(store.root()).unwrap_or_else(|_| store.root().to_owned());
    if task.dir.starts_with(&root) {
        return Err(Error::Foreign { dir: task.dir.clone() });
    }
    let on_disk = store.accounts_on_disk()?;
    if let Some(user) = task.users.iter().find(|user| !on_disk.contains(user)) {
        return Err(Error::Name(format!("{user:?} has no mail here")));
    }
    let mut users = on_disk;
    users.retain(|user| task.users.is_empty() || task.users.contains(user));
    let repository = Repository::create(fs, &task.dir, &store.guid().to_string())?;
    let known = repository.known()?;
    let mut run = Run {
        store,
        repository: &repository,
        known: &known,
        writer: Writer::new(&repository),
        tell,
    };
    // Dictionaries may go when no account needs them any more: what is there now and what is there at the end.
    let shared = run.shared(known.manifests.get("").copied(), false)?;
    let (mut accounts, mut left_out) = (Vec::new(), Vec::new());
    for user in users {
        match run.account(&user) {
            Ok(saved) => accounts.push(saved),
            Err(Error::Store(error)) => {
                let why = error.to_string();
                (run.tell)(Told::LeftOut { user: user.clone(), why: why.clone() });
                left_out.push(Left { user, why });
            }
            Err(error) => return Err(error),
        }
    }
    let shared = run.shared(Some(shared), true)?;
    let generation = Generation {
        version: VERSION,
        number: repository.generations()?.last().map_or(1, |last| last + 1),
        store: store.guid().to_string(),
        epoch: store.epoch(),
        created: store.now(),
        loft: env!("CARGO_PKG_VERSION").to_owned(),
        added: run.writer.added,
        accounts,
        left_out,
        shared,
    };
    run.writer.publish(&generation)?;
    let freed = match task.keep {
        Some(keep) => repository.prune(usize::try_from(keep).unwrap_or(usize::MAX))?,
        None => 0,
    };
    Ok(Done {
        generation: generation.number,
        accounts: generation.accounts.len() as u64,
        left_out: generation.left_out.len() as u64,
        bytes: generation.accounts.iter().map(|saved| saved.bytes).sum(),
        added: generation.added,
        freed,
    })
}

struct Run<'a> {
    store: &'a Store,
    repository: &'a Repository,
    known: &'a Known,
    writer: Writer<'a>,
    tell: Tell<'a>,
}

impl Run<'_> {
    /// Copies what is new of an account.
    fn account(&mut self, user: &str) -> Result<Saved, Error> {
        let was_loaded = self.store.account_in_memory(user).is_some();
        let mut result = Err(Error::Store(StoreError::Lost));
        for _ in 0..TRIES {
            result = self.try_account(user);
            match &result {
                Err(Error::Store(StoreError::Lost)) => {}
                // A file went that was there before: the account was loaded anew in between.
                Err(Error::Store(StoreError::Io { source, .. }))
                    if source.kind() == io::ErrorKind::NotFound => {}
                _ => break,
            }
        }
        if !was_loaded {
            self.store.let_unused_go(user);
        }
        result
    }

    fn try_account(&mut self, user: &str) -> Result<Saved, Error> {
        let frozen = self.store.freeze(user)?;
        let before = self.known.manifests.get(user).copied();
        let Frozen { messages, mailboxes, .. } = frozen;
        let manifest = Manifest {
            version: VERSION,
            user: user.to_owned(),
            messages,
            mailboxes,
            ..Manifest::default()
        };
        let copy = Copy::new(self, manifest, before)?;
        let (manifest, object) = copy.all(frozen.dir(), &frozen.files)?;
        if !frozen.holds() {
            return Err(StoreError::Lost.into());
        }
        self.writer.note_account(user, object)?;
        Ok(Saved { user: user.to_owned(), manifest: object, messages, bytes: manifest.bytes() })
    }

    /// Copies what is new of the files that all accounts share. With `keeps` those that `before` has and that are gone stay.
    fn shared(&mut self, before: Option<Object>, keeps: bool) -> Result<Object, Error> {
        let (root, files) = (self.store.root().to_owned(), self.store.shared_files()?);
        let manifest = Manifest { version: VERSION, ..Manifest::default() };
        let copy = Copy { keeps, ..Copy::new(self, manifest, before)? };
        Ok(copy.all(&root, &files)?.1)
    }
}

/// The copy of one account.
struct Copy<'r, 'a> {
    run: &'r mut Run<'a>,
    manifest: Manifest,
    /// What is there of it already.
    before: BTreeMap<String, File>,
    objects: Vec<Object>,
    manifest_before: Option<Object>,
    /// Objects of before, where they are now in the manifest, if they are there.
    carried: BTreeMap<u32, Option<u32>>,
    /// What is put together, and which pieces are of it: file and piece.
    together: Vec<u8>,
    pieces: Vec<(usize, usize)>,
    /// Files stay that are gone.
    keeps: bool,
    done: u64,
    told: u64,
    total: u64,
}

impl<'r, 'a> Copy<'r, 'a> {
    fn new(
        run: &'r mut Run<'a>,
        manifest: Manifest,
        manifest_before: Option<Object>,
    ) -> Result<Self, Error> {
        let before = match manifest_before.map(|object| run.repository.manifest(object)) {
            Some(Ok(before)) => before,
            // It is copied anew.
            Some(Err(Error::Damaged { path, why })) => {
                tracing::error!(file = %path.display(), why, "a manifest of the backup is damaged");
                Manifest::default()
            }
            Some(Err(error)) => return Err(error),
            None => Manifest::default(),
        };
        let objects = before.objects;
        let before = before.files.into_iter().map(|file| (file.path.clone(), file)).collect();
        Ok(Self {
            run,
            manifest,
            before,
            objects,
            manifest_before,
            carried: BTreeMap::new(),
            together: Vec::new(),
            pieces: Vec::new(),
            keeps: false,
            done: 0,
            told: 0,
            total: 0,
        })
    }

    fn all(mut self, dir: &Path, files: &[FrozenFile]) -> Result<(Manifest, Object), Error> {
        self.total = files.iter().map(|file| file.len).sum();
        for file in files {
            self.file(dir, file)?;
            self.done += file.len;
            self.tell(0)?;
        }
        self.flush()?;
        if self.keeps {
            for (_, gone) in std::mem::take(&mut self.before) {
                self.keep(gone)?;
            }
        }
        self.tell(u64::MAX)?;
        self.manifest.put_in_order();
        let object = self.run.writer.put(&line(&self.manifest), self.manifest_before)?;
        Ok((self.manifest, object))
    }

    /// Tells how far it is, from time to time.
    fn tell(&mut self, more: u64) -> Result<(), Error> {
        let done = self.done.saturating_add(more).min(self.total);
        if more < u64::MAX && done < self.told + TOLD {
            return Ok(());
        }
        self.told = done;
        let user = self.manifest.user.clone();
        match (self.run.tell)(Told::Progress { user, done, total: self.total }) {
            true => Ok(()),
            false => Err(Error::Interrupted),
        }
    }

    fn file(&mut self, dir: &Path, frozen: &FrozenFile) -> Result<(), Error> {
        let FrozenFile { path, len, growth } = frozen;
        let at = dir.join(path);
        let files = self.run.store.files.fs();
        let source =
            files.open(&at, Open::Read).map_err(|error| StoreError::io("open", &at, error))?;
        let front = match *growth {
            Growth::Behind(front) | Growth::Whole(front) => Some(front),
            Growth::Unknown if *len <= TOGETHER as u64 => Some(TOGETHER),
            Growth::Never | Growth::Unknown => None,
        };
        let front = match front {
            Some(front) => {
                let mut bytes = vec![0; usize::try_from(*len).unwrap_or(front).min(front)];
                fs::read_exact_at(&*source, &mut bytes, 0)
                    .map_err(|error| StoreError::io("read", &at, error))?;
                Some(Name(Hash::of(&bytes)))
            }
            None => None,
        };
        let index = self.manifest.files.len();
        self.manifest.files.push(File { path: path.clone(), len: 0, front, pieces: Vec::new() });
        let mut have = self.take_over(index, frozen)?;
        while have < *len {
            have += self.bytes(index, (&*source, &at), have, *len - have)?;
        }
        if let Some(file) = self.manifest.files.get_mut(index) {
            file.len = *len;
        }
        Ok(())
    }

    /// Keeps a file that is gone.
    fn keep(&mut self, mut file: File) -> Result<(), Error> {
        for Piece(object, ..) in &mut file.pieces {
            let Some(number) = self.carry(*object)? else { return Ok(()) };
            *object = number;
        }
        self.manifest.files.push(file);
        Ok(())
    }

    /// Uses what an earlier generation has of a file; how many bytes that is.
    fn take_over(&mut self, index: usize, frozen: &FrozenFile) -> Result<u64, Error> {
        let Some(now) = self.manifest.files.get(index) else { return Ok(0) };
        let Some(before) = self.before.remove(&frozen.path) else { return Ok(0) };
        let same = now.front == before.front
            && match frozen.growth {
                Growth::Behind(_) => before.len <= frozen.len && before.pieces.len() < PIECES_MAX,
                Growth::Whole(_) | Growth::Never => before.len == frozen.len,
                Growth::Unknown => before.len == frozen.len && now.front.is_some(),
            };
        if !same {
            return Ok(0);
        }
        let mut pieces = Vec::with_capacity(before.pieces.len());
        for Piece(object, at, len) in before.pieces {
            let Some(object) = self.carry(object)? else { return Ok(0) };
            pieces.push(Piece(object, at, len));
        }
        if let Some(now) = self.manifest.files.get_mut(index) {
            now.pieces = pieces;
        }
        Ok(before.len)
    }

    /// The number that an object of before has in this manifest; `None` if it is not there any more.
    fn carry(&mut self, number: u32) -> Result<Option<u32>, Error> {
        if let Some(known) = self.carried.get(&number) {
            return Ok(*known);
        }
        let object = self.objects.get(number as usize).copied();
        let now = match object {
            Some(object) if self.run.repository.has(object)? => Some(self.add(object)),
            Some(_) | None => None,
        };
        self.carried.insert(number, now);
        Ok(now)
    }

    fn add(&mut self, object: Object) -> u32 {
        self.manifest.objects.push(object);
        u32::try_from(self.manifest.objects.len() - 1).unwrap_or(u32::MAX)
    }

    /// Copies some of a file's bytes from `from` on, `left` at most; how many.
    fn bytes(
        &mut self,
        index: usize,
        (source, at): (&dyn fs::File, &Path),
        from: u64,
        left: u64,
    ) -> Result<u64, Error> {
        let Some(file) = self.manifest.files.get(index) else { return Ok(left) };
        let (user, path, front) = (self.manifest.user.clone(), file.path.clone(), file.front);
        let read = |error| StoreError::io("read", at, error);
        if left < APART {
            let start = self.together.len();
            let len = usize::try_from(left).unwrap_or(0);
            self.together.resize(start + len, 0);
            let room = self.together.get_mut(start..).unwrap_or_default();
            fs::read_exact_at(source, room, from).map_err(read)?;
            self.push(index, Piece(u32::MAX, start as u64, left));
            if self.together.len() >= TOGETHER {
                self.flush()?;
            }
            return Ok(left);
        }
        let known = self.run.known.bytes((&user, &path), front, from);
        let object = match known {
            Some(object) if object.len <= left && self.run.repository.has(object)? => object,
            Some(_) | None => {
                let len = left.min(OBJECT_MAX);
                let mut incoming = self.run.writer.begin()?;
                let mut piece = vec![0; STEP];
                let mut have = 0;
                while have < len {
                    let count = usize::try_from(len - have).unwrap_or(STEP).min(STEP);
                    let room = piece.get_mut(..count).unwrap_or_default();
                    fs::read_exact_at(source, room, from + have).map_err(read)?;
                    incoming.write(room)?;
                    have += count as u64;
                    self.tell(have)?;
                }
                let object = self.run.writer.finish(incoming)?;
                self.run.writer.note_bytes((&user, &path), front, from, object)?;
                object
            }
        };
        let number = self.add(object);
        self.push(index, Piece(number, 0, object.len));
        Ok(object.len)
    }

    fn push(&mut self, index: usize, piece: Piece) {
        let Some(file) = self.manifest.files.get_mut(index) else { return };
        if piece.0 == u32::MAX {
            self.pieces.push((index, file.pieces.len()));
        }
        file.pieces.push(piece);
    }

    /// Makes an object of what is put together.
    fn flush(&mut self) -> Result<(), Error> {
        if self.together.is_empty() {
            return Ok(());
        }
        let object = self.run.writer.put(&self.together, None)?;
        self.together.clear();
        let number = self.add(object);
        for (file, piece) in self.pieces.drain(..) {
            let file = self.manifest.files.get_mut(file);
            if let Some(piece) = file.and_then(|file| file.pieces.get_mut(piece)) {
                piece.0 = number;
            }
        }
        Ok(())
    }
}
