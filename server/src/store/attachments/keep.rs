//! What is done later and unhurried: accounts share contents, and links and copies that nobody needs go.
//!
//! Each step is one link, one rename or one unlink of names for the same content: a crash between two of them leaves what
//! the next start's look at the directories finds.
//!
//! An account's links are seen to in slices, its lock let go of between two and while directories are read. Only this thread
//! removes links, so what was needed under the lock and is looked for afterwards is there; all else is decided again for each
//! link under the hold that changes it: one that was found is leaving only if nothing needs or relies on it then, and one is
//! removed only if it may go then. Links that come meanwhile are those of changes that rely on them, and know.

use crate::store::account::{Account, State};
use crate::store::breath::{breathe, looked, slice};
use crate::store::config::{Attachments, Compared};
use crate::store::error::StoreError;
use crate::store::planted::{Planted, planted};
use crate::store::recovery::names;
use crate::store::store::Store;
use dbox_format::attachment::Hash;
use dbox_format::paths;
use runtime_smol::fs::{self, Meta, Open};
use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two looks at what there is to do.
const ROUND: Duration = Duration::from_secs(5);
/// Between two contents that are shared.
const BREATH: Duration = Duration::from_millis(5);
/// Links that are removed under one lock: each is a call to the file system.
const AT_ONCE: usize = 4;
/// Bytes that are compared in one step.
const STEP: usize = 64 << 10;
/// Copies of one content: a file system that takes two links to a file would need that many for as many accounts.
const COPIES: u32 = 1 << 16;

/// What is known of the copies below `attachments/`.
#[derive(Default)]
pub(crate) struct Shared {
    alone: Mutex<Alone>,
}

#[derive(Default)]
struct Alone {
    /// Copies that no account links to, and since when, in seconds since 1970.
    since: HashMap<(Hash, u32), i64>,
    /// The first byte of the hashes that are looked at next.
    next: u8,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tended {
    /// Links that are shared with other accounts now, or may be.
    pub(crate) shared: u64,
    /// Links, or copies, that went.
    pub(crate) removed: u64,
}

impl Store {
    /// The thread that sees to attachments until it is stopped.
    pub(crate) fn keep_attachments(&self) {
        while self.pause.wait(ROUND) {
            if self.commit.refusing() || self.files.is_suspect() {
                continue;
            }
            for account in self.loaded_accounts() {
                if self.pause.is_stopping() {
                    return;
                }
                match self.tend_attachments(&account, &|| self.pause.wait(BREATH)) {
                    Ok(Tended { removed, .. }) if removed > 0 => {
                        tracing::info!(
                            account = account.name(),
                            removed,
                            "attachments that no message needs were removed"
                        );
                    }
                    // A dead account is loaded anew.
                    Ok(_) | Err(StoreError::Lost) => {}
                    Err(error) => {
                        tracing::warn!(account = account.name(), %error, "attachments can't be shared or removed now");
                    }
                }
            }
            let first = self.next_copies();
            if let Err(error) = self.sweep_copies(first) {
                tracing::warn!(%error, "copies of attachments that nobody has can't be removed now");
            }
        }
    }

    /// Does what there is to do about an account's attachments, as long as `go_on` says so.
    ///
    /// # Errors
    /// I/O. What was done is done, the rest is tried again.
    pub(crate) fn tend_attachments(
        &self,
        account: &Arc<Account>,
        go_on: &dyn Fn() -> bool,
    ) -> Result<Tended, StoreError> {
        self.look_at_links(account)?;
        let mut done = Tended { removed: self.remove_links(account)?, ..Tended::default() };
        if self.config.attachments != Attachments::Shared {
            // Dropped behind the lock.
            let _unshared = std::mem::take(&mut account.lock()?.attachments.unshared);
            return Ok(done);
        }
        if self.free_space_low() {
            return Ok(done);
        }
        let mut next = Some(Hash::default());
        while let Some(from) = next {
            let hash;
            (hash, next) = pin_unshared(account, from)?;
            let Some(hash) = hash else {
                breathe();
                continue;
            };
            let shared = self.share(account, &hash);
            {
                let mut state = account.lock()?;
                let transactions = state.map.transactions();
                let attachments = &mut state.attachments;
                attachments.holdings.unpin(hash, transactions, self.now());
                if shared.is_ok() {
                    attachments.unshared.remove(&hash);
                }
            }
            done.shared += u64::from(shared?);
            if !go_on() {
                break;
            }
        }
        Ok(done)
    }

