//! The cache: whatever happens to its bytes, a value is right or missing.

use index_format::cache::sent::{Sent, SentFile, write_sent};
use index_format::cache::{
    BLOCK_MAX, CacheFile, Field, Fields, Group, Header, Index, Key, NAMES_MAX, ROW_MAX, Row,
    SENT_SPAN, Text, encode_fields, value_in, write_encoded, write_rows,
};
use index_format::{Error, Guid, MapId};
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) fn header() -> Header {
    Header::covering(Guid([5; 16]), MapId(5000), 99)
}

const FIELDS: [Field<'static>; 10] = [
    Field::Envelope,
    Field::BodyStructure,
    Field::HeaderField(b"list-id"),
    Field::HeaderField(b"references"),
    Field::Preview,
    Field::HeaderCommon,
    Field::Other(32),
    Field::Sent,
    Field::Text(Text::Subject),
    Field::Key(Key::DisplayTo),
];

/// Message, field, value; the GUID follows from the message.
type Value = (u32, usize, Vec<u8>);

fn guid(map_id: MapId) -> [u8; 4] {
    map_id.0.to_be_bytes()
}

/// A file with a block for each group of values, a row for each value.
pub(crate) fn file(blocks: &[Vec<Value>]) -> Vec<u8> {
    let mut out = Vec::new();
    header().write(&mut out);
    for block in blocks {
        let fields: Vec<_> =
            block.iter().map(|(_, field, value)| [(FIELDS[*field], value.as_slice())]).collect();
        let rows: Vec<Row<'_>> = block
            .iter()
            .zip(&fields)
            .map(|((slot, ..), fields)| {
                let map_id = MapId(header().first.0 + slot);
                Row { map_id, guid: guid(map_id), fields }
            })
            .collect();
        write_rows(&header(), 0, &rows, &mut out).unwrap();
    }
    out
}

fn values() -> impl Strategy<Value = Vec<Vec<Value>>> {
    vec(vec((0u32..6, 0usize..FIELDS.len(), vec(any::<u8>(), 0..30)), 0..5), 0..5)
}

/// What the file should say: the latest value.
fn expected(blocks: &[Vec<Value>], slot: u32, field: usize) -> Option<&[u8]> {
    let mut values = blocks.iter().flatten().rev();
    values.find(|value| value.0 == slot && value.1 == field).map(|value| value.2.as_slice())
}

