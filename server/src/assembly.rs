//! A server from start to stop: what `loft demo` and `loft serve` have in common.
//!
//! Invariants:
//! - Standard output gets the ready line and nothing else, once everything listens and recovery is done.
//! - A server that does not start has taken nothing that would have to be undone.

use crate::accounts::Accounts;
use crate::certificate::{self, Current};
use crate::config::{Limits, Network, Service};
use crate::hash_pool::HashPool;
use crate::service::{Pools, Settings, Shared};
use crate::store::{Store, StoreConfig, StoreError};
use runtime_smol::fs::RealFs;
use runtime_smol::{
    Address, Clock, Listener, Options, Peer, Pool, Request, Runtime, Server, Tls, on_signals,
    raise_open_files,
};
use rustls::ServerConfig;
use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tracing::{error, info, warn};

/// Threads that wait for disks, and the calls that wait for such a thread.
const FILE_THREADS: usize = 8;
const FILE_QUEUE: usize = 1024;

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
    /// Who may connect, beside this machine itself; without any: everybody.
    pub(crate) trusted: Vec<Network>,
}

/// Serves until SIGTERM or SIGINT. `ready` is called before the ready line is printed, `reload` at each SIGHUP.
///
/// # Errors
/// When it can't start; nothing runs then.
pub(crate) fn run(
    plan: Plan<'_>,
    ready: impl FnOnce(&[Bound]),
    mut reload: impl FnMut(&Shared),
) -> Result<(), Error> {
    // Before anything that would have to be undone: a stop asked for during recovery is obeyed after it.
    let requests = requests()?;
    match raise_open_files() {
        Ok(files) => {
            info!(version = env!("CARGO_PKG_VERSION"), files, data = %plan.data.display(), "starting")
        }
        Err(error) => warn!(%error, "the limit of open files stays as it is"),
    }
    let clock = Clock::new();
    let wall = Box::new(move || i64::try_from(clock.wall()).unwrap_or(i64::MAX));
    let store = Store::open(Arc::new(RealFs), plan.data, plan.store, Arc::new(random), wall)
        .map_err(|source| Error::Store { named: plan.data_named, source })?;
    let tls = |alpn: &[&[u8]]| match &plan.certificate {
        Some(current) => Ok(current.server(alpn)?),
        None => certificate::server(&RealFs, plan.data, plan.hostname, alpn),
    };
    let (imap_tls, lmtp_tls) = (tls(&[b"imap"])?, tls(&[])?);
    let listeners: Result<Vec<_>, Error> = plan.sockets.into_iter().map(listen).collect();
    let listeners = listeners?;
    let bound: Vec<Bound> = listeners.iter().map(Bound::of).collect();

    let threads = start("the threads of the store", store.start(clock))?;
    let files = start("threads for files", Pool::start("file", FILE_THREADS, FILE_QUEUE))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let compute = start("threads for search", Pool::start("compute", cores, COMPUTE_QUEUE))?;
    let hashes = start("threads for passwords", HashPool::start(0, plan.limits.waiting_logins))?;
    let runtime = start("threads", Runtime::start(0, clock))?;
    let pools = Pools { files, compute, hashes };
    let shared = Shared::new(store, plan.accounts, pools, clock, plan.hostname, plan.settings);
    let server = Server::new(&runtime, plan.limits.tls_handshakes);
    for (listener, socket) in listeners {
        serve(&server, &shared, listener, socket, &imap_tls, &lmtp_tls);
    }

    ready(&bound);
    announce(&bound, plan.data);
    wait_for_stop(&requests, || reload(&shared));

    info!("stopping");
    let left = runtime.shut_down(Duration::from_millis(plan.limits.stop_time));
    if left > 0 {
        warn!(left, "connections were cut off");
    }
    drop((server, runtime, shared));
    threads.stop();
    info!("stopped");
    Ok(())
}

fn serve(
    server: &Server,
    shared: &Arc<Shared>,
    listener: Listener,
    socket: Socket,
    imap_tls: &Arc<ServerConfig>,
    lmtp_tls: &Arc<ServerConfig>,
) {
    let of = shared.clone();
    match socket.service {
        Service::Imap => {
            let options = imap_options("imap", Tls::OnRequest(imap_tls.clone()));
            server.listen(listener, options, move |now, peer| of.imap(peer, now));
        }
        Service::Imaps => {
            let options = imap_options("imaps", Tls::Always(imap_tls.clone()));
            server.listen(listener, options, move |now, peer| of.imap(peer, now));
        }
        Service::Lmtp => {
            let options = Options::new("lmtp", Tls::OnRequest(lmtp_tls.clone()));
            let trusted = socket.trusted;
            server.listen(listener, options, move |now, peer| {
                of.lmtp(peer, now, is_welcome(&trusted, peer))
            });
        }
    }
}

/// Who is on this machine always is.
fn is_welcome(trusted: &[Network], peer: &Peer) -> bool {
    let within = |ip| trusted.iter().any(|network| network.contains(ip));
    trusted.is_empty() || peer.loopback || peer.addr.is_some_and(|addr| within(addr.ip()))
}

/// Sessions take most of what they are offered; what one is not ready for stays small.
fn imap_options(name: &'static str, tls: Tls) -> Options {
    Options { read_max: 16 << 10, ..Options::new(name, tls) }
}

fn requests() -> Result<mpsc::Receiver<Request>, Error> {
    let (sender, requests) = mpsc::channel();
    let heard = on_signals(move |request| {
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

fn listen(socket: Socket) -> Result<(Listener, Socket), Error> {
    let listening = match &socket.address {
        Address::Tcp(address) => Listener::tcp(*address),
        Address::Unix(path) => Listener::unix(path, socket.mode),
    };
    match listening {
        Ok(listener) => Ok((listener, socket)),
        Err(source) => Err(Error::Listen { named: socket.named, address: socket.address, source }),
    }
}

fn listen_hint(source: &io::Error, named: &str, address: &Address) -> String {
    match address {
        Address::Tcp(_) => tcp_hint(source, named),
        Address::Unix(_) => unix_hint(source, named),
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
    fn of((listener, socket): &(Listener, Socket)) -> Self {
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
            trusted: Vec::new(),
        };
        let free = Address::Tcp("127.0.0.1:0".parse().unwrap());
        let (listener, _) = listen(socket("--imap", free)).unwrap();
        let at = listener.address().clone();
        let error = listen(socket("--lmtp", at.clone())).err().unwrap().to_string();
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
