//! A connected socket: what the driver reads and writes, and what TLS runs over.

use crate::reactor::{Reactor, Registered};
use futures_io::{AsyncRead, AsyncWrite};
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Ciphertext read at once where much comes: four full records.
const BULK: usize = 64 * 1024;

thread_local! {
    /// Belongs to the thread, so that an idle session holds none.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A stream socket in non-blocking mode.
pub(crate) struct Socket {
    fd: Registered,
    /// Read for TLS, but not yet taken by it.
    ahead: Vec<u8>,
    taken: usize,
    /// The last read for TLS filled all the room it had.
    bulk: bool,
    /// Much may be read at once and kept for TLS.
    eager: bool,
    /// Bytes that TLS may still read; `None` for any number.
    allowance: Option<usize>,
}

impl Socket {
    pub(crate) fn new(reactor: &Arc<Reactor>, fd: OwnedFd) -> io::Result<Self> {
        let fd = Registered::new(reactor, fd)?;
        Ok(Self { fd, ahead: Vec::new(), taken: 0, bulk: false, eager: true, allowance: None })
    }

    pub(crate) fn reactor(&self) -> &Arc<Reactor> {
        self.fd.reactor()
    }

    /// Lets TLS read so many bytes from now on, or any number. With a bound nothing is read ahead.
    pub(crate) fn allow(&mut self, allowance: Option<usize>) {
        self.allowance = allowance;
    }

    /// Whether more than TLS asks for may be read at once.
    pub(crate) fn set_eager(&mut self, eager: bool) {
        self.eager = eager;
    }

    pub(crate) fn poll_broken(&self, cx: &Context<'_>) -> Poll<()> {
        self.fd.poll_broken(cx)
    }

    pub(crate) fn may_be_readable(&self) -> bool {
        self.fd.may_be_readable()
    }

    pub(crate) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let room = buf.len();
        let recv = |fd: &OwnedFd| rustix::net::recv(fd, &mut *buf, RecvFlags::empty());
        // The end is final, so it counts as "there may be more": it is to be seen by whoever asks again.
        self.fd.poll_read(cx, recv, |&(n, _)| n == room || n == 0).map_ok(|(n, _)| n)
    }

    pub(crate) fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.fd.poll_write(cx, |fd| rustix::net::send(fd, bytes, SendFlags::NOSIGNAL))
    }

    /// What can be read, which stays to be read. `enough` says of it whether to see more is not waited for.
    pub(crate) fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        enough: impl Fn(&[u8]) -> bool,
    ) -> Poll<io::Result<usize>> {
        let full = std::cell::Cell::new(false);
        let peek = |fd: &OwnedFd| {
            let (n, _) = rustix::net::recv(fd, &mut *buf, RecvFlags::PEEK)?;
            full.set(n == 0 || enough(buf.get(..n).unwrap_or_default()));
            Ok(n)
        };
        self.fd.poll_read(cx, peek, |_| full.get())
    }

    /// Says to the peer that nothing more comes.
    pub(crate) fn shut_down_write(&self) {
        // It may be gone already, and then it knows.
        let _ = rustix::net::shutdown(self.fd.fd(), Shutdown::Write);
    }

    /// Gives what was read ahead, if anything.
    fn take_ahead(&mut self, buf: &mut [u8]) -> Option<usize> {
        let rest = self.ahead.get(self.taken..).filter(|rest| !rest.is_empty())?;
        let n = rest.len().min(buf.len());
        buf.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.taken += n;
        if self.taken == self.ahead.len() {
            (self.ahead, self.taken) = (Vec::new(), 0);
        }
        Some(n)
    }
}

/// For TLS, which asks for 4 KiB at a time: where those are full, more is read at once and kept for it.
impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(n) = self.take_ahead(buf) {
            return Poll::Ready(Ok(n));
        }
        if let Some(left) = self.allowance {
            if left == 0 {
                let why = "the peer sends more than belongs to a handshake";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, why)));
            }
            let room = buf.len().min(left);
            let n = ready!(self.poll_recv(cx, buf.get_mut(..room).unwrap_or_default()))?;
            self.allowance = Some(left - n);
            return Poll::Ready(Ok(n));
        }
        if !(self.bulk && self.eager) {
            let n = ready!(self.poll_recv(cx, buf))?;
            self.bulk = n == buf.len();
            return Poll::Ready(Ok(n));
        }
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(BULK, 0);
            let n = ready!(self.poll_recv(cx, buffer))?;
            self.bulk = n > buf.len();
            self.ahead = buffer.get(..n).unwrap_or_default().to_vec();
            Poll::Ready(Ok(self.take_ahead(buf).unwrap_or(0)))
        })
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.fd.poll_write(cx, |fd| {
            let flags = SendFlags::NOSIGNAL;
            rustix::net::sendmsg(fd, parts, &mut Default::default(), flags)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shut_down_write();
        Poll::Ready(Ok(()))
    }
}
