//! Moving a record to another container.

use super::{FIXED_HEAD_LEN, Record, TRAILER_LEN};
use crate::{Error, Seed};

/// Makes the record that fills `bytes`, of a container with the seed `from`, one of a container with the seed `to`. All
/// its checksums are looked at; its length stays.
///
/// # Errors
/// As [`Record::parse`]; the bytes are as they were then.
pub fn reseed(bytes: &mut [u8], from: Seed, to: Seed) -> Result<(), Error> {
    Record::parse(bytes, from)?;
    // The two seeded checksums, each at the end of what it covers: the seed is added to them without a carry.
    let change = from.0 ^ to.0;
    let trailer = bytes.len() - TRAILER_LEN;
    for end in [FIXED_HEAD_LEN, trailer + TRAILER_LEN] {
        if let Some(sum) = bytes.get_mut(..end).and_then(<[u8]>::last_chunk_mut::<4>) {
            *sum = (u32::from_le_bytes(*sum) ^ change).to_le_bytes();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::RecordHead;
    use super::*;
    use crate::Content;

    #[test]
    fn a_moved_record_is_the_one_that_would_have_been_written_there() {
        let record = |seed| {
            let head = RecordHead { mailbox_name: "INBOX", keywords: &["k"], ..Default::default() };
            let frame = head.frame(seed, Content::of(b"text")).unwrap();
            [&frame.head[..], b"text", &frame.tail].concat()
        };
        let (from, to) = (Seed(0x1234_5678), Seed(0x9abc_def0));
        let mut moved = record(from);
        reseed(&mut moved, from, to).unwrap();
        assert_eq!(moved, record(to));
        let before = moved.clone();
        assert!(reseed(&mut moved, from, to).is_err(), "it is no record of that container");
        assert_eq!(moved, before);
    }
}
