//! The journal: records, torn ends, seeds, bodies stored once.

use index_format::journal::{
    BODY_MAX, End, Frames, Header, Part, Previous, RECORD_MAX, Record, Target,
};
use index_format::{Error, Guid};
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) fn header() -> Header {
    Header {
        store: Guid([3; 16]),
        segment: 42,
        previous: Some(Previous { segment: 41, end: 16_000_000 }),
        seed: 0xfeed_beef_0bad_cafe,
        first_record: 1000,
        epoch: 2,
        flags: 0,
    }
}

/// A segment that holds `records`, zero-filled.
pub(crate) fn segment(header: &Header, records: &[Record<'_>], len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    header.write(&mut out);
    for (number, record) in (header.first_record..).zip(records) {
        let before = out.len();
        record.write(header, number, &mut out).unwrap();
        assert_eq!(out.len() - before, record.encoded_len());
    }
    assert!(out.len() <= len);
    out.resize(len, 0);
    out
}

fn read<'a>(
    segment: &'a [u8],
    header: &Header,
    end: Option<u64>,
) -> (Vec<Record<'a>>, u64, Option<End>) {
    let mut frames = Frames::new(segment, header, end);
    let records =
        frames.by_ref().map(|frame| Record::decode(frame.payload, frame.start).unwrap()).collect();
    (records, frames.offset(), frames.end())
}

/// One mail to twenty recipients: a container, a map and a mailbox part for each, one body.
fn delivery(accounts: &[String]) -> Vec<Part<'_>> {
    let targets = |n: usize| {
        [
            Target::Container {
                file: 7,
                offset: 1000 * n as u64,
                head: b"head",
                body: Some(0),
                tail: b"tail",
            },
            Target::Map { transaction: n as u64, payload: b"map" },
            Target::Mailbox { guid: Guid([n as u8; 16]), transaction: 3, payload: b"append" },
        ]
    };
    let parts = accounts.iter().enumerate();
    parts
        .flat_map(|(n, account)| {
            targets(n).map(|target| Part { account: account.as_bytes(), target })
        })
        .collect()
}

#[derive(Clone, Debug)]
struct Owned {
    account: u8,
    kind: u8,
    numbers: (u32, u64),
    head: Vec<u8>,
    tail: Vec<u8>,
    body: Option<prop::sample::Index>,
}

fn owned() -> impl Strategy<Value = Owned> {
    let bytes = || vec(any::<u8>(), 0..30);
    (0u8..3, 0u8..4, any::<(u32, u64)>(), bytes(), bytes(), any::<Option<prop::sample::Index>>())
        .prop_map(|(account, kind, numbers, head, tail, body)| Owned {
            account,
            kind,
            numbers,
            head,
            tail,
            body,
        })
}

fn part<'a>(owned: &'a Owned, bodies: usize) -> Part<'a> {
    let (file, number) = owned.numbers;
    let body = owned.body.filter(|_| bodies > 0).map(|index| index.index(bodies) as u32);
    let target = match owned.kind {
        0 => Target::Container { file, offset: number, head: &owned.head, body, tail: &owned.tail },
        1 => Target::Map { transaction: number, payload: &owned.head },
        2 => Target::List { transaction: number, payload: &owned.head },
        _ => Target::Mailbox {
            guid: Guid([file as u8; 16]),
            transaction: number,
            payload: &owned.tail,
        },
    };
    let account: &[u8] = [&b"anna"[..], b"bert", b""][usize::from(owned.account)];
    Part { account, target }
}

type Content = (Vec<Owned>, Vec<Vec<u8>>);

fn contents() -> impl Strategy<Value = Vec<Content>> {
    vec((vec(owned(), 0..6), vec(vec(any::<u8>(), 0..50), 0..3)), 0..5)
}

fn records(contents: &[Content]) -> Vec<Record<'_>> {
    contents
        .iter()
        .map(|(parts, bodies)| Record {
            parts: parts.iter().map(|owned| part(owned, bodies.len())).collect(),
            bodies: bodies.iter().map(Vec::as_slice).collect(),
        })
        .collect()
}

