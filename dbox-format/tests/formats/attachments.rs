//! Attachments: what is cut out comes back the same, whole and in part; who needs which.

use std::ops::Range;

use dbox_format::Error;
use dbox_format::attachment::{
    Assembly, AssemblyError, CutOut, Cutter, Hash, Hasher, Holdings, LineEnding, Lines, Options,
    Piece, Source,
};
use dbox_format::map::{Added, Draft, Extra, LogPosition, Map, MapId, Op, Snapshot, Transaction};
use proptest::prelude::*;

const ALL: Options = Options { least: 1, most: usize::MAX };

/// Base64 by the book (RFC 4648 §4), and in lines: a second encoder.
fn base64(content: &[u8], lines: Lines) -> Vec<u8> {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut chars = Vec::new();
    for group in content.chunks(3) {
        let bits = group.iter().chain(&[0; 2]).take(3).fold(0, |n, b| n << 8 | usize::from(*b));
        for place in 0..4 {
            let pad = place > group.len();
            chars.push(if pad { b'=' } else { alphabet[bits >> (18 - 6 * place) & 63] });
        }
    }
    let ending: &[u8] = if lines.ending == LineEnding::CrLf { b"\r\n" } else { b"\n" };
    let len = if lines.len == 0 { usize::MAX } else { lines.len as usize };
    chars.chunks(len).collect::<Vec<_>>().join(ending)
}

/// A message taken apart.
#[derive(Clone, Debug, PartialEq)]
struct Taken {
    list: Vec<CutOut>,
    skeleton: Vec<u8>,
    contents: Vec<Vec<u8>>,
    assembly: Assembly,
}

impl Taken {
    /// Where in the message stands what was cut out.
    fn texts(&self) -> Vec<Range<u64>> {
        self.assembly.texts().collect()
    }
}

/// Cuts a message given in pieces.
fn cut(message: &[u8], parts: &[Range<u64>], options: Options, piece: usize) -> Taken {
    let (mut open, mut contents, mut skeleton) = (Vec::new(), Vec::new(), Vec::new());
    let mut on_piece = |piece: Piece<'_>| match piece {
        Piece::Text(text) => {
            assert!(open.is_empty() && !text.is_empty(), "all in order");
            skeleton.extend_from_slice(text);
        }
        Piece::Content(bytes) => open.extend_from_slice(bytes),
        Piece::Kept(cut) => {
            let content = std::mem::take(&mut open);
            assert_eq!((cut.len, cut.hash), (content.len() as u64, Hash::of(&content)));
            assert_eq!(cut.offset, skeleton.len() as u64);
            assert!(cut.len >= options.least);
            contents.push(content);
        }
        Piece::Back(lines) => {
            let part = CutOut { len: open.len() as u64, lines, ..CutOut::default() };
            assert!((1..options.least).contains(&part.len));
            let assembly = Assembly::of_skeleton(&[part], 0).unwrap();
            skeleton.extend(rebuild(&assembly, b"", &[std::mem::take(&mut open)], 0..u64::MAX));
        }
    };
    let mut cutter = Cutter::new(options);
    let mut at = 0;
    let edges = parts.iter().flat_map(|part| [(part.start, true), (part.end, false)]);
    for (edge, begins) in edges.chain([(message.len() as u64, false)]) {
        let bytes = &message[at..edge as usize];
        bytes.chunks(piece.max(1)).for_each(|piece| cutter.push(piece, &mut on_piece));
        at = edge as usize;
        if begins {
            cutter.begin(&mut on_piece);
        } else {
            cutter.end(&mut on_piece);
        }
    }
    assert!(open.is_empty(), "no content is left over");
    let list = cutter.list().to_vec();
    assert_eq!(contents.len(), list.len());
    assert!(list.len() <= options.most);
    let assembly = Assembly::new(&list, message.len() as u64).unwrap();
    Taken { list, skeleton, contents, assembly }
}

fn slice(bytes: &[u8], range: &Range<u64>) -> Vec<u8> {
    bytes[range.start as usize..range.end as usize].to_vec()
}

