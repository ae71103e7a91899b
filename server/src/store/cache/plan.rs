//! How fields should lie, for what is asked of them.
//!
//! A pure function: patterns with their counts in, groups out. What a pattern reads of some groups is what
//! [`super::held::order`] would make it read; the groups that cost the least are found by trying all of them.

use super::held::order;
use super::kind::{Kind, Wants, listed};
use super::layout::{Shelved, usual};
use index_format::cache::{Group, SPAN};

/// What a file costs beside its bytes: it is looked for, opened, and the disk reads whole pages.
const FILE: u64 = 4096;
/// What it costs to keep a byte twice, in times that it is read: it is written, and written again.
const TWICE: u64 = 4;
/// Bytes of a message that each kind takes, about.
const BYTES: [(Group, u64); 5] = [
    (Group::ENVELOPE, 350),
    (Group::STRUCTURE, 250),
    (Group::HEADER, 1200),
    (Group::ADDRESSES, 150),
    (Group::SUBJECT, 100),
];
/// Bytes of some header fields, about, in mail of all kinds: in most of it the last ones are missing.
const NAMED: [(&[u8], u64); 21] = [
    (b"references", 120),
    (b"to", 70),
    (b"message-id", 60),
    (b"content-type", 60),
    (b"in-reply-to", 40),
    (b"list-unsubscribe", 40),
    (b"cc", 20),
    (b"reply-to", 15),
    (b"list-id", 10),
    (b"list-post", 10),
    (b"sender", 10),
    (b"bcc", 1),
    (b"chat-version", 1),
    (b"disposition-notification-to", 1),
    (b"importance", 1),
    (b"newsgroups", 1),
    (b"priority", 1),
    (b"x-k9mail-identity", 1),
    (b"x-priority", 1),
    (b"x-uniform-type-identifier", 1),
    (b"x-universally-unique-identifier", 1),
];
/// And of any other.
const OTHER: u64 = 50;
/// How often lists are taken to ask for header fields by name: a copy of those that most of them show pays for itself.
const LISTS: u64 = 5;
/// Sets of names that may be kept beside the whole headers.
const NAME_SETS: usize = 2;

/// How often something is asked.
pub(super) type Counted = (Wants, u64);

/// The groups that cost the least for what is asked; those of [`usual`] where nothing is.
pub(super) fn plan(asked: &[Counted]) -> Vec<Shelved> {
    // Who has asked nothing yet lists, reads headers, searches.
    let mut counted: Vec<Counted> = usual()
        .into_iter()
        .map(|Shelved { group, names }| {
            let count = if names.is_some() { LISTS } else { 1 };
            (Wants { group, names }, count)
        })
        .collect();
    let is_named =
        |(wants, _): &&Counted| wants.names.is_some() && wants.group.contains(Group::HEADER);
    // Once it is known what lists ask for, that counts.
    let is_listed =
        |(wants, _): &&Counted| wants.names.as_ref().is_some_and(|names| listed().have(names));
    let known = asked.iter().filter(is_named).filter(is_listed);
    if known.map(|(_, count)| count).sum::<u64>() > LISTS {
        counted.retain(|one| !is_named(&one));
    }
    counted.extend(asked.iter().cloned());
    let mut named: Vec<&Counted> = counted.iter().filter(is_named).collect();
    named.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut best: Option<(u64, Vec<Shelved>)> = None;
    for base in partitions(&BYTES.map(|(group, _)| group)) {
        let base: Vec<Shelved> = base.into_iter().map(Shelved::new).collect();
        let mut layouts = vec![base];
        for (Wants { group, names }, _) in named.iter().take(NAME_SETS) {
            let apart = Shelved { group: Group::HEADER, names: names.clone() };
            let row = Group::ENVELOPE.or(Group::STRUCTURE).or(Group::HEADER);
            let whole = Shelved { group: group.and(row), names: names.clone() };
            for layout in layouts.clone() {
                for shelved in [&apart, &whole] {
                    let with = layout.iter().chain([shelved]).cloned().collect();
                    layouts.push(with);
                }
            }
        }
        for mut layout in layouts {
            layout.sort();
            layout.dedup();
            let cost = cost(&layout, &counted);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, layout));
            }
        }
    }
    best.map_or_else(usual, |(_, layout)| layout)
}

/// What it costs to have these groups and to read them as they are asked for.
fn cost(layout: &[Shelved], counted: &[Counted]) -> u64 {
    let reads = counted.iter().map(|(wants, count)| count * read(layout, wants)).sum::<u64>();
    let kept: u64 = layout.iter().map(size).sum();
    let once: u64 = BYTES.iter().map(|(_, bytes)| bytes * u64::from(SPAN)).sum();
    reads + TWICE * kept.saturating_sub(once)
}

