//! Sent dates of a stretch of messages, in memory as columns.

use index_format::MapId;
use index_format::cache::sent::{Sent, SentFile};

/// What a place has that nothing is known of, and one of a message that has no date.
const UNKNOWN: i64 = i64::MAX;
const NO_DATE: i64 = i64::MIN;

/// The dates of a file.
pub(super) struct Dates {
    first: u32,
    dates: Vec<i64>,
    guids: Vec<[u8; 4]>,
    /// Blocks of the file.
    pub(super) blocks: usize,
}

impl Dates {
    pub(super) fn new(file: &SentFile) -> Self {
        let first = file.header.first.0;
        let slot = |row: &Sent| row.map_id.0.saturating_sub(first) as usize;
        let len = file.rows.iter().map(slot).max().map_or(0, |slot| slot + 1);
        let mut dates = Dates {
            first,
            dates: vec![UNKNOWN; len],
            guids: vec![[0; 4]; len],
            blocks: file.blocks,
        };
        for row in &file.rows {
            let slot = slot(row);
            let at = match row.at {
                // Dates at the end of time stand for something else: they are read from the message.
                Some(UNKNOWN | NO_DATE) => continue,
                Some(at) => at,
                None => NO_DATE,
            };
            if let (Some(date), Some(guid)) = (dates.dates.get_mut(slot), dates.guids.get_mut(slot))
            {
                (*date, *guid) = (at, row.guid);
            }
        }
        dates
    }

    /// What a message says, if that is known.
    pub(super) fn get(&self, id: u32, guid: [u8; 4]) -> Option<Option<i64>> {
        let slot = id.checked_sub(self.first)? as usize;
        let date = *self.dates.get(slot)?;
        if date == UNKNOWN || *self.guids.get(slot)? != guid {
            return None;
        }
        Some((date != NO_DATE).then_some(date))
    }

    /// All that is known, by id.
    pub(super) fn rows(&self) -> impl Iterator<Item = Sent> + '_ {
        let rows = (self.first..).zip(self.dates.iter().zip(&self.guids));
        rows.filter(|(_, (date, _))| **date != UNKNOWN).map(|(id, (&date, &guid))| Sent {
            map_id: MapId(id),
            guid,
            at: (date != NO_DATE).then_some(date),
        })
    }

    /// Bytes of memory, about.
    pub(super) fn cost(&self) -> usize {
        12 * self.dates.len()
    }
}