/// A part of the message, from skeleton and contents alone.
fn rebuild(
    assembly: &Assembly,
    skeleton: &[u8],
    contents: &[Vec<u8>],
    part: Range<u64>,
) -> Vec<u8> {
    let mut out = Vec::new();
    for source in assembly.sources(part) {
        match &source {
            Source::Skeleton(range) => out.extend(slice(skeleton, range)),
            Source::Attachment { index, content, text } => {
                assert!(content.end - content.start <= 48 * 1024 + 3);
                assert!(text.end - text.start <= 64 * 1024);
                let before = out.len();
                assembly.encode(&source, &slice(&contents[*index], content), &mut out).unwrap();
                assert_eq!((out.len() - before) as u64, text.end - text.start);
            }
        }
    }
    out
}

/// Cuts and puts together again, whole and these parts.
fn round_trip(
    message: &[u8],
    parts: &[Range<u64>],
    options: Options,
    piece: usize,
    ranges: &[Range<u64>],
) -> Taken {
    let taken = cut(message, parts, options, piece);
    let Taken { list, skeleton, contents, assembly } = &taken;
    let len = message.len() as u64;
    assert_eq!((assembly.len(), assembly.skeleton_len()), (len, skeleton.len() as u64));
    assert_eq!(Assembly::of_skeleton(list, skeleton.len() as u64).as_ref(), Ok(assembly));
    assert!(rebuild(assembly, skeleton, contents, 0..u64::MAX) == message);
    for range in ranges {
        let wanted = range.start.min(len)..range.end.clamp(range.start.min(len), len);
        let found = rebuild(assembly, skeleton, contents, range.clone());
        assert!(found == slice(message, &wanted), "{range:?}");
    }
    taken
}

fn crlf(len: u32) -> Lines {
    Lines { len, ending: LineEnding::CrLf }
}

fn lf(len: u32) -> Lines {
    Lines { len, ending: LineEnding::Lf }
}

/// What is cut out of this body, as text and layout.
fn of_body(body: &[u8]) -> Option<(String, Lines)> {
    let message = [b"Subject: x\r\n\r\n", body, b"\r\n--b--\r\n"].concat();
    let part = 14..14 + body.len() as u64;
    let mut found = None;
    for piece in [1, 2, 3, usize::MAX] {
        let taken = round_trip(&message, std::slice::from_ref(&part), ALL, piece, &[]);
        let text = |range: &Range<u64>| String::from_utf8(slice(&message, range)).unwrap();
        let now = taken.texts().first().map(|range| (text(range), taken.list[0].lines));
        assert!(piece == 1 || found == now, "pieces of {piece}");
        found = now;
    }
    found
}

