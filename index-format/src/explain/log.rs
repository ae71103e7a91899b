//! A log: header, frames, where it ends, and what stands behind that.

use super::{Teller, counted};
use crate::log::{EndKind, Frame, Frames, Header, scan_after};
use std::fmt;

pub(super) fn explain(file: &[u8], out: &mut Teller<'_>) -> fmt::Result {
    let header = match Header::parse(file) {
        Ok(header) => header,
        Err(error) => return without_header(file, &error, out),
    };
    let Header { kind, server, owner, file: number, previous, first_transaction, .. } = &header;
    let whose = match kind {
        crate::log::Kind::Mailbox => format!("log of mailbox {owner}"),
        crate::log::Kind::Map => format!("log of the map of {owner}"),
        crate::log::Kind::List => format!("log of the mailbox list of {owner}"),
    };
    out.file(format!("{whose}, file {number}, server {server}"))?;
    out.file(match previous {
        Some(previous) => {
            format!("  goes on from file {}, which ends at byte {}", previous.file, previous.end)
        }
        None => "  the first file".to_owned(),
    })?;
    let Header { modseq, uidnext, uidvalidity, epoch, flags, .. } = &header;
    out.file(format!(
        "  {first_transaction} transactions before it; UIDNEXT {uidnext}, UIDVALIDITY {uidvalidity}"
    ))?;
    out.file(format!(
        "  modseq {} (t {}), epoch {epoch}, unknown flags {flags:#x}",
        modseq.0,
        modseq.t()
    ))?;
    let mut frames = Frames::new(file, Header::LEN as u64, header.seed);
    for (number, frame) in (*first_transaction..).zip(frames.by_ref()) {
        out.part(
            frame.start,
            frame.end - frame.start,
            format!("transaction {number}, {} bytes", frame.end - frame.start),
        )?;
        out.payload(header.kind, frame.payload, frame.start)?;
    }
    let end = frames.end();
    match end.kind {
        EndKind::Clean => out.end(end.at, "the end"),
        EndKind::Sealed => {
            out.end(end.at, "sealed: goes on in the next file")?;
            behind(file, end.at, &header, out)
        }
        EndKind::Torn(torn) => {
            let first = scan_after(file, end.at, header.seed).next();
            let until = first.map_or(file.len() as u64, |frame| frame.start);
            let len = until - end.at;
            let why = torn.words();
            match first {
                None => out.end(
                    end.at,
                    format!("torn: {why}; {} to the end of the file do not count, the log goes on in its next file", counted(len, "byte")),
                )?,
                Some(_) => out.damage(
                    end.at,
                    len,
                    format!("{why}; the log's file ends here for its readers, {} before the next whole frame", counted(len, "byte")),
                )?,
            }
            behind(file, end.at, &header, out)
        }
    }
}

/// The frames that count for nobody.
fn behind(file: &[u8], at: u64, header: &Header, out: &mut Teller<'_>) -> fmt::Result {
    let mut end = None;
    for frame in scan_after(file, at, header.seed) {
        if let Some(end) = end.filter(|&end| end < frame.start) {
            let len = frame.start - end;
            out.damage(end, len, format!("{} that are no frame", counted(len, "byte")))?;
        }
        ignored(frame, header, out)?;
        end = Some(frame.end);
    }
    let Some(end) = end else { return Ok(()) };
    let rest = Frames::new(file, end, header.seed).end();
    match rest.kind {
        EndKind::Clean => out.end(end, "the end"),
        EndKind::Sealed => out.end(end, "sealed: goes on in the next file"),
        EndKind::Torn(_) => {
            let len = file.len() as u64 - end;
            out.damage(end, len, format!("{} that are no frame", counted(len, "byte")))
        }
    }
}

fn ignored(frame: Frame<'_>, header: &Header, out: &mut Teller<'_>) -> fmt::Result {
    let len = frame.end - frame.start;
    out.ignored(frame.start, len, format!("a whole transaction behind the end, {len} bytes"))?;
    out.payload(header.kind, frame.payload, frame.start)
}

/// What can still be said: the seed, where it is whole, finds the frames.
fn without_header(file: &[u8], error: &crate::Error, out: &mut Teller<'_>) -> fmt::Result {
    let len = Header::LEN.min(file.len()) as u64;
    out.damage(0, len, format!("the header: {error}; nothing in this file counts"))?;
    let Some(seed) = file.get(SEED_AT..).and_then(|rest| rest.first_chunk()) else { return Ok(()) };
    let frames = scan_after(file, Header::LEN as u64, u64::from_le_bytes(*seed)).count() as u64;
    out.file(match frames {
        0 => "  no frame checks out under the seed that stands there".to_owned(),
        n => format!("  {} under the seed that stands there", counted(n, "whole frame")),
    })
}

/// Where a header has the seed.
const SEED_AT: usize = 76;
