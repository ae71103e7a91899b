//! Sockets, TLS, timers and files for state machines that have none.
//!
//! Sessions ([`Machine`]) and storage code come from elsewhere; this crate moves their bytes and decides nothing.
//! - [`fs`]: files, real ([`fs::RealFs`]) or simulated with power loss ([`sim::SimFs`]).
//! - [`Clock`]: the only code that reads a clock.
//! - [`Runtime`]: threads, tasks, timers; [`Pool`]: threads that may wait for a disk.
//! - [`Server`]: accepts connections of a [`Listener`] and drives a [`Machine`] for each, with TLS or without. A [`Door`]
//!   says who is let in, and who has to go for others.
//! - [`on_signals`], [`raise_open_files`]: the process as a whole; [`inherited`]: the sockets it was started with.
//!
//! `sys.rs` is the one file that says `unsafe`.

mod clock;
mod door;
mod driver;
pub mod fs;
mod hello;
mod inherited;
mod listener;
mod machine;
mod options;
mod pool;
mod process;
mod reactor;
mod runtime;
mod serve;
pub mod sim;
mod socket;
mod stop;
mod sys;
mod tls;
mod unix;

pub use clock::{Clock, Time};
pub use door::{Door, Open, Pass};
pub use inherited::inherited;
pub use listener::{Address, Listener};
pub use machine::{Machine, Output, Peer};
pub use options::{Options, Tls};
pub use pool::Pool;
pub use process::{Request, on_signals, raise_open_files};
pub use runtime::Runtime;
pub use serve::Server;
pub use stop::{Stop, StopWatch};
pub use unix::{Owner, connect_unix};
