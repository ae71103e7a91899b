//! What a backup says of itself: generations, and the files of their accounts, in JSON.

use super::error::Error;
use dbox_format::attachment::Hash;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::path::Path;

/// The version that is written, and the only one that is read.
pub(crate) const VERSION: u32 = 1;

/// The name of an object.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Name(pub(crate) Hash);

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("that is no BLAKE3 in 64 digits"))
    }
}

impl Name {
    /// The inverse of its display.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut hash = Hash::default();
        if text.len() != 64 || text.bytes().any(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        for (byte, digits) in hash.0.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

/// An object, and how many bytes it has.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Object {
    pub(crate) name: Name,
    pub(crate) len: u64,
}

/// Bytes of a file: of which of the manifest's objects, from where, how many.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Piece(pub(crate) u32, pub(crate) u64, pub(crate) u64);

/// One file.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct File {
    /// Below the account's directory, or the store's.
    pub(crate) path: String,
    pub(crate) len: u64,
    /// What tells it from another file of that name: the BLAKE3 of some bytes at its front.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) front: Option<Name>,
    /// What it is put together of, in order.
    pub(crate) pieces: Vec<Piece>,
}

/// The files of an account, or those that all accounts share: an object of its own, so that what has not changed is the
/// same one in the next generation.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Manifest {
    pub(crate) version: u32,
    /// Whose; empty for the files of all.
    pub(crate) user: String,
    pub(crate) messages: u64,
    pub(crate) mailboxes: u64,
    pub(crate) objects: Vec<Object>,
    pub(crate) files: Vec<File>,
}

impl Manifest {
    /// Numbers its objects as its files need them, so that the same files make the same manifest.
    pub(crate) fn put_in_order(&mut self) {
        let mut numbers = vec![None; self.objects.len()];
        let mut objects = Vec::new();
        for Piece(number, ..) in self.files.iter_mut().flat_map(|file| &mut file.pieces) {
            let before = *number as usize;
            let (Some(now), Some(object)) = (numbers.get_mut(before), self.objects.get(before))
            else {
                continue;
            };
            *number = *now.get_or_insert_with(|| {
                objects.push(*object);
                u32::try_from(objects.len() - 1).unwrap_or(u32::MAX)
            });
        }
        self.objects = objects;
    }

    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.len).sum()
    }
}

/// An account in a generation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Saved {
    pub(crate) user: String,
    /// The object with its [`Manifest`].
    pub(crate) manifest: Object,
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// An account that is not in a generation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Left {
    pub(crate) user: String,
    pub(crate) why: String,
}

/// One finished backup.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Generation {
    pub(crate) version: u32,
    pub(crate) number: u64,
    /// The store's GUID.
    pub(crate) store: String,
    /// The store's epoch.
    pub(crate) epoch: u32,
    /// When it was finished, seconds since 1970.
    pub(crate) created: i64,
    /// Of the Loft that wrote it.
    pub(crate) loft: String,
    /// Bytes that it added to the directory.
    pub(crate) added: u64,
    /// By name.
    pub(crate) accounts: Vec<Saved>,
    /// Those that could not be read.
    pub(crate) left_out: Vec<Left>,
    /// The [`Manifest`] of the files that all accounts share.
    pub(crate) shared: Object,
}

impl Generation {
    /// The account's line.
    pub(crate) fn account(&self, user: &str) -> Option<&Saved> {
        self.accounts.iter().find(|saved| saved.user == user)
    }
}

/// A line of JSON.
pub(crate) fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("its maps have keys that are text");
    line.push(b'\n');
    line
}

/// A line of JSON, and a line with its BLAKE3.
pub(crate) fn sealed(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = line(value);
    let hash = Hash::of(&bytes);
    bytes.extend_from_slice(format!("{hash}\n").as_bytes());
    bytes
}

/// What [`sealed`] wrote.
pub(crate) fn unseal<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, Error> {
    let split = bytes.len().checked_sub(65).and_then(|at| bytes.split_at_checked(at));
    let Some((line, seal)) = split else { return Err(Error::damaged(path, "it is cut off")) };
    if seal != format!("{}\n", Hash::of(line)).as_bytes() {
        return Err(Error::damaged(path, "its checksum is another one"));
    }
    decode(path, line)
}

/// What stands in a checked line.
pub(crate) fn decode<T: DeserializeOwned>(path: &Path, line: &[u8]) -> Result<T, Error> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    match serde_json::from_slice::<Versioned>(line) {
        Ok(Versioned { version: VERSION }) => {}
        Ok(Versioned { version }) => {
            return Err(Error::Version { path: path.to_owned(), found: version });
        }
        Err(error) => return Err(Error::damaged(path, error)),
    }
    serde_json::from_slice(line).map_err(|error| Error::damaged(path, error))
}
