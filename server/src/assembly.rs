//! A server from start to stop: what `loft demo` and `loft serve` have in common.
//!
//! Invariants:
//! - Standard output gets the ready line and nothing else, once everything listens and recovery is done.
//! - A server that does not start has taken nothing that would have to be undone.

use crate::accounts::Accounts;
use crate::admission::{Admission, OutputBudget};
use crate::certificate::{self, Current};
use crate::config::{Connections, Limits, Network, Service};
use crate::control;
use crate::hash_pool::HashPool;
use crate::logging::Logging;
use crate::login_delay::Delays;
use crate::service::{Pools, Settings, Shared};
use crate::store::{Store, StoreConfig, StoreError, Threads};
use crate::systemd::Notify;
use runtime_smol::fs::RealFs;
use runtime_smol::{
    Address, Clock, Listener, Options, Owner, Peer, Pool, Request, Runtime, Server, Tls, inherited,
    on_signals, raise_open_files,
};
use rustls::ServerConfig;
use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tracing::{error, info, warn};

/// Threads that wait for disks, and the calls that wait for such a thread.
const FILE_THREADS: usize = 8;
const FILE_QUEUE: usize = 1024;

/// Files that may be open where nobody knows.
const FILES: u64 = 1024;

/// Computations that wait for their turn. Each is a connection's, which waits outside when there are more.
const COMPUTE_QUEUE: usize = 1024;

/// Why the server does not start. The text says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store can't be opened.
    #[error("{}", store_text(source, named))]
    Store {
        /// What names the directory: an option, or a setting.
        named: &'static str,
        /// Why.
        source: StoreError,
    },
    /// There is no certificate.
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
    /// An address can't be listened on.
    #[error("cannot listen on {address}: {source}{hint}", hint = listen_hint(source, named, address))]
    Listen {
        /// What names the address: an option, or a place in a file.
        named: String,
        /// Where.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// LMTP would be open to everybody.
    #[error(
        "LMTP knows no log-in, and systemd listens for it on {address}, where everybody may put mail into every mailbox; \
        name those who may connect with trusted_networks in {named}"
    )]
    Public {
        /// The place in a file.
        named: String,
        /// Where.
        address: Address,
    },
    /// The system refuses something every program gets.
    #[error("cannot start {what}: {source}")]
    Start {
        /// What was to be started.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// What is to be served.
pub(crate) struct Plan<'a> {
    pub(crate) data: &'a Path,
    /// What names `data` to whoever has to change it.
    pub(crate) data_named: &'static str,
    pub(crate) hostname: &'a str,
    pub(crate) store: StoreConfig,
    pub(crate) sockets: Vec<Socket>,
    /// The certificate; without one it is made, and kept under `data`.
    pub(crate) certificate: Option<Arc<Current>>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
}

/// Where it is to listen.
pub(crate) struct Socket {
    /// What names it to whoever has to change it.
    pub(crate) named: String,
    pub(crate) service: Service,
    pub(crate) address: Address,
    /// Permissions of a UNIX socket.
    pub(crate) mode: u32,
    /// Whose a UNIX socket is, if not ours.
    pub(crate) owner: Option<Owner>,
    /// Who may connect, beside this machine itself; without any: everybody.
    pub(crate) trusted: Vec<Network>,
}

/// Serves until SIGTERM or SIGINT; the second of them ends the process at once. `ready` is called before the ready line is printed, `reload` at each SIGHUP.
///
/// # Errors
/// When it can't start; nothing runs then.
pub(crate) fn run(
    plan: Plan<'_>,
    logging: &Logging,
    ready: impl FnOnce(&[Bound]),
    mut reload: impl FnMut(&Shared),
) -> Result<(), Error> {
    // Before anything that would have to be undone: a stop asked for during recovery is obeyed after it.
    let requests = requests(logging)?;
    let notify = Notify::from_environment();
    let files = raise_open_files();
    match &files {
        Ok(files) => {
            info!(version = env!("CARGO_PKG_VERSION"), files, data = %plan.data.display(), "starting")
        }
        Err(error) => warn!(%error, "the limit of open files stays as it is"),
    }
    let data = plan.data;
    let running = begin(plan, files.unwrap_or(FILES))?;
    notify.keep_watchdog(&running.runtime);

    ready(&running.bound);
    announce(&running.bound, data);
    notify.ready("serving");
    wait_for_stop(&requests, || {
        notify.reloading(running.clock);
        reload(&running.shared);
        notify.ready("serving");
    });

    info!("stopping");
    notify.stopping();
    running.stop();
    info!("stopped");
    Ok(())
}

