//! The store: accounts, their mailboxes and mail, on one file system, written by one process.
//!
//! How a change travels: `ops` and `delivery` assign it under the account's lock and queue it (`change`, `commit`);
//! the commit thread makes it durable in the `journal`, wakes who waits, and `apply` writes the logs and containers it
//! is about; `checkpoint` makes those durable and takes the journal away; `recovery` does after a crash what was left
//! undone. `imap` answers sessions from memory and containers.

mod account;
mod ahead;
mod apply;
mod arranged;
mod attachments;
mod body;
mod breath;
mod cache;
mod change;
mod check;
mod checkpoint;
mod commit;
mod compact;
mod config;
mod deferred;
mod delivery;
mod dictionaries;
mod error;
mod feed;
mod figures;
mod files;
mod freeze;
mod idle;
mod imap;
mod inspect;
mod journal;
mod large;
mod logfile;
mod mailbox;
mod message;
mod ops;
mod packing;
mod place;
mod planted;
mod rebuild;
mod recovery;
mod salvage;
mod snapshots;
mod stored;
#[cfg(test)]
mod tests;

#[expect(clippy::module_inception, reason = "the type that gives the module its name")]
mod store;
mod threads;
mod training;
mod undelete;

pub use account::Account;
pub use check::{Finding, Harm, Told};
pub use commit::Outcome;
pub use config::{Attachments, Compared, SpecialUse, StoreConfig};
pub use delivery::{Delivered, Delivery, Saved, Target};
pub use error::StoreError;
pub use figures::Figures;
pub(crate) use freeze::{Frozen, FrozenFile, Growth};
pub use imap::{Handled, ImapUser, read_blob};
pub(crate) use inspect::inspect;
pub(crate) use place::{Outside, Over, make_store};
pub(crate) use planted::{Planted, planted};
pub(crate) use rebuild::messages;
pub use rebuild::{Rebuilt, Revived};
pub(crate) use store::seed;
pub use store::{Preparing, Random, Store, Threads, Wall};
pub use undelete::{Expunged, Undeleted, Which};
