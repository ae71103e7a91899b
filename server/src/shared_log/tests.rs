//! Ends that writers see differently, files that can't be made, and writers that were away.

use super::*;
use runtime_smol::fs::RealFs;
use runtime_smol::sim::{Failure, Fault, OpKind, SimFs, When};
use std::sync::atomic::{AtomicU64, Ordering};

fn which(dir: &Path) -> Which {
    Which { dir: dir.to_owned(), base: "log".into(), kind: Kind::Map, owner: Guid([7; 16]) }
}

fn open(dir: &Path, file_size: u64) -> SharedLog {
    static SEEDS: AtomicU64 = AtomicU64::new(1);
    let random: Random = Arc::new(|bytes| {
        bytes.copy_from_slice(&SEEDS.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    });
    SharedLog::open(Arc::new(RealFs), which(dir), file_size, random).unwrap()
}

fn all(dir: &Path) -> Vec<(u32, u64, Vec<u8>)> {
    let mut all = Vec::new();
    read(Arc::new(RealFs), which(dir), &mut |place, payload| {
        all.push((place.file, place.transaction, payload.to_vec()));
    })
    .unwrap();
    all
}

#[test]
fn a_frame_behind_anothers_torn_one_is_repeated_in_the_next_file() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (open(dir.path(), 1 << 20), open(dir.path(), 1 << 20));
    one.append(b"first").unwrap();
    two.append(b"second").unwrap();
    // A third writer died in the middle of its frame.
    let torn = RealFs.open(&dir.path().join("log"), Open::Append).unwrap();
    torn.append(&[IoSlice::new(&[0xb5, 40, 1, 2])]).unwrap();
    assert_eq!(all(dir.path()).len(), 2);
    let third = one.append(b"third").unwrap();
    assert_eq!((third.file, third.transaction), (2, 2));
    // The other one has not heard of it yet: it lands behind the tear, and follows.
    assert_eq!(two.append(b"fourth").unwrap().file, 2);
    let expected: Vec<(u32, u64, Vec<u8>)> = vec![
        (1, 0, b"first".to_vec()),
        (1, 1, b"second".to_vec()),
        (2, 2, b"third".to_vec()),
        (2, 3, b"fourth".to_vec()),
    ];
    assert_eq!(all(dir.path()), expected);
}

/// A frame that lacks its last byte, which is the first byte of any frame behind it.
fn lacking_a_sync_byte(dir: &Path, payload: &[u8]) -> Vec<u8> {
    let file = RealFs.open(&dir.join("log"), Open::Read).unwrap();
    let header = which(dir).read_header(&*file, &dir.join("log"), 1).unwrap();
    let mut frame = Vec::new();
    write_frame(header.seed, payload, &mut frame).unwrap();
    assert_eq!(frame.pop(), Some(0xb5));
    frame
}

#[test]
fn a_short_frame_that_the_next_one_completes_is_one_thing_to_everybody() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut two) = (open(dir.path(), 1 << 20), open(dir.path(), 1 << 20));
    one.append(b"first").unwrap();
    let mut follower = Follower::new(Arc::new(RealFs), which(dir.path()));
    let mut followed = Vec::new();
    let torn = RealFs.open(&dir.path().join("log"), Open::Append).unwrap();
    torn.append(&[IoSlice::new(&lacking_a_sync_byte(dir.path(), b"short\xb5"))]).unwrap();
    // This one stands behind it and sees it whole, but its own frame is spoilt.
    let third = one.append(b"third").unwrap();
    assert_eq!((third.file, third.transaction), (2, 2));
    assert_eq!(two.append(b"fourth").unwrap().transaction, 3);
    follower.poll(&mut |_, payload| followed.push(payload.to_vec())).unwrap();
    let payloads: Vec<_> = all(dir.path()).into_iter().map(|(.., payload)| payload).collect();
    assert_eq!(payloads, [&b"first"[..], b"short\xb5", b"third", b"fourth"]);
    assert_eq!(followed, payloads);
}

