//! Passwords as they are stored: a scheme, and what that scheme makes of a password.
//!
//! The schemes and their names are those of Dovecot's passwd-files: `{SCHEME}hash`, or a `crypt(3)` string without a
//! scheme, which says by its beginning what it is.
//!
//! Invariant: a [`Stored`] was checked when it was parsed, so that verifying can only say yes or no.

use super::same;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher as _, PasswordVerifier as _};
use std::fmt;

/// The most memory that an argon2 hash may ask for, in KiB: each core may be at work on one.
const ARGON2_MEMORY_MAX: u32 = 1 << 20;

/// The salt of a new hash, in bytes (RFC 9106 §3.1 recommends 16).
const SALT: usize = 16;

/// The cost of a new bcrypt hash: 2^12 rounds.
const BCRYPT_COST: u32 = 12;

/// What a password is stored by.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scheme {
    /// `{ARGON2ID}`, RFC 9106.
    Argon2id,
    /// `{BLF-CRYPT}`: bcrypt. It looks at no more than 72 bytes of a password.
    Bcrypt,
    /// `{SHA512-CRYPT}`
    Sha512Crypt,
    /// `{SHA256-CRYPT}`
    Sha256Crypt,
    /// `{PLAIN}`: the password itself.
    Plain,
    /// No password is right: the field is empty, `*`, or begins with `!`.
    Locked,
}

impl Scheme {
    /// Those a new password may be stored by.
    pub const FOR_NEW: [Self; 4] = [Self::Argon2id, Self::Bcrypt, Self::Sha512Crypt, Self::Plain];

    /// Its name in a passwd-file, without braces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Argon2id => "ARGON2ID",
            Self::Bcrypt => "BLF-CRYPT",
            Self::Sha512Crypt => "SHA512-CRYPT",
            Self::Sha256Crypt => "SHA256-CRYPT",
            Self::Plain => "PLAIN",
            Self::Locked => "locked",
        }
    }
}

/// Why a stored password can't be used. The texts don't show it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// `{` without its `}`.
    #[error("the password has a {{ without }}; write {{SCHEME}} and then the hash")]
    Brace,
    /// A scheme that isn't known.
    #[error(
        "the scheme {{{0}}} is not known; these are: {{ARGON2ID}}, {{BLF-CRYPT}}, {{SHA512-CRYPT}}, {{SHA256-CRYPT}}, \
        {{CRYPT}}, {{PLAIN}}"
    )]
    Scheme(String),
    /// No scheme, and no `crypt(3)` string either.
    #[error(
        "the password has no scheme and is no hash that says its own ($argon2id$, $2b$, $5$, $6$); write {{PLAIN}} \
        before a password that is not hashed"
    )]
    NoScheme,
    /// The hash is not one of its scheme.
    #[error("this is no {} hash: {why}", scheme.name())]
    Hash {
        /// What it should be.
        scheme: Scheme,
        /// What is wrong or allowed.
        why: &'static str,
    },
    /// The hash asks for too much.
    #[error(
        "this ARGON2ID hash asks for {found} KiB of memory; at most {ARGON2_MEMORY_MAX} are allowed"
    )]
    Memory {
        /// The m of the hash.
        found: u32,
    },
}

/// A stored password.
#[derive(Clone, Eq, PartialEq)]
pub struct Stored {
    scheme: Scheme,
    /// Without the scheme's name.
    text: Box<str>,
}

impl fmt::Debug for Stored {
    /// The scheme alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

impl Stored {
    /// Reads the second field of a passwd-file.
    ///
    /// # Errors
    /// What is wrong with it and what is allowed.
    pub fn parse(field: &str) -> Result<Self, PasswordError> {
        let stored = |scheme, text: &str| Ok(Self { scheme, text: text.into() });
        if field.is_empty() || field == "*" || field.starts_with('!') {
            return stored(Scheme::Locked, "");
        }
        let Some(rest) = field.strip_prefix('{') else { return Self::parse_crypt(field) };
        let (name, text) = rest.split_once('}').ok_or(PasswordError::Brace)?;
        let scheme = match name.to_ascii_uppercase().as_str() {
            "ARGON2ID" => Scheme::Argon2id,
            "BLF-CRYPT" => Scheme::Bcrypt,
            "SHA512-CRYPT" => Scheme::Sha512Crypt,
            "SHA256-CRYPT" => Scheme::Sha256Crypt,
            "PLAIN" | "CLEARTEXT" | "CLEAR" => Scheme::Plain,
            "CRYPT" => return Self::parse_crypt(text),
            _ => return Err(PasswordError::Scheme(name.escape_debug().take(40).collect())),
        };
        check(scheme, text)?;
        stored(scheme, text)
    }

