//! Files written by the first version. Later versions must read them; this version must write them, byte for byte.
//!
//! `LOFT_WRITE_FIXTURES=1 cargo test -p loft-index-format golden` writes those that are missing.

use std::path::PathBuf;

use index_format::cache::asked::Pattern;
use index_format::cache::sent::Sent;
use index_format::journal::{self, Part, Target};
use index_format::list::{self, List};
use index_format::log::{EndKind, Frames, Header, write_frame, write_seal};
use index_format::mailbox::{Mailbox, NewMessage, Parts};
use index_format::record::{Append, Names, Origin, Prefix, Record, Tombstone, Transaction};
use index_format::snapshot::{self, Head, Overlay, Section, Snapshot};
use index_format::{
    Error, Flags, Guid, ItemId, Keywords, MapId, ModSeq, Uid, UidSet, cache, threads,
};

const OWNER: Guid = Guid(*b"golden mailbox 1");
const SEED: u64 = 0x5eed;

/// The stored bytes of a file, which must be what this program writes.
fn golden(name: &str, written: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    if std::env::var_os("LOFT_WRITE_FIXTURES").is_some() && !path.exists() {
        std::fs::write(&path, written).unwrap();
    }
    let stored = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(stored == written, "{name} is not what this program writes");
    stored
}

fn set(uids: &[u32]) -> UidSet {
    uids.iter().copied().map(Uid).collect()
}

/// One of each record there is.
fn transactions() -> Vec<Transaction> {
    let append = Append {
        map_id: MapId(300),
        internal_date: 1_750_000_000,
        size: 2345,
        ..Append::default()
    };
    let define = |number, name: &str| Record::KeywordDefine { number, name: name.into() };
    let rich = Append {
        flags: Flags::SEEN.with(Flags::DRAFT),
        keywords: Keywords(0b10),
        save_date: Some(1_750_000_777),
        anchor: None,
        uid: Some(Uid(40)),
        guid: Some(OWNER),
        item: Some(ItemId { server: 3, sequence: 99 }),
        ..append
    };
    let replicated = Prefix {
        modseq: Some(ModSeq::new(1 << 21, 3)),
        epoch: Some(2),
        origin: Some(Origin { server: 3, sequence: 1234, clock: 0x0123_4567_89ab_cdef }),
    };
    let tombstone = Tombstone {
        uid: Uid(30),
        map_id: MapId(12),
        modseq: ModSeq::new(1, 0),
        guid: Some(OWNER),
        kept: None,
    };
    let anchored = |anchor, size| Record::Append(Append { anchor: Some(anchor), size, ..append });
    vec![
        Transaction::new(vec![
            anchored(1, 10),
            anchored(2, 20),
            anchored(3, 30),
            anchored(4, 1 << 40),
        ]),
        Transaction::new(vec![Record::FlagsAdd { uids: set(&[1, 2, 4]), flags: Flags::SEEN }]),
        Transaction::new(vec![
            define(0, "$Forwarded"),
            define(1, "Work"),
            Record::KeywordAdd { uids: set(&[2]), number: 1 },
            Record::KeywordRemove { uids: set(&[3]), number: 0 },
        ]),
        Transaction { prefix: replicated, records: vec![Record::Append(rich)] },
        Transaction::new(vec![
            Record::FlagsRemove { uids: set(&[1]), flags: Flags(3) },
            Record::FlagsReplace { uids: set(&[3]), flags: Flags::FLAGGED, keywords: Keywords(3) },
            Record::SaveDate { uids: set(&[1]), date: -5 },
        ]),
        Transaction::new(vec![Record::Expunge(set(&[2]))]),
        Transaction::new(vec![
            Record::UidValidity(1_750_000_001),
            Record::UidNext(Uid(50)),
            Record::Metadata {
                key: (*b"/private/comment").into(),
                value: Some((*b"hello").into()),
            },
            Record::Metadata { key: (*b"/private/gone").into(), value: None },
            Record::PrivateFlags {
                user: (*b"anna").into(),
                uids: UidSet::range(Uid(1)..=Uid(40)),
                add: Flags::SEEN,
                remove: Flags::NONE,
            },
            Record::Void(UidSet::range(Uid(60)..=Uid(70))),
            Record::Tombstone(tombstone),
        ]),
    ]
}

/// The log of these transactions, sealed, and the state it adds up to.
fn log() -> (Vec<u8>, Mailbox) {
    let mut mailbox = Mailbox::new(1_700_000_000, 1);
    let header = mailbox.header(OWNER, 1, None, SEED);
    let mut file = Vec::new();
    header.write(&mut file);
    for transaction in transactions() {
        let mut payload = Vec::new();
        transaction.encode(&mut Names::default(), &mut payload).unwrap();
        write_frame(SEED, &payload, &mut file).unwrap();
        mailbox.apply(&transaction).unwrap();
    }
    write_seal(SEED, &mut file);
    (file, mailbox)
}

