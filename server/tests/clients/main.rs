//! The assembled server: real clients against the real program, each test with one of its own on free ports.
//!
//! A missing client makes its test say so and pass; with `LOFT_REQUIRE_CLIENTS=1` that is a failure.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers too; and it has a watch"
)]

mod backup;
mod binary;
mod bodies;
mod condstore;
mod curl;
mod disk;
mod fetchmail;
#[path = "../../../imap-proto/tests/grammar/mod.rs"]
mod grammar;
mod harness;
mod hostile;
mod imapclient;
mod imapflow;
mod kill;
mod ledger;
mod limits;
mod log_lines;
mod maildir;
mod mbsync;
mod neomutt;
mod offlineimap;
mod operate;
mod operator;
mod postfix;
mod python;
mod search;
mod serve;
mod stop;
mod swaks;
mod tls;
mod transfer;
mod unix;
mod users;
mod wire;
