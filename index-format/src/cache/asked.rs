//! What is asked of the messages of each mailbox, and how often: by it the cache is laid out (`docs/formats/cache.md`).
//!
//! As disposable as the rest. Read as far as it makes sense; written whole.

use super::{Group, NAMES_MAX};
use crate::checksum::crc;
use crate::wire::{Put, Reader};
use crate::{Error, Guid};

/// One way in which a mailbox is asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern {
    /// The mailbox.
    pub mailbox: Guid,
    /// What is looked at.
    pub group: Group,
    /// The header fields, as in [`super::Header::names`]; nothing for all or for none.
    pub names: Vec<u8>,
    /// How often lately, in sixty-fourths.
    pub count: u32,
}

/// The bytes of a file.
#[must_use]
pub fn write(patterns: &[Pattern], owner: Guid) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&owner.0);
    out.varint(patterns.len() as u64);
    for Pattern { mailbox, group, names, count } in patterns {
        out.extend_from_slice(&mailbox.0);
        out.extend_from_slice(&group.0.to_le_bytes());
        out.counted(names.get(..NAMES_MAX).unwrap_or(names));
        out.varint((*count).into());
    }
    let sum = crc(&out);
    out.extend_from_slice(&sum.to_le_bytes());
    out
}

/// The patterns in a file; none when it does not check out, or is another's.
#[must_use]
pub fn read(file: &[u8], owner: Guid) -> Vec<Pattern> {
    parse(file, owner).unwrap_or_default()
}

fn parse(file: &[u8], owner: Guid) -> Result<Vec<Pattern>, Error> {
    let (body, sum) = file.split_last_chunk::<4>().unwrap_or((&[], &[0; 4]));
    let mut reader = Reader::new(body, 0);
    let found: [u8; 8] = reader.array("magic")?;
    if found != MAGIC {
        return Err(Error::Magic { what: "what is asked", expected: MAGIC, found });
    }
    let (found, computed) = (u32::from_le_bytes(*sum), crc(body));
    if found != computed {
        return Err(Error::Checksum { what: "what is asked", at: 0, found, computed });
    }
    let is_own = Guid(reader.array("owner")?) == owner;
    let count = reader.count("patterns", LEAST)?;
    let mut patterns = Vec::with_capacity(count);
    for _ in 0..count {
        patterns.push(Pattern {
            mailbox: Guid(reader.array("mailbox")?),
            group: Group(reader.u16("group")?),
            names: reader.counted("names")?.to_vec(),
            count: reader.varint_u32("count")?,
        });
    }
    reader.end("what is asked")?;
    patterns.retain(|_| is_own);
    Ok(patterns)
}

const MAGIC: [u8; 8] = *b"LOFTask\x01";
/// The fewest bytes of a pattern: mailbox, group, no names, count.
const LEAST: u64 = 20;
