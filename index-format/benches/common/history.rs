//! Histories of mailboxes as people make them: mail comes in, is read, answered, filed and thrown away.

use super::Noise;
use index_format::mailbox::{Mailbox, NewMessage, TransactionBuilder};
use index_format::record::{Names, Transaction};
use index_format::{Flags, MapId, UidSet};

/// What a transaction is, for the table.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Deed {
    Delivered,
    Copied,
    Read,
    ReadThread,
    ReadAll,
    Answered,
    Flagged,
    Labelled,
    Deleted,
    Expunged,
    OldExpunged,
}

impl Deed {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Delivered => "one message delivered",
            Self::Copied => "several messages copied here",
            Self::Read => "one message read",
            Self::ReadThread => "some neighbours read",
            Self::ReadAll => "all marked read",
            Self::Answered => "one message answered",
            Self::Flagged => "one message flagged or not",
            Self::Labelled => "a keyword on a few messages",
            Self::Deleted => "some messages marked deleted",
            Self::Expunged => "those expunged",
            Self::OldExpunged => "old messages expunged by rule",
        }
    }
}

/// One transaction of a history.
pub(crate) struct Step {
    pub(crate) deed: Deed,
    pub(crate) transaction: Transaction,
}

/// So many transactions, and the mailbox they lead to.
pub(crate) fn history(steps: usize, seed: u64) -> (Vec<Step>, Mailbox) {
    let mut life = Life {
        noise: Noise(seed),
        mailbox: Mailbox::new(1_750_000_000, 0),
        names: Names::default(),
        now: 1_600_000_000,
        map_id: 0,
        steps: Vec::with_capacity(steps),
    };
    while life.steps.len() < steps {
        life.live();
    }
    (life.steps, life.mailbox)
}

struct Life {
    noise: Noise,
    mailbox: Mailbox,
    names: Names,
    now: i64,
    map_id: u32,
    steps: Vec<Step>,
}

impl Life {
    fn live(&mut self) {
        self.now += self.noise.below(3_000) as i64;
        match self.noise.below(1_000) {
            0..420 => self.deliver(Deed::Delivered, 1),
            420..430 => {
                let count = 2 + self.noise.below(30) as u32;
                self.deliver(Deed::Copied, count);
            }
            430..700 => self.flag(Deed::Read, 1, Flags::SEEN, &[]),
            700..760 => {
                let run = 2 + self.noise.below(12) as u32;
                self.flag(Deed::ReadThread, run, Flags::SEEN, &[]);
            }
            760..762 => self.read_all(),
            762..810 => self.flag(Deed::Answered, 1, Flags::ANSWERED, &[]),
            810..840 => self.flag(Deed::Flagged, 1, Flags::FLAGGED, &[]),
            840..870 => {
                let keyword = match self.noise.below(4) {
                    0 => "$Label1",
                    1 => "$Forwarded",
                    2 => "NonJunk",
                    _ => "$Work",
                };
                let run = 1 + self.noise.below(3) as u32;
                self.flag(Deed::Labelled, run, Flags::NONE, &[keyword]);
            }
            870..997 => self.throw_away(),
            _ => self.expire(),
        }
    }

    fn deliver(&mut self, deed: Deed, count: u32) {
        let mut builder = TransactionBuilder::new(&self.mailbox, &self.names);
        for _ in 0..count {
            self.map_id += 1 + self.noise.below(3) as u32;
            let message = NewMessage {
                map_id: MapId(self.map_id),
                internal_date: self.now,
                save_date: self.now,
                size: 1_500 + self.noise.below(60_000),
                ..NewMessage::default()
            };
            builder.append(&message).expect("no keywords");
        }
        let transaction = builder.finish();
        self.done(deed, transaction);
    }

    /// A run of messages, mostly recent ones.
    fn some(&mut self, count: u32) -> Option<UidSet> {
        let len = self.mailbox.len() as u64;
        let reach = if self.noise.chance(0.8) { len.min(200) } else { len };
        let index = len.checked_sub(1 + self.noise.below(reach.max(1)))? as usize;
        let rows = (index..index + count as usize).filter_map(|index| self.mailbox.row(index));
        Some(rows.map(|row| row.uid).collect())
    }

    fn flag(&mut self, deed: Deed, count: u32, flags: Flags, keywords: &[&str]) {
        let Some(uids) = self.some(count) else { return };
        let mut builder = TransactionBuilder::new(&self.mailbox, &self.names);
        builder.flags_add(&uids, flags, keywords).expect("few keywords");
        let transaction = builder.finish();
        self.done(deed, transaction);
    }

    fn read_all(&mut self) {
        let unseen = self.mailbox.iter().filter(|row| !row.flags.contains(Flags::SEEN));
        let uids: UidSet = unseen.map(|row| row.uid).collect();
        let mut builder = TransactionBuilder::new(&self.mailbox, &self.names);
        builder.flags_add(&uids, Flags::SEEN, &[]).expect("no keywords");
        let transaction = builder.finish();
        self.done(Deed::ReadAll, transaction);
    }

    /// Marks some and expunges them, as most clients do.
    fn throw_away(&mut self) {
        let count = self.noise.geometric(2.5);
        let Some(uids) = self.some(count) else { return };
        let mut builder = TransactionBuilder::new(&self.mailbox, &self.names);
        builder.flags_add(&uids, Flags::DELETED, &[]).expect("no keywords");
        let transaction = builder.finish();
        self.done(Deed::Deleted, transaction);
        self.expunge(Deed::Expunged, &uids);
    }

    /// Half of the older ones that were read and not flagged.
    fn expire(&mut self) {
        let old = self.mailbox.len() / 10;
        let rows: Vec<_> = self.mailbox.iter().take(old).collect();
        let gone =
            rows.iter().filter(|row| row.flags.contains(Flags::SEEN) && self.noise.chance(0.5));
        let uids: UidSet = gone.map(|row| row.uid).collect();
        self.expunge(Deed::OldExpunged, &uids);
    }

    fn expunge(&mut self, deed: Deed, uids: &UidSet) {
        let mut builder = TransactionBuilder::new(&self.mailbox, &self.names);
        builder.expunge(uids);
        let transaction = builder.finish();
        self.done(deed, transaction);
    }

    fn done(&mut self, deed: Deed, transaction: Transaction) {
        if transaction.records.is_empty() {
            return;
        }
        self.names.note(&transaction);
        self.mailbox.apply(&transaction).expect("what was built for it");
        self.steps.push(Step { deed, transaction });
    }
}
