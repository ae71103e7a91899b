//! A cache file: its rows, and where it stops to count.

use super::{Teller, counted, hex, text};
use crate::cache::sent::SentFile;
use crate::cache::{CacheFile, Field, Fields, Group, Header};
use std::fmt;

pub(super) fn explain(file: &[u8], out: &mut Teller<'_>) -> fmt::Result {
    let cache = match Header::parse(file) {
        Ok(_) => CacheFile::parse(file),
        Err(error) => {
            let len = Header::LEN.min(file.len()) as u64;
            return out.damage(
                0,
                len,
                format!(
                    "the header of a cache: {error}; the file counts as empty and is made anew"
                ),
            );
        }
    };
    let Some(cache) = cache else { return Ok(()) };
    let header = cache.index().header();
    let last = header.first.0.saturating_add(header.span.saturating_sub(1));
    let (owner, first, rows) = (header.owner, header.first.0, cache.index().len());
    out.file(format!("cache of {owner}, map ids {first} to {last}"))?;
    let kinds =
        ["envelope", "structure", "header", "addresses", "subject", "sent date"].into_iter();
    let kept = Group::KINDS.into_iter().zip(kinds).filter(|(kind, _)| header.group.contains(*kind));
    let kept: Vec<&str> = kept.map(|(_, name)| name).collect();
    out.file(format!("  kept together: {}", kept.join(", ")))?;
    if !header.names.is_empty() {
        let names = String::from_utf8_lossy(&header.names);
        out.file(format!("  header fields: {}", names.trim_end().replace('\n', ", ")))?;
    }
    if header.group == Group::SENT {
        return sent(file, header, out);
    }
    out.file(format!("  {rows} rows"))?;
    for (map_id, guid, place) in cache.index().iter() {
        let guid = hex(&guid);
        out.part(place.start, place.len.into(), format!("map id {}, GUID {guid}…", map_id.0))?;
        for (field, value) in Fields::new(cache.bytes_of(place)) {
            let name = if let Field::HeaderField(name) = field {
                String::from_utf8_lossy(name).into_owned()
            } else {
                format!("{field:?}")
            };
            out.detail(format!("{name}: {}", text(value)))?;
        }
    }
    match file.len() as u64 - cache.end() {
        0 => out.end(cache.end(), "the end"),
        rest => out.damage(
            cache.end(),
            rest,
            format!(
                "no block begins here; {} to the end of the file do not count, their messages are read again",
                counted(rest, "byte")
            ),
        ),
    }
}

/// Sent dates, which stand in columns.
fn sent(file: &[u8], header: &Header, out: &mut Teller<'_>) -> fmt::Result {
    // The maker is in each block; the first one's is as good as another's.
    let maker = file.get(header.len() + 2..).and_then(<[u8]>::first_chunk);
    let maker = maker.map_or(0, |bytes| u16::from_le_bytes(*bytes));
    let Some(read) = SentFile::parse(file, maker) else { return Ok(()) };
    out.file(format!("  {} dates in {} blocks, by maker {maker}", read.rows.len(), read.blocks))?;
    for row in &read.rows {
        let date =
            row.at.map_or_else(|| "no date".to_owned(), |at| format!("{at} seconds since 1970"));
        out.file(format!("map id {}, GUID {}…: {date}", row.map_id.0, hex(&row.guid)))?;
    }
    match file.len() as u64 - read.end {
        0 => out.end(read.end, "the end"),
        rest => out.damage(
            read.end,
            rest,
            format!(
                "no block begins here; {} to the end of the file do not count",
                counted(rest, "byte")
            ),
        ),
    }
}
