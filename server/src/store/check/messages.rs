//! Whether messages are what their checksums and the map say, and whether the map counts the references that there are.

use super::super::account::Account;
use super::super::error::StoreError;
use super::{Check, Harm, References, STEP};
use dbox_format::container::{FileHeader, Verifier};
use dbox_format::map::{self, MapId};
use runtime_smol::fs::Open;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// Bytes of a record that are looked at in one step.
const PIECE: usize = 64 << 10;

impl Check<'_> {
    /// Reads messages, and holds them against their checksums and the map.
    pub(super) fn messages(
        &mut self,
        account: &Arc<Account>,
        some: bool,
        references: &References,
    ) -> Result<(), StoreError> {
        let mut wanted: Vec<(MapId, map::Entry)> = {
            let state = account.lock()?;
            let pending = account.pending();
            let asked = |id: MapId| !some || references.places.contains_key(&id.0);
            state.map.iter().filter(|(id, _)| asked(*id) && !pending.contains_key(&id.0)).collect()
        };
        wanted.sort_by_key(|(_, entry)| (entry.container, entry.offset));
        let mut container = None;
        for (done, (id, entry)) in (0..).zip(&wanted) {
            if done % STEP == 0 {
                self.progress(done, wanted.len() as u64, "messages");
            }
            let seed = account.lock()?.map.container(entry.container).map(|known| known.seed);
            let Some(seed) = seed else { continue };
            let path = account.container_path(entry.container);
            if container != Some(entry.container) {
                container = Some(entry.container);
                self.container_header(&path, entry.container, seed)?;
            }
            if let Err(why) = self.record(&path, seed, entry)? {
                // Let go of meanwhile.
                if account.lock()?.map.get(*id) != Some(*entry) {
                    continue;
                }
                let place = references.places.get(&id.0);
                let (mailbox, whose) = match place {
                    Some((mailbox, uid)) => (Some(mailbox.clone()), format!("UID {uid}")),
                    None => (None, "a message that is in no mailbox".to_owned()),
                };
                self.mailbox = mailbox;
                let what = format!("{whose} (map id {}, {} bytes): {why}", id.0, entry.size);
                self.found(&path, Some(entry.offset), Harm::Mail, what);
                self.mailbox = None;
            }
        }
        Ok(())
    }

    fn container_header(
        &mut self,
        path: &Path,
        number: u32,
        seed: dbox_format::Seed,
    ) -> Result<(), StoreError> {
        let Ok(file) = self.store.files.fs().open(path, Open::Read) else { return Ok(()) };
        let mut head = [0; FileHeader::LEN];
        let read =
            file.read_at(&mut head, 0).map_err(|error| StoreError::io("read", path, error))?;
        let what = match FileHeader::parse(head.get(..read).unwrap_or_default()) {
            Ok(found) if (found.number, found.seed) == (number, seed) => return Ok(()),
            Ok(_) => "the header is that of another container".to_owned(),
            Err(error) => format!("the header: {error}"),
        };
        self.found(path, Some(0), Harm::Speed, format!("{what}; the map says the same"));
        Ok(())
    }

    /// What is wrong with the record of a message, if anything.
    fn record(
        &self,
        path: &Path,
        seed: dbox_format::Seed,
        entry: &map::Entry,
    ) -> Result<Result<(), String>, StoreError> {
        let file = match self.store.files.fs().open(path, Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Err("the container is missing".to_owned()));
            }
            Err(error) => return Err(StoreError::io("open", path, error)),
        };
        let mut verifier = Verifier::new(seed);
        let mut piece = vec![0; PIECE];
        let (mut at, end) = (entry.offset, entry.offset.saturating_add(entry.record_len));
        while at < end {
            let len = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
            let room = piece.get_mut(..len).unwrap_or_default();
            match file.read_at(room, at) {
                Ok(0) => return Ok(Err("the container ends in it".to_owned())),
                Ok(read) => {
                    if let Err(error) = verifier.push(room.get(..read).unwrap_or_default()) {
                        return Ok(Err(error.to_string()));
                    }
                    at += read as u64;
                }
                Err(error) => return Err(StoreError::io("read", path, error)),
            }
        }
        Ok(match verifier.finish() {
            Ok(found) if found.guid == entry.guid => Ok(()),
            Ok(_) => Err("another message stands there".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Whether the map counts the references that there are.
    pub(super) fn compare(
        &mut self,
        account: &Arc<Account>,
        begun: u64,
        references: &References,
    ) -> Result<(), StoreError> {
        let state = account.lock()?;
        // While mail comes and goes the two can't be held against each other.
        if references.partial || state.position != begun {
            return Ok(());
        }
        let counted = state.map.iter().filter(|(_, entry)| entry.refs > 0);
        let counted: BTreeMap<u32, u32> = counted.map(|(id, entry)| (id.0, entry.refs)).collect();
        drop(state);
        let ids: BTreeSet<u32> = counted.keys().chain(references.counts.keys()).copied().collect();
        for id in ids {
            let count = |counts: &BTreeMap<u32, u32>| counts.get(&id).copied().unwrap_or(0);
            let (map, there) = (count(&counted), count(&references.counts));
            if map != there {
                let what = format!(
                    "map id {id}: the map counts {map} references, the mailboxes have {there}"
                );
                let harm = if there > map { Harm::Mail } else { Harm::None };
                self.found(&self.dir.join("map.log"), None, harm, what);
            }
        }
        Ok(())
    }
}
