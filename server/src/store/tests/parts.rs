//! A part of a large message is read by reading about that part: of mail that was delivered and that was appended, with
//! its attachments apart and without, compressed and not, before a restart and behind it, and when the cache is lost.

use super::attachments::{encoded, noise};
use super::fetched::{fetch, gathered, literal};
use super::repair::findings;
use super::world::{World, at_once, config, open_with};
use crate::store::config::{Attachments, StoreConfig};
use crate::store::delivery::Target;
use crate::store::imap::ImapUser;
use crate::store::store::Store;
use imap_proto::fetch::{FieldNames, Fixed, Section, SectionKind};
use imap_proto::mime::{Limits, Mime, Parser};
use imap_proto::search::{self, Key, Program};
use imap_proto::{Answer, Ask, Flags, MailboxName};
use runtime_smol::sim::{SimFs, Variant};
use std::sync::Arc;

/// Bytes that any part may cost beside its own: the records' heads and tables, and steps that begin and end beside it.
const BESIDE: u64 = 192 << 10;

/// A store and its disk.
struct Disk {
    fs: SimFs,
    config: StoreConfig,
    store: Arc<Store>,
}

impl Disk {
    fn open(fs: SimFs, config: &StoreConfig) -> Self {
        let store = open_with(&fs, 1, config.clone()).unwrap();
        Self { fs, config: config.clone(), store }
    }

    fn user(&self) -> ImapUser {
        let account = self.store.account("u1").unwrap();
        self.store.flush();
        let mut user = ImapUser::new(self.store.clone(), account, Arc::default());
        at_once(user.ask(Ask::Select { mailbox: MailboxName::inbox(), examine: false }));
        user
    }

    fn deliver(&self, text: &[u8]) {
        let account = self.store.account("u1").unwrap();
        let prefix = PREFIX.to_vec();
        let target = Target { account, mailbox: "INBOX".into(), prefix };
        let mut delivery = self.store.deliver(vec![target]).unwrap();
        text.chunks(50_000).for_each(|piece| delivery.write(piece).unwrap());
        delivery.commit().results.into_iter().for_each(|result| assert!(result.is_ok()));
        self.store.flush();
    }

    fn append(&self, texts: &[&[u8]]) {
        let mut user = self.user();
        for (at, text) in texts.iter().enumerate() {
            let (mailbox, size, first) = (MailboxName::inbox(), text.len() as u64, at == 0);
            let flags = Flags::default();
            let open = Ask::AppendOpen { mailbox, flags, date: None, size, binary: true, first };
            assert!(matches!(at_once(user.ask(open)), Answer::Proceed));
            text.chunks(50_000).for_each(|piece| user.body(piece));
        }
        assert!(matches!(at_once(user.ask(Ask::AppendCommit)), Answer::Appended { .. }));
        self.store.flush();
    }

    /// The same disk after a restart, with the cache or without it.
    fn restarted(self, with_cache: bool) -> Self {
        self.store.checkpoint(0).unwrap();
        let Self { fs, config, store } = self;
        drop(store);
        let fs = fs.crashed(Variant::Everything);
        if !with_cache {
            let files = fs.files().into_iter();
            for file in files.filter(|file| file.to_str().unwrap().contains("/cache/")) {
                fs.corrupt(&file, |bytes| bytes.fill(0)).unwrap();
            }
        }
        Self::open(fs, &config)
    }

    /// Bytes that were read of all files but those of the cache.
    fn read(&self) -> u64 {
        self.fs.bytes_read(|path| !path.to_str().unwrap().contains("/cache/"))
    }

    /// What a FETCH gives, and how many bytes of messages and attachments it reads.
    fn fetch(&self, user: &mut ImapUser, uid: u32, section: &Section) -> (Vec<u8>, u64) {
        let before = self.read();
        let answer = fetch(user, uid, Fixed::UID, vec![section.clone()]);
        let Answer::Rows { pieces, served: 1, .. } = answer else { panic!("{answer:?}") };
        let row = gathered(pieces).unwrap();
        (literal(&row), self.read() - before)
    }
}

const PREFIX: &[u8] = b"Return-Path: <r@example.org>\r\nDelivered-To: u1\r\n";

