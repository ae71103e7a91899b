//! Looks at the files of an account that nobody has in use: of a backup.

use super::account::Account;
use super::check::damage;
use super::error::StoreError;
use super::files::Files;
use super::mailbox::Mbox;
use dbox_format::Seed;
use dbox_format::container::Verifier;
use dbox_format::map::{self, Entry, MapId};
use dbox_format::paths;
use index_format::Guid;
use index_format::mailbox::Parts;
use runtime_smol::fs::{self, Fs, Open};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Open files, at most.
const OPEN: usize = 64;
/// Bytes of a record that are looked at in one step.
const PIECE: usize = 64 << 10;
/// Messages after which progress is told.
const STEP: usize = 1024;

/// Who is told of damage: the mailbox where it is about one, the file, what is wrong.
pub(crate) type Tell<'a> = &'a mut dyn FnMut(Option<&str>, &Path, String);

/// Reads the account `user` of the store `guid`, which lies below `root`, whole: list, map, each mailbox, each message.
/// `progress` is told how many messages were read, of how many; how many there are is returned.
///
/// # Errors
/// I/O. What is damaged is told, and is no error.
pub(crate) fn inspect(
    fs: Arc<dyn Fs>,
    (root, guid, user): (&Path, Guid, &str),
    tell: Tell<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, StoreError> {
    let files = Files::new(fs, OPEN);
    let account = match Account::load(&files, root, guid, user) {
        Ok((account, _)) => account,
        Err(StoreError::Damaged { path, why }) => {
            tell(None, &path, format!("the account can't be read: {why}"));
            return Ok(0);
        }
        Err(error) => return Err(error),
    };
    for name in ["list.index", "list.index.prev", "map.index", "map.index.prev"] {
        snapshot(&files, &account.dir().join(name), None, tell)?;
    }
    let state = account.lock()?;
    let mut places: BTreeMap<u32, (String, u32)> = BTreeMap::new();
    for entry in state.list.iter() {
        let mbox = Mbox::load(&files, account.dir(), entry).and_then(|(mut mbox, _)| {
            mbox.need(&files, account.dir(), Parts::ALL)?;
            Ok(mbox)
        });
        for name in ["index", "index.prev", "index.delta"] {
            let path = super::mailbox::directory(account.dir(), entry.guid).join(name);
            snapshot(&files, &path, Some(&*entry.name), tell)?;
        }
        let mbox = match mbox {
            Ok(mbox) => mbox,
            Err(StoreError::Damaged { path, why }) => {
                tell(Some(&*entry.name), &path, why);
                continue;
            }
            Err(error) => return Err(error),
        };
        for row in mbox.mailbox.iter() {
            let id = row.map_id.0;
            if state.map.get(MapId(id)).is_none() {
                let what = format!("UID {} is map id {id}, which the map does not have", row.uid);
                let dir = super::mailbox::directory(account.dir(), entry.guid);
                tell(Some(&*entry.name), &dir, what);
            }
            places.entry(id).or_insert_with(|| (entry.name.to_string(), row.uid.0));
        }
    }
    let mut wanted: Vec<(MapId, Entry)> = state.map.iter().collect();
    wanted.sort_by_key(|(_, entry)| (entry.container, entry.offset));
    let mut apart = BTreeSet::new();
    for (done, (id, entry)) in wanted.iter().enumerate() {
        if done % STEP == 0 {
            progress(done as u64, wanted.len() as u64);
        }
        let seed = state.map.container(entry.container).map(|known| known.seed);
        let path = account.container_path(entry.container);
        let mut wrong = match seed {
            Some(seed) => record(&files, &path, seed, entry)?,
            None => Some("the map does not know its container".to_owned()),
        };
        let list = state.map.extra(*id).map(|extra| extra.attachments());
        for part in list.into_iter().flat_map(|list| list.unwrap_or_default()) {
            let link = account.dir().join(paths::attachment_link(&part.hash));
            let there = apart.contains(&part.hash.0)
                || files
                    .fs()
                    .metadata(&link)
                    .map_err(|error| StoreError::io("look at", &link, error))?
                    .is_some();
            if there {
                apart.insert(part.hash.0);
            } else {
                wrong.get_or_insert(format!("its part {} is missing", part.hash));
            }
        }
        if let Some(why) = wrong {
            let (mailbox, whose) = match places.get(&id.0) {
                Some((mailbox, uid)) => (Some(mailbox.as_str()), format!("UID {uid}")),
                None => (None, "a message that is in no mailbox".to_owned()),
            };
            let what = format!("{whose} (map id {}, byte {}): {why}", id.0, entry.offset);
            tell(mailbox, &path, what);
        }
    }
    progress(wanted.len() as u64, wanted.len() as u64);
    Ok(wanted.len() as u64)
}

/// Whether a snapshot is whole, if it is there.
fn snapshot(
    files: &Files,
    path: &Path,
    mailbox: Option<&str>,
    tell: Tell<'_>,
) -> Result<(), StoreError> {
    let bytes = match fs::read_all(files.fs(), path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        // A damaged object says so here.
        Err(error) => {
            tell(mailbox, path, error.to_string());
            return Ok(());
        }
    };
    let is_map = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("map"));
    let wrong = match is_map {
        true => map::Snapshot::parse(&bytes)
            .and_then(|snapshot| snapshot.load())
            .err()
            .map(|e| e.to_string()),
        false => damage(&bytes).map(|(at, why)| format!("byte {at}: {why}")),
    };
    if let Some(why) = wrong {
        tell(mailbox, path, format!("a snapshot: {why}"));
    }
    Ok(())
}

/// What is wrong with the record of a message, if anything.
fn record(
    files: &Files,
    path: &Path,
    seed: Seed,
    entry: &Entry,
) -> Result<Option<String>, StoreError> {
    let file = match files.get(path, Open::Read) {
        Ok(file) => file,
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
            return Ok(Some("its container is missing".to_owned()));
        }
        Err(error) => return Err(error),
    };
    let mut verifier = Verifier::new(seed);
    let mut piece = vec![0; PIECE];
    let (mut at, end) = (entry.offset, entry.offset.saturating_add(entry.record_len));
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        let room = piece.get_mut(..len).unwrap_or_default();
        match file.read_at(room, at) {
            Ok(0) => return Ok(Some("its container ends in it".to_owned())),
            Ok(read) => {
                if let Err(error) = verifier.push(room.get(..read).unwrap_or_default()) {
                    return Ok(Some(error.to_string()));
                }
                at += read as u64;
            }
            // A damaged object says so here.
            Err(error) => return Ok(Some(error.to_string())),
        }
    }
    Ok(match verifier.finish() {
        Ok(found) if found.guid == entry.guid => None,
        Ok(_) => Some("another message stands there".to_owned()),
        Err(error) => Some(error.to_string()),
    })
}
