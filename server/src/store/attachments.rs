//! Attachments stored apart: cut out of messages that come in, linked into accounts, put back when messages are read.
//!
//! What is cut out, and how a message is made whole again, is `dbox_format::attachment`'s; here are the files. A content has
//! one file, which the accounts that need it link to (`docs/formats/attachments.md`):
//! - [`cut`] takes a message apart that comes in, and writes its contents to the spool directory, each synced;
//! - [`link`] gives each account that gets the message its own links, durable before the journal names them;
//! - [`apart`] reads a message from its skeleton and its contents;
//! - [`keep`] shares contents between accounts and removes links that nobody needs, later and unhurried;
//! - [`verify`] reads all contents of an account, for who wants to know whether they are whole.
//!
//! Invariants:
//! - A journal record that names a content comes behind that content's bytes and the account's link, both durable.
//! - A link goes only when no message of the account's map names it, a checkpoint covers that, the grace has passed, no
//!   change relies on it and nobody reads what was found before.
//! - What is done before a message is answered depends on the message and this account alone: nothing below `attachments/`
//!   is looked at for it.

pub(super) mod apart;
pub(super) mod cut;
mod keep;
mod link;
mod verify;

pub(super) use apart::Apart;
pub(super) use cut::{Cuts, Intake};
pub(super) use keep::Shared;
#[cfg(test)]
pub(super) use keep::Tended;
pub(super) use link::Pinned;
pub(super) use verify::VerifiedContents;

use super::planted::{Planted, planted};
use dbox_format::attachment::{Hash, Holdings};
use dbox_format::map::Map;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Weak;

/// What an account knows of its attachments; under its lock.
pub(crate) struct Attachments {
    /// What its messages need, and which links may go.
    pub(super) holdings: Holdings,
    /// Links that were not shared with other accounts yet.
    unshared: BTreeSet<Hash>,
    /// Links that are due, with those who may still read them.
    going: BTreeMap<Hash, Vec<Weak<()>>>,
    /// The next directory of links to be held against what is needed, since the account was loaded; 256 when none is left.
    unseen: usize,
    /// Directories of links that are known to be durable.
    durable: BTreeSet<u8>,
}

impl Attachments {
    /// Those of an account whose map was just loaded.
    ///
    /// # Errors
    /// A list in the map that is none.
    pub(super) fn of(map: &Map) -> Result<Self, dbox_format::Error> {
        let holdings =
            if planted(Planted::BareCounter) { Holdings::default() } else { Holdings::of(map)? };
        let (unshared, going, durable) = (BTreeSet::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Self { holdings, unshared, going, unseen: 0, durable })
    }

    /// Whether nothing is known that another load would not find out.
    pub(super) fn is_settled(&self) -> bool {
        self.holdings.is_settled() && self.unshared.is_empty()
    }
}
