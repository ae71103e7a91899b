//! The numbers that must not be mixed up.

use std::fmt;
use std::str::FromStr;

/// 128 random bits that name a mailbox, a store or a message; outlives every name.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Guid(pub [u8; 16]);

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no [`Guid`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a GUID has 32 hexadecimal digits")]
pub struct NoGuid;

impl FromStr for Guid {
    type Err = NoGuid;

    /// From 32 hexadecimal digits in either case and nothing else. [`Guid`]'s `Display` writes them in lower case: where a
    /// GUID is the name of a file, only that is its name.
    ///
    /// ```
    /// use index_format::Guid;
    ///
    /// let guid: Guid = "000102030405060708090A0B0C0D0E0F".parse().unwrap();
    /// assert_eq!(guid.to_string(), "000102030405060708090a0b0c0d0e0f");
    /// ```
    fn from_str(text: &str) -> Result<Guid, NoGuid> {
        let mut guid = Guid::default();
        if text.len() != 2 * guid.0.len() {
            return Err(NoGuid);
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(NoGuid);
        for (byte, pair) in guid.0.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            for &sign in pair {
                *byte = *byte << 4 | digit(sign)? as u8;
            }
        }
        Ok(guid)
    }
}

/// The number of a message in its account's map. COPY gives a second row with the same map id.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MapId(pub u32);

/// A modification sequence (RFC 7162 §3.1), in the shape `(t << 6) | server`; below 2^63.
///
/// `t` rises by one with each transaction that changes what a client sees. The low bits name the server that made it,
/// so that two servers never call different states by one number.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ModSeq(pub u64);

impl ModSeq {
    /// How many low bits name the server.
    pub const SERVER_BITS: u32 = 6;
    /// The largest server number.
    pub const SERVER_MAX: u8 = (1 << Self::SERVER_BITS) - 1;
    /// The largest value a client can be told (RFC 7162 §7, `mod-sequence-value`).
    pub const MAX: ModSeq = ModSeq((1 << 63) - 1);

    /// Joins the two parts; bits of `server` beyond [`Self::SERVER_MAX`] are ignored.
    pub fn new(t: u64, server: u8) -> ModSeq {
        ModSeq((t << Self::SERVER_BITS) | u64::from(server & Self::SERVER_MAX))
    }

    /// The part that counts changes.
    pub fn t(self) -> u64 {
        self.0 >> Self::SERVER_BITS
    }

    /// The server that made the change.
    pub fn server(self) -> u8 {
        (self.0 & u64::from(Self::SERVER_MAX)) as u8
    }

    /// The one that follows on `server`.
    pub fn next(self, server: u8) -> ModSeq {
        ModSeq::new(self.t() + 1, server)
    }
}

/// The system flags of a message (RFC 9051 §2.3.2), one bit each. `\Recent` is not stored with messages.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Flags(pub u8);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// `\Seen`
    pub const SEEN: Flags = Flags(1);
    /// `\Answered`
    pub const ANSWERED: Flags = Flags(2);
    /// `\Flagged`
    pub const FLAGGED: Flags = Flags(4);
    /// `\Deleted`
    pub const DELETED: Flags = Flags(8);
    /// `\Draft`
    pub const DRAFT: Flags = Flags(16);

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Without the bits of `other`.
    #[must_use]
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

/// The keywords of a message: bit n stands for number n of the mailbox's keyword table.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Keywords(pub u64);

impl Keywords {
    /// No keyword.
    pub const NONE: Keywords = Keywords(0);

    /// The one keyword `number`; a number past 63 gives none.
    pub fn one(number: u8) -> Keywords {
        Keywords(1u64.checked_shl(u32::from(number)).unwrap_or(0))
    }

    /// Whether keyword `number` is set.
    pub fn contains(self, number: u8) -> bool {
        self.0 & Self::one(number).0 != 0
    }

    /// The numbers that are set, ascending.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |&number| self.contains(number))
    }
}

/// One appearance of a message in one mailbox, across servers: who made it, and its count there.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ItemId {
    /// The server that made the item.
    pub server: u8,
    /// That server's count of items.
    pub sequence: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_guid_is_read_as_it_is_written(guid: [u8; 16]) {
            let text = Guid(guid).to_string();
            prop_assert_eq!(text.parse(), Ok(Guid(guid)));
            prop_assert_eq!(text.to_ascii_uppercase().parse(), Ok(Guid(guid)));
        }

        #[test]
        fn other_texts_are_none(text in "[0-9a-f]{31}|[0-9a-f]{33}|[0-9a-f]{31}[+g é-]|[+-][0-9a-f]{31}|") {
            prop_assert_eq!(text.parse::<Guid>(), Err(NoGuid));
        }
    }
}
