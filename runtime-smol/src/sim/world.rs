//! What a simulated disk holds, and what memory holds above it.
//!
//! Invariants:
//! - `now` is what a living process sees: durable state and all pending changes, in order.
//! - A change leaves its pending list only by becoming durable, or, after a failed sync, by becoming uncertain for good.

use super::content::{Content, PAGE, pages};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

pub(super) type InodeId = u64;

/// The directory `/`.
pub(super) const ROOT: InodeId = 0;

type Result<T> = std::result::Result<T, Errno>;

/// A disk and the page cache above it. A clone shares all contents.
#[derive(Clone)]
pub(super) struct World {
    pub(super) inodes: BTreeMap<InodeId, Arc<Inode>>,
    /// Changes of names since their directories were synced, in order.
    pub(super) changes: Vec<Change>,
    /// A file system with one metadata journal has all changes up to this moment on disk.
    pub(super) journalled: u64,
    /// Moments so far: each change of names or of bytes is one.
    pub(super) moment: u64,
    next: InodeId,
}

#[derive(Clone)]
pub(super) enum Inode {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Clone, Default)]
pub(super) struct FileNode {
    pub(super) durable: Content,
    pub(super) now: Content,
    /// Writes since the last sync, in order.
    pub(super) pending: Vec<Pending>,
    /// Pages that a failed sync may or may not have brought to disk, and what they were then.
    pub(super) uncertain: BTreeMap<usize, Content>,
}

#[derive(Clone)]
pub(super) struct Pending {
    pub(super) moment: u64,
    pub(super) offset: u64,
    pub(super) bytes: Arc<[u8]>,
}

#[derive(Clone, Default)]
pub(super) struct DirNode {
    pub(super) durable: BTreeMap<OsString, InodeId>,
    pub(super) now: BTreeMap<OsString, InodeId>,
}

/// Names that change together or not at all.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) moment: u64,
    pub(super) names: Vec<Name>,
    /// The moment of the change without which this one can't be on disk: a renamed file is in one of two directories
    /// at least.
    pub(super) after: Option<u64>,
}

/// What a name stands for from now on.
#[derive(Clone)]
pub(super) struct Name {
    pub(super) dir: InodeId,
    pub(super) name: OsString,
    pub(super) inode: Option<InodeId>,
}

impl World {
    pub(super) fn new() -> Self {
        let root = Arc::new(Inode::Dir(DirNode::default()));
        Self {
            inodes: BTreeMap::from([(ROOT, root)]),
            changes: Vec::new(),
            journalled: 0,
            moment: 0,
            next: ROOT + 1,
        }
    }

    /// Goes on where `before` stopped: no inode number and no moment is used twice.
    pub(super) fn continue_after(&mut self, before: &World) {
        self.next = before.next;
        self.moment = before.moment;
        self.journalled = before.moment;
    }

    // --- looking

    pub(super) fn file(&self, id: InodeId) -> Result<&FileNode> {
        match self.inodes.get(&id).map(|inode| &**inode) {
            Some(Inode::File(file)) => Ok(file),
            Some(Inode::Dir(_)) => Err(Errno::ISDIR),
            None => Err(Errno::NOENT),
        }
    }

    pub(super) fn dir(&self, id: InodeId) -> Result<&DirNode> {
        match self.inodes.get(&id).map(|inode| &**inode) {
            Some(Inode::Dir(dir)) => Ok(dir),
            Some(Inode::File(_)) => Err(Errno::NOTDIR),
            None => Err(Errno::NOENT),
        }
    }

    pub(super) fn is_dir(&self, id: InodeId) -> bool {
        self.dir(id).is_ok()
    }

