//! Where files lie: containers in 256 hashed directories, accounts in directories named after them.
//!
//! Invariants:
//! - A number has one path and a path one number; an account has one directory and a directory one account.
//! - A directory's name holds no byte but `a`–`z`, `0`–`9`, `-`, `_`, `.`, `@`, `+` and `%`, and starts with no dot:
//!   no account name leaves its directory, and none that differ only in case meet on a file system that folds case.

use std::fmt::Write;

use crate::attachment::Hash;
use crate::checksum::crc32c;

/// Longest file name in bytes: what all common file systems take.
pub const NAME_MAX: usize = 255;

/// Why an account name has no directory, or a path no meaning.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// No bytes at all.
    #[error("an empty name has no directory")]
    Empty,
    /// The encoded name is longer than a file name may be.
    #[error("the account name needs {found} bytes as a file name, {NAME_MAX} are allowed")]
    TooLong {
        /// Bytes of the encoded name.
        found: usize,
    },
    /// Not a path that these functions make.
    #[error("{path:?} is not the path of {what}")]
    Foreign {
        /// What it should be the path of.
        what: &'static str,
        /// The path given.
        path: String,
    },
}

/// The path of a container below the account's directory: `storage/c7/c.0000001f` is number 31.
///
/// The directory is the low byte of `number` × 89: any 256 numbers in a row fall into 256 directories.
#[must_use]
pub fn container(number: u32) -> String {
    format!("storage/{:02x}/c.{number:08x}", directory_of(number))
}

/// The number of the container with this path; the inverse of [`container`].
///
/// # Errors
/// [`PathError::Foreign`] for anything that [`container`] doesn't give.
pub fn parse_container(path: &str) -> Result<u32, PathError> {
    let foreign = || PathError::Foreign { what: "a container", path: path.to_owned() };
    let digits = path.rsplit_once("/c.").map(|(_, digits)| digits).ok_or_else(foreign)?;
    let number = u32::from_str_radix(digits, 16).map_err(|_| foreign())?;
    if container(number) == path { Ok(number) } else { Err(foreign()) }
}

/// The 256 directories of containers, `storage/00` to `storage/ff`.
pub fn container_directories() -> impl Iterator<Item = String> {
    (0..=u8::MAX).map(|byte| format!("storage/{byte:02x}"))
}

/// The directory of an account below the store: `users/ab/<user>`.
///
/// `ab` is the low byte of the CRC-32C of the name as given; the name's bytes but `a`–`z`, `0`–`9`, `-`, `_`, `.`
/// (not as the first), `@` and `+` stand as `%` and two lower-case digits. Whether case matters is the caller's to
/// decide, before this.
///
/// # Errors
/// [`PathError::Empty`]; [`PathError::TooLong`] if the encoded name passes [`NAME_MAX`].
pub fn account(name: &str) -> Result<String, PathError> {
    let encoded = encode_account(name)?;
    Ok(format!("users/{:02x}/{encoded}", account_hash(name)))
}

/// The account that has this directory; the inverse of [`account`].
///
/// # Errors
/// [`PathError::Foreign`] for anything that [`account`] doesn't give.
pub fn parse_account(path: &str) -> Result<String, PathError> {
    let foreign = || PathError::Foreign { what: "an account", path: path.to_owned() };
    let (_, encoded) = path.rsplit_once('/').ok_or_else(foreign)?;
    let name = decode_account(encoded).ok_or_else(foreign)?;
    if account(&name).as_deref() == Ok(path) { Ok(name) } else { Err(foreign()) }
}

/// The path of a dictionary below the account's or the store's directory: `dictionaries/d.00000001`. It is kept twice, in
/// two files of the same bytes; `second` gives the other one's path, `dictionaries/second/d.00000001`.
#[must_use]
pub fn dictionary(number: u32, second: bool) -> String {
    let folder = if second { "dictionaries/second" } else { "dictionaries" };
    format!("{folder}/d.{number:08x}")
}

