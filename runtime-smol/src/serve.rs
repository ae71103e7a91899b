//! Listeners at work.

use crate::clock::Time;
use crate::driver::drive;
use crate::listener::{Accepting, Listener, is_shortage};
use crate::machine::{Machine, Peer};
use crate::options::Options;
use crate::runtime::{Place, Runtime, sleep_until};
use crate::tls::Gate;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::Poll;

/// Pause when the kernel has no descriptors or memory for a connection, in milliseconds. Those who wait are in its
/// backlog.
const SHORTAGE_PAUSE: u64 = 200;

/// Accepts connections with common bounds, all of a server together.
#[derive(Clone)]
pub struct Server {
    runtime: Runtime,
    gate: Gate,
}

impl Server {
    /// A server that does at most `handshakes` TLS handshakes at once (256 is a good number: each holds up to 64 KiB).
    #[must_use]
    pub fn new(runtime: &Runtime, handshakes: usize) -> Self {
        Self { runtime: runtime.clone(), gate: Gate::new(handshakes) }
    }

    /// Serves the connections of `listener` until [`Runtime::stop`]. `make` gives the machine of a connection, once its
    /// peer is known: with [`crate::Tls::Always`] that is after the handshake.
    pub fn listen<M, F>(&self, listener: Listener, options: Options, make: F)
    where
        M: Machine + 'static,
        F: Fn(Time, &Peer) -> M + Send + Sync + 'static,
    {
        let (server, options, make) = (self.clone(), Arc::new(options), Arc::new(make));
        self.runtime.spawn_at(move |place| async move {
            match listener.register(&place.reactor) {
                Ok(accepting) => server.accept_all(place, accepting, options, make).await,
                Err(error) => tracing::error!(listener = options.name, %error, "can't listen"),
            }
        });
    }

    async fn accept_all<M, F>(
        self,
        place: Place,
        accepting: Accepting,
        options: Arc<Options>,
        make: Arc<F>,
    ) where
        M: Machine + 'static,
        F: Fn(Time, &Peer) -> M + Send + Sync + 'static,
    {
        let mut stop = place.stop.watch();
        tracing::debug!(listener = options.name, address = ?accepting.address(), "listening");
        loop {
            let next = poll_fn(|cx| match stop.poll(cx) {
                true => Poll::Ready(None),
                false => accepting.poll_accept(cx).map(Some),
            });
            match next.await {
                None => return,
                Some(Ok((fd, peer))) => self.start(fd, peer, &options, &make),
                Some(Err(error)) if is_shortage(&error) => {
                    tracing::warn!(listener = options.name, %error, "can't accept for now");
                    let clock = place.reactor.clock();
                    let pause = Time(clock.now().0.saturating_add(SHORTAGE_PAUSE));
                    sleep_until(Arc::clone(&place.reactor), pause).await;
                }
                // The connection was gone before it was accepted (accept(2)).
                Some(Err(error)) => {
                    tracing::debug!(listener = options.name, %error, "not accepted")
                }
            }
        }
    }

    fn start<M, F>(&self, fd: OwnedFd, peer: Peer, options: &Arc<Options>, make: &Arc<F>)
    where
        M: Machine + 'static,
        F: Fn(Time, &Peer) -> M + Send + Sync + 'static,
    {
        let (options, make, gate) = (Arc::clone(options), Arc::clone(make), self.gate.clone());
        self.runtime.spawn_at(move |place| {
            drive(place, fd, peer, options, gate, move |now, peer| make(now, peer))
        });
    }
}
