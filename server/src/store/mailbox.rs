//! One mailbox in memory, with those who follow it.

mod load;

use super::account::SERVER;
use super::error::StoreError;
use super::feed::Feed;
use super::logfile::{LogFile, State};
use imap_proto::{Keyword, UidSet};
use index_format::list::{Counters, Entry, SpecialUse};
use index_format::log::Kind;
use index_format::mailbox::Mailbox;
use index_format::record::Names;
use index_format::{Guid, ModSeq, Uid};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A mailbox that is in use.
pub(crate) struct Mbox {
    pub(crate) guid: Guid,
    pub(crate) mailbox: Mailbox,
    pub(crate) names: Names,
    pub(crate) feed: Feed,
    /// The last change of it.
    pub(crate) position: u64,
    /// UIDs from here on are recent to the next session that selects it.
    pub(crate) recent: Uid,
    /// All UIDs, as sessions take them.
    pub(crate) uids: UidSet,
    /// The names of its keywords, by number.
    pub(crate) keywords: Arc<[Keyword]>,
    /// Somebody has used it lately: it is not to leave memory yet.
    pub(crate) used: bool,
    /// It has let go of what its snapshot can give again, and was not used since.
    pub(crate) shed: bool,
    /// The file that parts are read from which are not in memory, if there is one.
    pub(crate) snapshot: Option<&'static str>,
}

impl Mbox {
    /// A mailbox that was just created.
    pub(crate) fn new(guid: Guid, uidvalidity: u32) -> Self {
        Self {
            guid,
            mailbox: Mailbox::new(uidvalidity, SERVER),
            names: Names::default(),
            feed: Feed::default(),
            position: 0,
            recent: Uid(1),
            uids: UidSet::new(),
            keywords: Arc::new([]),
            used: true,
            shed: false,
            snapshot: None,
        }
    }

    /// The log of a mailbox that was just created; its file comes with its first message.
    pub(crate) fn new_log(&self, account: &Path) -> LogFile {
        LogFile::new(directory(account, self.guid), "log", Kind::Mailbox, self.guid)
    }

    /// Computes what is kept beside the mailbox from it.
    fn refresh(&mut self) {
        self.uids =
            self.mailbox.uid_set().ranges().map(|range| (range.start().0, range.end().0)).collect();
        self.refresh_keywords();
    }

    /// Keywords were defined.
    pub(crate) fn refresh_keywords(&mut self) {
        self.keywords = self.mailbox.keywords().iter().filter_map(Keyword::new).collect();
    }

    /// What its log's next file would say of it.
    pub(crate) fn log_state(&self) -> State {
        State {
            server: SERVER,
            modseq: self.mailbox.highest_modseq(),
            uidnext: self.mailbox.uidnext(),
            uidvalidity: self.mailbox.uidvalidity(),
            epoch: self.mailbox.epoch(),
        }
    }

    /// Its counters as the list keeps them.
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            sums: self.mailbox.counters(),
            uidnext: self.mailbox.uidnext(),
            modseq: self.mailbox.highest_modseq(),
        }
    }
}

/// What the list knows of a mailbox must be in its files: else log and both snapshots have lost it, and what looks like a
/// shorter mailbox, or an empty one, would give UIDs a second time. (After a crash the journal has put it back before.)
fn check_against(entry: &Entry, mailbox: &Mailbox, dir: &Path) -> Result<(), StoreError> {
    let Counters { sums, uidnext, modseq } = entry.counters;
    if mailbox.highest_modseq() >= modseq && mailbox.uidnext() >= uidnext {
        return Ok(());
    }
    Err(StoreError::damaged(
        dir,
        format_args!(
            "the mailbox list knows of {} messages and UIDNEXT {uidnext}, log and snapshots only of {} and UIDNEXT {}",
            sums.messages,
            mailbox.len(),
            mailbox.uidnext()
        ),
    ))
}

/// Where the files of a mailbox are.
pub(crate) fn directory(account: &Path, guid: Guid) -> PathBuf {
    account.join("mailboxes").join(guid.to_string())
}

/// What a list would say of a mailbox that it does not have, as far as that is known.
pub(crate) fn unlisted(guid: Guid, name: Arc<str>, uidvalidity: u32) -> Entry {
    Entry {
        guid,
        name,
        uidvalidity,
        special_use: SpecialUse::NONE,
        created: 0,
        created_modseq: ModSeq(0),
        recent: Uid(1),
        counters: Counters { uidnext: Uid(1), ..Counters::default() },
        acl: BTreeMap::new(),
        metadata: BTreeMap::new(),
    }
}
