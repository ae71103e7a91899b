//! The figures the documents promise, to the byte.

use dbox_format::container::RecordHead;
use dbox_format::map::{Added, Draft, LogPosition, Map, MapId, Transaction};
use dbox_format::{Content, Guid, Seed};

use crate::SEED;

const KIB_9: u64 = 9 * 1024;

fn encoded(transaction: &Transaction) -> usize {
    let mut out = Vec::new();
    transaction.encode(&mut out);
    out.len()
}

/// A map with `count` messages of about 9 KiB in container 300.
fn filled(count: u64) -> Map {
    let mut map = Map::new();
    let mut draft = Draft::new(&map);
    draft.container_open(300, Seed(1));
    let mut offset = 64;
    for i in 0..count {
        let record_len = KIB_9 + i * 7919 % 2048 + 97;
        let guid = Guid(
            u128::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_le_bytes(),
        );
        draft.add(Added {
            guid,
            container: 300,
            offset,
            record_len,
            size: record_len - 97,
            refs: 1,
            ..Added::default()
        });
        offset += record_len;
    }
    map.apply(&draft.finish()).unwrap();
    map
}

#[test]
fn a_record_takes_97_bytes_around_a_message_in_inbox() {
    let head = RecordHead { mailbox_name: "INBOX", ..RecordHead::default() };
    let frame = head.frame(SEED, Content::of(&[b'x'; 9216])).unwrap();
    assert_eq!((frame.record_len, frame.head.len(), frame.tail.len()), (9216 + 97, 73, 24));
}

#[test]
fn adding_a_message_takes_12_bytes_and_its_guid() {
    let map = filled(10_000);
    let end = map.container(300).unwrap().end;
    assert!(end > 90 << 20, "an offset that takes four bytes");
    let mut draft = Draft::new(&map);
    let message = Added {
        container: 300,
        offset: end,
        record_len: KIB_9 + 97,
        size: KIB_9,
        refs: 1,
        ..Added::default()
    };
    draft.add(message.clone());
    assert_eq!(encoded(&draft.clone().finish()), 12 + 16);
    // A second one behind it in the same transaction needs neither container nor offset.
    draft.add(Added { offset: end + KIB_9 + 97, ..message });
    assert_eq!(encoded(&draft.finish()), 12 + 16 + 6 + 16);
}

#[test]
fn copying_10_000_neighbours_takes_6_bytes() {
    let map = filled(20_000);
    let mut draft = Draft::new(&map);
    draft.refs_add((5_001..=15_000).map(MapId));
    let copy = draft.finish();
    assert_eq!(encoded(&copy), 6);
    // Every second one of them.
    let mut draft = Draft::new(&map);
    draft.refs_add((1..=10_000).step_by(2).map(MapId));
    assert_eq!(encoded(&draft.finish()), 6);
}

#[test]
fn a_snapshot_takes_22_bytes_a_message() {
    let map = filled(10_000);
    let mut file = Vec::new();
    map.write_snapshot(LogPosition::default(), &mut file);
    // GUID 16, offset 4, record length 2; all else is the same for all and takes nothing.
    assert_eq!(file.len(), 64 + 12 * 24 + 4 + 4 + 4 + 22 * 10_000);
}
