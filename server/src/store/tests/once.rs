//! A large message is written to the disk once, however it comes and whatever is cut out of it.

use super::attachments::{encoded, noise, section};
use super::counted::Counted;
use super::world::{at_once, random};
use crate::store::commit::Outcome;
use crate::store::config::{Attachments, StoreConfig};
use crate::store::delivery::Target;
use crate::store::imap::ImapUser;
use crate::store::store::Store;
use imap_proto::fetch::SectionKind;
use imap_proto::{Answer, Ask, Flags, Keyword, MailboxName, SystemFlags};
use runtime_smol::fs::Fs as _;
use runtime_smol::sim::{Failure, Fault, SimFs, When};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Disk {
    disk: Counted<SimFs>,
    store: Arc<Store>,
}

impl Disk {
    /// One whose accounts are there already.
    fn new(config: StoreConfig) -> Self {
        let disk = Counted::new(SimFs::new());
        let config = StoreConfig { reserve: 0, ..config };
        let store = Store::open(
            Arc::new(disk.clone()),
            Path::new("/data"),
            config,
            random(1),
            Box::new(|| 1_800_000_000),
        );
        let disk = Self { disk, store: store.unwrap() };
        for account in ["u1", "u22", "u333"] {
            disk.store.account(account).unwrap();
        }
        disk.store.flush();
        disk.disk.forget();
        disk
    }

    fn user(&self, user: &str) -> ImapUser {
        let account = self.store.account(user).unwrap();
        let mut user = ImapUser::new(self.store.clone(), account, Arc::default());
        at_once(user.ask(Ask::Select { mailbox: MailboxName::inbox(), examine: false }));
        user
    }

    /// Delivers a message, and gives each one's header lines.
    fn deliver(&self, users: &[&'static str], text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let prefix = |user: &str| format!("Delivered-To: {user}\r\n").into_bytes();
        let target = |user: &&str| Target {
            account: self.store.account(user).unwrap(),
            mailbox: "INBOX".into(),
            prefix: prefix(user),
        };
        let mut delivery = self.store.deliver(users.iter().map(target).collect()).unwrap();
        text.chunks(8000).for_each(|piece| delivery.write(piece).unwrap());
        assert!(delivery.is_large());
        for result in delivery.commit().results {
            result.unwrap();
        }
        users.iter().map(|user| (*user, prefix(user))).collect()
    }

    fn append(&self, user: &'static str, text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let mut imap = self.user(user);
        let flags =
            Flags { system: SystemFlags::SEEN, keywords: vec![Keyword::new("$Label1").unwrap()] };
        let (mailbox, size) = (MailboxName::inbox(), text.len() as u64);
        let open = Ask::AppendOpen { mailbox, flags, date: None, size, binary: true, first: true };
        at_once(imap.ask(open));
        text.chunks(8000).for_each(|piece| imap.body(piece));
        let answer = at_once(imap.ask(Ask::AppendCommit));
        assert!(matches!(answer, Answer::Appended { .. }), "{answer:?}");
        vec![(user, Vec::new())]
    }

    /// Bytes of all files of messages: each file counts once, whatever it is called.
    fn stored(&self) -> u64 {
        let files = DIRS.iter().flat_map(|dir| self.files(dir));
        let files = files.map(|path| self.disk.inner.metadata(&path).unwrap().unwrap());
        files.map(|meta| (meta.inode, meta.len)).collect::<BTreeMap<_, _>>().values().sum()
    }

    /// Bytes written to files of messages, by whatever name, and bytes read from them.
    fn moved(&self) -> (u64, u64) {
        let sum = |of: &dyn Fn(&str) -> u64| DIRS.iter().map(|dir| of(dir)).sum();
        (sum(&|dir| self.disk.written(dir)), sum(&|dir| self.disk.read(dir)))
    }

    /// Files whose path has `part` in it.
    fn files(&self, part: &str) -> Vec<PathBuf> {
        let files = self.disk.inner.files().into_iter();
        files.filter(|path| path.to_str().unwrap().contains(part)).collect()
    }
}

/// Where files of messages are.
const DIRS: [&str; 3] = ["/spool/", "/storage/", "/att/"];

/// Hexadecimal digits in lines: half of it can be compressed away.
fn text(seed: u64, len: usize) -> String {
    let digits: String = noise(seed, len / 2).iter().map(|byte| format!("{byte:02x}")).collect();
    let lines = digits.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap());
    lines.collect::<Vec<_>>().join("\r\n")
}

