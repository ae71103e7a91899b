//! Which files there are of a stretch of messages: one for each group of fields that lie together, and one for what
//! came lately.

use super::facts::is_common;
use imap_proto::fetch::FieldNames;
use imap_proto::mime::header::RawFields;
use index_format::cache::{Group, NAMES_MAX, SENT_SPAN, SPAN};
use std::sync::{Arc, LazyLock};

/// What a file holds: a group of fields, and with names header fields of these names alone.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Kind {
    pub(crate) group: Group,
    /// [`Names::hash`]; 0 for a file that has headers as they are usually kept.
    pub(crate) names: u32,
}

impl Kind {
    /// Whole rows, as they came.
    pub(crate) const FRESH: Kind = Kind { group: Group::ALL, names: 0 };
    /// Sent dates.
    pub(crate) const SENT: Kind = Kind { group: Group::SENT, names: 0 };

    /// How many map ids its files cover.
    pub(crate) fn span(self) -> u32 {
        if self == Kind::SENT { SENT_SPAN } else { SPAN }
    }

    /// The name of its file with this number.
    pub(crate) fn file_name(self, number: u32) -> String {
        let Kind { group: Group(group), names } = self;
        if names == 0 {
            format!("{number:08x}.{group:04x}")
        } else {
            format!("{number:08x}.{group:04x}.{names:08x}")
        }
    }

    /// What the name of a file says.
    pub(crate) fn parse(name: &str) -> Option<(u32, Kind)> {
        let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
        let mut pieces = name.split('.');
        let number = hex(pieces.next()?)?;
        let group = Group(u16::try_from(hex(pieces.next()?)?).ok()?);
        let kind = Kind { group, names: pieces.next().map_or(Some(0), hex)? };
        (kind.file_name(number) == name).then_some((number, kind))
    }
}

/// The names of the header fields that programs show, or thread by, in their lists of messages: Thunderbird, Apple's Mail,
/// K-9 and Delta Chat, Roundcube and those that ask for some of the same. All are [common](is_common).
const LISTED: [&[u8]; 24] = [
    b"bcc",
    b"cc",
    b"chat-version",
    b"content-type",
    b"date",
    b"disposition-notification-to",
    b"from",
    b"importance",
    b"in-reply-to",
    b"list-id",
    b"list-post",
    b"list-unsubscribe",
    b"message-id",
    b"newsgroups",
    b"priority",
    b"references",
    b"reply-to",
    b"sender",
    b"subject",
    b"to",
    b"x-k9mail-identity",
    b"x-priority",
    b"x-uniform-type-identifier",
    b"x-universally-unique-identifier",
];

/// The names that are kept together for lists of messages, before it is known what is asked.
pub(super) fn listed() -> &'static Names {
    &USUAL.0
}

/// [`Names::hash`] of these.
pub(super) fn listed_hash() -> u32 {
    USUAL.1
}

static USUAL: LazyLock<(Names, u32)> = LazyLock::new(|| {
    let line = |name: &&[u8]| [name, &b"\n"[..]].concat();
    let names = Names(LISTED.iter().flat_map(line).collect());
    let hash = names.hash();
    (names, hash)
});

/// Names of header fields that are kept together: in lower case, sorted.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Names(Arc<[u8]>);

impl Names {
    /// Of what a client asks for; `None` when these are too many.
    pub(crate) fn new(names: &FieldNames) -> Option<Names> {
        let mut written = Vec::new();
        for name in names.sorted() {
            written.extend_from_slice(name);
            written.push(b'\n');
        }
        Names::read(&written)
    }

    /// As they stand in a header of a file; `None` for no names, for too many, and for what was never written.
    pub(crate) fn read(written: &[u8]) -> Option<Names> {
        let names = Names(written.into());
        let fine = names.iter().all(|name| !name.is_empty() && !name.contains(&b'\r'))
            && names.iter().is_sorted()
            && (1..=NAMES_MAX).contains(&written.len())
            && written.ends_with(b"\n");
        fine.then_some(names)
    }

    /// As they stand in a header of a file.
    pub(crate) fn written(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let written = self.0.strip_suffix(b"\n").unwrap_or(&self.0);
        written.split(|&byte| byte == b'\n')
    }

    /// What stands for them in a file's name; never 0. Who finds a file by it compares the names in its header.
    pub(crate) fn hash(&self) -> u32 {
        // FNV-1a
        let hash = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        self.0.iter().fold(0x811c_9dc5, hash).max(1)
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.iter().count()
    }

    /// Whether these are the names that a client asks for, no more and no less.
    pub(super) fn are(&self, asked: &FieldNames) -> bool {
        let next = |rest: &[u8], name: &[u8]| {
            rest.strip_prefix(name)?.strip_prefix(b"\n").map(<[u8]>::len)
        };
        let mut rest = &*self.0;
        for name in asked.sorted() {
            let Some(len) = next(rest, name) else { return false };
            rest = rest.get(rest.len() - len..).unwrap_or_default();
        }
        rest.is_empty()
    }

