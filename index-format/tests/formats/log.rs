//! Frames: the prefix rule under truncation, flips and forgery.

use index_format::log::{
    EndKind, Frames, Header, Kind, MAX_PAYLOAD, Previous, Torn, scan_after, write_frame, write_seal,
};
use index_format::{Error, Guid, ModSeq, Uid};
use proptest::collection::vec;
use proptest::prelude::*;

const SEED: u64 = 0x0123_4567_89ab_cdef;

pub(crate) fn header() -> Header {
    Header {
        kind: Kind::Mailbox,
        server: 3,
        owner: Guid([7; 16]),
        file: 2,
        previous: Some(Previous { file: 1, end: 4711 }),
        first_transaction: 12,
        modseq: ModSeq::new(9, 3),
        uidnext: Uid(77),
        uidvalidity: 1_700_000_000,
        epoch: 4,
        seed: SEED,
        flags: 0x8000_0001,
    }
}

fn file(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    header().write(&mut out);
    for payload in payloads {
        write_frame(SEED, payload, &mut out).unwrap();
    }
    out
}

fn read(file: &[u8]) -> (Vec<Vec<u8>>, u64, EndKind) {
    let mut frames = Frames::new(file, Header::LEN as u64, SEED);
    let payloads = frames.by_ref().map(|frame| frame.payload.to_vec()).collect();
    let end = frames.end();
    (payloads, end.at, end.kind)
}

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>(), 1..200), 0..8)
}

proptest! {
    #[test]
    fn what_is_written_is_read(payloads in payloads()) {
        let file = file(&payloads);
        prop_assert_eq!(read(&file), (payloads, file.len() as u64, EndKind::Clean));
    }

    #[test]
    fn a_log_cut_anywhere_is_a_prefix(payloads in payloads()) {
        let file = file(&payloads);
        for len in Header::LEN..file.len() {
            let (read, at, kind) = read(&file[..len]);
            prop_assert!(payloads.starts_with(&read));
            prop_assert!(read.len() < payloads.len());
            prop_assert_eq!(kind == EndKind::Clean, at == len as u64);
        }
    }

    #[test]
    fn zeros_where_a_frame_should_be_end_the_log(payloads in payloads(), zeros in 1usize..5000) {
        let mut file = file(&payloads);
        let end = file.len() as u64;
        file.resize(file.len() + zeros, 0);
        prop_assert_eq!(read(&file), (payloads, end, EndKind::Torn(Torn::Sync)));
    }

    #[test]
    fn a_flipped_bit_never_gives_another_transaction(
        payloads in vec(vec(any::<u8>(), 1..40), 1..4),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut file = file(&payloads);
        let at = Header::LEN + at.index(file.len() - Header::LEN);
        file[at] ^= 1 << bit;
        let (read, end, kind) = read(&file);
        prop_assert!(payloads.starts_with(&read));
        prop_assert!(read.len() < payloads.len());
        prop_assert!(end <= at as u64 && kind != EndKind::Clean && kind != EndKind::Sealed);
    }

    #[test]
    fn random_bytes_are_no_frames(bytes in vec(any::<u8>(), 0..600), seed in any::<u64>()) {
        let mut frames = Frames::tail(&bytes, 0, seed);
        prop_assert_eq!(frames.by_ref().count(), 0);
        prop_assert_eq!(scan_after(&bytes, 0, seed).count(), 0);
        let _ = Header::parse(&bytes);
    }

    /// Mail that looks like a frame in every way, but was made without the seed.
    #[test]
    fn nobody_forges_a_frame(payload in vec(any::<u8>(), 1..100), guess in any::<u64>()) {
        prop_assume!(guess != SEED);
        let mut file = file(&[vec![1]]);
        let end = file.len() as u64;
        write_frame(guess, &payload, &mut file).unwrap();
        prop_assert_eq!(read(&file), (vec![vec![1]], end, EndKind::Torn(Torn::Checksum)));
        let mut file = file[..end as usize].to_vec();
        write_seal(guess, &mut file);
        prop_assert_eq!(read(&file).2, EndKind::Torn(Torn::Checksum));
    }

    #[test]
    fn headers_come_back_whole(file in any::<u32>(), previous in proptest::option::of((1u32.., any::<u64>())), n in any::<u64>()) {
        let previous = previous.map(|(file, end)| Previous { file, end });
        let header = Header { file, previous, first_transaction: n, flags: n as u32, ..header() };
        let mut out = Vec::new();
        header.write(&mut out);
        prop_assert_eq!(Header::parse(&out), Ok(header));
    }
}

