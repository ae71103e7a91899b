//! A segment of the journal: its records with their parts.

use super::{Teller, counted};
use crate::journal::{End, Frames, Header, Record, Target};
use crate::log::Kind;
use std::fmt;

pub(super) fn explain(file: &[u8], out: &mut Teller<'_>) -> fmt::Result {
    let header = match Header::parse(file) {
        Ok(header) => header,
        Err(error) => {
            let len = Header::LEN.min(file.len()) as u64;
            let text =
                format!("the header of a segment of the journal: {error}; none of it counts");
            return out.damage(0, len, text);
        }
    };
    out.file(format!(
        "journal of {}, segment {}, epoch {}",
        header.store, header.segment, header.epoch
    ))?;
    out.file(match header.previous {
        Some(before) => {
            format!("  segment {} before it ends at byte {}", before.segment, before.end)
        }
        None => "  the first segment".to_owned(),
    })?;
    out.file(format!("  {} records before it", header.first_record))?;
    let mut frames = Frames::new(file, &header, None);
    for frame in frames.by_ref() {
        let len = frame.end - frame.start;
        out.part(frame.start, len, format!("record {}, {len} bytes", frame.number))?;
        match Record::decode(frame.payload, frame.start) {
            Ok(record) => parts(&record, out)?,
            Err(error) => out.detail(format!("cannot be read: {error}"))?,
        }
    }
    let at = frames.offset();
    match frames.end() {
        Some(End::Torn) => out.end(
            at,
            format!(
                "torn: what stands here is no record; {} to the end of the file do not count (the next segment says where this one ends; where that is further on, records are missing)",
                counted((file.len() as u64).saturating_sub(at), "byte")
            ),
        ),
        Some(End::Clean) | None => out.end(at, "the end"),
    }
}

fn parts(record: &Record<'_>, out: &mut Teller<'_>) -> fmt::Result {
    for part in &record.parts {
        let account = String::from_utf8_lossy(part.account);
        match part.target {
            Target::Container { file, offset, head, body, tail } => {
                let len = body
                    .and_then(|index| record.bodies.get(index as usize))
                    .map_or(0, |body| body.len());
                let total = head.len() + len + tail.len();
                let body = body.map(|body| format!(", body {body}")).unwrap_or_default();
                out.detail(format!(
                    "{account:?}: container {file} from byte {offset}: {total} bytes{body}"
                ))?;
            }
            Target::Map { transaction, payload } => {
                out.detail(format!("{account:?}: map transaction {transaction}"))?;
                out.payload(Kind::Map, payload, 0)?;
            }
            Target::List { transaction, payload } => {
                out.detail(format!("{account:?}: list transaction {transaction}"))?;
                out.payload(Kind::List, payload, 0)?;
            }
            Target::Mailbox { guid, transaction, payload } => {
                out.detail(format!("{account:?}: mailbox {guid} transaction {transaction}"))?;
                out.payload(Kind::Mailbox, payload, 0)?;
            }
        }
    }
    for (index, body) in record.bodies.iter().enumerate() {
        out.detail(format!("body {index}: {} bytes", body.len()))?;
    }
    Ok(())
}