#[test]
fn what_is_cut_out() {
    let found = |body: &str| of_body(body.as_bytes());
    let is = |text: &str, lines| Some((text.to_owned(), lines));
    // One line, with or without its end; padding; blank lines before.
    assert_eq!(found("QUJD"), is("QUJD", crlf(0)));
    assert_eq!(found("QUJD\r\n"), is("QUJD", crlf(0)));
    assert_eq!(found("QUJD\n\n"), is("QUJD", crlf(0)));
    assert_eq!(found("\r\n\r\nQUI=\r\n"), is("QUI=", crlf(0)));
    assert_eq!(found("QQ=="), is("QQ==", crlf(0)));
    // Lines of any length, also ones that split groups and padding.
    assert_eq!(found("QUJD\r\nQUJD\r\nQQ==\r\n"), is("QUJD\r\nQUJD\r\nQQ==", crlf(4)));
    assert_eq!(found("QUJ\nDQU\nJD\n"), is("QUJ\nDQU\nJD", lf(3)));
    assert_eq!(found("QUJDQ\r\nQ=="), is("QUJDQ\r\nQ==", crlf(5)));
    assert_eq!(found("QUJDQQ=\n="), is("QUJDQQ=\n=", lf(7)));
    assert_eq!(found("Q\nU\nJ\nD\n"), is("Q\nU\nJ\nD", lf(1)));
    // What follows the end stays in the skeleton.
    assert_eq!(found("QUJD\r\nQUJD\r\n\r\n"), is("QUJD\r\nQUJD", crlf(4)));
    assert_eq!(found("QUJD\r\nQUJD\r\n-- \r\nlist\r\n"), is("QUJD\r\nQUJD", crlf(4)));
    assert_eq!(found("QUJDQUJD\r\nQUJD\r\nmore"), is("QUJDQUJD\r\nQUJD", crlf(8)));
    assert_eq!(found("QUI=junk"), is("QUI=", crlf(0)));
    assert_eq!(found("QUI=\r\nQUJD\r\n"), is("QUI=", crlf(0)));
    assert_eq!(found("QUJD\r"), is("QUJD", crlf(0)));
    // So does what is no base64, or laid out otherwise.
    assert_eq!(found("QUJD "), is("QUJD", crlf(0)));
    assert_eq!(found("QUJD \r\nQUJD"), is("QUJD", crlf(0)));
    assert_eq!(found("QUJD\t"), is("QUJD", crlf(0)));
    assert_eq!(found("QUJD!"), is("QUJD", crlf(0)));
    assert_eq!(found("QUJD\rQUJD"), is("QUJD", crlf(0)));
    assert_eq!(found("QUI=Q"), is("QUI=", crlf(0)));
    assert_eq!(found("QUJD\r\nQUJDQUJD\r\n"), is("QUJD\r\nQUJD", crlf(4)));
    assert_eq!(found("QUJD\r\nQUJD\nQUJD"), is("QUJD\r\nQUJD", crlf(4)));
    assert_eq!(found("QUJD\nQUJD\r\nQUJD"), is("QUJD\nQUJD", lf(4)));
    // Text that may be base64.
    assert_eq!(found("QUJD\r\nQUJD\r\nRegards\r\n"), is("QUJD\r\nQUJD\r\nRega", crlf(4)));
}

#[test]
fn what_stays() {
    for body in [
        "",
        "\r\n",
        "=",
        "====",
        "QUJ",
        "QUJDQ",
        "QUI", // nothing, or not whole groups
        "QR==",
        "QUJ=", // bits behind the end that are not zero
        "Q===",
        " QUJD",
        "QU JD", // white space
        "QUJD\r\nQUJ*\r\n",
        "QU-_", // what is not base64
    ] {
        assert_eq!(of_body(body.as_bytes()), None, "{body:?}");
    }
}

/// Where the base64 goes wrong far behind its start, what came before is cut out all the same.
#[test]
fn what_ends_badly_is_cut_out_up_to_a_block() {
    let content = b"content".repeat(20_000);
    for (line, harm) in [(76, "*"), (76, "Q=\r\n"), (0, "Q"), (5, "\r"), (4, "=")] {
        let text = base64(&content, crlf(line));
        for at in [0, 1, 40_000, 65_535, 65_536, text.len() - 1] {
            let body = [&text[..at], harm.as_bytes(), &text[at..]].concat();
            let whole = 0..body.len() as u64;
            let taken = round_trip(&body, std::slice::from_ref(&whole), ALL, 10_000, &[]);
            let cut: u64 = taken.texts().iter().map(|text| text.end - text.start).sum();
            // Of short lines many bytes are line ends.
            assert!(cut + 2 * 32_768 > at as u64, "{line} {harm:?} at {at}: {cut}");
        }
    }
}

#[test]
fn only_large_parts_and_not_too_many() {
    let content = |n: u8, len: usize| [n].repeat(len);
    let bodies: Vec<Vec<u8>> = [(1, 65_535), (2, 65_536), (3, 65_536), (4, 65_537), (2, 65_536)]
        .map(|(n, len)| base64(&content(n, len), crlf(76)))
        .into();
    let (mut message, mut parts) = (b"Subject: x\r\n\r\n".to_vec(), Vec::new());
    for body in &bodies {
        message.extend_from_slice(b"--b\r\n\r\n");
        let start = message.len() as u64;
        message.extend_from_slice(body);
        parts.push(start..message.len() as u64);
    }
    let which = |taken: &Taken| -> Vec<usize> {
        let place = |text: &Range<u64>| parts.iter().position(|part| part == text).unwrap();
        taken.texts().iter().map(place).collect()
    };
    let taken = round_trip(&message, &parts, Options::default(), 9999, &[50..200_000, 0..7]);
    assert_eq!(which(&taken), [1, 2, 3, 4]);
    assert_eq!(taken.contents[0], content(2, 65_536));
    assert_eq!(taken.list[0].hash, taken.list[3].hash);
    let few = Options { most: 2, ..Options::default() };
    assert_eq!(which(&round_trip(&message, &parts, few, 4096, &[])), [1, 2]);
    let some = &parts[2..4];
    assert_eq!(which(&round_trip(&message, some, Options::default(), 1 << 20, &[])), [2, 3]);
}

