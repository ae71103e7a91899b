//! What is known of the messages of one stretch, for as long as somebody looks at them.

use super::kind::{Asked, Kind, Names, Wants, listed, listed_hash};
use super::sent::Dates;
use super::{Fresh, Key, ROW_COST, key, short};
use crate::store::account::Home;
use dbox_format::map::MapId;
use index_format::cache::{Field, Group, Index, Place, value_in};
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

/// A cache file in memory.
pub(super) enum Loaded {
    Rows(Rows),
    Sent(Dates),
}

/// A file of rows.
pub(super) struct Rows {
    pub(super) bytes: Vec<u8>,
    pub(super) index: Index,
    /// Whose header fields it has.
    pub(super) names: Option<Names>,
}

impl Loaded {
    /// Bytes of memory, about.
    pub(super) fn cost(&self) -> usize {
        match self {
            Loaded::Rows(rows) => rows.bytes.capacity() + 24 * rows.index.len() + ROW_COST,
            Loaded::Sent(dates) => dates.cost() + ROW_COST,
        }
    }
}

impl Rows {
    pub(super) fn fields(&self, place: Place) -> (usize, &[u8]) {
        let start = usize::try_from(place.start).unwrap_or(usize::MAX);
        let end = start.saturating_add(place.len as usize);
        (start, self.bytes.get(start..end).unwrap_or_default())
    }
}

/// By this files are put in the order in which they are asked: those first that have little else than what is wanted,
/// and of these the ones with most of it.
pub(super) fn order(kind: Kind, wants: &Wants) -> (u32, u32, Kind) {
    // Its own names are worth more than those that most ask for, and these more than all header fields.
    let names = wants.names.as_ref();
    let others =
        if !kind.group.contains(Group::HEADER) || names.map_or(0, Names::hash) == kind.names {
            0
        } else if kind.names == listed_hash() && names.is_some_and(|names| listed().have(names)) {
            1
        } else {
            2
        };
    let besides = kind.group.without(wants.group).len() + others;
    (besides, 16 - kind.group.and(wants.group).len(), kind)
}

/// What is known, for a while: what is added later does not show. Files are read when something is looked for that they
/// may have ([`Found::Load`]).
pub(crate) struct Held {
    pub(super) key: (u64, u32),
    pub(super) fresh: Arc<Vec<Fresh>>,
    /// The files there are, in the order they are asked.
    pub(super) files: Vec<(Kind, Option<Arc<Loaded>>)>,
    /// The header fields that are asked for, most often; and which files were looked at for them, and have all of them.
    names: Option<Names>,
    looked: Cell<(u32, u32)>,
}

/// Where [`Held`] has a value.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    /// The file; `None` for a row that waits to be written.
    file: Option<usize>,
    /// Index of that row.
    row: usize,
    start: usize,
    end: usize,
}

impl Spot {
    /// How many bytes the value has.
    pub(crate) fn len(self) -> usize {
        self.end - self.start
    }
}

/// What a look has found.
pub(crate) enum Found<T> {
    Value(T),
    Nothing,
    /// This file is to be read first.
    Load(usize),
}

impl Held {
    /// Of the files there are.
    pub(super) fn new(
        key: (u64, u32),
        fresh: Arc<Vec<Fresh>>,
        mut kinds: Vec<Kind>,
        wants: &Wants,
    ) -> Self {
        kinds.sort_by_cached_key(|kind| order(*kind, wants));
        let files = kinds.into_iter().map(|kind| (kind, None)).collect();
        Self { key, fresh, files, names: wants.names.clone(), looked: Cell::default() }
    }

    /// Whether it knows about this message.
    pub(crate) fn is_of(&self, home: &Arc<Home>, id: MapId) -> bool {
        self.key == key(home, id)
    }

    /// The key of the file with this place.
    pub(super) fn key_of(&self, file: usize) -> Option<Key> {
        let (kind, _) = self.files.get(file)?;
        let ((home, number), per) = (self.key, kind.span() / super::SPAN);
        Some((home, number / per, *kind))
    }

    /// Where the value of a field is that is no header field.
    pub(crate) fn find(&self, id: MapId, guid: [u8; 16], field: Field<'_>) -> Found<Spot> {
        self.look(id, guid, Group::of(field), |fields, _, _| value_in(fields, field))
    }

