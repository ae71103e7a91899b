//! Listeners at work.

use crate::clock::Time;
use crate::door::{Door, Open};
use crate::driver::drive;
use crate::listener::{Accepting, Listener, is_shortage};
use crate::machine::{Machine, Peer};
use crate::options::Options;
use crate::runtime::{Place, Runtime, sleep_until};
use crate::tls::Gate;
use rustix::net::{SendFlags, Shutdown};
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
        self.listen_behind(listener, options, Open, move |now, peer, _: &Arc<Open>| {
            make(now, peer)
        });
    }

    /// The same for those whom `door` lets in. `make` is told when the connection was accepted.
    pub fn listen_behind<M, D, F>(&self, listener: Listener, options: Options, door: D, make: F)
    where
        M: Machine + 'static,
        D: Door,
        F: Fn(Time, &Peer, &Arc<D::Pass>) -> M + Send + Sync + 'static,
    {
        let server = self.clone();
        let house = Arc::new(House { options: Arc::new(options), door, make });
        self.runtime.spawn_at(move |place| async move {
            match listener.register(&place.reactor) {
                Ok(accepting) => server.accept_all(place, accepting, house).await,
                Err(error) => {
                    tracing::error!(listener = house.options.name, %error, "can't listen")
                }
            }
        });
    }

    async fn accept_all<M, D, F>(self, place: Place, accepting: Accepting, house: Arc<House<D, F>>)
    where
        M: Machine + 'static,
        D: Door,
        F: Fn(Time, &Peer, &Arc<D::Pass>) -> M + Send + Sync + 'static,
    {
        let options = &house.options;
        let clock = place.reactor.clock();
        let mut stop = place.stop.watch();
        tracing::debug!(listener = options.name, address = ?accepting.address(), "listening");
        loop {
            let next = poll_fn(|cx| match stop.poll(cx) {
                true => Poll::Ready(None),
                false => accepting.poll_accept(cx).map(Some),
            });
            match next.await {
                None => return,
                Some(Ok((fd, peer))) => self.start(clock.now(), fd, peer, &house),
                Some(Err(error)) if is_shortage(&error) => {
                    tracing::warn!(listener = options.name, %error, "can't accept for now");
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

    fn start<M, D, F>(&self, now: Time, fd: OwnedFd, peer: Peer, house: &Arc<House<D, F>>)
    where
        M: Machine + 'static,
        D: Door,
        F: Fn(Time, &Peer, &Arc<D::Pass>) -> M + Send + Sync + 'static,
    {
        let pass = match house.door.enter(&peer, now) {
            Ok(pass) => pass,
            Err(farewell) => return turn_away(&fd, farewell),
        };
        let (house, gate) = (Arc::clone(house), self.gate.clone());
        self.runtime.spawn_at(move |place| {
            let (options, visitor) = (Arc::clone(&house.options), pass.clone());
            drive(place, fd, peer, options, gate, pass, move |peer| {
                (house.make)(now, peer, &visitor)
            })
        });
    }
}

/// What all connections of a listener have in common.
struct House<D, F> {
    options: Arc<Options>,
    door: D,
    make: F,
}

/// Says this if the socket takes it at once, and no more.
fn turn_away(fd: &OwnedFd, farewell: &[u8]) {
    if farewell.is_empty() {
        return;
    }
    // The peer may be gone.
    let _gone = rustix::net::send(fd, farewell, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    let _gone = rustix::net::shutdown(fd, Shutdown::Write);
}
