//! Fields come to lie as they are asked for: what commands read of the cache, before and after.

use super::cache::{Opened, ask, cache_files, fetch_all, select};
use super::world::config;
use crate::store::config::StoreConfig;
use crate::store::imap::ImapUser;
use imap_proto::fetch::{FetchItems, FieldNames, Fixed, Section, SectionKind};
use imap_proto::search::{Key, Limits, Program};
use imap_proto::sort::{Criterion, Order, SortKey};
use imap_proto::{Answer, Ask};
use runtime_smol::sim::{SimFs, Variant};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MESSAGES: u32 = 300;
/// How long the name is of a file that has header fields of some names.
const NAMED: usize = "nnnnnnnn.gggg.hhhhhhhh".len();

/// What the clients of the test do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Command {
    SortByDate,
    /// A list of messages: ENVELOPE, BODYSTRUCTURE, three header fields.
    List,
    /// What a filter looks at: header fields that no list shows.
    Filter,
    SearchSubject,
}

use Command::{Filter, List, SearchSubject, SortByDate};

fn header_fields(names: &[&str]) -> Section {
    let names = FieldNames::new(names.iter().map(|name| name.as_bytes().to_vec()).collect());
    Section::new(Vec::new(), SectionKind::HeaderFields(names), None, true)
}

impl Command {
    fn run(self, user: &mut ImapUser) -> String {
        let uids = select(user);
        let program = |key| Arc::new(Program::compile(&key, Limits::default()).unwrap());
        match self {
            SortByDate => {
                let order = Order(vec![Criterion { key: SortKey::Date, reverse: false }]);
                let sort = Ask::Sort { program: program(Key::All), order: Arc::new(order) };
                let Answer::Sorted { uids, .. } = ask(user, sort) else { panic!("no order") };
                format!("{uids:?}")
            }
            SearchSubject => {
                let key = Key::header("subject", b"number 7");
                let found = ask(user, Ask::Search { program: program(key) });
                let Answer::Found { uids, .. } = found else { panic!("nothing found") };
                format!("{uids:?}")
            }
            List => {
                let sections = vec![header_fields(&["Date", "From", "Subject"])];
                let fixed = Fixed::ENVELOPE | Fixed::BODYSTRUCTURE;
                fetch_all(user, &uids, FetchItems { fixed, sections })
            }
            Filter => {
                let sections = vec![header_fields(&["List-Id", "X-Spam-Score"])];
                fetch_all(user, &uids, FetchItems { fixed: Fixed::UID, sections })
            }
        }
    }
}

fn message(number: u32) -> String {
    let trace = "Received: from relay.example.net by mx.example.org with ESMTPS id 0123456789\r\n\
                 \tfor <u1@example.org>; Mon, 2 Mar 2026 10:00:00 +0000\r\n"
        .repeat(4);
    let (day, minute) = (1 + number % 28, number % 60);
    format!(
        "{trace}DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=k; b={}\r\n\
         Date: {day} Mar 2026 10:{minute:02}:00 +0100\r\nFrom: Sender {number} <s{number}@example.org>\r\n\
         To: u1@example.org\r\nSubject: Re: number {number} of many\r\nMessage-ID: <{number}@example.org>\r\n\
         List-Id: <list.example.org>\r\nX-Spam-Score: {number}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nText {number}.\r\n",
        "A".repeat(300)
    )
}

fn open(fs: &SimFs) -> Opened {
    // Bounds as they are, but for rows that are taken apart at once.
    let config = StoreConfig { cache_apart: 0, container_size: 1 << 20, ..config() };
    Opened::open_with(fs, config)
}

fn in_cache(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "cache")
}

/// What each command answers and reads of the cache, by a server that has nothing in memory.
fn measure(fs: &SimFs, commands: &[Command]) -> Vec<(String, u64)> {
    let one = |command: &Command| {
        let fs = fs.crashed(Variant::Everything);
        let opened = open(&fs);
        let before = fs.bytes_read(in_cache);
        let answer = command.run(&mut opened.user());
        (answer, fs.bytes_read(in_cache) - before)
    };
    commands.iter().map(one).collect()
}

