//! What the service manager is told: sd_notify(3), by one datagram each.
//!
//! Without `NOTIFY_SOCKET` nothing is said. A manager that does not listen keeps nobody from serving.

use runtime_smol::{Clock, Runtime};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use tracing::{debug, warn};

/// Where the service manager listens.
#[derive(Clone, Debug)]
pub(crate) struct Notify {
    to: Option<SocketAddr>,
    /// How often it wants to hear that all is well.
    watchdog: Option<Duration>,
}

impl Notify {
    /// As the environment says.
    pub(crate) fn from_environment() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let to = variable("NOTIFY_SOCKET").and_then(|name| match address(&name) {
            Ok(address) => Some(address),
            Err(error) => {
                warn!(socket = name, %error, "the service manager can't be told anything: NOTIFY_SOCKET is no address");
                None
            }
        });
        let watchdog = watchdog(
            variable("WATCHDOG_USEC").as_deref(),
            variable("WATCHDOG_PID").as_deref(),
            std::process::id(),
        );
        Self { to, watchdog }
    }

    /// All listens, and what there was to recover is recovered.
    pub(crate) fn ready(&self, status: &str) {
        self.say(&format!("READY=1\nSTATUS={status}\nMAINPID={}", std::process::id()));
    }

    /// The configuration is being read again; [`Notify::ready`] follows.
    pub(crate) fn reloading(&self, clock: Clock) {
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock.boot_micros()));
    }

    /// It stops.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=stopping");
    }

    /// From now on it hears, from a task among those that serve, that they are served.
    pub(crate) fn keep_watchdog(&self, runtime: &Runtime) {
        let Some(interval) = self.watchdog.filter(|_| self.to.is_some()) else { return };
        let (notify, handle) = (self.clone(), runtime.clone());
        let mut stop = runtime.stop().watch();
        runtime.spawn(async move {
            loop {
                notify.say("WATCHDOG=1");
                let next = handle.clock().now().after(interval);
                let mut sleep = std::pin::pin!(handle.sleep_until(next));
                let stopped = std::future::poll_fn(|cx| match stop.poll(cx) {
                    true => std::task::Poll::Ready(true),
                    false => sleep.as_mut().poll(cx).map(|()| false),
                });
                if stopped.await {
                    return;
                }
            }
        });
    }

    fn say(&self, text: &str) {
        let Some(to) = &self.to else { return };
        let sent = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            socket.send_to_addr(text.as_bytes(), to)
        });
        if let Err(error) = sent {
            debug!(%error, "the service manager did not hear that");
        }
    }
}

/// A path, or, behind `@`, a name that is in no file system.
fn address(name: &str) -> std::io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

/// Twice as often as it has to be.
fn watchdog(micros: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    let other = pid.is_some_and(|pid| pid.parse() != Ok(own));
    let micros: u64 = micros?.parse().ok()?;
    (!other && micros > 0).then(|| Duration::from_micros(micros / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_for_the_process_it_names() {
        let half = Some(Duration::from_secs(15));
        assert_eq!(watchdog(Some("30000000"), None, 7), half);
        assert_eq!(watchdog(Some("30000000"), Some("7"), 7), half);
        for (micros, pid) in
            [(Some("30000000"), Some("8")), (Some("0"), None), (Some("x"), None), (None, None)]
        {
            assert_eq!(watchdog(micros, pid, 7), None);
        }
    }

    #[test]
    fn abstract_names_and_paths_are_heard() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("notify").display().to_string();
        let hidden = format!("@loft-test-{}", std::process::id());
        for name in [path, hidden] {
            let to = address(&name).unwrap();
            let manager = UnixDatagram::bind_addr(&to).unwrap();
            let notify = Notify { to: Some(to), watchdog: None };
            notify.stopping();
            let mut heard = [0; 100];
            let n = manager.recv(&mut heard).unwrap();
            assert_eq!(&heard[..n], b"STOPPING=1\nSTATUS=stopping", "{name}");
        }
    }
}