#[test]
fn the_header_of_the_next_file_decides_whether_a_short_frame_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut one = open(dir.path(), 1 << 20);
    let first = one.append(b"first").unwrap();
    let mut follower = Follower::new(Arc::new(RealFs), which(dir.path()));
    let mut followed = 0;
    // Its writer lives, has nothing behind it to look at, and makes the next file in the meantime.
    let torn = RealFs.open(&dir.path().join("log"), Open::Append).unwrap();
    torn.append(&[IoSlice::new(&lacking_a_sync_byte(dir.path(), b"short\xb5"))]).unwrap();
    torn.append(&[IoSlice::new(&[0xb5, 40, 1, 2])]).unwrap();
    follower.poll(&mut |_, _| followed += 1).unwrap();
    assert_eq!(followed, 1, "whether the short one counts is not settled");
    let previous = Previous { file: 1, end: first.end };
    create(&RealFs, &which(dir.path()), &which(dir.path()).header(2, Some(previous), 1, 9))
        .unwrap();
    assert_eq!(one.append(b"second").unwrap().transaction, 1);
    follower.poll(&mut |_, _| followed += 1).unwrap();
    assert_eq!(followed, 2);
    let payloads: Vec<_> = all(dir.path()).into_iter().map(|(.., payload)| payload).collect();
    assert_eq!(payloads, [&b"first"[..], b"second"]);
}

#[test]
fn a_writer_that_was_away_for_many_files_goes_on_in_the_newest() {
    let dir = tempfile::tempdir().unwrap();
    let (mut busy, mut idle) = (open(dir.path(), 100), open(dir.path(), 100));
    let count = u64::from(3 * ATTEMPTS);
    for _ in 0..count {
        busy.append(b"more than fits").unwrap();
    }
    assert_eq!(idle.append(b"late").unwrap().transaction, count);
    assert_eq!(all(dir.path()).len() as u64, count + 1);
}

#[test]
fn a_sealed_file_stays_closed_when_the_next_one_can_not_be_made_at_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path(), 110);
    log.append(b"the first").unwrap();
    log.append(b"the second").unwrap();
    // Something that is no log file has the next name.
    std::fs::create_dir(dir.path().join("log.2")).unwrap();
    for _ in 0..3 {
        assert!(matches!(log.append(b"refused").unwrap_err(), Error::Io { .. }));
    }
    std::fs::remove_dir(dir.path().join("log.2")).unwrap();
    assert_eq!(log.append(b"the third").unwrap().file, 2);
    log.sync().unwrap();
    let payloads: Vec<_> = all(dir.path()).into_iter().map(|(.., payload)| payload).collect();
    assert_eq!(payloads, [&b"the first"[..], b"the second", b"the third"]);
}

#[test]
fn a_next_file_that_contradicts_the_bytes_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path(), 1 << 20);
    log.append(b"kept").unwrap();
    let header = which(dir.path()).header(2, Some(Previous { file: 1, end: 90 }), 0, 1);
    create(&RealFs, &which(dir.path()), &header).unwrap();
    let result = read(Arc::new(RealFs), which(dir.path()), &mut |_, _| {});
    assert!(matches!(result, Err(Error::Damaged { .. })));
}

#[test]
fn what_a_limit_cuts_short_in_a_file_of_its_own_is_given_up() {
    let fs = SimFs::new();
    let dir = Path::new("/");
    let open = || {
        let random: Random = Arc::new(|bytes| bytes.fill(7));
        SharedLog::open(Arc::new(fs.clone()), which(dir), 1 << 20, random).unwrap()
    };
    let mut log = open();
    log.append(b"first").unwrap();
    let when = When::Kind { kind: OpKind::Append, skip: 0 };
    fs.inject(Fault { when, what: Failure::Short(100), lasting: true });
    let error = log.append(&[1; 200]).unwrap_err();
    assert!(matches!(error, Error::GaveUp { attempts: CUT_SHORT_MAX, .. }), "{error}");
    // Two files are torn, no more, and the log goes on in the third.
    log.append(b"second").unwrap();
    open().append(b"third").unwrap();
    let mut all = Vec::new();
    read(Arc::new(fs), which(dir), &mut |place, payload| all.push((place.file, payload.to_vec())))
        .unwrap();
    assert_eq!(all, [(1, b"first".to_vec()), (3, b"second".to_vec()), (3, b"third".to_vec())]);
}

#[test]
fn what_does_not_fit_a_frame_is_refused_before_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = open(dir.path(), 1 << 20);
    assert!(matches!(log.append(b""), Err(Error::Payload(_))));
    assert!(matches!(log.append(&vec![0; (1 << 20) + 1]), Err(Error::Payload(_))));
    assert!(all(dir.path()).is_empty());
}
