//! `map.index` that lies or is damaged.

use dbox_format::map::{Added, Draft, LogPosition, Map, MapId, Snapshot};
use dbox_format::{Content, Error, Seed};
use proptest::prelude::*;

use crate::guid;

fn map() -> Map {
    let mut map = Map::new();
    let mut draft = Draft::new(&map);
    draft.container_open(3, Seed(77));
    draft.container_open(500, Seed(0xffff_0000));
    for i in 0..20_u8 {
        let (container, offset) = (if i < 15 { 3 } else { 500 }, 64 + u64::from(i) * 1000);
        let refs = u32::from(i % 3);
        let mut message = Added {
            guid: guid(i),
            container,
            offset,
            record_len: 1000,
            size: 903,
            refs,
            ..Added::default()
        };
        if i == 4 {
            message.extra.push(2, b"origin");
        }
        draft.add(message);
    }
    map.apply(&draft.finish()).unwrap();
    let mut draft = Draft::new(&map);
    draft.free([MapId(1), MapId(7)].into_iter().collect());
    draft.container_seal(3);
    map.apply(&draft.finish()).unwrap();
    map
}

fn file(map: &Map) -> Vec<u8> {
    let mut file = Vec::new();
    map.write_snapshot(LogPosition { file: 4, offset: 99 }, &mut file);
    file
}

fn load(file: &[u8]) -> Result<Map, Error> {
    Snapshot::parse(file)?.load()
}

/// Makes all checksums right again, so that what lies behind them is reached.
fn reseal(file: &mut [u8]) {
    let crc = |bytes: &[u8]| Content::of(bytes).crc().to_le_bytes();
    let count = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
    let table = 64..64 + count.min(100) * 24;
    let mut at = table.end + 4;
    for entry in table.clone().step_by(24) {
        let Some(len) = file.get(entry + 16..entry + 24) else { return };
        let len = u64::from_le_bytes(len.try_into().unwrap()) as usize;
        let Some(section) = file.get(at..at.saturating_add(len)) else { break };
        let sum = crc(section);
        file[entry + 4..entry + 8].copy_from_slice(&sum);
        at += len;
    }
    let sum = crc(&file[..60]);
    file[60..64].copy_from_slice(&sum);
    if table.end + 4 <= file.len() {
        let sum = crc(&file[table.clone()]);
        file[table.end..table.end + 4].copy_from_slice(&sum);
    }
}

#[test]
fn comes_back_the_same() {
    let map = map();
    assert_eq!(load(&file(&map)), Ok(map));
    let empty = Map::new();
    assert_eq!(load(&file(&empty)), Ok(empty));
}

#[test]
fn every_bit_and_every_length_counts() {
    let whole = file(&map());
    for bit in 0..whole.len() * 8 {
        let mut bad = whole.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(load(&bad).is_err(), "bit {bit}");
    }
    for len in 0..whole.len() {
        assert!(load(&whole[..len]).is_err(), "length {len}");
    }
    let longer = [whole.as_slice(), b"x"].concat();
    assert!(matches!(load(&longer), Err(Error::Trailing { count: 1, .. })));
}

#[test]
fn few_bytes_cannot_claim_many_messages() {
    let mut bad = file(&Map::new());
    bad[48..56].copy_from_slice(&u64::MAX.to_le_bytes());
    reseal(&mut bad);
    assert!(matches!(load(&bad), Err(Error::Range { field: "length of the GUIDs", .. })));
    let mut bad = file(&Map::new());
    bad[44..48].copy_from_slice(&u32::MAX.to_le_bytes());
    reseal(&mut bad);
    assert!(matches!(load(&bad), Err(Error::Range { field: "width", .. })));
}

#[test]
fn optional_sections_of_later_versions_are_passed_over_and_others_refused() {
    for (kind, wanted) in [(128, true), (127, false)] {
        let map = map();
        let whole = file(&map);
        let table_end = 64 + 24 * usize::from(whole[12]);
        let section = [kind, 0, 0, 0].into_iter().chain([0; 12]).chain(4_u64.to_le_bytes());
        let mut new: Vec<u8> = whole[..table_end].iter().copied().chain(section).collect();
        new.extend_from_slice(&whole[table_end..]);
        new.extend_from_slice(b"more");
        new[12] += 1;
        reseal(&mut new);
        assert_eq!(load(&new).is_ok(), wanted, "{:?}", load(&new));
    }
}

proptest! {
    #[test]
    fn lies_with_right_checksums_are_safe(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bad = file(&map());
        for (at, byte) in changes {
            *at.get_mut(&mut bad) = byte;
        }
        reseal(&mut bad);
        if let Ok(mut map) = load(&bad) {
            prop_assert_eq!(load(&file(&map)), Ok(map.clone()));
            let ids: Vec<MapId> = map.iter().map(|(id, _)| id).collect();
            let mut draft = Draft::new(&map);
            draft.refs_add(ids.iter().copied());
            if map.apply(&draft.finish()).is_ok() {
                prop_assert_eq!(map.unreferenced().count(), 0);
            }
        }
    }

    #[test]
    fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut file = file(&Map::new());
        prop_assert!(load(&bytes).is_err());
        file.truncate(64);
        file.extend_from_slice(&bytes);
        reseal(&mut file);
        let _ = load(&file);
    }
}
