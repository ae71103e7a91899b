//! The protocols at work: machines that join a session, which knows the protocol, to the store, which knows the mail.
//!
//! Invariants:
//! - A machine never waits: what may take long runs on a pool, and its answer wakes the connection.
//! - What a session asked is answered once, or the connection is over.
//! - Every log line of a connection carries its id.

mod header_scan;
mod id;
mod imap;
mod lmtp;
mod logged;
mod trace;

use crate::accounts::{AccountName, Accounts};
use crate::slices::{Progress, Slices, Turn};
use crate::store::{Account, Store, StoreError};
use runtime_smol::{Clock, Machine, Peer, Pool, Time};
use std::collections::HashSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::{Span, debug, info_span};

use id::Ids;
use imap::Imap;
use lmtp::Lmtp;
use logged::Logged;

/// What all connections of a server share.
pub struct Shared {
    store: Arc<Store>,
    accounts: Box<dyn Accounts>,
    /// Accounts that the store has in memory, or nearly so. There are no more than there are accounts.
    known: Mutex<HashSet<AccountName>>,
    /// Where calls run that wait for a disk.
    files: Pool,
    /// Where long computations take their turns: there are as many threads as cores.
    compute: Pool,
    clock: Clock,
    hostname: Box<str>,
    ids: Ids,
    imap: Arc<imap_proto::Config>,
    lmtp: Arc<lmtp_proto::Config>,
}

/// A call on its way through the file pool.
type Job<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Shared {
    /// Services for the mail of `store`, with threads that wait for disks and threads that compute. `message_max` is the largest message it takes, in bytes.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        accounts: Box<dyn Accounts>,
        files: Pool,
        compute: Pool,
        clock: Clock,
        hostname: &str,
        message_max: u64,
    ) -> Arc<Self> {
        let mut imap = imap_proto::Config {
            tls_available: true,
            imap4rev2: true,
            ..imap_proto::Config::default()
        };
        imap.limits.append = message_max;
        let mut lmtp = lmtp_proto::Config::new(hostname);
        lmtp.starttls = true;
        lmtp.limits.message = message_max;
        Arc::new(Self {
            store,
            accounts,
            known: Mutex::default(),
            files,
            compute,
            clock,
            hostname: hostname.into(),
            ids: Ids::new(clock.wall()),
            imap: Arc::new(imap),
            lmtp: Arc::new(lmtp),
        })
    }

    /// An IMAP connection that was just accepted; with `peer.tls`, whose handshake is done.
    #[must_use]
    pub fn imap(self: &Arc<Self>, peer: &Peer, now: Time) -> impl Machine + use<> {
        let id = self.ids.session();
        Logged::new(info_span!("imap", session = %id), || Imap::new(self.clone(), peer, now))
    }

    /// An LMTP connection that was just accepted.
    #[must_use]
    pub fn lmtp(self: &Arc<Self>, peer: &Peer, now: Time) -> impl Machine + use<> {
        let id = self.ids.session();
        Logged::new(info_span!("lmtp", session = %id), || Lmtp::new(self.clone(), id, peer, now))
    }

    /// Runs `call` on the file pool; what it logs carries the session's id.
    fn run<T: Send + 'static>(&self, call: impl FnOnce() -> T + Send + 'static) -> Job<T> {
        let span = Span::current();
        Box::pin(self.files.run(move || span.in_scope(call)))
    }

    /// Runs `work` turn by turn, after those that wait already: on the compute pool, or on the file pool where a disk
    /// has to be waited for. It is given up, within a turn, when the job is dropped.
    fn run_slices<T: Send + 'static>(
        self: &Arc<Self>,
        mut work: Box<dyn Slices<Result = T>>,
    ) -> Job<T> {
        let (shared, span) = (self.clone(), Span::current());
        Box::pin(async move {
            let given_up = GivenUp { span: span.clone(), flag: Arc::default() };
            let mut may_wait = false;
            loop {
                let pool = if may_wait { &shared.files } else { &shared.compute };
                let (clock, flag, span) = (shared.clock, given_up.flag.clone(), span.clone());
                let turn = pool.run(move || {
                    let turn = Turn::begin(clock, may_wait, &flag);
                    let progress = span.in_scope(|| work.go_on(&turn));
                    (work, progress)
                });
                let (rest, progress) = turn.await;
                work = rest;
                may_wait = match progress {
                    Progress::Done(result) => {
                        given_up.forget();
                        return result;
                    }
                    Progress::More => false,
                    Progress::Waits => true,
                };
            }
        })
    }

    /// Opens an account: at once when it has been opened before, else on the file pool.
    fn account(&self, name: AccountName) -> Load {
        if self.known().contains(&name) {
            return Load::Now(self.store.account(name.as_str()));
        }
        let store = self.store.clone();
        self.known().insert(name.clone());
        Load::Later(self.run(move || store.account(name.as_str())))
    }

    fn known(&self) -> MutexGuard<'_, HashSet<AccountName>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dropped with a job that has not come to its end.
struct GivenUp {
    span: Span,
    flag: Arc<AtomicBool>,
}

impl GivenUp {
    /// The job has come to its end.
    fn forget(self) {
        self.flag.store(true, Ordering::Relaxed);
    }
}

impl Drop for GivenUp {
    fn drop(&mut self) {
        if !self.flag.swap(true, Ordering::Relaxed) {
            self.span.in_scope(|| debug!("nobody waits for the answer any more: given up"));
        }
    }
}

/// An account that is being opened.
enum Load {
    Now(Result<Arc<Account>, StoreError>),
    Later(Job<Result<Arc<Account>, StoreError>>),
}

/// The peer's address for logs.
fn shown(peer: &Peer) -> String {
    peer.addr.map_or_else(|| "unix".to_owned(), |addr| addr.to_string())
}
