//! Changes of a passwd-file: one line is written, all others stay as they are, byte for byte.
//!
//! Invariant: whoever reads the file sees it before or after a change, never between; two that change it take turns.

use super::AccountName;
use super::passwd_file::{self, LineError, Wrong};
use super::password::Stored;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A passwd-file that nobody else changes while this value lives.
pub struct Editing {
    path: PathBuf,
    /// Holds the lock.
    file: File,
    text: Vec<u8>,
}

impl Editing {
    /// Opens the file, waiting for others that change it. With `create` an empty one is made when there is none,
    /// readable by its owner alone.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn open(path: &Path, create: bool) -> io::Result<Self> {
        // A link stays one: what it names is replaced.
        let path = match std::fs::canonicalize(path) {
            Ok(path) => path,
            Err(error) if create && error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        loop {
            let mut options = File::options();
            let mut file =
                options.read(true).append(true).create(create).mode(0o600).open(&path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            // While we waited, another file may have taken its name.
            let (own, named) = (file.metadata()?, std::fs::metadata(&path));
            if !named.is_ok_and(|named| (named.dev(), named.ino()) == (own.dev(), own.ino())) {
                continue;
            }
            let mut text = Vec::new();
            file.read_to_end(&mut text)?;
            return Ok(Self { path, file, text });
        }
    }

    /// What is in it.
    ///
    /// # Errors
    /// All lines that are wrong: such a file is not changed.
    pub fn entries(&self) -> Result<Vec<passwd_file::Entry>, Vec<LineError>> {
        passwd_file::parse(&self.text)
    }

    /// Adds an account at the end.
    ///
    /// # Errors
    /// Those of writing; the file is then as it was.
    pub fn add(self, name: &AccountName, password: &Stored) -> io::Result<()> {
        let mut text = self.text.clone();
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text.extend_from_slice(format!("{name}:{}::::::\n", password.field()).as_bytes());
        self.write(&text)
    }

    /// Gives an account another password; the other fields stay. `false` when it is not there.
    ///
    /// # Errors
    /// Those of writing; the file is then as it was.
    pub fn set_password(self, name: &AccountName, password: &Stored) -> io::Result<bool> {
        self.replace_line(name, |line| {
            let mut fields: Vec<&[u8]> = line.splitn(3, |&byte| byte == b':').collect();
            let field = password.field();
            if let Some(old) = fields.get_mut(1) {
                *old = field.as_bytes();
            }
            let mut line = fields.join(&b':');
            line.push(b'\n');
            line
        })
    }

    /// Takes an account out. `false` when it is not there.
    ///
    /// # Errors
    /// Those of writing; the file is then as it was.
    pub fn remove(self, name: &AccountName) -> io::Result<bool> {
        self.replace_line(name, |_| Vec::new())
    }

    fn replace_line(
        self,
        name: &AccountName,
        other: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> io::Result<bool> {
        let mut text = Vec::with_capacity(self.text.len() + 128);
        let mut other = Some(other);
        for line in self.text.split_inclusive(|&byte| byte == b'\n') {
            let bare = line.strip_suffix(b"\n").unwrap_or(line);
            let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
            let is_it = |entry: Result<Option<passwd_file::Entry>, Wrong>| {
                entry.is_ok_and(|entry| entry.is_some_and(|entry| entry.name == *name))
            };
            if other.is_some() && is_it(passwd_file::parse_line(bare)) {
                let other = other.take().expect("it was there a line before");
                text.extend_from_slice(&other(bare));
            } else {
                text.extend_from_slice(line);
            }
        }
        let found = other.is_none();
        if found {
            self.write(&text)?;
        }
        Ok(found)
    }

    /// Puts a file with this text, the same owner and permissions in its place.
    fn write(self, text: &[u8]) -> io::Result<()> {
        let old = self.file.metadata()?;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = dir.join(format!(".{name}.{}.new", std::process::id()));
        let written = (|| -> io::Result<()> {
            let mut options = File::options();
            let mut new = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
            new.write_all(text)?;
            let made = new.metadata()?;
            if (made.uid(), made.gid()) != (old.uid(), old.gid()) {
                std::os::unix::fs::fchown(&new, Some(old.uid()), Some(old.gid()))?;
            }
            new.set_permissions(std::fs::Permissions::from_mode(old.mode() & 0o7777))?;
            new.sync_all()?;
            std::fs::rename(&temporary, &self.path)
        })();
        if let Err(error) = written {
            let _was_not_made = std::fs::remove_file(&temporary);
            return Err(error);
        }
        let dir = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
        rustix::fs::fsync(&dir)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    const USERS: &str =
        "# people\r\nalice:{PLAIN}a:1:2:Alice:/home/a:/bin/sh:x=y:z\r\n\n bob\n# end";

    fn file(text: &str) -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("users");
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn name(text: &str) -> AccountName {
        AccountName::new(text).unwrap()
    }

    fn plain(text: &str) -> Stored {
        Stored::parse(&format!("{{PLAIN}}{text}")).unwrap()
    }

    #[test]
    fn a_change_touches_its_own_line_only() {
        let (_dir, path) = file(USERS);
        let open = || Editing::open(&path, false).unwrap();
        open().add(&name("carol"), &plain("c")).unwrap();
        assert!(open().set_password(&name("ALICE"), &plain("b")).unwrap());
        let now = fs::read_to_string(&path).unwrap();
        let expected = "# people\r\nalice:{PLAIN}b:1:2:Alice:/home/a:/bin/sh:x=y:z\n\n bob\n# end\ncarol:{PLAIN}c::::::\n";
        assert_eq!(now, expected);
        assert!(open().remove(&name("alice")).unwrap() && !open().remove(&name("alice")).unwrap());
        assert!(!open().set_password(&name("dan"), &plain("x")).unwrap());
        let now = fs::read_to_string(&path).unwrap();
        assert_eq!(now, "# people\r\n\n bob\n# end\ncarol:{PLAIN}c::::::\n");
    }

    #[test]
    fn permissions_and_links_stay_and_nothing_is_left_behind() {
        let (dir, path) = file("a:{PLAIN}a\n");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("users", &link).unwrap();
        Editing::open(&link, false).unwrap().add(&name("b"), &plain("b")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        assert_eq!(Editing::open(&link, false).unwrap().entries().unwrap().len(), 2);
    }

    #[test]
    fn a_new_file_is_for_its_owner_alone() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("users");
        assert!(Editing::open(&path, false).is_err());
        Editing::open(&path, true).unwrap().add(&name("a"), &plain("a")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a:{PLAIN}a::::::\n");
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let (_dir, path) = file("");
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    for n in 0..10 {
                        let editing = Editing::open(path, false).unwrap();
                        editing.add(&name(&format!("u{thread}-{n}")), &plain("x")).unwrap();
                    }
                });
            }
        });
        assert_eq!(Editing::open(&path, false).unwrap().entries().unwrap().len(), 40);
    }
}