    /// Where the header is, or as much of it as is asked for.
    pub(crate) fn find_header(&self, id: MapId, guid: [u8; 16], asked: Asked<'_>) -> Found<Spot> {
        let is_usual = match (asked, &self.names) {
            (Asked::Of(asked), Some(names)) => names.are(asked),
            _ => false,
        };
        self.look(id, guid, Group::HEADER, |fields, names, file| {
            let some = |field| value_in(fields, field);
            let has = || match is_usual {
                true => self.has_usual(asked, names, file),
                false => asked.are_in(names),
            };
            some(Field::Header).or_else(|| some(Field::HeaderCommon).filter(|_| has()))
        })
    }

    /// Shows `answers` where the parts of a message are, the latest that is known first, until one of them is enough.
    pub(crate) fn find_layout(
        &self,
        id: MapId,
        guid: [u8; 16],
        answers: &dyn Fn(&[u8]) -> bool,
    ) -> Found<Spot> {
        self.look(id, guid, Group::of(Field::Layout), |fields, _, _| {
            let known = value_in(fields, Field::Layout)?;
            answers(fields.get(known.clone())?).then_some(known)
        })
    }

    /// Whether a file has the header fields that are asked for most often: looked at once for each file.
    fn has_usual(&self, asked: Asked<'_>, names: Option<&Names>, file: Option<usize>) -> bool {
        // Rows that wait to be written count as a file of their own.
        let number = file.map_or(0, |file| file + 1);
        let bit = u32::try_from(number).ok().and_then(|number| 1u32.checked_shl(number));
        let Some(bit) = bit else { return asked.are_in(names) };
        let (looked, has) = self.looked.get();
        if looked & bit == 0 {
            let has = has | if asked.are_in(names) { bit } else { 0 };
            self.looked.set((looked | bit, has));
            return has & bit != 0;
        }
        has & bit != 0
    }

    /// When a message was sent.
    pub(crate) fn sent(&self, id: MapId, guid: [u8; 16]) -> Found<Option<i64>> {
        for (at, (kind, file)) in self.files.iter().enumerate() {
            if *kind == Kind::SENT {
                match file.as_deref() {
                    None => return Found::Load(at),
                    Some(Loaded::Sent(dates)) => {
                        if let Some(known) = dates.get(id.0, short(guid)) {
                            return Found::Value(known);
                        }
                    }
                    Some(Loaded::Rows(_)) => {}
                }
            }
        }
        match self.find(id, guid, Field::Sent) {
            Found::Value(spot) => {
                let at = self.value(spot).first_chunk();
                Found::Value(at.map(|at| i64::from_le_bytes(*at)))
            }
            Found::Nothing => Found::Nothing,
            Found::Load(file) => Found::Load(file),
        }
    }

    fn look(
        &self,
        id: MapId,
        guid: [u8; 16],
        group: Group,
        value: impl Fn(&[u8], Option<&Names>, Option<usize>) -> Option<Range<usize>>,
    ) -> Found<Spot> {
        let guid = short(guid);
        let until = self.fresh.partition_point(|row| row.id <= id.0);
        let fresh = self.fresh.get(..until).unwrap_or_default().iter().enumerate().rev();
        for (row, Fresh { fields, .. }) in
            fresh.take_while(|(_, row)| row.id == id.0).filter(|(_, row)| row.guid == guid)
        {
            if let Some(Range { start, end }) = value(fields, None, None) {
                return Found::Value(Spot { file: None, row, start, end });
            }
        }
        for (at, (kind, file)) in self.files.iter().enumerate() {
            if !kind.group.contains(group) || *kind == Kind::SENT {
                continue;
            }
            let Some(file) = file else { return Found::Load(at) };
            let Loaded::Rows(rows) = &**file else { continue };
            for place in rows.index.rows(index_format::MapId(id.0), guid) {
                let (start, fields) = rows.fields(place);
                if let Some(found) = value(fields, rows.names.as_ref(), Some(at)) {
                    let (start, end) = (start + found.start, start + found.end);
                    return Found::Value(Spot { file: Some(at), row: 0, start, end });
                }
            }
        }
        Found::Nothing
    }

    /// The value that was found.
    pub(crate) fn value(&self, spot: Spot) -> &[u8] {
        let bytes = match spot.file {
            None => self.fresh.get(spot.row).map_or(&[][..], |row| &row.fields),
            Some(file) => match self.files.get(file).and_then(|(_, file)| file.as_deref()) {
                Some(Loaded::Rows(rows)) => rows.bytes.as_slice(),
                Some(Loaded::Sent(_)) | None => &[],
            },
        };
        bytes.get(spot.start..spot.end).unwrap_or_default()
    }
}