#[test]
fn a_seal_ends_a_log_whatever_follows() {
    let mut file = file(&[vec![1], vec![2, 3]]);
    write_seal(SEED, &mut file);
    let end = file.len() as u64;
    write_frame(SEED, &[4], &mut file).unwrap();
    assert_eq!(read(&file), (vec![vec![1], vec![2, 3]], end, EndKind::Sealed));
    let found: Vec<_> = scan_after(&file, end, SEED).map(|frame| frame.payload.to_vec()).collect();
    assert_eq!(found, [vec![4]], "a tool still sees what came too late");
}

#[test]
fn frames_behind_the_end_that_the_next_file_names_never_count() {
    let file = file(&[vec![1], vec![2], vec![3]]);
    let second = Frames::new(&file, Header::LEN as u64, SEED).nth(1).unwrap();
    let mut frames = Frames::new(&file, Header::LEN as u64, SEED).until(second.end);
    assert_eq!(frames.by_ref().count(), 2);
    assert_eq!((frames.end().at, frames.end().kind), (second.end, EndKind::Clean));
    let mut frames = Frames::new(&file, second.start, SEED).until(second.end - 1);
    assert_eq!((frames.end().at, frames.end().kind), (second.start, EndKind::Torn(Torn::Short)));
    assert_eq!(Frames::new(&file, Header::LEN as u64, SEED).until(u64::MAX).count(), 3);
}

#[test]
fn nothing_behind_damage_counts_but_tools_find_it() {
    let mut file = file(&[vec![1; 9], vec![2; 9], vec![3; 9]]);
    let second = Header::LEN + 15;
    file[second + 8] ^= 1;
    assert_eq!(read(&file), (vec![vec![1; 9]], second as u64, EndKind::Torn(Torn::Checksum)));
    let found: Vec<_> =
        scan_after(&file, second as u64, SEED).map(|frame| frame.payload.to_vec()).collect();
    assert_eq!(found, [vec![3; 9]]);
}

#[test]
fn lengths_have_their_limits() {
    let mut out = Vec::new();
    assert!(matches!(write_frame(SEED, &[], &mut out), Err(Error::Value { found: 0, .. })));
    let max = MAX_PAYLOAD as u64;
    let too_long = Error::TooLong { what: "a log frame's payload", len: max + 1, max };
    assert_eq!(write_frame(SEED, &vec![0; MAX_PAYLOAD + 1], &mut out), Err(too_long));
    assert!(out.is_empty());
    write_frame(SEED, &vec![0; MAX_PAYLOAD], &mut out).unwrap();
    assert_eq!(
        Frames::tail(&out, 0, SEED).next().map(|frame| frame.payload.len()),
        Some(MAX_PAYLOAD)
    );
}

#[test]
fn a_header_says_what_is_wrong_with_it() {
    let mut bytes = Vec::new();
    header().write(&mut bytes);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(Header::parse(&damaged).is_err(), "byte {at}");
        assert!(matches!(Header::parse(&bytes[..at]), Err(Error::Truncated { .. })));
    }
    bytes[8] = 2;
    assert_eq!(Header::parse(&bytes), Err(Error::Version { what: "log", found: 2, supported: 1 }));
}
