//! The runtime against the real kernel: sockets on free ports of the loopback, files in a temporary directory.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "all of this is tests")]

mod connections;
mod door;
mod echo;
mod files;
mod tasks;
mod tls;