/// A server that serves.
pub(crate) struct Running {
    runtime: Runtime,
    server: Server,
    shared: Arc<Shared>,
    threads: Threads,
    clock: Clock,
    bound: Vec<Bound>,
    stop_time: Duration,
}

/// Has a server serve, with `files` open files at most. Without sockets it has its control socket alone, and needs no
/// certificate.
///
/// # Errors
/// When it can't start; nothing runs then.
pub(crate) fn begin(plan: Plan<'_>, files: u64) -> Result<Running, Error> {
    let doors = Doors::new(&plan.limits, &plan.settings, files);
    let clock = Clock::new();
    let wall = Box::new(move || i64::try_from(clock.wall()).unwrap_or(i64::MAX));
    let store = Store::open(Arc::new(RealFs), plan.data, plan.store, Arc::new(random), wall)
        .map_err(|source| Error::Store { named: plan.data_named, source })?;
    let tls = |alpn: &[&[u8]]| match &plan.certificate {
        Some(current) => Ok(current.server(alpn)?),
        None => certificate::server(&RealFs, plan.data, plan.hostname, alpn),
    };
    let tls = match plan.sockets.is_empty() {
        true => None,
        false => Some((tls(&[b"imap"])?, tls(&[])?)),
    };
    let listeners = listen_all(plan.sockets)?;
    let bound: Vec<Bound> = listeners.iter().map(Bound::of).collect();

    let threads = start("the threads of the store", store.start(clock))?;
    let files = start("threads for files", Pool::start("file", FILE_THREADS, FILE_QUEUE))?;
    let files = Arc::new(files);
    store.aside.set(&files);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let compute = start("threads for search", Pool::start("compute", cores, COMPUTE_QUEUE))?;
    let hashes = start("threads for passwords", HashPool::start(0, plan.limits.waiting_logins))?;
    let runtime = start("threads", Runtime::start(0, clock))?;
    let pools = Pools { files, compute, hashes };
    let delays = Delays::new(plan.limits.login, plan.limits.trusted_networks);
    let shared =
        Shared::new(store, plan.accounts, pools, delays, clock, plan.hostname, plan.settings);
    let server = Server::new(&runtime, plan.limits.tls_handshakes);
    if let Some((imap_tls, lmtp_tls)) = &tls {
        for (listener, socket) in listeners {
            serve(&server, &shared, &doors, listener, socket, imap_tls, lmtp_tls);
        }
    }
    control::listen(&server, &shared);
    let stop_time = Duration::from_millis(plan.limits.stop_time);
    Ok(Running { runtime, server, shared, threads, clock, bound, stop_time })
}

impl Running {
    /// Ends all sessions, each at a command boundary, and puts everything on disk.
    pub(crate) fn stop(self) {
        let left = self.runtime.shut_down(self.stop_time);
        if left > 0 {
            warn!(left, "connections were cut off");
        }
        let Self { runtime, server, shared, threads, .. } = self;
        drop((server, runtime, shared));
        threads.stop();
    }
}

fn serve(
    server: &Server,
    shared: &Arc<Shared>,
    doors: &Doors,
    listener: Listener,
    socket: Arc<Socket>,
    imap_tls: &Arc<ServerConfig>,
    lmtp_tls: &Arc<ServerConfig>,
) {
    let of = shared.clone();
    match socket.service {
        Service::Imap => {
            let options = doors.options("imap", Tls::OnRequest(imap_tls.clone()));
            let door = doors.imap.clone();
            server.listen_behind(listener, options, door, move |now, peer, visitor| {
                of.imap(peer, now, visitor)
            });
        }
        Service::Imaps => {
            let options = doors.options("imaps", Tls::Always(imap_tls.clone()));
            let door = doors.imap.silent();
            server.listen_behind(listener, options, door, move |now, peer, visitor| {
                of.imap(peer, now, visitor)
            });
        }
        Service::Lmtp => {
            let options = doors.options("lmtp", Tls::OnRequest(lmtp_tls.clone()));
            let door = doors.lmtp.clone();
            server.listen_behind(listener, options, door, move |now, peer, visitor| {
                of.lmtp(peer, now, visitor, is_welcome(&socket.trusted, peer))
            });
        }
    }
}

