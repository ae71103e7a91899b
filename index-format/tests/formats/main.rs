//! One test binary for all formats: round trips, damage, forgery, sizes, golden bytes.

mod arbitrary;
mod cache;
mod golden;
mod journal;
mod list;
mod log;
mod mailbox;
mod sizes;
mod snapshot;
mod uidset;