    /// A `crypt(3)` string says its scheme.
    fn parse_crypt(text: &str) -> Result<Self, PasswordError> {
        let begins = [
            ("$argon2id$", Scheme::Argon2id),
            ("$2", Scheme::Bcrypt),
            ("$6$", Scheme::Sha512Crypt),
            ("$5$", Scheme::Sha256Crypt),
        ];
        let known = begins.iter().find(|(begin, _)| text.starts_with(begin));
        let &(_, scheme) = known.ok_or(PasswordError::NoScheme)?;
        check(scheme, text)?;
        Ok(Self { scheme, text: text.into() })
    }

    /// Stores `password` by `scheme`, with a salt of its own.
    ///
    /// # Panics
    /// When the system has no random numbers, or `scheme` is none of [`Scheme::FOR_NEW`].
    #[must_use]
    pub fn make(scheme: Scheme, password: &[u8]) -> Self {
        let mut salt = [0; SALT];
        getrandom::fill(&mut salt).expect("the kernel has random numbers for everyone");
        let text = match scheme {
            Scheme::Argon2id => {
                let hash = Argon2::default().hash_password_with_salt(password, &salt);
                hash.expect("the default parameters and this salt are allowed").to_string()
            }
            Scheme::Bcrypt => {
                let parts = bcrypt::hash_with_salt(password, BCRYPT_COST, salt);
                parts.expect("this cost is allowed").format_for_version(bcrypt::Version::TwoY)
            }
            Scheme::Sha512Crypt => {
                let hash = sha_crypt::ShaCrypt::SHA512.hash_password_with_salt(password, &salt);
                hash.expect("the default parameters and this salt are allowed").to_string()
            }
            Scheme::Plain => String::from_utf8_lossy(password).into_owned(),
            Scheme::Sha256Crypt | Scheme::Locked => unreachable!("not for new passwords"),
        };
        Self { scheme, text: text.into() }
    }

    /// What it is stored by.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// As it stands in a passwd-file.
    #[must_use]
    pub fn field(&self) -> String {
        if self.scheme == Scheme::Locked {
            return "!".to_owned();
        }
        format!("{{{}}}{}", self.scheme.name(), self.text)
    }