/// Who is let in, by service, and how long connections may take.
struct Doors {
    imap: Admission,
    lmtp: Admission,
    handshake: Duration,
    stall: Duration,
}

impl Doors {
    fn new(limits: &Limits, settings: &Settings, files: u64) -> Self {
        let output = OutputBudget::new(limits.output);
        let door = |service, bounds, login_time| {
            let trusted = limits.trusted_networks.clone();
            Admission::new(service, fit(bounds, files), login_time, trusted, output.clone())
        };
        Self {
            imap: door(Service::Imap, &limits.imap, Some(settings.login_time())),
            // Who speaks LMTP may ask for TLS at any time.
            lmtp: door(Service::Lmtp, &limits.lmtp, None),
            handshake: Duration::from_millis(limits.tls_handshake_time),
            stall: Duration::from_millis(settings.stall_time()),
        }
    }

    /// How connections are driven.
    fn options(&self, name: &'static str, tls: Tls) -> Options {
        let Self { handshake, stall, .. } = *self;
        Options { handshake, stall, ..Options::new(name, tls) }
    }
}

/// As many connections as the process can have descriptors for: half of them, and strangers a quarter.
fn fit(bounds: &Connections, files: u64) -> Connections {
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    let connections = bounds.connections.min(files / 2);
    let before_login = bounds.before_login.min(files / 4);
    Connections { connections, before_login, ..bounds.clone() }
}

/// Who is on this machine always is.
fn is_welcome(trusted: &[Network], peer: &Peer) -> bool {
    let within = |ip| trusted.iter().any(|network| network.contains(ip));
    trusted.is_empty() || peer.loopback || peer.addr.is_some_and(|addr| within(addr.ip()))
}

/// What signals ask for. Who asks a second time to stop does not want to wait: what was acknowledged is in the journal.
fn requests(logging: &Logging) -> Result<mpsc::Receiver<Request>, Error> {
    let (sender, requests) = mpsc::channel();
    let (flush, asked) = (logging.flush(), AtomicBool::new(false));
    let heard = on_signals(move |request| {
        if request == Request::Stop && asked.swap(true, Ordering::Relaxed) {
            warn!("asked a second time to stop: ending at once; the next start reads the journal");
            flush();
            std::process::exit(1);
        }
        // When nobody receives any more, it is stopping already.
        let _stopping = sender.send(request);
    });
    start("the signal handler", heard)?;
    Ok(requests)
}

fn wait_for_stop(requests: &mpsc::Receiver<Request>, mut reload: impl FnMut()) {
    loop {
        match requests.recv() {
            Ok(Request::Reload) => reload(),
            Ok(Request::Stop) => return,
            Err(mpsc::RecvError) => {
                error!("signals can't be received any more");
                return;
            }
        }
    }
}

fn start<T>(what: &'static str, started: io::Result<T>) -> Result<T, Error> {
    started.map_err(|source| Error::Start { what, source })
}

/// Listens everywhere; systemd may have several sockets of one name.
fn listen_all(sockets: Vec<Socket>) -> Result<Vec<(Listener, Arc<Socket>)>, Error> {
    let mut passed = start("the sockets that systemd passes", inherited())?;
    let mut listeners = Vec::new();
    for socket in sockets {
        let socket = Arc::new(socket);
        if let Address::Systemd(name) = &socket.address {
            let (ours, others) = passed.into_iter().partition(|(known, _)| known == name);
            let ours: Vec<_> = ours;
            passed = others;
            if ours.is_empty() {
                return Err(listen_error(&socket, io::ErrorKind::NotFound.into()));
            }
            for (_, listener) in ours {
                check_public(&socket, &listener)?;
                listeners.push((listener, socket.clone()));
            }
        } else {
            listeners.push((listen(&socket)?, socket));
        }
    }
    for (name, listener) in &passed {
        warn!(name, address = %listener.address(), "systemd listens there, and no [[listen]] names it: nobody is served");
    }
    Ok(listeners)
}

