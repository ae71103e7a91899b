//! The message map of an account: which record holds which message, and how many mailboxes refer to it.
//!
//! The truth is a log of [`Transaction`]s, each the payload of one frame of `map.log`; [`Map`] is the state they
//! add up to, [`Snapshot`] its file `map.index`, written now and then so that nobody reads the log from the start.
//!
//! A change is made so: take a [`Draft`] of the map, describe the change, [`Draft::finish`] it, [`Map::apply`] it,
//! write [`Transaction::encode`]. COPY and MOVE of any number of messages whose ids are neighbours take a few bytes.
//!
//! Invariants:
//! - A map id names one message for ever: ids ascend, none is given twice, not even after [`Op::Free`].
//! - A transaction applies whole or not at all.
//! - The same transactions in the same order give the same map, from the start or from any snapshot on.
//! - Bytes of a container belong to one message at most: an [`Op::Add`] starts at or behind the container's end.

mod apply;
mod assemble;
mod id_set;
mod op;
mod slots;
mod snapshot;
mod state;
mod transaction;
mod wire;

pub use apply::ApplyError;
pub use assemble::Known;
pub use id_set::{IdSet, Ids};
pub use op::{Added, Extra, Gone, Moved, Op};
pub use snapshot::{LogPosition, SNAPSHOT_MAGIC, Snapshot};
pub use state::{ContainerState, Entry, Map};
pub use transaction::{Draft, Transaction};

use std::fmt;

/// The name of a message inside an account; 0 is none.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MapId(pub u32);

impl fmt::Display for MapId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
