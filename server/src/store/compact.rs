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
//! - The account's lock is held for a slice of bookkeeping at a time, over no I/O: `plan` says what may change between two.
//! - A record is moved only after its checksums were found right; a damaged one stays where it is, and its container too.

mod plan;
mod rewrite;
mod unasked;

pub(crate) use unasked::Pause;

use super::account::{Account, State};
use super::change::Change;
use super::error::StoreError;
use super::mailbox::directory;
use super::planted::{Planted, planted};
use super::store::Store;
use dbox_format::map::Draft;
use index_format::Guid;
use plan::Plan;
use std::sync::Arc;

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
