//! What commands look at in messages.

use crate::store::arranged::How;
use crate::store::cache::{Names, Wants, text_of};
use imap_proto::fetch::{FetchItems, FieldNames, Fixed, SectionKind};
use imap_proto::search::{Program, Reads};
use imap_proto::sort::SortKey;
use index_format::cache::{Field, Group};

/// A FETCH of these items.
pub(super) fn of_fetch(items: &FetchItems) -> Wants {
    let mut group = Group::default();
    let mut names: Vec<Vec<u8>> = Vec::new();
    let mut others = false;
    if items.fixed.contains(Fixed::ENVELOPE) {
        group = group.or(Group::ENVELOPE);
    }
    if items.fixed.intersects(Fixed::BODY | Fixed::BODYSTRUCTURE) {
        group = group.or(Group::STRUCTURE);
    }
    for section in items.sections.iter().filter(|section| section.path.is_empty()) {
        match &section.kind {
            SectionKind::HeaderFields(of) => {
                group = group.or(Group::HEADER);
                names.extend(of.sorted().map(<[u8]>::to_vec));
            }
            SectionKind::Header | SectionKind::HeaderFieldsNot(_) => {
                group = group.or(Group::HEADER);
                others = true;
            }
            // They are read from the message.
            SectionKind::All
            | SectionKind::Text
            | SectionKind::Mime
            | SectionKind::Binary
            | SectionKind::BinarySize => {}
        }
    }
    wants(group, names, others)
}

/// A SEARCH.
pub(super) fn of_search(program: &Program) -> Wants {
    let mut group = Group::default();
    let mut names = Vec::new();
    for name in program.fields() {
        match text_of(name) {
            Some(text) => group = group.or(Group::of(Field::Text(text))),
            None => {
                group = group.or(Group::HEADER);
                names.push(name.to_vec());
            }
        }
    }
    let others = program.reads() == Some(Reads::Body);
    wants(if others { group.or(Group::HEADER) } else { group }, names, others)
}

/// A SORT or THREAD, beside the SEARCH.
pub(super) fn of_arranging(how: &How) -> Wants {
    match how {
        How::By(order) => {
            let group = |group: Group, key| {
                group.or(match key {
                    SortKey::Arrival | SortKey::Size => Group::default(),
                    SortKey::Date => Group::SENT,
                    SortKey::Subject => Group::SUBJECT,
                    SortKey::Cc
                    | SortKey::From
                    | SortKey::To
                    | SortKey::DisplayFrom
                    | SortKey::DisplayTo => Group::ADDRESSES,
                })
            };
            let keys = order.0.iter().map(|criterion| criterion.key);
            wants(keys.fold(Group::default(), group), Vec::new(), false)
        }
        How::Threads(_) => {
            wants(Group::ENVELOPE.or(Group::HEADER), vec![b"references".to_vec()], false)
        }
    }
}

fn wants(group: Group, names: Vec<Vec<u8>>, others: bool) -> Wants {
    let names = if others || names.is_empty() { None } else { Names::new(&FieldNames::new(names)) };
    Wants { group, names }
}
