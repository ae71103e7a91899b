//! Loft, a mail server: the store, the services that give access to it, and the command line.

#![forbid(unsafe_code)]

pub mod accounts;
pub mod certificate;
pub mod cli;
pub mod demo;
pub mod logging;
pub mod service;
pub mod shared_log;
pub mod signal;
pub mod slices;
pub mod store;