fn listen(socket: &Socket) -> Result<Listener, Error> {
    let listening = match &socket.address {
        Address::Tcp(address) => Listener::tcp(*address),
        Address::Unix(path) => Listener::unix(path, socket.mode, socket.owner),
        Address::Systemd(_) => Err(io::ErrorKind::NotFound.into()),
    };
    listening.map_err(|source| listen_error(socket, source))
}

fn listen_error(socket: &Socket, source: io::Error) -> Error {
    Error::Listen { named: socket.named.clone(), address: socket.address.clone(), source }
}

/// What the configuration's check says of other addresses, for one that is known now.
fn check_public(socket: &Socket, listener: &Listener) -> Result<(), Error> {
    let public =
        listener.tcp_address().is_some_and(|address| !address.ip().to_canonical().is_loopback());
    if socket.service == Service::Lmtp && socket.trusted.is_empty() && public {
        let named = socket.named.clone();
        return Err(Error::Public { named, address: listener.address().clone() });
    }
    Ok(())
}

fn listen_hint(source: &io::Error, named: &str, address: &Address) -> String {
    match address {
        Address::Tcp(_) => tcp_hint(source, named),
        Address::Unix(_) => unix_hint(source, named),
        Address::Systemd(name) => format!(
            "; systemd passes no socket with FileDescriptorName={name}: write its unit, or choose another address with \
            {named}"
        ),
    }
}

fn unix_hint(source: &io::Error, named: &str) -> String {
    let kind = source.kind();
    let why = if kind == io::ErrorKind::AddrInUse {
        "another program listens there, or it is a file that is no socket: "
    } else if kind == io::ErrorKind::PermissionDenied {
        "make the directory one that Loft's user can write to, or "
    } else if kind == io::ErrorKind::NotFound {
        "make the directory first, or "
    } else {
        "at most 107 bytes can name a socket: "
    };
    format!("; {why}choose another path with {named}")
}

fn tcp_hint(source: &io::Error, named: &str) -> String {
    let kind = source.kind();
    let why = if kind == io::ErrorKind::AddrInUse {
        "another program listens there: stop it, or "
    } else if kind == io::ErrorKind::PermissionDenied {
        "ports below 1024 are for root or who has CAP_NET_BIND_SERVICE: "
    } else if kind == io::ErrorKind::AddrNotAvailable {
        "this machine does not have that address: "
    } else {
        ""
    };
    format!("; {why}choose another address with {named}")
}

fn store_text(error: &StoreError, named: &str) -> String {
    if let StoreError::InUse { path, pid } = error {
        let path = path.display();
        return format!(
            "{path} is in use by process {pid}; stop that server, or name another directory with {named}"
        );
    }
    let StoreError::Io { source, .. } = error else { return error.to_string() };
    let kind = source.kind();
    if kind == io::ErrorKind::PermissionDenied {
        format!(
            "{error}; run loft as the user that owns it, or name another directory with {named}"
        )
    } else if kind == io::ErrorKind::NotADirectory || kind == io::ErrorKind::AlreadyExists {
        format!("{error}; name a directory with {named}")
    } else {
        error.to_string()
    }
}

/// Where a service is found.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) service: Service,
    pub(crate) address: Address,
}

impl Bound {
    fn of((listener, socket): &(Listener, Arc<Socket>)) -> Self {
        Self { service: socket.service, address: listener.address().clone() }
    }
}

/// The line that scripts wait for.
struct Ready<'a> {
    bound: &'a [Bound],
    data: &'a Path,
}

impl fmt::Display for Ready<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ready")?;
        for Bound { service, address } in self.bound {
            let service = match service {
                Service::Imap => "imap",
                Service::Imaps => "imaps",
                Service::Lmtp => "lmtp",
            };
            write!(f, " {service}={address}")?;
        }
        write!(f, " data={}", self.data.display())
    }
}

