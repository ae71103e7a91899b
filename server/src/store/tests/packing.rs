//! Messages are compressed: they come back byte for byte, of whatever text, whenever a crash comes; what lies about itself
//! costs itself alone; and a part is read by reading about that part.

use super::counted::Counted;
use super::crashes::crash_everywhere_with;
use super::faults::fail_everywhere;
use super::fetched::{self, gathered, literal};
use super::repair::findings;
use super::world::{Op, World, at_once, config, open_with, packed, random};
use crate::store::account::Account;
use crate::store::config::StoreConfig;
use crate::store::delivery::Target;
use crate::store::error::StoreError;
use crate::store::imap::ImapUser;
use crate::store::message::{Message, ReadError};
use crate::store::planted::{Planted, plant};
use crate::store::store::Store;
use crate::store::training::Learnt;
use dbox_format::compress::Encoder;
use dbox_format::container::Found;
use dbox_format::container::{Compression, Frame, Record, RecordHead, Stored, walk};
use dbox_format::map::MapId;
use dbox_format::{Content, paths};
use imap_proto::fetch::{Fixed, Section, SectionKind};
use imap_proto::{Answer, Ask, Code, MailboxName};
use proptest::prelude::*;
use runtime_smol::sim::{SimFs, Variant};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[test]
fn a_crash_anywhere_with_compressed_messages() {
    use Op::{Append, Compact, Copy, Deliver, DeliverLarge, Dictionary, Expunge, Rotate, Snapshot};
    let some =
        [Append, Compact, Copy, Deliver, DeliverLarge, Dictionary, Expunge, Rotate, Snapshot];
    let mut crashes = 0;
    for first in some {
        for second in some {
            let (count, violation, _) = crash_everywhere_with(&packed(), &[first, second], 8);
            crashes += count;
            assert_eq!(violation, None);
        }
    }
    for ops in [
        [Dictionary, Deliver, Snapshot, Deliver, Compact],
        [Dictionary, Append, Dictionary, Deliver, Compact],
        [Deliver, Dictionary, DeliverLarge, Rotate, Deliver],
    ] {
        let (count, violation, _) = crash_everywhere_with(&packed(), &ops, 8);
        crashes += count;
        assert_eq!(violation, None);
    }
    println!("{crashes} crashes, no violation");
}

#[test]
fn planted_faults_of_compressed_messages_are_found() {
    for fault in
        [Planted::DictionaryUnsynced, Planted::BodyNotJournalled, Planted::LargeBodyNotSynced]
    {
        plant(Some(fault));
        let histories = [[Op::Dictionary, Op::Deliver], [Op::DeliverLarge, Op::Deliver]];
        let found = histories.iter().any(|ops| {
            std::panic::catch_unwind(|| crash_everywhere_with(&packed(), ops, 10).1.is_some())
                .unwrap_or(true)
        });
        plant(None);
        assert!(found, "{fault:?} survives");
    }
}

#[test]
fn one_failing_operation_anywhere_with_compressed_messages() {
    let histories = [
        [Op::Dictionary, Op::Deliver, Op::Append],
        [Op::DeliverLarge, Op::Dictionary, Op::Snapshot],
    ];
    let (struck, violation) = fail_everywhere(&packed(), &histories);
    println!("{struck} failures, no violation");
    assert_eq!(violation, None);
    assert!(struck > 300, "only {struck}");
}

/// A message for many is compressed once: the journal has one body, and each of them what is his own.
#[test]
fn a_body_for_many_is_journalled_once() {
    let disk = Counted::new(SimFs::new());
    let config = StoreConfig { gather_max: 128 << 10, ..StoreConfig::default() };
    let store = Store::open(
        Arc::new(disk.clone()),
        Path::new("/data"),
        StoreConfig { reserve: 0, ..config },
        random(1),
        Box::new(|| 1_800_000_000),
    )
    .unwrap();
    let account = store.account("u1").unwrap();
    store.flush();
    let text = noise(60_000);
    let written = |recipients: usize| {
        let prefix = b"Delivered-To: u1@example.org\r\n".as_slice();
        disk.forget();
        deliver(&store, &vec![(&account, prefix); recipients], &text);
        store.flush();
        disk.written("/journal/")
    };
    let (one, many) = (written(1), written(50));
    assert!(one < 36_000, "{one} bytes for one: half of it can't be compressed");
    assert!(many < one + 50 * 500, "{one} bytes for one, {many} for fifty");
}