#[test]
fn lists_that_make_no_message() {
    let part = |offset| CutOut { offset, hash: Hash::default(), len: 3, lines: crlf(0) };
    let error = AssemblyError::Offset { index: 1, offset: 2, min: 5, max: 6 };
    assert_eq!(Assembly::new(&[part(5), part(2)], 14), Err(error));
    let error = AssemblyError::Offset { index: 0, offset: 7, min: 0, max: 6 };
    assert_eq!(Assembly::new(&[part(7)], 10), Err(error));
    let error = AssemblyError::TooLong { parts: 8, message: 7 };
    assert_eq!(Assembly::new(&[part(0), part(0)], 7), Err(error));
    let endless = CutOut { len: u64::MAX, ..part(0) };
    assert!(Assembly::new(&[endless, endless], u64::MAX).is_err());
    let half = CutOut { len: u64::MAX / 8 * 3 / 4 * 3, ..part(0) };
    let long = Assembly::new(&[half], u64::MAX).unwrap();
    assert_eq!(long.sources(u64::MAX - 5..u64::MAX).count(), 1);
    assert!(Assembly::of_skeleton(&[endless], 1).is_err());
    let whole = Assembly::new(&[part(0)], 4).unwrap();
    let source = whole.sources(0..9).next().unwrap();
    let error = AssemblyError::Content { index: 0, need: 3, have: 2 };
    assert_eq!(whole.encode(&source, b"AB", &mut Vec::new()), Err(error));
}

#[test]
fn a_hash_says_the_same_in_pieces() {
    let content: Vec<u8> = (0..200_000_u32).map(|i| (i * 7 % 253) as u8).collect();
    let mut hasher = Hasher::new();
    assert!(hasher.is_empty());
    content.chunks(777).for_each(|piece| hasher.update(piece));
    assert_eq!((hasher.len(), hasher.hash()), (200_000, Hash::of(&content)));
    // The authors' test vector for three bytes.
    assert_eq!(
        Hash::of(&[0, 1, 2]).to_string(),
        "e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f"
    );
}

/// Ways in which a body is not what it should be.
#[derive(Clone, Debug)]
enum Harm {
    None,
    Insert(prop::sample::Index, Vec<u8>),
    Replace(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Truncate(prop::sample::Index),
}

fn harm() -> impl Strategy<Value = Harm> {
    let junk = prop::collection::vec(prop::sample::select(b" \t\r\n=-+/A!\0\xff".as_slice()), 1..4);
    prop_oneof![
        4 => Just(Harm::None),
        1 => (any::<prop::sample::Index>(), junk).prop_map(|(at, junk)| Harm::Insert(at, junk)),
        1 => any::<(prop::sample::Index, u8)>().prop_map(|(at, byte)| Harm::Replace(at, byte)),
        1 => any::<prop::sample::Index>().prop_map(Harm::Remove),
        1 => any::<prop::sample::Index>().prop_map(Harm::Truncate),
    ]
}

fn body() -> impl Strategy<Value = (Vec<u8>, Lines, Vec<u8>, Harm)> {
    let line = prop_oneof![Just(0_u32), Just(76), Just(64), 1_u32..100, Just(998)];
    let end =
        prop::sample::select(vec!["", "\r\n", "\n", "\r\n\r\n", " \r\n", "\r\n-- \r\nlist\r\n"]);
    let ending = prop_oneof![Just(LineEnding::CrLf), Just(LineEnding::Lf)];
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..700),
        (any::<u8>(), 30_000_usize..130_000).prop_map(|(byte, len)| [byte, 1, 2].repeat(len / 3)),
    ];
    (content, line, ending, end, harm()).prop_map(|(content, len, ending, end, harm)| {
        (content, Lines { len, ending }, end.as_bytes().to_vec(), harm)
    })
}