    /// What identifies it, so that a remembered log-in ends with it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether `password` is the one that was stored. Hashing takes long and memory: not for the threads that serve.
    #[must_use]
    pub fn verify(&self, password: &[u8]) -> bool {
        match self.scheme {
            Scheme::Argon2id => Argon2::default().verify_password(password, &*self.text).is_ok(),
            Scheme::Bcrypt => bcrypt::verify(password, &self.text).unwrap_or(false),
            Scheme::Sha512Crypt | Scheme::Sha256Crypt => {
                sha_crypt::ShaCrypt::default().verify_password(password, &*self.text).is_ok()
            }
            Scheme::Plain => same(self.text.as_bytes(), password),
            Scheme::Locked => false,
        }
    }
}

/// Whether `text` is a hash of `scheme` that can be verified.
fn check(scheme: Scheme, text: &str) -> Result<(), PasswordError> {
    let wrong = |why| Err(PasswordError::Hash { scheme, why });
    match scheme {
        Scheme::Argon2id => {
            let hash = PasswordHash::new(text).ok();
            let hash = hash.filter(|hash| hash.algorithm.as_str() == "argon2id");
            let parts = hash.as_ref().filter(|hash| hash.salt.is_some() && hash.hash.is_some());
            let Some(params) = parts.and_then(|hash| Params::try_from(hash).ok()) else {
                return wrong("write $argon2id$v=19$m=…,t=…,p=…$SALT$HASH");
            };
            if params.m_cost() > ARGON2_MEMORY_MAX {
                return Err(PasswordError::Memory { found: params.m_cost() });
            }
        }
        Scheme::Bcrypt => {
            let parts: Result<bcrypt::HashParts, _> = text.parse();
            if text.len() != 60 || !parts.is_ok_and(|parts| (4..=31).contains(&parts.get_cost())) {
                return wrong("write $2y$COST$ and 53 characters, COST from 04 to 31");
            }
        }
        Scheme::Sha512Crypt if !is_sha_crypt(text, "6", 86, "./01") => {
            return wrong("write $6$SALT$ or $6$rounds=N$SALT$, and 86 characters");
        }
        Scheme::Sha256Crypt if !is_sha_crypt(text, "5", 43, "./0123456789ABCD") => {
            return wrong("write $5$SALT$ or $5$rounds=N$SALT$, and 43 characters");
        }
        Scheme::Plain if text.is_empty() => {
            return wrong("an empty password is none; leave the field empty to lock the account");
        }
        Scheme::Sha512Crypt | Scheme::Sha256Crypt | Scheme::Plain | Scheme::Locked => {}
    }
    Ok(())
}

/// `$ID$SALT$HASH` or `$ID$rounds=N$SALT$HASH`, with a hash of `len` characters that ends in one of `last`: what remains
/// of the bits of its last bytes.
fn is_sha_crypt(text: &str, id: &str, len: usize, last: &str) -> bool {
    let fields: Vec<&str> = text.split('$').collect();
    let (salt, hash) = match fields.as_slice() {
        ["", found, salt, hash] if *found == id => (salt, hash),
        ["", found, rounds, salt, hash] if *found == id => {
            let rounds = rounds.strip_prefix("rounds=").and_then(|n| n.parse::<u32>().ok());
            if !rounds.is_some_and(|rounds| (1_000..=999_999_999).contains(&rounds)) {
                return false;
            }
            (salt, hash)
        }
        _ => return false,
    };
    let crypt64 =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"./".contains(&byte));
    !salt.is_empty()
        && salt.len() <= 64
        && hash.len() == len
        && hash.ends_with(|c| last.contains(c))
        && crypt64(salt)
        && crypt64(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with other programs (argon2-cffi; crypt(3) of libxcrypt); the password is `secret`.
    const FOREIGN: [(&str, Scheme); 7] = [
        (
            "{ARGON2ID}$argon2id$v=19$m=1024,t=2,p=1$tf/ACR49igbmyA9uTCIveA$bWuk7k4AI1NPN05vycWsla80q9qflPS5xRyHQwGpw/w",
            Scheme::Argon2id,
        ),
        (
            "$argon2id$v=19$m=1024,t=2,p=1$tf/ACR49igbmyA9uTCIveA$bWuk7k4AI1NPN05vycWsla80q9qflPS5xRyHQwGpw/w",
            Scheme::Argon2id,
        ),
        ("{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", Scheme::Bcrypt),
        (
            "{SHA512-CRYPT}$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.",
            Scheme::Sha512Crypt,
        ),
        (
            "$6$rounds=1500$saltstring$DYxiAL6pInuC7cpDDp11RE5qrxBKUMMhSn7rQ/Z0PgTvsMrU91oDKLoqizIkTXzEv8kos5UNom790rtM3JKYd.",
            Scheme::Sha512Crypt,
        ),
        (
            "{CRYPT}$5$rounds=2000$abcdefgh$XBRXX9zoBDpGbKdvcfMAWt0YeAUBDNNlgztxJdk6Oy9",
            Scheme::Sha256Crypt,
        ),
        ("{plain}secret", Scheme::Plain),
    ];

    #[test]
    fn hashes_of_other_programs_are_verified() {
        for (field, scheme) in FOREIGN {
            let stored = Stored::parse(field).unwrap_or_else(|error| panic!("{field}: {error}"));
            assert_eq!(stored.scheme(), scheme, "{field}");
            assert!(stored.verify(b"secret"), "{field}");
            for wrong in ["", "Secret", "secret ", "secre"] {
                assert!(!stored.verify(wrong.as_bytes()), "{field}: {wrong:?}");
            }
        }
    }

    #[test]
    fn what_is_made_is_read_again_and_has_a_salt_of_its_own() {
        for scheme in Scheme::FOR_NEW {
            let made = Stored::make(scheme, b"s\xc3\xa9same 42");
            let read = Stored::parse(&made.field()).unwrap();
            assert_eq!(read, made);
            assert!(read.verify("sésame 42".as_bytes()) && !read.verify(b"sesame 42"));
            let again = Stored::make(scheme, b"s\xc3\xa9same 42");
            assert_eq!(again == made, scheme == Scheme::Plain, "{scheme:?}");
        }
    }

    #[test]
    fn locked_means_no_password_is_right() {
        for field in ["", "*", "!", "!!", "!$6$salt$"] {
            let stored = Stored::parse(field).unwrap();
            assert_eq!(stored.scheme(), Scheme::Locked);
            assert!(!stored.verify(b"") && !stored.verify(field.as_bytes()), "{field:?}");
        }
    }

    #[test]
    fn errors_say_what_is_allowed_and_show_no_password() {
        let said = |field| Stored::parse(field).unwrap_err().to_string();
        insta::assert_snapshot!(said("hunter2"), @"the password has no scheme and is no hash that says its own ($argon2id$, $2b$, $5$, $6$); write {PLAIN} before a password that is not hashed");
        insta::assert_snapshot!(said("{PLAIN"), @"the password has a { without }; write {SCHEME} and then the hash");
        insta::assert_snapshot!(said("{PLAIN}"), @"this is no PLAIN hash: an empty password is none; leave the field empty to lock the account");
        insta::assert_snapshot!(said("{CRAM-MD5}hunter2"), @"the scheme {CRAM-MD5} is not known; these are: {ARGON2ID}, {BLF-CRYPT}, {SHA512-CRYPT}, {SHA256-CRYPT}, {CRYPT}, {PLAIN}");
        insta::assert_snapshot!(said("{SHA512-CRYPT}hunter2"), @"this is no SHA512-CRYPT hash: write $6$SALT$ or $6$rounds=N$SALT$, and 86 characters");
        insta::assert_snapshot!(said("$6$rounds=10$salt$hunter2"), @"this is no SHA512-CRYPT hash: write $6$SALT$ or $6$rounds=N$SALT$, and 86 characters");
        insta::assert_snapshot!(said("{SHA256-CRYPT}$6$a$b"), @"this is no SHA256-CRYPT hash: write $5$SALT$ or $5$rounds=N$SALT$, and 43 characters");
        insta::assert_snapshot!(said("$2y$99$hunter2"), @"this is no BLF-CRYPT hash: write $2y$COST$ and 53 characters, COST from 04 to 31");
        insta::assert_snapshot!(said("{ARGON2ID}$argon2i$v=19$m=16,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"), @"this is no ARGON2ID hash: write $argon2id$v=19$m=…,t=…,p=…$SALT$HASH");
        insta::assert_snapshot!(
            said("$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA"), @"this ARGON2ID hash asks for 4194304 KiB of memory; at most 1048576 are allowed");
    }

    /// What can't be decoded would be refused without the work that others cost.
    #[test]
    fn every_hash_that_is_accepted_is_worked_on() {
        for (begin, len, allowed) in
            [("$6$salt$", 86, "./01"), ("$5$salt$", 43, "./0123456789ABCD")]
        {
            for last in (b'.'..=b'z').map(char::from) {
                let field = format!("{begin}{}{last}", "x".repeat(len - 1));
                let stored = Stored::parse(&field);
                assert_eq!(stored.is_ok(), allowed.contains(last), "{field}");
                if stored.is_ok() {
                    use sha_crypt::password_hash::Error;
                    let verified = sha_crypt::ShaCrypt::default().verify_password(b"", &*field);
                    assert_eq!(verified, Err(Error::PasswordInvalid), "{field}");
                }
            }
        }
    }

    #[test]
    fn debug_shows_the_scheme_alone() {
        let stored = Stored::parse("{PLAIN}hunter2").unwrap();
        assert_eq!(format!("{stored:?}"), "Stored { scheme: Plain, .. }");
    }
}
