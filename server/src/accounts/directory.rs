//! The accounts of `loft serve`: those of its passwd-files, as they are now.
//!
//! Invariants:
//! - A file that can't be read or is wrong leaves those in force that it had before.
//! - Who is in an earlier file hides who has the same name in a later one.
//! - A user who does not exist costs the hash of one who does, always the same one for a name.

use super::nets::Nets;
use super::passwd_file::{self, Entry, FILE_MAX, LineError};
use super::password::{Scheme, Stored};
use super::remembered::Remembered;
use super::{AccountName, Accounts, LogIn};
use imap_proto::Secret;
use runtime_smol::Time;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tracing::{error, info};

/// Why a passwd-file can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Something in it is wrong.
    #[error("{}", shown(path, errors))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// Every line that is wrong.
        errors: Vec<LineError>,
    },
}

/// `FILE:LINE: what`, a line for each.
fn shown(path: &Path, errors: &[LineError]) -> String {
    let lines =
        errors.iter().map(|LineError { line, why }| format!("{}:{line}: {why}", path.display()));
    lines.collect::<Vec<_>>().join("\n")
}

/// The accounts of some passwd-files.
pub struct Directory {
    remembered: Arc<Remembered>,
    /// How long a log-in is remembered, in milliseconds.
    remember: AtomicU64,
    /// How often each scheme was at work; the test of who costs how much.
    hashed: Arc<Hashed>,
    /// Held while files are read, so that they are read once.
    files: Mutex<Vec<File>>,
    known: RwLock<Arc<Known>>,
}

/// One passwd-file.
struct File {
    path: PathBuf,
    stamp: Stamp,
    entries: Vec<Entry>,
}

/// All accounts.
#[derive(Default)]
struct Known {
    by_name: HashMap<AccountName, Arc<Stored>>,
    /// Where those may come from that may not come from everywhere.
    nets: HashMap<AccountName, Vec<Nets>>,
    /// Whose hashes unknown users cost: of all who may log in.
    others: Vec<Arc<Stored>>,
    /// The files and what they were when they were read.
    stamps: Vec<(PathBuf, Stamp)>,
}

/// What changes when a file does; the default is a file that isn't there.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Stamp([i64; 7]);

impl Stamp {
    fn of(path: &Path) -> Self {
        std::fs::metadata(path).map_or_else(|_| Self::default(), |meta| Self::from(&meta))
    }
}

impl From<&std::fs::Metadata> for Stamp {
    fn from(meta: &std::fs::Metadata) -> Self {
        let (dev, ino, size) =
            (meta.dev().cast_signed(), meta.ino().cast_signed(), meta.size().cast_signed());
        Self([dev, ino, size, meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()])
    }
}

/// How often passwords were hashed, by scheme.
#[derive(Debug, Default)]
struct Hashed(Mutex<BTreeMap<&'static str, u64>>);

impl Hashed {
    fn count(&self, scheme: Scheme) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(scheme.name()).or_default() += 1;
    }
}

impl Directory {
    /// The accounts of these files; a log-in is remembered for `remember`.
    ///
    /// # Errors
    /// Every file that can't be used.
    pub fn open(paths: &[PathBuf], remember: Duration) -> Result<Self, Vec<Error>> {
        let directory = Self {
            remembered: Arc::new(Remembered::new()),
            remember: AtomicU64::default(),
            hashed: Arc::default(),
            files: Mutex::default(),
            known: RwLock::default(),
        };
        directory.configure(paths, remember)?;
        Ok(directory)
    }