    /// Whether all of `others` are among them.
    pub(super) fn have(&self, others: &Names) -> bool {
        others.iter().all(|name| self.contain(name))
    }

    /// Whether `name`, in any case, is one of them.
    pub(crate) fn contain(&self, name: &[u8]) -> bool {
        self.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether all of them are among those that are always kept.
    pub(crate) fn are_common(&self) -> bool {
        self.iter().all(is_common)
    }

    /// The fields of these names in a header block, and its empty line if there is one (RFC 9051 §6.4.5.1).
    pub(crate) fn of_header(&self, header: &[u8]) -> Vec<u8> {
        // Looked for once: a header has many fields, and each is asked for.
        let names: Vec<&[u8]> = self.iter().collect();
        named(header, |name| names.iter().any(|known| known.eq_ignore_ascii_case(name)))
    }
}

/// The fields of a header block that have such names, and its empty line if there is one.
pub(super) fn named(header: &[u8], is_wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let mut end = 0;
    for field in RawFields::new(header) {
        end = field.range.end;
        if is_wanted(field.name) {
            out.extend_from_slice(header.get(field.range).unwrap_or_default());
        }
    }
    out.extend_from_slice(header.get(end..).unwrap_or_default());
    out
}

/// What a command looks at in each message: where a value is kept twice, it is read where less else is.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Wants {
    pub(crate) group: Group,
    /// The header fields it asks for; `None` when it wants others, or none.
    pub(crate) names: Option<Names>,
}

/// Header fields that are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked<'a> {
    /// All of them.
    All,
    /// Those that are always kept.
    Common,
    Of(&'a FieldNames),
    /// Of one name.
    One(&'a [u8]),
}

impl Asked<'_> {
    /// Whether a list has all of them; `None` stands for the common names.
    pub(super) fn are_in(self, list: Option<&Names>) -> bool {
        let has = |name: &[u8]| list.map_or_else(|| is_common(name), |list| list.contain(name));
        match self {
            Asked::All => false,
            Asked::Common => list.is_none(),
            Asked::Of(names) => names.sorted().all(has),
            Asked::One(name) => has(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use index_format::cache::COMMON_HEADER;

    #[test]
    fn names_of_files_are_read_as_they_were_written() {
        for (number, kind) in [
            (0, Kind::FRESH),
            (7, Kind::SENT),
            (u32::MAX, Kind { group: Group(3), names: u32::MAX }),
        ] {
            assert_eq!(Kind::parse(&kind.file_name(number)), Some((number, kind)));
        }
        for name in ["", "00000007", "00000007.tmp", "7.0001", "00000007.0001.00000000", "asked"] {
            assert_eq!(Kind::parse(name), None, "{name}");
        }
    }

    #[test]
    fn names_are_those_of_the_fields() {
        let of = |names: &[&str]| {
            let names = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            FieldNames::new(names)
        };
        let names = Names::new(&of(&["Subject", "FROM", "x-spam"])).unwrap();
        assert_eq!(names.written(), b"from\nsubject\nx-spam\n");
        assert_eq!(Names::read(names.written()), Some(names.clone()));
        assert!(names.contain(b"From") && !names.contain(b"to") && !names.contain(b""));
        assert!(!names.are_common() && Names::new(&of(&["to", "date"])).unwrap().are_common());
        assert!(names.are(&of(&["x-spam", "From", "subject"])));
        for others in [&["from", "subject"][..], &["from", "subject", "x-spam", "x-z"], &[]] {
            assert!(!names.are(&of(others)), "{others:?}");
        }
        let header = b"From: a\r\nTo: b\r\nx-SPAM: 1\r\n 2\r\n\r\n";
        assert_eq!(names.of_header(header), b"From: a\r\nx-SPAM: 1\r\n 2\r\n\r\n");
        assert!(Asked::One(b"Subject").are_in(Some(&names)) && !Asked::All.are_in(Some(&names)));
        assert!(Asked::Of(&of(&["from"])).are_in(Some(&names)));
        assert!(!Asked::Of(&of(&["from", "to"])).are_in(Some(&names)));
        for bad in ["", "\n", "b\na\n", "a", "a\n\n", "a\r\n"] {
            assert_eq!(Names::read(bad.as_bytes()), None, "{bad:?}");
        }
        assert_eq!(Names::new(&of(&[&"x".repeat(2000)])), None);
        // What lists ask for can be taken from the common fields.
        assert_eq!(Names::read(listed().written()).as_ref(), Some(listed()));
        assert!(listed().are_common() && listed().hash() == listed_hash());
        assert!(COMMON_HEADER.iter().map(|name| name.len() + 1).sum::<usize>() < NAMES_MAX);
    }
}
