//! One change of the store: what it adds to which file, all of it or nothing.
//!
//! A change is made under the locks of all its accounts. Each step is encoded first and applied to memory next;
//! queueing it ([`Store::submit`]) is what makes it happen.

use super::account::{Account, Pending, State};
use super::cache;
use super::error::StoreError;
use super::feed;
use super::logfile;
use super::mailbox::Mbox;
use super::store::Store;
use crate::signal::Signal;
use dbox_format::map;
use index_format::journal;
use index_format::mailbox::{Applied, Row};
use index_format::record::Transaction;
use index_format::{Guid, Uid, list};
use std::sync::Arc;

/// One change on its way.
#[derive(Default)]
pub(crate) struct Change {
    pub(crate) accounts: Vec<Arc<Account>>,
    pub(crate) parts: Vec<Part>,
    pub(crate) bodies: Vec<Arc<[u8]>>,
    /// The sessions to be told once it is durable.
    pub(crate) watchers: Vec<Arc<Signal>>,
    /// Messages that can be read from memory until their containers are written: account and map id.
    pub(crate) pending: Vec<(usize, u32)>,
    /// Nothing but flags changes.
    pub(crate) flags_only: bool,
}

/// What one file gets.
pub(crate) struct Part {
    /// Index of the account in [`Change::accounts`].
    pub(crate) account: usize,
    pub(crate) target: Target,
}

/// Which file, and what.
pub(crate) enum Target {
    Container {
        file: u32,
        offset: u64,
        head: Arc<[u8]>,
        body: Option<u32>,
        tail: Vec<u8>,
    },
    Log {
        log: LogName,
        /// Transactions of that log before this one.
        transaction: u64,
        payload: Vec<u8>,
        /// What held before it, for the header of a new file.
        before: logfile::State,
    },
}

/// A log of an account.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum LogName {
    List,
    Map,
    Mailbox(Guid),
}

impl Change {
    /// About how many bytes its journal record has.
    pub(crate) fn len(&self) -> usize {
        let part = |part: &Part| match &part.target {
            Target::Container { head, tail, .. } => head.len() + tail.len() + 64,
            Target::Log { payload, .. } => payload.len() + 64,
        };
        self.parts.iter().map(part).sum::<usize>()
            + self.bodies.iter().map(|body| body.len() + 8).sum::<usize>()
    }

    /// Whether nothing would happen.
    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The index of `account` among those it touches.
    pub(crate) fn account(&mut self, account: &Arc<Account>) -> usize {
        match self.accounts.iter().position(|known| Arc::ptr_eq(known, account)) {
            Some(index) => index,
            None => {
                self.accounts.push(account.clone());
                self.accounts.len() - 1
            }
        }
    }

    /// A step of the mailbox list.
    pub(crate) fn list(
        &mut self,
        account: &Arc<Account>,
        state: &mut State,
        records: Vec<list::Record>,
    ) -> Result<list::Applied, StoreError> {
        let transaction = list::Transaction::new(records);
        let mut payload = Vec::new();
        transaction
            .encode(&mut payload)
            .map_err(|_| StoreError::Cannot("that name is too long"))?;
        let number = state.list.transactions();
        let applied = state.list.apply(&transaction);
        self.log(account, LogName::List, number, payload, logfile::State::default());
        Ok(applied)
    }

    /// A step of the message map, `now` in seconds since 1970.
    pub(crate) fn map(
        &mut self,
        account: &Arc<Account>,
        state: &mut State,
        transaction: &map::Transaction,
        now: i64,
    ) -> Result<(), StoreError> {
        if transaction.is_empty() {
            return Ok(());
        }
        let mut payload = Vec::new();
        transaction.encode(&mut payload);
        let number = state.map.transactions();
        let holdings = &mut state.attachments.holdings;
        if let Err(error) = holdings.apply(&mut state.map, transaction, now) {
            return Err(bug(account, &error));
        }
        for op in &transaction.ops {
            if let map::Op::RefsRemove(ids) | map::Op::Expunge { ids, .. } = op {
                state.garbage = true;
                if let Some(sweep) = &mut state.cache_sweep {
                    sweep.extend(ids.iter().map(cache::number));
                }
            }
        }
        self.log(account, LogName::Map, number, payload, logfile::State::default());
        Ok(())
    }

    /// A step of a mailbox, made by `session`; what it changed.
    pub(crate) fn mailbox(
        &mut self,
        account: &Arc<Account>,
        mbox: &mut Mbox,
        transaction: &Transaction,
        session: u64,
    ) -> Result<Applied, StoreError> {
        let mut payload = Vec::new();
        let before = mbox.log_state();
        if let Err(error) = transaction.encode(&mut mbox.names, &mut payload) {
            return Err(bug(account, &error));
        }
        let number = mbox.mailbox.transactions();
        let graves =
            if mbox.feed.is_followed() { mbox.expunged_by(transaction) } else { Vec::new() };
        let applied = match mbox.mailbox.apply(transaction) {
            Ok(applied) => applied,
            Err(error) => return Err(bug(account, &error)),
        };
        mbox.note(session, &applied, graves);
        self.watchers.extend(mbox.feed.others(session).cloned());
        self.log(account, LogName::Mailbox(mbox.guid), number, payload, before);
        Ok(applied)
    }

