//! The files of this crate in words, one line for each thing found; damage is pointed at by its offset.

use core::fmt::{self, Write};

use crate::attachment::{Assembly, CutOut, LineEnding};
use crate::compress::Decoder;
use crate::container::{Compression, Found, Record, SavedFlags, walk};
use crate::map::{Added, IdSet, Map, Op, SNAPSHOT_MAGIC, Snapshot, Transaction};
use crate::{DICTIONARY_MAGIC, Dictionary, Error};

/// Explains a container, a `map.index` or a dictionary; what is none of them is taken for a damaged container.
///
/// Compressed messages are decoded to see whether they can be, unless they need a dictionary.
///
/// # Errors
/// Those of `out` alone.
pub fn explain(bytes: &[u8], out: &mut dyn Write) -> fmt::Result {
    if bytes.starts_with(&SNAPSHOT_MAGIC) {
        match Snapshot::parse(bytes) {
            Ok(snapshot) => snapshot_lines(out, &snapshot),
            Err(error) => writeln!(out, "a map snapshot, DAMAGED: {error}"),
        }
    } else if bytes.starts_with(&DICTIONARY_MAGIC) {
        match Dictionary::parse(bytes) {
            Ok(dictionary) => dictionary_lines(out, &dictionary),
            Err(error) => writeln!(out, "a dictionary, DAMAGED: {error}"),
        }
    } else {
        container_lines(out, bytes)
    }
}

/// Explains the payload of a frame of `map.log`: a transaction of the map, a line for each step.
///
/// # Errors
/// Those of `out` alone.
pub fn explain_transaction(payload: &[u8], out: &mut dyn Write) -> fmt::Result {
    let transaction = match Transaction::decode(payload) {
        Ok(transaction) => transaction,
        Err(error) => return writeln!(out, "a transaction of the map, DAMAGED: {error}"),
    };
    for op in &transaction.ops {
        match op {
            Op::Add { anchor, message } => add_lines(out, *anchor, message)?,
            Op::RefsAdd(ids) => writeln!(out, "one reference more: {}", ranges(ids))?,
            Op::RefsRemove(ids) => writeln!(out, "one reference less: {}", ranges(ids))?,
            Op::Expunge { ids, gone } => {
                let [a, b, c] = gone.mailbox;
                writeln!(
                    out,
                    "one reference less: {}, expunged at {} (seconds since 1970) from the mailbox {a:02x}{b:02x}{c:02x}…",
                    ranges(ids),
                    gone.time
                )?;
            }
            Op::Move(moved) => {
                for moved in moved {
                    writeln!(
                        out,
                        "move {} to container {} at {}, {} bytes",
                        moved.id, moved.container, moved.offset, moved.record_len
                    )?;
                }
            }
            Op::Free(ids) => writeln!(out, "free: {}", ranges(ids))?,
            // The seed is a secret.
            Op::ContainerOpen { number, .. } => writeln!(out, "open container {number}")?,
            Op::ContainerSeal { number } => writeln!(out, "seal container {number}")?,
            Op::ListFloor(least) => {
                writeln!(out, "the mailbox list has {least} transactions at least")?;
            }
            Op::ContainerDrop { number } => writeln!(out, "drop container {number}")?,
        }
    }
    Ok(())
}

fn add_lines(out: &mut dyn Write, anchor: u8, message: &Added) -> fmt::Result {
    let Added { guid, container, offset, record_len, size, refs, extra } = message;
    writeln!(
        out,
        "add {guid} as the id that ends in {anchor:02x}: {size} bytes, {refs} references, \
         container {container} at {offset}, {record_len} bytes"
    )?;
    extra.attachments().unwrap_or_default().iter().try_for_each(|part| part_line(out, part))
}

fn ranges(ids: &IdSet) -> String {
    let words = ids.ranges().map(|range| match (range.start(), range.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first} to {last}"),
    });
    words.collect::<Vec<String>>().join(", ")
}

fn container_lines(out: &mut dyn Write, file: &[u8]) -> fmt::Result {
    let (mut records, mut damaged) = (0, 0);
    for found in walk(file) {
        match found {
            Found::Header(header) => {
                let (number, owner) = (header.number, header.owner);
                writeln!(out, "container {number} (c.{number:08x}) of {owner}")?;
                writeln!(
                    out,
                    "  made at {} (seconds since 1970), flags {:#x}",
                    header.created, header.flags
                )?;
            }
            Found::Record { at, record } => {
                let right = record_lines(out, at, &record)?;
                records += u64::from(right);
                damaged += u64::from(!right);
            }
            Found::Unwritten { range } => {
                let len = range.end - range.start;
                writeln!(out, "at {}: {len} zero bytes, never written", range.start)?;
            }
            Found::Damage { range, error } => {
                damaged += 1;
                let (at, len) = (range.start, range.end - range.start);
                writeln!(out, "at {at}: {len} bytes DAMAGED{}: {error}", place(at, &error))?;
            }
        }
    }
    writeln!(out, "whole records: {records}, damaged places: {damaged}, bytes: {}", file.len())
}

/// Where in the file an error is that counts from `start`, if that is another place.
fn place(start: u64, error: &Error) -> String {
    match error.at() {
        Some(at) if at > 0 => format!(", from {} on", start.saturating_add(at)),
        Some(_) | None => String::new(),
    }
}

