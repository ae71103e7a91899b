//! Passwd-files: one account a line, `user:password:uid:gid:gecos:home:shell:extra`, the field order of Dovecot's.
//!
//! Loft looks at the name and the password; of the extra fields it knows `nologin`, `allow_nets` and `allow_real_nets`
//! (nothing stands between a client and Loft, so both are of the same address). All mail belongs to one system user, so uid, gid and home mean nothing here.
//!
//! Invariant: a file counts as a whole or not at all; an error in one line leaves nobody half known.

use super::nets::Nets;
use super::password::{PasswordError, Scheme, Stored};
use super::{AccountName, NameError};
use std::collections::BTreeMap;
use std::fmt;

/// The largest file that is read, in bytes: a hundred thousand accounts and more.
pub const FILE_MAX: u64 = 64 << 20;

/// One account of a passwd-file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its name.
    pub name: AccountName,
    /// Its password.
    pub password: Stored,
    /// Where it may log in from: all of these lists have to have the address.
    pub nets: Vec<Nets>,
}

/// What is wrong with a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// What, and what is allowed.
    pub why: Wrong,
}

impl fmt::Display for LineError {
    /// `line 3: …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// See [`LineError`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// Bytes that are no text.
    #[error("it is not UTF-8")]
    NotText,
    /// There is no second field.
    #[error(
        "it has no password field; write user:{{SCHEME}}hash, or user: for an account without log-in"
    )]
    NoPassword,
    /// A name that can't be an account's.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A password that can't be one.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Somebody has this name already.
    #[error("the user {name} stands in line {first} too; keep one of them")]
    Twice {
        /// The name.
        name: AccountName,
        /// Where it stood first.
        first: usize,
    },
    /// The networks of an extra field are none.
    #[error("{field}: {why}; separate several by commas, and write local for UNIX sockets")]
    Nets {
        /// `allow_nets` or `allow_real_nets`.
        field: String,
        /// What is wrong.
        why: String,
    },
}

/// Reads a whole file. Empty lines and those that begin with `#` are nobody.
///
/// # Errors
/// All lines that are wrong, in their order.
pub fn parse(file: &[u8]) -> Result<Vec<Entry>, Vec<LineError>> {
    let (mut entries, mut errors) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<AccountName, usize> = BTreeMap::new();
    for (number, line) in lines(file) {
        match parse_line(line) {
            Ok(None) => {}
            Ok(Some(entry)) => {
                if let Some(&first) = seen.get(&entry.name) {
                    let why = Wrong::Twice { name: entry.name, first };
                    errors.push(LineError { line: number, why });
                } else {
                    seen.insert(entry.name.clone(), number);
                    entries.push(entry);
                }
            }
            Err(why) => errors.push(LineError { line: number, why }),
        }
    }
    if errors.is_empty() { Ok(entries) } else { Err(errors) }
}

/// The lines of a file without their ends, counted from 1.
pub(crate) fn lines(file: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = file.split(|&byte| byte == b'\n').enumerate();
    lines.map(|(at, line)| (at + 1, line.strip_suffix(b"\r").unwrap_or(line)))
}

/// Who a line is for; `None` for a comment.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parse_line(line: &[u8]) -> Result<Option<Entry>, Wrong> {
    let line = str::from_utf8(line).map_err(|_| Wrong::NotText)?;
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut fields = line.splitn(8, ':');
    let name = AccountName::new(fields.next().unwrap_or_default())?;
    let mut password = Stored::parse(fields.next().ok_or(Wrong::NoPassword)?)?;
    let mut nets = Vec::new();
    for extra in fields.nth(5).unwrap_or_default().split_ascii_whitespace() {
        let (key, value) = extra.split_once('=').unwrap_or((extra, ""));
        match key {
            "nologin" => password = Stored::parse("!").expect("it means locked"),
            "allow_nets" | "allow_real_nets" => {
                let list = Nets::parse(value);
                nets.push(list.map_err(|why| Wrong::Nets { field: key.to_owned(), why })?);
            }
            _ => {}
        }
    }
    Ok(Some(Entry { name, password, nets }))
}

impl Entry {
    /// Whether some password may be right.
    #[must_use]
    pub fn may_log_in(&self) -> bool {
        self.password.scheme() != Scheme::Locked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_fields_are_those_of_other_servers() {
        let file = "\
# people
alice:{PLAIN}secret:1000:1000:Alice Example,,,:/home/alice:/bin/bash:userdb_quota_rule=*:bytes=10G
Bob@Example.org:$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.

carol:{PLAIN}x::::::nologin=Away delay\r
dan:
eve:{plain}a b:::
";
        let entries = parse(file.as_bytes()).unwrap();
        let shown: Vec<String> = entries
            .iter()
            .map(|entry| format!("{} {}", entry.name, entry.password.scheme().name()))
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        alice PLAIN
        bob@example.org SHA512-CRYPT
        carol locked
        dan locked
        eve PLAIN
        "#);
        assert!(entries[0].password.verify(b"secret") && entries[4].password.verify(b"a b"));
        assert!(!entries[2].password.verify(b"x") && !entries[3].may_log_in());
    }

    #[test]
    fn all_wrong_lines_are_named_with_what_is_allowed() {
        let file = b"alice:{PLAIN}a\nbob\nc d:{PLAIN}x\n:{PLAIN}x\ncarol:hunter2\nALICE:{PLAIN}b\n\
            dave:{PLAIN}x::::::allow_nets=10.0.0.0/8,home\nb\xe9a:{PLAIN}x\nx+y:{PLAIN}x\n";
        let errors = parse(file).unwrap_err();
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(said.join("\n"), @r#"
        line 2: it has no password field; write user:{SCHEME}hash, or user: for an account without log-in
        line 3: ' ' can't stand in a user name; letters, digits and the characters . _ - @ can
        line 4: a user name has 1 to 128 characters, this has 0
        line 5: the password has no scheme and is no hash that says its own ($argon2id$, $2b$, $5$, $6$); write {PLAIN} before a password that is not hashed
        line 6: the user alice stands in line 1 too; keep one of them
        line 7: allow_nets: "home" is no network; write 192.0.2.0/24, 2001:db8::/32 or one address; separate several by commas, and write local for UNIX sockets
        line 8: it is not UTF-8
        line 9: '+' can't stand in a user name; letters, digits and the characters . _ - @ can
        "#);
        assert!(!said.concat().contains("hunter2"));
    }

    proptest! {
        #[test]
        fn whatever_the_file_is_it_is_read_or_all_its_wrong_lines_are_named(
            text in "([a-c:!*{}$=#\\r\\n]|PLAIN|CRYPT|\\$6\\$|\\$2y\\$|\\$argon2id\\$|nologin|\\PC){0,40}",
        ) {
            let lines = text.split('\n').count();
            match parse(text.as_bytes()) {
                Ok(entries) => prop_assert!(entries.len() <= lines),
                Err(errors) => {
                    let numbers: Vec<usize> = errors.iter().map(|error| error.line).collect();
                    prop_assert!(numbers.is_sorted() && numbers.iter().all(|n| (1..=lines).contains(n)));
                }
            }
        }
    }
}