    /// Holds the account's links against what its map needs, once after it was loaded: a crash may have left some.
    fn look_at_links(&self, account: &Arc<Account>) -> Result<(), StoreError> {
        const DONE: usize = u8::MAX as usize + 1;
        let att = account.dir().join("att");
        let mut unseen = account.lock()?.attachments.unseen;
        while unseen < DONE {
            let there = names(self.files.fs(), &att)?;
            let there = there.iter().filter_map(|name| u8::from_str_radix(name, 16).ok());
            let there = there.filter(|first| usize::from(*first) >= unseen).min();
            let needed = match u8::try_from(unseen) {
                Ok(first) => account.lock()?.attachments.holdings.needed_from(least(first)).next(),
                Err(_) => None,
            };
            let needed = needed.and_then(|hash| hash.0.first().copied());
            let first = there.into_iter().chain(needed).min();
            if let Some(first) = first {
                self.look_at_directory(account, first)?;
                breathe();
            }
            unseen = first.map_or(DONE, |first| usize::from(first) + 1);
            account.lock()?.attachments.unseen = unseen;
        }
        Ok(())
    }

    /// The same for one directory. What messages need and it does not have is told.
    fn look_at_directory(&self, account: &Account, first: u8) -> Result<(), StoreError> {
        let below = format!("att/{first:02x}");
        let mut links = BTreeMap::new();
        for name in names(self.files.fs(), &account.dir().join(&below))? {
            let path = format!("{below}/{name}");
            let Ok(hash) = paths::parse_attachment_link(&path) else { continue };
            let meta = self.meta(&account.dir().join(&path))?;
            links.insert(hash, meta.is_some_and(|meta| meta.links == 1));
        }
        let found: Vec<(Hash, bool)> = links.iter().map(|(hash, lone)| (*hash, *lone)).collect();
        for found in found.chunks(slice()) {
            let mut state = account.lock()?;
            let (transactions, now) = (state.map.transactions(), self.now());
            let attachments = &mut state.attachments;
            for &(hash, lone) in found {
                looked();
                attachments.holdings.found(hash, transactions, now);
                attachments.unshared.extend(lone.then_some(hash));
            }
            drop(state);
            breathe();
        }
        let mut next = Some(least(first));
        while let Some(from) = next {
            let (missing, behind) = needed_without(account, (first, from), &links)?;
            next = behind;
            for hash in missing {
                let path = account.home().attachment_path(&hash);
                // It may have come since the directory was read.
                if self.meta(&path)?.is_none() {
                    tracing::error!(account = account.name(), file = %path.display(), "an attachment is missing: `loft mailbox check` names the messages that have it");
                }
            }
            breathe();
        }
        Ok(())
    }

    /// Removes links that may go; how many.
    fn remove_links(&self, account: &Arc<Account>) -> Result<u64, StoreError> {
        let mut removed = 0;
        let mut next = Some(Hash::default());
        while let Some(from) = next {
            {
                let mut state = account.lock()?;
                // Files are being copied as of a moment that the lock has ended, or not begun.
                if self.pins.cover(account.dir()) {
                    return Ok(removed);
                }
                let count;
                (count, next) = self.remove_some(account, &mut state, from)?;
                removed += count;
            }
            if next.is_some() {
                breathe();
            }
        }
        Ok(removed)
    }

