//! What can be wrong with bytes that were handed in.

/// Bytes that are not what they should be: which field, where, what was found and what is allowed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end inside a field.
    #[error("{field} at byte {at} needs {need} bytes, {have} are left")]
    Truncated {
        /// The field that does not fit.
        field: &'static str,
        /// Where it starts.
        at: u64,
        /// How long it is.
        need: u64,
        /// How many bytes are there.
        have: u64,
    },
    /// The file is not of this kind at all.
    #[error("a {what} starts with {expected:02x?}, this file with {found:02x?}")]
    Magic {
        /// The kind of file that was expected.
        what: &'static str,
        /// Its first bytes.
        expected: [u8; 8],
        /// The first bytes found.
        found: [u8; 8],
    },
    /// A newer program wrote this.
    #[error("{what} has version {found}, this program reads up to {supported}")]
    Version {
        /// The kind of file.
        what: &'static str,
        /// The version found.
        found: u16,
        /// The newest version this program reads.
        supported: u16,
    },
    /// A checksum does not match.
    #[error("the checksum of {what} at byte {at} is {found:08x}, its bytes give {computed:08x}")]
    Checksum {
        /// What the checksum covers.
        what: &'static str,
        /// Where the covered bytes start.
        at: u64,
        /// The checksum stored.
        found: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// A value that the format does not allow.
    #[error("{field} at byte {at} is {found}, allowed is {allowed}")]
    Value {
        /// The field.
        field: &'static str,
        /// Where it starts.
        at: u64,
        /// Its value.
        found: u64,
        /// What it may be.
        allowed: &'static str,
    },
    /// A number that is not written in its one shortest form, or is too large.
    #[error("{field} at byte {at} is not a shortest number below its limit")]
    Number {
        /// The field.
        field: &'static str,
        /// Where it starts.
        at: u64,
    },
    /// Text that is not UTF-8.
    #[error("{field} at byte {at} is not UTF-8")]
    Text {
        /// The field.
        field: &'static str,
        /// Where it starts.
        at: u64,
    },
    /// More bytes than the structure accounts for.
    #[error("{count} bytes follow the end of {what} at byte {at}")]
    Trailing {
        /// What ended.
        what: &'static str,
        /// Where it ended.
        at: u64,
        /// How many bytes follow.
        count: u64,
    },
    /// The caller asks for something that is longer than the format carries.
    #[error("{what} is {len} bytes long, the format carries {max}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length in bytes.
        len: u64,
        /// The longest allowed.
        max: u64,
    },
    /// More things than the format carries.
    #[error("{count} {what}, the format carries {max}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there are.
        count: u64,
        /// How many there may be.
        max: u64,
    },
}