proptest! {
    #[test]
    fn what_is_written_is_read(contents in contents()) {
        let records = records(&contents);
        let segment = segment(&header(), &records, 20_000);
        let (found, at, end) = read(&segment, &header(), None);
        prop_assert_eq!(found, records);
        prop_assert_eq!(end, Some(End::Clean));
        // Read and written again it is the same file.
        let frames: Vec<_> = Frames::new(&segment, &header(), Some(at)).collect();
        let again: Vec<_> = frames.iter().map(|frame| Record::decode(frame.payload, 0).unwrap()).collect();
        prop_assert_eq!(self::segment(&header(), &again, 20_000), segment);
    }

    #[test]
    fn a_torn_write_loses_the_last_records_only(contents in contents(), keep in any::<prop::sample::Index>()) {
        let records = records(&contents);
        let mut segment = segment(&header(), &records, 20_000);
        let (_, end, _) = read(&segment, &header(), None);
        let keep = Header::LEN + keep.index(end as usize - Header::LEN + 1);
        segment[keep..].fill(0);
        let (found, _, _) = read(&segment, &header(), None);
        prop_assert!(records.starts_with(&found));
        // All that was written whole is there. (Zeros at a record's own end may be what was torn off.)
        let whole = Frames::new(&self::segment(&header(), &records, 20_000), &header(), None)
            .take_while(|frame| frame.end <= keep as u64)
            .count();
        prop_assert!(found.len() >= whole);
    }

    #[test]
    fn a_flipped_bit_never_gives_another_record(contents in contents(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let records = records(&contents);
        let mut segment = segment(&header(), &records, 20_000);
        let (_, end, _) = read(&segment, &header(), None);
        prop_assume!(end > Header::LEN as u64);
        let at = Header::LEN + at.index(end as usize - Header::LEN);
        segment[at] ^= 1 << bit;
        let (found, _, _) = read(&segment, &header(), None);
        prop_assert!(records.starts_with(&found) && found.len() < records.len());
    }

    #[test]
    fn random_payloads_never_panic(bytes in vec(any::<u8>(), 0..100)) {
        if let Ok(record) = Record::decode(&bytes, 0) {
            let mut out = Vec::new();
            record.write(&header(), 0, &mut out).unwrap();
            prop_assert_eq!(Record::decode(&out[8..], 0), Ok(record));
        }
        let _ = Header::parse(&bytes);
    }
}

#[test]
fn twenty_recipients_share_one_body() {
    let accounts: Vec<String> = (1..=20).map(|n| format!("u{n}")).collect();
    let body = vec![b'x'; 100_000];
    let record = Record { parts: delivery(&accounts), bodies: vec![&body] };
    let mut out = Vec::new();
    record.write(&header(), 1000, &mut out).unwrap();
    assert!(out.len() < 102_000, "{} bytes", out.len());
    let read = Record::decode(&out[8..], 0).unwrap();
    assert_eq!(read, record);
    assert!(
        std::ptr::eq(read.bodies[0].as_ptr(), out[out.len() - body.len()..].as_ptr()),
        "borrowed, not copied"
    );
}

#[test]
fn a_record_counts_only_in_its_place_and_segment() {
    let record = |payload| {
        let target = Target::Map { transaction: 1, payload };
        Record { parts: vec![Part { account: b"u1", target }], bodies: vec![] }
    };
    let records = [record(b"one"), record(b"two")];
    let bytes = segment(&header(), &records, 5000);
    let (found, end, why) = read(&bytes, &header(), None);
    assert_eq!((found, why), (records.to_vec(), Some(End::Clean)));
    // Another seed, another number for the first record: nothing checks out.
    for other in [Header { seed: 1, ..header() }, Header { first_record: 1001, ..header() }] {
        assert_eq!(read(&bytes, &other, None), (vec![], Header::LEN as u64, Some(End::Torn)));
    }
    // The second record in the place of the first, as a misdirected write would leave it.
    let len = (end as usize - Header::LEN) / 2;
    let mut moved = bytes.clone();
    moved.copy_within(Header::LEN + len..Header::LEN + 2 * len, Header::LEN);
    assert_eq!(read(&moved, &header(), None).0, []);
    // The next segment says that the second was not acknowledged.
    let cut = Header::LEN as u64 + len as u64;
    assert_eq!(read(&bytes, &header(), Some(cut)), (records[..1].to_vec(), cut, Some(End::Clean)));
    assert_eq!(read(&bytes, &header(), Some(cut + 3)).2, Some(End::Torn));
}

#[test]
fn a_body_that_looks_like_records_is_only_a_body() {
    let inner = Record { parts: vec![], bodies: vec![b"evil"] };
    let mut forged = Vec::new();
    inner.write(&Header { seed: 7, ..header() }, 1001, &mut forged).unwrap();
    let record = Record { parts: vec![], bodies: vec![&forged] };
    let mut bytes = segment(&header(), std::slice::from_ref(&record), 6000);
    assert_eq!(read(&bytes, &header(), None).0, [record]);
    bytes[Header::LEN + 4] ^= 1; // even when the record around it is torn
    assert_eq!(read(&bytes, &header(), None), (vec![], Header::LEN as u64, Some(End::Torn)));
}

#[test]
fn limits_are_told_before_anything_is_written() {
    let body = vec![0; BODY_MAX + 1];
    let mut out = Vec::new();
    let record = Record { parts: vec![], bodies: vec![&body] };
    let max = BODY_MAX as u64;
    assert_eq!(
        record.write(&header(), 0, &mut out),
        Err(Error::TooLong { what: "a body", len: max + 1, max })
    );
    let bodies = vec![&body[1..]; RECORD_MAX / BODY_MAX];
    let error = Record { parts: vec![], bodies }.write(&header(), 0, &mut out);
    assert!(matches!(error, Err(Error::TooLong { what: "a journal record", .. })));
    let target = Target::Container { file: 1, offset: 0, head: b"", body: Some(0), tail: b"" };
    let record = Record { parts: vec![Part { account: b"u", target }], bodies: vec![] };
    assert!(matches!(
        record.write(&header(), 0, &mut out),
        Err(Error::Value { field: "body", found: 0, .. })
    ));
    assert!(out.is_empty());
}

#[test]
fn a_header_comes_back_whole_or_not_at_all() {
    for header in [header(), Header { previous: None, segment: 1, ..header() }] {
        let mut bytes = Vec::new();
        header.write(&mut bytes);
        assert_eq!((bytes.len(), Header::parse(&bytes)), (Header::LEN, Ok(header)));
        for at in 0..80 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(Header::parse(&damaged).is_err(), "byte {at}");
        }
    }
}
