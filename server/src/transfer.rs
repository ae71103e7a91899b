//! Mail in and out of a store, in the forms of others: `loft export` and `loft import`.
//!
//! Both are IMAP clients on the control socket, so they work while the server runs, see what clients see, and change
//! nothing that a client could not change.

mod connection;
mod error;
mod export;
mod import;
mod maildir;
mod mbox;
mod response;

pub use error::Error;
pub use export::{Export, export};
pub use import::{Import, Source, import};

use serde::Serialize;

/// In which form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Form {
    /// Maildir++: a directory for each mailbox, a file for each message.
    Maildir,
    /// A file for each mailbox, in mboxrd form.
    Mbox,
}

/// What became of one mailbox.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Outcome {
    /// Its name.
    pub mailbox: String,
    /// Messages that were moved; in a dry run, that would be.
    pub moved: u64,
    /// Messages that were there already.
    pub skipped: u64,
    /// Messages that could not be moved: each was told of.
    pub failed: u64,
    /// Keywords that the other form had no room for, counted for each message.
    pub keywords_left_out: u64,
}

/// What is told while it goes on.
pub trait Progress {
    /// Of `total` messages of a mailbox so many are done; `None` where the total isn't known.
    fn at(&mut self, mailbox: &str, done: u64, total: Option<u64>);
    /// One message could not be moved.
    fn failed(&mut self, mailbox: &str, message: &str, why: &str);
}
