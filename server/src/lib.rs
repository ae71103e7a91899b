//! Loft, a mail server: the store, the services that give access to it, and the command line.

#![forbid(unsafe_code)]

pub mod accounts;
pub mod admission;
pub mod alone;
pub mod assembly;
pub mod backup;

pub mod certificate;
pub mod cli;
pub mod config;
pub mod control;
pub mod counters;
pub mod demo;
pub mod hash_pool;
pub mod logging;
pub mod login_delay;
pub mod serve;
pub mod service;
pub mod sessions;
pub mod shared_log;
pub mod signal;
pub mod slices;
pub mod store;
mod systemd;
pub mod transfer;