fn announce(bound: &[Bound], data: &Path) {
    let mut out = io::stdout().lock();
    let ready = Ready { bound, data };
    if let Err(error) = writeln!(out, "{ready}").and_then(|()| out.flush()) {
        warn!(%error, "can't say on standard output that the server is ready");
    }
}

/// This machine's name, as far as it can stand in a greeting and a header.
pub(crate) fn hostname() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    if is_hostname(&name) { name.into_owned() } else { "localhost".to_owned() }
}

/// Whether a name can stand in a greeting and a header.
pub(crate) fn is_hostname(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

/// Random bytes for the store: unguessable, though they protect nothing. Drawn ahead, as every message takes some.
pub(crate) fn random(bytes: &mut [u8]) {
    const AHEAD: usize = 1024;
    thread_local! {
        static DRAWN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.len() < bytes.len() {
            drawn.resize(bytes.len().max(AHEAD), 0);
            getrandom::fill(drawn).expect("the kernel has random numbers for everyone");
        }
        let rest = drawn.len() - bytes.len();
        bytes.iter_mut().zip(drawn.drain(rest..)).for_each(|(byte, drawn)| *byte = drawn);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(service: Service, address: &str) -> Bound {
        let address = match address.strip_prefix("unix:") {
            Some(path) => Address::Unix(path.into()),
            None => Address::Tcp(address.parse().unwrap()),
        };
        Bound { service, address }
    }

    #[test]
    fn the_ready_line_is_what_scripts_expect() {
        let mut all = [
            bound(Service::Imap, "127.0.0.1:1143"),
            bound(Service::Imaps, "[::1]:1993"),
            bound(Service::Lmtp, "127.0.0.1:1024"),
        ];
        let data = Path::new("./loft-data");
        let line =
            "ready imap=127.0.0.1:1143 imaps=[::1]:1993 lmtp=127.0.0.1:1024 data=./loft-data";
        assert_eq!(Ready { bound: &all, data }.to_string(), line);
        all[2] = bound(Service::Lmtp, "unix:/run/loft/lmtp");
        let ready = Ready { bound: &all, data }.to_string();
        assert!(ready.contains(" lmtp=unix:/run/loft/lmtp data="), "{ready}");
    }

    #[test]
    fn an_address_in_use_is_named_with_what_changes_it() {
        let socket = |named: &str, address| Socket {
            named: named.to_owned(),
            service: Service::Imap,
            address,
            mode: 0o600,
            owner: None,
            trusted: Vec::new(),
        };
        let free = Address::Tcp("127.0.0.1:0".parse().unwrap());
        let listener = listen(&socket("--imap", free)).unwrap();
        let at = listener.address().clone();
        let error = listen(&socket("--lmtp", at.clone())).err().unwrap().to_string();
        assert!(
            error.contains(&at.to_string()) && error.contains("another address with --lmtp"),
            "{error}"
        );
    }

    #[test]
    fn lmtp_is_for_trusted_networks_and_this_machine() {
        let trusted: Vec<Network> = vec!["192.0.2.0/24".parse().unwrap()];
        let peer = |ip: &str| {
            let addr = format!("{ip}:1").parse().ok();
            Peer { addr, loopback: ip.starts_with("127."), ..Peer::default() }
        };
        assert!(
            is_welcome(&trusted, &peer("192.0.2.9")) && is_welcome(&trusted, &peer("127.0.0.1"))
        );
        assert!(!is_welcome(&trusted, &peer("192.0.3.9")) && is_welcome(&[], &peer("192.0.3.9")));
    }

    #[test]
    fn random_bytes_are_never_given_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let mut bytes = [0; 16];
            random(&mut bytes);
            assert!(seen.insert(bytes));
        }
        let mut many = [0; 5000];
        random(&mut many);
        assert!(many.iter().filter(|byte| **byte == 0).count() < 100);
    }

    #[test]
    fn the_hostname_can_stand_in_a_header() {
        let name = hostname();
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
    }
}
