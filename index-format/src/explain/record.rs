//! The records of a mailbox in words.

use super::text;
use crate::record::{Append, Prefix, Record, Transaction};
use crate::{Error, Flags, UidSet};

/// Ranges of UIDs that are written out.
const RANGES_MAX: usize = 1000;

/// The payload of a frame of a mailbox's log: its prefix and its records, a line each.
///
/// # Errors
/// Bytes that are not exactly one transaction.
pub fn transaction(payload: &[u8], at: u64) -> Result<Vec<String>, Error> {
    let transaction = Transaction::decode(payload, at)?;
    let mut words = prefix(&transaction.prefix);
    words.extend(transaction.records.iter().map(mailbox_record));
    Ok(words)
}

pub(super) fn prefix(prefix: &Prefix) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(prefix.modseq.map(|modseq| format!("takes modseq {}", modseq.0)));
    words.extend(prefix.epoch.map(|epoch| format!("in epoch {epoch}")));
    words.extend(prefix.origin.map(|origin| format!("made elsewhere: {origin:?}")));
    words
}

/// A record of a mailbox.
pub fn mailbox_record(record: &Record) -> String {
    match record {
        Record::Append(append) => append_words(append),
        Record::FlagsAdd { uids, flags } => format!("add {} to {}", flag_names(*flags), set(uids)),
        Record::FlagsRemove { uids, flags } => {
            format!("remove {} from {}", flag_names(*flags), set(uids))
        }
        Record::FlagsReplace { uids, flags, keywords } => {
            let keywords: Vec<u8> = keywords.iter().collect();
            format!("set {} and keywords {keywords:?} on {}", flag_names(*flags), set(uids))
        }
        Record::KeywordDefine { number, name } => format!("keyword {number} is {name:?}"),
        Record::KeywordAdd { uids, number } => format!("add keyword {number} to {}", set(uids)),
        Record::KeywordRemove { uids, number } => {
            format!("remove keyword {number} from {}", set(uids))
        }
        Record::Expunge(uids) => format!("expunge {}", set(uids)),
        Record::SaveDate { uids, date } => format!("{} saved at {date}", set(uids)),
        Record::UidValidity(least) => format!("UIDVALIDITY at least {least}"),
        Record::UidNext(least) => format!("UIDNEXT at least {least}"),
        Record::Metadata { key, value: Some(value) } => {
            format!("metadata {} is {}", text(key), text(value))
        }
        Record::Metadata { key, value: None } => format!("metadata {} goes", text(key)),
        Record::PrivateFlags { user, uids, add, remove } => {
            let (user, add, remove) = (text(user), flag_names(*add), flag_names(*remove));
            format!("for {user} alone remove {remove}, add {add} on {}", set(uids))
        }
        Record::Void(uids) => format!("void {}", set(uids)),
        Record::Tombstone(gone) => {
            format!("was expunged: UID {}, map id {}", gone.uid, gone.map_id.0)
        }
    }
}

/// UIDs as IMAP writes them, up to [`RANGES_MAX`] ranges: a few bytes can name millions.
fn set(uids: &UidSet) -> String {
    let ranges = uids.ranges().take(RANGES_MAX).map(|range| match (range.start(), range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}:{last}"),
    });
    let words = ranges.collect::<Vec<_>>().join(",");
    match uids.ranges().len() {
        0..=RANGES_MAX => words,
        count => format!("{words}… ({count} ranges, {} UIDs)", uids.len()),
    }
}

fn append_words(append: &Append) -> String {
    let Append { map_id, internal_date, size, flags, .. } = append;
    let mut words = format!("append map id {}, {size} bytes, received {internal_date}", map_id.0);
    words += &append.uid.map(|uid| format!(", UID {uid}")).unwrap_or_default();
    words +=
        &append.anchor.map(|anchor| format!(", UID ends in {anchor:#04x}")).unwrap_or_default();
    words += &append.save_date.map(|date| format!(", saved {date}")).unwrap_or_default();
    if *flags != Flags::NONE {
        words += &format!(", {}", flag_names(*flags));
    }
    for number in append.keywords.iter() {
        words += &format!(", keyword {number}");
    }
    words += &append.guid.map(|guid| format!(", GUID {guid}")).unwrap_or_default();
    words += &append
        .item
        .map(|item| format!(", item {}.{}", item.server, item.sequence))
        .unwrap_or_default();
    words
}

/// The names of flags, as IMAP has them.
pub(super) fn flag_names(flags: Flags) -> String {
    let known = [
        (Flags::SEEN, "\\Seen"),
        (Flags::ANSWERED, "\\Answered"),
        (Flags::FLAGGED, "\\Flagged"),
        (Flags::DELETED, "\\Deleted"),
        (Flags::DRAFT, "\\Draft"),
    ];
    let mut names: Vec<String> = known
        .iter()
        .filter(|(flag, _)| flags.contains(*flag))
        .map(|(_, name)| (*name).to_owned())
        .collect();
    let rest = known.iter().fold(flags, |rest, (flag, _)| rest.without(*flag));
    if rest != Flags::NONE {
        names.push(format!("bits {:#04x}", rest.0));
    }
    if names.is_empty() { "no flag".to_owned() } else { names.join(" ") }
}
