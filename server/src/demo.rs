//! `loft demo`: a server with a few accounts, from start to stop.
//!
//! Invariant: standard output gets the ready line and nothing else, once everything listens and recovery is done.

use crate::accounts;
use crate::certificate;
use crate::cli;
use crate::logging;
use crate::service::Shared;
use crate::store::{Store, StoreConfig, StoreError};
use runtime_smol::fs::RealFs;
use runtime_smol::{
    Address, Clock, Listener, Options, Pool, Request, Runtime, Server, Tls, on_signals,
    raise_open_files,
};
use std::cell::RefCell;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tracing::{error, info, warn};

/// How long connections may take to say goodbye.
const PATIENCE: Duration = Duration::from_secs(10);

/// TLS handshakes at once: each holds up to 64 KiB.
const HANDSHAKES: usize = 256;

/// Threads that wait for disks, and the calls that wait for such a thread.
const FILE_THREADS: usize = 8;
const FILE_QUEUE: usize = 1024;

/// Computations that wait for their turn. Each is a connection's, which waits outside when there are more.
const COMPUTE_QUEUE: usize = 1024;
/// Who may connect to a UNIX socket: everybody who gets to its directory, as everybody on this machine can connect to a
/// port on 127.0.0.1. Mail transfer agents run as users of their own.
const UNIX_MODE: u32 = 0o666;

/// Why the server does not start. The text says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store can't be opened.
    #[error("{0}{hint}", hint = store_hint(.0))]
    Store(#[from] StoreError),
    /// There is no certificate.
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
    /// An address can't be listened on.
    #[error("cannot listen on {address}: {source}{hint}", hint = listen_hint(source, option, address))]
    Listen {
        /// The option that names the address.
        option: &'static str,
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

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When it can't start; nothing runs then.
pub fn run(settings: &cli::Demo) -> Result<(), Error> {
    let _until_the_end = logging::start();
    // Before anything that would have to be undone: a stop asked for during recovery is obeyed after it.
    let requests = requests()?;
    match raise_open_files() {
        Ok(files) => {
            info!(version = env!("CARGO_PKG_VERSION"), files, data = %settings.data.display(), "starting")
        }
        Err(error) => warn!(%error, "the limit of open files stays as it is"),
    }
    let clock = Clock::new();
    let wall = Box::new(move || i64::try_from(clock.wall()).unwrap_or(i64::MAX));
    let config = StoreConfig::default();
    let message_max = config.message_max;
    let store = Store::open(Arc::new(RealFs), &settings.data, config, Arc::new(random), wall)?;

    let hostname = hostname();
    let tls = |alpn: &[&[u8]]| certificate::server(&RealFs, &settings.data, &hostname, alpn);
    let (imap_tls, lmtp_tls) = (tls(&[b"imap"])?, tls(&[])?);
    let (imap, imap_at) = listen("--imap", settings.imap)?;
    let (imaps, imaps_at) = listen("--imaps", settings.imaps)?;
    let lmtp = listen_at("--lmtp", settings.lmtp.clone())?;
    let lmtp_at = lmtp.address().clone();

    let threads = start("the threads of the store", store.start(clock))?;
    let files = start("threads for files", Pool::start("file", FILE_THREADS, FILE_QUEUE))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let compute = start("threads for search", Pool::start("compute", cores, COMPUTE_QUEUE))?;
    let runtime = start("threads", Runtime::start(0, clock))?;
    let accounts = Box::new(accounts::Demo::new(settings.accounts, &settings.password));
    let shared = Shared::new(store, accounts, files, compute, clock, &hostname, message_max);
    let server = Server::new(&runtime, HANDSHAKES);
    let of = shared.clone();
    let options = imap_options("imap", Tls::OnRequest(imap_tls.clone()));
    server.listen(imap, options, move |now, peer| of.imap(peer, now));
    let of = shared.clone();
    server.listen(imaps, imap_options("imaps", Tls::Always(imap_tls)), move |now, peer| {
        of.imap(peer, now)
    });
    let of = shared.clone();
    server.listen(lmtp, Options::new("lmtp", Tls::OnRequest(lmtp_tls)), move |now, peer| {
        of.lmtp(peer, now)
    });

    let ready = Ready { imap: imap_at, imaps: imaps_at, lmtp: &lmtp_at, data: &settings.data };
    announce(&ready, settings);
    wait_for_stop(&requests);

    info!("stopping");
    let left = runtime.shut_down(PATIENCE);
    if left > 0 {
        warn!(left, "connections were cut off");
    }
    drop((server, runtime, shared));
    threads.stop();
    info!("stopped");
    Ok(())
}

/// A peer that has not logged in must not make the server hold more than 16 KiB of its input.
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

fn wait_for_stop(requests: &mpsc::Receiver<Request>) {
    loop {
        match requests.recv() {
            Ok(Request::Reload) => info!("SIGHUP: there is no configuration file to read again"),
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

fn listen(option: &'static str, address: SocketAddr) -> Result<(Listener, SocketAddr), Error> {
    let listener = listen_at(option, Address::Tcp(address))?;
    let bound = listener.tcp_address().unwrap_or(address);
    Ok((listener, bound))
}

fn listen_at(option: &'static str, address: Address) -> Result<Listener, Error> {
    let listening = match &address {
        Address::Tcp(address) => Listener::tcp(*address),
        Address::Unix(path) => Listener::unix(path, UNIX_MODE),
    };
    listening.map_err(|source| Error::Listen { option, address, source })
}

fn listen_hint(source: &io::Error, option: &str, address: &Address) -> String {
    match address {
        Address::Tcp(_) => tcp_hint(source, option),
        Address::Unix(_) => unix_hint(source, option),
    }
}

fn unix_hint(source: &io::Error, option: &str) -> String {
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
    format!("; {why}choose another path with {option}")
}

fn tcp_hint(source: &io::Error, option: &str) -> String {
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
    format!("; {why}choose another address with {option}")
}

fn store_hint(error: &StoreError) -> &'static str {
    let StoreError::Io { source, .. } = error else { return "" };
    let kind = source.kind();
    if kind == io::ErrorKind::PermissionDenied {
        "; run loft as the user that owns it, or name another directory with --data"
    } else if kind == io::ErrorKind::NotADirectory || kind == io::ErrorKind::AlreadyExists {
        "; name a directory with --data"
    } else {
        ""
    }
}

/// The line that scripts wait for.
struct Ready<'a> {
    imap: SocketAddr,
    imaps: SocketAddr,
    lmtp: &'a Address,
    data: &'a Path,
}

impl fmt::Display for Ready<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { imap, imaps, lmtp, data } = self;
        write!(f, "ready imap={imap} imaps={imaps} lmtp={lmtp} data={}", data.display())
    }
}

fn announce(ready: &Ready<'_>, settings: &cli::Demo) {
    eprint!("{}", hint(ready.imap, &settings.password));
    let mut out = io::stdout().lock();
    if let Err(error) = writeln!(out, "{ready}").and_then(|()| out.flush()) {
        warn!(%error, "can't say on standard output that the server is ready");
    }
}

/// How to put in a first mail. Only the default password is shown.
fn hint(imap: SocketAddr, password: &str) -> String {
    let password = if password == cli::PASSWORD { password } else { "PASSWORD" };
    format!(
        "Put in a first mail and read it:\n  \
         printf 'Subject: Hello\\r\\n\\r\\nIt works.\\r\\n' > hello.eml\n  \
         curl --url imap://{imap}/INBOX -u u1:{password} -T hello.eml\n  \
         curl --url 'imap://{imap}/INBOX;MAILINDEX=1' -u u1:{password}\n"
    )
}

/// This machine's name, as far as it can stand in a greeting and a header.
fn hostname() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    let fits = !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    if fits { name.into_owned() } else { "localhost".to_owned() }
}

