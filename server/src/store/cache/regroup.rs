//! Fields are put as they are asked for.
//!
//! When the house is looked after, what clients have asked since is counted with what is known of their mailboxes. Of the
//! stretches of messages they looked at, those are laid out anew of which that much less would be read that it is worth
//! the writing. The new files are there before the old ones go, so a crash in between leaves fields twice.

use super::asked::Asked;
use super::directory::Directory;
use super::file::{self, Given, Row};
use super::held::Loaded;
use super::kind::{Kind, Names, listed, listed_hash};
use super::layout::{self, Shelved, usual};
use super::plan::{Counted, plan, read, size};
use super::write::{Writer, rows_of};
use super::{Cache, Looks};
use crate::store::files::Files;
use index_format::MapId;
use index_format::cache::sent::Sent;
use index_format::cache::{Field, Fields, Group, SENT_SPAN, SPAN, encode_fields};
use std::collections::BTreeMap;
use std::io;
use std::sync::PoisonError;

/// Stretches of an account that are laid out anew at a time.
const STRETCHES: usize = 64;

impl Cache {
    /// Counts what was asked since the last call, and lays out anew what has become worth it.
    pub(crate) fn regroup(&self, files: &Files, room: bool, seed: &dyn Fn() -> u64) {
        let looks = std::mem::take(&mut self.shelves().looks);
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for Looks { home, list } in looks.into_values() {
            let writer = Writer { cache: self, files, home: &home, seed };
            if room && let Err(error) = writer.regroup(list) {
                tracing::warn!(directory = %file::directory(&home).display(), %error, "the cache can't be laid out as it is read; it is read as it is");
            }
        }
    }
}

impl Writer<'_> {
    fn regroup(&self, looks: Vec<(index_format::Guid, u32, super::Wants)>) -> io::Result<()> {
        let directory = Directory::read(self.files, self.home);
        let path = file::directory(self.home).join(ASKED);
        let known = self.files.read_whole(&path, file::SIZES, true).unwrap_or_default();
        let mut asked = Asked::read(&known, self.home.owner);
        for (mailbox, number, wants) in looks {
            asked.note(mailbox, number, &wants);
        }
        let mut left = STRETCHES;
        // Most often the same is asked of all stretches.
        let mut planned: Option<(Vec<Counted>, Vec<Shelved>)> = None;
        for (number, counted) in asked.due() {
            let kinds = directory.kinds(number);
            if left > 0 && kinds.iter().any(|kind| *kind != Kind::SENT) {
                let known = planned.take().filter(|(of, _)| *of == counted);
                let (counted, wanted) = known.unwrap_or_else(|| {
                    let wanted = plan(&counted);
                    (counted, wanted)
                });
                left -= usize::from(self.lay_out(number, &kinds, (&counted, &wanted))?);
                planned = Some((counted, wanted));
            }
        }
        // Where there is no cache there is nothing to lay out.
        if directory.is_empty() {
            return Ok(());
        }
        file::replace(self.files, self.home, &path, &asked.write(self.home.owner))
    }

    /// Lays a stretch out anew, if that is worth it.
    fn lay_out(
        &self,
        number: u32,
        kinds: &[Kind],
        (counted, wanted): (&[Counted], &[Shelved]),
    ) -> io::Result<bool> {
        let has_fresh = kinds.contains(&Kind::FRESH);
        let now = self.layout(number, kinds);
        let grouped: Vec<Shelved> =
            now.iter().filter(|shelved| shelved.kind() != Kind::FRESH).cloned().collect();
        if grouped == wanted {
            return Ok(false);
        }
        let reads = |layout: &[Shelved]| -> u64 {
            counted.iter().map(|(wants, count)| count * read(layout, wants)).sum()
        };
        // What has come lately and is only read in small pieces is small: it can wait until it is more.
        if has_fresh && grouped.is_empty() && self.len(number, Kind::FRESH)? < self.cache.apart / 4
        {
            return Ok(false);
        }
        // Copies that nobody asks for any more go at once: that takes no writing.
        let mut kept = Vec::new();
        for shelved in &now {
            let is_read = || {
                let others: Vec<Shelved> =
                    now.iter().filter(|other| *other != shelved).cloned().collect();
                reads(&now) < reads(&others)
            };
            let is_wanted = wanted.iter().any(|new| new.names == shelved.names);
            if shelved.names.is_some() && !is_wanted && !is_read() {
                self.remove(number, shelved.kind())?;
            } else {
                kept.push(shelved.clone());
            }
        }
        let now = kept;
        // What came lately goes to all groups; else those that stay are not written again.
        let new: Vec<&Shelved> =
            wanted.iter().filter(|shelved| has_fresh || !now.contains(shelved)).collect();
        let cost = new.iter().map(|shelved| size(shelved)).sum::<u64>();
        if reads(&now) < reads(wanted).saturating_add(cost) {
            return Ok(false);
        }
        let fields = new.iter().fold(Group::default(), |all, shelved| all.or(shelved.group));
        let has_some = |kind: &&Kind| !kind.group.and(fields).is_empty();
        let mut all = Gathered::default();
        for kind in kinds.iter().filter(|kind| **kind != Kind::SENT).filter(has_some) {
            if let Loaded::Rows(rows) = self.read(number, *kind) {
                all.add(&rows_of(&rows), rows.names.as_ref());
            }
        }
        for shelved in new {
            let rows = all.of(shelved);
            let rows: Vec<Row<'_>> =
                rows.iter().map(|(id, guid, fields)| (*id, *guid, fields.as_slice())).collect();
            if !rows.is_empty() {
                self.renew(number, shelved, Given::Rows(&rows))?;
            }
        }
        self.add_sent(number / (SENT_SPAN / SPAN), &all.sent)?;
        for kind in kinds.iter().filter(|kind| **kind != Kind::SENT) {
            if !wanted.iter().any(|shelved| shelved.kind() == *kind) {
                self.remove(number, *kind)?;
            }
        }
        Ok(true)
    }

    /// How the fields of a stretch lie; as usual where there are none.
    pub(super) fn layout(&self, number: u32, kinds: &[Kind]) -> Vec<Shelved> {
        let mut layout: Vec<Shelved> = kinds
            .iter()
            .filter(|kind| **kind != Kind::SENT)
            .filter_map(|kind| {
                let names = match kind.names {
                    0 => None,
                    hash if hash == listed_hash() => Some(listed().clone()),
                    _ => Some(file::names_of(self.files, self.home, (number, *kind))?),
                };
                Some(Shelved { group: kind.group, names })
            })
            .collect();
        layout.sort();
        layout
    }

    /// What there is of a stretch; nobody else writes meanwhile.
    fn kinds(&self, number: u32) -> Vec<Kind> {
        let mut shelves = self.cache.shelves();
        if let Some(directory) = shelves.directories.get(&self.home.id) {
            return directory.kinds(number);
        }
        drop(shelves);
        let mut directory = Directory::read(self.files, self.home);
        let kinds = directory.kinds(number);
        shelves = self.cache.shelves();
        directory.used = shelves.now;
        shelves.directories.insert(self.home.id, directory);
        kinds
    }

    /// The groups that new rows of a stretch are brought to.
    pub(super) fn groups(&self, number: u32) -> Vec<Shelved> {
        let mut groups = self.layout(number, &self.kinds(number));
        groups.retain(|shelved| shelved.kind() != Kind::FRESH);
        if groups.is_empty() {
            return usual();
        }
        // All fields have to be somewhere: a file may have been lost.
        for lacks in usual().into_iter().filter(|shelved| shelved.names.is_none()) {
            let has = |kind: Group| {
                groups.iter().any(|known| known.names.is_none() && known.group.contains(kind))
            };
            let kinds = Group::KINDS.into_iter();
            if kinds.filter(|kind| lacks.group.contains(*kind)).any(|kind| !has(kind)) {
                groups.push(lacks);
            }
        }
        groups
    }

    fn len(&self, number: u32, kind: Kind) -> io::Result<u64> {
        let meta = self.files.fs().metadata(&file::path(self.home, number, kind))?;
        Ok(meta.map_or(0, |meta| meta.len))
    }
}