/// The path of an attachment below the store: `attachments/ab/cd/abcd…`, its hash in 64 digits.
///
/// When no more links can be made to a copy (EMLINK), another is begun: `copy` is 0 for the first, whose name is the
/// hash alone; the others end in `.1`, `.2` and so on.
#[must_use]
pub fn attachment(hash: &Hash, copy: u32) -> String {
    let name = hash.to_string();
    let (first, second) = (name.get(..2).unwrap_or_default(), name.get(2..4).unwrap_or_default());
    let end = if copy == 0 { String::new() } else { format!(".{copy}") };
    format!("attachments/{first}/{second}/{name}{end}")
}

/// Hash and copy of the attachment with this path; the inverse of [`attachment`].
///
/// # Errors
/// [`PathError::Foreign`] for anything that [`attachment`] doesn't give.
pub fn parse_attachment(path: &str) -> Result<(Hash, u32), PathError> {
    let foreign = || PathError::Foreign { what: "an attachment", path: path.to_owned() };
    let (_, name) = path.rsplit_once('/').ok_or_else(foreign)?;
    let (name, copy) = name.split_once('.').unwrap_or((name, "0"));
    let hash = parse_hash(name).ok_or_else(foreign)?;
    let copy = copy.parse().map_err(|_| foreign())?;
    if attachment(&hash, copy) == path { Ok((hash, copy)) } else { Err(foreign()) }
}

/// The path of an account's own link to an attachment, below the account's directory: `att/ab/abcd…`.
#[must_use]
pub fn attachment_link(hash: &Hash) -> String {
    let name = hash.to_string();
    format!("att/{}/{name}", name.get(..2).unwrap_or_default())
}

/// The hash of the attachment that a link with this path leads to; the inverse of [`attachment_link`].
///
/// # Errors
/// [`PathError::Foreign`] for anything that [`attachment_link`] doesn't give.
pub fn parse_attachment_link(path: &str) -> Result<Hash, PathError> {
    let hash = path.rsplit_once('/').and_then(|(_, name)| parse_hash(name));
    hash.filter(|hash| attachment_link(hash) == path).ok_or_else(|| PathError::Foreign {
        what: "an account's link to an attachment",
        path: path.to_owned(),
    })
}

fn parse_hash(digits: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if !digits.is_ascii() || digits.len() != 2 * hash.0.len() {
        return None;
    }
    for (place, byte) in hash.0.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * place..2 * place + 2)?, 16).ok()?;
    }
    Some(hash)
}

fn directory_of(number: u32) -> u8 {
    let [low, ..] = number.to_le_bytes();
    // 89 is odd, so this only permutes the 256 values; neighbours in number are no neighbours on disk.
    low.wrapping_mul(89)
}

fn account_hash(name: &str) -> u8 {
    let [low, ..] = crc32c(name.as_bytes()).to_le_bytes();
    low
}

fn encode_account(name: &str) -> Result<String, PathError> {
    if name.is_empty() {
        return Err(PathError::Empty);
    }
    let mut out = String::with_capacity(name.len());
    for (place, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'@' | b'+' => out.push(char::from(byte)),
            b'.' if place > 0 => out.push('.'),
            _ => write!(out, "%{byte:02x}").expect("a string takes all that is written"),
        }
    }
    if out.len() > NAME_MAX {
        return Err(PathError::TooLong { found: out.len() });
    }
    Ok(out)
}