/// How much is read of a stretch for what is wanted.
pub(super) fn read(layout: &[Shelved], wants: &Wants) -> u64 {
    let mut kinds: Vec<(Kind, &Shelved)> =
        layout.iter().map(|shelved| (shelved.kind(), shelved)).collect();
    kinds.sort_by_key(|(kind, _)| order(*kind, wants));
    let mut open = vec![false; kinds.len()];
    for (wanted, _) in BYTES.iter().filter(|(group, _)| wants.group.contains(*group)) {
        let has = |shelved: &Shelved| {
            // Names that are not all there are looked for in the next file.
            let covers = *wanted != Group::HEADER
                || match (&shelved.names, &wants.names) {
                    (None, _) => true,
                    (Some(kept), Some(asked)) => kept.have(asked),
                    (Some(_), None) => false,
                };
            shelved.group.contains(*wanted) && covers
        };
        for (at, (_, shelved)) in kinds.iter().enumerate() {
            if has(shelved) {
                if let Some(open) = open.get_mut(at) {
                    *open = true;
                }
                break;
            }
        }
    }
    let read = kinds.iter().zip(&open).filter(|(_, open)| **open);
    read.map(|((_, shelved), _)| FILE + size(shelved)).sum()
}

/// Bytes of a stretch in such a file, about.
pub(super) fn size(shelved: &Shelved) -> u64 {
    let bytes = |(group, bytes): &(Group, u64)| match &shelved.names {
        Some(names) if *group == Group::HEADER => names.iter().map(named_size).sum(),
        Some(_) | None => *bytes,
    };
    let has = |(group, _): &&(Group, u64)| shelved.group.contains(*group);
    BYTES.iter().filter(has).map(bytes).sum::<u64>() * u64::from(SPAN)
}

/// Bytes of one header field that is kept by name, about.
fn named_size(name: &[u8]) -> u64 {
    NAMED.iter().find(|(known, _)| *known == name).map_or(OTHER, |(_, bytes)| *bytes)
}

/// All ways to put some kinds into groups.
fn partitions(kinds: &[Group]) -> Vec<Vec<Group>> {
    let Some((first, others)) = kinds.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for partition in partitions(others) {
        for at in 0..partition.len() {
            let mut joined = partition.clone();
            if let Some(group) = joined.get_mut(at) {
                *group = group.or(*first);
            }
            all.push(joined);
        }
        all.push([partition, vec![*first]].concat());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::kind::Names;
    use super::*;
    use imap_proto::fetch::FieldNames;

    fn names(names: &[&str]) -> Option<Names> {
        Names::new(&FieldNames::new(names.iter().map(|name| name.as_bytes().to_vec()).collect()))
    }

    fn wants(group: Group, of: &[&str]) -> Wants {
        Wants { group, names: if of.is_empty() { None } else { names(of) } }
    }

    fn planned(asked: &[Counted]) -> Vec<(u16, usize)> {
        let names = |shelved: &Shelved| shelved.names.as_ref().map_or(0, Names::count);
        plan(asked).iter().map(|shelved| (shelved.group.0, names(shelved))).collect()
    }

    const LIST: Group = Group::ENVELOPE.or(Group::STRUCTURE).or(Group::HEADER);
    const FEW: [&str; 3] = ["date", "from", "subject"];

    #[test]
    fn all_ways_are_tried() {
        let kinds = BYTES.map(|(group, _)| group);
        let all = partitions(&kinds);
        assert_eq!(all.len(), 52); // the fifth Bell number
        for groups in all {
            assert_eq!(groups.iter().map(|group| group.0).sum::<u16>(), 0x1f);
        }
    }

    #[test]
    fn nothing_asked_is_as_usual() {
        let mut expected = usual();
        expected.sort();
        assert_eq!(plan(&[]), expected);
    }

    #[test]
    fn what_is_read_together_lies_together_and_what_is_read_alone_apart() {
        // ENVELOPE alone, many times: BODYSTRUCTURE is in its way.
        let alone = plan(&[(wants(Group::ENVELOPE, &[]), 100)]);
        assert!(alone.contains(&Shelved::new(Group::ENVELOPE)), "{alone:?}");
        // Subjects and addresses together, always.
        let both = Group::ADDRESSES.or(Group::SUBJECT);
        let together = plan(&[(wants(both, &[]), 100)]);
        assert!(together.contains(&Shelved::new(both)), "{together:?}");
    }

    #[test]
    fn fields_asked_by_name_lie_apart_from_the_headers_once_that_pays() {
        assert_eq!(planned(&[(wants(LIST, &FEW), 0)]), planned(&[]));
        let listed = plan(&[(wants(LIST, &FEW), 100)]);
        let apart = Shelved { group: Group::HEADER, names: names(&FEW) };
        assert!(listed.contains(&apart), "{listed:?}");
        assert!(
            listed.iter().any(|base| base.names.is_none() && base.group.contains(Group::HEADER))
        );
        let list = wants(LIST, &FEW);
        assert!(read(&listed, &list) < read(&usual(), &list));
        let whole: Vec<Shelved> =
            usual().into_iter().filter(|shelved| shelved.names.is_none()).collect();
        assert!(read(&listed, &list) * 2 < read(&whole, &list));
    }

    #[test]
    fn two_patterns_in_conflict_get_the_fields_twice_and_each_reads_little() {
        let other = ["list-id", "x-spam-score"];
        let asked = [
            (wants(LIST, &FEW), 100),
            (wants(Group::HEADER, &other), 60),
            (wants(Group::HEADER, &[]), 60),
        ];
        let both = plan(&asked);
        let of_header = both.iter().filter(|shelved| shelved.group.contains(Group::HEADER));
        assert_eq!(of_header.count(), 3, "{both:?}");
        for (wants, _) in &asked {
            let alone = plan(&[(wants.clone(), 1000)]);
            assert!(read(&both, wants) <= read(&alone, wants) + FILE, "{wants:?}");
        }
    }
}