    /// From now on the accounts are those of these files. All are read again.
    ///
    /// # Errors
    /// Every file that can't be used; then all stays as it was.
    pub fn configure(&self, paths: &[PathBuf], remember: Duration) -> Result<(), Vec<Error>> {
        let mut files = self.files();
        let (mut read, mut errors) = (Vec::new(), Vec::new());
        for path in paths {
            match File::read(path) {
                Ok(file) => read.push(file),
                Err((error, _)) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let millis = u64::try_from(remember.as_millis()).unwrap_or(u64::MAX);
        self.remember.store(millis, Ordering::Relaxed);
        *files = read;
        self.publish(&files);
        Ok(())
    }

    /// How many accounts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known().by_name.len()
    }

    /// Whether there is no account.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes what the files hold the accounts, and forgets the log-ins of those that changed.
    fn publish(&self, files: &[File]) {
        let mut known = Known::default();
        for file in files {
            known.stamps.push((file.path.clone(), file.stamp));
            for Entry { name, password, nets } in &file.entries {
                if known.by_name.contains_key(name) {
                    continue;
                }
                let stored = Arc::new(password.clone());
                if stored.scheme() != Scheme::Locked {
                    known.others.push(stored.clone());
                }
                known.by_name.insert(name.clone(), stored);
                if !nets.is_empty() {
                    known.nets.insert(name.clone(), nets.clone());
                }
            }
        }
        if known.others.is_empty() {
            known.others.push(Arc::new(Stored::make(Scheme::Argon2id, b"")));
        }
        let known = Arc::new(known);
        let before = {
            let mut place = self.known.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *place, known.clone())
        };
        for (name, stored) in &before.by_name {
            if known.by_name.get(name) != Some(stored) {
                self.remembered.forget(name);
            }
        }
    }

    /// The account of an address: its own line, or that of its local part alone, `+folder` left out.
    fn find(known: &Known, local: &str, domain: Option<&str>) -> Option<AccountName> {
        let base = local.split('+').next()?;
        let whole = domain.map(|domain| format!("{base}@{domain}"));
        let names = whole.as_deref().into_iter().chain([base]);
        let mut names = names.filter_map(|name| AccountName::new(name).ok());
        names.find(|name| known.by_name.contains_key(name))
    }

    fn named_in(known: &Known, user: &[u8]) -> Option<AccountName> {
        let text = str::from_utf8(user).unwrap_or_default();
        match text.rsplit_once('@') {
            Some((local, domain)) => Self::find(known, local, Some(domain)),
            None => Self::find(known, text, None),
        }
    }

    fn known(&self) -> Arc<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn files(&self) -> MutexGuard<'_, Vec<File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is in a file now.
///
/// # Errors
/// When it can't be used.
pub fn read(path: &Path) -> Result<Vec<Entry>, Error> {
    File::read(path).map(|file| file.entries).map_err(|(error, _)| error)
}

impl Accounts for Directory {
    fn log_in(&self, user: &[u8], password: &Secret, from: Option<IpAddr>, now: Time) -> LogIn {
        let known = self.known();
        let name = Self::named_in(&known, user);
        // Somebody who may not come from there is nobody there, and costs the hash that nobody costs.
        let admitted = |name: &&AccountName| {
            known.nets.get(*name).is_none_or(|nets| nets.iter().all(|nets| nets.admits(from)))
        };
        let stored = name.as_ref().filter(admitted).and_then(|name| known.by_name.get(name));
        let stored = stored.filter(|stored| stored.scheme() != Scheme::Locked).cloned();
        let hashed = self.hashed.clone();
        let Some((name, stored)) = name.zip(stored) else {
            let place = self.remembered.place_of(user, known.others.len());
            let other = known.others.get(place).cloned();
            let password = password.clone();
            return LogIn::Hash(Box::new(move || {
                let other = other?;
                hashed.count(other.scheme());
                let _nobody = std::hint::black_box(other.verify(password.expose()));
                None
            }));
        };
        if self.remembered.knows(&name, password.expose(), &stored, now) {
            return LogIn::Done(Some(name));
        }
        let (password, remembered) = (password.clone(), self.remembered.clone());
        let how_long = Duration::from_millis(self.remember.load(Ordering::Relaxed));
        LogIn::Hash(Box::new(move || {
            hashed.count(stored.scheme());
            let right = stored.verify(password.expose());
            if right {
                remembered.add(&name, password.expose(), &stored, now, how_long);
            }
            right.then_some(name)
        }))
    }

