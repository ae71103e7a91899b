//! Whether messages are what their checksums and the map say, and whether the map counts the references that there are.

use super::super::account::Account;
use super::super::attachments::{Apart, VerifiedContents};
use super::super::error::StoreError;
use super::super::message::{Message, ReadError};
use super::{Check, Harm, References, STEP};
use dbox_format::Error;
use dbox_format::container::{FileHeader, Unpacker, Verified};
use dbox_format::map::{self, MapId};
use runtime_smol::fs::{File, Open};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
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
        let (mut container, mut verified) = (None, VerifiedContents::new());
        for (done, (id, entry)) in (0..).zip(&wanted) {
            if done % STEP == 0 {
                self.progress(done, wanted.len() as u64, "messages");
            }
            let (seed, text_len) = {
                let state = account.lock()?;
                let seed = state.map.container(entry.container).map(|known| known.seed);
                let apart = state.map.extra(*id).and_then(|extra| Apart::of(extra, entry.size));
                (seed, apart.map_or(entry.size, |apart| apart.skeleton_len()))
            };
            let Some(seed) = seed else { continue };
            let path = account.container_path(entry.container);
            if container != Some(entry.container) {
                container = Some(entry.container);
                self.container_header(&path, entry.container, seed)?;
            }
            let damage = match self.record(&path, (seed, text_len), entry)? {
                Ok(()) => self.attachments(account, *id, &mut verified)?,
                Err(why) => Some((path, Some(entry.offset), why)),
            };
            let Some((path, at, why)) = damage else { continue };
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
            self.found(&path, at, Harm::Mail, what);
            self.mailbox = None;
        }
        Ok(())
    }

    /// What is wrong with the parts of a message that stand apart, if anything, and where.
    #[allow(clippy::type_complexity, reason = "taken apart at once")]
    fn attachments(
        &self,
        account: &Arc<Account>,
        id: MapId,
        verified: &mut VerifiedContents,
    ) -> Result<Option<(PathBuf, Option<u64>, String)>, StoreError> {
        let message = {
            let state = account.lock()?;
            Message::find(account, &state, &account.pending(), id)
        };
        let Some(message) = message else { return Ok(None) };
        let list = match &message.apart {
            Some(apart) => apart.list().map_err(|why| why.to_string()),
            None => Ok(&[][..]),
        };
        let named = match message.head(&self.store.files, true, |head| Ok(head.apart())) {
            Ok(named) => named,
            // It has moved, or gone; damage was looked for already.
            Err(_) => return Ok(None),
        };
        let map = self.dir.join("map.log");
        let list = match list {
            Ok(list) if list == named => list,
            Ok(_) => {
                let why = "the map and the record name different attachments".to_owned();
                return Ok(Some((map, None, why)));
            }
            Err(why) => return Ok(Some((map, None, why))),
        };
        let damaged = self.store.verify_contents(account.home(), list, verified)?;
        Ok(damaged.map(|(hash, why)| {
            (account.home().attachment_path(&hash), None, format!("an attachment of it: {why}"))
        }))
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
        (seed, text_len): (dbox_format::Seed, u64),
        entry: &map::Entry,
    ) -> Result<Result<(), String>, StoreError> {
        let file = match self.store.files.fs().open(path, Open::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Err("the container is missing".to_owned()));
            }
            Err(error) => return Err(StoreError::io("open", path, error)),
        };
        let place = (entry.offset, entry.offset.saturating_add(entry.record_len));
        if file.len().map_err(|error| StoreError::io("read", path, error))? < place.1 {
            return Ok(Err("the container ends in it".to_owned()));
        }
        let mut dictionary = 0;
        loop {
            let mut decoder = match self.store.packing.decoder(&self.store.files, dictionary, true)
            {
                Ok(decoder) => decoder,
                Err(ReadError::Store(error)) => return Ok(Err(error.to_string())),
                Err(ReadError::WouldBlock) => return Err(StoreError::Lost),
            };
            let found = match unpack(&*file, path, place, Unpacker::new(seed, &mut decoder))? {
                Ok(found) => found,
                // Its head was read: now it is known which one it takes.
                Err(Error::Dictionary { wanted, .. }) if dictionary == 0 => {
                    dictionary = wanted;
                    continue;
                }
                Err(error) => return Ok(Err(error.to_string())),
            };
            return Ok(if found.guid != entry.guid {
                Err("another message stands there".to_owned())
            } else if found.trailer.message_len != text_len {
                Err("it has another length than the map says".to_owned())
            } else {
                Ok(())
            });
        }
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

/// Reads a record piece by piece, and takes it apart.
fn unpack(
    file: &dyn File,
    path: &Path,
    (mut at, end): (u64, u64),
    mut unpacker: Unpacker<'_>,
) -> Result<Result<Verified, Error>, StoreError> {
    let (mut piece, mut text) = (vec![0; PIECE], Vec::new());
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        let room = piece.get_mut(..len).unwrap_or_default();
        let read = file.read_at(room, at).map_err(|error| StoreError::io("read", path, error))?;
        if read == 0 {
            break;
        }
        text.clear();
        if let Err(error) = unpacker.push(room.get(..read).unwrap_or_default(), &mut text) {
            return Ok(Err(error));
        }
        at += read as u64;
    }
    Ok(unpacker.finish())
}
