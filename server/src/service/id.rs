//! Names for connections and deliveries, in logs and Received headers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Gives out names that this store's servers give only once: the second of the start, then a count.
#[derive(Debug)]
pub(super) struct Ids {
    start: Arc<str>,
    next: AtomicU64,
}

/// One connection: `t1k9f2-3a`. Letters, digits and a hyphen.
#[derive(Clone, Debug)]
pub(super) struct SessionId {
    start: Arc<str>,
    number: u64,
}

/// One message that came over a connection: `t1k9f2-3a.1`. Letters, digits, a hyphen and a dot.
#[derive(Clone, Debug)]
pub(super) struct DeliveryId {
    session: SessionId,
    number: u64,
}

impl Ids {
    /// For a server that starts at this time, in seconds since 1970. No two of a store start in the same second: the
    /// later one would have had to recover it.
    pub(super) fn new(started: u64) -> Self {
        Self { start: Base36(started).to_string().into(), next: AtomicU64::new(1) }
    }

    pub(super) fn session(&self) -> SessionId {
        self.name(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// The name of the session of this number.
    pub(super) fn name(&self, number: u64) -> SessionId {
        SessionId { start: self.start.clone(), number }
    }

    /// The number of the session of this name, if it is of this server's life.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(&*self.start)?.strip_prefix('-')?;
        let number = u64::from_str_radix(digits, 36).ok()?;
        // `01` and `+1` are names of nobody.
        (Base36(number).to_string() == digits).then_some(number)
    }
}

impl SessionId {
    /// Its number in the life of this server.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The delivery of this number, from 1.
    pub(super) fn delivery(&self, number: u64) -> DeliveryId {
        DeliveryId { session: self.clone(), number }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, Base36(self.number))
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.session, Base36(self.number))
    }
}

struct Base36(u64);

impl fmt::Display for Base36 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= 36 {
            Self(self.0 / 36).fmt(f)?;
        }
        let digit = u32::try_from(self.0 % 36).ok().and_then(|digit| char::from_digit(digit, 36));
        write!(f, "{}", digit.expect("a remainder by 36 is a digit"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_differ() {
        let ids = Ids::new(1_800_000_000);
        let (first, second) = (ids.session(), ids.session());
        assert_eq!(first.to_string(), "tro8w0-1");
        assert_eq!(second.to_string(), "tro8w0-2");
        assert_eq!(second.delivery(37).to_string(), "tro8w0-2.11");
        assert_eq!((ids.number("tro8w0-2"), ids.number("tro8w0-zz")), (Some(2), Some(1295)));
        for other in ["tro8w0-", "tro8w0-02", "tro8w0-+2", "tro8w1-2", "2", "", "tro8w0-2.11"] {
            assert_eq!(ids.number(other), None, "{other:?}");
        }
        assert_eq!(Base36(0).to_string(), "0");
        assert_eq!(Base36(u64::MAX).to_string(), "3w5e11264sgsf");
    }
}
