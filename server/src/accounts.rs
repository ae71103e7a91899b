//! Who may log in, and whose mail is taken.
//!
//! Invariants:
//! - An [`AccountName`] is canonical: two spellings of an account give the same name, so the store sees one account. It
//!   holds nothing that would need escaping in a log or a path.
//! - A wrong name costs as much time as a wrong password.

pub mod directory;
pub mod edit;
pub mod nets;
pub mod passwd_file;
pub mod password;
mod remembered;

use imap_proto::Secret;
use runtime_smol::Time;
use std::fmt;
use std::hint::black_box;
use std::net::IpAddr;

/// The longest name of an account, in bytes.
const NAME_MAX: usize = 128;

/// The name of an account: 1 to 128 characters of `a-z`, `0-9`, `.`, `_`, `-` and `@`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AccountName(Box<str>);

/// Why a text is no account's name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// It has no characters, or too many.
    #[error("a user name has 1 to {NAME_MAX} characters, this has {0}")]
    Length(usize),
    /// A character that is not allowed.
    #[error("{0:?} can't stand in a user name; letters, digits and the characters . _ - @ can")]
    Character(char),
}

impl AccountName {
    /// The account that is written so; capital letters are the same as small ones.
    ///
    /// # Errors
    /// What is not allowed in a name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
        if let Some(other) = text.chars().find(|&c| !allowed(c)) {
            return Err(NameError::Character(other));
        }
        if text.is_empty() || text.len() > NAME_MAX {
            return Err(NameError::Length(text.len()));
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The name as the store knows it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where accounts come from. Calls don't wait, unless they say so.
pub trait Accounts: Send + Sync {
    /// The account, if `user` names one that may come from the address `from` (`None` is a UNIX socket) and `password`
    /// is its password. Both are as the client sent them.
    fn log_in(&self, user: &[u8], password: &Secret, from: Option<IpAddr>, now: Time) -> LogIn;

    /// The account that this names, as the client sent it, whatever its password.
    fn named(&self, user: &[u8]) -> Option<AccountName>;

    /// The account that takes mail for this address; `local` is unquoted, `domain` is `None` for a bare local part.
    fn recipient(&self, local: &str, domain: Option<&str>) -> Option<AccountName>;

    /// How many there are.
    fn count(&self) -> usize;

    /// Whether who they are may have changed: [`Accounts::refresh`] should then come before the next question.
    fn is_stale(&self) -> bool {
        false
    }

    /// Reads again who they are. Waits for a disk.
    fn refresh(&self) {}
}

/// The answer to a log-in.
pub enum LogIn {
    /// It is known: the account, or that there is none of this name and password.
    Done(Option<AccountName>),
    /// A password has to be hashed: the call takes long, and is for the hash pool.
    Hash(Box<dyn FnOnce() -> Option<AccountName> + Send>),
}

impl fmt::Debug for LogIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(name) => f.debug_tuple("Done").field(name).finish(),
            Self::Hash(_) => f.write_str("Hash"),
        }
    }
}

/// The accounts of `loft demo`: `u1` to `uN`, one password for all, any domain.
pub struct Demo {
    count: u32,
    password: Vec<u8>,
}

impl Demo {
    /// Accounts `u1` to `u{count}`. The password is kept as it is, so that logging in measures no hashing.
    #[must_use]
    pub fn new(count: u32, password: &str) -> Self {
        Self { count, password: password.into() }
    }

    fn authenticate(&self, user: &[u8], password: &[u8]) -> Option<AccountName> {
        let right = same(&self.password, password);
        self.named(user).filter(|_| right)
    }

    /// `uN`, in any case, with or without `+folder`.
    fn find(&self, local: &[u8]) -> Option<AccountName> {
        let base = local.split(|&byte| byte == b'+').next()?;
        let [b'u' | b'U', digits @ ..] = base else { return None };
        // `u01` is nobody: otherwise one account would have many names.
        if digits.first() == Some(&b'0') || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number: u32 = str::from_utf8(digits).ok()?.parse().ok()?;
        (1..=self.count).contains(&number).then(|| AccountName(format!("u{number}").into()))
    }
}

impl fmt::Debug for Demo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Demo").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Accounts for Demo {
    fn log_in(&self, user: &[u8], password: &Secret, _from: Option<IpAddr>, _now: Time) -> LogIn {
        LogIn::Done(self.authenticate(user, password.expose()))
    }

    fn named(&self, user: &[u8]) -> Option<AccountName> {
        // A local part that was not quoted has no `@`.
        let local = user.split(|&byte| byte == b'@').next()?;
        self.find(local)
    }

    fn recipient(&self, local: &str, _domain: Option<&str>) -> Option<AccountName> {
        self.find(local.as_bytes())
    }

    fn count(&self) -> usize {
        self.count as usize
    }
}

/// Compares in a time that depends on the length of `given` alone.
fn same(secret: &[u8], given: &[u8]) -> bool {
    let mut different = u8::from(secret.len() != given.len());
    // An empty secret compares with zeros; the lengths have already told whether that counts.
    let padded = secret.iter().chain(std::iter::repeat(&0));
    for (a, b) in padded.zip(given) {
        different |= black_box(a ^ b);
    }
    black_box(different) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo() -> Demo {
        Demo::new(10, "pw")
    }

    #[test]
    fn all_spellings_are_one_account() {
        for user in
            ["u7", "U7", "u7@example.org", "U7@[127.0.0.1]", "u7+lists@x", "u7+lists", "u7+@x"]
        {
            let name =
                demo().authenticate(user.as_bytes(), b"pw").unwrap_or_else(|| panic!("{user}"));
            assert_eq!(name.as_str(), "u7", "{user}");
        }
        for local in ["u10", "U10", "u10+a+b"] {
            let name =
                demo().recipient(local, Some("any.domain")).unwrap_or_else(|| panic!("{local}"));
            assert_eq!(name.as_str(), "u10", "{local}");
        }
    }

    #[test]
    fn others_are_nobody() {
        let names = [
            "",
            "u",
            "u0",
            "u01",
            "u11",
            "u-1",
            "u+1",
            "v1",
            "u1 ",
            "u4294967297",
            "+u1",
            "@u1",
            "uu1",
            "u1\0",
        ];
        for user in names {
            assert_eq!(demo().authenticate(user.as_bytes(), b"pw"), None, "{user:?}");
            assert_eq!(demo().recipient(user, None), None, "{user:?}");
        }
        assert_eq!(demo().authenticate(b"u\xb9", b"pw"), None);
    }

    #[test]
    fn only_the_whole_password_is_right() {
        for password in ["", "p", "pW", "pw ", "pwpw", "pw\0"] {
            assert_eq!(demo().authenticate(b"u1", password.as_bytes()), None, "{password:?}");
        }
        let empty = Demo::new(1, "");
        assert!(empty.authenticate(b"u1", b"").is_some());
        assert!(empty.authenticate(b"u1", b"\0").is_none());
    }

    #[test]
    fn the_password_is_not_shown() {
        assert_eq!(format!("{:?}", Demo::new(3, "secret")), "Demo { count: 3, .. }");
    }
}
