//! A cache file: its rows, and where it stops to count.

use super::{Teller, counted, hex, text};
use crate::cache::{CacheFile, Field, Fields, Header};
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
    out.file(format!("cache of {owner}, map ids {first} to {last}, {rows} rows"))?;
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
