//! What commands look at in messages, and in the rows of a mailbox.

use crate::store::arranged::How;
use crate::store::cache::{Names, Wants, text_of};
use imap_proto::FetchAsk;
use imap_proto::fetch::{FetchItems, FieldNames, Fixed, SectionKind};
use imap_proto::search::{Program, Reads};
use imap_proto::sort::SortKey;
use index_format::cache::{Field, Group};
use index_format::mailbox::Parts;

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

/// The parts of a mailbox that such items of FETCH take.
pub(super) fn parts_of(items: Fixed) -> Parts {
    let of = [
        (Fixed::FLAGS, Parts::FLAGS | Parts::KEYWORDS),
        (Fixed::INTERNALDATE, Parts::INTERNAL_DATES),
        (Fixed::SIZE, Parts::SIZES),
        (Fixed::MODSEQ, Parts::MODSEQS),
        (Fixed::SAVEDATE, Parts::SAVE_DATES),
        // What names a message is in the account's map.
        (Fixed::EMAILID, Parts::MAP_IDS),
        (Fixed::THREADID, Parts::MAP_IDS),
        (Fixed::ENVELOPE, Parts::MAP_IDS),
        (Fixed::BODY, Parts::MAP_IDS),
        (Fixed::BODYSTRUCTURE, Parts::MAP_IDS),
    ];
    let wanted = of.into_iter().filter(|(item, _)| items.contains(*item));
    wanted.fold(Parts::NONE, |all, (_, parts)| all | parts)
}

/// And those that FETCH takes.
pub(super) fn parts_of_fetch(ask: &FetchAsk) -> Parts {
    let items = |items: &FetchItems| {
        let text = if items.sections.is_empty() { Parts::NONE } else { Parts::MAP_IDS };
        parts_of(items.fixed) | text
    };
    let parts = items(&ask.items);
    if ask.also_flags.is_empty() {
        return parts;
    }
    parts | items(&ask.seen_items) | parts_of(Fixed::FLAGS)
}

/// And those that SEARCH takes: what it finds is told with its mod-sequences.
pub(super) fn parts_of_search(program: &Program) -> Parts {
    let text = if program.reads().is_some() { Parts::MAP_IDS } else { Parts::NONE };
    parts_of(program.items()) | Parts::MODSEQS | text
}

/// And those that SORT or THREAD takes beside the SEARCH.
pub(super) fn parts_of_arranging(how: &How) -> Parts {
    let of = |key| match key {
        SortKey::Arrival => Parts::INTERNAL_DATES,
        SortKey::Size => Parts::SIZES,
        // Messages that don't say when they were sent.
        SortKey::Date => Parts::INTERNAL_DATES | Parts::MAP_IDS,
        SortKey::Subject
        | SortKey::From
        | SortKey::To
        | SortKey::Cc
        | SortKey::DisplayFrom
        | SortKey::DisplayTo => Parts::MAP_IDS,
    };
    match how {
        How::By(order) => order.0.iter().fold(Parts::NONE, |all, by| all | of(by.key)),
        How::Threads(_) => Parts::INTERNAL_DATES | Parts::MAP_IDS,
    }
}

fn wants(group: Group, names: Vec<Vec<u8>>, others: bool) -> Wants {
    let names = if others || names.is_empty() { None } else { Names::new(&FieldNames::new(names)) };
    Wants { group, names }
}