/// Hexadecimal digits: four bits of each can't be compressed away.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let digit = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        b"0123456789abcdef"[(state >> 60) as usize]
    };
    (0..len).map(digit).collect()
}

/// Containers have what the golden bytes of the format say: zstd's frames, and nothing of the text.
#[test]
fn what_is_stored_is_compressed_and_what_does_not_get_smaller_is_not() {
    let world = World::with(SimFs::new(), packed());
    let (store, account) = (&world.store, &world.account);
    let noise: Vec<u8> =
        (0_u32..300).flat_map(|n| n.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    deliver(store, &[(account, b"")], &noise[..350]);
    deliver(store, &[(account, b"X-To: u1\r\n"), (account, b"X-To: u2\r\n")], &[b'a'; 300]);
    deliver(store, &[(account, b"")], b"Subject: tiny\r\n\r\n");
    deliver(store, &[(account, b"")], &noise);
    deliver(store, &[(account, b"")], &b"long ".repeat(100_000));
    store.flush();
    let stored: Vec<(u8, u64, u64)> =
        records(&world.fs).map(|(_, codec, text, record)| (codec, text, record)).collect();
    let of = |text: u64| stored.iter().filter(move |(_, len, _)| *len == text);
    assert_eq!(of(350).map(|(codec, ..)| *codec).collect::<Vec<_>>(), [0], "noise");
    assert_eq!(of(310).map(|(codec, ..)| *codec).collect::<Vec<_>>(), [1, 1], "one body for two");
    assert_eq!(of(17).map(|(codec, ..)| *codec).collect::<Vec<_>>(), [0], "tiny");
    assert_eq!(of(1200).map(|(codec, ..)| *codec).collect::<Vec<_>>(), [0], "more noise");
    let [(1, _, record)] = of(500_000).collect::<Vec<_>>()[..] else { panic!("{stored:?}") };
    assert!(*record < 2000, "{record}");
}

/// A text of a kind that zstd likes or does not.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let sizes = prop_oneof![0_usize..300, 300_usize..2000, 60_000_usize..300_000];
    (sizes, 1_u32..40, any::<u32>()).prop_map(|(len, span, seed)| {
        let byte = |n: usize| {
            let n = n as u32 / span;
            (n.wrapping_mul(0x9e37_79b9).wrapping_add(seed) >> 24) as u8
        };
        (0..len).map(byte).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_text_comes_back(
        texts in prop::collection::vec((text(), 1_usize..4), 1..4),
        ranges in prop::collection::vec((0_u64..310_000, 0_u64..150_000), 4),
        level in prop::option::of(1..4),
        dictionary in any::<bool>(),
    ) {
        let config =
            StoreConfig { compression: level, gather_max: 128 << 10, container_size: 1 << 20, ..packed() };
        let mut world = World::with(SimFs::new(), config.clone());
        if dictionary {
            world.run(Op::Dictionary).unwrap();
        }
        let mut expected = Vec::new();
        for (text, recipients) in &texts {
            let prefixes: Vec<Vec<u8>> =
                (0..*recipients).map(|n| b"Delivered-To: you\r\n".repeat(n)).collect();
            let all: Vec<_> =
                prefixes.iter().map(|prefix| (&world.account, prefix.as_slice())).collect();
            deliver(&world.store, &all, text);
            expected.extend(prefixes.iter().map(|prefix| [prefix, text.as_slice()].concat()));
        }
        // From memory, from containers, and after a start.
        check_texts(&world, &expected, &ranges)?;
        world.store.flush();
        check_texts(&world, &expected, &ranges)?;
        world.store.checkpoint(u64::MAX).unwrap();
        let image = world.fs.crashed(Variant::Nothing);
        let world = World::recover_with(image, 5, config).unwrap();
        check_texts(&world, &expected, &ranges)?;
        prop_assert_eq!(findings(&world), []);
    }
}

/// Whether the newest messages have these texts, whole and in parts.
fn check_texts(
    world: &World,
    expected: &[Vec<u8>],
    ranges: &[(u64, u64)],
) -> Result<(), TestCaseError> {
    let found = messages(&world.account);
    for (message, expected) in found[found.len() - expected.len()..].iter().zip(expected) {
        let mut text = Vec::new();
        message.read_whole(&world.store, true, &mut text).unwrap();
        prop_assert!(&text == expected, "{} bytes for {}", text.len(), expected.len());
        for (start, len) in ranges {
            let mut part = b"before".to_vec();
            message.read_range(&world.store, *start..start + len, true, &mut part).unwrap();
            let at = |offset: u64| (offset as usize).min(expected.len());
            prop_assert!(part[6..] == expected[at(*start)..at(start + len)]);
        }
    }
    Ok(())
}

fn deliver(store: &Arc<Store>, to: &[(&Arc<Account>, &[u8])], text: &[u8]) {
    let target = |(account, prefix): &(&Arc<Account>, &[u8])| Target {
        account: (*account).clone(),
        mailbox: "INBOX".into(),
        prefix: prefix.to_vec(),
    };
    let mut delivery = store.deliver(to.iter().map(target).collect()).unwrap();
    text.chunks(100_000).for_each(|piece| delivery.write(piece).unwrap());
    let delivered = delivery.commit();
    assert!(delivered.results.iter().all(Result::is_ok), "{delivered:?}");
}

/// All messages of an account, in the order they came.
fn messages(account: &Account) -> Vec<Message> {
    let state = account.lock().unwrap();
    let ids = state.map.iter().map(|(id, _)| id);
    let mut ids: Vec<MapId> = ids.collect();
    ids.sort_unstable_by_key(|id| id.0);
    let find = |id| Message::find(account, &state, &account.pending(), id).unwrap();
    ids.into_iter().map(find).collect()
}

/// The records of all containers: where, the codec, bytes of the text and of the record.
fn records(fs: &SimFs) -> impl Iterator<Item = (PathBuf, u8, u64, u64)> {
    let containers =
        fs.files().into_iter().filter(|path| path.to_str().unwrap().contains("/storage/"));
    containers.flat_map(|path| {
        let bytes = fs.peek(&path).unwrap();
        let found: Vec<_> = walk(&bytes)
            .filter_map(|found| match found {
                Found::Record { record, .. } => {
                    let codec = record.head().codec().0;
                    Some((path.clone(), codec, record.message_len(), record.len()))
                }
                Found::Header(_) | Found::Unwritten { .. } => None,
                Found::Damage { error, .. } => panic!("{error}"),
            })
            .collect();
        found
    })
}

/// Hostile row 39: whatever a compressed record claims, with all its own checksums right, it is its own damage.
#[test]
fn row_39_a_record_that_lies_about_its_text_is_damage_of_that_message_alone() {
    let mut encoder = Encoder::new(1).unwrap();
    let mut frame = |text: &[u8]| {
        let mut out = Vec::new();
        encoder.frame(text, &mut out).unwrap();
        out
    };
    let bomb = frame(&vec![0; 1 << 20]);
    let few = frame(b"few bytes only");
    // A frame that says neither its size nor a small window: 2 GiB (RFC 8878 §3.1.1.1.2).
    let window = [&b"\x28\xb5\x2f\xfd\x00\xa8"[..], &[0x02, 0, 0, b'x'], &[1, 0, 0]].concat();
    let own = frame(&[b'a'; 200]);
    let cut = own[..own.len() - 3].to_vec();
    let mut flipped = own.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let lies: [(&str, Vec<u8>, Compression); 8] = [
        ("a bomb", bomb.clone(), plain()),
        ("many bombs", bomb.repeat(50), plain()),
        ("too little", few, plain()),
        ("a huge window", window, plain()),
        ("a frame cut off", cut, plain()),
        ("another checksum", flipped, plain()),
        ("no frame", b"no frame at all".to_vec(), plain()),
        ("no such dictionary", own, Compression::Zstd { dictionary: 77 }),
    ];
    let mut forged = 0;
    for (what, stored, compression) in lies {
        for text_len in [200, 50_000] {
            let world = World::with(
                SimFs::new(),
                StoreConfig { compression: None, gather_max: 1 << 20, cache_memory: 0, ..packed() },
            );
            deliver(&world.store, &[(&world.account, b"")], &vec![b'a'; text_len]);
            world.store.checkpoint(u64::MAX).unwrap();
            let good = messages(&world.account).len() - 1;
            let message = messages(&world.account).pop().unwrap();
            if !forge(&world, &message, &stored, compression) {
                continue;
            }
            forged += 1;
            let messages = messages(&world.account);
            let mut out = Vec::new();
            for message in &messages[..good] {
                message.read_whole(&world.store, true, &mut out).unwrap();
            }
            let damaged = |result: Result<(), ReadError>| match result {
                Err(ReadError::Store(StoreError::Damaged { .. })) => {}
                other => panic!("{what}, {text_len}: {other:?}"),
            };
            damaged(messages[good].read_whole(&world.store, true, &mut out));
            let held = out.capacity();
            assert!(held <= 2 * (1 << 20), "{what}: {held} bytes");
            damaged(messages[good].read_range(&world.store, 0..10, true, &mut Vec::new()));
            let named = findings(&world);
            let names = named.iter().any(|finding| format!("{finding:?}").contains("UID 3"));
            assert!(names, "{what}, {text_len}: {named:?}");
            assert_eq!(fetch(&world, 3), None, "{what}");
            assert!(fetch(&world, 2).is_some(), "{what}");
        }
    }
    assert!(forged >= 12, "{forged}");
}

fn plain() -> Compression {
    Compression::Zstd { dictionary: 0 }
}

/// Puts a record with this text, as it is to be stored, in the place of a message; `false` if there is no room for it.
fn forge(world: &World, message: &Message, stored: &[u8], compression: Compression) -> bool {
    let state = world.account.lock().unwrap();
    let entry = state.map.get(message.id).unwrap();
    let seed = state.map.container(entry.container).unwrap().seed;
    let kind = Stored { compression, ..Stored::default() };
    let record = |mailbox_name: &str| {
        let head = RecordHead { guid: entry.guid, mailbox_name, ..RecordHead::default() };
        let Frame { head, tail, .. } =
            head.frame_stored(&kind, seed, entry.size, Content::of(stored)).unwrap();
        [&head, stored, &tail].concat()
    };
    // A mailbox's name as long as it takes.
    let Some(left) = (entry.record_len as usize).checked_sub(record("").len()) else {
        return false;
    };
    if left > 60_000 {
        return false;
    }
    let record = record(&"n".repeat(left));
    Record::parse(&record, seed).unwrap();
    let path = Path::new("/data").join(paths::account("u1").unwrap());
    let path = path.join(paths::container(entry.container));
    let start = entry.offset as usize;
    let replace = |bytes: &mut Vec<u8>| {
        bytes[start..start + record.len()].copy_from_slice(&record);
    };
    world.fs.corrupt(&path, replace).unwrap();
    true
}

/// BODY[] of a message of INBOX, all its pieces; `None` if that is answered `NO [CORRUPTION]`.
fn fetch(world: &World, uid: u32) -> Option<Vec<u8>> {
    fetch_part(&world.store, &world.account, uid, None)
}

fn fetch_part(
    store: &Arc<Store>,
    account: &Arc<Account>,
    uid: u32,
    part: Option<(u64, u64)>,
) -> Option<Vec<u8>> {
    let mut user = ImapUser::new(store.clone(), account.clone(), Arc::default());
    at_once(user.ask(Ask::Select { mailbox: MailboxName::inbox(), examine: true }));
    let section = Section::new(Vec::new(), SectionKind::All, part, true);
    let answer = fetched::fetch(&mut user, uid, Fixed::default(), vec![section]);
    let Answer::Rows { pieces, .. } = answer else {
        assert!(matches!(answer, Answer::No { code: Some(Code::Corruption), .. }), "{answer:?}");
        return None;
    };
    Some(literal(&gathered(pieces).unwrap()))
}

/// What a part of a large message costs: its head, its table, and the chunks that hold the part.
#[test]
fn a_part_of_a_large_message_is_read_by_reading_about_that_part() {
    const SIZE: usize = 24 << 20;
    let fs = SimFs::new();
    let config = StoreConfig { cache_memory: 0, compression: Some(1), ..config() };
    let store = open_with(&fs, 1, config).unwrap();
    let account = store.account("u1").unwrap();
    let text = [b"Subject: large\r\n\r\n".as_slice(), &noise(SIZE)].concat();
    deliver(&store, &[(&account, b"")], &text);
    store.flush();
    let is_container = |path: &Path| path.to_str().unwrap().contains("/storage/");
    let len = fs
        .files()
        .iter()
        .filter(|path| is_container(path))
        .map(|path| fs.peek(path).unwrap().len())
        .sum::<usize>();
    assert!(len < SIZE * 5 / 8, "{len} bytes");
    let read = || fs.bytes_read(is_container);
    let table = 4 * SIZE as u64 / (128 << 10) + 8;
    for (offset, count) in
        [(0, 100), (10 << 20, 1000), (SIZE as u64 - 10, 1000), (1 << 20, 256 << 10)]
    {
        let before = read();
        let part = fetch_part(&store, &account, 1, Some((offset, count))).unwrap();
        let end = (offset + count).min(text.len() as u64);
        assert!(part.starts_with(&text[offset as usize..end as usize]), "{offset}");
        let (cost, chunks) = (read() - before, count.div_ceil(128 << 10) + 1);
        let most = 512 + table + chunks * (128 << 10) * 5 / 8;
        assert!(cost <= most, "{cost} bytes for {count} at {offset}");
    }
    // All of it, 64 KiB at a time: nothing is read twice.
    let before = read();
    assert!(fetch_part(&store, &account, 1, None).unwrap().starts_with(&text));
    let cost = read() - before;
    assert!(cost <= len as u64 + 1024, "{cost} of {len} bytes");
}

/// A letter: some words of a few hundred, and a signature that all have.
fn letter(number: u32) -> Vec<u8> {
    let mut state = u64::from(number);
    let mut word = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = (state >> 33) % 400;
        format!("w{:x}", word * 7919)
    };
    let words: Vec<String> = (0..60).map(|_| word()).collect();
    let from = word();
    format!(
        "From: {from}@example.org\r\nTo: you@example.org\r\nSubject: news from {from}\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: quoted-printable\r\n\r\n{}\r\n-- \r\n\
         To leave this list write to leave@example.org. Nobody reads this address.\r\n",
        words.join(" ")
    )
    .into()
}

fn learning() -> StoreConfig {
    StoreConfig {
        dictionary_samples: 128 << 10,
        gather_max: 4 << 10,
        container_size: 1 << 20,
        ..packed()
    }
}

/// A store that has learnt a dictionary of letters.
fn learnt() -> (World, Learnt) {
    let world = World::with(SimFs::new(), learning());
    let mut number = 0;
    let learnt = loop {
        number += 1;
        deliver(&world.store, &[(&world.account, b"")], &letter(number));
        if number % 50 == 0 {
            world.store.flush();
            if let Some(learnt) = world.store.learn() {
                break learnt;
            }
        }
        assert!(number < 1000);
    };
    (world, learnt)
}

/// Bytes of the records of the next ten letters.
fn ten_more(world: &World) -> u64 {
    let sum = || records(&world.fs).map(|(_, _, _, record)| record).sum::<u64>();
    let before = sum();
    for number in 5000..5010 {
        deliver(&world.store, &[(&world.account, b"")], &letter(number));
    }
    world.store.flush();
    sum() - before
}

#[test]
fn a_dictionary_is_learnt_and_goes_on_after_a_start() {
    let (world, learnt) = learnt();
    println!("{learnt:?}");
    assert_eq!(learnt.number, Some(1));
    assert!(learnt.with * 10 < learnt.before * 9);
    let with = ten_more(&world);
    assert_eq!(world.store.learn(), None, "not without much more mail");
    let (view, image) = (world.view().unwrap(), world.fs.crashed(Variant::Nothing));
    let without = World::recover_with(
        image.crashed(Variant::Nothing),
        3,
        StoreConfig { dictionaries: false, ..learning() },
    )
    .unwrap();
    assert_eq!(without.view().unwrap(), view);
    assert!(with * 10 < ten_more(&without) * 9, "{with} bytes");
    let world = World::recover_with(image, 4, learning()).unwrap();
    assert_eq!(world.view().unwrap(), view);
    assert_eq!(ten_more(&world), with, "the same dictionary");
    assert_eq!(findings(&world), []);
}

#[test]
fn what_has_nothing_in_common_makes_no_dictionary() {
    let world = World::with(SimFs::new(), learning());
    let mut state = 7_u64;
    for _ in 0..400 {
        let mut word = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{:08x}", state >> 32)
        };
        let words: Vec<String> = (0..60).map(|_| word()).collect();
        deliver(&world.store, &[(&world.account, b"")], words.join("").as_bytes());
    }
    world.store.flush();
    let learnt = world.store.learn();
    assert!(learnt.is_none_or(|learnt| learnt.number.is_none()), "{learnt:?}");
    assert!(world.store.packing.dictionaries.current().is_none());
}

