//! The process as a whole: signals and limits.

use async_signal::{Signal, Signals};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use smol::stream::StreamExt as _;
use std::io;

/// What the operator wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Request {
    /// SIGTERM or SIGINT: stop.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// From now on SIGTERM, SIGINT and SIGHUP call `handle`, on a thread of its own.
///
/// # Errors
/// When the kernel refuses the handlers or the thread.
pub fn on_signals(handle: impl Fn(Request) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([Signal::Term, Signal::Int, Signal::Hup])?;
    let serve = async move {
        while let Some(signal) = signals.next().await {
            match signal {
                Ok(Signal::Hup) => handle(Request::Reload),
                Ok(_) => handle(Request::Stop),
                Err(error) => tracing::error!(%error, "can't receive signals"),
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(|| smol::block_on(serve))?;
    Ok(())
}

/// Raises the number of files and sockets this process may have open to its hard limit, and returns it.
///
/// # Errors
/// When the kernel refuses.
pub fn raise_open_files() -> io::Result<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum.unwrap_or(u64::MAX))
}
