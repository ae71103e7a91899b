//! What operations of clients cost in a mailbox's log, beside Dovecot where the machine has it:
//! `cargo bench -p loft-index-format --bench operations`.

mod common;

use common::dovecot::{Dovecot, Growth};
use common::{Noise, print, scattered, stepped};
use index_format::log::write_frame;
use index_format::mailbox::{Mailbox, NewMessage, TransactionBuilder};
use index_format::record::Names;
use index_format::{Flags, Guid, MapId, Uid, UidSet, snapshot};
use std::io;

const MESSAGES: u32 = 100_000;
const MESSAGE: &str =
    "From: a@example.org\r\nSubject: x\r\nDate: Mon, 2 Mar 2026 10:00:00 +0100\r\n\r\nHello.\r\n";
/// A keyword of 20 letters.
const KEYWORD: &str = "KeywordOfTwentyChars";

/// One thing a client does.
struct Operation {
    name: &'static str,
    ours: usize,
    command: String,
}

fn main() {
    let operations = operations();
    let (theirs, version) = match Dovecot::start() {
        Ok((mut dovecot, version)) => match measure(&mut dovecot, &operations) {
            Ok(theirs) => (Some(theirs), version),
            Err(error) => {
                println!("without Dovecot {version}: {error}\n");
                (None, version)
            }
        },
        Err(why) => {
            println!("without Dovecot: {why}\n");
            (None, String::new())
        }
    };
    let head = [
        format!("{MESSAGES} messages, bytes an operation"),
        "log".to_owned(),
        format!("Dovecot {version}: log"),
        "map's log".to_owned(),
        "cache".to_owned(),
    ];
    let mut rows = vec![head.to_vec()];
    let (growths, index) = theirs.unwrap_or_default();
    for (number, operation) in operations.iter().enumerate() {
        let mut row = vec![operation.name.to_owned(), operation.ours.to_string()];
        let Growth { log, map, cache } = growths.get(number).copied().unwrap_or_default();
        row.extend([log, map, cache].map(|bytes| match growths.is_empty() {
            true => String::new(),
            false => bytes.to_string(),
        }));
        rows.push(row);
    }
    let own = snapshot::write(&filled(), Guid([1; 16]), 1, 88).len() as f64 / f64::from(MESSAGES);
    let theirs = match index {
        0 => String::new(),
        bytes => format!("{:.1}", bytes as f64 / f64::from(MESSAGES)),
    };
    let none = String::new();
    let name = "the snapshot, or index, a message".to_owned();
    rows.push(vec![name, format!("{own:.1}"), theirs, none.clone(), none]);
    print(&rows);
}

/// What Dovecot's files grow by for each, and the size of its index at the end.
fn measure(dovecot: &mut Dovecot, operations: &[Operation]) -> io::Result<(Vec<Growth>, u64)> {
    dovecot.fill(MESSAGES, MESSAGE)?;
    let growths = operations.iter().map(|operation| dovecot.growth(&operation.command));
    let growths = growths.collect::<io::Result<Vec<Growth>>>()?;
    Ok((growths, dovecot.index_size()?))
}

/// What is done, in this order, to a mailbox of so many messages.
fn operations() -> Vec<Operation> {
    let (mut mailbox, mut names) = (filled(), Names::default());
    let mut operations = Vec::new();
    let mut add = |name, command: String, build: &dyn Fn(&mut TransactionBuilder<'_>)| {
        let mut builder = TransactionBuilder::new(&mailbox, &names);
        build(&mut builder);
        let transaction = builder.finish();
        let (mut payload, mut frame) = (Vec::new(), Vec::new());
        if !transaction.records.is_empty() {
            transaction.encode(&mut names, &mut payload).expect("what was built");
            write_frame(1, &payload, &mut frame).expect("small frames");
            mailbox.apply(&transaction).expect("it follows");
        }
        operations.push(Operation { name, ours: frame.len(), command });
    };
    let one = UidSet::one(Uid(90_000));
    let other = UidSet::one(Uid(90_001));
    let all = UidSet::range(Uid(1)..=Uid(MESSAGES));
    let tenth = stepped(MESSAGES, 10);
    let mut noise = Noise(7);
    let random = scattered(MESSAGES, 0.1, &mut noise);
    let store = |uids: &UidSet, change: &str| format!("UID STORE {uids} {change}");
    add("reading: FETCH of all flags", "FETCH 1:* FLAGS".into(), &|_| ());
    add("reading: 100 envelopes", "FETCH 1:100 ENVELOPE".into(), &|_| ());
    add("one flag on one message", store(&one, "+FLAGS.SILENT (\\Seen)"), &|builder| {
        builder.flags_add(&one, Flags::SEEN, &[]).expect("no keyword");
    });
    add("one flag on all", store(&all, "+FLAGS.SILENT (\\Flagged)"), &|builder| {
        builder.flags_add(&all, Flags::FLAGGED, &[]).expect("no keyword");
    });
    add("one flag on every 10th", store(&tenth, "+FLAGS.SILENT (\\Draft)"), &|builder| {
        builder.flags_add(&tenth, Flags::DRAFT, &[]).expect("no keyword");
    });
    add("one flag on a random tenth", store(&random, "+FLAGS.SILENT (\\Answered)"), &|builder| {
        builder.flags_add(&random, Flags::ANSWERED, &[]).expect("no keyword");
    });
    let keyword = |uids: &UidSet| store(uids, &format!("+FLAGS.SILENT ({KEYWORD})"));
    add("a keyword of 20 letters, first", keyword(&one), &|builder| {
        builder.flags_add(&one, Flags::NONE, &[KEYWORD]).expect("a keyword");
    });
    add("the same on another message", keyword(&other), &|builder| {
        builder.flags_add(&other, Flags::NONE, &[KEYWORD]).expect("a keyword");
    });
    let append = format!("APPEND INBOX {{{}+}}\r\n{MESSAGE}", MESSAGE.len());
    add("a message appended", append, &|builder| {
        builder.append(&message(MESSAGES + 1)).expect("no keyword");
    });
    add("\\Deleted on every 10th", store(&tenth, "+FLAGS.SILENT (\\Deleted)"), &|builder| {
        builder.flags_add(&tenth, Flags::DELETED, &[]).expect("no keyword");
    });
    add("every 10th expunged", "EXPUNGE".into(), &|builder| builder.expunge(&tenth));
    operations
}

fn message(number: u32) -> NewMessage<'static> {
    let (internal_date, save_date) = (1_780_000_000, 1_780_000_000);
    let size = MESSAGE.len() as u64;
    NewMessage { map_id: MapId(number), internal_date, save_date, size, ..NewMessage::default() }
}

fn filled() -> Mailbox {
    let mut mailbox = Mailbox::new(1_750_000_001, 0);
    let mut builder = TransactionBuilder::new(&mailbox, &Names::default());
    for number in 1..=MESSAGES {
        builder.append(&message(number)).expect("no keyword");
    }
    let transaction = builder.finish();
    mailbox.apply(&transaction).expect("it follows");
    mailbox
}
