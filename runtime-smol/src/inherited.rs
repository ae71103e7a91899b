//! Sockets that the service manager listens on for us (sd_listen_fds(3)).
//!
//! `LISTEN_FDS` says how many there are, from descriptor 3 on, `LISTEN_FDNAMES` how they are called, `LISTEN_PID` for
//! which process they are.

use crate::listener::{Address, Listener, prepare};
use crate::sys;
use rustix::net::{SocketAddrUnix, getsockname, sockopt};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;

/// The first descriptor.
const FIRST: RawFd = 3;

/// More than any unit has.
const COUNT_MAX: usize = 1024;

/// The name of a socket that has none.
const NAMELESS: &str = "unknown";

/// The sockets this process was started with: each with its name, the `FileDescriptorName=` of its unit. A second call
/// finds none.
///
/// # Errors
/// What was promised is not there, or is no socket that listens.
pub fn inherited() -> io::Result<Vec<(String, Listener)>> {
    let variable = |name: &str| std::env::var(name).ok();
    let names = names(
        variable("LISTEN_PID").as_deref(),
        variable("LISTEN_FDS").as_deref(),
        variable("LISTEN_FDNAMES").as_deref(),
        std::process::id(),
    );
    let descriptors = names.into_iter().zip(FIRST..);
    let adopt = |(name, fd)| match sys::adopt(fd) {
        Ok(None) => None,
        Ok(Some(fd)) => Some(listener(fd).map(|listener| (name, listener))),
        Err(error) => Some(Err(error)),
    };
    descriptors.filter_map(adopt).collect()
}

/// The names of those that are for this process.
fn names(pid: Option<&str>, count: Option<&str>, names: Option<&str>, own: u32) -> Vec<String> {
    if pid.and_then(|pid| pid.parse().ok()) != Some(own) {
        return Vec::new();
    }
    let count = count.and_then(|count| count.parse::<usize>().ok()).unwrap_or(0).min(COUNT_MAX);
    let named = names.unwrap_or_default().split(':').map(|name| match name {
        "" => NAMELESS.to_owned(),
        name => name.to_owned(),
    });
    named.chain(std::iter::repeat(NAMELESS.to_owned())).take(count).collect()
}

fn listener(fd: OwnedFd) -> io::Result<Listener> {
    let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    match sockopt::socket_acceptconn(&fd) {
        Ok(true) => {}
        Ok(false) | Err(_) => {
            return refuse(
                "a descriptor of LISTEN_FDS is no socket that listens (Accept=no is needed)",
            );
        }
    }
    rustix::io::ioctl_fionbio(&fd, true)?;
    let name = getsockname(&fd)?;
    let at = if let Ok(address) = SocketAddr::try_from(name.clone()) {
        prepare(&fd)?;
        Address::Tcp(address)
    } else if let Ok(address) = SocketAddrUnix::try_from(name) {
        let path = address.path().map(|path| path.to_string_lossy().into_owned());
        Address::Unix(PathBuf::from(path.unwrap_or_else(|| "(without a name)".to_owned())))
    } else {
        return refuse("a descriptor of LISTEN_FDS is neither a TCP nor a UNIX socket");
    };
    Ok(Listener::adopted(fd, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_this_process() {
        let names = |pid, count, list| names(pid, count, list, 7);
        assert_eq!(names(Some("7"), Some("2"), Some("imap:lmtp")), ["imap", "lmtp"]);
        assert_eq!(names(Some("7"), Some("3"), Some("imap:")), ["imap", NAMELESS, NAMELESS]);
        assert_eq!(names(Some("7"), Some("1"), None), [NAMELESS]);
        for (pid, count) in
            [(None, Some("1")), (Some("8"), Some("1")), (Some("7"), None), (Some("7"), Some("-1"))]
        {
            assert!(names(pid, count, Some("imap")).is_empty(), "{pid:?} {count:?}");
        }
        assert_eq!(names(Some("7"), Some("4000000000"), None).len(), COUNT_MAX);
    }

    #[test]
    fn nothing_is_adopted_that_this_process_has_opened() {
        // All that a Rust program opens is closed on exec: so it was not there before it.
        let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&own);
        assert!(sys::adopt(fd).unwrap().is_none());
        assert!(sys::adopt(100_000).is_err(), "there is none of that number");
    }
}
