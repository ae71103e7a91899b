//! Checks mailboxes and makes them anew: in a running server, and in a tool that has the store for itself.

use super::protocol::Reply;
use crate::accounts::AccountName;
use crate::store::{Store, StoreError, Told, Which};
use imap_proto::MailboxName;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Task {
    /// Make anew what can be; else only look.
    pub(crate) rebuild: bool,
    /// Whose; all accounts' when nobody is named.
    pub(crate) user: Option<String>,
    /// Which; all of them when none is named.
    pub(crate) mailbox: Option<String>,
}

/// Does it; `each` gets what is to be told. How many things were wrong, or how many mailboxes were made anew.
///
/// # Errors
/// In words: what can't be done, and why.
pub(crate) fn run(store: &Store, task: &Task, each: &mut dyn FnMut(Reply)) -> Result<u64, String> {
    let _busy = Busy::new()?;
    all(store, task, each)
}

/// Gives back the room of expunged mail, with `forget` also of what could yet be brought back; `each` gets what is to be told. Of how many accounts.
///
/// # Errors
/// In words: what can't be done, and why.
pub(crate) fn purge(
    store: &Store,
    (user, forget): (Option<&str>, bool),
    each: &mut dyn FnMut(Reply),
) -> Result<u64, String> {
    let mut users = store.accounts_on_disk().map_err(|error| error.to_string())?;
    if let Some(user) = user {
        let name = AccountName::new(user).map_err(|error| error.to_string())?;
        users.retain(|known| known == name.as_str());
        if users.is_empty() {
            return Err(format!("{user:?} has no mail here"));
        }
    }
    let total = users.len() as u64;
    for (done, user) in (0..).zip(users) {
        let what = "accounts".to_owned();
        each(Reply::Progress { user: user.clone(), what, done, total });
        let given = store.purge(&user, forget).map_err(|error| format!("{user}: {error}"))?;
        each(Reply::Purged { user, freed: given.freed, moved: given.moved });
    }
    // The files go with it.
    store.checkpoint(u64::MAX).map_err(|error| error.to_string())?;
    Ok(total)
}

/// Lists what can be brought back of a user's mail; how many messages.
///
/// # Errors
/// In words: what can't be done, and why.
pub(crate) fn expunged(
    store: &Store,
    (user, which): (&str, &Which),
    each: &mut dyn FnMut(Reply),
) -> Result<u64, String> {
    let name = AccountName::new(user).map_err(|error| error.to_string())?;
    let user = name.as_str();
    let found = store.expunged(user, which, &mut |told| progress(user, told, each));
    let found = found.map_err(|error| format!("{user}: {error}"))?;
    let count = found.len() as u64;
    found.into_iter().for_each(|message| each(Reply::Expunged(Box::new(message))));
    Ok(count)
}

/// Brings expunged mail back; how many messages.
///
/// # Errors
/// In words: what can't be done, and why.
pub(crate) fn undelete(
    store: &Store,
    (user, which, to): (&str, &Which, Option<&str>),
    each: &mut dyn FnMut(Reply),
) -> Result<u64, String> {
    let name = AccountName::new(user).map_err(|error| error.to_string())?;
    let to = to.map(MailboxName::new).transpose().map_err(|error| error.to_string())?;
    let to = to.as_ref().map(MailboxName::as_str);
    let user = name.as_str();
    let back = store.undelete(user, (which, to), &mut |told| progress(user, told, each));
    let back = back.map_err(|error| format!("{user}: {error}"))?;
    let count = back.iter().map(|back| back.messages).sum();
    back.into_iter().for_each(|back| each(Reply::Undeleted(back)));
    Ok(count)
}

fn progress(user: &str, told: Told, each: &mut dyn FnMut(Reply)) {
    if let Told::Progress { done, total, what } = told {
        each(Reply::Progress { user: user.to_owned(), what, done, total });
    }
}

/// Whether one is under way: they read all there is, and one at a time is enough of that.
static BUSY: AtomicBool = AtomicBool::new(false);

/// Held as long as one is under way.
pub(super) struct Busy(());

impl Busy {
    pub(super) fn new() -> Result<Self, String> {
        match BUSY.swap(true, Ordering::AcqRel) {
            true => {
                Err("another check, rebuild, backup or restore is under way; wait for it to end"
                    .to_owned())
            }
            false => Ok(Self(())),
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.store(false, Ordering::Release);
    }
}

fn all(store: &Store, task: &Task, each: &mut dyn FnMut(Reply)) -> Result<u64, String> {
    let mailbox = task.mailbox.as_deref().map(MailboxName::new).transpose();
    let mailbox = mailbox.map_err(|error| error.to_string())?;
    let mailbox = mailbox.as_ref().map(MailboxName::as_str);
    let users = match &task.user {
        Some(user) => {
            vec![AccountName::new(user).map_err(|error| error.to_string())?.as_str().to_owned()]
        }
        None => store.accounts_on_disk().map_err(|error| error.to_string())?,
    };
    let (mut count, mut found, mut failed) = (0, false, Vec::new());
    for user in users {
        let mut tell = |told| {
            each(match told {
                Told::Finding(finding) => {
                    count += 1;
                    Reply::Finding(finding)
                }
                Told::Progress { done, total, what } => {
                    Reply::Progress { user: user.clone(), what, done, total }
                }
            });
        };
        let done = match (task.rebuild, mailbox) {
            (true, None) => store.rebuild_all(&user, &mut tell),
            (true, Some(_)) => store.rebuild(&user, mailbox, &mut tell).map(|all| (None, all)),
            (false, _) => store.check(&user, mailbox, &mut tell).map(|()| (None, Vec::new())),
        };
        match done {
            Ok((revived, rebuilt)) => {
                found = true;
                count += rebuilt.len() as u64;
                revived.into_iter().for_each(|revived| each(Reply::Revived(Box::new(revived))));
                rebuilt.into_iter().for_each(|rebuilt| each(Reply::Rebuilt(Box::new(rebuilt))));
            }
            // Of all accounts only some have a mailbox of that name.
            Err(StoreError::NoMailbox) if task.user.is_none() => {}
            // One account must not keep the others from it.
            Err(error) => failed.push(format!("{user}: {error}")),
        }
    }
    if !failed.is_empty() {
        return Err(failed.join("\n"));
    }
    match mailbox {
        Some(name) if !found => Err(format!("nobody has a mailbox {name:?}")),
        Some(_) | None => Ok(count),
    }
}