    /// The same for one slice, from a hash on: how many, and where to go on.
    fn remove_some(
        &self,
        account: &Account,
        state: &mut State,
        from: Hash,
    ) -> Result<(u64, Option<Hash>), StoreError> {
        let checkpointed = if planted(Planted::LinkGoesEarly) {
            u64::MAX
        } else {
            account.logs().map.durable_transactions()
        };
        let (now, grace) = (self.now(), self.grace());
        let (due, mut next) =
            state.attachments.holdings.due((from, slice()), checkpointed, now, grace);
        // One that is needed again begins anew.
        let mut going = state.attachments.going.range(from..).map(|(hash, _)| *hash);
        let stale: Vec<Hash> =
            going.by_ref().take(slice()).filter(|hash| due.binary_search(hash).is_err()).collect();
        next = next.into_iter().chain(going.next()).min();
        let is_behind = |hash: &Hash| next.is_some_and(|next| *hash >= next);
        for hash in stale.iter().filter(|hash| !is_behind(hash)) {
            state.attachments.going.remove(hash);
        }
        let mut turned = None;
        let mut removed = 0;
        for hash in due.into_iter().filter(|hash| !is_behind(hash)) {
            looked();
            if removed == AT_ONCE as u64 {
                return Ok((removed, Some(hash)));
            }
            let readers = state
                .attachments
                .going
                .entry(hash)
                .or_insert_with(|| turned.get_or_insert_with(|| state.readers.turn()).clone());
            // Who found a message before it was freed may be reading it.
            if readers.iter().any(|reader| reader.strong_count() > 0) {
                continue;
            }
            let path = account.home().attachment_path(&hash);
            match self.files.fs().unlink(&path) {
                Ok(()) => removed += 1,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::io("remove", &path, error)),
            }
            self.files.forget_below(&path);
            state.attachments.going.remove(&hash);
            state.attachments.unshared.remove(&hash);
            state.attachments.holdings.removed(&hash);
        }
        Ok((removed, next))
    }

    /// Makes the account's link one to the copy that other accounts have, or its file the first such copy. Whether it is
    /// shared now.
    fn share(&self, account: &Account, hash: &Hash) -> Result<bool, StoreError> {
        let own_path = account.home().attachment_path(hash);
        let fs = self.files.fs();
        let Some(own) = self.meta(&own_path)? else { return Ok(false) };
        for copy in 0..COPIES {
            let path = self.root().join(paths::attachment(hash, copy));
            let failed = |error| StoreError::io("link", &path, error);
            let found = match self.meta(&path)? {
                Some(found) => found,
                None => {
                    let dir = fs::parent(&path);
                    fs.create_dir_all(dir).map_err(|error| StoreError::io("create", dir, error))?;
                    match fs.link(&own_path, &path) {
                        Ok(()) => return Ok(true),
                        // Another account was first.
                        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                            match self.meta(&path)? {
                                Some(found) => found,
                                None => return Ok(false),
                            }
                        }
                        // This file takes no more names: nothing is gained by a copy of one account.
                        Err(error) if error.kind() == ErrorKind::TooManyLinks => return Ok(false),
                        Err(error) => return Err(failed(error)),
                    }
                }
            };
            if found.inode == own.inode {
                return Ok(true);
            }
            if !self.are_same((&own_path, own.len), (&path, found.len))? {
                if self.files.is_news(&path, "it differs") {
                    tracing::error!(file = %path.display(), "this copy of an attachment differs from one of the same hash that an account has: one of the two is damaged, and they are not shared");
                }
                continue;
            }
            match self.replace_link(&path, &own_path) {
                Ok(()) => return Ok(true),
                // The next copy has room.
                Err(error) if error.kind() == ErrorKind::TooManyLinks => {}
                // It was alone, and went: the account keeps its own.
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(false)
    }

    /// Whether two files have the same content, as far as the settings want to know.
    pub(super) fn are_same(
        &self,
        (one, len): (&Path, u64),
        (other, other_len): (&Path, u64),
    ) -> Result<bool, StoreError> {
        if len != other_len {
            return Ok(false);
        }
        if self.config.attachment_compare == Compared::Length {
            return Ok(true);
        }
        let open = |path: &Path| {
            let file = self.files.fs().open(path, Open::Read);
            file.map_err(|error| StoreError::io("open", path, error))
        };
        let (one_file, other_file) = (open(one)?, open(other)?);
        let (mut left, mut right) = (vec![0; STEP], vec![0; STEP]);
        let mut at = 0;
        while at < len {
            let step = usize::try_from(len - at).unwrap_or(STEP).min(STEP);
            for (path, file, bytes) in
                [(one, &one_file, &mut left), (other, &other_file, &mut right)]
            {
                bytes.truncate(step);
                fs::read_exact_at(&**file, bytes, at)
                    .map_err(|error| StoreError::io("read", path, error))?;
            }
            if left != right {
                return Ok(false);
            }
            at += step as u64;
        }
        Ok(true)
    }

    /// The first byte of the hashes of the copies to be looked at next.
    fn next_copies(&self) -> u8 {
        let mut alone = self.alone();
        let next = alone.next;
        alone.next = next.wrapping_add(1);
        next
    }

    /// Removes copies whose hash begins with this byte and that no account has linked to for the grace; how many.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn sweep_copies(&self, first: u8) -> Result<u64, StoreError> {
        let dir = self.root().join(format!("attachments/{first:02x}"));
        let (now, grace) = (self.now(), self.grace());
        let mut removed = 0;
        let mut seen = Vec::new();
        for second in names(self.files.fs(), &dir)? {
            for name in names(self.files.fs(), &dir.join(&second))? {
                let path = format!("attachments/{first:02x}/{second}/{name}");
                let Ok(copy) = paths::parse_attachment(&path) else { continue };
                let path = self.root().join(path);
                if self.meta(&path)?.is_none_or(|meta| meta.links > 1) {
                    continue;
                }
                let since = *self.alone().since.entry(copy).or_insert(now);
                if now.saturating_sub(since) < grace {
                    seen.push(copy);
                    continue;
                }
                // An account that links to it at this moment gets its link, or keeps its own file.
                match self.files.fs().unlink(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(StoreError::io("remove", &path, error));
                    }
                    Ok(()) | Err(_) => removed += 1,
                }
            }
        }
        let is_first = |hash: &Hash| hash.0.first() == Some(&first);
        self.alone().since.retain(|copy, _| !is_first(&copy.0) || seen.contains(copy));
        Ok(removed)
    }

    /// Seconds.
    fn grace(&self) -> i64 {
        i64::try_from(self.config.attachment_grace_ms / 1000).unwrap_or(i64::MAX)
    }

    fn alone(&self) -> MutexGuard<'_, Alone> {
        self.shared.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meta(&self, path: &Path) -> Result<Option<Meta>, StoreError> {
        self.files.fs().metadata(path).map_err(|error| StoreError::io("look at", path, error))
    }
}

