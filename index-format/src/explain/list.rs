//! The mailbox list: its records, and its snapshot.

use super::{Teller, record, text};
use crate::Error;
use crate::list::{Counters, List, Record, Transaction};
use std::fmt;

pub(super) fn explain(file: &[u8], out: &mut Teller<'_>) -> fmt::Result {
    let (owner, list, position) = match List::parse(file) {
        Ok(parsed) => parsed,
        // One checksum covers all of it: nothing in it is to be believed.
        Err(error) => {
            return out.damage(
                0,
                file.len() as u64,
                format!("snapshot of a mailbox list: {error}; the one before it and the log say the same"),
            );
        }
    };
    out.file(format!(
        "mailbox list {owner}: {} mailboxes, modseq {}",
        list.len(),
        list.modseq().0
    ))?;
    out.file(format!("  at byte {} of log file {}", position.offset, position.file))?;
    out.file(format!("  {} transactions up to there", position.transactions))?;
    out.file(format!("  UIDVALIDITYs up to {} are used", list.uidvalidity_high()))?;
    if list.map_floor() > 0 {
        out.file(format!("  the map has {} transactions at least", list.map_floor()))?;
    }
    for entry in list.iter() {
        out.file(format!("{:?} is {}, UIDVALIDITY {}", entry.name, entry.guid, entry.uidvalidity))?;
        let (special, recent) = (entry.special_use.0, entry.recent);
        out.detail(format!("special use {special:#x}, recent from UID {recent}"))?;
        out.detail(counters(&entry.counters))?;
        for (identifier, rights) in &entry.acl {
            out.detail(format!("gives {} {}", text(identifier), text(rights)))?;
        }
        for (key, value) in &entry.metadata {
            out.detail(format!("metadata {} is {}", text(key), text(value)))?;
        }
    }
    for name in list.subscriptions() {
        out.file(format!("{name:?} is subscribed"))?;
    }
    for gone in list.tombstones() {
        out.file(match &gone.renamed_to {
            Some(to) => format!("{:?} ({}) became {to:?} at {}", gone.name, gone.guid, gone.time),
            None => format!("{:?} ({}) was deleted at {}", gone.name, gone.guid, gone.time),
        })?;
    }
    Ok(())
}

/// The payload of a frame of the list's log: its prefix and its records, a line each.
pub(super) fn transaction(payload: &[u8], at: u64) -> Result<Vec<String>, Error> {
    let transaction = Transaction::decode(payload, at)?;
    let mut words = record::prefix(&transaction.prefix);
    words.extend(transaction.records.iter().map(list_record));
    Ok(words)
}

fn counters(counters: &Counters) -> String {
    let Counters { sums, uidnext, modseq } = counters;
    format!(
        "{} messages, {} unseen, {} deleted, {} bytes, UIDNEXT {uidnext}, modseq {}",
        sums.messages, sums.unseen, sums.deleted, sums.size, modseq.0
    )
}

/// A record of the mailbox list.
pub fn list_record(record: &Record) -> String {
    let value =
        |bytes: &Option<Box<[u8]>>| bytes.as_deref().map_or_else(|| "nothing".to_owned(), text);
    match record {
        Record::Create { guid, name, uidvalidity, special_use, time } => format!(
            "create {name:?} as {guid}, UIDVALIDITY {uidvalidity}, special use {:#x}, at {time}",
            special_use.0
        ),
        Record::Delete { guid, time } => format!("delete {guid} at {time}"),
        Record::Rename { from, to, time } => {
            format!("rename {from:?} and all below to {to:?} at {time}")
        }
        Record::Subscribe(name) => format!("subscribe {name:?}"),
        Record::Unsubscribe(name) => format!("unsubscribe {name:?}"),
        Record::SpecialUse { guid, special_use } => {
            format!("{guid} has special use {:#x}", special_use.0)
        }
        Record::Recent { guid, uid } => format!("{guid} is recent from UID {uid}"),
        Record::Counters { guid, counters: numbers } => {
            format!("{guid} has {}", counters(numbers))
        }
        Record::UidValidity(least) => format!("UIDVALIDITYs are above {least}"),
        Record::MapFloor(least) => format!("the map has {least} transactions at least"),
        Record::Acl { guid, identifier, rights } => {
            format!("{guid} gives {} {}", text(identifier), value(rights))
        }
        Record::Metadata { guid: Some(guid), key, value: entry } => {
            format!("metadata {} of {guid} is {}", text(key), value(entry))
        }
        Record::Metadata { guid: None, key, value: entry } => {
            format!("metadata {} of the account is {}", text(key), value(entry))
        }
    }
}