proptest! {
    #[test]
    fn what_is_put_together_is_what_was_cut(
        bodies in prop::collection::vec(body(), 0..4),
        piece in 1_usize..50_000,
        ranges in prop::collection::vec((0_u64..200_000, 0_u64..100_000), 0..6),
        least in prop_oneof![Just(1_u64), 2_u64..50_000],
    ) {
        let (mut message, mut parts) = (b"Subject: x\r\n\r\n".to_vec(), Vec::new());
        let mut sound = Vec::new();
        for (content, lines, end, harm) in &bodies {
            let mut body = [base64(content, *lines), end.clone()].concat();
            match harm {
                Harm::None => {}
                Harm::Insert(at, junk) => {
                    let at = at.index(body.len() + 1);
                    body.splice(at..at, junk.iter().copied());
                }
                _ if body.is_empty() => {}
                Harm::Replace(at, byte) => *at.get_mut(&mut body) = *byte,
                Harm::Remove(at) => {
                    body.remove(at.index(body.len()));
                }
                Harm::Truncate(at) => body.truncate(at.index(body.len())),
            }
            message.extend_from_slice(b"--b\r\n\r\n");
            let start = message.len() as u64;
            message.extend_from_slice(&body);
            if matches!(harm, Harm::None) && !content.is_empty() {
                sound.push((parts.len(), content.clone(), *lines));
            }
            parts.push(start..message.len() as u64);
        }
        let ranges: Vec<Range<u64>> = ranges.into_iter().map(|(at, len)| at..at + len).collect();
        let options = Options { least, most: usize::MAX };
        let taken = round_trip(&message, &parts, options, piece, &ranges);
        prop_assert!(taken == cut(&message, &parts, options, usize::MAX));
        let starts: Vec<u64> = taken.texts().iter().map(|text| text.start).collect();
        for (index, content, lines) in sound {
            if content.len() < least as usize {
                continue;
            }
            let Some(at) = starts.iter().position(|start| *start == parts[index].start) else {
                return Err(TestCaseError::fail(format!("part {index} stays: {lines:?}")));
            };
            prop_assert!(taken.contents[at] == content);
            let one = content.len().div_ceil(3) * 4 <= lines.len as usize || lines.len == 0;
            prop_assert_eq!(taken.list[at].lines, if one { Lines::default() } else { lines });
        }
        // The list survives the map.
        let mut extra = Extra::new();
        extra.push_attachments(&taken.list);
        prop_assert_eq!(extra.is_empty(), taken.list.is_empty());
        let transaction = Transaction { ops: vec![Op::Add { anchor: 1, message: Added { extra, ..Added::default() } }] };
        let mut payload = Vec::new();
        transaction.encode(&mut payload);
        let decoded = Transaction::decode(&payload).unwrap();
        prop_assert_eq!(&decoded, &transaction);
        let Op::Add { message: added, .. } = &decoded.ops[0] else { panic!("an Add was written") };
        prop_assert_eq!(added.extra.attachments(), Ok(taken.list));
    }
}

fn hash(n: u8) -> Hash {
    Hash([n; 32])
}

fn with(hashes: &[u8]) -> Extra {
    let mut extra = Extra::new();
    let part = |n: &u8| CutOut { offset: 7, hash: hash(*n), len: 70_000, lines: crlf(76) };
    extra.push_attachments(&hashes.iter().map(part).collect::<Vec<_>>());
    extra
}

/// A map, what it needs, and the draft of a change of both.
struct World {
    map: Map,
    holdings: Holdings,
    now: i64,
}

impl World {
    fn new() -> Self {
        let mut world = Self { map: Map::new(), holdings: Holdings::default(), now: 0 };
        let mut draft = Draft::new(&world.map);
        draft.container_open(1, dbox_format::Seed(1));
        world.apply(draft);
        world
    }

    fn apply(&mut self, draft: Draft) {
        self.holdings.apply(&mut self.map, &draft.finish(), self.now).unwrap();
    }