#[test]
fn golden_mailbox_log_and_snapshot() {
    let (file, state) = log();
    let stored = golden("mailbox.log", &file);
    let header = Header::parse(&stored).unwrap();
    let mut replayed = Mailbox::new(0, 0);
    replayed.begin_file(&header).unwrap();
    let mut read = Vec::new();
    let mut frames = Frames::new(&stored, Header::LEN as u64, header.seed);
    let end =
        replayed.replay(&mut frames, |transaction, _| read.push(transaction.clone())).unwrap();
    assert_eq!((end.kind, end.at), (EndKind::Sealed, stored.len() as u64));
    assert_eq!(read, transactions());
    assert_eq!(replayed, state);
    let stored = golden("mailbox.index", &snapshot::write(&state, OWNER, 1, end.at));
    let snapshot = Snapshot::parse(&stored).unwrap();
    snapshot.verify().unwrap();
    assert_eq!(snapshot.to_mailbox().unwrap(), state);
}

#[test]
fn golden_overlay() {
    let mut mailbox = Mailbox::new(1_700_000_000, 1);
    let mut base = Vec::new();
    for (number, mut transaction) in transactions().into_iter().enumerate() {
        if number == 2 {
            base = snapshot::write(&mailbox, OWNER, 1, 200);
            mailbox.rebase(&base).unwrap();
        }
        // Which only a whole snapshot can say.
        transaction.records.retain(|record| !matches!(record, Record::Tombstone(_)));
        mailbox.apply(&transaction).unwrap();
    }
    let written = snapshot::write_overlay(&mailbox, OWNER, 1, 900).unwrap();
    let stored = golden("mailbox.delta", &written);
    let section = |section: &Section| {
        Ok::<_, Error>(base[section.at as usize..(section.at + section.len) as usize].to_vec())
    };
    let mut read = Head::parse(&base, base.len() as u64).unwrap().open(section).unwrap();
    read.lay_over(Overlay::parse(&stored).unwrap()).unwrap();
    read.load(Parts::ALL, section).unwrap();
    assert_eq!(read, mailbox);
}

#[test]
fn golden_list_log_and_snapshot() {
    let guid = |n: u8| Guid([n; 16]);
    let create = |n: u8, name: &str, special_use| list::Record::Create {
        guid: guid(n),
        name: name.into(),
        uidvalidity: 1_750_000_000 + u32::from(n),
        special_use,
        time: 1_750_000_000,
    };
    let counters = list::Counters {
        sums: index_format::mailbox::Counters { messages: 7, unseen: 3, deleted: 1, size: 123_456 },
        uidnext: Uid(12),
        modseq: ModSeq::new(30, 0),
    };
    let text = |text: &str| text.as_bytes().into();
    let transactions = [
        list::Transaction::new(vec![
            create(1, "INBOX", list::SpecialUse::NONE),
            create(2, "Entwürfe", list::SpecialUse::DRAFTS),
            create(3, "a/b", list::SpecialUse::NONE),
            create(4, "a/b", list::SpecialUse::NONE),
        ]),
        list::Transaction::new(vec![list::Record::Rename {
            from: "a".into(),
            to: "c/d".into(),
            time: 1_750_000_100,
        }]),
        list::Transaction::new(vec![
            list::Record::Subscribe("INBOX".into()),
            list::Record::Subscribe("gone".into()),
            list::Record::Unsubscribe("gone".into()),
            list::Record::SpecialUse { guid: guid(3), special_use: list::SpecialUse::ARCHIVE },
            list::Record::Recent { guid: guid(1), uid: Uid(9) },
            list::Record::Counters { guid: guid(1), counters },
            list::Record::UidValidity(1_760_000_000),
            list::Record::Acl {
                guid: guid(1),
                identifier: text("anyone"),
                rights: Some(text("lr")),
            },
            list::Record::Metadata {
                guid: Some(guid(1)),
                key: text("/shared/comment"),
                value: Some(text("x")),
            },
            list::Record::Metadata {
                guid: None,
                key: text("/shared/admin"),
                value: Some(text("mailto:a@b")),
            },
        ]),
        list::Transaction::new(vec![list::Record::Delete { guid: guid(2), time: 1_750_000_200 }]),
    ];
    let mut list = List::new(0);
    let mut file = Vec::new();
    list.header(OWNER, 1, None, SEED).write(&mut file);
    for transaction in &transactions {
        let mut payload = Vec::new();
        transaction.encode(&mut payload).unwrap();
        write_frame(SEED, &payload, &mut file).unwrap();
        list.apply(transaction);
    }
    let stored = golden("list.log", &file);
    let header = Header::parse(&stored).unwrap();
    let mut replayed = List::new(0);
    replayed.begin_file(&header).unwrap();
    let end = replayed
        .replay(&mut Frames::new(&stored, Header::LEN as u64, header.seed), |_, _| {})
        .unwrap();
    assert_eq!(replayed, list);
    let stored = golden("list.index", &list.write(OWNER, 1, end.at));
    assert_eq!(List::parse(&stored).unwrap().1, list);
}

