//! What the server says of itself.

use super::backups;
use super::mailboxes::{self, Task};
use super::protocol::{
    Command, Disk, Journal, Logins, Mail, Reply, Request, Session, Status, VERSION,
};
use crate::accounts::AccountName;
use crate::backup::With;
use crate::service::Shared;
use crate::sessions::Entry;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::info;

/// What a request asks for.
///
/// # Errors
/// The line that says why it can't be understood.
pub(super) fn command(line: &[u8]) -> Result<Command, Vec<u8>> {
    match serde_json::from_slice::<Request>(line) {
        Ok(Request { version: VERSION, command }) => Ok(command),
        Ok(Request { version, .. }) => Err(error(format!(
            "this server speaks version {VERSION} of the control protocol, not {version}; use the loft command of its \
            own version, {}",
            env!("CARGO_PKG_VERSION")
        ))),
        Err(why) => Err(error(format!("that is no request: {why}"))),
    }
}

/// The lines that answer a request, as they come; `each` says whether anybody still wants them. May look at the disk, for
/// long where mailboxes are looked at.
pub(super) fn answer(shared: &Shared, command: Command, each: &mut dyn FnMut(Vec<u8>) -> bool) {
    let (rebuild, user, mailbox) = match command {
        Command::Purge { user, forget } => {
            info!(?user, "an administrator asks for the room of expunged mail");
            let done = mailboxes::purge(shared.store(), (user.as_deref(), forget), &mut |reply| {
                each(reply.line());
            });
            each(done.map_or_else(error, |count| Reply::Done(count).line()));
            return;
        }
        Command::ListExpunged { user, which } => {
            let done = mailboxes::expunged(shared.store(), (&user, &which), &mut |reply| {
                each(reply.line());
            });
            each(done.map_or_else(error, |count| Reply::Done(count).line()));
            return;
        }
        Command::Undelete { user, which, to } => {
            info!(user, ?which, ?to, "an administrator brings expunged mail back");
            let asked = (&*user, &which, to.as_deref());
            let done = mailboxes::undelete(shared.store(), asked, &mut |reply| {
                each(reply.line());
            });
            each(done.map_or_else(error, |count| Reply::Done(count).line()));
            return;
        }
        Command::Backup { dir, users, keep } => {
            info!(dir = %dir.display(), "an administrator asks for a backup");
            let task = crate::backup::Task { dir, users, keep };
            let done = backups::create(shared.store(), &task, &mut |reply| each(reply.line()));
            each(done.map_or_else(error, |count| Reply::Done(count).line()));
            return;
        }
        Command::Restore(task) => {
            info!(?task, "an administrator restores from a backup");
            let done = backups::restore(shared.store(), &task, With::Others, &mut |reply| {
                each(reply.line())
            });
            each(done.map_or_else(error, |count| Reply::Done(count).line()));
            return;
        }
        Command::CheckMailboxes { user, mailbox } => (false, user, mailbox),
        Command::RebuildMailboxes { user, mailbox } => (true, user, mailbox),
        quick @ (Command::Status
        | Command::Sessions
        | Command::Kick { .. }
        | Command::KickUser { .. }
        | Command::Imap { .. }) => {
            each(at_once(shared, quick));
            return;
        }
    };
    let task = Task { rebuild, user, mailbox };
    info!(?task, "an administrator asks for this");
    let done = mailboxes::run(shared.store(), &task, &mut |reply| {
        each(reply.line());
    });
    each(match done {
        Ok(count) => Reply::Done(count).line(),
        Err(why) => error(why),
    });
}