/// A message of a large text and these bodies that say they are base64.
fn message(bodies: &[String]) -> Vec<u8> {
    let mut out =
        "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n".to_owned();
    out.push_str(&text(1, 700_000));
    for body in bodies {
        out.push_str("\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        out.push_str(body);
    }
    out.push_str("\r\n--b\r\n\r\n");
    out.push_str(&text(2, 100_000));
    out.push_str("\r\n--b--\r\n");
    out.into_bytes()
}

/// Messages, and how many bytes of contents are cut out of them.
fn messages() -> Vec<(&'static str, Vec<u8>, u64)> {
    let attachment = |seed, len| encoded(&noise(seed, len), 76, "\r\n");
    let mut broken = attachment(3, 600_000);
    broken.replace_range(500_001..500_002, "*");
    vec![
        ("nothing to cut out", message(&[]), 0),
        ("an attachment", message(&[attachment(3, 600_000)]), 600_000),
        ("one of two", message(&[attachment(4, 60_000), attachment(5, 70_000)]), 70_000),
        ("the same twice", message(&[attachment(3, 200_000), attachment(3, 200_000)]), 200_000),
        ("little but an attachment", message(&[attachment(3, 2_000_000)]), 2_000_000),
        // Blocks of 24 KiB that were good: there are 487,181 characters before.
        ("one that ends badly", message(&[broken]), 14 * 24 * 1024),
    ]
}

#[test]
fn a_large_message_is_written_once() {
    for (what, text, apart) in messages() {
        for compression in [None, Some(1)] {
            for way in ["one", "many", "append"] {
                for attachments in [Attachments::Whole, Attachments::Shared] {
                    let case = format!("{what}, {compression:?}, {way}, {attachments:?}");
                    let config = StoreConfig { compression, attachments, ..StoreConfig::default() };
                    let disk = Disk::new(config);
                    let all = match way {
                        "one" => disk.deliver(&["u1"], &text),
                        "many" => disk.deliver(&["u1", "u22", "u333"], &text),
                        _ => disk.append("u1", &text),
                    };
                    assert!(disk.files("/spool/").is_empty());
                    let ((written, read), stored) = (disk.moved(), disk.stored());
                    // That a content is there already is known behind it.
                    let again = what == "the same twice" && attachments != Attachments::Whole;
                    let again = if again { apart } else { 0 };
                    assert_eq!(written, stored + again, "{case}");
                    assert!(stored > text.len() as u64 / 3, "{case}: {stored}");
                    // Read are only copies: of one, nothing.
                    let copied = (all.len() as u64 - 1) * text.len() as u64;
                    assert!(read <= copied + 100, "{case}: {read}");
                    let apart = if attachments == Attachments::Whole { 0 } else { apart };
                    let cut = disk.files("/att/").into_iter().map(|path| {
                        let meta = disk.disk.inner.metadata(&path).unwrap().unwrap();
                        meta.len
                    });
                    assert_eq!(cut.sum::<u64>(), apart * all.len() as u64, "{case}");
                    disk.store.checkpoint(u64::MAX).unwrap();
                    for (user, prefix) in all {
                        let found = section(&mut disk.user(user), 1, &[], SectionKind::All, None);
                        assert!(found == Some([&prefix[..], &text].concat()), "{case}");
                    }
                }
            }
        }
    }
}

/// Where only huge attachments stand apart, others are put back: from their files, and large ones when all is there.
#[test]
fn what_is_not_large_enough_is_put_back() {
    let small = encoded(&noise(3, 600_000), 64, "\n");
    let large = encoded(&noise(4, 2_000_000), 76, "\r\n");
    let bodies = [small.clone(), large, small, encoded(&noise(5, 60_000), 0, "")];
    for compression in [None, Some(1)] {
        let config =
            StoreConfig { attachment_least: 4 << 20, compression, ..StoreConfig::default() };
        for late in [false, true] {
            let text = message(if late { &bodies } else { &bodies[..1] });
            let disk = Disk::new(config.clone());
            disk.deliver(&["u1"], &text);
            // Contents that had files; and of the message with a large one what came behind that.
            let twice = if late {
                let whole = str::from_utf8(&text).unwrap();
                let end = whole.find(&bodies[1]).unwrap() + bodies[1].len();
                2_000_000 + 2 * 600_000 + whole.len() - end
            } else {
                600_000
            };
            let (written, _) = disk.moved();
            assert_eq!(written, disk.stored() + twice as u64);
            assert!(disk.files("/spool/").is_empty() && disk.files("/att/").is_empty());
            let found = section(&mut disk.user("u1"), 1, &[], SectionKind::All, None).unwrap();
            assert!(found.ends_with(&text));
        }
    }
}

/// What stands apart takes more room in the record's head than was left for it: what is left of the message is copied.
#[test]
fn many_attachments_and_a_long_text() {
    let attachments: Vec<String> =
        (0..40).map(|seed| encoded(&noise(seed, 70_000), 76, "\r\n")).collect();
    let text = message(&attachments);
    let disk = Disk::new(StoreConfig::default());
    disk.deliver(&["u1"], &text);
    assert_eq!(disk.files("/att/").len(), 40);
    let containers: u64 = disk
        .files("/storage/")
        .iter()
        .map(|path| disk.disk.inner.metadata(path).unwrap().unwrap().len)
        .sum();
    let (written, _) = disk.moved();
    let twice = disk.stored() + containers;
    assert!(written < twice && written + 4096 > twice, "{written} and {twice}");
    assert!(disk.files("/spool/").is_empty());
    let found = section(&mut disk.user("u1"), 1, &[], SectionKind::All, None).unwrap();
    assert!(found.ends_with(&text));
}

/// A small disk's worth of settings: what is written has some steps.
fn small() -> StoreConfig {
    StoreConfig { gather_max: 8 << 10, attachment_least: 3 << 10, ..StoreConfig::default() }
}

#[test]
fn a_delivery_given_up_leaves_nothing() {
    let text = message(&[encoded(&noise(3, 100_000), 76, "\r\n")]);
    for len in [100_000, 690_000, 760_000, text.len()] {
        let disk = Disk::new(small());
        let before = disk.disk.inner.files();
        let account = disk.store.account("u1").unwrap();
        let target = Target { account, mailbox: "INBOX".into(), prefix: Vec::new() };
        let mut delivery = disk.store.deliver(vec![target]).unwrap();
        text[..len].chunks(5000).for_each(|piece| delivery.write(piece).unwrap());
        assert!(!disk.files("/spool/").is_empty());
        drop(delivery);
        disk.store.flush();
        assert_eq!(disk.disk.inner.files(), before);
    }
}

/// Wherever the disk is full, those who are refused the message have nothing of it, and the others have it.
#[test]
fn a_full_disk_leaves_nothing_of_a_large_message() {
    let text = message(&[encoded(&noise(3, 100_000), 76, "\r\n")]);
    let mut refused = 0;
    for at in 0.. {
        let disk = Disk::new(small());
        let fs = &disk.disk.inner;
        let (when, what) = (When::Op(fs.ops() + at), Failure::NoSpace);
        fs.inject(Fault { when, what, lasting: false });
        let target = |user: &str| {
            let (account, mailbox) = (disk.store.account(user).unwrap(), "INBOX".into());
            Target { account, mailbox, prefix: format!("X-To: {user}\r\n").into_bytes() }
        };
        let begun = disk.store.deliver(vec![target("u1"), target("u22")]);
        let results = begun.and_then(|mut delivery| {
            text.chunks(50_000).try_for_each(|piece| delivery.write(piece))?;
            Ok(delivery.commit())
        });
        disk.store.flush();
        if fs.struck() == 0 {
            break;
        }
        fs.clear_faults();
        let saved = |number: usize| match &results {
            Ok(delivered) => {
                let told = delivered.results[number].is_ok();
                told && disk.store.outcome(delivered.position) == Outcome::Durable
            }
            Err(_) => false,
        };
        assert!(disk.files("/spool/").is_empty(), "operation {at}");
        for (number, user) in ["u1", "u22"].into_iter().enumerate() {
            let dir = disk.store.account(user).unwrap().home().dir.join("storage");
            let containers = disk.files(dir.to_str().unwrap()).len();
            assert_eq!(
                containers,
                usize::from(saved(number)),
                "{user}, operation {at}: {results:?}"
            );
            let found = section(&mut disk.user(user), 1, &[], SectionKind::All, None);
            assert_eq!(found.is_some_and(|found| found.ends_with(&text)), saved(number));
            refused += u32::from(!saved(number));
        }
    }
    assert!(refused > 20, "{refused}");
}

/// Text in which hard work finds no more than little work is compressed with little.
#[test]
fn how_hard_is_tried_goes_by_the_beginning() {
    let disk = Disk::new(StoreConfig { compression: Some(9), ..StoreConfig::default() });
    let word = |byte: &u8| ["mail ", "server ", "container ", "of "][usize::from(byte % 4)];
    let words: String = noise(5, 20_000).iter().map(word).collect();
    let packing = &disk.store.packing;
    let (noise, words) = (text(3, 64 << 10), &words.as_bytes()[..64 << 10]);
    assert_eq!(packing.stream_level(noise.as_bytes()), Some(1));
    assert_eq!(packing.stream_level(words), Some(9));
    for (compression, level) in [(None, None), (Some(1), Some(1))] {
        let disk = Disk::new(StoreConfig { compression, ..StoreConfig::default() });
        assert_eq!(disk.store.packing.stream_level(words), level);
    }
}
