//! Whose a file is to be, as people write it.

use runtime_smol::Owner;
use std::path::Path;

/// `user`, `user:group` or `:group`, by name or by number, and what that is on this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnerName {
    text: String,
    owner: Owner,
}

impl OwnerName {
    /// Looks the names up in `/etc/passwd` and `/etc/group`.
    ///
    /// # Errors
    /// What is allowed, or who is not known.
    pub fn new(text: &str) -> Result<Self, String> {
        Self::within(text, Path::new("/etc"))
    }

    fn within(text: &str, etc: &Path) -> Result<Self, String> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        if (user.is_empty() && group.is_empty()) || group.contains(':') {
            return Err("write \"USER\", \"USER:GROUP\" or \":GROUP\"".to_owned());
        }
        let user = find(user, "user", &etc.join("passwd"))?;
        let group = find(group, "group", &etc.join("group"))?;
        Ok(Self { text: text.to_owned(), owner: Owner { user, group } })
    }

    /// Who that is.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// The number of a name, which is the third field of its line.
fn find(name: &str, what: &str, file: &Path) -> Result<Option<u32>, String> {
    if name.is_empty() {
        return Ok(None);
    }
    if let Ok(number) = name.parse::<u32>()
        // It means "leave it" to the kernel.
        && number != u32::MAX
    {
        return Ok(Some(number));
    }
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{} can't be read: {error}; write a number", file.display()))?;
    let lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut found = lines.filter(|fields| fields.first() == Some(&name));
    let number = found.next().and_then(|fields| fields.get(2)?.parse().ok());
    number.map(Some).ok_or_else(|| format!("no {what} is called {name:?} in {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let etc = tempfile::TempDir::new().unwrap();
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\npostfix:x:106:113::/var/spool/postfix:/bin/false\n";
        std::fs::write(etc.path().join("passwd"), passwd).unwrap();
        std::fs::write(etc.path().join("group"), "root:x:0:\nmail:x:8:postfix\n").unwrap();
        let owner = |text: &str| OwnerName::within(text, etc.path()).map(|name| name.owner());
        for (text, user, group) in [
            ("postfix", Some(106), None),
            ("postfix:mail", Some(106), Some(8)),
            (":mail", None, Some(8)),
            ("0:0", Some(0), Some(0)),
            ("1000:", Some(1000), None),
        ] {
            assert_eq!(owner(text), Ok(Owner { user, group }), "{text}");
        }
        for (text, why) in [
            ("", "write \"USER\""),
            (":", "write \"USER\""),
            ("a:b:c", "write \"USER\""),
            ("mail", "no user is called \"mail\""),
            ("root:postfix", "no group is called \"postfix\""),
            ("4294967295", "no user is called"),
        ] {
            let said = owner(text).unwrap_err();
            assert!(said.starts_with(why), "{text}: {said}");
        }
    }
}
