//! The assembled server: real clients against the real program, each test with one of its own on free ports.
//!
//! A missing client makes its test say so and pass; with `LOFT_REQUIRE_CLIENTS=1` that is a failure.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too; and it has a watch"
)]

mod bodies;
mod curl;
mod harness;
mod kill;
mod ledger;
mod mbsync;
mod operator;
mod python;
mod search;
mod stop;
mod wire;