fn decode_account(encoded: &str) -> Option<String> {
    let mut out = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let (&[high, low], tail) = rest.split_first_chunk()?;
            rest = tail;
            let digit = |byte: u8| char::from(byte).to_digit(16);
            out.push(u8::try_from(digit(high)? << 4 | digit(low)?).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn container_31_lies_where_the_design_says() {
        assert_eq!(container(0x1f), "storage/c7/c.0000001f");
        assert_eq!(parse_container("storage/c7/c.0000001f"), Ok(0x1f));
        for path in [
            "storage/c8/c.0000001f",
            "storage/c7/c.1f",
            "storage/c7/c.0000001F",
            "storage/c7/c.+000001f",
            "",
        ] {
            assert!(parse_container(path).is_err(), "{path}");
        }
    }

    #[test]
    fn any_256_numbers_in_a_row_fill_all_directories() {
        for start in [0_u32, 1, 77, 1000, u32::MAX - 255] {
            let used: BTreeSet<u8> = (start..=start + 255).map(directory_of).collect();
            assert_eq!(used.len(), 256);
        }
        assert_eq!(container_directories().count(), 256);
    }

    #[test]
    fn account_names_are_safe_and_stable() {
        let show = |name: &str| account(name).unwrap();
        assert_eq!(show("u1"), "users/4c/u1");
        assert_eq!(show("Ada@example.org"), "users/c0/%41da@example.org");
        assert_eq!(show("../x"), "users/23/%2e.%2fx");
        assert_eq!(show("a/b\0c%"), "users/c7/a%2fb%00c%25");
        assert_eq!(show("jörg"), "users/ce/j%c3%b6rg");
        assert_eq!(account(""), Err(PathError::Empty));
        assert_eq!(account(&"é".repeat(43)), Err(PathError::TooLong { found: 258 }));
        assert!(parse_account("users/00/%41%2").is_err());
        assert!(parse_account("users/00/A").is_err());
    }

    #[test]
    fn attachments_lie_where_the_design_says() {
        let hash = Hash::of(b"");
        let name = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(attachment(&hash, 0), format!("attachments/af/13/{name}"));
        assert_eq!(attachment(&hash, 2), format!("attachments/af/13/{name}.2"));
        assert_eq!(attachment_link(&hash), format!("att/af/{name}"));
        assert_eq!(dictionary(31, false), "dictionaries/d.0000001f");
        assert_eq!(dictionary(31, true), "dictionaries/second/d.0000001f");
        for bad in [
            format!("attachments/af/14/{name}"),
            format!("attachments/af/13/{name}.0"),
            format!("attachments/af/13/{name}.01"),
            format!("attachments/af/13/{}", name.to_uppercase()),
            format!("att/af/{name}"),
        ] {
            assert!(parse_attachment(&bad).is_err(), "{bad}");
        }
        assert!(parse_attachment_link(&format!("att/13/{name}")).is_err());
    }

    proptest! {
        #[test]
        fn account_paths_are_inverse(name in "\\PC{1,40}") {
            if let Ok(path) = account(&name) {
                let (dirs, file) = path.rsplit_once('/').unwrap();
                prop_assert!(dirs.len() == "users/ab".len() && !file.starts_with('.') && file.len() <= NAME_MAX);
                prop_assert!(file.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.@+%".contains(&b)));
                prop_assert_eq!(parse_account(&path), Ok(name));
            }
        }

        #[test]
        fn container_paths_are_inverse(number: u32) {
            prop_assert_eq!(parse_container(&container(number)), Ok(number));
        }

        #[test]
        fn attachment_paths_are_inverse(hash: [u8; 32], copy: u32) {
            let hash = Hash(hash);
            prop_assert_eq!(parse_attachment(&attachment(&hash, copy)), Ok((hash, copy)));
            prop_assert_eq!(parse_attachment_link(&attachment_link(&hash)), Ok(hash));
        }

        #[test]
        fn foreign_paths_never_panic(path in "\\PC{0,60}|a[a-z]{2,10}(/[0-9a-f]{2}){1,2}/[0-9a-f]{62,64}(\\.[0-9]{0,11})?|users/[0-9a-f]{2}/[%a-z0-9]{0,20}|storage/[0-9a-f]{2}/c.[0-9a-f]{8}") {
            if let Ok(name) = parse_account(&path) {
                prop_assert_eq!(account(&name), Ok(path.clone()));
            }
            if let Ok(number) = parse_container(&path) {
                prop_assert_eq!(container(number), path.clone());
            }
            if let Ok((hash, copy)) = parse_attachment(&path) {
                prop_assert_eq!(attachment(&hash, copy), path.clone());
            }
            if let Ok(hash) = parse_attachment_link(&path) {
                prop_assert_eq!(attachment_link(&hash), path);
            }
        }
    }
}
