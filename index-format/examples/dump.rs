//! Says in words what is in a file of a store: `cargo run -p loft-index-format --example dump FILE`.
//!
//! Knows logs, snapshots, mailbox lists, caches, threads and journal segments by their first bytes. Reads only, and goes on
//! behind damage, saying that nothing there counts.

use std::io::{self, Write};
use std::process::ExitCode;

use index_format::cache::{CacheFile, Field, Fields};
use index_format::journal::{self, Target};
use index_format::list::{self, List};
use index_format::log::{self, EndKind, Frames, Kind, scan_after};
use index_format::mailbox::Mailbox;
use index_format::record::{Append, Prefix, Record, Transaction};
use index_format::snapshot::Snapshot;
use index_format::threads::Blocks;
use index_format::{Error, Flags};

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: dump FILE");
        return ExitCode::from(2);
    };
    let result = std::fs::read(&path)
        .map_err(Failure::Read)
        .and_then(|file| dump(&file, &mut io::stdout().lock()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{}: {failure}", path.display());
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot read: {0}")]
    Read(io::Error),
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
    #[error("{0}")]
    Format(#[from] Error),
    #[error("begins like none of a store's index files")]
    Unknown,
}

fn dump(file: &[u8], out: &mut impl Write) -> Result<(), Failure> {
    match file.get(..8) {
        Some(b"LOFTlog\n") => dump_log(file, out),
        Some(b"LOFTsnp\n") => dump_snapshot(file, out),
        Some(b"LOFTlst\n") => dump_list(file, out),
        Some(b"LOFTcch\n") => dump_cache(file, out),
        Some(b"LOFTthr\n") => dump_threads(file, out),
        Some(b"LOFTjrn\n") => dump_journal(file, out),
        Some(_) | None => Err(Failure::Unknown),
    }
}

fn dump_log(file: &[u8], out: &mut impl Write) -> Result<(), Failure> {
    let header = log::Header::parse(file)?;
    writeln!(
        out,
        "log of {:?} {}, file {}, server {}",
        header.kind, header.owner, header.file, header.server
    )?;
    match header.previous {
        Some(previous) => writeln!(
            out,
            "  goes on from file {}, which ends at byte {}",
            previous.file, previous.end
        )?,
        None => writeln!(out, "  the first file")?,
    }
    let log::Header { first_transaction, modseq, uidnext, uidvalidity, epoch, flags, .. } = header;
    writeln!(
        out,
        "  {first_transaction} transactions before it; UIDNEXT {uidnext}, UIDVALIDITY {uidvalidity}"
    )?;
    writeln!(
        out,
        "  modseq {} (t {}), epoch {epoch}, unknown flags {flags:#x}",
        modseq.0,
        modseq.t()
    )?;
    let mut frames = Frames::new(file, log::Header::LEN as u64, header.seed);
    for (number, frame) in (first_transaction..).zip(frames.by_ref()) {
        writeln!(
            out,
            "{:>10}  transaction {number}, {} bytes",
            frame.start,
            frame.end - frame.start
        )?;
        payload(header.kind, frame, out)?;
    }
    let end = frames.end();
    match end.kind {
        EndKind::Clean => writeln!(out, "{:>10}  the end", end.at)?,
        EndKind::Sealed => writeln!(out, "{:>10}  sealed: goes on in the next file", end.at)?,
        EndKind::Torn(why) => {
            writeln!(out, "{:>10}  torn ({why:?}): goes on in the next file", end.at)?
        }
    }
    for frame in scan_after(file, end.at, header.seed) {
        writeln!(out, "{:>10}  DOES NOT COUNT, {} bytes", frame.start, frame.end - frame.start)?;
        payload(header.kind, frame, out)?;
    }
    Ok(())
}

fn payload(kind: Kind, frame: log::Frame<'_>, out: &mut impl Write) -> io::Result<()> {
    let records: Result<(Prefix, Vec<String>), Error> = match kind {
        Kind::Mailbox => Transaction::decode(frame.payload, frame.start).map(|transaction| {
            (transaction.prefix, transaction.records.iter().map(words).collect())
        }),
        Kind::List => list::Transaction::decode(frame.payload, frame.start).map(|transaction| {
            (transaction.prefix, transaction.records.iter().map(list_words).collect())
        }),
        Kind::Map => return writeln!(out, "            {}", hex(frame.payload)),
    };
    match records {
        Err(error) => writeln!(out, "            cannot be read: {error}"),
        Ok((prefix, records)) => {
            if let Some(modseq) = prefix.modseq {
                writeln!(out, "            takes modseq {}", modseq.0)?;
            }
            if let Some(epoch) = prefix.epoch {
                writeln!(out, "            in epoch {epoch}")?;
            }
            if let Some(origin) = prefix.origin {
                writeln!(out, "            made elsewhere: {origin:?}")?;
            }
            records.iter().try_for_each(|record| writeln!(out, "            {record}"))
        }
    }
}

/// A record of the mailbox list in words.
fn list_words(record: &list::Record) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let value = |bytes: &Option<Box<[u8]>>| {
        bytes.as_deref().map_or("nothing".to_owned(), |b| format!("{:?}", text(b)))
    };
    match record {
        list::Record::Create { guid, name, uidvalidity, special_use, time } => {
            format!(
                "create {name:?} as {guid}, UIDVALIDITY {uidvalidity}, special use {:#x}, at {time}",
                special_use.0
            )
        }
        list::Record::Delete { guid, time } => format!("delete {guid} at {time}"),
        list::Record::Rename { from, to, time } => {
            format!("rename {from:?} and all below to {to:?} at {time}")
        }
        list::Record::Subscribe(name) => format!("subscribe {name:?}"),
        list::Record::Unsubscribe(name) => format!("unsubscribe {name:?}"),
        list::Record::SpecialUse { guid, special_use } => {
            format!("{guid} has special use {:#x}", special_use.0)
        }
        list::Record::Recent { guid, uid } => format!("{guid} is recent from UID {uid}"),
        list::Record::Counters { guid, counters } => {
            let list::Counters { sums, uidnext, modseq } = counters;
            format!("{guid} has {sums:?}, UIDNEXT {uidnext}, modseq {}", modseq.0)
        }
        list::Record::UidValidity(least) => format!("UIDVALIDITYs are above {least}"),
        list::Record::Acl { guid, identifier, rights } => {
            format!("{guid} gives {:?} {}", text(identifier), value(rights))
        }
        list::Record::Metadata { guid: Some(guid), key, value: entry } => {
            format!("metadata {:?} of {guid} is {}", text(key), value(entry))
        }
        list::Record::Metadata { guid: None, key, value: entry } => {
            format!("metadata {:?} of the account is {}", text(key), value(entry))
        }
    }
}

/// A record of a mailbox in words.
fn words(record: &Record) -> String {
    match record {
        Record::Append(append) => append_words(append),
        Record::FlagsAdd { uids, flags } => format!("add {} to {uids}", flag_names(*flags)),
        Record::FlagsRemove { uids, flags } => format!("remove {} from {uids}", flag_names(*flags)),
        Record::FlagsReplace { uids, flags, keywords } => {
            let keywords: Vec<u8> = keywords.iter().collect();
            format!("set {} and keywords {keywords:?} on {uids}", flag_names(*flags))
        }
        Record::KeywordDefine { number, name } => format!("keyword {number} is {name:?}"),
        Record::KeywordAdd { uids, number } => format!("add keyword {number} to {uids}"),
        Record::KeywordRemove { uids, number } => format!("remove keyword {number} from {uids}"),
        Record::Expunge(uids) => format!("expunge {uids}"),
        Record::SaveDate { uids, date } => format!("{uids} saved at {date}"),
        Record::UidValidity(least) => format!("UIDVALIDITY at least {least}"),
        Record::UidNext(least) => format!("UIDNEXT at least {least}"),
        Record::Metadata { key, value: Some(value) } => {
            format!(
                "metadata {:?} is {:?}",
                String::from_utf8_lossy(key),
                String::from_utf8_lossy(value)
            )
        }
        Record::Metadata { key, value: None } => {
            format!("metadata {:?} goes", String::from_utf8_lossy(key))
        }
        Record::PrivateFlags { user, uids, add, remove } => {
            let user = String::from_utf8_lossy(user);
            format!(
                "for {user:?} alone remove {}, add {} on {uids}",
                flag_names(*remove),
                flag_names(*add)
            )
        }
        Record::Void(uids) => format!("void {uids}"),
        Record::Tombstone(gone) => {
            format!("was expunged: UID {}, map id {}", gone.uid, gone.map_id.0)
        }
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

fn flag_names(flags: Flags) -> String {
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

fn dump_snapshot(file: &[u8], out: &mut impl Write) -> Result<(), Failure> {
    let snapshot = Snapshot::parse(file)?;
    let header = snapshot.header();
    let position = header.position;
    writeln!(
        out,
        "snapshot of mailbox {}, server {}, epoch {}",
        header.owner, header.server, header.epoch
    )?;
    writeln!(out, "  at byte {} of log file {}", position.offset, position.file)?;
    writeln!(out, "  {} transactions up to there", position.transactions)?;
    writeln!(out, "  UIDVALIDITY {}, UIDNEXT {}", header.uidvalidity, header.uidnext)?;
    writeln!(out, "  HIGHESTMODSEQ {}, {:?}", header.modseq.0, header.counters)?;
    for id in snapshot.sections() {
        match snapshot.section(id) {
            Ok(bytes) => {
                writeln!(out, "  section {}: {} bytes", id.0, bytes.map_or(0, <[u8]>::len))?
            }
            Err(error) => writeln!(out, "  section {}: {error}", id.0)?,
        }
    }
    let mailbox: Mailbox = snapshot.to_mailbox()?;
    for (number, name) in mailbox.keywords().iter().enumerate() {
        writeln!(out, "  keyword {number} is {name:?}")?;
    }
    for row in mailbox.iter() {
        let (uid, flags, keywords) = (row.uid, flag_names(row.flags), row.keywords.0);
        write!(out, "UID {uid}: {flags}, keywords {keywords:#x}, modseq {}, ", row.modseq.0)?;
        let (received, saved) = (row.internal_date, row.save_date);
        writeln!(
            out,
            "received {received}, saved {saved}, {} bytes, map id {}",
            row.size, row.map_id.0
        )?;
    }
    for gone in mailbox.tombstones() {
        writeln!(
            out,
            "UID {} was expunged at modseq {}, map id {}",
            gone.uid, gone.modseq.0, gone.map_id.0
        )?;
    }
    for void in mailbox.voids() {
        writeln!(out, "UIDs {} to {} went at modseq {}", void.first, void.last, void.modseq.0)?;
    }
    Ok(())
}

fn dump_list(file: &[u8], out: &mut impl Write) -> Result<(), Failure> {
    let (owner, list, position) = List::parse(file)?;
    writeln!(out, "mailbox list {owner}: {} mailboxes, modseq {}", list.len(), list.modseq().0)?;
    writeln!(out, "  at byte {} of log file {}", position.offset, position.file)?;
    writeln!(out, "  {} transactions up to there", position.transactions)?;
    writeln!(out, "  UIDVALIDITYs up to {} are used", list.uidvalidity_high())?;
    for entry in list.iter() {
        writeln!(out, "{:?} is {}, UIDVALIDITY {}", entry.name, entry.guid, entry.uidvalidity)?;
        writeln!(
            out,
            "    special use {:#x}, recent from UID {}",
            entry.special_use.0, entry.recent
        )?;
        let counters = entry.counters;
        writeln!(
            out,
            "    {:?}, UIDNEXT {}, modseq {}",
            counters.sums, counters.uidnext, counters.modseq.0
        )?;
    }
    for name in list.subscriptions() {
        writeln!(out, "{name:?} is subscribed")?;
    }
    for gone in list.tombstones() {
        match &gone.renamed_to {
            Some(to) => {
                writeln!(out, "{:?} ({}) became {to:?} at {}", gone.name, gone.guid, gone.time)?
            }
            None => writeln!(out, "{:?} ({}) was deleted at {}", gone.name, gone.guid, gone.time)?,
        }
    }
    Ok(())
}

fn dump_threads(file: &[u8], out: &mut impl Write) -> Result<(), Failure> {
    let header = index_format::threads::Header::parse(file)?;
    writeln!(out, "threads of mailbox {}, fingerprints of {}", header.mailbox, header.owner)?;
    let mut blocks = Blocks::new(file);
    loop {
        let (at, mut lines) = (blocks.at(), Vec::new());
        let block = blocks.next(&mut |message| {
            let short = |print: &u128| format!("{:08x}", print >> 96);
            let references: Vec<String> = message.references.iter().map(short).collect();
            lines.push(format!(
                "  UID {}: id {}, subject {}{}, sent {}, came {}, refers to [{}]",
                message.uid.0,
                short(&message.id),
                short(&message.subject),
                if message.is_reply { " (a reply)" } else { "" },
                message.sent,
                message.came,
                references.join(" ")
            ));
        });
        match block {
            None => return Ok(()),
            Some(Ok(())) => writeln!(out, "block at {at}, {} messages", lines.len())?,
            Some(Err(error)) => {
                writeln!(out, "nothing from byte {at} on counts: {error}")?;
                return Ok(());
            }
        }
        for line in lines {
            writeln!(out, "{line}")?;
        }
    }
}

fn dump_cache(file: &[u8], out: &mut impl Write) -> Result<(), Failure> {
    // The header first, for its words when it is damaged.
    let header = index_format::cache::Header::parse(file)?;
    let Some(cache) = CacheFile::parse(file) else { return Err(Failure::Unknown) };
    let last = header.first.0.saturating_add(header.span.saturating_sub(1));
    writeln!(
        out,
        "cache of {}, map ids {} to {last}, {} rows",
        header.owner,
        header.first.0,
        cache.index().len()
    )?;
    for (map_id, guid, place) in cache.index().iter() {
        writeln!(out, "{:>10}  map id {}, GUID {}…", place.start, map_id.0, hex(&guid))?;
        for (field, value) in Fields::new(cache.bytes_of(place)) {
            if let Field::HeaderField(name) = field {
                write!(out, "            {}", String::from_utf8_lossy(name))?;
            } else {
                write!(out, "            {field:?}")?;
            }
            writeln!(out, ": {:?}", String::from_utf8_lossy(value))?;
        }
    }
    let rest = file.len() as u64 - cache.end();
    writeln!(out, "{:>10}  the end; {rest} bytes behind it do not count", cache.end())?;
    Ok(())
}

fn dump_journal(file: &[u8], out: &mut impl Write) -> Result<(), Failure> {
    let header = journal::Header::parse(file)?;
    writeln!(
        out,
        "journal of {}, segment {}, epoch {}",
        header.store, header.segment, header.epoch
    )?;
    match header.previous {
        Some(before) => {
            writeln!(out, "  segment {} before it ends at byte {}", before.segment, before.end)?
        }
        None => writeln!(out, "  the first segment")?,
    }
    let mut frames = journal::Frames::new(file, &header, None);
    for frame in frames.by_ref() {
        writeln!(
            out,
            "{:>10}  record {}, {} bytes",
            frame.start,
            frame.number,
            frame.end - frame.start
        )?;
        match journal::Record::decode(frame.payload, frame.start) {
            Ok(record) => record_parts(&record, out)?,
            Err(error) => writeln!(out, "            cannot be read: {error}")?,
        }
    }
    writeln!(
        out,
        "{:>10}  the end ({:?})",
        frames.offset(),
        frames.end().unwrap_or(journal::End::Clean)
    )?;
    Ok(())
}

fn record_parts(record: &journal::Record<'_>, out: &mut impl Write) -> io::Result<()> {
    for part in &record.parts {
        write!(out, "            {:?}: ", String::from_utf8_lossy(part.account))?;
        match part.target {
            Target::Container { file, offset, head, body, tail } => {
                let len = body
                    .and_then(|index| record.bodies.get(index as usize))
                    .map_or(0, |body| body.len());
                let total = head.len() + len + tail.len();
                writeln!(out, "container {file} from byte {offset}: {total} bytes, body {body:?}")?;
            }
            Target::Map { transaction, payload } => {
                writeln!(out, "map transaction {transaction}: {}", hex(payload))?
            }
            Target::List { transaction, payload } => {
                writeln!(out, "list transaction {transaction}: {}", hex(payload))?
            }
            Target::Mailbox { guid, transaction, payload } => {
                writeln!(out, "mailbox {guid} transaction {transaction}: {}", hex(payload))?;
            }
        }
    }
    for (index, body) in record.bodies.iter().enumerate() {
        writeln!(out, "            body {index}: {} bytes", body.len())?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().take(64).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > 64 { format!("{digits}… ({} bytes)", bytes.len()) } else { digits }
}