/// The disk after so many rounds in which clients give these commands.
fn used(fs: &SimFs, commands: &[Command], rounds: usize) -> SimFs {
    let fs = fs.crashed(Variant::Everything);
    let opened = open(&fs);
    for _ in 0..rounds {
        for command in commands {
            command.run(&mut opened.user());
        }
        opened.store.checkpoint(0).unwrap();
        opened.store.cache.forget_idle(0);
    }
    drop(opened);
    fs.crashed(Variant::Everything)
}

fn names(fs: &SimFs) -> Vec<String> {
    cache_files(fs)
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_is_read_together_comes_to_lie_together() {
    let fs = SimFs::new();
    let opened = open(&fs);
    for number in 0..MESSAGES {
        opened.deliver(message(number).as_bytes(), b"");
    }
    opened.store.checkpoint(0).unwrap();
    drop(opened);
    let all = [SortByDate, List, Filter, SearchSubject];
    let before = measure(&fs, &all);
    // All but the header fields that are there twice.
    let once = |file: &&PathBuf| file.file_name().unwrap().len() < NAMED;
    let files = cache_files(&fs);
    let whole: usize = files.iter().filter(once).map(|file| fs.peek(file).unwrap().len()).sum();
    let mut table = String::from("\n| read of the cache, bytes a message |");
    for command in all {
        write!(table, " {command:?} |").unwrap();
    }
    let each = |bytes: u64| bytes as f64 / f64::from(MESSAGES);
    write!(table, "\n| --- | --- | --- | --- | --- |\n| rows kept whole |").unwrap();
    for _ in all {
        write!(table, " {:.1} |", each(whole as u64)).unwrap();
    }
    let mut row = |what: &str, read: &[(String, u64)]| {
        write!(table, "\n| {what} |").unwrap();
        for (command, ((answer, bytes), (expected, _))) in all.iter().zip(read.iter().zip(&before))
        {
            assert!(answer == expected, "{what}: {command:?} is answered otherwise");
            write!(table, " {:.1} |", each(*bytes)).unwrap();
        }
    };
    row("as it comes", &before);
    let date = used(&fs, &[SortByDate], 12);
    row("used by SORT (DATE)", &measure(&date, &all));
    let list = used(&fs, &[List], 12);
    let listed = measure(&list, &all);
    row("used by a list", &listed);
    let both = used(&fs, &[SortByDate, List], 12);
    let of_both = measure(&both, &all);
    row("used by both", &of_both);
    let conflict = used(&fs, &[SortByDate, List, Filter], 12);
    let of_conflict = measure(&conflict, &all);
    row("and by a filter", &of_conflict);
    let stopped = used(&conflict, &[SortByDate, List], 30);
    let of_stopped = measure(&stopped, &all);
    row("the filter stopped", &of_stopped);
    println!("{table}\n");

    // RFC 5256 sorts by the sent date: it takes eight bytes at most, whoever else asks for what.
    for read in [&before, &of_both, &of_conflict] {
        assert!(each(read[0].1) <= 8.0 + 0.2, "{}", each(read[0].1));
    }
    // From the first time on a list reads the header fields that most ask for, and then its own.
    assert!(before[1].1 < before[2].1, "a list reads whole headers");
    assert!(listed[1].1 < before[1].1, "a list reads as much as before");
    assert!(of_both[1].1 <= listed[1].1 && of_conflict[1].1 <= listed[1].1 + 4096);
    // Two that ask for other header fields have each their own, and the whole headers are there.
    assert!(of_conflict[2].1 * 4 < before[2].1, "a filter reads as much as before");
    let own = |fs: &SimFs| names(fs).iter().filter(|name| name.len() == NAMED).count();
    assert_eq!((own(&fs), own(&list), own(&conflict), own(&stopped)), (1, 1, 2, 1));
    // The counts are kept across the restart, and without them nothing is lost.
    assert!(names(&list).contains(&"asked".to_owned()));
    let fs = list.crashed(Variant::Everything);
    for file in cache_files(&fs) {
        if file.ends_with("asked") {
            fs.corrupt(&file, |bytes| bytes[9] ^= 1).unwrap();
        }
    }
    let lost = measure(&fs, &all);
    assert_eq!(lost, listed);
}