    fn named(&self, user: &[u8]) -> Option<AccountName> {
        Self::named_in(&self.known(), user)
    }

    fn recipient(&self, local: &str, domain: Option<&str>) -> Option<AccountName> {
        Self::find(&self.known(), local, domain)
    }

    fn count(&self) -> usize {
        self.len()
    }

    /// One stat for each file, of what the kernel has in memory.
    fn is_stale(&self) -> bool {
        self.known().stamps.iter().any(|(path, stamp)| Stamp::of(path) != *stamp)
    }

    fn refresh(&self) {
        let mut files = self.files();
        let mut changed = false;
        for file in files.iter_mut().filter(|file| Stamp::of(&file.path) != file.stamp) {
            changed = true;
            match File::read(&file.path) {
                Ok(read) => {
                    info!(path = %read.path.display(), accounts = read.entries.len(), "the users were read again");
                    *file = read;
                }
                Err((error, stamp)) => {
                    // Said once: until it changes again it is not read again.
                    file.stamp = stamp;
                    error!(%error, "the users stay as they were");
                }
            }
        }
        if changed {
            self.publish(&files);
        }
    }
}

impl File {
    /// What the file holds, and what it was then; on an error too.
    fn read(path: &Path) -> Result<Self, (Error, Stamp)> {
        let mut stamp = Stamp::default();
        let mut read = || -> io::Result<Vec<u8>> {
            let file = std::fs::File::open(path)?;
            let meta = file.metadata()?;
            stamp = Stamp::from(&meta);
            if !meta.is_file() {
                return Err(io::Error::other("it is not a regular file"));
            }
            let mut bytes = Vec::new();
            file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > FILE_MAX {
                return Err(io::Error::other(format!("it is larger than {FILE_MAX} bytes")));
            }
            Ok(bytes)
        };
        let bytes = match read() {
            Ok(bytes) => bytes,
            // Unreadable, but there: its stamp counts as it will be seen.
            Err(source) => {
                let error = Error::Read { path: path.to_owned(), source };
                return Err((error, Stamp::of(path)));
            }
        };
        match passwd_file::parse(&bytes) {
            Ok(entries) => Ok(Self { path: path.to_owned(), stamp, entries }),
            Err(errors) => Err((Error::Wrong { path: path.to_owned(), errors }, stamp)),
        }
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").field("accounts", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    const HOUR: Duration = Duration::from_secs(3600);
    /// Cheap enough for tests; the password is `secret`.
    const BCRYPT: &str = "{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

    struct World {
        dir: TempDir,
        directory: Directory,
        now: Time,
        from: &'static str,
    }

    impl World {
        fn new(users: &str) -> Self {
            let dir = TempDir::new().unwrap();
            fs::write(dir.path().join("users"), users).unwrap();
            let directory = Directory::open(&[dir.path().join("users")], HOUR).unwrap();
            Self { dir, directory, now: Time(1), from: "192.0.2.1" }
        }

        fn write(&self, users: &str) {
            // As an atomic writer does: the time alone may be the same.
            fs::write(self.dir.path().join("new"), users).unwrap();
            fs::rename(self.dir.path().join("new"), self.dir.path().join("users")).unwrap();
        }

        /// The account, and whether a password was hashed for it.
        fn log_in(&self, user: &str, password: &str) -> (Option<String>, bool) {
            let password = Secret::new(password.into());
            let from = self.from.parse().ok();
            let attempt = self.directory.log_in(user.as_bytes(), &password, from, self.now);
            let (name, hashed) = match attempt {
                LogIn::Done(name) => (name, false),
                LogIn::Hash(work) => (work(), true),
            };
            (name.map(|name| name.to_string()), hashed)
        }

        fn hashes(&self) -> Vec<(&'static str, u64)> {
            let counts = self.directory.hashed.0.lock().unwrap();
            counts.iter().map(|(name, n)| (*name, *n)).collect()
        }
    }

    #[test]
    fn who_comes_from_elsewhere_is_nobody_there_remembered_or_not() {
        let mut world = World::new(&format!(
            "alice:{BCRYPT}::::::allow_nets=192.0.2.0/24,local\nbob:{BCRYPT}\n\
            carol:{BCRYPT}::::::allow_nets=192.0.2.0/24 allow_real_nets=192.0.2.1\n"
        ));
        assert_eq!(world.log_in("alice", "secret"), right("alice", true));
        world.from = "198.51.100.1";
        // The same work as for a name that there isn't, though the log-in is remembered.
        assert_eq!(world.log_in("alice", "secret"), (None, true));
        assert_eq!(world.log_in("bob", "secret"), right("bob", true));
        world.from = "a UNIX socket";
        assert_eq!(world.log_in("alice", "secret"), right("alice", false));
        assert_eq!(world.log_in("carol", "secret"), (None, true));
        world.from = "192.0.2.2";
        assert_eq!(world.log_in("carol", "secret"), (None, true));
        world.from = "192.0.2.1";
        assert_eq!(world.log_in("carol", "secret"), right("carol", true));
        // Taken away and given back as the file says.
        world.write(&format!("alice:{BCRYPT}::::::allow_nets=203.0.113.0/24\ncarol:{BCRYPT}\n"));
        world.directory.refresh();
        assert_eq!(world.log_in("alice", "secret"), (None, true));
        world.from = "198.51.100.1";
        assert_eq!(world.log_in("carol", "secret").0.as_deref(), Some("carol"));
        assert!(world.directory.recipient("alice", None).is_some(), "mail comes from everywhere");
    }

    fn right(name: &str, hashed: bool) -> (Option<String>, bool) {
        (Some(name.to_owned()), hashed)
    }

    #[test]
    fn spellings_of_a_name_are_one_account_and_a_whole_address_comes_first() {
        let world =
            World::new("alice:{PLAIN}a\nalice@other.org:{PLAIN}b\nbob@example.org:{PLAIN}c\n");
        for (user, password, name) in [
            ("Alice", "a", Some("alice")),
            ("alice@example.org", "a", Some("alice")),
            ("alice+lists@example.org", "a", Some("alice")),
            ("ALICE@Other.org", "b", Some("alice@other.org")),
            ("alice@other.org", "a", None),
            ("bob@example.org", "c", Some("bob@example.org")),
            ("bob", "c", None),
            ("bob@other.org", "c", None),
            ("", "a", None),
            ("@other.org", "b", None),
        ] {
            assert_eq!(world.log_in(user, password).0.as_deref(), name, "{user}");
        }
        let to =
            |local, domain| world.directory.recipient(local, domain).map(|name| name.to_string());
        assert_eq!(to("ALICE+x", Some("example.org")).as_deref(), Some("alice"));
        assert_eq!(to("alice", Some("OTHER.org")).as_deref(), Some("alice@other.org"));
        assert_eq!((to("bob", None), to("carol", Some("example.org"))), (None, None));
    }

    #[test]
    fn a_right_log_in_is_remembered_for_a_while_and_a_wrong_one_never() {
        let mut world = World::new(&format!("alice:{BCRYPT}\n"));
        assert_eq!(world.log_in("alice", "wrong"), (None, true));
        assert_eq!(world.log_in("alice", "secret"), right("alice", true));
        assert_eq!(world.log_in("Alice@x", "secret"), right("alice", false));
        for _ in 0..2 {
            assert_eq!(world.log_in("alice", "wrong"), (None, true));
        }
        assert_eq!(world.log_in("alice", "secret"), right("alice", false));
        world.now = world.now.after(HOUR);
        assert_eq!(world.log_in("alice", "secret"), right("alice", true));
    }

    #[test]
    fn a_change_of_the_file_is_seen_and_ends_what_was_remembered() {
        let world = World::new(&format!("alice:{BCRYPT}\nbob:{BCRYPT}\n"));
        world.log_in("alice", "secret");
        world.log_in("bob", "secret");
        assert!(!world.directory.is_stale());
        world.write(&format!("alice:{{PLAIN}}other\nbob:{BCRYPT}\ncarol:{{PLAIN}}c\n"));
        assert!(world.directory.is_stale());
        world.directory.refresh();
        assert!(!world.directory.is_stale());
        assert_eq!(world.log_in("alice", "secret"), (None, true));
        assert_eq!(world.log_in("alice", "other"), right("alice", true));
        assert_eq!(world.log_in("bob", "secret"), right("bob", false));
        assert_eq!(world.log_in("carol", "c"), right("carol", true));
        world.write("alice:{PLAIN}other\n");
        world.directory.refresh();
        assert_eq!(world.log_in("bob", "secret"), (None, true));
        // And back again: what was remembered before was forgotten.
        world.write(&format!("bob:{BCRYPT}\n"));
        world.directory.refresh();
        assert_eq!(world.log_in("bob", "secret"), right("bob", true));
    }

    #[test]
    fn a_bad_or_missing_file_leaves_the_old_users() {
        let world = World::new("alice:{PLAIN}a\n");
        world.write("alice:{PLAIN}b\nbob:hunter2\n");
        world.directory.refresh();
        assert!(!world.directory.is_stale(), "it would be read at every log-in");
        assert_eq!(world.log_in("alice", "a").0.as_deref(), Some("alice"));
        assert_eq!(world.log_in("alice", "b").0, None);
        fs::remove_file(world.dir.path().join("users")).unwrap();
        world.directory.refresh();
        assert!(!world.directory.is_stale());
        assert_eq!(world.log_in("alice", "a").0.as_deref(), Some("alice"));
        world.write("alice:{PLAIN}c\n");
        assert!(world.directory.is_stale());
        world.directory.refresh();
        assert_eq!(world.log_in("alice", "c").0.as_deref(), Some("alice"));
    }

    #[test]
    fn row_20_unknown_and_locked_users_cost_the_hash_that_known_ones_cost() {
        let world = World::new(&format!("alice:{BCRYPT}\nlocked:\n"));
        world.log_in("alice", "wrong");
        assert_eq!(world.hashes(), [("BLF-CRYPT", 1)]);
        for (n, user) in (2..).zip(["nobody", "nobody@example.org", "locked", "\u{e9}", ""]) {
            assert_eq!(world.log_in(user, "secret"), (None, true), "{user}");
            assert_eq!(world.hashes(), [("BLF-CRYPT", n)], "{user}");
        }
    }

    #[test]
    fn row_20_an_unknown_user_costs_the_same_each_time_and_all_schemes_occur() {
        let world = World::new(&format!("a:{BCRYPT}\nb:{{PLAIN}}b\n"));
        let mut schemes = std::collections::BTreeSet::new();
        for n in 0..40 {
            let user = format!("nobody{n}");
            let before: u64 = world.hashes().iter().map(|(_, n)| n).sum();
            let mut costs = Vec::new();
            for _ in 0..2 {
                let counts = world.hashes();
                world.log_in(&user, "b");
                let now = world.hashes();
                costs.push(now.into_iter().find(|count| !counts.contains(count)).unwrap().0);
            }
            assert_eq!(costs[0], costs[1], "{user}");
            assert_eq!(world.hashes().iter().map(|(_, n)| n).sum::<u64>(), before + 2);
            schemes.insert(costs[0]);
        }
        assert_eq!(schemes.len(), 2, "{schemes:?}");
    }

    #[test]
    fn without_users_a_log_in_costs_a_hash_too() {
        let world = World::new("# nobody yet\n");
        assert_eq!(world.log_in("alice", ""), (None, true));
        assert_eq!(world.hashes(), [("ARGON2ID", 1)]);
    }

    #[test]
    fn files_that_can_not_be_used_are_all_named() {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("a"), "x\n").unwrap();
        let errors =
            Directory::open(&[dir.path().join("a"), dir.path().join("b")], HOUR).unwrap_err();
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(said[0].contains("/a:1: it has no password field"), "{said:?}");
        assert!(said[1].starts_with("cannot read ") && said[1].contains("/b: "), "{said:?}");
    }
}
