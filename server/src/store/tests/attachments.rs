//! What FETCH gives of messages whose parts stand apart, what of them is written and read, and what nobody learns.

use super::fetched::{self, gathered, literal};
use super::world::{at_once, config, open_with, random};
use crate::store::compact::Wanted;
use crate::store::config::{Attachments, StoreConfig};
use crate::store::delivery::Target;
use crate::store::imap::ImapUser;
use crate::store::store::Store;
use crate::store::{Account, Told};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dbox_format::attachment::Hash;
use imap_proto::fetch::{Fixed, Section, SectionKind};
use imap_proto::mime::{Kind, Limits, Parser, PartId};
use imap_proto::{
    Answer, Ask, Flags, MailboxName, StoreAction, StoredRows, SystemFlags, Uid, UidSet,
};
use proptest::prelude::*;
use runtime_smol::fs::Fs as _;
use runtime_smol::sim::{OpKind, SimFs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A store and its disk.
struct Disk {
    fs: SimFs,
    store: Arc<Store>,
}

impl Disk {
    fn new(config: StoreConfig) -> Self {
        let fs = SimFs::new();
        let store = open_with(&fs, 1, config).unwrap();
        Self { fs, store }
    }

    fn account(&self, user: &str) -> Arc<Account> {
        self.store.account(user).unwrap()
    }

    fn deliver(&self, users: &[&str], text: &[u8]) {
        let target = |user: &&str| {
            let (account, mailbox) = (self.account(user), "INBOX".into());
            Target { account, mailbox, prefix: format!("Delivered-To: {user}\r\n").into_bytes() }
        };
        let mut delivery = self.store.deliver(users.iter().map(target).collect()).unwrap();
        text.chunks(50_000).for_each(|piece| delivery.write(piece).unwrap());
        for result in delivery.commit().results {
            result.unwrap();
        }
    }

    fn tend(&self) {
        for account in self.store.loaded_accounts() {
            self.store.tend_attachments(&account, &|| true).unwrap();
        }
    }

    fn user(&self, user: &str) -> ImapUser {
        let mut user = ImapUser::new(self.store.clone(), self.account(user), Arc::default());
        at_once(user.ask(Ask::Select { mailbox: MailboxName::inbox(), examine: false }));
        user
    }

    /// The links below accounts.
    fn links(&self) -> Vec<PathBuf> {
        let is_link = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "att");
        self.fs.files().into_iter().filter(is_link).collect()
    }

    fn copies(&self) -> Vec<PathBuf> {
        let files = self.fs.files().into_iter();
        files.filter(|path| path.starts_with("/data/attachments")).collect()
    }
}

/// Large messages in files, and attachments from 3 KiB on.
fn apart() -> StoreConfig {
    StoreConfig {
        gather_max: 16 << 10,
        container_size: 1 << 20,
        segment_size: 1 << 20,
        attachment_least: 3 << 10,
        ..config()
    }
}

fn whole() -> StoreConfig {
    StoreConfig { attachments: Attachments::Whole, ..apart() }
}

/// Bytes that no compressor makes anything of.
pub(super) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    random(seed)(&mut bytes);
    bytes
}

/// Base64 in lines of so many characters.
pub(super) fn encoded(content: &[u8], line: usize, ending: &str) -> String {
    let base64 = STANDARD.encode(content);
    let lines = base64.as_bytes().chunks(line.max(1)).map(|line| str::from_utf8(line).unwrap());
    lines.collect::<Vec<_>>().join(ending)
}

/// A message with one attachment, as a mail program sends it.
fn message(content: &[u8]) -> Vec<u8> {
    format!(
        "Subject: see below\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nText.\r\n\
         --b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        encoded(content, 76, "\r\n")
    )
    .into_bytes()
}

/// What FETCH of these items of a message puts on the wire.
fn fetch(user: &mut ImapUser, uid: u32, fixed: Fixed, section: Option<Section>) -> Option<Vec<u8>> {
    let answer = fetched::fetch(user, uid, fixed, section.into_iter().collect());
    let Answer::Rows { pieces, .. } = answer else { return None };
    gathered(pieces).ok()
}

/// The literal of a section.
pub(super) fn section(
    user: &mut ImapUser,
    uid: u32,
    path: &[u32],
    kind: SectionKind,
    partial: Option<(u64, u64)>,
) -> Option<Vec<u8>> {
    let section = Section::new(path.to_vec(), kind, partial, true);
    let row = fetch(user, uid, Fixed::UID, Some(section))?;
    Some(literal(&row))
}