    pub(super) fn lookup(&self, path: &Path) -> Result<InodeId> {
        let mut at = ROOT;
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => {
                    at = *self.dir(at)?.now.get(name).ok_or(Errno::NOENT)?;
                }
                Component::ParentDir | Component::Prefix(_) => return Err(Errno::INVAL),
            }
        }
        Ok(at)
    }

    /// The directory that holds `path`, and the last component.
    fn place<'p>(&self, path: &'p Path) -> Result<(InodeId, &'p OsStr)> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        let dir = self.lookup(path.parent().unwrap_or(Path::new("/")))?;
        self.dir(dir)?;
        Ok((dir, name))
    }

    /// How many names stand for it now.
    pub(super) fn links(&self, id: InodeId) -> u64 {
        let dirs = self.reachable().into_iter().filter_map(|dir| self.dir(dir).ok());
        dirs.flat_map(|dir| dir.now.values()).filter(|named| **named == id).count() as u64
    }

    fn at(&self, dir: InodeId, name: &OsStr) -> Option<InodeId> {
        self.dir(dir).ok()?.now.get(name).copied()
    }

    // --- bytes

    /// Writes to the page cache.
    pub(super) fn write(&mut self, id: InodeId, bytes: &[u8], offset: u64) -> Result<()> {
        let moment = self.tick();
        let file = self.file_mut(id)?;
        file.now.write(bytes, offset);
        file.pending.push(Pending { moment, offset, bytes: bytes.into() });
        Ok(())
    }

    /// A sync that works.
    pub(super) fn sync_file(&mut self, id: InodeId) -> Result<()> {
        if self.file(id)?.is_clean() {
            return Ok(());
        }
        self.file_mut(id)?.sync();
        Ok(())
    }

    /// A sync that fails: the kernel has marked the pages clean. With `evict` it has also forgotten them, and reads see
    /// what is on disk.
    pub(super) fn lose_file(&mut self, id: InodeId, evict: bool) -> Result<()> {
        self.file_mut(id)?.lose(evict);
        Ok(())
    }

    // --- names

    /// A new file; its name must be free.
    pub(super) fn create(&mut self, path: &Path) -> Result<InodeId> {
        let (dir, name) = self.place(path)?;
        if self.at(dir, name).is_some() {
            return Err(Errno::EXIST);
        }
        let id = self.add_inode(Inode::File(FileNode::default()));
        self.set(dir, name, Some(id));
        Ok(id)
    }

    pub(super) fn create_dir_all(&mut self, path: &Path) -> Result<()> {
        let mut at = ROOT;
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => at = self.enter_or_make(at, name)?,
                Component::ParentDir | Component::Prefix(_) => return Err(Errno::INVAL),
            }
        }
        Ok(())
    }

    fn enter_or_make(&mut self, dir: InodeId, name: &OsStr) -> Result<InodeId> {
        match self.dir(dir)?.now.get(name) {
            Some(&id) if self.is_dir(id) => Ok(id),
            Some(_) => Err(Errno::EXIST),
            None => {
                let id = self.add_inode(Inode::Dir(DirNode::default()));
                self.set(dir, name, Some(id));
                Ok(id)
            }
        }
    }

    /// A second name; a file takes at most `most`.
    pub(super) fn link(&mut self, from: &Path, to: &Path, most: u64) -> Result<()> {
        let id = self.lookup(from)?;
        if self.is_dir(id) {
            return Err(Errno::PERM);
        }
        let (dir, name) = self.place(to)?;
        if self.at(dir, name).is_some() {
            return Err(Errno::EXIST);
        }
        if most < u64::MAX && self.links(id) >= most {
            return Err(Errno::MLINK);
        }
        self.set(dir, name, Some(id));
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &Path) -> Result<()> {
        let (dir, name) = self.place(path)?;
        let id = self.at(dir, name).ok_or(Errno::NOENT)?;
        if self.is_dir(id) {
            return Err(Errno::ISDIR);
        }
        self.set(dir, name, None);
        Ok(())
    }

    pub(super) fn remove_dir(&mut self, path: &Path) -> Result<()> {
        let (dir, name) = self.place(path)?;
        let id = self.at(dir, name).ok_or(Errno::NOENT)?;
        if !self.dir(id)?.now.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        self.set(dir, name, None);
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> Result<()> {
        let (from_dir, from_name) = self.place(from)?;
        let (to_dir, to_name) = self.place(to)?;
        let id = self.at(from_dir, from_name).ok_or(Errno::NOENT)?;
        let moves_dir = self.is_dir(id);
        if moves_dir && to != from && to.starts_with(from) {
            return Err(Errno::INVAL);
        }
        match self.at(to_dir, to_name) {
            Some(there) if there == id => return Ok(()), // rename(2): two names of one file stay
            Some(there) => match (moves_dir, self.dir(there)) {
                (true, Ok(dir)) if !dir.now.is_empty() => return Err(Errno::NOTEMPTY),
                (true, Err(_)) => return Err(Errno::NOTDIR),
                (false, Ok(_)) => return Err(Errno::ISDIR),
                (true, Ok(_)) | (false, Err(_)) => {}
            },
            None => {}
        }
        let set = Name { dir: to_dir, name: to_name.into(), inode: Some(id) };
        let clear = Name { dir: from_dir, name: from_name.into(), inode: None };
        if from_dir == to_dir || moves_dir {
            self.change(vec![set, clear], None);
        } else {
            // Two directories: either may be on disk first, but the file is never in neither.
            let after = self.change(vec![set], None);
            self.change(vec![clear], Some(after));
        }
        Ok(())
    }

    /// A directory sync that works.
    pub(super) fn sync_dir(&mut self, id: InodeId) -> Result<()> {
        self.dir(id)?;
        let mut due: BTreeSet<u64> = BTreeSet::new();
        for change in &self.changes {
            if change.names.iter().any(|name| name.dir == id) {
                due.insert(change.moment);
                due.extend(change.after);
            }
        }
        self.journalled = self.moment;
        self.settle(|change| due.contains(&change.moment));
        Ok(())
    }

    /// `syncfs` that works.
    pub(super) fn sync_all(&mut self, open: impl Fn(InodeId) -> bool) {
        for id in self.dirty() {
            if let Ok(file) = self.file_mut(id) {
                file.sync();
            }
        }
        self.journalled = self.moment;
        self.settle(|_| true);
        let reached = self.reachable();
        self.inodes.retain(|id, _| reached.contains(id) || open(*id));
    }

    /// `syncfs` that fails: as [`World::lose_file`] for all files. Names stay pending.
    pub(super) fn lose_all(&mut self, evict: bool) {
        for id in self.dirty() {
            if let Ok(file) = self.file_mut(id) {
                file.lose(evict);
            }
        }
    }

    fn dirty(&self) -> Vec<InodeId> {
        self.inodes.iter().filter(|(_, inode)| inode.is_dirty()).map(|(id, _)| *id).collect()
    }

    /// Other bytes, in memory and on disk.
    pub(super) fn overwrite(&mut self, id: InodeId, bytes: &[u8]) -> Result<()> {
        let file = self.file_mut(id)?;
        let mut content = Content::default();
        content.write(bytes, 0);
        *file = FileNode { durable: content.clone(), now: content, ..FileNode::default() };
        Ok(())
    }

    /// All files, sorted.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut todo = vec![(ROOT, PathBuf::from("/"))];
        while let Some((id, path)) = todo.pop() {
            match self.dir(id) {
                Ok(dir) => todo.extend(dir.now.iter().map(|(name, id)| (*id, path.join(name)))),
                Err(_) => found.push(path),
            }
        }
        found.sort();
        found
    }

    /// Bytes that files with names, or open ones, take on disk.
    pub(super) fn used(&self, open: impl Fn(InodeId) -> bool) -> u64 {
        let reached = self.reachable();
        let files = self.inodes.iter().filter(|(id, _)| reached.contains(id) || open(**id));
        files.filter_map(|(id, _)| self.file(*id).ok()).map(|file| allocated(file.now.len())).sum()
    }

    fn reachable(&self) -> BTreeSet<InodeId> {
        let mut reached = BTreeSet::from([ROOT]);
        let mut todo = vec![ROOT];
        while let Some(id) = todo.pop() {
            let Ok(dir) = self.dir(id) else { continue };
            todo.extend(dir.now.values().copied().filter(|child| reached.insert(*child)));
        }
        reached
    }

    // --- the pending lists

    fn set(&mut self, dir: InodeId, name: &OsStr, inode: Option<InodeId>) {
        self.change(vec![Name { dir, name: name.into(), inode }], None);
    }

    fn change(&mut self, names: Vec<Name>, after: Option<u64>) -> u64 {
        let moment = self.tick();
        for Name { dir, name, inode } in &names {
            let dir = self.dir_mut(*dir).expect("place() found the directory");
            put(&mut dir.now, name, *inode);
        }
        self.changes.push(Change { moment, names, after });
        moment
    }

    /// Makes those changes durable that `due` says; what they supersede is no longer possible.
    fn settle(&mut self, due: impl Fn(&Change) -> bool) {
        let changes = std::mem::take(&mut self.changes);
        let mut left: Vec<Change> = Vec::new();
        for change in changes {
            if !due(&change) {
                left.push(change);
                continue;
            }
            for Name { dir, name, inode } in change.names {
                for earlier in &mut left {
                    earlier.names.retain(|other| other.dir != dir || other.name != name);
                }
                if let Some(dir) = self.dir_mut(dir) {
                    put(&mut dir.durable, &name, inode);
                }
            }
        }
        left.retain(|change| !change.names.is_empty());
        self.changes = left;
    }

    fn add_inode(&mut self, inode: Inode) -> InodeId {
        let id = self.next;
        self.next += 1;
        self.inodes.insert(id, Arc::new(inode));
        id
    }

    fn file_mut(&mut self, id: InodeId) -> Result<&mut FileNode> {
        match Arc::make_mut(self.inodes.get_mut(&id).ok_or(Errno::NOENT)?) {
            Inode::File(file) => Ok(file),
            Inode::Dir(_) => Err(Errno::ISDIR),
        }
    }

    fn dir_mut(&mut self, id: InodeId) -> Option<&mut DirNode> {
        match Arc::make_mut(self.inodes.get_mut(&id)?) {
            Inode::Dir(dir) => Some(dir),
            Inode::File(_) => None,
        }
    }

    fn tick(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }
}

