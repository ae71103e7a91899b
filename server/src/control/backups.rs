//! Makes backups and brings accounts back: in a running server, and in a tool that has the store for itself.

use super::mailboxes::Busy;
use super::protocol::Reply;
use crate::backup::create::{Told, create as make};
use crate::backup::repository::Repository;
use crate::backup::restore::restore as bring;
use crate::backup::{Refused, RestoreTask, Task, With};
use crate::store::Store;
use runtime_smol::fs::RealFs;
use std::sync::Arc;

/// Who is told; says whether somebody still wants it.
type Each<'a> = &'a mut dyn FnMut(Reply) -> bool;

/// Makes a backup; of how many accounts.
///
/// # Errors
/// In words: what can't be done, and why.
pub(crate) fn create(store: &Store, task: &Task, each: Each<'_>) -> Result<u64, String> {
    let _busy = Busy::new()?;
    let done = make(store, Arc::new(RealFs), task, &mut |told| each(reply(told)));
    let done = done.map_err(|error| error.to_string())?;
    let count = done.accounts;
    each(Reply::BackedUp(done));
    Ok(count)
}

/// Brings accounts back; how many.
///
/// # Errors
/// In words: what can't be done, and why.
pub(crate) fn restore(
    store: &Store,
    task: &RestoreTask,
    with: With,
    each: Each<'_>,
) -> Result<u64, String> {
    let _busy = Busy::new()?;
    let words = |error: crate::backup::Error| error.to_string();
    let repository = Repository::open(Arc::new(RealFs), &task.dir).map_err(words)?;
    let each = std::cell::RefCell::new(each);
    let done = bring(
        store,
        &Arc::new(repository),
        task,
        with,
        &mut |told| (each.borrow_mut())(reply(told)),
        &mut |result| {
            (each.borrow_mut())(match result {
                Ok(restored) => Reply::Restored(Box::new(restored)),
                Err(refused) => Reply::NotRestored(refused),
            });
        },
    );
    done.map_err(words)
}

fn reply(told: Told) -> Reply {
    match told {
        Told::Progress { user, done, total } => {
            Reply::Progress { user, what: "bytes".to_owned(), done, total }
        }
        Told::LeftOut { user, why } => Reply::LeftOut(Refused { user, why }),
    }
}
