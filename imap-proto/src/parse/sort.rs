//! SORT and THREAD (RFC 5256 §5, RFC 5957 §5), up to their search keys.

use super::{Cursor, Error};
use crate::mime::charset::Charset;
use crate::sort::{Criterion, Order, SortKey};
use crate::thread::Algorithm;

/// How many criteria count: as many as there are keys. One that comes again finds its messages equal.
const CRITERIA: usize = SortKey::NAMES.len();

/// `sort-criteria`
pub(crate) fn order(cursor: &mut Cursor<'_>) -> Result<Order, Error> {
    let mut order = Order::default();
    cursor.list(false, |cursor| {
        let reverse = cursor.skip(b"REVERSE ");
        let name = cursor.atom(CRITERIA_ALLOWED)?;
        let known =
            SortKey::NAMES.iter().find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name));
        let &(key, _) = known.ok_or(Error::Expected(CRITERIA_ALLOWED))?;
        if !order.0.iter().any(|before| before.key == key) {
            debug_assert!(order.0.len() < CRITERIA);
            order.0.push(Criterion { key, reverse });
        }
        Ok(())
    })?;
    Ok(order)
}

/// What else could have stood there, in the words of an answer.
const CRITERIA_ALLOWED: &str = "a sort criterion, after REVERSE or not: ARRIVAL, CC, DATE, DISPLAYFROM, DISPLAYTO, FROM, \
     SIZE, SUBJECT or TO";
const ALGORITHMS_ALLOWED: &str = "a threading algorithm: ORDEREDSUBJECT, REFERENCES or REFS";

/// `thread-alg`
pub(crate) fn algorithm(cursor: &mut Cursor<'_>) -> Result<Algorithm, Error> {
    let name = cursor.atom(ALGORITHMS_ALLOWED)?;
    named(name).ok_or(Error::Expected(ALGORITHMS_ALLOWED))
}

/// An algorithm and a space, if that stands there; no search key has such a name. Without one it is REFS
/// (draft-ietf-morg-inthread).
pub(crate) fn algorithm_if_named(cursor: &mut Cursor<'_>) -> Result<Algorithm, Error> {
    let mut ahead = *cursor;
    let name = ahead.run(|byte| byte.is_ascii_alphabetic());
    let Some(algorithm) = named(name) else { return Ok(Algorithm::Refs) };
    *cursor = ahead;
    cursor.space()?;
    Ok(algorithm)
}

fn named(name: &[u8]) -> Option<Algorithm> {
    let known =
        Algorithm::NAMES.iter().find(|(_, known)| known.as_bytes().eq_ignore_ascii_case(name));
    known.map(|&(algorithm, _)| algorithm)
}

/// `charset`, which stands before the search keys without a name.
pub(crate) fn charset(cursor: &mut Cursor<'_>) -> Result<Charset, Error> {
    let name = cursor.astring()?;
    Charset::known(&name).ok_or(Error::Charset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(SortKey, bool)>, Error> {
        let mut cursor = Cursor::new(text.as_bytes());
        let order = order(&mut cursor)?;
        cursor.end()?;
        Ok(order.0.iter().map(|by| (by.key, by.reverse)).collect())
    }

    #[test]
    fn what_is_allowed_is_said_in_full() {
        for (_, name) in SortKey::NAMES {
            assert!(CRITERIA_ALLOWED.contains(&format!(" {name}")), "{name}");
        }
        for (_, name) in Algorithm::NAMES {
            assert!(ALGORITHMS_ALLOWED.contains(&format!(" {name}")), "{name}");
        }
    }

    #[test]
    fn rfc5256_5_criteria() {
        for (key, name) in SortKey::NAMES {
            assert_eq!(read(&format!("({name})")), Ok(vec![(key, false)]));
            assert_eq!(read(&format!("(reverse {})", name.to_lowercase())), Ok(vec![(key, true)]));
        }
        let two = vec![(SortKey::Subject, false), (SortKey::Date, true)];
        assert_eq!(read("(SUBJECT REVERSE DATE)"), Ok(two.clone()));
        assert_eq!(read("(SUBJECT REVERSE DATE DATE REVERSE SUBJECT)"), Ok(two));
        for wrong in [
            "",
            "()",
            "DATE",
            "(DATE",
            "(DATE )",
            "(REVERSE)",
            "(REVERSE REVERSE DATE)",
            "(X)",
            "(DATE  SIZE)",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