proptest! {
    #[test]
    fn the_latest_value_is_found(blocks in values()) {
        let bytes = file(&blocks);
        let cache = CacheFile::parse(&bytes).unwrap();
        prop_assert_eq!(cache.end(), bytes.len() as u64);
        for slot in 0..7 {
            let map_id = MapId(header().first.0 + slot);
            for (number, field) in FIELDS.into_iter().enumerate() {
                prop_assert_eq!(cache.get(map_id, guid(map_id), field), expected(&blocks, slot, number));
                prop_assert_eq!(cache.get(map_id, [9; 4], field), None);
            }
        }
        prop_assert_eq!(cache.get(MapId(1), guid(MapId(1)), Field::Envelope), None);
        prop_assert_eq!(cache.index().iter().count(), blocks.iter().flatten().count());
        // An index that grows with its file says the same as one that reads it whole.
        let mut index = Index::new(header());
        for (at, _) in blocks.iter().enumerate() {
            let until = file(&blocks[..=at]);
            index.extend(&until[index.end() as usize..]);
        }
        prop_assert!(index.iter().eq(cache.index().iter()));
    }

    #[test]
    fn rows_that_are_bytes_already_make_the_same_block(values in vec((0u32..6, vec(any::<u8>(), 0..30)), 0..5)) {
        let id = |slot: &u32| MapId(header().first.0 + slot);
        let fields: Vec<_> = values.iter().map(|(_, value)| [(Field::Envelope, value.as_slice()), (Field::HeaderCommon, &b"x"[..])]).collect();
        let rows: Vec<Row<'_>> = values.iter().zip(&fields).map(|((slot, _), fields)| Row { map_id: id(slot), guid: [7; 4], fields }).collect();
        let bytes: Vec<Vec<u8>> = fields.iter().map(|fields| {
            let mut bytes = Vec::new();
            encode_fields(fields, &mut bytes).unwrap();
            for (field, value) in fields {
                assert_eq!(value_in(&bytes, *field).map(|range| &bytes[range]), Some(*value));
            }
            bytes
        }).collect();
        let encoded: Vec<_> = values.iter().zip(&bytes).map(|((slot, _), bytes)| (id(slot), [7; 4], bytes.as_slice())).collect();
        let (mut one, mut other) = (Vec::new(), Vec::new());
        write_rows(&header(), 3, &rows, &mut one).unwrap();
        write_encoded(&header(), 3, &encoded, &mut other).unwrap();
        prop_assert_eq!(one, other);
    }

    #[test]
    fn damage_is_a_miss(blocks in values(), at in any::<prop::sample::Index>(), bit in 0u8..8, cut in any::<bool>()) {
        let mut bytes = file(&blocks);
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << bit;
        }
        let Some(cache) = CacheFile::parse(&bytes) else { return Ok(()) };
        let whole: usize = blocks.iter().filter(|block| !block.is_empty()).count();
        let ends: Vec<usize> = (0..=blocks.len()).map(|count| file(&blocks[..count]).len()).collect();
        let counts = ends.iter().rposition(|&end| end as u64 == cache.end());
        let counts = counts.expect("a cache ends where a block does");
        prop_assert!(whole == 0 || ends[counts] <= at || ends[counts] <= bytes.len());
        for slot in 0..6 {
            let map_id = MapId(header().first.0 + slot);
            for (number, field) in FIELDS.into_iter().enumerate() {
                prop_assert_eq!(cache.get(map_id, guid(map_id), field), expected(&blocks[..counts], slot, number));
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = CacheFile::parse(&bytes);
        let mut index = Index::new(header());
        index.extend(&bytes);
        prop_assert!(index.is_empty());
        let fields: Vec<_> = Fields::new(&bytes).collect();
        prop_assert!(fields.len() <= bytes.len());
        for field in FIELDS {
            let found = fields.iter().find(|(other, _)| *other == field).map(|(_, value)| *value);
            prop_assert_eq!(value_in(&bytes, field).map(|range| &bytes[range]), found);
        }
    }
}

#[test]
fn rows_of_another_maker_are_a_miss_and_those_behind_them_count() {
    let mut bytes = file(&[]);
    let map_id = MapId(header().first.0 + 1);
    for (maker, value) in [(3, b"old"), (4, b"new"), (3, b"odd")] {
        let row = Row { map_id, guid: guid(map_id), fields: &[(Field::Envelope, value)] };
        write_rows(&header(), maker, &[row], &mut bytes).unwrap();
    }
    let of = |maker| {
        let mut index = Index::of_maker(header(), maker);
        index.extend(&bytes[header().len()..]);
        assert_eq!(index.end(), bytes.len() as u64);
        let places: Vec<_> = index.rows(map_id, guid(map_id)).collect();
        let read = CacheFile::parse(&bytes).unwrap();
        places.iter().map(|place| read.bytes_of(*place)[2..].to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(of(3), [b"odd", b"old"]);
    assert_eq!(of(4), [b"new"]);
    assert!(of(5).is_empty());
}

#[test]
fn a_header_says_which_fields_and_names_there_are() {
    let names = b"date\nfrom\n".to_vec();
    let header = Header { group: Group::HEADER, names, ..header() };
    let mut bytes = Vec::new();
    header.write(&mut bytes);
    assert_eq!(bytes.len(), header.len());
    assert_eq!(Header::parse(&bytes), Ok(header.clone()));
    let names = vec![b'x'; NAMES_MAX];
    let mut bytes = Vec::new();
    Header { names: names.clone(), ..header.clone() }.write(&mut bytes);
    assert_eq!(Header::parse(&bytes), Ok(Header { names, ..header }));
    bytes[44..46].copy_from_slice(&(NAMES_MAX as u16 + 1).to_le_bytes());
    assert!(matches!(Header::parse(&bytes), Err(Error::Value { .. })));
}

fn sent_header() -> Header {
    let group = Group::SENT;
    Header { first: MapId(1 << 16), span: SENT_SPAN, group, ..header() }
}

/// Dates as mail has them, and as it has not.
fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let at = prop_oneof![
        8 => (1_700_000_000i64..1_700_100_000).prop_map(Some),
        1 => any::<i64>().prop_map(Some),
        1 => Just(None),
    ];
    vec((0..SENT_SPAN, any::<[u8; 4]>(), at, any::<bool>()), 0..700).prop_map(|rows| {
        let mut next = 0;
        let slot = |random: u32, dense: bool| {
            let slot = if dense { next % SENT_SPAN } else { random };
            next = slot + 1;
            slot
        };
        let mut slot = slot;
        let row = |(random, guid, at, dense)| Sent {
            map_id: MapId(sent_header().first.0 + slot(random, dense)),
            guid,
            at,
        };
        rows.into_iter().map(row).collect()
    })
}

proptest! {
    #[test]
    fn dates_are_read_as_they_were_written(blocks in vec(sent(), 0..4)) {
        let mut bytes = Vec::new();
        sent_header().write(&mut bytes);
        let mut ends = vec![(bytes.len(), 0)];
        for block in &blocks {
            write_sent(&sent_header(), 7, block, &mut bytes).unwrap();
            ends.push((bytes.len(), ends.last().unwrap().1 + block.len()));
        }
        let all = blocks.concat();
        let read = SentFile::parse(&bytes, 7).unwrap();
        prop_assert_eq!(&read.rows, &all);
        prop_assert_eq!((read.end, read.header), (bytes.len() as u64, sent_header()));
        prop_assert!(SentFile::parse(&bytes, 8).unwrap().rows.is_empty());
        // Cut anywhere, whole blocks count.
        for cut in (sent_header().len()..bytes.len()).step_by(97) {
            let read = SentFile::parse(&bytes[..cut], 7).unwrap();
            let (end, count) = ends.iter().rfind(|(end, _)| *end <= cut).unwrap();
            prop_assert_eq!((read.end, &read.rows[..]), (*end as u64, &all[..*count]));
        }
    }

    #[test]
    fn a_flipped_bit_among_dates_is_a_miss(rows in sent(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = Vec::new();
        sent_header().write(&mut bytes);
        write_sent(&sent_header(), 7, &rows, &mut bytes).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Some(read) = SentFile::parse(&bytes, 7) {
            prop_assert!(read.rows.is_empty());
        }
    }
}

/// The promise of the design: a SORT by date reads at most 8 bytes a message.
#[test]
fn dates_take_less_than_eight_bytes_a_message() {
    let mut random = 12345u64;
    let mut next = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % below
    };
    let mut when = 1_000_000_000;
    let rows: Vec<Sent> = (0..SENT_SPAN)
        .map(|slot| {
            // A message a few minutes behind the last; now and then one from long ago, or with no date.
            when += next(1200) as i64;
            let at = match next(200) {
                0 => None,
                1 => Some(next(1 << 31) as i64),
                _ => Some(when + next(600) as i64),
            };
            let map_id = MapId(sent_header().first.0 + slot);
            Sent { map_id, guid: (next(1 << 32) as u32).to_le_bytes(), at }
        })
        .collect();
    let mut bytes = Vec::new();
    sent_header().write(&mut bytes);
    write_sent(&sent_header(), 1, &rows, &mut bytes).unwrap();
    let each = bytes.len() as f64 / rows.len() as f64;
    println!("{each:.2} bytes a message");
    assert!(each < 7.0, "{each}");
    assert_eq!(SentFile::parse(&bytes, 1).unwrap().rows, rows);
}

#[test]
fn a_block_made_with_another_seed_is_a_miss() {
    let mut bytes = file(&[vec![(1, 0, b"true".to_vec())]]);
    let end = bytes.len() as u64;
    let map_id = MapId(header().first.0 + 1);
    let row = Row { map_id, guid: guid(map_id), fields: &[(Field::Envelope, b"forged")] };
    write_rows(&Header { seed: 1, ..header() }, 0, &[row], &mut bytes).unwrap();
    let cache = CacheFile::parse(&bytes).unwrap();
    assert_eq!(
        (cache.get(map_id, guid(map_id), Field::Envelope), cache.end()),
        (Some(&b"true"[..]), end)
    );
}

#[test]
fn what_does_not_fit_is_refused_and_leaves_no_trace() {
    let mut out = Vec::new();
    let outside = Row { map_id: MapId(1), guid: [0; 4], fields: &[] };
    assert!(matches!(
        write_rows(&header(), 0, &[outside], &mut out),
        Err(Error::Value { field: "map id", .. })
    ));
    let value = vec![0; ROW_MAX];
    let large = Row { map_id: MapId(5000), guid: [0; 4], fields: &[(Field::Header, &value)] };
    assert!(matches!(
        write_rows(&header(), 0, &[large], &mut out),
        Err(Error::TooLong { what: "a cache row", .. })
    ));
    let large = Row { fields: &[(Field::Header, &value[100..])], ..large };
    let rows = vec![large; BLOCK_MAX / ROW_MAX + 1];
    assert!(matches!(
        write_rows(&header(), 0, &rows, &mut out),
        Err(Error::TooLong { what: "a cache block", .. })
    ));
    let odd = Row { fields: &[(Field::Other(5), b"")], ..large };
    assert!(matches!(
        write_rows(&header(), 0, &[odd], &mut out),
        Err(Error::Value { field: "field", .. })
    ));
    write_rows(&header(), 0, &[], &mut out).unwrap();
    assert!(out.is_empty());
}