#[test]
fn a_damaged_dictionary_is_made_anew_from_the_other_file() {
    let (world, _) = learnt();
    world.store.checkpoint(u64::MAX).unwrap();
    let view = world.view().unwrap();
    let image = world.fs.crashed(Variant::Nothing);
    let path = |second| Path::new("/data").join(paths::dictionary(1, second));
    let whole = image.peek(&path(false)).unwrap();
    assert_eq!(image.peek(&path(true)).unwrap(), whole);
    for second in [false, true] {
        for (what, damage) in super::damage::DAMAGES {
            let image = image.crashed(Variant::Everything);
            image.corrupt(&path(second), damage).unwrap();
            let world = World::recover_with(image, 3, learning()).unwrap();
            assert_eq!(world.view().unwrap(), view, "{what}");
            assert_eq!(world.fs.peek(&path(second)).unwrap(), whole, "{what}");
        }
    }
}

#[test]
fn a_lost_dictionary_costs_what_it_compressed_and_no_more() {
    let (world, _) = learnt();
    deliver(&world.store, &[(&world.account, b"")], &letter(9000));
    world.store.flush();
    world.store.checkpoint(u64::MAX).unwrap();
    let image = world.fs.crashed(Variant::Nothing);
    for second in [false, true] {
        let path = Path::new("/data").join(paths::dictionary(1, second));
        image.corrupt(&path, |bytes| bytes.truncate(100)).unwrap();
    }
    let mut world = World::recover_with(image, 3, learning()).unwrap();
    let all = messages(&world.account);
    let mut out = Vec::new();
    for message in &all[..all.len() - 1] {
        message.read_whole(&world.store, true, &mut out).unwrap();
    }
    let lost = all.last().unwrap().read_whole(&world.store, true, &mut out);
    assert!(matches!(lost, Err(ReadError::Store(StoreError::Damaged { .. }))), "{lost:?}");
    let named = findings(&world);
    assert_eq!(named.len(), 1, "{named:?}");
    assert!(format!("{named:?}").contains("d.00000001"), "{named:?}");
    // New mail is taken, and its dictionary is another.
    deliver(&world.store, &[(&world.account, b"")], &letter(9001));
    world.run(Op::Dictionary).unwrap();
    assert_eq!(world.store.packing.dictionaries.current().unwrap().number, 2);
    deliver(&world.store, &[(&world.account, b"")], &letter(9002));
    world.store.flush();
    for message in messages(&world.account).iter().rev().take(2) {
        message.read_whole(&world.store, true, &mut out).unwrap();
    }
}

/// With a container for each message all of it works the same; room is given back as soon as a message goes.
#[test]
fn a_message_may_have_a_container_of_its_own() {
    let config = StoreConfig { container_size: 0, ..packed() };
    let mut world = World::with(SimFs::new(), config.clone());
    for op in [Op::Deliver, Op::Append, Op::DeliverLarge] {
        world.run(op).unwrap();
    }
    world.store.flush();
    let mut paths: Vec<PathBuf> = records(&world.fs).map(|(path, ..)| path).collect();
    let count = paths.len();
    paths.dedup();
    assert_eq!((count, paths.len()), (6, 6), "one in each");
    for ops in [[Op::Deliver, Op::Append], [Op::Expunge, Op::Compact], [Op::Copy, Op::Deliver]] {
        let (_, violation, _) = crash_everywhere_with(&config, &ops, 8);
        assert_eq!(violation, None);
    }
}