    /// The bytes of a message in a container; until they are there it is read from memory.
    pub(crate) fn message(
        &mut self,
        account: &Arc<Account>,
        map_id: u32,
        (file, offset): (u32, u64),
        pending: Pending,
        tail: Vec<u8>,
    ) {
        let account_index = self.account(account);
        let body = match self.bodies.iter().position(|known| Arc::ptr_eq(known, &pending.body)) {
            Some(index) => index,
            None => {
                self.bodies.push(pending.body.clone());
                self.bodies.len() - 1
            }
        };
        let target = Target::Container {
            file,
            offset,
            head: pending.head.clone(),
            body: u32::try_from(body).ok(),
            tail,
        };
        self.parts.push(Part { account: account_index, target });
        self.pending.push((account_index, map_id));
        account.pending().insert(map_id, pending);
    }

    fn log(
        &mut self,
        account: &Arc<Account>,
        log: LogName,
        transaction: u64,
        payload: Vec<u8>,
        before: logfile::State,
    ) {
        let account = self.account(account);
        self.parts
            .push(Part { account, target: Target::Log { log, transaction, payload, before } });
    }

    /// The change as a journal record.
    pub(crate) fn record(&self) -> journal::Record<'_> {
        let name = |part: &Part| {
            self.accounts.get(part.account).map_or("", |account| account.name()).as_bytes()
        };
        let parts = self
            .parts
            .iter()
            .map(|part| journal::Part { account: name(part), target: part.target.borrowed() });
        journal::Record {
            parts: parts.collect(),
            bodies: self.bodies.iter().map(|body| &**body).collect(),
        }
    }
}

impl Target {
    fn borrowed(&self) -> journal::Target<'_> {
        match self {
            Self::Container { file, offset, head, body, tail } => {
                journal::Target::Container { file: *file, offset: *offset, head, body: *body, tail }
            }
            Self::Log { log: LogName::List, transaction, payload, .. } => {
                journal::Target::List { transaction: *transaction, payload }
            }
            Self::Log { log: LogName::Map, transaction, payload, .. } => {
                journal::Target::Map { transaction: *transaction, payload }
            }
            Self::Log { log: LogName::Mailbox(guid), transaction, payload, .. } => {
                journal::Target::Mailbox { guid: *guid, transaction: *transaction, payload }
            }
        }
    }
}

impl Store {
    /// Queues a change: it happens, in this order with all others. The caller holds the locks of its accounts.
    pub(crate) fn submit(&self, change: Change) -> u64 {
        for account in &change.accounts {
            account.queued();
        }
        self.commit.push(change)
    }
}

impl Mbox {
    /// The rows that `transaction` will expunge.
    fn expunged_by(&self, transaction: &Transaction) -> Vec<Row> {
        let mut rows = Vec::new();
        for record in &transaction.records {
            if let index_format::record::Record::Expunge(uids) = record {
                let indexes = uids.ranges().flat_map(|range| self.mailbox.find_range(range));
                rows.extend(indexes.filter_map(|index| self.mailbox.row(index)));
            }
        }
        rows
    }

    /// Brings what is kept beside the mailbox up to date, and tells the followers.
    fn note(&mut self, session: u64, applied: &Applied, graves: Vec<Row>) {
        let added = to_imap(&applied.appended);
        let expunged: imap_proto::UidSet =
            applied.expunged.iter().map(|row| imap_proto::Uid(row.uid.0)).collect();
        for (first, last) in added.ranges() {
            self.uids.push_range(first, last);
        }
        if !expunged.is_empty() {
            self.uids = self.uids.subtract(&expunged);
        }
        if applied.keywords {
            self.refresh_keywords();
        }
        if self.feed.is_followed() {
            let flags = to_imap(&applied.changed);
            let keywords = applied.keywords;
            let change =
                feed::Change { added, flags, expunged, keywords, ..feed::Change::default() };
            self.feed.note(session, change, graves.into_iter());
        }
    }
}

/// Our own step did not follow from our own state: the state can't be trusted.
fn bug(account: &Account, error: &dyn std::error::Error) -> StoreError {
    tracing::error!(account = account.name(), %error, "a change did not apply to the state it was made for; the account is loaded anew");
    account.kill();
    StoreError::Lost
}

pub(crate) fn to_imap(uids: &index_format::UidSet) -> imap_proto::UidSet {
    uids.ranges().map(|range| (range.start().0, range.end().0)).collect()
}

pub(crate) fn to_index(uids: &imap_proto::UidSet) -> index_format::UidSet {
    let mut set = index_format::UidSet::new();
    for (first, last) in uids.ranges() {
        set.insert_range(Uid(first.0)..=Uid(last.0));
    }
    set
}
