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
use crate::admission::Visitor;
use crate::counters::Counters;
use crate::hash_pool::HashPool;
use crate::login_delay::Delays;
use crate::sessions::Sessions;
use crate::slices::{Progress, Slices, Turn};
use crate::store::{Account, Store, StoreError};
use runtime_smol::{Clock, Machine, Peer, Pool, Time};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use tracing::{Span, debug, error, info, info_span};

use id::Ids;
use imap::Imap;
use lmtp::Lmtp;
use logged::Logged;

/// What all connections of a server share.
pub struct Shared {
    store: Arc<Store>,
    accounts: Arc<dyn Accounts>,
    pools: Pools,
    delays: Delays,
    clock: Clock,
    hostname: Box<str>,
    ids: Ids,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) counters: Counters,
    settings: RwLock<Arc<Settings>>,
}

/// Where work runs that would hold up a thread which serves.
pub struct Pools {
    /// Calls that wait for a disk.
    pub files: Arc<Pool>,
    /// Long computations, which take their turns: there are as many threads as cores.
    pub compute: Pool,
    /// Passwords that are hashed.
    pub hashes: HashPool,
}

/// What a connection is made with. [`Shared::configure`] changes it for those to come.
#[derive(Clone, Debug)]
pub struct Settings {
    imap: Arc<imap_proto::Config>,
    lmtp: Arc<lmtp_proto::Config>,
    /// Whether a password may come without TLS from this machine itself.
    loopback: bool,
}

impl Settings {
    /// Sessions with these bounds. `message_max` is the largest message the store takes, in bytes.
    #[must_use]
    pub fn new(
        hostname: &str,
        message_max: u64,
        plaintext: Plaintext,
        imap: imap_proto::Limits,
        lmtp: lmtp_proto::Limits,
    ) -> Self {
        let mut imap = imap_proto::Config {
            limits: imap,
            tls_available: true,
            imap4rev2: true,
            plaintext_login: plaintext == Plaintext::Always,
        };
        imap.limits.append = message_max;
        let mut config = lmtp_proto::Config::new(hostname);
        config.limits = lmtp;
        config.starttls = true;
        config.limits.message = message_max;
        let loopback = plaintext != Plaintext::Never;
        Self { imap: Arc::new(imap), lmtp: Arc::new(config), loopback }
    }

    /// How long an IMAP connection may take to log in, in milliseconds.
    pub(crate) fn login_time(&self) -> u64 {
        self.imap.limits.login_time
    }

    /// How long a peer may take none of what is to be sent, in milliseconds.
    pub(crate) fn stall_time(&self) -> u64 {
        self.imap.limits.stall_time
    }
}

/// Where passwords may come without TLS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Plaintext {
    /// Nowhere.
    Never,
    /// From this machine itself.
    #[default]
    Loopback,
    /// From everywhere: whoever sees the network sees them.
    Always,
}

/// A call on its way through the file pool.
pub(crate) type Job<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Shared {
    /// Services for the mail of `store`.
    #[must_use]
    pub fn new(
        store: Arc<Store>,
        accounts: Arc<dyn Accounts>,
        pools: Pools,
        delays: Delays,
        clock: Clock,
        hostname: &str,
        settings: Settings,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            accounts,
            pools,
            delays,
            clock,
            hostname: hostname.into(),
            ids: Ids::new(clock.wall()),
            sessions: Arc::default(),
            counters: Counters::default(),
            settings: RwLock::new(Arc::new(settings)),
        })
    }

    /// Connections from now on are made with these settings; those there are keep theirs.
    pub fn configure(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An IMAP connection that was accepted at `now`; with `peer.tls`, whose handshake is done.
    #[must_use]
    pub fn imap(
        self: &Arc<Self>,
        peer: &Peer,
        now: Time,
        visitor: &Arc<Visitor>,
    ) -> impl Machine + use<> {
        let (id, visitor) = (self.ids.session(), visitor.clone());
        Logged::new(info_span!("imap", session = %id), || {
            Imap::new(self.clone(), &id, peer, now, visitor)
        })
    }

    /// An IMAP session in the account `name` for who runs the server. Opens the account: for the file pool.
    ///
    /// # Errors
    /// When there is no such account, or it can't be opened; the text says which.
    pub(crate) fn imap_in(
        self: &Arc<Self>,
        name: &str,
        peer: &Peer,
        now: Time,
    ) -> Result<Box<dyn Machine + Send>, String> {
        let id = self.ids.session();
        let span = info_span!("imap", session = %id);
        let account = span.in_scope(|| {
            let known = self.accounts.named(name.as_bytes());
            let known = known.ok_or_else(|| {
                format!("there is no account {name:?}; `loft user list` shows those there are")
            })?;
            info!(account = known.as_str(), "opened over the control socket");
            self.store.account(known.as_str()).map_err(|error| {
                error!(%error, "can't open the account");
                format!("the account {name:?} can't be opened: {error}")
            })
        })?;
        Ok(Box::new(Logged::new(span, || Imap::of(self.clone(), &id, peer, now, account))))
    }

    /// An LMTP connection that was just accepted. Unless it is `welcome` it is told so and closed.
    #[must_use]
    pub fn lmtp(
        self: &Arc<Self>,
        peer: &Peer,
        now: Time,
        visitor: &Arc<Visitor>,
        welcome: bool,
    ) -> impl Machine + use<> {
        let (id, visitor) = (self.ids.session(), visitor.clone());
        let span = info_span!("lmtp", session = %id);
        Logged::new(span, || Lmtp::new(self.clone(), id, peer, now, visitor, welcome))
    }

    /// The store.
    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// The accounts.
    pub(crate) fn accounts(&self) -> &dyn Accounts {
        &*self.accounts
    }

    /// The time.
    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// What the server calls itself.
    pub(crate) fn hostname(&self) -> &str {
        &self.hostname
    }

    /// How a session of this number is called in logs.
    pub(crate) fn session_name(&self, number: u64) -> String {
        self.ids.name(number).to_string()
    }

    /// The number of the session that is called so in logs.
    pub(crate) fn session_number(&self, name: &str) -> Option<u64> {
        self.ids.number(name)
    }

    /// Runs `call` on the file pool; what it logs carries the session's id.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Job<T> {
        let span = Span::current();
        Box::pin(self.pools.files.run(move || span.in_scope(call)))
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
                let pool = if may_wait { &shared.pools.files } else { &shared.pools.compute };
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

    /// Opens an account: at once when it is in memory, else on the file pool.
    fn account(&self, name: AccountName) -> Load {
        if let Some(account) = self.store.account_in_memory(name.as_str()) {
            return Load::Now(account);
        }
        let store = self.store.clone();
        Load::Later(self.run(move || store.account(name.as_str())))
    }

    /// Reads the accounts again on the file pool.
    fn refresh(self: &Arc<Self>) -> Job<()> {
        let shared = self.clone();
        self.run(move || shared.accounts.refresh())
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
    Now(Arc<Account>),
    Later(Job<Result<Arc<Account>, StoreError>>),
}

/// The peer's address for logs.
fn shown(peer: &Peer) -> String {
    peer.addr.map_or_else(|| "unix".to_owned(), |addr| addr.to_string())
}