#[test]
fn golden_journal() {
    let header = journal::Header {
        store: OWNER,
        segment: 2,
        previous: Some(journal::Previous { segment: 1, end: 5000 }),
        seed: SEED,
        first_record: 17,
        epoch: 1,
        flags: 0,
    };
    let body = b"Subject: hello\r\n\r\nworld\r\n";
    let container =
        |file| Target::Container { file, offset: 40, head: b"head", body: Some(0), tail: b"tail" };
    let parts = vec![
        Part { account: b"u1", target: container(1) },
        Part { account: b"u1", target: Target::Map { transaction: 5, payload: b"map" } },
        Part { account: b"u2", target: container(9) },
        Part { account: b"u2", target: Target::List { transaction: 6, payload: b"list" } },
        Part {
            account: b"u2",
            target: Target::Mailbox { guid: OWNER, transaction: 7, payload: b"mailbox" },
        },
    ];
    let records = [
        journal::Record { parts, bodies: vec![body] },
        journal::Record { parts: vec![], bodies: vec![b"", b"x"] },
    ];
    let stored = golden("journal", &crate::journal::segment(&header, &records, 4608));
    assert_eq!(journal::Header::parse(&stored), Ok(header.clone()));
    let mut frames = journal::Frames::new(&stored, &header, None);
    let read: Vec<_> =
        frames.by_ref().map(|frame| journal::Record::decode(frame.payload, 0).unwrap()).collect();
    assert_eq!(read, records);
    assert_eq!((frames.end(), frames.number()), (Some(journal::End::Clean), 19));
}

#[test]
fn golden_cache() {
    let header = cache::Header::covering(OWNER, MapId(3000), SEED);
    let mut file = Vec::new();
    header.write(&mut file);
    let row = |id, fields| cache::Row { map_id: MapId(id), guid: *b"guid", fields };
    let envelope =
        [(cache::Field::Envelope, &b"(NIL)"[..]), (cache::Field::HeaderField(b"list-id"), b"")];
    let structure =
        [(cache::Field::BodyStructure, &b"(\"text\")"[..]), (cache::Field::Other(40), b"new")];
    let first = [row(3000, &envelope[..]), row(3001, &structure)];
    cache::write_rows(&header, 0, &first, &mut file).unwrap();
    cache::write_rows(&header, 1, &[row(3000, &[(cache::Field::Preview, b"hello")])], &mut file)
        .unwrap();
    let stored = golden("cache", &file);
    let read = cache::CacheFile::parse(&stored).unwrap();
    assert_eq!(read.get(MapId(3000), *b"guid", cache::Field::Envelope), Some(&b"(NIL)"[..]));
    assert_eq!(read.get(MapId(3000), *b"guid", cache::Field::Preview), Some(&b"hello"[..]));
    assert_eq!(read.get(MapId(3001), *b"guid", cache::Field::Other(40)), Some(&b"new"[..]));
    assert_eq!(read.end(), stored.len() as u64);
}

#[test]
fn golden_cache_of_a_group_with_names() {
    let (group, names) = (cache::Group::HEADER.or(cache::Group::SUBJECT), b"date\nfrom\n".to_vec());
    let header =
        cache::Header { group, names, ..cache::Header::covering(OWNER, MapId(3000), SEED) };
    let mut file = Vec::new();
    header.write(&mut file);
    let fields = [
        (cache::Field::HeaderCommon, &b"From: a@b\r\n\r\n"[..]),
        (cache::Field::Text(cache::Text::Subject), b"re: hello\n"),
        (cache::Field::Key(cache::Key::Subject), b"HELLO"),
    ];
    let row = cache::Row { map_id: MapId(3000), guid: *b"guid", fields: &fields };
    cache::write_rows(&header, 1, &[row], &mut file).unwrap();
    let stored = golden("cache.group", &file);
    assert_eq!(cache::Header::parse(&stored), Ok(header));
    let read = cache::CacheFile::parse(&stored).unwrap();
    for (field, value) in fields {
        assert_eq!(read.get(MapId(3000), *b"guid", field), Some(value));
    }
}