    fn add(&mut self, hashes: &[u8]) -> MapId {
        let mut draft = Draft::new(&self.map);
        let offset = self.map.container(1).unwrap().end;
        let extra = with(hashes);
        let refs = 1;
        let id = draft.add(Added {
            container: 1,
            offset,
            record_len: 100,
            refs,
            extra,
            ..Added::default()
        });
        self.apply(draft);
        id
    }

    fn free(&mut self, id: MapId) {
        let mut draft = Draft::new(&self.map);
        draft.refs_remove([id]);
        draft.free([id].into_iter().collect());
        self.apply(draft);
    }

    fn due(&self, checkpointed: u64, grace: i64) -> Vec<Hash> {
        let (due, next) = self.holdings.due((hash(0), usize::MAX), checkpointed, self.now, grace);
        assert_eq!(next, None);
        due
    }
}

#[test]
fn a_link_goes_after_checkpoint_and_grace_and_not_if_it_is_needed_again() {
    let mut world = World::new();
    let (first, second) = (world.add(&[1, 2]), world.add(&[2, 2]));
    assert_eq!((world.holdings.needs(&hash(1)), world.holdings.needs(&hash(2))), (1, 3));
    assert_eq!(world.due(u64::MAX, 0), []);
    world.now = 100;
    world.free(first);
    let at = world.map.transactions();
    assert_eq!(world.due(at - 1, 0), [], "no checkpoint covers it");
    assert_eq!(world.due(at, 10), [], "the grace has not passed");
    world.now = 110;
    assert_eq!(world.due(at, 10), [hash(1)]);
    // A new message needs it again: it stays.
    let third = world.add(&[1]);
    assert_eq!(world.due(u64::MAX, 0), []);
    world.free(third);
    world.free(second);
    world.now = 120;
    assert_eq!(world.due(u64::MAX, 10), [hash(1), hash(2)]);
    // A delivery that has just looked for the link: not now.
    world.holdings.pin(hash(1));
    assert_eq!(world.due(u64::MAX, 10), [hash(2)]);
    world.holdings.removed(&hash(2));
    world.holdings.unpin(hash(1), world.map.transactions(), world.now);
    assert_eq!(world.due(u64::MAX, 10), [hash(1)], "it had been leaving before");
    world.holdings.removed(&hash(1));
    assert_eq!(world.holdings, Holdings::of(&world.map).unwrap());
}

#[test]
fn a_change_given_up_leaves_a_link_that_goes() {
    let mut world = World::new();
    world.holdings.pin(hash(5));
    assert_eq!(world.due(u64::MAX, 0), []);
    world.now = 3;
    world.holdings.unpin(hash(5), world.map.transactions(), world.now);
    assert_eq!(world.due(0, 0), []);
    assert_eq!(world.due(1, 0), [hash(5)]);
}

#[test]
fn added_and_freed_in_one_transaction() {
    let mut world = World::new();
    let mut draft = Draft::new(&world.map);
    let added = Added {
        container: 1,
        offset: 64,
        record_len: 9,
        refs: 0,
        extra: with(&[7]),
        ..Added::default()
    };
    let id = draft.add(added);
    draft.free([id].into_iter().collect());
    world.apply(draft);
    assert_eq!(world.holdings.needs(&hash(7)), 0);
    assert_eq!(world.due(u64::MAX, 0), [hash(7)]);
}

#[test]
fn a_refused_transaction_changes_nothing() {
    let mut world = World::new();
    let id = world.add(&[1]);
    let before = world.holdings.clone();
    // It has a reference, so it can't be freed.
    let ops = vec![Op::Free([id].into_iter().collect())];
    let refused = world.holdings.apply(&mut world.map, &Transaction { ops }, 0);
    assert!(matches!(refused, Err(Error::Map(_))), "{refused:?}");
    assert_eq!(world.holdings, before);
    let mut extra = Extra::new();
    extra.push(Extra::ATTACHMENTS, b"\x01");
    assert!(matches!(extra.attachments(), Err(Error::Truncated { .. })));
    let message =
        Added { container: 1, offset: 900, record_len: 1, refs: 1, extra, ..Added::default() };
    let transaction = Transaction { ops: vec![Op::Add { anchor: 2, message }] };
    assert!(world.holdings.apply(&mut world.map, &transaction, 0).is_err());
    assert_eq!((world.holdings, world.map.len()), (before, 1));
    // Nor is it ever read from a log.
    let mut payload = Vec::new();
    transaction.encode(&mut payload);
    assert!(matches!(Transaction::decode(&payload), Err(Error::Truncated { .. })));
    // One line has no line ends that could differ: one layout has one encoding.
    let mut extra = Extra::new();
    extra.push(Extra::ATTACHMENTS, &[[0, 3, 1].as_slice(), &[9; 32]].concat());
    let error = Error::Range { field: "lines of a part", at: 2, found: 1, min: 0, max: 0 };
    assert_eq!(extra.attachments(), Err(error));
}

