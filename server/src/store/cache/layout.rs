//! Which fields lie together.

use super::kind::{Kind, Names, listed};
use index_format::MapId;
use index_format::cache::sent::Sent;
use index_format::cache::{Field, Fields, Group, encode_fields};

/// A group of fields that have files of their own.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Shelved {
    pub(super) group: Group,
    /// The header fields in it; `None` for headers as they are usually kept.
    pub(super) names: Option<Names>,
}

impl Shelved {
    pub(super) fn new(group: Group) -> Self {
        Self { group, names: None }
    }

    pub(super) fn kind(&self) -> Kind {
        Kind { group: self.group, names: self.names.as_ref().map_or(0, Names::hash) }
    }

    /// What it takes of a row.
    pub(super) fn of_row(&self, row: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let is_wanted =
            |field: &Field<'_>| self.group.contains(Group::of(*field)) && !is_sent(field);
        for (field, value) in Fields::new(row).filter(|(field, _)| is_wanted(field)) {
            let named;
            let (field, value) = match &self.names {
                Some(names) if Group::of(field) == Group::HEADER => {
                    let has_all = field == Field::Header
                        || field == Field::HeaderCommon && names.are_common();
                    if !has_all {
                        continue;
                    }
                    named = names.of_header(value);
                    (Field::HeaderCommon, named.as_slice())
                }
                Some(_) | None => (field, value),
            };
            // A field that was read has a number.
            let _ = encode_fields(&[(field, value)], &mut out);
        }
        out
    }
}

/// The sent date of a row, for the file that has these alone.
pub(super) fn sent_of((map_id, guid, row): (MapId, [u8; 4], &[u8])) -> Option<Sent> {
    let (_, value) = Fields::new(row).find(|(field, _)| is_sent(field))?;
    let at = value.first_chunk().map(|at| i64::from_le_bytes(*at));
    Some(Sent { map_id, guid, at })
}

fn is_sent(field: &Field<'_>) -> bool {
    matches!(field, Field::Sent)
}

/// How fields lie where nobody has asked for anything yet: what lists of messages show, by ENVELOPE and by header fields;
/// headers; and what is searched and sorted by.
pub(super) fn usual() -> Vec<Shelved> {
    let listed = Shelved { group: Group::HEADER, names: Some(listed().clone()) };
    [Group::ENVELOPE.or(Group::STRUCTURE), Group::HEADER, Group::ADDRESSES, Group::SUBJECT]
        .map(Shelved::new)
        .into_iter()
        .chain([listed])
        .collect()
}
