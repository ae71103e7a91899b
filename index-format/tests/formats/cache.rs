//! The cache: whatever happens to its bytes, a value is right or missing.

use index_format::cache::{
    BLOCK_MAX, CacheFile, Field, Fields, Header, Index, ROW_MAX, Row, encode_fields, write_encoded,
    write_rows,
};
use index_format::{Error, Guid, MapId};
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) fn header() -> Header {
    Header::covering(Guid([5; 16]), MapId(5000), 99)
}

const FIELDS: [Field<'static>; 7] = [
    Field::Envelope,
    Field::BodyStructure,
    Field::HeaderField(b"list-id"),
    Field::HeaderField(b"references"),
    Field::Preview,
    Field::HeaderCommon,
    Field::Other(32),
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
    }
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
