//! Explains a container or a `map.index` in words: `cargo run -p loft-dbox-format --example dump FILE`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use dbox_format::container::{Codec, Found, Record, SavedFlags, walk};
use dbox_format::map::{SNAPSHOT_MAGIC, Snapshot};

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: dump FILE   (a container, such as c.0000001f, or map.index)");
        return ExitCode::FAILURE;
    };
    match std::fs::read(&path) {
        // A closed pipe is the reader's way to say that it has seen enough.
        Ok(file) => match std::io::stdout().write_all(describe(&file).as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

/// The file in words, one line for each thing found.
pub(crate) fn describe(file: &[u8]) -> String {
    let mut out = String::new();
    let written = if file.starts_with(&SNAPSHOT_MAGIC) {
        match Snapshot::parse(file) {
            Ok(snapshot) => snapshot_lines(&mut out, &snapshot),
            Err(error) => writeln!(out, "a map snapshot, DAMAGED: {error}"),
        }
    } else {
        container_lines(&mut out, file)
    };
    written.expect("a string takes all that is written");
    out
}

fn container_lines(out: &mut String, file: &[u8]) -> std::fmt::Result {
    let (mut records, mut damaged) = (0, 0);
    for found in walk(file) {
        match found {
            Found::Header(header) => {
                writeln!(
                    out,
                    "container {} (c.{:08x}) of {}",
                    header.number, header.number, header.owner
                )?;
                writeln!(
                    out,
                    "  made at {} (seconds since 1970), flags {:#x}",
                    header.created, header.flags
                )?;
            }
            Found::Record { at, record } => {
                records += 1;
                record_lines(out, at, &record)?;
            }
            Found::Unwritten { range } => {
                writeln!(
                    out,
                    "at {}: {} zero bytes, never written",
                    range.start,
                    range.end - range.start
                )?;
            }
            Found::Damage { range, error } => {
                damaged += 1;
                writeln!(
                    out,
                    "at {}: {} bytes DAMAGED: {error}",
                    range.start,
                    range.end - range.start
                )?;
            }
        }
    }
    writeln!(out, "whole records: {records}, damaged places: {damaged}, bytes: {}", file.len())
}

fn record_lines(out: &mut String, at: u64, record: &Record<'_>) -> std::fmt::Result {
    let head = record.head();
    let (len, size) = (record.len(), record.message_len());
    writeln!(out, "at {at}: message {}, {size} bytes in a record of {len}", head.guid())?;
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
    match (head.codec(), head.chunk_size()) {
        (Codec::PLAIN, 0) => Ok(()),
        (Codec::PLAIN, size) => {
            writeln!(out, "  in {} chunks of up to {size} bytes", record.chunks().count())
        }
        (Codec(codec), _) => {
            writeln!(out, "  encoded with codec {codec}, which this version does not decode")
        }
    }
}

fn snapshot_lines(out: &mut String, snapshot: &Snapshot<'_>) -> std::fmt::Result {
    let position = snapshot.position();
    let (messages, transactions) = (snapshot.messages(), snapshot.transactions());
    writeln!(out, "map snapshot: {messages} messages after {transactions} transactions")?;
    writeln!(out, "  the log goes on in file {} at byte {}", position.file, position.offset)?;
    for (name, width, len) in snapshot.sections() {
        writeln!(out, "  section {name}: {len} bytes, {width} a value")?;
    }
    let map = match snapshot.load() {
        Ok(map) => map,
        Err(error) => return writeln!(out, "DAMAGED: {error}"),
    };
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
    }
    Ok(())
}