#[test]
fn golden_cache_of_what_is_asked() {
    let pattern = |group, names: &[u8], count| Pattern {
        mailbox: Guid([3; 16]),
        group,
        names: names.to_vec(),
        count,
    };
    let list = cache::Group::ENVELOPE.or(cache::Group::HEADER);
    let patterns = [pattern(list, b"date\nfrom\n", 640), pattern(cache::Group::SENT, b"", 64)];
    let stored = golden("cache.asked", &cache::asked::write(&patterns, OWNER));
    assert_eq!(cache::asked::read(&stored, OWNER), patterns);
    assert!(cache::asked::read(&stored, Guid([4; 16])).is_empty());
}

#[test]
fn golden_cache_of_sent_dates() {
    let header = cache::Header {
        group: cache::Group::SENT,
        first: MapId(1 << 16),
        span: cache::SENT_SPAN,
        ..cache::Header::covering(OWNER, MapId(0), SEED)
    };
    let mut file = Vec::new();
    header.write(&mut file);
    let row = |slot, at| Sent { map_id: MapId(header.first.0 + slot), guid: *b"guid", at };
    let dense = [row(0, Some(1_700_000_000)), row(1, Some(1_700_000_060)), row(2, None)];
    let sparse = [row(9, Some(-5)), row(65_000, Some(i64::MAX))];
    cache::sent::write_sent(&header, 1, &dense, &mut file).unwrap();
    cache::sent::write_sent(&header, 1, &sparse, &mut file).unwrap();
    let stored = golden("cache.sent", &file);
    let read = cache::sent::SentFile::parse(&stored, 1).unwrap();
    assert_eq!(read.rows, [&dense[..], &sparse].concat());
    assert_eq!((read.end, read.blocks), (stored.len() as u64, 2));
}

#[test]
fn golden_threads() {
    let mut file = Vec::new();
    threads::Header { owner: OWNER, mailbox: Guid(*b"golden mailbox 2") }.write(&mut file);
    let id = |number: u128| 0x1122_3344_5566_7788_99aa_bbcc_ddee_ff00 + number;
    let message = |uid, own, references| threads::Message {
        uid: Uid(uid),
        came: 1_750_000_000 + i64::from(uid),
        sent: 1_749_999_000,
        subject: id(100),
        is_reply: own > 1,
        id: id(own),
        references,
    };
    let ids = [id(1), id(2)];
    let first = [message(3, 1, &[]), message(7, 2, &ids[..1])];
    threads::write_block(first, &mut file).unwrap();
    let bare = threads::Message { subject: 0, id: 0, ..message(300, 0, &[]) };
    let second = [message(299, 3, &ids), bare];
    threads::write_block(second, &mut file).unwrap();
    let stored = golden("threads", &file);
    assert!(threads::Header::parse(&stored).is_ok());
    let (mut blocks, mut read) = (threads::Blocks::new(&stored), Vec::new());
    while let Some(block) = blocks.next(&mut |message| read.push(format!("{message:?}"))) {
        block.unwrap();
    }
    let written = first.iter().chain(&second).map(|message| format!("{message:?}"));
    assert!(written.eq(read));
}

#[test]
fn golden_uid_sets() {
    let ranges = [Uid(5)..=Uid(7), Uid(9)..=Uid(9), Uid(1000)..=Uid(200_000)];
    let sets: [(UidSet, &[u8]); 4] = [
        (UidSet::new(), &[0]),
        (set(&[300]), &[1, 0xac, 0x02]),
        (UidSet::range(Uid(1)..=Uid(100_000)), &[2, 1, 0x9e, 0x8d, 0x06]),
        (ranges.into_iter().collect(), &[3, 3, 11, 1, 0, 0xbb, 0x0f, 0xd7, 0x92, 0x0c]),
    ];
    for (set, bytes) in sets {
        let mut out = Vec::new();
        set.encode(&mut out);
        assert_eq!(out, bytes, "{set}");
        assert_eq!(UidSet::decode(bytes, 0).unwrap(), (set, &[][..]));
    }
}

#[test]
fn a_new_message_is_written_as_ever() {
    let mut mailbox = Mailbox::new(1, 0);
    let message = NewMessage {
        map_id: MapId(7),
        internal_date: 1,
        save_date: 1,
        size: 9,
        ..NewMessage::default()
    };
    let mut payload = Vec::new();
    crate::sizes::commit(&mut mailbox, &mut Names::default(), |builder| {
        builder.append(&message).unwrap();
        builder.clone().finish().encode(&mut Names::default(), &mut payload).unwrap();
    });
    assert_eq!(payload, [2, 1, 1, 14, 2, 9]);
}
