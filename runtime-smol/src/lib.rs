//! Sockets, TLS, timers and files for state machines that have none.
//!
//! Sessions ([`Machine`]) and storage code come from elsewhere; this crate moves their bytes and decides nothing.
//! - [`fs`]: files, real ([`fs::RealFs`]) or simulated with power loss ([`sim::SimFs`]).
//! - [`Clock`]: the only code that reads a clock.
//! - [`Machine`]: what the driver of connections drives.

mod clock;
pub mod fs;
mod machine;
pub mod sim;

pub use clock::{Clock, Time};
pub use machine::{Machine, Output, Peer};