/// All that is known of the messages of a stretch.
#[derive(Default)]
struct Gathered {
    /// Rows with their fields as they are usually kept.
    rows: BTreeMap<(u32, [u8; 4]), Vec<u8>>,
    /// And with header fields of such names alone.
    named: BTreeMap<(Names, u32, [u8; 4]), Vec<u8>>,
    sent: Vec<Sent>,
}

impl Gathered {
    fn add(&mut self, rows: &[Row<'_>], names: Option<&Names>) {
        for (id, guid, fields) in rows {
            self.sent.extend(layout::sent_of((*id, *guid, fields)));
            let known = self.rows.entry((id.0, *guid)).or_default();
            for (field, value) in Fields::new(fields) {
                let some = |row: &[u8]| Fields::new(row).any(|(other, _)| other == field);
                let into = match names {
                    Some(names) if Group::of(field) == Group::HEADER => {
                        self.named.entry((names.clone(), id.0, *guid)).or_default()
                    }
                    Some(_) | None => &mut *known,
                };
                if !some(into) {
                    // A field that was read has a number.
                    let _ = encode_fields(&[(field, value)], into);
                }
            }
        }
    }

    /// What a group takes of it.
    fn of(&self, shelved: &Shelved) -> Vec<(MapId, [u8; 4], Vec<u8>)> {
        let mut out = Vec::with_capacity(self.rows.len());
        for ((id, guid), row) in &self.rows {
            let mut fields = shelved.of_row(row);
            if let Some(names) = &shelved.names
                && !Fields::new(&fields).any(|(field, _)| field == Field::HeaderCommon)
                && let Some(named) = self.named.get(&(names.clone(), *id, *guid))
            {
                fields.extend_from_slice(named);
            }
            if !fields.is_empty() {
                out.push((MapId(*id), *guid, fields));
            }
        }
        out
    }
}

/// The file that says what is asked.
pub(super) const ASKED: &str = "asked";
