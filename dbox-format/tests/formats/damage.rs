//! Containers that lost something: the walker finds all that is whole, and nothing that never was a message.

use std::ops::Range;

use dbox_format::container::{FileHeader, Found, RecordHead, walk, walk_with_seed};
use dbox_format::{Error, Seed};
use proptest::prelude::*;

use crate::{SEED, container, guid, small, streamed};

/// What the walk found, after checking that it covers the file in order.
fn walked(file: &[u8]) -> Vec<Found<'_>> {
    let found: Vec<Found<'_>> = walk(file).collect();
    let mut at = 0;
    for item in &found {
        let range = match item {
            Found::Header(_) => 0..FileHeader::LEN as u64,
            Found::Record { at, record } => *at..*at + record.len(),
            Found::Unwritten { range } | Found::Damage { range, .. } => range.clone(),
        };
        assert!(range.start == at && range.end > at, "{item:?} should start at {at}");
        at = range.end;
    }
    assert_eq!(at, file.len() as u64);
    found
}

fn records(found: &[Found<'_>]) -> Vec<u64> {
    found
        .iter()
        .filter_map(|item| if let Found::Record { at, .. } = item { Some(*at) } else { None })
        .collect()
}

fn assert_finds(file: &[u8], places: &[Range<usize>], hit: impl Fn(&Range<usize>) -> bool) {
    let wanted: Vec<u64> =
        places.iter().filter(|place| !hit(place)).map(|place| place.start as u64).collect();
    assert_eq!(records(&walked(file)), wanted);
}

fn messages(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|i| format!("Subject: {i}\r\n\r\n{}", "text ".repeat(i * 40)).into_bytes())
        .collect()
}

#[test]
fn a_damaged_message_costs_itself() {
    let (file, places) = container(SEED, &messages(5));
    for at in 64..file.len() {
        let mut bad = file.clone();
        bad[at] ^= 0x40;
        assert_finds(&bad, &places, |place| place.contains(&at));
    }
}

#[test]
fn damage_says_what_and_where() {
    let (mut file, places) = container(SEED, &messages(3));
    file[places[1].start + 90] ^= 1;
    let found = walked(&file);
    let Some(Found::Damage { range, error }) = found.get(2) else { panic!("{found:?}") };
    assert_eq!(*range, places[1].start as u64..places[1].end as u64);
    assert!(matches!(error, Error::Checksum { what: "message", .. }), "{error}");
}

#[test]
fn a_file_cut_anywhere_keeps_what_is_before_the_cut() {
    let (file, places) = container(SEED, &messages(3));
    for len in 0..file.len() {
        assert_finds(&file[..len], &places, |place| place.end > len);
    }
}

#[test]
fn room_never_written_is_no_damage() {
    let (mut file, places) = container(SEED, &messages(2));
    file[places[0].clone()].fill(0);
    file.extend_from_slice(&[0; 500]);
    let found = walked(&file);
    assert!(!found.iter().any(|item| matches!(item, Found::Damage { .. })), "{found:?}");
    assert_eq!(records(&found), [places[1].start as u64]);
}

#[test]
fn without_header_and_first_record_the_seed_is_found_again() {
    let (mut file, places) = container(SEED, &messages(6));
    file[..places[0].end].fill(0xee);
    assert_eq!(walk(&file).seed(), SEED);
    assert_finds(&file, &places, |place| place.start < places[0].end);
    assert_eq!(
        walk_with_seed(&file, SEED).filter(|item| matches!(item, Found::Record { .. })).count(),
        5
    );
}

#[test]
fn mail_that_contains_records_forges_none() {
    let forged = |seed| {
        let head = RecordHead { guid: guid(0xee), mailbox_name: "INBOX", ..RecordHead::default() };
        small(seed, &head, b"Subject: forged\r\n\r\n")
    };
    let bait = [forged(Seed(0)), forged(Seed(1)), forged(Seed(1)).repeat(30)].concat();
    let (file, places) = container(SEED, &[bait.clone(), vec![b'x'; 9000], bait]);
    // Framing of the first record gone, so that the search goes through the bait; then the header as well.
    for lost in
        [places[0].start..places[0].start + 4, 0..places[0].start + 1, 0..places[0].start + 90]
    {
        let mut bad = file.clone();
        bad[lost.clone()].fill(0x55);
        assert_finds(&bad, &places, |place| *place == places[0]);
    }
}

#[test]
fn records_nested_in_records_do_not_outweigh_what_holds_them() {
    let nested =
        (0..60).fold(Vec::new(), |inner, _| small(Seed(7), &RecordHead::default(), &inner));
    let (mut file, places) = container(SEED, &[b"Subject: a\r\n\r\n".to_vec(), nested]);
    file[..64].fill(0xff);
    assert_finds(&file, &places, |_| false);
}

#[test]
fn a_damaged_message_that_is_a_copy_of_its_container_is_passed_over_whole() {
    let (copy, _) = container(SEED, &messages(3));
    let (mut file, places) =
        container(SEED, &[b"Subject: a\r\n\r\n".to_vec(), copy, b"Subject: b\r\n\r\n".to_vec()]);
    file[places[1].start + 80] ^= 1;
    assert_finds(&file, &places, |place| *place == places[1]);
}

#[test]
fn a_large_message_behind_a_lost_header_beats_the_records_it_contains() {
    let forged = small(Seed(7), &RecordHead::default(), b"Subject: forged\r\n\r\n");
    let (mut file, _) = container(SEED, &[]);
    let sizes = (4096, 4096);
    file.extend_from_slice(&streamed(
        &RecordHead::default(),
        &forged.repeat(200),
        999,
        sizes,
        None,
    ));
    file[..64].fill(0xff);
    assert_eq!(records(&walked(&file)), [64]);
}

#[test]
fn searching_takes_one_pass() {
    // Magics everywhere: were each one followed by more than a look, this would not end.
    let file = [0xf5, 0x4c, 0x6d, 0xc0].repeat(1 << 18);
    assert_eq!(records(&walked(&file)), [0; 0]);
    let (whole, _) = container(SEED, &[file]);
    let cut = &whole[..whole.len() - 1];
    assert_eq!(records(&walked(cut)), [0; 0]);
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..400),
        Just([0xf5, 0x4c, 0x6d, 0xc0].repeat(20)),
        Just(vec![0; 300]),
        Just(small(Seed(1), &RecordHead::default(), b"forged").repeat(3)),
    ]
}

proptest! {
    #[test]
    fn all_records_around_the_damage_are_found(
        bodies in prop::collection::vec(body(), 1..8),
        from: prop::sample::Index,
        len in 1_usize..700,
        fill: Option<u8>,
    ) {
        let (file, places) = container(SEED, &bodies);
        let mut bad = file.clone();
        let from = 64 + from.index(file.len() - 64);
        let hit = from..(from + len).min(file.len());
        bad[hit.clone()].iter_mut().for_each(|byte| *byte = fill.unwrap_or(!*byte));
        let same = |place: &Range<usize>| bad[place.clone()] == file[place.clone()];
        assert_finds(&bad, &places, |place| !same(place));
    }

    #[test]
    fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..600), headed: bool) {
        let (head, _) = container(SEED, &[]);
        let file = if headed { [head, bytes].concat() } else { bytes };
        walked(&file);
        walk_with_seed(&file, Seed(1)).for_each(drop);
    }
}
