//! Sockets that are listened on.

use crate::machine::Peer;
use crate::reactor::{Reactor, Registered};
use crate::unix::{Owner, SocketFile, listen_at};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrAny, SocketFlags, SocketType, acceptfrom_with, bind, getsockname,
    ipproto, listen, socket_with, sockopt,
};
use socket2::SockRef;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};

/// Connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 4096;

/// What the kernel takes to send later, in bytes, beyond what the peer has room for. By itself it takes megabytes: of
/// memory, and so much that for minutes nobody sees that a peer takes no more. Twice what is sent at once.
const UNSENT: u32 = 128 << 10;

/// A socket that listens, on TCP or in the file system.
pub struct Listener {
    fd: OwnedFd,
    at: Address,
    file: Option<SocketFile>,
}

/// Where a [`Listener`] is found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// TCP.
    Tcp(SocketAddr),
    /// A UNIX socket.
    Unix(PathBuf),
    /// Whatever the service manager listens on under this name; see [`inherited`](crate::inherited).
    Systemd(String),
}

impl fmt::Display for Address {
    /// `192.0.2.1:24`, `[::1]:24`, `unix:/run/lmtp` or `systemd:lmtp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd(name) => write!(f, "systemd:{name}"),
        }
    }
}

impl Listener {
    /// Listens on TCP; port 0 picks a free one, [`Listener::address`] says which. Connections inherit `TCP_NODELAY`,
    /// keep-alive and a bound on what the kernel takes ahead for slow peers.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn tcp(address: SocketAddr) -> io::Result<Self> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        sockopt::set_socket_reuseaddr(&fd, true)?;
        prepare(&fd)?;
        bind(&fd, &address)?;
        listen(&fd, BACKLOG)?;
        let bound = SocketAddr::try_from(getsockname(&fd)?)?;
        Ok(Self { fd, at: Address::Tcp(bound), file: None })
    }

    /// Listens on a UNIX socket with these permissions and this owner. A socket that nobody listens on any more is
    /// removed first; this one is removed when it is no longer listened on.
    ///
    /// # Errors
    /// [`io::ErrorKind::AddrInUse`] when somebody does listen or the name is no socket's, else those of the system calls.
    pub fn unix(path: &Path, mode: u32, owner: Option<Owner>) -> io::Result<Self> {
        let (fd, file) = listen_at(path, mode, owner, BACKLOG)?;
        Ok(Self { fd, at: Address::Unix(path.to_owned()), file: Some(file) })
    }

    /// One that listens already; its name, if it has one, is somebody else's.
    pub(crate) fn adopted(fd: OwnedFd, at: Address) -> Self {
        Self { fd, at, file: None }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.at
    }

    /// The TCP address, if that is what it listens on.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match &self.at {
            Address::Tcp(address) => Some(*address),
            Address::Unix(_) | Address::Systemd(_) => None,
        }
    }

    pub(crate) fn register(self, reactor: &Arc<Reactor>) -> io::Result<Accepting> {
        let fd = Registered::new(reactor, self.fd)?;
        Ok(Accepting { fd, at: self.at, _file: self.file })
    }
}

/// What the connections of a TCP socket that listens inherit.
pub(crate) fn prepare(fd: &OwnedFd) -> io::Result<()> {
    sockopt::set_tcp_nodelay(fd, true)?;
    sockopt::set_socket_keepalive(fd, true)?;
    SockRef::from(fd).set_tcp_notsent_lowat(UNSENT)
}

/// A listener at work.
pub(crate) struct Accepting {
    fd: Registered,
    at: Address,
    _file: Option<SocketFile>,
}

impl Accepting {
    pub(crate) fn address(&self) -> &Address {
        &self.at
    }

    /// The next connection, non-blocking.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(OwnedFd, Peer)>> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accept = |fd: &OwnedFd| acceptfrom_with(fd, flags);
        self.fd.poll_read(cx, accept, |_| true).map_ok(|(fd, from)| (fd, peer(from)))
    }
}

/// Whether an error of `accept` says that we are short of something, so that trying again at once is vain.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

fn peer(from: Option<SocketAddrAny>) -> Peer {
    let addr = from.and_then(|from| SocketAddr::try_from(from).ok());
    // What comes by IPv4 to an IPv6 socket is IPv4.
    let addr = addr.map(|addr| SocketAddr::new(addr.ip().to_canonical(), addr.port()));
    let loopback = addr.is_none_or(|addr| match addr.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    });
    Peer { addr, loopback, ..Peer::default() }
}