/// The least of the hashes that begin with this byte.
fn least(first: u8) -> Hash {
    let mut hash = Hash::default();
    let [byte, ..] = &mut hash.0;
    *byte = first;
    hash
}

/// The next link from a hash on that is not shared yet and that messages need, if there is one in the next slice; and where to
/// go on. It is not removed before it is unpinned.
fn pin_unshared(account: &Account, from: Hash) -> Result<(Option<Hash>, Option<Hash>), StoreError> {
    let mut state = account.lock()?;
    let attachments = &mut state.attachments;
    let mut unshared = attachments.unshared.range(from..);
    let holdings = &attachments.holdings;
    let mut some = unshared.by_ref().take(slice()).inspect(|_| looked());
    let hash = some.find(|hash| holdings.needs(hash) > 0).copied();
    let next = unshared.next().copied();
    hash.into_iter().for_each(|hash| attachments.holdings.pin(hash));
    Ok((hash, next))
}

/// What messages need of the hashes that begin with `first`, and `links` has not, in the slice from `from` on; and where to go
/// on.
fn needed_without(
    account: &Account,
    (first, from): (u8, Hash),
    links: &BTreeMap<Hash, bool>,
) -> Result<(Vec<Hash>, Option<Hash>), StoreError> {
    let state = account.lock()?;
    let needed = state.attachments.holdings.needed_from(from);
    let mut needed = needed.take_while(|hash| hash.0.first() == Some(&first));
    let some = needed.by_ref().take(slice()).inspect(|_| looked());
    let missing = some.filter(|hash| !links.contains_key(hash)).collect();
    Ok((missing, needed.next()))
}
