//! One test binary for all formats: round trips, damage, forgery, sizes, golden bytes.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

mod arbitrary;
mod cache;
mod explain;
mod golden;
mod journal;
mod list;
mod log;
mod mailbox;
mod salvage;
mod sizes;
mod snapshot;
mod threads;
mod uidset;