#[test]
fn start_finds_what_a_crash_left() {
    let mut world = World::new();
    world.add(&[1, 2]);
    world.holdings = Holdings::of(&world.map).unwrap();
    world.holdings.pin(hash(9));
    world.now = 50;
    let links = [2, 3, 9].map(hash);
    let transactions = world.map.transactions();
    let orphans = links.map(|link| world.holdings.found(link, transactions, world.now));
    assert_eq!(orphans, [false, true, false]);
    assert!(world.holdings.needed_from(hash(2)).eq([hash(2)]), "the other one is missing");
    assert_eq!(world.due(transactions, 1), []);
    world.now = 51;
    assert_eq!(world.due(transactions, 1), [hash(3)]);
    // Another look at it does not begin anew.
    assert!(!world.holdings.found(hash(3), transactions + 1, world.now));
    assert_eq!(world.due(transactions, 1), [hash(3)]);
}

#[test]
fn what_is_due_is_found_a_few_at_a_time() {
    let mut holdings = Holdings::default();
    for byte in 1..8 {
        holdings.pin(hash(byte));
        holdings.unpin(hash(byte), 5, i64::from(byte) / 4 * 10);
    }
    assert!(!holdings.is_settled());
    let due = |holdings: &Holdings, from, count| holdings.due((hash(from), count), 5, 9, 0);
    assert_eq!(due(&holdings, 0, 2), ([1, 2].map(hash).to_vec(), Some(hash(3))));
    assert_eq!(
        due(&holdings, 3, 2),
        (vec![hash(3)], Some(hash(5))),
        "those behind have not been gone long enough"
    );
    assert_eq!(due(&holdings, 5, 3), (vec![], None));
    (1..8).for_each(|byte| holdings.removed(&hash(byte)));
    assert!(holdings.is_settled());
}

proptest! {
    #[test]
    fn what_is_kept_up_to_date_is_what_the_map_says(
        steps in prop::collection::vec((prop::collection::vec(0_u8..5, 0..4), any::<prop::sample::Index>(), any::<bool>()), 1..40),
    ) {
        let mut world = World::new();
        let mut ids: Vec<MapId> = Vec::new();
        let mut links = std::collections::BTreeSet::new();
        for (hashes, which, add) in steps {
            world.now += 1;
            if add || ids.is_empty() {
                ids.push(world.add(&hashes));
                links.extend(hashes.iter().map(|n| hash(*n)));
            } else {
                let id = ids.swap_remove(which.index(ids.len()));
                world.free(id);
            }
            for due in world.due(world.map.transactions(), 2) {
                prop_assert!(links.remove(&due), "only what is there is removed");
                world.holdings.removed(&due);
            }
            // Whatever is needed is there, always; and it is what a start would derive.
            prop_assert!(world.holdings.needed_from(hash(0)).all(|hash| links.contains(&hash)));
            let derived = Holdings::of(&world.map).unwrap();
            prop_assert!(derived.needed_from(hash(0)).eq(world.holdings.needed_from(hash(0))));
            let mut file = Vec::new();
            world.map.write_snapshot(LogPosition::default(), &mut file);
            let loaded = Snapshot::parse(&file).unwrap().load().unwrap();
            prop_assert_eq!(Holdings::of(&loaded).unwrap(), derived);
        }
        for id in ids {
            world.free(id);
        }
        world.now += 2;
        // In the end nothing is left.
        let due: std::collections::BTreeSet<Hash> = world.due(u64::MAX, 2).into_iter().collect();
        prop_assert_eq!(due, links);
    }
}
