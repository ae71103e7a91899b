//! Reads a backup whole, and says what is wrong with it.

use super::archive::{Archive, ArchiveFs, read_object};
use super::create::{TOLD, Tell, Told};
use super::error::Error;
use super::manifest::{Generation, Manifest, Name, Object};
use super::repository::Repository;
use crate::store;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// One thing that is wrong.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Damage {
    /// The generation in which it was found: the newest that has it.
    pub generation: u64,
    /// The account; none where it is about all.
    pub user: Option<String>,
    /// The mailbox, where it is about one.
    pub mailbox: Option<String>,
    /// The file: of the account, or below the backup directory.
    pub file: String,
    /// In words.
    pub what: String,
}

/// What was looked at.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Verified {
    /// Generations.
    pub generations: u64,
    /// Accounts, each as it was in each generation in which it had changed.
    pub accounts: u64,
    /// Messages in them.
    pub messages: u64,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Things that are wrong.
    pub damages: u64,
}

/// Looks at one generation, or at all of them.
///
/// # Errors
/// When the directory can't be read at all. What is damaged is told by `found`, and is no error.
pub(crate) fn verify(
    repository: &Arc<Repository>,
    only: Option<u64>,
    found: &mut dyn FnMut(Damage),
    tell: Tell<'_>,
) -> Result<Verified, Error> {
    let mut numbers = repository.generations()?;
    if let Some(only) = only {
        numbers.retain(|number| *number == only);
        if numbers.is_empty() {
            return Err(Error::NoGeneration { number: only });
        }
    }
    if numbers.is_empty() {
        return Err(Error::Unfinished { dir: repository.dir.clone() });
    }
    let mut verify = Verify {
        repository,
        found,
        tell,
        sum: Verified::default(),
        looked_at: BTreeSet::new(),
        objects: BTreeMap::new(),
        generation: 0,
    };
    // The newest first: what is wrong is told once.
    for number in numbers.into_iter().rev() {
        verify.generation = number;
        verify.sum.generations += 1;
        match repository.generation(Some(number)) {
            Ok(generation) => verify.generation(&generation)?,
            Err(Error::Damaged { path, why }) => verify.found(None, None, &path, why),
            Err(error) => return Err(error),
        }
    }
    Ok(verify.sum)
}

struct Verify<'a> {
    repository: &'a Arc<Repository>,
    found: &'a mut dyn FnMut(Damage),
    tell: Tell<'a>,
    sum: Verified,
    /// Manifests that were.
    looked_at: BTreeSet<Name>,
    /// Objects that were, and what is wrong with them.
    objects: BTreeMap<Name, Option<String>>,
    generation: u64,
}

impl Verify<'_> {
    fn found(&mut self, user: Option<&str>, mailbox: Option<&str>, file: &Path, what: String) {
        let file = file.strip_prefix(&self.repository.dir).unwrap_or(file).display().to_string();
        self.sum.damages += 1;
        (self.found)(Damage {
            generation: self.generation,
            user: user.map(str::to_owned),
            mailbox: mailbox.map(str::to_owned),
            file,
            what,
        });
    }

    fn generation(&mut self, generation: &Generation) -> Result<(), Error> {
        let accounts = generation.accounts.iter();
        let all = accounts.map(|saved| (saved.user.as_str(), saved.manifest));
        for (user, object) in all.chain([("", generation.shared)]) {
            if !self.looked_at.insert(object.name) {
                continue;
            }
            let user = Some(user).filter(|user| !user.is_empty());
            let manifest = match self.repository.manifest(object) {
                Ok(manifest) => manifest,
                Err(Error::Damaged { path, why }) => {
                    let what = format!("{why}: nothing of the account can be found");
                    self.found(user, None, &path, what);
                    continue;
                }
                Err(error) => return Err(error),
            };
            self.manifest(user, &manifest)?;
            if let Some(user) = user {
                self.account(user, &generation.store, &manifest)?;
            }
        }
        Ok(())
    }

    /// Reads each object that is new here, and says which files have those that are damaged.
    fn manifest(&mut self, user: Option<&str>, manifest: &Manifest) -> Result<(), Error> {
        let total: u64 = manifest.objects.iter().map(|object| object.len).sum();
        let mut done = 0;
        for (number, object) in (0..).zip(&manifest.objects) {
            let why = self.object(*object, user.unwrap_or_default(), (&mut done, total))?;
            let Some(why) = why else { continue };
            let of: Vec<&str> = manifest
                .files
                .iter()
                .filter(|file| file.pieces.iter().any(|piece| piece.0 == number))
                .map(|file| file.path.as_str())
                .collect();
            let more = match of.len().saturating_sub(5) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let of = of.get(..5).unwrap_or(&of).join(", ");
            let path = self.repository.object_path(object.name);
            self.found(user, None, &path, format!("{why}: it is needed for {of}{more}"));
        }
        Ok(())
    }

    fn object(
        &mut self,
        object: Object,
        user: &str,
        (done, total): (&mut u64, u64),
    ) -> Result<Option<String>, Error> {
        if let Some(known) = self.objects.get(&object.name) {
            *done += object.len;
            return Ok(known.clone());
        }
        let tell = &mut self.tell;
        let mut told = *done;
        let wrong = read_object(self.repository, object, &mut |bytes| {
            *done += bytes.len() as u64;
            if *done < told + TOLD {
                return Ok(());
            }
            told = *done;
            match tell(Told::Progress { user: user.to_owned(), done: *done, total }) {
                true => Ok(()),
                false => Err(Error::Interrupted),
            }
        })?;
        self.sum.objects += 1;
        self.sum.bytes += object.len;
        let wrong = wrong.err();
        self.objects.insert(object.name, wrong.clone());
        Ok(wrong)
    }

    /// Reads an account as a server would.
    fn account(&mut self, user: &str, guid: &str, manifest: &Manifest) -> Result<(), Error> {
        self.sum.accounts += 1;
        let root = Path::new("/");
        let Ok(place) = dbox_format::paths::account(user) else { return Ok(()) };
        let top = root.join(place);
        let archive = Archive::new(self.repository.clone(), manifest, &top);
        let guid = guid.parse().unwrap_or_default();
        let mut damages = Vec::new();
        let messages = store::inspect(
            Arc::new(ArchiveFs(archive)),
            (root, guid, user),
            &mut |mailbox, path, what| {
                let file = path.strip_prefix(&top).unwrap_or(path).to_owned();
                damages.push((mailbox.map(str::to_owned), file, what));
            },
            &mut |_, _| {},
        );
        for (mailbox, file, what) in damages {
            self.found(Some(user), mailbox.as_deref(), &file, what);
        }
        match messages {
            Ok(messages) => self.sum.messages += messages,
            // An object that can't be read was told of; this says what it costs.
            Err(error) => self.found(Some(user), None, Path::new(""), error.to_string()),
        }
        Ok(())
    }
}
