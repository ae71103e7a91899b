//! What is done later and unhurried: accounts share contents, and links and copies that nobody needs go.
//!
//! Each step is one link, one rename or one unlink of names for the same content: a crash between two of them leaves what
//! the next start's look at the directories finds.

use crate::store::account::{Account, State};
use crate::store::config::{Attachments, Compared};
use crate::store::error::StoreError;
use crate::store::planted::{Planted, planted};
use crate::store::recovery::names;
use crate::store::store::Store;
use dbox_format::attachment::Hash;
use dbox_format::paths;
use runtime_smol::fs::{self, Meta, Open};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Between two looks at what there is to do.
const ROUND: Duration = Duration::from_secs(5);
/// Between two contents that are shared.
const BREATH: Duration = Duration::from_millis(5);
/// Links that are removed under one lock.
const AT_ONCE: usize = 64;
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
            account.lock()?.attachments.unshared.clear();
            return Ok(done);
        }
        if self.free_space_low() {
            return Ok(done);
        }
        let unshared: Vec<Hash> = {
            let state = account.lock()?;
            let attachments = &state.attachments;
            let needed = |hash: &&Hash| attachments.holdings.needs(hash) > 0;
            attachments.unshared.iter().filter(needed).copied().collect()
        };
        for hash in unshared {
            // Not removed as long as it is being shared.
            {
                let mut state = account.lock()?;
                state.attachments.holdings.pin(hash);
            }
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
        let att = account.dir().join("att");
        loop {
            let mut guard = account.lock()?;
            let state = &mut *guard;
            let unseen = state.attachments.unseen;
            if unseen > usize::from(u8::MAX) {
                return Ok(());
            }
            let there = names(self.files.fs(), &att)?;
            let there = there.iter().filter_map(|name| u8::from_str_radix(name, 16).ok());
            let needed = state.attachments.holdings.needed();
            let needed = needed.filter_map(|hash| hash.0.first().copied());
            let next = there.chain(needed).filter(|first| usize::from(*first) >= unseen).min();
            let Some(first) = next else {
                state.attachments.unseen = usize::from(u8::MAX) + 1;
                return Ok(());
            };
            let missing = self.look_at_directory(account, state, first)?;
            state.attachments.unseen = usize::from(first) + 1;
            drop(guard);
            for hash in missing {
                let path = account.home().attachment_path(&hash);
                tracing::error!(account = account.name(), file = %path.display(), "an attachment is missing: `loft mailbox check` names the messages that have it");
            }
        }
    }

    /// The same for one directory; what messages need and it does not have.
    fn look_at_directory(
        &self,
        account: &Account,
        state: &mut State,
        first: u8,
    ) -> Result<Vec<Hash>, StoreError> {
        let below = format!("att/{first:02x}");
        let (mut links, mut lone) = (Vec::new(), Vec::new());
        for name in names(self.files.fs(), &account.dir().join(&below))? {
            let path = format!("{below}/{name}");
            let Ok(hash) = paths::parse_attachment_link(&path) else { continue };
            links.push(hash);
            if self.meta(&account.dir().join(&path))?.is_some_and(|meta| meta.links == 1) {
                lone.push(hash);
            }
        }
        let (transactions, now) = (state.map.transactions(), self.now());
        let attachments = &mut state.attachments;
        let found = attachments.holdings.reconcile_in(first..=first, links, transactions, now);
        attachments.unshared.extend(lone);
        Ok(found.missing)
    }

    /// Removes links that may go; how many.
    fn remove_links(&self, account: &Arc<Account>) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let mut guard = account.lock()?;
            // Files are being copied as of a moment that the lock has ended, or not begun.
            if self.pins.cover(account.dir()) {
                return Ok(removed);
            }
            let state = &mut *guard;
            let checkpointed = if planted(Planted::LinkGoesEarly) {
                u64::MAX
            } else {
                account.logs().map.durable_transactions()
            };
            let count = self.remove_some(account, state, checkpointed)?;
            removed += count;
            if count < AT_ONCE as u64 {
                return Ok(removed);
            }
        }
    }

    fn remove_some(
        &self,
        account: &Account,
        state: &mut State,
        checkpointed: u64,
    ) -> Result<u64, StoreError> {
        let grace = self.grace();
        let holdings = &state.attachments.holdings;
        let due: Vec<Hash> = holdings.due(checkpointed, self.now(), grace).collect();
        // One that is needed again begins anew.
        state.attachments.going.retain(|hash, _| due.binary_search(hash).is_ok());
        if due.is_empty() {
            return Ok(0);
        }
        let readers = state.readers.turn();
        let mut removed = 0;
        for hash in due {
            let readers = state.attachments.going.entry(hash).or_insert_with(|| readers.clone());
            // Who found a message before it was freed may be reading it.
            if readers.iter().any(|reader| reader.strong_count() > 0) {
                continue;
            }
            let path = account.home().attachment_path(&hash);
            match self.files.fs().unlink(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StoreError::io("remove", &path, error));
                }
                Ok(()) | Err(_) => {}
            }
            self.files.forget_below(&path);
            state.attachments.going.remove(&hash);
            state.attachments.unshared.remove(&hash);
            state.attachments.holdings.removed(&hash);
            removed += 1;
            if removed == AT_ONCE as u64 {
                break;
            }
        }
        Ok(removed)
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