impl Inode {
    fn is_dirty(&self) -> bool {
        matches!(self, Self::File(file) if !file.is_clean())
    }
}

impl FileNode {
    fn is_clean(&self) -> bool {
        self.pending.is_empty() && self.durable.len() == self.now.len()
    }

    fn sync(&mut self) {
        let dirty = self.dirty_pages();
        self.pending.clear();
        self.uncertain.retain(|page, _| !dirty.contains(page));
        if self.uncertain.is_empty() {
            self.durable = self.now.clone();
            return;
        }
        // The length goes to disk, and the pages that were dirty; the lost ones stay as they are.
        self.durable.grow(self.now.len());
        for page in dirty {
            self.durable.copy_page(page, &self.now);
        }
    }

    fn lose(&mut self, evict: bool) {
        let dirty = self.dirty_pages();
        self.pending.clear();
        for page in dirty {
            if evict {
                self.now.copy_page(page, &self.durable);
            } else {
                self.uncertain.insert(page, self.now.clone());
            }
        }
    }

    fn dirty_pages(&self) -> BTreeSet<usize> {
        let pages_of = |write: &Pending| {
            let end = write.offset + write.bytes.len() as u64;
            let first = usize::try_from(write.offset / PAGE as u64).unwrap_or(usize::MAX);
            first..pages(end)
        };
        self.pending.iter().flat_map(pages_of).collect()
    }
}

/// What a file of `len` bytes takes on disk.
pub(super) fn allocated(len: u64) -> u64 {
    len.next_multiple_of(PAGE as u64)
}

pub(super) fn put(names: &mut BTreeMap<OsString, InodeId>, name: &OsStr, inode: Option<InodeId>) {
    match inode {
        Some(id) => names.insert(name.into(), id),
        None => names.remove(name),
    };
}