/// Gives whether its text is right, as far as that is known here.
fn record_lines(out: &mut dyn Write, at: u64, record: &Record<'_>) -> Result<bool, fmt::Error> {
    let (head, apart) = (record.head(), record.head().apart());
    let (len, size) = (record.len(), record.message_len());
    let what = if head.codec().is_apart() { " of skeleton" } else { "" };
    writeln!(out, "at {at}: message {}, {size} bytes{what} in a record of {len}", head.guid())?;
    writeln!(
        out,
        "  received {}, saved to {:?} ({})",
        head.received(),
        head.mailbox_name(),
        head.mailbox()
    )?;
    let names = [
        (SavedFlags::ANSWERED, "\\Answered"),
        (SavedFlags::FLAGGED, "\\Flagged"),
        (SavedFlags::DELETED, "\\Deleted"),
        (SavedFlags::SEEN, "\\Seen"),
        (SavedFlags::DRAFT, "\\Draft"),
    ];
    let set = names.into_iter().filter(|(bit, _)| head.flags().0 & bit != 0).map(|(_, name)| name);
    let flags: Vec<String> =
        set.map(str::to_owned).chain(head.keywords().map(|word| format!("{word:?}"))).collect();
    if !flags.is_empty() {
        writeln!(out, "  flags then: {}", flags.join(" "))?;
    }
    let right = stored_lines(out, at, record)?;
    apart.iter().try_for_each(|part| part_line(out, part))?;
    if head.codec().is_apart() {
        match Assembly::of_skeleton(&apart, size) {
            Ok(whole) => writeln!(out, "  the message has {} bytes", whole.len())?,
            Err(error) => {
                writeln!(out, "  DAMAGED: {error}")?;
                return Ok(false);
            }
        }
    }
    Ok(right)
}

fn stored_lines(out: &mut dyn Write, at: u64, record: &Record<'_>) -> Result<bool, fmt::Error> {
    let (head, chunks) = (record.head(), record.chunks().count());
    let size = head.chunk_size();
    let in_chunks =
        if size > 0 { format!(" in chunks of {size} bytes of text") } else { String::new() };
    match head.compression() {
        Ok(Compression::None) if size == 0 => Ok(true),
        Ok(Compression::None) => {
            writeln!(out, "  in {chunks} chunks of up to {size} bytes")?;
            Ok(true)
        }
        Ok(Compression::Zstd { dictionary }) => {
            let stored: usize = record.chunks().map(<[u8]>::len).sum();
            let with = if dictionary > 0 {
                format!(" with dictionary {dictionary}")
            } else {
                String::new()
            };
            writeln!(out, "  compressed by zstd{with}{in_chunks}: {stored} bytes")?;
            match Decoder::new().text(record) {
                // Neither is wrong with the record: it is this decoder that lacks something.
                Ok(_) | Err(Error::Dictionary { .. } | Error::Codec { .. }) => Ok(true),
                Err(error) => {
                    writeln!(out, "  DAMAGED{}: {error}", place(at, &error))?;
                    Ok(false)
                }
            }
        }
        Err(error) => {
            writeln!(out, "  {error}")?;
            Ok(true)
        }
    }
}

fn part_line(out: &mut dyn Write, part: &CutOut) -> fmt::Result {
    let CutOut { offset, hash, len, lines } = part;
    write!(out, "  apart, at {offset} of the skeleton: {len} bytes, {hash}, base64 in ")?;
    match (lines.len, lines.ending) {
        (0, _) => writeln!(out, "one line"),
        (len, LineEnding::CrLf) => writeln!(out, "lines of {len}, CR LF"),
        (len, LineEnding::Lf) => writeln!(out, "lines of {len}, LF"),
    }
}

fn dictionary_lines(out: &mut dyn Write, dictionary: &Dictionary) -> fmt::Result {
    let Dictionary { number, owner, created, content } = dictionary;
    writeln!(out, "dictionary {number} (d.{number:08x}) of {owner}")?;
    writeln!(out, "  made at {created} (seconds since 1970), {} bytes", content.len())
}

fn snapshot_lines(out: &mut dyn Write, snapshot: &Snapshot<'_>) -> fmt::Result {
    let position = snapshot.position();
    let (messages, transactions) = (snapshot.messages(), snapshot.transactions());
    writeln!(out, "map snapshot: {messages} messages after {transactions} transactions")?;
    writeln!(out, "  the log goes on in file {} at byte {}", position.file, position.offset)?;
    for (name, width, len) in snapshot.sections() {
        writeln!(out, "  section {name}: {len} bytes, {width} a value")?;
    }
    match snapshot.load() {
        Ok(map) => map_lines(out, &map),
        Err(error) => writeln!(out, "DAMAGED: {error}"),
    }
}

fn map_lines(out: &mut dyn Write, map: &Map) -> fmt::Result {
    writeln!(out, "next map id {}, next container {}", map.next_id(), map.next_container())?;
    for (number, state) in map.containers() {
        let sealed = if state.sealed { ", sealed" } else { "" };
        writeln!(
            out,
            "container {number}: {} messages, {} of {} bytes live, {} without references{sealed}",
            state.messages,
            state.live_bytes,
            state.end,
            state.held_bytes - state.live_bytes,
        )?;
    }
    for (id, entry) in map.iter() {
        let (size, refs, container, offset) =
            (entry.size, entry.refs, entry.container, entry.offset);
        writeln!(
            out,
            "{id}: {} {size} bytes, {refs} references, container {container} at {offset}",
            entry.guid
        )?;
        let parts = map.extra(id).and_then(|extra| extra.attachments().ok()).unwrap_or_default();
        parts.iter().try_for_each(|part| part_line(out, part))?;
    }
    Ok(())
}