/// Random bytes for the store: unguessable, though they protect nothing. Drawn ahead, as every message takes some.
fn random(bytes: &mut [u8]) {
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

    #[test]
    fn the_ready_line_is_what_scripts_expect() {
        let lmtp = Address::Tcp("127.0.0.1:1024".parse().unwrap());
        let mut ready = Ready {
            imap: "127.0.0.1:1143".parse().unwrap(),
            imaps: "[::1]:1993".parse().unwrap(),
            lmtp: &lmtp,
            data: Path::new("./loft-data"),
        };
        let line =
            "ready imap=127.0.0.1:1143 imaps=[::1]:1993 lmtp=127.0.0.1:1024 data=./loft-data";
        assert_eq!(ready.to_string(), line);
        let lmtp = Address::Unix("/run/loft/lmtp".into());
        ready.lmtp = &lmtp;
        assert!(ready.to_string().contains(" lmtp=unix:/run/loft/lmtp data="), "{ready}");
    }

    #[test]
    fn the_hint_shows_only_the_default_password() {
        let at = "127.0.0.1:1143".parse().unwrap();
        assert!(hint(at, cli::PASSWORD).contains("-u u1:pw -T hello.eml"));
        assert!(!hint(at, "hunter2").contains("hunter2"));
    }

    #[test]
    fn an_address_in_use_is_named_with_the_option_that_changes_it() {
        let (_listener, at) = listen("--imap", "127.0.0.1:0".parse().unwrap()).unwrap();
        let error = listen("--lmtp", at).err().unwrap().to_string();
        assert!(
            error.contains(&at.to_string()) && error.contains("another address with --lmtp"),
            "{error}"
        );
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