/// The paths of all leaf parts, as BODY[…] names them.
fn leaves(message: &[u8]) -> Vec<Vec<u32>> {
    let mut parser = Parser::new(Limits::default());
    parser.feed(message);
    let mime = parser.finish();
    let mut found = Vec::new();
    let mut todo = vec![(PartId::ROOT, Vec::new())];
    while let Some((id, path)) = todo.pop() {
        if mime.part(id).kind == Kind::Multipart {
            for (number, child) in (1..).zip(mime.children(id)) {
                todo.push((child, [&path[..], &[number]].concat()));
            }
        } else {
            found.push(if path.is_empty() { vec![1] } else { path });
        }
    }
    found
}

/// One part of a message of the property below.
#[derive(Clone, Debug)]
struct Part {
    content: Vec<u8>,
    line: usize,
    ending: &'static str,
    /// What stands between the header's empty line and the base64, and behind it.
    around: (&'static str, &'static str),
    /// Where a byte of the base64 is replaced, and by which.
    harm: Option<(prop::sample::Index, u8)>,
    /// Whether it is inside a multipart of its own.
    nested: bool,
}

fn part() -> impl Strategy<Value = Part> {
    let content = prop_oneof![
        4 => (any::<u64>(), 3000_usize..20_000).prop_map(|(seed, len)| noise(seed, len)),
        2 => (any::<u64>(), 0_usize..4000).prop_map(|(seed, len)| noise(seed, len)),
        1 => (any::<u64>(), 150_000_usize..300_000).prop_map(|(seed, len)| noise(seed, len)),
        // The same in several parts.
        1 => Just(vec![b'x'; 6000]),
    ];
    let line =
        prop_oneof![4 => Just(76_usize), 1 => Just(64), 1 => Just(1 << 30), 2 => 1_usize..200];
    let ending = prop::sample::select(vec!["\r\n", "\r\n", "\n"]);
    let before = prop::sample::select(vec!["", "", "\r\n", "\n\n"]);
    let behind = prop::sample::select(vec![
        "\r\n",
        "\r\n",
        "",
        "\n",
        "\r\n\r\n",
        "=\r\n",
        " \r\n",
        "\r\n-- \r\na list\r\n",
    ]);
    let harm = prop::option::weighted(0.15, any::<(prop::sample::Index, u8)>());
    (content, line, ending, before, behind, harm, any::<bool>()).prop_map(
        |(content, line, ending, before, behind, harm, nested)| Part {
            content,
            line,
            ending,
            around: (before, behind),
            harm,
            nested,
        },
    )
}

