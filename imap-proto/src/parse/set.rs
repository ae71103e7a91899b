//! Sequence sets (RFC 3501 §9 `sequence-set`, RFC 5182 `$`).

use super::{Cursor, Error};
use crate::types::UidSet;
use crate::view::View;

/// A set of numbers as the client wrote it, kept as ranges: work is bounded by what was written and by the mailbox,
/// never by the numbers in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Numbers {
    /// Ranges as they came; 0 is `*`.
    Ranges(Vec<(u32, u32)>),
    /// `$`: what the last SEARCH saved (RFC 5182 §2.1).
    Saved,
}

impl Numbers {
    /// Reads a set.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        if cursor.skip(b"$") {
            return Ok(Self::Saved);
        }
        let mut ranges = Vec::new();
        loop {
            let first = number(cursor)?;
            let last = if cursor.skip(b":") { number(cursor)? } else { first };
            ranges.push((first, last));
            if !cursor.skip(b",") {
                return Ok(Self::Ranges(ranges));
            }
        }
    }

    /// The messages of the view that the set names.
    ///
    /// By sequence number a message that doesn't exist is an error, `*` in an empty mailbox included (RFC 9051 §9,
    /// `seq-number`); by UID it is nothing (RFC 3501 §6.4.8).
    pub(crate) fn resolve(
        &self,
        view: &View,
        saved: &UidSet,
        by_uid: bool,
    ) -> Result<UidSet, Error> {
        let ranges = match self {
            Self::Saved => return Ok(view.clip(saved)),
            Self::Ranges(ranges) => ranges,
        };
        let star = if by_uid { view.last().map_or(0, |uid| uid.0) } else { view.len() };
        let mut plain: Vec<(u32, u32)> = ranges
            .iter()
            .map(|&(first, last)| {
                (if first == 0 { star } else { first }, if last == 0 { star } else { last })
            })
            .map(|(first, last)| (first.min(last), first.max(last)))
            .collect();
        if by_uid {
            plain.sort_unstable();
            return Ok(view.clip(&plain.into_iter().collect()));
        }
        if plain.iter().any(|&(first, last)| first == 0 || last > view.len()) {
            return Err(Error::NoMessage);
        }
        plain.sort_unstable();
        plain.dedup_by(|next, kept| {
            let touches = next.0 <= kept.1.saturating_add(1);
            kept.1 = if touches { kept.1.max(next.1) } else { kept.1 };
            touches
        });
        Ok(view.by_seq(&plain))
    }
}

/// `seq-number`: not zero, or `*`, which is 0 here.
fn number(cursor: &mut Cursor<'_>) -> Result<u32, Error> {
    if cursor.skip(b"*") {
        return Ok(0);
    }
    match cursor.number().map_err(|_| Error::Expected("a message number"))? {
        0 => Err(Error::Expected("a message number above 0")),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str, uids: &[(u32, u32)], by_uid: bool) -> Result<Vec<(u32, u32)>, Error> {
        let view = View::new(&uids.iter().copied().collect());
        let mut cursor = Cursor::new(text.as_bytes());
        let numbers = Numbers::parse(&mut cursor)?;
        cursor.end()?;
        let set = numbers.resolve(&view, &UidSet::new(), by_uid)?;
        Ok(set.ranges().map(|(first, last)| (first.0, last.0)).collect())
    }

    #[test]
    fn sets_mean_messages() {
        let uids = [(5, 7), (10, 10), (20, 25)];
        assert_eq!(resolve("1:*", &uids, false), Ok(vec![(5, 7), (10, 10), (20, 25)]));
        assert_eq!(resolve("4,3:2,*", &uids, false), Ok(vec![(6, 7), (10, 10), (25, 25)]));
        assert_eq!(resolve("6:21", &uids, true), Ok(vec![(6, 7), (10, 10), (20, 21)]));
        assert_eq!(resolve("30:*", &uids, true), Ok(vec![(25, 25)]));
        assert_eq!(resolve("26:30", &uids, true), Ok(vec![]));
        assert_eq!(resolve("11", &uids, false), Err(Error::NoMessage));
        for wrong in ["", "0", "1:", ":1", "1,", "4294967296", "-1", "1:2:3", "*:0", "a"] {
            assert!(resolve(wrong, &uids, true).is_err(), "{wrong}");
        }
    }

    #[test]
    fn row_46_sets_without_end() {
        assert_eq!(resolve("1:4294967295", &[(1, 3)], true), Ok(vec![(1, 3)]));
        assert_eq!(resolve("4294967295:1", &[(1, 3)], true), Ok(vec![(1, 3)]));
        assert_eq!(resolve("1:4294967295", &[(1, 3)], false), Err(Error::NoMessage));
        assert_eq!(resolve("*:*", &[], true), Ok(vec![]));
        assert_eq!(resolve("1:*", &[], true), Ok(vec![]));
        assert_eq!(resolve("*:*", &[], false), Err(Error::NoMessage));
        let many = vec!["1:4294967295"; 100_000].join(",");
        assert_eq!(resolve(&many, &[(1, 3), (9, 9)], true), Ok(vec![(1, 3), (9, 9)]));
        let many = (1..=100_000).rev().map(|n: u32| n.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(resolve(&many, &[(1, 100_000)], false), Ok(vec![(1, 100_000)]));
    }
}