/// Text, a large attachment, a long text, and a message with two parts, the second of them large.
fn mail() -> Vec<u8> {
    let lines = |count: usize| {
        let line =
            |n: usize| format!("{:064x}\r\n", (n as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (0..count).map(line).collect::<String>()
    };
    format!(
        "Subject: large\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n\
         --a\r\nContent-Type: text/plain\r\n\r\nA few words.\r\n\
         --a\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n\
         --a\r\nContent-Type: text/plain\r\nContent-Description: long\r\n\r\n{}\
         --a\r\nContent-Type: message/rfc822\r\n\r\nSubject: inside\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nInside.\r\n--b\r\n\r\n{}--b--\r\n\r\n--a--\r\n",
        encoded(&noise(1, 3 << 20), 76, "\r\n"),
        lines(30_000),
        lines(20_000)
    )
    .into_bytes()
}

/// Sections, in the order in which they end in the message.
fn sections() -> Vec<Section> {
    use SectionKind::{All, Binary, Header, HeaderFields, Mime, Text};
    let of = |path: &[u32], kind, partial| Section::new(path.to_vec(), kind, partial, true);
    let subject = HeaderFields(FieldNames::new(vec![b"Subject".to_vec()]));
    vec![
        of(&[1], Mime, None),
        of(&[1], All, None),
        of(&[2], Mime, None),
        of(&[2], All, Some((1_000_000, 500))),
        of(&[2], Binary, Some((0, 200))),
        of(&[3], Mime, None),
        of(&[3], All, None),
        of(&[4], Header, None),
        of(&[4], subject, None),
        of(&[4, 1], All, None),
        of(&[4, 2], All, Some((1_000_000, 100_000))),
        of(&[4], Text, Some((0, 10))),
        of(&[5], All, None),
    ]
}

fn parsed(text: &[u8]) -> Mime {
    let mut parser = Parser::new(Limits::default());
    parser.feed(text);
    parser.finish()
}

/// What a section has, how much of the message that takes, and where it ends.
fn expected(text: &[u8], mime: &Mime, section: &Section) -> (Vec<u8>, u64, u64) {
    let Some(place) = mime.place(&section.path) else { return (Vec::new(), 0, text.len() as u64) };
    let (range, end) = match &section.kind {
        SectionKind::All | SectionKind::Binary => (place.body..place.end, place.end),
        SectionKind::Mime => (place.header..place.body, place.body),
        SectionKind::Text => {
            let (_, body, end) = place.inside.unwrap();
            (body..end, end)
        }
        SectionKind::Header | SectionKind::HeaderFields(_) => {
            let (header, body, _) = place.inside.unwrap();
            (header..body, body)
        }
        SectionKind::HeaderFieldsNot(_) | SectionKind::BinarySize => unreachable!("not asked"),
    };
    let mut found = text[range.start as usize..range.end as usize].to_vec();
    match &section.kind {
        SectionKind::Binary => found = noise(1, 3 << 20),
        SectionKind::HeaderFields(_) => found = b"Subject: inside\r\n\r\n".to_vec(),
        SectionKind::All
        | SectionKind::Header
        | SectionKind::HeaderFieldsNot(_)
        | SectionKind::Text
        | SectionKind::Mime
        | SectionKind::BinarySize => {}
    }
    if let Some((offset, count)) = section.partial {
        let end = found.len().min((offset + count) as usize);
        found = found[offset as usize..end].to_vec();
    }
    let len = found.len() as u64;
    (found, len, end)
}

fn configs() -> [StoreConfig; 4] {
    let apart = StoreConfig { gather_max: 16 << 10, attachment_least: 64 << 10, ..config() };
    let apart = StoreConfig { container_size: 1 << 20, segment_size: 1 << 20, ..apart };
    let whole = StoreConfig { attachments: Attachments::Whole, ..apart.clone() };
    let packed = |config: &StoreConfig| StoreConfig { compression: Some(1), ..config.clone() };
    [packed(&apart), packed(&whole), apart, whole]
}

/// Asks for all sections of all messages, each of which may read what `most` allows for its length and its end.
fn check(disk: &Disk, texts: &[Vec<u8>], most: &dyn Fn(u64, u64) -> u64, what: &str) {
    for (uid, text) in (1..).zip(texts) {
        let mime = parsed(text);
        for section in sections() {
            let (bytes, len, end) = expected(text, &mime, &section);
            let (found, read) = disk.fetch(&mut disk.user(), uid, &section);
            let name = String::from_utf8_lossy(&section.name).into_owned();
            assert!(found == bytes, "{what}: {name} of {uid}: {} bytes, {}", found.len(), len);
            let most = most(len, end);
            assert!(read <= most, "{what}: {name} of {uid}: {read} bytes read, {most} allowed");
        }
    }
}

/// Asks for what lists show of large messages: nothing of them is read for it.
fn check_structure(disk: &Disk, texts: &[Vec<u8>]) {
    for (uid, text) in (1..).zip(texts) {
        let mut user = disk.user();
        let before = disk.read();
        let fixed = Fixed::ENVELOPE | Fixed::BODYSTRUCTURE;
        let answer = fetch(&mut user, uid, fixed, Vec::new());
        let Answer::Rows { pieces, .. } = answer else { panic!("{answer:?}") };
        // A column of the mailbox may be.
        let read = disk.read() - before;
        assert!(read < 100, "{read} bytes read for the structure of {uid}");
        let mut expected = b"BODYSTRUCTURE ".to_vec();
        parsed(text).write_structure(true, &mut expected);
        expected.extend_from_slice(b")\r\n");
        assert!(gathered(pieces).unwrap().ends_with(&expected));
    }
}

#[test]
fn a_part_is_read_by_reading_about_that_part() {
    let text = mail();
    for config in configs() {
        let what = format!("{:?} {:?}", config.attachments, config.compression);
        let disk = Disk::open(SimFs::new(), &config);
        disk.deliver(&text);
        disk.append(&[&text]);
        let texts = [[PREFIX, &text].concat(), text.clone()];
        let about = |len: u64, _| len + BESIDE;
        check(&disk, &texts, &about, &format!("{what}, as it came"));
        let disk = disk.restarted(true);
        check(&disk, &texts, &about, &format!("{what}, behind a restart"));
        check_structure(&disk, &texts);
        // Once more somebody has to look where the parts are: as far as the first ends, and then once to the end.
        let disk = disk.restarted(false);
        let before = disk.read();
        let any = |len: u64, _| text.len() as u64 + len + 2 * BESIDE;
        check(&disk, &texts, &any, &format!("{what}, the cache lost"));
        let asked: u64 = sections()
            .iter()
            .map(|section| expected(&text, &parsed(&text), section).1 + BESIDE)
            .sum();
        let most = texts.len() as u64 * (text.len() as u64 + asked);
        let read = disk.read() - before;
        assert!(read <= most, "{what}: {read} bytes read once the cache was lost, {most} allowed");
        check(&disk, &texts, &about, &format!("{what}, learnt again"));
        let disk = disk.restarted(true);
        check(&disk, &texts, &about, &format!("{what}, learnt again, behind a restart"));
        check_structure(&disk, &texts);
    }
}

/// Where nobody remembers anything a message is parsed as far as the part's end, and no further.
#[test]
fn without_a_cache_nothing_is_read_behind_the_part() {
    let text = mail();
    for config in configs() {
        let config = StoreConfig { cache_memory: 0, ..config };
        let what = format!("{:?} {:?}, no cache", config.attachments, config.compression);
        let disk = Disk::open(SimFs::new(), &config);
        disk.append(&[&text]);
        let most = |len: u64, end: u64| end + len + BESIDE;
        check(&disk, std::slice::from_ref(&text), &most, &what);
    }
}

/// Who searches through a large message has learnt where its parts are.
#[test]
fn a_search_tells_where_parts_are() {
    let text = mail();
    let disk = Disk::open(SimFs::new(), &configs()[3]);
    disk.append(&[&text]);
    let disk = disk.restarted(false);
    let key = Key::Text("not there".into());
    let program = Arc::new(Program::compile(&key, search::Limits::default()).unwrap());
    let Answer::Found { uids, .. } = at_once(disk.user().ask(Ask::Search { program })) else {
        panic!("no answer")
    };
    assert_eq!(uids.len(), 0);
    check(&disk, &[text], &|len, _| len + BESIDE, "searched");
}

/// What is said of a message with many parts is as long as that of many small ones, and is kept all the same.
#[test]
fn the_structure_of_a_message_with_many_parts_is_kept() {
    let part = |number: usize| {
        let name = format!("{number:0100}");
        format!("--b\r\nContent-Type: text/x; name={name}\r\n\r\n{}\r\n", "x".repeat(2000))
    };
    let parts: String = (0..200).map(part).collect();
    let text = format!(
        "Subject: many\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n"
    );
    let disk = Disk::open(SimFs::new(), &configs()[3]);
    disk.deliver(text.as_bytes());
    let texts = [[PREFIX, text.as_bytes()].concat()];
    check_structure(&disk, &texts);
    let disk = disk.restarted(true);
    check_structure(&disk, &texts);
    let last = Section::new(vec![200], SectionKind::All, None, true);
    let (found, read) = disk.fetch(&mut disk.user(), 1, &last);
    assert!(found.len() == 2000 && read < 5000, "{read} bytes read");
}

/// Their containers say of them what the map says.
#[test]
fn large_messages_that_are_appended_are_sound() {
    for config in configs() {
        let disk = Disk::open(SimFs::new(), &config);
        let (one, other) = (mail(), [b"X-Other: 1\r\n".as_slice(), &mail()].concat());
        disk.append(&[&one, &other, b"Subject: small\r\n\r\n"]);
        disk.deliver(&one);
        let account = disk.store.account("u1").unwrap();
        let world = World::of(disk.fs.clone(), disk.store.clone(), account);
        assert_eq!(findings(&world), []);
    }
}