fn written(parts: &[Part], closed: bool) -> Vec<u8> {
    let mut out =
        b"Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nText.\r\n"
            .to_vec();
    for part in parts {
        let mut base64 = encoded(&part.content, part.line, part.ending).into_bytes();
        if let Some((at, byte)) = part.harm
            && !base64.is_empty()
        {
            let at = at.index(base64.len());
            base64[at] = byte;
        }
        let boundary: &[u8] = if part.nested { b"--inner\r\n" } else { b"--b\r\n" };
        if part.nested {
            out.extend_from_slice(
                b"--b\r\nContent-Type: multipart/related; boundary=inner\r\n\r\n",
            );
        }
        out.extend_from_slice(boundary);
        out.extend_from_slice(
            b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        );
        out.extend_from_slice(part.around.0.as_bytes());
        out.extend_from_slice(&base64);
        out.extend_from_slice(part.around.1.as_bytes());
    }
    if closed {
        out.extend_from_slice(b"--b--\r\n");
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever is cut out, every FETCH gives what it gives of the message stored whole; and that is what came.
    #[test]
    fn what_is_stored_apart_is_read_as_it_came(
        parts in prop::collection::vec(part(), 1..4),
        closed in any::<bool>(),
        cached in any::<bool>(),
        flushed in any::<bool>(),
        packed in any::<bool>(),
        ranges in prop::collection::vec((any::<prop::sample::Index>(), 1_u64..100_000), 1..4),
    ) {
        let text = written(&parts, closed);
        let cache_memory = if cached { 64 << 20 } else { 0 };
        let compression = packed.then_some(1);
        let stores = [apart(), whole()]
            .map(|config| Disk::new(StoreConfig { cache_memory, compression, ..config }));
        let mut users = stores.each_ref().map(|disk| {
            disk.deliver(&["u1"], &text);
            if flushed {
                disk.store.flush();
            }
            disk.user("u1")
        });
        let prefix = b"Delivered-To: u1\r\n";
        let read = section(&mut users[0], 1, &[], SectionKind::All, None).unwrap();
        // RFC 9051 §6.4.5: a NUL shows as 0x80.
        let shown: Vec<u8> = text.iter().map(|byte| if *byte == 0 { 0x80 } else { *byte }).collect();
        prop_assert!(read == [&prefix[..], &shown].concat());
        let mut both = |fixed: Fixed, section: Option<Section>| {
            let [left, right] = users.each_mut().map(|user| fetch(user, 1, fixed, section.clone()));
            prop_assert!(left == right, "{section:?}");
            Ok(())
        };
        both(Fixed::UID | Fixed::SIZE | Fixed::ENVELOPE | Fixed::BODYSTRUCTURE, None)?;
        let paths = leaves(&text);
        for path in &paths {
            for kind in [SectionKind::All, SectionKind::Mime, SectionKind::Binary, SectionKind::BinarySize] {
                both(Fixed::UID, Some(Section::new(path.clone(), kind, None, true)))?;
            }
        }
        for (at, len) in ranges {
            let from = at.index(text.len() + prefix.len()) as u64;
            both(Fixed::UID, Some(Section::new(vec![], SectionKind::All, Some((from, len)), true)))?;
            for path in &paths {
                for kind in [SectionKind::All, SectionKind::Binary] {
                    let section = Section::new(path.clone(), kind, Some((from / 2, len)), true);
                    both(Fixed::UID, Some(section))?;
                }
            }
        }
        // What nobody could cut stays, and what is cut is there once for each content.
        let mut large: Vec<Hash> = parts
            .iter()
            // Without a line end the next boundary is none.
            .take_while(|part| !part.around.1.is_empty())
            .filter(|part| part.content.len() >= 3 << 10 && part.harm.is_none())
            .filter(|part| part.around.1 == "\r\n")
            .map(|part| Hash::of(&part.content))
            .collect();
        large.sort_unstable();
        large.dedup();
        prop_assert!(stores[0].links().len() >= large.len());
        prop_assert!(stores[1].links().is_empty());
    }
}

#[test]
fn one_delivery_writes_a_content_once() {
    let disk = Disk::new(apart());
    let content = noise(1, 100_000);
    let text = message(&content);
    let users: Vec<String> = (1..=50).map(|number| format!("u{number}")).collect();
    let users: Vec<&str> = users.iter().map(String::as_str).collect();
    disk.deliver(&users, &text);
    disk.store.flush();
    let links = disk.links();
    assert_eq!(links.len(), 50);
    let file = disk.fs.metadata(&links[0]).unwrap().unwrap();
    assert_eq!((file.len, file.links), (100_000, 50));
    assert!(disk.copies().is_empty(), "nothing below attachments/ before somebody tends them");
    for user in users {
        let read = section(&mut disk.user(user), 1, &[], SectionKind::Text, None).unwrap();
        assert!(text.ends_with(&read) && read.len() > 100_000);
    }
    assert!(disk.fs.files().iter().all(|path| !path.starts_with("/data/spool")));
}

/// Copies are messages of their own, and rest on the same link.
#[test]
fn the_same_attachment_again_is_shared() {
    let disk = Disk::new(apart());
    let content = noise(2, 5000);
    let inode = |path: &Path| disk.fs.metadata(path).unwrap().unwrap();
    for user in ["u1", "u2", "u1", "u3"] {
        disk.deliver(&[user], &message(&content));
    }
    let links = disk.links();
    assert_eq!(links.len(), 3);
    assert!(links.iter().all(|path| inode(path).links == 1));
    disk.tend();
    let copies = disk.copies();
    assert_eq!(copies.len(), 1);
    assert_eq!(inode(&copies[0]).links, 4);
    assert!(links.iter().all(|path| inode(path) == inode(&copies[0])));
    // Another one, later; and nothing is done twice.
    disk.deliver(&["u4", "u2"], &message(&content));
    disk.tend();
    let ops = disk.fs.ops();
    disk.tend();
    assert!(disk.fs.trace()[ops as usize..].iter().all(|op| !op.kind.changes_disk()));
    assert_eq!(inode(&copies[0]).links, 5);
    for (user, count) in [("u1", 2), ("u2", 2), ("u3", 1), ("u4", 1)] {
        let mut reader = disk.user(user);
        for uid in 1..=count {
            let read = section(&mut reader, uid, &[2], SectionKind::Binary, None);
            assert_eq!(read.as_ref(), Some(&content), "{user}");
        }
    }
}

#[test]
fn copies_are_begun_when_a_file_takes_no_more_links() {
    let disk = Disk::new(apart());
    disk.fs.set_most_links(3);
    let content = noise(3, 5000);
    for number in 1..=8 {
        disk.deliver(&[&format!("u{number}")], &message(&content));
    }
    disk.tend();
    let copies = disk.copies();
    let ends: Vec<_> = copies.iter().map(|path| path.extension()).collect();
    assert_eq!(ends, [None, Some("1".as_ref()), Some("2".as_ref()), Some("3".as_ref())]);
    let links = |path: &PathBuf| disk.fs.metadata(path).unwrap().unwrap().links;
    assert_eq!(copies.iter().map(links).collect::<Vec<_>>(), [3, 3, 3, 3]);
    let mut reader = disk.user("u8");
    assert_eq!(section(&mut reader, 1, &[2], SectionKind::Binary, None), Some(content));
}

#[test]
fn accounts_share_nothing_where_they_are_not_to() {
    let disk = Disk::new(StoreConfig { attachments: Attachments::Apart, ..apart() });
    for user in ["u1", "u2"] {
        disk.deliver(&[user], &message(&noise(4, 5000)));
    }
    disk.tend();
    assert!(disk.copies().is_empty());
    assert_eq!(disk.links().len(), 2);
}

/// A damaged copy never takes the place of a good one.
#[test]
fn row_72_contents_that_differ_are_not_shared() {
    let disk = Disk::new(apart());
    let content = noise(5, 5000);
    disk.deliver(&["u1"], &message(&content));
    disk.tend();
    disk.fs.corrupt(&disk.copies()[0], |bytes| bytes[100] ^= 1).unwrap();
    disk.deliver(&["u2"], &message(&content));
    disk.deliver(&["u3"], &message(&content));
    disk.tend();
    for (user, good) in [("u1", false), ("u2", true), ("u3", true)] {
        let read = section(&mut disk.user(user), 1, &[2], SectionKind::Binary, None);
        assert_eq!(read.as_ref() == Some(&content), good, "{user}");
    }
    assert_eq!(disk.copies().len(), 2, "the good ones have a copy of their own");
}

/// What was freed goes with the checkpoint and the grace, its copy a grace later; and what is needed again stays.
#[test]
fn a_content_goes_when_nobody_has_needed_it_for_the_grace() {
    let (fs, now) = (SimFs::new(), Arc::new(AtomicI64::new(1_800_000_000)));
    let wall = now.clone();
    let config = StoreConfig { attachment_grace_ms: 60_000, ..apart() };
    let store = Store::open(
        Arc::new(fs.clone()),
        Path::new("/data"),
        config,
        random(1),
        Box::new(move || wall.load(Ordering::Relaxed)),
    );
    let disk = Disk { fs, store: store.unwrap() };
    let content = noise(6, 5000);
    disk.deliver(&["u1"], &message(&content));
    disk.deliver(&["u1"], &message(&content));
    disk.tend();
    let mut user = disk.user("u1");
    let mut expunge = |uid| {
        at_once(user.ask(delete(uid)));
        at_once(user.ask(Ask::Expunge { uids: None }));
        // No view has them any more.
        user = disk.user("u1");
        disk.store.purge("u1", false).unwrap();
    };
    let there = || (disk.links().len(), disk.copies().len());
    let later = |seconds| {
        now.fetch_add(seconds, Ordering::Relaxed);
        disk.tend();
        for first in 0..=255 {
            disk.store.sweep_copies(first).unwrap();
        }
    };
    expunge(1);
    disk.store.checkpoint(u64::MAX).unwrap();
    later(1000);
    assert_eq!(there(), (1, 1), "the other message needs it");
    expunge(2);
    later(1000);
    assert_eq!(there(), (1, 1), "no checkpoint covers that");
    disk.store.checkpoint(u64::MAX).unwrap();
    later(0);
    assert_eq!(there(), (0, 1));
    later(59);
    assert_eq!(there(), (0, 1));
    later(1);
    assert_eq!(there(), (0, 0));
    disk.deliver(&["u1"], &message(&content));
    disk.store.checkpoint(u64::MAX).unwrap();
    let mut again = disk.user("u1");
    assert_eq!(section(&mut again, 3, &[2], SectionKind::Binary, None), Some(content));
}

/// The room of attachments counts when it is decided whether expunged mail is worth being let go of.
#[test]
fn expunged_attachments_are_worth_compacting() {
    let disk = Disk::new(apart());
    disk.deliver(&["u1"], &message(&noise(15, 600_000)));
    disk.deliver(&["u1"], &message(&noise(16, 600_000)));
    disk.store.checkpoint(u64::MAX).unwrap();
    let mut user = disk.user("u1");
    let mut left = Vec::new();
    for uid in [1, 2] {
        at_once(user.ask(delete(uid)));
        at_once(user.ask(Ask::Expunge { uids: None }));
        user = disk.user("u1");
        disk.store.flush();
        let account = disk.account("u1");
        while disk.store.compact_step(&account, Wanted::Cheap, &mut |_| true).unwrap().is_some() {
            disk.store.flush();
        }
        disk.store.checkpoint(u64::MAX).unwrap();
        disk.tend();
        left.push(disk.links().len());
    }
    assert_eq!(left, [2, 0], "below a mebibyte nothing is done");
}

/// Who found a message before it was freed reads it to its end.
#[test]
fn a_content_that_is_being_read_stays() {
    let disk = Disk::new(apart());
    let text = message(&noise(7, 400_000));
    disk.deliver(&["u1"], &text);
    disk.store.flush();
    let mut user = disk.user("u1");
    let whole = Section::new(Vec::new(), SectionKind::Text, None, true);
    let answer = fetched::fetch(&mut user, 1, Fixed::UID, vec![whole]);
    let Answer::Rows { pieces, .. } = answer else { panic!("{answer:?}") };
    let free = || {
        disk.store.purge("u1", false).unwrap();
        disk.store.checkpoint(u64::MAX).unwrap();
        disk.tend();
    };
    at_once(user.ask(delete(1)));
    at_once(user.ask(Ask::Expunge { uids: None }));
    drop(user);
    free();
    let read = literal(&gathered(pieces.clone()).unwrap());
    assert!(text.ends_with(&read) && read.len() > 500_000);
    drop(pieces);
    free();
    assert!(disk.links().is_empty());
}

/// Marks a message as deleted.
fn delete(uid: u32) -> Ask {
    Ask::Store {
        uids: UidSet::range(Uid(uid), Uid(uid)),
        action: StoreAction::Add,
        flags: Flags { system: SystemFlags::DELETED, keywords: Vec::new() },
        unchanged_since: None,
        rows: StoredRows::None,
    }
}

/// A part of a large message, or a range of it, is read without the rest; its structure without any attachment.
#[test]
fn a_part_is_read_without_the_rest() {
    let disk = Disk::new(StoreConfig { cache_memory: 0, ..apart() });
    let contents = [noise(8, 1 << 20), noise(9, 100_000), noise(10, 2 << 20)];
    let mut text = "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned();
    for content in &contents {
        text.push_str("--b\r\nContent-Transfer-Encoding: base64\r\n\r\n");
        text.push_str(&encoded(content, 76, "\r\n"));
        text.push_str("\r\n");
    }
    text.push_str("--b--\r\n");
    disk.deliver(&["u1"], text.as_bytes());
    disk.store.checkpoint(u64::MAX).unwrap();
    let mut user = disk.user("u1");
    let mut cost = |section: Section| {
        let before = disk.fs.bytes_read(|_| true);
        let row = fetch(&mut user, 1, Fixed::UID, Some(section)).unwrap();
        (row, disk.fs.bytes_read(|_| true) - before)
    };
    // About 0.75 of base64 is content; the skeleton's head and what surrounds the parts comes on top.
    let (row, read) = cost(Section::new(vec![2], SectionKind::All, None, true));
    assert!(row.len() > 136_000 && read < 110_000, "{read}");
    let (row, read) = cost(Section::new(vec![2], SectionKind::Binary, Some((1000, 1000)), true));
    assert!(row.windows(1000).any(|bytes| bytes == &contents[1][1000..2000]));
    assert!(read < 110_000, "{read}");
    let (_, read) = cost(Section::new(vec![], SectionKind::All, Some((500_000, 1000)), true));
    assert!(read < 5000, "{read}");
    let (row, read) =
        cost(Section::new(vec![3], SectionKind::All, Some((1_000_000, 30_000)), true));
    assert!(row.len() > 30_000 && read < 40_000, "{read}");
    let before = disk.fs.bytes_read(|_| true);
    let structure = fetch(&mut user, 1, Fixed::ENVELOPE | Fixed::BODYSTRUCTURE, None).unwrap();
    let read = disk.fs.bytes_read(|_| true) - before;
    assert!(structure.len() > 200 && read < 10_000, "{read}");
}

/// What a check says, and what was done to the file.
type Harm = (&'static str, fn(&SimFs, &Path));

/// What is missing or damaged costs the messages that have it, nothing else; `check` names them, and what the next delivery
/// brings makes them whole.
#[test]
fn row_72_a_damaged_content_is_damage_of_its_messages() {
    let harms: [Harm; 4] = [
        ("missing", |fs, path| fs.unlink(path).unwrap()),
        ("has", |fs, path| fs.corrupt(path, |bytes| bytes.truncate(4000)).unwrap()),
        ("has", |fs, path| fs.corrupt(path, |bytes| bytes.push(0)).unwrap()),
        ("not the one", |fs, path| fs.corrupt(path, |bytes| bytes[9] ^= 4).unwrap()),
    ];
    for (why, harm) in harms {
        let disk = Disk::new(StoreConfig { open_files: 8, ..apart() });
        let contents = [noise(11, 5000), noise(12, 6000)];
        for content in &contents {
            disk.deliver(&["u1"], &message(content));
        }
        disk.store.checkpoint(u64::MAX).unwrap();
        let path = disk.account("u1").home().attachment_path(&Hash::of(&contents[0]));
        disk.store.files.forget_below(&path);
        harm(&disk.fs, &path);
        let mut user = disk.user("u1");
        let read = |user: &mut ImapUser, uid| section(user, uid, &[], SectionKind::All, None);
        assert_eq!(read(&mut user, 1), None, "{why}");
        assert!(read(&mut user, 2).is_some());
        let mut found = Vec::new();
        let mut tell = |told| {
            if let Told::Finding(finding) = told {
                found.push(finding);
            }
        };
        disk.store.check("u1", None, &mut tell).unwrap();
        let [finding] = &found[..] else { panic!("{found:?}") };
        assert!(Path::new("/data").join(&finding.file) == path, "{finding:?}");
        assert!(finding.what.starts_with("UID 1 ") && finding.what.contains(why), "{finding:?}");
        assert_eq!(finding.mailbox.as_deref(), Some("INBOX"));
        // The same content again.
        disk.deliver(&["u1"], &message(&contents[0]));
        assert!(read(&mut user, 1).is_some() && read(&mut user, 3).is_some(), "{why}");
    }
}

/// What is done before a message is answered is the same whether another account has its attachment or not.
#[test]
fn row_72_nobody_learns_what_others_have() {
    let before_the_answer = |known: bool| {
        let disk = Disk::new(apart());
        let content = noise(13, 50_000);
        disk.deliver(&["u2"], b"Subject: the account is there\r\n\r\n");
        disk.deliver(&["u1"], &message(if known { &content } else { b"another" }));
        disk.store.flush();
        disk.tend();
        let start = disk.fs.ops() as usize;
        disk.deliver(&["u2"], &message(&content));
        disk.store.flush();
        let trace = disk.fs.trace().split_off(start);
        // Names of the spool directory are random.
        let shown = |path: &Path| match path.starts_with("/data/spool") {
            true => PathBuf::from("/data/spool"),
            false => path.to_owned(),
        };
        trace.iter().map(|op| (op.kind, shown(&op.path))).collect::<Vec<(OpKind, PathBuf)>>()
    };
    let (known, unknown) = (before_the_answer(true), before_the_answer(false));
    assert!(known.iter().any(|(kind, _)| *kind == OpKind::Link));
    assert_eq!(known, unknown);
    assert!(known.iter().all(|(_, path)| !path.starts_with("/data/attachments")));
}

/// A delivery that fails leaves nothing that stays.
#[test]
fn what_a_failed_delivery_leaves_goes() {
    let disk = Disk::new(apart());
    let target =
        Target { account: disk.account("u1"), mailbox: "no such".into(), prefix: Vec::new() };
    let mut delivery = disk.store.deliver(vec![target]).unwrap();
    delivery.write(&message(&noise(14, 5000))).unwrap();
    assert!(delivery.commit().results[0].is_err());
    assert_eq!(disk.links().len(), 1);
    disk.store.flush();
    disk.store.checkpoint(u64::MAX).unwrap();
    disk.tend();
    assert!(disk.links().is_empty());
    assert!(disk.fs.files().iter().all(|path| !path.starts_with("/data/spool")));
}