fn at_once(shared: &Shared, command: Command) -> Vec<u8> {
    match command {
        Command::Status => {
            let mut lines = Reply::Status(Box::new(status(shared))).line();
            lines.extend(Reply::Done(shared.sessions.all().len() as u64).line());
            lines
        }
        Command::Sessions => {
            let all = shared.sessions.all();
            let mut lines = Vec::new();
            for entry in &all {
                lines.extend(Reply::Session(session(shared, entry)).line());
            }
            lines.extend(Reply::Done(all.len() as u64).line());
            lines
        }
        Command::Kick { id } => {
            let entry = shared.session_number(&id).and_then(|number| shared.sessions.find(number));
            match entry {
                Some(entry) => kick(shared, &[entry]),
                None => error(format!(
                    "no session is called {id:?}; `loft session list` shows those there are"
                )),
            }
        }
        Command::KickUser { user } => match AccountName::new(&user) {
            Ok(name) => {
                let all = shared.sessions.all().into_iter();
                let named = |entry: &Arc<Entry>| entry.user().as_deref() == Some(name.as_str());
                kick(shared, &all.filter(named).collect::<Vec<_>>())
            }
            Err(why) => error(why.to_string()),
        },
        Command::CheckMailboxes { .. }
        | Command::RebuildMailboxes { .. }
        | Command::Purge { .. }
        | Command::Backup { .. }
        | Command::Restore(_)
        | Command::ListExpunged { .. }
        | Command::Undelete { .. }
        | Command::Imap { .. } => Vec::new(),
    }
}

fn error(why: String) -> Vec<u8> {
    Reply::Error(why).line()
}

/// Ends sessions, and says which.
fn kick(shared: &Shared, entries: &[Arc<Entry>]) -> Vec<u8> {
    let mut lines = Vec::new();
    for entry in entries {
        if entry.kick() {
            info!(
                session = shared.session_name(entry.number()),
                "an administrator ends this session"
            );
        }
        lines.extend(Reply::Session(session(shared, entry)).line());
    }
    lines.extend(Reply::Done(entries.len() as u64).line());
    lines
}

fn session(shared: &Shared, entry: &Entry) -> Session {
    let now = shared.clock().now().0;
    let age_ms = now.saturating_sub(entry.since().0);
    Session {
        id: shared.session_name(entry.number()),
        service: entry.protocol().name().to_owned(),
        peer: entry.peer().map(|peer| peer.to_string()),
        tls: entry.tls(),
        user: entry.user(),
        mailbox: entry.mailbox(),
        state: entry.state().name().to_owned(),
        since: shared.clock().wall().saturating_sub(age_ms / 1000),
        age_ms,
        idle_ms: now.saturating_sub(entry.last_heard().0),
    }
}

fn status(shared: &Shared) -> Status {
    let counters = &shared.counters;
    let store = shared.store();
    let figures = store.figures();
    let mut sessions: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for entry in shared.sessions.all() {
        let states = sessions.entry(entry.protocol().name().to_owned()).or_default();
        *states.entry(entry.state().name().to_owned()).or_default() += 1;
    }
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        hostname: shared.hostname().to_owned(),
        pid: std::process::id(),
        uptime_ms: shared.clock().now().0,
        data_dir: store.root().display().to_string(),
        accounts: shared.accounts().count() as u64,
        accounts_loaded: figures.accounts as u64,
        sessions,
        sessions_begun: shared.sessions.begun(),
        logins: Logins {
            accepted: counters.logins.get(),
            refused: counters.wrong_logins.get(),
            put_off: counters.busy_logins.get(),
        },
        mail: Mail {
            accepted: counters.messages.get(),
            refused: counters.messages_refused.get(),
            deliveries: counters.deliveries.get(),
            deliveries_failed: counters.deliveries_failed.get(),
            unknown_recipients: counters.unknown_recipients.get(),
            appended: counters.appended.get(),
            refusing: figures.refusing,
        },
        journal: Journal {
            position: store.durable(),
            groups: figures.groups,
            changes: figures.changes,
            bytes: figures.journal_bytes,
            checkpoints: figures.checkpoints,
            failed: figures.failed,
        },
        disk: disk(store.root()),
    }
}

fn disk(root: &std::path::Path) -> Disk {
    let Ok(found) = rustix::fs::statvfs(root) else { return Disk::default() };
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Disk {
        size: bytes(found.f_blocks),
        used: bytes(found.f_blocks.saturating_sub(found.f_bfree)),
        free: bytes(found.f_bavail),
    }
}
