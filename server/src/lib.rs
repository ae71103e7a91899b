//! Loft, a mail server.

pub mod signal;
pub mod store;
